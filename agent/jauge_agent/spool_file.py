"""The file under the spool: begun, checked, and moved aside when it is not fit.

SQLite in WAL mode, opened for one process alone.
"""

import contextlib
import logging
import os
import sqlite3
from pathlib import Path
from typing import Final

from jauge_agent.logs import say

FILE_NAME: Final = "spool.sqlite"
FORMAT: Final = 2
APPLICATION_ID: Final = 0x4A415547
"""Marks the file as a spool of Jauge ("JAUG")."""

_KEPT_ASIDE: Final = 3
"""Unfit files kept of each kind; the last one is replaced by the next."""

_DROPPED: Final = """
CREATE TABLE dropped (
    reason TEXT NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    batches INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    PRIMARY KEY (reason, first_ms)
) STRICT, WITHOUT ROWID;
"""
_SCHEMA: Final = f"""
CREATE TABLE batch (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    time_ms INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    body BLOB NOT NULL,
    crc INTEGER
) STRICT;
CREATE INDEX batch_time ON batch (time_ms);
CREATE TABLE account (
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    batches INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    PRIMARY KEY (outcome, reason)
) STRICT, WITHOUT ROWID;
CREATE TABLE mark (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
{_DROPPED}"""
_UPGRADES: Final = {1: f"ALTER TABLE batch ADD COLUMN crc INTEGER;{_DROPPED}"}
"""What leads from a format to the next one."""

_log = logging.getLogger(__name__)


class SpoolError(Exception):
    """The spool cannot be used at all: names the file and the reason."""


class _UnfitError(Exception):
    """The file is not a sound spool of this machine."""


class SpoolFile:
    """Opens the spool of one machine in one directory."""

    def __init__(self, directory: Path, machine: str) -> None:
        self.path = directory / FILE_NAME
        self.moved_aside = 0
        """Unfit files moved aside so far."""
        self._machine = machine
        self._log_file: int | None = None

    def opened(self) -> sqlite3.Connection:
        """A connection to a sound file, begun anew where there was none; raises SpoolError."""
        try:
            return self._connected()
        except _UnfitError as unfit:
            self.move_aside(str(unfit))
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise SpoolError(f"{self.path}: {_explained(error)}") from None
            self.move_aside(str(error))
        try:
            return self._connected()
        except sqlite3.DatabaseError as error:
            raise SpoolError(f"{self.path}: {_explained(error)}") from None

    def sync(self) -> None:
        """Make all that is committed safe from a power cut; raises OSError."""
        if self._log_file is None:
            log = self.path.with_name(f"{self.path.name}-wal")
            self._log_file = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
        os.fdatasync(self._log_file)

    def release(self) -> None:
        """Let go of the file that `sync` holds: after the database was closed."""
        if self._log_file is not None:
            with contextlib.suppress(OSError):
                os.close(self._log_file)
            self._log_file = None

    def move_aside(self, detail: str) -> None:
        """Rename the closed file and its companions; raises SpoolError when that fails."""
        self.release()
        names = [f"{self.path.name}.unfit-{number}" for number in range(1, _KEPT_ASIDE + 1)]
        free = (name for name in names if not self.path.with_name(name).exists())
        aside = self.path.with_name(next(free, names[-1]))
        try:
            for suffix in ("", "-wal", "-shm"):
                part = self.path.with_name(self.path.name + suffix)
                if part.exists():
                    part.replace(aside.with_name(aside.name + suffix))
        except OSError as error:
            raise SpoolError(f"{self.path}: {detail}, and cannot be moved: {error}") from None
        self.moved_aside += 1
        say(_log, logging.ERROR, "spool moved aside", to=str(aside), detail=detail)

    def _connected(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, isolation_level=None, timeout=1)
        try:
            # One agent per spool: a second one would send the first one's batches as its own.
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("PRAGMA journal_mode = WAL")
            # The log is made durable by `sync`, not by each commit.
            database.execute("PRAGMA synchronous = NORMAL")
            # The WAL is cut back after a large transaction; else it keeps its largest size.
            database.execute("PRAGMA journal_size_limit = 4194304")
            if database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
                self._begin(database)
            self._upgrade(database)
            self._check(database)
            self.path.chmod(0o600)
        except BaseException:
            database.close()
            raise
        return database

    def _begin(self, database: sqlite3.Connection) -> None:
        database.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA.split(";"):
            database.execute(statement)
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {FORMAT}")
        database.execute("INSERT INTO mark VALUES ('machine', ?)", (self._machine,))
        database.execute("COMMIT")

    def _upgrade(self, database: sqlite3.Connection) -> None:
        """Bring a spool of an earlier format up to this one, whole or not at all."""
        if database.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            return
        found = database.execute("PRAGMA user_version").fetchone()[0]
        if found not in _UPGRADES:
            return
        database.execute("BEGIN IMMEDIATE")
        for older in range(found, FORMAT):
            for statement in _UPGRADES[older].split(";"):
                database.execute(statement)
        database.execute(f"PRAGMA user_version = {FORMAT}")
        database.execute("COMMIT")
        say(_log, logging.INFO, "spool upgraded", before=found, now=FORMAT)

    def _check(self, database: sqlite3.Connection) -> None:
        if database.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise _UnfitError("it is no spool")
        found = database.execute("PRAGMA user_version").fetchone()[0]
        if found != FORMAT:
            raise _UnfitError(f"it has format {found}, this agent writes format {FORMAT}")
        verdict = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise _UnfitError(f"it is damaged: {verdict}")
        row = database.execute("SELECT value FROM mark WHERE name = 'machine'").fetchone()
        if row is None or row[0] != self._machine:
            raise _UnfitError("it belongs to another machine")


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether an error says that the file itself is broken."""
    code: int = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _explained(error: sqlite3.DatabaseError) -> str:
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
        return "in use by another process; one agent per spool directory"
    return f"{error}; check that the directory exists and is writable"
