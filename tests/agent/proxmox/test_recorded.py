"""What is read from a cluster that somebody else recorded, over HTTPS."""

import pytest
from jauge_agent.sources.proxmox.source import ClusterSource, ProxmoxSource
from jauge_models.quantities import CATALOGUE
from jauge_models.readings import flaw_of
from jauge_models.resources import number_of
from jauge_models.wire import Method

from tests.agent.proxmox.conftest import Serving, Settings

pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra proxmox)")

from tests.agent.proxmox.cluster import recorded

GUEST = "guest:7d0f1e2d-3c4b-4a59-8877-66554433aabb"


async def test_the_recorded_cluster(serve: Serving, settings: Settings) -> None:
    """Every value of nodes and of the one guest that runs, as they were recorded."""
    server = await serve(recorded())
    source = ProxmoxSource(settings(server))
    described = {each.id: each for each in await source.open()}
    outcome = await source.read()
    await source.close()
    for resource, quantity, value in outcome.samples:
        assert flaw_of(resource, quantity, CATALOGUE[quantity].unit, value) is None
    given = {f"{s.resource}/{s.quantity}": s.value for s in outcome.samples}
    assert {key: value for key, value in given.items() if key.startswith("guest:")} == {
        f"{GUEST}/cpu_utilisation": 0.0249060195469461,
        f"{GUEST}/processors": 1,
        f"{GUEST}/memory_size": 1073741824,
        f"{GUEST}/memory_used": 842551296,
        f"{GUEST}/disk_read": 4510777856,
        f"{GUEST}/disk_written": 6059209728,
        f"{GUEST}/network_received": 2456116121,
        f"{GUEST}/network_sent": 545248946,
        f"{GUEST}/runs_on": number_of("host:node2"),
    }
    assert {key: value for key, value in given.items() if key.startswith("host:node2/")} == {
        "host:node2/cpu_utilisation": 0.00365387809333998,
        "host:node2/processors": 12,
        "host:node2/memory_size": 33567911936,
        "host:node2/memory_used": 8127873024,
        "host:node2/uptime": 874373,
    }
    assert len(given) == 9 + 4 * 5
    assert outcome.failed == {}
    # Templates and machines that are switched off are not described.
    assert sorted(described) == [GUEST, *(f"host:node{each}" for each in range(1, 5))]
    assert described[GUEST].name == "server1"
    assert described[GUEST].labels == {"cluster": "clustername", "host": "node2"}
    assert described["host:node1"].labels == {
        "cluster": "clustername",
        "cpu": "Intel(R) Core(TM) i7-6700 CPU @ 3.40GHz",
    }
    methods = described[GUEST].quantities
    assert set(methods) == {key.partition("/")[2] for key in given if key.startswith(GUEST)}
    for quantity, method in methods.items():
        assert (CATALOGUE[quantity].kind.value == "counter") == (method is Method.COUNTER)


async def test_one_question_for_everything_once_it_is_known(
    serve: Serving, settings: Settings
) -> None:
    """What hardly changes is asked for once, and one connection serves all."""
    server = await serve(recorded())
    made = settings(server)
    source = ClusterSource(made.devices[0], made)
    await source.open()
    server.asked.clear()
    for _ in range(3):
        await source.read()
    await source.close()
    assert server.asked == [("GET", "/api2/json/cluster/resources")] * 3
    assert len(server.connections) == 1
