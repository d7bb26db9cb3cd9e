"""The twelve months of the charts: mean power, water, and the ratios of each month alone."""

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from jauge_models.boundaries import Equation, Flow, Symbol
from jauge_models.effectiveness import CoveragePolicy
from jauge_models.rules import Indicator

from jauge_collector import civil
from jauge_collector.kpis import SiteSums
from jauge_collector.reports.amounts import total
from jauge_collector.reports.boundary import Boundary, Span
from jauge_collector.reports.content import Slot


def slots(
    boundary: Boundary,
    e_it: Equation | None,
    sums: Callable[[Span], SiteSums],
    policy: CoveragePolicy,
) -> Iterator[Slot]:
    """The months of the boundary's span, oldest first; ``e_it`` is the equation that is judged.

    A mean power is shown from the coverage on that an interim figure needs; water is a total.
    """
    site = boundary.site
    e_dc, water = site.equation(Symbol.E_DC), site.equation(Symbol.W_IN)
    for span in civil.period(*boundary.span, site.zone).months:
        of_month = sums(span)
        m3 = None
        if water is not None:
            m3 = total(str(water.symbol), water, of_month.flows(water), boundary, span).value
        yield Slot(
            first=civil.day(span[0], site.zone),
            last=civil.day(span[1], site.zone) - timedelta(days=1),
            e_dc_w=None if e_dc is None else _watts(of_month.flows(e_dc), span, policy),
            e_it_w=None if e_it is None else _watts(of_month.flows(e_it), span, policy),
            water_m3=m3,
            pue=of_month.kpi(Indicator.PUE),
            wue=of_month.kpi(Indicator.WUE),
        )


def _watts(flows: Sequence[Flow], span: Span, policy: CoveragePolicy) -> float | None:
    known = [
        (flow.amount, flow.end_ms - flow.start_ms) for flow in flows if flow.amount is not None
    ]
    covered_ms = sum(length for _, length in known)
    if not covered_ms or covered_ms / (span[1] - span[0]) < policy.minimum:
        return None
    return math.fsum(amount for amount, _ in known) / (covered_ms / 1000)
