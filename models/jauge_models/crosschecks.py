"""Cross-checks: whether what a meter says can be true beside what its neighbours on the map say.

Energy flows one way along the connection map, so in every hour what is below draws no more than
what feeds it. An hour is judged only where each meter of both sides was wholly measured in it; what
is missing is never taken for zero. The result is a ticket for a person, and no alert.

Energies in J, times in milliseconds since the Unix epoch, UTC. Everything here depends on the rows
alone, in whatever order they come.
"""

import math
import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final, NamedTuple

from jauge_models.boundaries import WHOLE
from jauge_models.intervals import Basis, Flag, Grade, Interval, worst

HOUR_MS: Final = 60 * 60 * 1000


class Kind(StrEnum):
    """What is looked at; a ticket is of one of them."""

    ORDER = "order"
    """What is fed draws more than what feeds it."""
    STUCK = "stuck"
    """One value stands still for hours while its neighbours move."""
    JUMP = "jump"
    """More than the rating allows."""
    PHASES = "phases"
    """The phases do not add up to their meter."""


class Outcome(StrEnum):
    """What an hour says."""

    HOLDS = "holds"
    BROKEN = "broken"
    NOT_JUDGED = "not_judged"


class Gap(StrEnum):
    """Why an hour is not judged."""

    EVENT = "event"
    """A declared event concerns one of the subjects, or the ledger flags one."""
    NO_ROWS = "no_rows"
    PARTIAL = "partial"
    """Not the whole hour was measured with its own bounds read."""
    CLOCK = "clock"
    """The agent's clock was wrong."""
    SUSPENDED = "suspended"
    """The ledger does not believe the meter: a jump, a reset, a false zero."""
    ESTIMATED = "estimated"
    """An estimate, or a figure somebody signed for: neither tells of one hour."""
    COARSE = "coarse"
    """Rows longer than an hour."""
    UNMEASURED = "unmeasured"
    """Something on the map that feeds here is measured by nobody."""
    MAP_CHANGED = "map_changed"
    """The map changes within the hour, or is not declared for it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How a ticket comes about. The project's policy, not a text.

    ``coverage_factor`` widens the combined standard error of both sides into the tolerance. A
    ticket opens when ``broken_hours`` of the last ``of_hours`` comparable hours are broken, and
    is resolved when as many of them hold that came since. Hours older than ``memory_ms`` no longer
    count.
    """

    coverage_factor: float = 2.0
    broken_hours: int = 18
    of_hours: int = 24
    stuck_hours: int = 12
    memory_ms: int = 7 * 24 * HOUR_MS

    def life(self, kind: Kind) -> "Life":
        """How many hours open and resolve a ticket of a kind.

        A stuck value already takes hours to see, and a jump is impossible even once.
        """
        if kind is Kind.STUCK:
            return Life(1, 1, 1, self.memory_ms)
        if kind is Kind.JUMP:
            return Life(1, self.of_hours, self.broken_hours, self.memory_ms)
        return Life(self.broken_hours, self.of_hours, self.broken_hours, self.memory_ms)


# --- what one subject shows in an hour


class HourAmount(NamedTuple):
    """Energy of one hour, or why there is none to compare with."""

    amount: float | None
    grade: Grade
    gap: Gap | None = None


Hours = Mapping[int, HourAmount]
"""Hours of one subject by their start; one that is missing has no rows."""


def hours_of(rows: Iterable[Interval]) -> dict[int, HourAmount]:
    """Rows of one subject, none overlapping another, as wall-clock hours."""
    parts: dict[int, list[Interval]] = {}
    found: dict[int, HourAmount] = {}
    for row in rows:
        start_ms, end_ms = row.start_ms, row.end_ms
        first = start_ms - start_ms % HOUR_MS
        if (
            row.amount is not None
            and not row.flags
            and row.profile_ms == HOUR_MS
            and end_ms == start_ms + HOUR_MS
            and row.basis in _TELLING
        ):  # as nearly all are: nothing to add up
            found[start_ms] = HourAmount(row.amount, row.grade)
        elif end_ms <= first + HOUR_MS:
            parts.setdefault(first, []).append(row)
        else:
            for hour in range(first, end_ms, HOUR_MS):
                found[hour] = HourAmount(None, row.grade, Gap.COARSE)
    for hour, some in parts.items():
        if hour not in found:
            found[hour] = _hour(some)
    return found


def _hour(rows: Sequence[Interval]) -> HourAmount:
    grade = worst(row.grade for row in rows)
    gap = next((gap for row in rows if (gap := _gap(row)) is not None), None)
    if gap is None and sum(row.profile_ms for row in rows) < WHOLE * HOUR_MS:
        gap = Gap.PARTIAL
    if gap is not None:
        return HourAmount(None, grade, gap)
    return HourAmount(math.fsum(row.amount or 0.0 for row in rows), grade)


def _gap(row: Interval) -> Gap | None:
    if Flag.CLOCK in row.flags:
        return Gap.CLOCK
    if Flag.EVENT in row.flags:
        return Gap.EVENT
    if row.flags & {Flag.SUSPENDED, Flag.JUMP, Flag.RESET}:
        return Gap.SUSPENDED
    if not row.is_comparable:
        return Gap.PARTIAL
    return None if row.basis in _TELLING else Gap.ESTIMATED


_TELLING: Final = frozenset({Basis.REGISTER, Basis.AMOUNT, Basis.COUNTER, Basis.POWER})


# --- accuracy

DEFAULT_ACCURACY: Final[Mapping[Grade, float]] = {
    Grade.HIGH: 0.02,
    Grade.MEDIUM: 0.05,
    Grade.LOW: 0.20,
}
"""Relative standard error where none is stated: meters are of class 2 or better, with unknown
transformers; power that servers and outlets report is off by 3 to 10 %."""

_CLASS: Final = re.compile(r"(?:class[e]?\s*)?(\d(?:[.,]\d{1,2})?)\s*s?", re.IGNORECASE)
_MID: Final = re.compile(r"(?:mid\s*)?(?:class[e]?\s*)?([abc])", re.IGNORECASE)
_MID_LIMIT: Final = {"a": 0.035, "b": 0.02, "c": 0.01}


class Accuracy(NamedTuple):
    """A relative standard error, and what says so."""

    relative: float
    stated: bool
    """False: the default of the grade."""
    said: str
    """``uncertainty``, the accuracy class, or the grade."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is known of something on the map, besides its rows.

    ``resolution`` is the smallest step of its register in J, ``rating`` its most in W.
    """

    id: str
    uncertainty: float | None = None
    accuracy_class: str = ""
    resolution: float = 0.0
    rating: float | None = None

    def accuracy(self, grade: Grade) -> Accuracy:
        """Of an hour of that grade. A class is a limit, taken as evenly spread within."""
        if self.uncertainty is not None:
            return Accuracy(self.uncertainty, True, "uncertainty")
        limit = class_limit(self.accuracy_class)
        if limit is not None:
            return Accuracy(limit / math.sqrt(3), True, self.accuracy_class)
        return Accuracy(DEFAULT_ACCURACY[grade], False, grade.value)


def variance(side: Iterable[tuple[Subject, HourAmount]]) -> float:
    """Of the sum of one side in an hour, in J².

    What is stated of a meter is its own error, and so are the steps of a register read at both
    bounds: their squares add up. Where nothing is stated, things of one grade are likely of one
    make and off alike: their errors add up as they are.
    """
    alike: dict[Grade, float] = {}
    total = 0.0
    for subject, hour in side:
        accuracy = subject.accuracy(hour.grade)
        error = accuracy.relative * abs(hour.amount or 0.0)
        if accuracy.stated:
            total += error**2
        else:
            alike[hour.grade] = alike.get(hour.grade, 0.0) + error
        total += subject.resolution**2 / 6
    return total + sum(error**2 for error in alike.values())


@cache
def class_limit(text: str) -> float | None:
    """The limit of error that a class states: ``0.5S``, ``1``, ``MID B``; None for no class."""
    if match := _CLASS.fullmatch(text.strip()):
        limit = float(match[1].replace(",", ".")) / 100
        return limit if 0 < limit <= 0.1 else None
    if match := _MID.fullmatch(text.strip()):
        return _MID_LIMIT[match[1].lower()]
    return None


# --- one hour of one check


@dataclass(frozen=True, slots=True)
class Check:
    """Σ ``lower`` ≤ Σ ``upper``, each in alphabetical order.

    ``dark`` are things that feed here too, measured by nobody: with any, nothing is judged.
    """

    lower: tuple[str, ...]
    upper: tuple[str, ...]
    dark: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Names the check by what feeds: what is fed comes and goes, and it stays the same one."""
        return "+".join((*self.upper, *self.dark))

    @property
    def subjects(self) -> tuple[str, ...]:
        """Everybody measured on either side."""
        return (*self.lower, *self.upper)


class Verdict(NamedTuple):
    """What one hour says; amounts are None where it is not judged, for ``gap`` of ``about``."""

    hour_ms: int
    outcome: Outcome
    lower: float | None = None
    upper: float | None = None
    tolerance: float | None = None
    gap: Gap | None = None
    about: str = ""


def judge(
    check: Check,
    hour_ms: int,
    hours: Mapping[str, Hours],
    subjects: Mapping[str, Subject],
    policy: Policy,
) -> Verdict:
    """One hour of a check, events and changes of the map aside."""
    if check.dark:
        return unjudged(hour_ms, Gap.UNMEASURED, check.dark[0])
    sums: list[float] = []
    spread = 0.0
    for side in (check.lower, check.upper):
        amounts: list[float] = []
        told: list[tuple[Subject, HourAmount]] = []
        for name in side:
            hour = hours.get(name, {}).get(hour_ms)
            if hour is None or hour.amount is None:
                gap = Gap.NO_ROWS if hour is None else hour.gap or Gap.PARTIAL
                return unjudged(hour_ms, gap, name)
            amounts.append(hour.amount)
            told.append((subjects[name], hour))
        spread += variance(told)
        sums.append(math.fsum(amounts))
    lower, upper = sums
    tolerance = policy.coverage_factor * math.sqrt(spread)
    broken = lower - upper > tolerance
    outcome = Outcome.BROKEN if broken else Outcome.HOLDS
    return Verdict(hour_ms, outcome, lower, upper, tolerance)


def unjudged(hour_ms: int, gap: Gap, about: str = "") -> Verdict:
    """An hour that says nothing, and why."""
    return Verdict(hour_ms, Outcome.NOT_JUDGED, gap=gap, about=about)


# --- the life of a ticket


class Life(NamedTuple):
    """A ticket opens after so many broken hours of the last comparable ones; see `Policy`."""

    open_after: int
    of: int
    resolve_after: int
    memory_ms: int


class Began(NamedTuple):
    """A ticket that is open already when a walk begins."""

    opened_ms: int
    since_ms: int
    last_ms: int


class Episode(NamedTuple):
    """One ticket's life as rows tell it.

    ``opened_ms`` is the start of the hour that opened it, ``since_ms`` of the first broken hour
    that did; ``last_ms`` of the newest broken one. ``window`` are the comparable hours that speak
    for it, in order, as they stood at the last broken hour; empty where that lies before the walk.
    """

    opened_ms: int
    since_ms: int
    last_ms: int
    resolved_ms: int | None
    window: tuple[Verdict, ...]


def episodes(
    verdicts: Iterable[Verdict], life: Life, *, from_ms: int, began: Began | None = None
) -> list[Episode]:
    """Tickets of one check from ``from_ms`` on; earlier hours only fill the window.

    A walk that begins ``life.memory_ms`` after its first hour, with what was open then, gives what
    one from the very beginning gives. Hours that are not judged change nothing.
    """
    window: deque[Verdict] = deque()
    broken = 0
    found: list[Episode] = []
    current: Episode | None = None
    if began is not None:
        current = Episode(*began, None, ())
    for verdict in sorted(verdicts):
        if verdict.outcome is Outcome.NOT_JUDGED:
            continue
        is_broken = verdict.outcome is Outcome.BROKEN
        window.append(verdict)
        broken += is_broken
        while len(window) > life.of or window[0].hour_ms <= verdict.hour_ms - life.memory_ms:
            broken -= window.popleft().outcome is Outcome.BROKEN
        if verdict.hour_ms < from_ms:
            continue
        if current is None:
            if is_broken and broken >= life.open_after:
                since = next(v.hour_ms for v in window if v.outcome is Outcome.BROKEN)
                current = Episode(verdict.hour_ms, since, verdict.hour_ms, None, tuple(window))
        elif is_broken:
            current = current._replace(last_ms=verdict.hour_ms, window=tuple(window))
        elif _holding_since(window, current.opened_ms) >= life.resolve_after:
            found.append(current._replace(resolved_ms=verdict.hour_ms))
            current = None
    return found if current is None else [*found, current]


def _holding_since(window: Iterable[Verdict], opened_ms: int) -> int:
    return sum(v.outcome is Outcome.HOLDS and v.hour_ms > opened_ms for v in window)
