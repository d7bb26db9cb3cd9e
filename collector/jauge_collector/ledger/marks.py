"""Marks of what has to be computed again; each function joins its caller's transaction."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, case, delete, func, select, update

from jauge_collector.ledger import kept_hours, schema
from jauge_collector.ledger.clocks import ClockSpan

QUARTER_MS: Final = 15 * 60 * 1000
"""Grid of the marks that batches set."""

FROM_AHEAD_MS: Final = 60_000
"""A mark that is stamped further ahead of now was set by a clock that has been set back since; one
that is stamped less far ahead may just have been written, by a writer that had to wait."""

_MARKS: Final = schema.marks.c
_UNMARK: Final = delete(schema.marks).where(
    _MARKS.site == bindparam("of_site"),
    _MARKS.scope == bindparam("of_scope"),
    _MARKS.name == bindparam("of_name"),
    _MARKS.start_ms == bindparam("of_start"),
    _MARKS.end_ms == bindparam("of_end"),
    _MARKS.generation == bindparam("of_generation"),
)


class Mark(NamedTuple):
    """Something to recompute: readings of an agent, or all of a meter, in [start, end).

    ``scope`` is ``agent`` or ``meter``; an ``end_ms`` of 0 is open.
    """

    scope: str
    name: str
    start_ms: int
    end_ms: int
    generation: int
    last_ms: int


def add_marks(
    connection: Connection,
    statement: Any,
    marks: Sequence[tuple[str, str, str, int, int]],
    now_ms: int,
) -> None:
    """Set marks, or renew them: site, scope, name, start, end. ``statement`` inserts into them.

    The latest of the stamps holds, of two writers; not one that lies `FROM_AHEAD_MS` ahead. Hours
    of sensors that were worked out before go with it.
    """
    if not marks:
        return
    kept_hours.forget(
        connection,
        ((site, name, start, end) for site, scope, name, start, end in marks if scope == "agent"),
    )
    table = schema.marks
    new = statement.excluded
    holds = (table.c.last_ms > new.last_ms) & (table.c.last_ms <= new.last_ms + FROM_AHEAD_MS)
    earlier = table.c.first_ms < new.first_ms
    names = ("site", "scope", "name", "start_ms", "end_ms")
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(table.primary_key),
            set_={
                "generation": table.c.generation + 1,
                "first_ms": case((earlier, table.c.first_ms), else_=new.first_ms),
                "last_ms": case((holds, table.c.last_ms), else_=new.last_ms),
            },
        ),
        [
            dict(zip(names, mark, strict=True), generation=0, first_ms=now_ms, last_ms=now_ms)
            for mark in marks
        ],
    )


def ahead(connection: Connection, site: str, now_ms: int) -> bool:
    """Whether there is anything for `bring_back`."""
    t = schema.marks.c
    far_ms = now_ms + FROM_AHEAD_MS
    far = (t.first_ms > far_ms) | (t.last_ms > far_ms)
    return (
        connection.execute(select(t.name).where(t.site == site, far).limit(1)).first() is not None
    )


def bring_back(connection: Connection, site: str, now_ms: int) -> None:
    """Stamp marks from far ahead anew, or none would see to them until that time has come.

    Their end stays so far ahead that whatever rides on them is readable before they go.
    """
    t = schema.marks.c
    far_ms = now_ms + FROM_AHEAD_MS
    connection.execute(
        update(schema.marks)
        .where(t.site == site, (t.first_ms > far_ms) | (t.last_ms > far_ms))
        .values(
            generation=t.generation + 1,
            first_ms=case((t.first_ms > far_ms, now_ms), else_=t.first_ms),
            last_ms=far_ms,
        )
    )


def marks_of(connection: Connection, site: str, until_ms: int) -> list[Mark]:
    """Marks of agents first set by a moment, and all of meters."""
    t = schema.marks.c
    return [
        Mark(*row)
        for row in connection.execute(
            select(t.scope, t.name, t.start_ms, t.end_ms, t.generation, t.last_ms)
            .where(t.site == site, (t.first_ms <= until_ms) | (t.scope == "meter"))
            .order_by(t.name, t.start_ms)
        )
    ]


def due_since(connection: Connection, now_ms: int) -> int | None:
    """See `Ledger.due_since`."""
    t = schema.marks.c
    due = func.min(case((t.end_ms > t.first_ms, t.end_ms), else_=t.first_ms))
    found = connection.execute(select(due).where(t.end_ms <= now_ms, t.first_ms <= now_ms)).scalar()
    return None if found is None else int(found)


def remove_marks(connection: Connection, site: str, marks: Iterable[Mark]) -> int:
    """Delete marks, at least one, that were not renewed since they were read; how many went."""
    gone = [
        {
            "of_site": site,
            "of_scope": mark.scope,
            "of_name": mark.name,
            "of_start": mark.start_ms,
            "of_end": mark.end_ms,
            "of_generation": mark.generation,
        }
        for mark in marks
    ]
    return connection.execute(_UNMARK, gone).rowcount


def quarters_of(spans: Iterable[ClockSpan], now_ms: int) -> Iterator[tuple[int, int]]:
    """The quarter hours that hold each span, up to now: later ones have no rows yet."""
    last_ms = now_ms - now_ms % QUARTER_MS + QUARTER_MS
    for span in spans:
        start_ms = span.from_ms - span.from_ms % QUARTER_MS
        end_ms = min(-(-span.to_ms // QUARTER_MS) * QUARTER_MS, last_ms)
        if start_ms < end_ms:
            yield start_ms, end_ms
