"""Three years of real GPU power with real holes: months' energy and coverage as counted by hand.

The files are hourly means in W, newest first, tab-separated, with a byte-order mark and a footer.
"""

import csv
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
from jauge_collector import civil, config, sites
from jauge_collector.cli import main
from jauge_collector.kpis import Step, energy_profile
from jauge_collector.ledger.book import Ledger
from jauge_collector.sites import Site

HOUR_MS = 3_600_000
SERVERS = ("cbsugpu05", "cbsugpu06", "cbsugpu07")

COLLECTOR = """
sites = ["site.toml"]
state_dir = "state"
[store]
retention_days = 36500
"""

SITE = """
[site]
name = "biohpc"
time_zone = "UTC-05:00"

[[equations]]
symbol = "E_IT"
place = "agents"
terms = [{ meter = "cbsugpu05" }, { meter = "cbsugpu06" }, { meter = "cbsugpu07" }]
"""

METER = """
[[meters]]
id = "NAME"
commodity = "electricity"
feeds = ["import/gpu:NAME"]
interval_s = 3600
period_s = 3600
grade = "low"
"""

MAPPING = """
site = "biohpc"

[file]
delimiter = '\\t'
skip = ['^\\(\\d+ rows affected\\)$', '^Completion time:']

[time]
columns = ["timestamp"]
zone = "UTC-05:00"
labels = "start"
period_s = 3600

[[columns]]
column = "powerave"
resource = "gpu:NAME"
quantity = "energy_amount"
unit = "W"
mean = true

[[columns]]
column = "tempave"
resource = "gpu:NAME"
quantity = "temperature"
unit = "degC"
"""


@pytest.fixture(scope="module")
def folder(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """State after the import of all three files by the real command."""
    here = tmp_path_factory.mktemp("biohpc")
    (here / "collector.toml").write_text(COLLECTOR)
    meters = "".join(METER.replace("NAME", name) for name in SERVERS)
    (here / "site.toml").write_text(SITE + meters)
    for name in SERVERS:
        mapping = here / f"{name}.toml"
        mapping.write_text(MAPPING.replace("NAME", name))
        table = shared_data / "biohpc_gpu_power" / f"{name}_usage_stats.txt"
        arguments = [str(table), "--mapping", str(mapping)]
        assert main(["import", *arguments, "--config", str(here / "collector.toml")]) == 0
    return here


@pytest.fixture
def site(folder: Path) -> Site:
    """The site of the three servers."""
    return sites.load(folder / "site.toml")


@pytest.fixture
def ledger(folder: Path) -> Iterator[Ledger]:
    """The ledger that the import computed."""
    settings = config.load(folder / "collector.toml")
    with Ledger(settings.state(settings.ledger.path)) as opened:
        yield opened


@pytest.mark.parametrize("server", SERVERS)
def test_months(shared_data: Path, site: Site, ledger: Ledger, server: str) -> None:
    """Every month's kWh and coverage are those of its present hours; no month is scaled up."""
    with (shared_data / "biohpc_gpu_power" / "truth_monthly.csv").open(newline="") as file:
        truth = {r["month"]: r for r in csv.DictReader(file) if r["gpu_server"] == server}
    begin = civil.midnight_ms(date(2022, 8, 1), site.zone)
    end = civil.midnight_ms(date(2025, 11, 1), site.zone)
    months = energy_profile(ledger, site, server, begin, end, step=Step.MONTH)
    assert len(months) == 39
    for month in months:
        expected = truth.pop(civil.day(month.start_ms, site.zone).strftime("%Y-%m"), None)
        if expected is None:
            assert (month.amount, month.covered_ms) == (None, 0)
            continue
        assert month.amount is not None
        assert month.amount / 3.6e6 == pytest.approx(
            float(expected["kwh_of_present_hours"]), abs=6e-5
        )
        assert month.covered_ms == int(expected["hours_present"]) * HOUR_MS
        assert month.coverage == pytest.approx(float(expected["coverage"]), abs=6e-5)
    assert truth == {}


@pytest.mark.parametrize("server", ["cbsugpu05", "cbsugpu06"])
def test_the_hole_is_a_hole(site: Site, ledger: Ledger, server: str) -> None:
    """Between the labels 4 346 h apart nothing is covered, held or bridged."""
    begin = civil.moment_ms("2022-08-25T15:00", site.zone)
    end = civil.moment_ms("2023-02-22T16:00", site.zone)
    assert end - begin == (4346 - 1) * HOUR_MS
    rows = ledger.rows(site.name, [server], begin - 30 * HOUR_MS, end + 30 * HOUR_MS)[server]
    measured = [row for row in rows if row.amount is not None]
    holes = [(a.end_ms, b.start_ms) for a, b in pairwise(measured) if a.end_ms != b.start_ms]
    assert (begin, end) in holes
    assert [row for row in measured if begin <= row.start_ms < end] == []


def test_ratio_over_the_hole_is_withheld(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A site without E_DC gives no PUE, and says so instead of a figure."""
    period = ["--from", "2022-08-01", "--to", "2023-08-01"]
    arguments = ["kpi", "--site", "biohpc", *period, "--config", str(folder / "collector.toml")]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "estimated ratio, not a PUE  not measured" in shown
    assert "no equation for E_DC is declared" in shown
