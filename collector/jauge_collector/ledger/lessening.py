"""When a recomputation may know less than what stands, and what is left where it may not."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from jauge_models.intervals import Point

from jauge_collector.ledger.computation import Channel
from jauge_collector.ledger.subjects import Span, Subject


class Lessening:
    """Whether a declaration that changed explains that less is known of a span than before.

    Not where the store simply has no reading there: it may have lost them.
    """

    def __init__(
        self, subject: Subject, series: Mapping[Channel, Sequence[Point]], *, redeclared: bool
    ) -> None:
        self._subject = subject
        self._redeclared = redeclared
        self._feeds = {channel.feed for channel in subject.channels}
        self._series = series

    def __call__(self, start_ms: int, end_ms: int, feed: str) -> bool:
        """Of [start, end), which was measured by a feed."""
        if not self._redeclared:
            return False
        if feed not in self._feeds or not self._subject.meter.validity.holds(start_ms):
            return True
        low, high = start_ms - self._subject.reach_ms, end_ms + self._subject.reach_ms
        return any(
            at < len(points) and points[at].time_ms <= high
            for points in self._series.values()
            for at in (bisect_left(points, (low,)),)
        )


def without(span: Span, parts: Sequence[Span]) -> Iterator[Span]:
    """What is left of a span without some parts of it that do not overlap."""
    at, end = span
    for begin, until in sorted(parts):
        if begin > at:
            yield at, min(begin, end)
        at = max(at, until)
    if at < end:
        yield at, end
