"""Site criteria S1a to S15: one finding each, from what is on file on a day."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Final

from jauge_models.boundaries import CATEGORY_OF, Symbol
from jauge_models.compliance.criteria import (
    SITE_CRITERIA,
    Finding,
    concluded,
    is_referenced,
)
from jauge_models.compliance.evidence import (
    Document,
    Invoice,
    Metered,
    Participation,
    Practice,
    PracticeStatus,
    ReportingKind,
    SiteEvidence,
)
from jauge_models.compliance.measured import (
    HoursRule,
    explained,
    hours_held,
    indicator_known,
    latest,
    metered,
    not_over_cooled,
)
from jauge_models.compliance.policy import Act, Policy
from jauge_models.compliance.status import CriterionResult, Reason, Status, reason
from jauge_models.compliance.windows import is_older, months_later, twelve_months
from jauge_models.rules import Indicator
from jauge_models.topology import Commodity


def site_criteria(site: SiteEvidence, policy: Policy, as_of: date) -> tuple[CriterionResult, ...]:
    """All site criteria, in the order of `SITE_CRITERIA`, on the last day of a period."""
    return tuple(
        concluded(
            row.id,
            _TESTS[row.id](site, policy, as_of),
            policy,
            exemptions=site.exemptions,
            actions=site.actions,
            practices=site.practices,
        )
        for row in SITE_CRITERIA
    )


def _aged(name: str, documents: Sequence[Document], months: int, as_of: date) -> Finding:
    """The latest of some documents, which holds for so many months."""
    document = latest(documents, as_of)
    if document is None:
        return Finding(Status.NOT_MEASURED, reason("document.absent", document=name))
    ends = months_later(document.day, months)
    if is_older(document.day, months, as_of):
        why = reason("document.expired", document=name, day=document.day, expired=ends)
        return Finding(Status.NOT_MET, why, (document.id,))
    why = reason("document.valid", document=name, day=document.day, expires=ends)
    return Finding(Status.MET, why, (document.id,))


def _participant(site: SiteEvidence, policy: Policy, as_of: date) -> Finding:
    if site.participation is Participation.NONE:
        return Finding(Status.NOT_MET, reason("participation.none"))
    if site.participation is Participation.ENDORSER:
        return Finding(Status.NOT_MET, reason("participation.endorser"))
    certificate = site.certificate
    if site.participation is None or certificate is None or certificate.day > as_of:
        return Finding(Status.NOT_MEASURED, reason("document.absent", document="certificate"))
    found = _aged("annual_return", site.annual_returns, policy.return_months, as_of)
    return Finding(found.status, found.reason, (certificate.id, *found.evidence))


def _verified(site: SiteEvidence, policy: Policy, as_of: date) -> Finding:
    return _aged("verification_report", site.verifications, policy.verification_months, as_of)


def _practices(site: SiteEvidence, policy: Policy, as_of: date) -> Finding:
    register = site.practices
    asked = [] if register is None else [row for row in register.rows if row.entire and row.fields]
    if register is None or not asked:
        return Finding(Status.NOT_MEASURED, reason("practices.absent"))
    unread = [row for row in asked if not is_referenced(row)]
    if unread:
        why = reason("practices.unconfirmed", edition=register.edition, count=len(unread))
        return Finding(Status.NOT_MEASURED, why)
    if register.next_published is not None:
        until = policy.edition_ends(register.next_published)
        if as_of > until:
            why = reason("practices.superseded", edition=register.edition, until=until)
            return Finding(Status.NOT_MET, why)
    return _counted_practices(asked, policy)


def _counted_practices(asked: Sequence[Practice], policy: Policy) -> Finding:
    counts = Counter(row.status for row in asked)
    four = {
        "implemented": counts[PracticeStatus.IMPLEMENTED],
        "endorsed": counts[PracticeStatus.ENDORSED],
        "not_applicable": counts[PracticeStatus.NOT_APPLICABLE],
        "planned": counts[PracticeStatus.PLANNED],
    }
    evidence = tuple(dict.fromkeys(item for row in asked for item in row.evidence))
    failing = tuple(row.number for row in asked if row.status is not None and not _is_done(row))
    if failing:
        why = reason("practices.failing", **four, practices=failing)
        return Finding(Status.NOT_MET, why, evidence)
    if four["not_applicable"] / len(asked) > policy.exemption_limit:
        why = reason("practices.too_many_exemptions", **four, limit=policy.exemption_limit)
        return Finding(Status.NOT_MET, why, evidence)
    unanswered = tuple(row.number for row in asked if row.status is None)
    if unanswered:
        why = reason("practices.unanswered", **four, practices=unanswered)
        return Finding(Status.NOT_MEASURED, why, evidence)
    return Finding(Status.MET, reason("practices.all", **four), evidence)


def _is_done(row: Practice) -> bool:
    """Whether a practice counts: done, endorsed by a named party, or justified."""
    if row.status is PracticeStatus.ENDORSED:
        return bool(row.in_control)
    if row.status is PracticeStatus.NOT_APPLICABLE:
        return bool(row.justification)
    return row.status is PracticeStatus.IMPLEMENTED


def _total_energy(site: SiteEvidence, policy: Policy, _: date) -> Finding:
    return metered(Symbol.E_DC, (site.e_dc, site.joint), policy)


def _it_energy(site: SiteEvidence, policy: Policy, _: date) -> Finding:
    if site.e_it_place not in CATEGORY_OF:
        key = "meter.none" if site.e_it_place is None else "meter.place"
        return Finding(Status.NOT_MEASURED, reason(key, symbol=Symbol.E_IT), site.e_it.meters)
    return metered(Symbol.E_IT, (site.e_it, site.joint), policy)


def _pue(site: SiteEvidence, policy: Policy, _: date) -> Finding:
    found = indicator_known(Indicator.PUE, site.pue, policy.pue_objective, categorised=True)
    if found.status is Status.NOT_MEASURED and site.e_it_place in CATEGORY_OF:
        closes = metered(Symbol.E_DC, (site.joint,), policy).closes
        return Finding(found.status, found.reason, found.evidence, closes)
    return found


def _water(site: SiteEvidence, policy: Policy, _: date) -> Finding:
    found = indicator_known(Indicator.WUE, site.wue, policy.wue_objective, categorised=False)
    if found.status.passes:
        return Finding(found.status, found.reason, site.water.meters)
    if site.dry is not None:
        document, name = site.dry.document, site.dry.signatory
        if policy.is_confirmed(Act.ATTESTATION, name, site.dry.confirmed_by):
            why = reason("water.dry", document=document.id, day=document.day, name=name)
            return Finding(Status.MET_ATTESTED, why, (document.id,))
        if not site.wue:
            why = reason("water.unconfirmed", document=document.id, name=name)
            return Finding(Status.NOT_MEASURED, why, (document.id,))
    closes = metered(Symbol.W_IN, (site.water,), policy).closes
    return Finding(found.status, found.reason, site.water.meters, closes)


def _temperature(site: SiteEvidence, policy: Policy, as_of: date) -> Finding:
    bare = tuple(row.place for row in site.rows if not row.sensors and row.with_attested is None)
    if bare:
        return Finding(Status.NOT_MEASURED, reason("intake.rows_without_sensor", rows=bare))
    signed = tuple(one for room in site.attested_set_points for one in room.evidence)
    unset = _set_point_lacks(site, policy) if site.rows and not site.set_point else None
    if unset is not None:
        return Finding(Status.NOT_MEASURED, unset, signed)
    rule = HoursRule(twelve_months(as_of), policy, policy.site_envelope, policy.intake_allowable)
    found = hours_held(site.rows, rule).finding
    if site.set_point:
        return Finding(found.status, found.reason, (*found.evidence, site.set_point), found.closes)
    evidence = tuple(dict.fromkeys((*found.evidence, *signed)))
    if found.status is not Status.MET:
        return Finding(found.status, found.reason, evidence, found.closes)
    # A signed set point is no log: what rests on it is declared.
    why = reason("hours.set_point_attested", **found.reason.values)
    return Finding(Status.MET_ATTESTED, why, evidence)


def _set_point_lacks(site: SiteEvidence, policy: Policy) -> Reason | None:
    """What attested set points lack in place of a log; None where they tell of every room."""
    limit = policy.intake_measured
    if not site.attested_set_points:
        return reason("intake.set_point_absent")
    short = tuple(room.room for room in site.attested_set_points if room.share < limit)
    return reason("intake.set_point_short", rooms=short, limit=limit) if short else None


def _not_over_cooled(site: SiteEvidence, policy: Policy, as_of: date) -> Finding:
    recommended = 0.0 if explained(site.reviews, policy, as_of) else policy.intake_recommended
    rule = HoursRule(twelve_months(as_of), policy, policy.site_envelope, 0.0, recommended)
    found = not_over_cooled(hours_held(site.rows, rule), site.reviews, policy, as_of)
    if not found.status.passes:
        return found
    documents = [review.document for review in site.reviews]
    review = _aged("set_point_review", documents, policy.review_months, as_of)
    if not review.status.passes:
        return review
    evidence = tuple(dict.fromkeys((*found.evidence, *review.evidence)))
    return Finding(found.status, found.reason, evidence)


def _humidity(site: SiteEvidence, policy: Policy, as_of: date) -> Finding:
    rule = HoursRule(twelve_months(as_of), policy, policy.site_envelope, policy.humidity_allowable)
    return hours_held(site.humidity, rule).finding


def _logging(site: SiteEvidence, policy: Policy, _: date) -> Finding:
    seconds = site.slowest_interval_s
    if seconds is None:
        return Finding(Status.NOT_MEASURED, reason("interval.none"))
    if seconds <= policy.hourly_s:
        return Finding(Status.MET, reason("interval.hourly", seconds=seconds))
    if seconds <= policy.daily_s:
        return Finding(Status.MET, reason("interval.daily", seconds=seconds))
    return Finding(Status.NOT_MET, reason("interval.slow", seconds=seconds, limit=policy.daily_s))


def _refrigerants(site: SiteEvidence, policy: Policy, _: date) -> Finding:
    limit = policy.gwp_limit
    known = {each.name: each.gwp for each in site.refrigerants if each.gwp is not None}
    unknown = tuple(sorted(each.name for each in site.refrigerants if each.gwp is None))
    if known and not unknown and max(known.values()) <= limit:
        why = reason("refrigerants.within", highest=max(known.values()), limit=limit)
        return Finding(Status.MET, why)
    claim = site.no_claim
    if (
        not site.taxonomy_claim
        and claim is not None
        and policy.is_confirmed(Act.EXEMPTION, claim.name, claim.confirmed_by)
    ):
        why = reason("refrigerants.no_claim", day=claim.day, name=claim.name)
        return Finding(Status.NOT_APPLICABLE, why)
    beyond = tuple(sorted(name for name, gwp in known.items() if gwp > limit))
    if beyond:
        return Finding(Status.NOT_MET, reason("refrigerants.beyond", names=beyond, limit=limit))
    if unknown:
        return Finding(Status.NOT_MEASURED, reason("refrigerants.unknown", names=unknown))
    return Finding(Status.NOT_MEASURED, reason("refrigerants.absent"))


def _reporting(site: SiteEvidence, _: Policy, as_of: date) -> Finding:
    year = as_of.year - (1 if as_of >= date(as_of.year, 5, 15) else 2)
    proof = site.reporting
    if proof is None:
        return Finding(Status.NOT_MEASURED, reason("reporting.absent", year=year))
    document = proof.document
    if proof.kind is ReportingKind.OPERATORS:
        why = reason("reporting.operators", document=document.id, day=document.day)
        return Finding(Status.NOT_APPLICABLE, why, (document.id,))
    if proof.kind is ReportingKind.BELOW_THRESHOLD:
        why = reason("reporting.below_threshold", day=document.day)
        return Finding(Status.MET, why, (document.id,))
    if proof.year is None:
        return Finding(Status.NOT_MEASURED, reason("reporting.absent", year=year), (document.id,))
    if proof.year < year:
        why = reason("reporting.late", year=year, reported=proof.year)
        return Finding(Status.NOT_MET, why, (document.id,))
    return Finding(Status.MET, reason("reporting.done", year=year), (document.id,))


def _report(site: SiteEvidence, policy: Policy, as_of: date) -> Finding:
    report = latest(site.reports, as_of)
    if report is None:
        return Finding(Status.NOT_MEASURED, reason("report.absent"))
    days, limit = (as_of - report.day).days, policy.report_days
    if days > limit:
        why = reason("report.old", day=report.day, days=days, limit=limit)
        return Finding(Status.NOT_MET, why, (report.id,))
    why = reason("report.issued", day=report.day, hash=report.sha256)
    return Finding(Status.MET, why, (report.id,))


def _register(site: SiteEvidence, policy: Policy, _: date) -> Finding:
    register = site.meters
    if register is None:
        return Finding(Status.NOT_MEASURED, reason("register.absent"))
    years, limit = register.kept_years, policy.register_years
    if years < limit:
        return Finding(Status.NOT_MET, reason("register.short", years=years, limit=limit))
    if register.without_history:
        why = reason("register.incomplete", meters=register.without_history)
        return Finding(Status.NOT_MET, why)
    return Finding(Status.MET, reason("register.kept", since=register.since, years=years))


def _invoices(site: SiteEvidence, policy: Policy, as_of: date) -> Finding:
    window = twelve_months(as_of)
    wanted = [(Commodity.ELECTRICITY, policy.energy_tolerance)]
    if site.dry is None or site.water != Metered():
        wanted.append((Commodity.WATER, policy.water_tolerance))
    largest, few = 0.0, None
    evidence: list[str] = []
    for commodity, tolerance in wanted:
        compared: set[date] = set()
        for invoice in site.invoices:
            first, last = max(invoice.first, window.first), min(invoice.last, window.last)
            if invoice.commodity is not commodity or last < first or invoice.measured is None:
                continue
            evidence.append(invoice.id)
            compared.update(first + timedelta(days=n) for n in range((last - first).days + 1))
            apart = _apart(invoice)
            if apart > tolerance and not invoice.cause:
                why = reason(
                    "invoices.disagree",
                    commodity=commodity,
                    difference=apart,
                    limit=tolerance,
                    first=invoice.first,
                    last=invoice.last,
                )
                return Finding(Status.NOT_MET, why, (invoice.id,))
            largest = max(largest, apart)
        share, limit = len(compared) / window.days, policy.coverage_minimum
        if not compared:
            few = few or reason("invoices.absent", commodity=commodity)
        elif share < limit:
            few = few or reason("invoices.few", commodity=commodity, share=share, limit=limit)
    if few is not None:
        return Finding(Status.NOT_MEASURED, few, tuple(evidence))
    return Finding(Status.MET, reason("invoices.agree", difference=largest), tuple(evidence))


def _apart(invoice: Invoice) -> float:
    """The relative difference; of nothing invoiced, 0 where nothing was measured, else 1."""
    measured = invoice.measured or 0.0
    if not invoice.invoiced:
        return 0.0 if not measured else 1.0
    return abs(measured - invoice.invoiced) / abs(invoice.invoiced)


_TESTS: Final[dict[str, Callable[[SiteEvidence, Policy, date], Finding]]] = {
    "S1a": _participant,
    "S1b": _verified,
    "S2": _practices,
    "S3": _total_energy,
    "S4": _it_energy,
    "S5": _pue,
    "S6": _water,
    "S7": _temperature,
    "S8": _not_over_cooled,
    "S9": _humidity,
    "S10": _logging,
    "S11": _refrigerants,
    "S12": _reporting,
    "S13": _report,
    "S14": _register,
    "S15": _invoices,
}
