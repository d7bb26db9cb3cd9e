"""Charts: what is not measured is drawn as not measured, and everything is said in words too."""

import re
from collections.abc import Sequence
from datetime import UTC, date
from xml.etree import ElementTree as ET

import pytest
from jauge_collector import civil
from jauge_collector.console.charts import Chart, Curve, Row, Slot, Tick, draw, nice_marks
from jauge_collector.console.series import (
    Frame,
    Named,
    amount_chart,
    day_ticks,
    gaps,
    gathered,
    hour_ticks,
    month_ticks,
    power_chart,
)
from jauge_collector.console.text import language
from jauge_collector.kpis import Slot as Measured
from jauge_collector.kpis import Step

HOUR_MS = 3_600_000
BEGIN_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""
NS = "{http://www.w3.org/2000/svg}"


def slots(*values: float | None) -> list[Slot]:
    """Hours with these values."""
    return [
        Slot(BEGIN_MS + n * HOUR_MS, BEGIN_MS + (n + 1) * HOUR_MS, value)
        for n, value in enumerate(values)
    ]


def chart(*values: float | None, kind: str = "line", title: str = "Power") -> Chart:
    """A chart of one curve, with a table line for each slot."""
    rows = tuple(
        Row(s.start_ms, s.end_ms, f"hour {n}", ("not measured" if s.value is None else "so much",))
        for n, s in enumerate(slots(*values))
    )
    return Chart(
        id="c",
        title=title,
        description="What it shows",
        kind="bar" if kind == "bar" else "line",
        unit="W",
        start_ms=BEGIN_MS,
        end_ms=BEGIN_MS + len(values) * HOUR_MS,
        curves=(Curve("total", "total", slots(*values)),),
        ticks=(Tick(BEGIN_MS, "00:00"),),
        columns=("power",),
        rows=rows,
    )


def drawn(one: Chart) -> ET.Element:
    """The chart as a tree: what it gives is well-formed."""
    return ET.fromstring(str(draw(one, language("en"))))  # noqa: S314 (our own output)


def of_class(tree: ET.Element, name: str) -> list[ET.Element]:
    """Elements of a class."""
    return [e for e in tree.iter() if name in e.get("class", "").split()]


def test_a_chart_is_an_image_with_a_name_and_a_description() -> None:
    """Role, title and description, by ids that are the chart's own."""
    tree = drawn(chart(1.0, 2.0))
    assert tree.get("role") == "img"
    names = tree.get("aria-labelledby", "").split()
    said = {e.get("id"): e.text for e in tree.iter() if e.get("id")}
    assert [said[name] for name in names] == ["Power", "What it shows"]


def test_a_gap_breaks_the_line_and_is_hatched() -> None:
    """Two runs, two paths; the band stands exactly over the hours that are not measured."""
    tree = drawn(chart(1.0, 2.0, None, None, 3.0))
    assert len(of_class(tree, "stroke")) == 2
    (band,) = of_class(tree, "gap")
    assert (band.get("x"), band.get("width")) == ("40.00%", "40.00%")
    xs = [
        float(x)
        for path in of_class(tree, "stroke")
        for x in re.findall(r"[ML]([\d.]+) ", path.get("d", ""))
    ]
    assert not [x for x in xs if 400 < x < 800]
    assert of_class(drawn(chart(1.0, 2.0)), "gap") == []


def test_a_measured_zero_has_a_bar_and_a_missing_value_has_none() -> None:
    """Three bars of four hours: the zero is a visible stroke on the base line."""
    tree = drawn(chart(1.0, 0.0, None, 2.0, kind="bar"))
    (path,) = of_class(tree, "bar")
    bars = re.findall(r"M([\d.]+) (\d+)V(\d+)", path.get("d", ""))
    assert len(bars) == 3
    assert int(bars[1][1]) - int(bars[1][2]) >= 6
    assert len(of_class(tree, "gap")) == 1


def test_nothing_measured_draws_no_curve() -> None:
    """No line at zero stands for it, and the chart says so itself."""
    empty = chart(None, None)
    tree = drawn(empty)
    assert not empty.measured
    assert of_class(tree, "stroke") == []
    assert of_class(tree, "fill") == []


def test_texts_are_escaped() -> None:
    """A title that looks like an element is text, and the drawing stays well-formed."""
    tree = drawn(chart(1.0, title="<b>&\"'"))
    (title,) = (e for e in tree.iter(f"{NS}title") if e.get("id") == "c-t")
    assert title.text == "<b>&\"'"


def test_hints_repeat_the_table() -> None:
    """Under a pointer every hour tells its line, in the page's typography."""
    text = str(draw(chart(1.0, None), language("fr")))
    assert "<title>hour 1\u202f: power not measured</title>" in text


@pytest.mark.parametrize(
    ("low", "high", "marks"),
    [
        (0, 181, [0, 100, 200]),
        (0, 0, [0, 0.5, 1.0]),
        (0, 7, [0, 2.5, 5, 7.5]),
        (-3, 9, [-5, 0, 5, 10]),
        (0, 0.003, [0, 0.001, 0.002, 0.003]),
    ],
)
def test_axis_marks_are_round_and_hold_the_values(
    low: float, high: float, marks: Sequence[float]
) -> None:
    """Marks from at or below zero to at or above the highest value."""
    assert nice_marks(low, high) == pytest.approx(marks)


def measured(*amounts: float | None, step_ms: int = HOUR_MS) -> list[Measured]:
    """Slots as the ledger gives them; a negative one is half covered."""
    return [
        Measured(
            BEGIN_MS + n * step_ms,
            BEGIN_MS + (n + 1) * step_ms,
            None if amount is None else abs(amount),
            0 if amount is None else step_ms // (2 if amount < 0 else 1),
        )
        for n, amount in enumerate(amounts)
    ]


def test_gathered_slots_are_sums_and_keep_what_is_covered() -> None:
    """Days become months without an average: amounts and covered time add, holes stay holes."""
    days = measured(*[1.0] * 31, *[None] * 28, -4.0, step_ms=24 * HOUR_MS)
    months = gathered(days, UTC, Step.MONTH)
    assert [m.amount for m in months] == [31.0, None, 4.0]
    assert [m.coverage for m in months] == [1.0, 0.0, 0.5]
    assert months[0].end_ms == months[1].start_ms
    quarters = measured(1.0, 2.0, 3.0, 4.0, 5.0, step_ms=HOUR_MS // 4)
    assert [h.amount for h in gathered(quarters, UTC, Step.HOUR)] == [10.0, 5.0]
    paris = civil.zone("Europe/Paris")
    night = 1_792_886_400_000  # 2026-10-25T02:00 in Paris, an hour that comes twice
    twice = [Measured(night + n * HOUR_MS, night + (n + 1) * HOUR_MS, 1.0, HOUR_MS) for n in (0, 1)]
    assert len(gathered(twice, paris, Step.HOUR)) == 2


def test_gaps_join_and_count_any_of_the_totals() -> None:
    """A time in which one total is missing is a gap, neighbours are one."""
    one, other = measured(1.0, None, 1.0, 1.0, 1.0), measured(1.0, 1.0, None, 1.0, -1.0)
    assert gaps([one, other]) == [
        (BEGIN_MS + HOUR_MS, BEGIN_MS + 3 * HOUR_MS),
        (BEGIN_MS + 4 * HOUR_MS, BEGIN_MS + 5 * HOUR_MS),
    ]
    assert gaps([]) == []


def test_charts_of_slots_show_a_hole_as_not_measured() -> None:
    """Half a slot is no slot: below the share that is drawn, curve and table say so."""
    frame = Frame("p", "Power", "…", BEGIN_MS, BEGIN_MS + 2 * HOUR_MS, ())
    total = Named("site", "total", measured(3.6e6, -3.6e6))
    english = language("en")
    power = power_chart(frame, [total], [("h", [slot]) for slot in total.slots], english)
    assert [slot.value for slot in power.curves[0].slots] == [1000.0, None]
    assert [row.cells for row in power.rows] == [
        ("1\u00a0kW", "100%"),
        ("not measured", "50.0%"),
    ]
    energy = amount_chart(frame, total, ["a", "b"], "J", english)
    assert [row.cells for row in energy.rows] == [
        ("1\u00a0kWh", "100%"),
        ("not measured", "50.0%"),
    ]


def test_ticks_stand_on_civil_time() -> None:
    """Hours of the site's clock, months by their first, days by number."""
    paris = civil.zone("Europe/Paris")
    hours = hour_ticks(BEGIN_MS, BEGIN_MS + 24 * HOUR_MS, paris)
    assert [t.label for t in hours[:3]] == ["03:00", "06:00", "09:00"]
    months = month_ticks(BEGIN_MS - HOUR_MS, BEGIN_MS + 60 * 24 * HOUR_MS, paris, language("fr"))
    assert [t.label for t in months] == ["févr.", "mars"]
    days = day_ticks(date(2026, 1, 1), BEGIN_MS + 3 * 24 * HOUR_MS, UTC)
    assert [(t.label, t.minor) for t in days] == [("1", False), ("2", True), ("3", True)]
