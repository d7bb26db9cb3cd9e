"""Tickets at the console: seen by whom they concern, acknowledged by who may, in two languages."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from jauge_collector.access.roles import MAY, Permission, Role
from jauge_collector.console import api
from jauge_collector.crosschecks import CrossChecks
from jauge_collector.ledger.accounting import run_pass
from jauge_collector.ledger.tickets import TicketBook
from jauge_collector.service import Service
from jauge_collector.state import ServiceState
from jauge_models.readings import Reading
from jauge_models.resources import Series
from jauge_models.wire import Method
from prometheus_client import generate_latest

from tests import parts
from tests.collector.console.doors import (
    EVERYBODY,
    OPERATOR,
    READER,
    Browser,
    Holder,
    audited,
    guarded,
    hidden,
)
from tests.collector.console.plants import Outline
from tests.collector.console.serving import HOUR_MS, KWH, Served, now_ms, opened, serve

ALPHA = Holder("alpha-operator", "operator", tenants=("alpha",))
BRAVO = Holder("bravo-operator", "operator", tenants=("bravo",))
METER = """
[[meters]]
id = "{id}"
commodity = "electricity"
feeds = ["gw/meter:{id}"]
uncertainty = 0.005
interval_s = 3600
counts = "from_start"
reason = "a test"
"""
LINK = '[[connections]]\nupstream = "{}"\ndownstream = "{}"\n'
OWNER = '[[attributes]]\nsubject = "{}"\nname = "tenant"\nvalue = "{}"\n'
SITE = "".join(
    [
        '[site]\nname = "s"\ntitle = "Example"\ntime_zone = "UTC"\n',
        *(METER.format(id=name) for name in ("ups", "pdu-a", "pdu-b", "spare")),
        '[[equations]]\nsymbol = "E_IT"\nplace = "pdu_output"\n',
        'terms = [{ meter = "pdu-a" }, { meter = "pdu-b" }]\n',
        LINK.format("ups", "pdu-a"),
        LINK.format("ups", "pdu-b"),
        LINK.format("pdu-a", "srv-a/host"),
        LINK.format("pdu-b", "srv-b/host"),
        OWNER.format("agent:srv-a", "alpha"),
        OWNER.format("pdu-a", "alpha"),
        OWNER.format("agent:srv-b", "bravo"),
        OWNER.format("pdu-b", "bravo"),
    ]
)
SHARES = {
    ("srv-a", "host"): 1.0,
    ("srv-b", "host"): 1.5,
    ("gw", "meter:pdu-a"): 0.102,
    ("gw", "meter:pdu-b"): 0.153,
    ("gw", "meter:ups"): 0.01,
    ("gw", "meter:spare"): 0.5,
}
"""Both units read a tenth of what they give, and the UPS far less than both."""


async def fill(state: ServiceState, hours: int = 60) -> None:
    """Registers every ten minutes, their rows, and a round of cross-checks as a collector does."""
    now = now_ms()
    end = now - now % HOUR_MS
    start = end - hours * HOUR_MS
    chance = random.Random(4)
    loads = [0.4 + 0.3 * chance.random() for _ in range(hours)]
    for (agent, resource), share in SHARES.items():
        series, total = Series("s", agent, resource, "energy"), 1e6
        readings = []
        for at, load in enumerate(loads):
            for step in range(6):
                time_ms = start + at * HOUR_MS + step * HOUR_MS // 6
                readings.append(Reading(series, time_ms, round(total, 3)))
                total += share * load * KWH / 6
        readings.append(Reading(series, end, round(total, 3)))
        await state.store.write(readings)
        state.ledger.mark("s", agent, [r.time_ms for r in readings], 0)
        state.ledger.set_oldest("s", agent, now)
        method = Method.REGISTER if agent == "gw" else Method.COUNTER
        state.ledger.set_methods("s", agent, {(resource, "energy"): method})
    with state.ledger.writer():
        await run_pass(state.store, state.ledger, state.sites["s"], now)
        rounds = CrossChecks(state.config.crosschecks, state.sites, state.ledger, state.telemetry)
        await rounds.account(lambda: None)


@asynccontextmanager
async def checked(folder: Path) -> AsyncIterator[Served]:
    """The console of the site."""
    settings = guarded(folder, *EVERYBODY, ALPHA, BRAVO, site=SITE)
    async with opened(settings) as state:
        await fill(state)
        async with serve(state) as console:
            yield console


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Served]:
    """The console of the site."""
    async with checked(tmp_path) as served:
        yield served


async def told(console: Served, holder: Holder, path: str = "/tickets?site=s") -> Any:
    """The JSON of an answer that is well."""
    status, _, text = await console.get(api.ROOT + path, headers=holder.bearer)
    assert status == 200, text
    return json.loads(text)


async def tickets_of(console: Served, holder: Holder) -> dict[tuple[str, ...], Any]:
    """Tickets by what feeds."""
    (site,) = (await told(console, holder))["sites"]
    return {tuple(ticket["evidence"]["upper"]): ticket for ticket in site["tickets"]}


async def test_tickets_with_their_numbers(console: Served) -> None:
    """Three broken orders, each with suspects; what is off the map; and the document fits."""
    found = await tickets_of(console, READER)
    assert set(found) == {("pdu-a",), ("pdu-b",), ("ups",)}
    unit = found["pdu-a",]
    assert (unit["kind"], unit["state"]) == ("order", "still_open")
    assert unit["evidence"]["lower"] == ["srv-a/host"]
    suspects = {(s["kind"], *s["subjects"]): s for s in unit["evidence"]["suspects"]}
    assert suspects["ct_ratio", "pdu-a"]["factor"] == pytest.approx(0.1)
    answer = await told(console, READER)
    assert answer["sites"][0]["standing"]["unmapped"] == ["spare"]
    document = await told(console, READER, "/openapi.json")
    for path, query in (("/tickets", ""), ("/reconciliation", "?site=s")):
        answer = await told(console, READER, path + query)
        schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
        jsonschema.validate(
            answer,
            {**schema["schema"], "components": document["components"]},
            cls=jsonschema.Draft202012Validator,
        )
    status, _, _ = await console.get(
        f"{api.ROOT}/reconciliation?site=s&month=2099-01", headers=READER.bearer
    )
    assert status == 400


@pytest.mark.parametrize("code", ["fr", "en"])
async def test_the_page(console: Served, code: str) -> None:
    """Suspects, numbers, and the way to each meter and agent; well built in both languages."""
    status, _, text = await console.get(f"/s/tickets?lang={code}", headers=READER.bearer)
    assert status == 200
    page = Outline(text)
    assert page.lang == code
    assert [level for level, _ in page.headings].count(1) == 1
    assert len(set(page.ids)) == len(page.ids)
    assert set(page.referred) <= set(page.ids)
    assert page.unscoped == 0
    assert (page.scripts, page.styles) == (0, 0)
    hrefs = {href for _, href in page.links}
    assert {f"/s/meter/pdu-a?lang={code}", f"/s/agent/srv-a?lang={code}"} <= hrefs
    assert f"/s/meter/spare?lang={code}" in hrefs
    assert "÷\u00a010" in text
    assert "0,98" in text if code == "fr" else "0.98" in text
    assert "acknowledge" not in text or code == "en"
    assert "<form" not in text
    overview = Outline((await console.get(f"/s?lang={code}", headers=READER.bearer))[2])
    assert overview.to("/s/tickets") == f"/s/tickets?lang={code}"


async def test_a_tenant_sees_what_is_wholly_theirs(console: Served) -> None:
    """Not the other's, not the site's UPS beside both; and can acknowledge no other."""
    whole = await tickets_of(console, OPERATOR)
    for holder, own, other in ((ALPHA, "pdu-a", "pdu-b"), (BRAVO, "pdu-b", "pdu-a")):
        found = await tickets_of(console, holder)
        assert set(found) == {(own,)}
        text = json.dumps(await told(console, holder))
        _, _, page = await console.get("/s/tickets?lang=en", headers=holder.bearer)
        server = "srv-b" if holder is ALPHA else "srv-a"
        for name in (other, server, "ups", "spare"):
            assert name not in text
            assert name not in page.replace("upstream", "")
        assert own in page
        for ticket in (whole[other,], whole["ups",]):
            status, _, _ = await console.ask(
                "POST",
                f"{api.ROOT}/tickets/acknowledge",
                json={"site": "s", "ticket": ticket["id"]},
                headers=holder.bearer,
            )
            assert status == 404
    rows = (await told(console, ALPHA, "/reconciliation?site=s"))["reconciliations"]
    assert [row["tenant"] for row in rows] == ["alpha"]
    rows = (await told(console, OPERATOR, "/reconciliation?site=s"))["reconciliations"]
    assert [row["tenant"] for row in rows] == ["", "alpha", "bravo"]


async def test_a_tenants_ticket_says_not_who_saw_it(console: Served) -> None:
    """A note of the house may tell of others."""
    found = await tickets_of(console, OPERATOR)
    await acknowledge(console, OPERATOR, found["pdu-a",]["id"], "bravo told us so")
    own = (await tickets_of(console, ALPHA))["pdu-a",]
    assert own["acknowledged_ms"] is not None
    assert (own["acknowledged_by"], own["note"]) == ("", "")
    whole = (await tickets_of(console, READER))["pdu-a",]
    assert (whole["acknowledged_by"], whole["note"]) == ("operator", "bravo told us so")


async def acknowledge(console: Served, holder: Holder, ticket: int, note: str = "") -> int:
    """By JSON; the status."""
    status, _, _ = await console.ask(
        "POST",
        f"{api.ROOT}/tickets/acknowledge",
        json={"site": "s", "ticket": ticket, "note": note},
        headers=holder.bearer,
    )
    return status


@pytest.mark.parametrize("holder", EVERYBODY, ids=lambda holder: holder.role)
async def test_only_some_roles_acknowledge(console: Served, holder: Holder) -> None:
    """By form and by JSON: operators and administrators; the form is shown only to them."""
    may = Permission.ACKNOWLEDGE in MAY[Role(holder.role)]
    assert may == (holder.role in ("operator", "administrator"))
    found = await tickets_of(console, READER)
    ticket = found["pdu-a",]["id"]
    browser = Browser(console)
    await browser.sign_in(holder.token)
    _, _, page = await browser.get("/s/tickets")
    action = f"/s/tickets/{ticket}/acknowledge"
    assert (action in page) == may
    part = page[page.index(action) :] if may else page
    fields = {"form_token": hidden(part), "note": "vu, « à suivre »\n"}
    status, headers, _ = await browser.post(action, fields)
    assert status == (303 if may else 403)
    if may:
        assert headers["Location"] == "/s/tickets?outcome=acknowledged"
        _, _, page = await browser.get(headers["Location"])
        assert "à suivre" in page
        assert action not in page
    assert await acknowledge(console, holder, found["pdu-b",]["id"]) == (200 if may else 403)
    seen = {upper: t["acknowledged_by"] for upper, t in (await tickets_of(console, READER)).items()}
    assert seen["pdu-a",] == seen["pdu-b",] == (holder.name if may else "")


async def test_an_acknowledgement_is_recorded_and_made_once(
    console: Served, tmp_path: Path
) -> None:
    """Who, what and the note stand in the record of changes; a second one changes nothing."""
    found = await tickets_of(console, READER)
    ticket = found["ups",]["id"]
    assert await acknowledge(console, OPERATOR, ticket, "CT\x07 checked") == 200
    assert await acknowledge(console, OPERATOR, ticket, "again") == 409
    assert await acknowledge(console, OPERATOR, 10**9) == 404
    assert await acknowledge(console, OPERATOR, ticket, "x" * 501) == 400
    (change,) = audited(tmp_path)
    assert (change["what"], change["subject"], change["who"]) == (
        "ticket.acknowledge",
        str(ticket),
        "operator",
    )
    assert change["detail"] == "CT  checked"
    browser = Browser(console)
    await browser.sign_in(OPERATOR.token)
    for path in (f"/s/tickets/{ticket}x/acknowledge", "/s/tickets/0/acknowledge"):
        status, _, _ = await browser.post(path, {"form_token": "1.2"})
        assert status in (403, 404)


async def test_metrics_count_tickets_by_kind_and_state(console: Served) -> None:
    """A gauge, and none of them an alert; kinds without tickets are told as 0."""
    _, _, text = await console.get("/metrics", headers=READER.bearer)
    lines = [line for line in text.splitlines() if line.startswith("jauge_collector_tickets{")]
    assert 'jauge_collector_tickets{kind="order",site="s",state="still_open"} 3.0' in lines
    assert 'jauge_collector_tickets{kind="stuck",site="s",state="open"} 0.0' in lines


async def test_a_running_collector_makes_rounds(tmp_path: Path) -> None:
    """Beside its passes, without broker: tickets of what the ledger holds, and the gauge."""
    listen = f"127.0.0.1:{parts.free_port()}"
    settings = guarded(tmp_path, *EVERYBODY, listen=listen, site=SITE)
    async with opened(settings) as state:
        await fill(state)
        with state.ledger.transaction(writes=True) as connection:
            connection.exec_driver_sql("DELETE FROM tickets")
            connection.exec_driver_sql("DELETE FROM standings")
    service, stop = Service(settings), asyncio.Event()
    running = asyncio.create_task(service.run(stop))
    try:
        book = TicketBook(service.state.ledger)
        await parts.eventually(
            lambda: len(book.list("s").tickets) == 3, within=60, what="the first round"
        )
        gauge = 'jauge_collector_tickets{kind="order",site="s",state="still_open"} 3.0'
        await parts.eventually(
            lambda: gauge in generate_latest(service.state.telemetry.registry).decode(),
            within=60,
            what="the gauge",
        )
    finally:
        stop.set()
        await running
