"""A real agent whose one source can be checked: each value follows from its series and time.

``python -m tests.end_to_end.counting FILE`` runs it until it is stopped.
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

SERIES = 20


def value_at(number: int, time_ms: int) -> float:
    """What series ``number`` reads at a tick."""
    return round(time_ms % 86_400_000 / 1000 * 7 + number + 0.125, 3)


class CountingSettings(SourceSettings, frozen=True, kw_only=True):
    """Settings of the counting source."""

    quiet_file: str
    """Once this file exists the source reads nothing more, so that the spool can drain."""


class CountingSource:
    """Twenty meters that count."""

    Settings: ClassVar[type[SourceSettings]] = CountingSettings

    def __init__(self, settings: CountingSettings) -> None:
        self._period_ms = round(settings.period_s * 1000)
        self._quiet = Path(settings.quiet_file)

    async def open(self) -> Sequence[ResourceDescription]:
        """Registers all."""
        return [
            ResourceDescription(id=f"meter:m{number}", quantities={"energy": Method.REGISTER})
            for number in range(SERIES)
        ]

    async def read(self) -> Outcome:
        """The values of the tick that is being read."""
        if self._quiet.exists():
            return Outcome([])
        now_ms = time.time_ns() // 1_000_000
        tick_ms = now_ms - now_ms % self._period_ms
        return Outcome(
            [
                Sample(f"meter:m{number}", "energy", value_at(number, tick_ms))
                for number in range(SERIES)
            ]
        )

    async def close(self) -> None:
        """Nothing to give back."""


def main(path: Path) -> None:
    """Run the agent."""
    settings = config.read(path)
    sources = config.configured_sources(
        settings.sources,
        file=str(path),
        table={"counting": "tests.end_to_end.counting:CountingSource"},
    )
    logs.configure(settings.log.level, settings.log.format)
    asyncio.run(agent.run(settings, sources))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
