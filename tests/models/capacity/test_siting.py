"""Where new nodes fit, worked by hand; and no more of them would."""

from collections.abc import Mapping
from itertools import product

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_models.capacity.inventory import Node, NodeKind, Plant, Rack, Room, Supply
from jauge_models.capacity.siting import (
    Unknown,
    enlarged,
    rack_loads,
    site_nodes,
)
from jauge_models.capacity.workloads import Obstacle

from tests.models.capacity.plants import KINDS, overloaded, plants

KIND = NodeKind(name="k", gpu="G", gpus=8, cpu_milli=1, memory_mib=1, nameplate_w=2300.0)

SLIGHT = NodeKind(name="slight", gpu="G", gpus=1, cpu_milli=1, memory_mib=1, nameplate_w=500.0)


def racks(
    *names: str,
    amperes: float = 32.0,
    phases: int = 1,
    power_w: float | None = 20000.0,
    cooling_w: float | None = 40000.0,
    units: int | None = 40,
    nodes: tuple[Node, ...] = (),
) -> Plant:
    """Racks on feeds A and B in one hall."""
    return Plant(
        kinds=(KIND,),
        nodes=nodes,
        racks=tuple(
            Rack(
                name=name,
                room="hall",
                power_w=power_w,
                units=units,
                supplies=tuple(
                    Supply(name=f"{feed}{at}", feed=feed, phase=str(at), amperes=amperes)
                    for feed in "AB"
                    for at in range(phases)
                ),
            )
            for name in names
        ),
        rooms=(Room(name="hall", cooling_w=cooling_w),),
    )


def test_what_a_node_draws_goes_over_the_supplies_that_stand() -> None:
    """Half on each of two; all of it on the one that is left; nothing where none is."""
    both = Node(name="both", kind="k", rack="r", supplies=("A0", "B0"))
    alone = Node(name="alone", kind="k", rack="r", supplies=("B0",))
    plant = racks("r", nodes=(both, alone))
    rack = plant.racks[0]
    assert rack_loads(plant, rack) == {"A0": 1150.0, "B0": 3450.0}
    assert rack_loads(plant, rack, "A") == {"B0": 4600.0}
    assert rack_loads(plant, rack, lost_feed="B") == {"A0": 2300.0}
    assert plant.sole_feeds() == (None, "B")


def test_a_breach_shows_only_when_the_other_feed_is_lost() -> None:
    """Two nodes of 2300 W on 16 A: 2300 W each way, 4600 W alone, of 3680."""
    nodes = tuple(Node(name=f"n{at}", kind="k", rack="r", supplies=("A0", "B0")) for at in range(2))
    found = overloaded(racks("r", amperes=16.0, nodes=nodes))
    assert [(one.place, one.lost_feed, one.used, one.of) for one in found] == [
        ("r B0", "A", 4600.0, 3680.0),
        ("r A0", "B", 4600.0, 3680.0),
    ]
    capped = msgspec.structs.replace(KIND, cap_w=1800.0)
    plant = msgspec.structs.replace(racks("r", amperes=16.0, nodes=nodes), kinds=(capped,))
    assert overloaded(plant) == []


def test_breakers_are_planned_with_the_most_a_node_draws() -> None:
    """32 A carry 7360 W: three nodes of 2300, though they are expected to draw 1000."""
    found = site_nodes(racks("r1", "r2"), KIND, 10, heat_w=1000.0)
    assert found.racks == {"r1": 3, "r2": 3}
    assert found.obstacles == ((Obstacle.BREAKER, 2),)


def test_phases_are_filled_evenly() -> None:
    """Three phases of 16 A (3680 W) take a node each; one supply of each feed a node."""
    found = site_nodes(racks("r", amperes=16.0, phases=3), KIND, 5, heat_w=1000.0)
    assert found.placed == 3
    assert [node.supplies for node in found.nodes] == [("A0", "B0"), ("A1", "B1"), ("A2", "B2")]


def test_racks_and_rooms_are_planned_with_what_is_expected() -> None:
    """20 kW take ten nodes of 2 kW where breakers would take more; the hall only 13 of them."""
    plant = racks("r1", "r2", amperes=200.0, cooling_w=26000.0)
    assert site_nodes(plant, KIND, 13, heat_w=2000.0).racks == {"r1": 7, "r2": 6}
    found = site_nodes(plant, KIND, 14, heat_w=2000.0)
    assert (found.placed, found.obstacles) == (13, ((Obstacle.ROOM_COOLING, 2),))
    found = site_nodes(plant, KIND, 14, heat_w=2000.0, racks=["r2"])
    assert (found.racks, found.obstacles) == ({"r2": 10}, ((Obstacle.RACK_POWER, 1),))


def test_nodes_that_are_there_count_with_their_measured_draw() -> None:
    """Four nodes: 2300 W each unless it is said that they draw 1000."""
    nodes = tuple(Node(name=f"n{at}", kind="k", rack="r") for at in range(4))
    plant = racks("r", amperes=200.0, power_w=10000.0, nodes=nodes)
    assert site_nodes(plant, KIND, 9, heat_w=1000.0).placed == 0
    assert site_nodes(plant, KIND, 9, heat_w=1000.0, drawn_w={"k": 1000.0}).placed == 6


def test_rack_units_are_counted() -> None:
    """Nine units take two nodes of four."""
    plant = racks("r", amperes=200.0, units=9)
    found = site_nodes(plant, KIND, 3, heat_w=100.0, units=4)
    assert (found.placed, found.obstacles) == (2, ((Obstacle.RACK_UNITS, 1),))
    assert enlarged(plant, KIND, found, units=4).racks[0].units == 1


def test_what_nobody_declared_does_not_limit_and_is_named() -> None:
    """A rack without figures takes all, and the answer says what was not known."""
    plant = Plant(kinds=(), nodes=(), racks=(Rack(name="r"),))
    found = site_nodes(plant, msgspec.structs.replace(KIND, nameplate_w=None), 5, heat_w=1e6)
    assert found.placed == 5
    assert found.unknown == tuple(Unknown)
    assert site_nodes(racks("r"), KIND, 1, heat_w=1.0).unknown == ()


def test_new_nodes_have_names_of_their_own() -> None:
    """A node is called k-new-1 already."""
    plant = racks("r", nodes=(Node(name="k-new-1", kind="k", rack="r"),))
    found = site_nodes(plant, KIND, 1, heat_w=1.0)
    assert [node.name for node in found.nodes] == ["k-new-2"]


def test_an_unknown_rack_is_an_error() -> None:
    """It says which."""
    with pytest.raises(ValueError, match="no rack r9"):
        site_nodes(racks("r"), KIND, 1, heat_w=1.0, racks=["r9"])


@settings(deadline=None, max_examples=300)
@given(
    plants(), st.sampled_from([*KINDS, SLIGHT]), st.integers(0, 12), st.sampled_from([200.0, 700.0])
)
def test_new_nodes_break_no_limit_and_no_more_would_fit(
    plant: Plant, kind: NodeKind, number: int, heat_w: float
) -> None:
    """No breaker is overloaded that was not; where some are left out, one more is one too many."""
    drawn = {one.name: 250.0 for one in KINDS}
    found = site_nodes(plant, kind, number, heat_w=heat_w, drawn_w=drawn)
    assert sum(found.racks.values()) == found.placed == len(found.nodes) <= number
    after = enlarged(plant, kind, found)
    before = overloaded(plant)
    assert [one for one in overloaded(after) if one not in before] == []
    heat = {node.name: 250.0 for node in plant.nodes}
    heat |= {node.name: heat_w for node in found.nodes}
    assert not {name for name in found.racks if over(after, name, heat)}
    if found.placed < number:
        assert sum(count for _, count in found.obstacles) == len(plant.racks)
        assert not [one for one in one_more(after, kind) if not breaks(after, one, heat_w, heat)]


def over(plant: Plant, name: str, heat: Mapping[str, float]) -> bool:
    """Whether what is expected in a rack, or in its room, is beyond its limit."""
    room_of = {rack.name: rack.room for rack in plant.racks}
    of_rack = {rack.name: rack.power_w for rack in plant.racks}[name]
    of_room = {room.name: room.cooling_w for room in plant.rooms}.get(room_of[name])
    here = [heat[node.name] for node in plant.nodes if node.rack == name]
    around = [heat[one.name] for one in plant.nodes if room_of.get(one.rack) == room_of[name]]
    return (of_rack is not None and sum(here) > of_rack) or (
        of_room is not None and sum(around) > of_room
    )


def one_more(plant: Plant, kind: NodeKind) -> list[Node]:
    """Every way to plug one more node in: one supply of each feed, in any rack."""
    return [
        Node(name="more", kind=kind.name, rack=rack.name, supplies=plugs)
        for rack in plant.racks
        for plugs in product(
            *(
                [supply.name for supply in rack.supplies if supply.feed == feed]
                for feed in sorted({supply.feed for supply in rack.supplies})
            )
        )
    ]


def breaks(plant: Plant, node: Node, heat_w: float, heat: Mapping[str, float]) -> bool:
    """Whether one more node there breaks a limit."""
    with_it = msgspec.structs.replace(plant, nodes=(*plant.nodes, node))
    plugged = {f"{node.rack} {name}" for name in node.supplies}
    return over(with_it, node.rack, {**heat, "more": heat_w}) or not plugged.isdisjoint(
        one.place for one in overloaded(with_it)
    )
