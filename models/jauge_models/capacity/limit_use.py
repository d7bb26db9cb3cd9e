"""How near a schedule comes to each limit of its plant: GPUs, memory, racks, breakers, cooling."""

from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from jauge_models.capacity.fullness import Limit
from jauge_models.capacity.inventory import WHOLE, Plant
from jauge_models.capacity.node_load import NodeLoad
from jauge_models.capacity.schedule import Schedule
from jauge_models.capacity.siting import rack_loads

Array = NDArray[np.float64]


class LimitUse(msgspec.Struct, frozen=True, kw_only=True):
    """The highest use of one limit: ``used`` of ``of``, at which place, in which hour.

    GPUs, MiB of GPU memory or W. ``share``: the used part of it. ``place``: kind of GPU, rack,
    breaker or room. ``at_ms``: None for breakers, which are planned for the worst at any time.
    ``lost_feed``: the feed whose loss is the worst case of a breaker.
    """

    limit: Limit
    place: str
    used: float
    of: float
    share: float
    at_ms: int | None = None
    lost_feed: str = ""


def limit_uses(plant: Plant, plan: Schedule, load: NodeLoad, known: bool) -> Iterator[LimitUse]:
    """Every kind of GPU; of racks, breakers and rooms with a declared limit the nearest to it."""
    yield from _gpus(load, plan)
    yield from _gpu_memory(load, plan)
    groups = (
        _racks(plant, load, plan) if known else (),
        breaker_uses(plant),
        _rooms(plant, load, plan) if known else (),
    )
    for uses in groups:
        nearest = max(uses, key=lambda use: use.share, default=None)
        if nearest is not None:
            yield nearest


def _by_gpu(load: NodeLoad) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for at, kind in enumerate(load.kinds):
        if kind.gpus:
            rows.setdefault(kind.gpu, []).append(at)
    return rows


def _gpus(load: NodeLoad, plan: Schedule) -> Iterator[LimitUse]:
    for name, rows in _by_gpu(load).items():
        of = float(sum(load.kinds[at].gpus for at in rows))
        yield _peak(Limit.GPUS, name, load.milli[rows].sum(axis=0) / WHOLE, of, plan)


def _gpu_memory(load: NodeLoad, plan: Schedule) -> Iterator[LimitUse]:
    for name, rows in _by_gpu(load).items():
        of = float(sum(load.kinds[at].gpus * load.kinds[at].gpu_memory_mib for at in rows))
        if of:
            yield _peak(Limit.GPU_MEMORY, name, load.memory[rows].sum(axis=0), of, plan)


def _racks(plant: Plant, load: NodeLoad, plan: Schedule) -> Iterator[LimitUse]:
    for rack in plant.racks:
        if rack.power_w is not None:
            rows = [load.row[node.name] for node in plant.nodes if node.rack == rack.name]
            used = load.high_w[rows].sum(axis=0)
            yield _peak(Limit.RACK_POWER, rack.name, used, rack.power_w, plan)


def _rooms(plant: Plant, load: NodeLoad, plan: Schedule) -> Iterator[LimitUse]:
    room_of = {rack.name: rack.room for rack in plant.racks}
    for room in plant.rooms:
        if room.cooling_w is not None:
            rows = [
                load.row[node.name] for node in plant.nodes if room_of.get(node.rack) == room.name
            ]
            used = load.high_w[rows].sum(axis=0)
            yield _peak(Limit.ROOM_COOLING, room.name, used, room.cooling_w, plan)


def breaker_uses(plant: Plant) -> Iterator[LimitUse]:
    """Of every breaker, all nodes at their most: with all feeds standing and with each one lost.

    Nodes whose most nobody declared are left out.
    """
    for rack in plant.racks:
        feeds = sorted({supply.feed for supply in rack.supplies})
        for lost in (None, *feeds):
            loads = rack_loads(plant, rack, lost_feed=lost)
            for supply in rack.supplies:
                if supply.feed != lost and supply.name in loads:
                    yield LimitUse(
                        limit=Limit.BREAKER,
                        place=breaker_name(rack.name, supply.name),
                        used=loads[supply.name],
                        of=supply.watts,
                        share=_share(loads[supply.name], supply.watts),
                        lost_feed=lost or "",
                    )


def breaker_name(rack: str, supply: str) -> str:
    """A breaker, told from one of the same name in another rack."""
    return supply if rack in supply else f"{rack} {supply}"


def _peak(limit: Limit, place: str, used: Array, of: float, plan: Schedule) -> LimitUse:
    top = int(used.argmax())
    return LimitUse(
        limit=limit,
        place=place,
        used=float(used[top]),
        of=of,
        share=_share(float(used[top]), of),
        at_ms=plan.demand.horizon.when(top),
    )


def _share(used: float, of: float) -> float:
    """Of a limit that is zero, anything used is all of it."""
    return used / of if of else float(used > 0)
