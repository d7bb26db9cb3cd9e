"""What the operator supplies: fields by key, each checked by its kind."""

from datetime import date

import pytest
from jauge_collector.registers.facility import parse, supplied
from jauge_collector.registers.facility_fields import ANNEX, FIELDS, Kind

from tests.collector.registers.sheets import file, places, problems

HEAD = "key;value;year;unit;site;secret;valid_from;valid_to;document\n"


def test_values_by_their_kind() -> None:
    """Numbers with a comma, yes and no in French, a month, a choice whatever its spelling."""
    found = parse(
        file(
            HEAD + "s_dc;1 250,5;2025;m2;;;;;\nmixed_building;Oui;;;;;;;\n"
            "entry_into_operation;2012-03;;;;;;;\ntype;Co-Hosting;;;;;;;\n"
            "t_wh;-2;2025;;;;;;\naccessibility_audit_day;31/01/2026;;;;;;;\n"
        )
    )
    assert [row.value for row in found] == [
        "1250.5",
        "yes",
        "2012-03",
        "co-hosting",
        "-2.0",
        "2026-01-31",
    ]
    assert [row.number for row in found] == [1250.5, None, None, None, -2.0, None]


def test_an_empty_value_is_still_to_be_supplied() -> None:
    """The sample lists every field; what nobody filled in is no row, and never a zero."""
    assert parse(file(HEAD + "s_dc;;2025;m2;;;;;\nname;;;;;;;;\n")) == ()


def test_a_secret_without_a_value_is_kept() -> None:
    """It says that the ledger's own figure is one."""
    (found,) = parse(file(HEAD + "e_dc;;2025;;;oui;;;\n"))
    assert (found.value, found.number, found.secret) == ("", None, True)


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("floor;1;;;;;;;", "key"),
        ("s_dc;big;2025;;;;;;", "value"),
        ("s_dc;-1;2025;;;;;;", "value"),
        ("c_serv_covered;90;2025;;;;;;", "value"),
        ("s_dc;12;;;;;;;", "year"),
        ("e_dc;;;;;oui;;;", "year"),
        ("name;x;2025;;;;;;", "year"),
        ("s_dc;12;2025;kW;;;;;", "unit"),
        ("type;school;;;;;;;", "value"),
        ("mixed_building;peut-être;;;;;;;", "value"),
        ("entry_into_operation;mars 2012;;;;;;;", "value"),
        ("page_url;javascript:x;;;;;;;", "value"),
        ("contact;mailto:x;;;;;;;", "value"),
        ("name;x;;;;perhaps;;;", "secret"),
        ("name;x;;;a b;;;;", "site"),
        ("name;x;;;;;2026-02-01;2026-01-01;", "valid_to"),
    ],
)
def test_what_is_refused(line: str, column: str) -> None:
    """Line and column of each."""
    assert places(parse, f"{HEAD}{line}\n") == [(2, column)]


def test_a_mistyped_field_and_twins() -> None:
    """The nearest name; two values of one year, and two that hold on one day."""
    (found,) = problems(parse, f"{HEAD}s_dcc;1;2025;;;;;;\n")
    assert "s_dc" in found.fix
    assert places(parse, f"{HEAD}s_dc;1;2025;;;;;;\ns_dc;2;2025;;;;;;\n") == [(3, "key")]
    parse(file(f"{HEAD}s_dc;1;2025;;;;;;\ns_dc;2;2024;;;;;;\n"))
    parse(file(f"{HEAD}name;a;;;;;;2025-07-01;\nname;b;;;;;2025-07-01;;\n"))


def test_what_holds_of_a_site() -> None:
    """The year's, the day's; a row of the site goes before one of all sites."""
    rows = parse(
        file(
            HEAD + "s_dc;1;2024;;;;;;\ns_dc;2;2025;;;;;;\ns_dc;3;2025;;paris;;;;\n"
            "name;old;;;;;;2025-12-31;\nname;new;;;;;2025-12-31;;\nname;other;;;lyon;;;;\n"
        )
    )
    day = date(2025, 12, 31)
    assert {k: r.value for k, r in supplied(rows, "paris", 2025, day).items()} == {
        "s_dc": "3.0",
        "name": "new",
    }
    assert supplied(rows, "lyon", 2025, day)["name"].value == "other"
    assert supplied(rows, "nice", 2023, date(2025, 12, 30))["name"].value == "old"


def test_fields_have_keys_of_their_own() -> None:
    """T_IN stands for two of them in the regulation."""
    assert len({field.key for field in ANNEX}) == len(ANNEX)
    assert [field.key for field in ANNEX if field.symbol == "T_IN"] == ["t_in_air", "t_in_traffic"]
    assert all(field.kind is not Kind.NUMBER or field.unit for field in FIELDS.values())


def test_no_contact_and_no_redundancy_is_public() -> None:
    """Annex VII asks for neither."""
    private = {key for key in FIELDS if "contact" in key or "redundancy" in key} - {"contact"}
    assert len(private) == 7
    assert not any(FIELDS[key].public for key in private)
