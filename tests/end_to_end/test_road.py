"""The whole road with real parts: agent, Mosquitto, collector and store, each a process."""

import json
import time
from pathlib import Path

import pytest

from tests import parts
from tests.faults.account import Account
from tests.faults.matrix import Expect
from tests.faults.stage import Stage


def assert_exactly(account: Account) -> None:
    """As many readings as were taken, none twice, each with its value, nothing left over."""
    assert list(Expect().breaches(account)) == []
    assert account.stored == account.taken


async def assert_named_as_they_must(store: parts.VictoriaMetrics, series: int) -> None:
    """The store's series have the labels that they must have and no other."""
    now_ms = time.time_ns() // 1_000_000
    found = await store.export(
        '{site="stage",agent="counter"}', now_ms - 3_600_000, now_ms + 3_600_000
    )
    metrics = [json.loads(labels) for labels in found]
    assert {metric["resource"] for metric in metrics} == {f"meter:m{n}" for n in range(series)}
    for metric in metrics:
        assert metric.keys() == {"__name__", "site", "agent", "kind", "resource"}
        assert (metric["__name__"], metric["kind"]) == ("jauge_energy_joules_total", "meter")


@pytest.fixture(autouse=True)
def daemons(mosquitto: parts.Mosquitto, victoria_metrics: parts.VictoriaMetrics) -> None:
    """Skip, or fail in CI, where one is missing: a stage starts its own."""


async def test_killed_broker_store_collector_and_agent_lose_and_double_nothing(
    tmp_path: Path,
) -> None:
    """N readings in, the same N out of the store, though each part is killed once."""
    async with Stage(tmp_path) as stage:
        await stage.more("stored", 1)
        for name in ("broker", "store", "collector", "agent"):
            await stage.kill(name)
            if name != "agent":
                await stage.more("taken", 4)
            await stage.start(name)
            await stage.more("taken", 4)
        account = await stage.account()
        assert account.taken > 20 * stage.series
        assert_exactly(account)
        await assert_named_as_they_must(stage.store, stage.series)
        await stage.stop("collector")
        assert stage.collectors[0].status == 0


async def test_embedded_store_takes_the_same_road(tmp_path: Path) -> None:
    """With SQLite too: N readings in, the same N in the file, though the collector was killed."""
    async with Stage(tmp_path, embedded=True) as stage:
        await stage.more("stored", 4)
        await stage.kill("collector")
        await stage.more("taken", 4)
        await stage.start("collector")
        assert_exactly(await stage.account())
