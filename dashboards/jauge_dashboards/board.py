"""What a dashboard is, in no language and in no version of Grafana's schema.

A board is rows, each with the question it answers; a row is views. Texts come from ``locale/`` by
the keys of board, row and view; places in the grid follow from the order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final

from jauge_dashboards import style
from jauge_dashboards.style import Step

CONSOLE: Final = "http://127.0.0.1:8090"
"""Where the collector's console is, unless a build or the file of alerts says otherwise."""


class Form(StrEnum):
    """How a view shows its answer."""

    STAT = "stat"
    LINES = "timeseries"
    BARS = "bargauge"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Query:
    """An expression of PromQL, and how its series are called.

    ``legend`` is Grafana's template (``{{name}}``); ``word`` a key of ``[legends]`` instead.
    ``@word@`` in an expression stands for that key of ``[legends]``, where a label is made of it.
    ``look``, of a query with a word, makes its series stand out.
    """

    expr: str
    legend: str = ""
    word: str = ""
    look: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Where a value leads when it is clicked; ``word`` is a key of ``[links]``.

    In a table ``[[rack]]`` stands for the value of the column *rack* in the same line, and
    ``column`` is the word of the one that is clicked.
    """

    word: str
    url: str
    column: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table: a label, or the value of a query (``A``, ``B``, …).

    ``word`` is a key of ``[columns]``, with the unit where the table has none: it has one for all.
    """

    field: str
    word: str
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One panel."""

    key: str
    form: Form
    queries: tuple[Query, ...]
    unit: str
    width: int
    height: int = style.PANEL_HEIGHT
    decimals: int | None = None
    steps: tuple[Step, ...] = ()
    low: float | None = None
    high: float | None = None
    soft_high: float | None = None
    """Of lines: how far the axis reaches where the values stay below."""
    stacked: bool = False
    legend: bool = True
    """Of lines: whether their names stand below; where there are many the tooltip has them."""
    since: str = ""
    """How far back the panel looks, e.g. ``30d``, whatever the page shows."""
    names: bool = False
    """Of a stat: whether the series' name stands beside its value."""
    states: str = ""
    """A table of ``[states]``: names in place of values."""
    links: tuple[Link, ...] = ()
    columns: tuple[Column, ...] = ()
    sort: tuple[str, bool] | None = None
    """Of a table: the word of the column to sort by, and whether the largest comes first."""
    missing: str = "not_measured"
    """Key of ``[missing]``: what stands where there is no value."""


stat: Final = partial(View, form=Form.STAT, height=style.STAT_HEIGHT)
"""One value."""
count: Final = partial(stat, unit=style.COUNT, decimals=0)
"""One value: how many."""
lines: Final = partial(View, form=Form.LINES)
bars: Final = partial(View, form=Form.BARS)
table: Final = partial(View, form=Form.TABLE)


@dataclass(frozen=True, slots=True)
class Row:
    """Views that answer one question."""

    key: str
    views: tuple[View, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """What a reader may choose; ``word`` is a key of ``[variables]``."""

    name: str
    query: str
    word: str
    multiple: bool = False
    regex: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One dashboard. ``key`` names its texts; its address is ``/d/jauge-<key>``."""

    key: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...]
    start: str = "now-24h"
    refresh: str = "1m"
    narrower: tuple[str, ...] = ()
    """Keys of boards that show a part of this one more closely."""

    @property
    def uid(self) -> str:
        """Grafana's identifier."""
        return uid(self.key)

    @property
    def views(self) -> Iterator[View]:
        """Every view in its order."""
        for row in self.rows:
            yield from row.views

    @property
    def multiple(self) -> frozenset[str]:
        """Variables that may have several values."""
        return frozenset(one.name for one in self.variables if one.multiple)

    @property
    def single(self) -> frozenset[str]:
        """Variables that have one value."""
        return frozenset(one.name for one in self.variables if not one.multiple)


def uid(key: str) -> str:
    """Identifier of a dashboard in Grafana."""
    return f"jauge-{key}"
