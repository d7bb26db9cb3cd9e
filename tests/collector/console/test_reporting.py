"""A quarter by the console: closed in the background, approved by another, taken away."""

import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request
from jauge_collector.compliance import archive, life
from jauge_collector.console.gate import Visitor
from jauge_collector.console.guard import GATE
from jauge_collector.console.reporting import WRITTEN
from jauge_collector.ledger.book import Ledger

from tests.collector.console.doors import APPROVER, OFFICER, READER, Browser, Holder
from tests.collector.console.offices import (
    ALPHA,
    ALPHAS_OFFICER,
    PEOPLE,
    QUARTER,
    ROOT,
    act,
    closed,
    office,
    signed_in,
)
from tests.collector.console.plants import Outline
from tests.collector.console.serving import Served
from tests.parts import eventually

PAGE = f"{ROOT}/reports?lang=en"
CLOSE = f"{ROOT}/reports/close"
APPROVE = f"{ROOT}/reports/approve"


@pytest.fixture
async def yard(built: Path, tmp_path: Path) -> AsyncIterator[Served]:
    """The console of the yard."""
    async with office(built, tmp_path / "yard", *PEOPLE, start=False) as served:
        yield served


def standing(console: Served) -> life.Standing:
    """How the quarter stands in the ledger."""
    with Ledger(console.state.config.state(console.state.config.ledger.path)) as ledger:
        return life.standing(ledger, "yard", QUARTER)


async def test_a_quarter_is_closed_approved_by_another_and_taken_away(yard: Served) -> None:
    """Each step by who may, audited; the pages then show what was closed."""
    officer = await signed_in(yard, OFFICER)
    await closed(officer)
    stands = standing(yard)
    assert (stands.state, stands.revision) == (life.State.CLOSED, 1)
    assert stands.closed is not None
    assert stands.closed.by == "officer"
    _, _, text = await officer.get(PAGE)
    assert APPROVE not in text
    _, _, text = await officer.get(f"{ROOT}?quarter={QUARTER}&lang=en")
    assert "Another person has not approved the quarter yet." in text

    approver = await signed_in(yard, APPROVER)
    status, where = await act(approver, PAGE, APPROVE, quarter=QUARTER, note="seen")
    assert (status, where) == (303, f"{ROOT}/reports?outcome=approve_done")
    stands = standing(yard)
    assert stands.state is life.State.APPROVED
    assert stands.approved is not None
    assert (stands.approved.by, stands.approved.note) == ("approver", "seen")
    _, _, text = await officer.get(f"{ROOT}?quarter={QUARTER}&lang=en")
    assert "PROVISIONAL" not in text

    _, _, text = await yard.get("/api/v1/reports?site=yard", headers=READER.bearer)
    (report,) = json.loads(text)["reports"]
    assert report["state"] == "approved"
    assert report["data_hash"] == stands.data_hash
    _, _, text = await yard.get(f"{ROOT}?quarter=2026-Q1&lang=en", headers=READER.bearer)
    (history,) = [table for table in Outline(text).tables if table[0][0] == "On the"]
    assert history[1][0] == "31 Dec 2025"
    assert history[1][1] == "1"
    lines = (yard.state.config.state(Path()) / "console-audit.jsonl").read_text().splitlines()
    told = [(each["who"], each["what"]) for each in map(json.loads, lines)]
    assert ("officer", "quarter.close") in told
    assert ("approver", "quarter.approve") in told


async def test_nobody_approves_what_they_closed(built: Path, tmp_path: Path) -> None:
    """Two grants of one name are one person."""
    twin = Holder("Officer", "approver")
    async with office(built, tmp_path / "yard", OFFICER, twin, start=False) as console:
        await closed(await signed_in(console, OFFICER))
        browser = await signed_in(console, twin)
        _, _, text = await browser.get(PAGE)
        assert "You closed it" in text
        # No form is shown. One of the session and the same address, as if it had been kept:
        proof = _proof(console, browser)
        status, headers, _ = await browser.post(
            APPROVE, {"form_token": proof, "quarter": QUARTER, "note": ""}
        )
        assert status == 303
        assert headers["Location"].endswith("outcome=approve_own")
        assert standing(console).state is life.State.CLOSED


def _proof(console: Served, browser: Browser) -> str:
    """A value that this session's form would carry."""
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    request = make_mocked_request("GET", "/", headers={"Cookie": cookie})
    gate = console.app[GATE]
    who = gate.identify(request, browser=True)
    assert isinstance(who, Visitor)
    return gate.form_token(who.binding, APPROVE)


async def test_an_approved_quarter_is_closed_again_only_with_a_reason(yard: Served) -> None:
    """And what would say the same is no new edition."""
    officer = await signed_in(yard, OFFICER)
    await closed(officer)
    approver = await signed_in(yard, APPROVER)
    await act(approver, PAGE, APPROVE, quarter=QUARTER, note="")
    status, where = await act(officer, PAGE, CLOSE, quarter=QUARTER, note="")
    assert (status, where) == (303, f"{ROOT}/reports?outcome=close_reason")
    assert standing(yard).revision == 1


async def test_closing_keeps_the_readings_behind(yard: Served) -> None:
    """An archive in the same commit, its file whole, and the head of the chain in the report."""
    await closed(await signed_in(yard, OFFICER))
    folder = yard.state.config.state(Path())
    stands = standing(yard)
    with Ledger(yard.state.config.state(yard.state.config.ledger.path)) as ledger:
        (step,) = ledger.links("yard", "quarter", QUARTER)
        (link,) = ledger.links("yard", "archive", QUARTER)
    kept = archive.file_of(folder / archive.ARCHIVE, "yard", QUARTER, 1).read_bytes()
    assert (link.id, link.content["revision"]) == (step.id + 1, 1)
    assert link.content["sha256"] == hashlib.sha256(kept).hexdigest()
    assert life.stored(folder / life.REPORTS, stands).chain_head == step.previous


async def test_why_it_could_not_be_closed_is_said_in_the_readers_language(yard: Served) -> None:
    """What the ledger refuses whole; of a register the collector's own line, marked as English."""
    officer = await signed_in(yard, OFFICER)
    await closed(officer)
    page = f"{ROOT}/reports?lang=fr"

    async def refused(text: str) -> str:
        await act(officer, page, CLOSE, quarter=QUARTER, note="")

        async def told() -> bool:
            return text in (await officer.get(page))[2]

        await eventually(told, within=60, what="the refusal is shown")
        return (await officer.get(page))[2]

    assert 'lang="en"' not in _alert(await refused("dirait la même chose"))
    assert standing(yard).revision == 1
    register = yard.state.sites["yard"].file.parent / "rooms.csv"
    register.write_text("room;nonsense\n", encoding="utf-8")
    shown = _alert(await refused("Un registre est à corriger"))
    assert '<span lang="en">' in shown
    assert "rooms.csv" in shown


def _alert(page: str) -> str:
    return page[page.index('role="alert"') :].partition("</div>")[0]


@pytest.mark.parametrize("quarter", ["", "2999-Q1", "nonsense"])
async def test_what_has_not_ended_is_not_closed(yard: Served, quarter: str) -> None:
    """The running quarter, one to come, and none at all."""
    officer = await signed_in(yard, OFFICER)
    status, where = await act(officer, PAGE, CLOSE, quarter=quarter, note="")
    if quarter:
        assert status == 400
    else:
        assert (status, where) == (303, f"{ROOT}/reports?outcome=close_stale")
    with Ledger(yard.state.config.state(yard.state.config.ledger.path)) as ledger:
        assert life.standings(ledger, "yard") == ()


async def test_only_some_roles_close_and_approve(yard: Served) -> None:
    """The forms are shown to who may send them; a tenant's officer closes nothing."""
    for who, close in ((OFFICER, True), (APPROVER, False), (READER, False)):
        _, _, text = await (await signed_in(yard, who)).get(PAGE)
        assert (CLOSE in text) == close, who.role
    for who in (READER, APPROVER, ALPHA, ALPHAS_OFFICER):
        browser = await signed_in(yard, who)
        status, _, _ = await browser.post(CLOSE, {"form_token": "x", "quarter": QUARTER})
        assert status == 403, who.name
    assert standing(yard).state is life.State.OPEN


async def test_a_report_is_written_once_and_taken_away_in_both_languages(yard: Served) -> None:
    """The same bytes again, from the disk; another edition or state is another file."""
    await closed(await signed_in(yard, OFFICER))
    found: dict[tuple[str, str], bytes] = {}
    for form, code in (("json", "fr"), ("csv", "fr"), ("csv", "en"), ("html", "en")):
        path = f"{ROOT}/report?quarter={QUARTER}&form={form}&in={code}"
        for _ in range(2):
            async with yard.session.get(yard.base + path, headers=READER.bearer) as answer:
                assert answer.status == 200, await answer.text()
                disposition = answer.headers["Content-Disposition"]
                assert disposition.startswith(f'attachment; filename="jauge-yard-{QUARTER}')
                content = await answer.read()
            assert found.setdefault((form, code), content) == content
    written = yard.state.config.state(WRITTEN)
    assert len(list(written.iterdir())) == len(found)
    assert json.loads(found["json", "fr"])["record"]["quarter"] == QUARTER
    with zipfile.ZipFile(io.BytesIO(found["csv", "fr"])) as tables:
        assert any(name.endswith("datapackage.json") for name in tables.namelist())
    assert b'lang="en"' in found["html", "en"]
    for query in ("form=exe", "form=pdf&in=de", "form=pdf&quarter=2025-Q3"):
        status, _, _ = await yard.get(f"{ROOT}/report?{query}", headers=READER.bearer)
        assert status == 404, query


async def test_a_stored_report_that_was_changed_is_not_shown(yard: Served) -> None:
    """The page says so with the file; nothing is handed out, nothing approved."""
    await closed(await signed_in(yard, OFFICER))
    file = life.file_of(yard.state.config.state(life.REPORTS), "yard", QUARTER, 1)
    file.chmod(0o640)
    file.write_bytes(file.read_bytes().replace(b'"demonstrated"', b'"declared"', 1))
    status, _, text = await yard.get(f"{ROOT}?quarter={QUARTER}&lang=en", headers=OFFICER.bearer)
    assert status == 503
    assert "is not the report that was closed" in text
    path = f"{ROOT}/report?quarter={QUARTER}&form=json&in=fr"
    assert (await yard.get(path, headers=OFFICER.bearer))[0] == 404
    approver = await signed_in(yard, APPROVER)
    _, where = await act(approver, PAGE, APPROVE, quarter=QUARTER, note="")
    assert where.endswith("outcome=approve_stale")
    assert standing(yard).state is life.State.CLOSED
