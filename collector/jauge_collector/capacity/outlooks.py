"""Use of each limit over the past, hour by hour: what a forecast of it is made from.

GPUs by their kind: what was given away, or, on nodes that tell of no holder, how many were at work.
Power by rack and heat by room: what their nodes drew. An hour in which a part is not known is not
known.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from jauge_models.capacity.fullness import Limit
from jauge_models.capacity.inventory import Plant
from jauge_models.capacity.outlook import UseHistory

from jauge_collector.capacity.past import Past


def uses(plant: Plant, past: Past) -> Iterator[UseHistory]:
    """The histories of the limits of a plant; a limit of which nothing was measured is left out."""
    kinds = {kind.name: kind for kind in plant.kinds}
    of_gpus: defaultdict[str, list[str]] = defaultdict(list)
    in_rack: defaultdict[str, list[str]] = defaultdict(list)
    in_room: defaultdict[str, list[str]] = defaultdict(list)
    rooms = {rack.name: rack.room for rack in plant.racks}
    for node in plant.nodes:
        if kinds[node.kind].gpu:
            of_gpus[kinds[node.kind].gpu].append(node.name)
        in_rack[node.rack].append(node.name)
        in_room[rooms.get(node.rack, "")].append(node.name)
    count = {node.name: kinds[node.kind].gpus for node in plant.nodes}
    powers = past.node_w
    found: list[tuple[Limit, str, Sequence[float | None], float | None]] = []
    for gpu, nodes in of_gpus.items():
        used = _summed([past.used.get(node, ()) for node in nodes], past.hours)
        found.append((Limit.GPUS, gpu, used, float(sum(count[node] for node in nodes))))
    for rack in plant.racks:
        drawn = _summed([powers.get(n, ()) for n in in_rack[rack.name]], past.power_hours)
        found.append((Limit.RACK_POWER, rack.name, drawn, rack.power_w))
    for room in plant.rooms:
        drawn = _summed([powers.get(n, ()) for n in in_room[room.name]], past.power_hours)
        found.append((Limit.ROOM_COOLING, room.name, drawn, room.cooling_w))
    for limit, place, values, of in found:
        if any(value is not None for value in values):
            start_ms = past.start_ms if limit is Limit.GPUS else past.power_start_ms
            yield UseHistory(
                limit=limit, place=place, start_ms=start_ms, values=tuple(values), of=of
            )


def _summed(several: Sequence[Sequence[float | None]], hours: int) -> list[float | None]:
    """Hour by hour the sum; None where a part is not known."""
    found: list[float | None] = []
    for at in range(hours):
        known = [one[at] for one in several if len(one) > at]
        some = [value for value in known if value is not None]
        found.append(sum(some) if some and len(some) == len(several) else None)
    return found
