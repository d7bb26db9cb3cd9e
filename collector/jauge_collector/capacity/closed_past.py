"""What GPUs of a plant did up to the end of a quarter, also of hours that the store forgot.

A report tells of it, and closing keeps what it told: hours of nodes' GPUs over the year that limits
are judged by, of each GPU those of the quarter. They lie in the evidence of the edition under the
quantity `QUANTITY`; an hour that readings give counts as they give it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec
from jauge_models.capacity.idle_gpus import GpuHistory
from jauge_models.capacity.outlook import Counted
from jauge_models.configuration import ConfigurationError

from jauge_collector.capacity import past
from jauge_collector.capacity.gpu_hours import HOUR_MS, Hourly
from jauge_collector.capacity.past import NodeUse, Past, Progress
from jauge_collector.capacity.planning import plant_of
from jauge_collector.capacity.plant_file import DeclaredPlant
from jauge_collector.compliance import evidence_file
from jauge_collector.compliance.evidence_file import Sensor
from jauge_collector.compliance.intake import Hour, Hours
from jauge_collector.compliance.sources import Sources

QUANTITY: Final = "capacity"
_WEEKS: Final = 14
"""Of single GPUs: a quarter is 92 days at most."""
_USED, _ACTIVITY, _MEMORY = "used", "activity", "memory"
"""Of a node, as ``used/COUNTED/NODE``."""
_GPU_ACTIVITY, _GPU_WATTS, _GPU_HELD = "gpu_activity", "gpu_watts", "gpu_held"
"""Of a GPU, as ``gpu_activity/AGENT/RESOURCE/NODE``."""

_OF_NODE: Final = frozenset({_USED, _ACTIVITY, _MEMORY})
_OF_GPU: Final = frozenset({_GPU_ACTIVITY, _GPU_WATTS, _GPU_HELD})

_Known = Mapping[str, Mapping[int, float]]
"""Values by the name of what they are of, and by the hour since the epoch."""
_Edition = Iterable[tuple[str, Sequence[tuple[int, float]]]]
"""What one closing kept: by name the hours in order, with their values."""


async def of_quarter(
    sources: Sources,
    declared: DeclaredPlant,
    span: tuple[int, int],
    end_ms: int,
    *,
    progress: Progress | None = None,
) -> Past:
    """All that is known up to ``end_ms`` in a quarter [start, end).

    All of it is read, however long that takes, so that a report does not say otherwise once more
    hours are kept. Raises LedgerError, StoreError, and ConfigurationError where an archive is not
    what was kept.
    """
    site, ledger, store = sources.site, sources.ledger, sources.store
    found = await past.read(
        site, declared, ledger, store, end_ms, weeks=_WEEKS, fresh=None, progress=progress
    )
    kept = together(
        (
            (
                (name, [(at, hour.mean) for at, hour in hours])
                for name, hours in evidence_file.hours(sources, edition, QUANTITY)
            )
            for edition in evidence_file.editions(sources, found.use_start_ms, span[1])
        ),
        gpus_from_ms=found.start_ms,
    )
    return completed(found, declared, kept) if kept else found


async def to_keep(sources: Sources, span: tuple[int, int]) -> dict[Sensor, Hours]:
    """What closing a quarter that is over keeps of it; nothing where no plant can be used.

    Raises as `of_quarter`.
    """
    if sources.site.capacity.plant is None:
        return {}
    try:
        declared = plant_of(sources.site, span[1])
    except ConfigurationError:
        return {}  # the report says why, and tells of nothing else
    found = await of_quarter(sources, declared, span, span[1])
    return {(name, QUANTITY): hours for name, hours in hours_by_name(found) if hours}


def hours_by_name(found: Past) -> Iterator[tuple[str, Hours]]:
    """Known hours of nodes and GPUs under the names that they are kept by."""
    for node, use in found.uses.items():
        for what, counted, values in (
            (_USED, use.counted, use.used),
            (_ACTIVITY, Counted.AT_WORK, use.activity),
            (_MEMORY, use.memory_counted, use.memory_mib),
        ):
            yield f"{what}/{counted.value}/{node}", _hours(values, found.use_start_ms)
    for gpu in found.history.gpus:
        of = f"{found.names[gpu.node][gpu.gpu]}/{gpu.node}"
        yield f"{_GPU_ACTIVITY}/{of}", _hours(gpu.activity, found.start_ms)
        yield f"{_GPU_WATTS}/{of}", _hours(gpu.watts, found.start_ms)
        yield f"{_GPU_HELD}/{of}", _hours(gpu.held, found.start_ms)


def _hours(values: Sequence[float | bool | None], start_ms: int) -> Hours:
    first = start_ms // HOUR_MS
    return {
        first + at: Hour(HOUR_MS, float(value))
        for at, value in enumerate(values)
        if value is not None
    }


# --- put together


def together(editions: Iterable[_Edition], *, gpus_from_ms: int) -> _Known:
    """What editions kept, in the order in which they count: each hour as the first that has it.

    An hour of a node is there once, whatever was counted in it. Of a single GPU no hour before
    ``gpus_from_ms`` is asked for: of these only the last is held, which says until when the GPU was
    there.
    """
    first = gpus_from_ms // HOUR_MS
    kept: defaultdict[str, dict[int, float]] = defaultdict(dict)
    for edition in editions:
        for name, hours in edition:
            what, _, rest = name.partition("/")
            if what in _OF_GPU:
                for at, value in (*hours[-1:], *(one for one in hours if one[0] >= first)):
                    kept[name].setdefault(at, value)
            elif what in _OF_NODE:
                node = rest.partition("/")[2]
                alike = [
                    kept[other] for each in Counted if (other := f"{what}/{each}/{node}") in kept
                ]
                kept[name] |= {
                    at: value for at, value in hours if not any(at in of for of in alike)
                }
    return kept


def completed(found: Past, declared: DeclaredPlant, kept: _Known) -> Past:
    """The past with the hours that were kept where it has none."""
    uses: dict[str, NodeUse] = {}
    names: dict[str, Sequence[str]] = {}
    gpus: list[GpuHistory] = []
    kept_gpus = _gpus_by_node(kept)
    own_gpus = {(gpu.node, found.names[gpu.node][gpu.gpu]): gpu for gpu in found.history.gpus}
    for node in (node.name for node in declared.plant.nodes):
        own, before = found.uses.get(node), _kept_use(found, node, kept)
        if own is not None:
            there = found.names.get(node, ())
            lost = [last for name, last in kept_gpus.get(node, {}).items() if name not in there]
            since = max(lost, default=-1) + 1 - found.use_start_ms // HOUR_MS
            own = _since(own if before is None else _uncut(own, before), since)
        if own is not None and before is not None:
            uses[node] = _joined(own, before)
        elif (use := own or before) is not None:
            uses[node] = use
        every = {*found.names.get(node, ()), *kept_gpus.get(node, ())}
        for number, name in enumerate(sorted(every, key=_by_resource)):
            one = own_gpus.get((node, name), GpuHistory(node=node, gpu=0, activity=(), watts=()))
            gpus.append(_gpu(found, msgspec.structs.replace(one, gpu=number), name, kept))
        if every:
            names[node] = sorted(every, key=_by_resource)
    history = msgspec.structs.replace(found.history, gpus=tuple(gpus))
    return found._replace(history=history, uses=uses, names=names)


def _by_resource(name: str) -> tuple[str, str]:
    agent, _, resource = name.partition("/")
    return resource, agent


def _gpus_by_node(kept: _Known) -> Mapping[str, Mapping[str, int]]:
    """By node and GPU: its last hour that was kept."""
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for name, hours in kept.items():
        what, _, rest = name.partition("/")
        if what in _OF_GPU and hours:
            agent, resource, node = rest.split("/", 2)
            gpu = f"{agent}/{resource}"
            found[node][gpu] = max(found[node].get(gpu, 0), *hours)
    return found


def _kept_use(found: Past, node: str, kept: _Known) -> NodeUse | None:
    """What was kept of a node, over the hours that are asked for."""

    def of(what: str) -> tuple[Hourly, Counted | None]:
        """Its values, and what was counted: several where editions differ."""
        values: Hourly = (None,) * found.use_hours
        counted: set[Counted] = set()
        for each in Counted:
            if hours := kept.get(f"{what}/{each.value}/{node}"):
                values = _filled(values, found.use_start_ms, hours)
                counted.add(each)
        return values, _one(counted)

    used, counted = of(_USED)
    memory, of_memory = of(_MEMORY)
    activity, _ = of(_ACTIVITY)
    if all(value is None for value in (*used, *memory, *activity)):
        return None
    return NodeUse(
        used=used,
        counted=counted or Counted.AT_WORK,
        activity=activity,
        memory_mib=memory,
        memory_counted=of_memory or Counted.MEMORY_USED,
    )


def _one(several: set[Counted]) -> Counted | None:
    if len(several) > 1:
        return Counted.MIXED
    return next(iter(several), None)


def _joined(first: NodeUse, second: NodeUse) -> NodeUse:
    """The hours of the first, and of the second those that it lacks, with what they count."""
    lacks = all(value is None for value in first.used)
    return NodeUse(
        used=_either(first.used, second.used),
        counted=second.counted if lacks else first.counted,
        activity=_either(first.activity, second.activity),
        memory_mib=_either(first.memory_mib, second.memory_mib),
        memory_counted=second.memory_counted if lacks else first.memory_counted,
    )


def _either(first: Sequence[float | None], second: Sequence[float | None]) -> Hourly:
    return [two if one is None else one for one, two in zip(first, second, strict=True)]


def _since(own: NodeUse, first: int) -> NodeUse:
    """Without the hours before: readings that lack a GPU of then tell of less than the node."""
    gone = max(first, 0)

    def of(values: Sequence[float | None]) -> Hourly:
        return [None if at < gone else value for at, value in enumerate(values)]

    return own._replace(used=of(own.used), activity=of(own.activity), memory_mib=of(own.memory_mib))


def _uncut(own: NodeUse, before: NodeUse) -> NodeUse:
    return own._replace(
        used=_uncut_of(own.used, before.used),
        activity=_uncut_of(own.activity, before.activity),
        memory_mib=_uncut_of(own.memory_mib, before.memory_mib),
    )


def _uncut_of(own: Sequence[float | None], before: Sequence[float | None]) -> Hourly:
    """Without the first known hour where it was kept: the store may have forgotten a part of it."""
    first = next((at for at, value in enumerate(own) if value is not None), None)
    return [
        None if at == first and before[at] is not None else value for at, value in enumerate(own)
    ]


def _gpu(found: Past, one: GpuHistory, name: str, kept: _Known) -> GpuHistory:
    """A GPU with the hours that were kept of it."""
    nothing = (None,) * found.hours

    def values(what: str, own: Sequence[float | None]) -> tuple[float | None, ...]:
        hours = kept.get(f"{what}/{name}/{one.node}", {})
        before = _filled(nothing, found.start_ms, hours)
        return tuple(_either(_uncut_of(own or nothing, before), before))

    held = values(_GPU_HELD, one.held)
    return msgspec.structs.replace(
        one,
        activity=values(_GPU_ACTIVITY, one.activity),
        watts=values(_GPU_WATTS, one.watts),
        held=tuple(None if by is None else bool(by) for by in held)
        if one.held or any(by is not None for by in held)
        else (),
    )


def _filled(own: Sequence[float | None], start_ms: int, hours: Mapping[int, float]) -> Hourly:
    first = start_ms // HOUR_MS
    return [hours.get(first + at) if value is None else value for at, value in enumerate(own)]
