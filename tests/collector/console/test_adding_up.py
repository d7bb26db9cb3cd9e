"""Figures that add up as shown, the bar that shows them, stacked charts, and cells of files."""

import re
from math import fsum
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_collector.adding_up import adding_up
from jauge_collector.console import charts, partbar
from jauge_collector.console.charts import Chart, Curve, Slot, Style
from jauge_collector.console.partbar import Bar, Piece
from jauge_collector.console.text import language
from jauge_collector.csv_text import moment, written

NS = "{http://www.w3.org/2000/svg}"
PARTS: tuple[Style, ...] = ("idle", "dynamic")
WATTS = st.lists(st.floats(0, 5000, allow_nan=False), max_size=60)


@given(WATTS, st.integers(0, 3))
def test_what_is_shown_adds_up_and_no_value_moves_by_a_unit(
    values: list[float], decimals: int
) -> None:
    """The sum is that of the exact values as shown; each is rounded up or down, no further."""
    shown = adding_up(values, decimals)
    unit = 10.0**-decimals
    assert round(fsum(shown), decimals) == pytest.approx(
        round(fsum(values) / unit) * unit, abs=unit / 1e3
    )
    assert all(abs(a - b) < unit * 1.000001 for a, b in zip(shown, values, strict=True))
    assert all(value >= 0 for value in shown)
    assert adding_up(values, decimals) == shown


def test_thirds_are_shown_as_a_whole() -> None:
    """Rounded one by one they would be 99.9."""
    assert adding_up([100 / 3] * 3, 1) == [33.4, 33.3, 33.3]


def test_the_bar_holds_every_part_in_its_place_and_escapes_names() -> None:
    """Widths are parts of the whole, one after the other; a line parts each piece from the next."""
    pieces = [
        Piece("<host>", (("own", 25.0),)),
        Piece("a & b", (("idle", 25.0), ("dynamic", 40.0), ("gpu", 0.0))),
        Piece("c", (("idle", 0.0), ("dynamic", 0.0), ("gpu", 10.0))),
    ]
    text = partbar.draw(Bar("x", "<title>", "what it says", pieces), language("en"))
    svg = ET.fromstring(text)  # noqa: S314 - our own text
    assert svg.attrib["aria-labelledby"] == "x-t x-d"
    assert [e.text for e in svg.iter(f"{NS}title")][1:] == [
        "<host>: 25\u00a0W",
        "a & b: 65\u00a0W",
        "c: 10\u00a0W",
    ]
    drawn = [(e.attrib["class"], e.attrib["x"], e.attrib["width"]) for e in svg.iter(f"{NS}rect")]
    assert drawn == [
        ("bar own", "0.00%", "25.00%"),
        ("bar idle", "25.00%", "25.00%"),
        ("bar dynamic", "50.00%", "40.00%"),
        ("bar gpu", "90.00%", "10.00%"),
    ]
    assert [e.attrib["x1"] for e in svg.iter(f"{NS}line")] == ["25.00%", "90.00%"]
    assert partbar.draw(Bar("x", "t", "d", []), language("en")) == ""


def stack(*columns: tuple[float | None, float | None]) -> Chart:
    """Hours with an idle and a dynamic part."""
    return Chart(
        id="c",
        title="Parts",
        description="d",
        kind="stack",
        unit="W",
        start_ms=0,
        end_ms=len(columns) * 1000,
        curves=tuple(
            Curve(
                name,
                name,
                [
                    Slot(at * 1000, at * 1000 + 1000, column[part])
                    for at, column in enumerate(columns)
                ],
            )
            for part, name in enumerate(PARTS)
        ),
        ticks=(),
        columns=(),
        rows=(),
    )


def test_parts_stand_on_each_other_and_the_axis_holds_their_sum() -> None:
    """The second begins where the first ends; the axis reaches above 30 + 60; a gap has no bar."""
    text = charts.draw(stack((30.0, 60.0), (None, None), (30.0, 0.0)), language("en"))
    svg = ET.fromstring(text)  # noqa: S314 - our own text
    paths = {
        e.attrib["class"]: re.findall(r"M[\d.]+ (\d+)V(\d+)", e.attrib["d"])
        for e in svg.iter(f"{NS}path")
        if e.attrib.get("class", "").startswith("bar")
    }
    (idle, second), (dynamic,) = paths["bar idle"], paths["bar dynamic"]
    assert idle == second
    assert dynamic[0] == idle[1]
    highest = max(float(mark) for mark in re.findall(r">(\d+)(?:\u00a0W)?</text>", text))
    assert highest >= 90
    assert int(dynamic[1]) == round(1000 * (1 - 90 / highest))
    assert int(idle[1]) == round(1000 * (1 - 30 / highest))
    assert len([e for e in svg.iter(f"{NS}rect") if e.attrib["class"] == "gap"]) == 1


def test_a_file_keeps_what_is_unknown_empty_and_runs_nothing() -> None:
    """None is an empty cell; what would start a formula is led by an apostrophe; RFC 4180 lines."""
    text = written(
        ("name", "value"),
        [("=1+1", None), ("+", -1.5), ("-x", 0), ("@a", 1), ("\tb", 2), ('a,"b"', 3)],
    )
    assert text.splitlines() == [
        "name,value",
        "'=1+1,",
        "'+,-1.5",
        "'-x,0",
        "'@a,1",
        "'\tb,2",
        '"a,""b""",3',
    ]
    assert text.endswith("\r\n")
    assert moment(1_795_655_188_916) == "2026-11-26T01:06:28Z"
    assert moment(None) is None
