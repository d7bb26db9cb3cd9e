"""The intervals of a dossier: what counts of each meter, with the readings that prove it."""

from collections.abc import Iterator, Sequence
from typing import Final

from jauge_models.intervals import Interval
from jauge_models.topology import Meter

from jauge_collector.csv_text import Cell, moment
from jauge_collector.reports.boundary import Span
from jauge_collector.reports.dossier_subject import Subject, Table, divisor, unit_of

_AT_ONCE_MS: Final = 31 * 86_400_000
"""Of intervals with their readings, so that a year is never held whole."""


def intervals(of: Subject, span: Span) -> Table:
    """What counts of each meter of the boundary in a span, with the readings that prove it.

    A row that reaches over the span's beginning stands whole, as the ledger holds it.
    """
    columns = (
        "meter",
        "start",
        "end",
        "amount",
        "unit",
        "covered_s",
        "basis",
        "grade",
        "flags",
        "opening_at",
        "opening",
        "closing_at",
        "closing",
    )
    return Table(columns, _intervals(of, span))


def _intervals(of: Subject, span: Span) -> Iterator[Sequence[Cell]]:
    for meter_id in of.boundary.meters:
        if not of.boundary.rows[meter_id]:
            continue  # one that is unsure has none, though some months of it would
        meter = of.boundary.topology.meter(meter_id)
        last_ms = -1
        for begin in range(span[0], span[1], _AT_ONCE_MS):
            end = min(begin + _AT_ONCE_MS, span[1])
            rows = of.counting.rows(
                of.site.name, [meter_id], begin, end, counts_from=of.boundary.since
            )
            for row in rows[meter_id]:
                if row.start_ms > last_ms:  # one over a cut was told before it
                    last_ms = row.start_ms
                    yield _interval(meter, row)


def _interval(meter: Meter, row: Interval) -> Sequence[Cell]:
    per = divisor(meter)
    return (
        meter.id,
        moment(row.start_ms),
        moment(row.end_ms),
        None if row.amount is None else row.amount / per,
        unit_of(meter),
        row.covered_ms / 1000,
        row.basis.value,
        row.grade.value,
        " ".join(sorted(flag.value for flag in row.flags)),
        None if row.opening is None else moment(row.opening.time_ms),
        None if row.opening is None else row.opening.value / per,
        None if row.closing is None else moment(row.closing.time_ms),
        None if row.closing is None else row.closing.value / per,
    )
