"""Which reading of a BMC is the power of the whole server: one rule after the other, never two.

1. `environment`: `PowerWatts` of the chassis' EnvironmentMetrics.
2. `sensor`: the one sensor that says it is the chassis' total.
3. `control`: the one member of the chassis' `PowerControl` that is the server's. A member that
   is related to the system is the whole server's; others beside it (a share of the chassis, its
   processors, its memory) are part of it and are not added. Without such a member, the only
   one left when those of parts are set aside.
4. `vendor`: what a maker's extension calls the total.
5. `supplies`: the sum of the input power of all power supplies that are at work.

The first rule that gives a value when the BMC is first looked at stays in force as long as the
agent runs: a series must not change what it measures from one minute to the next. Where several
members claim to be the whole, the rule gives nothing rather than a guess.

A server made of several chassis, each with power supplies of its own, draws the sum of theirs,
by the same rule for each. A chassis inside of another is a part of it, and asked only where the
outer one tells nothing and the inner one names the system itself.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from jauge_agent.sources.redfish.values import (
    Document,
    Place,
    is_dead,
    objects,
    step_to,
    text,
)
from jauge_agent.sources.redfish.walking import Found, links

RULES: Final = ("environment", "sensor", "control", "vendor", "supplies")
OF_SEVERAL: Final = ("environment", "supplies")
"""For a server of several chassis: what is one chassis' own beyond doubt."""

_PART_CONTEXTS: Final = frozenset(
    {
        *("CPU", "CPUSubsystem", "GPU", "GPUSubsystem", "Accelerator", "FPGA", "ASIC"),
        *("Memory", "MemorySubsystem", "StorageDevice", "StorageSubsystem", "NetworkingDevice"),
        *("Fan", "CoolingSubsystem", "PowerSupply", "PowerSubsystem", "VoltageRegulator"),
    }
)
"""What a member of PowerControl or a sensor may say it belongs to, when that is a part."""

_PART_NAMES: Final = re.compile(
    r"\b(cpu|processor|memory|dimm|gpu|accelerator|fan|pcie|storage|drive|sub-?system|psu\d*)\b",
    re.IGNORECASE,
)
"""Lenovo XCC: "CPU Sub-system Power", "Memory Sub-system Power" beside "Server Power Control"."""

_VENDOR_TOTALS: Final = (
    # Fujitsu iRMC of Primergy M7 has no PowerControl: "Designation": "Total Power".
    ("Oem", "ts_fujitsu", "ChassisPowerConsumption", "CurrentPowerConsumptionW"),
)

_TOTAL_SENSORS: Final = frozenset(
    {
        "systemboardpwrconsumption",  # Dell iDRAC 9 and 10: its IPMI name for the whole server
        "total_power",  # OpenBMC: as its sensor configurations call it
        "power_total_power",  # the same, with the type in front since Redfish ids must differ
        "totalpower",  # the example of the standard's own mockups
    }
)
"""Identities of sensors that are the whole server's though their context does not say so."""


def environment(metrics: Found) -> Place:
    """Rule 1."""
    return Place(metrics.document, (*metrics.steps, "PowerWatts", "Reading"))


def energy(metrics: Found) -> Place:
    """The energy counter beside rule 1."""
    return Place(metrics.document, (*metrics.steps, "EnergykWh", "Reading"))


def totals(sensors: Sequence[Found], kind: str) -> list[Place]:
    """Rule 2: sensors of a reading type that stand for the whole chassis."""
    return [
        Place(each.document, (*each.steps, "Reading"))
        for each in sensors
        if text(each.node, "ReadingType") == kind
        and not is_dead(each.node)
        and _is_total(each.node)
    ]


def control(power: Found, system: str, chassis: str, *, is_shared: bool) -> Place | None:
    """Rule 3 for a system in a chassis, both as `same` gives their paths.

    In a chassis that is shared with other systems only a member counts that names this system
    and nothing else.
    """
    members = objects(power.node, "PowerControl")
    whole = [each for each in members if not is_part(each, (system, chassis))]
    chosen = [each for each in whole if system in links(each, "RelatedItem")]
    if is_shared:
        chosen = [each for each in chosen if set(links(each, "RelatedItem")) == {system}]
    elif not chosen:
        chosen = [
            each
            for each in whole
            if not (related := links(each, "RelatedItem")) or chassis in related
        ]
    if len(chosen) != 1:
        return None
    step = step_to(members, chosen[0])
    return Place(power.document, (*power.steps, "PowerControl", step, "PowerConsumedWatts"))


def vendor(power: Found) -> tuple[Place, ...]:
    """Rule 4: the first of the extensions that this document has."""
    for steps in _VENDOR_TOTALS:
        node: object = power.node
        for step in steps:
            node = node.get(step) if isinstance(node, Mapping) else None
        if node is not None:
            return (Place(power.document, (*power.steps, *steps)),)
    return ()


def is_part(member: Document, wholes: Sequence[str]) -> bool:
    """Whether a member of PowerControl is about what lies inside of these and nothing else."""
    if text(member, "PhysicalContext") in _PART_CONTEXTS or _PART_NAMES.search(
        text(member, "Name")
    ):
        return True
    related = links(member, "RelatedItem")
    inside = tuple(f"{each}/" for each in wholes if each)
    return bool(related) and all(each.startswith(inside) for each in related)


def _is_total(sensor: Document) -> bool:
    if text(sensor, "Id").casefold() in _TOTAL_SENSORS:
        return True
    return (
        text(sensor, "PhysicalContext") in {"Chassis", "System"}
        and text(sensor, "ElectricalContext") in {"", "Total"}
        and not text(sensor, "PhysicalSubContext")
        and not _PART_NAMES.search(text(sensor, "Name"))
    )
