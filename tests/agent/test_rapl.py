"""Energy counters of the processors through powercap."""

import os
import shutil
from pathlib import Path

import pytest
from jauge_agent.source import AbsentError, Outcome, RetryError
from jauge_agent.sources.rapl import RaplSettings, RaplSource
from jauge_models.wire import Method

FIXTURES = Path(__file__).parent / "fixtures" / "rapl"


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    """A copy of the example with two sockets, to change."""
    shutil.copytree(FIXTURES / "two_sockets" / "sys", tmp_path / "sys")
    return tmp_path / "sys"


def zone(sysfs: Path, name: str) -> Path:
    """Folder of one powercap zone."""
    return sysfs / "class" / "powercap" / name


def counters(sysfs: Path) -> list[Path]:
    """Files of all counters."""
    return list(sysfs.glob("class/powercap/*/energy_uj"))


async def opened(sysfs: Path) -> RaplSource:
    """An open source on that sysfs."""
    source = RaplSource(RaplSettings(sysfs_root=str(sysfs)))
    await source.open()
    return source


def energies(outcome: Outcome) -> dict[str, float]:
    """Energy by resource."""
    return {sample.resource: sample.value for sample in outcome.samples}


async def test_a_wrap_adds_the_range_of_the_zone(sysfs: Path) -> None:
    """From 52 000.000001 J over 262 143.32885 J to 1.5 J: 262 144.82885 J; twice: a range more."""
    source = await opened(sysfs)
    counter = zone(sysfs, "intel-rapl:0") / "energy_uj"
    totals = []
    for raw in (262_000_000_000, 1_500_000, 262_000_000_000, 7):
        counter.write_text(f"{raw}\n")
        totals.append(energies(await source.read())["package:0"])
    await source.close()
    assert totals == pytest.approx([262_000.0, 262_144.82885, 524_143.32885, 524_286.657707])
    assert totals == sorted(totals)


async def test_the_wrap_of_one_zone_leaves_the_others_alone(sysfs: Path) -> None:
    """Each zone has its own range: memory wraps at 65 712.999613 J, the package does not."""
    source = await opened(sysfs)
    (zone(sysfs, "intel-rapl:0:1") / "energy_uj").write_text("1000000\n")
    found = energies(await source.read())
    await source.close()
    assert found["dram:0"] == pytest.approx(65_713.999613)
    assert found["package:0"] == pytest.approx(52_000.000001)


async def test_without_a_range_a_fall_shows_as_a_restart(sysfs: Path) -> None:
    """What flowed unseen is unknown then: the total starts again and nothing is made up."""
    (zone(sysfs, "intel-rapl:0") / "max_energy_range_uj").unlink()
    source = await opened(sysfs)
    (zone(sysfs, "intel-rapl:0") / "energy_uj").write_text("5000000\n")
    assert energies(await source.read())["package:0"] == 5.0
    await source.close()


async def test_the_memory_mapped_interface_is_not_counted_twice(sysfs: Path) -> None:
    """The package seen through MSR and through MMIO comes once, with the value of the MSR."""
    source = await opened(sysfs)
    outcome = await source.read()
    await source.close()
    assert [s.resource for s in outcome.samples].count("package:0") == 1
    assert energies(outcome)["package:0"] == 52_000.000001


async def test_a_package_only_behind_the_memory_mapped_interface_is_read(sysfs: Path) -> None:
    """The MMIO zone counts where no other zone shows the package."""
    shutil.rmtree(zone(sysfs, "intel-rapl:0"))
    source = await opened(sysfs)
    assert energies(await source.read())["package:0"] == 52_000.000009
    await source.close()


async def test_zones_are_described_as_counters(sysfs: Path) -> None:
    """Every zone is a device counter: it may wrap unseen while the agent is down."""
    source = RaplSource(RaplSettings(sysfs_root=str(sysfs)))
    described = await source.open()
    await source.close()
    assert {resource.id for resource in described} == {
        f"{kind}:{socket}" for kind in ("package", "core", "dram") for socket in (0, 1)
    }
    assert all(resource.quantities == {"energy": Method.COUNTER} for resource in described)


async def test_several_dies_and_several_platforms_keep_apart(sysfs: Path) -> None:
    """package-0-die-1 is package:0-die-1, its memory dram:0-die-1, psys-1 is platform:1."""
    folder = sysfs / "class" / "powercap"
    for path in folder.glob("intel-rapl*"):
        shutil.rmtree(path)
    zones = {
        "intel-rapl:0": "package-0-die-0",
        "intel-rapl:1": "package-0-die-1",
        "intel-rapl:1:0": "dram",
        "intel-rapl:2": "psys",
        "intel-rapl:3": "psys-1",
    }
    for number, (name, said) in enumerate(zones.items(), start=1):
        zone(sysfs, name).mkdir()
        (zone(sysfs, name) / "name").write_text(f"{said}\n")
        (zone(sysfs, name) / "energy_uj").write_text(f"{number}000000\n")
    source = await opened(sysfs)
    assert energies(await source.read()) == {
        "package:0-die-0": 1.0,
        "package:0-die-1": 2.0,
        "dram:0-die-1": 3.0,
        "platform": 4.0,
        "platform:1": 5.0,
    }
    await source.close()


async def test_counters_only_for_root_are_said_with_the_fix(
    sysfs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the right to read, the source is absent and names capability and udev rule."""
    real = os.open

    def refused(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith("energy_uj"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(AbsentError, match="CAP_DAC_READ_SEARCH") as absent:
        await opened(sysfs)
    assert "/etc/udev/rules.d/" in str(absent.value)


async def test_counters_that_all_stand_at_zero_are_absent(sysfs: Path) -> None:
    """A hypervisor that shows zones and fills none gives no energy, not zero energy."""
    for counter in counters(sysfs):
        counter.write_text("0\n")
    with pytest.raises(AbsentError, match="zero"):
        await opened(sysfs)


async def test_one_unreadable_counter_is_counted_and_the_rest_read(sysfs: Path) -> None:
    """A value that is no number is left out and counted; the others come."""
    source = await opened(sysfs)
    (zone(sysfs, "intel-rapl:1") / "energy_uj").write_text("\n")
    outcome = await source.read()
    assert outcome.failed == {"unparsable": 1}
    assert "package:1" not in energies(outcome)
    assert len(outcome.samples) == 5
    await source.close()


async def test_no_counter_at_all_asks_for_another_try(sysfs: Path) -> None:
    """When nothing can be read the read fails as temporary, and works again afterwards."""
    source = await opened(sysfs)
    kept = {path: path.read_text() for path in counters(sysfs)}
    for path in kept:
        path.write_text("")
    with pytest.raises(RetryError, match="unparsable"):
        await source.read()
    for path, text in kept.items():
        path.write_text(text)
    assert len((await source.read()).samples) == 6
    await source.close()
