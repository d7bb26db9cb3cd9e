"""Which nodes could be emptied, everything that was placed staying placed, and where it would go.

One way that works, not the best one. Emptiest node first; what ran on it fits on others in each
of its hours, beside all that they hold. A node that takes something in is not emptied itself.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from jauge_models.capacity.inventory import Plant
from jauge_models.capacity.node_draw import NodeDraw
from jauge_models.capacity.occupancy import Occupancy
from jauge_models.capacity.outcome import HOURS_OF_YEAR
from jauge_models.capacity.schedule import Hold
from jauge_models.capacity.workloads import Refused


class Move(msgspec.Struct, frozen=True):
    """One instance that goes from a node to other GPUs."""

    instance: str
    source: str
    target: str
    gpus: tuple[int, ...]


class Emptied(msgspec.Struct, frozen=True, kw_only=True):
    """A node that could be switched off. ``rest_kwh``: a year at rest, None if not known."""

    node: str
    moves: tuple[Move, ...]
    rest_kwh: float | None


class Consolidation(msgspec.Struct, frozen=True, kw_only=True):
    """Nodes that could be off at the same time. What they draw when off comes off ``kwh``.

    ``kwh``: IT energy of a year; None where a node's draw at rest is not known.
    """

    emptied: tuple[Emptied, ...]
    kwh: float | None


def consolidation(
    plant: Plant, holds: Sequence[Hold], hours: int, draws: Mapping[str, NodeDraw]
) -> Consolidation:
    """The plan for these holds over ``hours`` hours; nodes without GPUs stay as they are."""
    idle_w = {kind: draw.idle_high_w for kind, draw in draws.items()}
    occupancy = Occupancy(plant, hours, idle_w=idle_w)
    on: dict[str, list[Hold]] = {node.name: [] for node in plant.nodes}
    nodes_of: dict[str, set[str]] = {}
    for hold in holds:
        occupancy.hold(hold.workload, hold.place, hold.at)
        on[hold.place.node].append(hold)
        nodes_of.setdefault(hold.instance, set()).add(hold.place.node)
    kinds = {kind.name: kind for kind in plant.kinds}
    candidates = [node.name for node in plant.nodes if kinds[node.kind].gpus]
    kind_of = {node.name: node.kind for node in plant.nodes}
    # Nodes that are off take nothing, nor do those that never held anything: they go first.
    off: set[str] = {name for name in candidates if not on[name]}
    emptied = [_emptied(name, (), draws.get(kind_of[name])) for name in candidates if name in off]
    receivers: set[str] = set()
    for name in sorted(candidates, key=lambda name: (_work(on[name], hours), name)):
        if name in off or name in receivers:
            continue
        moved = _moved(name, on[name], occupancy, off, nodes_of)
        if moved is None:
            continue
        off.add(name)
        receivers.update(hold.place.node for hold in moved)
        for hold in moved:
            on[hold.place.node].append(hold)
            nodes_of[hold.instance] = nodes_of[hold.instance] - {name} | {hold.place.node}
        moves = tuple(Move(hold.instance, name, hold.place.node, hold.place.gpus) for hold in moved)
        emptied.append(_emptied(name, moves, draws.get(kind_of[name])))
    rest = [one.rest_kwh for one in emptied]
    known = [kwh for kwh in rest if kwh is not None]
    return Consolidation(
        emptied=tuple(emptied), kwh=sum(known) if len(known) == len(rest) else None
    )


def _emptied(name: str, moves: tuple[Move, ...], draw: NodeDraw | None) -> Emptied:
    rest = None if draw is None else draw.idle_w * HOURS_OF_YEAR / 1000
    return Emptied(node=name, moves=moves, rest_kwh=rest)


def _work(holds: Sequence[Hold], hours: int) -> int:
    """Thousandths of GPUs times hours."""
    every = np.arange(hours)
    return sum(
        len(hold.place.gpus) * hold.workload.gpu_milli * len(every[hold.at]) for hold in holds
    )


def _moved(
    name: str,
    holds: Sequence[Hold],
    occupancy: Occupancy,
    off: set[str],
    nodes_of: Mapping[str, set[str]],
) -> list[Hold] | None:
    """The holds of a node on others, the largest first; None, and nothing changed, if one fails."""
    order = sorted(
        holds, key=lambda hold: (-len(hold.place.gpus) * hold.workload.gpu_milli, hold.instance)
    )
    for hold in order:
        occupancy.release(hold.workload, hold.place, hold.at)
    moved: list[Hold] = []
    for hold in order:
        # A run on several nodes needs different ones.
        without = off | {name} | nodes_of[hold.instance]
        found = occupancy.find(hold.workload, hold.at, without=without)
        if isinstance(found, Refused):
            _undo(order, moved, occupancy)
            return None
        occupancy.hold(hold.workload, found, hold.at)
        moved.append(hold._replace(place=found))
    return moved


def _undo(order: Sequence[Hold], moved: Sequence[Hold], occupancy: Occupancy) -> None:
    for hold in moved:
        occupancy.release(hold.workload, hold.place, hold.at)
    for hold in order:
        occupancy.hold(hold.workload, hold.place, hold.at)
