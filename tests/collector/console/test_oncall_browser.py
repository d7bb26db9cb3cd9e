"""The pages of whoever is on call in a real Chromium: on a telephone, by day and by night.

Every state of the page of alerts, and of the form of planned events, under the engine of
`test_axe`; without a script, for the console's policy forbids them.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from jauge_collector.console import alertmanager
from playwright.async_api import Page

from tests.browser import chromium
from tests.collector.console import oncall
from tests.collector.console.doors import OPERATOR, READER, guarded
from tests.collector.console.serving import Served, introduce, serving
from tests.collector.console.test_axe import engine, judged, page_of
from tests.collector.console.test_browser import CUT
from tests.parts import Alertmanager

pytestmark = pytest.mark.browser

TELEPHONE = 390
LONG = "Unité-d’alimentation-au-nom-qui-ne-se-coupe-pas-" * 4
WIDE = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"


@pytest.fixture
async def held(alertmanager: Alertmanager) -> Alertmanager:
    """A real one with a page, a report, a stranger's alert, and one of each that is held back."""
    ups = {**oncall.SILENT, "alertname": "JaugeUpsOnBattery", "topic": "power", "resource": LONG}
    event = {"alertname": "JaugeEventActive", "severity": "none", "site": "s", "kind": "battery"}
    await oncall.tell(
        alertmanager,
        [
            oncall.alert(oncall.WATCHDOG),
            oncall.alert(oncall.HOT, oncall.SAID),
            oncall.alert(oncall.DRIFT, {"summary": LONG}),
            oncall.alert({"alertname": "DiskFull", "instance": LONG}),
            oncall.alert(oncall.SILENT),
            oncall.alert(event),
            oncall.alert(ups),
        ],
    )
    await oncall.silence(alertmanager, {"alertname": "JaugeAgentSilent", "site": "s"}, comment=LONG)
    await oncall.until_state(alertmanager, "JaugeAgentSilent", "suppressed")
    await oncall.until_state(alertmanager, "JaugeUpsOnBattery", "suppressed")
    return alertmanager


@pytest.fixture
async def console(held: Alertmanager, tmp_path: Path) -> AsyncIterator[Served]:
    """A console beside it."""
    async with serving(oncall.on_call(tmp_path, held.url, OPERATOR, READER)) as served:
        introduce(served.state)
        yield served


async def fits(page: Page) -> None:
    """Nothing is cut, nothing scrolls sideways."""
    wide = await page.evaluate(WIDE)
    assert wide[0] <= wide[1], page.url
    assert await page.evaluate(CUT) == [], page.url


async def test_the_page_of_alerts_reads_on_a_telephone_in_every_state(
    console: Served, held: Alertmanager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Firing, held back and silenced; then from an Alertmanager that is dead."""
    source, wrong = engine(), []
    async with chromium() as browser:
        for state in ("alive", "dead"):
            for code, scheme in (("fr", "light"), ("en", "dark")):
                async with page_of(
                    browser,
                    console,
                    READER,
                    scheme="dark" if scheme == "dark" else "light",
                    width=TELEPHONE,
                ) as page:
                    url = f"{console.base}/alerts?lang={code}"
                    wrong += await judged(page, url, source)
                    await fits(page)
                    assert await page.locator(".alert").count() == 5
                    assert await page.locator("[role=alert]").count() == (state == "dead")
            monkeypatch.setattr(alertmanager, "FRESH_S", 0.0)
            await held.kill()
    assert wrong == []


async def test_a_reader_who_asked_for_it_has_the_page_loaded_again(console: Served) -> None:
    """By the browser itself, without a script; and nobody else."""
    async with chromium() as browser, page_of(browser, console, READER, width=TELEPHONE) as page:
        await page.goto(f"{console.base}/alerts?lang=en")
        await page.click("text=Reload every minute")
        await page.wait_for_url("**/alerts?reload=on&lang=en")
        await page.click("text=Stop reloading every minute")
        await page.wait_for_url("**/alerts?lang=en")


async def test_the_form_of_an_event_works_by_keyboard_and_says_what_is_wrong(
    console: Served,
) -> None:
    """At both widths; then the event runs and is ended by its button."""
    source, wrong = engine(), []
    async with chromium() as browser:
        for width in (TELEPHONE, 1280):
            async with page_of(browser, console, OPERATOR, width=width) as page:
                wrong += await judged(page, f"{console.base}/s/events?lang=fr", source)
                await page.goto(f"{console.base}/s/events?lang=en")
                await page.fill("#event-subject", "nobody")
                await page.focus("#event-reason")
                await page.keyboard.press("Enter")
                await page.wait_for_selector("[role=alert]")
                await page.add_script_tag(content=source)
                await fits(page)
                assert await page.get_attribute("#event-reason", "aria-invalid") == "true"
                await page.click("[role=alert] a[href='#event-subject']")
                await page.fill("#event-subject", "ups")
                await page.fill("#event-reason", LONG)
                await page.keyboard.press("Enter")
                await page.wait_for_selector("[role=status]")
                await fits(page)
                wrong += await judged(page, f"{console.base}/s/events?lang=en", source)
                await page.click("text=End now")
                await page.wait_for_selector("[role=status]")
                assert "outcome=ended" in page.url
    assert wrong == []


async def test_a_page_without_an_alertmanager_says_how_to_name_one(tmp_path: Path) -> None:
    """Under the engine too."""
    async with (
        serving(guarded(tmp_path, READER)) as console,
        chromium() as browser,
        page_of(browser, console, READER, width=TELEPHONE) as page,
    ):
        assert await judged(page, f"{console.base}/alerts?lang=fr", engine()) == []
        await fits(page)
