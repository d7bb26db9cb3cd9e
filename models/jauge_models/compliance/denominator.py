"""Which machines count: the inventory of a quarter's last day, and what was seen without it.

Machines are told apart by keys (serial, UUID, asset number). Each counts once, however many rows
or sightings it has; a multi-node chassis counts as its nodes.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from typing import TypeVar

import msgspec

from jauge_models.compliance.evidence import Chassis, ServerEvidence, Sighting
from jauge_models.compliance.policy import Policy
from jauge_models.compliance.windows import Window


class Inventory(msgspec.Struct, frozen=True):
    """The register of servers, with those that have left it or are to come."""

    servers: tuple[ServerEvidence, ...] = ()
    chassis: tuple[Chassis, ...] = ()


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """One machine of the denominator; ``server`` is None where the inventory lacks it."""

    id: str
    site: str
    rack: str
    owner: str
    used_by: str
    server: ServerEvidence | None = None
    seen_by: tuple[str, ...] = ()
    twice: tuple[str, ...] = ()
    """Other rows of the inventory for the same machine."""
    energy_kwh: float | None = None


class Removal(msgspec.Struct, frozen=True):
    """A server that left the inventory in the quarter; an empty reason is to be asked for."""

    server: str
    day: date
    reason: str


class Denominator(msgspec.Struct, frozen=True):
    """The machines that count, and what stands beside them."""

    machines: tuple[Machine, ...]
    removals: tuple[Removal, ...] = ()
    left_out: tuple[Machine, ...] = ()
    """Listed, but the policy does not count their placement."""


def denominator(
    inventory: Inventory, sightings: Iterable[Sighting], quarter: Window, policy: Policy
) -> Denominator:
    """The machines of a quarter, by id.

    ``sightings`` are of the quarter. A machine seen on or after the day on which its row ends, or
    one whose row begins after the quarter, is missing from the inventory like one without a row.
    """
    shared = frozenset(key for chassis in inventory.chassis for key in chassis.keys)
    valid = [server for server in inventory.servers if server.is_valid(quarter.last)]
    others = [server for server in inventory.servers if not server.is_valid(quarter.last)]
    listed = [
        _of_rows(rows) for rows in _alike(sorted(valid, key=_id), lambda row: row.keys - shared)
    ]
    known = {key for server in valid for key in server.keys - shared}
    unlisted = [
        group
        for group in _alike(
            sorted(sightings, key=lambda each: (each.id, each.source)),
            lambda each: each.keys - shared if each.keys else frozenset({f"sighting {each.id}"}),
        )
        if not _is_accounted(group, known, others, shared)
    ]
    nodes = [
        node
        for chassis in inventory.chassis
        for node in _missing_nodes(chassis, valid, unlisted, quarter.last)
    ]
    counts = [m for m in listed if m.server is not None and m.server.placement in policy.counted]
    return Denominator(
        tuple(sorted([*counts, *map(_of_sightings, unlisted), *nodes], key=lambda m: m.id)),
        tuple(
            Removal(row.id, row.valid_to, row.removal_reason)
            for row in sorted(others, key=_id)
            if row.valid_to is not None and quarter.first < row.valid_to <= quarter.last
        ),
        tuple(machine for machine in listed if machine not in counts),
    )


def _id(row: ServerEvidence) -> str:
    return row.id


def _is_accounted(
    group: Sequence[Sighting],
    known: AbstractSet[str],
    others: Iterable[ServerEvidence],
    shared: AbstractSet[str],
) -> bool:
    """Whether a machine that was seen is in the inventory, was until then, or is a chassis."""
    keys = frozenset(key for sighting in group for key in sighting.keys)
    own = keys - shared
    if (keys and not own) or own & known:
        return True
    last_seen = max(sighting.last_seen for sighting in group)
    return any(
        row.valid_to is not None and last_seen < row.valid_to for row in others if own & row.keys
    )


def _of_rows(rows: Sequence[ServerEvidence]) -> Machine:
    """A machine of the inventory; where it has several rows the first speaks, and V1 fails."""
    row = rows[0]
    return Machine(
        id=row.id,
        site=row.site,
        rack=row.rack,
        owner=row.owner,
        used_by=row.used_by,
        server=row,
        twice=tuple(other.id for other in rows[1:]),
        energy_kwh=row.energy_kwh,
    )


def _of_sightings(group: Sequence[Sighting]) -> Machine:
    """A machine that was seen: each field by the first sighting that has it."""

    def first(name: str) -> str:
        return next((value for each in group if (value := getattr(each, name))), "")

    energies = (each.energy_kwh for each in group if each.energy_kwh is not None)
    return Machine(
        id=group[0].id,
        site=first("site"),
        rack=first("rack"),
        owner=first("owner"),
        used_by=first("used_by"),
        seen_by=tuple(dict.fromkeys(each.source for each in group)),
        energy_kwh=next(energies, None),
    )


def _missing_nodes(
    chassis: Chassis,
    valid: Iterable[ServerEvidence],
    unlisted: Iterable[Sequence[Sighting]],
    last: date,
) -> list[Machine]:
    """Nodes that a chassis has and nothing else accounts for."""
    begun = chassis.valid_from is None or chassis.valid_from <= last
    if not begun or (chassis.valid_to is not None and chassis.valid_to <= last):
        return []
    rows = sum(row.chassis == chassis.id for row in valid)
    seen = sum(any(each.keys & chassis.keys for each in group) for group in unlisted)
    return [
        Machine(
            id=f"{chassis.id} node {number}",
            site=chassis.site,
            rack=chassis.rack,
            owner=chassis.owner,
            used_by=chassis.used_by,
            seen_by=("chassis",),
        )
        for number in range(rows + seen + 1, chassis.nodes + 1)
    ]


_Item = TypeVar("_Item")


def _alike(items: Sequence[_Item], keys: Callable[[_Item], AbstractSet[str]]) -> list[list[_Item]]:
    """Items in groups that share keys, directly or through others; the order is kept."""
    leader = list(range(len(items)))

    def top(at: int) -> int:
        while leader[at] != at:
            leader[at] = leader[leader[at]]
            at = leader[at]
        return at

    holder: dict[str, int] = {}
    for at, item in enumerate(items):
        for key in keys(item):
            a, b = sorted((top(at), top(holder.setdefault(key, at))))
            leader[b] = a
    groups: defaultdict[int, list[_Item]] = defaultdict(list)
    for at, item in enumerate(items):
        groups[top(at)].append(item)
    return list(groups.values())
