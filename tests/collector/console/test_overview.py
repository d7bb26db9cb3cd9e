"""The overview tells one truth: of imported and of old figures, to every role, without a store."""

import re
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from itertools import product
from pathlib import Path

import pytest
from jauge_collector import civil
from jauge_collector.broker_log import Refusal
from jauge_collector.console.text import language
from jauge_collector.ingest import AGENTS, BUG, CLONE, RETAINED
from jauge_collector.kpis import Step, energy_profile
from jauge_collector.ledger.accounting import run_pass
from jauge_collector.state import ServiceState
from jauge_models.boundaries import Symbol
from jauge_models.readings import Flaw, Reading
from jauge_models.resources import Series
from jauge_models.wire import Cut, Reason

from tests.collector.console.doors import Holder, guarded
from tests.collector.console.plants import EVIL, Outline, configuration, looked_at
from tests.collector.console.plants import fill as fill_plant
from tests.collector.console.plants import introduce as introduce_plant
from tests.collector.console.serving import (
    HOUR_MS,
    KWH,
    PLANT,
    Served,
    introduce,
    now_ms,
    opened,
    serve,
)

DAY_MS = 24 * HOUR_MS
METER = """
[[meters]]
id = "{id}"
commodity = "electricity"
feeds = ["{feeds}"]
{more}
counts = "from_start"
reason = "a test"
"""
EQUATIONS = """
[[equations]]
symbol = "E_DC"
terms = [{ meter = "incomer" }]
[[equations]]
symbol = "E_IT"
place = "ups_output"
terms = [{ meter = "ups" }]
"""
KWH_AN_HOUR = {"incomer": 12.0, "ups": 10.0}
WHOLE = Holder("whole", "administrator")
TENANT = Holder("tenant", "reader", tenants=("alpha",))
ATTESTED = '[[meters]]\nid = "tank"\ncommodity = "water"\n'
OWNED = '[[attributes]]\nsubject = "ups"\nname = "tenant"\nvalue = "alpha"\n'


def site_file(agent: str = "import", *, interval_s: int = 900, more: str = "") -> str:
    """Two meters that one agent feeds."""
    meters = "".join(
        METER.format(
            id=name, feeds=f'gateway/meter:{name}", "{agent}/meter:{name}', more=f"{interval_s = }"
        )
        for name in KWH_AN_HOUR
    )
    return f'[site]\nname = "s"\ntime_zone = "UTC"\n{meters}{EQUATIONS}{more}'


async def fill(state: ServiceState, agent: str, times: Iterable[int], quantity: str) -> None:
    """Hourly totals or registers that end at these times, accounted for."""
    hours = list(times)
    await state.store.write(
        [
            Reading(
                Series("s", agent, f"meter:{name}", quantity),
                at,
                kwh * KWH * (1 if quantity == "energy_amount" else number + 1),
            )
            for name, kwh in KWH_AN_HOUR.items()
            for number, at in enumerate(hours)
        ]
    )
    quarters = range(hours[0] - HOUR_MS, hours[-1] + 1, HOUR_MS // 4)
    state.ledger.mark("s", agent, quarters, 0)
    if agent != "import":
        state.ledger.set_oldest("s", agent, now_ms())
    with state.ledger.writer():
        await run_pass(state.store, state.ledger, state.sites["s"], now_ms())


def hours_up_to(ago_h: int, days: int) -> range:
    """The ends of hours, up to so many hours ago."""
    now = now_ms()
    end = now - now % HOUR_MS - ago_h * HOUR_MS
    return range(end - days * DAY_MS, end + 1, HOUR_MS)


async def read(console: Served, path: str, holder: Holder | None = None) -> Outline:
    """A page that is there."""
    status, _, text = await console.get(path, headers=holder.bearer if holder else {})
    assert status == 200, text
    return Outline(text)


def words(page: Outline) -> str:
    """The text of a page in one line."""
    return " ".join(page.text.split())


@asynccontextmanager
async def imported(folder: Path, ago_h: int = 0) -> AsyncIterator[Served]:
    """A site with rows of a quarter of an hour whose history came as hourly totals."""
    async with opened(configuration(folder, site_file(more=ATTESTED))) as state:
        await fill(state, "import", hours_up_to(ago_h, 20), "energy_amount")
        async with serve(state) as console:
            yield console


async def test_hourly_totals_show_by_the_hour_and_by_the_day(tmp_path: Path) -> None:
    """At the default of 900 s no row has a profile of its own; hours and days are measured."""
    async with imported(tmp_path) as console:
        page = await read(console, "/s?lang=en")
        by_day, by_year = page.tables[:2]
        assert len(by_day) - 1 in (24, 25)
        assert by_day[2][1:] == ["12 kW", "10 kW", "100%"]
        assert by_year[-1][3] != "0%"
        assert by_year[-1][1:3] == ["not measured"] * 2 or by_year[-1][1] == "12 kW"
        assert words(page).count("from hourly totals") == 2
        _, _, text = await console.get("/s?lang=en")
        assert "Mean power of each hour: whole site and IT." in text
        assert "quarter of an hour" not in text
        day = civil.day(now_ms() - 2 * DAY_MS, civil.zone("UTC"))
        meter = await read(console, f"/s/meter/ups?lang=en&day={day.isoformat()}")
        assert "from hourly totals" in words(meter)
        row = next(row for row in meter.tables[0] if row[0].split()[0] == str(day.day))
        assert row[1:] == ["240 kWh", "100%"]


async def test_totals_say_nothing_of_what_is_shorter_than_they_are(tmp_path: Path) -> None:
    """A quarter of an hour out of an hourly total stays unmeasured: how it flowed is not known."""
    async with opened(configuration(tmp_path, site_file())) as state:
        times = hours_up_to(0, 2)
        await fill(state, "import", times, "energy_amount")
        site = state.sites["s"]
        equation = site.equation(Symbol.E_IT)
        assert equation is not None
        span = (times[0], times[-1])
        for subject in (equation, "ups"):
            fine = energy_profile(state.ledger, site, subject, *span, step=Step.QUARTER_HOUR)
            assert {slot.amount for slot in fine} == {None}
            hours = energy_profile(state.ledger, site, subject, *span, step=Step.HOUR)
            assert [slot.amount for slot in hours] == [pytest.approx(10 * KWH)] * 48
            assert {slot.totals_ms for slot in hours} == {HOUR_MS}


async def test_rows_of_an_hour_are_said_to_be_hours(tmp_path: Path) -> None:
    """Where the ledger's rows are hours, the chart speaks of hours and invents no quarters."""
    async with looked_at(tmp_path) as console:
        _, _, text = await console.get("/s?lang=en")
        assert "Mean power of each hour" in text
        assert "quarter of an hour" not in text


async def test_meters_without_a_live_feed_are_not_silent(tmp_path: Path) -> None:
    """Imported months ago or attested, nothing is expected of a meter; its gateway never spoke."""
    async with imported(tmp_path) as console:
        page = await read(console, "/s?lang=en")
        assert re.search(r"Meters that count ● 3 of 3", words(page))
        assert [row[1] for row in page.tables[-1][1:]] == [
            "● counts",
            "● counts",
            "● counts what is attested",
        ]
        assert re.search(r"Silent sensors ▲ – ?no agent is online", words(page))
        assert "all readings are fresh" not in words(page)


@asynccontextmanager
async def silenced(folder: Path) -> AsyncIterator[Served]:
    """A site whose gateway was heard and fell silent three hours ago; one meter is a tenant's."""
    settings = guarded(folder, WHOLE, TENANT, site=site_file("plant", interval_s=3600, more=OWNED))
    async with opened(settings) as state:
        await fill(state, "plant", hours_up_to(3, 20), "energy")
        async with serve(state) as console:
            yield console


async def test_every_role_is_told_the_same_of_a_meter(tmp_path: Path) -> None:
    """A tenant sees no feed of others, and the same verdict; a silent meter counts nonetheless."""
    async with silenced(tmp_path) as console:
        whole, own = [await read(console, "/s?lang=en", who) for who in (WHOLE, TENANT)]
        assert re.search(r"Meters that count ■ 2 of 2 ?2 silent", words(whole))
        assert re.search(r"Meters that count ■ 1 of 1 ?1 silent", words(own))
        rows = [
            next(row for row in table if row[0].startswith("ups"))
            for page in (whole, own)
            for table in page.tables
            if any(row and row[0].startswith("ups") for row in table)
        ]
        assert [row[1] for row in rows] == ["■ silentcounts"] * 2
        verdicts = []
        for who in (WHOLE, TENANT):
            _, _, text = await console.get("/api/v1/meters?site=s", headers=who.bearer)
            verdicts += re.findall(r'"meter":"ups".*?"silent":(\w+)', text)
        assert verdicts == ["true", "true"]


async def test_an_old_power_says_its_date_and_its_age(tmp_path: Path) -> None:
    """A figure of this hour has its time; one of 20 hours ago its date, its age and a mark."""
    async with imported(tmp_path, ago_h=20) as console:
        old = words(await read(console, "/s?lang=fr"))
    found = re.search(r"Puissance ▲ 12 kW ?le (\S+ \S+ \d{4}) à \d\d:00 · .* · il y a 20 h", old)
    assert found, old
    (tmp_path / "new").mkdir()
    async with imported(tmp_path / "new") as console:
        fresh = words(await read(console, "/s?lang=fr"))
    assert re.search(r"Puissance 12 kW ?(le \S+ \S+ \d{4} )?à \d\d:00 · informatique", fresh), fresh


async def test_without_the_store_the_ledger_is_shown(tmp_path: Path) -> None:
    """Its tables gone, the store answers with errors: what needs it says so, the rest stands."""
    async with opened(configuration(tmp_path)) as state:
        await fill_plant(state)
        await introduce_plant(state)
        async with serve(state) as console:
            path = state.config.state(state.config.store.path)
            with closing(sqlite3.connect(path, isolation_level=None)) as store:
                store.execute("DROP TABLE readings")
            for code in ("fr", "en"):
                page = await read(console, f"/s?lang={code}")
                told = language(code)
                assert " ".join(told("store_unavailable").split()) in words(page)
                assert "iPUE1" in page.text or "PUE1" in page.text
                meters = next(t for t in page.tables if t[0][0] == told("meter"))
                assert {row[3] for row in meters[1:]} == {told("unavailable")}
                assert any(row[6] not in ("0%", "0\u202f%") for row in meters[1:])
                tile = f"{told('glance_silent')} ▲ – ?{told('unavailable')}"
                assert re.search(tile, words(page))
                assert told("all_fresh") not in words(page)
                meter = await read(console, f"/s/meter/ups?lang={code}")
                assert told("unavailable") in words(meter)
            status, _, _ = await console.get("/api/v1/meters?site=s")
            assert status == 503


REASONS = (
    *(RETAINED, CLONE, AGENTS, BUG),
    *Flaw,
    *Reason,
    *(f"document_{reason}" for reason in Reason),
    *(f"birth_{cut}" for cut in Cut),
    *(f"broker_{refusal}" for refusal in Refusal),
)


def test_every_reason_of_a_fault_has_its_words() -> None:
    """A reason that is added without words in both languages would show as its code."""
    for code, reason in product(("fr", "en"), REASONS):
        text = language(code).fault(reason)
        assert text != reason, (code, reason)
        assert "_" not in text, (code, reason)
    assert language("fr").fault("brand_new") == "brand_new"


async def test_faults_are_told_in_the_readers_language(tmp_path: Path) -> None:
    """The label, its code in a quiet line, and what is English marked as English."""
    async with looked_at(tmp_path) as console:
        console.state.faults.note(
            "document_unknown_agent", time_ms=now_ms(), topic="a/b", detail="not listed"
        )
        _, _, text = await console.get("/faults?lang=fr")
        page = Outline(text)
        assert page.tables[0][1][0] == (
            "présentation ou état : agent absent de la liste du sitedocument_unknown_agent"
        )
        assert '<span class="sub" lang="en">not listed</span>' in text


async def test_every_page_of_a_simulated_site_says_so(tmp_path: Path) -> None:
    """Agents and faults among them; a site that is measured says nothing of the kind."""
    async with looked_at(tmp_path) as console:
        for path in ("/s", "/s/agent/plant", "/s/meter/ups", "/s/tickets", "/faults"):
            page = await read(console, f"{path}?lang=fr")
            assert "Simulé." in page.text, path
        assert EVIL in (await read(console, "/faults")).text
    (tmp_path / "real").mkdir()
    async with opened(configuration(tmp_path / "real", site_file())) as state:
        introduce(state)
        async with serve(state) as console:
            for path in ("/s", f"/s/agent/{PLANT.agent}", "/faults"):
                assert "Simulé" not in (await read(console, f"{path}?lang=fr")).text
