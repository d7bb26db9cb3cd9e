"""The round of cross-checks: from the ledger's rows and the connection map to tickets.

It reads rows and nothing else, so that the same rows give the same tickets, whoever asks and how
often. Each round looks at the last `LOOKBACK_MS` again, for rows that came late; what is older
stands as it was found.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

from jauge_models.crosschecks import (
    HOUR_MS,
    Began,
    Check,
    Episode,
    Gap,
    HourAmount,
    Kind,
    Outcome,
    Policy,
    Subject,
    Verdict,
    episodes,
    hours_of,
    judge,
    unjudged,
)
from jauge_models.energy_order import Planned, plan, suspended, unmapped
from jauge_models.intervals import Interval
from jauge_models.plausibility import (
    jump_suspects,
    jumps,
    phase_suspects,
    phases,
    resolution_seen,
    stuck,
    stuck_suspect,
)
from jauge_models.suspects import Suspect, suspects
from jauge_models.topology import Event, Topology, factor_at

from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.connected import Connected
from jauge_collector.ledger.rows import electricity_subjects, intervals_touching, subject_ids
from jauge_collector.ledger.tickets import (
    CheckStanding,
    Evidence,
    Found,
    Standing,
    TicketBook,
    Trust,
)
from jauge_collector.registers.meters import topology_of
from jauge_collector.sites import Site

LOOKBACK_MS: Final = 7 * 24 * HOUR_MS
_LAG_MS: Final = 15 * 60 * 1000
"""Rows of an hour are looked at from so long after its end."""
_CHECKS_AT_ONCE: Final = 50
"""Checks whose rows are in memory together."""

Alive = Callable[[], None]


def cross_check(
    ledger: Ledger,
    site: Site,
    now_ms: int,
    policy: Policy,
    *,
    lookback_ms: int = LOOKBACK_MS,
    alive: Alive = lambda: None,
) -> Standing:
    """One round over a site; its tickets and standing are kept. Raises LedgerError.

    The caller holds the writer lock. ``alive`` is called again and again.
    """
    return _Round(ledger, site, now_ms, policy, lookback_ms).run(alive)


class _Round:
    def __init__(
        self, ledger: Ledger, site: Site, now_ms: int, policy: Policy, lookback_ms: int
    ) -> None:
        self._ledger = ledger
        self._site = site.name
        self._policy = policy
        at = now_ms - _LAG_MS
        self._end_ms = at - at % HOUR_MS
        self._from_ms = self._end_ms - lookback_ms
        self._start_ms = self._from_ms - policy.memory_ms
        self._topology: Topology = topology_of(ledger, site)
        names = Connected(self._topology, ledger.methods(site.name), site.hosts)
        with ledger.transaction(writes=False) as connection:
            self._measured = electricity_subjects(connection, site.name)
        self._connections = names.connections()
        self._names = names.names_of()
        self._phases = {
            whole: parts
            for whole, parts in names.phases().items()
            # A phase that has only ever run backwards has no row at all.
            if whole in self._measured and self._measured.intersection(parts)
        }
        self._meters = {meter.id: meter for meter in self._topology.meters}
        self._book = TicketBook(ledger)
        self._began = self._book.began(site.name, self._from_ms)
        self._found: dict[tuple[Kind, str], list[Found]] = {}
        self._standings: list[CheckStanding] = []
        self._seen: set[str] = set()

    def run(self, alive: Alive) -> Standing:
        planned = plan(self._connections, self._measured, self._start_ms, self._end_ms)
        for at in range(0, len(planned), _CHECKS_AT_ONCE):
            some = planned[at : at + _CHECKS_AT_ONCE]
            data = self._read({name for one in some for name in one.subjects})
            for one in some:
                alive()
                self._order(one, data)
            self._jumps(data)
        alone = sorted(self._measured & self._meters.keys() - self._seen)
        for at in range(0, len(alone), _CHECKS_AT_ONCE):
            alive()
            self._jumps(self._read(alone[at : at + _CHECKS_AT_ONCE]))
        for whole, parts in self._phases.items():
            self._phase(whole, parts, self._read({whole, *parts}))
        phase_names = {part for parts in self._phases.values() for part in parts}
        standing = Standing(
            self._end_ms,
            tuple(self._standings),
            tuple(unmapped(self._connections, self._measured - phase_names, self._end_ms - 1)),
        )
        self._book.save(self._site, self._from_ms, self._found, standing)
        return standing

    def _read(self, names: Collection[str]) -> "_Data":
        rows: dict[str, list[Interval]] = {}
        with self._ledger.transaction(writes=False) as connection:
            ids = subject_ids(connection, self._site, sorted(names))
            for name in sorted(names):
                key = ids.get(name)
                rows[name] = (
                    []
                    if key is None
                    else intervals_touching(
                        connection, key, self._start_ms, self._end_ms, proofs=True
                    )
                )
        return _Data(rows, {name: self._subject(name, some) for name, some in rows.items()})

    def _subject(self, name: str, rows: Sequence[Interval]) -> Subject:
        meter = self._meters.get(name)
        if meter is None:
            return Subject(name, resolution=resolution_seen(rows))
        factor = abs(factor_at(meter, self._end_ms - 1))
        step = meter.dial.resolution or resolution_seen(rows)
        return Subject(
            name, meter.uncertainty, meter.accuracy_class, step * factor, meter.dial.rating
        )

    # --- the order of energies

    def _order(self, planned: Planned, data: "_Data") -> None:
        events = self._events(planned.subjects)
        verdicts = [
            self._judged(planned, hour, data, events)
            for hour in range(self._start_ms, self._end_ms, HOUR_MS)
        ]

        def evidence(episode: Episode) -> Evidence:
            last = planned.at(episode.last_ms) or planned.newest
            same = [v for v in episode.window if planned.at(v.hour_ms) == last]
            return self._evidence(
                last.lower, last.upper, same, data, suspects(last, same, data.hours)
            )

        ends_ms = planned.end_ms if planned.end_ms < self._end_ms else None
        newest = planned.newest
        self._keep(Kind.ORDER, planned.key, verdicts, evidence, ends_ms)
        self._stand(Kind.ORDER, newest.lower, newest.upper + newest.dark, verdicts)
        watched = {*newest.upper, *(newest.lower if len(newest.lower) == 1 else ())}
        for name in sorted(watched):
            self._stuck(name, newest, verdicts, data)

    def _judged(
        self, planned: Planned, hour_ms: int, data: "_Data", events: Sequence[Event]
    ) -> Verdict:
        check = planned.at(hour_ms)
        if check is None:
            return unjudged(hour_ms, Gap.MAP_CHANGED)
        event = suspended(events, self._known_as(check.subjects), hour_ms)
        if event is not None:
            return unjudged(hour_ms, Gap.EVENT, event.subject)
        return judge(check, hour_ms, data.hours, data.subjects, self._policy)

    def _events(self, names: Iterable[str]) -> list[Event]:
        """Those that may concern one of some subjects in the hours looked at."""
        known = self._known_as(names)
        return [
            event
            for event in self._topology.events
            if (not event.subject or event.subject in known)
            and (event.validity.to_ms is None or event.validity.to_ms > self._start_ms)
            and (event.validity.from_ms is None or event.validity.from_ms < self._end_ms)
        ]

    def _known_as(self, names: Iterable[str]) -> set[str]:
        return {known for name in names for known in self._names.get(name, {name})}

    # --- what one meter shows

    def _stuck(self, name: str, check: Check, verdicts: Sequence[Verdict], data: "_Data") -> None:
        told = stuck(
            name,
            check,
            verdicts,
            hours=data.hours,
            subjects=data.subjects,
            policy=self._policy,
        )

        def evidence(episode: Episode) -> Evidence:
            suspect = stuck_suspect(name, episode.window, data.hours[name], self._policy)
            return self._evidence(
                check.lower, check.upper, episode.window, data, (suspect,), sums=False
            )

        self._keep(Kind.STUCK, f"{name} in {check.key}", told, evidence)

    def _jumps(self, data: "_Data") -> None:
        """Of those that were read and not looked at before."""
        for name in sorted(data.rows.keys() - self._seen):
            self._jump(name, data)
        self._seen |= data.rows.keys()

    def _jump(self, name: str, data: "_Data") -> None:
        told = jumps(data.rows[name], data.subjects[name].rating)

        def evidence(episode: Episode) -> Evidence:
            found = jump_suspects(name, episode.window)
            return self._evidence((name,), (), episode.window, data, found)

        self._keep(Kind.JUMP, name, told, evidence)

    def _phase(self, whole: str, parts: Sequence[str], data: "_Data") -> None:
        events = self._events((whole,))
        verdicts = [
            phases(
                whole,
                parts,
                hour,
                hours=data.hours,
                subjects=data.subjects,
                policy=self._policy,
            )
            if suspended(events, self._known_as((whole,)), hour) is None
            else unjudged(hour, Gap.EVENT)
            for hour in range(self._start_ms, self._end_ms, HOUR_MS)
        ]

        def evidence(episode: Episode) -> Evidence:
            found = phase_suspects(whole, parts, episode.window, data.hours)
            return self._evidence(tuple(parts), (whole,), episode.window, data, found)

        self._keep(Kind.PHASES, whole, verdicts, evidence)
        self._stand(Kind.PHASES, tuple(parts), (whole,), verdicts)

    # --- what is kept of it

    def _keep(
        self,
        kind: Kind,
        key: str,
        verdicts: Sequence[Verdict],
        evidence: Callable[[Episode], Evidence],
        ends_ms: int | None = None,
    ) -> None:
        began: Began | None = self._began.get((kind, key))
        found: list[Found] = []
        for one in episodes(verdicts, self._policy.life(kind), from_ms=self._from_ms, began=began):
            resolved_ms = one.resolved_ms if one.resolved_ms is not None else ends_ms
            shown = evidence(one) if one.window else None
            found.append(Found(one.opened_ms, one.since_ms, one.last_ms, resolved_ms, shown))
        self._found[kind, key] = found

    def _stand(
        self,
        kind: Kind,
        lower: tuple[str, ...],
        upper: tuple[str, ...],
        verdicts: Sequence[Verdict],
    ) -> None:
        newest = verdicts[-1]
        judged = [v for v in verdicts if v.outcome is not Outcome.NOT_JUDGED]
        recent = judged[-self._policy.of_hours :]
        broken = sum(v.outcome is Outcome.BROKEN for v in recent)
        self._standings.append(
            CheckStanding(
                kind,
                lower,
                upper,
                newest.outcome,
                newest.gap,
                newest.about,
                len(recent),
                broken,
            )
        )

    def _evidence(
        self,
        lower: tuple[str, ...],
        upper: tuple[str, ...],
        window: Sequence[Verdict],
        data: "_Data",
        found: tuple[Suspect, ...],
        *,
        sums: bool = True,
    ) -> Evidence:
        broken = [v for v in window if v.outcome is Outcome.BROKEN]
        last_ms = broken[-1].hour_ms
        trust: list[Trust] = []
        for name in (*lower, *upper):
            hour = data.hours[name].get(last_ms)
            if hour is not None:
                subject = data.subjects[name]
                trust.append(Trust(name, *subject.accuracy(hour.grade), subject.resolution))
        means: tuple[float | None, ...] = (None, None, None)
        if sums:
            means = tuple(
                _mean(amounts)
                for amounts in zip(*((v[2], v[3], v[4]) for v in broken), strict=True)
            )
        return Evidence(
            lower,
            upper,
            len(window),
            len(broken),
            lower_energy=means[0],
            upper_energy=means[1],
            tolerance=means[2],
            trust=tuple(trust),
            suspects=found,
        )


def _mean(amounts: Iterable[float | None]) -> float | None:
    """Of those that are known."""
    known = [amount for amount in amounts if amount is not None]
    return math.fsum(known) / len(known) if known else None


class _Data:
    """Rows of some subjects, and what is made of them."""

    def __init__(
        self, rows: Mapping[str, Sequence[Interval]], subjects: Mapping[str, Subject]
    ) -> None:
        self.rows = rows
        self.subjects = subjects
        self.hours: dict[str, dict[int, HourAmount]] = {
            name: hours_of(some) for name, some in rows.items()
        }
