"""GPU capacity of the demonstration's site as the collector would publish it, from made-up hours.

The simulated site has no year of use behind it. Here its use is invented, and everything else is
the collector's own: forecasts, days to full, families.
"""

import json
import math
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from jauge_collector.capacity.families import of_capacity
from jauge_collector.capacity.past import Past
from jauge_collector.capacity.planning import Known
from jauge_collector.capacity.plant_file import DeclaredPlant
from jauge_models.capacity.answer import History
from jauge_models.capacity.fullness import Limit
from jauge_models.capacity.inventory import Node, NodeKind, Plant, Rack, Room, Supply
from jauge_models.capacity.outcome import Figures
from jauge_models.capacity.outlook import UseHistory, outlook

from tests.parts import VictoriaMetrics

_HOURS: Final = 53 * 7 * 24
_STEP_MS: Final = 30_000
_PLANT: Final = Plant(
    kinds=(NodeKind(name="node", gpu="G", gpus=3, cpu_milli=1, memory_mib=1, nameplate_w=2000.0),),
    nodes=(Node(name="esx-gpu-1", kind="node", rack="B2", supplies=("B2 A", "B2 B")),),
    racks=(
        Rack(
            name="B2",
            room="hall-1",
            power_w=3000.0,
            supplies=(
                Supply(name="B2 A", feed="A", amperes=16.0),
                Supply(name="B2 B", feed="B", amperes=16.0),
            ),
        ),
    ),
    rooms=(Room(name="hall-1", cooling_w=9000.0),),
)


async def publish(
    store: VictoriaMetrics, site: str, span: tuple[int, int], *, step_ms: int = _STEP_MS
) -> None:
    """Write the samples of all families over [start, end]."""
    known = _known(span[1])
    lines = [
        f"{name}{{{_labels(sample.labels)}}} {sample.value!r} {at}"
        for name, samples in of_capacity(site, known).items()
        for sample in samples
        for at in range(span[0], span[1] + 1, step_ms)
    ]
    body = "\n".join([*lines, ""]).encode()
    status, said = await store.request("POST", "/api/v1/import/prometheus", body)
    assert status < 300, said
    await store.force_flush()


def _known(now_ms: int) -> Known:
    uses = (
        _use(Limit.GPUS, "G", 3.0, now_ms, (0.3, 0.7)),
        _use(Limit.RACK_POWER, "B2", 3000.0, now_ms, (0.5, 0.86)),
        _use(Limit.ROOM_COOLING, "hall-1", 9000.0, now_ms, (0.2, 0.5)),
    )
    return Known(
        DeclaredPlant(_PLANT, {}, {}, Path("plant.toml")),
        Past(History(), {}, 0, 0, 0, 0, {}, {}),
        Figures(),
        uses,
        tuple(outlook(use) for use in uses),
        now_ms,
    )


def _use(
    limit: Limit, place: str, of: float, now_ms: int, shares: tuple[float, float]
) -> UseHistory:
    """A year that grows from one share of the limit to another, with days and some chance."""
    first, last = shares
    chance = random.Random(limit.value)

    def hours() -> Iterator[float]:
        for hour in range(_HOURS):
            share = first + (last - first) * hour / _HOURS
            day = 0.06 * math.sin(hour * math.tau / 24)
            yield max(0.0, share + day + chance.gauss(0.0, 0.02)) * of

    return UseHistory(
        limit=limit, place=place, start_ms=now_ms - _HOURS * 3_600_000, values=tuple(hours()), of=of
    )


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={json.dumps(value)}" for key, value in labels.items())
