"""What a planner asks of the plant: workloads over a horizon, and what if it were another plant.

A scenario is a TOML file. ``decode`` reads it and says in one line what is wrong with it;
``encode`` writes one that decodes to the same scenario, which is how the console's form saves it.
Hours are whole hours of the local civil day; memory is in GiB and processors are whole cores or
parts of one, as a planner counts them.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from jauge_models.capacity.inventory import Plant
from jauge_models.capacity.toml_text import written
from jauge_models.capacity.workloads import Spread
from jauge_models.configuration import ConfigurationError, parse

MOST_DAYS: Final = 1100
"""Longest horizon, in days: three years and a little."""

_YEARS: Final = range(2000, 2200)

DAYS_OF_YEAR: Final = 365.25
"""That growth is told by."""

MOST_COUNT: Final = 100_000
"""Most users, replicas and runs of all workloads together, once they have grown: it bounds work."""

MOST_WHAT_IF: Final = 24
"""Most other plants: each is an answer of its own."""

Name = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="up to 64 letters, digits, dots, dashes and underscores",
    ),
]
Count = Annotated[int, msgspec.Meta(ge=1, le=MOST_COUNT)]
Hour = Annotated[int, msgspec.Meta(ge=0, le=23)]
Part = Annotated[float, msgspec.Meta(ge=0, le=1)]
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
Watts = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
Growth = Annotated[float, msgspec.Meta(ge=-1, le=10)]


class Weekday(StrEnum):
    """Days of the week, Monday first."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


WEEK: Final = tuple(Weekday)


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file: a key that it does not know is refused."""


class Holiday(_Table, frozen=True, kw_only=True):
    """Days without school: ``first`` to ``last``, both included."""

    name: str = ""
    first: date
    last: date


class Asked(_Table, frozen=True, kw_only=True):
    """What every workload says: a name, and what one instance of it needs."""

    id: Name
    gpu_kinds: tuple[str, ...] = ()
    """Kinds of GPU that will do; empty: any."""
    gpus: Annotated[int, msgspec.Meta(ge=0, le=64)] = 1
    """Of one node. 0: none at all."""
    gpu_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    """Part of one GPU, in thousandths; below 1 only with one GPU."""
    slices: Annotated[int, msgspec.Meta(ge=0, le=16)] = 0
    """Slices of one GPU cut in hardware (MIG), instead of ``gpu_share``; 0: not cut."""
    gpu_memory_gib: Amount = 0.0
    """Of each GPU. A slice's memory is not derived from its number: the maker's profiles differ."""
    cpus: Amount = 0.0
    memory_gib: Amount = 0.0
    activity: Part = 1.0
    """How busy it keeps its part of the GPUs while it runs. 1 unless somebody measured less."""
    growth: Growth = 0.0
    """Of its number in a year: 0.2 is a fifth more after one year, half of it not after half."""


class Training(Asked, frozen=True, kw_only=True):
    """Runs that start, end and may wait."""

    runs: Count = 1
    """At each start."""
    nodes: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    """On which one run is spread, ``gpus`` on each."""
    hours: Annotated[int, msgspec.Meta(ge=1, le=24 * MOST_DAYS)]
    first: date
    hour: Hour = 0
    """Of the local day at which it is to start."""
    repeat_days: Annotated[int, msgspec.Meta(ge=0, le=MOST_DAYS)] = 0
    """Again every so many days, at the same local hour; 0: once. A week is 7."""
    last: date | None = None
    """Last day on which a run is asked for; None: the horizon's last."""
    tolerance_hours: Annotated[int, msgspec.Meta(ge=0, le=24 * 60)] = 0
    """How long a run may wait for its GPUs before it is given up."""


class Inference(Asked, frozen=True, kw_only=True):
    """Services that run all day on every day from ``first`` to ``last``."""

    replicas: Count = 1
    spread: Spread = Spread.NONE
    """What two replicas may not share."""
    first: date | None = None
    last: date | None = None


class Hours(_Table, frozen=True, kw_only=True):
    """From the local hour ``begin`` to before ``end``, ``share`` of the users have a session."""

    begin: Hour
    end: Annotated[int, msgspec.Meta(ge=1, le=24)]
    share: Part


class Desktops(Asked, frozen=True, kw_only=True):
    """Desktops with a part of a GPU, used at hours of days that are no holiday."""

    users: Count
    hours: tuple[Hours, ...]
    weekdays: tuple[Weekday, ...] = WEEK[:5]
    first: date | None = None
    last: date | None = None


class DeclaredPower(_Table, frozen=True, kw_only=True):
    """What a node of a kind draws, for a kind of which nothing was measured: a declaration."""

    kind: str
    idle_w: Watts
    full_w: Watts
    """With all GPUs busy."""
    basis: str
    """Where the watts were read, e.g. the title of a test report."""


class Addition(_Table, frozen=True, kw_only=True):
    """``number`` nodes more of a kind, in these racks or (empty) wherever they fit."""

    kind: str
    number: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    racks: tuple[str, ...] = ()
    units: Annotated[int, msgspec.Meta(ge=1, le=60)] = 1
    """Rack units that each takes."""


class Cap(_Table, frozen=True, kw_only=True):
    """An enforced power cap on each node of a kind."""

    kind: str
    watts: Watts


class WhatIf(_Table, frozen=True, kw_only=True):
    """Another plant: nodes retired first, then capped, then added."""

    name: Name
    retire: tuple[str, ...] = ()
    """Kinds of node that go."""
    cap: tuple[Cap, ...] = ()
    add: tuple[Addition, ...] = ()


class Scenario(_Table, frozen=True, kw_only=True):
    """All that a planner asks. ``zone``: IANA name of the civil time that hours are told in."""

    name: str
    zone: str = "Europe/Paris"
    first: date
    days: Annotated[int, msgspec.Meta(ge=1, le=MOST_DAYS)] = 365
    idle_below: Part = 0.05
    """Activity under which a GPU counts as idle."""
    holidays: tuple[Holiday, ...] = ()
    training: tuple[Training, ...] = ()
    inference: tuple[Inference, ...] = ()
    desktops: tuple[Desktops, ...] = ()
    power: tuple[DeclaredPower, ...] = ()
    what_if: tuple[WhatIf, ...] = ()

    @property
    def last(self) -> date:
        """The last local day of the horizon."""
        return self.first + timedelta(days=self.days - 1)

    @property
    def asked(self) -> tuple[Asked, ...]:
        """Every workload: inference, desktops, training; each in the order of the file."""
        return (*self.inference, *self.desktops, *self.training)


def decode(text: str, *, file: str) -> Scenario:
    """A scenario from the text of its file; ``file`` is only named in errors.

    Raises ConfigurationError for what is no TOML, for a key that is not known (with its path),
    a value that cannot be, a name used twice and a range that is none.
    """
    scenario = parse(text, Scenario, file=file)
    for key, problem, fix in _problems(scenario):
        raise ConfigurationError(file, key, problem, fix)
    return scenario


def check_against(scenario: Scenario, plant: Plant, *, file: str) -> None:
    """Raises ConfigurationError where the scenario does not go with the plant.

    It names a kind or a rack that the plant lacks, or watts above a nameplate.
    """
    kinds = {kind.name for kind in plant.kinds}
    gpus = {kind.gpu for kind in plant.kinds if kind.gpu}
    racks = {rack.name for rack in plant.racks}
    for key, value, known in _names(scenario, kinds, gpus, racks):
        if value not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise ConfigurationError(
                file, key, f"{value!r} is not in the plant", f"the plant has {listed}"
            )
    nameplates = {kind.name: kind.nameplate_w for kind in plant.kinds}
    for at, power in enumerate(scenario.power):
        most = nameplates[power.kind]
        # Breakers are planned with the nameplate: they would count less than is declared to flow.
        if most is not None and power.full_w > most:
            raise ConfigurationError(
                file,
                f"power[{at}].full_w",
                f"{power.full_w:g} W is above the nameplate of kind {power.kind!r}",
                f"at most {most:g}, or correct the plant",
            )


def encode(scenario: Scenario) -> str:
    """TOML text that decodes to the same scenario. What stands at its default is left out."""
    return written(scenario)


_Problem = tuple[str, str, str]


def _problems(scenario: Scenario) -> Iterator[_Problem]:
    """What structs alone cannot refuse, as key, problem and fix."""
    if not scenario.name.strip():
        yield "name", "is empty", "say in a few words what is asked"
    if scenario.first.year not in _YEARS:
        yield "first", f"is in {scenario.first.year}", f"from {_YEARS[0]} to {_YEARS[-1]}"
    for at, holiday in enumerate(scenario.holidays):
        yield from _backwards(f"holidays[{at}]", holiday.first, holiday.last)
    seen: set[str] = set()
    total = 0.0
    for table, rows in _workloads(scenario):
        for at, asked in enumerate(rows):
            key = f"{table}[{at}]"
            if asked.id in seen:
                yield f"{key}.id", f"{asked.id!r} is used twice", "give each workload its own id"
            seen.add(asked.id)
            yield from _of_gpus(key, asked)
            name, number = _grown(asked, scenario)
            total += number
            if total > MOST_COUNT:
                told = "come" if total == number else "with those above come"
                problem = f"{told} to {total:.0f} over the horizon"
                yield f"{key}.{name}", problem, f"at most {MOST_COUNT}"
            yield from _backwards(key, asked.first, asked.last)
    for at, desktops in enumerate(scenario.desktops):
        yield from _of_hours(f"desktops[{at}]", desktops)
    yield from _of_tables(scenario)


def _of_tables(scenario: Scenario) -> Iterator[_Problem]:
    yield from _twice("power", (one.kind for one in scenario.power), "kind")
    yield from _twice("what_if", (one.name for one in scenario.what_if), "name")
    for at, power in enumerate(scenario.power):
        if power.idle_w > power.full_w:
            yield f"power[{at}].idle_w", "is above full_w", "exchange them"
        if not power.basis.strip():
            yield f"power[{at}].basis", "is empty", "say where the watts were read"
    if len(scenario.what_if) > MOST_WHAT_IF:
        problem = f"{len(scenario.what_if)} other plants are too many"
        yield f"what_if[{MOST_WHAT_IF}]", problem, f"at most {MOST_WHAT_IF} in one scenario"
    for at, option in enumerate(scenario.what_if):
        if not (option.retire or option.cap or option.add):
            yield f"what_if[{at}]", "changes nothing", "add, cap or retire something"


def _workloads(
    scenario: Scenario,
) -> tuple[tuple[str, Sequence[Training | Inference | Desktops]], ...]:
    return (
        ("inference", scenario.inference),
        ("desktops", scenario.desktops),
        ("training", scenario.training),
    )


def _of_gpus(key: str, asked: Asked) -> Iterator[_Problem]:
    if asked.gpu_share < 1 and asked.slices:
        yield f"{key}.slices", "stands beside gpu_share", "keep one of the two"
    if asked.gpus != 1 and (asked.gpu_share < 1 or asked.slices):
        yield f"{key}.gpus", "a part of a GPU is asked of one GPU", "write gpus = 1"
    if round(asked.gpu_share * 1000) < 1:
        yield f"{key}.gpu_share", "is below a thousandth", "ask for 0.001 or more"


def _grown(asked: Training | Inference | Desktops, scenario: Scenario) -> tuple[str, float]:
    """Which field says how many instances there are, and how many they come to at most."""
    grown = max(1.0, (1 + asked.growth) ** (scenario.days / DAYS_OF_YEAR))
    if isinstance(asked, Training):
        starts = 1 + scenario.days // asked.repeat_days if asked.repeat_days else 1
        return "runs", grown * asked.runs * starts
    if isinstance(asked, Desktops):
        return "users", grown * asked.users
    return "replicas", grown * asked.replicas


def _of_hours(key: str, desktops: Desktops) -> Iterator[_Problem]:
    taken: set[int] = set()
    for at, span in enumerate(desktops.hours):
        where = f"{key}.hours[{at}]"
        if span.begin >= span.end:
            yield f"{where}.end", "is not after begin", "end the next day in hours of its own"
        hours = set(range(span.begin, span.end))
        if hours & taken:
            yield where, "overlaps hours above", "let each hour stand once"
        taken |= hours


def _backwards(key: str, first: date | None, last: date | None) -> Iterator[_Problem]:
    if first is not None and last is not None and last < first:
        yield f"{key}.last", "is before first", "exchange them"


def _twice(table: str, names: Iterable[str], key: str) -> Iterator[_Problem]:
    seen: set[str] = set()
    for at, name in enumerate(names):
        if name in seen:
            yield f"{table}[{at}].{key}", f"{name!r} is used twice", "keep one of the two"
        seen.add(name)


def _names(
    scenario: Scenario, kinds: set[str], gpus: set[str], racks: set[str]
) -> Iterator[tuple[str, str, set[str]]]:
    """Every name of the plant that the scenario uses: its key, it, and what there is."""
    for table, rows in _workloads(scenario):
        for at, asked in enumerate(rows):
            for name in asked.gpu_kinds:
                yield f"{table}[{at}].gpu_kinds", name, gpus
    for at, power in enumerate(scenario.power):
        yield f"power[{at}].kind", power.kind, kinds
    for at, option in enumerate(scenario.what_if):
        key = f"what_if[{at}]"
        for name in option.retire:
            yield f"{key}.retire", name, kinds
        for number, cap in enumerate(option.cap):
            yield f"{key}.cap[{number}].kind", cap.kind, kinds
        for number, added in enumerate(option.add):
            yield f"{key}.add[{number}].kind", added.kind, kinds
            for rack in added.racks:
                yield f"{key}.add[{number}].racks", rack, racks


def thousandths(part: float) -> int:
    """Cores as the whole thousandths that placement counts, upwards."""
    return math.ceil(round(part * 1000, 6))


def gpu_thousandths(share: float) -> int:
    """A part of a GPU in whole thousandths: as many fit on one as of the part itself, never more.

    A sixteenth is 62 of which 16 fit, since 63 would make it 15.
    """
    down = math.floor(round(share * 1000, 6))
    fitting = math.floor(round(1 / share, 6))
    return down if down and 1000 // down == fitting else thousandths(share)


def mebibytes(gib: float) -> int:
    """GiB as whole MiB, upwards."""
    return math.ceil(round(gib * 1024, 6))
