"""The policy: defaults, hash and approvals."""

from datetime import date
from pathlib import Path

import jauge_collector.registers as package
import msgspec
import pytest
from jauge_collector.registers import policy_sample
from jauge_collector.registers.policy import (
    PolicyFile,
    approvers,
    is_approved,
    limits,
    milestones,
    policy_hash,
    read,
)
from jauge_models.compliance.policy import Placement, Policy
from jauge_models.compliance.trajectory import Milestone
from jauge_models.configuration import ConfigurationError
from jauge_models.rules import RuleStatus

H1 = (
    '[[envelopes]]\nname = "H1"\nallowable = [5, 25]\nrecommended = [18, 22]\n'
    'dew_point = [-12, 17]\nhumidity = [8, 80]\nreference = "the text, table, page"\n'
)


BARE_HASH = "936b398021d8e4de2baa84cd7e8f0b1637c15c9f21b6ca914f025384846dfa84"
"""Of a policy that says its version alone, as it was before there were milestones."""
BASE_YEAR_HASH = "c156955d3b2e9e7331694a4153f137165b9f1f7686cde3c7ca114984182b7c3c"


def of(text: str) -> PolicyFile:
    """A policy out of a text."""
    return read(f'version = "1"\n{text}', "policy.toml")


def test_defaults_are_those_of_the_definition() -> None:
    """A policy that says nothing is the evaluation's own, member by member."""
    assert msgspec.structs.asdict(limits(of(""))) == msgspec.structs.asdict(Policy(version="1"))


def test_what_a_file_says_reaches_the_evaluation() -> None:
    """From each section; the strict reading is measured up to the day before it."""
    found = limits(
        of(
            "valid_from = 2026-07-01\n"
            '[goal]\nstrict = 2027-01-01\nwide = "2027-06-30"\nline_sites = 7\n'
            '[site]\nparticipation = "S1b"\nreport_days = 90\n'
            "[coverage]\ncoverage_minimum = 0.95\n"
            '[temperature]\nsite_envelope = "A3"\n'
            "[server]\nidle_cpu = 0.1\n"
            '[counting]\ncounted = ["own"]\n'
        )
    )
    assert (found.valid_from, found.line_sites, found.participation) == (date(2026, 7, 1), 7, "S1b")
    assert (found.report_days, found.coverage.minimum, found.idle_cpu) == (90, 0.95, 0.1)
    assert (found.site_envelope, found.counted) == ("A3", frozenset({Placement.OWN}))
    assert [(d.day, d.last_measured) for d in found.deadlines] == [
        (date(2027, 1, 1), date(2026, 12, 31)),
        (date(2027, 6, 30), date(2027, 6, 30)),
    ]


def test_an_envelope_that_the_officer_confirms() -> None:
    """With its reference it is in force; till then the one from memory judges nothing."""
    before, after = limits(of("")).envelope("H1"), limits(of(H1)).envelope("H1")
    assert before is not None
    assert after is not None
    assert (before.status, after.status) == (RuleStatus.MEMORY, RuleStatus.IN_FORCE)
    assert after.allowable_humidity is not None
    assert after.allowable_humidity.dew_point_high == 17
    assert len(limits(of(H1)).envelopes) == len(limits(of("")).envelopes)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[coverage]\ncoverage_minimum = 90", "coverage.coverage_minimum"),
        ("[coverage]\nminimum = 0.9", "coverage.minimum"),
        ('[site]\nparticipation = "S2"', "site.participation"),
        ("[site]\nhourly_s = 7200\ndaily_s = 3600", "site.daily_s"),
        ("[goal]\nstrict = 2028-01-01", "goal.wide"),
        ("[goal]\nstrict = 0001-01-01", "goal.strict"),
        ('[goal]\nwide = "fin 2027"', "goal.wide"),
        ('[temperature]\nsite_envelope = "A9"', "site_envelope"),
        ('[counting]\ncounted = ["cloud"]', "counting.counted"),
        (
            '[[envelopes]]\nname = "X"\nallowable = [5, 4]\nrecommended = [1, 2]\nreference = "x"',
            "envelope X",
        ),
        (
            H1.replace("dew_point = [-12, 17]\n", ""),
            "envelopes[0].humidity",
        ),
        ("[[goal.milestones]]\nday = 2028-01-01\nshare = 0.5", "goal.milestones[0].day"),
        ("[[goal.milestones]]\nday = 2026-06-30\nshare = 1.5", "goal.milestones[0].share"),
        (
            "[[goal.milestones]]\nday = 2026-06-30\nshare = 0.5\n" * 2,
            "goal.milestones[1].day: stands there twice",
        ),
        ('[[approvals]]\nperson = "a"\non = 2026-01-01\nhash = "x"', "approvals"),
        (f'note = "{"x" * 300_000}"', "larger than"),
    ],
)
def test_what_a_policy_may_not_say(text: str, key: str) -> None:
    """One line that names the key."""
    with pytest.raises(ConfigurationError) as caught:
        of(text)
    assert key in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_hash_is_of_what_holds() -> None:
    """Order, spelling and defaults that are written out do not matter; any value does."""
    plain = policy_hash(of(""))
    assert policy_hash(of("[server]\nidle_cpu = 0.05\n[site]\nreport_days = 100\n")) == plain
    assert policy_hash(of("[site]\nreport_days = 100\n[server]\nidle_cpu = 5e-2\n")) == plain
    assert policy_hash(of("[site]\nreport_days = 99\n")) != plain
    assert policy_hash(of("[goal]\nedition = 'E'\n")) != plain
    assert policy_hash(read('version = "2"', "policy.toml")) != plain


def test_milestones_are_of_the_hash_once_there_are_some() -> None:
    """By day, whatever their order in the file; a policy without any keeps the hash it had."""
    later = "[[goal.milestones]]\nday = 2027-06-30\nshare = 0.8\nnote = 'hall B'\n"
    sooner = "[[goal.milestones]]\nday = 2026-12-31\nshare = 0.5\n"
    assert policy_hash(of("")) == BARE_HASH
    assert policy_hash(of("[goal]\nsobriety_base_year = 2020\n")) == BASE_YEAR_HASH
    assert policy_hash(of(sooner)) not in {BARE_HASH, policy_hash(of(sooner + later))}
    assert milestones(of(later + sooner)) == (
        Milestone(date(2026, 12, 31), 0.5),
        Milestone(date(2027, 6, 30), 0.8, "hall B"),
    )
    assert milestones(of("")) == milestones(None) == ()


def test_two_people_approve_what_it_says_now() -> None:
    """One person twice is one; an approval of another text is none."""
    text, now = "[site]\nreport_days = 99\n", policy_hash(of("[site]\nreport_days = 99\n"))

    def approved(*people: tuple[str, str]) -> PolicyFile:
        return of(
            text
            + "".join(
                f'[[approvals]]\nperson = "{who}"\non = 2026-03-01\nhash = "{what}"\n'
                for who, what in people
            )
        )

    assert policy_hash(approved(("a", now))) == now
    assert approvers(approved(("a", now), ("A ", now))) == ("a",)
    assert not is_approved(approved(("a", now), ("A ", now)))
    assert not is_approved(approved(("b  a", now), ("Ｂ a", now)))
    assert not is_approved(approved(("a", now), ("b", "0" * 64)))
    assert not is_approved(approved(("a", now), (" ", now)))
    assert is_approved(approved(("a", now), ("b", now)))


def test_the_sample_is_what_the_structs_give() -> None:
    """The file beside the package is not written by hand, and says the defaults."""
    file = Path(package.__file__).parent / "samples" / "policy.toml"
    text = file.read_text(encoding="utf-8")
    assert text == policy_sample.text()
    assert read(text, str(file)) == PolicyFile(version="2026-1")
