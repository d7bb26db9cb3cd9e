"""What hosts and guests draw now: watts that add up to what is shown of the host."""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from jauge_collector.attribution import HostNow, NoPower, hosts_now
from jauge_collector.declared_hosts import model_by
from jauge_collector.inventory import Inventory
from jauge_models.attribution import Certainty
from jauge_models.readings import Reading
from jauge_models.wire import Address, Birth, ResourceDescription, SourceDescription

from tests.collector.ledger.bench import MAINS, MINUTE, START, Bench
from tests.collector.ledger.cluster import GATEWAY, Cluster

DECLARED = """
[[hosts]]
id = "srv-a"
name = "Server A"
feeds = ["bmc/host:serial", "vc/host:a"]
cluster = "north"
idle_w = 120.0
"""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A site with one declared host."""
    async with Bench(tmp_path, MAINS + DECLARED) as made:
        yield made


def birth_of(cluster: Cluster, *, period_s: float = 30.0) -> Birth:
    """As the agent describes what it reads."""
    quantities: dict[str, dict[str, str]] = {}
    methods = cluster.methods()
    for (resource, quantity), method in methods.items():
        quantities.setdefault(resource, {})[quantity] = method
    return Birth(
        "b1",
        "1",
        START / 1000,
        sources=[SourceDescription("test", period_s)],
        resources=[
            ResourceDescription(name, dict(some), name=f"name of {name}")  # type: ignore[arg-type]
            for name, some in quantities.items()
        ],
    )


async def now(bench: Bench, at: int, *clusters: Cluster) -> dict[str, HostNow]:
    """Everything written, then what is drawn so many ms after START; everything adds up."""
    inventory = Inventory()
    for cluster in clusters:
        inventory.born(Address("lab", cluster.agent), birth_of(cluster), START)
        await bench.store.write(before(cluster.readings, START + at))
    found = await hosts_now(bench.site, bench.store, inventory, START + at)
    for host in found:
        if host.power is not None:
            assert host.own is not None
            parts = [host.own, *host.guests]
            assert tenths(part.power for part in parts) == tenths([host.power])
            for part in parts:
                assert tenths([part.idle, part.dynamic, part.gpu]) == tenths([part.power])
    return {host.host: host for host in found}


def before(readings: Iterable[Reading], time_ms: int) -> list[Reading]:
    """Those until a moment."""
    return [reading for reading in readings if reading.time_ms <= time_ms]


def tenths(watts: Iterable[float]) -> int:
    """Their sum, each a whole number of tenths."""
    return sum(round(one * 10) for one in watts)


async def test_parts_add_up_to_the_host(bench: Bench) -> None:
    """By the best feed, at the newest moment of which both tell; each guest counts once."""
    cluster, bmc = Cluster(last=10 * MINUTE), Cluster(last=10 * MINUTE, agent="bmc")
    cluster.host("a", power=280.0, busy=4.0)
    cluster.guest("g1", "a", busy=1.0)
    cluster.guest("g2", "a", busy=2.0, processors=7)
    cluster.guest("off", lambda t: "a" if t < 5 * MINUTE else None)
    cluster.gpu("x", 33.3, {"g2": 1})
    for time in range(0, 10 * MINUTE, MINUTE):
        bmc.add(time + 5000, "host:serial", "power", 333.3)
    found = await now(bench, 10 * MINUTE, cluster, bmc)
    assert list(found) == ["srv-a"]
    host = found["srv-a"]
    assert (host.name, host.labels["cluster"], host.power) == ("Server A", "north", 333.3)
    assert host.time_ms == START + 9 * MINUTE + 5000
    assert [guest.guest for guest in host.guests] == ["vc/guest:g1", "vc/guest:g2"]
    first, second = host.guests
    assert first.name == "name of guest:g1"
    assert (first.busy, first.processors) == (1.0, 2)
    assert first.idle == pytest.approx(120 * 2 / 9, abs=0.1)
    assert first.dynamic == pytest.approx(180 / 4, abs=0.1)
    assert second.gpu == pytest.approx(33.3, abs=0.1)
    assert first.certainty is Certainty.DERIVED


async def test_it_is_of_one_moment(bench: Bench) -> None:
    """Where the guests' newest readings are a minute older, so are the host's watts."""
    cluster = Cluster(last=10 * MINUTE)
    cluster.host("b", power=lambda t: 200 + t / MINUTE)
    cluster.last = 9 * MINUTE
    cluster.guest("g1", "b")
    host = (await now(bench, 10 * MINUTE, cluster))["vc/host:b"]
    assert (host.time_ms, host.power) == (START + 9 * MINUTE, 209.0)
    assert [guest.guest for guest in host.guests] == ["vc/guest:g1"]


async def test_no_power_has_a_reason_and_no_zero(bench: Bench) -> None:
    """Silent, or never measured; a host without a sensor that says how busy it is is estimated."""
    cluster = Cluster(last=10 * MINUTE)
    cluster.host("a", power=lambda t: 200.0 if t < MINUTE else None, busy=None)
    cluster.host("b", power=None, busy=None)
    cluster.host("c", power=None, busy=4.0)
    for name in ("a", "b", "c"):
        cluster.guest(f"on-{name}", name)
    found = await now(bench, 10 * MINUTE, cluster)
    assert (found["srv-a"].power, found["srv-a"].reason) == (None, NoPower.SILENT)
    assert (found["vc/host:b"].power, found["vc/host:b"].reason) == (None, NoPower.NOT_MEASURED)
    assert found["vc/host:b"].own is None
    assert found["vc/host:b"].guests == []
    estimated = found["vc/host:c"]
    model = model_by({})
    assert estimated.power == pytest.approx(model.power(4 / 16).power, abs=0.05)
    assert sum(guest.idle for guest in estimated.guests) == pytest.approx(model.idle, abs=0.1)
    assert {guest.certainty for guest in estimated.guests} == {Certainty.ESTIMATED}


async def test_another_agent_tells_where_the_first_is_silent(tmp_path: Path) -> None:
    """Of a guest that two gateways report, the one that was heard of late counts."""
    spare = Cluster(last=10 * MINUTE, agent="spare")
    cluster = Cluster(last=10 * MINUTE)
    for view in (cluster, spare):
        view.host("a")
        view.last = 2 * MINUTE if view is cluster else view.last
        view.guest("g1", "a")
    declared = '[[hosts]]\nid = "srv"\nfeeds = ["vc/host:a", "spare/host:a"]\n'
    async with Bench(tmp_path, MAINS + declared) as bench:
        host = (await now(bench, 10 * MINUTE, cluster, spare))["srv"]
    assert [guest.guest for guest in host.guests] == ["spare/guest:g1"]


async def test_a_guest_is_on_the_host_that_it_named_last(bench: Bench) -> None:
    """Moved a minute ago: on the new host alone."""
    cluster = Cluster(last=10 * MINUTE)
    for name in ("b", "c"):
        cluster.host(name)
    cluster.guest("g1", lambda t: "b" if t < 9 * MINUTE else "c")
    found = await now(bench, 10 * MINUTE, cluster)
    assert [guest.guest for guest in found[f"{GATEWAY}/host:c"].guests] == ["vc/guest:g1"]
    assert found[f"{GATEWAY}/host:b"].guests == []


async def test_hosts_of_agents_without_guests_are_none_of_it(bench: Bench) -> None:
    """An ordinary server is no host of guests."""
    cluster = Cluster(last=MINUTE, agent="srv")
    for time in range(0, MINUTE, 30_000):
        cluster.add(time, "host", "power", 100.0)
    assert await now(bench, MINUTE, cluster) == {}


async def test_what_a_gateway_runs_on_is_none_of_its_hosts(bench: Bench) -> None:
    """It says how busy its own machine is, as every agent does; that hosts nobody."""
    cluster = Cluster(last=10 * MINUTE)
    cluster.host("b")
    cluster.guest("g1", "b")
    for time in range(0, 10 * MINUTE, MINUTE):
        cluster.add(time, "host", "cpu_utilisation", 0.5)
    assert (await now(bench, 10 * MINUTE, cluster)).keys() == {"srv-a", "vc/host:b"}
