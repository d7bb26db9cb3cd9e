"""What is free in each hour of a horizon: of each GPU, node, rack and room.

Placement asks what fits now. Here a workload holds its place for hours that are known beforehand,
so that a run fits only where it fits in every one of its hours, beside all that was promised.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jauge_models.capacity.inventory import WHOLE, Node, NodeKind, Plant
from jauge_models.capacity.power_hours import At, PowerHours
from jauge_models.capacity.workloads import Obstacle, Place, Refused, Spread, Workload

_Flags = NDArray[np.bool_]
_Whole = NDArray[np.int64]
_Table = NDArray[np.int32]


class _Spot(NamedTuple):
    """A node as the tables hold it: its rows there, and its kind."""

    node: Node
    kind: NodeKind
    first: int


class Occupancy:
    """Free thousandths, memory, processors and watts by hour; never below zero by what it places.

    ``idle_w``: what a node of each kind draws at rest, in racks' power and rooms' cooling; a kind
    that is not in it counts as drawing nothing, which whoever answers must say.
    """

    def __init__(self, plant: Plant, hours: int, *, idle_w: Mapping[str, float]) -> None:
        kinds = {kind.name: kind for kind in plant.kinds}
        self.hours = hours
        self._spots: list[_Spot] = []
        first = 0
        for node in plant.nodes:
            kind = kinds[node.kind]
            self._spots.append(_Spot(node, kind, first))
            first += kind.gpus
        self._row = {spot.node.name: at for at, spot in enumerate(self._spots)}
        gpus = [spot.kind for spot in self._spots for _ in range(spot.kind.gpus)]
        self._milli = _table([WHOLE] * len(gpus), hours)
        self._memory = _table([kind.gpu_memory_mib for kind in gpus], hours)
        self._cpu = _table([spot.kind.cpu_milli for spot in self._spots], hours)
        self._ram = _table([spot.kind.memory_mib for spot in self._spots], hours)
        self._power = PowerHours(plant, hours, idle_w)
        self._owner = np.repeat(
            np.arange(len(self._spots)), [spot.kind.gpus for spot in self._spots]
        ).astype(np.intp)
        self._with_gpus = np.array(
            [at for at, spot in enumerate(self._spots) if spot.kind.gpus], np.intp
        )
        self._starts = np.array([spot.first for spot in self._spots if spot.kind.gpus], np.intp)
        self._feeds = plant.sole_feeds()
        self._groups: dict[str, Counter[int]] = {}
        self._suits: dict[tuple[int, tuple[str, ...]], _Flags] = {}
        self._gpu_kinds = gpus
        self._size = np.array([spot.kind.gpu_memory_mib for spot in self._spots], np.int64)
        self._takes: dict[int, _Whole] = {}

    def hold(self, workload: Workload, place: Place, at: At) -> None:
        """Give a place away for these hours, whether or not it is free."""
        self._move(workload, place, at, -1)

    def release(self, workload: Workload, place: Place, at: At) -> None:
        """Take back what ``hold`` gave with the same arguments."""
        self._move(workload, place, at, +1)

    def _move(self, workload: Workload, place: Place, at: At, sign: int) -> None:
        row = self._row[place.node]
        spot = self._spots[row]
        for gpu in place.gpus:
            self._milli[spot.first + gpu, at] += sign * spot.kind.taken(workload.gpu_milli)
            if workload.gpu_memory_mib:
                self._memory[spot.first + gpu, at] += sign * workload.gpu_memory_mib
        if workload.cpu_milli:
            self._cpu[row, at] += sign * workload.cpu_milli
        if workload.memory_mib:
            self._ram[row, at] += sign * workload.memory_mib
        self._power.add(row, -sign * workload.watts, at)
        if workload.group and workload.spread is not Spread.NONE:
            self._groups.setdefault(workload.group, Counter())[row] -= sign

    def lowest(self) -> float:
        """The least that is free of anything in any hour: never below zero unless held so."""
        tables = (self._milli, self._memory, self._cpu, self._ram)
        least = min((float(table.min()) for table in tables if table.size), default=0.0)
        return min(least, self._power.lowest())

    def find(self, workload: Workload, at: At, *, without: Collection[str] = ()) -> Place | Refused:
        """Where it fits in all of these hours, on the fullest node; ``without``: not on these."""
        fits = self._allowed(workload, without)
        lowest = np.zeros(len(self._milli), np.int32)
        will_do = np.zeros(len(self._milli), np.bool_)
        if workload.gpus:
            lowest = self._milli[:, at].min(axis=1)
            will_do = lowest >= self._needed(workload)[:, 0]
            if workload.gpu_memory_mib:
                will_do &= _always(self._memory[:, at] >= workload.gpu_memory_mib)
            fits = fits & (self._per_node(will_do[:, None])[:, 0] >= workload.gpus)
        for table, need in ((self._cpu, workload.cpu_milli), (self._ram, workload.memory_mib)):
            if need:
                fits = fits & _always(table[:, at] >= need)
        rows = np.flatnonzero(fits)
        left = self._per_node(lowest[:, None])[rows, 0]
        for row in rows[np.argsort(left, kind="stable")].tolist():
            if self._powered(workload, row, at):
                return Place(
                    self._spots[row].node.name, self._fullest(workload, row, lowest, will_do)
                )
        return self._refused(workload, at, without)

    def _powered(self, workload: Workload, row: int, at: At) -> bool:
        if not (self._power.binds and workload.watts):
            return True
        held = self._power.held(workload.watts, (row,), at)
        return bool((held.breaker & held.rack & held.room).all())

    def _fullest(
        self, workload: Workload, row: int, lowest: _Table, will_do: _Flags
    ) -> tuple[int, ...]:
        """The GPUs of a node that will do, of which least is free."""
        spot = self._spots[row]
        span = slice(spot.first, spot.first + spot.kind.gpus)
        order = np.argsort(lowest[span], kind="stable").tolist()
        chosen = [gpu for gpu in order if will_do[spot.first + gpu]][: workload.gpus]
        return tuple(sorted(chosen))

    def earliest(
        self, workload: Workload, first: int, hours: int, tolerance: int, nodes: int = 1
    ) -> tuple[int, tuple[Place, ...]] | Refused:
        """The first start from ``first`` on, at most ``tolerance`` hours later, at which it fits.

        On ``nodes`` different nodes at the same time, for ``hours`` on end (those beyond the
        horizon are not looked at). What is found is held.
        """
        places = self._hold_all(workload, slice(first, min(first + hours, self.hours)), nodes)
        if places is not None:
            return first, places
        latest = min(first + tolerance, self.hours - 1)
        enough = self._starting(workload, first, hours, latest).sum(axis=0) >= nodes
        for start in first + np.flatnonzero(enough):
            at = slice(int(start), min(int(start) + hours, self.hours))
            places = self._hold_all(workload, at, nodes)
            if places is not None:
                return int(start), places
        return self._refused(workload, slice(first, min(first + hours, self.hours)), ())

    def _hold_all(self, workload: Workload, at: slice, nodes: int) -> tuple[Place, ...] | None:
        places: list[Place] = []
        for _ in range(nodes):
            found = self.find(workload, at, without=[place.node for place in places])
            if isinstance(found, Refused):
                for place in places:
                    self.release(workload, place, at)
                return None
            self.hold(workload, found, at)
            places.append(found)
        return tuple(places)

    def _starting(self, workload: Workload, first: int, hours: int, latest: int) -> _Flags:
        """Of each node and each start from ``first`` to ``latest``: whether it fits for good."""
        span = slice(first, min(latest + hours, self.hours))
        starts = latest - first + 1
        fits = np.repeat(self._allowed(workload, ())[:, None], starts, axis=1)
        if workload.gpus:
            bad = self._milli[:, span] < self._needed(workload)
            if workload.gpu_memory_mib:
                bad |= self._memory[:, span] < workload.gpu_memory_mib
            fits &= self._per_node(_never(bad, hours, starts)) >= workload.gpus
        for table, need in ((self._cpu, workload.cpu_milli), (self._ram, workload.memory_mib)):
            if need:
                fits &= _never(table[:, span] < need, hours, starts)
        rows = np.flatnonzero(fits.any(axis=1))
        if self._power.binds and workload.watts and len(rows):
            held = self._power.held(workload.watts, rows.tolist(), span)
            fits[rows] &= _never(~(held.breaker & held.rack & held.room), hours, starts)
        return fits

    def _needed(self, workload: Workload) -> _Whole:
        """What it takes of each GPU, as a column."""
        found = self._takes.get(workload.gpu_milli)
        if found is None:
            found = np.array(
                [[kind.taken(workload.gpu_milli)] for kind in self._gpu_kinds], np.int64
            ).reshape(len(self._gpu_kinds), 1)
            self._takes[workload.gpu_milli] = found
        return found

    def _per_node(self, of_gpus: _Flags | _Table) -> _Whole:
        """The sum over each node's GPUs, by column; of flags how many have them."""
        found = np.zeros((len(self._spots), of_gpus.shape[1]), np.int64)
        if len(self._starts):
            found[self._with_gpus] = np.add.reduceat(of_gpus, self._starts, axis=0, dtype=np.int64)
        return found

    def _allowed(self, workload: Workload, without: Collection[str]) -> _Flags:
        """Nodes of a kind that will do, where the group has nobody in the way."""
        allowed = self._suiting(workload)
        blocked = {self._row[name] for name in without} | set(self._blocked(workload))
        if blocked:
            allowed = allowed.copy()
            allowed[sorted(blocked)] = False
        return allowed

    def _suiting(self, workload: Workload) -> _Flags:
        """Nodes of a kind that will do."""
        key = (workload.gpus, workload.gpu_kinds)
        found = self._suits.get(key)
        if found is None:
            found = np.array([spot.kind.will_do(*key) for spot in self._spots], np.bool_)
            self._suits[key] = found
        return found

    def _blocked(self, workload: Workload) -> Iterator[int]:
        members = self._groups.get(workload.group) if workload.group else None
        if members is None or workload.spread is Spread.NONE:
            return
        domains = {self._domain(row, workload.spread) for row, number in members.items() if number}
        for row in range(len(self._spots)):
            domain = self._domain(row, workload.spread)
            if domain is not None and domain in domains:
                yield row

    def _domain(self, row: int, spread: Spread) -> str | None:
        """What a group shares with whoever else is in it; None where it shares nothing."""
        node = self._spots[row].node
        if spread is Spread.NODE:
            return node.name
        return node.rack or None if spread is Spread.RACK else self._feeds[row]

    def _refused(self, workload: Workload, at: At, without: Collection[str]) -> Refused:
        """What stopped it on each node in these hours, the first limit met."""
        lowest = self._milli[:, at].min(axis=1)
        suits = self._suiting(workload)
        roomy = suits & (self._size >= workload.gpu_memory_mib)
        enough = int(lowest[roomy[self._owner]].sum()) >= workload.milli
        will_do = lowest >= self._needed(workload)[:, 0]
        few = self._per_node(will_do[:, None])[:, 0] < workload.gpus
        will_do &= _always(self._memory[:, at] >= workload.gpu_memory_mib)
        small = self._per_node(will_do[:, None])[:, 0] < workload.gpus
        some = self._per_node(lowest[:, None])[:, 0] > 0
        held = self._power.held(workload.watts, range(len(self._spots)), at)
        apart = np.zeros(len(self._spots), np.bool_)
        apart[[*self._blocked(workload), *(self._row[name] for name in without)]] = True
        met: tuple[tuple[Obstacle, _Flags], ...] = (
            (Obstacle.GPU_KIND, ~suits),
            (Obstacle.FRAGMENTED, few & some if enough else np.zeros(len(few), np.bool_)),
            (Obstacle.GPUS, few),
            (Obstacle.GPU_MEMORY, small),
            (Obstacle.CPU, ~_always(self._cpu[:, at] >= workload.cpu_milli)),
            (Obstacle.MEMORY, ~_always(self._ram[:, at] >= workload.memory_mib)),
            (Obstacle.BREAKER, ~_always(held.breaker)),
            (Obstacle.RACK_POWER, ~_always(held.rack)),
            (Obstacle.ROOM_COOLING, ~_always(held.room)),
            (Obstacle.ANTI_AFFINITY, apart),
        )
        left = np.ones(len(self._spots), np.bool_)
        counts: Counter[Obstacle] = Counter()
        for obstacle, stopped in met:
            counts[obstacle] += int((left & stopped).sum())
            left &= ~stopped
        # A node that would do, of several that are needed at once: the others are what lacks.
        counts[Obstacle.GPUS] += int(left.sum())
        order = [(one, counts[one]) for one in Obstacle if counts[one]]
        return Refused(tuple(sorted(order, key=lambda one: -one[1])))


def _table(rows: list[int], hours: int) -> _Table:
    return np.repeat(np.array(rows, np.int32).reshape(len(rows), 1), hours, axis=1)


def _always(flags: _Flags) -> _Flags:
    """Of each row, whether every hour has the flag."""
    always: _Flags = np.logical_and.reduce(flags, axis=1)
    return always


def _never(bad: _Flags, hours: int, starts: int) -> _Flags:
    """Of each row and start: whether no hour from it on, ``hours`` of them, is bad."""
    total = np.zeros((bad.shape[0], bad.shape[1] + 1), np.int32)
    np.cumsum(bad, axis=1, out=total[:, 1:])
    begin = np.arange(starts)
    end = np.minimum(begin + hours, bad.shape[1])
    never: _Flags = total[:, end] == total[:, begin]
    return never
