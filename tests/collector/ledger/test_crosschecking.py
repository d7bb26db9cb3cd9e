"""Rounds of cross-checks over a real ledger: from readings and a map to tickets."""

import random
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jauge_agent.source import Outcome as Read
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.connected import Connected
from jauge_collector.ledger.crosschecking import cross_check
from jauge_collector.ledger.tickets import State, Ticket, TicketBook, TicketList
from jauge_collector.reconciliation import month_of, reconciliations
from jauge_collector.registers import events
from jauge_collector.registers.meters import topology_of
from jauge_models.crosschecks import Gap, Kind, Outcome, Policy
from jauge_models.effectiveness import CoveragePolicy
from jauge_models.suspects import SuspectKind
from jauge_models.topology import Event, EventKind, Validity
from jauge_models.wire import Method

from tests.agent.modbus.meters import device, put_point, serving
from tests.collector.ledger.bench import DAY, HOUR, KWH, MINUTE, START, Bench

POLICY = Policy()
MAP = """
[[meters]]
id = "ups"
commodity = "electricity"
feeds = ["gw/ups:u1"]
uncertainty = 0.005
interval_s = 900
rated_power_w = 50000

[[meters]]
id = "water"
commodity = "water"
feeds = ["gw/meter:water"]
"""
LINKS = """
[[connections]]
upstream = "ups"
downstream = "pdu:p1"
[[connections]]
upstream = "pdu:p1"
downstream = "outlet:p1.1"
[[connections]]
upstream = "pdu:p1"
downstream = "outlet:p1.2"
[[connections]]
upstream = "outlet:p1.1"
downstream = "srv-1/host"
feed = "A"
[[connections]]
upstream = "outlet:p1.2"
downstream = "srv-1/host"
feed = "B"
"""
RESOURCES = {
    "srv-1": ("host", "package:0", "package:1"),
    "srv-2": ("host", "package:0"),
    "gw": ("outlet:p1.1", "outlet:p1.2", "pdu:p1", "ups:u1"),
}
SHARES = {
    "srv-1/host": 1.0,
    "srv-1/package:0": 0.3,
    "srv-1/package:1": 0.3,
    "srv-2/host": 0.5,
    "srv-2/package:0": 0.2,
    "gw/outlet:p1.1": 0.51,
    "gw/outlet:p1.2": 0.51,
    "gw/pdu:p1": 1.05,
    "gw/ups:u1": 1.1,
}
"""Of the load of one host, hour by hour."""


def loads(hours: int) -> list[float]:
    """A load that moves, in kWh an hour."""
    chance = random.Random(11)
    return [0.4 + 0.3 * chance.random() for _ in range(hours)]


async def fill(
    bench: Bench,
    hours: int,
    *,
    shares: Mapping[str, float] | None = None,
    quiet: Mapping[str, Iterable[int]] | None = None,
    first: int = 0,
) -> None:
    """Registers of hosts every ten minutes, of the rest every quarter, and the rows of them."""
    bench.now_ms = START + (first + hours) * HOUR + HOUR // 2
    for agent, resources in RESOURCES.items():
        methods = {(resource, "energy"): Method.COUNTER for resource in resources}
        bench.ledger.set_methods("lab", agent, methods)
        for resource in resources:
            name, steps = f"{agent}/{resource}", 4 if agent == "gw" else 6
            share = (shares or {}).get(name, SHARES[name])
            silent = set((quiet or {}).get(name, ()))
            total, points = 1e6, []
            for at, load in enumerate(loads(first + hours)):
                for step in range(steps):
                    if at >= first and at not in silent:
                        points.append((at * HOUR + step * HOUR // steps, round(total, 3)))
                    total += share * load * KWH / steps
            if first + hours - 1 not in silent:
                points.append(((first + hours) * HOUR, round(total, 3)))
            await bench.receive(points, agent=agent, resource=resource)
    await bench.account()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """The site with a map."""
    async with Bench(tmp_path, MAP, LINKS) as made:
        yield made


def checked(bench: Bench, **named: Any) -> TicketList:
    """One round, and what it left."""
    cross_check(bench.ledger, bench.site, bench.now_ms, POLICY, **named)
    return TicketBook(bench.ledger).list("lab")


def bare(tickets: Iterable[Ticket]) -> list[bytes]:
    """Tickets without their numbers, to compare those of two ledgers."""
    return sorted(msgspec.json.encode(msgspec.structs.replace(t, id=0)) for t in tickets)


async def test_what_stands_on_the_map_gets_rows_and_nothing_else(bench: Bench) -> None:
    """Outlets, units and the packages of a mapped host, each hour; not those of other hosts."""
    await fill(bench, 6)
    for name in ("gw/outlet:p1.1", "gw/pdu:p1", "srv-1/package:1", "srv-1/host"):
        rows = bench.rows(name)
        assert [row.length_ms for row in rows] == [HOUR] * 6, name
        assert rows[0].amount == pytest.approx(SHARES[name] * loads(1)[0] * KWH)
    assert bench.rows("srv-2/package:0") == []
    assert bench.rows("gw/ups:u1") == []
    assert len(bench.rows("ups")) == 24


async def test_a_site_in_order_has_no_ticket(bench: Bench) -> None:
    """Every check of the map is judged and holds; a host that is nowhere on it is listed."""
    await fill(bench, 48)
    found = checked(bench)
    assert found.tickets == ()
    standing = found.standing
    assert standing is not None
    assert standing.judged_to_ms == START + 48 * HOUR
    told = {(c.lower, c.upper): (c.outcome, c.hours, c.broken) for c in standing.checks}
    well = (Outcome.HOLDS, 24, 0)
    assert told == {
        (("srv-1/package:0", "srv-1/package:1"), ("srv-1/host",)): well,
        (("srv-1/host",), ("gw/outlet:p1.1", "gw/outlet:p1.2")): well,
        (("gw/outlet:p1.1", "gw/outlet:p1.2"), ("gw/pdu:p1",)): well,
        (("gw/pdu:p1",), ("ups",)): well,
    }
    assert standing.unmapped == ("srv-2/host",)


async def test_a_wrong_ratio_opens_one_ticket_that_names_it(bench: Bench) -> None:
    """The unit reads a tenth: its outlets exceed it, and the order above still holds."""
    await fill(bench, 48, shares={"gw/pdu:p1": SHARES["gw/pdu:p1"] / 10})
    (ticket,) = checked(bench).tickets
    assert (ticket.kind, ticket.check, ticket.state) == (Kind.ORDER, "gw/pdu:p1", State.STILL_OPEN)
    assert ticket.since_ms == START
    assert ticket.opened_ms == START + 17 * HOUR
    evidence = ticket.evidence
    assert (evidence.hours, evidence.broken) == (24, 24)
    assert evidence.lower_energy is not None
    assert evidence.upper_energy is not None
    assert evidence.upper_energy / evidence.lower_energy == pytest.approx(0.105 / 1.02, rel=1e-3)
    first = next(s for s in evidence.suspects if s.subjects == ("gw/pdu:p1",))
    assert first.kind is SuspectKind.CT_RATIO
    assert first.factor == pytest.approx(0.1)
    assert first.found == pytest.approx(1.02 / 1.05, rel=1e-3)
    trust = {t.subject: t for t in evidence.trust}
    assert (trust["gw/pdu:p1"].stated, trust["gw/pdu:p1"].said) == (False, "medium")


async def test_a_round_again_changes_nothing(bench: Bench) -> None:
    """Same rows, same tickets, same numbers; and so from an empty table."""
    await fill(bench, 60, shares={"gw/outlet:p1.2": 0.0})
    once = checked(bench)
    again = checked(bench)
    assert again == once
    assert once.tickets
    with bench.ledger.transaction(writes=True) as connection:
        connection.exec_driver_sql("DELETE FROM tickets")
    assert bare(checked(bench).tickets) == bare(once.tickets)


async def test_many_rounds_give_what_one_gives(bench: Bench, tmp_path: Path) -> None:
    """A round each six hours for two weeks, each looking back three days, against one at the end.

    The unit is wrong for four days, right for a week, and wrong again.
    """
    await fill(bench, 100, shares={"gw/pdu:p1": 0.1})
    await fill(bench, 168, first=100)
    await fill(bench, 72, first=268, shares={"gw/pdu:p1": 0.1})
    end = bench.now_ms
    other = TicketBook(bench.ledger)
    for hour in range(12, 340, 6):
        cross_check(
            bench.ledger,
            bench.site,
            START + hour * HOUR + HOUR // 2,
            POLICY,
            lookback_ms=3 * DAY,
        )
    cross_check(bench.ledger, bench.site, end, POLICY, lookback_ms=3 * DAY)
    many = other.list("lab").tickets
    with bench.ledger.transaction(writes=True) as connection:
        connection.exec_driver_sql("DELETE FROM tickets")
    cross_check(bench.ledger, bench.site, end, POLICY, lookback_ms=20 * DAY)
    one = other.list("lab").tickets
    orders = [t for t in one if t.kind is Kind.ORDER]
    assert [t.state for t in orders] == [State.STILL_OPEN, State.RESOLVED]
    assert bare(many) == bare(one)


async def test_rows_that_come_late_are_looked_at_again(bench: Bench) -> None:
    """Hours that had no rows are judged once they have; a ticket then opens where it should."""
    wrong = {"gw/pdu:p1": 0.1}
    silent = {"gw/pdu:p1": range(40)}
    await fill(bench, 48, shares=wrong, quiet=silent)
    found = checked(bench)
    assert found.tickets == ()
    await fill(bench, 48, shares=wrong)
    (ticket,) = checked(bench).tickets
    assert ticket.opened_ms == START + 17 * HOUR


async def test_missing_is_not_zero(bench: Bench) -> None:
    """An outlet that says nothing: its checks are not judged, with the reason, and no ticket."""
    await fill(bench, 48, quiet={"gw/outlet:p1.2": range(48)})
    found = checked(bench)
    assert found.tickets == ()
    assert found.standing is not None
    gaps = {c.upper: (c.outcome, c.gap, c.about) for c in found.standing.checks}
    # Without a single row it is looked through: both its host and the unit are still there.
    assert gaps["gw/outlet:p1.1", "gw/pdu:p1"][0] is Outcome.HOLDS
    await fill(bench, 4, first=48)
    await fill(bench, 48, first=52, quiet={"gw/outlet:p1.2": range(52, 100)})
    found = checked(bench)
    assert found.tickets == ()
    assert found.standing is not None
    gaps = {c.upper: (c.outcome, c.gap, c.about) for c in found.standing.checks}
    for upper in (("gw/outlet:p1.1", "gw/outlet:p1.2"), ("gw/pdu:p1",)):
        outcome, gap, about = gaps[upper]
        assert outcome is Outcome.NOT_JUDGED
        assert gap in (Gap.NO_ROWS, Gap.PARTIAL)
        assert about == "gw/outlet:p1.2"


async def test_a_declared_event_suspends(bench: Bench) -> None:
    """On battery the unit may give more than its UPS takes in: no ticket, and it is said why."""
    wrong = {"gw/ups:u1": 0.1}
    await fill(bench, 48, shares=wrong)
    span = Validity(START, START + 49 * HOUR)
    for kind in (EventKind.BATTERY, EventKind.MAINTENANCE):
        event = Event(kind, span, "ups", "test")
        number = events.enter_event(bench.ledger, bench.site, event, now_ms=bench.now_ms)
        found = checked(bench)
        assert found.tickets == ()
        assert found.standing is not None
        gap = {c.upper: c.gap for c in found.standing.checks}
        assert gap["ups",] is Gap.EVENT
        assert gap["gw/pdu:p1",] is None
        over = Event(kind, Validity(START, START + HOUR), "ups", "shorter")
        events.enter_event(bench.ledger, bench.site, over, now_ms=bench.now_ms, corrects=number)
        (ticket,) = checked(bench).tickets
        assert ticket.evidence.upper == ("ups",)


async def test_an_event_of_a_host_suspends_its_checks(tmp_path: Path) -> None:
    """Entered under its id: its outlets give a tenth of what it says, and nobody is told."""
    host = '[[hosts]]\nid = "srv"\nfeeds = ["srv-1/host"]\n'
    async with Bench(tmp_path, MAP + host, LINKS) as bench:
        wrong = {"gw/outlet:p1.1": 0.05, "gw/outlet:p1.2": 0.05}
        await fill(bench, 48, shares=wrong)
        (ticket,) = checked(bench).tickets
        assert ticket.evidence.lower == ("srv",)
        span = Validity(START, START + 49 * HOUR)
        event = Event(EventKind.MAINTENANCE, span, "srv", "test")
        events.enter_event(bench.ledger, bench.site, event, now_ms=bench.now_ms)
        found = checked(bench)
        assert found.tickets == ()
        assert found.standing is not None
        assert {c.gap for c in found.standing.checks if c.lower == ("srv",)} == {Gap.EVENT}


async def test_a_wrong_clock_is_compared_with_nothing(bench: Bench) -> None:
    """The gateway's clock was wrong for two days: no hour of them is judged."""
    from jauge_collector.ledger.clocks import ClockSpan

    await fill(bench, 48, shares={"gw/pdu:p1": 0.1})
    assert len(checked(bench).tickets) == 1
    bench.ledger.note_clock(
        "lab", "gw", [ClockSpan(START, START + 48 * HOUR, 90_000)], bench.now_ms
    )
    await bench.account()
    found = checked(bench)
    assert found.tickets == ()
    assert found.standing is not None
    assert {c.gap for c in found.standing.checks if "ups" in c.upper} == {Gap.CLOCK}


async def test_a_check_that_leaves_the_map_ends_its_ticket(bench: Bench) -> None:
    """The map says from when on: the ticket ends there, and not as if all were well."""
    await fill(bench, 60, shares={"gw/pdu:p1": 0.1})
    assert len(checked(bench).tickets) == 1
    dated = LINKS.replace(
        '"outlet:p1.1"\n[[', '"outlet:p1.1"\nvalid_to = "2026-01-03"\n[['
    ).replace('"outlet:p1.2"\n[[', '"outlet:p1.2"\nvalid_to = "2026-01-03"\n[[')
    bench.declare(MAP, dated)
    (ticket,) = checked(bench).tickets
    assert ticket.state is State.RESOLVED
    assert ticket.resolved_ms == START + 48 * HOUR


async def test_an_acknowledgement_stays_with_its_ticket(bench: Bench) -> None:
    """Rounds go on and rows are restated; who has seen it, and what they noted, stays."""
    await fill(bench, 48, shares={"gw/pdu:p1": 0.1})
    (ticket,) = checked(bench).tickets
    book = TicketBook(bench.ledger)
    assert book.acknowledge("lab", ticket.id, by="ada", note="looked at", now_ms=7)
    assert not book.acknowledge("lab", ticket.id, by="bob", note="", now_ms=8)
    with pytest.raises(KeyError):
        book.acknowledge("lab", ticket.id + 1, by="ada", note="", now_ms=7)
    with pytest.raises(KeyError):
        book.acknowledge("other", ticket.id, by="ada", note="", now_ms=7)
    await fill(bench, 6, first=48, shares={"gw/pdu:p1": 0.1})
    (later,) = checked(bench).tickets
    assert (later.id, later.acknowledged_by, later.note) == (ticket.id, "ada", "looked at")
    assert later.last_ms > ticket.last_ms
    assert book.counts(["lab"]) == {("lab", Kind.ORDER, "acknowledged"): 1}
    await fill(bench, 30, first=54)
    (resolved,) = checked(bench).tickets
    assert (resolved.state, resolved.note) == (State.RESOLVED, "looked at")
    assert book.counts(["lab"]) == {("lab", Kind.ORDER, "resolved"): 1}
    assert not book.acknowledge("lab", ticket.id, by="bob", note="", now_ms=9)
    assert book.forget(START + 365 * DAY, "other", dry_run=False)[0] == 0
    assert book.forget(START + 365 * DAY, None, dry_run=True)[0] == 1
    assert book.forget(START + 365 * DAY, "lab", dry_run=False)[0] == 1
    assert book.list("lab").tickets == ()


async def test_more_than_the_rating_and_a_stuck_value(tmp_path: Path) -> None:
    """The UPS meter gives 100 kW of 50: a jump; the unit tells one number for half a day: stuck."""
    async with Bench(tmp_path, MAP, LINKS) as bench:
        await fill(bench, 30)
        stuck = [(at * HOUR // 60, 500.0) for at in range(30 * 60 + 1)]
        spiky = [
            (at * HOUR // 60, 100_000.0 if at // 60 == 20 else 700.0) for at in range(30 * 60 + 1)
        ]
        bench.ledger.set_methods("lab", "gw2", {("pdu:p2", "power"): Method.GAUGE})
        await bench.receive(stuck, agent="gw2", resource="pdu:p2", quantity="power")
        await bench.receive(spiky, agent="gw2", resource="ups:u2", quantity="power")
        bench.declare(MAP.replace("gw/ups:u1", "gw2/ups:u2"), LINKS.replace('"pdu:p1"', '"pdu:p2"'))
        bench.ledger.mark("lab", "gw2", [START + at * HOUR for at in range(31)], bench.now_ms)
        await bench.account()
        tickets = {t.kind: t for t in checked(bench).tickets}
    jump = tickets[Kind.JUMP]
    assert (jump.check, jump.opened_ms) == ("ups", START + 20 * HOUR)
    assert jump.evidence.suspects[0].kind is SuspectKind.OVER_RATING
    still = tickets[Kind.STUCK]
    assert still.check.startswith("gw2/pdu:p2 in ")
    (suspect,) = still.evidence.suspects
    assert suspect.kind is SuspectKind.STUCK
    assert suspect.found == pytest.approx(0.5 * KWH)


async def test_phases_of_a_meter(bench: Bench) -> None:
    """Where an agent reads a meter's phases: L2 runs backwards, and its meter tells less by it."""
    await fill(bench, 30)
    ups = [1.1 * load for load in loads(30)]
    # As a meter with a reversed transformer on L2 tells it: 40 + 30 + 30 of 100, total 40.
    for number, share in ((1, 1.0), (2, 0.75), (3, 0.75)):
        total, points = 0.0, []
        for at in range(30 * 6 + 1):
            points.append((at * HOUR // 6, round(total, 3)))
            total += share * ups[min(at // 6, 29)] * KWH / 6
        await bench.receive(points, resource=f"phase:u1.out.{number}")
        name = f"phase:u1.out.{number}"
        bench.ledger.set_methods("lab", "gw", {(name, "energy"): Method.COUNTER})
    await bench.account()
    found = checked(bench)
    phases = [t for t in found.tickets if t.kind is Kind.PHASES]
    assert len(phases) == 1
    assert phases[0].check == "ups"
    kinds = {(s.kind, s.subjects) for s in phases[0].evidence.suspects}
    assert (SuspectKind.REVERSED_CT, ("gw/phase:u1.out.2",)) in kinds
    assert found.standing is not None
    assert not any("phase" in name for name in found.standing.unmapped)


METER = (
    MAP
    + """
[[meters]]
id = "main"
commodity = "electricity"
feeds = ["gw/meter:m1"]
uncertainty = 0.005
interval_s = 900
"""
)


async def read_meter(watts: Mapping[str | None, float]) -> tuple[Read, list[str]]:
    """What an agent reads from a three-phase meter over Modbus, and what it says it offers."""
    from jauge_agent.sources.modbus.config import ModbusDevice
    from jauge_agent.sources.modbus.device import Meter
    from jauge_agent.sources.modbus.gateway import Gateway
    from jauge_agent.sources.modbus.profile import load

    profile = load("eastron-sdm630")
    registers: dict[tuple[int, int], int] = {}
    for point in profile.points:
        count = {"voltage": 230.0, "frequency": 50.0}.get(point.quantity, 0.0)
        if point.quantity == "power":
            count = watts[point.part]
        put_point(registers, profile, point, count)
    last = max(address for _, address in registers)
    whole = {(profile.function, address): 0 for address in range(last + 1)} | registers
    async with serving(device(1, whole)) as served:
        gateway = Gateway("127.0.0.1", served.port, answer_s=5.0)
        named = ModbusDevice(host="127.0.0.1", port=served.port, profile="eastron-sdm630", id="m1")
        meter = Meter(gateway, named, profile)
        offered = [each.id for each in await meter.open() if "power" in each.quantities]
        outcome = await meter.read()
        gateway.close()
    return outcome, offered


async def test_a_phase_that_reads_negative_at_the_meter_is_named(tmp_path: Path) -> None:
    """From the registers to the ticket: L2 was never a reading, and it is L2 that is suspected."""
    pytest.importorskip("pymodbus")
    watts = {None: 2000.0, "L1": 3000.0, "L2": -2000.0, "L3": 1000.0}
    outcome, offered = await read_meter(watts)
    assert outcome.failed["negative"] == 1
    powers = {s.resource: s.value for s in outcome.samples if s.quantity == "power"}
    assert powers == {"meter:m1": 2000, "phase:m1.L1": 3000, "phase:m1.L3": 1000}
    async with Bench(tmp_path, METER, LINKS) as bench:
        bench.now_ms = START + 30 * HOUR + HOUR // 2
        bench.ledger.set_methods("lab", "gw", {(name, "power"): Method.GAUGE for name in offered})
        for resource, power in powers.items():
            points = [
                (minute * MINUTE, round(power * (1 + load), 3))
                for hour, load in enumerate(loads(30))
                for minute in range(60 * hour, 60 * hour + 60, 2)
            ]
            await bench.receive(points, resource=resource, quantity="power")
        await bench.account()
        found = checked(bench)
    (ticket,) = [t for t in found.tickets if t.kind is Kind.PHASES]
    assert ticket.check == "main"
    assert [(s.kind, s.subjects) for s in ticket.evidence.suspects] == [
        (SuspectKind.REVERSED_CT, ("gw/phase:m1.L2",))
    ]
    assert ticket.evidence.suspects[0].found == pytest.approx(-1.0)
    assert found.standing is not None
    assert "gw/phase:m1.L2" not in found.standing.unmapped


async def test_how_agents_name_phases(tmp_path: Path) -> None:
    """Of a Modbus meter, of a unit by SNMP, of both sides of a UPS; two of three are none."""
    links = LINKS + '[[connections]]\nupstream = "inlet:u1"\ndownstream = "ups"\n'
    async with Bench(tmp_path, MAP, links) as bench:
        for names in (
            ["ups:u1", *(f"phase:u1.out.{n}" for n in "123")],
            ["inlet:u1", *(f"phase:u1.in.{n}" for n in "123")],
            ["pdu:p1", *(f"phase:p1.{n}" for n in "123"), "phase:p1.N"],
            ["pdu:p2", *(f"phase:p2.{n}" for n in "123")],
            ["outlet:p1.1", "phase:p1.1.1", "phase:p1.1.2"],
        ):
            methods = {(name, "power"): Method.GAUGE for name in names}
            bench.ledger.set_methods("lab", "gw", methods)
        found = Connected(topology_of(bench.ledger, bench.site), bench.ledger.methods("lab"))
        assert found.phases() == {
            "ups": tuple(f"gw/phase:u1.out.{n}" for n in "123"),
            "gw/inlet:u1": tuple(f"gw/phase:u1.in.{n}" for n in "123"),
            "gw/pdu:p1": tuple(f"gw/phase:p1.{n}" for n in "123"),
        }


async def test_names_of_the_map(bench: Bench) -> None:
    """A meter's feed is the meter; a device is whoever reads it first; `host` is of no machine."""
    await fill(bench, 1)
    bench.ledger.set_methods("lab", "a-second", {("pdu:p1", "power"): Method.GAUGE})
    names = Connected(topology_of(bench.ledger, bench.site), bench.ledger.methods("lab"))
    assert names.subject("ups") == "ups"
    assert names.subject("gw/ups:u1") == "ups"
    assert names.subject("ups:u1") == "ups"
    assert names.subject("pdu:p1") == "a-second/pdu:p1"
    assert names.subject("gw/pdu:p1") == "gw/pdu:p1"
    assert names.subject("srv-1/host") == "srv-1/host"
    assert names.subject("host") is None
    assert names.subject("srv-9/host") is None
    assert names.subject("water") is None


async def test_an_erased_agent_is_in_no_ticket(bench: Bench) -> None:
    """Erasure takes tickets that name it, and how the checks stood; the next round says it anew."""
    await fill(bench, 48, shares={"gw/pdu:p1": 0.1, "srv-1/host": 0.3})
    found = checked(bench).tickets
    assert {t.check for t in found} == {"gw/pdu:p1", "srv-1/host"}
    book = TicketBook(bench.ledger)
    assert book.erase("lab", ["srv-1/host"], dry_run=True) == 1
    assert len(book.list("lab").tickets) == 2
    assert book.erase("lab", ["srv-1/host"], dry_run=False) == 1
    left = book.list("lab")
    assert left.standing is None
    assert "srv-1" not in msgspec.json.encode(left).decode()
    assert book.erase("lab", [], dry_run=False) == 0


# --- reconciliation


def month(bench: Bench, *tenants: str) -> list[Any]:
    """January so far."""
    span = month_of("2026-01", bench.site, bench.now_ms)
    return reconciliations(
        bench.ledger, bench.site, *span, CoveragePolicy(), tenants=tenants or ("",)
    )


COUNTED = MAP.replace("interval_s = 900", 'counts = "from_start"\nreason = "test"')
OWNED = """
[[attributes]]
subject = "agent:srv-1"
name = "tenant"
value = "alpha"
[[attributes]]
subject = "ups"
name = "tenant"
value = "alpha"
[[attributes]]
subject = "agent:srv-2"
name = "tenant"
value = "bravo"
"""


async def test_hosts_against_it(tmp_path: Path) -> None:
    """(1.0 + 0.5) / 1.1 of the UPS = 1.3636: two hosts where the UPS feeds one; never a PUE."""
    async with Bench(tmp_path, COUNTED, LINKS + OWNED) as bench:
        await fill(bench, 48)
        (whole,) = month(bench)
        assert whole.ratio == pytest.approx(1.5 / 1.1, rel=1e-3)
        assert (whole.hosts, whole.hosts_coverage, whole.it_coverage) == (2, 1.0, 1.0)
        assert "not a PUE" in whole.label
        alpha, bravo = month(bench, "alpha", "bravo")
        assert (alpha.tenant, alpha.ratio) == ("alpha", pytest.approx(1 / 1.1, rel=1e-3))
        assert (bravo.ratio, bravo.reason) == (None, "no E_IT feed is known")
        assert bravo.hosts == 1


async def test_a_host_that_falls_silent_lowers_its_coverage(tmp_path: Path) -> None:
    """36 of 48 hours: below 90 % no ratio, with the reason; nothing counts as zero."""
    async with Bench(tmp_path, COUNTED, LINKS + OWNED) as bench:
        await fill(bench, 48, quiet={"srv-1/host": range(36, 48)})
        (alpha,) = month(bench, "alpha")
        assert alpha.ratio is None
        assert alpha.reason is not None
        assert alpha.reason.startswith("coverage of hosts 7")
        assert alpha.it_coverage == 1.0


def test_months_are_civil_and_begun(tmp_path: Path) -> None:
    """The last whole month unless asked; none that has not begun, none that is no month."""
    bench = Bench(tmp_path, MAP)
    try:
        now = START + 40 * DAY
        assert month_of("", bench.site, now) == (START, START + 31 * DAY)
        assert month_of("2026-02", bench.site, now) == (START + 31 * DAY, now)
        for text in ("2026-03", "2026-13", "soon"):
            with pytest.raises(ValueError, match=r"month|begun|Invalid"):
                month_of(text, bench.site, now)
    finally:
        bench.ledger.close()


def test_a_new_ledger_has_no_tickets(tmp_path: Path) -> None:
    """Before the first round: none, and nothing said of checks."""
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert TicketBook(ledger).list("lab") == TicketList((), None)
        assert TicketBook(ledger).counts(["lab"]) == {}


async def test_a_declared_host_is_its_tenants(tmp_path: Path) -> None:
    """By an attribute of its id alone; it counts once, for whoever has it."""
    host = '[[hosts]]\nid = "srv"\nfeeds = ["srv-1/host", "srv-2/host"]\n'
    owned = "".join(
        f'[[attributes]]\nsubject = "{subject}"\nname = "tenant"\nvalue = "alpha"\n'
        for subject in ("srv", "ups")
    )
    async with Bench(tmp_path, COUNTED + host, LINKS + owned) as bench:
        await fill(bench, 24)
        (alpha,) = month(bench, "alpha")
        assert alpha.hosts == 1
        assert alpha.ratio == pytest.approx(1.0 / 1.1, rel=1e-3)


async def test_a_host_that_two_agents_report_counts_once(tmp_path: Path) -> None:
    """Declared at noon: earlier rows of what feeds it stand for it, and nothing is there twice."""
    async with Bench(tmp_path, COUNTED, LINKS) as bench:
        await fill(bench, 24)
        (apart,) = month(bench)
        assert apart.hosts == 2
        both = """
[[hosts]]
id = "srv"
feeds = ["srv-1/host", "srv-2/host"]
valid_from = "2026-01-01T12:00"
"""
        bench.declare(COUNTED + both, LINKS)
        await bench.account()
        assert len(bench.rows("srv")) == 12
        (whole,) = month(bench)
        assert whole.hosts == 1
        assert whole.ratio == pytest.approx(1.0 / 1.1, rel=1e-3)
        assert whole.hosts_coverage == 1.0
