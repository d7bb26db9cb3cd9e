"""From readings to amounts per interval."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_models.counters import Dial
from jauge_models.intervals import (
    Basis,
    Flag,
    Grade,
    Interval,
    Point,
    Replacement,
    from_amounts,
    from_power,
    from_register,
    grid,
    merged,
    ordered,
    worst,
)

HOUR = 3_600_000
MINUTE = 60_000

Method = Callable[[Sequence[Point], int, int], Interval]


def power(points: Sequence[Point], start: int, end: int) -> Interval:
    """Integrated power with three minutes as the longest gap."""
    return from_power(points, start, end, max_gap_ms=3 * MINUTE)


def register(points: Sequence[Point], start: int, end: int) -> Interval:
    """A register that wraps at 1 000, with one declared replacement."""
    return from_register(
        points,
        start,
        end,
        dial=Dial(modulus=1000.0, rating=1.0),
        max_gap_ms=3 * MINUTE,
        replacements=(Replacement(31 * MINUTE, final=500.0, first=3.0),),
    )


def counter(points: Sequence[Point], start: int, end: int) -> Interval:
    """A device counter that may not bridge more than ten minutes."""
    return from_register(
        points,
        start,
        end,
        dial=Dial(modulus=1000.0, rating=1.0),
        max_gap_ms=3 * MINUTE,
        bridge_ms=10 * MINUTE,
        basis=Basis.COUNTER,
    )


def amounts(points: Sequence[Point], start: int, end: int) -> Interval:
    """Totals of five minutes each."""
    return from_amounts(points, start, end, period_ms=5 * MINUTE)


METHODS: list[Method] = [power, register, counter, amounts]
methods = pytest.mark.parametrize("method", METHODS)

point_lists = st.lists(
    st.builds(Point, st.integers(0, 70 * MINUTE), st.integers(0, 999).map(float)), max_size=25
)
moments = st.integers(0, 70 * MINUTE)


def value(interval: Interval) -> float:
    """The amount for adding up, where not covered nothing."""
    return 0.0 if interval.amount is None else interval.amount


@methods
@given(point_lists, st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(
    method: Method, points: list[Point], chance: Random
) -> None:
    """Points shuffled and given twice make the same interval, field by field."""
    other = [*points, *points]
    chance.shuffle(other)
    assert method(other, 10 * MINUTE, HOUR) == method(points, 10 * MINUTE, HOUR)


@methods
@given(point_lists, st.sets(moments, min_size=2, max_size=6))
def test_adjacent_intervals_add_up_to_the_whole(
    method: Method, points: list[Point], bounds: set[int]
) -> None:
    """Cut anywhere, as often as wished: amounts add up to rounding, covered time exactly."""
    cuts = sorted(bounds)
    whole = method(points, cuts[0], cuts[-1])
    parts = [method(points, a, b) for a, b in pairwise(cuts)]
    assert sum(map(value, parts)) == pytest.approx(value(whole), rel=1e-9, abs=1e-6)
    assert sum(part.covered_ms for part in parts) == whole.covered_ms
    joined = merged(parts)
    assert (joined.amount is None) == (whole.amount is None)
    assert joined.covered_ms == whole.covered_ms


@methods
@given(point_lists, moments, moments)
def test_coverages_lie_between_nothing_and_everything(
    method: Method, points: list[Point], one: int, other: int
) -> None:
    """0 <= profile coverage <= coverage <= 1, and an amount exactly where something is covered."""
    start, end = min(one, other), max(one, other) + 1
    found = method(points, start, end)
    assert 0 <= found.profile_coverage <= found.coverage <= 1
    assert (found.amount is None) == (found.covered_ms == 0)


@methods
@given(point_lists)
def test_nothing_near_the_interval_gives_no_amount(method: Method, points: list[Point]) -> None:
    """Readings that all lie before the interval say nothing about it: missing is never zero."""
    found = method(points, 80 * MINUTE, 90 * MINUTE)
    assert found.amount is None
    assert found.coverage == 0


@given(st.lists(st.tuples(st.integers(1, 600), st.integers(0, 900)), min_size=1, max_size=30))
def test_a_wrapped_register_equals_its_unwrapped_twin(steps: list[tuple[int, int]]) -> None:
    """A dial of 1 000 that goes round gives the amounts and coverage of one without end.

    Each step takes 1 to 600 s and lets up to its rating of 1 000 a second, less one turn, flow.
    """
    time_ms, total = 0, 0
    endless, wrapping = [Point(0, 0.0)], [Point(0, 0.0)]
    for seconds, flowed in steps:
        time_ms += seconds * 1000
        total += flowed
        endless.append(Point(time_ms, float(total)))
        wrapping.append(Point(time_ms, float(total % 1000)))
    for start, end in ((0, time_ms), (time_ms // 3, time_ms), (0, time_ms // 2 + 1)):
        plain = from_register(endless, start, end, dial=Dial(), max_gap_ms=3 * MINUTE)
        turned = from_register(
            wrapping,
            start,
            end,
            dial=Dial(modulus=1000.0, rating=1000.0),
            max_gap_ms=3 * MINUTE,
        )
        assert turned.amount == pytest.approx(plain.amount)
        assert turned.covered_ms == plain.covered_ms
        assert turned.profile_ms == plain.profile_ms


@given(point_lists, st.floats(0, 500), st.floats(0, 500))
def test_power_is_linear(points: list[Point], factor: float, offset: float) -> None:
    """Scaled and shifted power gives scaled energy plus the shift over the covered time."""
    changed = [Point(p.time_ms, p.value * factor + offset) for p in ordered(points)]
    one, other = power(points, 0, HOUR), power(changed, 0, HOUR)
    assert other.covered_ms == one.covered_ms
    expected = value(one) * factor + offset * one.covered_ms / 1000
    assert value(other) == pytest.approx(expected, rel=1e-9, abs=1e-3)


def test_power_is_integrated_by_trapezoid() -> None:
    """100 W rising to 200 W within 60 s: (100 + 200) / 2 × 60 = 9 000 J.

    The first half alone: from 100 to 150 W, 125 × 30 = 3 750 J.
    """
    points = [Point(0, 100.0), Point(MINUTE, 200.0)]
    assert power(points, 0, MINUTE).amount == pytest.approx(9000)
    assert power(points, 0, 30_000).amount == pytest.approx(3750)


def test_samples_further_apart_than_the_gap_leave_a_hole() -> None:
    """100 W at 0, 60 s, 300 s, 360 s with a gap of 180 s: 2 × 6 000 J over 120 of 360 s."""
    points = [Point(t * 1000, 100.0) for t in (0, 60, 300, 360)]
    found = power(points, 0, 360_000)
    assert found.amount == pytest.approx(12_000)
    assert found.covered_ms == 120_000
    assert found.coverage == pytest.approx(1 / 3)


def test_nothing_is_held_after_the_last_sample() -> None:
    """One sample covers nothing, however short the interval."""
    assert power([Point(0, 100.0)], 0, 1000).amount is None


def test_samples_outside_serve_the_bounds() -> None:
    """Samples at -30 s and +30 s of 100 W around a bound at 0: the 30 s after it are covered."""
    points = [Point(970_000, 100.0), Point(1_030_000, 100.0)]
    found = power(points, 1_000_000, 1_030_000)
    assert found.amount == pytest.approx(3000)
    assert found.coverage == 1


def test_power_fed_back_is_negative_energy() -> None:
    """-50 W for 60 s are -3 000 J, and they are covered."""
    found = power([Point(0, -50.0), Point(MINUTE, -50.0)], 0, MINUTE)
    assert found.amount == pytest.approx(-3000)
    assert found.coverage == 1


def test_a_true_zero_is_an_amount() -> None:
    """0 W for a minute is 0 J, covered; that is not the same as no reading."""
    found = power([Point(0, 0.0), Point(MINUTE, 0.0)], 0, MINUTE)
    assert found.amount == 0
    assert found.coverage == 1


def test_two_register_readings_cover_all_between_them() -> None:
    """From 100 to 900 over eight hours: the third hour takes 100 of the 800, split linearly.

    Its bounds were not read: coverage 1, profile coverage 0, bridged.
    """
    points = [Point(0, 100.0), Point(8 * HOUR, 900.0)]
    found = from_register(points, 2 * HOUR, 3 * HOUR, dial=Dial(), max_gap_ms=3 * MINUTE)
    assert found.amount == pytest.approx(100)
    assert (found.coverage, found.profile_coverage) == (1, 0)
    assert found.flags == {Flag.BRIDGED}
    assert (found.opening, found.closing) == (points[0], points[1])
    assert (found.basis, found.grade) == (Basis.REGISTER, Grade.HIGH)


def test_a_register_read_at_both_bounds_has_its_profile() -> None:
    """Read exactly at 0 and at 15 min, with nothing between: covered, and so is its profile."""
    points = [Point(0, 10.0), Point(15 * MINUTE, 25.0)]
    found = from_register(points, 0, 15 * MINUTE, dial=Dial(), max_gap_ms=3 * MINUTE)
    assert found.amount == 15
    assert (found.coverage, found.profile_coverage) == (1, 1)


def test_a_device_counter_does_not_bridge_more_than_it_may() -> None:
    """Readings 11 min apart, with 10 allowed: it may have wrapped unseen, so nothing is known."""
    assert counter([Point(0, 10.0), Point(11 * MINUTE, 20.0)], 0, 11 * MINUTE).amount is None
    assert counter([Point(0, 10.0), Point(10 * MINUTE, 20.0)], 0, 10 * MINUTE).amount == 10


def test_a_meter_replaced_in_the_middle_loses_nothing() -> None:
    """Old meter 980 → 995 (final), new meter 2 (first) → 7: 15 + 5 = 20.

    Readings at 0 and 60 min, the change at 30 min.
    """
    points = [Point(0, 980.0), Point(HOUR, 7.0)]
    change = Replacement(HOUR // 2, final=995.0, first=2.0)
    found = from_register(
        points, 0, HOUR, dial=Dial(), max_gap_ms=3 * MINUTE, replacements=(change,)
    )
    assert found.amount == pytest.approx(20)
    assert found.coverage == 1
    assert Flag.REPLACED in found.flags


def test_a_meter_replaced_twice_between_two_readings() -> None:
    """100 → 110, 0 → 4, 50 → 56: 10 + 4 + 6 = 20, in whichever order the changes are declared."""
    points = [Point(0, 100.0), Point(HOUR, 56.0)]
    changes = (
        Replacement(20 * MINUTE, final=110.0, first=0.0),
        Replacement(40 * MINUTE, final=4.0, first=50.0),
    )
    for declared in (changes, changes[::-1]):
        found = from_register(
            points, 0, HOUR, dial=Dial(), max_gap_ms=3 * MINUTE, replacements=declared
        )
        assert found.amount == pytest.approx(20)


def test_a_replacement_read_at_its_own_moment() -> None:
    """The new meter's first index is also read at the moment of the change: 980 → 995, then 2."""
    points = [Point(0, 980.0), Point(HOUR // 2, 2.0), Point(HOUR, 7.0)]
    change = Replacement(HOUR // 2, final=995.0, first=2.0)
    found = from_register(
        points, 0, HOUR, dial=Dial(), max_gap_ms=3 * MINUTE, replacements=(change,)
    )
    assert found.amount == pytest.approx(20)


def test_an_undeclared_restart_leaves_the_time_around_it_uncovered() -> None:
    """10 → 20, restart, 1 → 6: 10 + 5 over two of three hours; the hour between is unknown."""
    points = [Point(0, 10.0), Point(HOUR, 20.0), Point(2 * HOUR, 1.0), Point(3 * HOUR, 6.0)]
    found = from_register(points, 0, 3 * HOUR, dial=Dial(), max_gap_ms=3 * MINUTE)
    assert found.amount == 15
    assert found.covered_ms == 2 * HOUR
    assert Flag.RESET in found.flags


def test_a_jump_of_the_index_is_not_believed() -> None:
    """A dial rated 1 a second goes up by 5 000 within an hour: suspended there, flagged."""
    points = [Point(0, 10.0), Point(HOUR, 5010.0), Point(2 * HOUR, 5020.0)]
    found = from_register(points, 0, 2 * HOUR, dial=Dial(rating=1.0), max_gap_ms=3 * MINUTE)
    assert found.amount == 10
    assert found.covered_ms == HOUR
    assert Flag.JUMP in found.flags


def test_amounts_belong_to_the_hour_that_ends_at_their_stamp() -> None:
    """5 at 01:00 and 7 at 02:00: the first hour has 5, the second 7, half of each is 6."""
    points = [Point(HOUR, 5.0), Point(2 * HOUR, 7.0)]
    hour = [
        from_amounts(points, at * HOUR, (at + 1) * HOUR, period_ms=HOUR).amount for at in range(3)
    ]
    assert hour == [5.0, 7.0, None]
    across = from_amounts(points, HOUR // 2, HOUR + HOUR // 2, period_ms=HOUR)
    assert across.amount == pytest.approx(6)
    assert (across.coverage, across.profile_coverage) == (1, 0)


def test_a_missing_hour_is_a_hole() -> None:
    """Two of three hours: what is covered, never scaled up."""
    found = from_amounts([Point(HOUR, 5.0), Point(3 * HOUR, 7.0)], 0, 3 * HOUR, period_ms=HOUR)
    assert found.amount == 12
    assert found.coverage == pytest.approx(2 / 3)


def test_of_two_values_at_one_time_the_larger_counts() -> None:
    """As in the store, so that a replay gives the same rows."""
    assert ordered([Point(1, 5.0), Point(1, 7.0), Point(0, 1.0), Point(1, 6.0)]) == [
        Point(0, 1.0),
        Point(1, 7.0),
    ]


def test_only_adjacent_parts_can_be_merged() -> None:
    """A gap or an empty list between parts is an error of the caller."""
    part = power([Point(0, 1.0), Point(MINUTE, 1.0)], 0, MINUTE)
    with pytest.raises(ValueError, match="follow"):
        merged([part, part])
    with pytest.raises(ValueError, match="no parts"):
        merged([])


def test_a_sum_has_the_grade_of_its_weakest_part() -> None:
    """High and low make low; nothing at all is low."""
    assert worst([Grade.HIGH, Grade.MEDIUM]) is Grade.MEDIUM
    assert worst([Grade.LOW, Grade.HIGH]) is Grade.LOW
    assert worst([]) is Grade.LOW


@given(
    st.integers(-10 * HOUR, 10 * HOUR), st.integers(1, 10 * HOUR), st.sampled_from([MINUTE, HOUR])
)
def test_the_grid_covers_its_span_and_stands_on_the_clock(
    start: int, length: int, step: int
) -> None:
    """Starts are multiples of the step, and the span lies within the intervals, none to spare."""
    starts = list(grid(start, start + length, step))
    assert all(at % step == 0 for at in starts)
    assert starts[0] <= start < starts[0] + step
    assert starts[-1] < start + length <= starts[-1] + step
    assert all(b - a == step for a, b in pairwise(starts))


@pytest.mark.parametrize("at_the_change", [5.0, 100.0])
def test_a_replacement_on_a_tick_loses_nothing(at_the_change: float) -> None:
    """Ticks fall on whole minutes, and so do replacements: the reading there is either dial's.

    Old dial 3 to 5, new dial 100 to 104: 2 + 4 = 6, whichever of the two was read at the change.
    """
    points = [Point(0, 3.0), Point(HOUR, at_the_change), Point(2 * HOUR, 104.0)]
    change = Replacement(HOUR, final=5.0, first=100.0)
    found = from_register(points, 0, 2 * HOUR, dial=Dial(), max_gap_ms=HOUR, replacements=[change])
    assert (found.amount, found.coverage) == (6.0, 1.0)
    assert Flag.REPLACED in found.flags
    assert not found.flags & {Flag.JUMP, Flag.RESET}
