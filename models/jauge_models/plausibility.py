"""What one meter shows by itself or beside its neighbours: steps, stuck values, jumps, phases.

Each check gives hourly verdicts that live as `crosschecks.episodes` has them, with a suspicion for
the ticket.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import median
from typing import Final

from jauge_models.counters import WRAP_MARGIN
from jauge_models.crosschecks import (
    HOUR_MS,
    Check,
    Gap,
    HourAmount,
    Hours,
    Outcome,
    Policy,
    Subject,
    Verdict,
    unjudged,
    variance,
)
from jauge_models.intervals import Flag, Interval
from jauge_models.suspects import Suspect, SuspectKind

_STILL: Final = 1e-6
_SEVERAL: Final = 3
"""Steps of a register: what moves it by less may leave it as it is."""


def resolution_seen(rows: Iterable[Interval]) -> float:
    """The step by which a register advances, as its readings show; 0 where they do not tell.

    In the register's own unit, J before any factor: the greatest that all advances are multiples
    of, or nearly all, where a few are off. It takes several different advances to tell a step from
    a steady load; two do where they are one step apart, as those of a steady load between two
    steps are.
    """
    advances = Counter(
        round((row.closing.value - row.opening.value) * 1000)
        for row in rows
        if row.opening is not None
        and row.closing is not None
        and row.closing.value >= row.opening.value
        and not row.flags & _BROKEN_REGISTER
    )
    usual: list[int] = []
    counted = 0
    for advance, times in advances.most_common():
        if counted >= _NEARLY_ALL * advances.total():
            break
        usual.append(advance)
        counted += times
    step, steady_step = _common_step(advances), _common_step(usual)
    return (steady_step if steady_step > _FINER * step else step) / 1000


_BROKEN_REGISTER: Final = frozenset({Flag.RESET, Flag.JUMP, Flag.REPLACED, Flag.WRAPPED})
_NEARLY_ALL: Final = 0.9
_FINER: Final = 20
"""How much finer than that of nearly all the step of all must be, for a few to be off."""


def _common_step(advances: Collection[int]) -> int:
    step = math.gcd(*advances)
    if len(advances) == 2:
        return step if max(advances) - min(advances) == step else 0
    return step if len(advances) > 2 else 0


def stuck(
    name: str,
    check: Check,
    verdicts: Sequence[Verdict],
    *,
    hours: Mapping[str, Hours],
    subjects: Mapping[str, Subject],
    policy: Policy,
) -> list[Verdict]:
    """Whether a value stands still while what must come through it moves.

    That is told from the rest of a check: what it feeds, less what its fellows give; or for the
    only thing below, what feeds it. A `Verdict`'s ``lower`` and ``upper`` are the least and the
    most that should have come through in the hours looked at. Neighbours that stand still too tell
    nothing, nor do those that move by their own steps, or by a few of the subject's.
    """
    below = check.lower == (name,)
    if not below and name not in check.upper:
        return []
    judged = [v for v in sorted(verdicts) if v.outcome is not Outcome.NOT_JUDGED]
    each = [subjects[one].resolution for one in check.subjects]
    steps = min(math.fsum(each), 2 * math.hypot(*each))
    least_told = _SEVERAL * subjects[name].resolution
    found: list[Verdict] = []
    for at in range(policy.stuck_hours - 1, len(judged)):
        some = judged[at - policy.stuck_hours + 1 : at + 1]
        if some[0].hour_ms <= some[-1].hour_ms - policy.memory_ms:
            continue
        own = [hours[name][v.hour_ms].amount or 0.0 for v in some]
        hour_ms = some[-1].hour_ms
        if max(own) - min(own) > _STILL * max(own):
            found.append(Verdict(hour_ms, Outcome.HOLDS))
            continue
        expected = [
            v.upper or 0.0 if below else (v.lower or 0.0) - (v.upper or 0.0) + a
            for v, a in zip(some, own, strict=True)
        ]
        least, most = min(expected), max(expected)
        allowed = max(v.tolerance or 0.0 for v in some) + steps
        if most - least > max(allowed, least_told):
            found.append(Verdict(hour_ms, Outcome.BROKEN, least, most, allowed))
    return found


def stuck_suspect(name: str, window: Sequence[Verdict], hours: Hours, policy: Policy) -> Suspect:
    """What stood still: ``found`` is its hourly energy in J, between what it should have been."""
    last = window[-1]
    own = hours[last.hour_ms].amount if last.hour_ms in hours else None
    return Suspect(
        SuspectKind.STUCK, (name,), None, own, last.lower, last.upper, policy.stuck_hours
    )


def jumps(rows: Iterable[Interval], rating: float | None) -> list[Verdict]:
    """Hours in which more came than the rating allows, or in which the ledger saw a jump.

    ``lower`` is what came and ``upper`` what can; both None for a jump that the ledger refused.
    """
    found: dict[int, Verdict] = {}
    for row in rows:
        hour_ms = row.start_ms - row.start_ms % HOUR_MS
        verdict = _jump(hour_ms, row, rating)
        known = found.get(hour_ms)
        if known is None or _RANK[verdict.outcome] > _RANK[known.outcome]:
            found[hour_ms] = verdict
    return [found[hour] for hour in sorted(found)]


_RANK: Final = {Outcome.HOLDS: 0, Outcome.NOT_JUDGED: 1, Outcome.BROKEN: 2}


def _jump(hour_ms: int, row: Interval, rating: float | None) -> Verdict:
    if Flag.JUMP in row.flags:
        return Verdict(hour_ms, Outcome.BROKEN)
    if Flag.CLOCK in row.flags:
        return unjudged(hour_ms, Gap.CLOCK)
    if not row.is_comparable or row.amount is None:
        gap = Gap.SUSPENDED if Flag.SUSPENDED in row.flags else Gap.PARTIAL
        return unjudged(hour_ms, gap)
    if rating is None:
        return Verdict(hour_ms, Outcome.HOLDS)
    most = rating * WRAP_MARGIN * row.covered_ms / 1000
    outcome = Outcome.BROKEN if row.amount > most else Outcome.HOLDS
    return Verdict(hour_ms, outcome, row.amount, most, 0.0)


def jump_suspects(name: str, window: Sequence[Verdict]) -> tuple[Suspect, ...]:
    """What jumped: the ratio of what came to what can, or none where the ledger refused it."""
    broken = [v for v in window if v.outcome is Outcome.BROKEN]
    ratios = [v.lower / v.upper for v in broken if v.lower is not None and v.upper]
    refused = len(broken) - len(ratios)
    found: list[Suspect] = []
    if refused:
        found.append(Suspect(SuspectKind.JUMP, (name,), hours=refused))
    if ratios:
        low, high = min(ratios), max(ratios)
        found.append(
            Suspect(SuspectKind.OVER_RATING, (name,), None, median(ratios), low, high, len(ratios))
        )
    return tuple(found)


def phases(
    total: str,
    parts: Sequence[str],
    hour_ms: int,
    *,
    hours: Mapping[str, Hours],
    subjects: Mapping[str, Subject],
    policy: Policy,
) -> Verdict:
    """Whether the phases add up to their meter, and none runs backwards."""
    amounts: list[float] = []
    told: list[tuple[Subject, HourAmount]] = []
    for name in (total, *parts):
        hour = hours.get(name, {}).get(hour_ms)
        if hour is None or hour.amount is None:
            gap = Gap.NO_ROWS if hour is None else hour.gap or Gap.PARTIAL
            return unjudged(hour_ms, gap, name)
        amounts.append(hour.amount)
        told.append((subjects[name], hour))
    whole, some = amounts[0], amounts[1:]
    tolerance = policy.coverage_factor * math.sqrt(variance(told[:1]) + variance(told[1:]))
    broken = abs(math.fsum(some) - whole) > tolerance or min(some) < -tolerance
    outcome = Outcome.BROKEN if broken else Outcome.HOLDS
    return Verdict(hour_ms, outcome, math.fsum(some), whole, tolerance)


def phase_suspects(
    total: str, parts: Sequence[str], window: Sequence[Verdict], hours: Mapping[str, Hours]
) -> tuple[Suspect, ...]:
    """Which phase runs backwards, or whether two of three were swapped.

    A reversed transformer makes its phase negative, or, where phases are told without a sign, the
    meter less than their sum by twice that phase. Two swapped ones turn each by 120°: their power
    is minus half of what it was, and the three add up to about nothing.
    """
    broken = [v for v in window if v.outcome is Outcome.BROKEN]
    each = {name: [hours[name][v.hour_ms].amount or 0.0 for v in broken] for name in parts}
    whole = [hours[total][v.hour_ms].amount or 0.0 for v in broken]
    sums = [math.fsum(some) for some in zip(*each.values(), strict=True)]
    allowed = [v.tolerance or 0.0 for v in broken]
    if len(parts) == 3 and (swapped := _swapped(each, whole)) is not None:
        return (swapped,)
    found: list[Suspect] = []
    for name, some in each.items():
        missing = [
            abs(total_j - (sum_j - 2 * a)) <= tolerance
            for total_j, sum_j, a, tolerance in zip(whole, sums, some, allowed, strict=True)
        ]
        if all(a < 0 for a in some) or (all(missing) and all(a > 0 for a in some)):
            ratios = [a / w for a, w in zip(some, whole, strict=True) if w]
            found.append(_told(SuspectKind.REVERSED_CT, (name,), ratios, -1.0, len(broken)))
    if found:
        return tuple(found)
    ratios = [s / w for s, w in zip(sums, whole, strict=True) if w]
    return (_told(SuspectKind.UNEXPLAINED, (total, *parts), ratios, None, len(broken)),)


def _swapped(each: Mapping[str, Sequence[float]], whole: Sequence[float]) -> Suspect | None:
    """Two phases at half the third's size, with a meter that shows about nothing."""
    for sound in each:
        others = [name for name in each if name != sound]
        ratios = [
            abs(each[name][at]) / each[sound][at]
            for at in range(len(whole))
            for name in others
            if each[sound][at] > 0
        ]
        nothing = all(abs(w) <= 0.2 * s for w, s in zip(whole, each[sound], strict=True))
        if len(ratios) == 2 * len(whole) and nothing and all(0.35 <= r <= 0.65 for r in ratios):
            return _told(SuspectKind.SWAPPED_PHASES, tuple(others), ratios, -0.5, len(whole))
    return None


def _told(
    kind: SuspectKind,
    subjects: tuple[str, ...],
    ratios: Sequence[float],
    factor: float | None,
    hours: int,
) -> Suspect:
    if not ratios:
        return Suspect(kind, subjects, factor, hours=hours)
    return Suspect(kind, subjects, factor, median(ratios), min(ratios), max(ratios), hours)
