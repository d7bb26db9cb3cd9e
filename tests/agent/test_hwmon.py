"""Sensors of the machine's chips."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from jauge_agent.source import Outcome, RetryError
from jauge_agent.sources.hwmon import HwmonSettings, HwmonSource

FIXTURES = Path(__file__).parent / "fixtures" / "hwmon"


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    """A copy of the example server, to change."""
    shutil.copytree(FIXTURES / "server" / "sys", tmp_path / "sys", symlinks=True)
    return tmp_path / "sys"


def silence(sysfs: Path) -> None:
    """Let every sensor answer nothing."""
    for pattern in ("*_input", "*_average"):
        for path in sysfs.glob(f"devices/**/{pattern}"):
            path.write_text("")


async def one_reading(sysfs: Path) -> Outcome:
    """What one read of a fresh source gives."""
    source = HwmonSource(HwmonSettings(sysfs_root=str(sysfs)))
    await source.open()
    outcome = await source.read()
    await source.close()
    return outcome


def values(outcome: Outcome) -> dict[str, float]:
    """Value by resource and quantity."""
    return {f"{s.resource}/{s.quantity}": s.value for s in outcome.samples}


async def test_broken_silent_and_senseless_sensors_are_counted_by_reason(sysfs: Path) -> None:
    """The example has one sensor with its fault set, one at -128 °C and one that says nothing."""
    outcome = await one_reading(sysfs)
    assert outcome.failed == {"fault": 1, "range": 1, "unparsable": 1}
    for label in ("AUXTIN", "AUXTIN1", "PECI"):
        assert f"sensor:nct6779.{label}/temperature" not in values(outcome)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENODATA, errno.EAGAIN, errno.EACCES])
async def test_a_sensor_that_answers_with_an_error_is_left_out(
    sysfs: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """An error of the device or the right to read gives a count, no value and above all no zero."""
    before = values(await one_reading(sysfs))
    silent = (sysfs / "class/hwmon/hwmon6/temp1_input").stat().st_ino
    real = os.pread

    def failing(file: int, length: int, offset: int) -> bytes:
        if os.fstat(file).st_ino == silent:
            raise OSError(number, os.strerror(number))
        return real(file, length, offset)

    monkeypatch.setattr(os, "pread", failing)
    outcome = await one_reading(sysfs)
    assert outcome.failed["unreadable"] == 1
    assert before.keys() - values(outcome).keys() == {"sensor:sht4x.temp1/temperature"}


async def test_names_do_not_follow_the_numbers_of_hwmon(sysfs: Path) -> None:
    """With the chips numbered the other way round, every series keeps its name and value."""
    before = values(await one_reading(sysfs))
    folder = sysfs / "class" / "hwmon"
    targets = {path.name: path.readlink() for path in folder.iterdir()}
    for number, name in enumerate(sorted(targets, reverse=True)):
        (folder / name).unlink()
        (folder / f"hwmon{100 + number}").symlink_to(targets[name])
    assert values(await one_reading(sysfs)) == before


async def test_a_chip_that_shares_its_name_is_known_by_its_device(sysfs: Path) -> None:
    """Two NVMe drives: the one that stays keeps its value under the address of its slot."""
    found = values(await one_reading(sysfs))
    assert found["sensor:nvme-0000:01:00.0.Composite/temperature"] == 36.85
    assert found["sensor:nvme-0000:02:00.0.Composite/temperature"] == 38.85


async def test_two_chips_of_one_name_on_one_device_keep_apart(sysfs: Path) -> None:
    """A second sensor chip of the same name behind the same address gets a number of its own."""
    twin = sysfs / "devices/pci0000:00/0000:00:1f.4/i2c-0/0-0040/hwmon/hwmon9"
    shutil.copytree(sysfs / "class/hwmon/hwmon6", twin, symlinks=True)
    (twin / "temp1_input").write_text("20000\n")
    (sysfs / "class/hwmon/hwmon9").symlink_to(twin)
    found = values(await one_reading(sysfs))
    assert found["sensor:sht4x-0-0040.temp1/temperature"] == 23.41
    assert found["sensor:sht4x-0-0040.2.temp1/temperature"] == 20.0


async def test_attributes_in_the_folder_of_the_device_are_found(sysfs: Path) -> None:
    """Old drivers keep them there; they are read once, not twice."""
    device = sysfs / "devices/platform/applesmc.768"
    (device / "hwmon/hwmon8").mkdir(parents=True)
    (device / "hwmon/hwmon8/device").symlink_to("../..")
    (device / "name").write_text("applesmc\n")
    (device / "fan1_input").write_text("1998\n")
    (sysfs / "class/hwmon/hwmon8").symlink_to("../../devices/platform/applesmc.768/hwmon/hwmon8")
    outcome = await one_reading(sysfs)
    assert values(outcome)["sensor:applesmc.fan1/fan_speed"] == pytest.approx(33.3)
    assert len(outcome.samples) == len(values(outcome))


async def test_no_sensor_at_all_asks_for_another_try(sysfs: Path) -> None:
    """When every sensor is silent the read fails as temporary."""
    source = HwmonSource(HwmonSettings(sysfs_root=str(sysfs)))
    await source.open()
    silence(sysfs)
    with pytest.raises(RetryError, match="unparsable"):
        await source.read()
    await source.close()
