"""Other plants: what goes, what is capped, where what comes goes, and what that changes."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_models.capacity.demand import demand
from jauge_models.capacity.fullness import Limit
from jauge_models.capacity.inventory import Plant
from jauge_models.capacity.outcome import Figure, Figures, Outcome, outcome
from jauge_models.capacity.scenario import Addition, Cap, Desktops, Inference, Scenario, WhatIf
from jauge_models.capacity.schedule import schedule
from jauge_models.capacity.what_if import Changed, binding, changed, difference
from jauge_models.capacity.workloads import Obstacle

from tests.models.capacity.plants import overloaded
from tests.models.capacity.rooms import ALL_DAY, DRAWS, PARIS, room, scenario


def option(plant: Plant, **what: Any) -> Changed:
    """The plant of an option."""
    return changed(plant, DRAWS, WhatIf(name="w", **what))


def found(one: Scenario, plant: Plant, figures: Figures | None = None) -> Outcome:
    """The outcome of a scenario."""
    plan = schedule(plant, demand(one, plant, DRAWS, PARIS), DRAWS)
    return outcome(plant, plan, DRAWS, figures or Figures())


def kinds(plant: Plant) -> list[str]:
    """Kinds of its nodes."""
    return [node.kind for node in plant.nodes]


def test_a_retired_kind_goes_with_all_its_nodes() -> None:
    """The other stays as it was."""
    plant = room(2, 3)
    other = option(plant, retire=("small",))
    assert other.change.retired == {"small": 3}
    assert other.plant.nodes == plant.nodes[:2]


def test_a_cap_lowers_what_nodes_draw_and_breakers_carry() -> None:
    """One that is lower already stays."""
    once = option(room(), cap=(Cap(kind="big", watts=2000.0),))
    assert once.change.capped == {"big": 2}
    assert once.plant.kinds[0].most_w == 2000.0
    assert once.draws["big"].full_high_w == 2000.0
    again = changed(once.plant, once.draws, WhatIf(name="w", cap=(Cap(kind="big", watts=3000.0),)))
    assert again.plant.kinds[0].most_w == 2000.0
    assert again.draws["big"] == once.draws["big"]


def test_nodes_to_add_stand_in_racks_and_have_names_of_their_own() -> None:
    """Two more of four; everything that was there stays."""
    plant = room(2, 1)
    other = option(plant, add=(Addition(kind="big", number=2),))
    assert [(one.number, one.placed) for one in other.change.added] == [(2, 2)]
    assert sum(other.change.added[0].racks.values()) == 2
    assert other.plant.nodes[:3] == plant.nodes
    added = other.plant.nodes[3:]
    assert kinds(other.plant)[3:] == ["big", "big"]
    assert len({node.name for node in other.plant.nodes}) == 5
    standing = {rack.name: rack for rack in plant.racks}
    for node in added:
        feeds = {
            supply.feed for supply in standing[node.rack].supplies if supply.name in node.supplies
        }
        assert feeds == {"A", "B"}


def test_nodes_go_only_into_the_racks_that_are_named() -> None:
    """Though the other rack is there."""
    other = option(room(), add=(Addition(kind="small", number=2, racks=("r1",)),))
    assert other.change.added[0].racks == {"r1": 2}


def test_what_fits_in_no_rack_is_not_added_and_says_why() -> None:
    """A breaker of 13.8 kW carries three nodes of 4 kW when the other feed is lost."""
    other = option(room(big=2), add=(Addition(kind="big", number=9, racks=("r1",)),))
    added = other.change.added[0]
    assert (added.placed, added.racks) == (1, {"r1": 1})
    assert added.obstacles[0][0] is Obstacle.BREAKER
    assert len(other.plant.nodes) == 3


def test_nodes_may_be_replaced_in_the_rack_that_others_leave() -> None:
    """Three big ones fit only where the small ones went."""
    plant = room(big=0, small=8)
    add = (Addition(kind="big", number=3, racks=("r1",)),)
    assert option(plant, add=add).change.added[0].placed < 3
    assert option(plant, retire=("small",), add=add).change.added[0].placed == 3


def test_more_nodes_fit_under_a_cap() -> None:
    """At 2 kW each, six on the breaker of 13.8 kW."""
    add = (Addition(kind="big", number=9, racks=("r2",)),)
    assert option(room(), add=add).change.added[0].placed == 3
    capped = option(room(), cap=(Cap(kind="big", watts=2000.0),), add=add)
    assert capped.change.added[0].placed == 6


@settings(max_examples=40, deadline=None)
@given(
    big=st.integers(0, 3),
    small=st.integers(0, 3),
    number=st.integers(1, 12),
    rack_w=st.sampled_from([None, 3000.0, 9000.0]),
    cooling_w=st.sampled_from([None, 5000.0, 12000.0]),
)
def test_no_addition_breaks_a_limit(
    big: int, small: int, number: int, rack_w: float | None, cooling_w: float | None
) -> None:
    """No breaker with either feed lost, no rack nor room that gets a node, all of them busy."""
    plant = room(big, small, rack_w=rack_w, cooling_w=cooling_w)
    other = option(plant, add=(Addition(kind="small", number=number),))
    added = other.change.added[0]
    assert len(other.plant.nodes) == len(plant.nodes) + added.placed
    assert bool(added.obstacles) == (added.placed < number)
    assert set(overloaded(other.plant)) <= set(overloaded(plant))
    full_w = {
        rack.name: sum(
            DRAWS[node.kind].full_high_w for node in other.plant.nodes if node.rack == rack.name
        )
        for rack in plant.racks
    }
    for rack in plant.racks:
        if rack.name in added.racks and rack.power_w is not None:
            assert full_w[rack.name] <= rack.power_w
    if added.placed and cooling_w is not None:
        assert sum(full_w.values()) <= cooling_w


def test_a_kind_that_the_plant_does_not_know_is_an_error() -> None:
    """Whoever calls has checked it."""
    with pytest.raises(KeyError):
        option(room(), add=(Addition(kind="huge", number=1),))


def test_the_difference_is_the_option_less_the_plant_as_it_is() -> None:
    """One more node at rest: 800 W of IT, and eight of nine desktops become nine."""
    one = scenario(days=1, desktops=(Desktops(id="d", users=9, hours=ALL_DAY),))
    figures = Figures(
        pue=Figure(value=1.5, source="an example"), price=Figure(value=0.2, source="an example")
    )
    base = found(one, room(), figures)
    other = found(one, option(room(), add=(Addition(kind="big", number=1),)).plant, figures)
    less = difference(other, base)
    assert (less.gpus, less.placed_hours) == (4, {"d": 24})
    assert less.it_kwh == pytest.approx((0.8 + 0.6) * 8766)
    assert less.euros == pytest.approx((0.8 + 0.6) * 8766 * 1.5 * 0.2)
    assert (less.co2e_kg, less.water_m3) == (None, None)


def test_what_binds_is_the_obstacle_of_what_was_refused() -> None:
    """GPU memory here: half a GPU with more than half of its memory."""
    one = scenario(
        days=1,
        desktops=(
            Desktops(
                id="d", users=3, hours=ALL_DAY, gpu_kinds=("S",), gpu_share=0.5, gpu_memory_gib=13.0
            ),
        ),
    )
    what = binding(found(one, room(big=1, small=1)))
    assert what is not None
    assert (what.refused, what.code, what.share) == (True, Obstacle.GPU_MEMORY.value, None)


def test_what_binds_when_all_fits_is_the_limit_nearest_to_full() -> None:
    """Four of eight GPUs, and breakers with 8 of 13.8 kW."""
    what = binding(found(scenario(days=1, inference=(Inference(id="i", replicas=4),)), room()))
    assert what is not None
    assert (what.refused, what.code) == (False, Limit.BREAKER.value)
    assert what.share == pytest.approx(8000 / 13800)


def test_nothing_binds_where_nothing_is_limited() -> None:
    """A room without nodes and without any declared limit."""
    plant = msgspec.structs.replace(room(big=0), racks=(), rooms=())
    assert binding(found(scenario(days=1), plant)) is None
