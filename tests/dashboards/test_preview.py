"""The preview draws what the dashboards say, with Grafana's components, on a real store."""

import copy
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from jauge_dashboards import schema
from playwright.async_api import Page

from tests import parts
from tests.browser import chromium
from tests.preview import boards
from tests.preview.pictures import Picture, PreviewError, picture
from tests.preview.server import serving

PREVIEW: Final = boards.ROOT / "dashboards/preview"
NOW_MS: Final = time.time_ns() // 1_000_000 // 60_000 * 60_000
needs_build = pytest.mark.skipif(
    not (boards.BUILT / "index.html").exists(),
    reason="dashboards/preview is not built (make preview; needs node and npm)",
)


# --- what users never install


def test_every_package_has_one_version() -> None:
    """No range, so that two builds draw alike; and no lock file, which would name a registry."""
    package = json.loads((PREVIEW / "package.json").read_text(encoding="utf-8"))
    assert package["private"]
    for name, version in package["dependencies"].items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), f"{name}: {version}"
    assert "package-lock=false" in (PREVIEW / ".npmrc").read_text(encoding="utf-8")
    assert not (PREVIEW / "package-lock.json").exists()


def test_every_type_of_panel_has_its_component() -> None:
    """A dashboard may use no type that the preview cannot draw."""
    text = (PREVIEW / "src/panels.jsx").read_text(encoding="utf-8")
    table = re.search(r"const DRAWINGS = \{(.*?)\}", text, re.DOTALL)
    assert table is not None
    drawn = set(re.findall(r"(\w+):", table[1]))
    assert schema.PANEL_TYPES - {"row"} <= drawn


# --- a dashboard of every type on a real store


def _panel(number: int, kind: str, expr: str, **more: Any) -> dict[str, Any]:
    options: dict[str, Any] = {"reduceOptions": {"values": False, "calcs": ["lastNotNull"]}}
    if kind == "timeseries":
        options = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}}
    if kind == "stat":
        options |= {"textMode": "value", "colorMode": "value", "graphMode": "area"}
    if kind == "bargauge":
        options |= {"displayMode": "basic", "orientation": "horizontal", "valueMode": "color"}
    if kind == "table":
        options = {"showHeader": True, "cellHeight": "sm"}
    instant = kind in {"bargauge", "table"}
    target = {"refId": "A", "expr": expr, "legendFormat": "{{meter}}", "instant": instant}
    if kind == "table":
        target["format"] = "table"
    defaults = {"unit": "watt", "decimals": 1, "noValue": "nothing came"}
    defaults["thresholds"] = {"mode": "absolute", "steps": [{"color": "green", "value": None}]}
    return {
        "id": number,
        "type": kind,
        "title": f"{kind} {number}",
        "description": "what it is",
        "gridPos": {"x": 0, "y": 1 + 6 * number, "w": 12, "h": 6},
        "targets": [target],
        "options": options,
        "fieldConfig": {"defaults": defaults, "overrides": []},
    } | more


def _board(*panels: dict[str, Any]) -> dict[str, Any]:
    row = {"id": 99, "type": "row", "title": "All", "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1}}
    site = {
        "name": "site",
        "label": "Site",
        "type": "query",
        "query": "label_values(jauge_meter_power_watts, site)",
    }
    return {
        "uid": "one",
        "title": "One",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [site]},
        "annotations": {"list": []},
        "links": [],
        "panels": [row, *panels],
    }


@asynccontextmanager
async def _store(folder: Path) -> AsyncIterator[parts.VictoriaMetrics]:
    try:
        database = parts.VictoriaMetrics(folder)
    except parts.PartMissingError as error:
        pytest.skip(str(error))
    async with database:
        lines = "\n".join(
            f'jauge_meter_power_watts{{site="{site}",meter="{meter}"}} {watts} {NOW_MS - ago}'
            for site, meter, watts in (("a", "m1", 1310), ("a", "m2", 650), ("b", "m1", 7))
            for ago in range(0, 3_600_000, 60_000)
        )
        status, said = await database.request("POST", "/api/v1/import/prometheus", lines.encode())
        assert status == 204, said

        async def seen() -> bool:
            await database.force_flush()
            _, body = await database.request(
                "GET", "/api/v1/series?match[]=jauge_meter_power_watts"
            )
            return len(json.loads(body)["data"]) == 3

        await parts.eventually(seen, within=20, what="the series are seen")
        yield database


_SITE: Final = 'jauge_meter_power_watts{site="$site"}'


async def _drawn(folder: Path, board: dict[str, Any]) -> Picture:
    async with (
        _store(folder) as store,
        serving({("en", "one"): board}, store.url) as base,
        chromium() as browser,
    ):
        return await picture(browser, base, "one", language="en", theme="dark", now_ms=NOW_MS)


@needs_build
async def test_each_type_draws_its_values(tmp_path: Path) -> None:
    """Of the chosen site only: its two meters, and not the third."""
    kinds = ("timeseries", "stat", "bargauge", "table")
    drawn = await _drawn(
        tmp_path, _board(*(_panel(number, kind, _SITE) for number, kind in enumerate(kinds)))
    )
    assert {panel.type: panel.state for panel in drawn.panels} == dict.fromkeys(kinds, "data")
    assert {panel.type: panel.series for panel in drawn.panels} == {
        "timeseries": 2,
        "stat": 2,
        "bargauge": 2,
        "table": 1,
    }
    assert not drawn.said


@needs_build
async def test_what_has_no_data_or_fails_is_told(tmp_path: Path) -> None:
    """By state and message, one panel each; the others are drawn all the same."""
    unknown = [{"id": "no_such_transformation", "options": {}}]
    drawn = await _drawn(
        tmp_path,
        _board(
            _panel(1, "stat", _SITE),
            _panel(2, "timeseries", 'jauge_meter_power_watts{site="nowhere"}'),
            _panel(3, "stat", "sum("),
            _panel(4, "table", _SITE, transformations=unknown),
            _panel(5, "piechart", _SITE),
        ),
    )
    told = {panel.panel: panel for panel in drawn.panels}
    assert [told[number].state for number in (1, 2, 3)] == ["data", "empty", "error"]
    assert "sum(" in told[3].message
    assert "no_such_transformation" in told[4].message
    assert told[5].message == "no component for type piechart"


@needs_build
async def test_the_page_shows_values_with_their_unit_and_rows_close(tmp_path: Path) -> None:
    """1310 W are 1.3 kW; another site may be chosen; a closed row hides its panels."""
    board = _board(_panel(1, "stat", f"max({_SITE})"))
    async with (
        _store(tmp_path) as store,
        serving({("en", "one"): board}, store.url) as base,
        chromium() as browser,
    ):
        page = await browser.new_page()
        await page.goto(f"{base}/?board=one&lang=en&now={NOW_MS}")
        await page.wait_for_selector("body[data-ready=yes]")
        await page.wait_for_function("document.body.innerText.includes('kW')")
        assert "1.3" in await _text(page)
        await page.select_option("select", "b")
        await page.wait_for_function("document.body.innerText.includes('7.0')")
        await page.click("text=All")
        await page.wait_for_function("!document.body.innerText.includes('7.0')")


async def _text(page: Page) -> str:
    text: str = await page.evaluate("document.body.innerText")
    return re.sub(r"\s", "", text)


@needs_build
async def test_one_column_of_a_table_is_a_link(tmp_path: Path) -> None:
    """An override without a value takes a panel's links off all columns but one."""
    table = _panel(1, "table", _SITE)
    link = {"title": "there", "type": "link", "url": "https://example.org/${__value.raw}"}
    table["fieldConfig"]["defaults"]["links"] = [link]
    others = {"mode": "exclude", "names": ["meter"], "prefix": "All except:", "readOnly": True}
    only = {"matcher": {"id": "byNames", "options": others}, "properties": [{"id": "links"}]}
    narrow = copy.deepcopy(table) | {"id": 2}
    narrow["gridPos"]["y"] += 6
    narrow["fieldConfig"]["overrides"] = [only]
    async with _store(tmp_path) as store, chromium() as browser:
        led = []
        for panel in (table, narrow):
            async with serving({("en", "one"): _board(panel)}, store.url) as base:
                page = await browser.new_page()
                await page.goto(f"{base}/?board=one&lang=en&now={NOW_MS}")
                await page.wait_for_selector("body[data-ready=yes]")
                await page.wait_for_selector("a[href*='example.org']")
                led.append(
                    await page.evaluate(
                        "[...document.querySelectorAll(\"a[href*='example.org']\")]"
                        ".map((a) => a.innerText.trim()).sort()"
                    )
                )
    everywhere, one = led
    assert one == ["m1", "m2"]
    assert len(everywhere) > len(one)


@needs_build
async def test_the_store_is_only_read(tmp_path: Path) -> None:
    """What the server hands on cannot change or export anything."""
    async with _store(tmp_path) as store, serving({}, store.url) as base, chromium() as browser:
        page = await browser.new_page()
        await page.goto(base)
        for path, status in (("query?query=1", 200), ("admin/tsdb/delete_series", 403)):
            told = await page.evaluate("path => fetch(path).then(a => a.status)", f"api/v1/{path}")
            assert told == status, path


@needs_build
@pytest.mark.skipif(not boards.read(), reason="no dashboards are generated")
async def test_every_generated_dashboard_is_drawn(tmp_path: Path) -> None:
    """On a store that knows next to nothing: no panel fails, all are told of."""
    found = {key: board for key, board in boards.read().items() if key[0] == "fr"}
    async with (
        _store(tmp_path) as store,
        serving(found, store.url) as base,
        chromium() as browser,
    ):
        for (language, uid), board in found.items():
            drawn = await picture(
                browser, base, uid, language=language, theme="light", now_ms=NOW_MS
            )
            failed = [panel for panel in drawn.panels if panel.state == "error"]
            assert not failed, f"{uid}: {failed}"
            assert len(drawn.panels) == len(boards.panels(board)), uid


@needs_build
async def test_a_dashboard_that_is_not_there_is_named(tmp_path: Path) -> None:
    """And nothing is waited for."""
    async with _store(tmp_path) as store, serving({}, store.url) as base, chromium() as browser:
        with pytest.raises(PreviewError, match=r"none \(en, dark\): .*404"):
            await picture(browser, base, "none", language="en", theme="dark", now_ms=NOW_MS)
