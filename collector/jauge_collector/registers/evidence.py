"""What registers prove: their rows as the evaluation of the compliance record takes them.

Only what stands in files is filled in; what meters, agents and the ledger know is the caller's.
Everything is as the registers stood on one civil day. A person's word in a file is attested, never
measured.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from typing import Final

import msgspec
from jauge_models.compliance import evidence as models
from jauge_models.compliance.evidence import (
    Action,
    Attestation,
    Exemption,
    Field,
    LegalReporting,
    Participation,
    PracticeRegister,
    Refrigerant,
    ReportingKind,
    Review,
    SiteEvidence,
)
from jauge_models.compliance.policy import Policy
from jauge_models.rules import RuleStatus

from jauge_collector.registers import policy as policy_file
from jauge_collector.registers.documents import Document, DocumentKind
from jauge_collector.registers.factors import FactorKind, FactorRow
from jauge_collector.registers.files import Registers
from jauge_collector.registers.practices import Category, Domain, Practice

_FIELDS: Final = {
    Domain.ELECTRICITY: Field.ELECTRICITY,
    Domain.WATER: Field.WATER,
    Domain.TEMPERATURE: Field.TEMPERATURE,
}
_REPORTS: Final = {
    DocumentKind.LEGAL_REPORT: ReportingKind.DONE,
    DocumentKind.BELOW_THRESHOLD: ReportingKind.BELOW_THRESHOLD,
    DocumentKind.OPERATORS_REPORT: ReportingKind.OPERATORS,
}


def completed(site: SiteEvidence, registers: Registers, day: date) -> SiteEvidence:
    """A site's evidence joined with what its registers prove on a day.

    What is already there stays: of what is one thing, the registers' goes first.
    """
    proof = _Proof(registers, site.site, day)
    participant = proof.of(DocumentKind.PARTICIPANT_CERTIFICATE)
    endorser = proof.of(DocumentKind.ENDORSER_CERTIFICATE)
    participation = site.participation
    if participant:
        participation = Participation.PARTICIPANT
    elif endorser:
        participation = Participation.ENDORSER
    elif proof.ended(DocumentKind.PARTICIPANT_CERTIFICATE):
        participation = Participation.NONE
    reviews = proof.all(DocumentKind.SET_POINT_REVIEW)
    log = proof.of(DocumentKind.SET_POINT_LOG)
    no_claim = proof.of(DocumentKind.NO_TAXONOMY_CLAIM)
    returns = map(_stored, proof.all(DocumentKind.ANNUAL_RETURN))
    verifications = map(_stored, proof.all(DocumentKind.VERIFICATION_REPORT))
    return msgspec.structs.replace(
        site,
        participation=participation,
        certificate=document_of(participant or endorser) or site.certificate,
        annual_returns=(*site.annual_returns, *returns),
        verifications=(*site.verifications, *verifications),
        practices=_practices(registers, day) or site.practices,
        dry=attestation_of(proof.of(DocumentKind.DRY_STATEMENT)) or site.dry,
        set_point=site.set_point or (log.id if log else ""),
        reviews=(*site.reviews, *(Review(_stored(one), one.statement) for one in reviews)),
        refrigerants=(*site.refrigerants, *_refrigerants(registers, site.site, day)),
        taxonomy_claim=site.taxonomy_claim and no_claim is None,
        no_claim=_no_claim(no_claim) or site.no_claim,
        reporting=_reporting(proof) or site.reporting,
        exemptions=(*site.exemptions, *exemptions_on(registers, day).get(site.site, ())),
        actions=(*site.actions, *actions_in(registers).get(site.site, ())),
    )


def limits(registers: Registers) -> Policy:
    """The policy of a site; the defaults where it names none."""
    return Policy() if registers.policy is None else policy_file.limits(registers.policy)


def exemptions_on(registers: Registers, day: date) -> dict[str, tuple[Exemption, ...]]:
    """What does not apply on a day, by site or server, in the register's order."""
    found: defaultdict[str, list[Exemption]] = defaultdict(list)
    for one in registers.exemptions:
        if one.day <= day and one.holds(day):
            exemption = Exemption(
                criterion=one.criterion,
                justification=one.justification,
                day=one.day,
                name=one.signatory,
                confirmed_by=one.confirmed_by,
            )
            found[one.subject].append(exemption)
    return {subject: tuple(several) for subject, several in found.items()}


def actions_in(registers: Registers) -> dict[str, tuple[Action, ...]]:
    """What will be done, by site or server, in the register's order."""
    found: defaultdict[str, list[Action]] = defaultdict(list)
    for one in registers.actions:
        action = Action(criterion=one.criterion, day=one.day, owner=one.owner, effect=one.effect)
        found[one.subject].append(action)
    return {subject: tuple(several) for subject, several in found.items()}


class _Proof:
    """Documents of a site that prove something on a day.

    One that came after others of its kind and was withdrawn leaves them what they were: superseded.
    """

    def __init__(self, registers: Registers, site: str, day: date) -> None:
        def known(documents: Iterable[Document]) -> list[Document]:
            return [d for d in documents if d.subject in {"", site} and d.dated <= day]

        ours = known(registers.documents)
        gone: dict[str, date] = {}
        for one in known(registers.withdrawn):
            if one.holds(day):
                purpose = _purpose(one)
                gone[purpose] = max(one.dated, gone.get(purpose, one.dated))
        self._found = [
            d for d in ours if d.holds(day) and d.dated > gone.get(_purpose(d), date.min)
        ]
        self._ended = {d.kind for d in ours if not d.holds(day)}

    def ended(self, kind: DocumentKind) -> bool:
        """Whether one of a kind held and holds no more: that is known to be over."""
        return kind in self._ended

    def all(self, kind: DocumentKind) -> list[Document]:
        """Those of a kind, the newest last; of one day the one entered last."""
        found = [document for document in self._found if document.kind is kind]
        return sorted(found, key=lambda document: (document.dated, document.line))

    def of(self, kind: DocumentKind) -> Document | None:
        """The newest of a kind."""
        return next(reversed(self.all(kind)), None)


def _purpose(document: Document) -> str:
    """What the newest document alone decides: mostly its kind, for S12 one of three."""
    return "S12" if document.kind in _REPORTS else document.kind


def _stored(document: Document) -> models.Document:
    return models.Document(document.id, document.dated, document.sha256)


def document_of(document: Document | None) -> models.Document | None:
    """A document on file as the evaluation takes it."""
    return None if document is None else _stored(document)


def attestation_of(document: Document | None) -> Attestation | None:
    """A signed document on file as the evaluation takes it."""
    if document is None:
        return None
    return Attestation(
        document=_stored(document), signatory=document.role, confirmed_by=document.confirmed_by
    )


def _no_claim(document: Document | None) -> Exemption | None:
    if document is None:
        return None
    return Exemption(
        criterion="S11",
        justification=document.statement or document.title,
        day=document.dated,
        name=document.role,
        confirmed_by=document.confirmed_by,
    )


def _reporting(proof: _Proof) -> LegalReporting | None:
    found = [(proof.of(kind), stands) for kind, stands in _REPORTS.items()]
    newest = max(
        ((document, stands) for document, stands in found if document is not None),
        key=lambda pair: (pair[0].dated, pair[0].line),
        default=None,
    )
    if newest is None:
        return None
    document, stands = newest
    return LegalReporting(kind=stands, document=_stored(document), year=document.year)


def _practices(registers: Registers, day: date) -> PracticeRegister | None:
    """Those of the edition that the policy names; without one nothing is judged."""
    policy = registers.policy
    edition = policy.goal.edition if policy else ""
    rows = [p for p in registers.practices if p.edition == edition and p.holds(day)]
    if policy is None or not rows:
        return None
    published = policy.goal.next_edition_published
    return PracticeRegister(
        edition=edition,
        rows=tuple(_practice(row) for row in rows),
        next_published=published if published is not None and published <= day else None,
    )


def _practice(row: Practice) -> models.Practice:
    confirmed = row.reference is not None
    return models.Practice(
        number=row.number,
        entire=row.category is Category.ENTIRE,
        fields=frozenset(_FIELDS[domain] for domain in row.domains if domain in _FIELDS),
        status=None if row.status is None else models.PracticeStatus(row.status.value),
        in_control=row.control,
        justification=row.justification,
        planned=row.planned,
        evidence=row.documents,
        topic=row.topic,
        page=row.page,
        status_of_text=RuleStatus.IN_FORCE if confirmed else RuleStatus.MEMORY,
    )


def _refrigerants(registers: Registers, site: str, day: date) -> tuple[Refrigerant, ...]:
    """Each with its own potential, else that of the register of factors, else none."""
    known = {factor.subject: factor.value for factor in _potentials(registers.factors, day)}
    return tuple(
        Refrigerant(row.name, row.gwp if row.gwp is not None else known.get(row.name))
        for row in registers.refrigerants
        if row.site in {"", site} and row.holds(day)
    )


def _potentials(factors: Iterable[FactorRow], day: date) -> Iterable[FactorRow]:
    found = [f for f in factors if f.kind is FactorKind.REFRIGERANT and f.is_usable]
    return sorted((f for f in found if f.holds(day)), key=lambda f: f.valid_from or date.min)
