"""Every dashboard against Grafana's published schema and types, and against our own rules."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from grafanalib import core
from grafanalib._gen import DashboardEncoder
from jauge_dashboards import building, schema
from jauge_dashboards.schema import Json
from jauge_dashboards.words import LANGUAGES

DRAWN = [
    pytest.param(one, id=f"{language}-{name}")
    for language in LANGUAGES
    for name, one in building.dashboards(language).items()
]


@pytest.fixture
def schemas(shared_data: Path) -> Path:
    """Folder of Grafana's published JSON schemas."""
    return shared_data / "grafana_jsonschema/jsonschema"


@pytest.fixture
def board() -> Json:
    """A dashboard to spoil."""
    return copy.deepcopy(building.dashboards("en")["jauge-power.json"])


@pytest.mark.parametrize("dashboard", DRAWN)
def test_grafanas_json_schema_finds_no_error(dashboard: Json, schemas: Path) -> None:
    """Dashboard, targets, options and fields of each panel, units."""
    assert schema.schema_problems(dashboard, schemas) == []


@pytest.mark.parametrize("dashboard", DRAWN)
def test_grafanas_types_load_it_and_lose_nothing(dashboard: Json) -> None:
    """What grafana-foundation-sdk reads, it writes again, every key and value."""
    types = pytest.importorskip("grafana_foundation_sdk.models.dashboard")
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins

    register_default_plugins()
    loaded = types.Dashboard.from_json(dashboard)
    again = json.loads(json.dumps(loaded, cls=JSONEncoder))
    assert list(_lost(dashboard, again)) == []


def _lost(wanted: Any, found: Any, where: str = "") -> Any:
    """Keys and values of one tree that another has not."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            yield from (
                _lost(value, found[key], f"{where}/{key}") if key in found else [f"{where}/{key}"]
            )
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for index, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from _lost(one, other, f"{where}/{index}")
    elif wanted != found:
        yield f"{where}: {wanted!r} is {found!r}"


@pytest.mark.parametrize("dashboard", DRAWN)
def test_our_own_rules_find_no_error(dashboard: Json) -> None:
    """Titles, descriptions, units, one data source, not editable, variables read again."""
    assert schema.problems(dashboard) == []


def _spoil(path: str, value: Any) -> Callable[[Json], None]:
    def work(dashboard: Json) -> None:
        *parents, last = path.split("/")
        place: Any = dashboard
        for one in parents:
            place = place[int(one) if one.isdigit() else one]
        place[last] = value

    return work


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (_spoil("schemaVersion", 12), "schemaVersion"),
        (_spoil("editable", True), "edited"),
        (_spoil("panels/1/title", ""), "has no title"),
        (_spoil("panels/1/description", ""), "has no description"),
        (_spoil("panels/1/type", "graph"), "type graph"),
        (_spoil("panels/1/fieldConfig/defaults/unit", "watts"), "unit 'watts'"),
        (_spoil("panels/1/datasource", {"type": "prometheus", "uid": "x"}), "data source"),
        (_spoil("panels/2/id", 2), "one id"),
        (_spoil("panels/2/gridPos", {"h": 4, "w": 6, "x": 1, "y": 1}), "overlap"),
        (_spoil("panels/2/gridPos", {"h": 4, "w": 6, "x": 19, "y": 1}), "wider"),
        (_spoil("templating/list/1/refresh", 1), "not read again"),
        (_spoil("templating/list/0/name", "source"), "data source variable"),
    ],
)
def test_what_breaks_a_rule_is_named(
    spoil: Callable[[Json], None], problem: str, board: Json
) -> None:
    """Each rule finds what it is there for."""
    spoil(board)
    assert any(problem in one for one in schema.problems(board))


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (_spoil("sharedCrosshair", True), "sharedCrosshair"),
        (_spoil("panels/1/fieldConfig/defaults/thresholds/steps/0/value", "null"), "null"),
        (_spoil("panels/1/fieldConfig/defaults/unit", "watts"), "no unit 'watts'"),
        (_spoil("panels/1/options", {}), "required"),
        (_spoil("panels/1/targets/0/step", 10), "step"),
    ],
)
def test_what_grafanas_schema_refuses_is_named(
    spoil: Callable[[Json], None], problem: str, board: Json, schemas: Path
) -> None:
    """The check is no rubber stamp: what grafanalib would write is refused."""
    spoil(board)
    assert any(problem in one for one in schema.schema_problems(board, schemas))


def test_what_grafanalib_writes_is_brought_to_the_present_schema(schemas: Path) -> None:
    """As it is, it has errors; what is made of it has none."""
    panel = core.Stat(
        id=1,
        title="t",
        description="d",
        gridPos=core.GridPos(h=4, w=6, x=0, y=0),
        dataSource=dict(schema.DATA_SOURCE),
        targets=[core.Target(refId="A", expr="up")],
        format="watt",
        color={"mode": "thresholds"},
        thresholds=[core.Threshold("green", 0, 0.0), core.Threshold("red", 1, 80.0)],
        extraJson={"fieldConfig": {"defaults": {"noValue": "-"}}},
    )
    old = core.Dashboard(title="t", uid="u", panels=[panel])
    raw = json.loads(json.dumps(old, cls=DashboardEncoder))
    raw["templating"] = {"list": []}
    assert len(schema.schema_problems(raw, schemas)) > 3
    new = schema.modern(old)
    assert schema.schema_problems(new, schemas) == []
    steps = new["panels"][0]["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [step["value"] for step in steps] == [None, 80.0]
