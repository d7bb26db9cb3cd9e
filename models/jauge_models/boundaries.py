"""Boundary equations: what belongs to E_DC, E_IT, W_IN, … of a site, and since when.

Each total is a dated sum of sign × factor × meter. That says what a real site needs to say: an
office behind the incomer (−), a pump fed by the UPS (−), a generator counted once (+ while it
runs), purchased chilled water (× factor), a shared building (× share), returned water (−).
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import Final

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


@dataclass(frozen=True, slots=True)
class Flow:
    """A total over one piece of time during which nothing about it changes.

    ``amount`` is None when any term in force is not wholly measured there. ``errors`` holds each
    meter's standard error here, signed, in the unit of the amount, None where it is not known; a
    meter's error is systematic, so its errors add up over time. An amount that was split at a
    bound of the whole period has an entry of its own for that.
    """

    start_ms: int
    end_ms: int
    amount: float | None
    grade: Grade
    attested_ms: int
    bridged: bool
    errors: Mapping[str, float | None]


WHOLE: Final = 0.99
"""An interval counts in a total when at least this share of it is measured: below it, what is
missing would bias the sum, above it the error stays under that of the meters."""


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
        for row in rows.get(term.meter, ()):
            edges.add(row.start_ms)
            edges.add(row.end_ms)
    inside = sorted(edge for edge in edges if start_ms <= edge <= end_ms)
    cursors = {term.meter: _Cursor(rows.get(term.meter, ())) for term in equation.terms}
    flows: list[Flow] = []
    for a, b in pairwise(inside):
        flows.append(_flow(equation.terms, cursors, a, b, known))
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
        if Flag.BRIDGED not in row.flags and row.basis is not Basis.ATTESTED:
            continue
        begin = row.opening.time_ms if row.opening else row.start_ms
        end = row.closing.time_ms if row.closing else row.end_ms
        shorter_ms = max(0, min(bound_ms - begin, end - bound_ms))
        variance += (term.factor * row.amount * shorter_ms / row.length_ms) ** 2 / 3
    if not variance:
        return flow
    key = f"{equation.symbol} split at {bound_ms}"
    return replace(flow, errors={**flow.errors, key: math.sqrt(variance)})


def _row_over(rows: Sequence[Interval], start_ms: int, end_ms: int) -> Interval | None:
    """The row that holds a whole piece of time, if any."""
    at = bisect_right(rows, start_ms, key=lambda row: row.start_ms) - 1
    return rows[at] if at >= 0 and end_ms <= rows[at].end_ms else None


class _Cursor:
    """Walks a meter's rows forward: pieces are asked for in time order."""

    def __init__(self, rows: Sequence[Interval]) -> None:
        self._rows = rows
        self._at = 0

    def over(self, start_ms: int, end_ms: int) -> Interval | None:
        while self._at < len(self._rows) and self._rows[self._at].end_ms <= start_ms:
            self._at += 1
        if self._at == len(self._rows):
            return None
        row = self._rows[self._at]
        return row if row.start_ms <= start_ms and end_ms <= row.end_ms else None


def _flow(
    terms: Iterable[Term],
    cursors: Mapping[str, _Cursor],
    start_ms: int,
    end_ms: int,
    uncertainties: Mapping[str, float | None],
) -> Flow:
    total = 0.0
    grades: list[Grade] = []
    errors: dict[str, float | None] = {}
    measured, attested, bridged = False, False, False
    for term in terms:
        if not term.validity.holds(start_ms):
            continue
        row = cursors[term.meter].over(start_ms, end_ms)
        if row is None or row.amount is None or row.coverage < WHOLE:
            return Flow(start_ms, end_ms, None, Grade.LOW, 0, False, {})
        measured = True
        share = term.sign * term.factor * row.amount * (end_ms - start_ms) / row.length_ms
        total += share
        grades.append(row.grade)
        attested = attested or row.basis is Basis.ATTESTED
        bridged = bridged or row.profile_coverage < WHOLE
        relative = uncertainties.get(term.meter)
        error = errors.get(term.meter, 0.0)
        errors[term.meter] = None if relative is None or error is None else error + share * relative
    if not measured:
        return Flow(start_ms, end_ms, None, Grade.LOW, 0, False, {})
    return Flow(
        start_ms,
        end_ms,
        total,
        worst(grades),
        end_ms - start_ms if attested else 0,
        bridged,
        errors,
    )


def _edges(validity: Validity) -> Iterable[int]:
    return (edge for edge in (validity.from_ms, validity.to_ms) if edge is not None)
