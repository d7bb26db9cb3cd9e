"""Forecasts: what always holds, and what they are worth on real series."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_models.capacity import back_test
from jauge_models.capacity.forecast import (
    Forecast,
    Reason,
    TooLittleHistory,
    forecast,
    longest_horizon,
    needed_steps,
)
from jauge_models.capacity.history import LATELY, SAMPLES

from benchmarks.forecast import rolled
from benchmarks.gpu_logs import daily, load_series, power_series

HOUR_S = 3600.0
DAYS = (7,)


def ahead(values: Sequence[float | None], horizon: int = 14) -> Forecast:
    """Of days with a week's season."""
    return forecast(values, start_ms=0, step_s=24 * HOUR_S, horizon=horizon, seasons=DAYS)


def week(seed: int, days: int, *, noise: float = 5.0, growth: float = 0.0) -> list[float | None]:
    """Less at the weekend, more each day, and chance."""
    chance = np.random.default_rng(seed)
    return [
        100.0 + growth * day - 40.0 * (day % 7 > 4) + noise * float(chance.standard_normal())
        for day in range(days)
    ]


def test_the_week_is_found_under_the_noise() -> None:
    """Nearer than the last week once more, whose noise comes twice; about 80 % lie within."""
    found = ahead(week(1, 400))
    assert found.reason is Reason.SKILL
    assert found.skill is not None
    assert 0.15 < found.skill < 0.4
    assert found.coverage == pytest.approx(0.8, abs=0.08)
    shape = [100.0 - 40.0 * ((400 + k) % 7 > 4) for k in range(14)]
    assert found.middle == pytest.approx(shape, abs=6)
    for low, high in zip(found.lower, found.upper, strict=True):
        assert 2 * 1.28 * 5 * 0.7 < high - low < 2 * 1.28 * 5 * 1.8
    assert found.error == pytest.approx(4.0, abs=0.8)
    assert found.origins > 40


def test_growth_goes_on() -> None:
    """Half a unit a day for a year: a trend, at the level that the line comes to."""
    found = ahead(week(2, 365, growth=0.5), horizon=28)
    assert found.skill is not None
    assert found.skill > 0.3
    line = [100 + 0.5 * (365 + k) - 40.0 * ((365 + k) % 7 > 4) for k in range(28)]
    assert found.middle == pytest.approx(line, abs=8)


def test_what_repeats_itself_is_said_once_more() -> None:
    """The seasonal-naive forecast never missed, so that nothing can be better."""
    found = ahead(week(3, 300, noise=0.0))
    assert (found.reason, found.skill) == (Reason.REPEATS, None)
    assert (found.method, found.season) == ("seasonal_naive", 7)
    assert found.lower == found.middle == found.upper
    assert found.error == found.naive_error == 0


def test_where_nothing_is_better_it_is_the_seasonal_naive_one_and_says_so() -> None:
    """Each week a new shape that comes exactly twice, so that the last one is the best guess."""
    chance = np.random.default_rng(4)
    shapes = np.repeat(chance.normal(0, 10, (8, 7)).cumsum(axis=0), 8, axis=0)
    found = ahead([float(value) for value in shapes.ravel()], horizon=7)
    assert found.reason is Reason.NO_SKILL
    assert (found.method, found.season) == ("seasonal_naive", 7)
    assert found.skill is None
    assert found.error == pytest.approx(found.naive_error)
    assert found.naive_error > 0


def test_what_is_best_in_hindsight_only_is_no_skill() -> None:
    """Weeks that came again end in six of chance: by now another is best, no origin knew it."""
    chance = np.random.default_rng(4)
    weeks = np.repeat(chance.normal(0, 10, (4, 7)).cumsum(axis=0), 8, axis=0).ravel()
    values = np.concatenate([weeks, chance.normal(0, 90, 42)])
    trial = back_test.tried(values, 7, DAYS)
    assert trial is not None
    tested = back_test.judged(trial, 7, naive_only=False)
    assert tested is not None
    assert tested.chosen != tested.naive
    found = ahead([float(value) for value in values], horizon=7)
    assert (found.reason, found.skill) == (Reason.NO_SKILL, None)
    assert found.method == "seasonal_naive"


def test_it_begins_where_the_history_ends() -> None:
    """Also where its first steps are not known."""
    values = [None, None, *week(5, 200)]
    found = forecast(values, start_ms=1_000, step_s=HOUR_S, horizon=3, seasons=DAYS)
    assert found.start_ms == 1_000 + 202 * 3_600_000
    assert (found.step_s, len(found.middle), found.level) == (HOUR_S, 3, 0.8)
    assert found.last == values[-1]


def test_the_last_value_is_one_of_the_last_day() -> None:
    """Of days the last step; of hours up to 24 of them."""
    days = [*week(5, 200), None]
    assert ahead(days).last is None
    for gone, last in ((23, True), (24, False)):
        values = [*week(5, 200), *[None] * gone]
        found = forecast(values, start_ms=0, step_s=HOUR_S, horizon=3, seasons=(48,))
        assert found.last == (values[199] if last else None)


def test_a_past_of_which_the_last_season_is_not_known_is_refused() -> None:
    """One known step of it is enough."""
    values = week(5, 200)
    for gone in (6, 7, 60):
        if gone < 7:
            assert ahead([*values, *[None] * gone]).middle
            continue
        with pytest.raises(TooLittleHistory) as raised:
            ahead([*values, *[None] * gone])
        assert (raised.value.missing, raised.value.have, raised.value.needed) == (LATELY, 0, 7)


def test_too_little_says_how_much_is_needed() -> None:
    """Steps that are not known do not count; with one more it is enough."""
    needed = needed_steps(14, DAYS)
    assert needed == 14 + 28 + 24
    for values in (week(6, needed - 1), [None] * 1000, [None] * 50 + week(6, needed - 1), []):
        with pytest.raises(TooLittleHistory, match=f"the {needed} steps") as raised:
            ahead(values)
        assert raised.value.missing == SAMPLES
    assert len(ahead(week(6, needed)).middle) == 14
    holes = [value if k % 3 == 0 else None for k, value in enumerate(week(6, needed))]
    with pytest.raises(TooLittleHistory):
        ahead(holes)


@given(st.integers(0, 500), st.sampled_from([(7,), (24, 168), (2,)]))
def test_the_longest_horizon_is_the_longest(steps: int, seasons: tuple[int, ...]) -> None:
    """So many steps ahead need no more history than there is, and one more would."""
    most = longest_horizon(steps, seasons)
    if most:
        assert needed_steps(most, seasons) <= steps
    assert needed_steps(most + 1, seasons) > steps


@pytest.mark.parametrize(
    ("horizon", "seasons", "step_s"), [(0, DAYS, 1.0), (1, (), 1.0), (1, (0,), 1.0), (1, DAYS, 0.0)]
)
def test_what_cannot_be_is_refused(horizon: int, seasons: tuple[int, ...], step_s: float) -> None:
    """No steps, no season, no length."""
    with pytest.raises(ValueError, match="above zero"):
        forecast(week(7, 300), start_ms=0, step_s=step_s, horizon=horizon, seasons=seasons)
    with pytest.raises(ValueError, match="infinite"):
        ahead([*week(7, 300), float("inf")])


@st.composite
def series(draw: st.DrawFn) -> list[float | None]:
    """Days of some pool, with gaps."""
    chance = np.random.default_rng(draw(st.integers(0, 2**16)))
    values = week(
        draw(st.integers(0, 2**16)),
        draw(st.integers(80, 260)),
        noise=draw(st.floats(0.5, 60)),
        growth=draw(st.floats(-1, 1)),
    )
    gaps = draw(st.floats(0, 0.3))
    return [value if chance.random() >= gaps else None for value in values]


@given(series())
@settings(max_examples=12, deadline=None)
def test_the_middle_lies_within_and_the_same_history_has_the_same_answer(
    values: list[float | None],
) -> None:
    """And nothing that is not known comes out as a number that it is not."""
    found = ahead(values)
    for low, middle, high in zip(found.lower, found.middle, found.upper, strict=True):
        assert low <= middle <= high
    assert np.isfinite(found.middle).all()
    assert np.isfinite(found.paths).all()
    assert 0 <= found.coverage <= 1
    assert (found.skill is None) == (found.reason is not Reason.SKILL)
    assert found == ahead(values)


@given(series(), st.sampled_from([0.25, 0.5, 2.0, 1024.0]), st.sampled_from([0.0, -64.0, 512.0]))
@settings(max_examples=12, deadline=None)
def test_another_unit_or_zero_changes_nothing(
    values: list[float | None], factor: float, zero: float
) -> None:
    """W or kW, and on top of a constant: the same forecast in that unit."""
    one = ahead(values)
    other = ahead([None if value is None else factor * value + zero for value in values])
    assert other.method == one.method
    for name in ("lower", "middle", "upper"):
        expected = [factor * value + zero for value in getattr(one, name)]
        assert getattr(other, name) == pytest.approx(expected, rel=1e-6, abs=1e-6 * factor)
    assert other.error == pytest.approx(factor * one.error, rel=1e-6)
    assert other.coverage == pytest.approx(one.coverage, abs=0.02)


@given(series(), st.floats(40, 90), st.floats(91, 140))
@settings(max_examples=8, deadline=None)
def test_bounds_that_are_known_are_kept(
    values: list[float | None], least: float, most: float
) -> None:
    """And what lies within them is what it would be without."""
    free = ahead(values)
    found = forecast(
        values,
        start_ms=0,
        step_s=24 * HOUR_S,
        horizon=14,
        seasons=DAYS,
        least=least,
        most=most,
    )
    for name in ("lower", "middle", "upper"):
        assert getattr(found, name) == pytest.approx(
            [min(max(value, least), most) for value in getattr(free, name)]
        )


def test_the_first_steps_are_narrower_than_the_last_of_what_wanders() -> None:
    """A random walk: less is known of later days."""
    chance = np.random.default_rng(8)
    found = ahead([float(value) for value in chance.standard_normal(400).cumsum()], horizon=28)
    widths = [high - low for low, high in zip(found.lower, found.upper, strict=True)]
    assert widths[0] < 0.5 * widths[-1]
    assert found.skill is not None


def test_missing_days_are_no_zeros() -> None:
    """A quarter of the days is gone: the forecast stays where the known ones are."""
    values = week(9, 400)
    holes = [None if k % 4 == 0 else value for k, value in enumerate(values)]
    assert ahead(holes).middle == pytest.approx(ahead(values).middle, abs=8)


def test_real_load_has_skill_and_its_interval_holds(shared_data: Path) -> None:
    """A cluster's hours over a year, a week ahead, from eight origins."""
    found = rolled(load_series(shared_data)["google"], HOUR_S, 168, (24, 168), 8)
    assert found.error < 0.7 * found.naive_error
    assert 0.7 < found.coverage < 0.9


def test_real_gpus_are_covered_and_no_skill_is_claimed_that_is_not_there(
    shared_data: Path,
) -> None:
    """Days of three servers together, four weeks ahead."""
    days = daily(power_series(shared_data)["the three together"])
    found = rolled(days, 24 * HOUR_S, 28, DAYS, 20)
    assert 0.7 < found.coverage < 0.92
    assert found.error < 1.02 * found.naive_error


def test_a_file_that_repeats_one_week_is_seen_through(shared_data: Path) -> None:
    """The load of the other cluster is one week, 53 times."""
    values = load_series(shared_data)["alibaba 1"]
    found = forecast(values, start_ms=0, step_s=HOUR_S, horizon=24, seasons=(24, 168))
    assert found.reason is Reason.REPEATS
    assert (found.method, found.season) == ("seasonal_naive", 168)
