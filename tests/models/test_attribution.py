"""Attribution: what always holds for any host, guests and GPUs, and cases worked by hand."""

import math
import random
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_models.attribution import (
    QUANTUM,
    Certainty,
    Doubt,
    GpuEnergy,
    GuestActivity,
    HostEnergy,
    IdlePolicy,
    Part,
    Shared,
    share,
    summed,
)

MEASURED, DERIVED, ESTIMATED = Certainty.MEASURED, Certainty.DERIVED, Certainty.ESTIMATED

NAMES = tuple("abcdefgh")


class Slot(NamedTuple):
    """What ``share`` is given."""

    host: HostEnergy
    guests: tuple[GuestActivity, ...]
    gpus: tuple[GpuEnergy, ...]
    policy: IdlePolicy

    def shared(self) -> Shared:
        """The result."""
        return share(*self)


energies = st.one_of(
    st.sampled_from([0.0, 1e-9, 0.1, 100.0, 1800.0, 3.6e6]),
    st.floats(0, 1e8),
    st.floats(1e10, 1e13),
)
activities = st.one_of(st.none(), st.just(0.0), st.floats(0, 64))


placements = st.dictionaries(st.sampled_from(NAMES), st.booleans(), max_size=4)
"""Guests by name, and whether they run on the first of two hosts."""


@st.composite
def guests(draw: st.DrawFn, busy: st.SearchStrategy[float | None] = activities) -> GuestActivity:
    """A guest without a name."""
    return GuestActivity(
        "",
        draw(busy),
        draw(st.one_of(st.none(), st.sampled_from([1.0, 2.0, 8.0, 64.0]))),
        draw(st.one_of(st.none(), st.none(), st.floats(0, 500))),
    )


@st.composite
def slots(
    draw: st.DrawFn,
    names: Iterable[str] = NAMES,
    busy: st.SearchStrategy[float | None] = activities,
) -> Slot:
    """Any host, its guests, and GPUs held by these, by others, by nobody, or by too many."""
    running = draw(st.sets(st.sampled_from(sorted(names)))) if tuple(names) else set()
    energy = draw(energies)
    host = HostEnergy(
        energy,
        draw(st.one_of(st.floats(0, 1), st.floats(0, 3))) * energy,
        draw(st.booleans()),
        draw(activities),
        draw(st.sampled_from([True, True, True, False])),
    )
    gpus = tuple(
        GpuEnergy(
            f"gpu:{at}",
            draw(st.sampled_from([0.0, 0.1, 0.4, 1.5])) * energy,
            tuple(
                draw(
                    st.lists(
                        st.tuples(
                            st.sampled_from((*sorted(names), "elsewhere")),
                            st.sampled_from([0.0, 1 / 7, 0.5, 1.0]),
                        ),
                        max_size=4,
                    )
                )
            ),
        )
        for at in range(draw(st.integers(0, 3)))
    )
    activity = tuple(draw(guests(busy))._replace(guest=name) for name in sorted(running))
    return Slot(host, activity, gpus, draw(st.sampled_from(IdlePolicy)))


def parts_of(shared: Shared) -> list[Part]:
    """The host's own part and those of the guests."""
    return [shared.own, *shared.guests.values()]


def exact(values: Iterable[float]) -> Fraction:
    """A sum without any rounding."""
    return sum(map(Fraction, values), Fraction(0))


def spread(shared: Shared, seed: int) -> list[float]:
    """All figures, in an order that the seed decides."""
    figures = [figure for part in parts_of(shared) for figure in part[:3]]
    random.Random(seed).shuffle(figures)
    return figures


def host(
    energy: float = 1000.0,
    idle: float = 400.0,
    busy: float | None = 10.0,
    *,
    idle_is_measured: bool = True,
    energy_is_measured: bool = True,
) -> HostEnergy:
    """A host of round figures."""
    return HostEnergy(energy, idle, idle_is_measured, busy, energy_is_measured)


def near(part: Part, idle: float, dynamic: float, gpu: float = 0.0) -> bool:
    """Whether a part holds these J, to a few quanta."""
    return part[:3] == pytest.approx((idle, dynamic, gpu), abs=8 * QUANTUM)


@given(slots(), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_the_parts_are_the_host_to_the_last_bit(slot: Slot, seed: int) -> None:
    """Added in any order with ordinary floats, and without any rounding at all."""
    shared = slot.shared()
    assert exact(spread(shared, seed)) == Fraction(slot.host.energy)
    assert sum(spread(shared, seed)) == slot.host.energy
    assert sum(part.energy for part in parts_of(shared)) == slot.host.energy


@given(slots())
@settings(max_examples=40, deadline=None)
def test_nobody_has_a_negative_part_and_everybody_has_one(slot: Slot) -> None:
    """Each guest that runs has exactly one part; nobody else has any."""
    shared = slot.shared()
    assert set(shared.guests) == {guest.guest for guest in slot.guests}
    assert all(figure >= 0 for part in parts_of(shared) for figure in part[:3])


@given(slots(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_guests_gpus_and_holders_changes_nothing(
    slot: Slot, chance: random.Random
) -> None:
    """Not by a bit."""
    mixed = [chance.sample(gpu.holders, len(gpu.holders)) for gpu in slot.gpus]
    gpus = [gpu._replace(holders=tuple(held)) for gpu, held in zip(slot.gpus, mixed, strict=True)]
    again = share(
        slot.host,
        chance.sample(slot.guests, len(slot.guests)),
        chance.sample(gpus, len(gpus)),
        slot.policy,
    )
    assert again == slot.shared()


@given(slots())
@settings(max_examples=40, deadline=None)
def test_idle_energy_has_its_owner(slot: Slot) -> None:
    """All of it, whatever the policy: the guests, or the host where it is to be or is alone."""
    shared = slot.shared()
    quantum = max(QUANTUM, math.ulp(slot.host.energy))
    room = slot.host.energy - math.fsum(part.gpu for part in parts_of(shared))
    idle = min(slot.host.idle, room)
    of_guests = math.fsum(part.idle for part in shared.guests.values())
    slack = (len(slot.guests) + 3) * quantum
    if slot.policy is IdlePolicy.HOST or not slot.guests:
        assert of_guests == 0
        assert shared.own.idle == pytest.approx(idle, abs=slack)
    else:
        assert of_guests == pytest.approx(idle, abs=slack)
        assert shared.own.idle <= slack


@given(slots())
@settings(max_examples=40, deadline=None)
def test_no_activity_no_dynamic_energy(slot: Slot) -> None:
    """Neither where it is zero, nor where nothing says what it was."""
    shared = slot.shared()
    for guest in slot.guests:
        if guest.busy == 0 or (guest.busy is None and guest.own_power is None):
            assert shared.guests[guest.guest].dynamic == 0
        if guest.busy is None and guest.own_power is None:
            assert shared.guests[guest.guest].certainty is ESTIMATED


@given(slots(), st.floats(0.001, 32), st.data())
@settings(max_examples=40, deadline=None)
def test_more_activity_never_means_less_energy(
    slot: Slot, more: float, data: st.DataObject
) -> None:
    """For the guest, if all else stays; nor between two guests alike in all but activity."""
    busy = [guest for guest in slot.guests if guest.busy is not None]
    if not busy:
        return
    chosen = data.draw(st.sampled_from(busy))
    assert chosen.busy is not None
    busier = chosen._replace(busy=chosen.busy + more)
    shared = slot.shared()
    others = tuple(busier if guest is chosen else guest for guest in slot.guests)
    again = slot._replace(guests=others).shared()
    assert again.guests[chosen.guest].energy >= shared.guests[chosen.guest].energy
    both = slot._replace(guests=(*slot.guests, busier._replace(guest="twin"))).shared()
    assert both.guests["twin"].dynamic >= both.guests[chosen.guest].dynamic


@given(slots(), st.sampled_from([0.25, 0.5, 2.0, 8.0, 60.0]))
@settings(max_examples=40, deadline=None)
def test_it_does_not_depend_on_the_unit(slot: Slot, factor: float) -> None:
    """A slot as long again, or watts in place of J: every part by the same factor."""
    shared = slot.shared()
    scaled = share(
        slot.host._replace(energy=slot.host.energy * factor, idle=slot.host.idle * factor),
        slot.guests,
        [gpu._replace(energy=gpu.energy * factor) for gpu in slot.gpus],
        slot.policy,
    )
    quantum = max(QUANTUM, math.ulp(slot.host.energy))
    slack = (len(slot.guests) + 8) * quantum * max(factor, 1) * 2
    for before, after in zip(parts_of(shared), parts_of(scaled), strict=True):
        assert after[:3] == pytest.approx([figure * factor for figure in before[:3]], abs=slack)


@given(slots(), st.sampled_from([0.001, 0.5, 3.0, 1000.0]))
@settings(max_examples=40, deadline=None)
def test_only_the_proportions_of_activity_count(slot: Slot, factor: float) -> None:
    """Processors busy, processors given and the hypervisor's watts may be in any unit."""

    def times(value: float | None) -> float | None:
        return None if value is None else value * factor

    scaled = slot._replace(
        host=slot.host._replace(busy=times(slot.host.busy)),
        guests=tuple(
            GuestActivity(one.guest, times(one.busy), times(one.processors), times(one.own_power))
            for one in slot.guests
        ),
    ).shared()
    quantum = max(QUANTUM, math.ulp(slot.host.energy))
    slack = 4 * quantum + slot.host.energy * 1e-12
    for before, after in zip(parts_of(slot.shared()), parts_of(scaled), strict=True):
        assert after[:3] == pytest.approx(before[:3], abs=slack * (len(slot.guests) + 1))


@given(slots())
@settings(max_examples=40, deadline=None)
def test_gpus_never_exceed_the_host(slot: Slot) -> None:
    """Cut, said so, and marked; what nobody here holds is the host's own."""
    shared = slot.shared()
    given_away = math.fsum(part.gpu for part in parts_of(shared))
    said = math.fsum(gpu.energy for gpu in slot.gpus)
    slack = max(QUANTUM, math.ulp(slot.host.energy)) * 16
    assert given_away <= slot.host.energy
    assert given_away == pytest.approx(min(said, slot.host.energy), abs=slack)
    if said > slot.host.energy * 1.01 + 1:
        assert Doubt.GPU_EXCEEDS_HOST in shared.doubts
    elif said < slot.host.energy:
        assert Doubt.GPU_EXCEEDS_HOST not in shared.doubts
    holders = {guest for gpu in slot.gpus for guest, part in gpu.holders if part}
    assert all(part.gpu == 0 for name, part in shared.guests.items() if name not in holders)


@given(st.data(), st.lists(placements, min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_migrations_count_nobody_twice(data: st.DataObject, where: list[dict[str, bool]]) -> None:
    """Guests that move between two hosts from slot to slot: an hour of both adds up exactly."""
    hours: list[list[Shared]] = [[], []]
    energy: list[list[float]] = [[], []]
    for placed in where:
        for at in (0, 1):
            here = [guest for guest, first in placed.items() if first == (at == 0)]
            slot = data.draw(slots(names=here))
            slot = slot._replace(host=slot.host._replace(energy=math.fmod(slot.host.energy, 1e8)))
            running = {guest.guest for guest in slot.guests}
            shared = slot.shared()
            assert set(shared.guests) == running
            hours[at].append(shared)
            energy[at].append(slot.host.energy)
    for of_host, energies_of_host in zip(hours, energy, strict=True):
        hour = summed(of_host, math.fsum(energies_of_host))
        assert sum(part.energy for part in parts_of(hour)) == math.fsum(energies_of_host)
        for guest, part in hour.guests.items():
            by_slot = [slot.guests[guest] for slot in of_host if guest in slot.guests]
            if sum(energies_of_host) < 2**37:
                assert part.energy == sum(one.energy for one in by_slot)
            assert part.certainty.rank == max(one.certainty.rank for one in by_slot)


@given(st.lists(slots(), max_size=3), energies)
@settings(max_examples=40, deadline=None)
def test_slots_are_cut_or_stretched_to_a_better_counter(found: list[Slot], energy: float) -> None:
    """The sum is exact again, nothing negative, and the proportions stay."""
    shared = [slot.shared() for slot in found]
    hour = summed(shared, energy)
    assert sum(part.energy for part in parts_of(hour)) == energy
    assert all(figure >= 0 for part in parts_of(hour) for figure in part[:3])
    total = math.fsum(slot.host.energy for slot in found)
    if not total:
        assert hour.own.energy == energy
        return
    for guest, part in hour.guests.items():
        was = math.fsum(slot.guests[guest].energy for slot in shared if guest in slot.guests)
        slack = 6 * max(QUANTUM, math.ulp(energy)) + energy * 1e-12
        assert part.energy == pytest.approx(was / total * energy, abs=slack)


def test_a_host_worked_by_hand() -> None:
    """1000 J: 200 of a GPU, 300 idle by 8 and 4 processors, 500 by 4, 2 and 4 of its own."""
    shared = share(
        host(idle=300),
        [GuestActivity("a", 4, 8), GuestActivity("b", 2, 4)],
        [GpuEnergy("gpu:0", 200, (("a", 0.75),))],
        IdlePolicy.ALLOCATION,
    )
    assert near(shared.guests["a"], 200, 200, 150)
    assert near(shared.guests["b"], 100, 100)
    assert near(shared.own, 0, 200, 50)
    assert {part.certainty for part in parts_of(shared)} == {DERIVED}
    assert shared.doubts == frozenset()
    assert shared.reconciliation is None


@pytest.mark.parametrize(
    ("policy", "a", "b", "own"),
    [
        (IdlePolicy.ALLOCATION, 300, 100, 0),
        (IdlePolicy.EQUAL, 200, 200, 0),
        (IdlePolicy.HOST, 0, 0, 400),
    ],
)
def test_idle_policies(policy: IdlePolicy, a: float, b: float, own: float) -> None:
    """400 J of idle energy, guests of 6 and 2 processors."""
    shared = share(host(), [GuestActivity("a", 5, 6), GuestActivity("b", 5, 2)], [], policy)
    assert near(shared.guests["a"], a, 300)
    assert near(shared.guests["b"], b, 300)
    assert near(shared.own, own, 0)


def test_an_unknown_allocation_counts_as_the_mean() -> None:
    """6, 2 and unknown: the third like 4; all three are estimated, since it moves the others."""
    some = [GuestActivity("a", 1, 6), GuestActivity("b", 1, 2), GuestActivity("c", 1, None)]
    shared = share(host(idle=300), some, [], IdlePolicy.ALLOCATION)
    assert [round(part.idle) for part in shared.guests.values()] == [150, 50, 100]
    assert {part.certainty for part in shared.guests.values()} == {ESTIMATED}
    none = [guest._replace(processors=None) for guest in some]
    alike = share(host(idle=300), none, [], IdlePolicy.ALLOCATION)
    assert [round(part.idle) for part in alike.guests.values()] == [100, 100, 100]
    equal = share(host(idle=300), some, [], IdlePolicy.EQUAL)
    assert {part.certainty for part in equal.guests.values()} == {DERIVED}


def test_what_the_hypervisor_does_is_the_hosts_own() -> None:
    """Busy 10, guests 2 and 3: half of the dynamic energy is its own."""
    pair = [GuestActivity("a", 2, 4), GuestActivity("b", 3, 4)]
    shared = share(host(), pair, [], IdlePolicy.HOST)
    assert near(shared.own, 400, 300)
    over = share(host(busy=4), pair, [], IdlePolicy.HOST)
    assert near(over.own, 400, 0)
    assert over.doubts == {Doubt.BUSY_EXCEEDS_HOST}
    unknown = share(host(busy=None), pair, [], IdlePolicy.HOST)
    assert near(unknown.own, 400, 0)
    assert near(unknown.guests["a"], 0, 240)
    assert {part.certainty for part in parts_of(unknown)} == {ESTIMATED}


def test_an_unknown_activity_takes_nothing_from_the_others() -> None:
    """Its part of the dynamic energy stays with the host, whose own part is then estimated."""
    pair = [GuestActivity("a", 2, 4), GuestActivity("b", None, 4)]
    shared = share(host(), pair, [], IdlePolicy.EQUAL)
    assert near(shared.guests["a"], 200, 120)
    assert near(shared.guests["b"], 200, 0)
    assert near(shared.own, 0, 480)
    assert shared.guests["a"].certainty is DERIVED
    assert shared.guests["b"].certainty is ESTIMATED
    assert shared.own.certainty is ESTIMATED


def test_the_hypervisors_counters_are_weights() -> None:
    """30 W and 10 W over 10 s say 400 J; the guests had 300 J: they were a quarter too high."""
    pair = [GuestActivity("a", 2, 4, 30.0), GuestActivity("b", 3, 4, 10.0)]
    shared = share(host(), pair, [], IdlePolicy.HOST, seconds=10)
    assert near(shared.guests["a"], 0, 225)
    assert near(shared.guests["b"], 0, 75)
    assert near(shared.own, 400, 300)
    assert shared.reconciliation == pytest.approx(0.75)
    assert {part.certainty for part in parts_of(shared)} == {DERIVED}
    assert share(host(), pair, [], IdlePolicy.HOST).reconciliation is None


def test_the_hypervisors_counters_count_only_where_all_active_guests_have_one() -> None:
    """One active without: activity for all. One at rest without: it does not matter."""
    active = [GuestActivity("a", 2, 4, 30.0), GuestActivity("b", 3, 4)]
    shared = share(host(), active, [], IdlePolicy.HOST, seconds=1)
    assert near(shared.guests["a"], 0, 120)
    assert shared.reconciliation is None
    at_rest = [GuestActivity("a", 2, 4, 30.0), GuestActivity("b", 0, 4)]
    shared = share(host(), at_rest, [], IdlePolicy.HOST, seconds=1)
    assert near(shared.guests["a"], 0, 120)
    assert shared.reconciliation == pytest.approx(4)
    charged = [GuestActivity("a", 2, 4, 30.0), GuestActivity("b", 0, 4, 30.0)]
    assert share(host(), charged, [], IdlePolicy.HOST).guests["b"].dynamic == 0
    dark = [GuestActivity("a", 2, 4, 0.0), GuestActivity("b", 3, 4, 0.0)]
    assert near(share(host(), dark, [], IdlePolicy.HOST).guests["a"], 0, 120)


def test_a_counter_stands_in_for_an_unknown_activity() -> None:
    """Then what the hypervisor did itself cannot be told, and all is estimated."""
    pair = [GuestActivity("a", None, 4, 30.0), GuestActivity("b", 3, 4, 10.0)]
    shared = share(host(), pair, [], IdlePolicy.HOST, seconds=1)
    assert near(shared.guests["a"], 0, 450)
    assert near(shared.own, 400, 0)
    assert {part.certainty for part in parts_of(shared)} == {ESTIMATED}


@pytest.mark.parametrize(
    ("guests", "expected"),
    [
        ([GuestActivity("a", 0, 4)], {"a": DERIVED, "": DERIVED}),
        ([], {"": MEASURED}),
        ([GuestActivity("a", None, 4)], {"a": ESTIMATED, "": ESTIMATED}),
    ],
)
def test_marks(guests: list[GuestActivity], expected: dict[str, Certainty]) -> None:
    """A host without guests is measured as a whole; nothing else is that is divided."""
    shared = share(host(), guests, [], IdlePolicy.EQUAL)
    marks = {"": shared.own.certainty}
    marks |= {name: part.certainty for name, part in shared.guests.items()}
    assert marks == expected


def test_a_gpu_held_whole_is_measured() -> None:
    """Where the guest has nothing else; a part of a GPU, or idle energy beside it, is derived."""
    at_rest = [GuestActivity("a", 0, 4)]
    whole = GpuEnergy("gpu:0", 200, (("a", 1.0),))
    held = share(host(), at_rest, [whole], IdlePolicy.HOST)
    assert near(held.guests["a"], 0, 0, 200)
    assert held.guests["a"].certainty is MEASURED
    assert share(host(), at_rest, [whole], IdlePolicy.EQUAL).guests["a"].certainty is DERIVED
    part = GpuEnergy("gpu:1", 200, (("a", 0.5),))
    both = share(host(), at_rest, [whole, part], IdlePolicy.HOST)
    assert near(both.guests["a"], 0, 0, 300)
    assert both.guests["a"].certainty is DERIVED
    modelled = share(host(energy_is_measured=False), at_rest, [whole], IdlePolicy.HOST)
    assert {one.certainty for one in parts_of(modelled)} == {ESTIMATED}


def test_an_unmeasured_idle_power_makes_estimates_of_what_depends_on_it() -> None:
    """A guest that has only its GPU does not."""
    pair = [GuestActivity("a", 0, 4), GuestActivity("b", 5, 4)]
    held = [GpuEnergy("gpu:0", 200, (("a", 1.0),))]
    shared = share(host(idle_is_measured=False), pair, held, IdlePolicy.HOST)
    assert shared.guests["a"].certainty is MEASURED
    assert shared.guests["b"].certainty is ESTIMATED
    assert shared.own.certainty is ESTIMATED
    alone = share(host(idle_is_measured=False), [], [], IdlePolicy.HOST)
    assert alone.own.certainty is MEASURED


def test_gpus_that_say_more_than_the_host_are_cut_alike() -> None:
    """1500 and 500 J of a host of 1000: 750 and 250, nothing idle, all estimated."""
    pair = [GuestActivity("a", 1, 4), GuestActivity("b", 1, 4)]
    gpus = [GpuEnergy("gpu:0", 1500, (("a", 1.0),)), GpuEnergy("gpu:1", 500, (("b", 1.0),))]
    shared = share(host(), pair, gpus, IdlePolicy.EQUAL)
    assert near(shared.guests["a"], 0, 0, 750)
    assert near(shared.guests["b"], 0, 0, 250)
    assert {part.certainty for part in parts_of(shared)} == {ESTIMATED}
    assert Doubt.GPU_EXCEEDS_HOST in shared.doubts


def test_parts_of_a_gpu() -> None:
    """Two parts of one guest count as one; more than the whole is cut; seven sevenths are not."""
    pair = [GuestActivity("a", 0, 4), GuestActivity("b", 0, 4)]
    twice = share(host(), pair, [GpuEnergy("g", 100, (("a", 0.5), ("a", 0.25)))], IdlePolicy.HOST)
    assert near(twice.guests["a"], 0, 0, 75)
    assert near(twice.own, 400, 500, 25)
    over = share(host(), pair, [GpuEnergy("g", 100, (("a", 1.0), ("b", 1.0)))], IdlePolicy.HOST)
    assert near(over.guests["a"], 0, 0, 50)
    assert over.guests["a"].certainty is ESTIMATED
    assert over.doubts == {Doubt.PARTS_EXCEED_GPU}
    sevenths = GpuEnergy("g", 100, (("a", 0.1429),) * 3 + (("b", 0.1429),) * 4)
    rounded = share(host(), pair, [sevenths], IdlePolicy.HOST)
    assert not rounded.doubts
    assert near(rounded.guests["b"], 0, 0, 400 / 7)
    halves = share(host(), pair, [GpuEnergy("g", 100, (("a", 0.5), ("b", 0.5)))], IdlePolicy.HOST)
    assert {part.certainty for part in halves.guests.values()} == {DERIVED}
    none = [GpuEnergy("g", 100, (("a", 1.0),)), GpuEnergy("h", 100, (("b", 1.0), ("a", 0.0)))]
    nought = share(host(), pair, none, IdlePolicy.HOST)
    assert {part.certainty for part in nought.guests.values()} == {MEASURED}


def test_a_host_below_its_idle_power() -> None:
    """All it drew is idle energy, and it says so."""
    shared = share(host(energy=300), [GuestActivity("a", 5, 4)], [], IdlePolicy.EQUAL)
    assert near(shared.guests["a"], 300, 0)
    assert shared.doubts == {Doubt.IDLE_EXCEEDS_REST}


@pytest.mark.parametrize("at", range(40))
def test_no_order_of_additions_shows_in_the_last_bit(at: int) -> None:
    """0.1 + 0.2 + 0.3 is not 0.3 + 0.2 + 0.1 in ordinary floats, and a huge host shows it."""
    values = (0.1, 0.2, 0.3)
    energy = 1e13 + at * 7e9
    three = [GuestActivity(name, value, 1) for name, value in zip("abc", values, strict=True)]
    fed = [GuestActivity(name, 1, 1, value) for name, value in zip("abc", values, strict=True)]
    held = tuple(("a", value) for value in values)
    for one, some in ((host(energy, 0, 1.0), three), (host(energy, 0, 4.0), fed)):
        there, back = (
            share(one, given, [GpuEnergy("g", energy / 2, parts)], IdlePolicy.HOST, seconds=1)
            for given, parts in ((some, held), (some[::-1], held[::-1]))
        )
        assert there == back


def test_equal_guests_have_equal_parts() -> None:
    """Seven share what seven does not divide; less than a quantum each is left to the host."""
    seven = [GuestActivity(name, 1, 4) for name in NAMES[:7]]
    shared = share(host(energy=1000.1, busy=7), seven, [], IdlePolicy.ALLOCATION)
    assert len({part[:3] for part in shared.guests.values()}) == 1
    assert 0 < shared.own.energy < 15 * QUANTUM


def test_an_hour_of_slots_keeps_its_reconciliation_and_doubts() -> None:
    """Counters said 400 and 1200 J where guests had 300 and 600: 900 / 1600, not the mean."""
    guest = GuestActivity("a", 5, 4, 40.0)
    first = share(host(), [guest], [], IdlePolicy.HOST, seconds=10)
    second = share(
        host(energy=1600), [guest._replace(own_power=120.0)], [], IdlePolicy.HOST, seconds=10
    )
    third = share(host(energy=300), [], [], IdlePolicy.HOST)
    hour = summed([first, second, third], 2900.0)
    assert hour.reconciliation == pytest.approx(900 / 1600)
    assert hour.doubts == {Doubt.IDLE_EXCEEDS_REST}
    assert near(hour.guests["a"], 0, 900)
    assert hour.guests["a"].certainty is DERIVED
    blind = share(host(), [GuestActivity("a", None, 4)], [], IdlePolicy.HOST)
    for order in ([first, blind], [blind, first]):
        assert summed(order, 2000.0).guests["a"].certainty is ESTIMATED
    doubled = summed([first, second, third], 5800.0)
    assert near(doubled.guests["a"], 0, 1800)


def test_an_hour_that_nothing_tells_of_is_the_hosts_own_and_estimated() -> None:
    """No slots, or slots without energy."""
    for slots_of_hour in ([], [share(host(energy=0), [], [], IdlePolicy.HOST)]):
        hour = summed(slots_of_hour, 500.0)
        assert hour.own.energy == 500
        assert hour.own.certainty is ESTIMATED
    assert summed([], 0.0).own.certainty is MEASURED


@pytest.mark.parametrize(
    ("host", "guests", "gpus", "message"),
    [
        (host(energy=-1), [], [], "host: energy must be a number from 0, not -1"),
        (host(idle=math.nan), [], [], "host: idle"),
        (host(busy=math.inf), [], [], "host: busy"),
        (host(), [GuestActivity("a", -1, 4)], [], "guest a: busy"),
        (host(), [GuestActivity("a", 1, math.nan)], [], "guest a: processors"),
        (host(), [GuestActivity("a", 1, 4, -2)], [], "guest a: own_power"),
        (host(), [GuestActivity("a", 1, 4)] * 2, [], "guest a is given twice"),
        (host(), [], [GpuEnergy("g", -1, ())], "GPU g: energy"),
        (host(), [], [GpuEnergy("g", 1, (("a", -0.5),))], "GPU g: part of a"),
        (host(), [], [GpuEnergy("g", 1, ())] * 2, "GPU g is given twice"),
    ],
)
def test_impossible_input_is_refused(
    host: HostEnergy, guests: list[GuestActivity], gpus: list[GpuEnergy], message: str
) -> None:
    """With what is wrong."""
    with pytest.raises(ValueError, match=message):
        share(host, guests, gpus, IdlePolicy.HOST)


def test_an_impossible_hour_is_refused() -> None:
    """Its energy is not a number."""
    with pytest.raises(ValueError, match="energy"):
        summed([], math.nan)
