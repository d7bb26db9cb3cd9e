"""When hours are shared out: late, repeated, cut short, restated, final; by either store."""

import random
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jauge_collector.config import StoreConfig
from jauge_collector.ledger import share_pass, subjects
from jauge_collector.ledger.accounting import run_pass
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.database import LedgerError
from jauge_collector.ledger.shares import OWN, HostHour, Share
from jauge_collector.stores.victoriametrics import VictoriaMetricsStore
from jauge_models.intervals import Basis, Interval
from jauge_models.resources import Series

from tests.collector.ledger.bench import HOUR, MAINS, MINUTE, START, Bench
from tests.collector.ledger.cluster import (
    IDLE,
    Cluster,
    account_all,
    assert_sums,
    deliver,
    part,
    random_cluster,
    shares,
)
from tests.parts import VictoriaMetrics


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


def everything(bench: Bench) -> tuple[list[Share], dict[str, list[Interval]]]:
    """What sharing leaves: shares, and rows of hosts and guests."""
    found = shares(bench)
    names = sorted({s.host for s in found} | {s.guest for s in found if s.guest})
    return found, bench.ledger.rows("lab", names, START, START + 24 * HOUR)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_any_order_of_arrival_gives_the_same(bench: Bench, tmp_path: Path, seed: int) -> None:
    """Shuffled, late and repeated batches with passes in between end as one delivery does."""
    cluster = random_cluster(seed)
    bench.ledger.set_methods("lab", cluster.agent, cluster.methods())
    scattered = list(cluster.readings)
    random.Random(seed).shuffle(scattered)
    third = len(scattered) // 3
    for begin in (0, third, third // 2, 2 * third):
        await deliver(bench, scattered[begin : begin + third + 3])
        await bench.account()
    bench.ledger.set_oldest("lab", cluster.agent, bench.now_ms)
    await bench.account()
    assert assert_sums(bench) == 6
    folder = tmp_path / "at-once"
    folder.mkdir()
    async with Bench(folder) as other:
        await account_all(other, cluster)
        assert everything(other) == everything(bench)
        assert all(share.final for share in shares(other))


async def test_a_model_is_not_asked_where_power_was_measured(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Utilisation is read for rows only where watts have a gap; then it gives what they lack."""
    read: list[str] = []
    real = bench.store.read

    async def noting(series: Iterable[Series], start_ms: int, end_ms: int) -> Any:
        asked = list(series)
        read.extend(one.quantity for one in asked)
        return await real(asked, start_ms, end_ms)

    monkeypatch.setattr(bench.store, "read", noting)
    cluster = Cluster(last=3 * HOUR)
    holes = ((70 * MINUTE, 110 * MINUTE), (130 * MINUTE, 3 * HOUR + 1))
    cluster.host(
        "a", power=lambda t: None if any(begin < t < end for begin, end in holes) else 200.0
    )
    await account_all(bench, cluster)
    assert "cpu_utilisation" in read
    rows = bench.rows("vc/host:a")
    assert [row.basis for row in rows] == [Basis.POWER, Basis.ESTIMATE, Basis.ESTIMATE]
    read.clear()
    bench.ledger.mark("lab", cluster.agent, [START + 30 * MINUTE], bench.now_ms)
    monkeypatch.setattr(subjects.Subject, "reach_ms", 180_000)
    await bench.account()
    assert "power" in read
    assert "cpu_utilisation" not in read
    for hour in (1, 2):
        at_ms = START + hour * HOUR + 30 * MINUTE
        bench.ledger.mark("lab", cluster.agent, [at_ms], bench.now_ms)
        await bench.account()
        assert bench.rows("vc/host:a") == rows


async def test_what_comes_late_restates_as_revisions(declared: Bench) -> None:
    """After an outage of the gateway the caught-up hour is shared anew; earlier rows are kept."""
    cluster = Cluster()
    cluster.host("a", busy=3.0)
    cluster.guest("g1", "a", busy=1.0)
    cluster.guest("g2", "a", busy=2.0)
    missing = [r for r in cluster.readings if r.series.resource == "guest:g2"]
    declared.ledger.set_methods("lab", cluster.agent, cluster.methods())
    await deliver(declared, [r for r in cluster.readings if r not in missing])
    declared.ledger.set_oldest("lab", cluster.agent, declared.now_ms)
    await declared.account()
    before = part(declared, "a", "g1")
    (host_row,) = declared.rows("a")
    await deliver(declared, missing)
    result = await declared.account()
    assert result.revised == 1
    assert_sums(declared)
    assert declared.rows("a") == [host_row]
    assert part(declared, "a", "g1").energy < before.energy
    history = declared.ledger.history("lab", "vc/guest:g1", START)
    assert [row.interval.amount for row in history] == [
        before.energy, part(declared, "a", "g1").energy
    ]  # fmt: skip
    assert (await declared.account()).written == 0


async def test_a_running_hour_is_shared_with_each_quarter(tmp_path: Path) -> None:
    """Not with every pass, where the agent feeds a meter too; the whole of it in the end."""
    metered = MAINS.replace("gw/meter:mains", "vc/meter:mains") + IDLE["a"]
    cluster = Cluster()
    cluster.host("a")
    cluster.guest("g1", "a")
    covered: list[int] = []
    async with Bench(tmp_path, metered) as bench:
        bench.ledger.set_methods("lab", cluster.agent, cluster.methods())
        for begin, end in ((0, 20), (20, 25), (25, 31), (31, 60), (60, 61)):
            bench.now_ms = START + end * MINUTE
            some = [
                one
                for one in cluster.readings
                if START + begin * MINUTE < one.time_ms <= bench.now_ms
            ]
            await deliver(bench, some)
            bench.ledger.set_oldest("lab", cluster.agent, bench.now_ms)
            await bench.account()
            covered.append(part(bench, "a", "g1").covered_ms // MINUTE)
        await bench.account(75 * MINUTE)
        assert_sums(bench)
    assert covered == [19, 19, 30, 59, 59]


async def test_hours_become_final_with_the_host(declared: Bench) -> None:
    """Shares are provisional while an agent may bring more, then final; nothing else changes."""
    cluster = Cluster(last=HOUR - 30_000)
    cluster.host("a")
    cluster.guest("g1", "a")
    declared.now_ms = START + HOUR + MINUTE
    declared.ledger.set_oldest("lab", cluster.agent, START + 30 * MINUTE)
    await account_all(declared, cluster, settled=False)
    assert not any(share.final for share in shares(declared))
    (row,) = declared.ledger.current("lab", "vc/guest:g1", START, START + HOUR)
    assert not row.final
    assert not declared.ledger.marks("lab", 2**60)
    before = part(declared, "a", "g1")
    declared.ledger.set_oldest("lab", cluster.agent, START + 2 * HOUR)
    await declared.account(2 * HOUR)
    after = part(declared, "a", "g1")
    assert after.final
    assert msgspec.structs.replace(after, final=False) == before
    (row,) = declared.ledger.current("lab", "vc/guest:g1", START, START + HOUR)
    assert row.final
    assert row.revision == 0


async def test_a_pass_that_was_cut_short_is_done_again(
    declared: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger fails between the shares of one host and the next: later there is no trace."""
    cluster = Cluster()
    for name in ("a", "b"):
        cluster.host(name)
        cluster.guest(f"on-{name}", name)
    cluster.guest("moving", lambda t: "a" if t < 20 * MINUTE else "b")
    monkeypatch.setattr(share_pass, "_HOSTS_AT_ONCE", 1)
    real, saved = declared.ledger.save_shares, 0

    def failing(site: str, hours: Iterable[HostHour]) -> dict[int, set[str]]:
        nonlocal saved
        saved += 1
        if saved == 3:
            raise LedgerError("full")
        return real(site, hours)

    monkeypatch.setattr(declared.ledger, "save_shares", failing)
    with pytest.raises(LedgerError):
        await account_all(declared, cluster)
    assert {share.host for share in shares(declared)} == {"a"}
    await declared.account()
    assert assert_sums(declared) == 2
    for guest in ("on-a", "on-b", "moving"):
        (row,) = declared.ledger.history("lab", f"vc/guest:{guest}", START)
        assert row.revision == 0


async def test_a_declaration_restates_and_leaves_nobody_twice(declared: Bench) -> None:
    """Another policy, another idle power, a host that is declared or no longer: shared anew."""
    cluster = Cluster()
    cluster.host("a", busy=2.0)
    cluster.guest("g1", "a", busy=2.0, processors=2)
    cluster.guest("g2", "a", busy=0.0, processors=6)
    await account_all(declared, cluster)
    given = part(declared, "a", "g1").idle
    for policy, idle, own in (("equal", given * 2, 0.0), ("host", 0.0, given * 4)):
        declared.declare(MAINS + IDLE["a"], f'[attribution]\nidle = "{policy}"')
        await declared.account()
        assert_sums(declared)
        assert part(declared, "a", "g1").idle == pytest.approx(idle, abs=0.1)
        assert part(declared, "a", OWN).idle == pytest.approx(own, abs=0.1)
    declared.declare(MAINS)
    await deliver(declared, cluster.readings)
    await declared.account()
    assert_sums(declared)
    assert {share.host for share in shares(declared)} == {"vc/host:a"}
    declared.declare(MAINS + IDLE["a"])
    await declared.account()
    assert_sums(declared)
    assert {share.host for share in shares(declared)} == {"a"}


async def test_restating_goes_on_pass_by_pass_and_ends_the_same(
    declared: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One hour a pass, the newest first, live ones before; cut short, and opened anew."""
    cluster, news = Cluster(last=5 * HOUR), Cluster(first=5 * HOUR + 30_000, last=6 * HOUR)
    for one in (cluster, news):
        one.host("a", busy=2.0)
        one.host("b", busy=1.0)
        one.guest("g1", "a", busy=2.0)
        one.guest("moving", lambda t: "b" if t % HOUR > 20 * MINUTE else "a", processors=6)
    await account_all(declared, cluster)
    policy = MAINS + "".join(IDLE.values()), '[attribution]\nidle = "host"'
    declared.declare(*policy)

    async def one_pass(ledger: Ledger) -> int:
        now_ms = declared.now_ms
        done = await run_pass(declared.store, ledger, declared.site, now_ms, sharing_s=0)
        return done.hours_left

    def restated() -> list[int]:
        own = declared.ledger.shares("lab", START, START + 24 * HOUR, guest=OWN)
        return sorted({(s.start_ms - START) // HOUR for s in own if s.idle > 100 * 3600})

    assert await one_pass(declared.ledger) > 0
    assert restated() == [4]
    late = START + 90 * MINUTE
    await deliver(declared, [one for one in cluster.readings if one.time_ms == late])
    assert await one_pass(declared.ledger) > 0
    assert restated() == [1, 4]
    await deliver(declared, news.readings)
    assert await one_pass(declared.ledger) > 0
    assert restated() == [1, 4, 5]
    assert declared.ledger.unshared("lab") == {
        name: [(START, START + HOUR), (START + 2 * HOUR, START + 5 * HOUR)] for name in ("a", "b")
    }
    with monkeypatch.context() as broken:
        broken.setattr(declared.ledger, "save", _failing)
        with pytest.raises(LedgerError):
            await one_pass(declared.ledger)
    with Ledger(declared.folder / "ledger.db") as reopened:
        left = [await one_pass(reopened) for _ in range(4)]
    assert left == [3, 2, 1, 0]
    assert restated() == list(range(6))
    assert declared.ledger.unshared("lab") == {}
    assert (await declared.account()).written == 0
    folder = tmp_path / "at-once"
    folder.mkdir()
    async with Bench(folder, *policy) as other:
        await account_all(other, cluster, settled=False)
        await deliver(other, news.readings)
        other.ledger.set_oldest("lab", cluster.agent, other.now_ms)
        await other.account()
        assert everything(other) == everything(declared)


def _failing(*_: object) -> None:
    raise LedgerError("full")


async def test_what_the_store_forgets_meanwhile_stays_as_it_was_shared(
    declared: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left hours that no reading is kept of are given up; those next to go come before newer."""
    cluster = Cluster(last=6 * HOUR)
    cluster.host("a", busy=2.0)
    cluster.guest("g1", "a", busy=2.0)
    await account_all(declared, cluster)
    idle = part(declared, "a", "g1").idle
    declared.ledger.set_unshared("lab", {"a": [(START, START + 3 * HOUR)], "gone": [(START, 1)]})
    declared.declare(MAINS + IDLE["a"].replace("120.0", "60.0"))

    async def oldest_kept(_: int) -> int:
        return START + 55 * MINUTE

    monkeypatch.setattr(declared.store, "oldest_kept_ms", oldest_kept)
    monkeypatch.setattr(share_pass, "_SOON_MS", 3 * HOUR)
    left: list[int] = []
    for hour in (3, 2, 5, 4):
        assert idle == part(declared, "a", "g1", hour * HOUR).idle
        done = await run_pass(
            declared.store, declared.ledger, declared.site, declared.now_ms, sharing_s=0
        )
        assert idle != part(declared, "a", "g1", hour * HOUR).idle
        left.append(done.hours_left)
    assert left == [3, 2, 1, 0]
    assert declared.ledger.unshared("lab") == {}
    assert [part(declared, "a", "g1", hour * HOUR).idle for hour in (0, 1)] == [idle, idle]
    assert part(declared, "a", "g1", 3 * HOUR).idle == pytest.approx(idle / 2, rel=1e-3)
    assert_sums(declared)


async def test_a_policy_also_restates_hosts_that_nobody_declared(bench: Bench) -> None:
    """The default changes nothing; another one shares what the store still holds anew."""
    cluster = Cluster()
    cluster.host("a")
    cluster.guest("g1", "a")
    await account_all(bench, cluster)
    assert part(bench, "vc/host:a", "g1").idle > 0
    assert bench.ledger.declared("lab").keys() == {"mains"}
    bench.declare(MAINS, '[attribution]\nidle = "host"')
    await bench.account()
    assert part(bench, "vc/host:a", "g1").idle == 0
    bench.declare(MAINS)
    await bench.account()
    assert part(bench, "vc/host:a", "g1").idle > 0


async def test_a_host_that_feeds_a_meter_is_shared_out_too(tmp_path: Path) -> None:
    """Its quarters of an hour add up to the hour that is shared."""
    metered = """
[[meters]]
id = "it"
commodity = "electricity"
feeds = ["vc/host:a"]
"""
    cluster = Cluster()
    cluster.host("a", power=lambda t: 200.0 + (t // 30_000) % 11)
    cluster.guest("g1", "a")
    async with Bench(tmp_path, metered) as bench:
        await account_all(bench, cluster)
        rows = bench.rows("it")
        assert len(rows) == 4
        assert sum(s.energy for s in shares(bench)) == sum(row.amount or 0 for row in rows)
        assert {share.host for share in shares(bench)} == {"it"}
        (guest,) = bench.rows("vc/guest:g1")
        assert guest.covered_ms == HOUR


@pytest.mark.end_to_end
async def test_either_store_gives_the_same(
    bench: Bench, tmp_path: Path, victoria_metrics: VictoriaMetrics
) -> None:
    """Read back from VictoriaMetrics, the shares are those of the embedded store."""
    cluster = random_cluster(4)
    await account_all(bench, cluster)
    folder = tmp_path / "other"
    folder.mkdir()
    async with (
        Bench(folder) as other,
        VictoriaMetricsStore(StoreConfig(url=victoria_metrics.url)) as store,
    ):
        other.ledger.set_methods("lab", cluster.agent, cluster.methods())
        await store.write(cluster.readings)
        await victoria_metrics.force_flush()
        times = [reading.time_ms for reading in cluster.readings]
        other.ledger.mark("lab", cluster.agent, times, START)
        other.ledger.set_oldest("lab", cluster.agent, other.now_ms)
        await run_pass(store, other.ledger, other.site, other.now_ms)
        assert assert_sums(other) == 6
        assert everything(other) == everything(bench)
