"""RAPL and hwmon on a recorded /sys, against what node_exporter says of the same recording."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jauge_agent.source import Outcome, Source
from jauge_agent.sources.hwmon import HwmonSettings, HwmonSource
from jauge_agent.sources.rapl import RaplSettings, RaplSource
from jauge_models.resources import identity

CHIPS = {
    "hwmon4": "hwmon4",
    "ieee80211_phy0_mt7996_phy0_0": "mt7996_phy0_0",
    "ieee80211_phy0_mt7996_phy0_1": "mt7996_phy0_1",
    "ieee80211_phy0_mt7996_phy0_2": "mt7996_phy0_2",
    "nct6779": "nct6779",
    "platform_applesmc_768": "applesmc",
    "platform_coretemp_0": "coretemp.0",
    "platform_coretemp_1": "coretemp.1",
}
"""Its name of a chip and ours."""

METRICS = {
    "node_hwmon_temp_celsius": ("temperature", 1.0),
    "node_hwmon_in_volts": ("voltage", 1.0),
    "node_hwmon_fan_rpm": ("fan_speed", 1 / 60),
}

LINE = re.compile(r'(\w+)\{chip="([^"]*)"(?:,label="([^"]*)")?,sensor="([^"]*)"\} (\S+)')


def unpack(archive: Path, into: Path) -> None:
    """Write out a ttar archive: text with the headers Path, Lines, Directory, SymlinkTo, Mode."""
    lines = iter(archive.read_text().splitlines())
    path = into
    for line in lines:
        header, _, value = line.partition(": ")
        if header == "Directory":
            (into / value).mkdir(parents=True, exist_ok=True)
        elif header == "Path":
            path = into / value
            path.parent.mkdir(parents=True, exist_ok=True)
        elif header == "SymlinkTo":
            path.symlink_to(value)
        elif header == "Lines":
            path.write_text(content(lines, int(value)))


def content(lines: Iterator[str], number: int) -> str:
    """The next lines as a file's text; EOF marks a last line without an end."""
    text = "".join(f"{next(lines)}\n" for _ in range(number))
    return text.removesuffix("EOF\n").replace("NULLBYTE", "\0")


@pytest.fixture(scope="module")
def sysfs(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recording of node_exporter's tests, unpacked."""
    archive = shared_data / "node_exporter" / "sys.ttar"
    if not archive.exists():
        pytest.skip("the recorded sysfs is not here")
    folder = tmp_path_factory.mktemp("recorded")
    unpack(archive, folder)
    return folder / "sys"


async def one_reading(source: Source) -> Outcome:
    """What one read of a source gives."""
    await source.open()
    outcome = await source.read()
    await source.close()
    return outcome


async def test_rapl_gives_package_and_core_of_the_recording(sysfs: Path) -> None:
    """240 422.366267 J of the package and 118 821.284256 J of its cores, to the microjoule."""
    outcome = await one_reading(RaplSource(RaplSettings(sysfs_root=str(sysfs))))
    assert [(s.resource, s.quantity, s.value) for s in outcome.samples] == [
        ("package:0", "energy", 240422.366267),
        ("core:0", "energy", 118821.284256),
    ]


async def test_hwmon_gives_what_node_exporter_gives(sysfs: Path, shared_data: Path) -> None:
    """Temperatures, voltages and fans: each value that node_exporter has, and no other."""
    text = (shared_data / "node_exporter" / "expected_rapl_hwmon.txt").read_text()
    found = LINE.findall(text)
    labels = {
        (chip, sensor): label
        for metric, chip, label, sensor, _ in found
        if metric == "node_hwmon_sensor_label"
    }
    expected: dict[tuple[str, str], float] = {}
    for metric, chip, _, sensor, value in found:
        if metric in METRICS:
            quantity, factor = METRICS[metric]
            label = labels.get((chip, sensor), "")
            alike = [(c, w) for (c, _), w in labels.items()].count((chip, label))
            last = identity(label) if alike == 1 else sensor
            expected[f"sensor:{CHIPS[chip]}.{last}", quantity] = float(value) * factor
    outcome = await one_reading(HwmonSource(HwmonSettings(sysfs_root=str(sysfs))))
    assert {(s.resource, s.quantity): s.value for s in outcome.samples} == pytest.approx(expected)
    assert outcome.failed == {}
    assert len(expected) == 20
