"""From readings to amounts per interval: energy, water or heat, with what proves them.

All functions are pure and take points in any order, repeated or not: the result depends on the
set of points alone. Adjacent intervals add up to the interval that spans them. Of `Points` only
those near the interval are looked at.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise, repeat
from typing import Final, NamedTuple, overload

import msgspec

from jauge_models.counters import Dial, Step, difference


class Point(NamedTuple):
    """One reading of a series, without its identity."""

    time_ms: int
    value: float


_NEW_POINT: Final[Callable[[type[Point], tuple[int, float]], Point]] = tuple.__new__
"""A point without a call of Python's."""


class Points(Sequence[Point]):
    """Readings of one series in time order, each time once, as two columns.

    A sequence of points to whoever asks for one; no object is kept for each reading, and
    arithmetic walks along the columns. Its maker answers for the order, and changes nothing later.
    Raises ValueError where the columns are not of one length.
    """

    __slots__ = ("times_ms", "values")

    def __init__(self, times_ms: list[int], values: list[float]) -> None:
        if len(times_ms) != len(values):
            raise ValueError(f"{len(times_ms)} times of {len(values)} values")
        self.times_ms = times_ms
        self.values = values

    def __len__(self) -> int:
        return len(self.times_ms)

    @overload
    def __getitem__(self, at: int) -> Point: ...

    @overload
    def __getitem__(self, at: slice) -> "Points": ...

    def __getitem__(self, at: int | slice) -> "Point | Points":
        if isinstance(at, slice):
            return Points(self.times_ms[at], self.values[at])
        return Point(self.times_ms[at], self.values[at])

    def __iter__(self) -> Iterator[Point]:
        return map(_NEW_POINT, repeat(Point), zip(self.times_ms, self.values, strict=True))

    def __eq__(self, other: object) -> bool:
        """As a list of the same points would be; of any sequence of them."""
        if isinstance(other, Points):
            return self.times_ms == other.times_ms and self.values == other.values
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as a list's

    def __repr__(self) -> str:
        return f"Points({self.times_ms!r}, {self.values!r})"

    def around(self, start_ms: int, end_ms: int) -> slice:
        """Where the readings in a span are, with the next ones on both sides where there are any.

        A reading at a bound is the next one on its side.
        """
        first = max(bisect_right(self.times_ms, start_ms) - 1, 0)
        return slice(first, min(bisect_left(self.times_ms, end_ms) + 1, len(self.times_ms)))


class Basis(StrEnum):
    """How an amount was obtained, best first: the order in which the ledger prefers them."""

    REGISTER = "register"
    AMOUNT = "amount"
    COUNTER = "counter"
    POWER = "power"
    SHARE = "share"
    """A guest's part of what its host was measured to draw."""
    ATTESTED = "attested"
    ESTIMATE = "estimate"


class Grade(StrEnum):
    """How far an amount may be trusted: a meter's register, a device, or an estimate."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 for the best."""
        return (Grade.HIGH, Grade.MEDIUM, Grade.LOW).index(self)


def worst(grades: Iterable[Grade]) -> Grade:
    """The grade of a sum: that of its weakest part; LOW when there is none."""
    found: Grade | None = None
    for grade in grades:
        if grade is _LOW:
            return grade
        if found is None or grade is _MEDIUM:
            found = grade
    return found or _LOW


_MEDIUM: Final = Grade.MEDIUM
_LOW: Final = Grade.LOW


GRADE_OF: Final = {
    Basis.REGISTER: Grade.HIGH,
    Basis.AMOUNT: Grade.HIGH,
    Basis.COUNTER: Grade.MEDIUM,
    Basis.POWER: Grade.MEDIUM,
    Basis.SHARE: Grade.MEDIUM,
    Basis.ATTESTED: Grade.MEDIUM,
    Basis.ESTIMATE: Grade.LOW,
}


class Flag(StrEnum):
    """What a reader of a row must know about it."""

    BRIDGED = "bridged"
    """A register spans a gap: the total is measured, its spread over time is assumed linear."""
    WRAPPED = "wrapped"
    RESET = "reset"
    JUMP = "jump"
    REPLACED = "replaced"
    SUSPENDED = "suspended"
    EVENT = "event"
    """A declared event made the meter blind for part of the interval."""
    CLOCK = "clock"
    """The agent's clock was wrong: the amount counts, when it flowed is uncertain."""
    COMPACTED = "compacted"
    """Shorter rows were made into this one and deleted; it is not computed again."""


class Interval(msgspec.Struct, frozen=True, gc=False):
    """What flowed through one meter between ``start_ms`` and ``end_ms`` (half-open).

    ``amount`` is in base units (J or m3) and covers ``covered_ms`` only: it is never scaled up.
    It is None when nothing was covered. ``profile_ms`` counts the covered time of which the
    interval's own bounds were read. ``opening`` and ``closing`` are the register readings that
    prove a register row.
    """

    start_ms: int
    end_ms: int
    amount: float | None
    covered_ms: int
    profile_ms: int
    basis: Basis
    grade: Grade
    opening: Point | None = None
    closing: Point | None = None
    flags: frozenset[Flag] = frozenset()

    @property
    def length_ms(self) -> int:
        """Length of the interval."""
        return self.end_ms - self.start_ms

    @property
    def coverage(self) -> float:
        """Measured time over time, from 0 to 1."""
        return self.covered_ms / self.length_ms

    @property
    def profile_coverage(self) -> float:
        """Like coverage, for charts and cross-checks: only where the own bounds were read."""
        return self.profile_ms / self.length_ms

    @property
    def is_comparable(self) -> bool:
        """Whether a cross-check may set it beside what another meter measured at the same time.

        Not where nothing was measured, nor where the agent's clock was wrong. Every comparison of
        two meters asks this of both sides.
        """
        return self.amount is not None and Flag.CLOCK not in self.flags


@dataclass(frozen=True, slots=True)
class Replacement:
    """A declared change of meter: the old one's last and the new one's first dial reading."""

    time_ms: int
    final: float
    first: float


def ordered(points: Iterable[Point]) -> Points:
    """Points by time, once each. Of two values at one time the larger stays, as in the store.

    `Points` are so already and are given back as they are.
    """
    if isinstance(points, Points):
        return points
    latest: dict[int, float] = {}
    for time_ms, value in points:
        known = latest.get(time_ms)
        latest[time_ms] = value if known is None else max(known, value)
    times_ms = sorted(latest)
    return Points(times_ms, [latest[time_ms] for time_ms in times_ms])


def from_power(
    points: Iterable[Point],
    start_ms: int,
    end_ms: int,
    *,
    max_gap_ms: int,
    basis: Basis = Basis.POWER,
) -> Interval:
    """Energy in J from power samples in W, by trapezoid between samples.

    Samples further apart than ``max_gap_ms`` leave the time between them uncovered: nothing is
    held over an absence. Samples outside the interval serve its bounds.
    """
    known = ordered(points)
    near = known.around(start_ms, end_ms)
    times, powers = known.times_ms[near], known.values[near]
    energy, covered = 0.0, 0
    for t0, t1, p0, p1 in zip(times, times[1:], powers, powers[1:], strict=False):
        gap = length = t1 - t0
        if gap > max_gap_ms:
            continue
        to_middle = gap / 2
        if t0 < start_ms or t1 > end_ms:
            a, b = max(t0, start_ms), min(t1, end_ms)
            to_middle, length = (a + b) / 2 - t0, b - a
        energy += (p0 + (p1 - p0) / gap * to_middle) * length / 1000
        covered += length
    return Interval(
        start_ms,
        end_ms,
        energy if covered else None,
        covered,
        covered,
        basis,
        GRADE_OF[basis],
    )


def from_register(
    points: Iterable[Point],
    start_ms: int,
    end_ms: int,
    *,
    dial: Dial,
    max_gap_ms: int,
    bridge_ms: int | None = None,
    replacements: Sequence[Replacement] = (),
    basis: Basis = Basis.REGISTER,
) -> Interval:
    """Amount from a running total, in its own unit.

    Two valid readings cover all time between them; across the interval's bounds the difference
    is split linearly. ``bridge_ms`` limits how far apart two readings may be (None: any gap, as
    a meter's register; a device counter that wraps unseen needs a limit). ``max_gap_ms`` is how
    close two readings around a bound must be for that bound to count as read.
    """
    known = ordered(points)
    near = known.around(start_ms, end_ms)
    amount, covered = 0.0, 0
    flags: set[Flag] = set()
    bounds_read = 0
    for before, after in pairwise(known[near]):
        gap = after.time_ms - before.time_ms
        if bridge_ms is not None and gap > bridge_ms:
            continue
        flowed, seen = _between(before, after, dial, replacements)
        flags |= seen
        if flowed is None:
            continue
        a, b = max(before.time_ms, start_ms), min(after.time_ms, end_ms)
        amount += flowed * (b - a) / gap
        covered += b - a
        close = gap <= max_gap_ms
        if not close:
            flags.add(Flag.BRIDGED)
        bounds_read += (before.time_ms <= start_ms) and (close or before.time_ms == start_ms)
        bounds_read += (after.time_ms >= end_ms) and (close or after.time_ms == end_ms)
    return Interval(
        start_ms,
        end_ms,
        amount if covered else None,
        covered,
        covered if bounds_read == 2 else 0,
        basis,
        GRADE_OF[basis],
        opening=known[near.start] if covered else None,
        closing=known[near.stop - 1] if covered else None,
        flags=frozenset(flags),
    )


def from_amounts(
    points: Iterable[Point], start_ms: int, end_ms: int, *, period_ms: int
) -> Interval:
    """Amount from period totals, each for the ``period_ms`` that ends at its time stamp.

    A period that crosses a bound of the interval is split linearly. Periods must not overlap;
    where they do, the time between their ends is what each covers.
    """
    known = ordered(points)
    amount, covered = 0.0, 0
    aligned = True
    previous_end: int | None = None
    for time_ms, value in known[known.around(start_ms, end_ms)]:
        begin = time_ms - period_ms
        if previous_end is not None and begin < previous_end:
            begin = previous_end
        previous_end = time_ms
        a, b = max(begin, start_ms), min(time_ms, end_ms)
        if b <= a:
            continue
        aligned = aligned and a == begin and b == time_ms
        amount += value * (b - a) / period_ms
        covered += b - a
    return Interval(
        start_ms,
        end_ms,
        amount if covered else None,
        covered,
        covered if aligned else 0,
        Basis.AMOUNT,
        GRADE_OF[Basis.AMOUNT],
    )


def merged(parts: Sequence[Interval]) -> Interval:
    """Adjacent parts as one interval. Raises ValueError when they do not follow each other."""
    if not parts:
        raise ValueError("no parts")
    for left, right in pairwise(parts):
        if left.end_ms != right.start_ms:
            raise ValueError("parts do not follow each other")
    amounts = [part.amount for part in parts if part.amount is not None]
    return Interval(
        parts[0].start_ms,
        parts[-1].end_ms,
        sum(amounts) if amounts else None,
        sum(part.covered_ms for part in parts),
        sum(part.profile_ms for part in parts),
        parts[0].basis,
        worst(part.grade for part in parts),
        opening=parts[0].opening,
        closing=parts[-1].closing,
        flags=frozenset().union(*(part.flags for part in parts)),
    )


def compacted(parts: Sequence[Interval], start_ms: int, end_ms: int) -> Interval:
    """One row in place of the shorter ones within [start, end), which may leave holes.

    The amount is their sum, correctly rounded; basis and grade are the worst of those that hold
    an amount. Raises ValueError where there are none, they overlap or lie outside.
    """
    parts = sorted(parts, key=lambda part: part.start_ms)
    if not parts or parts[0].start_ms < start_ms or parts[-1].end_ms > end_ms:
        raise ValueError("no parts, or some outside the span")
    if any(left.end_ms > right.start_ms for left, right in pairwise(parts)):
        raise ValueError("parts overlap")
    counting = [part for part in parts if part.amount is not None] or parts
    amounts = [part.amount for part in parts if part.amount is not None]
    bases = list(Basis)
    return Interval(
        start_ms,
        end_ms,
        math.fsum(amounts) if amounts else None,
        sum(part.covered_ms for part in parts),
        sum(part.profile_ms for part in parts),
        max((part.basis for part in counting), key=bases.index),
        worst(part.grade for part in counting),
        opening=parts[0].opening,
        closing=parts[-1].closing,
        flags=frozenset({Flag.COMPACTED}).union(*(part.flags for part in parts)),
    )


def grid(start_ms: int, end_ms: int, length_ms: int) -> range:
    """Starts of the wall-clock intervals of one length that touch [start_ms, end_ms)."""
    first = start_ms - start_ms % length_ms
    return range(first, end_ms, length_ms)


def _between(
    before: Point, after: Point, dial: Dial, replacements: Sequence[Replacement]
) -> tuple[float | None, set[Flag]]:
    """What flowed between two successive readings, across declared replacements."""
    flags: set[Flag] = set()
    total = 0.0
    at = before
    inside = [r for r in replacements if not _is_after(before, r) and _is_after(after, r)]
    legs: list[tuple[Point, Point]] = []
    for change in sorted(inside, key=lambda r: r.time_ms):
        flags.add(Flag.REPLACED)
        legs.append((at, Point(change.time_ms, change.final)))
        at = Point(change.time_ms, change.first)
    legs.append((at, after))
    for left, right in legs:
        if right.time_ms == left.time_ms:
            continue
        step = difference(left.value, right.value, (right.time_ms - left.time_ms) / 1000, dial)
        if step.step is Step.WRAP:
            flags.add(Flag.WRAPPED)
        if step.amount is None:
            return None, flags | {Flag.JUMP if step.step is Step.JUMP else Flag.RESET}
        total += step.amount
    return total, flags


def _is_after(point: Point, change: Replacement) -> bool:
    """Whether a reading is the new meter's; at the very moment the nearer dial decides."""
    if point.time_ms != change.time_ms:
        return point.time_ms > change.time_ms
    return abs(point.value - change.first) < abs(point.value - change.final)
