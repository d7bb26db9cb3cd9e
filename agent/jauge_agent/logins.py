"""Refused logins of a device: after some in a row it is left alone, lest the account be locked."""

import time
from collections.abc import Callable
from typing import Final

from jauge_agent.source import FatalError, RetryError

MOST_REFUSALS: Final = 3
REFUSED_PAUSE_S: Final = 3600.0
"""Pause after so many refused logins in a row."""


class Logins:
    """How the logins to one device went; any thread may ask, one at a time."""

    def __init__(self, label: str, now_s: Callable[[], float] = time.monotonic) -> None:
        """``label`` is what logs call the device; ``now_s``: seconds that only go forward."""
        self._label = label
        self._now_s = now_s
        self._refusals = 0
        self._not_before = 0.0

    def check(self) -> None:
        """Raises FatalError while there must be no login."""
        if self._now_s() < self._not_before:
            raise FatalError(f"{self._label}: {self._refusals} logins were refused: it waits")

    def refused(self, detail: str) -> FatalError | RetryError:
        """One more was refused: the error to raise, fatal once there were too many in a row."""
        self._refusals += 1
        if self._refusals < MOST_REFUSALS:
            return RetryError(detail)
        self._not_before = self._now_s() + REFUSED_PAUSE_S
        return FatalError(detail)

    def admitted(self) -> None:
        """The device answered who logged in."""
        self._refusals = 0
