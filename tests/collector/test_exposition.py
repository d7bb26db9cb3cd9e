"""The page of /metrics: what the client library would write, sample by sample, in both formats."""

import math
from collections.abc import Iterable

import pytest
from jauge_collector import exposition
from jauge_collector.inventory import Inventory
from jauge_collector.telemetry import Sample, Telemetry
from jauge_models.wire import Address, Birth, Method, ResourceDescription
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain
from prometheus_client.registry import Collector

EVIL = 'a "quoted" \\ back\nslash é \u2028 }'
OPENMETRICS = "application/openmetrics-text"
Told = dict[tuple[str, frozenset[tuple[str, str]]], float]


def told(families: Iterable[Metric]) -> Told:
    """Value by name and labels, without what differs from one moment to the next."""
    found = {
        (one.name, frozenset(one.labels.items())): one.value
        for family in families
        for one in family.samples
        if not one.name.startswith("process_")
    }
    assert found
    return found


def telemetry() -> Telemetry:
    """With a family of values of every size, and an agent that describes itself badly."""
    inventory = Inventory()
    resources = [ResourceDescription("host", {"power": Method.GAUGE}, EVIL, {"rack": EVIL})]
    inventory.born(Address("s", "a"), Birth("b", "1", 1.0, [], resources), 1_000)
    made = Telemetry(inventory)
    made.set_family(
        "jauge_meter_power_watts",
        [
            Sample({"site": "s", "meter": f"m{at}", "commodity": EVIL}, value)
            for at, value in enumerate((0.0, -0.0, 1e-9, 123456.7, 1e21, -5.5, 3e15, 7))
        ],
    )
    return made


@pytest.mark.parametrize("accept", ["", OPENMETRICS, f"{OPENMETRICS}; version=1.0.0"])
def test_the_page_says_what_the_client_library_would(accept: str) -> None:
    """Each sample with its value, whatever stands in its labels; no family is missing."""
    made = telemetry()
    body, content_type = made.exposition(accept)
    text = body.decode()
    is_open = bool(accept)
    assert content_type.startswith(OPENMETRICS if is_open else "text/plain")
    assert text.endswith("# EOF\n") == is_open
    families = list((openmetrics if is_open else plain)(text))
    expected = told(plain(generate_latest(made.registry).decode()))
    found = told(families)
    if is_open:
        expected = {
            key: value for key, value in expected.items() if not key[0].endswith("_created")
        }
        found = {key: value for key, value in found.items() if not key[0].endswith("_created")}
    assert found == expected
    assert {one.name for one in plain(text.replace("# EOF\n", ""))} >= {
        "jauge_resource_info",
        "jauge_site_info",
    }


def test_a_line_is_byte_for_byte_that_of_the_client_library() -> None:
    """Signs, large and small numbers, and no number at all."""

    class One(Collector):
        def collect(self) -> Iterable[Metric]:
            metric = Metric("jauge_example", "An example.", "gauge")
            for labels, value in cases:
                metric.add_sample("jauge_example", labels, value)
            yield metric

    cases: list[tuple[dict[str, str], float]] = [
        ({}, 1.0),
        ({"b": EVIL, "a": ""}, 12345678.9),
        ({"a": "x"}, math.inf),
        ({"a": "y"}, -math.inf),
        ({"a": "z"}, math.nan),
    ]
    registry = CollectorRegistry()
    registry.register(One())
    lines = (exposition.line("jauge_example", labels, value) for labels, value in cases)
    written = exposition.family("jauge_example", "An example.", lines)
    assert written.encode() == generate_latest(registry)


def test_what_an_agent_describes_is_told_anew_with_its_next_birth_and_goes_with_it() -> None:
    """Kept lines are those of the birth that holds."""
    inventory = Inventory()
    made = Telemetry(inventory)
    address = Address("s", "a")

    def names() -> set[str]:
        families = plain(made.exposition("")[0].decode())
        return {
            one.labels["name"]
            for family in families
            for one in family.samples
            if one.name == "jauge_resource_info"
        }

    assert names() == set()
    for boot in ("b1", "b2"):
        resources = [ResourceDescription("host", {"power": Method.GAUGE}, f"name of {boot}")]
        inventory.born(address, Birth(boot, "1", 1.0, [], resources), 1_000)
        assert names() == {f"name of {boot}"}
        assert names() == {f"name of {boot}"}
