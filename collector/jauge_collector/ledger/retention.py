"""What the ledger keeps no longer: rows past their time, guests' hours made days, erased names.

Each step is one short transaction, so that marks and passes go on in between; a step that was
cut short is taken again. Who calls what changes rows holds `Ledger.writer`.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta, tzinfo
from typing import Any, Final, NamedTuple, TypeAlias

from jauge_models.intervals import Flag, compacted
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

from jauge_collector import civil
from jauge_collector.ledger import schema
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.rows import Row, content_of, rows_touching
from jauge_collector.stores import Held, Source

PURGE: Final = "purge"
"""Kind of the entries that record what was purged."""
CLOSED: Final = ("amount", "event")
"""Kinds of entries that speak of a span: once it is old, nothing needs them. What was read off,
replaced or commissioned stays, for it says how a meter in service is to be read."""

_ROWS_AT_ONCE: Final = 5000
_HOUR_MS: Final = 3_600_000
_DAY: Final = timedelta(days=1)

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
                _overwriting(connection)
            step = select(time).where(where).order_by(time).limit(1).offset(_ROWS_AT_ONCE)
            beyond = connection.execute(step).scalar()
            some = where if beyond is None else where & (time < beyond)
            connection.execute(delete(table).where(some))
        if beyond is None:
            break
    return found


def _overwriting(connection: Connection) -> None:
    """SQLite overwrites what this connection deletes from now on."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")


# --- guests' hours made days


class Compaction(NamedTuple):
    """What became of hourly rows: how many went, and into how many days."""

    hours: Held
    days: int


def compact(
    ledger: Ledger, subject: Subject, until_ms: int, where: tzinfo, now_ms: int, *, dry_run: bool
) -> Compaction:
    """Make the rows of each civil day that ended by a moment into one; their revisions go.

    A day begins on the hour: where the zone's midnight is none, with the next one. A day is left
    as it is where a row reaches over its bounds.
    """
    hours, days, after_ms = Held(0), 0, 0
    while starts := _hours_since(ledger, subject, after_ms, until_ms):
        for start_ms, end_ms in dict.fromkeys(_day_around(start, where) for start in starts):
            after_ms = end_ms
            if end_ms > until_ms:
                break
            with ledger.transaction(writes=not dry_run) as connection:
                parts = rows_touching(connection, subject.key, start_ms, end_ms)
                if not _make_a_day(parts, start_ms, end_ms):
                    continue
                hours = hours.joined(
                    Held(len(parts), parts[0].interval.start_ms, parts[-1].interval.start_ms)
                )
                days += 1
                if not dry_run:
                    _replace(connection, subject, parts, (start_ms, end_ms), now_ms)
    return Compaction(hours, days)


def _hours_since(ledger: Ledger, subject: Subject, after_ms: int, until_ms: int) -> list[int]:
    """Starts of some rows that are no days yet, from a moment on."""
    t = schema.intervals.c
    statement = (
        select(t.start_ms)
        .where(t.subject == subject.key, t.start_ms >= after_ms, t.start_ms < until_ms)
        .where(~t.flags.contains(Flag.COMPACTED.value))
        .order_by(t.start_ms)
        .limit(_ROWS_AT_ONCE)
    )
    with ledger.transaction(writes=False) as connection:
        return list(connection.execute(statement).scalars())


def _day_around(time_ms: int, where: tzinfo) -> tuple[int, int]:
    """The civil day that holds a moment, its bounds moved on to the next whole hour."""
    day = civil.day(time_ms, where)
    start_ms = _on_the_hour(civil.midnight_ms(day, where))
    if time_ms < start_ms:
        day -= _DAY
        start_ms = _on_the_hour(civil.midnight_ms(day, where))
    return start_ms, _on_the_hour(civil.midnight_ms(day + _DAY, where))


def _on_the_hour(time_ms: int) -> int:
    return -(-time_ms // _HOUR_MS) * _HOUR_MS


def _make_a_day(parts: Sequence[Row], start_ms: int, end_ms: int) -> bool:
    """Whether these rows lie in a day and none is one already."""
    return bool(parts) and all(
        start_ms <= part.interval.start_ms
        and part.interval.end_ms <= end_ms
        and Flag.COMPACTED not in part.interval.flags
        for part in parts
    )


def _replace(
    connection: Connection,
    subject: Subject,
    parts: Sequence[Row],
    span: tuple[int, int],
    now_ms: int,
) -> None:
    """Put one row in place of a day's."""
    start_ms, end_ms = span
    day = compacted([part.interval for part in parts], start_ms, end_ms)
    covered: Counter[str] = Counter()
    for part in parts:
        covered[part.feed] += part.interval.covered_ms
    row = Row(day, covered.most_common(1)[0][0], final=True)
    record = dict(
        zip(
            schema.intervals.c.keys(),
            (subject.key, start_ms, 0, *content_of(row), True, now_ms),
            strict=True,
        )
    )
    if len(covered) > 1:  # readings of two registers prove nothing together
        record |= dict.fromkeys(("opening_ms", "opening", "closing_ms", "closing"))
    for table in (schema.intervals, schema.revisions):
        t = table.c
        within = (t.subject == subject.key) & (t.start_ms >= start_ms) & (t.start_ms < end_ms)
        connection.execute(delete(table).where(within))
    connection.execute(insert(schema.intervals), record)


# --- entries of people, and their documents


def old_entries(ledger: Ledger, kinds: Sequence[str], until_ms: int, site: str | None) -> list[int]:
    """Entries whose span ended by a moment, unless one that stays corrects them; newest first."""
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
    return sorted(old, reverse=True)


def drop_entries(ledger: Ledger, keys: Sequence[int], *, dry_run: bool) -> Held:
    """These entries go, those that correct others before them."""
    t = schema.entries.c
    found = Held(0)
    with ledger.transaction(writes=not dry_run) as connection:
        for key in keys:
            mine = t.id == key
            start_ms = connection.execute(select(t.start_ms).where(mine)).scalar()
            found = found.joined(Held(1, start_ms, start_ms))
            if not dry_run:
                connection.execute(delete(schema.entries).where(mine))
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
    t = schema.methods.c
    with ledger.transaction(writes=False) as connection:
        named = connection.execute(select(t.agent, t.resource).where(t.site == site).distinct())
        found = {(row.agent, row.resource) for row in named}
    return found | {s.source for s in subjects(ledger, site) if s.source is not None}


def forget_agents(ledger: Ledger, site: str, agents: Collection[str]) -> int:
    """Delete all that is kept of agents besides rows, overwritten; how many records went."""
    gone = 0
    for agent in agents:
        with ledger.transaction(writes=True) as connection:
            _overwriting(connection)
            for table in _named_by("site", "agent"):
                mine = (table.c.site == site) & (table.c.agent == agent)
                gone += connection.execute(delete(table).where(mine)).rowcount
            t = schema.marks.c
            marked = (t.site == site) & (t.scope == "agent") & (t.name == agent)
            connection.execute(delete(schema.marks).where(marked))
    return gone


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
    connection.execute(delete(schema.subjects).where(schema.subjects.c.id == subject.key))


def erase(
    ledger: Ledger, site: str, sources: Collection[Source], *, dry_run: bool
) -> tuple[Held, int]:
    """Rows of some resources and records of their names, overwritten; meters' rows stay."""
    found, names = Held(0), 0
    for subject in subjects(ledger, site):
        if subject.source not in sources:
            continue
        for table in (schema.intervals, schema.revisions):
            where = table.c.subject == subject.key
            time = table.c.start_ms
            found = found.joined(_gone(ledger, table, where, time, dry_run=dry_run, overwrite=True))
        if not dry_run:
            with ledger.transaction(writes=True) as connection:
                _overwriting(connection)
                _forget_subject(connection, subject)
    for agent, resource in sources:
        for table in _named_by("site", "agent", "resource"):
            t = table.c
            where = (t.site == site) & (t.agent == agent) & (t.resource == resource)
            names += _names(ledger, table, where, dry_run=dry_run)
        t = schema.entries.c
        subject_names = t.subject.in_([resource, f"{agent}/{resource}"])
        where = (t.site == site) & (t.kind == "event") & subject_names
        names += _names(ledger, schema.entries, where, dry_run=dry_run)
    return found, names


def _names(ledger: Ledger, table: Table, where: Where, *, dry_run: bool) -> int:
    with ledger.transaction(writes=not dry_run) as connection:
        counted = select(func.count()).select_from(table).where(where)
        count = connection.execute(counted).scalar_one()
        if count and not dry_run:
            _overwriting(connection)
            connection.execute(delete(table).where(where))
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


# --- purges asked for while another process computes rows


class Request(NamedTuple):
    """A purge that was asked for."""

    key: int
    content: Mapping[str, Any]


def ask(ledger: Ledger, content: Mapping[str, Any], now_ms: int) -> int:
    """Ask the process that computes rows for a purge; its number."""
    t = schema.purge_requests
    asked = insert(t).values(asked_ms=now_ms, content=json.dumps(content)).returning(t.c.id)
    with ledger.transaction(writes=True) as connection:
        return int(connection.execute(asked).scalar_one())


def asked(ledger: Ledger) -> list[Request]:
    """What was asked for and is not done, in that order."""
    t = schema.purge_requests.c
    waiting = select(t.id, t.content).where(t.outcome.is_(None)).order_by(t.id)
    with ledger.transaction(writes=False) as connection:
        return [Request(row.id, json.loads(row.content)) for row in connection.execute(waiting)]


def answer(ledger: Ledger, request: Request, outcome: Mapping[str, Any]) -> None:
    """Leave the outcome of a request, and forget what it asked."""
    t = schema.purge_requests
    with ledger.transaction(writes=True) as connection:
        _overwriting(connection)
        told = update(t).where(t.c.id == request.key)
        connection.execute(told.values(outcome=json.dumps(outcome), content=""))


def answered(ledger: Ledger, key: int) -> dict[str, Any] | None:
    """The outcome of a request, once, or None while there is none."""
    t = schema.purge_requests
    with ledger.transaction(writes=True) as connection:
        outcome = connection.execute(select(t.c.outcome).where(t.c.id == key)).scalar()
        if outcome is None:
            return None
        connection.execute(delete(t).where(t.c.id == key))
    found: dict[str, Any] = json.loads(outcome)
    return found


def withdraw(ledger: Ledger, key: int) -> None:
    """Ask no longer."""
    t = schema.purge_requests
    with ledger.transaction(writes=True) as connection:
        _overwriting(connection)
        connection.execute(delete(t).where(t.c.id == key))


def drop_old_requests(ledger: Ledger, before_ms: int) -> None:
    """Forget outcomes that nobody came for."""
    t = schema.purge_requests
    with ledger.transaction(writes=True) as connection:
        connection.execute(delete(t).where(t.c.asked_ms < before_ms, t.c.outcome.is_not(None)))
