"""What the nodes of a plant did: energy from the ledger, GPUs from the store, by the hour.

Power of a node is its rows of the ledger; activity and power of a GPU are hourly means of its
readings, and so is the part of it that somebody was given. An hour that was not measured well
enough is None, never zero.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from jauge_models.capacity.answer import History, Running
from jauge_models.capacity.history import TooLittleHistory
from jauge_models.capacity.idle_gpus import GpuHistory
from jauge_models.capacity.inventory import WHOLE, Node
from jauge_models.capacity.placement import Workload
from jauge_models.capacity.power_curves import LATEST, PowerCurve, learn
from jauge_models.intervals import Basis, Point
from jauge_models.resources import Series, kind_of

from jauge_collector.capacity.gpu_places import Gpu, GpuPlaces
from jauge_collector.capacity.plant_file import DeclaredPlant
from jauge_collector.compliance import intake
from jauge_collector.compliance.intake import Hour, Hours
from jauge_collector.ledger.book import Ledger
from jauge_collector.sites import Site
from jauge_collector.stores import Store

HOUR_MS: Final = 3_600_000
WEEKS: Final = 8
"""Of the past of GPUs are read: each of their readings is, which takes long."""
POWER_WEEKS: Final = 53
"""Of the ledger's hours are read: days to full are told of no more than half of what is known."""
MEASURED: Final = 0.9
"""Of an hour, or it is not known."""
GAP_MS: Final = 180_000
"""Readings of a GPU further apart than this measure nothing in between."""
AT_WORK: Final = 0.05
"""Activity from which a GPU is at work."""
_AT_ONCE_MS: Final = 28 * 24 * HOUR_MS
"""Of one series, so that eight weeks of one are never held whole."""
_HELD: Final = frozenset({"gpu", "gpu_instance", "guest"})
_OF_HOLDERS: Final = frozenset({"runs_on", "share", "processors", "cpu_utilisation"})
_NOT_MEASURED: Final = frozenset({Basis.ATTESTED, Basis.ESTIMATE})
NOW_MS: Final = 600_000
"""What a GPU said of its holder within this long says who holds it now."""

Progress = Callable[[int, int], None]
"""Is told how many nodes were read, and how many there are."""


class Past(NamedTuple):
    """What was measured, and of which kinds too little was, by code of what is missing."""

    history: History
    unlearnt: Mapping[str, str]
    start_ms: int
    hours: int
    power_start_ms: int
    power_hours: int
    node_w: Mapping[str, Sequence[float | None]]
    """By node: its mean power in each of these hours, which end with those of the GPUs."""
    used: Mapping[str, Sequence[float | None]]
    """By node: how many of its GPUs were given away in each hour; where nothing tells of holders,
    how many were at work."""


async def read(
    site: Site,
    declared: DeclaredPlant,
    ledger: Ledger,
    store: Store,
    now_ms: int,
    *,
    weeks: int = WEEKS,
    progress: Progress | None = None,
) -> Past:
    """The last hours before ``now_ms``: so many whole ``weeks`` of GPUs, `POWER_WEEKS` of nodes.

    What was said after ``now_ms`` does not count, so that a moment gone by is read again alike.

    Raises LedgerError, StoreError.
    """
    end_ms = now_ms // HOUR_MS * HOUR_MS
    start_ms = end_ms - weeks * 7 * 24 * HOUR_MS
    hours = (end_ms - start_ms) // HOUR_MS
    power_start_ms = end_ms - POWER_WEEKS * 7 * 24 * HOUR_MS
    known = frozenset(await store.series(site.name))
    latest = await _latest(store, known, now_ms)
    described = ledger.descriptions(site.name, now_ms)
    places = GpuPlaces(site, declared, known, latest, described)
    watts: dict[str, Sequence[float | None]] = {}
    histories: list[GpuHistory] = []
    used: dict[str, Sequence[float | None]] = {}
    running: list[Running] = []
    steps: defaultdict[str, list[tuple[int, str, float | None, float | None]]] = defaultdict(list)
    for number, node in enumerate(declared.plant.nodes):
        host = declared.hosts[node.name]
        # One after the other: a year of rows of all nodes at once would not fit in memory.
        watts[node.name] = host_watts(site, host, ledger, (power_start_ms, end_ms))
        gpus = places.of(node)
        own = [
            await _history(site, node, at, gpu, store, known, (start_ms, end_ms))
            for at, gpu in enumerate(gpus)
        ]
        histories += (one for one, _ in own)
        if own:
            used[node.name] = _used(own, hours)
            activity = _mean([one.activity for one, _ in own], hours)
            drawn = watts[node.name][-hours:]
            steps[node.kind] += ((at, node.name, activity[at], drawn[at]) for at in range(hours))
        running += _running(site, node, gpus, latest, places)
        if progress is not None:
            progress(number + 1, len(declared.plant.nodes))
    curves: dict[str, PowerCurve] = {}
    unlearnt: dict[str, str] = {}
    for kind in declared.plant.kinds:
        some = sorted(steps[kind.name], key=lambda step: step[:2])
        try:
            curves[kind.name] = learn(
                [activity for _, _, activity, _ in some],
                [drawn for *_, drawn in some],
                # So many of each node: more nodes must not make the past that counts shorter.
                latest=LATEST * max(1, len({name for _, name, _, _ in some})),
            )
        except TooLittleHistory as little:
            unlearnt[kind.name] = little.missing
    history = History(curves=curves, gpus=tuple(histories), running=tuple(running))
    power_hours = (end_ms - power_start_ms) // HOUR_MS
    return Past(history, unlearnt, start_ms, hours, power_start_ms, power_hours, watts, used)


async def _latest(store: Store, known: Iterable[Series], now_ms: int) -> dict[Series, Point]:
    """What GPUs and guests last said of who holds what, within `NOW_MS`."""
    some = [
        series
        for series in known
        if kind_of(series.resource) in _HELD and series.quantity in _OF_HOLDERS
    ]
    found = await store.read(some, now_ms - NOW_MS, now_ms)
    return {series: points[-1] for series, points in found.items() if points}


def host_watts(
    site: Site, host: str, ledger: Ledger, span: tuple[int, int]
) -> Sequence[float | None]:
    """Mean power of a host in each hour, W, by its rows that were measured. Raises LedgerError."""
    start_ms, end_ms = span
    watts: list[float | None] = [None] * ((end_ms - start_ms) // HOUR_MS)
    for row in ledger.rows(site.name, [host], *span, proofs=False)[host]:
        at, aside = divmod(row.start_ms - start_ms, HOUR_MS)
        whole = row.length_ms == HOUR_MS and not aside and 0 <= at < len(watts)
        told = row.amount is not None and row.basis not in _NOT_MEASURED
        if whole and told and row.coverage >= MEASURED:
            watts[at] = max(row.amount or 0.0, 0.0) * 1000 / row.covered_ms
    return watts


async def _history(  # noqa: PLR0917 - a GPU of a node of a site, where and when it is read
    site: Site,
    node: Node,
    number: int,
    gpu: Gpu,
    store: Store,
    known: frozenset[Series],
    span: tuple[int, int],
) -> tuple[GpuHistory, Sequence[float | None]]:
    """A GPU's hours, and the part of it that was given away in each."""

    async def hours_of(quantity: str, resource: str) -> Hours | None:
        if Series(site.name, gpu.agent, resource, quantity) not in known:
            return None
        sensor = f"{gpu.agent}/{resource}"
        read = await intake.read(store, site.name, [sensor], span, GAP_MS, quantity=quantity)
        return read[sensor]

    activity = _hourly(await hours_of("gpu_utilisation", gpu.resource), span)
    watts = _hourly(await hours_of("power", gpu.resource), span)
    told: list[Hours] = []
    for name in (gpu.resource, *gpu.parts):
        part = await hours_of("share", name)
        whole = Series(site.name, gpu.agent, name, "runs_on")
        if part is None and name == gpu.resource and whole in known:
            part = await _held_whole(store, whole, gpu.hosts, span)
        if part is not None:
            told.append(part)
    heard = [one is not None or two is not None for one, two in zip(activity, watts, strict=True)]
    given = _given(told, heard, span[0] // HOUR_MS) if told else [None] * len(heard)
    history = GpuHistory(
        node=node.name,
        gpu=number,
        activity=tuple(None if part is None else min(max(part, 0.0), 1.0) for part in activity),
        watts=tuple(watts),
        held=tuple(None if part is None else part >= 1 / WHOLE for part in given) if told else (),
    )
    return history, given


def _hourly(hours: Hours | None, span: tuple[int, int]) -> Sequence[float | None]:
    first = span[0] // HOUR_MS
    found: list[float | None] = [None] * ((span[1] - span[0]) // HOUR_MS)
    for at in range(len(found)):
        hour = None if hours is None else hours.get(first + at)
        if hour is not None and hour.covered_ms >= MEASURED * HOUR_MS:
            found[at] = hour.mean
    return found


async def _held_whole(
    store: Store, series: Series, hosts: frozenset[int], span: tuple[int, int]
) -> Hours:
    """Of a GPU that says who holds it and no share: all of it, or nothing while a host does."""
    found: dict[int, Hour] = {}
    last: Point | None = None
    for begin in range(span[0], span[1], _AT_ONCE_MS):
        piece = begin, min(begin + _AT_ONCE_MS, span[1])
        told = (await store.read([series], *piece)).get(series, [])
        held = [Point(one.time_ms, float(round(one.value) not in hosts)) for one in told]
        found |= intake.means(held, piece, GAP_MS, before=last)
        last = held[-1] if held else last
    return found


def _given(told: Sequence[Hours], heard: Sequence[bool], first: int) -> Sequence[float | None]:
    """The part that was given away in each hour; None where that is not known.

    Nothing was given where the GPU was heard all hour and told of no holder in it: gateways say
    nothing of a GPU that nobody has.
    """
    found: list[float | None] = []
    for at, is_heard in enumerate(heard):
        some = [part[first + at] for part in told if first + at in part]
        if any(hour.covered_ms < MEASURED * HOUR_MS for hour in some):
            found.append(None)
        elif some:
            found.append(min(sum(hour.mean for hour in some), 1.0))
        else:
            found.append(0.0 if is_heard else None)
    return found


def _used(
    own: Sequence[tuple[GpuHistory, Sequence[float | None]]], hours: int
) -> Sequence[float | None]:
    """GPUs of a node that somebody had; None where one of them says nothing."""
    told = [
        parts
        if history.held
        else [None if part is None else float(part >= AT_WORK) for part in history.activity]
        for history, parts in own
    ]
    found: list[float | None] = []
    for at in range(hours):
        known = [value for one in told if (value := one[at]) is not None]
        found.append(sum(known) if len(known) == len(told) else None)
    return found


def _mean(several: Sequence[Sequence[float | None]], hours: int) -> Sequence[float | None]:
    """Hour by hour the mean; None where one of them is not known."""
    found: list[float | None] = []
    for at in range(hours):
        known = [value for one in several if (value := one[at]) is not None]
        found.append(sum(known) / len(known) if len(known) == len(several) else None)
    return found


def _running(
    site: Site,
    node: Node,
    gpus: Sequence[Gpu],
    latest: Mapping[Series, Point],
    places: GpuPlaces,
) -> list[Running]:
    """Who has GPUs of a node now, by what these last said."""
    held: defaultdict[tuple[str, int], list[tuple[int, float]]] = defaultdict(list)
    for number, gpu in enumerate(gpus):
        for name in (gpu.resource, *gpu.parts):
            holder = _value(latest, Series(site.name, gpu.agent, name, "runs_on"))
            part = _value(latest, Series(site.name, gpu.agent, name, "share"))
            if part is None and name == gpu.resource:
                part = 1.0  # it is held whole
            if holder is not None and part:
                held[gpu.agent, round(holder)].append((number, part))
    found: list[Running] = []
    for (agent, holder), parts in sorted(held.items()):
        guest = places.guest(agent, holder)
        if guest is None:
            continue  # the host itself holds it, or a guest that said nothing of late
        cores = _value(latest, Series(site.name, agent, guest, "processors"))
        whole = len({number for number, _ in parts})
        milli = round(sum(part for _, part in parts) / whole * WHOLE)
        found.append(
            Running(
                workload=Workload(
                    id=f"{agent}/{guest}",
                    gpus=whole,
                    gpu_milli=min(max(milli, 1), WHOLE) if whole == 1 else WHOLE,
                    cpu_milli=0 if cores is None else round(cores * 1000),
                ),
                node=node.name,
                gpus=tuple(sorted({number for number, _ in parts})),
            )
        )
    return found


def _value(latest: Mapping[Series, Point], series: Series) -> float | None:
    point = latest.get(series)
    return None if point is None else point.value
