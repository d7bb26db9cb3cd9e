"""Bytes out of the rates that a vCenter gives for disks and networks.

A rate is the mean of the 20 s that end at its time. Their sum is a running total as long as no
sample is missing; where one is, the total begins anew, as that of a restarted machine does, so that
what was not seen is not counted as nothing.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

STEP_MS: Final = 20_000
"""Between two real-time samples (PerfInterval)."""
_SLACK_MS: Final = 2_000


class Totals:
    """Running totals by resource and quantity."""

    def __init__(self) -> None:
        self._at: dict[tuple[str, str], tuple[int, float]] = {}

    def add(self, resource: str, quantity: str, rates: Mapping[int, float]) -> tuple[int, float]:
        """Take rates in bytes per second by time in ms; gives the newest time and the total then.

        Rates that were taken before are left alone. ``rates`` holds one at least.
        """
        series = (resource, quantity)
        last, total = self._at.get(series, (0, 0.0))
        for time_ms in sorted(rates):
            if time_ms <= last:
                continue
            if abs(time_ms - last - STEP_MS) > _SLACK_MS:
                total = 0.0
            total += rates[time_ms] * STEP_MS / 1000
            last = time_ms
        self._at[series] = (last, total)
        return last, total

    def keep(self, resources: Collection[str]) -> None:
        """Forget what is not among these any more."""
        gone: Iterable[tuple[str, str]] = [each for each in self._at if each[0] not in resources]
        for series in gone:
            del self._at[series]
