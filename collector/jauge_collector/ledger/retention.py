"""What the ledger keeps no longer: rows past their time, old entries, erased names.

Each step is one short transaction, so that marks and passes go on in between; a step that was
cut short is taken again. Who calls what changes rows holds `Ledger.writer`.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Final, NamedTuple, TypeAlias

from jauge_models.resources import kind_of
from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)

from jauge_collector.ledger import kept_hours, schema
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.chain import EXPIRED
from jauge_collector.ledger.entries import CONFIRMATION, note_erased
from jauge_collector.stores import Held, Source

PURGE: Final = "purge"
"""Kind of the entries that record what was purged."""
CLOSED: Final = ("amount", "event", "set_point", "intake_hours", "certificate")
"""Kinds of entries that speak of a span: once it is old, nothing needs them. What was read off,
replaced or commissioned stays, for it says how a meter in service is to be read."""

_ROWS_AT_ONCE: Final = 5000
_FORGOTTEN: Final = "forgotten"

Where: TypeAlias = ColumnElement[bool]


class Subject(NamedTuple):
    """What has rows: a meter, or ``<agent>/<resource>``."""

    key: int
    site: str
    name: str

    @property
    def source(self) -> Source | None:
        """Agent and resource; None for a meter."""
        agent, slash, resource = self.name.partition("/")
        return (agent, resource) if slash else None

    @property
    def is_guest(self) -> bool:
        """Whether it is a virtual machine."""
        return self.source is not None and kind_of(self.source[1]) == "guest"


def subjects(ledger: Ledger, site: str | None = None) -> list[Subject]:
    """Everything that has rows, by site and name."""
    t = schema.subjects.c
    statement = select(t.id, t.site, t.name).order_by(t.site, t.name)
    if site is not None:
        statement = statement.where(t.site == site)
    with ledger.transaction(writes=False) as connection:
        return [Subject(*row) for row in connection.execute(statement)]


def stands(ledger: Ledger, subject: Subject) -> bool:
    """Whether a subject still is what `subjects` said: its number may be another's by now."""
    t = schema.subjects.c
    same = (t.id == subject.key) & (t.site == subject.site) & (t.name == subject.name)
    with ledger.transaction(writes=False) as connection:
        return connection.execute(select(t.id).where(same)).first() is not None


def has_rows_before(ledger: Ledger, time_ms: int) -> bool:
    """Whether there are rows that began before a moment."""
    t = schema.intervals.c
    with ledger.transaction(writes=False) as connection:
        return (
            connection.execute(select(t.subject).where(t.start_ms < time_ms).limit(1)).first()
            is not None
        )


# --- rows past their time


def old_rows(ledger: Ledger, subject: Subject, until_ms: int, *, dry_run: bool) -> Held:
    """Rows that ended by a moment, with their revisions and the jumps before it; they go."""
    found = Held(0)
    for table in (schema.intervals, schema.revisions):
        t = table.c
        where = (t.subject == subject.key) & (t.start_ms < until_ms) & (t.end_ms <= until_ms)
        found = found.joined(_gone(ledger, table, where, t.start_ms, dry_run=dry_run))
    t = schema.jumps.c
    where = (t.subject == subject.key) & (t.at_ms < until_ms)
    return found.joined(_gone(ledger, schema.jumps, where, t.at_ms, dry_run=dry_run))


def _gone(
    ledger: Ledger,
    table: Table,
    where: Where,
    time: ColumnElement[int],
    *,
    dry_run: bool,
    overwrite: bool = False,
) -> Held:
    """Rows of a table that match, deleted in steps unless it is a dry run."""
    with ledger.transaction(writes=False) as connection:
        counted = select(func.count(), func.min(time), func.max(time)).where(where)
        found = Held(*connection.execute(counted.select_from(table)).one())
    while found.rows and not dry_run:
        with ledger.transaction(writes=True) as connection:
            if overwrite:
                overwriting(connection)
            step = select(time).where(where).order_by(time).limit(1).offset(_ROWS_AT_ONCE)
            beyond = connection.execute(step).scalar()
            some = where if beyond is None else where & (time < beyond)
            connection.execute(delete(table).where(some))
        if beyond is None:
            break
    return found


def overwriting(connection: Connection) -> None:
    """SQLite overwrites what this connection deletes from now on."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")


# --- how hosts were shared out, and what births said


def old_shares(ledger: Ledger, subject: Subject, until_ms: int, *, dry_run: bool) -> Held:
    """Shares of a host's rows that ended by a moment; they go."""
    t = schema.shares.c
    where = (t.host == subject.key) & (t.start_ms < until_ms) & (t.end_ms <= until_ms)
    return _gone(ledger, schema.shares, where, t.start_ms, dry_run=dry_run)


def old_descriptions(ledger: Ledger, site: str, until_ms: int, *, dry_run: bool) -> Held:
    """Descriptions that others have followed by a moment go.

    Those of a guest go altogether once no birth and no row has its name.
    """
    t, m, s = schema.descriptions.c, schema.methods.c, schema.subjects.c
    with ledger.transaction(writes=False) as connection:
        rows = connection.execute(
            select(t.agent, t.resource, t.from_ms)
            .where(t.site == site)
            .order_by(t.agent, t.resource, t.from_ms)
        ).all()
        described = {(row.agent, row.resource) for row in rows}
        known = {
            (row.agent, row.resource)
            for row in connection.execute(
                select(m.agent, m.resource).where(m.site == site).distinct()
            )
        }
        names = set(connection.execute(select(s.name).where(s.site == site)).scalars())
    guests = {one for one in described - known if kind_of(one[1]) == "guest"}
    gone = {one for one in guests if "/".join(one) not in names}
    old: list[tuple[str, str, int]] = []
    for row, after in pairwise([*rows, None]):
        if row is None:
            continue
        followed = after is not None and after[:2] == row[:2] and after.from_ms <= until_ms
        if followed or (row.from_ms < until_ms and (row.agent, row.resource) in gone):
            old.append((row.agent, row.resource, row.from_ms))
    for at in range(0, 0 if dry_run else len(old), _ROWS_AT_ONCE):
        with ledger.transaction(writes=True) as connection:
            overwriting(connection)
            for agent, resource, from_ms in old[at : at + _ROWS_AT_ONCE]:
                connection.execute(
                    delete(schema.descriptions).where(
                        t.site == site,
                        t.agent == agent,
                        t.resource == resource,
                        t.from_ms == from_ms,
                    )
                )
    times = [from_ms for *_, from_ms in old]
    return Held(len(old), min(times, default=None), max(times, default=None))


def drop_old_hours(ledger: Ledger, site: str, until_ms: int, *, dry_run: bool) -> None:
    """Hours of sensors that were kept of time before a moment go: derived, they are no loss."""
    if not dry_run:
        with ledger.transaction(writes=True) as connection:
            kept_hours.drop_old(connection, site, until_ms)


# --- entries of people, and their documents


def old_entries(ledger: Ledger, kinds: Sequence[str], until_ms: int, site: str | None) -> list[int]:
    """Entries whose span ended by a moment, unless one that stays corrects them; newest first.

    What a second person said of one goes with it.
    """
    t = schema.entries.c
    where = t.kind.in_(kinds) & (func.coalesce(t.end_ms, t.start_ms) <= until_ms)
    if site is not None:
        where &= t.site == site
    corrections = select(t.id, t.corrects).where(t.corrects.is_not(None)).order_by(t.id.desc())
    with ledger.transaction(writes=False) as connection:
        old = set(connection.execute(select(t.id).where(where)).scalars())
        for key, corrects in connection.execute(corrections):
            if key not in old:
                old.discard(corrects)
        said = select(t.id, t.subject).where(t.kind == CONFIRMATION)
        names = {str(key) for key in old}
        old |= {row.id for row in connection.execute(said) if row.subject in names}
    return sorted(old, reverse=True)


def drop_entries(ledger: Ledger, keys: Sequence[int], now_ms: int, *, dry_run: bool) -> Held:
    """These entries go, those that correct others before them; the chain says that they did."""
    t = schema.entries.c
    found = Held(0)
    gone: dict[str, list[int]] = defaultdict(list)
    with ledger.transaction(writes=not dry_run) as connection:
        for key in keys:
            mine = t.id == key
            row = connection.execute(select(t.site, t.start_ms).where(mine)).first()
            if row is None:
                continue
            found = found.joined(Held(1, row.start_ms, row.start_ms))
            gone[row.site].append(key)
            if not dry_run:
                connection.execute(delete(schema.entries).where(mine))
        for site, of_site in gone.items() if not dry_run else ():
            note_erased(connection, site, of_site, EXPIRED, now_ms)
    return found


def named_documents(ledger: Ledger, without: Collection[int]) -> set[str]:
    """The documents that entries name, some entries left out."""
    t = schema.entries.c
    named = select(t.id, t.document).where(t.document.is_not(None))
    left_out = set(without)
    with ledger.transaction(writes=False) as connection:
        return {row.document for row in connection.execute(named) if row.id not in left_out}


# --- names


def sources_of(ledger: Ledger, site: str) -> set[Source]:
    """Every agent and resource of a site whose name the ledger holds."""
    found: set[Source] = set()
    with ledger.transaction(writes=False) as connection:
        for table in _named_by("site", "agent", "resource"):
            t = table.c
            named = connection.execute(select(t.agent, t.resource).where(t.site == site).distinct())
            found |= {(row.agent, row.resource) for row in named}
    return found | {s.source for s in subjects(ledger, site) if s.source is not None}


def forget_agents(ledger: Ledger, site: str, agents: Collection[str], now_ms: int) -> int:
    """Delete all that is kept of agents besides rows, overwritten; how many records went.

    A mark that batches may still ride on stays for the next pass: its agent is sending.
    """
    gone = 0
    for agent in agents:
        with ledger.transaction(writes=True) as connection:
            overwriting(connection)
            for table in _named_by("site", "agent"):
                mine = (table.c.site == site) & (table.c.agent == agent)
                gone += connection.execute(delete(table).where(mine)).rowcount
            t = schema.marks.c
            marked = (t.site == site) & (t.scope == "agent") & (t.name == agent)
            connection.execute(delete(schema.marks).where(marked & (t.last_ms < now_ms)))
            _note_forgotten(connection)
    return gone


def forgotten(ledger: Ledger) -> int:
    """Differs once names have gone: what was learnt of the ledger before may be there no more."""
    t = schema.facts.c
    with ledger.transaction(writes=False) as connection:
        found = connection.execute(select(t.value).where(t.name == _FORGOTTEN)).scalar()
    return 0 if found is None else int(found)


def _note_forgotten(connection: Connection) -> None:
    t = schema.facts.c
    risen = update(schema.facts).where(t.name == _FORGOTTEN).values(value=t.value + 1)
    if not connection.execute(risen).rowcount:
        connection.execute(insert(schema.facts).values(name=_FORGOTTEN, value=1))


def known_of(ledger: Ledger, site: str, agent: str) -> int:
    """How many records `forget_agents` would delete."""
    with ledger.transaction(writes=False) as connection:
        return sum(
            connection.execute(
                select(func.count())
                .select_from(table)
                .where((table.c.site == site) & (table.c.agent == agent))
            ).scalar_one()
            for table in _named_by("site", "agent")
        )


def _named_by(*columns: str) -> list[Table]:
    """The tables that have these columns."""
    return [t for t in schema.metadata.sorted_tables if set(columns) <= set(t.c.keys())]


def named_sites(ledger: Ledger) -> list[str]:
    """Every site of which the ledger knows an agent."""
    with ledger.transaction(writes=False) as connection:
        return list(connection.execute(select(schema.agents.c.site).distinct()).scalars())


def without_rows(ledger: Ledger, subject: Subject, since_ms: int, *, dry_run: bool) -> bool:
    """Whether nothing is kept of a subject from a moment on; then its name goes too."""
    rows, jumps = schema.intervals.c, schema.jumps.c
    with ledger.transaction(writes=not dry_run) as connection:
        for statement in (
            select(rows.subject).where(rows.subject == subject.key, rows.end_ms > since_ms),
            select(jumps.subject).where(jumps.subject == subject.key, jumps.at_ms >= since_ms),
        ):
            if connection.execute(statement.limit(1)).first() is not None:
                return False
        if not dry_run:
            _forget_subject(connection, subject)
    return True


def _forget_subject(connection: Connection, subject: Subject) -> None:
    for table in (schema.revisions, schema.jumps):
        connection.execute(delete(table).where(table.c.subject == subject.key))
    t = schema.shares.c
    connection.execute(
        delete(schema.shares).where((t.guest == subject.key) | (t.host == subject.key))
    )
    connection.execute(delete(schema.subjects).where(schema.subjects.c.id == subject.key))


def erase(
    ledger: Ledger, site: str, sources: Collection[Source], *, dry_run: bool
) -> tuple[Held, int]:
    """Rows of some resources and records of their names, overwritten; meters' rows stay."""
    found, names = Held(0), 0
    for subject in subjects(ledger, site):
        if subject.source not in sources:
            continue
        t = schema.shares.c
        for table, where in (
            (schema.shares, (t.guest == subject.key) | (t.host == subject.key)),
            (schema.intervals, schema.intervals.c.subject == subject.key),
            (schema.revisions, schema.revisions.c.subject == subject.key),
        ):
            time = table.c.start_ms
            found = found.joined(_gone(ledger, table, where, time, dry_run=dry_run, overwrite=True))
        if not dry_run:
            with ledger.transaction(writes=True) as connection:
                overwriting(connection)
                _forget_subject(connection, subject)
    for agent, resource in sources:
        for table in _named_by("site", "agent", "resource"):
            t = table.c
            where = (t.site == site) & (t.agent == agent) & (t.resource == resource)
            names += _names(ledger, table, where, dry_run=dry_run)
    return found, names


def _names(ledger: Ledger, table: Table, where: Where, *, dry_run: bool) -> int:
    with ledger.transaction(writes=not dry_run) as connection:
        counted = select(func.count()).select_from(table).where(where)
        count = connection.execute(counted).scalar_one()
        if count and not dry_run:
            overwriting(connection)
            connection.execute(delete(table).where(where))
            _note_forgotten(connection)
    return int(count)


def reclaim(ledger: Ledger) -> bool:
    """Rewrite the file without what was deleted; False where another process is using it."""
    with ledger.transaction(writes=False) as connection:
        driver = connection.connection.driver_connection
        if connection.dialect.name != "sqlite" or driver is None:
            return False
        try:
            driver.execute("VACUUM")
            busy = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.OperationalError:
            return False
    return not busy
