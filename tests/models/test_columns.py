"""Columns of readings: what is worked out of them is what the plain definitions say, bit for bit.

The definitions here look at every pair of readings and know no columns.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_models.counters import WRAP_MARGIN, Dial
from jauge_models.intervals import (
    Basis,
    Flag,
    Grade,
    Interval,
    Point,
    Points,
    Replacement,
    from_amounts,
    from_power,
    from_register,
    ordered,
)

MINUTE = 60_000
GAP_MS = 3 * MINUTE
BRIDGE_MS = 10 * MINUTE
PERIOD_MS = 5 * MINUTE
DIAL = Dial(modulus=1000.0, rating=2.0, resolution=0.5)
REPLACED = Replacement(31 * MINUTE, final=500.0, first=3.0)


def by_time(points: Sequence[Point]) -> list[Point]:
    """Each time once, with the largest of its values."""
    times = sorted({point.time_ms for point in points})
    return [Point(t, max(p.value for p in points if p.time_ms == t)) for t in times]


def near(points: Sequence[Point], start: int, end: int) -> Iterator[tuple[Point, Point, int, int]]:
    """Pairs of readings that share time with [start, end), and what they share of it."""
    for before, after in pairwise(by_time(points)):
        a, b = max(before.time_ms, start), min(after.time_ms, end)
        if a < b:
            yield before, after, a, b


def plain_power(points: Sequence[Point], start: int, end: int) -> Interval:
    """The line between each two samples no further apart than the gap."""
    energy, covered = 0.0, 0
    for (t0, p0), (t1, p1), a, b in near(points, start, end):
        if t1 - t0 <= GAP_MS:
            slope = (p1 - p0) / (t1 - t0)
            energy += (p0 + slope * ((a + b) / 2 - t0)) * (b - a) / 1000
            covered += b - a
    amount = energy if covered else None
    return Interval(start, end, amount, covered, covered, Basis.POWER, Grade.MEDIUM)


def plain_counter(points: Sequence[Point], start: int, end: int) -> Interval:
    """The advance, or the turn of the dial, between each two readings near enough, linearly."""
    amount, covered, bounds = 0.0, 0, 0
    flags: set[Flag] = set()
    for (t0, v0), (t1, v1), a, b in near(points, start, end):
        gap = t1 - t0
        if gap > BRIDGE_MS:
            continue
        assert DIAL.rating is not None
        assert DIAL.modulus is not None
        most = DIAL.rating * WRAP_MARGIN * (gap / 1000) + DIAL.resolution
        flowed = v1 - v0
        if v1 < v0:
            flowed = DIAL.modulus - v0 + v1
            flags.add(Flag.WRAPPED if flowed <= most else Flag.RESET)
        elif flowed > most:
            flags.add(Flag.JUMP)
        if flowed > most:
            continue
        amount += flowed * (b - a) / gap
        covered += b - a
        close = gap <= GAP_MS
        if not close:
            flags.add(Flag.BRIDGED)
        bounds += t0 == start or (t0 < start and close)
        bounds += t1 == end or (t1 > end and close)
    every = by_time(points)
    before = [point for point in every if point.time_ms <= start] or every[:1]
    after = [point for point in every if point.time_ms >= end] or every[-1:]
    return Interval(
        start,
        end,
        amount if covered else None,
        covered,
        covered if bounds == 2 else 0,
        Basis.COUNTER,
        Grade.MEDIUM,
        opening=before[-1] if covered else None,
        closing=after[0] if covered else None,
        flags=frozenset(flags),
    )


def plain_amounts(points: Sequence[Point], start: int, end: int) -> Interval:
    """Each total over the period before it, from the end of the one before at the earliest."""
    amount, covered, aligned = 0.0, 0, True
    every = by_time(points)
    for before, (time_ms, value) in zip([None, *every], every, strict=False):
        begin = time_ms - PERIOD_MS
        if before is not None:
            begin = max(begin, before.time_ms)
        a, b = max(begin, start), min(time_ms, end)
        if a < b:
            aligned = aligned and (a, b) == (begin, time_ms)
            amount += value * (b - a) / PERIOD_MS
            covered += b - a
    return Interval(
        start,
        end,
        amount if covered else None,
        covered,
        covered if aligned else 0,
        Basis.AMOUNT,
        Grade.HIGH,
    )


def power(points: Sequence[Point], start: int, end: int) -> Interval:
    """By columns."""
    return from_power(points, start, end, max_gap_ms=GAP_MS)


def counter(points: Sequence[Point], start: int, end: int) -> Interval:
    """By columns."""
    return from_register(
        points,
        start,
        end,
        dial=DIAL,
        max_gap_ms=GAP_MS,
        bridge_ms=BRIDGE_MS,
        basis=Basis.COUNTER,
    )


def replaced(points: Sequence[Point], start: int, end: int) -> Interval:
    """By columns, of a meter that was replaced once."""
    return from_register(points, start, end, dial=DIAL, max_gap_ms=GAP_MS, replacements=(REPLACED,))


def amounts(points: Sequence[Point], start: int, end: int) -> Interval:
    """By columns."""
    return from_amounts(points, start, end, period_ms=PERIOD_MS)


Method = Callable[[Sequence[Point], int, int], Interval]

ways = pytest.mark.parametrize(
    ("columns", "plain"),
    [(power, plain_power), (counter, plain_counter), (amounts, plain_amounts)],
)

moments = st.integers(0, 70 * MINUTE) | st.integers(0, 70).map(lambda at: at * MINUTE)
values = st.integers(0, 999).map(float) | st.floats(0, 999)
point_lists = st.lists(st.builds(Point, moments, values), max_size=25)


def series(random: Random) -> list[Point]:
    """A counter or a gauge, with holes, repetitions, turns of the dial and restarts, shuffled."""
    time_ms, total = random.randrange(5 * MINUTE), random.uniform(0, 999)
    points: list[Point] = []
    step_ms = random.choice((1000, 10_000, MINUTE))
    while time_ms < 70 * MINUTE:
        points.append(Point(time_ms, round(total, 3)))
        if random.random() < 0.05:
            points.append(Point(time_ms, round(random.uniform(0, 999), 3)))
        hole_ms = random.choice((2 * MINUTE, 4 * MINUTE, 12 * MINUTE))
        elapsed = hole_ms if random.random() < 0.05 else step_ms + random.randrange(-300, 300)
        time_ms += elapsed
        total = (total + random.uniform(0, 2) * elapsed / 1000) % 1000
        if random.random() < 0.02:
            total = 0.0
    random.shuffle(points)
    return points


def bounds(random: Random) -> tuple[int, int]:
    """An interval on the grid, or anywhere."""
    if random.random() < 0.5:
        start = random.randrange(0, 75, 15) * MINUTE
        return start, start + 15 * MINUTE
    start = random.randrange(75 * MINUTE)
    return start, start + random.randrange(1, 40 * MINUTE)


def same(one: Interval, other: Interval) -> bool:
    """Field by field, the amount to the last bit."""
    return one == other and repr(one.amount) == repr(other.amount)


@ways
@given(point_lists, moments, moments)
def test_few_readings_give_what_the_definition_says(
    columns: Method, plain: Method, points: list[Point], one: int, other: int
) -> None:
    """Of any readings, over any interval: hypothesis looks for those where they differ."""
    start, end = min(one, other), max(one, other) + 1
    assert same(columns(points, start, end), plain(points, start, end))


@ways
@pytest.mark.parametrize("seed", range(60))
def test_whole_series_give_what_the_definition_says(
    columns: Method, plain: Method, seed: int
) -> None:
    """Of an hour with holes, repetitions, wraps and restarts, in any order, and of its columns."""
    random = Random(seed)
    points = series(random)
    known = ordered(points)
    for _ in range(8):
        start, end = bounds(random)
        expected = plain(points, start, end)
        assert same(columns(points, start, end), expected)
        assert same(columns(known, start, end), expected)


@pytest.mark.parametrize("seed", range(40))
def test_only_what_is_near_matters(seed: int) -> None:
    """Columns give the same as the readings in the interval and the next one on each side."""
    random = Random(seed)
    known = ordered(series(random))
    start, end = bounds(random)
    inside = known[known.around(start, end)]
    for method in (power, counter, replaced, amounts):
        assert same(method(known, start, end), method(list(inside), start, end))


@given(point_lists)
def test_columns_are_the_points(points: list[Point]) -> None:
    """Length, places, slices, both directions and equality are those of the list of points."""
    known, expected = ordered(points), by_time(points)
    assert known == expected
    assert expected == known
    assert list(known) == expected
    assert list(reversed(known)) == expected[::-1]
    assert len(known) == len(expected)
    assert bool(known) == bool(expected)
    assert [known[at] for at in range(-len(known), len(known))] == expected * 2
    assert known[1:-1] == expected[1:-1]
    assert isinstance(known[1:-1], Points)
    assert all(type(point) is Point for point in known)
    assert ordered(known) is known
    assert known != [*expected, Point(71 * MINUTE, 0.0)]


def test_columns_of_unlike_length_are_refused() -> None:
    """A time without a value is a mistake of whoever made them."""
    with pytest.raises(ValueError, match="2 times of 1 values"):
        Points([1, 2], [3.0])


@given(point_lists, moments, moments)
def test_around_takes_the_next_reading_on_each_side(
    points: list[Point], one: int, other: int
) -> None:
    """A reading at a bound stands for that side; nothing further away is taken."""
    start, end = min(one, other), max(one, other) + 1
    known = ordered(points)
    times = known.times_ms
    low = max((t for t in times if t <= start), default=start)
    high = min((t for t in times if t >= end), default=end)
    assert times[known.around(start, end)] == [t for t in times if low <= t <= high]
