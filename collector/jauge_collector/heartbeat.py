"""Whether the broker still delivers to us: what we publish for ourselves has to come back.

A connection may be alive and its subscription dead, and then nothing tells: no agent is heard, and
no error either. The topic lies outside of the agents' own.
"""

import time
from collections import deque
from collections.abc import Callable
from secrets import token_hex
from typing import Final

from jauge_models.resources import is_name

ROOT: Final = "jauge/heartbeat"

EVERY_S: Final = 15.0
"""Seconds between two heartbeats."""
DEAF_AFTER_S: Final = 40.0
"""Nothing came for so long: found at the next heartbeat, within a minute."""
DEAF_WITHOUT_S: Final = 180.0
"""The same where the broker never gave a heartbeat back but does deliver from agents: it forbids
the topic, and agents may be silent for a while."""

_REMEMBERED: Final = 8


class Heartbeat:
    """What was published and what came. ``clock`` gives monotonic seconds."""

    def __init__(self, client_id: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.topic = f"{ROOT}/{client_id if is_name(client_id) else token_hex(6)}"
        self._clock = clock
        self._sent: deque[bytes] = deque(maxlen=_REMEMBERED)
        self._since_s = clock()
        self._other_s: float | None = None
        self._returned_s: float | None = None
        self.is_back = False
        """Whether a heartbeat came back on this connection."""

    def connected(self) -> None:
        """A new connection, on which nothing came yet."""
        self._since_s = self._clock()
        self._sent.clear()
        self.is_back = False

    def beat(self) -> bytes:
        """What to publish now."""
        payload = token_hex(8).encode()
        self._sent.append(payload)
        return payload

    def take(self, topic: str, payload: bytes, *, retained: bool) -> bool:
        """Note a message that came; whether it was on our topic and is nobody else's concern."""
        if topic != self.topic:
            if not retained:
                self._other_s = self._clock()
            return False
        if payload in self._sent:
            self._returned_s = self._clock()
            self.is_back = True
        return True

    @property
    def silence_s(self) -> float:
        """For how long nothing at all has come on this connection."""
        heard = (self._since_s, self._other_s or 0.0, self._returned_s or 0.0)
        return self._clock() - max(heard)

    @property
    def is_deaf(self) -> bool:
        """Whether the subscription has to be taken for dead."""
        forbidden = self._returned_s is None and self._other_s is not None
        return self.silence_s > (DEAF_WITHOUT_S if forbidden else DEAF_AFTER_S)

    @property
    def is_refused(self) -> bool:
        """Whether the broker delivers from agents and never gives a heartbeat back."""
        return (
            self._returned_s is None
            and self._other_s is not None
            and self._clock() - self._since_s > DEAF_AFTER_S
        )
