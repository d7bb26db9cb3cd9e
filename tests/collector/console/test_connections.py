"""Whoever reaches the console's port: how many connections, for how long, and what the log says."""

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from jauge_collector import config
from jauge_collector.console import tls
from jauge_collector.console.app import CONNECTIONS, build_app, listening
from jauge_collector.console.connections import Connections, Ended, Limits
from jauge_collector.console.failures import Failures
from jauge_collector.inventory import Inventory
from jauge_collector.telemetry import Telemetry

from tests import parts
from tests.collector.console.doors import ADMINISTRATOR, READER, guarded
from tests.collector.console.serving import configuration, opened
from tests.collector.console.test_tls import with_certificate
from tests.collector.running import configured

PATIENT = Limits()
TOKEN = ADMINISTRATOR.token.encode()


@contextlib.asynccontextmanager
async def served(
    settings: config.CollectorConfig,
    limits: Limits = PATIENT,
    encrypted: ssl.SSLContext | None = None,
) -> AsyncIterator[tuple[int, Telemetry]]:
    """A console with these limits: its port, and what it counts."""
    async with opened(settings) as state:
        app = build_app(state)
        app[CONNECTIONS].limits = limits
        async with listening(app, "127.0.0.1", 0, encrypted=encrypted) as port:
            yield port, state.telemetry


@contextlib.contextmanager
def connected(port: int, number: int = 1) -> Iterator[list[socket.socket]]:
    """Connections that say nothing."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            for _ in range(number)
        ]


def closed(one: socket.socket) -> bool:
    """Whether the other side has closed a connection; reads nothing else."""
    one.setblocking(False)
    try:
        return one.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


async def answer_to(port: int, request: bytes) -> bytes:
    """All that comes back for some bytes until the console closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def is_up(port: int) -> bool:
    """Whether the console answers a new visitor."""
    asked = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    return b" 200 " in (await answer_to(port, asked)).partition(b"\r\n")[0]


def count(telemetry: Telemetry, reason: Ended) -> float:
    """How many connections ended for a reason."""
    return telemetry.counted(telemetry.console_connections_ended, reason)


def errors(telemetry: Telemetry) -> float | None:
    """How many errors of the collector's own there were."""
    return telemetry.registry.get_sample_value("jauge_collector_console_errors_total")


def sample(telemetry: Telemetry, name: str) -> float | None:
    """What /metrics says of the connections as a queue."""
    full = f"jauge_collector_queue_{name}"
    return telemetry.registry.get_sample_value(full, {"queue": "console_connections"})


# --- how many


async def test_there_are_so_many_connections_and_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is too many is closed at once, said once, counted; who leaves makes room."""
    async with served(configuration(tmp_path), Limits(most=8)) as (port, telemetry):
        with connected(port, 20) as all_:
            await parts.eventually(
                lambda: sum(map(closed, all_)) == 12, within=10, what="12 of 20 are turned away"
            )
            assert (sample(telemetry, "size"), sample(telemetry, "dropped_total")) == (8, 12)
            assert count(telemetry, Ended.ALL) == 12
            assert not await is_up(port)
        await parts.eventually(lambda: is_up(port), within=10, what="there is room again")
    assert caplog.text.count("too many connections") == 1


def test_an_address_has_its_share() -> None:
    """One address, or one /64, cannot take all; a trusted proxy and this machine may."""
    telemetry = Telemetry(Inventory())
    failures = Failures(telemetry.console_errors)
    connections = Connections(telemetry, failures, lambda peer: peer == "192.0.2.9")
    connections.limits = Limits(most=100, most_of_one=10)
    for peers in (["192.0.2.1"] * 11, [f"2001:db8::{n:x}" for n in range(11)]):
        places = [connections.admit(peer) for peer in peers]
        assert all(places[:10])
        assert places[10] is None
        assert connections.admit("192.0.2.2") is not None
        places[0].leave()  # type: ignore[union-attr]
        places[0].leave()  # type: ignore[union-attr]
        assert connections.admit(peers[0]) is not None
        assert connections.admit(peers[0]) is None
    assert connections.admit("2001:db8:0:1::") is not None
    assert count(telemetry, Ended.ADDRESS) == 4
    assert all(connections.admit("192.0.2.9") for _ in range(50))
    while connections.admit("127.0.0.1"):
        pass
    assert sample(telemetry, "size") == 100


async def test_too_few_descriptors_are_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While the process has none for it a connection waits; then it is served."""
    settings = configuration(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with served(settings) as (port, telemetry):
        with contextlib.ExitStack() as stack:
            waiting = [stack.enter_context(socket.socket()) for _ in range(5)]
            lowest = os.dup(0)
            os.close(lowest)
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
            try:
                for one in waiting:
                    one.connect(("127.0.0.1", port))
                await parts.eventually(
                    lambda: count(telemetry, Ended.DESCRIPTORS) >= 2, within=20, what="it tried"
                )
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            await parts.eventually(
                lambda: sample(telemetry, "size") == 5, within=20, what="they are taken"
            )
            assert await is_up(port)
    assert [r.name for r in caplog.records if "too many open files" in r.getMessage().lower()] == [
        "jauge_collector.console.connections"
    ]
    assert "Traceback" not in caplog.text


# --- for how long


async def test_who_says_nothing_or_stutters_is_cut_off(tmp_path: Path) -> None:
    """From connecting to the end of the headers there is one deadline, whatever comes between."""
    async with served(configuration(tmp_path), Limits(request_s=0.5)) as (port, telemetry):
        with connected(port, 3) as (silent, _, stuttering):

            def all_closed() -> bool:
                with contextlib.suppress(OSError):
                    stuttering.send(b"X: y\r\n")
                return closed(silent) and closed(stuttering)

            stuttering.send(b"GET / HTTP/1.1\r\n")
            await parts.eventually(all_closed, within=20, what="both are cut off")
        await parts.eventually(
            lambda: count(telemetry, Ended.LATE) == 3, within=10, what="it is counted"
        )
        assert sample(telemetry, "size") == 0
        assert await is_up(port)


async def test_a_later_request_has_its_deadline_too(tmp_path: Path) -> None:
    """Half a request after a whole one is not kept for as long as a quiet connection."""
    async with served(configuration(tmp_path), Limits(request_s=0.5)) as (port, telemetry):
        with connected(port) as (one,):
            one.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /hea")
            one.settimeout(0)

            def cut() -> bool:
                with contextlib.suppress(OSError):
                    one.send(b"a")
                    one.recv(65536)
                return count(telemetry, Ended.LATE) == 1

            await parts.eventually(cut, within=20, what="it is cut off")


async def test_a_quiet_connection_is_closed(tmp_path: Path) -> None:
    """After a request it may rest so long, in which it is not cut off, and no longer."""
    limits = Limits(request_s=0.2, idle_s=1.5)
    async with served(configuration(tmp_path), limits) as (port, telemetry):
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        answer = await answer_to(port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 200 " in answer
        assert loop.time() - began_s >= 1.4
        assert count(telemetry, Ended.LATE) == 0


async def test_who_does_not_read_the_answers_is_cut_off(tmp_path: Path) -> None:
    """Answers that nobody takes are not kept for ever."""
    limits = Limits(answer_s=0.5, idle_s=0.5, request_s=0.5)
    asked = b"GET /static/console.css HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2000
    async with served(configuration(tmp_path), limits) as (port, telemetry):
        with connected(port) as (one,):
            one.settimeout(0)
            sent = 0

            def cut() -> bool:
                nonlocal sent
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    sent += one.send(asked[sent % len(asked) :])
                return count(telemetry, Ended.LATE) == 1

            await parts.eventually(cut, within=30, what="it is cut off")
        await parts.eventually(
            lambda: sample(telemetry, "size") == 0, within=10, what="its place is free"
        )


async def test_a_handshake_that_does_not_end_is_cut_off(tmp_path: Path) -> None:
    """Silence and plain HTTP where TLS is spoken: counted, nothing logged, the place is free."""
    path, authority = with_certificate(tmp_path, parts.free_port())
    settings = config.load(path)
    async with served(settings, Limits(handshake_s=3.0), tls.context(settings)) as (port, counted):
        with connected(port, 2) as (silent, plain):
            plain.send(b"GET / HTTP/1.1\r\n\r\n")
            await parts.eventually(
                lambda: count(counted, Ended.TLS) == 1, within=2, what="what is no TLS is cut off"
            )
            assert not closed(silent)
            assert sample(counted, "size") == 1
            await parts.eventually(
                lambda: count(counted, Ended.TLS) == 2, within=20, what="silence is cut off"
            )
        assert sample(counted, "size") == 0
        trusting = ssl.create_default_context(cafile=str(authority.certificate))
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
        writer.close()
        await writer.wait_closed()


async def test_a_crowd_of_strangers_keeps_neither_log_nor_broker(tmp_path: Path) -> None:
    """A process of 256 descriptors, 300 connections, and the broker starts anew: it is found."""
    port = parts.free_port()
    async with parts.Mosquitto(tmp_path / "broker") as broker:
        path = configured(tmp_path, mqtt_port=broker.port, port=port)
        log = tmp_path / "log"
        with log.open("wb") as to:
            running = await asyncio.create_subprocess_exec(
                *("prlimit", "--nofile=256:256", sys.executable, "-m", "jauge_collector.cli"),
                *("run", "--config", str(path)),
                stderr=to,
            )
        try:

            async def metrics() -> str:
                asked = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                try:
                    return (await answer_to(port, asked)).decode()
                except ConnectionError:
                    return ""

            async def links() -> bool:
                return "jauge_collector_mqtt_connected 1.0" in await metrics()

            await parts.eventually(links, within=30, what="the collector is connected")
            with connected(port, 300) as crowd:
                await parts.eventually(
                    lambda: sum(map(closed, crowd)) >= 236, within=20, what="most are turned away"
                )
                await broker.kill()
                await broker.start()
                await parts.eventually(
                    lambda: (
                        b"again" in log.read_bytes() or log.read_bytes().count(b"connected") > 1
                    ),
                    within=30,
                    what="the broker is found again",
                )
            await parts.eventually(links, within=30, what="the console answers")
        finally:
            running.send_signal(signal.SIGTERM)
            async with asyncio.timeout(30):
                await running.wait()
        assert log.stat().st_size < 10_000
        assert b"Traceback" not in log.read_bytes()


# --- what the log says

HEAD = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + TOKEN
FORM = b"POST /login HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n"
FORM += b"Content-Type: application/x-www-form-urlencoded\r\n"
STRANGE = {
    "stray carriage return": HEAD + b"\r\r\n\r\n",
    "control character": HEAD + b"\x01\r\n\r\n",
    "nul in the next header": HEAD + b"\r\nX: a\x00b\r\n\r\n",
    "long header": HEAD + b" " * 8300 + b"x\r\n\r\n",
    "long cookie": b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: jauge="
    + TOKEN
    + b"; "
    + b"x" * 8300
    + b"\r\n\r\n",
    "version": b"GET /metrics?token=" + TOKEN + b" HTTP/9.1\r\nHost: localhost\r\n\r\n",
    "version of letters": b"GET /metrics?token=" + TOKEN + b" HTTP/x\r\nHost: localhost\r\n\r\n",
    "many headers": HEAD + b"\r\nX: y" * 200 + b"\r\n\r\n",
    "method": TOKEN + b"\r\n\r\n",
    "method of a request": b"\x16\x03" + TOKEN + b" / HTTP/1.1\r\n\r\n",
    "next request": HEAD + b"\r\n\r\nGARBAGE " + TOKEN + b"\r\n\r\n",
    "after an upgrade": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\n"
    b"Upgrade: websocket\r\n\r\nGARBAGE " + TOKEN + b"\r\n\r\n",
    "chunk": FORM + b"Transfer-Encoding: chunked\r\n\r\n" + TOKEN + b"\r\n",
    "unread chunk": HEAD + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + TOKEN + b"\r\n",
    "compression": FORM
    + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(TOKEN)
    + TOKEN,
    "two lengths": HEAD + b"\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
}


@pytest.mark.parametrize("name", STRANGE)
async def test_what_is_no_http_is_counted_and_not_quoted(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """No text of a stranger, a token least of all, is in the log; nor a traceback; said once."""
    caplog.set_level(logging.INFO)
    limits = Limits(request_s=1.0, idle_s=1.0)
    async with served(guarded(tmp_path, ADMINISTRATOR), limits) as (port, telemetry):
        for _ in range(3):
            answer = await answer_to(port, STRANGE[name])
            assert b" 500 " not in answer
            assert TOKEN not in answer
        assert await is_up(port)
        assert count(telemetry, Ended.MALFORMED) <= 6
        assert errors(telemetry) == 0
    said = caplog.text + capfd.readouterr().err
    assert ADMINISTRATOR.token not in said
    assert "Traceback" not in said
    assert "GARBAGE" not in said
    assert said.count("no HTTP came from") <= 1
    assert not [record for record in caplog.records if record.exc_info]


async def test_what_is_no_http_is_counted_by_its_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Three from one address: one line, three counted."""
    async with served(guarded(tmp_path, ADMINISTRATOR)) as (port, telemetry):
        for name in ("stray carriage return", "control character", "version"):
            assert b" 400 " in await answer_to(port, STRANGE[name])
        assert count(telemetry, Ended.MALFORMED) == 3
    assert caplog.text.count("console: refused 127.0.0.1: no HTTP came from there") == 1


async def test_who_hangs_up_in_a_form_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A body that ends before its length is nobody's fault here."""
    async with served(guarded(tmp_path, READER)) as (port, telemetry):
        with connected(port) as (one,):
            one.send(FORM + b"Content-Length: 100\r\n\r\ntoken=")
            await parts.eventually(
                lambda: sample(telemetry, "size") == 1, within=10, what="it is taken"
            )
        await parts.eventually(lambda: sample(telemetry, "size") == 0, within=10, what="it is gone")
        assert await is_up(port)
        assert errors(telemetry) == 0
    assert "failed" not in caplog.text
