"""Where two people are needed, who alone corrects what stands against a place improves nothing."""

from dataclasses import replace
from datetime import UTC, date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_collector import sites
from jauge_collector.compliance.attested_air import Levels, Rule, Told, with_attested
from jauge_collector.compliance.attested_set_points import mean, of_rooms
from jauge_collector.compliance.confirmed_ledger import ConfirmedLedger
from jauge_collector.registers.air_places import AirPlace
from jauge_collector.registers.documents import Document, DocumentKind
from jauge_collector.registers.evidence import completed
from jauge_collector.registers.files import Registers
from jauge_collector.registers.intake_hours import IntakeHours
from jauge_collector.registers.rooms import Place
from jauge_collector.registers.set_points import SetPoint
from jauge_models.compliance.evidence import Intake, SiteEvidence
from jauge_models.compliance.policy import Policy
from jauge_models.compliance.psychrometrics import TimeInBands
from jauge_models.compliance.site_criteria import site_criteria
from jauge_models.compliance.status import Status
from jauge_models.compliance.windows import Window

from tests.collector.compliance.test_attested_air import (
    BARE,
    SIGNED,
    TWO,
    annex,
    attest,
    hours,
    without_sensor,
)
from tests.collector.compliance.test_invoices import bill, month
from tests.collector.compliance.yard import DAY, END, HOUR, KWH, START, Yard

WINDOW = Window(date(2025, 1, 1), date(2025, 12, 31))
RACK = ("--room", "R", "--row", "1", "--rack", "A1")
ROOM = ("--room", "R")
SECOND = ("--signatory", "second")


def two_people(yard: Yard, capsys: pytest.CaptureFixture[str], *keys: int) -> None:
    """From now on the policy asks for two people, and another one has confirmed some entries."""
    yard.edit("policy.toml", "two_people = []", TWO)
    for key in keys:
        attest(yard, capsys, "--confirm", str(key), *SECOND)


@pytest.mark.parametrize("place", [RACK, ("--room", "R", "--row", "1")], ids=["rack", "row"])
def test_bad_hours_under_correction_let_no_wider_place_speak(
    yard: Yard, capsys: pytest.CaptureFixture[str], place: tuple[str, ...]
) -> None:
    """Neither the old nor the room's, until the second person; then the new one."""
    without_sensor(yard)
    room = hours(yard, capsys, 8760, 8760, 8760, place=ROOM)["id"]
    bad = hours(yard, capsys, 8760, 0, 0, place=place)["id"]
    two_people(yard, capsys, room, bad)
    assert yard.status("S7") == ("not_met", "hours.attested_beyond")
    new = hours(yard, capsys, 8760, 8700, 8000, place=place, more=("--corrects", str(bad)))["id"]
    found = yard.criterion("S7")
    assert (found["status"], found["evidence"]) == ("not_measured", [])
    assert yard.server_status("SRV-1", "V4")[0] == "not_measured"
    attest(yard, capsys, "--confirm", str(new), *SECOND)
    found = yard.criterion("S7")
    assert found["status"] == "met_attested"
    assert f"entry:{new}" in found["evidence"]
    assert yard.server_status("SRV-1", "V4")[0] == "met_attested"


def test_a_correction_of_a_correction_withdraws_as_much(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last confirmed of a chain stays withdrawn, however often it is corrected, or moved."""
    without_sensor(yard)
    room = hours(yard, capsys, 8760, 8760, 8760, place=ROOM)["id"]
    bad = hours(yard, capsys, 8760, 0, 0, place=RACK)["id"]
    two_people(yard, capsys, room, bad)
    one = hours(yard, capsys, 8760, 8760, 8760, place=RACK, more=("--corrects", str(bad)))["id"]
    away = (*ROOM, "--row", "1", "--rack", "A2")
    yard.edit("rooms.csv", BARE, f"{BARE}R;1;A2;\n")
    two = hours(yard, capsys, 8760, 8760, 8760, place=away, more=("--corrects", str(one)))["id"]
    assert yard.status("S7")[0] == "not_measured"
    assert yard.server_status("SRV-1", "V4")[0] == "not_measured"
    attest(yard, capsys, "--confirm", str(two), *SECOND)
    assert yard.status("S7")[0] == "met_attested"
    assert yard.server_status("SRV-1", "V4")[0] == "met_attested"  # by the room's: none of A1


def test_a_narrower_place_still_speaks(yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
    """What is withdrawn of the room takes nothing from the row that has its own."""
    without_sensor(yard)
    room = hours(yard, capsys, 8760, 0, 0, place=ROOM)["id"]
    row = hours(yard, capsys, 8760, 8760, 8760)["id"]
    two_people(yard, capsys, room, row)
    hours(yard, capsys, 8760, 8760, 8760, place=ROOM, more=("--corrects", str(room)))
    assert yard.status("S7")[0] == "met_attested"


def test_without_a_second_person_a_correction_counts_at_once(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the policy asks for one alone."""
    without_sensor(yard)
    hours(yard, capsys, 8760, 8760, 8760, place=ROOM)
    bad = hours(yard, capsys, 8760, 0, 0, place=RACK)["id"]
    assert yard.status("S7")[0] == "not_met"
    hours(yard, capsys, 8760, 8700, 8000, place=RACK, more=("--corrects", str(bad)))
    assert yard.status("S7")[0] == "met_attested"


def test_the_warmest_weeks_cannot_be_taken_out_of_t_in(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """20 °C for 335 days and 40 °C for 30: without these the mean would be 20 °C, of 91.8 %."""
    keys = [
        attest(yard, capsys, "--set-point", celsius, *ROOM, "--from", first, "--to", end, *SIGNED)[
            "id"
        ]
        for celsius, first, end in (
            ("20", "2025-01-01", "2025-12-02"),
            ("40", "2025-12-02", "2026-01-01"),
        )
    ]
    two_people(yard, capsys, *keys)
    assert annex(yard, capsys)["value"] == pytest.approx((20 * 335 + 40 * 30) / 365)
    span = ("--from", "2025-12-02", "--to", "2026-01-01")
    words = ("--set-point", "22", *ROOM, *span, *SIGNED, "--corrects", str(keys[1]))
    new = attest(yard, capsys, *words)["id"]
    row = annex(yard, capsys)
    assert (row["value"], row["status"]) == (None, "to_be_supplied")
    attest(yard, capsys, "--confirm", str(new), *SECOND)
    assert annex(yard, capsys)["value"] == pytest.approx((20 * 335 + 22 * 30) / 365)


def test_an_older_review_does_not_speak_for_one_under_correction(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """The older says why rooms are over-cooled, the newer does not: S8 is not met, or open."""
    yard.edit("documents.csv", "D-4;t;d.pdf;set_point_review;2025-03-01;;\n", "")
    yard.write("gw/sensor:cold", [(at * HOUR, 16.0) for at in range(365 * 24 + 1)])
    yard.edit("rooms.csv", "gw/sensor:in-1", "gw/sensor:cold")
    paper = ("--document", str(yard.folder / "d.pdf"))
    words = ("--certificate", "set_point_review", *SIGNED, *paper)
    why = ("--statement", "a tape library stands there")
    old = attest(yard, capsys, *words, "--from", "2025-03-01", *why)["id"]
    new = attest(yard, capsys, *words, "--from", "2025-06-01")["id"]
    two_people(yard, capsys, old, new)
    before = yard.status("S8")
    assert before[0] == "not_met"
    more = ("--from", "2025-06-01", *why, "--corrects", str(new))
    last = attest(yard, capsys, *words, *more)["id"]
    assert yard.status("S8")[0] in {"not_met", "not_measured"}
    assert not yard.server_status("SRV-1", "V4")[0].startswith("met")
    attest(yard, capsys, "--confirm", str(last), *SECOND)
    assert yard.status("S8")[0] == "met"


def test_an_invoice_that_disagrees_cannot_be_taken_away(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """The eleven others would be 334 of 365 days, which is enough."""
    bill(yard, "tank")
    bill(yard, "dc", months=range(1, 12))
    month(yard, "dc", 0, 2.0, "--invoice")
    listed = attest(yard, capsys, "--list")
    two_people(yard, capsys, *(one["id"] for one in listed))
    assert yard.status("S15") == ("not_met", "invoices.disagree")
    month(yard, "dc", 0, 1.0, "--invoice", "--corrects", str(max(one["id"] for one in listed)))
    assert yard.status("S15") == ("not_measured", "invoices.absent")


def test_a_dial_reading_that_fits_no_other_cannot_be_taken_away(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """100, 50, 150: the dial was reset, and nothing says what flowed in January and February."""
    meter = '[[meters]]\nid = "hand"\ncommodity = "electricity"\n'
    yard.edit("yard.toml", "[[hosts]]", f"{meter}[[hosts]]")

    def read(value: float, at: str, *more: str) -> int:
        words = ("--meter", "hand", "--reading", str(value), "--unit", "kWh", "--at", at)
        return int(attest(yard, capsys, *words, *SIGNED, *more)["id"])

    keys = [read(100, "2025-01-01"), read(50, "2025-02-01"), read(150, "2025-03-01")]
    two_people(yard, capsys, *keys)

    def known() -> list[tuple[int, float]]:
        site = sites.load(yard.folder / "yard.toml")
        with ConfirmedLedger(yard.folder / "ledger.db", site) as ledger:
            rows = ledger.rows("yard", ["hand"], START, END)["hand"]
        return [
            (round((row.start_ms - START) / DAY), row.amount / KWH)
            for row in rows
            if row.covered_ms and row.amount is not None
        ]

    assert known() == [(31, 100.0)]
    new = read(120, "2025-02-01", "--corrects", str(keys[1]))
    assert known() == []
    attest(yard, capsys, "--confirm", str(new), *SECOND)
    assert known() == [(0, 20.0), (31, 30.0)]


# --- whatever is withdrawn

RULE = Rule(WINDOW, UTC, "A2", 0.9)
PIECES = ((0, 90), (90, 200), (200, 240), (240, 365))
"""Days of the window that one place may be told of."""


def _told(piece: int, good: bool, entry: int) -> IntakeHours:
    first, end = PIECES[piece]
    length = (end - first) * DAY
    day = date(2025, 1, 1) + timedelta(days=first)
    last = date(2025, 1, 1) + timedelta(days=end - 1)
    right = length if good else 0
    return IntakeHours(
        entry,
        AirPlace("R"),
        "temperature",
        "A2",
        day,
        last,
        START + first * DAY,
        START + end * DAY,
        length,
        right,
        right,
    )


_PLACE = st.lists(st.sampled_from([None, True, False]), min_size=4, max_size=4).map(
    lambda quality: tuple(
        _told(piece, good, piece) for piece, good in enumerate(quality) if good is not None
    )
)
_LEVELS = st.lists(st.lists(_PLACE, max_size=2).map(tuple), min_size=1, max_size=3).map(tuple)


def _is_shown(intake: Intake) -> bool:
    time = intake.with_attested
    if time is None or time.measured_ms < RULE.enough * 365 * DAY:
        return False
    return time.allowable_ms >= 0.99 * time.measured_ms


@given(_LEVELS, st.data())
def test_withdrawn_hours_never_show_what_was_not_shown(levels: Levels, data: st.DataObject) -> None:
    """Any of them, of any places, at one time."""

    def of(levels: Levels) -> bool:
        intake = Intake(place="R / 1", sensors=())
        return _is_shown(with_attested(intake, levels, RULE, lambda _: False))

    def some(told: Told) -> Told:
        return tuple(one._replace(is_withdrawn=data.draw(st.booleans())) for one in told)

    assert of(levels) or not of(tuple(tuple(map(some, level)) for level in levels))


@given(st.lists(st.tuples(st.sampled_from(range(4)), st.sampled_from([18.0, 40.0]))), st.data())
def test_withdrawn_set_points_never_make_another_mean(
    built: Path, pieces: list[tuple[int, float]], data: st.DataObject
) -> None:
    """T_IN is what it was, or it is not told."""
    registers = Registers(rooms=tuple(Place(line=n, room=r, row="1") for n, r in enumerate("RS")))
    site = sites.load(built / "yard.toml")
    known = [
        SetPoint(n, room, celsius, START + PIECES[at][0] * DAY, START + PIECES[at][1] * DAY)
        for n, (at, celsius) in enumerate(pieces)
        for room in "RS"
    ]
    gone = [one._replace(is_withdrawn=data.draw(st.booleans())) for one in known]
    before, after = (
        mean(of_rooms(points, registers, site, WINDOW), 0.5) for points in (known, gone)
    )
    assert after is None or after == before


_KINDS = (
    DocumentKind.PARTICIPANT_CERTIFICATE,
    DocumentKind.ENDORSER_CERTIFICATE,
    DocumentKind.ANNUAL_RETURN,
    DocumentKind.SET_POINT_REVIEW,
    DocumentKind.LEGAL_REPORT,
    DocumentKind.BELOW_THRESHOLD,
    DocumentKind.OPERATORS_REPORT,
)


@st.composite
def _documents(draw: st.DrawFn) -> tuple[Document, ...]:
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(_KINDS),
                st.integers(0, 800),
                st.sampled_from([None, 30, 2000]),
                st.sampled_from(["", "why"]),
                st.sampled_from([2020, 2024]),
            ),
            max_size=6,
        )
    )
    found = []
    for line, (kind, before, lasts, statement, year) in enumerate(rows):
        dated = WINDOW.last - timedelta(days=before)
        found.append(
            Document(
                line=line,
                id=f"entry:{line}",
                title="t",
                path="",
                kind=kind,
                dated=dated,
                valid_from=dated,
                valid_to=None if lasts is None else dated + timedelta(days=lasts),
                statement=statement,
                year=year,
                sha256="",
            )
        )
    return tuple(found)


@given(_documents(), st.data())
def test_withdrawn_certificates_never_show_what_was_not_shown(
    documents: tuple[Document, ...], data: st.DataObject
) -> None:
    """Of every criterion that papers decide."""
    mask = [data.draw(st.booleans()) for _ in documents]
    whole = Registers(documents=documents)
    rest = replace(
        whole,
        documents=tuple(d for d, gone in zip(documents, mask, strict=True) if not gone),
        withdrawn=tuple(d for d, gone in zip(documents, mask, strict=True) if gone),
    )
    cold = TimeInBands(envelope="A2", period_ms=365 * DAY, below_ms=365 * DAY)
    row = Intake(place="R / 1", sensors=("a",), measured=cold, with_attested=cold)
    bare = SiteEvidence(site="yard", rows=(row,))

    def shown(registers: Registers) -> set[str]:
        site = completed(bare, registers, WINDOW.last)
        found = site_criteria(site, Policy(), WINDOW.last)
        return {
            one.criterion
            for one in found
            if one.status.passes or one.status is Status.NOT_APPLICABLE
        }

    assert shown(rest) <= shown(whole)
