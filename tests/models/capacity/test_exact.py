"""What placement misses on small cases, measured against trying everything."""

import msgspec
import pytest
from hypothesis import given, settings
from jauge_models.capacity.inventory import Node, NodeKind, Plant
from jauge_models.capacity.placement import Workload, pack

from tests.models.capacity.exact import most_milli
from tests.models.capacity.plants import IDLE_W, plants, workloads

WITHIN = 0.95


def without_limits(plant: Plant) -> list[Plant]:
    """The plant with one kind of limit removed, for each kind."""
    replace = msgspec.structs.replace
    bare = tuple(replace(node, supplies=()) for node in plant.nodes)
    return [
        replace(plant, racks=tuple(replace(rack, power_w=None) for rack in plant.racks)),
        replace(plant, rooms=tuple(replace(room, cooling_w=None) for room in plant.rooms)),
        replace(plant, nodes=bare, racks=tuple(replace(rack, supplies=()) for rack in plant.racks)),
    ]


@settings(deadline=None)
@given(plants(most_nodes=4), workloads(most=12))
def test_a_packing_is_within_five_per_cent_of_the_exact_one(
    plant: Plant, asked: list[Workload]
) -> None:
    """Measured in thousandths of GPUs placed; never more than the exact one."""
    best = most_milli(plant, asked, idle_w=IDLE_W)
    found = pack(plant, asked, idle_w=IDLE_W)
    reached = sum(one.milli for one in asked if one.id in found.placed)
    assert WITHIN * best <= reached <= best


@settings(deadline=None, max_examples=40)
@given(plants(most_nodes=3), workloads(most=7))
def test_removing_a_limit_never_lowers_what_fits_exactly(
    plant: Plant, asked: list[Workload]
) -> None:
    """Racks' power, rooms' cooling, breakers; and what workloads must not share."""
    best = most_milli(plant, asked, idle_w=IDLE_W)
    for freer in without_limits(plant):
        assert most_milli(freer, asked, idle_w=IDLE_W) >= best
    apart = [msgspec.structs.replace(one, group="") for one in asked]
    assert most_milli(plant, apart, idle_w=IDLE_W) >= best


def test_the_exact_one_is_right_where_it_can_be_counted() -> None:
    """Two GPUs take 600 + 400 and 500 + 500; no two of 600 fit on one."""
    kind = NodeKind(name="k", gpu="G", gpus=2, cpu_milli=1000, memory_mib=1000)
    plant = Plant(kinds=(kind,), nodes=(Node(name="n", kind="k"),))

    def most(*parts: int) -> int:
        asked = [Workload(id=str(at), gpus=1, gpu_milli=part) for at, part in enumerate(parts)]
        return most_milli(plant, asked)

    assert most(500, 600, 500, 400) == 2000
    assert most(600, 600, 600) == 1200
    assert most(900, 700, 300, 200) == 1900


def test_thirteen_are_too_many() -> None:
    """It says so, rather than trying for hours."""
    kind = NodeKind(name="k", gpu="G", gpus=2, cpu_milli=1000, memory_mib=1000)
    asked = [Workload(id=str(at), gpus=1) for at in range(13)]
    with pytest.raises(ValueError, match="13"):
        most_milli(Plant(kinds=(kind,), nodes=(Node(name="n", kind="k"),)), asked)
