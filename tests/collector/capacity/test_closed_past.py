"""What is kept of a past and put together again is the past, whatever the store forgot of it."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_collector.capacity.closed_past import completed, hours_by_name, together
from jauge_collector.capacity.gpu_hours import HOUR_MS
from jauge_collector.capacity.past import NodeUse, Past
from jauge_collector.capacity.plant_file import DeclaredPlant
from jauge_models.capacity.answer import History
from jauge_models.capacity.idle_gpus import GpuHistory
from jauge_models.capacity.inventory import Node, Plant
from jauge_models.capacity.outlook import Counted

HOURS = 6
NODES = ("a/b", "n")
DECLARED = DeclaredPlant(
    Plant(kinds=(), nodes=tuple(Node(name=name, kind="k") for name in NODES)),
    {},
    {},
    Path("plant.toml"),
)
Known = dict[str, dict[int, float]]
_HOURLY = st.lists(st.none() | st.floats(0, 9), min_size=HOURS, max_size=HOURS)


def _past(uses: dict[str, NodeUse], gpus: list[tuple[str, str, GpuHistory]]) -> Past:
    names = {
        node: tuple(name for of, name, _ in gpus if of == node)
        for node in NODES
        if any(of == node for of, _, _ in gpus)
    }
    start_ms = 1000 * HOUR_MS
    history = History(
        gpus=tuple(
            msgspec.structs.replace(gpu, gpu=names[node].index(name)) for node, name, gpu in gpus
        )
    )
    return Past(history, {}, start_ms, HOURS, 0, 0, {}, uses, start_ms, HOURS, names)


@st.composite
def _pasts(draw: st.DrawFn) -> Past:
    uses: dict[str, NodeUse] = {}
    gpus: list[tuple[str, str, GpuHistory]] = []
    for node in NODES:
        number = draw(st.integers(0, 3))
        for at in range(number):
            held = draw(st.lists(st.none() | st.booleans(), min_size=HOURS, max_size=HOURS))
            one = GpuHistory(
                node=node,
                gpu=at,
                activity=tuple(draw(_HOURLY)),
                watts=tuple(draw(_HOURLY)),
                held=tuple(held) if any(by is not None for by in held) else (),
            )
            gpus.append((node, f"gw/gpu:{at}", one))
        if number:
            uses[node] = NodeUse(
                draw(_HOURLY),
                draw(st.sampled_from((Counted.GIVEN, Counted.AT_WORK, Counted.MIXED))),
                draw(_HOURLY),
                draw(_HOURLY),
                draw(st.sampled_from((Counted.GIVEN, Counted.MEMORY_USED, Counted.MIXED))),
            )
    return _past(uses, gpus)


def _kept(found: Past) -> Known:
    """All of it that is known, by the names of what it is of."""
    return {
        name: {at: hour.mean for at, hour in hours.items()}
        for name, hours in hours_by_name(found)
        if hours
    }


@settings(deadline=None, max_examples=60)
@given(_pasts(), st.data())
def test_what_was_kept_fills_what_was_forgotten(whole: Past, data: st.DataObject) -> None:
    """The oldest hours of all of it; then all of it."""
    gone = data.draw(st.integers(0, HOURS))

    left = _past(
        {
            node: use._replace(
                used=_cut(use.used, gone),
                activity=_cut(use.activity, gone),
                memory_mib=_cut(use.memory_mib, gone),
            )
            for node, use in whole.uses.items()
        },
        [
            (
                gpu.node,
                whole.names[gpu.node][gpu.gpu],
                GpuHistory(
                    node=gpu.node,
                    gpu=gpu.gpu,
                    activity=tuple(_cut(gpu.activity, gone)),
                    watts=tuple(_cut(gpu.watts, gone)),
                    held=tuple(None if at < gone else by for at, by in enumerate(gpu.held)),
                ),
            )
            for gpu in whole.history.gpus
        ],
    )
    assert _kept(completed(left, DECLARED, _kept(whole))) == _kept(whole)
    nothing = _past({}, [])
    again = completed(nothing, DECLARED, _kept(whole))
    assert _kept(again) == _kept(whole)
    # And what was put together is kept as it was.
    assert _kept(completed(nothing, DECLARED, _kept(again))) == _kept(whole)


def _cut(values: Sequence[float | None], gone: int) -> list[float | None]:
    return [None if at < gone else value for at, value in enumerate(values)]


@settings(deadline=None, max_examples=60)
@given(_pasts())
def test_a_gpu_that_the_store_lost_still_counts_in_its_node(whole: Past) -> None:
    """Readings of the other one alone tell of less than the node."""
    for lost in whole.history.gpus:
        name = whole.names[lost.node][lost.gpu]
        left = _past(
            {
                node: use if node != lost.node else use._replace(used=[0.0] * HOURS)
                for node, use in whole.uses.items()
            },
            [
                (gpu.node, whole.names[gpu.node][gpu.gpu], gpu)
                for gpu in whole.history.gpus
                if gpu is not lost
            ],
        )
        kept = _kept(whole)
        if not any(name in key and key.endswith(f"/{lost.node}") for key in kept):
            continue
        told = completed(left, DECLARED, kept).uses[lost.node]
        before = whole.uses[lost.node].used
        ends = [
            at
            for key, hours in kept.items()
            if key.startswith("gpu_") and key.endswith(f"/{name}/{lost.node}")
            for at in hours
        ]
        # Up to the lost one's last hour an hour that was not known is not made of what is left.
        until = max(ends) - 1000
        assert list(told.used) == [before[at] if at <= until else 0.0 for at in range(HOURS)]


def test_sums_without_a_lost_gpu_fill_no_hour_that_it_was_there() -> None:
    """Not even where nothing is kept of the node; what came after it is as read."""
    use = NodeUse([7.0] * HOURS, Counted.GIVEN, [0.5] * HOURS, [7.0] * HOURS, Counted.GIVEN)
    left = _past(
        {"n": use}, [("n", "gw/gpu:0", GpuHistory(node="n", gpu=0, activity=(), watts=()))]
    )
    lost = {"gpu_watts/gw/gpu:1/n": {1000: 90.0, 1002: 90.0}}
    kept = {**lost, "used/given/n": {1001: 8.0}}
    told = completed(left, DECLARED, kept).uses["n"]
    assert list(told.used) == [None, 8.0, None, 7.0, 7.0, 7.0]
    assert list(told.activity) == list(told.memory_mib[:3]) + [0.5] * 3 == [None] * 3 + [0.5] * 3
    alone = completed(left, DECLARED, lost).uses["n"]
    assert list(alone.used) == [None] * 3 + [7.0] * 3


def test_of_editions_the_first_that_has_an_hour_counts_whatever_it_counted() -> None:
    """They come newest first: an older one fills what it lacks."""
    newer = [("used/at_work/a/b", [(1000, 3.0), (1001, 4.0)])]
    older = [("used/given/a/b", [(1000, 1.0), (1002, 2.0)]), ("used/given/n", [(1000, 9.0)])]
    kept = together([newer, older], gpus_from_ms=0)
    assert kept["used/at_work/a/b"] == {1000: 3.0, 1001: 4.0}
    assert kept["used/given/a/b"] == {1002: 2.0}
    told = completed(_past({}, []), DECLARED, kept).uses
    assert list(told["a/b"].used) == [3.0, 4.0, 2.0, None, None, None]
    assert told["a/b"].counted is Counted.MIXED
    assert told["n"].used[0] == 9.0


def test_of_single_gpus_what_nobody_asks_for_is_not_held() -> None:
    """But for the hour that says until when it was there; of nodes all of it is."""
    hours = [(at, 1.0) for at in range(900, 1003)]
    gone = [(at, 1.0) for at in range(900, 950)]
    edition = [
        ("gpu_activity/gw/gpu:0/n", hours),
        ("gpu_activity/gw/gpu:1/n", gone),
        ("used/given/n", hours),
    ]
    kept = together([edition], gpus_from_ms=1000 * HOUR_MS)
    assert kept["gpu_activity/gw/gpu:0/n"] == {1000: 1.0, 1001: 1.0, 1002: 1.0}
    assert kept["gpu_activity/gw/gpu:1/n"] == {949: 1.0}
    assert len(kept["used/given/n"]) == len(hours)
