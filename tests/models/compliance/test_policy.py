"""The policy: its origins, its digest, two people, and the page made of it."""

from datetime import date
from pathlib import Path

import msgspec
import pytest
from jauge_models.compliance.criteria import CRITERIA, required_of_site
from jauge_models.compliance.document import render
from jauge_models.compliance.policy import ORIGINS, Act, Placement, Policy, Reading
from jauge_models.compliance.status import REASONS, reason


def test_every_threshold_has_an_origin() -> None:
    """And nothing else has one."""
    fields = {field.name for field in msgspec.structs.fields(Policy)}
    assert set(ORIGINS) == fields - {"version", "valid_from"}


def test_the_digest_changes_with_any_threshold_and_with_nothing_else() -> None:
    """Equal policies have equal digests, however their sets were written."""
    assert Policy().digest() == Policy().digest()
    turned = Policy(counted=frozenset(reversed(list(Placement))))
    assert turned.digest() == Policy().digest()
    assert Policy(idle_cpu=0.06).digest() != Policy().digest()
    assert Policy(version="2").digest() != Policy().digest()


@pytest.mark.parametrize(
    ("first", "second", "confirmed"),
    [("a", "b", True), ("a", "a", False), ("a", "", False), ("", "b", False), ("", "", False)],
)
def test_two_people_are_two(first: str, second: str, *, confirmed: bool) -> None:
    """Two different names; a restatement needs one only."""
    assert Policy().is_confirmed(Act.ATTESTATION, first, second) is confirmed
    assert Policy().is_confirmed(Act.RESTATEMENT, first, "") is bool(first)


def test_a_policy_that_names_nothing_is_refused() -> None:
    """A criterion or class that there is none of."""
    with pytest.raises(ValueError, match="S1a or S1b"):
        Policy(participation="S9")
    with pytest.raises(ValueError, match="B7"):
        Policy(site_envelope="B7")


def test_what_is_asked_of_a_site() -> None:
    """By the policy's choice of S1; S5 is not among it."""
    assert required_of_site(Policy()) == ("S1a", "S2", "S3", "S4", "S6", "S7", "S8")
    assert required_of_site(Policy(participation="S1b"))[0] == "S1b"


def test_the_strict_reading_measures_until_the_year_before() -> None:
    """1 January 2027 has its last measured day on 31 December 2026."""
    days = {each.reading: (each.day, each.last_measured) for each in Policy().deadlines}
    assert days == {
        Reading.STRICT: (date(2027, 1, 1), date(2026, 12, 31)),
        Reading.WIDE: (date(2027, 12, 31), date(2027, 12, 31)),
    }


def test_a_reason_has_the_values_that_its_key_names() -> None:
    """Neither another key nor other values."""
    assert reason("idle.busy", cpu=0.1, limit=0.05).key == "idle.busy"
    with pytest.raises(KeyError):
        reason("idle.asleep")
    with pytest.raises(KeyError, match=r"idle\.busy"):
        reason("idle.busy", cpu=0.1)
    assert all(len(set(names)) == len(names) for names in REASONS.values())


def test_the_page_is_as_generated() -> None:
    """docs/compliance.md is what the code says; `make generate` renews it."""
    page = Path(__file__).resolve().parents[3] / "docs" / "compliance.md"
    assert page.read_text(encoding="utf-8") == render()


def test_the_page_names_every_criterion_threshold_and_class() -> None:
    """With thresholds in place of their names, and no number of a class from memory."""
    page = render()
    assert all(f"| {criterion} | " in page for criterion in CRITERIA)
    assert all(f"| `{name}` | " in page for name in ORIGINS)
    assert "not older than 15 months" in page
    assert "at most 0.4 m3/MWh" in page
    assert "{" not in page
    (dense,) = [line for line in page.splitlines() if line.startswith("| H1 |")]
    assert not any(number in dense for number in ("18", "22", "25"))
