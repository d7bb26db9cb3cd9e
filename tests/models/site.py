"""An example site for the tests: rows by the hour in kWh or m3, and indicators over them."""

from collections.abc import Callable, Mapping, Sequence

from jauge_models.boundaries import Equation, evaluate
from jauge_models.effectiveness import CoveragePolicy, Kpi, Period, PeriodKind, Side, assess
from jauge_models.intervals import GRADE_OF, Basis, Interval
from jauge_models.rules import Indicator, rule_in_force

HOUR = 3_600_000
DAY = 24 * HOUR
KWH = 3.6e6

Rows = Mapping[str, Sequence[Interval]]

ANY_COVERAGE = CoveragePolicy(minimum=0.0)
"""For tests of arithmetic on a few hours with holes."""


def hours(
    *values: float | None, unit: float = KWH, length_ms: int = HOUR, basis: Basis = Basis.REGISTER
) -> list[Interval]:
    """A meter's rows one after the other from 0; None is a row without any measurement."""
    return [
        Interval(
            at * length_ms,
            (at + 1) * length_ms,
            None if value is None else value * unit,
            0 if value is None else length_ms,
            0 if value is None else length_ms,
            basis,
            GRADE_OF[basis],
        )
        for at, value in enumerate(values)
    ]


def litres(*values: float | None) -> list[Interval]:
    """A water meter's rows, in m3."""
    return hours(*values, unit=1.0)


def interim(end_ms: int) -> Period:
    """A period from 0 that is shorter than a year."""
    return Period(0, end_ms, PeriodKind.INTERIM)


def indicator(
    which: Indicator,
    top: Equation | None,
    bottom: Equation | None,
    rows: Rows,
    *,
    period: Period | None = None,
    policy: CoveragePolicy = ANY_COVERAGE,
    uncertainties: Mapping[str, float | None] | None = None,
    simulated: bool = False,
    factor: Callable[[int], float | None] | None = None,
    cuts: Sequence[int] = (),
) -> Kpi:
    """One indicator of the example site, by the rule in force."""
    over = period or interim(max(row.end_ms for meter in rows.values() for row in meter))

    def side(equation: Equation | None) -> Side | None:
        if equation is None:
            return None
        flows = evaluate(
            equation, rows, over.start_ms, over.end_ms, uncertainties=uncertainties, cuts=cuts
        )
        return Side(equation, flows)

    return assess(
        rule_in_force(which),
        side(top),
        side(bottom),
        over,
        policy=policy,
        simulated=simulated,
        factor=factor,
    )
