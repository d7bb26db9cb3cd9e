"""Rows of the ledger as its database holds them; each function joins its caller's transaction."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec
from jauge_models.intervals import Basis, Flag, Grade, Interval, Point
from jauge_models.topology import Commodity
from sqlalchemy import ColumnElement, Connection, Dialect, bindparam, delete, func, insert, select

from jauge_collector.ledger import schema
from jauge_collector.ledger.closed_rows import Closed, Guard, MayLessen, Notes, Verdict


class Row(msgspec.Struct, frozen=True, gc=False):
    """One row of the ledger with its provenance: ``feed`` is ``<agent>/<resource>/<quantity>``.

    A row that is not final may still be overwritten without leaving a revision.
    """

    interval: Interval
    feed: str
    final: bool
    revision: int = 0
    computed_ms: int = 0
    replaced_ms: int | None = None
    """When a later revision took its place; None for the current one."""


class Jump(NamedTuple):
    """An undeclared jump of a running total: the reading that jumped, the last one believed."""

    feed: str
    at_ms: int
    before_ms: int


class Stretch(NamedTuple):
    """Recomputed rows of one subject: all there is in [start, end).

    ``jumps`` are all among the readings that were seen, and ``seen`` gives the first and the
    last time of those by feed. With ``by_hand`` the rows are those of dial readings: they stand
    only where no other row does, and never take the place of one. Without it, a row of dial
    readings stays where no new row touches it.

    The rows of a ``meter`` of the site are closed in time, see `closed_rows`; ``reason`` says why
    they were computed again. ``may_lessen`` is given where rows come from readings: one that rests
    on fewer of them takes no other's place, whoever's it is. Rows that end by ``final_ms`` are
    final.
    """

    subject: str
    commodity: Commodity
    start_ms: int
    end_ms: int
    rows: Sequence[Row]
    jumps: Sequence[Jump] = ()
    seen: Mapping[str, tuple[int, int]] = MappingProxyType({})
    by_hand: bool = False
    meter: bool = False
    reason: str = "readings"
    may_lessen: MayLessen | None = None
    final_ms: int = 0


class Saved(NamedTuple):
    """What saving changed; ``fewer`` are spans of rows that stayed for want of readings."""

    written: int
    revised: int
    fewer: Mapping[str, Sequence[tuple[int, int]]] = MappingProxyType({})
    """By subject."""


def subject_ids(connection: Connection, site: str, names: Iterable[str]) -> dict[str, int]:
    """Keys of those of a site's subjects that have rows, by name."""
    t = schema.subjects.c
    wanted = list(dict.fromkeys(names))
    keys: dict[str, int] = {}
    for at in range(0, len(wanted), _NAMES_AT_ONCE):
        some = t.name.in_(wanted[at : at + _NAMES_AT_ONCE])
        for row in connection.execute(select(t.name, t.id).where(t.site == site, some)):
            keys[row.name] = row.id
    return keys


def keys_of_subjects(connection: Connection, site: str) -> dict[str, int]:
    """Keys of all of a site's subjects that have rows, by name."""
    t = schema.subjects.c
    found = connection.execute(select(t.name, t.id).where(t.site == site))
    return {name: key for name, key in found}  # noqa: C416 - a result is no mapping


def electricity_subjects(connection: Connection, site: str) -> frozenset[str]:
    """Names of everything of a site that has rows of electricity."""
    t = schema.subjects.c
    electric = t.commodity == Commodity.ELECTRICITY.value
    return frozenset(connection.execute(select(t.name).where(t.site == site, electric)).scalars())


def add_subjects(
    connection: Connection, site: str, subjects: Mapping[str, Commodity]
) -> dict[str, int]:
    """The keys of new subjects, by name."""
    if not subjects:
        return {}
    connection.execute(
        insert(schema.subjects),
        [
            {"site": site, "name": name, "commodity": commodity.value}
            for name, commodity in subjects.items()
        ],
    )
    return subject_ids(connection, site, subjects)


def add_subject(connection: Connection, site: str, name: str, commodity: Commodity) -> int:
    """The key of a new subject."""
    added = insert(schema.subjects).values(site=site, name=name, commodity=commodity.value)
    return int(connection.execute(added.returning(schema.subjects.c.id)).scalar_one())


_NAMES_AT_ONCE: Final = 500
_T: Final = schema.intervals.c
_CURRENT: Final = select(schema.intervals)
_MEASURED: Final = select(
    _T.start_ms,
    _T.end_ms,
    _T.amount,
    _T.covered_ms,
    _T.profile_ms,
    _T.basis,
    _T.grade,
    _T.opening_ms,
    _T.opening,
    _T.closing_ms,
    _T.closing,
    _T.flags,
)
_AT_ONCE: Final = 2000
"""Records fetched at once: they are gone before the garbage collector looks through them."""


def rows_holding(connection: Connection, subjects: Sequence[int], time_ms: int) -> dict[int, Row]:
    """The current row that holds a moment, of each of some subjects that has one."""
    found = _touching_of_many(connection, subjects, time_ms, time_ms + 1)
    return {subject: row_of(record) for subject, (record, *_) in found.items()}


def rows_touching(connection: Connection, subject: int, start_ms: int, end_ms: int) -> list[Row]:
    """Current rows of a subject that touch [start, end), in time order."""
    return [row_of(record) for record in _touching(connection, subject, start_ms, end_ms)]


def dial_rows(connection: Connection, subject: int) -> list[Row]:
    """Current rows of a subject that dial readings gave, in time order."""
    statement = _CURRENT.where(_T.subject == subject, _T.basis == _ATTESTED)
    return [row_of(record) for record in connection.execute(statement.order_by(_T.start_ms))]


def records_touching(
    connection: Connection, subject: int, start_ms: int, end_ms: int
) -> Sequence[tuple[Any, ...]]:
    """Records of the current rows of a subject that touch [start, end), in time order."""
    return _touching(connection, subject, start_ms, end_ms)


def _touching(
    connection: Connection, subject: int, start_ms: int, end_ms: int
) -> Sequence[tuple[Any, ...]]:
    """As records: rows never overlap, so one at most begins before the start."""
    given = {"subject": subject, "start": start_ms, "end": end_ms}
    return connection.execute(_TOUCHING, given).all()


def _touching_of_many(
    connection: Connection,
    subjects: Sequence[int],
    start_ms: int,
    end_ms: int,
    *,
    by_hand: bool = False,
) -> dict[int, list[Sequence[Any]]]:
    """The same of each of some subjects that has any; ``by_hand`` those of dial readings alone."""
    statement = _TOUCHING_BY_HAND_OF_MANY if by_hand else _TOUCHING_OF_MANY
    found: dict[int, list[Sequence[Any]]] = {}
    for at in range(0, len(subjects), _NAMES_AT_ONCE):
        some = subjects[at : at + _NAMES_AT_ONCE]
        given = {"subjects": some, "start": start_ms, "end": end_ms}
        for record in connection.execute(statement, given):
            found.setdefault(record[0], []).append(record)
    return found


def _within(subject: Any, start_ms: Any, end_ms: Any) -> tuple[ColumnElement[bool], ...]:
    earlier = schema.intervals.alias("earlier")
    first = (
        select(func.max(earlier.c.start_ms))
        .where(earlier.c.subject == subject, earlier.c.start_ms <= start_ms)
        .correlate(schema.subjects)
        .scalar_subquery()
    )
    return (
        _T.subject == subject,
        _T.start_ms >= func.coalesce(first, start_ms),
        _T.start_ms < end_ms,
        _T.end_ms > start_ms,
    )


# Made once: SQLAlchemy takes longer to make one than SQLite to carry it out.
_TOUCHING: Final = _CURRENT.where(
    *_within(bindparam("subject"), bindparam("start"), bindparam("end"))
).order_by(_T.start_ms)
# Joined, so that the bound of each subject is looked up once, and not for each of its rows.
_TOUCHING_OF_MANY: Final = (
    _CURRENT.join(schema.subjects, schema.subjects.c.id == _T.subject)
    .where(
        schema.subjects.c.id.in_(bindparam("subjects", expanding=True)),
        *_within(schema.subjects.c.id, bindparam("start"), bindparam("end")),
    )
    .order_by(_T.subject, _T.start_ms)
)


def written_in(
    connection: Connection, subject: int, start_ms: int, end_ms: int
) -> tuple[object, ...]:
    """How many rows touch [start, end), when the last was written, and their revisions."""
    counted = select(func.count(), func.max(_T.computed_ms), func.sum(_T.revision))
    return tuple(connection.execute(counted.where(*_within(subject, start_ms, end_ms))).one())


def span_of_amounts(
    connection: Connection,
    subject: int,
    start_ms: int,
    end_ms: int,
    *,
    counts: ColumnElement[bool] | None = None,
) -> tuple[int, int] | None:
    """First start and last end of the rows touching [start, end) that hold an amount."""
    where = [*_within(subject, start_ms, end_ms), _T.amount.is_not(None)]
    if counts is not None:
        where.append(counts)
    found = connection.execute(select(func.min(_T.start_ms), func.max(_T.end_ms)).where(*where))
    first, last = found.one()
    return None if first is None else (first, last)


def intervals_touching(
    connection: Connection, subject: int, start_ms: int, end_ms: int, *, proofs: bool
) -> list[Interval]:
    """Current rows of a subject that touch [start, end), in time order, without provenance.

    ``proofs`` as for `Ledger.rows`.
    """
    statement = _MEASURED.where(*_within(subject, start_ms, end_ms)).order_by(_T.start_ms)
    found: list[Interval] = []
    for records in connection.execute(statement).partitions(_AT_ONCE):
        found += _intervals(records, proofs=proofs)
    return found


def row_of(record: Sequence[Any]) -> Row:
    """A record of `intervals` or `revisions`: columns by place, for ten years are many rows."""
    (_, start, revision, *content, feed, final, computed_ms) = record[:17]
    (interval,) = _intervals([(start, *content)], proofs=True)
    return Row(interval, feed, final, revision, computed_ms)


def _intervals(records: Iterable[Sequence[Any]], *, proofs: bool) -> Iterator[Interval]:
    """Records of the columns from ``start_ms`` to ``flags``, less ``revision``.

    A row that opens with the reading that closed the one before shares it.
    """
    closed: Point | None = None
    for (
        start, end, amount, covered, profile, basis, grade,
        opening_ms, opening, closing_ms, closing, flags,
    ) in records:  # fmt: skip
        opened = None
        if proofs or flags or basis == _ATTESTED:
            if opening_ms is not None:
                opened = closed
                if opened is None or opened != (opening_ms, opening):
                    opened = Point(opening_ms, opening)
            closed = None if closing_ms is None else Point(closing_ms, closing)
        else:
            closed = None
        yield Interval(
            start,
            end,
            amount,
            covered,
            profile,
            _BASES[basis],
            _GRADES[grade],
            opened,
            closed,
            _flags(flags),
        )


_ATTESTED: Final = Basis.ATTESTED.value
_TOUCHING_BY_HAND_OF_MANY: Final = _TOUCHING_OF_MANY.where(_T.basis == _ATTESTED)
_BASES: Final = {basis.value: basis for basis in Basis}
_GRADES: Final = {grade.value: grade for grade in Grade}


@cache
def _flags(text: str) -> frozenset[Flag]:
    return frozenset(Flag(word) for word in text.split())


@cache
def _flags_text(flags: frozenset[Flag]) -> str:
    return " ".join(sorted(flags))


_NAMES: Final = tuple(schema.intervals.c.keys())
_START, _REVISION, _CONTENT, _FINAL = 1, 2, slice(3, 15), 15
_END, _BASIS, _FLAGS = (_NAMES.index(name) for name in ("end_ms", "basis", "flags"))


def content_of(row: Row) -> tuple[object, ...]:
    """What makes a row another one when it differs: the columns from ``end_ms`` to ``feed``."""
    i = row.interval
    opening, closing = i.opening, i.closing
    return (
        i.end_ms,
        i.amount,
        i.covered_ms,
        i.profile_ms,
        i.basis.value,
        i.grade.value,
        opening and opening.time_ms,
        opening and opening.value,
        closing and closing.time_ms,
        closing and closing.value,
        _flags_text(i.flags),
        row.feed,
    )


class Standing(NamedTuple):
    """What stands of some subjects in a span, read in as few statements as of one."""

    records: Mapping[int, Sequence[Sequence[Any]]]
    """Records of the rows that touch it, by subject, in time order."""
    revisions: Mapping[int, Mapping[int, int]]
    """Number of the last kept revision of the rows that begin in it, by subject and start."""
    jumps: Mapping[int, frozenset[Jump]]
    """All known, by subject."""

    @classmethod
    def of(
        cls,
        connection: Connection,
        subjects: Sequence[int],
        start_ms: int,
        end_ms: int,
        *,
        by_hand: bool = False,
    ) -> "Standing":
        """``by_hand`` gives those records of dial readings alone."""
        records = _touching_of_many(connection, subjects, start_ms, end_ms, by_hand=by_hand)
        revisions: dict[int, dict[int, int]] = defaultdict(dict)
        jumps: dict[int, set[Jump]] = defaultdict(set)
        for at in range(0, len(subjects), _NAMES_AT_ONCE):
            some = subjects[at : at + _NAMES_AT_ONCE]
            given = {"subjects": some, "start": start_ms, "end": end_ms}
            for subject, start, revision in connection.execute(_LATEST_REVISIONS_OF_MANY, given):
                revisions[subject][start] = revision
            for subject, *jump in connection.execute(_JUMPS_OF_MANY, {"subjects": some}):
                jumps[subject].add(Jump(*jump))
        return cls(
            records, revisions, {subject: frozenset(found) for subject, found in jumps.items()}
        )


class Changes:
    """What `replace_rows` found to do, of subjects that differ; done by `carry_out`."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self._gone: list[dict[str, int]] = []
        self._archived: list[dict[str, object]] = []
        self._records: list[tuple[object, ...]] = []

    def note(
        self,
        subject: int,
        gone: Iterable[int],
        archived: Iterable[dict[str, object]],
        fresh: Mapping[int, tuple[tuple[object, ...], bool]],
        revisions: Mapping[int, int],
    ) -> None:
        """Of a subject: starts of rows that go, what of them is kept, what comes at a start."""
        self._gone += [{"of_subject": subject, "at": start} for start in gone]
        self._archived += archived
        self._records += [
            (subject, start, revisions.get(start, -1) + 1, *content, final, self.now_ms)
            for start, (content, final) in fresh.items()
        ]

    def carry_out(self, connection: Connection) -> None:
        """In the caller's transaction."""
        if self._gone:
            connection.execute(_GOES, self._gone)
        if self._archived:
            connection.execute(insert(schema.revisions), self._archived)
        if self._records:
            # Past SQLAlchemy's handling of each parameter, which takes longer than SQLite's work.
            connection.exec_driver_sql(_insertion(connection.dialect), self._records)


def replace_rows(
    connection: Connection,
    subject: int,
    stretch: Stretch,
    *,
    standing: Standing,
    changes: Changes,
    closed: Closed | None = None,
) -> Saved:
    """Put a stretch's rows in place of what stands there; see `Ledger.save`.

    ``standing`` is what stands in its span. The rows themselves wait in ``changes``. ``closed`` is
    what is closed of the site; nothing is of what is no meter.
    """
    notes = Notes(subject, stretch.reason, changes.now_ms, by_hand=stretch.by_hand)
    guard = Guard(
        connection,
        closed=closed if stretch.meter else None,
        may_lessen=stretch.may_lessen,
        notes=notes,
    )
    rows = list(stretch.rows)
    if stretch.by_hand:
        rows = [row for row in rows if not _holds_measured(connection, subject, row.interval)]
    fresh = {row.interval.start_ms: (content_of(row), row.final) for row in rows}
    spans = sorted((row.interval.start_ms, row.interval.end_ms) for row in rows)
    revisions = dict(standing.revisions.get(subject, {}))
    archived: list[dict[str, object]] = []
    gone: list[int] = []
    settled: dict[int, tuple[tuple[object, ...], bool]] = {}
    for old in standing.records.get(subject, ()):
        start = old[_START]
        if Flag.COMPACTED in old[_FLAGS]:  # what it was made of is gone: it stays
            fresh = {at: row for at, row in fresh.items() if not start <= at < old[_END]}
            continue
        if old[_BASIS] == _ATTESTED and not stretch.by_hand and not _touched(old, spans):
            continue
        new = fresh.get(start)
        if new is not None and old[_CONTENT] == new[0]:
            if old[_FINAL] or not new[1]:
                del fresh[start]
                continue
        elif guard.verdict(old, new and new[0]) is not Verdict.REPLACE:
            fresh.pop(start, None)
            if not old[_FINAL] and old[_END] <= stretch.final_ms:
                settled[start] = (tuple(old[_CONTENT]), True)
                gone.append(start)
            continue
        elif old[_FINAL]:
            archived.append(dict(zip(_NAMES, old, strict=True), replaced_ms=changes.now_ms))
            revisions[start] = old[_REVISION]
            if new is not None:
                fresh[start] = (new[0], True)
        gone.append(start)
    fresh = guard.let_in(fresh, gone) | settled
    guard.keep(stretch.start_ms, stretch.end_ms)
    changes.note(subject, gone, archived, fresh, revisions)
    fewer = {stretch.subject: guard.fewer} if guard.fewer else {}
    return Saved(len(fresh), len(archived), fewer)


def put_in_place(
    connection: Connection,
    subject: int,
    changes: Sequence[tuple[int, bool, tuple[object, ...] | None]],
    now_ms: int,
) -> None:
    """Carry out some changes, each at a start: whether the row there goes, and what comes.

    What goes is kept as a revision; what comes is a row's content, and final.
    """
    starts = {start for start, goes, _ in changes if goes}
    low, high = min(change[0] for change in changes), max(change[0] for change in changes) + 1
    standing = Standing.of(connection, [subject], low, high)
    revisions = dict(standing.revisions.get(subject, {}))
    archived: list[dict[str, object]] = []
    for old in standing.records.get(subject, ()):
        if old[_START] in starts:
            archived.append(dict(zip(_NAMES, old, strict=True), replaced_ms=now_ms))
            revisions[old[_START]] = old[_REVISION]
    fresh = {start: (new, True) for start, _, new in changes if new is not None}
    done = Changes(now_ms)
    done.note(subject, sorted(starts), archived, fresh, revisions)
    done.carry_out(connection)


@lru_cache(maxsize=4)
def _insertion(dialect: Dialect) -> str:
    return str(insert(schema.intervals).compile(dialect=dialect))


def _holds_measured(connection: Connection, subject: int, interval: Interval) -> bool:
    """Whether a row that no person's dial reading gave touches an interval."""
    within = _within(subject, interval.start_ms, interval.end_ms)
    found = select(_T.start_ms).where(*within, _T.basis != _ATTESTED).limit(1)
    return connection.execute(found).first() is not None


def _touched(old: Sequence[Any], spans: Sequence[tuple[int, int]]) -> bool:
    """Whether one of some spans in order, none of which overlap, touches a row."""
    at = bisect_left(spans, (old[_END],)) - 1
    return at >= 0 and spans[at][1] > old[_START]


_R: Final = schema.revisions.c
_LATEST_REVISIONS_OF_MANY: Final = (
    select(_R.subject, _R.start_ms, func.max(_R.revision))
    .where(
        _R.subject.in_(bindparam("subjects", expanding=True)),
        _R.start_ms >= bindparam("start"),
        _R.start_ms < bindparam("end"),
    )
    .group_by(_R.subject, _R.start_ms)
)
_J: Final = schema.jumps.c
_JUMPS_OF_MANY: Final = select(_J.subject, _J.feed, _J.at_ms, _J.before_ms).where(
    _J.subject.in_(bindparam("subjects", expanding=True))
)
_GOES: Final = delete(schema.intervals).where(
    _T.subject == bindparam("of_subject"), _T.start_ms == bindparam("at")
)


def replace_jumps(
    connection: Connection, subject: int, stretch: Stretch, standing: Standing
) -> None:
    """Put a stretch's jumps in place of those known among its readings."""
    t = schema.jumps.c
    if not stretch.seen:
        return
    known = {
        jump
        for jump in standing.jumps.get(subject, ())
        if jump.feed in stretch.seen
        and stretch.seen[jump.feed][0] < jump.at_ms <= stretch.seen[jump.feed][1]
    }
    found = set(stretch.jumps)
    for jump in known - found:
        connection.execute(
            delete(schema.jumps).where(
                t.subject == subject, t.feed == jump.feed, t.at_ms == jump.at_ms
            )
        )
    if added := found - known:
        connection.execute(
            insert(schema.jumps), [{"subject": subject, **jump._asdict()} for jump in added]
        )
