"""Whom a broken order points at: what would have to be wrong for the numbers to be as they are.

A suspicion is a pattern that holds in (nearly) every broken hour: a factor that stays the same
however the load moves, a feed that reads nothing, two series that are one. It says what to look
at, not what is so; each carries the numbers that speak for it. First comes what takes the fewest
assumptions, then what leaves the steadiest ratio; what explains the hours equally well is named
together before anybody is named alone.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import combinations
from statistics import median
from typing import Final, NamedTuple

import msgspec

from jauge_models.crosschecks import Check, Hours, Outcome, Verdict


class SuspectKind(StrEnum):
    """What may be wrong."""

    CT_RATIO = "ct_ratio"
    """A current transformer's ratio, or a pulse weight, set to another one."""
    UNIT = "unit"
    """kW for W, Wh for kWh, MJ for kWh, Wh for J."""
    ONE_PHASE = "one_phase"
    """One phase where three were meant."""
    DEAD_SENSOR = "dead_sensor"
    """A feed that reads nothing while what it feeds draws."""
    MISSING_SHARE = "missing_share"
    """As if one more equal feed were there: a power supply's sensor, an outlet off the map."""
    DOUBLE_COUNT = "double_count"
    WRONG_CONNECTION = "wrong_connection"
    """Without it the order would hold: it may be fed from elsewhere."""
    REVERSED_CT = "reversed_ct"
    SWAPPED_PHASES = "swapped_phases"
    STUCK = "stuck"
    OVER_RATING = "over_rating"
    JUMP = "jump"
    COMMON_BIAS = "common_bias"
    """All below read a little too much alike, or what feeds them too little: nobody stands out."""
    TIED = "tied"
    """Each of these explains the hours as well as the others; what each would be comes next."""
    UNEXPLAINED = "unexplained"
    """No pattern that is known here."""


class Suspect(msgspec.Struct, frozen=True):
    """One suspicion.

    ``factor`` is the error that would explain it (a reading ``factor`` times the truth), ``found``
    the median of what was found, ``low`` and ``high`` its range over ``hours`` hours. What was
    found is a ratio of energies: for `CT_RATIO`, `UNIT`, `ONE_PHASE`, `MISSING_SHARE`,
    `DOUBLE_COUNT` and `COMMON_BIAS` that of both sides once the error is taken out, else as they
    stand.
    """

    kind: SuspectKind
    subjects: tuple[str, ...]
    factor: float | None = None
    found: float | None = None
    low: float | None = None
    high: float | None = None
    hours: int = 0


CT_FACTORS: Final = (
    *(1.5, 1.6, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 16.0, 20.0, 25.0, 30.0),
    *(40.0, 50.0, 60.0, 80.0, 100.0, 120.0, 200.0),
)
"""By how much one common transformer (50/5 to 1000/5, …/1) is mistaken for another, or for none."""
UNIT_FACTORS: Final = (3.6, 1000.0, 3600.0, 3.6e6)
PHASES: Final = 3.0
LOSSES: Final = 0.18
"""What may get lost between two points of the map and still count as right."""
STEADY: Final = 0.15
"""How far the middle eight tenths of a ratio may spread and still be one factor."""
_USUAL: Final = 0.97
"""Below over above where all is well."""
_AS_STEADY: Final = 0.01
_MOST_FACTORS: Final = 3
"""Spreads that differ by less are equal."""
_MANY: Final = 3
"""Where one factor on any of so many things below would do, it is none of them that stands out."""
_MOST_BIAS: Final = 1.25
"""What things of one kind may be off by together; more has another cause."""
_MOST_UNEVEN: Final = 10.0
"""How many times what its fellows give a feed without a reading may be thought to give."""
_MOVES: Final = 0.02
_IDLE: Final = 0.01
_SAME: Final = 0.001
_MOST_CONNECTIONS: Final = 3
_MOST_FEEDS: Final = 4


def suspects(
    check: Check, window: Sequence[Verdict], hours: Mapping[str, Hours]
) -> tuple[Suspect, ...]:
    """Suspicions of a broken order, the most telling first; never empty for a broken hour."""
    broken = [v for v in window if v.outcome is Outcome.BROKEN]
    amounts = {
        name: [hours[name][v.hour_ms].amount or 0.0 for v in broken] for name in check.subjects
    }
    case = _Case(check, broken, amounts)
    found = case.explanations()
    if not found:
        alone = tuple(case.misplaced())
        return alone or (case.told(SuspectKind.UNEXPLAINED, check.subjects, case.ratios()),)
    best = found[0]
    equal = {
        name
        for one in found
        if one.assumptions == best.assumptions and one.spread <= best.spread + _AS_STEADY
        for name in one.suspect.subjects
    }
    ranked = tuple(one.suspect for one in found)
    if equal == set(best.suspect.subjects):
        return ranked
    tied = tuple(name for name in check.subjects if name in equal)
    return (case.told(SuspectKind.TIED, tied, case.ratios()), *ranked)


class _Explanation(NamedTuple):
    """A suspicion and how well it explains the hours.

    ``assumptions`` are errors of which nothing is seen but the broken order; ``spread`` is that of
    the ratio once they are taken out, ``off`` how far from the usual it then is.
    """

    assumptions: int
    spread: float
    off: float
    suspect: Suspect


class _Case:
    """The broken hours of one check: sums of both sides and each subject's part."""

    def __init__(
        self, check: Check, broken: Sequence[Verdict], amounts: Mapping[str, Sequence[float]]
    ) -> None:
        self._check = check
        self._amounts = amounts
        self._lower = [v.lower or 0.0 for v in broken]
        self._upper = [v.upper or 0.0 for v in broken]
        self._allowed = [v.tolerance or 0.0 for v in broken]

    def ratios(self) -> list[float]:
        """Below over above, hour by hour; nothing where nothing flows above."""
        return [low / up for low, up in zip(self._lower, self._upper, strict=True) if up > 0]

    def told(
        self,
        kind: SuspectKind,
        subjects: Sequence[str],
        ratios: Sequence[float],
        factor: float | None = None,
    ) -> Suspect:
        """A suspicion with its numbers."""
        if not ratios:
            return Suspect(kind, tuple(subjects), factor, hours=len(self._lower))
        low, high = min(ratios), max(ratios)
        return Suspect(kind, tuple(subjects), factor, median(ratios), low, high, len(ratios))

    def explanations(self) -> list[_Explanation]:
        """All that explain the broken hours, the best first.

        Where a feed reads nothing, what does not say so leaves that open: one assumption more.
        """
        idle = [*self.idle()]
        silent = {name for one in idle for name in one.suspect.subjects}
        others = [*self.factors(), *self.twins(), *self.doubled(), *self.common(), *self.share()]
        found = idle + [
            one
            if not silent or silent.intersection(one.suspect.subjects)
            else one._replace(assumptions=one.assumptions + 1)
            for one in others
        ]
        return sorted(found, key=lambda one: (one.assumptions, round(one.spread, 3), one.off))

    def _explained(self, suspect: Suspect, ratios: Sequence[float], seen: bool) -> _Explanation:
        """``seen``: the error itself shows in the readings."""
        if not ratios:
            return _Explanation(1 - seen, 0.0, 0.0, suspect)
        off = round(abs(median(ratios) - _USUAL), 3)
        return _Explanation(1 - seen, _spread(ratios), off, suspect)

    def idle(self) -> Iterator[_Explanation]:
        """Feeds that read nothing at all.

        Not where what the others give is next to nothing, too: then what is fed reads too much.
        """
        feeds = self._check.upper
        shares = {
            name: [a / low for a, low in zip(self._amounts[name], self._lower, strict=True)]
            for name in feeds
        }
        silent = [name for name in feeds if max(shares[name]) <= _IDLE]
        ratios = self.ratios()
        if ratios and median(ratios) > _MOST_UNEVEN:
            return
        for name in silent:
            told = self.told(SuspectKind.DEAD_SENSOR, (name,), shares[name])
            yield self._explained(told, ratios, seen=not any(self._amounts[name]))

    def factors(self) -> list[_Explanation]:
        """Each subject for which one factor makes things right in every hour.

        To leave one of several out is a factor, too: it may not be fed from here. Where many
        things below fit equally, none of them is named.
        """
        below: list[_Explanation] = []
        above: list[_Explanation] = []
        alone = len(self._check.lower) == 1
        for name in self._check.lower:
            tried = (*CT_FACTORS, *UNIT_FACTORS, *(() if alone else (math.inf,)))
            below += self._fitting(name, tried, self._corrected(name, below=True), below=True)
        for name in self._check.upper:
            if any(self._amounts[name]):
                tried = (*CT_FACTORS, *UNIT_FACTORS)
                above += self._fitting(name, tried, self._corrected(name, below=False))
        if below:
            least = min(one.spread for one in below) + _AS_STEADY
            if len({one.suspect.subjects for one in below if one.spread <= least}) >= _MANY:
                below = []
        return [*below, *above]

    def common(self) -> Iterator[_Explanation]:
        """All below a little too much, in the same measure whoever of them draws."""
        ratios = self.ratios()
        if len(self._check.lower) == 1 or len(ratios) < len(self._lower):
            return
        factor = median(ratios) / _USUAL
        if factor <= _MOST_BIAS and _spread(ratios) <= STEADY:
            right = [ratio / factor for ratio in ratios]
            told = self.told(SuspectKind.COMMON_BIAS, self._check.subjects, right, factor)
            yield self._explained(told, right, seen=False)

    def twins(self) -> Iterator[_Explanation]:
        """Two things below that are one and the same, each hour; it shows where they move."""
        for one, other in combinations(self._check.lower, 2):
            pairs = list(zip(self._amounts[one], self._amounts[other], strict=True))
            same = all(a > 0 and abs(a - b) <= _SAME * a for a, b in pairs)
            if same and self._holds_without(one):
                ratios = [
                    (low - a) / up
                    for low, (a, _), up in zip(self._lower, pairs, self._upper, strict=True)
                    if up > 0
                ]
                told = self.told(SuspectKind.DOUBLE_COUNT, (one, other), ratios, 2.0)
                moves = _spread(self._amounts[one]) > _MOVES
                yield self._explained(told, ratios, seen=moves)

    def doubled(self) -> Iterator[_Explanation]:
        """All below about twice as much as what feeds it."""
        halves = [ratio / 2 for ratio in self.ratios()]
        if _fits(halves, len(self._lower)):
            told = self.told(SuspectKind.DOUBLE_COUNT, self._check.lower, halves, 2.0)
            yield self._explained(told, halves, seen=False)

    def share(self) -> Iterator[_Explanation]:
        """As if of n + 1 feeds with equal loads only n were seen."""
        feeds = len(self._check.upper)
        if feeds > _MOST_FEEDS:
            return
        whole = [ratio * feeds / (feeds + 1) for ratio in self.ratios()]
        if _fits(whole, len(self._lower)):
            part = feeds / (feeds + 1)
            told = self.told(SuspectKind.MISSING_SHARE, self._check.upper, whole, part)
            yield self._explained(told, whole, seen=False)

    def misplaced(self) -> Iterator[Suspect]:
        """Things below without which the order would hold, the largest first."""
        if len(self._check.lower) < 2:
            return
        fitting = [name for name in self._check.lower if self._holds_without(name)]
        fitting.sort(key=lambda name: (-sum(self._amounts[name]), name))
        for name in fitting[:_MOST_CONNECTIONS]:
            yield self.told(
                SuspectKind.WRONG_CONNECTION, (name,), self._corrected(name, below=True)(math.inf)
            )

    def _holds_without(self, name: str) -> bool:
        return all(
            low - a <= up + allowed
            for low, a, up, allowed in zip(
                self._lower, self._amounts[name], self._upper, self._allowed, strict=True
            )
        )

    def _corrected(self, name: str, *, below: bool) -> Callable[[float], list[float]]:
        """What the ratios would be, were the subject ``factor`` times less, or above, more."""
        hours = list(zip(self._lower, self._upper, self._amounts[name], strict=True))

        def ratios(factor: float) -> list[float]:
            if below:
                return [(low - a + a / factor) / up for low, up, a in hours if up > 0]
            return [low / (up - a + a * factor) for low, up, a in hours if up > 0]

        return ratios

    def _fitting(
        self,
        name: str,
        factors: Sequence[float],
        corrected: Callable[[float], list[float]],
        *,
        below: bool = False,
    ) -> list[_Explanation]:
        """The factor that makes the ratio right and steadiest, and others as good as that one."""
        fitting = sorted(
            (_spread(ratios), factor, ratios)
            for factor in factors
            if _fits(ratios := corrected(factor), len(self._lower))
        )
        near = [one for one in fitting[1:] if one[0] <= fitting[0][0] + _AS_STEADY]
        near.sort(key=lambda one: abs(median(one[2]) - _USUAL))
        return [
            self._explained(
                self.told(SuspectKind.WRONG_CONNECTION, (name,), ratios)
                if factor == math.inf
                else self.told(
                    _kind(factor, below=below), (name,), ratios, factor if below else 1 / factor
                ),
                ratios,
                seen=False,
            )
            for _, factor, ratios in [*fitting[:1], *near[: _MOST_FACTORS - 1]]
        ]


def _kind(factor: float, *, below: bool) -> SuspectKind:
    if factor in UNIT_FACTORS:
        return SuspectKind.UNIT
    return SuspectKind.ONE_PHASE if factor == PHASES and not below else SuspectKind.CT_RATIO


def _fits(ratios: Sequence[float], hours: int) -> bool:
    """Whether a ratio is what losses make of it, and steady, in as good as all hours."""
    if not ratios or len(ratios) < hours:
        return False
    return 1 - LOSSES <= median(ratios) <= 1.05 and _spread(ratios) <= STEADY


def _spread(ratios: Sequence[float]) -> float:
    """Width of the middle eight tenths, relative to the median."""
    inner = sorted(ratios)
    cut = len(inner) // 10
    kept = inner[cut : len(inner) - cut]
    return (kept[-1] - kept[0]) / median(ratios)
