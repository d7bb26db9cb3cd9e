"""The grid of RGAA claims no more than what tests check."""

import csv
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "accessibility"
THEMES = (9, 2, 3, 13, 8, 2, 5, 10, 4, 14, 13, 11, 12)
"""Criteria of each theme of RGAA 4.1; 106 together."""


def rows() -> list[dict[str, str]]:
    """The grid."""
    with (FOLDER / "rgaa-4.1.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_all_criteria_once_in_order() -> None:
    """Each has a status out of three."""
    expected = [f"{theme}.{n}" for theme, most in enumerate(THEMES, 1) for n in range(1, most + 1)]
    assert [row["critere"] for row in rows()] == expected
    for column in ("pages_publiques", "console"):
        assert {row[column] for row in rows()} <= {"conforme", "sans objet", "non testé"}


def test_what_is_claimed_has_a_test() -> None:
    """« conforme » and « sans objet » each name a test of this repository that exists."""
    for row in rows():
        if row["pages_publiques"] != "non testé" or row["essai"]:
            file, _, name = row["essai"].removesuffix(" (en partie)").partition("::")
            text = (ROOT / file).read_text(encoding="utf-8")
            assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE), row
        assert row["console"] == "non testé"


def test_the_page_counts_as_the_grid_does() -> None:
    """Statuses by their number."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    pages = Counter(row["pages_publiques"] for row in rows())
    console = Counter(row["console"] for row in rows())
    for status in ("conforme", "sans objet", "non testé"):
        assert f"| `{status}` | {pages[status]} | {console[status]} |" in text
