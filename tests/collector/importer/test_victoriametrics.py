"""A quarter from a file into a real VictoriaMetrics: the same figures as from SQLite."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from jauge_collector.cli import main

from tests.parts import VictoriaMetrics

pytestmark = pytest.mark.end_to_end

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "energyplus"
QUARTER = ["--from", "2023-01-01", "--to", "2023-04-01"]
HOURS = 90 * 24
SETTLE_S = 12


@pytest.fixture
def table(tmp_path: Path, shared_data: Path) -> Path:
    """The first quarter of EnergyPlus' hourly results."""
    path = shared_data / "energyplus_dc" / "two_zone_dc_stockholm_hourly.csv"
    if not path.is_file():
        pytest.skip("../shared/data/energyplus_dc is not here")
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    quarter = tmp_path / "quarter.csv"
    quarter.write_text("".join(lines[: 1 + HOURS]), encoding="utf-8")
    return quarter


def _configured(folder: Path, store: str = "") -> Path:
    """The example in a folder of its own, with another store where one is given."""
    shutil.copytree(EXAMPLE, folder)
    path = folder / "collector.toml"
    text = path.read_text()
    path.write_text(text.partition("[store]")[0] + store if store else text)
    return path


async def test_a_quarter_gives_what_the_embedded_store_gives(
    tmp_path: Path,
    table: Path,
    victoria_metrics: VictoriaMetrics,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Both stores give equal KPIs, and a second import writes nothing to either."""
    store = (
        f'[store]\nkind = "victoriametrics"\nurl = "{victoria_metrics.url}"\n'
        f"settle_s = {SETTLE_S}\n"
    )
    embedded = _configured(tmp_path / "embedded")
    served = _configured(tmp_path / "served", store)

    async def run(config: Path, *command: str) -> Any:
        code = await asyncio.to_thread(main, [*command, "--config", str(config), "--json"])
        shown = capsys.readouterr()
        assert code == 0, shown.err
        return json.loads(shown.out)

    async def import_into(config: Path) -> Any:
        return await run(config, "import", str(table), "--mapping", str(EXAMPLE / "mapping.toml"))

    def kpis(config: Path) -> Any:
        return run(config, "kpi", "--site", "energyplus", *QUARTER)

    expected = await import_into(embedded)
    assert expected["written"] == expected["readings"] == 8 * HOURS
    assert await import_into(served) == expected
    figures = await kpis(served)
    assert figures["pue"]["value"] > 1
    assert figures == await kpis(embedded)
    for config in (embedded, served):
        assert await import_into(config) == expected | {"written": 0}
    assert await kpis(served) == figures
