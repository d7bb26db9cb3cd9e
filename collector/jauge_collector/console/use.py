"""The page of use: guests that are idle, oversized or at rest by night, hosts that could sleep."""

from collections.abc import Sequence
from math import fsum
from typing import Any, Final

from jauge_models.guest_use import HOURS_OF_WEEK, Reason, UsePolicy
from jauge_models.rules import JOULES_PER_KWH

from jauge_collector.console.hosting_words import certainty_cell, guest_path, host_path, named
from jauge_collector.console.rendering import Cell, Column, Fact, Glance, Table, Visit
from jauge_collector.console.text import Language
from jauge_collector.console.use_views import (
    Found,
    IdleView,
    NightView,
    OversizedView,
    SavingView,
    SleeperView,
    UseView,
    WindowView,
)
from jauge_collector.sites import Site

MOST_ROWS: Final = 40
"""Of each finding, the greatest saving first: what keeps the page below 150 kB."""
_MOST_WINDOWS: Final = 7
_MOST_MOVES: Final = 4


def context(visit: Visit, site: Site, found: UseView, *, answers: bool) -> dict[str, Any]:
    """What the template needs; ``answers``: whether the store says what runs now."""
    language = visit.language
    kinds: tuple[tuple[str, Sequence[Found] | Sequence[SleeperView], Table], ...] = (
        ("idle", found.idle, _idle(visit, site, found.idle)),
        ("oversized", found.oversized, _oversized(visit, site, found.oversized)),
        ("night", found.night, _night(visit, site, found.night)),
        ("asleep", found.asleep, _asleep(visit, site, found.asleep)),
    )
    none = _too_early(language, found)
    return {
        "site": site,
        "too_early": none,
        "nothing": language("use_none_yet") if none else language("use_none"),
        "period": language(
            "use_period",
            start=language.moment(found.start_ms, site.zone),
            end=language.moment(found.end_ms, site.zone),
            number=language.number(found.judged),
        ),
        "glance": [
            Glance(
                language(f"use_{kind}"),
                language.number(len(some)),
                language("a_year", energy=_whole(language, some)) if some else "",
                href=f"#{kind}",
            )
            for kind, some, _ in kinds
        ],
        "sections": [
            (kind, language(f"use_{kind}"), _rule(language, kind, found.policy), table)
            for kind, _, table in kinds
        ],
        "not_judged": [
            Fact(language(f"not_judged_{reason}"), language.number(number))
            for reason, number in sorted(found.not_judged.items())
        ],
        "unavailable": "" if answers else language("hosts_store_unavailable"),
        "moment": language.moment(visit.now_ms, site.zone, seconds=True),
    }


def _too_early(language: Language, found: UseView) -> str:
    """Why nothing is found, where no guest was seen long enough for it; else empty."""
    if found.idle or found.oversized or found.night or found.asleep:
        return ""
    if not found.judged:
        return language("use_no_guest")
    if found.not_judged.get(Reason.DAYS, 0) < found.judged:
        return ""
    return language(
        "use_too_early",
        number=language.number(found.judged),
        days=language.number(found.policy.days),
        idle_days=language.number(found.policy.idle_days),
    )


def windows(language: Language, some: Sequence[WindowView]) -> str:
    """Windows of the week in words: ``Mon 20:00–Tue 06:00``."""
    return ", ".join(
        f"{_hour(language, one.start)}–{_hour(language, one.start + one.hours)}" for one in some
    )


def _hour(language: Language, hour: int) -> str:
    day = language("weekdays").split()[hour % HOURS_OF_WEEK // 24]
    return f"{day}\u00a0{hour % 24:02}:00"


def _whole(language: Language, some: Sequence[Found] | Sequence[SleeperView]) -> str:
    kwh = fsum(fsum((s.dynamic, s.gpu, s.idle)) for s in (one.saving for one in some))
    return language.quantity(kwh * JOULES_PER_KWH, "J", 3)


def _rule(language: Language, kind: str, policy: UsePolicy) -> str:
    """The thresholds that made the list."""
    return language(
        f"use_{kind}_rule",
        busy=language.percent(policy.idle_busy, 0),
        idle_days=language.number(policy.idle_days),
        days=language.number(policy.days),
        room=language.percent(policy.head_room, 0),
        part=language.percent(policy.oversized, 0),
        hours=language.number(policy.window_hours),
        weeks=language.number(policy.window_weeks),
        spare=language.number(policy.spare_hosts),
    )


def _kwh(language: Language, kwh: float) -> Cell:
    return Cell(f"{language.number(kwh, 0 if kwh >= 100 else 1)}\u00a0kWh")


def _savings(language: Language, saving: SavingView) -> list[Cell]:
    return [
        _kwh(language, saving.dynamic),
        _kwh(language, saving.gpu) if saving.gpu else Cell("–"),
        _kwh(language, saving.idle),
        certainty_cell(language, saving.certainty),
    ]


def _saving_columns(language: Language) -> list[Column]:
    return [
        Column(language("saved_dynamic"), number=True),
        Column(language("saved_gpu"), number=True),
        Column(language("saved_idle"), number=True),
        Column(language("certainty")),
    ]


def _table(
    visit: Visit,
    site: Site,
    kind: str,
    number: int,
    table: tuple[Sequence[Column], Sequence[Sequence[Cell]]],
) -> Table:
    columns, rows = table
    more = max(0, number - MOST_ROWS)
    elsewhere = f"/api/v1/use?site={site.name}"
    return Table(visit.language(f"use_{kind}"), columns, rows, more, elsewhere)


def _guests(visit: Visit, site: Site, found: Sequence[Found]) -> list[Cell]:
    names = named([(one.guest, one.name) for one in found])
    return [
        Cell(
            names[one.guest],
            " · ".join(filter(None, (one.tenant, one.service))),
            visit.link(guest_path(site.name, one.guest)),
        )
        for one in found
    ]


def _idle(visit: Visit, site: Site, found: Sequence[IdleView]) -> Table:
    language, shown = visit.language, found[:MOST_ROWS]
    rows = [
        [
            cell,
            Cell(language.number(one.days)),
            Cell(language.percent(one.busiest)),
            *_savings(language, one.saving),
        ]
        for cell, one in zip(_guests(visit, site, shown), shown, strict=True)
    ]
    columns = [
        Column(language("guest")),
        Column(language("days_seen"), number=True),
        Column(language("busiest_hour"), number=True),
        *_saving_columns(language),
    ]
    return _table(visit, site, "idle", len(found), (columns, rows))


def _oversized(visit: Visit, site: Site, found: Sequence[OversizedView]) -> Table:
    language, shown = visit.language, found[:MOST_ROWS]

    def sizes(given: float | None, enough: float | None, unit: str) -> Cell:
        if given is None:
            return Cell("–")
        text = language.quantity(given, unit, 3)
        if enough is None:
            return Cell(text, language("size_fits"))
        return Cell(f"{text} → {language.quantity(enough, unit, 3)}")

    rows = [
        [
            cell,
            sizes(one.processors, one.recommended_processors, "count"),
            sizes(one.memory_size, one.recommended_memory, "B"),
            _kwh(language, one.saving.idle),
            certainty_cell(language, one.saving.certainty),
        ]
        for cell, one in zip(_guests(visit, site, shown), shown, strict=True)
    ]
    columns = [
        Column(language("guest")),
        Column(language("processors"), number=True),
        Column(language("memory"), number=True),
        Column(language("saved_idle"), number=True),
        Column(language("certainty")),
    ]
    return _table(visit, site, "oversized", len(found), (columns, rows))


def _night(visit: Visit, site: Site, found: Sequence[NightView]) -> Table:
    language, shown = visit.language, found[:MOST_ROWS]
    rows: list[list[Cell]] = []
    for cell, one in zip(_guests(visit, site, shown), shown, strict=True):
        hours = language.number(sum(window.hours for window in one.windows))
        text = windows(language, one.windows[:_MOST_WINDOWS])
        more = len(one.windows) - _MOST_WINDOWS
        if more > 0:
            text = f"{text}, {language('windows_more', number=language.number(more))}"
        rows.append(
            [
                cell,
                Cell(language("hours_a_week", number=hours), text),
                *_savings(language, one.saving),
            ]
        )
    columns = [
        Column(language("guest")),
        Column(language("at_rest")),
        *_saving_columns(language),
    ]
    return _table(visit, site, "night", len(found), (columns, rows))


def _asleep(visit: Visit, site: Site, found: Sequence[SleeperView]) -> Table:
    language, shown = visit.language, found[:MOST_ROWS]
    names = named([(one.host, one.name) for one in shown])
    rows: list[list[Cell]] = []
    for one in shown:
        targets = sorted({move.host for move in one.moves})
        text = ", ".join(targets[:_MOST_MOVES]) + (" …" if len(targets) > _MOST_MOVES else "")
        rows.append(
            [
                Cell(names[one.host], one.cluster, visit.link(host_path(site.name, one.host))),
                Cell(language.number(len(one.moves)), text),
                _kwh(language, one.saving.idle),
                certainty_cell(language, one.saving.certainty),
            ]
        )
    columns = [
        Column(language("host")),
        Column(language("moves_to")),
        Column(language("saved_asleep"), number=True),
        Column(language("certainty")),
    ]
    return _table(visit, site, "asleep", len(found), (columns, rows))
