"""Figures for the console and the JSON interface: worked out off the event loop, kept a while."""

import asyncio
import contextlib
import functools
import gc
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar, cast

from jauge_models.boundaries import Symbol
from jauge_models.effectiveness import DAY_MS
from jauge_models.intervals import Point
from jauge_models.reconciliation import Reconciliation
from jauge_models.resources import Series
from jauge_models.rules import Indicator
from jauge_models.topology import MEASURES, Topology
from jauge_models.wire import Address, Birth

from jauge_collector import civil, kpis
from jauge_collector.attested_rows import attested_rows
from jauge_collector.attribution import HostNow, hosts_now
from jauge_collector.compliance.archive import ARCHIVE
from jauge_collector.console.views import (
    HEADLINES,
    SILENT_MS,
    AgentView,
    MeterView,
    Presence,
    ReadingView,
    ResourceView,
    SiteView,
    agent_view,
    coverage,
    highlights,
    meter_view,
    patience_ms,
    presence,
    resource_views,
    silent,
    site_view,
)
from jauge_collector.inventory import Agent
from jauge_collector.kpis import Part, SiteKpis, Slot, Step
from jauge_collector.ledger.book import QUARTER_MS, Ledger, LedgerError
from jauge_collector.ledger.rows import Row
from jauge_collector.ledger.tickets import TicketBook, TicketList
from jauge_collector.reconciliation import month_of, reconciliations
from jauge_collector.registers.meters import topology_of
from jauge_collector.row_readings import Behind, readings_behind
from jauge_collector.sites import Site
from jauge_collector.state import ServiceState

CHECKED_S: Final = 3.0
"""For so long a figure is given again without asking the ledger whether it still holds."""
STALE_S: Final = 60.0
"""No figure is given that was not checked against the ledger within this time."""
PATIENCE_S: Final = 0.15
"""How long a caller waits for a check before being given the figure checked last."""
LONGEST_S: Final = 900.0
"""After it a figure is worked out anew whatever the ledger's stamp says."""
WORTH: Final = 100.0
"""So many times as long as it took to work out, a figure without a stamp is kept."""
MOST_WAITING: Final = 64
"""Figures that may wait to be worked out; beyond it `BusyError`."""
MOST_WATCHED: Final = 5_000
"""Series of a site that are looked at for silence; agents beyond it, by name, are not."""
YEAR_CHARTS: Final = (
    (Symbol.E_DC, Step.DAY),
    (Symbol.E_IT, Step.DAY),
    (Symbol.W_IN, Step.MONTH),
)
"""What an overview draws of twelve months."""

_KPI_KEYS: Final = ("twelve months", "quarter")
_FUTURE_MS: Final = 60_000
_MOST_KEPT: Final = 256
_LONG_MS: Final = 8 * DAY_MS
_RECENT_MS: Final = QUARTER_MS

_Result = TypeVar("_Result")


class BusyError(Exception):
    """Too many figures wait to be worked out already."""


@dataclass(frozen=True, slots=True)
class _Worked(Generic[_Result]):
    """A figure, the stamp of the ledger it was worked out from, and monotonic times.

    ``took_s``: how long that took.
    """

    figure: _Result
    stamp: object
    worked_s: float
    checked_s: float
    took_s: float


@dataclass(slots=True, eq=False)
class _Kept:
    last: _Worked[Any] | None = None
    running: "asyncio.Future[_Worked[Any]] | None" = None


class Figures:
    """What the pages and the JSON interface show.

    An unknown site raises KeyError. What reads the ledger raises LedgerError and BusyError, what
    reads the store StoreError. Months and quarters are those of the site's clock. `close` it.
    """

    def __init__(self, state: ServiceState) -> None:
        self._state = state
        self._policy = state.config.policy.coverage()
        self._path = state.config.state(state.config.ledger.path)
        self._ledger: Ledger | None = None
        self._opening = threading.Lock()
        self._short = ThreadPoolExecutor(max_workers=1, thread_name_prefix="figures-short")
        self._long = ThreadPoolExecutor(max_workers=1, thread_name_prefix="figures-long")
        self._kept: dict[Hashable, _Kept] = {}
        self._silent: dict[str, tuple[float, dict[str, list[Series]]]] = {}
        self._hosts: dict[str, tuple[float, list[HostNow]]] = {}
        self._asking = asyncio.Lock()
        self.waiting = 0
        """Figures that are being worked out or wait for it; at most `MOST_WAITING`."""
        self.turned_away = 0
        """How often there was no room for one more."""

    async def warm(self) -> None:
        """Work out what the first visitor of each overview would wait for.

        Whatever cannot be had now is left to that visitor.
        """
        for site in self._state.sites.values():
            with contextlib.suppress(BusyError, LedgerError):
                await self.this_quarter(site.name)
                await self.twelve_months(site.name)
                year = twelve_months(site, now_ms())
                for symbol, step in YEAR_CHARTS:
                    await self.profile(site.name, symbol, *year, step)

    async def close(self) -> None:
        """Drop what waits, let what runs end, and release the ledger."""
        for executor in (self._short, self._long):
            await asyncio.to_thread(executor.shutdown, cancel_futures=True)
        if self._ledger is not None:
            self._ledger.close()

    async def kpis(self, site: str, start_ms: int, end_ms: int) -> SiteKpis:
        """Indicators over [start, end). Raises ValueError where it is empty."""
        of = self._state.sites[site]
        civil.period(start_ms, end_ms, of.zone)
        if (start_ms, end_ms) == twelve_months(of, now_ms()):
            return await self.twelve_months(site)
        return await self._kpis(("kpis", site, start_ms, end_ms), site, start_ms, end_ms)

    async def twelve_months(self, site: str) -> SiteKpis:
        """Indicators of the twelve months up to today's midnight."""
        span = twelve_months(self._state.sites[site], now_ms())
        return await self._kpis(("twelve months", site), site, *span)

    async def this_quarter(self, site: str) -> SiteKpis:
        """Indicators of the civil quarter up to the last quarter of an hour that has ended."""
        span = quarter_so_far(self._state.sites[site], now_ms())
        return await self._kpis(("quarter", site), site, *span)

    @property
    def kpi_age_s(self) -> float | None:
        """Seconds since the oldest indicator shown was checked; None before the first."""
        checked_s = [
            kept.last.checked_s
            for key, kept in list(self._kept.items())
            if isinstance(key, tuple) and key[0] in _KPI_KEYS and kept.last is not None
        ]
        return time.monotonic() - min(checked_s) if checked_s else None

    async def profile(
        self, site: str, of: Symbol | str, start_ms: int, end_ms: int, step: Step
    ) -> list[Slot]:
        """Slots of a chart over [start, end), of a total or of a meter by its id.

        A slot whose ``amount`` (J or m3) is None is a gap. Empty where the site declares no such
        total; KeyError for an unknown meter. Ask for ends that move seldom: they are the key.
        """
        known = self._state.sites[site]
        subject = known.equation(of) if isinstance(of, Symbol) else known.topology.meter(of).id
        if subject is None:
            return []
        meters = [subject] if isinstance(subject, str) else [t.meter for t in subject.terms]

        def work(ledger: Ledger) -> list[Slot]:
            return kpis.energy_profile(ledger, known, subject, start_ms, end_ms, step=step)

        key = ("profile", site, of, start_ms, end_ms, step)
        return await self._figure(key, site, meters, (start_ms, end_ms), work)

    async def parts(
        self, site: str, indicator: Indicator, start_ms: int, end_ms: int
    ) -> dict[Symbol, list[Part]]:
        """What each term of an indicator's totals adds to them; see `kpis.parts_of`."""
        of = self._state.sites[site]
        meters = list(dict.fromkeys(term.meter for e in of.equations for term in e.terms))

        def work(ledger: Ledger) -> dict[Symbol, list[Part]]:
            return kpis.parts_of(ledger, of, indicator, start_ms, end_ms)

        key = ("parts", site, indicator, start_ms, end_ms)
        return await self._figure(key, site, meters, (start_ms, end_ms), work)

    async def rows(self, site: str, meter: str, start_ms: int, end_ms: int) -> list[Row]:
        """A meter's ledger rows touching [start, end), with their provenance; never kept."""
        name = self._state.sites[site].topology.meter(meter).id
        return await self._submit(
            lambda: self._book().current(site, name, start_ms, end_ms), end_ms - start_ms
        )

    async def bills(self, site: str, meter: str, start_ms: int, end_ms: int) -> list[Row]:
        """Signed amounts of a meter that count and touch [start, end); see `attested_rows`."""
        of = self._state.sites[site]
        return await self._submit(
            lambda: attested_rows(self._book(), of, meter, start_ms, end_ms), end_ms - start_ms
        )

    async def readings(self, site: str, meter: str, row: Row) -> list[Behind]:
        """Raw readings behind one row of a meter. Raises StoreError."""
        of = self._state.sites[site]
        return await readings_behind(
            self._state.store,
            of,
            of.topology.meter(meter),
            [row],
            archive=self._state.config.state(ARCHIVE),
            now_ms=now_ms(),
        )

    async def meters(self, site: str, *, readings: bool = True) -> list[MeterView]:
        """Every meter of a site, in the order of its file.

        Without ``readings`` the store is not asked: which meter is silent is then unknown.
        """
        of = self._state.sites[site]
        latest = await self._newest(of, _feeds(of), now_ms()) if readings else {}
        now = now_ms()
        midnight = civil.midnight_ms(civil.day(now, of.zone), of.zone)
        first = civil.midnight_ms(civil.first_of_month(civil.day(now, of.zone)), of.zone)
        ids = [meter.id for meter in of.topology.meters]
        # The month up to today seldom changes: only the last days are read each time.
        past: dict[str, float] = {}
        if midnight > first:

            def covered(ledger: Ledger) -> dict[str, float]:
                rows = ledger.rows(site, ids, first, midnight)
                return {meter: coverage(rows[meter], first, midnight) for meter in ids}

            past = await self._figure(("month", site), site, ids, (first, midnight), covered)

        def work() -> list[MeterView]:
            book = self._book()
            commissioned = book.commissioned(site)
            rows = book.rows(site, ids, min(now - DAY_MS, midnight), now)
            patience = self._patience(book, of) if readings else {}
            return [
                meter_view(
                    of,
                    meter,
                    rows[meter.id],
                    latest,
                    commissioned,
                    day=(now - DAY_MS, now),
                    coverage_month=(
                        past.get(meter.id, 0.0) * (midnight - first)
                        + coverage(rows[meter.id], midnight, now) * (now - midnight)
                    )
                    / max(1, now - first),
                    silent=silent(of, meter, latest, patience, now) if readings else None,
                )
                for meter in of.topology.meters
            ]

        return await self._submit(work, DAY_MS)

    async def coverage(self, site: str, start_ms: int, end_ms: int) -> dict[str, float]:
        """Measured share of [start, end) of every meter of a site, by id."""
        ids = [meter.id for meter in self._state.sites[site].topology.meters]

        def work(ledger: Ledger) -> dict[str, float]:
            rows = ledger.rows(site, ids, start_ms, end_ms, proofs=False)
            return {meter: coverage(rows[meter], start_ms, end_ms) for meter in ids}

        key = ("coverage", site, start_ms, end_ms)
        return await self._figure(key, site, ids, (start_ms, end_ms), work)

    def _patience(self, book: Ledger, site: Site) -> dict[str, int]:
        """Of every feeding agent that was ever heard of: for how long it may say nothing."""
        known = book.oldest(site.name).keys()
        found: dict[str, int] = {}
        for name in {feed.agent for meter in site.topology.meters for feed in meter.feeds}:
            agent = self._state.inventory.get(Address(site.name, name))
            if agent is not None:
                found[name] = patience_ms(agent)
            elif name in known:
                found[name] = SILENT_MS
        return found

    def agents(self, site: str) -> list[AgentView]:
        """Every agent of a site that was heard of, by name."""
        now = now_ms()
        name = self._state.sites[site].name
        return [agent_view(agent, now) for agent in self._state.inventory.of_site(name)]

    def birth(self, site: str, agent: str) -> Birth | None:
        """What an agent said of itself at its start."""
        known = self._state.inventory.get(Address(site, agent))
        return known.birth if known else None

    async def agent(self, site: str, agent: str) -> tuple[AgentView, list[ResourceView]] | None:
        """One agent and what it measures; None when it was never heard of."""
        of = self._state.sites[site]
        known = self._state.inventory.get(Address(site, agent))
        if known is None:
            return None
        latest = await self._newest(of, _series_of(known), now_ms())
        return agent_view(known, now_ms()), resource_views(known, latest)

    async def highlights(
        self,
        site: str,
        agents: Iterable[str],
        seen: Callable[[Series, int], bool] = lambda _series, _time_ms: True,
    ) -> dict[str, list[ReadingView]]:
        """For some agents by name: the few newest readings that tell best how each one does.

        ``seen`` says of which series, and of which of its times, a reading may be among them.
        """
        of = self._state.sites[site]
        wanted: list[Series] = []
        names: list[str] = []
        for name in agents:
            known = self._state.inventory.get(Address(site, name))
            if known is not None:
                names.append(name)
                wanted += [s for s in _series_of(known) if s.quantity in HEADLINES]
        newest = await self._newest(of, wanted, now_ms())
        latest = {one: point for one, point in newest.items() if seen(one, point.time_ms)}
        return {name: highlights(name, latest) for name in names}

    async def silent(
        self, site: str, seen: Callable[[Series], bool] = lambda _: True
    ) -> dict[str, int]:
        """Of each online agent: how many quantities that it describes have no fresh reading.

        By name. Agents beyond `MOST_WATCHED` series are left out.
        """
        mute = await self._mute(site)
        return {agent: sum(map(seen, series)) for agent, series in mute.items()}

    async def _mute(self, site: str) -> dict[str, list[Series]]:
        made_s, mute = self._silent.get(site, (-STALE_S, {}))
        if time.monotonic() - made_s < CHECKED_S:
            return mute
        now = now_ms()
        groups: dict[int, list[Series]] = {}
        watched: dict[str, list[Series]] = {}
        number = 0
        for agent in self._state.inventory.of_site(self._state.sites[site].name):
            series = _series_of(agent)
            number += len(series)
            if number > MOST_WATCHED:
                break
            if presence(agent, now) is Presence.ONLINE:
                watched[agent.address.agent] = series
                groups.setdefault(min(patience_ms(agent), DAY_MS), []).extend(series)
        fresh: set[Series] = set()
        for patience, some in groups.items():
            found = await self._state.store.read(some, now - patience, now + _FUTURE_MS)
            fresh.update(one for one, points in found.items() if points)
        mute = {
            name: [one for one in series if one not in fresh] for name, series in watched.items()
        }
        self._silent[site] = (time.monotonic(), mute)
        return mute

    async def hosts_now(self, site: str) -> list[HostNow]:
        """Hosts of guests with what each guest draws now. Raises StoreError."""
        async with self._asking:
            made_s, hosts = self._hosts.get(site, (-STALE_S, []))
            if time.monotonic() - made_s >= CHECKED_S:
                state = self._state
                hosts = await hosts_now(state.sites[site], state.store, state.inventory, now_ms())
                self._hosts[site] = (time.monotonic(), hosts)
            return hosts

    async def kept(
        self,
        key: Hashable,
        site: str,
        span: tuple[int, int],
        work: Callable[[Ledger], _Result],
        *,
        longest_s: float | None = None,
    ) -> _Result:
        """A figure out of shares of a span, worked out again after so long.

        No stamp tells whether shares changed. Unless told otherwise it is kept for `WORTH` times as
        long as it took, and no longer than `LONGEST_S`.
        """
        return await self._figure(key, site, (), span, work, longest_s=longest_s)

    async def read(self, length_ms: int, work: Callable[[Ledger], _Result]) -> _Result:
        """What is read from the ledger over a span of that length; never kept."""
        return await self._submit(lambda: work(self._book()), length_ms)

    async def topology(self, site: str) -> Topology:
        """Meters with the factors and replacements of the registers, and every declared event."""
        of = self._state.sites[site]
        return await self._submit(lambda: topology_of(self._book(), of), 0)

    async def tickets(self, site: str) -> TicketList:
        """Tickets of the cross-checks, and how these stand; never kept."""
        name = self._state.sites[site].name
        return await self._submit(lambda: TicketBook(self._book()).list(name), 0)

    async def reconciliations(
        self, site: str, month: str, tenants: tuple[str, ...]
    ) -> list[Reconciliation]:
        """Hosts against E_IT over a month, ``2026-01``; the last whole one where empty.

        Of each tenant, or of the site for an empty name. Raises ValueError for what is no month.
        """
        of = self._state.sites[site]
        span = month_of(month, of, now_ms())
        equation = of.equation(Symbol.E_IT)
        meters = [term.meter for term in equation.terms] if equation else []

        def work(ledger: Ledger) -> list[Reconciliation]:
            return reconciliations(ledger, of, *span, self._policy, tenants=tenants)

        return await self._figure(("reconciliation", site, span, tenants), site, meters, span, work)

    async def sites(self) -> list[SiteView]:
        """Every site of the configuration."""
        inventory = self._state.inventory
        return [
            site_view(site, len(inventory.of_site(name)))
            for name, site in self._state.sites.items()
        ]

    # --- readings

    async def _newest(self, site: Site, series: Iterable[Series], now: int) -> dict[Series, Point]:
        """The newest reading of each, up to a day before its agent's newest pack.

        Sought in the last quarter of an hour first, so that a store with many readings is asked
        for few.
        """
        groups: dict[int, list[Series]] = {}
        for one in series:
            agent = self._state.inventory.get(Address(site.name, one.agent))
            heard = agent.newest_ms if agent is not None and agent.newest_ms else now
            until = max(now, heard) if heard > now - _RECENT_MS // 3 else heard
            groups.setdefault(until + 1, []).append(one)
        found: dict[Series, Point] = {}
        for until, some in groups.items():
            for start, end in (
                (until - _RECENT_MS, until),
                (until - DAY_MS, until - _RECENT_MS),
            ):
                missing = [one for one in some if one not in found]
                if missing:
                    points = await self._state.store.read(missing, start, end)
                    found |= {one: read[-1] for one, read in points.items() if read}
        return found

    # --- kept figures

    async def _kpis(self, key: Hashable, site: str, start_ms: int, end_ms: int) -> SiteKpis:
        of = self._state.sites[site]
        meters = dict.fromkeys(term.meter for e in of.equations for term in e.terms)

        def work(ledger: Ledger) -> SiteKpis:
            return kpis.site_kpis(ledger, of, start_ms, end_ms, self._policy)

        return await self._figure(key, site, list(meters), (start_ms, end_ms), work)

    async def _figure(
        self,
        key: Hashable,
        site: str,
        meters: Sequence[str],
        span: tuple[int, int],
        work: Callable[[Ledger], _Result],
        *,
        longest_s: float | None = LONGEST_S,
    ) -> _Result:
        """A figure out of rows of these meters in a span: the kept one for as long as it holds."""
        kept = self._kept[key] = self._kept.pop(key, _Kept())
        if len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        last = kept.last
        age_s = time.monotonic() - last.checked_s if last else STALE_S
        if last is not None and age_s < CHECKED_S:
            return cast(_Result, last.figure)
        if kept.running is None:
            job = functools.partial(
                self._again, last, site, meters, span, work, longest_s=longest_s
            )
            kept.running = self._submit(job, span[1] - span[0])
            kept.running.add_done_callback(functools.partial(_settle, kept))
        running = kept.running
        if last is not None and age_s < STALE_S:
            done, _ = await asyncio.wait([running], timeout=PATIENCE_S)
            if not done:
                return cast(_Result, last.figure)
        return cast(_Result, (await asyncio.shield(running)).figure)

    def _again(
        self,
        last: _Worked[_Result] | None,
        site: str,
        meters: Sequence[str],
        span: tuple[int, int],
        work: Callable[[Ledger], _Result],
        *,
        longest_s: float | None,
    ) -> _Worked[_Result]:
        """On a worker thread: the same figure if the ledger still says so, else a new one."""
        book = self._book()
        now = time.monotonic()
        stamp = (span, book.stamp(site, meters, *span))
        if last is not None and last.stamp == stamp:
            worth_s = min(LONGEST_S, WORTH * last.took_s) if longest_s is None else longest_s
            if now - last.worked_s < worth_s:
                return replace(last, checked_s=now)
        figure = work(book)
        done = time.monotonic()
        return _Worked(figure, stamp, now, done, done - now)

    def _submit(self, job: Callable[[], _Result], length_ms: int) -> "asyncio.Future[_Result]":
        """On the thread for short or for long spans. Raises BusyError."""
        if self.waiting >= MOST_WAITING:
            self.turned_away += 1
            raise BusyError(f"{self.waiting} figures wait to be worked out; try again later")
        loop = asyncio.get_running_loop()
        if length_ms > _LONG_MS:
            future = loop.run_in_executor(self._long, _uncollected, job)
        else:
            future = loop.run_in_executor(self._short, job)
        self.waiting += 1
        future.add_done_callback(self._done)
        return future

    def _done(self, _: "asyncio.Future[Any]") -> None:
        self.waiting -= 1

    def _book(self) -> Ledger:
        """The ledger, opened on a worker thread: opening may wait for a writer."""
        with self._opening:
            if self._ledger is None:
                self._ledger = Ledger(self._path)
            return self._ledger


def now_ms() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000


def twelve_months(site: Site, now: int) -> tuple[int, int]:
    """The twelve months up to the last midnight on the site's clock."""
    today = civil.day(now, site.zone)
    leap_day = (today.month, today.day) == (2, 29)
    ago = today.replace(year=today.year - 1, day=28 if leap_day else today.day)
    return civil.midnight_ms(ago, site.zone), civil.midnight_ms(today, site.zone)


def quarter_so_far(site: Site, now: int) -> tuple[int, int]:
    """The civil quarter up to the last quarter of an hour that ended; in its first, the last one.

    Never empty.
    """
    end = now - now % QUARTER_MS
    today = civil.day(end - 1, site.zone)
    first = civil.first_of_month(today, -((today.month - 1) % 3))
    return civil.midnight_ms(first, site.zone), end


def _uncollected(job: Callable[[], _Result]) -> _Result:
    """A job without the garbage collector: rows have no cycles, and it stops all threads.

    A look through a year of them stalls the event loop for a quarter of a second.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        return job()
    finally:
        if collecting:
            gc.enable()


def _settle(kept: _Kept, done: "asyncio.Future[_Worked[Any]]") -> None:
    kept.running = None
    if not done.cancelled() and done.exception() is None:
        kept.last = done.result()


def _feeds(site: Site) -> list[Series]:
    return [
        Series(site.name, feed.agent, feed.resource, quantity)
        for meter in site.topology.meters
        for feed in meter.feeds
        for measures in (MEASURES[meter.commodity],)
        for quantity in (measures.power, measures.register, measures.amount)
        if quantity is not None
    ]


def _series_of(agent: Agent) -> list[Series]:
    """What its birth document says that it measures."""
    return [
        Series(*agent.address, resource.id, quantity)
        for resource in (agent.birth.resources if agent.birth else ())
        for quantity in resource.quantities
    ]
