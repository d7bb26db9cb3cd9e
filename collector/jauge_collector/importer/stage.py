"""The stage: a file's readings, sorted and each once, on disk until they are known to be good."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Final, NamedTuple, Self

from jauge_models.readings import Reading
from jauge_models.resources import Series

BATCH: Final = 20_000
"""Readings held in memory at a time."""


class Staged(NamedTuple):
    """A reading with the line it came from."""

    line: int
    reading: Reading


class Clash(NamedTuple):
    """Two different values for one series at one time."""

    series: Series
    time_ms: int
    value: float
    line: int
    other: float
    other_line: int | None
    """The line of the other value; None where the store has it already."""


class Stage:
    """A temporary database that SQLite spills to disk and deletes by itself."""

    def __init__(self, series: Sequence[Series]) -> None:
        self._series = tuple(series)
        self._number = {one: number for number, one in enumerate(self._series)}
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute(
            "CREATE TABLE staged (time INTEGER, series INTEGER, value REAL NOT NULL,"
            " line INTEGER NOT NULL, other REAL, other_line INTEGER,"
            " PRIMARY KEY (time, series)) WITHOUT ROWID"
        )
        self._db.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    def add(self, line: int, readings: Iterable[Reading]) -> None:
        """Take the readings of one line; the same reading again changes nothing."""
        self._db.executemany(
            "INSERT INTO staged (time, series, value, line) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET other = excluded.value, other_line = excluded.line"
            " WHERE value <> excluded.value AND other IS NULL",
            ((r.time_ms, self._number[r.series], r.value, line) for r in readings),
        )

    def __len__(self) -> int:
        (count,) = self._db.execute("SELECT count(*) FROM staged").fetchone()
        return int(count)

    def clashes(self) -> tuple[int, list[Clash]]:
        """How many times have two values in the file, and the first few."""
        (count,) = self._db.execute(
            "SELECT count(*) FROM staged WHERE other IS NOT NULL"
        ).fetchone()
        found = self._db.execute(
            "SELECT series, time, value, line, other, other_line FROM staged"
            " WHERE other IS NOT NULL ORDER BY time, series LIMIT 5"
        )
        return int(count), [Clash(self._series[number], *rest) for number, *rest in found]

    def batches(self) -> Iterator[list[Staged]]:
        """Everything in time order, at most BATCH readings at a time."""
        after = (-(1 << 62), -1)
        while found := self._db.execute(
            "SELECT time, series, value, line FROM staged WHERE (time, series) > (?, ?)"
            " ORDER BY time, series LIMIT ?",
            (*after, BATCH),
        ).fetchall():
            yield [
                Staged(line, Reading(self._series[number], time_ms, value))
                for time_ms, number, value, line in found
            ]
            after = found[-1][:2]
