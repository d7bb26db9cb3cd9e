"""Families of server processors, told from the name that a machine gives of its processor.

A family is a series of the vendor's own numbering ("Xeon Scalable 2", "EPYC 7002"): processors of
one series are built alike, so their servers draw alike from idle to full load.
"""

import re
from typing import Final

INTEL: Final = "Intel"
AMD: Final = "AMD"

_NOISE: Final = re.compile(r"\((?:r|tm)\)|\b(?:cpu|processor)\b", re.IGNORECASE)

_FAMILIES: Final = (
    (re.compile(r"\bEPYC (\d)[\dA-Z]\d(\d)"), r"EPYC \g<1>00\2"),
    (re.compile(r"\b(?:Platinum|Gold|Silver|Bronze) \d3\d\dH"), "Xeon Scalable 3 H"),
    (re.compile(r"\b(?:Platinum|Gold|Silver|Bronze) \d(\d)\d\d"), r"Xeon Scalable \1"),
    (re.compile(r"\bE([357])[- ]\d{4}\w*? ?[vV](\d)"), r"Xeon E\1 v\2"),
    (re.compile(r"\bE([357])[- ]\d{4}"), r"Xeon E\1 v1"),
    (re.compile(r"\bE-2(\d)\d\d"), r"Xeon E-2\g<1>00"),
    (re.compile(r"\b[ELWX](\d\d)\d\d"), r"Xeon \g<1>00"),
    (re.compile(r"\bXeon (\d\d)\d\d\b"), r"Xeon \g<1>00"),
    (re.compile(r"\bOpteron [28](\d)\d\d"), r"Opteron x\g<1>00"),
    (re.compile(r"\bOpteron (\d\d)\d\d"), r"Opteron \g<1>00"),
    (re.compile(r"\bGraviton(\d?)"), r"Graviton\1"),
)
"""How a name is known, and what the family is called; the first that fits counts."""


def family_of(cpu: str) -> str:
    """The family of a processor, as in "Intel(R) Xeon(R) Gold 6248R CPU @ 3.00GHz"; "" if unknown.

    A family may be one of which nothing was measured, such as that of a processor yet to come.
    """
    name = " ".join(_NOISE.sub(" ", cpu).split())
    for pattern, family in _FAMILIES:
        if found := pattern.search(name):
            return found.expand(family)
    return ""


def vendor_of(cpu: str) -> str:
    """INTEL, AMD or "", from the name of the processor."""
    if re.search(r"\b(?:AMD|EPYC|Opteron)\b", cpu):
        return AMD
    if re.search(r"\b(?:Intel|Xeon|Pentium)\b", cpu):
        return INTEL
    return ""
