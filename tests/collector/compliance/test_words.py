"""Every status, criterion and reason has its words in both languages."""

import string

import msgspec
import pytest
from jauge_collector.compliance.words import Words, words
from jauge_collector.console.text import CODES
from jauge_collector.registers.notes import NOTES, Note
from jauge_models.compliance.criteria import CRITERIA
from jauge_models.compliance.policy import Reading
from jauge_models.compliance.status import REASONS, Annotated, Reason, Result, Status


@pytest.fixture(params=CODES)
def spoken(request: pytest.FixtureRequest) -> Words:
    """Each language."""
    return words(request.param)


def _holes(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_every_reason_has_words(spoken: Words) -> None:
    """One text each, which names no value that the reason does not have."""
    assert set(spoken.reasons) == set(REASONS)
    for key, names in REASONS.items():
        assert _holes(spoken.reasons[key]) <= set(names), key


def test_every_code_has_words(spoken: Words) -> None:
    """Criteria, statuses, results, annotations and readings of the goal."""
    assert set(spoken.criteria) == set(CRITERIA)
    assert {*Status, *Result} <= set(spoken.names)
    assert {*Annotated, *(f"goal_{one}" for one in Reading)} <= set(spoken.texts)


def test_every_note_has_words(spoken: Words) -> None:
    """All of its values are told, and where it stands."""
    assert {key: _holes(text) for key, text in spoken.notes.items()} == {
        key: set(names) for key, names in NOTES.items()
    }
    note = Note("servers.csv", 1004, "rack", "rack_in_no_row", {"rack": "B9", "room": "R"})
    assert "servers.csv" in spoken.note(note)
    assert "1004" in spoken.note(note)
    assert "servers.csv" not in spoken.note(note, file=False)
    assert "B9" in spoken.note(note, file=False)
    whole = msgspec.structs.replace(note, line=0)
    assert "1004" not in spoken.note(whole)


def test_both_languages_say_the_same() -> None:
    """The same keys with the same holes."""
    french, english = words("fr"), words("en")
    for table in ("texts", "names", "criteria", "reasons", "notes"):
        ours, theirs = getattr(french, table), getattr(english, table)
        assert {k: _holes(t) for k, t in ours.items()} == {k: _holes(t) for k, t in theirs.items()}


def test_values_are_written_as_a_reader_does() -> None:
    """Shares in percent cut and not rounded, days short, codes by their names."""
    low = Reason(
        "electricity.low", {"measured": 0.8999, "attested": 0.0, "estimated": 0.05, "limit": 0.9}
    )
    assert words("en").reason(low).startswith("measured 89.9%, attested 0%, estimated 5.0% of")
    fields = Reason("inventory.incomplete", {"fields": ("rack", "serial")})
    assert words("fr").reason(fields).endswith("baie, numéro de série")
    issued = Reason("reporting.below_threshold", {"day": "2026-01-01"})
    assert words("fr").reason(issued).endswith("1er\u00a0janv. 2026")
