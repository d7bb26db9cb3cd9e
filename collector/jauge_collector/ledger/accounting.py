"""The pass: recomputes what marks name, from stored readings alone.

A late reading of a register changes every row between its neighbours, so a mark reaches from the
nearest earlier reading to the nearest later one. Rows that begin before what the store still
keeps are frozen.
"""

import asyncio
import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import msgspec
from jauge_models.intervals import Flag, Interval, Point
from jauge_models.resources import Series, kind_of
from jauge_models.topology import Commodity, Feed, Meter, Topology

from jauge_collector.ledger.book import Ledger, LedgerLockedError, Mark
from jauge_collector.ledger.computation import (
    Channel,
    Declared,
    channels,
    compute,
    from_dial,
    jumps,
    suspensions,
)
from jauge_collector.ledger.connected import connected_feeds
from jauge_collector.ledger.marks import FROM_AHEAD_MS
from jauge_collector.ledger.rows import Jump, Row, Stretch
from jauge_collector.ledger.wiring import EVER_MS, alone, blinding, fed_by_ups
from jauge_collector.registers.meters import attended_ms, dial_points, topology_of
from jauge_collector.sites import Site
from jauge_collector.stores import Store

HOST_INTERVAL_MS: Final = 60 * 60 * 1000

_ROWS_AT_ONCE: Final = 5000
"""Rows of one transaction: bounds memory, whatever the length of what is recomputed."""
_SUBJECTS_AT_ONCE: Final = 200
_NEAR_MS: Final = 6 * 60 * 60 * 1000
"""Marks no further apart are seen to in one: the rows between them come out as they are."""
_AHEAD_MS: Final = 5 * 60 * 1000
"""How far in front of our clock a reading may be stamped and still be seen to at once."""

Span = tuple[int, int]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class PassResult:
    """What a pass did: marks taken and left, rows written, final rows that were restated."""

    marks: int
    marks_left: int
    written: int
    revised: int


async def run_pass(
    store: Store,
    ledger: Ledger,
    site: Site,
    now_ms: int,
    *,
    progress: Progress | None = None,
    steady_s: float = math.inf,
) -> PassResult:
    """Recompute what is marked, finalise what has become final; the caller holds the writer lock.

    Takes marks first set at least the store's settle time ago, and deletes those that were not
    renewed since. ``progress`` is told rows done and rows to do. Raises StoreError, LedgerError;
    a pass that was cut short loses nothing, the next one does it again.

    ``steady_s`` says for how long the clock of ``now_ms`` was not set. A clock that was set forward
    makes marks look older than they are, so none of an agent is deleted before all that were
    written until then have settled.
    """
    await asyncio.to_thread(ledger.bring_back, site.name, now_ms)
    settled_ms = now_ms - round(store.settle_s * 1000)
    taken = await asyncio.to_thread(_ripe_marks, ledger, site, settled_ms, now_ms)
    work = await asyncio.to_thread(_Work, ledger, site, taken, now_ms)
    run = _Pass(store, work, await store.oldest_kept_ms(now_ms), progress)
    await run.everything()
    steady = steady_s * 1000 >= store.settle_s * 1000 + FROM_AHEAD_MS
    finished = [
        mark
        for mark in taken
        if mark.scope == "meter"
        # Rows stop a little ahead of now: what lies beyond, by a clock set back, is not done.
        or (steady and mark.last_ms <= settled_ms and mark.end_ms <= now_ms + _AHEAD_MS)
    ]
    gone = await asyncio.to_thread(ledger.unmark, site.name, finished)
    await asyncio.to_thread(ledger.set_declared, site.name, work.redeclared)
    return PassResult(len(taken), len(taken) - gone, run.written, run.revised)


def _ripe_marks(ledger: Ledger, site: Site, settled_ms: int, now_ms: int) -> list[Mark]:
    """Marks to see to; hosts that feed no meter wait until the quarter hour has ended."""
    metering = {feed.agent for meter in site.topology.meters for feed in meter.feeds}
    return [
        mark
        for mark in ledger.marks(site.name, settled_ms)
        if mark.scope == "meter" or mark.name in metering or mark.end_ms <= now_ms
    ]


def account_dial(ledger: Ledger, site: Site, topology: Topology, meter: Meter, now_ms: int) -> int:
    """Recompute a meter's attested rows from the dial readings entered; returns how many changed.

    What was measured stays, and of a meter that is fed only the time that has such rows already
    is recomputed: from before it had feeds.
    """
    known = ledger.dial_rows(site.name, meter.id)
    if meter.feeds and not known:
        return 0
    lasting = replace(meter, replacements=topology.meter(meter.id).replacements)
    rows = [
        Row(interval, "", final=True)
        for interval in from_dial(lasting, dial_points(ledger, site.name, meter.id))
        if not meter.feeds
        or any(
            interval.start_ms < row.interval.end_ms and row.interval.start_ms < interval.end_ms
            for row in known
        )
    ]
    stretch = Stretch(meter.id, meter.commodity, 0, EVER_MS, rows, by_hand=True)
    return ledger.save(site.name, [stretch], now_ms).written


async def account_now(
    store: Store,
    ledger: Ledger,
    site: Site,
    now_ms: int,
    *,
    progress: Progress | None = None,
) -> PassResult | None:
    """One pass under the writer lock; None where a running collector holds it and will do so."""
    try:
        with ledger.writer():
            return await run_pass(store, ledger, site, now_ms, progress=progress)
    except LedgerLockedError:
        return None


class _Subject:
    """A meter, or a host or connected thing that no meter claims, with what gives its rows."""

    def __init__(
        self, work: "_Work", meter: Meter, *, attended: tuple[int, ...], level: int
    ) -> None:
        self.meter = meter
        self.channels = channels(work.site.name, meter, work.methods)
        self.declared = Declared(meter, attended, blinding(work.topology, meter))
        self.level = level
        self.spans: list[Span] = []
        bounds = [work.oldest[f.agent] for f in meter.feeds if f.agent in work.oldest]
        self.settled_ms = min(bounds) - meter.max_gap_ms if bounds else EVER_MS
        """Rows that end before it cannot gain a reading that shows their own end."""

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
        return end_ms <= now_ms and end_ms < self.settled_ms


class _Work:
    """What a pass has to do, read from the ledger at its start."""

    def __init__(self, ledger: Ledger, site: Site, marks: Sequence[Mark], now_ms: int) -> None:
        self.ledger = ledger
        self.site = site
        self.now_ms = now_ms
        self.topology = topology_of(ledger, site)
        self.methods = ledger.methods(site.name)
        self.oldest = ledger.oldest(site.name)
        self.wrong_clocks = ledger.wrong_clocks(site.name)
        self.jumps = {name: list(found) for name, found in ledger.jumps(site.name).items()}
        self.agent_marks: dict[str, list[Span]] = defaultdict(list)
        self.meter_marks: dict[str, list[Span]] = defaultdict(list)
        for mark in marks:
            known = self.agent_marks if mark.scope == "agent" else self.meter_marks
            known[mark.name].append((mark.start_ms, mark.end_ms or now_ms + 1))
        self.downstream = fed_by_ups(self.topology, site)
        self.guessed: set[str] = set()
        """Hosts that no birth speaks of: any agent may be one."""
        self.subjects = {subject.meter.id: subject for subject in self._all_subjects()}
        self.redeclared = self._redeclared()
        for name in self.redeclared:
            self.meter_marks[name].append((0, now_ms + 1))

    def _all_subjects(self) -> Iterable[_Subject]:
        claimed: set[Feed] = set()
        attended = attended_ms(self.ledger, self.site.name)
        for meter in self.topology.meters:
            claimed.update(meter.feeds)
            if meter.feeds:
                yield _Subject(
                    self,
                    meter,
                    attended=attended.get(meter.id, ()),
                    level=1 if meter.id in self.downstream else 0,
                )
        hosts = {
            Feed(agent, resource)
            for agent, resource, quantity in self.methods
            if kind_of(resource) == "host" and quantity in {"energy", "power"}
        }
        guesses = {Feed(agent, "host") for agent in self.agent_marks} - hosts - claimed
        self.guessed = {f"{feed.agent}/{feed.resource}" for feed in guesses}
        others = hosts | guesses | connected_feeds(self.topology, self.methods)
        for feed in sorted(others - claimed, key=lambda f: (f.agent, f.resource)):
            meter = Meter(
                f"{feed.agent}/{feed.resource}",
                Commodity.ELECTRICITY,
                (feed,),
                interval_ms=HOST_INTERVAL_MS,
            )
            yield _Subject(self, meter, attended=(), level=0)

    def _redeclared(self) -> dict[str, str]:
        """Meters of which not all is as it was when their rows were computed.

        That is their declaration in the site file, and what births say of their feeds.
        """
        known = self.ledger.declared(self.site.name)
        changed: dict[str, str] = {}
        for meter in self.site.topology.meters:
            watched = sorted(self.downstream.get(meter.id, ()))
            events = blinding(self.site.topology, meter)
            subject = self.subjects.get(meter.id)
            provided = [(c.feed, c.basis, c.grade) for c in subject.channels] if subject else []
            text = repr((meter, events, watched, provided))
            fingerprint = hashlib.sha256(text.encode()).hexdigest()
            if known.get(meter.id) != fingerprint:
                changed[meter.id] = fingerprint
        return changed


class _Pass:
    def __init__(
        self, store: Store, work: _Work, kept_from_ms: int, progress: Progress | None
    ) -> None:
        self._store = store
        self._work = work
        self._ledger = work.ledger
        self._site = work.site.name
        self._kept_from_ms = kept_from_ms
        self._progress = progress
        self._done = self._todo = 0
        self.written = 0
        self.revised = 0

    async def everything(self) -> None:
        for meter in self._work.topology.meters:
            if meter.id in self._work.meter_marks:
                self.written += await asyncio.to_thread(
                    account_dial,
                    self._ledger,
                    self._work.site,
                    self._work.topology,
                    meter,
                    self._work.now_ms,
                )
        await self._drop_guesses()
        await self._spread_agent_marks()
        await self._spread_meter_marks()
        await asyncio.to_thread(self._ask_for_finals)
        for upper, watched in self._work.downstream.items():
            for lower in watched:
                if upper in self._work.subjects and lower in self._work.subjects:
                    for span in self._work.subjects[lower].spans:
                        self._work.subjects[upper].want(*span)
        plan = {
            level: [s for s in self._work.subjects.values() if s.level == level and s.spans]
            for level in (0, 1)
        }
        self._todo = sum(
            (end - start) // subject.meter.interval_ms
            for subjects in plan.values()
            for subject in subjects
            for start, end in self._intervals_of(subject)
        )
        for level in (0, 1):
            unsettled = plan[level]
            while unsettled:
                unsettled = await self._recompute(unsettled)

    def _alive(self) -> None:
        """The pass has got somewhere, be it only to what it has to do."""
        if self._progress is not None:
            self._progress(min(self._done, self._todo), self._todo)

    async def _drop_guesses(self) -> None:
        """Agents that turn out to be no hosts: nothing was ever read of one."""
        guessed = [self._work.subjects[name] for name in self._work.guessed]
        series = [channel.series for subject in guessed for channel in subject.channels]
        known = await self._store.before(series, self._work.now_ms + _AHEAD_MS)
        for subject in guessed:
            if not any(channel.series in known for channel in subject.channels):
                del self._work.subjects[subject.meter.id]

    async def _spread_agent_marks(self) -> None:
        """Marks of agents as spans of the subjects they feed, out to the neighbouring readings."""
        at: dict[Span, list[_Subject]] = defaultdict(list)
        merged = {
            agent: _merged(spans, _NEAR_MS) for agent, spans in self._work.agent_marks.items()
        }
        for subject in self._work.subjects.values():
            for agent in {feed.agent for feed in subject.meter.feeds}:
                for span in merged.get(agent, ()):
                    at[span].append(subject)
        for (start, end), subjects in at.items():
            running = {c.series for s in subjects for c in s.channels if c.is_running}
            earlier = await self._store.before(running, start)
            self._alive()
            later = await self._store.after(running, end)
            self._alive()
            for subject in subjects:
                low, high = start - subject.reach_ms, end + subject.meter.max_gap_ms
                for channel in subject.channels:
                    if point := earlier.get(channel.series):
                        low = min(low, point.time_ms)
                    if point := later.get(channel.series):
                        high = max(high, point.time_ms + 1)
                subject.want(low, high)

    async def _spread_meter_marks(self) -> None:
        """Marks of meters, out to the neighbouring readings, where rows can be or are."""
        at: dict[Span, list[_Subject]] = defaultdict(list)
        for name, spans in self._work.meter_marks.items():
            if subject := self._work.subjects.get(name):
                for span in _merged(spans):
                    at[span].append(subject)
        for (start, end), subjects in at.items():
            series = [channel.series for subject in subjects for channel in subject.channels]
            begin = max(start, self._kept_from_ms)
            earlier = await self._store.before(series, begin)
            self._alive()
            first = await self._store.after(series, begin)
            self._alive()
            last = earlier | await self._store.before(first, end)
            self._alive()
            later = await self._store.after(first, end)
            self._alive()
            for subject in subjects if begin < end else ():
                before, at_first, at_last, behind = (
                    [found[c.series].time_ms for c in subject.channels if c.series in found]
                    for found in (earlier, first, last, later)
                )
                rows = await asyncio.to_thread(
                    self._ledger.extent, self._site, subject.meter.id, start, end
                )
                if rows is not None:
                    subject.want(*rows)
                if not before and not at_first:
                    continue
                low = min(before) if before else max(start, min(at_first) - subject.reach_ms)
                high = min(end, max(at_last, default=end) + subject.reach_ms + 1)
                subject.want(low, max([high, *(time_ms + 1 for time_ms in behind)]))

    def _ask_for_finals(self) -> None:
        """Rows that were provisional and may no longer change."""
        waiting = self._ledger.provisional(self._site, self._work.now_ms)
        for name, spans in waiting.items():
            subject = self._work.subjects.get(name)
            for start, end in spans if subject else ():
                if subject is not None and subject.final(end, self._work.now_ms):
                    subject.spans.append((start, end))

    def _intervals_of(self, subject: _Subject) -> list[Span]:
        """The subject's spans on its grid, each once, without what is frozen."""
        length = subject.meter.interval_ms
        frozen = self._kept_from_ms + (subject.reach_ms if self._kept_from_ms > 0 else 0)
        first = -(-frozen // length) * length
        ahead = self._work.now_ms + _AHEAD_MS
        last = ahead - ahead % length + length
        snapped = (
            (max(start - start % length, first), min(-(-end // length) * length, last))
            for start, end in subject.spans
        )
        return _merged((a, b) for a, b in snapped if a < b)

    async def _recompute(self, subjects: Iterable[_Subject]) -> list[_Subject]:
        """Recompute the spans of some subjects; those that must be seen again to their end."""
        groups: dict[Span, list[_Subject]] = defaultdict(list)
        for subject in subjects:
            chunk = _ROWS_AT_ONCE * subject.meter.interval_ms
            for start, end in self._intervals_of(subject):
                for at in range(start, end, chunk):
                    groups[at, min(at + chunk, end)].append(subject)
            subject.spans = []
        again: dict[str, _Subject] = {}
        for (start, end), members in sorted(groups.items(), key=lambda item: item[0]):
            rows_each = (end - start) // min(s.meter.interval_ms for s in members)
            at_once = max(1, min(_SUBJECTS_AT_ONCE, _ROWS_AT_ONCE // max(rows_each, 1)))
            for at in range(0, len(members), at_once):
                some = members[at : at + at_once]
                readings = await self._readings(some, start, end)
                for changed in await asyncio.to_thread(self._save, some, readings, start, end):
                    again[changed.meter.id] = changed
                self._done += rows_each * len(some)
                self._alive()
        return list(again.values())

    async def _readings(
        self, subjects: Sequence[_Subject], start_ms: int, end_ms: int
    ) -> Mapping[Series, list[Point]]:
        """What the rows in [start, end) are computed from: the readings there and around."""
        low = start_ms - max(subject.reach_ms for subject in subjects)
        high = end_ms + max(subject.reach_ms for subject in subjects)
        for subject in subjects:
            for begin, end in subject.declared.blinding:
                if begin < end_ms and start_ms < end:
                    low, high = min(low, begin), max(high, end)
        every = [channel for subject in subjects for channel in subject.channels]
        found = await self._store.read([channel.series for channel in every], low, high)
        running = [channel.series for channel in every if channel.is_running]
        early = [s for s in running if not (found.get(s) and found[s][0].time_ms <= start_ms)]
        late = [s for s in running if not (found.get(s) and found[s][-1].time_ms >= end_ms)]
        earlier = await self._store.before(early, low) if early else {}
        later = await self._store.after(late, high) if late else {}
        for series in {*earlier, *later}:
            points = found.get(series, [])
            first = [earlier[series]] if series in earlier else []
            last = [later[series]] if series in later else []
            found[series] = [*first, *points, *last]
        return found

    def _save(
        self,
        subjects: Sequence[_Subject],
        readings: Mapping[Series, list[Point]],
        start_ms: int,
        end_ms: int,
    ) -> list[_Subject]:
        """Compute and keep rows; returns the subjects whose suspension changed."""
        changed: list[_Subject] = []
        stretches: list[Stretch] = []
        for subject in subjects:
            name = subject.meter.id
            series = {c: readings[c.series] for c in subject.channels if c.series in readings}
            self._reopen(subject, series, start_ms)
            known = self._work.jumps.get(name, [])
            seen = _Seen.of(subject, series, known)
            if seen.first_change_ms is not None:
                self._work.jumps[name] = seen.all
                if seen.first_change_ms < self._work.now_ms:
                    subject.want(seen.first_change_ms, self._work.now_ms + 1)
                    changed.append(subject)
            rows = compute(
                subject.declared,
                series,
                range(start_ms, end_ms, subject.meter.interval_ms),
                suspensions(seen.all, subject.declared.attended_ms),
                self._work.wrong_clocks,
            )
            feeds = {id(channel): channel.feed for channel in series}
            kept = [
                Row(
                    provided.interval,
                    feeds[id(provided.channel)],
                    final=subject.final(provided.interval.end_ms, self._work.now_ms),
                )
                for provided in rows
            ]
            stretches.append(
                Stretch(
                    name,
                    subject.meter.commodity,
                    start_ms,
                    end_ms,
                    self._without_false_zeros(subject, kept),
                    seen.here,
                    seen.spans,
                )
            )
        saved = self._ledger.save(self._site, stretches, self._work.now_ms)
        self.written += saved.written
        self.revised += saved.revised
        return changed

    def _reopen(self, subject: _Subject, series: dict[Channel, list[Point]], start_ms: int) -> None:
        """Where the store has forgotten the reading before the first row, take the row's own."""
        orphaned = [c for c, p in series.items() if c.is_running and p[0].time_ms > start_ms]
        if not orphaned:
            return
        rows = self._ledger.current(self._site, subject.meter.id, start_ms, start_ms + 1)
        for channel in orphaned:
            for row in rows:
                opening = row.interval.opening
                if row.feed == channel.feed and opening and opening.time_ms <= start_ms:
                    series[channel] = [opening, *series[channel]]

    def _without_false_zeros(self, subject: _Subject, rows: list[Row]) -> list[Row]:
        """A UPS output that reads zero while what it alone feeds does not: not believed."""
        watched = self._work.downstream.get(subject.meter.id)
        zeros = [row for row in rows if row.interval.amount == 0]
        if not watched or not zeros:
            return rows
        low, high = zeros[0].interval.start_ms, zeros[-1].interval.end_ms
        below = self._ledger.rows(self._site, watched, low, high)
        drawing = [
            row
            for name, found in below.items()
            for row in found
            if row.amount
            and row.is_comparable
            and alone(self._work.topology, subject.meter.id, name, row.start_ms)
        ]
        return [
            msgspec.structs.replace(row, interval=_disbelieved(row.interval))
            if row.interval.amount == 0
            and row.interval.is_comparable
            and any(
                d.start_ms < row.interval.end_ms and d.end_ms > row.interval.start_ms
                for d in drawing
            )
            else row
            for row in rows
        ]


class _Seen(NamedTuple):
    """Jumps among some readings, and how they change what was known."""

    here: list[Jump]
    all: list[Jump]
    spans: dict[str, Span]
    first_change_ms: int | None

    @classmethod
    def of(
        cls, subject: _Subject, series: Mapping[Channel, Sequence[Point]], known: list[Jump]
    ) -> "_Seen":
        here: list[Jump] = []
        spans: dict[str, Span] = {}
        for channel, points in series.items():
            if channel.is_running and points:
                spans[channel.feed] = (points[0].time_ms, points[-1].time_ms)
                here += jumps(channel, points, subject.meter)
        elsewhere = [j for j in known if not _inside(j, spans)]
        before = {j for j in known if _inside(j, spans)}
        differing = before.symmetric_difference(here)
        first = min((j.before_ms for j in differing), default=None)
        return cls(here, elsewhere + here, spans, first)


def _inside(jump: Jump, spans: Mapping[str, Span]) -> bool:
    span = spans.get(jump.feed)
    return span is not None and span[0] < jump.at_ms <= span[1]


def _disbelieved(interval: Interval) -> Interval:
    return msgspec.structs.replace(
        interval,
        amount=None,
        covered_ms=0,
        profile_ms=0,
        flags=interval.flags | {Flag.SUSPENDED},
    )


def _merged(spans: Iterable[Span], apart_ms: int = 0) -> list[Span]:
    """Spans in order, as one where they touch or lie no further apart than that."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1] + apart_ms:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found
