"""What a bad disk, or somebody with a copy, may do to a spool's file behind the agent's back."""

import os
import random
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from jauge_agent.spool_file import FILE_NAME

from tests.faults.files import Settings

JOURNAL: Final = "ticks"
"""The source's own list of ticks in a row's folder: the spool's journal does not survive."""

_PAGE: Final = 4096
_COMPANIONS: Final = ("", "-wal")


def source_journal(folder: Path) -> Settings:
    """Settings of an agent whose source notes each tick before it gives it to the agent."""
    return {"sources.counting": {"journal": str(folder / JOURNAL)}}


def ticks(file: Path) -> list[int]:
    """Every tick in such a list, in the order of reading."""
    lines = file.read_text(encoding="ascii").split("\n") if file.exists() else []
    return [int(line) for line in lines[:-1]]


@contextmanager
def held(pid: int) -> Iterator[None]:
    """A process stands still meanwhile (SIGSTOP)."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def copied(spool: Path, to: Path) -> frozenset[int]:
    """Copy a spool that nobody writes, as one sound file; the ticks that lie in it unanswered."""
    to.mkdir()
    for suffix in _COMPANIONS:
        part = spool / f"{FILE_NAME}{suffix}"
        if part.exists():
            shutil.copy(part, to)
    database = sqlite3.connect(to / FILE_NAME)
    try:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return frozenset(tick for (tick,) in database.execute("SELECT time_ms FROM batch"))
    finally:
        database.close()


def forget_all(spool: Path) -> None:
    """Make a sound spool one in which nothing has ever lain."""
    database = sqlite3.connect(spool / FILE_NAME)
    tables = database.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'mark'"
    ).fetchall()
    for (table,) in tables:
        database.execute(f"DELETE FROM {table}")
    database.execute("DELETE FROM mark WHERE name <> 'machine'")
    database.commit()
    database.execute("VACUUM")
    database.close()


def truncate(spool: Path) -> None:
    """Cut its files to half their length."""
    for file in _files(spool):
        os.truncate(file, file.stat().st_size // 2)


def overwrite_pages(spool: Path, chance: random.Random) -> None:
    """Put noise on a quarter of its pages; the first one stays, so that it still looks a spool."""
    for file in _files(spool):
        with file.open("r+b") as pages:
            count = file.stat().st_size // _PAGE
            for number in chance.sample(range(1, count), count // 4):
                pages.seek(number * _PAGE)
                pages.write(chance.randbytes(_PAGE))


def replace(spool: Path, by: Path) -> None:
    """Put another spool's file in its place."""
    for file in _files(spool):
        file.unlink()
    shutil.copy(by / FILE_NAME, spool / "restored")
    (spool / "restored").replace(spool / FILE_NAME)


def moved_aside(spool: Path) -> list[Path]:
    """Files that agents have moved aside there."""
    return sorted(spool.glob(f"{FILE_NAME}.unfit-?"))


def _files(spool: Path) -> list[Path]:
    paths = [spool / f"{FILE_NAME}{suffix}" for suffix in _COMPANIONS]
    return [path for path in paths if path.exists()]
