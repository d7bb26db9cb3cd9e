"""Use of each limit over the past: sums of parts that are known, and nothing made up."""

from collections.abc import Sequence
from pathlib import Path

from jauge_collector.capacity.outlooks import uses
from jauge_collector.capacity.past import Past
from jauge_models.capacity.answer import History
from jauge_models.capacity.fullness import Limit
from jauge_models.capacity.outlook import UseHistory

from tests.collector.capacity.measured import site_of

Hours = Sequence[float | None]


def _uses(
    folder: Path, watts: dict[str, Hours], used: dict[str, Hours]
) -> dict[tuple[Limit, str], UseHistory]:
    _, declared = site_of(folder)
    past = Past(History(), {}, 7000, 3, 1000, 4, watts, used)
    return {(one.limit, one.place): one for one in uses(declared.plant, past)}


def test_parts_add_up_hour_by_hour(tmp_path: Path) -> None:
    """GPUs by kind, power by rack, heat by room, each against what is declared, from its start."""
    found = _uses(
        tmp_path,
        {"n1": (1.0, 2.0, 3.0, 4.0), "n2": (10.0, 20.0, None, 0.0), "n3": (5.0,) * 4},
        {"n1": (2.0, 1.0, 0.0), "n2": (0.5, None, 0.0), "n3": (4.0,) * 3},
    )
    rack, room = found[Limit.RACK_POWER, "r1"], found[Limit.ROOM_COOLING, "hall"]
    assert (rack.values, rack.of, rack.start_ms) == ((11.0, 22.0, None, 4.0), 4000.0, 1000)
    # The second rack stands in no room.
    assert (room.values, room.of) == ((11.0, 22.0, None, 4.0), 10_000.0)
    assert found[Limit.RACK_POWER, "r2"].of is None
    gpus = found[Limit.GPUS, "G"]
    assert (gpus.values, gpus.of, gpus.start_ms) == ((2.5, None, 0.0), 4.0, 7000)
    assert found[Limit.GPUS, "F"].values == (4.0,) * 3


def test_a_limit_with_a_part_of_which_nothing_is_known_is_left_out(tmp_path: Path) -> None:
    """The other node's power is not the rack's."""
    found = _uses(
        tmp_path,
        {"n1": (1.0,) * 4, "n2": (None,) * 4, "n3": (5.0,) * 4},
        {"n1": (2.0,) * 3},
    )
    assert set(found) == {(Limit.RACK_POWER, "r2")}
