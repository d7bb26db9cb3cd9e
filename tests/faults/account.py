"""The account of one fault: what became of every reading that an agent took.

Two witnesses who do not know of each other: the counters that the spool keeps in the transaction
of each delete, and a journal of ticks. Here the journal is a table in the spool's own file, filled
by a trigger in the transaction that takes the batch (`keep_journal`). Where a fault damages the
file itself, the counting source's own list of ticks takes its place.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from jauge_agent.dropped import Dropped
from jauge_agent.spool import Outcome
from jauge_agent.spool_file import FILE_NAME

from tests.faults.counting import value_at

Point = tuple[int, int]
"""Number of the series and tick in ms."""

Stored = Mapping[Point, list[float]]
"""The rows of the ledger's own read of the store: one value each when nothing is doubled."""


@dataclass(frozen=True)
class Books:
    """What a spool says after its agent has ended. Counts are readings."""

    taken: int = 0
    stored: int = 0
    refusals: Mapping[str, int] = field(default_factory=dict)
    drops: Mapping[str, int] = field(default_factory=dict)
    spooled: int = 0
    waiting: frozenset[int] = frozenset()
    """Ticks that still lie in the spool."""
    ranges: tuple[Dropped, ...] = ()
    """When the batches were taken that were dropped without an answer."""
    journal: frozenset[int] = frozenset()
    """Ticks taken, by the journal."""
    journalled: int = 0
    """Readings taken, by the journal."""


@dataclass(frozen=True)
class Account:
    """One row of the matrix. Counts are readings, durations are seconds."""

    taken: int
    stored: int
    refused: int
    dropped: int
    spooled: int
    twice: int
    """Rows of the ledger's read beyond the first of each series and tick."""
    lost: int
    """Readings of journalled ticks that are neither in the store, nor refused, dropped, spooled."""
    wrong: int
    """Stored values that are not what the source gave at that tick, or that nobody took."""
    drops: Mapping[str, int] = field(default_factory=dict)
    refusals: Mapping[str, int] = field(default_factory=dict)
    catch_up_s: float | None = None
    """From the end of the fault until nothing waits for an answer any more; settle is in it.

    None where the row does not wait for that."""
    notes: Mapping[str, float | int | str] = field(default_factory=dict)
    """What else a row has measured."""

    @property
    def unexplained(self) -> int:
        """What is taken and not stored, refused, dropped or spooled: must be 0."""
        return self.taken - self.stored - self.refused - self.dropped - self.spooled

    def noting(self, **notes: float | str) -> "Account":
        """The same with more notes."""
        return replace(self, notes={**self.notes, **notes})


def keep_journal(spool: Path) -> None:
    """Let a sound spool, whose agent does not run, note the tick of each batch that it takes."""
    with sqlite3.connect(spool / FILE_NAME) as database:
        database.executescript("""
            CREATE TABLE journal (seq INTEGER PRIMARY KEY, time_ms INTEGER, readings INTEGER);
            CREATE TRIGGER journalled AFTER INSERT ON batch BEGIN
                INSERT INTO journal VALUES (new.seq, new.time_ms, new.readings);
            END;
        """)
    database.close()


def read_books(spool: Path) -> Books:
    """What the spool of an agent that does not run says; without changing it.

    Raises sqlite3.DatabaseError for a damaged file.
    """
    database = sqlite3.connect(spool / FILE_NAME)
    try:
        counts: Counter[tuple[str, str]] = Counter()
        for outcome, reason, readings in database.execute(
            "SELECT outcome, reason, readings FROM account"
        ):
            counts[outcome, reason] += readings
        batches = database.execute("SELECT time_ms, readings FROM batch").fetchall()
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_schema")}
        journal: list[tuple[int, int]] = []
        if "journal" in tables:
            journal = database.execute("SELECT time_ms, readings FROM journal").fetchall()
        ranges = database.execute("SELECT * FROM dropped ORDER BY first_ms").fetchall()
    finally:
        database.close()
    return Books(
        taken=counts[Outcome.TAKEN, ""],
        stored=counts[Outcome.STORED, ""],
        refusals=_of(counts, Outcome.REFUSED),
        drops=_of(counts, Outcome.DROPPED),
        spooled=sum(readings for _, readings in batches),
        waiting=frozenset(time_ms for time_ms, _ in batches),
        ranges=tuple(Dropped(*row) for row in ranges),
        journal=frozenset(time_ms for time_ms, _ in journal),
        journalled=sum(readings for _, readings in journal),
    )


def balance(books: Books, stored: Stored, series: int) -> Account:
    """What became of each reading, ``series`` of them at each tick."""
    twice = sum(len(values) - 1 for values in stored.values())
    wrong = sum(
        tick not in books.journal or any(value != value_at(number, tick) for value in values)
        for (number, tick), values in stored.items()
    )
    refused, dropped = sum(books.refusals.values()), sum(books.drops.values())
    return Account(
        taken=books.taken,
        stored=books.stored,
        refused=refused,
        dropped=dropped,
        spooled=books.spooled,
        twice=twice,
        lost=_lost(books, stored, series, refused),
        wrong=wrong,
        drops=books.drops,
        refusals=books.refusals,
    )


def total(accounts: Iterable[Account]) -> Account:
    """Several agents in one row; the longest time to catch up."""
    some = list(accounts)
    names = ("taken", "stored", "refused", "dropped", "spooled", "twice", "lost", "wrong")
    sums = {name: sum(getattr(account, name) for account in some) for name in names}
    return Account(
        **sums,
        drops=sum((Counter(account.drops) for account in some), Counter()),
        refusals=sum((Counter(account.refusals) for account in some), Counter()),
        catch_up_s=max((a.catch_up_s for a in some if a.catch_up_s is not None), default=None),
        notes={name: note for account in some for name, note in account.notes.items()},
    )


def _lost(books: Books, stored: Stored, series: int, refused: int) -> int:
    """Readings of the journal that are nowhere; a range of drops explains as many as it counts."""
    left = [dropped.readings for dropped in books.ranges]
    nowhere = 0
    for tick in sorted(books.journal - books.waiting):
        missing = sum((number, tick) not in stored for number in range(series))
        for at, dropped in enumerate(books.ranges):
            if dropped.first_ms <= tick <= dropped.last_ms:
                explained = min(missing, left[at])
                left[at] -= explained
                missing -= explained
        nowhere += missing
    return max(0, nowhere - refused)


def _of(counts: Mapping[tuple[str, str], int], outcome: Outcome) -> dict[str, int]:
    return {reason: readings for (which, reason), readings in counts.items() if which == outcome}
