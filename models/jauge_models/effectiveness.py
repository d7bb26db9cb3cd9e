"""Effectiveness: PUE, pPUE, WUE, CUE, REF and ERF with everything that qualifies the figure.

Every indicator is a ratio of two sums over the same pieces of time, those in which numerator and
denominator are both measured; no ratio is ever taken from ratios (ISO/IEC 30134-2, -9, -8, -3,
-6; Delegated Regulation (EU) 2024/1364 Annexes II and III).
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from jauge_models.boundaries import WATER, Equation, Flow, Place, Symbol
from jauge_models.intervals import Grade, worst
from jauge_models.rules import JOULES_PER_KWH, Indicator, Rule, RuleStatus

DAY_MS: Final = 24 * 60 * 60 * 1000


class PeriodKind(StrEnum):
    """Whether a period is the standard's twelve months."""

    ANNUAL = "annual"
    INTERIM = "interim"
    LONGER = "longer"


@dataclass(frozen=True, slots=True)
class Period:
    """[start, end) with its civil months, clipped to it, for the rule on months."""

    start_ms: int
    end_ms: int
    kind: PeriodKind
    months: tuple[tuple[int, int], ...] = ()

    @property
    def length_ms(self) -> int:
        """Length of the period."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True)
class CoveragePolicy:
    """How much must be measured before a figure is shown. Project policy, not a text."""

    minimum: float = 0.90
    month_minimum: float = 0.75
    longest_gap_ms: int = 10 * DAY_MS


class Status(StrEnum):
    """Where a figure's values came from."""

    MEASURED = "measured"
    ATTESTED = "attested"
    MIXED = "mixed"
    ESTIMATED = "estimated"
    SIMULATED = "simulated"


class Total(msgspec.Struct, frozen=True):
    """One side of a ratio, over the jointly covered time only; None when nothing is covered."""

    symbol: str
    value: float | None
    unit: str
    equation: str


class Kpi(msgspec.Struct, frozen=True, kw_only=True):
    """An indicator as it is published. ``value`` is None exactly when ``reason`` is given.

    ``uncertainty`` is the relative expanded uncertainty (k = 2), None when a meter's class is
    not known. ``category`` is the PUE's, None for the others and where the place of the IT meter is
    in none. ``coverage`` is joint: the share of the period in which both sides are measured.
    """

    value: float | None
    reason: str | None = None
    unit: str
    label: str
    category: str | None
    period_kind: PeriodKind
    status: Status
    coverage: float
    attested_share: float
    uncertainty: float | None
    numerator: Total | None
    denominator: Total | None
    grade: Grade
    boundary: str
    formula: str
    rule_status: RuleStatus


class Side(NamedTuple):
    """An equation and its flows over the whole period."""

    equation: Equation
    flows: Sequence[Flow]


class _Joint(NamedTuple):
    start_ms: int
    end_ms: int
    numerator: float | None
    denominator: float | None
    grade: Grade
    attested: bool
    bridged: bool
    errors: tuple[dict[str, float | None], dict[str, float | None]]

    @property
    def measured(self) -> bool:
        return self.numerator is not None and self.denominator is not None


def assess(
    rule: Rule,
    numerator: Side | None,
    denominator: Side | None,
    period: Period,
    *,
    policy: CoveragePolicy = CoveragePolicy(),
    simulated: bool = False,
    factor: Callable[[int], float | None] | None = None,
) -> Kpi:
    """Work out one indicator. A side that the site does not declare makes it « not declared ».

    ``factor`` gives the emission factor in kgCO2e/kWh at a moment, for CUE alone; where it gives
    None the time counts as not measured.
    """
    place = _place_equation(numerator, denominator)
    label = _label(rule, place, period.kind)
    if numerator is None or denominator is None:
        missing = rule.numerator if numerator is None else rule.denominator
        return _withheld(rule, place, period, simulated=simulated, missing=missing)

    pieces = list(_joint(numerator.flows, denominator.flows))
    if rule.indicator is Indicator.CUE:
        pieces = [_with_factor(piece, factor) for piece in pieces]
    measured = [piece for piece in pieces if piece.measured]
    covered_ms = sum(piece.end_ms - piece.start_ms for piece in measured)
    attested_ms = sum(piece.end_ms - piece.start_ms for piece in measured if piece.attested)
    top = math.fsum(piece.numerator or 0.0 for piece in measured)
    bottom = math.fsum(piece.denominator or 0.0 for piece in measured)
    supporting = top
    if rule.indicator is Indicator.PPUE:
        top += bottom
    grade = worst(piece.grade for piece in measured)
    attested_share = attested_ms / covered_ms if covered_ms else 0.0

    reason = _shortfall(pieces, period, policy)
    if reason is None and bottom <= 0:
        reason = f"{rule.denominator} is zero or negative"
    value: float | None = None
    if reason is None:
        value = top / bottom * rule.scale
        if rule.indicator is Indicator.REF:
            value = min(value, 1.0)
    return Kpi(
        value=value,
        reason=reason,
        unit=rule.unit,
        label=label,
        category=_category(rule, place),
        period_kind=period.kind,
        status=_status(simulated, attested_share, grade if measured else Grade.HIGH),
        coverage=covered_ms / period.length_ms,
        attested_share=attested_share,
        uncertainty=None if value is None else _uncertainty(measured, top, bottom, rule),
        numerator=_total(
            rule, rule.numerator, numerator.equation, supporting if measured else None
        ),
        denominator=_total(
            rule, rule.denominator, denominator.equation, bottom if measured else None
        ),
        grade=grade,
        boundary=f"{numerator.equation.text()}; {denominator.equation.text()}",
        formula=rule.formula,
        rule_status=rule.status,
    )


def _place_equation(*sides: Side | None) -> Equation | None:
    """The equation whose meters' place decides the category: that of E_IT."""
    for side in sides:
        if side is not None and side.equation.symbol is Symbol.E_IT:
            return side.equation
    return None


def _category(rule: Rule, place: Equation | None) -> str | None:
    """ISO/IEC 30134-2 alone has categories by the place of the IT meter."""
    return place.category if place is not None and rule.indicator in _PUES else None


_PUES: Final = (Indicator.PUE, Indicator.PPUE)
_NAMES: Final = {
    Indicator.PUE: "PUE",
    Indicator.PPUE: "pPUE",
    Indicator.WUE: "WUE",
    Indicator.CUE: "CUE",
    Indicator.REF: "REF",
    Indicator.ERF: "ERF",
}


def _label(rule: Rule, place: Equation | None, kind: PeriodKind) -> str:
    name = _NAMES[rule.indicator]
    if rule.denominator is Symbol.E_IT and place is not None and place.category is None:
        if place.place is Place.AGENTS:
            return f"estimated ratio, not a {name}"
        if place.place is Place.UPS_INPUT:
            return f"ratio at UPS input, not a {name}"
        return f"ratio, not a {name}"
    if rule.indicator in _PUES and place is not None and place.category:
        name = place.category if rule.indicator is Indicator.PUE else f"p{place.category}"
    if kind is PeriodKind.INTERIM:
        return f"i{name}" if rule.indicator is Indicator.PUE else f"interim {name}"
    return name if kind is PeriodKind.ANNUAL else f"{name} over more than 12 months"


def _withheld(
    rule: Rule, place: Equation | None, period: Period, *, simulated: bool, missing: Symbol
) -> Kpi:
    return Kpi(
        value=None,
        reason=f"no equation for {missing} is declared",
        unit=rule.unit,
        label=_label(rule, place, period.kind),
        category=_category(rule, place),
        period_kind=period.kind,
        status=Status.SIMULATED if simulated else Status.MEASURED,
        coverage=0.0,
        attested_share=0.0,
        uncertainty=None,
        numerator=None,
        denominator=None,
        grade=Grade.LOW,
        boundary="",
        formula=rule.formula,
        rule_status=rule.status,
    )


def _joint(left: Sequence[Flow], right: Sequence[Flow]) -> Iterator[_Joint]:
    """Two runs of consecutive pieces over the same period, cut at the bounds of both."""
    i = j = 0
    while i < len(left) and j < len(right):
        a, b = left[i], right[j]
        start, end = max(a.start_ms, b.start_ms), min(a.end_ms, b.end_ms)
        share_a = (end - start) / (a.end_ms - a.start_ms)
        share_b = (end - start) / (b.end_ms - b.start_ms)
        both = a.amount is not None and b.amount is not None
        yield _Joint(
            start,
            end,
            None if a.amount is None else a.amount * share_a,
            None if b.amount is None else b.amount * share_b,
            worst((a.grade, b.grade)),
            both and bool(a.attested_ms or b.attested_ms),
            a.bridged or b.bridged,
            (_scaled(a, share_a), _scaled(b, share_b)),
        )
        i += a.end_ms == end
        j += b.end_ms == end


def _scaled(flow: Flow, share: float) -> dict[str, float | None]:
    return {meter: None if e is None else e * share for meter, e in flow.errors.items()}


def _with_factor(piece: _Joint, factor: Callable[[int], float | None] | None) -> _Joint:
    """Energy in J becomes kgCO2e, and IT energy kWh, so that the ratio needs no scale."""
    value = factor(piece.start_ms) if factor else None
    if value is None or piece.numerator is None or piece.denominator is None:
        return piece._replace(numerator=None, errors=({}, {}))
    top, bottom = (
        {meter: None if e is None else e * weight for meter, e in side.items()}
        for side, weight in zip(
            piece.errors, (value / JOULES_PER_KWH, 1 / JOULES_PER_KWH), strict=True
        )
    )
    return piece._replace(
        numerator=piece.numerator / JOULES_PER_KWH * value,
        denominator=piece.denominator / JOULES_PER_KWH,
        errors=(top, bottom),
    )


def _shortfall(pieces: Sequence[_Joint], period: Period, policy: CoveragePolicy) -> str | None:
    """Why the period is not measured well enough, or None."""
    covered = sum(p.end_ms - p.start_ms for p in pieces if p.measured)
    share = covered / period.length_ms
    if share < policy.minimum:
        return f"not measured: joint coverage {_percent(share)} is below {_percent(policy.minimum)}"
    if period.kind is not PeriodKind.ANNUAL:
        return None
    gap = _longest_gap(pieces)
    if gap > policy.longest_gap_ms:
        days = policy.longest_gap_ms / DAY_MS
        return f"not measured: a gap of {gap / DAY_MS:.1f} days is longer than {days:g} days"
    for number, share in enumerate(_month_shares(pieces, period), start=1):
        if share < policy.month_minimum:
            return (
                f"not measured: month {number} of the period is covered {_percent(share)}, "
                f"below {_percent(policy.month_minimum)}"
            )
    return None


def _month_shares(pieces: Sequence[_Joint], period: Period) -> Iterator[float]:
    """Each month's joint coverage; pieces and months are both in time order."""
    at = 0
    for start, end in period.months:
        covered = 0
        while at < len(pieces) and pieces[at].start_ms < end:
            piece = pieces[at]
            if piece.measured:
                covered += max(0, min(piece.end_ms, end) - max(piece.start_ms, start))
            if piece.end_ms > end:
                break
            at += 1
        yield covered / (end - start)


def _longest_gap(pieces: Iterable[_Joint]) -> int:
    longest = current = 0
    for piece in pieces:
        current = 0 if piece.measured else current + piece.end_ms - piece.start_ms
        longest = max(longest, current)
    return longest


def _status(simulated: bool, attested_share: float, grade: Grade) -> Status:
    if simulated:
        return Status.SIMULATED
    if grade is Grade.LOW:
        return Status.ESTIMATED
    if attested_share == 0:
        return Status.MEASURED
    return Status.ATTESTED if attested_share == 1 else Status.MIXED


def _uncertainty(pieces: Iterable[_Joint], top: float, bottom: float, rule: Rule) -> float | None:
    """Relative expanded uncertainty (k = 2): each meter moves both sides at once."""
    shifts: dict[str, list[float]] = {}
    for piece in pieces:
        for side, errors in enumerate(piece.errors):
            for meter, error in errors.items():
                if error is None:
                    return None
                shifts.setdefault(meter, [0.0, 0.0])[side] += error
    if rule.indicator is Indicator.PPUE:
        shifts = {meter: [up + down, down] for meter, (up, down) in shifts.items()}
    if top == 0:
        return None
    return 2 * math.sqrt(math.fsum((up / top - down / bottom) ** 2 for up, down in shifts.values()))


def _total(rule: Rule, symbol: Symbol, equation: Equation, amount: float | None) -> Total:
    if rule.indicator is Indicator.CUE:
        unit, divisor = ("kgCO2e", 1.0) if symbol is Symbol.E_DC else ("kWh", 1.0)
    elif symbol in WATER:
        unit, divisor = "m3", 1.0
    else:
        unit, divisor = "kWh", JOULES_PER_KWH
    return Total(
        symbol=str(symbol),
        value=None if amount is None else amount / divisor,
        unit=unit,
        equation=equation.text(),
    )


def _percent(share: float) -> str:
    return f"{math.floor(share * 1000) / 10:.1f} %"
