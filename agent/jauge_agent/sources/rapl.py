"""Energy counters of the processors: RAPL through Linux' powercap interface."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from jauge_models.resources import identity

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

_ZONE: Final = re.compile(r"(?P<control>[a-z]+-rapl(?:-mmio)?):(?P<zone>\d+)(?::\d+)?")
_MEMORY_MAPPED: Final = "-mmio"
_PARTS: Final = frozenset({"core", "uncore", "dram"})

_FIX: Final = (
    "energy_uj is for root only (Linux 5.10 and newer): give the service "
    "AmbientCapabilities=CAP_DAC_READ_SEARCH, or write into /etc/udev/rules.d/70-jauge.rules: "
    'SUBSYSTEM=="powercap", KERNEL=="*-rapl:*", ACTION=="add", '
    'RUN+="/bin/chgrp jauge /sys%p/energy_uj", RUN+="/bin/chmod g+r /sys%p/energy_uj"'
)


class RaplSettings(SourceSettings, frozen=True):
    """Settings of the rapl source."""

    sysfs_root: str = "/sys"
    """Where sysfs is mounted."""


class _Counter:
    """One zone's energy, unwrapped as long as the process lives."""

    def __init__(self, resource: str, name: str, folder: Path) -> None:
        self.resource = resource
        self.name = name
        self.register = Attribute(folder / "energy_uj")
        limit = text_of(folder / "max_energy_range_uj")
        self.range_uj = int(limit) if limit.isdecimal() else 0
        self._before = 0
        self._wrapped_uj = 0

    def read_j(self) -> float:
        """Total in J. It only grows, but starts again where the zone does not say its range."""
        now = self.register.read()
        if now < self._before:
            self._wrapped_uj += self.range_uj
        self._before = now
        return (self._wrapped_uj + now) / 1e6


class RaplSource:
    """Energy of packages, cores, uncore, memory and platform, in J."""

    Settings = RaplSettings

    def __init__(self, settings: RaplSettings) -> None:
        self._folder = Path(settings.sysfs_root) / "class" / "powercap"
        self._counters: list[_Counter] = []

    async def open(self) -> Sequence[ResourceDescription]:
        """Find the zones; absent where none counts or none may be read."""
        found = list(_counters(self._folder))
        if not found:
            raise AbsentError(
                f"no RAPL zones in {self._folder}: the processor or the hypervisor offers none, "
                "or the module intel_rapl_msr is not loaded"
            )
        reasons: Counter[str] = Counter()
        values: list[float] = []
        for counter in found:
            try:
                values.append(counter.read_j())
            except NoValueError as missing:
                reasons[missing.reason] += 1
        if not values:
            _close(found)
            problem = ", ".join(sorted(reasons))
            raise AbsentError(_FIX if "unreadable" in reasons else f"energy_uj is {problem}")
        if not any(values):
            _close(found)
            raise AbsentError("every RAPL counter stands at zero: the hypervisor does not fill it")
        self._counters = found
        return [
            ResourceDescription(
                id=counter.resource, quantities={"energy": Method.COUNTER}, name=counter.name
            )
            for counter in found
        ]

    async def read(self) -> Outcome:
        """See `read_now`."""
        return self.read_now()

    def read_now(self) -> Outcome:
        """Read every counter, a register each. Raises RetryError when none could be read."""
        found: list[tuple[str, str, float]] = []
        failed: defaultdict[str, int] = defaultdict(int)
        for counter in self._counters:
            try:
                found.append((counter.resource, "energy", counter.read_j()))
            except NoValueError as missing:
                failed[missing.reason] += 1
        if not found:
            raise RetryError(f"no energy counter could be read: {', '.join(sorted(failed))}")
        return Outcome(samples_of(found), failed)

    async def close(self) -> None:
        """Give the files back."""
        _close(self._counters)


def _counters(folder: Path) -> Iterator[_Counter]:
    """Every zone once: what the memory-mapped interface repeats is left out."""
    seen: set[str] = set()
    for path in sorted(folder.glob("*-rapl*:*"), key=_order):
        match = _ZONE.fullmatch(path.name)
        resource = _resource(path, folder, match) if match else None
        if resource is not None and resource not in seen:
            seen.add(resource)
            yield _Counter(resource, text_of(path / "name"), path)


def _order(path: Path) -> tuple[bool, list[int]]:
    control, _, numbers = path.name.partition(":")
    return control.endswith(_MEMORY_MAPPED), [int(part) for part in re.findall(r"\d+", numbers)]


def _resource(path: Path, folder: Path, match: re.Match[str]) -> str | None:
    """``package:0`` of a zone named package-0, ``core:0`` of the zone core inside it."""
    name = text_of(path / "name")
    kind, _, number = name.partition("-")
    if kind == "psys":
        return f"platform:{identity(number)}" if number else "platform"
    if kind == "package" and number:
        return f"package:{identity(number)}"
    if kind in _PARTS:
        parent = text_of(folder / f"{match['control']}:{match['zone']}" / "name")
        return f"{kind}:{identity(parent.removeprefix('package-') or match['zone'])}"
    return None


def _close(counters: Iterable[_Counter]) -> None:
    for counter in counters:
        counter.register.close()
