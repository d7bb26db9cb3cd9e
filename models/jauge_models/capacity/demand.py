"""From a scenario's workloads to what is asked for in each hour of its horizon.

Hours are those that pass, one after the other: the day on which clocks go forward has 23 of them
and the day on which they go back 25. School hours and starts of runs are told in civil time, so
that a desktop asked for at eight is there at eight in summer and in winter.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jauge_models.capacity.inventory import WHOLE, Plant
from jauge_models.capacity.node_draw import NodeDraw, most_added_w
from jauge_models.capacity.scenario import (
    DAYS_OF_YEAR,
    WEEK,
    Asked,
    Desktops,
    Inference,
    Scenario,
    Training,
    gpu_thousandths,
    mebibytes,
    thousandths,
)
from jauge_models.capacity.workloads import Spread, Workload

HOUR_MS: Final = 3_600_000

Counts = NDArray[np.int64]


class Horizon(NamedTuple):
    """The hours of a horizon. ``day``: of each hour, counted from the first; ``hour``: local."""

    first: date
    start_ms: int
    day: Counts
    hour: Counts

    @property
    def hours(self) -> int:
        """How many there are."""
        return len(self.hour)

    def when(self, at: int) -> int:
        """Start of an hour in ms since 1970."""
        return self.start_ms + at * HOUR_MS


class Standing(NamedTuple):
    """Instances of a workload that cannot wait: ``wanted`` of them in each hour."""

    asked: Inference | Desktops
    workload: Workload
    wanted: Counts


class Run(NamedTuple):
    """One training run, asked for at hour ``at`` of the horizon."""

    asked: Training
    id: str
    workload: Workload
    at: int


class Demand(NamedTuple):
    """All that is asked for: who cannot wait, in order of precedence, and the runs by start."""

    horizon: Horizon
    standing: tuple[Standing, ...]
    runs: tuple[Run, ...]

    def gpu_milli(self) -> Counts:
        """Thousandths of GPUs asked for in each hour; a run at the hours that it asked for."""
        asked = np.zeros(self.horizon.hours, np.int64)
        for one in self.standing:
            asked += one.wanted * one.workload.milli
        for run in self.runs:
            asked[run.at : run.at + run.asked.hours] += run.workload.milli * run.asked.nodes
        return asked


def horizon(scenario: Scenario, zone: tzinfo) -> Horizon:
    """The hours from the first local midnight of the scenario to before the one after its last.

    In a zone whose midnight is not a whole hour after that of the first day (clocks moved by half
    an hour), the last hour may reach into the next day.
    """
    start = _midnight(scenario.first, zone)
    end = _midnight(scenario.last + timedelta(days=1), zone)
    local = [datetime.fromtimestamp(at, zone) for at in range(start, end, 3600)]
    first = scenario.first.toordinal()
    return Horizon(
        scenario.first,
        start * 1000,
        np.array([one.toordinal() - first for one in local], np.int64),
        np.array([one.hour for one in local], np.int64),
    )


def _midnight(day: date, zone: tzinfo) -> int:
    return int(datetime.combine(day, time(), zone).timestamp())


def demand(scenario: Scenario, plant: Plant, draws: Mapping[str, NodeDraw], zone: tzinfo) -> Demand:
    """What the scenario asks for in each hour. ``draws``: by kind of node, where known.

    Precedence: inference, then desktops, each in the order of the file; runs wait for both.
    """
    hours = horizon(scenario, zone)
    open_days = _school_days(scenario, hours)
    standing = [
        Standing(one, workload_of(one, plant, draws, one.spread), _replicas(one, hours))
        for one in scenario.inference
    ]
    standing += [
        Standing(one, workload_of(one, plant, draws), _sessions(one, hours, open_days))
        for one in scenario.desktops
    ]
    runs = [
        run
        for one in scenario.training
        for run in _runs(one, workload_of(one, plant, draws), scenario, hours, zone)
    ]
    return Demand(hours, tuple(standing), tuple(sorted(runs, key=lambda run: run.at)))


def workload_of(
    asked: Asked,
    plant: Plant,
    draws: Mapping[str, NodeDraw],
    spread: Spread = Spread.NONE,
) -> Workload:
    """One instance as placement counts it.

    Slices of a GPU become thousandths of the kind of GPU, among those that will do, whose slices
    are the largest. ``watts`` is the most that it adds on any kind of node that will do, by the
    95th percentile of that kind's draw.
    """
    kinds = [
        kind
        for kind in plant.kinds
        if kind.will_do(asked.gpus, asked.gpu_kinds) and kind.slices >= asked.slices
    ]
    milli = gpu_thousandths(asked.gpu_share)
    if asked.slices:
        # Downwards: as many as the hardware cuts must fit, and what is lost never makes one more.
        milli = max((asked.slices * WHOLE // kind.slices for kind in kinds), default=WHOLE)
    gpu_kinds = asked.gpu_kinds
    if asked.slices:
        gpu_kinds = tuple(sorted({kind.gpu for kind in kinds})) or asked.gpu_kinds
    busy = asked.gpus * milli / WHOLE * asked.activity
    return Workload(
        id=asked.id,
        gpu_kinds=gpu_kinds,
        gpus=asked.gpus,
        gpu_milli=milli,
        gpu_memory_mib=mebibytes(asked.gpu_memory_gib),
        cpu_milli=thousandths(asked.cpus),
        memory_mib=mebibytes(asked.memory_gib),
        watts=most_added_w(busy, kinds, draws),
        group=asked.id if spread is not Spread.NONE else "",
        spread=spread,
    )


def _school_days(scenario: Scenario, hours: Horizon) -> NDArray[np.bool_]:
    """Of each hour, whether its day is in no holiday."""
    open_days = np.ones(hours.hours, np.bool_)
    for holiday in scenario.holidays:
        open_days &= ~_between(hours, holiday.first, holiday.last)
    return open_days


def _between(hours: Horizon, first: date | None, last: date | None) -> NDArray[np.bool_]:
    within = np.ones(hours.hours, np.bool_)
    if first is not None:
        within &= hours.day >= (first - hours.first).days
    if last is not None:
        within &= hours.day <= (last - hours.first).days
    return within


def _grown(number: float, growth: float, hours: Horizon) -> NDArray[np.float64]:
    """A number in each hour, growing from day to day; not rounded."""
    grown: NDArray[np.float64] = number * (1 + growth) ** (hours.day / DAYS_OF_YEAR)
    return grown


def _whole(number: NDArray[np.float64]) -> Counts:
    return np.floor(number + 0.5).astype(np.int64)


def _replicas(one: Inference, hours: Horizon) -> Counts:
    counts = _whole(_grown(one.replicas, one.growth, hours))
    counts[~_between(hours, one.first, one.last)] = 0
    return counts


def _sessions(one: Desktops, hours: Horizon, open_days: NDArray[np.bool_]) -> Counts:
    share = np.zeros(24)
    for span in one.hours:
        share[span.begin : span.end] = span.share
    # 1970-01-01, ordinal 719163, was a Thursday; ordinal 1 a Monday.
    weekday = (hours.first.toordinal() - 1 + hours.day) % 7
    taught = np.isin(weekday, [WEEK.index(day) for day in one.weekdays])
    counts = _whole(_grown(one.users, one.growth, hours) * share[hours.hour])
    counts[~(open_days & taught & _between(hours, one.first, one.last))] = 0
    return counts


def _runs(
    one: Training, workload: Workload, scenario: Scenario, hours: Horizon, zone: tzinfo
) -> Sequence[Run]:
    """Every run asked for within the horizon; one that would start before it is not."""
    found: list[Run] = []
    last = scenario.last if one.last is None else min(one.last, scenario.last)
    day = one.first
    if one.repeat_days and day < scenario.first:
        behind = (scenario.first - day).days
        day += timedelta(days=-(-behind // one.repeat_days) * one.repeat_days)
    while day <= last:
        started = datetime.combine(day, time(one.hour), zone).timestamp()
        at = int(started * 1000 - hours.start_ms) // HOUR_MS
        if 0 <= at < hours.hours:
            grown = one.runs * (1 + one.growth) ** ((day - scenario.first).days / DAYS_OF_YEAR)
            found += [
                Run(one, f"{one.id}/{day.isoformat()}/{number}", workload, at)
                for number in range(int(grown + 0.5))
            ]
        if not one.repeat_days:
            break
        day += timedelta(days=one.repeat_days)
    return found
