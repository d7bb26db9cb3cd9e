"""The register of documents, and the documents it names."""

import hashlib
from datetime import date
from pathlib import Path

import pytest
from jauge_collector.registers import documents
from jauge_collector.registers.documents import Document, DocumentKind, parse, verified
from jauge_collector.registers.problems import RegisterError

from tests.collector.registers.sheets import file, places

HEAD = "id;title;file;kind;date;valid_to;signataire;sha256;année\n"
CONTENT = b"%PDF-1.7 an example"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of a register, with one document below it and one outside."""
    (tmp_path / "outside.pdf").write_bytes(CONTENT)
    inner = tmp_path / "registers"
    (inner / "documents").mkdir(parents=True)
    (inner / "documents" / "a.pdf").write_bytes(CONTENT)
    (inner / "link.pdf").symlink_to(tmp_path / "outside.pdf")
    return inner


def test_a_document_is_known_by_its_content(folder: Path) -> None:
    """It is given the digest of what lies there, and holds from its date to its end."""
    row = "D-1;t;documents/a.pdf;facture;2026-02-01;2027-02-01;fournisseur;;\n"
    (found,) = verified(parse(file(HEAD + row)), folder, "documents.csv")
    assert found == Document(
        line=2,
        valid_from=date(2026, 2, 1),
        valid_to=date(2027, 2, 1),
        id="D-1",
        title="t",
        path="documents/a.pdf",
        kind=DocumentKind.INVOICE,
        dated=date(2026, 2, 1),
        role="fournisseur",
        sha256=DIGEST,
    )
    assert [found.holds(date(2026, 1, 31)), found.holds(date(2026, 2, 1))] == [False, True]


@pytest.mark.parametrize(
    ("path", "digest", "column"),
    [
        ("documents/a.pdf", "0" * 64, "sha256"),
        ("documents/absent.pdf", "", "file"),
        ("documents", "", "file"),
        ("link.pdf", "", "file"),
    ],
)
def test_a_document_that_is_not_what_it_was(
    folder: Path, path: str, digest: str, column: str
) -> None:
    """Changed, missing, no file, or a link that leads out: named by line and column."""
    read = parse(file(f"{HEAD}D-1;t;{path};invoice;2026-02-01;;;{digest};\n"))
    with pytest.raises(RegisterError) as caught:
        verified(read, folder, "documents.csv")
    (found,) = caught.value.problems
    assert (found.file, found.line, found.column) == ("documents.csv", 2, column)


def test_a_digest_that_agrees_in_capitals(folder: Path) -> None:
    """Digits are digits, however they are written."""
    read = parse(file(f"{HEAD}D-1;t;documents/a.pdf;invoice;2026-02-01;;;{DIGEST.upper()};\n"))
    assert verified(read, folder, "documents.csv")[0].sha256 == DIGEST


def test_a_document_that_is_too_large(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before it is read whole."""
    monkeypatch.setattr(documents, "MOST_DOCUMENT_BYTES", len(CONTENT) - 1)
    read = parse(file(f"{HEAD}D-1;t;documents/a.pdf;invoice;2026-02-01;;;;\n"))
    with pytest.raises(RegisterError, match="larger than"):
        verified(read, folder, "documents.csv")


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ("D 1;t;a.pdf;invoice;2026-02-01;;;;", "id"),
        ("D1;;a.pdf;invoice;2026-02-01;;;;", "title"),
        ("D1;t;/etc/passwd;invoice;2026-02-01;;;;", "file"),
        ("D1;t;../a.pdf;invoice;2026-02-01;;;;", "file"),
        ("D1;t;..\\a.pdf;invoice;2026-02-01;;;;", "file"),
        ("D1;t;a.pdf;letter;2026-02-01;;;;", "kind"),
        ("D1;t;a.pdf;invoice;;;;;", "dated"),
        ("D1;t;a.pdf;invoice;2026-02-01;2026-02-01;;;", "valid_to"),
        ("D1;t;a.pdf;invoice;2026-02-01;;;abc;", "sha256"),
        ("D1;t;a.pdf;legal_report;2026-02-01;;;;", "year"),
        ("D1;t;a.pdf;dry_statement;2026-02-01;;;;", "role"),
    ],
)
def test_what_a_row_may_not_say(row: str, wrong: str) -> None:
    """Named with its line and column."""
    assert places(parse, f"{HEAD}{row}\n") == [(2, wrong)]


def test_an_id_is_one_document_for_ever() -> None:
    """Dates do not part two of one id, nor capitals."""
    rows = "D1;t;a;invoice;2025-01-01;2025-02-01;;;\nd1;t;b;invoice;2026-01-01;;;;\n"
    assert places(parse, HEAD + rows) == [(3, "id")]
