"""How sure it is that a register repeats what a text says."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Provenance(StrEnum):
    """Where a row's words or figures come from."""

    TEXT = "text"
    """Read in the text itself."""
    RELAYED = "relayed"
    """Read where somebody else quotes the text."""
    MEMORY = "memory"
    """Remembered. Never shown as what the text says, and never used for a figure."""


WORDS: Final[Mapping[str, Provenance]] = {
    "texte": Provenance.TEXT,
    "found": Provenance.TEXT,
    "rapporte": Provenance.RELAYED,
    "cite": Provenance.RELAYED,
    "second_hand": Provenance.RELAYED,
    "memoire": Provenance.MEMORY,
    "de_memoire": Provenance.MEMORY,
}
"""More words for them, as `sheet.folded` writes them."""
HEADERS: Final = ("certainty", "certitude", "provenance")
