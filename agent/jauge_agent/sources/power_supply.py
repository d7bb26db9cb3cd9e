"""Batteries of this machine: charge, voltage, temperature.

Linux' power_supply class (Documentation/ABI/testing/sysfs-class-power): per cent, microvolts, and
tenths of a degree.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from jauge_models.quantities import CATALOGUE
from jauge_models.resources import identity

from jauge_agent.source import (
    AbsentError,
    Method,
    Outcome,
    ResourceDescription,
    RetryError,
    Sample,
    SourceSettings,
)
from jauge_agent.sysfs import Attribute, NoValueError, text_of
from jauge_agent.threaded import OwnThread

_VALUES: Final[Mapping[str, tuple[str, float]]] = MappingProxyType(
    {
        "capacity": ("charge", 100),
        "voltage_now": ("voltage", 1e6),
        "temp": ("temperature", 10),
    }
)
"""Attribute: the quantity, and what the attribute is divided by to be in its unit."""


class PowerSupplySettings(SourceSettings, frozen=True):
    """Settings of the power_supply source."""

    sysfs_root: str = "/sys"
    """Where sysfs is mounted."""


class PowerSupplySource:
    """Every battery of the machine, on a thread: an embedded controller may take its time."""

    Settings = PowerSupplySettings

    def __init__(self, settings: PowerSupplySettings) -> None:
        self._folder = Path(settings.sysfs_root) / "class" / "power_supply"
        self._readings: list[_Reading] = []
        self._thread = OwnThread("power_supply", settings.period_s)

    async def open(self) -> Sequence[ResourceDescription]:
        """Find the batteries; absent where there is none."""
        return await self._thread.call(self._open)

    async def read(self) -> Outcome:
        """Read every battery. Raises RetryError when none gave a value."""
        return await self._thread.call(self._read)

    def read_now(self) -> Outcome | None:
        """The same; None when a battery takes its time."""
        return self._thread.call_now(self._read)

    async def close(self) -> None:
        """Give files and thread back."""
        self._thread.close()
        for each in self._readings:
            each.attribute.close()

    def _open(self) -> Sequence[ResourceDescription]:
        self._readings = list(_found(self._folder))
        if not self._readings:
            raise AbsentError(f"no battery in {self._folder}: this machine shows none to Linux")
        described: dict[str, dict[str, Method]] = {}
        for each in self._readings:
            described.setdefault(each.resource, {})[each.quantity] = Method.GAUGE
        return [ResourceDescription(resource, methods) for resource, methods in described.items()]

    def _read(self) -> Outcome:
        samples: list[Sample] = []
        failed: Counter[str] = Counter()
        for each in self._readings:
            try:
                samples.append(Sample(each.resource, each.quantity, each.value()))
            except NoValueError as missing:
                failed[missing.reason] += 1
        if not samples:
            raise RetryError(f"no battery gave a value: {', '.join(sorted(failed))}")
        return Outcome(samples, failed)


@dataclass(frozen=True, slots=True)
class _Reading:
    """One attribute of one battery."""

    resource: str
    quantity: str
    divisor: float
    attribute: Attribute

    def value(self) -> float:
        """In the catalogue's unit; raises NoValueError."""
        value = self.attribute.read() / self.divisor
        limits = CATALOGUE[self.quantity]
        if not limits.low <= value <= limits.high:
            raise NoValueError("range")
        return value


def _found(folder: Path) -> Iterator[_Reading]:
    """What the machine's own batteries tell; those of a mouse are not its own."""
    for path in sorted(folder.glob("*")):
        if text_of(path / "type") != "Battery" or text_of(path / "scope") == "Device":
            continue
        for name, (quantity, divisor) in _VALUES.items():
            if (path / name).exists():
                resource = f"battery:{identity(path.name)}"
                yield _Reading(resource, quantity, divisor, Attribute(path / name))
