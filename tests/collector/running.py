"""A collector in this process, and an agent that speaks only the wire, for integration tests."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Self

import aiomqtt
from jauge_collector import config
from jauge_collector.config import CollectorConfig
from jauge_collector.service import Service
from jauge_models.wire import Address, Answer, Birth, Channel, State, decode_answer, encode

from tests import parts
from tests.collector.packs import ADDRESS

SITE = """
[site]
name = "s"
[[meters]]
id = "it"
commodity = "electricity"
feeds = ["a/host"]
counts = "from_start"
reason = "a test"
[[equations]]
symbol = "E_IT"
place = "ups_output"
terms = [{ meter = "it" }]
"""


def configured(
    folder: Path,
    *,
    mqtt_port: int,
    store_url: str | None = None,
    settle_s: float = 12.0,
    port: int | None = None,
    more: str = "",
    mqtt: str = "tls = false",
    state_encryption: str = "elsewhere",
) -> Path:
    """A configuration file in a folder of its own."""
    (folder / "site.toml").write_text(SITE, encoding="utf-8")
    store = 'kind = "sqlite"'
    if store_url:
        store = f'kind = "victoriametrics"\nurl = "{store_url}"\nsettle_s = {settle_s}'
    path = folder / "collector.toml"
    path.write_text(
        f"""
sites = ["site.toml"]
state_dir = "state"
state_encryption = "{state_encryption}"
{more}
[mqtt]
port = {mqtt_port}
{mqtt}
[store]
{store}
[ledger]
pass_every_s = 0.5
[console]
listen = "127.0.0.1:{port or parts.free_port()}"
""",
        encoding="utf-8",
    )
    return path


@asynccontextmanager
async def collecting(path: Path | CollectorConfig, *, ready: bool = True) -> AsyncIterator[Service]:
    """A running collector, connected unless told otherwise; stopped in order at the end."""
    service = Service(config.load(path) if isinstance(path, Path) else path)
    stop = asyncio.Event()
    running = asyncio.create_task(service.run(stop))

    def up() -> bool:
        if running.done():
            running.result()
        return all(part.ready for part in service.readiness())

    try:
        if ready:
            await parts.eventually(up, within=20, what="the collector is ready")
        yield service
    finally:
        stop.set()
        async with asyncio.timeout(10):
            await running


class WireAgent:
    """Publishes what it is told and keeps the answers to its boot id."""

    def __init__(self, port: int, address: Address = ADDRESS, boot: str = "b1") -> None:
        self._client = aiomqtt.Client("127.0.0.1", port, identifier=f"{address.agent}-{boot}")
        self.address = address
        self.boot = boot
        self.stored: set[int] = set()
        self.refused: dict[int, str] = {}
        self.answers: list[Answer] = []
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        await self._client.subscribe(self.address.topic(Channel.ACK), qos=0)
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listening is not None
        self._listening.cancel()
        await asyncio.wait([self._listening])
        with suppress(aiomqtt.MqttError):  # a broker that was killed says no farewell
            await self._client.__aexit__(None, None, None)

    async def send(self, payloads: Iterable[bytes], topic: str | None = None) -> None:
        """Publish on the readings topic, or another one, each acknowledged by the broker."""
        for payload in payloads:
            where = topic or self.address.topic(Channel.READINGS)
            await self._client.publish(where, payload, qos=1)

    async def describe(self, document: Birth | State) -> None:
        """Publish a birth or a state, retained."""
        channel = Channel.BIRTH if isinstance(document, Birth) else Channel.STATE
        await self._client.publish(
            self.address.topic(channel), encode(document), qos=1, retain=True
        )

    async def answered(self, seqs: Iterable[int], *, within: float = 15) -> None:
        """Wait until all of these are answered as stored."""
        wanted = set(seqs)
        await parts.eventually(
            lambda: wanted <= self.stored, within=within, what=f"{sorted(wanted)[:5]}… answered"
        )

    async def _listen(self) -> None:
        try:
            async for message in self._client.messages:
                answer = decode_answer(message.payload)
                assert not message.retain
                self.answers.append(answer)
                if answer.boot == self.boot:
                    for low, high in answer.stored:
                        self.stored.update(range(low, high + 1))
                    self.refused.update(answer.refused)
        except aiomqtt.MqttError:
            return
