"""The page of one indicator: the way back from a figure to its meters."""

import asyncio
from collections.abc import Sequence
from datetime import date
from math import fsum
from typing import Any, Final
from urllib.parse import urlencode

from jauge_models.boundaries import WATER, Equation
from jauge_models.effectiveness import Kpi, Total
from jauge_models.rules import Indicator, rule_in_force
from jauge_models.topology import Validity

from jauge_collector import civil
from jauge_collector.console.overview import Span, month_starts, shown
from jauge_collector.console.rendering import Cell, Column, Fact, Table, Visit
from jauge_collector.console.scoped import ScopedFigures
from jauge_collector.console.text import Language
from jauge_collector.kpis import Part, factors_of
from jauge_collector.sites import Site


async def context(
    visit: Visit, site: Site, figures: ScopedFigures, name: str, span: Span
) -> dict[str, Any]:
    """What the template needs. Raises ValueError for an empty period, LedgerError."""
    language = visit.language
    kpis = await figures.kpis(site.name, *span)
    kpi: Kpi = getattr(kpis, name)
    rule = rule_in_force(Indicator(name))
    parts = await figures.parts(site.name, Indicator(name), *span)
    equations = [site.equation(symbol) for symbol in (rule.numerator, rule.denominator)]
    day = civil.day(min(span[1] - 1, visit.now_ms), site.zone)
    over = language(
        "period",
        start=language.moment(span[0], site.zone),
        end=language.moment(span[1], site.zone),
    )
    return {
        "site": site,
        "name": language(f"name_{name}"),
        "over": over,
        "figure": shown(visit, site, name, kpis, span, over=over),
        "how": [
            Fact(language("kpi_formula"), kpi.formula),
            Fact(language("kpi_boundary"), kpi.boundary or "–"),
            Fact(language("kpi_rule"), rule.reference, lang="en"),
            Fact(language("kpi_rule_status"), language(f"rule_{kpi.rule_status}")),
            Fact(language("period_kind"), language(f"kind_{kpi.period_kind}")),
            *_total(language, "numerator", kpi.numerator),
            *_total(language, "denominator", kpi.denominator),
            *_weighting(language, site, kpi, span),
        ],
        "sides": [
            {
                "symbol": str(equation.symbol),
                "equation": equation.text(),
                "table": _terms(
                    visit,
                    site,
                    equation,
                    parts.get(equation.symbol, []),
                    day,
                    _unit(equation, total),
                ),
            }
            for equation, total in zip(equations, (kpi.numerator, kpi.denominator), strict=True)
            if equation is not None
        ],
        "json": "/api/v1/kpi?" + urlencode({"site": site.name, "from": kpis.start, "to": kpis.end}),
        "months": await _months(visit, site, figures, name, span),
        "moment": language.moment(visit.now_ms, site.zone, seconds=True),
    }


def _weighting(language: Language, site: Site, kpi: Kpi, span: Span) -> list[Fact]:
    """By which emission factors the terms of the numerator were weighed, in kgCO2e/kWh."""
    if kpi.numerator is None or kpi.numerator.unit != "kgCO2e":
        return []
    factors = [language.plain(each.value) for each in factors_of(site, span)]
    return [Fact(language("weighting"), language("by_factors", factors=", ".join(factors)))]


def _total(language: Language, key: str, total: Total | None) -> list[Fact]:
    if total is None or total.value is None:
        return []
    value = language.number(total.value, 3 if total.unit == "m3" else 1)
    unit = _UNITS.get(total.unit, total.unit)
    return [Fact(language(key), f"{total.symbol} = {value}\u00a0{unit}")]


_UNITS: Final = {"m3": "m³", "kgCO2e": "kgCO₂e"}


def _unit(equation: Equation, total: Total | None) -> str:
    """The unit of a total and of its terms, as it is shown."""
    unit = ("m3" if equation.symbol in WATER else "kWh") if total is None else total.unit
    return _UNITS.get(unit, unit)


def _terms(  # noqa: PLR0917 - a total with its terms, in their order
    visit: Visit, site: Site, equation: Equation, parts: Sequence[Part], day: date, unit: str
) -> Table:
    """The terms of a total over the time that counts, and their sum.

    A meter leads to its rows of the last day of that time.
    """
    language = visit.language
    rows = [
        [
            Cell(
                site.topology.meter(term.meter).name,
                site.topology.meter(term.meter).location,
                visit.link(f"/{site.name}/meter/{term.meter}", day=day.isoformat()),
            ),
            Cell("−" if term.sign < 0 else "+"),
            Cell(language.plain(term.factor)),
            Cell(validity(language, site, term.validity)),
            Cell(term.reason or "–", term.evidence),
            _amount(language, amount, unit),
        ]
        for term, amount in parts
    ]
    if parts:
        total = fsum(part.amount for part in parts)
        blank = Cell("")
        head = Cell(str(equation.symbol))
        rows.append([head, blank, blank, blank, blank, _amount(language, total, unit)])
    return Table(
        language("terms_of", symbol=str(equation.symbol)),
        [
            Column(language("meter")),
            Column(language("term_sign")),
            Column(language("term_factor"), number=True),
            Column(language("term_validity")),
            Column(language("term_reason")),
            Column(language("amount"), number=True),
        ],
        rows,
    )


def _amount(language: Language, amount: float, unit: str) -> Cell:
    return Cell(f"{language.number(amount, 3 if unit == 'm³' else 1)}\u00a0{unit}")


def validity(language: Language, site: Site, span: Validity) -> str:
    """A validity in words."""
    start, end = (
        None if at is None else language.day(civil.day(at, site.zone))
        for at in (span.from_ms, span.to_ms)
    )
    if start and end:
        return language("from_to", start=start, end=end)
    if start:
        return language("since", day=start)
    return language("until", day=end) if end else language("always")


async def _months(visit: Visit, site: Site, figures: ScopedFigures, name: str, span: Span) -> Table:
    """The same indicator of each civil month in the period: sums of their own, never averaged."""
    language = visit.language
    months = month_starts(span, site)
    if not 1 < len(months) <= 37:
        months = []
    each = await asyncio.gather(*(figures.kpis(site.name, *month) for month in months))
    rows: list[list[Cell]] = []
    for month, kpis in zip(months, each, strict=True):
        figure = shown(visit, site, name, kpis, month, over="")
        when = civil.local(month[0], site.zone)
        days = [civil.day(at, site.zone) for at in (month[0], month[1] - 1)]
        clipped = days[0].day != 1 or civil.day(month[1], site.zone).day != 1
        text = figure.value or language("not_measured")
        rows.append(
            [
                Cell(
                    f"{language.month(when.month)} {when.year}",
                    language("from_to", start=language.day(days[0]), end=language.day(days[1]))
                    if clipped
                    else "",
                    figure.href,
                ),
                Cell(f"{text} {figure.unit}".strip() if figure.value else text),
                Cell(figure.coverage),
                Cell(figure.reason if figure.value is None else figure.label),
            ]
        )
    return Table(
        language("months_of_period"),
        [
            Column(language("month")),
            Column(language("value"), number=True),
            Column(language("coverage"), number=True),
            Column(language("flags")),
        ],
        rows,
    )
