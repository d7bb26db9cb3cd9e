"""Declared events of what is erased: they go, or stay without its name."""

import json
from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import delete, select, update

from jauge_collector.ledger import schema
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.chain import ON_DEMAND
from jauge_collector.ledger.entries import new_salt, note_erased
from jauge_collector.ledger.retention import overwriting

ERASED: Final = "(erased)"
"""Stands for the subject of an event that has to stay where its name may not."""


def erase_events(
    ledger: Ledger,
    site: str,
    names: Collection[str],
    meters: Collection[str],
    now_ms: int,
    *,
    dry_run: bool,
) -> int:
    """Events of some subjects go, overwritten; how many. These meters are marked for their spans.

    An event that corrects one of another subject, or is corrected by one, stays without its name
    and reason: what it corrected must not hold again, nor what it was corrected by be lost.
    """
    t = schema.entries.c
    statement = select(t.id, t.subject, t.start_ms, t.end_ms, t.corrects, t.content)
    with ledger.transaction(writes=False) as connection:
        rows = connection.execute(statement.where(t.site == site, t.kind == "event")).all()
    events = {row.id: row for row in rows}
    later = {row.corrects: row.id for row in rows if row.corrects is not None}
    meant = {row.id for row in rows if row.subject in names}
    if dry_run or not meant:
        return len(meant)
    # The caller holds the writer lock, so that no pass comes between: marked first, a step that
    # is cut short leaves nothing uncounted.
    for key in sorted(meant - later.keys()):
        for meter in meters:
            ledger.mark_meter(site, meter, events[key].start_ms, events[key].end_ms, now_ms)
    earlier = {key: row.corrects for key, row in events.items()}
    with ledger.transaction(writes=True) as connection:
        overwriting(connection)
        for key in sorted(meant, reverse=True):  # what corrects goes before what it corrects
            mine = t.id == key
            if meant.issuperset(_linked(key, earlier) | _linked(key, later)):
                connection.execute(delete(schema.entries).where(mine))
                continue
            content = {"event": json.loads(events[key].content).get("event"), "reason": ""}
            blank = update(schema.entries).where(mine)
            connection.execute(
                blank.values(subject=ERASED, content=json.dumps(content), salt=new_salt())
            )
        note_erased(connection, site, meant, ON_DEMAND, now_ms)
    return len(meant)


def _linked(key: int, by: Mapping[int, int | None]) -> set[int]:
    """What follows an entry, link by link."""
    found: set[int] = set()
    following = by.get(key)
    while following is not None:
        found.add(following)
        following = by.get(following)
    return found
