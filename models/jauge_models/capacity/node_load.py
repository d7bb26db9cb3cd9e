"""Use of each node in each hour of a schedule, and what it draws for it."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from jauge_models.capacity.inventory import WHOLE, NodeKind, Plant
from jauge_models.capacity.node_draw import NodeDraw
from jauge_models.capacity.schedule import Hold, Schedule

REST: Final = ""
"""In place of a workload's id: what nodes draw at rest, whoever uses them."""


class NodeLoad:
    """Use of each node in each hour, and what it draws; 0 W for a kind whose draw is not known.

    ``milli``: thousandths of GPUs that nobody else can have, which on GPUs cut in hardware may be
    more than what was asked for; that is ``placed_milli``, of all nodes together.
    """

    def __init__(self, plant: Plant, plan: Schedule, draws: Mapping[str, NodeDraw]) -> None:
        kinds = {kind.name: kind for kind in plant.kinds}
        hours = plan.demand.horizon.hours
        self.kinds: tuple[NodeKind, ...] = tuple(kinds[node.kind] for node in plant.nodes)
        self.row = {node.name: at for at, node in enumerate(plant.nodes)}
        shape = (len(plant.nodes), hours)
        self.milli = np.zeros(shape)
        self.placed_milli = np.zeros(hours)
        self.memory = np.zeros(shape)
        self.busy = np.zeros(shape)
        self.used = np.zeros(shape, np.bool_)
        for hold in plan.holds:
            row, gpus = self.row[hold.place.node], len(hold.place.gpus)
            self.milli[row, hold.at] += gpus * self.kinds[row].taken(hold.workload.gpu_milli)
            self.placed_milli[hold.at] += hold.workload.milli
            self.memory[row, hold.at] += gpus * hold.workload.gpu_memory_mib
            self.busy[row, hold.at] += _busy(hold)
            self.used[row, hold.at] = True
        self.rest_w = np.zeros(shape)
        self.mean_w = np.zeros(shape)
        self.error_w = np.zeros(shape)
        self.high_w = np.zeros(shape)
        for name, draw in draws.items():
            rows = [at for at, node in enumerate(plant.nodes) if node.kind == name]
            if not rows:
                continue
            activity = self.busy[rows] / max(kinds[name].gpus, 1)
            self.rest_w[rows] = draw.idle_w
            self.mean_w[rows] = draw.mean_w(activity)
            self.error_w[rows] = draw.error_w(activity)
            self.high_w[rows] = draw.high_w(activity)

    def parts(self, holds: Sequence[Hold], year: float) -> dict[str, float]:
        """Of each workload above rest, kWh a year, by its part of the work of its node and hour."""
        with np.errstate(divide="ignore", invalid="ignore"):
            each = np.where(self.busy > 0, (self.mean_w - self.rest_w) / self.busy, 0.0)
        found = {REST: float(self.rest_w.sum()) * year / 1000}
        for hold in holds:
            watts = float(each[self.row[hold.place.node], hold.at].sum()) * _busy(hold)
            found[hold.id] = found.get(hold.id, 0.0) + watts * year / 1000
        return found

    def idle_kwh(self, year: float) -> float:
        """Of nodes in hours in which nothing ran on them."""
        return float(self.mean_w[~self.used].sum()) * year / 1000


def _busy(hold: Hold) -> float:
    return len(hold.place.gpus) * hold.workload.gpu_milli / WHOLE * hold.activity
