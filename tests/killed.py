"""Work that is killed as by ``kill -9`` at its every call of some kind, one after the other."""

import os
import signal
import sys
from collections.abc import Callable, Collection
from types import FrameType
from typing import Any, NoReturn


def finishes(work: Callable[[Callable[[], None]], object], calls: Collection[str], at: int) -> bool:
    """Whether work comes to its end that is killed right before its call number ``at`` (from 0).

    Calls are those of functions in C by their names: what a program asks of the system, or of
    SQLite. The work is given what begins the count. It runs in a child, a copy of this process.
    """
    child = os.fork()
    if child == 0:
        _run_and_exit(work, calls, at)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.waitstatus_to_exitcode(status) == 0, "the work failed before it was killed"
    return True


def _run_and_exit(
    work: Callable[[Callable[[], None]], object], calls: Collection[str], at: int
) -> NoReturn:
    left = at

    def strike(_frame: FrameType, event: str, called: Any) -> None:
        nonlocal left
        if event == "c_call" and called.__name__ in calls:
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    try:
        work(lambda: sys.setprofile(strike))
        sys.setprofile(None)
        os._exit(0)
    finally:
        os._exit(1)
