"""The charts: sound SVG, text of a readable size, and no zero where nothing was measured."""

import re
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from jauge_collector.console.text import CODES
from jauge_collector.reports import charts
from jauge_collector.reports.composition import compose
from jauge_collector.reports.document import Document, Picture

from tests.collector.reports.example import MARKUP, example

SVG = "{http://www.w3.org/2000/svg}"
LABELS = ["a", "b", "c"]


def _number(value: float, decimals: int = 0) -> str:
    return f"{value:.{decimals}f}"


def _monthly(*values: float | None) -> ET.Element:
    bars = charts.Bars("x", charts.DARK, values)
    return _read(charts.monthly(LABELS, [bars], unit="kW", gap="missing", number=_number))


def _read(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - our own text


def _bars(svg: ET.Element) -> list[ET.Element]:
    return [
        each
        for each in svg.iter(f"{SVG}rect")
        if each.get("stroke-width") == "0.5" and float(each.get("y", "0")) > 20
    ]


def _texts(svg: ET.Element) -> list[str]:
    return ["".join(each.itertext()) for each in svg.iter(f"{SVG}text")]


def _pictures(document: Document) -> Iterator[Picture]:
    for section in document.sections:
        for part in (section, *section.parts):
            yield from (block for block in part.blocks if isinstance(block, Picture))
    yield from (block for block in document.opening if isinstance(block, Picture))


def test_a_gap_is_no_bar() -> None:
    """Two bars, one twice as high as the other, and a hatched month that the legend names."""
    svg = _monthly(100.0, None, 50.0)
    first, second = _bars(svg)
    assert float(first.get("height", "0")) == pytest.approx(
        2 * float(second.get("height", "0")), abs=0.1
    )
    assert "missing" in _texts(svg)
    assert "missing" not in _texts(_monthly(100.0, 0.0, 50.0))


def test_a_measured_zero_is_a_stroke() -> None:
    """It is a bar, if a thin one."""
    assert [float(each.get("height", "0")) for each in _bars(_monthly(1.0, 0.0, 1.0))][1] == 0.6


def test_nothing_measured_draws_nothing() -> None:
    """And has a scale all the same."""
    assert _bars(_monthly(None, None, None)) == []


@pytest.mark.parametrize("high", [0.0, 0.003, 1.0, 7.0, 999.0, 123_456.0])
def test_a_scale_holds_what_it_shows(high: float) -> None:
    """Its marks are round, few, and reach the highest value."""
    marks = charts._scale(0.0, high)
    assert marks[-1] >= high * 0.999
    assert 3 <= len(marks) <= 6


def test_dots_stop_at_a_gap() -> None:
    """No line is drawn over a month that was not measured."""

    def lines(*values: float | None) -> int:
        svg = charts.dots(
            LABELS,
            values,
            floor_at=1.0,
            objective=1.5,
            objective_name="o",
            gap="missing",
            number=_number,
        )
        return sum(each.get("stroke-width") == "1.2" for each in _read(svg).iter(f"{SVG}path"))

    assert lines(1.2, 1.3, 1.4) == 2
    assert lines(1.2, None, 1.4) == 0


def test_parts_fill_the_whole() -> None:
    """Each as wide as its amount; nothing of nothing."""
    parts = [
        charts.Part("a", 3, "demonstrated"),
        charts.Part("b", 1, "not_compliant"),
        charts.Part("c", 0, "declared"),
    ]
    bars = [
        each
        for each in _read(charts.results(parts)).iter(f"{SVG}rect")
        if each.get("height") == "20"
    ]
    widths = [float(each.get("width", "0")) for each in bars]
    assert widths == pytest.approx([(charts.WIDTH - 2) * 0.75, (charts.WIDTH - 2) * 0.25], abs=0.1)


def test_both_dates_stand_in_the_way() -> None:
    """However close the first point is to them."""
    way = charts.Way(
        actual=[charts.Mark(date(2026, 12, 31), 0.2)],
        planned=[],
        milestones=[],
        line=[],
        deadlines=[(date(2027, 1, 1), "strict"), (date(2027, 12, 31), "wide")],
        names=("a", "p", "m", "l"),
    )
    said = _texts(_read(charts.trajectory(way, percent=str, day=str)))
    assert {"strict", "wide", "2026-12-31"} <= set(said)
    assert "p" not in said, "no key of what is not there"


def test_results_differ_in_grey() -> None:
    """Neighbours in the bar differ in lightness or in pattern."""
    light = {key: _lightness(colour) for key, (colour, _) in charts.PARTS.items()}
    order = list(charts.PARTS)
    for first, second in pairwise(order):
        patterns = charts.PARTS[first][1], charts.PARTS[second][1]
        assert abs(light[first] - light[second]) > 0.15 or any(patterns)
    assert _lightness(charts.LIGHT) - _lightness(charts.DARK) > 0.3


def _lightness(colour: str) -> float:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("language", CODES)
def test_pictures_of_a_report_are_sound_and_readable(language: str) -> None:
    """Text of 9 points at the width of a page, markup as text, and a text that says the same."""
    found = [*_pictures(compose(example(text=MARKUP), language))]
    assert len(found) == 5
    for picture in found:
        svg = _read(picture.svg)
        assert svg.get("font-size") == "9"
        assert svg.get("width") == str(charts.WIDTH)
        assert not re.search(r"<text[^>]*font-size", picture.svg)
        assert len(picture.alt) > 60
        assert picture.caption
