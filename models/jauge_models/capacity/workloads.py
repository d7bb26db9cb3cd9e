"""What is to be placed, where it went, and what stopped it."""

from enum import StrEnum
from typing import NamedTuple

import msgspec

from jauge_models.capacity.inventory import WHOLE


class Spread(StrEnum):
    """What two workloads of one group must not share (anti-affinity)."""

    NONE = "none"
    NODE = "node"
    RACK = "rack"
    FEED = "feed"
    """A feed whose loss would stop both. A node on two feeds depends on neither alone."""


class Obstacle(StrEnum):
    """What keeps a workload off a node, or a node out of a rack."""

    GPU_KIND = "gpu_kind"
    """No GPU of a kind that will do, or not as many as the workload needs, even if empty."""
    GPUS = "gpus"
    """Not enough GPU is free, whatever its pieces."""
    FRAGMENTED = "fragmented"
    """Enough GPU is free in sum, but not in one node, not whole, or not on one GPU."""
    GPU_MEMORY = "gpu_memory"
    CPU = "cpu"
    MEMORY = "memory"
    BREAKER = "breaker"
    """A breaker would carry more than it may, perhaps only once a feed is lost."""
    RACK_POWER = "rack_power"
    ROOM_COOLING = "room_cooling"
    RACK_UNITS = "rack_units"
    ANTI_AFFINITY = "anti_affinity"


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """What runs on one node. Raises ValueError for parts of several GPUs, and what is negative."""

    id: str
    gpu_kinds: tuple[str, ...] = ()
    """Kinds of GPU that will do, as NodeKind.gpu names them; empty: any."""
    gpus: int = 0
    gpu_milli: int = WHOLE
    """Of each, in thousandths; below WHOLE with one GPU only."""
    gpu_memory_mib: int = 0
    """Of each GPU. Where one is shared, the sum of what its workloads ask for fits in it."""
    cpu_milli: int = 0
    memory_mib: int = 0
    watts: float = 0.0
    """What it adds to its node's expected draw."""
    group: str = ""
    spread: Spread = Spread.NONE
    """What it must not share with another one of its group."""

    def __post_init__(self) -> None:
        if not 0 < self.gpu_milli <= WHOLE or (self.gpu_milli < WHOLE and self.gpus > 1):
            raise ValueError(f"{self.id}: gpu_milli is 1 to {WHOLE}, below that with one GPU only")
        sizes = (self.gpus, self.gpu_memory_mib, self.cpu_milli, self.memory_mib, self.watts)
        if min(sizes) < 0:
            raise ValueError(f"{self.id}: nothing may be negative")

    @property
    def milli(self) -> int:
        """Thousandths of a GPU, all of them together."""
        return self.gpus * self.gpu_milli


class Place(NamedTuple):
    """Where a workload runs: a node, and which of its GPUs (counted from 0)."""

    node: str
    gpus: tuple[int, ...]


class Refused(msgspec.Struct, frozen=True):
    """A workload that fits nowhere.

    ``obstacles``: how many nodes each kept it off, worst first. A node counts once, for the first
    that it met in the order in which Obstacle lists them, so that the numbers add up to the nodes.
    """

    obstacles: tuple[tuple[Obstacle, int], ...]


class Need(NamedTuple):
    """What a workload takes of a node; workloads of equal need are alike to a policy."""

    gpu_kinds: tuple[str, ...]
    gpus: int
    milli: int
    gpu_memory: int
    cpu: int
    memory: int

    @classmethod
    def of(cls, workload: Workload) -> "Need":
        """The need of a workload; what it asks of GPUs counts only if it asks for one."""
        if not workload.gpus:
            return cls((), 0, 0, 0, workload.cpu_milli, workload.memory_mib)
        return cls(
            tuple(sorted(set(workload.gpu_kinds))),
            workload.gpus,
            workload.gpu_milli,
            workload.gpu_memory_mib,
            workload.cpu_milli,
            workload.memory_mib,
        )
