"""The simulated year through the report: its PUE1 and WUE unchanged, and nothing without summer."""

import csv
import json
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from jauge_collector.cli import main
from jauge_collector.reports.content import Report, decode
from jauge_models.effectiveness import Status

EXAMPLE: Final = Path(__file__).resolve().parents[2] / "examples" / "energyplus"
WITHIN: Final = 1e-4
"""0.01 %."""
DAYS: Final = 36
SUMMER: Final = frozenset((date(2023, 7, 1) + timedelta(days=n)).isoformat() for n in range(DAYS))
"""From 1 July on; the hours of a day are named 01 to 24 by their ends."""


@pytest.fixture(scope="module")
def table(shared_data: Path) -> Path:
    """The hourly year."""
    return shared_data / "energyplus_dc" / "two_zone_dc_stockholm_hourly.csv"


@pytest.fixture(scope="module")
def whole(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example after its year was imported."""
    return _imported(tmp_path_factory.mktemp("whole"), table)


@pytest.fixture(scope="module")
def without_summer(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without 36 days from 1 July on."""
    folder = tmp_path_factory.mktemp("summer")
    with table.open(encoding="utf-8", newline="") as source:
        head, *rows = list(csv.reader(source))
    kept = [row for row in rows if row[0].partition("T")[0] not in SUMMER]
    assert len(rows) - len(kept) == DAYS * 24
    cut = folder / "cut.csv"
    with cut.open("w", encoding="utf-8", newline="") as target:
        csv.writer(target, lineterminator="\n").writerows([head, *kept])
    return _imported(folder, cut)


def _imported(folder: Path, table: Path) -> Path:
    copy = folder / "energyplus"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("state"))
    words = ["--mapping", str(copy / "mapping.toml"), "--config", str(copy / "collector.toml")]
    assert main(["import", str(table), *words, "--json"]) == 0
    return copy


def _report(folder: Path, quarter: str = "2023-Q4") -> Report:
    out = folder / "out"
    words = ["--quarter", quarter, "--out", str(out), "--formats", "json"]
    assert main(["report", *words, "--config", str(folder / "collector.toml")]) == 0
    return decode((out / f"jauge-energyplus-{quarter}.json").read_bytes())


def _kpi(capsys: pytest.CaptureFixture[str], folder: Path) -> dict[str, Any]:
    capsys.readouterr()
    words = ["--site", "energyplus", "--from", "2023-01-01", "--to", "2024-01-01", "--json"]
    assert main(["kpi", *words, "--config", str(folder / "collector.toml")]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_the_year_reaches_the_report_unchanged(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """PUE1 and WUE as the ledger gives them, of twelve months, marked simulated."""
    report = _report(whole)
    year = report.year.kpis
    assert year.pue.value == pytest.approx(1.17773, rel=WITHIN)
    assert year.wue.value == pytest.approx(0.16510, rel=WITHIN)
    assert year.pue.label == "PUE1"
    assert report.record.simulated
    assert year.simulated
    assert (year.pue.status, year.wue.status) == (Status.SIMULATED, Status.SIMULATED)
    answer = _kpi(capsys, whole)
    assert (year.pue.value, year.wue.value) == (answer["pue"]["value"], answer["wue"]["value"])
    assert (year.start, year.end) == (answer["from"], answer["to"])
    totals = {each.symbol: each for each in report.year.amounts}
    for symbol, name, side in (
        ("E_DC", "pue", "numerator"),
        ("E_IT", "pue", "denominator"),
        ("W_IN", "wue", "numerator"),
    ):
        assert totals[symbol].value == pytest.approx(answer[name][side]["value"])
        assert totals[symbol].coverage == 1.0
    assert report.quarter.kpis.pue.label == "iPUE1"


def test_without_36_summer_days_nothing_is_measured(without_summer: Path) -> None:
    """90.1 % of the year is left: more than the limit, and a hole too long all the same."""
    report = _report(without_summer)
    for kpi in (report.year.kpis.pue, report.year.kpis.wue):
        assert kpi.value is None
        assert kpi.coverage == pytest.approx(329 / 365, abs=1e-4)
        assert kpi.reason is not None
        assert kpi.reason.startswith("not measured: a gap of 36.0 days")
    assert [each.value for each in report.year.amounts] == [None] * len(report.year.amounts)
    quarter = report.quarter.kpis.pue.value
    assert quarter is not None
    assert report.months[6].pue.value is None
