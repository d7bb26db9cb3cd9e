"""Alertmanager's configuration and its templates: who is told, when, and in which words."""

from collections.abc import Sequence
from typing import Any, Final

from jauge_dashboards.alerts.delivery import EVENT, INSTANCE_DOWN, INTERRUPTED, WATCHDOG
from jauge_dashboards.alerts.rule import Severity, Topic
from jauge_dashboards.alerts.settings import Receiver, Route, Routing, Settings, Smtp
from jauge_dashboards.alerts.texts import Mail, texts
from jauge_dashboards.alerts.yaml import document

TEMPLATE_FILE: Final = "jauge.tmpl"
NOBODY: Final = "nobody"
OUTSIDE: Final = "watchdog"
OFFICE_HOURS: Final = "office_hours"

_COMMENT: Final = """How alerts of Jauge reach people. Generated; do not edit:
jauge-dashboards build --thresholds FILE.toml"""
_SILENT: Final = ("JaugeAgentSilent", "JaugeSourceSilent", "JaugeSensorSilent")
_DOWN: Final = ("JaugeBrokerDown", "JaugeStoreDown", "JaugeCollectorDown")
_POWER_EVENTS: Final = ("battery", "bypass", "generator_test", "load_bank")
_TOLD: Final = f"{Severity.PAGE}|{Severity.TICKET}|{Severity.REPORT}"


def configuration(settings: Settings) -> str:
    """``alertmanager.yaml``; its templates lie beside it."""
    routing = settings.routing
    hours = routing.office_hours
    interval = {
        "weekdays": list(hours.days),
        "times": [{"start_time": hours.begin, "end_time": hours.end}],
        "location": routing.time_zone,
    }
    tree = {
        **({"global": _smtp(settings.smtp)} if settings.smtp else {}),
        "templates": [TEMPLATE_FILE],
        "route": _routes(settings),
        "inhibit_rules": inhibitions(),
        "time_intervals": [{"name": OFFICE_HOURS, "time_intervals": [interval]}],
        "receivers": [
            *(_receiver(receiver) for receiver in settings.receivers),
            {"name": NOBODY},
            *([_outside(routing)] if routing.watchdog_url_file else []),
        ],
    }
    return document(tree, _COMMENT)


def _smtp(smtp: Smtp) -> dict[str, Any]:
    return {
        "smtp_smarthost": smtp.server,
        "smtp_from": smtp.sender,
        "smtp_require_tls": smtp.tls,
        **({"smtp_auth_username": smtp.user} if smtp.user else {}),
        **({"smtp_auth_password_file": smtp.password_file} if smtp.password_file else {}),
    }


def _routes(settings: Settings) -> dict[str, Any]:
    """Each severity has a branch of its own; in it everybody whose route fits is told.

    Whatever has no severity of ours goes where tickets go: nothing is lost for want of a label.
    """
    routing = settings.routing
    root = next(r for r in settings.routes if r.severity == Severity.TICKET.value and not r.site)
    branches = [
        {
            "matchers": [f'severity="{severity}"'],
            "receiver": NOBODY,
            **_timing(severity, routing),
            "routes": [
                _route(route) for route in settings.routes if route.severity == severity.value
            ],
        }
        for severity in (Severity.PAGE, Severity.TICKET, Severity.REPORT)
    ]
    outside = {
        "matchers": [f'alertname="{WATCHDOG}"'],
        "receiver": OUTSIDE,
        "group_wait": "0s",
        "group_interval": "1m",
        "repeat_interval": "1m",
    }
    return {
        "receiver": root.receiver,
        "group_by": ["site", "alertname"],
        **_timing(Severity.TICKET, routing),
        "routes": [
            *([outside] if routing.watchdog_url_file else []),
            {"matchers": [f'severity="{Severity.NONE}"'], "receiver": NOBODY},
            *branches,
        ],
    }


def _timing(severity: Severity, routing: Routing) -> dict[str, str]:
    pages = severity is Severity.PAGE
    return {
        "group_wait": routing.page_wait if pages else routing.ticket_wait,
        "group_interval": routing.group_interval,
        "repeat_interval": routing.page_repeat if pages else routing.ticket_repeat,
    }


def _route(route: Route) -> dict[str, Any]:
    matchers = [f'{key}="{value}"' for key in ("team", "site") if (value := getattr(route, key))]
    when = {
        "always": {},
        "office_hours": {"active_time_intervals": [OFFICE_HOURS]},
        "outside_office_hours": {"mute_time_intervals": [OFFICE_HOURS]},
    }[route.when]
    return {
        "receiver": route.receiver,
        **({"matchers": matchers} if matchers else {}),
        **when,
        "continue": True,
    }


def _receiver(receiver: Receiver) -> dict[str, Any]:
    token = (
        {"http_config": {"authorization": {"credentials_file": receiver.token_file}}}
        if receiver.token_file
        else {}
    )
    hooks = [
        {"url_file": file, "send_resolved": resolved, **token}
        for file, resolved in ((receiver.webhook_url_file, True), (receiver.sms_url_file, False))
        if file
    ]
    mails = [
        {
            "to": ", ".join(receiver.mails),
            "send_resolved": True,
            "headers": {"Subject": '{{ template "jauge.subject" . }}'},
            "text": '{{ template "jauge.text" . }}',
            "html": '{{ template "jauge.html" . }}',
        }
    ]
    return {
        "name": receiver.name,
        **({"webhook_configs": hooks} if hooks else {}),
        **({"email_configs": mails} if receiver.mails else {}),
    }


def _outside(routing: Routing) -> dict[str, Any]:
    hook = {"url_file": routing.watchdog_url_file, "send_resolved": False}
    return {"name": OUTSIDE, "webhook_configs": [hook]}


def inhibitions() -> list[dict[str, Any]]:
    """What holds what back: a declared event its scope, a cause its consequences."""
    silent = f'alertname=~"{"|".join(_SILENT)}"'
    told = f'severity=~"{_TOLD}"'
    event, whole = f'alertname="{EVENT}"', 'scope=""'
    maintenance, electrical = 'kind="maintenance"', f'kind=~"{"|".join(_POWER_EVENTS)}"'
    power = f'topic="{Topic.POWER}"'
    found = [
        _inhibition([event, maintenance, whole], [told], "site"),
        _inhibition([event, electrical, whole], [told, power], "site"),
    ]
    for labels, scope in (
        (["meter"], "[^/]+"),
        (["host"], "[^/]+"),
        (["resource"], "[^/]+"),
        (["agent"], "[^/]+(/host)?"),
        (["agent", "resource"], "[^/]+/[^/]+"),
    ):
        scoped, named = f'scope=~"{scope}"', [f'{label}!=""' for label in labels]
        found += [
            _inhibition([event, maintenance, scoped], [told, *named], "site", *labels),
            _inhibition([event, electrical, scoped], [told, power, *named], "site", *labels),
        ]
    return [
        *found,
        _inhibition([f'alertname="{INTERRUPTED}"'], [silent]),
        _inhibition([f'alertname="{INTERRUPTED}"'], ['alertname="JaugeSpoolFilling"']),
        _inhibition([f'alertname=~"{"|".join(_DOWN)}"'], [f"{silent}"]),
        _inhibition([f'alertname=~"{"|".join(_DOWN)}"'], [f'alertname="{INSTANCE_DOWN}"']),
        _inhibition(
            ['alertname="JaugeCollectorDown"'], ['alertname=~"JaugeBrokerDown|JaugeStoreDown"']
        ),
        _inhibition(
            ['alertname="JaugeAgentSilent"'],
            ['alertname=~"JaugeSourceSilent|JaugeSensorSilent|JaugeClockSkewed"'],
            "site",
            "agent",
        ),
        _inhibition(
            ['alertname="JaugeSourceSilent"'],
            ['alertname="JaugeSensorSilent"'],
            "site",
            "agent",
        ),
    ]


def _inhibition(source: Sequence[str], target: Sequence[str], *equal: str) -> dict[str, Any]:
    return {
        "source_matchers": list(source),
        "target_matchers": list(target),
        **({"equal": list(equal)} if equal else {}),
    }


# --- words


def templates(settings: Settings, language: str) -> str:
    """``jauge.tmpl``: subject, plain text and HTML of a message, readable on a phone."""
    words = texts(language).mail
    fields = (
        (words.place, "{{ .Annotations.place }}"),
        (words.value, "{{ .Annotations.value }}"),
        (words.limit, "{{ .Annotations.limit }}"),
        (words.since, _moment(".StartsAt", settings.routing, words)),
        (words.until, _moment(".EndsAt", settings.routing, words)),
        (words.action, "{{ .Annotations.action }}"),
    )
    conditions = {
        words.value: "if .Annotations.value",
        words.limit: "if .Annotations.limit",
        words.until: 'if eq .Status "resolved"',
        words.action: 'if eq .Status "firing"',
    }
    links = (
        (words.runbook, "{{ .Annotations.runbook_url }}"),
        (words.dashboard, "{{ .Annotations.dashboard_url }}"),
        (words.alerts, f"{settings.routing.console_url}/alerts"),
    )
    colon = "\u00a0: " if language == "fr" else ": "
    plain = [
        _when(conditions.get(word), f"{word}{colon}{field}\n") for word, field in (*fields, *links)
    ]
    rows = [
        _when(conditions.get(word), f"<br><b>{word}</b>{colon}{field}\n") for word, field in fields
    ]
    anchors = [f'<br><a href="{url}">{word}</a>\n' for word, url in links]
    status = (
        f'{{{{ if eq .Status "firing" }}}}{words.firing}{{{{ else }}}}{words.resolved}{{{{ end }}}}'
    )
    one = "{{ (index .Alerts 0).Annotations.summary }}"
    several = f"{{{{ len .Alerts }}}} {words.several} {{{{ .CommonLabels.alertname }}}}"
    return "".join(
        (
            f'{{{{ define "jauge.subject" }}}}[{status}] ',
            f"{{{{ if eq (len .Alerts) 1 }}}}{one}{{{{ else }}}}{several}{{{{ end }}}}",
            '{{ end }}\n\n{{ define "jauge.text" }}{{ range .Alerts }}',
            f"{status} {{{{ .Annotations.summary }}}}\n{{{{ .Annotations.description }}}}\n",
            *plain,
            '\n{{ end }}{{ end }}\n\n{{ define "jauge.html" }}<!DOCTYPE html>\n',
            f'<html lang="{language}"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            '<title>{{ template "jauge.subject" . }}</title></head>\n',
            '<body style="font:16px/1.4 sans-serif;max-width:40em">\n{{ range .Alerts }}',
            f'<h1 style="font-size:1.2em">{status} {{{{ .Annotations.summary }}}}</h1>\n',
            "<p>{{ .Annotations.description }}\n",
            *rows,
            *anchors,
            "</p>\n{{ end }}</body></html>{{ end }}\n",
        )
    )


def _when(condition: str | None, text: str) -> str:
    return f"{{{{ {condition} }}}}{text}{{{{ end }}}}" if condition else text


def _moment(when: str, routing: Routing, words: Mail) -> str:
    return f'{{{{ {when} | tz "{routing.time_zone}" | date "{words.moment}" }}}}'
