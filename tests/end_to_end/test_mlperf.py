"""Wall power of real GPU servers at 1 Hz: energy in the windows as the benchmark's rule has it."""

import csv
import gzip
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from jauge_collector import config, sites
from jauge_collector.cli import main
from jauge_collector.ledger.book import Ledger
from jauge_models.intervals import Point, from_power

WITHIN = 0.002
"""0.2 %."""
MAX_GAP_MS = 180_000

COLLECTOR = """
sites = ["site.toml"]
state_dir = "state"
[store]
retention_days = 36500
"""

METER = """
[[meters]]
id = "NAME"
commodity = "electricity"
feeds = ["import/meter:NAME"]
interval_s = 300
"""

MAPPING = """
site = "mlperf"

[file]
header = false

[time]
columns = [2]
format = "%m-%d-%Y %H:%M:%S.%f"
zone = "UTC"
labels = "instant"

[values]
not_measured = ["< 0"]

[[columns]]
column = 4
resource = "meter:NAME"
quantity = "power"
unit = "W"

[[columns]]
column = 6
resource = "meter:NAME"
quantity = "voltage"
unit = "V"
"""


class Log(NamedTuple):
    """One log with the window that the benchmark measured."""

    name: str
    path: Path
    begin_ms: int
    end_ms: int
    kwh: float


def _logs(shared_data: Path) -> list[Log]:
    folder = shared_data / "mlperf_power"
    with (folder / "windows.csv").open(newline="") as file:
        return [
            Log(
                f"m{number}",
                folder / f"{r['system']}__{r['benchmark']}__{r['scenario']}.spl.txt.gz",
                _ms(r["power_begin"]),
                _ms(r["power_end"]),
                float(r["energy_kwh"]),
            )
            for number, r in enumerate(csv.DictReader(file))
        ]


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def _site(folder: Path, names: list[str]) -> None:
    (folder / "collector.toml").write_text(COLLECTOR)
    terms = ", ".join(f'{{ meter = "{name}" }}' for name in names)
    (folder / "site.toml").write_text(
        '[site]\nname = "mlperf"\ntime_zone = "UTC"\n'
        f'[[equations]]\nsymbol = "E_IT"\nplace = "it_input"\nterms = [{terms}]\n'
        + "".join(METER.replace("NAME", name) for name in names)
    )


def _import(folder: Path, name: str, path: Path) -> int:
    mapping = folder / f"{name}.toml"
    mapping.write_text(MAPPING.replace("NAME", name))
    arguments = [str(path), "--mapping", str(mapping), "--config", str(folder / "collector.toml")]
    return main(["import", *arguments])


def _stored(folder: Path, quantity: str) -> Mapping[str, list[Point]]:
    database = sqlite3.connect(folder / "state" / "readings.db")
    try:
        found: dict[str, list[Point]] = {}
        for resource, time_ms, value in database.execute(
            "SELECT resource, time_ms, value FROM readings JOIN series ON id = series_id"
            " WHERE quantity = ? ORDER BY time_ms",
            (quantity,),
        ):
            found.setdefault(resource.removeprefix("meter:"), []).append(Point(time_ms, value))
        return found
    finally:
        database.close()


def test_windows(shared_data: Path, tmp_path: Path) -> None:
    """Every window's energy is within 0.2 %; ledger rows add up to the whole log; no -1 is kept."""
    logs = _logs(shared_data)
    assert len(logs) == 22
    _site(tmp_path, [log.name for log in logs])
    for log in logs:
        assert _import(tmp_path, log.name, log.path) == 0
    power = _stored(tmp_path, "power")
    settings = config.load(tmp_path / "collector.toml")
    site = sites.load(tmp_path / "site.toml")
    with Ledger(settings.state(settings.ledger.path)) as ledger:
        for log in logs:
            points = power[log.name]
            window = from_power(points, log.begin_ms, log.end_ms, max_gap_ms=MAX_GAP_MS)
            assert window.coverage == 1.0
            assert window.amount is not None
            assert window.amount / 3.6e6 == pytest.approx(log.kwh, rel=WITHIN)
            span = (points[0].time_ms, points[-1].time_ms)
            rows = ledger.rows(site.name, [log.name], *span)[log.name]
            whole = from_power(points, *span, max_gap_ms=MAX_GAP_MS)
            assert sum(row.amount or 0.0 for row in rows) == pytest.approx(whole.amount)
            assert sum(row.covered_ms for row in rows) == whole.covered_ms
    voltage = _stored(tmp_path, "voltage")
    assert all(point.value >= 0 for points in power.values() for point in points)
    assert all(point.value > 0 for points in voltage.values() for point in points)
    assert len(voltage) == 10, "the analyser of the other system printed -1 for every voltage"


@pytest.mark.parametrize("sentinel", ["-1.000000", "-2.000000"])
def test_sentinels_never_enter_a_sum(shared_data: Path, tmp_path: Path, sentinel: str) -> None:
    """With every tenth sample of a real log replaced by -1 or -2 W the energy stays the same."""
    log = _logs(shared_data)[-1]
    lines = gzip.decompress(log.path.read_bytes()).decode().splitlines()
    for at in range(5, len(lines), 10):
        cells = lines[at].split(",")
        cells[3] = sentinel
        lines[at] = ",".join(cells)
    spoilt = tmp_path / "spoilt.csv"
    spoilt.write_text("\n".join(lines) + "\n")
    _site(tmp_path, [log.name])
    assert _import(tmp_path, log.name, spoilt) == 0
    points = _stored(tmp_path, "power")[log.name]
    assert len(points) == len(lines) - len(range(5, len(lines), 10))
    assert min(point.value for point in points) > 0
    window = from_power(points, log.begin_ms, log.end_ms, max_gap_ms=MAX_GAP_MS)
    assert window.amount is not None
    assert window.amount / 3.6e6 == pytest.approx(log.kwh, rel=WITHIN)
