"""Time labels: formats, joined columns, 24:00, zones and what clocks do twice a year."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from jauge_models.configuration import ConfigurationError

from tests.collector.importer.tables import ENERGY, points, read

PARIS = ZoneInfo("Europe/Paris")


def _mapping(zone: str | None, labels: str = "instant", more: str = "", columns: str = "t") -> str:
    named = ", ".join(f'"{name}"' for name in columns.split(","))
    lines = ['site = "s"', "[time]", f"columns = [{named}]", f'labels = "{labels}"', more]
    if zone:
        lines.append(f'zone = "{zone}"')
    if labels != "instant" and "period_s" not in more:
        lines.append("period_s = 3600")
    column = ENERGY
    if labels == "instant":
        column = column.replace("energy_amount", "power").replace("kWh", "kW")
    return "\n".join(lines) + column


def _times(folder: Path, mapping: str, *labels: str) -> list[str]:
    content = "t,kwh\n" + "".join(f"{label},1\n" for label in labels)
    return [_iso(at) for at, _ in points(read(folder, mapping, content))]


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M")


def _problem(folder: Path, mapping: str, *labels: str) -> str:
    content = "t,kwh\n" + "".join(f"{label},1\n" for label in labels)
    *_, row = read(folder, mapping, content)
    assert row.problem is not None
    return row.problem


@pytest.mark.parametrize(
    ("form", "label"),
    [
        ("iso", "2026-03-01T00:00"),
        ("iso", "2026-03-01 00:00:00.000"),
        ("iso", "2026-03-01"),
        ("iso", "2026-02-28T24:00"),
        ("iso", "2026-02-28 24:00:00"),
        ("iso", "2026-03-01T01:00+01:00"),
        ("iso", "2026-03-01T00:00Z"),
        ("%d/%m/%Y %H:%M", "01/03/2026 00:00"),
        ("%d/%m/%Y %H:%M", "28/02/2026 24:00"),
        ("%Y-%m-%d %H", "2026-02-28 24"),
        ("%d %b %Y %H:%M:%S", "28 Feb 2026 24:00:00"),
        ("%m-%d-%Y %H:%M:%S.%f", "03-01-2026 00:00:00.000"),
        ("%Y-%m-%dT%H:%M%z", "2026-03-01T01:00+0100"),
        ("epoch_s", "1772323200"),
        ("epoch_s", "1772323200.0"),
        ("epoch_ms", "1772323200000"),
    ],
)
def test_formats(tmp_path: Path, form: str, label: str) -> None:
    """Every way to write midnight of 1 March 2026 UTC names that moment."""
    mapping = _mapping("UTC", more=f'format = "{form}"')
    assert _times(tmp_path, mapping, label) == ["2026-03-01T00:00"]


@pytest.mark.parametrize("label", ["28/02/2026 24:30", "28/02/2026 25:00", "2026-02-28 24:00", ""])
def test_labels_that_do_not_fit(tmp_path: Path, label: str) -> None:
    """A day ends at 24:00 and not later; another format is not guessed."""
    mapping = _mapping("UTC", more='format = "%d/%m/%Y %H:%M"')
    assert "does not fit time.format" in _problem(tmp_path, mapping, label)


@pytest.mark.parametrize("zone", ["Europe/Paris", "UTC+01:00", "UTC"])
@pytest.mark.parametrize("labels", ["end", "start"])
@pytest.mark.parametrize(
    "label", ["0001-01-01T00:00", "0001-01-01T00:00+01:00", "9999-12-31T24:00"]
)
def test_labels_outside_all_time(tmp_path: Path, zone: str, labels: str, label: str) -> None:
    """A moment that no clock reckons with, or that comes before year 1, makes its row bad."""
    said = _problem(tmp_path, _mapping(zone, labels), label)
    assert "lies outside the years 1971 to 2999" in said or "does not fit time.format" in said


def test_a_percent_sign_before_an_h(tmp_path: Path) -> None:
    """``%%H`` is the text %H and no hour."""
    mapping = _mapping("UTC", more='format = "%Y-%m-%d %%H"')
    assert _times(tmp_path, mapping, "2026-03-01 %H") == ["2026-03-01T00:00"]


def test_joined_columns(tmp_path: Path) -> None:
    """Date and hour in columns of their own are joined with a space."""
    mapping = _mapping("UTC", more='format = "%Y-%m-%d %H"', columns="day,hour")
    found = read(tmp_path, mapping, "day,kwh,hour\n2026-01-01,1,1\n2026-01-01,2,24\n")
    assert [_iso(at) for at, _ in points(found)] == ["2026-01-01T01:00", "2026-01-02T00:00"]


def test_fixed_offset_all_year(tmp_path: Path) -> None:
    """A fixed offset knows no summer time."""
    found = _times(tmp_path, _mapping("UTC+01:00"), "2026-01-01T01:00", "2026-07-01T01:00")
    assert found == ["2026-01-01T00:00", "2026-07-01T00:00"]


def test_civil_zone(tmp_path: Path) -> None:
    """A civil zone's offset follows the date."""
    found = _times(tmp_path, _mapping("Europe/Paris"), "2026-01-01T01:00", "2026-07-01T02:00")
    assert found == ["2026-01-01T00:00", "2026-07-01T00:00"]


def test_missing_zone(tmp_path: Path) -> None:
    """Without a zone, labels that name none are refused with the key to add."""
    with pytest.raises(ConfigurationError, match=r"time\.zone: missing.*add 'Europe/Paris'"):
        _times(tmp_path, _mapping(None), "2026-01-01T01:00")


def test_label_that_occurs_twice(tmp_path: Path) -> None:
    """When the clock goes back, a label is refused unless a rule says which one it is."""
    label = "2026-10-25T02:30"
    problem = _problem(tmp_path, _mapping("Europe/Paris"), "2026-10-25T01:30", label)
    assert "occurs twice in Europe/Paris" in problem
    first = _mapping("Europe/Paris", more='ambiguous = "first"')
    assert _times(tmp_path, first, label) == ["2026-10-25T00:30"]
    second = _mapping("Europe/Paris", more='ambiguous = "second"')
    assert _times(tmp_path, second, label) == ["2026-10-25T01:30"]


@pytest.mark.parametrize("newest_first", [False, True])
def test_twice_in_order(tmp_path: Path, newest_first: bool) -> None:
    """In order, the label's first and second time in the file are told apart, either way round."""
    labels = [f"2026-10-25T{hour}" for hour in ("01:30", "02:00", "02:30", "02:00", "02:30")]
    moments = [f"2026-10-{day}" for day in ("24T23:30", "25T00:00", "25T00:30")]
    moments += ["2026-10-25T01:00", "2026-10-25T01:30"]
    if newest_first:
        labels.append("2026-10-25T03:00")
        moments.append("2026-10-25T02:00")
        labels, moments = labels[::-1], moments[::-1]
    mapping = _mapping("Europe/Paris", more='ambiguous = "in_order"')
    assert _times(tmp_path, mapping, *labels) == moments


def test_twice_in_order_needs_an_order(tmp_path: Path) -> None:
    """A file that begins in the hour that occurs twice shows no order."""
    mapping = _mapping("Europe/Paris", more='ambiguous = "in_order"')
    assert "no row before it" in _problem(tmp_path, mapping, "2026-10-25T02:30")


def test_label_that_does_not_exist(tmp_path: Path) -> None:
    """When the clock leaps, a label in the gap is refused unless it may be carried over."""
    label = "2026-03-29T02:30"
    assert "does not exist in Europe/Paris" in _problem(tmp_path, _mapping("Europe/Paris"), label)
    forward = _mapping("Europe/Paris", more='nonexistent = "forward"')
    assert _times(tmp_path, forward, label) == ["2026-03-29T01:30"]


def test_hour_ending_labels_over_clock_changes(tmp_path: Path) -> None:
    """Hour-ending labels follow their hours' starts: 03:00 twice in autumn, no 03:00 in spring."""
    mapping = _mapping("Europe/Paris", "end", 'ambiguous = "in_order"')
    autumn = [f"2026-10-25T{hour:02}:00" for hour in (1, 2, 3, 3, 4)]
    assert _times(tmp_path, mapping, *autumn) == [
        "2026-10-24T23:00",
        *(f"2026-10-25T{hour:02}:00" for hour in (0, 1, 2, 3)),
    ]
    spring = [f"2026-03-29T{hour:02}:00" for hour in (1, 2, 4, 5)]
    assert _times(tmp_path, _mapping("Europe/Paris", "end"), *spring) == [
        f"2026-03-29T{hour:02}:00" for hour in (0, 1, 2, 3)
    ]


def test_hour_starting_labels_over_clock_changes(tmp_path: Path) -> None:
    """The day of the autumn change has 25 hours, each stamped at its end, none twice."""
    labels = [f"2026-10-25T{hour:02}:00" for hour in (0, 1, 2, 2, 3)]
    mapping = _mapping("Europe/Paris", "start", 'ambiguous = "in_order"')
    assert _times(tmp_path, mapping, *labels) == [
        "2026-10-24T23:00",
        *(f"2026-10-25T{hour:02}:00" for hour in (0, 1, 2, 3)),
    ]
