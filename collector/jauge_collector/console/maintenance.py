"""Planned events by the console: those that run, are to come or are over; declaring, ending one.

What is declared here is what `jauge-collector event add` declares. It is never deleted: who ends
one early corrects its end, and who calls off one to come corrects it to no time at all.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from jauge_models.configuration import ConfigurationError
from jauge_models.topology import BLINDING, Event, EventKind, Validity

from jauge_collector.access.roles import Permission
from jauge_collector.console import maintenance_form
from jauge_collector.console.attestation_form import Form, Problem
from jauge_collector.console.changes import Changes, UnrecordedError
from jauge_collector.console.figures import now_ms
from jauge_collector.console.gate import Visitor
from jauge_collector.console.guard import FORM, SCOPE, VISITOR, ForbiddenError, mount
from jauge_collector.console.maintenance_form import Draft, read_form
from jauge_collector.console.record_access import number_of
from jauge_collector.console.records import Records
from jauge_collector.console.rendering import Visit
from jauge_collector.console.scoped import ScopedFigures, Scoping
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.entries import Entry
from jauge_collector.registers import events
from jauge_collector.sites import Site
from jauge_collector.state import ServiceState

ROOT: Final = "/{site}/events"
MOST_PAST: Final = 50
MOST_NAMES: Final = 500
"""Names of things that the form offers."""
_OUTCOMES: Final = frozenset({"added", "ended", "withdrawn", "stale"})


@dataclass(frozen=True, slots=True)
class Line:
    """One event as the template shows it."""

    name: str
    subject: str
    span: str
    reason: str
    mutes: str
    by: str
    """Who declared it; « site file » for one that stands there."""
    number: int | None
    """Of its entry, where the visitor may end it."""
    act: str
    """What the button says."""


def add_routes(
    app: web.Application,
    state: ServiceState,
    scoping: Scoping,
    changes: Changes,
    records: Records,
) -> None:
    """Mount the page and its forms."""
    maintenance = _Maintenance(state, scoping, changes, records)
    mount(app, "GET", ROOT, maintenance.page, Permission.READ)
    mount(app, "POST", f"{ROOT}/add", maintenance.add, Permission.PLAN)
    mount(app, "POST", f"{ROOT}/end", maintenance.end, Permission.PLAN)


class _Maintenance:
    def __init__(
        self, state: ServiceState, scoping: Scoping, changes: Changes, records: Records
    ) -> None:
        self._state = state
        self._scoping = scoping
        self._changes = changes
        self._records = records

    async def page(self, request: web.Request) -> web.Response:
        """The events that exist for the visitor, and the forms of who may plan."""
        return await self._page(request)

    async def add(self, request: web.Request) -> web.Response:
        """Declare an event."""
        site = self._site_of_an_act(request)
        visit, fields = Visit.of(request), request[FORM]
        draft = read_form(fields, site, visit.language, visit.now_ms)
        if not isinstance(draft, Form):
            kept = await self._enter(request[VISITOR], site, draft, fields)
            if not isinstance(kept, Form):
                raise web.HTTPSeeOther(visit.link(f"/{site.name}/events", outcome="added"))
            draft = kept
        return await self._page(request, sent=draft)

    async def end(self, request: web.Request) -> web.Response:
        """End an event that runs, or call off one that is to come."""
        site = self._site_of_an_act(request)
        number = number_of(request[FORM].get("entry", ""))
        outcome = await self._end(request[VISITOR], site, number)
        where = Visit.of(request).link(f"/{site.name}/events", outcome=outcome)
        raise web.HTTPSeeOther(where)

    # ---

    async def _enter(
        self, who: Visitor, site: Site, draft: Draft, fields: Mapping[str, str]
    ) -> int | Form:
        """Keep an event; its number, or the form with what the ledger refused."""
        span = " – ".join(fields.get(name, "") for name in ("begin", "end"))
        subject = draft.subject or site.name
        await self._note(who, "event.add", site.name, subject, f"{draft.kind}, {span}")

        def enter() -> int:
            with Ledger(self._records.ledger_file) as ledger:
                validity = Validity(draft.start_ms, draft.end_ms)
                event = Event(draft.kind, validity, draft.subject, draft.reason)
                return events.enter_event(ledger, site, event, now_ms=now_ms(), signatory=who.name)

        try:
            number = await asyncio.to_thread(enter)
        except ConfigurationError as error:
            return Form(fields, (Problem("", " ".join(str(error).split()), "en"),))
        self._records.changed(site.name)
        return number

    async def _end(self, who: Visitor, site: Site, number: int) -> str:
        found = await self._held(site, number)
        at = now_ms()
        if found is None or found.end_ms is None or found.end_ms <= at:
            return "stale"
        runs = found.start_ms < at
        what, outcome = ("event.end", "ended") if runs else ("event.withdraw", "withdrawn")
        await self._note(who, what, site.name, found.subject or site.name, str(number))

        def enter() -> None:
            known = events.event_of(found)
            validity = Validity(found.start_ms, at if runs else found.start_ms)
            event = Event(known.kind, validity, known.subject, known.reason)
            with Ledger(self._records.ledger_file) as ledger:
                events.enter_event(
                    ledger, site, event, now_ms=at, signatory=who.name, corrects=number
                )

        try:
            await asyncio.to_thread(enter)
        except ConfigurationError:
            return "stale"  # somebody else was faster
        self._records.changed(site.name)
        return outcome

    async def _held(self, site: Site, number: int) -> Entry | None:
        def read() -> Entry | None:
            with Ledger(self._records.ledger_file) as ledger:
                held = events.holding(ledger, site.name)
                return next((one for one in held if one.id == number), None)

        return await asyncio.to_thread(read)

    async def _note(self, who: Visitor, what: str, site: str, subject: str, detail: str) -> None:
        try:
            await self._changes.note(who, what, site, subject, detail)
        except UnrecordedError as error:
            raise web.HTTPServiceUnavailable(text=str(error)) from None

    def _site_of_an_act(self, request: web.Request) -> Site:
        """The whole site, for who may plan all of it: an event may mute everybody's alerts."""
        figures = self._scoping.of(request[SCOPE])
        name = request.match_info["site"]
        try:
            figures.site(name)
        except KeyError:
            raise web.HTTPNotFound from None
        if not request[SCOPE].covers(name):
            raise ForbiddenError("forbidden_scope", "this is done to the whole site")
        return self._state.sites[name]

    async def _page(self, request: web.Request, sent: Form | None = None) -> web.Response:
        visit, figures = Visit.of(request), self._scoping.of(request[SCOPE])
        try:
            site = figures.site(request.match_info["site"])
        except KeyError:
            raise web.HTTPNotFound from None
        visit.shown_at = f"/{site.name}/events"
        whole = figures.totals(site.name)
        may = whole and _may_plan(visit, site)
        lines = await _known(visit, site, figures, whole=whole, may=may)
        asked = request.query.get("outcome", "")
        root = f"/{site.name}/events"
        return visit.html(
            "events.html.j2",
            site=site,
            groups=_grouped(lines, visit),
            more=max(0, sum(end <= visit.now_ms for _, end, _ in lines) - MOST_PAST),
            outcome=visit.language(f"event_outcome_{asked}") if asked in _OUTCOMES else "",
            may_plan=may,
            form=sent or maintenance_form.empty(site, visit.now_ms),
            labels={
                name: visit.language(f"event_field_{name}") for name in maintenance_form.FIELDS
            },
            kinds=[(kind.value, _kind(visit, kind)) for kind in EventKind],
            names=sorted(events.declared_names(site))[:MOST_NAMES] if may else [],
            longest_reason=maintenance_form.LONGEST_REASON,
            add=f"{root}/add",
            end=f"{root}/end",
            clock=visit.language("event_clock", zone=site.zone_name),
            moment=visit.language.moment(visit.now_ms, site.zone, seconds=True),
        )


def _may_plan(visit: Visit, site: Site) -> bool:
    visitor = visit.visitor
    scope = visitor.scope(Permission.PLAN, [site.name]) if visitor is not None else None
    return scope is not None and scope.covers(site.name)


def _kind(visit: Visit, kind: EventKind) -> str:
    return visit.language(f"event_{kind}")


def _mutes(kind: EventKind) -> str:
    """Key of the text that says which alerts an event holds back, and what else it does."""
    if kind is EventKind.MAINTENANCE:
        return "event_mutes_all"
    return "event_mutes_power_and_blinds" if kind in BLINDING else "event_mutes_power"


async def _known(
    visit: Visit, site: Site, figures: ScopedFigures, *, whole: bool, may: bool
) -> list[tuple[int, int, Line]]:
    """Beginning, end and line of each; a visitor of tenants learns of no person."""
    topology = await figures.topology(site.name)
    if not whole:
        return [_line(visit, site, event, "", None) for event in topology.events]
    name = site.name
    entries = await figures.read(lambda ledger: events.holding(ledger, name))
    found = [
        _line(visit, site, event, visit.language("event_of_file"), None)
        for event in site.topology.events
    ]
    return found + [
        _line(visit, site, events.event_of(one), one.signatory, one.id if may else None)
        for one in entries
    ]


def _line(
    visit: Visit, site: Site, event: Event, by: str, number: int | None
) -> tuple[int, int, Line]:
    language = visit.language
    start = event.validity.from_ms
    end = event.validity.to_ms
    begin_ms = 0 if start is None else start
    end_ms = 2**62 if end is None else end
    over = end_ms <= visit.now_ms
    runs = begin_ms <= visit.now_ms
    return (
        begin_ms,
        end_ms,
        Line(
            name=_kind(visit, event.kind),
            subject=event.subject or language("whole_site"),
            span=language(
                "from_to",
                start="…" if start is None else language.moment(start, site.zone),
                end="…" if end is None else language.moment(end, site.zone),
            ),
            reason=event.reason,
            mutes=language(_mutes(event.kind)),
            by=by,
            number=None if over else number,
            act=language("event_end_now" if runs else "event_withdraw"),
        ),
    )


def _grouped(
    lines: Sequence[tuple[int, int, Line]], visit: Visit
) -> list[tuple[str, str, str, list[Line]]]:
    """Running ones by their end, those to come by their beginning, then the last that are over.

    Key, heading, what stands where there is none (nothing: no heading either), and the lines.
    """
    at, language = visit.now_ms, visit.language
    running = sorted((one for one in lines if one[0] <= at < one[1]), key=lambda one: one[1])
    coming = sorted((one for one in lines if one[0] > at), key=lambda one: one[0])
    over = sorted((one for one in lines if one[1] <= at), key=lambda one: -one[1])[:MOST_PAST]
    return [
        (key, language(f"events_{key}"), none, [line for _, _, line in some])
        for key, none, some in (
            ("running", language("events_none_running"), running),
            ("coming", language("events_none_coming"), coming),
            ("over", "", over),
        )
    ]
