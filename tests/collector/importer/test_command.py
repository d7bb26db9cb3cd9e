"""``jauge-collector import`` and ``kpi`` as a user meets them: exit codes, one line, one object."""

import json
from pathlib import Path

import pytest
from jauge_collector.cli import main
from jauge_collector.ledger.book import Ledger

from tests.collector.importer.tables import ENERGY, HOURS, table

COLLECTOR = 'sites = ["site.toml"]\nstate_dir = "state"\n[store]\nretention_days = 36500\n'

SITE = """
[site]
name = "s"
time_zone = "UTC"

[[meters]]
id = "main"
commodity = "electricity"
feeds = ["import/meter:main"]
period_s = 3600
interval_s = 3600
counts = "from_start"
reason = "test"

[[equations]]
symbol = "E_IT"
place = "it_input"
terms = [{ meter = "main" }]

[[equations]]
symbol = "E_DC"
terms = [{ meter = "main" }]
"""

TABLE = "time,kwh\n2026-01-01T01:00,1\n2026-01-01T02:00,2\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A site, a collector's configuration and a mapping."""
    (tmp_path / "collector.toml").write_text(COLLECTOR)
    (tmp_path / "site.toml").write_text(SITE)
    (tmp_path / "mapping.toml").write_text(HOURS + ENERGY)
    return tmp_path


def _import(folder: Path, content: str = TABLE, *more: str) -> int:
    path = table(folder, content)
    mapping = str(folder / "mapping.toml")
    config = str(folder / "collector.toml")
    return main(["import", str(path), "--mapping", mapping, "--config", config, *more])


def _kpi(folder: Path, *more: str) -> int:
    period = ["--from", "2026-01-01", "--to", "2026-01-01T02:00"]
    return main(["kpi", "--site", "s", *period, "--config", str(folder / "collector.toml"), *more])


def test_done(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that fits: exit code 0, what was done as one JSON object, nothing on stderr."""
    assert _import(folder, TABLE, "--json") == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    answer = json.loads(shown.out)
    assert (answer["rows"], answer["readings"], answer["written"]) == (2, 2, 2)
    assert (answer["bad_rows"], answer["accounted"]) == (0, True)


def test_the_covered_span_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the start of the first period to the end of the last, also for a single row."""
    assert _import(folder) == 0
    assert "from 2026-01-01T00:00:00+00:00 to 2026-01-01T02:00:00+00:00" in capsys.readouterr().out
    assert _import(folder, "time,kwh\n2026-01-01T04:00,1\n") == 0
    assert "from 2026-01-01T03:00:00+00:00 to 2026-01-01T04:00:00+00:00" in capsys.readouterr().out


@pytest.mark.parametrize("cell", ["0001-01-01T00:00", "0001-01-01T00:00+01:00"])
def test_year_one_is_a_bad_row(folder: Path, capsys: pytest.CaptureFixture[str], cell: str) -> None:
    """A label before all time: exit code 2 and one line."""
    mapping = folder / "mapping.toml"
    mapping.write_text(mapping.read_text().replace("UTC", "Europe/Paris"))
    assert _import(folder, f"time,kwh\n{cell},1\n") == 2
    error = capsys.readouterr().err
    assert "1 of 1 rows cannot be read" in error
    assert error.count("\n") == 1


def test_a_sentinel_is_no_amount(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """-1 kWh is outside what is accepted, and its row is bad."""
    assert _import(folder, f"{TABLE}2026-01-01T03:00,-1\n") == 2
    assert "line 4: column 'kwh': -1 is -3.6e+06 J, outside" in capsys.readouterr().err


def test_counted_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Imported twice, the ledger still holds the amounts of one file."""
    assert _import(folder) == 0
    assert _import(folder) == 0
    capsys.readouterr()
    assert _kpi(folder, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["pue"]["denominator"]["value"] == pytest.approx(3)
    assert answer["pue"]["category"] == "PUE3"
    assert answer["simulated"] is False


def test_kpi_before_anything_is_stored(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a reading the figures are withheld, with the reason, and the command succeeds."""
    assert _kpi(folder) == 0
    shown = capsys.readouterr().out
    assert "not measured: joint coverage 0.0 % is below 90.0 %" in shown


def test_bad_rows_by_default_and_skipped(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bad rows: exit code 2 and one line that names them; with --skip-bad they are listed."""
    content = f"{TABLE}2026-01-01T03:00,oops\n"
    assert _import(folder, content) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "table.csv: 1 of 3 rows cannot be read" in error
    assert "line 4: column 'kwh': 'oops' is no number" in error
    assert "--skip-bad" in error
    assert _import(folder, content, "--skip-bad") == 0
    assert "1 rows left out: line 4: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("interval", "told"),
    [("interval_s = 3600", False), ("", True), ("interval_s = 86400", False)],
)
def test_rows_shorter_than_the_periods_are_said(
    folder: Path, capsys: pytest.CaptureFixture[str], interval: str, *, told: bool
) -> None:
    """One line names meter, both lengths and the fix; nothing where the rows are long enough."""
    path = folder / "site.toml"
    path.write_text(path.read_text().replace("interval_s = 3600", interval))
    assert _import(folder) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "interval_s" in line]
    assert len(lines) == int(told)
    if told:
        assert "ledger rows of 900 s (interval_s of 'main') are shorter" in lines[0]
        assert f"set interval_s = 3600 in {path}" in lines[0]
    assert _import(folder, TABLE, "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["remarks"]) == int(told)


def test_running_collector_accounts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """While a collector holds the ledger's lock, the import leaves marks for it to compute."""
    (folder / "state").mkdir()
    with Ledger(folder / "state" / "ledger.db") as ledger, ledger.writer():
        assert _import(folder) == 0
        assert "the running collector computes the ledger" in capsys.readouterr().out
        assert ledger.marks("s", 1 << 50) != []


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("mapping.toml", ('site = "s"', 'site = "t"'), "collector.toml: sites: no site 't'"),
        ("mapping.toml", ("3600", "900"), "time.period_s: 900, but meter 'main' of"),
        ("mapping.toml", ("kWh", "kvh"), "columns[0].unit: 'kvh' does not fit energy_amount"),
        ("collector.toml", ("site.toml", "none.toml"), "none.toml: cannot be read"),
        ("collector.toml", ("state_dir", "state"), "collector.toml: state: unknown key"),
        ("site.toml", ("E_IT", "E_REUSE"), "site.toml: equations: the site has no E_IT equation"),
    ],
)
def test_bad_configuration(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    file: str,
    change: tuple[str, str],
    message: str,
) -> None:
    """What is wrong in any of the files: exit code 2 and one line with file, key and fix."""
    path = folder / file
    path.write_text(path.read_text().replace(*change))
    assert _import(folder) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("command", ["import", "kpi"])
def test_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--help ends with an example of the command."""
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"example: jauge-collector {command} " in " ".join(capsys.readouterr().out.split())


FACEBOOK = """
site = "s"

[time]
columns = ["Timestamp"]
zone = "UTC"
labels = "start"
period_s = 3600

[[columns]]
column = "UtilKWh"
resource = "meter:main"
quantity = "energy_amount"
unit = "kWh"

[[columns]]
column = "ITKWh"
resource = "meter:it"
quantity = "energy_amount"
unit = "kWh"

[[columns]]
column = "Temp"
resource = "sensor:outdoor"
quantity = "temperature"
unit = "degF"
"""


def test_open_dashboard_format(
    folder: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The layout of an open PUE dashboard is read: its sums give the ratio that it prints."""
    text = (shared_data / "fb_pue_dashboard" / "FORMAT.md").read_text()
    lines = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    (folder / "mapping.toml").write_text(FACEBOOK)
    meter = SITE.split("[[equations]]", maxsplit=1)[0].split("[[meters]]")[1]
    site = SITE.replace(
        '"it_input"\nterms = [{ meter = "main" }]', '"it_input"\nterms = [{ meter = "it" }]'
    )
    (folder / "site.toml").write_text(site + "[[meters]]" + meter.replace("main", "it"))
    assert _import(folder, "\n".join(lines) + "\n") == 0
    capsys.readouterr()
    config = ["--config", str(folder / "collector.toml"), "--json"]
    period = ["--from", "2013-06-26T14:00", "--to", "2013-06-26T15:00"]
    assert main(["kpi", "--site", "s", *period, *config]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["pue"]["value"] == pytest.approx(349.98 / 324.95)
    assert answer["pue"]["label"] == "iPUE3"
