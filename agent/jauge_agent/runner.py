"""The runner: ticks, deadlines, back-off and self-metrics, the same for every source.

One task reads each source; one more gives out the ticks. A tick is a wall-clock multiple of the
period, and its time, not the time of reading, stamps the samples. All sources due at one tick
make one batch, which closes when all have answered or after a short grace; what comes later makes
a batch of its own with the same tick time.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from jauge_models.budgets import Budgets
from jauge_models.wire import ResourceDescription, Sample, SourceDescription

from jauge_agent.budget import Budget, Key, Offer
from jauge_agent.config import ConfiguredSource
from jauge_agent.logs import say
from jauge_agent.soundness import Sound
from jauge_agent.worker import Deliver, SourceStats, Worker

GRACE_S: Final = 0.25
STEP_MS: Final = 100
"""Wall clock and monotonic clock are slewed alike: what parts them by more is a step."""
_AT_ONCE_S: Final = 0.01

LATEST_MS: Final = 5000
"""A tick that comes later than this is not given: its stamp would say another time than it was."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class RunnerStats:
    """What the ticks have seen since the agent started."""

    ticks: int = 0
    missed: int = 0
    """Ticks that came too late to be given out: the process or the machine had stopped."""
    steps: int = 0
    last_step_ms: int = 0
    """Size of the last clock step, positive when the clock was set forward."""


class _Tick:
    """The answers of the sources that were due at one moment."""

    __slots__ = ("closed", "offers", "seen", "time_ms", "waiting")

    def __init__(self, time_ms: int, waiting: int) -> None:
        self.time_ms = time_ms
        self.waiting = waiting
        self.closed = False
        self.offers: list[Offer] = []
        self.seen: set[Key] = set()

    def first(self, sound: Sound) -> Sequence[Sample]:
        """Those whose series have no value at this tick yet, each once."""
        samples, series = sound.samples, sound.series
        if len(series) == len(samples) and self.seen.isdisjoint(series):
            self.seen |= series
            return samples
        return [sample for sample in samples if self._is_first(sample[:2])]

    def _is_first(self, series: Key) -> bool:
        if series in self.seen:
            return False
        self.seen.add(series)
        return True


class Runner:
    """Runs sources until cancelled."""

    def __init__(
        self,
        sources: Iterable[ConfiguredSource],
        *,
        deliver: Deliver,
        now_ms: Callable[[], int],
        on_step: Callable[[int], None] = lambda _: None,
        on_change: Callable[[], None] = lambda: None,
        chance: random.Random,
        memory: Path | None = None,
        budgets: Budgets | None = None,
    ) -> None:
        """``on_step`` gets the size in ms of a clock step before any tick follows it.

        ``on_change`` is called when `describe` has something new; ``memory`` is a folder for the
        sources that remember something across restarts; ``budgets`` say how many series are taken.
        """
        self.stats = RunnerStats()
        self.budget = Budget(budgets, on_change=on_change)
        self._deliver = deliver
        self._now_ms = now_ms
        self._on_step = on_step
        self._open_ticks: dict[_Tick, asyncio.TimerHandle] = {}
        self._workers = [
            Worker(
                configured,
                on_change=on_change,
                now_ms=now_ms,
                chance=chance,
                budget=self.budget,
                deliver=deliver,
                memory=memory,
            )
            for configured in sources
            if configured.settings.enabled
        ]
        self._period_of = {
            worker: max(1, round(worker.settings.period_s * 1000)) for worker in self._workers
        }
        self._shortest_ms = min(self._period_of.values(), default=1)
        self._parted_ms = 0.0
        """Wall clock minus monotonic clock, when last looked at."""
        self._next_tick: asyncio.TimerHandle | None = None
        self._last_ms = 0
        """The last tick, or the time from which the next one is reckoned."""

    @property
    def source_stats(self) -> Mapping[str, SourceStats]:
        """Counters of each enabled source by its name."""
        return {worker.name: worker.stats for worker in self._workers}

    def describe(self) -> tuple[list[SourceDescription], list[ResourceDescription]]:
        """Sources and resources for the birth document."""
        sources = [
            SourceDescription(worker.name, worker.settings.period_s, worker.absent)
            for worker in self._workers
        ]
        resources: dict[str, ResourceDescription] = {}
        for worker in self._workers:
            for resource in worker.resources:
                known = resources.get(resource.id)
                resources[resource.id] = _joined(known, resource) if known else resource
        return sources, self.budget.described(resources.values())

    def open_tick_ms(self) -> int | None:
        """Time of the oldest tick that still waits for a source."""
        if not self._open_ticks:
            return None
        return min(tick.time_ms for tick in self._open_ticks)

    async def run(self) -> None:
        """Read until cancelled; then deliver what has been read and close the sources."""
        try:
            async with asyncio.TaskGroup() as group:
                for worker in self._workers:
                    group.create_task(worker.run(), name=f"source {worker.name}")
                group.create_task(self._give_ticks(), name="ticks")
        finally:
            for tick, timer in list(self._open_ticks.items()):
                timer.cancel()
                self._close(tick)
            async with asyncio.TaskGroup() as closing:
                for worker in self._workers:
                    closing.create_task(worker.close())

    async def _give_ticks(self) -> None:
        """Give ticks until cancelled, each from a timer: a task takes another turn of the loop."""
        loop = asyncio.get_running_loop()
        failed: asyncio.Future[None] = loop.create_future()
        if self._workers:
            self._parted_ms = self._clocks_part_ms(loop)
            self._last_ms = self._now_ms()
            self._plan_tick(loop, failed)
        try:
            await failed
        finally:
            if self._next_tick is not None:
                self._next_tick.cancel()

    def _plan_tick(self, loop: asyncio.AbstractEventLoop, failed: asyncio.Future[None]) -> None:
        last_ms = self._last_ms
        due_ms = last_ms + self._shortest_ms
        for period in self._period_of.values():
            due_ms = min(due_ms, last_ms - last_ms % period + period)
        self._next_tick = loop.call_at(
            (due_ms - self._parted_ms) / 1000, self._tick_due, due_ms, loop, failed
        )

    def _tick_due(
        self, due_ms: int, loop: asyncio.AbstractEventLoop, failed: asyncio.Future[None]
    ) -> None:
        try:
            self._reach(due_ms, loop)
            self._plan_tick(loop, failed)
        except Exception as error:  # noqa: BLE001 - carried to the task that waits
            if not failed.done():
                failed.set_exception(error)

    def _reach(self, due_ms: int, loop: asyncio.AbstractEventLoop) -> None:
        """Give the tick, unless the clock was set meanwhile or it is too early or too late."""
        step_ms = self._clocks_part_ms(loop) - self._parted_ms
        self._parted_ms += step_ms
        now_ms = self._now_ms()
        if abs(step_ms) > STEP_MS:
            self._record_step(round(step_ms))
            self._last_ms = now_ms
            return
        if now_ms < due_ms:
            return
        if now_ms - due_ms >= min(self._shortest_ms, LATEST_MS):
            self.stats.missed += 1 + (now_ms - due_ms) // self._shortest_ms
            self._last_ms = now_ms
            return
        self._last_ms = due_ms
        self._give_tick(due_ms, loop)

    def _clocks_part_ms(self, loop: asyncio.AbstractEventLoop) -> float:
        """Wall clock minus monotonic clock, both read without a pause of the process between."""
        while True:
            before = loop.time()
            wall_ms = self._now_ms()
            if loop.time() - before < _AT_ONCE_S:
                return wall_ms - before * 1000

    def _give_tick(self, time_ms: int, loop: asyncio.AbstractEventLoop) -> None:
        self.stats.ticks += 1
        ready: list[Worker] = []
        for worker, period in self._period_of.items():
            if time_ms % period == 0 and worker.is_ready():
                ready.append(worker)
        if not ready:
            return
        tick = _Tick(time_ms, waiting=len(ready))
        for worker in ready:
            worker.start(partial(self._answered, worker, tick))
        if tick.waiting:
            self._open_ticks[tick] = loop.call_later(GRACE_S, self._close, tick)

    def _answered(self, worker: Worker, tick: _Tick, sound: Sound) -> None:
        """A source has answered a tick, if only with nothing."""
        tick.waiting -= 1
        first = tick.first(sound)
        worker.stats.left_out["repeated"] += len(sound.samples) - len(first)
        if first:
            tick.offers.append(worker.offer(first))
        if tick.closed or tick.waiting == 0:
            self._close(tick)
        if tick.waiting == 0 and (timer := self._open_ticks.pop(tick, None)) is not None:
            timer.cancel()

    def _close(self, tick: _Tick) -> None:
        """Deliver what the tick has so far; later answers are delivered as they come."""
        tick.closed = True
        offers, tick.offers = tick.offers, []
        if offers and (samples := self.budget.taken(offers, tick.seen)):
            self._deliver(tick.time_ms, samples)

    def _record_step(self, step_ms: int) -> None:
        self.stats.steps += 1
        self.stats.last_step_ms = step_ms
        say(_log, logging.WARNING, "clock stepped", seconds=step_ms / 1000)
        self._on_step(step_ms)


def _joined(one: ResourceDescription, other: ResourceDescription) -> ResourceDescription:
    """What two sources know of one resource; the first one's word stands."""
    return ResourceDescription(
        id=one.id,
        quantities={**other.quantities, **one.quantities},
        name=one.name or other.name,
        labels={**other.labels, **one.labels},
    )
