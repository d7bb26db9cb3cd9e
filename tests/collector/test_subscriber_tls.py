"""The subscriber and brokers that ask for proof, or say nothing at all."""

import asyncio
import contextlib
import gc
import logging
import os
import shutil
import signal
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import msgspec
import pytest
from jauge_collector import config
from jauge_collector.inbox import Inbox
from jauge_collector.inventory import Inventory
from jauge_collector.refusal import Drops
from jauge_collector.subscriber import Subscriber
from jauge_collector.telemetry import Telemetry

from tests.agent.certificates import Authority, make_password_file
from tests.collector.running import configured
from tests.parts import Mosquitto, eventually, free_port

SECRET = "a-secret-nobody-may-see"


class Listening:
    """A subscriber by itself, with what it received and counted."""

    def __init__(self, folder: Path, port: int, mqtt: str) -> None:
        self.telemetry = Telemetry(Inventory())
        self.inbox = Inbox(lambda _: None)
        self.subscriber = Subscriber(
            config.load(configured(folder, mqtt_port=port, mqtt=mqtt)), self.inbox, self.telemetry
        )

    def failures(self, reason: str) -> float:
        """Failed connections by reason."""
        value = self.telemetry.registry.get_sample_value(
            "jauge_collector_mqtt_failures_total", {"reason": reason}
        )
        return value or 0.0


@contextlib.asynccontextmanager
async def listening(folder: Path, port: int, mqtt: str = "tls = false") -> AsyncIterator[Listening]:
    """A subscriber at work meanwhile, which must end when asked to."""
    one = Listening(folder, port, mqtt)
    task = asyncio.create_task(one.subscriber.run())
    try:
        yield one
    finally:
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=15)
        assert done, "the subscriber does not end"


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    """Mosquitto that wants client certificates of the authority in the folder ``pki``."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (Debian package openssl)")
    folder = tmp_path / "pki"
    folder.mkdir()
    authority = Authority(folder)
    server = authority.issue("server")
    authority.issue("collector")
    authority.issue("collector", file="old", expired=True)
    Authority(folder, "another")
    for path in folder.iterdir():
        path.chmod(0o644)
    settings = {
        "allow_anonymous": "false",
        "cafile": str(authority.certificate),
        "certfile": str(server.certificate),
        "keyfile": str(server.key),
        "require_certificate": "true",
        "use_identity_as_username": "true",
    }
    async with Mosquitto(tmp_path / "mosquitto", settings=settings) as running:
        yield running


def asked(pki: Path, *, authority: str = "authority", client: str | None = "collector") -> str:
    """The section ``mqtt`` with these certificates."""
    lines = ["tls = true", f'ca_file = "{pki / authority}.pem"']
    if client is not None:
        lines += [f'cert_file = "{pki / client}.pem"', f'key_file = "{pki / client}.key"']
    return "\n".join(lines)


async def test_a_client_certificate_opens_the_broker(broker: Mosquitto, tmp_path: Path) -> None:
    """With the right certificates the subscriber receives what is published over TLS."""
    pki = tmp_path / "pki"
    async with listening(tmp_path, broker.port, asked(pki)) as one:
        async with asyncio.timeout(10):
            await one.subscriber.connected.wait()
        context = ssl.create_default_context(cafile=str(pki / "authority.pem"))
        context.load_cert_chain(pki / "collector.pem", pki / "collector.key")
        async with aiomqtt.Client("127.0.0.1", broker.port, tls_context=context) as client:
            await client.publish("jauge/v1/s/a/state", b"hello", qos=1)
        async with asyncio.timeout(10):
            (message,) = await one.inbox.take(1)
    assert (message.topic, message.payload) == ("jauge/v1/s/a/state", b"hello")
    assert "u'collector'" in broker.log.read_text()


async def test_answers_arrive_whole_and_in_order(broker: Mosquitto, tmp_path: Path) -> None:
    """Over TLS, more than one row of them, and larger ones than the socket takes at once."""
    pki = tmp_path / "pki"
    sizes = [*range(350), 240_000, 200_000, 1]
    answers = [(f"jauge/v1/s/a{n}/ack", bytes([n % 256]) * size) for n, size in enumerate(sizes)]
    async with listening(tmp_path, broker.port, asked(pki)) as one:
        context = ssl.create_default_context(cafile=str(pki / "authority.pem"))
        context.load_cert_chain(pki / "collector.pem", pki / "collector.key")
        async with aiomqtt.Client(
            "127.0.0.1", broker.port, tls_context=context, identifier="agents"
        ) as client:
            await client.subscribe("jauge/v1/+/+/ack")
            async with asyncio.timeout(20):
                await one.subscriber.connected.wait()
                assert await one.subscriber.publish(answers) == len(answers)
                arrived = [await anext(client.messages) for _ in answers]
    assert [(message.topic.value, message.payload) for message in arrived] == answers


async def test_no_answer_goes_out_without_a_broker(tmp_path: Path) -> None:
    """None is said to have gone, neither before a connection nor after its end."""
    async with (
        Mosquitto(tmp_path / "mosquitto") as broker,
        listening(tmp_path, broker.port) as one,
    ):
        assert await one.subscriber.publish([("jauge/v1/s/a/ack", b"1")] * 3) == 0
        async with asyncio.timeout(10):
            await one.subscriber.connected.wait()
        assert await one.subscriber.publish([("jauge/v1/s/a/ack", b"1")] * 3) == 3
        await broker.kill()
        await eventually(
            lambda: not one.subscriber.connected.is_set(), within=10, what="it is noticed"
        )
        assert await one.subscriber.publish([("jauge/v1/s/a/ack", b"1")] * 3) == 0


@pytest.mark.parametrize(
    ("authority", "client", "reason"),
    [
        ("another", "collector", "broker_untrusted"),
        ("authority", "old", "certificate_expired"),
        ("authority", None, "certificate_missing"),
    ],
)
async def test_a_wrong_certificate_is_said_once_and_healed_by_the_right_one(
    broker: Mosquitto,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    *,
    authority: str,
    client: str | None,
    reason: str,
) -> None:
    """It is counted under its reason and tried again; renewed files are taken up."""
    pki = tmp_path / "pki"
    with caplog.at_level(logging.INFO):
        async with listening(
            tmp_path, broker.port, asked(pki, authority=authority, client=client)
        ) as one:
            await eventually(lambda: one.failures(reason) >= 2, within=20, what="two failures")
            assert not one.subscriber.connected.is_set()
            if authority == "another":
                shutil.copy(pki / "authority.pem", pki / "another.pem")
            elif client == "old":
                shutil.copy(pki / "collector.pem", pki / "old.pem")
                shutil.copy(pki / "collector.key", pki / "old.key")
            else:
                broker.settings["require_certificate"] = "false"
                broker.settings["use_identity_as_username"] = "false"
                broker.settings["allow_anonymous"] = "true"
                await broker.restart()
            async with asyncio.timeout(20):
                await one.subscriber.connected.wait()
    said = [r for r in caplog.records if "no connection to the broker" in r.getMessage()]
    assert len(said) == 1
    ours = [r for r in caplog.records if r.name.startswith("jauge")]
    assert not [r for r in ours if r.levelno >= logging.ERROR]


async def test_a_wrong_password_is_refused_and_never_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker's refusal names no secret, and the right password in the file heals it."""
    passwords, ours = tmp_path / "passwords", tmp_path / "password"
    make_password_file(passwords, "collector", SECRET)
    ours.write_text(f"wrong-{SECRET}\n", encoding="utf-8")
    settings = {"allow_anonymous": "false", "password_file": str(passwords)}
    mqtt = f'tls = false\nusername = "collector"\npassword_file = "{ours}"'
    with caplog.at_level(logging.DEBUG):
        async with (
            Mosquitto(tmp_path / "mosquitto", settings=settings) as broker,
            listening(tmp_path, broker.port, mqtt) as one,
        ):
            await eventually(lambda: one.failures("not_authorised") >= 2, within=20, what="refused")
            assert SECRET not in one.subscriber.problem
            ours.write_text(f"{SECRET}\n", encoding="utf-8")
            async with asyncio.timeout(20):
                await one.subscriber.connected.wait()
    assert SECRET not in caplog.text


@pytest.mark.parametrize("tls", [False, True])
async def test_a_broker_that_says_nothing_is_given_up(tmp_path: Path, *, tls: bool) -> None:
    """A port that takes connections and never speaks is a failure, and holds up no end."""
    port = free_port()
    taken: list[asyncio.StreamWriter] = []
    gone = 0

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal gone
        taken.append(writer)
        while await reader.read(1000):
            pass
        gone += 1

    async with await asyncio.start_server(keep, "127.0.0.1", port):
        async with listening(tmp_path, port, f"tls = {str(tls).lower()}") as one:
            await eventually(lambda: one.failures("network") >= 1, within=15, what="given up")
            await eventually(lambda: gone >= 1, within=10, what="its socket closed")
            await eventually(lambda: len(taken) >= 2, within=10, what="tried again")
        for writer in taken:
            writer.close()


async def test_what_is_no_mqtt_is_told_and_its_connection_closed(tmp_path: Path) -> None:
    """A broker that sends a PUBLISH which is too short: each connection is over before the next."""
    port = free_port()
    open_now, made = 0, 0

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, made
        open_now, made = open_now + 1, made + 1
        await reader.read(1000)
        writer.write(b"\x20\x02\x00\x00")  # CONNACK
        asked = await reader.readexactly(4)  # SUBSCRIBE, whose length fits in one byte
        writer.write(b"\x90\x06" + asked[2:4] + b"\x00\x00\x00\x00" + b"\x30\x01x")
        while await reader.read(1000):
            pass
        open_now -= 1
        writer.close()

    async with (
        await asyncio.start_server(speak, "127.0.0.1", port),
        listening(tmp_path, port, "tls = false\nbroker_log = false") as one,
    ):
        await eventually(lambda: made >= 4, within=30, what="tried again and again")
        assert open_now <= 1
        await eventually(
            lambda: "shorter than its topic" in one.subscriber.problem, within=10, what="the cause"
        )


async def test_the_subscriber_ends_whenever_it_is_asked_to(
    mosquitto: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Cancelled at any step of a connection, or when a dead broker answers no goodbye, it ends."""
    caplog.set_level(logging.ERROR, logger="asyncio")
    for turns in range(0, 60, 2):
        async with listening(tmp_path, mosquitto.port):
            for _ in range(turns):
                await asyncio.sleep(0)
    async with listening(tmp_path, mosquitto.port) as one:
        async with asyncio.timeout(10):
            await one.subscriber.connected.wait()
        os.kill(mosquitto.pid, signal.SIGSTOP)
    os.kill(mosquitto.pid, signal.SIGCONT)
    gc.collect()
    assert "never retrieved" not in caplog.text


async def test_a_cancellation_hidden_by_a_loss_still_ends_the_subscriber(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end asked for in the very moment of a loss, which aiomqtt shows as the loss alone."""
    async with listening(tmp_path, free_port()) as one:
        begun = asyncio.Event()

        async def swallow() -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise aiomqtt.MqttError("lost at the same moment") from None

        monkeypatch.setattr(one.subscriber, "_session", swallow)
        async with asyncio.timeout(10):
            await begun.wait()


async def test_a_connection_that_ends_as_it_begins_is_a_lost_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody waits for answers over it, and nothing of it is left for asyncio to complain of."""
    gc.collect()  # what other tests have left behind
    caplog.clear()
    served: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            served.add(task)
        with contextlib.suppress(OSError):
            await reader.read(100)
            writer.write(b"\x20\x02\x00\x00")  # CONNACK of MQTT 3.1.1
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, listening(tmp_path, server.sockets[0].getsockname()[1]) as one:
        await eventually(lambda: one.failures("network") >= 1, within=5, what="a lost connection")
    await asyncio.wait(served, timeout=5)
    gc.collect()
    assert "never retrieved" not in caplog.text


async def test_a_host_that_no_resolver_takes_is_a_lost_connection(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is counted, said once and tried again; nothing of it ends the collector."""
    settings = config.load(configured(tmp_path, mqtt_port=free_port()))
    wrong = msgspec.structs.replace(settings.mqtt, host=f"{'x' * 64}.example")
    telemetry = Telemetry(Inventory())
    subscriber = Subscriber(
        msgspec.structs.replace(settings, mqtt=wrong), Inbox(lambda _: None), telemetry
    )

    def failures() -> float:
        value = telemetry.registry.get_sample_value(
            "jauge_collector_mqtt_failures_total", {"reason": "host"}
        )
        return value or 0.0

    task = asyncio.create_task(subscriber.run())
    try:
        with caplog.at_level(logging.WARNING):
            await eventually(lambda: failures() >= 2 or task.done(), within=10, what="tried again")
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=15)
    assert [r.levelname for r in caplog.records if r.name.startswith("jauge")] == ["WARNING"]
    assert subscriber.problem


def rights(folder: Path, name: str) -> Path:
    """An access list that lets one certificate do what a collector does, and no other anything."""
    path = folder / "acl"
    path.write_text(f"user {name}\ntopic readwrite #\n", encoding="utf-8")
    path.chmod(0o644)
    return path


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the subscriber has said."""
    return [r.getMessage() for r in caplog.records if r.name == "jauge_collector.subscriber"]


async def test_a_certificate_outside_the_access_list_is_named_once(
    broker: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker takes it and hangs up at the first message: said once, then only counted."""
    broker.settings |= {"acl_file": str(rights(tmp_path, "other")), "max_queued_messages": "0"}
    await broker.restart()
    with caplog.at_level(logging.INFO):
        async with listening(tmp_path, broker.port, asked(tmp_path / "pki")) as one:
            await eventually(lambda: one.failures("dropped") >= 3, within=60, what="three drops")
            assert "access.acl does not let this certificate" in one.subscriber.problem
            said = len(lines(caplog))
            await eventually(lambda: one.failures("dropped") >= 4, within=60, what="four drops")
            assert "or another client uses it" in one.subscriber.problem
    assert len(lines(caplog)) == said
    assert len([line for line in lines(caplog) if "access.acl does not let" in line]) == 1


async def test_two_collectors_on_one_certificate_are_named_once(
    broker: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each ends the other's connection; /readyz of both says why, also while one is connected."""
    broker.settings["use_username_as_clientid"] = "true"
    await broker.restart()
    mqtt = asked(tmp_path / "pki")
    with caplog.at_level(logging.INFO):
        async with (
            listening(tmp_path, broker.port, mqtt) as one,
            listening(tmp_path, broker.port, mqtt) as two,
        ):

            def both() -> bool:
                return all("another client uses it" in it.subscriber.problem for it in (one, two))

            await eventually(both, within=90, what="both know")
            said, made = len(lines(caplog)), one.failures("dropped")
            await eventually(
                lambda: one.failures("dropped") > made and one.subscriber.connected.is_set(),
                within=90,
                what="dropped and connected again",
            )
            assert both()
            assert len(lines(caplog)) == said


def recurring(drops: Drops) -> bool:
    """Whether it is no accident any more."""
    return drops.recurring


def test_a_connection_that_holds_is_the_end_of_drops() -> None:
    """Two that end soon are no accident; a failed attempt, or a longer one, begins anew."""
    drops = Drops()
    for moment in (0.0, 10.0):
        drops.made(moment)
        assert not recurring(drops)
        drops.ended(moment + 1)
    assert recurring(drops)
    drops.made(20.0)
    assert not drops.is_over(40.0, 60.0)
    drops.ended(45.0)
    assert recurring(drops), "the other one only waited for its turn"
    drops.made(50.0)
    assert drops.is_over(110.0, 60.0)
    assert not recurring(drops)
    drops.ended(111.0)
    for _ in range(2):
        drops.made(200.0)
        drops.ended(201.0)
        drops.ended(202.0)  # nobody there
        assert not recurring(drops)
