"""The way to the goal: history, both readings of its date, what is required, forecast, unlocked.

Nothing is extrapolated: a forecast is today's record with its dated remediation actions done.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from typing import Final

import msgspec

from jauge_models.boundaries import Symbol
from jauge_models.compliance.criteria import CRITERIA, OWN, required_of_site
from jauge_models.compliance.policy import Deadline, Policy, Reading
from jauge_models.compliance.results import Assessment, Lift, Outcome, result_if
from jauge_models.compliance.status import Annotated, CriterionResult, Result, Status
from jauge_models.compliance.windows import LastDay, last_day_to_start


class Point(msgspec.Struct, frozen=True):
    """The record at the end of a closed quarter, by servers."""

    day: date
    demonstrated: int
    declared: int
    total: int

    @property
    def share(self) -> float | None:
        """The demonstrated share; None of no machine."""
        return self.demonstrated / self.total if self.total else None


def point_of(assessment: Assessment) -> Point:
    """An assessment as a point of the history."""
    counts = Counter(outcome.result for outcome in assessment.servers)
    return Point(
        assessment.as_of,
        counts[Result.DEMONSTRATED],
        counts[Result.DECLARED],
        len(assessment.servers),
    )


class Milestone(msgspec.Struct, frozen=True):
    """A dated milestone of the officer's: the share aimed at, and a note."""

    day: date
    share: float
    note: str = ""


class Required(msgspec.Struct, frozen=True):
    """A point of the straight line to the goal. It is this project's rule and no text's."""

    day: date
    share: float


def required_line(
    history: Sequence[Point], deadline: Deadline, sites: int, policy: Policy, days: Iterable[date]
) -> tuple[Required, ...]:
    """C₀ + (1 − C₀)(t − t₀)/(T − t₀) on some days, from the first closed quarter on.

    Empty below the policy's number of sites, where milestones stand instead, without a first
    point, and where the first point is not before T. From T on it stays at 1.
    """
    first = min(history, key=lambda point: point.day, default=None)
    if sites < policy.line_sites or first is None or first.share is None:
        return ()
    span = (deadline.day - first.day).days
    if span <= 0:
        return ()
    return tuple(
        Required(day, first.share + (1 - first.share) * min(1.0, (day - first.day).days / span))
        for day in days
        if day >= first.day
    )


class Forecast(msgspec.Struct, frozen=True):
    """The record on a day on which something is due; ``point`` counts what is done by then."""

    point: Point
    criteria: tuple[str, ...]
    """What falls due on that day, as « subject criterion »."""


def forecast(
    assessment: Assessment, policy: Policy, *, with_on_track: bool = False
) -> tuple[Forecast, ...]:
    """Today's record, then one point for each day on which dated actions take effect.

    ``with_on_track`` also counts windows of twelve months that close without a new hole. Days
    already past come with today's.
    """
    kinds = {Annotated.PLANNED, *((Annotated.ON_TRACK,) if with_on_track else ())}
    today = assessment.as_of
    due: defaultdict[date, list[str]] = defaultdict(list, {today: []})
    steps: defaultdict[date, Counter[Result]] = defaultdict(Counter)
    for site, criteria in assessment.sites.items():
        for criterion, day in _dues(criteria, kinds, today):
            due[day].append(f"{site} {criterion}")
    for outcome in assessment.servers:
        own = _dues(outcome.criteria, kinds, today)
        for criterion, day in own:
            due[day].append(f"{outcome.machine.id} {criterion}")
        of_site = _dues(assessment.sites.get(outcome.machine.site, ()), kinds, today)
        before: Result | None = None
        for day in sorted({today, *(day for _, day in (*own, *of_site))}):
            result = result_if(outcome, assessment, policy, _done_by(day, kinds))
            steps[day][result] += 1
            if before is not None:
                steps[day][before] -= 1
            before = result
    found: list[Forecast] = []
    counts: Counter[Result] = Counter()
    for day in sorted(due):
        for result, number in steps[day].items():
            counts[result] += number
        point = Point(
            day, counts[Result.DEMONSTRATED], counts[Result.DECLARED], len(assessment.servers)
        )
        found.append(Forecast(point, tuple(sorted(due[day]))))
    return tuple(found)


def _dues(
    criteria: Iterable[CriterionResult], kinds: Collection[Annotated], today: date
) -> list[tuple[str, date]]:
    """Criteria with the day on which each is expected to be met, today at the earliest."""
    dated = ((each.criterion, _due(each, kinds)) for each in criteria)
    return [(criterion, max(day, today)) for criterion, day in dated if day is not None]


def _done_by(day: date, kinds: Collection[Annotated]) -> Lift:
    """The record with all done that is due by a day."""

    def lift(_: str, each: CriterionResult) -> Status:
        when = _due(each, kinds)
        return Status.MET if when is not None and when <= day else each.status

    return lift


def _due(each: CriterionResult, kinds: Collection[Annotated]) -> date | None:
    """When a criterion is expected to be met: the first of its annotations of some kinds."""
    return min((note.day for note in each.annotations if note.kind in kinds), default=None)


SYMBOL_OF: Final = {"S3": Symbol.E_DC, "S4": Symbol.E_IT, "S6": Symbol.W_IN}
"""What the meters of a site criterion have to measure."""
_BY_SHARE: Final = frozenset({"S7", "S8", "V4", "V5"})
"""Judged by the share of the time alone, without months and holes."""


class LastStart(msgspec.Struct, frozen=True, kw_only=True):
    """The last day to start a measurement that is missing, for one reading of the goal.

    ``day`` holds the rule of that criterion. Where it is past, only what bridges the time before
    helps: a register's imported history, or invoices. ``evidence`` names the meters that there
    are; ``machines`` counts those of the site that lack it, for a server criterion.
    """

    site: str
    criterion: str
    symbol: Symbol | None
    evidence: tuple[str, ...]
    machines: int
    reading: Reading
    day: date
    past: bool
    days: LastDay


def last_starts(assessment: Assessment, policy: Policy, today: date) -> tuple[LastStart, ...]:
    """One row per measurement that is missing and on no way to be there, site and reading."""
    asked = {*required_of_site(policy), *OWN}
    missing: dict[tuple[str, str], tuple[tuple[str, ...], int]] = {}
    for site, criteria in sorted(assessment.sites.items()):
        for each in criteria:
            if each.criterion in asked and _is_missing(each):
                missing[site, each.criterion] = each.evidence, 0
    for outcome in assessment.servers:
        for each in outcome.criteria:
            if each.criterion in asked and _is_missing(each):
                place = outcome.machine.site, each.criterion
                missing[place] = (), missing.get(place, ((), 0))[1] + 1
    found: list[LastStart] = []
    for (site, criterion), (evidence, machines) in sorted(missing.items()):
        for deadline in policy.deadlines:
            days = last_day_to_start(deadline.last_measured, policy.coverage)
            day = days.by_share if criterion in _BY_SHARE else days.by_rule
            found.append(
                LastStart(
                    site=site,
                    criterion=criterion,
                    symbol=SYMBOL_OF.get(criterion),
                    evidence=evidence,
                    machines=machines,
                    reading=deadline.reading,
                    day=day,
                    past=day < today,
                    days=days,
                )
            )
    return tuple(found)


def _is_missing(each: CriterionResult) -> bool:
    return (
        CRITERIA[each.criterion].measurable
        and each.status is Status.NOT_MEASURED
        and not any(note.kind is Annotated.ON_TRACK for note in each.annotations)
    )


class Unlock(msgspec.Struct, frozen=True, kw_only=True):
    """What machines would gain if criteria of one site, or of its machines, were met.

    ``demonstrated`` counts machines that would be demonstrated, ``kwh`` what is known of their
    energy; ``declared_if_attested`` those that would at least be declared if it were only
    attested, by invoices say. ``blocked`` counts the machines that it keeps from being
    demonstrated, alone or among others. ``evidence`` names the meters and documents on file.
    """

    site: str
    criteria: tuple[str, ...]
    evidence: tuple[str, ...]
    demonstrated: int
    declared_if_attested: int
    kwh: float
    blocked: int


def unlocks(assessment: Assessment, policy: Policy) -> tuple[Unlock, ...]:
    """What would unlock most, first: each criterion alone, and all that block a site together."""
    found: list[Unlock] = []
    by_site: dict[str, list[Outcome]] = {}
    for outcome in assessment.servers:
        by_site.setdefault(outcome.machine.site, []).append(outcome)
    asked = required_of_site(policy)
    for site, outcomes in sorted(by_site.items()):
        of_site = {each.criterion: each for each in assessment.sites.get(site, ())}
        blocking = [c for c in asked if c in of_site and of_site[c].status is not Status.MET]
        own = [
            criterion
            for criterion in OWN
            if any(_of(outcome, criterion).status is not Status.MET for outcome in outcomes)
        ]
        groups: list[tuple[str, ...]] = [(each,) for each in (*blocking, *own)]
        if len(blocking) > 1:
            groups.append(tuple(blocking))
        found.extend(_unlock(site, group, outcomes, assessment, policy) for group in groups)
    return tuple(
        sorted(
            found,
            key=lambda u: (
                -u.demonstrated,
                -u.declared_if_attested,
                -u.blocked,
                u.site,
                u.criteria,
            ),
        )
    )


def _of(outcome: Outcome, criterion: str) -> CriterionResult:
    return next(each for each in outcome.criteria if each.criterion == criterion)


def _unlock(
    site: str,
    group: tuple[str, ...],
    outcomes: Sequence[Outcome],
    assessment: Assessment,
    policy: Policy,
) -> Unlock:
    of_site = {each.criterion: each for each in assessment.sites.get(site, ())}

    def lifted(to: Status) -> list[Result]:
        def lift(_: str, each: CriterionResult) -> Status:
            if each.criterion not in group:
                return each.status
            if to is Status.MET_ATTESTED and each.status.passes:
                return each.status
            return to if CRITERIA[each.criterion].measurable else Status.MET

        return [result_if(outcome, assessment, policy, lift) for outcome in outcomes]

    met = lifted(Status.MET)
    attestable = any(CRITERIA[criterion].measurable for criterion in group)
    attested = lifted(Status.MET_ATTESTED) if attestable else []
    gained = [
        outcome
        for outcome, result in zip(outcomes, met, strict=True)
        if result is Result.DEMONSTRATED and outcome.result is not Result.DEMONSTRATED
    ]
    passing = (Result.DEMONSTRATED, Result.DECLARED)
    declared = sum(
        result in passing and outcome.result not in passing
        for outcome, result in zip(outcomes, attested, strict=bool(attested))
    )
    blocked = [
        outcome
        for outcome in outcomes
        if any((of_site.get(c) or _of(outcome, c)).status is not Status.MET for c in group)
    ]
    results = [of_site[c] for c in group if c in of_site]
    return Unlock(
        site=site,
        criteria=group,
        evidence=tuple(dict.fromkeys(item for each in results for item in each.evidence)),
        demonstrated=len(gained),
        declared_if_attested=declared,
        kwh=sum(kwh for each in gained if (kwh := each.machine.energy_kwh) is not None),
        blocked=len(blocked),
    )


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """One reading of the goal's date.

    ``snapshot`` is the closed quarter that ends on the last day measured for it, once there is
    one. ``line`` is empty below the policy's number of sites; ``milestones`` stand then.
    """

    deadline: Deadline
    snapshot: Point | None
    line: tuple[Required, ...]
    milestones: tuple[Milestone, ...]


class Trajectory(msgspec.Struct, frozen=True, kw_only=True):
    """The whole way, for a report or a page."""

    history: tuple[Point, ...]
    goals: tuple[Goal, ...]
    forecast: tuple[Forecast, ...]
    on_track: tuple[Forecast, ...]
    last_starts: tuple[LastStart, ...]
    unlocks: tuple[Unlock, ...]


def trajectory(
    assessment: Assessment,
    history: Iterable[Point],
    policy: Policy,
    today: date,
    *,
    milestones: Iterable[Milestone] = (),
) -> Trajectory:
    """The trajectory from the closed quarters, oldest first, and the current assessment."""
    closed = tuple(sorted(history, key=lambda point: point.day))
    dated = tuple(sorted(milestones, key=lambda milestone: milestone.day))
    sites = len({outcome.machine.site for outcome in assessment.servers} - {""})
    goals: list[Goal] = []
    for deadline in policy.deadlines:
        days = sorted({*(point.day for point in closed), assessment.as_of, deadline.day})
        line = required_line(closed, deadline, sites, policy, days)
        snapshot = next((p for p in closed if p.day == deadline.last_measured), None)
        goals.append(
            Goal(
                deadline=deadline,
                snapshot=snapshot,
                line=line,
                milestones=tuple(each for each in dated if each.day <= deadline.day),
            )
        )
    return Trajectory(
        history=closed,
        goals=tuple(goals),
        forecast=forecast(assessment, policy),
        on_track=forecast(assessment, policy, with_on_track=True),
        last_starts=last_starts(assessment, policy, today),
        unlocks=unlocks(assessment, policy),
    )
