"""Emission factors, energy contents, refrigerants."""

from datetime import date

import pytest
from jauge_collector.registers import refrigerants
from jauge_collector.registers.factors import (
    Boundary,
    FactorKind,
    FactorRow,
    FactorUnit,
    in_force,
    parse,
)
from jauge_collector.registers.provenance import Provenance
from jauge_models.rules import RuleStatus

from tests.collector.registers.sheets import file, places

HEAD = "type;objet;valeur;unité;périmètre;source;année;certitude;statut;depuis;jusqu'au\n"


def test_a_row_whole() -> None:
    """Every cell is read."""
    row = "emission;el;0,05;kgco2e/kwh;cycle de vie;s;2022;relayed;en vigueur;2023-01-01;"
    (found,) = parse(file(f"{HEAD}{row}\n"))
    assert found == FactorRow(
        line=2,
        valid_from=date(2023, 1, 1),
        kind=FactorKind.EMISSION,
        subject="el",
        value=0.05,
        unit=FactorUnit.KG_PER_KWH,
        boundary=Boundary.LIFE_CYCLE,
        source="s",
        year=2022,
        certainty=Provenance.RELAYED,
        status=RuleStatus.IN_FORCE,
    )


@pytest.mark.parametrize(
    ("certainty", "status", "usable"),
    [
        ("text", "", True),
        ("relayed", "in_force", True),
        ("", "in_force", False),
        ("memory", "in_force", False),
        ("text", "memory", False),
        ("text", "draft", False),
        ("text", "adopted_pending", False),
    ],
)
def test_what_may_be_worked_out_with(certainty: str, status: str, usable: bool) -> None:
    """Only what is in force and not remembered; without a word it is remembered."""
    (found,) = parse(file(f"{HEAD}fuel;d;9,9;kWh/L;;s;;{certainty};{status};;\n"))
    assert found.is_usable is usable
    given = in_force([found], FactorKind.FUEL, "d", Boundary.NONE, date(2026, 1, 1))
    assert (given is found) is usable


def test_the_factor_of_a_day_and_of_one_boundary() -> None:
    """Another boundary is never taken; of several the latest; none where none holds."""
    rows = (
        "emission;el;0.03;kgCO2e/kWh;direct;s;2023;text;;2023-01-01;2024-01-01\n"
        "emission;el;0.02;kgCO2e/kWh;direct;s;2024;text;;2024-01-01;2025-01-01\n"
        "emission;el;0.05;kgCO2e/kWh;life_cycle;t;2022;text;;;\n"
        "emission;el;0.06;kgCO2e/kWh;life_cycle;t;2023;text;;2024-06-01;\n"
    )
    found = parse(file(HEAD + rows))

    def value(boundary: Boundary, day: date) -> float | None:
        factor = in_force(found, FactorKind.EMISSION, "el", boundary, day)
        return None if factor is None else factor.value

    assert value(Boundary.DIRECT, date(2023, 12, 31)) == 0.03
    assert value(Boundary.DIRECT, date(2024, 1, 1)) == 0.02
    assert value(Boundary.DIRECT, date(2025, 1, 1)) is None
    assert value(Boundary.LIFE_CYCLE, date(2024, 5, 31)) == 0.05
    assert value(Boundary.LIFE_CYCLE, date(2024, 6, 1)) == 0.06


def test_energy_content_in_base_units() -> None:
    """9.9 kWh/L is 35.64 GJ/m3; what is bought by weight has none."""
    rows = (
        "fuel;d;9,9;kWh/L;;s;;text;;;\nfuel;g;10,5;kWh/m3;;s;;text;;;\nfuel;h;38,9;kWh/kg;;s;;;;;\n"
    )
    assert [row.joules_per_m3 for row in parse(file(HEAD + rows))] == [
        pytest.approx(3.564e10),
        pytest.approx(3.78e7),
        None,
    ]


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ("emission;el;0.05;kgCO2e/kWh;;s;2022;;;;", "boundary"),
        ("emission;el;0.05;kgCO2e/kWh;direct;s;;;;;", "year"),
        ("emission;el;0.05;kWh/L;direct;s;2022;;;;", "unit"),
        ("fuel;el;0.05;kgCO2e/L;;s;2022;;;;", "unit"),
        ("fuel;el;-1;kWh/L;;s;2022;;;;", "value"),
        ("fuel;el;1;kWh/L;;;2022;;;;", "source"),
        ("fuel;el;1;kWh/L;;s;22;;;;", "year"),
        ("fuel;;1;kWh/L;;s;;;;;", "subject"),
    ],
)
def test_what_a_row_may_not_say(row: str, wrong: str) -> None:
    """Named with its line and column."""
    assert places(parse, f"{HEAD}{row}\n") == [(2, wrong)]


def test_refrigerants() -> None:
    """A potential needs its source; without one it stays unknown."""
    (found,) = refrigerants.parse(file("nom;groupe;prg;source\nR-32;1;;\n"))
    assert (found.name, found.unit, found.gwp) == ("R-32", "1", None)
    assert places(refrigerants.parse, "nom;prg;source\nR-32;675;\n;1;s\n") == [
        (2, "source"),
        (3, "name"),
    ]
