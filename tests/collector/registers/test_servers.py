"""The inventory of servers."""

import time
from datetime import date

import pytest
from jauge_collector.registers.envelopes import Envelope, EnvelopeClass, Medium, envelope_of
from jauge_collector.registers.servers import (
    PowerManagement,
    Server,
    ServerKind,
    on,
    parse,
    removed,
    written,
)

from tests.collector.registers.sheets import file, places, problems

FRENCH = (
    "identifiant;nom;site;salle;rangée;baie;numéro de série;type;propriétaire;utilisé par;depuis;"
    "enveloppe;gestion de l'énergie;justification;date d'achat;sources\n"
    "S1;srv-1;paris;Salle A;1;A1;SN 1;hyperviseur;DSI;Région | Ville;01/02/2026;"
    "ASHRAE A2;justifiée;latence;2021-06-30;bmc/host:SN-1 | pdu/outlet:p1.3\n"
)


def one(columns: str, row: str) -> Server:
    """The one server of a table."""
    (found,) = parse(file(f"{columns}\n{row}\n"))
    return found


def test_a_row_in_french() -> None:
    """Every cell is read under its French header."""
    (found,) = parse(file(FRENCH))
    assert found == Server(
        line=2,
        valid_from=date(2026, 2, 1),
        id="S1",
        name="srv-1",
        site="paris",
        room="Salle A",
        row="1",
        rack="A1",
        serial="SN 1",
        kind=ServerKind.HYPERVISOR,
        owner="DSI",
        used_by=("Région", "Ville"),
        bought=date(2021, 6, 30),
        envelope=Envelope(EnvelopeClass.A2),
        power_management=PowerManagement.JUSTIFIED,
        power_management_reason="latence",
        feeds=("bmc/host:SN-1", "pdu/outlet:p1.3"),
    )
    assert found.is_shared
    assert found.lacks == ()


def test_what_nobody_knows_is_no_error() -> None:
    """An id is enough for the file; V1 is told what is missing. Nothing reads as a zero."""
    found = one("id", "S1")
    assert found.lacks == ("site", "room", "rack", "serial", "owner", "used_by")
    assert (found.valid_from, found.bought, found.envelope, found.power_management) == (None,) * 4
    assert one("id;type", "S1;nuage").lacks == ("site", "owner", "used_by")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("a4", Envelope(EnvelopeClass.A4)),
        ("classe H1", Envelope(EnvelopeClass.H1)),
        ("10..35", Envelope(None, 10, 35)),
        ("-5 – 40,5 °C", Envelope(None, -5, 40.5)),
        ("10 °C à 35 °C", Envelope(None, 10, 35)),
        ("10-35", Envelope(None, 10, 35)),
        ("eau 17..45", Envelope(None, 17, 45, Medium.WATER)),
        ("Water: 2 to 40", Envelope(None, 2, 40, Medium.WATER)),
        ("A5", None),
        ("H2", None),
        ("35..10", None),
        ("10", None),
        ("10..350", None),
        ("froid", None),
    ],
)
def test_envelopes(said: str, meant: Envelope | None) -> None:
    """A class, or a range of air or water within what a machine can meet."""
    assert envelope_of(said) == meant
    if meant is not None:
        assert envelope_of(str(meant)) == meant


@pytest.mark.parametrize(
    ("columns", "row", "wrong"),
    [
        ("id;name", ";x", "id"),
        ("id;site", "S1;Île de France", "site"),
        ("id;type", "S1;machine virtuelle", "kind"),
        ("id;envelope", "S1;A7", "envelope"),
        ("id;envelope", "S1;10..35", "envelope_document"),
        ("id;power_management", "S1;justified", "power_management_reason"),
        ("id;valid_from;valid_to;removal", "S1;2026-02-01;2026-02-01;sold", "valid_to"),
        ("id;valid_to", "S1;2026-02-01", "removal"),
        ("id;removal", "S1;sold", "valid_to"),
        ("id;nodes", "S1;0", "nodes"),
        ("id;nodes;chassis", "S1;4;C1", "nodes"),
        ("id;feeds", "S1;bmc/fridge:1", "feeds"),
        ("id;feeds", "S1;host:1", "feeds"),
        ("id;idle_note", "S1;kept", "idle_note_day"),
    ],
)
def test_what_a_row_may_not_say(columns: str, row: str, wrong: str) -> None:
    """Named with its line and column."""
    assert places(parse, f"{columns}\n{row}\n") == [(2, wrong)]


def test_twins_are_named_with_both_lines() -> None:
    """Ids, serial numbers however they are written, and feeds: one machine each at one time."""
    text = "id;serial;feeds\nA;SN-1;x/host:1\nB;sn 1;y/host:1\nC;;x/host:1 z/host:1\nA;;\n"
    found = problems(parse, text)
    assert [(p.line, p.column, p.problem) for p in found] == [
        (3, "serial", "serial number 'sn_1' stands in line 2 too"),
        (4, "feeds", "feed 'x/host:1' stands in line 2 too"),
        (5, "id", "server 'A' stands in line 2 too"),
    ]


def test_a_move_and_a_replacement_are_dated_rows() -> None:
    """One row ends on the day the next begins: the same id, serial, or outlet is no twin then."""
    text = (
        "id;rack;serial;feeds;valid_from;valid_to;removal\n"
        "A;R1;SN1;pdu/outlet:1;2026-01-01;2026-03-01;moved\n"
        "A;R2;SN1;pdu/outlet:2;2026-03-01;;\n"
        "B;R1;SN2;pdu/outlet:1;2026-03-01;;\n"
    )
    found = parse(file(text))
    assert [(s.id, s.rack) for s in on(found, date(2026, 2, 28))] == [("A", "R1")]
    assert [(s.id, s.rack) for s in on(found, date(2026, 3, 1))] == [("A", "R2"), ("B", "R1")]
    assert [
        line for line, _ in places(parse, text.replace("2026-03-01;;\nB", "2026-02-28;;\nB"))
    ] == [
        3,
        3,
    ]
    assert removed(found, date(2025, 12, 31), date(2026, 3, 31)) == []
    gone = parse(file(text.replace("A;R2;SN1;pdu/outlet:2;2026-03-01;;\n", "")))
    assert [s.removal for s in removed(gone, date(2025, 12, 31), date(2026, 3, 31))] == ["moved"]
    assert removed(gone, date(2026, 3, 1), date(2026, 3, 31)) == []


def test_a_long_span_that_holds_a_short_one_is_a_twin() -> None:
    """Also where another row of the same id lies between them in the order of their beginnings."""
    text = (
        "id;valid_from;valid_to;removal\n"
        "A;2026-01-01;2027-01-01;sold\n"
        "A;2026-02-01;2026-03-01;sold\n"
        "A;2026-06-01;2026-07-01;sold\n"
    )
    assert [line for line, _ in places(parse, text)] == [3, 4]


def test_what_is_written_is_read_again() -> None:
    """The inventory as a file of our own says the same."""
    found = parse(file(FRENCH))
    assert parse(file(written(found))) == found


def test_a_thousand_servers_are_read_in_a_moment() -> None:
    """A register is read anew whenever it changed."""
    rows = "".join(
        f"S{n};paris;Salle;R{n // 20};SN{n};DSI;Région;2026-01-01;A2;bmc/host:SN{n}\n"
        for n in range(1000)
    )
    text = f"id;site;room;rack;serial;owner;used_by;valid_from;envelope;feeds\n{rows}"
    begun = time.process_time()
    assert len(parse(file(text))) == 1000
    assert time.process_time() - begun < 2
