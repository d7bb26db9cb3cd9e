"""What the dashboards ask, asked of real stores that hold the demonstration's site.

The readings came the whole road: agents, broker, collector, store; the metrics by scraping. The
Prometheus was filled with what the store gives out.
"""

import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from jauge_dashboards import boards, building, drawing, queries
from jauge_dashboards.board import Form
from jauge_dashboards.boards import BOARDS
from jauge_dashboards.schema import Json, panels
from jauge_dashboards.words import LANGUAGES, MissingTextError, Words, words
from jauge_demo import cluster

from tests import parts
from tests.dashboards import grafana
from tests.dashboards.stage import PromQL, Sample, as_prometheus, demo_site

_BEFORE_S = 900.0
"""How much of the past is moved to Prometheus."""


# --- what is written down


def test_there_are_eight_dashboards_from_wide_to_narrow() -> None:
    """Each has its address, each narrower one exists, and the widest leads to all."""
    keys = [board.key for board in BOARDS]
    assert keys == [
        *("site", "power", "cooling", "rooms", "hosts", "virtualisation", "gpus", "fleet")
    ]
    assert {key for board in BOARDS for key in board.narrower} == set(keys) - {"site"}
    assert set(BOARDS[0].narrower) == set(keys) - {"site"}


def test_both_languages_say_everything_and_nothing_more() -> None:
    """The same keys in both, no text alike but names that are the same in both."""
    french, english = (words(code) for code in LANGUAGES)
    assert list(_keys(french._tables)) == list(_keys(english._tables))
    used = {(board.key, view.key) for board in BOARDS for view in board.views}
    written = {
        (board, view) for board, told in english._tables["boards"].items() for view in told["views"]
    }
    assert written == used


def _keys(table: Mapping[str, Any], where: str = "") -> Any:
    for key, value in table.items():
        yield f"{where}{key}"
        if isinstance(value, dict):
            yield from _keys(value, f"{where}{key}.")


def test_french_has_its_spaces() -> None:
    """A question mark never begins a line."""
    assert words("fr").row("site", "now") == "Comment va le site\u202f?"
    assert words("en").row("site", "now") == "How does the site stand?"


def test_a_text_that_nobody_wrote_ends_the_build() -> None:
    """It is named, with its language."""
    board = replace(BOARDS[0], key="nowhere")
    with pytest.raises(MissingTextError, match=r"locale/en.toml has no boards.nowhere.title"):
        drawing.draw(board, words("en"))
    with pytest.raises(MissingTextError, match="is no text"):
        Words("en", {"legends": {"it": 1}})("legends", "it")


def test_no_wall_of_gauges() -> None:
    """Of each dashboard: first a row of at most six figures, then no row of more than four."""
    for board in BOARDS:
        first, *others = board.rows
        assert {view.form for view in first.views} == {Form.STAT}
        assert len(first.views) <= 6
        assert all(len(row.views) <= 4 for row in others), board.key
        assert not any(view.form is Form.STAT for row in others for view in row.views)


def test_a_table_is_clicked_in_one_column() -> None:
    """One that it shows; of every other column an override takes the links off."""
    linked = [
        (board, view)
        for board in BOARDS
        for view in board.views
        if view.form is Form.TABLE and view.links
    ]
    assert linked
    for board, view in linked:
        assert {link.column for link in view.links} <= {column.word for column in view.columns}
        for code in LANGUAGES:
            drawn = drawing.draw(board, words(code))
            title = words(code).view(board.key, view.key).title
            (panel,) = (panel for panel in panels(drawn) if panel["title"] == title)
            taken = [
                one["matcher"]["options"]
                for one in panel["fieldConfig"]["overrides"]
                if one["properties"] == [{"id": "links"}]
            ]
            assert [one["mode"] for one in taken] == ["exclude"]
            assert taken[0]["names"] == [words(code)("columns", view.links[0].column)]


def test_every_query_holds_to_the_catalogue() -> None:
    """Names, functions, rates, variables, no indicator computed."""
    assert building.problems() == []


def test_a_renamed_quantity_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check names the dashboards and panels that still use the old name."""
    monkeypatch.setattr(queries, "KNOWN", queries.KNOWN - {"jauge_temperature_celsius"})
    found = building.problems()
    assert any(one.startswith("jauge-rooms, panel intake: unknown series") for one in found)
    assert not any(one.startswith("jauge-gpus") for one in found)


def test_indicators_are_shown_and_annotations_are_everywhere() -> None:
    """PUE and WUE only by their names; events, restatements and alerts on each dashboard."""
    for dashboard in building.dashboards("fr").values():
        colours = [one["iconColor"] for one in dashboard["annotations"]["list"]]
        assert colours == ["blue", "purple", "red"]
        alert = dashboard["annotations"]["list"][2]["expr"]
        assert alert.count('alertname!="Watchdog"') == alert.count("ALERTS{") == 2
    asked = [q.expr for board in BOARDS for view in board.views for q in view.queries]
    assert any("jauge_kpi_pue_ratio" in one for one in asked)
    assert any("jauge_kpi_wue" in one for one in asked)
    assert boards.BOARDS is BOARDS


# --- what real stores answer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stores(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[dict[str, PromQL], float]]:
    """Both stores with the same content, and the moment at which they are asked."""
    folder = tmp_path_factory.mktemp("stage")
    try:
        async with demo_site(folder) as store:
            await store.force_flush()
            at_s = time.time() - 2
            prometheus = await as_prometheus(store, folder / "prometheus", at_s - _BEFORE_S, at_s)
            async with prometheus:
                ports = {"victoria-metrics": store.port, "prometheus": prometheus.port}
                yield {name: PromQL(port) for name, port in ports.items()}, at_s
    except parts.PartMissingError as missing:
        pytest.skip(str(missing))


@pytest.mark.end_to_end
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ["victoria-metrics", "prometheus"])
@pytest.mark.parametrize("board", [board.uid for board in BOARDS])
async def test_every_query_returns_data_for_every_choice(
    stores: tuple[dict[str, PromQL], float], name: str, board: str
) -> None:
    """Of each panel, with everything chosen and with each value of each variable by itself."""
    store, at_s = stores[0][name], stores[1]
    dashboard = building.dashboards("fr")[f"{board}.json"]
    choices = await grafana.choices(dashboard, store, at_s)
    empty = []
    for choice in choices:
        for panel in panels(dashboard):
            for target in panel["targets"]:
                expression = grafana.interpolated(target["expr"], dashboard, choice)
                if not _has_values(await _asked(store, target, expression, at_s)):
                    empty.append((panel["title"], target["refId"], choice))
        for annotation in dashboard["annotations"]["list"]:
            expression = grafana.interpolated(annotation["expr"], dashboard, choice)
            await store.now(expression, at_s)
    assert empty == []


async def _asked(store: PromQL, target: Json, expression: str, at_s: float) -> list[Sample]:
    if target["instant"]:
        return await store.now(expression, at_s)
    return await store.over(expression, at_s - grafana.RANGE_S, at_s, grafana.STEP_S)


def _has_values(samples: list[Sample]) -> bool:
    return any(value != "NaN" for _, points in samples for _, value in points)


@pytest.mark.end_to_end
@pytest.mark.asyncio(loop_scope="module")
async def test_both_stores_say_the_same(stores: tuple[dict[str, PromQL], float]) -> None:
    """Newest power of every meter, and the guests' watts with the hosts' own part."""
    known, at_s = stores
    for expression in (
        "jauge_meter_power_watts",
        "sum(jauge_guest_attributed_power_watts) + sum(jauge_host_own_power_watts)",
        "jauge_gpu_allocated_ratio",
    ):
        first, second = [
            sorted(
                (sorted(labels.items()), round(float(value), 6)) for labels, ((_, value),) in found
            )
            for found in [await store.now(expression, at_s) for store in known.values()]
        ]
        assert first == second != []


@pytest.mark.end_to_end
@pytest.mark.asyncio(loop_scope="module")
async def test_gpus_are_given_as_the_simulated_cluster_has_it(
    stores: tuple[dict[str, PromQL], float],
) -> None:
    """One is its host's alone, and one its guest's in lessons only."""
    known, at_s = stores
    found = await known["victoria-metrics"].now("jauge_gpu_allocated_ratio", at_s)
    given = sorted(float(value) for _, ((_, value),) in found)
    lent = [
        sorted(
            float(bool(gpu.guest) and gpu.lent(cluster.Moment(round(when_s * 1000), 0)))
            for gpu in cluster.GPUS
        )
        for when_s in (at_s, at_s - 60)  # lessons may have begun, and be told of a little later
    ]
    assert given in lent
    assert 0.0 in given
    assert 1.0 in given
