"""Documents that prove something: certificates, returns, reports, reviews, invoices.

CSV, one row a document. Each is a file below the register's own folder, known by its SHA-256: one
that is changed later is another document and gets another id. Who signed is told by role, never by
name: the register is read by many.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import date
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec
from jauge_models.resources import is_name

from jauge_collector.registers.problems import File, Problems
from jauge_collector.registers.regular_file import open_regular
from jauge_collector.registers.sheet import Column, Dated, Row, folded, rows_of

MOST_DOCUMENT_BYTES: Final = 256 * 1024**2
_BLOCK: Final = 1 << 20
_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")


class DocumentKind(StrEnum):
    """What a document is, and with it which criterion it can prove."""

    PARTICIPANT_CERTIFICATE = "participant_certificate"
    """S1a; of a Participant, which an Endorser is not."""
    ENDORSER_CERTIFICATE = "endorser_certificate"
    ANNUAL_RETURN = "annual_return"
    """S1a: the yearly form to the Code's secretariat."""
    VERIFICATION_REPORT = "verification_report"
    """S1b: of an independent third party."""
    SET_POINT_REVIEW = "set_point_review"
    """S8."""
    DRY_STATEMENT = "dry_statement"
    """S6: signed, that no water enters the boundary."""
    SET_POINT_LOG = "set_point_log"
    """S7: what the intake set points were."""
    LEGAL_REPORT = "legal_report"
    """S12: what was declared for a year."""
    BELOW_THRESHOLD = "below_threshold"
    """S12: that the site lies below the threshold."""
    OPERATORS_REPORT = "operators_report"
    """S12: of a tenant, that the operator has done it."""
    NO_TAXONOMY_CLAIM = "no_taxonomy_claim"
    """S11: signed, that no claim under the Taxonomy is made."""
    INVOICE = "invoice"
    """S15."""
    ENVELOPE = "envelope"
    """V3: the maker's written range."""
    ECODESIGN = "ecodesign"
    """V7."""
    PROVIDER_ATTESTATION = "provider_attestation"
    """Of an operator, or of the provider of rented machines."""
    GUARANTEE_OF_ORIGIN = "guarantee_of_origin"
    """Of renewable electricity; the amount is entered at its meter."""
    UPS_EFFICIENCY = "ups_efficiency"
    """Why a term of an equation has its factor."""
    CALIBRATION = "calibration"
    DRAWING = "drawing"
    OTHER = "other"


class Document(Dated, frozen=True, kw_only=True):
    """One document; it proves something from its date to ``valid_to``."""

    id: str
    title: str
    path: str
    """Below the register's folder, parted by ``/``."""
    kind: DocumentKind
    dated: date
    """The day that the document itself gives."""
    subject: str = ""
    """What it is about: a site, a room, a meter, a server; empty for the whole register."""
    role: str = ""
    """Of who signed it: « exploitant », « organisme vérificateur »; never a person's name."""
    sha256: str = ""
    """Of its content, 64 hexadecimal digits; empty until it was read."""
    statement: str = ""
    """What it says, in a sentence: why the recommended range is not kept, what is claimed."""
    year: int | None = None
    """The calendar year that a legal report or an annual return is about."""
    confirmed_by: str = ""
    """Role or login of the second person who confirmed what is signed."""
    note: str = ""


COLUMNS: Final = (
    Column("id", ("identifiant", "reference"), needed=True),
    Column("title", ("titre", "intitule"), needed=True),
    Column("file", ("path", "fichier", "chemin"), needed=True),
    Column("kind", ("type", "nature"), needed=True),
    Column("dated", ("date", "date_du_document"), needed=True),
    Column("valid_to", ("expires", "valide_jusqu_au", "jusqu_au", "expire_le", "date_fin")),
    Column("subject", ("about", "objet", "sujet")),
    Column("role", ("signatory", "signatory_role", "signataire", "role_du_signataire", "fonction")),
    Column("sha256", ("empreinte",)),
    Column("statement", ("declaration", "contenu")),
    Column("year", ("annee",)),
    Column("confirmed_by", ("confirme_par",)),
    Column("note", ("remarque",)),
)

_KINDS: Final = {
    "certificate": DocumentKind.PARTICIPANT_CERTIFICATE,
    "certificat": DocumentKind.PARTICIPANT_CERTIFICATE,
    "certificat_participant": DocumentKind.PARTICIPANT_CERTIFICATE,
    "certificat_soutien": DocumentKind.ENDORSER_CERTIFICATE,
    "declaration_annuelle": DocumentKind.ANNUAL_RETURN,
    "rapport_de_verification": DocumentKind.VERIFICATION_REPORT,
    "revue_des_consignes": DocumentKind.SET_POINT_REVIEW,
    "attestation_sans_eau": DocumentKind.DRY_STATEMENT,
    "journal_des_consignes": DocumentKind.SET_POINT_LOG,
    "declaration_legale": DocumentKind.LEGAL_REPORT,
    "sous_le_seuil": DocumentKind.BELOW_THRESHOLD,
    "declaration_de_l_exploitant": DocumentKind.OPERATORS_REPORT,
    "sans_allegation_taxonomie": DocumentKind.NO_TAXONOMY_CLAIM,
    "facture": DocumentKind.INVOICE,
    "enveloppe": DocumentKind.ENVELOPE,
    "ecoconception": DocumentKind.ECODESIGN,
    "attestation": DocumentKind.PROVIDER_ATTESTATION,
    "attestation_fournisseur": DocumentKind.PROVIDER_ATTESTATION,
    "garantie_d_origine": DocumentKind.GUARANTEE_OF_ORIGIN,
    "rendement_onduleur": DocumentKind.UPS_EFFICIENCY,
    "etalonnage": DocumentKind.CALIBRATION,
    "plan": DocumentKind.DRAWING,
    "autre": DocumentKind.OTHER,
}

_SIGNED: Final = frozenset({DocumentKind.DRY_STATEMENT, DocumentKind.NO_TAXONOMY_CLAIM})
"""Kinds that are worth what their signatory is."""


def parse(file: File) -> tuple[Document, ...]:
    """The documents that a file lists, in its order; none is opened. Raises RegisterError."""
    problems = Problems(file.name)
    rows = rows_of(file, COLUMNS, problems)
    found = tuple(filter(None, (_document(row) for row in rows)))
    # An id is one document for ever: dates do not part two of the same.
    first: dict[str, int] = {}
    for document in found:
        if (line := first.setdefault(folded(document.id), document.line)) != document.line:
            problem = f"document {document.id!r} stands in line {line} too"
            problems.add(document.line, "id", problem, "a changed document gets an id of its own")
    problems.check()
    return found


def verified(documents: Iterable[Document], folder: Path, file: str) -> tuple[Document, ...]:
    """The same with the digest of each as it lies in the folder. Raises RegisterError.

    That is also where one is missing, lies outside the folder, or is not what ``sha256`` says.
    """
    problems = Problems(file)
    found: list[Document] = []
    for document in documents:
        try:
            path = (folder / document.path).resolve()
            inside = path.is_relative_to(folder.resolve())
            digest = digest_of(path) if inside else ""
        except (OSError, ValueError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or str(error) or "error"
            problem = f"{document.path!r} cannot be read: {reason.lower()}"
            problems.add(document.line, "file", problem, "put the file there or correct its path")
            continue
        if not inside:
            problem = f"{document.path!r} leads out of the register's folder"
            problems.add(document.line, "file", problem, "copy the document beside the register")
        elif document.sha256 not in {"", digest}:
            problem = f"{document.path!r} is no longer what it was: its SHA-256 is {digest}"
            problems.add(document.line, "sha256", problem, "enter a changed one under a new id")
        else:
            found.append(msgspec.structs.replace(document, sha256=digest))
    problems.check()
    return tuple(found)


def digest_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal digits. Raises OSError, ValueError where it is too large."""
    digest, size = hashlib.sha256(), 0
    with open_regular(path) as source:
        while block := source.read(_BLOCK):
            size += len(block)
            if size > MOST_DOCUMENT_BYTES:
                raise ValueError(f"larger than {MOST_DOCUMENT_BYTES // 1024**2} MiB")
            digest.update(block)
    return digest.hexdigest()


def _document(row: Row) -> Document | None:
    id_, path, digest = (
        row.text("id", needed=True),
        row.text("file", needed=True),
        row.text("sha256"),
    )
    dated, end = row.day("dated", needed=True), row.day("valid_to")
    if id_ and not is_name(id_):
        row.wrong("id", f"{id_!r} is no id", "use letters, digits, '.', '_' and '-'")
    if path and not _stays_below(path):
        row.wrong("file", f"{path!r} is no path below the register", "write 'documents/name.pdf'")
    if digest and not _SHA256.fullmatch(digest):
        row.wrong("sha256", "is no SHA-256", "64 hexadecimal digits, or leave it empty")
    if dated is not None and end is not None and end <= dated:
        row.wrong("valid_to", f"{end} is not after {dated}", "swap or correct them")
    kind = row.choice("kind", DocumentKind, _KINDS, needed=True)
    year = row.whole("year", 2000, 2999)
    role = row.text("role")
    if kind is DocumentKind.LEGAL_REPORT and not row.text("year"):
        row.wrong("year", "is empty for a legal report", "give the calendar year that it is about")
    if kind in _SIGNED and not role:
        row.wrong("role", f"is empty for {kind.value}", "say in which role it was signed")
    title = row.text("title", needed=True)
    if dated is None or kind is None:
        return None
    return Document(
        line=row.line,
        valid_from=dated,
        valid_to=end,
        id=id_,
        title=title,
        path=path,
        kind=kind,
        dated=dated,
        subject=row.text("subject"),
        role=role,
        sha256=digest.lower(),
        statement=row.text("statement"),
        year=year,
        confirmed_by=row.text("confirmed_by"),
        note=row.text("note"),
    )


def _stays_below(path: str) -> bool:
    parts = PurePosixPath(path)
    return not parts.is_absolute() and ".." not in parts.parts and "\\" not in path


def by_id(documents: Iterable[Document]) -> Mapping[str, Document]:
    """Documents by their ids."""
    return {document.id: document for document in documents}
