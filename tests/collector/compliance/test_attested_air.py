"""Attested hours, set points and certificates through the command, to S7 to S9, V4 and T_IN."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from jauge_collector import cli
from jauge_collector.ledger import retention
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.verification import verify
from jauge_collector.registers.confirmations import confirmed

from tests.collector.compliance.yard import DAY, END, HOUR, SENSOR, START, Yard

YEAR = ("--from", "2025-01-01", "--to", "2026-01-01")
SIGNED = ("--signatory", "operator")
TWO = 'two_people = ["attestation"]'
BARE = "room;row;rack;intake\nR;1;A1;\n"


def attest(
    yard: Yard, capsys: pytest.CaptureFixture[str], *words: str, code: int = 0, as_json: bool = True
) -> Any:
    """The command over the yard: what it says as JSON, or its one line of stderr."""
    capsys.readouterr()
    config = str(yard.folder / "collector.toml")
    more = ("--json",) if as_json and not code else ()
    got = cli.main(["attest", "--site", "yard", "--config", config, *words, *more])
    out, err = capsys.readouterr()
    assert got == code, err or out
    return err if code else json.loads(out)


def hours(
    yard: Yard,
    capsys: pytest.CaptureFixture[str],
    *counted: float,
    place: tuple[str, ...] = ("--room", "R", "--row", "1"),
    span: tuple[str, ...] = YEAR,
    more: tuple[str, ...] = (),
    code: int = 0,
) -> Any:
    """Observed, allowable and recommended hours of a place."""
    names = ("--observed", "--allowable", "--recommended")
    told = [word for name, value in zip(names, counted, strict=True) for word in (name, f"{value}")]
    return attest(yard, capsys, *told, *place, *span, *SIGNED, *more, code=code)


def without_sensor(yard: Yard) -> None:
    """The rack keeps its place in the register, and nothing measures its air."""
    (yard.folder / "rooms.csv").write_text(BARE, encoding="utf-8")


def test_a_year_signed_for_is_met_attested_and_never_measured(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """S7, S8 and V4 by the limits of measured hours, with the entry as evidence."""
    without_sensor(yard)
    assert yard.status("S7") == ("not_measured", "intake.rows_without_sensor")
    told = hours(yard, capsys, 8760, 8700, 8000)
    assert told["account"] == "they stand where nothing was measured"
    for criterion in ("S7", "S8"):
        found = yard.criterion(criterion)
        assert (found["status"], found["reason"]["key"]) == (
            "met_attested",
            "hours.attested_within",
        )
        assert f"entry:{told['id']}" in found["evidence"]
    status, why = yard.server_status("SRV-1", "V4")
    assert (status, why["values"]["known"]) == ("met_attested", 1.0)
    assert yard.results()["SRV-1"] == "declared"


@pytest.mark.parametrize(
    ("place", "s7", "v4"),
    [
        (("--room", "R"), "met_attested", "met_attested"),
        (("--room", "R", "--row", "1"), "met_attested", "met_attested"),
        (("--room", "R", "--row", "1", "--rack", "A1"), "met_attested", "met_attested"),
        (("--room", "R", "--rack", "A1"), "met_attested", "met_attested"),
        (("--room", "R", "--row", "1", "--rack", "A2"), "met_attested", "not_measured"),
    ],
    ids=["room", "row", "rack", "rack without its row", "another rack of the row"],
)
def test_a_place_tells_of_what_stands_in_it(
    yard: Yard,
    capsys: pytest.CaptureFixture[str],
    place: tuple[str, ...],
    s7: str,
    v4: str,
) -> None:
    """A rack's hours tell of its row, as a sensor's do, and never of another rack's servers."""
    (yard.folder / "rooms.csv").write_text(f"{BARE}R;1;A2;\n", encoding="utf-8")
    hours(yard, capsys, 8760, 8760, 8760, place=place)
    assert yard.status("S7")[0] == s7
    assert yard.server_status("SRV-1", "V4")[0] == v4


def test_of_two_racks_the_worse_counts_and_a_short_one_takes_nothing_away(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """Good hours of A1 alone; then bad ones of A2 for a month, then for the year."""
    (yard.folder / "rooms.csv").write_text(f"{BARE}R;1;A2;\n", encoding="utf-8")
    a2 = ("--room", "R", "--row", "1", "--rack", "A2")
    hours(yard, capsys, 8760, 8760, 8760, place=(*a2[:-1], "A1"))
    january = ("--from", "2025-01-01", "--to", "2025-02-01")
    hours(yard, capsys, 744, 0, 0, place=a2, span=january)
    assert yard.status("S7") == ("met_attested", "hours.attested_within")
    rest = ("--from", "2025-02-01", "--to", "2026-01-01")
    hours(yard, capsys, 8016, 8016, 8016, place=a2, span=rest)
    assert yard.status("S7") == ("not_met", "hours.attested_beyond")
    assert yard.server_status("SRV-1", "V4")[0] == "met_attested"


def test_measured_hours_go_before(yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
    """Signing for a year that a sensor measured changes nothing, and the command says so."""
    told = hours(yard, capsys, 8760, 0, 0)
    assert f"do not count where {SENSOR} measured" in told["account"]
    assert yard.status("S7") == ("met", "hours.within")
    assert yard.server_status("SRV-1", "V4")[0] == "met"


def test_a_span_with_any_measured_hour_is_set_aside(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sensor from 1 July: the half-year before counts to its last day and not a day longer."""
    new = "gw/sensor:new"
    yard.edit("rooms.csv", SENSOR, new)
    first = (31 + 28 + 31 + 30 + 31 + 30) * 24
    yard.write(new, [(at * HOUR, 22.0) for at in range(first, 365 * 24 + 1)])
    long = ("--from", "2025-01-01", "--to", "2025-07-02")
    key = hours(yard, capsys, first + 24, first, first, span=long)["id"]
    assert yard.status("S7") == ("not_measured", "hours.unmeasured")
    fixed = ("--from", "2025-01-01", "--to", "2025-07-01")
    told = hours(yard, capsys, first, first, first, span=fixed, more=("--corrects", str(key)))
    assert told["account"] == "they stand where nothing was measured"
    found = yard.criterion("S7")
    assert (found["status"], found["reason"]["values"]["known"]) == ("met_attested", 1.0)
    assert found["evidence"] == [new, f"entry:{told['id']}", "D-3"]


def test_hours_of_another_class_or_partly_outside_the_window_do_not_count(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """The policy judges rooms by A2; hours are never spread over days."""
    without_sensor(yard)
    hours(yard, capsys, 8760, 8760, 8760, more=("--class", "A1"))
    hours(yard, capsys, 8784, 8784, 8784, span=("--from", "2024-12-31", "--to", "2026-01-01"))
    assert yard.status("S7")[0] == "not_measured"
    assert yard.server_status("SRV-1", "V4")[0] == "not_measured"


def test_a_moved_server_has_the_hours_of_where_it_stood(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """Until 1 July in A1, then in B1: each rack's half-year counts, the other halves do not."""
    (yard.folder / "rooms.csv").write_text(f"{BARE}R;2;B1;\n", encoding="utf-8")
    row = "SRV-1;SN1;R;1;A1;o;u;A2;2024-01-01;gw/host:SN1\n"
    moved = (
        "SRV-1;SN1;R;1;A1;o;u;A2;2024-01-01;2025-07-01;moved;gw/host:SN1\n"
        "SRV-1;SN1;R;2;B1;o;u;A2;2025-07-01;;;gw/host:SN1\n"
    )
    yard.edit("servers.csv", "valid_from;feeds", "valid_from;valid_to;removal;feeds")
    yard.edit("servers.csv", row, moved)
    yard.edit("servers.csv", "2024-01-01;gw/outlet:2", "2024-01-01;;;gw/outlet:2")
    half, other = (
        ("--from", "2025-01-01", "--to", "2025-07-01"),
        ("--from", "2025-07-01", "--to", "2026-01-01"),
    )
    a1, b1 = (("--room", "R", "--rack", rack) for rack in ("A1", "B1"))
    hours(yard, capsys, 4344, 4344, 4344, place=a1, span=half)
    hours(yard, capsys, 4416, 0, 0, place=a1, span=other)
    hours(yard, capsys, 4344, 0, 0, place=b1, span=half)
    assert yard.server_status("SRV-1", "V4")[0] == "not_measured"
    hours(yard, capsys, 4416, 4416, 4416, place=b1, span=other)
    assert yard.server_status("SRV-1", "V4")[0] == "met_attested"
    assert yard.server_status("SRV-2", "V4")[0] == "not_met"


def test_humidity_is_attested_apart(yard: Yard, capsys: pytest.CaptureFixture[str]) -> None:
    """Hours of temperature tell nothing of humidity; a dead sensor's 0 % sets nothing aside."""
    yard.edit("rooms.csv", "room;row;rack;intake\n", "room;row;rack;intake;humidity\n")
    yard.edit("rooms.csv", SENSOR, f"{SENSOR};gw/sensor:h")
    yard.write("gw/sensor:h", [(at * HOUR, 0.0) for at in range(365 * 24)], "humidity")
    hours(yard, capsys, 8760, 8760, 8760)
    assert yard.status("S9") == ("not_measured", "hours.none")
    hours(yard, capsys, 8760, 8700, 5000, more=("--humidity",))
    assert yard.status("S9") == ("met_attested", "hours.attested_within")
    assert yard.status("S7") == ("met", "hours.within")


def test_what_one_person_signs_counts_once_another_confirms(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a correction of what was confirmed takes it away until it is confirmed itself."""
    without_sensor(yard)
    yard.edit("policy.toml", "two_people = []", TWO)
    key = hours(yard, capsys, 8760, 8760, 8760)["id"]
    assert yard.status("S7")[0] == "not_measured"
    assert yard.json()["unconfirmed"] == 2  # and the bill of outlet2
    attest(yard, capsys, "--confirm", str(key), "--signatory", "second")
    assert yard.status("S7")[0] == "met_attested"
    hours(yard, capsys, 8760, 8760, 8760, more=("--corrects", str(key)))
    assert yard.status("S7")[0] == "not_measured"


def test_a_set_point_signed_for_stands_for_a_log(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """328.5 of 365 days are needed in each room; the hours stay measured, S7 is attested."""
    yard.edit("documents.csv", "D-3;t;d.pdf;set_point_log;2025-03-01;;\n", "")
    words = ("--set-point", "24", "--room", "R", *SIGNED)
    first = attest(yard, capsys, *words, "--from", "2025-01-01", "--to", "2025-07-01")
    assert yard.status("S7") == ("not_measured", "intake.set_point_short")
    second = attest(yard, capsys, *words, "--from", "2025-07-01", "--to", "2026-01-01")
    found = yard.criterion("S7")
    assert (found["status"], found["reason"]["key"]) == ("met_attested", "hours.set_point_attested")
    assert found["evidence"] == [SENSOR, *(f"entry:{one['id']}" for one in (first, second))]
    assert yard.results()["SRV-1"] == "declared"
    yard.edit("rooms.csv", f"R;1;A1;{SENSOR}\n", f"R;1;A1;{SENSOR}\nS;1;C1;gw/sensor:s\n")
    yard.write("gw/sensor:s", [(at * HOUR, 22.0) for at in range(365 * 24 + 1)])
    found = yard.criterion("S7")
    assert (found["status"], found["reason"]["values"]["rooms"]) == ("not_measured", ["S"])


def annex(yard: Yard, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The row of T_IN in the annex of 2025."""
    capsys.readouterr()
    config = str(yard.folder / "collector.toml")
    words = ["annex", "--site", "yard", "--config", config, "--year", "2025", "--json"]
    assert cli.main(words) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    return next(row for row in rows if row["key"] == "t_in_air")


def test_t_in_is_the_mean_of_the_set_points_of_all_rooms(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """R at 20 °C for 181 days and 24 °C for 184, S at 26 °C: (22.0164 + 26) / 2."""
    yard.edit("rooms.csv", f"R;1;A1;{SENSOR}\n", f"R;1;A1;{SENSOR}\nS;1;C1;\n")
    for celsius, room, first, end in (
        ("20", "R", "2025-01-01", "2025-07-01"),
        ("24", "R", "2025-07-01", "2026-01-01"),
    ):
        span = ("--from", first, "--to", end)
        attest(yard, capsys, "--set-point", celsius, "--room", room, *span, *SIGNED)
    assert annex(yard, capsys)["status"] == "to_be_supplied"
    attest(yard, capsys, "--set-point", "26", "--room", "S", *YEAR, *SIGNED)
    row = annex(yard, capsys)
    assert row["value"] == pytest.approx(((20 * 181 + 24 * 184) / 365 + 26) / 2)
    assert (row["status"], row["attested_share"], row["coverage"]) == ("attested", 1.0, 1.0)


def test_a_certificate_counts_as_a_document_does(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """An annual return signed in; it is of the day of the document, whenever it was entered."""
    yard.edit("documents.csv", "D-2;t;d.pdf;annual_return;2025-03-01;;\n", "")
    assert yard.status("S1a") == ("not_measured", "document.absent")
    paper = ("--document", str(yard.folder / "d.pdf"))
    words = ("--certificate", "annual_return", *SIGNED, *paper)
    told = attest(yard, capsys, *words, "--from", "2025-03-01")
    found = yard.criterion("S1a")
    assert (found["status"], found["evidence"]) == ("met", ["D-1", f"entry:{told['id']}"])
    gone = ("--from", "2025-03-01", "--to", "2025-12-31", "--corrects", str(told["id"]))
    attest(yard, capsys, *words, *gone)
    assert yard.status("S1a") == ("not_measured", "document.absent")


def test_what_is_signed_after_a_closing_waits_for_the_next_edition(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with amounts: the stored report stays, one gathered anew says it, and it can be closed."""
    without_sensor(yard)
    config = str(yard.folder / "collector.toml")
    quarter = ("--site", "yard", "--config", config, "--quarter", "2025-Q4")
    close = ["quarter", "close", *quarter, "--signatory", "officer"]
    assert cli.main(close) == 0

    def status(*more: str) -> tuple[str, int]:
        out = Path(tempfile.mkdtemp(dir=yard.folder))
        words = ["report", *quarter, "--out", str(out), "--formats", "json", *more]
        assert cli.main(words) == 0
        (file,) = out.glob("*.json")
        told = json.loads(file.read_bytes())
        criteria = told["record"]["assessment"]["sites"]["yard"]
        found = next(each for each in criteria if each["criterion"] == "S7")
        return found["status"], len(told["temperature"]["attested_hours"])

    hours(yard, capsys, 8760, 8760, 8760)
    assert status() == ("not_measured", 0)
    assert status("--fresh") == ("met_attested", 1)
    assert cli.main(close) == 0
    assert status() == ("met_attested", 1)


def test_old_entries_go_with_their_confirmations(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once their days are past their time; a certificate that ends later stays. The chain holds."""
    january = ("--from", "2025-01-01", "--to", "2025-02-01")
    paper = ("--document", str(yard.folder / "d.pdf"))
    keys = [
        hours(yard, capsys, 744, 744, 744, span=january)["id"],
        attest(yard, capsys, "--set-point", "24", "--room", "R", *january, *SIGNED)["id"],
        attest(yard, capsys, "--certificate", "other", *january, *SIGNED, *paper)["id"],
    ]
    stays = attest(yard, capsys, "--certificate", "other", *YEAR[:2], "--to", "2026-01-01",
                   "--subject", "dc", *SIGNED, *paper)["id"]  # fmt: skip
    for key in (*keys, stays):
        attest(yard, capsys, "--confirm", str(key), "--signatory", "second")
    with Ledger(yard.folder / "ledger.db") as ledger:
        going = retention.old_entries(ledger, retention.CLOSED, START + 31 * DAY, None)
        assert set(keys) < set(going)
        assert len(going) == 6
        retention.drop_entries(ledger, going, END, dry_run=False)
        assert set(confirmed(ledger, "yard")) == {stays}
        assert verify(ledger).problems == ()
