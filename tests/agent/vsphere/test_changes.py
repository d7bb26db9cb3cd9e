"""vCenters that go away, sessions that end, hosts that are removed and guests that move."""

import asyncio
import logging
from importlib import import_module
from typing import Any

import pytest
from jauge_agent.polling import Device, Poller
from jauge_agent.source import FatalError, Outcome, RetryError, SourceSettings
from jauge_agent.sources.vsphere.source import VCenterSource
from jauge_models.resources import number_of

from tests.agent.vsphere.conftest import Start, latest, named, plain, values
from tests.parts import eventually

pytest.importorskip("pyVmomi", reason="pyvmomi is not installed (extra vsphere)")


def polling(source: VCenterSource) -> Poller:
    """One vCenter in a poller that asks it as often as a test wants."""
    settings = SourceSettings(period_s=0.1, deadline_s=20)
    return Poller("vsphere", [Device("vcenter", source, deadline_s=20)], settings)


async def opened(poller: Poller) -> None:
    """Open it, which takes longer than its period."""

    async def is_open() -> bool:
        try:
            await poller.open()
        except RetryError:
            return False
        return True

    await eventually(is_open, within=20, what="the vCenter is opened")


async def read_until(poller: Poller, what: str) -> Outcome:
    """The first outcome with values."""
    found: list[Outcome] = []

    async def answers() -> bool:
        try:
            outcome = await poller.read()
        except RetryError:
            return False
        if outcome.samples:
            found.append(outcome)
        return bool(found)

    await eventually(answers, within=20, what=what)
    return found[0]


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Events of the vCenter."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.getMessage().split()[0] in {"device", "session", "clock", "place"}
    ]


def finished(task: Any) -> None:
    """Wait for a task of the simulator, which is done at once."""
    tasks: Any = import_module("pyVim.task")
    tasks.WaitForTask(task)


async def test_a_vcenter_that_is_killed_and_restarted_is_said_once(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """Lost once, recovered once, with a new session; the samples between are not missing."""
    ground = await start("-hosts", "2", "-guests", "3", "-power", tls=True)
    poller = polling(ground.source(ground.vcsim.port))
    await opened(poller)
    before = await read_until(poller, "a first reading")
    await ground.vcsim.kill()
    caplog.clear()
    ground.clock.add(300)
    failures = 0

    async def has_failed() -> bool:
        nonlocal failures
        try:
            await poller.read()
        except RetryError:
            failures += 1
        return failures >= 4

    with caplog.at_level(logging.INFO):
        await eventually(has_failed, within=20, what="four failures")
        await ground.vcsim.start()
        after = await read_until(poller, "a reading after the restart")
    assert said(caplog) == ["device lost", "device recovered"]
    times = [
        {time for time, _, what in values(each) if what == "power"} for each in (before, after)
    ]
    assert min(times[1]) - max(times[0]) == 20_000
    assert len(times[1]) == 15
    await poller.close()


async def test_a_session_that_has_ended_is_renewed_in_the_same_reading(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """Said once, nothing is missing, and no second session is left."""
    ground = await start("-hosts", "1", "-guests", "2", "-power", tls=True)
    source = ground.source(ground.vcsim.port)
    await source.open()
    await source.read()
    manager = ground.administrator().content.sessionManager
    own = manager.currentSession.key
    manager.TerminateSession([each.key for each in manager.sessionList if each.key != own])
    ground.clock.add(60)
    with caplog.at_level(logging.INFO):
        outcome = await source.read()
        ground.clock.add(60)
        await source.read()
    assert said(caplog) == ["session ended", "session renewed"]
    assert len(latest(outcome, "power")) == 3
    assert not outcome.failed
    assert len(manager.sessionList) == 2


async def test_a_guest_that_moves_is_told_on_its_new_host_at_the_next_reading(
    start: Start,
) -> None:
    """Without a new look at everything; its series stays the same."""
    ground = await start("-hosts", "3", "-guests", "2", "-power", tls=True)
    source = ground.source(ground.vcsim.port)
    described = await source.open()
    hosts = named(described, "host")
    before = await source.read()
    guest = named(described, "guest")["DC0_C0_RP0_VM0"]
    assert before.resources is not None
    content = ground.administrator().content
    moving = content.searchIndex.FindByInventoryPath("DC0/vm/DC0_C0_RP0_VM0")
    target = next(each for each in _hosts(content) if each != moving.runtime.host)
    _relocate(moving, target)
    ground.clock.add(60)
    after = await source.read()
    assert plain(after, "runs_on")[guest.id] == number_of(hosts[target.name].id)
    assert plain(before, "runs_on")[guest.id] != plain(after, "runs_on")[guest.id]
    assert after.resources is not None
    assert named(after.resources, "guest")["DC0_C0_RP0_VM0"].labels["host"] == target.name
    assert guest.id in latest(after, "power")


async def test_a_host_that_is_removed_leaves_the_description(start: Start) -> None:
    """At the next reading, with all the others still there."""
    ground = await start("-hosts", "2", "-guests", "2", "-power", tls=True)
    source = ground.source(ground.vcsim.port)
    await source.open()
    first = await source.read()
    content = ground.administrator().content
    leaving = _hosts(content)[0]
    staying = 3 - len(leaving.vm)
    for guest in list(leaving.vm):
        finished(guest.PowerOffVM_Task())
        finished(guest.Destroy_Task())
    name = leaving.name
    finished(leaving.Destroy_Task())
    ground.clock.add(60)
    outcome = await source.read()
    assert first.resources is not None
    assert outcome.resources is not None
    (gone,) = [each.id for each in first.resources if each.name == name]
    assert gone not in {each.id for each in outcome.resources}
    assert gone not in latest(outcome, "power")
    assert len(latest(outcome, "power")) == staying
    assert not outcome.failed


async def test_one_object_that_is_gone_does_not_spoil_the_answer_for_others(start: Start) -> None:
    """Between the look and the question a guest has vanished: the others have their values."""
    ground = await start("-hosts", "2", "-guests", "3", "-power")
    source = ground.source()
    described = await source.open()
    named_guests = sorted(each.id for each in described if each.id.startswith("guest:"))
    inventory = source.inventory
    assert inventory is not None
    key = next(key for key, each in inventory.guests.items() if each.resource == named_guests[0])

    def gone(method: str, body: bytes) -> bytes | None:
        if method != "QueryPerf" or f">{key}<".encode() not in body:
            return None
        return fault("ManagedObjectNotFound", f'<obj type="VirtualMachine">{key}</obj>')

    ground.relay.faults.append(gone)
    outcome = await source.read()
    assert named_guests[0] not in latest(outcome, "power")
    assert len(latest(outcome, "power")) == 4
    assert outcome.failed == {"gone": 1}


async def test_one_object_that_is_refused_is_found_by_halves(start: Start) -> None:
    """A fault that names nobody: the request is split until the others are answered."""
    ground = await start("-hosts", "2", "-guests", "3", "-power")
    source = ground.source()
    await source.open()
    inventory = source.inventory
    assert inventory is not None
    key = next(iter(inventory.hosts))

    def refused(method: str, body: bytes) -> bytes | None:
        if method != "QueryPerf" or f">{key}<".encode() not in body:
            return None
        return fault("InvalidArgument", "<invalidProperty>querySpec</invalidProperty>")

    ground.relay.faults.append(refused)
    outcome = await source.read()
    assert len(latest(outcome, "power")) == 4
    assert outcome.failed == {"refused": 1}


async def test_when_all_samples_are_refused_the_vcenter_is_lost(start: Start) -> None:
    """A reading without any value is a failure, whose reason the vCenter gave."""
    ground = await start("-hosts", "2", "-guests", "3", "-power")
    source = ground.source()
    await source.open()
    said = fault("NoPermission", '<object type="Folder">group-d1</object>')
    ground.relay.faults.append(lambda method, _: said if method == "QueryPerf" else None)
    with pytest.raises(RetryError, match=r"refused \(NoPermission\)"):
        await source.read()
    ground.relay.faults.clear()
    assert len(latest(await source.read(), "power")) == 5


async def test_a_new_guest_is_there_at_the_next_reading(start: Start) -> None:
    """Without a new look at everything: only what is new is looked at."""
    from jauge_agent.sources.vsphere.sdk import vim

    ground = await start("-hosts", "2", "-guests", "2", "-power", tls=True)
    source = ground.source(ground.vcsim.port)
    await source.open()
    await source.read()
    content = ground.administrator().content
    model = content.searchIndex.FindByInventoryPath("DC0/vm/DC0_C0_RP0_VM0")
    pool = model.resourcePool
    for name, is_template in (("new", False), ("golden", True)):
        spec = vim.vm.CloneSpec(
            location=vim.vm.RelocateSpec(pool=pool), powerOn=False, template=is_template
        )
        finished(model.CloneVM_Task(folder=model.parent, name=name, spec=spec))
    finished(content.searchIndex.FindByInventoryPath("DC0/vm/new").PowerOnVM_Task())
    ground.clock.add(60)
    outcome = await source.read()
    assert outcome.resources is not None
    guests = named(outcome.resources, "guest")
    assert guests.keys() == {"DC0_C0_RP0_VM0", "DC0_C0_RP0_VM1", "new"}
    assert guests["new"].id in plain(outcome, "runs_on")
    assert guests["new"].id in latest(outcome, "power")
    assert not outcome.failed


async def test_maintenance_is_a_label(start: Start) -> None:
    """While it lasts; a host under maintenance still draws power."""
    ground = await start("-hosts", "1", "-guests", "0", "-power", tls=True)
    source = ground.source(ground.vcsim.port)
    (described,) = await source.open()
    assert "maintenance" not in described.labels
    (host,) = _hosts(ground.administrator().content)
    finished(host.EnterMaintenanceMode_Task(timeout=0))
    outcome = await source.read()
    assert outcome.resources is not None
    assert named(outcome.resources, "host")[described.name].labels["maintenance"] == "yes"
    assert described.id in latest(outcome, "power")


async def test_a_guest_that_is_off_gives_nothing_and_is_described(start: Start) -> None:
    """Neither sizes nor samples."""
    ground = await start("-hosts", "1", "-guests", "2", "-power", tls=True)
    source = ground.source(ground.vcsim.port)
    guest = named(await source.open(), "guest")["DC0_C0_RP0_VM0"]
    await source.read()
    content = ground.administrator().content
    finished(content.searchIndex.FindByInventoryPath("DC0/vm/DC0_C0_RP0_VM0").PowerOffVM_Task())
    ground.clock.add(60)
    outcome = await source.read()
    given = {name for _, name, _ in values(outcome)} | {each.resource for each in outcome.samples}
    assert guest.id not in given
    assert len(latest(outcome, "power")) == 2
    assert guest.id in {each.id for each in source._announced}


async def test_a_certificate_of_another_authority_is_refused(start: Start) -> None:
    """By default; nothing is asked."""
    ground = await start("-hosts", "1", "-guests", "0")
    source = ground.source(ca_file=None)
    with pytest.raises(RetryError, match=r"refused: unable to get local issuer.*; ca_file must"):
        await source.open()
    assert ground.relay.methods == []


async def test_a_wrong_password_is_not_tried_for_ever(start: Start) -> None:
    """After three refusals nothing more is sent, and no secret is in the words."""
    ground = await start("-hosts", "1", "-guests", "0")
    ground.password.write_text("s3cr3t\n", encoding="utf-8")
    source = ground.source()
    for _ in range(2):
        with pytest.raises(RetryError, match="no session for this user") as refused:
            await source.open()
        assert "s3cr3t" not in str(refused.value)
    for _ in range(3):
        with pytest.raises(FatalError):
            await source.open()
    assert ground.relay.methods.count("Login") == 3


async def test_a_new_password_is_read_when_it_is_needed(start: Start) -> None:
    """An administrator writes it into the file; no restart of the agent."""
    ground = await start("-hosts", "1", "-guests", "1", "-power", tls=True)
    source = ground.source(ground.vcsim.port)
    await source.open()
    await source.read()
    await ground.vcsim.stop()
    ground.vcsim.flags += ["-password", "another"]
    await ground.vcsim.start()
    with pytest.raises(RetryError):  # its old connection is gone first
        await source.read()
    with pytest.raises(RetryError, match="no session for this user"):
        await source.read()
    ground.password.write_text("another\n", encoding="utf-8")
    ground.clock.add(60)
    assert len(latest(await source.read(), "power")) == 2


async def test_closing_in_the_middle_of_a_call_ends_the_session(start: Start) -> None:
    """The call that is in flight logs out when it ends."""
    ground = await start("-hosts", "1", "-guests", "1", tls=True)
    source = ground.source(ground.vcsim.port)
    await source.open()
    manager = ground.administrator().content.sessionManager
    reading = asyncio.create_task(source.read())
    await asyncio.sleep(0)
    await source.close()
    await asyncio.wait((reading,))
    await eventually(lambda: len(manager.sessionList) == 1, within=10, what="its session ended")


async def test_a_vcenter_that_drips_is_given_up_and_read_again_later(start: Start) -> None:
    """Its answer never ends; when nobody waits any more, the thread is free again."""
    ground = await start("-hosts", "1", "-guests", "1", "-power")
    source = ground.source()
    await source.open()
    ground.relay.drips.set()
    reading = asyncio.create_task(source.read())
    await eventually(
        lambda: "QueryPerf" in ground.relay.methods, within=10, what="it has been asked"
    )
    reading.cancel()
    await asyncio.wait((reading,))
    outcomes: list[Outcome] = []

    async def answers() -> bool:
        try:
            outcomes.append(await source.read())
        except RetryError:
            return False
        return True

    # Still dripping for others: only the request that was given up has to end.
    await eventually(lambda: source._thread._current is None, within=10, what="the thread is free")
    ground.relay.drips.clear()
    await eventually(answers, within=10, what="it is read again")
    assert len(latest(outcomes[0], "power")) == 2


async def test_nothing_but_reading_can_leave(start: Start) -> None:
    """Pyvmomi itself is held back."""
    from jauge_agent.sources.vsphere.failures import ForbiddenError

    ground = await start("-hosts", "1", "-guests", "1")
    source = ground.source()
    await source.open()
    inventory = source.inventory
    assert inventory is not None
    (guest,) = inventory.guests.values()
    with pytest.raises(ForbiddenError, match="PowerOffVM_Task"):
        guest.ref.PowerOffVM_Task()
    assert "PowerOffVM_Task" not in ground.relay.methods


def fault(kind: str, details: str) -> bytes:
    """A SOAP fault as a vCenter writes it."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope '
        'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><soapenv:Fault>'
        "<faultcode>ServerFaultCode</faultcode><faultstring></faultstring><detail>"
        f'<{kind}Fault xmlns="urn:vim25" xsi:type="{kind}">{details}</{kind}Fault>'
        "</detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>"
    ).encode()


def _hosts(content: Any) -> list[Any]:
    from pyVmomi import vim

    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.HostSystem], True)
    return list(view.view)


def _relocate(guest: Any, host: Any) -> None:
    from jauge_agent.sources.vsphere.sdk import vim

    finished(guest.RelocateVM_Task(spec=vim.vm.RelocateSpec(host=host), priority="highPriority"))


async def test_a_cluster_without_hosts_is_named_once(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """A wrong name in the list reads nothing, which would look like an empty vCenter."""
    ground = await start("-hosts", "1", "-guests", "1")
    source = ground.source(clusters=["DC0_C0", "Nowhere"])
    with caplog.at_level(logging.INFO):
        await source.open()
        await source.read()
        source._look_at = 0
        await source.read()
    told = [record for record in caplog.records if "cluster" in record.getMessage()]
    assert len(told) == 1
    assert "'Nowhere'" in str(told[0].__dict__)
