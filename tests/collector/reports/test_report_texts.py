"""The report's texts: both languages whole, every key used, and numbers as their readers write."""

import re
import string
import tomllib
from importlib.resources import files
from pathlib import Path

import jauge_collector.reports
import pytest
from jauge_collector.console.text import CODES
from jauge_collector.reports.document import Bullets
from jauge_collector.reports.prose import Prose, prose
from jauge_collector.reports.sections.operation import figures
from jauge_models.compliance.criteria import CORE, CRITERIA, required_of_site
from jauge_models.compliance.policy import Policy
from jauge_models.rules import RULES, RuleStatus

from tests.collector.reports.example import example

FOLDER = Path(jauge_collector.reports.__path__[0])


def _tables(code: str) -> dict[str, dict[str, str]]:
    text = files("jauge_collector.reports").joinpath("locale", f"{code}.toml").read_text("utf-8")
    return tomllib.loads(text)


def _holes(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text)} - {None}


@pytest.fixture(params=CODES)
def spoken(request: pytest.FixtureRequest) -> Prose:
    """Each language."""
    return prose(request.param)


def test_both_languages_say_the_same_things() -> None:
    """The same keys with the same holes."""
    french, english = _tables("fr"), _tables("en")
    for table in ("texts", "names", "asks"):
        assert set(french[table]) == set(english[table])
    for key, text in french["texts"].items():
        assert _holes(text) == _holes(english["texts"][key]), key


def test_every_text_is_used() -> None:
    """A key stands in the source, whole or as the end of a key made of parts."""
    source = "\n".join(path.read_text("utf-8") for path in FOLDER.rglob("*.py"))
    whole = set(re.findall(r'"([a-z0-9_]+)"', source))
    made = set(re.findall(r'f"([a-z]+_)\{', source))
    for key in _tables("en")["texts"]:
        assert key in whole or any(key.startswith(start) for start in made), key


def test_every_basis_is_in_french() -> None:
    """Criteria and rules name their texts in English; a French reader reads French."""
    said = prose("fr").bases
    for criterion in CRITERIA.values():
        assert criterion.basis in said, criterion.id
    for rule in RULES:
        if "Regulation" in rule.reference:
            assert rule.reference in said, rule.id


def test_whatever_blocks_can_be_asked_for(spoken: Prose) -> None:
    """In plain words."""
    asked = {*required_of_site(Policy()), *required_of_site(Policy(participation="S1b")), *CORE}
    assert asked <= set(spoken.asks)


def test_a_text_from_memory_is_not_printed(spoken: Prose) -> None:
    """« Pratique à référencer » stands for it, and for a basis that is empty."""
    words = {"fr": "pratique à référencer", "en": "practice to be referenced"}
    expected = words[spoken.plain.code]
    memory = spoken.basis("RGESN 2024, 8.3", project=False, status=RuleStatus.MEMORY)
    assert memory == expected
    assert spoken.basis("", project=False, status=RuleStatus.IN_FORCE) == expected
    assert "8.3" in spoken.basis("RGESN 2024, 8.3", project=True, status=RuleStatus.IN_FORCE)


def test_hours_add_up_as_they_are_shown() -> None:
    """A third of an hour three times is one hour, to a tenth, and no part is off by more."""
    third = 1 / 3
    assert prose("en").hours((third, third, third)) == ("0.4", "0.3", "0.3", "1.0")
    assert prose("en").hours((2208.0, 0.04, -0.04 + 0.0))[-1] == "2,208.0"


def test_a_figure_has_a_name(spoken: Prose) -> None:
    """No key of ours stands before a reader."""
    for key in (
        "year.pue",
        "quarter.E_DC",
        "year.wue.without_attested",
        "servers.demonstrated",
        "servers.declared.kwh",
        "year.ppue/salle 1",
        "servers.own_demonstrated",
    ):
        assert "_" not in spoken.figure(key).replace("E_DC", ""), key
        assert "." not in spoken.figure(key), key
    assert prose("fr").figure("year.pue") == "douze mois, PUE"


def test_dates_in_labels_are_as_the_standard_writes_them() -> None:
    """« PUE1 = 1,38 (12 mois au 30/09/2026) »."""
    (labels,) = [
        block for block in figures(example(), prose("fr")).blocks if isinstance(block, Bullets)
    ]
    assert labels.items[0] == "PUE1 = 1,38 (12 mois au 30/09/2026)"
    assert labels.items[2] == "iPUE1 = 1,41 (du 01/07/2026 au 30/09/2026)"
