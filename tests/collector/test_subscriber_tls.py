"""The subscriber and brokers that ask for proof, or say nothing at all."""

import asyncio
import contextlib
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


@pytest.mark.parametrize(
    ("authority", "client", "reason"),
    [
        ("another", "collector", "tls"),
        ("authority", "old", "refused"),
        ("authority", None, "refused"),
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
            await eventually(lambda: one.failures("refused") >= 2, within=20, what="refused")
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


async def test_the_subscriber_ends_whenever_it_is_asked_to(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """Cancelled at any step of a connection, or when a dead broker answers no goodbye, it ends."""
    for turns in range(0, 60, 2):
        async with listening(tmp_path, mosquitto.port):
            for _ in range(turns):
                await asyncio.sleep(0)
    async with listening(tmp_path, mosquitto.port) as one:
        async with asyncio.timeout(10):
            await one.subscriber.connected.wait()
        os.kill(mosquitto.pid, signal.SIGSTOP)
    os.kill(mosquitto.pid, signal.SIGCONT)


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
