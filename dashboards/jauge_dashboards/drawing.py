"""Draws a `Board` in one language: grafanalib's objects, then Grafana's present schema."""

import re
from collections.abc import Iterator
from typing import Any, Final

from grafanalib import core

from jauge_dashboards import queries, schema, style
from jauge_dashboards.board import (
    CONSOLE,
    Board,
    Column,
    Form,
    Link,
    Query,
    Row,
    Variable,
    View,
    uid,
)
from jauge_dashboards.style import Step
from jauge_dashboards.words import Words

TAG: Final = "jauge"
_EVERY: Final = ".*"
_WORD: Final = re.compile(r"@(\w+)@")
_BACK: Final = re.compile(r"\[(\$__range|\d+d)[:\]]")
"""A window in a query of the whole time shown, or of days."""
_FIELD: Final = re.compile(r"\[\[(\w+)\]\]")
"""In a link, the value of a column in the line that was clicked, by the column's word."""
_LOOKS: Final[dict[str, list[dict[str, Any]]]] = {
    "limit": [
        {"id": "color", "value": {"mode": "fixed", "fixedColor": style.LIMIT}},
        {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 8]}},
    ],
    "advice": [
        {"id": "color", "value": {"mode": "fixed", "fixedColor": style.ADVICE}},
        {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [2, 6]}},
    ],
    "electricity": [{"id": "color", "value": {"mode": "fixed", "fixedColor": style.ELECTRICITY}}],
    "it": [{"id": "color", "value": {"mode": "fixed", "fixedColor": style.IT}}],
    "cooling": [{"id": "color", "value": {"mode": "fixed", "fixedColor": style.COOLING}}],
}
"""How a query's series may stand out; `Query.look` names one."""


def draw(board: Board, words: Words, *, console: str = CONSOLE) -> schema.Json:
    """The dashboard as Grafana's JSON.

    Raises `words.MissingTextError` for a text that nobody wrote.
    """
    about = words.board(board.key)
    return schema.modern(
        core.Dashboard(
            uid=board.uid,
            title=about.title,
            description=about.description,
            tags=[TAG],
            editable=False,
            graphTooltip=core.GRAPH_TOOLTIP_MODE_SHARED_CROSSHAIR,
            timezone="browser",
            time=core.Time(board.start, "now"),
            refresh=board.refresh,
            panels=list(_panels(board, words)),
            templating=core.Templating(list(_variables(board, words, console))),
            annotations=core.Annotations(list(_annotations(words))),
            links=list(_links(board, words)),
        )
    )


# --- the grid


def _panels(board: Board, words: Words) -> Iterator[core.Panel]:
    top, number = 0, 1
    for row in board.rows:
        place = core.GridPos(h=style.ROW_HEIGHT, w=style.COLUMNS, x=0, y=top)
        yield core.RowPanel(id=number, title=words.row(board.key, row.key), gridPos=place)
        number += 1
        top += style.ROW_HEIGHT
        for view, x, y in _places(row):
            place = core.GridPos(h=view.height, w=view.width, x=x, y=top + y)
            yield _panel(board, view, words, number, place)
            number += 1
        top += max(y + view.height for view, _, y in _places(row))


def _places(row: Row) -> Iterator[tuple[View, int, int]]:
    """Left to right; below each other where the page is full."""
    x = y = tallest = 0
    for view in row.views:
        if x + view.width > style.COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        yield view, x, y
        x += view.width
        tallest = max(tallest, view.height)


# --- panels


def _panel(board: Board, view: View, words: Words, number: int, place: core.GridPos) -> core.Panel:
    about = words.view(board.key, view.key)
    shared: dict[str, Any] = {
        "id": number,
        "title": about.title,
        "description": about.description,
        "gridPos": place,
        "targets": list(_targets(view, words)),
        "dataSource": dict(schema.DATA_SOURCE),
        "thresholds": _steps(view.steps),
        "interval": None if view.form is Form.TABLE else "1m",
        "maxDataPoints": None,
        "timeFrom": view.since or None,
    }
    defaults: dict[str, Any] = {
        "noValue": words("missing", view.missing),
        "min": view.low,
        "max": view.high,
        "decimals": view.decimals,
        "mappings": list(_mappings(view, words)) or None,
        "links": [_link(one, words) for one in view.links],
        "unit": view.unit,
    }
    shared["extraJson"] = {"fieldConfig": {"defaults": defaults}}
    match view.form:
        case Form.STAT:
            return _stat(view, shared)
        case Form.LINES:
            return _lines(view, words, shared)
        case Form.BARS:
            defaults["color"] = _by_steps(view)
            return core.BarGauge(**shared)
        case Form.TABLE:
            return _table(view, words, shared)


def _stat(view: View, shared: dict[str, Any]) -> core.Panel:
    return core.Stat(
        format=view.unit,
        color=_by_steps(view),
        colorMode="value" if view.steps else "none",
        graphMode="none" if _is_instant(view) else "area",
        reduceCalc="lastNotNull",
        textMode="value_and_name" if view.names else "value",
        **shared,
    )


def _lines(view: View, words: Words, shared: dict[str, Any]) -> core.Panel:
    looks = {words("legends", one.word): one.look for one in view.queries if one.look}
    overrides = [_override(name, _LOOKS[look]) for name, look in looks.items()]
    several = view.legend and (len(view.queries) > 1 or "{{" in view.queries[0].legend)
    return core.TimeSeries(
        unit=view.unit,
        fillOpacity=20 if view.stacked else 0,
        lineWidth=1,
        axisSoftMax=view.soft_high,
        showPoints="auto",
        stacking={"mode": "normal" if view.stacked else "none", "group": "A"},
        legendDisplayMode="list" if several else "hidden",
        legendPlacement="bottom",
        tooltipMode="multi",
        tooltipSort="desc",
        overrides=overrides,
        **shared,
    )


def _table(view: View, words: Words, shared: dict[str, Any]) -> core.Panel:
    names = {column.field: words("columns", column.word) for column in view.columns}
    order = {column.field: at for at, column in enumerate(view.columns)}
    shared["transformations"] = [
        {"id": "merge", "options": {}},
        {
            "id": "organize",
            "options": {
                "excludeByName": {"Time": True},
                "includeByName": dict.fromkeys(names, True),
                "indexByName": order,
                "renameByName": names,
            },
        },
    ]
    overrides = [
        _override(names[column.field], _colored(column)) for column in view.columns if column.steps
    ]
    if linked := [words("columns", one.column) for one in view.links if one.column]:
        # Without a value an option of the panel does not hold for a column. The schema takes no
        # list as a value, which the links of one column would be.
        matcher = _named("exclude", linked)
        overrides.append({"matcher": matcher, "properties": [{"id": "links"}]})
    table = core.Table(unit=view.unit, overrides=overrides, **shared)
    if view.sort:
        by, descending = view.sort
        table.sortBy = [core.TableSortByField(words("columns", by), desc=descending)]
    return table


def _colored(column: Column) -> list[dict[str, Any]]:
    steps = [step._asdict() for step in column.steps]
    return [
        {"id": "thresholds", "value": {"mode": "absolute", "steps": steps}},
        {"id": "color", "value": {"mode": "thresholds"}},
        {"id": "custom.cellOptions", "value": {"type": "color-text"}},
    ]


def _override(name: str, properties: list[dict[str, Any]]) -> dict[str, Any]:
    return {"matcher": _named("include", [name]), "properties": properties}


def _named(mode: str, names: list[str]) -> dict[str, Any]:
    """Fields of these names, or all others, in the one form that the schema takes: an object."""
    prefix = "All except:" if mode == "exclude" else ""
    options = {"mode": mode, "names": names, "prefix": prefix, "readOnly": True}
    return {"id": "byNames", "options": options}


def _by_steps(view: View) -> dict[str, str]:
    if view.steps:
        return {"mode": "thresholds"}
    return {"mode": "fixed", "fixedColor": style.ELECTRICITY}


def _steps(steps: tuple[Step, ...]) -> list[core.Threshold]:
    return [
        core.Threshold(step.color, index, float(step.value or 0))
        for index, step in enumerate(steps)
    ]


def _mappings(view: View, words: Words) -> Iterator[dict[str, Any]]:
    """Names in place of values: those of a table of ``[states]``, ``value = "text"`` each.

    In tables also a dash for a label that is empty: what is not there was not to be measured.
    """
    table = words.table("states", view.states) if view.states else {}
    if table:
        options = {
            value: {"text": text, "index": index}
            for index, (value, text) in enumerate(table.items())
        }
        yield {"type": "value", "options": options}
    if view.form is Form.TABLE:
        result = {"text": style.EMPTY_CELL, "index": len(table)}
        yield {"type": "special", "options": {"match": "empty", "result": result}}


def _link(link: Link, words: Words) -> dict[str, Any]:
    """A link of values, with the keys that the schema asks of links of dashboards too."""
    away = link.url.startswith("${console}")

    def field(match: re.Match[str]) -> str:
        return f'${{__data.fields["{words("columns", match.group(1))}"]:percentencode}}'

    return {
        "title": words("links", link.word),
        "type": "link",
        "icon": "external link" if away else "dashboard",
        "tooltip": "",
        "url": _FIELD.sub(field, link.url),
        "tags": [],
        "asDropdown": False,
        "targetBlank": away,
        "includeVars": False,
        "keepTime": False,
    }


# --- queries


def _lettered(view: View) -> Iterator[tuple[str, Query]]:
    for index, query in enumerate(view.queries):
        yield chr(ord("A") + index), query


def _is_instant(view: View) -> bool:
    """Whether only the newest value is asked for: what is counted over a long time."""
    return any(_BACK.search(query.expr) for query in view.queries)


def _targets(view: View, words: Words) -> Iterator[core.Target]:
    now = view.form in {Form.BARS, Form.TABLE} or (view.form is Form.STAT and _is_instant(view))
    for ref, query in _lettered(view):
        yield core.Target(
            refId=ref,
            expr=_WORD.sub(lambda found: words("legends", found.group(1)), query.expr),
            legendFormat=words("legends", query.word) if query.word else query.legend,
            format="table" if view.form is Form.TABLE else "time_series",
            instant=now,
        )


# --- variables, annotations, links


def _variables(board: Board, words: Words, console: str) -> Iterator[core.Template]:
    yield core.Template(
        name="datasource",
        label=words("variables", "datasource"),
        type="datasource",
        query="prometheus",
    )
    for variable in board.variables:
        yield _variable(variable, words)
    yield core.Template(name="console", type="constant", query=console, hide=core.HIDE_VARIABLE)


def _variable(variable: Variable, words: Words) -> core.Template:
    return core.Template(
        name=variable.name,
        label=words("variables", variable.word),
        query=variable.query,
        regex=variable.regex or None,
        multi=variable.multiple,
        includeAll=variable.multiple,
        allValue=_EVERY if variable.multiple else None,
        refresh=core.REFRESH_ON_TIME_RANGE_CHANGE,
        sort=core.SORT_ALPHA_IGNORE_CASE_ASC,
    )


def _annotations(words: Words) -> Iterator[dict[str, Any]]:
    # The watchdog always fires: it would shade every plot for ever.
    told = {"alertname": "!Watchdog", "severity": "~page|ticket"}
    everywhere = {
        "maintenance": (queries.metric("event_active", site="$site"), "{{kind}}", "{{scope}}"),
        "restatement": (
            f"{queries.metric('ledger_restatements_proposed', site='$site')} > 0",
            words("annotations", "restatement"),
            "",
        ),
        "alert": (
            f"{queries.alerts(site='$site', **told)} or {queries.alerts(site='', **told)}",
            "{{alertname}}",
            "{{severity}}",
        ),
    }
    for key, (expr, title, about) in everywhere.items():
        yield {
            "name": words("annotations", key),
            "datasource": dict(schema.DATA_SOURCE),
            "enable": True,
            "hide": False,
            "iconColor": style.ANNOTATIONS[key],
            "expr": expr,
            "step": "60s",
            "titleFormat": title,
            "textFormat": about,
        }


def _links(board: Board, words: Words) -> Iterator[core.DashboardLink]:
    """From wide to narrow, then back to the widest, then to the console."""
    others = (*board.narrower, *(() if board.key == "site" else ("site",)))
    for key in others:
        yield core.DashboardLink(
            type="link",
            title=words.board(key).title,
            tooltip=words.board(key).description,
            icon="dashboard",
            uri=f"/d/{uid(key)}",
            includeVars=True,
            keepTime=True,
        )
    yield core.DashboardLink(
        type="link",
        title=words("links", "console"),
        tooltip=words("links", "console_tooltip"),
        icon="external link",
        uri="${console}/${site}",
        targetBlank=True,
        keepTime=False,
    )
