"""Blocking calls on a thread of their own, so that they never hold up the event loop."""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from jauge_agent.source import RetryError

_Result = TypeVar("_Result")
_Job = tuple[Callable[[], Any], asyncio.Future[Any], asyncio.AbstractEventLoop]


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
        self._busy = False

    async def call(self, function: Callable[[], _Result]) -> _Result:
        """What ``function`` returns or raises, from the thread.

        Raises RetryError while an earlier call has not come back.
        """
        if self._busy:
            raise RetryError("the previous call has not come back yet")
        if self._thread is None:
            self._thread = threading.Thread(
                target=_work, args=(self._jobs, self._finish), name=self._name, daemon=True
            )
            self._thread.start()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_Result] = loop.create_future()
        self._busy = True
        self._jobs.put((function, answer, loop))
        return await answer

    def close(self) -> None:
        """Let the thread end, after the call it may be in; a later call starts another one."""
        if self._thread is not None:
            self._jobs.put(None)
            self._jobs = queue.SimpleQueue()
            self._thread = None

    def _finish(
        self, answer: asyncio.Future[Any], result: object, failure: Exception | None
    ) -> None:
        self._busy = False
        if answer.done():
            return
        if failure is None:
            answer.set_result(result)
        else:
            answer.set_exception(failure)


def _work(
    jobs: "queue.SimpleQueue[_Job | None]",
    finish: Callable[[asyncio.Future[Any], object, Exception | None], None],
) -> None:
    while (job := jobs.get()) is not None:
        function, answer, loop = job
        result: Any = None
        failure: Exception | None = None
        try:
            result = function()
        except Exception as error:  # noqa: BLE001 - carried to the caller
            failure = error
        try:
            loop.call_soon_threadsafe(finish, answer, result, failure)
        except RuntimeError:
            return  # the event loop is gone, and with it whoever waited
