"""The page *Fleet health*: series against budgets, the worst first, in two languages."""

import dataclasses
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from jauge_collector.config import CollectorConfig
from jauge_collector.service import Service
from jauge_models.readings import Reading
from jauge_models.resources import Series
from jauge_models.wire import (
    Address,
    Birth,
    Channel,
    Method,
    ResourceDescription,
    Sample,
    SourceDescription,
    State,
)
from prometheus_client.parser import text_string_to_metric_families

from tests.collector.console.doors import Holder, guarded
from tests.collector.console.serving import READY, SITE, Served, now_ms, serve
from tests.collector.packs import pack

ALPHA = Holder("alpha-reader", "reader", tenants=("alpha",))
WHOLE = Holder("whole", "administrator")
GUEST_QUANTITIES = (
    "cpu_utilisation", "cpu_time", "processors", "memory_size", "memory_used",
    "memory_utilisation", "disk_read", "disk_written", "network_received", "network_sent",
    "runs_on", "uptime", "load_average", "frequency", "temperature", "humidity", "current",
)  # fmt: skip
OWNED = """
[[attributes]]
subject = "agent:hypervisor"
name = "tenant"
value = "alpha"
[[attributes]]
subject = "hypervisor/guest:others"
name = "tenant"
value = "bravo"
"""


def samples(resource: str, number: int) -> list[Sample]:
    """So many series of one resource."""
    return [Sample(resource, quantity, 0.5) for quantity in GUEST_QUANTITIES[:number]]


def heard(service: Service, agent: str, brought: list[Sample], **left_out: str) -> None:
    """An agent that is described, online, and has sent a pack; ``left_out``: labels it gives."""
    address, now = Address("s", agent), now_ms()
    resources = [
        ResourceDescription(
            one,
            {"uptime": Method.GAUGE},
            labels={"left_out": left_out[one]} if one in left_out else {},
        )
        for one in dict.fromkeys(sample.resource for sample in brought)
    ]
    birth = Birth("b1", "0.1", now / 1000, [SourceDescription("vm", 60.0)], resources)
    inventory = service.state.inventory
    inventory.born(address, birth, now)
    inventory.stated(address, State("b1", online=True, sent_at=now / 1000), now)
    inventory.seen(address, now).heard("b1", now)
    payload = pack(brought, address=address, time_ms=now)
    service._checks.batch(address.topic(Channel.READINGS), payload, now, 0)


@asynccontextmanager
async def fleet(settings: CollectorConfig) -> AsyncIterator[tuple[Service, Served]]:
    """Three agents: one within its budgets, one that cuts by itself, one that does not."""
    service = Service(settings)
    state = dataclasses.replace(service.state, readiness=lambda: READY)
    try:
        async with state.store:
            heard(service, "calm", samples("host", 14))
            heard(service, "cutting", samples("host", 12), host="21")
            flood = [*samples("guest:mine", 17), *samples("guest:others", 16), *samples("host", 5)]
            heard(service, "hypervisor", flood)
            now = now_ms()
            await state.store.write(
                [
                    Reading(Series("s", "hypervisor", one, "uptime"), now, 1.0)
                    for one in ("guest:mine", "guest:others", "host")
                ]
            )
            async with serve(state) as console:
                yield service, console
    finally:
        state.ledger.close()


def rows(page: str) -> list[list[str]]:
    """Cells of the table of agents."""
    body = page.rpartition("<tbody>")[2].partition("</tbody>")[0]
    return [list(cells(row)) for row in body.split("</tr>") if "<t" in row]


def cells(row: str) -> Iterator[str]:
    """The words of each cell."""
    for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL):
        yield " ".join(re.sub(r"<[^>]*>", " ", cell).split())


@pytest.mark.parametrize(
    ("language", "mine", "own", "calm"),
    [
        ("en", "by the collector, readings: 3", "by the agent, series: 21", "nothing"),
        ("fr", "par le collecteur, mesures : 3", "par l’agent, séries : 21", "rien"),
    ],
)
async def test_the_worst_agents_come_first_with_what_was_left_out(
    tmp_path: Path, language: str, mine: str, own: str, calm: str
) -> None:
    """Who left it out, of what, and how full the fullest host, guest and GPU is."""
    async with fleet(guarded(tmp_path, WHOLE, site=SITE + OWNED)) as (_, console):
        status, _, page = await console.get(f"/s/fleet?lang={language}", headers=WHOLE.bearer)
    assert status == 200
    assert len(page.encode()) < 150_000
    found = rows(page)
    assert [row[0] for row in found] == ["hypervisor", "cutting", "calm"]
    assert mine in found[0][1]
    assert "2" in found[0][1]
    assert "guest:mine" in found[0][1]
    word = "of" if language == "en" else "sur"
    assert found[0][2:5] == [f"5 {word} 60 host", f"15 {word} 15 guest:mine (1/2)", "–"]
    assert found[0][5] == "35"
    assert own in found[1][1]
    assert calm in found[2][1]
    for number in ("60", "15", "25"):
        assert re.search(rf"<dd>{number}\W(series|séries)", page), number


async def test_a_resource_is_named_and_its_id_is_short(tmp_path: Path) -> None:
    """An id of 36 characters in each column pushes the last ones off the screen."""
    long, ident = "A name of very many characters", "4210e1f3-0039-3510-8058-b7c04f4a3132"
    service = Service(guarded(tmp_path, WHOLE, site=SITE + OWNED))
    brought = samples(f"guest:{ident}", 16)
    heard(service, "vc", brought)
    known = service.state.inventory.get(Address("s", "vc"))
    assert known is not None
    assert known.birth is not None
    named = [msgspec.structs.replace(one, name=long) for one in known.birth.resources]
    birth = msgspec.structs.replace(known.birth, boot="b2", resources=named)
    service.state.inventory.born(Address("s", "vc"), birth, now_ms())
    try:
        async with service.state.store, serve(service.state) as console:
            _, _, page = await console.get("/s/fleet?lang=en", headers=WHOLE.bearer)
    finally:
        service.state.ledger.close()
    (row,) = rows(page)
    assert row[3] == "15 of 15 A name of very many cha… (guest:4210e1f3…)"
    assert row[1].endswith("the first A name of very many cha… (guest:4210e1f3…)")


async def test_a_tenant_sees_their_own_guests_alone(tmp_path: Path) -> None:
    """Neither the name nor the number of a guest of another on the same host."""
    async with fleet(guarded(tmp_path, ALPHA, WHOLE, site=SITE + OWNED)) as (_, console):
        status, _, page = await console.get("/s/fleet?lang=en", headers=ALPHA.bearer)
        assert status == 200
        (row,) = rows(page)
        assert row[0] == "hypervisor"
        assert "by the collector, readings: 2" in row[1]
        assert row[3] == "15 of 15 guest:mine"
        assert row[5] == "–"
        assert "others" not in page
        assert "calm" not in page
        assert (await console.get("/t/fleet", headers=ALPHA.bearer))[0] == 404


async def test_a_site_without_agents_says_so(tmp_path: Path) -> None:
    """In a page like any other."""
    service = Service(guarded(tmp_path, WHOLE, site=SITE + OWNED))
    try:
        async with service.state.store, serve(service.state) as console:
            status, _, page = await console.get("/s/fleet?lang=en", headers=WHOLE.bearer)
    finally:
        service.state.ledger.close()
    assert status == 200
    assert "No agent was heard yet" in page
    assert "<table>" not in page


async def test_metrics_and_log_name_who_is_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A gauge by agent and family while something is left out; a line once a day for each."""
    async with fleet(guarded(tmp_path, WHOLE, site=SITE + OWNED)) as (service, console):
        with caplog.at_level(logging.WARNING, "jauge_collector"):
            for _ in range(3):
                service._vitals.tell_of_budgets()
        _, _, text = await console.get("/metrics", headers=WHOLE.bearer)
    found = {
        tuple(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "jauge_collector_resources_over_budget"
    }
    labels = (("agent", "hypervisor"), ("family", "guest"), ("site", "s"))
    assert found == {labels: 2.0}
    (line,) = caplog.records
    assert line.getMessage() == (
        "agent s/hypervisor brings more than the 15 series of one guest that budget.guest allows: "
        "what exceeds is left out of 2 of them, guest:mine the first"
    )
