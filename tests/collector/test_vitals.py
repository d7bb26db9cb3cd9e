"""The collector's own health: buffers, lags, silence, a signal that stops when a stage hangs."""

import asyncio
import logging
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import kill
from pathlib import Path

import aiohttp
import pytest
from jauge_collector import config, ingest, service
from jauge_collector.config import CollectorConfig
from jauge_collector.ledger import database
from jauge_collector.progress import HOLDS_S, Progress
from jauge_collector.service import Service
from jauge_collector.stores import lines, sqlite, victoriametrics
from jauge_collector.systemd import ServiceManager
from jauge_models.wire import Address, Birth, Sample, SourceDescription, State
from prometheus_client.parser import text_string_to_metric_families

from tests.collector.packs import ADDRESS, pack
from tests.collector.running import WireAgent, collecting, configured
from tests.collector.test_heartbeat import Clock
from tests.collector.test_telemetry import samples
from tests.parts import Mosquitto, VictoriaMetrics, eventually, free_port

SINK = """
[influxdb]
url = "http://127.0.0.1:1"
org = "o"
bucket = "b"
"""


def now_ms() -> int:
    """Wall clock."""
    return time.time_ns() // 1_000_000


def part(collector: Service, name: str) -> tuple[bool, str]:
    """One part of /readyz."""
    (found,) = (part for part in collector.readiness() if part.name == name)
    return found.ready, found.detail


# --- stages


def test_a_step_that_does_not_end_is_named() -> None:
    """While it hangs, and for a while after; one that ends in time clears it."""
    clock = Clock()
    progress = Progress(clock)
    store, other = progress.stage("store", 20), progress.stage("answer", 20)
    with other.step():
        clock.now += 19
    with store.step():
        clock.now += 21
        assert progress.trouble == "store hangs for 21 s"
    assert progress.trouble == "store hung for 21 s"
    with store.step():
        clock.now += 1
    assert progress.trouble == ""
    clock.now += 10_000
    assert progress.trouble == "", "waiting between steps is no trouble"


def test_a_step_that_says_it_is_alive_may_take_long() -> None:
    """A pass over years of rows; and trouble that nobody follows up ends by itself."""
    clock = Clock()
    progress = Progress(clock)
    ledger = progress.stage("ledger", 300)
    with ledger.step():
        for _ in range(10):
            clock.now += 299
            ledger.alive()
    assert progress.trouble == ""
    with suppress(ValueError), ledger.step():
        clock.now += 301
        raise ValueError
    assert progress.trouble == "ledger hung for 301 s"
    clock.now += HOLDS_S
    assert progress.trouble == ""


@pytest.mark.parametrize("abstract", [False, True])
def test_a_service_manager_is_told(tmp_path: Path, abstract: bool) -> None:
    """By its socket, of either kind; where there is none, or nobody listens, nothing happens."""
    name = f"jauge-{tmp_path.name}-{free_port()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}" if abstract else name)
        manager.settimeout(10)
        where = f"@{name}" if abstract else name
        told = ServiceManager({"NOTIFY_SOCKET": where, "WATCHDOG_USEC": "30000000"})
        assert told.watchdog_s == 30
        told.tell("READY=1", "STATUS=well")
        assert manager.recv(100) == b"READY=1\nSTATUS=well"
    told.tell("WATCHDOG=1")
    ServiceManager({}).tell("READY=1")
    assert ServiceManager({"WATCHDOG_USEC": "1"}).watchdog_s is None


# --- silence


@pytest.fixture
def collector(tmp_path: Path) -> Service:
    """A collector that is not running."""
    return Service(config.load(configured(tmp_path, mqtt_port=free_port(), more=SINK)))


def test_silence_is_told_with_the_time_of_the_last_pack(
    collector: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """After three minutes, or three of the shortest periods; said once."""
    caplog.set_level(logging.INFO, logger="jauge_collector.vitals")
    inventory = collector.state.inventory
    assert part(collector, "silence") == (True, ""), "nobody was ever heard"
    agent = inventory.seen(ADDRESS, now_ms())
    agent.last_pack_ms = now_ms() - 170_000
    assert part(collector, "silence") == (True, "")
    agent.last_pack_ms = 1_767_225_600_000
    ready, detail = part(collector, "silence")
    assert not ready
    assert detail == "no usable pack from anybody since 2026-01-01T00:00:00+00:00"
    vitals = collector._vitals
    vitals.tell_of_silence()
    vitals.tell_of_silence()
    agent.last_pack_ms = now_ms()
    vitals.tell_of_silence()
    assert [record.getMessage() for record in caplog.records] == [detail, "agents are heard again"]
    agent.last_pack_ms = now_ms() - 3_000_000
    sources = [SourceDescription("m", 3600.0), SourceDescription("gone", 1.0, "absent")]
    inventory.born(ADDRESS, Birth("b", "1", 0.0, sources), now_ms())
    assert part(collector, "silence")[0], "it reads once an hour"
    inventory.seen(Address("s", "b"), now_ms()).last_pack_ms = now_ms()
    agent.last_pack_ms = 0
    assert part(collector, "silence")[0], "somebody is heard"


def test_agents_that_say_they_are_online_are_waited_for(
    collector: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A collector that never heard a pack since its start, while agents say that they are there."""
    state = State("b", online=True, sent_at=time.time())
    collector.state.inventory.stated(ADDRESS, state, now_ms(), retained=True)
    assert part(collector, "silence")[0]
    monkeypatch.setattr("jauge_collector.vitals.SILENCE_S", -1.0)
    assert part(collector, "silence")[1].startswith("no usable pack from anybody since the start")


# --- buffers, lags, last seen


def test_every_buffer_shows_size_limit_and_drops(collector: Service) -> None:
    """The same three families for each, so that one alert rule does for all."""
    shown = samples(collector.state.telemetry)
    names = [
        sorted(labels["queue"] for labels, _ in shown[f"jauge_collector_queue_{what}"])
        for what in ("size", "limit", "dropped_total")
    ]
    assert names[0] == names[1] == names[2]
    assert len(names[0]) == len(set(names[0]))
    wanted = {"inbox", "inbox_bytes", "answers", "refusals", "births", "marks", "sink", "agents"}
    assert wanted | {"resources", "series"} <= set(names[0])
    assert all(limit > 0 for _, limit in shown["jauge_collector_queue_limit"])


def test_drops_are_counted_wherever_they_are_kept(collector: Service) -> None:
    """Those that the part itself counts, and those that are counted for it."""
    telemetry = collector.state.telemetry
    collector.state.inventory.forgotten = 3
    telemetry.queue_dropped.labels("agents").inc(2)
    telemetry.readings_refused.labels("series").inc(7)
    telemetry.readings_refused.labels("unit").inc(9)
    dropped = {
        labels["queue"]: count
        for labels, count in samples(telemetry)["jauge_collector_queue_dropped_total"]
    }
    assert (dropped["agents"], dropped["series"], dropped["inbox"]) == (5, 7, 0)


async def scraped(settings: CollectorConfig) -> dict[str, list[tuple[dict[str, str], float]]]:
    """What a running collector's /metrics shows."""
    host, port = settings.listen
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{host}:{port}/metrics") as answer,
    ):
        assert answer.status == 200
        text = await answer.text()
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


@pytest.mark.end_to_end
async def test_stages_and_meters_show_how_old_they_are(tmp_path: Path) -> None:
    """Absent before they are known; after a restart what the store held is known at once."""
    seen = "jauge_collector_meter_last_seen_timestamp_seconds"
    beat = "jauge_collector_heartbeat_timestamp_seconds"
    async with Mosquitto(tmp_path / "broker") as broker:
        settings = config.load(configured(tmp_path, mqtt_port=broker.port))
        at = now_ms() - 5000
        async with collecting(settings):
            assert seen not in await scraped(settings)
            async with WireAgent(broker.port) as agent:
                await agent.send([pack([Sample("gpu:0", "power", 5.0)], seq=1, time_ms=at)])
                await agent.answered([1])
                assert seen not in await scraped(settings), "that feeds no meter"
                samples_of_it = [Sample("host", "power", 60.0)]
                await agent.send([pack(samples_of_it, seq=2, time_ms=at)])
                await agent.send([pack(samples_of_it, seq=3, time_ms=at - 1000)])
                await agent.answered([2, 3])

            async def all_stages() -> bool:
                shown = await scraped(settings)
                lags = {labels["stage"] for labels, _ in shown["jauge_collector_lag_seconds"]}
                return lags == {"store", "answer", "marks", "ledger", "kpis"}

            await eventually(all_stages, within=30, what="every stage shows its lag")
            shown = await scraped(settings)
            assert shown[seen] == [({"site": "s", "meter": "it"}, at / 1000)]
            assert abs(shown[beat][0][1] - time.time()) < 10
            assert all(lag < 30 for _, lag in shown["jauge_collector_lag_seconds"])
        async with collecting(settings):

            async def known() -> bool:
                return (await scraped(settings)).get(seen) == shown[seen]

            await eventually(known, within=20, what="the meter's age is known after a restart")


# --- the dead-man signal


@pytest.mark.end_to_end
async def test_a_store_that_hangs_stops_the_dead_man_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """SIGSTOP: named in /readyz, timestamp and watchdog stop; all comes back with SIGCONT."""
    caplog.set_level(logging.INFO, logger="jauge_collector.vitals")
    for module in (ingest, service):
        monkeypatch.setattr(module, "HANGS_AFTER_S", 1.5)
    monkeypatch.setattr(service, "_WATCH_EVERY_S", 0.3)
    told: list[bytes] = []
    async with (
        Mosquitto(tmp_path / "broker") as broker,
        VictoriaMetrics(tmp_path / "store") as store,
    ):
        # Not before: a broker tells a service manager that it is ready, too.
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "800000")
        path = configured(tmp_path, mqtt_port=broker.port, store_url=store.url)
        with told_to(tmp_path / "notify", told):
            await hang(path, store, told)
            await eventually(lambda: b"STOPPING=1" in told, within=10, what="STOPPING")
    assert told[0] == b"READY=1"
    assert told.count(b"READY=1") == 1
    assert "no progress" in caplog.text
    assert "every stage makes progress again" in caplog.text


def test_what_waits_for_store_or_ledger_gives_up_before_it_counts_as_hanging() -> None:
    """Each wait alone, and twice the ledger's: for the lock of another stage, and its own."""
    probe_s = victoriametrics._PROBE_TIMEOUT.total
    read_s = victoriametrics._TIMEOUT.total
    assert probe_s is not None
    assert read_s is not None
    waits_s = (probe_s, lines._TIMEOUT_MS / 1000, sqlite._BUSY_S)
    assert max(*waits_s, 2 * database._BUSY_TIMEOUT_MS / 1000) < ingest.HANGS_AFTER_S
    assert read_s < service._LEDGER_HANGS_AFTER_S


@pytest.mark.end_to_end
async def test_a_store_that_hangs_is_told_and_does_not_kill_the_collector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGSTOP: /readyz names the store within seconds, and the signs of life go on."""
    for module in (ingest, service):
        monkeypatch.setattr(module, "HANGS_AFTER_S", 6.0)
    monkeypatch.setattr(ingest, "STALLS_AFTER_S", 0.5)
    monkeypatch.setattr(victoriametrics, "_PROBE_TIMEOUT", aiohttp.ClientTimeout(total=2.0))
    monkeypatch.setattr(lines, "_TIMEOUT_MS", 2000)
    loop = asyncio.get_running_loop()
    async with (
        Mosquitto(tmp_path / "broker") as broker,
        VictoriaMetrics(tmp_path / "store") as store,
    ):
        path = configured(tmp_path, mqtt_port=broker.port, store_url=store.url)
        async with collecting(path) as running, WireAgent(broker.port) as agent:
            kill(store.pid, signal.SIGSTOP)
            try:
                began_s = loop.time()
                await agent.send([pack(seq=1, time_ms=now_ms())])
                await eventually(
                    lambda: "has not answered" in part(running, "store")[1],
                    within=30,
                    what="the store is named before its call fails",
                )
                seq = 1
                while loop.time() < began_s + 15:
                    seq += 1
                    await agent.send([pack(seq=seq, time_ms=now_ms())])
                    assert part(running, "progress") == (True, "")
                    await asyncio.sleep(0.1)  # one pack after the other, over more than two limits
                assert not part(running, "store")[0]
            finally:
                kill(store.pid, signal.SIGCONT)
            await agent.send([pack(seq=1000, time_ms=now_ms())])
            await agent.answered([1000], within=60)
            await eventually(lambda: part(running, "store")[0], within=30, what="it works again")


@contextmanager
def told_to(where: Path, told: list[bytes]) -> Iterator[None]:
    """A service manager that keeps what it is told."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(where))
        manager.setblocking(False)
        loop.add_reader(manager, lambda: told.append(manager.recv(1000)))
        try:
            yield
        finally:
            loop.remove_reader(manager)


async def hang(path: Path, store: VictoriaMetrics, told: list[bytes]) -> None:
    """Stop the store under a running collector, and let it go on."""
    loop = asyncio.get_running_loop()

    def signs() -> int:
        return told.count(b"WATCHDOG=1")

    settings = config.load(path)
    async with collecting(settings) as running, WireAgent(settings.mqtt.port) as agent:

        def named() -> set[str]:
            return set(re.findall(r"(\w+) hangs", part(running, "progress")[1]))

        await eventually(lambda: signs() >= 3, within=20, what="signs of life")
        telemetry = running.state.telemetry
        kill(store.pid, signal.SIGSTOP)
        try:
            await agent.send([pack(seq=1, time_ms=now_ms())])
            await eventually(
                lambda: {"store", "watch"} <= named(), within=30, what="both stages are named"
            )
            stood_s, count, until_s = telemetry.heartbeat_s, signs(), loop.time() + 2.5
            assert stood_s is not None
            await eventually(lambda: loop.time() > until_s, within=30, what="time")
            assert (telemetry.heartbeat_s, signs()) == (stood_s, count)
        finally:
            kill(store.pid, signal.SIGCONT)
        await agent.send([pack(seq=2, time_ms=now_ms())])
        await eventually(
            lambda: part(running, "progress")[0] and signs() >= count + 2,
            within=60,
            what="progress again",
        )
        assert telemetry.heartbeat_s != stood_s
        await agent.answered([2], within=60)
