"""Rule tests from one description, for promtool and for vmalert-tool.

vmalert-tool asks for a ``groupname`` that promtool refuses, unless it is told to add no label of
its own: then one file serves both. A description says which series come in and, at which time,
where the alert fires and what it says; where nothing is listed it must be silent.
"""

import json
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from jauge_dashboards.alerts.prometheus import group_of
from jauge_dashboards.alerts.rule import Group
from jauge_dashboards.alerts.rules import groups
from jauge_dashboards.alerts.settings import Settings, SiteWater, Thresholds
from jauge_dashboards.alerts.yaml import document

FOLDER: Final = Path(__file__).parent / "rules"
SETTINGS: Final = Settings(
    thresholds=Thresholds(drift_over="1d", drift_for="1h"),  # a month of minutes takes minutes
    sites=(
        SiteWater(
            name="dry",
            outdoor="plant/sensor:roof",
            makeup=("plant/meter:makeup",),
            dry_below_celsius=5,
        ),
        SiteWater(name="told", makeup=("plant/meter:makeup",)),
    ),
)
_SAID: Final = ("summary", "value", "limit")


class Fired(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One alert that fires: its labels besides those of its rule, and what it says."""

    labels: dict[str, str]
    summary: str
    value: str = ""
    limit: str = ""


class At(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What fires at a moment; ``alerts`` empty: nothing does."""

    time: str
    alerts: list[Fired] = []


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Series in, alerts out."""

    alert: str
    about: str
    series: dict[str, str]
    at: list[At]
    interval: str = "1m"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    case: list[Case]


def cases() -> list[Case]:
    """Every description."""
    return [
        case
        for file in sorted(FOLDER.glob("*.toml"))
        for case in msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), _File).case
    ]


def run(tool: Sequence[str], folder: Path) -> str:
    """What the tool says against the cases; empty when it agrees with all."""
    described = cases()
    files = []
    for group in groups(SETTINGS):
        names = {rule.name for rule in group.rules}
        tree = {
            "rule_files": [f"{group.name}.rules.yaml"],
            "evaluation_interval": group.interval or "1m",
            "tests": [_test(case, group) for case in described if case.alert in names],
        }
        rules = document({"groups": [_with_few_words(group_of(group, SETTINGS, "en"))]}, "")
        (folder / f"{group.name}.rules.yaml").write_text(rules, encoding="utf-8")
        file = folder / f"{group.name}.yaml"
        file.write_text(json.dumps(tree, ensure_ascii=False), encoding="utf-8")
        files.append(str(file))
    *program, last = tool
    named = [f"{last}{file}" if last.endswith("=") else file for file in files]
    command = [*program, *([] if last.endswith("=") else [last]), *named]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _test(case: Case, group: Group) -> dict[str, Any]:
    rule = next(rule for rule in group.rules if rule.name == case.alert)
    own = {"severity": rule.severity, "topic": rule.topic, "team": rule.team}
    return {
        "interval": case.interval,
        "name": case.about,
        "input_series": [
            {"series": name, "values": values} for name, values in case.series.items()
        ],
        "alert_rule_test": [
            {
                "eval_time": moment.time,
                "alertname": case.alert,
                "exp_alerts": [
                    {
                        "exp_labels": own | fired.labels,
                        "exp_annotations": {
                            key: text for key in _SAID if (text := getattr(fired, key))
                        },
                    }
                    for fired in moment.alerts
                ],
            }
            for moment in case.at
        ],
    }


def _with_few_words(group: Mapping[str, Any]) -> dict[str, Any]:
    """The group without the annotations that are the same wherever an alert fires."""
    rules = [
        {
            **rule,
            "annotations": {k: v for k, v in rule["annotations"].items() if k in _SAID},
        }
        if "alert" in rule
        else rule
        for rule in group["rules"]
    ]
    return {**group, "rules": rules}
