"""The cases of the site criteria: what is changed in the record, and what must come of it."""

from datetime import date
from typing import Any

from jauge_models.boundaries import Place
from jauge_models.compliance.evidence import (
    LegalReporting,
    Metered,
    MeterRegister,
    Participation,
    PracticeStatus,
    Refrigerant,
    ReportingKind,
    Review,
    SiteEvidence,
)
from jauge_models.compliance.status import Status
from jauge_models.compliance.windows import NOTHING, Coverage, Fill
from jauge_models.effectiveness import PeriodKind
from jauge_models.effectiveness import Status as KpiStatus
from jauge_models.rules import RuleStatus
from jauge_models.topology import Commodity

from tests.models.compliance.record import (
    FULL,
    HOLED,
    YEAR_FIRST,
    bands,
    document,
    exempt,
    intake,
    invoices,
    kpi,
    metered,
    practice,
    practices,
    set_points,
    signed,
    told,
)

MET, ATTESTED = Status.MET, Status.MET_ATTESTED
FAILED, UNKNOWN, EXEMPT = Status.NOT_MET, Status.NOT_MEASURED, Status.NOT_APPLICABLE


def ten(**changes: Any) -> list[Any]:
    """Ten practices, the first of them changed."""
    return [practice("1", **changes), *(practice(str(n)) for n in range(2, 11))]


ABSENT = SiteEvidence(site="bare")
ATTESTED_TOTAL = metered(NOTHING, with_attested=FULL)
ELECTRICITY = invoices(Commodity.ELECTRICITY)
WATER = invoices(Commodity.WATER)
LATE = date(2025, 9, 30)
"""15 months before 30 December 2026."""

Case = tuple[str, Status, str, dict[str, Any]]

CASES: list[Case] = [
    ("S1a", MET, "document.valid", {}),
    # 15 months after 30 September 2025 is 30 December 2026, 15 after 1 October 1 January.
    ("S1a", MET, "document.valid", {"annual_returns": (document("r", date(2025, 10, 1)),)}),
    ("S1a", FAILED, "document.expired", {"annual_returns": (document("r", LATE),)}),
    ("S1a", FAILED, "participation.endorser", {"participation": Participation.ENDORSER}),
    ("S1a", FAILED, "participation.none", {"participation": Participation.NONE}),
    ("S1a", UNKNOWN, "document.absent", {"participation": None}),
    ("S1a", UNKNOWN, "document.absent", {"certificate": None}),
    ("S1a", UNKNOWN, "document.absent", {"certificate": document("c", date(2027, 1, 1))}),
    ("S1a", UNKNOWN, "document.absent", {"annual_returns": ()}),
    ("S1a", UNKNOWN, "document.absent", {"annual_returns": (document("r", date(2027, 1, 1)),)}),
    ("S1a", EXEMPT, "exempt", {"participation": None, "exemptions": (exempt("S1a"),)}),
    ("S1b", MET, "document.valid", {"verifications": (document("v", date(2023, 12, 31)),)}),
    ("S1b", FAILED, "document.expired", {"verifications": (document("v", date(2023, 12, 30)),)}),
    ("S1b", UNKNOWN, "document.absent", {"verifications": ()}),
    ("S1b", EXEMPT, "exempt", {"verifications": (), "exemptions": (exempt("S1b"),)}),
    ("S2", MET, "practices.all", {}),
    (
        "S2",
        FAILED,
        "practices.failing",
        {"practices": practices(*ten(status=PracticeStatus.PLANNED))},
    ),
    (
        "S2",
        FAILED,
        "practices.failing",
        {"practices": practices(*ten(status=PracticeStatus.ENDORSED))},
    ),
    (
        "S2",
        MET,
        "practices.all",
        {"practices": practices(*ten(status=PracticeStatus.ENDORSED, in_control="operator"))},
    ),
    (
        "S2",
        FAILED,
        "practices.failing",
        {"practices": practices(*ten(status=PracticeStatus.NOT_APPLICABLE))},
    ),
    # One of ten is 10 %, which is not above 10 %; two of eleven is.
    (
        "S2",
        MET,
        "practices.all",
        {"practices": practices(*ten(status=PracticeStatus.NOT_APPLICABLE, justification="x"))},
    ),
    (
        "S2",
        FAILED,
        "practices.too_many_exemptions",
        {
            "practices": practices(
                *ten(status=PracticeStatus.NOT_APPLICABLE, justification="x"),
                practice("11", status=PracticeStatus.NOT_APPLICABLE, justification="x"),
            )
        },
    ),
    (
        "S2",
        MET,
        "practices.all",
        {"practices": practices(*ten(), practice("11", status=None, entire=False))},
    ),
    (
        "S2",
        MET,
        "practices.all",
        {"practices": practices(*ten(), practice("11", status=None, fields=frozenset()))},
    ),
    ("S2", UNKNOWN, "practices.unanswered", {"practices": practices(*ten(status=None))}),
    ("S2", UNKNOWN, "practices.absent", {"practices": None}),
    ("S2", UNKNOWN, "practices.absent", {"practices": practices()}),
    (
        "S2",
        UNKNOWN,
        "practices.unconfirmed",
        {"practices": practices(*ten(status_of_text=RuleStatus.MEMORY))},
    ),
    ("S2", UNKNOWN, "practices.unconfirmed", {"practices": practices(*ten(page=""))}),
    # Six months after 30 June is 30 December; after 1 July it is 1 January.
    (
        "S2",
        FAILED,
        "practices.superseded",
        {"practices": practices(*ten(), next_published=date(2026, 6, 30))},
    ),
    ("S2", MET, "practices.all", {"practices": practices(*ten(), next_published=date(2026, 7, 1))}),
    ("S2", EXEMPT, "exempt", {"practices": None, "exemptions": (exempt("S2"),)}),
    ("S3", MET, "coverage.met", {}),
    ("S3", ATTESTED, "coverage.met", {"e_dc": ATTESTED_TOTAL}),
    ("S3", ATTESTED, "coverage.met", {"joint": metered(HOLED, with_attested=FULL)}),
    ("S3", UNKNOWN, "meter.none", {"e_dc": Metered()}),
    ("S3", UNKNOWN, "coverage.share", {"joint": metered(HOLED)}),
    (
        "S3",
        UNKNOWN,
        "coverage.share",
        {"e_dc": metered(Coverage(Fill(0.8999, 0.8, 9), YEAR_FIRST, Fill(0.8999, 0.8, 9)))},
    ),
    (
        "S3",
        MET,
        "coverage.met",
        {"e_dc": metered(Coverage(Fill(0.90, 0.75, 10), YEAR_FIRST, Fill(0.9, 0.75, 10)))},
    ),
    (
        "S3",
        UNKNOWN,
        "coverage.gap",
        {"e_dc": metered(Coverage(Fill(0.95, 0.8, 10.1), YEAR_FIRST, Fill(0.95, 0.8, 10.1)))},
    ),
    (
        "S3",
        UNKNOWN,
        "coverage.month",
        {"e_dc": metered(Coverage(Fill(0.95, 0.74, 5), YEAR_FIRST, Fill(0.95, 0.74, 5)))},
    ),
    ("S4", MET, "coverage.met", {"e_it_place": Place.IT_INPUT}),
    ("S4", ATTESTED, "coverage.met", {"e_it": ATTESTED_TOTAL}),
    ("S4", UNKNOWN, "meter.none", {"e_it_place": None}),
    ("S4", UNKNOWN, "meter.place", {"e_it_place": Place.AGENTS}),
    ("S4", UNKNOWN, "meter.place", {"e_it_place": Place.UPS_INPUT}),
    ("S4", UNKNOWN, "coverage.share", {"e_it": metered(HOLED)}),
    ("S5", MET, "indicator.known", {}),
    ("S5", MET, "indicator.known", {"pue": (kpi(2.4),)}),
    ("S5", ATTESTED, "indicator.known", {"pue": (kpi(1.4, status=KpiStatus.MIXED),)}),
    ("S5", ATTESTED, "indicator.known", {"pue": (kpi(1.4, status=KpiStatus.ATTESTED),)}),
    ("S5", MET, "indicator.known", {"pue": (kpi(1.4, status=KpiStatus.MIXED), kpi(1.41))}),
    ("S5", UNKNOWN, "indicator.none", {"pue": ()}),
    ("S5", UNKNOWN, "indicator.withheld", {"pue": (kpi(None),)}),
    (
        "S5",
        UNKNOWN,
        "indicator.other_period",
        {"pue": (kpi(1.4, period_kind=PeriodKind.INTERIM, label="iPUE1"),)},
    ),
    ("S5", UNKNOWN, "indicator.uncategorised", {"pue": (kpi(1.4, category=None),)}),
    ("S5", UNKNOWN, "indicator.uncategorised", {"pue": (kpi(1.4, status=KpiStatus.ESTIMATED),)}),
    ("S5", EXEMPT, "exempt", {"pue": (), "exemptions": (exempt("S5"),)}),
    ("S6", MET, "indicator.known", {}),
    ("S6", MET, "indicator.known", {"wue": (kpi(0.0, category=None),)}),
    ("S6", ATTESTED, "indicator.known", {"wue": (kpi(0.3, status=KpiStatus.ATTESTED),)}),
    ("S6", ATTESTED, "water.dry", {"wue": (), "dry": signed("dry")}),
    ("S6", UNKNOWN, "water.unconfirmed", {"wue": (), "dry": signed("dry", confirmed_by="")}),
    ("S6", UNKNOWN, "water.unconfirmed", {"wue": (), "dry": signed("dry", confirmed_by="first")}),
    ("S6", UNKNOWN, "indicator.none", {"wue": ()}),
    (
        "S6",
        UNKNOWN,
        "indicator.uncategorised",
        {"wue": (kpi(0.3, rule_status=RuleStatus.ADOPTED_PENDING),)},
    ),
    ("S6", EXEMPT, "exempt", {"wue": (), "exemptions": (exempt("S6"),)}),
    ("S7", MET, "hours.within", {}),
    ("S7", MET, "hours.within", {"rows": (intake(bands(0.0, 0.891, beyond=0.009)),)}),
    ("S7", ATTESTED, "hours.attested_within", {"rows": (intake(bands(0.5), bands(0.95)),)}),
    ("S7", ATTESTED, "hours.attested_within", {"rows": (intake(None, bands(0.95), sensors=()),)}),
    (
        "S7",
        ATTESTED,
        "hours.attested_within",
        {"rows": (intake(bands(0.95)), intake(None, bands(0.95), place="row 2"))},
    ),
    (
        "S7",
        ATTESTED,
        "hours.attested_within",
        {"rows": (intake(bands(0.95), bands(0, beyond=1.0)), intake(None, bands(0.95)))},
    ),
    ("S5", UNKNOWN, "indicator.other_period", {"pue": (kpi(1.4, period_kind=PeriodKind.LONGER),)}),
    ("S7", FAILED, "hours.beyond", {"rows": (intake(bands(0.98, beyond=0.0101)),)}),
    ("S7", FAILED, "hours.beyond", {"rows": (intake(bands(0.98, under=0.0101), bands(1.0)),)}),
    ("S7", UNKNOWN, "hours.none", {"rows": ()}),
    ("S7", UNKNOWN, "hours.unmeasured", {"rows": (intake(bands(0.899)),)}),
    # A quarter's hours, all of them good, are 25 % of the twelve months.
    ("S7", UNKNOWN, "hours.unmeasured", {"rows": (intake(bands(1.0, days=92)),)}),
    ("S7", UNKNOWN, "hours.other_window", {"rows": (intake(bands(1.0, days=400)),)}),
    ("S7", UNKNOWN, "hours.other_envelope", {"rows": (intake(bands(1.0, envelope="A4")),)}),
    (
        "S7",
        UNKNOWN,
        "hours.unmeasured",
        {"rows": (intake(bands(1.0)), intake(bands(0.5), place="row 2"))},
    ),
    (
        "S7",
        UNKNOWN,
        "intake.rows_without_sensor",
        {"rows": (intake(bands(0.95)), intake(None, sensors=()))},
    ),
    ("S7", UNKNOWN, "intake.set_point_absent", {"set_point": ""}),
    # 99 % of 90 % is 0.891; one in ten thousand less fails, whoever counted.
    ("S7", ATTESTED, "hours.attested_within", {"rows": (intake(None, told(0.9, 0.891)),)}),
    ("S7", FAILED, "hours.attested_beyond", {"rows": (intake(None, told(0.9, 0.8909)),)}),
    (
        "S7",
        UNKNOWN,
        "hours.attested_short",
        {"rows": (intake(bands(0.5), told(0.8999), attested_by=("entry-7",)),)},
    ),
    ("S7", UNKNOWN, "intake.set_point_short", {"set_point": "", **set_points(0.9, 0.8999)}),
    ("S7", ATTESTED, "hours.set_point_attested", {"set_point": "", **set_points(0.9, 1.0)}),
    (
        "S7",
        FAILED,
        "hours.beyond",
        {"set_point": "", "rows": (intake(bands(0.5, beyond=0.5)),), **set_points(1.0)},
    ),
    ("S7", MET, "hours.within", set_points(0.1)),
    ("S7", EXEMPT, "exempt", {"rows": (), "exemptions": (exempt("S7"),)}),
    ("S8", MET, "hours.within", {"rows": (intake(bands(0.9, 0.1)),)}),
    ("S8", ATTESTED, "hours.attested_within", {"rows": (intake(None, bands(0.95)),)}),
    ("S8", FAILED, "hours.over_cooled", {"rows": (intake(bands(0.89, below=0.11)),)}),
    # 90 % of 90 % is 0.81.
    ("S8", ATTESTED, "hours.attested_within", {"rows": (intake(None, told(0.9, 0.9, 0.81)),)}),
    (
        "S8",
        FAILED,
        "hours.attested_over_cooled",
        {"rows": (intake(None, told(0.9, 0.9, 0.8099)),)},
    ),
    (
        "S8",
        MET,
        "hours.reviewed",
        {
            "rows": (intake(bands(0.5, below=0.5)),),
            "reviews": (Review(document("r", date(2025, 12, 31)), "old equipment"),),
        },
    ),
    (
        "S8",
        FAILED,
        "hours.over_cooled",
        {
            "rows": (intake(bands(0.5, below=0.5)),),
            "reviews": (Review(document("r", date(2025, 12, 30)), "old equipment"),),
        },
    ),
    ("S8", FAILED, "document.expired", {"reviews": (Review(document("r", date(2025, 12, 30))),)}),
    ("S8", UNKNOWN, "document.absent", {"reviews": ()}),
    ("S8", UNKNOWN, "hours.none", {"rows": ()}),
    ("S8", EXEMPT, "exempt", {"rows": (), "exemptions": (exempt("S8"),)}),
    ("S9", MET, "hours.within", {}),
    ("S9", ATTESTED, "hours.attested_within", {"humidity": (intake(None, bands(0.95)),)}),
    ("S9", FAILED, "hours.attested_beyond", {"humidity": (intake(None, told(1.0, 0.9)),)}),
    ("S9", FAILED, "hours.beyond", {"humidity": (intake(bands(0.9, under=0.1)),)}),
    ("S9", UNKNOWN, "hours.none", {"humidity": ()}),
    ("S9", EXEMPT, "exempt", {"humidity": (), "exemptions": (exempt("S9"),)}),
    ("S10", MET, "interval.hourly", {"slowest_interval_s": 3600}),
    ("S10", MET, "interval.daily", {"slowest_interval_s": 86400}),
    ("S10", FAILED, "interval.slow", {"slowest_interval_s": 86401}),
    ("S10", UNKNOWN, "interval.none", {"slowest_interval_s": None}),
    ("S10", EXEMPT, "exempt", {"slowest_interval_s": None, "exemptions": (exempt("S10"),)}),
    ("S11", MET, "refrigerants.within", {}),
    ("S11", FAILED, "refrigerants.beyond", {"refrigerants": (Refrigerant("R-Y", 675.1),)}),
    (
        "S11",
        UNKNOWN,
        "refrigerants.unknown",
        {"refrigerants": (Refrigerant("R-X", 600.0), Refrigerant("R-Y", None))},
    ),
    ("S11", UNKNOWN, "refrigerants.absent", {"refrigerants": ()}),
    (
        "S11",
        FAILED,
        "refrigerants.beyond",
        {"refrigerants": (Refrigerant("R-Y", 1430.0),), "no_claim": exempt("S11")},
    ),
    (
        "S11",
        FAILED,
        "refrigerants.beyond",
        {"refrigerants": (Refrigerant("R-Y", 1430.0),), "taxonomy_claim": False},
    ),
    (
        "S11",
        EXEMPT,
        "refrigerants.no_claim",
        {
            "refrigerants": (Refrigerant("R-Y", 1430.0),),
            "taxonomy_claim": False,
            "no_claim": exempt("S11"),
        },
    ),
    ("S12", MET, "reporting.done", {}),
    (
        "S12",
        MET,
        "reporting.below_threshold",
        {"reporting": LegalReporting(kind=ReportingKind.BELOW_THRESHOLD, document=document("d"))},
    ),
    (
        "S12",
        FAILED,
        "reporting.late",
        {"reporting": LegalReporting(kind=ReportingKind.DONE, document=document("d"), year=2024)},
    ),
    ("S12", UNKNOWN, "reporting.absent", {"reporting": None}),
    (
        "S12",
        UNKNOWN,
        "reporting.absent",
        {"reporting": LegalReporting(kind=ReportingKind.DONE, document=document("d"))},
    ),
    (
        "S12",
        EXEMPT,
        "reporting.operators",
        {"reporting": LegalReporting(kind=ReportingKind.OPERATORS, document=document("d"))},
    ),
    # 22 September to 31 December is 100 days.
    ("S13", MET, "report.issued", {"reports": (document("r", date(2026, 9, 22)),)}),
    ("S13", FAILED, "report.old", {"reports": (document("r", date(2026, 9, 21)),)}),
    ("S13", UNKNOWN, "report.absent", {"reports": ()}),
    ("S13", UNKNOWN, "report.absent", {"reports": (document("r", date(2027, 1, 20)),)}),
    ("S13", EXEMPT, "exempt", {"reports": (), "exemptions": (exempt("S13"),)}),
    ("S14", MET, "register.kept", {}),
    ("S14", FAILED, "register.short", {"meters": MeterRegister(since=YEAR_FIRST, kept_years=9)}),
    (
        "S14",
        FAILED,
        "register.incomplete",
        {"meters": MeterRegister(since=YEAR_FIRST, kept_years=10, without_history=("m1",))},
    ),
    ("S14", UNKNOWN, "register.absent", {"meters": None}),
    ("S14", EXEMPT, "exempt", {"meters": None, "exemptions": (exempt("S14"),)}),
    (
        "S15",
        MET,
        "invoices.agree",
        {"invoices": (*invoices(Commodity.ELECTRICITY, 102.0), *invoices(Commodity.WATER, 95.0))},
    ),
    (
        "S15",
        FAILED,
        "invoices.disagree",
        {"invoices": (*invoices(Commodity.ELECTRICITY, 102.1), *WATER)},
    ),
    (
        "S15",
        FAILED,
        "invoices.disagree",
        {"invoices": (*ELECTRICITY, *invoices(Commodity.WATER, 94.9))},
    ),
    (
        "S15",
        FAILED,
        "invoices.disagree",
        {"invoices": (*ELECTRICITY, *invoices(Commodity.WATER, 1.0, invoiced=0.0))},
    ),
    (
        "S15",
        MET,
        "invoices.agree",
        {"invoices": (*invoices(Commodity.ELECTRICITY, 150.0, cause="a leak"), *WATER)},
    ),
    ("S15", UNKNOWN, "invoices.absent", {"invoices": WATER}),
    (
        "S15",
        UNKNOWN,
        "invoices.absent",
        {"invoices": (*invoices(Commodity.ELECTRICITY, measured=None), *WATER)},
    ),
    # Eleven months without December are 334 of 365 days, ten without August too are 303: 83 %.
    ("S15", MET, "invoices.agree", {"invoices": (*ELECTRICITY[:11], *WATER)}),
    ("S15", UNKNOWN, "invoices.few", {"invoices": (*ELECTRICITY[:7], *ELECTRICITY[8:11], *WATER)}),
    ("S15", UNKNOWN, "invoices.few", {"invoices": (*ELECTRICITY[:6], *ELECTRICITY[:6], *WATER)}),
    (
        "S15",
        MET,
        "invoices.agree",
        {"invoices": ELECTRICITY, "dry": signed("dry"), "water": Metered()},
    ),
    (
        "S15",
        UNKNOWN,
        "invoices.absent",
        {"invoices": ELECTRICITY, "dry": signed("dry")},
    ),
    ("S15", EXEMPT, "exempt", {"invoices": (), "exemptions": (exempt("S15"),)}),
]
