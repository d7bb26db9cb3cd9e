"""« Sobriété »: twelve months beside the base year that the policy names, in kWh, m3 and tCO2e.

Both sides are totals; where one is not known there is no change, and the reason is given. Factors
of different scope never share a series, so emissions by two scopes are not set side by side.
"""

import math
from collections.abc import Iterable
from datetime import date
from typing import Final

from jauge_models.boundaries import Equation, Symbol
from jauge_models.compliance.windows import Window
from jauge_models.rules import JOULES_PER_KWH

from jauge_collector.reports.amounts import total
from jauge_collector.reports.boundary import Boundary, Span
from jauge_collector.reports.content import Amount, Sobriety, SobrietyRow
from jauge_collector.sites import EmissionFactor, Site

_NAMED: Final = (Symbol.E_DC, Symbol.E_IT, Symbol.W_IN)
CO2E: Final = "CO2e"


def year_of(number: int) -> Window:
    """A calendar year."""
    return Window(date(number, 1, 1), date(number, 12, 31))


def sobriety(base: Boundary, now: Boundary, year: Window) -> Sobriety:
    """Totals of a base year beside those of twelve months; ``year`` is the base's."""
    site = now.site
    rows: list[SobrietyRow] = []
    for symbol in _NAMED:
        equation = site.equation(symbol)
        if equation is not None:
            pair = [_total(equation, each) for each in (base, now)]
            rows.append(_row(*pair))
    rows.append(_emissions(base, now))
    return Sobriety(base_first=year.first, base_last=year.last, rows=tuple(rows))


def _total(equation: Equation, boundary: Boundary) -> Amount:
    span = boundary.span
    return total(str(equation.symbol), equation, boundary.flows(equation, span), boundary, span)


def factors_in(site: Site, span: Span) -> tuple[EmissionFactor, ...]:
    """The emission factors that hold at some moment of a span, in time order."""
    found = (site.emission_factor(at) for at in sorted({span[0], *_edges(site, span)}))
    return tuple(dict.fromkeys(factor for factor in found if factor is not None))


def _row(before: Amount, after: Amount) -> SobrietyRow:
    reason = next((each.reason for each in (before, after) if each.reason), None)
    return SobrietyRow(
        symbol=after.symbol,
        unit=after.unit,
        base=before.value,
        now=after.value,
        change=_change(before.value, after.value),
        reason=reason,
    )


def _emissions(before: Boundary, after: Boundary) -> SobrietyRow:
    both = [_tonnes(each) for each in (before, after)]
    scopes = {scope for _, scope, _ in both if scope}
    reason = next((why for _, _, why in both if why), None)
    if reason is None and len(scopes) > 1:
        reason = f"emission factors of different scope never mix: {', '.join(sorted(scopes))}"
    base, now = both[0][0], both[1][0]
    return SobrietyRow(
        symbol=CO2E,
        unit="tCO2e",
        base=base,
        now=now,
        change=None if reason else _change(base, now),
        reason=reason,
    )


def _change(before: float | None, after: float | None) -> float | None:
    if before is None or after is None or not before:
        return None
    return (after - before) / before


def _tonnes(boundary: Boundary) -> tuple[float | None, str, str | None]:
    """Tonnes by E_DC and the factors in force, their scope, and why there are none."""
    site, span = boundary.site, boundary.span
    equation = site.equation(Symbol.E_DC)
    if equation is None:
        return None, "", "no equation for E_DC is declared"
    known = [site.emission_factor(at) for at in (span[0], *_edges(site, span))]
    factors = [factor for factor in known if factor is not None]
    if len(factors) < len(known):
        return None, "", "no emission factor is declared for the period"
    scopes = sorted({factor.scope for factor in factors})
    if len(scopes) > 1:
        return None, "", f"emission factors of different scope never mix: {', '.join(scopes)}"
    flows = boundary.flows(equation, span, _edges(site, span))
    whole = total(str(Symbol.E_DC), equation, flows, boundary, span)
    if whole.reason is not None:
        return None, scopes[0], whole.reason
    kilograms = math.fsum(
        flow.amount / JOULES_PER_KWH * factor.value
        for flow in flows
        if flow.amount is not None and (factor := site.emission_factor(flow.start_ms)) is not None
    )
    return kilograms / 1000, scopes[0], None


def _edges(site: Site, span: Span) -> list[int]:
    """Moments within a span at which a factor begins or ends."""
    bounds: Iterable[int | None] = (
        edge
        for factor in site.emission_factors
        for edge in (factor.validity.from_ms, factor.validity.to_ms)
    )
    return sorted({edge for edge in bounds if edge is not None and span[0] < edge < span[1]})
