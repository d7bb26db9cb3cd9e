"""The publication of an approved quarter: what is in it, and what never is."""

import asyncio
import csv
import hashlib
import io
import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import html5lib
import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from jauge_collector.compliance import life
from jauge_collector.compliance.life import State
from jauge_collector.ledger.chain import PUBLICATION
from jauge_collector.publication.open_data import LICENCE
from jauge_collector.publication.words import words
from jauge_collector.reports.content import encode
from jauge_models.compliance.criteria import CRITERIA
from jauge_models.compliance.status import Result, Status

from tests.browser import chromium
from tests.collector.compliance.yard import END, KWH, START, Yard
from tests.collector.reports.desk import closed, ledger_of, never_read
from tests.collector.reports.offering import (
    AUDIT,
    FACILITY,
    Commands,
    approved,
    contents,
    standing,
    with_facility,
)

PAGES: Final = ("index.html", "accessibilite.html", "ecoconception.html")
ENGLISH: Final = ("index.html", "accessibility.html", "eco-design.html")
TABLES: Final = ("indicators", "months", "servers", "criteria", "annual_fields")
LARGEST: Final = 150_000
PLANTED: Final = "zzq"
"""Begins every planted name: no word of ours and no hexadecimal digest holds it."""


@pytest.fixture
def commands(yard: Yard, capsys: pytest.CaptureFixture[str]) -> Commands:
    """The commands over a yard whose operator has supplied something."""
    with_facility(yard)
    return Commands(yard, capsys)


@pytest.fixture
def published(commands: Commands, tmp_path: Path) -> Callable[..., Path]:
    """The folder of a published quarter."""

    def made(quarter: str = "2025-Q4", *words: str) -> Path:
        approved(commands.yard.folder, quarter)
        commands.publish(tmp_path / "www", quarter, *words)
        return tmp_path / "www"

    return made


def rows(folder: Path, table: str) -> list[dict[str, str]]:
    """A table of the open data."""
    text = (folder / "data" / f"{table}.csv").read_text("utf-8")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def row(folder: Path, table: str, **keys: str) -> dict[str, str]:
    """The one row that has these cells."""
    (found,) = (each for each in rows(folder, table) if keys.items() <= each.items())
    return found


def test_only_an_approved_quarter(commands: Commands, tmp_path: Path) -> None:
    """What is open, closed or restated is refused with the fix, and nothing is written."""
    out = tmp_path / "www"
    assert "close it first" in commands.publish(out, code=2)
    closed(commands.yard.folder, "2025-Q4")
    assert "have it approved first" in commands.publish(out, code=2)
    assert not out.exists()
    assert standing(commands.yard.folder, "2025-Q4").state is State.CLOSED


def test_every_file_and_nothing_else(published: Callable[..., Path]) -> None:
    """Readable for a web server, whatever the umask of the collector."""
    folder = published()
    assert sorted(contents(folder)) == sorted(
        [*PAGES, *(f"data/{name}.csv" for name in TABLES), "datapackage.json", "catalogue.jsonld"]
    )
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o644}
    assert (folder / "data").stat().st_mode & 0o777 == 0o755


def test_again_gives_the_same_bytes_and_no_second_link(
    commands: Commands, published: Callable[..., Path]
) -> None:
    """The chain has the digest of each file; writing the same again adds nothing to it."""
    folder = published()
    first = contents(folder)
    assert "nothing to note" in commands.publish(folder)
    assert contents(folder) == first
    with ledger_of(commands.yard.folder) as ledger:
        (link,) = ledger.links("yard", PUBLICATION, "2025-Q4")
    assert link.content["files"] == {
        path: hashlib.sha256(content).hexdigest() for path, content in first.items()
    }
    assert link.content["where"] == "https://publisher.invalid/dc/index.html"
    now = standing(commands.yard.folder, "2025-Q4")
    assert now.published is not None
    assert (now.state, now.published.by) == (State.PUBLISHED, "third")


def test_what_changed_is_noted_anew(commands: Commands, published: Callable[..., Path]) -> None:
    """Another value of the operator's is another publication."""
    folder = published()
    (commands.yard.folder / "facility.csv").write_text(FACILITY + AUDIT, "utf-8")
    assert "noted in the chain" in commands.publish(folder)
    with ledger_of(commands.yard.folder) as ledger:
        assert len(ledger.links("yard", PUBLICATION, "2025-Q4")) == 2


def test_the_figures_are_those_of_the_approved_report(published: Callable[..., Path]) -> None:
    """150 kWh and 100 kWh a day; the year, the quarter, and the legal fields of the year."""
    folder = published()
    year = row(folder, "indicators", period="year", key="pue")
    assert (float(year["value"]), year["label"], year["status"]) == (1.5, "PUE2", "measured")
    quarter = row(folder, "indicators", period="quarter", key="pue")
    assert (quarter["label"], quarter["first"], quarter["last"]) == (
        "iPUE2",
        "2025-10-01",
        "2025-12-31",
    )
    assert float(row(folder, "annual_fields", key="e_dc")["value"]) == pytest.approx(54_750)
    assert len(rows(folder, "months")) == 12
    assert float(rows(folder, "months")[0]["e_dc_kw"]) == pytest.approx(6.25)
    assert sum(int(each["servers"]) for each in rows(folder, "servers")) == 3
    assert {each["criterion"] for each in rows(folder, "criteria")} <= set(CRITERIA)


def test_what_the_operator_keeps_secret(published: Callable[..., Path]) -> None:
    """No value, and the page says that it is not disclosed; what is missing is no zero."""
    folder = published()
    secret = row(folder, "annual_fields", key="s_dc")
    assert (secret["value"], secret["status"]) == ("", "secret")
    assert row(folder, "annual_fields", key="pd_it")["value"] == "120.5"
    assert row(folder, "annual_fields", key="mixed_building")["value"] == "false"
    missing = row(folder, "annual_fields", key="t_in_traffic")
    assert (missing["value"], missing["status"]) == ("", "to_be_supplied")
    page = (folder / "index.html").read_text("utf-8")
    assert "non communiqué (secret des affaires)" in page
    assert "900" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)


def test_a_figure_of_the_ledger_may_be_secret(
    commands: Commands, published: Callable[..., Path]
) -> None:
    """A row without a value: in no table, and the others stay."""
    secrets = "e_dc;;2025;oui\npue;;2025;oui\n"
    (commands.yard.folder / "facility.csv").write_text(FACILITY + secrets, "utf-8")
    folder = published()
    for key in ("e_dc", "pue"):
        assert row(folder, "annual_fields", key=key)["status"] == "secret"
        for period in ("quarter", "year"):
            found = row(folder, "indicators", period=period, key=key)
            assert (found["value"], found["status"]) == ("", "secret")
    assert {(month["e_dc_kw"], month["pue"]) for month in rows(folder, "months")} == {("", "")}
    assert {month["e_it_kw"] for month in rows(folder, "months")} != {""}
    everything = b"".join(contents(folder).values()).decode()
    for figure in ("54750", "13800", "54\u202f750", "13\u202f800"):
        assert figure not in everything


def test_no_figure_of_a_year_that_nobody_approved(
    commands: Commands, published: Callable[..., Path]
) -> None:
    """The third quarter is approved; the year before it is not."""
    folder = published("2025-Q3")
    found = row(folder, "annual_fields", key="e_dc")
    assert (found["value"], found["status"]) == ("", "not_approved")
    assert found["first"] == "2024-01-01"
    assert row(folder, "indicators", period="quarter", key="e_dc")["value"] != ""
    assert "n’est pas approuvé" in (folder / "index.html").read_text("utf-8")
    assert commands.yard.folder.exists()


def test_the_tables_are_what_their_schema_says(published: Callable[..., Path]) -> None:
    """Columns, types, required cells, keys, sizes and digests of the Data Package."""
    folder = published()
    package = json.loads((folder / "datapackage.json").read_text("utf-8"))
    assert package["licenses"][0]["path"] == LICENCE
    assert [each["name"] for each in package["resources"]] == list(TABLES)
    casts: dict[str, Callable[[str], Any]] = {
        "string": str,
        "number": float,
        "integer": int,
        "date": lambda text: re.fullmatch(r"\d{4}-\d\d-\d\d", text)[0],  # type: ignore[index]
    }
    for each in package["resources"]:
        content = (folder / each["path"]).read_bytes()
        assert each["bytes"] == len(content)
        assert each["hash"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
        fields = each["schema"]["fields"]
        found = rows(folder, each["name"])
        assert list(found[0]) == [field["name"] for field in fields]
        for cells in found:
            for field in fields:
                cell = cells[field["name"]]
                assert cell or "constraints" not in field, (each["name"], field["name"])
                if cell:
                    casts[field["type"]](cell)
        keys = [tuple(cells[name] for name in each["schema"]["primaryKey"]) for cells in found]
        assert len(set(keys)) == len(keys)


def test_the_catalogue(published: Callable[..., Path]) -> None:
    """One data set under the Licence Ouverte, each file with its address, size and digest."""
    folder = published()
    catalogue = json.loads((folder / "catalogue.jsonld").read_text("utf-8"))
    assert (catalogue["@type"], catalogue["dct:license"]) == ("dcat:Catalog", {"@id": LICENCE})
    (dataset,) = catalogue["dcat:dataset"]
    assert dataset["dct:publisher"]["foaf:name"] == "Publisher (example)"
    assert dataset["dct:temporal"]["dcat:endDate"]["@value"] == "2025-12-31"
    base = "https://publisher.invalid/dc/"
    for each in dataset["dcat:distribution"]:
        address = each["dcat:downloadURL"]["@id"]
        content = (folder / address.removeprefix(base)).read_bytes()
        assert each["dcat:byteSize"]["@value"] == str(len(content))
        digest = each["spdx:checksum"]["spdx:checksumValue"]["@value"]
        assert digest == hashlib.sha256(content).hexdigest()
        assert each["dct:license"] == {"@id": LICENCE}
    assert len(dataset["dcat:distribution"]) == len(TABLES) + 1
    prefixes = set(catalogue["@context"])
    used = set(re.findall(r'"([a-z]+):[A-Za-z]+":', json.dumps(dataset)))
    assert used <= prefixes


def test_not_compliant_until_an_audit_is_recorded(
    commands: Commands, published: Callable[..., Path]
) -> None:
    """Three quarters of an audit are none; a whole one is told with day, role and rate."""
    folder = published()
    page = folder / "accessibilite.html"
    assert "RGAA 4.1 : non conforme" in plain(page)
    assert "Accessibilité : non conforme" in plain(folder / "index.html")
    for audit, state in (
        (AUDIT.rpartition("accessibility")[0], "non conforme"),
        (AUDIT, "partiel"),
    ):
        (commands.yard.folder / "facility.csv").write_text(FACILITY + audit, "utf-8")
        commands.publish(folder)
        assert f"RGAA 4.1 : {state}" in plain(page)
    assert "Audit du 1er févr. 2026, par external auditor (example) : 75,0 %" in plain(page)


def plain(page: Path) -> str:
    """A page's text with plain spaces."""
    return re.sub(r"[\u202f\u00a0]", " ", page.read_text("utf-8"))


@pytest.mark.parametrize(("language", "names"), [("fr", PAGES), ("en", ENGLISH)])
def test_pages_are_valid_light_and_alone(
    published: Callable[..., Path], language: str, names: tuple[str, ...]
) -> None:
    """HTML without an error, in its language, below 150 kB, with no script and no other host."""
    folder = published("2025-Q4", "--lang", language)
    for name in names:
        content = (folder / name).read_bytes()
        assert len(content) < LARGEST
        tree = html5lib.HTMLParser(strict=True).parse(content)
        ns = "{http://www.w3.org/1999/xhtml}"
        assert tree.get("lang") == language
        assert tree.findtext(f"{ns}head/{ns}title")
        assert len(list(tree.iter(f"{ns}h1"))) == 1
        for tag in ("script", "img", "iframe", "link", "video", "audio", "form", "object", "svg"):
            assert not list(tree.iter(f"{ns}{tag}")), tag
        for table in tree.iter(f"{ns}table"):
            assert table.findtext(f"{ns}caption")
            assert all(each.get("scope") in {"col", "row"} for each in table.iter(f"{ns}th"))
        ids = [each.get("id") for each in tree.iter() if each.get("id")]
        assert len(set(ids)) == len(ids)
        links = {each.get("href") for each in tree.iter(f"{ns}a")}
        local = {link for link in links if not re.match(r"https?:|mailto:|#", link)}
        assert all((folder / link).is_file() for link in local)
        assert links - local <= {LICENCE, "#content", "mailto:service@publisher.invalid"}


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(commands: Commands, tmp_path: Path, scheme: str) -> None:
    """Every page, by the engine, wide and narrow; nothing is asked of another host."""
    with_audit = commands.yard.folder / "facility.csv"
    with_audit.write_text(FACILITY + AUDIT, "utf-8")
    # The gatherer has a loop of its own, and this test runs in one.
    await _in_thread(lambda: approved(commands.yard.folder, "2025-Q4"))
    commands.publish(tmp_path / "www")
    asked: list[str] = []
    async with chromium() as browser:
        for width in (1280, 320):
            context = await browser.new_context(
                viewport={"width": width, "height": 900},
                color_scheme="dark" if scheme == "dark" else "light",
                bypass_csp=True,  # the engine is a script, and the pages allow none
            )
            page = await context.new_page()
            page.on("request", lambda request: asked.append(request.url))
            for name in PAGES:
                await page.goto((tmp_path / "www" / name).as_uri())
                found = await Axe().run(page)
                assert found.violations_count == 0, found.generate_report()
                overflow = "document.documentElement.scrollWidth <= innerWidth"
                assert await page.evaluate(overflow), (name, width)
            await context.close()
    assert all(url.startswith("file:") for url in asked)


async def _in_thread(work: Callable[[], object]) -> None:
    await asyncio.to_thread(work)


def plant(folder: Path) -> None:
    """Put names that nobody can mistake wherever a name may stand."""
    for name, told in {
        "servers.csv": {"SRV-": "ZZQSERVER-", "SN1": "ZZQSERIAL1", ";o;u;": ";ZZQOWNER;ZZQTENANT;"},
        "rooms.csv": {"R;1;A1": "ZZQROOM;ZZQROW;ZZQRACK"},
        "documents.csv": {"D-": "ZZQDOC-", ";t;d.pdf": ";ZZQTITLE;zzqfile.pdf"},
        "practices.csv": {";t;entire": ";ZZQPRACTICE;entire"},
        "policy.toml": {'version = "test"': 'version = "ZZQVERSION"\nnote = "ZZQNOTE"'},
    }.items():
        path = folder / name
        text = path.read_text("utf-8")
        for old, new in told.items():
            assert old in text, (name, old)
            text = text.replace(old, new)
        path.write_text(text, "utf-8")
    servers = folder / "servers.csv"
    servers.write_text(servers.read_text("utf-8").replace(";R;1;A1;", ";ZZQROOM;ZZQROW;ZZQRACK;"))
    (folder / "d.pdf").rename(folder / "zzqfile.pdf")
    site = folder / "yard.toml"
    text = site.read_text("utf-8")
    for meter in ("dc", "it", "tank"):
        text = text.replace(f'id = "{meter}"', f'id = "zzqmeter-{meter}"\nname = "ZZQNAME"')
        text = text.replace(f'meter = "{meter}"', f'meter = "zzqmeter-{meter}", reason = "ZZQWHY"')
    text = text.replace("gw/", "zzqagent/")
    site.write_text(text, "utf-8")
    with sqlite3.connect(folder / "ledger.db") as database:
        for meter in ("dc", "it", "tank"):
            database.execute(
                "UPDATE subjects SET name = 'zzqmeter-' || name WHERE name = ?", [meter]
            )
        database.execute(
            "UPDATE subjects SET name = 'zzqagent/host:ZZQGUEST' WHERE name LIKE 'gw/%'"
        )
    database.close()
    with ledger_of(folder) as ledger:
        # Set aside, so that its reason names the meter; signed, so that a person is named.
        ledger.append(
            "yard",
            "amount",
            "zzqmeter-tank",
            start_ms=START,
            end_ms=END,
            content={"base": KWH, "entered": "ZZQENTERED", "note": "ZZQREMARK"},
            now_ms=END,
            signatory="ZZQSIGNATORY",
        )


PRIVATE: Final = """\
key;value;year;secret;source;note
owner_contact;ZZQCONTACT;;;ZZQSOURCE;ZZQREMARK
electrical_redundancy_rack;ZZQ2N;;;;
s_cr;123456789;2025;oui;;
refrigerants;ZZQGAS;2025;oui;;
siret;ZZQSIRET;;;;
pd_it;5;2025;;ZZQPERSON;
"""


@pytest.mark.parametrize("language", ["fr", "en"])
def test_no_name_leaves_the_house(
    yard: Yard, capsys: pytest.CaptureFixture[str], tmp_path: Path, language: str
) -> None:
    """Servers, racks, guests, people, tenants, documents: in no byte and no file name.

    Who closed the quarter is « officer », who published it is planted like the others.
    """
    plant(yard.folder)
    never_read(yard.folder, "zzqmeter-tank", 200, 260)
    with_facility(yard, PRIVATE)
    report = closed(yard.folder, "2025-Q4")
    inside = encode(report).decode().lower()
    for name in (
        "server-",
        "rack",
        "row",
        "tenant",
        "owner",
        "signatory",
        "meter-",
        "guest",
        "doc-",
    ):
        assert f"{PLANTED}{name}" in inside, name  # else there is nothing to leak
    assert report.year.kpis.wue.value is None
    assert PLANTED in str(report.year.kpis.wue.reason)
    approved_by(yard.folder)
    out = tmp_path / "www"
    Commands(yard, capsys).publish(out, "2025-Q4", "--lang", language, by="ZZQPUBLISHER")
    for path, content in contents(out).items():
        assert PLANTED not in path.lower()
        text = content.decode("utf-8").lower()
        at = text.find(PLANTED)
        assert at < 0, (path, text[max(0, at - 60) : at + 60])
        assert "123456789" not in text
        assert "officer" not in text


def approved_by(folder: Path) -> None:
    """A second person approves what is closed."""
    with ledger_of(folder) as ledger:
        life.approve(ledger, "yard", "2025-Q4", by="ZZQAPPROVER", now_ms=END)


def test_both_languages_have_every_text() -> None:
    """The same keys, and a word for each code that may be shown."""
    french, english = words("fr"), words("en")
    tables = ("texts", "tables", "columns", "periods", "indicators", "results", "statuses")
    for table in (*tables, "states", "pages", "ecodesign"):
        assert getattr(french, table).keys() == getattr(english, table).keys(), table
    assert french.results.keys() == {result.value for result in Result}
    assert french.statuses.keys() == {status.value for status in Status}
