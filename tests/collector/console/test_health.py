"""/readyz names what is not ready; /metrics shows what is measured and nothing else."""

import json
from pathlib import Path

import pytest
from jauge_collector.state import Part
from prometheus_client.parser import text_string_to_metric_families

from tests.collector.console.serving import (
    DAYS,
    READY,
    Served,
    configuration,
    introduce,
    serving,
)
from tests.collector.running import collecting, configured
from tests.parts import free_port

Samples = dict[str, list[tuple[dict[str, str], float]]]


async def scraped(console: Served) -> Samples:
    """What a scrape reads, by name."""
    status, headers, text = await console.get("/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain")
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


async def test_ready_is_200_and_not_ready_503_with_the_part_named(tmp_path: Path) -> None:
    """As text for a person and as JSON for who asks for it; /healthz is well all the while."""
    parts = [*READY, Part("lag", False, "41.0 s")]
    async with serving(configuration(tmp_path), readiness=lambda: parts) as console:
        status, headers, text = await console.get("/readyz")
        assert status == 503
        assert headers["Content-Type"].startswith("text/plain")
        assert text.splitlines() == ["mqtt: ready", "store: ready", "lag: not ready (41.0 s)"]
        status, _, text = await console.get("/readyz", headers={"Accept": "application/json"})
        assert status == 503
        told = json.loads(text)
        assert told["ready"] is False
        assert [p["name"] for p in told["parts"] if not p["ready"]] == ["lag"]
        assert told["parts"][-1]["detail"] == "41.0 s"
        assert (await console.get("/healthz"))[0] == 200
        parts.pop()
        status, _, text = await console.get("/readyz")
        assert (status, "not ready" in text) == (200, False)


async def test_a_running_collector_without_a_broker_says_so(tmp_path: Path) -> None:
    """The real service: /readyz is 503 and names mqtt, the page of health is 200."""
    import aiohttp

    port = free_port()
    path = configured(tmp_path, mqtt_port=free_port(), port=port)
    async with collecting(path, ready=False), aiohttp.ClientSession() as session:
        base = f"http://127.0.0.1:{port}"
        from tests import parts

        async def answers() -> bool:
            try:
                async with session.get(f"{base}/readyz") as answer:
                    text = await answer.text()
                    return answer.status == 503 and "mqtt: not ready" in text
            except aiohttp.ClientConnectionError:
                return False

        await parts.eventually(answers, within=10, what="/readyz names mqtt")
        async with session.get(f"{base}/healthz") as answer:
            assert answer.status == 200


async def test_metrics_show_measured_indicators_with_what_qualifies_them(tmp_path: Path) -> None:
    """The quarter is measured; of twelve months a hundred days are: a coverage and no value."""
    async with serving(configuration(tmp_path), days=DAYS) as console:
        introduce(console.state)
        shown = await scraped(console)
    ((labels, value),) = shown["jauge_kpi_pue_ratio"]
    assert value == pytest.approx(1.2)
    assert labels == {
        "site": "s",
        "label": "iPUE1",
        "category": "PUE1",
        "period": "quarter",
        "status": "measured",
    }
    ((_, value),) = shown["jauge_kpi_wue_cubic_metres_per_megawatt_hour"]
    assert value == pytest.approx(0.5)
    assert "jauge_kpi_ref_ratio" not in shown
    coverages = {
        (labels["kpi"], labels["period"]): value
        for labels, value in shown["jauge_kpi_coverage_ratio"]
    }
    assert 0.2 < coverages["pue", "twelve_months"] < 0.3
    assert coverages["pue", "quarter"] > 0.9
    assert ("ref", "quarter") not in coverages
    resources = {labels["resource"] for labels, _ in shown["jauge_resource_info"]}
    assert resources == {"meter:incomer", "meter:ups", "meter:water"}


async def test_metrics_of_an_empty_ledger_show_no_value(tmp_path: Path) -> None:
    """Neither 0 nor 1 stands for what was never measured; its coverage is 0."""
    async with serving(configuration(tmp_path)) as console:
        shown = await scraped(console)
    names = {name for name in shown if name.startswith("jauge_kpi_")}
    assert names == {"jauge_kpi_coverage_ratio"}
    assert {value for _, value in shown["jauge_kpi_coverage_ratio"]} == {0.0}
