"""Power supplies: what goes in, what comes out, and which of their numbers are measured."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from jauge_models.wire import Method

from jauge_agent.identities import is_placeholder
from jauge_agent.sources.redfish.values import (
    Document,
    Missing,
    Place,
    is_dead,
    number,
    objects,
    step_to,
    text,
)
from jauge_agent.sources.redfish.walking import MOST_MEMBERS, Found, Walk, link, same

JOULES_PER_KWH: Final = 3.6e6


@dataclass(frozen=True, slots=True)
class Field:
    """One quantity of a power supply, by the names that the schemas give it."""

    quantity: str
    factor: float = 1.0
    method: Method = Method.GAUGE


POWER: Final = Field("power")

_METRICS_IN: Final[Mapping[tuple[str, ...], Field]] = {
    ("InputPowerWatts", "Reading"): POWER,
    ("InputVoltage", "Reading"): Field("voltage"),
    ("InputCurrentAmps", "Reading"): Field("current"),
    ("FrequencyHz", "Reading"): Field("frequency"),
    ("EnergykWh", "Reading"): Field("energy", JOULES_PER_KWH, Method.COUNTER),
}
_METRICS_OUT: Final[Mapping[tuple[str, ...], Field]] = {("OutputPowerWatts", "Reading"): POWER}

# LastPowerOutputWatts is what early iLO and the standard's mockups have; iDRAC leaves it null.
_SUPPLY_IN: Final[Mapping[tuple[str, ...], Field]] = {
    ("PowerInputWatts",): POWER,
    ("LineInputVoltage",): Field("voltage"),
}
_SUPPLY_OUT: Final[Mapping[tuple[str, ...], Field]] = {
    ("PowerOutputWatts",): POWER,
    ("LastPowerOutputWatts",): POWER,
}


@dataclass(slots=True)
class Supply:
    """One power supply, with the place of each quantity by side."""

    id: str
    name: str
    labels: dict[str, str]
    is_dead: bool
    input: dict[Field, Place] = field(default_factory=dict)
    output: dict[Field, Place] = field(default_factory=dict)


Present = Mapping[str, bool | None]
"""Supplies by their names, with whether each is at work; None where it cannot be asked."""


@dataclass(frozen=True, slots=True)
class Bays:
    """Where a chassis says which supplies it has, and which of them are at work."""

    document: str
    steps: tuple[str, ...]
    """Path to the list in the document."""
    members: tuple[str, ...] = ()
    """Documents of the supplies, where the list holds only links."""

    @property
    def documents(self) -> tuple[str, ...]:
        """All that must be asked for."""
        return (self.document, *self.members)

    def present(self, documents: Mapping[str, Document]) -> Present | None:
        """What is there now; None when the list could not be had."""
        node: object = documents.get(self.document)
        for step in self.steps[:-1]:
            node = node.get(step) if isinstance(node, Mapping) else None
        if not isinstance(node, Mapping):
            return None
        found: dict[str, bool | None] = {}
        for place, member in enumerate(objects(node, self.steps[-1])):
            about: Document | None = member
            if self.members:
                about = documents.get(link(member))
            name = same(link(member)) or text(member, "MemberId") or str(place)
            found[f"{name} {place}" if name in found else name] = (
                None if about is None else not is_dead(about)
            )
        return found


def has_changed(before: Present | None, now: Present | None) -> bool:
    """Whether a supply came, went, began or ceased to work; what is not known is no change."""
    if before is None or now is None:
        return False
    return before.keys() != now.keys() or any(
        state is not None and state is not before[name] for name, state in now.items()
    )


async def bays(walk: Walk, chassis: Document) -> Bays | None:
    """The place where a chassis lists its supplies; None when it has none."""
    if (subsystem := await walk.follow(chassis, "PowerSubsystem")) is not None:
        found = await walk.members(subsystem.node, "PowerSupplies")
        if found and found[0].document != found[0].path:
            return Bays(found[0].document, ("Members",))
        path = link(subsystem.node, "PowerSupplies")
        collection = await walk.get(path) if path else None
        members = [link(each) for each in objects(collection, "Members") if link(each)]
        if members:
            return Bays(path, ("Members",), tuple(members[:MOST_MEMBERS]))
    power = await walk.follow(chassis, "Power")
    return None if power is None else Bays(power.path, ("PowerSupplies",))


async def of_subsystem(walk: Walk, chassis: Document) -> list[Supply]:
    """Those of a chassis' PowerSubsystem, by their Metrics, else by what older schemas have."""
    subsystem = await walk.follow(chassis, "PowerSubsystem")
    if subsystem is None:
        return []
    supplies: list[Supply] = []
    for found in await walk.members(subsystem.node, "PowerSupplies"):
        supply = _supply(found.node)
        supplies.append(supply)
        if supply.is_dead:
            continue
        if (metrics := await walk.follow(found.node, "Metrics")) is not None:
            _note(supply.input, metrics, _METRICS_IN)
            _note(supply.output, metrics, _METRICS_OUT)
        if POWER not in supply.input:
            _note(supply.input, found, _SUPPLY_IN)
        if POWER not in supply.output:
            _note(supply.output, found, _SUPPLY_OUT)
    return supplies


def of_power(power: Found) -> list[Supply]:
    """Those of the older Power document."""
    members = objects(power.node, "PowerSupplies")
    supplies: list[Supply] = []
    for member in members:
        supply = _supply(member)
        supplies.append(supply)
        if not supply.is_dead:
            steps = (*power.steps, "PowerSupplies", step_to(members, member))
            found = Found(power.path, power.document, steps, member)
            _note(supply.input, found, _SUPPLY_IN)
            _note(supply.output, found, _SUPPLY_OUT)
    return supplies


def is_rated(supply: Document) -> bool:
    """Whether PowerInputWatts is the name plate's.

    Dell iDRAC 9 before firmware 4 says there what its own extension calls
    Range1MaxInputPowerWatts: 900 W at 203 W of output from a supply of 750 W.
    """
    power = number(supply.get("PowerInputWatts"))
    if isinstance(power, Missing):
        return False
    node: object = supply
    for key in ("Oem", "Dell", "DellPowerSupplyView", "Range1MaxInputPowerWatts"):
        node = node.get(key) if isinstance(node, Mapping) else None
    if number(node) == power:
        return True
    capacity = number(supply.get("PowerCapacityWatts"))
    output = number(supply.get("PowerOutputWatts"))
    if isinstance(capacity, Missing) or not 0 < capacity <= power:
        return False
    return power > capacity if isinstance(output, Missing) else output < power / 2


def each_once(chassis: Iterable[list[Supply]]) -> None:
    """Leave a supply with the chassis that shows it first.

    HPE's Apollo 4510 shows all supplies of the enclosure in both of its chassis.
    """
    seen: set[str] = set()
    for supplies in chassis:
        serials = [each.labels.get("serial", "") for each in supplies]
        supplies[:] = [
            each for each, serial in zip(supplies, serials, strict=True) if serial not in seen
        ]
        seen.update(serial for serial in serials if serial)


def _supply(node: Document) -> Supply:
    labels = {
        key: text(node, name)
        for key, name in (
            ("manufacturer", "Manufacturer"),
            ("model", "Model"),
            ("serial", "SerialNumber"),
        )
    }
    if is_placeholder(labels["serial"]):
        del labels["serial"]
    ident = text(node, "Id") or text(node, "MemberId") or text(node, "Name")
    return Supply(
        ident,
        text(node, "Name") or ident,
        {key: value for key, value in labels.items() if value},
        is_dead(node),
    )


def _note(
    places: dict[Field, Place], found: Found, fields: Mapping[tuple[str, ...], Field]
) -> None:
    """Where the quantities stand that were not known yet: best where there is a number now."""
    known = set(places)
    for steps, what in fields.items():
        if what in known or steps[0] not in found.node:
            continue
        guard = is_rated if steps == ("PowerInputWatts",) else None
        place = Place(found.document, (*found.steps, *steps), guard)
        node: object = found.node
        for step in steps:
            node = node.get(step) if isinstance(node, Mapping) else None
        if isinstance(number(node), Missing):
            places.setdefault(what, place)
        else:
            places[what] = place
            known.add(what)
