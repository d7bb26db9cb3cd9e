"""The plant that GPU workloads run in: kinds of nodes, nodes, racks with breakers, rooms.

Powers in W, currents in A, memory in MiB, processors in thousandths of a core and GPUs in
thousandths of a GPU: whole numbers, so that sums are exact. A limit that nobody declared is None,
never zero: it does not limit, and whoever answers says that it was not known.
"""

from collections.abc import Collection

import msgspec

WHOLE: int = 1000
"""Thousandths of one GPU."""


class NodeKind(msgspec.Struct, frozen=True, kw_only=True):
    """What nodes of one kind have. ``gpu`` is empty, and ``gpus`` 0, without GPUs."""

    name: str
    gpu: str = ""
    """Kind of GPU, as the driver names it."""
    gpus: int = 0
    gpu_memory_mib: int = 0
    """Of one GPU."""
    slices: int = 0
    """Into how many a GPU may be cut in hardware (MIG); 0 where it cannot."""
    cpu_milli: int
    memory_mib: int
    nameplate_w: float | None = None
    """The most the maker says a node draws."""
    cap_w: float | None = None
    """A power cap that is enforced, where one is."""

    @property
    def most_w(self) -> float | None:
        """What breakers and failover are planned with: the enforced cap, else the nameplate.

        Training jobs peak together, so that no percentile will do there.
        """
        if self.cap_w is None or self.nameplate_w is None:
            return self.nameplate_w if self.cap_w is None else self.cap_w
        return min(self.cap_w, self.nameplate_w)

    def will_do(self, gpus: int, gpu_kinds: Collection[str]) -> bool:
        """Whether it has so many GPUs of one of these kinds (none named: of any); 0 always do."""
        return not gpus or (self.gpus >= gpus and (not gpu_kinds or self.gpu in gpu_kinds))

    def taken(self, milli: int) -> int:
        """What is taken of one GPU by who asks for so much: whole slices if it is cut."""
        if milli >= WHOLE or not self.slices:
            return milli
        parts = -(-milli * self.slices // WHOLE)
        return WHOLE if parts >= self.slices else parts * (WHOLE // self.slices)


class Supply(msgspec.Struct, frozen=True, kw_only=True):
    """One breaker: a phase of a feed, as a rack is given it."""

    name: str
    feed: str
    """``A`` or ``B``: the path that fails as one."""
    phase: str = ""
    amperes: float
    """What may flow for good, after whatever derating the site applies."""
    volts: float = 230.0
    """Between the phase and neutral."""

    @property
    def watts(self) -> float:
        """What it carries at a power factor of 1."""
        return self.amperes * self.volts


class Rack(msgspec.Struct, frozen=True, kw_only=True):
    """A rack. ``units``: rack units that nodes may still take, None where nobody counted."""

    name: str
    room: str = ""
    supplies: tuple[Supply, ...] = ()
    power_w: float | None = None
    """What may be drawn in it altogether, e.g. by contract or by its cooling."""
    units: int | None = None


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """A room.

    ``cooling_w``: heat that its units carry off without the one, or those, that may fail.
    """

    name: str
    cooling_w: float | None = None


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One server.

    ``supplies``: names of the breakers it is plugged in; what it draws is split evenly over those
    whose feed stands.
    """

    name: str
    kind: str
    rack: str = ""
    supplies: tuple[str, ...] = ()


class Plant(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. Names are unique in their table, and each that is named exists."""

    kinds: tuple[NodeKind, ...]
    nodes: tuple[Node, ...]
    racks: tuple[Rack, ...] = ()
    rooms: tuple[Room, ...] = ()

    def sole_feeds(self) -> tuple[str | None, ...]:
        """Of each node the feed whose loss stops it, None where there is none."""
        feeds = {(rack.name, one.name): one.feed for rack in self.racks for one in rack.supplies}
        found: list[str | None] = []
        for node in self.nodes:
            of = {feeds[node.rack, name] for name in node.supplies if (node.rack, name) in feeds}
            found.append(of.pop() if len(of) == 1 else None)
        return tuple(found)
