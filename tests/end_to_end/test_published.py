"""The year of building data published by an agent over MQTT instead of imported from its file."""

import asyncio
import json
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from jauge_agent.config import BrokerConfig
from jauge_agent.publisher import Publisher
from jauge_agent.spool import Outcome, Spool
from jauge_collector import civil
from jauge_collector.cli import main
from jauge_collector.importer.mapping import load as load_mapping
from jauge_collector.importer.table import rows
from jauge_collector.ledger.book import Ledger
from jauge_models.wire import Address, Sample, encode_samples

from tests import parts
from tests.collector.running import collecting

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "energyplus"
AT_HAND = 12
"""Batches under way at a time, fewer than the publisher keeps for its first lane."""


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _hours(table: Path) -> Iterator[tuple[int, list[Sample]]]:
    """The file's rows as the readings of one tick each."""
    mapping = load_mapping(EXAMPLE / "mapping.toml")
    for row in rows(table, mapping, lambda *_: None):
        assert row.problem is None
        (time_ms,) = {reading.time_ms for reading in row.readings}
        yield time_ms, [Sample(r.series.resource, r.series.quantity, r.value) for r in row.readings]


@asynccontextmanager
async def _publishing(spool: Spool, port: int) -> Any:
    publisher = Publisher(
        BrokerConfig(port=port),
        address=Address("energyplus", "import"),
        boot="year",
        spool=spool,
        resend_after_s=5,
        now_ms=_now_ms,
        open_tick_ms=lambda: None,
        describe=lambda: ([], []),
        chance=random.Random(1),
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(publisher.run())
        await parts.eventually(
            lambda: publisher.stats.connected, within=10, what="the agent is connected"
        )
        yield publisher
        running.cancel()


async def test_a_year_published_hour_by_hour_gives_the_same_pue_and_wue(
    shared_data: Path,
    tmp_path: Path,
    mosquitto: parts.Mosquitto,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """8 760 batches over a real broker: PUE1 1.17773 and WUE 0.16510 within 0.01 %."""
    folder = tmp_path / "energyplus"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("state"))
    config = folder / "collector.toml"
    more = f"\n[mqtt]\nport = {mosquitto.port}\n[ledger]\npass_every_s = 0.5\n"
    config.write_text(
        config.read_text() + more + f'[console]\nlisten = "127.0.0.1:{parts.free_port()}"\n'
    )
    (tmp_path / "spool").mkdir()
    spool = Spool(
        tmp_path / "spool",
        machine="a test",
        max_bytes=10**9,
        max_age_ms=10**13,
        now_ms=_now_ms(),
    )
    table = shared_data / "energyplus_dc" / "two_zone_dc_stockholm_hourly.csv"
    async with collecting(config), _publishing(spool, mosquitto.port) as publisher:
        for time_ms, samples in _hours(table):
            await parts.eventually(
                lambda: spool.spooled.batches < AT_HAND, within=30, what="answers come"
            )
            batch = spool.add(time_ms, encode_samples(samples), len(samples), _now_ms())
            assert batch is not None
            publisher.offer(batch)
        await parts.eventually(
            lambda: spool.spooled.batches == 0, within=30, what="every batch is answered"
        )
        assert spool.total(Outcome.STORED) == spool.total(Outcome.TAKEN)
        assert spool.total(Outcome.STORED).batches == 8760
        end_ms = civil.moment_ms("2024-01-01", civil.zone("UTC+1"))

        def accounted() -> bool:
            with Ledger(folder / "state" / "ledger.db") as ledger:
                rows_of = ledger.rows("energyplus", ["facility", "water"], 0, end_ms)
            return all(len(some) == 8760 for some in rows_of.values())

        await parts.eventually(accounted, within=60, what="the ledger holds the year")
    spool.close()
    arguments = ["--site", "energyplus", "--from", "2023-01-01", "--to", "2024-01-01", "--json"]
    code = await asyncio.to_thread(main, ["kpi", *arguments, "--config", str(config)])
    assert code == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["pue"]["value"] == pytest.approx(1.17773, rel=1e-4)
    assert answer["wue"]["value"] == pytest.approx(0.16510, rel=1e-4)
    assert answer["pue"]["coverage"] == 1.0
    assert answer["simulated"] is True
