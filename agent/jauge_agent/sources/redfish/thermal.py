"""Air and fans: what comes in at the front, what goes out at the back, how fast fans turn.

Temperatures of chips are left out: they say nothing about the room.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from jauge_models.resources import identity

from jauge_agent.sources.redfish.values import (
    Document,
    Missing,
    Place,
    Step,
    is_dead,
    objects,
    step_to,
    text,
)
from jauge_agent.sources.redfish.walking import Found, Walk

_AIR: Final = {"Intake": "intake", "Room": "ambient", "Exhaust": "exhaust"}
"""Where air is measured, by the standard's PhysicalContext."""

_SUMMARY: Final = {"Intake": "intake", "Ambient": "ambient", "Exhaust": "exhaust"}
"""The same, by the names in ThermalMetrics."""

_VAGUE: Final = frozenset({"", "SystemBoard", "Chassis", "Front", "Board", "System"})
_AIR_NAMES: Final = (
    (re.compile(r"inlet|intake", re.IGNORECASE), "intake"),
    (re.compile(r"exhaust|outlet", re.IGNORECASE), "exhaust"),
    (re.compile(r"ambient", re.IGNORECASE), "ambient"),
)
"""Dell says SystemBoard of its "System Board Inlet Temp"; OpenBMC says nothing of its inlet."""

_PER_MINUTE: Final = 1 / 60
_MOST_FANS: Final = 32
_FANS_ONE_BY_ONE: Final = 8
"""Fans worth a request each; a BMC with more shows them together in an older document."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One temperature or fan."""

    slug: str
    name: str
    quantity: str
    place: Place
    factor: float = 1.0
    labels: dict[str, str] = field(default_factory=dict)


_Element = tuple[Found, tuple[Step, ...], Document]
"""An element of a list: the document it is from, where it is in it, and itself."""


async def probes(walk: Walk, chassis: Found, environment: Found | None) -> list[Probe]:
    """Air temperatures and fans of a chassis, each out of the newest document that has it."""
    subsystem = await walk.follow(chassis.node, "ThermalSubsystem")
    air = await _of_metrics(walk, subsystem)
    if not air:
        sensors = await walk.members(chassis.node, "Sensors", wanted=_is_air_path)
        air = _of_list([(each, each.steps, each.node) for each in sensors], "Reading")
    old = await walk.follow(chassis.node, "Thermal")
    if not air and old is not None:
        air = _of_list(_elements(old, "Temperatures"), "ReadingCelsius")
    fans = _fans_of_environment(environment)
    if not fans and old is not None:
        fans = _fans_of_thermal(old)
    if not fans and subsystem is not None:
        fans = await _fans_of_subsystem(walk, subsystem)
    return [*air, *fans[:_MOST_FANS]]


async def _of_metrics(walk: Walk, subsystem: Found | None) -> list[Probe]:
    if subsystem is None:
        return []
    metrics = await walk.follow(subsystem.node, "ThermalMetrics")
    if metrics is None:
        return []
    found: list[Probe] = []
    for key, where in _SUMMARY.items():
        steps = (*metrics.steps, "TemperatureSummaryCelsius", key, "Reading")
        place = Place(metrics.document, steps)
        if not isinstance(walk.value(place), Missing):
            found.append(_air(where, place))
    return found


def _of_list(elements: Sequence[_Element], reading: str) -> list[Probe]:
    """The one sensor of each kind of air; of several that of the earliest place in the list."""
    found: dict[str, Probe] = {}
    for at, steps, node in elements:
        where = _where(node)
        if where and not is_dead(node) and reading in node:
            found.setdefault(where, _air(where, Place(at.document, (*steps, reading))))
    return list(found.values())


def _where(node: Document) -> str:
    """Which air a temperature sensor measures; empty for none."""
    units = text(node, "ReadingUnits")
    if units not in {"", "Cel"} or text(node, "ReadingType") not in {"", "Temperature"}:
        return ""
    context = text(node, "PhysicalContext")
    if context in _AIR:
        return _AIR[context]
    if context not in _VAGUE:
        return ""
    name = f"{text(node, 'Name')} {text(node, 'Id')}"
    return next((where for pattern, where in _AIR_NAMES if pattern.search(name)), "")


def _is_air_path(path: str) -> bool:
    return any(pattern.search(path) for pattern, _ in _AIR_NAMES)


def _air(where: str, place: Place) -> Probe:
    return Probe(where, where, "temperature", place, labels={"air": where})


def _elements(found: Found, key: str) -> list[_Element]:
    members = objects(found.node, key)
    return [(found, (*found.steps, key, step_to(members, each)), each) for each in members]


def _fans_of_environment(environment: Found | None) -> list[Probe]:
    if environment is None:
        return []
    return [
        _fan(text(node, "DeviceName"), number, Place(at.document, (*steps, "SpeedRPM")))
        for number, (at, steps, node) in enumerate(_elements(environment, "FanSpeedsPercent"), 1)
        if "SpeedRPM" in node
    ]


def _fans_of_thermal(thermal: Found) -> list[Probe]:
    found: list[Probe] = []
    for number, (at, steps, node) in enumerate(_elements(thermal, "Fans"), 1):
        # Older firmware counts turns without saying so, in a key of its own.
        key = "Reading" if "Reading" in node else "ReadingRPM"
        unit = text(node, "ReadingUnits") or ("RPM" if key == "ReadingRPM" else "")
        if unit == "RPM" and key in node and not is_dead(node):
            name = text(node, "Name") or text(node, "FanName")
            found.append(_fan(name, number, Place(at.document, (*steps, key))))
    return found


async def _fans_of_subsystem(walk: Walk, subsystem: Found) -> list[Probe]:
    members = await walk.members(subsystem.node, "Fans")
    if sum(not each.steps for each in members) > _FANS_ONE_BY_ONE:
        return []
    return [
        _fan(text(each.node, "Name"), number, _speed_of(each))
        for number, each in enumerate(members, 1)
        if not is_dead(each.node) and isinstance(each.node.get("SpeedPercent"), dict)
        if "SpeedRPM" in each.node["SpeedPercent"]
    ]


def _speed_of(fan: Found) -> Place:
    return Place(fan.document, (*fan.steps, "SpeedPercent", "SpeedRPM"))


def _fan(name: str, number: int, place: Place) -> Probe:
    try:
        slug = identity(name.replace(" ", "-"))[:40]
    except ValueError:
        slug = str(number)
    return Probe(f"fan.{slug}", name or f"fan {number}", "fan_speed", place, _PER_MINUTE)
