"""Site criteria: a case worked by hand for each status that each can take."""

from datetime import date
from typing import Any

import msgspec
import pytest
from jauge_models.boundaries import Place
from jauge_models.compliance.criteria import SITE_CRITERIA
from jauge_models.compliance.evidence import (
    Effect,
    LegalReporting,
    PracticeStatus,
    Refrigerant,
    ReportingKind,
    SiteEvidence,
)
from jauge_models.compliance.policy import Act
from jauge_models.compliance.site_criteria import site_criteria
from jauge_models.compliance.status import REASONS, Annotated, Annotation, CriterionResult, Status
from jauge_models.compliance.windows import Coverage, Fill
from jauge_models.effectiveness import PeriodKind
from jauge_models.effectiveness import Status as KpiStatus
from jauge_models.rules import RuleStatus

from tests.models.compliance.record import (
    AS_OF,
    HALF,
    HOLED,
    POLICY,
    YEAR_FIRST,
    action,
    bands,
    document,
    exempt,
    intake,
    kpi,
    metered,
    practice,
    practices,
    set_points,
    site,
    told,
)
from tests.models.compliance.site_cases import (
    ABSENT,
    ATTESTED,
    CASES,
    ELECTRICITY,
    EXEMPT,
    FAILED,
    MET,
    UNKNOWN,
    WATER,
    ten,
)


def found(evidence: SiteEvidence, criterion: str) -> CriterionResult:
    """One criterion of a site on 31 December 2026."""
    return {each.criterion: each for each in site_criteria(evidence, POLICY, AS_OF)}[criterion]


@pytest.mark.parametrize(
    ("criterion", "status", "why", "changes"),
    CASES,
    ids=[f"{case[0]}-{case[1]}-{case[2]}-{number}" for number, case in enumerate(CASES)],
)
def test_each_status_of_each_site_criterion(
    criterion: str, status: Status, why: str, changes: dict[str, Any]
) -> None:
    """The site of the record with one thing changed has the status and reason worked by hand."""
    result = found(site(**changes), criterion)
    assert (result.status, result.reason.key) == (status, why)
    assert tuple(result.reason.values) == REASONS[why]


def test_an_edition_counts_on_its_last_day() -> None:
    """Superseded on 30 June, it ends on 30 December."""
    evidence = site(practices=practices(*ten(), next_published=date(2026, 6, 30)))
    assert site_criteria(evidence, POLICY, date(2026, 12, 30))[2].status is MET
    assert site_criteria(evidence, POLICY, date(2026, 12, 31))[2].status is FAILED


def test_a_temperature_names_its_sensors_and_its_set_point() -> None:
    """And hours of another length say how long they are."""
    assert found(site(), "S7").evidence == ("t1", "log")
    longer = site(rows=(intake(bands(1.0, days=400)),))
    assert found(longer, "S7").reason.values == {"days": 400.0, "limit": 365}
    leap = site(rows=(intake(bands(1.0, days=366)),))
    assert found(leap, "S7").reason.values["measured"] == 1.0


def test_what_somebody_attested_is_named() -> None:
    """The entries behind attested hours and set points are evidence; measured hours need none."""
    rows = (intake(None, told(1.0, 1.0), sensors=(), attested_by=("entry-7", "entry-8")),)
    assert found(site(rows=rows), "S7").evidence == ("entry-7", "entry-8", "log")
    signed = site(set_point="", **set_points(1.0, 1.0))
    assert found(signed, "S7").evidence == ("t1", "entry-0", "entry-1")
    both = (intake(bands(0.95), told(1.0, 1.0), attested_by=("entry-7",)),)
    assert found(site(rows=both), "S8").evidence == ("t1", "review")
    short = site(set_point="", **set_points(0.5, 1.0, 0.8))
    assert found(short, "S7").reason.values == {"rooms": ("R0", "R2"), "limit": 0.9}
    assert found(short, "S7").evidence == ("entry-0", "entry-1", "entry-2")


def test_attesting_the_time_before_a_sensor_keeps_it_on_track() -> None:
    """Measured from July on, on track to 30 June; a signed January changes nothing of that.

    With all of the half-year before signed for, it is met - attested already.
    """
    start = date(2026, 7, 1)
    measured = bands(1.0, days=184)
    closes = (Annotation(Annotated.ON_TRACK, date(2027, 6, 30)),)
    for signed_for, first, status, notes in (
        (told(215 / 365, 215 / 365), YEAR_FIRST, UNKNOWN, closes),
        (told(1.0, 1.0), YEAR_FIRST, ATTESTED, ()),
        (told(1.0, 0.5), YEAR_FIRST, FAILED, ()),
    ):
        row = intake(
            measured,
            signed_for,
            first_day=start,
            first_with_attested=first,
            attested_by=("entry-7",),
        )
        result = found(site(rows=(row,)), "S7")
        assert (result.status, result.annotations) == (status, notes)


def test_only_what_rests_on_a_practice_has_its_number() -> None:
    """S3 rests on a regulation, though the register holds practices without a topic."""
    assert (found(site(), "S3").numbers, found(site(), "S13").numbers) == ((), ("written_report",))


def test_a_simulated_figure_is_judged_as_if_measured() -> None:
    """The site says that it is simulated; a withheld figure says why."""
    simulated = site(pue=(kpi(1.4, status=KpiStatus.SIMULATED),), simulated=True)
    assert found(simulated, "S5").status is MET
    assert found(site(pue=(kpi(None),)), "S5").reason.values["text"] == "not measured"


def test_refrigerants_on_the_limit_are_not_named() -> None:
    """Of 675 and 700 only the second is beyond."""
    two = (Refrigerant("R-X", 675.0), Refrigerant("R-Y", 700.0))
    assert found(site(refrigerants=two), "S11").reason.values["names"] == ("R-Y",)


def test_values_say_the_lesser_of_what_was_measured() -> None:
    """Of total and joint coverage, of two rows, of two places; the first commodity that lacks."""
    joint = Coverage(Fill(0.92, 0.9, 2.0), YEAR_FIRST, Fill(0.92, 0.9, 2.0))
    assert found(site(joint=metered(joint)), "S3").reason.values["share"] == 0.92
    rows = (intake(bands(0.92)), intake(bands(0.96), place="row 2"))
    assert found(site(rows=rows), "S7").reason.values["measured"] == pytest.approx(0.92)
    few = site(invoices=(*ELECTRICITY[:6], *WATER[:9]))
    assert found(few, "S15").reason.values["commodity"] == "electricity"
    assert found(few, "S15").reason.values["share"] == pytest.approx(181 / 365)


def test_every_status_that_a_row_names_has_a_case() -> None:
    """The cases and the rows of criteria name the same statuses."""
    tried: dict[str, set[Status]] = {}
    for criterion, status, _, _ in CASES:
        tried.setdefault(criterion, set()).add(status)
    assert tried == {row.id: set(row.statuses) for row in SITE_CRITERIA}


def test_of_nothing_on_file_nothing_is_met_and_nothing_fails() -> None:
    """A bare site is not measured throughout."""
    results = site_criteria(ABSENT, POLICY, AS_OF)
    assert {each.criterion: each.status for each in results} == {
        row.id: UNKNOWN for row in SITE_CRITERIA
    }


@pytest.mark.parametrize("criterion", ["S3", "S4"])
def test_an_exemption_never_passes_the_energy_meters(criterion: str) -> None:
    """S3 and S4 stay not measured with a complete exemption."""
    bare = SiteEvidence(site="bare", exemptions=(exempt(criterion),))
    assert found(bare, criterion).status is UNKNOWN


@pytest.mark.parametrize("lacking", [{"justification": ""}, {"name": ""}])
def test_an_incomplete_exemption_counts_as_none(lacking: dict[str, str]) -> None:
    """Justification and name are both needed."""
    bare = SiteEvidence(site="bare", exemptions=(exempt("S9", **lacking),))
    assert found(bare, "S9").status is UNKNOWN


def test_an_exemption_hides_no_failure() -> None:
    """Measured hours beyond the range stay not met."""
    evidence = site(rows=(intake(bands(0.5, beyond=0.5)),), exemptions=(exempt("S7"),))
    assert found(evidence, "S7").status is FAILED


def test_the_policy_can_ask_two_people_for_an_exemption() -> None:
    """With the act in the policy a single name is not enough."""
    strict = msgspec.structs.replace(POLICY, two_people=frozenset(Act))
    for second, status in (("", UNKNOWN), ("somebody", UNKNOWN), ("another", EXEMPT)):
        bare = SiteEvidence(site="bare", exemptions=(exempt("S9", confirmed_by=second),))
        assert site_criteria(bare, strict, AS_OF)[9].status is status


def test_a_new_meter_is_on_track_until_its_twelve_months_are_over() -> None:
    """Faultless from 3 July 2026 on: not measured, and the window closes on 2 July 2027."""
    result = found(site(e_dc=metered(HALF), joint=metered(HALF)), "S3")
    assert result.status is UNKNOWN
    assert result.annotations == (Annotation(Annotated.ON_TRACK, date(2027, 7, 2)),)


def test_a_pue_is_on_track_where_its_meters_have_a_place() -> None:
    """Both meters from 3 July on; summed from agents it would be in no category after a year."""
    interim = (kpi(1.4, period_kind=PeriodKind.INTERIM, label="iPUE1"),)
    young = site(pue=interim, joint=metered(HALF))
    assert found(young, "S5").annotations == (Annotation(Annotated.ON_TRACK, date(2027, 7, 2)),)
    agents = site(pue=interim, joint=metered(HALF), e_it_place=Place.AGENTS)
    assert found(agents, "S5").annotations == ()


def test_a_water_meter_is_on_track_too() -> None:
    """From 3 July on."""
    young = found(site(wue=(kpi(None),), water=metered(HALF)), "S6")
    assert young.annotations == (Annotation(Annotated.ON_TRACK, date(2027, 7, 2)),)


def test_a_bad_meter_is_not_on_track() -> None:
    """The same coverage with its holes since the start carries no annotation."""
    assert found(site(e_dc=metered(HOLED)), "S3").annotations == ()


def test_the_later_of_two_new_meters_closes_the_window() -> None:
    """E_DC from 3 July, together with E_IT only from 1 September: 31 August 2027."""
    joint = Coverage(Fill(0.33, 0.0, 243.0), date(2026, 9, 1), Fill(1.0, 1.0, 0.0))
    result = found(site(e_dc=metered(HALF), joint=metered(joint)), "S3")
    assert result.annotations == (Annotation(Annotated.ON_TRACK, date(2027, 8, 31)),)


def test_new_sensors_are_on_track_where_the_range_is_held() -> None:
    """184 good days since 1 July: S7 and S8 close on 30 June 2027; over-cooled, only S7 does."""
    start = date(2026, 7, 1)
    good = site(rows=(intake(bands(1.0, days=184), first_day=start),))
    cold = site(rows=(intake(bands(0.5, below=0.5, days=184), first_day=start),))
    edge = site(rows=(intake(bands(0.9, above=0.1, days=184), first_day=start),))
    closes = (Annotation(Annotated.ON_TRACK, date(2027, 6, 30)),)
    assert found(edge, "S8").annotations == closes
    assert found(good, "S7").annotations == closes
    assert found(good, "S8").annotations == closes
    assert found(cold, "S7").annotations == closes
    assert found(cold, "S8").annotations == ()
    later = intake(bands(1.0, days=31), place="row 2", first_day=date(2026, 12, 1))
    both = site(rows=(intake(bands(1.0, days=184), first_day=start), later))
    assert found(both, "S7").annotations == (Annotation(Annotated.ON_TRACK, date(2027, 11, 30)),)
    hot = site(rows=(intake(bands(0.9, beyond=0.1, days=184), first_day=start),))
    assert found(hot, "S7").annotations == ()


def test_an_action_is_shown_until_its_criterion_is_met() -> None:
    """The last of two actions dates the plan; a measurement takes twelve months."""
    actions = (
        action("S9", date(2027, 3, 1)),
        action("S9", date(2027, 2, 1), effect=Effect.AFTER_TWELVE_MONTHS),
    )
    planned = found(site(humidity=(), actions=actions), "S9")
    assert planned.status is UNKNOWN
    assert planned.annotations == (Annotation(Annotated.PLANNED, date(2028, 1, 31)),)
    assert found(site(actions=actions), "S9").annotations == ()


def test_the_objectives_are_shown_and_not_required() -> None:
    """A PUE of 1.5 does not reach « below 1.5 »; a WUE of 0.4 reaches « at most 0.4 »."""
    evidence = site(pue=(kpi(1.5),), wue=(kpi(0.4, category=None),))
    assert found(evidence, "S5").reason.values["reached"] is False
    assert found(evidence, "S6").reason.values["reached"] is True
    assert {found(evidence, each).status for each in ("S5", "S6")} == {MET}


def test_the_four_counts_of_practices_are_given() -> None:
    """Seven implemented, one of each other kind."""
    rows = [
        *(practice(str(n)) for n in range(7)),
        practice("e", status=PracticeStatus.ENDORSED, in_control="operator"),
        practice("n", status=PracticeStatus.NOT_APPLICABLE, justification="x"),
        practice("p", status=PracticeStatus.PLANNED),
    ]
    why = found(site(practices=practices(*rows)), "S2").reason
    assert why.values == {
        "implemented": 7,
        "endorsed": 1,
        "not_applicable": 1,
        "planned": 1,
        "practices": ("p",),
    }


def test_a_practice_from_memory_is_never_printed_as_a_text() -> None:
    """S8 rests on a practice: without number and page the basis is empty and from memory."""
    referenced = found(site(), "S8")
    assert (referenced.rule_status, referenced.numbers) == (
        RuleStatus.IN_FORCE,
        ("intake_temperature",),
    )
    for row in (
        practice("5.3.1", topic="intake_temperature", page=""),
        practice("", topic="intake_temperature"),
        practice("5.3.1", topic="intake_temperature", status_of_text=RuleStatus.MEMORY),
    ):
        remembered = found(site(practices=practices(row)), "S8")
        assert (remembered.rule_status, remembered.basis, remembered.numbers) == (
            RuleStatus.MEMORY,
            "",
            (),
        )


def test_the_legal_report_is_due_on_15_may() -> None:
    """On 14 May 2026 the year 2024 is due, on 15 May the year 2025."""
    proof = LegalReporting(kind=ReportingKind.DONE, document=document("d"), year=2024)
    evidence = SiteEvidence(site="x", reporting=proof)
    assert site_criteria(evidence, POLICY, date(2026, 5, 14))[12].status is MET
    assert site_criteria(evidence, POLICY, date(2026, 5, 15))[12].status is FAILED
