"""Small plants with every kind of limit, and workloads for them, as hypothesis draws them."""

from collections.abc import Mapping
from typing import Final

from hypothesis import strategies as st
from jauge_models.capacity.inventory import Node, NodeKind, Plant, Rack, Room, Supply
from jauge_models.capacity.limit_use import LimitUse, breaker_uses
from jauge_models.capacity.workloads import Spread, Workload

IDLE_W: Final[Mapping[str, float]] = {"quad": 400.0, "pair": 200.0, "cut": 300.0}

KINDS: Final = (
    NodeKind(
        name="quad",
        gpu="G",
        gpus=4,
        gpu_memory_mib=81920,
        cpu_milli=64000,
        memory_mib=524288,
        nameplate_w=3000.0,
        cap_w=2400.0,
    ),
    NodeKind(
        name="pair", gpu="S", gpus=2, gpu_memory_mib=24576, cpu_milli=32000, memory_mib=131072
    ),
    NodeKind(
        name="cut",
        gpu="G",
        gpus=2,
        gpu_memory_mib=81920,
        slices=7,
        cpu_milli=32000,
        memory_mib=262144,
        nameplate_w=1800.0,
    ),
)


def overloaded(plant: Plant) -> list[LimitUse]:
    """Breakers that nodes at their most overload, with all feeds standing or with one lost."""
    return [use for use in breaker_uses(plant) if use.used > use.of + 1e-6]


_WATTS = st.sampled_from([None, 900.0, 1500.0, 2600.0, 6000.0])
_AMPERES = st.sampled_from([3.0, 4.0, 6.0, 32.0])


@st.composite
def plants(draw: st.DrawFn, most_nodes: int = 5) -> Plant:
    """One or two racks in one or two rooms; supplies, limits and nodes at random."""
    racks: list[Rack] = []
    nodes: list[Node] = []
    for name in draw(st.sampled_from([("r1",), ("r1", "r2")])):
        feeds = draw(st.sampled_from([(), ("A",), ("A", "B"), ("A", "B")]))
        supplies = tuple(
            Supply(name=f"{feed}{phase}", feed=feed, phase=str(phase), amperes=draw(_AMPERES))
            for feed in feeds
            for phase in range(draw(st.integers(1, 2)))
        )
        room = draw(st.sampled_from(["", "hall", "cell"]))
        racks.append(Rack(name=name, room=room, supplies=supplies, power_w=draw(_WATTS)))
    for at in range(draw(st.integers(1, most_nodes))):
        rack = draw(st.sampled_from([*racks, None]))
        names = [supply.name for supply in rack.supplies] if rack else []
        ways = [names, names, names[:1], []]
        plugged = draw(st.sampled_from(ways))
        nodes.append(
            Node(
                name=f"n{at}",
                kind=draw(st.sampled_from(KINDS)).name,
                rack=rack.name if rack else "",
                supplies=tuple(plugged),
            )
        )
    rooms = tuple(Room(name=name, cooling_w=draw(_WATTS)) for name in ("hall", "cell"))
    return Plant(kinds=KINDS, nodes=tuple(nodes), racks=tuple(racks), rooms=rooms)


@st.composite
def workloads(draw: st.DrawFn, most: int = 12) -> list[Workload]:
    """Shares, single GPUs and several; with watts, memory, groups, and some without a GPU."""
    found: list[Workload] = []
    for at in range(draw(st.integers(1, most))):
        gpus = draw(st.sampled_from([0, 1, 1, 1, 1, 2, 4]))
        found.append(
            Workload(
                id=f"w{at}",
                gpu_kinds=draw(st.sampled_from([(), (), ("G",), ("S",)])),
                gpus=gpus,
                gpu_milli=draw(st.sampled_from([1000, 500, 300, 140])) if gpus == 1 else 1000,
                gpu_memory_mib=draw(st.sampled_from([0, 20000, 60000])),
                cpu_milli=draw(st.sampled_from([0, 4000, 16000])),
                memory_mib=draw(st.sampled_from([0, 32768, 100000])),
                watts=draw(st.sampled_from([0.0, 150.5, 400.0])),
                group=draw(st.sampled_from(["", "", "g"])),
                spread=draw(st.sampled_from(list(Spread))),
            )
        )
    return found
