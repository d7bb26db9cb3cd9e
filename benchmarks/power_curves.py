"""How far the power learnt from activity is off, on servers, months and workloads held back."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from jauge_models.capacity.power_curves import PowerCurve, TooLittleHistory, learn, planned_w

from benchmarks.gpu_logs import SERVERS, Hour, Run, folder, gpu_hours, runs
from benchmarks.rows import Better, Row, Table, say

LIMIT: Final = 0.10
"""At the 90th percentile (issue 9)."""
STEP_S: Final = 5
"""Of the wall power logs; of longer ones too few would be at rest."""
_LEAST_HOURS: Final = 300
"""A month of less is not judged."""


class Miss(NamedTuple):
    """What a curve said of a step that it had not seen, and what was measured, W."""

    group: str
    at: int
    """Number of the hour, or of the step in its run."""
    activity: float
    said: float
    measured: float


async def measure(*, seconds: float, full: bool) -> Table:  # noqa: ARG001 - one signature for all
    """Every figure of docs/capacity.md's section on power."""
    data = folder()
    rows: list[Row] = []
    hours = {server: gpu_hours(data, server) for server in SERVERS}
    most = {server: max(hour.watts for hour in known) for server, known in hours.items()}
    for name, judged in (("held back", months_held_back), ("to come", months_to_come)):
        each = []
        for server, known in hours.items():
            say(f"power of {server}, months {name}")
            each.append(judged(known))
            rows += _rows(f"{server}, months {name}", each[-1], most[server])
        all_three = together(each)
        rows += _rows(
            f"the three together, months {name}",
            all_three,
            max(miss.measured for miss in all_three),
        )
    for of, by in (("cbsugpu06", "cbsugpu05"), ("cbsugpu05", "cbsugpu06")):
        rows += _rows(f"{of} by the curve of {by}", another(hours[by], hours[of]), most[of])
    logged = runs(data, STEP_S)
    for system in sorted({run.system for run in logged}):
        say(f"power of {system}")
        rows += _of_runs(system, [run for run in logged if run.system == system])
    return Table("power_curves", "Power from activity, on what was held back", rows)


def curve_of(hours: Sequence[Hour]) -> PowerCurve:
    """Learnt from these hours."""
    return learn([hour.activity for hour in hours], [hour.watts for hour in hours])


def months_held_back(hours: Sequence[Hour]) -> list[Miss]:
    """Each month by a curve of all the others."""
    return list(_by_month(hours, lambda month, other: other != month))


def months_to_come(hours: Sequence[Hour]) -> list[Miss]:
    """Each month by a curve of those before it, from the first on of which there is one."""
    return list(_by_month(hours, lambda month, other: other < month))


def another(by: Sequence[Hour], of: Sequence[Hour]) -> list[Miss]:
    """Every hour of a server by the curve of another one."""
    curve = curve_of(by)
    return [_miss(hour.month, curve, hour) for hour in of]


def together(each: Sequence[Sequence[Miss]]) -> list[Miss]:
    """The hours that all servers have, their watts and what was said of them added up."""
    by_hour = [{miss.at: miss for miss in misses} for misses in each]
    found = []
    for at in sorted(set(by_hour[0]).intersection(*by_hour[1:])):
        some = [misses[at] for misses in by_hour]
        found.append(
            Miss(
                some[0].group,
                at,
                sum(miss.activity for miss in some) / len(some),
                sum(miss.said for miss in some),
                sum(miss.measured for miss in some),
            )
        )
    return found


def runs_held_back(logged: Sequence[Run]) -> list[Miss]:
    """Each working step of a benchmark by a curve that has seen none of its runs."""
    found = []
    for name in sorted({_workload(run) for run in logged}):
        others = [run for run in logged if _workload(run) != name]
        at_work = curve_of_runs(others).at(1.0).power
        found += [
            Miss(f"{run.benchmark} {run.scenario}", at, 1.0, at_work, watts)
            for run in logged
            if _workload(run) == name
            for at, watts in enumerate(run.working)
        ]
    return found


def curve_of_runs(logged: Sequence[Run]) -> PowerCurve:
    """Work is activity 1 and rest 0: the logs know no more."""
    steps = [
        (activity, watts)
        for run in logged
        for activity, series in ((0.0, run.resting), (1.0, run.working))
        for watts in series
    ]
    return learn([a for a, _ in steps], [w for _, w in steps], step_s=STEP_S, latest=len(steps))


def relative(misses: Sequence[Miss]) -> float:
    """90th percentile of the error in parts of what the same step measured."""
    return percentile([abs(m.said - m.measured) / m.measured for m in misses])


def of_most(misses: Sequence[Miss], most: float) -> float:
    """90th percentile of the error in parts of the most that was measured, W."""
    return percentile([abs(m.said - m.measured) / most for m in misses])


def of_energy(misses: Sequence[Miss]) -> float:
    """90th percentile, over the groups held back, of the error of a whole group's energy."""
    said: dict[str, float] = {}
    measured: dict[str, float] = {}
    for miss in misses:
        said[miss.group] = said.get(miss.group, 0.0) + miss.said
        measured[miss.group] = measured.get(miss.group, 0.0) + miss.measured
    return percentile([abs(said[name] / measured[name] - 1) for name in said])


def percentile(values: Sequence[float], part: float = 0.9) -> float:
    """The value that this part of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)]


def _workload(run: Run) -> str:
    """What it runs: its two targets of accuracy draw alike, so that both are held back."""
    return run.benchmark.removesuffix(".9").removesuffix("-99")


def _by_month(hours: Sequence[Hour], taken: Callable[[str, str], bool]) -> Iterator[Miss]:
    months = sorted({hour.month for hour in hours})
    large = [m for m in months if sum(hour.month == m for hour in hours) >= _LEAST_HOURS]
    for month in large:
        try:
            curve = curve_of([hour for hour in hours if taken(month, hour.month)])
        except TooLittleHistory:
            continue
        yield from (_miss(month, curve, hour) for hour in hours if hour.month == month)


def _miss(group: str, curve: PowerCurve, hour: Hour) -> Miss:
    return Miss(group, hour.number, hour.activity, curve.at(hour.activity).power, hour.watts)


def _rows(name: str, misses: Sequence[Miss], most: float) -> list[Row]:
    return [
        _row(f"{name}: error of an hour, of the most measured", of_most(misses, most)),
        _row(f"{name}: error of an hour, of itself", relative(misses)),
        _row(
            f"{name}: the same above 10 % activity",
            relative([miss for miss in misses if miss.activity > 0.1]),
        ),
        _row(f"{name}: error of a month's energy", of_energy(misses)),
    ]


def _of_runs(system: str, logged: Sequence[Run]) -> list[Row]:
    misses = runs_held_back(logged)
    working = [watts for run in logged for watts in run.working]
    planned = planned_w(working)
    return [
        _row(f"{system}, workloads held back: error of a step, of itself", relative(misses)),
        _row(f"{system}, workloads held back: error of a run's energy", of_energy(misses)),
        Row(
            f"{system}: power planned for racks and cooling",
            planned.p95,
            "W",
            "the most measured",
            max(working),
            Better.LOWER,
            note=f"measured median {planned.median:.0f} W",
        ),
    ]


def _row(what: str, value: float) -> Row:
    return Row(what, 100 * value, "%", "limit", 100 * LIMIT, Better.LOWER, is_limit=True)
