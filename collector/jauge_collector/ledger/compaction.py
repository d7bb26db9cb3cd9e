"""Old rows of hosts and guests made fewer: hours become civil days or months, with the same sums.

Rows of the site's meters never are. Each step is one short transaction, so that a compaction that
was cut short is taken up again; who calls it holds `Ledger.writer`.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta, tzinfo
from enum import Enum
from typing import Final, NamedTuple

from jauge_models.intervals import Flag, compacted
from sqlalchemy import Connection, delete, insert, select

from jauge_collector import civil
from jauge_collector.ledger import schema
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.retention import Subject
from jauge_collector.ledger.rows import Row, content_of, rows_touching
from jauge_collector.stores import Held

_ROWS_AT_ONCE: Final = 5000
_HOUR_MS: Final = 3_600_000
_LONGEST_DAY_MS: Final = 26 * _HOUR_MS
_DAY: Final = timedelta(days=1)


class Unit(Enum):
    """What rows are made into; each has a transaction, and so a flush, for so many of them."""

    DAY = 64
    MONTH = 1


class Compaction(NamedTuple):
    """What became of rows: how many went, and into how many days or months."""

    rows: Held
    into: int


def compact(  # noqa: PLR0917 - what of whom, until when, where
    ledger: Ledger,
    subject: Subject,
    span: tuple[int, int],
    where: tzinfo,
    unit: Unit,
    now_ms: int,
    *,
    dry_run: bool,
) -> Compaction:
    """Make the rows of each civil day or month that ended by the span's end into one.

    Rows that ended by its start are taken to be gone, also where a dry run left them.
    Sums and covered time stay, the worst grade stands; revisions of what went go too. A day or
    month begins on the hour: where the zone's midnight is none, with the next one. It is left as
    it is where a row reaches over its bounds. Days that were made before are made into months.
    """
    gone, made, after_ms = Held(0), 0, 0
    since_ms, until_ms = span
    while starts := _starts_since(ledger, subject, after_ms, span, unit):
        spans = list(dict.fromkeys(_around(start, where, unit) for start in starts))
        after_ms = spans[-1][1]
        whole = [span for span in spans if span[1] <= until_ms]
        for at in range(0, len(whole), unit.value):
            with ledger.transaction(writes=not dry_run) as connection:
                for one in whole[at : at + unit.value]:
                    touching = rows_touching(connection, subject.key, *one)
                    parts = [part for part in touching if part.interval.end_ms > since_ms]
                    if not _can_be_one(parts, *one, unit):
                        continue
                    first, last = parts[0].interval, parts[-1].interval
                    gone = gone.joined(Held(len(parts), first.start_ms, last.start_ms))
                    made += 1
                    if not dry_run:
                        _replace(connection, subject, parts, one, now_ms)
    return Compaction(gone, made)


def _starts_since(
    ledger: Ledger, subject: Subject, after_ms: int, span: tuple[int, int], unit: Unit
) -> list[int]:
    """Starts of some rows that are none of this unit yet, from a moment on."""
    t = schema.intervals.c
    smaller = ~t.flags.contains(Flag.COMPACTED.value)
    if unit is Unit.MONTH:
        smaller |= t.end_ms - t.start_ms <= _LONGEST_DAY_MS
    statement = (
        select(t.start_ms)
        .where(t.subject == subject.key, t.start_ms >= after_ms, t.start_ms < span[1])
        .where(t.end_ms > span[0], smaller)
        .order_by(t.start_ms)
        .limit(_ROWS_AT_ONCE)
    )
    with ledger.transaction(writes=False) as connection:
        return list(connection.execute(statement).scalars())


def _around(time_ms: int, where: tzinfo, unit: Unit) -> tuple[int, int]:
    """The civil day or month that holds a moment, its bounds moved on to the next whole hour."""
    day = civil.day(time_ms, where)
    if time_ms < _on_the_hour(civil.midnight_ms(day, where)):
        day -= _DAY
    first, after = day, day + _DAY
    if unit is Unit.MONTH:
        first, after = civil.first_of_month(day), civil.first_of_month(day, 1)
    return _on_the_hour(civil.midnight_ms(first, where)), _on_the_hour(
        civil.midnight_ms(after, where)
    )


def _on_the_hour(time_ms: int) -> int:
    return -(-time_ms // _HOUR_MS) * _HOUR_MS


def _can_be_one(parts: Sequence[Row], start_ms: int, end_ms: int, unit: Unit) -> bool:
    """Whether these rows lie in the span and none was made into the unit before."""
    return bool(parts) and all(
        start_ms <= part.interval.start_ms
        and part.interval.end_ms <= end_ms
        and (
            Flag.COMPACTED not in part.interval.flags
            or (unit is Unit.MONTH and part.interval.length_ms <= _LONGEST_DAY_MS)
        )
        for part in parts
    )


def _replace(
    connection: Connection,
    subject: Subject,
    parts: Sequence[Row],
    span: tuple[int, int],
    now_ms: int,
) -> None:
    """Put one row in place of those of a span."""
    start_ms, end_ms = span
    whole = compacted([part.interval for part in parts], start_ms, end_ms)
    covered: Counter[str] = Counter()
    for part in parts:
        covered[part.feed] += part.interval.covered_ms
    row = Row(whole, covered.most_common(1)[0][0], final=True)
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
