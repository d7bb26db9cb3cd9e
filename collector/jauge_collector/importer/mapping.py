"""The mapping file: what the columns of a CSV or TSV file mean."""

import difflib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec
from jauge_models.configuration import ConfigurationError, parse
from jauge_models.quantities import CATALOGUE, Kind, Quantity
from jauge_models.resources import KINDS, Series, is_name, is_resource, kind_of

from jauge_collector import civil
from jauge_collector.config import read_text
from jauge_collector.importer.formats import check_format
from jauge_collector.importer.patterns import linear
from jauge_collector.importer.units import Conversion, conversion

_T = TypeVar("_T")

LONGEST_CIVIL_PERIOD_S: Final = 3600
"""Longer periods are cut by clock changes, so that one fixed length is wrong twice a year."""

LONGEST_PERIOD_S: Final = 366 * 86400
"""A year; what is known by longer periods is attested."""


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every section."""


class FileSection(_Section, frozen=True, kw_only=True):
    """How the file is written."""

    delimiter: str = ","
    r"""One character; ``\t``, in either kind of TOML quotes, for a tab."""
    encoding: str = "utf-8"
    """Name of the encoding; a byte-order mark is skipped."""
    header: bool = True
    """Whether the first line that is not left out names the columns."""
    comment: str = ""
    """Lines that begin so are left out."""
    skip: list[str] = []
    """Regular expressions; lines in which one is found are left out, such as a footer."""
    skip_first: int = 0
    """How many lines stand before the header."""

    @property
    def separator(self) -> str:
        """The delimiter itself."""
        return "\t" if self.delimiter == r"\t" else self.delimiter


class ValuesSection(_Section, frozen=True, kw_only=True):
    """How numbers are written."""

    decimal: Literal[".", ","] = "."
    """Decimal sign."""
    thousands: str = ""
    """Sign between groups of three digits: ``,``, ``.``, ``'`` or a space; none where empty."""
    not_measured: list[str | float] = []
    """Sentinels of all columns: texts, numbers, or ranges such as ``< 0`` or ``-2..-1``.

    An empty cell is never a value.
    """


class TimeSection(_Section, frozen=True, kw_only=True):
    """What the time columns mean."""

    columns: list[str | int]
    """Names, or numbers from 1; several are joined, with a space in between."""
    format: str = "iso"
    """``iso``, ``epoch_s``, ``epoch_ms`` or a pattern such as ``%d/%m/%Y %H:%M``."""
    zone: str | None = None
    """``Europe/Paris``, ``UTC`` or fixed, ``UTC+01:00``; not needed where the file says it."""
    labels: Literal["end", "start", "instant"] | None = None
    """Whether a label is the end or the start of the row's period, or a mere moment."""
    period_s: int | None = None
    """Length of the row's period, in seconds."""
    ambiguous: Literal["refuse", "first", "second", "in_order"] = "refuse"
    """Labels that occur twice when the clock goes back."""
    nonexistent: Literal["refuse", "forward"] = "refuse"
    """Labels that the clock leaps over; ``forward`` reads them as if it had not leapt."""


class ColumnSection(_Section, frozen=True, kw_only=True):
    """One column, or one of its meanings."""

    column: str | int
    """Name, or number from 1."""
    resource: str
    """What it measures: ``meter:incomer``, ``host``."""
    quantity: str
    """Name in the catalogue of quantities."""
    unit: str
    """Unit in the file."""
    mean: bool = False
    """The values are means over the period (W, m3/h) and become its amount."""
    instant: bool | None = None
    """Whether the value holds at the label itself, although labels are starts of periods."""
    not_measured: list[str | float] = []
    """Further sentinels of this column."""
    states: dict[str, float] = {}
    """The cells name a state: what each text is worth, in that unit. Any other is a bad row."""


class MappingFile(_Section, frozen=True, kw_only=True):
    """Everything a mapping file says."""

    site: str
    """Name of the site."""
    agent: str = "import"
    """Agent name that the readings carry."""
    time: TimeSection
    columns: list[ColumnSection]
    file: FileSection = FileSection()
    values: ValuesSection = ValuesSection()


class Sentinels:
    """Values that mean « not measured »: texts, numbers and ranges, in the unit of the file."""

    _COMPARED: Final = re.compile(r"(?P<sign><=|>=|<|>)\s*(?P<bound>\S+)")

    def __init__(self, declared: list[str | float]) -> None:
        self.texts: set[str] = {""}
        self._numbers: set[float] = set()
        self._ranges: list[Callable[[float], bool]] = []
        for entry in declared:
            self._add(entry)

    def _add(self, entry: str | float) -> None:
        if not isinstance(entry, str):
            self._numbers.add(float(entry))
            return
        text = entry.strip()
        if found := self._COMPARED.fullmatch(text):
            self._ranges.append(_comparison(found["sign"], float(found["bound"])))
        elif all(bounds := [bound.strip() for bound in text.split("..", 1)]) and len(bounds) == 2:
            low, high = map(float, bounds)
            self._ranges.append(lambda value: low <= value <= high)
        else:
            self.texts.add(text)
            try:
                self._numbers.add(float(text))
            except ValueError:
                return

    def holds(self, value: float) -> bool:
        """Whether a number stands for « not measured »."""
        return value in self._numbers or any(inside(value) for inside in self._ranges)


def _comparison(sign: str, bound: float) -> Callable[[float], bool]:
    below = {"<": lambda v: v < bound, "<=": lambda v: v <= bound}
    above = {">": lambda v: v > bound, ">=": lambda v: v >= bound}
    return (below | above)[sign]


class Column(msgspec.Struct, frozen=True):
    """One column, ready to convert."""

    key: str
    where: str | int
    series: Series
    quantity: Quantity
    conversion: Conversion
    sentinels: Sentinels
    states: dict[str, float]
    shifted: bool
    """Whether the value belongs to the end of a period whose start the label is."""


class Mapping(msgspec.Struct, frozen=True):
    """A mapping file that was checked."""

    path: Path
    declared: MappingFile
    columns: tuple[Column, ...]
    skip: tuple[re.Pattern[str], ...]

    @property
    def site(self) -> str:
        """Name of the site."""
        return self.declared.site

    @property
    def agent(self) -> str:
        """Agent name that the readings carry."""
        return self.declared.agent

    @property
    def period_ms(self) -> int:
        """Length of the row's period; 0 where it has none."""
        return (self.declared.time.period_s or 0) * 1000

    def wrong(self, key: str, problem: str, fix: str = "") -> ConfigurationError:
        """An error in this file, to be raised."""
        return ConfigurationError(str(self.path), key, problem, fix)


def load(path: Path) -> Mapping:
    """Read and check a mapping file. Raises ConfigurationError."""
    return _Checker(path, parse(read_text(path), MappingFile, file=str(path))).mapping()


class _Checker:
    def __init__(self, path: Path, declared: MappingFile) -> None:
        self._path = path
        self._declared = declared

    def mapping(self) -> Mapping:
        declared = self._declared
        for key, name in (("site", declared.site), ("agent", declared.agent)):
            if not is_name(name):
                raise self._wrong(key, f"{name!r} is no name", "use letters and digits")
        self._check_file()
        self._check_values()
        self._check_time()
        if not declared.columns:
            raise self._wrong("columns", "is empty", "add [[columns]]")
        columns = tuple(self._column(f"columns[{i}]", c) for i, c in enumerate(declared.columns))
        self._refuse_twins(columns)
        skip = tuple(
            self._try(f"file.skip[{i}]", lambda text=text: linear(text))  # type: ignore[misc]  # a default
            for i, text in enumerate(declared.file.skip)
        )
        return Mapping(self._path, declared, columns, skip)

    def _check_file(self) -> None:
        file = self._declared.file
        if len(file.separator) != 1 or file.separator in '"\r\n':
            raise self._wrong(
                "file.delimiter", f"{file.delimiter!r} is not one character", "write ';' or '\\t'"
            )
        try:
            io.TextIOWrapper(io.BytesIO(), encoding=file.encoding)
        except (LookupError, ValueError):
            raise self._wrong(
                "file.encoding",
                f"{file.encoding!r} is no encoding of text",
                "use 'utf-8' or 'latin-1'",
            ) from None
        if file.skip_first < 0:
            raise self._wrong("file.skip_first", "is negative", "use 0 or more")

    def _check_values(self) -> None:
        values = self._declared.values
        if values.thousands not in {"", ",", ".", "'", " "}:
            raise self._wrong(
                "values.thousands", f"{values.thousands!r}", 'use ",", ".", "\'" or a space'
            )
        if values.thousands == values.decimal:
            raise self._wrong("values.thousands", "is the decimal sign too", "change one of them")
        if self._declared.file.delimiter == values.decimal:
            raise self._wrong(
                "values.decimal", "is the delimiter too", "set file.delimiter, often ';'"
            )

    def _check_time(self) -> None:
        time = self._declared.time
        if not time.columns:
            raise self._wrong("time.columns", "is empty", "name at least one column")
        for i, column in enumerate(time.columns):
            self._check_where(f"time.columns[{i}]", column)
        if time.format not in {"iso", "epoch_s", "epoch_ms"} and "%" not in time.format:
            raise self._wrong(
                "time.format",
                f"{time.format!r} is no format",
                "use 'iso', 'epoch_s', 'epoch_ms' or a pattern like '%d/%m/%Y %H:%M'",
            )
        self._try("time.format", lambda: check_format(time.format))
        if time.period_s is not None and not 0 < time.period_s <= LONGEST_PERIOD_S:
            raise self._wrong(
                "time.period_s",
                f"{time.period_s} is no length",
                f"use seconds, at most {LONGEST_PERIOD_S}",
            )
        if time.labels in {"end", "start"} and time.period_s is None:
            raise self._wrong("time.period_s", "missing", f"add it: labels = {time.labels!r}")
        if time.zone is not None:
            name = time.zone
            zone = self._try("time.zone", lambda: civil.zone(name))
            if not civil.is_fixed(zone) and (time.period_s or 0) > LONGEST_CIVIL_PERIOD_S:
                raise self._wrong(
                    "time.period_s",
                    f"{time.period_s} s is not one length in {name} when the clock changes",
                    "use a fixed zone such as 'UTC+01:00', or 'attest' for days and months",
                )

    def _check_where(self, key: str, column: str | int) -> None:
        if isinstance(column, int):
            if column < 1:
                raise self._wrong(key, f"{column} is no column", "numbers begin at 1")
        elif not self._declared.file.header:
            raise self._wrong(
                key, f"{column!r} is a name, but file.header is false", "give the column's number"
            )

    def _column(self, key: str, c: ColumnSection) -> Column:
        time = self._declared.time
        self._check_where(f"{key}.column", c.column)
        if not is_resource(c.resource):
            kinds = ", ".join(sorted(KINDS))
            near = difflib.get_close_matches(kind_of(c.resource), KINDS, n=1)
            fix = f"did you mean {near[0]!r}?" if near else f"write 'kind:id'; kinds are {kinds}"
            raise self._wrong(f"{key}.resource", f"{c.resource!r} is no resource", fix)
        quantity = CATALOGUE.get(c.quantity)
        if quantity is None:
            near = difflib.get_close_matches(c.quantity, CATALOGUE, n=1)
            fix = f"did you mean {near[0]!r}?" if near else "see docs/quantities.md"
            raise self._wrong(f"{key}.quantity", f"{c.quantity!r} is not in the catalogue", fix)
        if quantity.kind is Kind.AMOUNT and time.labels not in {"end", "start"}:
            raise self._wrong(
                "time.labels",
                f"{c.quantity} is the amount of a period",
                "say whether labels are its 'end' or its 'start', and period_s",
            )
        return Column(
            key=key,
            where=c.column,
            series=Series(self._declared.site, self._declared.agent, c.resource, c.quantity),
            quantity=quantity,
            conversion=self._try(
                f"{key}.unit",
                lambda: conversion(
                    quantity, c.unit, mean_over_s=float(time.period_s or 1) if c.mean else None
                ),
            ),
            sentinels=self._try(
                f"{key}.not_measured",
                lambda: Sentinels(self._declared.values.not_measured + c.not_measured),
            ),
            states=self._states(key, c, quantity),
            shifted=self._shifted(key, c, quantity),
        )

    def _states(self, key: str, c: ColumnSection, quantity: Quantity) -> dict[str, float]:
        if c.states and quantity.kind is not Kind.GAUGE:
            raise self._wrong(f"{key}.states", f"{c.quantity} is no gauge", "drop it")
        return {text.strip(): value for text, value in c.states.items()}

    def _shifted(self, key: str, c: ColumnSection, quantity: Quantity) -> bool:
        if c.instant and quantity.kind is Kind.AMOUNT:
            raise self._wrong(f"{key}.instant", f"{c.quantity} has no instant", "drop it")
        if self._declared.time.labels != "start":
            return False
        if quantity.kind is Kind.COUNTER and c.instant is None:
            raise self._wrong(
                f"{key}.instant",
                "missing for a register in a file of period starts",
                "say true where it was read at the label, false where at the period's end",
            )
        return not c.instant

    def _refuse_twins(self, columns: tuple[Column, ...]) -> None:
        seen: dict[Series, str] = {}
        for column in columns:
            other = seen.setdefault(column.series, column.key)
            if other != column.key:
                raise self._wrong(
                    f"{column.key}.resource",
                    f"{column.series.resource}/{column.series.quantity} also comes from {other}",
                    "give each column its own resource",
                )

    def _try(self, key: str, read: Callable[[], _T]) -> _T:
        try:
            return read()
        except ValueError as error:
            raise self._wrong(key, str(error)) from None

    def _wrong(self, key: str, problem: str, fix: str = "") -> ConfigurationError:
        return ConfigurationError(str(self._path), key, problem, fix)
