"""Use of each limit over the past: sums of parts that are known, and nothing made up."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_collector.capacity.outlooks import pools, uses
from jauge_collector.capacity.past import NodeUse, Past
from jauge_models.capacity.answer import History
from jauge_models.capacity.fullness import Limit
from jauge_models.capacity.inventory import Node, NodeKind, Plant, Rack, Supply
from jauge_models.capacity.outlook import Counted, Measure, PoolHistory, UseHistory
from jauge_models.capacity.siting import rack_loads

from tests.collector.capacity.measured import site_of

Hours = Sequence[float | None]
_NONE: Hours = (None,) * 3


def _use(used: Hours, *, told: bool = True, activity: Hours = _NONE, mib: Hours = _NONE) -> NodeUse:
    return NodeUse(
        used=used,
        counted=Counted.GIVEN if told else Counted.AT_WORK,
        activity=activity,
        memory_mib=mib,
        memory_counted=Counted.GIVEN if told else Counted.MEMORY_USED,
    )


def _past(watts: dict[str, Hours], gpus: dict[str, NodeUse]) -> Past:
    return Past(History(), {}, 7000, 3, 1000, 4, watts, gpus, 8000, 3)


def _uses(
    folder: Path, watts: dict[str, Hours], gpus: dict[str, NodeUse]
) -> dict[tuple[Limit, str], UseHistory]:
    _, declared = site_of(folder)
    return {(one.limit, one.place): one for one in uses(declared.plant, _past(watts, gpus))}


def test_parts_add_up_hour_by_hour(tmp_path: Path) -> None:
    """GPUs by kind, power by rack, heat by room, each against what is declared, from its start."""
    found = _uses(
        tmp_path,
        {"n1": (1.0, 2.0, 3.0, 4.0), "n2": (10.0, 20.0, None, 0.0), "n3": (5.0,) * 4},
        {
            "n1": _use((2.0, 1.0, 0.0), mib=(1024.0, 2048.0, 0.0)),
            "n2": _use((0.5, None, 0.0), mib=(1.0, 1.0, None)),
            "n3": _use((4.0,) * 3, told=False),
        },
    )
    rack, room = found[Limit.RACK_POWER, "r1"], found[Limit.ROOM_COOLING, "hall"]
    assert (rack.values, rack.of, rack.start_ms) == ((11.0, 22.0, None, 4.0), 4000.0, 1000)
    # The second rack stands in no room.
    assert (room.values, room.of) == ((11.0, 22.0, None, 4.0), 10_000.0)
    assert found[Limit.RACK_POWER, "r2"].of is None
    gpus = found[Limit.GPUS, "G"]
    assert (gpus.values, gpus.of, gpus.start_ms) == ((2.5, None, 0.0), 4.0, 8000)
    assert (gpus.counted, found[Limit.GPUS, "F"].counted) == (Counted.GIVEN, Counted.AT_WORK)
    assert found[Limit.GPUS, "F"].values == (4.0,) * 3
    memory = found[Limit.GPU_MEMORY, "G"]
    assert (memory.values, memory.of) == ((1025.0, 2049.0, None), 4 * 80 * 1024.0)
    # Of the other kind nobody declared the memory, and nothing of it was measured.
    assert (Limit.GPU_MEMORY, "F") not in found


def test_a_limit_with_a_part_of_which_nothing_is_known_is_left_out(tmp_path: Path) -> None:
    """The other node's power is not the rack's, nor its breakers'."""
    found = _uses(
        tmp_path,
        {"n1": (1.0,) * 4, "n2": (None,) * 4, "n3": (5.0,) * 4},
        {"n1": _use((2.0,) * 3)},
    )
    assert set(found) == {(Limit.RACK_POWER, "r2"), (Limit.BREAKER, "r2 A")}


def test_a_breaker_bears_what_flows_there_once_the_other_feed_is_lost(tmp_path: Path) -> None:
    """Half of it while both stand, so the worst is all of it, hour by hour."""
    found = _uses(tmp_path, {"n1": (1000.0, 10.0, None, 0.0), "n2": (500.0, 5.0, 1.0, 0.0)}, {})
    first, second = found[Limit.BREAKER, "r1 A"], found[Limit.BREAKER, "r1 B"]
    assert first.values == second.values == (1500.0, 15.0, None, 0.0)
    assert (first.of, second.of, first.counted) == (2300.0, 4600.0, Counted.DRAWN)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_breakers_are_told_as_siting_counts_them(data: st.DataObject) -> None:
    """With each node at its most in every hour, it is the worst of siting's own sums."""
    names = data.draw(st.lists(st.sampled_from("abcde"), min_size=1, max_size=5, unique=True))
    rack = Rack(
        name="r",
        supplies=tuple(
            Supply(name=name, feed=data.draw(st.sampled_from(("A", "B", "C"))), amperes=10)
            for name in names
        ),
    )
    number = data.draw(st.integers(min_value=1, max_value=4))
    kinds = tuple(
        NodeKind(
            name=f"k{at}", cpu_milli=1, memory_mib=1, nameplate_w=data.draw(st.floats(1.0, 5000.0))
        )
        for at in range(number)
    )
    nodes = tuple(
        Node(
            name=f"n{at}",
            kind=f"k{at}",
            rack="r",
            supplies=tuple(data.draw(st.lists(st.sampled_from(names), max_size=4))),
        )
        for at in range(number)
    )
    plant = Plant(kinds=kinds, nodes=nodes, racks=(rack,))
    watts = {f"n{at}": (kinds[at].nameplate_w,) * 4 for at in range(number)}
    found = {
        one.place: one.values
        for one in uses(plant, _past(dict(watts), {}))
        if one.limit is Limit.BREAKER
    }
    feeds = sorted({supply.feed for supply in rack.supplies})
    loads = [rack_loads(plant, rack, lost) for lost in (None, *feeds)]
    for name in names:
        worst = max(load.get(name, 0.0) for load in loads)
        told = found.get(f"r {name}", (0.0,) * 4)
        assert told == pytest.approx((worst,) * 4)


def test_pools_are_kinds_of_gpu_with_their_nodes(tmp_path: Path) -> None:
    """Activity is the mean over GPUs, power that of whole nodes; None where one is not known."""
    _, declared = site_of(tmp_path)
    kinds = tuple(
        NodeKind(name=kind.name, gpu="G", gpus=kind.gpus, cpu_milli=1, memory_mib=1)
        for kind in declared.plant.kinds
    )
    plant = Plant(kinds=kinds, nodes=declared.plant.nodes, racks=declared.plant.racks)
    past = _past(
        {"n1": (1.0,) * 4, "n2": (2.0,) * 4, "n3": (4.0, 4.0, None, 4.0)},
        {
            "n1": _use(_NONE, activity=(1.0, 0.5, 0.5)),
            "n2": _use(_NONE, activity=(0.0, 0.5, None)),
            "n3": _use(_NONE, activity=(0.25, 0.5, 0.5)),
        },
    )
    found = {one.measure: one for one in pools(plant, past)}
    assert found[Measure.ACTIVITY] == PoolHistory(
        pool="G",
        measure=Measure.ACTIVITY,
        start_ms=8000,
        # Two GPUs, two, and four.
        values=(0.375, 0.5, None),
    )
    assert found[Measure.POWER].values == (7.0, 7.0, None, 7.0)
    assert (found[Measure.POWER].start_ms, found[Measure.POWER].pool) == (1000, "G")
    assert list(pools(plant, _past({}, {}))) == []
