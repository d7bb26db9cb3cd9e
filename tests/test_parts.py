"""The real parts start, die and come back, so that the tests that kill them can be believed."""

import time
from pathlib import Path

import aiomqtt
import pytest

from tests import parts
from tests.parts import Mosquitto, VictoriaMetrics, eventually

pytestmark = pytest.mark.end_to_end


async def exchange(broker: Mosquitto, protocol: aiomqtt.ProtocolVersion) -> bytes:
    """Send one message through the broker to oneself."""
    async with aiomqtt.Client("127.0.0.1", broker.port, protocol=protocol) as client:
        await client.subscribe("jauge/v1/site/agent/readings", qos=1)
        await client.publish("jauge/v1/site/agent/readings", b"reading", qos=1)
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            return message.payload
    raise AssertionError("no message")


@pytest.mark.parametrize(
    "protocol", [aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5], ids=["3.1.1", "5"]
)
async def test_mosquitto_carries_messages_again_after_a_kill(
    mosquitto: Mosquitto, protocol: aiomqtt.ProtocolVersion
) -> None:
    """A killed broker refuses connections and serves again on the same port once restarted."""
    assert await exchange(mosquitto, protocol) == b"reading"
    port = mosquitto.port
    await mosquitto.kill()
    assert not await mosquitto.ready()
    await mosquitto.restart()
    assert mosquitto.port == port
    assert await exchange(mosquitto, protocol) == b"reading"


async def test_victoria_metrics_keeps_its_data_and_port(victoria_metrics: VictoriaMetrics) -> None:
    """Points written before an orderly restart are exported after it, once and unchanged."""
    store = victoria_metrics
    now_ms = time.time_ns() // 1_000_000
    line = f"jauge_power_watts,resource=host value=61.5 {now_ms * 1_000_000}\n".encode()

    async def written() -> bool:
        await store.force_flush()
        return await exported() == [(now_ms, 61.5)]

    async def exported() -> list[tuple[int, float]]:
        series = await store.export(
            '{__name__="jauge_power_watts_value"}', now_ms - 1000, now_ms + 1000
        )
        return [point for points in series.values() for point in points]

    for _ in range(2):
        assert (await store.request("POST", "/write", line))[0] == 204
    await eventually(written, within=15, what="the point is exported once")
    await store.restart()
    await eventually(written, within=15, what="the point is still there after the restart")

    await store.kill()
    assert not await store.ready()
    await store.restart()
    assert await store.ready()


async def test_a_part_that_cannot_start_says_why(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """A taken port and a bad setting are both errors, the latter with the daemon's own words."""
    with pytest.raises(RuntimeError, match="taken"):
        await Mosquitto(tmp_path / "second", port=mosquitto.port).start()
    with pytest.raises(RuntimeError, match="Unknown configuration variable"):
        await Mosquitto(tmp_path / "third", settings={"no_such_setting": "1"}).start()


async def test_a_part_that_is_not_installed_names_its_package(tmp_path: Path) -> None:
    """An absent program is told by the Debian package that has it."""

    class Absent(Mosquitto):
        program = "no-such-broker"

    with pytest.raises(parts.PartMissingError, match="Debian package mosquitto"):
        Absent(tmp_path)
