"""A live connection with a dead subscription is found, counted, said once and answered."""

import asyncio
import logging
import signal
import time
from os import kill
from pathlib import Path

import aiomqtt
import pytest
from jauge_collector import heartbeat
from jauge_collector.heartbeat import DEAF_AFTER_S, DEAF_WITHOUT_S, EVERY_S, Heartbeat
from jauge_collector.service import Service

from tests.collector.packs import TOPIC, pack
from tests.collector.running import collecting, configured
from tests.collector.test_telemetry import samples
from tests.parts import Mosquitto, eventually

DEAF = "topic write jauge/#\n"
HEARING = "topic readwrite jauge/#\n"


class Clock:
    """Monotonic seconds, as set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The moment it is."""
        return self.now


def test_what_comes_back_is_a_sign_of_life() -> None:
    """Found within a minute, for a heartbeat goes out four times in it."""
    clock = Clock()
    beat = Heartbeat("c-1", clock)
    assert beat.topic == "jauge/heartbeat/c-1"
    beat.connected()
    payload = beat.beat()
    clock.now += 1
    assert beat.take(beat.topic, payload, retained=False)
    assert beat.is_back
    clock.now += DEAF_AFTER_S
    deaf = [beat.is_deaf]
    clock.now += EVERY_S
    deaf.append(beat.is_deaf)
    assert DEAF_AFTER_S + EVERY_S <= 60
    beat.connected()
    deaf.append(beat.is_deaf)
    assert deaf == [False, True, False]


def test_only_what_was_sent_on_this_connection_counts() -> None:
    """What somebody else, or an earlier connection, published there proves nothing."""
    clock = Clock()
    beat = Heartbeat("", clock)
    old = beat.beat()
    beat.connected()
    for payload in (old, b"", b"hello"):
        assert beat.take(beat.topic, payload, retained=False), "it is not for the inbox"
    assert not beat.is_back
    assert not beat.take(TOPIC, b"", retained=True), "what the broker kept is no sign of life"
    clock.now += DEAF_AFTER_S + 1
    assert beat.is_deaf


def test_a_broker_that_forbids_the_topic_is_not_taken_for_deaf_at_once() -> None:
    """Agents' messages show that it delivers; they may be minutes apart."""
    clock = Clock()
    beat = Heartbeat("a/b", clock)
    assert "a/b" not in beat.topic, "a client id that is no name makes no topic"
    beat.connected()
    beat.beat()
    assert not beat.take(TOPIC, b"", retained=False)
    clock.now += DEAF_AFTER_S + 1
    assert not beat.is_deaf
    assert beat.is_refused
    clock.now += DEAF_WITHOUT_S
    assert beat.is_deaf


def connections(service: Service) -> float:
    """How often it connected."""
    return samples(service.state.telemetry)["jauge_collector_mqtt_connections_total"][0][1]


@pytest.mark.end_to_end
async def test_a_dead_subscription_is_found_and_answered_by_reconnecting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An ACL that filters what is delivered: granted, connected, and nothing comes."""
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.2)
    monkeypatch.setattr(heartbeat, "DEAF_AFTER_S", 1.0)
    caplog.set_level(logging.INFO, logger="jauge_collector.subscriber")
    acl = tmp_path / "acl"
    acl.write_text(HEARING, encoding="ascii")
    acl.chmod(0o600)
    settings = {"acl_file": str(acl)}
    async with (
        Mosquitto(tmp_path / "broker", settings=settings) as broker,
        collecting(configured(tmp_path, mqtt_port=broker.port)) as service,
    ):

        def mqtt() -> tuple[bool, str]:
            (part,) = (part for part in service.readiness() if part.name == "mqtt")
            return part.ready, part.detail

        def told(text: str) -> int:
            return sum(text in record.getMessage() for record in caplog.records)

        assert mqtt() == (True, "")
        acl.write_text(DEAF, encoding="ascii")
        kill(broker.pid, signal.SIGHUP)
        await eventually(lambda: not mqtt()[0], within=30, what="deafness is found")
        assert "deaf" in mqtt()[1]
        await eventually(lambda: connections(service) >= 4, within=60, what="it reconnects")
        assert not mqtt()[0], "a new connection alone is no recovery"
        shown = samples(service.state.telemetry)["jauge_collector_mqtt_failures_total"]
        failures = {labels["reason"]: count for labels, count in shown}
        assert failures["deaf"] >= 3
        assert told("delivers nothing") == 1
        acl.write_text(HEARING, encoding="ascii")
        kill(broker.pid, signal.SIGHUP)
        await eventually(lambda: mqtt()[0], within=60, what="it hears again")
        assert (told("delivers nothing"), told("connected to the broker")) == (1, 2)


@pytest.mark.end_to_end
async def test_a_heartbeat_is_neither_kept_nor_taken_for_an_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a topic outside of the agents'; not retained; agents' messages come through beside it."""
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.05)
    async with (
        Mosquitto(tmp_path / "broker") as broker,
        aiomqtt.Client("127.0.0.1", broker.port) as listener,
    ):
        await listener.subscribe("jauge/#")
        path = configured(
            tmp_path, mqtt_port=broker.port, mqtt='tls = false\nclient_id = "collector-1"'
        )
        async with collecting(path) as service:
            await listener.publish(TOPIC, pack(time_ms=time.time_ns() // 1_000_000), qos=1)
            beats = 0
            async with asyncio.timeout(20):
                async for message in listener.messages:
                    assert not message.retain
                    beats += message.topic.value == "jauge/heartbeat/collector-1"
                    if beats >= 3:
                        break
            shown = samples(service.state.telemetry)
            assert len(service.state.inventory) == 1
            assert not shown.get("jauge_collector_documents_refused_total")
            assert not service.state.faults.by_reason
