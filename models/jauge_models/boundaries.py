"""Boundary equations: what belongs to E_DC, E_IT, W_IN, … of a site, and since when.

Each total is a dated sum of sign × factor × meter. That says what a real site needs to say: an
office behind the incomer (−), a pump fed by the UPS (−), a generator counted once (+ while it
runs), purchased chilled water (× factor), a shared building (× share), returned water (−).
"""

import math
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final, NamedTuple

import msgspec

from jauge_models.intervals import Basis, Flag, Grade, Interval, worst
from jauge_models.topology import ALWAYS, Validity


class Symbol(StrEnum):
    """Totals of a site, named as Delegated Regulation (EU) 2024/1364 Annex II names them."""

    E_DC = "E_DC"
    E_IT = "E_IT"
    E_SUB = "E_SUB"
    """Energy of the supporting equipment inside one zone, for a partial PUE."""
    W_IN = "W_IN"
    W_IN_POT = "W_IN-POT"
    W_IN_FRE = "W_IN-FRE"
    E_REUSE = "E_REUSE"
    E_RES_TOT = "E_RES-TOT"
    E_DC_BG = "E_DC-BG"


WATER: Final = frozenset({Symbol.W_IN, Symbol.W_IN_POT, Symbol.W_IN_FRE})


class Place(StrEnum):
    """Where the IT energy is metered; decides the PUE category (ISO/IEC 30134-2)."""

    UPS_OUTPUT = "ups_output"
    PDU_OUTPUT = "pdu_output"
    IT_INPUT = "it_input"
    UPS_INPUT = "ups_input"
    AGENTS = "agents"
    """Summed from what servers say of themselves: an estimate, in no category."""


CATEGORY_OF: Final[Mapping[Place, str]] = {
    Place.UPS_OUTPUT: "PUE1",
    Place.PDU_OUTPUT: "PUE2",
    Place.IT_INPUT: "PUE3",
}


@dataclass(frozen=True, slots=True)
class Term:
    """One meter in an equation: ``sign`` is +1 or −1; ``factor`` converts or shares."""

    meter: str
    sign: int = 1
    factor: float = 1.0
    validity: Validity = ALWAYS
    reason: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Equation:
    """One total of a site. Each PUE category is an equation of its own and never spliced.

    ``place`` is given for E_IT. ``undeducted`` names loads that the E_IT meters also see and no
    term deducts (cooling fed by the UPS, say): with any, the ratio is in no category. ``zone``
    is empty for the whole site.
    """

    symbol: Symbol
    terms: tuple[Term, ...]
    place: Place | None = None
    zone: str = ""
    undeducted: tuple[str, ...] = ()

    @property
    def category(self) -> str | None:
        """PUE category of an E_IT equation, or None when it is in no ISO category."""
        if self.place is None or self.undeducted:
            return None
        return CATEGORY_OF.get(self.place)

    def text(self) -> str:
        """The equation as a reader sees it, e.g. ``E_DC = incomer − 0.5 × office``."""
        parts: list[str] = []
        for term in self.terms:
            factor = "" if term.factor == 1 else f"{term.factor:g} × "
            sign = "−" if term.sign < 0 else "+"
            parts.append(f"{sign} {factor}{term.meter}")
        return f"{self.symbol} = {' '.join(parts).removeprefix('+ ')}"


class Flow(msgspec.Struct, frozen=True, gc=False):
    """A total over one piece of time during which nothing about it changes.

    ``amount`` is None when any term in force is not wholly measured there. ``errors`` holds the
    standard error here of each of ``sources``, signed, in the unit of the amount, None where it is
    not known. A source is a meter, whose error is systematic, so that its errors add up over time;
    an amount that was split at a bound of the whole period has a source of its own for that.
    """

    start_ms: int
    end_ms: int
    amount: float | None
    grade: Grade
    attested_ms: int
    bridged: bool
    sources: tuple[str, ...] = ()
    errors: tuple[float | None, ...] = ()
    estimated: bool = False
    """Whether a low grade is that of an estimate: under a wrong clock an amount is measured, and
    only its time is not."""


WHOLE: Final = 0.999
"""An interval counts in a total when at least this share of it is measured: below it, what is
missing would bias the sum; above it the error stays well under that of the meters."""


def evaluate(
    equation: Equation,
    rows: Mapping[str, Sequence[Interval]],
    start_ms: int,
    end_ms: int,
    *,
    uncertainties: Mapping[str, float | None] | None = None,
    cuts: Iterable[int] = (),
) -> list[Flow]:
    """A total over [start, end) as consecutive pieces, gaps included as unmeasured pieces.

    ``rows`` holds each meter's intervals in time order without overlap; meters may use different
    lengths: a row is split linearly where another one's bound falls. Where no term is in force
    the total is unmeasured, not zero. ``cuts`` are further moments at which pieces end, such as
    changes of an emission factor.
    """
    known = uncertainties or {}
    edges = {start_ms, end_ms, *cuts}
    for term in equation.terms:
        edges.update(_edges(term.validity))
    inside = sorted(edge for edge in edges if start_ms <= edge <= end_ms)
    places = {meter: at for at, meter in enumerate(dict.fromkeys(t.meter for t in equation.terms))}
    walk = _Walk([rows.get(meter, ()) for meter in places])
    flows: list[Flow] = []
    for begin, end in pairwise(inside):
        terms = [term for term in equation.terms if term.validity.holds(begin)]
        sources = tuple(term.meter for term in terms)
        shares = [_Share(places[t.meter], t.sign * t.factor, known.get(t.meter)) for t in terms]
        flows += [_flow(a, b, over, shares, sources) for a, b, over in walk.pieces(begin, end)]
    for at, bound_ms in ((0, start_ms), (-1, end_ms)):
        flows[at] = _with_split(flows[at], equation, rows, bound_ms)
    return flows


def _with_split(
    flow: Flow, equation: Equation, rows: Mapping[str, Sequence[Interval]], bound_ms: int
) -> Flow:
    """The flow beside a bound of the period, with the error of amounts split there linearly.

    The rate around the bound is taken to lie anywhere between zero and twice its mean, over the
    shorter of the two sides.
    """
    if flow.amount is None:
        return flow
    variance = 0.0
    for term in equation.terms:
        if not term.validity.holds(flow.start_ms):
            continue
        row = _row_over(rows.get(term.meter, ()), flow.start_ms, flow.end_ms)
        if row is None or row.amount is None:
            continue
        begin, end = row.start_ms, row.end_ms
        spread = Flag.BRIDGED in row.flags or row.basis is Basis.ATTESTED
        if spread and row.opening and row.closing:
            begin, end = row.opening.time_ms, row.closing.time_ms
        shorter_ms = max(0, min(bound_ms - begin, end - bound_ms))
        variance += (term.factor * row.amount * shorter_ms / row.length_ms) ** 2 / 3
    if not variance:
        return flow
    return msgspec.structs.replace(
        flow,
        sources=(*flow.sources, f"{equation.symbol} split at {bound_ms}"),
        errors=(*flow.errors, math.sqrt(variance)),
    )


def _row_over(rows: Sequence[Interval], start_ms: int, end_ms: int) -> Interval | None:
    """The row that holds a whole piece of time, if any."""
    at = bisect_right(rows, start_ms, key=lambda row: row.start_ms) - 1
    return rows[at] if at >= 0 and end_ms <= rows[at].end_ms else None


def contributions(
    equation: Equation,
    rows: Mapping[str, Sequence[Interval]],
    spans: Sequence[tuple[int, int]],
) -> list[float]:
    """What each term adds to a total over spans in time order: sign × factor × meter.

    The spans are such that `evaluate` measures the total there; the parts then add up to it.
    """
    parts: list[float] = []
    for term in equation.terms:
        meter = rows.get(term.meter, ())
        at = 0
        amount = 0.0
        for start, end in spans:
            if not term.validity.holds(start):
                continue
            while at < len(meter) and meter[at].end_ms <= start:
                at += 1
            here = at
            while here < len(meter) and meter[here].start_ms < end:
                row = meter[here]
                overlap = min(row.end_ms, end) - max(row.start_ms, start)
                amount += (row.amount or 0.0) * overlap / row.length_ms
                here += 1
        parts.append(term.sign * term.factor * amount)
    return parts


_NEVER: Final = Interval(sys.maxsize, sys.maxsize, None, 0, 0, Basis.ESTIMATE, Grade.LOW)


class _Walk:
    """Walks the rows of some meters side by side, forward in time."""

    def __init__(self, meters: Sequence[Sequence[Interval]]) -> None:
        self._following = [iter(rows) for rows in meters]
        self._heads = [next(rows, _NEVER) for rows in self._following]

    def pieces(self, start_ms: int, end_ms: int) -> Iterator[tuple[int, int, list[Interval]]]:
        """[start, end) cut at the bounds of every row, with each meter's row there or next.

        The list of rows is the walk's own: it holds until the next piece is asked for.
        """
        heads, following = self._heads, self._following
        begin = start_ms
        while begin < end_ms:
            end = end_ms
            for at, rows in enumerate(following):
                row = heads[at]
                while row.end_ms <= begin:
                    row = heads[at] = next(rows, _NEVER)
                end = min(end, row.end_ms if row.start_ms <= begin else row.start_ms)
            yield begin, end, heads
            begin = end


class _Share(NamedTuple):
    """A term in force: which of the meters, sign × factor, and the meter's relative error."""

    place: int
    weight: float
    relative: float | None


def _flow(
    start_ms: int,
    end_ms: int,
    rows: Sequence[Interval],
    shares: Sequence[_Share],
    sources: tuple[str, ...],
) -> Flow:
    """The total over a piece that no row's bound cuts."""
    total = 0.0
    grade = Grade.HIGH
    errors: list[float | None] = []
    attested, bridged, estimated = False, False, False
    for place, weight, relative in shares:
        row = rows[place]
        amount, length_ms = row.amount, row.end_ms - row.start_ms
        if (
            amount is None
            or row.start_ms > start_ms
            or (row.covered_ms != length_ms and row.covered_ms / length_ms < WHOLE)
        ):
            break
        share = weight * amount
        if end_ms - start_ms != length_ms:
            share = share * (end_ms - start_ms) / length_ms
        total += share
        errors.append(None if relative is None else share * relative)
        if row.grade is not grade:
            grade = worst((grade, row.grade))
        if row.grade is Grade.LOW and Flag.CLOCK not in row.flags:
            estimated = True
        if row.basis is Basis.ATTESTED:
            attested = True
        if row.profile_ms != length_ms and row.profile_ms / length_ms < WHOLE:
            bridged = True
    else:
        if shares:
            attested_ms = end_ms - start_ms if attested else 0
            return Flow(
                start_ms,
                end_ms,
                total,
                grade,
                attested_ms,
                bridged,
                sources,
                tuple(errors),
                estimated,
            )
    return Flow(start_ms, end_ms, None, Grade.LOW, 0, False)


def _edges(validity: Validity) -> Iterable[int]:
    return (edge for edge in (validity.from_ms, validity.to_ms) if edge is not None)
