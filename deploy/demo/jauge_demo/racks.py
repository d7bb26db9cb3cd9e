"""The simulated hall's smaller instruments: UPS, a PDU of each feed in each rack, cooling units.

What they show follows from the plant at the same moment: the racks' PDUs together draw what both
UPS give. Pure, as the plant is; every share is a choice made for the demonstration.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from jauge_demo.simulation import UPS_RATED_W, Plant, drift

ROOM: Final = "hall-1"
RACKS: Final[Mapping[str, float]] = MappingProxyType(
    {"A1": 0.22, "A2": 0.16, "B1": 0.19, "B2": 0.2, "C1": 0.13, "C2": 0.1}
)
"""Part of the IT load in each rack; its row is the letter."""
FEEDS: Final = ("a", "b")
_PHASES: Final[Mapping[str, float]] = MappingProxyType({"l1": 0.36, "l2": 0.31, "l3": 0.33})
"""Part of a PDU's power on each of its phases."""
BY_PHASE: Final = ("A1", "B1")
"""Racks of which the phases are read: one agent brings no more than 60 series of this kind."""
_VOLTS: Final = 230.0
_POWER_FACTOR: Final = 0.97
_COOLING_UNITS: Final[Mapping[str, float]] = MappingProxyType({"1": 0.52, "2": 0.48})
_FULL_BATTERY_S: Final = 420.0
"""How long a battery lasts at the UPS' rated output."""
_HOUR_MS: Final = 3_600_000


def instruments(plant: Plant, time_ms: int) -> dict[tuple[str, str], float]:
    """What they show, by (resource, quantity)."""
    values: dict[tuple[str, str], float] = {}
    for feed, power in zip(FEEDS, (plant.it_a, plant.it_b), strict=True):
        load = power / UPS_RATED_W
        values |= {
            (f"ups:{feed}", "load"): load,
            (f"ups:{feed}", "charge"): 1.0,
            (f"ups:{feed}", "on_battery"): 0.0,
            (f"ups:{feed}", "runtime"): _FULL_BATTERY_S / load if load else 1e7,
        }
        for rack, part in _parts(time_ms).items():
            drawn = power * part
            values[f"pdu:{rack}-{feed}".lower(), "power"] = drawn
            for phase, share in _PHASES.items() if rack in BY_PHASE else ():
                resource = f"phase:{rack}-{feed}.{phase}".lower()
                values[resource, "current"] = drawn * share / (_VOLTS * _POWER_FACTOR)
    heat = plant.it + plant.ups_loss + plant.lighting
    for unit, part in _COOLING_UNITS.items():
        wander = drift(40 + int(unit), time_ms, _HOUR_MS)
        values[f"cooling_unit:{unit}", "thermal_power"] = heat * part
        values[f"cooling_unit:{unit}", "evaporative_cooling"] = float(plant.water > 0)
        values[f"cooling_unit:{unit}", "temperature"] = plant.supply_air + 0.3 * wander
    values["sensor:make-up-flow", "flow"] = plant.water
    for place, wander in (("row-a", 0.0), ("a1", -0.5), ("b1", -1.5)):
        values[f"sensor:{place}.inlet", "humidity"] = max(0.0, plant.humidity + wander)
    return values


def _parts(time_ms: int) -> dict[str, float]:
    """Part of each rack at a moment: it wanders a little, and the sum stays 1."""
    parts = {
        rack: part * (1 + 0.06 * drift(50 + number, time_ms, 2 * _HOUR_MS))
        for number, (rack, part) in enumerate(RACKS.items())
    }
    whole = sum(parts.values())
    return {rack: part / whole for rack, part in parts.items()}


def names() -> dict[str, tuple[str, dict[str, str]]]:
    """Name and labels of each, by resource."""
    told: dict[str, tuple[str, dict[str, str]]] = {
        f"ups:{feed}": (f"UPS {feed.upper()}", {"feed": feed.upper()}) for feed in FEEDS
    }
    for rack in RACKS:
        for feed in FEEDS:
            labels = {"room": ROOM, "row": rack[0], "rack": rack, "feed": feed.upper()}
            told[f"pdu:{rack}-{feed}".lower()] = (f"PDU {rack} {feed.upper()}", labels)
            for phase in _PHASES if rack in BY_PHASE else ():
                name = f"{rack} {feed.upper()} {phase.upper()}"
                told[f"phase:{rack}-{feed}.{phase}".lower()] = (name, labels)
    for unit in _COOLING_UNITS:
        told[f"cooling_unit:{unit}"] = (f"Cooling unit {unit}", {"room": ROOM})
    return told | {"sensor:make-up-flow": ("Make-up water, flow", {})}
