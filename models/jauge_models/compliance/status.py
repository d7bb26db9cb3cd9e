"""What an evaluation answers: statuses, annotations, reasons by stable keys, results.

Nothing here is text for people: a reason is a key of `REASONS` with values, which the console and
the report put into French or English.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

from jauge_models.rules import RuleStatus

Value = str | bool | int | float | tuple[str, ...]
"""A day is written in ISO 8601, so that a record reads back from JSON as it was written."""


class Status(StrEnum):
    """The status of a criterion. Only the first two pass."""

    MET = "met"
    MET_ATTESTED = "met_attested"
    NOT_MET = "not_met"
    """Something on file shows that the test fails."""
    NOT_MEASURED = "not_measured"
    """Nothing on file, or not enough, tells whether it holds."""
    NOT_APPLICABLE = "not_applicable"
    """With a written justification, a date and a name."""

    @property
    def passes(self) -> bool:
        """Whether the criterion is met."""
        return self in (Status.MET, Status.MET_ATTESTED)


class Annotated(StrEnum):
    """What may stand beside a status. Never a pass."""

    PLANNED = "planned"
    ON_TRACK = "on_track"
    """Met except that its twelve months are not over; the date is when they are."""


class Annotation(msgspec.Struct, frozen=True):
    """An annotation and its date."""

    kind: Annotated
    day: date


class Result(StrEnum):
    """Where a server stands, from its core criteria. Each server has exactly one."""

    DEMONSTRATED = "demonstrated"
    DECLARED = "declared"
    NOT_APPLICABLE = "with_not_applicable"
    """Nothing fails, but a core criterion does not apply: a column of its own."""
    NOT_DEMONSTRATED = "not_demonstrated"
    NOT_COMPLIANT = "not_compliant"

    @property
    def rank(self) -> int:
        """0 for the best."""
        return list(Result).index(self)


class Reason(msgspec.Struct, frozen=True):
    """Why a status is what it is: a key of `REASONS` and the values that it names."""

    key: str
    values: dict[str, Value] = {}


class CriterionResult(msgspec.Struct, frozen=True, kw_only=True):
    """One criterion of one site or server.

    ``evidence`` holds ids of documents, meters, sensors and entries. ``basis`` is a stable key of
    a text; empty means that the text is to be referenced by the officer's register, and then
    ``rule_status`` is `RuleStatus.MEMORY`: nothing of it is printed as the text's own.
    """

    criterion: str
    status: Status
    reason: Reason
    annotations: tuple[Annotation, ...] = ()
    evidence: tuple[str, ...] = ()
    basis: str
    rule_status: RuleStatus
    numbers: tuple[str, ...] = ()
    """Numbers of the practices it rests on, only those in the officer's register."""
    project: bool = False
    """Whether no text asks for it: this project's own requirement."""


REASONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "exempt": ("justification", "day", "name"),
        "document.absent": ("document",),
        "document.valid": ("document", "day", "expires"),
        "document.expired": ("document", "day", "expired"),
        "participation.none": (),
        "participation.endorser": (),
        "practices.absent": (),
        "practices.unconfirmed": ("edition", "count"),
        "practices.superseded": ("edition", "until"),
        "practices.failing": (
            "implemented",
            "endorsed",
            "not_applicable",
            "planned",
            "practices",
        ),
        "practices.unanswered": (
            "implemented",
            "endorsed",
            "not_applicable",
            "planned",
            "practices",
        ),
        "practices.too_many_exemptions": (
            "implemented",
            "endorsed",
            "not_applicable",
            "planned",
            "limit",
        ),
        "practices.all": ("implemented", "endorsed", "not_applicable", "planned"),
        "meter.none": ("symbol",),
        "meter.place": ("symbol",),
        "coverage.met": ("symbol", "share"),
        "coverage.share": ("symbol", "value", "limit"),
        "coverage.gap": ("symbol", "value", "limit"),
        "coverage.month": ("symbol", "value", "limit"),
        "indicator.none": ("indicator",),
        "indicator.other_period": ("indicator", "label"),
        "indicator.withheld": ("indicator", "text"),
        "indicator.uncategorised": ("indicator", "label"),
        "indicator.known": ("indicator", "label", "value", "coverage", "objective", "reached"),
        "water.dry": ("document", "day", "name"),
        "water.unconfirmed": ("document", "name"),
        "intake.rows_without_sensor": ("rows",),
        "intake.set_point_absent": (),
        "intake.set_point_short": ("rooms", "limit"),
        "hours.none": (),
        "hours.other_envelope": ("used", "envelope"),
        "hours.other_window": ("days", "limit"),
        "hours.unmeasured": ("share", "limit", "where"),
        "hours.beyond": ("share", "limit"),
        "hours.within": ("measured", "allowable", "recommended"),
        "hours.set_point_attested": ("measured", "allowable", "recommended"),
        "hours.attested_short": ("share", "limit", "where"),
        "hours.attested_beyond": ("share", "limit"),
        "hours.attested_within": ("known", "allowable", "recommended"),
        "hours.attested_over_cooled": ("share", "limit"),
        "hours.over_cooled": ("share", "limit"),
        "hours.reviewed": ("share", "document", "day"),
        "intake.young": ("days", "limit"),
        "interval.none": (),
        "interval.hourly": ("seconds",),
        "interval.daily": ("seconds",),
        "interval.slow": ("seconds", "limit"),
        "refrigerants.absent": (),
        "refrigerants.unknown": ("names",),
        "refrigerants.within": ("highest", "limit"),
        "refrigerants.beyond": ("names", "limit"),
        "refrigerants.no_claim": ("day", "name"),
        "reporting.absent": ("year",),
        "reporting.late": ("year", "reported"),
        "reporting.done": ("year",),
        "reporting.below_threshold": ("day",),
        "reporting.operators": ("document", "day"),
        "report.absent": (),
        "report.old": ("day", "days", "limit"),
        "report.issued": ("day", "hash"),
        "register.absent": (),
        "register.short": ("years", "limit"),
        "register.incomplete": ("meters",),
        "register.kept": ("since", "years"),
        "invoices.absent": ("commodity",),
        "invoices.few": ("commodity", "share", "limit"),
        "invoices.disagree": ("commodity", "difference", "limit", "first", "last"),
        "invoices.agree": ("difference",),
        "inventory.unlisted": ("seen_by",),
        "inventory.twice": ("other",),
        "inventory.incomplete": ("fields",),
        "inventory.complete": (),
        "site.unknown": ("site",),
        "site.blocking": ("site", "criteria"),
        "site.met": ("site",),
        "envelope.unknown": (),
        "envelope.unconfirmed": ("envelope",),
        "envelope.without_document": ("envelope",),
        "envelope.known": ("envelope",),
        "electricity.none": (),
        "electricity.low": ("measured", "attested", "estimated", "limit"),
        "electricity.measured": ("measured", "limit"),
        "electricity.attested": ("measured", "attested", "limit"),
        "ecodesign.bought_before": ("bought", "since"),
        "ecodesign.purchase_unknown": (),
        "ecodesign.absent": ("bought",),
        "ecodesign.on_file": ("document",),
        "power_management.unknown": (),
        "power_management.on": (),
        "power_management.justified": ("justification",),
        "power_management.off": (),
        "idle.unknown": ("days", "limit"),
        "idle.busy": ("cpu", "limit"),
        "idle.explained": ("cpu", "limit", "name", "day"),
        "idle.unexplained": ("cpu", "limit", "days"),
    }
)
"""Every reason that an evaluation may give, with the names of its values."""


def reason(key: str, **values: Value | date) -> Reason:
    """A reason. Raises KeyError for a key or values that `REASONS` does not name so."""
    if tuple(values) != REASONS[key]:
        raise KeyError(f"reason {key}: {tuple(values)} given, {REASONS[key]} wanted")
    return Reason(
        key,
        {
            name: value.isoformat() if isinstance(value, date) else value
            for name, value in values.items()
        },
    )


def result_of(statuses: Iterable[Status]) -> Result:
    """A server's result from its core criteria; without any, nothing is demonstrated."""
    seen = set(statuses)
    if Status.NOT_MET in seen:
        return Result.NOT_COMPLIANT
    if Status.NOT_MEASURED in seen or not seen:
        return Result.NOT_DEMONSTRATED
    if Status.NOT_APPLICABLE in seen:
        return Result.NOT_APPLICABLE
    return Result.DECLARED if Status.MET_ATTESTED in seen else Result.DEMONSTRATED
