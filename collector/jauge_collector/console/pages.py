"""The console's HTML pages: routes, and the context each template is given."""

from datetime import date
from typing import Final

from aiohttp import web

from jauge_collector import civil
from jauge_collector.console import agent, indicator, meter, overview
from jauge_collector.console.figures import Figures
from jauge_collector.console.rendering import Cell, Column, Table, Visit
from jauge_collector.sites import Site
from jauge_collector.state import ServiceState

_LONGEST_MS: Final = 3700 * 86_400_000
_DEFAULT: Final[web.AppKey[str]] = web.AppKey("language", str)


def add_routes(app: web.Application, state: ServiceState, figures: Figures) -> None:
    """Mount the pages."""
    app[_DEFAULT] = state.config.console.language
    pages = _Pages(state, figures)
    app.router.add_get("/", pages.home)
    app.router.add_get("/sites", pages.sites)
    app.router.add_get("/faults", pages.faults)
    app.router.add_get("/{site}", pages.overview)
    app.router.add_get("/{site}/kpi/{name}", pages.indicator)
    app.router.add_get("/{site}/meter/{meter}", pages.meter)
    app.router.add_get("/{site}/agent/{agent}", pages.agent)


def error_page(request: web.Request, status: int, detail: str) -> web.Response:
    """An error as a page in the reader's language; ``detail`` is shown where it is the reader's."""
    visit = Visit(request, request.app[_DEFAULT])
    key = f"error_{status}"
    text = visit.language(key if visit.language.has(key) else "error_other")
    if status == web.HTTPBadRequest.status_code and detail:
        text = f"{text} {detail}"
    return visit.html("error.html.j2", status, text=text, number=status)


class _Pages:
    def __init__(self, state: ServiceState, figures: Figures) -> None:
        self._state = state
        self._figures = figures

    async def home(self, request: web.Request) -> web.Response:
        """The only site's overview, else the list of sites."""
        if len(self._state.sites) == 1:
            visit = self._visit(request)
            raise web.HTTPFound(visit.link(f"/{next(iter(self._state.sites))}"))
        return await self.sites(request)

    async def sites(self, request: web.Request) -> web.Response:
        """Every site."""
        visit = self._visit(request)
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
            for site in await self._figures.sites()
        ]
        columns = [
            Column(language("sites")),
            Column(language("meters")),
            Column(language("agents")),
        ]
        return visit.html("sites.html.j2", table=Table(language("sites"), columns, rows))

    async def faults(self, request: web.Request) -> web.Response:
        """What was received and not stored, by reason, with the last example of each."""
        visit = self._visit(request)
        language = visit.language
        rows = [
            [
                Cell(reason),
                Cell(language.number(fault.count)),
                Cell(language.ago(visit.now_ms - fault.example.time_ms)),
                Cell(fault.example.topic, fault.example.detail),
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
        return visit.html("faults.html.j2", table=Table(language("faults"), columns, rows))

    async def overview(self, request: web.Request) -> web.Response:
        """One site at a glance."""
        visit, site = self._visit(request), self._site(request)
        return visit.html("overview.html.j2", **await overview.context(visit, site, self._figures))

    async def indicator(self, request: web.Request) -> web.Response:
        """One indicator over a period, with the way back to its meters."""
        visit, site = self._visit(request), self._site(request)
        name = request.match_info["name"]
        if name not in overview.INDICATORS:
            raise web.HTTPNotFound
        start, end = (self._moment(request, site, key) for key in ("from", "to"))
        if not 0 < end - start <= _LONGEST_MS:
            raise web.HTTPBadRequest(text="from, to")
        return visit.html(
            "kpi.html.j2", **await indicator.context(visit, site, self._figures, name, (start, end))
        )

    async def meter(self, request: web.Request) -> web.Response:
        """One meter and the intervals of one day."""
        visit, site = self._visit(request), self._site(request)
        meter_id = request.match_info["meter"]
        if meter_id not in {known.id for known in site.topology.meters}:
            raise web.HTTPNotFound
        asked = request.query.get("day")
        try:
            day = date.fromisoformat(asked) if asked else civil.day(visit.now_ms, site.zone)
        except ValueError:
            raise web.HTTPBadRequest(text="day") from None
        if not 1970 < day.year < 9999:
            raise web.HTTPBadRequest(text="day")
        return visit.html(
            "meter.html.j2", **await meter.context(visit, site, self._figures, meter_id, day)
        )

    async def agent(self, request: web.Request) -> web.Response:
        """One agent and its newest readings."""
        visit, site = self._visit(request), self._site(request)
        found = await self._figures.agent(site.name, request.match_info["agent"])
        if found is None:
            raise web.HTTPNotFound
        return visit.html("agent.html.j2", **agent.context(visit, site, *found))

    def _visit(self, request: web.Request) -> Visit:
        return Visit(request, request.app[_DEFAULT])

    def _site(self, request: web.Request) -> Site:
        site = self._state.sites.get(request.match_info["site"])
        if site is None:
            raise web.HTTPNotFound
        return site

    def _moment(self, request: web.Request, site: Site, key: str) -> int:
        try:
            return civil.moment_ms(request.query.get(key, ""), site.zone)
        except (ValueError, OverflowError):
            raise web.HTTPBadRequest(text=key) from None
