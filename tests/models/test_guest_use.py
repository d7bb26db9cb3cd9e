"""Use: findings worked by hand, and what holds for any history of a guest."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_models.attribution import Certainty
from jauge_models.guest_use import (
    HOURS_OF_WEEK,
    Findings,
    GuestProfile,
    HourOfGuest,
    Reason,
    UsePolicy,
    Window,
    findings,
    kwh_a_year,
    profiled,
)

POLICY = UsePolicy()
DAY_S = 86400.0
GIB = float(2**30)
YEARS = 365.25


def always(busy: float | None) -> Callable[[int], float | None]:
    """So many processors busy in every hour."""
    return lambda _: busy


def history(
    days: int,
    busy: Callable[[int], float | None],
    *,
    seen: Callable[[int], bool] = lambda hour_of_week: hour_of_week >= 0,
    processors: float | None = 4.0,
    memory: float | None = 8 * GIB,
    memory_used: float | None = 6 * GIB,
    gpu: float = 0.0,
    gpu_utilisation: float | None = None,
    certainty: Certainty = Certainty.DERIVED,
) -> list[HourOfGuest]:
    """Hours from a Monday on; ``busy`` by hour of the week; 36 kJ idle, 18 kJ dynamic each."""
    return [
        HourOfGuest(
            day,
            (day % 7) * 24 + hour,
            3_600_000,
            36_000.0,
            18_000.0,
            gpu,
            certainty,
            busy((day % 7) * 24 + hour),
            busy((day % 7) * 24 + hour),
            processors,
            memory_used,
            memory,
            gpu > 0,
            gpu_utilisation,
        )
        for day in range(days)
        for hour in range(24)
        if seen((day % 7) * 24 + hour)
    ]


def profile(hours: list[HourOfGuest], days: float = 35, guest: str = "g") -> GuestProfile:
    """The profile of one guest over a period of so many days."""
    return profiled(guest, hours, days * DAY_S, POLICY)


def found(hours: list[HourOfGuest], days: float = 35) -> Findings:
    """What is found of one guest."""
    return findings([profile(hours, days)], POLICY)


def office(hour_of_week: int) -> float:
    """Two processors busy on working days from 8 to 18, none else."""
    day, hour = divmod(hour_of_week, 24)
    return 2.0 if day < 5 and 8 <= hour < 18 else 0.0


def test_an_idle_guest_and_what_it_would_save() -> None:
    """35 days at 4 % of 4 processors: 18 kJ an hour is 43.83 kWh a year, idle twice that."""
    result = found(history(35, always(0.16)))
    (idle,) = result.idle
    assert (idle.guest, idle.days) == ("g", 35)
    assert idle.busiest == pytest.approx(0.04)
    assert idle.saving.dynamic == pytest.approx(18_000 * 24 * YEARS / 3.6e6)
    assert idle.saving.dynamic == pytest.approx(43.83)
    assert idle.saving.idle == pytest.approx(87.66)
    assert idle.saving.gpu == 0
    assert idle.saving.certainty is Certainty.DERIVED
    assert (result.oversized, result.night, result.not_judged) == ([], [], {})


def test_one_busy_hour_is_not_idle() -> None:
    """A guest that works for one hour a week is none; at the threshold it is."""
    assert not found(history(35, lambda hour: 0.21 if hour == 40 else 0.0)).idle
    assert found(history(35, lambda hour: 0.20 if hour == 40 else 0.0)).idle


def test_a_guest_seen_too_seldom_is_not_judged() -> None:
    """29 days are too few for idle, 13 for anything; a day of seven hours is none."""
    assert found(history(29, always(0.0))).not_judged == {"g": Reason.DAYS}
    assert found(history(30, always(0.0))).idle
    assert found(history(13, office)).not_judged == {"g": Reason.DAYS}
    assert found(history(14, office)).not_judged == {}
    assert found(history(35, office, seen=lambda hour: hour % 24 < 7)).not_judged
    assert not found(history(35, office, seen=lambda hour: hour % 24 < 8)).not_judged


def test_unknown_activity_is_not_rest() -> None:
    """Neither where busy is unknown nor where the number of processors is."""
    for hours in (
        history(35, always(None)),
        history(35, always(0.0), processors=None),
    ):
        assert profile(hours).days == 0
        assert profile(hours).coverage == 0
        assert profile(hours).busy is None
        assert found(hours).not_judged == {"g": Reason.DAYS}
    sometimes = history(35, lambda hour: None if hour == 5 else 0.0)
    assert not found(sometimes).idle


def test_a_saving_seen_in_part_is_an_estimate() -> None:
    """And nothing is scaled up to the time in which the guest was not seen."""
    hours = history(35, always(0.0))
    (whole,) = found(hours).idle
    (half,) = found(hours, days=70).idle
    assert half.saving.certainty is Certainty.ESTIMATED
    assert half.saving.dynamic == pytest.approx(whole.saving.dynamic / 2)
    (told,) = found(history(35, always(0.0), certainty=Certainty.ESTIMATED)).idle
    assert told.saving.certainty is Certainty.ESTIMATED
    (sure,) = found(history(35, always(0.0), certainty=Certainty.MEASURED)).idle
    assert sure.saving.certainty is Certainty.DERIVED


def test_a_gpu_whose_use_is_unknown_is_no_idle_gpu() -> None:
    """Processors at rest tell nothing of it; its own use does, and its energy is said apart."""
    unknown = found(history(35, always(0.0), gpu=72_000.0))
    assert (unknown.idle, unknown.not_judged) == ([], {"g": Reason.GPU})
    assert [one.recommended_processors for one in unknown.oversized] == [1]
    unsaid = [hour._replace(holds_gpu=False) for hour in history(35, always(0.0), gpu=72_000.0)]
    assert found(unsaid).not_judged == {"g": Reason.GPU}
    assert not found(history(35, always(0.0), gpu=72_000.0, gpu_utilisation=0.5)).idle
    (idle,) = found(history(35, always(0.0), gpu=72_000.0, gpu_utilisation=0.01)).idle
    assert idle.saving.gpu == pytest.approx(4 * 43.83)
    assert idle.saving.dynamic == pytest.approx(43.83)


def test_an_oversized_guest() -> None:
    """16 processors, 3 at most: ceil(3.75) = 4 would do; 2.1 of 8 GiB: 3 GiB would."""
    hours = history(35, always(3.0), processors=16.0, memory_used=2.1 * GIB)
    (big,) = found(hours).oversized
    assert (big.processors, big.recommended_processors) == (16, 4)
    assert (big.memory_size, big.recommended_memory) == (8 * GIB, 3 * GIB)
    assert big.saving[:2] == (0, 0)
    assert big.saving.idle == pytest.approx(87.66 * 0.75)


@pytest.mark.parametrize(
    ("busy", "used", "processors", "memory"),
    [
        (1.6, 6 * GIB, 2, None),
        (1.61, 6 * GIB, None, None),
        (3.0, 3.2 * GIB, None, 4 * GIB),
        (3.0, 3.3 * GIB, None, None),
        (0.5, 6 * GIB, 1, None),
    ],
)
def test_oversized_at_the_limits(
    busy: float, used: float, processors: int | None, memory: float | None
) -> None:
    """4 processors and 8 GiB were given; half of it or less must do, with a quarter of room."""
    big = found(history(35, always(busy), memory_used=used)).oversized
    assert [(one.recommended_processors, one.recommended_memory) for one in big] == (
        [(processors, memory)] if processors or memory else []
    )
    if big and processors is None:
        assert big[0].saving.idle == 0


def test_unknown_memory_is_not_unused() -> None:
    """Neither its use nor its size."""
    for hours in (
        history(35, always(3.0), memory_used=None),
        history(35, always(3.0), memory=None),
    ):
        assert not found(hours).oversized


def test_a_peak_within_an_hour_counts() -> None:
    """The highest slot, not the hourly mean, decides of a size."""
    hours = history(35, always(0.5))
    hours[100] = hours[100]._replace(busy_peak=4.0)
    assert not found(hours).oversized


def test_nights_and_weekends() -> None:
    """At rest 18 to 8 and from Friday 18 to Monday 8: 4 × 14 + 62 hours of the week."""
    (night,) = found(history(35, office)).night
    assert night.windows == (
        Window(18, 14),
        Window(24 + 18, 14),
        Window(48 + 18, 14),
        Window(72 + 18, 14),
        Window(96 + 18, 62),
    )
    assert night.saving.dynamic == pytest.approx(43.83 * 118 / 168)
    assert night.saving.idle == pytest.approx(87.66 * 118 / 168)


def test_a_window_is_recurring_and_long_enough() -> None:
    """Five hours are too few; so are three weeks; one working night ends it."""
    pause = history(35, lambda hour: 0.0 if hour % 24 < 5 else 2.0)
    assert not found(pause).night
    assert found(history(35, lambda hour: 0.0 if hour % 24 < 6 else 2.0)).night
    assert not found(history(21, office), days=21).night
    hours = history(35, office)
    hours[24 * 8 + 2] = hours[24 * 8 + 2]._replace(busy=3.0)
    (night,) = found(hours).night
    assert Window(18, 8) in night.windows
    assert Window(24 + 18, 14) in night.windows
    assert Window(18, 14) not in night.windows


def test_hours_already_off_are_no_window() -> None:
    """Nothing is left to save while a guest is off."""
    assert not found(history(35, office, seen=lambda hour: office(hour) > 0)).night


def test_a_guest_that_moved_or_was_resized() -> None:
    """Two spans of one hour add up; the size given last counts."""
    hours = history(35, always(2.0))
    halves = [
        half
        for hour in hours
        for half in (
            hour._replace(covered_ms=1_800_000, idle=hour.idle / 2, dynamic=6_000.0, busy=1.0),
            hour._replace(covered_ms=1_800_000, idle=hour.idle / 2, dynamic=12_000.0, busy=3.0),
        )
    ]
    moved, stayed = profile(halves), profile(hours)
    assert moved.days == stayed.days
    assert moved.busy == stayed.busy == 2.0
    assert moved.coverage == stayed.coverage == 1
    assert moved.week[7].dynamic == stayed.week[7].dynamic
    hours[-1] = hours[-1]._replace(processors=2.0, memory_size=GIB)
    assert (profile(hours).processors, profile(hours).memory_size) == (2, GIB)


def test_wrong_hours_are_refused_and_uncovered_ones_ignored() -> None:
    """With what is wrong."""
    (hour, *_) = history(1, always(1.0))
    with pytest.raises(ValueError, match="hour_of_week must be 0 to 167, not 168"):
        profiled("g", [hour._replace(hour_of_week=168)], DAY_S, POLICY)
    with pytest.raises(ValueError, match="period_s"):
        profiled("g", [], 0.0, POLICY)
    empty = profiled("g", [hour._replace(covered_ms=0)], DAY_S, POLICY)
    assert empty == profiled("g", [], DAY_S, POLICY)
    assert not empty.week


@st.composite
def hours_of_guests(draw: st.DrawFn) -> list[HourOfGuest]:
    """Some weeks of a guest whose hours are drawn from a few kinds, some of them missing."""
    levels = draw(
        st.lists(st.sampled_from([None, 0.0, 0.1, 0.2, 0.3, 3.0]), min_size=24, max_size=24).filter(
            any
        )
    )
    gap = draw(st.integers(0, 24))
    return history(
        draw(st.sampled_from([10, 20, 31, 40])),
        lambda hour: levels[hour % 24],
        seen=lambda hour: hour % 24 >= gap,
        processors=draw(st.sampled_from([None, 1.0, 4.0, 32.0])),
        memory_used=draw(st.sampled_from([None, GIB, 8 * GIB])),
        gpu=draw(st.sampled_from([0.0, 50_000.0])),
        gpu_utilisation=draw(st.sampled_from([None, 0.0, 0.9])),
    )


@given(hours_of_guests(), st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_no_finding_promises_more_than_was_drawn(
    hours: list[HourOfGuest], chance: random.Random
) -> None:
    """In any order of hours; an idle guest is in no other list, and what is unknown in none."""
    days = 40
    result = found(hours, days)
    mixed = found(chance.sample(hours, len(hours)), days)
    drawn = [
        kwh_a_year(sum(amounts), days * DAY_S)
        for amounts in (
            [hour.dynamic for hour in hours],
            [hour.gpu for hour in hours],
            [hour.idle for hour in hours],
        )
    ]
    for listed, again in (
        (result.idle, mixed.idle),
        (result.oversized, mixed.oversized),
        (result.night, mixed.night),
    ):
        assert [one[:-1] for one in listed] == [one[:-1] for one in again]
        for saving in [one.saving for one in listed]:
            assert saving.certainty is not Certainty.MEASURED
            saved = (saving.dynamic, saving.gpu, saving.idle)
            assert all(
                0 <= kwh <= most * (1 + 1e-9) for kwh, most in zip(saved, drawn, strict=True)
            )
    if result.idle:
        assert (result.oversized, result.night, result.not_judged) == ([], [], {})
        assert max(hour.busy or 0 for hour in hours) <= 0.05 * 32
    for night in result.night:
        covered = [
            (window.start + at) % HOURS_OF_WEEK
            for window in night.windows
            for at in range(window.hours)
        ]
        assert len(covered) == len(set(covered))
        at_rest = {hour.hour_of_week for hour in hours if hour.busy is not None} - {
            hour.hour_of_week for hour in hours if (hour.busy or 0) > 0.05 * (hour.processors or 0)
        }
        assert set(covered) <= at_rest
    for big in result.oversized:
        if big.recommended_processors is not None:
            assert big.recommended_processors >= max(hour.busy or 0 for hour in hours)


def test_the_greatest_saving_stands_first_whatever_the_order() -> None:
    """Guests of unlike energy, given in two orders."""
    small = profile(history(35, always(0.0)), guest="a")
    large = profile(
        [hour._replace(dynamic=90_000.0) for hour in history(35, always(0.0))], guest="z"
    )
    both = findings([small, large], POLICY)
    assert both == findings([large, small], POLICY)
    assert [one.guest for one in both.idle] == ["z", "a"]
