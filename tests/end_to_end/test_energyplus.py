"""A year of building data through the real command: PUE and WUE as EnergyPlus itself totals them.

The file is worked out by a physics model that nobody here wrote; ``truth.csv`` holds its totals.
"""

import csv
import json
import random
import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from jauge_collector.cli import main

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "energyplus"
WITHIN = 1e-4
"""0.01 %."""


@pytest.fixture(scope="module")
def table(shared_data: Path) -> Path:
    """The hourly year."""
    return shared_data / "energyplus_dc" / "two_zone_dc_stockholm_hourly.csv"


@pytest.fixture(scope="module")
def truth(shared_data: Path) -> Mapping[str, Mapping[str, str]]:
    """EnergyPlus' own totals, by site and quarter."""
    with (shared_data / "energyplus_dc" / "truth.csv").open(newline="") as file:
        return {row["site"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def imported(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example into which the year was imported once."""
    folder = _fresh(tmp_path_factory.mktemp("once"))
    assert _import(folder, table) == 0
    return folder


def _fresh(folder: Path) -> Path:
    copy = folder / "energyplus"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("state"))
    return copy


def _import(folder: Path, table: Path) -> int:
    return main(
        [
            "import",
            str(table),
            "--mapping",
            str(folder / "mapping.toml"),
            "--config",
            str(folder / "collector.toml"),
            "--json",
        ]
    )


def _kpi(
    capsys: pytest.CaptureFixture[str], config: Path, begin: str = "2023-01-01", end: str = ""
) -> dict[str, Any]:
    capsys.readouterr()
    arguments = ["--site", "energyplus", "--from", begin, "--to", end or "2024-01-01", "--json"]
    assert main(["kpi", *arguments, "--config", str(config)]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_pue1_and_wue_of_the_year(imported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """E_IT at the UPS output: PUE1 1.17773 and WUE 0.16510 within 0.01 %, marked simulated."""
    answer = _kpi(capsys, imported / "collector.toml")
    assert answer["pue"]["value"] == pytest.approx(1.17773, rel=WITHIN)
    assert answer["wue"]["value"] == pytest.approx(0.16510, rel=WITHIN)
    assert (answer["pue"]["label"], answer["pue"]["category"]) == ("PUE1", "PUE1")
    assert answer["pue"]["period_kind"] == "annual"
    assert answer["simulated"] is True
    for name in ("pue", "wue"):
        assert answer[name]["coverage"] == 1.0
        assert answer[name]["status"] == "simulated"
        assert answer[name]["reason"] is None
    assert answer["from"] == "2023-01-01T00:00:00+01:00"
    assert answer["to"] == "2024-01-01T00:00:00+01:00"


def test_answer_has_the_agreed_keys(imported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON holds what is promised for every indicator; a withheld value has its reason."""
    answer = _kpi(capsys, imported / "collector.toml")
    promised = {
        "value", "reason", "unit", "label", "category", "period_kind", "status", "coverage",
        "attested_share", "uncertainty", "numerator", "denominator", "grade", "boundary",
        "formula", "rule_status",
    }  # fmt: skip
    for name in ("pue", "wue", "cue", "ref", "erf"):
        assert promised <= answer[name].keys()
        assert (answer[name]["value"] is None) is bool(answer[name]["reason"])
    assert answer["cue"]["reason"] == "no emission factor is declared for the period"


def test_ratios_at_the_ups_input(
    imported: Path, truth: Mapping[str, Mapping[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """With the UPS losses in E_IT the year's ratios come out, in no category and said so."""
    answer = _kpi(capsys, imported / "collector-ups-input.toml")
    year = truth["stockholm"]
    assert answer["pue"]["value"] == pytest.approx(float(year["pue_ratio_of_sums"]), rel=WITHIN)
    assert answer["wue"]["value"] == pytest.approx(float(year["wue_l_per_kwh"]), rel=WITHIN)
    assert answer["pue"]["label"] == "ratio at UPS input, not a PUE"
    assert answer["wue"]["label"] == "ratio at UPS input, not a WUE"
    assert answer["pue"]["category"] is None
    totals = [answer[name]["numerator"]["value"] for name in ("pue", "wue")]
    assert totals == pytest.approx([float(year["facility_kwh"]), float(year["water_m3"])], rel=1e-6)


@pytest.mark.parametrize(
    ("quarter", "days"),
    [
        ("Q1", ("2023-01-01", "2023-04-01")),
        ("Q2", ("2023-04-01", "2023-07-01")),
        ("Q3", ("2023-07-01", "2023-10-01")),
        ("Q4", ("2023-10-01", "2024-01-01")),
    ],
)
def test_quarters(
    imported: Path,
    truth: Mapping[str, Mapping[str, str]],
    capsys: pytest.CaptureFixture[str],
    quarter: str,
    days: tuple[str, str],
) -> None:
    """Each quarter's ratios are its own sums', as an interim figure."""
    answer = _kpi(capsys, imported / "collector-ups-input.toml", *days)
    expected = truth[f"stockholm_{quarter}"]
    assert answer["pue"]["value"] == pytest.approx(
        float(expected["pue_ratio_of_sums"]), abs=0.000_006
    )
    assert answer["wue"]["value"] == pytest.approx(float(expected["wue_l_per_kwh"]), abs=0.000_006)
    assert answer["pue"]["period_kind"] == "interim"


def test_mean_of_hourly_ratios_appears_nowhere(
    imported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No figure is a mean of ratios (1.07015), and the simulated site says so to people too."""
    for name in ("collector.toml", "collector-ups-input.toml"):
        assert "1.07015" not in json.dumps(_kpi(capsys, imported / name))
        arguments = ["--site", "energyplus", "--from", "2023-01-01", "--to", "2024-01-01"]
        assert main(["kpi", *arguments, "--config", str(imported / name)]) == 0
        shown = capsys.readouterr().out
        assert "1.07015" not in shown
        assert "SIMULATED" in shown


def test_inlet_temperatures_are_stored(imported: Path) -> None:
    """Temperatures come along, one an hour, though no meter needs them."""
    database = sqlite3.connect(imported / "state" / "readings.db")
    try:
        found = database.execute(
            "SELECT resource, count(*), min(value) FROM readings JOIN series ON id = series_id"
            " WHERE quantity = 'temperature' GROUP BY resource ORDER BY resource"
        ).fetchall()
    finally:
        database.close()
    assert [row[:2] for row in found] == [
        ("sensor:inlet-east", 8760),
        ("sensor:inlet-west", 8760),
        ("sensor:outdoor", 8760),
    ]
    assert all(row[2] != 0 for row in found)


def test_shuffled_pieces_and_twice(
    imported: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same year in overlapping shuffled pieces, then whole again, gives the same answer."""
    folder = _fresh(tmp_path)
    head, *lines = table.read_text().splitlines()
    random.Random(30134).shuffle(lines)
    for number, (begin, end) in enumerate([(4000, 8760), (0, 5000)]):
        piece = tmp_path / f"piece-{number}.csv"
        piece.write_text("\n".join([head, *lines[begin:end]]) + "\n")
        assert _import(folder, piece) == 0
    capsys.readouterr()
    assert _import(folder, table) == 0
    assert json.loads(capsys.readouterr().out)["written"] == 0
    expected = _kpi(capsys, imported / "collector.toml")
    assert _kpi(capsys, folder / "collector.toml") == expected


def test_changed_hour_is_refused(
    imported: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that says something else about a stored hour is refused in one line, exit code 2."""
    head, first, *_ = table.read_text().splitlines()
    changed = tmp_path / "changed.csv"
    changed.write_text(f"{head}\n{first.replace('94.5322', '95')}\n")
    assert _import(imported, changed) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "the store has another value" in error
    assert "meter:facility/energy_amount at 2023-01-01T00:00:00Z" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--site", "x", "--from", "2023-01-01", "--to", "2024-01-01"], "no site 'x'; known are"),
        (["--site", "energyplus", "--from", "2023-13-01", "--to", "2024-01-01"], "--from: "),
        (["--site", "energyplus", "--from", "2024-01-01", "--to", "2024-01-01"], "--to: "),
    ],
)
def test_bad_questions(
    imported: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """An unknown site, no date, or an empty period: one line and exit code 2."""
    assert main(["kpi", *arguments, "--config", str(imported / "collector.toml")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
