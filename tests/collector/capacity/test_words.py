"""Every code of an answer has its text, in both languages."""

import re
import tomllib
from importlib.resources import files
from typing import Any

import pytest
from jauge_collector.capacity.words import words
from jauge_collector.console.text import CODES
from jauge_models.capacity import forecast_methods, history
from jauge_models.capacity.fullness import Limit
from jauge_models.capacity.outlook import Counted, Measure
from jauge_models.capacity.workloads import Obstacle

_HOLE = re.compile(r"{(\w+)")


def _tables(code: str) -> dict[str, dict[str, str]]:
    text = files("jauge_collector.capacity").joinpath("locale", f"{code}.toml").read_text("utf-8")
    return tomllib.loads(text)


def test_both_languages_have_the_same_texts_with_the_same_holes() -> None:
    """A hole that one language lacks would leave out a figure there."""
    french, english = (_tables(code) for code in CODES)
    assert {name: set(table) for name, table in french.items()} == {
        name: set(table) for name, table in english.items()
    }
    for name, table in french.items():
        for key, text in table.items():
            assert set(_HOLE.findall(text)) == set(_HOLE.findall(english[name][key])), (name, key)


@pytest.mark.parametrize("code", CODES)
def test_limits_obstacles_and_what_a_history_lacks_have_names(code: str) -> None:
    """A code on a page would be nobody's language."""
    lacks = (history.SAMPLES, history.BUSY, history.IDLE, history.SPREAD)
    for name in (*Limit, *Obstacle, *lacks):
        assert str(name) in words(code).names, name


@pytest.mark.parametrize("code", CODES)
def test_what_keeps_a_node_out_of_a_rack_has_words(code: str) -> None:
    """Those that `siting` gives."""
    said = {Obstacle.BREAKER, Obstacle.RACK_POWER, Obstacle.ROOM_COOLING, Obstacle.RACK_UNITS}
    assert set(words(code).keeps) == said


_UNITS = re.compile(r"[\d}] (?:[hdj]|GiB|Gio|kWh)(?![\w’])")


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("package", ["capacity", "reports"])
def test_no_number_parts_from_its_unit(code: str, package: str) -> None:
    """At the end of a line, of a page or of a narrow column."""
    folder = files(f"jauge_collector.{package}").joinpath("locale")
    texts = tomllib.loads(folder.joinpath(f"{code}.toml").read_text("utf-8"))["texts"]
    own = [text for key, text in texts.items() if package == "capacity" or "capacity" in key]
    assert own
    assert [text for text in own if _UNITS.search(text)] == []


@pytest.mark.parametrize("code", CODES)
def test_forecast_methods_have_names(code: str) -> None:
    """Those that `forecast` may choose."""
    names: set[Any] = {
        getattr(forecast_methods, name)
        for name in vars(forecast_methods)
        if name.isupper() and isinstance(getattr(forecast_methods, name), str)
    }
    assert names
    assert names <= set(words(code).methods)


@pytest.mark.parametrize("code", CODES)
def test_what_is_counted_and_forecast_has_names(code: str) -> None:
    """Of every way to count, and of every measure of a pool."""
    assert set(words(code).counted) == {str(one) for one in Counted}
    assert {str(one) for one in Measure} <= set(words(code).names)


@pytest.mark.parametrize("code", CODES)
def test_a_form_for_one_has_one_for_several(code: str) -> None:
    """Or a number of things would have no text."""
    for table in _tables(code).values():
        for key in table:
            if key.endswith("_one"):
                assert key.removesuffix("_one") in table
