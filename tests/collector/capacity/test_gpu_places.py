"""Where GPUs stand: in one node each, by agents that tell of its host, or nowhere."""

from pathlib import Path

from jauge_collector.capacity.gpu_places import GpuPlaces
from jauge_models.resources import Series

from tests.collector.capacity.measured import PLANT, SITE, site_of


def _placed(folder: Path, *known: tuple[str, str], site: str = SITE) -> dict[str, list[str]]:
    """By node its GPUs as ``agent/resource``, by what agents were heard to read."""
    found, declared = site_of(folder, site, PLANT)
    series = [Series("ex", agent, resource, "power") for agent, resource in known]
    places = GpuPlaces(found, declared, series, {}, {})
    nodes = declared.plant.nodes
    return {n.name: [f"{one.agent}/{one.resource}" for one in places.of(n)] for n in nodes}


def test_an_agent_that_reads_a_hosts_outlet_is_not_that_hosts(tmp_path: Path) -> None:
    """Its own GPUs are its own host's alone, though it reads what feeds both."""
    site = SITE.replace('"vc/host:a", "pdu/outlet:1"', '"n1/host", "n1/outlet:1"').replace(
        '"vc/host:b"', '"n1/outlet:2"'
    )
    placed = _placed(tmp_path, ("n1", "host"), ("n1", "gpu:0"), ("n1", "outlet:2"), site=site)
    assert placed == {"n1": ["n1/gpu:0"], "n2": [], "n3": []}


def test_gpus_of_an_agent_are_the_host_s_that_it_reports(tmp_path: Path) -> None:
    """And not of another one too that it is declared for and was not heard to report."""
    placed = _placed(tmp_path, ("vc", "host:a"), ("vc", "gpu:0"))
    assert placed == {"n1": ["vc/gpu:0"], "n2": [], "n3": []}


def test_gpus_that_two_nodes_may_have_are_in_neither(tmp_path: Path) -> None:
    """Or each of them would count twice."""
    placed = _placed(tmp_path, ("vc", "gpu:0"), ("n3", "gpu:0"))
    assert placed == {"n1": [], "n2": [], "n3": ["n3/gpu:0"]}
