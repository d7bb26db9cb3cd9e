"""The gateways of the simulated site: real agents whose one source is the simulation.

Run as ``python -m jauge_demo.gateway FILE plant``, or ``cluster``: the same spool, runner and
publisher as any agent, so that the simulated readings travel the whole road.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from jauge_agent import agent, config, logs
from jauge_agent.source import Outcome, SourceSettings
from jauge_models.wire import Method, ResourceDescription, Sample

from jauge_demo import cluster, racks
from jauge_demo.plant import DEAD_SENSOR, Registers, live

_NAMES = {
    "meter:incomer": "Incomer",
    "meter:ups-a": "UPS A, output",
    "meter:ups-b": "UPS B, output",
    "meter:cooling": "Cooling",
    "meter:offices": "Offices",
    "meter:water": "Make-up water",
    "sensor:row-a.inlet": "Inlet, row A",
    "sensor:row-b.inlet": "Inlet, row B",
    "sensor:row-c.inlet": "Inlet, row C",
    "sensor:a1.inlet": "Inlet, rack A1",
    "sensor:b1.inlet": "Inlet, rack B1",
    "sensor:supply-air": "Supply air",
    "sensor:outdoor": "Outdoor air",
    "room:hall-1": "Hall 1",
}


class PlantSettings(SourceSettings, frozen=True, kw_only=True):
    """Settings of the simulated plant."""

    start_ms: int = 0
    """When its registers began to count, in milliseconds since the epoch."""


class PlantSource:
    """Reads the simulated instruments."""

    Settings: ClassVar[type[SourceSettings]] = PlantSettings

    def __init__(self, settings: PlantSettings) -> None:
        self._registers = Registers(settings.start_ms)

    async def open(self) -> Sequence[ResourceDescription]:
        """Every instrument, the dead sensor too."""
        methods: dict[str, dict[str, Method]] = {}
        for resource, quantity in (*live(self._registers, _now_ms()).values, DEAD_SENSOR):
            method = Method.REGISTER if quantity in {"energy", "water"} else Method.GAUGE
            methods.setdefault(resource, {})[quantity] = method
        told = racks.names()
        told |= {resource: (name, {}) for resource, name in _NAMES.items()}
        return [
            ResourceDescription(resource, quantities, *told.get(resource, ("", {})))
            for resource, quantities in methods.items()
        ]

    async def read(self) -> Outcome:
        """What the instruments show now."""
        seen = live(self._registers, _now_ms())
        return Outcome([Sample(*series, value) for series, value in seen.values.items()])

    async def close(self) -> None:
        """Nothing to give back."""


class ClusterSettings(SourceSettings, frozen=True, kw_only=True):
    """Settings of the simulated cluster."""

    start_ms: int = 0
    """When it began to be simulated, in milliseconds since the epoch."""


class ClusterSource:
    """Reads the simulated cluster as a gateway reads a vCenter."""

    Settings: ClassVar[type[SourceSettings]] = ClusterSettings

    def __init__(self, settings: ClusterSettings) -> None:
        self._start_ms = settings.start_ms
        self._described: list[ResourceDescription] = []

    async def open(self) -> Sequence[ResourceDescription]:
        """Hosts, guests and GPUs."""
        self._described = cluster.described(self._now())
        return self._described

    async def read(self) -> Outcome:
        """What they do now, and who has moved."""
        now = self._now()
        described = cluster.described(now)
        moved = None if described == self._described else described
        self._described = described
        values = cluster.readings_at(now)
        return Outcome([Sample(*series, value) for series, value in values.items()], {}, moved)

    async def close(self) -> None:
        """Nothing to give back."""

    def _now(self) -> cluster.Moment:
        return cluster.Moment(_now_ms(), self._start_ms)


_SOURCES = {"plant": "PlantSource", "cluster": "ClusterSource"}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def main(arguments: Sequence[str]) -> int:
    """Run the gateway until it is told to stop."""
    path, simulated = Path(arguments[0]), arguments[1]
    settings = config.read(path)
    sources = config.configured_sources(
        settings.sources,
        file=str(path),
        table={simulated: f"jauge_demo.gateway:{_SOURCES[simulated]}"},
    )
    logs.configure(settings.log.level, settings.log.format)
    asyncio.run(agent.run(settings, sources, file=str(path)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
