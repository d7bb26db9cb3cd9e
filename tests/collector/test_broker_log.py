"""What Mosquitto says it refused becomes a count, a name in the log and an example."""

import asyncio
import contextlib
import logging
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_collector import config
from jauge_collector.broker_log import LINES_PER_S, BrokerLog, Refusal, refusal_of
from jauge_collector.faults import Faults
from jauge_collector.inbox import Inbox
from jauge_collector.inventory import Inventory
from jauge_collector.subscriber import Subscriber
from jauge_collector.telemetry import Telemetry

from tests.agent.certificates import Authority
from tests.collector.running import configured
from tests.parts import Mosquitto, eventually


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("Client s/a disconnected, not authorised.", (Refusal.NOT_AUTHORISED, "s/a")),
        ("Client s/a disconnected due to oversize packet.", (Refusal.PROTOCOL, "s/a")),
        ("Client s/a disconnected due to malformed packet.", (Refusal.PROTOCOL, "s/a")),
        ("Client <unknown> disconnected due to protocol error.", (Refusal.PROTOCOL, "")),
        ("Client <unknown> disconnected: Protocol error.", (Refusal.TLS, "")),
        (
            "Client connection from 10.0.0.7 failed: error:0A00009C:SSL routines::http request.",
            (Refusal.TLS, "10.0.0.7"),
        ),
        (
            "Client connection from 10.0.0.7 denied: max_connections exceeded.",
            (Refusal.CONNECTIONS, "10.0.0.7"),
        ),
        (
            "Denied PUBLISH from s/a (d0, q1, r0, m1, 'jauge/v1/s/b/readings', ... (1 bytes))",
            (Refusal.ACL, "s/a"),
        ),
        ("Bad socket read/write on client s/a: Quota exceeded", (Refusal.ACL, "s/a")),
        ("Bad socket read/write on client s/a: Unknown error.", (Refusal.ACL, "s/a")),
    ],
)
def test_lines_of_mosquitto(line: str, found: tuple[Refusal, str]) -> None:
    """As 2.0.21 really said them, and 2.0.11 the last."""
    assert refusal_of(line) == found


@pytest.mark.parametrize(
    "line",
    [
        "Client s/a disconnected.",
        "Client s/a closed its connection.",
        "New client connected from 127.0.0.1:1 as s/a (p2, c1, k30, u's/a').",
        "OpenSSL Error[0]: error:0A000126:SSL routines::unexpected eof while reading",
        # What a client may call itself
        "New client connected from 127.0.0.1:1 as x disconnected, not authorised. (p2, c1, k60).",
        "Client x disconnected, not authorised. disconnected.",
        "Client x disconnected, not authorised. closed its connection.",
        "Client Denied PUBLISH from s/b (d0 disconnected.",
        "",
        "Client ",
    ],
)
def test_lines_that_tell_of_no_refusal(line: str) -> None:
    """Farewells, and names that were chosen to look like a refusal."""
    assert refusal_of(line) is None


class Reading:
    """A log that is read, with a clock of its own."""

    def __init__(self) -> None:
        self.telemetry = Telemetry(Inventory())
        self.faults = Faults()
        self.now_s = 10.0
        self.log = BrokerLog(self.telemetry, self.faults, lambda: self.now_s)

    def count(self, reason: Refusal) -> float:
        """Refusals by reason."""
        return self._value("broker_refusals_total", {"reason": reason})

    @property
    def skipped(self) -> float:
        """Lines beyond the rate."""
        return self._value("broker_log_skipped_total", {})

    def _value(self, name: str, labels: dict[str, str]) -> float:
        full = f"jauge_collector_{name}"
        return self.telemetry.registry.get_sample_value(full, labels) or 0.0


@given(line=st.binary(max_size=3000))
def test_whatever_stands_in_a_line_is_survived(line: bytes) -> None:
    """The log quotes what strangers send."""
    one = Reading()
    one.log.read("$SYS/broker/log/N", line, 1)
    one.log.read("$SYS/broker/log/N", b"1: Client " + line + b" disconnected, not authorised.", 1)
    assert one.count(Refusal.NOT_AUTHORISED) <= 1


def test_lines_beyond_the_rate_are_counted_and_not_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A flood of refusals costs little, names nobody twice, and ends with its second."""
    one = Reading()
    line = b"1795639120: Client s/a disconnected, not authorised."
    with caplog.at_level(logging.WARNING):
        for _ in range(LINES_PER_S + 100):
            one.log.read("$SYS/broker/log/N", line, 1)
        one.now_s += 1
        one.log.read("$SYS/broker/log/N", line, 2)
    assert one.count(Refusal.NOT_AUTHORISED) == LINES_PER_S + 1
    assert one.skipped == 100
    assert len(caplog.records) == 1
    assert one.faults.by_reason["broker_not_authorised"].example.detail == "s/a"


def test_names_in_the_log_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """However many clients are refused, a thousand are named; the rest is counted."""
    one = Reading()
    with caplog.at_level(logging.WARNING):
        for n in range(1500):
            one.now_s += 1
            one.log.read("$SYS/broker/log/N", b"1: Client c%d disconnected, not authorised." % n, 1)
    assert len(caplog.records) == 1000
    assert one.count(Refusal.NOT_AUTHORISED) == 1500


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    """Mosquitto with client certificates, a revocation list, an ACL and its log on a topic."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (Debian package openssl)")
    folder = tmp_path / "pki"
    folder.mkdir()
    authority = Authority(folder)
    server = authority.issue("server")
    for name in ("collector", "good", "revoked"):
        authority.issue(name)
    authority.issue("expired", expired=True)
    Authority(folder, "another").issue("foreign")
    revoked = authority.issue("revoked")
    crl = authority.revoke(revoked)
    acl = tmp_path / "acl"
    acl.write_text(
        "user collector\ntopic readwrite jauge/#\ntopic read $SYS/#\n"
        "pattern write jauge/v1/s/%u/readings\n"
    )
    for path in (acl, *folder.iterdir()):
        path.chmod(0o644)
    settings = {
        "allow_anonymous": "false",
        "cafile": str(authority.certificate),
        "certfile": str(server.certificate),
        "keyfile": str(server.key),
        "crlfile": str(crl),
        "require_certificate": "true",
        "use_identity_as_username": "true",
        "use_username_as_clientid": "true",
        "acl_file": str(acl),
        "max_packet_size": "10000",
        "log_dest": "topic",
    }
    async with Mosquitto(tmp_path / "mosquitto", settings=settings) as running:
        yield running


def context(pki: Path, name: str | None) -> ssl.SSLContext:
    """TLS with that certificate."""
    made = ssl.create_default_context(cafile=str(pki / "authority.pem"))
    if name is not None:
        made.load_cert_chain(pki / f"{name}.pem", pki / f"{name}.key")
    return made


async def _refused(port: int, tls: ssl.SSLContext | None) -> None:
    """Connect; the broker is not to let it in."""
    with contextlib.suppress(aiomqtt.MqttError):
        async with aiomqtt.Client("127.0.0.1", port, tls_context=tls, timeout=3):
            pytest.fail("let in")


async def test_what_mosquitto_refuses_is_counted_and_named_once(
    broker: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each under its reason; who is let in is not named.

    Certificates that are expired, revoked, foreign or missing, no TLS, a denied publish, a packet
    too large and what is no MQTT.
    """
    pki = tmp_path / "pki"
    one = Reading()
    mqtt = "\n".join(
        [
            "tls = true",
            f'ca_file = "{pki}/authority.pem"',
            f'cert_file = "{pki}/collector.pem"',
            f'key_file = "{pki}/collector.key"',
        ]
    )
    settings = config.load(configured(tmp_path, mqtt_port=broker.port, mqtt=mqtt))
    inbox = Inbox(lambda _: None)
    subscriber = Subscriber(settings, inbox, one.telemetry, one.log)
    task = asyncio.create_task(subscriber.run())

    async def counted(reason: Refusal, least: float) -> None:
        await eventually(lambda: one.count(reason) >= least, within=20, what=f"{reason} counted")

    try:
        with caplog.at_level(logging.WARNING, "jauge_collector.broker_log"):
            async with asyncio.timeout(15):
                await subscriber.connected.wait()
            for name in ("expired", "revoked", "foreign", None):
                before = one.count(Refusal.TLS)
                await _refused(broker.port, context(pki, name))
                await counted(Refusal.TLS, before + 1)
            before = one.count(Refusal.TLS)
            await _refused(broker.port, None)
            await counted(Refusal.TLS, before + 1)
            good = context(pki, "good")
            async with aiomqtt.Client("127.0.0.1", broker.port, tls_context=good) as client:
                await client.publish("jauge/v1/s/good/readings", b"mine", qos=1)
            await eventually(lambda: len(inbox) == 1, within=10, what="it came through")
            assert one.count(Refusal.ACL) == one.count(Refusal.PROTOCOL) == 0
            for _ in range(2):
                before = one.count(Refusal.ACL)
                with contextlib.suppress(aiomqtt.MqttError):
                    async with aiomqtt.Client("127.0.0.1", broker.port, tls_context=good) as client:
                        await client.publish("jauge/v1/s/other/readings", b"spoofed", qos=1)
                await counted(Refusal.ACL, before + 1)
            with contextlib.suppress(aiomqtt.MqttError):
                async with aiomqtt.Client("127.0.0.1", broker.port, tls_context=good) as client:
                    await client.publish("jauge/v1/s/good/readings", b"x" * 20_000, qos=1)
            await counted(Refusal.PROTOCOL, 1)
            await asyncio.to_thread(_speak_http, broker.port, good)
            await counted(Refusal.PROTOCOL, 2)
        assert len(inbox) == 1
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=15)
    said = [record.getMessage() for record in caplog.records]
    assert len([text for text in said if "127.0.0.1 (tls)" in text]) == 1
    assert len([text for text in said if text.startswith("the broker refused good (acl)")]) == 1
    assert len([text for text in said if text.startswith("the broker refused good (proto")]) == 1
    assert {"broker_tls", "broker_acl", "broker_protocol"} <= set(one.faults.by_reason)


def _speak_http(port: int, tls: ssl.SSLContext) -> None:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        tls.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with contextlib.suppress(OSError):
            connection.recv(100)


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_broker_without_a_log_on_a_topic_is_no_hindrance(
    tmp_path: Path, *, wanted: bool
) -> None:
    """Neither where it offers none, nor where reading it is denied, nor where it is not wanted."""
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite jauge/#\n")
    acl.chmod(0o644)
    async with Mosquitto(tmp_path / "mosquitto", settings={"acl_file": str(acl)}) as broker:
        text = f"tls = false\nbroker_log = {str(wanted).lower()}"
        settings = config.load(configured(tmp_path, mqtt_port=broker.port, mqtt=text))
        one = Reading()
        inbox = Inbox(lambda _: None)
        subscriber = Subscriber(settings, inbox, one.telemetry, one.log)
        task = asyncio.create_task(subscriber.run())
        try:
            async with asyncio.timeout(15):
                await subscriber.connected.wait()
            async with aiomqtt.Client("127.0.0.1", broker.port) as client:
                await client.publish("jauge/v1/s/a/readings", b"x", qos=1)
            await eventually(lambda: len(inbox) == 1, within=10, what="it came through")
        finally:
            task.cancel()
            await asyncio.wait([task], timeout=15)


async def test_a_broker_that_hangs_up_when_asked_for_its_log_is_not_asked_again(
    tmp_path: Path,
) -> None:
    """Some brokers end a connection for a topic that they do not have."""
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind = (await reader.readexactly(1))[0]
                length = (await reader.readexactly(1))[0]
                if length & 128:
                    length = length & 127 | (await reader.readexactly(1))[0] << 7
                content = await reader.readexactly(length)
                if kind == 0x10:
                    writer.write(b"\x20\x02\x00\x00")
                elif kind == 0x82 and b"$SYS/broker/log" in content:
                    asked += 1
                    break
                elif kind == 0x82:
                    filters = content.count(b"jauge/v1/")
                    body = content[:2] + b"\x01" * filters
                    writer.write(b"\x90" + bytes([len(body)]) + body)
                elif kind == 0xC0:
                    writer.write(b"\xd0\x00")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        one = Reading()
        settings = config.load(configured(tmp_path, mqtt_port=port))
        subscriber = Subscriber(settings, Inbox(lambda _: None), one.telemetry, one.log)
        task = asyncio.create_task(subscriber.run())
        try:
            async with asyncio.timeout(30):
                await subscriber.connected.wait()
            assert asked == 1
        finally:
            task.cancel()
            await asyncio.wait([task], timeout=15)
