"""Planned events by the console: declared, ended early, called off, and by whom."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from jauge_collector.cli import main
from jauge_collector.ledger.book import Ledger
from jauge_collector.registers import events
from jauge_collector.registers.meters import topology_of
from jauge_models.topology import EventKind

from tests.collector.console.doors import (
    ADMINISTRATOR,
    APPROVER,
    EVERYBODY,
    OFFICER,
    OPERATOR,
    READER,
    Browser,
    Holder,
    audited,
    guarded,
    hidden,
)
from tests.collector.console.serving import SITE, Served, now_ms, serving
from tests.collector.console.test_tickets import OWNER

MAY = {OPERATOR.role, OFFICER.role}
ALPHA = Holder("alpha", "operator", tenants=("alpha",))
EVENTS = """
[[events]]
kind = "generator_test"
begin = "2026-01-05T10:00"
end = "2026-01-05T12:00"
reason = "yearly test"
"""


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Served]:
    """A console that knows each role and a tenant's operator."""
    site = SITE + EVENTS + OWNER.format("ups", "alpha")
    async with serving(guarded(tmp_path, *EVERYBODY, ALPHA, site=site)) as served:
        yield served


async def signed_in(console: Served, who: Holder) -> Browser:
    """Somebody's browser."""
    browser = Browser(console)
    assert (await browser.sign_in(who.token))[0] == 303
    return browser


def at(minutes: float) -> str:
    """So many minutes from now, as a browser sends it; the site's clock is UTC."""
    return f"{datetime.now(UTC) + timedelta(minutes=minutes):%Y-%m-%dT%H:%M}"


async def send(browser: Browser, action: str, **fields: str) -> tuple[int, str, str]:
    """A form of the page, filled in and sent: status, where it leads, the page."""
    _, _, text = await browser.get("/s/events?lang=en")
    part = text[text.index(f'action="{action}') :]
    status, headers, body = await browser.post(
        f"{action}?lang=en", {"form_token": hidden(part), **fields}
    )
    return status, headers.get("Location", ""), body


async def declare(browser: Browser, begin: float, end: float, **more: str) -> tuple[int, str, str]:
    """An event from and to so many minutes from now."""
    fields = {"kind": "maintenance", "subject": "", "reason": "new fans"} | more
    return await send(browser, "/s/events/add", begin=at(begin), end=at(end), **fields)


def known(console: Served) -> list[tuple[str, str]]:
    """Kind and subject of the events that run now, as rules and /metrics learn of them."""
    state = console.state
    found = topology_of(state.ledger, state.sites["s"]).events
    return [(one.kind.value, one.subject) for one in found if one.validity.holds(now_ms())]


def groups(page: str) -> dict[str, str]:
    """What stands under each heading."""
    parts = page.split("<h2 id=")[1:]
    return {part[1 : part.index('"', 1)]: part for part in parts}


async def test_an_event_is_declared_runs_and_is_ended_early(
    console: Served, tmp_path: Path
) -> None:
    """With its signatory; the rules' metric follows; the record keeps both entries."""
    browser = await signed_in(console, OPERATOR)
    status, where, _ = await declare(browser, -10, 120)
    assert (status, where) == (303, "/s/events?outcome=added&lang=en")
    assert known(console) == [("maintenance", "")]
    _, _, page = await browser.get("/s/events?lang=en")
    running = groups(page)["running"]
    assert "new fans" in running
    assert "Entered by: operator" in running
    assert "Holds back all alerts of its scope" in running
    _, _, metrics = await console.get("/metrics", headers=READER.bearer)
    assert 'jauge_event_active{kind="maintenance",scope="",site="s"} 1.0' in metrics
    _, _, alerts = await browser.get("/alerts?lang=en")
    assert "maintenance – Example &lt;site&gt;, whole site" in alerts

    number = hidden(running, "entry")
    status, where, _ = await send(browser, "/s/events/end", entry=number)
    assert (status, where) == (303, "/s/events?outcome=ended&lang=en")
    assert known(console) == []
    _, _, page = await browser.get("/s/events?lang=en")
    found = groups(page)
    assert "new fans" in found["over"]
    assert "new fans" not in found["running"]
    entries = console.state.ledger.entries("s", events.EVENT, corrected=True)
    assert [(one.signatory, one.corrects) for one in entries] == [
        ("operator", None),
        ("operator", int(number)),
    ]
    told = [(one["what"], one["who"], one["subject"]) for one in audited(tmp_path)]
    assert told[1:] == [("event.add", "operator", "s"), ("event.end", "operator", "s")]
    administrator = await signed_in(console, ADMINISTRATOR)
    _, _, audit = await administrator.get("/audit?lang=en")
    assert "ended an event" in audit


async def test_an_event_to_come_is_called_off_and_never_holds(console: Served) -> None:
    """It stays in the record, without any time; a second time there is nothing to call off."""
    browser = await signed_in(console, OFFICER)
    await declare(browser, 60, 120, kind="bypass", subject="ups")
    _, _, page = await browser.get("/s/events?lang=en")
    number = hidden(groups(page)["coming"], "entry")
    assert "Call off" in groups(page)["coming"]
    _, where, _ = await send(browser, "/s/events/end", entry=number)
    assert where.startswith("/s/events?outcome=withdrawn")
    _, _, page = await browser.get("/s/events?lang=en")
    assert "new fans" not in page
    state = console.state
    assert [e.kind for e in topology_of(state.ledger, state.sites["s"]).events] == [
        EventKind.GENERATOR_TEST
    ]
    (entry,) = state.ledger.entries("s", events.EVENT)
    assert entry.start_ms == entry.end_ms
    # The form of a page that is still open.
    await declare(browser, 60, 120)
    for stale in (number, "0", "x", "99999999999999999999"):
        _, where, _ = await send(browser, "/s/events/end", entry=stale)
        assert where.startswith("/s/events?outcome=stale"), stale


async def test_what_is_wrong_with_a_form_is_said_beside_its_field(console: Served) -> None:
    """All at once, and what was written stays; nothing is entered."""
    browser = await signed_in(console, OPERATOR)
    cases: tuple[tuple[dict[str, str], tuple[float, float], str], ...] = (
        ({"kind": "party"}, (0, 60), "kind"),
        ({"subject": "nothing"}, (0, 60), "subject"),
        ({"subject": "x" * 5000}, (0, 60), "subject"),
        ({"reason": " \u0007 "}, (0, 60), "reason"),
        ({}, (60, 60), "end"),
        ({}, (60, 0), "end"),
        ({}, (0, 32 * 1440), "end"),
        ({}, (-32 * 1440, 60), "begin"),
        ({}, (367 * 1440, 368 * 1440), "begin"),
        ({"begin": "soon"}, (0, 60), "begin"),
        ({"end": "2026-13-45T99:99"}, (0, 60), "end"),
    )
    for more, (begin, end), name in cases:
        fields = {"kind": "maintenance", "subject": "", "reason": "why", "begin": at(begin)}
        fields |= {"end": at(end)} | more
        status, _, page = await send(browser, "/s/events/add", **fields)
        assert status == 200, more
        assert f'href="#event-{name}"' in page, more
        assert f'id="event-{name}-problem"' in page, more
        assert 'aria-invalid="true"' in page
    assert console.state.ledger.entries("s", events.EVENT) == []


@pytest.mark.parametrize("who", [*EVERYBODY, ALPHA], ids=lambda holder: holder.name)
async def test_who_may_plan_and_who_may_not(console: Served, who: Holder) -> None:
    """By role and over the whole site; the form is shown only to who may send it."""
    browser = await signed_in(console, who)
    _, _, page = await browser.get("/s/events?lang=en")
    may = who.role in MAY and who is not ALPHA
    assert ("/s/events/add" in page) == may
    for action in ("add", "end"):
        path = f"/s/events/{action}"
        part = page[page.index(f'action="{path}') :] if action == "add" and may else page
        fields = {"form_token": hidden(part), "kind": "maintenance", "reason": "r"}
        status, _, _ = await browser.post(path, fields | {"begin": at(0), "end": at(9)})
        assert status == (303 if may and action == "add" else 403)
    assert bool(known(console)) == may


async def test_a_form_of_another_place_or_without_its_proof_does_nothing(console: Served) -> None:
    """As with every form of the console."""
    browser = await signed_in(console, OPERATOR)
    _, _, page = await browser.get("/s/events")
    proof = hidden(page[page.index('action="/s/events/add"') :])
    fields = {"kind": "maintenance", "reason": "r", "begin": at(0), "end": at(9)}
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    status, _, _ = await browser.post("/s/events/add", fields | {"form_token": proof}, elsewhere)
    assert status == 403
    for wrong in ("", "x" * 40, hidden(page)):
        status, _, _ = await browser.post("/s/events/add", fields | {"form_token": wrong})
        assert status == 403
    assert known(console) == []


async def test_a_tenant_reads_the_events_of_their_own_and_who_declared_none(
    console: Served,
) -> None:
    """Nor that others' meters, or the whole site, have any."""
    browser = await signed_in(console, OPERATOR)
    await declare(browser, -5, 60, subject="ups", reason="of alpha")
    await declare(browser, -5, 60, subject="incomer", reason="of another")
    await declare(browser, -5, 60, reason="of all")
    tenant = await signed_in(console, ALPHA)
    _, _, page = await tenant.get("/s/events?lang=en")
    assert "of alpha" in page
    assert "Entered by" not in page
    assert "of another" not in page
    assert "of all" not in page
    _, _, page = await (await signed_in(console, APPROVER)).get("/s/events?lang=en")
    assert all(reason in page for reason in ("of alpha", "of another", "of all", "yearly test"))
    assert "Entered by: site file" in page


def test_the_command_line_calls_off_too(tmp_path: Path) -> None:
    """An event corrected to no time at all; one that corrects nothing must take time."""
    settings = guarded(tmp_path, OPERATOR)
    common = ["event", "add", "--site", "s", "--kind", "bypass", "--config", str(settings.source)]
    times = ["--from", "2030-01-01T10:00", "--to"]
    assert main([*common, *times, "2030-01-01T10:00"]) == 2
    assert main([*common, *times, "2030-01-01T11:00"]) == 0
    with Ledger(settings.state(settings.ledger.path)) as ledger:
        (entry,) = events.holding(ledger, "s")
    assert main([*common, *times, "2030-01-01T10:00", "--corrects", str(entry.id)]) == 0
    with Ledger(settings.state(settings.ledger.path)) as ledger:
        assert events.holding(ledger, "s") == []
        assert len(ledger.entries("s", events.EVENT, corrected=True)) == 2
