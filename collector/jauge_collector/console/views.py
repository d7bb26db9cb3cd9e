"""Agents, meters and sites as the console and the JSON interface show them: the same structs.

Every ``…_ms`` is milliseconds since the Unix epoch, UTC; values are in base units.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec
from jauge_models.intervals import Basis, Flag, Grade, Interval, Point
from jauge_models.quantities import CATALOGUE
from jauge_models.resources import Series, kind_of
from jauge_models.topology import MEASURES, Commodity, Meter

from jauge_collector.inventory import Agent
from jauge_collector.sites import Site

STALE_MS: Final = 15 * 60_000
"""A meter is not silent before its newest reading is so old, or older than its agents' patience."""
SILENT_MS: Final = 180_000
"""An agent that says it is online and sent no pack for so long (or for three of its periods)."""


class Presence(StrEnum):
    """Whether an agent is heard."""

    ONLINE = "online"
    OFFLINE = "offline"
    """It said so itself, or the broker did by its last will."""
    SILENT = "silent"
    """It says it is online and sends no readings."""
    QUARANTINED = "quarantined"
    """Two processes use one name: nothing of it is stored."""


class SourceView(msgspec.Struct, frozen=True):
    """What an agent reads from; ``absent`` says why it is not there."""

    name: str
    period_s: float
    absent: str | None


class ReadingView(msgspec.Struct, frozen=True):
    """The newest reading of one quantity; ``value`` None when none is stored."""

    quantity: str
    unit: str
    method: str | None
    value: float | None
    time_ms: int | None


class ResourceView(msgspec.Struct, frozen=True):
    """One thing that an agent measures."""

    id: str
    kind: str
    name: str
    labels: dict[str, str]
    readings: list[ReadingView]


class AgentView(msgspec.Struct, frozen=True):
    """One agent. ``skew_ms``: its clock against the collector's, way included."""

    site: str
    agent: str
    presence: Presence
    last_seen_ms: int | None
    last_pack_ms: int | None
    skew_ms: int | None
    synchronised: bool | None
    clock_steps: int | None
    """How often its clock was set since its process began; None where it does not say."""
    last_step_s: float | None
    version: str | None
    boot: str | None
    spooled: int | None
    twins: list[str]
    sources: list[SourceView]
    resources: int


class LastReading(msgspec.Struct, frozen=True):
    """The newest raw reading that feeds a meter."""

    feed: str
    quantity: str
    unit: str
    value: float
    time_ms: int


class MeterView(msgspec.Struct, frozen=True, kw_only=True):
    """One meter. Coverage is of the last 24 hours and of the civil month so far."""

    site: str
    meter: str
    name: str
    commodity: Commodity
    unit: str
    location: str
    accuracy_class: str
    feeds: list[str]
    counts_from_ms: int | None
    """None: not commissioned, it does not count."""
    counts_from_start: bool
    attested_only: bool
    """No agent feeds it: it counts what is attested, without being commissioned."""
    suspended: bool
    silent: bool | None
    """Whether a live feed is there and none of them has a fresh reading; the same for every reader.
    Not where only imports and attestations give values. None: the store does not say now."""
    last_reading: LastReading | None
    basis: Basis | None
    grade: Grade | None
    flags: list[Flag]
    coverage_day: float
    coverage_month: float


def counting(meter: MeterView) -> bool:
    """Whether a meter counts in the indicators, as the ledger judges it."""
    declared = meter.counts_from_start or meter.attested_only
    return (declared or meter.counts_from_ms is not None) and not meter.suspended


class SiteView(msgspec.Struct, frozen=True):
    """One site."""

    site: str
    title: str
    time_zone: str
    simulated: bool
    note: str
    meters: int
    agents: int


def site_view(site: Site, agents: int) -> SiteView:
    """A site in brief."""
    return SiteView(
        site=site.name,
        title=site.title,
        time_zone=site.zone_name,
        simulated=site.simulated,
        note=site.note,
        meters=len(site.topology.meters),
        agents=agents,
    )


def patience_ms(agent: Agent) -> int:
    """For how long an agent, or one of its quantities, may say nothing before it is silent."""
    return silence_ms(source.period_s for source in (agent.birth.sources if agent.birth else ()))


def silence_ms(periods_s: Iterable[float]) -> int:
    """The same for sources of these periods."""
    return max([SILENT_MS, *(round(3000 * period) for period in periods_s if period > 0)])


def presence(agent: Agent, now_ms: int) -> Presence:
    """Whether an agent is heard at a moment."""
    if agent.quarantined:
        return Presence.QUARANTINED
    if agent.online is False:
        return Presence.OFFLINE
    heard = agent.last_pack_ms
    if heard is None or now_ms - heard > patience_ms(agent):
        return Presence.SILENT
    return Presence.ONLINE


def agent_view(agent: Agent, now_ms: int) -> AgentView:
    """An agent in brief."""
    birth, state = agent.birth, agent.state
    return AgentView(
        site=agent.address.site,
        agent=agent.address.agent,
        presence=presence(agent, now_ms),
        last_seen_ms=agent.last_seen_ms or None,
        last_pack_ms=agent.last_pack_ms,
        skew_ms=agent.skew_ms,
        synchronised=state.synchronised if state else None,
        clock_steps=state.clock_steps if state else None,
        last_step_s=state.last_step_s if state else None,
        version=birth.version if birth else None,
        boot=agent.boot or (birth.boot if birth else None),
        spooled=state.spooled if state else None,
        twins=list(agent.twins or ()),
        sources=[SourceView(s.name, s.period_s, s.absent) for s in birth.sources] if birth else [],
        resources=len(birth.resources) if birth else 0,
    )


def resource_views(agent: Agent, latest: Mapping[Series, Point]) -> list[ResourceView]:
    """What an agent measures, declared in its birth or seen in the store, with newest readings."""
    described = {r.id: r for r in agent.birth.resources} if agent.birth else {}
    found: dict[str, dict[str, Point]] = {}
    for series, point in latest.items():
        if (series.site, series.agent) == agent.address:
            found.setdefault(series.resource, {})[series.quantity] = point
    views: list[ResourceView] = []
    for resource in sorted({*described, *found}, key=lambda r: (r != "host", r)):
        description = described.get(resource)
        methods = description.quantities if description else {}
        points = found.get(resource, {})
        names = [name for name in CATALOGUE if name in methods or name in points]
        views.append(
            ResourceView(
                id=resource,
                kind=kind_of(resource),
                name=description.name if description else "",
                labels=dict(description.labels) if description else {},
                readings=[
                    ReadingView(
                        quantity=name,
                        unit=CATALOGUE[name].unit,
                        method=methods.get(name),
                        value=points[name].value if name in points else None,
                        time_ms=points[name].time_ms if name in points else None,
                    )
                    for name in names
                ],
            )
        )
    return views


def highlights(agent: str, latest: Mapping[Series, Point], most: int = 3) -> list[ReadingView]:
    """The few newest readings that tell best how an agent's machine or device is doing."""
    chosen: dict[str, tuple[int, ReadingView]] = {}
    for series, point in latest.items():
        if series.agent != agent or series.quantity not in HEADLINES:
            continue
        rank = _RANK.get(series.kind, 9)
        known = chosen.get(series.quantity)
        if known is None or rank < known[0]:
            unit = CATALOGUE[series.quantity].unit
            view = ReadingView(series.quantity, unit, None, point.value, point.time_ms)
            chosen[series.quantity] = (rank, view)
    return [chosen[name][1] for name in HEADLINES if name in chosen][:most]


HEADLINES: Final = ("power", "cpu_utilisation", "memory_utilisation", "temperature", "water")
_RANK: Final = {"host": 0, "meter": 0, "platform": 1, "package": 2, "ups": 3, "pdu": 4}


def last_reading(site: Site, meter: Meter, latest: Mapping[Series, Point]) -> LastReading | None:
    """The newest reading of a meter's first feed that has one; power before registers."""
    measures = MEASURES[meter.commodity]
    for feed in meter.feeds:
        for quantity in (measures.power, measures.register, measures.amount):
            if quantity is None:
                continue
            point = latest.get(Series(site.name, feed.agent, feed.resource, quantity))
            if point is not None:
                return LastReading(
                    feed=f"{feed.agent}/{feed.resource}",
                    quantity=quantity,
                    unit=CATALOGUE[quantity].unit,
                    value=point.value,
                    time_ms=point.time_ms,
                )
    return None


def silent(
    site: Site,
    meter: Meter,
    latest: Mapping[Series, Point],
    patience_ms: Mapping[str, int],
    now_ms: int,
) -> bool:
    """Whether nothing fresh comes from any live feed of a meter.

    ``patience_ms`` is that of each live agent by name: agents that were heard of, ever. A meter
    that none of them feeds is not silent: its values are imported or attested.
    """
    measures = MEASURES[meter.commodity]
    live = [feed for feed in meter.feeds if feed.agent in patience_ms]
    for feed in live:
        for quantity in (measures.power, measures.register, measures.amount):
            if quantity is None:
                continue
            point = latest.get(Series(site.name, feed.agent, feed.resource, quantity))
            patience = max(STALE_MS, patience_ms[feed.agent])
            if point is not None and now_ms - point.time_ms <= patience:
                return False
    return bool(live)


def coverage(rows: Iterable[Interval], start_ms: int, end_ms: int) -> float:
    """Measured share of [start, end); rows that reach out of it count with their part inside."""
    covered = 0.0
    for row in rows:
        inside = min(row.end_ms, end_ms) - max(row.start_ms, start_ms)
        if inside > 0 and row.amount is not None:
            covered += row.coverage * inside
    return min(1.0, covered / (end_ms - start_ms)) if end_ms > start_ms else 0.0


def meter_view(
    site: Site,
    meter: Meter,
    rows: Sequence[Interval],
    latest: Mapping[Series, Point],
    commissioned: Mapping[str, int],
    *,
    day: tuple[int, int],
    coverage_month: float,
    silent: bool | None,
) -> MeterView:
    """A meter in brief, from its rows of the last day and its coverage of the month."""
    measured = [row for row in rows if row.amount is not None and row.start_ms < day[1]]
    last = measured[-1] if measured else None
    recent = rows[-1] if rows else None
    from_start = meter.id in site.counting_from_start
    return MeterView(
        site=site.name,
        meter=meter.id,
        name=meter.name,
        commodity=meter.commodity,
        unit=MEASURES[meter.commodity].unit,
        location=meter.location,
        accuracy_class=meter.accuracy_class,
        feeds=[f"{feed.agent}/{feed.resource}" for feed in meter.feeds],
        counts_from_ms=commissioned.get(meter.id),
        counts_from_start=from_start,
        attested_only=not meter.feeds,
        suspended=recent is not None and Flag.SUSPENDED in recent.flags,
        silent=silent,
        last_reading=last_reading(site, meter, latest),
        basis=last.basis if last else None,
        grade=last.grade if last else None,
        flags=sorted(recent.flags) if recent else [],
        coverage_day=coverage(rows, *day),
        coverage_month=coverage_month,
    )
