"""Which batch goes out next: the two lanes, and the probe while nobody answers. No I/O, no clock.

A new batch goes at once. One that has no answer ``resend_after`` seconds after it was sent goes
again, oldest first, at most `RESENDS_PER_S`, never in front of a new one. When a whole resend
period passes without any answer, one batch per jittered back-off goes out until an answer comes.
All times are seconds of one monotonic clock.
"""

import random
from collections import deque
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from jauge_agent.spool import Batch, Spool

RESENDS_PER_S: Final = 5.0
FIRST_PROBE_S: Final = 1.0
LONGEST_PROBE_S: Final = 300.0

_WAITING_LIVE: Final = 16
"""New batches kept at hand; what does not fit lies in the spool and goes by the other lane."""
_CANDIDATES: Final = 256


class Lane(StrEnum):
    """Why a batch is sent."""

    LIVE = "live"
    AGAIN = "again"
    PROBE = "probe"


class Choice(msgspec.Struct, frozen=True, gc=False):
    """A batch to send now, or else the time at which to ask again at the latest."""

    batch: Batch | None
    lane: Lane
    ask_again_at: float


class Lanes:
    """Chooses among the batches of one spool for one connection after another."""

    def __init__(self, spool: Spool, resend_after_s: float, chance: random.Random) -> None:
        self._spool = spool
        self._resend_after = resend_after_s
        self._chance = chance
        self._live: deque[Batch] = deque(maxlen=_WAITING_LIVE)
        self._candidates: deque[int] = deque()
        # In order of sending, so that the first one expires first. Bounded by the rates: what is
        # older than one resend period is taken out.
        self._sent: dict[int, float] = {}
        self._next_again = 0.0
        self._quiet_since: float | None = None
        self._probe_delay = 0.0
        self._next_probe = 0.0
        self._probes = 0

    @property
    def probing(self) -> bool:
        """Whether nobody answers, so that only probes go out."""
        return self._probe_delay > 0

    def connected(self, now: float) -> None:
        """A new connection: whoever was deaf before may hear now."""
        self._quiet_since = None
        self._probe_delay = 0.0
        self._candidates.clear()
        self._next_again = now

    def offer(self, batch: Batch) -> None:
        """A new batch that lies in the spool since just now."""
        self._live.append(batch)

    def choose(self, now: float) -> Choice:
        """What to send at ``now``."""
        self._expire(now)
        quiet = self._quiet_since is not None and now >= self._quiet_since + self._resend_after
        if quiet and not self._probe_delay:
            self._begin_probing(now)
        if self._probe_delay:
            return self._choose_probe(now)
        if self._live:
            return Choice(self._live.popleft(), Lane.LIVE, now)
        if now < self._next_again:
            return Choice(None, Lane.AGAIN, self._next_again)
        batch_again = self._next_unanswered()
        if batch_again is not None:
            return Choice(batch_again, Lane.AGAIN, now)
        return Choice(None, Lane.AGAIN, self._next_event(now))

    def sending(self, batch: Batch, lane: Lane, now: float) -> None:
        """A batch goes to the broker, which says nothing about its storage."""
        self._spool.sent(batch.time_ms)
        self._sent.pop(batch.seq, None)
        self._sent[batch.seq] = now
        if self._quiet_since is None:
            self._quiet_since = now
        if lane is Lane.AGAIN:
            self._next_again = now + 1 / RESENDS_PER_S
        elif lane is Lane.PROBE:
            self._probes += 1
            self._schedule_probe(now)

    def was_last(self, lane: Lane) -> bool:
        """Whether nothing follows a batch sent by that lane but what was planned before it.

        A new one becomes due again later than all that were sent before it.
        """
        return (
            lane is Lane.LIVE
            and not self._live
            and not self._candidates
            and self._spool.spooled.batches <= len(self._sent)
        )

    def failed(self, batch: Batch) -> None:
        """The broker did not take a batch: it is due again at once."""
        self._sent.pop(batch.seq, None)

    def answered(
        self, stored: Sequence[tuple[int, int]], refused: Sequence[tuple[int, str]], now: float
    ) -> None:
        """The collector has answered, and the spool has settled it."""
        for seq, _ in refused:
            self._sent.pop(seq, None)
        for low, high in stored:
            for seq in [seq for seq in self._sent if low <= seq <= high]:
                del self._sent[seq]
        self._probe_delay = 0.0
        self._quiet_since = now if self._sent else None

    def forget(self) -> None:
        """Batches have been dropped from the spool: take nothing from memory."""
        self._live.clear()
        self._candidates.clear()

    def _expire(self, now: float) -> None:
        while self._sent:
            seq, at = next(iter(self._sent.items()))
            if at + self._resend_after > now:
                return
            del self._sent[seq]

    def _begin_probing(self, now: float) -> None:
        self.forget()
        self._probe_delay = FIRST_PROBE_S
        self._next_probe = now

    def _choose_probe(self, now: float) -> Choice:
        self._live.clear()
        if now < self._next_probe:
            return Choice(None, Lane.PROBE, self._next_probe)
        # By turns the newest and the oldest: either alone may be one that never gets an answer.
        newest = self._spool.newest() if self._probes % 2 == 0 else None
        batch = self._spool.get(newest) if newest is not None else self._next_unanswered()
        if batch is None and (newest := self._spool.newest()) is not None:
            batch = self._spool.get(newest)
        if batch is None:
            return Choice(None, Lane.PROBE, now + FIRST_PROBE_S)
        return Choice(batch, Lane.PROBE, now)

    def _schedule_probe(self, now: float) -> None:
        self._next_probe = now + self._probe_delay * self._chance.uniform(0.5, 1.0)
        self._probe_delay = min(self._probe_delay * 2, LONGEST_PROBE_S)

    def _next_unanswered(self) -> Batch | None:
        """The oldest batch that is not waiting for the answer to its last sending."""
        while True:
            if not self._candidates:
                if self._spool.spooled.batches <= len(self._sent):
                    return None
                self._refill()
                if not self._candidates:
                    return None
            seq = self._candidates.popleft()
            if seq not in self._sent and (batch := self._spool.get(seq)) is not None:
                return batch

    def _refill(self) -> None:
        oldest = self._spool.oldest(_CANDIDATES + len(self._sent))
        self._candidates.extend(seq for seq, _ in oldest if seq not in self._sent)

    def _next_event(self, now: float) -> float:
        """When the first sending expires or the quiet has lasted long enough."""
        events = [at + self._resend_after for at in list(self._sent.values())[:1]]
        if self._quiet_since is not None:
            events.append(self._quiet_since + self._resend_after)
        return max(min(events, default=now + self._resend_after), now)
