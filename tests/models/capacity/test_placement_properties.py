"""What holds of every placement: limits, also with a feed lost; sums; and honest refusals."""

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_models.capacity.inventory import Plant
from jauge_models.capacity.placement import Packer, Place, Policy, Refused, Workload, pack

from tests.models.capacity.limits_kept import broken_limits
from tests.models.capacity.plants import IDLE_W, KINDS, plants, workloads

GPUS = {kind.name: kind.gpus for kind in KINDS}


def places(plant: Plant, workload: Workload, packer: Packer) -> Iterator[Place]:
    """Every place that there could be, whether it fits or not; of whole GPUs all the first free."""
    for node in plant.nodes:
        numbers = range(GPUS[node.kind])
        if workload.gpus == 1:
            yield from (Place(node.name, (gpu,)) for gpu in numbers)
            continue
        empty = [
            gpu
            for gpu in numbers
            if (packer.free_on(Place(node.name, (gpu,))) or (0, 0))[0] == 1000
        ]
        if len(empty) >= workload.gpus:
            yield Place(node.name, tuple(empty[: workload.gpus]))


def left(packer: Packer) -> list[object]:
    """What every node has left."""
    return [packer.alike(node.name) for node in packer.plant.nodes]


@settings(deadline=None, max_examples=200)
@given(plants(), workloads(), st.sampled_from(list(Policy)), st.data())
def test_no_placement_breaks_a_limit(
    plant: Plant, asked: list[Workload], policy: Policy, data: st.DataObject
) -> None:
    """With all feeds and with each one lost, after every placement and removal."""
    packer = Packer(plant, idle_w=IDLE_W, policy=policy, typical=asked)
    held: dict[str, tuple[Workload, Place]] = {}
    for workload in asked:
        found = packer.place(workload)
        if isinstance(found, Place):
            held[workload.id] = (workload, found)
        leave: int = data.draw(st.integers(0, 3))
        if held and not leave:
            name: str = data.draw(st.sampled_from(sorted(held)))
            assert packer.remove(name) == held.pop(name)[1]
        assert broken_limits(plant, held.values(), idle_w=IDLE_W) == []
    assert packer.placed == {name: place for name, (_, place) in held.items()}


@settings(deadline=None)
@given(plants(), workloads())
def test_what_is_refused_fits_nowhere(plant: Plant, asked: list[Workload]) -> None:
    """Each place that there could be breaks a limit; and each node is counted once."""
    packer = Packer(plant, idle_w=IDLE_W, typical=asked)
    held: list[tuple[Workload, Place]] = []
    for workload in asked:
        before = list(places(plant, workload, packer))
        found = packer.place(workload)
        if isinstance(found, Place):
            held.append((workload, found))
            continue
        assert sum(count for _, count in found.obstacles) == len(plant.nodes)
        for place in before:
            assert broken_limits(plant, [*held, (workload, place)], idle_w=IDLE_W)


@settings(deadline=None)
@given(plants(), workloads())
def test_the_parts_add_up_to_the_room(plant: Plant, asked: list[Workload]) -> None:
    """GPUs: free and taken are all there are. Watts: racks of a room are the room."""
    packer = Packer(plant, idle_w=IDLE_W)
    whole = packer.free_milli
    held = [one for one in asked if isinstance(packer.place(one), Place)]
    totals = packer.allocated
    assert totals.workloads == len(held)
    assert totals.gpu_milli == sum(one.milli for one in held)
    kinds = {node.name: node.kind for node in plant.nodes}
    if all(kinds[place.node] != "cut" for place in packer.placed.values()):
        assert sum(whole.values()) - sum(packer.free_milli.values()) == totals.gpu_milli
    racks, rooms = packer.rack_w, packer.room_w
    for room in plant.rooms:
        of_racks = [racks[rack.name] for rack in plant.racks if rack.room == room.name]
        assert round(1000 * sum(of_racks)) == round(1000 * rooms[room.name])


@settings(deadline=None)
@given(plants(), workloads())
def test_what_is_held_anew_leaves_the_same(plant: Plant, asked: list[Workload]) -> None:
    """A packer that is given the places of another one has as much left, everywhere.

    And once all is removed, as much as one in which nothing ever was.
    """
    first = Packer(plant, idle_w=IDLE_W)
    held = [(one, found) for one in asked if isinstance(found := first.place(one), Place)]
    second = Packer(plant, idle_w=IDLE_W)
    for workload, place in reversed(held):
        second.hold(workload, place)
    assert second.free_milli == first.free_milli
    assert (second.rack_w, second.room_w) == (first.rack_w, first.room_w)
    assert left(second) == left(first)
    for name in first.placed:
        first.remove(name)
    assert left(first) == left(Packer(plant, idle_w=IDLE_W))


@settings(deadline=None)
@given(plants(), workloads(), st.sampled_from(list(Policy)))
def test_the_same_twice_is_the_same(plant: Plant, asked: list[Workload], policy: Policy) -> None:
    """Nothing depends on anything but what is given, the random policy on its seed."""

    def answers() -> list[Place | Refused]:
        packer = Packer(plant, idle_w=IDLE_W, policy=policy, typical=asked, seed=7)
        return [packer.place(one) for one in asked]

    assert answers() == answers()


@settings(deadline=None)
@given(plants(), workloads())
def test_a_packing_keeps_every_limit_and_accounts_for_all(
    plant: Plant, asked: list[Workload]
) -> None:
    """Each workload is placed or fits no more, and more is placed than one after another."""
    packing = pack(plant, asked, idle_w=IDLE_W)
    by_id = {one.id: one for one in asked}
    assert packing.placed.keys() | packing.refused.keys() == by_id.keys()
    assert not packing.placed.keys() & packing.refused.keys()
    held = [(by_id[name], place) for name, place in packing.placed.items()]
    assert broken_limits(plant, held, idle_w=IDLE_W) == []
    full = Packer(plant, idle_w=IDLE_W)
    for one, place in held:
        full.hold(one, place)
    for name in packing.refused:
        assert not any(full.places(by_id[name], node.name) for node in plant.nodes)
    packer = Packer(plant, idle_w=IDLE_W, typical=asked)
    for one in asked:
        packer.place(one)
    assert sum(one.milli for one, _ in held) >= packer.allocated.gpu_milli
