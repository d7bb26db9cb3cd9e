"""The documents lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "docs" / "decisions"
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_resolve(document: Path) -> None:
    """Every relative link or picture of a document names a file or folder of the repository."""
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    assert [link for link in targets if not (document.parent / link).exists()] == []


def test_decisions_are_numbered_and_listed() -> None:
    """The records are numbered without a gap, and the index has each with its own title."""
    records = sorted(RECORDS.glob("0*.md"))
    assert [path.name[:4] for path in records] == [f"{n:04}" for n in range(1, len(records) + 1)]
    index = (RECORDS / "README.md").read_text(encoding="utf-8")
    for path in records:
        number, _, title = path.read_text(encoding="utf-8").splitlines()[0][2:].partition(" ")
        assert f"| [{number}]({path.name}) | {title} |" in index


def test_paths_that_documents_name_exist() -> None:
    """A file of the repository that a document names in its text is there."""
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        named = re.findall(r"`((?:tests|benchmarks|models|agent|deploy|docs)/[\w./-]+\.\w+)`", text)
        assert [path for path in named if not (ROOT / path).exists()] == [], document
