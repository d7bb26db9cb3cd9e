"""A raw MQTT client that says whatever it is told to, and notices at once when it is thrown out."""

import asyncio
import contextlib
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Final, NamedTuple, Self

from tests import parts
from tests.security.ground import LOOPBACK, WITHIN_S, Identity

MQTT_3: Final = 4
MQTT_5: Final = 5
NOT_AUTHORISED: Final = 0x87

_CONNECT, _CONNACK, _PUBLISH, _PUBACK = 0x10, 0x20, 0x30, 0x40
_SUBSCRIBE, _SUBACK, _PINGREQ, _PINGRESP = 0x82, 0x90, 0xC0, 0xD0


class RefusedError(Exception):
    """The broker did not take the connection."""


class Will(NamedTuple):
    """What the broker shall publish, retained, when the connection breaks."""

    topic: str
    payload: bytes


class Client:
    """One connection; keeps what it receives."""

    def __init__(
        self,
        port: int,
        identity: Identity | ssl.SSLContext | None,
        *,
        version: int = MQTT_3,
        identifier: str = "",
        username: str | None = None,
        will: Will | None = None,
        keepalive: int = 60,
    ) -> None:
        """``identity`` None is no TLS at all."""
        self._port = port
        self._context = identity.context() if isinstance(identity, Identity) else identity
        self._version = version
        self._hello = _hello(version, identifier, username, will, keepalive)
        self.received: list[tuple[str, bytes]] = []
        self.ended = asyncio.Event()
        """The broker has closed the connection."""
        self._answers: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()
        self._number = 0
        self._aliases: dict[int, str] = {}

    async def __aenter__(self) -> Self:
        """Raises RefusedError."""
        try:
            async with asyncio.timeout(WITHIN_S):
                self._reader, self._writer = await asyncio.open_connection(
                    LOOPBACK,
                    self._port,
                    ssl=self._context,
                    server_hostname="localhost" if self._context else None,
                )
        except OSError as error:  # ssl.SSLError among them
            raise RefusedError(str(error)) from error
        self._listening = asyncio.create_task(self._listen())
        self._write(_CONNECT, self._hello)
        kind, body = await self._answer()
        if kind != _CONNACK or body[1] != 0:
            await self._close()
            raise RefusedError(f"packet {kind:#x} {body.hex()}")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()

    async def subscribe(self, *topics: str) -> None:
        """Subscribe at QoS 1; the broker grants everything and delivers what may be read."""
        for topic in topics:
            self._number += 1
            body = struct.pack(">H", self._number) + self._properties() + _text(topic) + b"\1"
            self._write(_SUBSCRIBE, body)
            await self._answer()

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, more: bytes = b""
    ) -> int | None:
        """Publish; the reason code of the acknowledgement, None where the connection ended first.

        ``more`` are MQTT 5 properties. With QoS 0 a ping takes the acknowledgement's place.
        """
        body = _text(topic)
        if qos:
            self._number += 1
            body += struct.pack(">H", self._number)
        self._write(_PUBLISH | qos << 1 | retain, body + self._properties(more) + payload)
        if not qos:
            self._write(_PINGREQ, b"")
        kind, answer = await self._answer()
        if kind not in {_PUBACK, _PINGRESP}:
            return None
        return answer[2] if len(answer) > 2 else 0

    async def is_there(self) -> bool:
        """Whether the broker still answers a ping."""
        self._write(_PINGREQ, b"")
        return (await self._answer())[0] == _PINGRESP

    async def is_thrown_out(self) -> None:
        """Wait until the broker closes the connection."""
        async with asyncio.timeout(WITHIN_S):
            await self.ended.wait()

    def has(self, payload: bytes) -> bool:
        """Whether a message with that payload came."""
        return any(each == payload for _, each in self.received)

    async def saw(self, payload: bytes) -> None:
        """Wait for a message with that payload."""
        await parts.eventually(
            lambda: self.has(payload), within=WITHIN_S, what=f"{payload[:40]!r} received"
        )

    def _properties(self, more: bytes = b"") -> bytes:
        return _length(len(more)) + more if self._version == MQTT_5 else b""

    def _write(self, head: int, body: bytes) -> None:
        if not self.ended.is_set():
            self._writer.write(bytes([head]) + _length(len(body)) + body)

    async def _answer(self) -> tuple[int, bytes]:
        """The next packet that is no message; (0, b"") where the connection ends instead."""
        async with asyncio.timeout(WITHIN_S):
            if self.ended.is_set() and self._answers.empty():
                return 0, b""
            return await self._answers.get()

    async def _listen(self) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await self._reader.readexactly(1))[0]
                size = shift = 0
                more = True
                while more:
                    byte = (await self._reader.readexactly(1))[0]
                    size |= (byte & 127) << shift
                    shift, more = shift + 7, byte > 127
                self._take(head, await self._reader.readexactly(size))
        self.ended.set()
        self._answers.put_nowait((0, b""))

    def _take(self, head: int, body: bytes) -> None:
        if head & 0xF0 != _PUBLISH:
            self._answers.put_nowait((head, body))
            return
        size = struct.unpack_from(">H", body)[0] + 2
        topic, rest = body[2:size].decode(), body[size:]
        if head & 6:
            self._write(_PUBACK, rest[:2])
            rest = rest[2:]
        if self._version == MQTT_5:
            rest = rest[1 + rest[0] :]  # what the broker sends us has few properties
        self.received.append((topic, rest))

    async def _close(self) -> None:
        self._listening.cancel()
        await asyncio.wait([self._listening])
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


async def is_let_in(client: Client) -> bool:
    """Whether the broker takes a connection and answers on it."""
    try:
        async with client:
            return await client.is_there()
    except RefusedError:
        return False


@asynccontextmanager
async def connected(*clients: Client) -> AsyncIterator[None]:
    """All of them, one after the other."""
    async with contextlib.AsyncExitStack() as stack:
        for client in clients:
            await stack.enter_async_context(client)
        yield


def _hello(
    version: int, identifier: str, username: str | None, will: Will | None, keepalive: int
) -> bytes:
    flags = 0x02 | (0x80 if username is not None else 0) | (0x2C if will else 0)
    empty = b"\0" if version == MQTT_5 else b""
    body = _text("MQTT") + bytes([version, flags]) + struct.pack(">H", keepalive) + empty
    body += _text(identifier)
    if will:
        body += empty + _text(will.topic) + struct.pack(">H", len(will.payload)) + will.payload
    return body + (b"" if username is None else _text(username))


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack(">H", len(raw)) + raw


def _length(size: int) -> bytes:
    """A length as MQTT writes it: seven bits a byte."""
    out = bytearray()
    while True:
        size, low = divmod(size, 128)
        out.append(low | (128 if size else 0))
        if not size:
            return bytes(out)
