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
    """Whether the phases add up to their meter, and none runs backwards.

    What flows back is no reading of its phase, so one that runs backwards may be missing. The hour
    is judged without it where the others are more than their meter: then it cannot be drawing.
    ``lower`` is the sum of the phases that are there.
    """
    whole = hours.get(total, {}).get(hour_ms)
    if whole is None or whole.amount is None:
        return unjudged(hour_ms, _why(whole), total)
    there = {
        name: hour
        for name in parts
        if (hour := hours.get(name, {}).get(hour_ms)) is not None and hour.amount is not None
    }
    amounts = [hour.amount or 0.0 for hour in there.values()]
    some = math.fsum(amounts)
    spread = variance([(subjects[total], whole)])
    spread += variance([(subjects[name], hour) for name, hour in there.items()])
    tolerance = policy.coverage_factor * math.sqrt(spread)
    missing = [name for name in parts if name not in there]
    if missing:
        gaps = [_why(hours.get(name, {}).get(hour_ms)) for name in missing]
        if some - whole.amount <= tolerance or not _SILENT.issuperset(gaps):
            return unjudged(hour_ms, gaps[0], missing[0])
        return Verdict(hour_ms, Outcome.BROKEN, some, whole.amount, tolerance)
    broken = abs(some - whole.amount) > tolerance or min(amounts) < -tolerance
    outcome = Outcome.BROKEN if broken else Outcome.HOLDS
    return Verdict(hour_ms, outcome, some, whole.amount, tolerance)


_SILENT: Final = frozenset({Gap.NO_ROWS, Gap.PARTIAL})
"""Gaps that a phase has which gave no value, all of the hour or part of it."""


def _why(hour: HourAmount | None) -> Gap:
    """Why there is nothing to compare with."""
    return Gap.NO_ROWS if hour is None else hour.gap or Gap.PARTIAL


def phase_suspects(
    total: str, parts: Sequence[str], window: Sequence[Verdict], hours: Mapping[str, Hours]
) -> tuple[Suspect, ...]:
    """Which phase runs backwards, or whether two of three were swapped.

    A reversed transformer makes its phase negative; or, where phases are told without a sign, the
    meter less than their sum by twice that phase; or, where what flows back is no reading of the
    phase, leaves it without a value, or its register at a standstill, while the others are more
    than their meter. Two swapped ones turn each by 120°: their power is minus half of what it was,
    and the three add up to about nothing.
    """
    broken = [v for v in window if v.outcome is Outcome.BROKEN]
    each = {
        name: [
            hour.amount if (hour := hours.get(name, {}).get(v.hour_ms)) is not None else None
            for v in broken
        ]
        for name in parts
    }
    whole = [hours[total][v.hour_ms].amount or 0.0 for v in broken]
    allowed = [v.tolerance or 0.0 for v in broken]
    if len(parts) == 3 and (swapped := _swapped(each, whole, allowed)) is not None:
        return (swapped,)
    told = [[a for a in some if a is not None] for some in zip(*each.values(), strict=True)]
    sums = [math.fsum(some) for some in told]
    found: list[Suspect] = []
    for name, some in each.items():
        states = zip(some, whole, sums, allowed, strict=True)
        is_whole = [len(present) == len(parts) for present in told]
        if all(
            _is_reversed(*state, all_told=known)
            for state, known in zip(states, is_whole, strict=True)
        ):
            shares = [
                (w - s if a is None else a) / w
                for a, w, s in zip(some, whole, sums, strict=True)
                if w
            ]
            found.append(_told(SuspectKind.REVERSED_CT, (name,), shares, -1.0, len(broken)))
    if found:
        return tuple(found)
    ratios = [s / w for s, w in zip(sums, whole, strict=True) if w]
    return (_told(SuspectKind.UNEXPLAINED, (total, *parts), ratios, None, len(broken)),)


def _is_reversed(
    phase: float | None, whole: float, seen: float, allowed: float, *, all_told: bool
) -> bool:
    """Whether an hour is as a reversed transformer on this phase makes it.

    ``seen`` is the sum of the phases that are told.
    """
    if phase is None or 0 <= phase <= allowed:
        return seen - whole > allowed
    return phase < 0 or (all_told and abs(whole - (seen - 2 * phase)) <= allowed)


def _swapped(
    each: Mapping[str, Sequence[float | None]], whole: Sequence[float], allowed: Sequence[float]
) -> Suspect | None:
    """Two phases at half the third's size, or both without a value, and a meter of about nothing.

    Told by what each of the two is, of the third.
    """
    for sound in each:
        others = [name for name in each if name != sound]
        ratios: list[float] = []
        for at, (nothing, tolerance) in enumerate(zip(whole, allowed, strict=True)):
            third = each[sound][at]
            if third is None or third <= 0 or abs(nothing) > 0.2 * third:
                break
            two = [each[name][at] for name in others]
            if all(a is None or 0 <= a <= tolerance for a in two):
                ratios += 2 * [(third - nothing) / third / 2]
            else:
                ratios += [abs(a or 0.0) / third for a in two]
        else:
            if ratios and all(0.35 <= ratio <= 0.65 for ratio in ratios):
                subjects = tuple(others)
                return _told(SuspectKind.SWAPPED_PHASES, subjects, ratios, -0.5, len(whole))
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
