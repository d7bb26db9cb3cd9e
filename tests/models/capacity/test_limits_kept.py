"""The judge of packings sees every kind of broken limit, so that what it passes is proven."""

from typing import Any

import pytest
from jauge_models.capacity.inventory import Node, NodeKind, Plant, Rack, Room, Supply
from jauge_models.capacity.workloads import Obstacle, Place, Spread, Workload

from tests.models.capacity.limits_kept import broken_limits

KIND = NodeKind(
    name="k",
    gpu="G",
    gpus=2,
    gpu_memory_mib=1000,
    cpu_milli=1000,
    memory_mib=1000,
    nameplate_w=3000.0,
)
CUT = NodeKind(
    name="cut", gpu="G", gpus=1, gpu_memory_mib=1000, slices=7, cpu_milli=1000, memory_mib=1000
)


def room(*, power_w: float = 1e5, cooling_w: float = 1e5, amperes: float = 1e3) -> Plant:
    """Two nodes on both feeds, one on feed A, one cut in slices, in one rack."""
    return Plant(
        kinds=(KIND, CUT),
        nodes=(
            Node(name="n0", kind="k", rack="r", supplies=("A", "B")),
            Node(name="n1", kind="k", rack="r", supplies=("A",)),
            Node(name="n2", kind="k", rack="r", supplies=("A",)),
            Node(name="n3", kind="cut", rack="r"),
        ),
        racks=(
            Rack(
                name="r",
                room="hall",
                power_w=power_w,
                supplies=tuple(Supply(name=feed, feed=feed, amperes=amperes) for feed in "AB"),
            ),
        ),
        rooms=(Room(name="hall", cooling_w=cooling_w),),
    )


def on(node: str, *gpus: int, name: str = "w", **asked: Any) -> tuple[Workload, Place]:
    """A workload there, which asks for as many GPUs as it is given."""
    asked = {"gpus": len(gpus), **asked}
    return Workload(id=name, **asked), Place(node, gpus)


@pytest.mark.parametrize(
    ("placed", "obstacle"),
    [
        ([on("n0", 0), on("n0", 0, name="v", gpu_milli=1)], Obstacle.GPUS),
        ([on("n0", 2)], Obstacle.GPUS),
        ([on("n0", 0, 1, gpus=1)], Obstacle.GPUS),
        ([on("n0", 0, gpu_kinds=("X",))], Obstacle.GPU_KIND),
        ([on("n0", 0, gpu_memory_mib=1001)], Obstacle.GPU_MEMORY),
        ([on("n0", cpu_milli=1001)], Obstacle.CPU),
        ([on("n0", memory_mib=1001)], Obstacle.MEMORY),
        (
            [
                on("n0", 0, group="g", spread=Spread.NODE),
                on("n0", 1, name="v", group="g"),
            ],
            Obstacle.ANTI_AFFINITY,
        ),
        (
            [
                on("n0", 0, group="g"),
                on("n1", 0, name="v", group="g", spread=Spread.RACK),
            ],
            Obstacle.ANTI_AFFINITY,
        ),
        (
            [
                on("n1", 0, group="g", spread=Spread.FEED),
                on("n2", 0, name="v", group="g"),
            ],
            Obstacle.ANTI_AFFINITY,
        ),
        (
            [on("n3", 0, gpu_milli=500), on("n3", 0, name="v", gpu_milli=500)],
            Obstacle.GPUS,
        ),
    ],
)
def test_what_a_node_or_a_group_cannot_bear(
    placed: list[tuple[Workload, Place]], obstacle: Obstacle
) -> None:
    """One kind of limit is broken, and it is named."""
    assert {one.obstacle for one in broken_limits(room(), placed)} == {obstacle}


@pytest.mark.parametrize(
    ("plant", "obstacle"),
    [
        (room(power_w=999.0), Obstacle.RACK_POWER),
        (room(cooling_w=999.0), Obstacle.ROOM_COOLING),
        (room(amperes=999.0 / 230.0), Obstacle.BREAKER),
    ],
)
def test_power_is_one_watt_short(plant: Plant, obstacle: Obstacle) -> None:
    """1000 W in a rack of 999, in a room of 999, and on one breaker of 999 once B is lost."""
    found = broken_limits(plant, [on("n0", 0, watts=1000.0)])
    assert {one.obstacle for one in found} == {obstacle}


def test_what_keeps_every_limit_is_passed() -> None:
    """Full to the last thousandth, MiB and watt, apart as asked: nothing is broken."""
    placed = [
        on("n0", 0, 1, gpu_memory_mib=1000, cpu_milli=1000, memory_mib=1000, watts=1000.0),
        on("n1", 0, name="v", group="g", spread=Spread.NODE, gpu_milli=600),
        on("n2", 0, name="u", group="g", spread=Spread.NODE),
        on("n1", 0, name="t", gpu_milli=400),
    ]
    plant = room(power_w=1000.0, cooling_w=1000.0, amperes=1000.0 / 230.0)
    assert broken_limits(plant, placed) == []


def test_what_was_broken_at_rest_is_not_the_workloads() -> None:
    """Idle nodes overload the rack; a workload that draws nothing adds nothing, one that does does.

    A node that is at its nameplate power already draws no more either.
    """
    plant = room(power_w=100.0)
    idle = {"k": 200.0}
    assert broken_limits(plant, [on("n0", 0)], idle_w=idle) == []
    assert broken_limits(plant, [on("n0", 0, watts=1.0)], idle_w=idle) != []
    assert broken_limits(plant, [on("n0", 0, watts=1.0)], idle_w={"k": 3000.0}) == []
