"""Time in which meters of the boundary were not read, the longest first."""

from collections.abc import Iterable, Iterator
from typing import Final

from jauge_models.boundaries import WHOLE
from jauge_models.intervals import Basis, Flag, Interval

from jauge_collector.reports.boundary import Boundary
from jauge_collector.reports.content import Gap

MOST: Final = 50
UNCOMMISSIONED: Final = "uncommissioned"
"""Flag of time before a meter was commissioned: what was read then counts for nothing."""
ATTESTED: Final = "attested"
"""Flag of time for which somebody signed a total: it counts, and nothing was read."""
_OPEN: Final = frozenset({Flag.BRIDGED, Flag.COMPACTED})
"""Flags that say nothing of why a meter was not read."""


def gaps(boundary: Boundary) -> tuple[tuple[Gap, ...], int]:
    """The longest gaps over the boundary's span, longest first, and how many are left out."""
    found = [gap for meter in boundary.meters for gap in of_meter(boundary, meter)]
    found.sort(key=lambda gap: (gap.start_ms - gap.end_ms, gap.meter, gap.start_ms))
    return tuple(found[:MOST]), max(0, len(found) - MOST)


def of_meter(boundary: Boundary, meter: str) -> Iterator[Gap]:
    """The gaps of one meter in time order; neighbours of one kind are one gap."""
    last: Gap | None = None
    for gap in _pieces(boundary, meter):
        if last is not None and (last.end_ms, last.bridged, last.flags) == (
            gap.start_ms,
            gap.bridged,
            gap.flags,
        ):
            last = Gap(
                meter=meter,
                start_ms=last.start_ms,
                end_ms=gap.end_ms,
                bridged=gap.bridged,
                flags=gap.flags,
            )
            continue
        if last is not None:
            yield last
        last = gap
    if last is not None:
        yield last


def _pieces(boundary: Boundary, meter: str) -> Iterator[Gap]:
    start_ms, end_ms = boundary.span
    at = start_ms
    for row in boundary.rows[meter]:
        if row.start_ms > at:
            yield from _unread(boundary, meter, at, min(row.start_ms, end_ms))
        # Nearly all rows are such; a year has 35 000 of each meter.
        plain = row.covered_ms == row.end_ms - row.start_ms and not row.flags
        if (not plain or row.basis is Basis.ATTESTED) and _is_gap(row):
            yield Gap(
                meter=meter,
                start_ms=max(row.start_ms, start_ms),
                end_ms=min(row.end_ms, end_ms),
                bridged=_is_bridged(row),
                flags=_flags(row),
            )
        at = max(at, row.end_ms)
    yield from _unread(boundary, meter, at, end_ms)


def _unread(boundary: Boundary, meter: str, start_ms: int, end_ms: int) -> Iterator[Gap]:
    """Time of which the ledger has no row that counts, cut where the meter begins to count."""
    since = boundary.since.get(meter, end_ms) if boundary.topology.meter(meter).feeds else start_ms
    since = min(max(since, start_ms), end_ms)
    for begin, end, flags in (
        (start_ms, since, (UNCOMMISSIONED,)),
        (since, end_ms, ()),
    ):
        if begin < end:
            yield Gap(meter=meter, start_ms=begin, end_ms=end, bridged=False, flags=flags)


def _is_gap(row: Interval) -> bool:
    if row.basis is Basis.ATTESTED or row.coverage < WHOLE:
        return True
    return _is_bridged(row)


def _is_bridged(row: Interval) -> bool:
    whole = row.coverage >= WHOLE
    return whole and Flag.BRIDGED in row.flags and row.profile_coverage < WHOLE


def _flags(row: Interval) -> tuple[str, ...]:
    signed = (ATTESTED,) if row.basis is Basis.ATTESTED else ()
    return (*signed, *sorted(_named(row.flags - _OPEN)))


def _named(flags: Iterable[Flag]) -> Iterable[str]:
    return (flag.value for flag in flags)
