"""The catalogue and the names on the wire."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jauge_models.quantities import CATALOGUE, Kind
from jauge_models.readings import Flaw, flaw_of
from jauge_models.resources import MAX_NAME_LENGTH, identity, is_name, is_resource, kind_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "quantities.md"


@pytest.mark.parametrize(
    ("quantity", "series"),
    [
        ("power", "jauge_power_watts"),
        ("energy", "jauge_energy_joules_total"),
        ("water", "jauge_water_cubic_metres_total"),
        ("temperature", "jauge_temperature_celsius"),
        ("energy_amount", "jauge_energy_amount_joules"),
    ],
)
def test_series_are_named_in_the_style_of_prometheus(quantity: str, series: str) -> None:
    """Prefix, name, unit in words, and total for running totals."""
    assert CATALOGUE[quantity].series_name == series


def test_every_quantity_has_a_series_of_its_own() -> None:
    """No two quantities share a name in the store, and each is a valid one."""
    series = [quantity.series_name for quantity in CATALOGUE.values()]
    assert len(set(series)) == len(series)
    assert all(re.fullmatch(r"jauge_[a-z0-9_]+", name) for name in series)
    assert all(is_name(name) and CATALOGUE[name].name == name for name in CATALOGUE)


def test_a_running_total_never_accepts_less_than_zero() -> None:
    """Ranges are ranges, and counters start at zero."""
    for quantity in CATALOGUE.values():
        assert quantity.low < quantity.high
        assert quantity.low == 0 or quantity.kind is not Kind.COUNTER


@pytest.mark.parametrize(
    "name", ["power", "energy_amount", "heat_amount", "water_amount", "fuel_amount"]
)
def test_what_flows_has_one_direction(name: str) -> None:
    """A sentinel such as -1 never passes as power or amount; flow back is another resource."""
    unit = CATALOGUE[name].unit
    assert flaw_of("meter:a", name, unit, -1.0) is Flaw.RANGE
    assert flaw_of("meter:a", name, unit, 0.0) is None


def test_the_page_of_quantities_is_as_generated() -> None:
    """What the module prints is what stands in docs."""
    printed = subprocess.run(
        [sys.executable, "-m", "jauge_models.document"], check=True, capture_output=True, text=True
    ).stdout
    assert PAGE.read_text(encoding="utf-8") == printed
    assert all(f"| `{name}` |" in printed for name in CATALOGUE)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("host", True),
        ("gpu:0", True),
        ("outlet:pdu3.12", True),
        ("gpu:", False),
        ("toaster:1", False),
        (":0", False),
        ("", False),
        ("gpu:é", False),
        ("gpu:0\n", False),
        ("sensor:" + "x" * (MAX_NAME_LENGTH - 7), True),
        ("sensor:" + "x" * (MAX_NAME_LENGTH - 6), False),
    ],
)
def test_a_resource_is_a_kind_and_perhaps_an_id(text: str, fits: bool) -> None:
    """Known kinds only, wire characters only, a bounded length."""
    assert is_resource(text) == fits


@given(st.text(max_size=300))
@example("0" * 127 + ":0")
def test_a_devices_own_name_is_made_fit_or_refused(raw: str) -> None:
    """Whatever a device calls itself becomes a name, twice the same, or is a ValueError."""
    try:
        name = identity(raw)
    except ValueError:
        assert not re.search(r"[A-Za-z0-9]", raw)
        return
    assert is_name(name)
    assert identity(name) == name
    assert is_resource(f"sensor:{name[:100]}x")
    assert kind_of(f"gpu:{name}") == "gpu"
