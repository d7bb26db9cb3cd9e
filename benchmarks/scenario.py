"""How long the example of GPU capacity takes to answer: a year of hours with its what-ifs."""

import time
from pathlib import Path
from typing import Final

from jauge_collector import civil
from jauge_collector.capacity.plant_file import load
from jauge_models.capacity.answer import answer
from jauge_models.capacity.scenario import decode

from benchmarks.rows import Better, Row, Table

EXAMPLE: Final = Path(__file__).parents[1] / "examples" / "capacity"
CPU_LIMIT_S: Final = 5.0


async def measure(*, seconds: float, full: bool) -> Table:  # noqa: ARG001 - those of each benchmark
    """CPU of one answer, the best of three."""
    plant = load(EXAMPLE / "plant.toml").plant
    scenario = decode((EXAMPLE / "scenario.toml").read_text("utf-8"), file="scenario.toml")
    taken: list[float] = []
    for _ in range(3):
        began = time.process_time()
        answer(plant, scenario, zone=civil.zone(scenario.zone), now_ms=0)
        taken.append(time.process_time() - began)
    row = Row(
        "CPU of one answer, best of three",
        min(taken),
        "s",
        "limit",
        CPU_LIMIT_S,
        Better.LOWER,
        is_limit=True,
    )
    note = (
        f"examples/capacity: {scenario.days} days by the hour, {len(plant.nodes)} nodes, "
        f"{len(scenario.asked)} workloads, {len(scenario.what_if)} what-ifs"
    )
    return Table("scenario", "GPU capacity: the example scenario answered", [row], [note])
