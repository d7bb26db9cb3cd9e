"""When a guest was seen where, and how busy: its readings of an hour, cut into slots. Pure.

Nothing is held over an absence: a guest is seen between two of its readings no further apart than
the gap of the host that the earlier one names. Times in ms since the Unix epoch, UTC.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from jauge_models.intervals import Point, Points, ordered

SLOT_MS: Final = 60_000
"""In slots of a minute the hour is shared out: about as often as hosts are asked for their power,
and short against the time for which a guest keeps a processor busy or runs on a host."""

LEAST_GAP_MS: Final = 180_000
"""A host's gap, unless its own power may have longer ones (`max_gap_s` of the site file): how far
apart two readings of a guest may lie and still say that it ran there in between."""

Span = tuple[int, int]

ACTIVE: Final = ("runs_on", "cpu_utilisation", "cpu_time", "processors")
"""Quantities whose readings show that a guest runs."""


class Stay(NamedTuple):
    """A span in which something ran on, or was held by, what has this number."""

    start_ms: int
    end_ms: int
    number: int


def stays(runs_on: Iterable[Point], start_ms: int, end_ms: int) -> list[Stay]:
    """Where something was between two moments, as readings of ``runs_on`` say, in order.

    Each reading holds until the next one, and the first for the time before it too.
    """
    given = ordered(runs_on)
    numbers = set(given.values)
    if len(numbers) == 1:
        return [Stay(start_ms, end_ms, round(numbers.pop()))]
    found: list[Stay] = []
    began = start_ms
    for at, (time_ms, value) in enumerate(given):
        until = end_ms if at + 1 == len(given) else min(given.times_ms[at + 1], end_ms)
        number = round(value)
        if at and time_ms > began:
            began = time_ms
        if until <= began:
            continue
        if found and found[-1].number == number and found[-1].end_ms == began:
            found[-1] = Stay(found[-1].start_ms, until, number)
        else:
            found.append(Stay(began, until, number))
        began = until
    return found


def seen(readings: Mapping[str, Points], gap_ms: int) -> list[Span]:
    """When a guest was seen, in order, by its readings of the quantities `ACTIVE`."""
    times: set[int] = set()
    times.update(*(readings[name].times_ms for name in ACTIVE if name in readings))
    found: list[Span] = []
    for before, after in pairwise(sorted(times)):
        if after - before > gap_ms:
            continue
        if found and found[-1][1] == before:
            found[-1] = (found[-1][0], after)
        else:
            found.append((before, after))
    return found


def both(some: Iterable[Span], others: Sequence[Span]) -> list[Span]:
    """The time in a span of each, both in order and without overlap."""
    found: list[Span] = []
    for start, end in some:
        for at in range(max(bisect_right(others, (start,)) - 1, 0), len(others)):
            low, high = max(start, others[at][0]), min(end, others[at][1])
            if others[at][0] >= end:
                break
            if low < high:
                found.append((low, high))
    return found


class Use(NamedTuple):
    """What is known of one guest or host in each slot of an hour.

    ``seen_ms`` by slot; ``busy`` the processors busy, mean while seen, None where not known;
    ``power`` the same of its own power, W.
    """

    seen_ms: list[int]
    busy: list[float | None]
    power: list[float | None]
    processors: float | None
    memory_size: float | None
    memory_used: float | None
    """The highest of the hour."""


def use(
    readings: Mapping[str, Points],
    where: Sequence[Span],
    start_ms: int,
    end_ms: int,
    *,
    gap_ms: int,
) -> Use:
    """A guest's, or a host's, activity in the slots of [start, end), within some spans."""
    slots = (end_ms - start_ms) // SLOT_MS
    seen_ms = [0] * slots
    for begin, end in where:
        for slot, length in _slots(begin, end, start_ms, end_ms):
            seen_ms[slot] += length
    processors = _latest(readings.get("processors", _NONE), end_ms)
    rates = _rates_of_total(readings.get("cpu_time", _NONE), gap_ms)
    if not rates and processors is not None:
        given = readings["processors"]
        changes = len(set(given.values)) > 1
        rates = [
            (begin, end, rate * (_held(given, end) if changes else processors))
            for begin, end, rate in _rates(readings.get("cpu_utilisation", _NONE), gap_ms)
        ]
    busy = _by_slot(rates, where, start_ms, slots)
    power = _by_slot(_rates(readings.get("power", _NONE), gap_ms), where, start_ms, slots)
    memory = readings.get("memory_used", _NONE)
    used = memory.values[
        bisect_left(memory.times_ms, start_ms) : bisect_left(memory.times_ms, end_ms)
    ]
    return Use(
        seen_ms,
        busy,
        power,
        processors,
        _latest(readings.get("memory_size", _NONE), end_ms),
        max(used, default=None),
    )


def means(
    points: Iterable[Point], start_ms: int, end_ms: int, *, gap_ms: int
) -> list[float | None]:
    """Mean of a gauge in each slot of [start, end); None where it is not known."""
    slots = (end_ms - start_ms) // SLOT_MS
    return _by_slot(_rates(ordered(points), gap_ms), [(start_ms, end_ms)], start_ms, slots)


def held_at_slots(
    points: Iterable[Point], start_ms: int, end_ms: int, gap_ms: Callable[[Point], int]
) -> list[float | None]:
    """What last was read by the end of each slot, no longer before its begin than its gap."""
    given = ordered(points)
    found: list[float | None] = []
    for begin in range(start_ms, end_ms, SLOT_MS):
        at = bisect_left(given.times_ms, begin + SLOT_MS) - 1
        fresh = at >= 0 and given.times_ms[at] >= begin - gap_ms(given[at])
        found.append(given.values[at] if fresh else None)
    return found


_NONE: Final = Points([], [])

_Rate = tuple[int, int, float]
"""A mean over a span."""


def _steps(points: Points) -> Iterable[tuple[int, int, float, float]]:
    """Times and values of each two readings that follow each other."""
    times, values = points.times_ms, points.values
    return zip(times, times[1:], values, values[1:], strict=False)


def _rates(points: Points, gap_ms: int) -> list[_Rate]:
    """Of a gauge: the middle of two readings, for the time between them."""
    return [(t0, t1, (a + b) / 2) for t0, t1, a, b in _steps(points) if t1 - t0 <= gap_ms]


def _rates_of_total(points: Points, gap_ms: int) -> list[_Rate]:
    """Of a running total in s: per second; not across a restart of the total."""
    return [
        (t0, t1, (b - a) / (t1 - t0) * 1000)
        for t0, t1, a, b in _steps(points)
        if t1 - t0 <= gap_ms and b >= a
    ]


def _latest(points: Points, end_ms: int) -> float | None:
    return _held(points, end_ms) if points else None


def _held(points: Points, end_ms: int) -> float:
    """The last value before a moment, else the first one after it."""
    return points.values[max(bisect_left(points.times_ms, end_ms) - 1, 0)]


def _slots(begin: int, end: int, start_ms: int, end_ms: int) -> Iterable[tuple[int, int]]:
    """The slots that a span touches, and for how long."""
    at, end = max(begin, start_ms), min(end, end_ms)
    while at < end:
        slot = (at - start_ms) // SLOT_MS
        until = min(start_ms + (slot + 1) * SLOT_MS, end)
        yield slot, until - at
        at = until


def _by_slot(
    rates: Sequence[_Rate], where: Sequence[Span], start_ms: int, slots: int
) -> list[float | None]:
    """Mean of some rates in each slot, within some spans; None where none reaches."""
    sums = [0.0] * slots
    known = [0] * slots
    end_ms = start_ms + slots * SLOT_MS
    for begin, end in where:
        first, last = max(begin, start_ms), min(end, end_ms)
        for t0, t1, rate in rates:
            low = max(first, t0)
            high = min(last, t1)
            while low < high:
                slot = (low - start_ms) // SLOT_MS
                until = start_ms + (slot + 1) * SLOT_MS
                until = min(until, high)
                sums[slot] += rate * (until - low)
                known[slot] += until - low
                low = until
    return [total / length if length else None for total, length in zip(sums, known, strict=True)]
