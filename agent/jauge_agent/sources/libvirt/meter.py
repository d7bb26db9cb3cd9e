"""What one guest has used and was given, out of libvirt's statistics, in the catalogue's units.

- ``cpu_time``: processor time of the guest's whole process, so with what its emulated devices
  take, which the host's power pays as well; it may exceed the time of its processors.
- ``memory_size``: what the balloon leaves the guest now.
- ``memory_used``: what the guest itself calls not available, where its balloon driver tells it
  (`BY_GUEST`); else what its process holds of the host's memory (`RESIDENT`), which hardly ever
  falls. Once the guest has told it, the other measure is not taken in its place.
- disks and networks: sums over the guest's devices, seen from the guest. A sum is left out while
  a device that was counted before is listed without its counters, or it would fall and rise.
"""

from collections import Counter
from typing import Final

from jauge_models.quantities import CATALOGUE

from jauge_agent.sources.libvirt.records import Stats

BY_GUEST: Final = "guest"
RESIDENT: Final = "resident"

STALE_S: Final = 600.0
"""Age at which what a balloon driver said of the guest's memory no longer counts."""

_RUNNING: Final = frozenset({1, 2, 4})
"""virDomainState: running, blocked, being shut down. Not paused: on the way from one host to the
other a guest exists on both, and is paused on the one where it does not run."""
_MOST_DEVICES: Final = 1024
_KIB: Final = 1024


def is_running(stats: Stats) -> bool:
    """Whether the guest executes here."""
    return stats.get("state.state") in _RUNNING


class Meter:
    """One guest, from one reading to the next."""

    def __init__(self) -> None:
        self.memory: str = RESIDENT
        """What ``memory_used`` measures."""
        self._counted: dict[str, set[str]] = {"block": set(), "net": set()}
        """Devices whose counters were seen, by group."""

    def read(self, stats: Stats, now_s: float) -> tuple[dict[str, float], Counter[str]]:
        """Values by quantity, and how many could not be had by reason. ``now_s``: Unix time."""
        failed: Counter[str] = Counter()
        values: dict[str, float | None] = {
            "cpu_time": _scaled(stats, "cpu.time", 1e-9),
            "processors": _scaled(stats, "vcpu.current", 1),
            "memory_size": _scaled(stats, "balloon.current", _KIB),
            "memory_used": self._memory_used(stats, now_s, failed),
        }
        self._add(values, failed, stats, "block", ("disk_read", "rd"), ("disk_written", "wr"))
        self._add(values, failed, stats, "net", ("network_received", "rx"), ("network_sent", "tx"))
        sound: dict[str, float] = {}
        for quantity, value in values.items():
            if value is None:
                continue
            entry = CATALOGUE[quantity]
            if entry.low <= value <= entry.high:
                sound[quantity] = value
            else:
                failed["range"] += 1
        failed["none"] += sum(values[each] is None for each in ("cpu_time", "processors"))
        return sound, +failed

    def _memory_used(self, stats: Stats, now_s: float, failed: Counter[str]) -> float | None:
        available, usable = _number(stats, "balloon.available"), _number(stats, "balloon.usable")
        updated = _number(stats, "balloon.last-update")
        if (
            available is not None
            and usable is not None
            and updated is not None
            and abs(now_s - updated) <= STALE_S
            and available >= usable
        ):
            self.memory = BY_GUEST
            return float((available - usable) * _KIB)
        if self.memory == BY_GUEST:
            failed["stale"] += 1
            return None
        return _scaled(stats, "balloon.rss", _KIB)

    def _add(
        self,
        values: dict[str, float | None],
        failed: Counter[str],
        stats: Stats,
        group: str,
        *pairs: tuple[str, str],
    ) -> None:
        """The sums over the devices of a group, unless one has lost its counters."""
        count = min(_number(stats, f"{group}.count") or 0, _MOST_DEVICES)
        sums = dict.fromkeys((quantity for quantity, _ in pairs), 0)
        listed: set[str] = set()
        counted: set[str] = set()
        for index in range(count):
            name = str(stats.get(f"{group}.{index}.name", index))
            listed.add(name)
            found = [_number(stats, f"{group}.{index}.{key}.bytes") for _, key in pairs]
            if None in found:
                continue
            counted.add(name)
            for (quantity, _), value in zip(pairs, found, strict=True):
                sums[quantity] += value or 0
        known = self._counted[group] & listed
        self._counted[group] = known | counted
        if known - counted:
            failed["partial"] += len(pairs)
        elif counted:
            values.update(sums)


def _number(stats: Stats, key: str) -> int | None:
    value = stats.get(key)
    return value if isinstance(value, int) else None


def _scaled(stats: Stats, key: str, factor: float) -> float | None:
    value = _number(stats, key)
    return None if value is None else value * factor
