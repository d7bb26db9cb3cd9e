"""Who gets which GPUs in which hours: standing instances first, runs as early as they fit.

Standing instances (inference, desktops) have a place of their own for the whole horizon; the
first of a workload's places are the first used, so that what is needed at school only is free for
runs at night. Runs take, in the order in which they were asked for, the earliest hours within
their tolerance in which they fit beside all that was promised before (list scheduling with
conservative backfilling): no run delays another, and nothing is ever moved or cut short.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from jauge_models.capacity.demand import Demand, Run, Standing
from jauge_models.capacity.inventory import Plant
from jauge_models.capacity.node_draw import NodeDraw
from jauge_models.capacity.occupancy import Occupancy
from jauge_models.capacity.placement import Packer
from jauge_models.capacity.power_hours import At
from jauge_models.capacity.workloads import Obstacle, Place, Refused, Workload

_MOST_TYPICAL: Final = 500
"""Instances of one workload that count for what placement keeps room for."""


class Hold(NamedTuple):
    """A place that an instance has in some hours. ``id``: of the scenario's workload."""

    id: str
    instance: str
    workload: Workload
    activity: float
    place: Place
    at: At


class Delay(NamedTuple):
    """A run that waited, or (``started`` None) was given up; hours of the horizon."""

    run: Run
    started: int | None
    obstacles: tuple[tuple[Obstacle, int], ...]

    @property
    def hours(self) -> int | None:
        """How long it waited."""
        return None if self.started is None else self.started - self.run.at


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one workload. Instance-hours: one desktop for one hour, or one run's hour.

    ``asked_most``, ``placed_most``: instances at the same time. ``runs``: asked for, 0 for what
    stands; ``waited`` of those that started; ``longest_wait_h``: None where none waited.
    ``obstacles``: on how many nodes each stopped what was not placed, worst first.
    """

    id: str
    asked_hours: int
    placed_hours: int
    asked_most: int
    placed_most: int
    runs: int = 0
    on_time: int = 0
    waited: int = 0
    given_up: int = 0
    longest_wait_h: int | None = None
    mean_wait_h: float | None = None
    obstacles: tuple[tuple[Obstacle, int], ...] = ()
    """Of what stands and was not placed, and of runs that were given up."""

    @property
    def unplaced(self) -> int:
        """Runs given up, or instance-hours without a place."""
        return self.given_up if self.runs else self.asked_hours - self.placed_hours


class Schedule(NamedTuple):
    """All places given over the horizon, in the order in which they were."""

    demand: Demand
    holds: tuple[Hold, ...]
    services: tuple[Service, ...]
    delays: tuple[Delay, ...]


def schedule(plant: Plant, demand: Demand, draws: Mapping[str, NodeDraw]) -> Schedule:
    """Places for all that is asked for, as far as they fit."""
    idle_w = {kind: draw.idle_high_w for kind, draw in draws.items()}
    occupancy = Occupancy(plant, demand.horizon.hours, idle_w=idle_w)
    holds: list[Hold] = []
    services: list[Service] = []
    placed = _standing(plant, demand, idle_w, occupancy)
    for one, (found, obstacles) in zip(demand.standing, placed, strict=True):
        holds += found
        services.append(_of_standing(one, found, obstacles))
    delays: list[Delay] = []
    started: dict[str, list[Delay]] = {}
    last: Delay | None = None
    for run in demand.runs:
        if last is not None and last.started is None and _alike(last.run, run):
            # Nothing was placed since: what kept off the last one keeps off this one.
            delay = Delay(run, None, last.obstacles)
        else:
            delay, of_run = _started(run, occupancy)
            holds += of_run
        last = delay
        started.setdefault(run.asked.id, []).append(delay)
        if delay.started != run.at:
            delays.append(delay)
    services += [_of_runs(name, of_name, demand) for name, of_name in started.items()]
    return Schedule(demand, tuple(holds), tuple(services), tuple(delays))


_Placed = tuple[list[Hold], Counter[Obstacle]]


def _standing(
    plant: Plant, demand: Demand, idle_w: Mapping[str, float], occupancy: Occupancy
) -> list[_Placed]:
    """Places of standing instances.

    First as if every workload were at its peak at the same time: what then fits, fits at every
    hour. What does not is tried in its own hours, where another workload may have its peak at
    another time.
    """
    packer = Packer(plant, idle_w=idle_w, typical=_typical(demand) or None)
    placed: list[_Placed] = []
    late: list[tuple[int, list[tuple[Workload, NDArray[np.intp]]]]] = []
    for at, one in enumerate(demand.standing):
        found: list[Hold] = []
        refused: list[tuple[Workload, NDArray[np.intp]]] = []
        for number, hours in enumerate(_hours_of(one)):
            instance = msgspec.structs.replace(one.workload, id=f"{one.asked.id}/{number}")
            place = Refused(()) if refused else packer.place(instance)
            if isinstance(place, Refused):
                refused.append((instance, hours))
                continue
            occupancy.hold(instance, place, hours)
            found.append(_hold(one, instance, place, hours))
        placed.append((found, Counter()))
        late.append((at, refused))
    for at, refused in late:
        found, obstacles = placed[at]
        one = demand.standing[at]
        same: tuple[int, Refused] | None = None
        for instance, hours in refused:
            if same is not None and same[0] == len(hours):
                place = same[1]
            else:
                place = occupancy.find(instance, hours)
            if isinstance(place, Refused):
                same = (len(hours), place)
                obstacles.update(dict(place.obstacles))
                continue
            occupancy.hold(instance, place, hours)
            found.append(_hold(one, instance, place, hours))
    return placed


def _typical(demand: Demand) -> list[Workload]:
    """What is still to come, each as often as it may be there at once: also the runs."""
    found = [
        one.workload
        for one in demand.standing
        for _ in range(min(int(one.wanted.max(initial=0)), _MOST_TYPICAL))
    ]
    asked = {run.asked.id: run for run in demand.runs}
    for run in asked.values():
        found += [run.workload] * min(run.asked.runs * run.asked.nodes, _MOST_TYPICAL)
    return found


def _hours_of(one: Standing) -> Iterable[NDArray[np.intp]]:
    """Of each instance, the hours in which it is needed: fewer from one to the next, never none."""
    for number in range(int(one.wanted.max(initial=0))):
        yield np.flatnonzero(one.wanted > number)


def _hold(one: Standing, instance: Workload, place: Place, hours: NDArray[np.intp]) -> Hold:
    return Hold(one.asked.id, instance.id, instance, one.asked.activity, place, hours)


def _of_standing(one: Standing, found: Sequence[Hold], obstacles: Counter[Obstacle]) -> Service:
    placed = np.zeros(len(one.wanted), np.int64)
    for hold in found:
        placed[hold.at] += 1
    return Service(
        id=one.asked.id,
        asked_hours=int(one.wanted.sum()),
        placed_hours=int(placed.sum()),
        asked_most=int(one.wanted.max(initial=0)),
        placed_most=int(placed.max(initial=0)),
        obstacles=tuple(obstacles.most_common()),
    )


def _alike(one: Run, other: Run) -> bool:
    return one.asked.id == other.asked.id and one.at == other.at


def _started(run: Run, occupancy: Occupancy) -> tuple[Delay, list[Hold]]:
    asked = run.asked
    found = occupancy.earliest(
        run.workload, run.at, asked.hours, asked.tolerance_hours, asked.nodes
    )
    if isinstance(found, Refused):
        return Delay(run, None, found.obstacles), []
    start, places = found
    at = slice(start, min(start + asked.hours, occupancy.hours))
    holds = [Hold(asked.id, run.id, run.workload, asked.activity, place, at) for place in places]
    return Delay(run, start, ()), holds


def _of_runs(name: str, delays: Sequence[Delay], demand: Demand) -> Service:
    hours = demand.horizon.hours
    asked, placed = np.zeros(hours, np.int64), np.zeros(hours, np.int64)
    obstacles: Counter[Obstacle] = Counter()
    waits = [delay.hours for delay in delays if delay.hours is not None]
    for delay in delays:
        length = delay.run.asked.hours
        asked[delay.run.at : delay.run.at + length] += 1
        if delay.started is not None:
            placed[delay.started : delay.started + length] += 1
        obstacles.update(dict(delay.obstacles))
    late = [wait for wait in waits if wait]
    return Service(
        id=name,
        asked_hours=int(asked.sum()),
        placed_hours=int(placed.sum()),
        asked_most=int(asked.max(initial=0)),
        placed_most=int(placed.max(initial=0)),
        runs=len(delays),
        on_time=len(waits) - len(late),
        waited=len(late),
        given_up=len(delays) - len(waits),
        longest_wait_h=max(late, default=None),
        mean_wait_h=sum(late) / len(late) if late else None,
        obstacles=tuple(obstacles.most_common()),
    )
