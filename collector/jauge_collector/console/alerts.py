"""The page of whoever is on call: what fires, since when, how bad, on what, and what is held back.

It asks for no script and reads on a telephone. What it cannot know it says, and never « no alert »:
neither while Alertmanager does not answer, nor while the rules' own sign of life is missing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web
from jauge_models.topology import Event, EventKind, Topology

from jauge_collector.access.roles import Permission
from jauge_collector.console import runbooks
from jauge_collector.console.alert_scope import OF_NO_THING, AlertScope
from jauge_collector.console.alertmanager import Alert, Alertmanager, Answer, Silence, Standing
from jauge_collector.console.figures import BusyError
from jauge_collector.console.guard import GATE, SCOPE, mount
from jauge_collector.console.rendering import Fact, Glance, Visit
from jauge_collector.console.scoped import ScopedFigures, Scoping
from jauge_collector.ledger.book import LedgerError
from jauge_collector.sites import Site

WATCHDOG: Final = "Watchdog"
"""The alert that always fires: without it the rules are not evaluated, or not delivered."""
EVENT: Final = "JaugeEventActive"
"""The alert by which a declared event holds others back."""
NO_SEVERITY: Final = "none"
"""Severity of alerts that reach nobody by themselves."""
MOST_SHOWN: Final = 200
MOST_HOLDING: Final = 10
"""Of the silences, and of the alerts, that hold one back."""
LONGEST_ADDRESS: Final = 2000
RELOAD_S: Final = 60
_CHIPS: Final = {"page": "bad", "ticket": "warn", "report": "warn"}
_LONGEST: Final = 1000
_KINDS: Final = ("page", "ticket", "report", "other")


@dataclass(frozen=True, slots=True)
class Shown:
    """An alert as the template shows it; ``lang`` is that of its rule's texts, if known."""

    id: str
    title: str
    lang: str
    chip: str
    severity: str
    since: str
    text: str
    action: str
    """What to do first."""
    facts: Sequence[Fact]
    links: Sequence[tuple[str, str]]
    """Text and address."""
    held: Sequence[str]
    """By what it is held back, and until when."""


@dataclass(frozen=True, slots=True)
class _Desk:
    """What is needed to show the alerts of one visit."""

    visit: Visit
    sites: Mapping[str, Site]
    events: Mapping[str, Sequence[Event]]
    """Declared ones that run or are to come, by site."""
    scope: AlertScope
    zone: tzinfo

    def moment(self, time_ms: int, site: str = "") -> str:
        of = self.sites.get(site)
        return self.visit.language.moment(time_ms, self.zone if of is None else of.zone)


def add_routes(app: web.Application, scoping: Scoping, alertmanager: Alertmanager) -> None:
    """Mount the page."""

    async def alerts(request: web.Request) -> web.Response:
        visit = Visit.of(request)
        scope = AlertScope(request[SCOPE], app[GATE].tenancies, visit.now_ms)
        standing = await alertmanager.standing()
        shown = await context(
            visit, scoping.of(request[SCOPE]), scope, standing, named=alertmanager.is_named
        )
        reloads = request.query.get("reload") == "on"
        answer = visit.html(
            "alerts.html.j2",
            **shown,
            reloads=reloads,
            reload=visit.link("/alerts") if reloads else visit.link("/alerts", reload="on"),
        )
        if reloads:
            # Who asked for it, and a link ends it: nobody's page moves under them by itself.
            answer.headers["Refresh"] = str(RELOAD_S)
        return answer

    mount(app, "GET", "/alerts", alerts, Permission.READ)


async def context(
    visit: Visit, figures: ScopedFigures, scope: AlertScope, standing: Standing, *, named: bool
) -> dict[str, Any]:
    """What the template needs."""
    language = visit.language
    sites = {name: figures.site(name) for name in figures.names}
    try:
        events = {name: _to_come(await figures.topology(name), visit.now_ms) for name in sites}
    except (BusyError, LedgerError):
        events = None  # alerts are told all the same
    zone = next(iter(sites.values())).zone if sites else UTC
    desk = _Desk(visit, sites, events or {}, scope, zone)
    answer = standing.answer
    found = [] if answer is None else [one for one in answer.alerts if scope.sees(one)]
    told = sorted(
        (one for one in found if one.labels.get("severity") != NO_SEVERITY),
        key=lambda one: (-one.since_ms, one.fingerprint),
    )
    firing = [one for one in told if not _is_held(one)]
    held = [one for one in told if _is_held(one)]
    lives = answer is not None and any(
        one.labels.get("alertname") == WATCHDOG for one in answer.alerts
    )
    sure = standing.trouble is None and lives
    silences = sorted(
        () if answer is None else filter(scope.sees_silence, answer.silences),
        key=lambda one: -one.since_ms,
    )
    return {
        "named": named,
        "dead": "" if standing.trouble is None else _dead(desk, standing),
        "as_it_was": ""
        if standing.trouble is None or answer is None
        else language("alerts_as_it_was", moment=desk.moment(answer.at_ms)),
        "mute": answer is not None and not lives,
        "answered": answer is not None,
        "sure": sure,
        "all_seen": scope.sees_all,
        "glance": _glance(visit, firing, held) if answer is not None else (),
        "firing": [_shown(desk, one, answer) for one in firing[:MOST_SHOWN]],
        "held": [_shown(desk, one, answer) for one in held[:MOST_SHOWN]],
        "more": max(0, len(firing) - MOST_SHOWN) + max(0, len(held) - MOST_SHOWN),
        "windows": list(_windows(desk)),
        "windows_known": events is not None,
        "silences": [_silence(desk, one) for one in silences[:MOST_SHOWN]],
        "more_silences": max(0, len(silences) - MOST_SHOWN),
        "plans": [(site.title, visit.link(f"/{site.name}/events")) for site in sites.values()],
        "moment": language.moment(visit.now_ms, zone, seconds=True),
    }


def _is_held(alert: Alert) -> bool:
    return alert.status.state == "suppressed"


def _to_come(topology: Topology, now_ms: int) -> list[Event]:
    return [
        event
        for event in topology.events
        if event.validity.to_ms is None or event.validity.to_ms > now_ms
    ]


def _dead(desk: _Desk, standing: Standing) -> str:
    language = desk.visit.language
    since_ms = standing.since_ms or desk.visit.now_ms
    return language(
        "alerts_dead",
        since=desk.moment(since_ms),
        ago=language.age(desk.visit.now_ms - since_ms),
        why=language(f"alerts_trouble_{standing.trouble}"),
    )


def _glance(visit: Visit, firing: Sequence[Alert], held: Sequence[Alert]) -> list[Glance]:
    language = visit.language
    counts = dict.fromkeys(_KINDS, 0)
    for one in firing:
        counts[_kind(one)] += 1
    told = [
        Glance(language(f"alerts_count_{kind}"), language.number(count), chip=chip)
        for kind, count in counts.items()
        for chip in ("" if not count else _CHIPS.get(kind, "warn"),)
        if count or kind != "other"
    ]
    return [*told, Glance(language("alerts_count_held"), language.number(len(held)))]


def _kind(alert: Alert) -> str:
    severity = alert.labels.get("severity", "")
    return severity if severity in _CHIPS else "other"


def _shown(desk: _Desk, alert: Alert, answer: Answer | None) -> Shown:
    visit, language = desk.visit, desk.visit.language
    kind, said, labels = _kind(alert), alert.annotations, alert.labels
    name, site = labels.get("alertname", "?"), labels.get("site", "")
    place = said.get("place") or ", ".join(
        f"{key} {value}" for key, value in sorted(labels.items()) if key not in OF_NO_THING
    )
    facts = [
        Fact(language(f"alerts_{key}"), _cut(text), lang=_language_of(alert))
        for key, text in (
            ("place", place),
            ("value", said.get("value", "")),
            ("limit", said.get("limit", "")),
        )
        if text
    ]
    return Shown(
        id=alert.fingerprint,
        title=_cut(said.get("summary") or name),
        lang=_language_of(alert),
        chip=_CHIPS.get(kind, "warn"),
        severity=language(f"alerts_severity_{kind}"),
        since=language(
            "alerts_since",
            moment=desk.moment(alert.since_ms, site),
            ago=language.age(visit.now_ms - alert.since_ms),
        ),
        text=_cut(said.get("description", "")),
        action=_cut(said.get("action", "")),
        facts=facts,
        links=list(_links(desk, alert)),
        held=list(_held_by(desk, alert, answer)) if answer is not None else [],
    )


def _cut(text: str) -> str:
    """A text of a rule, for people: one line, and no longer than that takes."""
    return " ".join(text.split())[:_LONGEST]


def _language_of(alert: Alert) -> str:
    """The language that a rule's texts are in, by the address of its runbook."""
    parts = alert.annotations.get("runbook_url", "").split("/")
    return next((code for code in runbooks.LANGUAGES if code in parts[-2:-1]), "")


def _links(desk: _Desk, alert: Alert) -> Iterator[tuple[str, str]]:
    """The runbook, then where to look."""
    visit, language, labels = desk.visit, desk.visit.language, alert.labels
    name = labels.get("alertname", "")
    if name in runbooks.names(language.code):
        yield language("alerts_runbook"), visit.link(runbooks.path(language.code, name))
    elif address := _address(alert.annotations.get("runbook_url", "")):
        yield language("alerts_runbook"), address
    site = desk.sites.get(labels.get("site", ""))
    if site is not None:
        meter, agent = labels.get("meter", ""), labels.get("agent", "")
        if meter and any(one.id == meter for one in site.topology.meters):
            yield meter, visit.link(f"/{site.name}/meter/{meter}")
        elif agent:
            yield _cut(agent), visit.link(f"/{site.name}/agent/{quote(agent[:_LONGEST], safe='')}")
        yield site.title, visit.link(f"/{site.name}")
    if address := _address(alert.annotations.get("dashboard_url", "")):
        yield language("alerts_dashboard"), address


def _address(text: str) -> str:
    """An address to lead to, of HTTP only; empty for what is none."""
    if len(text) > LONGEST_ADDRESS or not text.isprintable():
        return ""
    return text if text.startswith(("https://", "http://")) else ""


# --- what holds back


def _held_by(desk: _Desk, alert: Alert, answer: Answer) -> Iterator[str]:
    """Each silence and each alert that holds one back, with its end where that is known."""
    language, site = desk.visit.language, alert.labels.get("site", "")
    silences = {one.id: one for one in answer.silences}
    for key in alert.status.silenced_by[:MOST_HOLDING]:
        silence = silences.get(key)
        if silence is None:
            yield language("alerts_silenced")
            continue
        until = desk.moment(silence.until_ms, site)
        if not desk.scope.sees_silence(silence):
            yield language("alerts_silenced_until", until=until)
            continue
        yield language(
            "alerts_silenced_by",
            until=until,
            who=_cut(silence.created_by) or "–",
            why=_cut(silence.comment) or "–",
        )
    others = {one.fingerprint: one for one in answer.alerts}
    for key in alert.status.inhibited_by[:MOST_HOLDING]:
        cause = others.get(key)
        if cause is None or not desk.scope.sees(cause):
            yield language("alerts_held")
        elif cause.labels.get("alertname") == EVENT:
            yield _by_event(desk, cause)
        else:
            name = _cut(cause.labels.get("alertname", ""))
            summary = _cut(cause.annotations.get("summary", "")) or name
            yield language("alerts_held_by", cause=summary or "–")


def _by_event(desk: _Desk, cause: Alert) -> str:
    language = desk.visit.language
    site, kind, scope = (cause.labels.get(key, "") for key in ("site", "kind", "scope"))
    ends = [
        event.validity.to_ms
        for event in desk.events.get(site, ())
        if (event.kind.value, event.subject) == (kind, scope)
        and event.validity.holds(desk.visit.now_ms)
        and event.validity.to_ms is not None
    ]
    named = language(f"event_{kind}") if kind in set(EventKind) else _cut(kind)
    if not ends:
        return language("alerts_held_by_ended_event", event=named)
    return language("alerts_held_by_event", event=named, until=desk.moment(max(ends), site))


def _windows(desk: _Desk) -> Iterator[tuple[str, str, str]]:
    """Declared events that run now: name, until when, and where they are ended."""
    language = desk.visit.language
    for site, events in desk.events.items():
        for event in events:
            if not event.validity.holds(desk.visit.now_ms):
                continue
            of = event.subject or language("whole_site")
            name = f"{language(f'event_{event.kind}')} – {desk.sites[site].title}, {of}"
            ends_ms = event.validity.to_ms
            until = "" if ends_ms is None else desk.moment(ends_ms, site)
            text = language("alerts_window_until", until=until) if until else ""
            yield name, text, language(f"event_mutes_{_mutes(event)}")


def _mutes(event: Event) -> str:
    return "all" if event.kind.value == "maintenance" else "power"


def _silence(desk: _Desk, silence: Silence) -> tuple[str, str, str]:
    language = desk.visit.language
    what = ", ".join(str(one) for one in silence.matchers)
    key = "alerts_silence_runs" if silence.since_ms <= desk.visit.now_ms else "alerts_silence_waits"
    when = language(key, since=desk.moment(silence.since_ms), until=desk.moment(silence.until_ms))
    return _cut(what), when, _cut(f"{silence.created_by}: {silence.comment}")
