"""Which of a vCenter's performance counters is which quantity.

Counters are known by name, never by number: each vCenter numbers its own (PerfCounterInfo). One
whose unit is another than expected is not read. Per cents are told in hundredths
(PerformanceManagerUnit). What is told in kilobytes is taken for 1024 bytes.

Watts are those of ``power.power.average``, the mean of the 20 s that end at the sample's time; the
sensors of a host (numericSensorInfo) are never read for them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

from jauge_models.wire import Method

WHOLE: Final = ""
"""The instance that stands for a whole host or guest."""
EACH: Final = "*"
"""Asks for every instance."""


class Shape(Enum):
    """How a counter's samples become a quantity."""

    LEVEL = "level"
    """Each sample is a value."""
    RATE = "rate"
    """Bytes per second, which become a running total."""


@dataclass(frozen=True, slots=True)
class Known:
    """One counter as VMware documents it."""

    quantity: str
    unit: str
    """Key of its unit in PerfCounterInfo."""
    factor: float
    """What its samples are multiplied by to be in the catalogue's unit."""
    most: float = float("inf")
    """More than this is no value of it."""
    shape: Shape = Shape.LEVEL
    is_gpu: bool = False
    of_hosts: bool = False
    """Read for hosts alone: a guest's energy comes of its part of the host's."""

    @property
    def is_for_guests(self) -> bool:
        """Whether guests are asked for it."""
        return not (self.is_gpu or self.of_hosts)

    def value(self, sample: int) -> float | None:
        """In the catalogue's unit; None where the vCenter has no value (-1), or a senseless one."""
        if sample < 0:
            return None
        value = sample * self.factor
        if value > self.most:
            return None
        # A processor above its nominal clock is busier than it can be.
        return min(value, 1.0) if self.unit == "percent" else value


KNOWN: Final[Mapping[str, Known]] = MappingProxyType(
    {
        "power.power.average": Known("power", "watt", 1),
        "power.energy.summation": Known("energy_amount", "joule", 1, of_hosts=True),
        "cpu.usage.average": Known("cpu_utilisation", "percent", 1e-4, 1.5),
        "mem.consumed.average": Known("memory_used", "kiloBytes", 1024),
        "disk.read.average": Known("disk_read", "kiloBytesPerSecond", 1024, shape=Shape.RATE),
        "disk.write.average": Known("disk_written", "kiloBytesPerSecond", 1024, shape=Shape.RATE),
        "net.received.average": Known(
            "network_received", "kiloBytesPerSecond", 1024, shape=Shape.RATE
        ),
        "net.transmitted.average": Known(
            "network_sent", "kiloBytesPerSecond", 1024, shape=Shape.RATE
        ),
        "gpu.utilization.average": Known("gpu_utilisation", "percent", 1e-4, 1.5, is_gpu=True),
        "gpu.mem.used.average": Known("memory_used", "kiloBytes", 1024, is_gpu=True),
        "gpu.temperature.average": Known("temperature", "celsius", 1, 200, is_gpu=True),
    }
)
"""By group, name and rollup."""

METHODS: Final[Mapping[str, Method]] = MappingProxyType(
    {
        known.quantity: Method.COUNTER if known.shape is Shape.RATE else Method.GAUGE
        for known in KNOWN.values()
    }
)


def numbered(offered: Iterable[Any]) -> dict[int, Known]:
    """The known counters by the numbers that this vCenter gives them."""
    found: dict[int, Known] = {}
    for each in offered:
        name = f"{each.groupInfo.key}.{each.nameInfo.key}.{each.rollupType}"
        known = KNOWN.get(name)
        if known is not None and each.unitInfo.key == known.unit:
            found[each.key] = known
    return found
