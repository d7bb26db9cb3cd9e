"""One address that speaks Modbus TCP: one socket, one request at a time, and only readings.

What leaves is checked where it leaves: a packet with any other function than the four that read
is not sent, whoever built it.
"""

import asyncio
import logging
from typing import Any, Final

from jauge_agent.source import FatalError, RetryError
from jauge_agent.sources.modbus.blocks import BIT_FUNCTIONS, Function

READING: Final = frozenset({1, 2, 3, 4})
"""Functions of Modbus that only read."""

SILENT_UNITS: Final = 3
"""Units in a row that do not answer, after which the gateway itself is taken for dead."""
SILENT_S: Final = 10.0
"""How long a dead gateway is left alone; its units fail at once meanwhile."""

_HEAD: Final = 7
"""Bytes before the function: transaction, protocol, length, unit."""
_LONGEST: Final = 260
_NOT_THERE: Final = {
    1: "illegal function",
    2: "illegal address",
    3: "illegal number of registers",
}
_LATER: Final = {
    4: "device failure",
    5: "accepted, and still at work",
    6: "busy",
    8: "memory parity error",
    10: "the gateway has no path to this unit",
    11: "no unit answers behind the gateway",
}


class MissingError(Exception):
    """The device says that it does not have these registers."""


class BusyError(RetryError):
    """The device, or the gateway for it, says that it cannot answer now."""


class SilentError(RetryError):
    """No answer came in time."""


class WriteAttemptedError(Exception):
    """A packet that would not only read was about to leave: a bug, and it did not leave."""


class Gateway:
    """The socket of one address, for all units behind it. Opened with the first request."""

    def __init__(self, host: str, port: int, *, answer_s: float) -> None:
        """``answer_s``: how long to wait for a connection, and for each answer."""
        self.name = f"{host}:{port}"
        self._host = host
        self._port = port
        self._answer_s = answer_s
        self._turn = asyncio.Lock()
        self._client: Any = None
        self._broken: asyncio.Future[str] | None = None
        self._asked = b""
        self._silent: set[int] = set()
        self._dead_until = float("-inf")

    async def read(self, unit: int, function: Function, address: int, count: int) -> list[int]:
        """Registers of a unit, or bits as 0 and 1 where the function is of these.

        Raises MissingError, BusyError, SilentError, or RetryError.
        """
        self._refuse_if_dead()
        async with self._turn:
            self._refuse_if_dead()
            try:
                registers = await self._ask(unit, function, address, count)
            except SilentError:
                self._silent.add(unit)
                if len(self._silent) >= SILENT_UNITS:
                    self._leave_alone()
                    self._drop()
                raise
            except (MissingError, BusyError):
                self._silent.clear()
                raise
            self._silent.clear()
            return registers

    def close(self) -> None:
        """Give the socket back; a later request opens another."""
        self._drop()

    async def _ask(self, unit: int, function: Function, address: int, count: int) -> list[int]:
        client = await self._connected()
        broken = self._broken = asyncio.get_running_loop().create_future()
        read = {
            1: client.read_coils,
            2: client.read_discrete_inputs,
            3: client.read_holding_registers,
            4: client.read_input_registers,
        }[function]
        answer = asyncio.ensure_future(read(address, count=count, device_id=unit))
        try:
            await asyncio.wait(
                (answer, broken),
                timeout=self._answer_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            answer.cancel()
            await asyncio.wait((answer,))
            self._broken = None
        if broken.done():
            self._drop()
            raise RetryError(f"{self.name}: {broken.result()}")
        if answer.cancelled():
            raise SilentError(f"unit {unit} did not answer within {self._answer_s:g} s")
        if (error := answer.exception()) is not None:
            self._drop()
            raise RetryError(f"{self.name}: {error}") from error
        return self._registers(answer.result(), unit, function, count)

    async def _connected(self) -> Any:
        if self._client is not None and self._client.connected:
            return self._client
        self._drop()
        client = _new_client(self._host, self._port, self._answer_s, self._seen, self._ended)
        try:
            connected = await client.connect()
        except BaseException:
            client.close()
            raise
        if not connected:
            client.close()
            self._leave_alone()
            raise RetryError(f"{self.name} does not take the connection")
        self._client = client
        return client

    def _registers(self, answer: Any, unit: int, function: Function, count: int) -> list[int]:
        if answer.isError():
            code = int(getattr(answer, "exception_code", 0))
            if code in _NOT_THERE:
                raise MissingError(_NOT_THERE[code])
            raise BusyError(f"unit {unit}: {_LATER.get(code, f'exception {code}')}")
        if function in BIT_FUNCTIONS:
            return [int(bit) for bit in answer.bits[:count]]  # whole bytes, filled up
        registers: list[int] = list(answer.registers)
        if len(registers) != count:
            raise RetryError(f"unit {unit}: {len(registers)} registers instead of {count}")
        return registers

    def _seen(self, sending: bool, packet: bytes) -> bytes:
        """Every packet, on its way out or in; what is not to be used is kept from the library."""
        if sending:
            if len(packet) <= _HEAD or packet[_HEAD] not in READING:
                raise WriteAttemptedError(f"function {packet[_HEAD:][:1].hex()}")
            self._asked = packet
            return packet
        while _is_whole(packet) and packet[:2] != self._asked[:2]:
            packet = packet[_size(packet) :]  # late: an answer to what is not waited for any more
        if _is_nonsense(packet, self._asked):
            self._break("what answers does not speak Modbus as asked")
            return b""
        return packet

    def _ended(self, connected: bool) -> None:
        if not connected:
            self._break("the connection was closed")

    def _break(self, why: str) -> None:
        if self._broken is not None and not self._broken.done():
            self._broken.set_result(why)

    def _refuse_if_dead(self) -> None:
        if asyncio.get_running_loop().time() < self._dead_until:
            raise RetryError(f"{self.name}: no unit answers")

    def _leave_alone(self) -> None:
        self._dead_until = asyncio.get_running_loop().time() + SILENT_S

    def _drop(self) -> None:
        client, self._client = self._client, None
        self._silent.clear()
        if client is not None:
            client.close()


def library() -> Any:
    """The client class of pymodbus; raises FatalError where that is not installed."""
    try:
        from pymodbus.client import AsyncModbusTcpClient  # noqa: PLC0415 - an extra
    except ImportError:
        raise FatalError(
            "pymodbus is not installed: install jauge-agent with its extra modbus"
        ) from None
    return AsyncModbusTcpClient


def _new_client(host: str, port: int, answer_s: float, seen: Any, ended: Any) -> Any:
    """A client that neither repeats a request nor connects by itself. Raises FatalError."""
    # It reports each failure itself, over and over; we say it once.
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL + 1)
    return library()(
        host,
        port=port,
        timeout=2 * answer_s,
        retries=0,
        reconnect_delay=0,
        trace_packet=seen,
        trace_connect=ended,
    )


def _size(packet: bytes) -> int:
    """Bytes of the first packet, as it says itself."""
    return 6 + int.from_bytes(packet[4:6], "big")


def _is_whole(packet: bytes) -> bool:
    return len(packet) >= _size(packet) > _HEAD


def _is_nonsense(packet: bytes, asked: bytes) -> bool:
    """Whether what came so far cannot become the answer to what was asked."""
    if any(packet[2:4]) or (len(packet) >= 6 and not _HEAD + 1 < _size(packet) <= _LONGEST):
        return True
    if packet[:2] != asked[:2] or len(packet) <= _HEAD:
        return False
    if packet[6] != asked[6]:
        return True
    function, wanted = packet[_HEAD], asked[_HEAD]
    if function == wanted | 0x80:
        return _size(packet) != _HEAD + 2
    count = int.from_bytes(asked[10:12], "big")
    payload = (count + 7) // 8 if wanted in BIT_FUNCTIONS else 2 * count
    if function != wanted or _size(packet) != _HEAD + 2 + payload:
        return True
    return len(packet) > _HEAD + 1 and packet[_HEAD + 1] != payload
