"""The embedded store: one SQLite file on this machine."""

import asyncio
import secrets
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, ParamSpec, Self, TypeVar

from jauge_models.effectiveness import DAY_MS
from jauge_models.intervals import Point, Points
from jauge_models.readings import Reading
from jauge_models.resources import Series

from jauge_collector.stores import (
    Held,
    LeftOut,
    Source,
    StoreError,
    UnfitStoreError,
)

_Result = TypeVar("_Result")
_Given = ParamSpec("_Given")

_SCHEMA_VERSION: Final = 1
_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY,
    site TEXT NOT NULL,
    agent TEXT NOT NULL,
    resource TEXT NOT NULL,
    quantity TEXT NOT NULL,
    UNIQUE (site, agent, resource, quantity)
) STRICT;
CREATE TABLE IF NOT EXISTS readings (
    series_id INTEGER NOT NULL REFERENCES series (id),
    time_ms INTEGER NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (series_id, time_ms)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = {_SCHEMA_VERSION};
COMMIT;
"""
_WRITE: Final = """
INSERT INTO readings (series_id, time_ms, value) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET value = excluded.value WHERE excluded.value > value
"""
_ID: Final = "SELECT id FROM series WHERE site = ? AND agent = ? AND resource = ? AND quantity = ?"
_SPAN: Final = """
SELECT time_ms, value FROM readings
WHERE series_id = ? AND time_ms >= ? AND time_ms < ? ORDER BY time_ms
"""
_BEFORE: Final = """
SELECT time_ms, value FROM readings
WHERE series_id = ? AND time_ms < ? ORDER BY time_ms DESC LIMIT 1
"""
_AFTER: Final = """
SELECT time_ms, value FROM readings
WHERE series_id = ? AND time_ms >= ? ORDER BY time_ms LIMIT 1
"""
_SERIES_OF_SITE: Final = """
SELECT site, agent, resource, quantity FROM series
WHERE site = ? AND EXISTS (SELECT 1 FROM readings WHERE series_id = id)
"""
_LATEST: Final = """
SELECT site, agent, resource, quantity, time_ms, value FROM series
JOIN readings ON series_id = id
    AND time_ms = (SELECT max(time_ms) FROM readings WHERE series_id = id)
WHERE site = ? AND time_ms >= ?
"""
_OF_SITE: Final = "SELECT id FROM series WHERE ? IS NULL OR site = ?"
_OF_SOURCE: Final = "SELECT id FROM series WHERE site = ? AND agent = ? AND resource = ?"
_HELD: Final = """
SELECT count(*), min(time_ms), max(time_ms) FROM readings WHERE series_id = ? AND time_ms < ?
"""
_DROP_EMPTY: Final = """
DELETE FROM series WHERE id = ? AND NOT EXISTS (SELECT 1 FROM readings WHERE series_id = id)
"""
_OLDEST_AFTER_STEP: Final = """
SELECT time_ms FROM readings WHERE series_id = ? AND time_ms < ?
ORDER BY time_ms LIMIT 1 OFFSET ?
"""

_BUSY_S: Final = 10.0
_PAGES_PER_CHECKPOINT: Final = 4000
_SERIES_PER_JOB: Final = 256
_ROWS_PER_PURGE_STEP: Final = 5000
_PAGES_PER_RECLAIM_STEP: Final = 2000
_AFTER_ALL: Final = 2**63 - 1
_INCREMENTAL: Final = 2


class SqliteStore:
    """Readings in one SQLite file, on one thread; what `write` returned from survives a kill.

    As in VictoriaMetrics with ``-dedup.minScrapeInterval=1ms``, of two differing values of one
    series at one time the larger is kept, so that the order of arrival never matters.
    """

    settle_s: float = 0.0

    def __init__(self, path: Path, *, retention_days: float) -> None:
        self._path = path
        self._retention_ms = round(retention_days * DAY_MS)
        self._thread: ThreadPoolExecutor | None = None
        self._database: sqlite3.Connection | None = None
        self._ids: dict[Series, int] = {}
        self._ids_version: int | None = None
        self._generation = secrets.token_hex(8)
        self.left_out: Counter[LeftOut] = Counter()

    async def __aenter__(self) -> Self:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="readings")
        try:
            await self._run(self._open)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()

    async def generation(self) -> str:
        """Names this opening: what an earlier one committed is there, so it never changes."""
        return self._generation

    async def oldest_kept_ms(self, now_ms: int) -> int:
        """The retention's end."""
        return now_ms - self._retention_ms

    async def write(self, readings: Sequence[Reading]) -> None:
        """Write readings in one transaction, on disk at return. Raises StoreError."""
        if readings:
            await self._run(self._write, readings)

    async def read(
        self, series: Iterable[Series], start_ms: int, end_ms: int
    ) -> dict[Series, Points]:
        """Raw readings in [start, end); the thread is free for writes in between."""
        found: dict[Series, Points] = {}
        for some in _in_chunks(series):
            found |= await self._run(self._each, some, _SPAN, (start_ms, end_ms))
        return found

    async def before(self, series: Iterable[Series], time_ms: int) -> dict[Series, Point]:
        """The last reading before a moment."""
        return await self._nearest(series, _BEFORE, time_ms)

    async def after(self, series: Iterable[Series], time_ms: int) -> dict[Series, Point]:
        """The first reading at or after a moment."""
        return await self._nearest(series, _AFTER, time_ms)

    async def series(self, site: str) -> list[Series]:
        """Every series of a site that has readings."""
        rows = await self._run(self._rows_of, _SERIES_OF_SITE, (site,))
        return [Series(*row) for row in rows]

    async def latest(self, site: str, since_ms: int) -> dict[Series, Point]:
        """The newest reading of each series of a site, where not older than ``since_ms``."""
        rows = await self._run(self._rows_of, _LATEST, (site, since_ms))
        return {Series(*row[:4]): Point(*row[4:]) for row in rows}

    async def purge(self, now_ms: int, site: str | None = None) -> int:
        """Delete what is older than the retention, and series that are left without any."""
        oldest_ms = await self.oldest_kept_ms(now_ms)
        purged = 0
        for identity in await self._run(self._ids_of, _OF_SITE, (site, site)):
            while step := await self._run(self._purge_step, identity, oldest_ms):
                purged += step
            await self._run(self._drop_empty, identity)
        if purged:
            await self.reclaim(alone=False)
        return purged

    async def expired(self, now_ms: int, site: str | None = None) -> Held:
        """What `purge` would delete."""
        oldest_ms = await self.oldest_kept_ms(now_ms)
        return await self._held(_OF_SITE, [(site, site)], oldest_ms)

    async def held(self, site: str, sources: Collection[Source]) -> Held:
        """The readings of all quantities of some resources."""
        return await self._held(_OF_SOURCE, [(site, *source) for source in sources], _AFTER_ALL)

    async def erase(self, site: str, sources: Collection[Source]) -> None:
        """Delete resources' readings and series, overwriting what is deleted."""
        for source in sources:
            for identity in await self._run(self._ids_of, _OF_SOURCE, (site, *source)):
                while await self._run(self._purge_step, identity, _AFTER_ALL, overwrite=True):
                    pass
                await self._run(self._drop_empty, identity, overwrite=True)

    async def reclaim(self, *, alone: bool) -> None:
        """Shorten the file by its free pages, in steps; whole and defragmented when ``alone``.

        A file that an earlier version made cannot be shortened in steps until it was once done
        ``alone``: its free pages are used again.
        """
        if alone:
            await self._run(self._vacuum)
        while await self._run(self._reclaim_step):
            pass
        await self._run(self._rows_of, "PRAGMA wal_checkpoint(TRUNCATE)", ())

    async def complaints(self) -> Mapping[str, int]:
        """None: SQLite takes a row or raises."""
        return {}

    @property
    def _open_database(self) -> sqlite3.Connection:
        if self._database is None:
            raise StoreError(f"{self._path} is not open")
        return self._database

    async def _run(
        self, job: Callable[_Given, _Result], *args: _Given.args, **named: _Given.kwargs
    ) -> _Result:
        """One job on the store's thread. Raises StoreError for what SQLite or the disk says."""
        if self._thread is None:
            raise StoreError(f"{self._path} is not open")
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, partial(job, *args, **named)
            )
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{self._path}: {error}") from error

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(
            self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._database = database
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > _SCHEMA_VERSION:
            raise UnfitStoreError(
                f"{self._path}: schema {version} is newer than this collector's "
                f"({_SCHEMA_VERSION}); run the newer collector, or name another store.path"
            )
        database.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")  # heeded by a new file only
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute(f"PRAGMA wal_autocheckpoint = {_PAGES_PER_CHECKPOINT}")
        database.execute("PRAGMA cache_size = -32768")
        if version < _SCHEMA_VERSION:
            database.executescript(_SCHEMA)
        self._load_ids()

    async def _close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        database, self._database = self._database, None
        try:
            if database is not None:
                await asyncio.get_running_loop().run_in_executor(thread, database.close)
        finally:
            thread.shutdown(wait=False)

    def _rows_of(self, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        return self._open_database.execute(statement, values).fetchall()

    def _load_ids(self) -> None:
        """Learn the ids anew, if another process has written since the last time.

        Within a transaction they hold until its end: an erased series' id may be given again.
        """
        database = self._open_database
        version = database.execute("PRAGMA data_version").fetchone()[0]
        if version != self._ids_version:
            self._ids_version = version
            rows = database.execute("SELECT site, agent, resource, quantity, id FROM series")
            self._ids = {Series(*row[:4]): row[4] for row in rows}

    def _write(self, readings: Sequence[Reading]) -> None:
        finite = [reading for reading in readings if reading.value - reading.value == 0.0]
        database = self._open_database
        new: set[Series] = set()
        database.execute("BEGIN IMMEDIATE")
        try:
            self._load_ids()
            new = {reading.series for reading in finite}.difference(self._ids)
            self._give_ids(new)
            ids = self._ids
            rows = [(ids[series], time_ms, value) for series, time_ms, value in finite]
            database.executemany(_WRITE, rows)
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            for key in new:
                self._ids.pop(key, None)
            raise
        if len(finite) != len(readings):
            self.left_out[LeftOut.VALUE] += len(readings) - len(finite)

    def _give_ids(self, series: Iterable[Series]) -> None:
        database = self._open_database
        for key in sorted(series):
            database.execute(
                "INSERT OR IGNORE INTO series (site, agent, resource, quantity)"
                " VALUES (?, ?, ?, ?)",
                key,
            )
            self._ids[key] = database.execute(_ID, key).fetchone()[0]

    def _each(
        self, series: Sequence[Series], statement: str, values: tuple[int, ...]
    ) -> dict[Series, Points]:
        database = self._open_database
        found: dict[Series, Points] = {}
        database.execute("BEGIN")
        try:
            self._load_ids()
            for key in series:
                identity = self._ids.get(key)
                if identity is not None and (
                    rows := database.execute(statement, (identity, *values)).fetchall()
                ):
                    found[key] = Points(*map(list, zip(*rows, strict=True)))
        finally:
            database.execute("COMMIT")
        return found

    async def _nearest(
        self, series: Iterable[Series], statement: str, time_ms: int
    ) -> dict[Series, Point]:
        found: dict[Series, Point] = {}
        for some in _in_chunks(series):
            rows = await self._run(self._each, some, statement, (time_ms,))
            found |= {key: points[0] for key, points in rows.items()}
        return found

    async def _held(
        self, statement: str, keys: Iterable[tuple[str | None, ...]], before_ms: int
    ) -> Held:
        """What series that a statement names hold before a moment; one series at a time."""
        found = Held(0)
        for key in keys:
            for identity in await self._run(self._ids_of, statement, key):
                rows = await self._run(self._rows_of, _HELD, (identity, before_ms))
                found = found.joined(Held(*rows[0]))
        return found

    def _ids_of(self, statement: str, values: tuple[str | None, ...]) -> list[int]:
        return [row[0] for row in self._rows_of(statement, values)]

    def _drop_empty(self, identity: int, *, overwrite: bool = False) -> None:
        """Delete a series without readings; another process learns of it by `_load_ids`."""
        database = self._open_database
        if overwrite:
            database.execute("PRAGMA secure_delete = ON")
        if database.execute(_DROP_EMPTY, (identity,)).rowcount:
            self._ids = {key: known for key, known in self._ids.items() if known != identity}

    def _vacuum(self) -> None:
        database = self._open_database
        database.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
        database.execute("VACUUM")

    def _reclaim_step(self) -> bool:
        """Give some free pages back; whether there may be more."""
        database = self._open_database
        if database.execute("PRAGMA auto_vacuum").fetchone()[0] != _INCREMENTAL:
            return False
        database.execute(f"PRAGMA incremental_vacuum({_PAGES_PER_RECLAIM_STEP})").fetchall()
        return bool(database.execute("PRAGMA freelist_count").fetchone()[0])

    def _purge_step(self, identity: int, oldest_ms: int, *, overwrite: bool = False) -> int:
        """Delete at most one step's rows of a series; 0 when none of it is left to delete."""
        database = self._open_database
        if overwrite:
            database.execute("PRAGMA secure_delete = ON")
        beyond = database.execute(
            _OLDEST_AFTER_STEP, (identity, oldest_ms, _ROWS_PER_PURGE_STEP)
        ).fetchone()
        return database.execute(
            "DELETE FROM readings WHERE series_id = ? AND time_ms < ?",
            (identity, beyond[0] if beyond else oldest_ms),
        ).rowcount


def _in_chunks(series: Iterable[Series]) -> Iterator[list[Series]]:
    keys = list(dict.fromkeys(series))
    for start in range(0, len(keys), _SERIES_PER_JOB):
        yield keys[start : start + _SERIES_PER_JOB]
