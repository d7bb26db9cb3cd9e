"""Totals of a period: registers' or bills', or nothing with the reason why.

STANDARDS 7.3: a sum of the covered time alone is never a total. A register that bridges a gap
tells the total across it, so that the time bridged is covered.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from jauge_models.boundaries import WATER, WHOLE, Equation, Flow
from jauge_models.intervals import worst
from jauge_models.rules import JOULES_PER_KWH

from jauge_collector.kpis import SiteSums
from jauge_collector.reports.boundary import Boundary, Span, named
from jauge_collector.reports.content import Amount


def amounts(boundary: Boundary, span: Span, sums: SiteSums) -> tuple[Amount, ...]:
    """Each total that the site's equations declare, over a span, in their order.

    ``sums`` are those of that span.
    """
    return tuple(
        total(name, equation, sums.flows(equation), boundary, span)
        for name, equation in named(boundary.site.equations)
    )


def total(
    name: str, equation: Equation, flows: Sequence[Flow], boundary: Boundary, span: Span
) -> Amount:
    """A total of flows that tile a span; ``name`` is how the report names it."""
    known = [flow for flow in flows if flow.amount is not None]
    coverage = sum(flow.end_ms - flow.start_ms for flow in known) / (span[1] - span[0])
    base = math.fsum(_of(known))
    is_whole = coverage >= WHOLE
    meters = tuple(dict.fromkeys(term.meter for term in equation.terms))
    water = equation.symbol in WATER
    return Amount(
        symbol=name,
        value=base / (1.0 if water else JOULES_PER_KWH) if is_whole else None,
        unit="m3" if water else "kWh",
        reason=None if is_whole else _reason(coverage),
        coverage=coverage,
        attested_share=_share((f for f in known if f.attested_ms), base),
        estimated_share=_share((f for f in known if f.estimated), base),
        uncertainty=_uncertainty(known, base) if is_whole else None,
        grade=worst(flow.grade for flow in known),
        equation=equation.text(),
        meters=meters,
        bases=_bases(boundary, meters, span),
    )


def _reason(coverage: float) -> str:
    """As the indicators' own reasons are written, which the console puts into French."""
    return f"not measured: coverage of the total {percent(coverage)} is below {percent(WHOLE)}"


def percent(share: float) -> str:
    """A share in percent, never rounded up: what is not whole does not look whole."""
    return f"{math.floor(share * 1000) / 10:.1f} %"


def _of(flows: Iterable[Flow]) -> Iterable[float]:
    return (flow.amount for flow in flows if flow.amount is not None)


def _share(part: Iterable[Flow], whole: float) -> float:
    return math.fsum(_of(part)) / whole if whole else 0.0


def _bases(boundary: Boundary, meters: Iterable[str], span: Span) -> tuple[str, ...]:
    found = {
        row.basis.value
        for meter in meters
        for row in boundary.within(meter, span)
        if row.amount is not None
    }
    return tuple(sorted(found))


def _uncertainty(flows: Iterable[Flow], base: float) -> float | None:
    """Relative, expanded (k = 2): a meter's errors add up over time, meters' are independent."""
    errors: defaultdict[str, list[float]] = defaultdict(list)
    for flow in flows:
        for source, error in zip(flow.sources, flow.errors, strict=True):
            if error is None:
                return None
            errors[source].append(error)
    if not base or not errors:
        return None
    return 2 * math.hypot(*(math.fsum(some) for some in errors.values())) / abs(base)
