"""The policy: every threshold of the definition as data, versioned and hashed, with its origin.

A threshold is a text's or this project's own; `ORIGINS` says which. Changing the policy restates
the earlier quarters, so it carries a version, and its digest is printed with each figure.
"""

import hashlib
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

from jauge_models.compliance.persons import person_key, same_person
from jauge_models.compliance.psychrometrics import CLASSES, Envelope
from jauge_models.compliance.windows import months_later
from jauge_models.effectiveness import DAY_MS, CoveragePolicy
from jauge_models.rules import RuleStatus


class Act(StrEnum):
    """What somebody does to the record."""

    ATTESTATION = "attestation"
    EXEMPTION = "exemption"
    POLICY_CHANGE = "policy_change"
    QUARTER_APPROVAL = "quarter_approval"
    RESTATEMENT = "restatement"


class Placement(StrEnum):
    """Whose machine it is in practice; the policy says which of these count."""

    OWN = "own"
    SHARED_HOST = "shared_host"
    SCHOOL = "school"


class Reading(StrEnum):
    """The two readings of « d'ici 2027 »."""

    STRICT = "strict"
    WIDE = "wide"


class Deadline(msgspec.Struct, frozen=True):
    """A date of the goal and the last day that can still be measured for it."""

    reading: Reading
    day: date
    last_measured: date


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Every threshold. Shares are 0 to 1, tolerances relative; `ORIGINS` has their origin."""

    version: str = "1"
    valid_from: date | None = None

    coverage_minimum: float = 0.90
    coverage_month: float = 0.75
    coverage_gap_days: float = 10

    participation: str = "S1a"
    """Which of S1a and S1b a site has to meet for V2."""
    return_months: int = 15
    verification_months: int = 36
    edition_months: int = 6
    """How long an edition still counts after the next was published."""
    exemption_limit: float = 0.10
    """Share of the expected practices that may be not applicable."""

    pue_objective: float = 1.5
    """Reached below it. Shown, never required."""
    wue_objective: float = 0.4
    """m3/MWh, reached at it. Shown, never required."""

    site_envelope: str = "A2"
    """The class by which a site's rooms are judged."""
    envelopes: tuple[Envelope, ...] = CLASSES
    intake_measured: float = 0.90
    intake_allowable: float = 0.99
    intake_recommended: float = 0.90
    humidity_allowable: float = 0.99
    commissioned_days: int = 30
    review_months: int = 12

    hourly_s: int = 3600
    daily_s: int = 86400
    gwp_limit: float = 675
    report_days: int = 100
    register_years: int = 10
    energy_tolerance: float = 0.02
    water_tolerance: float = 0.05

    electricity_coverage: float = 0.90
    ecodesign_since: date = date(2020, 3, 1)
    idle_cpu: float = 0.05
    idle_days: int = 30

    counted: frozenset[Placement] = frozenset(Placement)
    """What is in the denominator; the others are listed beside it. Cloud never is."""
    two_people: frozenset[Act] = frozenset(
        {Act.ATTESTATION, Act.POLICY_CHANGE, Act.QUARTER_APPROVAL}
    )
    """What a second person must confirm before it counts."""

    deadlines: tuple[Deadline, ...] = (
        Deadline(Reading.STRICT, date(2027, 1, 1), date(2026, 12, 31)),
        Deadline(Reading.WIDE, date(2027, 12, 31), date(2027, 12, 31)),
    )
    line_sites: int = 5
    """From so many sites on a straight line is drawn to the goal."""

    def __post_init__(self) -> None:
        if self.participation not in ("S1a", "S1b"):
            raise ValueError(f"policy: participation is {self.participation!r}, not S1a or S1b")
        if self.envelope(self.site_envelope) is None:
            raise ValueError(f"policy: site_envelope {self.site_envelope!r} is no envelope of it")

    @property
    def coverage(self) -> CoveragePolicy:
        """The rule on coverage as the indicators take it."""
        return CoveragePolicy(
            self.coverage_minimum, self.coverage_month, round(self.coverage_gap_days * DAY_MS)
        )

    def envelope(self, name: str) -> Envelope | None:
        """The envelope of that name."""
        return next((row for row in self.envelopes if row.name == name), None)

    def is_confirmed(self, act: Act, first: str, second: str) -> bool:
        """Whether an act counts: signed, and by a second person where the policy wants one."""
        if not person_key(first):
            return False
        if act not in self.two_people:
            return True
        return bool(person_key(second)) and not same_person(first, second)

    def edition_ends(self, next_published: date) -> date:
        """The last day on which an edition counts once the next one is published."""
        return months_later(next_published, self.edition_months)

    def digest(self) -> str:
        """SHA-256 of the policy, the same for equal policies."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


class Origin(msgspec.Struct, frozen=True):
    """Where a threshold comes from. ``project`` marks what is this project's own."""

    reference: str
    status: RuleStatus = RuleStatus.IN_FORCE
    project: bool = False


def _own(anchor: str = "") -> Origin:
    return Origin(anchor or "project rule", project=True)


_TAXONOMY: Final = "Delegated Regulation (EU) 2021/2139, Annex I, activity 8.1"
_ECODESIGN: Final = "Commission Regulation (EU) 2019/424"
_RGESN: Final = "RGESN 2024"

ORIGINS: Final[Mapping[str, Origin]] = MappingProxyType(
    {
        "coverage_minimum": _own("project rule, after the 328 of 365 days of CalTRACK"),
        "coverage_month": _own(),
        "coverage_gap_days": _own(),
        "participation": _own(),
        "return_months": _own("project rule: the Code's yearly return and three months"),
        "verification_months": Origin(f"{_TAXONOMY}: audited at least every three years"),
        "edition_months": Origin(f"{_TAXONOMY}: six months from publication"),
        "exemption_limit": _own(),
        "pue_objective": Origin(f"{_RGESN}, criterion 8.3"),
        "wue_objective": Origin(f"{_RGESN}, criterion 8.4"),
        "site_envelope": _own(),
        "envelopes": Origin(f"{_ECODESIGN}, Annex II, Table 6 (H1: from memory)"),
        "intake_measured": _own(),
        "intake_allowable": _own(),
        "intake_recommended": _own(),
        "humidity_allowable": _own(),
        "commissioned_days": _own(),
        "review_months": _own(),
        "hourly_s": _own("project rule, after the Code's metering practices"),
        "daily_s": _own("project rule, after the Code's metering practices"),
        "gwp_limit": Origin(f"{_TAXONOMY}, §3"),
        "report_days": _own(),
        "register_years": Origin("Delegated Regulation (EU) 2024/1364, Annex II"),
        "energy_tolerance": _own(),
        "water_tolerance": _own(),
        "electricity_coverage": _own(),
        "ecodesign_since": Origin(f"{_ECODESIGN}: information duty from 1 March 2020"),
        "idle_cpu": _own(),
        "idle_days": _own(),
        "counted": _own(),
        "two_people": _own(),
        "deadlines": _own("two readings of the customer's goal « d'ici 2027 »"),
        "line_sites": _own(),
    }
)
"""The origin of every threshold of `Policy`."""
