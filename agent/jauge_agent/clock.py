"""The clocks of this machine. Deadlines and back-off use the event loop's, which is monotonic."""

import time
from typing import Final

_TIME_ERROR: Final = 5
"""Return value of adjtimex(2) while the clock is not synchronised."""
_TIMEX_BYTES: Final = 512
"""More than ``struct timex`` takes on any architecture."""


def now_ms() -> int:
    """Milliseconds since the Unix epoch, UTC."""
    return time.time_ns() // 1_000_000


def synchronised() -> bool | None:
    """Whether the kernel holds the clock for synchronised; None when it does not say."""
    import ctypes  # noqa: PLC0415 - half a megabyte that only a publishing agent needs

    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    # All zero: modes = 0 only reads.
    state: int = adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return None if state < 0 else state != _TIME_ERROR
