"""Tickets of cross-checks and how the checks stand, as the ledger's database holds them.

A ticket is worked out from rows: the same rows give the same tickets, so a round puts its own in
place of what stood there. That somebody has seen one is that person's word and stays with it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec
from jauge_models.crosschecks import HOUR_MS, Began, Gap, Kind, Outcome
from jauge_models.suspects import Suspect
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from jauge_collector.ledger import schema
from jauge_collector.ledger.database import Database

LONGEST_NOTE: Final = 500
STILL_MS: Final = 24 * HOUR_MS
"""A ticket that was opened longer ago than this, and is not resolved, is still open."""


class State(StrEnum):
    """Where a ticket stands."""

    OPEN = "open"
    STILL_OPEN = "still_open"
    RESOLVED = "resolved"


class Trust(msgspec.Struct, frozen=True):
    """How exact a subject is taken to be: its relative standard error, and what says so.

    ``stated`` False: the default of its grade. ``resolution`` is its register's step in J.
    """

    subject: str
    relative: float
    stated: bool
    said: str
    resolution: float = 0.0


class Evidence(msgspec.Struct, frozen=True):
    """The numbers of a ticket; energies in J, means over its broken hours."""

    lower: tuple[str, ...]
    upper: tuple[str, ...]
    hours: int
    """Comparable hours that were looked at, of which ``broken`` were."""
    broken: int
    lower_energy: float | None = None
    upper_energy: float | None = None
    tolerance: float | None = None
    trust: tuple[Trust, ...] = ()
    suspects: tuple[Suspect, ...] = ()

    @property
    def subjects(self) -> frozenset[str]:
        """Everything that it tells of."""
        accused = (name for one in self.suspects for name in one.subjects)
        return frozenset((*self.lower, *self.upper, *(t.subject for t in self.trust), *accused))


class Found(msgspec.Struct, frozen=True):
    """A ticket as a round found it; no evidence where all of it lies before the round."""

    opened_ms: int
    since_ms: int
    last_ms: int
    resolved_ms: int | None
    evidence: Evidence | None


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket as it stands."""

    id: int
    site: str
    kind: Kind
    check: str
    state: State
    opened_ms: int
    since_ms: int
    """The first of the broken hours that opened it."""
    last_ms: int
    """The newest broken hour."""
    resolved_ms: int | None
    evidence: Evidence
    acknowledged_ms: int | None
    acknowledged_by: str
    note: str


class CheckStanding(msgspec.Struct, frozen=True):
    """How one check stood in its newest hour, and over the hours that decide."""

    kind: Kind
    lower: tuple[str, ...]
    upper: tuple[str, ...]
    outcome: Outcome
    gap: Gap | None
    about: str
    hours: int
    """Of the last ones, how many could be judged; ``broken`` of them were."""
    broken: int


class Standing(msgspec.Struct, frozen=True):
    """How a site's checks stand: nothing later than ``judged_to_ms`` was looked at."""

    judged_to_ms: int
    checks: tuple[CheckStanding, ...] = ()
    unmapped: tuple[str, ...] = ()
    """What is measured and stands nowhere on the map: not checked."""


class TicketList(msgspec.Struct, frozen=True):
    """Tickets of a site, unresolved ones first, the newest first, and how the checks stand."""

    tickets: tuple[Ticket, ...]
    standing: Standing | None


class TicketBook:
    """The tickets in a ledger's database. Each call is one transaction; raises LedgerError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def began(self, site: str, from_ms: int) -> dict[tuple[Kind, str], Began]:
        """Tickets that were open at a moment, by kind and check."""
        t = schema.tickets.c
        wanted = select(t.kind, t.check, t.opened_ms, t.since_ms, t.last_ms, t.resolved_ms).where(
            t.site == site,
            t.opened_ms < from_ms,
            (t.resolved_ms.is_(None) | (t.resolved_ms >= from_ms)),
        )
        with self._database.transaction(writes=False) as connection:
            return {
                (Kind(row.kind), row.check): Began(
                    row.opened_ms, row.since_ms, min(row.last_ms, from_ms)
                )
                for row in connection.execute(wanted.order_by(t.opened_ms))
            }

    def save(
        self,
        site: str,
        from_ms: int,
        found: Mapping[tuple[Kind, str], Sequence[Found]],
        standing: Standing,
    ) -> None:
        """Put a round's tickets from ``from_ms`` on in place of those that stand there.

        A ticket of a check that is no longer made ends where the round does.
        """
        with self._database.transaction(writes=True) as connection:
            known: dict[tuple[Kind, str], list[Row[tuple[object, ...]]]] = {}
            t = schema.tickets.c
            touching = select(schema.tickets).where(
                t.site == site, (t.resolved_ms.is_(None)) | (t.resolved_ms >= from_ms)
            )
            for row in connection.execute(touching.order_by(t.opened_ms)):
                known.setdefault((Kind(row.kind), row.check), []).append(row)
            for key in {*known, *found}:
                if key in found:
                    self._replace(connection, site, key, known.get(key, []), found[key])
                else:
                    _end(connection, [row.id for row in known[key]], standing.judged_to_ms)
            content = msgspec.json.encode(standing).decode()
            values = {"judged_to_ms": standing.judged_to_ms, "content": content}
            connection.execute(delete(schema.standings).where(schema.standings.c.site == site))
            connection.execute(insert(schema.standings).values(site=site, **values))

    def list(self, site: str) -> TicketList:
        """All tickets of a site, and how its checks stand; None before the first round."""
        t = schema.tickets.c
        with self._database.transaction(writes=False) as connection:
            standing = _standing(connection, site)
            judged_to_ms = standing.judged_to_ms if standing is not None else 0
            order = (t.resolved_ms.is_not(None), t.opened_ms.desc(), t.id.desc())
            rows = connection.execute(select(schema.tickets).where(t.site == site).order_by(*order))
            return TicketList(tuple(_ticket(row, judged_to_ms) for row in rows), standing)

    def counts(self, sites: Iterable[str]) -> dict[tuple[str, Kind, str], int]:
        """How many tickets there are by site, kind and state; ``acknowledged`` is one of these.

        Acknowledged ones that are not resolved count there and not as open.
        """
        found: dict[tuple[str, Kind, str], int] = {}
        t = schema.tickets.c
        with self._database.transaction(writes=False) as connection:
            for site in sites:
                standing = _standing_ms(connection, site)
                rows = select(t.kind, t.opened_ms, t.resolved_ms, t.acknowledged_ms)
                for row in connection.execute(rows.where(t.site == site)):
                    state: str = _state(row.opened_ms, row.resolved_ms, standing)
                    if row.resolved_ms is None and row.acknowledged_ms is not None:
                        state = "acknowledged"
                    key = (site, Kind(row.kind), state)
                    found[key] = found.get(key, 0) + 1
        return found

    def acknowledge(self, site: str, ticket: int, *, by: str, note: str, now_ms: int) -> bool:
        """Note that somebody has seen a ticket; False where it is resolved or seen already.

        Raises KeyError for one that does not exist.
        """
        t = schema.tickets.c
        mine = (t.id == ticket) & (t.site == site)
        with self._database.transaction(writes=True) as connection:
            known = connection.execute(
                select(t.resolved_ms, t.acknowledged_ms).where(mine)
            ).one_or_none()
            if known is None:
                raise KeyError(ticket)
            if known.resolved_ms is not None or known.acknowledged_ms is not None:
                return False
            connection.execute(
                update(schema.tickets)
                .where(mine)
                .values(acknowledged_ms=now_ms, acknowledged_by=by, note=note[:LONGEST_NOTE])
            )
            return True

    def forget(
        self, until_ms: int, site: str | None, *, dry_run: bool
    ) -> tuple[int, int | None, int | None]:
        """Drop tickets resolved before a moment, unless it is a dry run: how many, first, last.

        Of one site, or of all.
        """
        t = schema.tickets.c
        old = t.resolved_ms < until_ms
        if site is not None:
            old &= t.site == site
        with self._database.transaction(writes=not dry_run) as connection:
            counted = select(func.count(), func.min(t.opened_ms), func.max(t.opened_ms))
            number, first, last = connection.execute(counted.where(old)).one()
            if not dry_run:
                connection.execute(delete(schema.tickets).where(old))
        return number, first, last

    def erase(self, site: str, names: Collection[str], *, dry_run: bool) -> int:
        """Drop tickets that tell of one of these ``agent/resource``; how many.

        How the checks stand is dropped with them: the next round says it anew.
        """
        if not names:
            return 0
        gone = [
            ticket.id
            for ticket in self.list(site).tickets
            if ticket.evidence.subjects & set(names) or any(n in ticket.check for n in names)
        ]
        if not dry_run:
            with self._database.transaction(writes=True) as connection:
                t = schema.tickets.c
                for at in range(0, len(gone), 500):
                    some = t.id.in_(gone[at : at + 500])
                    connection.execute(delete(schema.tickets).where(some))
                connection.execute(delete(schema.standings).where(schema.standings.c.site == site))
        return len(gone)

    def _replace(
        self,
        connection: Connection,
        site: str,
        key: tuple[Kind, str],
        known: Sequence[Row[tuple[object, ...]]],
        found: Sequence[Found],
    ) -> None:
        """A found ticket takes the place of the known one that overlaps it, with its number."""
        left = list(known)
        taken = [(one, _same(one, left)) for one in sorted(found, key=lambda f: f.opened_ms)]
        if left:
            ids = [row.id for row in left]
            connection.execute(delete(schema.tickets).where(schema.tickets.c.id.in_(ids)))
        for one, row in taken:
            values: dict[str, object] = {
                "opened_ms": one.opened_ms,
                "since_ms": one.since_ms,
                "last_ms": one.last_ms,
                "resolved_ms": one.resolved_ms,
            }
            if one.evidence is not None:
                values["evidence"] = msgspec.json.encode(one.evidence).decode()
            if row is not None:
                statement = update(schema.tickets).where(schema.tickets.c.id == row.id)
                connection.execute(statement.values(**values))
            elif one.evidence is not None:
                values |= {"site": site, "kind": key[0].value, "check": key[1]}
                connection.execute(insert(schema.tickets).values(**values))


def _same(one: Found, left: list[Row[tuple[object, ...]]]) -> Row[tuple[object, ...]] | None:
    """The known ticket that overlaps a found one, taken out of those that are left."""
    end_ms = one.resolved_ms
    for at, row in enumerate(left):
        if (end_ms is None or row.opened_ms < end_ms) and (
            row.resolved_ms is None or one.opened_ms < row.resolved_ms
        ):
            return left.pop(at)
    return None


def _end(connection: Connection, ids: Collection[int], at_ms: int) -> None:
    t = schema.tickets.c
    connection.execute(
        update(schema.tickets)
        .where(t.id.in_(ids), t.resolved_ms.is_(None))
        .values(resolved_ms=at_ms)
    )


def _state(opened_ms: int, resolved_ms: int | None, judged_to_ms: int) -> State:
    if resolved_ms is not None:
        return State.RESOLVED
    return State.STILL_OPEN if judged_to_ms - opened_ms > STILL_MS else State.OPEN


def _ticket(row: Row[tuple[object, ...]], judged_to_ms: int) -> Ticket:
    return Ticket(
        id=row.id,
        site=row.site,
        kind=Kind(row.kind),
        check=row.check,
        state=_state(row.opened_ms, row.resolved_ms, judged_to_ms),
        opened_ms=row.opened_ms,
        since_ms=row.since_ms,
        last_ms=row.last_ms,
        resolved_ms=row.resolved_ms,
        evidence=msgspec.json.decode(row.evidence, type=Evidence),
        acknowledged_ms=row.acknowledged_ms,
        acknowledged_by=row.acknowledged_by,
        note=row.note,
    )


def _standing_ms(connection: Connection, site: str) -> int:
    t = schema.standings.c
    found = connection.execute(select(t.judged_to_ms).where(t.site == site)).scalar()
    return int(found or 0)


def _standing(connection: Connection, site: str) -> Standing | None:
    t = schema.standings.c
    content = connection.execute(select(t.content).where(t.site == site)).scalar()
    return None if content is None else msgspec.json.decode(content, type=Standing)
