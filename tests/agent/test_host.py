"""The machine itself, with psutil as the one who knows better."""

import shutil
from pathlib import Path

import psutil
import pytest
from jauge_agent.procfs import ProcFile, Procfs
from jauge_agent.source import Outcome
from jauge_agent.sources.host import HostSettings, HostSource

FIXTURES = Path(__file__).parent / "fixtures" / "host"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A copy of the example server, to change."""
    shutil.copytree(FIXTURES / "server", tmp_path / "server")
    return tmp_path / "server"


async def opened(machine: Path) -> HostSource:
    """An open source on that machine."""
    source = HostSource(
        HostSettings(sysfs_root=str(machine / "sys"), procfs_root=str(machine / "proc"))
    )
    await source.open()
    return source


def values(outcome: Outcome) -> dict[str, float]:
    """Value by resource and quantity."""
    return {f"{s.resource}/{s.quantity}": s.value for s in outcome.samples}


def set_line(path: Path, start: str, line: str) -> None:
    """Replace the line that starts so, or take it out when the new one is empty."""
    kept = [
        line if old.lstrip().startswith(start) else old for old in path.read_text().splitlines()
    ]
    path.write_text("\n".join(filter(None, kept)) + "\n")


async def test_utilisation_is_that_since_the_previous_read(machine: Path) -> None:
    """60 busy of 100 ticks between two reads are 0.6; the first read has no previous one.

    user +40, system +10, steal +10 busy; idle +30, iowait +10 not; guest is part of user.
    """
    source = await opened(machine)
    assert "host/cpu_utilisation" not in values(await source.read())
    set_line(
        machine / "proc/stat", "cpu ", "cpu  100040 2000 50010 800030 3010 1000 4000 510 20030 0"
    )
    found = values(await source.read())
    await source.close()
    assert found["host/cpu_utilisation"] == pytest.approx(0.6)
    assert found["host/cpu_time"] == pytest.approx(1575.6)


async def test_no_time_between_two_reads_gives_no_utilisation(machine: Path) -> None:
    """Where the processor's clock has not moved there is nothing to divide by: no value."""
    source = await opened(machine)
    await source.read()
    assert "host/cpu_utilisation" not in values(await source.read())
    await source.close()


async def test_only_whole_disks_count(machine: Path) -> None:
    """The disks sda and nvme0n1: not partitions, loop, dm or a hidden path."""
    source = await opened(machine)
    found = values(await source.read())
    await source.close()
    assert found["host/disk_read"] == (2000 + 4000) * 512
    assert found["host/disk_written"] == (1000 + 1600) * 512


async def test_a_bond_is_not_counted_beside_its_members(machine: Path) -> None:
    """Bytes of the two cards count; loopback and the bond above the cards do not."""
    source = await opened(machine)
    found = values(await source.read())
    await source.close()
    assert found["host/network_received"] == 520_000
    assert found["host/network_sent"] == 310_000


async def test_without_hardware_every_interface_but_loopback_counts(machine: Path) -> None:
    """A container sees no card: its interfaces count."""
    shutil.rmtree(machine / "sys/class/net")
    source = await opened(machine)
    found = values(await source.read())
    await source.close()
    assert found["host/network_received"] == 500_000 + 20_000 + 520_000


async def test_totals_do_not_fall_when_a_device_goes(machine: Path) -> None:
    """A disk taken out leaves what it counted; a card that starts again at zero goes on."""
    source = await opened(machine)
    before = values(await source.read())
    set_line(machine / "proc/diskstats", "8       0 sda", "")
    set_line(
        machine / "proc/net/dev",
        "eno1:",
        "  eno1:  1000  4  0  0  0  0  0  0  600  5  0  0  0  0  0  0",
    )
    after = values(await source.read())
    await source.close()
    assert after["host/disk_read"] == before["host/disk_read"]
    assert after["host/network_received"] == before["host/network_received"] + 1000
    assert after["host/network_sent"] == before["host/network_sent"] + 600


async def test_thermal_zones_only_where_hwmon_has_no_temperature(machine: Path) -> None:
    """With one hwmon temperature the zones are left to it, lest the same place is said twice."""
    source = await opened(machine)
    assert any(key.endswith("/temperature") for key in values(await source.read()))
    await source.close()
    chip = machine / "sys/class/hwmon/hwmon0"
    chip.mkdir(parents=True)
    (chip / "temp1_input").write_text("48000\n")
    source = await opened(machine)
    assert not any(key.endswith("/temperature") for key in values(await source.read()))
    await source.close()


async def test_what_cannot_be_read_takes_nothing_else_with_it(machine: Path) -> None:
    """Without meminfo the memory is counted as failed and everything else comes."""
    source = await opened(machine)
    (machine / "proc/meminfo").write_text("")
    outcome = await source.read()
    await source.close()
    assert outcome.failed == {"memory": 1}
    assert "host/memory_used" not in values(outcome)
    assert "host/cpu_time" in values(outcome)


async def test_another_procfs_is_not_left_behind_for_others(machine: Path) -> None:
    """The path that psutil reads from is set for the read only."""
    source = await opened(machine)
    await source.read()
    await source.close()
    assert psutil.PROCFS_PATH == "/proc"


async def test_what_only_psutil_knows_is_read_by_psutil(machine: Path) -> None:
    """A line of diskstats as kernels before 2.6.25 wrote them: the rest still counts."""
    source = await opened(machine)
    before = values(await source.read())
    file = machine / "proc/diskstats"
    file.write_text(file.read_text() + "   8       9 sdz9 1 2 3 4\n")
    after = values(await source.read())
    await source.close()
    assert after["host/disk_read"] == before["host/disk_read"]
    assert after["host/disk_written"] == before["host/disk_written"]


async def test_this_very_machine_agrees_with_psutil() -> None:
    """On the machine of the test, each total lies between what psutil says before and after."""
    procfs = Procfs(Path("/proc"))
    cpu_before, disks_before, nics_before = _by_psutil()
    cpu, disks, nics = procfs.processor(), dict(procfs.disks()), dict(procfs.interfaces())
    total, available = procfs.memory()
    cpu_after, disks_after, nics_after = _by_psutil()
    procfs.close()
    assert cpu_before <= cpu.total_s - cpu.idle_s + 0.5
    assert cpu.total_s - cpu.idle_s <= cpu_after + 0.5
    for now, before, after in ((disks, disks_before, disks_after), (nics, nics_before, nics_after)):
        assert now.keys() == before.keys() == after.keys()
        for name, (into, out) in now.items():
            assert before[name][0] <= into <= after[name][0]
            assert before[name][1] <= out <= after[name][1]
    memory = psutil.virtual_memory()
    assert total == memory.total
    assert available == pytest.approx(memory.available, abs=0.2 * memory.total)


async def test_load_and_age_of_this_very_machine() -> None:
    """Load is what the system says; the age is positive."""
    source = HostSource(HostSettings())
    await source.open()
    found = values(await source.read())
    await source.close()
    assert found["host/uptime"] > 0
    assert found["host/load_average"] == pytest.approx(psutil.getloadavg()[0], abs=5)


def _by_psutil() -> tuple[float, dict[str, tuple[int, int]], dict[str, tuple[int, int]]]:
    times = psutil.cpu_times()
    busy = sum(times) - times.guest - times.guest_nice - times.idle - times.iowait
    disks = psutil.disk_io_counters(perdisk=True, nowrap=False) or {}
    nics = psutil.net_io_counters(pernic=True, nowrap=False) or {}
    return (
        busy,
        {name: (disk.read_bytes, disk.write_bytes) for name, disk in disks.items()},
        {name: (nic.bytes_recv, nic.bytes_sent) for name, nic in nics.items()},
    )


XEON = "Intel(R) Xeon(R) Gold 6248R CPU @ 3.00GHz"


def set_machine(
    machine: Path, *, processors: int = 96, flags: str = "fpu vme", dmi: dict[str, str]
) -> None:
    """What procfs and the firmware say of the machine."""
    (machine / "proc/cpuinfo").write_text(
        "".join(
            f"processor\t: {n}\nmodel name\t: {XEON.replace(' ', '  ')}\nflags\t\t: {flags}\n\n"
            for n in range(processors)
        )
    )
    folder = machine / "sys/class/dmi/id"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in dmi.items():
        (folder / name).write_text(f"{text}\n")


async def labels(machine: Path) -> dict[str, str]:
    """Labels of the host in the birth."""
    source = HostSource(
        HostSettings(sysfs_root=str(machine / "sys"), procfs_root=str(machine / "proc"))
    )
    host, *_ = await source.open()
    await source.close()
    return host.labels


async def test_the_birth_says_what_machine_it_is(machine: Path) -> None:
    """Model of processor and server, logical processors, GB: enough to choose a power model."""
    set_machine(machine, dmi={"sys_vendor": "Dell Inc.", "product_name": "PowerEdge R640"})
    total = next(
        int(line.split()[1])
        for line in (machine / "proc/meminfo").read_text().splitlines()
        if line.startswith("MemTotal:")
    )
    assert await labels(machine) == {
        "cpu": XEON,
        "processors": "96",
        "memory_gb": f"{total * 1024 / 1e9:.1f}",
        "vendor": "Dell Inc.",
        "product": "PowerEdge R640",
    }


FIRMWARE = {
    "sys_vendor": "Example Systems",
    "product_name": "ES-1",
    "product_serial": "EX-0417",
    "product_uuid": "4C4C4544-0051-4210-8052-B2C04F5A3532",
    "chassis_asset_tag": "INV-0042",
}
"""An invented server's."""


async def test_the_birth_says_which_machine_it_is(machine: Path) -> None:
    """Serial number, UUID in small letters and asset tag: by them an inventory knows it again."""
    set_machine(machine, dmi=FIRMWARE)
    found = await labels(machine)
    assert (found["serial"], found["asset_tag"]) == ("EX-0417", "INV-0042")
    assert found["uuid"] == "4c4c4544-0051-4210-8052-b2c04f5a3532"


@pytest.mark.parametrize("missing", ["product_serial", "product_uuid"])
async def test_what_only_root_may_read_is_left_out(machine: Path, missing: str) -> None:
    """A file that cannot be opened takes its own label alone, and nothing is reported."""
    set_machine(machine, dmi=FIRMWARE)
    whole = await labels(machine)
    file = machine / "sys/class/dmi/id" / missing
    file.unlink()
    file.mkdir()  # cannot be read, whoever runs the test
    gone = missing.removeprefix("product_")
    assert await labels(machine) == {name: whole[name] for name in whole if name != gone}


async def test_what_many_machines_tell_identifies_none(machine: Path) -> None:
    """A maker's defaults, and no UUID at all; vendor and product stay."""
    told = {
        "product_serial": "To be filled by O.E.M.",
        "product_uuid": "03000200-0400-0500-0006-000700080009",
        "chassis_asset_tag": "No Asset Tag",
    }
    set_machine(machine, dmi=FIRMWARE | told)
    found = await labels(machine)
    assert found.keys() & {"serial", "uuid", "asset_tag"} == set()
    assert found["vendor"] == "Example Systems"
    set_machine(machine, dmi=FIRMWARE | {"product_uuid": "not a UUID"})
    assert "uuid" not in await labels(machine)


async def test_a_virtual_machine_has_no_identity_of_hardware(machine: Path) -> None:
    """What it tells was made up by its host, and it is no server of the inventory."""
    set_machine(machine, flags="fpu hypervisor", dmi=FIRMWARE)
    assert (await labels(machine)).keys() & {"serial", "uuid", "asset_tag"} == set()


@pytest.mark.parametrize(
    ("flags", "dmi", "virtual"),
    [
        ("fpu", {"sys_vendor": "Dell Inc.", "product_name": "PowerEdge R640"}, None),
        ("fpu hypervisor vme", {}, "yes"),
        ("fpu nohypervisor", {}, None),
        ("fpu hypervisor", {"sys_vendor": "VMware, Inc.", "product_name": "VMware7,1"}, "yes"),
        ("fpu", {"sys_vendor": "QEMU", "product_name": "Standard PC (Q35 + ICH9, 2009)"}, "yes"),
        ("fpu hypervisor", {"sys_vendor": "Amazon EC2", "product_name": "m5.large"}, "Amazon EC2"),
        ("fpu", {"sys_vendor": "Amazon EC2", "product_name": "m6g.large"}, "Amazon EC2"),
        ("fpu", {"sys_vendor": "Amazon EC2", "product_name": "m5.metal"}, None),
        (
            "fpu hypervisor",
            {"sys_vendor": "Google", "product_name": "Google Compute Engine"},
            "Google Cloud",
        ),
        (
            "fpu hypervisor",
            {
                "sys_vendor": "Microsoft Corporation",
                "product_name": "Virtual Machine",
                "chassis_asset_tag": "7783-7084-3265-9085-8269-3286-77",
            },
            "Microsoft Azure",
        ),
        (
            "fpu hypervisor",
            {"sys_vendor": "Microsoft Corporation", "product_name": "Virtual Machine"},
            "yes",
        ),
    ],
)
async def test_a_virtual_machine_is_told_apart(
    machine: Path, flags: str, dmi: dict[str, str], virtual: str | None
) -> None:
    """By the hypervisor's flag or its names in the firmware; a cloud by its own name."""
    set_machine(machine, flags=flags, dmi=dmi)
    assert (await labels(machine)).get("virtual") == virtual


async def test_the_host_of_xen_guests_is_no_guest(machine: Path) -> None:
    """It sees the hypervisor as its guests do, but has control of it."""
    set_machine(machine, flags="fpu hypervisor", dmi={})
    (machine / "proc/xen").mkdir()
    (machine / "proc/xen/capabilities").write_text("control_d\n")
    assert "virtual" not in await labels(machine)


async def test_what_is_not_told_is_left_out(machine: Path) -> None:
    """Without cpuinfo, without memory and with a product that nobody named: no label at all."""
    set_machine(machine, dmi={"product_name": "To Be Filled By O.E.M."})
    (machine / "proc/cpuinfo").unlink()
    (machine / "proc/meminfo").write_text("MemTotal:\n")
    assert await labels(machine) == {}


@pytest.mark.parametrize("size", [0, 100, 2047, 2048, 2049, 16_384, 50_000])
def test_a_file_of_procfs_is_read_to_its_end(tmp_path: Path, size: int) -> None:
    """However many answers of the kernel it takes; read again it is whole again."""
    path = tmp_path / "diskstats"
    path.write_bytes(bytes(n % 251 for n in range(size)))
    file = ProcFile(path)
    assert file.whole() == path.read_bytes()
    assert file.whole() == path.read_bytes()
    file.close()
