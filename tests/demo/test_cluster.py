"""The simulated cluster with its GPUs, and the plant and scenario that go with it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_collector import sites
from jauge_collector.capacity.planning import checked, plant_of
from jauge_collector.capacity.plant_file import DeclaredPlant
from jauge_collector.capacity.scenarios import Scenarios
from jauge_demo import cluster, scenario
from jauge_demo.cluster import GPU_HOSTS, GPUS, HOSTS, Moment, readings_at
from jauge_demo.racks import RACKS, ROOM
from jauge_demo.simulation import DAY_MS, HOUR_MS
from jauge_models.capacity.fullness import Fullness, Limit
from jauge_models.capacity.outlook import UseHistory, outlook
from jauge_models.capacity.scenario import decode
from jauge_models.quantities import CATALOGUE
from jauge_models.resources import is_resource

END_MS = 1_764_547_200_000
BEGAN_MS = END_MS - 366 * DAY_MS
moments = st.builds(Moment, st.integers(BEGAN_MS, END_MS + 5 * 366 * DAY_MS), st.just(BEGAN_MS))


def prepared(folder: Path, now_ms: int = END_MS) -> sites.Site:
    """The site of a demonstration that is first run at a moment."""
    scenario.prepare(folder, mqtt_port=1, console_port=2, now_ms=now_ms)
    return sites.load(folder / "site.toml")


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> DeclaredPlant:
    """Its plant."""
    return plant_of(prepared(tmp_path_factory.mktemp("demo")), END_MS)


@given(moments)
def test_all_of_it_may_be_sent(now: Moment) -> None:
    """Resources, quantities and ranges of the catalogue."""
    for (resource, quantity), value in readings_at(now).items():
        assert is_resource(resource)
        assert CATALOGUE[quantity].low <= value <= CATALOGUE[quantity].high


@given(moments)
def test_parts_are_told_as_the_whole_tells_them(now: Moment) -> None:
    """What the history has of GPUs alone, and of their hosts' power, joins what it has of all."""
    whole = readings_at(now)
    for part in (cluster.gpus_at(now), cluster.gpu_hosts_at(now)):
        assert part == {key: whole[key] for key in part} != {}


@given(now=moments)
def test_a_server_draws_what_its_gpus_do_and_its_own_and_no_more_than_its_name_plate(
    now: Moment, declared: DeclaredPlant
) -> None:
    """At every moment, years later too."""
    values = readings_at(now)
    kinds = {kind.name: kind for kind in declared.plant.kinds}
    for node in declared.plant.nodes:
        host, most_w = HOSTS[node.name], kinds[node.kind].most_w
        drawn = values[host.resource, "power"]
        gpus = sum(values[gpu.resource, "power"] for gpu in GPUS if gpu.host == node.name)
        assert host.idle < drawn - gpus < host.full
        assert most_w is not None
        assert drawn < most_w


def test_the_plant_is_that_of_the_cluster(declared: DeclaredPlant) -> None:
    """Its nodes are the site's hosts with GPUs, in racks and room of the simulated hall."""
    plant = declared.plant
    assert {node.name for node in plant.nodes} == set(GPU_HOSTS)
    kinds = {kind.name: kind for kind in plant.kinds}
    for node in plant.nodes:
        host, kind = HOSTS[node.name], kinds[node.kind]
        assert node.rack == host.rack
        assert kind.gpus == sum(gpu.host == node.name for gpu in GPUS)
        assert (kind.cpu_milli, kind.memory_mib) == (
            host.processors * 1000,
            host.memory / 2**20,
        )
    assert {rack.name for rack in plant.racks} <= set(RACKS)
    assert {rack.room for rack in plant.racks} == {ROOM} == {room.name for room in plant.rooms}


@given(days=st.integers(0, 4 * 366))
@settings(max_examples=25)
def test_the_scenario_can_be_asked_whenever_the_demonstration_is_first_run(
    days: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It begins with the next month, and some of its year is free of lessons."""
    folder = tmp_path_factory.mktemp("demo")
    now_ms = END_MS + days * DAY_MS
    site = prepared(folder, now_ms)
    text = Scenarios(folder / "collector" / "scenarios").read(site.name, "example").text
    found = decode(text, file="example.toml")
    checked(found, plant_of(site, now_ms), file="example.toml")
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
    assert found.first.day == 1
    assert today < found.first <= today + timedelta(days=32)
    free = {
        day
        for one in found.holidays
        for day in range(one.first.toordinal(), one.last.toordinal() + 1)
    }
    horizon = range(found.first.toordinal(), found.last.toordinal() + 1)
    assert 60 < sum(day in free for day in horizon) < 90


def test_what_somebody_makes_of_the_scenario_stays(tmp_path: Path) -> None:
    """When the demonstration starts again; one that was deleted does not come back."""
    site = prepared(tmp_path)
    kept = Scenarios(tmp_path / "collector" / "scenarios")
    digest = kept.read(site.name, "example").digest
    kept.save(site.name, "mine", kept.read(site.name, "example").text)
    kept.delete(site.name, "example", digest)
    prepared(tmp_path)
    assert [one.name for one in kept.listed(site.name)] == ["mine"]


@pytest.mark.parametrize("day", [0, 100, 250])
def test_one_rack_fills_up_and_the_other_does_not(day: int, declared: DeclaredPlant) -> None:
    """Whenever it is first run, and by the forecast that everybody is shown."""
    racks = {rack.name: rack for rack in declared.plant.racks}
    full: dict[str, Fullness] = {}
    for name in GPU_HOSTS:
        host = HOSTS[name]
        end_ms = END_MS + day * DAY_MS
        times = range(end_ms - 366 * DAY_MS, end_ms, HOUR_MS)
        told = (cluster.gpu_hosts_at(Moment(time_ms, times[0])) for time_ms in times)
        use = UseHistory(
            limit=Limit.RACK_POWER,
            place=host.rack,
            start_ms=times[0],
            values=tuple(one[host.resource, "power"] for one in told),
            of=racks[host.rack].power_w,
        )
        found = outlook(use).full
        assert found is not None
        full[host.rack] = found
    assert full["B2"].days_10 is not None
    assert full["B2"].days_10 > 7
    assert full["B2"].days_90 is not None
    assert full["A2"].probability == 0
