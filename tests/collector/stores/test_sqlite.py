"""The embedded store: durability, retention, and other processes on the same file."""

import asyncio
import os
import signal
import sqlite3
import sys
from pathlib import Path

import pytest
from jauge_collector.stores import Held, StoreError, UnfitStoreError
from jauge_collector.stores.sqlite import SqliteStore
from jauge_models.intervals import Point
from jauge_models.readings import Reading
from jauge_models.resources import Series

HOST = Series("paris-1", "host-1", "host", "power")
OTHER = Series("paris-1", "host-2", "host", "power")
DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000

_WRITER = """
import asyncio, sys
from pathlib import Path
from jauge_collector.stores.sqlite import SqliteStore
from jauge_models.readings import Reading
from jauge_models.resources import Series

async def main():
    async with SqliteStore(Path(sys.argv[1]), retention_days=800) as store:
        number = 0
        while True:
            await store.write([Reading(Series("paris-1", "host-1", "host", "power"), number, 1.0)])
            number += 1
            print(number, flush=True)

asyncio.run(main())
"""


def opened(tmp_path: Path, retention_days: float = 800) -> SqliteStore:
    """A store on the test's file."""
    return SqliteStore(tmp_path / "state" / "readings.db", retention_days=retention_days)


async def test_what_was_written_survives_a_kill(tmp_path: Path) -> None:
    """Every write that returned before a SIGKILL is there afterwards."""
    path = tmp_path / "state" / "readings.db"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _WRITER, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while int(await process.stdout.readline()) < 25:
            pass
        os.kill(process.pid, signal.SIGKILL)
        rest = (await process.stdout.read()).split()
        await process.wait()
    returned = int(rest[-1]) if rest else 25
    async with opened(tmp_path) as store:
        points = (await store.read([HOST], 0, NOW_MS))[HOST]
    assert [point.time_ms for point in points][:returned] == list(range(returned))


async def test_settles_at_once_and_keeps_its_generation(tmp_path: Path) -> None:
    """An answer may be given as soon as `write` returns."""
    async with opened(tmp_path) as store:
        assert store.settle_s == 0
        before = await store.generation()
        await store.write([Reading(HOST, NOW_MS, 1.0)])
        assert await store.generation() == before


async def test_purge_deletes_exactly_what_is_past_the_retention(tmp_path: Path) -> None:
    """Of more rows than one step takes, those older than `oldest_kept_ms` go and no other."""
    async with opened(tmp_path, retention_days=10) as store:
        oldest_ms = await store.oldest_kept_ms(NOW_MS)
        assert oldest_ms == NOW_MS - 10 * DAY_MS
        old = [Reading(HOST, oldest_ms - 1 - i, 1.0) for i in range(12_000)]
        kept = [Reading(HOST, oldest_ms + i, 2.0) for i in range(3)]
        await store.write([*old, *kept, Reading(OTHER, oldest_ms - 1, 1.0)])
        assert await store.purge(NOW_MS) == 12_001
        assert await store.purge(NOW_MS) == 0
        assert await store.read([HOST, OTHER], 0, NOW_MS) == {
            HOST: [Point(r.time_ms, r.value) for r in kept]
        }
        assert await store.series("paris-1") == [HOST]
        await store.write([Reading(OTHER, NOW_MS, 3.0)])
        assert await store.latest("paris-1", NOW_MS) == {OTHER: Point(NOW_MS, 3.0)}


async def test_writes_pass_between_the_steps_of_a_purge(tmp_path: Path) -> None:
    """A write that comes during a long purge is done before the purge is."""
    async with opened(tmp_path, retention_days=10) as store:
        old = [Reading(HOST, i, 1.0) for i in range(200_000)]
        await store.write(old)
        order: list[str] = []

        async def purge() -> None:
            await store.purge(NOW_MS)
            order.append("purged")

        async def write() -> None:
            await store.write([Reading(HOST, NOW_MS, 1.0)])
            order.append("written")

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(purge())
            tasks.create_task(write())
        assert order == ["written", "purged"]


async def test_series_of_another_process_are_seen(tmp_path: Path) -> None:
    """What an importer writes into the same file is read by the collector that has it open."""
    async with opened(tmp_path) as service, opened(tmp_path) as importer:
        await service.write([Reading(HOST, NOW_MS, 1.0)])
        await importer.write([Reading(OTHER, NOW_MS, 2.0), Reading(HOST, NOW_MS + 1, 3.0)])
        await service.write([Reading(OTHER, NOW_MS + 1, 4.0)])
        for store in (service, importer):
            assert await store.read([HOST, OTHER], NOW_MS, NOW_MS + 2) == {
                HOST: [Point(NOW_MS, 1.0), Point(NOW_MS + 1, 3.0)],
                OTHER: [Point(NOW_MS, 2.0), Point(NOW_MS + 1, 4.0)],
            }


async def test_a_refused_transaction_leaves_nothing_and_can_be_repeated(tmp_path: Path) -> None:
    """A batch that fails in the middle is undone whole, the ids of its new series too."""
    async with opened(tmp_path) as store:
        await store.write([Reading(HOST, NOW_MS, 1.0)])
        good = Reading(OTHER, NOW_MS, 2.0)
        with pytest.raises(StoreError, match=r"readings\.db"):
            await store.write([good, Reading(OTHER, "no time", 2.0)])  # type: ignore[arg-type]
        assert await store.read([OTHER], 0, NOW_MS + 1) == {}
        await store.write([good])
        assert await store.read([OTHER], 0, NOW_MS + 1) == {OTHER: [Point(NOW_MS, 2.0)]}


async def test_an_unusable_file_is_named(tmp_path: Path) -> None:
    """A file that is no database, or of a newer collector, is refused with its path."""
    folder = tmp_path / "state"
    folder.mkdir()
    path = folder / "readings.db"
    path.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(StoreError, match=r"readings\.db: .*not a database"):
        async with opened(tmp_path):
            pass
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(UnfitStoreError, match=r"readings\.db: schema 99 is newer"):
        async with opened(tmp_path):
            pass


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    """Use before opening or after closing is a StoreError, not a crash."""
    store = opened(tmp_path)
    with pytest.raises(StoreError, match="not open"):
        await store.write([Reading(HOST, NOW_MS, 1.0)])
    async with store:
        pass
    with pytest.raises(StoreError, match="not open"):
        await store.read([HOST], 0, NOW_MS)


async def test_a_purge_takes_orphan_series_and_shrinks_the_file(tmp_path: Path) -> None:
    """The name of a series that has no reading left goes, and free pages go back."""
    path = tmp_path / "state" / "readings.db"
    async with opened(tmp_path, retention_days=10) as store:
        await store.write([Reading(OTHER, i, 1.0) for i in range(100_000)])
        await store.write([Reading(HOST, NOW_MS, 1.0)])
        await store.reclaim(alone=False)
        before = path.stat().st_size
        assert (await store.expired(NOW_MS)) == Held(100_000, 0, 99_999)
        assert await store.purge(NOW_MS) == 100_000
        assert await store.expired(NOW_MS) == Held(0)
        assert path.stat().st_size < before / 10
    with sqlite3.connect(path) as database:
        names = database.execute("SELECT agent FROM series").fetchall()
    database.close()
    assert names == [("host-1",)]


async def test_a_file_of_an_earlier_version_shrinks_once_alone(tmp_path: Path) -> None:
    """A file made without incremental vacuum is turned into one that has it."""
    folder = tmp_path / "state"
    folder.mkdir()
    with sqlite3.connect(folder / "readings.db") as database:
        database.execute("CREATE TABLE earlier (x)")
    database.close()
    async with opened(tmp_path, retention_days=10) as store:
        sizes = []
        for alone in (False, True, False):
            await store.write([Reading(OTHER, i, 1.0) for i in range(100_000)])
            await store.purge(NOW_MS)
            await store.reclaim(alone=alone)
            sizes.append((folder / "readings.db").stat().st_size)
        assert sizes[0] > 1_000_000
        assert max(sizes[1:]) < 100_000


async def test_a_running_reader_survives_an_erasure_by_another_process(tmp_path: Path) -> None:
    """What now bears the id of an erased series is not read in its place."""
    async with opened(tmp_path) as service, opened(tmp_path) as purge:
        await service.write([Reading(HOST, NOW_MS, 1.0)])
        await purge.erase("paris-1", [("host-1", "host")])
        await purge.write([Reading(OTHER, NOW_MS, 2.0)])
        assert await service.read([HOST, OTHER], 0, NOW_MS + 9) == {OTHER: [Point(NOW_MS, 2.0)]}


async def test_a_running_writer_survives_an_erasure_by_another_process(tmp_path: Path) -> None:
    """An id that was erased and given to another series never takes a reading of the first."""
    async with opened(tmp_path) as service, opened(tmp_path) as purge:
        await service.write([Reading(HOST, NOW_MS, 1.0)])
        await purge.erase("paris-1", [("host-1", "host")])
        await purge.write([Reading(OTHER, NOW_MS, 2.0)])  # gets the id that HOST had
        await service.write([Reading(HOST, NOW_MS + 1, 3.0)])
        for store in (service, purge):
            assert await store.read([HOST, OTHER], 0, NOW_MS + 9) == {
                OTHER: [Point(NOW_MS, 2.0)],
                HOST: [Point(NOW_MS + 1, 3.0)],
            }
