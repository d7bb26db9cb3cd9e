"""Server criteria V1 to V9: one finding each, from what is on file on a day."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from jauge_models.compliance.criteria import Finding, concluded, exempted, required_of_site
from jauge_models.compliance.evidence import Review, ServerEvidence, SiteEvidence
from jauge_models.compliance.measured import HoursRule, explained, hours_held, not_over_cooled
from jauge_models.compliance.policy import Act, Policy
from jauge_models.compliance.psychrometrics import Envelope
from jauge_models.compliance.status import CriterionResult, Reason, Status, reason
from jauge_models.compliance.windows import since, window_closes
from jauge_models.rules import RuleStatus


def server_criteria(
    server: ServerEvidence,
    site: SiteEvidence | None,
    of_site: Sequence[CriterionResult],
    policy: Policy,
    as_of: date,
) -> tuple[CriterionResult, ...]:
    """All server criteria in order; ``site`` and its criteria are those of the server's site."""
    reviews = () if site is None else site.reviews
    row = _envelope(server, policy)
    findings = {
        "V1": inventoried(server),
        "V2": _hosted(server.site, of_site, policy),
        "V3": _envelope_known(server, policy),
        "V4": _intake(server, reviews, policy, as_of),
        "V5": _electricity(server, policy),
        "V7": _ecodesign(server, policy),
        "V8": _power_management(server),
        "V9": _idle(server, policy),
    }
    return tuple(
        concluded(
            criterion,
            finding,
            policy,
            exemptions=server.exemptions,
            actions=server.actions,
            practices=None if site is None else site.practices,
            looked_up=row if criterion in ("V3", "V4") else None,
        )
        for criterion, finding in findings.items()
    )


def unlisted_criteria(
    seen_by: Iterable[str], of_site: Sequence[CriterionResult], site: str, policy: Policy
) -> tuple[CriterionResult, ...]:
    """Those of a machine that was seen and is not in the inventory: it fails V1."""
    nothing = ServerEvidence(id="", site=site)
    why = reason("inventory.unlisted", seen_by=tuple(sorted(set(seen_by))))
    findings = {
        "V1": Finding(Status.NOT_MET, why),
        "V2": _hosted(site, of_site, policy),
        "V3": _envelope_known(nothing, policy),
        "V4": Finding(Status.NOT_MEASURED, reason("envelope.unknown")),
        "V5": _electricity(nothing, policy),
        "V7": _ecodesign(nothing, policy),
        "V8": _power_management(nothing),
        "V9": _idle(nothing, policy),
    }
    return tuple(concluded(criterion, finding, policy) for criterion, finding in findings.items())


def inventoried(server: ServerEvidence) -> Finding:
    """V1: whether the inventory says where it is and whose."""
    fields = ("site", "room", "rack", "serial", "owner", "used_by")
    missing = tuple(name for name in fields if not getattr(server, name))
    if missing:
        return Finding(Status.NOT_MET, reason("inventory.incomplete", fields=missing))
    return Finding(Status.MET, reason("inventory.complete"))


def _hosted(site: str, of_site: Sequence[CriterionResult], policy: Policy) -> Finding:
    by_id: Mapping[str, CriterionResult] = {each.criterion: each for each in of_site}
    if not by_id:
        return Finding(Status.NOT_MEASURED, reason("site.unknown", site=site))
    asked = [by_id[criterion] for criterion in required_of_site(policy)]
    status = status_of_site(each.status for each in asked)
    if status.passes:
        return Finding(status, reason("site.met", site=site))
    blocking = tuple(each.criterion for each in asked if not each.status.passes)
    return Finding(status, reason("site.blocking", site=site, criteria=blocking))


def status_of_site(statuses: Iterable[Status]) -> Status:
    """V2 from the site criteria that it asks for: the worst of them."""
    order = (Status.NOT_MET, Status.NOT_MEASURED, Status.NOT_APPLICABLE, Status.MET_ATTESTED)
    seen = set(statuses)
    return next((status for status in order if status in seen), Status.MET)


def _envelope(server: ServerEvidence, policy: Policy) -> Envelope | None:
    """The ranges of a server's envelope: the manufacturer's own, else the policy's class."""
    declared = server.envelope
    if declared is None:
        return None
    return declared.own or policy.envelope(declared.name)


def _envelope_known(server: ServerEvidence, policy: Policy) -> Finding:
    declared = server.envelope
    if declared is None or _envelope(server, policy) is None:
        return Finding(Status.NOT_MEASURED, reason("envelope.unknown"))
    evidence = () if declared.document is None else (declared.document.id,)
    if declared.own is not None and not evidence:
        why = reason("envelope.without_document", envelope=declared.name)
        return Finding(Status.NOT_MET, why)
    return Finding(Status.MET, reason("envelope.known", envelope=declared.name), evidence)


def _intake(
    server: ServerEvidence, reviews: Sequence[Review], policy: Policy, as_of: date
) -> Finding:
    row = _envelope(server, policy)
    if row is None:
        return Finding(Status.NOT_MEASURED, reason("envelope.unknown"))
    if row.status is not RuleStatus.IN_FORCE:
        return Finding(Status.NOT_MEASURED, reason("envelope.unconfirmed", envelope=row.name))
    places = () if server.intake is None else (server.intake,)
    window = since(server.valid_from, as_of)
    recommended = 0.0 if explained(reviews, policy, as_of) else policy.intake_recommended
    rule = HoursRule(window, policy, row.name, policy.intake_allowable, recommended)
    found = not_over_cooled(hours_held(places, rule), reviews, policy, as_of)
    if server.valid_from is None:
        return found
    days, limit = (as_of - server.valid_from).days, policy.commissioned_days
    if days >= limit:
        return found
    closes = server.valid_from + timedelta(days=limit) if found.status.passes else None
    return Finding(
        Status.NOT_MEASURED, reason("intake.young", days=days, limit=limit), found.evidence, closes
    )


def _electricity(server: ServerEvidence, policy: Policy) -> Finding:
    known, limit = server.electricity, policy.electricity_coverage
    if known is None:
        return Finding(Status.NOT_MEASURED, reason("electricity.none"))
    measured, attested = known.measured, known.attested
    if measured >= limit:
        why = reason("electricity.measured", measured=measured, limit=limit)
        return Finding(Status.MET, why, known.meters)
    if measured + attested >= limit:
        why = reason("electricity.attested", measured=measured, attested=attested, limit=limit)
        return Finding(Status.MET_ATTESTED, why, known.meters)
    why = reason(
        "electricity.low",
        measured=measured,
        attested=attested,
        estimated=known.estimated,
        limit=limit,
    )
    late = known.first_day is not None and known.since_first >= limit
    closes = window_closes(known.first_day) if known.first_day is not None and late else None
    return Finding(Status.NOT_MEASURED, why, known.meters, closes)


def _ecodesign(server: ServerEvidence, policy: Policy) -> Finding:
    if server.ecodesign is not None:
        why = reason("ecodesign.on_file", document=server.ecodesign.id)
        return Finding(Status.MET, why, (server.ecodesign.id,))
    if server.bought is None:
        return Finding(Status.NOT_MEASURED, reason("ecodesign.purchase_unknown"))
    if server.bought < policy.ecodesign_since:
        why = reason("ecodesign.bought_before", bought=server.bought, since=policy.ecodesign_since)
        return Finding(Status.NOT_APPLICABLE, why)
    # Products that the regulation leaves out are exempted here, where nothing was measured.
    for exemption in server.exemptions:
        if (
            exemption.criterion == "V7"
            and exemption.justification
            and policy.is_confirmed(Act.EXEMPTION, exemption.name, exemption.confirmed_by)
        ):
            return Finding(Status.NOT_APPLICABLE, exempted(exemption))
    return Finding(Status.NOT_MET, reason("ecodesign.absent", bought=server.bought))


def _power_management(server: ServerEvidence) -> Finding:
    state = server.power_management
    if state is None:
        return Finding(Status.NOT_MEASURED, reason("power_management.unknown"))
    evidence = (state.evidence,) if state.evidence else ()
    met = Status.MET_ATTESTED if state.attested else Status.MET
    if state.on:
        return Finding(met, reason("power_management.on"), evidence)
    if state.justification:
        why: Reason = reason("power_management.justified", justification=state.justification)
        return Finding(met, why, evidence)
    return Finding(Status.NOT_MET, reason("power_management.off"), evidence)


def _idle(server: ServerEvidence, policy: Policy) -> Finding:
    use, note = server.use, server.owners_note
    cpu_limit, days_limit = policy.idle_cpu, policy.idle_days
    if use is None or use.days < days_limit:
        days = 0 if use is None else use.days
        return Finding(Status.NOT_MEASURED, reason("idle.unknown", days=days, limit=days_limit))
    if use.cpu >= cpu_limit:
        return Finding(Status.MET, reason("idle.busy", cpu=use.cpu, limit=cpu_limit))
    if note is not None and note.text and note.name:
        why = reason("idle.explained", cpu=use.cpu, limit=cpu_limit, name=note.name, day=note.day)
        return Finding(Status.MET, why)
    why = reason("idle.unexplained", cpu=use.cpu, limit=cpu_limit, days=use.days)
    return Finding(Status.NOT_MET, why)
