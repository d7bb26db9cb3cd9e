"""Fits the coefficients of ``jauge_models.power_models`` to published results, in plain Python."""

import csv
import functools
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from jauge_models import processor_families
from jauge_models.power_coefficients import (
    LOADS,
    Coefficients,
    Errors,
    Family,
    Instances,
    Knots,
    Shape,
    Size,
)
from jauge_models.processor_families import AMD, INTEL

RECENT: Final = 2017
"""Servers published since then stand for those of today."""

_SHRINK_SHAPE: Final = 3.0
_SHRINK_SIZE: Final = 2.0
"""So many servers of a family weigh as much as the supposition that it is like the rest."""
_RIDGE: Final = 1.0
_ROUNDS: Final = 20
_NO_ERROR: Final = (0.0,) * len(LOADS)
_WHAT_MAY_BE_KNOWN: Final = ("", "f", "p", "m", "fp", "fm", "pm", "fpm")
_TEADS_LOADS: Final = {"Idle": 0.0, "10%": 0.1, "50%": 0.5, "100%": 1.0}


family_of = functools.cache(processor_families.family_of)
vendor_of = functools.cache(processor_families.vendor_of)


@dataclass(frozen=True)
class Server:
    """One published result: watts at each of LOADS."""

    vendor: str
    model: str
    cpu: str
    year: float
    chips: float
    processors: float
    memory_gb: float
    watts: Knots

    @property
    def idle(self) -> float:
        """W at active idle."""
        return self.watts[0]

    @property
    def full(self) -> float:
        """W at full load."""
        return self.watts[-1]

    @functools.cached_property
    def ratio(self) -> float:
        """Idle over full."""
        return self.idle / self.full

    @functools.cached_property
    def shape(self) -> Knots:
        """Where between idle and full each load lies."""
        return tuple((watt - self.idle) / (self.full - self.idle) for watt in self.watts)


class Instance(NamedTuple):
    """One cloud instance of Teads' table: W at each of LOADS, what its memory takes apart."""

    cpu: str
    processors: float
    memory_gb: float
    platform_processors: float
    platform_memory_gb: float
    platform: Knots
    """Package and the rest of the machine, its part."""
    memory: Knots
    total: Knots


def servers(file: Path) -> list[Server]:
    """The servers of a table of load points (SOURCE.txt beside it names where they come from)."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        return [
            Server(
                row["vendor"],
                row["model"],
                row["cpu"],
                float(row["year"]),
                float(row["chips"]),
                float(row["threads"]),
                float(row["memory_gb"]),
                (float(row["idle_w"]), *(float(row[f"w_at_{at}"]) for at in range(10, 101, 10))),
            )
            for row in csv.DictReader(lines)
        ]


def instances(file: Path) -> list[Instance]:
    """The instances without a GPU of Teads' table, whose numbers have decimal commas."""
    found: list[Instance] = []
    with file.open(encoding="utf-8-sig", newline="") as lines:
        for row in csv.DictReader(lines):
            if row["Platform GPU Quantity"] not in {"", "0", "N/A"}:
                continue
            rest = _decimal(row["Delta Full Machine"])
            found.append(
                Instance(
                    row["Platform CPU Name"],
                    _decimal(row["Instance vCPU"]),
                    _decimal(row["Instance Memory (in GB)"]),
                    _decimal(row["Platform Total Number of vCPU"]),
                    _decimal(row["Platform Memory (in GB)"]),
                    tuple(package + rest for package in _filled(row, "PkgWatt")),
                    _filled(row, "RAMWatt"),
                    _filled(row, "Instance"),
                )
            )
    return found


def fitted(known: Sequence[Server]) -> Coefficients:
    """Coefficients of servers, without errors: those come from servers that no fit has seen."""
    years = [server.year for server in known]
    members: dict[str, list[Server]] = defaultdict(list)
    for server in known:
        members[family_of(server.cpu)].append(server)
    members.pop("", None)
    shapes, offsets = _shapes(known, members)
    mean_year = statistics.fmean(years)
    idle, idles = _size(known, members, lambda server: server.idle, mean_year)
    full, fulls = _size(known, members, lambda server: server.full, mean_year)
    undated = [replace(server, year=mean_year) for server in known]
    recent = [server for server in known if server.year >= RECENT] or known
    ratios = [server.ratio for server in known]
    return Coefficients(
        shapes=shapes,
        shape_errors=dict.fromkeys(("family", "vendor", ""), _NO_ERROR),
        families={
            name: Family(
                len(alike),
                statistics.fmean(server.year for server in alike),
                statistics.median(server.processors for server in alike),
                offsets[name],
                idles[name],
                fulls[name],
            )
            for name, alike in sorted(members.items())
        },
        idle={"year": idle, "": _size(undated, {}, lambda server: server.idle, mean_year)[0]},
        full={"year": full, "": _size(undated, {}, lambda server: server.full, mean_year)[0]},
        size_errors=dict.fromkeys(_WHAT_MAY_BE_KNOWN, Errors(0.0, 0.0)),
        ratios=(min(ratios), max(ratios)),
        years=(min(years), mean_year, max(years)),
        processors=statistics.median(server.processors for server in known),
        memory_gb=statistics.median(server.memory_gb / server.processors for server in known),
        declared=_twice_measured(known),
        idle_part=_medians(tuple(server.idle / watt for watt in server.watts) for server in recent),
        instances=Instances({"": _NO_ERROR}, _NO_ERROR, 1.0, (0.0, 0.0)),
    )


def _shapes(
    known: Sequence[Server], members: Mapping[str, Sequence[Server]]
) -> tuple[Mapping[str, Shape], Mapping[str, Knots]]:
    """A line over idle / full for each vendor and load, and what each family adds to it.

    Both in turns, so that a family of many results does not bend the line of all.
    """
    shapes = {"": _lines(known, {})}
    offsets: dict[str, Knots] = {}
    for vendor in (INTEL, AMD):
        mine = [server for server in known if vendor_of(server.cpu) == vendor]
        families = {n: a for n, a in members.items() if vendor_of(a[0].cpu) == vendor}
        if not mine:
            continue
        line, added = _lines(mine, {}), dict[str, Knots]()
        for _ in range(_ROUNDS):
            added = {
                name: tuple(
                    sum(s.shape[k] - line.at[k] - line.slope[k] * s.ratio for s in alike)
                    / (len(alike) + _SHRINK_SHAPE)
                    for k in range(len(LOADS))
                )
                for name, alike in families.items()
            }
            line = _lines(mine, added)
        shapes[vendor] = line
        offsets |= added
    # A family of a vendor that the fit does not know adds nothing.
    return shapes, {name: offsets.get(name, _NO_ERROR) for name in members}


def _lines(known: Sequence[Server], added: Mapping[str, Knots]) -> Shape:
    ratios = [server.ratio for server in known]
    mean = sum(ratios) / len(known)
    spread = sum((ratio - mean) ** 2 for ratio in ratios)
    penalty = _RIDGE * spread / len(known)
    offsets = [added.get(family_of(server.cpu), _NO_ERROR) for server in known]
    at, slope = [], []
    for k in range(len(LOADS)):
        values = [s.shape[k] - offset[k] for s, offset in zip(known, offsets, strict=True)]
        rise = sum((r - mean) * v for r, v in zip(ratios, values, strict=True))
        slope.append(rise / (spread + penalty) if spread else 0.0)
        at.append(sum(values) / len(known) - slope[-1] * mean)
    return Shape(tuple(at), tuple(slope))


def _size(
    known: Sequence[Server],
    members: Mapping[str, Sequence[Server]],
    watts: Callable[[Server], float],
    mean_year: float,
) -> tuple[Size, Mapping[str, float]]:
    """Log2 of watts over processors, memory and year, and what each family adds.

    Where all are of one year it counts for nothing.
    """
    names = [family_of(server.cpu) for server in known]
    inputs = [
        (1.0, math.log2(s.processors), math.log2(s.memory_gb), s.year - mean_year) for s in known
    ]
    targets = [math.log2(watts(server)) for server in known]
    factors, added = _least_squares(inputs, targets), dict[str, float]()
    for _ in range(_ROUNDS):
        left: dict[str, float] = defaultdict(float)
        for row, target, name in zip(inputs, targets, names, strict=True):
            left[name] += target - sum(a * b for a, b in zip(factors, row, strict=True))
        added = {name: left[name] / (len(members[name]) + _SHRINK_SIZE) for name in members}
        factors = _least_squares(
            inputs, [t - added.get(name, 0.0) for t, name in zip(targets, names, strict=True)]
        )
    return Size(*factors), added


def _least_squares(inputs: Sequence[Sequence[float]], targets: Sequence[float]) -> list[float]:
    """Ridge regression whose first input is 1 and not held back; by Gaussian elimination."""
    width = len(inputs[0])
    means = [statistics.fmean(row[j] for row in inputs) for j in range(width)]
    penalties = [
        0.0 if j == 0 else _RIDGE * statistics.fmean((row[j] - means[j]) ** 2 for row in inputs)
        for j in range(width)
    ]
    table = [
        [sum(row[i] * row[j] for row in inputs) for j in range(width)]
        + [sum(row[i] * target for row, target in zip(inputs, targets, strict=True))]
        for i in range(width)
    ]
    # Holding back the slopes of centred inputs leaves the mean of all as it is.
    for i in range(1, width):
        table[i][i] += penalties[i]
    for i in range(width):
        pivot = max(range(i, width), key=lambda row: abs(table[row][i]))
        table[i], table[pivot] = table[pivot], table[i]
        for row in range(width):
            if row != i:
                by = table[row][i] / table[i][i] if table[i][i] else 0.0
                table[row] = [a - by * b for a, b in zip(table[row], table[i], strict=True)]
    return [row[-1] / row[i] if row[i] else 0.0 for i, row in enumerate(table)]


def _twice_measured(known: Sequence[Server]) -> Errors:
    """Spread between results of one model with the same processor, chips and memory."""
    alike: dict[tuple[object, ...], list[Server]] = defaultdict(list)
    for s in known:
        alike[s.vendor, s.model, s.cpu, s.chips, s.memory_gb].append(s)
    groups = [group for group in alike.values() if len(group) > 1]
    free = sum(len(group) - 1 for group in groups)

    def spread(watts: Callable[[Server], float]) -> float:
        squares = 0.0
        for group in groups:
            logs = [math.log(watts(server)) for server in group]
            squares += statistics.variance(logs) * (len(group) - 1)
        return math.sqrt(squares / free) if free else 0.0

    return Errors(spread(lambda s: s.idle), spread(lambda s: s.full))


def fitted_instances(cloud: Sequence[Instance]) -> Instances:
    """The rule for cloud instances, without errors; each model of processor counts once."""
    by_cpu: dict[str, list[Knots]] = defaultdict(list)
    for i in cloud:
        by_cpu[i.cpu].append(tuple(watt / i.processors for watt in i.platform))
    cpus = {cpu: _medians(found) for cpu, found in by_cpu.items()}
    families: dict[str, list[Knots]] = defaultdict(list)
    for cpu, watts in cpus.items():
        families[family_of(cpu)].append(watts)
    families[""] = list(cpus.values())
    return Instances(
        {name: _medians(found) for name, found in sorted(families.items())},
        _medians(tuple(watt / i.memory_gb for watt in i.memory) for i in cloud if i.memory[0] > 0),
        statistics.median(i.memory_gb / i.processors for i in cloud),
        (0.0, 0.0),
    )


def rounded(found: Coefficients) -> Coefficients:
    """The same with as many digits as matter, so that the file can be read."""

    def short(values: Iterable[float], digits: int = 3) -> Knots:
        return tuple(round(value, digits) for value in values)

    return replace(
        found,
        shapes={name: Shape(short(s.at), short(s.slope)) for name, s in found.shapes.items()},
        shape_errors={name: short(errors) for name, errors in found.shape_errors.items()},
        families={
            name: replace(
                family,
                year=round(family.year, 1),
                shape=short(family.shape),
                idle=round(family.idle, 3),
                full=round(family.full, 3),
            )
            for name, family in found.families.items()
        },
        idle={name: Size(*short(size, 4)) for name, size in found.idle.items()},
        full={name: Size(*short(size, 4)) for name, size in found.full.items()},
        size_errors={name: Errors(*short(errors, 2)) for name, errors in found.size_errors.items()},
        ratios=(round(found.ratios[0], 3), round(found.ratios[1], 3)),
        years=(found.years[0], round(found.years[1], 1), found.years[2]),
        declared=Errors(*short(found.declared)),
        idle_part=short(found.idle_part),
        instances=Instances(
            {name: short(watts, 2) for name, watts in found.instances.watts.items()},
            short(found.instances.memory, 2),
            found.instances.memory_gb,
            (round(found.instances.errors[0], 2), round(found.instances.errors[1], 2)),
        ),
    )


def _medians(rows: Iterable[Knots]) -> Knots:
    return tuple(statistics.median(column) for column in zip(*rows, strict=True))


def _filled(row: Mapping[str, str], what: str) -> Knots:
    """Four loads of Teads' as eleven, straight between them."""
    known = [(load, _decimal(row[f"{what} @ {name}"])) for name, load in _TEADS_LOADS.items()]
    values: list[float] = []
    for load in LOADS:
        (a, at_a), (b, at_b) = next((p, q) for p, q in pairwise(known) if load <= q[0])
        values.append(at_a + (at_b - at_a) * (load - a) / (b - a))
    return tuple(values)


def _decimal(text: str) -> float:
    return float(text.replace(",", "."))
