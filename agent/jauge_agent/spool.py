"""The spool: batches on disk until the collector has answered for them.

One SQLite file in WAL mode, one row per batch. Every insert and delete moves the account in the
same transaction, so that at any moment, also after a power cut,
``taken = stored + refused + dropped + spooled``, in batches and in readings.

A batch taken is committed at once: no kill of the process takes it. It is safe from a power cut of
the machine within ``sync_s``, which batches further apart than that are at once. What the
collector answered is committed with the next batch taken, to save half of the commits: after a
kill in between those batches go again, which is harmless. Calls block for one small transaction
(0.3 ms on an SSD) and belong to the event loop's thread.
"""

import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple
from zlib import crc32

from jauge_models.wire import Reason

from jauge_agent.dropped import Dropped, DroppedRanges
from jauge_agent.logs import Trouble, say
from jauge_agent.spool_file import SpoolError, SpoolFile, is_damage

_DROP_AT_ONCE: Final = 16
"""Rows dropped per step when the file is full: few, so that little is lost beyond need."""

_SENT_WITHIN_MS: Final = 5000
"""By how much the newest time sent may be ahead of what is written of it: of what has left the
spool never, and what still lies in it and is no newer than that may have been sent."""

_AHEAD_MS: Final = 1000
"""A batch stamped further ahead of the clock belongs to a time before a backward step."""

_REFUSALS: Final = frozenset(reason.value for reason in Reason)

_log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """What became of a batch. A row that still lies in the spool has none but ``taken``."""

    TAKEN = "taken"
    STORED = "stored"
    REFUSED = "refused"
    DROPPED = "dropped"


class Drop(StrEnum):
    """Why the agent itself gave up a batch."""

    DISK_CAP = "disk_cap"
    AGE = "age"
    CLOCK = "clock"
    DISK_FULL = "disk_full"
    DAMAGED = "damaged"
    """The disk gave back something else than was written."""


class Count(NamedTuple):
    """Batches and the readings in them."""

    batches: int
    readings: int

    def plus(self, batches: int, readings: int) -> "Count":
        """The sum."""
        return Count(self.batches + batches, self.readings + readings)


class Batch(NamedTuple):
    """One spooled batch; ``body`` is what wire.encode_samples gave."""

    seq: int
    time_ms: int
    body: bytes


_NONE: Final = Count(0, 0)
_Account = dict[tuple[Outcome, str], tuple[int, int]]


class Spool:
    """Bounded in bytes and in age; what is dropped is the oldest."""

    def __init__(
        self,
        directory: Path,
        *,
        machine: str,
        max_bytes: int,
        max_age_ms: int,
        now_ms: int,
        sync_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the file, or begin one; raises SpoolError.

        A file that is damaged, or that belongs to another ``machine``, is moved aside.
        ``sync_s``: how long a batch taken may be without safety from a power cut; ``clock`` gives
        monotonic seconds.
        """
        self._file = SpoolFile(directory, machine)
        self._max_bytes = max_bytes
        self._max_age_ms = max_age_ms
        self._account: _Account = {}
        self._unwritten: _Account = {}
        self._dropped = DroppedRanges()
        self._sync_s = sync_s
        self._clock = clock
        self._synced_at = clock() - sync_s
        self._spooled = _NONE
        self._oldest_ms: int | None = None
        self._oldest_known = False
        self._newest_seq = 0
        self._used_bytes = 0
        self._unmeasured_bytes = 0
        self._page_bytes = 0
        self._closed = False
        self._floor_ms = 0
        self._sent_ms = 0
        self._written_sent_ms = 0
        self._have_left = False
        """Whether something is deleted and not committed."""
        self._disk = Trouble(_log, "spool", file=str(self._file.path))
        self._database = self._file.opened()
        self._load()
        if self._newest_ms() > now_ms:
            self.clock_went_back(now_ms)

    @property
    def moved_aside(self) -> int:
        """Unfit files moved aside since the agent started."""
        return self._file.moved_aside

    @property
    def account(self) -> Mapping[tuple[Outcome, str], Count]:
        """Batches and readings by outcome and reason, since the file was begun."""
        merged = dict(self._account)
        for key, count in self._unwritten.items():
            _note(merged, *key, *count)
        return MappingProxyType({key: Count(*count) for key, count in merged.items()})

    @property
    def dropped_ranges(self) -> list[Dropped]:
        """When the batches were taken that were dropped since the file was begun, by time."""
        try:
            return self._dropped.read(self._database)
        except sqlite3.DatabaseError as error:
            self._failed(error)
            return []

    @property
    def spooled(self) -> Count:
        """What lies in the spool."""
        return self._spooled

    @property
    def used_bytes(self) -> int:
        """Bytes of the file in use, as last measured plus what was added since; never too low."""
        return self._used_bytes

    @property
    def last_oldest_ms(self) -> int | None:
        """What `oldest_ms` gave last: may be read from another thread."""
        return self._oldest_ms if self._spooled.batches else None

    @property
    def newest_seq(self) -> int:
        """The highest number ever given to a batch."""
        return self._newest_seq

    def total(self, outcome: Outcome) -> Count:
        """Batches and readings of one outcome, over all reasons."""
        counts = [count for (which, _), count in self.account.items() if which is outcome]
        return Count(sum(c.batches for c in counts), sum(c.readings for c in counts))

    def oldest_ms(self) -> int | None:
        """Time of the oldest batch that has no answer yet."""
        try:
            return self._found_oldest_ms()
        except sqlite3.DatabaseError as error:
            self._failed(error)
            return None

    def add(self, time_ms: int, body: bytes, readings: int, now_ms: int) -> Batch | None:
        """Take a batch and make it durable; None when it was dropped at once, and counted."""
        misdated = time_ms <= self._floor_ms or time_ms > now_ms + _AHEAD_MS
        try:
            if not misdated:
                return self._add(time_ms, body, readings, now_ms)
            with self._transaction(commit=True) as moves:
                _note(moves, Outcome.TAKEN, "", 1, readings)
                _note(moves, Outcome.DROPPED, Drop.CLOCK, 1, readings)
                dropped = Dropped(Drop.CLOCK, time_ms, time_ms, 1, readings)
                self._dropped.write(self._database, dropped)
        except sqlite3.DatabaseError as error:
            self._failed(error)
            reason = Drop.CLOCK if misdated else Drop.DISK_FULL
            _note(self._unwritten, Outcome.TAKEN, "", 1, readings)
            _note(self._unwritten, Outcome.DROPPED, reason, 1, readings)
            self._dropped.wait(Dropped(reason, time_ms, time_ms, 1, readings))
        return None

    def oldest(self, limit: int) -> list[tuple[int, int]]:
        """(seq, time_ms) of the oldest batches, oldest first."""
        try:
            return self._database.execute(
                "SELECT seq, time_ms FROM batch ORDER BY time_ms, seq LIMIT ?", (limit,)
            ).fetchall()
        except sqlite3.DatabaseError as error:
            self._failed(error)
            return []

    def newest(self) -> int | None:
        """Number of the newest batch that lies in the spool."""
        try:
            row: tuple[int | None] = self._database.execute("SELECT max(seq) FROM batch").fetchone()
        except sqlite3.DatabaseError as error:
            self._failed(error)
            return None
        return row[0]

    def get(self, seq: int) -> Batch | None:
        """A batch, or None when it has been answered or dropped."""
        try:
            row = self._database.execute(
                "SELECT seq, time_ms, body, crc FROM batch WHERE seq = ?", (seq,)
            ).fetchone()
            # SQLite checks how its pages hang together, not what is in them.
            if row is not None and row[3] is not None and row[3] != crc32(row[2]):
                with self._transaction(commit=True) as moves:
                    self._delete(moves, Outcome.DROPPED, Drop.DAMAGED, "seq = ?", (seq,))
                return None
        except sqlite3.DatabaseError as error:
            self._failed(error)
            return None
        return None if row is None else Batch(*row[:3])

    def sent(self, time_ms: int) -> None:
        """Note that a batch may have been stored; written within a few seconds."""
        self._sent_ms = max(self._sent_ms, time_ms)

    def settle(
        self, stored: Iterable[tuple[int, int]], refused: Iterable[tuple[int, str]]
    ) -> Count:
        """Delete what the collector answered for; ranges have both ends in.

        Returns what was deleted. Numbers that are not in the spool are passed over.
        """
        before = self._spooled
        self._dropped.answered()
        try:
            with self._transaction(commit=False) as moves:
                for low, high in stored:
                    condition = ("seq BETWEEN ? AND ?", (low, high))
                    self._delete(moves, Outcome.STORED, "", *condition)
                for seq, reason in refused:
                    self._delete(moves, Outcome.REFUSED, _bounded(reason), "seq = ?", (seq,))
        except sqlite3.DatabaseError as error:
            self._failed(error)
        return before.plus(-self._spooled.batches, -self._spooled.readings)

    def clock_went_back(self, now_ms: int) -> Count:
        """The clock was set back: drop what is stamped later than now, and count it.

        From here on no batch is taken up to the newest time that may have been stored.
        """
        before = self._spooled
        try:
            with self._transaction(commit=True) as moves:
                self._floor_ms = max(self._floor_ms, self._sent_ms)
                self._mark("floor_ms", self._floor_ms)
                self._delete(moves, Outcome.DROPPED, Drop.CLOCK, "time_ms > ?", (now_ms,))
        except sqlite3.DatabaseError as error:
            self._failed(error)
        dropped = before.plus(-self._spooled.batches, -self._spooled.readings)
        say(
            _log,
            logging.WARNING,
            "clock went back",
            dropped_batches=dropped.batches,
            dropped_readings=dropped.readings,
            nothing_taken_for_s=max(0, self._floor_ms - now_ms) / 1000,
        )
        return dropped

    def close(self) -> None:
        """Write what is left to write and close the file."""
        try:
            with self._transaction(commit=True):
                pass
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.DatabaseError as error:
            self._failed(error)
        self._database.close()
        self._file.release()

    def _add(self, time_ms: int, body: bytes, readings: int, now_ms: int) -> Batch:
        moves: _Account = {(Outcome.TAKEN, ""): (1, readings)}
        # Not in `_transaction`: of what happens at each tick, a generator is a good part.
        try:
            if not self._database.in_transaction:
                self._database.execute("BEGIN IMMEDIATE")
            inserted = self._database.execute(
                "INSERT INTO batch (time_ms, readings, body, crc) VALUES (?, ?, ?, ?)",
                (time_ms, readings, body, crc32(body)),
            )
            seq = inserted.lastrowid or 0
            if self._spooled.batches == 0:
                self._oldest_ms, self._oldest_known = time_ms, True
            elif self._oldest_known:
                self._oldest_ms = min(self._oldest_ms or time_ms, time_ms)
            self._newest_seq = seq
            self._drop_aged(moves, now_ms)
            self._used_bytes += len(body) + 2 * self._page_bytes
            self._unmeasured_bytes += len(body) + 2 * self._page_bytes
            # Asking for the pages costs two statements: only when it may matter, or after a while.
            most = self._max_bytes
            if self._used_bytes > most or self._unmeasured_bytes * 50 > most:
                self._drop_beyond_cap(moves)
            self._finish(moves, commit=True)
        except BaseException:
            self._undo()
            raise
        if self._clock() - self._synced_at >= self._sync_s:
            self._sync()
        self._disk.recovered()
        return Batch(seq, time_ms, body)

    def _sync(self) -> None:
        now = self._clock()
        try:
            self._file.sync()
        except OSError as error:
            self._disk.lost(f"not safe from a power cut: {error}")
        else:
            self._synced_at = now

    def _drop_aged(self, moves: _Account, now_ms: int) -> None:
        limit = now_ms - self._max_age_ms
        oldest = self._oldest_ms if self._oldest_known else self._found_oldest_ms()
        if oldest is not None and oldest < limit:
            self._delete(moves, Outcome.DROPPED, Drop.AGE, "time_ms < ?", (limit,))

    def _drop_beyond_cap(self, moves: _Account) -> None:
        oldest = (
            "seq IN (SELECT seq FROM batch WHERE seq < (SELECT max(seq) FROM batch)"
            " ORDER BY time_ms, seq LIMIT ?)"
        )
        self._measure()
        while self._used_bytes > self._max_bytes:
            if not self._delete(moves, Outcome.DROPPED, Drop.DISK_CAP, oldest, (_DROP_AT_ONCE,)):
                return
            self._measure()

    @contextlib.contextmanager
    def _transaction(self, *, commit: bool) -> Iterator[_Account]:
        """All or nothing, the account included; what is not committed is joined by the next one.

        When anything fails, all that is not committed is undone, in memory too.
        """
        moves: _Account = {}
        try:
            if not self._database.in_transaction:
                self._database.execute("BEGIN IMMEDIATE")
            yield moves
            self._finish(moves, commit=commit)
        except BaseException:
            self._undo()
            raise

    def _undo(self) -> None:
        with contextlib.suppress(sqlite3.DatabaseError):
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            self._have_left = False
            self._load()

    def _finish(self, moves: _Account, *, commit: bool) -> None:
        run = self._database.execute
        if commit and self._unwritten:
            for key, count in self._unwritten.items():
                _note(moves, *key, *count)
        if commit and self._dropped.waiting:
            self._dropped.write_waiting(self._database)
        for (outcome, reason), count in moves.items():
            run(
                "INSERT INTO account VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " batches = batches + excluded.batches,"
                " readings = readings + excluded.readings",
                (outcome, reason, *count),
            )
        if commit:
            written_ms, sent_ms = self._written_sent_ms, self._sent_ms
            if sent_ms >= written_ms + (1 if self._have_left else _SENT_WITHIN_MS):
                self._mark("sent_ms", sent_ms)
                written_ms = sent_ms
            run("COMMIT")
            self._written_sent_ms = written_ms
            self._have_left = False
            self._unwritten = {}
            if self._dropped.waiting:
                self._dropped.written()
        batches, readings = self._spooled
        for (outcome, reason), count in moves.items():
            _note(self._account, outcome, reason, *count)
            sign = 1 if outcome is Outcome.TAKEN else -1
            batches += sign * count[0]
            readings += sign * count[1]
        self._spooled = Count(batches, readings)

    def _delete(
        self,
        moves: _Account,
        outcome: Outcome,
        reason: str,
        condition: str,
        values: Sequence[int],
    ) -> int:
        rows = self._database.execute(
            f"DELETE FROM batch WHERE {condition} RETURNING readings, time_ms", values
        ).fetchall()
        if rows:
            self._oldest_known = False
            self._have_left = True
            readings = sum(row[0] for row in rows)
            _note(moves, outcome, reason, len(rows), readings)
            if outcome is Outcome.DROPPED:
                times = [row[1] for row in rows]
                dropped = Dropped(reason, min(times), max(times), len(rows), readings)
                self._dropped.write(self._database, dropped)
        return len(rows)

    def _mark(self, name: str, value: object) -> None:
        self._database.execute("REPLACE INTO mark VALUES (?, ?)", (name, str(value)))

    def _found_oldest_ms(self) -> int | None:
        if not self._oldest_known:
            row = self._database.execute("SELECT min(time_ms) FROM batch").fetchone()
            self._oldest_ms, self._oldest_known = row[0], True
        return self._oldest_ms

    def _measure(self) -> None:
        pages: int = self._database.execute("PRAGMA page_count").fetchone()[0]
        free: int = self._database.execute("PRAGMA freelist_count").fetchone()[0]
        self._used_bytes = (pages - free) * self._page_bytes
        self._unmeasured_bytes = 0

    def _newest_ms(self) -> int:
        row = self._database.execute("SELECT max(time_ms) FROM batch").fetchone()
        return max(row[0] or 0, self._sent_ms)

    def _failed(self, error: sqlite3.DatabaseError) -> None:
        """Say it once; a file that turns out to be damaged is replaced, now or at a later call."""
        if not self._closed and not is_damage(error):
            self._disk.lost(str(error))
            return
        try:
            if not self._closed:
                self._database.close()
                self._closed = True
                self._file.move_aside(str(error))
            self._database = self._file.opened()
            self._closed = False
            self._load()
            self._continue_numbers()
        except SpoolError as unusable:
            self._disk.lost(str(unusable))
        except sqlite3.DatabaseError as again:
            self._disk.lost(str(again))

    def _continue_numbers(self) -> None:
        """In a file begun anew: an answer that is under way names numbers of the old file."""
        with self._transaction(commit=True):
            self._database.execute("DELETE FROM sqlite_sequence WHERE name = 'batch'")
            self._database.execute(
                "INSERT INTO sqlite_sequence VALUES ('batch', ?)", (self._newest_seq,)
            )

    def _load(self) -> None:
        run = self._database.execute
        self._page_bytes = run("PRAGMA page_size").fetchone()[0]
        self._account = {
            (Outcome(outcome), reason): Count(batches, readings)
            for outcome, reason, batches, readings in run("SELECT * FROM account")
        }
        self._spooled = Count(
            *run("SELECT count(*), ifnull(sum(readings), 0) FROM batch").fetchone()
        )
        self._oldest_known = False
        self._measure()
        sequence = run("SELECT seq FROM sqlite_sequence WHERE name = 'batch'").fetchone()
        self._newest_seq = max(sequence[0] if sequence else 0, self._newest_seq)
        marks: dict[str, str] = dict(run("SELECT name, value FROM mark").fetchall())
        self._floor_ms = max(int(marks.get("floor_ms", 0)), self._floor_ms)
        self._written_sent_ms = int(marks.get("sent_ms", 0))
        within = (self._written_sent_ms + _SENT_WITHIN_MS,)
        newest = run("SELECT max(time_ms) FROM batch WHERE time_ms < ?", within).fetchone()[0]
        self._sent_ms = max(self._written_sent_ms, newest or 0, self._sent_ms)


def _note(into: _Account, outcome: Outcome, reason: str, batches: int, readings: int) -> None:
    key = (outcome, str(reason))
    before = into.get(key, _NONE)
    into[key] = before[0] + batches, before[1] + readings


def _bounded(reason: str) -> str:
    return reason if reason in _REFUSALS else "other"
