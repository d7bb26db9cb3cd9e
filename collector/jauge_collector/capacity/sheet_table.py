"""What the planner's tables are made of: columns, rows, and figures as a language writes them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from jauge_models.capacity.fullness import Limit
from jauge_models.capacity.outlook import Measure
from jauge_models.capacity.workloads import Obstacle

from jauge_collector.capacity.words import Words
from jauge_collector.console.text import multiple

FIXED: Final = "\u00a0"
NONE: Final = "–"
_LARGE: Final = 10_000
_LARGER: Final = {"kWh": "MWh", "kgCO2e": "tCO2e"}
"""What amounts from `_LARGE` on are told in."""


class Column(NamedTuple):
    """A column; ``number``: its cells stand on the right; ``long``: they hold sentences."""

    title: str
    number: bool = False
    long: bool = False


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

    ``columns``: keys of their texts, each with ``>`` before it where its cells are numbers, with
    ``~`` where they are sentences.
    """
    every = tuple(rows)
    if not every:
        return None
    heads = tuple(
        Column(w(one.lstrip(">~")), one.startswith(">"), one.startswith("~")) for one in columns
    )
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
    return "".join(_used(what, value, value, w))


def ranged(what: str, middle: float, low: float, high: float, w: Words) -> tuple[str, str]:
    """The middle of an interval and its bounds, as `used` writes them, in one multiple of the unit.

    The bounds are "" where all three read the same.
    """
    told = "".join(_used(what, middle, high, w))
    bounds = _between(_used(what, low, high, w), _used(what, high, high, w))
    return told, "" if bounds == told else bounds


def _used(what: str, value: float, like: float, w: Words) -> tuple[str, str]:
    """The number, and its unit with the space before it."""
    if what == Limit.GPUS:
        return w.plain.plain(value, 4), ""
    if what == Limit.GPU_MEMORY:
        return w.plain.plain(value / 1024, 4), f"{FIXED}{w('gib')}"
    if what == Measure.ACTIVITY:
        text = w.plain.percent(value)
        number = text.rstrip("%").rstrip()
        return number, text.removeprefix(number)
    factor, unit = multiple(abs(like), "W")
    return w.plain.plain(value * factor, 4), f"{FIXED}{unit}"


def _between(low: tuple[str, str], high: tuple[str, str]) -> str:
    """One figure alone where both read the same: there is no interval to be seen."""
    return "".join(high) if low == high else f"{low[0]} {NONE} {''.join(high)}"


def amount(value: float | None, unit: str, w: Words) -> str:
    """An amount in the multiple that reads best."""
    return w("not_known") if value is None else "".join(_amount(value, unit, value, w))


def amounts(low: float, high: float, unit: str, w: Words) -> str:
    """The bounds of an interval as `amount` writes them, the unit once."""
    return _between(_amount(low, unit, high, w), _amount(high, unit, high, w))


def _amount(value: float, unit: str, like: float, w: Words) -> tuple[str, str]:
    """The number, and its unit with the space before it."""
    if unit in _LARGER and abs(like) >= _LARGE:
        value, unit = value / 1000, _LARGER[unit]
    text = w.plain.number(value) if abs(value) >= 100 else w.plain.plain(value, 3)
    return text, f"{FIXED}{unit}" if unit else ""


def delta(value: float | None, unit: str, w: Words) -> str:
    """A difference, with its sign."""
    return f"{'+' if (value or 0) > 0 else ''}{amount(value, unit, w)}"
