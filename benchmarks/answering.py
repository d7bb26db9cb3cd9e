"""Who answers the agents of a benchmark: what the collector says, at once and without a store."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiomqtt
from jauge_models.wire import Answer, Channel, claimed_head, encode, parse_topic


@dataclass(slots=True)
class Heard:
    """What came over the broker so far."""

    messages: Counter[str] = field(default_factory=Counter)
    """By the first level of the topic."""
    packs: int = 0
    readings: int = 0
    answered: int = 0


@contextlib.asynccontextmanager
async def answering(broker_port: int) -> AsyncIterator[Heard]:
    """Listen to everything meanwhile, and answer each pack of readings as stored."""
    heard = Heard()
    client = aiomqtt.Client(
        "127.0.0.1", broker_port, protocol=aiomqtt.ProtocolVersion.V311, identifier="answering"
    )
    async with client:
        await client.subscribe("#", qos=1)
        listening = asyncio.create_task(_listen(client, heard))
        try:
            yield heard
        finally:
            listening.cancel()
            await asyncio.wait([listening])
    if not listening.cancelled():
        listening.result()


async def _listen(client: aiomqtt.Client, heard: Heard) -> None:
    async for message in client.messages:
        topic = message.topic.value
        first, _, _ = topic.partition("/")
        heard.messages[first] += 1
        if first == "jauge" and topic.endswith(f"/{Channel.READINGS}"):
            payload = bytes(message.payload)
            heard.packs += 1
            heard.readings += payload.count(b'"v":')
            if head := claimed_head(payload):
                boot, seq = head
                address, _ = parse_topic(topic)
                answer = encode(Answer(boot=boot, stored=[(seq, seq)]))
                await client.publish(address.topic(Channel.ACK), answer, qos=0)
                heard.answered += 1
