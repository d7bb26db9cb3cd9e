"""What a good certificate may do: speak under its own name and hear its own answers, no more."""

import asyncio
import re
import signal
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.parts import eventually
from tests.security.client import (
    MQTT_5,
    NOT_AUTHORISED,
    Client,
    RefusedError,
    Will,
    connected,
    is_let_in,
)
from tests.security.conftest import ALICE, BOB, COLLECTOR
from tests.security.ground import WITHIN_S, Authority, Identity, Loosening, ShippedBroker

pytestmark = pytest.mark.usefixtures("real_mosquitto")

FORGED = b"forged"
ALIAS = b"\x23"
"""MQTT 5: the property Topic Alias."""
USER_PROPERTY = b"\x26"


@dataclass
class Scene:
    """A broker, the collector and Bob, who are honest, and Alice's certificate, which is not."""

    broker: ShippedBroker
    identities: dict[str, Identity]
    collector: Client
    bob: Client

    def alice(self, **options: object) -> Client:
        """A connection of the attacker's."""
        return Client(self.broker.port, self.identities[ALICE], **options)  # type: ignore[arg-type]

    async def all_is_delivered(self, number: int = 1) -> None:
        """Bob's batch reaches the collector and its answer reaches Bob: so has what came before."""
        batch, answer = f"batch {number}".encode(), f"answer {number}".encode()
        assert await self.bob.publish(f"jauge/v1/{BOB}/readings", batch) == 0
        await self.collector.saw(batch)
        assert await self.collector.publish(f"jauge/v1/{BOB}/ack", answer, qos=0) == 0
        await self.bob.saw(answer)


Attack = Callable[[Scene], Awaitable[bool]]
"""Tries it, and says whether it worked."""


def publishing(topic: str, *, qos: int = 1, version: int = 4, payload: bytes = FORGED) -> Attack:
    """A message, retained, on a topic that is not Alice's own."""

    async def attack(scene: Scene) -> bool:
        async with scene.alice(version=version) as alice:
            code = await alice.publish(topic, payload, qos=qos, retain=True)
            if version == MQTT_5:
                assert code in {0, NOT_AUTHORISED}
            await scene.all_is_delivered()
        return scene.collector.has(payload) or scene.bob.has(payload)

    return attack


def listening(topic: str) -> Attack:
    """A subscription to what is none of Alice's business."""

    async def attack(scene: Scene) -> bool:
        async with scene.alice() as alice:
            await alice.subscribe(topic)
            await scene.all_is_delivered()
            assert await alice.is_there()
            return bool(alice.received)

    return attack


async def speaking_as_the_collector(scene: Scene) -> bool:
    """The collector's user name, as a client may give one."""
    with suppress(RefusedError):
        async with scene.alice(username=COLLECTOR) as alice:
            await alice.publish(f"jauge/v1/{BOB}/ack", FORGED, qos=0)
            await scene.all_is_delivered()
    return scene.bob.has(FORGED)


async def taking_over_a_session(scene: Scene) -> bool:
    """The client identifier of the collector's connection, which MQTT gives to the last comer."""
    async with scene.alice(identifier=COLLECTOR):
        return not await scene.collector.is_there()


async def leaving_a_will(scene: Scene) -> bool:
    """A last word under another's name, said by the broker itself."""
    try:
        will = Will(f"jauge/v1/{BOB}/state", FORGED)
        async with scene.alice(will=will):
            pass  # closed without a farewell
    except RefusedError:
        return False
    with suppress(AssertionError):
        await eventually(lambda: scene.collector.has(FORGED), within=5, what="the will")
    return scene.collector.has(FORGED)


async def renaming_an_alias(scene: Scene) -> bool:
    """MQTT 5: a topic alias given to an own topic, then to another's, then used alone."""
    alias = ALIAS + struct.pack(">H", 1)
    async with scene.alice(version=MQTT_5) as alice:
        await alice.publish(f"jauge/v1/{ALICE}/readings", b"own", more=alias)
        await alice.publish(f"jauge/v1/{BOB}/readings", FORGED, more=alias)
        await alice.publish("", FORGED, more=alias)
        await scene.all_is_delivered()
    return scene.collector.has(FORGED)


async def sending_too_much(scene: Scene) -> bool:
    """A message of a megabyte on an own topic."""
    payload = bytes(1 << 20)
    async with scene.alice() as alice:
        await alice.publish(f"jauge/v1/{ALICE}/readings", payload)
        await scene.all_is_delivered()
    return scene.collector.has(payload)


async def hiding_much_in_properties(scene: Scene) -> bool:
    """MQTT 5: user properties of half a megabyte on a message that is small."""
    pair = USER_PROPERTY + struct.pack(">H", 1) + b"k"
    more = (pair + struct.pack(">H", 60_000) + b"v" * 60_000) * 9
    async with scene.alice(version=MQTT_5) as alice:
        await alice.publish(f"jauge/v1/{ALICE}/readings", FORGED, more=more)
        await scene.all_is_delivered()
    return scene.collector.has(FORGED)


async def keeping_many_connections(scene: Scene) -> bool:
    """Connection after connection with one certificate, each of them held."""
    many = [scene.alice(identifier=f"client {number}") for number in range(200)]
    async with connected(*many):
        await scene.all_is_delivered()
        alive = sum(not client.ended.is_set() for client in many)
        return alive > 1


def no_rights(text: str) -> str:
    """Without an access list."""
    return re.sub(r"(?m)^acl_file .*\n", "", text)


def for_anybody(text: str) -> str:
    """Patterns that leave the name open, as a + in place of %u would."""
    return text.replace("%u", "+/+")


def acks_writable(text: str) -> str:
    """An answer that every agent may give."""
    return for_anybody(text).replace("pattern read", "pattern readwrite")


def lacking(*keys: str) -> Loosening:
    """The configuration without these lines."""
    return lambda text: re.sub(rf"(?m)^({'|'.join(keys)}) .*\n", "", text)


def believing_names(text: str) -> str:
    """User names as clients give them."""
    keys = ("use_identity_as_username", "use_username_as_clientid", "allow_anonymous")
    return lacking(*keys)(text) + "allow_anonymous true\n"


def as_it_is(text: str) -> str:
    """Nothing is taken out."""
    return text


ATTACKS: dict[str, tuple[Attack, Loosening | None, Loosening]] = {
    # name: (the attack, what is taken out of mosquitto.conf, or of access.acl); None where MQTT
    # itself forbids it
    "another's readings": (publishing(f"jauge/v1/{BOB}/readings"), as_it_is, for_anybody),
    "at QoS 0": (publishing(f"jauge/v1/{BOB}/readings", qos=0), as_it_is, for_anybody),
    "by MQTT 5": (publishing(f"jauge/v1/{BOB}/readings", version=5), as_it_is, for_anybody),
    "another's birth": (publishing(f"jauge/v1/{BOB}/birth"), as_it_is, for_anybody),
    "another's state": (publishing(f"jauge/v1/{BOB}/state"), as_it_is, for_anybody),
    "another's birth deleted": (
        publishing(f"jauge/v1/{BOB}/birth", payload=b""),
        as_it_is,
        for_anybody,
    ),
    "another site": (publishing("jauge/v1/lyon/alice/readings"), as_it_is, for_anybody),
    "a name above": (publishing("jauge/v1/par/readings"), None, as_it_is),
    "a name below": (publishing(f"jauge/v1/{ALICE}/x/readings"), None, as_it_is),
    "a wildcard for a name": (publishing("jauge/v1/par/+/readings"), None, as_it_is),
    "a path upwards": (publishing(f"jauge/v1/{ALICE}/../bob/readings"), None, as_it_is),
    "another's answers": (publishing(f"jauge/v1/{BOB}/ack"), as_it_is, acks_writable),
    "the collector's heartbeat": (publishing("jauge/heartbeat/collector"), no_rights, as_it_is),
    "the broker's log": (publishing("$SYS/broker/log/N"), None, as_it_is),
    "reading everything": (listening("#"), no_rights, as_it_is),
    "reading others' readings": (listening("jauge/v1/+/+/readings"), no_rights, as_it_is),
    "reading others' answers": (listening(f"jauge/v1/{BOB}/ack"), as_it_is, for_anybody),
    "sharing a subscription": (listening("$share/x/jauge/v1/+/+/readings"), no_rights, as_it_is),
    "reading the broker's state": (listening("$SYS/broker/version"), no_rights, as_it_is),
    "the collector's name": (
        speaking_as_the_collector,
        believing_names,
        as_it_is,
    ),
    "another's session": (taking_over_a_session, lacking("use_username_as_clientid"), as_it_is),
    "a will for another": (leaving_a_will, no_rights, as_it_is),
    "an alias that moves": (renaming_an_alias, as_it_is, for_anybody),
    "a huge message": (sending_too_much, lacking("max_packet_size"), as_it_is),
    "huge properties": (hiding_much_in_properties, lacking("max_packet_size"), as_it_is),
    "many connections": (keeping_many_connections, lacking("use_username_as_clientid"), as_it_is),
}


async def succeeds(attack: Attack, broker: ShippedBroker, identities: dict[str, Identity]) -> bool:
    """Try an attack while the collector and Bob go on with their work."""
    collector, bob = (
        Client(broker.port, identities[name], identifier=name, username=name)
        for name in (COLLECTOR, BOB)
    )
    async with broker, connected(collector, bob):
        await collector.subscribe(*(f"jauge/v1/+/+/{c}" for c in ("readings", "birth", "state")))
        await collector.subscribe("jauge/heartbeat/#")
        await bob.subscribe(f"jauge/v1/{BOB}/ack")
        return await attack(Scene(broker, identities, collector, bob))


@pytest.mark.parametrize("name", ATTACKS)
async def test_an_agent_reaches_nothing_of_others(
    tmp_path: Path, authority: Authority, identities: dict[str, Identity], name: str
) -> None:
    """As shipped the attack fails, and those who are honest do not notice it."""
    broker = ShippedBroker(tmp_path / "broker", authority)
    assert not await succeeds(ATTACKS[name][0], broker, identities)


@pytest.mark.parametrize("name", [name for name, (_, loosened, _) in ATTACKS.items() if loosened])
async def test_it_is_the_configuration_that_stops_it(
    tmp_path: Path, authority: Authority, identities: dict[str, Identity], name: str
) -> None:
    """Without the lines that protect, the same attack succeeds: the test above can fail."""
    attack, settings, rights = ATTACKS[name]
    assert settings
    broker = ShippedBroker(tmp_path / "broker", authority, settings=settings, rights=rights)
    assert await succeeds(attack, broker, identities), broker.log.read_text()


@pytest.mark.parametrize("qos", [0, 1])
async def test_who_writes_elsewhere_is_thrown_out_and_named(
    broker: ShippedBroker, identities: dict[str, Identity], qos: int
) -> None:
    """A denied message ends the connection, and the log that the collector reads has its name."""
    collector = Client(broker.port, identities[COLLECTOR])
    async with collector, Client(broker.port, identities[ALICE], identifier="innocent") as alice:
        await collector.subscribe("$SYS/broker/log/#")
        await alice.publish(f"jauge/v1/{BOB}/readings", FORGED, qos=qos)
        await alice.is_thrown_out()
        await eventually(
            lambda: any(
                text.endswith(f"Bad socket read/write on client {ALICE}: Quota exceeded".encode())
                for _, text in collector.received
            ),
            within=WITHIN_S,
            what="named in $SYS/broker/log/N",
        )
        assert {topic for topic, _ in collector.received} == {"$SYS/broker/log/N"}


@pytest.mark.parametrize("name", ["par/+", "+/+", "#", "par/#"])
async def test_a_name_with_a_wildcard_may_do_nothing(
    broker: ShippedBroker, authority: Authority, identities: dict[str, Identity], name: str
) -> None:
    """Were such a certificate ever issued, the broker would let it neither write nor read."""
    wild = authority.sign(name) if name not in SIGNED else SIGNED[name]
    SIGNED[name] = wild
    collector = Client(broker.port, identities[COLLECTOR])
    bob = Client(broker.port, identities[BOB])
    async with collector, bob:
        await collector.subscribe("jauge/v1/+/+/readings")
        await bob.subscribe(f"jauge/v1/{BOB}/ack")
        async with Client(broker.port, wild) as listener:
            await listener.subscribe("#", f"jauge/v1/{BOB}/ack", "jauge/v1/+/+/readings")
            await Scene(broker, identities, collector, bob).all_is_delivered()
            assert await listener.is_there()
            await listener.publish(f"jauge/v1/{BOB}/readings", FORGED)
            await listener.is_thrown_out()
            await Scene(broker, identities, collector, bob).all_is_delivered(2)
        assert not listener.received
        assert not collector.has(FORGED)


SIGNED: dict[str, Identity] = {}


async def test_a_quick_reconnect_is_taken_at_once(
    broker: ShippedBroker, identities: dict[str, Identity]
) -> None:
    """An agent whose connection hangs half-open gets in again; the broker ends the old one."""
    async with Client(broker.port, identities[ALICE]) as hanging:
        async with asyncio.timeout(WITHIN_S):
            async with Client(broker.port, identities[ALICE]) as again:
                await again.subscribe(f"jauge/v1/{ALICE}/ack")
                await hanging.is_thrown_out()
                assert await again.publish(f"jauge/v1/{ALICE}/readings", b"mine") == 0
                assert await again.is_there()


async def test_two_collectors_with_names_of_their_own_read_the_same(
    broker: ShippedBroker, authority: Authority, identities: dict[str, Identity]
) -> None:
    """A second collector is no takeover of the first, and may do the same."""
    first = Client(broker.port, identities[COLLECTOR])
    second = Client(broker.port, authority.collector("collector-2"))
    bob = Client(broker.port, identities[BOB])
    async with connected(first, second, bob):
        await bob.subscribe(f"jauge/v1/{BOB}/ack")
        for each in (first, second):
            await each.subscribe("jauge/v1/+/+/readings", "jauge/heartbeat/#")
        await Scene(broker, identities, first, bob).all_is_delivered(1)
        await Scene(broker, identities, second, bob).all_is_delivered(2)
        await first.publish("jauge/heartbeat/collector", b"beat")
        await second.saw(b"beat")


async def test_the_broker_outlives_a_log_reader_that_dies(
    broker: ShippedBroker, identities: dict[str, Identity]
) -> None:
    """A collector killed while refusals pour in does not take the broker with it."""
    for _ in range(20):
        await _read_the_log_and_die(broker, identities[COLLECTOR])
    assert await is_let_in(Client(broker.port, identities[BOB]))


async def test_it_is_the_access_list_that_saves_it(
    tmp_path: Path, authority: Authority, identities: dict[str, Identity]
) -> None:
    """Were errors readable too, Mosquitto 2.0 would die with its reader; a later one may not."""
    broker = ShippedBroker(
        tmp_path / "broker", authority, rights=lambda text: text.replace("log/N", "log/#")
    )
    async with broker:
        process = broker._process
        assert process is not None
        async with asyncio.timeout(WITHIN_S):
            while process.returncode is None:
                await _read_the_log_and_die(broker, identities[COLLECTOR])
        assert process.returncode == -signal.SIGSEGV


async def _read_the_log_and_die(broker: ShippedBroker, identity: Identity) -> None:
    """In the middle of a storm of refused handshakes, without a farewell."""

    async def refused() -> None:
        for _ in range(5):
            with suppress(RefusedError):
                async with Client(broker.port, None):
                    pass

    try:
        async with asyncio.TaskGroup() as storm, Client(broker.port, identity) as reader:
            await reader.subscribe("$SYS/broker/log/#")
            for _ in range(10):
                storm.create_task(refused())
            await eventually(
                lambda: bool(reader.received) or reader.ended.is_set(),
                within=WITHIN_S,
                what="a notice",
            )
    except* RefusedError:
        pass  # the broker is dead already
