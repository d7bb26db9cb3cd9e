"""Hosts' rows shared out among guests: exact sums, idle power, migration, GPUs, estimates."""

import json
from collections.abc import AsyncIterator
from math import fsum
from pathlib import Path

import pytest
from jauge_collector.declared_hosts import model_by
from jauge_collector.ledger.clocks import ClockSpan
from jauge_collector.ledger.shares import OWN
from jauge_models.attribution import Certainty, Doubt
from jauge_models.intervals import Basis, Flag, Grade
from jauge_models.readings import Reading

from tests.collector.ledger.bench import HOUR, MAINS, MINUTE, QUARTER, START, Bench
from tests.collector.ledger.cluster import (
    IDLE,
    Cluster,
    account_all,
    assert_sums,
    part,
    shares,
)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """The site; its hosts are those that agents report."""
    async with Bench(tmp_path) as made:
        yield made


@pytest.fixture
async def declared(tmp_path: Path) -> AsyncIterator[Bench]:
    """The same with two declared hosts whose idle power was measured."""
    async with Bench(tmp_path, MAINS + "".join(IDLE.values())) as made:
        yield made


async def test_shares_add_up_and_idle_has_its_owners(declared: Bench) -> None:
    """Idle power by what was given, the rest by what was used; the host keeps its own activity."""
    cluster = Cluster()
    cluster.host("a", power=320.0, busy=4.0)
    cluster.guest("g1", "a", busy=1.0, processors=2, memory_used=2e9, memory_size=4e9)
    cluster.guest("g2", "a", busy=2.0, processors=6)
    await account_all(declared, cluster)
    assert assert_sums(declared) == 1
    first, second, own = (part(declared, "a", guest) for guest in ("g1", "g2", OWN))
    assert first.idle == pytest.approx(120 * 3600 * 2 / 8, abs=0.01)
    assert second.idle == pytest.approx(120 * 3600 * 6 / 8, abs=0.01)
    assert first.dynamic == pytest.approx(200 * 3600 * 1 / 4, abs=0.01)
    assert second.dynamic == pytest.approx(200 * 3600 * 2 / 4, abs=0.01)
    assert own.dynamic == pytest.approx(200 * 3600 * 1 / 4, abs=0.01)
    assert own.idle == pytest.approx(0, abs=0.01)
    assert (first.busy, first.busy_peak, first.processors) == (1.0, 1.0, 2)
    assert (first.memory_used_peak, first.memory_size) == (2e9, 4e9)
    assert first.certainty is Certainty.DERIVED
    assert first.covered_ms == HOUR
    (row,) = declared.ledger.current("lab", "vc/guest:g1", START, START + HOUR)
    assert (row.interval.basis, row.interval.grade) == (Basis.SHARE, Grade.MEDIUM)
    assert (row.feed, row.final) == ("a", True)


async def test_a_guest_that_moves_has_parts_of_both_hosts(declared: Bench) -> None:
    """Within one hour: each host gives for the time it had, and its row is their sum."""
    cluster = Cluster()
    cluster.host("a")
    cluster.host("b")
    cluster.guest("g1", lambda t: "a" if t < 20 * MINUTE + 45_000 else "b")
    cluster.guest("g2", "b")
    await account_all(declared, cluster)
    assert_sums(declared)
    on_a, on_b = part(declared, "a", "g1"), part(declared, "b", "g1")
    assert on_a.covered_ms == 21 * MINUTE
    assert on_b.covered_ms == 39 * MINUTE
    assert part(declared, "a", OWN).energy > on_a.energy > 0
    (row,) = declared.ledger.current("lab", "vc/guest:g1", START, START + HOUR)
    assert row.feed == "a + b"
    assert row.interval.amount == on_a.energy + on_b.energy
    assert row.interval.covered_ms == HOUR


async def test_two_agents_views_of_a_host_count_once(tmp_path: Path) -> None:
    """Of a host's ranked feeds one gives its row; of its guests each counts once."""
    both = """
[[hosts]]
id = "srv"
feeds = ["bmc/host:serial", "vc/host:a", "spare/host:a"]
"""
    bmc, spare = Cluster(agent="bmc"), Cluster(agent="spare")
    bmc.readings += [r for t in range(0, HOUR + 1, MINUTE) for r in one_power(t, "bmc", 330.0)]
    cluster = Cluster()
    for view in (cluster, spare):
        view.host("a", power=290.0)
        view.guest("g1", "a", busy=1.0)
        view.guest("g2", "a", busy=1.0)
        view.gpu("x", 50.0, {"g2": 1})
    spare.guest("g3", "a", busy=1.0)
    async with Bench(tmp_path, MAINS + both) as bench:
        await account_all(bench, bmc, cluster, spare)
        assert assert_sums(bench) == 1
        (row,) = bench.rows("srv")
        assert row.amount == pytest.approx(330 * 3600)
        assert sum(s.gpu for s in shares(bench)) == pytest.approx(50 * 3600)
        assert {s.guest for s in shares(bench)} == {
            OWN,
            "vc/guest:g1",
            "vc/guest:g2",
            "spare/guest:g3",
        }
        assert bench.rows("vc/host:a") == bench.rows("bmc/host:serial") == []


def one_power(time: int, agent: str, value: float) -> list[Reading]:
    """A reading of a BMC."""
    cluster = Cluster(agent=agent)
    cluster.add(time, "host:serial", "power", value)
    return cluster.readings


async def test_gpu_energy_goes_to_who_holds_it(declared: Bench) -> None:
    """A GPU given whole or in parts; what nobody holds is the host's own."""
    cluster = Cluster()
    cluster.host("a", power=500.0, busy=2.0)
    cluster.host("b")
    for name in ("g1", "g2", "g3"):
        cluster.guest(name, "a", busy=0.5)
    cluster.gpu("whole", 100.0, {"g1": 1})
    cluster.gpu("cut", 80.0, {"g2": 0.5, "g3": 0.25})
    await account_all(declared, cluster)
    assert_sums(declared)
    found = {guest: part(declared, "a", guest).gpu / 3600 for guest in ("g1", "g2", "g3", OWN)}
    assert found == pytest.approx({"g1": 100, "g2": 40, "g3": 20, OWN: 20}, abs=0.01)
    assert part(declared, "b", OWN).gpu == 0


async def test_without_host_power_nobody_has_rows(declared: Bench) -> None:
    """No share of what is not measured, and no zero; nor for the time in which a guest is off."""
    cluster = Cluster()
    cluster.host("a", power=None, busy=None)
    cluster.host("b", power=lambda t: 300.0 if t < 30 * MINUTE else None, busy=None)
    cluster.guest("g1", "a")
    cluster.guest("g2", "b")
    cluster.guest("g3", lambda t: "b" if t >= 40 * MINUTE else None)
    cluster.guest("g4", lambda t: None if 10 * MINUTE <= t < 20 * MINUTE else "b")
    await account_all(declared, cluster)
    assert_sums(declared)
    assert {share.host for share in shares(declared)} == {"b"}
    assert {share.guest for share in shares(declared)} == {OWN, "vc/guest:g2", "vc/guest:g4"}
    for guest in ("g1", "g3"):
        assert declared.rows(f"vc/guest:{guest}") == []
    assert part(declared, "b", "g2").covered_ms == 29 * MINUTE + 30_000
    assert part(declared, "b", "g4").covered_ms == 19 * MINUTE


async def test_guests_of_the_only_host_need_not_say_where_they_run(bench: Bench) -> None:
    """As an agent reports them that runs on the host itself."""
    cluster = Cluster(agent="srv")
    for time in range(0, HOUR + 1, 30_000):
        cluster.add(time, "host", "power", 200.0)
        cluster.add(time, "guest:g1", "cpu_time", time / 1000 * 1.5)
        cluster.add(time, "guest:g1", "processors", 4)
    await account_all(bench, cluster)
    assert_sums(bench)
    (own, guest) = shares(bench)
    assert (own.host, own.guest, guest.guest) == ("srv/host", OWN, "srv/guest:g1")
    assert guest.busy == pytest.approx(1.5)
    assert guest.certainty is Certainty.ESTIMATED
    (row,) = bench.rows("srv/guest:g1")
    assert row.grade is Grade.LOW


async def test_an_estimated_host_gives_estimated_shares(bench: Bench) -> None:
    """A host without a sensor is shared out as its model says, and graded low."""
    cluster = Cluster()
    cluster.host("a", power=None, busy=4.0)
    cluster.guest("g1", "a")
    await account_all(bench, cluster)
    assert_sums(bench)
    (host,) = bench.rows("vc/host:a")
    assert host.basis is Basis.ESTIMATE
    model = model_by({})
    assert host.amount == pytest.approx(model.power(4 / 16).power * 3600)
    idle = sum(share.idle for share in shares(bench))
    assert idle == pytest.approx(model.idle * 3600, rel=1e-6)
    assert {share.certainty for share in shares(bench)} == {Certainty.ESTIMATED}


@pytest.mark.parametrize(("virtual", "rows"), [("yes", 0), ("Amazon EC2", 1), ("", 1)])
async def test_a_guest_of_somebodys_host_is_no_host_itself(
    bench: Bench, virtual: str, rows: int
) -> None:
    """Its agent sees a machine without a sensor; what it draws is a share of the real host's."""
    cluster = Cluster()
    cluster.host("a", power=None, busy=4.0)
    labels = json.dumps({"virtual": virtual} if virtual else {})
    bench.ledger.set_descriptions("lab", "vc", {"host:a": ("", labels)}, START)
    await account_all(bench, cluster)
    assert len(bench.rows("vc/host:a")) == rows


@pytest.mark.parametrize("agent", ["bmc", "vc"])
async def test_readings_of_a_wrong_clock_are_flagged(tmp_path: Path, agent: str) -> None:
    """A guest's row that its agent's or its host's had a part in counts, and is graded low."""
    both = '[[hosts]]\nid = "srv"\nfeeds = ["bmc/host:serial", "vc/host:a"]\nidle_w = 100\n'
    bmc, cluster = Cluster(agent="bmc"), Cluster()
    for time in range(0, HOUR + 1, MINUTE):
        bmc.add(time, "host:serial", "power", 300.0)
    cluster.host("a", power=None)
    cluster.guest("g1", "a")
    async with Bench(tmp_path, MAINS + both) as bench:
        await account_all(bench, bmc, cluster)
        (row,) = bench.rows("vc/guest:g1")
        assert (row.grade, row.flags) == (Grade.MEDIUM, frozenset())
        span = ClockSpan(START + 10 * MINUTE, START + 20 * MINUTE, 400_000)
        bench.ledger.note_clock("lab", agent, [span], bench.now_ms)
        await bench.account()
        assert_sums(bench)
        (row,) = bench.rows("vc/guest:g1")
        assert (row.grade, row.flags) == (Grade.LOW, frozenset({Flag.CLOCK}))


async def test_a_hosts_own_gap_joins_what_its_guests_and_gpus_tell(tmp_path: Path) -> None:
    """Read every quarter of an hour: enough on a host declared so, and nothing on another."""
    cluster = Cluster(last=130 * MINUTE)
    for name in ("a", "b"):
        cluster.host(name, power=300.0, busy=4.0)
    cluster.guest("on-a", "a", busy=1.0)
    cluster.guest("on-b", "b")
    cluster.guest("paused", lambda t: None if 25 * MINUTE < t < 75 * MINUTE else "a")
    cluster.guest("moving", lambda t: "b" if 30 * MINUTE <= t < HOUR else "a")
    cluster.gpu("x", 50.0, {"on-a": 0.5})
    dense = {"host:b": {"power", "cpu_utilisation", "processors"}}
    cluster.readings = [
        reading
        for reading in cluster.readings
        if (reading.time_ms - START) % QUARTER == 5 * MINUTE
        or reading.series.quantity in dense.get(reading.series.resource, ())
    ]
    long = IDLE["a"] + "max_gap_s = 960\n"
    async with Bench(tmp_path, MAINS + long + IDLE["b"]) as bench:
        await account_all(bench, cluster)
        assert assert_sums(bench) == 6
        assert part(bench, "a", "on-a").covered_ms == 55 * MINUTE
        assert part(bench, "a", "on-a", HOUR).covered_ms == HOUR
        assert part(bench, "a", "on-a").busy == pytest.approx(1.0)
        assert part(bench, "a", "on-a").gpu == pytest.approx(25 * 3300, abs=1)
        assert part(bench, "a", OWN).gpu == pytest.approx(25 * 3300, abs=1)
        assert part(bench, "a", OWN).busy == pytest.approx(4.0)
        assert part(bench, "a", "paused").covered_ms == 15 * MINUTE
        assert part(bench, "a", "moving").covered_ms == 30 * MINUTE
        assert {share.guest for share in shares(bench) if share.host == "b"} == {OWN}
        assert part(bench, "b", OWN).busy == pytest.approx(4.0)
        span = ClockSpan(START - 10 * MINUTE, START - 5 * MINUTE, 400_000)
        bench.ledger.note_clock("lab", "vc", [span], bench.now_ms)
        bench.ledger.mark("lab", "vc", [START], bench.now_ms)
        await bench.account()
        assert bench.rows("vc/guest:on-a")[0].flags == {Flag.CLOCK}


async def test_the_hypervisors_counters_are_reconciled_and_doubts_kept(declared: Bench) -> None:
    """By how much they were stretched, over an hour and a day; half a slot counts as half."""
    cluster = Cluster(last=2 * HOUR)
    cluster.host("a", power=lambda t: 320.0 if t < HOUR else 220.0, busy=4.0)
    cluster.guest("g1", "a", busy=1.5, power=50.0)
    cluster.guest("g2", "a", busy=2.5, power=lambda t: 110.0 if t < HOUR else 30.0)
    cluster.host("b", power=lambda t: 100.0 if t < 90_000 else 200.0, busy=1.0)
    cluster.guest("g3", "b", busy=lambda t: 1.0 if t <= HOUR else 2.0)
    cluster.readings = [
        one
        for one in cluster.readings
        if not 10 * MINUTE < one.time_ms - START < 19 * MINUTE + 30_000
        and not (
            one.series.resource == "host:a"
            and 30 * MINUTE < one.time_ms - START < 39 * MINUTE + 30_000
        )
    ]
    await account_all(declared, cluster)
    own, later = part(declared, "a", OWN), part(declared, "a", OWN, HOUR)
    assert own.reconciliation == pytest.approx(200 / 160, rel=1e-3)
    assert later.reconciliation == pytest.approx(100 / 80, rel=1e-2)
    assert own.dynamic == pytest.approx(0, abs=1)
    assert own.doubts == frozenset()
    assert part(declared, "b", OWN).doubts == {Doubt.IDLE_EXCEEDS_REST}
    assert Doubt.BUSY_EXCEEDS_HOST in part(declared, "b", OWN, HOUR).doubts
    assert part(declared, "b", OWN).reconciliation is None
    assert all(s.reconciliation is None and not s.doubts for s in shares(declared) if s.guest)
    checks = declared.ledger.host_checks("lab", START, START + 2 * HOUR)
    counters = fsum(
        sum(s.dynamic for s in shares(declared, at, at + HOUR) if s.host == "a" and s.guest)
        / (part(declared, "a", OWN, at).reconciliation or 1)
        for at in (0, HOUR)
    )
    dynamic = sum(s.dynamic for s in shares(declared) if s.host == "a" and s.guest)
    assert checks["a"].reconciliation == pytest.approx(dynamic / counters)
    assert checks["a"].doubts == {}
    assert checks["b"].doubts[Doubt.IDLE_EXCEEDS_REST] == 1


async def test_totals_are_summed_by_the_database(declared: Bench) -> None:
    """Energies add up; means go by covered time, peaks and certainty by the worst."""
    cluster = Cluster(last=2 * HOUR)
    cluster.host("a", busy=4.0)
    cluster.guest(
        "g1", lambda t: "a" if t <= 90 * MINUTE else None, busy=lambda t: 1.0 + (t >= HOUR)
    )
    await account_all(declared, cluster)
    found = declared.ledger.share_totals("lab", START, START + 2 * HOUR)
    own, total = found
    parts = [s for s in shares(declared) if s.guest]
    assert (own.guest, total.guest, total.hours) == (OWN, "vc/guest:g1", 2)
    assert total.energy == pytest.approx(sum(s.energy for s in parts))
    assert total.covered_ms == 90 * MINUTE
    assert total.busy == pytest.approx((60 * 1.0 + 30 * 2.0) / 90, abs=0.01)
    assert total.busy_peak == 2.0
    assert total.certainty is Certainty.DERIVED
    assert total.final
