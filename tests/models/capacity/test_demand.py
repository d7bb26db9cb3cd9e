"""Demand by hour: school hours in civil time, runs that repeat, growth, and all that is asked."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_models.capacity.demand import HOUR_MS, Demand, demand, horizon, workload_of
from jauge_models.capacity.scenario import (
    WEEK,
    Desktops,
    Holiday,
    Hours,
    Inference,
    Scenario,
    Training,
)
from jauge_models.capacity.workloads import Spread

from tests.models.capacity.rooms import ALL_DAY, DRAWS, MONDAY, PARIS, room, scenario

SCHOOL = (Hours(begin=8, end=12, share=0.5), Hours(begin=13, end=17, share=0.25))


def desktops(users: int = 40, hours: tuple[Hours, ...] = SCHOOL, **more: Any) -> Desktops:
    """Desktops with an eighth of a GPU."""
    return Desktops(id="d", users=users, hours=hours, gpu_share=0.125, **more)


def training(**more: Any) -> Training:
    """A run of four hours on a GPU."""
    return Training(id="t", **{"hours": 4, "first": MONDAY, **more})


def asked(one: Scenario, zone: ZoneInfo = PARIS) -> Demand:
    """The demand of a scenario in the room of two big nodes."""
    return demand(one, room(small=1), DRAWS, zone)


def utc_hours(found: Demand) -> dict[datetime, int]:
    """Sessions of the first workload by the hour of UTC in which there are any."""
    at = found.horizon
    return {
        datetime.fromtimestamp(at.when(hour) / 1000, UTC): int(count)
        for hour, count in enumerate(found.standing[0].wanted)
        if count
    }


@pytest.mark.parametrize(
    ("first", "hours"),
    [(date(2027, 3, 28), 23), (date(2027, 10, 31), 25), (MONDAY, 24)],
    ids=["clocks go forward", "clocks go back", "any other day"],
)
def test_a_day_has_as_many_hours_as_pass(first: date, hours: int) -> None:
    """In Paris, on the days on which clocks change and on one on which they do not."""
    found = horizon(scenario(days=1, first=first), PARIS)
    assert found.hours == hours
    assert set(found.day.tolist()) == {0}


def test_school_begins_at_eight_in_winter_and_in_summer() -> None:
    """The Friday before clocks go forward and the Monday after: 7:00 and 6:00 UTC."""
    found = utc_hours(asked(scenario(days=4, first=date(2027, 3, 26), desktops=(desktops(),))))
    friday = [when for when in found if when.date() == date(2027, 3, 26)]
    monday = [when for when in found if when.date() == date(2027, 3, 29)]
    assert [when.hour for when in friday] == [7, 8, 9, 10, 12, 13, 14, 15]
    assert [when.hour for when in monday] == [6, 7, 8, 9, 11, 12, 13, 14]
    assert [found[when] for when in friday] == [20] * 4 + [10] * 4


def test_an_hour_that_comes_twice_is_asked_for_twice_and_one_that_never_comes_is_not() -> None:
    """Two o'clock on the nights on which clocks change."""
    night = desktops(hours=(Hours(begin=2, end=3, share=1),), weekdays=WEEK)
    back = utc_hours(asked(scenario(days=1, first=date(2027, 10, 31), desktops=(night,))))
    assert [when.hour for when in back] == [0, 1]
    forward = utc_hours(asked(scenario(days=1, first=date(2027, 3, 28), desktops=(night,))))
    assert not forward


def test_no_desktop_on_a_holiday_nor_on_a_weekend() -> None:
    """Both ends of a holiday belong to it."""
    off = Holiday(first=date(2027, 1, 6), last=date(2027, 1, 7))
    found = utc_hours(asked(scenario(days=7, desktops=(desktops(),), holidays=(off,))))
    assert {when.date().day for when in found} == {4, 5, 8}


def test_a_service_runs_on_holidays_too() -> None:
    """Inference knows no school calendar, but its own first and last day."""
    off = Holiday(first=MONDAY, last=MONDAY + timedelta(days=6))
    one = Inference(id="i", replicas=3, first=date(2027, 1, 5), last=date(2027, 1, 6))
    found = utc_hours(asked(scenario(inference=(one,), holidays=(off,))))
    assert set(found.values()) == {3}
    assert len(found) == 48
    assert min(found) == datetime(2027, 1, 4, 23, tzinfo=UTC)


def test_growth_is_by_the_year_and_rounded() -> None:
    """Ten that grow by a fifth are twelve after a year, eleven once they pass ten and a half."""
    one = Inference(id="i", replicas=10, growth=0.2)
    found = asked(scenario(days=366, inference=(one,)))
    count = found.standing[0].wanted
    assert count[0] == 10
    assert count[-1] == 12
    assert np.all(np.diff(count) >= 0)
    eleven = int(np.flatnonzero(count == 11)[0])
    assert found.horizon.day[eleven] == 98  # 10 x 1.2 ** (97.7 / 365.25) = 10.5
    assert found.horizon.hour[eleven] == 0


def test_a_run_repeats_at_the_same_local_hour() -> None:
    """Weekly at 20:00 over the change of clocks: 19:00 UTC, then 18:00."""
    one = training(first=date(2027, 3, 22), hour=20, repeat_days=7)
    found = asked(scenario(days=14, first=date(2027, 3, 22), training=(one,)))
    starts = [
        datetime.fromtimestamp(found.horizon.when(run.at) / 1000, UTC).hour for run in found.runs
    ]
    assert starts == [19, 18]


def test_a_run_at_an_hour_that_does_not_come_starts_when_it_would_have() -> None:
    """Two o'clock on the day on which clocks go forward is three o'clock, the day's third hour."""
    one = training(first=date(2027, 3, 28), hour=2)
    found = asked(scenario(days=1, first=date(2027, 3, 28), training=(one,)))
    assert [run.at for run in found.runs] == [2]
    assert found.horizon.hour[2] == 3


def test_only_runs_that_start_within_the_horizon_are_asked_for() -> None:
    """One of before it, a last day, and the horizon's own last day."""
    before = training(first=MONDAY - timedelta(days=4), repeat_days=2)
    found = asked(scenario(days=7, training=(before,)))
    assert [run.at for run in found.runs] == [0, 48, 96, 144]
    ages = training(first=date(1, 1, 1), repeat_days=7)
    assert [run.at for run in asked(scenario(days=7, training=(ages,))).runs] == [0]
    assert asked(scenario(days=7, training=(training(first=date(1, 1, 1)),))).runs == ()
    ended = training(repeat_days=1, last=date(2027, 1, 6), runs=2)
    assert len(asked(scenario(days=7, training=(ended,))).runs) == 6


def test_runs_come_in_order_of_their_start() -> None:
    """Of whichever workload."""
    late = Training(id="a", hours=1, first=MONDAY, hour=9)
    early = Training(id="b", hours=1, first=MONDAY, hour=3)
    found = asked(scenario(training=(late, early)))
    assert [run.asked.id for run in found.runs] == ["b", "a"]


def test_slices_become_thousandths_of_kinds_that_can_be_cut() -> None:
    """Three of seven; the kind that cannot be cut will not do."""
    plant = room(small=2)
    found = workload_of(Inference(id="i", slices=3), plant, DRAWS, Spread.NODE)
    assert (found.gpu_milli, found.gpu_kinds, found.group) == (428, ("G",), "i")
    assert workload_of(Inference(id="i", slices=7), plant, DRAWS).gpu_milli == 1000


def test_watts_are_the_most_that_any_kind_that_will_do_would_draw_more() -> None:
    """2400 W over four GPUs and 800 W over two: 600 W and 400 W for a busy one."""
    plant = room(small=2)
    assert workload_of(training(), plant, DRAWS).watts == pytest.approx(600)
    only = training(gpu_kinds=("S",), activity=0.5)
    assert workload_of(only, plant, DRAWS).watts == pytest.approx(200)
    assert workload_of(training(), plant, {}).watts == 0


@settings(deadline=None)
@given(
    users=st.integers(1, 300),
    share=st.floats(0, 1),
    first=st.dates(date(2026, 1, 1), date(2028, 1, 1)),
    days=st.integers(1, 40),
    zone=st.sampled_from(["Europe/Paris", "UTC", "America/New_York", "Australia/Lord_Howe"]),
)
def test_an_hour_asks_for_no_more_sessions_than_its_share(
    users: int, share: float, first: date, days: int, zone: str
) -> None:
    """In every zone and over every change of clocks; and all hours of the horizon are there."""
    here = ZoneInfo(zone)
    one = desktops(users, (Hours(begin=0, end=24, share=share),), weekdays=WEEK)
    found = asked(scenario(days=days, first=first, desktops=(one,)), here)
    assert set(found.standing[0].wanted.tolist()) == {int(users * share + 0.5)}
    at = found.horizon
    end = datetime(first.year, first.month, first.day, tzinfo=here) + timedelta(days=days)
    assert 0 <= at.when(at.hours) - end.timestamp() * 1000 < HOUR_MS


def test_what_is_asked_adds_up() -> None:
    """Whole and parts of GPUs of all three sorts, a run at the hours it asked for."""
    found = asked(
        scenario(
            days=1,
            desktops=(desktops(8, ALL_DAY),),
            inference=(Inference(id="i", replicas=2),),
            training=(training(gpus=4, nodes=2, hour=22),),
        )
    )
    milli = found.gpu_milli()
    assert milli[0] == 8 * 125 + 2000
    assert milli[23] == 8 * 125 + 2000 + 8000
