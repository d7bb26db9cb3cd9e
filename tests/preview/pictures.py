"""One picture of one dashboard in one language and theme, and how each panel of it came out."""

from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import msgspec
from playwright.async_api import Browser, Page

WIDTH: Final = 1600
HEIGHT: Final = 900
_WITHIN_MS: Final = 30_000
_READY: Final = "body[data-ready=yes]"
_CELLS_DRAWN: Final = """[...document.querySelectorAll('[role=grid]')].every(
    grid => grid.querySelector('[role=gridcell]'))"""
THEMES: Final = ("dark", "light")


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """How a panel came out: ``state`` is ``data``, ``empty`` or ``error``."""

    panel: int
    title: str
    type: str
    state: str
    message: str
    series: int


class Picture(NamedTuple):
    """A PNG and what it shows."""

    png: bytes
    panels: tuple[Panel, ...]
    said: tuple[str, ...]
    """What the page wrote as errors to the browser's console."""


class PreviewError(Exception):
    """A dashboard that cannot be drawn; the text says which and why."""


async def picture(
    browser: Browser,
    base: str,
    uid: str,
    *,
    language: str,
    theme: str,
    now_ms: int,
    span: str | None = None,
    zone: str = "Europe/Paris",
) -> Picture:
    """Draw a dashboard of ``base`` as of ``now_ms``, over its own range or ``span`` (``now-15m``).

    Raises PreviewError where it does not come out at all.
    """
    context = await browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT}, timezone_id=zone, locale=f"{language}-FR"
    )
    try:
        page = await context.new_page()
        said: list[str] = []
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
        query = {"board": uid, "lang": language, "theme": theme, "now": str(now_ms)}
        if span:
            query["from"] = span
        await page.goto(f"{base}/?{urlencode(query)}")
        told = await _drawn(page, f"{uid} ({language}, {theme})", said)
        if told["problem"]:
            raise PreviewError(f"{uid} ({language}, {theme}): {told['problem']}")
        panels = msgspec.convert(list(told["panels"].values()), tuple[Panel, ...])
        png = await page.screenshot(animations="disabled", scale="css")
        return Picture(png, panels, tuple(said))
    finally:
        await context.close()


async def _drawn(page: Page, what: str, said: list[str]) -> dict[str, Any]:
    try:
        await page.wait_for_selector(_READY, timeout=_WITHIN_MS, state="attached")
    except Exception as error:
        shown = await page.evaluate("window.preview")
        raise PreviewError(f"{what} is not drawn: {shown}, {said}") from error
    # The whole page in view: a table draws no cell that nobody sees.
    height = await page.evaluate("document.documentElement.scrollHeight")
    await page.set_viewport_size({"width": WIDTH, "height": height})
    await page.evaluate("document.fonts.ready")
    await page.wait_for_function(_CELLS_DRAWN, timeout=_WITHIN_MS)
    # Two frames: panels draw their plots after their data came.
    await page.evaluate("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
    told: dict[str, Any] = await page.evaluate("window.preview")
    return told
