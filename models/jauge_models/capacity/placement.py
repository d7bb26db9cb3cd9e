"""Where GPU workloads go, one after another, and why one fits nowhere.

A workload runs on one node. A node takes it if GPUs, their memory, processors and memory are free,
if the racks', rooms' and breakers' limits hold with what it is expected to draw, also with any one
feed lost, and if nothing of its group is where it must not be. Among those ``packing_policies``
chooses. ``pack`` places many that are known together.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from jauge_models.capacity.free import FITS, OBSTACLES, Flags, Free
from jauge_models.capacity.inventory import Plant
from jauge_models.capacity.packing_policies import Policy, ranking
from jauge_models.capacity.power_limits import PowerLimits, obstacle_of
from jauge_models.capacity.workloads import (
    Need,
    Obstacle,
    Place,
    Refused,
    Spread,
    Workload,
)

__all__ = [
    "Obstacle",
    "Packer",
    "Packing",
    "Place",
    "Policy",
    "Refused",
    "Spread",
    "Totals",
    "Workload",
    "pack",
]

FEW: Final = 12
"""So many workloads are also searched, not only ordered."""
_EFFORT: Final = 1500
"""Placements that a search tries at most."""


class Totals(NamedTuple):
    """What is placed, added up. More of it is greater: by GPUs, then by workloads."""

    gpu_milli: int
    workloads: int


class Packing(msgspec.Struct, frozen=True):
    """Where workloads went, and what kept the others off, by their ids."""

    placed: Mapping[str, Place]
    refused: Mapping[str, Refused]


class Packer:
    """Places workloads one after another; what is placed stays where it is until it is removed.

    ``idle_w``: expected draw at rest of a node of each kind, by name; one that is missing counts as
    nothing, which whoever answers must say. ``typical``: what is to be expected besides, each
    workload as often as it is in it (see ``packing_policies``). ``seed``: of the random policy.
    """

    def __init__(
        self,
        plant: Plant,
        *,
        idle_w: Mapping[str, float] | None = None,
        typical: Sequence[Workload] | None = None,
        policy: Policy = Policy.ROOM,
        seed: int = 0,
    ) -> None:
        self.plant = plant
        self._free = Free(plant)
        self._power = PowerLimits(plant, idle_w or {})
        self._ranking = ranking(policy, self._free, typical, seed)
        self._held: dict[str, tuple[Workload, Place]] = {}
        self._groups: dict[str, dict[str, int]] = {}
        self._shares: dict[Spread, list[set[str]]] = {
            Spread.NODE: [{node.name} for node in plant.nodes],
            Spread.RACK: [{node.rack} if node.rack else set() for node in plant.nodes],
            Spread.FEED: [set() if feed is None else {feed} for feed in plant.sole_feeds()],
        }

    @property
    def allocated(self) -> Totals:
        """What is placed now."""
        held = [workload for workload, _ in self._held.values()]
        return Totals(sum(workload.milli for workload in held), len(held))

    @property
    def placed(self) -> dict[str, Place]:
        """Where each workload is."""
        return {name: place for name, (_, place) in self._held.items()}

    @property
    def free_milli(self) -> dict[str, int]:
        """Free thousandths of GPUs, by kind of GPU."""
        return self._free.of_kind()

    @property
    def rack_w(self) -> dict[str, float]:
        """Expected draw of each rack, in W."""
        drawn = self._power.by_rack_mw().tolist()
        names = [rack.name for rack in self.plant.racks]
        return {name: mw / 1000 for name, mw in zip(names, drawn, strict=False)}

    @property
    def room_w(self) -> dict[str, float]:
        """Expected draw of each room, in W, which is the heat that it must carry off."""
        drawn = self._power.by_room_mw().tolist()
        names = [room.name for room in self.plant.rooms]
        return {name: mw / 1000 for name, mw in zip(names, drawn, strict=False)}

    def place(self, workload: Workload) -> Place | Refused:
        """Place it, or say what keeps it off each node. Raises ValueError if its id is placed."""
        self._must_be_new(workload)
        need = Need.of(workload)
        best = self._ranking.best(need, self._allowed(workload))
        if best is None:
            return self._refused(workload, need)
        row, gpu = best
        place = Place(self._free.names[row], self._free.choose(need, row, gpu))
        self._hold(workload, place)
        return place

    def hold(self, workload: Workload, place: Place) -> None:
        """Place it there. Raises ValueError where its id is placed or it does not fit there."""
        self._must_be_new(workload)
        if not self._takes(workload, place):
            raise ValueError(f"{workload.id} does not fit in {place.node} on {place.gpus}")
        self._hold(workload, place)

    def remove(self, name: str) -> Place:
        """Take a workload away by its id, and say where it was. Raises KeyError for another one."""
        workload, place = self._held.pop(name)
        self._groups.get(workload.group, {}).pop(name, None)
        self._change(workload, place, -1)
        return place

    def places(self, workload: Workload, node: str) -> list[Place]:
        """Where on a node it would fit; of several whole GPUs one choice, the first free."""
        need, row = Need.of(workload), self._free.row[node]
        if not self._fits(workload, need, row):
            return []
        if need.gpus != 1:
            return [Place(node, self._free.choose(need, row))]
        return [Place(node, (gpu,)) for gpu in self._usable(need, row)]

    def alike(self, node: str) -> tuple[object, ...]:
        """Equal for two nodes of one rack and kind that nothing distinguishes now."""
        row, free = self._free.row[node], self._free
        there = self.plant.nodes[row]
        groups = (name for name, rows in self._groups.items() if row in rows.values())
        return (
            there.kind,
            there.rack,
            there.supplies,
            int(free.cpu[row]),
            int(free.memory[row]),
            tuple(sorted(zip(free.gpu[row].tolist(), free.gpu_memory[row].tolist(), strict=True))),
            int(self._power.drawn_mw[row]),
            frozenset(groups),
        )

    def free_on(self, place: Place) -> tuple[int, int] | None:
        """Free thousandths and memory of a place's first GPU; None for one without any."""
        if not place.gpus:
            return None
        at = self._free.row[place.node], place.gpus[0]
        return int(self._free.gpu[at]), int(self._free.gpu_memory[at])

    def _must_be_new(self, workload: Workload) -> None:
        if workload.id in self._held:
            raise ValueError(f"{workload.id} is placed already")

    def _takes(self, workload: Workload, place: Place) -> bool:
        need, row = Need.of(workload), self._free.row.get(place.node)
        if row is None or len(set(place.gpus)) != need.gpus:
            return False
        return self._fits(workload, need, row) and {*self._usable(need, row)} >= {*place.gpus}

    def _fits(self, workload: Workload, need: Need, row: int) -> bool:
        allowed = self._allowed(workload)
        free = self._free.fits(need, np.array([row]))[0]
        return bool(free and (allowed is None or allowed[row]))

    def _usable(self, need: Need, row: int) -> list[int]:
        usable: list[int] = np.flatnonzero(self._free.usable(need, np.array([row]))[0]).tolist()
        return usable

    def _hold(self, workload: Workload, place: Place) -> None:
        self._held[workload.id] = (workload, place)
        if workload.group:
            row = self._free.row[place.node]
            self._groups.setdefault(workload.group, {})[workload.id] = row
        self._change(workload, place, 1)

    def _change(self, workload: Workload, place: Place, sign: int) -> None:
        row = self._free.row[place.node]
        self._free.take(Need.of(workload), row, place.gpus, sign)
        self._power.add(row, workload.watts, sign)
        self._ranking.changed(row)

    def _allowed(self, workload: Workload) -> Flags | None:
        """Nodes where power, cooling and its group let it; None for all of them."""
        power = self._power.allowed(workload.watts).all if self._limited(workload) else None
        apart = self._apart(workload)
        if power is None or apart is None:
            return apart if power is None else power
        return power & apart

    def _limited(self, workload: Workload) -> bool:
        return self._power.limited and workload.watts > 0

    def _apart(self, workload: Workload) -> Flags | None:
        """Nodes that share nothing which its group must not share; None for all of them."""
        apart: Flags | None = None
        used: dict[Spread, set[str]] = {}
        for name, row in self._groups.get(workload.group, {}).items():
            # Whichever of two asks to be apart is heard.
            for spread in {workload.spread, self._held[name][0].spread} - {Spread.NONE}:
                used.setdefault(spread, set()).update(self._shares[spread][row])
        for spread, taken in used.items():
            clear = np.array([taken.isdisjoint(of) for of in self._shares[spread]], np.bool_)
            apart = clear if apart is None else apart & clear
        return apart

    def _refused(self, workload: Workload, need: Need) -> Refused:
        met = self._free.obstacles(need)
        counts = dict(zip(OBSTACLES, np.bincount(met, minlength=FITS).tolist(), strict=False))
        allowed = self._power.allowed(workload.watts)
        for row in np.flatnonzero(met == FITS).tolist():
            obstacle = obstacle_of(allowed, row) or Obstacle.ANTI_AFFINITY
            counts[obstacle] = counts.get(obstacle, 0) + 1
        order = [(one, number) for one in Obstacle if (number := counts.get(one, 0))]
        return Refused(tuple(sorted(order, key=lambda one: -one[1])))


def pack(
    plant: Plant,
    workloads: Sequence[Workload],
    *,
    idle_w: Mapping[str, float] | None = None,
    typical: Sequence[Workload] | None = None,
    policy: Policy = Policy.ROOM,
) -> Packing:
    """Place workloads that are known together: as many thousandths of GPUs as it finds room for.

    In the order given; where that leaves one out, also largest first, and of at most FEW by a
    search of limited effort. What places most is returned; ties go to the order given. Ids are
    unique, otherwise ValueError is raised.
    """
    mix = workloads if typical is None else typical

    def packer() -> Packer:
        return Packer(plant, idle_w=idle_w, typical=mix, policy=policy)

    best, refused = _in_order(packer(), workloads)
    if not refused:
        return Packing(best.placed, {})
    largest = sorted(workloads, key=lambda one: (-one.milli, -one.cpu_milli, -one.memory_mib))
    other, left = _in_order(packer(), largest)
    if other.allocated > best.allocated:
        best, refused = other, left
    if len(workloads) <= FEW:
        found = _searched(packer(), largest, best.allocated)
        if found is not None:
            best = packer()
            by_id = {one.id: one for one in workloads}
            for name, place in found.items():
                best.hold(by_id[name], place)
            # What the search had no effort left for may still fit.
            best, refused = _in_order(best, [one for one in workloads if one.id not in found])
    return Packing(best.placed, refused)


def _in_order(packer: Packer, workloads: Iterable[Workload]) -> tuple[Packer, dict[str, Refused]]:
    refused: dict[str, Refused] = {}
    for workload in workloads:
        place = packer.place(workload)
        if isinstance(place, Refused):
            refused[workload.id] = place
    return packer, refused


def _searched(
    packer: Packer, workloads: Sequence[Workload], beat: tuple[int, int]
) -> dict[str, Place] | None:
    """The best places that a depth-first search of limited effort finds, if better than ``beat``.

    What cannot get better than the best so far is not followed; of nodes that are alike, one is.
    """
    rest = [(0, 0)]
    for workload in reversed(workloads):
        milli, count = rest[-1]
        rest.append((milli + workload.milli, count + 1))
    rest.reverse()
    found: dict[str, Place] | None = None
    left = _EFFORT

    def follow(at: int) -> None:
        nonlocal found, beat, left
        milli, count = packer.allocated
        if (milli + rest[at][0], count + rest[at][1]) <= beat or left <= 0:
            return
        if at == len(workloads):
            beat, found = (milli, count), packer.placed
            return
        for place in _options(packer, workloads[at]):
            left -= 1
            packer.hold(workloads[at], place)
            follow(at + 1)
            packer.remove(workloads[at].id)
        follow(at + 1)

    follow(0)
    return found


def _options(packer: Packer, workload: Workload) -> Iterator[Place]:
    """Places worth trying: one of nodes that are alike, one of GPUs that are as free."""
    seen: set[object] = set()
    for node in packer.plant.nodes:
        alike = packer.alike(node.name)
        if alike in seen:
            continue
        seen.add(alike)
        parts: set[object] = set()
        for place in packer.places(workload, node.name):
            part = packer.free_on(place)
            if part not in parts:
                parts.add(part)
                yield place
