"""Values that people sign for by the console: entered, confirmed by another, corrected."""

import hashlib
import io
import os
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from jauge_collector.console.uploads import LARGEST_FILE, forget_old
from jauge_collector.ledger.book import Ledger
from jauge_collector.registers.attestations import attested
from jauge_collector.registers.confirmations import confirmed

from tests.collector.console.doors import (
    APPROVER,
    OFFICER,
    READER,
    SAME,
    Browser,
    Holder,
    hidden,
)
from tests.collector.console.offices import ALPHAS_OFFICER, PEOPLE, ROOT, act, office, signed_in
from tests.collector.console.serving import Served

PAGE = f"{ROOT}/attestations?lang=en"
ATTEST = f"{ROOT}/attestations/attest"
CONFIRM = f"{ROOT}/attestations/confirm"
SECOND = Holder("second", "approver")
PDF = b"%PDF-1.4 an example"
AMOUNT: Mapping[str, str] = {
    "kind": "amount",
    "meter": "outlet2",
    "value": "12.5",
    "unit": "MWh",
    "first": "2026-01-01",
    "last": "2026-01-31",
    "corrects": "",
    "note": "an example",
}


@pytest.fixture
async def yard(built: Path, tmp_path: Path) -> AsyncIterator[Served]:
    """The console of the yard; its record is not asked for here."""
    async with office(built, tmp_path / "yard", *PEOPLE, SECOND, start=False) as served:
        yield served


def folder_of(console: Served) -> Path:
    """Where the collector keeps its state."""
    return console.state.config.state(Path())


def kept(console: Served) -> list[Any]:
    """Every attested value."""
    with Ledger(console.state.config.state(console.state.config.ledger.path)) as ledger:
        return attested(ledger, console.state.sites["yard"])


async def send(
    browser: Browser,
    fields: Mapping[str, str],
    file: tuple[str, bytes] | None = None,
    *,
    headers: Mapping[str, str] = SAME,
    token: str | None = None,
    lang: str = "en",
) -> tuple[int, str, str]:
    """The form of an amount or a reading as a browser sends it: status, place, page."""
    _, _, text = await browser.get(f"{ROOT}/attestations?lang={lang}")
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field(
        "form_token", hidden(text[text.index(f'action="{ATTEST}') :]) if token is None else token
    )
    for name, value in fields.items():
        form.add_field(name, value)
    name, content = file or ("", b"")
    form.add_field(
        "document", io.BytesIO(content), filename=name, content_type="application/octet-stream"
    )
    cookies = "; ".join(f"{key}={value}" for key, value in browser.cookies.items())
    status, answered, body = await browser.console.ask(
        "POST", f"{ATTEST}?lang={lang}", data=form, headers={**headers, "Cookie": cookies}
    )
    return status, answered.get("Location", ""), body


async def test_an_officer_attests_with_a_document_and_another_confirms(yard: Served) -> None:
    """The login is the signatory, the document is kept under its hash, each act is audited."""
    officer = await signed_in(yard, OFFICER)
    before = len(kept(yard))
    status, where, _ = await send(officer, AMOUNT, ("bill.pdf", PDF))
    assert (status, where) == (303, f"{ROOT}/attestations?outcome=attest_done&lang=en")
    (entry,) = kept(yard)[before:]
    assert entry.signatory == "officer"
    assert entry.content["base"] == pytest.approx(12.5 * 3.6e9)
    assert entry.content["entered"] == "12.5 MWh"
    assert entry.content["note"] == "an example (bill.pdf)"
    assert entry.end_ms - entry.start_ms == 31 * 86_400_000
    digest = hashlib.sha256(PDF).hexdigest()
    assert entry.document == digest
    assert (folder_of(yard) / "documents" / digest).read_bytes() == PDF
    assert list((folder_of(yard) / "uploads").iterdir()) == []

    path = f"{ROOT}/document?entry={entry.id}"
    _, headers, text = await yard.get(path, headers=SECOND.bearer)
    assert headers["Content-Type"] == "application/pdf"
    assert "attachment" in headers["Content-Disposition"]
    assert text.encode() == PDF

    second = await signed_in(yard, SECOND)
    status, where = await act(second, PAGE, CONFIRM, entry=str(entry.id))
    assert (status, where) == (303, f"{ROOT}/attestations?outcome=confirm_done")
    with Ledger(yard.state.config.state(yard.state.config.ledger.path)) as ledger:
        assert confirmed(ledger, "yard")[entry.id] == "second"
    told = _audit(yard)
    assert told == [
        ("officer", "value.attest", "outlet2"),
        ("second", "value.confirm", str(entry.id)),
    ]
    _, _, page = await officer.get(PAGE)
    assert "second" in page


def _audit(console: Served) -> list[tuple[str, str, str]]:
    """What stands in the record of changes, but for who came and went."""
    lines = (folder_of(console) / "console-audit.jsonl").read_bytes().splitlines()
    found = [msgspec.json.decode(line) for line in lines]
    return [(each["who"], each["what"], each["subject"]) for each in found if "." in each["what"]]


async def test_nothing_is_confirmed_twice_and_nothing_that_is_not_there(yard: Served) -> None:
    """The page says that it does not wait any more; who enters is shown no such form."""
    officer = await signed_in(yard, OFFICER)
    await send(officer, AMOUNT)
    number = str(kept(yard)[-1].id)
    approver = await signed_in(yard, APPROVER)
    assert (await act(approver, PAGE, CONFIRM, entry=number))[1].endswith("confirm_done")
    # The form of the yard's own entry is still there, with the value that this one would carry.
    assert (await act(approver, PAGE, CONFIRM, entry=number))[1].endswith("confirm_stale")
    for none in ("999", "x", ""):
        assert (await act(approver, PAGE, CONFIRM, entry=none))[1].endswith("confirm_stale")
    with Ledger(yard.state.config.state(yard.state.config.ledger.path)) as ledger:
        assert confirmed(ledger, "yard") == {int(number): "approver"}
    _, _, text = await officer.get(PAGE)
    assert CONFIRM not in text


async def test_the_same_login_with_another_role_does_not_confirm_itself(
    built: Path, tmp_path: Path
) -> None:
    """Two grants of one name are one person."""
    twin = Holder("Officer", "approver")
    async with office(built, tmp_path / "yard", OFFICER, twin, SECOND, start=False) as console:
        officer = await signed_in(console, OFFICER)
        await send(officer, AMOUNT)
        number = str(kept(console)[-1].id)
        browser = await signed_in(console, twin)
        _, _, text = await browser.get(PAGE)
        assert "by another person than you" in text
        status, where = await act(browser, PAGE, CONFIRM, entry=number)
        assert (status, where) == (303, f"{ROOT}/attestations?outcome=confirm_own")
        _, _, text = await browser.get(where + "&lang=en")
        assert "You signed for it yourself" in text


async def test_a_slip_is_corrected_by_a_new_entry(yard: Served) -> None:
    """The form comes filled in with what it corrects; the old one stays and says by what."""
    officer = await signed_in(yard, OFFICER)
    await send(officer, AMOUNT)
    old = kept(yard)[-1]
    _, _, text = await officer.get(f"{ROOT}/attestations?correct={old.id}&lang=en")
    assert 'value="12.5"' in text
    assert 'value="2026-01-31"' in text
    status, _, _ = await send(officer, {**AMOUNT, "value": "12.6", "corrects": str(old.id)})
    assert status == 303
    assert kept(yard)[-1].corrects == old.id
    _, _, text = await officer.get(PAGE)
    assert f"corrected by {kept(yard)[-1].id}" in text


async def test_what_corrects_an_invoice_is_one(yard: Served) -> None:
    """The form does not ask for it: S15 would lose the invoice, and the cause with it."""
    officer = await signed_in(yard, OFFICER)
    content = {"base": 3.6e9, "entered": "1 MWh", "note": "", "invoice": True, "cause": "estimated"}
    with Ledger(yard.state.config.state(yard.state.config.ledger.path)) as ledger:
        old = ledger.append(
            "yard",
            "amount",
            "outlet2",
            start_ms=1_769_904_000_000,
            end_ms=1_772_323_200_000,
            content=content,
            now_ms=1_772_323_200_000,
            signatory="somebody",
        )
    february = {**AMOUNT, "first": "2026-02-01", "last": "2026-02-28", "corrects": str(old)}
    status, _, _ = await send(officer, february)
    assert status == 303
    found = kept(yard)[-1]
    assert (found.corrects, found.content["invoice"], found.content["cause"]) == (
        old,
        True,
        "estimated",
    )


async def test_a_dial_reading_is_attested_on_the_sites_clock(yard: Served) -> None:
    """With a French number."""
    officer = await signed_in(yard, OFFICER)
    reading = {
        "kind": "reading",
        "meter": "dc",
        "value": "10\u202f250,5",
        "unit": "kWh",
        "at": "2026-02-01T17:00",
        "corrects": "",
        "note": "",
    }
    status, _, _ = await send(officer, reading, lang="fr")
    assert status == 303
    entry = kept(yard)[-1]
    assert entry.content["entered"] == "10250.5 kWh"
    assert (entry.kind, entry.end_ms) == ("reading", None)


@pytest.mark.parametrize(
    ("wrong", "field", "text"),
    [
        ({"value": "much"}, "value", "Give a number"),
        ({"value": "-1"}, "value", "Give a number"),
        ({"value": "1e999"}, "value", "Give a number"),
        ({"value": "1,5"}, "value", "Give a number"),
        ({"unit": "m3"}, "unit", "does not fit"),
        ({"unit": "bushels"}, "unit", "does not fit"),
        ({"meter": "nobodys"}, "meter", "no such meter"),
        ({"first": ""}, "first", "Give a date"),
        ({"first": "2026-02-30"}, "first", "Give a date"),
        ({"last": "2025-12-31"}, "last", "before the first"),
        ({"last": "2999-01-01"}, "last", "in the future"),
        ({"corrects": "x"}, "corrects", "number of an entry"),
        ({"corrects": "999"}, "corrects", "999"),
        ({"first": "2025-03-01", "last": "2025-03-31"}, "first", "overlaps"),
    ],
)
async def test_a_wrong_form_comes_back_as_it_was_with_what_is_wrong(
    yard: Served, wrong: Mapping[str, str], field: str, text: str
) -> None:
    """Said beside the field and above, and nothing is entered."""
    officer = await signed_in(yard, OFFICER)
    before = kept(yard)
    status, _, page = await send(officer, {**AMOUNT, **wrong}, ("bill.pdf", PDF))
    assert status == 422
    assert f'id="amount-{field}-problem"' in page
    assert text in page
    assert "an example" in page
    assert "Nothing was entered." in page
    assert kept(yard) == before
    assert "Traceback" not in page


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("bill.pdf", b"MZ\x90\x00 a program", "no PDF, PNG, JPEG or CSV"),
        ("bill.html", b"<script>", "no PDF, PNG, JPEG or CSV"),
        ("rows.csv", b"a;b\n\x00\x01", "no PDF, PNG, JPEG or CSV"),
        ("rows.csv", b"a;\xff\xfe", "no PDF, PNG, JPEG or CSV"),
        ("rows.csv", b"a;\xc3", "no PDF, PNG, JPEG or CSV"),
        ("bill.pdf", PDF + bytes(LARGEST_FILE), "too large"),
    ],
    ids=["program", "html", "binary", "not utf-8", "cut short", "large"],
)
async def test_a_file_of_another_kind_or_size_is_not_kept(
    yard: Served, name: str, content: bytes, text: str
) -> None:
    """Nothing of it stays on the disk, and nothing is entered."""
    officer = await signed_in(yard, OFFICER)
    before = kept(yard)
    status, _, page = await send(officer, AMOUNT, (name, content))
    assert status == 422
    assert text in page
    assert kept(yard) == before
    assert list((folder_of(yard) / "uploads").iterdir()) == []
    assert not (folder_of(yard) / "documents").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.png", b"\x89PNG\r\n\x1a\n0"),
        ("a.jpg", b"\xff\xd8\xff\xe0"),
        ("a.csv", b"a;\xc3\xa9\n1;2\n"),
    ],
)
async def test_pictures_and_tables_are_kept(yard: Served, name: str, content: bytes) -> None:
    """Each under its hash."""
    officer = await signed_in(yard, OFFICER)
    status, _, _ = await send(officer, AMOUNT, (name, content))
    assert status == 303
    assert kept(yard)[-1].document == hashlib.sha256(content).hexdigest()


async def test_a_form_from_another_place_or_without_its_value_keeps_no_file(yard: Served) -> None:
    """The proof is checked before a byte of the file is written."""
    officer = await signed_in(yard, OFFICER)
    before = kept(yard)
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    for headers, token in (({}, None), (elsewhere, None), (SAME, "x")):
        status, _, _ = await send(officer, AMOUNT, ("bill.pdf", PDF), headers=headers, token=token)
        assert status == 403, (headers, token)
    assert kept(yard) == before
    assert not (folder_of(yard) / "documents").exists()
    assert not (folder_of(yard) / "uploads").exists()


async def test_only_some_roles_enter_and_only_for_the_whole_site(yard: Served) -> None:
    """A reader and an approver enter nothing; nor does an officer of one tenant."""
    before = kept(yard)
    for who in (READER, APPROVER, ALPHAS_OFFICER):
        browser = await signed_in(yard, who)
        status, _, page = await browser.get(PAGE)
        assert status == (403 if who is ALPHAS_OFFICER else 200)
        assert ATTEST not in page
        form = aiohttp.FormData(default_to_multipart=True)
        form.add_field("form_token", hidden(page))
        cookies = "; ".join(f"{key}={value}" for key, value in browser.cookies.items())
        status, _, _ = await yard.ask(
            "POST", ATTEST, data=form, headers={**SAME, "Cookie": cookies}
        )
        assert status == 403, who.role
    assert kept(yard) == before


async def test_other_forms_stay_as_small_as_they_were(yard: Served) -> None:
    """The larger limit is that one route's; fields beside a file are bounded too."""
    approver = await signed_in(yard, APPROVER)
    status, _, _ = await approver.post(CONFIRM, {"form_token": "x", "entry": "1" * 9_000})
    assert status == 413
    officer = await signed_in(yard, OFFICER)
    status, _, _ = await send(officer, {**AMOUNT, "note": "n" * 9_000})
    assert status == 400


def test_what_a_kill_left_behind_goes(tmp_path: Path) -> None:
    """At the next start; what may still be written stays."""
    for name, age_s in (("old", 7200), ("young", 5)):
        (tmp_path / name).write_bytes(PDF)
        at = time.time() - age_s
        os.utime(tmp_path / name, (at, at))
    forget_old(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["young"]
    forget_old(tmp_path / "none")
