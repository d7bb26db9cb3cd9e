"""How busy servers' processors were over the last measured days of a quarter (V9).

A machine whose agent tells its processor time and how many processors it has is known by the
difference of the running total from midnight to midnight. Of one that only tells how busy it is
just now (a hypervisor by vCenter, a node by Proxmox) short slices of each day are read: two hours
of it in all, so that a thousand machines are read in seconds. All machines are read together.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta, tzinfo
from typing import Final, NamedTuple

from jauge_models import topology
from jauge_models.compliance.evidence import Use
from jauge_models.compliance.windows import Window
from jauge_models.intervals import Point, Points
from jauge_models.resources import Series

from jauge_collector import civil
from jauge_collector.compliance import evidence_file
from jauge_collector.compliance.quarters import span_ms
from jauge_collector.compliance.sources import Sources
from jauge_collector.ledger.descriptions import Described
from jauge_collector.stores import Store

TOTAL: Final = "cpu_time"
UPTIME: Final = "uptime"
NOW: Final = "cpu_utilisation"
LOOK_BACK: Final = 1.5
"""Of the days asked for: one on which a machine was off does not make the others worthless."""
_DAY_MEASURED: Final = 0.9
_CLOCKS_S: Final = 60
"""How far the clocks of uptime and readings may drift apart in a day."""
_SLICES: Final = 12
_SHORT_MS: Final = 120_000
"""Sought first, for what reports each minute."""
_SLICE_MS: Final = 600_000
"""Of a gauge; a running total is that of the last reading in so long before midnight."""


class Feed(NamedTuple):
    """``agent/resource`` that tells of a machine, parted."""

    agent: str
    resource: str


class _Seen(NamedTuple):
    """A feed's series: running total with its number of processors, or the gauge alone."""

    total: Series | None
    processors: float
    uptime: Series
    now: Series | None


async def uses_of_servers(sources: Sources, quarter: Window, days: int) -> dict[str, Use]:
    """By id: how busy the listed servers of a site were up to the end of a quarter.

    A declared host's feeds are one machine's: what one of them lacks another may tell. Where the
    store has fewer days than asked for, what the quarter's last closing knew counts if that was of
    more. Raises StoreError, LedgerError, and ConfigurationError where an archive is not what was
    kept.
    """
    site = sources.site
    hosts = {feed: host for host in site.hosts for feed in host.meter.feeds}
    feeds: dict[str, list[Feed]] = {}
    for server in sources.registers.servers:
        if server.site not in {"", site.name} or not server.holds(quarter.last):
            continue
        own = [Feed(*feed.split("/", 1)) for feed in server.feeds]
        declared = [hosts[topology.Feed(*feed)] for feed in own if topology.Feed(*feed) in hosts]
        others = [Feed(f.agent, f.resource) for host in declared for f in host.meter.feeds]
        feeds[server.id] = list(dict.fromkeys([*own, *others]))
    span = span_ms(quarter, site.zone)
    described = sources.ledger.descriptions(site.name, span[1] - 1)
    found = await uses(
        sources.store, site.name, feeds, described, quarter.last, days=days, zone=site.zone
    )
    short = [name for name in feeds if name not in found or found[name].days < days]
    if short:
        for facts in evidence_file.facts(sources, *span):
            for name in short:
                kept = facts.uses.get(name)
                if kept is not None and (name not in found or kept.days > found[name].days):
                    found[name] = kept
    return found


async def uses(
    store: Store,
    site: str,
    feeds: Mapping[str, Iterable[Feed]],
    described: Described,
    last: date,
    *,
    days: int,
    zone: tzinfo,
) -> dict[str, Use]:
    """By machine: mean share of processor time in use over its latest measured days.

    ``feeds`` are those of each machine; of several that tell, the one with most measured days
    counts. At most ``days`` of them count, and none further back than `LOOK_BACK` of that before
    ``last``. A day is measured where 0.9 of it is: its running total from one midnight to the
    next without a restart, or that many of its slices. A machine that nothing tells of is left
    out. Raises StoreError.
    """
    known = set(await store.series(site))
    seen = {
        feed: found
        for feed in dict.fromkeys(each for several in feeds.values() for each in several)
        if (found := _seen(site, feed, known, described)) is not None
    }
    shares: dict[Feed, list[float]] = {feed: [] for feed in seen}
    after = _Midnight({}, {})
    for back in range(round(days * LOOK_BACK) + 1):
        wanting = [feed for feed, of_days in shares.items() if len(of_days) < days]
        if not wanting:
            break
        # Each day is read at its beginning; its end was read as the beginning of the one after.
        midnight_ms = civil.midnight_ms(last - timedelta(days=back - 1), zone)
        before = await _midnight(store, [seen[feed] for feed in wanting], midnight_ms)
        if back:
            day = await _day(store, {f: seen[f] for f in wanting}, before, after, midnight_ms)
            for feed, share in day.items():
                shares[feed].append(share)
        after = before
    return {
        machine: use
        for machine, several in feeds.items()
        if (use := _best([shares[feed] for feed in several if feed in shares])) is not None
    }


class _Midnight(NamedTuple):
    """What running totals and uptimes said last before a midnight."""

    totals: Mapping[Series, Point]
    uptimes: Mapping[Series, Point]


async def _midnight(store: Store, seen: Iterable[_Seen], time_ms: int) -> _Midnight:
    counted = [(each.total, each.uptime) for each in seen if each.total is not None]
    read: dict[Series, Points] = {}
    for length_ms in (_SHORT_MS, _SLICE_MS):
        missing = [one for pair in counted for one in pair if one not in read]
        read |= await store.read(missing, time_ms - length_ms, time_ms)
    return _Midnight(
        {total: read[total][-1] for total, _ in counted if total in read},
        {uptime: read[uptime][-1] for _, uptime in counted if uptime in read},
    )


async def _day(
    store: Store,
    seen: Mapping[Feed, _Seen],
    before: _Midnight,
    after: _Midnight,
    start_ms: int,
) -> dict[Feed, float]:
    """The mean share in use on the day that begins at a moment, of each feed that measured it."""
    found: dict[Feed, float] = {}
    gauges: dict[Series, Feed] = {}
    for feed, each in seen.items():
        if each.total is None:
            if each.now is not None:
                gauges[each.now] = feed
            continue
        share = _counted(each, before, after)
        if share is not None:
            found[feed] = share
    sums: dict[Feed, list[float]] = {feed: [] for feed in gauges.values()}
    if not gauges:
        return found
    for number in range(_SLICES):
        begin = start_ms + number * (24 * 3_600_000 // _SLICES)
        for series, points in (await store.read(gauges, begin, begin + _SLICE_MS)).items():
            sums[gauges[series]].append(sum(points.values) / len(points))
    for feed, slices in sums.items():
        if len(slices) >= _DAY_MEASURED * _SLICES:
            found[feed] = sum(slices) / len(slices)
    return found


def _counted(each: _Seen, before: _Midnight, after: _Midnight) -> float | None:
    """The share from one midnight to the next by the running total; None where it restarted."""
    if each.total is None:
        return None
    first, second = before.totals.get(each.total), after.totals.get(each.total)
    if first is None or second is None or second.value < first.value:
        return None
    seconds = (second.time_ms - first.time_ms) / 1000
    uptime = after.uptimes.get(each.uptime)
    if uptime is not None and uptime.value < seconds - _CLOCKS_S:
        return None
    return min(1.0, (second.value - first.value) / (seconds * each.processors))


def _best(several: Sequence[Sequence[float]]) -> Use | None:
    of_days = max(several, key=len, default=())
    return Use(sum(of_days) / len(of_days), len(of_days)) if of_days else None


def _seen(site: str, feed: Feed, known: set[Series], described: Described) -> _Seen | None:
    total, now = Series(site, *feed, TOTAL), Series(site, *feed, NOW)
    told = described.get((feed.agent, feed.resource))
    text = "" if told is None else told.labels.get("processors", "")
    processors = int(text) if text.isdecimal() else 0
    uptime = Series(site, *feed, UPTIME)
    if total in known and processors:
        return _Seen(total, processors, uptime, None)
    return _Seen(None, 0, uptime, now) if now in known else None
