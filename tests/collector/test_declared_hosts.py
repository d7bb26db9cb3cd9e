"""Hosts of a site file: what they say, what is refused, and that the map may name them."""

from pathlib import Path

import pytest
from jauge_collector.declared_hosts import doubts
from jauge_collector.ledger.connected import Connected
from jauge_models.attribution import IdlePolicy
from jauge_models.topology import Feed
from jauge_models.wire import Method

from tests.collector.test_sites import load, refused

HOST = """
[[hosts]]
id = "srv"
feeds = ["bmc/host:serial", "vc/host:uuid"]
cluster = "north"
idle_w = 120
cpu = "AMD EPYC 9654"
processors = 192
memory_gb = 768
full_w = 700
valid_from = "2026-01-01"
[attribution]
idle = "equal"
"""


def test_a_host_is_no_meter_and_has_ranked_feeds(tmp_path: Path) -> None:
    """Hourly rows under its id; its idle power and what a model needs stand beside it."""
    site = load(tmp_path, HOST)
    (host,) = site.hosts
    assert host.id == "srv"
    assert host.meter.feeds == (Feed("bmc", "host:serial"), Feed("vc", "host:uuid"))
    assert host.meter.interval_ms == 3_600_000
    assert host.meter.validity.from_ms is not None
    assert (host.idle_power, host.full_power, host.memory) == (120, 700, 768e9)
    assert site.idle is IdlePolicy.EQUAL
    assert "srv" not in {meter.id for meter in site.topology.meters}
    model = host.estimator({("vc", "host:uuid"): {"cpu": "another", "processors": "8"}})
    assert (model.idle, model.full) == (120, 700)


def test_nothing_is_declared_unless_it_is(tmp_path: Path) -> None:
    """Idle power goes by allocation."""
    site = load(tmp_path)
    assert (site.hosts, site.idle) == ((), IdlePolicy.ALLOCATION)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('id = "srv"', 'id = "srv:1"', "hosts[0].id: 'srv:1' is no host id"),
        ('id = "srv"', 'id = "main"', "hosts[0].id: 'main' already names a meter; rename one"),
        ('"bmc/host:serial"', '"gw/meter:main"', "does not measure a whole host; name a resource"),
        ('"bmc/host:serial"', '"bmc/toaster:x"', "'bmc/toaster:x' is no feed; write 'agent/host'"),
        ('"bmc/host:serial"', '"vc/host:uuid"', "'vc/host:uuid' already feeds 'srv'"),
        ('["bmc/host:serial", "vc/host:uuid"]', "[]", "hosts[0].feeds: is empty; name what reads"),
        ("full_w = 700", "full_w = 100", "hosts[0].full_w: is not above idle_w"),
        ("idle_w = 120", "idle_w = 0", "hosts[0].idle_w: "),
        ('idle = "equal"', 'idle = "fair"', "attribution.idle: "),
        ('valid_from = "2026-01-01"', 'valid_from = "soon"', "hosts[0].valid_from: "),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    """In one line with the key."""
    assert words in refused(tmp_path, HOST, (old, new))


def test_two_hosts_share_no_id_and_no_feed(tmp_path: Path) -> None:
    """Or one machine would count twice."""
    other = '[[hosts]]\nid = "srv"\nfeeds = ["x/host"]\n'
    assert "hosts[1].id: 'srv' already names a host" in refused(tmp_path, HOST + other)
    other = '[[hosts]]\nid = "srv-2"\nfeeds = ["vc/host:uuid"]\n'
    assert "'vc/host:uuid' already feeds 'srv'" in refused(tmp_path, HOST + other)


def test_what_is_hardly_meant_is_doubted(tmp_path: Path) -> None:
    """A UUID in capitals, which sources never write, and a processor that nobody knows."""
    capital = "4C4C4544-0039-3510-8058-B7C04F4A3132"
    changed = HOST.replace("host:uuid", f"host:{capital}")
    assert doubts(load(tmp_path, HOST).hosts) == []
    (said,) = doubts(load(tmp_path, changed).hosts)
    assert said.startswith(f"hosts 'srv': feed vc/host:{capital} will not match")
    assert f"write 'vc/host:{capital.lower()}'" in said
    assert doubts(load(tmp_path, changed.replace(capital, capital.lower())).hosts) == []
    for cpu, alike in (("Foo 9000", "any platform"), ("AMD EPYC Foo", "any of AMD")):
        (said,) = doubts(load(tmp_path, HOST.replace("AMD EPYC 9654", cpu)).hosts)
        assert said == f"hosts 'srv': cpu {cpu!r} is not known: estimated as {alike}"


def test_the_map_may_name_a_host(tmp_path: Path) -> None:
    """By its id, or by what feeds it: both are its rows; a name that nothing has is refused."""
    links = """
[[connections]]
upstream = "main"
downstream = "srv"
[[connections]]
upstream = "pdu:a"
downstream = "vc/host:uuid"
[[attributes]]
subject = "srv"
name = "tenant"
value = "alpha"
"""
    site = load(tmp_path, HOST + links)
    methods = {
        (agent, resource, "power"): Method.GAUGE
        for agent, resource in (("bmc", "host:serial"), ("vc", "host:uuid"), ("vc", "host:b"))
    }
    names = Connected(site.topology, methods, site.hosts)
    assert [one.downstream for one in names.connections()] == ["srv", "srv"]
    assert names.subject("host:uuid") == "srv"
    assert names.subject("vc/host:b") == "vc/host:b"
    said = refused(tmp_path, HOST + links, ('downstream = "srv"', 'downstream = "svr"'))
    assert said == (
        "connections[0].downstream: 'svr' is unknown; write 'kind:id' such as 'pdu:a1', "
        "or a meter or host: loop, main, srv, tank, tap"
    )
