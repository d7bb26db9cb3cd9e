"""What alerts say, in French and English, from ``locale/alerts.*.toml``.

A text may name a label of its alert in braces, ``{room}``, and ``{value}``, ``{limit}`` and
``{more}`` with their units; here they become what Prometheus and vmalert put in their place.
"""

import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

import msgspec

from jauge_dashboards.alerts.rule import Form, Rule
from jauge_dashboards.alerts.settings import Routing
from jauge_dashboards.board import uid

ANNOTATIONS: Final = (
    "summary",
    "description",
    "place",
    "value",
    "limit",
    "action",
    "runbook_url",
    "dashboard_url",
)
_NAMED: Final = re.compile(r"\{(\w+)\}")
_QUOTED: Final = re.compile(r'"\{(\w+)\}"')
"""In a query: quoted again when it is known, for it may hold a quotation mark."""
_FIRST: Final = "(. | first | value)"
_UNITS: Final = {"s": "s", "m": "min", "h": "h", "d": "d"}


class AlertText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of one alert."""

    title: str
    """A few words, with the place."""
    text: str
    """What was seen."""
    place: str
    action: str
    """What to do first."""
    more: str = ""
    """The value in words, ``{more}`` in it, of a rule with a query of ``more``."""
    no_more: str = ""
    """The same where the query has no answer."""


class Mail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words around the alerts of a message."""

    firing: str
    resolved: str
    place: str
    value: str
    limit: str
    since: str
    until: str
    action: str
    runbook: str
    dashboard: str
    alerts: str
    """What leads to the console's page of alerts."""
    seen: str
    """Before what was seen when the alert began."""
    several: str
    moment: str
    """How a moment is written, as Go writes its reference time."""


class Texts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One language."""

    mail: Mail
    alerts: Mapping[str, AlertText]


def texts(language: str) -> Texts:
    """All texts of a language, ``fr`` or ``en``."""
    file = files("jauge_dashboards") / "locale" / f"alerts.{language}.toml"
    return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Texts)


def annotations(rule: Rule, text: AlertText, routing: Routing, language: str) -> dict[str, str]:
    """Annotations of a rule, as templates; what has no sense for it is left out."""
    value, limit = _value(rule, text, language), _limit(rule, language)
    places = {"value": value, "limit": limit}

    def filled(template: str) -> str:
        return _NAMED.sub(lambda m: places.get(m[1]) or f"{{{{ $labels.{m[1]} }}}}", template)

    variables = "&".join(
        f"var-{name}={{{{ $labels.{name} | urlquery }}}}" for name in rule.variables
    )
    found = {
        "summary": filled(text.title),
        "description": filled(text.text),
        "place": filled(text.place),
        "value": value,
        "limit": limit,
        "action": filled(text.action),
        "runbook_url": routing.runbook(rule.name, language),
        "dashboard_url": f"{routing.grafana_url}/d/{uid(rule.board)}"
        + (f"?{variables}" if variables else ""),
    }
    return {name: found[name] for name in ANNOTATIONS if found[name]}


def _value(rule: Rule, text: AlertText, language: str) -> str:
    if rule.more:
        shown = f"{{{{ humanizeDuration {_FIRST} }}}}"
        return _asked(rule.more, text.more.replace("{more}", shown), text.no_more)
    if not rule.tells_value:
        return ""
    return _shown("$value", rule.form, language)


def _limit(rule: Rule, language: str) -> str:
    if not rule.limit_is_query:
        return _constant(rule.limit, language)
    query = rule.limit if rule.scale == 1 else f"({rule.limit}) * {rule.scale:g}"
    return _asked(query, _shown(_FIRST, rule.form, language))


def _asked(query: str, shown: str, otherwise: str = "") -> str:
    """A text where a query has an answer, and another where it has none."""
    labels = _QUOTED.findall(query)
    asked = _QUOTED.sub("%q", query).replace('"', '\\"')
    names = "".join(f" $labels.{label}" for label in labels)
    if otherwise:
        shown += f"{{{{ else }}}}{otherwise}"
    return f'{{{{ with printf "{asked}"{names} | query }}}}{shown}{{{{ end }}}}'


def _shown(value: str, form: Form, language: str) -> str:
    if form is Form.DURATION:
        return f"{{{{ humanizeDuration {value} }}}}"
    comma = ' | reReplaceAll "[.]" ","' if language == "fr" else ""
    return f'{{{{ printf "{form.value}" {value}{comma} }}}}'


def _constant(limit: str, language: str) -> str:
    """A limit that is the same for all, for people."""
    limit = re.sub(r"\b(\d+)([smhd])\b", lambda m: f"{m[1]} {_UNITS[m[2]]}", limit)
    if language == "fr":
        limit = re.sub(r"(\d)\.(\d)", r"\1,\2", re.sub(r" d\b", " j", limit))
        limit = re.sub(r"(\d)%", r"\1 %", limit)
    return limit
