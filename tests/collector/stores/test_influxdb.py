"""The write-only sink; VictoriaMetrics' own InfluxDB 2 interface stands in as a real server."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from jauge_collector.config import InfluxConfig
from jauge_collector.stores.influxdb import InfluxSink
from jauge_models.readings import Reading
from jauge_models.resources import Series

from tests.parts import VictoriaMetrics, eventually

pytestmark = pytest.mark.end_to_end

NOW_MS = time.time_ns() // 1_000_000
BACK_OFF_S = (0.05, 0.2)


def readings(amount: int, start: int = 0) -> list[Reading]:
    """Readings of one series, a millisecond apart."""
    series = Series("paris-1", "host-1", "host", "power")
    return [Reading(series, NOW_MS + i, i + 0.5) for i in range(start, start + amount)]


def sink_to(server: VictoriaMetrics, most_waiting: int = 1000) -> InfluxSink:
    """A sink that is quick to try again."""
    config = InfluxConfig(url=server.url, org="example", bucket="jauge")
    return InfluxSink(config, token="example", most_waiting=most_waiting, back_off_s=BACK_OFF_S)


@asynccontextmanager
async def running(sink: InfluxSink) -> AsyncIterator[None]:
    """The sink at work for the length of the block."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(sink.run())
        yield
        task.cancel()


async def test_offered_readings_are_written(victoria_metrics: VictoriaMetrics) -> None:
    """What is offered arrives as it was, under the same series names as in the main store."""
    sink = sink_to(victoria_metrics)
    async with running(sink):
        sink.offer(readings(10))
        sink.offer(readings(10, start=10))
        await eventually(lambda: sink.written == 20, within=20, what="all are written")
    assert (sink.waiting, sink.dropped) == (0, {})

    async def exported() -> bool:
        await victoria_metrics.force_flush()
        found = await victoria_metrics.export(
            '{__name__="jauge_power_watts",site="paris-1"}', NOW_MS, NOW_MS + 100
        )
        return list(found.values()) == [[(r.time_ms, r.value) for r in readings(20)]]

    await eventually(exported, within=20, what="the readings are exported")


async def test_a_dead_server_holds_nothing_up_and_is_caught_up_with(
    victoria_metrics: VictoriaMetrics, caplog: pytest.LogCaptureFixture
) -> None:
    """Offering goes on while the server is away; what fits waits, the rest is counted as full."""
    await victoria_metrics.kill()
    sink = sink_to(victoria_metrics, most_waiting=25)
    async with running(sink):
        sink.offer(readings(20))
        await eventually(lambda: sink.failing, within=20, what="the loss is noticed")
        sink.offer(readings(20, start=20))
        assert (sink.waiting, sink.dropped, sink.written) == (25, {"full": 15}, 0)
        await victoria_metrics.start()
        await eventually(lambda: sink.written == 25, within=20, what="what waited is written")
        assert not sink.failing
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "the InfluxDB sink is lost",
        "the InfluxDB sink at http",
    ]


async def test_what_the_server_refuses_is_counted(victoria_metrics: VictoriaMetrics) -> None:
    """A bad line or name costs itself alone, and the sink goes on."""
    sink = sink_to(victoria_metrics)
    broken = Series("paris-1", "host-2", "host", "power")
    sink._lines._prefixes[broken] = "jauge,a b c=d e="
    nameless = Series("paris 1", "host-2", "host", "power")
    async with running(sink):
        sink.offer([*readings(3), Reading(broken, NOW_MS, 1.0), Reading(nameless, NOW_MS, 1.0)])
        await eventually(lambda: sink.written == 3, within=20, what="the good are written")
    assert sink.dropped == {"line": 1, "name": 1}
