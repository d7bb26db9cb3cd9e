"""Exemptions and remediation actions."""

from datetime import date

import pytest
from jauge_collector.registers.decisions import ActionRow, ExemptionRow, actions, exemptions
from jauge_models.compliance.evidence import Effect

from tests.collector.registers.sheets import file, places

HEAD = "objet;critère;justification;date;signataire;confirmé par\n"
TODO = "objet;critère;échéance;responsable;effet;action\n"


def test_an_exemption_whole() -> None:
    """Every cell is read."""
    (found,) = exemptions(file(f"{HEAD}paris;S11;no chillers;2026-03-01;officer;director\n"))
    assert found == ExemptionRow(
        line=2,
        subject="paris",
        criterion="S11",
        justification="no chillers",
        day=date(2026, 3, 1),
        signatory="officer",
        confirmed_by="director",
    )


@pytest.mark.parametrize("criterion", ["S3", "S4", "V1", "V5"])
def test_what_can_never_be_without_object(criterion: str) -> None:
    """STANDARDS 8.2: « N/A never passes S3, S4, V1, V5 »."""
    assert places(exemptions, f"{HEAD}paris;{criterion};j;2026-03-01;officer;\n") == [
        (2, "criterion")
    ]


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        (";S11;j;2026-03-01;o;", "subject"),
        ("p;S99;j;2026-03-01;o;", "criterion"),
        ("p;S11;;2026-03-01;o;", "justification"),
        ("p;S11;j;;o;", "day"),
        ("p;S11;j;2026-03-01;;", "signatory"),
    ],
)
def test_what_an_exemption_may_not_lack(row: str, wrong: str) -> None:
    """Justification, date and name are asked for; so is a criterion there is."""
    assert places(exemptions, f"{HEAD}{row}\n") == [(2, wrong)]


def test_actions() -> None:
    """Dated, owned, with when it shows; a criterion there is."""
    (found,) = actions(file(f"{TODO}paris;S4;01/09/2026;exploitation;mesure;meters\n"))
    assert found == ActionRow(
        line=2,
        subject="paris",
        criterion="S4",
        day=date(2026, 9, 1),
        owner="exploitation",
        effect=Effect.AFTER_TWELVE_MONTHS,
        what="meters",
    )
    assert places(actions, f"{TODO}p;S4;;o;;\np;S4;2026-09-01;;;\np;X;2026-09-01;o;;\n") == [
        (2, "day"),
        (3, "owner"),
        (4, "criterion"),
    ]
