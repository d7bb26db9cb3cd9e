"""When agents' clocks were wrong, as the ledger's database holds it.

A span is in the agent's own time stamps, for those are what readings carry. Spans only ever join,
so that any order in which they are noted, by one collector or two, gives the same.
"""

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, delete, func, select

from jauge_collector.ledger import schema

MAX_SPANS_OF_AGENT: Final = 1000
"""An agent that has as many gets none that stands alone: a bound on what a mad clock writes."""


class ClockSpan(NamedTuple):
    """An agent's clock was wrong when it stamped what lies in [from, to).

    ``skew_ms`` is the largest seen, the collector's clock minus the agent's.
    """

    from_ms: int
    to_ms: int
    skew_ms: int

    def with_(self, other: "ClockSpan") -> "ClockSpan":
        """Both and all between them."""
        return ClockSpan(
            min(self.from_ms, other.from_ms),
            max(self.to_ms, other.to_ms),
            max(self.skew_ms, other.skew_ms, key=lambda skew: (abs(skew), skew)),
        )


def joined(spans: Iterable[ClockSpan]) -> list[ClockSpan]:
    """Spans in order, as one where they overlap or touch."""
    found: list[ClockSpan] = []
    for span in sorted(spans):
        if found and span.from_ms <= found[-1].to_ms:
            found[-1] = found[-1].with_(span)
        else:
            found.append(span)
    return found


def bounded(spans: list[ClockSpan], most: int = MAX_SPANS_OF_AGENT) -> list[ClockSpan]:
    """At most so many, the nearest made one; ``spans`` as `joined` gives them."""
    kept = list(spans)
    while len(kept) > most:
        gaps = [after.from_ms - before.to_ms for before, after in pairwise(kept)]
        at = gaps.index(min(gaps))
        kept[at : at + 2] = [kept[at].with_(kept[at + 1])]
    return kept


def note(
    connection: Connection, statement: Any, site: str, agent: str, spans: Iterable[ClockSpan]
) -> list[ClockSpan]:
    """Keep spans; those that say something new. ``statement`` is an insert into the table.

    What neither touches a known span nor finds room beside `MAX_SPANS_OF_AGENT` is left out.
    """
    t = schema.clocks.c
    news: list[ClockSpan] = []
    mine = (t.site == site) & (t.agent == agent)
    counted = select(func.count()).select_from(schema.clocks).where(mine)
    room = MAX_SPANS_OF_AGENT - connection.execute(counted).scalar_one()
    for span in joined(spans):
        near = mine & (t.from_ms <= span.to_ms) & (t.to_ms >= span.from_ms)
        known = [
            ClockSpan(*row)
            for row in connection.execute(select(t.from_ms, t.to_ms, t.skew_ms).where(near))
        ]
        (whole,) = joined([*known, span])
        if known == [whole] or (not known and room <= 0):
            continue
        room += len(known) - 1
        news.append(span)
        connection.execute(delete(schema.clocks).where(near))
        connection.execute(statement.values(site=site, agent=agent, **whole._asdict()))
    return news


def withdraw(
    connection: Connection, site: str, agent: str, from_ms: int, to_ms: int
) -> list[ClockSpan]:
    """Delete an agent's spans that lie in [from, to); those that went."""
    t = schema.clocks.c
    inside = (t.site == site) & (t.agent == agent) & (t.from_ms >= from_ms) & (t.to_ms <= to_ms)
    columns = select(t.from_ms, t.to_ms, t.skew_ms).where(inside).order_by(t.from_ms)
    gone = [ClockSpan(*row) for row in connection.execute(columns)]
    connection.execute(delete(schema.clocks).where(inside))
    return gone


def spans_of(
    connection: Connection, site: str, agent: str | None = None
) -> dict[str, list[ClockSpan]]:
    """By agent of a site, or of one agent alone, in time order."""
    t = schema.clocks.c
    wanted = select(t.agent, t.from_ms, t.to_ms, t.skew_ms).where(t.site == site)
    if agent is not None:
        wanted = wanted.where(t.agent == agent)
    found: dict[str, list[ClockSpan]] = defaultdict(list)
    for name, *span in connection.execute(wanted.order_by(t.agent, t.from_ms)):
        found[name].append(ClockSpan(*span))
    return dict(found)
