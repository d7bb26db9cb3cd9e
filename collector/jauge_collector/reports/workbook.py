"""A spreadsheet that works PUE and WUE out by itself, for who does not believe our programs.

Sheets: what was read of each meter in each piece of time; the boundary's coefficients; and the
indicators, as formulas over both, beside what the report says. A piece counts in a ratio where
both of its totals are measured, as in the report, so that both agree to rounding.
"""

import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import IO, Any, Final, NamedTuple

from jauge_models.boundaries import WHOLE, Equation, Symbol
from jauge_models.effectiveness import Kpi
from jauge_models.intervals import Interval
from jauge_models.rules import JOULES_PER_KWH
from jauge_models.topology import MEASURES
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.utils import get_column_letter

from jauge_collector.csv_text import moment
from jauge_collector.reports.boundary import Boundary, Span
from jauge_collector.reports.content import Report

INTERVALS: Final = "intervals"
EQUATIONS: Final = "equations"
INDICATORS: Final = "indicators"
"""Keys of the sheets' names in the texts."""

SYMBOLS: Final = (Symbol.E_DC, Symbol.E_IT, Symbol.W_IN)
KNOWN: Final = '">-1E+300"'
"""A criterion that every number meets and no empty text does."""
_FIXED: Final = 4
"""Columns before those of the meters: begin, end, begin in s since the epoch, length in s."""
_EPOCH: Final = datetime(1980, 1, 1, tzinfo=UTC)
_MOST_ROWS: Final = 1_048_575
"""Of a sheet, below its head."""
_BLOCK: Final = 1 << 20


class Calculated(str):
    """A formula of ours."""

    __slots__ = ()


class Piece(NamedTuple):
    """Time in which no meter's row begins or ends, and what each meter told of it.

    Amounts are in base units; None where it was not wholly measured.
    """

    start_ms: int
    end_ms: int
    amounts: tuple[float | None, ...]


def pieces(boundary: Boundary, span: Span, cuts: Sequence[int] = ()) -> Iterator[Piece]:
    """A span cut wherever a row of a meter, a term of an equation, or a further moment bounds it.

    A row that a cut parts is split linearly, as `jauge_models.boundaries.evaluate` does.
    """
    start_ms, end_ms = span
    edges = {start_ms, end_ms, *cuts}
    for rows in boundary.rows.values():
        for row in rows:
            edges.add(row.start_ms)
            edges.add(row.end_ms)
    for equation in boundary.site.equations:
        for term in equation.terms:
            edges |= {e for e in (term.validity.from_ms, term.validity.to_ms) if e is not None}
    inside = sorted(edge for edge in edges if start_ms <= edge <= end_ms)
    meters = list(boundary.rows.values())
    at = [0] * len(meters)
    for begin, end in pairwise(inside):
        amounts: list[float | None] = []
        for number, rows in enumerate(meters):
            while at[number] < len(rows) and rows[at[number]].end_ms <= begin:
                at[number] += 1
            there = at[number] < len(rows)
            amounts.append(_amount(rows[at[number]], begin, end) if there else None)
        yield Piece(begin, end, tuple(amounts))


def _amount(row: Interval, start_ms: int, end_ms: int) -> float | None:
    if row.start_ms > start_ms or row.amount is None:
        return None
    length_ms = row.end_ms - row.start_ms
    if row.covered_ms != length_ms and row.covered_ms / length_ms < WHOLE:
        return None
    if end_ms - start_ms == length_ms:
        return row.amount
    return row.amount * (end_ms - start_ms) / length_ms


def write(
    target: IO[bytes],
    report: Report,
    boundary: Boundary,
    *,
    quarter: Span,
    texts: Mapping[str, str],
) -> None:
    """Write the spreadsheet: the same bytes for the same ledger. ``boundary`` is of the year.

    Raises ValueError where the pieces are more than a sheet has rows.
    """
    book = Workbook(write_only=True)
    book.properties.creator = "Jauge"
    book.properties.created = _EPOCH
    place = _Places(boundary)
    indicators = book.create_sheet(texts[INDICATORS])
    equations = book.create_sheet(texts[EQUATIONS])
    intervals = book.create_sheet(texts[INTERVALS])
    equations.append([texts[key] for key in _TERM_HEADS])
    for row in place.terms:
        equations.append(_cells(equations, row))
    last = 1
    intervals.append(_cells(intervals, place.heads(texts)))
    for piece in pieces(boundary, boundary.span, quarter):
        last += 1
        if last > _MOST_ROWS:
            raise ValueError(f"more than {_MOST_ROWS} pieces of time")
        intervals.append(place.row(piece, last, texts[EQUATIONS]))
    for line in _indicators(
        report, place, last=max(last, 2), quarter=quarter, year=boundary.span, texts=texts
    ):
        indicators.append(_cells(indicators, line))
    for sheet, widths in (
        (indicators, (34, 22, 22, 22, 22, 60)),
        (equations, (12, 16, 8, 12, 14, 22, 22, 40, 24)),
        (intervals, (22, 22, 14, 10)),
    ):
        for number, width in enumerate(widths, start=1):
            sheet.column_dimensions[get_column_letter(number)].width = width
    with tempfile.TemporaryFile() as loose:
        book.save(loose)
        loose.seek(0)
        _settle(loose, target)


_TERM_HEADS: Final = (
    "total",
    "meter",
    "sign",
    "factor",
    "coefficient",
    "valid_from",
    "valid_to",
    "reason",
    "evidence",
)


class _Places:
    """Which column a meter or total has, and which line of the equations a term."""

    def __init__(self, boundary: Boundary) -> None:
        self._boundary = boundary
        self.meters = boundary.meters
        self.equations: dict[Symbol, Equation] = {
            symbol: equation
            for symbol in SYMBOLS
            if (equation := boundary.site.equation(symbol)) is not None
        }
        self._divisors = [
            JOULES_PER_KWH
            if MEASURES[boundary.topology.meter(meter).commodity].unit == "J"
            else 1.0
            for meter in self.meters
        ]
        self._lines: dict[tuple[Symbol, int], int] = {}
        self.terms: list[list[Any]] = []
        for symbol, equation in self.equations.items():
            for number, term in enumerate(equation.terms):
                line = len(self.terms) + 2
                self._lines[symbol, number] = line
                self.terms.append(
                    [
                        str(symbol),
                        term.meter,
                        term.sign,
                        term.factor,
                        Calculated(f"=C{line}*D{line}"),
                        moment(term.validity.from_ms),
                        moment(term.validity.to_ms),
                        term.reason,
                        term.evidence,
                    ]
                )

    def total(self, symbol: Symbol) -> str:
        """The letter of a total's column."""
        return get_column_letter(_FIXED + len(self.meters) + list(self.equations).index(symbol) + 1)

    def heads(self, texts: Mapping[str, str]) -> list[str]:
        """The head of the intervals."""
        units = ["kWh" if divisor != 1 else "m3" for divisor in self._divisors]
        return [
            texts["start"],
            texts["end"],
            texts["start_s"],
            texts["length_s"],
            *(f"{meter} [{unit}]" for meter, unit in zip(self.meters, units, strict=True)),
            *(f"{symbol} [{_unit(symbol)}]" for symbol in self.equations),
        ]

    def row(self, piece: Piece, line: int, sheet: str) -> list[Any]:
        """One line of the intervals; totals are formulas."""
        return [
            _precise(piece.start_ms),
            _precise(piece.end_ms),
            piece.start_ms / 1000,
            (piece.end_ms - piece.start_ms) / 1000,
            *(
                None if amount is None else amount / divisor
                for amount, divisor in zip(piece.amounts, self._divisors, strict=True)
            ),
            *(
                self._formula(symbol, equation, piece, line, sheet)
                for symbol, equation in self.equations.items()
            ),
        ]

    def _formula(
        self, symbol: Symbol, equation: Equation, piece: Piece, line: int, sheet: str
    ) -> str | None:
        parts: list[tuple[str, int]] = []
        for number, term in enumerate(equation.terms):
            if term.validity.holds(piece.start_ms):
                column = get_column_letter(_FIXED + self.meters.index(term.meter) + 1)
                parts.append((f"{column}{line}", self._lines[symbol, number]))
        if not parts:
            return None
        cells = ",".join(dict.fromkeys(cell for cell, _ in parts))
        wanted = len({cell for cell, _ in parts})
        total = "+".join(f"'{sheet}'!$E${term}*{cell}" for cell, term in parts)
        return f'=IF(COUNT({cells})={wanted},{total},"")'


def _unit(symbol: Symbol) -> str:
    return "m3" if symbol is Symbol.W_IN else "kWh"


def _precise(time_ms: int) -> str:
    text = datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace(".000+00:00", "Z").replace("+00:00", "Z")


def _indicators(
    report: Report,
    place: _Places,
    *,
    last: int,
    quarter: Span,
    year: Span,
    texts: Mapping[str, str],
) -> Iterator[list[Any]]:
    """Lines of formulas: both periods, each ratio with its sums and its coverage."""
    yield [report.record.title, report.record.quarter]
    yield [texts["explained"]]
    yield []
    yield [texts[key] for key in ("figure", "recomputed", "reported", "difference", "note")]
    line = 4
    for name, span, figures in (
        ("quarter", quarter, report.quarter),
        ("year", year, report.year),
    ):
        yield [f"{texts[name]} {figures.first} – {figures.last}"]
        line += 1
        for top, bottom, scale, kpi in (
            (Symbol.E_DC, Symbol.E_IT, "", figures.kpis.pue),
            (Symbol.W_IN, Symbol.E_IT, "*1000", figures.kpis.wue),
        ):
            if top not in place.equations or bottom not in place.equations:
                continue
            ranges = _Ranges(texts[INTERVALS], place, top, bottom, span, last)
            yield [f"Σ {top} [{_unit(top)}]", ranges.sum(place.total(top))]
            yield [f"Σ {bottom} [{_unit(bottom)}]", ranges.sum(place.total(bottom))]
            yield [
                texts["coverage"],
                Calculated(f"{ranges.sum('D')}/{(span[1] - span[0]) // 1000}"),
                kpi.coverage,
                Calculated(f"=B{line + 3}-C{line + 3}"),
            ]
            yield [
                f"{kpi.label} [{kpi.unit}]" if kpi.value is not None else f"{top} / {bottom}",
                Calculated(f'=IF(B{line + 2}=0,"",B{line + 1}/B{line + 2}{scale})'),
                kpi.value,
                Calculated(f"=B{line + 4}-C{line + 4}") if kpi.value is not None else None,
                _told(kpi, texts),
            ]
            line += 4


def _told(kpi: Kpi, texts: Mapping[str, str]) -> str:
    return "" if kpi.value is not None else f"{texts['withheld']}: {kpi.reason}"


class _Ranges:
    """Sums over the pieces of a span in which both totals are known."""

    def __init__(  # noqa: PLR0917 - the sheet, then what is summed
        self, sheet: str, place: _Places, top: Symbol, bottom: Symbol, span: Span, last: int
    ) -> None:
        self._sheet = sheet
        self._last = last
        self._known = [place.total(top), place.total(bottom)]
        self._span = span

    def sum(self, column: str) -> Calculated:
        """The formula."""
        known = ",".join(f"{self._range(each)},{KNOWN}" for each in self._known)
        begin, end = (moment_ms // 1000 for moment_ms in self._span)  # midnights
        time = self._range("C")
        return Calculated(
            f'=SUMIFS({self._range(column)},{known},{time},">={begin}",{time},"<{end}")'
        )

    def _range(self, column: str) -> str:
        return f"'{self._sheet}'!${column}$2:${column}${self._last}"


def _cells(sheet: Any, row: Sequence[Any]) -> list[Any]:
    """A row in which a text of a person or machine is no formula, whatever it begins with."""
    return [_cell(sheet, cell) for cell in row]


def _cell(sheet: Any, value: Any) -> Any:
    if isinstance(value, Calculated):
        return str(value)
    if not isinstance(value, str):
        return value
    cell = WriteOnlyCell(sheet, value)
    cell.data_type = "s"
    return cell


def _settle(loose: IO[bytes], target: IO[bytes]) -> None:
    """Copy a spreadsheet without the moment at which it was made: the same bytes again."""
    with (
        zipfile.ZipFile(loose) as made,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as settled,
    ):
        for name in sorted(made.namelist(), key=lambda name: (name != "[Content_Types].xml", name)):
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            with made.open(name) as source, settled.open(info, "w") as copy:
                if name == "docProps/core.xml":
                    copy.write(_MADE.sub(rb"\g<1>1980-01-01T00:00:00Z\g<2>", source.read()))
                    continue
                while block := source.read(_BLOCK):
                    copy.write(block)


_MADE: Final = re.compile(rb"(<dcterms:(?:modified|created)[^>]*>)[^<]*(</dcterms)")
