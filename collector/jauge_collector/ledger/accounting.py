"""The pass: recomputes what marks name, from stored readings alone.

A late reading of a register changes every row between its neighbours, so a mark reaches from the
nearest earlier reading to the nearest later one. Rows that begin before what the store still
keeps are frozen.
"""

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import msgspec
from jauge_models.intervals import Flag, Interval, Points
from jauge_models.resources import Series
from jauge_models.topology import Meter, Topology

from jauge_collector.ledger.book import Ledger, LedgerLockedError, Mark
from jauge_collector.ledger.computation import (
    Channel,
    compute,
    from_dial,
    jumps,
    suspensions,
)
from jauge_collector.ledger.lessening import Lessening, without
from jauge_collector.ledger.marks import FROM_AHEAD_MS
from jauge_collector.ledger.rows import Jump, Row, Stretch
from jauge_collector.ledger.share_pass import Known, share_out
from jauge_collector.ledger.subjects import Span, Subject, merged, readings_of, reopen
from jauge_collector.ledger.wiring import EVER_MS, alone
from jauge_collector.ledger.work import Work
from jauge_collector.registers.meters import dial_points
from jauge_collector.sites import Site
from jauge_collector.stores import Store

_ROWS_AT_ONCE: Final = 5000
"""Rows of one transaction: bounds memory, whatever the length of what is recomputed."""
_SUBJECTS_AT_ONCE: Final = 200
_NEAR_MS: Final = 6 * 60 * 60 * 1000
"""Marks no further apart are seen to in one: the rows between them come out as they are."""
_AHEAD_MS: Final = 5 * 60 * 1000
"""How far in front of our clock a reading may be stamped and still be seen to at once."""

SHARING_S: Final = 30.0
"""A pass shares out hosts for about so long: an hour of 5 000 guests can take half of it."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class PassResult:
    """What a pass did: marks taken and left, rows written, final rows that were restated.

    ``hours_left`` is how many hours of hosts are left for later passes to share out.
    """

    marks: int
    marks_left: int
    written: int
    revised: int
    hours_left: int = 0


async def run_pass(
    store: Store,
    ledger: Ledger,
    site: Site,
    now_ms: int,
    *,
    progress: Progress | None = None,
    steady_s: float = math.inf,
    sharing_s: float = SHARING_S,
) -> PassResult:
    """Recompute what is marked, finalise what has become final; the caller holds the writer lock.

    Takes marks first set at least the store's settle time ago, and deletes those that were not
    renewed since. ``progress`` is told rows done and rows to do. Raises StoreError, LedgerError;
    a pass that was cut short loses nothing, the next one does it again.

    ``steady_s`` says for how long the clock of ``now_ms`` was not set. A clock that was set forward
    makes marks look older than they are, so none of an agent is deleted before all that were
    written until then have settled.

    About ``sharing_s`` long hosts are shared out among their guests; what is left the next passes
    do, the newest first.
    """
    await asyncio.to_thread(ledger.bring_back, site.name, now_ms)
    settled_ms = now_ms - round(store.settle_s * 1000)
    taken = await asyncio.to_thread(_ripe_marks, ledger, site, settled_ms, now_ms)
    work = await asyncio.to_thread(Work, ledger, site, taken, now_ms)
    run = _Pass(store, work, await store.oldest_kept_ms(now_ms), progress)
    await run.everything(sharing_s)
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
    return PassResult(len(taken), len(taken) - gone, run.written, run.revised, run.hours_left)


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
    stretch = Stretch(
        meter.id, meter.commodity, 0, EVER_MS, rows, by_hand=True, meter=True, reason="dial"
    )
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
            return await run_pass(
                store, ledger, site, now_ms, progress=progress, sharing_s=math.inf
            )
    except LedgerLockedError:
        return None


class _Pass:
    def __init__(
        self, store: Store, work: Work, kept_from_ms: int, progress: Progress | None
    ) -> None:
        self._store = store
        self._work = work
        self._ledger = work.ledger
        self._site = work.site.name
        self._kept_from_ms = kept_from_ms
        self._progress = progress
        self._done = self._todo = 0
        self._computed: list[tuple[Subject, Span]] = []
        self._fewer: dict[str, Sequence[Span]] = {}
        self._meters = {meter.id for meter in work.topology.meters}
        self.written = 0
        self.revised = 0
        self.hours_left = 0

    async def everything(self, sharing_s: float) -> None:
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
        await self._share_out(sharing_s)

    def _alive(self) -> None:
        """The pass has got somewhere, be it only to what it has to do."""
        if self._progress is not None:
            self._progress(min(self._done, self._todo), self._todo)

    async def _drop_guesses(self) -> None:
        """Agents that turn out to be no hosts: nothing was ever read of one."""
        left = [self._work.subjects[name] for name in self._work.guessed]
        # One channel after the other, power first, which most have: what is not there is sought
        # back to the end of the retention.
        ranked = {
            subject.name: sorted(subject.channels, key=lambda channel: not channel.is_power)
            for subject in left
        }
        for rank in range(max(map(len, ranked.values()), default=0)):
            asked = {
                subject.name: ranked[subject.name][rank].series
                for subject in left
                if rank < len(ranked[subject.name])
            }
            known = await self._store.before(asked.values(), self._work.now_ms + _AHEAD_MS)
            left = [subject for subject in left if asked.get(subject.name) not in known]
        for subject in left:
            del self._work.subjects[subject.meter.id]

    async def _spread_agent_marks(self) -> None:
        """Marks of agents as spans of the subjects they feed, out to the neighbouring readings."""
        at: dict[Span, list[Subject]] = defaultdict(list)
        by_agent = {
            agent: merged(spans, _NEAR_MS) for agent, spans in self._work.agent_marks.items()
        }
        for subject in self._work.subjects.values():
            for agent in {feed.agent for feed in subject.meter.feeds}:
                for span in by_agent.get(agent, ()):
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
        at: dict[Span, list[Subject]] = defaultdict(list)
        for name, spans in self._work.meter_marks.items():
            if subject := self._work.subjects.get(name):
                for span in merged(spans):
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

    def _intervals_of(self, subject: Subject) -> list[Span]:
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
        return merged((a, b) for a, b in snapped if a < b)

    async def _recompute(self, subjects: Iterable[Subject]) -> list[Subject]:
        """Recompute the spans of some subjects; those that must be seen again to their end."""
        groups: dict[Span, list[Subject]] = defaultdict(list)
        for subject in subjects:
            chunk = _ROWS_AT_ONCE * subject.meter.interval_ms
            for start, end in self._intervals_of(subject):
                for at in range(start, end, chunk):
                    groups[at, min(at + chunk, end)].append(subject)
            subject.spans = []
        again: dict[str, Subject] = {}
        for (start, end), members in sorted(groups.items(), key=lambda item: item[0]):
            rows_each = (end - start) // min(s.meter.interval_ms for s in members)
            at_once = max(1, min(_SUBJECTS_AT_ONCE, _ROWS_AT_ONCE // max(rows_each, 1)))
            for at in range(0, len(members), at_once):
                some = members[at : at + at_once]
                readings = await readings_of(self._store, some, start, end)
                for changed in await asyncio.to_thread(self._save, some, readings, start, end):
                    again[changed.meter.id] = changed
                self._computed += [
                    (subject, part)
                    for subject in some
                    # What was shared out from more readings than there are now stays too.
                    for part in without((start, end), self._fewer.pop(subject.meter.id, ()))
                ]
                self._done += rows_each * len(some)
                self._alive()
        return list(again.values())

    async def _share_out(self, most_s: float) -> None:
        """What was computed of hosts, shared out among their guests."""
        work = self._work
        known = Known(
            work.subjects,
            work.methods,
            work.wrong_clocks,
            work.jumps,
            work.agent_marks,
            work.meter_marks,
            self._kept_from_ms,
            work.now_ms,
        )
        saved = await share_out(
            self._store,
            self._ledger,
            work.site,
            self._computed,
            known=known,
            alive=self._alive,
            most_s=most_s,
        )
        self.hours_left = saved.hours_left
        self.written += saved.written
        self.revised += saved.revised

    def _save(
        self,
        subjects: Sequence[Subject],
        readings: Mapping[Series, Points],
        start_ms: int,
        end_ms: int,
    ) -> list[Subject]:
        """Compute and keep rows; returns the subjects whose suspension changed."""
        work = self._work
        changed: list[Subject] = []
        stretches: list[Stretch] = []
        found = [
            (subject, {c: readings[c.series] for c in subject.channels if c.series in readings})
            for subject in subjects
        ]
        reopen(self._ledger, self._site, found, start_ms)
        for subject, series in found:
            name = subject.meter.id
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
                    meter=name in self._meters,
                    reason=self._reason(name),
                    may_lessen=Lessening(subject, series, redeclared=name in work.redeclared),
                    final_ms=min(work.now_ms, subject.settled_ms - 1),
                )
            )
        saved = self._ledger.save(self._site, stretches, self._work.now_ms)
        self.written += saved.written
        self.revised += saved.revised
        self._fewer = dict(saved.fewer)
        return changed

    def _reason(self, name: str) -> str:
        """Why rows of a subject are computed again."""
        if name in self._work.redeclared:
            return "declaration"
        return "entry" if name in self._work.meter_marks else "readings"

    def _without_false_zeros(self, subject: Subject, rows: list[Row]) -> list[Row]:
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
    def of(cls, subject: Subject, series: Mapping[Channel, Points], known: list[Jump]) -> "_Seen":
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
