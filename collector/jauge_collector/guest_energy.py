"""Energy of a period by guest, host, cluster, tenant or service, out of the ledger's shares.

The rows, and what hosts keep as their own where no row holds it, add up to the hosts' energy.
Clusters and services are those of the last description before the end; a tenant is told hour by
hour, first by the site file, else by the label of the guest's birth.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import fsum
from typing import Literal

import msgspec
from jauge_models.attribution import Certainty

from jauge_collector import civil
from jauge_collector.access.holders import Holders
from jauge_collector.access.tenancy import Tenancy
from jauge_collector.guest_amounts import parted
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.histories import Histories, described, labels_at
from jauge_collector.ledger.shares import OWN, Share, ShareTotal
from jauge_collector.sites import Site

By = Literal["guest", "host", "cluster", "tenant", "service"]


class EnergyOf(msgspec.Struct, frozen=True, kw_only=True):
    """Energy of one guest, host, cluster, tenant or service, in J."""

    key: str
    """Subject of the guest or host, else the name; empty for what names none."""
    name: str
    """For people."""
    energy: float
    idle: float
    dynamic: float
    gpu: float
    estimated: float
    """How much of the energy is estimated at least in part."""
    guests: int
    covered_ms: int
    """Time of guests, each counted; of a host alone, its own."""
    certainty: Certainty
    """The worst."""


class GuestEnergy(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over a period: rows and ``own`` add up to ``energy``, in J."""

    site: str
    start: str
    end: str
    by: By
    rows: list[EnergyOf]
    own: float | None
    """What hosts keep as their own; None where the rows hold it, or where nothing is known."""
    energy: float | None
    """None where nothing was shared out in the period."""
    final: bool


def guest_energy(ledger: Ledger, site: Site, start_ms: int, end_ms: int, *, by: By) -> GuestEnergy:
    """The sums of the hours that begin in [start, end), the largest first. Raises LedgerError."""
    totals = ledger.share_totals(site.name, start_ms, end_ms)
    histories = ledger.histories(site.name)
    groups: dict[str, list[ShareTotal | Share]] = defaultdict(list)
    own: list[float] = []
    for key, part in _grouped(ledger, site, totals, (start_ms, end_ms), by=by, histories=histories):
        if key is None:
            own.append(part.energy)
        else:
            groups[key].append(part)
    rows = [
        EnergyOf(
            key=key,
            name=_name(key, by, site, histories, end_ms),
            energy=fsum(part.energy for part in parts),
            idle=fsum(part.idle for part in parts),
            dynamic=fsum(part.dynamic for part in parts),
            gpu=fsum(part.gpu for part in parts),
            estimated=fsum(part.energy for part in parts if part.certainty is Certainty.ESTIMATED),
            guests=len({part.guest.partition("/")[2] for part in parts} - {""}),
            covered_ms=sum(
                part.covered_ms for part in parts if (part.guest == OWN) == (by == "host")
            ),
            certainty=max((part.certainty for part in parts), key=lambda one: one.rank),
        )
        for key, parts in groups.items()
    ]
    return GuestEnergy(
        site=site.name,
        start=_iso(start_ms, site),
        end=_iso(end_ms, site),
        by=by,
        rows=sorted(rows, key=lambda row: (-row.energy, row.key)),
        own=fsum(own) if totals and by not in {"host", "cluster"} else None,
        energy=fsum(total.energy for total in totals) if totals else None,
        final=bool(totals) and all(total.final for total in totals),
    )


def _grouped(
    ledger: Ledger,
    site: Site,
    totals: Sequence[ShareTotal],
    span: tuple[int, int],
    *,
    by: By,
    histories: Histories,
) -> Iterator[tuple[str | None, ShareTotal | Share]]:
    """Each total, or share of it, with the row that it belongs to; None for hosts' own."""
    holders = Holders(Tenancy(site), histories)
    clusters = {host.id: host.cluster for host in site.hosts}
    for total in totals:
        labels = labels_at(histories, total.guest, span[1])
        if by == "host":
            yield total.host, total
        elif by == "cluster":
            told = _labels_of_host(site, histories, total.host, span[1])
            named = clusters.get(total.host) or told.get("cluster") or labels.get("cluster")
            yield named or "", total
        elif total.guest == OWN:
            yield None, total
        elif by == "guest":
            yield total.guest, total
        elif by == "service":
            yield labels.get("service", ""), total
        else:
            yield from parted(ledger, site.name, total, holders, span)


def _labels_of_host(site: Site, histories: Histories, host: str, at_ms: int) -> Mapping[str, str]:
    """What births say of a host: of a declared one, the first feed of which they say anything."""
    declared = next((one for one in site.hosts if one.id == host), None)
    feeds = [f"{f.agent}/{f.resource}" for f in declared.meter.feeds] if declared else [host]
    told = (described(histories, feed, at_ms) for feed in feeds)
    return next((one.labels for one in told if one is not None), {})


def _name(key: str, by: By, site: Site, histories: Histories, at_ms: int) -> str:
    if by == "host":
        declared = next((one.meter.name for one in site.hosts if one.id == key), "")
        said = described(histories, key, at_ms)
        return declared or (said.name if said else "") or key
    if by == "guest":
        said = described(histories, key, at_ms)
        return (said.name if said else "") or key
    return key


def _iso(time_ms: int, site: Site) -> str:
    return civil.local(time_ms, site.zone).isoformat()
