"""The planner's answer: what fits, what waits, what stops the rest, what it draws and costs.

One call, ``answer``, from what a collector gathers to one struct that is written as JSON as it
stands. Texts are the reader's: here are codes and figures only.
"""

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Final

import msgspec

from jauge_models.capacity.consolidation_plan import Consolidation, consolidation
from jauge_models.capacity.demand import demand
from jauge_models.capacity.idle_gpus import GpuHistory, IdleGpus, idle_gpus
from jauge_models.capacity.inventory import Plant
from jauge_models.capacity.node_draw import NodeDraw, declared, learnt
from jauge_models.capacity.outcome import Figures, Outcome, outcome
from jauge_models.capacity.outlook import Outlook, PoolOutlook, UseHistory, outlook
from jauge_models.capacity.power_curves import PowerCurve
from jauge_models.capacity.scenario import Scenario, WhatIf, check_against
from jauge_models.capacity.schedule import Hold, Schedule, Service, schedule
from jauge_models.capacity.what_if import (
    Binding,
    Change,
    Difference,
    binding,
    changed,
    difference,
)
from jauge_models.capacity.workloads import Obstacle, Place, Workload
from jauge_models.configuration import ConfigurationError

MOST_GPU_HOURS: Final = 30_000_000
"""GPUs times hours of an answer, 8 bytes of memory each; 3 400 GPUs for a year."""

_YEAR_DAYS: Final = 365

VERSION: Final = 1
"""Of the form of an answer."""


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A workload that has these GPUs now."""

    workload: Workload
    node: str
    gpus: tuple[int, ...]


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of the plant; each part may be empty.

    ``curves``: by kind of node. ``gpus``: activity and power of each GPU, for what was wasted.
    ``running``: who has which GPUs now. ``uses``: use of each limit over time, for what comes.
    """

    curves: Mapping[str, PowerCurve] = {}
    gpus: tuple[GpuHistory, ...] = ()
    running: tuple[Running, ...] = ()
    uses: tuple[UseHistory, ...] = ()


class Draw(msgspec.Struct, frozen=True, kw_only=True):
    """What a kind of node is planned with, W, at rest and with all its GPUs busy."""

    kind: str
    idle_w: float
    full_w: float
    full_high_w: float
    """95th percentile."""
    measured: bool
    basis: str


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One what-if. ``sited``: whether all nodes to add found a rack."""

    name: str
    change: Change
    sited: bool
    fits: bool
    outcome: Outcome
    difference: Difference
    binding: Binding | None


class Sentence(msgspec.Struct, frozen=True, kw_only=True):
    """The answer in one sentence: which, and what stands in it.

    ``nothing_asked`` · ``fits`` · ``fits_waiting`` (``waited`` runs, at most ``longest_wait_h``) ·
    ``refused`` (``workload``, ``unplaced`` of ``asked`` in ``unit``: ``runs`` or ``hours``
    of instances; its own ``obstacle``).
    With the limit that is nearest: ``limit``, ``place``, ``share``, and ``at_ms`` where it has an
    hour. ``remedy``: the option with which all fits at the least IT energy, "" where none does or
    none is needed.
    """

    code: str
    values: Mapping[str, str | float]
    remedy: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. Times in ms since 1970, energy in kWh, money in euros.

    ``simulated``: codes of how it was found. ``every_hour``: each of ``hours`` was, none was
    sampled; ``starts_empty``: what runs today counts only where the scenario asks for it;
    ``never_moved``: what has a place keeps it; ``cap_keeps_hours``: under a power cap runs are
    taken to last as long as before; ``part_of_year:DAYS``: amounts of a year are those of a part of
    one, carried on; ``no_run:ID``: no run of it falls into the horizon; ``past_end:ID``: a run
    of it goes on after the horizon, whose hours there were not looked at.
    """

    version: int = VERSION
    scenario: str
    asked_ms: int
    zone: str
    start_ms: int
    hours: int
    sentence: Sentence
    base: Outcome
    binding: Binding | None
    options: tuple[Option, ...]
    consolidation: Consolidation
    """With all that the scenario asks for."""
    running: Consolidation | None
    """With what runs now; None where nobody said what does."""
    idle: IdleGpus | None
    """None without a history of GPUs."""
    outlook: tuple[Outlook, ...]
    draws: tuple[Draw, ...]
    figures: Figures
    simulated: tuple[str, ...]
    pools: tuple[PoolOutlook, ...] = ()
    """Activity and power of each kind of GPU, which have no limit."""
    unlearnt: Mapping[str, str] = {}
    """Kinds of node of which too little was measured to learn a curve, with what is missing."""
    gpu_weeks: int | None = None
    """So many weeks of GPUs were read by now; None where all were that are ever read."""


def answer(
    plant: Plant,
    scenario: Scenario,
    *,
    zone: tzinfo,
    history: History | None = None,
    figures: Figures | None = None,
    now_ms: int,
    file: str = "scenario",
) -> Answer:
    """The answer to a scenario. ``zone``: that of ``scenario.zone``.

    A kind that was measured is planned with what was, whatever the scenario declares. Nothing is
    read and no clock asked: the same arguments give the same answer. Raises ConfigurationError,
    naming ``file``, where the scenario speaks of what the plant has not, and where its hours are
    too many for so many GPUs (``MOST_GPU_HOURS``).
    """
    check_against(scenario, plant, file=file)
    _must_not_be_too_long(scenario, plant, file)
    past = history or History()
    known = figures or Figures()
    draws = _draws(scenario, past, plant)
    _caps_must_be_above_rest(scenario, draws, file)
    asked = demand(scenario, plant, draws, zone)
    plan = schedule(plant, asked, draws)
    base = outcome(plant, plan, draws, known)
    options: list[Option] = []
    for what_if in scenario.what_if:
        other = changed(plant, draws, what_if)
        # Again, since slices and watts go by the kinds that there are then.
        wanted = demand(scenario, other.plant, other.draws, zone)
        held = schedule(other.plant, wanted, other.draws)
        found = outcome(other.plant, held, other.draws, known)
        options.append(_option(what_if, other.change, found, base))
    return Answer(
        scenario=scenario.name,
        asked_ms=now_ms,
        zone=scenario.zone,
        start_ms=asked.horizon.start_ms,
        hours=asked.horizon.hours,
        sentence=_sentence(base, options),
        base=base,
        binding=binding(base),
        options=tuple(options),
        consolidation=consolidation(plant, plan.holds, asked.horizon.hours, draws),
        running=_of_running(plant, past, draws),
        idle=idle_gpus(past.gpus, below=scenario.idle_below, figures=known) if past.gpus else None,
        outlook=tuple(outlook(one) for one in past.uses),
        draws=tuple(_draw(kind, draw) for kind, draw in sorted(draws.items())),
        figures=known,
        simulated=tuple(_simulated(scenario, base, _past_end(plan))),
    )


def _must_not_be_too_long(scenario: Scenario, plant: Plant, file: str) -> None:
    # A node without GPUs takes as much of an answer as one with a single GPU.
    count = {kind.name: max(kind.gpus, 1) for kind in plant.kinds}
    added = [sum(count[one.kind] * one.number for one in option.add) for option in scenario.what_if]
    gpus = sum(count[node.kind] for node in plant.nodes) + max(added, default=0)
    if gpus * scenario.days * 24 > MOST_GPU_HOURS:
        most = MOST_GPU_HOURS // (gpus * 24)
        raise ConfigurationError(
            file, "days", f"{scenario.days} days of {gpus} GPUs are too many", f"at most {most}"
        )


def _caps_must_be_above_rest(scenario: Scenario, draws: Mapping[str, NodeDraw], file: str) -> None:
    """No cap lowers what a node draws at rest: energy and breakers would count too little."""
    for at, option in enumerate(scenario.what_if):
        for number, cap in enumerate(option.cap):
            draw = draws.get(cap.kind)
            if draw is not None and cap.watts < draw.idle_w:
                raise ConfigurationError(
                    file,
                    f"what_if[{at}].cap[{number}].watts",
                    f"{cap.watts:g} W is below what a node of kind {cap.kind!r} draws at rest",
                    f"at least {draw.idle_w:.0f}",
                )


def _draws(scenario: Scenario, past: History, plant: Plant) -> dict[str, NodeDraw]:
    """By kind; where the plant says that a cap is enforced, under it."""
    draws = {one.kind: declared(one.idle_w, one.full_w, one.basis) for one in scenario.power}
    draws.update({kind: learnt(curve) for kind, curve in past.curves.items()})
    for kind in plant.kinds:
        if kind.cap_w is not None and kind.name in draws:
            # A cap below rest is not one that is enforced: what is drawn counts.
            draw = draws[kind.name]
            draws[kind.name] = draw.capped(max(kind.cap_w, draw.idle_w))
    return draws


def _draw(kind: str, draw: NodeDraw) -> Draw:
    return Draw(
        kind=kind,
        idle_w=draw.idle_w,
        full_w=draw.full_w,
        full_high_w=draw.full_high_w,
        measured=draw.measured,
        basis=draw.basis,
    )


def _option(what_if: WhatIf, change: Change, found: Outcome, base: Outcome) -> Option:
    return Option(
        name=what_if.name,
        change=change,
        sited=all(one.placed == one.number for one in change.added),
        fits=found.fits,
        outcome=found,
        difference=difference(found, base),
        binding=binding(found, change.added),
    )


def _of_running(plant: Plant, past: History, draws: Mapping[str, NodeDraw]) -> Consolidation | None:
    if not past.running:
        return None
    holds = [
        Hold(one.workload.id, one.workload.id, one.workload, 1.0, Place(one.node, one.gpus), _NOW)
        for one in past.running
    ]
    return consolidation(plant, holds, 1, draws)


_NOW: Final = slice(0, 1)


def _sentence(base: Outcome, options: Sequence[Option]) -> Sentence:
    values: dict[str, str | float] = {}
    nearest = base.nearest
    if nearest is not None:
        values = {
            "limit": nearest.limit.value,
            "place": nearest.place,
            "share": nearest.share,
        }
        if nearest.at_ms is not None:
            values["at_ms"] = nearest.at_ms
    if not any(service.asked_hours for service in base.services):
        return Sentence(code="nothing_asked", values=values)
    waited = sum(service.waited for service in base.services)
    if base.fits and waited:
        longest = max(service.longest_wait_h or 0 for service in base.services)
        return Sentence(
            code="fits_waiting", values={**values, "waited": waited, "longest_wait_h": longest}
        )
    if base.fits:
        return Sentence(code="fits", values=values)
    worst = max(
        base.services,
        key=lambda one: one.unplaced / ((one.runs or one.asked_hours) or 1),
    )
    values |= {
        "workload": worst.id,
        "unplaced": worst.unplaced,
        "asked": worst.runs or worst.asked_hours,
        "unit": "runs" if worst.runs else "hours",
        "obstacle": _stopped(worst).value,
    }
    return Sentence(code="refused", values=values, remedy=_remedy(options))


def _stopped(service: Service) -> Obstacle:
    """What stopped most of this workload; nodes of another kind only where nothing else did."""
    others = [one for one, _ in service.obstacles if one is not Obstacle.GPU_KIND]
    return others[0] if others else Obstacle.GPU_KIND


def _remedy(options: Sequence[Option]) -> str:
    fitting = [option for option in options if option.fits and option.sited]

    def energy(option: Option) -> float:
        used = option.outcome.energy.it_kwh
        return float("inf") if used is None else used.value

    return min(fitting, key=energy).name if fitting else ""


def _past_end(plan: Schedule) -> list[str]:
    """Workloads of which a run goes on after the last hour."""
    hours = plan.demand.horizon.hours
    lengths = {run.id: run.asked.hours for run in plan.demand.runs}
    late = {
        hold.id
        for hold in plan.holds
        if isinstance(hold.at, slice) and hold.at.start + lengths.get(hold.instance, 0) > hours
    }
    return sorted(late)


def _simulated(scenario: Scenario, base: Outcome, past_end: Sequence[str]) -> tuple[str, ...]:
    codes = ["every_hour", "starts_empty", "never_moved"]
    if any(option.cap for option in scenario.what_if):
        codes.append("cap_keeps_hours")
    found = {service.id for service in base.services}
    if scenario.days < _YEAR_DAYS:
        codes.append(f"part_of_year:{scenario.days}")
    codes += [f"no_run:{one.id}" for one in scenario.training if one.id not in found]
    codes += [f"past_end:{one}" for one in past_end]
    return tuple(codes)
