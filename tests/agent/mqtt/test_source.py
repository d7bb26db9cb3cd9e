"""The mqtt source with a real Mosquitto."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from jauge_agent.config import BrokerConfig
from jauge_agent.source import AbsentError, Outcome, RetryError
from jauge_agent.sources.mqtt.config import MqttPoint, MqttSettings
from jauge_agent.sources.mqtt.source import MqttSource
from jauge_models.wire import Method

from tests.agent.ground import Ground, pair
from tests.parts import Mosquitto, eventually, free_port

POINTS = [
    MqttPoint(
        topic="gateway/+/state",
        path="/ENERGY/Total",
        resource="meter:{1}",
        quantity="energy",
        unit="kWh",
    ),
    MqttPoint(
        topic="water/make-up", payload="plain", resource="meter:W1", quantity="water", unit="l"
    ),
    MqttPoint(
        topic="crah/1",
        payload="senml",
        record="crah-1/temperature",
        resource="sensor:crah-1",
        quantity="temperature",
        name="Return air",
    ),
]


def settings_for(port: int, *points: MqttPoint, **broker: Any) -> MqttSettings:
    """Settings for a broker on this machine."""
    config = BrokerConfig(**{"host": "127.0.0.1", "port": port, "tls": False, **broker})
    return MqttSettings(broker=config, points=list(points or POINTS), deadline_s=10.0)


async def publish(port: int, topic: str, payload: bytes | str, *, retain: bool = False) -> None:
    """As a meter does."""
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.publish(topic, payload, qos=1, retain=retain)


async def publish_all(port: int) -> None:
    """One message of each device."""
    await publish(port, "gateway/M7/state", json.dumps({"ENERGY": {"Total": 12.5}}))
    await publish(port, "water/make-up", "1500")
    await publish(
        port, "crah/1", json.dumps([{"bn": "crah-1/", "n": "temperature", "u": "Cel", "v": 31.5}])
    )


def values(outcome: Outcome) -> dict[str, float]:
    """Values by resource and quantity."""
    return {f"{each.resource}/{each.quantity}": each.value for each in outcome.samples}


async def test_each_form_of_message_becomes_a_reading(mosquitto: Mosquitto) -> None:
    """JSON by a wildcard, a plain number, SenML; the birth is sent anew for the new meter."""
    source = MqttSource(settings_for(mosquitto.port))
    described = await source.open()
    assert {each.id for each in described} == {"meter:W1", "sensor:crah-1"}
    reading = asyncio.create_task(source.read())  # the first waits for the points without wildcard
    await publish_all(mosquitto.port)
    outcome = await reading
    await source.close()
    assert values(outcome) == {
        "meter:M7/energy": 4.5e7,
        "meter:W1/water": 1.5,
        "sensor:crah-1/temperature": 31.5,
    }
    assert not outcome.failed
    assert outcome.resources is not None
    by_id = {each.id: each for each in outcome.resources}
    assert by_id.keys() == {"meter:M7", "meter:W1", "sensor:crah-1"}
    assert by_id["meter:W1"].quantities == {"water": Method.REGISTER}
    assert by_id["sensor:crah-1"].quantities == {"temperature": Method.GAUGE}
    assert by_id["sensor:crah-1"].name == "Return air"


async def test_what_lay_at_the_broker_is_not_taken_for_new(mosquitto: Mosquitto) -> None:
    """A retained message without a time of its own says nothing of now."""
    await publish(mosquitto.port, "water/make-up", "1500", retain=True)
    source = MqttSource(settings_for(mosquitto.port, POINTS[1]))
    await source.open()
    counted: dict[str, int] = {}

    async def counts_it() -> bool:
        source._is_first = False
        outcome = await source.read()
        assert not outcome.samples
        counted.update(outcome.failed)
        return "retained" in counted

    await eventually(counts_it, within=20, what="the kept message is counted")
    await source.close()


async def test_a_broker_that_is_lost_comes_back(mosquitto: Mosquitto) -> None:
    """Its loss is counted; after its return the topics are heard again, without a restart."""
    source = MqttSource(settings_for(mosquitto.port, POINTS[1]))
    await source.open()
    source._is_first = False
    await mosquitto.kill()

    async def is_lost() -> bool:
        return "broker" in (await source.read()).failed

    await eventually(is_lost, within=20, what="the loss is counted")
    await mosquitto.start()

    async def is_heard() -> bool:
        await publish(mosquitto.port, "water/make-up", "1700")
        return values(await source.read()) == {"meter:W1/water": 1.7}

    await eventually(is_heard, within=60, what="the meter is heard again")
    await source.close()


async def test_a_broker_that_is_not_there_is_said_in_one_line() -> None:
    """And the source goes on trying."""
    port = free_port()
    settings = settings_for(port)
    source = MqttSource(
        MqttSettings(broker=settings.broker, points=settings.points, deadline_s=1.0)
    )
    with pytest.raises(RetryError, match="refused") as error:
        await source.open()
    assert "\n" not in str(error.value)
    await source.close()


async def test_the_connection_speaks_tls_and_shows_a_certificate(ground: Ground) -> None:
    """As the agent's own connection does; a wrong authority is refused, and said."""
    files = {"tls": True, "ca_file": str(ground.authority.certificate)}
    client = ground.authority.issue("collector")
    source = MqttSource(settings_for(ground.broker.port, POINTS[1], **files, **pair(client)))
    await source.open()
    await source.close()
    source = MqttSource(settings_for(ground.broker.port, POINTS[1], **files))
    with pytest.raises(RetryError, match="asks for a certificate"):
        await source.open()
    await source.close()


async def test_without_a_point_there_is_no_connection(tmp_path: Path) -> None:
    """The usual case, said once."""
    with pytest.raises(AbsentError, match=r"no point is listed under sources\.mqtt\.points"):
        await MqttSource(MqttSettings()).open()


async def test_nonsense_on_a_topic_disturbs_nobody(mosquitto: Mosquitto) -> None:
    """Counted by its reason; the next message is read."""
    source = MqttSource(settings_for(mosquitto.port, POINTS[1]))
    await source.open()
    source._is_first = False
    for payload in (b"\xff\xfe", b"", b"NaN", b"1" * 100_000, b"{}"):
        await publish(mosquitto.port, "water/make-up", payload)
    await publish(mosquitto.port, "water/make-up", b"1500")
    counted: dict[str, int] = {}
    found: dict[str, float] = {}

    async def all_heard() -> bool:
        outcome = await source.read()
        for reason, count in outcome.failed.items():
            counted[reason] = counted.get(reason, 0) + count
        found.update(values(outcome))
        return bool(found)

    await eventually(all_heard, within=20, what="the good message is read")
    await source.close()
    assert found == {"meter:W1/water": 1.5}
    assert counted.pop("silent", 0) >= 0
    assert counted == {"form": 1, "value": 3, "size": 1}
