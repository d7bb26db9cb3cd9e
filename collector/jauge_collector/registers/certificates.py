"""Certificates that people sign into the ledger: documents that prove something from a day on.

Each is read as a row of the register of documents is (`documents`), under the number of its entry.
"""

from dataclasses import replace
from datetime import date
from difflib import get_close_matches
from typing import Final

from jauge_models.configuration import ConfigurationError

from jauge_collector import civil
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.entries import Entry
from jauge_collector.registers.attestations import CERTIFICATE, refuse_parts_of_days
from jauge_collector.registers.confirmations import confirmed
from jauge_collector.registers.documents import Document, DocumentKind
from jauge_collector.registers.files import Registers
from jauge_collector.sites import Site

KINDS: Final = (
    DocumentKind.PARTICIPANT_CERTIFICATE,
    DocumentKind.ENDORSER_CERTIFICATE,
    DocumentKind.ANNUAL_RETURN,
    DocumentKind.VERIFICATION_REPORT,
    DocumentKind.SET_POINT_REVIEW,
    DocumentKind.SET_POINT_LOG,
    DocumentKind.DRY_STATEMENT,
    DocumentKind.LEGAL_REPORT,
    DocumentKind.BELOW_THRESHOLD,
    DocumentKind.OPERATORS_REPORT,
    DocumentKind.NO_TAXONOMY_CLAIM,
    DocumentKind.GUARANTEE_OF_ORIGIN,
    DocumentKind.UPS_EFFICIENCY,
    DocumentKind.OTHER,
)
"""Those that stand for themselves; what a row of a register names has to be in the documents."""
_ELSEWHERE: Final = {
    DocumentKind.CALIBRATION: "enter it with jauge-collector meter calibrate",
    DocumentKind.INVOICE: "enter its amount with jauge-collector attest --amount --invoice",
}
_OF_ANYTHING: Final = frozenset(
    {DocumentKind.GUARANTEE_OF_ORIGIN, DocumentKind.UPS_EFFICIENCY, DocumentKind.OTHER}
)
"""No criterion reads these: a meter or a machine may be named."""
LONGEST: Final = 500
"""Letters of a statement."""


def enter_certificate(
    ledger: Ledger,
    site: Site,
    *,
    kind: str,
    start_ms: int,
    end_ms: int | None,
    now_ms: int,
    signatory: str,
    document: str | None,
    subject: str = "",
    statement: str = "",
    year: int | None = None,
    note: str = "",
    corrects: int | None = None,
) -> int:
    """Keep a certificate, dated ``start_ms`` and valid to ``end_ms`` (excluded; None: open).

    Raises ConfigurationError for a kind that no certificate is of, without a document, dated in
    the future, of a legal report without its year, or where the same was entered already.
    """
    known = _kind(kind)
    if document is None:
        raise ConfigurationError("--document", "", "missing", "a certificate is a document")
    if start_ms > now_ms:
        raise ConfigurationError("--from", "", "lies in the future", "give the document's own date")
    refuse_parts_of_days(site, "--from", start_ms)
    if end_ms is not None:
        refuse_parts_of_days(site, "--to", end_ms)
        if end_ms <= start_ms:
            raise ConfigurationError("--to", "", "is not after --from", "--to is excluded")
    if known is DocumentKind.LEGAL_REPORT and year is None:
        raise ConfigurationError(
            "--year", "", "missing", "give the calendar year that the legal report is about"
        )
    if year is not None and not civil.YEARS[0] <= year <= civil.day(start_ms, site.zone).year:
        raise ConfigurationError(
            "--year", "", f"{year} is no year that is over by its date", "write the year it is of"
        )
    if len(statement) > LONGEST:
        raise ConfigurationError(
            "--statement", "", f"is longer than {LONGEST} letters", "the document says the rest"
        )
    about = _subject(known, subject, site)
    for other in ledger.entries(site.name, CERTIFICATE, about):
        same = (other.content["certifies"], other.start_ms) == (known.value, start_ms)
        if same and other.id != corrects:
            raise ConfigurationError(
                "--from",
                "",
                f"entry {other.id} is a {known.value} of that day already",
                f"correct that with --corrects {other.id}",
            )
    content = {
        "certifies": known.value,
        "statement": statement,
        "year": year,
        "entered": known.value if year is None else f"{known.value} {year}",
        "note": note,
    }
    return ledger.append(
        site.name,
        CERTIFICATE,
        about,
        start_ms=start_ms,
        end_ms=end_ms,
        content=content,
        now_ms=now_ms,
        signatory=signatory,
        document=document,
        corrects=corrects,
        may_move=True,
    )


def _subject(kind: DocumentKind, subject: str, site: Site) -> str:
    """What it is of. A document that site criteria read counts for nothing under another name."""
    about = subject.strip() or site.name
    if kind not in _OF_ANYTHING and about != site.name:
        raise ConfigurationError(
            "--subject", "", f"a {kind.value} is of the site", "leave it out: --site says which"
        )
    if len(about) > LONGEST or not about.isprintable():
        raise ConfigurationError("--subject", "", "is no name", f"up to {LONGEST} letters")
    return about


def _kind(name: str) -> DocumentKind:
    known = {kind.value: kind for kind in DocumentKind}.get(name)
    if known in KINDS:
        return known
    if known is not None:
        fix = _ELSEWHERE.get(known, "enter it in the register of documents")
        raise ConfigurationError("--certificate", "", f"{name!r} is entered otherwise", fix)
    names = [kind.value for kind in KINDS]
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    fix = f"did you mean {near[0]!r}?" if near else f"choices are {', '.join(names)}"
    raise ConfigurationError("--certificate", "", f"{name!r} is no kind of certificate", fix)


def with_certificates(registers: Registers, ledger: Ledger, site: Site) -> Registers:
    """Registers joined by the certificates that hold and those withdrawn. Raises LedgerError."""
    holding, gone = (of(site.name, CERTIFICATE) for of in (ledger.entries, ledger.withdrawn))
    if not holding and not gone:
        return registers
    second = confirmed(ledger, site.name)
    found, withdrawn = (
        tuple(_document(entry, site, second.get(entry.id, "")) for entry in entries)
        for entries in (holding, gone)
    )
    return replace(registers, documents=(*registers.documents, *found), withdrawn=withdrawn)


def _document(entry: Entry, site: Site, second: str) -> Document:
    told = entry.content
    dated = civil.day(entry.start_ms, site.zone)
    end: date | None = None if entry.end_ms is None else civil.day(entry.end_ms, site.zone)
    return Document(
        line=entry.id,
        valid_from=dated,
        valid_to=end,
        id=f"entry:{entry.id}",
        title=str(told["certifies"]),
        path="",
        kind=DocumentKind(told["certifies"]),
        dated=dated,
        subject=entry.subject,
        role=entry.signatory,
        sha256=entry.document or "",
        statement=str(told.get("statement", "")),
        year=told.get("year"),
        confirmed_by=second,
        note=str(told.get("note", "")),
    )
