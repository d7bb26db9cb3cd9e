"""What nodes are expected to draw in each hour, and what racks, rooms and breakers have left.

The same limits as ``power_limits`` holds at one moment, for many hours at once: breakers with each
feed lost in turn, racks, rooms. No node draws more than its ``most_w``.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jauge_models.capacity.inventory import Plant

At = slice | NDArray[np.intp]
"""Hours: a run of them, or their numbers in rising order."""

_Flags = NDArray[np.bool_]
_Watts = NDArray[np.float64]
_Rows = NDArray[np.intp]

_ROUNDING_W: Final = 1e-6


class Held(NamedTuple):
    """Of nodes (rows) and hours (columns), whether each limit would still hold."""

    breaker: _Flags
    rack: _Flags
    room: _Flags


class PowerHours:
    """Watts by hour. ``idle_w``: at rest, by kind of node; one that is not in it counts as 0."""

    def __init__(self, plant: Plant, hours: int, idle_w: Mapping[str, float]) -> None:
        kinds = {kind.name: kind for kind in plant.kinds}
        racks = {rack.name: at for at, rack in enumerate(plant.racks)}
        rooms = {room.name: at for at, room in enumerate(plant.rooms)}
        # -1 is one row more, without a limit, for nodes that stand in no rack or no room.
        room_of = [*(rooms.get(rack.room, -1) for rack in plant.racks), -1]
        self._rack: _Rows = np.array([racks.get(node.rack, -1) for node in plant.nodes], np.intp)
        self._room: _Rows = np.array([room_of[rack] for rack in self._rack.tolist()], np.intp)
        most = [kinds[node.kind].most_w for node in plant.nodes]
        self._most: _Watts = np.array([np.inf if watts is None else watts for watts in most])
        self._base = np.minimum([idle_w.get(node.kind, 0.0) for node in plant.nodes], self._most)
        self._added = np.zeros((len(plant.nodes), hours))
        self._rack_free = _left([rack.power_w for rack in plant.racks], hours)
        self._room_free = _left([room.cooling_w for room in plant.rooms], hours)
        self._wire(plant, hours)
        self._racks_bind = self._rooms_bind = self._breakers_bind = True
        for row, watts in enumerate(self._base.tolist()):
            self._draw(row, np.full(hours, watts), slice(0, hours))
        self._binding(plant)

    def _wire(self, plant: Plant, hours: int) -> None:
        supplies = [(rack.name, supply) for rack in plant.racks for supply in rack.supplies]
        number = {(rack, supply.name): at for at, (rack, supply) in enumerate(supplies)}
        feeds = sorted({supply.feed for _, supply in supplies})
        self._on: list[list[_Rows]] = []
        for lost in (None, *feeds):
            standing: list[_Rows] = []
            for node in plant.nodes:
                on = (number.get((node.rack, name)) for name in dict.fromkeys(node.supplies))
                kept = [at for at in on if at is not None and supplies[at][1].feed != lost]
                standing.append(np.array(kept, np.intp))
            self._on.append(standing)
        watts = [supply.watts for _, supply in supplies]
        self._supply_free = [_left(watts, hours) for _ in self._on]

    def _binding(self, plant: Plant) -> None:
        """Which limits could bind at all: those that all nodes at their most would break."""
        most = self._most - self._base
        self._racks_bind = _could_bind(self._rack_free, self._rack, most)
        self._rooms_bind = _could_bind(self._room_free, self._room, most)
        self._breakers_bind = False
        for standing, free in zip(self._on, self._supply_free, strict=True):
            full = np.zeros(len(free))
            for row, on in enumerate(standing):
                full[on] += most[row] / max(len(on), 1)
            self._breakers_bind |= bool((full > free[:, 0] + _ROUNDING_W).any())
        self.binds = bool(plant.nodes) and (
            self._racks_bind or self._rooms_bind or self._breakers_bind
        )

    def add(self, row: int, watts: float, at: At) -> None:
        """Add a workload's watts to a node in these hours; negative to take them away."""
        if not self.binds or not watts:
            return
        before = np.minimum(self._base[row] + self._added[row, at], self._most[row])
        self._added[row, at] += watts
        after = np.minimum(self._base[row] + self._added[row, at], self._most[row])
        self._draw(row, after - before, at)

    def _draw(self, row: int, watts: _Watts, at: At) -> None:
        if self._racks_bind:
            self._rack_free[self._rack[row], at] -= watts
        if self._rooms_bind:
            self._room_free[self._room[row], at] -= watts
        if not self._breakers_bind:
            return
        for standing, free in zip(self._on, self._supply_free, strict=True):
            for supply in standing[row].tolist():
                free[supply, at] -= watts / len(standing[row])

    def held(self, watts: float, rows: Sequence[int], at: At) -> Held:
        """Whether each limit would hold if a workload of so many watts came to these nodes.

        Where it would add nothing it does, even if the limit is broken already.
        """
        chosen = np.array(rows, np.intp)
        base, most = self._base[chosen, None], self._most[chosen, None]
        now = base + self._added[chosen][:, at]
        more = np.minimum(now + watts, most) - np.minimum(now, most) - _ROUNDING_W
        none = more <= 0
        every = np.ones(more.shape, np.bool_)
        return Held(
            self._breakers_hold(more, chosen, at) | none if self._breakers_bind else every,
            (self._rack_free[self._rack[chosen]][:, at] >= more) | none
            if self._racks_bind
            else every,
            (self._room_free[self._room[chosen]][:, at] >= more) | none
            if self._rooms_bind
            else every,
        )

    def _breakers_hold(self, more: _Watts, chosen: _Rows, at: At) -> _Flags:
        held = np.ones(more.shape, np.bool_)
        for standing, free in zip(self._on, self._supply_free, strict=True):
            for line, row in enumerate(chosen.tolist()):
                on = standing[row]
                if len(on):
                    held[line] &= (free[on][:, at] >= more[line] / len(on)).all(axis=0)
        return held

    def lowest(self) -> float:
        """The least that is left in any hour of what could bind, else of what is left at rest."""
        tables = (self._rack_free, self._room_free, *self._supply_free)
        return min((float(table.min()) for table in tables if table.size), default=0.0)


def _left(limits: Sequence[float | None], hours: int) -> _Watts:
    watts = [np.inf if limit is None else limit for limit in limits]
    return np.repeat(np.array([*watts, np.inf])[:, None], hours, axis=1)


def _could_bind(free: _Watts, of: _Rows, most: _Watts) -> bool:
    full = np.zeros(len(free))
    np.add.at(full, of, most)
    return bool((full > free[:, 0] + _ROUNDING_W).any())
