"""Reconciliation: how much of the IT energy of a month the hosts' own readings account for.

A ratio of two sums with the coverage of each, and never a PUE: switches, shelves and hosts without
an agent are in the denominator alone.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from jauge_models.boundaries import Flow
from jauge_models.crosschecks import HOUR_MS, Hours

LABEL: Final = "reconciliation of hosts with E_IT, a ratio, not a PUE"
GOAL: Final = 0.90
"""Below it much of the IT is not seen; above 1 something is counted twice or metered wrongly."""


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """One tenant's month, or the whole site's where ``tenant`` is empty; energies in J.

    Both sums run over the hours in which E_IT is measured and at least one host is; a host's own
    hours without a measurement are not in its sum and lower ``hosts_coverage``. ``ratio`` is None
    exactly when ``reason`` is given.
    """

    site: str
    tenant: str
    start_ms: int
    end_ms: int
    ratio: float | None
    reason: str | None
    label: str
    hosts: int
    hosts_energy: float | None
    it_energy: float | None
    hosts_coverage: float
    """Measured hours of all hosts over all their hours of the month."""
    it_coverage: float


def reconcile(
    hosts: Mapping[str, Hours],
    it: Sequence[Flow] | None,
    start_ms: int,
    end_ms: int,
    *,
    site: str,
    tenant: str = "",
    minimum: float,
) -> Reconciliation:
    """Σ hosts / E_IT over [start, end); ``it`` are its flows there, None without an equation.

    ``minimum`` is the coverage that either side needs.
    """
    length_ms = end_ms - start_ms
    told = [flow for flow in it or () if flow.amount is not None]
    it_ms = sum(flow.end_ms - flow.start_ms for flow in told)
    wanted = len(hosts) * length_ms
    host_ms = 0
    tops: list[float] = []
    bottoms: list[float] = []
    measured: dict[int, list[float]] = {}
    for hours in hosts.values():
        for hour_ms, hour in hours.items():
            if start_ms <= hour_ms < end_ms and hour.amount is not None:
                measured.setdefault(hour_ms, []).append(hour.amount)
                host_ms += HOUR_MS
    for flow in told:
        span_ms = flow.end_ms - flow.start_ms
        first = flow.start_ms - flow.start_ms % HOUR_MS
        for hour_ms in range(first, flow.end_ms, HOUR_MS):
            shared = min(flow.end_ms, hour_ms + HOUR_MS) - max(flow.start_ms, hour_ms)
            if hour_ms in measured:
                tops.append(math.fsum(measured[hour_ms]) * shared / HOUR_MS)
                bottoms.append((flow.amount or 0.0) * shared / span_ms)
    top, bottom = math.fsum(tops), math.fsum(bottoms)
    hosts_coverage = host_ms / wanted if wanted else 0.0
    it_coverage = it_ms / length_ms
    reason = None
    if it is None:
        reason = "no E_IT feed is known"
    elif not hosts:
        reason = "no host is known"
    elif hosts_coverage < minimum:
        reason = f"coverage of hosts {hosts_coverage:.1%} is below {minimum:.0%}"
    elif it_coverage < minimum:
        reason = f"coverage of E_IT {it_coverage:.1%} is below {minimum:.0%}"
    elif bottom <= 0:
        reason = "E_IT is zero or negative"
    return Reconciliation(
        site=site,
        tenant=tenant,
        start_ms=start_ms,
        end_ms=end_ms,
        ratio=None if reason else top / bottom,
        reason=reason,
        label=LABEL,
        hosts=len(hosts),
        hosts_energy=top if tops else None,
        it_energy=bottom if bottoms else None,
        hosts_coverage=hosts_coverage,
        it_coverage=it_coverage,
    )
