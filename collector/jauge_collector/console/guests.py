"""The pages of guests: the list with its search, and one guest with its days, names and places."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from math import fsum
from typing import Any, Final

from jauge_models.crosschecks import HOUR_MS
from jauge_models.rules import JOULES_PER_KWH

from jauge_collector import civil
from jauge_collector.adding_up import adding_up
from jauge_collector.console.charts import Chart, Curve, Row, Slot
from jauge_collector.console.hosting import Hosting
from jauge_collector.console.hosting_views import GuestHistory, GuestView, Span
from jauge_collector.console.hosting_words import (
    ON_A_PAGE,
    PARTS,
    certainty_cell,
    guest_path,
    host_path,
    kwh,
    named,
    paged,
    watts,
)
from jauge_collector.console.rendering import Cell, Column, Fact, Table, Visit
from jauge_collector.console.series import day_ticks
from jauge_collector.console.text import Language
from jauge_collector.ledger.shares import Share
from jauge_collector.sites import Site

LONGEST_QUERY: Final = 200
MOST_MOVES: Final = 100
"""Stays on hosts that are listed, the newest first."""


async def context(
    visit: Visit, site: Site, hosting: Hosting, *, page: int, query: str
) -> dict[str, Any]:
    """What the template of the list needs. Raises LedgerError."""
    language = visit.language
    guests = sorted(await hosting.guests(), key=lambda guest: (_natural(guest.name), guest.guest))
    hosts = {host.host: host.name for host in await hosting.hosts()}
    live = await hosting.live()
    wanted = query.casefold()
    found = [guest for guest in guests if wanted in _searched(guest)]
    path = f"/{site.name}/guests"
    pages = paged(visit, path, len(found), page, q=query)
    first = (pages.number - 1) * ON_A_PAGE
    names = named([(guest.guest, guest.name) for guest in found])
    return {
        "site": site,
        "query": query,
        "longest": LONGEST_QUERY,
        "lang": visit.request.query.get("lang", ""),
        "count": language(
            "of_all", number=language.number(len(found)), all=language.number(len(guests))
        ),
        "unavailable": "" if live.answers else language("hosts_store_unavailable"),
        "pages": pages,
        "guests": _guests(visit, site, found[first : first + ON_A_PAGE], names, hosts),
        "moment": language.moment(visit.now_ms, site.zone, seconds=True),
    }


def _natural(name: str) -> list[tuple[str, int]]:
    """A name to sort by, its numbers as numbers: VM2 comes before VM10."""
    found = re.findall(r"(\D*)(\d*)", name.casefold())
    return [(text, int(digits) if digits else -1) for text, digits in found]


def _searched(guest: GuestView) -> str:
    told = (guest.name, guest.guest, guest.tenant, guest.service, guest.cluster, guest.pool)
    return "\n".join(told).casefold()


def _guests(
    visit: Visit,
    site: Site,
    guests: Sequence[GuestView],
    names: Mapping[str, str],
    hosts: Mapping[str, str],
) -> Table:
    language = visit.language
    rows = [
        [
            Cell(names[one.guest], one.service, visit.link(guest_path(site.name, one.guest))),
            Cell(watts(language, one.now.power), language(f"certainty_{one.now.certainty}"))
            if one.now is not None
            else Cell(language("not_running")),
            Cell(
                hosts.get(one.host, one.host) or "–",
                one.cluster,
                visit.link(host_path(site.name, one.host)) if one.host else "",
            ),
            Cell(one.tenant or "–"),
            Cell(kwh(language, one.energy_day)),
            Cell(kwh(language, one.energy_month)),
            certainty_cell(language, one.certainty),
        ]
        for one in guests
    ]
    columns = [
        Column(language("guest")),
        Column(language("power_now"), number=True),
        Column(language("host")),
        Column(language("tenant")),
        Column(language("energy_day"), number=True),
        Column(language("energy_month"), number=True),
        Column(language("certainty")),
    ]
    return Table(language("guests"), columns, rows)


def guest_context(visit: Visit, site: Site, found: GuestHistory) -> dict[str, Any]:
    """What the template of one guest needs."""
    language = visit.language
    stays = _stays(found.shares)
    return {
        "site": site,
        "name": found.guest.name,
        "about": _about(visit, site, found),
        "unavailable": "" if found.answers else language("hosts_store_unavailable"),
        "chart": _days(language, site, found),
        "names": _names(language, site, found),
        "stays": _places(visit, site, found, stays),
        "moment": language.moment(visit.now_ms, site.zone, seconds=True),
    }


def _about(visit: Visit, site: Site, found: GuestHistory) -> list[Fact]:
    language, guest = visit.language, found.guest
    facts = [Fact(language("guest_id"), guest.guest)]
    said = {key: getattr(guest, key) for key in ("tenant", "service", "cluster", "pool")}
    facts += [Fact(language(key), text) for key, text in said.items() if text]
    if guest.host:
        name = found.shown_hosts.get(guest.host, guest.host)
        facts.append(Fact(language("runs_on"), name, visit.link(host_path(site.name, guest.host))))
    if guest.now is not None:
        now = guest.now
        idle, dynamic, gpu = (
            watts(language, value) for value in adding_up([now.idle, now.dynamic, now.gpu], 1)
        )
        facts += [
            Fact(
                language("power_now"),
                language(
                    "power_in_parts",
                    power=watts(language, now.power),
                    idle=idle,
                    dynamic=dynamic,
                    gpu=gpu,
                ),
            ),
            Fact(
                language("certainty"),
                language(f"certainty_{now.certainty}"),
                chip=certainty_cell(language, now.certainty).chip,
            ),
        ]
    elif found.answers:
        facts.append(Fact(language("power_now"), language("not_running")))
    if guest.processors is not None:
        used = "–" if guest.busy is None else language.number(guest.busy, 2)
        given = language.plain(guest.processors)
        facts.append(Fact(language("processors"), language("busy_of", busy=used, given=given)))
    return [
        *facts,
        Fact(language("energy_day"), kwh(language, guest.energy_day)),
        Fact(language("energy_month"), kwh(language, guest.energy_month)),
    ]


def _days(language: Language, site: Site, found: GuestHistory) -> Chart:
    """The month by civil days; a day in which the guest was not seen is a gap."""
    by_day: dict[int, list[Share]] = defaultdict(list)
    for share in found.shares:
        day = civil.day(share.start_ms, site.zone)
        by_day[civil.midnight_ms(day, site.zone)].append(share)
    first = civil.day(found.span[0], site.zone)
    days = _bounds(first, found.span, site)
    styles, names = PARTS[1:], [language(f"part_{name}") for name in PARTS[1:]]
    sums = {
        at: (
            fsum(share.idle for share in some),
            fsum(share.dynamic for share in some),
            fsum(share.gpu for share in some),
        )
        for at, some in by_day.items()
    }
    rows: list[Row] = []
    for start, end in days:
        cells = [language("not_seen")] * 4 + ["–", "–"]
        if start in sums:
            shown = adding_up([energy / JOULES_PER_KWH for energy in sums[start]], 2)
            some = by_day[start]
            worst = max((share.certainty for share in some), key=lambda one: one.rank)
            hours = sum(share.covered_ms for share in some) / HOUR_MS
            cells = [
                *(f"{language.number(value, 2)}\u00a0kWh" for value in (*shown, fsum(shown))),
                f"{language.number(hours, 1)}\u00a0{language('unit_hour')}",
                language(f"certainty_{worst}"),
            ]
        rows.append(Row(start, end, language.day(civil.day(start, site.zone)), tuple(cells)))
    return Chart(
        id="days",
        title=language("days_chart"),
        description=language("days_chart_text"),
        kind="stack",
        unit="J",
        start_ms=days[0][0],
        end_ms=days[-1][1],
        curves=tuple(
            Curve(
                name,
                style,
                [
                    Slot(start, end, sums[start][number] if start in sums else None)
                    for start, end in days
                ],
            )
            for number, (name, style) in enumerate(zip(names, styles, strict=True))
        ),
        ticks=day_ticks(first, days[-1][1], site.zone),
        columns=(*names, language("sum"), language("hours_seen"), language("certainty")),
        rows=tuple(rows),
        gap_text=language("gap_not_seen"),
    )


def _bounds(first: Any, span: Span, site: Site) -> list[Span]:
    """Civil days that touch a span."""
    found: list[Span] = []
    day = first
    while (start := civil.midnight_ms(day, site.zone)) < span[1]:
        day += timedelta(days=1)
        found.append((start, civil.midnight_ms(day, site.zone)))
    return found


def _names(language: Language, site: Site, found: GuestHistory) -> Table:
    rows: list[list[Cell]] = []
    for one in reversed(found.descriptions):
        labels = " · ".join(
            f"{name}{language('colon')}{text}" for name, text in sorted(one.labels.items())
        )
        since = language.moment(one.from_ms, site.zone)
        rows.append([Cell(one.name or found.guest.guest), Cell(since), Cell(labels or "–")])
    columns = [
        Column(language("name")),
        Column(language("named_since")),
        Column(language("labels")),
    ]
    return Table(language("names"), columns, rows)


def _stays(shares: Sequence[Share]) -> list[tuple[str, int, int]]:
    """Hosts with the first and last hour of each stay, in order."""
    found: list[tuple[str, int, int]] = []
    for share in shares:
        if found and found[-1][0] == share.host:
            found[-1] = (share.host, found[-1][1], share.end_ms)
        else:
            found.append((share.host, share.start_ms, share.end_ms))
    return found


def _places(
    visit: Visit, site: Site, found: GuestHistory, stays: Sequence[tuple[str, int, int]]
) -> Table:
    """Only of hosts that may be seen: a host of others, or shared with them, is not named."""
    language = visit.language
    rows: list[list[Cell]] = []
    for host, start, end in reversed(stays[-MOST_MOVES:]):
        name = found.shown_hosts.get(host)
        href = visit.link(host_path(site.name, host)) if name else ""
        rows.append(
            [
                Cell(name or language("host_not_shown"), href=href),
                Cell(language.moment(start, site.zone)),
                Cell(language.moment(end, site.zone)),
            ]
        )
    columns = [Column(language("host")), Column(language("from")), Column(language("to"))]
    return Table(language("stays"), columns, rows, more=max(0, len(stays) - MOST_MOVES))
