"""Nodes that could be emptied: where their work would go, and that nothing is lost by it."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from jauge_models.capacity.consolidation_plan import Consolidation, Move, consolidation
from jauge_models.capacity.demand import demand
from jauge_models.capacity.inventory import Plant
from jauge_models.capacity.occupancy import Occupancy
from jauge_models.capacity.scenario import Scenario
from jauge_models.capacity.schedule import Hold, schedule
from jauge_models.capacity.workloads import Place, Spread, Workload

from tests.models.capacity.rooms import DRAWS, PARIS, room
from tests.models.capacity.test_schedule import plants, scenarios


def held(name: str, node: str, *gpus: int, hours: slice = slice(0, 2), **more: Any) -> Hold:
    """An instance on whole GPUs."""
    workload = Workload(id=name, gpus=len(gpus), **more)
    return Hold(name, name, workload, 1.0, Place(node, gpus), hours)


def found(plant: Plant, *holds: Hold) -> Consolidation:
    """The plan for two hours."""
    return consolidation(plant, holds, 2, DRAWS)


def names(plan: Consolidation) -> list[str]:
    """Nodes that could be off."""
    return [one.node for one in plan.emptied]


def test_the_emptier_node_goes_to_the_other() -> None:
    """One GPU to a node that holds two; what is saved is its draw at rest."""
    plan = found(room(), held("a", "big-0", 0, 1), held("b", "big-1", 3))
    assert names(plan) == ["big-1"]
    assert plan.emptied[0].moves == (Move("b", "big-1", "big-0", (2,)),)
    assert plan.kwh == pytest.approx(0.8 * 8766)


def test_a_node_that_never_held_anything_is_off_without_a_move() -> None:
    """And takes nothing, so that the one in use stays."""
    plan = found(room(), held("a", "big-0", 0))
    assert names(plan) == ["big-1"]
    assert plan.emptied[0].moves == ()


def test_what_does_not_fit_stays() -> None:
    """Three and two of four; GPUs of another kind; the same hours only."""
    assert names(found(room(), held("a", "big-0", 0, 1, 2), held("b", "big-1", 0, 1))) == []
    bound = [held("a", "big-0", 0, gpu_kinds=("G",)), held("b", "small-0", 0, gpu_kinds=("S",))]
    assert names(found(room(1, 1), *bound)) == []
    by_turns = found(
        room(),
        held("a", "big-0", 0, 1, 2, hours=slice(0, 1)),
        held("b", "big-1", 0, 1, hours=slice(1, 2)),
    )
    assert len(names(by_turns)) == 1


def test_a_node_that_takes_something_in_is_not_emptied_itself() -> None:
    """One GPU on each of three: both others go to the one that got the first, each once."""
    plan = found(room(3), held("a", "big-0", 0), held("b", "big-1", 0), held("c", "big-2", 0))
    assert names(plan) == ["big-0", "big-2"]
    assert [move.target for one in plan.emptied for move in one.moves] == ["big-1", "big-1"]


def test_what_may_not_meet_does_not() -> None:
    """Two replicas on two nodes, and a run on both."""
    apart: dict[str, Any] = {"group": "g", "spread": Spread.NODE}
    assert (
        names(found(room(), held("a", "big-0", 0, **apart), held("b", "big-1", 0, **apart))) == []
    )
    assert names(found(room(), held("a", "big-0", 0), held("a", "big-1", 0))) == []


def test_nothing_is_said_of_savings_where_a_draw_is_not_known() -> None:
    """Not zero."""
    plan = consolidation(room(), [held("a", "big-0", 0)], 2, {})
    assert names(plan) == ["big-1"]
    assert plan.kwh is None


def _after(holds: Sequence[Hold], plan: Consolidation) -> list[Hold]:
    moves = {(move.instance, move.source): move for one in plan.emptied for move in one.moves}
    moved = []
    for hold in holds:
        move = moves.get((hold.instance, hold.place.node))
        moved.append(hold if move is None else hold._replace(place=Place(move.target, move.gpus)))
    return moved


@settings(max_examples=40, deadline=None)
@given(scenarios(), plants)
def test_after_the_moves_nothing_is_lost_nor_exceeded(one: Scenario, plant: Plant) -> None:
    """Every hold keeps its hours and as many GPUs; nodes that are off hold nothing."""
    plan = schedule(plant, demand(one, plant, DRAWS, PARIS), DRAWS)
    hours = plan.demand.horizon.hours
    got = consolidation(plant, plan.holds, hours, DRAWS)
    off = set(names(got))
    rest = {kind: draw.idle_high_w for kind, draw in DRAWS.items()}
    before = Occupancy(plant, hours, idle_w=rest).lowest()
    rooms = Occupancy(plant, hours, idle_w=rest)
    for hold in _after(plan.holds, got):
        assert hold.place.node not in off
        assert len(set(hold.place.gpus)) == hold.workload.gpus
        rooms.hold(hold.workload, hold.place, hold.at)
    # A room whose nodes at rest already exceed a limit is below zero before anything is placed.
    assert rooms.lowest() >= min(0.0, before) - 1e-6
