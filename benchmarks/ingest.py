"""Broker (QoS 1) → collector → VictoriaMetrics, answered: readings per CPU-second of the collector.

Real Mosquitto, real VictoriaMetrics and the collector as a process of its own, everything that it
does included: checks, store, marks, ledger passes, answers. Its console is not asked meanwhile.
"""

import asyncio
import math
import re
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import paho.mqtt.client as paho
from jauge_collector.checks import Checks
from jauge_collector.stores.lines import LineWriter
from jauge_models.wire import (
    TOPIC_ROOT,
    Address,
    Channel,
    Sample,
    decode_answer,
    encode_samples,
    seal,
)
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks import processes
from benchmarks.collecting import SETTLE_S, Running, collecting
from benchmarks.receiving import messages_per_cpu_second
from benchmarks.rows import Better, Row, Table, say

_READINGS_PER_PACK: Final = 60
_PACKS: Final = 20_000
_AHEAD: Final = 4000
"""Packs that may be on their way: less than the collector's inbox holds."""

_TARGET: Final = {100: 600_000.0, 10_000: 450_000.0}
_ACCEPTED_LIMIT_S: Final = 1.0
_ANSWERED_LIMIT_S: Final = SETTLE_S + 5.0


class _Load:
    """Packs of many agents, and what was answered of them. paho's thread does the network."""

    def __init__(self, agents: int) -> None:
        self.agents = agents
        self.sent = 0
        self.answered = 0
        self.delays_s: list[float] = []
        """Of each answered pack, from sending to its answer."""
        self._sent_s: dict[tuple[str, int], float] = {}
        self._seq = [0] * agents
        self._addresses = [Address("bench", f"agent{number}") for number in range(agents)]
        self._bodies = [_body(number) for number in range(32)]
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        self._client.max_inflight_messages_set(200)
        self._client.max_queued_messages_set(0)
        self._client.on_message = self._on_message

    @asynccontextmanager
    async def connected(self, port: int) -> AsyncIterator[None]:
        """With the broker."""
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(f"{TOPIC_ROOT}/+/+/{Channel.ACK}")
        self._client.loop_start()
        try:
            yield
        finally:
            self._client.disconnect()
            self._client.loop_stop()

    def pack(self, time_ms: int) -> tuple[Address, bytes]:
        """The next pack of the agent whose turn it is."""
        number = self.sent % self.agents
        self._seq[number] += 1
        self.sent += 1
        return self._addresses[number], seal(
            self._bodies[self.sent % len(self._bodies)],
            address=self._addresses[number],
            boot="bench",
            seq=self._seq[number],
            oldest_ms=time_ms,
            time_ms=time_ms,
        )

    def publish(self, time_ms: int) -> None:
        """Send one at QoS 1."""
        address, payload = self.pack(time_ms)
        seq = self._seq[(self.sent - 1) % self.agents]
        self._sent_s[address.topic(Channel.ACK), seq] = time.monotonic()
        self._client.publish(address.topic(Channel.READINGS), payload, qos=1)

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        now_s = time.monotonic()
        for low, high in decode_answer(bytes(message.payload)).stored:
            self.answered += high - low + 1
            for seq in range(low, high + 1):
                self.delays_s.append(now_s - self._sent_s.pop((message.topic, seq)))


class _Rate(NamedTuple):
    per_cpu_second: float
    per_second: float
    memory_mib: float


class _Delays(NamedTuple):
    accepted_s: float
    answered_s: float


async def measure(*, seconds: float, full: bool) -> Table:
    """100 agents, and 10 000 where ``full``; then half that rate for ``seconds``."""
    alone = _alone()
    receiving = await _receiving()
    rows: list[Row] = []
    for agents in (100, 10_000) if full else (100,):
        rate, delays = await _measure(agents, seconds)
        what = "ingest, " + f"{agents:,} agents".replace(",", " ")
        unit = "readings per CPU-second"
        target = _TARGET[agents]
        rows += [
            Row(what, rate.per_cpu_second, unit, "limit", target, Better.HIGHER, is_limit=True),
            Row(what, rate.per_cpu_second, unit, "decode + check + lines", alone, Better.HIGHER),
            Row(what, rate.per_cpu_second, unit, "aiomqtt receiving", receiving, Better.HIGHER),
            Row(
                what,
                rate.per_cpu_second,
                unit,
                "both one after the other",
                1 / (1 / alone + 1 / receiving),
                Better.HIGHER,
            ),
            Row(
                f"{what}, half load: reading to accepted, 99 of 100 within",
                delays.accepted_s,
                "s",
                "limit",
                _ACCEPTED_LIMIT_S,
                Better.LOWER,
                is_limit=True,
            ),
            Row(
                f"{what}, half load: answered, 99 of 100 within",
                delays.answered_s,
                "s",
                f"limit (settle {SETTLE_S:g} s + 5 s)",
                _ANSWERED_LIMIT_S,
                Better.LOWER,
                is_limit=True,
            ),
        ]
    return Table(
        "ingest",
        "Ingest: broker (QoS 1) → collector → VictoriaMetrics, answered, 60 readings a pack",
        rows,
        [
            "CPU of the collector's whole process, from the first pack to the last answer",
            "accepted: from the collector's own histogram, linear inside a bucket",
        ],
    )


async def _measure(agents: int, seconds: float) -> tuple[_Rate, _Delays]:
    with tempfile.TemporaryDirectory(prefix="jauge-bench-") as name:
        async with collecting(Path(name)) as running:
            load = _Load(agents)
            async with load.connected(running.broker.port):
                # Every series once: what follows is measured with all of them known.
                await _send(load, running, agents)
                rate = await _throughput(load, running)
                before = await running.page()
                load.delays_s.clear()
                await _paced(load, rate.per_second / 2 / _READINGS_PER_PACK, seconds)
                await _all_answered(load, running)
                accepted_s = _percentile("store_delay_seconds", before, await running.page())
                delays = _Delays(accepted_s, statistics.quantiles(load.delays_s, n=100)[-1])
    return rate, delays


async def _throughput(load: _Load, running: Running) -> _Rate:
    process = running.process
    cpu_s, began = processes.cpu_s(process.pid), time.monotonic()
    sent_s = await _send(load, running, _PACKS)
    used_s = processes.cpu_s(process.pid) - cpu_s
    memory = processes.memory(process.pid, [])
    readings = _PACKS * _READINGS_PER_PACK
    say(
        f"{load.agents} agents: {readings} readings answered in {time.monotonic() - began:.1f} s,"
        f" {used_s:.2f} s of CPU: {readings / used_s:,.0f} per CPU-second; {memory.rss:.0f} MiB"
    )
    return _Rate(readings / used_s, readings / sent_s, memory.rss)


async def _send(load: _Load, running: Running, packs: int) -> float:
    """Send as fast as the store takes it, wait for every answer; seconds until all was stored."""
    start_ms = time.time_ns() // 1_000_000 - 3_600_000
    first_rows = await running.rows()
    began = time.monotonic()
    for sent in range(packs):
        load.publish(start_ms + sent)
        if sent % 500 == 499:
            stored = sent + 1 - _AHEAD
            await running.until(partial(_taken, running, first_rows, stored), "the store keeps up")
    await running.until(lambda: _taken(running, first_rows, packs), "all is stored")
    took_s = time.monotonic() - began
    await _all_answered(load, running)
    return took_s


async def _paced(load: _Load, packs_per_s: float, seconds: float) -> None:
    """Send at a steady rate."""
    say(f"half load: {packs_per_s:.0f} packs a second for {seconds:.0f} s")
    began = time.monotonic()
    sent = 0
    while (elapsed_s := time.monotonic() - began) < seconds:
        while sent < elapsed_s * packs_per_s:
            load.publish(time.time_ns() // 1_000_000)
            sent += 1
        await asyncio.sleep(0.005)


async def _all_answered(load: _Load, running: Running) -> None:
    async def answered() -> bool:
        return load.answered >= load.sent

    await running.until(answered, "everything is answered")


async def _taken(running: Running, first_rows: int, packs: int) -> bool:
    if packs <= 0:
        return True
    return await running.rows() - first_rows >= packs * _READINGS_PER_PACK


def _percentile(name: str, before: str, after: str) -> float:
    """Within which 99 of 100 came between two readings of /metrics, linear inside a bucket."""
    pattern = re.compile(rf'^jauge_collector_{name}_bucket{{le="(.*?)"}} (\S+)$', re.MULTILINE)
    earlier = {bound: float(count) for bound, count in pattern.findall(before)}
    counts = [(float(b), float(c) - earlier.get(b, 0)) for b, c in pattern.findall(after)]
    wanted = 0.99 * counts[-1][1]
    low, below = 0.0, 0.0
    for bound, count in counts:
        if count >= wanted and count > below:
            return low + (bound - low) * (wanted - below) / (count - below)
        low, below = bound, count
    return math.inf


def _body(number: int) -> bytes:
    """The readings of one tick."""
    samples = [Sample("host", "power", 200.0 + number), Sample("host", "energy", 1e6 + number)]
    samples += [
        Sample(f"gpu:{gpu}", quantity, value + number / 4)
        for gpu in range(29)
        for quantity, value in (("power", 300.5), ("temperature", 55.25))
    ]
    return encode_samples(samples)


async def _receiving() -> float:
    """What aiomqtt alone could bring in: readings per CPU-second."""
    load = _Load(100)
    packs = [load.pack(time.time_ns() // 1_000_000) for _ in range(_PACKS)]
    rate = await messages_per_cpu_second(packs) * _READINGS_PER_PACK
    say(f"aiomqtt receiving alone: {rate:,.0f} readings per CPU-second")
    return rate


def _alone() -> float:
    """Decoding, checking and building lines, without broker and store: readings per CPU-second."""
    load = _Load(100)
    checks, lines = Checks(["bench"]), LineWriter("http://127.0.0.1:0")
    now_ms = time.time_ns() // 1_000_000
    messages = [
        (address.topic(Channel.READINGS), payload)
        for address, payload in (load.pack(now_ms) for _ in range(2000))
    ]
    best = 0.0
    for _ in range(3):
        began = time.process_time()
        for topic, payload in messages:
            lines.lines(checks.batch(topic, payload, now_ms, 0).readings)
        used_s = time.process_time() - began
        best = max(best, len(messages) * _READINGS_PER_PACK / used_s)
    say(f"decode + check + lines alone: {best:,.0f} readings per CPU-second")
    return best
