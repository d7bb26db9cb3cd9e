"""The pages of the compliance record, and what the JSON interface answers of it."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import web
from jauge_models.configuration import ConfigurationError

from jauge_collector.compliance.life import standings
from jauge_collector.compliance.meter_history import histories
from jauge_collector.compliance.quarters import span_ms
from jauge_collector.console import attesting, compliance_servers, reporting
from jauge_collector.console.attestation_form import Form
from jauge_collector.console.compliance_meters import Told, meters
from jauge_collector.console.compliance_scope import Seen
from jauge_collector.console.compliance_servers import Filter
from jauge_collector.console.compliance_views import criteria, overview
from jauge_collector.console.compliance_words import Asked, frame
from jauge_collector.console.record_access import (
    RecordAccess,
    Recorded,
    number_of,
    require_whole,
)
from jauge_collector.console.record_views import (
    ReportList,
    ServerList,
    quarter_view,
    server_list,
)
from jauge_collector.console.records import Found, Unusable
from jauge_collector.console.rendering import Visit
from jauge_collector.console.reporting import Reporting
from jauge_collector.console.todo import Waiting, todo
from jauge_collector.ledger import closing
from jauge_collector.ledger.book import Ledger
from jauge_collector.registers.air_places import AirPlaces, air_places
from jauge_collector.registers.attestations import attested
from jauge_collector.registers.confirmations import confirmed, unconfirmed
from jauge_collector.registers.meters import life_of
from jauge_collector.sites import Site
from jauge_collector.state import ServiceState

_OUTCOMES: Final = frozenset(
    {
        "attest_done",
        "attest_aside",
        "confirm_done",
        "confirm_own",
        "confirm_stale",
        "close_begun",
        "close_stale",
        "close_reason",
        "approve_done",
        "approve_own",
        "approve_stale",
    }
)
_MAGIC: Final = {b"%PDF-": ("application/pdf", "pdf"), b"\x89PNG": ("image/png", "png")}


class CompliancePages:
    """The record of every site, for pages, forms and the JSON interface."""

    def __init__(self, state: ServiceState, access: RecordAccess, reports: Reporting) -> None:
        self._documents = state.config.state(attesting.DOCUMENTS)
        self._access = access
        self._reporting = reports

    # --- pages

    async def overview(self, request: web.Request) -> web.Response:
        """The shares of a quarter, with all that qualifies them."""
        return await self._page(request, "", "compliance.html.j2", overview)

    async def todo(self, request: web.Request) -> web.Response:
        """What is left to do before it is closed."""
        asked = await self._access.of_the_site(request)
        site, names = asked.site, [meter.id for meter in asked.site.topology.meters]
        span = span_ms(asked.quarter.window, site.zone)

        def waits(ledger: Ledger) -> Waiting:
            proposed = closing.proposed(ledger, site.name, names, *span)
            return Waiting(unconfirmed(ledger, site.name), closing.changes(proposed))

        waiting = await self._access.read(request, waits)
        return await self._page(
            request,
            "todo",
            "todo.html.j2",
            lambda asked, found, own: todo(asked, found, own, waiting),
        )

    async def servers(self, request: web.Request) -> web.Response:
        """The register of servers."""
        wanted, number = Filter.of(request.query), number_of(request.query.get("page", ""), 1)
        return await self._page(
            request,
            "servers",
            "servers.html.j2",
            lambda asked, found, own: compliance_servers.servers(asked, found, own, wanted, number),
        )

    async def servers_csv(self, request: web.Request) -> web.Response:
        """The register as a file."""
        asked = await self._access.asked(request)
        recorded = await self._access.record(request, asked)
        if not isinstance(recorded, Recorded):
            raise _not_yet(recorded, asked)
        return compliance_servers.csv(
            recorded.asked, recorded.found, recorded.seen, Filter.of(request.query)
        )

    async def server(self, request: web.Request) -> web.Response:
        """One server, criterion by criterion."""
        name = request.query.get("id", "")
        return await self._page(
            request,
            "servers",
            "server.html.j2",
            lambda asked, found, own: compliance_servers.server(asked, found, own, name),
        )

    async def criteria(self, request: web.Request) -> web.Response:
        """The site's criteria."""
        return await self._page(request, "criteria", "criteria.html.j2", criteria)

    async def meters(self, request: web.Request) -> web.Response:
        """Meters with their history."""
        asked, figures = await self._access.asked(request), self._access.figures(request)
        site = asked.site
        views = await figures.meters(site.name, readings=False)
        span = span_ms(asked.quarter.window, site.zone)

        def lives(ledger: Ledger) -> tuple[Any, Any]:
            known = {m.id: life_of(ledger, site, m) for m in site.topology.meters}
            lacks = {each.meter.id: each.lacks for each in histories(ledger, site, span[1])}
            return known, lacks

        told = Told()
        if asked.whole:
            told = Told(
                *await self._access.read(request, lives), await figures.coverage(site.name, *span)
            )
        return asked.visit.html("meters.html.j2", **meters(asked, views, told))

    async def attestations(self, request: web.Request) -> web.Response:
        """What people attested, and the forms."""
        asked = await self._access.of_the_site(request)
        chosen = number_of(request.query.get("correct", ""))
        return await self.attestations_of(asked, request, correct=chosen)

    async def attestations_of(
        self, asked: Asked, request: web.Request, *, sent: Form | None = None, correct: int = 0
    ) -> web.Response:
        """That page with a form as it was sent, or filled in with an entry to correct."""
        site = asked.site
        entries, known = await self._access.read(
            request, lambda ledger: (attested(ledger, site), confirmed(ledger, site.name))
        )
        forms: dict[str, Form] = {}
        entry = next((each for each in entries if each.id == correct), None)
        if sent is not None:
            forms[sent.value("kind")] = sent
        elif entry is not None:
            forms[entry.kind] = attesting.correcting(site, entry)
        return asked.visit.html(
            "attestations.html.j2",
            200 if sent is None else 422,
            **attesting.page(
                asked,
                entries,
                known,
                forms=forms,
                places=await places_of(site),
                outcome=_outcome(asked.visit),
            ),
        )

    async def document(self, request: web.Request) -> web.StreamResponse:
        """The document of an attested value, by the value's number."""
        asked = await self._access.of_the_site(request)
        number = number_of(request.query.get("entry", ""), 1)
        entries = await self._access.read(request, lambda ledger: attested(ledger, asked.site))
        entry = next((each for each in entries if each.id == number), None)
        if entry is None or entry.document is None:
            raise web.HTTPNotFound
        path = self._documents / entry.document

        def begins() -> bytes:
            with path.open("rb") as file:
                return file.read(8)

        try:
            head = await asyncio.to_thread(begins)
        except OSError:
            raise web.HTTPNotFound from None
        kinds = (kind for magic, kind in _MAGIC.items() if head.startswith(magic))
        kind, ending = next(kinds, ("application/octet-stream", "bin"))
        name = f"jauge-{asked.site.name}-{number}.{ending}"
        disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
        return web.FileResponse(path, headers={**disposition, "Content-Type": kind})

    async def reports(self, request: web.Request) -> web.Response:
        """Every quarter with its state, and its report to take away."""
        asked = await self._access.of_the_site(request)
        found = await self._access.read(request, lambda ledger: standings(ledger, asked.site.name))
        shown = reporting.page(
            asked,
            found,
            self._reporting.jobs(asked.site.name),
            number=number_of(request.query.get("number", ""), 1),
            outcome=_outcome(asked.visit),
        )
        return asked.visit.html("reports.html.j2", **shown)

    async def report(self, request: web.Request) -> web.StreamResponse:
        """A report as a file."""
        asked = await self._access.of_the_site(request)
        form, code = request.query.get("form", ""), request.query.get("in", "fr")
        if form not in reporting.FORMS or code not in ("fr", "en") or not asked.standing.revision:
            raise web.HTTPNotFound
        return await self._reporting.download(asked.standing, form, code)

    async def server_list(self, request: web.Request, query: Mapping[str, str]) -> ServerList:
        """The register of servers, as JSON. Raises HTTPServiceUnavailable where there is none."""
        asked = await self._access.asked(request, query.get("quarter", ""), query["site"])
        recorded = await self._access.record(request, asked)
        if not isinstance(recorded, Recorded):
            raise _not_yet(recorded, asked)
        return server_list(recorded.found, recorded.seen, asked.standing)

    async def report_list(self, request: web.Request, query: Mapping[str, str]) -> ReportList:
        """Every quarter of a site that was ever closed. Raises `WithheldError`."""
        asked = await self._access.asked(request, "", query["site"])
        require_whole(asked)
        name = asked.site.name
        found = await self._access.read(request, lambda ledger: standings(ledger, name))
        return ReportList([quarter_view(each) for each in found])

    async def _page(
        self,
        request: web.Request,
        page: str,
        template: str,
        context: Callable[[Asked, Found, Seen], dict[str, Any]],
    ) -> web.Response:
        """A page out of the record, or one that says why there is none."""
        asked = await self._access.asked(request)
        recorded = await self._access.record(request, asked)
        if isinstance(recorded, Recorded):
            try:
                return asked.visit.html(template, **context(*recorded))
            except compliance_servers.UnknownServerError:
                raise web.HTTPNotFound from None
        shown = frame(asked, page)
        if recorded is None:
            return asked.visit.html("record_pending.html.j2", **shown)
        problems = recorded.problems if asked.whole else ()
        more = recorded.more if asked.whole else 0
        return asked.visit.html(
            "record_unusable.html.j2", 503, **shown, problems=problems, more=more
        )


async def places_of(site: Site) -> AirPlaces | None:
    """The places of a site; None where its registers cannot be read."""
    try:
        return await asyncio.to_thread(air_places, site)
    except ConfigurationError:
        return None


def _not_yet(found: Unusable | None, asked: Asked) -> web.HTTPServiceUnavailable:
    """What programs are told where there is no record."""
    if found is None:
        return web.HTTPServiceUnavailable(
            text="the record is being worked out; try again", headers={"Retry-After": "10"}
        )
    first = found.problems[0] if asked.whole else "ask who keeps them"
    return web.HTTPServiceUnavailable(text=f"the registers cannot be used: {first}")


def _outcome(visit: Visit) -> str:
    asked = visit.request.query.get("outcome", "")
    return visit.language(f"outcome_of_{asked}") if asked in _OUTCOMES else ""
