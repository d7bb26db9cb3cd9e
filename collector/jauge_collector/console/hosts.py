"""The page of hosts: each with its watts and energies, and a month rolled up three ways."""

from collections.abc import Mapping, Sequence
from datetime import date
from math import fsum
from typing import Any, Final

from jauge_models.attribution import Certainty
from jauge_models.crosschecks import HOUR_MS

from jauge_collector import civil
from jauge_collector.console.hosting import Hosting
from jauge_collector.console.hosting_views import Grouping, HostView, RollUp, Span
from jauge_collector.console.hosting_words import (
    ON_A_PAGE,
    host_path,
    kwh,
    named,
    paged,
    power_cell,
)
from jauge_collector.console.rendering import Cell, Column, Glance, Table, Visit
from jauge_collector.console.text import Language
from jauge_collector.reconciliation import month_of
from jauge_collector.sites import Site

MOST_GROUPS: Final = 20
MONTHS_BACK: Final = 13
"""For so long guests have hourly rows."""


async def context(
    visit: Visit, site: Site, hosting: Hosting, *, page: int, cluster: str, month: str
) -> dict[str, Any]:
    """What the template needs. Raises ValueError for what is no month, LedgerError."""
    language = visit.language
    span = chosen_month(month, site, visit.now_ms)
    hosts = await hosting.hosts()
    live = await hosting.live()
    shown = [host for host in hosts if not cluster or host.cluster == cluster]
    path = f"/{site.name}/hosts"
    pages = paged(visit, path, len(shown), page, cluster=cluster, month=month)
    first = (pages.number - 1) * ON_A_PAGE
    names = named([(host.host, host.name) for host in shown])
    return {
        "site": site,
        "glance": _glance(language, hosts, running=len(live.guests)),
        "unavailable": "" if live.answers else language("hosts_store_unavailable"),
        "cluster": cluster,
        "all_hosts": visit.link(path),
        "pages": pages,
        "hosts": _hosts(visit, site, shown[first : first + ON_A_PAGE], names),
        "roll_ups": [_roll_up(visit, site, one) for one in await hosting.roll_ups(span)],
        "month": _month(language, site, span),
        **_months(visit, site, path, span),
        "moment": language.moment(visit.now_ms, site.zone, seconds=True),
    }


def chosen_month(text: str, site: Site, now_ms: int) -> Span:
    """A civil month as [start, end), the running one so far where none is asked for.

    In its first hour that is the last one. Raises ValueError.
    """
    if text:
        return month_of(text, site, now_ms)
    try:
        return month_of(f"{civil.day(now_ms, site.zone):%Y-%m}", site, now_ms)
    except ValueError:
        return month_of("", site, now_ms)


def _months(visit: Visit, site: Site, path: str, span: Span) -> dict[str, str]:
    first = civil.day(span[0], site.zone)
    before, after = civil.first_of_month(first, -1), civil.first_of_month(first, 1)
    begun = civil.midnight_ms(after, site.zone) + HOUR_MS <= visit.now_ms
    oldest = civil.first_of_month(civil.day(visit.now_ms, site.zone), -MONTHS_BACK)
    return {
        "previous_month": visit.link(path, month=f"{before:%Y-%m}") if before >= oldest else "",
        "next_month": visit.link(path, month=f"{after:%Y-%m}") if begun else "",
    }


def _month(language: Language, site: Site, span: Span) -> str:
    first: date = civil.day(span[0], site.zone)
    return f"{language.month(first.month)} {first.year}"


def _glance(language: Language, hosts: Sequence[HostView], *, running: int) -> list[Glance]:
    powers = [host.power for host in hosts if host.power is not None]
    month = [host.energy_month for host in hosts if host.energy_month is not None]
    measured = sum(host.certainty is Certainty.MEASURED for host in hosts)
    counts = {"measured": measured, "estimated": len(powers) - measured, "all": len(hosts)}
    return [
        Glance(
            language("hosts_power"),
            language.quantity(fsum(powers), "W") if powers else language("not_measured"),
            language(
                "hosts_with_power", **{name: language.number(n) for name, n in counts.items()}
            ),
            chip="good" if powers and len(powers) == len(hosts) else "warn",
        ),
        Glance(language("guests_running"), language.number(running)),
        Glance(
            language("energy_month"),
            language.quantity(fsum(month), "J") if month else language("not_measured"),
        ),
    ]


def _hosts(visit: Visit, site: Site, hosts: Sequence[HostView], names: Mapping[str, str]) -> Table:
    language = visit.language
    rows = [
        [
            Cell(names[host.host], host.cluster, visit.link(host_path(site.name, host.host))),
            power_cell(visit, host),
            Cell("–" if host.guests is None else language.number(host.guests)),
            _energy(language, host.energy_day, host.coverage_day),
            _energy(language, host.energy_month, host.coverage_month),
            Cell("–")
            if host.basis is None or host.grade is None
            else Cell(language(f"basis_{host.basis}"), language(f"grade_{host.grade}")),
        ]
        for host in hosts
    ]
    columns = [
        Column(language("host")),
        Column(language("power_now"), number=True),
        Column(language("guests"), number=True),
        Column(language("energy_day"), number=True),
        Column(language("energy_month"), number=True),
        Column(language("basis")),
    ]
    return Table(language("hosts"), columns, rows)


def _energy(language: Language, energy: float | None, coverage: float) -> Cell:
    if energy is None:
        return Cell(language("not_measured"))
    return Cell(kwh(language, energy), f"{language('coverage')} {language.percent(coverage)}")


def _roll_up(visit: Visit, site: Site, one: RollUp) -> Table:
    language = visit.language
    rows: list[list[Cell]] = []
    for group in one.groups[:MOST_GROUPS]:
        sub = ""
        if group.estimated:
            part = language.percent(group.estimated / group.energy) if group.energy else "–"
            sub = language("estimated_part", part=part)
        rows.append(
            [
                Cell(
                    group.name or language(f"no_{one.by}"),
                    href=_where(visit, site, one.by, group.name),
                ),
                Cell(language.number(group.guests)),
                *_amount(language, group.energy, one.energy),
                Cell(
                    language("certainty_estimated" if sub else "certainty_derived"),
                    sub,
                    chip="warn" if sub else "good",
                ),
            ]
        )
    if rest := one.groups[MOST_GROUPS:]:
        energy = fsum(group.energy for group in rest)
        name = language("groups_more", number=language.number(len(rest)))
        rows.append([Cell(name), Cell("–"), *_amount(language, energy, one.energy), Cell("–")])
    if one.own is not None and (rows or one.own):
        own = _amount(language, one.own, one.energy)
        rows.append([Cell(language("own_parts")), Cell("–"), *own, Cell("–")])
    if rows:
        total = _amount(language, one.energy, one.energy)
        rows.append([Cell(language("sum")), Cell("–"), *total, Cell("–")])
    columns = [
        Column(language(f"by_{one.by}")),
        Column(language("guests"), number=True),
        Column(language("energy"), number=True),
        Column(language("part"), number=True),
        Column(language("certainty")),
    ]
    return Table(language(f"rolled_by_{one.by}"), columns, rows)


def _where(visit: Visit, site: Site, by: Grouping, name: str) -> str:
    if not name:
        return ""
    if by is Grouping.CLUSTER:
        return visit.link(f"/{site.name}/hosts", cluster=name)
    return visit.link(f"/{site.name}/guests", q=name)


def _amount(language: Language, energy: float, whole: float) -> list[Cell]:
    return [
        Cell(kwh(language, energy)),
        Cell(language.percent(energy / whole) if whole else "–"),
    ]
