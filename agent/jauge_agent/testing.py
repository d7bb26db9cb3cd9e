"""For tests of the agent and of sources: time that does not pass by itself, and a scripted source.

``run_virtual`` drives a coroutine on an event loop whose clock jumps to the next timer whenever
nothing is left to do, so that minutes of ticks, deadlines and back-off take no time. No thread
and no socket may be waited for on it.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from jauge_agent.config import ConfiguredSource
from jauge_agent.source import Outcome, ResourceDescription, Source, SourceSettings

_Result = TypeVar("_Result")

START_MS: Final = 1_700_000_000_500
"""Where the wall clock of a `VirtualClock` starts: half a second past a full one."""


class _JumpingSelector(selectors.SelectSelector):
    """Waits by moving the clock instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now; else the clock moves to the next timer."""
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everything waits and no timer runs: this would hang")
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose monotonic clock is virtual."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jumping.now


class VirtualClock:
    """A wall clock that runs with the virtual loop and can be set, as ntpd or a person would."""

    def __init__(self, start_ms: int = START_MS) -> None:
        self._offset_ms = start_ms

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return self._offset_ms + round(asyncio.get_running_loop().time() * 1000)

    def step(self, seconds: float) -> None:
        """Set the clock forward, or back."""
        self._offset_ms += round(seconds * 1000)


def run_virtual(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine in virtual time to its end."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)


@dataclass(frozen=True, slots=True)
class Slow:
    """A read that takes its time before it gives what it has."""

    seconds: float
    then: Outcome | BaseException


Step = Outcome | BaseException | Slow | Callable[[], Outcome]


@dataclass(slots=True)
class ScriptedSource:
    """Plays a list of reads, the last one for ever; an exception is raised instead."""

    script: Sequence[Step]
    resources: Sequence[ResourceDescription] = ()
    opening: Iterable[BaseException] = ()
    """Raised by the first calls of ``open``, one each."""
    reads: int = 0
    closed: int = 0
    _failures: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._failures = list(self.opening)

    async def open(self) -> Sequence[ResourceDescription]:
        """Fail as scripted, then give the resources."""
        if self._failures:
            raise self._failures.pop(0)
        return self.resources

    async def read(self) -> Outcome:
        """Play the next step."""
        step = self.script[min(self.reads, len(self.script) - 1)]
        self.reads += 1
        if isinstance(step, Slow):
            await asyncio.sleep(step.seconds)
            step = step.then
        if isinstance(step, BaseException):
            raise step
        return step if isinstance(step, Outcome) else step()

    async def close(self) -> None:
        """Count."""
        self.closed += 1


def configured(name: str, source: Source, settings: SourceSettings) -> ConfiguredSource:
    """A source that exists already, as the runner takes it."""
    return ConfiguredSource(name, settings, lambda _: source)
