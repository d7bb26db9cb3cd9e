"""Whether a packing keeps every limit: said once more, from the plant and the places alone.

It shares nothing with the tables that placement goes by, so that the one can prove the other.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple

from jauge_models.capacity.inventory import WHOLE, Node, NodeKind, Plant
from jauge_models.capacity.workloads import Obstacle, Place, Spread, Workload

_ROUNDING_W: Final = 1e-6
Placed = Collection[tuple[Workload, Place]]


class Broken(NamedTuple):
    """A limit that does not hold, and the node, rack, supply or room where."""

    obstacle: Obstacle
    where: str


def broken_limits(
    plant: Plant, placed: Placed, *, idle_w: Mapping[str, float] | None = None
) -> list[Broken]:
    """Every limit that these workloads, placed so, break.

    A limit that nodes at rest break already is not theirs, as long as they add nothing there.
    """
    on: dict[str, list[tuple[Workload, Place]]] = defaultdict(list)
    for workload, place in placed:
        on[place.node].append((workload, place))
    kinds = {kind.name: kind for kind in plant.kinds}
    found: list[Broken] = []
    for node in plant.nodes:
        if on[node.name]:
            found += _node(node, kinds[node.kind], on[node.name])
    found += _together(plant, placed)
    draw = _draws(plant, placed, idle_w or {})
    rest = _draws(plant, (), idle_w or {})
    found += _areas(plant, draw, rest)
    found += _breakers(plant, draw, rest)
    return found


def _node(node: Node, kind: NodeKind, placed: Placed) -> Iterator[Broken]:
    part: dict[int, int] = defaultdict(int)
    memory: dict[int, int] = defaultdict(int)
    for workload, place in placed:
        if len(set(place.gpus)) != workload.gpus:
            yield Broken(Obstacle.GPUS, node.name)
        if workload.gpus and workload.gpu_kinds and kind.gpu not in workload.gpu_kinds:
            yield Broken(Obstacle.GPU_KIND, node.name)
        for gpu in place.gpus:
            if not 0 <= gpu < kind.gpus:
                yield Broken(Obstacle.GPUS, node.name)
            part[gpu] += _taken(workload.gpu_milli, kind.slices)
            memory[gpu] += workload.gpu_memory_mib
    if any(milli > WHOLE for milli in part.values()):
        yield Broken(Obstacle.GPUS, node.name)
    if any(mib > kind.gpu_memory_mib for mib in memory.values()):
        yield Broken(Obstacle.GPU_MEMORY, node.name)
    if sum(workload.cpu_milli for workload, _ in placed) > kind.cpu_milli:
        yield Broken(Obstacle.CPU, node.name)
    if sum(workload.memory_mib for workload, _ in placed) > kind.memory_mib:
        yield Broken(Obstacle.MEMORY, node.name)


def _taken(milli: int, slices: int) -> int:
    """Of a GPU cut in hardware, whole slices are given."""
    if not slices:
        return milli
    taken = math.ceil(milli * slices / WHOLE)
    return WHOLE if taken >= slices else taken * (WHOLE // slices)


def _together(plant: Plant, placed: Placed) -> Iterator[Broken]:
    nodes = {node.name: node for node in plant.nodes}
    feeds = {(rack.name, one.name): one.feed for rack in plant.racks for one in rack.supplies}
    for workload, place in placed:
        here = nodes[place.node]
        for other, elsewhere in placed:
            if other.id == workload.id or not workload.group or other.group != workload.group:
                continue
            there = nodes[elsewhere.node]
            on = {feeds[here.rack, one] for one in here.supplies}
            sole = len(on) == 1 and on == {feeds[there.rack, one] for one in there.supplies}
            asked = {workload.spread, other.spread}
            if (
                (Spread.NODE in asked and here.name == there.name)
                or (Spread.RACK in asked and here.rack == there.rack != "")
                or (Spread.FEED in asked and sole)
            ):
                yield Broken(Obstacle.ANTI_AFFINITY, here.name)


def _draws(plant: Plant, placed: Placed, idle_w: Mapping[str, float]) -> dict[str, float]:
    kinds = {kind.name: kind for kind in plant.kinds}
    draw = {node.name: idle_w.get(node.kind, 0.0) for node in plant.nodes}
    for workload, place in placed:
        draw[place.node] += workload.watts
    for node in plant.nodes:
        most = kinds[node.kind].most_w
        if most is not None:
            draw[node.name] = min(draw[node.name], most)
    return draw


def _over(now: float, before: float, limit: float | None) -> bool:
    return limit is not None and now > limit + _ROUNDING_W and now > before + _ROUNDING_W


def _areas(plant: Plant, draw: Mapping[str, float], rest: Mapping[str, float]) -> Iterator[Broken]:
    of_room = {rack.name: rack.room for rack in plant.racks}
    for rack in plant.racks:
        names = [node.name for node in plant.nodes if node.rack == rack.name]
        if _over(sum(draw[n] for n in names), sum(rest[n] for n in names), rack.power_w):
            yield Broken(Obstacle.RACK_POWER, rack.name)
    for room in plant.rooms:
        names = [node.name for node in plant.nodes if of_room.get(node.rack) == room.name]
        if _over(sum(draw[n] for n in names), sum(rest[n] for n in names), room.cooling_w):
            yield Broken(Obstacle.ROOM_COOLING, room.name)


def _breakers(
    plant: Plant, draw: Mapping[str, float], rest: Mapping[str, float]
) -> Iterator[Broken]:
    for rack in plant.racks:
        feed = {supply.name: supply.feed for supply in rack.supplies}
        for lost in (None, *sorted(set(feed.values()))):
            now: dict[str, float] = defaultdict(float)
            before: dict[str, float] = defaultdict(float)
            for node in plant.nodes:
                if node.rack != rack.name:
                    continue
                standing = [one for one in dict.fromkeys(node.supplies) if feed[one] != lost]
                for one in standing:
                    now[one] += draw[node.name] / len(standing)
                    before[one] += rest[node.name] / len(standing)
            for supply in rack.supplies:
                if _over(now[supply.name], before[supply.name], supply.watts):
                    yield Broken(Obstacle.BREAKER, f"{rack.name} {supply.name}")
