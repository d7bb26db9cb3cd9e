"""Alertmanager's configuration, by its own tool and by a running one."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

import pytest
from jauge_dashboards.alerts import alertmanager
from jauge_dashboards.alerts.rule import Severity, Team
from jauge_dashboards.alerts.rules import rules
from jauge_dashboards.alerts.settings import Receiver, Route, Settings, Smtp, check, load

from tests import parts
from tests.parts import Alertmanager

RICH: Final = Settings(
    smtp=Smtp(
        server="mail.example.org:587",
        sender="jauge@example.org",
        user="jauge",
        password_file="/etc/jauge/alerting/smtp.password",
    ),
    receivers=(
        Receiver(name="day", mails=("ops@example.org", "it@example.org")),
        Receiver(name="night", sms_url_file="/etc/jauge/alerting/sms.url"),
        Receiver(name="cooling", webhook_url_file="/etc/jauge/c.url", token_file="/etc/jauge/c"),
        Receiver(name="compliance", mails=("compliance@example.org",)),
    ),
    routes=(
        Route(severity="page", receiver="day", when="office_hours"),
        Route(severity="page", receiver="night", when="outside_office_hours"),
        Route(severity="page", receiver="cooling", team=Team.FACILITIES),
        Route(severity="ticket", receiver="day", when="office_hours"),
        Route(severity="report", receiver="compliance"),
    ),
)
"""Each way to tell somebody, by team and by hour. An example."""
CONFIGURED: Final = {"default": Settings(), "rich": RICH}


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(params=CONFIGURED)
def settings(request: pytest.FixtureRequest) -> Settings:
    """Each configuration; all pass what a file must pass."""
    found = CONFIGURED[request.param]
    check(found, "alerts.toml")
    return found


def _written(folder: Path, settings: Settings, language: str = "fr") -> Path:
    file = folder / "alertmanager.yaml"
    file.write_text(alertmanager.configuration(settings), encoding="utf-8")
    words = alertmanager.templates(settings, language)
    (folder / alertmanager.TEMPLATE_FILE).write_text(words, encoding="utf-8")
    return file


def _amtool(*arguments: str) -> str:
    program = shutil.which("amtool")
    if program is None:
        _missing("amtool is not installed (Debian package prometheus-alertmanager)")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _receivers(file: Path, labels: Mapping[str, str]) -> set[str]:
    """Who is told of an alert with these labels, at whatever hour."""
    given = [f"{name}={value}" for name, value in labels.items()]
    told = _amtool("config", "routes", "test", f"--config.file={file}", *given)
    return set(told.strip().split(","))


def _labels(name: str, **more: str) -> dict[str, str]:
    rule = rules()[name]
    own = {"severity": rule.severity, "topic": rule.topic, "team": rule.team}
    return {"alertname": name, **own, "site": "p", **more}


@pytest.mark.parametrize("language", ["fr", "en"])
def test_amtool_takes_configuration_and_templates(
    tmp_path: Path, settings: Settings, language: str
) -> None:
    """In both languages."""
    told = _amtool("check-config", str(_written(tmp_path, settings, language)))
    assert "1 templates" in told


def test_each_rule_reaches_those_of_its_severity_and_team_and_no_report_wakes_anybody(
    tmp_path: Path, settings: Settings
) -> None:
    """Of all rules; a pager is whoever is paged, and whatever sends text messages."""
    file = _written(tmp_path, settings)
    pagers = {route.receiver for route in settings.routes if route.severity == "page"}
    pagers |= {one.name for one in settings.receivers if one.sms_url_file}
    for name, rule in rules(settings).items():
        expected = {
            route.receiver
            for route in settings.routes
            if route.severity == rule.severity and route.team in {None, rule.team}
        }
        told = _receivers(file, _labels(name))
        assert told == (expected or {alertmanager.NOBODY}), name
        if rule.severity is Severity.REPORT:
            assert not told & pagers


def test_whoever_is_paged_is_told_of_no_report_whatever_its_labels(tmp_path: Path) -> None:
    """A report with the team, topic and name of a page is still a report."""
    file = _written(tmp_path, RICH)
    for name in rules(RICH):
        assert _receivers(file, _labels(name) | {"severity": "report"}) == {"compliance"}


def test_what_has_no_severity_of_ours_is_a_ticket(tmp_path: Path) -> None:
    """Nothing is lost for want of a label."""
    assert _receivers(_written(tmp_path, RICH), {"alertname": "Foreign"}) == {"day"}


def test_the_sign_of_life_leaves_the_site(tmp_path: Path) -> None:
    """Where the file names a receiver outside."""
    routing = Settings().routing
    outside = type(routing)(watchdog_url_file="/etc/jauge/alerting/outside.url")
    file = _written(tmp_path, Settings(routing=outside))
    _amtool("check-config", str(file))
    assert _receivers(file, _labels("Watchdog")) == {"watchdog"}


EVENT: Final = {"alertname": "JaugeEventActive", "severity": "none", "site": "p"}
HELD: Final = (
    # --- a cause holds back what it brings about
    ({"alertname": "JaugeDeliveryInterrupted"}, _labels("JaugeAgentSilent", agent="a"), True),
    ({"alertname": "JaugeBrokerDown"}, _labels("JaugeAgentSilent", agent="a"), True),
    ({"alertname": "JaugeCollectorDown"}, {"alertname": "JaugeStoreDown"}, True),
    (
        {"alertname": "JaugeCollectorDown"},
        _labels("JaugeCollectorInstanceDown", instance="c1"),
        True,
    ),
    (
        _labels("JaugeCollectorInstanceDown", instance="c1"),
        _labels("JaugeAgentSilent", agent="a"),
        False,
    ),
    ({"alertname": "JaugeBrokerDown"}, _labels("JaugeRoomHot"), False),
    (_labels("JaugeAgentSilent", agent="a"), _labels("JaugeSensorSilent", agent="a"), True),
    (_labels("JaugeAgentSilent", agent="a"), _labels("JaugeSensorSilent", agent="b"), False),
    (_labels("JaugeSourceSilent", agent="a"), _labels("JaugeSensorSilent", agent="a"), True),
    # --- an event holds back its scope
    (EVENT | {"kind": "maintenance"}, _labels("JaugeRoomHot"), True),
    (EVENT | {"kind": "maintenance"}, _labels("JaugeRoomHot", site="q"), False),
    (EVENT | {"kind": "maintenance"}, {"alertname": "JaugeBrokerDown", "severity": "page"}, False),
    (EVENT | {"kind": "battery"}, _labels("JaugeUpsOnBattery"), True),
    (EVENT | {"kind": "battery"}, _labels("JaugeRoomHot"), False),
    (
        EVENT | {"kind": "battery", "scope": "ups:A", "resource": "ups:A"},
        _labels("JaugeUpsOnBattery", resource="ups:A"),
        True,
    ),
    (
        EVENT | {"kind": "battery", "scope": "ups:A", "resource": "ups:A"},
        _labels("JaugeUpsOnBattery", resource="ups:B"),
        False,
    ),
    (
        EVENT | {"kind": "maintenance", "scope": "h1/host", "agent": "h1"},
        _labels("JaugeAgentSilent", agent="h1"),
        True,
    ),
    (
        EVENT
        | {"kind": "maintenance", "scope": "g/outlet:1", "agent": "g", "resource": "outlet:1"},
        _labels("JaugePhaseNearLimit", agent="g", resource="outlet:1"),
        True,
    ),
    (
        EVENT
        | {"kind": "maintenance", "scope": "g/outlet:1", "agent": "g", "resource": "outlet:1"},
        _labels("JaugePhaseNearLimit", agent="g", resource="outlet:2"),
        False,
    ),
    (
        EVENT
        | {"kind": "maintenance", "scope": "g/outlet:1", "agent": "g", "resource": "outlet:1"},
        _labels("JaugePhaseNearLimit", agent="h", resource="outlet:1"),
        False,
    ),
    (
        EVENT | {"kind": "maintenance", "scope": "ups-a", "meter": "ups-a"},
        _labels("JaugeRoomHot"),
        False,
    ),
)


SENTINEL: Final = (
    {"alertname": "JaugeEventActive", "site": "sentinel", "kind": "maintenance"},
    {"alertname": "JaugeRoomHot", "site": "sentinel", "severity": "page"},
)
"""Told after each pair: once it is held back, so is what had to be before it."""


async def _is_held(part: Alertmanager, name: str, pair: str) -> bool:
    path = f"/api/v2/alerts?filter=pair%3D{pair}&filter=alertname%3D{name}"
    found = await part.ask("GET", path)
    assert len(found) <= 1
    return bool(found and found[0]["status"]["inhibitedBy"])


async def test_a_cause_holds_back_its_consequences_and_an_event_its_scope(
    alertmanager: Alertmanager,
) -> None:
    """Each pair alone in a running Alertmanager; the near misses stay loud."""
    for number, (source, target, held) in enumerate(HELD):
        # A label of its own tells each pair's alerts from the others', which have ended.
        told = [{"labels": one | {"pair": f"{number}"}} for one in (source, target)]
        told += [{"labels": one | {"pair": f"s{number}"}} for one in SENTINEL]
        await alertmanager.ask("POST", "/api/v2/alerts", told)

        async def settled(pair: str = f"s{number}") -> bool:
            return await _is_held(alertmanager, "JaugeRoomHot", pair)

        await parts.eventually(settled, within=10, what="what was told is looked at")
        found = await _is_held(alertmanager, target["alertname"], f"{number}")
        assert found is held, f"{source} and {target}"
        ended = {"startsAt": "2020-01-01T00:00:00Z", "endsAt": "2020-01-01T00:00:01Z"}
        await alertmanager.ask("POST", "/api/v2/alerts", [one | ended for one in told])

        async def gone() -> bool:
            return len(await alertmanager.ask("GET", "/api/v2/alerts")) == 0

        await parts.eventually(gone, within=10, what="all have ended")


def test_the_example_of_the_documentation_can_be_used(tmp_path: Path) -> None:
    """As it stands there."""
    page = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```toml alerts.toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    file = tmp_path / "alerts.toml"
    file.write_text(example, encoding="utf-8")
    _amtool("check-config", str(_written(tmp_path, load(file))))
