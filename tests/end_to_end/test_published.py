"""The year of building data published over MQTT, hour by hour, instead of imported."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from jauge_collector import civil
from jauge_collector.cli import main
from jauge_collector.importer.mapping import load as load_mapping
from jauge_collector.importer.table import rows
from jauge_collector.ledger.book import Ledger
from jauge_models.wire import Address, Sample, encode_samples, seal

from tests import parts
from tests.collector.running import WireAgent, collecting

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "energyplus"
HOURS = 8760
AT_HAND = 400
"""Batches sent before their answers are awaited."""


def _packs(table: Path, agent: WireAgent) -> Iterator[tuple[int, bytes]]:
    """Each row of the file as the batch that an agent would have taken at its hour."""
    mapping = load_mapping(EXAMPLE / "mapping.toml")
    for seq, row in enumerate(rows(table, mapping, lambda *_: None), start=1):
        assert row.problem is None
        (time_ms,) = {reading.time_ms for reading in row.readings}
        samples = [Sample(r.series.resource, r.series.quantity, r.value) for r in row.readings]
        yield (
            seq,
            seal(
                encode_samples(samples),
                address=agent.address,
                boot=agent.boot,
                seq=seq,
                oldest_ms=time_ms,
                time_ms=time_ms,
            ),
        )


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
    more = f"\n[mqtt]\ntls = false\nport = {mosquitto.port}\n[ledger]\npass_every_s = 0.5\n"
    more += "[limits]\nmessages_per_s = 10000\n"  # a year in seconds is no agent's catch-up
    config.write_text(
        config.read_text() + more + f'[console]\nlisten = "127.0.0.1:{parts.free_port()}"\n'
    )
    table = shared_data / "energyplus_dc" / "two_zone_dc_stockholm_hourly.csv"
    agent = WireAgent(mosquitto.port, Address("energyplus", "import"))
    async with collecting(config), agent:
        packs = _packs(table, agent)
        while some := list(islice(packs, AT_HAND)):
            await agent.send(payload for _, payload in some)
            await agent.answered((seq for seq, _ in some), within=30)
        assert agent.stored == set(range(1, HOURS + 1))
        assert agent.refused == {}
        end_ms = civil.moment_ms("2024-01-01", civil.zone("UTC+1"))

        def accounted() -> bool:
            with Ledger(folder / "state" / "ledger.db") as ledger:
                rows_of = ledger.rows("energyplus", ["facility", "water"], 0, end_ms)
            return all(len(some) == HOURS for some in rows_of.values())

        await parts.eventually(accounted, within=60, what="the ledger holds the year")
    arguments = ["--site", "energyplus", "--from", "2023-01-01", "--to", "2024-01-01", "--json"]
    code = await asyncio.to_thread(main, ["kpi", *arguments, "--config", str(config)])
    assert code == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["pue"]["value"] == pytest.approx(1.17773, rel=1e-4)
    assert answer["wue"]["value"] == pytest.approx(0.16510, rel=1e-4)
    assert answer["pue"]["coverage"] == 1.0
    assert answer["simulated"] is True
