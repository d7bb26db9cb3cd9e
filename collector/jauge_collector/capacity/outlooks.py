"""Use of each limit and pool over the past, hour by hour: what forecasts are made from.

GPUs and their memory by the kind of GPU: what was given away, or, on nodes that tell of no holder,
how many were at work and the memory in use. Power by rack and heat by room: what their nodes drew;
by breaker what of it would flow there, with all feeds and with each one lost. An hour in which a
part is not known is not known.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from jauge_models.capacity.fullness import Limit
from jauge_models.capacity.inventory import Node, Plant, Rack
from jauge_models.capacity.limit_use import breaker_name
from jauge_models.capacity.outlook import Counted, Measure, PoolHistory, UseHistory

from jauge_collector.capacity.gpu_hours import Hourly
from jauge_collector.capacity.past import NodeUse, Past


def uses(plant: Plant, past: Past) -> Iterator[UseHistory]:
    """The histories of the limits of a plant; a limit of which nothing was measured is left out."""
    for one in (
        *_of_gpus(plant, past),
        *_of_racks(plant, past),
        *_of_breakers(plant, past),
        *_of_rooms(plant, past),
    ):
        if any(value is not None for value in one.values):
            yield one


def pools(plant: Plant, past: Past) -> Iterator[PoolHistory]:
    """Activity and power of each kind of GPU; what was never measured is left out."""
    kinds = {kind.name: kind for kind in plant.kinds}
    for gpu, nodes in _by_gpu(plant).items():
        weights = [kinds[node.kind].gpus for node in nodes]
        busy = _weighed(
            [_gpus(past, node, lambda use: use.activity) for node in nodes],
            [weight / sum(weights) for weight in weights],
            past.use_hours,
        )
        drawn = _summed([past.node_w.get(node.name, ()) for node in nodes], past.power_hours)
        for measure, start_ms, values in (
            (Measure.ACTIVITY, past.use_start_ms, busy),
            (Measure.POWER, past.power_start_ms, drawn),
        ):
            if any(value is not None for value in values):
                yield PoolHistory(
                    pool=gpu, measure=measure, start_ms=start_ms, values=tuple(values)
                )


def _by_gpu(plant: Plant) -> Mapping[str, list[Node]]:
    kinds = {kind.name: kind for kind in plant.kinds}
    found: defaultdict[str, list[Node]] = defaultdict(list)
    for node in plant.nodes:
        kind = kinds[node.kind]
        if kind.gpu and kind.gpus:
            found[kind.gpu].append(node)
    return found


def _of_gpus(plant: Plant, past: Past) -> Iterator[UseHistory]:
    kinds = {kind.name: kind for kind in plant.kinds}
    for gpu, nodes in _by_gpu(plant).items():
        told = [past.uses[node.name] for node in nodes if node.name in past.uses]
        memory = sum(kinds[node.kind].gpus * kinds[node.kind].gpu_memory_mib for node in nodes)
        yield UseHistory(
            limit=Limit.GPUS,
            place=gpu,
            start_ms=past.use_start_ms,
            values=tuple(
                _summed([_gpus(past, node, lambda use: use.used) for node in nodes], past.use_hours)
            ),
            of=float(sum(kinds[node.kind].gpus for node in nodes)),
            counted=_counted(use.counted for use in told),
        )
        yield UseHistory(
            limit=Limit.GPU_MEMORY,
            place=gpu,
            start_ms=past.use_start_ms,
            values=tuple(
                _summed(
                    [_gpus(past, node, lambda use: use.memory_mib) for node in nodes],
                    past.use_hours,
                )
            ),
            of=float(memory) or None,
            counted=_counted(use.memory_counted for use in told),
        )


def _counted(several: Iterator[Counted]) -> Counted:
    found = set(several)
    return found.pop() if len(found) == 1 else Counted.MIXED


def _of_racks(plant: Plant, past: Past) -> Iterator[UseHistory]:
    for rack in plant.racks:
        nodes = [node.name for node in plant.nodes if node.rack == rack.name]
        yield _drawn(Limit.RACK_POWER, rack.name, _watts(past, nodes), rack.power_w, past)


def _of_rooms(plant: Plant, past: Past) -> Iterator[UseHistory]:
    rooms = {rack.name: rack.room for rack in plant.racks}
    for room in plant.rooms:
        nodes = [node.name for node in plant.nodes if rooms.get(node.rack) == room.name]
        yield _drawn(Limit.ROOM_COOLING, room.name, _watts(past, nodes), room.cooling_w, past)


def _of_breakers(plant: Plant, past: Past) -> Iterator[UseHistory]:
    for rack in plant.racks:
        nodes = [node for node in plant.nodes if node.rack == rack.name and node.supplies]
        watts = {node.name: past.node_w.get(node.name, ()) for node in nodes}
        for supply in rack.supplies:
            worst: list[float | None] = []
            for parts in _ways(rack, nodes, supply.name):
                flows = _weighed(
                    [watts[name] for name in parts], list(parts.values()), past.power_hours
                )
                pairs = zip(worst or flows, flows, strict=True)
                worst = [_higher(*pair) for pair in pairs]
            name = breaker_name(rack.name, supply.name)
            yield _drawn(Limit.BREAKER, name, worst, supply.watts, past)


def _ways(rack: Rack, nodes: Sequence[Node], supply: str) -> Iterator[Mapping[str, float]]:
    """What part of each node's draw a breaker bears: with all feeds, and with each one lost.

    As `siting.rack_loads` splits it: evenly over those of a node's breakers whose feed stands.
    """
    feeds = {one.name: one.feed for one in rack.supplies}
    for lost in (None, *sorted(set(feeds.values()) - {feeds[supply]})):
        parts: dict[str, float] = {}
        for node in nodes:
            standing = [name for name in dict.fromkeys(node.supplies) if feeds.get(name) != lost]
            if supply in standing:
                parts[node.name] = 1 / len(standing)
        if parts:
            yield parts


def _higher(one: float | None, other: float | None) -> float | None:
    """None where either is not known: the other might be higher."""
    return None if one is None or other is None else max(one, other)


def _drawn(
    limit: Limit, place: str, values: Sequence[float | None], of: float | None, past: Past
) -> UseHistory:
    return UseHistory(
        limit=limit, place=place, start_ms=past.power_start_ms, values=tuple(values), of=of
    )


def _watts(past: Past, nodes: Sequence[str]) -> list[float | None]:
    return _summed([past.node_w.get(name, ()) for name in nodes], past.power_hours)


def _gpus(past: Past, node: Node, of: Callable[[NodeUse], Hourly]) -> Hourly:
    use = past.uses.get(node.name)
    return () if use is None else of(use)


def _summed(several: Sequence[Hourly], hours: int) -> list[float | None]:
    return _weighed(several, [1.0] * len(several), hours)


def _weighed(several: Sequence[Hourly], weights: Sequence[float], hours: int) -> list[float | None]:
    """Hour by hour the weighed sum; None where a part is not known, or where there is none."""
    if not several or any(len(one) != hours for one in several):
        return [None] * hours
    found: list[float | None] = []
    for hour in zip(*several, strict=True):
        parts = [
            value * weight for value, weight in zip(hour, weights, strict=True) if value is not None
        ]
        found.append(sum(parts) if len(parts) == len(hour) else None)
    return found
