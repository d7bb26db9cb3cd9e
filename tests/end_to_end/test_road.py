"""The whole road with real parts: agent, Mosquitto, collector and store, each a process."""

import asyncio
import http.client
import json
import re
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jauge_agent.agent import machine_id
from jauge_agent.spool import Outcome, Spool

from tests import parts
from tests.end_to_end.counting import SERIES, value_at
from tests.end_to_end.running import Program

SITE = """
[site]
name = "road"
time_zone = "UTC"

[[meters]]
id = "it"
commodity = "electricity"
feeds = ["counter/meter:m0"]
interval_s = 300
counts = "from_start"
reason = "a test"

[[equations]]
symbol = "E_IT"
place = "ups_output"
terms = [{ meter = "it" }]
"""

COUNTED = re.compile(
    r'^jauge_agent_spool_batches_total\{outcome="(\w+)",reason="\w*"\} (\S+)$', re.MULTILINE
)
WAITING = re.compile(r"^jauge_agent_spool_waiting_batches (\S+)$", re.MULTILINE)

Stored = dict[tuple[int, int], list[float]]
"""Values by series number and time: one each when nothing is doubled."""


@dataclass
class Road:
    """Agent and collector as processes, with what a test asks them."""

    folder: Path
    agent: Program
    collector: Program
    agent_port: int
    collector_port: int

    async def begin(self) -> None:
        """Start both and wait until the collector is ready."""
        await self.collector.start()
        await self.collector_is_ready()
        await self.agent.start()

    async def end(self) -> None:
        """Kill what still runs."""
        for program in (self.agent, self.collector):
            if program.status is None:
                await program.kill()

    async def collector_is_ready(self) -> None:
        """Wait for /readyz."""

        async def ready() -> bool:
            assert self.collector.status is None, self.collector.words()
            return (await asyncio.to_thread(_get, self.collector_port, "/readyz"))[0] == 200

        await parts.eventually(ready, within=30, what="the collector is ready")

    async def counters(self) -> Mapping[str, float]:
        """The agent's batches by outcome; ``waiting`` are those without an answer."""
        assert self.agent.status is None, self.agent.words()
        status, body = await asyncio.to_thread(_get, self.agent_port, "/metrics")
        if status != 200:
            return {}
        found = re.findall(
            r'^jauge_agent_spool_batches_total\{outcome="(\w+)",reason="\w*"\} (\S+)$',
            body,
            re.MULTILINE,
        )
        (waiting,) = re.findall(r"^jauge_agent_spool_waiting_batches (\S+)$", body, re.MULTILINE)
        return {name: float(value) for name, value in found} | {"waiting": float(waiting)}

    async def more(self, outcome: str, batches: int) -> None:
        """Wait until the agent has counted some more batches of an outcome."""
        wanted: float | None = None

        async def enough() -> bool:
            nonlocal wanted
            seen = await self.counters()
            if not seen:
                return False
            if wanted is None:
                wanted = seen.get(outcome, 0) + batches
            return seen.get(outcome, 0) >= wanted

        await parts.eventually(enough, within=40, what=f"{batches} more batches {outcome}")

    async def drained(self) -> int:
        """Let the source fall silent, wait for the last answer; returns the readings taken."""
        (self.folder / "quiet").touch()

        async def empty() -> bool:
            return (await self.counters()).get("waiting") == 0

        await parts.eventually(empty, within=60, what="the spool has drained")
        assert await self.agent.stop() == 0
        account = Spool(
            self.folder / "spool",
            machine=machine_id(self.folder / "spool"),
            max_bytes=10**9,
            max_age_ms=10**12,
            now_ms=time.time_ns() // 1_000_000,
        )
        try:
            taken = account.total(Outcome.TAKEN).readings
            assert account.total(Outcome.STORED).readings == taken
            assert account.spooled.readings == 0
            return taken
        finally:
            account.close()


def road(folder: Path, broker: parts.Mosquitto, store: str) -> Road:
    """Configurations written, nothing started."""
    agent_port, collector_port = parts.free_port(), parts.free_port()
    (folder / "site.toml").write_text(SITE)
    collector = folder / "collector.toml"
    collector.write_text(f"""
sites = ["site.toml"]
state_dir = "state"
[mqtt]
tls = false
port = {broker.port}
[store]
{store}
[ledger]
pass_every_s = 1
[console]
listen = "127.0.0.1:{collector_port}"
""")
    (folder / "spool").mkdir()
    agent = folder / "agent.toml"
    agent.write_text(f"""
site = "road"
agent = "counter"
[broker]
tls = false
port = {broker.port}
[spool]
directory = "{folder / "spool"}"
[delivery]
resend_after_s = 15
[metrics]
port = {agent_port}
[sources.counting]
period_s = 0.25
quiet_file = "{folder / "quiet"}"
""")
    return Road(
        folder,
        Program("tests.end_to_end.counting", [agent], folder / "agent.log"),
        Program("jauge_collector.cli", ["run", "--config", collector], folder / "collector.log"),
        agent_port,
        collector_port,
    )


def _get(port: int, path: str) -> tuple[int, str]:
    asking = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        asking.request("GET", path)
        answer = asking.getresponse()
        return answer.status, answer.read().decode()
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        asking.close()


async def exported(store: parts.VictoriaMetrics) -> Stored:
    """What VictoriaMetrics gives back, with the labels that a series must have and no other."""
    now_ms = time.time_ns() // 1_000_000
    found = await store.export(
        '{site="road",agent="counter"}', now_ms - 3_600_000, now_ms + 3_600_000
    )
    rows: Stored = {}
    for labels, points in found.items():
        metric = json.loads(labels)
        assert metric.keys() == {"__name__", "site", "agent", "kind", "resource"}
        assert (metric["__name__"], metric["kind"]) == ("jauge_energy_joules_total", "meter")
        number = int(metric["resource"].removeprefix("meter:m"))
        for time_ms, value in points:
            rows.setdefault((number, time_ms), []).append(value)
    return rows


def in_sqlite(file: Path) -> Stored:
    """What the embedded store holds."""
    database = sqlite3.connect(file)
    try:
        rows: Stored = {}
        for resource, time_ms, value in database.execute(
            "SELECT resource, time_ms, value FROM readings JOIN series ON id = series_id"
        ):
            number = int(resource.removeprefix("meter:m"))
            rows.setdefault((number, time_ms), []).append(value)
        return rows
    finally:
        database.close()


def assert_exactly(stored: Stored, taken: int) -> None:
    """As many readings as were taken, none twice, each with its value, whole batches only."""
    assert len(stored) == taken
    assert {point: values for point, values in stored.items() if len(values) > 1} == {}
    assert {number for number, _ in stored} == set(range(SERIES))
    wrong = {point: values for point, values in stored.items() if values != [value_at(*point)]}
    assert wrong == {}


async def test_killed_broker_store_collector_and_agent_lose_and_double_nothing(
    tmp_path: Path, mosquitto: parts.Mosquitto, victoria_metrics: parts.VictoriaMetrics
) -> None:
    """N readings in, the same N out of the store's export, though each part is killed once."""
    store = f'kind = "victoriametrics"\nurl = "{victoria_metrics.url}"\nsettle_s = 12'
    whole = road(tmp_path, mosquitto, store)
    try:
        await whole.begin()
        await whole.more("stored", 1)

        await mosquitto.kill()
        await whole.more("taken", 4)
        await mosquitto.start()
        await whole.more("taken", 4)

        await victoria_metrics.kill()
        await whole.more("taken", 4)
        await victoria_metrics.start()
        await whole.more("taken", 4)

        await whole.collector.kill()
        await whole.more("taken", 4)
        await whole.collector.start()
        await whole.collector_is_ready()

        await whole.agent.kill()
        await whole.agent.start()
        await whole.more("taken", 4)

        taken = await whole.drained()
        assert taken > 20 * SERIES
        assert_exactly(await exported(victoria_metrics), taken)
        assert await whole.collector.stop() == 0
    finally:
        await whole.end()


async def test_embedded_store_takes_the_same_road(
    tmp_path: Path, mosquitto: parts.Mosquitto
) -> None:
    """With SQLite too: N readings in, the same N in the file, though the collector was killed."""
    whole = road(tmp_path, mosquitto, 'kind = "sqlite"')
    try:
        await whole.begin()
        await whole.more("stored", 4)
        await whole.collector.kill()
        await whole.more("taken", 4)
        await whole.collector.start()
        await whole.collector_is_ready()
        taken = await whole.drained()
        assert await whole.collector.stop() == 0
        assert_exactly(in_sqlite(tmp_path / "state" / "readings.db"), taken)
    finally:
        await whole.end()
