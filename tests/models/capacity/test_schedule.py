"""Schedules: nothing is given twice, no run starts early or too late, and what waits is said."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_models.capacity.demand import demand
from jauge_models.capacity.inventory import Plant
from jauge_models.capacity.scenario import WEEK, Desktops, Hours, Inference, Scenario, Training
from jauge_models.capacity.schedule import Hold, Schedule, Service, schedule
from jauge_models.capacity.workloads import Obstacle, Spread

from tests.models.capacity.limits_kept import broken_limits
from tests.models.capacity.rooms import ALL_DAY, DRAWS, MONDAY, PARIS, room, scenario


def planned(one: Scenario, plant: Plant) -> Schedule:
    """The schedule of a scenario."""
    return schedule(plant, demand(one, plant, DRAWS, PARIS), DRAWS)


def service(found: Schedule, name: str) -> Service:
    """What became of a workload."""
    return next(one for one in found.services if one.id == name)


def training(name: str = "t", **more: Any) -> Training:
    """Runs of four hours on Monday's first hour."""
    return Training(id=name, **{"hours": 4, "first": MONDAY, **more})


def test_runs_queue_for_gpus_within_their_tolerance() -> None:
    """Five runs of a whole node on two nodes: two at once, two after 4 hours, one after 8."""
    found = planned(
        scenario(days=1, training=(training(gpus=4, runs=5, tolerance_hours=8),)), room()
    )
    t = service(found, "t")
    assert (t.runs, t.on_time, t.waited, t.given_up) == (5, 2, 3, 0)
    assert t.longest_wait_h == 8
    assert t.mean_wait_h == pytest.approx((4 + 4 + 8) / 3)
    assert (t.asked_most, t.placed_most) == (5, 2)
    assert [delay.hours for delay in found.delays] == [4, 4, 8]


def test_a_run_that_would_wait_longer_is_given_up_and_says_why() -> None:
    """The fifth, with a tolerance of seven hours."""
    found = planned(
        scenario(days=1, training=(training(gpus=4, runs=5, tolerance_hours=7),)), room()
    )
    t = service(found, "t")
    assert (t.on_time, t.waited, t.given_up) == (2, 2, 1)
    assert t.obstacles == ((Obstacle.GPUS, 2),)
    assert found.delays[-1].started is None


def test_a_run_given_up_on_one_day_starts_on_the_next() -> None:
    """On Monday, when there is school, two find no place; on the other days all do."""
    school = Desktops(id="d", users=8, hours=ALL_DAY, weekdays=WEEK[:1])
    found = planned(
        scenario(days=3, desktops=(school,), training=(training(runs=2, repeat_days=1),)), room()
    )
    t = service(found, "t")
    assert (t.runs, t.on_time, t.given_up) == (6, 4, 2)
    assert t.obstacles == ((Obstacle.GPUS, 4),)


def test_desktops_have_their_gpus_by_day_and_runs_by_night() -> None:
    """A run of all GPUs asked for at nine waits until school is over."""
    school = Desktops(id="d", users=8, hours=(Hours(begin=8, end=17, share=1.0),), gpu_share=1.0)
    night = training(hour=9, gpus=4, nodes=2, hours=6, tolerance_hours=12)
    found = planned(scenario(days=1, desktops=(school,), training=(night,)), room())
    assert service(found, "d").unplaced == 0
    assert [delay.started for delay in found.delays] == [17]


def test_peaks_at_different_hours_share_gpus() -> None:
    """Two classes that would not fit at once do in the morning and in the afternoon."""
    classes = tuple(
        Desktops(id=name, users=8, hours=(Hours(begin=begin, end=end, share=1.0),))
        for name, begin, end in (("morning", 8, 12), ("afternoon", 12, 17))
    )
    found = planned(scenario(days=1, desktops=classes), room())
    assert [one.unplaced for one in found.services] == [0, 0]
    longer = planned(
        scenario(days=1, desktops=(Desktops(id="all", users=1, hours=ALL_DAY), *classes)),
        room(),
    )
    assert [one.unplaced for one in longer.services] == [0, 4, 5]


def test_what_has_no_place_is_counted_in_hours_and_named() -> None:
    """Nine desktops of a whole GPU on eight."""
    found = planned(scenario(days=1, desktops=(Desktops(id="d", users=9, hours=ALL_DAY),)), room())
    d = service(found, "d")
    assert (d.asked_hours, d.placed_hours, d.asked_most, d.placed_most) == (216, 192, 9, 8)
    assert d.obstacles == ((Obstacle.GPUS, 2),)


def test_replicas_that_may_not_meet_stand_apart() -> None:
    """Three on two nodes."""
    found = planned(
        scenario(days=1, inference=(Inference(id="i", replicas=3, spread=Spread.NODE),)), room()
    )
    assert {hold.place.node for hold in found.holds} == {"big-0", "big-1"}
    assert service(found, "i").obstacles == ((Obstacle.ANTI_AFFINITY, 2),)


def test_inference_goes_before_desktops_and_both_before_runs() -> None:
    """Whatever their order of size."""
    found = planned(
        scenario(
            days=1,
            training=(training(gpus=4),),
            desktops=(Desktops(id="d", users=4, hours=ALL_DAY),),
            inference=(Inference(id="i", replicas=4),),
        ),
        room(big=1),
    )
    assert {one.id: one.unplaced for one in found.services} == {"i": 0, "d": 96, "t": 1}


_gpus: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries({"gpus": st.integers(1, 4)}),
    st.fixed_dictionaries({"gpu_share": st.sampled_from([0.125, 0.3, 0.5])}),
    st.fixed_dictionaries({"slices": st.integers(1, 7)}),
)
_needs: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "activity": st.floats(0, 1),
        "cpus": st.sampled_from([0.0, 8.0]),
        "gpu_memory_gib": st.sampled_from([0.0, 10.0, 40.0]),
        "growth": st.sampled_from([0.0, 3.0]),
    }
)


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """A few workloads of each sort over some days; together often more than fits."""
    runs = [
        training(
            f"t{at}",
            runs=draw(st.integers(1, 3)),
            nodes=draw(st.integers(1, 2)),
            hours=draw(st.integers(1, 30)),
            hour=draw(st.integers(0, 23)),
            repeat_days=draw(st.integers(0, 2)),
            tolerance_hours=draw(st.integers(0, 30)),
            **draw(_gpus),
            **draw(_needs),
        )
        for at in range(draw(st.integers(0, 3)))
    ]
    noon = draw(st.integers(1, 23))
    desks = [
        Desktops(
            id=f"d{at}",
            users=draw(st.integers(1, 20)),
            hours=(Hours(begin=at, end=noon + at, share=0.7),),
            **draw(_gpus),
            **draw(_needs),
        )
        for at in range(draw(st.integers(0, 2)))
    ]
    services = [
        Inference(
            id=f"i{at}",
            replicas=draw(st.integers(1, 4)),
            spread=draw(st.sampled_from(Spread)),
            **draw(_gpus),
            **draw(_needs),
        )
        for at in range(draw(st.integers(0, 2)))
    ]
    days = draw(st.integers(1, 5))
    return scenario(
        days=days, training=tuple(runs), desktops=tuple(desks), inference=tuple(services)
    )


plants = st.builds(
    room,
    big=st.integers(0, 3),
    small=st.integers(0, 3),
    rack_w=st.sampled_from([None, 4000.0, 9000.0]),
    cooling_w=st.sampled_from([None, 6000.0]),
    amperes=st.sampled_from([12.0, 20.0, 60.0]),
)


@settings(max_examples=60, deadline=None)
@given(scenarios(), plants)
def test_a_schedule_never_exceeds_its_plant(one: Scenario, plant: Plant) -> None:
    """In each hour by the independent count of placement, with either feed lost, power included."""
    found = planned(one, plant)
    rest = {kind: draw.idle_high_w for kind, draw in DRAWS.items()}
    seen: set[tuple[int, ...]] = set()
    for hour in range(found.demand.horizon.hours):
        at = tuple(number for number, hold in enumerate(found.holds) if _holds(hold, hour))
        if at not in seen:
            seen.add(at)
            placed = [(found.holds[number].workload, found.holds[number].place) for number in at]
            assert broken_limits(plant, placed, idle_w=rest) == []


def _holds(hold: Hold, hour: int) -> bool:
    if isinstance(hold.at, slice):
        return bool(hold.at.start <= hour < hold.at.stop)
    return hour in hold.at


@settings(max_examples=60, deadline=None)
@given(scenarios(), plants)
def test_no_run_starts_early_late_or_in_part(one: Scenario, plant: Plant) -> None:
    """Each on all of its nodes, different ones, for all of its hours; the rest is accounted for."""
    found = planned(one, plant)
    hours = found.demand.horizon.hours
    places = Counter(hold.instance for hold in found.holds)
    held: dict[str, list[Any]] = {}
    for hold in found.holds:
        held.setdefault(hold.instance, []).append(hold)
    late = {delay.run.id: delay for delay in found.delays}
    for run in found.demand.runs:
        start = late[run.id].started if run.id in late else run.at
        if start is None:
            assert run.id not in places
            continue
        assert run.at <= start <= run.at + run.asked.tolerance_hours
        assert len({hold.place.node for hold in held[run.id]}) == run.asked.nodes
        assert all(
            hold.at == slice(start, min(start + run.asked.hours, hours)) for hold in held[run.id]
        )
    for one_service in found.services:
        assert one_service.placed_hours <= one_service.asked_hours
        assert one_service.runs == (one_service.on_time + one_service.waited + one_service.given_up)
        if plant.nodes:
            assert bool(one_service.obstacles) == bool(one_service.unplaced)


@settings(deadline=None)
@given(
    big=st.integers(0, 3),
    users=st.integers(1, 20),
    runs=st.integers(1, 20),
    hours=st.integers(1, 9),
)
def test_one_more_node_never_lowers_what_is_placed_of_like_workloads(
    big: int, users: int, runs: int, hours: int
) -> None:
    """Whole GPUs, all alike: as many at once as there are, so that it holds exactly.

    Of unlike workloads no list schedule can promise it.
    """
    one = scenario(
        days=1,
        desktops=(Desktops(id="d", users=users, hours=ALL_DAY),),
        training=(training(runs=runs, hours=hours, tolerance_hours=10),),
    )
    few, more = (
        planned(one, room(big, rack_w=None, cooling_w=None)),
        planned(one, room(big + 1, rack_w=None, cooling_w=None)),
    )
    assert service(few, "d").placed_most == min(users, 4 * big)
    assert service(more, "d").placed_hours >= service(few, "d").placed_hours
    assert service(more, "t").given_up <= service(few, "t").given_up
