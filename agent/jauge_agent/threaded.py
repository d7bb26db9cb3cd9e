"""Blocking calls on a thread of their own, so that they never hold up the event loop."""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from jauge_agent.source import RetryError

AT_HAND_S: Final = 0.002
"""How long the event loop itself waits for a call. Most end sooner, and a turn of the loop, for
which the two threads contend for the interpreter, costs more than the whole call."""

_Result = TypeVar("_Result")


class _Job:
    """One call on its way to the thread and back."""

    __slots__ = ("answer", "done", "failure", "function", "loop", "result")

    def __init__(self, function: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.function = function
        self.loop = loop
        self.done = threading.Lock()
        self.done.acquire()
        self.result: Any = None
        self.failure: Exception | None = None
        self.answer: asyncio.Future[Any] | None = None
        """Set when nobody waits at hand any more."""


class OwnThread:
    """One thread for the blocking calls of one source, one call at a time.

    A call that outlasts the caller's deadline cannot be stopped: its answer is thrown away, and
    until it ends every other call raises RetryError at once. The thread starts with the first
    call, and is a daemon, so that a hanging SDK does not keep the agent from ending.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._current: _Job | None = None
        self._begun: _Job | None = None

    async def call(self, function: Callable[[], _Result]) -> _Result:
        """What ``function`` returns or raises, from the thread.

        Raises RetryError while an earlier call has not come back, but for the one that
        `call_now` has begun: that is the one meant.
        """
        job = self._begun or self._start(function)
        self._begun = None
        job.answer = job.loop.create_future()
        # The thread looks for somebody who waits after it has released this.
        if not job.done.acquire(blocking=False):
            await job.answer
        result: _Result = self._outcome(job)
        return result

    def call_now(self, function: Callable[[], _Result]) -> _Result | None:
        """The same where it ends at once; None where it goes on, for `call` to wait for."""
        job = self._start(function)
        if job.done.acquire(timeout=AT_HAND_S):
            result: _Result = self._outcome(job)
            return result
        self._begun = job
        return None

    def close(self) -> None:
        """Let the thread end, after the call it may be in; a later call starts another one."""
        if self._thread is not None:
            self._jobs.put(None)
            self._jobs = queue.SimpleQueue()
            self._thread = None

    def _start(self, function: Callable[[], _Result]) -> _Job:
        if self._begun is not None and self._begun.done.acquire(blocking=False):
            self._current = self._begun = None  # nobody came for it
        if self._current is not None:
            raise RetryError("the previous call has not come back yet")
        if self._thread is None:
            self._thread = threading.Thread(
                target=_work, args=(self._jobs, self._finish), name=self._name, daemon=True
            )
            self._thread.start()
        self._current = _Job(function, asyncio.get_running_loop())
        self._jobs.put(self._current)
        return self._current

    def _outcome(self, job: _Job) -> Any:
        self._current = None
        if job.failure is not None:
            raise job.failure
        return job.result

    def _finish(self, job: _Job) -> None:
        if self._current is job:
            self._current = None
        if job.answer is not None and not job.answer.done():
            job.answer.set_result(None)


def _work(jobs: "queue.SimpleQueue[_Job | None]", finish: Callable[[_Job], None]) -> None:
    while (job := jobs.get()) is not None:
        try:
            job.result = job.function()
        except Exception as error:  # noqa: BLE001 - carried to the caller
            job.failure = error
        job.done.release()
        if job.answer is None:
            continue
        try:
            job.loop.call_soon_threadsafe(finish, job)
        except RuntimeError:
            return  # the event loop is gone, and with it whoever waited
