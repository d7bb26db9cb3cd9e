"""The planner's page as its templates show it: the form row by row, an answer with its picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import quote

from jauge_models.capacity.answer import Answer

from jauge_collector import civil
from jauge_collector.capacity import picture
from jauge_collector.capacity.sheet import Sheet, sheet
from jauge_collector.capacity.words import words
from jauge_collector.console.attestation_form import Problem
from jauge_collector.console.capacity_form import Row
from jauge_collector.console.scenario_levels import SCENARIO, Asks, Level, asks
from jauge_collector.console.text import Language

MOST_ROWS: Final = 40
"""Of one table on the page; the CSV has them all."""


@dataclass(frozen=True, slots=True)
class Input:
    """One field."""

    id: str
    label: str
    kind: str
    value: str
    wrong: Problem | None
    choices: Sequence[tuple[str, str, bool]] = ()
    """Value, text, whether it is chosen: of a list, or of days that are ticked."""
    first: bool = False
    """Whether it is to have the focus."""


@dataclass(frozen=True, slots=True)
class RowView:
    """One row: what it is called, its fields and the tables in it."""

    legend: str
    path: str
    inputs: Sequence[Input]
    sections: "Sequence[Section]"


@dataclass(frozen=True, slots=True)
class Section:
    """One table with its rows; ``add``: what the button says, empty where no more are taken."""

    path: str
    title: str
    text: str
    rows: Sequence[RowView]
    add: str


@dataclass(frozen=True, slots=True)
class AnswerView:
    """An answer: its sheet, and its picture as an address and as text.

    ``waiting`` or ``problem``: why there is none yet, or none at all.
    """

    file: str = ""
    """Under which it is saved; empty where it is not."""
    sheet: Sheet | None = None
    picture: str = ""
    picture_text: str = ""
    cut: Mapping[str, int] | None = None
    """By key of a table: rows that only the CSV has."""
    waiting: str = ""
    problem: str = ""


def answered(found: Answer, language: Language, file: str) -> AnswerView:
    """An answer in the reader's language."""
    w, zone = words(language.code), civil.zone(found.zone)
    whole = sheet(found, w, zone)
    shown = tuple(one._replace(rows=one.rows[:MOST_ROWS]) for one in whole.tables)
    return AnswerView(
        file=file,
        sheet=whole._replace(tables=shown),
        # As an image it keeps its own style, which our policy forbids in the page.
        picture=f"data:image/svg+xml,{quote(picture.svg(found, w, zone), safe=_UNQUOTED)}",
        picture_text=picture.text(found, w, zone),
        cut={t.key: max(0, len(t.rows) - MOST_ROWS) for t in whole.tables},
    )


_UNQUOTED: Final = " /:=;,.()+-'"


class Looks(NamedTuple):
    """How a form is shown. ``focus``: path of the field or row to be looked at."""

    language: Language
    problems: Sequence[Problem] = ()
    focus: str = ""


def inputs(row: Row, looks: Looks) -> list[Input]:
    """The fields above all tables."""
    return _inputs(row, SCENARIO, "", looks)


def sections(row: Row, looks: Looks) -> list[Section]:
    """The tables with their rows."""
    return _sections(row, SCENARIO, "", looks)


def named(above: Sequence[Input], tables: Sequence[Section]) -> dict[str, str]:
    """What each field is called, with its rows: for problems that stand at the top of the form."""
    found = {one.id: one.label for one in above}
    for table in tables:
        for row in table.rows:
            inner = named(row.inputs, row.sections)
            found |= {path: f"{row.legend}, {label}" for path, label in inner.items()}
    return found


def _sections(row: Row, level: Level, prefix: str, looks: Looks) -> list[Section]:
    language = looks.language
    found: list[Section] = []
    for name, part in level.parts.items():
        rows = row.parts.get(name, [])
        views: list[RowView] = []
        for at, one in enumerate(rows):
            path = f"{prefix}{name}-{at}"
            views.append(
                RowView(
                    legend=language(f"scenario_row_{name}", number=language.number(at + 1)),
                    path=path,
                    inputs=_inputs(one, part, f"{path}-", looks),
                    sections=_sections(one, part, f"{path}-", looks),
                )
            )
        key = f"scenario_text_{name}"
        found.append(
            Section(
                path=f"{prefix}{name}",
                title=language(f"scenario_table_{name}"),
                text=language(key) if language.has(key) else "",
                rows=views,
                add=language(f"scenario_add_{name}") if len(rows) < part.most else "",
            )
        )
    return found


def _inputs(row: Row, level: Level, prefix: str, looks: Looks) -> list[Input]:
    language, known = looks.language, asks(level.struct)
    found: list[Input] = []
    for at, name in enumerate(level.fields):
        path, asked = f"{prefix}{name}", known[name]
        value = row.values.get(name, "")
        if asked.kind == "decimal" and language.code == "fr":
            value = value.replace(".", ",")
        found.append(
            Input(
                id=path,
                label=_label(name, level, language),
                kind=asked.kind,
                value=value,
                wrong=next((one for one in looks.problems if one.field == path), None),
                choices=_choices(asked, value, language),
                first=bool(prefix) and at == 0 and looks.focus == prefix.removesuffix("-"),
            )
        )
    return found


def _label(name: str, level: Level, language: Language) -> str:
    own = f"scenario_field_{level.struct.__name__.lower()}_{name}"
    return language(own) if language.has(own) else language(f"scenario_field_{name}")


def _choices(asked: Asks, value: str, language: Language) -> list[tuple[str, str, bool]]:
    if asked.kind == "days":
        chosen = value.split()
        return [(day, language(f"scenario_day_{day}"), day in chosen) for day in asked.choices]
    return [(one, language(f"scenario_choice_{one}"), one == value) for one in asked.choices]
