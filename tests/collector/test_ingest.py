"""From a real broker through the collector into both real stores, and the answer back."""

import asyncio
import json
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from jauge_collector import births
from jauge_collector.inventory import Inventory
from jauge_collector.ledger.book import Ledger
from jauge_collector.service import Service
from jauge_models.intervals import Point, Points
from jauge_models.resources import Series
from jauge_models.wire import (
    MAX_PAYLOAD_BYTES,
    Address,
    Birth,
    Method,
    ResourceDescription,
    Sample,
    State,
)

from tests.collector.packs import TOPIC, pack
from tests.collector.running import WireAgent, collecting, configured
from tests.parts import Mosquitto, VictoriaMetrics, eventually

pytestmark = pytest.mark.end_to_end

HOST = Series("s", "a", "host", "power")
GPU = Series("s", "a", "gpu:0", "temperature")


def now_ms() -> int:
    """Wall clock."""
    return time.time_ns() // 1_000_000


def ticks(count: int, *, first: int = 1, boot: str = "b1", start_ms: int) -> list[bytes]:
    """Packs a second apart whose values tell them apart."""
    return [
        pack(
            [Sample("host", "power", 100 + seq / 8), Sample("gpu:0", "temperature", seq / 4)],
            seq=seq,
            boot=boot,
            time_ms=start_ms + 1000 * seq,
            oldest_ms=start_ms,
        )
        for seq in range(first, first + count)
    ]


def expected(count: int, start_ms: int) -> dict[Series, list[Point]]:
    """What the store must hold of `ticks` from the first one on."""
    return {
        HOST: [Point(start_ms + 1000 * s, 100 + s / 8) for s in range(1, count + 1)],
        GPU: [Point(start_ms + 1000 * s, s / 4) for s in range(1, count + 1)],
    }


async def stored(service: Service, start_ms: int) -> dict[Series, Points]:
    """Everything that the store holds of the agent, since a moment."""
    return await service.state.store.read([HOST, GPU], start_ms, now_ms() + 120_000)


async def count_of(service: Service, name: str, **labels: str) -> float:
    """A metric of the collector, 0 where it never counted."""
    return service.state.telemetry.registry.get_sample_value(f"jauge_collector_{name}", labels) or 0


@pytest.fixture(params=["sqlite", "victoriametrics"])
async def service(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    mosquitto: Mosquitto,
    victoria_metrics: VictoriaMetrics,
) -> AsyncIterator[Service]:
    """A collector on each store."""
    url = victoria_metrics.url if request.param == "victoriametrics" else None
    async with collecting(configured(tmp_path, mqtt_port=mosquitto.port, store_url=url)) as running:
        yield running


async def test_what_is_answered_is_stored_exactly(service: Service, mosquitto: Mosquitto) -> None:
    """N readings in: the same N in the store and all answered; sent again, still N."""
    start_ms = now_ms() - 600_000
    async with WireAgent(mosquitto.port) as agent:
        for _ in range(2):
            agent.stored.clear()
            await agent.send(ticks(300, start_ms=start_ms))
            await agent.answered(range(1, 301))
            assert await stored(service, start_ms) == expected(300, start_ms)
        assert not agent.refused
        if service.state.store.settle_s:
            assert len(agent.answers) < 200, "answers are merged"
    assert service.state.ledger.oldest("s") == {"a": start_ms}
    assert await count_of(service, "packs_answered_total") == 600
    assert await count_of(service, "readings_stored_total") == 1200
    (seen,) = service.state.inventory.of_site("s")
    assert seen.newest_ms == start_ms + 300_000


async def test_what_may_not_be_stored_is_counted_and_stops_nothing(
    service: Service, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Malformed, oversized, mis-addressed and future-dated packs: a count and an example each."""
    monkeypatch.setattr("jauge_collector.clock.GATHER_S", 0)  # it has run for a minute
    start_ms = now_ms() - 600_000
    tomorrow = now_ms() + 86_400_000
    async with WireAgent(mosquitto.port) as agent:
        await agent.send([b"\xff\x00{{", b"[]", b'[{"n":', b""])
        await agent.send([pack(seq=11)[:-1] + b" " * MAX_PAYLOAD_BYTES + b"]"])
        await agent.send([pack(seq=12, address=Address("s", "b"))])
        await agent.send([pack(seq=13, address=Address("x", "a"))], "jauge/v1/x/a/readings")
        await agent.send([pack(seq=14, time_ms=tomorrow)])
        await agent.send([pack(seq=15, time_ms=1_000_000_000_000)])
        await agent.send([pack(seq=16, time_ms=now_ms()).replace(b'"bt"', b'"bver":9,"bt"')])
        await agent.send([b"not json"], "jauge/v1/s/a/birth")
        await agent.send([b"[1]"], "jauge/v1/s/a/state")
        await agent.send(
            [
                pack([Sample("host", "power", 1e300), Sample("gpu:0", "power", 2.0)], seq=17)
                .replace(b"1790000000.0", b"%.3f" % (start_ms / 1000))
                .replace(b'"gpu:0/power","u":"W"', b'"gpu:0/power","u":"kW"')
            ]
        )
        await agent.send(ticks(5, first=1, start_ms=start_ms))
        await agent.answered([*range(1, 6), 17])
        await eventually(lambda: len(agent.refused) == 3, within=5, what="three refusals")
        assert agent.refused == {11: "limits", 12: "address", 15: "too_old"}
        assert agent.stored == {1, 2, 3, 4, 5, 17}
    assert await stored(service, 0) == expected(5, start_ms)
    faults = service.state.faults.by_reason
    assert {reason: fault.count for reason, fault in faults.items()} == {
        "undecodable": 4,
        "limits": 1,
        "address": 2,
        "future": 1,
        "too_old": 1,
        "version": 1,
        "document_undecodable": 2,
        "range": 1,
        "unit": 1,
    }
    assert all(fault.example.topic for fault in faults.values())
    assert "'kW'" in faults["unit"].example.detail
    for reason, fault in faults.items():
        names = {
            "packs_unanswered_total": ("undecodable", "future", "version"),
            "packs_refused_total": ("limits", "too_old"),
            "readings_refused_total": ("range", "unit"),
        }
        for name, reasons in names.items():
            if reason in reasons:
                assert await count_of(service, name, reason=reason) == fault.count, reason


async def test_nothing_is_called_old_by_a_clock_that_nobody_has_confirmed(
    service: Service, mosquitto: Mosquitto
) -> None:
    """In the first minute, or while agents find us wrong: no answer, so that no agent deletes."""
    async with WireAgent(mosquitto.port) as agent:
        await agent.send([pack(seq=15, time_ms=1_000_000_000_000)])
        await agent.send(ticks(5, first=1, start_ms=now_ms() - 600_000))
        await agent.answered(range(1, 6))
        assert agent.refused == {}
    assert await count_of(service, "packs_unanswered_total", reason="too_old") == 1


async def test_births_and_states_make_the_inventory(service: Service, mosquitto: Mosquitto) -> None:
    """Resources, methods and life signs are known, also those that were retained before."""
    birth = Birth(
        "b1",
        "0.1",
        time.time(),
        resources=[
            ResourceDescription(
                "host",
                {"energy": Method.COUNTER},
                name="Web <1>",
                labels={"room": "r1", "site": "evil", "bad label": "x", "__x": "y"},
            )
        ],
    )
    async with WireAgent(mosquitto.port) as agent:
        await agent.describe(birth)
        await agent.describe(State("b1", online=True, sent_at=time.time() - 3, spooled=4))
        inventory = service.state.inventory

        def complete() -> bool:
            found = inventory.get(agent.address)
            return found is not None and found.state is not None

        await eventually(complete, within=5, what="the agent is known")
    known = inventory.get(agent.address)
    assert known is not None
    assert known.birth == birth
    assert known.online
    assert known.skew_ms is not None
    assert 2990 <= known.skew_ms < 13_000
    await eventually(
        lambda: service.state.ledger.methods("s") == {("a", "host", "energy"): Method.COUNTER},
        within=5,
        what="the ledger knows the method",
    )
    assert (
        service.state.telemetry.registry.get_sample_value(
            "jauge_resource_info",
            {
                "site": "s",
                "agent": "a",
                "kind": "host",
                "resource": "host",
                "name": "Web <1>",
                "room": "r1",
            },
        )
        == 1.0
    )


async def test_a_killed_broker_costs_nothing(service: Service, mosquitto: Mosquitto) -> None:
    """After kill -9 and restart the collector is subscribed again, and what comes is answered."""
    start_ms = now_ms() - 600_000
    async with WireAgent(mosquitto.port) as agent:
        await agent.send(ticks(50, start_ms=start_ms))
        await mosquitto.kill()
        await eventually(
            lambda: not service.readiness()[0].ready, within=5, what="the loss is noticed"
        )
    await mosquitto.restart()
    await eventually(lambda: service.readiness()[0].ready, within=10, what="connected again")
    async with WireAgent(mosquitto.port, boot="b2") as agent:
        await agent.send(ticks(60, boot="b2", start_ms=start_ms))
        await agent.answered(range(1, 61))
    assert await stored(service, start_ms) == expected(60, start_ms)


async def test_two_agents_under_one_name_are_quarantined(
    service: Service, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once found, neither is stored or answered until one is gone; it is counted and named."""
    monkeypatch.setattr("jauge_collector.inventory.OVERLAP_MS", 200)
    monkeypatch.setattr("jauge_collector.inventory.QUIET_MS", 1500)
    start_ms = now_ms() - 86_400_000
    inventory = service.state.inventory
    async with (
        WireAgent(mosquitto.port) as one,
        WireAgent(mosquitto.port, boot="b2") as two,
    ):

        async def both(seq: int) -> None:
            await one.send(ticks(1, first=seq, start_ms=start_ms))
            await two.send(ticks(1, first=seq, boot="b2", start_ms=start_ms + 333))

        seq = 0

        async def found() -> bool:
            nonlocal seq
            seq += 1
            await both(seq)
            return bool(inventory.quarantined())

        await eventually(found, within=10, what="the clone is found")
        last = seq
        before = await stored(service, start_ms)
        await both(last + 1000)
        await eventually(
            lambda: service.state.faults.by_reason["clone"].count >= 2, within=5, what="counted"
        )
        assert set(inventory.quarantined()[0].twins or ()) == {"b1", "b2"}
        assert await stored(service, start_ms) == before
        assert last + 1000 not in one.stored | two.stored

        async def released() -> bool:
            await one.send(ticks(1, first=last + 2000, start_ms=start_ms))
            return not inventory.quarantined()

        await eventually(released, within=10, what="the quarantine ends")
        await one.answered([last + 2000])
    assert await count_of(service, "quarantines_total") == 1


async def test_a_store_that_is_killed_gets_no_answer_sent_for_what_it_lost(
    tmp_path: Path, mosquitto: Mosquitto, victoria_metrics: VictoriaMetrics
) -> None:
    """Accepted and killed within a second: not answered; sent again, stored once and answered."""
    path = configured(tmp_path, mqtt_port=mosquitto.port, store_url=victoria_metrics.url)
    start_ms = now_ms() - 600_000
    async with collecting(path) as service, WireAgent(mosquitto.port) as agent:
        packs = ticks(40, start_ms=start_ms)
        await agent.send(packs)

        async def taken() -> bool:
            return await count_of(service, "packs_stored_total") == 40

        await eventually(taken, within=5, what="accepted")
        await victoria_metrics.kill()
        await agent.send(ticks(1, first=41, start_ms=start_ms))
        await eventually(
            lambda: not service.readiness()[1].ready, within=5, what="the loss is noticed"
        )
        await victoria_metrics.restart()

        async def forgotten() -> bool:
            return await count_of(service, "packs_unanswered_total", reason="restarted") == 40

        await eventually(forgotten, within=15, what="forgotten")
        assert not agent.stored
        await agent.send(ticks(41, start_ms=start_ms))
        await agent.answered(range(1, 42), within=20)
        assert await stored(service, start_ms) == expected(41, start_ms)
        assert service.readiness()[1].ready


async def test_broker_and_store_may_be_down_at_the_start(tmp_path: Path) -> None:
    """The console is up and says what is missing; once both are there, all goes on."""
    broker = Mosquitto(tmp_path / "mosquitto")
    store = VictoriaMetrics(tmp_path / "victoria-metrics")
    path = configured(tmp_path, mqtt_port=broker.port, store_url=store.url)
    async with collecting(path, ready=False) as service:

        def down() -> bool:
            return [p.name for p in service.readiness() if not p.ready] == ["mqtt", "store"]

        await eventually(down, within=5, what="both are missed")
        async with store, broker:
            await eventually(
                lambda: all(part.ready for part in service.readiness()), within=20, what="all is up"
            )
            start_ms = now_ms() - 600_000
            async with WireAgent(broker.port) as agent:
                await agent.send(ticks(3, start_ms=start_ms))
                await agent.answered([1, 2, 3])
            await asyncio.sleep(0)


@pytest.fixture
async def embedded(tmp_path: Path, mosquitto: Mosquitto) -> AsyncIterator[Service]:
    """A collector on the embedded store."""
    async with collecting(configured(tmp_path, mqtt_port=mosquitto.port)) as running:
        yield running


async def test_a_retained_document_of_no_time_does_not_end_a_start(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    """What the broker hands over at each connection is counted, and the collector goes on."""
    state = b'{"boot":"b","online":true,"sent_at":1e306}'
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
        await client.publish("jauge/v1/s/evil/state", state, qos=1, retain=True)
    async with collecting(configured(tmp_path, mqtt_port=mosquitto.port)) as service:
        await eventually(
            lambda: "document_undecodable" in service.state.faults.by_reason,
            within=5,
            what="counted",
        )
        async with WireAgent(mosquitto.port) as agent:
            await agent.send(ticks(1, start_ms=now_ms() - 60_000))
            await agent.answered([1])


async def test_a_fault_in_judging_one_message_stops_nothing(
    embedded: Service,
    mosquitto: Mosquitto,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is counted as a bug with its example and logged once; what comes beside it is stored."""

    def broken(*_: object, **__: object) -> None:
        raise OverflowError("as a test has it")

    monkeypatch.setattr(Inventory, "stated", broken)
    start_ms = now_ms() - 60_000
    async with WireAgent(mosquitto.port) as agent:
        with caplog.at_level(logging.ERROR):
            for _ in range(2):
                await agent.describe(State("b1", online=True, sent_at=time.time()))
            await agent.send(ticks(1, start_ms=start_ms))
            await agent.answered([1])
        with monkeypatch.context() as patched:
            patched.setattr(Inventory, "seen", broken)
            await agent.send(ticks(1, first=2, start_ms=start_ms))
            await eventually(
                lambda: embedded.state.faults.by_reason["bug"].count == 3, within=5, what="counted"
            )
        await agent.send(ticks(2, first=2, start_ms=start_ms))
        await agent.answered([2, 3])
    assert (
        "OverflowError: as a test has it" in embedded.state.faults.by_reason["bug"].example.detail
    )
    assert [r.levelname for r in caplog.records if r.name.startswith("jauge")] == ["ERROR"]
    assert await count_of(embedded, "documents_refused_total", reason="bug") == 2
    assert await count_of(embedded, "packs_unanswered_total", reason="bug") == 1


async def test_a_pack_that_the_broker_retains_is_no_sign_of_an_agent(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    """It comes at each connection under an old boot id: neither stored, answered nor heard.

    Heard, it would make a clone of an agent that goes on under another boot id.
    """
    start_ms = now_ms() - 60_000
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
        (old,) = ticks(1, first=9, boot="old", start_ms=start_ms)
        await client.publish(TOPIC, old, qos=1, retain=True)
    async with (
        WireAgent(mosquitto.port, boot="old") as ended,
        collecting(configured(tmp_path, mqtt_port=mosquitto.port)) as service,
        WireAgent(mosquitto.port) as agent,
    ):
        await eventually(
            lambda: "retained" in service.state.faults.by_reason, within=5, what="ignored"
        )
        assert service.state.inventory.of_site("s") == []
        await agent.send(ticks(2, start_ms=start_ms))
        await agent.answered([1, 2])
        assert await stored(service, start_ms) == expected(2, start_ms)
        assert ended.stored == set()
        assert await count_of(service, "packs_unanswered_total", reason="retained") == 1


async def test_a_pack_of_which_nothing_is_stored_is_answered_and_marks_nothing(
    embedded: Service, mosquitto: Mosquitto
) -> None:
    """Every record is left out and counted; no interval is computed again for it.

    Nor does it move the ledger beyond the present, whatever time it claims.
    """
    moment = now_ms()
    record = {"n": "host/luck", "u": "W", "v": 1.0}
    head = {"bn": "s/a/", "bt": moment / 1000, "bboot": "b1", "bseq": 7, "bfrom": 8.0e9}
    async with WireAgent(mosquitto.port) as agent:
        await agent.send([json.dumps([head | {"bt": 8.0e9, "bseq": 6} | record]).encode()])
        await agent.send([json.dumps([head | record]).encode()])
        await agent.answered([7])
        assert agent.stored == {7}
    await eventually(lambda: "a" in embedded.state.ledger.oldest("s"), within=10, what="written")
    assert embedded.state.ledger.oldest("s")["a"] <= moment
    assert list(embedded.state.ledger.marks("s", 2**60)) == []
    assert embedded.state.faults.by_reason["future"].count == 1
    assert await count_of(embedded, "readings_refused_total", reason="quantity") == 1


async def test_methods_wait_for_a_ledger_that_is_locked(
    tmp_path: Path, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A birth that meets another process's transaction is told to the ledger once that ends."""
    monkeypatch.setattr("jauge_collector.ledger.database._BUSY_TIMEOUT_MS", 100)
    birth = Birth(
        "b1", "1", time.time(), resources=[ResourceDescription("host", {"power": Method.ESTIMATE})]
    )
    async with collecting(configured(tmp_path, mqtt_port=mosquitto.port)) as service:
        other = sqlite3.connect(tmp_path / "state" / "ledger.db", isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            async with WireAgent(mosquitto.port) as agent:
                await agent.describe(birth)
                await eventually(
                    lambda: len(service.state.inventory) == 1, within=5, what="the birth is here"
                )
                before = await count_of(service, "ledger_errors_total")

                async def tried() -> bool:
                    return await count_of(service, "ledger_errors_total") >= before + 3

                await eventually(tried, within=10, what="the ledger was tried")
            assert service.state.ledger.methods("s") == {}
            other.execute("ROLLBACK")
        finally:
            other.close()
        await eventually(
            lambda: service.state.ledger.methods("s") == {("a", "host", "power"): Method.ESTIMATE},
            within=10,
            what="the ledger knows the method",
        )


async def test_what_births_name_is_bounded_in_the_ledger(
    embedded: Service, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the number only the newest birth is kept; below it one that says less loses nothing.

    What is no resource or quantity never reaches it.
    """
    monkeypatch.setattr("jauge_collector.ledger.agents.MAX_METHODS_OF_AGENT", 4)

    async def described(kept: set[str], *names: str) -> None:
        resources = [ResourceDescription(n, {"power": Method.GAUGE}) for n in names]
        await agent.describe(Birth("b1", "1", time.time(), resources=resources))
        await eventually(
            lambda: {name for _, name, _ in embedded.state.ledger.methods("s")} == kept,
            within=5,
            what=f"{sorted(kept)} are kept",
        )

    async with WireAgent(mosquitto.port) as agent:
        await described({"gpu:1", "gpu:2", "gpu:3"}, "gpu:1", "gpu:2", "gpu:3", "toaster:1")
        await described({"gpu:1", "gpu:2", "gpu:3", "gpu:4"}, "gpu:4")
        await described({"gpu:2", "gpu:5"}, "gpu:2", "gpu:5")
    assert await count_of(embedded, "births_cut_total", reason="name") == 1
    assert embedded.state.faults.by_reason["birth_name"].count == 1


async def test_births_at_every_moment_reach_the_ledger_a_few_times_a_minute(
    tmp_path: Path, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an agent that changes its mind all the time; the last one wins, a minute later."""
    monkeypatch.setattr(births, "BIRTHS_EVERY_S", 3600.0)
    told: list[Method] = []
    real = Ledger.set_methods

    def counting(self: Ledger, site: str, agent: str, methods: Mapping[Any, Method]) -> None:
        told.extend(methods.values())
        real(self, site, agent, methods)

    monkeypatch.setattr(Ledger, "set_methods", counting)
    methods = [Method.GAUGE, Method.ESTIMATE] * 20
    async with (
        collecting(configured(tmp_path, mqtt_port=mosquitto.port)) as service,
        WireAgent(mosquitto.port) as agent,
    ):
        for n, method in enumerate(methods):
            await agent.describe(
                Birth("b1", str(n), time.time(), resources=[
                    ResourceDescription("host", {"power": method})
                ])
            )  # fmt: skip

            def heard(version: str = str(n)) -> bool:
                births = [one.birth for one in service.state.inventory if one.birth is not None]
                return [birth.version for birth in births] == [version]

            await eventually(heard, within=10, what="the birth is here")
        await agent.send(ticks(1, start_ms=now_ms() - 10_000))
        await agent.answered([1])
        assert len(told) <= births.BIRTHS_AT_ONCE
        monkeypatch.setattr(births, "BIRTHS_EVERY_S", 0.0)
        await eventually(
            lambda: service.state.ledger.methods("s") == {("a", "host", "power"): methods[-1]},
            within=10,
            what="the last one is told",
        )
