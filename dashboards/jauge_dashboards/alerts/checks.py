"""What must hold of the list of rules; ``jauge-dashboards check`` asks for it."""

from collections.abc import Iterator
from importlib.resources import files
from typing import Final

from jauge_dashboards import queries
from jauge_dashboards.alerts.build import GENERATED, LANGUAGES, alert_files
from jauge_dashboards.alerts.rules import groups, rules
from jauge_dashboards.alerts.runbooks import CHAPTERS, runbook, written
from jauge_dashboards.alerts.selectors import FLOW_BY_WEATHER, WET_BULB
from jauge_dashboards.alerts.settings import Settings
from jauge_dashboards.alerts.texts import texts

_OWN: Final = {
    WET_BULB: "jauge_temperature_celsius",
    FLOW_BY_WEATHER: "jauge_flow_cubic_metres_per_second",
}
"""Series that the rules record for themselves, and what they are of."""
_TOLERANCE: Final = "computes with an indicator"


def problems(settings: Settings) -> Iterator[str]:
    """Each in one line; nothing when all is well."""
    for group in groups(settings):
        for recording in group.recordings:
            yield from (f"{recording.name}: {p}" for p in wrong_in(recording.expression))
        for rule in group.rules:
            found = [*wrong_in(rule.expression)]
            if rule.limit_is_query:
                found += wrong_in(rule.limit)
            if rule.more:
                found += wrong_in(rule.more)
            if rule.reads_indicator:
                found = [one for one in found if not one.startswith(_TOLERANCE)]
            yield from (f"{rule.name}: {p}" for p in found)
    names = frozenset(rules(settings))
    for language in LANGUAGES:
        yield from _untied(names, language)


def wrong_in(expression: str) -> list[str]:
    """What is wrong with an expression of a rule, as `queries.problems` tells."""
    for own, known in _OWN.items():
        expression = expression.replace(own, known)
    return queries.problems(expression)


def _untied(names: frozenset[str], language: str) -> Iterator[str]:
    """Alerts without a runbook or texts, those without an alert, pages without a chapter."""
    pages = written(language)
    for name in sorted(names - pages):
        yield f"runbooks/{language}/{name}.md is missing: each alert has one"
    for name in sorted(pages - names):
        yield f"runbooks/{language}/{name}.md is of no alert"
    for name in sorted(names ^ set(texts(language).alerts)):
        yield f"locale/alerts.{language}.toml and the rules do not agree on {name}"
    for name in sorted(names & pages):
        heads = tuple(
            line.removeprefix("## ")
            for line in runbook(name, language).splitlines()
            if line.startswith("## ")
        )
        if heads != CHAPTERS[language]:
            yield f"runbooks/{language}/{name}.md has not the chapters of a runbook"


def stale() -> Iterator[str]:
    """Generated files of the repository that are not as they would be generated now."""
    folder = files("jauge_dashboards") / GENERATED / "alerts"
    for language in LANGUAGES:
        for name, text in alert_files(Settings(), language).items():
            if name.startswith("runbooks/"):
                continue
            file = folder / language / name
            if not file.is_file() or file.read_text(encoding="utf-8") != text:
                yield f"generated/alerts/{language}/{name}"
