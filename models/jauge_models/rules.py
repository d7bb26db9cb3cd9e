"""Rules: which formula stands, by which text, and since when.

A formula is chosen because its rule is in force, never because of the year alone. What is only
adopted, drafted or remembered is kept with that status and never used for a figure.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from jauge_models.boundaries import Symbol


class RuleStatus(StrEnum):
    """Whether a rule binds."""

    IN_FORCE = "in_force"
    ADOPTED_PENDING = "adopted_pending"
    DRAFT = "draft"
    MEMORY = "memory"


class Indicator(StrEnum):
    """Key performance indicators of ISO/IEC 30134."""

    PUE = "pue"
    PPUE = "ppue"
    WUE = "wue"
    CUE = "cue"
    REF = "ref"
    ERF = "erf"


@dataclass(frozen=True, slots=True)
class Rule:
    """One formula with its text. ``scale`` multiplies base units' ratio into ``unit``."""

    id: str
    indicator: Indicator
    numerator: Symbol
    denominator: Symbol
    formula: str
    unit: str
    scale: float
    reference: str
    status: RuleStatus


JOULES_PER_KWH: Final = 3.6e6
JOULES_PER_MWH: Final = 3.6e9

_REGULATION: Final = "Delegated Regulation (EU) 2024/1364, Annex III"

RULES: Final = (
    Rule(
        "pue-2024",
        Indicator.PUE,
        Symbol.E_DC,
        Symbol.E_IT,
        "PUE = E_DC / E_IT",
        "1",
        1.0,
        f"{_REGULATION}; ISO/IEC 30134-2",
        RuleStatus.IN_FORCE,
    ),
    Rule(
        "ppue",
        Indicator.PPUE,
        Symbol.E_SUB,
        Symbol.E_IT,
        "pPUE = (E_SUB + E_IT) / E_IT",
        "1",
        1.0,
        "ISO/IEC 30134-2",
        RuleStatus.IN_FORCE,
    ),
    Rule(
        "wue-2024",
        Indicator.WUE,
        Symbol.W_IN,
        Symbol.E_IT,
        "WUE = W_IN / E_IT",
        "m3/MWh",
        JOULES_PER_MWH,
        f"{_REGULATION}; ISO/IEC 30134-9",
        RuleStatus.IN_FORCE,
    ),
    Rule(
        "wue-2026",
        Indicator.WUE,
        Symbol.W_IN_FRE,
        Symbol.E_IT,
        "WUE = W_IN-FRE / E_IT",
        "m3/MWh",
        JOULES_PER_MWH,
        "C(2026) 3472 final",
        RuleStatus.ADOPTED_PENDING,
    ),
    Rule(
        "cue",
        Indicator.CUE,
        Symbol.E_DC,
        Symbol.E_IT,
        "CUE = Σ E_DC × factor / E_IT",
        "kgCO2e/kWh",
        1.0,
        "ISO/IEC 30134-8",
        RuleStatus.IN_FORCE,
    ),
    Rule(
        "ref-2024",
        Indicator.REF,
        Symbol.E_RES_TOT,
        Symbol.E_DC,
        "REF = E_RES-TOT / E_DC",
        "1",
        1.0,
        f"{_REGULATION}; ISO/IEC 30134-3",
        RuleStatus.IN_FORCE,
    ),
    Rule(
        "erf-2024",
        Indicator.ERF,
        Symbol.E_REUSE,
        Symbol.E_DC,
        "ERF = E_REUSE / E_DC",
        "1",
        1.0,
        f"{_REGULATION}; ISO/IEC 30134-6",
        RuleStatus.IN_FORCE,
    ),
)


def rule_in_force(indicator: Indicator) -> Rule:
    """The rule by which an indicator is worked out today."""
    (rule,) = (
        rule for rule in RULES if rule.indicator is indicator and rule.status is RuleStatus.IN_FORCE
    )
    return rule
