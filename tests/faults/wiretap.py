"""What passes the broker: packs kept to be sent again, and how long each waited for its answer."""

import asyncio
import time
from contextlib import suppress
from typing import NamedTuple, Self

import aiomqtt
from jauge_models.wire import Address, Channel, claimed_head, decode_answer, decode_pack


class Heard(NamedTuple):
    """One pack as it was published."""

    time_ms: int
    payload: bytes


class Wiretap:
    """Listens to one agent's packs and answers, and speaks on its topics."""

    def __init__(self, host: str, port: int, address: Address) -> None:
        self.packs: list[Heard] = []
        self.answered_s: list[float] = []
        """Of each batch answered as stored: from its tick to its answer."""
        self.retained = 0
        """Retained documents of the agent that the broker had at the beginning."""
        self._address = address
        self._unanswered: dict[tuple[str, int], int] = {}
        self._client = aiomqtt.Client(host, port, protocol=aiomqtt.ProtocolVersion.V311)
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        await self._client.subscribe(f"{self._address.topic(Channel.BIRTH)[:-5]}+", qos=1)
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listening is not None
        self._listening.cancel()
        await asyncio.wait([self._listening])
        with suppress(aiomqtt.MqttError):
            await self._client.__aexit__(None, None, None)

    async def publish(self, payload: bytes) -> None:
        """Publish a pack on the agent's topic, acknowledged by the broker."""
        await self._client.publish(self._address.topic(Channel.READINGS), payload, qos=1)

    async def _listen(self) -> None:
        async for message in self._client.messages:
            payload = bytes(message.payload)
            self.retained += message.retain
            if message.topic.value == self._address.topic(Channel.READINGS):
                pack = decode_pack(payload, self._address)
                self.packs.append(Heard(pack.time_ms, payload))
                if head := claimed_head(payload):
                    self._unanswered.setdefault(head, pack.time_ms)
            elif message.topic.value == self._address.topic(Channel.ACK):
                self._take_answer(payload)

    def _take_answer(self, payload: bytes) -> None:
        answer, now_s = decode_answer(payload), time.time()
        for low, high in answer.stored:
            for seq in range(low, high + 1):
                if (tick_ms := self._unanswered.pop((answer.boot, seq), None)) is not None:
                    self.answered_s.append(now_s - tick_ms / 1000)
