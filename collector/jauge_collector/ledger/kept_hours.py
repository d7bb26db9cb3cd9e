"""Hourly means of sensors as they were once worked out, kept so that no reader does it again.

They are kept by blocks of time, and only while no reading of their agent may have come into them
since: a mark of an agent takes the blocks away that it touches, in the commit that sets it, and
where a mark lies nothing is kept. Who works out blocks claims them first; a claim that a mark has
taken away keeps nothing. What a reading changes in the block beside its own is for the reader to
see, by the readings at the ends.

Each function joins its caller's transaction.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    delete,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from jauge_collector.ledger import schema

BLOCK_MS: Final = 7 * 24 * 60 * 60 * 1000
"""Length of a block; blocks begin at its multiples since the epoch."""
LONGEST_GAP_MS: Final = BLOCK_MS
"""Readings further apart than this are never joined by a line that is kept."""

_T: Final = schema.sensor_hours.c
_REACHED: Final = delete(schema.sensor_hours).where(
    _T.site == bindparam("of_site"),
    _T.agent == bindparam("of_agent"),
    _T.start_ms < bindparam("to_ms"),
    _T.start_ms > bindparam("from_ms") - BLOCK_MS,
)
_KEEPING: Final = select(_T.site, _T.agent).distinct()
_FEW: Final = 20
_SOURCES_AT_ONCE: Final = 100


class Sensor(NamedTuple):
    """Whose hours are kept: a series, and the longest gap that a line between readings bridges."""

    site: str
    agent: str
    resource: str
    quantity: str
    gap_ms: int


Kept = Mapping[tuple[str, str], Mapping[int, str]]
"""By agent and resource: the content of each block, by the block's start."""


def kept(  # noqa: PLR0917 - whose hours, of when
    connection: Connection,
    site: str,
    sources: Collection[tuple[str, str]],
    quantity: str,
    gap_ms: int,
    span: tuple[int, int],
) -> Kept:
    """What is kept of a quantity of some agents' resources in blocks that begin in a span."""
    start_ms, end_ms = span
    found: dict[tuple[str, str], dict[int, str]] = {}
    wanted = sorted(sources)
    for at in range(0, len(wanted), _SOURCES_AT_ONCE):
        some = wanted[at : at + _SOURCES_AT_ONCE]
        for agent, resource, start, content in connection.execute(
            select(_T.agent, _T.resource, _T.start_ms, _T.content).where(
                _T.site == site,
                tuple_(_T.agent, _T.resource).in_(some),
                _T.quantity == quantity,
                _T.gap_ms == gap_ms,
                _T.start_ms >= start_ms,
                _T.start_ms < end_ms,
                _T.content.is_not(None),
            )
        ):
            found.setdefault((agent, resource), {})[start] = content
    return found


def kept_starts(
    connection: Connection, site: str, gap_ms: int, span: tuple[int, int]
) -> Mapping[Sensor, frozenset[int]]:
    """Which blocks that begin in a span are kept of a site, whatever they hold."""
    found: dict[Sensor, set[int]] = {}
    for agent, resource, quantity, start in connection.execute(
        select(_T.agent, _T.resource, _T.quantity, _T.start_ms).where(
            _T.site == site,
            _T.gap_ms == gap_ms,
            _T.start_ms >= span[0],
            _T.start_ms < span[1],
            _T.content.is_not(None),
        )
    ):
        found.setdefault(Sensor(site, agent, resource, quantity, gap_ms), set()).add(start)
    return {sensor: frozenset(starts) for sensor, starts in found.items()}


def unmarked(connection: Connection, sensor: Sensor, starts_ms: Iterable[int]) -> list[int]:
    """Those of some blocks of a sensor on which no mark lies."""
    starts = sorted(starts_ms)
    if not starts:
        return []
    marks = _marks(connection, sensor, starts[0], starts[-1] + BLOCK_MS)
    return [
        start
        for start in starts
        if not any(begin < start + BLOCK_MS and end > start for begin, end in marks)
    ]


def claim(
    connection: Connection, sensor: Sensor, starts_ms: Iterable[int], token: str
) -> frozenset[int]:
    """Claim blocks of a sensor that are about to be worked out, before their readings are read.

    Those on which a mark lies are left out. ``token`` is no other claim's.
    """
    free = unmarked(connection, sensor, starts_ms)
    if free:
        connection.execute(delete(schema.sensor_hours).where(*_of(sensor), _T.start_ms.in_(free)))
        named = sensor._asdict()
        connection.execute(
            insert(schema.sensor_hours),
            [{**named, "start_ms": start, "token": token, "content": None} for start in free],
        )
    return frozenset(free)


def settle(connection: Connection, sensor: Sensor, token: str, contents: Mapping[int, str]) -> None:
    """Keep what was worked out of claimed blocks, where no mark and no other claim took them."""
    claimed = (*_of(sensor), _T.token == token)
    for start, content in contents.items():
        connection.execute(
            update(schema.sensor_hours)
            .where(*claimed, _T.start_ms == start)
            .values(content=content, token=None)
        )
    connection.execute(delete(schema.sensor_hours).where(*claimed))


def forget(connection: Connection, marked: Iterable[tuple[str, str, int, int]]) -> None:
    """Readings of agents may have changed: site, agent, start, end. Their blocks go, and claims."""
    gone = [
        {"of_site": site, "of_agent": agent, "from_ms": start, "to_ms": end}
        for (site, agent), spans in groupby(sorted(marked), key=lambda one: one[:2])
        for start, end in _joined((start, end) for _, _, start, end in spans)
    ]
    if len(gone) > _FEW:  # of thousands of agents hardly one has a sensor
        keeping = {tuple(row) for row in connection.execute(_KEEPING)}
        gone = [one for one in gone if (one["of_site"], one["of_agent"]) in keeping]
    if gone:
        connection.execute(_REACHED, gone)


def drop_old(connection: Connection, site: str, until_ms: int) -> None:
    """Blocks that ended by a moment go."""
    connection.execute(
        delete(schema.sensor_hours).where(_T.site == site, _T.start_ms <= until_ms - BLOCK_MS)
    )


def _of(sensor: Sensor) -> tuple[ColumnElement[bool], ...]:
    return tuple(_T[name] == value for name, value in sensor._asdict().items())


def _marks(
    connection: Connection, sensor: Sensor, start_ms: int, end_ms: int
) -> Sequence[tuple[int, int]]:
    """Spans of an agent's marks that reach into a span."""
    m = schema.marks.c
    found = connection.execute(
        select(m.start_ms, m.end_ms).where(
            m.site == sensor.site,
            m.scope == "agent",
            m.name == sensor.agent,
            m.start_ms < end_ms,
            or_(m.end_ms > start_ms, m.end_ms == 0),
        )
    )
    return [(begin, end or _EVER_MS) for begin, end in found]


_EVER_MS: Final = 2**62


def _joined(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Spans in time order, those that touch as one; an end of 0 is open."""
    begin: int | None = None
    until = 0
    for start, end in spans:
        last = end or _EVER_MS
        if begin is not None and start <= until:
            until = max(until, last)
            continue
        if begin is not None:
            yield begin, until
        begin, until = start, last
    if begin is not None:
        yield begin, until
