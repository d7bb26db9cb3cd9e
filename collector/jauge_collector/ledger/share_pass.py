"""Hosts' hours shared out after a pass has computed their rows, from stored readings alone.

Nothing is carried over from an earlier pass, so that any order of arrival gives the same shares;
what a pass that was cut short left undone is done again with the marks that it left. A pass has
so much time for it; what is then left over, the ledger keeps for the passes that follow.
"""

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from jauge_models.crosschecks import HOUR_MS
from jauge_models.intervals import Interval, Points
from jauge_models.resources import Series
from sqlalchemy import select

from jauge_collector.ledger import schema
from jauge_collector.ledger.activity import SLOT_MS, Span
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.computation import compute, suspensions
from jauge_collector.ledger.connected import Methods
from jauge_collector.ledger.guest_rows import WrongClocks, account_guests
from jauge_collector.ledger.hosting import Alive, Hosting, OwnUse, Residents
from jauge_collector.ledger.rows import Jump, Row, Saved, row_of, subject_ids
from jauge_collector.ledger.shares import HostHour, Share
from jauge_collector.ledger.sharing import Gpu, Guest, Host, share_hour
from jauge_collector.ledger.subjects import Subject, merged, readings_of, reopen
from jauge_collector.sites import Site
from jauge_collector.stores import Store

_HOSTS_AT_ONCE: Final = 40
"""Read and shared out at once: bounds memory, whatever the size of the site."""
_SOON_MS: Final = 24 * HOUR_MS
"""How long before the store forgets an hour its turn comes before that of newer ones."""


class Known(NamedTuple):
    """What a pass knows of a site and sharing needs; marks by agent, and by meter or host."""

    subjects: Mapping[str, Subject]
    """By their names."""
    methods: Methods
    wrong_clocks: WrongClocks
    jumps: Mapping[str, Sequence[Jump]]
    agent_marks: Mapping[str, Sequence[Span]]
    own_marks: Mapping[str, Sequence[Span]]
    kept_from_ms: int
    """What the store has forgotten is not shared out anew."""
    now_ms: int


class SharedOut(NamedTuple):
    """Rows of guests written and restated, and hours left to later passes."""

    written: int
    revised: int
    hours_left: int


async def share_out(
    store: Store,
    ledger: Ledger,
    site: Site,
    computed: Iterable[tuple[Subject, Span]],
    *,
    known: Known,
    alive: Alive,
    most_s: float = math.inf,
) -> SharedOut:
    """Share out the hours whose rows were computed, and those that earlier passes left.

    After ``most_s`` no further hour is begun, though one always is: the others are kept as
    `Ledger.unshared`. First those of which agents have told, then those that the store is about
    to forget; the newest first. The caller holds the writer lock. Raises StoreError, LedgerError.
    """
    hosts = _concerned(computed, known)
    stored = await asyncio.to_thread(ledger.unshared, site.name)
    left = _left(stored, known)
    for hour, names in left.items():
        hosts[hour] |= {name: known.subjects[name] for name in names}
    told = _told(hosts, known)
    waiting: dict[int, Collection[str]] = {}
    work: _Sharing | None = None
    written = revised = 0
    began = time.monotonic()
    for hour in sorted(hosts, key=_turns(known, told)):
        spent = work is not None and time.monotonic() - began >= most_s
        kept = left.get(hour, set())
        if spent and hosts[hour].keys() <= kept:
            waiting[hour] = kept
            continue
        some = list(hosts[hour].values())
        due = await asyncio.to_thread(
            _due, ledger, site, some, hour, known=known, told=told, left=kept
        )
        alive()
        if not due:
            continue
        if spent:
            waiting[hour] = [one.subject.name for one in due]
            continue
        if work is None:
            series = await store.series(site.name)
            gaps = {
                feed: subject.guest_gap_ms
                for subject in known.subjects.values()
                for feed in subject.meter.feeds
            }
            hosting = await asyncio.to_thread(Hosting, site.name, series, known.methods, gaps)
            work = _Sharing(store, ledger, site, hosting=hosting, known=known, alive=alive)
        saved = await work.hour(hour, due)
        written += saved.written
        revised += saved.revised
    if (spans := _spans(waiting)) != stored:
        await asyncio.to_thread(ledger.set_unshared, site.name, spans)
    return SharedOut(written, revised, len(waiting))


def _concerned(
    computed: Iterable[tuple[Subject, Span]], known: Known
) -> dict[int, dict[str, Subject]]:
    """By hour, the hosts of guests of which rows were computed, by name."""
    agents = Hosting.agents(known.methods)
    found: dict[int, dict[str, Subject]] = defaultdict(dict)
    for subject, (start_ms, end_ms) in computed:
        fed = any(feed.agent in agents for feed in subject.meter.feeds)
        if fed and subject.is_electric and subject.meter.interval_ms <= HOUR_MS:
            for hour in range(start_ms - start_ms % HOUR_MS, end_ms, HOUR_MS):
                found[hour][subject.name] = subject
    return found


def _left(stored: Mapping[str, Sequence[Span]], known: Known) -> dict[int, set[str]]:
    """By hour, the hosts that earlier passes left, of which the store still holds readings."""
    found: dict[int, set[str]] = defaultdict(set)
    for name, spans in stored.items():
        if (subject := known.subjects.get(name)) is None:
            continue
        frozen_ms = known.kept_from_ms + (subject.reach_ms if known.kept_from_ms > 0 else 0)
        for start_ms, end_ms in spans:
            for hour in range(start_ms, end_ms, HOUR_MS):
                if hour >= frozen_ms:
                    found[hour].add(name)
    return found


def _spans(hours: Mapping[int, Iterable[str]]) -> dict[str, list[Span]]:
    """By host, its hours as spans that do not touch."""
    found: dict[str, list[Span]] = defaultdict(list)
    for hour, names in sorted(hours.items()):
        for name in names:
            spans = found[name]
            if spans and spans[-1][1] == hour:
                spans[-1] = (spans[-1][0], hour + HOUR_MS)
            else:
                spans.append((hour, hour + HOUR_MS))
    return found


def _told(hosts: Mapping[int, Mapping[str, Subject]], known: Known) -> dict[str, list[Span]]:
    """By agent of these hosts: of which times that have ended it has told anew."""
    agents = {
        feed.agent
        for some in hosts.values()
        for subject in some.values()
        for feed in subject.meter.feeds
    }
    return {
        agent: merged(span for span in known.agent_marks.get(agent, ()) if span[1] <= known.now_ms)
        for agent in agents
    }


def _turns(known: Known, told: Mapping[str, Sequence[Span]]) -> Callable[[int], tuple[int, int]]:
    """In what order hours are shared out, by keys."""
    spans = merged(span for some in told.values() for span in some)
    soon_ms = known.kept_from_ms + _SOON_MS if known.kept_from_ms > 0 else 0

    def turn(hour: int) -> tuple[int, int]:
        if any(start < hour + HOUR_MS and end > hour for start, end in spans):
            return 0, -hour
        return 1 if hour < soon_ms else 2, -hour

    return turn


class _Due(NamedTuple):
    """A host whose hour is to be shared out, with its rows in it."""

    subject: Subject
    rows: Sequence[Row]


def _due(
    ledger: Ledger,
    site: Site,
    subjects: Sequence[Subject],
    start_ms: int,
    *,
    known: Known,
    told: Mapping[str, Sequence[Span]],
    left: Collection[str],
) -> list[_Due]:
    """Those for which a mark lies near the hour, whose shares do not add up, or that were left.

    A running hour is shared out with each quarter of it that ends, however often its rows are
    computed: an agent that also feeds meters brings them up to date with every pass.
    """
    end_ms = start_ms + HOUR_MS
    rows = _rows(ledger, site, [subject.name for subject in subjects], (start_ms, end_ms))
    shared = ledger.shared_hour(site.name, start_ms)
    near = {
        gap_ms: (_near(told, start_ms, gap_ms), _near(known.own_marks, start_ms, gap_ms))
        for gap_ms in {subject.guest_gap_ms for subject in subjects}
    }
    found: list[_Due] = []
    for subject in subjects:
        mine = rows.get(subject.name, [])
        amounts = [row.interval.amount for row in mine if row.interval.amount is not None]
        stands = (sum(amounts), _is_final(subject, mine, end_ms, known)) if amounts else None
        agents, names = near[subject.guest_gap_ms]
        marked = subject.name in names or subject.name in left
        marked = marked or any(feed.agent in agents for feed in subject.meter.feeds)
        differs = end_ms <= known.now_ms and stands != shared.get(subject.name)
        if differs or (amounts and marked):
            found.append(_Due(subject, mine))
    return found


def _near(marks: Mapping[str, Sequence[Span]], start_ms: int, gap_ms: int) -> set[str]:
    """Of whom a mark lies so near an hour that it may change who was seen in it."""
    low, high = start_ms - gap_ms, start_ms + HOUR_MS + gap_ms
    return {name for name, spans in marks.items() if any(a < high and b > low for a, b in spans)}


def _is_final(subject: Subject, rows: Sequence[Row], end_ms: int, known: Known) -> bool:
    """Whether nothing of a host's hour can change any more, late deliveries aside."""
    ended = rows[-1].interval.end_ms == end_ms or subject.final(end_ms, known.now_ms)
    return ended and all(row.final for row in rows)


def _rows(ledger: Ledger, site: Site, names: Sequence[str], span: Span) -> dict[str, list[Row]]:
    """The rows of some hosts that lie in an hour, in time order."""
    t = schema.intervals.c
    found: dict[str, list[Row]] = defaultdict(list)
    with ledger.transaction(writes=False) as connection:
        ids = subject_ids(connection, site.name, names)
        by_id = {key: name for name, key in ids.items()}
        wanted = (
            select(schema.intervals)
            .where(t.subject.in_(by_id), t.start_ms >= span[0], t.end_ms <= span[1])
            .where(t.start_ms < span[1])
            .order_by(t.start_ms)
        )
        for record in connection.execute(wanted):
            found[by_id[record[0]]].append(row_of(record))
    return found


class _Sharing:
    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        site: Site,
        *,
        hosting: Hosting,
        known: Known,
        alive: Alive,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._site = site
        self._hosting = hosting
        self._known = known
        self._alive = alive
        self._gaps = {name: one.guest_gap_ms for name, one in known.subjects.items()}
        self._gone = _undeclared(ledger, site)

    async def hour(self, start_ms: int, due: Sequence[_Due]) -> Saved:
        """Share out an hour of some hosts, then sum the rows of the guests concerned."""
        span = start_ms, start_ms + HOUR_MS
        without = [one.subject for one in due if not one.rows]
        guests = await self._save(start_ms, [HostHour(s.name, start_ms, ()) for s in without])
        due = [one for one in due if one.rows]
        agents = {feed.agent for one in due for feed in one.subject.meter.feeds}
        where = await self._hosting.residents(self._store, agents, span, self._alive)
        for at in range(0, len(due), _HOSTS_AT_ONCE):
            some = due[at : at + _HOSTS_AT_ONCE]
            shared = [HostHour(name, start_ms, ()) for name in self._replaced(some)]
            shared += await self._shared(some, where)
            guests |= await self._save(start_ms, shared)
        return await asyncio.to_thread(self._account, start_ms, guests)

    async def _save(self, start_ms: int, hours: Sequence[HostHour]) -> set[str]:
        touched = await asyncio.to_thread(self._ledger.save_shares, self._site.name, hours)
        self._alive()
        return touched.get(start_ms, set())

    def _account(self, start_ms: int, guests: set[str]) -> Saved:
        return account_guests(
            self._ledger,
            self._site.name,
            start_ms,
            guests,
            gaps=self._gaps,
            wrong_clocks=self._known.wrong_clocks,
            now_ms=self._known.now_ms,
            alive=self._alive,
        )

    def _replaced(self, due: Sequence[_Due]) -> Iterator[str]:
        """Names under which the same machines were shared out before they were declared, or since.

        A guest would be counted under both.
        """
        for one in due:
            for feed in one.subject.meter.feeds:
                if (name := f"{feed.agent}/{feed.resource}") != one.subject.name:
                    yield name
        yield from self._gone

    async def _shared(self, due: Sequence[_Due], where: Residents) -> list[HostHour]:
        store, span = self._store, where.span
        readings = await readings_of(store, [one.subject for one in due], *span)
        feeds = [one.subject.meter.feeds for one in due]
        guests = await self._hosting.uses(store, feeds, where, self._alive)
        own = await self._hosting.own_uses(store, feeds, span)
        self._alive()
        found: list[HostHour] = []
        for one, its_guests, of_host in zip(due, guests, own, strict=True):
            gpus = await self._hosting.gpus_of(store, one.subject.meter.feeds, where, its_guests)
            shares = await asyncio.to_thread(
                self._hour_of, one, readings, (of_host, its_guests, gpus), span
            )
            found.append(HostHour(one.subject.name, where.start_ms, shares))
            self._alive()
        return found

    def _hour_of(
        self,
        due: _Due,
        readings: Mapping[Series, Points],
        activity: tuple[OwnUse, Sequence[Guest], Sequence[Gpu]],
        span: Span,
    ) -> list[Share]:
        own, guests, gpus = activity
        amount = sum(row.interval.amount or 0.0 for row in due.rows)
        if amount < 0:  # no host gives power back: what is wrong with it is not shared out
            return []
        host = Host(
            due.subject.name,
            *span,
            amount=amount,
            slots=self._slots(due, readings, span),
            use=own.use,
            utilisation=own.utilisation,
            guests=guests,
            gpus=gpus,
            idle_power=due.subject.idle_power,
            model_idle_power=model.idle if (model := due.subject.meter.estimator) else None,
            final=_is_final(due.subject, due.rows, span[1], self._known),
        )
        return share_hour(host, self._site.idle)

    def _slots(
        self, due: _Due, readings: Mapping[Series, Points], span: Span
    ) -> list[Interval | None]:
        """What the host drew in each slot, by the channel that gave its row."""
        subject, rows = due
        series = {c: readings[c.series] for c in subject.channels if c.series in readings}
        reopen(self._ledger, self._site.name, [(subject, series)], span[0])
        declared = replace(subject.declared, meter=replace(subject.meter, interval_ms=SLOT_MS))
        suspended = suspensions(
            self._known.jumps.get(subject.name, ()), subject.declared.attended_ms
        )
        slots: dict[int, Interval] = {}
        for row in rows:
            channel = {c: points for c, points in series.items() if c.feed == row.feed}
            begins = range(row.interval.start_ms, row.interval.end_ms, SLOT_MS)
            for slot in compute(declared, channel, begins, suspended, self._known.wrong_clocks):
                slots[slot.interval.start_ms] = slot.interval
        return [slots.get(at) for at in range(*span, SLOT_MS)]


def _undeclared(ledger: Ledger, site: Site) -> list[str]:
    """Names of what was declared once, had rows, and is declared no more."""
    t = schema.subjects.c
    with ledger.transaction(writes=False) as connection:
        names = set(
            connection.execute(
                select(t.name).where(t.site == site.name, ~t.name.contains("/"))
            ).scalars()
        )
    names -= {meter.id for meter in site.topology.meters}
    return sorted(names.difference(host.id for host in site.hosts))
