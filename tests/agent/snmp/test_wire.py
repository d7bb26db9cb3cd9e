"""What leaves, byte by byte, and what comes back from an agent that means no good."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast

import pytest
from jauge_agent.soundness import flaw_in
from jauge_agent.source import SourceError
from jauge_agent.sources.snmp.device import ListedDevice
from jauge_agent.sources.snmp.settings import SnmpDeviceSettings

from tests.agent.snmp.agents import Snmpd
from tests.agent.snmp.test_snmpd import OBJECTS
from tests.parts import PartMissingError

READING = {0xA0: "GetRequest", 0xA1: "GetNextRequest", 0xA5: "GetBulkRequest"}


class Relay(asyncio.DatagramProtocol):
    """Stands between a client and an agent, notes what the client sends, may change answers."""

    def __init__(self, agent_port: int, change: Callable[[bytes], list[bytes]]) -> None:
        """``change`` gets an answer and says what is passed on instead."""
        self._agent = ("127.0.0.1", agent_port)
        self._change = change
        self._client: tuple[str, int] | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self.sent: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Pass on, in either direction."""
        assert self._transport is not None
        if addr == self._agent:
            for answer in self._change(data):
                self._transport.sendto(answer, self._client)
        else:
            self._client = addr
            self.sent.append(data)
            self._transport.sendto(data, self._agent)


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Snmpd]:
    """net-snmp's agent with a PDU."""
    pytest.importorskip("gufo.snmp", reason="gufo-snmp is not installed (jauge-agent[snmp])")
    try:
        part = Snmpd(tmp_path / "snmpd", OBJECTS)
    except PartMissingError as missing:
        pytest.skip(str(missing))
    async with part:
        yield part


@contextlib.asynccontextmanager
async def relayed(
    agent: Snmpd, change: Callable[[bytes], list[bytes]] = lambda answer: [answer]
) -> AsyncIterator[tuple[Relay, int]]:
    """A relay before the agent, and the port where it listens."""
    loop = asyncio.get_running_loop()
    transport, relay = await loop.create_datagram_endpoint(
        lambda: Relay(agent.port, change), local_addr=("127.0.0.1", 0)
    )
    try:
        yield relay, transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


def listed(port: int, tmp_path: Path, timeout_s: float = 3) -> ListedDevice:
    """The device behind a port."""
    (tmp_path / "community").write_text("public")
    of = SnmpDeviceSettings(host="127.0.0.1", port=port, community_file=str(tmp_path / "community"))
    return ListedDevice(of, timeout_s=timeout_s, batch=20)


def kind_of(message: bytes) -> int:
    """The tag of the PDU in an SNMPv2c message: after version and community."""
    at = 2 if message[1] < 0x80 else 2 + (message[1] & 0x7F)
    at += 2 + message[at + 1]
    return message[at + 2 + message[at + 1]]


async def test_nothing_but_reading_leaves(agent: Snmpd, tmp_path: Path) -> None:
    """Opened, read and closed: each datagram is a GET or goes on along a table."""
    async with relayed(agent) as (relay, port):
        device = listed(port, tmp_path)
        await device.open()
        outcome = await device.read()
        await device.close()
    assert outcome.samples
    kinds = {kind_of(message) for message in relay.sent}
    assert kinds <= READING.keys()
    assert 0xA0 in kinds


async def test_a_lost_packet_is_asked_for_again(agent: Snmpd, tmp_path: Path) -> None:
    """Of the answers to a reading each second one is lost, and no value is missing."""
    lossy = False
    count = 0

    def lose(answer: bytes) -> list[bytes]:
        nonlocal count
        count += 1
        return [] if lossy and count % 2 else [answer]

    async with relayed(agent, lose) as (relay, port):
        device = listed(port, tmp_path, timeout_s=0.3)
        await device.open()
        whole = await device.read()
        lossy, asked = True, len(relay.sent)
        lossy_read = await device.read()
        await device.close()
    assert len(relay.sent) - asked > 1
    assert lossy_read.samples == whole.samples


@pytest.mark.parametrize("seed", range(25))
async def test_garbage_is_a_failure_and_never_a_crash(
    agent: Snmpd, tmp_path: Path, seed: int
) -> None:
    """Answers with bytes changed, cut, doubled: values as they were, or a named failure."""
    chance = random.Random(seed)

    def spoil(answer: bytes) -> list[bytes]:
        spoilt = bytearray(answer)
        for _ in range(chance.choice([0, 1, 3, 20])):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        cut = chance.choice([len(spoilt), len(spoilt), chance.randrange(len(spoilt))])
        return [bytes(spoilt[:cut])] * chance.choice([1, 1, 2])

    async with relayed(agent, spoil) as (_, port):
        device = listed(port, tmp_path, timeout_s=0.05)
        outcome = None
        with contextlib.suppress(SourceError):
            await device.open()
            outcome = await device.read()
        await device.close()
    given = [] if outcome is None else outcome.samples
    assert [sample for sample in given if flaw_in(sample)] == []
