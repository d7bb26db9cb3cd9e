"""What /metrics shows: well-formed, bounded, and no zero for what was not measured."""

import pytest
from jauge_collector.inventory import Inventory
from jauge_collector.telemetry import Sample, Telemetry
from jauge_models.wire import Address, Birth, ResourceDescription, SourceDescription, State
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.collector.packs import NOW_MS


def samples(telemetry: Telemetry) -> dict[str, list[tuple[dict[str, str], float]]]:
    """What a scrape reads, by name."""
    text = generate_latest(telemetry.registry).decode()
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def test_agents_and_their_resources_are_shown() -> None:
    """Age, state and skew per agent; a resource's own labels never replace its identity."""
    inventory = Inventory()
    telemetry = Telemetry(inventory)
    address = Address("s", "a")
    hostile = {"site": "x", "room": 'r "1"\n\\', "1st": "x", "é": "x", "__name__": "x"}
    resource = ResourceDescription("gpu:0", name="n" * 1000, labels=hostile)
    inventory.born(address, Birth("b", "1", 0.0, resources=[resource]), NOW_MS)
    inventory.stated(address, State("b", online=True, sent_at=NOW_MS / 1000 - 2), NOW_MS)
    shown = samples(telemetry)
    agent = {"site": "s", "agent": "a"}
    seen = "jauge_collector_agent_last_seen_timestamp_seconds"
    assert shown[seen] == [(agent, NOW_MS / 1000)]
    assert shown["jauge_collector_agent_online"] == [(agent, 1.0)]
    assert shown["jauge_collector_agent_skew_seconds"] == [(agent, 2.0)]
    assert shown["jauge_collector_agents"] == [({}, 1.0)]
    ((labels, value),) = shown["jauge_resource_info"]
    assert value == 1
    assert labels == agent | {
        "kind": "gpu",
        "resource": "gpu:0",
        "name": "n" * 256,
        "room": 'r "1"\n\\',
    }


@pytest.mark.parametrize("name", ["", "  "])
def test_a_resource_without_a_name_goes_by_its_identifier(name: str) -> None:
    """A legend that asks for the name shows which one it is."""
    inventory = Inventory()
    resource = ResourceDescription("pdu:r1-a", name=name, labels={"name": "other"})
    inventory.born(Address("s", "a"), Birth("b", "1", 0.0, resources=[resource]), NOW_MS)
    ((labels, _),) = samples(Telemetry(inventory))["jauge_resource_info"]
    assert labels["name"] == "pdu:r1-a"


def test_a_family_is_replaced_as_a_whole() -> None:
    """A value that is gone does not linger."""
    telemetry = Telemetry(Inventory())
    telemetry.set_family("jauge_kpi_pue_ratio", [Sample({"site": "a"}, 1.5)])
    telemetry.set_family("jauge_kpi_pue_ratio", [Sample({"site": "b"}, 1.25)])
    assert samples(telemetry)["jauge_kpi_pue_ratio"] == [({"site": "b"}, 1.25)]


def test_what_is_not_known_of_an_agent_is_absent() -> None:
    """No zero for an agent that the broker remembers, nor for a source that never delivered."""
    inventory = Inventory()
    telemetry = Telemetry(inventory)
    a, b = Address("s", "a"), Address("s", "b")
    sources = [SourceDescription(name, 30.0) for name in ("host", "rapl")]
    inventory.born(a, Birth("b", "1", 0.0, sources), NOW_MS, retained=True)
    shown = samples(telemetry)
    for family in ("agent_last_seen_timestamp", "source_last_seen_timestamp", "agent_skew"):
        assert f"jauge_collector_{family}_seconds" not in shown
    delivered = {"host": NOW_MS / 1000 - 50, "invented": 1.0}
    sent_s = NOW_MS / 1000 - 40
    state = State("b", online=True, sent_at=sent_s, delivered=delivered, last_step_s=-40.0)
    inventory.stated(a, state, NOW_MS)
    inventory.stated(b, state, NOW_MS)
    shown = samples(telemetry)
    seen = shown["jauge_collector_source_last_seen_timestamp_seconds"]
    host = {"site": "s", "agent": "a", "source": "host"}
    assert seen == [(host, NOW_MS / 1000 - 10)], "on the collector's clock; only what a birth names"
    steps = shown["jauge_collector_agent_clock_last_step_seconds"]
    assert [value for _, value in steps] == [-40.0, -40.0]
