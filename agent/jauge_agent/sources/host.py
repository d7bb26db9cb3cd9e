"""The machine itself: processor, memory, disks, network, load.

Read from procfs, and by psutil what of it does not look as this kernel's documents say.
"""

import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import Final

import psutil
from jauge_models.quantities import CATALOGUE, Kind
from jauge_models.resources import identity

from jauge_agent.machine import labels_of
from jauge_agent.procfs import ProcessorTimes, Procfs
from jauge_agent.source import (
    AbsentError,
    Method,
    Outcome,
    ResourceDescription,
    RetryError,
    Sample,
    SourceSettings,
    samples_of,
)
from jauge_agent.sysfs import Attribute, NoValueError, text_of
from jauge_agent.threaded import OwnThread

_HOST: Final = "host"
_NETWORK: Final = ("network_received", "network_sent")

_Read = Callable[[], Mapping[str, float]]

_UNREADABLE: Final = (OSError, ValueError, TypeError, LookupError, NotImplementedError)
"""What files of procfs raise that are missing, cut off or of no known form."""


class HostSettings(SourceSettings, frozen=True):
    """Settings of the host source."""

    sysfs_root: str = "/sys"
    """Where sysfs is mounted."""
    procfs_root: str = "/proc"
    """Where procfs is mounted: another path in a container that sees the host's."""


class HostSource:
    """Utilisation and traffic of this machine; temperatures only where hwmon has none."""

    Settings = HostSettings

    def __init__(self, settings: HostSettings) -> None:
        self._sysfs = Path(settings.sysfs_root)
        self._root = settings.procfs_root
        self._procfs = Procfs(Path(settings.procfs_root))
        self._by_psutil: set[str] = set()
        """Parts that only psutil can read on this kernel."""
        self._processor = _Processor()
        self._disks = _Devices(self._is_whole_disk)
        self._interfaces = _Devices(self._is_interface)
        self._zones = _ThermalZones(self._sysfs)
        self._thread = OwnThread("thermal zones", settings.period_s)
        self._parts = tuple(self._listed_parts())

    async def open(self) -> Sequence[ResourceDescription]:
        """See what the machine offers; absent without procfs."""
        outcome = self._read_host()
        self._processor.forget()
        if outcome.failed.get("processor"):
            raise AbsentError(f"{self._root}/stat cannot be read: is procfs mounted there?")
        names = {"cpu_utilisation": None} | {sample.quantity: None for sample in outcome.samples}
        host = ResourceDescription(
            id=_HOST,
            quantities={name: _method(name) for name in names},
            labels=labels_of(Path(self._root), self._sysfs),
        )
        return [host, *self._zones.open()]

    async def read(self) -> Outcome:
        """Read everything once. Raises RetryError when nothing could be read."""
        # The firmware may take its time to answer for a thermal zone.
        zones = await self._thread.call(self._zones.read) if self._zones else None
        return _joined(self._read_host(), zones)

    def read_now(self) -> Outcome | None:
        """The same; None when the firmware takes its time."""
        if not self._zones:
            return _joined(self._read_host(), None)
        zones = self._thread.call_now(self._zones.read)
        return None if zones is None else _joined(self._read_host(), zones)

    async def close(self) -> None:
        """Give files and thread back."""
        self._thread.close()
        self._zones.close()
        self._procfs.close()

    def _read_host(self) -> Outcome:
        found: dict[str, float] = {}
        failed: dict[str, int] = {}
        for part, read, read_by_psutil in self._parts:
            try:
                if part not in self._by_psutil:
                    try:
                        found.update(read())
                        continue
                    except (ValueError, LookupError):
                        self._by_psutil.add(part)
                with _procfs_at(self._root):
                    found.update(read_by_psutil())
            except _UNREADABLE:
                failed[part] = 1
        return Outcome(samples_of(zip(repeat(_HOST), found, found.values())), failed)

    def _listed_parts(self) -> Iterable[tuple[str, _Read, _Read]]:
        """What is read, one by one, so that what fails takes nothing else with it."""
        procfs, processor = self._procfs, self._processor
        disks, interfaces = self._disks, self._interfaces
        return (
            (
                "processor",
                lambda: processor.shares(procfs.processor()),
                lambda: processor.shares(_processor_by_psutil()),
            ),
            (
                "memory",
                lambda: _memory(*procfs.memory()),
                lambda: _memory(*psutil.virtual_memory()[:2]),
            ),
            (
                "disks",
                lambda: _named(
                    disks.total(procfs.disks(disks.others)), "disk_read", "disk_written"
                ),
                lambda: _named(disks.total(_disks_by_psutil()), "disk_read", "disk_written"),
            ),
            (
                "network",
                lambda: _named(interfaces.total(procfs.interfaces(interfaces.others)), *_NETWORK),
                lambda: _named(interfaces.total(_interfaces_by_psutil()), *_NETWORK),
            ),
            ("load", _load, _load),
        )

    def _is_whole_disk(self, name: str) -> bool:
        """Not a partition, and not built upon another device as loop, dm and md are."""
        folder = self._sysfs / "block" / name.replace("/", "!")
        return (folder / "device").exists() and text_of(folder / "hidden") != "1"

    def _is_interface(self, name: str) -> bool:
        """A piece of hardware, not a bridge or bond above one; in a container all but lo."""
        folder = self._sysfs / "class" / "net"
        if any(folder.glob("*/device")):
            return (folder / name / "device").exists()
        return name != "lo"


class _ThermalZones:
    """Temperatures of the thermal zones, only where hwmon, which shows more, has none.

    As psutil does it, but at any root and with the files kept open.
    """

    def __init__(self, sysfs: Path) -> None:
        self._sysfs = sysfs
        self._zones: list[tuple[str, Attribute]] = []

    def __bool__(self) -> bool:
        return bool(self._zones)

    def open(self) -> Sequence[ResourceDescription]:
        """Name the zones by their type, with their number where two are of one type."""
        if _hwmon_has_temperatures(self._sysfs):
            return []
        folders = sorted((self._sysfs / "class" / "thermal").glob("thermal_zone*"))
        types = {folder: text_of(folder / "type") or folder.name for folder in folders}
        alike = Counter(types.values())
        self._zones = [
            (
                f"sensor:{identity(kind if alike[kind] == 1 else f'{kind}.{folder.name}')}",
                Attribute(folder / "temp"),
            )
            for folder, kind in types.items()
        ]
        return [
            ResourceDescription(id=resource, quantities={"temperature": Method.GAUGE})
            for resource, _ in self._zones
        ]

    def read(self) -> Outcome:
        """Read every zone; it may give nothing."""
        samples: list[Sample] = []
        failed: defaultdict[str, int] = defaultdict(int)
        limits = CATALOGUE["temperature"]
        for resource, attribute in self._zones:
            try:
                value = attribute.read() / 1000
            except NoValueError as missing:
                failed[missing.reason] += 1
                continue
            if limits.low <= value <= limits.high:
                samples.append(Sample(resource, "temperature", value))
            else:
                failed["range"] += 1
        return Outcome(samples, failed)

    def close(self) -> None:
        """Give the files back."""
        for _, attribute in self._zones:
            attribute.close()


def _hwmon_has_temperatures(sysfs: Path) -> bool:
    folder = sysfs / "class" / "hwmon"
    return any(folder.glob("hwmon*/temp*_input")) or any(folder.glob("hwmon*/device/temp*_input"))


class _Processor:
    """Processor time not idle, as a total and as a share since the read before."""

    def __init__(self) -> None:
        self._busy_s = 0.0
        self._total_s: float | None = None

    def forget(self) -> None:
        """Let the next read have none before it."""
        self._busy_s, self._total_s = 0.0, None

    def shares(self, now: ProcessorTimes) -> Mapping[str, float]:
        """What the times are worth."""
        total = now.total_s
        # The kernel's iowait may fall a little; the total here never does.
        busy = max(total - now.idle_s, self._busy_s)
        found = {"cpu_time": busy}
        if self._total_s is not None and total > self._total_s:
            share = (busy - self._busy_s) / (total - self._total_s)
            found["cpu_utilisation"] = min(share, 1.0)
        self._busy_s, self._total_s = busy, total
        return found


class _Devices:
    """Sum of the running totals of several devices, which only grows.

    A device that is taken out leaves behind what it counted; one that starts again goes on.
    """

    def __init__(self, counts: Callable[[str], bool]) -> None:
        self._counts = counts
        self.others: set[str] = set()
        """Those that do not count."""
        self._before: dict[str, tuple[int, int]] = {}
        self._sum = (0, 0)

    def total(self, devices: Iterable[tuple[str, tuple[int, int]]]) -> tuple[int, int] | None:
        """The two totals, or None where no device counts."""
        for name, now in devices:
            if (before := self._before.get(name)) is None:
                if name in self.others:
                    continue
                if not self._counts(name):
                    self.others.add(name)
                    continue
                before = (0, 0)
            self._sum = (
                self._sum[0] + _grown(before[0], now[0]),
                self._sum[1] + _grown(before[1], now[1]),
            )
            self._before[name] = now
        return self._sum if self._before else None


def _grown(before: int, now: int) -> int:
    return now - before if now >= before else now


def _joined(outcome: Outcome, zones: Outcome | None) -> Outcome:
    """Both as one, whose reasons are never the same; raises RetryError where nothing was read."""
    if zones is not None:
        samples = [*outcome.samples, *zones.samples]
        outcome = Outcome(samples, {**outcome.failed, **zones.failed})
    if not outcome.samples:
        raise RetryError(f"nothing could be read: {', '.join(sorted(outcome.failed))}")
    return outcome


def _memory(total: int, available: int) -> Mapping[str, float]:
    used = total - available
    return {"memory_used": used, "memory_utilisation": used / total}


def _processor_by_psutil() -> ProcessorTimes:
    times = psutil.cpu_times()
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return ProcessorTimes(sum(times) - guests, times.idle + times.iowait)


def _disks_by_psutil() -> Iterator[tuple[str, tuple[int, int]]]:
    for name, disk in (psutil.disk_io_counters(perdisk=True, nowrap=False) or {}).items():
        yield name, (disk.read_bytes, disk.write_bytes)


def _interfaces_by_psutil() -> Iterator[tuple[str, tuple[int, int]]]:
    for name, nic in (psutil.net_io_counters(pernic=True, nowrap=False) or {}).items():
        yield name, (nic.bytes_recv, nic.bytes_sent)


def _load() -> Mapping[str, float]:
    # Not psutil's boot time: that moves with every step of the wall clock.
    return {
        "load_average": os.getloadavg()[0],
        "uptime": time.clock_gettime(time.CLOCK_BOOTTIME),
    }


def _named(totals: tuple[int, int] | None, *names: str) -> Mapping[str, float]:
    return {} if totals is None else dict(zip(names, totals, strict=True))


def _method(quantity: str) -> Method:
    return Method.COUNTER if CATALOGUE[quantity].kind is Kind.COUNTER else Method.GAUGE


@contextmanager
def _procfs_at(root: str) -> Iterator[None]:
    """Sets the one global of psutil for the time of one read and no longer."""
    before = psutil.PROCFS_PATH
    psutil.PROCFS_PATH = root
    try:
        yield
    finally:
        psutil.PROCFS_PATH = before
