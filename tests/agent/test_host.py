"""The machine itself, with psutil as the one who knows better."""

import shutil
from pathlib import Path

import psutil
import pytest
from jauge_agent.procfs import Procfs
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
