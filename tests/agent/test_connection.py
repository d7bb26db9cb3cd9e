"""A connection that ends as soon as it is taken."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiomqtt
import pytest
from jauge_agent.connection import Connection

TAKEN = b"\x20\x02\x00\x00"
"""CONNACK of MQTT 3.1.1."""


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[int]:
    """A port whose every connection gets some bytes in one go, and ends where one is empty."""
    served: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            served.add(task)
        with suppress(OSError):
            await reader.read(100)
            writer.write(b"".join(answers))
            if b"" not in answers:
                await reader.read()
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.wait(served, timeout=5)


@pytest.mark.parametrize(
    "answers", [(TAKEN, b""), (TAKEN, b"\x30\xff\xff\xff\xff")], ids=["closed", "no-packet"]
)
async def test_an_end_that_comes_with_the_beginning_is_told_at_once(
    answers: tuple[bytes, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """It is neither waited for answers, nor is the error lost, of which asyncio would complain."""
    gc.collect()  # what other tests have left behind
    caplog.clear()
    async with answering(*answers) as port, asyncio.timeout(5):
        client = Connection(
            "127.0.0.1",
            port,
            protocol=aiomqtt.ProtocolVersion.V311,
            timeout=60,
            on_payload=lambda _: None,
            on_acknowledged=lambda *_: None,
        )
        with pytest.raises(aiomqtt.MqttError):
            async with client:
                await client.hear("a")
        client.abandon()
        del client
        gc.collect()
    assert "never retrieved" not in caplog.text
