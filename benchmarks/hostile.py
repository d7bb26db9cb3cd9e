"""Honest agents beside a hostile one: what they lose, and how long their answers take.

Twenty agents send a pack a second and resend what is not answered: first undisturbed, then while
one client sends a million malformed messages as fast as the broker takes them, then while one agent
sends 100 000 readings a second in packs that are right. Mosquitto has the limits of
deploy/mosquitto.
"""

import asyncio
import contextlib
import multiprocessing
import socket
import statistics
import struct
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import paho.mqtt.client as paho
from jauge_models.wire import (
    Address,
    Channel,
    Sample,
    decode_answer,
    encode_samples,
    seal,
)
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.collecting import SETTLE_S, Running, collecting
from benchmarks.processes import memory
from benchmarks.rows import Better, Row, Table, say

_AGENTS: Final = 20
_READINGS_PER_PACK: Final = 60
_RESEND_S: Final = SETTLE_S + 30.0
"""As an agent does: settle and half a minute."""
_MALFORMED: Final = 1_000_000
_HOSTILE_READINGS_PER_S: Final = 100_000
_READINGS_PER_HOSTILE_PACK: Final = 500
_ANSWERED_LIMIT_S: Final = SETTLE_S + 5.0
_MEMORY_LIMIT_MIB: Final = 256.0
_BROKER: Final = {
    "max_inflight_messages": "100",
    "max_queued_messages": "0",
    "max_queued_bytes": "33554432",
    "message_size_limit": "262144",
    "max_packet_size": "263168",
}
_MALFORMER: Final = Address("bench", "malformer")
_HOSTILE: Final = Address("bench", "hostile")


class _Delays(NamedTuple):
    sent: int
    p99_s: float
    longest_s: float
    again: int
    """Packs that had to be sent a second time."""


class _Honest:
    """Agents that send a pack a second each. paho's thread does the network."""

    def __init__(self) -> None:
        self.sent = 0
        self.again = 0
        self.delays_s: list[float] = []
        """Of each answered pack, from its first sending to its answer."""
        self._seq = 0
        self._waiting: dict[tuple[str, int], tuple[float, float, bytes]] = {}
        """First and last sending, and the pack, of what has no answer."""
        self._topics = [Address("bench", f"agent{n}") for n in range(_AGENTS)]
        self._body = encode_samples(
            Sample(f"sensor:{n}", "power", 100.5 + n) for n in range(_READINGS_PER_PACK)
        )
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        self._client.max_queued_messages_set(0)
        self._client.on_message = self._on_message

    @contextlib.asynccontextmanager
    async def connected(self, port: int) -> AsyncIterator[None]:
        """With the broker."""
        self._client.connect("127.0.0.1", port)
        for address in self._topics:
            self._client.subscribe(address.topic(Channel.ACK))
        self._client.loop_start()
        try:
            yield
        finally:
            self._client.disconnect()
            self._client.loop_stop()

    async def send_while(self, going: Callable[[], bool]) -> None:
        """A pack of each agent every second, spread over it, and again what got no answer."""
        began, turn = time.monotonic(), 0
        while going():
            self._send(self._topics[turn % _AGENTS])
            turn += 1
            self.send_again()
            await asyncio.sleep(max(0.0, began + turn / _AGENTS - time.monotonic()))

    def send_again(self) -> None:
        """What was not answered for as long as an agent waits."""
        now_s = time.monotonic()
        for key, (first_s, last_s, payload) in list(self._waiting.items()):
            if now_s - last_s >= _RESEND_S:
                self.again += 1
                self._waiting[key] = (first_s, now_s, payload)
                self._client.publish(key[0], payload, qos=1)

    @property
    def waiting(self) -> int:
        """Packs without an answer."""
        return len(self._waiting)

    def _send(self, address: Address) -> None:
        self._seq += 1
        time_ms = time.time_ns() // 1_000_000
        payload = seal(
            self._body,
            address=address,
            boot="bench",
            seq=self._seq,
            oldest_ms=time_ms,
            time_ms=time_ms,
        )
        now_s = time.monotonic()
        topic = address.topic(Channel.READINGS)
        self._waiting[topic, self._seq] = (now_s, now_s, payload)
        self.sent += 1
        self._client.publish(topic, payload, qos=1)

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        now_s = time.monotonic()
        topic = message.topic.removesuffix(Channel.ACK) + Channel.READINGS
        for low, high in decode_answer(bytes(message.payload)).stored:
            for seq in range(low, high + 1):
                if kept := self._waiting.pop((topic, seq), None):
                    self.delays_s.append(now_s - kept[0])


async def measure(*, seconds: float, full: bool) -> Table:
    """Undisturbed for ``seconds``, then beside each flood; ``full`` changes nothing."""
    del full
    with tempfile.TemporaryDirectory(prefix="jauge-bench-") as name:
        async with collecting(Path(name), _BROKER) as running:
            honest = _Honest()
            async with honest.connected(running.broker.port):
                alone = await _alone(honest, running, seconds)
                before = memory(running.process.pid, []).rss
                malformed, took_s = await _beside(honest, running, _send_malformed, (_MALFORMED,))
                readings, _ = await _beside(honest, running, _send_readings, (seconds,))
                after = memory(running.process.pid, []).rss
                stored = await _stored(running)
                dropped = await _dropped(running)
            say(running.log.read_text(encoding="utf-8", errors="replace")[-3000:])
    rows = [
        Row(
            "honest readings stored",
            stored,
            "",
            "sent",
            honest.sent * _READINGS_PER_PACK,
            Better.HIGHER,
            is_limit=True,
        )
    ]
    for what, delays in (
        ("undisturbed", alone),
        (f"beside {_MALFORMED:,} malformed messages".replace(",", " "), malformed),
        (f"beside {_HOSTILE_READINGS_PER_S:,} readings/s".replace(",", " "), readings),
    ):
        limit = f"limit (settle {SETTLE_S:g} s + 5 s)"
        note = f"{delays.sent} packs, longest {delays.longest_s:.1f} s, sent twice {delays.again}"
        rows.append(
            Row(
                f"honest, {what}: 99 of 100 answered within",
                delays.p99_s,
                "s",
                limit,
                _ANSWERED_LIMIT_S,
                Better.LOWER,
                is_limit=True,
                note=note,
            )
        )
    rows.append(
        Row(
            "collector's memory after both floods",
            after,
            "MiB",
            "before",
            before,
            Better.LOWER,
        )
    )
    notes = [
        f"{_AGENTS} honest agents, one pack of {_READINGS_PER_PACK} readings a second each",
        f"the malformed messages took the broker {took_s:.1f} s",
        "dropped: " + ", ".join(f"{what} {count:.0f}" for what, count in dropped.items() if count),
    ]
    return Table("hostile", "One hostile sender beside honest agents", rows, notes)


async def _alone(honest: _Honest, running: Running, seconds: float) -> _Delays:
    ends_s = time.monotonic() + seconds
    await honest.send_while(lambda: time.monotonic() < ends_s)
    return await _settled(honest, running)


async def _beside(
    honest: _Honest,
    running: Running,
    flood: Callable[..., None],
    arguments: tuple[float, ...],
) -> tuple[_Delays, float]:
    """Honest agents meanwhile; delays, and seconds that the flood took."""
    say(f"{flood.__name__.strip('_')}{arguments}")
    process = multiprocessing.get_context("spawn").Process(
        target=flood, args=(running.broker.port, *arguments), daemon=True
    )
    began = time.monotonic()
    process.start()
    try:
        await honest.send_while(process.is_alive)
        took_s = time.monotonic() - began
    finally:
        if process.is_alive():
            process.terminate()
        process.join()
    if process.exitcode:
        raise RuntimeError(f"the hostile sender ended with {process.exitcode}")
    return await _settled(honest, running), took_s


async def _settled(honest: _Honest, running: Running) -> _Delays:
    """Once all is answered: the delays since the last time."""

    async def answered() -> bool:
        honest.send_again()
        return not honest.waiting

    await running.until(answered, "all honest packs are answered")
    delays = sorted(honest.delays_s)
    found = _Delays(len(delays), statistics.quantiles(delays, n=100)[-1], delays[-1], honest.again)
    honest.delays_s.clear()
    honest.again = 0
    say(f"{found}")
    return found


async def _stored(running: Running) -> int:
    now_ms = time.time_ns() // 1_000_000
    await running.store.force_flush()
    kept = await running.store.export(
        '{__name__="jauge_power_watts",agent=~"agent.*"}', now_ms - 3_600_000, now_ms + 60_000
    )
    return sum(len(points) for points in kept.values())


async def _dropped(running: Running) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in ("queue_dropped_total", "messages_dropped_total", "packs_unanswered_total"):
        for labels, count in (await running.counted(name)).items():
            found[labels.replace('"', "")] = count
    return found


def _send_malformed(port: int, count: float) -> None:
    """A client without manners: QoS 0, nothing between two packets, as fast as they are taken."""
    with _raw(port) as connection:
        packet = _publish(_MALFORMER.topic(Channel.READINGS), b'[{"n":')
        for _ in range(int(count) // 1000):
            connection.sendall(packet * 1000)
        _flush(connection)


def _send_readings(port: int, seconds: float) -> None:
    """Packs that are right in all, at a steady rate."""
    body = encode_samples(
        Sample(f"sensor:{n}", "power", 1.5) for n in range(_READINGS_PER_HOSTILE_PACK)
    )
    per_s = _HOSTILE_READINGS_PER_S / _READINGS_PER_HOSTILE_PACK
    start_ms = time.time_ns() // 1_000_000 - 3_600_000
    with _raw(port) as connection:
        began, sent = time.monotonic(), 0
        while sent < seconds * per_s:
            sent += 1
            payload = seal(
                body,
                address=_HOSTILE,
                boot="hostile",
                seq=sent,
                oldest_ms=start_ms,
                time_ms=start_ms + sent,
            )
            connection.sendall(_publish(_HOSTILE.topic(Channel.READINGS), payload))
            time.sleep(max(0.0, began + sent / per_s - time.monotonic()))
        _flush(connection)


@contextlib.contextmanager
def _raw(port: int) -> Iterator[socket.socket]:
    """A connection with the broker, by hand: a library would be the slower of the two."""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
        name = b"hostile"
        connection.sendall(
            _packet(0x10, struct.pack("!H4sBBHH", 4, b"MQTT", 4, 2, 0, len(name)) + name)
        )
        _expect(connection, b"\x20\x02\x00\x00")
        yield connection


def _flush(connection: socket.socket) -> None:
    """Return once the broker has read all: it answers in order."""
    connection.sendall(b"\xc0\x00")
    _expect(connection, b"\xd0\x00")


def _expect(connection: socket.socket, answer: bytes) -> None:
    got = b""
    while len(got) < len(answer):
        if not (part := connection.recv(len(answer) - len(got))):
            raise ConnectionError("the broker hung up")
        got += part
    if got != answer:
        raise ConnectionError(f"the broker answered {got.hex()}")


def _publish(topic: str, payload: bytes) -> bytes:
    name = topic.encode()
    return _packet(0x30, struct.pack("!H", len(name)) + name + payload)


def _packet(kind: int, content: bytes) -> bytes:
    """An MQTT packet (3.1.1, 2.2)."""
    left, length = len(content), b""
    while True:
        left, low = divmod(left, 128)
        length += bytes([low | 128 if left else low])
        if not left:
            return bytes([kind]) + length + content
