"""Reconciliation of a month: what hosts' own readings account for of E_IT, by tenant."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from jauge_models.boundaries import Equation, Symbol, evaluate
from jauge_models.crosschecks import HOUR_MS, HourAmount, hours_of
from jauge_models.effectiveness import CoveragePolicy
from jauge_models.reconciliation import Reconciliation, reconcile
from jauge_models.resources import kind_of
from jauge_models.topology import Validity

from jauge_collector import civil
from jauge_collector.access.tenancy import Held, Tenancy, within
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

    A host counts from its first row in the period on. Hosts of nobody stand in the site's alone.
    """
    with ledger.transaction(writes=False) as connection:
        names = electricity_subjects(connection, site.name)
    hosts = sorted(n for n in names if "/" in n and kind_of(n.partition("/")[2]) == "host")
    amounts = {
        name: hours
        for name, rows in ledger.rows(site.name, hosts, start_ms, end_ms, proofs=False).items()
        if (hours := hours_of(row for row in rows if row.start_ms >= start_ms))
    }
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


def _part(equation: Equation, tenancy: Tenancy, tenant: str) -> Equation | None:
    """The terms of E_IT whose meters are a tenant's, while they are."""
    terms = tuple(
        replace(term, validity=shared)
        for term in equation.terms
        for span in tenancy.meter(term.meter, frozenset({tenant}))
        if (shared := _shared(term.validity, span)) is not None
    )
    return replace(equation, terms=terms) if terms else None


def _shared(one: Validity, other: Validity) -> Validity | None:
    """The time in both spans."""
    if not one.overlaps(other):
        return None
    starts = [at for at in (one.from_ms, other.from_ms) if at is not None]
    ends = [at for at in (one.to_ms, other.to_ms) if at is not None]
    return Validity(max(starts, default=None), min(ends, default=None))


def _own(
    name: str, hours: dict[int, HourAmount], tenancy: Tenancy, tenant: str
) -> dict[int, HourAmount]:
    agent, _, resource = name.partition("/")
    held: Held = tenancy.resource(agent, resource, frozenset({tenant}))
    return {at: hour for at, hour in hours.items() if within(held, at, at + HOUR_MS) is not None}
