"""The budget of series at the agent: enforced, stable, said once, and watts are never cut."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from jauge_agent.budget import LEFT_OUT, Budget, Offer
from jauge_agent.config import ConfiguredSource, read
from jauge_agent.runner import Runner
from jauge_agent.source import Method, Outcome, ResourceDescription, SourceSettings
from jauge_agent.testing import ScriptedSource, Step, VirtualClock, configured, run_virtual
from jauge_models.budgets import Budgets, Family
from jauge_models.configuration import ConfigurationError
from jauge_models.wire import Sample

Batches = list[list[Sample]]
CORES = 64


def of_machine(cores: int = CORES) -> list[Sample]:
    """Temperatures as a machine of two sockets with many cores shows them, and a few others."""
    found = [
        Sample(f"sensor:coretemp.{n // 32}.Core-{n % 32}", "temperature", 40.0)
        for n in range(cores)
    ]
    found += [Sample("sensor:nvme-pci.Composite", "temperature", 35.0)]
    found += [Sample(f"sensor:fans.fan{n}", "fan_speed", 50.0) for n in range(8)]
    return found


def source(
    name: str, *script: Step, resources: Sequence[ResourceDescription] = ()
) -> ConfiguredSource:
    """A scripted source ready for the runner."""
    return configured(name, ScriptedSource(script, resources), SourceSettings(period_s=1.0))


def run(
    *sources: ConfiguredSource, seconds: float = 4.0, budgets: Budgets | None = None
) -> tuple[Batches, Runner, int]:
    """What is delivered in a few ticks, and how often the birth was to be told anew."""
    batches: Batches = []
    changes: list[None] = []

    async def main() -> Runner:
        runner = Runner(
            sources,
            deliver=lambda _, samples: batches.append(list(samples)),
            now_ms=VirtualClock().now_ms,
            on_change=lambda: changes.append(None),
            chance=random.Random(7),
            budgets=budgets,
        )
        task = asyncio.create_task(runner.run())
        await asyncio.sleep(seconds)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return runner

    return batches, run_virtual(main()), len(changes)


def series(batch: Sequence[Sample]) -> set[tuple[str, str]]:
    """What a batch has values of."""
    return {sample[:2] for sample in batch}


HOST = [
    Sample("host", quantity, 1.0)
    for quantity in ("uptime", "load_average", "cpu_time", "memory_used", "disk_read")
]
WATTS = [Sample("package:0", "energy", 5.0), Sample("sensor:acpi.power1", "power", 200.0)]


def test_of_a_machine_with_many_cores_the_last_cores_are_cut(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Watts, the host's own values, fans and disks stay; 60 in all, at every tick the same."""
    with caplog.at_level(logging.WARNING, "jauge_agent"):
        batches, runner, _ = run(
            source("hwmon", Outcome([*of_machine(), WATTS[1]])),
            source("host", Outcome(HOST)),
            source("rapl", Outcome([WATTS[0]])),
        )
    assert len(batches) >= 4
    for batch in batches:
        assert series(batch) == series(batches[0])
        assert len(batch) == 60
    kept = series(batches[0])
    assert series([*HOST, *WATTS, *of_machine(0)]) <= kept
    cut = [sample.resource for sample in of_machine() if sample[:2] not in kept]
    assert cut == [f"sensor:coretemp.1.Core-{n}" for n in range(12, 32)]
    assert runner.source_stats["hwmon"].left_out["budget"] == 20 * len(batches)
    assert runner.source_stats["host"].left_out["budget"] == 0
    (line,) = caplog.records
    fields = line.__dict__["fields"]
    assert (line.getMessage(), fields["resource"], fields["series"], fields["budget"]) == (
        "series left out",
        "host",
        80,
        60,
    )
    assert (fields["key"], fields["resources"]) == ("budget.host", 1)
    assert runner.budget.admitted == {Family.HOST: 60, Family.GUEST: 0, Family.GPU: 0}
    assert runner.budget.refused == {Family.HOST: 20, Family.GUEST: 0, Family.GPU: 0}


def test_watts_that_come_late_to_a_full_budget_are_taken() -> None:
    """Nothing that was admitted makes room for them: who is in stays in."""
    later = [Outcome([]), Outcome([]), Outcome(WATTS)]
    batches, _, _ = run(source("hwmon", Outcome(of_machine())), source("rapl", *later), seconds=6)
    first, last = series(batches[0]), series(batches[-1])
    assert len(first) == 60
    assert last == first | series(WATTS)


def test_what_has_no_room_has_none_when_others_are_silent() -> None:
    """A series that was left out stays out, though an admitted one gives no value for a while."""
    whole = [Sample("guest:a", q, 1.0) for q in ("runs_on", "disk_read", "disk_written")]
    batches, _, _ = run(
        source("vm", Outcome(whole), Outcome(whole[2:]), Outcome(whole[1:])),
        budgets=Budgets(guest=2),
    )
    assert [series(batch) for batch in batches[:2]] == [series(whole[:2]), series(whole[1:2])]


def test_each_guest_has_a_budget_and_devices_of_a_gateway_have_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two lines for two kinds, however many guests and ticks; a PDU's outlets all pass."""
    guests = [
        Sample(f"guest:{n}", quantity, 1.0)
        for n in range(50)
        for quantity in ("disk_read", "power", "runs_on", "uptime")
    ]
    outlets = [Sample(f"outlet:pdu.{n}", "power", 1.0) for n in range(200)]
    sensors = [Sample(f"sensor:pdu.{n}", "temperature", 1.0) for n in range(100)]
    gpus = [Sample("gpu:0", quantity, 1.0) for quantity in ("temperature", "energy", "frequency")]
    with caplog.at_level(logging.WARNING, "jauge_agent"):
        batches, runner, _ = run(
            source("vm", Outcome(guests)),
            source("nvml", Outcome(gpus)),
            source("snmp", Outcome([*outlets, *sensors])),
            budgets=Budgets(guest=3, gpu=2, host=1),
        )
    for batch in batches:
        counts = Counter(sample.resource.partition(":")[0] for sample in batch)
        assert counts == {"guest": 150, "gpu": 2, "outlet": 200, "sensor": 100}
        assert {s.quantity for s in batch if s.resource == "guest:9"} == {
            "power",
            "runs_on",
            "disk_read",
        }
    assert [record.__dict__["fields"]["key"] for record in caplog.records] == [
        "budget.guest",
        "budget.gpu",
    ]
    assert caplog.records[0].__dict__["fields"]["resources"] == 50
    assert runner.source_stats["snmp"].left_out["budget"] == 0


def test_what_devices_dated_is_held_to_the_same_budget() -> None:
    """Hours of history bring no series that the present does not have."""
    samples = [Sample("guest:a", q, 1.0) for q in ("uptime", "power", "disk_read")]
    backlog = Outcome(samples, dated={1000: samples, 2000: samples[::-1]})
    batches, runner, _ = run(source("vcenter", backlog), seconds=1.2, budgets=Budgets(guest=2))
    assert [series(batch) for batch in batches] == [
        {("guest:a", "power"), ("guest:a", "uptime")}
    ] * 3
    assert runner.source_stats["vcenter"].left_out["budget"] == 3


def test_the_birth_does_not_announce_what_never_comes() -> None:
    """Or the console takes it for silent; it says of the host how many are left out, once."""
    described = [
        ResourceDescription("host", {"power": Method.GAUGE, "uptime": Method.GAUGE}, "a name"),
        ResourceDescription("sensor:Core-0", {"temperature": Method.GAUGE}),
    ]
    samples = [Sample("sensor:Core-0", "temperature", 1.0), *HOST[:1], Sample("host", "power", 1.0)]
    one = source("host", Outcome(samples), resources=described)
    _, runner, changes = run(one, budgets=Budgets(host=2))
    assert changes == 2, "opened, and left out"
    _, (host,) = runner.describe()
    assert (host.name, set(host.quantities)) == ("a name", {"power", "uptime"})
    assert host.labels == {LEFT_OUT: "1"}
    one = source("hwmon", Outcome(samples[:1]), resources=described[1:])
    _, runner, _ = run(one, source("host", Outcome(HOST)), budgets=Budgets(host=5))
    assert runner.describe()[1] == [ResourceDescription("host", labels={LEFT_OUT: "1"})]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guests come and go for years; beyond the bound all are met anew, and it holds."""
    monkeypatch.setattr("jauge_agent.budget._MOST", 40)
    budget = Budget(Budgets(guest=2))
    for number in range(100):
        samples = [Sample(f"guest:{number}", q, 1.0) for q in ("uptime", "power", "disk_read")]
        taken = budget.taken([Offer(samples, of_machine=False, left_out=Counter())])
        assert {sample.quantity for sample in taken} == {"uptime", "power"}
        assert len(budget._admitted) + len(budget._refused) <= 40 + 3


def test_the_file_sets_the_budgets(tmp_path: Path) -> None:
    """And says where one is no number of series."""
    path = tmp_path / "agent.toml"
    path.write_text('site = "s"\n[budget]\nhost = 80\nguest = 20\n')
    assert read(path).budget.budgets == Budgets(80, 20, 25)
    path.write_text('site = "s"\n[budget]\ngpu = 0\n')
    with pytest.raises(ConfigurationError, match=r"budget\.gpu"):
        read(path)
