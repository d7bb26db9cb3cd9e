"""Set points, hours of air and certificates by the console: entered, confirmed, corrected."""

import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jauge_collector.ledger.book import Ledger
from jauge_collector.registers.confirmations import confirmed

from tests.collector.console.doors import OFFICER, READER
from tests.collector.console.offices import PEOPLE, ROOT, act, office, signed_in
from tests.collector.console.serving import Served
from tests.collector.console.test_attesting import (
    ATTEST,
    CONFIRM,
    PAGE,
    PDF,
    SECOND,
    folder_of,
    kept,
    send,
)

COMMON: Mapping[str, str] = {"corrects": "", "note": "an example"}
DAYS: Mapping[str, str] = {"first": "2025-01-01", "last": "2025-01-31"}
SET_POINT: Mapping[str, str] = {
    "kind": "set_point",
    "room": "R",
    "celsius": "24.5",
    **DAYS,
    **COMMON,
}
HOURS: Mapping[str, str] = {
    "kind": "intake_hours",
    "room": "R",
    "row": "1",
    "rack": "",
    "quantity": "temperature",
    "envelope": "A2",
    **DAYS,
    "observed": "744",
    "allowable": "740",
    "recommended": "700.5",
    **COMMON,
}
PAPER: Mapping[str, str] = {
    "kind": "certificate",
    "certifies": "legal_report",
    "dated": "2025-05-02",
    "valid_last": "2025-12-31",
    "year": "2024",
    "statement": "for 2024",
    **COMMON,
}


@pytest.fixture
async def yard(built: Path, tmp_path: Path) -> AsyncIterator[Served]:
    """The console of the yard; its record is not asked for here."""
    async with office(built, tmp_path / "yard", *PEOPLE, SECOND, start=False) as served:
        yield served


@pytest.mark.parametrize(
    ("fields", "subject", "content", "shown"),
    [
        (SET_POINT, "R", {"celsius": 24.5}, "set point 24.5 °C"),
        (
            HOURS,
            "R / 1",
            {"observed": 744.0, "allowable": 740.0, "recommended": 700.5, "envelope": "A2"},
            "temperature, class A2: 744 h observed, 740 h allowable, 700.5 h recommended",
        ),
        (
            PAPER,
            "yard",
            {"certifies": "legal_report", "year": 2024, "statement": "for 2024"},
            "legal report 2024",
        ),
    ],
    ids=["set point", "hours", "certificate"],
)
async def test_it_is_entered_by_one_and_confirmed_by_another(
    yard: Served,
    fields: Mapping[str, str],
    subject: str,
    content: dict[str, Any],
    shown: str,
) -> None:
    """The login is the signatory; the form that corrects it comes filled in with what it says."""
    officer, kind = await signed_in(yard, OFFICER), fields["kind"]
    status, where, _ = await send(officer, fields, ("bms.pdf", PDF))
    outcome = "attest_aside" if fields is HOURS else "attest_done"
    assert (status, where) == (303, f"{ROOT}/attestations?outcome={outcome}&lang=en")
    entry = kept(yard)[-1]
    assert (entry.kind, entry.subject, entry.signatory) == (kind, subject, "officer")
    assert {name: entry.content[name] for name in content} == content
    assert entry.content["note"] == "an example (bms.pdf)"
    assert (folder_of(yard) / "documents" / entry.document).read_bytes() == PDF
    second = await signed_in(yard, SECOND)
    assert (await act(second, PAGE, CONFIRM, entry=str(entry.id)))[1].endswith("confirm_done")
    with Ledger(yard.state.config.state(yard.state.config.ledger.path)) as ledger:
        assert confirmed(ledger, "yard")[entry.id] == "second"
    _, _, page = await officer.get(PAGE)
    assert shown in " ".join(page.replace("\u202f", " ").replace("\u00a0", " ").split())
    _, _, page = await officer.get(f"{ROOT}/attestations?correct={entry.id}&lang=en")
    form = page[page.index(f'aria-labelledby="{kind}-h"') :]
    for name, value in fields.items():
        if name not in {"kind", "corrects", "note"}:
            assert _stands(form, f"{kind}-{name}") == value, name
    again = {**fields, "corrects": str(entry.id)}
    assert (await send(officer, again, ("bms.pdf", PDF)))[0] == 303
    assert kept(yard)[-1].corrects == entry.id


def _stands(form: str, field: str) -> str:
    """What stands in a field of a page."""
    part = form[form.index(f'id="{field}"') :]
    head = part[: part.index(">")]
    if 'value="' in head:
        return head[head.index('value="') + 7 :].partition('"')[0]
    chosen = re.search(r'<option value="([^"]*)" selected>', part[: part.index("</select>")])
    return "" if chosen is None else chosen[1]


async def test_a_french_officer_writes_commas_and_reads_french(yard: Served) -> None:
    """Value, form and list are in the page's language."""
    officer = await signed_in(yard, OFFICER)
    status, _, _ = await send(officer, {**SET_POINT, "celsius": "24,5"}, lang="fr")
    assert (status, kept(yard)[-1].content["celsius"]) == (303, 24.5)
    _, _, page = await officer.get(f"{ROOT}/attestations?lang=fr")
    text = page.replace("\u202f", " ").replace("\u00a0", " ")
    assert "consigne 24,5 °C" in text
    assert "Attester des heures d’air d’entrée" in text


@pytest.mark.parametrize(
    ("fields", "wrong", "field", "text"),
    [
        (SET_POINT, {"celsius": "75"}, "celsius", "0 to 60"),
        (SET_POINT, {"celsius": "warm"}, "celsius", "Give a number"),
        (SET_POINT, {"room": "Q"}, "room", "no such place"),
        (SET_POINT, {"last": "2999-01-01"}, "last", "in the future"),
        (HOURS, {"row": "9"}, "row", "no such place"),
        (HOURS, {"rack": "Z"}, "rack", "no such place"),
        (HOURS, {"observed": "745"}, "observed", "fewer hours"),
        (HOURS, {"observed": "0", "allowable": "0", "recommended": "0"}, "observed", "at least"),
        (HOURS, {"allowable": "744.5"}, "allowable", "Fewer hours were observed"),
        (HOURS, {"recommended": "741"}, "recommended", "Fewer hours are allowable"),
        (HOURS, {"recommended": ""}, "recommended", "Give a number"),
        (HOURS, {"last": "2024-12-31"}, "last", "before the first"),
        (HOURS, {"envelope": "H1"}, "envelope", "H1"),
        (HOURS, {"quantity": "noise"}, "quantity", "noise"),
        (PAPER, {"dated": ""}, "dated", "Give a date"),
        (PAPER, {"dated": "2999-01-01", "valid_last": ""}, "dated", "in the future"),
        (PAPER, {"valid_last": "2025-01-01"}, "valid_last", "before the first"),
        (PAPER, {"year": "24"}, "year", "Give a year"),
        (PAPER, {"year": ""}, "year", "calendar year"),
        (PAPER, {"certifies": "calibration"}, "certifies", "entered otherwise"),
        (PAPER, {"corrects": "999"}, "corrects", "999"),
    ],
)
async def test_a_wrong_form_comes_back_with_what_is_wrong(
    yard: Served, fields: Mapping[str, str], wrong: Mapping[str, str], field: str, text: str
) -> None:
    """Beside the field, and nothing is entered or kept."""
    officer = await signed_in(yard, OFFICER)
    before = kept(yard)
    status, _, page = await send(officer, {**fields, **wrong}, ("bms.pdf", PDF))
    assert status == 422
    problem = page[page.index(f'id="{fields["kind"]}-{field}-problem"') :]
    assert text in problem[: problem.index("</p>")]
    assert kept(yard) == before
    assert not list((folder_of(yard) / "documents").glob("*"))


async def test_hours_that_a_sensor_measured_are_told_not_to_count(yard: Served) -> None:
    """The yard's sensor measured all of 2025 and nothing of 2024."""
    officer = await signed_in(yard, OFFICER)
    status, where, _ = await send(officer, HOURS)
    assert (status, where) == (303, f"{ROOT}/attestations?outcome=attest_aside&lang=en")
    _, _, page = await officer.get(where)
    assert "a sensor measured within some of these days" in page
    before = {**HOURS, "first": "2024-01-01", "last": "2024-01-31"}
    assert (await send(officer, before))[1].endswith("outcome=attest_done&lang=en")


async def test_a_certificate_is_a_document(yard: Served) -> None:
    """Without one nothing is entered; hours and set points may do without."""
    officer = await signed_in(yard, OFFICER)
    before = len(kept(yard))
    status, _, page = await send(officer, PAPER)
    assert status == 422
    assert 'id="certificate-document-problem"' in page
    assert (await send(officer, HOURS))[0] == 303
    assert (await send(officer, HOURS))[0] == 422
    assert len(kept(yard)) == before + 1


async def test_registers_that_cannot_be_read_leave_the_forms_of_meters(yard: Served) -> None:
    """The page says so; a form that was open is refused and not lost."""
    (folder_of(yard) / "rooms.csv").write_text("nonsense\n", encoding="utf-8")
    officer = await signed_in(yard, OFFICER)
    _, _, page = await officer.get(PAGE)
    assert "registers cannot be read" in page
    assert 'id="amount-h"' in page
    assert 'id="intake_hours-h"' not in page
    status, _, page = await send(officer, HOURS)
    assert status == 422
    assert "registers cannot be read" in page


async def test_a_reader_is_shown_no_form(yard: Served) -> None:
    """What was attested is there to read."""
    reader = await signed_in(yard, READER)
    _, _, page = await reader.get(PAGE)
    assert ATTEST not in page
