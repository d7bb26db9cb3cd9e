"""Runbooks as pages: every alert's, in both languages, for whoever holds the address."""

from pathlib import Path

import pytest
from jauge_collector.console import runbooks
from jauge_collector.console.runbooks import Piece, parse
from jauge_dashboards.alerts.build import alert_files
from jauge_dashboards.alerts.rules import rules
from jauge_dashboards.alerts.runbooks import CHAPTERS
from jauge_dashboards.alerts.settings import Settings

from tests.collector.console.doors import READER, Browser, guarded
from tests.collector.console.plants import Outline
from tests.collector.console.serving import serving


@pytest.mark.parametrize("language", ["fr", "en"])
async def test_each_alert_of_the_rules_has_a_page_with_every_chapter(
    language: str, tmp_path: Path
) -> None:
    """Nobody signs in for it, and it names its language."""
    assert runbooks.names(language) == frozenset(rules())
    async with serving(guarded(tmp_path, READER)) as console:
        for name in rules():
            status, _, text = await console.get(f"/runbooks/{language}/{name}")
            assert status == 200, name
            assert f'<article class="runbook" lang="{language}">' in text
            for chapter in CHAPTERS[language]:
                assert f"<h2>{chapter}</h2>" in text.replace("\u202f", " ")
            assert text.count("<li>") >= 3
            assert "`" not in text
            assert "**" not in text
        _, _, text = await console.get(f"/runbooks?lang={language}")
        assert all(f"/runbooks/{language}/{name}?" in text for name in rules())


async def test_the_address_that_rules_give_leads_to_the_page(tmp_path: Path) -> None:
    """By the annotation of each rule as it is generated; an address of before too."""
    async with serving(guarded(tmp_path, READER)) as console:
        for language in ("fr", "en"):
            lines = alert_files(Settings(), language)["rules.yaml"].splitlines()
            told = [line.split('"')[1] for line in lines if "runbook_url:" in line]
            assert len(told) == len(rules())
            for address in told:
                base = "http://127.0.0.1:8090"
                assert address.startswith(f"{base}/runbooks/{language}/")
                assert (await console.get(address.removeprefix(base)))[0] == 200
        assert (await console.get("/runbooks/fr/JaugeRoomHot.md"))[0] == 200


async def test_the_other_language_is_one_link_away(tmp_path: Path) -> None:
    """Of the page, whose text changes with it; and unknown ones are not there."""
    async with serving(guarded(tmp_path, READER)) as console:
        status, headers, _ = await console.get("/runbooks/fr/JaugeRoomHot?lang=en")
        assert (status, headers["Location"]) == (302, "/runbooks/en/JaugeRoomHot?lang=en")
        status, _, text = await console.get(
            "/runbooks/fr/JaugeRoomHot", headers={"Accept-Language": "en"}
        )
        assert status == 200
        assert 'hreflang="en">This page in English' in text
        for wrong in ("fr/Nothing", "de/JaugeRoomHot", "fr/..%2Fen%2FJaugeRoomHot", "fr/__init__"):
            assert (await console.get(f"/runbooks/{wrong}"))[0] == 404, wrong
        browser = Browser(console)
        await browser.sign_in(READER.token)
        _, _, text = await browser.get("/runbooks/en/JaugeRoomHot?lang=en")
        assert Outline(text) is not None
        assert 'href="/alerts?lang=en"' in text


def test_the_forms_of_a_page_and_no_other_become_html() -> None:
    """A list, numbered or not; text of several lines; code, emphasis, and signs as they are."""
    text = "# N\n\n*Page.*\n\n## What\n\nOne\ntwo <b>.\n\n- a `x*y*` b\n- **c**\n\n1. d\n2. e\n"
    first, what = parse(text).chapters
    assert first.blocks[0].items == [[Piece("em", "Page.")]]
    assert [block.tag for block in what.blocks] == ["p", "ul", "ol"]
    assert what.blocks[0].items == [[Piece("", "One two <b>.")]]
    assert what.blocks[1].items == [
        [Piece("", "a "), Piece("code", "x*y*"), Piece("", " b")],
        [Piece("strong", "c")],
    ]
    assert parse("# N\n\nOui : `a : b`", french=True).chapters[0].blocks[0].items == [
        [Piece("", "Oui\u202f: "), Piece("code", "a : b")]
    ]
