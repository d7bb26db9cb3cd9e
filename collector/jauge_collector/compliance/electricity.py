"""How well a machine's own electricity is known, hour by hour, by what feeds it; and how much.

A machine may be read by several: its BMC, its agent, a metered outlet. In each hour the one that
measured most of it counts, so that nothing is added twice. Where only one can count, the database
adds up; rows are read only where there is a choice, or where one crosses a bound.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, NamedTuple

import msgspec
from jauge_models.compliance.evidence import Electricity
from jauge_models.compliance.windows import Window
from jauge_models.intervals import Basis, Flag, Grade, Interval
from jauge_models.rules import JOULES_PER_KWH
from sqlalchemy import Connection

from jauge_collector.compliance.quarters import span_ms
from jauge_collector.kpis import counting_since
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.entries import attested_amounts
from jauge_collector.ledger.rows import keys_of_subjects, subject_ids
from jauge_collector.ledger.sums import (
    DAY_MS,
    Outline,
    Sums,
    measured_amounts,
    outline,
    reach_of_measured,
    sums_by_day,
)
from jauge_collector.sites import Site

_HOUR_MS: Final = 3_600_000


class _Hour(msgspec.Struct, gc=False):
    """What one feed knows of one hour: ms measured, signed for and estimated; J but estimated."""

    measured: float = 0.0
    attested: float = 0.0
    estimated: float = 0.0
    joules: float = 0.0

    def rank(self) -> tuple[float, float, float]:
        """The better known hour has the larger one."""
        return self.measured, self.measured + self.attested, self.estimated


class Known(NamedTuple):
    """A machine's electricity, None where no row tells of it, and kWh that are known of it.

    Energy is what was measured or signed for, never scaled up; None where nothing was. What was
    signed for weighs as much while its correction waits: nobody alone makes a machine a smaller
    part of all.
    """

    electricity: Electricity | None
    energy_kwh: float | None


NOTHING: Final = Known(None, None)


@dataclass(slots=True)
class _Found:
    """What adds up over a window: ms by class, J of a quarter, and who told it."""

    measured: float = 0.0
    attested: float = 0.0
    estimated: float = 0.0
    first_ms: int | None = None
    subjects: set[str] = field(default_factory=set)
    joules: list[float] = field(default_factory=list)

    def begin(self, time_ms: int) -> None:
        """Something was measured or signed for from a moment on."""
        self.first_ms = time_ms if self.first_ms is None else min(self.first_ms, time_ms)

    def add(self, subject: str, part: Sums) -> None:
        """Sums of rows of which none is attested."""
        self.measured += part.measured_ms
        self.estimated += part.estimated_ms
        self.subjects.add(subject)
        if part.first_ms is not None:
            self.begin(part.first_ms)


class _Run(NamedTuple):
    """A stretch of time in which one subject alone counts; None: hour by hour."""

    start_ms: int
    end_ms: int
    subject: str | None


class MachineEnergy:
    """Electricity of machines of one site by their feeds (``agent/resource``).

    Bills and commissionings that are entered later do not count in one that exists already.
    """

    def __init__(self, ledger: Ledger, site: Site) -> None:
        """Raises LedgerError."""
        self._ledger = ledger
        self._site = site
        self._since = counting_since(ledger, site)
        self._meters = {
            f"{feed.agent}/{feed.resource}": meter.id
            for meter in site.topology.meters
            for feed in meter.feeds
        }
        self._ids_of_meters = frozenset(self._meters.values())
        self._hosts = {
            f"{feed.agent}/{feed.resource}": host.id
            for host in site.hosts
            for feed in host.meter.feeds
        }
        with ledger.transaction(writes=False) as connection:
            signed = attested_amounts(connection, site.name)
            self._keys = keys_of_subjects(connection, site.name)
        self._lost = ledger.lost(site.name, counts_from=self._since)
        self._signed = frozenset((*signed, *self._lost))

    def subjects(self, feeds: Iterable[str]) -> list[str]:
        """Whose rows tell of a machine: declared hosts and meters first, then feeds themselves."""
        feeds = list(feeds)
        named = [self._hosts.get(feed) or self._meters.get(feed) for feed in feeds]
        return list(dict.fromkeys([*filter(None, named), *feeds]))

    def known(self, feeds: Iterable[str], window: Window, quarter: Window) -> Known:
        """Shares of a window and energy of a quarter that ends with it. Raises LedgerError.

        Of the time before the window nothing counts.
        """
        start_ms, end_ms = span_ms(window, self._site.zone)
        since_ms = max(start_ms, span_ms(quarter, self._site.zone)[0])
        subjects = self.subjects(feeds)
        found = self._found(subjects, start_ms, end_ms, since_ms)
        kwh = math.fsum(found.joules) / JOULES_PER_KWH if found.joules else None
        if not found.subjects:
            return NOTHING._replace(energy_kwh=kwh)
        first_ms = found.first_ms
        if first_ms is not None:
            first_ms = max(first_ms - first_ms % _HOUR_MS, start_ms)
        length = end_ms - start_ms
        electricity = Electricity(
            measured=_share(found.measured, length),
            attested=_share(found.attested, length),
            estimated=_share(found.estimated, length),
            meters=tuple(subject for subject in subjects if subject in found.subjects),
            first_day=None
            if first_ms is None
            else window.first + timedelta(days=(first_ms - start_ms) // DAY_MS),
            since_first=0.0
            if first_ms is None
            else _share(found.measured + found.attested, end_ms - first_ms),
        )
        return Known(electricity, kwh)

    def last_measured_ms(self, feeds: Iterable[str], start_ms: int, end_ms: int) -> int | None:
        """When in [start, end) something of a machine was measured last; None where nothing was.

        To the hour. Raises LedgerError.
        """
        subjects = self.subjects(feeds)
        if self._must_read(subjects, start_ms):
            hours = self._hours(subjects, start_ms, end_ms)
            known = [at for at, (_, hour) in hours.items() if hour.measured]
            last_ms = max(known) * _HOUR_MS + 1 if known else None
        else:
            with self._ledger.transaction(writes=False) as connection:
                keys = self._keys_of(connection, subjects)
                reaches = (reach_of_measured(connection, key, end_ms) for key in keys.values())
                last_ms = max((at for at in reaches if at is not None), default=None)
            if last_ms is not None and last_ms <= start_ms:
                return None
        if last_ms is None:
            return None
        hour = (min(last_ms, end_ms) - 1) // _HOUR_MS
        return min((hour + 1) * _HOUR_MS, end_ms) - 1

    def _keys_of(self, connection: Connection, subjects: Sequence[str]) -> dict[str, int]:
        """Keys of those of some subjects that have rows, in their order."""
        unknown = [subject for subject in subjects if subject not in self._keys]
        if unknown:
            self._keys |= subject_ids(connection, self._site.name, unknown)
        return {subject: self._keys[subject] for subject in subjects if subject in self._keys}

    def _must_read(self, subjects: Iterable[str], start_ms: int) -> bool:
        """Whether rows of some subject need more than adding up.

        Bills stand where nothing was measured, and a meter counts only once it was commissioned.
        """
        return any(
            subject in self._signed
            or (
                subject in self._ids_of_meters
                and not (subject in self._since and self._since[subject] <= start_ms)
            )
            for subject in subjects
        )

    def _found(self, subjects: Sequence[str], start_ms: int, end_ms: int, since_ms: int) -> _Found:
        """Of the whole window; joules of it from ``since_ms`` on."""
        found = _Found()
        with self._ledger.transaction(writes=False) as connection:
            keys = self._keys_of(connection, subjects)
            runs = [_Run(start_ms, end_ms, None)]
            if not self._must_read(subjects, start_ms):
                runs = _runs(connection, keys, (start_ms, end_ms), since_ms, found)
            for start, end, subject in runs:
                if subject is not None and end > since_ms:
                    begin = max(start, since_ms)
                    found.joules += measured_amounts(
                        connection, keys[subject], begin, end, estimates=found.estimated > 0
                    )
        for start, end, subject in runs:
            if subject is None:
                self._read(subjects, start, min(end, since_ms), found, counts=False)
                self._read(subjects, max(start, since_ms), end, found, counts=True)
        return found

    def _read(
        self, subjects: Sequence[str], start_ms: int, end_ms: int, found: _Found, *, counts: bool
    ) -> None:
        """Add what the best of each hour in [start, end) knows; its joules where they count."""
        if start_ms >= end_ms:
            return
        joules = self._withdrawn(subjects, start_ms, end_ms)
        for at, (subject, hour) in self._hours(subjects, start_ms, end_ms).items():
            found.subjects.add(subject)
            found.measured += hour.measured
            found.attested += hour.attested
            found.estimated += hour.estimated
            if hour.measured or hour.attested:
                found.begin(max(at * _HOUR_MS, start_ms))
                if hour.measured or at not in joules:
                    joules[at] = hour.joules
        if counts:
            found.joules += joules.values()

    def _withdrawn(self, subjects: Sequence[str], start_ms: int, end_ms: int) -> dict[int, float]:
        """Joules by hour since the epoch of what counted until it was withdrawn."""
        found: dict[int, float] = {}
        for subject in subjects:
            hours: dict[int, _Hour] = {}
            for lost in self._lost.get(subject, ()):
                _spread(lost.row, hours, start_ms, end_ms)
            found = {at: hour.joules for at, hour in hours.items()} | found
        return found

    def _hours(
        self, subjects: Sequence[str], start_ms: int, end_ms: int
    ) -> dict[int, tuple[str, _Hour]]:
        """By hour since the epoch: the subject that knows most of it, and what it knows."""
        best: dict[int, tuple[str, _Hour]] = {}
        for subject in subjects:
            # A host or a feed counts as it is; a meter only once it was commissioned.
            counts_from = self._since if subject in self._ids_of_meters else None
            rows = self._ledger.rows(
                self._site.name, [subject], start_ms, end_ms, counts_from=counts_from, proofs=False
            )[subject]
            hours: dict[int, _Hour] = {}
            for row in rows:
                _spread(row, hours, start_ms, end_ms)
            for at, hour in hours.items():
                if at not in best or hour.rank() > best[at][1].rank():
                    best[at] = subject, hour
        return best


def _runs(
    connection: Connection,
    keys: Mapping[str, int],
    span: tuple[int, int],
    since_ms: int,
    found: _Found,
) -> list[_Run]:
    """Who counts when; what is clear is added to ``found``, but for its joules."""
    told: dict[str, Sums | None] = {}
    crossed: set[int] = set()
    for subject, key in keys.items():
        seen = outline(connection, key, span[0], since_ms, span[1])
        whole = seen.sums
        if whole is not None and whole.attested:
            return [_Run(*span, None)]
        crossing = _crossing(seen, span, since_ms)
        if whole is not None or crossing:
            told[subject] = whole
            crossed |= crossing
    if len(told) == 1 and not crossed:
        ((subject, whole),) = told.items()
        if whole is not None:
            found.add(subject, whole)
        return [_Run(*span, subject)]
    by_day = {subject: sums_by_day(connection, keys[subject], *span) for subject in told}
    for each in by_day.values():
        for day, part in each.items():
            if part.end_ms > (day + 1) * DAY_MS:
                crossed |= _days(day * DAY_MS, min(part.end_ms, span[1]))
    return list(_joined(_chosen(by_day, crossed, span, found)))


def _crossing(of: Outline, span: tuple[int, int], since_ms: int) -> set[int]:
    """Days UTC of a span touched by rows that reach over one of its ends, or over ``since_ms``."""
    start_ms, end_ms = span
    days: set[int] = set()
    for bound_ms, reach in ((start_ms, of.over_start_ms), (since_ms, of.over_since_ms)):
        if reach is not None and reach > bound_ms:
            days |= _days(max(bound_ms - 1, start_ms), min(reach, end_ms))
    if of.sums is not None and of.sums.end_ms > end_ms:
        days |= _days(end_ms - 1, end_ms)
    return days


def _days(start_ms: int, end_ms: int) -> set[int]:
    """Days UTC since the epoch that [start, end) touches."""
    return set(range(start_ms // DAY_MS, (end_ms - 1) // DAY_MS + 1))


def _chosen(
    by_day: Mapping[str, Mapping[int, Sums]],
    crossed: set[int],
    span: tuple[int, int],
    found: _Found,
) -> Iterator[_Run]:
    """Who counts on each day UTC of a span, in time order; days without rows are left out.

    It is clear where one alone has rows, or one measured all of the day and those before it
    nothing: a later one would have to measure more. What is clear is added to ``found``.
    """
    days = crossed.union(*by_day.values())
    for day in sorted(days):
        start, end = max(day * DAY_MS, span[0]), min((day + 1) * DAY_MS, span[1])
        if start >= end:
            continue
        subject: str | None = None
        if day not in crossed:
            here = [(name, parts[day]) for name, parts in by_day.items() if day in parts]
            subject = _clear(here, end - start)
            if subject is not None:
                found.add(subject, by_day[subject][day])
        yield _Run(start, end, subject)


def _clear(here: Sequence[tuple[str, Sums]], length_ms: int) -> str | None:
    if len(here) == 1:
        return here[0][0]
    first = next(((name, part) for name, part in here if part.measured_ms), None)
    return first[0] if first is not None and first[1].measured_ms == length_ms else None


def _joined(runs: Iterable[_Run]) -> Iterator[_Run]:
    """Runs that touch and are of one as one."""
    last: _Run | None = None
    for run in runs:
        if last is not None and last.end_ms == run.start_ms and last.subject == run.subject:
            last = last._replace(end_ms=run.end_ms)
            continue
        if last is not None:
            yield last
        last = run
    if last is not None:
        yield last


def _share(part: float, whole: float) -> float:
    return min(1.0, part / whole)


def _spread(row: Interval, hours: dict[int, _Hour], start_ms: int, end_ms: int) -> None:
    """Add what a row knows to the hours that it touches within [start, end), linearly."""
    if row.amount is None or not row.covered_ms:
        return
    begin, end = max(row.start_ms, start_ms), min(row.end_ms, end_ms)
    length = row.end_ms - row.start_ms
    estimated = row.basis is Basis.ESTIMATE or (
        row.grade is Grade.LOW and Flag.CLOCK not in row.flags
    )
    while begin < end:
        at = begin // _HOUR_MS
        until = min(end, (at + 1) * _HOUR_MS)
        part = (until - begin) / length
        hour = hours.get(at)
        if hour is None:
            hour = hours[at] = _Hour()
        if estimated:
            hour.estimated += row.covered_ms * part
        else:
            hour.joules += row.amount * part
            if row.basis is Basis.ATTESTED:
                hour.attested += row.covered_ms * part
            else:
                hour.measured += row.covered_ms * part
        begin = until
