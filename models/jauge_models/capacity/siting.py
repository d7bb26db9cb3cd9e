"""In which racks new nodes fit, and whether breakers hold if a feed is lost.

Breakers carry what nodes draw at most (an enforced cap, else the nameplate), since training jobs
peak together; racks' power and rooms' cooling the measured draw that is given, e.g. the 95th
percentile. What nobody declared does not limit, and is named in the answer.
"""

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from jauge_models.capacity.inventory import Node, NodeKind, Plant, Rack, Supply
from jauge_models.capacity.workloads import Obstacle

_ROUNDING_W: Final = 1e-6


class Unknown(StrEnum):
    """What nobody declared, so that it could not limit."""

    MOST_W = "most_w"
    """Of a kind of node: neither a cap nor a nameplate power; breakers leave those nodes out."""
    SUPPLIES = "supplies"
    RACK_POWER = "rack_power"
    RACK_UNITS = "rack_units"
    ROOM_COOLING = "room_cooling"


class Siting(msgspec.Struct, frozen=True):
    """Where new nodes go.

    ``racks``: how many each takes, no rack with none. ``nodes``: the nodes, with their supplies.
    ``obstacles``: how many racks each kept the next node out of, worst first; empty when all were
    placed. ``unknown``: what nobody declared of the racks that were looked at, or of kinds in them.
    """

    racks: Mapping[str, int]
    placed: int
    obstacles: tuple[tuple[Obstacle, int], ...]
    nodes: tuple[Node, ...] = ()
    unknown: tuple[Unknown, ...] = ()


def rack_loads(plant: Plant, rack: Rack, lost_feed: str | None = None) -> dict[str, float]:
    """W on each supply of a rack that stands when a feed is lost, all nodes at their most.

    A node's draw is split evenly over those of its supplies that stand; one that has none is off.
    Nodes whose most nobody declared are left out: see ``Unknown.MOST_W``.
    """
    kinds = {kind.name: kind for kind in plant.kinds}
    feeds = {supply.name: supply.feed for supply in rack.supplies}
    loads = {name: 0.0 for name, feed in feeds.items() if feed != lost_feed}
    for node in plant.nodes:
        if node.rack == rack.name:
            _load(loads, node.supplies, kinds[node.kind].most_w)
    return loads


def site_nodes(
    plant: Plant,
    kind: NodeKind,
    number: int,
    *,
    heat_w: float,
    drawn_w: Mapping[str, float] | None = None,
    racks: Collection[str] = (),
    units: int = 1,
) -> Siting:
    """Put as many of ``number`` nodes of a kind into racks as the limits allow.

    ``heat_w``: expected draw of a new node; ``drawn_w``: of the nodes that are there, by kind, for
    racks' power and cooling; a kind that is not in it counts with its most. ``racks``: those that
    may be used, any by default. ``units``: rack units of a new node. Each is plugged into one
    supply of every feed of its rack, the ones with most to spare. One after another goes into the
    rack that has most to spare then, so that racks fill evenly; which rack comes first loses none,
    since racks share nothing but their room's cooling. Raises ValueError for an unknown rack.
    """
    missing = sorted(set(racks) - {rack.name for rack in plant.racks})
    if missing:
        raise ValueError(f"no rack {missing[0]}")
    looked_at = [rack for rack in plant.racks if not racks or rack.name in racks]
    spaces = _spaces(plant, looked_at, drawn_w or {})
    names = _names(plant, kind)
    nodes: list[Node] = []
    while len(nodes) < number:
        ways = [
            (space, way)
            for space in spaces
            if not isinstance(way := space.way(kind, heat_w, units), Obstacle)
        ]
        if not ways:
            break
        space, way = max(ways, key=lambda one: one[1].spare)
        space.take(kind, heat_w, units, way)
        rack, supplies = space.rack.name, tuple(supply.name for supply in way.supplies)
        nodes.append(Node(name=next(names), kind=kind.name, rack=rack, supplies=supplies))
    stopped: Counter[Obstacle] = Counter()
    if len(nodes) < number:
        ends = [space.way(kind, heat_w, units) for space in spaces]
        stopped.update(end for end in ends if isinstance(end, Obstacle))
    return Siting(
        dict(Counter(node.rack for node in nodes)),
        len(nodes),
        tuple(stopped.most_common()),
        tuple(nodes),
        _unknown(plant, kind, looked_at),
    )


def enlarged(plant: Plant, kind: NodeKind, siting: Siting, units: int = 1) -> Plant:
    """The plant with the new nodes in it, and their kind if it is a new one."""
    known = kind.name in {one.name for one in plant.kinds}
    racks = tuple(
        rack
        if rack.units is None or rack.name not in siting.racks
        else msgspec.structs.replace(rack, units=rack.units - units * siting.racks[rack.name])
        for rack in plant.racks
    )
    return msgspec.structs.replace(
        plant,
        kinds=plant.kinds if known else (*plant.kinds, kind),
        nodes=(*plant.nodes, *siting.nodes),
        racks=racks,
    )


class _Way(NamedTuple):
    """How one more node would be plugged in. ``spare``: the scarcest limit's part left then."""

    supplies: tuple[Supply, ...]
    spare: float


class _Room:
    """Heat that a room may still take; racks of one room share it."""

    def __init__(self, limit_w: float | None, drawn_w: float) -> None:
        self.limit_w = limit_w
        self.left_w = None if limit_w is None else limit_w - drawn_w


class _Space:
    """What a rack may still take."""

    def __init__(self, plant: Plant, rack: Rack, drawn_w: float, room: _Room) -> None:
        self.rack = rack
        self._room = room
        self._units = rack.units
        self._left_w = None if rack.power_w is None else rack.power_w - drawn_w
        self._loads = {lost: rack_loads(plant, rack, lost) for lost in (None, *_feeds(rack))}

    def way(self, kind: NodeKind, heat_w: float, units: int) -> _Way | Obstacle:
        """How one more node goes in, or the first limit that keeps it out."""
        if self._units is not None and self._units < units:
            return Obstacle.RACK_UNITS
        most = kind.most_w or 0.0
        supplies = tuple(
            max(
                (one for one in self.rack.supplies if one.feed == feed),
                key=lambda one: self._spare_w(one, most),
            )
            for feed in _feeds(self.rack)
        )
        if any(self._spare_w(one, most) < -_ROUNDING_W for one in supplies):
            return Obstacle.BREAKER
        if self._left_w is not None and self._left_w < heat_w - _ROUNDING_W:
            return Obstacle.RACK_POWER
        if self._room.left_w is not None and self._room.left_w < heat_w - _ROUNDING_W:
            return Obstacle.ROOM_COOLING
        parts = [self._spare_w(one, most) / one.watts for one in supplies]
        if self._left_w is not None and self.rack.power_w:
            parts.append((self._left_w - heat_w) / self.rack.power_w)
        return _Way(supplies, min(parts, default=1.0))

    def take(self, kind: NodeKind, heat_w: float, units: int, way: _Way) -> None:
        """Put the node in."""
        if self._units is not None:
            self._units -= units
        if self._left_w is not None:
            self._left_w -= heat_w
        if self._room.left_w is not None:
            self._room.left_w -= heat_w
        for loads in self._loads.values():
            _load(loads, [one.name for one in way.supplies], kind.most_w)

    def _spare_w(self, supply: Supply, most: float) -> float:
        """What a supply would have left with a node on it, the worst of all losses of a feed."""
        feeds = _feeds(self.rack)
        spare: list[float] = []
        for lost, loads in self._loads.items():
            if supply.name in loads:
                standing = len(feeds) - (lost is not None)
                spare.append(supply.watts - loads[supply.name] - most / standing)
        return min(spare)


def _spaces(plant: Plant, looked_at: Iterable[Rack], drawn_w: Mapping[str, float]) -> list[_Space]:
    kinds = {kind.name: kind for kind in plant.kinds}
    of_room = {rack.name: rack.room for rack in plant.racks}
    in_rack: dict[str, float] = {}
    in_room: dict[str, float] = {}
    for node in plant.nodes:
        draw = drawn_w.get(node.kind, kinds[node.kind].most_w or 0.0)
        in_rack[node.rack] = in_rack.get(node.rack, 0.0) + draw
        room = of_room.get(node.rack, "")
        in_room[room] = in_room.get(room, 0.0) + draw
    rooms = {room.name: _Room(room.cooling_w, in_room.get(room.name, 0.0)) for room in plant.rooms}
    no_limit = _Room(None, 0.0)
    return [
        _Space(plant, rack, in_rack.get(rack.name, 0.0), rooms.get(rack.room, no_limit))
        for rack in looked_at
    ]


def _load(loads: dict[str, float], supplies: Iterable[str], most_w: float | None) -> None:
    standing = [name for name in dict.fromkeys(supplies) if name in loads]
    for name in standing:
        loads[name] += (most_w or 0.0) / len(standing)


def _feeds(rack: Rack) -> tuple[str, ...]:
    return tuple(dict.fromkeys(supply.feed for supply in rack.supplies))


def _names(plant: Plant, kind: NodeKind) -> Iterator[str]:
    used = {node.name for node in plant.nodes}
    names = (f"{kind.name}-new-{at}" for at in itertools.count(1))
    return (name for name in names if name not in used)


def _unknown(plant: Plant, kind: NodeKind, racks: Iterable[Rack]) -> tuple[Unknown, ...]:
    cooling = {room.name: room.cooling_w for room in plant.rooms}
    kinds = {one.name: one for one in plant.kinds}
    found: set[Unknown] = set()
    if kind.most_w is None:
        found.add(Unknown.MOST_W)
    names: set[str] = set()
    for rack in racks:
        names.add(rack.name)
        if not rack.supplies:
            found.add(Unknown.SUPPLIES)
        if rack.power_w is None:
            found.add(Unknown.RACK_POWER)
        if rack.units is None:
            found.add(Unknown.RACK_UNITS)
        if cooling.get(rack.room) is None:
            found.add(Unknown.ROOM_COOLING)
    if any(kinds[node.kind].most_w is None for node in plant.nodes if node.rack in names):
        found.add(Unknown.MOST_W)
    return tuple(one for one in Unknown if one in found)
