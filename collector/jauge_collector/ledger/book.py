"""The ledger's book: rows with their revisions, marks of what to recompute, and entries of people.

Synchronous, and safe to use from several threads and processes: each call is one transaction,
durable when it returns. Who recomputes rows holds `Ledger.writer`.
"""

import fcntl
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import msgspec
from jauge_models.configuration import ConfigurationError
from jauge_models.intervals import Basis, Interval
from jauge_models.wire import Method
from sqlalchemy import (
    Connection,
    Engine,
    bindparam,
    case,
    create_engine,
    delete,
    event,
    func,
    insert,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from jauge_collector.ledger import schema
from jauge_collector.ledger.entries import Entry, attested_amounts, entries_of
from jauge_collector.ledger.rows import (
    Jump,
    Row,
    Saved,
    Stretch,
    add_subject,
    dial_rows,
    intervals_touching,
    replace_jumps,
    replace_rows,
    row_of,
    rows_touching,
    span_of_amounts,
    subject_ids,
    written_in,
)

QUARTER_MS: Final = 15 * 60 * 1000
"""Grid of the marks that batches set."""

_BUSY_TIMEOUT_MS: Final = 30_000
_LAST_ID: Final = 2**63 - 1
MAX_METHODS_OF_AGENT: Final = 16_384
"""As many as one birth document of 256 KiB can name."""

_MARKS: Final = schema.marks.c
_UNMARK: Final = delete(schema.marks).where(
    _MARKS.site == bindparam("of_site"),
    _MARKS.scope == bindparam("of_scope"),
    _MARKS.name == bindparam("of_name"),
    _MARKS.start_ms == bindparam("of_start"),
    _MARKS.end_ms == bindparam("of_end"),
    _MARKS.generation == bindparam("of_generation"),
)


class LedgerError(Exception):
    """The ledger did not take or give what was asked."""


class LedgerLockedError(LedgerError):
    """Another process computes rows on this ledger."""


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


class SetAside(NamedTuple):
    """An attested amount that does not count, for rows that hold amounts lie in its span.

    They reach from ``first_ms`` to ``last_ms`` and may leave holes between.
    """

    entry: Entry
    first_ms: int
    last_ms: int


class Ledger:
    """The accounting record in one SQLite file. A context manager, or `close` it."""

    def __init__(self, path: Path) -> None:
        """Open, and create where absent. Raises LedgerError."""
        self._path = path
        self._engine: Engine = create_engine(f"sqlite:///{path}", pool_size=4)
        event.listen(self._engine, "connect", _on_connect)
        event.listen(self._engine, "begin", _on_begin)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._writing() as connection:
                self._check_version(connection)
        except OSError as error:
            self.close()
            raise LedgerError(f"{path}: cannot be opened: {error.strerror}") from None
        except LedgerError:
            self.close()
            raise

    def close(self) -> None:
        """Release the file."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def writer(self) -> Iterator[None]:
        """Hold the lock of who computes rows. Raises LedgerLockedError at once when taken."""
        lock = self._path.with_name(self._path.name + ".lock")
        with lock.open("a", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LedgerLockedError(
                    f"{self._path}: another collector computes this ledger; stop it first"
                ) from None
            yield

    # --- rows

    def rows(
        self,
        site: str,
        meters: Iterable[str],
        start_ms: int,
        end_ms: int,
        *,
        counts_from: Mapping[str, int] | None = None,
        proofs: bool = True,
    ) -> dict[str, list[Interval]]:
        """Current rows touching [start, end), in time order, without overlap; every meter a key.

        An attested amount stands where no measured row touches its span. With ``counts_from``,
        rows that begin before a meter's moment, or of a meter that has none, do not count.
        Without ``proofs`` only rows with flags and attested ones carry their readings: for sums
        over years.
        """
        found: dict[str, list[Interval]] = {}
        with self._reading() as connection:
            meters = list(meters)
            ids = subject_ids(connection, site, meters)
            attested = attested_amounts(connection, site)

            def counting(meter: str, start_ms: int, end_ms: int) -> list[Interval]:
                if meter not in ids:
                    return []
                rows = intervals_touching(connection, ids[meter], start_ms, end_ms, proofs=proofs)
                return rows if counts_from is None else _counting(rows, counts_from.get(meter))

            for meter in meters:
                rows = counting(meter, start_ms, end_ms)
                fillers = [
                    amount.interval
                    for amount in attested.get(meter, ())
                    if amount.interval.start_ms < end_ms and amount.interval.end_ms > start_ms
                ]
                if fillers:
                    low = min(amount.start_ms for amount in fillers)
                    high = max(amount.end_ms for amount in fillers)
                    rows = _filled(rows, counting(meter, low, high), fillers)
                found[meter] = rows
        return found

    def set_aside(
        self,
        site: str,
        meters: Iterable[str],
        start_ms: int,
        end_ms: int,
        *,
        counts_from: Mapping[str, int] | None = None,
    ) -> list[SetAside]:
        """Attested amounts touching [start, end) that `rows` leaves out for measured rows.

        In the order of the meters, then of time; ``counts_from`` as for `rows`.
        """
        found: list[SetAside] = []
        t = schema.intervals.c
        with self._reading() as connection:
            meters = list(meters)
            ids = subject_ids(connection, site, meters)
            attested = attested_amounts(connection, site)
            for meter in meters:
                counts = None
                if counts_from is not None:
                    counts = t.basis == Basis.ATTESTED.value
                    if meter in counts_from:
                        counts |= t.start_ms >= counts_from[meter]
                for entry, amount in attested.get(meter, ()) if meter in ids else ():
                    if amount.start_ms >= end_ms or amount.end_ms <= start_ms:
                        continue
                    span = span_of_amounts(
                        connection, ids[meter], amount.start_ms, amount.end_ms, counts=counts
                    )
                    if span is not None:
                        found.append(SetAside(entry, *span))
        return found

    def current(self, site: str, subject: str, start_ms: int, end_ms: int) -> list[Row]:
        """Computed rows touching [start, end) with their provenance, in time order."""
        with self._reading() as connection:
            key = subject_ids(connection, site, [subject]).get(subject)
            return [] if key is None else rows_touching(connection, key, start_ms, end_ms)

    def dial_rows(self, site: str, subject: str) -> list[Row]:
        """Current rows that dial readings gave, in time order."""
        with self._reading() as connection:
            key = subject_ids(connection, site, [subject]).get(subject)
            return [] if key is None else dial_rows(connection, key)

    def extent(self, site: str, subject: str, start_ms: int, end_ms: int) -> tuple[int, int] | None:
        """Start of the first and end of the last computed row that begins in [start, end)."""
        t = schema.intervals.c
        with self._reading() as connection:
            key = subject_ids(connection, site, [subject]).get(subject)
            rows = select(t.start_ms, t.end_ms).where(
                t.subject == key, t.start_ms >= start_ms, t.start_ms < end_ms
            )
            first = connection.execute(rows.order_by(t.start_ms).limit(1)).first()
            last = connection.execute(rows.order_by(t.start_ms.desc()).limit(1)).first()
        return None if first is None or last is None else (first.start_ms, last.end_ms)

    def stamp(
        self, site: str, meters: Iterable[str], start_ms: int, end_ms: int
    ) -> tuple[object, ...]:
        """Differs once entries were added, or rows of these meters in [start, end) were written.

        Far cheaper than reading the rows: the database counts them.
        """
        with self._reading() as connection:
            meters = list(meters)
            ids = subject_ids(connection, site, meters)
            return (
                connection.execute(select(func.max(schema.entries.c.id))).scalar(),
                *(
                    written_in(connection, ids[meter], start_ms, end_ms) if meter in ids else None
                    for meter in meters
                ),
            )

    def history(self, site: str, subject: str, start_ms: int) -> list[Row]:
        """Every revision of the row that begins at a moment, oldest first."""
        with self._reading() as connection:
            key = subject_ids(connection, site, [subject]).get(subject)
            if key is None:
                return []
            earlier = connection.execute(
                select(schema.revisions)
                .where(schema.revisions.c.subject == key, schema.revisions.c.start_ms == start_ms)
                .order_by(schema.revisions.c.revision)
            )
            rows = [
                msgspec.structs.replace(row_of(r), revision=r.revision, replaced_ms=r.replaced_ms)
                for r in earlier
            ]
            return rows + [
                row
                for row in rows_touching(connection, key, start_ms, start_ms + 1)
                if row.interval.start_ms == start_ms
            ]

    def provisional(self, site: str, until_ms: int) -> dict[str, list[tuple[int, int]]]:
        """Spans of the rows that have ended by a moment and are not final, by subject."""
        spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
        t = schema.intervals.c
        with self._reading() as connection:
            for name, start, end in connection.execute(
                select(schema.subjects.c.name, t.start_ms, t.end_ms)
                .join(schema.subjects, schema.subjects.c.id == t.subject)
                .where(schema.subjects.c.site == site, ~t.final, t.end_ms <= until_ms)
                .order_by(t.start_ms)
            ):
                spans[name].append((start, end))
        return dict(spans)

    def save(self, site: str, stretches: Iterable[Stretch], now_ms: int) -> Saved:
        """Replace each stretch's rows, in one transaction.

        A final row that changes or goes keeps its earlier revision; a final row stays final.
        """
        written = revised = 0
        stretches = list(stretches)
        with self._writing() as connection:
            ids = subject_ids(connection, site, (stretch.subject for stretch in stretches))
            for stretch in stretches:
                key = ids.get(stretch.subject)
                if key is None:
                    if not stretch.rows and not stretch.jumps:
                        continue
                    key = add_subject(connection, site, stretch.subject, stretch.commodity)
                    ids[stretch.subject] = key
                saved = replace_rows(connection, key, stretch, now_ms)
                written += saved.written
                revised += saved.revised
                replace_jumps(connection, key, stretch)
        return Saved(written, revised)

    def jumps(self, site: str) -> dict[str, list[Jump]]:
        """Known jumps by subject, in time order."""
        found: dict[str, list[Jump]] = defaultdict(list)
        t = schema.jumps.c
        with self._reading() as connection:
            for name, feed, at_ms, before_ms in connection.execute(
                select(schema.subjects.c.name, t.feed, t.at_ms, t.before_ms)
                .join(schema.subjects, schema.subjects.c.id == t.subject)
                .where(schema.subjects.c.site == site)
                .order_by(t.at_ms)
            ):
                found[name].append(Jump(feed, at_ms, before_ms))
        return dict(found)

    # --- marks

    def mark(self, site: str, agent: str, starts_ms: Iterable[int], now_ms: int) -> None:
        """Readings of an agent came for the quarter hours that hold these moments; durable."""
        self.record({(site, agent): starts_ms}, {}, now_ms)

    def record(
        self,
        arrived: Mapping[tuple[str, str], Iterable[int]],
        oldest_ms: Mapping[tuple[str, str], int],
        now_ms: int,
    ) -> None:
        """`mark` and `set_oldest` for many agents, by (site, agent), in one commit."""
        marks = [
            (site, "agent", agent, start, start + QUARTER_MS)
            for (site, agent), starts in arrived.items()
            for start in {start - start % QUARTER_MS for start in starts}
        ]
        with self._writing() as connection:
            self._mark(connection, marks, now_ms)
            if oldest_ms:
                table = schema.agents
                statement = self._insert(table)
                connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=list(table.primary_key),
                        set_={"oldest_ms": statement.excluded.oldest_ms},
                    ),
                    [
                        {"site": site, "agent": agent, "oldest_ms": oldest}
                        for (site, agent), oldest in oldest_ms.items()
                    ],
                )

    def mark_meter(
        self, site: str, meter: str, start_ms: int, end_ms: int | None, now_ms: int
    ) -> None:
        """What is declared about a meter changed for a span; an end of None is open."""
        with self._writing() as connection:
            self._mark(connection, [(site, "meter", meter, start_ms, end_ms or 0)], now_ms)

    def marks(self, site: str, until_ms: int) -> list[Mark]:
        """Marks of agents first set by a moment, and all of meters."""
        t = schema.marks.c
        with self._reading() as connection:
            return [
                Mark(*row)
                for row in connection.execute(
                    select(t.scope, t.name, t.start_ms, t.end_ms, t.generation, t.last_ms)
                    .where(t.site == site, (t.first_ms <= until_ms) | (t.scope == "meter"))
                    .order_by(t.name, t.start_ms)
                )
            ]

    def unmark(self, site: str, marks: Iterable[Mark]) -> int:
        """Delete marks that were not renewed since they were read; returns how many went."""
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
        if not gone:
            return 0
        with self._writing() as connection:
            return connection.execute(_UNMARK, gone).rowcount

    def set_oldest(self, site: str, agent: str, oldest_ms: int) -> None:
        """Keep an agent's ``bfrom``: all its batches before that moment are stored."""
        self.record({}, {(site, agent): oldest_ms}, 0)

    def oldest(self, site: str) -> dict[str, int]:
        """``bfrom`` of every agent of a site that ever sent one."""
        t = schema.agents.c
        with self._reading() as connection:
            found = connection.execute(select(t.agent, t.oldest_ms).where(t.site == site))
            return {row.agent: row.oldest_ms for row in found}

    def set_methods(self, site: str, agent: str, methods: Mapping[tuple[str, str], Method]) -> None:
        """Keep how an agent's birth says that each (resource, quantity) is obtained.

        What earlier births said stays beside it, for a birth that is sent before every source was
        read says less, and readings of what is gone may still come. Once both together are more
        than `MAX_METHODS_OF_AGENT`, only the newest birth is kept.
        """
        table = schema.methods
        statement = self._insert(table)
        if not methods:
            return
        of_agent = (table.c.site == site) & (table.c.agent == agent)
        keep = statement.on_conflict_do_update(
            index_elements=list(table.primary_key),
            set_={"method": statement.excluded.method},
        )
        rows = [
            {
                "site": site,
                "agent": agent,
                "resource": resource,
                "quantity": quantity,
                "method": method.value,
            }
            for (resource, quantity), method in methods.items()
        ]
        with self._writing() as connection:
            connection.execute(keep, rows)
            counted = select(func.count()).select_from(table).where(of_agent)
            if connection.execute(counted).scalar_one() > MAX_METHODS_OF_AGENT:
                connection.execute(delete(table).where(of_agent))
                connection.execute(keep, rows)

    def methods(self, site: str) -> dict[tuple[str, str, str], Method]:
        """The kept methods of a site by (agent, resource, quantity)."""
        t = schema.methods.c
        with self._reading() as connection:
            return {
                (agent, resource, quantity): Method(method)
                for agent, resource, quantity, method in connection.execute(
                    select(t.agent, t.resource, t.quantity, t.method).where(t.site == site)
                )
            }

    def declared(self, site: str) -> dict[str, str]:
        """The fingerprint of each meter's declaration that its rows were computed with."""
        t = schema.declared.c
        with self._reading() as connection:
            found = connection.execute(select(t.meter, t.fingerprint).where(t.site == site))
            return {row.meter: row.fingerprint for row in found}

    def set_declared(self, site: str, fingerprints: Mapping[str, str]) -> None:
        """Keep with what declaration the rows of meters are computed from now on."""
        if not fingerprints:
            return
        table = schema.declared
        statement = self._insert(table)
        with self._writing() as connection:
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=list(table.primary_key),
                    set_={"fingerprint": statement.excluded.fingerprint},
                ),
                [
                    {"site": site, "meter": meter, "fingerprint": fingerprint}
                    for meter, fingerprint in fingerprints.items()
                ],
            )

    # --- entries

    def commissioned(self, site: str) -> dict[str, int]:
        """Meters whose dial agreed with the record, and the moment from which each counts."""
        since: dict[str, int] = {}
        for entry in self.entries(site, "commissioning"):
            since[entry.subject] = min(entry.start_ms, since.get(entry.subject, entry.start_ms))
        return since

    def append(
        self,
        site: str,
        kind: str,
        subject: str,
        *,
        start_ms: int,
        content: Mapping[str, Any],
        now_ms: int,
        end_ms: int | None = None,
        signatory: str = "",
        document: str | None = None,
        corrects: int | None = None,
        restates: Iterable[tuple[str, int, int | None]] = (),
        may_move: bool = False,
    ) -> int:
        """Add an entry and return its number. What it corrects stays, and no longer holds.

        ``restates`` names meters and spans whose rows it changes; they are marked with it, and
        the span of what it corrects too. Raises ConfigurationError where ``corrects`` names no
        entry of this site and kind that still holds; nor, unless it ``may_move``, of this subject.
        ``restates`` of one that does names the meters of both.
        """
        text = json.dumps(content, sort_keys=True, allow_nan=False)
        t = schema.entries.c
        with self._writing() as connection:
            spans = list(restates)
            if corrects is not None:
                old = None
                if 0 < corrects <= _LAST_ID:
                    old = connection.execute(
                        select(t.subject, t.start_ms, t.end_ms).where(
                            t.id == corrects, t.site == site, t.kind == kind
                        )
                    ).one_or_none()
                if old is None:
                    raise ConfigurationError(
                        "--corrects", "", f"site {site} has no {kind} numbered {corrects}"
                    )
                if old.subject != subject and not may_move:
                    raise ConfigurationError(
                        "--corrects",
                        "",
                        f"{kind} {corrects} is one of {old.subject!r}, not of {subject!r}",
                        f"correct it with an entry of {old.subject!r}",
                    )
                later = connection.execute(select(t.id).where(t.corrects == corrects)).scalar()
                if later is not None:
                    raise ConfigurationError(
                        "--corrects",
                        "",
                        f"{corrects} is already corrected by {later}",
                        "correct that",
                    )
                spans = [_widened(span, old.start_ms, old.end_ms) for span in spans]
            self._mark(
                connection, [(site, "meter", m, start, end or 0) for m, start, end in spans], now_ms
            )
            added = insert(schema.entries).values(
                site=site,
                kind=kind,
                subject=subject,
                start_ms=start_ms,
                end_ms=end_ms,
                content=text,
                signatory=signatory,
                document=document,
                corrects=corrects,
                entered_ms=now_ms,
            )
            return int(connection.execute(added.returning(t.id)).scalar_one())

    def entries(
        self, site: str, kind: str, subject: str | None = None, *, corrected: bool = False
    ) -> list[Entry]:
        """Entries of one kind by time; those that were corrected only when asked for."""
        with self._reading() as connection:
            return entries_of(connection, site, kind, subject, corrected=corrected)

    # --- inside

    def _check_version(self, connection: Connection) -> None:
        schema.metadata.create_all(connection)
        known = connection.execute(
            select(schema.facts.c.value).where(schema.facts.c.name == "schema")
        ).scalar()
        if known is None:
            connection.execute(insert(schema.facts).values(name="schema", value=schema.VERSION))
        elif known > schema.VERSION:
            raise LedgerError(
                f"{self._path}: written by a newer version (schema {known}); upgrade the collector"
            )

    def _insert(self, table: Any) -> Any:
        """An insert that knows ``ON CONFLICT``: same words, one class per database."""
        dialects: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
        return dialects[self._engine.dialect.name](table)

    def _mark(
        self, connection: Connection, marks: Sequence[tuple[str, str, str, int, int]], now_ms: int
    ) -> None:
        if not marks:
            return
        table = schema.marks
        statement = self._insert(table)
        later = statement.excluded.last_ms
        names = ("site", "scope", "name", "start_ms", "end_ms")
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=list(table.primary_key),
                set_={
                    "generation": table.c.generation + 1,
                    "last_ms": case((later > table.c.last_ms, later), else_=table.c.last_ms),
                },
            ),
            [
                dict(zip(names, mark, strict=True), generation=0, first_ms=now_ms, last_ms=now_ms)
                for mark in marks
            ],
        )

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self._failed(error) from None

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        try:
            with (
                self._engine.connect().execution_options(jauge_writes=True) as connection,
                connection.begin(),
            ):
                yield connection
        except SQLAlchemyError as error:
            raise self._failed(error) from None

    def _failed(self, error: SQLAlchemyError) -> LedgerError:
        cause = str(getattr(error, "orig", None) or error)
        if any(words in cause for words in _NOT_WRITABLE):
            cause += (
                f"; {self._path.parent} and the ledger's files in it must be writable even to be "
                "read: run as the collector's user, or correct their owner"
            )
        return LedgerError(f"{self._path}: {cause}")


_NOT_WRITABLE: Final = ("unable to open database file", "readonly database")


def _on_connect(connection: Any, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={_BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _on_begin(connection: Connection) -> None:
    """A writer takes its lock at once: one that read first could not wait for another."""
    writes = connection.get_execution_options().get("jauge_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _widened(
    span: tuple[str, int, int | None], start_ms: int, end_ms: int | None
) -> tuple[str, int, int | None]:
    meter, start, end = span
    until = None if end is None or end_ms is None else max(end, end_ms)
    return meter, min(start, start_ms), until


def _counting(rows: list[Interval], since_ms: int | None) -> list[Interval]:
    if since_ms is not None and (not rows or rows[0].start_ms >= since_ms):
        return rows
    return [
        row
        for row in rows
        if row.basis is Basis.ATTESTED or (since_ms is not None and row.start_ms >= since_ms)
    ]


def _filled(
    rows: list[Interval], around: Sequence[Interval], fillers: Sequence[Interval]
) -> list[Interval]:
    """Rows, with each filler in place of what it spans unless something was measured there."""
    measured = [row for row in around if row.amount is not None]
    for filler in fillers:
        if any(row.start_ms < filler.end_ms and row.end_ms > filler.start_ms for row in measured):
            continue
        rows = [
            row for row in rows if row.end_ms <= filler.start_ms or row.start_ms >= filler.end_ms
        ]
        rows.append(filler)
    return sorted(rows, key=lambda row: row.start_ms)
