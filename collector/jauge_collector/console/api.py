"""The JSON interface, ``/api/v1``: the figures of the pages for machines.

One table of endpoints makes the routes and the OpenAPI document, and the document's schemas come
from the structs that are answered, so that neither can drift from the other.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from jauge_models.reconciliation import Reconciliation

import jauge_collector
from jauge_collector import civil
from jauge_collector.access.roles import Permission
from jauge_collector.console.capacity import Capacity, CapacityPages
from jauge_collector.console.changes import Changes, ConflictError, UnrecordedError
from jauge_collector.console.compliance_pages import CompliancePages
from jauge_collector.console.guard import SCOPE, VISITOR, mount
from jauge_collector.console.hosting_views import GuestView, HostView
from jauge_collector.console.record_views import ReportList, ServerList
from jauge_collector.console.scoped import ScopedFigures, Scoping
from jauge_collector.console.use_views import UseView, use_view
from jauge_collector.console.views import AgentView, MeterView, SiteView
from jauge_collector.kpis import SiteKpis
from jauge_collector.ledger.tickets import LONGEST_NOTE, Standing, Ticket
from jauge_collector.sites import Site
from jauge_collector.state import ServiceState

ROOT: Final = "/api/v1"


class Sites(msgspec.Struct, frozen=True):
    """Every site of the configuration."""

    sites: list[SiteView]


class Agents(msgspec.Struct, frozen=True):
    """Agents that were heard of, by site and name."""

    agents: list[AgentView]


class Meters(msgspec.Struct, frozen=True):
    """Meters, in the order of the site files."""

    meters: list[MeterView]


class FaultView(msgspec.Struct, frozen=True):
    """One reason why something was not stored, with the last message of it, made printable."""

    reason: str
    count: int
    last_ms: int
    topic: str
    detail: str
    payload: str


class FaultList(msgspec.Struct, frozen=True):
    """What was received and not stored since the collector started."""

    faults: list[FaultView]


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which agent to release from its quarantine."""

    site: str
    agent: str


class Released(msgspec.Struct, frozen=True):
    """The agent that was released."""

    site: str
    agent: str


class SiteTickets(msgspec.Struct, frozen=True):
    """Tickets of one site, and how its checks stand; None before they were first worked out."""

    site: str
    tickets: tuple[Ticket, ...]
    standing: Standing | None


class Tickets(msgspec.Struct, frozen=True):
    """Tickets of the cross-checks, by site."""

    sites: list[SiteTickets]


class Acknowledge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which ticket was seen, with a note."""

    site: str
    ticket: int
    note: Annotated[str, msgspec.Meta(max_length=LONGEST_NOTE)] = ""


class Acknowledged(msgspec.Struct, frozen=True):
    """The ticket that was acknowledged."""

    site: str
    ticket: int


class Reconciliations(msgspec.Struct, frozen=True):
    """Hosts' energy over E_IT in a month: of the site (no tenant), and of each tenant."""

    reconciliations: list[Reconciliation]


class Hosts(msgspec.Struct, frozen=True):
    """Hosts of guests, with the watts that they and their guests draw now."""

    hosts: list[HostView]


class Guests(msgspec.Struct, frozen=True):
    """Guests, each with its part of its host's watts."""

    guests: list[GuestView]


class Problem(msgspec.Struct, frozen=True):
    """Why there is no answer, in one line."""

    error: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """One part of a query."""

    name: str
    about: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address: what it takes, and the struct that it answers."""

    path: str
    summary: str
    answer: type[msgspec.Struct] | None
    parameters: tuple[Parameter, ...] = ()
    permission: Permission = Permission.READ
    takes: type[msgspec.Struct] | None = None
    """The body of a POST; None for a GET."""

    @property
    def method(self) -> str:
        """GET, or POST where something is changed."""
        return "POST" if self.takes else "GET"


_ONE_OR_ALL: Final = Parameter("site", "Name of a site; every site where absent.")
_SITE: Final = Parameter("site", "Name of a site.", required=True)
_MOMENT: Final = "A day, its midnight on the site's clock, or a time, in ISO 8601"

ENDPOINTS: Final = (
    Endpoint("/sites", "The sites.", Sites),
    Endpoint(
        "/kpi",
        "PUE, WUE, CUE, REF and ERF of a site over [from, to), with all that qualifies them.",
        SiteKpis,
        (
            _SITE,
            Parameter("from", f"{_MOMENT}.", required=True),
            Parameter("to", f"{_MOMENT}; excluded.", required=True),
        ),
    ),
    Endpoint(
        "/agents", "The agents that were heard of.", Agents, (_ONE_OR_ALL,), Permission.AGENTS
    ),
    Endpoint(
        "/agents/release",
        "End the quarantine of an agent; needs a bearer token.",
        Released,
        permission=Permission.RELEASE,
        takes=Release,
    ),
    Endpoint("/meters", "The meters, with newest reading and coverage.", Meters, (_ONE_OR_ALL,)),
    Endpoint(
        "/faults",
        "What was received and not stored, with the last example; for who may see every site.",
        FaultList,
        permission=Permission.WATCH,
    ),
    Endpoint(
        "/tickets",
        "Tickets of the cross-checks with suspects and numbers, and how the checks stand.",
        Tickets,
        (_ONE_OR_ALL,),
    ),
    Endpoint(
        "/tickets/acknowledge",
        "Say that one has seen a ticket; needs a bearer token.",
        Acknowledged,
        permission=Permission.ACKNOWLEDGE,
        takes=Acknowledge,
    ),
    Endpoint(
        "/reconciliation",
        "What hosts account for of E_IT in a month: a ratio, not a PUE.",
        Reconciliations,
        (_SITE, Parameter("month", "A month, 2026-01; the last whole one where absent.")),
    ),
    Endpoint(
        "/hosts",
        "Hosts of guests: what each draws now and drew, with its own part; a host's guests and "
        "its own part add up to it.",
        Hosts,
        (_ONE_OR_ALL,),
    ),
    Endpoint(
        "/guests",
        "Guests: the part of its host's power and energy that each has, and how sure that is.",
        Guests,
        (_ONE_OR_ALL, Parameter("host", "Only those that run there now.")),
    ),
    Endpoint(
        "/use",
        "Guests that are idle, oversized or at rest by night, and hosts that could sleep, with "
        "kWh a year and the thresholds.",
        UseView,
        (_SITE,),
    ),
    Endpoint(
        "/servers",
        "The compliance record of a quarter: every server with its result, criteria and reasons. "
        "Answers 503 while it is being worked out, or where a register cannot be used.",
        ServerList,
        (_SITE, Parameter("quarter", "A quarter, 2026-Q4; the running one where absent.")),
    ),
    Endpoint(
        "/reports",
        "Quarters that were closed, how far each has come and by whom; for who may see all of a "
        "site.",
        ReportList,
        (_SITE,),
    ),
    Endpoint(
        "/capacity",
        "What GPU workloads fit: the saved scenarios of a site, and the answer to one. For who may "
        "see all of a site. Answers 503 while it is being worked out.",
        Capacity,
        (_SITE, Parameter("scenario", "Name of a saved scenario; the list alone where absent.")),
    ),
    Endpoint("/openapi.json", "This document.", None),
)

Query = Mapping[str, str]
_Answer = Callable[[web.Request, Query], Awaitable[object]]


def add_routes(
    app: web.Application,
    state: ServiceState,
    scoping: Scoping,
    changes: Changes,
    *,
    record: CompliancePages,
    planner: CapacityPages,
) -> None:
    """Mount every endpoint."""
    interface = _Interface(state, scoping, changes, planner)
    answers: dict[str, _Answer] = {
        "/sites": interface.sites,
        "/kpi": interface.kpi,
        "/agents": interface.agents,
        "/agents/release": interface.release,
        "/meters": interface.meters,
        "/faults": interface.faults,
        "/tickets": interface.tickets,
        "/tickets/acknowledge": interface.acknowledge,
        "/reconciliation": interface.reconciliation,
        "/hosts": interface.hosts,
        "/guests": interface.guests,
        "/use": interface.use,
        "/servers": record.server_list,
        "/reports": record.report_list,
        "/capacity": interface.capacity,
        "/openapi.json": interface.document,
    }
    for endpoint in ENDPOINTS:
        handler = _handler(endpoint, answers[endpoint.path])
        mount(app, endpoint.method, ROOT + endpoint.path, handler, endpoint.permission)


def failure(status: int, detail: str) -> web.Response:
    """A `Problem`."""
    return _json(Problem(" ".join(detail.split())), status)


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 description."""
    structs = [struct for e in ENDPOINTS for struct in (e.answer, e.takes) if struct]
    _, schemas = msgspec.json.schema_components(
        [*structs, Problem], ref_template="#/components/schemas/{name}"
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Jauge",
            "version": jauge_collector.__version__,
            "description": "A token shows what its role, sites and tenants allow; what is out "
            "of its scope is not found. Names that end in _ms are milliseconds since the Unix "
            "epoch, UTC; values are in the base unit that is named beside them. A value that is "
            "not measured is null, never 0.",
        },
        "servers": [{"url": ROOT}],
        "security": [{"bearer": []}],
        "paths": {
            endpoint.path: {endpoint.method.lower(): _operation(endpoint)} for endpoint in ENDPOINTS
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


class _Interface:
    def __init__(
        self, state: ServiceState, scoping: Scoping, changes: Changes, planner: CapacityPages
    ) -> None:
        self._state = state
        self._scoping = scoping
        self._changes = changes
        self._planner = planner
        self._document = document()

    async def sites(self, request: web.Request, _: Query) -> Sites:
        return Sites(await self._figures(request).sites())

    async def kpi(self, request: web.Request, query: Query) -> SiteKpis:
        figures = self._figures(request)
        site = _site(figures, query["site"])
        try:
            start_ms, end_ms = (civil.moment_ms(query[name], site.zone) for name in ("from", "to"))
            return await figures.kpis(site.name, start_ms, end_ms)
        except (ValueError, OverflowError) as error:
            raise web.HTTPBadRequest(text=str(error)) from None

    async def agents(self, request: web.Request, query: Query) -> Agents:
        figures = self._figures(request)
        return Agents([a for site in _chosen(figures, query) for a in figures.agents(site)])

    async def release(self, request: web.Request, _: Query) -> Released:
        try:
            asked = msgspec.json.decode(await request.read(), type=Release)
        except msgspec.DecodeError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        figures = self._figures(request)
        site = _site(figures, asked.site)
        try:
            await self._changes.release(request[VISITOR], figures, site.name, asked.agent)
        except KeyError:
            raise web.HTTPNotFound(text=f"no agent {asked.agent[:64]!r}") from None
        except ConflictError as error:
            raise web.HTTPConflict(text=str(error)) from None
        except UnrecordedError as error:
            raise web.HTTPServiceUnavailable(text=str(error)) from None
        return Released(asked.site, asked.agent)

    async def meters(self, request: web.Request, query: Query) -> Meters:
        figures = self._figures(request)
        found: list[MeterView] = []
        for site in _chosen(figures, query):
            found += await figures.meters(site)
        return Meters(found)

    async def faults(self, _request: web.Request, _: Query) -> FaultList:
        return FaultList(
            [
                FaultView(
                    reason,
                    fault.count,
                    fault.example.time_ms,
                    fault.example.topic,
                    fault.example.detail,
                    fault.example.payload,
                )
                for reason, fault in sorted(self._state.faults.by_reason.items())
            ]
        )

    async def tickets(self, request: web.Request, query: Query) -> Tickets:
        figures = self._figures(request)
        found = {site: await figures.tickets(site) for site in _chosen(figures, query)}
        return Tickets([SiteTickets(site, t.tickets, t.standing) for site, t in found.items()])

    async def acknowledge(self, request: web.Request, _: Query) -> Acknowledged:
        try:
            asked = msgspec.json.decode(await request.read(), type=Acknowledge)
        except msgspec.DecodeError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        figures = self._figures(request)
        site = _site(figures, asked.site)
        try:
            await self._changes.acknowledge(
                request[VISITOR], figures, site.name, asked.ticket, asked.note
            )
        except KeyError:
            raise web.HTTPNotFound(text=f"no ticket {asked.ticket}") from None
        except ConflictError as error:
            raise web.HTTPConflict(text=str(error)) from None
        except UnrecordedError as error:
            raise web.HTTPServiceUnavailable(text=str(error)) from None
        return Acknowledged(asked.site, asked.ticket)

    async def reconciliation(self, request: web.Request, query: Query) -> Reconciliations:
        figures = self._figures(request)
        site = _site(figures, query["site"])
        try:
            return Reconciliations(await figures.reconciliations(site.name, query.get("month", "")))
        except (ValueError, OverflowError) as error:
            raise web.HTTPBadRequest(text=str(error)) from None

    async def hosts(self, request: web.Request, query: Query) -> Hosts:
        figures = self._figures(request)
        found: list[HostView] = []
        for site in _chosen(figures, query):
            found += await figures.hosting(site).hosts()
        return Hosts(found)

    async def guests(self, request: web.Request, query: Query) -> Guests:
        figures = self._figures(request)
        found: list[GuestView] = []
        for site in _chosen(figures, query):
            found += await figures.hosting(site).guests()
        return Guests([one for one in found if query.get("host") in (None, one.host)])

    async def use(self, request: web.Request, query: Query) -> UseView:
        figures = self._figures(request)
        site = _site(figures, query["site"]).name
        return await use_view(site, figures.hosting(site))

    async def capacity(self, request: web.Request, query: Query) -> Capacity:
        site = _site(self._figures(request), query["site"])
        return await self._planner.interface(request, site, query.get("scenario", ""))

    async def document(self, _request: web.Request, _: Query) -> dict[str, Any]:
        return self._document

    def _figures(self, request: web.Request) -> ScopedFigures:
        return self._scoping.of(request[SCOPE])


def _chosen(figures: ScopedFigures, query: Query) -> Sequence[str]:
    return [_site(figures, query["site"]).name] if "site" in query else figures.names


def _site(figures: ScopedFigures, name: str) -> Site:
    try:
        return figures.site(name)
    except KeyError:
        known = ", ".join(figures.names) or "none"
        raise web.HTTPNotFound(text=f"no site {name[:64]!r}; known are {known}") from None


def _handler(
    endpoint: Endpoint, answer: _Answer
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        return _json(await answer(request, _query(endpoint, request)), 200)

    return handle


def _query(endpoint: Endpoint, request: web.Request) -> Mapping[str, str]:
    """The query, as the endpoint declares it. Raises HTTPBadRequest for any other."""
    known = {parameter.name for parameter in endpoint.parameters}
    query: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in known:
            takes = ", ".join(p.name for p in endpoint.parameters) or "none"
            raise web.HTTPBadRequest(text=f"no parameter {name[:64]!r}; known are: {takes}")
        if name in query:
            raise web.HTTPBadRequest(text=f"parameter {name!r} is given twice")
        query[name] = value
    for parameter in endpoint.parameters:
        if parameter.required and parameter.name not in query:
            raise web.HTTPBadRequest(text=f"parameter {parameter.name!r} is missing")
    return query


def _json(answer: object, status: int) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(answer), status=status, content_type="application/json"
    )


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    if endpoint.answer:
        schema = _reference(endpoint.answer)
    problems = {
        "401": "There is no token, or it is not valid.",
        "403": "The role does not allow it, or the figure tells of more than may be seen.",
        "503": "The ledger or the store does not answer.",
    }
    if endpoint.parameters:
        problems |= {"400": "A parameter cannot be used.", "404": "There is no such site."}
    body: dict[str, Any] = {}
    if endpoint.takes:
        content = {"application/json": {"schema": _reference(endpoint.takes)}}
        body = {"requestBody": {"required": True, "content": content}}
        problems |= {
            "400": "The body cannot be used.",
            "404": "There is no such site, agent or ticket.",
            "409": "What was to be changed is not so any more.",
            "415": "The body is no JSON.",
        }
    return body | {
        "operationId": endpoint.path.strip("/").partition(".")[0].replace("/", "-"),
        "summary": endpoint.summary,
        "parameters": [
            {
                "name": parameter.name,
                "in": "query",
                "required": parameter.required,
                "description": parameter.about,
                "schema": {"type": "string"},
            }
            for parameter in endpoint.parameters
        ],
        "responses": {
            "200": {
                "description": "The answer.",
                "content": {"application/json": {"schema": schema}},
            }
        }
        | {
            status: {
                "description": text,
                "content": {"application/json": {"schema": _reference(Problem)}},
            }
            for status, text in sorted(problems.items())
        },
    }


def _reference(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{struct.__name__}"}
