"""What is free on each node, in tables: processors, memory, and of every GPU its part and memory.

GPUs that a node does not have are -1 in the tables, so that nothing fits on them.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jauge_models.capacity.inventory import WHOLE, Plant
from jauge_models.capacity.workloads import Need, Obstacle

Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]
Rows = NDArray[np.intp]

OBSTACLES: Final = (
    Obstacle.GPU_KIND,
    Obstacle.GPUS,
    Obstacle.FRAGMENTED,
    Obstacle.GPU_MEMORY,
    Obstacle.CPU,
    Obstacle.MEMORY,
)
FITS: Final = len(OBSTACLES)
_ABSENT: Final = -1


class Free:
    """The free part of a plant's nodes. Row n of each table is ``plant.nodes[n]``."""

    def __init__(self, plant: Plant) -> None:
        by_name = {kind.name: kind for kind in plant.kinds}
        self.kinds = [by_name[node.kind] for node in plant.nodes]
        self.names = [node.name for node in plant.nodes]
        self.row = {name: at for at, name in enumerate(self.names)}
        width = max((kind.gpus for kind in self.kinds), default=0) or 1
        shape = (len(self.kinds), width)
        self.gpu: Whole = np.full(shape, _ABSENT, np.int64)
        self.gpu_memory: Whole = np.full(shape, _ABSENT, np.int64)
        for at, kind in enumerate(self.kinds):
            self.gpu[at, : kind.gpus] = WHOLE
            self.gpu_memory[at, : kind.gpus] = kind.gpu_memory_mib
        self.cpu: Whole = np.array([kind.cpu_milli for kind in self.kinds], np.int64)
        self.memory: Whole = np.array([kind.memory_mib for kind in self.kinds], np.int64)
        self.gpus: Whole = np.array([kind.gpus for kind in self.kinds], np.int64)
        self._whole_memory: Whole = np.array([kind.gpu_memory_mib for kind in self.kinds], np.int64)
        self._suits: dict[Need, Flags] = {}
        self._milli: dict[int, Whole] = {}

    def milli(self, need: Need) -> Whole:
        """What the need takes of one GPU of each node.

        A GPU that is cut in hardware gives whole slices, so that it may be more than was asked for.
        """
        found = self._milli.get(need.milli)
        if found is None:
            found = np.array([kind.taken(need.milli) for kind in self.kinds], np.int64)
            self._milli[need.milli] = found
        return found

    def suits(self, need: Need) -> Flags:
        """Nodes that could take it if they were empty of GPU work."""
        found = self._suits.get(need)
        if found is None:
            found = self._of_kind(need)
            if need.gpus:
                found = found & (self._whole_memory >= need.gpu_memory)
            self._suits[need] = found
        return found

    def usable(self, need: Need, rows: Rows) -> Flags:
        """Of each of these nodes, the GPUs that have what it needs free."""
        if need.gpus and need.milli == WHOLE:
            found: Flags = self.gpu[rows] == WHOLE
        else:
            found = self.gpu[rows] >= self.milli(need)[rows, None]
        return found & (self.gpu_memory[rows] >= need.gpu_memory)

    def fits(self, need: Need, rows: Rows) -> Flags:
        """Which of these nodes have what it needs free; power and anti-affinity apart."""
        fits = self.suits(need)[rows] & (self.cpu[rows] >= need.cpu)
        fits &= self.memory[rows] >= need.memory
        if need.gpus:
            fits &= self.usable(need, rows).sum(axis=1) >= need.gpus
        return fits

    def choose(self, need: Need, row: int, first: int = _ABSENT) -> tuple[int, ...]:
        """Which GPUs of a node that fits: ``first`` if it is given, else those left fullest."""
        if not need.gpus:
            return ()
        usable = np.flatnonzero(self.usable(need, np.array([row]))[0])
        if need.gpus == 1 and first in usable:
            return (first,)
        order = np.argsort(self.gpu[row, usable], kind="stable")
        return tuple(sorted(usable[order[: need.gpus]].tolist()))

    def take(self, need: Need, row: int, gpus: Sequence[int], sign: int = 1) -> None:
        """Take it from a node, or give it back with ``sign`` -1."""
        self.cpu[row] -= sign * need.cpu
        self.memory[row] -= sign * need.memory
        if gpus:
            at = list(gpus)
            self.gpu[row, at] -= sign * int(self.milli(need)[row])
            self.gpu_memory[row, at] -= sign * need.gpu_memory

    def obstacles(self, need: Need) -> Whole:
        """What keeps it off each node, as a number in OBSTACLES: the first met, or FITS."""
        rows = np.arange(len(self.kinds))
        part = np.maximum(self.gpu, 0).sum(axis=1)
        enough = int(part[self.suits(need)].sum()) >= need.gpus * need.milli
        in_pieces = (part > 0) & enough
        by_part = (self.gpu >= self.milli(need)[:, None]).sum(axis=1) >= need.gpus
        with_memory = self.usable(need, rows).sum(axis=1) >= need.gpus
        if not need.gpus:
            by_part = with_memory = np.ones(len(rows), np.bool_)
        return np.select(
            [
                ~self._of_kind(need),
                ~by_part & ~in_pieces,
                ~by_part,
                ~with_memory,
                self.cpu < need.cpu,
                self.memory < need.memory,
            ],
            np.arange(len(OBSTACLES)),
            FITS,
        )

    def of_kind(self) -> dict[str, int]:
        """Free thousandths of GPUs by kind of GPU."""
        free: Counter[str] = Counter()
        part = np.where(self.gpu > 0, self.gpu, 0).sum(axis=1)
        for kind, milli in zip(self.kinds, part.tolist(), strict=True):
            if kind.gpus:
                free[kind.gpu] += milli
        return dict(free)

    def _of_kind(self, need: Need) -> Flags:
        return np.array([kind.will_do(need.gpus, need.gpu_kinds) for kind in self.kinds], np.bool_)
