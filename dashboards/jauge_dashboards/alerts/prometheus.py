"""The rule file, for vmalert and for Prometheus alike."""

from typing import Any

from jauge_dashboards.alerts.rule import Group, Rule
from jauge_dashboards.alerts.rules import groups, watching
from jauge_dashboards.alerts.settings import Settings
from jauge_dashboards.alerts.texts import annotations, texts
from jauge_dashboards.alerts.yaml import document

_COMMENT = """Alert rules of Jauge, for vmalert and Prometheus. Generated; do not edit:
jauge-dashboards build --thresholds FILE.toml"""


_WATCHING = """The few of these rules for a second Prometheus or vmalert that holds no readings,
and scrapes collector and store: it sees the store's death. Generated; do not edit:
jauge-dashboards build --thresholds FILE.toml"""


def rule_file(settings: Settings, language: str) -> str:
    """All rules, with texts in ``language``."""
    tree = {"groups": [group_of(group, settings, language) for group in groups(settings)]}
    return document(tree, _COMMENT)


def watch_file(settings: Settings, language: str) -> str:
    """The rules for whoever watches the store; see `rules.watching`."""
    tree = {"groups": [group_of(group, settings, language) for group in watching(settings)]}
    return document(tree, _WATCHING)


def group_of(group: Group, settings: Settings, language: str) -> dict[str, Any]:
    """One group as the file has it."""
    said = texts(language).alerts
    return {
        "name": group.name,
        **({"interval": group.interval} if group.interval else {}),
        "rules": [
            *({"record": one.name, "expr": one.expression} for one in group.recordings),
            *(
                _rule(rule, annotations(rule, said[rule.name], settings.routing, language))
                for rule in group.rules
            ),
        ],
    }


def _rule(rule: Rule, said: dict[str, str]) -> dict[str, Any]:
    scaled = rule.scale != 1
    times = {} if rule.hold == "0s" else {"for": rule.hold}
    times |= {} if rule.keep == "0s" else {"keep_firing_for": rule.keep}
    return {
        "alert": rule.name,
        "expr": f"({rule.expression}) * {rule.scale:.12g}" if scaled else rule.expression,
        **times,
        "labels": {
            "severity": rule.severity.value,
            "topic": rule.topic.value,
            "team": rule.team.value,
        },
        "annotations": said,
    }
