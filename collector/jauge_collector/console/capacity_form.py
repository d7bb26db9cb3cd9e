"""The form of a scenario: rows that come and go without script, what it says, what is wrong."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import msgspec
from jauge_models.capacity.scenario import WEEK, Scenario, decode, encode
from jauge_models.configuration import ConfigurationError

from jauge_collector.capacity.planning import checked
from jauge_collector.capacity.plant_file import DeclaredPlant
from jauge_collector.console.attestation_form import Problem
from jauge_collector.console.scenario_levels import SCENARIO, Asks, Level, asks, said
from jauge_collector.console.text import Language

LARGEST_FORM: Final = 256 * 1024
"""Bytes: a form full of rows, each with names of racks."""
MOST_FIELDS: Final = 1200
LONGEST_TEXT: Final = 200
LONGEST_NAMES: Final = 1000
"""Characters of a list of kinds or racks."""
_PATH: Final = re.compile(r"[a-z_]+(?:-\d{1,2}-[a-z_]+)?(?:-\d{1,2})?")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SPACES: Final = dict.fromkeys(map(ord, "\u202f\u00a0 '"), None)

_WRONG: Final = (
    (r"is used twice", "scenario_wrong_twice"),
    (r"is before first", "scenario_wrong_backwards"),
    (r"is above full_w", "scenario_wrong_idle_w"),
    (r"changes nothing", "scenario_wrong_nothing"),
    (r"is not after begin", "scenario_wrong_hours_backwards"),
    (r"overlaps hours above", "scenario_wrong_overlap"),
    (r"stands beside gpu_share", "scenario_wrong_both"),
    (r"a part of a GPU is asked of one GPU", "scenario_wrong_part"),
    (r"is below a thousandth", "scenario_wrong_thousandth"),
    (r"come to (?P<number>\d+) over the horizon", "scenario_wrong_many"),
    (r"(?P<name>'.*'|\".*\") is not in the plant; the plant has (?P<known>.*)", "scenario_unknown"),
    (r"is in \d+; ", "scenario_wrong_year"),
)
"""Problems of the model, in the reader's language; another one stands in English."""


_Wrong = list[tuple[str, str, Mapping[str, float]]]
"""Path, key of a text, and the numbers in it."""


@dataclass(slots=True)
class Row:
    """One row as it was sent: its fields, and the rows of the tables in it."""

    values: dict[str, str]
    parts: dict[str, list["Row"]] = field(default_factory=dict)


def blank(level: Level, **values: str) -> Row:
    """A new row: what stands at a default is shown."""
    known = asks(level.struct)
    return Row(
        {name: known[name].default for name in level.fields} | values,
        {name: [] for name in level.parts},
    )


def stated(scenario: Scenario) -> Row | None:
    """The form of a scenario; None where it has more than a form takes."""
    row = _stated(scenario, SCENARIO)
    return row if row is not None and _again(row) == scenario else None


def _again(row: Row) -> Scenario | None:
    problems: _Wrong = []
    tree = _tree(row, SCENARIO, "", problems, comma=False)
    return None if problems else msgspec.convert(tree, Scenario)


def _stated(struct: msgspec.Struct, level: Level) -> Row | None:
    parts: dict[str, list[Row]] = {}
    for name, part in level.parts.items():
        rows = [_stated(one, part) for one in getattr(struct, name)]
        found = [row for row in rows if row is not None]
        if len(found) < len(rows) or len(rows) > part.most:
            return None
        parts[name] = found
    return Row({name: said(getattr(struct, name)) for name in level.fields}, parts)


def sent(fields: Mapping[str, str]) -> Row:
    """The rows that a form sent."""
    return _sent(fields, SCENARIO, "")


def _sent(fields: Mapping[str, str], level: Level, prefix: str) -> Row:
    values = {name: fields.get(f"{prefix}{name}", "") for name in level.fields}
    if "weekdays" in values:
        days = (day.value for day in WEEK if fields.get(f"{prefix}weekdays-{day}"))
        values["weekdays"] = " ".join(days)
    parts: dict[str, list[Row]] = {}
    for name, part in level.parts.items():
        parts[name] = []
        for at in range(part.most):
            start = f"{prefix}{name}-{at}-"
            if f"{start}{part.fields[0]}" not in fields:
                break
            parts[name].append(_sent(fields, part, start))
    return Row(values, parts)


def changed(row: Row, act: str) -> str | None:
    """Add a row (``add training``) or remove one (``remove desktops-0-hours-1``).

    The path of what is to be looked at next; None for no such act.
    """
    verb, _, path = act.partition(" ")
    if verb not in ("add", "remove") or not _PATH.fullmatch(path):
        return None
    at, level = row, SCENARIO
    steps = path.split("-")
    while len(steps) > 2:
        name, number, *steps = steps
        if not name or name not in level.parts or int(number) >= len(at.parts[name]):
            return None
        at, level = at.parts[name][int(number)], level.parts[name]
    name = steps[0]
    if name not in level.parts or (len(steps) == 2) != (verb == "remove"):
        return None
    rows, part = at.parts[name], level.parts[name]
    if verb == "add":
        if len(rows) >= part.most:
            return path
        rows.append(blank(part, **({"first": row.values["first"]} if name == "training" else {})))
        return f"{path}-{len(rows) - 1}"
    if int(steps[1]) < len(rows):
        del rows[int(steps[1])]
    return path.rpartition("-")[0]


def read(
    row: Row, language: Language, declared: DeclaredPlant | None
) -> tuple[Scenario | None, tuple[Problem, ...]]:
    """The scenario that a form says, or what is wrong, field by field; never both.

    ``declared``: the plant that its names are looked up in; None: they are not.
    """
    wrong: _Wrong = []
    tree = _tree(row, SCENARIO, "", wrong, comma=language.code == "fr")
    if wrong:
        return None, tuple(
            Problem(path, language(key, **{n: language.plain(v) for n, v in values.items()}))
            for path, key, values in wrong
        )
    try:
        scenario = decode(encode(msgspec.convert(tree, Scenario)), file="")
        if declared is not None:
            checked(scenario, declared, file="")
    except ConfigurationError as error:
        return None, (_problem(error, language),)
    return scenario, ()


def _problem(error: ConfigurationError, language: Language) -> Problem:
    """A problem of the model at the field of the form that it is about."""
    path = re.sub(r"\[(\d+)\]\.?", r"-\1-", error.key)
    level = SCENARIO
    for step in re.findall(r"([a-z_]+)-\d+-", path):
        level = level.parts[step]
    if path.endswith("-"):
        path += level.fields[0]
    text = str(error).removeprefix(": ").removeprefix(f"{error.key}: ")
    if error.key == "zone":
        return Problem(path, language("scenario_wrong_zone"))
    for pattern, key in _WRONG:
        if found := re.search(pattern, text):
            return Problem(path, language(key, **found.groupdict()))
    return Problem(path, text, "en")


def _tree(row: Row, level: Level, prefix: str, wrong: _Wrong, *, comma: bool) -> dict[str, Any]:
    """The row as the model takes it; what cannot be is added to ``wrong``.

    ``comma``: one stands before decimals. Elsewhere it might part thousands, so it is refused.
    """
    tree: dict[str, Any] = {}
    for name, asked in asks(level.struct).items():
        text = row.values.get(name, "").strip()
        before = len(wrong)
        if name not in row.values:
            continue
        if not text and asked.kind != "days":
            if asked.required:
                wrong.append((prefix + name, "scenario_wrong_missing", {}))
            continue
        if comma and asked.kind == "decimal":
            text = text.replace(",", ".")
        value = _value(text, asked, prefix + name, wrong)
        if len(wrong) == before:
            tree[name] = value
    for name, part in level.parts.items():
        tree[name] = [
            _tree(one, part, f"{prefix}{name}-{at}-", wrong, comma=comma)
            for at, one in enumerate(row.parts.get(name, ()))
        ]
    if "hours" in level.parts and not tree["hours"]:
        wrong.append((f"{prefix}{level.fields[0]}", "scenario_wrong_no_hours", {}))
    return tree


def _value(text: str, asked: Asks, path: str, wrong: _Wrong) -> Any:
    if asked.kind in ("whole", "decimal"):
        return _number(text, asked, path, wrong)
    key = ""
    found: Any = text
    match asked.kind:
        case "date":
            try:
                found = date.fromisoformat(text)
            except ValueError:
                key = "scenario_wrong_date"
        case "names":
            found = [part.strip() for part in text.split(",") if part.strip()]
            if len(text) > LONGEST_NAMES:
                key = "scenario_wrong_long"
        case "days":
            found = text.split()
            if not found:
                key = "scenario_wrong_days"
        case "choice" if text not in asked.choices:
            key = "scenario_wrong_choice"
        case "name" if not _NAME.fullmatch(text):
            key = "scenario_wrong_name"
        case "text" if len(text) > LONGEST_TEXT or not text.isprintable():
            key = "scenario_wrong_long"
    if key:
        wrong.append((path, key, {}))
    return found


def _number(text: str, asked: Asks, path: str, wrong: _Wrong) -> float:
    plain = text.translate(_SPACES).replace("−", "-")
    whole = asked.kind == "whole"
    try:
        value = int(plain) if whole else float(plain)
    except ValueError:
        wrong.append((path, "scenario_wrong_whole" if whole else "scenario_wrong_number", {}))
        return 0
    low, high = asked.low, asked.high
    under = low is not None and (value < low or (asked.above and value == low))
    if not math.isfinite(value) or under or (high is not None and value > high):
        key = "scenario_wrong_above" if asked.above else "scenario_wrong_range"
        wrong.append((path, key, {"low": low or 0.0, "high": math.inf if high is None else high}))
    return value
