"""The simulated site's instruments: what its meters and sensors show at a given moment.

Two of them misbehave on purpose: the water meter's dial wraps, one rack's inlet sensor has been
dead for weeks. One UPS meter lost its connection for some days in the past: its register bridges
the hole.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from jauge_demo.racks import instruments
from jauge_demo.simulation import DAY_MS, STEP_MS, Plant, plant_at

KWH: Final = 3.6e6

WATER_MODULUS_M3: Final = 10_000.0
DEAD_SENSOR_DAYS: Final = 23
RACKS_DAYS: Final = 28
"""How long the racks' and cooling units' instruments have been read."""
LOST_DAYS: Final = range(118, 121)
"""Days before the start of the demonstration on which the meter of UPS B was not read."""


@dataclass(frozen=True, slots=True)
class Dial:
    """A register: where it stood at the beginning, its smallest step, where it wraps."""

    first: float
    resolution: float
    modulus: float | None = None

    def shows(self, total: float) -> float:
        """The dial once ``total`` has flowed since the beginning."""
        value = self.first + total
        if self.modulus is not None:
            value %= self.modulus
        return math.floor(value / self.resolution + 1e-9) * self.resolution


DIALS: Final[Mapping[str, Dial]] = {
    "incomer": Dial(2_417_000 * KWH, 0.1 * KWH),
    "ups-a": Dial(961_300 * KWH, 0.1 * KWH),
    "ups-b": Dial(918_800 * KWH, 0.1 * KWH),
    "cooling": Dial(305_450 * KWH, 0.1 * KWH),
    "offices": Dial(61_200 * KWH, 0.01 * KWH),
    "water": Dial(9_850.0, 0.001, WATER_MODULUS_M3),
}
"""Meters by id; energy in J, water in m3."""


def flows(plant: Plant) -> dict[str, float]:
    """What runs through each meter: W, or m3/s."""
    return {
        "incomer": plant.incomer,
        "ups-a": plant.it_a,
        "ups-b": plant.it_b,
        "cooling": plant.cooling,
        "offices": plant.offices,
        "water": plant.water,
    }


class Registers:
    """The dials of all meters over time, from ``start_ms`` on; asked in ascending order."""

    def __init__(self, start_ms: int) -> None:
        self._step_ms = start_ms - start_ms % STEP_MS
        self._totals = dict.fromkeys(DIALS, 0.0)
        self._rates = flows(plant_at(self._step_ms + STEP_MS // 2))

    def at(self, time_ms: int) -> dict[str, float]:
        """What each dial shows. ``time_ms`` must not lie before an earlier call's step."""
        if time_ms < self._step_ms:
            raise ValueError("registers are asked in ascending order")
        while time_ms >= self._step_ms + STEP_MS:
            for meter, rate in self._rates.items():
                self._totals[meter] += rate * STEP_MS / 1000
            self._step_ms += STEP_MS
            self._rates = flows(plant_at(self._step_ms + STEP_MS // 2))
        since_s = (time_ms - self._step_ms) / 1000
        return {
            meter: dial.shows(self._totals[meter] + self._rates[meter] * since_s)
            for meter, dial in DIALS.items()
        }


def sensors(plant: Plant) -> dict[tuple[str, str], float]:
    """Sensor readings by (resource, quantity); the dead sensor gives none."""
    first, second, third = plant.inlets
    return {
        ("sensor:row-a.inlet", "temperature"): first,
        ("sensor:row-b.inlet", "temperature"): second,
        ("sensor:row-c.inlet", "temperature"): third,
        ("sensor:a1.inlet", "temperature"): first + 0.4,
        ("sensor:b1.inlet", "temperature"): second + 0.3,
        ("sensor:supply-air", "temperature"): plant.supply_air,
        ("sensor:outdoor", "temperature"): plant.weather.dry_bulb,
        ("room:hall-1", "humidity"): plant.humidity,
    }


DEAD_SENSOR: Final = ("sensor:row-c.inlet", "temperature")


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything the gateway of the simulated site reads at one tick."""

    time_ms: int
    values: Mapping[tuple[str, str], float]
    """By (resource, quantity)."""


def history(start_ms: int, end_ms: int) -> Iterator[Observation]:
    """What the gateway would have read every quarter of an hour in [start, end)."""
    registers = Registers(start_ms)
    for time_ms in range(start_ms - start_ms % STEP_MS, end_ms, STEP_MS):
        dials = registers.at(time_ms)
        days_ago = (end_ms - time_ms) // DAY_MS
        if days_ago in LOST_DAYS:
            del dials["ups-b"]
        values: dict[tuple[str, str], float] = {
            (f"meter:{meter}", "water" if meter == "water" else "energy"): value
            for meter, value in dials.items()
        }
        if time_ms % (4 * STEP_MS) == 0:
            plant = plant_at(time_ms)
            values |= sensors(plant)
            if days_ago < RACKS_DAYS:
                values |= instruments(plant, time_ms)
            if days_ago < DEAD_SENSOR_DAYS:
                values.pop(DEAD_SENSOR, None)
        yield Observation(time_ms, values)


def live(registers: Registers, time_ms: int) -> Observation:
    """What the gateway reads now: dials, powers and sensors."""
    plant = plant_at(time_ms)
    values: dict[tuple[str, str], float] = {}
    for meter, value in registers.at(time_ms).items():
        values[f"meter:{meter}", "water" if meter == "water" else "energy"] = value
    for meter, rate in flows(plant).items():
        if meter != "water":
            values[f"meter:{meter}", "power"] = rate
    values |= sensors(plant) | instruments(plant, time_ms)
    values.pop(DEAD_SENSOR, None)
    return Observation(time_ms, values)
