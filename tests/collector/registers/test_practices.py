"""The register of practices."""

from datetime import date

import pytest
from jauge_collector.registers.practices import (
    Category,
    Domain,
    Practice,
    PracticeStatus,
    on,
    parse,
)
from jauge_collector.registers.provenance import Provenance

from tests.collector.registers.sheets import file, places

HEAD = "édition;numéro;titre;catégorie;domaine;thème;valeur;page;certitude;statut;justification;"
HEAD += "prévu le;preuves;maîtrise;depuis;jusqu'au\n"


def test_a_row_whole() -> None:
    """Every cell is read; a number is the Code's where the officer gave edition and page."""
    row = "E;9.1.1;t;entire_data_centre;électricité|température;;4;12;text;I;;;D-1 D-2;;;"
    (found,) = parse(file(f"{HEAD}{row}\n"))
    assert found == Practice(
        line=2,
        edition="E",
        number="9.1.1",
        title="t",
        category=Category.ENTIRE,
        domains=(Domain.ELECTRICITY, Domain.TEMPERATURE),
        value=4,
        page="12",
        certainty=Provenance.TEXT,
        status=PracticeStatus.IMPLEMENTED,
        documents=("D-1", "D-2"),
    )
    assert found.reference == "9.1.1"
    assert found.is_expected


@pytest.mark.parametrize(("certainty", "page"), [("", ""), ("mémoire", "3"), ("relayed", "3")])
def test_what_was_not_read_in_the_text_is_not_the_codes(certainty: str, page: str) -> None:
    """Without a word it is from memory; only what was read in the text has a number."""
    (found,) = parse(file(f"{HEAD}E;1;t;optional;eau;;;{page};{certainty};;;;;;;\n"))
    assert found.reference is None


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ("E;1;t;optional;eau;;;;;n/a;;;;;;", "justification"),
        ("E;1;t;optional;eau;;;;;planned;;;;;;", "planned"),
        ("E;1;t;optional;eau;;;;;planned;;soon;;;;", "planned"),
        ("E;1;t;optional;eau;;;;;endorsed;;;;;;", "control"),
        ("E;1;t;optional;eau;;;;text;;;;;;;", "page"),
        ("E;1;t;always;eau;;;;;;;;;;;", "category"),
        ("E;1;t;optional;feu;;;;;;;;;;;", "domain"),
        ("E;1;t;optional;eau;cuisine;;;;;;;;;;", "topic"),
        ("E;1;t;optional;eau;;6;;;;;;;;;", "value"),
        ("E;1;t;optional;eau;;;;;;;;d’une;;;", "documents"),
        (";1;t;optional;eau;;;;;;;;;;;", "edition"),
    ],
)
def test_what_a_row_may_not_say(row: str, wrong: str) -> None:
    """A status stands with what it needs: a reason, a date, who is in control."""
    assert places(parse, f"{HEAD}{row}\n") == [(2, wrong)]


def test_a_status_that_changes_is_a_dated_row() -> None:
    """The register of an earlier day is what it was; twice at one time is refused."""
    text = (
        f"{HEAD}E;1;t;entire;eau;;;;;planned;;2026-06-01;;;;2026-06-01\n"
        "E;1;t;entire;eau;;;;;implemented;;;;;2026-06-01;\n"
        "F;1;t;entire;autre;;;;;;;;;;;\n"
    )
    found = parse(file(text))
    assert [p.status for p in on(found, "E", date(2026, 5, 31))] == [PracticeStatus.PLANNED]
    assert [p.status for p in on(found, "E", date(2026, 6, 1))] == [PracticeStatus.IMPLEMENTED]
    assert [p.is_expected for p in on(found, "F", date(2026, 6, 1))] == [False]
    assert places(parse, text.replace(";;2026-06-01;\n", ";;2026-05-01;\n")) == [(3, "number")]
