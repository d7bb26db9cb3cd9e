"""The figures as one visitor may see them: the one place where sites and tenants are kept apart.

Pages and JSON ask here and nowhere else. What is out of scope does not exist: an unknown name and
a hidden one give the same KeyError. For a visitor who is limited to tenants a thing exists while
one of them has it (`access.tenancy`), with those of its values that were measured while they had
it; what belongs to nobody is not shown. Totals of a site tell of others by difference and are
withheld; where the grant shares the site's indicators, these come without what they are made of.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final, TypeVar

import msgspec
from jauge_models.boundaries import Symbol
from jauge_models.crosschecks import HOUR_MS
from jauge_models.effectiveness import DAY_MS, Kpi
from jauge_models.intervals import Interval
from jauge_models.reconciliation import Reconciliation
from jauge_models.resources import Series
from jauge_models.rules import Indicator
from jauge_models.topology import Feed, Meter, Topology, Validity

from jauge_collector import civil
from jauge_collector.access.scope import Scope
from jauge_collector.access.tenancy import Held, Tenancy, holds, within
from jauge_collector.console.figures import Figures, now_ms
from jauge_collector.console.hosting import Hosting
from jauge_collector.console.views import (
    AgentView,
    MeterView,
    ReadingView,
    ResourceView,
    SiteView,
    coverage,
    meter_view,
)
from jauge_collector.kpis import Part, SiteKpis, Slot, Step
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.rows import Row
from jauge_collector.ledger.tickets import Standing, TicketList
from jauge_collector.row_readings import Behind
from jauge_collector.sites import Site

WITHHELD: Final = (
    "withheld: totals of the whole site are not shown to a visitor who is limited to tenants"
)
_Result = TypeVar("_Result")

_UNSAID: Final = "not measured"
"""For a reason that may name meters of others."""


class WithheldError(Exception):
    """A figure of the whole site, for a visitor who may see only some of it."""

    def __init__(self) -> None:
        super().__init__(WITHHELD)


class Scoping:
    """Hands every visitor the figures that they may see."""

    def __init__(
        self, figures: Figures, sites: Mapping[str, Site], tenancies: Mapping[str, Tenancy]
    ) -> None:
        self._parts = figures, sites, tenancies

    def of(self, scope: Scope) -> "ScopedFigures":
        """For one request."""
        return ScopedFigures(*self._parts, scope)


class ScopedFigures:
    """`Figures` within a scope: the same questions, the same errors, and `WithheldError`."""

    def __init__(
        self,
        figures: Figures,
        sites: Mapping[str, Site],
        tenancies: Mapping[str, Tenancy],
        scope: Scope,
    ) -> None:
        self._figures = figures
        self._sites = sites
        self._tenancies = tenancies
        self._scope = scope
        self._now = now_ms()

    @property
    def names(self) -> list[str]:
        """The sites that exist for the visitor, in the order of the configuration."""
        return [name for name in self._sites if self._exists(name)]

    def site(self, name: str) -> Site:
        """A site, with no more in it than the visitor may see. Raises KeyError."""
        if not self._exists(name):
            raise KeyError(name)
        site, tenants = self._sites[name], self._tenants(name)
        if tenants is None:
            return site
        tenancy = self._tenancies[name]
        return replace(
            site,
            topology=self._reduced(site, site.topology, tenants),
            equations=(),
            agents=None,
            hosts=tuple(
                replace(host, meter=replace(host.meter, feeds=self._feeds(site, host.meter)))
                for host in site.hosts
                if holds(tenancy.subject(host.id, tenants), self._now)
            ),
        )

    def totals(self, name: str) -> bool:
        """Whether totals of the whole site are shown."""
        self._require(name)
        return self._tenants(name) is None

    def indicators(self, name: str) -> bool:
        """Whether the site's indicators are shown."""
        return self.totals(name) or self._scope.sites[name].share_site_indicators

    async def sites(self) -> list[SiteView]:
        """Every site that exists for the visitor, with what they may see of it counted."""
        return [
            view
            if self.totals(view.site)
            else msgspec.structs.replace(
                view,
                meters=len(self.site(view.site).topology.meters),
                agents=len(self.agents(view.site)),
            )
            for view in await self._figures.sites()
            if self._exists(view.site)
        ]

    # --- totals and indicators

    async def kpis(self, site: str, start_ms: int, end_ms: int) -> SiteKpis:
        """See `Figures.kpis`."""
        self._require_indicators(site)
        return self._disclosed(await self._figures.kpis(site, start_ms, end_ms))

    async def twelve_months(self, site: str) -> SiteKpis:
        """See `Figures.twelve_months`."""
        self._require_indicators(site)
        return self._disclosed(await self._figures.twelve_months(site))

    async def this_quarter(self, site: str) -> SiteKpis:
        """See `Figures.this_quarter`."""
        self._require_indicators(site)
        return self._disclosed(await self._figures.this_quarter(site))

    async def parts(
        self, site: str, indicator: Indicator, start_ms: int, end_ms: int
    ) -> dict[Symbol, list[Part]]:
        """See `Figures.parts`; nothing where totals are withheld."""
        if not self.totals(site):
            return {}
        return await self._figures.parts(site, indicator, start_ms, end_ms)

    async def profile(
        self, site: str, of: Symbol | str, start_ms: int, end_ms: int, step: Step
    ) -> list[Slot]:
        """See `Figures.profile`; a meter's slots while one of the tenants had it."""
        self._require(site)
        tenants = self._tenants(site)
        if tenants is None:
            return await self._figures.profile(site, of, start_ms, end_ms, step)
        if isinstance(of, Symbol):
            raise WithheldError
        held = self._held(site, of, tenants)
        slots = await self._figures.profile(site, of, start_ms, end_ms, step)
        return [slot for slot in slots if within(held, slot.start_ms, slot.end_ms)]

    # --- meters

    async def meters(self, site: str, *, readings: bool = True) -> list[MeterView]:
        """See `Figures.meters`; whether a meter is silent is the same for every visitor."""
        self._require(site)
        tenants = self._tenants(site)
        views = await self._figures.meters(site, readings=readings)
        if tenants is None:
            return views
        found: list[MeterView] = []
        for view in views:
            held = self._tenancies[site].meter(view.meter, tenants)
            span = next((span for span in held if span.holds(self._now)), None)
            if span is not None:
                found.append(await self._reduced_view(site, view, span, tenants))
        return found

    async def rows(self, site: str, meter: str, start_ms: int, end_ms: int) -> list[Row]:
        """See `Figures.rows`; those that lie within the time one of the tenants had the meter."""
        self._require(site)
        tenants = self._tenants(site)
        if tenants is None:
            return await self._figures.rows(site, meter, start_ms, end_ms)
        held = self._held(site, meter, tenants)
        found: list[Row] = []
        for row in await self._figures.rows(site, meter, start_ms, end_ms):
            span = within(held, row.interval.start_ms, row.interval.end_ms)
            if span is not None:
                seen = self._agent_seen(site, row.feed.partition("/")[0], tenants)
                found.append(
                    msgspec.structs.replace(
                        row,
                        interval=_without_others(row.interval, span),
                        feed=row.feed if seen else "",
                    )
                )
        return found

    async def bills(self, site: str, meter: str, start_ms: int, end_ms: int) -> list[Row]:
        """See `Figures.bills`; those of a time in which one of the tenants had the meter."""
        self._require(site)
        tenants = self._tenants(site)
        if tenants is None:
            return await self._figures.bills(site, meter, start_ms, end_ms)
        held = self._held(site, meter, tenants)
        return [
            msgspec.structs.replace(row, feed="")
            for row in await self._figures.bills(site, meter, start_ms, end_ms)
            if within(held, row.interval.start_ms, row.interval.end_ms) is not None
        ]

    async def readings(self, site: str, meter: str, row: Row) -> list[Behind]:
        """See `Figures.readings`; of a row as `rows` gives it, while the tenants had the meter."""
        self._require(site)
        tenants = self._tenants(site)
        found = await self._figures.readings(site, meter, row)
        if tenants is None:
            return found
        held = self._held(site, meter, tenants)
        return [
            one._replace(points=[point for point in one.points if holds(held, point.time_ms)])
            for one in found
        ]

    async def topology(self, site: str) -> Topology:
        """See `Figures.topology`."""
        self._require(site)
        tenants = self._tenants(site)
        whole = await self._figures.topology(site)
        return whole if tenants is None else self._reduced(self._sites[site], whole, tenants)

    # --- cross-checks

    async def tickets(self, site: str) -> TicketList:
        """See `Figures.tickets`; those that tell of nothing but what the tenants had all the while.

        Who has seen one, and what they noted, is not shown: notes may tell of others.
        """
        self._require(site)
        tenants = self._tenants(site)
        found = await self._figures.tickets(site)
        if tenants is None:
            return found
        tickets = tuple(
            msgspec.structs.replace(ticket, check="", acknowledged_by="", note="")
            for ticket in found.tickets
            if all(
                self._had(site, name, tenants, (ticket.since_ms, ticket.last_ms + HOUR_MS))
                for name in ticket.evidence.subjects
            )
        )
        if found.standing is None:
            return TicketList(tickets, None)
        at = found.standing.judged_to_ms
        span = (at - DAY_MS, at)
        checks = tuple(
            check
            for check in found.standing.checks
            if all(
                self._had(site, name, tenants, span)
                for name in (*check.lower, *check.upper, *filter(None, (check.about,)))
            )
        )
        unmapped = tuple(n for n in found.standing.unmapped if self._had(site, n, tenants, span))
        return TicketList(tickets, Standing(at, checks, unmapped))

    async def reconciliations(self, site: str, month: str) -> list[Reconciliation]:
        """See `Figures.reconciliations`: the site's and each tenant's, or only one's own."""
        self._require(site)
        tenants = self._tenants(site)
        known = self._tenancies[site].tenants
        wanted = ("", *sorted(known)) if tenants is None else tuple(sorted(known & tenants))
        return await self._figures.reconciliations(site, month, wanted)

    def _had(self, site: str, name: str, tenants: frozenset[str], span: tuple[int, int]) -> bool:
        """Whether one of the tenants had a thing all the while, and has it now."""
        tenancy = self._tenancies[site]
        try:
            held = tenancy.subject(name, tenants)
        except KeyError:
            return False
        return holds(held, self._now) and within(held, *span) is not None

    # --- agents

    def agents(self, site: str) -> list[AgentView]:
        """See `Figures.agents`."""
        self._require(site)
        views = self._figures.agents(site)
        tenants = self._tenants(site)
        if tenants is None:
            return views
        return [
            self._own(view, tenants)
            for view in views
            if self._agent_seen(site, view.agent, tenants)
        ]

    async def agent(self, site: str, agent: str) -> tuple[AgentView, list[ResourceView]] | None:
        """See `Figures.agent`."""
        self._require(site)
        tenants = self._tenants(site)
        if tenants is not None and not self._agent_seen(site, agent, tenants):
            return None
        found = await self._figures.agent(site, agent)
        if found is None or tenants is None:
            return found
        view, resources = found
        described, tenancy = self._described(site, agent, tenants), self._tenancies[site]
        shown: list[ResourceView] = []
        for one in resources:
            held = tenancy.resource(agent, one.id, tenants)
            if holds(held, self._now):
                readings = [_while_held(held, reading) for reading in one.readings]
                seen = msgspec.structs.replace(one, readings=readings)
                if one.id not in described:
                    seen = msgspec.structs.replace(seen, name="", labels={})
                shown.append(seen)
        return self._own(view, tenants), shown

    async def highlights(self, site: str, agents: Iterable[str]) -> dict[str, list[ReadingView]]:
        """See `Figures.highlights`."""
        self._require(site)
        tenants = self._tenants(site)
        if tenants is None:
            return await self._figures.highlights(site, agents)
        allowed = [name for name in agents if self._agent_seen(site, name, tenants)]
        tenancy, now = self._tenancies[site], self._now

        def seen(one: Series, time_ms: int) -> bool:
            held = tenancy.resource(one.agent, one.resource, tenants)
            return holds(held, now) and holds(held, time_ms)

        return await self._figures.highlights(site, allowed, seen)

    async def silent(self, site: str) -> dict[str, int]:
        """See `Figures.silent`."""
        self._require(site)
        tenants = self._tenants(site)
        if tenants is None:
            return await self._figures.silent(site)
        tenancy, now = self._tenancies[site], self._now
        counts = await self._figures.silent(
            site, lambda one: holds(tenancy.resource(one.agent, one.resource, tenants), now)
        )
        return {
            name: count for name, count in counts.items() if self._agent_seen(site, name, tenants)
        }

    # --- hosts and guests

    async def coverage(self, site: str, start_ms: int, end_ms: int) -> dict[str, float]:
        """See `Figures.coverage`; of the whole site only."""
        if not self.totals(site):
            raise WithheldError
        return await self._figures.coverage(site, start_ms, end_ms)

    async def read(self, work: Callable[[Ledger], _Result]) -> _Result:
        """What is read from the ledger; who asks sees to what of it may be seen."""
        return await self._figures.read(0, work)

    def hosting(self, site: str) -> Hosting:
        """The site's hosts and guests. Raises KeyError."""
        self._require(site)
        return Hosting(
            self._figures,
            self._sites[site],
            self._tenancies[site],
            self._tenants(site),
            self._now,
        )

    # --- what belongs to whom

    def _exists(self, name: str) -> bool:
        if name not in self._scope.sites or name not in self._sites:
            return False
        tenants = self._tenants(name)
        return tenants is None or bool(tenants & self._tenancies[name].tenants)

    def _require(self, name: str) -> None:
        if not self._exists(name):
            raise KeyError(name)

    def _require_indicators(self, name: str) -> None:
        if not self.indicators(name):
            raise WithheldError

    def _tenants(self, name: str) -> frozenset[str] | None:
        return self._scope.sites[name].tenants

    def _held(self, site: str, meter: str, tenants: frozenset[str]) -> Held:
        held = self._tenancies[site].meter(meter, tenants)
        if not holds(held, self._now):
            raise KeyError(meter)
        return held

    def _agent_seen(self, site: str, agent: str, tenants: frozenset[str]) -> bool:
        return holds(self._tenancies[site].agent(agent, tenants), self._now)

    def _own(self, view: AgentView, tenants: frozenset[str]) -> AgentView:
        """An agent with what it said and did since it is the tenants'."""
        held = self._tenancies[view.site].agent(view.agent, tenants)

        def since(time_ms: int | None) -> int | None:
            return time_ms if time_ms is not None and holds(held, time_ms) else None

        heard = since(view.last_seen_ms)
        view = msgspec.structs.replace(
            view,
            last_seen_ms=heard,
            last_pack_ms=since(view.last_pack_ms),
            resources=len(self._described(view.site, view.agent, tenants)),
        )
        if heard is None:
            view = msgspec.structs.replace(
                view,
                skew_ms=None,
                synchronised=None,
                clock_steps=None,
                last_step_s=None,
                boot=None,
                spooled=None,
                twins=[],
            )
        if since(self._born_ms(view.site, view.agent)) is None:
            view = msgspec.structs.replace(view, version=None, sources=[])
        return view

    def _born_ms(self, site: str, agent: str) -> int | None:
        birth = self._figures.birth(site, agent)
        return None if birth is None else round(birth.sent_at * 1000)

    def _described(self, site: str, agent: str, tenants: frozenset[str]) -> set[str]:
        """The resources of an agent's birth that are the tenants', and were when it was sent."""
        birth, born = self._figures.birth(site, agent), self._born_ms(site, agent)
        if birth is None or born is None:
            return set()
        tenancy = self._tenancies[site]
        held = {one.id: tenancy.resource(agent, one.id, tenants) for one in birth.resources}
        return {
            one for one, spans in held.items() if holds(spans, self._now) and holds(spans, born)
        }

    def _reduced(self, site: Site, topology: Topology, tenants: frozenset[str]) -> Topology:
        meters: list[Meter] = []
        held_of: dict[str, Held] = {}
        for meter in topology.meters:
            held = self._tenancies[site.name].meter(meter.id, tenants)
            if not holds(held, self._now):
                continue
            held_of[meter.id] = held
            meters.append(
                replace(
                    meter,
                    feeds=self._feeds(site, meter),
                    factors=tuple(f for f in meter.factors if _touches(held, f.validity)),
                    replacements=tuple(r for r in meter.replacements if holds(held, r.time_ms)),
                )
            )
        events = tuple(
            event
            for event in topology.events
            if event.subject in held_of and _touches(held_of[event.subject], event.validity)
        )
        return Topology(meters=tuple(meters), events=events)

    def _feeds(self, site: Site, meter: Meter) -> tuple[Feed, ...]:
        """What feeds a meter or host by agents that exist for the visitor."""
        tenants = self._tenants(site.name) or frozenset()
        return tuple(
            feed for feed in meter.feeds if self._agent_seen(site.name, feed.agent, tenants)
        )

    async def _reduced_view(
        self, site: str, view: MeterView, span: Validity, tenants: frozenset[str]
    ) -> MeterView:
        """A meter as far as it was the tenants' since they have it."""
        of, now = self._sites[site], self._now
        since = span.from_ms if span.from_ms is not None else 0
        last = view.last_reading
        if last is not None:
            seen = self._agent_seen(site, last.feed.partition("/")[0], tenants)
            shown = msgspec.structs.replace(last, feed=last.feed if seen else "")
            last = shown if span.holds(last.time_ms) else None
        feeds = [
            feed for feed in view.feeds if self._agent_seen(site, feed.partition("/")[0], tenants)
        ]
        month = civil.midnight_ms(civil.first_of_month(civil.day(now, of.zone)), of.zone)
        if since > min(month, now - DAY_MS):
            rows = [row.interval for row in await self.rows(site, view.meter, since, now)]
            view = meter_view(
                of,
                of.topology.meter(view.meter),
                [row for row in rows if row.end_ms > now - DAY_MS],
                {},
                {} if view.counts_from_ms is None else {view.meter: view.counts_from_ms},
                day=(max(since, now - DAY_MS), now),
                coverage_month=coverage(rows, max(since, month), now),
                silent=view.silent,
            )
        return msgspec.structs.replace(view, feeds=feeds, last_reading=last)

    def _disclosed(self, kpis: SiteKpis) -> SiteKpis:
        if self.totals(kpis.site):
            return kpis
        return msgspec.structs.replace(
            kpis,
            pue=_bare(kpis.pue),
            wue=_bare(kpis.wue),
            cue=_bare(kpis.cue),
            ref=_bare(kpis.ref),
            erf=_bare(kpis.erf),
            ppue=[],
            pue_elsewhere=[_bare(kpi) for kpi in kpis.pue_elsewhere],
        )


def _bare(kpi: Kpi) -> Kpi:
    """An indicator without the totals and meters it is made of."""
    return msgspec.structs.replace(
        kpi,
        numerator=None,
        denominator=None,
        boundary="",
        reason=None if kpi.reason is None else _UNSAID,
    )


def _touches(held: Held, span: Validity) -> bool:
    return any(span.overlaps(one) for one in held)


def _while_held(held: Held, reading: ReadingView) -> ReadingView:
    if reading.time_ms is None or holds(held, reading.time_ms):
        return reading
    return msgspec.structs.replace(reading, value=None, time_ms=None)


def _without_others(interval: Interval, span: Validity) -> Interval:
    """A row without proofs that were read while the meter was somebody else's."""
    opening, closing = interval.opening, interval.closing
    if opening is not None and span.from_ms is not None and opening.time_ms < span.from_ms:
        opening = None
    if closing is not None and span.to_ms is not None and closing.time_ms > span.to_ms:
        closing = None
    return msgspec.structs.replace(interval, opening=opening, closing=closing)
