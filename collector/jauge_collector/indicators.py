"""The KPIs of every site as gauges on /metrics: ``jauge_kpi_<name>`` and its coverage."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from jauge_models.effectiveness import CoveragePolicy, Kpi

from jauge_collector import civil
from jauge_collector.kpis import SiteKpis, site_kpis
from jauge_collector.ledger.book import Ledger
from jauge_collector.sites import Site
from jauge_collector.telemetry import Sample, Telemetry

INDICATORS: Final = {
    "pue": "Power usage effectiveness (ISO/IEC 30134-2).",
    "wue": "Water usage effectiveness (ISO/IEC 30134-9).",
    "cue": "Carbon usage effectiveness (ISO/IEC 30134-8).",
    "ref": "Renewable energy factor (ISO/IEC 30134-3).",
    "erf": "Energy reuse factor (ISO/IEC 30134-6).",
}


def spans(site: Site, now_ms: int) -> dict[str, tuple[int, int]]:
    """The periods that are published: the last whole day, month so far, last twelve months."""
    today = civil.day(now_ms, site.zone)
    midnight = civil.midnight_ms(today, site.zone)
    month = civil.midnight_ms(civil.first_of_month(today), site.zone)
    yesterday = civil.midnight_ms(today - timedelta(days=1), site.zone)
    twelve = civil.midnight_ms(civil.first_of_month(today, -12), site.zone)
    found = {"day": (yesterday, midnight), "year": (twelve, month)}
    if month < midnight:
        found["month"] = (month, midnight)
    return found


def figures(
    ledger: Ledger, sites: Iterable[Site], policy: CoveragePolicy, now_ms: int
) -> list[tuple[str, SiteKpis]]:
    """Each site's KPIs of each period, by the period's name. Raises LedgerError."""
    return [
        (name, site_kpis(ledger, site, start_ms, end_ms, policy))
        for site in sites
        for name, (start_ms, end_ms) in spans(site, now_ms).items()
    ]


def publish(telemetry: Telemetry, found: Iterable[tuple[str, SiteKpis]]) -> None:
    """Replace the gauges. What is not measured has a coverage and no value."""
    entries = list(found)
    for name, text in INDICATORS.items():
        values: list[Sample] = []
        coverages: list[Sample] = []
        for period, kpis in entries:
            kpi: Kpi = getattr(kpis, name)
            place = {"site": kpis.site, "period": period}
            coverages.append(Sample(place, kpi.coverage))
            if kpi.value is not None:
                qualified = {
                    "label": kpi.label,
                    "category": kpi.category or "",
                    "status": kpi.status.value,
                    "unit": kpi.unit,
                }
                values.append(Sample(place | qualified, kpi.value))
        telemetry.set_family(f"jauge_kpi_{name}", text, values)
        telemetry.set_family(
            f"jauge_kpi_{name}_coverage",
            f"Joint coverage of {name.upper()} in its period, 0 to 1.",
            coverages,
        )
