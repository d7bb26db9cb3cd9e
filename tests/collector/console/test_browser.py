"""A real Chromium looks at the pages: errors, contrast, reflow, zoom, focus, accessibility tree."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Browser, Page

from tests.browser import chromium
from tests.collector.console.plants import SITE, looked_at
from tests.collector.console.serving import Served
from tests.collector.console.test_pages import pages

pytestmark = pytest.mark.browser

LONG = SITE.replace("UPS", "Uninterruptible-power-supply-with-an-unbreakably-long-name-" * 2)
LEAST_CONTRAST = 4.5

CONTRAST = """() => {
  const parse = (text) => {
    const m = text.match(/rgba?\\(([^)]+)\\)/); if (!m) return null;
    const [r, g, b, a = 1] = m[1].split(/[ ,/]+/).map(Number); return {r, g, b, a};
  };
  const light = ({r, g, b}) => [r, g, b]
    .map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour && colour.a === 1) return colour;
    }
    return {r: 255, g: 255, b: 255};
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    if (['title', 'desc', 'TITLE'].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const ink = parse(element instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [light(ink), light(ground(element))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), walker.currentNode.data.trim()]);
  }
  return found;
}"""
CUT = """() => [...document.querySelectorAll('main *')]
  .filter((e) => !e.children.length && e.checkVisibility() && !e.closest('.scroll, svg, .hidden'))
  .filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.textContent)"""
FOCUS = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  return {
    name: element.textContent.trim() || element.getAttribute('aria-label') || element.tagName,
    outline: style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth),
    seen: box.width > 1 && box.height > 1 && box.right > 0,
  };
}"""


@asynccontextmanager
async def page_of(
    browser: Browser,
    *,
    width: int = 1280,
    scheme: Literal["light", "dark"] = "light",
    wrong: list[str] | None = None,
) -> AsyncIterator[Page]:
    """A fresh page; what the browser complains of is added to ``wrong``."""
    context = await browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme
    )
    page = await context.new_page()
    if wrong is not None:
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("requestfailed", lambda request: wrong.append(request.url))
    try:
        yield page
    finally:
        await context.close()


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Served]:
    """The console of the example, with a name that does not break."""
    async with looked_at(tmp_path, LONG) as served:
        yield served


async def test_no_page_makes_the_browser_complain_or_ask_elsewhere(console: Served) -> None:
    """No console message but that of a 404 itself, no failed request, no address but ours."""
    wrong: list[str] = []
    asked: list[str] = []
    async with chromium() as browser, page_of(browser, wrong=wrong) as page:
        page.on("request", lambda request: asked.append(request.url))
        for path in pages():
            await page.goto(console.base + path)
    assert [text for text in wrong if "the server responded with a status of 40" not in text] == []
    assert [url for url in asked if not url.startswith((console.base, "data:"))] == []


async def test_every_text_has_enough_contrast_in_light_and_dark(console: Served) -> None:
    """At least 4.5 to 1 for each text, the labels of charts among them."""
    async with chromium() as browser:
        for scheme in ("light", "dark"):
            async with page_of(browser, scheme=scheme) as page:
                for path in pages():
                    await page.goto(console.base + path)
                    await page.evaluate("document.querySelectorAll('details').forEach(d=>d.open=1)")
                    measured: Sequence[tuple[float, str]] = await page.evaluate(CONTRAST)
                    assert len(measured) > 5
                    low = [(ratio, text) for ratio, text in measured if ratio < LEAST_CONTRAST]
                    assert low == [], (scheme, path)


@pytest.mark.parametrize(("width", "zoom"), [(320, 1), (1280, 2), (640, 2)])
async def test_text_reflows(console: Served, width: int, zoom: int) -> None:
    """At 320 px, and with text twice as large, no page scrolls sideways; wide tables do alone."""
    async with chromium() as browser, page_of(browser, width=width) as page:
        for path in pages():
            await page.goto(console.base + path)
            await page.evaluate(f"document.documentElement.style.fontSize = '{15 * zoom}px'")
            wide = await page.evaluate(
                "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
            )
            assert wide[0] <= wide[1], path
            cut = await page.evaluate(CUT)
            assert cut == [], path


async def test_the_keyboard_reaches_everything_and_shows_where_it_is(console: Served) -> None:
    """Skip link first; every stop has an outline of 2 px or more and is on the screen."""
    async with chromium() as browser, page_of(browser) as page:
        for path in ("/s?lang=en", "/s/meter/ups?lang=en"):
            await page.goto(console.base + path)
            stops: list[dict[str, Any]] = []
            for _ in range(200):
                await page.keyboard.press("Tab")
                stop = await page.evaluate(FOCUS)
                if stop is None:
                    break
                stops.append(stop)
            assert stops[0]["name"] == "Skip to content"
            assert [s for s in stops if s["outline"] < 2 or not s["seen"]] == []
            links = await page.locator("a[href], summary, .scroll").evaluate_all(
                "all => all.filter((e) => e.checkVisibility()).length"
            )
            assert len(stops) == links


async def tree_of(page: Page) -> list[dict[str, Any]]:
    """Nodes of the accessibility tree that are not ignored, in order."""
    session = await page.context.new_cdp_session(page)
    answer = await session.send("Accessibility.getFullAXTree")
    return [node for node in answer["nodes"] if not node["ignored"]]


async def test_the_accessibility_tree_tells_the_page(console: Served) -> None:
    """Landmarks once each, headings in order, charts as images with a name and a description.

    Every table is named and has its headers; no region and no link is without a name.
    """
    async with chromium() as browser, page_of(browser) as page:
        for path in pages():
            await page.goto(console.base + path)
            nodes = await tree_of(page)
            roles = [node["role"]["value"] for node in nodes]
            for landmark in ("banner", "main", "contentinfo"):
                assert roles.count(landmark) == 1, (path, landmark)
            levels = [
                next(p["value"]["value"] for p in node["properties"] if p["name"] == "level")
                for node in nodes
                if node["role"]["value"] == "heading"
            ]
            assert levels[0] == 1, path
            assert levels.count(1) == 1, path
            assert all(after - before <= 1 for before, after in pairwise(levels)), (path, levels)
            for node in nodes:
                role = node["role"]["value"]
                if role in ("image", "img"):
                    assert node["name"]["value"], path
                    assert node.get("description", {}).get("value"), (path, node["name"])
                if role in ("region", "navigation", "link", "table", "figure", "heading"):
                    assert node["name"]["value"].strip(), (path, role)
            names = [
                node["name"]["value"]
                for node in nodes
                if node["role"]["value"] in ("region", "navigation")
            ]
            assert len(set(names)) == len(names), (path, names)
            if roles.count("table"):
                assert roles.count("columnheader") >= 2, path
                assert "rowheader" in roles, path


async def test_paper_shows_figures_and_charts(console: Served) -> None:
    """Printed, the navigation goes and what was measured stays, within the width of A4."""
    async with chromium() as browser, page_of(browser, width=794) as page:
        await page.goto(console.base + "/s?lang=en")
        await page.emulate_media(media="print")
        assert not await page.locator("header nav").is_visible()
        assert await page.locator("svg.chart").count() == 4
        assert await page.locator("svg.chart").first.is_visible()
        cut = await page.locator("main, .scroll").evaluate_all(
            "all => all.filter((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth).length"
        )
        assert cut == 0


STATES = """() => [...document.querySelectorAll('main .scroll > table')]
  .filter((table) => !table.closest('details'))
  .flatMap((table) => [...table.querySelectorAll('tbody tr')])
  .map((row) => row.children[1].querySelector('.chip') || row.children[1].firstChild)
  .map((what) => { const range = document.createRange(); range.selectNodeContents(what);
    return [what.textContent.trim(), range.getBoundingClientRect().right]; })"""
"""Of every row of the tables that are not folded away: its second cell and where that ends."""


async def test_what_alarms_is_on_the_first_screen_of_a_phone(console: Served) -> None:
    """State or age stands beside the name, within 390 pixels, however long the name."""
    async with chromium() as browser, page_of(browser, width=390) as page:
        for path, silent in (("/s", "silencieux"), ("/s/agent/plant", "silencieux")):
            await page.goto(f"{console.base}{path}?lang=fr")
            seen: list[tuple[str, float]] = await page.evaluate(STATES)
            assert any(text.endswith(silent) for text, _ in seen), path
            assert [one for one in seen if one[1] > 390 - 14] == [], path
