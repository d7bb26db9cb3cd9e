"""What a vCenter's hosts, guests and GPUs give, against VMware's own simulator."""

import pytest
from jauge_agent.sources.vsphere.settings import Pool
from jauge_agent.sources.vsphere.totals import STEP_MS
from jauge_models.quantities import CATALOGUE
from jauge_models.readings import flaw_of
from jauge_models.resources import is_resource, number_of
from jauge_models.wire import Method

from tests.agent.vsphere.conftest import Start, latest, named, plain, quantities, values

pytest.importorskip("pyVmomi", reason="pyvmomi is not installed (extra vsphere)")

MEASURED = {
    "power",
    "energy_amount",
    "cpu_utilisation",
    "memory_used",
    "disk_read",
    "disk_written",
    "network_received",
    "network_sent",
}


async def test_filled_counters_give_watts_of_hosts_and_guests(start: Start) -> None:
    """Every 20 s one value, at the sample's own time; sizes and where guests run at the tick."""
    ground = await start("-hosts", "2", "-guests", "3", "-power")
    source = ground.source()
    hosts = named(await source.open(), "host")
    outcome = await source.read()
    assert outcome.resources is not None
    guests = named(outcome.resources, "guest")
    assert len(hosts) == 2
    assert len(guests) == 3
    assert all(quantities(outcome, host.id) == MEASURED for host in hosts.values())
    # Nobody wants a guest's energy that is not a part of its host's.
    of_guests = MEASURED - {"energy_amount"}
    assert all(quantities(outcome, guest.id) == of_guests for guest in guests.values())
    power = latest(outcome, "power")
    assert all(100 < power[host.id] < 1000 for host in hosts.values())
    assert all(5 < power[guest.id] < 100 for guest in guests.values())
    times = sorted({time for time, _, quantity in values(outcome) if quantity == "power"})
    assert times == list(range(times[0], times[-1] + 1, STEP_MS))
    assert len(times) == 9
    assert all(time % STEP_MS == 0 for time in times)
    runs_on = plain(outcome, "runs_on")
    assert runs_on.keys() == {guest.id for guest in guests.values()}
    assert set(runs_on.values()) <= {number_of(host.id) for host in hosts.values()}
    assert plain(outcome, "processors").keys() == runs_on.keys() | {h.id for h in hosts.values()}
    assert plain(outcome, "memory_size")[guests["DC0_C0_RP0_VM0"].id] == 32 * 2**20


async def test_what_is_given_is_described_and_acceptable(start: Start) -> None:
    """Each series is in the description by the right method, named and within its range."""
    ground = await start("-hosts", "2", "-guests", "2", "-power")
    source = ground.source()
    await source.open()
    outcome = await source.read()
    assert outcome.resources is not None
    methods = {
        (each.id, quantity): method
        for each in outcome.resources
        for quantity, method in each.quantities.items()
    }
    given = [sample for samples in outcome.dated.values() for sample in samples]
    for resource, quantity, value in (*given, *outcome.samples):
        assert is_resource(resource)
        assert flaw_of(resource, quantity, CATALOGUE[quantity].unit, value) is None
        is_total = CATALOGUE[quantity].kind.value == "counter"
        assert (methods[resource, quantity] is Method.COUNTER) == is_total
    host = named(outcome.resources, "host")["DC0_C0_H0"]
    assert host.labels["cluster"] == "DC0_C0"
    assert host.labels["model"] == "VMware Virtual Platform"
    assert host.labels["cpu"].startswith("Intel(R)")
    guest = named(outcome.resources, "guest")["DC0_C0_RP0_VM0"]
    assert guest.labels["cluster"] == "DC0_C0"
    assert guest.labels["power"] == "hypervisor"
    assert guest.labels["host"].startswith("DC0_C0_H")
    assert not outcome.failed


async def test_gpus_of_hosts_have_values_of_their_own(start: Start) -> None:
    """Each instance of the counters is a GPU of its host."""
    ground = await start("-hosts", "1", "-guests", "0", "-power")
    source = ground.source()
    (host,) = await source.open()
    outcome = await source.read()
    gpus = {f"gpu:{host.id.partition(':')[2]}-{number}" for number in (0, 1)}
    assert latest(outcome, "gpu_utilisation").keys() == gpus
    assert all(0 < value <= 1 for value in latest(outcome, "gpu_utilisation").values())
    assert latest(outcome, "memory_used")[min(gpus)] > 2**28
    # Announced and never filled.
    assert not latest(outcome, "temperature")
    assert outcome.resources is not None
    assert {each.id for each in outcome.resources} == gpus | {host.id}


async def test_who_holds_a_gpu_or_a_part_of_one(start: Start) -> None:
    """A whole one by its place on the bus, a part with its share; a network card is none."""
    ground = await start("-hosts", "1", "-guests", "3", "-gpus")
    source = ground.source()
    described = await source.open()
    held = {each.id: each for each in described if each.id.startswith("gpu")}
    outcome = await source.read()
    runs_on, share = plain(outcome, "runs_on"), plain(outcome, "share")
    (host,) = [each.id.partition(":")[2] for each in described if each.id.startswith("host:")]
    card, whole = f"gpu:{host}-0000:3b:00.0", f"gpu:{host}-0000:86:00.0"
    (part,) = held.keys() - {card, whole}
    assert part.startswith(f"gpu_instance:{card.partition(':')[2]}.")
    assert share == {part: 0.25}
    guests = {number_of(each.id) for each in described if each.id.startswith("guest:")}
    assert {runs_on[part], runs_on[whole]} < guests
    assert runs_on[part] != runs_on[whole]
    assert card not in runs_on
    assert held[card].name == "NVIDIA A100"
    assert held[whole].name == "NVIDIA L40S"
    assert held[part].labels == {"host": "DC0_C0_H0"}


async def test_power_counters_that_are_announced_and_empty_give_no_value(start: Start) -> None:
    """No watt and no joule, never 0, nothing described; all else is there."""
    ground = await start("-hosts", "2", "-guests", "2")
    source = ground.source()
    await source.open()
    for _ in range(2):
        outcome = await source.read()
        given = {quantity for _, _, quantity in values(outcome)}
        assert given == MEASURED - {"power", "energy_amount"}
        ground.clock.add(60)
    described = source._announced
    assert not any({"power", "energy_amount"} & each.quantities.keys() for each in described)
    assert not any("power" in each.labels for each in described)


async def test_zeros_that_the_encoder_leaves_out_are_put_where_they_were(start: Start) -> None:
    """The simulator tells two of five samples, not which; a counter of zeros alone has no value."""
    ground = await start("-hosts", "1", "-guests", "1", "-zeros")
    source = ground.source()
    described = await source.open()
    guest = next(each.id for each in described if each.id.startswith("guest:"))
    outcome = await source.read()
    power = {
        time: value
        for (time, name, what), value in values(outcome).items()
        if name == guest and what == "power"
    }
    # A single sample starts where it is asked for from, 20 s before its time.
    pattern = (3, 0, 4, 0, 0)
    assert power == {time: pattern[(time // STEP_MS - 1) % 5] for time in power}
    assert len(power) == 9
    host = next(each.id for each in described if each.id.startswith("host:"))
    assert "network_received" not in quantities(outcome, host)
    assert "network_sent" in quantities(outcome, host)


async def test_totals_of_disks_and_networks_only_grow(start: Start) -> None:
    """Rates become bytes, each sample counted once; after a gap the total begins anew."""
    ground = await start("-hosts", "1", "-guests", "1")
    source = ground.source()
    await source.open()
    first = latest(await source.read(), "network_sent")
    ground.clock.add(60)
    second = latest(await source.read(), "network_sent")
    assert all(second[each] > first[each] > 0 for each in first)
    ground.clock.add(1200)
    third = latest(await source.read(), "network_sent")
    assert all(third[each] < 5 * first[each] for each in first)


async def test_a_read_gives_only_what_is_new(start: Start) -> None:
    """Three samples a minute, and none that came before."""
    ground = await start("-hosts", "1", "-guests", "1", "-power")
    source = ground.source()
    await source.open()
    before = values(await source.read())
    again = values(await source.read())
    ground.clock.add(60)
    after = values(await source.read())
    assert not before.keys() & (again.keys() | after.keys())
    assert len({time for time, _, quantity in (*again, *after) if quantity == "power"}) == 3


async def test_large_inventories_come_in_pages(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every object, whatever fits into an answer."""
    monkeypatch.setattr("jauge_agent.sources.vsphere.session.PAGE", 3)
    ground = await start("-hosts", "4", "-guests", "7")
    source = ground.source()
    described = await source.open()
    assert len(named(described, "host")) == 4
    assert len(named(described, "guest")) == 7
    assert ground.relay.methods.count("ContinueRetrievePropertiesEx") > 2
    assert len(plain(await source.read(), "runs_on")) == 7


async def test_one_session_for_as_long_as_the_agent_runs(start: Start) -> None:
    """One login, one session on the vCenter, and none after the end."""
    ground = await start("-hosts", "1", "-guests", "1", tls=True)
    source = ground.source(ground.vcsim.port)
    administrator = ground.administrator()
    manager = administrator.content.sessionManager
    await source.open()
    for _ in range(3):
        await source.read()
        ground.clock.add(60)
        assert len(manager.sessionList) == 2
    await source.close()
    assert len(manager.sessionList) == 1


async def test_only_the_clusters_that_are_listed(start: Start) -> None:
    """Neither hosts nor guests of another cluster."""
    ground = await start("-clusters", "2", "-hosts", "2", "-guests", "2")
    source = ground.source(clusters=["DC0_C1"])
    described = await source.open()
    assert {each.labels["cluster"] for each in described} == {"DC0_C1"}
    assert len(described) == 4
    outcome = await source.read()
    given = {name for _, name, _ in values(outcome)} | {each.resource for each in outcome.samples}
    assert given == {each.id for each in described}


async def test_custom_attributes_become_labels(start: Start) -> None:
    """Those that the configuration names, by the label it gives them."""
    from pyVmomi import vim

    ground = await start("-hosts", "1", "-guests", "2", tls=True)
    content = ground.administrator().content
    fields = content.customFieldsManager
    cost = fields.AddCustomFieldDef(name="Cost centre", moType=vim.VirtualMachine).key
    other = fields.AddCustomFieldDef(name="Backup", moType=vim.VirtualMachine).key
    guest = content.searchIndex.FindByInventoryPath("DC0/vm/DC0_C0_RP0_VM0")
    fields.SetField(entity=guest, key=cost, value="Education")
    fields.SetField(entity=guest, key=other, value="daily")
    source = ground.source(ground.vcsim.port, tags={"tenant": "Cost centre", "service": "Absent"})
    guests = named(await source.open(), "guest")
    assert guests["DC0_C0_RP0_VM0"].labels["tenant"] == "Education"
    assert guests["DC0_C0_RP0_VM0"].labels.keys() == {"tenant", "cluster", "host"}
    assert "tenant" not in guests["DC0_C0_RP0_VM1"].labels


async def test_desktops_of_a_pool_are_told_together(start: Start) -> None:
    """One resource per pool and host: sums, and processors' share as a mean."""
    ground = await start("-hosts", "2", "-guests", "12", "-power")
    source = ground.source(pools=[Pool(name="desktops", match="DC0_C0_RP0_VM1*")])
    described = await source.open()
    guests = [each for each in described if each.id.startswith("guest:")]
    pooled = {each.id: each for each in guests if each.labels.get("pool") == "desktops"}
    hosts = [each for each in described if each.id.startswith("host:")]
    names = {f"guest:pool-desktops.{number_of(host.id):012x}": host for host in hosts}
    assert 1 <= len(pooled) <= 2
    assert pooled.keys() <= names.keys()
    assert len(guests) - len(pooled) == 9
    outcome = await source.read()
    processors = plain(outcome, "processors")
    assert sum(processors[each] for each in pooled) == 3
    for each in pooled:
        assert plain(outcome, "runs_on")[each] == number_of(names[each].id)
        assert 5 * processors[each] < latest(outcome, "power")[each] < 100 * processors[each]
        assert latest(outcome, "cpu_utilisation")[each] < 0.5


async def test_a_host_that_is_not_connected_gives_nothing(start: Start) -> None:
    """It is described with its label and counted; neither it nor its guests have values."""
    ground = await start("-hosts", "2", "-guests", "4", "-disconnected", "-power")
    source = ground.source()
    described = await source.open()
    (lost,) = [each for each in described if each.labels.get("connection") == "lost"]
    outcome = await source.read()
    assert outcome.failed == {"disconnected": 1}
    given = {name for _, name, _ in values(outcome)} | {each.resource for each in outcome.samples}
    assert lost.id not in given
    on_it = {each.id for each in described if each.labels.get("host") == lost.name}
    assert not on_it & given
    assert len(given - {each for each in given if each.startswith("gpu:")}) == 5 - len(on_it)
