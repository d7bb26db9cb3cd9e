"""Tables as CSV files to take away (RFC 4180): commas, decimal points, UTF-8, ISO 8601 times.

Names come from birth documents, so from machines. A cell that a spreadsheet would take for a
formula is led by an apostrophe, as OWASP advises under "CSV Injection".
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Final

Cell = str | float | int | None
"""None is an empty cell: a value that is not known is no zero."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def written(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """The text of such a file."""
    return "".join(lines(columns, rows))


def lines(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """The lines of such a file one by one, for what is too large to be held."""
    text = io.StringIO()
    writer = csv.writer(text)
    for row in chain([columns], rows):
        writer.writerow([_safe(cell) for cell in row])
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def moment(time_ms: int | None) -> str | None:
    """A time in UTC to the second: ``2026-01-31T08:00:00Z``."""
    if time_ms is None:
        return None
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _safe(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
