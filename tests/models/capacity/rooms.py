"""A room of GPU nodes small enough to work its cases by hand, and scenarios for it."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jauge_models.capacity.inventory import Node, NodeKind, Plant, Rack, Room, Supply
from jauge_models.capacity.node_draw import NodeDraw, declared
from jauge_models.capacity.scenario import Hours, Scenario

EXAMPLES = Path(__file__).parents[3] / "examples" / "capacity"

PARIS = ZoneInfo("Europe/Paris")

BIG = NodeKind(
    name="big",
    gpu="G",
    gpus=4,
    gpu_memory_mib=81920,
    slices=7,
    cpu_milli=64000,
    memory_mib=524288,
    nameplate_w=4000.0,
)
SMALL = NodeKind(
    name="small",
    gpu="S",
    gpus=2,
    gpu_memory_mib=24576,
    cpu_milli=32000,
    memory_mib=262144,
    nameplate_w=1500.0,
)
DRAWS: Mapping[str, NodeDraw] = {
    "big": declared(800.0, 3200.0, "of no measurement"),
    "small": declared(300.0, 1100.0, "of no measurement"),
}
ALL_DAY = (Hours(begin=0, end=24, share=1.0),)
MONDAY = date(2027, 1, 4)


def rack(name: str, *, power_w: float | None = 20000.0, amperes: float = 60.0) -> Rack:
    """A rack on two feeds."""
    return Rack(
        name=name,
        room="room",
        supplies=tuple(Supply(name=f"{name}-{feed}", feed=feed, amperes=amperes) for feed in "AB"),
        power_w=power_w,
    )


def room(
    big: int = 2,
    small: int = 0,
    *,
    rack_w: float | None = 20000.0,
    cooling_w: float | None = 4e4,
    amperes: float = 60.0,
) -> Plant:
    """Nodes of both kinds in rack ``r1``; ``r2`` is empty. ``amperes``: of each feed of a rack."""
    names = [(f"big-{at}", "big") for at in range(big)]
    names += [(f"small-{at}", "small") for at in range(small)]
    return Plant(
        kinds=(BIG, SMALL),
        nodes=tuple(
            Node(name=name, kind=kind, rack="r1", supplies=("r1-A", "r1-B")) for name, kind in names
        ),
        racks=tuple(rack(name, power_w=rack_w, amperes=amperes) for name in ("r1", "r2")),
        rooms=(Room(name="room", cooling_w=cooling_w),),
    )


def scenario(days: int = 7, first: date = MONDAY, **tables: Any) -> Scenario:
    """A scenario in Paris with these tables."""
    return Scenario(name="case", first=first, days=days, **tables)
