"""What a record and its report both need is read once; the collector of garbage stays as it was."""

import asyncio
import gc
from datetime import date

import pytest
from jauge_collector import sites
from jauge_collector.compliance import intake as air
from jauge_collector.compliance import sensor_hours
from jauge_collector.compliance.quarters import quarter_of
from jauge_collector.compliance.sources import Sources
from jauge_collector.gc_pause import gc_paused
from jauge_collector.ledger.book import Ledger
from jauge_collector.registers import files
from jauge_collector.registers.files import Registers
from jauge_collector.reports.content import Report
from jauge_collector.reports.gather import gather
from jauge_collector.stores.sqlite import SqliteStore
from jauge_models.compliance.windows import Window, twelve_months

from tests.collector.compliance.yard import END, HOUR, SENSOR, START, Yard


def test_hours_that_are_known_are_not_read_again(yard: Yard) -> None:
    """Not even once the store has lost them; another span or longest gap is read for itself."""

    async def twice() -> tuple[air.Hours, air.Hours, air.Hours, air.Hours]:
        site = sites.load(yard.folder / "yard.toml")
        year, shorter = twelve_months(date(2025, 12, 31)), twelve_months(date(2025, 12, 30))
        async with SqliteStore(yard.folder / "readings.db", retention_days=20000) as store:
            with Ledger(yard.folder / "ledger.db") as ledger:
                sources = Sources(site, Registers(), ledger, yard.folder / "ledger.db", store)

                async def hours(window: Window, gap: int) -> air.Hours:
                    return (await sensor_hours.read(sources, [SENSOR], window, gap))[SENSOR]

                first = await hours(year, HOUR)
                agent, _, resource = SENSOR.partition("/")
                await store.erase("yard", [(agent, resource)])
                return (
                    first,
                    await hours(year, HOUR),
                    await hours(shorter, HOUR),
                    await hours(year, 2 * HOUR),
                )

    first, again, shorter, longer = asyncio.run(twice())
    assert len(first) == 365 * 24
    assert again == first
    assert (len(shorter), len(longer)) == (0, 0)


def test_a_report_works_out_each_total_and_indicator_once(yard: Yard) -> None:
    """Where what one person signed is left out too: record and report share one ledger."""
    yard.edit("policy.toml", "two_people = []", 'two_people = ["attestation"]')

    async def gathering() -> tuple[Sources, Report]:
        site = sites.load(yard.folder / "yard.toml")
        registers = files.load(site.registers, yard.folder, site.name)
        async with SqliteStore(yard.folder / "readings.db", retention_days=20000) as store:
            with Ledger(yard.folder / "ledger.db") as ledger:
                sources = Sources(site, registers, ledger, yard.folder / "ledger.db", store)
                quarter = quarter_of("2025-Q4", site.zone, END)
                return sources, await gather(sources, quarter, END)

    sources, report = asyncio.run(gathering())
    assert report.record.unconfirmed == 1
    (asked,) = sources.boundaries
    assert asked[1:] == (START, END)
    assert report.year.kpis == sources.boundaries[asked].kpis


def test_collection_is_on_again_after_a_pause_within_a_pause() -> None:
    """And after one that failed."""
    assert gc.isenabled()
    with gc_paused():
        with gc_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="test"), gc_paused():
        raise ValueError("test")
    assert gc.isenabled()
