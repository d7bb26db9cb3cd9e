"""When the batches were taken that the spool dropped: kept as ranges, in the spool's own file."""

import logging
import sqlite3
import time
from typing import Final, NamedTuple

from jauge_agent.logs import say

_MOST_RANGES: Final = 1000
"""Ranges that are kept apart; beyond it the two oldest of a reason join."""
_SAY_AGAIN_S: Final = 3600.0

_log = logging.getLogger(__name__)


class Dropped(NamedTuple):
    """Batches dropped in a row for one reason: times of the first and the last, and how many.

    What was dropped without an answer may have reached the store all the same.
    """

    reason: str
    first_ms: int
    last_ms: int
    batches: int
    readings: int

    def joined(self, other: "Dropped") -> "Dropped":
        """Both as one range."""
        return Dropped(
            self.reason,
            min(self.first_ms, other.first_ms),
            max(self.last_ms, other.last_ms),
            self.batches + other.batches,
            self.readings + other.readings,
        )


class DroppedRanges:
    """Writes ranges within the transactions of the spool; what could not be written waits."""

    def __init__(self) -> None:
        self.waiting: dict[str, Dropped] = {}
        """By reason, what `wait` was told and is not `written`."""
        self._in_a_row: set[str] = set()
        """Reasons whose last range may grow: nothing was answered since."""
        self._said: dict[str, float] = {}

    def answered(self) -> None:
        """Something left the spool by an answer: what is dropped from now on is another range."""
        self._in_a_row.clear()

    def read(self, database: sqlite3.Connection) -> list[Dropped]:
        """All of them, by time."""
        rows = database.execute("SELECT * FROM dropped ORDER BY first_ms")
        return [*(Dropped(*row) for row in rows), *self.waiting.values()]

    def wait(self, new: Dropped) -> None:
        """Remember a range that the file did not take."""
        before = self.waiting.get(new.reason)
        self.waiting[new.reason] = before.joined(new) if before else new
        self._say(new)

    def write_waiting(self, database: sqlite3.Connection) -> None:
        """Write what waits; to be `written` once that is committed."""
        for dropped in self.waiting.values():
            self.write(database, dropped)

    def written(self) -> None:
        """What waited is committed."""
        self.waiting.clear()

    def write(self, database: sqlite3.Connection, new: Dropped) -> None:
        """The last range of the reason grows, or a new one begins."""
        grown = self._last(database, new.reason) if new.reason in self._in_a_row else None
        if grown is not None:
            database.execute(
                "DELETE FROM dropped WHERE reason = ? AND first_ms = ?",
                (grown.reason, grown.first_ms),
            )
            new = grown.joined(new)
        self._in_a_row.add(new.reason)
        _put(database, new)
        if grown is None:
            self._say(new)
            if database.execute("SELECT count(*) FROM dropped").fetchone()[0] > _MOST_RANGES:
                _join_oldest(database, new.reason)

    def _last(self, database: sqlite3.Connection, reason: str) -> Dropped | None:
        row = database.execute(
            "SELECT * FROM dropped WHERE reason = ? ORDER BY first_ms DESC LIMIT 1", (reason,)
        ).fetchone()
        return None if row is None else Dropped(*row)

    def _say(self, new: Dropped) -> None:
        now = time.monotonic()
        if now - self._said.get(new.reason, -_SAY_AGAIN_S) >= _SAY_AGAIN_S:
            self._said[new.reason] = now
            say(_log, logging.WARNING, "batches dropped", reason=new.reason, first_ms=new.first_ms)


def _put(database: sqlite3.Connection, dropped: Dropped) -> None:
    database.execute(
        "INSERT INTO dropped VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " last_ms = max(last_ms, excluded.last_ms), batches = batches + excluded.batches,"
        " readings = readings + excluded.readings",
        dropped,
    )


def _join_oldest(database: sqlite3.Connection, reason: str) -> None:
    oldest = database.execute(
        "SELECT * FROM dropped WHERE reason = ? ORDER BY first_ms LIMIT 2", (reason,)
    ).fetchall()
    if len(oldest) == 2:
        second = Dropped(*oldest[1])
        database.execute(
            "DELETE FROM dropped WHERE reason = ? AND first_ms = ?", (reason, second.first_ms)
        )
        _put(database, second._replace(first_ms=oldest[0][1]))
