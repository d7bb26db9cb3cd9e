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
