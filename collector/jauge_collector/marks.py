"""What the ledger has to be told: which quarter hours to compute again, whose clock was wrong."""

import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from jauge_models.wire import Address

from jauge_collector.ledger.book import QUARTER_MS
from jauge_collector.ledger.clocks import ClockSpan, bounded, joined

RIDE_MS: Final = 10_000
"""How long batches ride on a mark that is already written, so that not each writes one."""

MAX_WAITING: Final = 100_000
"""Quarter hours that wait to be written; beyond it no batch is taken until they are."""

_MAX_RIDES: Final = 100_000


class Due(NamedTuple):
    """What to give to `Ledger.record`, whose moment is ``stamp_ms``.

    Batches may ride on it until ``rides_s`` of the monotonic clock.
    """

    arrived: dict[tuple[str, str], set[int]]
    oldest_ms: dict[tuple[str, str], int]
    stamp_ms: int
    wrong_clocks: dict[tuple[str, str], list[ClockSpan]]
    rides_s: float

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.arrived or self.oldest_ms or self.wrong_clocks)


class Marks:
    """Collects marks between writes.

    A mark is stamped with the last moment at which a batch may still ride on it. As the ledger
    deletes only marks whose stamp lies ``settle`` back, every rider was readable by then. How long
    batches ride goes by the monotonic clock: a wall clock that is set back must not let them ride
    on a mark that is long deleted. ``clock`` gives monotonic seconds.
    """

    def __init__(
        self, limit: int = MAX_WAITING, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limit = limit
        self._clock = clock
        self._rides_s: dict[tuple[Address, int], float] = {}
        self._arrived: dict[tuple[str, str], set[int]] = {}
        self._oldest_ms: dict[tuple[str, str], int] = {}
        self._wrong_clocks: dict[tuple[str, str], list[ClockSpan]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._arrived.values()))

    @property
    def is_full(self) -> bool:
        """Whether there is no room until what waits is written."""
        return len(self) >= self.limit

    def note_clock(self, address: Address, spans: Iterable[ClockSpan]) -> None:
        """An agent's clock was wrong when it stamped these spans."""
        known = self._wrong_clocks.get(address, [])
        if found := joined([*known, *spans]):
            self._wrong_clocks[address] = bounded(found)

    def note(self, address: Address, times_ms: Iterable[int], oldest_ms: int) -> None:
        """A batch with these time stamps was stored; its agent has settled all before oldest_ms."""
        self._oldest_ms[address] = oldest_ms
        now_s = self._clock()
        for time_ms in times_ms:
            quarter_ms = time_ms - time_ms % QUARTER_MS
            if self._rides_s.get((address, quarter_ms), now_s) <= now_s:
                self._arrived.setdefault(address, set()).add(quarter_ms)

    @property
    def waiting(self) -> bool:
        """Whether a batch was noted that no written mark carries: it may not be answered yet."""
        return bool(self._arrived)

    def take(self, now_ms: int) -> Due:
        """What to write now; to be told of as `written` or `failed`."""
        due = Due(
            self._arrived,
            self._oldest_ms,
            now_ms + RIDE_MS,
            self._wrong_clocks,
            self._clock() + RIDE_MS / 1000,
        )
        self._arrived, self._oldest_ms, self._wrong_clocks = {}, {}, {}
        return due

    def written(self, due: Due) -> None:
        """It is durable: others may ride on it."""
        if len(self._rides_s) >= _MAX_RIDES:
            self._rides_s.clear()
        for (site, agent), quarters in due.arrived.items():
            for quarter_ms in quarters:
                self._rides_s[Address(site, agent), quarter_ms] = due.rides_s

    def failed(self, due: Due) -> None:
        """It is not: keep it for the next time."""
        for address, quarters in due.arrived.items():
            self._arrived.setdefault(address, set()).update(quarters)
        self._oldest_ms = due.oldest_ms | self._oldest_ms
        for (site, agent), spans in due.wrong_clocks.items():
            self.note_clock(Address(site, agent), spans)
