"""What the nodes of a plant did: energy from the ledger, GPUs from the store, by the hour.

Power of a node is its rows of the ledger; activity and power of a GPU are hourly means of its
readings, and so is the part of it that somebody was given. An hour that was not measured well
enough is None, never zero.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from jauge_models.capacity.answer import History, Running
from jauge_models.capacity.history import TooLittleHistory
from jauge_models.capacity.idle_gpus import GpuHistory
from jauge_models.capacity.inventory import WHOLE, Node, NodeKind
from jauge_models.capacity.outlook import Counted
from jauge_models.capacity.placement import Workload
from jauge_models.capacity.power_curves import LATEST, PowerCurve, learn
from jauge_models.intervals import Basis, Point
from jauge_models.resources import Series, kind_of

from jauge_collector.capacity import gpu_hours, gpu_lives
from jauge_collector.capacity.gpu_hours import HOUR_MS, MEASURED, GpuHours, Hourly
from jauge_collector.capacity.gpu_places import Gpu, GpuPlaces
from jauge_collector.capacity.plant_file import DeclaredPlant
from jauge_collector.ledger.book import Ledger
from jauge_collector.sites import Site
from jauge_collector.stores import Store

WEEKS: Final = 8
"""Of the past of GPUs one by one: what curves are learnt from, and what idle ones drew."""
YEAR_WEEKS: Final = 53
"""Of hours of nodes: days to full are told of no more than half of what is known."""
FRESH: Final = 800
"""Weeks of series that are read beside the last `WEEKS`, so that a first reading ends soon."""
AT_WORK: Final = 0.05
"""Activity from which a GPU is at work."""
_GPUS_AT_ONCE: Final = 16
"""Of which a year of hours is held at a time, each beside a month of readings of one series."""
_HELD: Final = frozenset({"gpu", "gpu_instance", "guest"})
_OF_HOLDERS: Final = frozenset({"runs_on", "share", "processors", "cpu_utilisation"})
_NOT_MEASURED: Final = frozenset({Basis.ATTESTED, Basis.ESTIMATE})
NOW_MS: Final = 600_000
"""What a GPU said of its holder within this long says who holds it now."""

Progress = Callable[[int, int], None]
"""Is told how many nodes were read, and how many there are."""


class NodeUse(NamedTuple):
    """What the GPUs of a node did together, hour by hour; None where one of them is not known.

    Nor is an hour known in which more were there (`gpu_lives`) than its kind has. Where fewer were,
    only what holders have is: gateways may tell of no others.
    """

    used: Hourly
    """How many somebody had; of those that tell of no holder, how many were at work."""
    counted: Counted
    activity: Hourly
    """Mean over its GPUs."""
    memory_mib: Hourly
    """What holders were given, else what its GPUs report in use."""
    memory_counted: Counted


class Past(NamedTuple):
    """What was measured, and of which kinds too little was, by code of what is missing.

    All hours end together: those of single GPUs, of nodes' GPUs, of nodes' power.
    """

    history: History
    unlearnt: Mapping[str, str]
    start_ms: int
    hours: int
    power_start_ms: int
    power_hours: int
    node_w: Mapping[str, Hourly]
    """By node: its mean power in each hour."""
    uses: Mapping[str, NodeUse]
    """By node that has GPUs of which something is told."""
    use_start_ms: int = 0
    use_hours: int = 0
    """As far back as GPUs are read by now; `YEAR_WEEKS` once all is kept."""
    names: Mapping[str, Sequence[str]] = {}
    """By node: its GPUs as ``agent/resource``, in the order of their numbers."""


async def read(
    site: Site,
    declared: DeclaredPlant,
    ledger: Ledger,
    store: Store,
    now_ms: int,
    *,
    weeks: int = WEEKS,
    fresh: int | None = FRESH,
    progress: Progress | None = None,
) -> Past:
    """The last whole hours before ``now_ms``: ``weeks`` of each GPU, `YEAR_WEEKS` of nodes.

    Of GPUs as far back as hours are kept and ``fresh`` weeks of series more; None: all of it,
    however long that takes. What was said after ``now_ms`` does not count, so that a moment gone by
    is read again alike.

    Raises LedgerError, StoreError.
    """
    end_ms = now_ms // HOUR_MS * HOUR_MS
    hours = weeks * gpu_hours.WEEK_MS // HOUR_MS
    year_ms = end_ms - YEAR_WEEKS * gpu_hours.WEEK_MS
    known = frozenset(await store.series(site.name))
    latest = await _latest(store, known, now_ms)
    described = ledger.descriptions(site.name, now_ms)
    places = GpuPlaces(site, declared, known, latest, described)
    nodes = _nodes(site, declared, places, known)
    every_gpu = [gpu for node in nodes for gpu in node.gpus]
    heard = await gpu_lives.heard(store, every_gpu, known, year_ms, now_ms)
    told_ms = gpu_hours.first_told([one for node in nodes for one in node.series], heard.first_ms)
    known_weeks = YEAR_WEEKS
    if fresh is not None:
        known_weeks = await gpu_hours.weeks_known(
            store,
            ledger,
            [one for node in nodes for one in node.series],
            end_ms,
            weeks=(weeks, YEAR_WEEKS),
            fresh=fresh,
        )
    use_start_ms = end_ms - known_weeks * gpu_hours.WEEK_MS
    watts: dict[str, Hourly] = {}
    histories: list[GpuHistory] = []
    uses: dict[str, NodeUse] = {}
    running: list[Running] = []
    steps: defaultdict[str, list[tuple[int, str, float | None, float | None]]] = defaultdict(list)
    for some in _batches(nodes):
        every = [one for node in some for one in node.series]
        span = use_start_ms, end_ms
        told = iter(await gpu_hours.read(store, ledger, site.name, every, span, told_ms))
        for node in some:
            name = node.node.name
            # One after the other: a year of rows of all nodes at once would not fit in memory.
            watts[name] = host_watts(site, declared.hosts[name], ledger, (year_ms, end_ms))
            own = [next(told) for _ in node.gpus]
            lives = [heard.life(gpu) for gpu in node.gpus]
            there = gpu_lives.there(lives, own, use_start_ms)
            if own:
                uses[name] = use = _use(node.kind, own, there)
                histories += (
                    _history(name, at, one, hours)
                    for at, one in enumerate(own)
                    if any(there[at][-hours:])
                )
                pairs = zip(use.activity[-hours:], watts[name][-hours:], strict=True)
                steps[node.kind.name] += (
                    (at, name, activity, drawn) for at, (activity, drawn) in enumerate(pairs)
                )
            # Those that are gone last: the kind has no number for more than were there at once.
            gone = [
                bool(life and life.last_ms < end_ms and hours and not hours[-1])
                for life, hours in zip(lives, there, strict=True)
            ]
            now = sorted(range(len(gone)), key=gone.__getitem__)
            running += _running(site, node.node, [node.gpus[at] for at in now], latest, places)
            if progress is not None:
                progress(len(watts), len(nodes))
    curves, unlearnt = _curves(declared, steps)
    return Past(
        history=History(curves=curves, gpus=tuple(histories), running=tuple(running)),
        unlearnt=unlearnt,
        start_ms=end_ms - hours * HOUR_MS,
        hours=hours,
        power_start_ms=year_ms,
        power_hours=(end_ms - year_ms) // HOUR_MS,
        node_w=watts,
        uses=uses,
        use_start_ms=use_start_ms,
        use_hours=(end_ms - use_start_ms) // HOUR_MS,
        names={
            node.node.name: tuple(f"{gpu.agent}/{gpu.resource}" for gpu in node.gpus)
            for node in nodes
            if node.gpus
        },
    )


class _Node(NamedTuple):
    """A node with its GPUs and what may be read of them."""

    node: Node
    kind: NodeKind
    gpus: Sequence[Gpu]
    series: Sequence[gpu_hours.GpuSeries]


def _nodes(
    site: Site, declared: DeclaredPlant, places: GpuPlaces, known: frozenset[Series]
) -> list[_Node]:
    kinds = {kind.name: kind for kind in declared.plant.kinds}
    found: list[_Node] = []
    for node in declared.plant.nodes:
        kind, gpus = kinds[node.kind], places.of(node)
        series = [gpu_hours.series_of(site.name, gpu, kind.gpu_memory_mib, known) for gpu in gpus]
        found.append(_Node(node, kind, gpus, series))
    return found


def _batches(nodes: Iterable[_Node]) -> Iterator[list[_Node]]:
    """Nodes in their order, together up to `_GPUS_AT_ONCE` or one that has more."""
    some: list[_Node] = []
    for node in nodes:
        if some and sum(len(one.gpus) for one in (*some, node)) > _GPUS_AT_ONCE:
            yield some
            some = []
        some.append(node)
    if some:
        yield some


def _curves(
    declared: DeclaredPlant,
    steps: Mapping[str, Sequence[tuple[int, str, float | None, float | None]]],
) -> tuple[dict[str, PowerCurve], dict[str, str]]:
    """The curve of each kind of node, or what is missing to learn it."""
    curves: dict[str, PowerCurve] = {}
    unlearnt: dict[str, str] = {}
    for kind in declared.plant.kinds:
        some = sorted(steps.get(kind.name, ()), key=lambda step: step[:2])
        try:
            curves[kind.name] = learn(
                [activity for _, _, activity, _ in some],
                [drawn for *_, drawn in some],
                # So many of each node: more nodes must not make the past that counts shorter.
                latest=LATEST * max(1, len({name for _, name, _, _ in some})),
            )
        except TooLittleHistory as little:
            unlearnt[kind.name] = little.missing
    return curves, unlearnt


async def _latest(store: Store, known: Iterable[Series], now_ms: int) -> dict[Series, Point]:
    """What GPUs and guests last said of who holds what, within `NOW_MS`."""
    some = [
        series
        for series in known
        if kind_of(series.resource) in _HELD and series.quantity in _OF_HOLDERS
    ]
    found = await store.read(some, now_ms - NOW_MS, now_ms)
    return {series: points[-1] for series, points in found.items() if points}


def host_watts(site: Site, host: str, ledger: Ledger, span: tuple[int, int]) -> Hourly:
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


def _history(node: str, number: int, one: GpuHours, hours: int) -> GpuHistory:
    """The last hours of a GPU, for what it did alone."""
    given = one.given
    return GpuHistory(
        node=node,
        gpu=number,
        activity=tuple(one.activity[-hours:]),
        watts=tuple(one.watts[-hours:]),
        held=()
        if given is None
        else tuple(None if part is None else part >= 1 / WHOLE for part in given[-hours:]),
    )


def _use(kind: NodeKind, own: Sequence[GpuHours], there: Sequence[Sequence[bool]]) -> NodeUse:
    parts: list[Hourly] = []
    memory: list[Hourly] = []
    for one in own:
        if one.given is None:
            parts.append(
                [None if part is None else float(part >= AT_WORK) for part in one.activity]
            )
            memory.append(one.memory_mib)
        else:
            parts.append(one.given)
            memory.append(
                [
                    None if part is None or not kind.gpu_memory_mib else part * kind.gpu_memory_mib
                    for part in one.given
                ]
            )
    told = {one.given is not None for one in own}
    # Of a GPU that nobody has a gateway may say nothing at all; what all of them did it says not.
    least = 1 if told == {True} else kind.gpus
    busy = _summed([one.activity for one in own], there, kind.gpus, kind.gpus)
    return NodeUse(
        used=_summed(parts, there, least, kind.gpus),
        counted=_counted(told, Counted.AT_WORK),
        activity=[None if value is None else value / kind.gpus for value in busy],
        memory_mib=_summed(memory, there, least, kind.gpus),
        memory_counted=_counted(told, Counted.MEMORY_USED),
    )


def _counted(told: set[bool], otherwise: Counted) -> Counted:
    if told == {True}:
        return Counted.GIVEN
    return otherwise if told == {False} else Counted.MIXED


def _summed(
    several: Sequence[Hourly], there: Sequence[Sequence[bool]], least: int, most: int
) -> Hourly:
    """Hour by hour the sum over those that were there.

    None where one of these is not known, none was, fewer than ``least``, or more than ``most``.
    """
    found: list[float | None] = []
    for values, present in zip(zip(*several, strict=True), zip(*there, strict=True), strict=True):
        own = [value for value, is_there in zip(values, present, strict=True) if is_there]
        known = [value for value in own if value is not None]
        told = max(least, 1) <= len(own) <= most and len(known) == len(own)
        found.append(sum(known) if told else None)
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
