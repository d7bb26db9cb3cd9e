"""Sensors of the machine's chips: temperature, power, energy, voltage, current, humidity, fans.

Linux' hwmon interface (Documentation/hwmon/sysfs-interface): milli-units, but for power and
energy (micro-units) and fans (revolutions per minute).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from jauge_models.quantities import CATALOGUE
from jauge_models.resources import MAX_NAME_LENGTH, identity

from jauge_agent.source import (
    AbsentError,
    Method,
    Outcome,
    ResourceDescription,
    RetryError,
    SourceSettings,
    samples_of,
)
from jauge_agent.sysfs import Attribute, NoValueError, text_of
from jauge_agent.threaded import OwnThread


class _Channel(NamedTuple):
    quantity: str
    divisor: float
    method: Method = Method.GAUGE


_CHANNELS: Final[Mapping[str, _Channel]] = MappingProxyType(
    {
        "temp": _Channel("temperature", 1e3),
        "power": _Channel("power", 1e6),
        "energy": _Channel("energy", 1e6, Method.COUNTER),
        "in": _Channel("voltage", 1e3),
        "curr": _Channel("current", 1e3),
        "humidity": _Channel("humidity", 1e3),
        "fan": _Channel("fan_speed", 60),
    }
)
_VALUE: Final = re.compile(rf"(?P<index>(?P<type>{'|'.join(_CHANNELS)})\d+)_(?:input|average)")
_PREFIX: Final = "sensor:"


class HwmonSettings(SourceSettings, frozen=True):
    """Settings of the hwmon source."""

    sysfs_root: str = "/sys"
    """Where sysfs is mounted."""


@dataclass(frozen=True, slots=True)
class _Chip:
    name: str
    device: str
    """Address on its bus, which survives a restart where the number of hwmonN does not."""
    folder: Path
    values: Mapping[str, Path]
    """File of the value by index: ``temp1`` to ``…/temp1_input``."""

    def label(self, index: str) -> str:
        return text_of(self.folder / f"{index}_label")


@dataclass(slots=True)
class _Sensor:
    resource: str
    name: str
    quantity: str
    method: Method
    divisor: float
    low: float
    high: float
    value: Attribute
    fault: Attribute | None

    def read(self) -> tuple[str, str, float]:
        """A sample in the catalogue's unit; raises NoValueError, also for a broken sensor."""
        if self.fault is not None and self.fault.read() != 0:
            raise NoValueError("fault")
        value = self.value.read() / self.divisor
        if self.low <= value <= self.high:
            return self.resource, self.quantity, value
        raise NoValueError("range")

    def close(self) -> None:
        self.value.close()
        if self.fault is not None:
            self.fault.close()


class HwmonSource:
    """Every sensor of every chip, on a thread: some chips take a second to answer."""

    Settings = HwmonSettings

    def __init__(self, settings: HwmonSettings) -> None:
        self._sensors = _Sensors(Path(settings.sysfs_root) / "class" / "hwmon")
        self._thread = OwnThread("hwmon", settings.period_s)

    async def open(self) -> Sequence[ResourceDescription]:
        """Find the sensors; absent where there is none."""
        return await self._thread.call(self._sensors.open)

    async def read(self) -> Outcome:
        """Read every sensor. Raises RetryError when none gave a value."""
        return await self._thread.call(self._sensors.read)

    def read_now(self) -> Outcome | None:
        """The same; None when a chip takes its time."""
        return self._thread.call_now(self._sensors.read)

    async def close(self) -> None:
        """Give files and thread back."""
        self._thread.close()
        self._sensors.close()


class _Sensors:
    """All sensors; a broken or silent one is left out and counted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sensors: list[_Sensor] = []

    def open(self) -> Sequence[ResourceDescription]:
        """Find the sensors; absent where there is none."""
        self._sensors = _sensors(_chips(self._folder))
        if not self._sensors:
            raise AbsentError(f"no sensors in {self._folder}: this machine shows none to Linux")
        quantities: defaultdict[str, dict[str, Method]] = defaultdict(dict)
        names: dict[str, str] = {}
        for sensor in self._sensors:
            quantities[sensor.resource][sensor.quantity] = sensor.method
            names.setdefault(sensor.resource, sensor.name)
        return [
            ResourceDescription(id=resource, quantities=methods, name=names[resource])
            for resource, methods in quantities.items()
        ]

    def read(self) -> Outcome:
        """Read every sensor. Raises RetryError when none gave a value."""
        found: list[tuple[str, str, float]] = []
        failed: defaultdict[str, int] = defaultdict(int)
        for sensor in self._sensors:
            try:
                found.append(sensor.read())
            except NoValueError as missing:
                failed[missing.reason] += 1
        if not found:
            raise RetryError(f"no sensor gave a value: {', '.join(sorted(failed))}")
        return Outcome(samples_of(found), failed)

    def close(self) -> None:
        """Give the files back."""
        for sensor in self._sensors:
            sensor.close()


def _chips(folder: Path) -> list[_Chip]:
    """Chips in the order of their devices, so that equal names are told apart alike each time."""
    chips: list[_Chip] = []
    for path in folder.glob("hwmon*"):
        # Old drivers keep the attributes in the device's folder.
        for place in (path, path / "device"):
            if values := _values(place):
                name = text_of(place / "name") or text_of(path / "name") or path.name
                chips.append(_Chip(name, _device(path), place, values))
                break
    return sorted(chips, key=lambda chip: _natural(f"{chip.device} {chip.folder.resolve()}"))


def _values(folder: Path) -> dict[str, Path]:
    """Files with values by index; an average stands before the moment's value where both are."""
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*_input")) + sorted(folder.glob("power*_average")):
        if match := _VALUE.fullmatch(path.name):
            found[match["index"]] = path
    return {index: found[index] for index in sorted(found, key=_natural)}


def _device(path: Path) -> str:
    """Address of a chip on its bus: ``coretemp.0``, ``0000:01:00.0``, ``7-0018``."""
    device = path / "device"
    # nvme0 and phy0 are numbered in the order of their discovery: the address stands above them.
    for part in reversed(device.resolve().parts if device.exists() else ()):
        if re.search(r"[0-9a-z][.:-][0-9a-z]", part):
            return part
    return ""


def _sensors(chips: Sequence[_Chip]) -> list[_Sensor]:
    sensors: list[_Sensor] = []
    for chip, chip_name in zip(chips, _chip_names(chips), strict=True):
        labels = {index: chip.label(index) for index in chip.values}
        said_by = Counter((_type(index), _slug(label)) for index, label in labels.items())
        for index, path in chip.values.items():
            slug, channel = _slug(labels[index]), _CHANNELS[_type(index)]
            limits = CATALOGUE[channel.quantity]
            # Two sensors of one chip may carry one label: then neither is known by it.
            last = slug if slug and said_by[_type(index), slug] == 1 else index
            sensors.append(
                _Sensor(
                    resource=_PREFIX
                    + identity(f"{chip_name}.{last}")[: MAX_NAME_LENGTH - len(_PREFIX)],
                    name=f"{chip.name} {labels[index] or index}",
                    quantity=channel.quantity,
                    method=channel.method,
                    divisor=channel.divisor,
                    low=limits.low,
                    high=limits.high,
                    value=Attribute(path),
                    fault=_optional(chip.folder / f"{index}_fault"),
                )
            )
    return sensors


def _chip_names(chips: Sequence[_Chip]) -> list[str]:
    """Names that tell the chips apart: with the device's address where two are called alike."""
    alike = Counter(chip.name for chip in chips)
    names: list[str] = []
    for chip in chips:
        if alike[chip.name] == 1:
            name = chip.name
        elif chip.device.startswith(chip.name):
            name = chip.device
        else:
            name = f"{chip.name}-{chip.device or chip.folder.name}"
        repeated = names.count(name)
        names.append(f"{name}.{repeated + 1}" if repeated else name)
    return names


def _slug(label: str) -> str:
    """A label as part of a name; empty when nothing of it is fit. Signs make a difference."""
    signed = re.sub(r"^-(?=\d)", "minus-", label.strip())
    try:
        return identity(signed)
    except ValueError:
        return ""


def _type(index: str) -> str:
    return index.rstrip("0123456789")


def _optional(path: Path) -> Attribute | None:
    return Attribute(path) if path.exists() else None


def _natural(text: str) -> list[tuple[int, str]]:
    """Sort key that puts temp2 before temp10."""
    parts: Iterable[str] = re.findall(r"\d+|\D+", text)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
