"""Whether every stage makes progress: what the dead-man signal and the watchdog rest on.

A stage that fails and tries again makes progress; one whose step does not end does not. What a
stage waits for between steps is no part of them.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

HOLDS_S: Final = 120.0
"""A step that took too long stands against its stage for so long, unless one in time follows."""


class Stage:
    """One loop of the service. ``clock`` gives monotonic seconds."""

    def __init__(self, name: str, limit_s: float, clock: Callable[[], float]) -> None:
        self.name = name
        self._limit_s = limit_s
        self._clock = clock
        self._began_s: float | None = None
        self._took_s = 0.0
        self._ended_s = 0.0

    @contextmanager
    def step(self) -> Iterator[None]:
        """What has to end within the limit, or say in time that it is `alive`."""
        self._began_s = self._clock()
        try:
            yield
        finally:
            self._ended_s = self._clock()
            self._took_s = self._ended_s - self._began_s
            self._began_s = None

    def alive(self) -> None:
        """The running step has got somewhere."""
        if self._began_s is not None:
            self._began_s = self._clock()
            self._took_s = 0.0

    @property
    def trouble(self) -> str:
        """Why it makes no progress; empty while it does."""
        now_s = self._clock()
        if self._began_s is not None and now_s - self._began_s > self._limit_s:
            return f"{self.name} hangs for {now_s - self._began_s:.0f} s"
        if self._took_s > self._limit_s and now_s - self._ended_s < HOLDS_S:
            return f"{self.name} hung for {self._took_s:.0f} s"
        return ""


class Progress:
    """Every stage of the service."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stages: dict[str, Stage] = {}

    def stage(self, name: str, limit_s: float) -> Stage:
        """A new stage, whose steps end within the limit."""
        stage = self._stages[name] = Stage(name, limit_s, self._clock)
        return stage

    @property
    def trouble(self) -> str:
        """Which stages make no progress, for a person; empty while all do."""
        return ", ".join(trouble for stage in self._stages.values() if (trouble := stage.trouble))
