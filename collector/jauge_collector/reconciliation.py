"""Reconciliation of a month: what hosts' own readings account for of E_IT, by tenant."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from jauge_models.boundaries import Equation, Symbol, evaluate
from jauge_models.crosschecks import HOUR_MS, HourAmount, hours_of
from jauge_models.effectiveness import CoveragePolicy
from jauge_models.reconciliation import Reconciliation, reconcile
from jauge_models.resources import kind_of

from jauge_collector import civil
from jauge_collector.access.tenancy import Tenancy, within
from jauge_collector.kpis import counting_since
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.rows import electricity_subjects
from jauge_collector.sites import Site

WHOLE_SITE = ""
"""Instead of a tenant."""


def month_of(text: str, site: Site, now_ms: int) -> tuple[int, int]:
    """A civil month, ``2026-01``, as [start, end); the last whole one where empty.

    The running one ends with the last hour. Raises ValueError.
    """
    if text:
        first = date.fromisoformat(f"{text}-01")
    else:
        first = civil.first_of_month(civil.day(now_ms, site.zone), -1)
    if first.year not in civil.YEARS:
        raise ValueError(f"{text!r} lies outside the years that are believed")
    start_ms = civil.midnight_ms(first, site.zone)
    end_ms = min(
        civil.midnight_ms(civil.first_of_month(first, 1), site.zone), now_ms - now_ms % HOUR_MS
    )
    if end_ms <= start_ms:
        raise ValueError(f"{first:%Y-%m} has not begun")
    return start_ms, end_ms


def reconciliations(
    ledger: Ledger,
    site: Site,
    start_ms: int,
    end_ms: int,
    policy: CoveragePolicy,
    *,
    tenants: Iterable[str] = (WHOLE_SITE,),
) -> list[Reconciliation]:
    """Σ hosts / E_IT over [start, end) of the whole site, or of each tenant's own things.

    A host counts from its first row in the period on, one that several agents report once. Hosts
    of nobody stand in the site's alone.
    """
    amounts = _hosts(ledger, site, start_ms, end_ms)
    equation = site.equation(Symbol.E_IT)
    meters = [term.meter for term in equation.terms] if equation else []
    rows = ledger.rows(
        site.name,
        dict.fromkeys(meters),
        start_ms,
        end_ms,
        counts_from=counting_since(ledger, site),
        proofs=False,
    )
    tenancy = Tenancy(site)
    found: list[Reconciliation] = []
    for tenant in tenants:
        part, own = equation, amounts
        if tenant != WHOLE_SITE:
            part = None if equation is None else _part(equation, tenancy, tenant)
            own = {name: _own(name, some, tenancy, tenant) for name, some in amounts.items()}
            own = {name: some for name, some in own.items() if some}
        flows = None if part is None else evaluate(part, rows, start_ms, end_ms)
        found.append(
            reconcile(
                own,
                flows,
                start_ms,
                end_ms,
                site=site.name,
                tenant=tenant,
                minimum=policy.minimum,
            )
        )
    return found


def _hosts(
    ledger: Ledger, site: Site, start_ms: int, end_ms: int
) -> dict[str, dict[int, HourAmount]]:
    """Hourly amounts of every host that has any.

    Rows of what feeds a declared host stand for it in hours in which it has none of its own: they
    were computed before it was declared.
    """
    with ledger.transaction(writes=False) as connection:
        names = electricity_subjects(connection, site.name)
    hosts = {n for n in names if "/" in n and kind_of(n.partition("/")[2]) == "host"}
    wanted = sorted(hosts | names & {host.id for host in site.hosts})
    rows = ledger.rows(site.name, wanted, start_ms, end_ms, proofs=False)
    amounts = {
        name: hours_of(row for row in some if row.start_ms >= start_ms)
        for name, some in rows.items()
    }
    for host in site.hosts:
        whole: dict[int, HourAmount] = {}
        for name in (host.id, *(f"{feed.agent}/{feed.resource}" for feed in host.meter.feeds)):
            whole = amounts.pop(name, {}) | whole
        amounts[host.id] = whole
    return {name: hours for name, hours in sorted(amounts.items()) if hours}


def _part(equation: Equation, tenancy: Tenancy, tenant: str) -> Equation | None:
    """The terms of E_IT whose meters are a tenant's, while they are."""
    terms = tuple(
        replace(term, validity=shared)
        for term in equation.terms
        for span in tenancy.meter(term.meter, frozenset({tenant}))
        if (shared := term.validity.shared(span)) is not None
    )
    return replace(equation, terms=terms) if terms else None


def _own(
    host: str, hours: dict[int, HourAmount], tenancy: Tenancy, tenant: str
) -> dict[int, HourAmount]:
    """The hours in which a host is a tenant's."""
    held = tenancy.subject(host, frozenset({tenant}))
    return {at: hour for at, hour in hours.items() if within(held, at, at + HOUR_MS) is not None}
