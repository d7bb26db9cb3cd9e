"""Small tables and mappings for the importer's tests."""

from pathlib import Path

from jauge_collector.importer import mapping as mapping_file
from jauge_collector.importer.mapping import Mapping
from jauge_collector.importer.table import Row, rows

ENERGY = """
[[columns]]
column = "kwh"
resource = "meter:main"
quantity = "energy_amount"
unit = "kWh"
"""

HOURS = """
site = "s"
[time]
columns = ["time"]
zone = "UTC"
labels = "end"
period_s = 3600
"""


def mapped(folder: Path, text: str) -> Mapping:
    """A mapping file's text, checked."""
    path = folder / "mapping.toml"
    path.write_text(text, encoding="utf-8")
    return mapping_file.load(path)


def table(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    """A table of that content."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(folder: Path, mapping: str, content: str | bytes) -> list[Row]:
    """The rows that a table says by a mapping."""
    return list(rows(table(folder, content), mapped(folder, mapping)))


def points(found: list[Row]) -> list[tuple[int, float]]:
    """Time in s and value of every reading; fails where a row is bad."""
    assert [row.problem for row in found if row.problem] == []
    return [(r.time_ms // 1000, r.value) for row in found for r in row.readings]
