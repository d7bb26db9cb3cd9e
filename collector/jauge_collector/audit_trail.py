"""The way back from a figure: to the terms of its equations, to rows of the ledger, to registers.

What is given here adds up to the figure that `kpis` prints: the same rows over the same time.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
from jauge_models.boundaries import WATER, WHOLE, Equation, Term
from jauge_models.effectiveness import CoveragePolicy, Kpi, Total, joint_spans
from jauge_models.intervals import Interval, Point
from jauge_models.rules import JOULES_PER_KWH, Indicator, rule_in_force
from jauge_models.topology import MEASURES, Validity

from jauge_collector import civil
from jauge_collector.attested_rows import attested_rows
from jauge_collector.kpis import SiteSums, boundary_rows, counting_since, touching
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.rows import Row
from jauge_collector.registers.meters import topology_of
from jauge_collector.sites import Site
from jauge_collector.weighting import Spans, Weight, weighed, weights

MOST_GAPS: Final = 3
"""Of one meter, the longest."""


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what the trail says. Times are ISO 8601 on the site's clock."""


class RegisterReading(_Told, frozen=True, kw_only=True):
    """What a register showed, in kWh or m3."""

    time: str
    value: float
    unit: str


class Hole(_Told, frozen=True, kw_only=True, rename={"start": "from", "end": "to"}):
    """Time in which a meter measured nothing, or not enough of a row for it to count."""

    start: str
    end: str
    hours: float


class MeterPart(_Told, frozen=True, kw_only=True):
    """One term of an equation: sign × factor × meter, over the time that counts."""

    meter: str
    sign: int
    factor: float
    valid: str
    """Since when and until when the term stands in the equation; empty for always."""
    reason: str
    evidence: str
    amount: float
    """Signed and with the factor, in the unit of the side: the terms add up to it."""
    rows: int
    """Rows of the ledger that the amount is made of."""
    coverage: float
    """Share of the whole period that the meter's own rows measure, 0 to 1."""
    bases: dict[str, int]
    """How many of the rows were obtained how."""
    revised: int
    """How many of them replaced an earlier final one."""
    gaps: tuple[Hole, ...]
    """The longest holes of the meter in the period."""
    opening: RegisterReading | None
    """What the register showed where the first of the rows begins; None without a register."""
    closing: RegisterReading | None
    rows_of_a_day: str
    """The command that lists the rows of the last of the days."""
    page: str
    """Of the console, with the same rows."""


class SideParts(_Told, frozen=True, kw_only=True):
    """One total of an indicator and what it is made of."""

    symbol: str
    equation: str
    unit: str
    amount: float | None
    """As `kpis` prints it; None where nothing counts."""
    terms: tuple[MeterPart, ...]


class Explanation(_Told, frozen=True, kw_only=True, rename={"start": "from", "end": "to"}):
    """An indicator over a period with all that it is made of."""

    site: str
    start: str
    end: str
    indicator: str
    label: str
    value: float | None
    unit: str
    reason: str | None
    formula: str
    coverage: float
    spans: int
    """Stretches of time in which both totals are measured: the only ones that count."""
    weighting: str
    """How amounts are weighed before they are added; empty where they are not."""
    numerator: SideParts | None
    denominator: SideParts | None


class DayRow(_Told, frozen=True, kw_only=True, rename={"start": "from", "end": "to"}):
    """One row of the ledger as an auditor reads it; the amount in kWh or m3."""

    start: str
    end: str
    amount: float | None
    unit: str
    coverage: float
    basis: str
    grade: str
    flags: tuple[str, ...]
    opening: RegisterReading | None
    closing: RegisterReading | None
    feed: str
    """``agent/resource/quantity``; of a bill ``entry NUMBER``."""
    revision: int
    final: bool
    counts: bool
    """Whether totals take it: not before the meter was commissioned."""


def explain(
    ledger: Ledger,
    site: Site,
    indicator: Indicator,
    span: tuple[int, int],
    policy: CoveragePolicy,
    *,
    zone: str = "",
    over: Equation | None = None,
) -> Explanation:
    """An indicator over [start, end) with its terms, rows and registers.

    ``zone`` is that of a partial PUE; ``over`` the equation of the denominator where it is not the
    site's first one. Raises ValueError for an empty period, LedgerError.
    """
    start_ms, end_ms = span
    period = civil.period(start_ms, end_ms, site.zone)
    rows = boundary_rows(ledger, site, start_ms, end_ms, policy, proofs=True)
    sums = SiteSums(ledger, site, period, policy, rows=rows)
    kpi = sums.kpi(indicator, zone, over=over)
    rule = rule_in_force(indicator)
    equations = [
        site.equation(rule.numerator, zone),
        over or site.equation(rule.denominator, zone),
    ]
    declared = [equation for equation in equations if equation is not None]
    spans: Spans = ()
    if len(declared) == len(equations):
        spans = joint_spans(*(sums.flows(equation) for equation in declared))
    weighing = list(weights(site, indicator, declared, spans))
    trail = _Trail(ledger, site, span, rows)
    sides = [
        None
        if equation is None
        else trail.side(equation, total, [(w.spans, w.bottom if at else w.top) for w in weighing])
        for at, (equation, total) in enumerate(
            zip(equations, (kpi.numerator, kpi.denominator), strict=True)
        )
    ]
    return Explanation(
        site=site.name,
        start=_time(site, start_ms),
        end=_time(site, end_ms),
        indicator=indicator.value,
        label=kpi.label,
        value=kpi.value,
        unit=kpi.unit,
        reason=kpi.reason,
        formula=kpi.formula,
        coverage=kpi.coverage,
        spans=sum(1 for _ in _joined(spans)),
        weighting=_weighting(site, kpi, indicator, weighing),
        numerator=sides[0],
        denominator=sides[1],
    )


def rows_of_day(
    ledger: Ledger, site: Site, meter: str, start_ms: int, end_ms: int
) -> list[tuple[Row, DayRow]]:
    """Rows of a meter touching [start, end), each as the ledger holds it and as it is told.

    Raises KeyError for a meter that the site does not have.
    """
    measures = MEASURES[site.topology.meter(meter).commodity]
    since = counting_since(ledger, site)
    counting = ledger.rows(site.name, [meter], start_ms, end_ms, counts_from=since)[meter]
    counted = {(row.start_ms, row.end_ms, row.basis) for row in counting}
    rows = ledger.current(site.name, meter, start_ms, end_ms)
    rows += attested_rows(ledger, site, meter, start_ms, end_ms)
    found: list[tuple[Row, DayRow]] = []
    for row in sorted(rows, key=lambda row: row.interval.start_ms):
        i = row.interval
        told = DayRow(
            start=_time(site, i.start_ms),
            end=_time(site, i.end_ms),
            amount=None if i.amount is None else i.amount / _per(measures.unit),
            unit=_shown(measures.unit),
            coverage=i.coverage,
            basis=i.basis.value,
            grade=i.grade.value,
            flags=tuple(sorted(i.flags)),
            opening=_register(site, i.opening, measures.unit),
            closing=_register(site, i.closing, measures.unit),
            feed=row.feed,
            revision=row.revision,
            final=row.final,
            counts=(i.start_ms, i.end_ms, i.basis) in counted,
        )
        found.append((row, told))
    return found


def _weighting(site: Site, kpi: Kpi, indicator: Indicator, weights: Sequence[Weight]) -> str:
    if indicator is not Indicator.CUE or kpi.numerator is None:
        return ""
    factors = ", ".join(f"{weight.top * JOULES_PER_KWH:g}" for weight in weights)
    where = f"; site file {site.file.name}" if factors else ""
    return f"kWh × emission factor in force, kgCO2e/kWh: {factors or 'none declared'}{where}"


class _Trail:
    """What the terms of a site's equations rest on over one period."""

    def __init__(
        self,
        ledger: Ledger,
        site: Site,
        span: tuple[int, int],
        rows: dict[str, list[Interval]],
    ) -> None:
        self._ledger = ledger
        self._site = site
        self._span = span
        self._rows = rows
        self._topology = topology_of(ledger, site)
        self._revised: dict[str, frozenset[int]] = {}

    def side(
        self, equation: Equation, total: Total | None, parts: Sequence[tuple[Spans, float]]
    ) -> SideParts:
        """A total with its terms; ``parts`` is the time that counts, with its weight."""
        amounts = weighed(equation, self._rows, parts)
        spans = sorted(span for some, _ in parts for span in some)
        water = equation.symbol in WATER
        return SideParts(
            symbol=str(equation.symbol),
            equation=equation.text(),
            unit=total.unit if total is not None else ("m3" if water else "kWh"),
            amount=None if total is None else total.value,
            terms=tuple(
                self._term(term, amount, spans)
                for term, amount in zip(equation.terms, amounts, strict=True)
            ),
        )

    def _term(self, term: Term, amount: float, spans: Spans) -> MeterPart:
        site, meter = self._site, term.meter
        unit = MEASURES[self._topology.meter(meter).commodity].unit
        used = _used(self._rows[meter], [s for s in spans if term.validity.holds(s[0])])
        last_ms = used[-1].end_ms - 1 if used else self._span[1] - 1
        day = civil.day(min(last_ms, self._span[1] - 1), site.zone).isoformat()
        held = [row for row in used if row.opening is not None]
        shut = [row for row in used if row.closing is not None]
        return MeterPart(
            meter=meter,
            sign=term.sign,
            factor=term.factor,
            valid=_validity(site, term.validity),
            reason=term.reason,
            evidence=term.evidence,
            amount=amount,
            rows=len(used),
            coverage=self._coverage(meter),
            bases=dict(Counter(row.basis.value for row in used)),
            revised=sum(row.start_ms in self._restated(meter) for row in used),
            gaps=self._gaps(meter),
            opening=_register(site, held[0].opening, unit) if held else None,
            closing=_register(site, shut[-1].closing, unit) if shut else None,
            rows_of_a_day=f"jauge-collector kpi --site {site.name} --explain "
            f"--meter {meter} --day {day}",
            page=f"/{site.name}/meter/{meter}?day={day}",
        )

    def _restated(self, meter: str) -> frozenset[int]:
        """Starts of rows that took the place of final ones."""
        if meter not in self._revised:
            rows = self._ledger.current(self._site.name, meter, *self._span)
            self._revised[meter] = frozenset(
                row.interval.start_ms for row in rows if row.revision > 0
            )
        return self._revised[meter]

    def _whole(self, meter: str) -> Iterator[tuple[int, int]]:
        start_ms, end_ms = self._span
        for row in touching(self._rows[meter], start_ms, end_ms):
            if row.amount is not None and row.coverage >= WHOLE:
                yield max(row.start_ms, start_ms), min(row.end_ms, end_ms)

    def _coverage(self, meter: str) -> float:
        start_ms, end_ms = self._span
        return sum(end - begin for begin, end in self._whole(meter)) / (end_ms - start_ms)

    def _gaps(self, meter: str) -> tuple[Hole, ...]:
        start_ms, end_ms = self._span
        at, holes = start_ms, []
        for begin, end in (*_joined(self._whole(meter)), (end_ms, end_ms)):
            if begin > at:
                holes.append((at, begin))
            at = end
        longest = sorted(holes, key=lambda hole: hole[0] - hole[1])[:MOST_GAPS]
        return tuple(
            Hole(
                start=_time(self._site, begin),
                end=_time(self._site, end),
                hours=(end - begin) / 3_600_000,
            )
            for begin, end in longest
        )


def _used(rows: Sequence[Interval], spans: Spans) -> list[Interval]:
    """Rows that share time with spans in time order."""
    found: list[Interval] = []
    at = 0
    for row in rows:
        while at < len(spans) and spans[at][1] <= row.start_ms:
            at += 1
        if at < len(spans) and spans[at][0] < row.end_ms:
            found.append(row)
    return found


def _joined(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Spans in time order, those that touch as one."""
    last: tuple[int, int] | None = None
    for begin, end in spans:
        if last is not None and begin <= last[1]:
            last = last[0], max(last[1], end)
            continue
        if last is not None:
            yield last
        last = begin, end
    if last is not None:
        yield last


def _time(site: Site, time_ms: int) -> str:
    return civil.local(time_ms, site.zone).isoformat()


def _validity(site: Site, validity: Validity) -> str:
    bounds = [
        f"{word} {_time(site, at)}"
        for word, at in (("from", validity.from_ms), ("to", validity.to_ms))
        if at is not None
    ]
    return " ".join(bounds)


def _per(unit: str) -> float:
    return JOULES_PER_KWH if unit == "J" else 1.0


def _shown(unit: str) -> str:
    return "kWh" if unit == "J" else unit


def _register(site: Site, point: Point | None, unit: str) -> RegisterReading | None:
    if point is None:
        return None
    return RegisterReading(
        time=_time(site, point.time_ms), value=point.value / _per(unit), unit=_shown(unit)
    )
