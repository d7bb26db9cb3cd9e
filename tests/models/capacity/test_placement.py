"""Placement worked by hand: where workloads go, what stops them, and what comes back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from jauge_models.capacity.inventory import Node, NodeKind, Plant, Rack, Room, Supply
from jauge_models.capacity.placement import (
    Obstacle,
    Packer,
    Place,
    Policy,
    Refused,
    Spread,
    Workload,
    pack,
)

from benchmarks.placement import PUBLISHED, SEEDS, plant, run, trace

FOUR = NodeKind(
    name="four", gpu="G", gpus=4, gpu_memory_mib=80000, cpu_milli=64000, memory_mib=512000
)
CUT = NodeKind(
    name="cut", gpu="M", gpus=1, gpu_memory_mib=80000, slices=7, cpu_milli=16000, memory_mib=128000
)
CAPPED = NodeKind(
    name="capped",
    gpu="G",
    gpus=4,
    cpu_milli=64000,
    memory_mib=512000,
    nameplate_w=3000.0,
    cap_w=1000.0,
)


def nodes(*kinds: NodeKind, **more: Any) -> Plant:
    """One node of each of these kinds, n0 first, with nothing around it."""
    return Plant(
        kinds=tuple(dict.fromkeys(kinds)),
        nodes=tuple(Node(name=f"n{at}", kind=kind.name) for at, kind in enumerate(kinds)),
        **more,
    )


def racked(
    kind: NodeKind,
    number: int = 2,
    *,
    power_w: float | None = None,
    cooling_w: float | None = None,
    amperes: float | None = None,
) -> Plant:
    """Nodes in one rack on feeds A and B, in one room."""
    supplies = tuple(Supply(name=feed, feed=feed, amperes=amperes) for feed in "AB" if amperes)
    plugs = tuple(supply.name for supply in supplies)
    return Plant(
        kinds=(kind,),
        nodes=tuple(
            Node(name=f"n{at}", kind=kind.name, rack="r", supplies=plugs) for at in range(number)
        ),
        racks=(Rack(name="r", room="hall", supplies=supplies, power_w=power_w),),
        rooms=(Room(name="hall", cooling_w=cooling_w),),
    )


def work(name: str, gpus: int = 1, milli: int = 1000, **more: Any) -> Workload:
    """A workload that asks for GPUs and what else is named."""
    return Workload(id=name, gpus=gpus, gpu_milli=milli, **more)


def stopped_by(found: Place | Refused) -> Mapping[Obstacle, int]:
    """What a refusal says."""
    assert isinstance(found, Refused)
    return dict(found.obstacles)


def placed(found: Place | Refused) -> Place:
    """A place, not a refusal."""
    assert isinstance(found, Place)
    return found


def test_several_gpus_are_of_one_node_and_whole() -> None:
    """Two GPUs go beside one that is shared, three do not."""
    packer = Packer(nodes(FOUR))
    shared = {placed(packer.place(work(f"s{at}", milli=600))).gpus for at in range(2)}
    assert len(shared) == 2
    two = placed(packer.place(work("two", 2)))
    assert len(two.gpus) == 2
    assert not {gpu for gpus in shared for gpu in gpus} & set(two.gpus)
    assert stopped_by(packer.place(work("one"))) == {Obstacle.GPUS: 1}


def test_enough_in_sum_but_in_pieces_is_fragmented() -> None:
    """Two thirds free on each of two nodes: not a whole one, though there is more than one."""
    one = NodeKind(name="one", gpu="G", gpus=1, cpu_milli=8000, memory_mib=8000)
    packer = Packer(nodes(one, one))
    packer.hold(work("a", milli=400), Place("n0", (0,)))
    packer.hold(work("b", milli=400), Place("n1", (0,)))
    assert stopped_by(packer.place(work("c"))) == {Obstacle.FRAGMENTED: 2}
    packer.hold(work("d", milli=600), Place("n1", (0,)))
    assert stopped_by(packer.place(work("e"))) == {Obstacle.GPUS: 2}


def test_shares_of_one_gpu_add_up_to_a_whole_one() -> None:
    """Halves go together on one GPU; a fifth half takes a third one."""
    packer = Packer(nodes(FOUR), policy=Policy.BEST_FIT)
    gpus = [placed(packer.place(work(f"h{at}", milli=500))).gpus for at in range(5)]
    assert sorted(gpus.count(one) for one in set(gpus)) == [1, 2, 2]


def test_the_memory_of_a_shared_gpu_is_shared() -> None:
    """Of 80 000 MiB, 50 000 are taken: what needs 40 000 goes to another GPU."""
    packer = Packer(nodes(FOUR), policy=Policy.BEST_FIT)
    first = placed(packer.place(work("a", milli=100, gpu_memory_mib=50000)))
    second = placed(packer.place(work("b", milli=100, gpu_memory_mib=40000)))
    third = placed(packer.place(work("c", milli=100, gpu_memory_mib=30000)))
    assert first.gpus != second.gpus
    assert third.gpus == first.gpus


def test_a_gpu_cut_in_hardware_gives_whole_slices() -> None:
    """Half of seven slices is four of them, so that no second half fits; three slices do."""
    packer = Packer(nodes(CUT))
    placed(packer.place(work("half", milli=500)))
    assert stopped_by(packer.place(work("other", milli=500))) == {Obstacle.GPUS: 1}
    placed(packer.place(work("three", milli=420)))
    assert packer.free_milli == {"M": 1000 - 7 * (1000 // 7)}


@pytest.mark.parametrize(
    ("workload", "obstacle"),
    [
        (work("w", gpu_kinds=("X",)), Obstacle.GPU_KIND),
        (work("w", 8), Obstacle.GPU_KIND),
        (work("w", gpu_memory_mib=90000), Obstacle.GPU_MEMORY),
        (work("w", cpu_milli=65000), Obstacle.CPU),
        (work("w", memory_mib=600000), Obstacle.MEMORY),
    ],
)
def test_what_no_node_could_give_is_named(workload: Workload, obstacle: Obstacle) -> None:
    """Each limit of a node stops what is beyond it on every node."""
    assert stopped_by(Packer(nodes(FOUR, FOUR)).place(workload)) == {obstacle: 2}


def test_obstacles_come_worst_first_and_count_every_node_once() -> None:
    """Three nodes of another kind, one that is full."""
    packer = Packer(nodes(CUT, FOUR, CUT, CUT))
    placed(packer.place(work("all", 4)))
    refused = packer.place(work("w", gpu_kinds=("G",)))
    assert isinstance(refused, Refused)
    assert refused.obstacles == ((Obstacle.GPU_KIND, 3), (Obstacle.GPUS, 1))


def test_the_power_of_a_rack_counts_what_idles_in_it() -> None:
    """Of 1000 W two idle nodes draw 800; 150 W fit, then 60 do not."""
    packer = Packer(racked(FOUR, power_w=1000.0), idle_w={"four": 400.0})
    placed(packer.place(work("a", watts=150.0)))
    assert stopped_by(packer.place(work("b", watts=60.0))) == {Obstacle.RACK_POWER: 2}
    placed(packer.place(work("c", watts=50.0)))
    assert packer.rack_w == {"r": 1000.0}


def test_the_cooling_of_a_room_is_a_limit_of_its_own() -> None:
    """The rack would take it, the room does not."""
    packer = Packer(racked(FOUR, power_w=5000.0, cooling_w=1000.0), idle_w={"four": 400.0})
    assert stopped_by(packer.place(work("a", watts=201.0))) == {Obstacle.ROOM_COOLING: 2}


def test_a_breaker_must_hold_when_the_other_feed_is_lost() -> None:
    """10 A carry 2300 W: two feeds together 4600, but each must carry all of it alone."""
    packer = Packer(racked(FOUR, 1, amperes=10.0), idle_w={"four": 1000.0})
    placed(packer.place(work("a", watts=1300.0)))
    assert stopped_by(packer.place(work("b", watts=1.0))) == {Obstacle.BREAKER: 1}


def test_no_node_draws_more_than_its_cap() -> None:
    """Four workloads of 500 W on a node capped at 1000 W draw 1000 W."""
    packer = Packer(racked(CAPPED, 1, power_w=1000.0), idle_w={"capped": 200.0})
    for at in range(4):
        placed(packer.place(work(f"w{at}", watts=500.0)))
    assert packer.rack_w == {"r": 1000.0}


def test_a_limit_that_nobody_declared_does_not_limit() -> None:
    """No rack power, no cooling, no breaker: watts stop nothing."""
    placed(Packer(racked(FOUR, 1)).place(work("w", watts=1e6)))


@pytest.mark.parametrize("asked_by", [0, 1])
def test_either_of_two_may_ask_to_be_apart(asked_by: int) -> None:
    """One asks, the first or the second: they are not on one node."""
    spread = [Spread.NONE, Spread.NONE]
    spread[asked_by] = Spread.NODE
    packer = Packer(nodes(FOUR))
    placed(packer.place(work("a", group="g", spread=spread[0])))
    found = packer.place(work("b", group="g", spread=spread[1]))
    assert stopped_by(found) == {Obstacle.ANTI_AFFINITY: 1}
    placed(packer.place(work("c", group="other", spread=Spread.NODE)))


def test_apart_by_rack_and_by_feed() -> None:
    """Two nodes of one rack; two nodes that hang on feed A alone; one that hangs on both."""
    plant_ = Plant(
        kinds=(FOUR,),
        nodes=(
            Node(name="a1", kind="four", rack="r1", supplies=("A",)),
            Node(name="a2", kind="four", rack="r2", supplies=("A",)),
            Node(name="ab", kind="four", rack="r2", supplies=("A", "B")),
        ),
        racks=tuple(
            Rack(
                name=name,
                supplies=tuple(Supply(name=feed, feed=feed, amperes=99.0) for feed in "AB"),
            )
            for name in ("r1", "r2")
        ),
    )
    by_rack = Packer(plant_)
    by_rack.hold(work("1", group="g", spread=Spread.RACK), Place("a2", (0,)))
    assert placed(by_rack.place(work("2", group="g", spread=Spread.RACK))).node == "a1"
    found = by_rack.place(work("3", group="g", spread=Spread.RACK))
    assert stopped_by(found) == {Obstacle.ANTI_AFFINITY: 3}
    by_feed = Packer(plant_)
    by_feed.hold(work("1", group="g", spread=Spread.FEED), Place("a1", (0,)))
    assert placed(by_feed.place(work("2", group="g", spread=Spread.FEED))).node == "ab"


def test_what_is_removed_leaves_nothing_behind() -> None:
    """After everything is gone, the plant is as empty as at first, to the milliwatt."""
    packer = Packer(racked(CAPPED, power_w=2000.0, amperes=20.0), idle_w={"capped": 99.9})
    before = (packer.free_milli, packer.rack_w, packer.allocated)
    for at in range(6):
        placed(packer.place(work(f"w{at}", milli=330, cpu_milli=7, watts=33.333, group="g")))
    for at in (3, 0, 5, 1, 2, 4):
        packer.remove(f"w{at}")
    assert (packer.free_milli, packer.rack_w, packer.allocated) == before
    placed(packer.place(work("whole", 4)))


def test_an_id_is_placed_once_and_only_where_it_fits() -> None:
    """A second one of the same id, and a place that is taken, are errors."""
    packer = Packer(nodes(FOUR))
    packer.hold(work("a"), Place("n0", (2,)))
    with pytest.raises(ValueError, match="placed already"):
        packer.place(work("a"))
    with pytest.raises(ValueError, match="does not fit"):
        packer.hold(work("b", milli=10), Place("n0", (2,)))
    with pytest.raises(KeyError):
        packer.remove("b")


@pytest.mark.parametrize("asked", [{"gpus": 2, "gpu_milli": 500}, {"gpus": -1}, {"gpu_milli": 0}])
def test_parts_of_several_gpus_are_not_a_workload(asked: Mapping[str, Any]) -> None:
    """A part is of one GPU, and nothing is negative."""
    with pytest.raises(ValueError, match="w:"):
        Workload(id="w", **asked)


def test_room_is_kept_for_the_large_jobs_that_come() -> None:
    """Where jobs of a whole node are to be expected, small ones share the node that is in use."""
    typical = [work("large", 4, cpu_milli=32000), work("small", cpu_milli=4000)]
    packer = Packer(nodes(FOUR, FOUR, FOUR), typical=typical)
    small = {placed(packer.place(work(f"s{at}", cpu_milli=4000))).node for at in range(4)}
    assert len(small) == 1


def test_processors_are_kept_for_the_gpus_beside_them() -> None:
    """What needs many processors and no GPU goes where there are many for each GPU."""
    lean = NodeKind(name="lean", gpu="G", gpus=4, cpu_milli=32000, memory_mib=512000)
    rich = NodeKind(name="rich", gpu="G", gpus=2, cpu_milli=96000, memory_mib=512000)
    packer = Packer(nodes(lean, rich), typical=[work("w", cpu_milli=8000)])
    assert placed(packer.place(Workload(id="x", cpu_milli=24000))).node == "n1"


def test_what_was_refused_fits_once_all_is_known() -> None:
    """In the order given the large one is left out; ordered anew both shares and it fit."""
    one = NodeKind(name="one", gpu="G", gpus=2, cpu_milli=16000, memory_mib=16000)
    asked = [work("a", cpu_milli=16000), work("b", 2, cpu_milli=0)]
    assert set(pack(nodes(one), asked).placed) == {"b"}
    both = pack(nodes(one, one), asked)
    assert set(both.placed) == {"a", "b"}
    assert both.refused == {}


def test_an_empty_plant_refuses_and_one_without_gpus_takes_what_needs_none() -> None:
    """No node, no obstacle to count; a node without GPUs is of no kind of GPU."""
    nothing = Packer(Plant(kinds=(), nodes=()))
    assert nothing.place(work("w")) == Refused(())
    bare = Packer(nodes(NodeKind(name="bare", cpu_milli=1000, memory_mib=1000)))
    assert placed(bare.place(Workload(id="c", cpu_milli=1000))) == Place("n0", ())
    assert stopped_by(bare.place(work("w"))) == {Obstacle.GPU_KIND: 1}


def test_more_than_a_real_cluster_can_take(shared_data: Path) -> None:
    """On the published trace ROOM fills more of the GPUs than any published policy."""
    folder = shared_data / "k8s_sched_sim"
    room, known = plant(folder), trace(folder)
    reached = run(room, known, Policy.ROOM, SEEDS[0])
    fitted = run(room, known, Policy.BEST_FIT, SEEDS[0])
    assert reached.allocated > max(PUBLISHED.values())
    assert fitted.allocated < reached.allocated <= reached.ceiling
    assert reached.first_refused > fitted.first_refused
