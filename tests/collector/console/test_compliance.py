"""The pages of the record: what they say of a judged yard, to whom, and at what cost."""

import csv
import io
import json
import re
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jauge_collector.compliance import record as judging
from jauge_collector.console import records
from jauge_collector.ledger.book import Ledger
from jauge_collector.registers import files, meters
from jauge_collector.registers.calibrations import enter_calibration
from jauge_collector.stores import StoreError
from jauge_models.intervals import Replacement

from tests.collector.compliance.yard import DAY, END, KWH, START
from tests.collector.console.doors import OFFICER, READER, Holder
from tests.collector.console.offices import (
    ALPHA,
    OTHERS,
    QUARTER,
    ROOT,
    office,
    ready,
    settings,
)
from tests.collector.console.plants import Outline
from tests.collector.console.plants import built as is_built
from tests.collector.console.serving import Served, opened, serve

PAGES = ("", "/todo", "/servers", "/criteria", "/meters", "/attestations", "/reports")
API = f"/api/v1/servers?site=yard&quarter={QUARTER}"
TOTAL = OTHERS + 5
"""The yard's two servers, alpha's two, beta's, and one that was seen and is not listed."""


@pytest.fixture
async def yard(built: Path, tmp_path: Path) -> AsyncIterator[Served]:
    """The console of the yard."""
    async with office(built, tmp_path / "yard") as served:
        yield served


async def page(
    console: Served, path: str, who: Holder = OFFICER, *, code: str = "en", status: int = 200
) -> Outline:
    """A page of the record, of the quarter that the yard was measured in."""
    mark = "&" if "?" in path else "?"
    whole = f"{ROOT}{path}{mark}quarter={QUARTER}&lang={code}"
    told, _, text = await console.get(whole, headers=who.bearer)
    assert told == status, text
    return is_built(text, code, whole)


async def answer(console: Served, path: str, who: Holder = OFFICER) -> Any:
    """What the JSON interface answers."""
    status, _, text = await console.get(path, headers=who.bearer)
    assert status == 200, text
    return json.loads(text)


def row(outline: Outline, name: str) -> list[str]:
    """The table row that begins with a name."""
    return next(r for table in outline.tables for r in table if r and r[0].startswith(name))


async def test_every_page_is_built_for_every_reader(yard: Served) -> None:
    """Both languages; see `built`. French pages hold no English sentence of ours."""
    for path in (*PAGES, "/server?id=SRV-1", "/servers?criterion=V5"):
        for code in ("fr", "en"):
            shown = await page(yard, path, code=code)
            if code == "fr":
                told = shown.text.replace("servers.csv", "")  # the name of a file
                for word in (" servers", "not met", "measured", "quarter"):
                    assert word not in told, (path, word)


async def test_what_is_declared_stands_beside_and_is_never_added(yard: Served) -> None:
    """SRV-1 is measured, SRV-2 attested: one demonstrated, one declared, shares of all servers."""
    shown = await page(yard, "")
    assert row(shown, "● demonstrated")[1:3] == ["1", "0.7%"]
    assert row(shown, "▲ declared")[1:3] == ["1", "0.7%"]
    assert row(shown, "■ not compliant")[1] == "1"
    assert f"1 of {TOTAL}" in shown.text
    assert "1, never added to those demonstrated" in shown.text
    counts = [row(shown, name)[1] for name in ("● demonstrated", "▲ declared", "▲ with")]
    assert counts == ["1", "1", "0"]
    assert row(shown, "strict reading")[1] == "1 Jan 2027"
    assert row(shown, "wide reading")[1] == "31 Dec 2027"
    assert "PROVISIONAL" in shown.text


async def test_the_register_is_filtered_sorted_and_paged(yard: Served) -> None:
    """By text, result, criterion, rack and body; a page has a hundred, and the file them all."""
    first = await page(yard, "/servers")
    second = await page(yard, "/servers?page=2")
    names = [r[0] for shown in (first, second) for r in shown.tables[0][1:]]
    assert len(names) == len(set(names)) == TOTAL
    assert len(first.tables[0]) == 101
    for query, count in (
        ("q=beta", OTHERS),
        ("q=nothing", 0),
        ("result=demonstrated", 1),
        ("result=nonsense", TOTAL),
        ("criterion=V1", 1),
        ("rack=A1", 4),
        ("body=alpha", 2),
        ("body=alpha&rack=B1", 0),
    ):
        shown = await page(yard, f"/servers?{query}")
        assert f"Servers: {count} of {TOTAL}." in shown.text, query
        path = f"{ROOT}/servers.csv?{query}&quarter={QUARTER}&lang=en"
        _, headers, text = await yard.get(path, headers=OFFICER.bearer)
        assert "attachment" in headers["Content-Disposition"]
        assert len(list(csv.DictReader(io.StringIO(text)))) == count, query
    worst = await page(yard, "/servers?sort=result")
    assert worst.tables[0][1][3].startswith("■")


async def test_a_server_says_why_it_does_not_comply(yard: Served) -> None:
    """Each criterion with status, reason, evidence and basis; and one that nobody has is 404."""
    shown = await page(yard, "/server?id=BETA-001")
    assert row(shown, "V5")[1].startswith("▲ not measured")
    assert row(shown, "V5")[4].startswith("project rule")
    assert row(shown, "V4")[2] != "–"
    assert "beta" in shown.text
    await page(yard, "/server?id=NOBODY", status=404)
    await page(yard, "/server", status=404)


async def test_site_criteria_name_no_practice_from_memory(yard: Served) -> None:
    """S8 rests on a practice that the register does not tie to it: to be referenced."""
    shown = await page(yard, "/criteria")
    names = [r[0].split()[0] for r in shown.tables[0][1:]]
    assert names == ["S1a", "S1b", *(f"S{n}" for n in range(2, 16))]
    assert row(shown, "S8")[4] == "practice to be referenced"
    assert row(shown, "S3")[3] == "dc"
    assert row(shown, "S3")[4].startswith("Delegated Regulation (EU) 2024/1364")


async def test_what_is_to_do_is_sorted_by_what_it_unlocks(yard: Served) -> None:
    """V5 first, which would unlock the most; then what unlocks nothing by itself."""
    shown = await page(yard, "/todo")
    unlocked = [r[3] for r in shown.tables[0][1:]]
    numbers = [int(found[0]) for text in unlocked if (found := re.match(r"\d+", text))]
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[0] > 0
    assert [text.startswith("–") for text in unlocked] == sorted(
        text.startswith("–") for text in unlocked
    )
    assert row(shown, "Have the policy approved")[1] == "two people"
    assert row(shown, "Confirm attestation no. 1 of outlet2")[1] == "another person than operator"
    assert "servers.csv" in shown.text
    assert str(yard.state.config.source.parent) not in shown.text


async def test_a_tenant_sees_their_servers_and_nobody_elses_name(yard: Served) -> None:
    """Shares are of their own servers; of the site's criteria the status alone."""
    others = ("BETA", "beta", "region", "SRV-1", "SN3")
    for path in ("", "/servers", "/criteria", "/meters", "/server?id=ALPHA-1"):
        shown = await page(yard, path, ALPHA)
        assert [name for name in others if name in shown.text] == [], path
    assert "0 of 2" in (await page(yard, "", ALPHA)).text
    criteria = await page(yard, "/criteria", ALPHA)
    assert row(criteria, "S3")[1:4] == ["● met", "–", "–"]
    for path in ("/todo", "/attestations", "/reports", "/report?form=pdf"):
        await page(yard, path, ALPHA, status=403)
    for name in ("SRV-1", "BETA-001"):
        await page(yard, f"/server?id={name}", ALPHA, status=404)
    found = await answer(yard, API, ALPHA)
    assert [server["id"] for server in found["servers"]] == ["ALPHA-1", "ALPHA-2"]
    assert {server["owner"] for server in found["servers"]} == {""}
    assert found["total"] == 2
    assert [name for name in others if name in json.dumps(found)] == []
    path = f"{ROOT}/servers.csv?quarter={QUARTER}"
    _, _, text = await yard.get(path, headers=ALPHA.bearer)
    assert [name for name in others if name in text] == []
    status, _, _ = await yard.get("/api/v1/reports?site=yard", headers=ALPHA.bearer)
    assert status == 403


async def test_the_interface_says_what_the_pages_say(yard: Served) -> None:
    """Results, criteria with the keys of their reasons, and null for what nobody knows."""
    found = await answer(yard, API)
    counts = {each["result"]: each["servers"] for each in found["results"]}
    assert counts == {
        "demonstrated": 1,
        "declared": 1,
        "with_not_applicable": 0,
        "not_demonstrated": OTHERS + 2,
        "not_compliant": 1,
    }
    server = next(one for one in found["servers"] if one["id"] == "BETA-001")
    assert server["energy_kwh"] is None
    assert server["criteria"][4]["criterion"] == "V5"
    assert server["criteria"][4]["reason"] == "electricity.none"
    assert found["provisional"] is True
    assert (await answer(yard, "/api/v1/reports?site=yard")) == {"reports": []}


@pytest.mark.parametrize("quarter", ["2025-Q5", "x", "2999-Q1", "1980-Q1", "2025-Q4;"])
async def test_what_is_no_quarter_is_refused(yard: Served, quarter: str) -> None:
    """In one line, as a page and as JSON."""
    for path in (f"{ROOT}?quarter={quarter}", f"/api/v1/servers?site=yard&quarter={quarter}"):
        status, _, _ = await yard.get(path, headers=OFFICER.bearer)
        assert status == 400, path


async def test_a_record_is_judged_once_and_not_for_each_request(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until a register changes; then the last one is shown while the next is being made."""
    judged: list[str] = []
    real = judging.record

    async def counted(sources: Any, quarter: Any, today: Any) -> Any:
        judged.append(quarter.name)
        return await real(sources, quarter, today)

    monkeypatch.setattr(records, "record", counted)
    folder = tmp_path / "yard"
    async with office(built, folder) as console:
        for _ in range(3):
            for path in ("", "/servers", "/criteria"):
                await page(console, path, READER)
        assert judged == [QUARTER]
        with (folder / "servers.csv").open("a", encoding="utf-8") as file:
            file.write("NEW-1;SNN1;R;1;A1;o;u;A2;2024-01-01;\n")
        seen = {(await answer(console, API))["total"] for _ in range(2)}
        assert seen <= {TOTAL, TOTAL + 1}
        await ready(console, OFFICER)
        for _ in range(200):
            if (await answer(console, API))["total"] == TOTAL + 1:
                break
        else:
            raise AssertionError("the change never shows")
        assert judged == [QUARTER, QUARTER]


async def test_a_wrong_register_is_told_with_file_line_and_fix(built: Path, tmp_path: Path) -> None:
    """To who keeps it, and no traceback; to a tenant only that there is one."""
    folder = tmp_path / "yard"
    known = settings(built, folder, OFFICER, ALPHA)
    with (folder / "servers.csv").open("a", encoding="utf-8") as file:
        file.write("NEW-1;SN1;R;1;A1;o;u;A2;not-a-day;\n")
    async with opened(known) as state, serve(state) as console:
        shown = await page(console, "", status=503)
        assert "A register cannot be read." in shown.text
        assert "servers.csv: line" in shown.text
        assert "valid_from" in shown.text
        assert "Traceback" not in shown.text
        hidden = await page(console, "", ALPHA, status=503)
        assert "servers.csv" not in hidden.text
        status, _, text = await console.get(API, headers=OFFICER.bearer)
        assert status == 503
        assert "servers.csv" in text
        status, _, text = await console.get(API, headers=ALPHA.bearer)
        assert "servers.csv" not in text


def test_the_stamp_is_of_the_registers(built: Path) -> None:
    """What decides whether a record still holds changes with a register's file."""
    section = files.RegistersSection(servers="servers.csv")
    before = files.stamp(section, built)
    assert before == files.stamp(section, built)
    assert before != files.stamp(files.RegistersSection(servers="rooms.csv"), built)


async def test_meters_tell_their_class_coverage_and_history(yard: Served) -> None:
    """What the register lacks (S14), a replacement and a calibration, the newest first."""
    site = yard.state.sites["yard"]
    meter = site.topology.meter("dc")
    with Ledger(yard.state.config.state(yard.state.config.ledger.path)) as ledger:
        change = Replacement(START + 40 * DAY, 9_000 * KWH, 5 * KWH)
        meters.enter_replacement(ledger, site, meter, change, now_ms=END, signatory="an example")
        enter_calibration(
            ledger,
            site,
            meter,
            at_ms=START + 90 * DAY,
            valid_until_ms=None,
            certificate="C-1",
            now_ms=END,
            signatory="an example",
        )
    shown = await page(yard, "/meters")
    told = row(shown, "dc")
    assert told[1:4] == ["electricity", "–", "unknown"]
    assert told[6:] == ["100%", "▲ incompletelocation, class"]
    history = [r[1:5] for r in shown.tables[1][1:]]
    assert history == [
        ["dc", "calibration", "C-1", "an example"],
        ["dc", "replacement", "old 9,000.00 kWh, new 5.00 kWh", "an example"],
    ]
    assert len((await page(yard, "/meters", ALPHA)).tables) == 1


async def test_the_first_visitor_is_told_that_it_is_being_made(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And programs to come again; nobody waits longer than that."""
    go = threading.Event()
    real = judging.record

    async def held(sources: Any, quarter: Any, today: Any) -> Any:
        assert go.wait(30)
        return await real(sources, quarter, today)

    monkeypatch.setattr(records, "record", held)
    monkeypatch.setattr(records, "PATIENCE_S", 0.01)
    async with office(built, tmp_path / "yard", start=False) as console:
        try:
            shown = await page(console, "")
            assert "is being worked out" in shown.text
            assert "Look again" in [name for name, _ in shown.links]
            status, headers, _ = await console.get(API, headers=OFFICER.bearer)
            assert (status, headers["Retry-After"]) == (503, "10")
        finally:
            go.set()


async def test_only_so_many_records_wait(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is made at a time; beyond the bound a visitor is asked to come again."""
    go = threading.Event()
    running: list[int] = []

    async def held(*_: Any) -> Any:
        running.append(1)
        assert len(running) == 1
        assert go.wait(30)
        running.pop()
        raise StoreError("it was an example")

    monkeypatch.setattr(records, "record", held)
    monkeypatch.setattr(records, "PATIENCE_S", 0.01)
    async with office(built, tmp_path / "yard", start=False) as console:
        try:
            found = []
            for number in range(records.MOST_WAITING + 1):
                quarter = f"{2018 + number // 4}-Q{number % 4 + 1}"
                path = f"/api/v1/servers?site=yard&quarter={quarter}"
                found.append(await console.get(path, headers=OFFICER.bearer))
            assert {status for status, _, _ in found} == {503}
            assert "wait to be made" not in found[-2][2]
            assert "wait to be made" in found[-1][2]
        finally:
            go.set()
