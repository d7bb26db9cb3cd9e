"""Runbooks and texts: one of each for every alert, in both languages, complete."""

import re

import pytest
from jauge_dashboards.alerts.checks import problems
from jauge_dashboards.alerts.prometheus import rule_file
from jauge_dashboards.alerts.rule import Rule, Severity
from jauge_dashboards.alerts.rules import rules
from jauge_dashboards.alerts.runbooks import CHAPTERS, runbook, written
from jauge_dashboards.alerts.settings import Routing, Settings, at_console
from jauge_dashboards.alerts.texts import ANNOTATIONS, annotations, texts
from jauge_models.configuration import ConfigurationError

LANGUAGES = ("fr", "en")


@pytest.mark.parametrize("language", LANGUAGES)
def test_rules_and_runbooks_are_tied_one_to_one(language: str) -> None:
    """None without a page, no page without an alert."""
    assert written(language) == frozenset(rules())
    assert not list(problems(Settings()))


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_page_has_its_chapters_three_checks_and_how_to_silence(language: str) -> None:
    """As somebody needs it who was just woken."""
    silence = CHAPTERS[language][3]
    for name, rule in rules().items():
        page = runbook(name, language)
        assert page.startswith(f"# {name}\n")
        parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
        chapters = dict(zip(parts[1::2], map(str.strip, parts[2::2]), strict=True))
        assert tuple(chapters) == CHAPTERS[language]
        assert all(chapters.values())
        checks = re.findall(r"^\d\. ", chapters[CHAPTERS[language][2]], re.MULTILINE)
        assert len(checks) == 3, name
        assert f"alertname={name}" in chapters[silence]
        assert (Severity.NONE is rule.severity) or len(page.splitlines()) >= 20


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_alert_says_what_where_and_what_to_do_first(language: str) -> None:
    """Every annotation; the value and the limit wherever the rule has them."""
    said = texts(language).alerts
    for name, rule in rules().items():
        found = annotations(rule, said[name], Settings().routing, language)
        expected = set(ANNOTATIONS)
        expected -= set() if rule.tells_value else {"value"}
        expected -= set() if rule.limit else {"limit"}
        assert set(found) == expected, name
        assert found["runbook_url"] == f"http://127.0.0.1:8090/runbooks/{language}/{name}"


def test_a_site_may_serve_the_runbooks_itself() -> None:
    """As `build` writes them; else they are the console's, wherever that is."""
    own = Routing(runbook_url="https://wiki.example.org/r", console_url="https://c.example.org")
    assert own.runbook("A", "fr") == "https://wiki.example.org/r/fr/A.md"
    moved = at_console(Settings(), "https://c.example.org/")
    assert moved.routing.runbook("A", "en") == "https://c.example.org/runbooks/en/A"
    assert moved.thresholds == Settings().thresholds
    with pytest.raises(ConfigurationError):
        at_console(Settings(), "console.example.org")


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_name_only_labels_that_their_alert_has(language: str) -> None:
    """A label that is not there would leave a hole in the sentence."""
    said = texts(language).alerts
    for name, rule in rules().items():
        text = said[name]
        for template in (text.title, text.text, text.place, text.action):
            for label in re.findall(r"\{(\w+)\}", template):
                known = label in {"value", "limit"} or label in _labels_of(rule)
                assert known, f"{name} has no label {label}"
                assert label != "value" or rule.tells_value
                assert label != "limit" or rule.limit


def _labels_of(rule: Rule) -> set[str]:
    """Names in label lists of the expression: what its alerts can carry."""
    lists = re.findall(r"\b(?:by|group_left|on) \(([^)]*)\)", rule.expression)
    lists += re.findall(r'label_replace\(.*?, "(\w+)", "\$1"', rule.expression)
    return {label.strip() for one in lists for label in one.split(",")}


def test_the_languages_differ_in_words_only() -> None:
    """Expressions, labels and times are the same."""
    without_words = [
        re.sub(
            rf"^          ({'|'.join(ANNOTATIONS)}): .*\n",
            "",
            rule_file(Settings(), language),
            flags=re.MULTILINE,
        )
        for language in LANGUAGES
    ]
    assert without_words[0] == without_words[1]
    assert "expr:" in without_words[0]
