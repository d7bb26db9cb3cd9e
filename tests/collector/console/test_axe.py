"""Every page of the console under an accessibility engine, by keyboard, and on the scales.

The engine is axe-core in a real Chromium: WCAG 2.1 A and AA, and its best practices.
"""

import importlib.util
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from jauge_collector.console.guard import DECLARED
from playwright.async_api import Browser, Page

from tests.browser import chromium
from tests.collector.console import cluster, test_hosting, test_pages
from tests.collector.console.doors import (
    ADMINISTRATOR,
    APPROVER,
    OFFICER,
    READER,
    Holder,
)
from tests.collector.console.offices import ALPHA, QUARTER, ROOT, act, closed, office, signed_in
from tests.collector.console.plants import LARGEST, looked_at
from tests.collector.console.serving import Served
from tests.collector.console.test_browser import CUT, FOCUS

pytestmark = pytest.mark.browser

RECORD: Final = (
    *(ROOT + page for page in ("", "/todo", "/servers", "/criteria", "/meters")),
    *(ROOT + page for page in ("/attestations", "/reports")),
    f"{ROOT}/servers?page=2",
    f"{ROOT}/servers?result=demonstrated",
    f"{ROOT}/server?id=SRV-1",
    f"{ROOT}/server?id=BETA-001",
)
OTHERS: Final = (
    "/faults",
    "/s/fleet",
    "/runbooks/fr/JaugeRoomHot",
    "/s/capacity",
    "/s/capacity/form",
)
OF_ALPHA: Final = (ROOT, f"{ROOT}/servers", f"{ROOT}/criteria", f"{ROOT}/server?id=ALPHA-1")
OF_PROGRAMS: Final = ("/healthz", "/readyz", "/metrics", "/static/{name}", "/api/")
NO_PAGES: Final = (".csv", "/compliance/report", "/compliance/document", "/capacity/scenario")
TAGS: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice")
RUN: Final = """async (tags) => {
  document.querySelectorAll('details').forEach((one) => one.open = true);
  const found = await axe.run(document, {runOnly: {type: 'tag', values: tags}});
  return {
    passes: found.passes.length,
    wrong: found.violations.map((one) => [one.id, one.nodes.map((node) => node.html)]),
  };
}"""
CONTROLS: Final = """() => [...document.querySelectorAll(
    'a[href], button, input:not([type=hidden]), select, textarea, summary, .scroll')]
  .filter((one) => one.checkVisibility()).length"""


def engine() -> str:
    """The source of axe-core, as its package brings it."""
    found = importlib.util.find_spec("axe_playwright_python")
    assert found is not None
    assert found.origin is not None
    return (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")


@asynccontextmanager
async def page_of(
    browser: Browser,
    console: Served,
    who: Holder | None = None,
    *,
    scheme: Literal["light", "dark"] = "light",
    width: int = 1280,
) -> AsyncIterator[Page]:
    """A page of somebody who is signed in. Our policy forbids scripts: it is put aside for axe."""
    context = await browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
    )
    try:
        page = await context.new_page()
        if who is not None:
            await page.goto(f"{console.base}/login")
            await page.fill("#token", who.token)
            await page.keyboard.press("Enter")
            await page.wait_for_url(lambda url: "/login" not in url)
        yield page
    finally:
        await context.close()


async def judged(page: Page, url: str, source: str) -> list[Any]:
    """What the engine finds wrong with a page."""
    await page.goto(url)
    await page.add_script_tag(content=source)
    found: dict[str, Any] = await page.evaluate(RUN, list(TAGS))
    assert found["passes"] > 10, url
    return [(url, *one) for one in found["wrong"]]


def asked(path: str, code: str) -> str:
    """A path in a language, of the quarter that the yard was measured in."""
    mark = "&" if "?" in path else "?"
    quarter = f"&quarter={QUARTER}" if path.startswith(ROOT) and "quarter=" not in path else ""
    return f"{path}{mark}lang={code}{quarter}"


async def violations(console: Served, who: Holder | None, paths: Sequence[str]) -> list[Any]:
    """Of each page in French by day and in English by night."""
    source, wrong = engine(), []
    async with chromium() as browser:
        for code, scheme in (("fr", "light"), ("en", "dark")):
            async with page_of(
                browser, console, who, scheme="dark" if scheme == "dark" else "light"
            ) as page:
                for path in paths:
                    wrong += await judged(page, console.base + asked(path, code), source)
    return wrong


@pytest.fixture
async def yard(built: Path, tmp_path: Path) -> AsyncIterator[Served]:
    """A yard with something of everything: an attested value, a closed quarter, an open one."""
    async with office(built, tmp_path / "yard") as served:
        officer = await signed_in(served, OFFICER)
        await closed(officer, "2026-Q3")
        approver = await signed_in(served, APPROVER)
        await act(
            approver,
            f"{ROOT}/reports?lang=en",
            f"{ROOT}/reports/approve",
            quarter="2026-Q3",
            note="seen",
        )
        yield served


async def test_the_engine_finds_what_is_wrong(yard: Served) -> None:
    """A picture without a text, a field without a label and grey on grey are found."""
    broken = """document.querySelector('main').insertAdjacentHTML('beforeend',
        '<img src="data:,"><input><p style="color:#999;background:#aaa">grey</p>')"""
    async with chromium() as browser, page_of(browser, yard, OFFICER) as page:
        await page.goto(f"{yard.base}{ROOT}?lang=en&quarter={QUARTER}")
        await page.add_script_tag(content=engine())
        await page.evaluate(broken)
        found = await page.evaluate(RUN, list(TAGS))
        wrong = {name for name, _ in found["wrong"]}
        assert {"image-alt", "label", "color-contrast"} <= wrong


async def test_no_page_of_a_plant_breaks_a_rule(tmp_path: Path) -> None:
    """Overview, indicators, meters, agents, tickets, errors."""
    async with looked_at(tmp_path) as console:
        assert await violations(console, None, [*test_pages.pages(), *OTHERS]) == []


async def test_no_page_of_hosts_and_guests_breaks_a_rule(tmp_path: Path) -> None:
    """Hosts, guests and their use."""
    async with cluster.housing(tmp_path) as console:
        paths = [path for path in test_hosting.PAGES if not path.endswith(".csv")]
        assert await violations(console, cluster.WHOLE, paths) == []


async def test_no_page_of_the_record_breaks_a_rule(yard: Served) -> None:
    """Those of an officer, with their forms, of an approver, and of a tenant."""
    wrong = await violations(yard, OFFICER, RECORD)
    wrong += await violations(yard, APPROVER, [f"{ROOT}/attestations", f"{ROOT}/reports"])
    wrong += await violations(yard, ALPHA, OF_ALPHA)
    wrong += await violations(yard, ADMINISTRATOR, ["/audit"])
    wrong += await violations(yard, None, ["/login"])
    assert wrong == []


async def test_a_form_that_was_refused_breaks_no_rule(yard: Served) -> None:
    """Sent by Enter; the problem is announced, leads to its field, and is said beside it."""
    source = engine()
    async with chromium() as browser, page_of(browser, yard, OFFICER) as page:
        await page.goto(f"{yard.base}{ROOT}/attestations?lang=en")
        await page.fill("#amount-value", "much")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("[role=alert]")
        assert await page.get_attribute("#amount-value", "aria-invalid") == "true"
        described = await page.get_attribute("#amount-value", "aria-describedby")
        assert described == "amount-value-problem"
        await page.click("[role=alert] a[href='#amount-value']")
        assert await page.evaluate("document.activeElement.id") == "amount-value"
        await page.add_script_tag(content=source)
        found = await page.evaluate(RUN, list(TAGS))
        assert found["wrong"] == []
        await page.click("text=Français")
        await page.wait_for_selector("#amount-value")
        assert await page.get_attribute("html", "lang") == "fr"


def pattern(path: str) -> str:
    """The route that a page's address belongs to, of those that are tested here."""
    return path.partition("?")[0]


async def test_no_page_is_left_out(yard: Served) -> None:
    """Each route that gives a page is among those that the engine looks at."""
    tested = {
        pattern(path) for path in (*test_pages.pages(), *test_hosting.PAGES, *RECORD, *OTHERS)
    } | {"/", "/login", "/audit"}
    for method, route in yard.app[DECLARED]:
        if method != "GET" or route.startswith(OF_PROGRAMS) or route.endswith(NO_PAGES):
            continue
        parts = route.split("/")
        assert any(
            len(path.split("/")) == len(parts)
            and all(
                want.startswith("{") or want == part
                for want, part in zip(parts, path.split("/"), strict=True)
            )
            for path in tested
        ), route


@pytest.mark.parametrize("who", [OFFICER, APPROVER, READER], ids=lambda holder: holder.role)
async def test_the_keyboard_reaches_every_control(yard: Served, who: Holder) -> None:
    """Skip link first; each control is a stop with an outline of 2 px or more on the screen."""
    async with chromium() as browser, page_of(browser, yard, who) as page:
        for path in (f"{ROOT}/attestations", f"{ROOT}/reports", f"{ROOT}/servers?q=SRV"):
            await page.goto(yard.base + asked(path, "en"))
            stops: list[dict[str, Any]] = []
            # A date is one control and several stops.
            marked = "document.activeElement.dataset.stop ??= ''"
            for _ in range(400):
                await page.keyboard.press("Tab")
                stop = await page.evaluate(FOCUS)
                if stop is None:
                    break
                await page.evaluate(marked)
                stops.append(stop)
            assert stops[0]["name"] == "Skip to content"
            assert [s for s in stops if s["outline"] < 2 or not s["seen"]] == [], path
            reached = await page.locator("[data-stop]").count()
            assert reached == await page.evaluate(CONTROLS), path


async def test_nothing_is_cut_and_nothing_scrolls_sideways(yard: Served) -> None:
    """At 360 px in both languages, but for wide tables in their own region."""
    async with chromium() as browser, page_of(browser, yard, OFFICER, width=360) as page:
        for code in ("fr", "en"):
            for path in RECORD:
                await page.goto(yard.base + asked(path, code))
                wide = await page.evaluate(
                    "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
                )
                assert wide[0] <= wide[1], path
                assert await page.evaluate(CUT) == [], path


async def test_no_page_of_the_record_is_heavy(yard: Served) -> None:
    """At most 150 kB with its stylesheet, the longest list among them."""
    _, _, sheet = await yard.get("/static/console.css")
    for path in RECORD:
        for code in ("fr", "en"):
            status, _, text = await yard.get(asked(path, code), headers=OFFICER.bearer)
            assert status == 200, path
            assert len(text.encode()) + len(sheet.encode()) < LARGEST, path
