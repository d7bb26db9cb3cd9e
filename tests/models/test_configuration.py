"""Errors in configuration files name file, key and fix in one line."""

from enum import StrEnum
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_models.configuration import ConfigurationError, convert, parse


class Dial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Innermost section."""

    modulus: float


class Meter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of several."""

    id: str
    dial: Dial | None = None
    since: str | None = None


class Role(StrEnum):
    """Values that are listed."""

    READER = "reader"
    OFFICER = "officer"


class Grant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """With values that must be of a form."""

    role: Role | None = None
    also: list[Literal["open", "token"]] = []
    digest: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{4}$", description="4 digits")] = "0000"
    name: Annotated[str, msgspec.Meta(pattern="^[a-z]+$")] | None = None


class Doors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file with such values."""

    grants: list[Grant] = []


class Site(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file."""

    name: str
    meters: list[Meter] = []
    zones: dict[str, Dial] = {}


def problem(text: str) -> str:
    """What is said about a file."""
    with pytest.raises(ConfigurationError) as wrong:
        parse(text, Site, file="site.toml")
    return str(wrong.value)


def test_a_good_file_is_read() -> None:
    """Nested sections arrive as structs."""
    text = 'name = "a"\n[[meters]]\nid = "m1"\ndial = { modulus = 1000 }\n'
    assert parse(text, Site, file="site.toml") == Site("a", [Meter("m1", Dial(1000))])


def test_dates_arrive_as_text_quoted_or_not() -> None:
    """2026-01-01, with or without quotation marks, is the same."""
    bare = parse('name = "a"\n[[meters]]\nid = "m"\nsince = 2026-01-01\n', Site, file="f")
    quoted = parse('name = "a"\n[[meters]]\nid = "m"\nsince = "2026-01-01"\n', Site, file="f")
    assert bare == quoted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            'name = "a"\nmetres = []\n',
            "site.toml: metres: unknown key; did you mean 'meters'?",
            id="near a known key",
        ),
        pytest.param(
            'name = "a"\nqwxz = 1\n',
            "site.toml: qwxz: unknown key; known keys are name, meters, zones",
            id="near no known key",
        ),
        pytest.param(
            'name = "a"\n[[meters]]\nid = "m1"\n[[meters]]\nid = "m2"\ndial = { modulo = 1 }\n',
            "site.toml: meters[1].dial.modulo: unknown key; did you mean 'modulus'?",
            id="inside a list",
        ),
        pytest.param(
            'name = "a"\n[zones.hall]\nmodulos = 1\n',
            "site.toml: zones[...].modulos: unknown key; did you mean 'modulus'?",
            id="inside a table of tables",
        ),
        pytest.param("", "site.toml: name: missing; add this key", id="a key is missing"),
        pytest.param(
            'name = "a"\n[[meters]]\n',
            "site.toml: meters[0].id: missing; add this key",
            id="a key of a section is missing",
        ),
        pytest.param("name = 5\n", "site.toml: name: expected `str`, got `int`", id="another type"),
    ],
)
def test_what_is_wrong_is_said_with_file_key_and_fix(text: str, said: str) -> None:
    """The whole line that a person sees."""
    assert problem(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'role = "rader"',
            "role: 'rader' is no choice; did you mean 'reader'? choices are 'reader', 'officer'",
        ),
        ('role = "zzz"', "role: 'zzz' is no choice; choices are 'reader', 'officer'"),
        (
            'also = ["open", "tokn"]',
            "also[1]: 'tokn' is no choice; did you mean 'token'? choices are 'open', 'token'",
        ),
        ('digest = "12"', "digest: expected 4 digits"),
        ('name = "12"', "name: is not of the form that is asked for"),
    ],
)
def test_a_value_of_none_of_the_forms_is_told_which_there_are(text: str, said: str) -> None:
    """Choices are listed, the nearest is named; no regular expression is shown."""
    with pytest.raises(ConfigurationError) as wrong:
        parse(f"[[grants]]\n{text}\n", Doors, file="doors.toml")
    assert str(wrong.value) == f"doors.toml: grants[0].{said}"


def test_a_file_that_is_not_toml_is_said_with_its_place() -> None:
    """The parser's line and column come through, in one line."""
    said = problem('name = "a\nb"\n')
    assert said.startswith("site.toml: not valid TOML: ")
    assert "line 1" in said
    assert "\n" not in said


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_a_number_that_is_not_finite_is_said_with_its_key(number: str) -> None:
    """In a list of tables, in a table of tables, and under a key that is unknown."""
    fix = f"{number} is no number; write a finite number"
    dial = f'name = "a"\n[[meters]]\nid = "m"\ndial = {{ modulus = {number} }}\n'
    assert problem(dial) == f"site.toml: meters[0].dial.modulus: {fix}"
    zone = f'name = "a"\n[zones.hall]\nmodulus = {number}\n'
    assert problem(zone) == f"site.toml: zones.hall.modulus: {fix}"
    assert problem(f"other = [1, {number}]\n") == f"site.toml: other[1]: {fix}"


@pytest.mark.parametrize("value", ["[" * 5000, "9" * 5000], ids=["nested", "long"])
def test_a_value_that_no_parser_takes_is_said(value: str) -> None:
    """Nested too deep, or too many digits: one line too."""
    assert problem(f"name = {value}").startswith("site.toml: not valid TOML: ")


@given(
    st.dictionaries(
        st.sampled_from(["name", "meters", "zones", "other"]),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats()
            | st.text(max_size=5)
            | st.dates(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["id", "dial", "modulus", "x"]), inner)
            ),
            max_leaves=6,
        ),
    )
)
def test_any_tree_is_read_or_refused_in_one_line(tree: dict[str, object]) -> None:
    """No input raises anything but ConfigurationError, and that is one line with the file."""
    try:
        convert(tree, Site, file="site.toml")
    except ConfigurationError as wrong:
        said = str(wrong)
    else:
        said = "site.toml: fine"
    assert said.startswith("site.toml: ")
    assert "\n" not in said


def test_an_error_is_one_short_printable_line() -> None:
    """Whatever the file holds: a value of a thousand brackets, line ends, an escape sequence."""
    error = ConfigurationError("f.toml", "a" * 900, "[" * 2000 + "\x1b[2J\nb", "c\td")
    told = str(error)
    assert told.isprintable()
    assert len(told) < 1100
    assert told.startswith("f.toml: aaa")
    assert told.endswith("…; c d")
    assert error.key == "a" * 900
