"""Operating envelopes: what intake air or water a machine may have, as its maker declares it.

Classes A1 to A4 are those of Regulation (EU) 2019/424, Annex II, Table 6; H1 is ASHRAE's of 2021.
Where no class is declared, the maker's range is written: ``10..35`` for air, ``water 17..45`` for
the water of a liquid-cooled machine. Temperatures are in °C.
"""

import re
from enum import StrEnum
from typing import Final

import msgspec


class EnvelopeClass(StrEnum):
    """Environmental classes."""

    A1 = "A1"
    A2 = "A2"
    A3 = "A3"
    A4 = "A4"
    H1 = "H1"


class Medium(StrEnum):
    """What carries the heat away."""

    AIR = "air"
    WATER = "water"


class Envelope(msgspec.Struct, frozen=True):
    """A class, or a written range in °C: one of the two."""

    name: EnvelopeClass | None = None
    low: float | None = None
    high: float | None = None
    medium: Medium = Medium.AIR

    def __str__(self) -> str:
        if self.name is not None:
            return self.name.value
        medium = "water " if self.medium is Medium.WATER else ""
        return f"{medium}{self.low:g}..{self.high:g}"


FORM: Final = "write A1, A2, A3, A4 or H1, a range '10..35', or 'water 17..45'"

_COLDEST: Final = -60.0
_HOTTEST: Final = 100.0
_CLASS: Final = re.compile(r"(?:ashrae\s+)?(?:class[e]?\s+)?([ah][1-4])", re.IGNORECASE)
_RANGE: Final = re.compile(
    r"(?:(?P<medium>air|water|eau):?)?"
    r"(?P<low>[-−]?\d{1,3}(?:[.,]\d{1,2})?)(?:°C)?(?:\.\.|…|–|-|to|à|a)"
    r"(?P<high>[-−]?\d{1,3}(?:[.,]\d{1,2})?)(?:°C)?",
    re.IGNORECASE | re.ASCII,
)
"""Of a text without its spaces."""


def envelope_of(text: str) -> Envelope | None:
    """An envelope out of what a cell says; None where it is none."""
    if declared := _CLASS.fullmatch(text):
        try:
            return Envelope(EnvelopeClass(declared[1].upper()))
        except ValueError:
            return None
    written = _RANGE.fullmatch("".join(text.split()))
    if written is None:
        return None
    low, high = (float(written[end].replace(",", ".").replace("−", "-")) for end in ("low", "high"))
    if not _COLDEST <= low < high <= _HOTTEST:
        return None
    medium = (written["medium"] or "air").lower()
    return Envelope(None, low, high, Medium.AIR if medium == "air" else Medium.WATER)
