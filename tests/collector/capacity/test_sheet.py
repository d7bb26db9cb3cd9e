"""The answer's tables in words: numbers of things, what was measured, and what comes of pools."""

from typing import Any

import msgspec
import pytest
from jauge_collector import civil
from jauge_collector.capacity.sheet import Sheet, sentence, sheet
from jauge_collector.capacity.sheet_table import NONE, Table, amounts, ranged
from jauge_collector.capacity.words import words
from jauge_collector.console.text import CODES
from jauge_models.capacity.answer import Answer, Sentence
from jauge_models.capacity.answer import answer as answered
from jauge_models.capacity.consolidation_plan import Consolidation, Emptied
from jauge_models.capacity.fullness import Limit
from jauge_models.capacity.inventory import Node, NodeKind, Plant
from jauge_models.capacity.outcome import Figure, Figures
from jauge_models.capacity.outlook import (
    Counted,
    Measure,
    PoolHistory,
    UseHistory,
    outlook,
    pool_outlook,
)
from jauge_models.capacity.scenario import Scenario, decode
from jauge_models.capacity.what_if import Added
from jauge_models.capacity.workloads import Obstacle
from jauge_models.effectiveness import Status

PARIS = civil.zone("Europe/Paris")
PLANT = Plant(
    kinds=(NodeKind(name="k", gpu="G", gpus=4, cpu_milli=1000, memory_mib=1024),),
    nodes=(Node(name="n", kind="k"),),
)
DAILY = tuple(2.0 + (hour % 24) / 24 + (hour % 7) / 50 for hour in range(60 * 24))


def _scenario(text: str = "days = 7") -> Scenario:
    return decode(f'name = "s"\nfirst = 2026-09-07\n{text}\n', file="s.toml")


def _answer(text: str = "days = 7") -> Answer:
    return answered(PLANT, _scenario(text), zone=PARIS, now_ms=0)


def _sheet(found: Answer, code: str) -> Sheet:
    return sheet(found, words(code), PARIS)


def _table(found: Answer, code: str, key: str) -> Table:
    return next(table for table in _sheet(found, code).tables if table.key == key)


@pytest.mark.parametrize(
    ("code", "number", "told"),
    [
        ("fr", 0, "0 exécution"),
        ("fr", 1, "1 exécution"),
        ("fr", 2, "2 exécutions"),
        ("en", 0, "0 runs"),
        ("en", 1, "1 run"),
        ("en", 1200, "1,200 runs"),
    ],
)
def test_numbers_of_things_are_said_as_the_language_does(code: str, number: int, told: str) -> None:
    """French says none as it says one."""
    assert words(code).several("runs", number) == told


@pytest.mark.parametrize(
    ("code", "waited", "told"),
    [
        ("fr", 1, "1 exécution attend des GPU"),
        ("fr", 3, "3 exécutions attendent des GPU"),
        ("en", 1, "1 run waits for GPUs"),
        ("en", 3, "3 runs wait for GPUs"),
    ],
)
def test_who_waits_is_counted_in_the_sentence(code: str, waited: int, told: str) -> None:
    """One waits, several wait."""
    said = Sentence(code="fits_waiting", values={"waited": waited, "longest_wait_h": 5})
    assert told in sentence(said, (), words(code), PARIS)


@pytest.mark.parametrize(
    ("code", "unplaced", "asked", "told"),
    [
        ("fr", 1, 1, "1 sur 1 exécution ne trouve pas de place"),
        ("fr", 2, 3, "2 sur 3 exécutions ne trouvent pas de place"),
        ("en", 1, 3, "1 of 3 runs finds no place"),
        ("en", 2, 3, "2 of 3 runs find no place"),
    ],
)
def test_what_is_refused_is_counted(code: str, unplaced: int, asked: int, told: str) -> None:
    """Each of the two numbers with its own form."""
    values: dict[str, str | float] = {
        "workload": "w",
        "unplaced": unplaced,
        "asked": asked,
        "unit": "runs",
        "obstacle": "gpus",
    }
    assert told in sentence(Sentence(code="refused", values=values), (), words(code), PARIS)


@pytest.mark.parametrize("code", CODES)
def test_one_node_and_one_day_are_not_several(code: str) -> None:
    """What could be off, and of how many days a year is told."""
    emptied = Emptied(node="n", moves=(), rest_kwh=10.0)
    one = msgspec.structs.replace(
        _answer("days = 1"), consolidation=Consolidation(emptied=(emptied,), kwh=10.0)
    )
    two = msgspec.structs.replace(
        one, consolidation=Consolidation(emptied=(emptied, emptied), kwh=20.0)
    )
    words_of = {"fr": ("nœud pourrait", "nœuds pourraient"), "en": ("node could", "nodes could")}
    for found, told in zip((one, two), words_of[code], strict=True):
        assert told in _table(found, code, "consolidation").text
    assert any({"fr": "ce seul jour", "en": "this day alone"}[code] in s for s in _how(one, code))
    assert any(
        {"fr": "ces 7 jours", "en": "these 7 days"}[code] in s for s in _how(_answer(), code)
    )


def _how(found: Answer, code: str) -> tuple[str, ...]:
    return _sheet(found, code).simulated


@pytest.mark.parametrize("code", CODES)
def test_a_past_that_ended_is_said_to_have(code: str) -> None:
    """Not that it is too short; and an hour of some days ago is not the last one."""
    said = {"fr": "rien n’est connu de la dernière semaine", "en": "nothing is known of the last"}
    for gone, cell in ((8 * 24, said[code]), (2 * 24, None)):
        values = (*DAILY, *[None] * gone)
        use = UseHistory(limit=Limit.GPUS, place="G", start_ms=0, values=values, of=9.0)
        found = msgspec.structs.replace(_answer(), outlook=(outlook(use),))
        (row,) = _table(found, code, "pools").rows
        assert row[2] == NONE
        if cell is None:
            assert row[3] != NONE
        else:
            assert cell in row[-1]
            assert cell in _table(found, code, "outlook").rows[0][-1]


@pytest.mark.parametrize("code", CODES)
def test_what_comes_of_a_pool_stands_with_its_interval_and_skill(code: str) -> None:
    """Four lines a pool; what is too short says so, and what is too far ahead is a dash."""
    gpus = UseHistory(
        limit=Limit.GPUS, place="G", start_ms=0, values=DAILY, of=4.0, counted=Counted.AT_WORK
    )
    memory = UseHistory(
        limit=Limit.GPU_MEMORY, place="G", start_ms=0, values=(2048.0,) * 24, of=9000.0
    )
    breaker = UseHistory(limit=Limit.BREAKER, place="r A", start_ms=0, values=DAILY, of=3.0)
    busy = PoolHistory(
        pool="G", measure=Measure.ACTIVITY, start_ms=0, values=tuple(v / 4 for v in DAILY)
    )
    watts = PoolHistory(
        pool="G", measure=Measure.POWER, start_ms=0, values=tuple(v * 1000 for v in DAILY)
    )
    found = msgspec.structs.replace(
        _answer(),
        outlook=tuple(map(outlook, (gpus, memory, breaker))),
        pools=tuple(map(pool_outlook, (busy, watts))),
        gpu_weeks=12,
    )
    w = words(code)
    pools = _table(found, code, "pools")
    assert [row[:2] for row in pools.rows] == [
        ("G", w.names[name]) for name in ("gpus", "gpu_memory", "activity", "power")
    ]
    of_gpus, of_memory, of_activity, of_power = pools.rows
    # What repeats itself never missed: its interval is a point, and no interval is shown.
    assert {"(" in cell for cell in (of_gpus[3], of_activity[3], of_power[3])} == {False}
    assert of_activity[3].endswith("%")
    assert of_power[3].endswith("kW")
    # Two months let one tell of no hour in four weeks.
    assert of_gpus[5] == "–"
    assert of_memory[2:6] == ("–",) * 4
    assert "24" in of_memory[6]
    full = _table(found, code, "outlook")
    assert [row[2] for row in full.rows] == [
        w.counted["at_work"],
        w.counted["drawn"],
        w.counted["drawn"],
    ]
    assert w("outlook_breakers") in full.text
    assert "12" in full.text
    assert "12" not in _table(msgspec.structs.replace(found, gpu_weeks=None), code, "outlook").text


@pytest.mark.parametrize(
    ("code", "what", "values", "told"),
    [
        ("en", Limit.GPUS, (5.0, 5.0, 5.0), ("5", "")),
        ("en", Limit.GPUS, (5.00001, 5.0, 5.00004), ("5", "")),
        ("en", Limit.GPUS, (5.0, 4.0, 6.0), ("5", "4 – 6")),
        ("en", Limit.GPU_MEMORY, (230400.0,) * 3, ("225\u00a0GiB", "")),
        ("en", Limit.GPU_MEMORY, (230400, 215040, 245760), ("225\u00a0GiB", "210 – 240\u00a0GiB")),
        ("fr", Limit.GPU_MEMORY, (230400, 215040, 245760), ("225\u00a0Gio", "210 – 240\u00a0Gio")),
        ("en", Measure.ACTIVITY, (0.25, 0.0, 0.5), ("25.0%", "0 – 50.0%")),
        ("fr", Measure.ACTIVITY, (0.25, 0.0, 0.5), ("25,0\u202f%", "0 – 50,0\u202f%")),
        # One multiple for all three, or nobody could compare them.
        ("en", Measure.POWER, (950.0, 900.0, 1100.0), ("0.95\u00a0kW", "0.9 – 1.1\u00a0kW")),
    ],
)
def test_an_interval_says_its_unit_once_and_a_point_is_none(
    code: str, what: str, values: tuple[float, float, float], told: tuple[str, str]
) -> None:
    """By what can be read: bounds that differ below the shown precision are one figure."""
    assert ranged(what, *values, words(code)) == told


def test_bounds_of_amounts_are_told_in_one_multiple() -> None:
    """That of the higher; a point is one figure."""
    w = words("en")
    assert amounts(9_000.0, 12_000.0, "kWh", w) == "9 – 12\u00a0MWh"
    assert amounts(500.0, 500.2, "kWh", w) == "500\u00a0kWh"


_ADDED = Added(kind="k", number=2, placed=1, racks={"r": 1}, obstacles=((Obstacle.BREAKER, 1),))


@pytest.mark.parametrize(
    ("code", "changes", "fits", "told"),
    [
        (
            "en",
            {},
            True,
            "1 of 2 nodes found a rack; a breaker kept the other out; everything fits all the same",
        ),
        (
            "en",
            {"number": 4},
            False,
            "1 of 4 nodes found a rack; a breaker kept the 3 others out; not everything fits",
        ),
        (
            "en",
            {"placed": 0, "racks": {}},
            False,
            "none of the 2 nodes found a rack: a breaker kept them out; not everything fits",
        ),
        (
            "en",
            {"number": 1, "placed": 0, "racks": {}},
            False,
            "the node found no rack: a breaker kept it out; not everything fits",
        ),
        (
            "en",
            {"placed": 0, "racks": {}, "obstacles": ()},
            False,
            "no rack is declared; not everything fits",
        ),
        ("en", {"placed": 2, "racks": {"r": 2}}, True, "everything fits; in r (2)"),
        (
            "fr",
            {},
            True,
            (
                "une baie pour 1 des 2 nœuds seulement\u202f; un disjoncteur arrête l’autre\u202f;"
                " tout tient quand même"
            ),
        ),
    ],
)
def test_nodes_without_a_rack_are_told_first(
    code: str, changes: dict[str, Any], fits: bool, told: str
) -> None:
    """Before that everything fits: with some of the nodes it is another option."""
    added = msgspec.structs.replace(_ADDED, **changes)
    found = _answer('days = 1\n[[what_if]]\nname = "more"\nadd = [{ kind = "k", number = 1 }]')
    (option,) = found.options
    change = msgspec.structs.replace(option.change, added=(added,))
    option = msgspec.structs.replace(option, change=change, fits=fits)
    found = msgspec.structs.replace(found, options=(option,))
    assert _table(found, code, "options").rows[0][1] == told


@pytest.mark.parametrize("code", CODES)
def test_figures_say_how_they_are_known(code: str) -> None:
    """In the words of the other pages; what nobody measured was declared."""
    plain, w = words(code).plain, words(code)
    for status in (*Status, None):
        pue = Figure(value=1.2, source="PUE1", status=status)
        found = msgspec.structs.replace(_answer(), figures=Figures(pue=pue))
        (row,) = _table(found, code, "figures").rows
        said = plain(f"status_{status}") if status else w("stated")
        assert row[2] == f"PUE1 ({said})"


def test_what_was_not_learnt_is_part_of_the_answer() -> None:
    """So that the text and the JSON say the same."""
    found = msgspec.structs.replace(_answer(), unlearnt={"k": "samples"})
    assert any("kind k" in told for told in _sheet(found, "en").unknown)
    assert msgspec.json.decode(msgspec.json.encode(found))["unlearnt"] == {"k": "samples"}
