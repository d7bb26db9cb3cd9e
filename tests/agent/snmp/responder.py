"""Hundreds of SNMPv2c agents in one process, each on a UDP port of its own: fast, and read-only.

snmpsim is one process that works on one request at a time; devices do not wait for each other. The
encoding (X.690, RFC 3416) is written here without the library under test.
"""

import asyncio
import contextlib
from bisect import bisect_right
from collections.abc import AsyncIterator, Mapping
from typing import Final, cast

GET: Final = 0xA0
GETNEXT: Final = 0xA1
RESPONSE: Final = 0xA2
GETBULK: Final = 0xA5

_NO_SUCH_OBJECT: Final = b"\x80\x00"
_END: Final = b"\x82\x00"

Oid = tuple[int, ...]


class Device(asyncio.DatagramProtocol):
    """One agent with its objects: whole numbers, texts, ``oid:…`` for an identifier."""

    def __init__(self, objects: Mapping[str, int | str]) -> None:
        self._values = {_oid(name): _encoded(value) for name, value in objects.items()}
        self._order = sorted(self._values)
        self._transport: asyncio.DatagramTransport | None = None
        self.refused = 0
        """Requests of another kind, which got no answer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where to answer."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one request."""
        assert self._transport is not None
        (_, version, community), (kind, pdu) = _head(data)
        if kind not in {GET, GETNEXT, GETBULK}:
            self.refused += 1
            return
        fields = _parts(pdu)
        names = [_names(_parts(each)[0][1]) for _, each in _parts(fields[3][1])]
        found: list[tuple[Oid, bytes]] = []
        if kind == GET:
            found = [(name, self._values.get(name, _NO_SUCH_OBJECT)) for name in names]
        else:
            times = int.from_bytes(fields[2][1], "big") if kind == GETBULK else 1
            for name in names:
                here = name
                for _ in range(times):
                    at = bisect_right(self._order, here)
                    if at == len(self._order):
                        found.append((here, _END))
                        break
                    here = self._order[at]
                    found.append((here, self._values[here]))
        bindings = b"".join(_tlv(0x30, _tlv(6, _packed(name)) + value) for name, value in found)
        body = _tlv(2, fields[0][1]) + b"\x02\x01\x00\x02\x01\x00" + _tlv(0x30, bindings)
        message = _tlv(2, version) + _tlv(4, community) + _tlv(RESPONSE, body)
        self._transport.sendto(_tlv(0x30, message), addr)


class Silent(asyncio.DatagramProtocol):
    """Takes every request and answers none."""


class Garbage(asyncio.DatagramProtocol):
    """Answers every request with what is no SNMP."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where to answer."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Send the request back, upside down."""
        self._transport.sendto(bytes(reversed(data)), addr)


@contextlib.asynccontextmanager
async def listening(device: asyncio.DatagramProtocol) -> AsyncIterator[int]:
    """The port of 127.0.0.1 at which a device answers meanwhile."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: device, local_addr=("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


def _head(data: bytes) -> tuple[tuple[int, bytes, bytes], tuple[int, bytes]]:
    """Version and community, and the kind of the request with what it holds."""
    ((tag, message),) = _parts(data)
    (_, version), (_, community), pdu = _parts(message)
    return (tag, version, community), pdu


def _parts(data: bytes) -> list[tuple[int, bytes]]:
    """Tags and contents that stand one after the other."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        found.append((tag, data[at : at + length]))
        at += length
    return found


def _tlv(tag: int, content: bytes) -> bytes:
    if len(content) < 0x80:
        return bytes((tag, len(content))) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _oid(text: str) -> Oid:
    return tuple(int(part) for part in text.split("."))


def _names(content: bytes) -> Oid:
    parts, value = [content[0] // 40, content[0] % 40], 0
    for octet in content[1:]:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            parts.append(value)
            value = 0
    return tuple(parts)


def _packed(oid: Oid) -> bytes:
    found = bytearray((oid[0] * 40 + oid[1],))
    for part in oid[2:]:
        septets = [part & 0x7F]
        while part := part >> 7:
            septets.append(0x80 | part & 0x7F)
        found += bytes(reversed(septets))
    return bytes(found)


def _encoded(value: int | str) -> bytes:
    if isinstance(value, int):
        return _tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
    if value.startswith("oid:"):
        return _tlv(6, _packed(_oid(value[4:])))
    return _tlv(4, value.encode())
