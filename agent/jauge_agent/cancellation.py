"""Cancellation that a library swallowed.

On Python 3.11 `asyncio.wait_for` and `asyncio.TaskGroup` lose a cancellation that comes together
with a result or an error; a loop that then goes on would never end.
"""

import asyncio


def raise_if_cancelled() -> None:
    """Raise CancelledError when the current task has been asked to end, also some time ago."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
