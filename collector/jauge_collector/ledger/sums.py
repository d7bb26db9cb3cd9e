"""What rows of one subject add up to over a span, summed by the database.

For a record of a thousand machines and a year: none of their rows is read. Time adds up in whole
milliseconds, so that no sum depends on the order of its parts.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from jauge_models.intervals import Basis, Flag, Grade
from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, func, not_, or_, select

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
_QUICK: Final = select(
    func.sum(_T.covered_ms),
    func.sum(
        case(
            (
                or_(
                    _T.basis.in_([Basis.ESTIMATE.value, Basis.ATTESTED.value]),
                    _T.grade == Grade.LOW.value,
                ),
                1,
            ),
            else_=0,
        )
    ),
).where(*_BEGINNING)
"""Half the work of `_WHOLE`: enough where every row is simply measured."""
_FIRST: Final = select(_T.start_ms).where(*_BEGINNING).order_by(_T.start_ms).limit(1)
_DAY: Final = _T.start_ms // DAY_MS
_BY_DAY: Final = select(_DAY, *_SUMS).where(*_BEGINNING).group_by(_DAY).order_by(_DAY)
_AMOUNTS: Final = select(_T.amount).where(*_BEGINNING, not_(is_estimated())).order_by(_T.start_ms)
_REACHING: Final = (
    select(_T.end_ms)
    .where(
        _T.subject == bindparam("subject"),
        _T.start_ms < bindparam("at"),
        _T.amount.is_not(None),
        _T.covered_ms > 0,
    )
    .order_by(_T.start_ms.desc())
    .limit(1)
)
_LAST_MEASURED: Final = _REACHING.where(not_(is_estimated()), _T.basis != Basis.ATTESTED.value)


def sums(connection: Connection, subject: int, start_ms: int, end_ms: int) -> Sums | None:
    """Over [start, end); None where no row that begins there holds an amount."""
    given = {"subject": subject, "start": start_ms, "end": end_ms}
    covered, unlike = connection.execute(_QUICK, given).one()
    if covered is None:
        return None
    if unlike:
        return _made(connection.execute(_WHOLE, given).one())
    first = connection.execute(_FIRST, given).scalar_one()
    last = connection.execute(_REACHING, {"subject": subject, "at": end_ms}).scalar_one()
    return Sums(int(covered), 0, first, last, 0)


def sums_by_day(
    connection: Connection, subject: int, start_ms: int, end_ms: int
) -> dict[int, Sums]:
    """`sums` of each day UTC since the epoch in which a row begins, in time order."""
    given = {"subject": subject, "start": start_ms, "end": end_ms}
    return {int(day): _made(found) for day, *found in connection.execute(_BY_DAY, given)}


def _made(found: Sequence[Any]) -> Sums:
    measured, estimated, first, end, attested = found
    # Some databases answer sums of whole numbers as decimals.
    return Sums(int(measured), int(estimated), first, end, int(attested))


def measured_amounts(
    connection: Connection, subject: int, start_ms: int, end_ms: int
) -> Sequence[float]:
    """Amounts of the rows that begin in [start, end) and are no estimates, in time order."""
    given = {"subject": subject, "start": start_ms, "end": end_ms}
    # Past SQLAlchemy's making of a record for each: there are millions.
    return [amount for (amount,) in connection.execute(_AMOUNTS, given).cursor.fetchall()]


def reach_of_rows_before(connection: Connection, subject: int, time_ms: int) -> int | None:
    """Where the last row ends that begins before a moment and holds an amount; None without."""
    return connection.execute(_REACHING, {"subject": subject, "at": time_ms}).scalar()


def reach_of_measured(connection: Connection, subject: int, time_ms: int) -> int | None:
    """As `reach_of_rows_before`, of what is neither an estimate nor on somebody's word."""
    return connection.execute(_LAST_MEASURED, {"subject": subject, "at": time_ms}).scalar()
