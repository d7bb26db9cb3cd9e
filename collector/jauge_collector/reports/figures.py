"""Every figure of a report as one flat list: for the CSV, and to tell two editions apart."""

from collections.abc import Iterator

import msgspec
from jauge_models.effectiveness import Kpi

from jauge_collector.reports.content import Amount, Figures, Report


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure with all that qualifies it. ``value`` is None exactly when ``reason`` is given.

    Shares and the uncertainty are 0 to 1; None where they are not known or mean nothing.
    """

    key: str
    """``quarter.pue``, ``year.E_DC``, ``servers.demonstrated``, …"""
    label: str
    value: float | None
    unit: str
    period: str
    """``quarter`` or ``year``."""
    coverage: float | None = None
    grade: str = ""
    category: str = ""
    status: str = ""
    attested_share: float | None = None
    estimated_share: float | None = None
    uncertainty: float | None = None
    reason: str = ""
    boundary: str = ""
    formula: str = ""
    rule_status: str = ""


def figures(report: Report) -> Iterator[Figure]:
    """The figures of a report in a fixed order: servers, quarter, year."""
    yield from _servers(report)
    yield from _of("quarter", report.quarter)
    yield from _of("year", report.year)


def _servers(report: Report) -> Iterator[Figure]:
    head = report.record.headline

    def figure(key: str, value: float | None, unit: str) -> Figure:
        reason = "" if value is not None else "not measured"
        name = f"servers.{key}"
        return Figure(key=name, label=key, value=value, unit=unit, period="quarter", reason=reason)

    yield figure("total", head.total, "1")
    for result, share in head.results.items():
        yield figure(result.value, share.servers, "1")
        yield figure(f"{result.value}.kwh", share.kwh, "kWh")
        yield figure(f"{result.value}.racks", share.racks, "1")
    yield figure("own_demonstrated", head.own_demonstrated, "1")


def _of(period: str, found: Figures) -> Iterator[Figure]:
    for name, kpi in _kpis(found):
        yield _indicator(f"{period}.{name}", kpi, period)
    for amount in found.amounts:
        yield _amount(f"{period}.{amount.symbol}", amount, period)


def _kpis(found: Figures) -> Iterator[tuple[str, Kpi]]:
    for suffix, kpis in (("", found.kpis), (".without_attested", found.without_attested)):
        if kpis is None:
            continue
        yield f"pue{suffix}", kpis.pue
        for at, kpi in enumerate(kpis.pue_elsewhere, start=2):
            yield f"pue_{at}{suffix}", kpi
        yield f"wue{suffix}", kpis.wue
        yield f"cue{suffix}", kpis.cue
        yield f"ref{suffix}", kpis.ref
        yield f"erf{suffix}", kpis.erf
        for entry in kpis.ppue:
            yield f"ppue/{entry.zone}{suffix}", entry.kpi


def _indicator(key: str, kpi: Kpi, period: str) -> Figure:
    return Figure(
        key=key,
        label=kpi.label,
        value=kpi.value,
        unit=kpi.unit,
        period=period,
        coverage=kpi.coverage,
        grade=kpi.grade.value,
        category=kpi.category or "",
        status="" if kpi.status is None else kpi.status.value,
        attested_share=kpi.attested_share,
        uncertainty=kpi.uncertainty,
        reason=kpi.reason or "",
        boundary=kpi.boundary,
        formula=kpi.formula,
        rule_status=kpi.rule_status.value,
    )


def _amount(key: str, amount: Amount, period: str) -> Figure:
    return Figure(
        key=key,
        label=amount.symbol,
        value=amount.value,
        unit=amount.unit,
        period=period,
        coverage=amount.coverage,
        grade=amount.grade.value,
        attested_share=amount.attested_share,
        estimated_share=amount.estimated_share,
        uncertainty=amount.uncertainty,
        reason=amount.reason or "",
        boundary=amount.equation,
        formula=amount.equation,
    )
