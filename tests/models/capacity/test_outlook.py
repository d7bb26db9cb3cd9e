"""What comes of limits and pools: as far as is known, never beyond what can be."""

import math
from random import Random

import pytest
from jauge_models.capacity.fullness import Limit
from jauge_models.capacity.history import LATELY
from jauge_models.capacity.outlook import (
    Counted,
    Measure,
    PoolHistory,
    UseHistory,
    outlook,
    pool_outlook,
)


def _daily(weeks: int, *, seed: int = 0) -> tuple[float, ...]:
    """Hours of a share that goes with the day, with some chance."""
    chance = Random(seed)
    return tuple(
        min(max(0.5 + 0.4 * math.sin(hour * math.tau / 24) + chance.gauss(0, 0.2), 0.0), 1.0)
        for hour in range(weeks * 168)
    )


def test_gpus_are_told_of_as_far_as_racks() -> None:
    """Half of what is known: 8 weeks let one look 9 days ahead, a year 166 at most."""
    known = {}
    for weeks in (8, 53):
        values = tuple(4 * part for part in _daily(weeks))
        found = outlook(
            UseHistory(
                limit=Limit.GPUS,
                place="G",
                start_ms=0,
                values=values,
                of=9.0,
                counted=Counted.AT_WORK,
            )
        )
        assert found.full is not None
        assert found.counted is Counted.AT_WORK
        known[weeks] = found.full.horizon_days
    assert known == {8: 9.0, 53: pytest.approx(166.0, abs=1.0)}


def test_a_year_that_begins_late_is_told_of_by_what_it_has() -> None:
    """GPUs that came two months ago: the time before is no history."""
    values = (None,) * (45 * 168) + _daily(8)
    found = outlook(UseHistory(limit=Limit.GPUS, start_ms=0, values=values, of=2.0))
    assert found.full is not None
    assert 5 <= found.full.horizon_days <= 9
    assert found.hours is not None


def test_a_breaker_has_days_and_no_hours() -> None:
    """Its hours are its rack's, and there may be hundreds of breakers."""
    values = tuple(1000 * part for part in _daily(20))
    found = outlook(UseHistory(limit=Limit.BREAKER, place="A", start_ms=0, values=values, of=990.0))
    assert (found.hours, found.too_little) == (None, None)
    assert found.full is not None
    assert found.full.probability > 0.9


@pytest.mark.parametrize("seed", range(3))
def test_activity_stays_between_nothing_and_all(seed: int) -> None:
    """Middle and bounds of every hour; power has no such end."""
    busy = _daily(8, seed=seed)
    found = pool_outlook(PoolHistory(pool="G", measure=Measure.ACTIVITY, start_ms=0, values=busy))
    assert found.hours is not None
    for low, middle, high in zip(
        found.hours.lower, found.hours.middle, found.hours.upper, strict=True
    ):
        assert 0 <= low <= middle <= high <= 1
    watts = pool_outlook(
        PoolHistory(
            pool="G", measure=Measure.POWER, start_ms=0, values=tuple(5 * part for part in busy)
        )
    )
    assert watts.hours is not None
    assert max(watts.hours.upper) > 1
    assert watts.hours.paths == ()


def test_hours_of_gpus_end_at_all_of_them() -> None:
    """Nobody is told of a fifth GPU of four; a rack may well draw more than it should."""
    values = tuple(min(4.0, 5 * part) for part in _daily(8))
    for limit, is_end in ((Limit.GPUS, True), (Limit.GPU_MEMORY, True), (Limit.RACK_POWER, False)):
        found = outlook(UseHistory(limit=limit, start_ms=0, values=values, of=4.0))
        assert found.hours is not None
        assert (max(found.hours.upper) <= 4.0) is is_end


def test_a_limit_that_was_full_and_was_not_heard_of_since_is_not_full_now() -> None:
    """A week of it unknown: nothing is told, and why; some days: what may come is."""
    values = (*_daily(20)[:-1], 1.0)
    for gone in (60, 7):
        silent = UseHistory(
            limit=Limit.GPUS, start_ms=0, values=(*values, *[None] * gone * 24), of=1.0
        )
        found = outlook(silent)
        assert (found.full, found.hours) == (None, None)
        assert found.too_few_days is not None
        assert found.too_little is not None
        assert (found.too_few_days.missing, found.too_few_days.needed) == (LATELY, 7)
        assert (found.too_little.missing, found.too_little.needed) == (LATELY, 168)
    quiet = tuple(part / 4 for part in values[:-24]) + (1.0,) * 24
    some = (*quiet, *[None] * 48)
    found = outlook(UseHistory(limit=Limit.GPUS, start_ms=0, values=some, of=1.0))
    assert found.full is not None
    assert found.full.days_90 != 0
    assert found.hours is not None
    assert found.hours.last is None


def test_too_little_of_a_pool_is_said() -> None:
    """With how many hours there are, and how many are needed."""
    found = pool_outlook(
        PoolHistory(pool="G", measure=Measure.POWER, start_ms=0, values=(1.0,) * 100)
    )
    assert found.hours is None
    assert found.too_little is not None
    assert found.too_little.have == 100
