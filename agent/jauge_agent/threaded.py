"""Blocking calls on a thread of their own, so that they never hold up the event loop."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from jauge_agent.source import RetryError

AT_HAND_S: Final = 0.002
"""How long the event loop itself waits for a call. Most end sooner, and a turn of the loop, for
which the two threads contend for the interpreter, costs more than the whole call."""

AHEAD_S: Final = 0.01
"""How long before its time a call is made that is made again and again."""
_FRESH_S: Final = 0.05
"""How old what was called ahead may be, at most."""
_SOON_S: Final = 5.0
"""Calls further apart are not made ahead: they are too few to cost much."""

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

    def run(self) -> None:
        """Call, and keep what comes of it."""
        try:
            self.result = self.function()
        except Exception as error:  # noqa: BLE001 - carried to the caller
            self.failure = error


class _Ahead:
    """A call that is made again and again, made shortly before it is asked for.

    Then neither thread waits for the other, and both do not contend for the interpreter.
    """

    def __init__(self, every_s: float | None, clock: Callable[[], float]) -> None:
        self._every_s = every_s if every_s is not None and every_s <= _SOON_S else None
        self._clock = clock
        self._asked_at = 0.0
        self._repeated: _Job | None = None
        self._made: _Job | None = None
        """Set by the thread where it is None; taken by the event loop unless it waits for a job."""
        self._made_at = 0.0

    def asked(self) -> None:
        """The call is asked for now."""
        self._asked_at = self._clock()

    def repeats(self, job: _Job) -> None:
        """It was not made ahead: the thread gets it, and is to make the next."""
        self._repeated = job

    def taken(self, function: Callable[[], Any]) -> _Job | None:
        """What was made ahead, if it is that call and fresh."""
        if (made := self._made) is None:
            return None
        is_fresh = self._asked_at - self._made_at <= _FRESH_S
        self._made = None
        return made if made.function == function and is_fresh else None

    def serve(self, job: _Job) -> None:
        """On the thread: make a call, unless it was made ahead while it was being asked for."""
        if (made := self.taken(job.function)) is not None:
            job.result, job.failure = made.result, made.failure
        else:
            job.run()

    def next_job(self, jobs: "queue.SimpleQueue[_Job | None]", last: _Job | None) -> _Job | None:
        """On the thread: the next one that is asked for, after what is made ahead meanwhile."""
        if self._every_s is None or last is None or last is not self._repeated:
            return jobs.get()
        due_at = self._asked_at + self._every_s
        while True:
            try:
                return jobs.get(timeout=max(0.0, due_at - AHEAD_S - self._clock()))
            except queue.Empty:
                if self._made is not None:
                    return jobs.get()  # nobody came for the one before
            job = _Job(last.function, last.loop)
            job.run()
            self._made_at = self._clock()
            self._made = job
            # It is asked for shortly after now, and then once more.
            due_at = self._asked_at + 2 * self._every_s


class OwnThread:
    """One thread for the blocking calls of one source, one call at a time.

    A call that outlasts the caller's deadline cannot be stopped: its answer is thrown away, and
    until it ends every other call raises RetryError at once. The thread starts with the first
    call, and is a daemon, so that a hanging SDK does not keep the agent from ending.
    """

    def __init__(
        self,
        name: str,
        every_s: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``every_s``: seconds between two of `call_now`, where they always make the same call.

        It may then be made a few milliseconds before it is asked for. ``clock`` gives monotonic
        seconds.
        """
        self._name = name
        self._ahead = _Ahead(every_s, clock)
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
        self._ahead.asked()
        job = None if self._current is not None else self._ahead.taken(function)
        if job is None:
            job = self._start(function, repeats=True)
            if not job.done.acquire(timeout=AT_HAND_S):
                self._begun = job
                return None
        result: _Result = self._outcome(job)
        return result

    def close(self) -> None:
        """Let the thread end, after the call it may be in; a later call starts another one."""
        if self._thread is not None:
            self._jobs.put(None)
            self._jobs = queue.SimpleQueue()
            self._thread = None

    def _start(self, function: Callable[[], _Result], *, repeats: bool = False) -> _Job:
        if self._begun is not None and self._begun.done.acquire(blocking=False):
            self._current = self._begun = None  # nobody came for it
        if self._current is not None:
            raise RetryError("the previous call has not come back yet")
        if self._thread is None:
            self._thread = threading.Thread(
                target=_work,
                args=(self._jobs, self._finish, self._ahead),
                name=self._name,
                daemon=True,
            )
            self._thread.start()
        self._current = _Job(function, asyncio.get_running_loop())
        if repeats:
            self._ahead.repeats(self._current)
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


def _work(
    jobs: "queue.SimpleQueue[_Job | None]", finish: Callable[[_Job], None], ahead: _Ahead
) -> None:
    job: _Job | None = None
    while (job := ahead.next_job(jobs, job)) is not None:
        ahead.serve(job)
        job.done.release()
        if job.answer is None:
            continue
        try:
            job.loop.call_soon_threadsafe(finish, job)
        except RuntimeError:
            return  # the event loop is gone, and with it whoever waited
