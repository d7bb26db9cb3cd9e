"""What Grafana does with a dashboard before it asks a store: variables, intervals, queries.

After the documentation of Grafana's Prometheus data source: a variable that may have several
values is put in as an escaped regular expression, another as an escaped text.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tests.dashboards.stage import Labels, PromQL

Json = dict[str, Any]
Choice = Mapping[str, Sequence[str]]
"""Values chosen of each variable; the empty sequence is *All*."""

RANGE_S: Final = 60
STEP_S: Final = 5
_SPECIAL: Final = re.compile(r"[\\^$.|?*+()\[\]{}]")
_VALUES: Final = re.compile(r"label_values\((?P<selector>.+), (?P<label>\w+)\)")
_RESULT: Final = re.compile(r"query_result\((?P<query>.+)\)")


def interpolated(expression: str, dashboard: Json, choice: Choice) -> str:
    """The expression as it is sent to the store."""
    known = {one["name"]: one for one in dashboard["templating"]["list"]}

    def value(match: re.Match[str]) -> str:
        name = match.group(1) or match.group(2)
        if name in _INTERVALS:
            return _INTERVALS[name]
        if name.isdigit():  # a group of label_replace: no variable of Grafana's has such a name
            return match.group()
        variable = known[name]
        chosen = choice.get(name, ())
        if not variable.get("multi"):
            (only,) = chosen
            return only.replace("\\", "\\\\").replace('"', '\\"')
        if not chosen:
            return str(variable["allValue"])
        escaped = [_SPECIAL.sub(r"\\\\\g<0>", one) for one in chosen]
        return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"

    return re.sub(r"\$(\w+)|\$\{(\w+)\}", value, expression)


_INTERVALS: Final = {
    "__range": f"{RANGE_S}s",
    "__rate_interval": f"{4 * STEP_S}s",
    "__interval": f"{STEP_S}s",
    "__interval_ms": f"{STEP_S * 1000}",
}


async def options(
    variable: Json, dashboard: Json, choice: Choice, store: PromQL, at_s: float
) -> list[str]:
    """Values that a reader is offered."""
    query = interpolated(variable["query"], dashboard, choice)
    if found := _VALUES.fullmatch(query):
        series = await store.series(found["selector"], at_s - RANGE_S, at_s)
        return sorted({one[found["label"]] for one in series if found["label"] in one})
    found = _RESULT.fullmatch(query)
    assert found, f"{query} is no query of a variable that Grafana knows"
    samples = await store.now(found["query"], at_s)
    return sorted(set(_matched(variable["regex"], (labels for labels, _ in samples))))


def _matched(pattern: str, results: Iterator[Labels] | Any) -> Iterator[str]:
    """Values that a variable's regular expression takes out of the results of a query."""
    body, _, flags = pattern[1:].rpartition("/")
    assert pattern.startswith("/"), pattern
    assert set(flags) <= {"g"}, pattern
    expression = re.compile(body.replace("(?<", "(?P<"))
    for labels in results:
        name = labels.get("__name__", "")
        inner = ",".join(f'{key}="{text}"' for key, text in labels.items() if key != "__name__")
        text = f"{name}{{{inner}}} 1 0"
        groups: dict[str, str] = {}
        first = ""
        for match in expression.finditer(text):
            groups |= {key: found for key, found in match.groupdict().items() if found}
            first = first or (match.group(1) or "")
        if value := groups.get("value") or (None if expression.groupindex else first):
            yield value


async def choices(dashboard: Json, store: PromQL, at_s: float) -> list[dict[str, list[str]]]:
    """What readers may choose: everything, and each value of each variable by itself."""
    everything: dict[str, list[str]] = {}
    single: list[dict[str, list[str]]] = []
    for variable in dashboard["templating"]["list"]:
        if variable["type"] != "query":
            continue
        offered = await options(variable, dashboard, everything, store, at_s)
        assert offered, f"nothing to choose for {variable['name']}"
        if variable["multi"]:
            single += [{variable["name"]: [one]} for one in offered]
            everything[variable["name"]] = []
        else:
            everything[variable["name"]] = offered[:1]
            single += [{variable["name"]: [one]} for one in offered[1:]]
    return [everything, *(everything | one for one in single)]
