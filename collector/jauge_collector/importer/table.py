"""Reading a CSV or TSV file, row by row, into readings as its mapping says."""

import csv
import difflib
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, NamedTuple

from jauge_models.configuration import ConfigurationError
from jauge_models.readings import Reading

from jauge_collector.importer.labels import LabelError, Labels
from jauge_collector.importer.mapping import Column, Mapping

LONGEST_LINE: Final = 1 << 20
"""Characters; no table has longer lines, and a file without line ends must not fill memory."""

_GZIP_MAGIC: Final = b"\x1f\x8b"


class Row(NamedTuple):
    """What one line said: readings of what was measured, or the ``problem`` that makes it bad."""

    line: int
    readings: Sequence[Reading]
    not_measured: int = 0
    problem: str | None = None


class _CellError(ValueError):
    """A cell that holds no acceptable value."""


def rows(
    path: Path, mapping: Mapping, progress: Callable[[int, int], None] | None = None
) -> Iterator[Row]:
    """Rows of a file, plain or gzipped, in its order; memory does not grow with the file.

    ``progress`` is told bytes read and bytes in all. Raises ConfigurationError when the file
    cannot be read or has not the columns that the mapping names.
    """
    size = _size(path)
    with _opened(path) as (raw, binary):
        text = io.TextIOWrapper(binary, encoding=_without_mark(mapping.declared.file.encoding))
        try:
            for count, row in enumerate(_Table(path, mapping).rows(text)):
                if progress is not None and count % 1000 == 0:
                    progress(raw.tell(), size)
                yield row
        except UnicodeError as error:
            raise ConfigurationError(
                str(path),
                "",
                f"is not {mapping.declared.file.encoding} text: {error}",
                f"set file.encoding in {mapping.path}",
            ) from None
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ConfigurationError(str(path), "", f"is a broken gzip file: {error}") from None
        except OSError as error:
            problem = (error.strerror or "error").lower()
            raise ConfigurationError(str(path), "", f"cannot be read: {problem}") from None
    if progress is not None:
        progress(size, size)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        problem = (error.strerror or "error").lower()
        raise ConfigurationError(str(path), "", f"cannot be read: {problem}") from None


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    try:
        raw = path.open("rb")
    except OSError as error:
        problem = (error.strerror or "error").lower()
        raise ConfigurationError(str(path), "", f"cannot be read: {problem}") from None
    with raw:
        if raw.peek(2)[:2] != _GZIP_MAGIC:
            yield raw, raw
            return
        with gzip.GzipFile(fileobj=raw) as unpacked:
            yield raw, unpacked  # type: ignore[misc]  # a GzipFile reads like any binary file


def _without_mark(encoding: str) -> str:
    name = encoding.lower().replace("_", "-")
    return "utf-8-sig" if name in {"utf-8", "utf8"} else encoding


class _Table:
    def __init__(self, path: Path, mapping: Mapping) -> None:
        self._path = path
        self._mapping = mapping
        self._file = mapping.declared.file
        self._labels = Labels(mapping)
        values = mapping.declared.values
        self._number = _number_reader(values.decimal, values.thousands)
        self._width = 0
        self._time_at: list[int] = []
        self._cells: list[tuple[int, Column]] = []

    def rows(self, text: IO[str]) -> Iterator[Row]:
        awaiting_header = self._file.header
        if not awaiting_header:
            self._resolve(None)
        for number, line in self._lines(text):
            try:
                (cells,) = csv.reader([line], delimiter=self._file.separator, strict=True)
            except (csv.Error, ValueError) as error:
                yield Row(number, (), problem=f"is no row of a table: {error}")
                continue
            if awaiting_header:
                self._resolve([name.strip() for name in cells])
                awaiting_header = False
            else:
                yield self._row(number, cells)
        if awaiting_header:
            raise ConfigurationError(str(self._path), "", "has no header line")

    def _lines(self, text: IO[str]) -> Iterator[tuple[int, str]]:
        comment = self._file.comment
        number = 0
        while line := text.readline(LONGEST_LINE):
            number += 1
            if len(line) >= LONGEST_LINE:
                raise ConfigurationError(
                    str(self._path),
                    f"line {number}",
                    f"is longer than {LONGEST_LINE} characters",
                    "this is no table",
                )
            line = line.rstrip("\r\n")
            if number <= self._file.skip_first or not line.strip():
                continue
            if comment and line.lstrip().startswith(comment):
                continue
            if any(pattern.search(line) for pattern in self._mapping.skip):
                continue
            yield number, line

    def _resolve(self, header: list[str] | None) -> None:
        """Names and numbers of columns to positions."""
        time = self._mapping.declared.time
        self._time_at = [
            self._position(f"time.columns[{i}]", where, header)
            for i, where in enumerate(time.columns)
        ]
        self._cells = [
            (self._position(f"{column.key}.column", column.where, header), column)
            for column in self._mapping.columns
        ]
        if header is not None:
            self._width = len(header)
        self._least = 1 + max([*self._time_at, *(at for at, _ in self._cells)])

    def _position(self, key: str, where: str | int, header: list[str] | None) -> int:
        if isinstance(where, int):
            if header is not None and where > len(header):
                raise self._mapping.wrong(
                    key, f"{self._path} has {len(header)} columns, not {where}", "lower it"
                )
            return where - 1
        names = header or []
        if (count := names.count(where)) == 1:
            return names.index(where)
        if count:
            raise self._mapping.wrong(
                key, f"{self._path} has {count} columns {where!r}", "give the column's number"
            )
        near = difflib.get_close_matches(where, names, n=1)
        if len(names) == 1:
            fix = f"the header is one column, {names[0][:60]!r}: is file.delimiter right?"
        elif near:
            fix = f"did you mean {near[0]!r}?"
        else:
            fix = f"columns are {', '.join(names[:40])}"
        raise self._mapping.wrong(key, f"{self._path} has no column {where!r}", fix)

    def _row(self, number: int, cells: list[str]) -> Row:
        if self._width and len(cells) != self._width and any(cells[self._width :]):
            return Row(number, (), problem=f"{len(cells)} columns, the header has {self._width}")
        if len(cells) < max(self._least, self._width):
            wanted = max(self._least, self._width)
            return Row(number, (), problem=f"{len(cells)} columns, not {wanted}")
        try:
            label_ms = self._labels.moment_ms(" ".join(cells[at].strip() for at in self._time_at))
        except LabelError as error:
            return Row(number, (), problem=str(error))
        readings: list[Reading] = []
        for at, column in self._cells:
            try:
                value = self._value(cells[at], column)
            except _CellError as error:
                return Row(number, (), problem=f"column {column.where!r}: {error}")
            if value is not None:
                time_ms = label_ms + self._mapping.period_ms if column.shifted else label_ms
                readings.append(Reading(column.series, time_ms, value))
        return Row(number, readings, not_measured=len(self._cells) - len(readings))

    def _value(self, cell: str, column: Column) -> float | None:
        """A cell in base units, rounded as the catalogue says; None is « not measured »."""
        text = cell.strip()
        number = self._told(text, column)
        if number is None:
            return None
        scale, offset = column.conversion
        quantity = column.quantity
        value = round(number * scale + offset, quantity.decimals)
        if not quantity.low <= value <= quantity.high:
            raise _CellError(
                f"{text} is {value:g} {quantity.unit}, outside {quantity.name}'s range "
                f"{quantity.low:g} to {quantity.high:g}"
            )
        return value

    def _told(self, text: str, column: Column) -> float | None:
        """The number that a cell holds, or what its state is worth; None is « not measured ».

        Raises _CellError.
        """
        if text in column.sentinels.texts:
            return None
        if text in column.states:
            return column.states[text]
        try:
            number = self._number(text)
        except ValueError:
            number = None
        if number is not None and column.sentinels.holds(number):
            return None
        if column.states:
            known = ", ".join(column.states)
            raise _CellError(f"{text[:40]!r} is no state of this column; known are {known}")
        if number is None:
            raise _CellError(f"{text[:40]!r} is no number (a sentinel? add it to not_measured)")
        return number


def _number_reader(decimal: str, thousands: str) -> Callable[[str], float]:
    """Text to a finite number, strictly as declared: ``1,5`` is no 15. Raises ValueError."""
    spaces = r"[ \u00a0\u202f]"
    group = spaces if thousands == " " else re.escape(thousands)
    whole = rf"(?:\d{{1,3}}(?:{group}\d{{3}})+|\d+)" if thousands else r"\d+"
    point = re.escape(decimal)
    pattern = re.compile(
        rf"[+-]?(?:{whole}(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d{{1,3}})?", re.ASCII
    )
    separators = re.compile(group) if thousands else None

    def read(text: str) -> float:
        plain = text.replace("−", "-")
        if not pattern.fullmatch(plain):
            raise ValueError(text)
        if separators is not None:
            plain = separators.sub("", plain)
        return float(plain.replace(",", "."))

    return read
