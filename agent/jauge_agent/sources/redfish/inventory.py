"""What a BMC offers: whose values they are, and which documents to ask for each time.

A look around costs some dozens of requests and is taken when the device is opened; a poll asks
only for the documents that hold a value of the plan.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from jauge_models.resources import MAX_NAME_LENGTH
from jauge_models.wire import Method, ResourceDescription

from jauge_agent.identities import is_placeholder
from jauge_agent.sources.redfish import supplies as psu
from jauge_agent.sources.redfish import thermal, whole_power
from jauge_agent.sources.redfish.ownership import Whole, made, told, wholes_of
from jauge_agent.sources.redfish.values import (
    Missing,
    Pick,
    Place,
    text,
)
from jauge_agent.sources.redfish.walking import Found, Walk, links, same

_MEASURING: Final = re.compile(
    r"power|pwr|watt|energy|kwh|inlet|intake|ambient|exhaust", re.IGNORECASE
)
"""Sensors worth a request of their own, where a BMC cannot give all of them at once."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask of a BMC, and what becomes of the answers."""

    resources: tuple[ResourceDescription, ...]
    picks: tuple[Pick, ...]
    documents: tuple[str, ...]
    """Paths to ask for, in order."""
    rules: Mapping[str, str]
    """By resource: the rule of `whole_power` in force."""
    known: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """By document: UUID and serial number of the machine that it speaks of, to ask each time."""
    supplied: Mapping[psu.Bays, psu.Present | None] = field(default_factory=dict)
    """Supplies that were there: when they change, so does what must be added."""
    manufacturer: str = ""
    model: str = ""
    cut: Mapping[str, int] = field(default_factory=dict)
    """What was left out because there is too much of it, by limit."""


async def take_inventory(walk: Walk, name: str, rules: Mapping[str, str] | None = None) -> Plan:
    """Look around a BMC; ``name`` identifies what has neither UUID nor serial number.

    ``rules`` are those of an earlier plan, which stay in force where they still apply.
    """
    root = await walk.root()
    systems = await walk.members(root, "Systems")
    chassis = await walk.members(root, "Chassis")
    draft = _Draft()
    draft.before = dict(rules or {})
    for whole in wholes_of(systems, chassis, name):
        await _survey(walk, whole, draft)
    first = (systems or chassis)[:1]
    documents = dict.fromkeys(place.document for pick in draft.picks for place in pick.places)
    supplied: dict[psu.Bays, psu.Present | None] = {}
    for bays, is_needed in draft.bays.items():
        if is_needed or documents.keys() >= set(bays.documents):
            seen = {path: await walk.get(path) for path in bays.documents}
            supplied[bays] = bays.present({path: it for path, it in seen.items() if it is not None})
    return Plan(
        tuple(draft.resources()),
        tuple(draft.picks),
        tuple(documents),
        draft.rules,
        draft.known,
        supplied,
        text(first[0].node, "Manufacturer") if first else "",
        text(first[0].node, "Model") if first else "",
        Counter(walk.cut),
    )


class _Draft:
    """A plan in the making; a name is given once."""

    def __init__(self) -> None:
        self.picks: list[Pick] = []
        self.rules: dict[str, str] = {}
        self.before: dict[str, str] = {}
        self.known: dict[str, tuple[str, str]] = {}
        self.bays: dict[psu.Bays, bool] = {}
        """With whether the whole power depends on what is in them."""
        self._described: dict[str, ResourceDescription] = {}

    def named(self, wish: str) -> str:
        """A name that is no other resource's yet."""
        name, number = wish[:MAX_NAME_LENGTH], 1
        while name in self._described:
            number += 1
            name = f"{wish[: MAX_NAME_LENGTH - 4]}.{number}"
        return name

    def describe(self, resource: str, name: str, labels: Mapping[str, str]) -> None:
        self._described[resource] = ResourceDescription(resource, {}, name, dict(labels))

    def pick(self, pick: Pick) -> None:
        self.picks.append(pick)
        self._described[pick.resource].quantities[pick.quantity] = pick.method

    def resources(self) -> Iterable[ResourceDescription]:
        return (each for each in self._described.values() if each.quantities)


@dataclass(slots=True)
class _Shown:
    """One chassis of a server, with what is asked of it more than once."""

    chassis: Found
    environment: Found | None
    supplies: list[psu.Supply]
    bays: psu.Bays | None


async def _survey(walk: Walk, whole: Whole, draft: _Draft) -> None:
    """Everything that the chassis of one server show, and how to tell that it is still that one."""
    before = len(draft.picks)
    shown = [await _show(walk, each) for each in _different(whole.chassis)]
    await _survey_shown(walk, whole, shown, draft)
    is_sum = draft.rules.get(whole.resource, "supplies") == "supplies" and not whole.shared
    for bays in (each.bays for each in shown if each.bays is not None):
        draft.bays[bays] = is_sum or draft.bays.get(bays, False)
    if len(draft.picks) > before:
        draft.known |= {found.path: told(found.node) for found in whole.known_by}


async def _survey_shown(walk: Walk, whole: Whole, shown: Sequence[_Shown], draft: _Draft) -> None:
    whole.resource = draft.named(whole.resource)
    draft.describe(whole.resource, whole.name, whole.labels)
    psu.each_once(each.supplies for each in shown)
    before = draft.before.get(whole.resource)
    for level in _levels(whole, shown):
        if (chosen := await _choose_power(walk, whole, level, before)) is None:
            continue
        rule, places = chosen
        draft.rules[whole.resource] = rule
        draft.pick(Pick(whole.resource, "power", places, power_state=whole.state))
        break
    if whole.shared:
        return  # what feeds and cools it is the enclosure's
    if (energy := await _choose_energy(walk, next(iter(_levels(whole, shown)), []))) is not None:
        factor, counter = psu.JOULES_PER_KWH, Method.COUNTER
        draft.pick(Pick(whole.resource, "energy", (energy,), factor, counter))
    for each in shown:
        for supply in each.supplies:
            _pick_supply(whole, supply, draft)
        for probe in await thermal.probes(walk, each.chassis, each.environment):
            resource = draft.named(f"sensor:{whole.ident}.{probe.slug}")
            draft.describe(resource, f"{whole.name} {probe.name}", probe.labels)
            draft.pick(Pick(resource, probe.quantity, (probe.place,), probe.factor))


def _levels(whole: Whole, shown: Sequence[_Shown]) -> Iterable[list[_Shown]]:
    """The chassis that may stand for the whole: the outermost, then those that name its system."""
    for depth in sorted(set(whole.depth.values())):
        level = [each for each in shown if whole.depth[same(each.chassis.path)] == depth]
        if depth:
            level = [
                each
                for each in level
                if whole.system in links(each.chassis.node.get("Links"), "ComputerSystems")
            ]
        if level:
            yield level


async def _show(walk: Walk, chassis: Found) -> _Shown:
    environment = await walk.follow(chassis.node, "EnvironmentMetrics")
    found = await psu.of_subsystem(walk, chassis.node)
    if not found and (power := await walk.follow(chassis.node, "Power")) is not None:
        found = psu.of_power(power)
    return _Shown(chassis, environment, found, await psu.bays(walk, chassis.node))


def _different(chassis: Sequence[Found]) -> list[Found]:
    """One chassis for each serial number: some BMCs show one chassis under two names."""
    found: dict[str, Found] = {}
    for each in chassis:
        serial = text(each.node, "SerialNumber")
        found.setdefault(same(each.path) if is_placeholder(serial) else serial, each)
    return list(found.values())


async def _choose_power(
    walk: Walk, whole: Whole, shown: Sequence[_Shown], before: str | None
) -> tuple[str, tuple[Place, ...]] | None:
    """The rule of `whole_power` in force, with the places it reads."""
    fed = [each for each in shown if any(not one.is_dead for one in each.supplies)]
    several = len(fed) > 1
    groups = [fed] if several else [[each] for each in shown]
    nothing_yet: tuple[str, tuple[Place, ...]] | None = None
    rules = whole_power.OF_SEVERAL if several else whole_power.RULES
    for rule in sorted(rules, key=lambda each: each != before):
        for group in groups:
            parts = [await _places(walk, rule, whole, each) for each in group]
            if not all(parts):
                continue
            places = tuple(place for part in parts for place in part)
            values = [walk.value(place) for place in places]
            if all(not isinstance(value, Missing) for value in values):
                if any(values):
                    return rule, places
            elif not all(value is Missing.NULL or value == 0 for value in values) and not (
                # One of the supplies has only just been put in: it will tell.
                rule == before
                and all(value is Missing.NULL or not isinstance(value, Missing) for value in values)
            ):
                continue
            if rule == before:
                return rule, places
            nothing_yet = nothing_yet or (rule, places)
    return nothing_yet


async def _places(walk: Walk, rule: str, whole: Whole, shown: _Shown) -> tuple[Place, ...]:
    """What a rule reads from one chassis; nothing where it does not apply."""
    if rule == "environment":
        if whole.shared or shown.environment is None:
            return ()
        return (whole_power.environment(shown.environment),)
    if rule == "sensor":
        if whole.shared:
            return ()
        totals = whole_power.totals(await _sensors(walk, shown.chassis), "Power")
        return (totals[0],) if len(totals) == 1 else ()
    if rule == "control":
        power = await walk.follow(shown.chassis.node, "Power")
        if power is None:
            return ()
        chassis = same(shown.chassis.path)
        place = whole_power.control(power, whole.system, chassis, is_shared=whole.shared)
        return () if place is None else (place,)
    if rule == "vendor":
        power = await walk.follow(shown.chassis.node, "Power")
        return () if power is None or whole.shared else whole_power.vendor(power)
    alive = [each for each in shown.supplies if not each.is_dead]
    if whole.shared or not all(psu.POWER in each.input for each in alive):
        return ()
    return tuple(each.input[psu.POWER] for each in alive)


async def _choose_energy(walk: Walk, shown: Sequence[_Shown]) -> Place | None:
    """The whole server's energy counter: of its only chassis, for counters start when they like."""
    if len(shown) != 1:
        return None
    (only,) = shown
    if only.environment is not None:
        place = whole_power.energy(only.environment)
        if not isinstance(walk.value(place), Missing):
            return place
    totals = whole_power.totals(await _sensors(walk, only.chassis), "EnergykWh")
    return totals[0] if len(totals) == 1 else None


async def _sensors(walk: Walk, chassis: Found) -> list[Found]:
    return await walk.members(
        chassis.node, "Sensors", wanted=lambda path: bool(_MEASURING.search(path))
    )


def _pick_supply(whole: Whole, supply: psu.Supply, draft: _Draft) -> None:
    """What goes into a power supply and what comes out of it: two kinds, as sums are over one."""
    tail = made(supply.id, "psu")
    for side, places in (("input", supply.input), ("output", supply.output)):
        if not places:
            continue
        kind = "psu" if side == "input" else "psu_output"
        resource = draft.named(f"{kind}:{whole.ident}.{tail}")
        draft.describe(resource, f"{whole.name} {supply.name}", {**supply.labels, "side": side})
        for what, place in places.items():
            draft.pick(Pick(resource, what.quantity, (place,), what.factor, what.method))
