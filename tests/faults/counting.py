"""A source that can be checked: each value follows from its series and time."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
from jauge_agent.source import Outcome, SourceSettings
from jauge_models.wire import Method, ResourceDescription, Sample

QUANTITY = "energy"


def resource_of(number: int) -> str:
    """The meter that series ``number`` belongs to."""
    return f"meter:m{number}"


def value_at(number: int, time_ms: int) -> float:
    """What series ``number`` reads at a tick."""
    return round(time_ms % 86_400_000 / 1000 * 7 + number + 0.125, 3)


def samples_at(time_ms: int, series: int) -> list[Sample]:
    """What the whole source reads at a tick."""
    return [
        Sample(resource_of(number), QUANTITY, value_at(number, time_ms)) for number in range(series)
    ]


class CountingSettings(SourceSettings, frozen=True, kw_only=True):
    """Settings of the counting source."""

    quiet_file: str
    """Once this file exists the source reads nothing more, so that the spool can drain."""
    series: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 20
    """How many meters it has."""
    journal: str | None = None
    """A file to which each tick is appended, a line each, before it is given to the agent."""
    compression: Annotated[float, msgspec.Meta(ge=1)] = 1.0
    """By how much the agent's longest back-offs are shortened."""


class CountingSource:
    """Meters that count."""

    Settings: ClassVar[type[SourceSettings]] = CountingSettings

    def __init__(self, settings: CountingSettings) -> None:
        self._series = settings.series
        self._period_ms = round(settings.period_s * 1000)
        self._quiet = Path(settings.quiet_file)
        self._journal = (
            os.open(settings.journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            if settings.journal
            else None
        )

    async def open(self) -> Sequence[ResourceDescription]:
        """Registers all."""
        return [
            ResourceDescription(id=resource_of(number), quantities={QUANTITY: Method.REGISTER})
            for number in range(self._series)
        ]

    def read_now(self) -> Outcome:
        """The values of the tick that is being read."""
        if self._quiet.exists():
            return Outcome([])
        now_ms = time.time_ns() // 1_000_000
        tick_ms = now_ms - now_ms % self._period_ms
        if self._journal is not None:
            os.write(self._journal, b"%d\n" % tick_ms)
        return Outcome(samples_at(tick_ms, self._series))

    async def read(self) -> Outcome:
        """The same."""
        return self.read_now()

    async def close(self) -> None:
        """Give the journal back."""
        if self._journal is not None:
            os.close(self._journal)
