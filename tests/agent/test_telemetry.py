"""The agent's /metrics: on loopback, from its own registry, with bounded labels."""

import asyncio
import random
import time
import urllib.error
import urllib.request
from pathlib import Path

import prometheus_client
import pytest
from jauge_agent.announcements import Announcements
from jauge_agent.clock import now_ms
from jauge_agent.config import BrokerConfig
from jauge_agent.hearing import Heard
from jauge_agent.publisher import Publisher
from jauge_agent.runner import Runner
from jauge_agent.source import AbsentError, Outcome, RetryError, SourceSettings
from jauge_agent.spool import Spool
from jauge_agent.telemetry import AgentCollector, serving
from jauge_agent.testing import ScriptedSource, configured
from jauge_models.agent_metrics import AGENT_METRICS
from jauge_models.budgets import Budgets
from jauge_models.wire import Address, Sample
from prometheus_client.parser import text_string_to_metric_families

from tests.agent.certificates import Authority
from tests.parts import eventually

Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(port: int) -> Values:
    """All samples of one scrape."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_a_scrape_shows_sources_spool_and_publisher(tmp_path: Path, free_port: int) -> None:
    """Reads, failures by reason, the account and the connection are there under jauge_agent_*."""
    guest = [Sample("guest:a", quantity, 1) for quantity in ("uptime", "disk_read")]
    good = Outcome([Sample("host", "power", 1), *guest], {"fault": 1})
    settings = SourceSettings(period_s=0.1)
    sources = [
        configured("good", ScriptedSource([good]), settings),
        configured("bad", ScriptedSource([RetryError("x")]), settings),
        configured("none", ScriptedSource([good], opening=[AbsentError("no")]), settings),
    ]
    spool = Spool(tmp_path, machine="m", max_bytes=10**7, max_age_ms=10**9, now_ms=now_ms())
    runner = Runner(
        sources,
        deliver=lambda time_ms, _: spool.add(time_ms, b"[]", 1, now_ms()) and None,
        now_ms=now_ms,
        chance=random.Random(1),
        budgets=Budgets(guest=1),
    )
    publisher = _publisher(spool)
    publisher.stats.connected = True
    publisher.stats.failures["network"] += 2
    publisher.hearing.sent(time.monotonic() - 100)
    publisher.hearing.found(Heard.REFUSED, time.monotonic())
    task = asyncio.create_task(runner.run())
    await eventually(lambda: spool.spooled.batches >= 3, within=10, what="three batches")
    task.cancel()
    await asyncio.wait([task])
    with serving("127.0.0.1", free_port, AgentCollector(runner, spool, publisher)):
        values = await asyncio.to_thread(scraped, free_port)
    spooled = spool.spooled
    spool.close()
    assert all(name.startswith("jauge_agent_") for name, _ in values)
    reads = values["jauge_agent_source_reads_total", (("source", "good"),)]
    assert reads >= 3
    missing = (("reason", "fault"), ("source", "good"))
    assert values["jauge_agent_source_values_missing_total", missing] == reads
    left_out = (("flaw", "budget"), ("source", "good"))
    assert values["jauge_agent_source_values_left_out_total", left_out] == reads
    assert values["jauge_agent_series", (("family", "guest"),)] == 1
    assert values["jauge_agent_series_left_out", (("family", "guest"),)] == 1
    assert values["jauge_agent_series_left_out", (("family", "host"),)] == 0
    retry = (("reason", "retry"), ("source", "bad"))
    assert values["jauge_agent_source_read_failures_total", retry] >= 1
    absent = (("source", "none"), ("standing", "absent"))
    assert values["jauge_agent_source_standing", absent] == 1
    taken = (("outcome", "taken"), ("reason", ""))
    assert values["jauge_agent_spool_readings_total", taken] == spooled.readings
    assert values["jauge_agent_spool_waiting_batches", ()] == spooled.batches
    assert values["jauge_agent_connected", ()] == 1
    assert values["jauge_agent_connection_failures_total", (("reason", "network"),)] == 2
    assert 100 <= values["jauge_agent_unanswered_seconds", ()] < 200
    standings = {
        labels[0][1]: value for (name, labels), value in values.items() if name.endswith("_heard")
    }
    assert standings == {each: float(each == "refused") for each in Heard}
    assert ("jauge_agent_certificate_expiry_timestamp_seconds", ()) not in values


def test_the_end_of_the_certificate_is_shown(
    authority: Authority, tmp_path: Path, free_port: int
) -> None:
    """As Unix time, of the certificate in use."""
    issued = authority.issue("lab/a1", days=20)
    broker = BrokerConfig(cert_file=str(issued.certificate), key_file=str(issued.key))
    spool = Spool(tmp_path, machine="m", max_bytes=10**7, max_age_ms=10**9, now_ms=now_ms())
    publisher = _publisher(spool, broker)
    publisher.broker.keyring.show()
    with serving("127.0.0.1", free_port, AgentCollector(_idle(), spool, publisher)):
        values = scraped(free_port)
    spool.close()
    end = values["jauge_agent_certificate_expiry_timestamp_seconds", ()]
    assert abs(end - time.time() - 20 * 86_400) < 600
    assert values["jauge_agent_unanswered_seconds", ()] == 0


def test_every_family_is_one_of_the_catalogue(
    authority: Authority, tmp_path: Path, free_port: int
) -> None:
    """With its type, its text and its labels; and none of the agent's is missing."""
    issued = authority.issue("lab/a1", days=20)
    broker = BrokerConfig(cert_file=str(issued.certificate), key_file=str(issued.key))
    spool = Spool(tmp_path, machine="m", max_bytes=10**7, max_age_ms=10**9, now_ms=now_ms())
    spool.add(now_ms(), b"[]", 1, now_ms())
    publisher = _publisher(spool, broker)
    publisher.broker.keyring.show()
    publisher.stats.last_answer_ms = now_ms()
    publisher.stats.failures["network"] += 1
    with serving("127.0.0.1", free_port, AgentCollector(_idle(), spool, publisher)):
        url = f"http://127.0.0.1:{free_port}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
    spool.close()
    catalogue = {metric.family: metric for metric in AGENT_METRICS}
    shown = {family.name: family for family in families}
    assert shown.keys() == catalogue.keys()
    for name, metric in catalogue.items():
        assert shown[name].type == metric.type, name
        assert shown[name].documentation == metric.help, name
        for sample in shown[name].samples:
            assert set(sample.labels) == set(metric.labels), name


def test_nothing_enters_the_global_registry(tmp_path: Path, free_port: int) -> None:
    """Two agents in one process do not meet in prometheus_client's own registry."""
    spool = Spool(tmp_path, machine="m", max_bytes=10**7, max_age_ms=10**9, now_ms=now_ms())
    with serving("127.0.0.1", free_port, AgentCollector(_idle(), spool, _publisher(spool))):
        with (
            pytest.raises(OSError, match="in use"),
            serving("127.0.0.1", free_port, AgentCollector(_idle(), spool, _publisher(spool))),
        ):
            pass
        text = prometheus_client.generate_latest().decode()
    spool.close()
    assert "jauge_agent" not in text
    with pytest.raises(urllib.error.URLError):
        scraped(free_port)


def _publisher(spool: Spool, broker: BrokerConfig | None = None) -> Publisher:
    return Publisher(
        broker or BrokerConfig(tls=False),
        address=Address("lab", "a1"),
        boot="boot1",
        spool=spool,
        resend_after_s=60,
        now_ms=now_ms,
        open_tick_ms=lambda: None,
        announcements=Announcements(
            boot="boot1", spool=spool, now_ms=now_ms, describe=lambda: ([], [])
        ),
        chance=random.Random(1),
    )


def _idle() -> Runner:
    return Runner([], deliver=lambda *_: None, now_ms=now_ms, chance=random.Random(1))
