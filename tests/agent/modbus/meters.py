"""Meters of pymodbus' own server, filled from a profile, and servers that misbehave."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jauge_agent.sources.modbus.profile import Point, Profile, Serial
from jauge_agent.sources.modbus.registers import Form

from tests.parts import free_port

if TYPE_CHECKING:
    from pymodbus.simulator import SimData, SimDevice

_CODE = {
    Form.INT16: ">h",
    Form.UINT16: ">H",
    Form.INT32: ">i",
    Form.UINT32: ">I",
    Form.INT64: ">q",
    Form.UINT64: ">Q",
    Form.FLOAT32: ">f",
    Form.FLOAT64: ">d",
}

Registers = dict[tuple[int, int], int]
"""Contents by function and address."""


def words_of(
    value: float, form: Form, *, word_order: str = "big", byte_order: str = "big"
) -> list[int]:
    """Registers that hold a number, written without the code under test."""
    number = value if form.value.startswith("float") else round(value)
    raw = struct.pack(_CODE[form], number)
    words = [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]
    if byte_order == "little":
        words = [(word & 0xFF) << 8 | word >> 8 for word in words]
    return words[::-1] if word_order == "little" else words


def text_words(text: str, count: int) -> list[int]:
    """Registers that hold a text, two characters each."""
    raw = text.encode("ascii").ljust(2 * count, b"\0")
    return [int.from_bytes(raw[at : at + 2], "big") for at in range(0, 2 * count, 2)]


def put(registers: Registers, function: int, address: int, words: Iterable[int]) -> None:
    """Write contents."""
    for at, word in enumerate(words, start=address):
        registers[function, at] = word


def put_point(registers: Registers, profile: Profile, point: Point, count: float) -> None:
    """Let a register hold so many counts."""
    words = words_of(
        count, point.form, word_order=profile.word_order, byte_order=profile.byte_order
    )
    put(registers, point.function or profile.function, point.address, words)


def put_serial(registers: Registers, profile: Profile, serial: Serial, value: int | str) -> None:
    """Let the meter tell a serial number."""
    if serial.form is not None:
        words = words_of(int(value), serial.form, word_order=profile.word_order)
    elif serial.hexadecimal:
        words = [int(str(value)[at : at + 4], 16) for at in range(0, 4 * serial.words, 4)]
    else:
        words = text_words(str(value), serial.words)
    put(registers, serial.function or profile.function, serial.address, words)


def device(unit: int, registers: Registers, **more: Any) -> "SimDevice":
    """A device of pymodbus' server; what is not in ``registers`` is an illegal address."""
    from pymodbus.simulator import DataType, SimData, SimDevice

    def of(function: int) -> "list[SimData]":
        held = {address: word for (each, address), word in registers.items() if each == function}
        data = [
            SimData(address, values=word, datatype=DataType.REGISTERS)
            for address, word in sorted(held.items())
        ]
        return data or [SimData(65535, values=0, datatype=DataType.REGISTERS)]

    def bits_of(function: int) -> "list[SimData]":
        held = {
            address: bool(bit) for (each, address), bit in registers.items() if each == function
        }
        values = [held.get(address, True) for address in range(max(held, default=15) + 1)]
        return [SimData(0, values=values, datatype=DataType.BITS)]

    simdata = (bits_of(1), bits_of(2), of(3), of(4))
    return SimDevice(unit, simdata=simdata, **more)


@dataclass
class Served:
    """A server at work, and the function code of each request that reached it."""

    port: int
    functions: list[int] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0


@contextlib.asynccontextmanager
async def serving(*devices: "SimDevice") -> AsyncIterator[Served]:
    """The own TCP server of pymodbus, with these units."""
    from pymodbus.server import ModbusTcpServer

    served = Served(free_port())

    def packet(sending: bool, data: bytes) -> bytes:
        if not sending:
            served.functions.append(data[7])
            served.requests.append(data)
        return data

    def connected(is_connected: bool) -> None:
        served.connections += is_connected

    server = ModbusTcpServer(
        list(devices),
        address=("127.0.0.1", served.port),
        trace_packet=packet,
        trace_connect=connected,
    )
    await server.serve_forever(background=True)
    try:
        yield served
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]


Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[Served]:
    """A server that gives each request to ``answer``, which may write what it likes."""
    served = Served(free_port())
    writers: list[asyncio.StreamWriter] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.connections += 1
        writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(6)
                request = head + await reader.readexactly(int.from_bytes(head[4:6], "big"))
                served.functions.append(request[7])
                served.requests.append(request)
                await answer(request, writer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", served.port)
    try:
        yield served
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await server.wait_closed()


def reply(
    request: bytes, pdu: bytes, *, unit: int | None = None, tid: bytes | None = None
) -> bytes:
    """The packet of an answer."""
    body = bytes([request[6] if unit is None else unit]) + pdu
    return (tid or request[:2]) + b"\0\0" + len(body).to_bytes(2, "big") + body


def holding(request: bytes, words: Sequence[int] | Mapping[int, int]) -> bytes:
    """The proper answer to a request, with these words from its first address on."""
    count = int.from_bytes(request[10:12], "big")
    first = int.from_bytes(request[8:10], "big")
    if isinstance(words, Mapping):
        found = [words.get(first + at, 0) for at in range(count)]
    else:
        found = list(words)
    raw = b"".join(word.to_bytes(2, "big") for word in found)
    return reply(request, bytes([request[7], len(raw)]) + raw)
