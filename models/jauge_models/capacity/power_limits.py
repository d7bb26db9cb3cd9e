"""What nodes are expected to draw, against racks, rooms and breakers, also with one feed lost.

In whole milliwatts, needs rounded up and limits down, so that sums are exact and what was added
and taken away leaves nothing behind. This is the expected draw, which changes with what is placed;
what breakers must bear of nodes that peak together is ``limit_use.breaker_uses``.
"""

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from jauge_models.capacity.free import Flags, Rows, Whole
from jauge_models.capacity.inventory import Plant
from jauge_models.capacity.workloads import Obstacle

_MILLI: Final = 1000
_NO_LIMIT: Final = 2**60


class Allowed(NamedTuple):
    """Of each node, whether each limit would still hold."""

    breaker: Flags
    rack_power: Flags
    room_cooling: Flags

    @property
    def all(self) -> Flags:
        """Nodes where every limit would hold."""
        found: Flags = self.breaker & self.rack_power & self.room_cooling
        return found


class PowerLimits:
    """Expected draws of a plant's nodes and what its racks, rooms and breakers have left.

    ``idle_w``: what a node of each kind draws at rest, by its name; a kind that is not in it counts
    as drawing nothing, which whoever answers must say. No node draws more than its ``most_w``.
    Raises ValueError for a node whose rack or breaker does not exist.
    """

    def __init__(self, plant: Plant, idle_w: Mapping[str, float]) -> None:
        kinds = {kind.name: kind for kind in plant.kinds}
        racks = {rack.name: at for at, rack in enumerate(plant.racks)}
        rooms = {room.name: at for at, room in enumerate(plant.rooms)}
        # One row more, without a limit, for nodes that stand in no rack or no room.
        racks[""], rooms[""] = len(plant.racks), len(plant.rooms)
        try:
            self._rack: Rows = np.array([racks[node.rack] for node in plant.nodes], np.intp)
            of_rack = np.array([*(rooms[rack.room] for rack in plant.racks), rooms[""]], np.intp)
        except KeyError as error:
            raise ValueError(f"no rack or room {error}") from None
        self._room: Rows = of_rack[self._rack]
        self._rack_free = _limits([rack.power_w for rack in plant.racks])
        self._room_free = _limits([room.cooling_w for room in plant.rooms])
        self._base: Whole = np.array(
            [_up(idle_w.get(node.kind, 0.0)) for node in plant.nodes], np.int64
        )
        most = [kinds[node.kind].most_w for node in plant.nodes]
        self._most: Whole = np.array([_NO_LIMIT if w is None else _up(w) for w in most], np.int64)
        self._added: Whole = np.zeros(len(plant.nodes), np.int64)
        self._wire(plant)
        self.limited: bool = bool(
            any(rack.power_w is not None or rack.supplies for rack in plant.racks)
            or any(room.cooling_w is not None for room in plant.rooms)
        )
        self._all: Rows = np.arange(len(plant.nodes))
        drawn = self.drawn_mw
        for row in self._all.tolist():
            self._change(row, 0, int(drawn[row]))

    def _wire(self, plant: Plant) -> None:
        at = {(rack.name, supply.name): supply for rack in plant.racks for supply in rack.supplies}
        number = {key: row for row, key in enumerate(at)}
        feeds = sorted({supply.feed for supply in at.values()})
        self._lost: tuple[str | None, ...] = (None, *feeds)
        width = max((len(set(node.supplies)) for node in plant.nodes), default=0) or 1
        shape = (len(plant.nodes), width)
        self._supply: Rows = np.full(shape, len(at), np.intp)
        self._stands = np.zeros((len(self._lost), *shape), np.bool_)
        for row, node in enumerate(plant.nodes):
            for column, name in enumerate(dict.fromkeys(node.supplies)):
                if (node.rack, name) not in at:
                    raise ValueError(f"{node.name}: no supply {name} in rack {node.rack}")
                self._supply[row, column] = number[node.rack, name]
                for lost, feed in enumerate(self._lost):
                    self._stands[lost, row, column] = at[node.rack, name].feed != feed
        self._over: Whole = self._stands.sum(axis=2)
        free = _limits([supply.watts for supply in at.values()])
        self._supply_free: Whole = np.repeat(free[None, :], len(self._lost), axis=0)

    @property
    def drawn_mw(self) -> Whole:
        """What each node is expected to draw, in mW."""
        drawn: Whole = np.minimum(self._base + self._added, self._most)
        return drawn

    def allowed(self, watts: float) -> Allowed:
        """Where a workload of so many watts would keep every limit.

        Where it would add nothing it is allowed, even if a limit is broken already.
        """
        drawn = self.drawn_mw
        after = np.minimum(self._base + self._added + _up(watts), self._most)
        more = after - drawn
        none = more == 0
        breaker = np.ones(len(more), np.bool_)
        for lost in range(len(self._lost)):
            over = np.maximum(self._over[lost], 1)
            share = -(-after // over) - -(-drawn // over)
            free = np.where(
                self._stands[lost], self._supply_free[lost][self._supply], _NO_LIMIT
            ).min(axis=1)
            breaker &= share <= free
        return Allowed(
            breaker | none,
            (more <= self._rack_free[self._rack]) | none,
            (more <= self._room_free[self._room]) | none,
        )

    def add(self, row: int, watts: float, sign: int = 1) -> None:
        """Add a workload's watts to a node, or take them away with ``sign`` -1."""
        before = int(self.drawn_mw[row])
        self._added[row] += sign * _up(watts)
        self._change(row, before, int(self.drawn_mw[row]))

    def by_rack_mw(self) -> Whole:
        """Expected draw of each rack; one row more for nodes in none."""
        return np.bincount(
            self._rack, weights=self.drawn_mw, minlength=len(self._rack_free)
        ).astype(np.int64)

    def by_room_mw(self) -> Whole:
        """Expected draw of each room; one row more for nodes in none."""
        return np.bincount(
            self._room, weights=self.drawn_mw, minlength=len(self._room_free)
        ).astype(np.int64)

    def _change(self, row: int, before: int, after: int) -> None:
        self._rack_free[self._rack[row]] -= after - before
        self._room_free[self._room[row]] -= after - before
        for lost in range(len(self._lost)):
            over = int(self._over[lost, row])
            if over:
                on = self._supply[row][self._stands[lost, row]]
                self._supply_free[lost, on] -= -(-after // over) - -(-before // over)


def obstacle_of(allowed: Allowed, row: int) -> Obstacle | None:
    """The first limit that a node would break."""
    if not allowed.breaker[row]:
        return Obstacle.BREAKER
    if not allowed.rack_power[row]:
        return Obstacle.RACK_POWER
    return None if allowed.room_cooling[row] else Obstacle.ROOM_COOLING


def _up(watts: float) -> int:
    return math.ceil(round(watts * _MILLI, 3))


def _limits(watts: list[float | None] | list[float]) -> Whole:
    found = [_NO_LIMIT if one is None else math.floor(round(one * _MILLI, 3)) for one in watts]
    return np.array([*found, _NO_LIMIT], np.int64)
