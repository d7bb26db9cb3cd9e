"""Both stores, open and empty, behind one face for the contract tests."""

import os
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from jauge_collector.config import StoreConfig
from jauge_collector.stores import Store
from jauge_collector.stores.sqlite import SqliteStore
from jauge_collector.stores.victoriametrics import VictoriaMetricsStore
from jauge_models.intervals import Points
from jauge_models.readings import Reading
from jauge_models.resources import Series

from tests import parts

VISIBLE_WITHIN_S = 20.0


@dataclass
class Opened:
    """A store, with the server behind it where there is one."""

    store: Store
    server: parts.VictoriaMetrics | None = None

    async def read(
        self, series: Iterable[Series], start_ms: int, end_ms: int
    ) -> dict[Series, Points]:
        """What the store reads, once the server has been told to show what it took."""
        if self.server:
            await self.server.force_flush()
        return await self.store.read(series, start_ms, end_ms)

    async def write(self, readings: list[Reading]) -> None:
        """Write finite readings and return once the store shows every one of them."""
        await self.store.write(readings)
        await self.shows(readings)

    async def shows(self, readings: list[Reading]) -> None:
        """Return once every time stamp of these readings is read back."""
        series = {reading.series for reading in readings}
        times = {(reading.series, reading.time_ms) for reading in readings}
        start_ms = min(time_ms for _, time_ms in times)
        end_ms = max(time_ms for _, time_ms in times) + 1

        async def all_there() -> bool:
            found = await self.read(series, start_ms, end_ms)
            return times <= {(key, point.time_ms) for key, ps in found.items() for point in ps}

        await parts.eventually(all_there, within=VISIBLE_WITHIN_S, what="the readings are shown")


@pytest.fixture(params=["sqlite", "victoriametrics"])
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opened]:
    """Each store in turn."""
    if request.param == "sqlite":
        async with SqliteStore(tmp_path / "readings.db", retention_days=800) as embedded:
            yield Opened(embedded)
        return
    try:
        server = parts.VictoriaMetrics(tmp_path / "victoria-metrics")
    except parts.PartMissingError as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    async with server, VictoriaMetricsStore(StoreConfig(url=server.url)) as store:
        yield Opened(store, server)
