"""The runbooks: one page an alert and language, written by hand; see `jauge_models.runbooks`."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

CHAPTERS: Final[Mapping[str, tuple[str, ...]]] = {
    "fr": (
        "Ce que cela veut dire",
        "Causes probables",
        "Trois premières vérifications",
        "Faire taire",
        "Quand appeler",
    ),
    "en": (
        "What it means",
        "Likely causes",
        "First three checks",
        "How to silence",
        "When to escalate",
    ),
}
"""What every page has, in this order."""


def runbook(alert: str, language: str) -> str:
    """The page of an alert. Raises FileNotFoundError where nobody has written one."""
    file = files("jauge_models.runbooks") / language / f"{alert}.md"
    return file.read_text(encoding="utf-8")


def written(language: str) -> frozenset[str]:
    """Alerts that have a page in a language."""
    folder = files("jauge_models.runbooks") / language
    return frozenset(file.name.removesuffix(".md") for file in folder.iterdir())
