"""Effectiveness: PUE, pPUE, WUE, CUE, REF and ERF with everything that qualifies the figure.

Every indicator is a ratio of two sums over the same pieces of time, those in which numerator and
denominator are both measured; no ratio is ever taken from ratios (ISO/IEC 30134-2, -9, -8, -3,
-6; Delegated Regulation (EU) 2024/1364 Annexes II and III).
"""

import math
from collections import defaultdict
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
    in none, or where a part is an estimate. ``status`` is None where nothing was measured or
    attested. ``coverage`` is joint: the share of the period in which both sides are measured.
    """

    value: float | None
    reason: str | None = None
    unit: str
    label: str
    category: str | None
    period_kind: PeriodKind
    status: Status | None
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


class _Joint(msgspec.Struct, frozen=True, gc=False):
    """A piece of time with the flow of each side around it, and the part of it that lies here."""

    start_ms: int
    end_ms: int
    top: Flow
    bottom: Flow
    top_part: float
    bottom_part: float

    @property
    def measured(self) -> bool:
        return self.top.amount is not None and self.bottom.amount is not None


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
    if numerator is None or denominator is None:
        missing = rule.numerator if numerator is None else rule.denominator
        return _withheld(rule, place, period, simulated=simulated, missing=missing)

    sums = _summed(rule, _joint(numerator.flows, denominator.flows), factor)
    top, bottom = sums.top, sums.bottom
    if rule.indicator is Indicator.PPUE:
        top += bottom
    measured = bool(sums.spans)
    estimated = measured and sums.estimated
    attested_share = sums.attested_ms / sums.covered_ms if measured else 0.0

    reason = _shortfall(sums, period, policy)
    if reason is None:
        reason = _impossible(rule, top, bottom)
    value: float | None = None
    if reason is None:
        value = top / bottom * rule.scale
        if rule.indicator is Indicator.REF:
            value = min(value, 1.0)
    return Kpi(
        value=value,
        reason=reason,
        unit=rule.unit,
        label=_label(rule, place, period.kind, estimated=estimated),
        category=None if estimated else _category(rule, place),
        period_kind=period.kind,
        status=_status(sums, simulated=simulated),
        coverage=sums.covered_ms / period.length_ms,
        attested_share=attested_share,
        uncertainty=None if value is None else _uncertainty(sums, top, bottom, rule),
        numerator=_total(rule, rule.numerator, numerator.equation, sums.top if measured else None),
        denominator=_total(
            rule, rule.denominator, denominator.equation, bottom if measured else None
        ),
        grade=sums.grade,
        boundary=f"{numerator.equation.text()}; {denominator.equation.text()}",
        formula=_formula(rule, place, estimated=estimated),
        rule_status=rule.status,
    )


def _formula(rule: Rule, place: Equation | None, *, estimated: bool) -> str:
    """The rule's formula; named a ratio where the figure is not the indicator."""
    outside = place is not None and place.category is None and rule.denominator is Symbol.E_IT
    if outside or estimated:
        return f"ratio = {rule.formula.partition(' = ')[2]}"
    return rule.formula


def _impossible(rule: Rule, top: float, bottom: float) -> str | None:
    """Why no site can have such sums: a meter or an equation is wrong. None when one can."""
    if bottom <= 0:
        return f"{rule.denominator} is zero or negative"
    if top < 0:
        return f"{rule.numerator} is negative"
    if rule.indicator is Indicator.PUE and top < bottom:
        return f"{rule.numerator} is less than {rule.denominator}, which it contains"
    return None


def _place_equation(*sides: Side | None) -> Equation | None:
    """The equation whose meters' place decides the category: that of E_IT."""
    for side in sides:
        if side is not None and side.equation.symbol is Symbol.E_IT:
            return side.equation
    return None


def joint_spans(numerator: Sequence[Flow], denominator: Sequence[Flow]) -> list[tuple[int, int]]:
    """The pieces of time that count in a ratio of two totals: both are measured there."""
    return [
        (piece.start_ms, piece.end_ms) for piece in _joint(numerator, denominator) if piece.measured
    ]


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


def _label(rule: Rule, place: Equation | None, kind: PeriodKind, *, estimated: bool = False) -> str:
    name = _NAMES[rule.indicator]
    if estimated:
        return f"estimated ratio, not a {name}"
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
        status=Status.SIMULATED if simulated else None,
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
        if a.start_ms == b.start_ms and a.end_ms == b.end_ms:
            yield _Joint(a.start_ms, a.end_ms, a, b, 1.0, 1.0)
            i += 1
            j += 1
            continue
        start, end = max(a.start_ms, b.start_ms), min(a.end_ms, b.end_ms)
        length_ms = end - start
        yield _Joint(
            start,
            end,
            a,
            b,
            length_ms / (a.end_ms - a.start_ms),
            length_ms / (b.end_ms - b.start_ms),
        )
        i += a.end_ms == end
        j += b.end_ms == end


class _Errors:
    """Standard errors of one side, to be summed by their sources."""

    def __init__(self) -> None:
        self._by_sources: dict[tuple[str, ...], list[tuple[float | None, ...]]] = defaultdict(list)

    def add(self, flow: Flow, part: float) -> None:
        """Those of a part of a flow."""
        errors = flow.errors
        if part != 1:
            errors = tuple(None if error is None else error * part for error in errors)
        self._by_sources[flow.sources].append(errors)

    def sums(self) -> dict[str, float] | None:
        """By source; None where one is not known."""
        found: dict[str, float] = {}
        for sources, pieces in self._by_sources.items():
            for source, errors in zip(sources, zip(*pieces, strict=True), strict=True):
                known = [error for error in errors if error is not None]
                if len(known) < len(errors):
                    return None
                found[source] = found.get(source, 0.0) + math.fsum(known)
        return found


class _Splits:
    """How far a side's sum may be off because only a part of some flows counts.

    The rate within a flow is taken to lie anywhere between zero and twice its mean, over the
    shorter of the part that counts and the part that does not.
    """

    def __init__(self) -> None:
        self._flow: Flow | None = None
        self._part = self._variance = self._total = 0.0

    def add(self, flow: Flow, part: float) -> None:
        """A part of a flow that counts; parts of one flow come in a row."""
        if flow is not self._flow:
            self._close()
            self._flow, self._part = flow, 0.0
        self._part += part

    def relative(self) -> float:
        """The standard error of what was added, relative to it."""
        self._close()
        self._flow = None
        return math.sqrt(self._variance) / abs(self._total) if self._total else 0.0

    def _close(self) -> None:
        if self._flow is None or self._flow.amount is None:
            return
        amount, part = self._flow.amount, self._part
        self._total += amount * part
        if part < _WHOLLY:
            self._variance += (amount * min(part, 1 - part)) ** 2 / 3


_WHOLLY: Final = 1 - 1e-9


class _Sums(NamedTuple):
    """Both sides over the time in which both are measured, in the units of the ratio."""

    top: float
    bottom: float
    spans: list[tuple[int, int]]
    """That time, in order, as one span where pieces touch."""
    covered_ms: int
    attested_ms: int
    """Of that time, where a signed figure took part."""
    wholly_attested_ms: int
    """Of that time, where both sides are signed figures."""
    grade: Grade
    estimated: bool
    """Whether an estimate takes part in it."""
    split_error: float
    """Relative standard error of amounts of which only a part lies in that time."""
    top_errors: _Errors
    bottom_errors: _Errors


def _summed(
    rule: Rule, pieces: Iterable[_Joint], factor: Callable[[int], float | None] | None
) -> _Sums:
    """For CUE energy in J becomes kgCO2e, and IT energy kWh, so that the ratio needs no scale."""
    weighed = rule.indicator is Indicator.CUE
    if weighed and factor is None:
        pieces = ()
    tops: list[float] = []
    bottoms: list[float] = []
    errors = _Errors(), _Errors()
    grades: set[Grade] = set()
    estimated = False
    spans: list[tuple[int, int]] = []
    attested_ms = wholly_attested_ms = 0
    splits = _Splits(), _Splits()
    begin = end = None
    for piece in pieces:
        top, bottom = piece.top, piece.bottom
        if top.amount is None or bottom.amount is None:
            continue
        splits[0].add(top, piece.top_part)
        splits[1].add(bottom, piece.bottom_part)
        top_part, bottom_part = piece.top_part, piece.bottom_part
        if weighed and factor is not None:
            value = factor(piece.start_ms)
            if value is None:
                continue
            top_part *= value / JOULES_PER_KWH
            bottom_part /= JOULES_PER_KWH
        tops.append(top.amount * top_part)
        bottoms.append(bottom.amount * bottom_part)
        errors[0].add(top, top_part)
        errors[1].add(bottom, bottom_part)
        grades.add(top.grade)
        grades.add(bottom.grade)
        estimated = estimated or top.estimated or bottom.estimated
        if top.attested_ms or bottom.attested_ms:
            attested_ms += piece.end_ms - piece.start_ms
            if top.attested_ms and bottom.attested_ms:
                wholly_attested_ms += piece.end_ms - piece.start_ms
        if piece.start_ms != end:
            if begin is not None and end is not None:
                spans.append((begin, end))
            begin = piece.start_ms
        end = piece.end_ms
    if begin is not None and end is not None:
        spans.append((begin, end))
    return _Sums(
        math.fsum(tops),
        math.fsum(bottoms),
        spans,
        sum(end - begin for begin, end in spans),
        attested_ms,
        wholly_attested_ms,
        worst(grades),
        estimated,
        math.hypot(*(split.relative() for split in splits)),
        *errors,
    )


def _shortfall(sums: _Sums, period: Period, policy: CoveragePolicy) -> str | None:
    """Why the period is not measured well enough, or None."""
    share = sums.covered_ms / period.length_ms
    if share < policy.minimum:
        return f"not measured: joint coverage {_percent(share)} is below {_percent(policy.minimum)}"
    if period.kind is not PeriodKind.ANNUAL:
        return None
    gap = _longest_gap(sums.spans, period)
    if gap > policy.longest_gap_ms:
        days = policy.longest_gap_ms / DAY_MS
        return f"not measured: a gap of {gap / DAY_MS:.1f} days is longer than {days:g} days"
    for number, share in enumerate(_month_shares(sums.spans, period), start=1):
        if share < policy.month_minimum:
            return (
                f"not measured: month {number} of the period is covered {_percent(share)}, "
                f"below {_percent(policy.month_minimum)}"
            )
    return None


def _month_shares(spans: Sequence[tuple[int, int]], period: Period) -> Iterator[float]:
    """Each month's joint coverage; spans and months are both in time order."""
    at = 0
    for start, end in period.months:
        covered = 0
        while at < len(spans) and spans[at][0] < end:
            covered += max(0, min(spans[at][1], end) - max(spans[at][0], start))
            if spans[at][1] > end:
                break
            at += 1
        yield covered / (end - start)


def _longest_gap(spans: Sequence[tuple[int, int]], period: Period) -> int:
    ends = [period.start_ms, *(end for _, end in spans)]
    starts = [*(start for start, _ in spans), period.end_ms]
    return max(start - end for end, start in zip(ends, starts, strict=True))


def _status(sums: "_Sums", *, simulated: bool) -> Status | None:
    if simulated:
        return Status.SIMULATED
    if not sums.spans:
        return None
    if sums.estimated:
        return Status.ESTIMATED
    if not sums.attested_ms:
        return Status.MEASURED
    return Status.ATTESTED if sums.wholly_attested_ms == sums.covered_ms else Status.MIXED


def _uncertainty(sums: _Sums, top: float, bottom: float, rule: Rule) -> float | None:
    """Relative expanded uncertainty (k = 2): each meter moves both sides at once."""
    ups, downs = sums.top_errors.sums(), sums.bottom_errors.sums()
    if ups is None or downs is None or top == 0:
        return None
    shifts: list[float] = []
    for source in ups | downs:
        up, down = ups.get(source, 0.0), downs.get(source, 0.0)
        if rule.indicator is Indicator.PPUE:
            up += down
        shifts.append(up / top - down / bottom)
    shifts.append(sums.split_error)
    return 2 * math.sqrt(math.fsum(shift**2 for shift in shifts))


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
