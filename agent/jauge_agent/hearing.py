"""Whether anybody hears what this agent publishes, and if not, what is likely.

Over MQTT 3.1.1 a broker acknowledges also what it drops for lack of permission, and what nobody
subscribes to. MQTT 5 tells both in its PUBACK. So when nobody answers, one batch goes out over a
second, short connection that speaks MQTT 5: whoever hears it may answer it as any other.
"""

import asyncio
import contextlib
import logging
from enum import StrEnum
from typing import Final

import aiomqtt

from jauge_agent.cancellation import raise_if_cancelled
from jauge_agent.connection import Connection
from jauge_agent.logs import Trouble

ASK_AGAIN_S: Final = 300.0

_FAREWELL_S: Final = 1.0
_NO_MATCHING_SUBSCRIBERS: Final = 0x10
_NOT_AUTHORIZED: Final = 0x87


class Heard(StrEnum):
    """What becomes of the batches that this agent publishes."""

    ANSWERED = "answered"
    """The collector answers, or it is too soon to tell."""
    REFUSED = "refused"
    """The broker drops them: this agent may not publish under its name."""
    UNHEARD = "unheard"
    """The broker takes them, and nobody subscribes to them."""
    IGNORED = "ignored"
    """The broker takes them, as for a subscriber, and nobody answers."""
    UNANSWERED = "unanswered"
    """Nobody answers, and the broker does not tell why."""


class Hearing:
    """What is known of it. All times are seconds of one monotonic clock."""

    def __init__(self, logger: logging.Logger, name: str) -> None:
        self.standing = Heard.ANSWERED
        self.waiting_since: float | None = None
        """When the first batch went out that was followed by no answer, to whatever batch."""
        self._asked_at: float | None = None
        self._trouble = Trouble(logger, "answers")
        self._lines = {
            Heard.REFUSED: f"the broker drops what this agent publishes as {name}: its access list"
            " does not know that name, or the certificate or user is another's",
            Heard.UNHEARD: "no collector listens: it is down, or subscribes at another broker",
            Heard.IGNORED: "the broker takes what this agent publishes, and nobody answers: does"
            f" the collector know {name}, reach its store, and write to its ack topic?",
            Heard.UNANSWERED: "nobody answers: no collector listens, or the broker drops what this"
            f" agent publishes as {name}",
        }

    def sent(self, now: float) -> None:
        """A batch went out."""
        if self.waiting_since is None:
            self.waiting_since = now

    def answered(self, now: float, *, more: bool) -> None:
        """An answer came; ``more`` when other batches wait for theirs."""
        self.waiting_since = now if more else None
        self._asked_at = None
        self.standing = Heard.ANSWERED
        self._trouble.recovered()

    def should_ask(self, now: float) -> bool:
        """Whether it is time to ask the broker, while nobody answers."""
        return self._asked_at is None or now >= self._asked_at + ASK_AGAIN_S

    def found(self, standing: Heard, now: float) -> None:
        """What the broker told; said once, and again only when it tells something new."""
        self._asked_at = now
        self.standing = standing
        self._trouble.lost(self._lines[standing], cause=standing, standing=standing)

    def line(self, standing: Heard) -> str:
        """What is likely, for a person."""
        return self._lines[standing]


async def ask(client: Connection, told: "asyncio.Future[int]", topic: str, payload: bytes) -> Heard:
    """Publish over a connection of MQTT 5 that sets ``told`` to the code of its PUBACK.

    Never raises but for a cancellation.
    """
    try:
        with contextlib.suppress(aiomqtt.MqttError, OSError, ValueError):
            async with client:
                raise_if_cancelled()
                client.timeout = _FAREWELL_S
                client.send(topic, payload)
                await asyncio.wait(
                    (told, client.lost),
                    timeout=_FAREWELL_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )
    finally:
        client.abandon()
    raise_if_cancelled()
    if not told.done():
        return Heard.UNANSWERED
    return {
        _NOT_AUTHORIZED: Heard.REFUSED,
        _NO_MATCHING_SUBSCRIBERS: Heard.UNHEARD,
        0: Heard.IGNORED,
    }.get(told.result(), Heard.UNANSWERED)
