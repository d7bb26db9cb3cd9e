"""The tables and their Data Package: each cell as its schema says, each figure the report's."""

import csv
import hashlib
import io
import json
import re
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

import jauge_collector.reports
import msgspec
import pytest
from jauge_collector.reports.content import Report, Restated, Signed
from jauge_collector.reports.figures import figures
from jauge_collector.reports.tables import DESCRIPTOR, TABLES, tables

from tests.collector.compliance.yard import Yard, copied
from tests.collector.reports.desk import gathered, never_read

NAMES: Final = ("servers", "criteria", "figures", "meters", "gaps", "trajectory")
FORMS: Final = {
    "number": r"-?\d+(\.\d+)?(e[+-]?\d+)?",
    "integer": r"-?\d+",
    "boolean": "true|false",
    "date": r"\d{4}-\d\d-\d\d",
    "datetime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "string": r"(?s).*",
}
SIGNED: Final = Signed(by="second", at_ms=0)


@pytest.fixture(scope="module")
def report(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The yard with a hole in its quarter."""
    folder = copied(built, tmp_path_factory.mktemp("tables") / "yard")
    never_read(folder, "dc", 300, 310)
    return gathered(folder)


def _rows(found: Mapping[str, bytes], name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(found[f"{name}.csv"].decode(), newline="")))


def _descriptor(found: Mapping[str, bytes]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(found[DESCRIPTOR])
    return read


@pytest.mark.parametrize("language", ["fr", "en"])
def test_every_cell_is_what_its_schema_says(report: Report, language: str) -> None:
    """Header, type, presence, choice and key of each table, by its own description."""
    found = tables(report, language)
    described = _descriptor(found)
    assert [each["name"] for each in described["resources"]] == list(NAMES)
    assert set(found) == {DESCRIPTOR, *(each["path"] for each in described["resources"])}
    for resource in described["resources"]:
        content = found[resource["path"]]
        assert resource["bytes"] == len(content)
        assert resource["hash"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
        assert b"\r\n" in content
        fields = resource["schema"]["fields"]
        rows = _rows(found, resource["name"])
        header = next(csv.reader(io.StringIO(content.decode(), newline="")))
        assert header == [field["name"] for field in fields]
        for field in fields:
            limits = field.get("constraints", {})
            for value in (row[field["name"]] for row in rows):
                if not value:
                    assert not limits.get("required"), field
                    continue
                assert re.fullmatch(FORMS[field["type"]], value), (field, value)
                assert value in limits.get("enum", [value])
        key = resource["schema"].get("primaryKey", [])
        keys = [tuple(row[name] for name in key) for row in rows]
        assert not key or len(set(keys)) == len(keys) > 0


def test_servers(report: Report) -> None:
    """Energy of 92 days at 10 and 5 kWh, 65 at 1; the machine that nobody listed says so."""
    rows = {row["server"]: row for row in _rows(tables(report, "fr"), "servers")}
    known = {name: float(row["energy_kwh"]) for name, row in rows.items()}
    assert known == pytest.approx({"SRV-1": 920.0, "SRV-2": 460.0, "gw/host:SN3": 65.0})
    assert [row["listed"] for row in rows.values()] == ["true", "true", "false"]
    assert rows["gw/host:SN3"]["V1"] == "not_met"
    assert rows["gw/host:SN3"]["result"] == "not_compliant"
    assert (rows["SRV-1"]["V5"], rows["SRV-2"]["V5"]) == ("met", "met_attested")


def test_figures(report: Report) -> None:
    """Each figure once; what is withheld is an empty cell with its reason in words."""
    rows = {row["figure"]: row for row in _rows(tables(report, "fr"), "figures")}
    assert list(rows) == [figure.key for figure in figures(report)]
    assert float(rows["year.pue"]["value"]) == pytest.approx(1.5)
    assert rows["year.pue"]["category"] == "PUE2"
    assert (rows["year.pue"]["first_day"], rows["year.pue"]["last_day"]) == (
        "2025-01-01",
        "2025-12-31",
    )
    withheld = rows["quarter.E_DC"]
    assert withheld["value"] == ""
    assert "la couverture du total, 89,1" in withheld["withheld_reason"]
    assert withheld["restated"] == "false"
    english = {row["figure"]: row for row in _rows(tables(report, "en"), "figures")}
    assert english["quarter.E_DC"]["withheld_reason"] == (
        "coverage of the total 89.1% is below 99.9%"
    )
    for row in rows.values():
        assert bool(row["value"]) is not bool(row["withheld_reason"]), row


def test_a_restated_figure_is_marked(report: Report) -> None:
    """The one figure that an earlier edition gave otherwise."""
    one = Restated(
        quarter="2025-Q4",
        figure="year.E_IT",
        before=1.0,
        after=2.0,
        unit="kWh",
        why="",
        signatory="",
        day=date(2026, 1, 5),
        published=False,
    )
    rows = _rows(tables(msgspec.structs.replace(report, restated=(one,)), "fr"), "figures")
    assert [row["figure"] for row in rows if row["restated"] == "true"] == ["year.E_IT"]


def test_gaps_and_criteria(report: Report) -> None:
    """The ten days, and each criterion of the site and of every server."""
    found = tables(report, "fr")
    (gap,) = _rows(found, "gaps")
    assert (gap["meter"], gap["start"], gap["end"]) == (
        "dc",
        "2025-10-28T00:00:00Z",
        "2025-11-07T00:00:00Z",
    )
    assert (float(gap["hours"]), gap["bridged"]) == (240.0, "false")
    criteria = _rows(found, "criteria")
    of_site = [row["criterion"] for row in criteria if row["scope"] == "site"]
    assert of_site[:3] == ["S1a", "S1b", "S2"]
    assert len([row for row in criteria if row["subject"] == "SRV-1"]) == 8
    assert all(row["reason"] for row in criteria)


def test_what_may_be_published_is_licensed(report: Report) -> None:
    """The counts of an approved report, and no table that names a machine or a meter."""
    approved = msgspec.structs.replace(report, state="approved", approved=SIGNED, revision=1)
    open_ones = [
        each["name"]
        for each in _descriptor(tables(approved, "fr"))["resources"]
        if "licenses" in each
    ]
    assert open_ones == ["trajectory"]
    assert "licenses" not in tables(report, "fr")[DESCRIPTOR].decode()
    assert _descriptor(tables(report, "fr"))["provisional"] is True
    assert "PROVISOIRE" in _descriptor(tables(report, "fr"))["description"]


def test_nothing_runs_in_a_spreadsheet(yard: Yard) -> None:
    """A name that begins like a formula is a text."""
    yard.edit("servers.csv", "SRV-1;SN1;R;1;A1;o;u", '=1+1;SN1;R;1;A1;"@o, ""x""";u')
    (row,) = [
        row
        for row in _rows(tables(gathered(yard.folder), "fr"), "servers")
        if "1+1" in row["server"]
    ]
    assert (row["server"], row["owner"]) == ("'=1+1", '\'@o, "x"')


def test_both_languages_say_everything() -> None:
    """The same keys, every column and table among them, and no key that nobody asks for."""
    folder = Path(jauge_collector.reports.__file__).parent / "locale" / "tables"
    fr, en = (
        tomllib.loads((folder / f"{code}.toml").read_text(encoding="utf-8"))
        for code in ("fr", "en")
    )
    columns = {column.name for table in TABLES for column in table.columns}
    for texts in (fr, en):
        assert set(texts["columns"]) == columns
        assert set(texts["meanings"]) == columns
        assert set(texts["tables"]) == set(texts["descriptions"]) == set(NAMES)
    assert fr["package"].keys() == en["package"].keys()
