"""Two tenants on one site: neither reads a name or a value of the other, at any address."""

import html
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import pytest
from jauge_collector.console.guard import DECLARED
from jauge_collector.ledger.accounting import run_pass
from jauge_collector.state import ServiceState
from jauge_models.readings import Reading
from jauge_models.resources import Series
from jauge_models.wire import Address, Birth, Method, ResourceDescription, SourceDescription, State

from tests.collector.console.doors import Browser, Holder, guarded, quarantine
from tests.collector.console.serving import HOUR_MS, KWH, Served, now_ms, opened, serve

ALPHA = Holder("alpha-reader", "reader", tenants=("alpha",))
BRAVO = Holder("bravo-reader", "operator", tenants=("bravo",))
SHARING = Holder("alpha-sharing", "reader", tenants=("alpha",), share=True)
WHOLE = Holder("whole", "administrator")
DAYS: Final = 40
HANDED_H: Final = 12
"""Hours ago at which the meter `handed` went from bravo to alpha."""
KWH_AN_HOUR: Final = {
    "incomer": 99.27181,
    "ups": 90.451,
    "alpha-pdu": 20.25,
    "bravo-pdu": 31.41392,
    "handed": 57.72156,
    "nobodys": 16.18033,
    "late": 1.0,
}
"""Distinct digits, by which a value is recognised wherever it comes out."""
LATE_H: Final = 18
"""Hours ago of the first reading of `late`, which changed hands with `handed`."""
FIRST_KWH: Final = dict.fromkeys(KWH_AN_HOUR, 1000.0) | {"bravo-pdu": 271_828_000.0}

QUANTITY: Final = {"meter": "energy", "sensor": "temperature"}
METER = """
[[meters]]
id = "{id}"
name = "{id} meter"
location = "{id} room"
commodity = "electricity"
feeds = ["{agent}/meter:{id}"]
interval_s = 3600
counts = "from_start"
reason = "a test"
"""


def digits(kwh: float) -> str:
    """The first digits of a value, as they stand in whatever unit of ten it is shown in."""
    return f"{kwh:.4f}".replace(".", "").lstrip("0")[:4]


def site_file(handed: str) -> str:
    """The site; ``handed`` is the moment of the handover."""
    agents = {"bravo-pdu": "bravo-gw", "alpha-pdu": "plant"}
    meters = "".join(METER.format(id=m, agent=agents.get(m, "plant")) for m in KWH_AN_HOUR)
    facts = [
        ("alpha-pdu", "tenant", "alpha", ""),
        ("rack:b1", "tenant", "bravo", ""),
        ("bravo-pdu", "rack", "b1", ""),
        ("agent:alpha-gw", "tenant", "alpha", ""),
        ("agent:bravo-gw", "tenant", "bravo", ""),
        ("alpha-gw/guest:bravo-vm", "tenant", "bravo", ""),
        ("alpha-gw/sensor:bravo-probe", "tenant", "bravo", ""),
        ("late", "tenant", "bravo", f'valid_to = "{handed}"'),
        ("late", "tenant", "alpha", f'valid_from = "{handed}"'),
        ("handed", "tenant", "bravo", f'valid_to = "{handed}"'),
        ("handed", "tenant", "alpha", f'valid_from = "{handed}"'),
    ]
    attributes = "".join(
        f'[[attributes]]\nsubject = "{subject}"\nname = "{name}"\nvalue = "{value}"\n{more}\n'
        for subject, name, value, more in facts
    )
    return f"""
[site]
name = "s"
title = "Example"
time_zone = "UTC"
{meters}
{attributes}
[[equations]]
symbol = "E_DC"
terms = [{{ meter = "incomer" }}]
[[equations]]
symbol = "E_IT"
place = "ups_output"
terms = [{{ meter = "ups" }}, {{ meter = "bravo-pdu", reason = "bravo term" }}]
[[equations]]
symbol = "E_SUB"
zone = "bravo-zone"
terms = [{{ meter = "bravo-pdu" }}]
[[events]]
kind = "maintenance"
begin = "2026-01-05T10:00"
end = "2026-01-05T12:00"
reason = "bravo load test"
[[events]]
kind = "maintenance"
begin = "2026-01-05T10:00"
end = "2026-01-05T12:00"
subject = "handed"
reason = "bravo battery"
"""


def handover_ms() -> int:
    """The moment of the handover."""
    now = now_ms()
    return now - now % HOUR_MS - HANDED_H * HOUR_MS


async def fill(state: ServiceState) -> None:
    """Hourly registers of every meter; after its handover `handed` draws 1 kWh an hour."""
    now = now_ms()
    end = now - now % HOUR_MS
    times = range(end - DAYS * 24 * HOUR_MS, end + 1, HOUR_MS)
    for meter, step in KWH_AN_HOUR.items():
        agent = "bravo-gw" if meter == "bravo-pdu" else "plant"
        value, readings = FIRST_KWH[meter] * KWH, []
        for at in times if meter != "late" else times[-LATE_H - 1 :]:
            series = Series("s", agent, f"meter:{meter}", "energy")
            readings.append(Reading(series, at, round(value, 1)))
            handed = meter == "handed" and at >= handover_ms()
            value += (1.0 if handed else step) * KWH
        await state.store.write(readings)
    for agent in ("plant", "bravo-gw"):
        state.ledger.mark("s", agent, times, 0)
        state.ledger.set_oldest("s", agent, now)
    await state.store.write(
        [
            Reading(Series("s", agent, resource, quantity), now, value)
            for agent, resource, quantity, value in (
                ("alpha-gw", "host", "power", 432.1),
                ("alpha-gw", "guest:bravo-vm", "power", 8675.309),
                ("alpha-gw", "sensor:bravo-probe", "temperature", 46.69),
                ("bravo-gw", "host", "power", 6674.301),
            )
        ]
    )
    with state.ledger.writer():
        await run_pass(state.store, state.ledger, state.sites["s"], now)


def introduce(state: ServiceState) -> None:
    """Three agents: the site's own, and one of each tenant; a guest of bravo's on alpha's host."""
    now = now_ms()
    described = {
        "plant": [f"meter:{m}" for m in KWH_AN_HOUR if m != "bravo-pdu"],
        "alpha-gw": ["host", "guest:bravo-vm", "sensor:bravo-probe"],
        "bravo-gw": ["host", "meter:bravo-pdu"],
    }
    for name, ids in described.items():
        address = Address("s", name)
        resources = [
            ResourceDescription(
                one,
                {QUANTITY.get(one.partition(":")[0], "power"): Method.GAUGE},
                name=f"{name} {one} named",
            )
            for one in ids
        ]
        sources = [SourceDescription(f"{name}-source", 60.0)]
        birth = Birth(f"{name}-boot", "0.1", now / 1000, sources, resources)
        state.inventory.born(address, birth, now)
        life = State(f"{name}-boot", online=True, sent_at=now / 1000)
        state.inventory.stated(address, life, now)
        agent = state.inventory.seen(address, now)
        agent.heard(f"{name}-boot", now)
        agent.newest_ms = now
    state.faults.note("unit", time_ms=now, topic="jauge/v1/s/bravo-gw/readings", payload=b"bravo")


@asynccontextmanager
async def housing(folder: Path) -> AsyncIterator[Served]:
    """The console of the house."""
    handed = datetime.fromtimestamp(handover_ms() / 1000, UTC).strftime("%Y-%m-%dT%H:%M")
    settings = guarded(folder, ALPHA, BRAVO, SHARING, WHOLE, site=site_file(handed))
    async with opened(settings) as state:
        await fill(state)
        introduce(state)
        async with serve(state) as console:
            yield console


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Served]:
    """The console of the house."""
    async with housing(tmp_path) as served:
        yield served


CANARIES: Final = {
    "bravo": "any name of bravo's",
    digits(KWH_AN_HOUR["bravo-pdu"]): "bravo's energy of an hour",
    digits(KWH_AN_HOUR["handed"]): "what bravo drew through a meter that is alpha's now",
    "2718": "bravo's register",
    "8675": "a guest of bravo's on alpha's host",
    "6674": "bravo's host",
    "4669": "a sensor of bravo's on alpha's host",
    digits(24 * KWH_AN_HOUR["handed"]): "what bravo drew in a day through what is alpha's now",
}
TOTALS: Final = {
    digits(KWH_AN_HOUR["incomer"]): "the site's total",
    digits(KWH_AN_HOUR["nobodys"]): "what belongs to nobody",
    "nobodys": "a name that belongs to nobody",
}


def plain(text: str) -> str:
    """A text without what may stand between the digits of a number."""
    text = html.unescape(unquote(text)).lower()
    return re.sub(r"(?<=\d)[\s,.\u00a0\u202f](?=\d)", "", text)


def numbers(text: str) -> str:
    """The numbers of a text alone: those of drawings, styles and codes of forms are none."""
    text = re.sub(r"<svg.*?</svg>|<input[^>]*>", " ", text, flags=re.DOTALL)
    return plain(text)


def found(text: str, canaries: Iterator[str]) -> set[str]:
    """Which canaries sing in a text."""
    words, figures = plain(text), numbers(text)
    return {
        one
        for one in canaries
        if (re.search(rf"(?<!\d){one}", figures) if one.isdigit() else one in words)
    }


def addresses(console: Served) -> list[str]:
    """Every GET address, with every name that it may hold, and questions that matter."""
    meters, agents = [*KWH_AN_HOUR, "none"], ["plant", "alpha-gw", "bravo-gw", "none"]
    today = datetime.now(UTC).date()
    span = f"from={today.replace(day=1).replace(month=1)}&to={today}"
    queries = {
        "/api/v1/kpi": [f"?site={s}&{span}" for s in ("s", "t")] + [""],
        "/api/v1/meters": ["", "?site=s", "?site=t"],
        "/api/v1/agents": ["", "?site=s", "?site=t"],
        "/{site}/kpi/{name}": [f"?{span}"],
        "/{site}/meter/{meter}": [
            "",
            *(
                f"?day={datetime.fromtimestamp((handover_ms() + at) / 1000, UTC).date()}"
                for at in (-40 * HOUR_MS, -HOUR_MS, HOUR_MS)
            ),
            *(
                f"?day={datetime.fromtimestamp(at / 1000, UTC).date()}&row={at}"
                for at in (handover_ms() + n * HOUR_MS for n in (-2, -1, 0, 1))
            ),
        ],
    }
    paths: list[str] = []
    for method, path in console.app[DECLARED]:
        if method != "GET":
            continue
        for site in ("s", "t") if "{site}" in path else ("",):
            for meter in meters if "{meter}" in path else [""]:
                for agent in agents if "{agent}" in path else [""]:
                    for name in ("pue", "wue", "none") if "{name}" in path else ("",):
                        named = {"site": site, "meter": meter, "agent": agent, "name": name}
                        held = {"host": "alpha-gw", "resource": "host", "guest": "bravo-vm"}
                        held["language"] = "fr"
                        whole = path.format(**named, **held)
                        paths += [whole + query for query in queries.get(path, [""])]
    return paths


async def crawl(console: Served, holder: Holder) -> dict[str, str]:
    """What a token reads at every address, in both languages, and behind every link of those."""
    texts: dict[str, str] = {}
    waiting = addresses(console)
    browser = Browser(console)
    assert (await browser.sign_in(holder.token))[0] == 303
    while waiting:
        path = waiting.pop(0)
        if path in texts:
            continue
        assert len(texts) < 900, "the crawl does not end"
        status, headers, text = await browser.get(path)
        assert status < 500, (path, status)
        texts[path] = f"{text}\n{headers.get('Location', '')}"
        if "html" in headers.get("Content-Type", ""):
            links = {html.unescape(link) for link in re.findall(r'href="(/[^"#]*)', text)}
            waiting += [one for one in links if not re.search(r"\b(day|month|quarter)=", one)]
        for given in (holder.bearer,) if path.startswith(("/api", "/metrics", "/readyz")) else ():
            texts[f"{path} by token"] = (await console.get(path, headers=given))[2]
    return texts


def asked_for(path: str) -> str:
    """What stands in the address itself is no news to who asked for it."""
    return plain(path)


async def test_a_tenant_reads_nothing_of_another(console: Served) -> None:
    """Every GET address as alpha: no byte of bravo's, of a total, or of what is nobody's.

    The same crawl by who may see everything finds each of them: else it would prove nothing.
    """
    seen = await crawl(console, ALPHA)
    assert len(seen) > 60
    assert any("alpha-pdu meter" in text for text in seen.values())
    everything = {**CANARIES, **TOTALS}
    for path, text in seen.items():
        asked = asked_for(path)
        heard = {one for one in found(text, iter(everything)) if one not in asked}
        assert not heard, (path, {one: everything[one] for one in heard})
    all_seen = "\n".join((await crawl(console, WHOLE)).values())
    assert found(all_seen, iter(everything)) == set(everything)


async def test_each_tenant_reads_their_own(console: Served) -> None:
    """Meters, agents and their readings; the meter that changed hands since it did."""
    for holder, meters, agents in (
        (ALPHA, {"alpha-pdu", "handed", "late"}, {"alpha-gw"}),
        (BRAVO, {"bravo-pdu"}, {"bravo-gw"}),
    ):
        _, _, text = await console.get("/api/v1/meters", headers=holder.bearer)
        told = {meter["meter"]: meter for meter in json.loads(text)["meters"]}
        assert set(told) == meters
        _, _, text = await console.get("/api/v1/agents", headers=holder.bearer)
        assert {agent["agent"] for agent in json.loads(text)["agents"]} == agents
        _, _, text = await console.get("/api/v1/sites", headers=holder.bearer)
        (site,) = json.loads(text)["sites"]
        assert (site["meters"], site["agents"]) == (len(meters), 1)
        for meter in told.values():
            assert 0.9 < meter["coverage_day"] <= 1
    _, _, page = await console.get("/s/meter/bravo-pdu?lang=en", headers=BRAVO.bearer)
    assert found(page, iter(CANARIES)) >= {digits(KWH_AN_HOUR["bravo-pdu"]), "2718"}
    _, _, page = await console.get("/s/agent/alpha-gw?lang=en", headers=ALPHA.bearer)
    assert "432.1" in page
    day = datetime.fromtimestamp((handover_ms() + HOUR_MS) / 1000, UTC).date()
    _, _, page = await console.get(f"/s/meter/handed?lang=en&day={day}", headers=ALPHA.bearer)
    assert "1.00\u00a0kWh" in page
    assert (await console.get("/s/meter/handed", headers=BRAVO.bearer))[0] == 404


async def test_totals_are_withheld_with_the_reason(console: Served) -> None:
    """403 with one line for programs; on the overview a sentence instead of figures."""
    day = datetime.now(UTC).date()
    asked = f"/api/v1/kpi?site=s&from={day.replace(day=1, month=1)}&to={day}"
    if day.timetuple().tm_yday == 1:
        asked = "/api/v1/kpi?site=s&from=2026-01-01&to=2026-02-01"
    status, _, text = await console.get(asked, headers=ALPHA.bearer)
    assert status == 403
    assert "withheld" in json.loads(text)["error"]
    status, _, page = await console.get("/s?lang=en", headers=ALPHA.bearer)
    assert status == 200
    assert "withheld" in page
    assert "/s/kpi/" not in page
    assert (await console.get(asked, headers=WHOLE.bearer))[0] == 200


async def test_shared_indicators_come_without_what_they_are_made_of(console: Served) -> None:
    """The PUE, and neither its totals nor the names of meters and zones."""
    seen = await crawl(console, SHARING)
    everything = {**CANARIES, **TOTALS}
    for path, text in seen.items():
        heard = {one for one in found(text, iter(everything)) if one not in asked_for(path)}
        assert not heard, (path, {one: everything[one] for one in heard})
    end = datetime.fromtimestamp(now_ms() / 1000, UTC).date()
    start = datetime.fromtimestamp(now_ms() / 1000 - 20 * 86400, UTC).date()
    asked = f"/api/v1/kpi?site=s&from={start}&to={end}"
    _, _, text = await console.get(asked, headers=SHARING.bearer)
    shared = json.loads(text)
    assert (
        shared["pue"]["value"]
        == pytest.approx(
            KWH_AN_HOUR["incomer"] / (KWH_AN_HOUR["ups"] + KWH_AN_HOUR["bravo-pdu"]), rel=1e-3
        )
        or shared["pue"]["reason"]
    )
    assert shared["pue"]["numerator"] is None
    assert shared["ppue"] == []
    _, _, text = await console.get(asked, headers=WHOLE.bearer)
    assert json.loads(text)["pue"]["value"] == shared["pue"]["value"]
    assert json.loads(text)["pue"]["numerator"] is not None


async def test_a_tenants_operator_releases_their_own_agent_alone(console: Served) -> None:
    """Another's is not found, by form and by JSON; the release is recorded."""
    agents = {
        name: console.state.inventory.get(Address("s", name)) for name in ("alpha-gw", "bravo-gw")
    }
    for agent in agents.values():
        assert agent is not None
        quarantine(agent)
    for name, status in (("alpha-gw", 404), ("plant", 404), ("bravo-gw", 200)):
        told, _, text = await console.ask(
            "POST",
            "/api/v1/agents/release",
            json={"site": "s", "agent": name},
            headers=BRAVO.bearer,
        )
        assert told == status, text
    assert agents["alpha-gw"] is not None
    assert agents["alpha-gw"].quarantined
