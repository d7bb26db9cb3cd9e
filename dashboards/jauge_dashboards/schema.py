"""Brings what grafanalib writes to Grafana's present schema, version 42, and checks it.

grafanalib 0.7.1 stamps version 12, writes nulls, keys of panels that are gone, thresholds as
texts and options of bar gauges in the wrong place; Grafana would have to migrate all of it.
`modern` leaves only what the schema knows. Shapes after Grafana's published JSON schemas, which
take only objects as values of overrides: so units and decimals stand in defaults, never there.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from grafanalib._gen import DashboardEncoder
from grafanalib.core import Dashboard

from jauge_dashboards import style

if TYPE_CHECKING:
    from jsonschema import ValidationError

SCHEMA_VERSION: Final = 42
DATA_SOURCE: Final[Mapping[str, str]] = MappingProxyType(
    {"type": "prometheus", "uid": "${datasource}"}
)
"""The one data source of every panel: the reader's choice at the top of the page."""
PANEL_TYPES: Final = frozenset({"row", "stat", "timeseries", "bargauge", "table"})

Json = dict[str, Any]

_DASHBOARD_KEYS: Final = [
    "uid",
    "title",
    "description",
    "tags",
    "timezone",
    "editable",
    "graphTooltip",
    "time",
    "timepicker",
    "refresh",
    "links",
    "panels",
    "templating",
    "annotations",
]
_PANEL_KEYS: Final = [
    "id",
    "type",
    "title",
    "description",
    "datasource",
    "gridPos",
    "targets",
    "transformations",
    "timeFrom",
    "interval",
    "maxDataPoints",
    "options",
    "fieldConfig",
    "links",
]
_TARGET_KEYS: Final = ["refId", "expr", "legendFormat", "format", "instant", "interval"]
_VARIABLE_KEYS: Final = [
    "name",
    "label",
    "type",
    "query",
    "datasource",
    "multi",
    "includeAll",
    "allValue",
    "regex",
    "refresh",
    "sort",
    "hide",
    "current",
]
_DEFAULT_KEYS: Final = [
    "unit",
    "decimals",
    "min",
    "max",
    "noValue",
    "mappings",
    "thresholds",
    "color",
    "custom",
    "links",
]
_STAT: Final[Json] = {
    "wideLayout": True,
    "showPercentChange": False,
    "percentChangeColorMode": "standard",
    "text": {"valueSize": style.STAT_VALUE, "titleSize": style.STAT_NAME},
}
_TABLE: Final[Json] = {"frameIndex": 0, "showHeader": True, "cellHeight": "sm"}
_BARS: Final[Json] = {
    "displayMode": "basic",
    "valueMode": "color",
    "namePlacement": "left",
    "showUnfilled": True,
    "sizing": "auto",
    "minVizWidth": 8,
    "minVizHeight": 16,
    "maxVizHeight": 32,
    "orientation": "horizontal",
    "text": {"valueSize": style.BAR_VALUE, "titleSize": style.BAR_NAME},
    "legend": {"showLegend": False, "displayMode": "hidden", "placement": "bottom", "calcs": []},
    "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
}


def modern(dashboard: Dashboard) -> Json:
    """The dashboard as Grafana of today would save it."""
    old: Json = json.loads(json.dumps(dashboard, cls=DashboardEncoder))
    new = _kept(old, _DASHBOARD_KEYS)
    new |= {
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "preload": False,
        "panels": [_panel(panel) for panel in old["panels"]],
        "templating": {"list": [_variable(one) for one in old["templating"]["list"]]},
        "timepicker": {"hidden": False},
    }
    return new


def _kept(found: Mapping[str, Any], keys: list[str]) -> Json:
    return {key: found[key] for key in keys if found.get(key) is not None}


def _panel(old: Json) -> Json:
    new = _kept(old, _PANEL_KEYS)
    if new["type"] == "row":
        row = _kept(old, ["id", "type", "title", "gridPos"])
        return row | {"collapsed": False, "panels": []}
    new["targets"] = [_target(one) for one in old["targets"]]
    new["datasource"] = dict(DATA_SOURCE)
    field = old["fieldConfig"]
    defaults = _kept(field["defaults"], _DEFAULT_KEYS)
    defaults["thresholds"] = _thresholds(field["defaults"]["thresholds"])
    new["fieldConfig"] = {"defaults": defaults, "overrides": field.get("overrides", [])}
    options = new.setdefault("options", {})
    if new["type"] == "timeseries":
        options["legend"]["showLegend"] = options["legend"]["displayMode"] != "hidden"
        custom = _kept(defaults["custom"], list(defaults["custom"]))
        custom["scaleDistribution"] = {"type": "linear"}
        custom["hideFrom"] = {"legend": False, "tooltip": False, "viz": False}
        defaults["custom"] = custom
    elif new["type"] == "stat":
        options |= _STAT
        defaults.pop("custom", None)
    elif new["type"] == "table":
        options |= _TABLE
        defaults["custom"] = {"align": "auto", "inspect": False}
    else:
        new["options"] = dict(_BARS)
    return {key: value for key, value in new.items() if value != [] or key == "targets"}


def _target(old: Json) -> Json:
    new = _kept(old, _TARGET_KEYS)
    instant = bool(old.get("instant"))
    new |= {
        "datasource": dict(DATA_SOURCE),
        "editorMode": "code",
        "instant": instant,
        "range": not instant,
        "exemplar": False,
    }
    return {key: value for key, value in new.items() if value != ""}


def _thresholds(old: Json) -> Json:
    steps = [
        {"color": step["color"], "value": None if step["value"] == "null" else step["value"]}
        for step in old["steps"] or ()
    ]
    return {"mode": "absolute", "steps": steps or [{"color": style.CALM, "value": None}]}


def _variable(old: Json) -> Json:
    new = _kept(old, _VARIABLE_KEYS)
    if new["type"] in {"datasource", "constant"}:
        return _kept(new, ["name", "label", "type", "query", "hide"])
    new["datasource"] = dict(DATA_SOURCE)
    new["definition"] = new["query"]
    new.pop("current", None)
    if new["includeAll"]:
        new["current"] = {"selected": True, "text": ["All"], "value": ["$__all"]}
    return new


def text(dashboard: Json) -> str:
    """A dashboard as its file: stable, so that a change shows in the difference of two builds."""
    return json.dumps(dashboard, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


# --- checking


def panels(dashboard: Json) -> Iterator[Json]:
    """Every panel but the headings of rows."""
    for panel in dashboard["panels"]:
        if panel["type"] != "row":
            yield panel


def problems(dashboard: Json) -> list[str]:
    """What Grafana's schema cannot tell: what every dashboard of ours must have, in words."""
    wrong: list[str] = []
    if dashboard.get("schemaVersion") != SCHEMA_VERSION:
        wrong.append(f"schemaVersion is not {SCHEMA_VERSION}")
    if dashboard.get("editable") is not False:
        wrong.append("may be edited in Grafana: what is changed there is lost at the next push")
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(set(ids)) != len(ids):
        wrong.append("two panels have one id")
    sources = [one for one in dashboard["templating"]["list"] if one["type"] == "datasource"]
    if [one["name"] for one in sources] != ["datasource"]:
        wrong.append("has not exactly the one data source variable, datasource")
    wrong += [
        f"variable {variable['name']} is not read again when the time changes"
        for variable in dashboard["templating"]["list"]
        if variable["type"] == "query" and variable.get("refresh") != 2
    ]
    for panel in panels(dashboard):
        wrong += [f"panel {panel.get('title')!r}: {one}" for one in _panel_problems(panel)]
    return wrong + _overlaps(dashboard)


def _panel_problems(panel: Json) -> Iterator[str]:
    if panel["type"] not in PANEL_TYPES:
        yield f"type {panel['type']} is not one of ours"
    for key in ("title", "description"):
        if not panel.get(key):
            yield f"has no {key}"
    unit = panel["fieldConfig"]["defaults"].get("unit")
    if unit not in style.UNITS | style.CUSTOM_UNITS:
        yield f"unit {unit!r} is not known"
    for one in (panel, *panel["targets"]):
        if one.get("datasource") != DATA_SOURCE:
            yield "asks another data source"


def _overlaps(dashboard: Json) -> list[str]:
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        if at["x"] + at["w"] > style.COLUMNS:
            return [f"panel {panel['title']!r} is wider than the page"]
        for place in (
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        ):
            if place in taken:
                return [f"panels {taken[place]!r} and {panel['title']!r} overlap"]
            taken[place] = panel["title"]
    return []


def _deepest(error: "ValidationError") -> "ValidationError":
    """Of an error in one of several shapes, the cause in the shape that fits best."""
    while error.context:
        error = max(error.context, key=lambda one: len(one.absolute_path))
    return error


def schema_problems(dashboard: Json, folder: Path) -> list[str]:
    """Errors against Grafana's published JSON schemas, which lie in ``folder``.

    Needs the ``jsonschema`` package. Raises OSError where a schema cannot be read.
    """
    from jsonschema import Draft7Validator  # noqa: PLC0415 - of developers only

    def read(name: str) -> Json:
        found: Json = json.loads((folder / f"{name}.jsonschema.json").read_text("utf-8"))
        return found

    def of_panel(kind: str, definition: str) -> Any:
        """Grafana's own part of a panel; anything where its schema says nothing of it."""
        known = read(kind)["definitions"]
        if definition not in known:
            return Draft7Validator({})
        return Draft7Validator({"$ref": f"#/definitions/{definition}", "definitions": known})

    def errors(one: Any, value: Any, where: str) -> list[str]:
        return [
            f"{where}{'/'.join(map(str, error.absolute_path))}: {error.message}"
            for whole in one.iter_errors(value)
            for error in (_deepest(whole),)
        ]

    found = errors(Draft7Validator(read("dashboard")), dashboard, "")
    query = Draft7Validator(read("prometheus"))
    for panel in panels(dashboard):
        where = f"panel {panel['title']!r} "
        for target in panel["targets"]:
            found += errors(query, target, f"{where}target ")
        found += errors(of_panel(panel["type"], "Options"), panel["options"], f"{where}options ")
        custom = panel["fieldConfig"]["defaults"].get("custom")
        if custom is not None:
            found += errors(of_panel(panel["type"], "FieldConfig"), custom, f"{where}custom ")
    units = read("units")["definitions"]
    known = {unit["const"] for unit in units.values()} | style.CUSTOM_UNITS
    for panel in panels(dashboard):
        unit = panel["fieldConfig"]["defaults"]["unit"]
        if unit not in known:
            found.append(f"panel {panel['title']!r}: Grafana knows no unit {unit!r}")
    return found
