"""Hours of sensors out of the ledger where it keeps them, else out of the store, and then kept.

A year of a sensor that is read each minute is half a million readings. What is kept is what the
readings give (`intake.read`), to the last digit: a reader cannot tell whether they were read.
A block counts only while the store still has the readings at both its ends: what a store forgot
or lost is not told out of the ledger, but by the archives of closings.
"""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from jauge_models.intervals import Point
from jauge_models.resources import Series

from jauge_collector.compliance import intake as air
from jauge_collector.compliance.intake import Hour, Hours
from jauge_collector.ledger import kept_hours
from jauge_collector.ledger.book import Ledger, LedgerError
from jauge_collector.ledger.kept_hours import BLOCK_MS, Kept, Sensor
from jauge_collector.stores import Store

_HOUR_MS: Final = 3_600_000
_HOURS: Final = BLOCK_MS // _HOUR_MS
_BLOCKS_AT_ONCE: Final = 4
"""Of one sensor, so that a year of one that reports each second is never held whole."""


class Derived(NamedTuple):
    """What each reading counts as, and the name under which such hours are kept.

    The name tells all that ``value`` depends on: hours of another meaning have another one.
    """

    name: str
    value: Callable[[float], float]


_Edge = tuple[Point | None, Point | None]
"""The last reading before a moment, and the first at or after it."""


class _Block(msgspec.Struct, frozen=True, gc=False):
    """What is kept of a block: the readings around its start and its end, and each of its hours."""

    start: _Edge
    end: _Edge
    hours: tuple[Hour | None, ...]


_DECODER: Final = msgspec.json.Decoder(_Block)


async def read(  # noqa: PLR0917 - as `intake.read`, and the ledger
    store: Store,
    ledger: Ledger,
    site: str,
    sensors: Iterable[str],
    span: tuple[int, int],
    gap_ms: int,
    *,
    quantity: str = air.QUANTITY,
    derived: Derived | None = None,
) -> dict[str, Hours]:
    """As `intake.read`, of what is ``derived`` from each reading where that is given.

    Raises StoreError, LedgerError where the ledger cannot be read, and ValueError for derived hours
    with a gap longer than `ledger.kept_hours.LONGEST_GAP_MS`. A ledger that cannot be written to
    now keeps nothing more.
    """
    names = list(dict.fromkeys(sensors))
    start_ms, end_ms = span
    if gap_ms > kept_hours.LONGEST_GAP_MS:
        if derived is not None:
            raise ValueError(f"{gap_ms} ms between readings are too many for derived hours")
        return await air.read(store, site, names, span, gap_ms, quantity=quantity)
    readings = _Readings(store, None if derived is None else derived.value)
    series = {name: _series(site, name, quantity) for name in names}
    first = await readings.after(series.values(), start_ms)
    begins = {
        one: first[one].time_ms
        for one in series.values()
        if one in first and first[one].time_ms < end_ms
    }
    # Where no hour lies whole after the first reading there is nothing that could be kept.
    long = {one: at for one, at in begins.items() if at // _HOUR_MS < end_ms // _HOUR_MS}
    kept_as = quantity if derived is None else derived.name
    whole = await _Blocks(readings, ledger, site, kept_as, gap_ms).of(long, span)
    ends = _Ends(readings, span, gap_ms)
    heads = await ends.heads(begins)
    tails = await ends.tails(list(long))
    found: dict[str, Hours] = {name: {} for name in names}
    for name, one in series.items():
        if one in long:
            after, last = begins[one] // _HOUR_MS, end_ms // _HOUR_MS
            inner = {hour: mean for hour, mean in whole[one] if after < hour < last}
            found[name] = {**heads[one], **inner, **tails.get(one, {})}
        elif one in begins:
            found[name] = heads[one]
    return found


def blocks(span: tuple[int, int], first_ms: int) -> range:
    """Where the blocks start that tell of a span, of a series whose first reading in it is known.

    What lies whole before that reading holds nothing that counts.
    """
    begin_ms = max(span[0], first_ms)
    return range(begin_ms - begin_ms % BLOCK_MS, span[1], BLOCK_MS)


def _series(site: str, sensor: str, quantity: str) -> Series:
    agent, _, resource = sensor.partition("/")
    return Series(site, agent, resource, quantity)


class _Readings(NamedTuple):
    """What a store has, each reading as what it counts as."""

    store: Store
    value: Callable[[float], float] | None

    async def read(
        self, series: Iterable[Series], start_ms: int, end_ms: int
    ) -> Mapping[Series, Sequence[Point]]:
        """As `Store.read`."""
        found = await self.store.read(series, start_ms, end_ms)
        if self.value is None:
            return found
        return {one: [self._counted(point) for point in some] for one, some in found.items()}

    async def before(self, series: Iterable[Series], time_ms: int) -> Mapping[Series, Point]:
        """As `Store.before`."""
        found = await self.store.before(series, time_ms)
        return {one: self._counted(point) for one, point in found.items()}

    async def after(self, series: Iterable[Series], time_ms: int) -> Mapping[Series, Point]:
        """As `Store.after`."""
        found = await self.store.after(series, time_ms)
        return {one: self._counted(point) for one, point in found.items()}

    def _counted(self, point: Point) -> Point:
        return point if self.value is None else Point(point.time_ms, self.value(point.value))


class _Ends(NamedTuple):
    """The hours at the ends of a span, which no block tells: nothing beyond it counts in them."""

    readings: _Readings
    span: tuple[int, int]
    gap_ms: int

    async def heads(self, begins: Mapping[Series, int]) -> dict[Series, Mapping[int, Hour]]:
        """The hour of each series' first reading in the span."""
        found: dict[Series, Mapping[int, Hour]] = {}
        for hour in {at // _HOUR_MS for at in begins.values()}:
            some = [one for one, at in begins.items() if at // _HOUR_MS == hour]
            span = hour * _HOUR_MS, min((hour + 1) * _HOUR_MS, self.span[1])
            points = await self.readings.read(some, max(span[0], self.span[0]), span[1])
            after = await self.readings.after(some, span[1])
            for one in some:
                found[one] = air.means(points.get(one, ()), span, self.gap_ms, after=after.get(one))
        return found

    async def tails(self, series: Sequence[Series]) -> dict[Series, Mapping[int, Hour]]:
        """The hour in which the span ends, where it does not end with one."""
        end_ms = self.span[1]
        begin_ms = end_ms - end_ms % _HOUR_MS
        if begin_ms == end_ms:
            return {}
        before = await self.readings.before(series, begin_ms)
        points = await self.readings.read(series, begin_ms, end_ms)
        after = await self.readings.after(series, end_ms)
        return {
            one: air.means(
                points.get(one, ()),
                (begin_ms, end_ms),
                self.gap_ms,
                before=before.get(one),
                after=after.get(one),
            )
            for one in series
        }


class _Blocks:
    """Blocks of hours of sensors: as they are kept, or worked out and kept from now on."""

    def __init__(
        self, readings: _Readings, ledger: Ledger, site: str, quantity: str, gap_ms: int
    ) -> None:
        self._readings = readings
        self._ledger = ledger
        self._site = site
        self._quantity = quantity
        self._gap_ms = gap_ms
        self._may_keep = True

    async def of(
        self, begins: Mapping[Series, int], span: tuple[int, int]
    ) -> dict[Series, list[tuple[int, Hour]]]:
        """Hours of every block that touches a span, in time order, from first readings on."""
        if not begins:
            return {}
        starts = {one: blocks(span, first_ms) for one, first_ms in begins.items()}
        edges = await self._edges(starts)
        every = min(own[0] for own in starts.values()), max(own[-1] for own in starts.values()) + 1
        kept = await asyncio.to_thread(self._kept, begins, every)
        found: dict[Series, list[tuple[int, Hour]]] = {}
        for one, own in starts.items():
            known: dict[int, _Block] = {}
            for start, content in kept.get((one.agent, one.resource), {}).items():
                if start in own:
                    block = _DECODER.decode(content)
                    around = edges[one, start], edges[one, start + BLOCK_MS]
                    if (block.start, block.end) == around:
                        known[start] = block
            missing = [start for start in own if start not in known]
            if missing:
                known |= await self._worked_out(one, missing, edges)
            found[one] = [hour for start in own for hour in _hours(start, known[start])]
        return found

    async def _edges(self, starts: Mapping[Series, range]) -> dict[tuple[Series, int], _Edge]:
        found: dict[tuple[Series, int], _Edge] = {}
        moments: defaultdict[int, list[Series]] = defaultdict(list)
        for one, own in starts.items():
            for moment in (*own, own[-1] + BLOCK_MS):
                moments[moment].append(one)
        for moment, series in moments.items():
            before = await self._readings.before(series, moment)
            after = await self._readings.after(series, moment)
            for one in series:
                found[one, moment] = before.get(one), after.get(one)
        return found

    async def _worked_out(
        self, one: Series, starts: Sequence[int], edges: Mapping[tuple[Series, int], _Edge]
    ) -> dict[int, _Block]:
        """Blocks of a sensor out of its readings; the ledger keeps those that it may."""
        sensor = Sensor(self._site, one.agent, one.resource, self._quantity, self._gap_ms)
        token = secrets.token_hex(16)
        # Before they are read: what comes meanwhile takes the claim away.
        free = await asyncio.to_thread(self._claim, sensor, starts, token)
        found: dict[int, _Block] = {}
        for begin, end in _runs(starts):
            hours = air.means(
                (await self._readings.read([one], begin, end)).get(one, ()),
                (begin, end),
                self._gap_ms,
                before=edges[one, begin][0],
                after=edges[one, end][1],
            )
            for start in range(begin, end, BLOCK_MS):
                first = start // _HOUR_MS
                found[start] = _Block(
                    edges[one, start],
                    edges[one, start + BLOCK_MS],
                    tuple(hours.get(at) for at in range(first, first + _HOURS)),
                )
        if free:
            contents = {start: msgspec.json.encode(found[start]).decode() for start in free}
            await asyncio.to_thread(self._settle, sensor, token, contents)
        return found

    def _kept(self, series: Iterable[Series], span: tuple[int, int]) -> Kept:
        sources = [(one.agent, one.resource) for one in series]
        with self._ledger.transaction(writes=False) as connection:
            return kept_hours.kept(
                connection, self._site, sources, self._quantity, self._gap_ms, span
            )

    def _claim(self, sensor: Sensor, starts: Iterable[int], token: str) -> frozenset[int]:
        if not self._may_keep:
            return frozenset()
        with self._ledger.transaction(writes=False) as connection:
            # Of what is measured right now there is always a mark: no lock is waited for in vain.
            if not (starts := kept_hours.unmarked(connection, sensor, starts)):
                return frozenset()
        try:
            with self._ledger.transaction(writes=True) as connection:
                return kept_hours.claim(connection, sensor, starts, token)
        except LedgerError:  # locked for long, or full: the next reader may keep it
            self._may_keep = False
            return frozenset()

    def _settle(self, sensor: Sensor, token: str, contents: Mapping[int, str]) -> None:
        try:
            with self._ledger.transaction(writes=True) as connection:
                kept_hours.settle(connection, sensor, token, contents)
        except LedgerError:  # the claim stays, and keeps nothing
            self._may_keep = False


def _hours(start_ms: int, block: _Block) -> Iterator[tuple[int, Hour]]:
    first = start_ms // _HOUR_MS
    return ((at, hour) for at, hour in enumerate(block.hours, first) if hour is not None)


def _runs(starts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Blocks in time order as spans, neighbours in one up to `_BLOCKS_AT_ONCE`."""
    at = 0
    while at < len(starts):
        number = 1
        while (
            number < _BLOCKS_AT_ONCE
            and at + number < len(starts)
            and starts[at + number] == starts[at] + number * BLOCK_MS
        ):
            number += 1
        yield starts[at], starts[at] + number * BLOCK_MS
        at += number
