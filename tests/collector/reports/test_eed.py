"""The annex for the European database: every field, where each value comes from, and no more."""

import csv
import io
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jauge_collector import cli, sites
from jauge_collector.ledger.book import Ledger
from jauge_collector.registers import files
from jauge_collector.registers.facility_fields import FIELDS
from jauge_collector.reports.eed import Annex, Source, annex, last_full_year
from jauge_collector.reports.eed_figures import year_figures
from jauge_collector.reports.eed_files import as_csv, as_json, eed_words
from jauge_models.effectiveness import CoveragePolicy
from jauge_models.rules import RuleStatus

from tests.collector.compliance.yard import Yard
from tests.collector.reports.desk import never_read

SYMBOLS = [
    "PD_IT",
    "S_DC",
    "S_CR",
    "E_DC",
    "E_DC-BG",
    "E_IT",
    "C_BtG",
    "W_IN",
    "W_IN-POT",
    "E_REUSE",
    "T_WH",
    "T_IN",
    "CDD",
    "E_RES-TOT",
    "E_RES-GOO",
    "E_RES-PPA",
    "E_RES-OS",
    "C_SERV",
    "C_STOR",
    "B_IN",
    "B_OUT",
    "T_IN",
    "T_OUT",
    "PUE",
    "WUE",
    "ERF",
    "REF",
]
"""Annexes II and III of Delegated Regulation (EU) 2024/1364, in their order."""
PENDING = ["w_in_fre", "wue_fre", "eu_class_pue", "eu_class_wue"]


def told(folder: Path, facility: str = "", year: int = 2025) -> Annex:
    """The annex of the yard with what the operator says."""
    site = sites.load(folder / "yard.toml")
    (folder / "facility.csv").write_text(f"key;value;year;document\n{facility}", encoding="utf-8")
    section = msgspec.structs.replace(site.registers, facility="facility.csv")
    registers = files.load(section, folder, site.name)
    with Ledger(folder / "ledger.db") as ledger:
        found = year_figures(ledger, site, year, CoveragePolicy())
    return annex(
        site=site.name,
        title=site.title,
        year=year,
        registers=registers,
        figures=found.figures,
        fresh=found.fresh,
    )


def test_every_field_once_in_the_regulations_order(yard: Yard) -> None:
    """With a key that no other has; what nobody told is empty and says who is to tell it."""
    found = told(yard.folder)
    assert [row.symbol for row in found.rows if row.symbol] == SYMBOLS
    assert len({row.key for row in found.rows}) == len(found.rows)
    assert sum(row.point == "I" for row in found.rows) == 15
    missing = [row for row in found.rows if row.source is Source.TO_BE_SUPPLIED]
    assert len(missing) > 35
    assert all(row.value is None and row.status == "to_be_supplied" for row in missing)
    assert {(row.first, row.last) for row in found.rows} == {(date(2025, 1, 1), date(2025, 12, 31))}


def test_what_the_ledger_works_out(yard: Yard) -> None:
    """365 days of 150 kWh and 100 kWh, and of 10 L."""
    found = told(yard.folder)
    assert found.row("e_dc").value == pytest.approx(54_750, rel=1e-12)
    assert found.row("e_it").value == pytest.approx(36_500, rel=1e-12)
    assert found.row("w_in").value == pytest.approx(3.65, rel=1e-12)
    assert found.row("pue").value == pytest.approx(1.5, rel=1e-12)
    assert found.row("wue").value == pytest.approx(0.1, rel=1e-12)
    for key in ("e_dc", "e_it", "w_in", "pue", "wue"):
        row = found.row(key)
        assert (row.source, row.status, row.coverage) == (Source.COMPUTED, "measured", 1.0)
    assert "2024/1364, Annex III" in found.row("pue").rule


def test_the_operator_never_replaces_what_was_measured(yard: Yard) -> None:
    """But stands, as declared, where a total is not whole."""
    facility = "w_in;9;2025;D-1\ne_it;1;2025;\npd_it;120,5;2025;\n"
    assert told(yard.folder, facility).row("e_it").source is Source.COMPUTED
    never_read(yard.folder, "tank", 100, 160)
    bare = told(yard.folder).row("w_in")
    assert (bare.value, bare.status, bare.source) == (None, "not_measured", Source.TO_BE_SUPPLIED)
    assert bare.coverage == pytest.approx(305 / 365)
    row = told(yard.folder, facility).row("w_in")
    assert (row.value, row.status, row.document) == (9.0, "declared", "D-1")
    assert told(yard.folder, facility).row("wue").status == "not_measured"
    assert told(yard.folder, facility).row("pd_it").value == 120.5


def test_renewables_of_certificates(yard: Yard) -> None:
    """The total is the sum of its three parts, all given; REF is of it and never above 1."""
    parts = "e_res_goo;10000;2025;\ne_res_ppa;900;2025;\n"
    assert told(yard.folder, parts).row("ref").value is None
    found = told(yard.folder, f"{parts}e_res_os;50;2025;\n")
    assert found.row("e_res_tot").value == 10_950
    assert found.row("ref").value == pytest.approx(10_950 / 54_750)
    assert (found.row("ref").source, found.row("ref").status) == (Source.DECLARED, "declared")
    assert told(yard.folder, "e_res_tot;99999;2025;\n").row("ref").value == 1.0
    assert told(yard.folder, "e_reuse;5475;2025;\n").row("erf").value == pytest.approx(0.1)


def test_refrigerants_of_their_register(yard: Yard) -> None:
    """Those that were there in the year, unless the operator says them."""
    (yard.folder / "cold.csv").write_text(
        "name;valid_from;valid_to\nR-32;;\nR-513A;2024-01-01;2025-01-02\nOLD;;2025-01-01\n", "utf-8"
    )
    yard.edit("yard.toml", 'rooms = "rooms.csv"', 'rooms = "rooms.csv"\nrefrigerants = "cold.csv"')
    assert told(yard.folder).row("refrigerants").value == "R-32, R-513A"
    assert told(yard.folder).row("refrigerants").source is Source.REGISTER
    assert told(yard.folder, "refrigerants;none;2025;\n").row("refrigerants").value == "none"


def test_texts_that_are_not_in_force_are_off(yard: Yard) -> None:
    """On, each stands there with its status; a class on water needs metered freshwater."""
    assert told(yard.folder).pending == ()
    yard.edit("policy.toml", 'version = "test"', 'version = "test"\npending_texts = true')
    found = told(yard.folder)
    assert [row.key for row in found.pending] == PENDING
    assert {row.rule_status for row in found.pending} == {RuleStatus.ADOPTED_PENDING}
    assert not any(row.public for row in found.pending)
    assert found.row("eu_class_pue").value == "D"
    assert [found.row(key).value for key in ("w_in_fre", "wue_fre", "eu_class_wue")] == [None] * 3
    yard.edit("yard.toml", 'symbol = "W_IN"', 'symbol = "W_IN-FRE"')
    fresh = told(yard.folder)
    assert fresh.row("w_in_fre").value == pytest.approx(3.65)
    assert fresh.row("wue_fre").value == pytest.approx(0.1)
    assert fresh.row("eu_class_wue").value == "A"
    assert fresh.row("wue").value is None


def test_last_full_year() -> None:
    """It is over with its own last day."""
    assert [last_full_year(date(2026, *day)) for day in ((1, 1), (12, 30), (12, 31))] == [
        2025,
        2025,
        2026,
    ]


def test_figures_of_other_days_are_refused(yard: Yard) -> None:
    """A year's field never holds another period's figure."""
    site = sites.load(yard.folder / "yard.toml")
    with Ledger(yard.folder / "ledger.db") as ledger:
        found = year_figures(ledger, site, 2025, CoveragePolicy())
    with pytest.raises(ValueError, match="2024"):
        annex(site="yard", title="", year=2024, registers=files.Registers(), figures=found.figures)


def test_as_files(yard: Yard) -> None:
    """The same keys and values in both languages; JSON reads back as it was."""
    yard.edit("policy.toml", 'version = "test"', 'version = "test"\npending_texts = true')
    found = told(yard.folder, "mixed_building;no;;\n")
    french, english = (list(csv.reader(io.StringIO(as_csv(found, c)))) for c in ("fr", "en"))
    assert [row[0] for row in french[1:]] == [row.key for row in (*found.rows, *found.pending)]
    assert [row[6] for row in french[1:]] == [row[6] for row in english[1:]]
    by_key = {row[0]: row for row in french}
    assert by_key["mixed_building"][6] == "false"
    assert by_key["s_dc"][6:8] == ["", "à fournir par l’exploitant"]
    assert by_key["eu_class_pue"][14] == "adopté, pas en vigueur"
    assert msgspec.json.decode(as_json(found), type=Annex) == found


def test_both_languages_name_every_field() -> None:
    """Each table has the same keys, and a name for each field that the annex shows."""
    french, english = eed_words("fr"), eed_words("en")
    for table in (
        "columns",
        "sources",
        "statuses",
        "rule_statuses",
        "families",
        "names",
        "remarks",
    ):
        assert getattr(french, table).keys() == getattr(english, table).keys()
    named = {key for key, field in FIELDS.items() if field.family != "publication"}
    assert french.names.keys() == named | set(PENDING)
    assert english.sources.keys() == {source.value for source in Source}


@pytest.fixture
def run(yard: Yard, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The command: exit status, stdout, stderr."""

    def ran(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        config = str(yard.folder / "collector.toml")
        code = cli.main(["annex", "--site", "yard", "--config", config, *words])
        return code, *capsys.readouterr()

    return ran


def test_the_command(run: Callable[..., tuple[int, str, str]]) -> None:
    """CSV or JSON on stdout; a year that is not over is refused in one line."""
    code, out, _ = run("--year", "2025", "--json")
    rows: dict[str, Any] = {row["key"]: row for row in json.loads(out)["rows"]}
    assert (code, rows["pue"]["source"]) == (0, "computed")
    assert run("--year", "2025", "--lang", "en")[1].startswith("key,annex,symbol,name")
    for year in ("2900", "12"):
        code, _, err = run("--year", year)
        assert (code, err.count("\n")) == (2, 1)
        assert "--year" in err
