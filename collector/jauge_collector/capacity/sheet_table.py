"""What the planner's tables are made of: columns, rows, and figures as a language writes them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from jauge_models.capacity.fullness import Limit
from jauge_models.capacity.outlook import Measure
from jauge_models.capacity.workloads import Obstacle

from jauge_collector.capacity.words import Words

FIXED: Final = "\u00a0"
NONE: Final = "–"


class Column(NamedTuple):
    """A column; ``number``: its cells stand on the right."""

    title: str
    number: bool = False


class Table(NamedTuple):
    """A table with its heading; ``text`` says what it means, ``key`` is of no language."""

    key: str
    title: str
    text: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


def table(
    key: str, w: Words, columns: Sequence[str], rows: Iterable[tuple[str, ...]], text: str = ""
) -> Table | None:
    """A table under the text of its key; None without rows.

    ``columns``: keys of their texts, each with ``>`` before it where its cells are numbers.
    """
    every = tuple(rows)
    if not every:
        return None
    heads = tuple(Column(w(one.removeprefix(">")), one.startswith(">")) for one in columns)
    return Table(key, w(key), text, heads, every)


def aligned(told: Table) -> Iterator[str]:
    """A table's lines for a terminal."""
    rows = [tuple(column.title for column in told.columns), *told.rows]
    widths = [max(len(row[at]) for row in rows) for at in range(len(told.columns))]
    for row in rows if told.columns else ():
        cells = [
            cell.rjust(width) if column.number else cell.ljust(width)
            for cell, width, column in zip(row, widths, told.columns, strict=True)
        ]
        yield f"  {'  '.join(cells)}".rstrip()


# --- figures


def name(w: Words, code: str) -> str:
    """Of a limit or an obstacle; the code itself where it has none."""
    return w.names.get(code, code)


def whole(w: Words, value: str | float | None) -> str:
    """A whole number, empty where there is none."""
    return w.plain.number(float(value)) if value is not None else ""


def hours(w: Words, value: float) -> str:
    """A number of hours."""
    return w("instance_hours", number=w.plain.number(value))


def runs(w: Words, number: float) -> str:
    """A number of runs."""
    return w.several("runs", number)


def obstacles(some: Iterable[tuple[Obstacle, int]], w: Words) -> str:
    """What stopped how many nodes."""
    return ", ".join(f"{name(w, one.value)} ({w.plain.number(nodes)})" for one, nodes in some)


def used(what: str, value: float, w: Words) -> str:
    """What of a limit is used, or a measure of a pool, in its unit; ``what``: its code."""
    if what == Limit.GPUS:
        return w.plain.plain(value, 4)
    if what == Limit.GPU_MEMORY:
        return f"{w.plain.plain(value / 1024, 4)}{FIXED}GiB"
    if what == Measure.ACTIVITY:
        return w.plain.percent(value)
    return w.plain.quantity(value, "W")


def amount(value: float | None, unit: str, w: Words) -> str:
    """An amount in the multiple that reads best."""
    if value is None:
        return w("not_known")
    if unit == "kWh" and abs(value) >= 10_000:
        value, unit = value / 1000, "MWh"
    if unit == "kgCO2e" and abs(value) >= 10_000:
        value, unit = value / 1000, "tCO2e"
    text = w.plain.number(value) if abs(value) >= 100 else w.plain.plain(value, 3)
    return f"{text}{FIXED}{unit}" if unit else text


def delta(value: float | None, unit: str, w: Words) -> str:
    """A difference, with its sign."""
    return f"{'+' if (value or 0) > 0 else ''}{amount(value, unit, w)}"
