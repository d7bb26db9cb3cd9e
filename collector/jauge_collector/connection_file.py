"""The connection map as CSV: what feeds what, one row each, dated.

Columns, in any order, with a header: ``upstream`` and ``downstream`` (a meter's id, ``kind:id`` or
``agent/resource``), and where wanted ``feed``, ``valid_from``, ``valid_to``. Parted by commas,
semicolons or tabs; UTF-8. Empty lines and lines that begin with ``#`` are left out.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from jauge_models.configuration import ConfigurationError

from jauge_collector.config import read_text
from jauge_collector.site_file import ConnectionSection

COLUMNS: Final = ("upstream", "downstream", "feed", "valid_from", "valid_to")
_NEEDED: Final = COLUMNS[:2]
_SEPARATORS: Final = ",;\t"


def read_connections(path: Path) -> list[tuple[int, ConnectionSection]]:
    """Each connection of a file with its line. Raises ConfigurationError."""
    return list(connections_in(read_text(path), str(path)))


def connections_in(text: str, file: str) -> Iterator[tuple[int, ConnectionSection]]:
    """The same for a text; ``file`` is only named in errors."""
    rows = table(text, file)
    _, header = next(rows, (1, []))
    names = [name.strip().lower() for name in header]
    for name in names:
        if name not in COLUMNS:
            raise ConfigurationError(
                file, "", f"unknown column {name!r}", f"columns are {', '.join(COLUMNS)}"
            )
    for name in _NEEDED:
        if names.count(name) != 1:
            raise ConfigurationError(file, "", f"column {name!r} is missing", "add it once")
    if len(set(names)) < len(names):
        raise ConfigurationError(file, "", "a column stands there twice", "drop one")
    seen: dict[tuple[str, ...], int] = {}
    for line, row in rows:
        if len(row) != len(names):
            raise ConfigurationError(
                file, f"line {line}", f"{len(row)} values for {len(names)} columns", "correct it"
            )
        values = {name: value.strip() for name, value in zip(names, row, strict=True)}
        for name in _NEEDED:
            if not values[name]:
                raise ConfigurationError(file, f"line {line}", f"{name} is empty", "name it")
        key = tuple(values.get(name, "") for name in COLUMNS)
        if key in seen:
            raise ConfigurationError(
                file, f"line {line}", f"is the same as line {seen[key]}", "drop one"
            )
        seen[key] = line
        yield (
            line,
            ConnectionSection(
                upstream=values["upstream"],
                downstream=values["downstream"],
                feed=values.get("feed", ""),
                valid_from=values.get("valid_from") or None,
                valid_to=values.get("valid_to") or None,
            ),
        )


def table(text: str, file: str) -> Iterator[tuple[int, list[str]]]:
    """Rows of a CSV text with their lines, the header first. Raises ConfigurationError."""
    text = text.removeprefix("\ufeff")
    first = next((line for line in text.splitlines() if line.strip() and line[0] != "#"), "")
    separator = max(_SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row) and not row[0].lstrip().startswith("#"):
                yield reader.line_num, row
    except csv.Error as error:
        raise ConfigurationError(file, f"line {reader.line_num}", str(error)) from None


def as_csv(connections: Iterable[ConnectionSection]) -> str:
    """A file that `read_connections` reads."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in connections:
        writer.writerow([getattr(one, name) or "" for name in COLUMNS])
    return text.getvalue()


def as_toml(connections: Iterable[ConnectionSection]) -> str:
    """Tables to paste into a site file."""
    parts: list[str] = []
    for one in connections:
        values = {name: getattr(one, name) for name in COLUMNS}
        parts.append("[[connections]]")
        parts += [f"{name} = {_quoted(value)}" for name, value in values.items() if value]
        parts.append("")
    return "\n".join(parts)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    if not escaped.isprintable():
        raise ConfigurationError("connections", "", f"{text!r} holds a control character")
    return f'"{escaped}"'
