"""Hosts that could sleep: cases worked by hand, and what no hint may do."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_models.attribution import Certainty
from jauge_models.consolidation import HostProfile, SleepingHost, could_sleep
from jauge_models.guest_use import GuestProfile, UsePolicy

POLICY = UsePolicy()
NO_SPARE = UsePolicy(spare_hosts=0)
PERIOD_S = 30 * 86400.0
GIB = float(2**30)


def guest(
    name: str,
    busy: float | None = 2.0,
    memory: float | None = 16 * GIB,
    *,
    processors: float | None = 4.0,
    days: int = 30,
    gpu: bool = False,
) -> GuestProfile:
    """A guest's profile; only what a hint goes by is of interest."""
    return GuestProfile(
        name,
        PERIOD_S,
        days,
        1.0,
        busy,
        busy,
        processors,
        memory,
        memory,
        gpu,
        False,
        Certainty.DERIVED,
        {},
    )


def host(
    name: str,
    *guests: str,
    cluster: str = "c",
    processors: float | None = 16.0,
    memory: float | None = 128 * GIB,
    idle: float = 100.0 * PERIOD_S,
    coverage: float = 1.0,
    maintenance: bool = False,
) -> HostProfile:
    """A host of 16 processors and 128 GiB that draws 100 W at rest."""
    return HostProfile(
        name,
        cluster,
        processors,
        memory,
        guests,
        idle,
        PERIOD_S,
        coverage,
        Certainty.DERIVED,
        maintenance,
    )


TRIO = (host("h1", "a"), host("h2", "b"), host("h3", "c"))
GUESTS = tuple(guest(name) for name in "abc")


def sleepers(
    hosts: Sequence[HostProfile],
    guests: Sequence[GuestProfile] = GUESTS,
    policy: UsePolicy = POLICY,
    off: Sequence[str] = (),
) -> list[str]:
    """Names of the hosts that could sleep."""
    return [one.host for one in could_sleep(hosts, guests, policy, off)]


def test_three_small_guests_need_two_hosts() -> None:
    """One of three sleeps, since one of the other two may fail; 100 W are 876.6 kWh a year."""
    (one,) = could_sleep(TRIO, GUESTS, POLICY)
    assert (one.host, one.cluster, one.moves) == ("h1", "c", (("a", "h2"),))
    assert one.saving[:2] == (0, 0)
    assert one.saving.idle == pytest.approx(876.6)
    assert one.saving.certainty is Certainty.DERIVED


def test_the_greatest_saving_stands_first_and_gaps_make_estimates() -> None:
    """Across clusters; a host measured half of the time."""
    other = [
        host("k1", "d", cluster="k", idle=300 * PERIOD_S, coverage=0.5),
        host("k2", "e", cluster="k"),
        host("k3", "f", cluster="k"),
    ]
    both = could_sleep([*TRIO, *other], [*GUESTS, *map(guest, "def")], POLICY)
    assert [one.host for one in both] == ["k1", "h1"]
    assert both[0].saving.certainty is Certainty.ESTIMATED


def test_never_across_clusters() -> None:
    """Three hosts of three clusters, or of none, have nobody to go to."""
    assert not sleepers([one._replace(cluster=one.host) for one in TRIO])
    assert not sleepers([one._replace(cluster="") for one in TRIO])


def test_head_room_is_kept() -> None:
    """A quarter of 128 GiB stays free on each: 96 GiB hold six guests of 16 GiB, not seven."""
    full = [host("h1", "a"), host("h2", "b", "c", "d", "e", "f"), host("h3", memory=96 * GIB)]
    names = [guest(name) for name in "abcdef"]
    assert could_sleep(full, names, POLICY)[0].host == "h3"
    packed = [host("h1", "a", "g"), host("h2", *"bcdef"), host("h3", *"hijkl")]
    many = [guest(name, busy=0.1) for name in "abcdefghijkl"]
    (one,) = could_sleep(packed, many, NO_SPARE)
    assert one.moves == (("a", "h2"), ("g", "h3"))
    tight = [host("h1", "a", "g", "m"), *packed[1:]]
    assert not could_sleep(tight, [*many, guest("m", busy=0.1)], NO_SPARE)


def test_processors_and_size_are_kept_too() -> None:
    """By highest use; and no guest moves to a host with fewer processors than it was given."""
    busy = [guest("a", 5.0), guest("b", 8.0), guest("c", 8.0)]
    assert not sleepers(TRIO, busy, NO_SPARE)
    assert sleepers(TRIO, [guest("a", 4.0), *busy[1:]], NO_SPARE) == ["h1"]
    wide = [guest("a", processors=32.0), guest("b", 3.0), guest("c", 3.0)]
    assert sleepers(TRIO, wide) == ["h2"]


def test_the_rest_must_carry_a_failure() -> None:
    """Two hosts that stay on, one of them failed, must hold all guests; two alone never sleep."""
    assert not sleepers(TRIO[:2])
    heavy = [guest(name, 1.0, 45 * GIB) for name in "abc"]
    assert not sleepers(TRIO, heavy)
    assert could_sleep(TRIO[:2], GUESTS, NO_SPARE)


def test_the_largest_of_those_that_stay_may_fail() -> None:
    """In memory: 128 and 64 GiB stay for 70. In processors: 16 stay for 17."""
    unequal = [*TRIO[:2], host("h3", "c", memory=64 * GIB)]
    fixed = guest("c", gpu=True)
    assert not sleepers(unequal, [guest("a"), guest("b", memory=38 * GIB), fixed])
    assert sleepers(unequal, [guest("a"), guest("b", memory=32 * GIB), fixed]) == ["h1"]
    assert not sleepers(TRIO, [guest("a", 1.0), guest("b", 8.0), guest("c", 8.0)])
    assert sleepers(TRIO, [guest("a", 1.0), guest("b", 7.0), guest("c", 8.0)]) == ["h1"]


def test_the_largest_guest_goes_first() -> None:
    """70 GiB in three on 48 and 24 that are free; placed by name, the last finds no room."""
    sizes = {"a": 16, "b": 24, "c": 30, "d": 72, "e": 48, "f": 48}
    hosts = [host("h1", "a", "b", "c"), host("h2", "d"), host("h3", "e", "f", memory=192 * GIB)]
    guests = [guest(name, 0.1, size * GIB) for name, size in sizes.items()]
    found = could_sleep(hosts, guests, NO_SPARE)
    assert [(one.host, one.moves) for one in found] == [
        ("h1", (("c", "h3"), ("b", "h2"), ("a", "h3")))
    ]


def test_the_fullest_host_is_filled_first() -> None:
    """So that the emptier one may sleep in its turn."""
    hosts = [host("h0", "a"), host("h1", "b"), host("h2", "c", "d"), host("h3")]
    found = could_sleep(hosts, [guest(name, 1.0) for name in "abcd"], POLICY)
    assert {one.host: one.moves for one in found} == {"h3": (), "h0": (("a", "h2"),)}


def test_a_host_that_takes_guests_does_not_sleep() -> None:
    """Of 24 GiB that only h3 can take; its own 13 and 12 would fit elsewhere."""
    sizes = {"a": 24, "b": 13, "c": 12, "d": 76, "e": 76}
    (one,) = could_sleep(
        [host("h1", "a"), host("h3", "b", "c"), host("h4", "d"), host("h5", "e")],
        [guest(name, 0.1, size * GIB) for name, size in sizes.items()],
        NO_SPARE,
    )
    assert (one.host, one.moves) == ("h1", (("a", "h3"),))


@pytest.mark.parametrize(
    "blind",
    [
        guest("a", busy=None),
        guest("a", memory=None),
        guest("a", processors=None),
        guest("a", days=13),
        guest("other"),
    ],
)
def test_what_is_not_known_is_not_moved_and_takes_nothing(blind: GuestProfile) -> None:
    """A host with such a guest is left alone; only two are left, and none sleeps."""
    assert not sleepers(TRIO, [blind, *GUESTS[1:]])


def test_hosts_in_maintenance_or_of_unknown_size_are_left_alone() -> None:
    """Four hosts less one."""
    quartet = [*TRIO, host("h0", maintenance=True)]
    assert sleepers(quartet) == ["h1"]
    assert sleepers([*TRIO, host("h0", processors=None)]) == ["h1"]
    assert sleepers([*TRIO, host("h0", memory=None)]) == ["h1"]
    assert sleepers([*TRIO, host("h0")]) == ["h0", "h1"]


def test_a_host_with_a_gpu_guest_stays_on_but_takes_others() -> None:
    """Passthrough does not move."""
    fixed = [guest("a", 0.1, GIB, gpu=True), *GUESTS[1:]]
    (one,) = could_sleep(TRIO, fixed, POLICY)
    assert one.host == "h2"


def test_what_would_follow_if_guests_were_off() -> None:
    """Without one of three large guests, one host can sleep."""
    large = [guest(name, 1.0, 60 * GIB) for name in "abc"]
    assert not sleepers(TRIO, large)
    assert sleepers(TRIO, large, off=["a"]) == ["h1"]
    (one,) = could_sleep(TRIO, large, POLICY, off=["a"])
    assert one.moves == ()


@st.composite
def sites(draw: st.DrawFn) -> tuple[list[HostProfile], list[GuestProfile]]:
    """Hosts of two clusters and their guests."""
    hosts: list[HostProfile] = []
    guests: list[GuestProfile] = []
    for at in range(draw(st.integers(0, 7))):
        names = [f"g{at}.{number}" for number in range(draw(st.integers(0, 4)))]
        hosts.append(
            host(
                f"h{at}",
                *names,
                cluster=draw(st.sampled_from(["c", "c", "k", ""])),
                processors=draw(st.sampled_from([8.0, 16.0, 32.0])),
                memory=draw(st.sampled_from([64 * GIB, 128 * GIB])),
                maintenance=draw(st.sampled_from([False] * 7 + [True])),
            )
        )
        guests += [
            guest(
                name,
                draw(st.sampled_from([0.1, 1.0, 3.0])),
                draw(st.sampled_from([GIB, 8 * GIB, 24 * GIB])),
                gpu=draw(st.sampled_from([False] * 9 + [True])),
            )
            for name in names
        ]
    return hosts, guests


@given(sites())
@settings(max_examples=60, deadline=None)
def test_a_hint_can_be_carried_out(
    site: tuple[list[HostProfile], list[GuestProfile]],
) -> None:
    """Once all moves are made, every sleeper is empty and every other host keeps its room."""
    hosts, guests = site
    hints = could_sleep(hosts, guests, POLICY)
    assert hints == could_sleep(hosts[::-1], guests[::-1], POLICY)
    by_name = {one.host: one for one in hosts}
    use = {one.guest: one for one in guests}
    on = {one.host: list(one.guests) for one in hosts}
    before = {name: list(there) for name, there in on.items()}
    asleep = {one.host for one in hints}
    assert len(asleep) == len(hints)
    for hint in hints:
        assert {name for name, _ in hint.moves} == set(by_name[hint.host].guests)
        for name, target in hint.moves:
            assert target not in asleep
            assert by_name[target].cluster == hint.cluster != ""
            assert not by_name[target].maintenance
            assert not use[name].holds_gpu
            on[hint.host].remove(name)
            on[target].append(name)
    for name, there in on.items():
        if name in asleep:
            assert not there
        elif there != before[name]:
            busy = sum(use[one].busy_peak or 0 for one in there)
            memory = sum(use[one].memory_size or 0 for one in there)
            assert busy <= (by_name[name].processors or 0) * 0.75 + 1e-9
            assert memory <= (by_name[name].memory_size or 0) * 0.75 + 1e-9
    _survives_a_failure(hints, hosts, use)


def _survives_a_failure(
    hints: list[SleepingHost], hosts: list[HostProfile], use: dict[str, GuestProfile]
) -> None:
    asleep = {one.host for one in hints}
    for cluster in {one.cluster for one in hints}:
        members = [one for one in hosts if one.cluster == cluster and not one.maintenance]
        memory = sorted(one.memory_size or 0 for one in members if one.host not in asleep)
        needed = sum(use[name].memory_size or 0 for one in members for name in one.guests)
        assert needed <= sum(memory[:-1])
