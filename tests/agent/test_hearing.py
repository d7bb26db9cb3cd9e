"""Whether anybody hears: what an agent can tell when nobody answers."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from jauge_agent.config import BrokerConfig
from jauge_agent.hearing import ASK_AGAIN_S, Heard, Hearing
from jauge_agent.refusal import Failure

from tests.agent.answering import answering
from tests.agent.certificates import make_password_file
from tests.agent.ground import bench_at, failed, fields_of
from tests.agent.test_publisher import Bench
from tests.parts import Mosquitto, eventually, free_port

OURS = "topic readwrite jauge/v1/#\n"
NOT_OURS = "topic read jauge/v1/#\ntopic write jauge/v1/+/+/ack\n"
"""Lets a collector work, and drops what an agent publishes."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks every half second instead of every five."""
    monkeypatch.setattr("jauge_agent.publisher._CALL_TIMEOUT_S", 1.0)


@contextlib.asynccontextmanager
async def broker_with(folder: Path, access: str, **settings: str) -> AsyncIterator[Mosquitto]:
    """Mosquitto with an access list for everybody."""
    write_access(folder, access)
    kept = {"acl_file": str(folder / "acl"), "max_queued_messages": "10000", **settings}
    async with Mosquitto(folder, settings=kept) as broker:
        yield broker


def write_access(folder: Path, access: str) -> None:
    """The access list, for the next start or SIGHUP."""
    folder.mkdir(exist_ok=True)
    (folder / "acl").write_text(access, encoding="utf-8")
    (folder / "acl").chmod(0o644)


async def stands(bench: Bench, standing: Heard) -> None:
    """Wait for that to be found."""
    await eventually(lambda: bench.publisher.hearing.standing is standing, within=30, what=standing)


def said(caplog: pytest.LogCaptureFixture, about: str) -> list[tuple[str, str]]:
    """Events of that beginning in order, with the standing they name."""
    return [
        (record.getMessage(), fields_of(record).get("standing", ""))
        for record in caplog.records
        if record.getMessage().startswith(about)
    ]


async def test_an_agent_whose_publishes_are_dropped_says_so_once_and_recovers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker acknowledges and drops: told from silence, said once, over with its cause."""
    async with (
        broker_with(tmp_path / "mosquitto", NOT_OURS) as broker,
        answering(broker.port) as collector,
        bench_at(BrokerConfig(port=broker.port, tls=False), tmp_path, resend_after_s=1.0) as bench,
    ):
        await bench.connected()
        bench.take()
        await stands(bench, Heard.REFUSED)
        await bench.connected()
        assert not bench.publisher.stats.failures
        since = bench.publisher.hearing.waiting_since
        assert since is not None
        assert asyncio.get_running_loop().time() - since >= 1.0
        assert collector.packs == []
        write_access(tmp_path / "mosquitto", OURS)
        os.kill(broker.pid, signal.SIGHUP)
        await bench.empty(within=60)
        assert collector.stored == bench.given
        assert bench.publisher.hearing.standing is Heard.ANSWERED
        assert bench.publisher.hearing.waiting_since is None
    assert said(caplog, "answers ") == [("answers lost", "refused"), ("answers recovered", "")]


async def test_a_broker_that_hangs_up_on_what_it_forbids_is_understood(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Mosquitto without a limit to its queues closes the connection: no network failure, no flap.

    Each attempt connects well; still the loss is said once, and the recovery when it is over.
    """
    settings = {"max_queued_messages": "0"}
    async with (
        broker_with(tmp_path / "mosquitto", NOT_OURS, **settings) as broker,
        answering(broker.port) as collector,
        bench_at(BrokerConfig(port=broker.port, tls=False), tmp_path) as bench,
    ):
        stats = bench.publisher.stats
        bench.take(offer=False)
        await eventually(
            lambda: stats.failures[Failure.NOT_PERMITTED] >= 3, within=60, what="three refusals"
        )
        assert bench.publisher.hearing.standing is Heard.REFUSED
        assert set(stats.failures) == {Failure.NOT_PERMITTED}
        assert collector.packs == []
        write_access(tmp_path / "mosquitto", OURS)
        os.kill(broker.pid, signal.SIGHUP)
        await bench.empty(within=60)
        await eventually(
            lambda: not bench.publisher._trouble.lasting, within=30, what="recovery said"
        )
    assert said(caplog, "broker ") == [("broker lost", ""), ("broker recovered", "")]
    lost = next(r for r in caplog.records if r.getMessage() == "broker lost")
    assert fields_of(lost)["reason"] == "not_permitted"
    assert "lab/a1" in fields_of(lost)["detail"]


async def test_nobody_listening_is_told_from_a_listener_that_does_not_answer(
    mosquitto: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """First no collector, then one that ignores this agent, then one that answers."""
    config = BrokerConfig(port=mosquitto.port, tls=False)
    async with bench_at(config, tmp_path, resend_after_s=1.0) as bench:
        await bench.connected()
        bench.take()
        await stands(bench, Heard.UNHEARD)
        async with answering(mosquitto.port, verdict=lambda _: "") as collector:
            bench.publisher.hearing._asked_at = None  # five minutes have passed
            await stands(bench, Heard.IGNORED)
            collector.verdict = lambda _: None
            await bench.empty(within=60)
    assert said(caplog, "answers ") == [
        ("answers lost", "unheard"),
        ("answers lost", "ignored"),
        ("answers recovered", ""),
    ]


async def test_a_broker_that_knows_no_mqtt_5_tells_nothing(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """What cannot be known is not guessed: unanswered, whatever the cause."""
    port = free_port()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connect = await reader.read(1000)
        with contextlib.closing(writer):
            if connect[connect.index(b"MQTT") + 4 :][:1] == b"\x05":
                return
            back, forth = await asyncio.open_connection("127.0.0.1", mosquitto.port)
            forth.write(connect)
            with contextlib.closing(forth):
                async with asyncio.TaskGroup() as group:
                    group.create_task(copy(reader, forth))
                    group.create_task(copy(back, writer))

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1000):
                writer.write(data)
        writer.close()

    async with await asyncio.start_server(pass_on, "127.0.0.1", port):
        config = BrokerConfig(port=port, tls=False)
        async with bench_at(config, tmp_path, resend_after_s=1.0) as bench:
            await bench.connected()
            bench.take()
            await stands(bench, Heard.UNANSWERED)
            await bench.connected()


@pytest.fixture
def dynamic_security(tmp_path: Path) -> dict[str, str]:
    """Settings of a Mosquitto that knows a user ``agent``, who may do nothing."""
    plugin = next(Path("/usr/lib").glob("*/mosquitto_dynamic_security.so"), None)
    if plugin is None:
        pytest.skip("Mosquitto's plugin for dynamic security is not installed")
    (tmp_path / "password").write_text("secret")
    kept = tmp_path / "dynsec.json"
    command = ["mosquitto_ctrl", "dynsec", "init", str(kept), "admin", "secret"]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    security = json.loads(kept.read_text())
    security["clients"].append({**security["clients"][0], "username": "agent", "roles": []})
    kept.write_text(json.dumps(security))
    return {
        "allow_anonymous": "false",
        "plugin": str(plugin),
        "plugin_opt_config_file": str(kept),
    }


async def test_a_subscription_that_is_not_allowed_is_a_failure_of_its_own(
    tmp_path: Path, dynamic_security: dict[str, str]
) -> None:
    """Without its ``ack`` topic an agent would wait for ever: said as what it is."""
    async with Mosquitto(tmp_path / "mosquitto", settings=dynamic_security) as broker:
        config = BrokerConfig(
            port=broker.port,
            tls=False,
            username="agent",
            password_file=str(tmp_path / "password"),
        )
        async with bench_at(config, tmp_path) as bench:
            await failed(bench, Failure.NOT_SUBSCRIBED)


def test_the_broker_is_asked_every_five_minutes_while_nobody_answers() -> None:
    """And at once after an answer, when the next silence has lasted."""
    hearing = Hearing(logging.getLogger("jauge_agent.test"), "lab/a1")
    hearing.sent(0.0)
    hearing.sent(5.0)
    assert hearing.waiting_since == 0.0
    assert hearing.should_ask(60.0)
    hearing.found(Heard.UNHEARD, 60.0)
    assert not hearing.should_ask(60.0 + ASK_AGAIN_S - 1)
    assert hearing.should_ask(60.0 + ASK_AGAIN_S)
    hearing.answered(70.0, more=True)
    assert (hearing.waiting_since, hearing.standing) == (70.0, Heard.ANSWERED)
    assert hearing.should_ask(130.0)
    hearing.answered(80.0, more=False)
    assert hearing.waiting_since is None


async def test_the_question_needs_no_second_connection(tmp_path: Path) -> None:
    """A broker that allows one connection to a user, as ours does, ends none of the agent's."""
    passwords, ours = tmp_path / "passwords", tmp_path / "password"
    make_password_file(passwords, "a1", "example")
    ours.write_text("example\n", encoding="utf-8")
    settings = {
        "allow_anonymous": "false",
        "password_file": str(passwords),
        "use_username_as_clientid": "true",
        "log_type": "all",
    }
    async with broker_with(
        tmp_path / "mosquitto", "pattern readwrite jauge/v1/#\n", **settings
    ) as broker:
        config = BrokerConfig(port=broker.port, tls=False, username="a1", password_file=str(ours))
        async with bench_at(config, tmp_path, resend_after_s=1.0) as bench:
            await bench.connected()
            bench.take()
            await stands(bench, Heard.UNHEARD)
            await eventually(
                lambda: bench.publisher.stats.connections == 2, within=30, what="back at work"
            )
            assert not bench.publisher.stats.failures
        assert "already connected, closing old connection" not in broker.log.read_text()
