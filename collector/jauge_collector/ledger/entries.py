"""What people entered, as the ledger's database holds it."""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

from jauge_models.intervals import GRADE_OF, Basis, Interval
from sqlalchemy import Connection, select

from jauge_collector.ledger import schema


class Entry(NamedTuple):
    """Something a person entered; ``content`` holds what its kind needs, in base units."""

    id: int
    kind: str
    subject: str
    start_ms: int
    end_ms: int | None
    content: Mapping[str, Any]
    signatory: str
    document: str | None
    corrects: int | None
    entered_ms: int


def entries_of(
    connection: Connection, site: str, kind: str, subject: str | None, *, corrected: bool
) -> list[Entry]:
    """Entries of one kind by time; those that were corrected only when asked for."""
    t = schema.entries.c
    statement = (
        select(
            t.id,
            t.kind,
            t.subject,
            t.start_ms,
            t.end_ms,
            t.content,
            t.signatory,
            t.document,
            t.corrects,
            t.entered_ms,
        )
        .where(t.site == site, t.kind == kind)
        .order_by(t.start_ms, t.id)
    )
    if subject is not None:
        statement = statement.where(t.subject == subject)
    if not corrected:
        later = schema.entries.alias()
        statement = statement.where(~select(later.c.id).where(later.c.corrects == t.id).exists())
    return [
        Entry(**{**row, "content": json.loads(row["content"])})
        for row in connection.execute(statement).mappings()
    ]


class Attested(NamedTuple):
    """A bill or monthly figure that holds, and what it says."""

    entry: Entry
    interval: Interval


def attested_amounts(connection: Connection, site: str) -> dict[str, list[Attested]]:
    """Bills and monthly figures by meter, in time order; of two that overlap the first stands."""
    found: dict[str, list[Attested]] = defaultdict(list)
    for entry in entries_of(connection, site, "amount", None, corrected=False):
        known = found[entry.subject]
        if entry.end_ms is None or (known and known[-1].interval.end_ms > entry.start_ms):
            continue
        length = entry.end_ms - entry.start_ms
        interval = Interval(
            entry.start_ms,
            entry.end_ms,
            float(entry.content["base"]),
            length,
            length,
            Basis.ATTESTED,
            GRADE_OF[Basis.ATTESTED],
        )
        known.append(Attested(entry, interval))
    return found
