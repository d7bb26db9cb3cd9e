"""Every alert rule, by the tools of both evaluators: it fires when it must, and else is silent."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from jauge_dashboards.alerts import checks
from jauge_dashboards.alerts.prometheus import watch_file
from jauge_dashboards.alerts.rule import Severity
from jauge_dashboards.alerts.rules import groups, rules, watching
from jauge_dashboards.alerts.settings import Settings, load
from jauge_models.configuration import ConfigurationError
from jauge_models.quantities import CATALOGUE

from tests.dashboards.rule_cases import SETTINGS, cases, run

_TWO_WITH_A_PAGER = """
[[routes]]
severity = "page"
receiver = "on-call"
[[routes]]
severity = "ticket"
receiver = "office"
[[routes]]
severity = "report"
receiver = "on-call"
"""


def _needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def test_promtool_agrees_with_every_case(tmp_path: Path) -> None:
    """All at once: a start costs more than a test."""
    _needs("promtool")
    assert run(["promtool", "test", "rules"], tmp_path) == ""


def test_vmalert_tool_agrees_with_every_case(tmp_path: Path) -> None:
    """The same descriptions."""
    _needs("vmalert-tool")
    tool = ["vmalert-tool", "unittest", "--disableAlertgroupLabel", "--files="]
    assert run(tool, tmp_path) == ""


def test_each_rule_has_a_case_that_fires_and_one_that_stays_silent() -> None:
    """None is left out; the watchdog alone has no near miss."""
    fires = {case.alert for case in cases() if any(moment.alerts for moment in case.at)}
    silent = {case.alert for case in cases() if not any(moment.alerts for moment in case.at)}
    assert fires == set(rules(SETTINGS))
    assert silent == fires - {"Watchdog"}


def test_who_watches_the_store_loads_the_same_rules_without_a_reading() -> None:
    """In groups of the same names, or one death would be two alerts; and no watchdog."""
    whole = {group.name: set(group.rules) for group in groups(SETTINGS)}
    names: set[str] = set()
    for group in watching(SETTINGS):
        assert set(group.rules) < whole[group.name]
        names |= {rule.name for rule in group.rules}
        for rule in group.rules:
            readings = [one.series_name for one in CATALOGUE.values()]
            assert not any(re.search(rf"\b{name}\b", rule.expression) for name in readings)
    assert names == {
        "JaugeBrokerDown",
        "JaugeCollectorDown",
        "JaugeDeliveryInterrupted",
        "JaugeStoreDown",
    }


def test_both_tools_take_the_rules_of_who_watches_the_store(tmp_path: Path) -> None:
    """In both languages."""
    for language in ("fr", "en"):
        file = tmp_path / f"watch.{language}.yaml"
        file.write_text(watch_file(SETTINGS, language), encoding="utf-8")
        for words in (["promtool", "check", "rules", str(file)], ["vmalert", "-dryRun"]):
            _needs(words[0])
            more = [f"-rule={file}"] if words[0] == "vmalert" else []
            done = subprocess.run([*words, *more], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr


def test_names_are_those_of_the_catalogues_and_nothing_computes_an_indicator() -> None:
    """With a site's own water too."""
    assert list(checks.problems(SETTINGS)) == []


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("max(jauge_temprature_celsius)", "unknown series jauge_temprature_celsius"),
        ("jauge_power_watts / jauge_power_watts > 1.5", "divides by jauge_power_watts"),
    ],
)
def test_a_wrong_expression_is_told(expression: str, told: str) -> None:
    """A renamed quantity; a PUE of one's own."""
    assert any(told in problem for problem in checks.wrong_in(expression))


def test_severities_are_those_of_the_design() -> None:
    """Fixed: what pages, what waits, what is only reported."""
    found = {name: rule.severity for name, rule in rules().items()}
    assert {name for name, severity in found.items() if severity is Severity.PAGE} == {
        "JaugeBrokerDown",
        "JaugeCollectorDown",
        "JaugePhaseNearLimit",
        "JaugeRoomHot",
        "JaugeStoreDown",
        "JaugeUpsOnBattery",
        "JaugeWaterLeak",
    }
    assert {name for name, severity in found.items() if severity is Severity.REPORT} == {
        "JaugeComplianceBehind",
        "JaugePueDrift",
        "JaugeWueDrift",
    }


def test_names_are_unique() -> None:
    """Runbooks and texts go by them."""
    names = [rule.name for group in groups(Settings()) for rule in group.rules]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[thresholds]\nhot_sensor = 3", "thresholds.hot_sensor: unknown key"),
        ('[thresholds]\nhot_for = "soon"', "thresholds.hot_for: expected a duration"),
        ("[thresholds]\nphase_share = 1.2", "thresholds.phase_share"),
        ('[thresholds]\nagent_silent = "1h"', "must grow in this order"),
        ('[[severities]]\nalert = "JaugePueDrift"', "severities: unknown key"),
        ('[[sites]]\nname = "a"\ndry_below_celsius = 5', "without makeup and outdoor"),
        ('[[receivers]]\nname = "a"\nmails = ["a@example.org"]', "smtp: missing"),
        (
            '[[routes]]\nseverity = "page"\nreceiver = "pager"',
            "routes[0].receiver: 'pager' is no receiver",
        ),
        (
            '[[routes]]\nseverity = "page"\nreceiver = "on-call"\nwhen = "office_hours"',
            "nobody is told of a page",
        ),
        (
            _TWO_WITH_A_PAGER,
            "is a pager, and a report wakes nobody",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """With the key, the problem and what to do."""
    file = tmp_path / "alerts.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load(file)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """And how to go on."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(tmp_path / "none.toml")


def test_thresholds_reach_the_expressions(tmp_path: Path) -> None:
    """A file's figure stands in the rule."""
    file = tmp_path / "alerts.toml"
    file.write_text('[thresholds]\nphase_share = 0.75\nphase_for = "7m"\n', encoding="utf-8")
    rule = rules(load(file))["JaugePhaseNearLimit"]
    assert "(0.75 * " in rule.expression
    assert rule.hold == "7m"
    assert "(0.9 * " in rules()["JaugePhaseNearLimit"].expression


def test_generated_files_are_as_they_would_be_generated() -> None:
    """``python -m jauge_dashboards.alerts.build`` writes them."""
    assert list(checks.stale()) == []
