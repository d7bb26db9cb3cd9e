"""The simulated site behaves like a data centre."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_demo.plant import (
    DEAD_SENSOR,
    DEAD_SENSOR_DAYS,
    DIALS,
    LOST_DAYS,
    WATER_MODULUS_M3,
    Registers,
    history,
    live,
    sensors,
)
from jauge_demo.simulation import DAY_MS, STEP_MS, UPS_RATED_W, Plant, plant_at

END_MS = 1_764_547_200_000
"""2025-12-01."""
START_MS = END_MS - 366 * DAY_MS

moments = st.integers(START_MS, END_MS + 5 * 366 * DAY_MS)


@given(moments)
def test_energy_flows_downhill(time_ms: int) -> None:
    """The incomer sees more than the IT, no power is negative, no UPS is overloaded."""
    plant = plant_at(time_ms)
    parts = (plant.it_a, plant.it_b, plant.ups_loss, plant.chiller, plant.fans_and_pumps)
    assert all(part >= 0 for part in (*parts, plant.lighting, plant.offices, plant.water))
    assert plant.incomer > plant.it > 0
    assert max(plant.it_a, plant.it_b) <= UPS_RATED_W
    assert 1.0 < (plant.incomer - plant.offices) / plant.it < 2.0


@given(moments)
def test_the_wet_bulb_is_no_warmer_than_the_air(time_ms: int) -> None:
    """Wet bulb at or below dry bulb, within the error of the fit."""
    weather = plant_at(time_ms).weather
    assert weather.wet_bulb <= weather.dry_bulb + 0.6


@pytest.fixture(scope="module")
def year() -> list[Plant]:
    """A year, every quarter of an hour."""
    return [plant_at(START_MS + STEP_MS * n) for n in range(366 * 96)]


def test_cooling_and_water_follow_the_seasons(year: list[Plant]) -> None:
    """Chillers rest in January and work in July, when water evaporates; the year's ratios hold."""
    january, july = year[31 * 96 : 62 * 96], year[212 * 96 : 243 * 96]
    assert sum(p.chiller for p in january) < 0.05 * sum(p.chiller for p in july)
    assert sum(p.water for p in january) < 0.2 * sum(p.water for p in july)
    it = sum(p.it for p in year)
    pue = sum(p.incomer - p.offices for p in year) / it
    litres_per_kwh = sum(p.water for p in year) * 900_000 / (it * 900 / 3.6e6)
    assert 1.1 < pue < 1.4
    assert 0.1 < litres_per_kwh < 1.0


def test_registers_never_run_backwards_but_the_water_dial_wraps_once() -> None:
    """Over a year every dial advances, and the water dial passes its modulus exactly once."""
    wraps = dict.fromkeys(DIALS, 0)
    readings = [seen.values for seen in history(START_MS, END_MS)]
    for before, after in pairwise(readings):
        for meter in DIALS:
            key = (f"meter:{meter}", "water" if meter == "water" else "energy")
            if key in before and key in after:
                wraps[meter] += after[key] < before[key]
    assert wraps == dict.fromkeys(DIALS, 0) | {"water": 1}
    assert all(values["meter:water", "water"] < WATER_MODULUS_M3 for values in readings)


def test_live_readings_continue_the_history() -> None:
    """The live gateway's registers stand where the history left off."""
    last = list(history(START_MS, END_MS))[-1]
    registers = Registers(START_MS)
    seen = live(registers, last.time_ms).values
    assert {key: seen[key] for key in last.values if key[0].startswith("meter:")} == {
        key: value for key, value in last.values.items() if key[0].startswith("meter:")
    }
    assert (
        live(registers, last.time_ms + 5000).values["meter:incomer", "energy"]
        > (last.values["meter:incomer", "energy"])
    )


def test_a_dead_sensor_and_a_lost_meter_leave_holes_not_zeros() -> None:
    """The dead sensor stops for good; the lost meter is silent for its days and comes back."""
    by_day: dict[int, list[set[tuple[str, str]]]] = {}
    for seen in history(START_MS, END_MS):
        by_day.setdefault((END_MS - seen.time_ms) // DAY_MS, []).append(set(seen.values))
    with_sensor = {day for day, seen in by_day.items() if any(DEAD_SENSOR in s for s in seen)}
    assert min(with_sensor) == DEAD_SENSOR_DAYS
    with_meter = {
        day for day, seen in by_day.items() if any(("meter:ups-b", "energy") in s for s in seen)
    }
    assert set(by_day) - with_meter == set(LOST_DAYS)
    assert DEAD_SENSOR in sensors(plant_at(END_MS))
    assert DEAD_SENSOR not in live(Registers(START_MS), START_MS).values
