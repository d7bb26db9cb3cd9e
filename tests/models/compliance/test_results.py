"""Results and shares: counts by hand, and what must hold of every record."""

from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_models.compliance.denominator import Inventory
from jauge_models.compliance.evidence import (
    Electricity,
    Note,
    Participation,
    ServerEvidence,
    Sighting,
    SiteEvidence,
)
from jauge_models.compliance.policy import Act
from jauge_models.compliance.results import (
    Assessment,
    Blocking,
    Cloud,
    Outcome,
    Shares,
    assess,
    attributed,
    per_body,
    per_tenant,
    result_if,
    shares,
)
from jauge_models.compliance.status import Result, Status
from jauge_models.compliance.windows import NOTHING
from jauge_models.rules import Indicator
from jauge_models.topology import Commodity

from tests.models.compliance.record import (
    FULL,
    POLICY,
    QUARTER,
    action,
    bands,
    document,
    exempt,
    intake,
    invoices,
    kpi,
    metered,
    server,
    set_points,
    signed,
    site,
    told,
)


def record(
    *servers: ServerEvidence,
    sites: tuple[SiteEvidence, ...] = (site(),),
    sightings: tuple[Sighting, ...] = (),
    clouds: tuple[Cloud, ...] = (),
) -> Assessment:
    """A quarter's record."""
    return assess(sites, Inventory(servers), sightings, QUARTER, POLICY, clouds=clouds)


def all_of(assessment: Assessment) -> Shares:
    """The shares of everything."""
    return shares(assessment.servers, assessment, POLICY)


DECLARED: dict[str, Any] = {"electricity": Electricity(attested=1.0)}
UNKNOWN: dict[str, Any] = {"electricity": None}
UNSEEN = Sighting(
    id="x", source="bmc", keys=frozenset({"x"}), last_seen=date(2026, 12, 1), site="north"
)


def test_shares_by_servers_kwh_and_racks() -> None:
    """Five machines: 2 demonstrated (300 of 700 kWh known), in 1 of 3 racks all of them."""
    found = all_of(
        record(
            server("a", rack="r1", energy_kwh=100.0),
            server("b", rack="r2", energy_kwh=200.0),
            server("c", rack="r2", energy_kwh=400.0, **DECLARED),
            server("d", rack="r3", energy_kwh=None, **UNKNOWN),
            sightings=(UNSEEN,),
        )
    )
    assert found.servers.amounts == {
        Result.DEMONSTRATED: 2,
        Result.DECLARED: 1,
        Result.NOT_APPLICABLE: 0,
        Result.NOT_DEMONSTRATED: 1,
        Result.NOT_COMPLIANT: 1,
    }
    assert (found.servers.share(), found.servers.share(Result.DECLARED)) == (0.4, 0.2)
    assert (found.kwh.total, found.kwh.unknown) == (700, 2)
    assert found.kwh.share() == pytest.approx(300 / 700)
    assert found.racks.amounts[Result.DEMONSTRATED] == 1
    assert found.racks.amounts[Result.DECLARED] == 1
    assert found.racks.amounts[Result.NOT_DEMONSTRATED] == 1
    assert (found.racks.total, found.racks.unknown) == (3, 1)


def test_racks_of_one_name_in_two_sites_are_two() -> None:
    """The room's rack r1 in either site."""
    found = record(
        server("a"), server("b", site="south"), sites=(site(), site("south", practices=None))
    )
    assert all_of(found).racks.amounts[Result.DEMONSTRATED] == 1
    assert all_of(found).racks.total == 2


def test_without_machines_there_is_no_share() -> None:
    """Not zero, and not one."""
    assert all_of(record()).servers.share() is None


def test_one_certificate_switches_the_headline_but_not_the_own_share() -> None:
    """Without it 0 of 2, on server criteria alone 2 of 2; it is named as what blocks."""
    found = all_of(
        record(server("a"), server("b"), sites=(site(participation=Participation.NONE),))
    )
    assert (found.servers.share(), found.own.share()) == (0.0, 1.0)
    assert found.blocking == (Blocking("north", "S1a", Status.NOT_MET, 2),)


def test_only_what_is_asked_of_a_site_blocks() -> None:
    """S5 and S9 fail without blocking; S6 blocks; a site without machines blocks nothing."""
    north = site(pue=(), humidity=(), wue=())
    found = all_of(record(server(), sites=(north, site("empty", practices=None))))
    assert found.blocking == (Blocking("north", "S6", Status.NOT_MEASURED, 1),)


def test_one_share_per_body_and_per_tenant() -> None:
    """Two bodies, two tenants across them, and a machine of nobody known."""
    found = record(
        server("a", owner="A", used_by="T"),
        server("b", owner="A", used_by="U", **UNKNOWN),
        server("c", owner="B", used_by="T"),
        sightings=(UNSEEN,),
    )
    assert {name: each.servers.share() for name, each in per_body(found, POLICY).items()} == {
        "": 0.0,
        "A": 0.5,
        "B": 1.0,
    }
    assert {name: each.servers.share() for name, each in per_tenant(found, POLICY).items()} == {
        "": 0.0,
        "T": 1.0,
        "U": 0.0,
    }


def test_two_rows_for_one_machine_fail_the_inventory() -> None:
    """Counted once, not compliant."""
    keys = frozenset({"k"})
    found = record(server("a", keys=keys), server("b", keys=keys))
    (outcome,) = found.servers
    assert outcome.result is Result.NOT_COMPLIANT
    assert outcome.criteria[0].reason.key == "inventory.twice"


def test_an_unlisted_machine_fails_the_inventory() -> None:
    """With who saw it as the reason's value."""
    (outcome,) = record(sightings=(UNSEEN,)).servers
    assert (outcome.result, outcome.own) == (Result.NOT_COMPLIANT, Result.NOT_COMPLIANT)
    assert outcome.criteria[0].reason.values == {"seen_by": ("bmc",)}


def test_cloud_has_a_line_of_its_own() -> None:
    """Declared with an attestation of two people, and in no share."""
    clouds = (
        Cloud(service="x", attestation=signed("a")),
        Cloud(service="y", attestation=signed("a", confirmed_by="")),
        Cloud(service="z"),
    )
    found = record(server(), clouds=clouds)
    assert [line.result for line in found.clouds] == [
        Result.DECLARED,
        Result.NOT_DEMONSTRATED,
        Result.NOT_DEMONSTRATED,
    ]
    assert all_of(found).servers.total == 1


def test_simulated_machines_are_counted_apart() -> None:
    """They are judged as if measured, and said to be simulated."""
    found = all_of(record(server(), sites=(site(simulated=True),)))
    assert (found.simulated, found.servers.share()) == (1, 1.0)


def test_a_tenants_figure_is_attributed() -> None:
    """1000 kWh × 1.4 = 1400 kWh; 1000 kWh × 0.3 m3/MWh = 0.3 m3; of nothing known, nothing."""
    energy = attributed(Indicator.PUE, 1000.0, kpi(1.4))
    water = attributed(Indicator.WUE, 1000.0, kpi(0.3))
    assert energy is not None
    assert water is not None
    assert (energy.amount, energy.unit) == (1400.0, "kWh")
    assert water.amount == pytest.approx(0.3)
    assert water.unit == "m3"
    assert attributed(Indicator.PUE, 1000.0, kpi(None)) is None
    with pytest.raises(KeyError):
        attributed(Indicator.CUE, 1000.0, kpi(0.1))


def test_a_site_given_twice_is_refused() -> None:
    """Which of the two stands would be a guess."""
    with pytest.raises(ValueError, match="north"):
        record(sites=(site(), site()))


def test_the_policy_is_named_with_the_record() -> None:
    """Version and digest."""
    found = record()
    assert (found.policy_version, found.policy_digest) == (POLICY.version, POLICY.digest())


MORE_OF_A_SERVER: list[dict[str, Any]] = [
    {"exemptions": tuple(exempt(each) for each in ("V1", "V2", "V3", "V4", "V5", "V9"))},
    {"actions": tuple(action(each) for each in ("V1", "V2", "V3", "V4", "V5", "V8"))},
    {"owners_note": Note("kept", "owner", date(2026, 5, 1))},
    {"electricity": Electricity(measured=0.97, attested=0.03)},
    {"intake": intake(bands(0.95, 0.04), bands(0.96, 0.04))},
    {"intake": intake(bands(0.95, 0.04), bands(0.5, beyond=0.5))},
    {"intake": intake(bands(0.96, 0.04))},
    {"removal_reason": "kept"},
    {"energy_kwh": None},
]
MORE_OF_A_SITE: list[dict[str, Any]] = [
    {"exemptions": tuple(exempt(f"S{n}") for n in ("1a", 2, 3, 4, 5, 6, 7, 8))},
    {"actions": tuple(action(f"S{n}") for n in ("1a", 2, 3, 4, 5, 6, 7, 8))},
    {"annual_returns": (document("return"), document("older", date(2019, 1, 1)))},
    {"e_dc": metered(FULL, with_attested=NOTHING)},
    {"rows": (intake(bands(0.95), told(1.0, 0.5), attested_by=("entry-7",)),)},
    set_points(0.1),
    {"dry": signed("dry")},
    {"dry": signed("dry", confirmed_by="")},
    {"wue": (kpi(None), kpi(0.3))},
    {"rows": (intake(bands(0.95, 0.04), bands(0.5, beyond=0.5)),)},
    {"invoices": (*invoices(Commodity.ELECTRICITY), *invoices(Commodity.HEAT))},
    {"taxonomy_claim": False, "no_claim": exempt("S11")},
    {"verifications": (document("v"), document("later", date(2027, 5, 1)))},
]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(MORE_OF_A_SERVER), max_size=6),
    st.lists(st.sampled_from(MORE_OF_A_SITE), max_size=6),
)
def test_more_evidence_never_takes_a_demonstration_away(
    more_server: list[dict[str, Any]], more_site: list[dict[str, Any]]
) -> None:
    """Exemptions, actions, attestations, notes, older and later documents, in any combination."""
    host, machine = site(), server()
    for changes in more_site:
        host = msgspec.structs.replace(host, **changes)
    for changes in more_server:
        machine = msgspec.structs.replace(machine, **changes)
    (outcome,) = record(machine, sites=(host,)).servers
    assert outcome.result is Result.DEMONSTRATED


LESS_OF_A_SERVER: list[dict[str, Any]] = [
    {},
    DECLARED,
    UNKNOWN,
    {"rack": ""},
    {"energy_kwh": None},
    {"envelope": None, "intake": None, "exemptions": (exempt("V3"), exempt("V4"))},
    {"site": "south"},
    {"site": ""},
    {"owner": "other"},
    {"intake": None},
]
LESS_OF_A_SITE: list[dict[str, Any]] = [
    {},
    {"wue": (), "dry": signed("dry")},
    {"e_dc": metered(NOTHING, with_attested=FULL)},
    {"practices": None},
    {"participation": Participation.NONE},
    {"wue": (), "exemptions": (exempt("S6"),)},
]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(LESS_OF_A_SERVER), max_size=3), max_size=6),
    st.lists(st.sampled_from(LESS_OF_A_SITE), max_size=3),
    st.integers(0, 3),
)
def test_what_holds_of_every_record(
    lacks: list[list[dict[str, Any]]], site_lacks: list[dict[str, Any]], unseen: int
) -> None:
    """Shares lie in 0 to 1, results add up to the machines, a group to the whole, own to own."""
    servers = []
    for number, changes in enumerate(lacks):
        machine = server(f"s{number}")
        for change in changes:
            machine = msgspec.structs.replace(machine, **change)
        servers.append(machine)
    host = site()
    for change in site_lacks:
        host = msgspec.structs.replace(host, **change)
    sightings = tuple(
        msgspec.structs.replace(UNSEEN, id=f"x{n}", keys=frozenset({f"x{n}"}))
        for n in range(unseen)
    )
    found = record(*servers, sites=(host, site("south")), sightings=sightings)
    whole = all_of(found)
    machines = len(servers) + unseen
    assert whole.servers.total == whole.own.total == machines
    assert whole.kwh.unknown == sum(each.energy_kwh is None for each in servers) + unseen
    for amounts in (whole.servers, whole.kwh, whole.racks, whole.own):
        parts = [amounts.share(result) for result in Result]
        known = [part for part in parts if part is not None]
        assert all(0 <= part <= 1 for part in known)
        assert sum(known) == pytest.approx(1.0 if amounts.total else 0.0)
    for grouped in (per_body(found, POLICY), per_tenant(found, POLICY)):
        assert sum(each.servers.total for each in grouped.values()) == machines
    for outcome in found.servers:
        assert outcome.own.rank <= outcome.result.rank
        assert result_if(outcome, found, POLICY, lambda _, each: each.status) is outcome.result


def test_a_lift_changes_what_it_lifts() -> None:
    """One server without electricity in a site without practices: both are needed."""
    found = record(server(**UNKNOWN), sites=(site(practices=None),))
    (outcome,) = found.servers

    def lifted(*criteria: str) -> Result:
        return result_if(
            outcome,
            found,
            POLICY,
            lambda _, each: Status.MET if each.criterion in criteria else each.status,
        )

    assert lifted("V5") is lifted("S2") is Result.NOT_DEMONSTRATED
    assert lifted("V5", "S2") is Result.DEMONSTRATED


def test_an_attestation_by_one_person_is_none_for_a_policy_of_two() -> None:
    """And enough for a policy that does not ask."""
    alone = msgspec.structs.replace(POLICY, two_people=frozenset[Act]())
    for policy, expected in ((POLICY, Result.NOT_DEMONSTRATED), (alone, Result.DECLARED)):
        host = site(wue=(), dry=signed("dry", confirmed_by=""))
        outcome: Outcome = assess([host], Inventory((server(),)), (), QUARTER, policy).servers[0]
        assert outcome.result is expected
