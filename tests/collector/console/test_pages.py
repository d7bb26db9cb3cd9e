"""The pages: what they say of a real ledger, the way back from a figure, and how they are built."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from jauge_collector import civil, kpis
from jauge_collector.console.agent import MOST_ROWS as MOST_READINGS
from jauge_collector.console.figures import Figures
from jauge_collector.console.overview import MOST_ROWS
from jauge_models.readings import Reading
from jauge_models.resources import Series
from jauge_models.wire import Address, Birth, Method, ResourceDescription, State

from tests.collector.console.plants import (
    DAY_MS,
    EVIL,
    HOLE,
    LARGEST,
    SITE,
    Outline,
    built,
    configuration,
    fill,
    first_ms,
    introduce,
    looked_at,
)
from tests.collector.console.serving import HOUR_MS, PLANT, Served, now_ms, opened, serve

LANGUAGES = ("fr", "en")
PARIS = civil.zone("Europe/Paris")


def day_of(time_ms: int) -> str:
    """The civil day of a moment at the site."""
    return civil.day(time_ms, PARIS).isoformat()


def pages() -> list[str]:
    """Every kind of page, with and without figures."""
    now, first = now_ms(), first_ms()
    whole = urlencode({"from": day_of(first + 2 * DAY_MS), "to": day_of(now)})
    hole = day_of(first + sum(HOLE) // 2 * HOUR_MS)
    return [
        "/sites",
        "/s",
        *(f"/s/kpi/{name}?{whole}" for name in ("pue", "wue", "cue", "ref", "erf")),
        "/s/meter/incomer",
        f"/s/meter/ups?day={hole}",
        "/s/meter/water?day=2030-01-01",
        "/s/meter/spare",
        "/s/agent/plant",
        "/s/tickets",
        "/s/events",
        "/alerts",
        "/runbooks",
        "/s/agent/nobody",
        "/s/kpi/pue?from=x&to=y",
    ]


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Served]:
    """The console of the example."""
    async with looked_at(tmp_path) as served:
        yield served


async def read(console: Served, path: str, status: int = 200) -> Outline:
    """A page of that status."""
    told, headers, text = await console.get(path)
    assert told == status, text
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    return Outline(text)


def row_of(page: Outline, name: str) -> list[str]:
    """The table row that begins with a name."""
    return next(row for table in page.tables for row in table if row and row[0].startswith(name))


async def test_every_page_is_built_for_every_reader(console: Served) -> None:
    """Each kind of page in both languages; see `built`."""
    for path in pages():
        for code in LANGUAGES:
            _, headers, text = await console.get(f"{path}{'&' if '?' in path else '?'}lang={code}")
            where = f"{path} {code}"
            assert headers["Content-Language"] == code, where
            built(text, code, where)


async def test_french_pages_are_french_and_set_as_french_is(console: Served) -> None:
    """No ordinary space before double punctuation, and no English word of ours."""
    for path in pages():
        page = await read(
            console,
            f"{path}{'&' if '?' in path else '?'}lang=fr",
            404 if "nobody" in path else 400 if "=x" in path else 200,
        )
        assert not re.search(r"[ \u00a0][:;!?%»]|«[ \u00a0]", page.text), path
        for word in ("not measured", "coverage", " is ", "register", "gauge"):
            assert word not in page.text.replace(EVIL, ""), (path, word)


async def test_the_language_is_the_readers_and_a_chosen_one_stays(console: Served) -> None:
    """The browser's language counts, one asked for in the address wins, and every link keeps it."""
    _, headers, _ = await console.get("/s", headers={"Accept-Language": "de, en;q=0.8, fr;q=0.5"})
    assert headers["Content-Language"] == "en"
    _, headers, _ = await console.get("/s?lang=fr", headers={"Accept-Language": "en"})
    assert headers["Content-Language"] == "fr"
    page = await read(console, "/s?lang=en")
    inner = [to for _, to in page.links if to.startswith("/s") and "lang=fr" not in to]
    assert inner
    assert all("lang=en" in to for to in inner)
    assert page.to("lang=fr") == "/s?lang=fr"


async def test_a_figure_can_be_walked_back_to_its_readings(console: Served) -> None:
    """Tile, indicator, meter, interval: the amount is closing minus opening reading."""
    overview = await read(console, "/s?lang=en")
    quarter = [to for name, to in overview.links if "This quarter" in name and "/kpi/pue" in to]
    indicator = await read(console, quarter[0])
    assert "iPUE1" in indicator.text
    assert "1.20" in indicator.text
    assert "E_DC = incomer" in indicator.text
    assert row_of(indicator, "UPS")[5].endswith("kWh")
    assert indicator.to("/meter/ups").partition("?")[0] == "/s/meter/ups"
    meter = await read(console, f"/s/meter/water?lang=en&day={day_of(now_ms() - DAY_MS)}")
    table = meter.tables[-1]
    head, row = table[0], table[5]
    cells = dict(zip(head, row, strict=True))

    def figure(text: str) -> float:
        number = re.match(r"[\d,.]+", text)
        assert number
        return float(number[0].replace(",", ""))

    opened_at, closed_at = (figure(cells[f"{name} reading"]) for name in ("Opening", "Closing"))
    assert figure(cells["Amount"]) == pytest.approx(closed_at - opened_at)
    assert figure(cells["Amount"]) == pytest.approx(0.005)
    assert (cells["Coverage"], cells["Profile"]) == ("100%", "100%")
    assert cells["Remarks"] == "–"
    assert cells["Basis"].startswith("register")


async def test_three_clicks_lead_from_a_figure_to_the_readings(console: Served) -> None:
    """Terms, rows of the period's last day, readings of one row: each by a link of the page."""
    whole = next(path for path in pages() if "/kpi/wue" in path)
    indicator = await read(console, f"{whole}&lang=en")
    meter = await read(console, indicator.to("/meter/water?day="))
    links = [to for _, to in meter.links if "row=" in to]
    rows = meter.tables[-1]
    assert len(links) == len(rows) - 1 > 0
    text = (await console.get(f"/s/meter/water{links[0].partition('#')[0]}"))[2]
    built(text, "en", links[0])
    page = Outline(text)
    assert "readings" in page.ids
    head, *readings = page.tables[-1]
    assert head == ["Read at", "Value"]

    def figure(cell: str) -> float:
        return float(re.sub(r"[^\d.]", "", cell.replace("m³", "")))

    amount = figure(rows[1][1])
    assert figure(readings[-1][1]) - figure(readings[0][1]) == pytest.approx(amount)
    assert any(name.startswith("plant/meter:water/") for _, name in page.headings)
    assert [row[0] for row in page.tables[-2][1:]] == [rows[1][0]]


async def test_readings_that_are_gone_are_said_to_be(console: Served) -> None:
    """No empty table: the row stays, its readings are no longer kept."""
    day = day_of(now_ms() - DAY_MS)
    page = await read(console, f"/s/meter/water?lang=en&day={day}")
    await console.state.store.erase("s", [("plant", "meter:water")])
    gone = await read(console, f"/s/meter/water{page.to('row=').partition('#')[0]}")
    assert "no longer kept" in gone.text
    head, _ = gone.tables[-1]
    assert head[0] == "Interval"


async def test_the_interface_gives_the_figures_of_the_page(console: Served) -> None:
    """The link on an indicator's page answers the very numbers it shows."""
    page = await read(console, next(p for p in pages() if "/kpi/wue" in p) + "&lang=en")
    status, _, text = await console.get(page.to("/api/v1/kpi").replace("&amp;", "&"))
    assert status == 200
    value = re.search(r'"wue":\{"value":([0-9.]+)', text)
    assert value
    assert f"{float(value[1]):.3f}" in page.text


async def test_what_is_not_measured_is_never_a_zero(console: Served) -> None:
    """Withheld figures give their reason, a silent meter no value, a hole no bar and no zero."""
    overview = await read(console, "/s?lang=en")
    assert "not measured joint coverage" in " ".join(overview.text.split())
    assert "no equation for E_REUSE is declared" in overview.text
    spare = row_of(overview, "Spare")
    assert spare[1] == "■ silentnot commissioned: does not count"
    assert spare[2:] == ["electricity", "never read", "none yet", "0%", "0%"]
    page = await read(console, "/s/meter/spare?lang=en")
    assert "nothing was measured" in page.text
    assert "0.00" not in page.text
    hole = await read(console, next(p for p in pages() if "/meter/ups" in p) + "&lang=en")
    rows = hole.tables[-1][1:]
    assert len(rows) in (23, 24, 25)
    assert {row[4] for row in rows} == {"0%"}
    assert {row[7] for row in rows} == {"bridged: total measured, spread assumed"}
    chart = hole.tables[0]
    assert sum(row[1] == "not measured" for row in chart[1:]) >= 1
    future = await read(console, "/s/meter/water?day=2030-01-01&lang=en")
    assert "nothing was measured" in future.text
    _, _, text = await console.get("/s?lang=en")
    assert 'class="gap"' in text
    assert re.search(r"not measured (on|from)", overview.text)


async def test_a_silent_sensor_shows_on_the_overview_and_a_reading_ends_it(
    console: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of five quantities has no fresh reading: counted at the top and at its agent."""
    monkeypatch.setattr("jauge_collector.console.figures.CHECKED_S", 0.0)
    page = await read(console, "/s?lang=fr")
    assert re.search(r"Capteurs silencieux\s*■ 1\s*plant", page.text)
    assert row_of(page, "plant")[2] == "■ 1 silencieux"
    assert "température 21,5" in row_of(page, "plant")[0]
    agent = await read(console, "/s/agent/plant?lang=fr")
    assert agent.tables[-1][1][:4] == [
        "sensor:dead",
        "■ silencieux",
        "températuretemperature",
        "non mesuré",
    ]
    await console.state.store.write(
        [Reading(Series(*PLANT, "sensor:dead", "temperature"), now_ms(), 0.0)]
    )
    page = await read(console, "/s?lang=fr")
    assert row_of(page, "plant")[2] == "● frais"
    assert "les agents en ligne ont tous leurs relevés" in page.text, "a meter is still silent"


async def test_an_offline_agent_counts_no_silent_sensor(console: Served) -> None:
    """Its absence is the message; its sensors are not counted on top."""
    console.state.inventory.stated(
        PLANT, State("b1", online=False, sent_at=now_ms() / 1000), now_ms()
    )
    page = await read(console, "/s?lang=en")
    assert row_of(page, "plant")[1:3] == ["■ offline", "–"]
    assert re.search(r"Agents online\s*■ 0 of 1", page.text)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/none", 404),
        ("/none/kpi/pue?from=2026-01-01&to=2026-02-01", 404),
        ("/s/kpi/none?from=2026-01-01&to=2026-02-01", 404),
        ("/s/meter/none", 404),
        ("/s/agent/none", 404),
        ("/s/none", 404),
        ("/s/meter/ups/", 404),
        ("/s/kpi/pue", 400),
        ("/s/kpi/pue?from=2026-02-01&to=2026-02-01", 400),
        ("/s/kpi/pue?from=2026-02-02&to=2026-02-01", 400),
        ("/s/kpi/pue?from=1970-01-01&to=2026-01-01", 400),
        ("/s/kpi/pue?from=2026-02-30&to=2026-03-01", 400),
        ("/s/kpi/pue?from=0001-01-01&to=9999-12-31", 400),
        ("/s/meter/ups?day=tomorrow", 400),
        ("/s/meter/ups?day=9999-12-31", 400),
        ("/s/meter/ups?row=x", 400),
        ("/s/meter/ups?row=" + "9" * 400, 400),
        ("/s/meter/ups?day=0001-01-01", 400),
        (f"/s/meter/ups?day={quote(EVIL)}", 400),
        (f"/{quote(EVIL)}", 404),
    ],
)
async def test_a_wrong_address_gets_a_page_that_says_so(
    tmp_path: Path, path: str, status: int
) -> None:
    """What is not there is 404, what cannot be read is 400, each in the console's dress."""
    async with opened(configuration(tmp_path)) as state, serve(state) as console:
        for code in LANGUAGES:
            page = await read(console, f"{path}{'&' if '?' in path else '?'}lang={code}", status)
            assert page.headings == [(1, f"{'Erreur' if code == 'fr' else 'Error'} {status}")]
            assert page.to("/sites")
            assert page.scripts == 0


async def test_names_from_outside_are_text(console: Served) -> None:
    """Titles, notes, reasons and what an agent says of itself never become elements."""
    seen = ""
    for path in pages():
        _, _, text = await console.get(path)
        assert Outline(text).scripts == 0, path
        assert EVIL not in text, path
        seen += Outline(text).text
    for name in (" site", " note", " incomer", " room", " factor", " term", " event"):
        ups = await read(console, "/s/meter/ups")
        assert EVIL + name in seen + ups.text, name
    agent = await read(console, "/s/agent/plant")
    assert f"{EVIL} water" in agent.text
    assert agent.text.count(EVIL) >= 5


async def test_corrections_of_the_registers_show_on_the_meters_page(console: Served) -> None:
    """A factor that was entered later stands beside that of the site file."""
    console.state.ledger.append(
        "s",
        "factor",
        "ups",
        start_ms=first_ms(),
        content={"value": 1.5, "reason": "CT plate read"},
        now_ms=now_ms(),
    )
    page = await read(console, "/s/meter/ups?lang=en")
    assert re.search(r"× 1\.5, since .* \(CT plate read\)", page.text)


async def test_a_bill_stands_on_the_page_of_its_meter_with_its_own_span(tmp_path: Path) -> None:
    """Over all of its time, with its number, and not in a day's sum; no table where none is."""
    async with opened(configuration(tmp_path)) as state, serve(state) as console:
        start = civil.midnight_ms(civil.day(now_ms(), PARIS), PARIS) - 20 * DAY_MS
        number = state.ledger.append(
            "s",
            "amount",
            "water",
            start_ms=start,
            end_ms=start + 10 * DAY_MS,
            content={"entered": "42.5 m3", "base": 42.5},
            now_ms=now_ms(),
            signatory="A. First",
        )
        page = await read(console, f"/s/meter/water?lang=en&day={day_of(start + 3 * DAY_MS)}")
        (table,) = [each for each in page.tables if each[0][-1] == "Entry"]
        _, amount, basis, entry = table[1]
        assert (amount, entry) == ("42.5000 m³", f"no. {number}")
        assert "attested" in basis
        assert "A. First" not in page.text
        assert "0.0000" not in page.text
        after = await read(console, f"/s/meter/water?lang=en&day={day_of(start + 11 * DAY_MS)}")
        assert "Signed amounts" not in after.text


FACTORS = "".join(
    f"""
[[emission_factors]]
kg_co2e_per_kwh = {value}
source = "test"
scope = "direct"
{edge} = "%s"
"""
    for value, edge in ((0.02, "valid_to"), (0.06, "valid_from"))
)


async def test_terms_of_cue_are_weighed_as_its_numerator_is(tmp_path: Path) -> None:
    """The terms add up to the total in kgCO2e, by the factors in force, which change midway."""
    begin, end = day_of(first_ms() + 2 * DAY_MS), day_of(now_ms())
    midway = day_of((first_ms() + now_ms()) // 2)
    span = urlencode({"from": begin, "to": end, "lang": "en"})
    async with looked_at(tmp_path, SITE + FACTORS % (midway, midway)) as console:
        page = await read(console, f"/s/kpi/cue?{span}")
        _, _, answer = await console.get(f"/api/v1/kpi?site=s&from={begin}&to={end}")
    total = json.loads(answer)["cue"]["numerator"]
    assert total["unit"] == "kgCO2e"
    (table,) = [each for each in page.tables if "kgCO₂e" in each[-1][-1]]
    shown = [float(row[-1].split()[0].replace(",", "")) for row in table[1:]]
    assert sum(shown[:-1]) == pytest.approx(shown[-1], abs=0.1)
    assert shown[-1] == pytest.approx(total["value"], abs=0.05)
    assert "kWh × emission factor in force, kgCO₂e/kWh: 0.02, 0.06" in page.text


async def test_many_meters_and_agents_stay_within_the_size(tmp_path: Path) -> None:
    """50 meters and 200 agents: the worst first, the rest counted, with where they are."""
    meters = "".join(
        f'[[meters]]\nid = "m{n}"\ncommodity = "electricity"\nfeeds = ["plant/meter:m{n}"]\n'
        f'name = "Distribution board {n}"\nlocation = "Electrical room {n}"\n'
        for n in range(60)
    )
    async with looked_at(tmp_path, SITE + meters) as console:
        now = now_ms()
        for n in range(200):
            address = Address("s", f"host-{n:03}.example.org")
            resources = [ResourceDescription("host", {"cpu_utilisation": Method.GAUGE})]
            birth = Birth("b", "0.1.0", now / 1000, [], resources)
            console.state.inventory.born(address, birth, now)
            console.state.inventory.stated(
                address, State("b", online=n != 150, sent_at=now / 1000), now
            )
            console.state.inventory.seen(address, now).heard("b", now)
        await console.state.store.write(
            [
                Reading(
                    Series("s", f"host-{n:03}.example.org", "host", "cpu_utilisation"), now, 0.5
                )
                for n in range(200)
            ]
        )
        for code in LANGUAGES:
            _, _, text = await console.get(f"/s?lang={code}")
            page = Outline(text)
            assert len(text.encode()) < LARGEST
            *_, of_meters, of_agents = page.tables
            assert (len(of_meters) - 1, len(of_agents) - 1) == (MOST_ROWS, MOST_ROWS)
            assert of_agents[1][0].startswith("host-150")
            assert page.to("/api/v1/agents?site=s")
            assert page.to("/api/v1/meters?site=s")
            assert str(201 - MOST_ROWS) in page.text


async def test_long_tables_stay_within_the_size(tmp_path: Path) -> None:
    """A day of five-minute rows, and a gateway with a thousand sensors, the silent ones first."""
    site = SITE.replace("interval_s = 3600", "interval_s = 300")
    async with looked_at(tmp_path, site) as console:
        day = day_of(now_ms() - DAY_MS)
        for code in LANGUAGES:
            _, _, text = await console.get(f"/s/meter/incomer?lang={code}&day={day}")
            assert len(Outline(text).tables[-1]) == 289
            assert len(text.encode()) < LARGEST
        now = now_ms()
        address = Address("s", "gateway")
        resources = [
            ResourceDescription(f"sensor:{n:04}", {"temperature": Method.GAUGE}, f"Inlet {n}")
            for n in range(1000)
        ]
        console.state.inventory.born(address, Birth("b", "1", now / 1000, [], resources), now)
        await console.state.store.write(
            [
                Reading(Series(*address, f"sensor:{n:04}", "temperature"), now, 20.0)
                for n in range(1000)
                if n != 900
            ]
        )
        _, _, text = await console.get("/s/agent/gateway")
        page = Outline(text)
        assert len(text.encode()) < LARGEST
        assert len(page.tables[-1]) - 1 == MOST_READINGS
        assert page.tables[-1][1][0].startswith("Inlet 900")
        assert str(1000 - MOST_READINGS) in page.text


async def test_the_first_visitor_finds_the_year_worked_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is slow is begun at the start: after it no overview waits for a year's rows."""
    long: dict[str, int] = {}
    warmed = asyncio.Event()
    warm = Figures.warm

    def watched(name: str) -> None:
        real = getattr(kpis, name)

        def work(ledger: Any, site: Any, *rest: Any, **named: Any) -> Any:
            start, end = rest[0:2] if name == "site_kpis" else rest[1:3]
            if end - start > 8 * DAY_MS:
                long[name] = max(long.get(name, 0), end - start)
            return real(ledger, site, *rest, **named)

        monkeypatch.setattr(kpis, name, work)

    async def noted(figures: Figures) -> None:
        await warm(figures)
        warmed.set()

    watched("site_kpis")
    watched("energy_profile")
    monkeypatch.setattr(Figures, "warm", noted)
    async with opened(configuration(tmp_path)) as state:
        await fill(state)
        await introduce(state)
        async with serve(state) as console, asyncio.timeout(20):
            await warmed.wait()
            assert sorted(long) == ["energy_profile", "site_kpis"]
            long.clear()
            _, _, text = await console.get("/s")
            assert long == {}
            assert (await console.get(Outline(text).to("/kpi/pue")))[0] == 200
            assert long["site_kpis"] < 32 * DAY_MS


async def test_one_site_is_the_front_page_and_all_are_listed(console: Served) -> None:
    """The root leads to the only site, and the list names what each site has."""
    status, headers, _ = await console.get("/?lang=en")
    assert (status, headers["Location"]) == (302, "/s?lang=en")
    page = await read(console, "/sites?lang=en")
    assert page.tables[0][1] == [f"{EVIL} siteSimulated", "4 meters", "1 agents"]
    overview = await read(console, "/s?lang=en")
    assert "The readings of this site come from a model" in overview.text
