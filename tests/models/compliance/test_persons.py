"""Two names that are one person's, and the acts that this rule decides."""

import pytest
from jauge_models.compliance.persons import person_key, same_person
from jauge_models.compliance.policy import Act, Policy

NAMES = [
    ("Énergie", "ÉNERGIE", True),
    ("E\u0301nergie", "énergie ", True),
    ("energy  manager", "Energy Manager", True),
    ("energy\u00a0manager", "energy manager", True),
    ("Ａ. First", "a. first", True),
    ("Weiß", "WEISS", True),
    ("energy manager", "energy managers", False),
    ("Jean-Marie Ünal", "Jean\u2011Marie Ünal", True),
    ("Jean-Marie Ünal", "jean marie unal", True),
    ("Jean-Marie Ünal", "ÜNAL Jean-Marie", True),
    ("Jean-Marie Ünal", "Jean-Ma\u200brie \u202eÜnal", True),
    ("Jean-Marie Ünal", "Jean-Paul Ünal", False),
    ("J. Ünal", "J. B. Ünal", False),
]


@pytest.mark.parametrize(("one", "other", "same"), NAMES)
def test_one_person_is_one_however_typed(one: str, other: str, *, same: bool) -> None:
    """Case, blanks, accents, hyphens, unseen signs and order make nobody a second person."""
    assert same_person(one, other) is same
    assert same_person(other, one) is same


@pytest.mark.parametrize(("one", "other", "same"), NAMES)
def test_the_policy_asks_by_the_same_rule(one: str, other: str, *, same: bool) -> None:
    """An act counts once it has two people, not two spellings."""
    assert Policy().is_confirmed(Act.ATTESTATION, one, other) is not same


def test_a_name_of_blanks_is_nobodys() -> None:
    """Neither as the first person nor as the second."""
    assert person_key(" \u00a0\t\u200b-.") == ""
    assert not Policy().is_confirmed(Act.ATTESTATION, "a", " ")
    assert not Policy().is_confirmed(Act.ATTESTATION, " ", "a")
    assert not Policy().is_confirmed(Act.RESTATEMENT, " ", "a")
