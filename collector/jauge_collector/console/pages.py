"""The console's HTML pages: routes, and the context each template is given."""

from datetime import date
from typing import Final

from aiohttp import web

from jauge_collector import civil
from jauge_collector.access.roles import Permission
from jauge_collector.console import (
    agent,
    guests,
    host,
    hosting_csv,
    hosts,
    indicator,
    meter,
    overview,
    tickets,
    use,
)
from jauge_collector.console.changes import Changes
from jauge_collector.console.gate import Visitor
from jauge_collector.console.guard import SCOPE, mount
from jauge_collector.console.hosting import Hosting
from jauge_collector.console.rendering import DEFAULT, Cell, Column, Table, Visit
from jauge_collector.console.scoped import ScopedFigures, Scoping
from jauge_collector.console.use_views import use_view
from jauge_collector.console.views import AgentView, Presence
from jauge_collector.sites import Site
from jauge_collector.state import ServiceState

_LONGEST_MS: Final = 3700 * 86_400_000
_DIGITS_OF_ROW: Final = 13
"""Of its beginning in ms: up to the year 2286."""


def add_routes(
    app: web.Application, state: ServiceState, scoping: Scoping, changes: Changes
) -> None:
    """Mount the pages."""
    app[DEFAULT] = state.config.console.language
    pages = _Pages(state, scoping, changes)
    for path, page, permission in (
        ("/", pages.home, Permission.READ),
        ("/sites", pages.sites, Permission.READ),
        ("/faults", pages.faults, Permission.WATCH),
        ("/audit", pages.audit, Permission.MANAGE),
        ("/{site}", pages.overview, Permission.READ),
        ("/{site}/kpi/{name}", pages.indicator, Permission.READ),
        ("/{site}/meter/{meter}", pages.meter, Permission.READ),
        ("/{site}/agent/{agent}", pages.agent, Permission.AGENTS),
        ("/{site}/tickets", pages.tickets, Permission.READ),
        ("/{site}/hosts", pages.hosts, Permission.READ),
        ("/{site}/hosts/{host}", pages.host, Permission.READ),
        ("/{site}/hosts/{host}/{resource}", pages.host, Permission.READ),
        ("/{site}/guests", pages.guests, Permission.READ),
        ("/{site}/guests/{guest}", pages.guest, Permission.READ),
        ("/{site}/use", pages.use, Permission.READ),
        ("/{site}/hosts.csv", pages.hosts_csv, Permission.READ),
        ("/{site}/guests.csv", pages.guests_csv, Permission.READ),
        ("/{site}/use.csv", pages.use_csv, Permission.READ),
    ):
        mount(app, "GET", path, page, permission)


def error_page(request: web.Request, status: int, detail: str, key: str = "") -> web.Response:
    """An error as a page in the reader's language; ``detail`` is shown where it is the reader's.

    ``key`` is of a text that says more than the status does.
    """
    visit = Visit.of(request)
    key = key or f"error_{status}"
    text = visit.language(key if visit.language.has(key) else "error_other")
    if status == web.HTTPBadRequest.status_code and detail:
        text = f"{text} {detail}"
    return visit.html("error.html.j2", status, text=text, number=status)


class _Pages:
    def __init__(self, state: ServiceState, scoping: Scoping, changes: Changes) -> None:
        self._state = state
        self._scoping = scoping
        self._changes = changes

    async def home(self, request: web.Request) -> web.Response:
        """The only site's overview, else the list of sites."""
        names = self._figures(request).names
        if len(names) == 1:
            raise web.HTTPFound(Visit.of(request).link(f"/{names[0]}"))
        return await self.sites(request)

    async def sites(self, request: web.Request) -> web.Response:
        """Every site."""
        visit = Visit.of(request)
        language = visit.language
        rows = [
            [
                Cell(
                    site.title,
                    language("simulated") if site.simulated else "",
                    visit.link(f"/{site.site}"),
                ),
                Cell(language("site_meters", number=site.meters)),
                Cell(language("site_agents", number=site.agents)),
            ]
            for site in await self._figures(request).sites()
        ]
        columns = [
            Column(language("sites")),
            Column(language("meters")),
            Column(language("agents")),
        ]
        return visit.html("sites.html.j2", table=Table(language("sites"), columns, rows))

    async def faults(self, request: web.Request) -> web.Response:
        """What was received and not stored, by reason, with the last example of each."""
        visit = Visit.of(request)
        language = visit.language
        rows = [
            [
                Cell(language.fault(reason), reason, sub_lang="en"),
                Cell(language.number(fault.count)),
                Cell(language.ago(visit.now_ms - fault.example.time_ms)),
                Cell(fault.example.topic, fault.example.detail, sub_lang="en"),
                Cell(fault.example.payload or "–"),
            ]
            for reason, fault in sorted(self._state.faults.by_reason.items())
        ]
        columns = [
            Column(language("fault_reason")),
            Column(language("fault_count"), number=True),
            Column(language("fault_last"), number=True),
            Column(language("fault_topic")),
            Column(language("fault_payload")),
        ]
        modelled = [site.title for site in self._state.sites.values() if site.simulated]
        return visit.html(
            "faults.html.j2",
            table=Table(language("faults"), columns, rows),
            simulated=language("simulated_sites", sites=", ".join(modelled)) if modelled else "",
        )

    async def overview(self, request: web.Request) -> web.Response:
        """One site at a glance."""
        visit, figures = Visit.of(request), self._figures(request)
        site = self._site(request, figures)
        return visit.html("overview.html.j2", **await overview.context(visit, site, figures))

    async def indicator(self, request: web.Request) -> web.Response:
        """One indicator over a period, with the way back to its meters."""
        visit, figures = Visit.of(request), self._figures(request)
        site = self._site(request, figures)
        name = request.match_info["name"]
        if name not in overview.INDICATORS:
            raise web.HTTPNotFound
        start, end = (self._moment(request, site, key) for key in ("from", "to"))
        if not 0 < end - start <= _LONGEST_MS:
            raise web.HTTPBadRequest(text="from, to")
        return visit.html(
            "kpi.html.j2", **await indicator.context(visit, site, figures, name, (start, end))
        )

    async def meter(self, request: web.Request) -> web.Response:
        """One meter and the intervals of one day, with the readings behind one of them."""
        visit, figures = Visit.of(request), self._figures(request)
        site = self._site(request, figures)
        meter_id = request.match_info["meter"]
        if meter_id not in {known.id for known in site.topology.meters}:
            raise web.HTTPNotFound
        begun = request.query.get("row", "")
        if begun and not (begun.isascii() and begun.isdigit() and len(begun) <= _DIGITS_OF_ROW):
            raise web.HTTPBadRequest(text="row")
        row_ms = int(begun) if begun else None
        asked = request.query.get("day")
        if row_ms is not None and not asked:
            asked = civil.day(row_ms, site.zone).isoformat()
        try:
            day = date.fromisoformat(asked) if asked else civil.day(visit.now_ms, site.zone)
        except ValueError:
            raise web.HTTPBadRequest(text="day") from None
        if not 1970 < day.year < 9999:
            raise web.HTTPBadRequest(text="day")
        return visit.html(
            "meter.html.j2", **await meter.context(visit, site, figures, meter_id, day, row_ms)
        )

    async def agent(self, request: web.Request) -> web.Response:
        """One agent and its newest readings."""
        visit, figures = Visit.of(request), self._figures(request)
        site = self._site(request, figures)
        found = await figures.agent(site.name, request.match_info["agent"])
        if found is None:
            raise web.HTTPNotFound
        return visit.html(
            "agent.html.j2",
            **agent.context(visit, site, *found),
            release=self._release(visit, site, found[0]),
            outcome=self._outcome(visit),
        )

    async def tickets(self, request: web.Request) -> web.Response:
        """The tickets of the cross-checks, and what is not checked."""
        visit, figures = Visit.of(request), self._figures(request)
        site = self._site(request, figures)
        asked = request.query.get("outcome", "")
        outcome = visit.language(f"ticket_{asked}") if asked in ("acknowledged", "stale") else ""
        may = visit.visitor is not None and self._may_acknowledge(visit.visitor, site)
        return visit.html(
            "tickets.html.j2", **await tickets.context(visit, site, figures, outcome, may=may)
        )

    # --- hosts and guests

    async def hosts(self, request: web.Request) -> web.Response:
        """Every host, and a month's energy by cluster, tenant and service."""
        visit, (site, hosting) = Visit.of(request), self._hosting(request)
        query = request.query
        try:
            shown = await hosts.context(
                visit,
                site,
                hosting,
                page=_page(request),
                cluster=query.get("cluster", ""),
                month=query.get("month", ""),
            )
        except (ValueError, OverflowError):
            raise web.HTTPBadRequest(text="month") from None
        return visit.html("hosts.html.j2", **shown)

    async def host(self, request: web.Request) -> web.Response:
        """One host with the watts of its guests."""
        visit, (site, hosting) = Visit.of(request), self._hosting(request)
        parts = (request.match_info.get(name) for name in ("host", "resource"))
        try:
            found = await hosting.host("/".join(filter(None, parts)))
        except KeyError:
            raise web.HTTPNotFound from None
        return visit.html("host.html.j2", **host.context(visit, site, found))

    async def guests(self, request: web.Request) -> web.Response:
        """Guests, searched."""
        visit, (site, hosting) = Visit.of(request), self._hosting(request)
        query = " ".join(request.query.get("q", "")[: guests.LONGEST_QUERY].split())
        return visit.html(
            "guests.html.j2",
            **await guests.context(visit, site, hosting, page=_page(request), query=query),
        )

    async def guest(self, request: web.Request) -> web.Response:
        """One guest."""
        visit, (site, hosting) = Visit.of(request), self._hosting(request)
        try:
            found = await hosting.guest(request.match_info["guest"])
        except KeyError:
            raise web.HTTPNotFound from None
        return visit.html("guest.html.j2", **guests.guest_context(visit, site, found))

    async def use(self, request: web.Request) -> web.Response:
        """What guests do with what they were given."""
        visit, (site, hosting) = Visit.of(request), self._hosting(request)
        found = await use_view(site.name, hosting)
        answers = (await hosting.live()).answers
        return visit.html("use.html.j2", **use.context(visit, site, found, answers=answers))

    async def hosts_csv(self, request: web.Request) -> web.Response:
        """Hosts as a file."""
        return await hosting_csv.hosts(*self._hosting(request), Visit.of(request).now_ms)

    async def guests_csv(self, request: web.Request) -> web.Response:
        """Guests as a file."""
        return await hosting_csv.guests(*self._hosting(request), Visit.of(request).now_ms)

    async def use_csv(self, request: web.Request) -> web.Response:
        """Use as a file."""
        return await hosting_csv.use(*self._hosting(request), Visit.of(request).now_ms)

    def _hosting(self, request: web.Request) -> tuple[Site, Hosting]:
        figures = self._figures(request)
        site = self._site(request, figures)
        return site, figures.hosting(site.name)

    # ---

    def _may_acknowledge(self, visitor: Visitor, site: Site) -> bool:
        scope = visitor.scope(Permission.ACKNOWLEDGE, self._state.sites)
        return scope is not None and site.name in scope.sites

    def _release(self, visit: Visit, site: Site, view: AgentView) -> str:
        """Where the form that releases an agent is sent; empty for who may not, or need not."""
        if view.presence is not Presence.QUARANTINED or visit.visitor is None:
            return ""
        scope = visit.visitor.scope(Permission.RELEASE, self._state.sites)
        if scope is None:
            return ""
        try:
            shown = {one.agent for one in self._scoping.of(scope).agents(site.name)}
        except KeyError:
            return ""
        return f"/{site.name}/agent/{view.agent}/release" if view.agent in shown else ""

    def _outcome(self, visit: Visit) -> str:
        asked = visit.request.query.get("outcome", "")
        return visit.language(f"release_{asked}") if asked in ("released", "stale") else ""

    async def audit(self, request: web.Request) -> web.Response:
        """Who changed what by the console."""
        visit = Visit.of(request)
        language = visit.language
        zones = {name: site.zone for name, site in self._state.sites.items()}
        usual = next(iter(zones.values()))
        rows = [
            [
                Cell(language.moment(c.time_ms, zones.get(c.site, usual), seconds=True)),
                Cell(c.who, language(f"how_{c.how}")),
                Cell(language(f"change_{c.what.replace('.', '_')}"), c.detail),
                Cell(f"{c.site}/{c.subject}" if c.site else "–"),
                Cell(c.source),
            ]
            for c in await self._changes.newest(request[SCOPE])
        ]
        columns = [
            Column(language(f"audit_{name}")) for name in ("when", "who", "what", "of", "from")
        ]
        return visit.html("audit.html.j2", table=Table(language("audit"), columns, rows))

    def _figures(self, request: web.Request) -> ScopedFigures:
        return self._scoping.of(request[SCOPE])

    def _site(self, request: web.Request, figures: ScopedFigures) -> Site:
        try:
            return figures.site(request.match_info["site"])
        except KeyError:
            raise web.HTTPNotFound from None

    def _moment(self, request: web.Request, site: Site, key: str) -> int:
        try:
            return civil.moment_ms(request.query.get(key, ""), site.zone)
        except (ValueError, OverflowError):
            raise web.HTTPBadRequest(text=key) from None


def _page(request: web.Request) -> int:
    """Which page of a list is asked for; the first where that is no number."""
    asked = request.query.get("page", "1")
    return int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 7 else 1
