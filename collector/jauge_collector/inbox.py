"""What waits to be stored: bounded, and fair, so that no sender can keep the others waiting.

Each sender has a queue of its own; rounds take one message of each in turn. A sender is an agent
that may report. All else that comes, names that somebody invents among it, is one sender together.
"""

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

from jauge_models.wire import MAX_PAYLOAD_BYTES

from jauge_collector.config import LimitsConfig

_log = logging.getLogger(__name__)

MAX_BYTES_OF_ROUND: Final = 4 * 1024 * 1024
"""Taken at once: the rounds of a sender of large packs must not become long for the others."""

_QUIET_S: Final = 60.0
"""A flood is over when its sender had nothing dropped for this long."""
_MAX_FLOODS: Final = 100
"""Senders whose flood is followed and logged at a time; others are only counted."""
_LOOKED_AT: Final = 8


class Drop(StrEnum):
    """Why a message is dropped before it is looked at; bounded, as it is a label."""

    INBOX = "inbox"
    """No room for anybody's: as many wait as may."""
    INBOX_BYTES = "inbox_bytes"
    """The same: what waits is as large as it may be."""
    SENDER = "sender"
    """Its sender takes up its share already, or as much as is left for others."""
    MESSAGES = "messages"
    READINGS = "readings"
    MALFORMED = "malformed"
    """Its sender is beyond the rate of that name."""


class Sender:
    """One sender: what waits of it, and what it may still bring (negative: nothing for now)."""

    __slots__ = (
        "bytes",
        "dropped",
        "dropped_s",
        "malformed",
        "messages",
        "name",
        "readings",
        "refilled_s",
        "waiting",
    )

    def __init__(self, name: str, now_s: float, limits: LimitsConfig) -> None:
        self.name = name
        self.waiting: deque[Received] = deque()
        self.bytes = 0
        self.refilled_s = now_s
        self.messages = limits.messages_per_s * limits.burst_s
        self.readings = limits.readings_per_s * limits.burst_s
        self.malformed = limits.malformed_per_s * limits.burst_s
        self.dropped_s = 0.0
        """When something of it was dropped last, while its flood is followed."""
        self.dropped = 0


class Received(NamedTuple):
    """One message. ``time_ms``: when it was received."""

    topic: str
    payload: bytes
    retained: bool
    time_ms: int
    sender: Sender | None = None
    """Filled in by the inbox."""


def _anybody(_: str) -> bool:
    return True


class Inbox:
    """Messages by sender; what exceeds a limit is dropped, the newest first.

    ``knows`` says of a topic whether it is one of an agent that may report. ``clock`` gives
    monotonic seconds.
    """

    def __init__(
        self,
        dropped: Callable[[Drop], None],
        limits: LimitsConfig | None = None,
        *,
        knows: Callable[[str], bool] = _anybody,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits = limits or LimitsConfig()
        self.limit = limits.waiting
        self.limit_bytes = limits.waiting_bytes
        self.sender_limit = max(1, int(limits.waiting * limits.sender_share))
        # A message of the greatest size must fit, or it could never be answered as too large.
        self.sender_limit_bytes = max(
            MAX_PAYLOAD_BYTES + 1, int(limits.waiting_bytes * limits.sender_share)
        )
        self.bytes = 0
        self._count = 0
        self._dropped = dropped
        self._knows = knows
        self._clock = clock
        self._senders: OrderedDict[str, Sender] = OrderedDict()
        self._others = Sender("", clock(), limits)
        self._turns: deque[Sender] = deque()
        """Senders of which something waits, each once."""
        self._floods: dict[str, Sender] = {}
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return self._count

    @property
    def senders(self) -> int:
        """Senders that are remembered; at most ``limits.agents``."""
        return len(self._senders)

    @property
    def longest(self) -> int:
        """Messages of the sender of which most wait."""
        return max((len(sender.waiting) for sender in list(self._turns)), default=0)

    @property
    def oldest_ms(self) -> int | None:
        """When the message that is due next was received. Also for other threads."""
        try:
            return self._turns[0].waiting[0].time_ms
        except IndexError:
            return None

    def put(self, topic: str, payload: bytes, time_ms: int, *, retained: bool = False) -> None:
        """Keep a message, or drop it where its sender or all together have brought too much."""
        name = topic.rpartition("/")[0]
        sender = self._senders.get(name) or self._meet(name, topic)
        now_s = self._clock()
        if now_s - sender.refilled_s >= 1.0:
            self._refill(sender, now_s)
        size = len(payload)
        if size > MAX_PAYLOAD_BYTES:
            # Refused whatever stands in it; what is kept suffices to answer.
            payload, size = payload[: MAX_PAYLOAD_BYTES + 1], MAX_PAYLOAD_BYTES + 1
        if (
            sender.messages < 1
            or sender.readings < 0
            or sender.malformed < 0
            or (waiting := len(sender.waiting)) >= self.sender_limit
            or sender.bytes + size > self.sender_limit_bytes
            # No more than is still free: however many flood, one of whom little waits has room.
            or waiting >= self.limit - self._count
            or sender.bytes + size > self.limit_bytes - self.bytes
        ):
            self._drop(sender, size, now_s)
            return
        sender.messages -= 1
        if not sender.waiting:
            self._turns.append(sender)
        sender.waiting.append(Received(topic, payload, retained, time_ms, sender))
        sender.bytes += size
        self.bytes += size
        self._count += 1
        self._filled.set()

    async def take(self, most: int, *, gather_s: float = 0.0) -> list[Received]:
        """Messages of each sender in turn, at least one and at most ``most``.

        Once there is one, waits ``gather_s`` for more unless there are enough already.
        """
        await self._filled.wait()
        if self._count < most and gather_s:
            await asyncio.sleep(gather_s)
        turns = self._turns
        taken: list[Received] = []
        room = MAX_BYTES_OF_ROUND
        while turns and len(taken) < most and room > 0:
            sender = turns.popleft()
            message = sender.waiting.popleft()
            size = len(message.payload)
            sender.bytes -= size
            room -= size
            taken.append(message)
            if sender.waiting:
                turns.append(sender)
        self.bytes -= MAX_BYTES_OF_ROUND - room
        self._count -= len(taken)
        if not turns:
            self._filled.clear()
        return taken

    def note_readings(self, message: Received, count: int) -> None:
        """A message turned out to hold so many readings."""
        if message.sender is not None:
            message.sender.readings -= count

    def note_malformed(self, message: Received) -> None:
        """A message turned out to be of no use."""
        if message.sender is not None:
            # No debt: what came before it was noticed makes nobody deaf for long.
            message.sender.malformed = max(message.sender.malformed - 1, -1.0)

    def end_floods(self) -> None:
        """Log the floods that are over. To be called now and then."""
        now_s = self._clock()
        for sender in list(self._floods.values()):
            if now_s - sender.dropped_s >= _QUIET_S:
                del self._floods[sender.name]
                _log.info(
                    "%s: the flood is over, %d messages dropped", _who(sender), sender.dropped
                )
                sender.dropped = 0

    def _meet(self, name: str, topic: str) -> Sender:
        """A sender that is not remembered; one that may not report shares with all its like."""
        if not self._knows(topic):
            return self._others
        now_s = self._clock()
        if len(self._senders) >= self._limits.agents and not self._make_room(now_s):
            return self._others
        sender = self._senders[name] = Sender(name, now_s, self._limits)
        return sender

    def _make_room(self, now_s: float) -> bool:
        """Forget a sender that has been silent until it may bring all again."""
        for _ in range(min(_LOOKED_AT, len(self._senders))):
            name, sender = next(iter(self._senders.items()))
            silent = now_s - sender.refilled_s >= self._limits.burst_s
            if silent and not sender.waiting and name not in self._floods:
                del self._senders[name]
                return True
            self._senders.move_to_end(name)
        return False

    def _refill(self, sender: Sender, now_s: float) -> None:
        limits, past_s = self._limits, now_s - sender.refilled_s
        burst_s = limits.burst_s
        sender.refilled_s = now_s
        rate = limits.messages_per_s
        sender.messages = min(rate * burst_s, sender.messages + rate * past_s)
        rate = limits.readings_per_s
        sender.readings = min(rate * burst_s, sender.readings + rate * past_s)
        rate = limits.malformed_per_s
        sender.malformed = min(rate * burst_s, sender.malformed + rate * past_s)

    def _drop(self, sender: Sender, size: int, now_s: float) -> None:
        full: Drop | None = None
        if self._count >= self.limit:
            full = Drop.INBOX
        elif self.bytes + size > self.limit_bytes:
            full = Drop.INBOX_BYTES
        if sender.malformed < 0:
            reason = Drop.MALFORMED
        elif sender.readings < 0:
            reason = Drop.READINGS
        elif sender.messages < 1:
            reason = Drop.MESSAGES
        else:
            reason = full or Drop.SENDER
        self._dropped(reason)
        if reason is full:
            return
        if sender.name not in self._floods:
            if len(self._floods) >= _MAX_FLOODS:
                return
            self._floods[sender.name] = sender
            _log.warning("%s: more than its limit (%s); the rest is dropped", _who(sender), reason)
        sender.dropped += 1
        sender.dropped_s = now_s


def _who(sender: Sender) -> str:
    return sender.name or "topics of no agent that may report"
