"""KPIs of a site over a period: the one place where the project divides.

Console, command line, report and /metrics show what is worked out here and divide nothing.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec
from jauge_models.boundaries import (
    WATER,
    WHOLE,
    Equation,
    Flow,
    Symbol,
    Term,
    evaluate,
)
from jauge_models.effectiveness import CoveragePolicy, Kpi, Period, Side, assess, joint_spans
from jauge_models.intervals import Basis, Interval
from jauge_models.rules import Indicator, rule_in_force
from jauge_models.topology import MEASURES

from jauge_collector import civil
from jauge_collector.ledger.book import Ledger
from jauge_collector.registers.meters import topology_of
from jauge_collector.sites import EmissionFactor, Site
from jauge_collector.weighting import weighed, weights


class ZoneKpi(msgspec.Struct, frozen=True):
    """The partial PUE of one zone."""

    zone: str
    kpi: Kpi


class SiteKpis(msgspec.Struct, frozen=True, kw_only=True, rename={"start": "from", "end": "to"}):
    """Indicators of a site over [from, to), both on the site's clock in ISO 8601."""

    site: str
    title: str
    simulated: bool
    note: str
    time_zone: str
    start: str
    end: str
    pue: Kpi
    wue: Kpi
    cue: Kpi
    ref: Kpi
    erf: Kpi
    ppue: list[ZoneKpi] = []
    pue_elsewhere: list[Kpi] = []
    """The PUE by each further E_IT equation of the site: another place, another category."""


Rows = Mapping[str, Sequence[Interval]]
"""Rows of meters that count, in time order, as `Ledger.rows` gives them."""


def site_kpis(
    ledger: Ledger,
    site: Site,
    start_ms: int,
    end_ms: int,
    policy: CoveragePolicy,
    *,
    rows: Rows | None = None,
) -> SiteKpis:
    """Every indicator of a site. Raises ValueError when the period is empty.

    ``rows`` are those of the site's equations over a span that holds the period (`boundary_rows`):
    who asks for several periods reads them once.
    """
    period = civil.period(start_ms, end_ms, site.zone)
    return SiteSums(ledger, site, period, policy, rows=rows).figures()


def boundary_rows(
    ledger: Ledger,
    site: Site,
    start_ms: int,
    end_ms: int,
    policy: CoveragePolicy | None = None,
    *,
    proofs: bool = False,
) -> dict[str, list[Interval]]:
    """Rows that count of every meter in an equation of a site, touching [start, end).

    None of a meter that is `Ledger.unsure`, unless ``policy`` withholds its figures anyway, for a
    hole so long, and says that. ``proofs`` as for `Ledger.rows`.
    """
    meters = dict.fromkeys(term.meter for e in site.equations for term in e.terms)
    span, since = (start_ms, end_ms), counting_since(ledger, site)
    rows = ledger.rows(site.name, meters, *span, counts_from=since, proofs=proofs)
    # After the rows: a correction that is entered in between withholds more, never less.
    longest_ms = None if policy is None else policy.longest_gap_ms
    unsure = ledger.unsure(site.name, meters, *span, longest_ms, counts_from=since)
    return {meter: [] if meter in unsure else some for meter, some in rows.items()}


def touching(rows: Sequence[Interval], start_ms: int, end_ms: int) -> Sequence[Interval]:
    """Those of rows in time order without overlap that touch [start, end)."""
    first = bisect_right(rows, start_ms, key=lambda row: row.end_ms)
    return rows[first : bisect_left(rows, end_ms, key=lambda row: row.start_ms)]


def counting_since(ledger: Ledger, site: Site) -> dict[str, int]:
    """The moment from which each meter counts, 0 for always; one that does not is left out."""
    return ledger.commissioned(site.name) | dict.fromkeys(site.counting_from_start, 0)


class Part(NamedTuple):
    """What one term of an equation adds to it over the time that counts, signed.

    In the unit of the total: kWh, m3, or kgCO2e in the numerator of CUE.
    """

    term: Term
    amount: float


class SiteSums:
    """Flows of a site's equations over one period, each worked out once.

    ``rows`` as for `site_kpis`.
    """

    def __init__(
        self,
        ledger: Ledger,
        site: Site,
        period: Period,
        policy: CoveragePolicy,
        *,
        rows: Rows | None = None,
    ) -> None:
        self._ledger = ledger
        self._site = site
        self._period = period
        self._policy = policy
        self._topology = topology_of(ledger, site)
        self._since = counting_since(ledger, site)
        span = period.start_ms, period.end_ms
        if rows is None:
            rows = boundary_rows(ledger, site, *span, policy)
        self._rows = {meter: touching(some, *span) for meter, some in rows.items()}
        self._uncertainties = {m.id: m.uncertainty for m in self._topology.meters}
        self._factors = factors_of(site, (period.start_ms, period.end_ms))
        self._flows: dict[Equation, Sequence[Flow]] = {}

    def figures(self) -> SiteKpis:
        """Every indicator, with what it is of."""
        site, period = self._site, self._period
        zones = [e.zone for e in site.equations if e.symbol is Symbol.E_SUB]
        return SiteKpis(
            site=site.name,
            title=site.title,
            simulated=site.simulated,
            note=site.note,
            time_zone=site.zone_name,
            start=civil.local(period.start_ms, site.zone).isoformat(),
            end=civil.local(period.end_ms, site.zone).isoformat(),
            pue=self.kpi(Indicator.PUE),
            wue=self.kpi(Indicator.WUE),
            cue=self.kpi(Indicator.CUE),
            ref=self.kpi(Indicator.REF),
            erf=self.kpi(Indicator.ERF),
            ppue=[ZoneKpi(zone, self.kpi(Indicator.PPUE, zone)) for zone in dict.fromkeys(zones)],
            pue_elsewhere=[self.kpi(Indicator.PUE, over=it) for it in site.further(Symbol.E_IT)],
        )

    def kpi(self, indicator: Indicator, zone: str = "", *, over: Equation | None = None) -> Kpi:
        """One indicator, with what keeps it from being measured named.

        ``over`` is the equation of the denominator where it is not the site's first one.
        """
        rule = rule_in_force(indicator)
        numerator, denominator = (
            self._side(equation)
            for equation in (
                self._site.equation(rule.numerator, zone),
                over or self._site.equation(rule.denominator, zone),
            )
        )
        kpi = assess(
            rule,
            numerator,
            denominator,
            self._period,
            policy=self._policy,
            simulated=self._site.simulated,
            factor=self._emission if indicator is Indicator.CUE else None,
        )
        if numerator is None or denominator is None:
            return kpi
        if indicator is Indicator.CUE and (flaw := self._emission_flaw()):
            return msgspec.structs.replace(kpi, value=None, uncertainty=None, reason=flaw)
        if kpi.value is None:
            waiting = self._waiting([numerator.equation, denominator.equation])
            if waiting:
                reason = "; ".join([str(kpi.reason), *waiting])
                return msgspec.structs.replace(kpi, reason=reason)
        return kpi

    def parts(self, indicator: Indicator) -> dict[Symbol, list[Part]]:
        """Signed amounts of each term of both totals, over the jointly measured time."""
        rule = rule_in_force(indicator)
        sides = [
            self._side(self._site.equation(symbol)) for symbol in (rule.numerator, rule.denominator)
        ]
        known = [side for side in sides if side is not None]
        if len(known) < len(sides):
            return {}
        spans = joint_spans(*(side.flows for side in known))
        weighing = list(weights(self._site, indicator, [side.equation for side in known], spans))
        found: dict[Symbol, list[Part]] = {}
        for at, side in enumerate(known):
            parts = [(w.spans, w.bottom if at else w.top) for w in weighing]
            amounts = weighed(side.equation, self._rows, parts)
            found[side.equation.symbol] = [
                Part(term, amount)
                for term, amount in zip(side.equation.terms, amounts, strict=True)
            ]
        return found

    def _side(self, equation: Equation | None) -> Side | None:
        return None if equation is None else Side(equation, self.flows(equation))

    def flows(self, equation: Equation) -> Sequence[Flow]:
        """A total over the period, piece by piece."""
        if equation not in self._flows:
            self._flows[equation] = evaluate(
                equation,
                self._rows,
                self._period.start_ms,
                self._period.end_ms,
                uncertainties=self._uncertainties,
                cuts=[
                    edge
                    for factor in self._factors
                    for edge in (factor.validity.from_ms, factor.validity.to_ms)
                    if edge is not None
                ],
            )
        return self._flows[equation]

    def _emission(self, time_ms: int) -> float | None:
        factor = self._site.emission_factor(time_ms)
        return None if factor is None else factor.value

    def _emission_flaw(self) -> str | None:
        if not self._factors:
            return "no emission factor is declared for the period"
        scopes = sorted({factor.scope for factor in self._factors})
        if len(scopes) > 1:
            return f"emission factors of different scope never mix: {', '.join(scopes)}"
        return None

    def _waiting(self, equations: Sequence[Equation]) -> list[str]:
        """Meters that do not count for all of the time that the equations ask them for."""
        meters = dict.fromkeys(term.meter for e in equations for term in e.terms)
        late: list[str] = []
        for meter in meters:
            if not self._topology.meter(meter).feeds:
                continue
            since = self._since.get(meter)
            if since is None:
                late.append(f"meter {meter!r} is not commissioned")
            elif since > self._period.start_ms:
                day = civil.day(since, self._site.zone)
                late.append(f"meter {meter!r} counts only since {day.isoformat()}")
        for left in self._ledger.set_aside(
            self._site.name,
            meters,
            self._period.start_ms,
            self._period.end_ms,
            counts_from=self._since,
        ):
            entry = left.entry
            late.append(
                f"entry {entry.id} of meter {entry.subject!r} is set aside, for rows measured "
                "within its span"
            )
        return late


def factors_of(site: Site, span: tuple[int, int]) -> list[EmissionFactor]:
    """The emission factors that are in force at some moment of [start, end)."""
    start_ms, end_ms = span
    edges = {start_ms}
    for factor in site.emission_factors:
        edges |= {
            edge
            for edge in (factor.validity.from_ms, factor.validity.to_ms)
            if edge is not None and start_ms < edge < end_ms
        }
    found = (site.emission_factor(edge) for edge in sorted(edges))
    return list(dict.fromkeys(factor for factor in found if factor is not None))


def parts_of(
    ledger: Ledger, site: Site, indicator: Indicator, start_ms: int, end_ms: int
) -> dict[Symbol, list[Part]]:
    """The way back from an indicator to its meters: the parts of each total add up to it.

    Over the jointly measured time alone, as the ratio itself. Empty where a total is not declared.
    """
    period = civil.period(start_ms, end_ms, site.zone)
    return SiteSums(ledger, site, period, CoveragePolicy()).parts(indicator)


class Step(StrEnum):
    """Slots of a chart, on the site's clock."""

    QUARTER_HOUR = "quarter_hour"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Slot:
    """What flowed in one slot of a chart; ``amount`` (J or m3) is None when nothing was read.

    ``amount`` covers ``covered_ms`` only: a mean rate is amount / covered, never / length.
    """

    start_ms: int
    end_ms: int
    amount: float | None
    covered_ms: int
    totals_ms: int = 0
    """How much of it was read as totals of periods that are longer than the ledger's rows."""

    @property
    def coverage(self) -> float:
        """The share of the slot that was read: at its own bounds, or as totals within it."""
        return self.covered_ms / (self.end_ms - self.start_ms)

    @property
    def rate(self) -> float | None:
        """Mean over the covered time, per second: W for energy, m3/s for water."""
        return None if self.amount is None else self.amount / (self.covered_ms / 1000)


def energy_profile(
    ledger: Ledger, site: Site, of: Equation | str, start_ms: int, end_ms: int, *, step: Step
) -> list[Slot]:
    """Slots of a chart over [start, end), of an equation or of one meter by its id.

    Only what was read at its own bounds shows: no bridge, no attested month spread over days.
    Totals of periods no longer than the slots show too, though the rows split them. For one
    meter, also what is measured before it is commissioned. Raises KeyError for an unknown meter.
    """
    if isinstance(of, Equation):
        since = counting_since(ledger, site)
        meters = [term.meter for term in of.terms]
        rows = ledger.rows(site.name, meters, start_ms, end_ms, counts_from=since, proofs=False)
        read = {
            meter: _shown(some, site.topology.meter(meter).period_ms, step)
            for meter, some in rows.items()
        }
        pieces = [
            _Piece(f.start_ms, f.end_ms, f.amount, split=f.bridged)
            for f in evaluate(of, read, start_ms, end_ms)
        ]
    else:
        period_ms = site.topology.meter(of).period_ms
        some = ledger.rows(site.name, [of], start_ms, end_ms, proofs=False)[of]
        pieces = [
            _Piece(r.start_ms, r.end_ms, r.amount, split=not _is_profile(r))
            for r in _shown(some, period_ms, step)
        ]
    return list(_slots(pieces, list(_bounds(site, start_ms, end_ms, step))))


def unit_of(site: Site, of: Equation | str) -> str:
    """The base unit of what `energy_profile` gives: J or m3. Raises KeyError."""
    if isinstance(of, Equation):
        return "m3" if of.symbol in WATER else "J"
    return MEASURES[site.topology.meter(of).commodity].unit


class _Piece(NamedTuple):
    """An amount over a piece of time; ``split``: out of a total that reaches beyond its row."""

    start_ms: int
    end_ms: int
    amount: float | None
    split: bool


_LENGTHS_MS: Final = {
    Step.QUARTER_HOUR: 900_000,
    Step.HOUR: 3_600_000,
    Step.DAY: 86_400_000,
    Step.MONTH: 31 * 86_400_000,
}


def _shown(rows: Sequence[Interval], period_ms: int, step: Step) -> list[Interval]:
    """The rows that a chart of such slots may show."""
    totals = period_ms <= _LENGTHS_MS[step]
    return [r for r in rows if _is_profile(r) or (totals and _is_total(r))]


def _is_profile(row: Interval) -> bool:
    return row.amount is not None and row.profile_coverage >= WHOLE


def _is_total(row: Interval) -> bool:
    """Whether a row is wholly measured by totals of periods, whatever their bounds."""
    return row.amount is not None and row.basis is Basis.AMOUNT and row.coverage >= WHOLE


def _bounds(site: Site, start_ms: int, end_ms: int, step: Step) -> Iterator[tuple[int, int]]:
    """Civil slots that tile [start, end); the first and the last are clipped to it."""
    at = start_ms
    while at < end_ms:
        following = min(_next_bound(site, at, step), end_ms)
        yield at, following
        at = following


def _next_bound(site: Site, at_ms: int, step: Step) -> int:
    today = civil.day(at_ms, site.zone)
    if step is Step.MONTH:
        return civil.midnight_ms(civil.first_of_month(today, 1), site.zone)
    if step is Step.DAY:
        return civil.midnight_ms(today + timedelta(days=1), site.zone)
    length = _LENGTHS_MS[step]
    offset = civil.local(at_ms, site.zone).utcoffset() or timedelta()
    shift = round(offset.total_seconds() * 1000)
    return at_ms + length - (at_ms + shift) % length


def _slots(pieces: Sequence[_Piece], bounds: Sequence[tuple[int, int]]) -> Iterator[Slot]:
    """Pieces in time order, gathered into slots; one that crosses a bound is split linearly."""
    at = 0
    for start, end in bounds:
        amount, covered, totals = 0.0, 0, 0
        while at < len(pieces) and pieces[at][1] <= start:
            at += 1
        here = at
        while here < len(pieces) and pieces[here][0] < end:
            begin, finish, value, split = pieces[here]
            shared = min(finish, end) - max(begin, start)
            if value is not None:
                amount += value * shared / (finish - begin)
                covered += shared
                totals += shared if split else 0
            here += 1
        yield Slot(start, end, amount if covered else None, covered, totals)
