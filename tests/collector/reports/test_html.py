"""The report as HTML: strict, without script, small, and an engine finds no barrier in it."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import axe_playwright_python  # type: ignore[import-untyped]
import html5lib
import pytest
from jauge_collector.console.text import CODES
from jauge_collector.reports import page
from jauge_collector.reports.composition import compose
from jauge_collector.reports.content import Report
from jauge_collector.reports.write import stem
from playwright.async_api import Browser

from tests.browser import chromium
from tests.collector.reports.example import MARKUP, empty, example

LARGEST = 150_000
REPORTS = {
    "approved": example(),
    "provisional": example(approved=False, withheld=True, restated=True, simulated=True),
    "markup": example(text=MARKUP),
    "empty": empty(),
    "large": example(servers=1000),
}
XHTML = "{http://www.w3.org/1999/xhtml}"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]


@pytest.fixture(scope="module", params=[*REPORTS])
def report(request: pytest.FixtureRequest) -> Report:
    """Each kind of report."""
    return REPORTS[request.param]


@pytest.fixture(scope="module", params=CODES)
def language(request: pytest.FixtureRequest) -> str:
    """Each language."""
    return str(request.param)


@pytest.fixture(scope="module")
def text(report: Report, language: str) -> str:
    """The file."""
    return page.html(report, language)


@pytest.fixture(scope="module")
def tree(text: str) -> Any:
    """The file as a strict reader of HTML sees it: an error of syntax ends it."""
    return html5lib.HTMLParser(strict=True).parse(text)


def _all(tree: Any, name: str) -> list[Any]:
    return list(tree.iter(f"{XHTML}{name}"))


def _text(element: Any) -> str:
    return " ".join("".join(element.itertext()).split())


def test_is_one_small_file_that_asks_for_nothing(text: str, tree: Any) -> None:
    """No script, no picture, no style and no font from elsewhere."""
    assert len(text.encode()) < LARGEST
    for name in ("script", "link", "img", "iframe", "object", "embed"):
        assert not _all(tree, name)
    assert not re.search(r"url\((?!#)|@import|\son\w+=", text.split("<body>", maxsplit=1)[0])
    for link in _all(tree, "a"):
        assert not link.get("href").startswith(("http:", "https:", "//", "javascript:"))


def test_says_what_it_is(tree: Any, report: Report, language: str) -> None:
    """Language, title, landmarks, and a way past the contents."""
    assert tree.get("lang") == language
    assert _all(tree, "title")[0].text == compose(report, language).title
    for name in ("header", "main", "footer", "nav"):
        assert len(_all(tree, name)) == 1
    assert _all(tree, "a")[0].get("href") == f"#{_all(tree, 'main')[0].get('id')}"
    ids = [each.get("id") for each in tree.iter() if each.get("id")]
    for link in _all(tree, "a"):
        if link.get("href").startswith("#"):
            assert link.get("href")[1:] in ids


def test_tables_have_captions_and_heads(tree: Any) -> None:
    """Each row and each column says what it is."""
    tables = _all(tree, "table")
    assert len(tables) > 5
    for table in tables:
        assert _text(_all(table, "caption")[0])
        assert {head.get("scope") for head in _all(table, "th")} == {"col", "row"}
        columns = len(_all(_all(table, "thead")[0], "th"))
        for row in _all(_all(table, "tbody")[0], "tr"):
            assert len(row) == columns


def test_marks_and_markup_stand_as_text(tree: Any, report: Report, language: str) -> None:
    """« PROVISOIRE » is text, and what was typed is not taken for HTML or a template."""
    document = compose(report, language)
    marks = [_text(each) for each in _all(tree, "aside")]
    assert marks == ([" – ".join(document.marks)] if document.marks else [])
    said = _text(_all(tree, "body")[0])
    if report is REPORTS["markup"]:
        assert said.count(" ".join(MARKUP.split())) > 25


def test_a_long_list_leads_to_its_table(tree: Any, report: Report, language: str) -> None:
    """A hundred rows stand there, and the link has the name of what `write` puts beside it."""
    links = [a.get("href") for a in _all(tree, "a") if not a.get("href").startswith("#")]
    total = report.record.headline.total
    assert links == ([f"{stem(report, language)}/servers.csv"] if total else [])
    (servers,) = [each for each in _all(tree, "section") if each.get("id") == "servers"]
    rows = [row for body in _all(servers, "tbody") for row in _all(body, "tr")]
    assert len(rows) == min(total, 100)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A real one."""
    async with chromium() as found:
        yield found


def _engine() -> str:
    (file,) = Path(axe_playwright_python.__file__).parent.rglob("axe.min.js")
    return file.read_text("utf-8")


CASES = (
    ("provisional", "fr", 1280),
    ("provisional", "en", 360),
    ("markup", "fr", 1280),
    ("empty", "en", 1280),
)
"""What differs in its elements; each takes the engine some seconds."""


@pytest.mark.browser
async def test_an_engine_finds_no_barrier(browser: Browser) -> None:
    """Axe over both languages, on a wide and a narrow screen; nothing runs off the page."""
    engine = _engine()
    for name, code, width in CASES:
        sheet = await browser.new_page(viewport={"width": width, "height": 900})
        await sheet.set_content(page.html(REPORTS[name], code))
        await sheet.evaluate(engine)
        found = await sheet.evaluate(f"axe.run(document, {{runOnly: {RULES}}})")
        assert [each["id"] for each in found["violations"]] == [], (name, code, width)
        assert len(found["passes"]) > 20
        assert await sheet.evaluate("document.documentElement.scrollWidth") <= width
        await sheet.close()
