"""What rows of one subject add up to over a span, summed by the database.

For a record of a thousand machines and a year: none of their rows is read. Time adds up in whole
milliseconds, so that no sum depends on the order of its parts.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from jauge_models.intervals import Basis, Flag, Grade
from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    case,
    func,
    not_,
    or_,
    select,
)

from jauge_collector.ledger import schema

_T: Final = schema.intervals.c
DAY_MS: Final = 86_400_000


class Sums(NamedTuple):
    """Of the rows that begin in a span and hold an amount: ms measured, and ms estimated.

    ``measured_ms`` is what is neither; of a row under a wrong clock the amount is measured and
    only its time is not. ``attested`` counts rows that stand on somebody's word: they are in
    ``measured_ms`` too, and who tells them apart must look at rows.
    """

    measured_ms: int
    estimated_ms: int
    first_ms: int | None
    """Where the first measured row begins."""
    end_ms: int
    """Where the last row ends."""
    attested: int


def is_estimated() -> ColumnElement[bool]:
    """Whether a row's amount is an estimate; see `Sums`."""
    return or_(
        _T.basis == Basis.ESTIMATE.value,
        and_(_T.grade == Grade.LOW.value, not_(_T.flags.contains(Flag.CLOCK.value))),
    )


_BEGINNING: Final = (
    _T.subject == bindparam("subject"),
    _T.start_ms >= bindparam("start"),
    _T.start_ms < bindparam("end"),
    _T.amount.is_not(None),
    _T.covered_ms > 0,
)
_SUMS: Final = (
    func.sum(case((is_estimated(), 0), else_=_T.covered_ms)),
    func.sum(case((is_estimated(), _T.covered_ms), else_=0)),
    func.min(case((not_(is_estimated()), _T.start_ms))),
    func.max(_T.end_ms),
    func.sum(case((_T.basis == Basis.ATTESTED.value, 1), else_=0)),
)
_WHOLE: Final = select(*_SUMS).where(*_BEGINNING)


def _reaching(moment: str) -> Select[int]:
    """Where the last row ends that begins before a moment and holds an amount."""
    return (
        select(_T.end_ms)
        .where(
            _T.subject == bindparam("subject"),
            _T.start_ms < bindparam(moment),
            _T.amount.is_not(None),
            _T.covered_ms > 0,
        )
        .order_by(_T.start_ms.desc())
        .limit(1)
    )


def _beside(statement: Select[int]) -> ScalarSelect[int]:
    """A statement's one value inside another statement."""
    return statement.correlate(None).scalar_subquery()


_FIRST: Final = select(_T.start_ms).where(*_BEGINNING).order_by(_T.start_ms).limit(1)
_QUICK: Final = select(
    func.sum(_T.covered_ms),
    func.count().filter(
        or_(
            _T.basis == Basis.ESTIMATE.value,
            _T.basis == Basis.ATTESTED.value,
            _T.grade == Grade.LOW.value,
        )
    ),
    _beside(_FIRST),
    _beside(_reaching("end")),
    _beside(_reaching("start")),
    _beside(_reaching("since")),
).where(*_BEGINNING)
"""Half the work of `_WHOLE`: enough where every row is simply measured. What else is asked of a
subject is in it, for of a thousand of them each statement costs."""
_DAY: Final = _T.start_ms // DAY_MS
_BY_DAY: Final = select(_DAY, *_SUMS).where(*_BEGINNING).group_by(_DAY).order_by(_DAY)
_AMOUNTS: Final = select(_T.amount).where(*_BEGINNING).order_by(_T.start_ms)
_MEASURED_AMOUNTS: Final = _AMOUNTS.where(not_(is_estimated()))
_LAST_MEASURED: Final = _reaching("at").where(
    not_(is_estimated()), _T.basis != Basis.ATTESTED.value
)


class Outline(NamedTuple):
    """What rows of a subject add up to over a span, and where those begun before it reach to."""

    sums: Sums | None
    """None where no row that begins there holds an amount."""
    over_start_ms: int | None
    """Where the last row ends that begins before the span and holds an amount; None without."""
    over_since_ms: int | None
    """The same of a moment within the span."""


def outline(
    connection: Connection, subject: int, start_ms: int, since_ms: int, end_ms: int
) -> Outline:
    """Over [start, end), with what reaches over its start and over a moment within it."""
    given = {"subject": subject, "start": start_ms, "since": since_ms, "end": end_ms}
    covered, unlike, first, last, *over = connection.execute(_QUICK, given).one()
    if covered is None:
        return Outline(None, *over)
    if unlike:
        return Outline(_made(connection.execute(_WHOLE, given).one()), *over)
    # Rows do not overlap: the last to begin is the last to end.
    return Outline(Sums(int(covered), 0, first, last, 0), *over)


def sums_by_day(
    connection: Connection, subject: int, start_ms: int, end_ms: int
) -> dict[int, Sums]:
    """`Sums` of each day UTC since the epoch in which a row begins, in time order."""
    given = {"subject": subject, "start": start_ms, "end": end_ms}
    return {int(day): _made(found) for day, *found in connection.execute(_BY_DAY, given)}


def _made(found: Sequence[Any]) -> Sums:
    measured, estimated, first, end, attested = found
    # Some databases answer sums of whole numbers as decimals.
    return Sums(int(measured), int(estimated), first, end, int(attested))


def measured_amounts(
    connection: Connection, subject: int, start_ms: int, end_ms: int, *, estimates: bool = True
) -> Sequence[float]:
    """Amounts of the rows that begin in [start, end) and are no estimates, in time order.

    Without ``estimates`` there are known to be none, which need not be looked for.
    """
    given = {"subject": subject, "start": start_ms, "end": end_ms}
    statement = _MEASURED_AMOUNTS if estimates else _AMOUNTS
    # Past SQLAlchemy's making of a record for each: there are millions.
    return [amount for (amount,) in connection.execute(statement, given).cursor.fetchall()]


def reach_of_measured(connection: Connection, subject: int, time_ms: int) -> int | None:
    """Where the last measured row ends that begins before a moment; None without.

    Measured is what holds an amount and is neither an estimate nor on somebody's word.
    """
    return connection.execute(_LAST_MEASURED, {"subject": subject, "at": time_ms}).scalar()
