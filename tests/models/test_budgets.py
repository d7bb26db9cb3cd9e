"""Budgets of series: what counts against which, who comes first, and watts that are never cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_models.budgets import WATTS, Budgets, Family, Rations, family_of, owner_of, rank
from jauge_models.quantities import CATALOGUE
from jauge_models.resources import KINDS, is_resource

QUANTITIES = st.sampled_from(sorted(CATALOGUE))


@pytest.mark.parametrize(
    ("resource", "owner", "of_machine"),
    [
        ("host", "host", "host"),
        ("host:4c4c4544", "host:4c4c4544", "host:4c4c4544"),
        ("guest:5021", "guest:5021", "guest:5021"),
        ("gpu:0", "gpu:0", "gpu:0"),
        ("gpu_instance:0.1", "gpu_instance:0.1", "gpu_instance:0.1"),
        ("package:0", None, "host"),
        ("sensor:coretemp.0.Core-7", None, "host"),
        ("psu:1", None, "host"),
        ("outlet:pdu3.12", None, "host"),
    ],
)
def test_what_counts_against_which_budget(
    resource: str, owner: str | None, of_machine: str
) -> None:
    """Each host, guest, GPU and instance by itself; parts of the agent's machine as its host's."""
    assert owner_of(resource) == owner
    assert owner_of(resource, of_machine=True) == of_machine


def test_the_defaults_and_their_families() -> None:
    """60 series a host, 15 a guest, 25 a GPU; a process is no resource at all."""
    assert [Budgets().of(family) for family in Family] == [60, 15, 25]
    assert {kind for kind in KINDS if family_of(kind)} == {"host", "guest", "gpu", "gpu_instance"}
    assert not is_resource("process:1")
    assert set(CATALOGUE) >= WATTS


def test_watts_come_first_and_temperatures_of_cores_last() -> None:
    """Then what watts are shared by, then the whole, then its parts."""
    ordered = [
        ("sensor:bmc.psu", "power"),
        ("guest:a", "runs_on"),
        ("host", "uptime"),
        ("sensor:nvme-pci.Composite", "temperature"),
        ("sensor:coretemp.1.Core-31", "temperature"),
    ]
    assert [rank(*series) for series in ordered] == [0, 1, 2, 3, 4]
    assert rank("sensor:coretemp.1.Core-31", "voltage") == rank(
        "sensor:k10temp.Tctl", "temperature"
    )
    assert rank("core:31", "temperature") == 4


@given(
    series=st.lists(
        st.tuples(st.sampled_from(["host", "guest:a", "gpu:0"]), QUANTITIES, st.integers(0, 9))
    ),
    budgets=st.builds(Budgets, *[st.integers(1, 6)] * 3),
)
def test_no_budget_is_exceeded_but_by_watts(
    series: list[tuple[str, str, int]], budgets: Budgets
) -> None:
    """What is not watts ends at the budget; watts are admitted as if nothing else were there."""
    rations = Rations(budgets)
    admitted = [
        (owner, quantity) for owner, quantity, _ in series if rations.admit(owner, quantity)
    ]
    for owner in {owner for owner, _, _ in series}:
        family = family_of(owner)
        assert family is not None
        limit = budgets.of(family)
        mine = [quantity for one, quantity in admitted if one == owner]
        asked = [quantity for one, quantity, _ in series if one == owner]
        watts = sum(quantity in WATTS for quantity in mine)
        assert watts == min(limit, sum(quantity in WATTS for quantity in asked))
        assert len(mine) <= limit + watts
        assert len(mine) - watts <= limit
        assert len(mine) >= min(limit, len(asked)), "nothing is cut where there is room"
        assert rations.used[owner] == len(mine)
    rations.clear()
    assert rations.used == {}
