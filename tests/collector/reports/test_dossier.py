"""The verifier's dossier: all that proves a quarter, and a spreadsheet that agrees with it."""

import csv
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd
import pytest
from jauge_collector import sites
from jauge_collector.compliance import life
from jauge_collector.ledger.chain import Link
from jauge_collector.registers.calibrations import enter_calibration
from jauge_collector.registers.confirmations import confirm
from jauge_collector.reports import boundary
from jauge_collector.reports.content import Report, decode
from jauge_collector.reports.dossier import texts
from jauge_collector.reports.workbook import Piece, pieces
from jauge_models.boundaries import Symbol, evaluate
from openpyxl import load_workbook
from openpyxl.utils import get_column_letter

from tests.collector.compliance.yard import DAY, END, HOUR, KWH, START, Yard
from tests.collector.reports.desk import closed, ledger_of, never_read
from tests.collector.reports.offering import Commands, with_facility

NAMES: Final = {
    "LISEZ-MOI.txt",
    "rapport/rapport.json",
    "rapport/rapport.pdf",
    "rapport/annexe-eed.csv",
    "perimetre/equations.csv",
    "compteurs/compteurs.csv",
    "compteurs/rapports.csv",
    "compteurs/etalonnages.csv",
    "compteurs/saisies.csv",
    "horloges/ecarts.csv",
    "pieces/pieces.csv",
    "intervalles/trimestre.csv",
    "intervalles/douze-mois.csv",
    "recalcul.xlsx",
    "lacunes.csv",
    "retraitements.csv",
    "factures.csv",
    "chaine/maillons.csv",
    "MANIFEST.csv",
}


@pytest.fixture
def commands(yard: Yard, capsys: pytest.CaptureFixture[str]) -> Commands:
    """The commands over a yard."""
    with_facility(yard)
    return Commands(yard, capsys)


@pytest.fixture
def made(commands: Commands, tmp_path: Path) -> Callable[..., zipfile.ZipFile]:
    """A dossier of the yard, closed first."""

    def dossier(*words: str) -> zipfile.ZipFile:
        closed(commands.yard.folder, "2025-Q4")
        commands.dossier(tmp_path / "dossier.zip", "2025-Q4", *words)
        return zipfile.ZipFile(tmp_path / "dossier.zip")

    return dossier


def table(archive: zipfile.ZipFile, name: str) -> list[dict[str, str]]:
    """A table of it."""
    return list(csv.DictReader(io.StringIO(archive.read(name).decode(), newline="")))


def test_only_a_closed_quarter(commands: Commands, tmp_path: Path) -> None:
    """An open one has no report to prove; nothing is left on disk."""
    assert "close it first" in commands.dossier(tmp_path / "d.zip", code=2)
    assert "--quarter" in commands.dossier(tmp_path / "d.zip", "2025-5", code=2)
    assert not list(tmp_path.glob("*.zip"))


def test_what_is_in_it(made: Callable[..., zipfile.ZipFile], commands: Commands) -> None:
    """Every file, each with its digest in the manifest, in an order and without times."""
    archive = made()
    documents = {f"pieces/registre/D-{n}.pdf" for n in range(1, 5)}
    registers = {
        f"registres/{name}"
        for name in (
            "servers.csv",
            "rooms.csv",
            "practices.csv",
            "documents.csv",
            "policy.toml",
            "facility.csv",
        )
    }
    names = archive.namelist()
    assert set(names) == NAMES | documents | registers
    assert [*sorted(names[:-1]), "MANIFEST.csv"] == names
    assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    manifest = {row["fichier"]: row for row in table(archive, "MANIFEST.csv")}
    assert manifest.keys() == set(names) - {"MANIFEST.csv"}
    for name, row in manifest.items():
        content = archive.read(name)
        assert (row["SHA-256"], row["octets"]) == (
            hashlib.sha256(content).hexdigest(),
            str(len(content)),
        )
    stored = commands.yard.folder / "reports" / "yard" / "2025-Q4-r1.json"
    assert archive.read("rapport/rapport.json") == stored.read_bytes()
    assert archive.read("rapport/rapport.pdf").startswith(b"%PDF")


def test_again_gives_the_same_bytes(
    made: Callable[..., zipfile.ZipFile], commands: Commands, tmp_path: Path
) -> None:
    """The spreadsheet too, which has a time of its own otherwise."""
    made()
    commands.dossier(tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "dossier.zip").read_bytes()


def test_in_english(made: Callable[..., zipfile.ZipFile]) -> None:
    """Names of files and columns too."""
    archive = made("--lang", "en")
    assert "boundary/equations.csv" in archive.namelist()
    head = archive.read("gaps.csv").decode().splitlines()[0]
    assert head == "meter,start,end,bridged by the register,flags"
    assert "three steps" in archive.read("README.txt").decode()


def test_it_says_that_it_is_provisional(
    made: Callable[..., zipfile.ZipFile], commands: Commands, tmp_path: Path
) -> None:
    """Until another person has approved the quarter; and which registers changed since."""
    told = made().read("LISEZ-MOI.txt").decode()
    assert "PROVISOIRE" in told
    assert "ont changé" not in told
    rooms = commands.yard.folder / "rooms.csv"
    rooms.write_text(f"{rooms.read_text()}R;2;B1;\n")
    with ledger_of(commands.yard.folder) as ledger:
        life.approve(ledger, "yard", "2025-Q4", by="second", now_ms=END + 9)
    commands.dossier(tmp_path / "later.zip")
    told = zipfile.ZipFile(tmp_path / "later.zip").read("LISEZ-MOI.txt").decode()
    assert "PROVISOIRE" not in told
    assert "ont changé depuis la clôture\u202f: rooms." in told


def test_it_says_that_rows_were_restated_since(
    made: Callable[..., zipfile.ZipFile], commands: Commands, tmp_path: Path
) -> None:
    """The report is of the closing, the rows are not; until it is closed again, in both tongues."""
    assert "RETRAITÉ" not in made().read("LISEZ-MOI.txt").decode()
    with ledger_of(commands.yard.folder) as ledger:
        content = {"by": "officer", "note": "an example", "asked_for": "2025-Q4"}
        ledger.link("yard", "restatement", "2025-Q4", content, END + 20 * DAY)
    for code, name, told in (
        ("fr", "LISEZ-MOI.txt", "RETRAITÉ DEPUIS"),
        ("en", "README.txt", "RESTATED SINCE"),
    ):
        commands.dossier(tmp_path / f"{code}.zip", "2025-Q4", "--lang", code)
        text = zipfile.ZipFile(tmp_path / f"{code}.zip").read(name).decode()
        assert told in text
        assert "(2026-01-21)" in text
    with ledger_of(commands.yard.folder) as ledger:
        assert life.standing(ledger, "yard", "2025-Q4").restated
    commands.yard.edit("documents.csv", "D-4;t;", "D-4;another title;")
    closed(commands.yard.folder, "2025-Q4", note="an example")
    commands.dossier(tmp_path / "again.zip")
    assert "RETRAITÉ" not in zipfile.ZipFile(tmp_path / "again.zip").read("LISEZ-MOI.txt").decode()


def test_entries_with_confirmations_and_documents(
    commands: Commands, made: Callable[..., zipfile.ZipFile]
) -> None:
    """Who signed, who confirmed; a document that is gone is listed as missing."""
    kept = commands.yard.folder / "documents"
    kept.mkdir()
    bill = b"an example of a bill"
    digest = hashlib.sha256(bill).hexdigest()
    (kept / digest).write_bytes(bill)
    site = sites.load(commands.yard.folder / "yard.toml")
    number = 0
    with ledger_of(commands.yard.folder) as ledger:
        for document, days in ((digest, 2), ("0" * 64, 5)):
            number = ledger.append(
                "yard",
                "amount",
                "dc",
                start_ms=START + days * DAY,
                end_ms=START + (days + 1) * DAY,
                content={"base": KWH, "entered": "=1 kWh", "note": "", "invoice": True},
                now_ms=END,
                signatory="energy manager",
                document=document,
            )
        confirm(ledger, site, number, signatory="second", now_ms=END + 1)
    archive = made()
    entries = {row["identifiant"]: row for row in table(archive, "compteurs/saisies.csv")}
    assert entries[str(number)]["confirmé par"] == "second"
    assert entries[str(number - 1)]["confirmé par"] == ""
    assert entries[str(number)]["signataire"] == "energy manager"
    assert archive.read(f"pieces/saisies/{digest}") == bill
    found = {row["SHA-256"]: row["état"] for row in table(archive, "pieces/pieces.csv")}
    assert (found[digest], found["0" * 64]) == ("présente", "absente")
    assert f"pieces/saisies/{'0' * 64}" not in archive.namelist()


def test_calibrations(commands: Commands, made: Callable[..., zipfile.ZipFile]) -> None:
    """Those entered, and certificates of the register of documents, with the days they hold."""
    documents = commands.yard.folder / "documents.csv"
    documents.write_text(f"{documents.read_text()}K-1;t;d.pdf;calibration;2025-02-03;;\n")
    site = sites.load(commands.yard.folder / "yard.toml")
    with ledger_of(commands.yard.folder) as ledger:
        number = enter_calibration(
            ledger,
            site,
            site.topology.meter("dc"),
            at_ms=START + DAY,
            valid_until_ms=START + 300 * DAY,
            certificate="C-7",
            now_ms=END,
        )
    rows = table(made(), "compteurs/etalonnages.csv")
    assert [tuple(row.values())[:5] for row in rows] == [
        ("dc", f"entry:{number}", "C-7", "2025-01-02", "2025-10-28"),
        ("", "K-1", "t", "2025-02-03", ""),
    ]


def test_links_prove_themselves(
    commands: Commands, made: Callable[..., zipfile.ZipFile], tmp_path: Path
) -> None:
    """Each digest is worked out again from what its line says, to the millisecond."""
    made()
    with ledger_of(commands.yard.folder) as ledger:
        life.approve(ledger, "yard", "2025-Q4", by="second", now_ms=END + 12_345)
    commands.dossier(tmp_path / "approved.zip")
    archive = zipfile.ZipFile(tmp_path / "approved.zip")
    rows = table(archive, "chaine/maillons.csv")
    assert [row["nature"] for row in rows][-2:] == ["quarter", "quarter"]
    head = rows[-1]
    assert f"{head['identifiant']}, {head['empreinte']}" in archive.read("LISEZ-MOI.txt").decode()
    for row in rows:
        link = Link(
            int(row["identifiant"]),
            "yard",
            row["nature"],
            row["objet"],
            json.loads(row["contenu"]),
            int(row["heure en ms Unix"]),
            row["empreinte précédente"],
            row["empreinte"],
        )
        assert link.expected == link.digest


def test_intervals_of_the_quarter_and_the_year(made: Callable[..., zipfile.ZipFile]) -> None:
    """Each row of each meter once; sums are those of the report."""
    archive = made()
    year = table(archive, "intervalles/douze-mois.csv")
    assert len(year) == 3 * 365
    assert len({(row["compteur"], row["début"]) for row in year}) == len(year)
    assert sum(float(r["quantité"]) for r in year if r["compteur"] == "dc") == pytest.approx(54_750)
    quarter = table(archive, "intervalles/trimestre.csv")
    first = next(row for row in quarter if row["compteur"] == "it")
    assert first["début"] == "2025-10-01T00:00:00Z"
    assert len(quarter) == 3 * 92


# --- the spreadsheet


class Sheets(NamedTuple):
    """The recomputation as its formulas say: figure, recomputed, and as the report has it."""

    figures: list[tuple[str, float | None, float | None]]
    report: Report


_TERM: Final = re.compile(r"'Équations'!\$E\$(\d+)\*([A-Z]+)(\d+)")
_TOTAL: Final = re.compile(r'=IF\(COUNT\(([A-Z0-9,]+)\)=(\d+),(.+),""\)')
_SUM: Final = re.compile(r"=SUMIFS\((.+?)\)(?:/(\d+))?")
_RANGE: Final = re.compile(r"'Intervalles'!\$([A-Z]+)\$2:\$\1\$(\d+)")
_RATIO: Final = re.compile(r'=IF\(B(\d+)=0,"",B(\d+)/B(\d+)(?:\*(\d+))?\)')


def recomputed(archive: zipfile.ZipFile) -> Sheets:
    """Work the sheets out by their own formulas, with pandas instead of a spreadsheet program.

    Knows the four forms that are used, and fails at any other.
    """
    book = load_workbook(io.BytesIO(archive.read("recalcul.xlsx")))
    terms = {
        at: float(str(row[2].value)) * float(str(row[3].value))
        for at, row in enumerate(book["Équations"].iter_rows(min_row=2), start=2)
        if row[4].value == f"=C{at}*D{at}"
    }
    assert len(terms) == book["Équations"].max_row - 1
    sheet = book["Intervalles"]
    letters = [get_column_letter(at) for at in range(1, sheet.max_column + 1)]
    lines = [
        dict(zip(letters, (cell.value for cell in row), strict=True))
        for row in sheet.iter_rows(min_row=2)
    ]
    for at, line in enumerate(lines, start=2):
        for letter, value in line.items():
            if isinstance(value, str) and value.startswith("="):
                line[letter] = _total(value, line, terms, at)
    frame = pd.DataFrame(lines)
    values: dict[int, float | None] = {}
    figures: list[tuple[str, float | None, float | None]] = []
    for at, cells in enumerate(book["Indicateurs"].iter_rows(values_only=True), start=1):
        name, formula, reported = cells[:3]
        if not isinstance(formula, str) or not formula.startswith("="):
            continue
        if ratio := _RATIO.fullmatch(formula):
            top, bottom = values[int(ratio[2])], values[int(ratio[3])]
            assert ratio[1] == ratio[3]
            values[at] = None if not bottom or top is None else top / bottom * float(ratio[4] or 1)
        else:
            values[at] = _sum(formula, frame)
        figures.append((str(name), values[at], None if reported is None else float(str(reported))))
    return Sheets(figures, decode(archive.read("rapport/rapport.json")))


def _total(
    formula: str, line: Mapping[str, object], terms: dict[int, float], at: int
) -> float | None:
    found = _TOTAL.fullmatch(formula)
    assert found, formula
    cells = found[1].split(",")
    assert len(cells) == int(found[2])
    assert all(cell.endswith(str(at)) for cell in cells)
    if any(line[cell.removesuffix(str(at))] is None for cell in cells):
        return None
    parts = [_TERM.fullmatch(part) for part in found[3].split("+")]
    return sum(terms[int(p[1])] * float(str(line[p[2]])) for p in parts if p is not None)


def _sum(formula: str, frame: pd.DataFrame) -> float:
    found = _SUM.fullmatch(formula)
    assert found, formula
    summed, *conditions = found[1].split(",")
    keep = pd.Series(data=True, index=frame.index)
    for where, criterion in zip(conditions[::2], conditions[1::2], strict=True):
        column = frame[_column(where, frame)].astype(float)
        sign, number = re.fullmatch(r'"(>=|<|>)([-+0-9E.]+)"', criterion).groups()  # type: ignore[union-attr]
        limit = float(number)
        tests = {">=": column >= limit, "<": column < limit, ">": column > limit}
        keep &= tests[sign]
    total = float(frame.loc[keep, _column(summed, frame)].astype(float).sum())
    return total / float(found[2] or 1)


def _column(where: str, frame: pd.DataFrame) -> str:
    found = _RANGE.fullmatch(where)
    assert found, where
    assert int(found[2]) == len(frame) + 1  # all of the sheet
    return found[1]


def test_the_spreadsheet_agrees_with_the_report(
    commands: Commands, made: Callable[..., zipfile.ZipFile]
) -> None:
    """Holes, a deducted load from a day on, a factor, a clock that parts rows: to 1e-9."""
    yard = commands.yard
    yard.edit("yard.toml", 'time_zone = "UTC"', 'time_zone = "Europe/Paris"')
    yard.edit(
        "yard.toml",
        'terms = [{ meter = "dc" }]',
        'terms = [{ meter = "dc" }, { meter = "it", sign = -1, factor = 0.13, '
        'valid_from = "2025-06-17", reason = "=office" }]',
    )
    never_read(yard.folder, "dc", 280, 285)
    never_read(yard.folder, "tank", 30, 36)
    sheets = recomputed(made())
    assert len(sheets.figures) == 16
    for name, value, reported in sheets.figures:
        if reported is not None:
            assert value == pytest.approx(reported, rel=1e-9), name
    kpis = (sheets.report.quarter.kpis, sheets.report.year.kpis)
    expected = [kpi.value for each in kpis for kpi in (each.pue, each.wue)]
    shown = [reported for name, _, reported in sheets.figures if name.endswith(("[1]", "MWh]"))]
    assert None not in expected
    assert shown == pytest.approx(expected, rel=1e-15)  # a cell holds 16 digits
    assert expected[0] == pytest.approx(1.37, rel=1e-9)  # (150 − 13) / 100, all of the quarter
    assert expected[2] != pytest.approx(1.37, abs=0.01)


def test_what_the_report_withholds_has_no_name_in_it(
    commands: Commands, made: Callable[..., zipfile.ZipFile]
) -> None:
    """A ratio over half a quarter is shown as one, with the report's reason, and is no WUE."""
    never_read(commands.yard.folder, "tank", 300, 365)
    archive = made()
    names = [name for name, _, _ in recomputed(archive).figures]
    assert "W_IN / E_IT" in names
    book = load_workbook(io.BytesIO(archive.read("recalcul.xlsx")))
    notes = [str(row[4]) for row in book["Indicateurs"].iter_rows(values_only=True)]
    assert any("ne publie pas" in note and "coverage" in note for note in notes)


def test_pieces_are_what_totals_are_made_of(commands: Commands) -> None:
    """The sum over pieces of each term is the flow that the models evaluate, piece by piece."""
    site = sites.load(commands.yard.folder / "yard.toml")
    span = (START + 3 * HOUR, START + 10 * DAY + 7 * HOUR)
    with ledger_of(commands.yard.folder) as ledger:
        found = boundary.read(ledger, site, span)
    cut = START + 2 * DAY + HOUR
    some = list(pieces(found, span, [cut]))
    days = [START + n * DAY for n in range(1, 11)]
    assert [piece.start_ms for piece in some] == [span[0], *sorted([cut, *days])]
    equation = site.equation(Symbol.E_DC)
    assert equation is not None
    flows = evaluate(equation, found.rows, *span, cuts=[cut])
    assert [piece.amounts[0] for piece in some] == pytest.approx([flow.amount for flow in flows])
    assert isinstance(some[0], Piece)


def test_a_text_is_no_formula(commands: Commands, made: Callable[..., zipfile.ZipFile]) -> None:
    """What a person wrote as the reason of a term opens as text in a spreadsheet."""
    commands.yard.edit(
        "yard.toml", 'terms = [{ meter = "dc" }]', 'terms = [{ meter = "dc", reason = "=1+1" }]'
    )
    archive = made()
    book = load_workbook(io.BytesIO(archive.read("recalcul.xlsx")))
    assert book["Équations"]["H2"].data_type == "s"
    assert table(archive, "perimetre/equations.csv")[0]["motif"] == "'=1+1"


def test_both_languages_have_every_text() -> None:
    """The same keys; each file has a name of its own."""
    french, english = texts("fr"), texts("en")
    assert french.keys() == english.keys()
    for name, words in french.items():
        assert words.keys() == english[name].keys(), name
    assert len(set(french["files"].values())) == len(french["files"])
    assert french["about"].keys() <= french["files"].keys()
