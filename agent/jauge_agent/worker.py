"""One source at work: its task, its deadline, its back-off and its counters."""

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar

from jauge_models.wire import ResourceDescription, Sample

from jauge_agent.budget import Budget, Offer
from jauge_agent.config import ConfiguredSource
from jauge_agent.logs import Trouble, say
from jauge_agent.soundness import NOTHING, Sound, Soundness
from jauge_agent.source import (
    AbsentError,
    FatalError,
    Outcome,
    RetryError,
    Source,
    SourceSettings,
)
from jauge_agent.sources import OF_DEVICES

LONGEST_BACKOFF_S: Final = 300.0
DATED_PER_S: Final = 10_000
"""Samples a second handed over of what a device dated itself: half of what a collector lets one
sender bring (``limits.readings_per_s``)."""

_REASONS: Final = 24
"""Different reasons counted per source, so that no source can grow the metrics without end."""
_CLOSE_S: Final = 5.0

_Result = TypeVar("_Result")

_log = logging.getLogger(__name__)

Answer = Callable[[Sound], None]
"""Takes what a source gave for one tick, if only nothing."""

Deliver = Callable[[int, Sequence[Sample]], None]
"""Takes a time in ms and its samples, never none."""

_AHEAD_MS: Final = 5000
"""Clocks of devices differ by that much at most from ours."""


class Standing(StrEnum):
    """How a source stands."""

    STARTING = "starting"
    RUNNING = "running"
    FAILING = "failing"
    ABSENT = "absent"
    STOPPED = "stopped"


@dataclass(slots=True)
class SourceStats:
    """What one source has done since the agent started."""

    standing: Standing = Standing.STARTING
    reads: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    """Failed reads: deadline, retry, bug, fatal."""
    missing: Counter[str] = field(default_factory=Counter)
    """Values that could not be had, by the source's own reason."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Values that broke the catalogue's rules, by flaw; ``repeated``: the series came twice;
    ``ahead``: dated by a device whose clock is ahead; ``budget``: more series than allowed."""
    skipped: int = 0
    """Ticks at which the source was still reading."""
    last_duration_s: float | None = None
    last_success_ms: int | None = None


class Worker:
    """One source with its task, its back-off and its counters."""

    def __init__(
        self,
        configured: ConfiguredSource,
        *,
        on_change: Callable[[], None],
        now_ms: Callable[[], int],
        chance: random.Random,
        budget: Budget,
        deliver: Deliver = lambda _time_ms, _samples: None,
        memory: Path | None = None,
    ) -> None:
        """``deliver`` takes what a device dated itself; ``memory`` is the folder of all sources."""
        self.name = configured.name
        self.settings: SourceSettings = configured.settings
        self.stats = SourceStats()
        self.absent: str | None = None
        self.resources: Sequence[ResourceDescription] = ()
        self._configured = configured
        self._source: Source | None = None
        self._is_open = False
        self._read_now: Callable[[], Outcome | None] | None = None
        self._on_change = on_change
        self._now_ms = now_ms
        self._chance = chance
        self._budget = budget
        self._of_machine = configured.name not in OF_DEVICES
        self._deliver = deliver
        self._memory = memory
        self._answer: Answer | None = None
        self._call: asyncio.Task[Any] | None = None
        self._wake = asyncio.Event()
        self._failures_in_row = 0
        self._not_before = 0.0
        self._time: Callable[[], float] = time.monotonic
        """That of the event loop, once it runs: asking for the loop is a system call each time."""
        self._trouble = Trouble(_log, "source", source=self.name)
        self._soundness = Soundness(self.name, self.stats.left_out)

    def is_ready(self) -> bool:
        """Whether a tick can be given: open, done with the last tick, and not backing off."""
        if not self._is_open:
            return False
        if self._answer is not None:
            self.stats.skipped += 1
            return False
        return self._time() >= self._not_before

    def start(self, answer: Answer) -> None:
        """Read once and give the samples to ``answer``, now or later, whatever happens."""
        sound = self._read_at_once()
        if sound is not None:
            answer(sound)
        else:
            self._answer = answer
        if sound is None or self.stats.standing is Standing.STOPPED:
            self._wake.set()

    def offer(self, samples: Sequence[Sample]) -> Offer:
        """Samples of this source, each series once, for the budget."""
        return Offer(samples, self._of_machine, self.stats.left_out)

    async def run(self) -> None:
        """Open the source, then read at each tick given, until it ends or is cancelled."""
        self._time = asyncio.get_running_loop().time
        if not await self._open():
            return
        while True:
            await self._wake.wait()
            self._wake.clear()
            if (answer := self._answer) is not None:
                sound = NOTHING
                try:
                    sound = await self._read()
                finally:
                    self._answer = None
                    answer(sound)
            if self.stats.standing is Standing.STOPPED:
                await self.close()
                return

    async def close(self) -> None:
        """Give back what the source holds; called again it does nothing."""
        source, self._source = self._source, None
        self._is_open = False
        if source is None:
            return
        if self._call is not None and not self._call.done():
            await asyncio.wait((self._call,), timeout=_CLOSE_S)
        try:
            async with asyncio.timeout(_CLOSE_S):
                await source.close()
        except Exception as error:  # noqa: BLE001 - one source's bug must not keep the others open
            say(_log, logging.WARNING, "source not closed", source=self.name, detail=str(error))

    async def _open(self) -> bool:
        """Open until it works; False when the source is not for this host or cannot go on."""
        while True:
            try:
                if self._source is None:
                    self._source = self._configured.build()
                    self._let_remember(self._source)
                self.resources = await self._called(self._source.open())
            except AbsentError as absent:
                self.absent = str(absent)
                self.stats.standing = Standing.ABSENT
                say(_log, logging.INFO, "source absent", source=self.name, detail=self.absent)
                await self.close()
                self._on_change()
                return False
            except Exception as error:  # noqa: BLE001 - see _failed
                self._failed(error)
                if self.stats.standing is Standing.STOPPED:
                    await self.close()
                    self._on_change()
                    return False
                await asyncio.sleep(self._not_before - asyncio.get_running_loop().time())
            else:
                self._is_open = True
                self._read_now = getattr(self._source, "read_now", None)
                self._worked()
                self._on_change()
                return True

    async def _read(self) -> Sound:
        """What the source gave and the catalogue allows."""
        if self._source is None:
            return NOTHING
        self.stats.reads += 1
        begun = self._time()
        try:
            outcome = await self._called(self._source.read())
            self.stats.last_duration_s = self._time() - begun
            await self._spread(outcome.dated)
            return self._taken(outcome)
        except Exception as error:  # noqa: BLE001 - see _failed
            self.stats.last_duration_s = self._time() - begun
            self._failed(error)
            return NOTHING

    def _read_at_once(self) -> Sound | None:
        """The same from a source that needs no waiting for; None from any other."""
        if self._read_now is None:
            return None
        begun = self._time()
        try:
            outcome = self._read_now()
            if outcome is None:
                return None
            if outcome.dated:
                for time_ms in sorted(outcome.dated):
                    self._take_dated(time_ms, outcome.dated[time_ms])
            sound = self._taken(outcome)
        except Exception as error:  # noqa: BLE001 - see _failed
            self._failed(error)
            sound = NOTHING
        self.stats.reads += 1
        self.stats.last_duration_s = self._time() - begun
        return sound

    def _taken(self, outcome: Outcome) -> Sound:
        sound = self._soundness.sound(outcome.samples)
        for reason, number in outcome.failed.items():
            self._count_missing(reason, number)
        if outcome.resources is not None:
            self.resources = outcome.resources
            self._on_change()
        if self.stats.standing is not Standing.RUNNING:
            self._worked()
        self.stats.last_success_ms = self._now_ms()
        return sound

    async def _spread(self, dated: Mapping[int, Sequence[Sample]]) -> None:
        """Hand over moment by moment: an hour of a vCenter must not flood ticks or collector."""
        left = deque(sorted(dated))
        try:
            while left:
                time_ms = left.popleft()
                self._take_dated(time_ms, dated[time_ms])
                if left:
                    await asyncio.sleep(len(dated[time_ms]) / DATED_PER_S)
        finally:
            for time_ms in left:  # when the agent ends, the disk gets the rest at once
                self._take_dated(time_ms, dated[time_ms])

    def _take_dated(self, time_ms: int, samples: Sequence[Sample]) -> None:
        if time_ms > self._now_ms() + _AHEAD_MS:
            self.stats.left_out["ahead"] += len(samples)
            return
        sound = self._soundness.sound(samples)
        if taken := self._budget.taken([self.offer(sound.samples)], sound.series):
            self._deliver(time_ms, taken)

    def _let_remember(self, source: Source) -> None:
        remember = getattr(source, "remember", None)
        if self._memory is not None and remember is not None:
            with contextlib.suppress(OSError):  # the spool lies there too, and says so
                self._memory.mkdir(mode=0o700, exist_ok=True)
            remember(self._memory / self.name)

    async def _called(self, call: Coroutine[Any, Any, _Result]) -> _Result:
        """What a call of the source gives within its deadline; raises TimeoutError.

        The call has a task of its own: whatever it does to cancellations, its own and those of
        the deadline, stays there. One that does not end holds back this source alone.
        """
        if self._call is not None and not self._call.done():
            call.close()
            raise RetryError("the previous call has not ended")
        task = self._call = asyncio.create_task(call, name=f"call of {self.name}")
        try:
            await asyncio.wait((task,), timeout=self.settings.deadline_s)
        finally:
            if task.done():
                _retrieve(task)  # it may have ended as this did
            else:
                task.add_done_callback(_retrieve)
                task.cancel()
        if not task.done():
            raise TimeoutError
        if task.cancelled():
            raise RuntimeError("the source cancelled its own call")
        result: _Result = task.result()
        return result

    def _worked(self) -> None:
        self._failures_in_row = 0
        self._not_before = 0.0
        self.stats.standing = Standing.RUNNING
        self._trouble.recovered()

    def _failed(self, error: Exception) -> None:
        """Count a failure, say it once, and set when to try again."""
        reason, detail = _explained(error, self.settings.deadline_s)
        self.stats.failures[reason] += 1
        if reason == "bug":
            _log.debug("source %s failed", self.name, exc_info=error)
        if isinstance(error, FatalError):
            self.stats.standing = Standing.STOPPED
            say(_log, logging.ERROR, "source stopped", source=self.name, detail=detail)
            return
        self.stats.standing = Standing.FAILING
        self._trouble.lost(detail, reason=reason)
        self._failures_in_row += 1
        longest = max(LONGEST_BACKOFF_S, self.settings.period_s)
        delay = min(longest, self.settings.period_s * 2.0 ** min(self._failures_in_row - 1, 30))
        wait = delay * self._chance.uniform(0.5, 1.0)
        self._not_before = asyncio.get_running_loop().time() + wait

    def _count_missing(self, reason: str, number: int) -> None:
        missing = self.stats.missing
        known = reason in missing or len(missing) < _REASONS
        missing[reason if known else "other"] += number


def _retrieve(call: asyncio.Task[Any]) -> None:
    """Take note of how a call ended that nobody waits for, or asyncio reports it as lost."""
    if not call.cancelled():
        call.exception()


def _explained(error: Exception, deadline_s: float) -> tuple[str, str]:
    if isinstance(error, TimeoutError):
        return "deadline", f"no answer within {deadline_s:g} s"
    if isinstance(error, FatalError):
        return "fatal", str(error)
    if isinstance(error, RetryError | AbsentError):
        return "retry", str(error)
    return "bug", f"{type(error).__name__}: {error}"
