"""A real Chromium makes a scenario without script, and looks at the planner's pages."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from jauge_models.capacity.scenario import decode
from playwright.async_api import Page

from tests.browser import chromium
from tests.collector.console.doors import EVERYBODY, OPERATOR, READER
from tests.collector.console.planned import FORM, PAGE, SCENARIO, SHORT, keep, planned
from tests.collector.console.serving import Served, serving
from tests.collector.console.test_axe import CONTROLS, RUN, TAGS, engine, page_of, violations
from tests.collector.console.test_browser import CUT, FOCUS
from tests.parts import eventually

pytestmark = pytest.mark.browser

PATHS: Final = (f"{PAGE}?scenario=year", FORM, f"{FORM}?scenario=year")

COLOURS: Final = """(picture) => {
  const canvas = document.createElement('canvas');
  canvas.width = 720; canvas.height = 240;
  const to = canvas.getContext('2d');
  to.drawImage(picture, 0, 0);
  const all = to.getImageData(0, 0, 720, 240).data;
  const found = new Set();
  for (let i = 0; i < all.length; i += 4)
    found.add([...all.slice(i, i + 3)].map((c) => c.toString(16).padStart(2, '0')).join(''));
  return [...found];
}"""


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Served]:
    """A console whose example is saved and answered."""
    keep(tmp_path, "year", SCENARIO)
    async with serving(planned(tmp_path, *EVERYBODY)) as served:

        async def there() -> bool:
            path = "/api/v1/capacity?site=s&scenario=year"
            return (await served.get(path, headers=READER.bearer))[0] == 200

        await eventually(there, within=60, what="the answer")
        yield served


async def wrong(page: Page) -> list[Any]:
    """What the engine finds wrong with the page that is shown."""
    await page.add_script_tag(content=engine())
    found: dict[str, Any] = await page.evaluate(RUN, list(TAGS))
    wrong: list[Any] = found["wrong"]
    return wrong


async def test_no_page_breaks_a_rule(console: Served) -> None:
    """With an answer, an empty form and a long one; by day and by night; for who may not save."""
    assert await violations(console, OPERATOR, PATHS) == []
    assert await violations(console, READER, [PAGE]) == []


async def test_a_form_that_was_refused_breaks_no_rule(console: Served) -> None:
    """The problem is announced, names its field, leads to it and is said beside it."""
    async with chromium() as browser, page_of(browser, console, OPERATOR) as page:
        await page.goto(f"{console.base}{FORM}?scenario=year&lang=en")
        await page.fill("[name=training-0-hours]", "nine")
        await page.uncheck("[name=desktops-0-weekdays-monday]")
        await page.press("[name=name]", "Enter")
        await page.wait_for_selector("[role=alert]")
        assert await page.get_attribute("#training-0-hours", "aria-invalid") == "true"
        width = "one => getComputedStyle(one).borderTopWidth"
        assert await page.eval_on_selector("#training-0-hours", width) == "2px"
        assert await page.eval_on_selector("[name=training-1-hours]", width) == "1px"
        described = await page.get_attribute("#training-0-hours", "aria-describedby")
        assert described == "training-0-hours-problem"
        await page.click("[role=alert] a:has-text('Training 1, Hours of a run')")
        assert await page.evaluate("document.activeElement.name") == "training-0-hours"
        assert await page.input_value("#training-0-hours") == "nine"
        assert not await page.is_checked("[name=desktops-0-weekdays-monday]")
        assert await wrong(page) == []


async def test_a_scenario_is_made_without_script(console: Served, tmp_path: Path) -> None:
    """Rows by buttons, with the focus where one goes on; saved, answered, and seen as a picture."""
    async with chromium() as browser:
        context = await browser.new_context(java_script_enabled=False)
        page = await context.new_page()
        await page.goto(f"{console.base}/login")
        await page.fill("#token", OPERATOR.token)
        await page.press("#token", "Enter")
        await page.goto(f"{console.base}{PAGE}?lang=fr")
        await page.click("text=Nouveau scénario")
        await page.fill("[name=name]", "Trois jours")
        await page.fill("[name=first]", "2026-09-07")
        await page.fill("[name=days]", "3")
        await page.click("text=Ajouter des bureaux virtuels")
        focused = page.locator("[name=desktops-0-id]:focus")
        await focused.fill("élèves")
        await page.fill("[name=desktops-0-users]", "20")
        await page.fill("[name=desktops-0-gpu_share]", "0,25")
        await page.check("[name=desktops-0-weekdays-saturday]")
        await page.click("text=Ajouter des heures")
        await page.fill("[name=desktops-0-hours-0-begin]", "8")
        await page.fill("[name=desktops-0-hours-0-end]", "12")
        await page.fill("[name=desktops-0-hours-0-share]", "0,5")
        await page.click("text=Ajouter un entraînement")
        assert await page.input_value("[name=training-0-first]") == "2026-09-07"
        await page.click("button[value='remove training-0']")
        await page.click("button.main >> nth=0")
        assert await page.inner_text("#desktops-0-id-problem") == (
            "Jusqu’à 64 lettres sans accent, chiffres, points, tirets et soulignés, "
            "le premier une lettre ou un chiffre."
        )
        await page.fill("[name=desktops-0-id]", "eleves")
        await page.click("button.main >> nth=1")
        await page.wait_for_url("**/s/capacity?*outcome=saved*")
        assert "Le scénario est enregistré." in await page.inner_text("main")

        async def there() -> bool:
            await page.goto(f"{console.base}{PAGE}?scenario=Trois-jours&lang=fr")
            return await page.locator(".sentence").count() == 1

        await eventually(there, within=60, what="the answer")
        assert "Tout tient" in await page.inner_text(".sentence")
        await context.close()
    text = (tmp_path / "state/scenarios/s/Trois-jours.toml").read_text("utf-8")
    asked = decode(text, file="x")
    assert (asked.name, asked.days, asked.training) == ("Trois jours", 3, ())
    desktops = asked.desktops[0]
    assert (desktops.id, desktops.users, desktops.gpu_share) == ("eleves", 20, 0.25)
    assert len(desktops.weekdays) == 6
    assert [(one.begin, one.end, one.share) for one in desktops.hours] == [(8, 12, 0.5)]


async def test_the_picture_is_seen(console: Served) -> None:
    """Our policy lets it be drawn, with its own style: there are the colours of its legend."""
    async with chromium() as browser:
        context = await browser.new_context(extra_http_headers=READER.bearer)
        page = await context.new_page()
        complaints: list[str] = []
        page.on("console", lambda said: complaints.append(said.text))
        await page.goto(f"{console.base}{PAGE}?scenario=year&lang=en")
        picture = page.locator(".picture img")
        assert await picture.evaluate("one => one.complete && one.naturalWidth") > 0
        found = await picture.evaluate(COLOURS)
        assert complaints == []
        assert (await page.get_attribute(".picture img", "alt") or "").startswith("GPUs asked for")
        assert {"6fa8d0", "b3400f"} <= set(found)
        await context.close()


async def test_nothing_is_cut_and_nothing_scrolls_sideways(console: Served) -> None:
    """At 360, 390 and 1280 px in both languages, but for tables and the picture in their region."""
    async with chromium() as browser:
        for width in (360, 390, 1280):
            async with page_of(browser, console, OPERATOR, width=width) as page:
                for code in ("fr", "en"):
                    for path in PATHS:
                        mark = "&" if "?" in path else "?"
                        await page.goto(f"{console.base}{path}{mark}lang={code}")
                        wide = await page.evaluate(
                            "[document.documentElement.scrollWidth, innerWidth]"
                        )
                        assert wide[0] <= wide[1], (path, width)
                        assert await page.evaluate(CUT) == [], (path, width)


async def test_the_keyboard_reaches_every_control(console: Served, tmp_path: Path) -> None:
    """Of the page and of a form with a row; each is a stop with an outline, on the screen."""
    keep(tmp_path, "week", SHORT)
    async with chromium() as browser, page_of(browser, console, OPERATOR) as page:
        for path in (f"{PAGE}?scenario=year", f"{FORM}?scenario=week"):
            await page.goto(f"{console.base}{path}&lang=en")
            stops: list[dict[str, Any]] = []
            for _ in range(200):
                await page.keyboard.press("Tab")
                stop = await page.evaluate(FOCUS)
                if stop is None:
                    break
                await page.evaluate("document.activeElement.dataset.stop ??= ''")
                stops.append(stop)
            assert stops[0]["name"] == "Skip to content"
            assert [s for s in stops if s["outline"] < 2 or not s["seen"]] == [], path
            reached = await page.locator("[data-stop]").count()
            assert reached == await page.evaluate(CONTROLS), path
