"""What the terms of an indicator's totals are weighed with before they are added up.

A ratio counts only while both of its totals are measured. Energy is shown in kWh and water in m3;
the numerator of CUE in kgCO2e, by the emission factor in force at each moment.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from jauge_models.boundaries import WATER, Equation, contributions
from jauge_models.intervals import Interval
from jauge_models.rules import JOULES_PER_KWH, Indicator

from jauge_collector.sites import Site

Spans = Sequence[tuple[int, int]]
"""Each [start, end) in milliseconds since the Unix epoch, in time order."""


class Weight(NamedTuple):
    """Time that counts, and what base units of each side are multiplied by there."""

    spans: Spans
    top: float
    bottom: float


def weights(
    site: Site, indicator: Indicator, equations: Sequence[Equation], spans: Spans
) -> Iterator[Weight]:
    """What counts, by the emission factor in force for CUE; where there is none nothing does."""
    if indicator is not Indicator.CUE:
        tops = [1.0 if e.symbol in WATER else 1 / JOULES_PER_KWH for e in equations]
        if len(tops) == 2:
            yield Weight(spans, *tops)
        return
    by_factor: dict[float, list[tuple[int, int]]] = {}
    for span in spans:
        factor = site.emission_factor(span[0])
        if factor is not None:
            by_factor.setdefault(factor.value, []).append(span)
    for value, some in by_factor.items():
        yield Weight(some, value / JOULES_PER_KWH, 1 / JOULES_PER_KWH)


def weighed(
    equation: Equation,
    rows: Mapping[str, Sequence[Interval]],
    parts: Sequence[tuple[Spans, float]],
) -> list[float]:
    """What each term adds to a total over spans, each with its weight."""
    amounts: list[list[float]] = [[] for _ in equation.terms]
    for spans, weight in parts:
        for found, part in zip(amounts, contributions(equation, rows, spans), strict=True):
            found.append(part * weight)
    return [math.fsum(found) for found in amounts]
