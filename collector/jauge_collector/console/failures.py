"""Errors of the collector's own while it answers: each kind told once in the log, all counted.

What a stranger sent may stand in an exception's text, a token say, or a line that looks like one
of ours. So the log gets the kind of error and where in the code it arose, and nothing of its text.
"""

import logging
import traceback
from collections.abc import Iterator
from typing import Final

from prometheus_client import Counter

_log = logging.getLogger(__name__)

MOST_KINDS: Final = 100
"""Kinds of error that are told; beyond it they are only counted."""
_LONGEST_CHAIN: Final = 5
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})


class Failures:
    """Counts errors in ``counter``; a kind is an exception's type and the line that raised it."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._told: set[tuple[str, str, int]] = set()

    def note(self, error: BaseException, method: str, place: str) -> None:
        """One error. ``place`` is a name of ours, such as a route's; ``method`` may be anything."""
        self._counter.inc()
        frames = traceback.extract_tb(error.__traceback__)
        file, line = (frames[-1].filename, frames[-1].lineno or 0) if frames else ("", 0)
        kind = (type(error).__name__, file, line)
        if kind in self._told or len(self._told) >= MOST_KINDS:
            return
        self._told.add(kind)
        asked = method if method in _METHODS else "?"
        trace = "".join(_trace(error)).rstrip()
        _log.error("%s %s failed (its like is only counted from now on)\n%s", asked, place, trace)


def _trace(error: BaseException) -> Iterator[str]:
    """An error and what led to it, innermost cause last, without their texts."""
    cause: BaseException | None = error
    for _ in range(_LONGEST_CHAIN):
        if cause is None:
            return
        yield f"{type(cause).__name__} at (most recent call last):\n"
        yield from traceback.format_list(traceback.extract_tb(cause.__traceback__))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
