"""GPU capacity by the console: saved scenarios with their answers.

It is of a whole site: who sees it by tenants alone does not see it.
"""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
from aiohttp import web
from jauge_models.capacity.answer import Answer
from jauge_models.capacity.scenario import Scenario, decode
from jauge_models.configuration import ConfigurationError

from jauge_collector import civil
from jauge_collector.access.roles import Permission
from jauge_collector.capacity import planning, sheet_csv
from jauge_collector.capacity.plant_file import DeclaredPlant
from jauge_collector.capacity.scenarios import (
    FOLDER,
    LARGEST,
    Scenarios,
    Stored,
)
from jauge_collector.capacity.sheet import sheet
from jauge_collector.capacity.words import words
from jauge_collector.console import capacity_views
from jauge_collector.console.capacity_views import AnswerView
from jauge_collector.console.figures import now_ms
from jauge_collector.console.guard import (
    SCOPE,
    ForbiddenError,
)
from jauge_collector.console.plans import Making, Plans
from jauge_collector.console.rendering import Visit
from jauge_collector.console.scoped import Scoping
from jauge_collector.sites import Site
from jauge_collector.state import ServiceState

ROOT: Final = "/{site}/capacity"
_OUTCOMES: Final = frozenset({"saved", "deleted", "stale"})

_Read = TypeVar("_Read")


class Capacity(msgspec.Struct, frozen=True):
    """Saved scenarios of a site, the one that changed last first, and the answer to one."""

    site: str
    scenarios: list[str]
    scenario: str | None = None
    answer: Answer | None = None
    """Null where no scenario was named."""


class CapacityPages:
    """What planners see and save."""

    def __init__(self, state: ServiceState, scoping: Scoping, plans: Plans) -> None:
        self._scoping = scoping
        self._plans = plans
        self.scenarios = Scenarios(state.config.state(FOLDER))

    async def page(self, request: web.Request) -> web.Response:
        """The answer to the scenario that is asked for, else to the last one, and the list."""
        return await self.answer_page(request, self.site(request))

    async def csv(self, request: web.Request) -> web.Response:
        """The tables of an answer as a file."""
        site, visit = self.site(request), Visit.of(request)
        name = request.query.get("scenario", "")
        scenario = await self._scenario(site, name)
        found = await self._answer(site, scenario, name)
        if isinstance(found, Making):
            raise _making()
        w, zone = words(visit.language.code), civil.zone(found.zone)
        told = sheet(found, w, zone)
        return _file(sheet_csv.text(told), "text/csv", f"{site.name}-{name}.csv")

    async def toml(self, request: web.Request) -> web.Response:
        """A scenario as its file."""
        site, name = self.site(request), request.query.get("scenario", "")
        return _file((await self.stored(site, name)).text, "application/toml", f"{name}.toml")

    async def interface(self, request: web.Request, site: Site, name: str) -> Capacity:
        """For programs; ``name`` empty: the list alone."""
        self._must_be_whole(request, site)
        listed = [one.name for one in await asyncio.to_thread(self.scenarios.listed, site.name)]
        if not name:
            return Capacity(site.name, listed)
        found = await self._answer(site, await self._scenario(site, name), name)
        if isinstance(found, Making):
            raise _making()
        return Capacity(site.name, listed, name, found)

    # --- what the forms share

    async def declared(self, site: Site) -> DeclaredPlant:
        """The plant of a site. Raises ConfigurationError."""
        return await asyncio.to_thread(planning.plant_of, site, now_ms())

    async def stored(self, site: Site, name: str) -> Stored:
        """A saved scenario; 404 where there is none."""
        return await _readable(lambda: self.scenarios.read(site.name, name))

    async def _scenario(self, site: Site, name: str) -> Scenario:
        """A saved scenario, for programs and files: one line where it cannot be used."""
        return await _readable(lambda: decode(self.scenarios.read(site.name, name).text, file=name))

    async def _answer(self, site: Site, scenario: Scenario, name: str) -> Answer | Making:
        try:
            return await self._plans.answer(site, scenario, file=name)
        except ConfigurationError as error:
            raise web.HTTPBadRequest(text=str(error)) from None

    async def shown(self, visit: Visit, site: Site, scenario: Scenario, file: str) -> AnswerView:
        """An answer as the page shows it, or why there is none."""
        try:
            found = await self._plans.answer(site, scenario, file=file or scenario.name)
        except ConfigurationError as error:
            return AnswerView(file=file, problem=str(error))
        if isinstance(found, Making):
            clock = visit.language.clock(found.since_ms, site.zone, seconds=True)
            return AnswerView(file=file, waiting=visit.language("capacity_waiting", clock=clock))
        return await asyncio.to_thread(capacity_views.answered, found, visit.language, file)

    async def answer_page(
        self,
        request: web.Request,
        site: Site,
        *,
        problem: str = "",
        lang: str = "en",
        at_upload: bool = False,
    ) -> web.Response:
        """The page, with what was wrong with what somebody sent."""
        visit = Visit.of(request)
        visit.shown_at = f"/{site.name}/capacity"
        language = visit.language
        listed = await asyncio.to_thread(self.scenarios.listed, site.name)
        name = request.query.get("scenario", "") or (listed[0].name if listed else "")
        answer, digest = AnswerView(), ""
        if site.capacity.plant is not None and name and not problem:
            try:
                stored = await asyncio.to_thread(self.scenarios.read, site.name, name)
                digest = stored.digest
                scenario = decode(stored.text, file=name)
            except KeyError:
                raise web.HTTPNotFound(text="no such scenario") from None
            except ConfigurationError as error:
                answer = AnswerView(file=name, problem=str(error))
            else:
                answer = await self.shown(visit, site, scenario, name)
        asked = request.query.get("outcome", "")
        return visit.html(
            "capacity.html.j2",
            site=site,
            declared=site.capacity.plant is not None,
            answer=answer,
            digest=digest,
            listed=[(one.name, language.moment(one.changed_ms, site.zone)) for one in listed],
            may_save=_may(visit, site),
            outcome=language(f"scenario_outcome_{asked}") if asked in _OUTCOMES else "",
            problem=problem,
            problem_lang=lang,
            at_upload=at_upload,
            root=f"/{site.name}/capacity",
            largest=LARGEST // 1024,
            moment=language.moment(visit.now_ms, site.zone, seconds=True),
        )

    def site(self, request: web.Request) -> Site:
        """The site, for who may see all of it. Raises ForbiddenError."""
        figures = self._scoping.of(request[SCOPE])
        try:
            site = figures.site(request.match_info["site"])
        except KeyError:
            raise web.HTTPNotFound from None
        self._must_be_whole(request, site)
        return site

    def _must_be_whole(self, request: web.Request, site: Site) -> None:
        if not request[SCOPE].covers(site.name):
            raise ForbiddenError("forbidden_scope", "this tells of the whole site")


async def _readable(read: Callable[[], _Read]) -> _Read:
    """What is read of a saved scenario; for who asks for one that is not there, 404."""
    try:
        return await asyncio.to_thread(read)
    except KeyError:
        raise web.HTTPNotFound(text="no such scenario") from None
    except ConfigurationError as error:
        raise web.HTTPBadRequest(text=str(error)) from None


def _may(visit: Visit, site: Site) -> bool:
    visitor = visit.visitor
    scope = visitor.scope(Permission.SCENARIOS, [site.name]) if visitor is not None else None
    return scope is not None and scope.covers(site.name)


def _making() -> web.HTTPServiceUnavailable:
    return web.HTTPServiceUnavailable(
        text="the answer is being worked out; ask again", headers={"Retry-After": "5"}
    )


def _file(text: str, kind: str, name: str) -> web.Response:
    return web.Response(
        body=text.encode(),
        content_type=kind,
        charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
