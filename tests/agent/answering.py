"""A collector in miniature: keeps what comes over a real broker and answers for it."""

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable

import aiomqtt
from jauge_agent.cancellation import raise_if_cancelled
from jauge_models.wire import (
    Answer,
    Birth,
    Channel,
    Pack,
    State,
    decode_birth,
    decode_pack,
    decode_state,
    encode,
    parse_topic,
    ranges,
)

Verdict = Callable[[Pack], str | None]
"""Why a pack is refused; "" when it gets no answer at all; None when it is stored."""


class Answering:
    """Subscribes to every agent; connects again when the broker was away."""

    def __init__(
        self,
        port: int,
        *,
        verdict: Verdict = lambda _: None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.verdict = verdict
        self.packs: list[Pack] = []
        self.stored: dict[tuple[str, int], float | None] = {}
        """Value by (whole series name, time in ms)."""
        self.changed: list[tuple[str, int]] = []
        """Points that came again with another value: there must be none."""
        self.batches: Counter[int] = Counter()
        """How often each batch number was stored."""
        self.births: list[Birth] = []
        self.states: list[State] = []
        self.connected = asyncio.Event()
        self._port = port
        self._tls = tls

    @property
    def readings(self) -> int:
        """Readings stored, each point once."""
        return len(self.stored)

    async def run(self) -> None:
        """Keep and answer until cancelled."""
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                await self._connection()
            raise_if_cancelled()
            self.connected.clear()
            await asyncio.sleep(0.05)

    async def _connection(self) -> None:
        async with aiomqtt.Client("127.0.0.1", self._port, tls_context=self._tls) as client:
            raise_if_cancelled()
            await client.subscribe("jauge/v1/+/+/+", qos=1)
            raise_if_cancelled()
            self.connected.set()
            async for message in client.messages:
                await self._take(client, message)

    async def _take(self, client: aiomqtt.Client, message: aiomqtt.Message) -> None:
        address, channel = parse_topic(str(message.topic))
        if channel is Channel.BIRTH:
            self.births.append(decode_birth(message.payload))
        elif channel is Channel.STATE:
            self.states.append(decode_state(message.payload))
        elif channel is Channel.READINGS:
            pack = decode_pack(message.payload, address)
            self.packs.append(pack)
            reason = self.verdict(pack)
            if reason == "":
                return
            if reason is None:
                self._store(pack)
                answer = Answer(boot=pack.boot, stored=ranges([pack.seq]))
            else:
                answer = Answer(boot=pack.boot, refused=[(pack.seq, reason)])
            await client.publish(address.topic(Channel.ACK), encode(answer), qos=0)

    def _store(self, pack: Pack) -> None:
        self.batches[pack.seq] += 1
        for record in pack.records:
            point = (pack.address.base_name + record.n, pack.time_ms)
            if self.stored.setdefault(point, record.v) != record.v:
                self.changed.append(point)


@contextlib.asynccontextmanager
async def answering(
    port: int, *, verdict: Verdict = lambda _: None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Answering]:
    """A collector that runs meanwhile, connected already."""
    collector = Answering(port, verdict=verdict, tls=tls)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(collector.run())
        async with asyncio.timeout(10):
            await collector.connected.wait()
        try:
            yield collector
        finally:
            task.cancel()
