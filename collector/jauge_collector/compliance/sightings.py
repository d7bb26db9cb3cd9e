"""Machines that reported in a quarter: hosts that agents, BMCs, vCenter or Proxmox told of.

What is a virtual machine itself is no server. A machine that the inventory lacks counts in the
denominator, so what cannot be asked (a store that does not answer) is an error, never a nobody.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from jauge_models.compliance.denominator import Inventory
from jauge_models.compliance.evidence import Sighting
from jauge_models.compliance.windows import Window
from jauge_models.resources import Series, kind_of

from jauge_collector import civil
from jauge_collector.compliance.electricity import MachineEnergy
from jauge_collector.compliance.quarters import span_ms
from jauge_collector.compliance.sources import Sources
from jauge_collector.ledger.descriptions import Described
from jauge_collector.ledger.rows import electricity_subjects
from jauge_collector.registers.listing import keys_seen
from jauge_collector.stores import Store

_HOST: Final = "host"


async def sightings(
    sources: Sources, quarter: Window, inventory: Inventory, energy: MachineEnergy
) -> list[Sighting]:
    """Hosts seen in a quarter, by feed, and those of machines that stand in the inventory.

    Several feeds of one declared host share a key. Raises StoreError and LedgerError.
    """
    site = sources.site
    start_ms, end_ms = span_ms(quarter, site.zone)
    shared = {key for chassis in inventory.chassis for key in chassis.keys}
    listed = shared.union(*(server.keys for server in inventory.servers))
    here = [server.keys for server in inventory.servers if server.is_valid(quarter.last)]
    standing = set().union(*here) - shared
    described = sources.ledger.descriptions(site.name, end_ms - 1)
    series = [one for one in await sources.store.series(site.name) if one.kind == _HOST]
    keys: dict[str, frozenset[str]] = {}
    for feed in sorted(_feeds(sources, described, series)):
        labels = _labels(described, feed)
        if not labels.get("virtual"):
            tells = {name: labels.get(name, "") for name in ("serial", "uuid", "asset_tag")}
            keys[feed] = keys_seen(feed, listed, **tells)
    # One of a listed machine only ties others to it: when it was seen decides nothing.
    seen = dict.fromkeys((feed for feed, own in keys.items() if own & standing), start_ms)
    asked = [one for one in series if _feed(one) in keys.keys() - seen.keys()]
    newest = await _newest(sources.store, asked, end_ms)
    for feed in keys.keys() - seen.keys():
        moments = {newest.get(feed, 0)}
        if not start_ms <= max(moments) < end_ms:
            # What was read may have expired since: rows and births tell of it longer.
            told = described.get(_parts(feed))
            moments |= {told.from_ms if told else 0}
            moments |= {energy.last_measured_ms([feed], start_ms, end_ms) or 0}
        within = [at for at in moments if start_ms <= at < end_ms]
        if within:
            seen[feed] = max(within)
    same = {
        f"{feed.agent}/{feed.resource}": f"declared:{host.id}"
        for host in site.hosts
        for feed in host.meter.feeds
    }
    return [
        Sighting(
            id=feed,
            source=_parts(feed)[0],
            keys=own | {same[feed]} if feed in same else own,
            last_seen=civil.day(seen[feed], site.zone),
            site=site.name,
            energy_kwh=None if own & listed else energy.known([feed], quarter, quarter).energy_kwh,
        )
        for feed, own in keys.items()
        if feed in seen
    ]


def _feeds(sources: Sources, described: Described, series: Iterable[Series]) -> set[str]:
    """Every host that was ever told of, as ``agent/resource``."""
    site, ledger = sources.site.name, sources.ledger
    feeds = {f"{agent}/{resource}" for agent, resource in described if kind_of(resource) == _HOST}
    with ledger.transaction(writes=False) as connection:
        subjects = electricity_subjects(connection, site)
    feeds |= {name for name in subjects if kind_of(_parts(name)[1]) == _HOST}
    return feeds | set(map(_feed, series))


def _parts(feed: str) -> tuple[str, str]:
    agent, _, resource = feed.partition("/")
    return agent, resource


def _feed(series: Series) -> str:
    return f"{series.agent}/{series.resource}"


async def _newest(store: Store, series: list[Series], end_ms: int) -> dict[str, int]:
    """When each feed was last read before a moment."""
    newest: dict[str, int] = {}
    for one, point in (await store.before(series, end_ms)).items():
        newest[_feed(one)] = max(point.time_ms, newest.get(_feed(one), 0))
    return newest


def _labels(described: Described, feed: str) -> Mapping[str, str]:
    known = described.get(_parts(feed))
    return {} if known is None else known.labels
