"""What has computed rows, and the readings that these are computed from."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from operator import sub

from jauge_models.intervals import Points, ordered
from jauge_models.resources import Series
from jauge_models.topology import ALWAYS, Commodity, Meter

from jauge_collector.ledger.activity import LEAST_GAP_MS
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.computation import Channel, Declared
from jauge_collector.ledger.wiring import EVER_MS
from jauge_collector.stores import Store

Span = tuple[int, int]


class Subject:
    """A meter, a host, or a connected thing that no meter claims, with what gives its rows.

    ``oldest`` are the agents' ``bfrom``; ``level`` orders what is computed from others' rows;
    ``idle_power`` (W) is that of a host where it was measured.
    """

    def __init__(
        self,
        meter: Meter,
        channels: Sequence[Channel],
        declared: Declared,
        *,
        oldest: Mapping[str, int],
        level: int = 0,
        idle_power: float | None = None,
    ) -> None:
        self.meter = meter
        self.channels = channels
        self.declared = declared
        self.level = level
        self.idle_power = idle_power
        self.spans: list[Span] = []
        bounds = [oldest[f.agent] for f in meter.feeds if f.agent in oldest]
        self.settled_ms = min(bounds) - meter.max_gap_ms if bounds else EVER_MS
        """Rows that end before it cannot gain a reading that shows their own end."""

    @property
    def name(self) -> str:
        """As rows name it."""
        return self.meter.id

    @property
    def is_electric(self) -> bool:
        """Whether it measures electricity."""
        return self.meter.commodity is Commodity.ELECTRICITY

    @property
    def guest_gap_ms(self) -> int:
        """How far apart readings of its guests may lie and still say that they ran in between."""
        return max(self.meter.max_gap_ms, LEAST_GAP_MS)

    @property
    def reach_ms(self) -> int:
        """How far from an interval a reading still matters, registers aside."""
        return max(self.meter.max_gap_ms, self.meter.period_ms)

    def want(self, start_ms: int, end_ms: int) -> None:
        """Ask for the rows that touch [start, end), and for the whole of an event therein."""
        for begin, end in self.declared.blinding:
            if begin <= end_ms and start_ms <= end:
                start_ms, end_ms = min(start_ms, begin), max(end_ms, end)
        self.spans.append((start_ms, end_ms))

    def final(self, end_ms: int, now_ms: int) -> bool:
        """Whether a row that ends then can change no more, late deliveries aside."""
        return end_ms <= now_ms and end_ms < self.settled_ms


async def readings_of(
    store: Store, subjects: Sequence[Subject], start_ms: int, end_ms: int
) -> dict[Series, Points]:
    """What the rows in [start, end) are computed from: the readings there and around.

    Raises StoreError.
    """
    low = start_ms - max(subject.reach_ms for subject in subjects)
    high = end_ms + max(subject.reach_ms for subject in subjects)
    for subject in subjects:
        for begin, end in subject.declared.blinding:
            if begin < end_ms and start_ms < end:
                low, high = min(low, begin), max(high, end)
    every = [channel for subject in subjects for channel in subject.channels]
    measured = [channel.series for channel in every if channel.model is None]
    found = await store.read(measured, low, high)
    guesses = [
        channel.series
        for subject in subjects
        if not _is_measured(subject, found, start_ms, end_ms)
        for channel in subject.channels
        if channel.model is not None
    ]
    if guesses:
        found |= await store.read(guesses, low, high)
    running = [channel.series for channel in every if channel.is_running]
    early = [s for s in running if not (found.get(s) and found[s][0].time_ms <= start_ms)]
    late = [s for s in running if not (found.get(s) and found[s][-1].time_ms >= end_ms)]
    earlier = await store.before(early, low) if early else {}
    later = await store.after(late, high) if late else {}
    for series in {*earlier, *later}:
        first = [earlier[series]] if series in earlier else []
        last = [later[series]] if series in later else []
        found[series] = ordered([*first, *found.get(series, ()), *last])
    return found


def _is_measured(
    subject: Subject, found: Mapping[Series, Points], start_ms: int, end_ms: int
) -> bool:
    """Whether power was measured so densely that no row in [start, end) can come from a model.

    An estimate gives way to a measurement of half its cover, so half of the last interval will do.
    """
    totals = any(found.get(c.series) for c in subject.channels if c.is_running)
    if subject.declared.blinding or totals or subject.meter.validity != ALWAYS:
        return False
    enough_ms = end_ms - subject.meter.interval_ms // 2
    for channel in subject.channels:
        points = found.get(channel.series)
        if channel.is_power and points and points.times_ms[0] <= start_ms:
            times = points.times_ms[: bisect_right(points.times_ms, end_ms)]
            gaps = map(sub, times[1:], times)
            if times[-1] >= enough_ms and max(gaps, default=0) <= subject.meter.max_gap_ms:
                return True
    return False


def reopen(
    ledger: Ledger,
    site: str,
    readings: Iterable[tuple[Subject, dict[Channel, Points]]],
    start_ms: int,
) -> None:
    """Where the store has forgotten the reading before the first row, take the row's own."""
    orphaned = {
        subject.name: (series, lost)
        for subject, series in readings
        if (lost := [c for c, p in series.items() if c.is_running and p.times_ms[0] > start_ms])
    }
    if not orphaned:
        return
    for name, row in ledger.holding(site, orphaned, start_ms).items():
        series, lost = orphaned[name]
        opening = row.interval.opening
        for channel in lost:
            if row.feed == channel.feed and opening and opening.time_ms <= start_ms:
                series[channel] = ordered([opening, *series[channel]])


def merged(spans: Iterable[Span], apart_ms: int = 0) -> list[Span]:
    """Spans in order, as one where they touch or lie no further apart than that."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1] + apart_ms:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found
