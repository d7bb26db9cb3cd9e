"""Rows of one meter from its readings: pure, so that any order of arrival gives the same rows.

A meter is suspended from an undeclared jump of its register until a person has read or replaced
it. During a declared bypass or generator test a true zero counts as not measured.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec
from jauge_models.boundaries import WHOLE
from jauge_models.counters import Dial, Step, difference
from jauge_models.intervals import (
    GRADE_OF,
    Basis,
    Flag,
    Grade,
    Interval,
    Point,
    Points,
    from_amounts,
    from_power,
    from_register,
    merged,
    ordered,
)
from jauge_models.power_models import ServerModel
from jauge_models.resources import Series, kind_of
from jauge_models.topology import MEASURES, Meter, cuts, factor_at
from jauge_models.wire import Method

from jauge_collector.ledger.clocks import ClockSpan
from jauge_collector.ledger.rows import Jump

COUNTER_BRIDGE_MS: Final = 10 * 60 * 1000
"""How far apart two values of a device counter may lie: a 32-bit one wraps within minutes."""

HOST_AMOUNT_MS: Final = 20 * 1000
"""What an amount of a host is for, whatever feeds on it: one sample of a vCenter."""

_LASTING: Final = frozenset({"circuit", "inlet", "meter", "outlet", "pdu", "phase", "ups"})
"""Kinds whose counter survives a restart and wraps after months: any gap can be bridged."""

_GIVES_WAY: Final = 0.5
"""A measurement replaces an estimate that covers more, as long as it covers this part of that."""

_ORDER: Final = (Basis.REGISTER, Basis.AMOUNT, Basis.COUNTER, Basis.POWER, Basis.ESTIMATE)

Span = tuple[int, int]


class Channel(NamedTuple):
    """One series that can provide a meter's rows, and how."""

    series: Series
    basis: Basis
    grade: Grade
    is_running: bool
    """A running total: its readings bridge gaps."""
    is_power: bool
    bridge_ms: int | None
    model: ServerModel | None = None
    """Of a utilisation: what makes it watts."""

    @property
    def feed(self) -> str:
        """As a row names where it comes from."""
        return f"{self.series.agent}/{self.series.resource}/{self.series.quantity}"


def channels(
    site: str, meter: Meter, methods: Mapping[tuple[str, str, str], Method]
) -> list[Channel]:
    """Every series that can provide the meter's rows, best first.

    ``methods`` are those of births, by (agent, resource, quantity); without one the total of a
    ``meter`` resource is a register and that of any other a device counter.
    """
    found: list[Channel] = []
    measures = MEASURES[meter.commodity]
    for feed in meter.feeds:
        kind = kind_of(feed.resource)
        mine: list[Channel] = []
        for quantity, usual in (
            (measures.register, Basis.REGISTER if kind == "meter" else Basis.COUNTER),
            (measures.amount, Basis.AMOUNT),
            (measures.power, Basis.POWER),
        ):
            if quantity is None:
                continue
            basis = usual
            match methods.get((feed.agent, feed.resource, quantity)):
                case Method.ESTIMATE:
                    basis = Basis.ESTIMATE
                case Method.REGISTER if quantity == measures.register:
                    basis = Basis.REGISTER
                case Method.COUNTER if quantity == measures.register:
                    basis = Basis.COUNTER
            grade = GRADE_OF[basis]
            if basis is Basis.AMOUNT and kind != "meter":
                grade = Grade.MEDIUM
            if meter.grade is not None:
                grade = max(grade, meter.grade, key=lambda g: g.rank)
            bridge = meter.bridge_ms
            if bridge is None and basis is not Basis.REGISTER and kind not in _LASTING:
                bridge = max(COUNTER_BRIDGE_MS, meter.max_gap_ms)
            mine.append(
                Channel(
                    Series(site, feed.agent, feed.resource, quantity),
                    basis,
                    grade,
                    quantity == measures.register,
                    quantity == measures.power,
                    bridge,
                )
            )
        found += sorted(mine, key=lambda c: _ORDER.index(c.basis))
    if meter.estimator is not None and measures.power is not None:
        found += _estimated(site, meter, meter.estimator)
    return found


def _estimated(site: str, meter: Meter, model: ServerModel) -> Iterator[Channel]:
    """How busy each feed that is a host was, for the time in which nothing measured its power."""
    for feed in meter.feeds:
        if kind_of(feed.resource) == "host":
            series = Series(site, feed.agent, feed.resource, "cpu_utilisation")
            grade = GRADE_OF[Basis.ESTIMATE]
            yield Channel(series, Basis.ESTIMATE, grade, False, True, None, model)


@dataclass(frozen=True, slots=True)
class Declared:
    """What people said about a meter that changes what its readings mean.

    ``attended_ms``: moments at which a person read the dial or replaced the meter, each of which
    ends a suspension. ``blinding``: spans of declared bypasses and generator tests.
    """

    meter: Meter
    attended_ms: tuple[int, ...] = ()
    blinding: tuple[Span, ...] = ()


def jumps(channel: Channel, points: Points, meter: Meter) -> list[Jump]:
    """Undeclared jumps between successive readings that suspend the meter, in time order.

    A register that starts again undeclared counts as one; a device counter does so at every
    restart and does not.
    """
    if not channel.is_running:
        return []
    suspending = {Flag.JUMP, Flag.RESET} if channel.basis is Basis.REGISTER else {Flag.JUMP}
    found: list[Jump] = []
    most_per_ms = -1.0
    if meter.dial.rating is None and not meter.replacements:
        most_per_ms = math.inf
    elif meter.dial.rating is not None and not meter.replacements and not meter.factors:
        most_per_ms = meter.dial.rating / 1000
    times, values = points.times_ms, points.values
    steps = zip(times, times[1:], values, values[1:], strict=False)
    for at, (t0, t1, low, high) in enumerate(steps):
        if 0 <= high - low <= most_per_ms * (t1 - t0):
            continue
        before, after = points[at], points[at + 1]
        dial = _raw_dial(meter, before.time_ms, after.time_ms)
        elapsed = (after.time_ms - before.time_ms) / 1000
        step = difference(before.value, after.value, elapsed, dial).step
        replaced = any(before.time_ms < r.time_ms <= after.time_ms for r in meter.replacements)
        if step in {Step.ADVANCE, Step.WRAP} and not replaced:
            continue
        flags = from_register(
            (before, after),
            before.time_ms,
            after.time_ms,
            dial=dial,
            max_gap_ms=meter.max_gap_ms,
            bridge_ms=channel.bridge_ms,
            replacements=meter.replacements,
        ).flags
        if flags & suspending:
            found.append(Jump(channel.feed, after.time_ms, before.time_ms))
    return found


def suspensions(found: Iterable[Jump], attended_ms: Sequence[int]) -> list[tuple[int, int | None]]:
    """Spans during which the meter is not believed; an end of None is open."""
    spans: list[tuple[int, int | None]] = []
    for jump in sorted(found, key=lambda j: (j.before_ms, j.at_ms)):
        lifted = min((t for t in attended_ms if t >= jump.at_ms), default=None)
        spans.append((jump.before_ms, lifted))
    return spans


class Provided(NamedTuple):
    """One interval and the channel that provided it."""

    interval: Interval
    channel: Channel


def compute(
    declared: Declared,
    readings: Mapping[Channel, Sequence[Point]],
    starts_ms: Iterable[int],
    suspended: Sequence[tuple[int, int | None]] = (),
    wrong_clocks: Mapping[str, Sequence[ClockSpan]] = MappingProxyType({}),
) -> list[Provided]:
    """Rows of a meter for the intervals that begin at the given moments.

    ``readings`` come best channel first, and reach past the intervals on both sides as far as they
    matter. Of each interval the first channel that covers it whole provides the row, else the one
    that covers most. An estimate gives way to a measurement that covers half as much, and a running
    total that stood still to the power of the same feed that shows that it should not have. An
    interval of which nothing is known has no row. One that a reading of a wrong clock took part in
    counts and is graded low.
    """
    meter = declared.meter
    runs = [
        _Run(declared, channel, points, wrong_clocks.get(channel.series.agent, ()))
        for channel, points in readings.items()
        if points
    ]
    rows: list[Provided] = []
    if not runs:
        return rows
    edges = _edges(declared, runs, suspended)
    for start in starts_ms:
        end = start + meter.interval_ms
        best: Provided | None = None
        pieces = [(start, end)]
        if inner := edges[bisect_right(edges, start) : bisect_left(edges, end)]:
            pieces = list(pairwise((start, *inner, end)))
        for run in runs:
            interval = run.over(pieces, suspended)
            if interval is None:
                continue
            if best is None or _is_better(Provided(interval, run.channel), best):
                best = Provided(interval, run.channel)
            if interval.coverage >= WHOLE and run.channel.basis is not Basis.ESTIMATE:
                if interval.amount == 0 and run.channel.is_running:
                    best = _instead_of_still(run, runs, pieces, suspended) or best
                break
        if best is not None:
            rows.append(best)
    return rows


def _is_better(one: Provided, best: Provided) -> bool:
    """Whether an interval of a channel ranked lower is to be preferred."""
    covered, most = one.interval.covered_ms, best.interval.covered_ms
    match one.channel.basis is Basis.ESTIMATE, best.channel.basis is Basis.ESTIMATE:
        case True, False:
            return most < covered * _GIVES_WAY
        case False, True:
            return covered > 0 and covered >= most * _GIVES_WAY
    return covered > most


def _instead_of_still(
    still: "_Run",
    runs: Iterable["_Run"],
    pieces: Sequence[Span],
    suspended: Sequence[tuple[int, int | None]],
) -> Provided | None:
    """What the measured power of a feed says where its running total stood still, if too much.

    That is more than the total's smallest step, or anything where a device counts so finely that
    it never rests. A meter of which no step is declared is believed: it may count whole kWh.
    """
    step = still.smallest_step
    feed = still.channel.series[:3]
    for run in runs:
        channel = run.channel
        if step is None or channel.basis is not Basis.POWER or channel.series[:3] != feed:
            continue
        found = run.over(pieces, suspended)
        at_least = step * abs(factor_at(still.meter, pieces[0][0]))
        if found is not None and found.amount is not None and found.amount > at_least:
            return Provided(found, channel)
    return None


class _Run:
    """One channel's readings, cut to what each interval needs."""

    def __init__(
        self,
        declared: Declared,
        channel: Channel,
        points: Sequence[Point],
        wrong_clock: Sequence[ClockSpan],
    ) -> None:
        self.channel = channel
        self._wrong_clock = wrong_clock
        self.meter = declared.meter
        points = ordered(points)
        if (model := channel.model) is not None:
            powers = [model.power(value).power for value in points.values]
            points = Points(points.times_ms, powers)
        self.blind: list[Span] = []
        self._disbelieved_ms: list[int] = []
        if declared.blinding:
            if channel.is_running:
                self.blind = _still(points, declared.blinding, declared.meter.max_gap_ms)
            else:
                kept = _without_zeros(points, declared.blinding, self._period_ms)
                times = set(kept.times_ms)
                self._disbelieved_ms = [at for at in points.times_ms if at not in times]
                points = kept
        self._points = points
        self._times = points.times_ms

    @property
    def smallest_step(self) -> float | None:
        """Of a running total, in raw units; None where it is not known."""
        if self.meter.dial.resolution > 0:
            return self.meter.dial.resolution
        return None if self.channel.series.kind in _LASTING else 0.0

    @property
    def _period_ms(self) -> int:
        """How long before its time stamp a value still speaks for."""
        if self.channel.is_power or self.channel.is_running:
            return 0
        is_host = self.channel.series.kind == "host"
        return HOST_AMOUNT_MS if is_host else self.meter.period_ms

    def over(
        self, pieces: Sequence[Span], suspended: Sequence[tuple[int, int | None]]
    ) -> Interval | None:
        if len(pieces) == 1:
            whole = self._piece(*pieces[0], suspended)
        else:
            whole = merged([self._piece(a, b, suspended) for a, b in pieces])
        if whole.covered_ms == 0 and not whole.flags:
            return None
        return whole

    def _piece(
        self, start_ms: int, end_ms: int, suspended: Sequence[tuple[int, int | None]]
    ) -> Interval:
        meter, channel = self.meter, self.channel
        if not meter.validity.holds(start_ms):
            return self._nothing(start_ms, end_ms, frozenset())
        found = self._measured(start_ms, end_ms)
        flags = found.flags
        if (
            suspended
            and (found.covered_ms or flags)
            and any(a <= start_ms and (b is None or start_ms < b) for a, b in suspended)
        ):
            return self._nothing(start_ms, end_ms, flags | {Flag.SUSPENDED})
        if self.blind and any(a <= start_ms < b for a, b in self.blind):
            return self._nothing(start_ms, end_ms, flags | {Flag.EVENT})
        if self._disbelieved_ms and found.coverage < WHOLE:
            at = bisect_left(self._disbelieved_ms, start_ms)
            near = self._disbelieved_ms[at : at + 1]
            if near and near[0] <= end_ms + self._period_ms:
                flags |= {Flag.EVENT}
        grade = channel.grade
        if self._wrong_clock and found.covered_ms and self._is_mistimed(start_ms, end_ms):
            grade = Grade.LOW
            flags |= {Flag.CLOCK}
        # A factor is of what a meter shows, not of what a model says.
        factor = factor_at(meter, start_ms) if channel.model is None else 1.0
        if (
            factor == 1
            and flags is found.flags
            and (found.basis, found.grade) == (channel.basis, grade)
        ):
            return found
        return msgspec.structs.replace(
            found,
            amount=None if found.amount is None else found.amount * factor,
            basis=channel.basis,
            grade=grade,
            flags=flags,
        )

    def _is_mistimed(self, start_ms: int, end_ms: int) -> bool:
        """Whether a reading that a piece is computed from was stamped by a wrong clock."""
        times, spans = self._times, self._wrong_clock
        first = max(bisect_right(times, start_ms) - 1, 0)
        last = bisect_left(times, end_ms + self._period_ms)
        for at in range(first, min(last + 1, len(times))):
            before = bisect_right(spans, times[at], key=lambda span: span.from_ms) - 1
            if before < 0 or times[at] >= spans[before].to_ms:
                continue
            if self._takes_part(at, start_ms, end_ms):
                return True
        return False

    def _takes_part(self, at: int, start_ms: int, end_ms: int) -> bool:
        """Whether one reading has a share in what a piece's amount is computed from."""
        times, channel = self._times, self.channel
        if not channel.is_running and not channel.is_power:
            return times[at] > start_ms and times[at] - self._period_ms < end_ms
        longest_ms = self.meter.max_gap_ms if channel.is_power else channel.bridge_ms
        return any(
            before < end_ms
            and after > start_ms
            and (longest_ms is None or after - before <= longest_ms)
            for before, after in pairwise(times[max(0, at - 1) : at + 2])
        )

    def _measured(self, start_ms: int, end_ms: int) -> Interval:
        meter, channel, points = self.meter, self.channel, self._points
        if channel.is_power:
            return from_power(
                points, start_ms, end_ms, max_gap_ms=meter.max_gap_ms, basis=channel.basis
            )
        if not channel.is_running:
            return from_amounts(points, start_ms, end_ms, period_ms=self._period_ms)
        dial = meter.dial
        if meter.factors:
            near = points.around(start_ms, end_ms)
            dial = _raw_dial(meter, self._times[near.start], self._times[near.stop - 1])
        return from_register(
            points,
            start_ms,
            end_ms,
            dial=dial,
            max_gap_ms=meter.max_gap_ms,
            bridge_ms=channel.bridge_ms,
            replacements=meter.replacements,
            basis=channel.basis,
        )

    def _nothing(self, start_ms: int, end_ms: int, flags: frozenset[Flag]) -> Interval:
        return Interval(
            start_ms, end_ms, None, 0, 0, self.channel.basis, self.channel.grade, flags=flags
        )


def _edges(
    declared: Declared, runs: Iterable[_Run], suspended: Iterable[tuple[int, int | None]]
) -> list[int]:
    """Moments at which something about the meter changes, so that an interval is cut there."""
    meter = declared.meter
    spans: list[tuple[int | None, int | None]] = [
        (factor.validity.from_ms, factor.validity.to_ms) for factor in meter.factors
    ]
    spans.append((meter.validity.from_ms, meter.validity.to_ms))
    spans += suspended
    for run in runs:
        spans += run.blind
    return sorted({edge for span in spans for edge in span if edge is not None})


def _raw_dial(meter: Meter, start_ms: int, end_ms: int) -> Dial:
    """The dial in raw units, as loose as the factors in force over the span allow.

    The rating says what really flows at most, after the factor.
    """
    if not meter.factors or meter.dial.rating is None:
        return meter.dial
    pieces = cuts((f.validity for f in meter.factors), start_ms, max(end_ms, start_ms + 1))
    smallest = min(abs(factor_at(meter, a)) for a, _ in pieces)
    return replace(meter.dial, rating=meter.dial.rating / smallest if smallest else None)


def _still(points: Points, spans: Iterable[Span], longest_ms: int) -> list[Span]:
    """Parts of the spans during which a running total stood still for longer than a gap."""
    found: list[Span] = []
    for begin, end in spans:
        since: int | None = None
        until = begin
        for before, after in pairwise(points[points.around(begin, end)]):
            if after.value == before.value:
                since = max(before.time_ms, begin) if since is None else since
                until = min(after.time_ms, end)
                continue
            if since is not None and until - since > longest_ms:
                found.append((since, until))
            since = None
        if since is not None and until - since > longest_ms:
            found.append((since, until))
    return found


def _without_zeros(points: Points, spans: Sequence[Span], period_ms: int) -> Points:
    return ordered(
        point
        for point in points
        if point.value != 0
        or not any(a < point.time_ms and point.time_ms - period_ms < b for a, b in spans)
    )


def with_factors(meter: Meter, interval: Interval) -> Interval:
    """An interval of raw amounts with the meter's factors, split linearly where they change."""
    pieces = cuts((f.validity for f in meter.factors), interval.start_ms, interval.end_ms)
    if interval.amount is None:
        return interval
    mean = sum(factor_at(meter, a) * (b - a) for a, b in pieces) / interval.length_ms
    return msgspec.structs.replace(interval, amount=interval.amount * mean)


def from_dial(meter: Meter, dial: Iterable[Point]) -> list[Interval]:
    """Attested rows of a meter without feeds: from each dial reading to the next."""
    grade = max(GRADE_OF[Basis.ATTESTED], meter.grade or Grade.HIGH, key=lambda g: g.rank)
    rows: list[Interval] = []
    for before, after in pairwise(sorted(dial)):
        found = from_register(
            (before, after),
            before.time_ms,
            after.time_ms,
            dial=_raw_dial(meter, before.time_ms, after.time_ms),
            max_gap_ms=meter.max_gap_ms,
            replacements=meter.replacements,
            basis=Basis.ATTESTED,
        )
        if found.covered_ms or found.flags:
            rows.append(msgspec.structs.replace(with_factors(meter, found), grade=grade))
    return rows
