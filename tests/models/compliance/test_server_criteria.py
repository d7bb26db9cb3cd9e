"""Server criteria: a case worked by hand for each status that each can take."""

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from jauge_models.compliance.criteria import SERVER_CRITERIA
from jauge_models.compliance.denominator import Inventory
from jauge_models.compliance.evidence import (
    DeclaredEnvelope,
    Electricity,
    Note,
    Participation,
    PowerManagement,
    Review,
    ServerEvidence,
    SiteEvidence,
    Use,
)
from jauge_models.compliance.policy import Policy
from jauge_models.compliance.psychrometrics import CLASSES, Humidity, written_range
from jauge_models.compliance.results import assess
from jauge_models.compliance.status import (
    REASONS,
    Annotated,
    Annotation,
    CriterionResult,
    Result,
    Status,
)
from jauge_models.compliance.windows import NOTHING
from jauge_models.rules import RuleStatus

from tests.models.compliance.record import (
    AS_OF,
    FULL,
    POLICY,
    QUARTER,
    action,
    bands,
    document,
    exempt,
    intake,
    metered,
    server,
    signed,
    site,
    told,
)

MET, ATTESTED = Status.MET, Status.MET_ATTESTED
FAILED, UNKNOWN, EXEMPT = Status.NOT_MET, Status.NOT_MEASURED, Status.NOT_APPLICABLE


def criteria(
    evidence: ServerEvidence, host: SiteEvidence | None = None, policy: Policy = POLICY
) -> dict[str, CriterionResult]:
    """The criteria of one server in one site on 31 December 2026."""
    record = assess([host or site()], Inventory((evidence,)), (), QUARTER, policy)
    return {each.criterion: each for each in record.servers[0].criteria}


def result(evidence: ServerEvidence, host: SiteEvidence | None = None) -> Result:
    """The result of one server in one site."""
    return assess([host or site()], Inventory((evidence,)), (), QUARTER, POLICY).servers[0].result


def days_ago(days: int) -> date:
    """A day before 31 December 2026."""
    return AS_OF - timedelta(days=days)


OLD, NEW = date(2020, 2, 29), date(2020, 3, 1)
WATER = written_range("rear door", 17, 45, reference="sheet", liquid=True)
AIR = written_range("appliance", 12, 30, reference="sheet")
NOTE = Note("kept for tests", "owner", date(2026, 5, 1))
BARE: dict[str, Any] = {"envelope": None, "intake": None}

Case = tuple[str, Status, str, dict[str, Any]]

CASES: list[Case] = [
    ("V1", MET, "inventory.complete", {}),
    *(
        ("V1", FAILED, "inventory.incomplete", {name: ""})
        for name in ("room", "rack", "serial", "owner", "used_by")
    ),
    ("V1", FAILED, "inventory.incomplete", {"rack": "", "exemptions": (exempt("V1"),)}),
    ("V2", MET, "site.met", {}),
    ("V2", UNKNOWN, "site.unknown", {"site": "elsewhere"}),
    ("V2", EXEMPT, "exempt", {"site": "elsewhere", "exemptions": (exempt("V2"),)}),
    ("V3", MET, "envelope.known", {}),
    ("V3", MET, "envelope.known", {"envelope": DeclaredEnvelope(name="H1")}),
    (
        "V3",
        MET,
        "envelope.known",
        {"envelope": DeclaredEnvelope(name="w", own=WATER, document=document("sheet"))},
    ),
    (
        "V3",
        FAILED,
        "envelope.without_document",
        {"envelope": DeclaredEnvelope(name="w", own=WATER)},
    ),
    ("V3", UNKNOWN, "envelope.unknown", {"envelope": None}),
    ("V3", UNKNOWN, "envelope.unknown", {"envelope": DeclaredEnvelope(name="B")}),
    ("V3", EXEMPT, "exempt", {"envelope": None, "exemptions": (exempt("V3"),)}),
    ("V4", MET, "hours.within", {}),
    # At the limits: 90 % measured; 99 % of it allowable; 90 % of it recommended.
    ("V4", MET, "hours.within", {"intake": intake(bands(0.81, 0.081, beyond=0.009))}),
    ("V4", UNKNOWN, "hours.unmeasured", {"intake": intake(bands(0.8999))}),
    ("V4", FAILED, "hours.beyond", {"intake": intake(bands(0.9, 0.0, beyond=0.01))}),
    ("V4", FAILED, "hours.over_cooled", {"intake": intake(bands(0.8, below=0.1))}),
    ("V4", FAILED, "hours.over_cooled", {"intake": intake(bands(0.8, above=0.1))}),
    ("V4", ATTESTED, "hours.attested_within", {"intake": intake(bands(0.5), bands(0.95))}),
    ("V4", FAILED, "hours.attested_beyond", {"intake": intake(None, told(1.0, 0.9899))}),
    ("V4", FAILED, "hours.attested_over_cooled", {"intake": intake(None, told(1.0, 1.0, 0.89))}),
    ("V4", UNKNOWN, "hours.none", {"intake": None}),
    ("V4", UNKNOWN, "hours.unmeasured", {"intake": intake(bands(1.0, days=92))}),
    ("V4", UNKNOWN, "hours.other_envelope", {"envelope": DeclaredEnvelope(name="A1")}),
    ("V4", UNKNOWN, "envelope.unknown", {"envelope": None}),
    (
        "V4",
        UNKNOWN,
        "envelope.unconfirmed",
        {"envelope": DeclaredEnvelope(name="H1"), "intake": intake(bands(1.0, envelope="H1"))},
    ),
    (
        "V4",
        MET,
        "hours.within",
        {
            "envelope": DeclaredEnvelope(name="w", own=WATER, document=document("sheet")),
            "intake": intake(bands(1.0, envelope="rear door")),
        },
    ),
    ("V4", EXEMPT, "exempt", {**BARE, "exemptions": (exempt("V4"),)}),
    # Commissioned 40, 30 and 29 days ago: 41, 31 and 30 days with the last one.
    (
        "V4",
        MET,
        "hours.within",
        {"valid_from": days_ago(40), "intake": intake(bands(0.9, days=41))},
    ),
    (
        "V4",
        UNKNOWN,
        "hours.unmeasured",
        {"valid_from": days_ago(40), "intake": intake(bands(1.0, days=36))},
    ),
    (
        "V4",
        MET,
        "hours.within",
        {"valid_from": days_ago(30), "intake": intake(bands(0.9, days=31))},
    ),
    (
        "V4",
        FAILED,
        "hours.beyond",
        {"valid_from": days_ago(30), "intake": intake(bands(0.9, beyond=0.1, days=31))},
    ),
    (
        "V4",
        UNKNOWN,
        "intake.young",
        {"valid_from": days_ago(29), "intake": intake(bands(1.0, days=30))},
    ),
    ("V5", MET, "electricity.measured", {"electricity": Electricity(measured=0.90)}),
    (
        "V5",
        ATTESTED,
        "electricity.attested",
        {"electricity": Electricity(measured=0.5, attested=0.4)},
    ),
    ("V5", UNKNOWN, "electricity.low", {"electricity": Electricity(measured=0.8999)}),
    ("V5", UNKNOWN, "electricity.low", {"electricity": Electricity(measured=0.5, estimated=0.5)}),
    ("V5", UNKNOWN, "electricity.none", {"electricity": None}),
    ("V5", UNKNOWN, "electricity.none", {"electricity": None, "exemptions": (exempt("V5"),)}),
    ("V7", MET, "ecodesign.on_file", {}),
    ("V7", FAILED, "ecodesign.absent", {"ecodesign": None, "bought": NEW}),
    ("V7", UNKNOWN, "ecodesign.purchase_unknown", {"ecodesign": None, "bought": None}),
    ("V7", EXEMPT, "ecodesign.bought_before", {"ecodesign": None, "bought": OLD}),
    ("V7", EXEMPT, "exempt", {"ecodesign": None, "bought": NEW, "exemptions": (exempt("V7"),)}),
    (
        "V7",
        FAILED,
        "ecodesign.absent",
        {"ecodesign": None, "bought": NEW, "exemptions": (exempt("V7", name=""), exempt("V8"))},
    ),
    ("V8", MET, "power_management.on", {}),
    (
        "V8",
        MET,
        "power_management.justified",
        {"power_management": PowerManagement(on=False, justification="latency")},
    ),
    (
        "V8",
        ATTESTED,
        "power_management.on",
        {"power_management": PowerManagement(on=True, attested=True)},
    ),
    ("V8", FAILED, "power_management.off", {"power_management": PowerManagement(on=False)}),
    ("V8", UNKNOWN, "power_management.unknown", {"power_management": None}),
    ("V8", EXEMPT, "exempt", {"power_management": None, "exemptions": (exempt("V8"),)}),
    ("V9", MET, "idle.busy", {"use": Use(0.05, 30)}),
    ("V9", MET, "idle.explained", {"use": Use(0.049, 30), "owners_note": NOTE}),
    ("V9", FAILED, "idle.unexplained", {"use": Use(0.049, 30)}),
    ("V9", UNKNOWN, "idle.unknown", {"use": Use(0.0, 29)}),
    *(
        ("V9", FAILED, "idle.unexplained", {"use": Use(0.0, 30), "owners_note": note})
        for note in (Note("", "owner", NEW), Note("kept", "", NEW))
    ),
    ("V9", UNKNOWN, "idle.unknown", {"use": None}),
    ("V9", EXEMPT, "exempt", {"use": None, "exemptions": (exempt("V9"),)}),
]

HOSTS: list[tuple[Status, dict[str, Any]]] = [
    (ATTESTED, {"e_dc": metered(NOTHING, with_attested=FULL)}),
    (ATTESTED, {"wue": (), "dry": signed("dry")}),
    (FAILED, {"participation": Participation.NONE}),
    (FAILED, {"participation": Participation.NONE, "rows": ()}),
    (FAILED, {"rows": (intake(bands(0.5, below=0.5)),)}),
    (UNKNOWN, {"practices": None}),
    (UNKNOWN, {"e_it_place": None}),
    (UNKNOWN, {"wue": ()}),
    (UNKNOWN, {"rows": ()}),
    (UNKNOWN, {"set_point": ""}),
    (UNKNOWN, {"reviews": ()}),
    (UNKNOWN, {"wue": (), "exemptions": (exempt("S6"),), "practices": None}),
    (EXEMPT, {"wue": (), "exemptions": (exempt("S6"),)}),
    (MET, {"verifications": (), "pue": (), "humidity": (), "invoices": (), "meters": None}),
]


@pytest.mark.parametrize(
    ("criterion", "status", "why", "changes"),
    CASES,
    ids=[f"{case[0]}-{case[1]}-{case[2]}-{number}" for number, case in enumerate(CASES)],
)
def test_each_status_of_each_server_criterion(
    criterion: str, status: Status, why: str, changes: dict[str, Any]
) -> None:
    """The server of the record with one thing changed has the status and reason worked by hand."""
    found = criteria(server(**changes))[criterion]
    assert (found.status, found.reason.key) == (status, why)
    assert tuple(found.reason.values) == REASONS[why]


@pytest.mark.parametrize(("status", "changes"), HOSTS)
def test_hosted_is_the_worst_of_what_is_asked_of_the_site(
    status: Status, changes: dict[str, Any]
) -> None:
    """V2 looks at S1a, S2 to S4, S6 to S8 and at nothing else."""
    assert criteria(server(), site(**changes))["V2"].status is status


def test_every_status_that_a_row_names_has_a_case() -> None:
    """The cases and the rows of criteria name the same statuses."""
    tried: dict[str, set[Status]] = {"V2": {status for status, _ in HOSTS}}
    for criterion, status, _, _ in CASES:
        tried.setdefault(criterion, set()).add(status)
    assert tried == {row.id: set(row.statuses) for row in SERVER_CRITERIA}


def test_the_policy_names_the_first_site_criterion() -> None:
    """With S1b in the policy a site without verification does not qualify, without S1a it does."""
    verified = msgspec.structs.replace(POLICY, participation="S1b")
    without = site(verifications=())
    assert criteria(server(), without, verified)["V2"].status is UNKNOWN
    assert criteria(server(), site(participation=None), verified)["V2"].status is MET


def test_a_young_server_is_on_track_until_thirty_days_are_over() -> None:
    """Commissioned 29 days ago: its window closes on the 30th day after, 1 January 2027."""
    young = server(valid_from=days_ago(29), intake=intake(bands(1.0, days=30)))
    assert criteria(young)["V4"].annotations == (Annotation(Annotated.ON_TRACK, date(2027, 1, 1)),)
    cold = server(valid_from=days_ago(29), intake=intake(bands(0.5, below=0.5, days=30)))
    assert criteria(cold)["V4"].annotations == ()


def test_the_review_of_the_site_stands_for_the_recommended_range() -> None:
    """Half the hours too cool: met where the site's review says why, and only the latest counts."""
    cold = server(intake=intake(bands(0.5, below=0.5)))
    older = Review(document("old", date(2026, 3, 1)), "old equipment")
    silent = Review(document("new", date(2026, 4, 1)))
    found = criteria(cold, site(reviews=(older,)))["V4"]
    assert (found.status, found.evidence) == (MET, ("t1", "old"))
    assert criteria(cold, site(reviews=(older, silent)))["V4"].status is FAILED


def test_a_late_sensor_or_meter_is_on_track() -> None:
    """Sensor and counter from 1 July 2026 on: both windows close on 30 June 2027."""
    start = date(2026, 7, 1)
    late = server(
        intake=intake(bands(1.0, days=184), first_day=start),
        electricity=Electricity(measured=0.5, first_day=start, since_first=0.9),
    )
    found = criteria(late)
    closes = (Annotation(Annotated.ON_TRACK, date(2027, 6, 30)),)
    assert (found["V4"].status, found["V4"].annotations) == (UNKNOWN, closes)
    assert (found["V5"].status, found["V5"].annotations) == (UNKNOWN, closes)
    holed = server(electricity=Electricity(measured=0.4, first_day=start, since_first=0.8))
    assert criteria(holed)["V5"].annotations == ()


def test_a_class_from_memory_judges_nothing_until_the_policy_confirms_it() -> None:
    """H1 is not measured by default, and judged by 18 to 22 °C once its row has a source."""
    dense = server(
        envelope=DeclaredEnvelope(name="H1"),
        intake=intake(bands(0.95, envelope="H1")),
    )
    found = criteria(dense)
    assert (found["V3"].rule_status, found["V3"].basis) == (RuleStatus.MEMORY, "")
    assert found["V4"].status is UNKNOWN
    rows = tuple(
        msgspec.structs.replace(row, status=RuleStatus.IN_FORCE, reference="page 9")
        if row.name == "H1"
        else row
        for row in CLASSES
    )
    confirmed = criteria(dense, policy=msgspec.structs.replace(POLICY, envelopes=rows))["V4"]
    assert (confirmed.status, confirmed.basis) == (MET, "page 9")


def test_a_written_range_recommends_air_like_every_class() -> None:
    """Air of a product without a class: 18 to 27 °C recommended; water: its own range."""
    assert (AIR.recommended, AIR.allowable) == ((18, 27), (12, 30))
    assert (WATER.recommended, WATER.allowable) == ((17, 45), (17, 45))


def test_results_follow_from_the_core() -> None:
    """One case per result; supporting criteria decide nothing."""
    assert result(server()) is Result.DEMONSTRATED
    assert result(server(ecodesign=None, use=Use(0, 60))) is Result.DEMONSTRATED
    assert result(server(electricity=Electricity(attested=1.0))) is Result.DECLARED
    assert result(server(), site(wue=(), dry=signed("dry"))) is Result.DECLARED
    assert result(server(electricity=None)) is Result.NOT_DEMONSTRATED
    assert result(server(rack="")) is Result.NOT_COMPLIANT
    assert result(server(rack="", electricity=None)) is Result.NOT_COMPLIANT
    apart = server(**BARE, exemptions=(exempt("V3"), exempt("V4")))
    assert result(apart) is Result.NOT_APPLICABLE
    assert result(msgspec.structs.replace(apart, electricity=None)) is Result.NOT_DEMONSTRATED


def test_an_action_is_shown_beside_a_server_criterion() -> None:
    """A planned power meter: not measured, planned."""
    found = criteria(server(electricity=None, actions=(action("V5"),)))["V5"]
    assert found.annotations == (Annotation(Annotated.PLANNED, date(2027, 3, 1)),)


def test_humidity_limits_are_those_of_the_regulation() -> None:
    """Table 6 of Regulation (EU) 2019/424, row by row; H1 is not of it."""
    rows = {row.name: (row.allowable, row.allowable_humidity) for row in CLASSES}
    assert rows.pop("H1") == ((5, 25), Humidity(-12, 17, 8, 80))
    assert rows == {
        "A1": ((15, 32), Humidity(-12, 17, 8, 80)),
        "A2": ((10, 35), Humidity(-12, 21, 8, 80)),
        "A3": ((5, 40), Humidity(-12, 24, 8, 85)),
        "A4": ((5, 45), Humidity(-12, 24, 8, 90)),
    }
    assert {row.recommended for row in CLASSES[:4]} == {(18, 27)}
    assert {row.recommended_humidity for row in CLASSES[:4]} == {Humidity(-9, 15, 0, 60)}
