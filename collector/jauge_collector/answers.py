"""Answers wait here until what they promise holds: durable, readable, marked for the ledger."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from jauge_models.wire import Address, Answer, ranges

MAX_PENDING: Final = 500_000
"""Batches; beyond it a batch is not answered, and comes again."""
MAX_REFUSALS: Final = 10_000


class Arrival(NamedTuple):
    """A batch that the store has accepted."""

    address: Address
    boot: str
    seq: int
    received_ms: int


class _Round(NamedTuple):
    due_s: float
    generation: str
    arrivals: list[Arrival]


class Due(NamedTuple):
    """What is ready to be said, and what cannot be said because the store was restarted."""

    answers: list[tuple[Address, Answer]]
    answered: list[Arrival]
    forgotten: int


class Answers:
    """Pending answers by due time. ``clock`` gives monotonic seconds."""

    def __init__(
        self, settle_s: float, clock: Callable[[], float], *, limit: int = MAX_PENDING
    ) -> None:
        self.limit = limit
        self.size = 0
        self.refusals_limit = MAX_REFUSALS
        self.refusals = 0
        """Refusals that wait to be sent."""
        self._settle_s = settle_s
        self._clock = clock
        self._rounds: deque[_Round] = deque()
        self._refused: dict[tuple[Address, str], dict[int, str]] = {}

    def stored(self, arrivals: list[Arrival], generation: str) -> int:
        """The store has accepted these just now; how many of them there was no room for.

        ``generation`` is the store's as it was known before it was written to.
        """
        room = self.limit - self.size
        kept = arrivals[:room] if len(arrivals) > room else arrivals
        if kept:
            self._rounds.append(_Round(self._clock() + self._settle_s, generation, kept))
            self.size += len(kept)
        return len(arrivals) - len(kept)

    def refused(self, address: Address, boot: str, seq: int, reason: str) -> bool:
        """Answer a batch as refused at the next occasion; False where there is no room for it."""
        if self.refusals >= self.refusals_limit:
            return False
        self._refused.setdefault((address, boot), {})[seq] = reason
        self.refusals += 1
        return True

    @property
    def oldest_ms(self) -> int | None:
        """When the batch was received that waits longest for its answer. Also for other threads."""
        try:
            return self._rounds[0].arrivals[0].received_ms
        except IndexError:
            return None

    @property
    def next_due_s(self) -> float | None:
        """When there is something to say, on the clock; None while there is nothing."""
        if self._refused:
            return self._clock()
        return self._rounds[0].due_s if self._rounds else None

    def take(self, generation: str, due_by_s: float, silenced: Iterable[Address] = ()) -> Due:
        """One merged answer per agent and boot of all that was due by a moment, and forget it.

        ``generation`` is the store's, asked for after that moment: what was written under another
        one is forgotten, for it may be lost. Agents in ``silenced`` get no answer.
        """
        mute = frozenset(silenced)
        stored: dict[tuple[Address, str], list[int]] = {}
        answered: list[Arrival] = []
        forgotten = 0
        while self._rounds and self._rounds[0].due_s <= due_by_s:
            due = self._rounds.popleft()
            self.size -= len(due.arrivals)
            if due.generation != generation:
                forgotten += len(due.arrivals)
                continue
            for arrival in due.arrivals:
                if arrival.address in mute:
                    continue
                stored.setdefault((arrival.address, arrival.boot), []).append(arrival.seq)
                answered.append(arrival)
        refused, self._refused, self.refusals = self._refused, {}, 0
        answers = [
            (
                address,
                Answer(
                    boot=boot,
                    stored=ranges(stored.get((address, boot), ())),
                    refused=sorted(refused.get((address, boot), {}).items()),
                ),
            )
            for address, boot in dict.fromkeys((*stored, *refused))
            if address not in mute
        ]
        return Due(answers, answered, forgotten)
