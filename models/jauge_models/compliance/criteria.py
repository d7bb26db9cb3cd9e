"""The criteria as rows: what each may answer, what it rests on, and whether that text stands.

`docs/compliance.md` is generated from here. A row whose basis is a practice of the Code has its
text « to be referenced » until the officer's register holds the practice with edition and page.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

import msgspec

from jauge_models.compliance.evidence import Action, Effect, Exemption, Practice, PracticeRegister
from jauge_models.compliance.policy import Act, Policy
from jauge_models.compliance.psychrometrics import Envelope
from jauge_models.compliance.status import (
    Annotated,
    Annotation,
    CriterionResult,
    Reason,
    Status,
    reason,
)
from jauge_models.compliance.windows import window_closes
from jauge_models.rules import RuleStatus


class Criterion(msgspec.Struct, frozen=True, kw_only=True):
    """A row. ``statuses`` are those that an evaluation can give.

    ``exemptable`` says whether « not applicable » may pass; ``topic`` is the practice it rests on.
    ``project`` marks what no text asks for: this project's own requirement.
    """

    id: str
    title: str
    test: str
    basis: str
    statuses: frozenset[Status]
    measurable: bool = False
    exemptable: bool = True
    topic: str = ""
    project: bool = False


_MET, _ATTESTED = Status.MET, Status.MET_ATTESTED
_FAILED, _UNKNOWN, _EXEMPT = Status.NOT_MET, Status.NOT_MEASURED, Status.NOT_APPLICABLE
_DOCUMENT: Final = frozenset({_MET, _FAILED, _UNKNOWN, _EXEMPT})
_ANY: Final = frozenset(Status)


SITE_CRITERIA: Final = (
    Criterion(
        id="S1a",
        title="Participant",
        test="certificate, and last annual return not older than {return_months} months; an "
        "endorser is not a participant",
        basis="EU Code of Conduct for Data Centres (JRC)",
        statuses=_DOCUMENT,
    ),
    Criterion(
        id="S1b",
        title="Third-party verified",
        test="verification report not older than {verification_months} months",
        basis="Delegated Regulation (EU) 2021/2139, Annex I, 8.1",
        statuses=_DOCUMENT,
    ),
    Criterion(
        id="S2",
        title="Practices",
        test="each practice expected of the entire data centre in electricity, water or "
        "temperature is implemented, endorsed by the party in control, or not applicable with a "
        "justification; planned is not met; not applicable above {exemption_limit} is not met",
        basis="EU Code of Conduct, reporting form; Delegated Regulation (EU) 2021/2139, 8.1 §2",
        statuses=_DOCUMENT,
    ),
    Criterion(
        id="S3",
        title="Total energy metered",
        test="rule of joint coverage over twelve months: {coverage_minimum} of the time, each "
        "month {coverage_month}, no hole above {coverage_gap_days} days",
        basis="Delegated Regulation (EU) 2024/1364, Annex II, 1(d)",
        statuses=frozenset({_MET, _ATTESTED, _UNKNOWN}),
        measurable=True,
        exemptable=False,
    ),
    Criterion(
        id="S4",
        title="IT energy metered",
        test="the same, at the UPS output, the PDU output or the input of the equipment",
        basis="Delegated Regulation (EU) 2024/1364, Annex II, 1(e)",
        statuses=frozenset({_MET, _ATTESTED, _UNKNOWN}),
        measurable=True,
        exemptable=False,
    ),
    Criterion(
        id="S5",
        title="PUE known",
        test="twelve months, with its category; below {pue_objective} is an objective of RGESN "
        "that the Code does not ask for",
        basis="RGESN 2024, 8.3",
        statuses=frozenset({_MET, _ATTESTED, _UNKNOWN, _EXEMPT}),
        measurable=True,
    ),
    Criterion(
        id="S6",
        title="Water metered, or attested dry",
        test="WUE of twelve months; at most {wue_objective} m3/MWh is an objective of RGESN",
        basis="Delegated Regulation (EU) 2024/1364, Annex II, 1(h); RGESN 2024, 8.4",
        statuses=frozenset({_MET, _ATTESTED, _UNKNOWN, _EXEMPT}),
        measurable=True,
    ),
    Criterion(
        id="S7",
        title="Room temperature controlled",
        test="an intake sensor in each row, the set point logged (or attested for "
        "{intake_measured} of the time in each room), {intake_measured} of the time measured, and "
        "{intake_allowable} of that within the allowable range of {site_envelope}",
        basis="Regulation (EU) 2019/424, Annex II, Table 6",
        statuses=_ANY,
        measurable=True,
    ),
    Criterion(
        id="S8",
        title="Not over-cooled",
        test="set points reviewed within {review_months} months, and {intake_recommended} of the "
        "hours within 18 to 27 °C unless the review says why not",
        basis="EU Code of Conduct, practice on intake temperature",
        statuses=_ANY,
        measurable=True,
        topic="intake_temperature",
    ),
    Criterion(
        id="S9",
        title="Humidity",
        test="{intake_measured} of the time measured, and {humidity_allowable} of that within "
        "the class's dew points and relative humidity",
        basis="Regulation (EU) 2019/424, Annex II, Table 6",
        statuses=_ANY,
        measurable=True,
    ),
    Criterion(
        id="S10",
        title="Automated logging",
        test="each {hourly_s} s, at least each {daily_s} s",
        basis="EU Code of Conduct, metering practices",
        statuses=_DOCUMENT,
        topic="automated_readings",
    ),
    Criterion(
        id="S11",
        title="Refrigerants",
        test="GWP at most {gwp_limit}; not applicable where no Taxonomy claim is made",
        basis="Delegated Regulation (EU) 2021/2139, Annex I, 8.1 §3",
        statuses=_DOCUMENT,
    ),
    Criterion(
        id="S12",
        title="Legal reporting",
        test="done for the last calendar year due on 15 May, or below the threshold; a tenant "
        "shows that it is the operator's",
        basis="Code de l'énergie, L.236-1 and D.236-3",
        statuses=_DOCUMENT,
    ),
    Criterion(
        id="S13",
        title="Written report issued",
        test="the last report is not older than {report_days} days",
        basis="EU Code of Conduct, reporting practice",
        statuses=_DOCUMENT,
        topic="written_report",
    ),
    Criterion(
        id="S14",
        title="Meter register kept",
        test="kept for {register_years} years, each meter with its history",
        basis="Delegated Regulation (EU) 2024/1364, Annex II",
        statuses=_DOCUMENT,
    ),
    Criterion(
        id="S15",
        title="Agrees with the supplier's invoices",
        test="within {energy_tolerance} for energy and {water_tolerance} for water, or a written "
        "cause, over {coverage_minimum} of twelve months",
        basis="audit practice",
        statuses=_DOCUMENT,
        measurable=True,
        project=True,
    ),
)

SERVER_CRITERIA: Final = (
    Criterion(
        id="V1",
        title="In the inventory",
        test="site, room, rack, serial, owner and used_by present",
        basis="audit practice",
        statuses=frozenset({_MET, _FAILED}),
        exemptable=False,
        project=True,
    ),
    Criterion(
        id="V2",
        title="Hosted in a site that qualifies",
        test="{participation}, S2, S3, S4, S6, S7 and S8 of its site are met",
        basis="the goal's text: electricity, water, temperature",
        statuses=_ANY,
        project=True,
    ),
    Criterion(
        id="V3",
        title="Operating envelope known",
        test="A1 to A4 or H1 as declared; else the manufacturer's written range",
        basis="Regulation (EU) 2019/424, Annex II, Table 6",
        statuses=_DOCUMENT,
    ),
    Criterion(
        id="V4",
        title="Intake within the envelope, not over-cooled",
        test="twelve months, or since commissioning (at least {commissioned_days} days): measured "
        "{intake_measured} of the time, {intake_allowable} of that allowable, and "
        "{intake_recommended} recommended unless the site's review says why not",
        basis="Regulation (EU) 2019/424, Annex II, Table 6",
        statuses=_ANY,
        measurable=True,
    ),
    Criterion(
        id="V5",
        title="Electricity measured or attributable",
        test="own counter or metered outlet for {electricity_coverage} of the time",
        basis="project rule",
        statuses=frozenset({_MET, _ATTESTED, _UNKNOWN}),
        measurable=True,
        exemptable=False,
        project=True,
    ),
    Criterion(
        id="V7",
        title="Ecodesign information on file",
        test="a document, where bought since {ecodesign_since}",
        basis="Regulation (EU) 2019/424",
        statuses=_DOCUMENT,
    ),
    Criterion(
        id="V8",
        title="Power management on, or justified",
        test="state of firmware and system",
        basis="EU Code of Conduct, practice on power management",
        statuses=_ANY,
        topic="power_management",
    ),
    Criterion(
        id="V9",
        title="Not an unexplained idle server",
        test="processors busy below {idle_cpu} for {idle_days} days need an owner's note",
        basis="EU Code of Conduct, practice on idle equipment",
        statuses=_DOCUMENT,
        topic="idle_equipment",
    ),
)

CRITERIA: Final[Mapping[str, Criterion]] = MappingProxyType(
    {row.id: row for row in (*SITE_CRITERIA, *SERVER_CRITERIA)}
)
CORE: Final = ("V1", "V2", "V3", "V4", "V5")
OWN: Final = ("V1", "V3", "V4", "V5")
"""The server's own criteria, without those of its site."""
TOPICS: Final = tuple(dict.fromkeys(row.topic for row in CRITERIA.values() if row.topic))


def required_of_site(policy: Policy) -> tuple[str, ...]:
    """The site criteria that V2 asks for."""
    return (policy.participation, "S2", "S3", "S4", "S6", "S7", "S8")


class Finding(msgspec.Struct, frozen=True):
    """What a test found; ``closes`` is given where only the time of measurement is too short."""

    status: Status
    reason: Reason
    evidence: tuple[str, ...] = ()
    closes: date | None = None


def concluded(
    criterion: str,
    finding: Finding,
    policy: Policy,
    *,
    exemptions: Iterable[Exemption] = (),
    actions: Iterable[Action] = (),
    practices: PracticeRegister | None = None,
    looked_up: Envelope | None = None,
) -> CriterionResult:
    """A finding with exemptions, annotations and the standing of its text.

    An exemption counts where nothing on file tells otherwise, and never for S3, S4, V1 and V5.
    ``looked_up`` is the envelope that a test rests on: its source and standing replace the row's.
    """
    row = CRITERIA[criterion]
    status, why, evidence = finding.status, finding.reason, finding.evidence
    if status is Status.NOT_MEASURED and row.exemptable:
        for exemption in exemptions:
            if exemption.criterion == criterion and _is_complete(exemption, policy):
                status = Status.NOT_APPLICABLE
                why = exempted(exemption)
    annotations: list[Annotation] = []
    if status in (Status.NOT_MET, Status.NOT_MEASURED):
        days = [effective(action) for action in actions if action.criterion == criterion]
        if days:
            annotations.append(Annotation(Annotated.PLANNED, max(days)))
        if finding.closes is not None:
            annotations.append(Annotation(Annotated.ON_TRACK, finding.closes))
    numbers = _numbers(row, practices)
    basis, stands = row.basis, RuleStatus.IN_FORCE
    if looked_up is not None:
        basis, stands = looked_up.reference, looked_up.status
    elif row.topic and not numbers:
        stands = RuleStatus.MEMORY
    return CriterionResult(
        criterion=criterion,
        status=status,
        reason=why,
        annotations=tuple(annotations),
        evidence=evidence,
        basis=basis if stands is RuleStatus.IN_FORCE else "",
        rule_status=stands,
        numbers=numbers,
        project=row.project,
    )


def exempted(exemption: Exemption) -> Reason:
    """The reason of a criterion that does not apply."""
    return reason(
        "exempt",
        justification=exemption.justification,
        day=exemption.day,
        name=exemption.name,
    )


def effective(action: Action) -> date:
    """The day on which an action shows in its criterion."""
    if action.effect is Effect.AFTER_TWELVE_MONTHS:
        return window_closes(action.day)
    return action.day


def _is_complete(exemption: Exemption, policy: Policy) -> bool:
    return bool(exemption.justification) and policy.is_confirmed(
        Act.EXEMPTION, exemption.name, exemption.confirmed_by
    )


def _numbers(row: Criterion, practices: PracticeRegister | None) -> tuple[str, ...]:
    """Numbers of the practices of its topic that the officer copied from the edition."""
    if practices is None or not row.topic:
        return ()
    return tuple(
        practice.number
        for practice in practices.rows
        if practice.topic == row.topic and is_referenced(practice)
    )


def is_referenced(practice: Practice) -> bool:
    """Whether the officer copied a practice, with its number and page, from the edition."""
    return practice.status_of_text is RuleStatus.IN_FORCE and bool(
        practice.number and practice.page
    )
