"""Figures of a calendar year out of the ledger, for the annex."""

from datetime import date
from typing import NamedTuple

from jauge_models.boundaries import Equation, Symbol
from jauge_models.compliance.windows import Window
from jauge_models.effectiveness import CoveragePolicy, Kpi, Side, assess
from jauge_models.rules import RULES

from jauge_collector import civil
from jauge_collector.compliance.quarters import span_ms
from jauge_collector.kpis import SiteSums
from jauge_collector.ledger.book import Ledger
from jauge_collector.reports.amounts import amounts
from jauge_collector.reports.boundary import Boundary, read
from jauge_collector.reports.content import Figures
from jauge_collector.sites import Site

_FRESHWATER_RULE = "wue-2026"


class YearFigures(NamedTuple):
    """The year's indicators and totals; ``fresh`` is W_IN-FRE / E_IT by the rule not in force."""

    figures: Figures
    fresh: Kpi | None


def year_figures(ledger: Ledger, site: Site, year: int, policy: CoveragePolicy) -> YearFigures:
    """The figures of a calendar year on the site's clock. Raises LedgerError.

    ``ledger`` is the one that counts (`compliance.confirmed_ledger.counted`).
    """
    window = Window(date(year, 1, 1), date(year, 12, 31))
    span = span_ms(window, site.zone)
    boundary = read(ledger, site, span)
    sums = SiteSums(ledger, site, civil.period(*span, site.zone), policy, rows=boundary.rows)
    figures = Figures(
        first=window.first,
        last=window.last,
        kpis=sums.figures(),
        amounts=amounts(boundary, span, sums),
    )
    return YearFigures(figures, _fresh(boundary, policy))


def _fresh(boundary: Boundary, policy: CoveragePolicy) -> Kpi | None:
    site = boundary.site
    water, it = site.equation(Symbol.W_IN_FRE), site.equation(Symbol.E_IT)
    if water is None or it is None:
        return None
    (rule,) = (rule for rule in RULES if rule.id == _FRESHWATER_RULE)
    return assess(
        rule,
        _side(boundary, water),
        _side(boundary, it),
        civil.period(*boundary.span, site.zone),
        policy=policy,
        simulated=site.simulated,
    )


def _side(boundary: Boundary, equation: Equation) -> Side:
    return Side(equation, boundary.flows(equation, boundary.span))
