"""Which machines count: each once, with what was seen and is not in the inventory."""

from datetime import date
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_models.compliance.denominator import Inventory, Removal, denominator
from jauge_models.compliance.evidence import Chassis, ServerEvidence, Sighting
from jauge_models.compliance.policy import Placement

from tests.models.compliance.record import POLICY, QUARTER, server


def seen(name: str, *keys: str, source: str = "agent", **changes: Any) -> Sighting:
    """A machine seen on 1 December."""
    whole = Sighting(id=name, source=source, keys=frozenset(keys), last_seen=date(2026, 12, 1))
    return msgspec.structs.replace(whole, **changes)


def ids(
    servers: tuple[ServerEvidence, ...] = (),
    sightings: tuple[Sighting, ...] = (),
    chassis: tuple[Chassis, ...] = (),
) -> list[str]:
    """Ids of the machines that count."""
    found = denominator(Inventory(servers, chassis), sightings, QUARTER, POLICY)
    return [machine.id for machine in found.machines]


def test_servers_valid_on_the_last_day_count() -> None:
    """From valid_from to the day before valid_to."""
    rows = (
        server("a", valid_from=None),
        server("b", valid_from=date(2026, 12, 31)),
        server("c", valid_from=date(2027, 1, 1)),
        server("d", valid_to=date(2026, 12, 31)),
        server("e", valid_to=date(2027, 1, 1)),
    )
    assert ids(rows) == ["a", "b", "e"]


def test_what_is_seen_and_not_listed_counts() -> None:
    """With who saw it, where and what it drew, by the first that knows."""
    found = denominator(
        Inventory((server("a", keys=frozenset({"k1"})),)),
        (
            seen("x", "k2", source="bmc", rack="r9"),
            seen("y", "k2", "k3", source="vcenter", site="north", energy_kwh=7.0),
            seen("z", "k3", source="pdu", rack="r8"),
            seen("w", "k1"),
        ),
        QUARTER,
        POLICY,
    )
    assert [machine.id for machine in found.machines] == ["a", "x"]
    unlisted = found.machines[1]
    assert (unlisted.server, unlisted.seen_by) == (None, ("bmc", "vcenter", "pdu"))
    assert (unlisted.site, unlisted.rack, unlisted.energy_kwh) == ("north", "r9", 7.0)


def test_a_sighting_without_keys_is_a_machine_of_its_own() -> None:
    """Nothing ties it to another."""
    assert ids((), (seen("x"), seen("y"))) == ["x", "y"]


def test_two_rows_for_one_machine_count_once() -> None:
    """The first speaks; the other is named."""
    rows = (server("b", keys=frozenset({"k"})), server("a", keys=frozenset({"k", "l"})))
    found = denominator(Inventory(rows), (), QUARTER, POLICY)
    assert [(machine.id, machine.twice) for machine in found.machines] == [("a", ("b",))]


def test_removals_are_listed_with_their_reason() -> None:
    """Those of the quarter, on its first day not, on its last day too; without a reason too."""
    rows = (
        server("a", valid_to=date(2026, 10, 1), removal_reason="x"),
        server("b", valid_to=date(2026, 10, 2), removal_reason="sold"),
        server("c", valid_to=date(2026, 12, 31)),
    )
    found = denominator(Inventory(rows), (), QUARTER, POLICY)
    assert found.removals == (
        Removal("b", date(2026, 10, 2), "sold"),
        Removal("c", date(2026, 12, 31), ""),
    )


def test_a_removed_server_that_is_still_seen_counts_as_unlisted() -> None:
    """Seen before its removal it is accounted for, on the day or later it is not."""
    row = server("a", keys=frozenset({"k"}), valid_to=date(2026, 11, 1))
    assert ids((row,), (seen("x", "k", last_seen=date(2026, 10, 31)),)) == []
    assert ids((row,), (seen("x", "k", last_seen=date(2026, 11, 1)),)) == ["x"]
    early = server("a", keys=frozenset({"k"}), valid_from=date(2027, 1, 1))
    assert ids((early,), (seen("x", "k"),)) == ["x"]


def test_a_chassis_counts_as_its_nodes() -> None:
    """Four nodes: two listed, one only seen, so one that nothing accounts for."""
    chassis = Chassis(id="c", nodes=4, keys=frozenset({"chassis"}), site="north", rack="r2")
    rows = tuple(
        server(name, chassis="c", keys=frozenset({name, "chassis"})) for name in ("a", "b")
    )
    sightings = (
        seen("a", "a", "chassis", source="bmc"),
        seen("enclosure", "chassis", source="bmc"),
        seen("x", "node 3", "chassis", source="bmc"),
    )
    found = denominator(Inventory(rows, (chassis,)), sightings, QUARTER, POLICY)
    assert [machine.id for machine in found.machines] == ["a", "b", "c node 4", "x"]
    node = found.machines[2]
    assert (node.server, node.site, node.rack, node.seen_by) == (None, "north", "r2", ("chassis",))


def test_a_chassis_that_is_not_there_has_no_nodes() -> None:
    """Not yet bought, or gone."""
    for span in ({"valid_from": date(2027, 1, 1)}, {"valid_to": date(2026, 12, 31)}):
        chassis = msgspec.structs.replace(Chassis(id="c", nodes=2), **span)
        assert ids((), (), (chassis,)) == []
    assert ids((), (), (Chassis(id="c", nodes=2),)) == ["c node 1", "c node 2"]
    leaving = Chassis(id="c", nodes=1, valid_from=QUARTER.last, valid_to=date(2027, 1, 1))
    assert ids((), (), (leaving,)) == ["c node 1"]


def test_what_the_policy_does_not_count_stands_beside() -> None:
    """A school's server is listed apart, and seeing it does not bring it back."""
    rows = (
        server("a"),
        server("b", placement=Placement.SCHOOL, keys=frozenset({"k"})),
    )
    own = msgspec.structs.replace(POLICY, counted=frozenset({Placement.OWN}))
    found = denominator(Inventory(rows), (seen("x", "k"),), QUARTER, own)
    assert [machine.id for machine in found.machines] == ["a"]
    assert [machine.id for machine in found.left_out] == ["b"]
    assert ids(rows) == ["a", "b"]


KEYS = st.frozensets(st.sampled_from("abcdefgh"), max_size=3)


@settings(max_examples=60, deadline=None)
@given(st.lists(KEYS, max_size=6), st.lists(KEYS, max_size=6))
def test_each_machine_counts_once(rows: list[frozenset[str]], seens: list[frozenset[str]]) -> None:
    """As many as there are groups that share keys, by a slow count, whatever the order."""
    servers = tuple(server(f"s{n}", keys=keys) for n, keys in enumerate(rows))
    sightings = tuple(seen(f"x{n}", *keys) for n, keys in enumerate(seens))
    forward = ids(servers, sightings)
    backward = ids(servers[::-1], sightings[::-1])
    assert forward == backward
    assert len(set(forward)) == len(forward)
    listed = islands(rows)
    known = frozenset().union(*rows) if rows else frozenset()
    unlisted = [island for island in islands(seens) if not island & known]
    assert len(forward) == len(listed) + len(unlisted)


def islands(sets: list[frozenset[str]]) -> list[frozenset[str]]:
    """Sets joined as long as two share a key; empty ones stand alone."""
    joined = list(sets)
    for _ in sets:
        for at, one in enumerate(joined):
            for other in range(at + 1, len(joined)):
                if one & joined[other]:
                    joined[at] = one | joined.pop(other)
                    break
            else:
                continue
            break
    return joined
