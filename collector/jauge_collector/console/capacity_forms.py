"""The forms of the planner's page: a scenario row by row, one as a file, one less."""

import asyncio
from typing import Final, NamedTuple

from aiohttp import web
from jauge_models.capacity.inventory import Plant
from jauge_models.capacity.scenario import decode, encode
from jauge_models.configuration import ConfigurationError

from jauge_collector import civil
from jauge_collector.access.roles import Permission
from jauge_collector.capacity import planning
from jauge_collector.capacity.scenarios import LARGEST, TakenError, name_of, usable
from jauge_collector.console import attesting, capacity_form, capacity_views
from jauge_collector.console.attestation_form import Problem
from jauge_collector.console.capacity import ROOT, CapacityPages
from jauge_collector.console.capacity_form import Row
from jauge_collector.console.capacity_views import AnswerView
from jauge_collector.console.changes import Changes, UnrecordedError
from jauge_collector.console.gate import Visitor
from jauge_collector.console.guard import FORM, LONG_FORMS, UPLOADS, VISITOR, FormSize, mount
from jauge_collector.console.plans import Plans
from jauge_collector.console.rendering import Visit
from jauge_collector.console.scenario_levels import SCENARIO
from jauge_collector.console.scoped import Scoping
from jauge_collector.console.uploads import RECEIVED, Place
from jauge_collector.sites import Site
from jauge_collector.state import ServiceState

_MOST_LISTED: Final = 20
"""Problems at the top of a form; each stands at its field too."""
_MOST_NAMES: Final = 200
"""Of kinds or racks that the form offers."""


class _Draft(NamedTuple):
    """A form as it is shown. ``over``: digest of the saved scenario that it goes on from."""

    row: Row
    file: str = ""
    over: str = ""
    replace: str = ""


def add_routes(
    app: web.Application, state: ServiceState, scoping: Scoping, changes: Changes, plans: Plans
) -> CapacityPages:
    """Mount the pages and the forms."""
    pages = CapacityPages(state, scoping, plans)
    forms = _CapacityForms(pages, changes)
    for path, page, permission in (
        ("", pages.page, Permission.READ),
        (".csv", pages.csv, Permission.READ),
        ("/scenario", pages.toml, Permission.READ),
        ("/form", forms.form, Permission.SCENARIOS),
    ):
        mount(app, "GET", ROOT + path, page, permission)
    for path, act in (
        ("/form", forms.send),
        ("/upload", forms.upload),
        ("/delete", forms.delete),
    ):
        mount(app, "POST", ROOT + path, act, Permission.SCENARIOS)
    app[LONG_FORMS][f"{ROOT}/form"] = FormSize(
        capacity_form.LARGEST_FORM, capacity_form.MOST_FIELDS
    )
    app[UPLOADS][f"{ROOT}/upload"] = Place(
        state.config.state(attesting.UPLOADS), (".toml",), documents=False, largest=LARGEST
    )
    return pages


class _CapacityForms:
    """What an operator or an officer does with the scenarios of a site."""

    def __init__(self, pages: CapacityPages, changes: Changes) -> None:
        self._pages = pages
        self._scenarios = pages.scenarios
        self._changes = changes

    async def form(self, request: web.Request) -> web.Response:
        """A new form, or that of a scenario to go on from."""
        site, visit = self._pages.site(request), Visit.of(request)
        name = request.query.get("scenario", "")
        today = civil.day(visit.now_ms, site.zone).isoformat()
        if not name:
            row = capacity_form.blank(SCENARIO, zone=site.zone_name, first=today)
            return await self._form(visit, site, _Draft(row))
        stored = await self._pages.stored(site, name)
        try:
            row_or_none = capacity_form.stated(decode(stored.text, file=name))
        except ConfigurationError as error:
            return await self._pages.answer_page(request, site, problem=str(error))
        if row_or_none is None:
            text = visit.language("scenario_no_form")
            return await self._pages.answer_page(request, site, problem=text, lang="")
        return await self._form(visit, site, _Draft(row_or_none, name, stored.digest))

    async def send(self, request: web.Request) -> web.Response:
        """A row more or less, an answer, or a scenario to save."""
        site, visit, fields = self._pages.site(request), Visit.of(request), request[FORM]
        row, act = capacity_form.sent(fields), fields.get("do", "")
        draft = _Draft(row, *(fields.get(name, "") for name in ("file", "over", "replace")))
        if act not in ("save", "answer"):
            focus = capacity_form.changed(row, act)
            if focus is None:
                raise web.HTTPBadRequest(text="do")
            return await self._form(visit, site, draft, focus=focus)
        try:
            declared = await self._pages.declared(site)
        except ConfigurationError as error:
            return await self._form(visit, site, draft, (Problem("", str(error), "en"),))
        scenario, problems = capacity_form.read(row, visit.language, declared)
        if scenario is None:
            return await self._form(visit, site, draft, problems)
        if act == "answer":
            shown = await self._pages.shown(visit, site, scenario, "")
            return await self._form(visit, site, draft, answer=shown)
        name = draft.file.strip() or name_of(scenario.name)
        problem = await self._kept(request, site, name, encode(scenario))
        if problem is not None:
            return await self._form(visit, site, draft, (problem,))
        raise web.HTTPSeeOther(visit.link(f"/{site.name}/capacity", scenario=name, outcome="saved"))

    async def upload(self, request: web.Request) -> web.Response:
        """A scenario as a file that somebody made."""
        site, visit, received = self._pages.site(request), Visit.of(request), request[RECEIVED]
        visit.shown_at = f"/{site.name}/capacity"
        name = name_of(received.upload.name) if received.upload is not None else ""
        if received.problem or received.upload is None:
            text = visit.language("scenario_upload_wrong", size=LARGEST // 1024)
            return await self._pages.answer_page(
                request, site, problem=text, lang="", at_upload=True
            )
        path = received.upload.path
        try:
            text = await asyncio.to_thread(path.read_text, "utf-8")
            scenario = decode(text, file=received.upload.name)
            planning.checked(scenario, await self._pages.declared(site), file=received.upload.name)
        except ConfigurationError as error:
            return await self._pages.answer_page(request, site, problem=str(error), at_upload=True)
        problem = await self._kept(request, site, name, text)
        if problem is not None:
            return await self._pages.answer_page(
                request, site, problem=problem.text, lang=problem.lang, at_upload=True
            )
        where = visit.link(f"/{site.name}/capacity", scenario=name, outcome="saved")
        raise web.HTTPSeeOther(where)

    async def delete(self, request: web.Request) -> web.Response:
        """Remove a scenario, as it was when the page was made."""
        site, visit, fields = self._pages.site(request), Visit.of(request), request[FORM]
        name, digest = fields.get("scenario", ""), fields.get("digest", "")
        await self._pages.stored(site, name)
        await self._note(request[VISITOR], "scenario.delete", site, name)
        outcome = "deleted"
        try:
            await asyncio.to_thread(self._scenarios.delete, site.name, name, digest)
        except (KeyError, TakenError):
            outcome = "stale"
        raise web.HTTPSeeOther(visit.link(f"/{site.name}/capacity", outcome=outcome))

    # ---

    async def _kept(self, request: web.Request, site: Site, name: str, text: str) -> Problem | None:
        """Save a scenario, or what keeps it from being saved."""
        language, fields = Visit.of(request).language, request[FORM]
        if not usable(name):
            return Problem("file", language("scenario_wrong_name"))
        taken = Problem("file", language("scenario_taken", name=name))
        try:
            held = (await asyncio.to_thread(self._scenarios.read, site.name, name)).digest
        except KeyError:
            held = ""
        except ConfigurationError as error:
            return Problem("file", str(error), "en")
        over = held if fields.get("replace") else fields.get("over", "")
        if held and held != over:
            return taken
        await self._note(request[VISITOR], "scenario.save", site, name)
        try:
            await asyncio.to_thread(self._scenarios.save, site.name, name, text, over=over)
        except TakenError:
            return taken
        except ConfigurationError as error:
            return Problem("file", str(error), "en")
        return None

    async def _note(self, who: Visitor, what: str, site: Site, name: str) -> None:
        try:
            await self._changes.note(who, what, site.name, name)
        except UnrecordedError as error:
            raise web.HTTPServiceUnavailable(text=str(error)) from None

    async def _form(
        self,
        visit: Visit,
        site: Site,
        draft: _Draft,
        problems: tuple[Problem, ...] = (),
        *,
        focus: str = "",
        answer: AnswerView | None = None,
    ) -> web.Response:
        language = visit.language
        plant, notice = None, ""
        if site.capacity.plant is not None:
            try:
                plant = (await self._pages.declared(site)).plant
            except ConfigurationError as error:
                notice = str(error)
        looks = capacity_views.Looks(language, problems, focus)
        inputs = capacity_views.inputs(draft.row, looks)
        sections = capacity_views.sections(draft.row, looks)
        return visit.html(
            "capacity_form.html.j2",
            site=site,
            declared=site.capacity.plant is not None,
            root=f"/{site.name}/capacity",
            inputs=inputs,
            sections=sections,
            named=capacity_views.named(inputs, sections) if problems else {},
            problems=problems,
            most_listed=_MOST_LISTED,
            taken=next((one for one in problems if one.field == "file"), None),
            draft=draft,
            answer=answer or AnswerView(),
            notice=notice,
            plant=[(key, language(f"scenario_plant_{key}"), some) for key, some in _names(plant)],
            moment=language.moment(visit.now_ms, site.zone, seconds=True),
        )


def _names(plant: Plant | None) -> list[tuple[str, list[str]]]:
    """What the fields of the form may name."""
    if plant is None:
        return []
    found = {
        "kinds": [kind.name for kind in plant.kinds],
        "gpus": sorted({kind.gpu for kind in plant.kinds if kind.gpu}),
        "racks": [rack.name for rack in plant.racks],
    }
    return [(key, some[:_MOST_NAMES]) for key, some in found.items() if some]
