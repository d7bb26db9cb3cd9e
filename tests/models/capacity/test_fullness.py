"""When it is full: against what the draws must come to."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_models.capacity.forecast import Forecast, Reason, forecast
from jauge_models.capacity.fullness import Limit, days_to_full

DAY_S = 86400.0


def growing(
    slope: float = 1.0, spread: float = 10.0, *, days: int = 100, last: float | None = 0.0
) -> Forecast:
    """From 0, ``slope`` a day; the paths lie evenly within ``spread`` on both sides of it."""
    middle = tuple(slope * day for day in range(days))
    offsets = [spread * (k - 10) / 10 for k in range(21)]
    return Forecast(
        start_ms=0,
        step_s=DAY_S,
        middle=middle,
        lower=tuple(value - spread for value in middle),
        upper=tuple(value + spread for value in middle),
        method="seasonal_trend",
        skill=0.3,
        coverage=0.8,
        error=1.0,
        naive_error=1.5,
        origins=21,
        reason=Reason.SKILL,
        last=last,
        paths=tuple(tuple(value + offset for value in middle) for offset in offsets),
    )


def test_days_are_those_of_the_paths() -> None:
    """The limit of 50 is reached on day 50, and ten days sooner or later."""
    (found,) = days_to_full({Limit.GPUS: growing()}, {Limit.GPUS: 50.0})
    assert found.days_50 == pytest.approx(50, abs=1.5)
    assert found.days_10 == pytest.approx(42, abs=1.5)
    assert found.days_90 == pytest.approx(58, abs=1.5)
    assert found.probability == 1
    assert (found.horizon_days, found.method, found.skill, found.of) == (
        100,
        "seasonal_trend",
        0.3,
        50,
    )


def test_what_may_not_fill_has_no_days_for_what_is_unlikely() -> None:
    """At 104 only the upper third of the paths is full within 100 days."""
    (found,) = days_to_full({Limit.RACK_POWER: growing()}, {Limit.RACK_POWER: 104.0})
    assert found.probability == pytest.approx(6 / 21, abs=0.04)
    assert found.days_10 is not None
    assert found.days_50 is None
    assert found.days_90 is None


def test_what_is_full_already_is_full_today() -> None:
    """Whatever is said of tomorrow."""
    (found,) = days_to_full({Limit.BREAKER: growing(last=200.0)}, {Limit.BREAKER: 150.0})
    assert (found.days_10, found.days_50, found.days_90, found.probability) == (0, 0, 0, 1)


def test_what_is_not_known_of_today_is_not_full_today() -> None:
    """What was longer ago than a day says nothing of now."""
    (found,) = days_to_full({Limit.BREAKER: growing(last=None)}, {Limit.BREAKER: 150.0})
    assert found.probability == 0
    assert found.days_10 is None


def test_the_likeliest_is_first_and_one_without_a_forecast_is_left_out() -> None:
    """Room cooling is tighter than GPUs; of GPU memory nothing is known."""
    found = days_to_full(
        {Limit.GPUS: growing(), Limit.ROOM_COOLING: growing(2.0)},
        {Limit.GPUS: 60.0, Limit.GPU_MEMORY: 1.0, Limit.ROOM_COOLING: 60.0},
    )
    assert [each.limit for each in found] == [Limit.ROOM_COOLING, Limit.GPUS]
    assert found[0].days_50 == pytest.approx(30, abs=1.5)


def test_hours_are_parts_of_days() -> None:
    """The same path by the hour."""
    hours = msgspec.structs.replace(growing(), step_s=3600.0)
    (found,) = days_to_full({Limit.GPUS: hours}, {Limit.GPUS: 48.0})
    assert found.days_50 == pytest.approx(2, abs=0.1)


@given(st.floats(-50, 250), st.floats(0, 100), st.integers(0, 2**32), st.floats(0.1, 3))
@settings(max_examples=50)
def test_a_higher_limit_is_reached_later_and_less_likely(
    limit: float, more: float, seed: int, slope: float
) -> None:
    """Of the same draws; the days are in order and the same seed has the same answer."""
    ahead = {Limit.GPUS: growing(slope)}
    (low,) = days_to_full(ahead, {Limit.GPUS: limit}, draws=300, seed=seed)
    (high,) = days_to_full(ahead, {Limit.GPUS: limit + more}, draws=300, seed=seed)
    assert high.probability <= low.probability
    for sooner, later in (
        (low.days_10, high.days_10),
        (low.days_50, high.days_50),
        (low.days_10, low.days_50),
        (low.days_50, low.days_90),
    ):
        assert later is None or (sooner is not None and sooner <= later)
    assert (low.days_50 is not None) == (low.probability >= 0.5)
    assert (low,) == days_to_full(ahead, {Limit.GPUS: limit}, draws=300, seed=seed)


def test_draws_without_paths_are_refused() -> None:
    """A forecast that was stripped for a file cannot be played out."""
    bare = msgspec.structs.replace(growing(), paths=())
    with pytest.raises(ValueError, match="no paths"):
        days_to_full({Limit.GPUS: bare}, {Limit.GPUS: 1.0})
    with pytest.raises(ValueError, match="at least one"):
        days_to_full({Limit.GPUS: growing()}, {Limit.GPUS: 1.0}, draws=0)


def test_a_line_without_noise_is_full_when_it_gets_there() -> None:
    """One early miss of the back-test makes no others of the same size."""
    line = [100.0 + day for day in range(300)]
    ahead = forecast(line, start_ms=0, step_s=86_400.0, horizon=100, seasons=(7,))
    (full,) = days_to_full({Limit.GPUS: ahead}, {Limit.GPUS: 441.0})
    assert full.days_50 == pytest.approx(41.0, abs=3.0)
    assert full.days_90 is None or full.days_90 >= 38.0
