"""Tables that people keep: CSV as bytes into typed cells, with everything wrong named at once.

UTF-8, with a byte-order mark or without; parted by semicolons, commas or tabs; header names in
English or French, accents and capitals do not matter. Empty lines and lines that begin with ``#``
are left out, and so are later columns whose header begins so. Dates are 2026-01-31 or 31/01/2026.
"""

import csv
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from enum import StrEnum
from typing import Final, NamedTuple, TypeVar

import msgspec
from jauge_models.resources import is_name, is_resource

from jauge_collector.civil import YEARS
from jauge_collector.registers.problems import File, Problems, text_of

MOST_ROWS: Final = 50_000
MOST_CHARACTERS: Final = 2_000
"""Of one cell."""
MOST_COLUMNS: Final = 200
MOST_NAMES: Final = 200
"""In one cell that lists names."""

_LONGEST_SLIP: Final = 60
"""Characters of a mistyped word that are compared with the words there are."""
_SEPARATORS: Final = ";,\t"
_EXCEL: Final = re.compile(r"sep=(.)\r?\n")
_FRENCH_DATE: Final = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_PARTED: Final = re.compile(r"[\s,;|]+")
_FORMULA: Final = ("=", "+", "-", "@")
"""What a spreadsheet takes for the beginning of a formula."""

_E = TypeVar("_E", bound=StrEnum)


class Column(NamedTuple):
    """A column: its name, and what else its header may say."""

    name: str
    others: tuple[str, ...] = ()
    needed: bool = False


class Dated(msgspec.Struct, frozen=True, kw_only=True):
    """A row that holds from a day to a day (excluded); open where absent."""

    line: int
    """Where it stands in its file."""
    valid_from: date | None = None
    """First day on which it holds."""
    valid_to: date | None = None
    """First day on which it holds no more."""

    def holds(self, day: date) -> bool:
        """Whether it holds on a day."""
        return (self.valid_from or date.min) <= day < (self.valid_to or date.max)

    def overlaps(self, start: date, end: date) -> bool:
        """Whether it holds on any day of [start, end)."""
        return (self.valid_from or date.min) < end and start < (self.valid_to or date.max)


DATES: Final = (
    Column("valid_from", ("depuis", "valide_depuis", "valide_du", "date_debut", "mise_en_service")),
    Column("valid_to", ("jusqu_au", "valide_jusqu_au", "valide_au", "date_fin", "retrait")),
)
"""Columns of what is dated."""


class Row:
    """One row; what a cell may not say becomes a problem, and reads as if it were empty."""

    __slots__ = ("_cells", "_problems", "line", "others")

    def __init__(
        self,
        line: int,
        cells: Mapping[str, str],
        problems: Problems,
        others: Mapping[str, str],
    ) -> None:
        self.line = line
        self.others = others
        self._cells = cells
        self._problems = problems

    def wrong(self, column: str, problem: str, fix: str) -> None:
        """Note a problem of this row."""
        self._problems.add(self.line, column, problem, fix)

    def text(self, column: str, *, needed: bool = False) -> str:
        """What the cell says."""
        found = self._cells.get(column, "")
        if needed and not found:
            self.wrong(column, "is empty", "fill it in")
        return found

    def day(self, column: str, *, needed: bool = False) -> date | None:
        """A date; a day of the civil calendar."""
        text = self.text(column, needed=needed)
        if not text:
            return None
        french = _FRENCH_DATE.fullmatch(text)
        try:
            if french:
                found = date(int(french[3]), int(french[2]), int(french[1]))
            else:
                found = date.fromisoformat(text)
        except ValueError:
            found = None
        if found is None or found.year not in YEARS:
            self.wrong(column, f"{text!r} is no date", "write 2026-01-31 or 31/01/2026")
            return None
        return found

    def number(self, column: str, low: float, high: float, *, needed: bool = False) -> float | None:
        """A number within bounds, with a decimal point or comma."""
        text = self.text(column, needed=needed)
        if not text:
            return None
        found = _number(text)
        if found is None or not low <= found <= high:
            self.wrong(
                column, f"{text!r} is no number from {low:g} to {high:g}", "write e.g. 12.5 or 12,5"
            )
            return None
        return found

    def whole(self, column: str, low: int, high: int) -> int | None:
        """A whole number within bounds."""
        text = self.text(column)
        if not text:
            return None
        if not (text.isascii() and text.isdecimal() and len(text) <= 9) or not (
            low <= int(text) <= high
        ):
            self.wrong(column, f"{text!r} is no whole number from {low} to {high}", "correct it")
            return None
        return int(text)

    def choice(
        self, column: str, kind: type[_E], others: Mapping[str, _E], *, needed: bool = False
    ) -> _E | None:
        """One of a few words; ``others`` are more words for them, as `folded` writes them."""
        text = self.text(column, needed=needed)
        return self._choice(column, text, kind, others) if text else None

    def choices(
        self, column: str, kind: type[_E], others: Mapping[str, _E], *, needed: bool = False
    ) -> tuple[_E, ...]:
        """Several of them, parted as names are."""
        text = self.text(column, needed=needed)
        words = (self._choice(column, word, kind, others) for word in _PARTED.split(text) if word)
        return tuple(dict.fromkeys(word for word in words if word is not None))

    def _choice(
        self, column: str, text: str, kind: type[_E], others: Mapping[str, _E]
    ) -> _E | None:
        words = {folded(member.value): member for member in kind} | dict(others)
        found = words.get(folded(text))
        if found is None:
            near = _near(text, words, 0.6)
            meant = f"did you mean {words[near[0]].value!r}? " if near else ""
            choices = ", ".join(member.value for member in kind)
            self.wrong(column, f"{text!r} is no choice", f"{meant}choices are {choices}")
        return found

    def names(self, column: str, is_one: Callable[[str], bool], form: str) -> tuple[str, ...]:
        """Several names, parted by spaces, ``|``, commas or semicolons; each once."""
        text = self.text(column)
        found = dict.fromkeys(filter(None, _PARTED.split(text)))
        if len(found) > MOST_NAMES:
            self.wrong(column, f"lists {len(found)} names", f"at most {MOST_NAMES}")
            return ()
        for name in found:
            if not is_one(name):
                self.wrong(column, f"{name!r} is none", form)
        return tuple(found)

    def span(self) -> tuple[date | None, date | None]:
        """From when and to when it holds."""
        start, end = self.day("valid_from"), self.day("valid_to")
        if start is not None and end is not None and end <= start:
            self.wrong("valid_to", f"{end} is not after {start}", "it is the first day without")
            return start, None
        return start, end


def rows_of(
    file: File, columns: Sequence[Column], problems: Problems, *, others: bool = False
) -> list[Row]:
    """Rows of a table. Raises RegisterError where it cannot be told what its cells are.

    With ``others`` columns that nobody asked for are no problem: `Row.others` has them.
    """
    records = list(_records(file, problems))
    line, header = records[0] if records else (1, [])
    filled = len(header)
    while filled and not header[filled - 1].strip():
        filled -= 1
    header = header[:filled]
    if len(header) > MOST_COLUMNS:
        problems.add(line, "", f"{len(header)} columns", f"at most {MOST_COLUMNS}")
        problems.check()
    order = _order(line, header, columns, problems, others=others)
    problems.check()
    rows: list[Row] = []
    for line, record in records[1:]:
        cells = record
        if len(cells) > len(order) and not any(cell.strip() for cell in cells[len(order) :]):
            cells = cells[: len(order)]  # spreadsheets pad rows
        if len(cells) != len(order):
            fix = "put quotes round a cell that holds the separator, or add what is missing"
            problem = f"{len(cells)} values for {len(order)} columns"
            problems.add(line, "", problem, fix)
            continue
        read = [
            _cell(line, name or head.strip(), raw, problems) if name or others else ""
            for name, head, raw in zip(order, header, cells, strict=True)
        ]
        known = {name: cell for name, cell in zip(order, read, strict=True) if name}
        rest = (
            {
                head.strip(): cell
                for name, head, cell in zip(order, header, read, strict=True)
                if not name
            }
            if others
            else {}
        )
        rows.append(Row(line, known, problems, rest))
    return rows


def refuse_twins(
    rows: Iterable[tuple[Hashable, Dated]],
    what: Callable[[Hashable], str],
    column: str,
    problems: Problems,
) -> None:
    """Note each key that two rows hold on the same day, with both lines."""
    held: defaultdict[Hashable, list[Dated]] = defaultdict(list)
    for key, row in rows:
        held[key].append(row)
    for key, found in held.items():
        if len(found) == 1:
            continue
        found.sort(key=lambda row: (row.valid_from or date.min, row.line))
        last = found[0]
        for row in found[1:]:
            if (row.valid_from or date.min) < (last.valid_to or date.max):
                first, second = sorted((last.line, row.line))
                problems.add(
                    second,
                    column,
                    f"{what(key)} stands in line {first} too",
                    "drop one, or part them with valid_from and valid_to",
                )
            if (row.valid_to or date.max) >= (last.valid_to or date.max):
                last = row


def is_feed(text: str) -> bool:
    """Whether a text is ``agent/resource``."""
    agent, _, resource = text.partition("/")
    return is_name(agent) and is_resource(resource)


FEED_FORM: Final = "write 'agent/kind:id', as the agent's births name it"


def folded(text: str) -> str:
    """A header or word without accents, capitals and signs: ``Numéro`` is ``numero``."""
    plain = unicodedata.normalize("NFKD", text.replace("œ", "oe").replace("Œ", "oe"))
    letters = "".join(c for c in plain if not unicodedata.combining(c)).lower()
    return re.sub(r"[^a-z0-9]+", "_", letters).strip("_")


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table that `rows_of` reads, and in which a spreadsheet finds no formula."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in row])
    return text.getvalue()


def _records(file: File, problems: Problems) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line each begins in, the header first."""
    text = text_of(file)
    told = _EXCEL.match(text)
    skipped = 1 if told else 0
    text = text[told.end() :] if told else text
    head = next((line for line in text.splitlines() if line.strip() and line[0] != "#"), "")
    separator = told[1] if told and told[1] in _SEPARATORS else max(_SEPARATORS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    begins, taken = skipped + 1, 0
    try:
        for record in reader:
            line, begins = begins, skipped + reader.line_num + 1
            if not any(cell.strip() for cell in record) or record[0].lstrip().startswith("#"):
                continue
            taken += 1
            if taken > MOST_ROWS + 1:
                problems.add(line, "", f"more than {MOST_ROWS} rows", "split the file")
                return
            yield line, record
    except csv.Error as error:
        problems.add(begins, "", str(error), "correct the quotes of this row or the one before")
        problems.check()


def _order(
    line: int,
    header: Sequence[str],
    columns: Sequence[Column],
    problems: Problems,
    *,
    others: bool,
) -> list[str]:
    """Which column each cell is of; empty where it is nobody's."""
    known = {folded(name): one.name for one in columns for name in (one.name, *one.others)}
    order: list[str] = []
    for at, raw in enumerate(header, 1):
        name = known.get(folded(raw), "")
        if not name and not others and not raw.lstrip().startswith("#"):
            near = _near(raw, known, 0.75)
            names = ", ".join(column.name for column in columns)
            fix = f"did you mean {near[0]!r}?" if near else f"columns are {names};"
            problem = f"unknown column {raw.strip()[:60]!r}"
            problems.add(line, str(at), problem, f"{fix} '#' before its name leaves it out")
        elif name and name in order:
            problems.add(line, str(at), f"a second column {name!r}", "drop one")
        order.append(name)
    for column in columns:
        if column.needed and column.name not in order:
            problems.add(line, column.name, "this column is missing", "add it")
    return order


def _near(text: str, words: Iterable[str], cutoff: float) -> list[str]:
    """The word that a mistyped one is nearest to, if any."""
    return get_close_matches(folded(text[:_LONGEST_SLIP]), words, n=1, cutoff=cutoff)


def _cell(line: int, column: str, raw: str, problems: Problems) -> str:
    text = " ".join(raw.split())
    if text.startswith("'") and text[1:].startswith(_FORMULA):
        text = text[1:]
    if len(text) > MOST_CHARACTERS:
        problems.add(line, column, f"{len(text)} characters", f"at most {MOST_CHARACTERS}")
        return ""
    if not text.isprintable():
        problems.add(line, column, "holds a control character", "type the cell anew")
        return ""
    return text


def _number(text: str) -> float | None:
    plain = re.sub(r"[\s\u202f]", "", text).replace(",", ".")
    if not re.fullmatch(r"[+-]?(\d{1,18}(\.\d{0,18})?|\.\d{1,18})([eE][+-]?\d{1,2})?", plain):
        return None
    return float(plain)
