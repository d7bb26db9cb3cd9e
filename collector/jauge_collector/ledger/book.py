"""The ledger's book: rows with their revisions, marks of what to recompute, and entries of people.

Synchronous, and safe to use from several threads and processes: each call is one transaction,
durable when it returns. Who recomputes rows holds `Ledger.writer`.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from jauge_models.intervals import Basis, Interval
from jauge_models.wire import Method
from sqlalchemy import Connection, func, select

from jauge_collector.ledger import agents, chain, clocks, schema
from jauge_collector.ledger.chain import Link
from jauge_collector.ledger.clocks import ClockSpan
from jauge_collector.ledger.closed_rows import Closed
from jauge_collector.ledger.database import LedgerError, LedgerLockedError
from jauge_collector.ledger.descriptions import DescriptionBook
from jauge_collector.ledger.entries import (
    Attested,
    Draft,
    Entry,
    Lost,
    add_entry,
    attested_amounts,
    corrected_span,
    entries_of,
    widened,
)
from jauge_collector.ledger.marks import (
    QUARTER_MS,
    Mark,
    add_marks,
    ahead,
    bring_back,
    due_since,
    marks_of,
    quarters_of,
    remove_marks,
)
from jauge_collector.ledger.rows import (
    Changes,
    Jump,
    Row,
    Saved,
    Standing,
    Stretch,
    add_subjects,
    dial_rows,
    intervals_touching,
    replace_jumps,
    replace_rows,
    row_of,
    rows_holding,
    rows_touching,
    span_of_amounts,
    subject_ids,
    written_in,
)
from jauge_collector.ledger.shares import ShareBook

__all__ = ["QUARTER_MS", "Ledger", "LedgerError", "LedgerLockedError", "Mark", "SetAside"]


class SetAside(NamedTuple):
    """An attested amount that does not count, for rows that hold amounts lie in its span.

    They reach from ``first_ms`` to ``last_ms`` and may leave holes between.
    """

    entry: Entry
    first_ms: int
    last_ms: int


class Ledger(ShareBook, DescriptionBook):
    """The accounting record in one SQLite file. A context manager, or `close` it."""

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
            attested = self._amounts(connection, site)

            def counting(meter: str, start_ms: int, end_ms: int) -> list[Interval]:
                if meter not in ids:
                    return []
                rows = intervals_touching(connection, ids[meter], start_ms, end_ms, proofs=proofs)
                rows = self._standing(connection, site, meter, rows, span=(start_ms, end_ms))
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

    def _amounts(self, connection: Connection, site: str) -> dict[str, list[Attested]]:
        """Attested amounts that may count: all that hold."""
        return attested_amounts(connection, site)

    def _standing(
        self,
        connection: Connection,  # noqa: ARG002 - for those who count fewer
        site: str,  # noqa: ARG002
        meter: str,  # noqa: ARG002
        rows: list[Interval],
        *,
        span: tuple[int, int],  # noqa: ARG002
    ) -> list[Interval]:
        """Of a meter's rows touching a span those that may count: all."""
        return rows

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
            attested = self._amounts(connection, site)
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

    def holding(self, site: str, subjects: Iterable[str], time_ms: int) -> dict[str, Row]:
        """The computed row that holds a moment, of each of some subjects that has one."""
        with self._reading() as connection:
            ids = subject_ids(connection, site, subjects)
            rows = rows_holding(connection, list(ids.values()), time_ms)
        return {name: rows[key] for name, key in ids.items() if key in rows}

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

        A final row that changes or goes keeps its earlier revision; a final row stays final. One
        that is closed stays as it is, and what it would be is proposed; see `closed_rows`.
        """
        written = revised = 0
        fewer: dict[str, Sequence[tuple[int, int]]] = {}
        stretches = list(stretches)
        with self._writing() as connection:
            ids = subject_ids(connection, site, (stretch.subject for stretch in stretches))
            ids |= add_subjects(
                connection,
                site,
                {
                    stretch.subject: stretch.commodity
                    for stretch in stretches
                    if stretch.subject not in ids and (stretch.rows or stretch.jumps)
                },
            )
            closed = None
            if any(stretch.meter for stretch in stretches):
                closed = Closed.of(connection, site, now_ms)
            for some in _of_one_span(one for one in stretches if one.subject in ids):
                standing = Standing.of(
                    connection,
                    [ids[stretch.subject] for stretch in some],
                    some[0].start_ms,
                    some[0].end_ms,
                    by_hand=some[0].by_hand,
                )
                changes = Changes(now_ms)
                for stretch in some:
                    key = ids[stretch.subject]
                    saved = replace_rows(
                        connection, key, stretch, standing=standing, changes=changes, closed=closed
                    )
                    written += saved.written
                    revised += saved.revised
                    fewer |= saved.fewer
                    replace_jumps(connection, key, stretch, standing)
                changes.carry_out(connection)
        return Saved(written, revised, fewer)

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
        wrong_clocks: Mapping[tuple[str, str], Iterable[ClockSpan]] = MappingProxyType({}),
    ) -> None:
        """`mark`, `set_oldest`, `note_clock` for many agents, by (site, agent), in one commit."""
        marks = [
            (site, "agent", agent, start, start + QUARTER_MS)
            for (site, agent), starts in arrived.items()
            for start in {start - start % QUARTER_MS for start in starts}
        ]
        with self._writing() as connection:
            for (site, agent), spans in wrong_clocks.items():
                news = clocks.note(connection, self._insert(schema.clocks), site, agent, spans)
                marks += [(site, "agent", agent, *span) for span in quarters_of(news, now_ms)]
            add_marks(connection, self._insert(schema.marks), marks, now_ms)
            agents.set_oldest(connection, self._insert(schema.agents), oldest_ms)

    def mark_meter(
        self, site: str, meter: str, start_ms: int, end_ms: int | None, now_ms: int
    ) -> None:
        """What is declared about a meter changed for a span; an end of None is open."""
        with self._writing() as connection:
            mark = (site, "meter", meter, start_ms, end_ms or 0)
            add_marks(connection, self._insert(schema.marks), [mark], now_ms)

    def mark_all_since(self, start_ms: int, now_ms: int) -> None:
        """What any known agent brought since a moment, or had not brought then, is due again."""
        t = schema.agents.c
        with self._writing() as connection:
            known = connection.execute(select(t.site, t.agent, t.oldest_ms)).all()
            marks = [
                (site, "agent", agent, min(oldest_ms, start_ms), now_ms)
                for site, agent, oldest_ms in known
                if min(oldest_ms, start_ms) < now_ms
            ]
            add_marks(connection, self._insert(schema.marks), marks, now_ms)

    def marks(self, site: str, until_ms: int) -> list[Mark]:
        """Marks of agents first set by a moment, and all of meters."""
        with self._reading() as connection:
            return marks_of(connection, site, until_ms)

    def bring_back(self, site: str, now_ms: int) -> None:
        """Stamp marks from far ahead anew: a clock wrote them that was set back since."""
        with self._reading() as connection:
            if not ahead(connection, site, now_ms):
                return
        with self._writing() as connection:
            bring_back(connection, site, now_ms)

    def due_since(self, now_ms: int) -> int | None:
        """Since when the mark waits that is due longest, of all sites; None where none is due.

        One is due from the end of what it marks, or from when it was set if that came later.
        """
        with self._reading() as connection:
            return due_since(connection, now_ms)

    def unmark(self, site: str, marks: Iterable[Mark]) -> int:
        """Delete marks that were not renewed since they were read; returns how many went."""
        gone = list(marks)
        if not gone:
            return 0
        with self._writing() as connection:
            return remove_marks(connection, site, gone)

    def set_oldest(self, site: str, agent: str, oldest_ms: int) -> None:
        """Keep an agent's ``bfrom``: all its batches before that moment are stored."""
        self.record({}, {(site, agent): oldest_ms}, 0)

    def note_clock(self, site: str, agent: str, spans: Iterable[ClockSpan], now_ms: int) -> None:
        """An agent's clock was wrong when it stamped these spans: mark what they feed; durable.

        What is known already changes nothing, and the order in which spans are noted neither.
        """
        self.record({}, {}, now_ms, {(site, agent): spans})

    def wrong_clocks(self, site: str) -> dict[str, list[ClockSpan]]:
        """Of each agent whose clock was ever wrong: when, in its own time stamps, in order."""
        with self._reading() as connection:
            return clocks.spans_of(connection, site)

    def withdraw_clock(
        self,
        site: str,
        agent: str,
        from_ms: int,
        to_ms: int,
        *,
        reason: str,
        signatory: str,
        now_ms: int,
    ) -> tuple[int, list[ClockSpan]]:
        """Take back that an agent's clock was wrong in [from, to): the spans that lie in it go.

        Returns the number of the entry that keeps what they were, and the spans; (0, []) where
        there is none. What they feed is marked in the same commit.
        """
        with self._writing() as connection:
            gone = clocks.withdraw(connection, site, agent, from_ms, to_ms)
            if not gone:
                return 0, []
            marks = [(site, "agent", agent, *span) for span in quarters_of(gone, now_ms)]
            add_marks(connection, self._insert(schema.marks), marks, now_ms)
            content = {"reason": reason, "spans": [list(span) for span in gone]}
            draft = Draft(
                kind="clock_withdrawal",
                subject=agent,
                start_ms=gone[0].from_ms,
                end_ms=gone[-1].to_ms,
                content=json.dumps(content, sort_keys=True),
                signatory=signatory,
                document=None,
                corrects=None,
                entered_ms=now_ms,
            )
            return add_entry(connection, site, draft), gone

    def oldest(self, site: str) -> dict[str, int]:
        """``bfrom`` of every agent of a site that ever sent one."""
        with self._reading() as connection:
            return agents.oldest_of(connection, site)

    def set_methods(self, site: str, agent: str, methods: Mapping[tuple[str, str], Method]) -> None:
        """Keep how an agent's birth says that each (resource, quantity) is obtained.

        What earlier births said stays beside it, for a birth that is sent before every source was
        read says less, and readings of what is gone may still come. Once both together are more
        than `agents.MAX_METHODS_OF_AGENT`, only the newest birth is kept.
        """
        if not methods:
            return
        with self._writing() as connection:
            agents.set_methods(connection, self._insert(schema.methods), site, agent, methods)

    def methods(self, site: str) -> dict[tuple[str, str, str], Method]:
        """The kept methods of a site by (agent, resource, quantity)."""
        with self._reading() as connection:
            return agents.methods_of(connection, site)

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
        """Add an entry, linked into the chain, and return its number.

        What it corrects stays, and no longer holds.

        ``restates`` names meters and spans whose rows it changes; they are marked with it, and
        the span of what it corrects too. Raises ConfigurationError where ``corrects`` names no
        entry of this site and kind that still holds; nor, unless it ``may_move``, of this subject.
        ``restates`` of one that does names the meters of both.
        """
        draft = Draft(
            kind=kind,
            subject=subject,
            start_ms=start_ms,
            end_ms=end_ms,
            content=json.dumps(content, sort_keys=True, allow_nan=False),
            signatory=signatory,
            document=document,
            corrects=corrects,
            entered_ms=now_ms,
        )
        with self._writing() as connection:
            spans = list(restates)
            if corrects is not None:
                old = corrected_span(connection, site, draft, corrects, may_move=may_move)
                spans = [widened(span, *old) for span in spans]
            marks = [(site, "meter", meter, start, end or 0) for meter, start, end in spans]
            add_marks(connection, self._insert(schema.marks), marks, now_ms)
            return add_entry(connection, site, draft)

    def entries(
        self, site: str, kind: str, subject: str | None = None, *, corrected: bool = False
    ) -> list[Entry]:
        """Entries of one kind by time; those that were corrected only when asked for."""
        with self._reading() as connection:
            return entries_of(connection, site, kind, subject, corrected=corrected)

    def withdrawn(self, _site: str, _kind: str) -> list[Entry]:
        """Entries that were corrected by what does not count; none where all that holds counts."""
        return []

    def lost(
        self,
        _site: str,
        *,
        counts_from: Mapping[str, int] | None = None,  # noqa: ARG002 - for those who count fewer
        within: tuple[int, int] | None = None,  # noqa: ARG002
    ) -> Mapping[str, Sequence[Lost]]:
        """By meter what counted before it was `withdrawn`; none where all that holds counts.

        All of it, or what touches a span.
        """
        return {}

    def unsure(
        self,
        site: str,
        meters: Iterable[str],
        start_ms: int,
        end_ms: int,
        longest_ms: int | None = None,
        *,
        counts_from: Mapping[str, int] | None = None,
    ) -> frozenset[str]:
        """Meters of which something that counted in [start, end) is `lost`.

        What is left of them could make a better figure than the whole did, so it makes none. A
        hole of more than ``longest_ms`` is passed over: it withholds a figure by itself.
        """
        lost = self.lost(site, counts_from=counts_from, within=(start_ms, end_ms))

        def withholds(one: Lost) -> bool:
            inside_ms = min(one.row.end_ms, end_ms) - max(one.row.start_ms, start_ms)
            is_seen = longest_ms is not None and inside_ms > longest_ms and one.is_hole
            return not is_seen

        return frozenset(meter for meter in meters if any(map(withholds, lost.get(meter, ()))))

    # --- the chain

    def link(
        self, site: str, kind: str, subject: str, content: Mapping[str, Any], now_ms: int
    ) -> Link:
        """Add a link to the chain; durable. ``content`` is what JSON can hold, without NaN."""
        with self._writing() as connection:
            return chain.add_link(connection, site, kind, subject, content, now_ms)

    def links(self, site: str, kind: str | None = None, subject: str | None = None) -> list[Link]:
        """Links of a site in their order, of one kind or subject where given."""
        with self._reading() as connection:
            return chain.links(connection, site, kind, subject)


def _of_one_span(stretches: Iterable[Stretch]) -> Iterator[list[Stretch]]:
    """Stretches in their order, those together that have one span and no subject twice."""
    some: list[Stretch] = []
    names: set[str] = set()
    for stretch in stretches:
        span = (stretch.start_ms, stretch.end_ms, stretch.by_hand)
        if some and (
            stretch.subject in names or span != (some[0].start_ms, some[0].end_ms, some[0].by_hand)
        ):
            yield some
            some, names = [], set()
        some.append(stretch)
        names.add(stretch.subject)
    if some:
        yield some


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
