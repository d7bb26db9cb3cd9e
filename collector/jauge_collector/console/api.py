"""The JSON interface, ``/api/v1``: the figures of the pages for machines.

One table of endpoints makes the routes and the OpenAPI document, and the document's schemas come
from the structs that are answered, so that neither can drift from the other.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import web

import jauge_collector
from jauge_collector import civil
from jauge_collector.console.figures import Figures
from jauge_collector.console.views import AgentView, MeterView, SiteView
from jauge_collector.kpis import SiteKpis
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
    Endpoint("/agents", "The agents that were heard of.", Agents, (_ONE_OR_ALL,)),
    Endpoint("/meters", "The meters, with newest reading and coverage.", Meters, (_ONE_OR_ALL,)),
    Endpoint("/faults", "What was received and not stored, with the last example.", FaultList),
    Endpoint("/openapi.json", "This document.", None),
)

_Answer = Callable[[Mapping[str, str]], Awaitable[object]]


def add_routes(app: web.Application, state: ServiceState, figures: Figures) -> None:
    """Mount every endpoint."""
    interface = _Interface(state, figures)
    answers: dict[str, _Answer] = {
        "/sites": interface.sites,
        "/kpi": interface.kpi,
        "/agents": interface.agents,
        "/meters": interface.meters,
        "/faults": interface.faults,
        "/openapi.json": interface.document,
    }
    for endpoint in ENDPOINTS:
        app.router.add_get(ROOT + endpoint.path, _handler(endpoint, answers[endpoint.path]))


def failure(status: int, detail: str) -> web.Response:
    """A `Problem`."""
    return _json(Problem(" ".join(detail.split())), status)


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 description."""
    answered = [endpoint.answer for endpoint in ENDPOINTS if endpoint.answer]
    _, schemas = msgspec.json.schema_components(
        [*answered, Problem], ref_template="#/components/schemas/{name}"
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Jauge",
            "version": jauge_collector.__version__,
            "description": "Read-only. Names that end in _ms are milliseconds since the Unix "
            "epoch, UTC; values are in the base unit that is named beside them. A value that is "
            "not measured is null, never 0.",
        },
        "servers": [{"url": ROOT}],
        "paths": {endpoint.path: {"get": _operation(endpoint)} for endpoint in ENDPOINTS},
        "components": {"schemas": schemas},
    }


class _Interface:
    def __init__(self, state: ServiceState, figures: Figures) -> None:
        self._state = state
        self._figures = figures
        self._document = document()

    async def sites(self, _: Mapping[str, str]) -> Sites:
        return Sites(await self._figures.sites())

    async def kpi(self, query: Mapping[str, str]) -> SiteKpis:
        site = self._site(query["site"])
        try:
            start_ms, end_ms = (civil.moment_ms(query[name], site.zone) for name in ("from", "to"))
            return await self._figures.kpis(site.name, start_ms, end_ms)
        except (ValueError, OverflowError) as error:
            raise web.HTTPBadRequest(text=str(error)) from None

    async def agents(self, query: Mapping[str, str]) -> Agents:
        return Agents([a for site in self._chosen(query) for a in self._figures.agents(site)])

    async def meters(self, query: Mapping[str, str]) -> Meters:
        found: list[MeterView] = []
        for site in self._chosen(query):
            found += await self._figures.meters(site)
        return Meters(found)

    async def faults(self, _: Mapping[str, str]) -> FaultList:
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

    async def document(self, _: Mapping[str, str]) -> dict[str, Any]:
        return self._document

    def _chosen(self, query: Mapping[str, str]) -> Sequence[str]:
        return [self._site(query["site"]).name] if "site" in query else list(self._state.sites)

    def _site(self, name: str) -> Site:
        try:
            return self._state.sites[name]
        except KeyError:
            known = ", ".join(self._state.sites)
            raise web.HTTPNotFound(text=f"no site {name[:64]!r}; known are {known}") from None


def _handler(
    endpoint: Endpoint, answer: _Answer
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        return _json(await answer(_query(endpoint, request)), 200)

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
    problems = {"503": "The ledger or the store does not answer."}
    if endpoint.parameters:
        problems |= {"400": "A parameter cannot be used.", "404": "There is no such site."}
    return {
        "operationId": endpoint.path.strip("/").partition(".")[0],
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
