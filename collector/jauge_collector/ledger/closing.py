"""Closing a quarter's rows: what stands then is final, digested, and changed by restatement only.

The digest of a meter's rows goes into the chain, so that a row changed behind the ledger's back is
found. A restatement puts what was proposed in place of closed rows; the earlier ones are kept as
revisions.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update

from jauge_collector.ledger import chain, schema
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.closed_rows import Proposal, proposals_of
from jauge_collector.ledger.database import LedgerError
from jauge_collector.ledger.rows import put_in_place, records_touching, row_of, subject_ids

Digests = Mapping[str, Mapping[str, Any]]
"""By meter: how many ``rows`` there are, and the ``sha256`` of what they say."""

EXPIRED: Final = "expired"
"""Act of the link that says that rows of a quarter went by their time."""
_CONTENT: Final = slice(3, 15)
_START: Final = 1


def digests(
    connection: Connection, site: str, meters: Iterable[str], start_ms: int, end_ms: int
) -> Digests:
    """Of the rows of some meters that touch [start, end): of what they say, not of when.

    That is, the columns of `schema.intervals` from ``start_ms`` to ``feed`` but ``revision``, row
    by row in time order, as one JSON array of arrays.
    """
    names = sorted(meters)
    ids = subject_ids(connection, site, names)
    found: dict[str, Mapping[str, Any]] = {}
    for name in names:
        records = records_touching(connection, ids[name], start_ms, end_ms) if name in ids else ()
        said = json.dumps([(record[_START], *record[_CONTENT]) for record in records])
        digest = hashlib.sha256(said.encode()).hexdigest()
        found[name] = {"rows": len(records), "sha256": digest}
    return found


def digests_now(
    ledger: Ledger, site: str, meters: Iterable[str], start_ms: int, end_ms: int
) -> Digests:
    """`digests` in a transaction of their own."""
    with ledger.transaction(writes=False) as connection:
        return digests(connection, site, meters, start_ms, end_ms)


def close_span(  # noqa: PLR0917 - a quarter of a site, in one line of its table
    connection: Connection,
    site: str,
    quarter: str,
    meters: Iterable[str],
    start_ms: int,
    end_ms: int,
    now_ms: int,
) -> None:
    """From now on, the rows of these meters that touch [start, end) stay: they are final."""
    t, c = schema.intervals.c, schema.closings.c
    for key in subject_ids(connection, site, meters).values():
        connection.execute(
            update(schema.intervals)
            .where(t.subject == key, ~t.final, t.start_ms < end_ms, t.end_ms > start_ms)
            .values(final=True)
        )
    known = select(c.quarter).where(c.site == site, c.quarter == quarter)
    if connection.execute(known).first() is None:
        connection.execute(
            insert(schema.closings).values(
                site=site, quarter=quarter, start_ms=start_ms, end_ms=end_ms, closed_ms=now_ms
            )
        )


# --- restatements


class Proposed(NamedTuple):
    """Everything that is proposed for one meter."""

    meter: str
    proposals: Sequence[Proposal]


def waiting(ledger: Ledger, site: str) -> int:
    """How many closed rows of a site would be others."""
    p, s = schema.proposals.c, schema.subjects.c
    counted = (
        select(func.count()).select_from(schema.proposals).join(schema.subjects, p.subject == s.id)
    )
    with ledger.transaction(writes=False) as connection:
        return int(connection.execute(counted.where(s.site == site)).scalar_one())


def proposed(
    ledger: Ledger, site: str, meters: Iterable[str], start_ms: int, end_ms: int
) -> list[Proposed]:
    """What passes would make of closed rows of [start, end), by meter; meters without are none.

    A row that reaches over the bounds brings those that its proposal touches.
    """
    with ledger.transaction(writes=False) as connection:
        return proposed_in(connection, site, meters, start_ms, end_ms)


def proposed_in(
    connection: Connection, site: str, meters: Iterable[str], start_ms: int, end_ms: int
) -> list[Proposed]:
    """`proposed` in the caller's transaction."""
    return list(_proposed(connection, site, meters, start_ms, end_ms).values())


def _proposed(
    connection: Connection, site: str, meters: Iterable[str], start_ms: int, end_ms: int
) -> dict[int, Proposed]:
    found: dict[int, Proposed] = {}
    for name, key in sorted(subject_ids(connection, site, meters).items()):
        if some := _joined(connection, key, start_ms, end_ms):
            found[key] = Proposed(name, some)
    return found


def _joined(connection: Connection, subject: int, start_ms: int, end_ms: int) -> list[Proposal]:
    """Proposals that touch a span, and those that touch these: they are carried out together."""
    while True:
        some = proposals_of(connection, subject, start_ms, end_ms)
        low = min([start_ms, *(one.start_ms for one in some)])
        high = max([end_ms, *(one.end_ms for one in some)])
        if (low, high) == (start_ms, end_ms):
            return some
        start_ms, end_ms = low, high


class Change(NamedTuple):
    """Sums of one meter over the rows that a restatement changes, in base units (J or m3)."""

    meter: str
    rows: int
    before: float
    after: float


def changes(found: Iterable[Proposed]) -> list[Change]:
    """What carrying out some proposals would change."""
    return [
        Change(
            meter,
            len(some),
            sum(one.amount or 0.0 for one in some),
            sum(one.new_amount or 0.0 for one in some),
        )
        for meter, some in found
    ]


def restate(  # noqa: PLR0917 - a quarter of a site
    connection: Connection,
    site: str,
    meters: Iterable[str],
    start_ms: int,
    end_ms: int,
    now_ms: int,
) -> list[Change]:
    """Carry out what is proposed for [start, end), in the caller's transaction.

    Raises LedgerError where rows would overlap: what stands has changed since.
    """
    found = _proposed(connection, site, meters, start_ms, end_ms)
    t = schema.proposals.c
    for key, (meter, some) in found.items():
        put_in_place(connection, key, [(one.start_ms, one.stands, one.new) for one in some], now_ms)
        low, high = min(one.start_ms for one in some), max(one.end_ms for one in some)
        at = low
        for record in records_touching(connection, key, low, high):
            interval = row_of(record).interval
            if interval.start_ms < at and at != low:
                raise LedgerError(f"rows of {meter} would overlap; run a pass and try again")
            at = interval.end_ms
        connection.execute(
            delete(schema.proposals).where(
                t.subject == key, t.start_ms.in_([one.start_ms for one in some])
            )
        )
    return changes(found.values())


# --- whether closed rows are what they were


class Broken(NamedTuple):
    """A quarter in which a meter's rows are no longer those that were closed."""

    quarter: str
    meter: str

    def __str__(self) -> str:
        return f"quarter {self.quarter}: rows of meter {self.meter} are not those that were closed"


def broken_rows(ledger: Ledger, site: str) -> list[Broken]:
    """Where rows differ from what the chain vouches for: the last closing or restatement.

    Quarters of which rows went by their time are left out.
    """
    with ledger.transaction(writes=False) as connection:
        return broken_in(connection, site)


def broken_in(
    connection: Connection, site: str, quarters: Collection[str] | None = None
) -> list[Broken]:
    """The same in the caller's transaction, of some quarters or of all."""
    found: list[Broken] = []
    for quarter, told in sorted(_vouched(connection, site).items()):
        if quarters is None or quarter in quarters:
            known: Digests = told["rows"]
            now = digests(connection, site, known, told["start_ms"], told["end_ms"])
            found += [
                Broken(quarter, meter) for meter in sorted(known) if now[meter] != known[meter]
            ]
    return found


def _vouched(connection: Connection, site: str) -> dict[str, Mapping[str, Any]]:
    """By quarter, what the chain last said of its rows."""
    steps = chain.links(connection, site=site, kind=chain.QUARTER)
    steps += chain.links(connection, site=site, kind=chain.RESTATEMENT)
    last: dict[str, Mapping[str, Any]] = {}
    for link in sorted(steps, key=lambda link: link.id):
        told = link.content
        if told.get("act") == EXPIRED:
            last.pop(link.subject, None)
        elif "rows" not in told:  # approved, published, or restated beyond its own rows
            continue
        elif link.kind == chain.QUARTER:
            last[link.subject] = told
        elif link.subject in last:  # of meters that were dropped since it says nothing
            last[link.subject] = {**told, "rows": last[link.subject]["rows"] | told["rows"]}
    return last


def expire(ledger: Ledger, site: str, until_ms: int, now_ms: int) -> None:
    """Rows that ended by a moment are about to go: the chain vouches for their quarters no more.

    What is proposed for them goes now.
    """
    p, s = schema.proposals.c, schema.subjects.c
    mine = p.subject.in_(select(s.id).where(s.site == site))
    with ledger.transaction(writes=True) as connection:
        connection.execute(delete(schema.proposals).where(mine, p.end_ms <= until_ms))
        for quarter, told in sorted(_vouched(connection, site).items()):
            if told["start_ms"] < until_ms:
                content = {"act": EXPIRED, "until_ms": until_ms}
                chain.add_link(connection, site, chain.QUARTER, quarter, content, now_ms)


def closed_by(ledger: Ledger, site: str, until_ms: int) -> list[str]:
    """Quarters that were closed and that ended by a moment."""
    t = schema.closings.c
    ended = select(t.quarter).where(t.site == site, t.end_ms <= until_ms).order_by(t.start_ms)
    with ledger.transaction(writes=False) as connection:
        return list(connection.execute(ended).scalars())


def sites_closed(ledger: Ledger) -> list[str]:
    """Every site of which a quarter was closed."""
    t = schema.closings.c
    with ledger.transaction(writes=False) as connection:
        return list(connection.execute(select(t.site).distinct().order_by(t.site)).scalars())
