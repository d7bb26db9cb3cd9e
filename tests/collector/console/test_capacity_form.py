"""The scenario's form: what is shown, sent and read is the same scenario, and what is wrong."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import date
from enum import Enum
from typing import Any

import pytest
from hypothesis import given, settings
from jauge_collector.capacity.plant_file import DeclaredPlant, load
from jauge_collector.console.capacity_form import (
    MOST_FIELDS,
    Row,
    blank,
    changed,
    read,
    sent,
    stated,
)
from jauge_collector.console.capacity_views import Input, Looks, Section, inputs, named, sections
from jauge_collector.console.scenario_levels import SCENARIO, Level
from jauge_collector.console.text import language
from jauge_models.capacity.scenario import WEEK, Desktops, Scenario, WhatIf, decode
from msgspec import Struct, structs

from tests.collector.capacity.example import EXAMPLES
from tests.collector.console.planned import SCENARIO as EXAMPLE
from tests.models.capacity.test_scenario import _scenarios

FRENCH, ENGLISH = language("fr"), language("en")


def plant() -> DeclaredPlant:
    """The example's."""
    return load(EXAMPLES / "plant.toml")


def shown(above: Sequence[Input], tables: Sequence[Section]) -> Iterator[tuple[str, str]]:
    """The fields of a form as a browser sends them."""
    for one in above:
        if one.kind == "days":
            yield from ((f"{one.id}-{day}", "1") for day, _, ticked in one.choices if ticked)
        else:
            yield one.id, one.value
    for table in tables:
        for row in table.rows:
            yield from shown(row.inputs, row.sections)


def pressed(row: Row, code: str = "en") -> dict[str, str]:
    """The form of a row in a language, sent as it stands."""
    looks = Looks(language(code))
    return dict(shown(inputs(row, looks), sections(row, looks)))


def wrong(fields: dict[str, str], code: str = "en") -> dict[str, str]:
    """What is wrong with a form, by field."""
    scenario, problems = read(sent(fields), language(code), plant())
    assert (scenario is None) == bool(problems)
    return {one.field: one.text for one in problems}


@pytest.fixture
def fields() -> dict[str, str]:
    """The example's form."""
    row = stated(decode(EXAMPLE, file="x"))
    assert row is not None
    return pressed(row)


@pytest.mark.parametrize("code", ["fr", "en"])
def test_the_example_comes_back_as_it_was(code: str) -> None:
    """Through the form of either language, names of its plant known."""
    scenario = decode(EXAMPLE, file="x")
    row = stated(scenario)
    assert row is not None
    again, problems = read(sent(pressed(row, code)), language(code), plant())
    assert (again, problems) == (scenario, ())


def sayable(value: Any) -> Any:
    """The same with texts of one line and no comma, each still another, and some weekday."""
    if isinstance(value, Enum | date):
        return value
    if isinstance(value, str):
        return f"{hashlib.sha256(value.encode(errors='replace')).hexdigest()[:12]} é'\"<&>"
    if isinstance(value, tuple):
        return tuple(sayable(one) for one in value)
    if not isinstance(value, Struct):
        return value
    said = {
        field.name: sayable(getattr(value, field.name))
        for field in structs.fields(value)
        if field.name != "id" and not (field.name == "name" and isinstance(value, WhatIf))
    }
    if isinstance(value, Desktops):
        said["weekdays"] = tuple(sorted(value.weekdays, key=WEEK.index)) or WEEK
    return structs.replace(value, **said)


@settings(deadline=None, max_examples=60)
@given(_scenarios())
def test_a_form_says_the_scenario_that_it_shows(scenario: Scenario) -> None:
    """Whatever is asked, to the last digit."""
    asked = sayable(scenario)
    row = stated(asked)
    assert row is not None
    for code in ("fr", "en"):
        assert read(sent(pressed(row, code)), language(code), None) == (asked, ())


@settings(deadline=None, max_examples=60)
@given(_scenarios())
def test_what_a_form_would_change_is_not_put_into_one(scenario: Scenario) -> None:
    """Texts of any characters: the form says the very same, or there is none."""
    row = stated(scenario)
    if row is not None:
        again, _ = read(row, ENGLISH, None)
        assert again == scenario


def test_what_a_form_cannot_say_has_none() -> None:
    """More rows than it takes, a name with a comma, a title of two lines."""
    for text in (
        EXAMPLE
        + "".join(f'\n[[power]]\nkind="k{n}"\nidle_w=1\nfull_w=2\nbasis="b"\n' for n in range(9)),
        EXAMPLE.replace('gpu_kinds = ["H100"]', 'gpu_kinds = ["H100, 80 GB"]'),
        EXAMPLE.replace('name = "School year', 'name = "School\\nyear'),
    ):
        assert stated(decode(text, file="x")) is None
    assert stated(decode(EXAMPLE, file="x")) is not None


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "  ", "This is missing."),
        ("name", "x" * 201, "too long"),
        ("zone", "Europe/Nowhere", "time zone is not known"),
        ("first", "", "This is missing."),
        ("first", "2026-02-30", "Write a date that exists."),
        ("first", "1026-02-03", "From 2000 to 2200."),
        ("days", "1101", "From 1 to 1,100."),
        ("days", "seven", "Write a whole number."),
        ("days", "7.5", "Write a whole number."),
        ("idle_below", "1,5", "with a point before decimals"),
        ("idle_below", "nan", "From 0 to 1."),
        ("idle_below", "1e999", "From 0 to 1."),
        ("holidays-1-last", "2026-01-01", "The last day is before the first."),
        ("training-0-hours", "", "This is missing."),
        ("training-0-id", "two words", "Up to 64 letters"),
        ("training-1-id", "nightly", "This name is used twice."),
        ("training-0-gpu_kinds", "H100, H300", "'H300' is not in the plant. It has: H100, L40S."),
        ("training-0-gpu_share", "0", "Above 0, at most 1."),
        ("training-0-gpu_share", "0.5", "A part of a GPU is asked of one GPU: write 1."),
        ("inference-0-gpu_share", "0.5", "not for both"),
        ("inference-1-gpu_share", "0.0001", "Ask for 0.001 or more."),
        ("inference-0-spread", "moon", "Choose from the list."),
        ("inference-0-growth", "-2", "From −1 to 10."),
        ("inference-0-replicas", "100000", "too many"),
        ("desktops-0-hours-0-end", "8", "The end is not after the beginning."),
        ("desktops-0-hours-1-begin", "9", "These hours overlap those above."),
        ("desktops-0-hours-0-share", "50", "From 0 to 1."),
        ("power-0-kind", "train-9", "'train-9' is not in the plant."),
        ("power-1-kind", "train-8", "This name is used twice."),
        ("power-0-idle_w", "9000", "At rest it draws more"),
        ("what_if-0-add-0-racks", "r2, r9", "'r9' is not in the plant. It has: r1, r2, r3, r4."),
        ("what_if-3-retire", "desk-5", "'desk-5' is not in the plant."),
        ("what_if-2-cap-0-watts", "-1", "Above 0, at most 1,000,000."),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    fields: dict[str, str], field: str, value: str, said: str
) -> None:
    """In the reader's language, at a field that the form has, or at the row's first."""
    for code in ("en", "fr"):
        found = wrong(fields | {field: value}, code)
        assert len(found) == 1
        where, text = next(iter(found.items()))
        assert where in fields
        assert where.rpartition("-")[0] == field.rpartition("-")[0]
        if code == "en":
            assert said in text
        else:
            assert not {"the", "is", "of", "not", "write"} & set(text.lower().split())


def test_everything_that_is_wrong_is_said_at_once(fields: dict[str, str]) -> None:
    """As far as fields are wrong by themselves, and each by its name."""
    fields |= {"name": "", "training-0-hours": "x", "desktops-0-hours-1-share": "7"}
    found = wrong(fields)
    assert list(found) == ["name", "training-0-hours", "desktops-0-hours-1-share"]
    row = sent(fields)
    looks = Looks(ENGLISH)
    names = named(inputs(row, looks), sections(row, looks))
    assert [names[path] for path in found] == [
        "Title",
        "Training 1, Hours of a run",
        "Desktops 1, Hours 2, Part of the users",
    ]


def test_desktops_without_days_or_hours_are_not_silently_unused(fields: dict[str, str]) -> None:
    """Both are said."""
    kept = {
        name: value
        for name, value in fields.items()
        if not name.startswith(("desktops-0-hours", "desktops-0-weekdays"))
    }
    assert wrong(kept) == {
        "desktops-0-weekdays": "Tick one day or more.",
        "desktops-0-id": "Add the hours in which they are used.",
    }


def test_a_comma_is_a_decimal_in_french_and_nothing_in_english(fields: dict[str, str]) -> None:
    """It might part thousands there: 1,000 is not taken for 1."""
    fields |= {"inference-0-memory_gib": "1,5", "training-0-cpus": "1 000"}
    assert list(wrong(fields)) == ["inference-0-memory_gib"]
    scenario, _ = read(sent(fields | {"idle_below": "0,05"}), FRENCH, plant())
    assert scenario is not None
    assert (scenario.inference[0].memory_gib, scenario.training[0].cpus) == (1.5, 1000)


def test_what_is_left_empty_stands_at_its_default(fields: dict[str, str]) -> None:
    """Only what needs a value is missed."""
    needed = {"name", "first", "training-0-id", "training-0-hours", "training-0-first"}
    some = {name: "" for name in fields if "-" not in name or name.startswith("training-0")}
    assert set(wrong(some)) == needed
    some |= {"name": "x", "first": "2026-01-01", "training-0-id": "t", "training-0-hours": "3"}
    scenario, _ = read(sent(some | {"training-0-first": "2026-01-02"}), ENGLISH, plant())
    assert scenario is not None
    assert scenario == decode(
        'name="x"\nfirst=2026-01-01\n[[training]]\nid="t"\nhours=3\nfirst=2026-01-02', file="x"
    )


def test_rows_come_and_go(fields: dict[str, str]) -> None:
    """By their path; what else stands in the form is kept; what follows moves up."""
    row = sent(fields)
    before = pressed(row)
    assert changed(row, "add training") == "training-2"
    assert row.parts["training"][2].values["first"] == fields["first"]
    assert changed(row, "remove training-2") == "training"
    assert pressed(row) == before
    assert changed(row, "add what_if-1-cap") == "what_if-1-cap-0"
    assert changed(row, "remove desktops-0-hours-1") == "desktops-0-hours"
    now = pressed(row)
    assert now["desktops-0-hours-1-begin"] == fields["desktops-0-hours-2-begin"]
    assert "desktops-0-hours-4-begin" not in now
    assert now["what_if-1-cap-0-kind"] == ""


@pytest.mark.parametrize(
    "act",
    [
        *("", "add", "save all", "add nothing", "add training-0", "remove training"),
        *("add training-0-hours", "add desktops-7-hours", "remove __class__-0", "add -0-x"),
        *("remove desktops-0-hours-0-share-0", "add desktops--hours", "add desktops-0"),
    ],
)
def test_no_other_act_changes_a_form(fields: dict[str, str], act: str) -> None:
    """Whatever is sent instead of a button's own value."""
    row = sent(fields)
    before = pressed(row)
    assert changed(row, act) is None
    assert pressed(row) == before


def full(level: Level) -> Row:
    """A row with as many rows in it as a form takes."""
    row = blank(level)
    for name, part in level.parts.items():
        row.parts[name] = [full(part) for _ in range(part.most)]
    return row


def test_a_full_form_takes_no_more_and_can_be_sent() -> None:
    """One more is not added; its fields are no more than a form may send."""
    row = full(SCENARIO)
    sending = pressed(row)
    assert len(sending) + 5 < MOST_FIELDS
    for name, part in SCENARIO.parts.items():
        assert changed(row, f"add {name}") == name
        assert len(row.parts[name]) == part.most
    more = sending | {"training-6-id": "x", "training-08-id": "x", "training--1-id": "x"}
    assert pressed(sent(more)) == sending
