"""Tests on measured time, shared by sites and servers: coverage of a total, hours of an intake."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final, NamedTuple

import msgspec

from jauge_models.compliance.criteria import Finding
from jauge_models.compliance.evidence import Document, Intake, Metered, Review
from jauge_models.compliance.policy import Policy
from jauge_models.compliance.psychrometrics import HOUR_MS, TimeInBands, together
from jauge_models.compliance.status import Reason, Status, reason
from jauge_models.compliance.windows import Coverage, Window, is_older, shortfall, window_closes
from jauge_models.effectiveness import Kpi, PeriodKind
from jauge_models.effectiveness import Status as KpiStatus
from jauge_models.rules import Indicator, RuleStatus

_SLACK_MS: Final = 25 * HOUR_MS
"""A period may be so much longer than its days: a change of clocks, the day of a commissioning."""


def metered(symbol: str, totals: Sequence[Metered], policy: Policy) -> Finding:
    """Whether totals all hold the rule on coverage; measured where none needs attested values.

    The first is the one asked about; the others are what it has to be covered together with.
    """
    first = totals[0]
    for status, covered in (
        (Status.MET, [total.measured for total in totals]),
        (Status.MET_ATTESTED, [_better(total) for total in totals]),
    ):
        if all(shortfall(each.whole, policy.coverage) is None for each in covered):
            share = min(each.whole.share for each in covered)
            return Finding(status, reason("coverage.met", symbol=symbol, share=share), first.meters)
    covered = [_better(total) for total in totals]
    lack = next(filter(None, (shortfall(each.whole, policy.coverage) for each in covered)))
    if covered[0].first_day is None:
        why = reason("meter.none", symbol=symbol)
    else:
        why = reason(f"coverage.{lack.rule}", symbol=symbol, value=lack.value, limit=lack.limit)
    return Finding(Status.NOT_MEASURED, why, first.meters, closes=_closes(covered, policy))


def _better(total: Metered) -> Coverage:
    return max((total.with_attested, total.measured), key=lambda each: each.whole.share)


def _closes(covered: Sequence[Coverage], policy: Policy) -> date | None:
    """When the twelve months are over, where nothing else is missing."""
    firsts = [each.first_day for each in covered if each.first_day is not None]
    if len(firsts) < len(covered):
        return None
    if any(shortfall(each.since_start, policy.coverage) is not None for each in covered):
        return None
    return window_closes(max(firsts))


class Hours(NamedTuple):
    """A finding on hours, with the share of them in the recommended range where it is met.

    ``signed`` says that attested hours are among them.
    """

    finding: Finding
    recommended: float = 0.0
    signed: bool = False


class HoursRule(NamedTuple):
    """What hours must hold: over which days, by which envelope, for which share of them.

    ``recommended`` is what has to hold since the first measured day to be on track.
    """

    window: Window
    policy: Policy
    envelope: str
    allowable: float
    recommended: float = 0.0


def hours_held(places: Sequence[Intake], rule: HoursRule) -> Hours:
    """Whether places were measured long enough, and within the allowable range.

    Each place must be measured for its share of the window; together they must hold the range
    for the rule's share of the time measured. Attested values serve where the measured do not
    tell; they never mend a failure.
    """
    evidence = dict.fromkeys(sensor for place in places for sensor in place.sensors)
    measured = _judged(Status.MET, [(place, place.measured) for place in places], rule)
    found, closes = measured, None
    if measured.finding.status is Status.NOT_MEASURED:
        signed = _judged(
            Status.MET_ATTESTED, [(place, _attested(place, rule)) for place in places], rule
        )
        if signed.finding.status is Status.NOT_MEASURED:
            closes = _hours_close(places, rule)
        if signed.finding.status is not Status.NOT_MEASURED or any(
            place.attested_by for place in places
        ):
            found = signed
            evidence |= dict.fromkeys(one for place in places for one in place.attested_by)
    finding = msgspec.structs.replace(found.finding, evidence=tuple(evidence), closes=closes)
    return found._replace(finding=finding)


def _attested(place: Intake, rule: HoursRule) -> TimeInBands | None:
    """The hours that count once attested values do: the measured ones where they suffice."""
    enough = _unusable(place.place, place.measured, rule) is None
    return place.measured if enough else place.with_attested


_Times = Sequence[tuple[Intake, TimeInBands | None]]


def _judged(status: Status, times: _Times, rule: HoursRule) -> Hours:
    """The finding on hours of one kind: measured, or with attested ones. The reason says which."""
    signed = status is Status.MET_ATTESTED
    known: list[TimeInBands] = []
    for place, time in times:
        why = _unusable(place.place, time, rule, signed=signed)
        if why is not None or time is None:
            return Hours(Finding(Status.NOT_MEASURED, why or reason("hours.none")))
        known.append(time)
    total = together(known)
    if total is None or not total.measured_ms:
        return Hours(Finding(Status.NOT_MEASURED, reason("hours.none")))
    share = total.allowable_ms / total.measured_ms
    if share < rule.allowable:
        key = "hours.attested_beyond" if signed else "hours.beyond"
        why = reason(key, share=share, limit=rule.allowable)
        return Hours(Finding(Status.NOT_MET, why), signed=signed)
    recommended = total.within_ms / total.measured_ms
    of_time = min(1.0, min(time.measured_ms for time in known) / rule.window.length_ms)
    shares = {"allowable": share, "recommended": recommended}
    if signed:
        why = reason("hours.attested_within", known=of_time, **shares)
    else:
        why = reason("hours.within", measured=of_time, **shares)
    return Hours(Finding(status, why), recommended, signed)


def _unusable(
    place: str, time: TimeInBands | None, rule: HoursRule, *, signed: bool = False
) -> Reason | None:
    """Why a place's hours cannot be judged. The share measured is of the window, not of what came.

    So hours of a quarter never pass for those of twelve months.
    """
    if time is None:
        return reason("hours.none")
    if time.envelope != rule.envelope:
        return reason("hours.other_envelope", used=time.envelope, envelope=rule.envelope)
    if time.period_ms > rule.window.length_ms + _SLACK_MS:
        days = time.period_ms / (24 * HOUR_MS)
        return reason("hours.other_window", days=days, limit=rule.window.days)
    share, limit = time.measured_ms / rule.window.length_ms, rule.policy.intake_measured
    if share < limit:
        key = "hours.attested_short" if signed else "hours.unmeasured"
        return reason(key, share=share, limit=limit, where=place)
    return None


def _hours_close(places: Sequence[Intake], rule: HoursRule) -> date | None:
    """When twelve months are over, where all is held since each place's first day of them.

    That is the first measured day, or the first attested one where with these more is held.
    """
    firsts = [_held_since(place, rule) for place in places]
    known = [first for first in firsts if first is not None]
    if not known or len(known) < len(places) or max(known) <= rule.window.first:
        return None
    return window_closes(max(known))


def _held_since(place: Intake, rule: HoursRule) -> date | None:
    """The first day from which on a place holds what the rule asks for."""
    held: list[date] = []
    for time, first in (
        (place.measured, place.first_day),
        (place.with_attested, place.first_with_attested or place.first_day),
    ):
        if first is None or not rule.window.first <= first <= rule.window.last:
            continue
        since = rule._replace(window=Window(first, rule.window.last))
        # Its period also holds the days before the first, on which nothing was read.
        hours = _judged(Status.MET, [(place, _without_holes(time))], since)
        if hours.finding.status is Status.MET and hours.recommended >= rule.recommended:
            held.append(first)
    return min(held, default=None)


def _without_holes(time: TimeInBands | None) -> TimeInBands | None:
    return time and msgspec.structs.replace(time, period_ms=time.measured_ms)


def latest(documents: Iterable[Document], as_of: date) -> Document | None:
    """The last document that there was on a day."""
    known = [document for document in documents if document.day <= as_of]
    return max(known, key=lambda document: (document.day, document.id), default=None)


def explained(reviews: Iterable[Review], policy: Policy, as_of: date) -> Review | None:
    """The last review of the set points, if in time and it says why the range is not kept."""
    known = {review.document: review for review in reviews}
    document = latest(known, as_of)
    if document is None or is_older(document.day, policy.review_months, as_of):
        return None
    return known[document] if known[document].why_not else None


def not_over_cooled(
    hours: Hours, reviews: Iterable[Review], policy: Policy, as_of: date
) -> Finding:
    """Hours that hold the allowable range, with what the recommended range asks for."""
    finding, share = hours.finding, hours.recommended
    if not finding.status.passes or share >= policy.intake_recommended:
        return finding
    review = explained(reviews, policy, as_of)
    if review is not None:
        why = reason(
            "hours.reviewed", share=share, document=review.document.id, day=review.document.day
        )
        return Finding(finding.status, why, (*finding.evidence, review.document.id))
    key = "hours.attested_over_cooled" if hours.signed else "hours.over_cooled"
    why = reason(key, share=share, limit=policy.intake_recommended)
    return Finding(Status.NOT_MET, why, finding.evidence)


def indicator_known(
    indicator: Indicator, kpis: Sequence[Kpi], objective: float, *, categorised: bool
) -> Finding:
    """Whether one of an indicator's figures of twelve months is known, the measured one first."""
    why = reason("indicator.none", indicator=indicator)
    passing: dict[Status, Finding] = {}
    for kpi in kpis:
        if kpi.period_kind is not PeriodKind.ANNUAL:
            why = reason("indicator.other_period", indicator=indicator, label=kpi.label)
        elif kpi.value is None:
            why = reason("indicator.withheld", indicator=indicator, text=kpi.reason or "")
        elif (
            kpi.rule_status is not RuleStatus.IN_FORCE
            or kpi.status not in _PASSING
            or (categorised and kpi.category is None)
        ):
            why = reason("indicator.uncategorised", indicator=indicator, label=kpi.label)
        else:
            reached = kpi.value < objective if categorised else kpi.value <= objective
            known = reason(
                "indicator.known",
                indicator=indicator,
                label=kpi.label,
                value=kpi.value,
                coverage=kpi.coverage,
                objective=objective,
                reached=reached,
            )
            status = _PASSING[kpi.status]
            passing.setdefault(status, Finding(status, known))
    for status in (Status.MET, Status.MET_ATTESTED):
        if status in passing:
            return passing[status]
    return Finding(Status.NOT_MEASURED, why)


_PASSING: Final = {
    KpiStatus.MEASURED: Status.MET,
    KpiStatus.SIMULATED: Status.MET,
    KpiStatus.ATTESTED: Status.MET_ATTESTED,
    KpiStatus.MIXED: Status.MET_ATTESTED,
}
"""A simulated site is marked as such everywhere; its figures are judged as if measured."""
