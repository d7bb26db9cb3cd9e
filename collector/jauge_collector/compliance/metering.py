"""What the ledger proves of a site's totals over twelve months, with and without signed amounts."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import NamedTuple

import msgspec
from jauge_models.boundaries import Equation, Flow, Symbol, evaluate
from jauge_models.compliance.evidence import Metered, SiteEvidence
from jauge_models.compliance.windows import Coverage, Window, coverage_of
from jauge_models.effectiveness import CoveragePolicy, Kpi, Period, joint_spans

from jauge_collector import civil
from jauge_collector.compliance.measured_ledger import measured
from jauge_collector.compliance.quarters import span_ms
from jauge_collector.compliance.sources import Sources
from jauge_collector.kpis import Rows, SiteSums
from jauge_collector.sites import Site


def metered_site(
    evidence: SiteEvidence, sources: Sources, window: Window, policy: CoveragePolicy
) -> SiteEvidence:
    """A site's evidence with what its meters prove over twelve months. Raises LedgerError."""
    site = sources.site
    span = span_ms(window, site.zone)
    period = civil.period(*span, site.zone)
    rows, sums, published = sources.boundary(*span, policy)
    known = _Totals(sums, rows, period, window.first)
    e_dc, e_it, water = site.equation(Symbol.E_DC), it_equation(site), site.equation(Symbol.W_IN)
    pue: tuple[Kpi, ...] = (published.pue, *published.pue_elsewhere)
    wue: tuple[Kpi, ...] = (published.wue,)
    if any(kpi.attested_share for kpi in (*pue, *wue)):
        without = sources.without_attested(*span, policy)
        pue = _both(pue, (without.pue, *without.pue_elsewhere))
        wue = _both(wue, (without.wue,))
    return msgspec.structs.replace(
        evidence,
        e_dc=known.metered(e_dc),
        e_it=known.metered(e_it),
        e_it_place=None if e_it is None else e_it.place,
        joint=known.metered(e_dc, e_it),
        water=known.metered(water),
        pue=pue,
        wue=() if water is None else wue,
    )


def it_equation(site: Site) -> Equation | None:
    """The E_IT equation that is judged: the first that is in a category, else the first."""
    first = site.equation(Symbol.E_IT)
    several = (first, *site.further(Symbol.E_IT))
    return next((e for e in several if e is not None and e.category is not None), first)


def _both(published: Sequence[Kpi], without: Sequence[Kpi]) -> tuple[Kpi, ...]:
    """Each figure, followed by the one without signed amounts where these took part in it."""
    return tuple(
        kpi
        for one, other in zip(published, without, strict=True)
        for kpi in ((one, other) if one.attested_share else (one,))
    )


class _Flows(NamedTuple):
    """A total with signed amounts and without; an estimate is in neither."""

    measured: list[Flow]
    with_attested: list[Flow]


class _Totals:
    """How well totals of a site are covered over a window, each worked out once."""

    def __init__(self, sums: SiteSums, rows: Rows, period: Period, first_day: date) -> None:
        self._sums = sums
        self._rows = rows
        self._period = period
        self._first_day = first_day
        self._known: dict[Equation, _Flows] = {}

    def metered(self, *equations: Equation | None) -> Metered:
        """The time in which all of some totals are known; nothing where one is not declared."""
        declared = [equation for equation in equations if equation is not None]
        if len(declared) < len(equations):
            return Metered()
        flows = [self._flows(equation) for equation in declared]
        signed = any(each.measured is not each.with_attested for each in flows)
        coverage = self._coverage([each.measured for each in flows])
        return Metered(
            meters=tuple(dict.fromkeys(term.meter for e in declared for term in e.terms)),
            measured=coverage,
            with_attested=self._coverage([each.with_attested for each in flows])
            if signed
            else coverage,
        )

    def _coverage(self, totals: Sequence[Sequence[Flow]]) -> Coverage:
        spans = joint_spans(totals[0], totals[-1])
        return coverage_of(list(_joined(spans)), self._period, self._first_day)

    def _flows(self, equation: Equation) -> _Flows:
        if equation not in self._known:
            flows = _counted(self._sums.flows(equation))
            without = {term.meter: measured(self._rows[term.meter]) for term in equation.terms}
            if any(len(rows) < len(self._rows[meter]) for meter, rows in without.items()):
                span = self._period.start_ms, self._period.end_ms
                self._known[equation] = _Flows(_counted(evaluate(equation, without, *span)), flows)
            else:
                self._known[equation] = _Flows(flows, flows)
        return self._known[equation]


def _counted(flows: Iterable[Flow]) -> list[Flow]:
    """Flows of which those that are estimated have no amount."""
    return [
        msgspec.structs.replace(flow, amount=None) if flow.estimated else flow for flow in flows
    ]


def _joined(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Spans in time order, those that touch as one."""
    begin: int | None = None
    until = 0
    for start, end in spans:
        if begin is not None and start > until:
            yield begin, until
            begin = None
        begin = start if begin is None else begin
        until = end
    if begin is not None:
        yield begin, until
