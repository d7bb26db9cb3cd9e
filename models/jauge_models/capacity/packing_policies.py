"""Which of the nodes where a workload fits it should go to.

All but RANDOM judge a node by what placing there would leave. ROOM, the default, goes by what else
could still come: of each typical workload, how many more the plant could take. GRADIENT is the
published idea that it builds on (Weng et al., "Beware of Fragmentation", USENIX ATC 2023): leave as
little GPU as possible that the typical workloads cannot use. BEST_FIT, which is also taken where no
workload is typical, and RANDOM are what schedulers commonly do.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jauge_models.capacity.free import Flags, Free, Rows, Whole
from jauge_models.capacity.inventory import WHOLE, NodeKind
from jauge_models.capacity.workloads import Need, Workload

Scores = NDArray[np.float32]

_MOST_TYPICAL: Final = 128
"""Needs of a mix beyond the most frequent so many are left out."""
_MOST_CACHED: Final = 256
_FITTING_WEIGHT: Final = 3.0
"""How much a count by GPU alone weighs beside the one that processors and memory bound as well."""


class Policy(StrEnum):
    """How a node is chosen among those where a workload fits."""

    ROOM = "room"
    GRADIENT = "gradient"
    BEST_FIT = "best_fit"
    RANDOM = "random"


class _Judged(NamedTuple):
    """What is known of a need: of each node whether it fits, on which GPU, and what it costs."""

    fits: Flags
    gpu: Rows
    left: Scores


class Ranking(ABC):
    """Ranks nodes for needs, and looks again only at nodes that have changed since.

    A change of a node's score is a row of numbers, weighed by ``weights`` when it is asked for.
    """

    def __init__(self, free: Free, width: int) -> None:
        self.free = free
        self.weights: Scores = np.ones(width, np.float32)
        self._width = width
        self._changed: list[int] = []
        self._known: dict[Need, tuple[_Judged, int]] = {}

    def best(self, need: Need, allowed: Flags | None) -> tuple[int, int] | None:
        """The node to take, and the GPU to share on it (-1: any); None where nothing fits."""
        judged, seen = self._known.pop(need, (None, 0))
        if judged is None:
            size = len(self.free.names)
            judged = _Judged(
                np.zeros(size, np.bool_),
                np.full(size, -1, np.intp),
                np.zeros((size, self._width), np.float32),
            )
            self._judge(need, judged, np.arange(size))
        elif seen < len(self._changed):
            self._judge(need, judged, np.unique(np.array(self._changed[seen:], np.intp)))
        if len(self._known) >= _MOST_CACHED:
            del self._known[next(iter(self._known))]
        self._known[need] = (judged, len(self._changed))
        fits = judged.fits if allowed is None else judged.fits & allowed
        if not fits.any():
            return None
        score = np.where(fits, judged.left @ self.weights, -np.inf)
        row = int(score.argmax())
        return row, int(judged.gpu[row])

    def changed(self, row: int) -> None:
        """Say that a node's free part is another one."""
        self._changed.append(row)

    def _judge(self, need: Need, judged: _Judged, rows: Rows) -> None:
        fits = self.free.fits(need, rows)
        judged.fits[rows] = fits
        if not fits.any():
            return
        rows = rows[fits]
        if need.gpus == 1:
            judged.gpu[rows], judged.left[rows] = self._shared(need, rows)
        else:
            gpu = self.free.gpu[rows]
            if need.gpus:
                usable = self.free.usable(need, rows)
                gpu = np.where(usable & (usable.cumsum(axis=1) <= need.gpus), 0, gpu)
            judged.left[rows] = self._left(need, rows, gpu)

    def _shared(self, need: Need, rows: Rows) -> tuple[Rows, Scores]:
        """The best GPU of each node, and what is left then; of equally free ones one is tried."""
        usable = self.free.usable(need, rows)
        usable &= ~_again(np.where(usable, self.free.gpu[rows], -1))
        at, column = np.nonzero(usable)
        gpu = self.free.gpu[rows[at]]
        gpu[np.arange(len(at)), column] -= self.free.milli(need)[rows[at]]
        left = self._left(need, rows[at], gpu)
        score = np.full(usable.shape, -np.inf, np.float32)
        score[at, column] = left @ self.weights
        best = score.argmax(axis=1)
        line = np.zeros(usable.shape, np.intp)
        line[at, column] = np.arange(len(at))
        return best, left[line[np.arange(len(rows)), best]]

    @abstractmethod
    def _left(self, need: Need, rows: Rows, gpu: Whole) -> Scores:
        """How good it would be, the higher the better, if so much of the GPUs were left free."""


class _Room(Ranking):
    """Loses as little as possible of the room for typical workloads.

    Of each typical workload, the room is how many more of it alone every node could take, as
    fractions, once bounded by GPUs, processors and memory, and once by GPUs only (where one fits at
    all). Placing costs the expected relative loss of room, so that what has little room left weighs
    most: large jobs keep their empty nodes until the plant is full, and nodes short of processors
    are not left with GPUs that nobody can feed.
    """

    def __init__(self, free: Free, mix: Mapping[Need, float]) -> None:
        super().__init__(free, 2 * len(mix))
        needs = list(mix)
        self._cpu = np.array([max(need.cpu, 1) for need in needs], np.float32)
        self._memory = np.array([max(need.memory, 1) for need in needs], np.float32)
        pieces = list(dict.fromkeys((need.gpus, need.milli) for need in needs))
        self._piece: Rows = np.array(
            [pieces.index((need.gpus, need.milli)) for need in needs], np.intp
        )
        self._of_part, self._of_whole = _piece_tables(pieces, free.gpu.shape[1])
        self._suits = np.array([free.suits(need) for need in needs], np.bool_).T
        parts = np.array(list(mix.values()), np.float32)
        self._parts = np.concatenate([parts, _FITTING_WEIGHT * parts])
        self._now = self._count(np.arange(len(free.names)), free.cpu, free.memory, free.gpu)
        self._room = self._now.sum(axis=0, dtype=np.float64)
        self._weigh()

    def changed(self, row: int) -> None:
        super().changed(row)
        at = np.array([row])
        free = self.free
        now = self._count(at, free.cpu[at], free.memory[at], free.gpu[at])[0]
        self._room += now - self._now[row]
        self._now[row] = now
        self._weigh()

    def _weigh(self) -> None:
        self.weights = (self._parts / np.maximum(self._room, 1.0)).astype(np.float32)

    def _count(self, rows: Rows, cpu: Whole, memory: Whole, gpu: Whole) -> Scores:
        by_gpu = self._of_part[gpu].sum(axis=1) + self._of_whole[(gpu == WHOLE).sum(axis=1)]
        count = by_gpu[:, self._piece]
        bound = np.minimum(
            cpu[:, None].astype(np.float32) / self._cpu,
            memory[:, None].astype(np.float32) / self._memory,
        )
        count *= (bound >= 1.0) & self._suits[rows]
        return np.concatenate([np.minimum(count, bound), count], axis=1)

    def _left(self, need: Need, rows: Rows, gpu: Whole) -> Scores:
        cpu, memory = self.free.cpu[rows] - need.cpu, self.free.memory[rows] - need.memory
        return self._count(rows, cpu, memory, gpu) - self._now[rows]


class _Gradient(Ranking):
    """Leaves little GPU that typical workloads, as often as they come, cannot use."""

    def __init__(self, free: Free, mix: Mapping[Need, float]) -> None:
        super().__init__(free, 1)
        needs = list(mix)
        self._cpu = np.array([need.cpu for need in needs], np.int64)
        self._memory = np.array([need.memory for need in needs], np.int64)
        pieces = list(dict.fromkeys((need.gpus, need.milli) for need in needs))
        self._share = np.zeros((len(needs), len(pieces)), np.float32)
        for at, need in enumerate(needs):
            self._share[at, pieces.index((need.gpus, need.milli))] = mix[need]
        self._suits = np.array([free.suits(need) for need in needs], np.bool_).T
        of_part, of_whole = _piece_tables(pieces, free.gpu.shape[1])
        size = np.array([milli for _, milli in pieces], np.float32)
        self._of_part = of_part * size
        self._of_whole = np.where(of_whole >= 1, np.arange(len(of_whole))[:, None], 0) * size

    def _usable(self, rows: Rows, cpu: Whole, memory: Whole, gpu: Whole) -> Scores:
        fits = (self._cpu <= cpu[:, None]) & (self._memory <= memory[:, None]) & self._suits[rows]
        by_gpu = self._of_part[gpu].sum(axis=1) + self._of_whole[(gpu == WHOLE).sum(axis=1)]
        found: Scores = np.einsum("np,np->n", fits @ self._share, by_gpu)
        return found

    def _left(self, need: Need, rows: Rows, gpu: Whole) -> Scores:
        free = self.free
        after = self._usable(rows, free.cpu[rows] - need.cpu, free.memory[rows] - need.memory, gpu)
        before = self._usable(rows, free.cpu[rows], free.memory[rows], free.gpu[rows])
        return (after - before)[:, None]


class _BestFit(Ranking):
    """Leaves the node, and then the GPU, as full as possible."""

    def __init__(self, free: Free) -> None:
        super().__init__(free, 1)
        self._cpu_whole = max(int(free.cpu.max(initial=1)), 1)
        self._gpu_whole = max(int(free.gpus.max(initial=1)), 1) * WHOLE

    def _left(self, need: Need, rows: Rows, gpu: Whole) -> Scores:
        part = np.maximum(gpu, 0)
        cpu = (self.free.cpu[rows] - need.cpu) / self._cpu_whole
        # The squares break ties between GPUs of a node: the fuller one is filled.
        uneven = (part.astype(np.float64) ** 2).sum(axis=1) / (self._gpu_whole * WHOLE)
        left: Scores = np.asarray(
            1e-3 * uneven - cpu - part.sum(axis=1) / self._gpu_whole, np.float32
        )
        return left[:, None]


class _Random(Ranking):
    """Any node, and any GPU of it. Each time a node is looked at it draws a number anew."""

    def __init__(self, free: Free, seed: int) -> None:
        super().__init__(free, 1)
        self._numbers = np.random.default_rng(seed)

    def best(self, need: Need, allowed: Flags | None) -> tuple[int, int] | None:
        self._known.pop(need, None)
        return super().best(need, allowed)

    def _left(self, need: Need, rows: Rows, gpu: Whole) -> Scores:  # noqa: ARG002 - it is random
        left: Scores = self._numbers.random((len(rows), 1), np.float32)
        return left


def _again(gpu: Whole) -> Flags:
    """GPUs of which the node has one before them with as much free."""
    alike = gpu[:, :, None] == gpu[:, None, :]
    again: Flags = np.tril(alike, -1).any(axis=2)
    return again


def ranking(policy: Policy, free: Free, typical: Sequence[Workload] | None, seed: int) -> Ranking:
    """The ranking of a policy.

    ``typical``: what else is to be expected, each as often as it is in it; without any, whole
    nodes, whole GPUs, halves and quarters, each with its part of the node.
    """
    match policy:
        case Policy.BEST_FIT:
            return _BestFit(free)
        case Policy.RANDOM:
            return _Random(free, seed)
    mix = _mix(Need.of(one) for one in typical or ()) or _mix(_of_kinds(free.kinds))
    if not mix:
        return _BestFit(free)
    return _Gradient(free, mix) if policy is Policy.GRADIENT else _Room(free, mix)


def _mix(needs: Iterable[Need]) -> dict[Need, float]:
    """The most frequent needs that ask for a GPU, and their parts of all."""
    counted = Counter(need for need in needs if need.gpus).most_common(_MOST_TYPICAL)
    total = sum(count for _, count in counted)
    return {need: count / total for need, count in counted}


def _of_kinds(kinds: Iterable[NodeKind]) -> list[Need]:
    found: list[Need] = []
    for kind in {kind.name: kind for kind in kinds if kind.gpus}.values():
        for gpus, milli in ((kind.gpus, WHOLE), (1, WHOLE), (1, WHOLE // 2), (1, WHOLE // 4)):
            part = gpus * milli
            of = kind.gpus * WHOLE
            found.append(
                Need(
                    (kind.gpu,),
                    gpus,
                    milli,
                    kind.gpu_memory_mib * milli // WHOLE,
                    kind.cpu_milli * part // of,
                    kind.memory_mib * part // of,
                )
            )
    return found


def _piece_tables(pieces: Sequence[tuple[int, int]], width: int) -> tuple[Scores, Scores]:
    """How many workloads of each piece a GPU takes by its free part, and a node by its whole GPUs.

    The last row of the first is for a GPU that the node does not have. A part too small for one
    workload counts nothing, a larger one as a fraction: half of a second one can still be used.
    """
    of_part = np.zeros((WHOLE + 2, len(pieces)), np.float32)
    of_whole = np.zeros((width + 1, len(pieces)), np.float32)
    part = np.arange(WHOLE + 1)
    for at, (gpus, milli) in enumerate(pieces):
        if gpus == 1:
            of_part[:-1, at] = np.where(part >= milli, part / milli, 0.0)
        else:
            of_whole[:, at] = np.arange(width + 1) // gpus
    return of_part, of_whole
