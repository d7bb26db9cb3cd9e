"""A real Chromium signs in, releases an agent and comes by a link from elsewhere."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.browser import chromium
from tests.collector.console.doors import (
    ADMINISTRATOR,
    OPERATOR,
    Holder,
    guarded,
    held_back,
    quarantine,
)
from tests.collector.console.plants import SITE, fill, introduce
from tests.collector.console.serving import PLANT, Served, opened, serve
from tests.collector.console.test_browser import (
    CONTRAST,
    CUT,
    FOCUS,
    LEAST_CONTRAST,
    page_of,
    tree_of,
)

pytestmark = pytest.mark.browser

ALPHA = Holder("alpha", "reader", tenants=("alpha",))
OWN = '\n[[attributes]]\nsubject = "ups"\nname = "tenant"\nvalue = "alpha"\n'
AGENT = "/s/agent/plant"


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Served]:
    """The console of the example, for whom it knows; its agent is in quarantine."""
    settings = guarded(tmp_path, OPERATOR, ADMINISTRATOR, ALPHA, site=SITE + OWN)
    async with opened(settings) as state:
        await fill(state)
        await introduce(state)
        agent = state.inventory.get(PLANT)
        assert agent is not None
        quarantine(agent)
        async with serve(state) as served:
            yield served


async def test_an_operator_signs_in_releases_and_signs_out(console: Served) -> None:
    """By keyboard alone, from the page that was asked for and back; nothing is complained of."""
    wrong: list[str] = []
    agent = console.state.inventory.get(PLANT)
    assert agent is not None
    async with chromium() as browser, page_of(browser, wrong=wrong) as page:
        await page.goto(f"{console.base}{AGENT}?lang=en")
        assert "/login" in page.url
        assert await page.evaluate("document.activeElement.id") == "token"
        await page.keyboard.type("jauge_nonsense")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("[role=alert]")
        assert await page.get_attribute("#token", "aria-invalid") == "true"
        assert await page.input_value("#token") == ""
        await page.keyboard.type(OPERATOR.token)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**{AGENT}?lang=en")
        assert OPERATOR.token not in page.url
        button = page.get_by_role("button", name="Release from quarantine")
        await button.focus()
        await page.keyboard.press("Enter")
        await page.wait_for_selector("[role=status]")
        assert not held_back(agent)
        assert await button.count() == 0
        await page.get_by_role("button", name="Sign out").click()
        await page.wait_for_selector("#token")
        await page.goto(f"{console.base}{AGENT}?lang=en")
        assert "/login" in page.url
    assert [text for text in wrong if "status of 401" not in text] == []


async def test_a_link_from_elsewhere_finds_who_is_signed_in(console: Served) -> None:
    """An alert's link: the cookie is strict, and the page that was linked to comes all the same."""
    links = web.Application()

    async def mail(_: web.Request) -> web.Response:
        text = f'<a href="{console.base}/s?lang=en">alert</a>'
        return web.Response(text=text, content_type="text/html")

    links.router.add_get("/", mail)
    runner = web.AppRunner(links, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        elsewhere = f"http://localhost:{runner.addresses[0][1]}/"
        async with chromium() as browser, page_of(browser) as page:
            await page.goto(elsewhere)
            await page.click("a")
            await page.wait_for_selector("#token")
            await page.fill("#token", OPERATOR.token)
            await page.keyboard.press("Enter")
            await page.wait_for_url("**/s?lang=en")
            await page.goto(elsewhere)
            await page.click("a")
            await page.wait_for_selector("h2#agents")
            assert page.url == f"{console.base}/s?lang=en"
    finally:
        await runner.cleanup()


async def test_doors_and_forms_are_readable_and_reachable(console: Served) -> None:
    """Contrast in light and dark, no sideways scrolling at 320 px, focus seen, names on controls.

    Signing in (also refused), the agent with its form, changes, a refusal, a tenant's overview.
    """
    visits: list[tuple[Holder | None, list[str]]] = [
        (None, ["/login"]),
        (OPERATOR, [AGENT, "/audit"]),
        (ADMINISTRATOR, ["/audit"]),
        (ALPHA, ["/s", "/faults", "/s/meter/ups"]),
    ]
    async with chromium() as browser:
        for code in ("fr", "en"):
            for scheme in ("light", "dark"):
                for holder, paths in visits:
                    async with page_of(browser, width=320, scheme=scheme) as page:
                        await page.goto(f"{console.base}/login?lang={code}")
                        await page.fill("#token", holder.token if holder else "x")
                        await page.keyboard.press("Enter")
                        await page.wait_for_selector(".me" if holder else "[role=alert]")
                        for path in paths:
                            if holder:
                                await page.goto(f"{console.base}{path}?lang={code}")
                            where = (code, scheme, path, holder and holder.name)
                            assert await page.get_attribute("html", "lang") == code
                            low = [
                                m for m in await page.evaluate(CONTRAST) if m[0] < LEAST_CONTRAST
                            ]
                            assert low == [], where
                            assert await page.evaluate(CUT) == [], where
                            wide = "document.documentElement.scrollWidth - innerWidth"
                            assert await page.evaluate(wide) <= 0, where
                            for node in await tree_of(page):
                                role = node["role"]["value"]
                                if role in ("button", "textbox", "link", "heading", "region"):
                                    assert node["name"]["value"].strip(), (where, role)
                            await page.evaluate("document.activeElement.blur()")
                            for _ in range(6):
                                await page.keyboard.press("Tab")
                                stop = await page.evaluate(FOCUS)
                                assert stop is None or stop["outline"] >= 2, (where, stop)
                            assert len(await page.content()) < 150_000
