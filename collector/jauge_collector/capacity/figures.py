"""What turns kWh of IT into the rest, as the site measured it over the last twelve months.

An indicator that the coverage policy withholds is not used: the answer then says that it lacks it.
"""

from datetime import timedelta
from typing import Final

from jauge_models.capacity.outcome import Z_80, Figure, Figures
from jauge_models.effectiveness import CoveragePolicy, Kpi

from jauge_collector import civil
from jauge_collector.kpis import site_kpis
from jauge_collector.ledger.book import Ledger
from jauge_collector.sites import Site

_DAYS: Final = 365
_COVERAGE_FACTOR: Final = 2.0
"""k of the expanded uncertainty of an indicator."""


def figures(ledger: Ledger, site: Site, policy: CoveragePolicy, now_ms: int) -> Figures:
    """PUE and WUE up to the last midnight, the emission factor and price in force.

    Raises LedgerError.
    """
    end = civil.day(now_ms, site.zone)
    start = end - timedelta(days=_DAYS)
    span = (civil.midnight_ms(start, site.zone), civil.midnight_ms(end, site.zone))
    kpis = site_kpis(ledger, site, *span, policy)
    factor = site.emission_factor(now_ms)
    price = site.capacity.price_eur_per_kwh
    period = f"{start.isoformat()}/{end.isoformat()}"
    return Figures(
        pue=_of_kpi(kpis.pue, period),
        wue=_of_kpi(kpis.wue, period),
        carbon=None
        if factor is None
        else Figure(value=factor.value, source=factor.source, status=None),
        price=None
        if price is None
        else Figure(value=price, source=site.capacity.price_source, status=None),
    )


def _of_kpi(kpi: Kpi, period: str) -> Figure | None:
    """An indicator with the bounds of its 80 % interval, where its meters' classes are known."""
    if kpi.value is None:
        return None
    off = None
    if kpi.uncertainty is not None:
        off = kpi.value * kpi.uncertainty / _COVERAGE_FACTOR * Z_80
    return Figure(
        value=kpi.value,
        low=None if off is None else kpi.value - off,
        high=None if off is None else kpi.value + off,
        source=f"{kpi.label}, {period}",
        status=kpi.status,
    )
