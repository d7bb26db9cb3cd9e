"""Hosts and guests as one visitor may see them: watts now, energy of a day, a month, and by whom.

A visitor who is limited to tenants sees the guests that are theirs (`holders`), each with the
energy of the hours in which it was theirs. A host says with its guests what each of them draws by
difference: it exists for such a visitor only where it is theirs, and all that ran on it was theirs
too, over all the time that is shown.
"""

import contextlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import fsum
from typing import Final

from jauge_models.crosschecks import HOUR_MS
from jauge_models.effectiveness import DAY_MS

from jauge_collector import civil
from jauge_collector.access.holders import Holders
from jauge_collector.access.tenancy import Held, Tenancy, holds, within
from jauge_collector.attribution import GuestNow, HostNow
from jauge_collector.console.figures import Figures
from jauge_collector.console.hosting_views import (
    Grouping,
    GuestHistory,
    GuestView,
    HostHistory,
    HostView,
    PartNow,
    RollUp,
    Span,
)
from jauge_collector.console.roll_ups import rolled_up
from jauge_collector.guest_amounts import Amount, amounts, amounts_of
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.guest_profiles import host_ids
from jauge_collector.ledger.guest_use import HostEnergy, Use, host_energies, use_of
from jauge_collector.ledger.histories import Histories, described, labels_at
from jauge_collector.ledger.shares import OWN, HostCheck, Share, ShareTotal
from jauge_collector.sites import Site
from jauge_collector.stores import StoreError

KIND: Final = "guest:"
MONTH_MS: Final = 30 * DAY_MS
USE_DAYS: Final = 35
"""Five whole weeks up to the last midnight are judged."""
SEEN_MS: Final = (USE_DAYS + 2) * DAY_MS
"""Over so long a host and all on it must be a tenant's: as long as anything that is shown of it."""
USE_KEPT_S: Final = 6 * 3600.0
"""The judgement is of whole days and takes long: so long it is kept."""


@dataclass(frozen=True, slots=True)
class Live:
    """What runs now, as far as it may be seen; ``answers``: whether the store did."""

    hosts: Mapping[str, HostNow]
    guests: Mapping[str, tuple[HostNow, GuestNow]]
    """By guest, ``<agent>/guest:<uuid>``."""
    answers: bool


class Hosting:
    """One site's hosts and guests for one request; ``tenants`` None: all of them.

    Raises LedgerError and BusyError. Without the store what is drawn now is not known.
    """

    def __init__(
        self,
        figures: Figures,
        site: Site,
        tenancy: Tenancy,
        tenants: frozenset[str] | None,
        now_ms: int,
    ) -> None:
        self._figures = figures
        self._site = site
        self._tenancy = tenancy
        self._tenants = tenants
        self._now = now_ms
        until = now_ms - now_ms % HOUR_MS
        self.day: Final[Span] = (until - DAY_MS, until)
        self.month: Final[Span] = (until - MONTH_MS, until)
        self._seen: Final[Span] = (until - SEEN_MS, until)
        self._told: tuple[Histories, Holders] | None = None
        self._live: Live | None = None
        self._ran: dict[str, set[str]] | None = None

    # --- hosts

    async def hosts(self) -> list[HostView]:
        """Every host that exists for the visitor, by name."""
        day, month = (
            await self._energies("day", self.day),
            await self._energies("month", self.month),
        )
        checks = await self._checks()
        live, histories = await self.live(), (await self._known())[0]
        names = [n for n in {*live.hosts, *month} if await self.shows(n)]
        views = [
            self._host(name, live, histories, (day, month), checks.get(name)) for name in names
        ]
        return sorted(views, key=lambda view: (view.name, view.host))

    async def host(self, host: str) -> HostHistory:
        """One host; of its guests only what they draw now. Raises KeyError where it is not seen."""
        found = next((view for view in await self.hosts() if view.host == host), None)
        if found is None:
            raise KeyError(host)
        live, known = await self.live(), await self._known()
        name = self._site.name
        guests = [
            self._guest(guest_id(one), one, live, known=known, energies=(None, None), shown=(host,))
            for one, (now, _) in live.guests.items()
            if now.host == host
        ]
        return HostHistory(
            host=found,
            policy=self._site.idle,
            guests=[view for view in guests if view.now is not None],
            hours=await self._figures.read(
                DAY_MS, lambda ledger: ledger.shares(name, *self.day, host=host)
            ),
            span=self.day,
            answers=live.answers,
        )

    async def shows(self, host: str) -> bool:
        """Whether a host exists for the visitor."""
        if self._tenants is None:
            return True
        holders = (await self._known())[1]
        span = (self._seen[0], self._now)
        if within(holders.host(host, self._tenants), *span) is None:
            return False
        if self._ran is None:
            self._ran = defaultdict(set)
            for one in await self._totals("seen", self._seen):
                self._ran[one.host].add(one.guest)
            with contextlib.suppress(StoreError):
                for now in await self._hosts_now():
                    self._ran[now.host].update(guest.guest for guest in now.guests)
        guests = self._ran[host] - {OWN}
        return all(within(self._held(holders, one), *span) is not None for one in guests)

    # --- guests

    async def guests(self) -> list[GuestView]:
        """Every guest that exists for the visitor and was seen in the month, by name."""
        live, (histories, holders) = await self.live(), await self._known()
        day = _by_guest(await self._amounts("day", self.day))
        month = _by_guest(await self._amounts("month", self.month))
        shown = {host for host in live.hosts if await self.shows(host)}
        seen: dict[str, set[str]] = defaultdict(set)
        for subject in [*live.guests, *(one.guest for some in month.values() for one in some)]:
            seen[guest_id(subject)].add(subject)

        def newest(subject: str) -> tuple[bool, int]:
            said = described(histories, subject, self._now)
            return subject in live.guests, said.from_ms if said else 0

        def views(_: Ledger) -> list[GuestView]:
            found: list[GuestView] = []
            for guest, subjects in seen.items():
                own = sorted(one for one in subjects if self._has(holders, one))
                if own:
                    energies = day.get(guest), month.get(guest)
                    subject = max(own, key=newest)
                    known = histories, holders
                    found.append(
                        self._guest(
                            guest, subject, live, known=known, energies=energies, shown=shown
                        )
                    )
            return sorted(found, key=lambda view: (view.name, view.guest))

        return await self._figures.read(0, views)

    async def guest(self, guest: str) -> GuestHistory:
        """One guest, by its UUID. Raises KeyError where it does not exist for the visitor."""
        found = next((view for view in await self.guests() if view.guest == guest), None)
        if found is None:
            raise KeyError(guest)
        histories, holders = await self._known()
        live, resource = await self.live(), f"{KIND}{guest}"
        month = await self._amounts("month", self.month)
        agents = {agent for agent, one in histories if one == resource}
        agents |= {
            subject.partition("/")[0]
            for subject in (
                *live.guests,
                *(one.guest for one in month),
            )
            if guest_id(subject) == guest
        }
        subjects = [f"{agent}/{resource}" for agent in sorted(agents)]
        name = self._site.name

        def shares(ledger: Ledger) -> list[Share]:
            return [
                share
                for subject in subjects
                for share in ledger.shares(name, *self.month, guest=subject)
                if self._within(holders, share)
            ]

        seen = await self._figures.read(DAY_MS, shares)
        hosts = {view.host: view.name for view in await self.hosts()}
        places = {found.host, *(share.host for share in seen)}
        return GuestHistory(
            guest=found,
            shares=sorted(seen, key=lambda share: (share.start_ms, share.host)),
            span=self.month,
            descriptions=sorted(
                (one for agent in agents for one in histories.get((agent, resource), ())),
                key=lambda one: one.from_ms,
            ),
            shown_hosts={host: hosts[host] for host in places if host in hosts},
            answers=live.answers,
        )

    # --- roll-ups

    async def roll_ups(self, span: Span) -> list[RollUp]:
        """A span's energy by cluster, tenant and service."""
        whole = self._tenants is None
        clusters = {view.host: view.cluster for view in await self.hosts()} if whole else {}

        def work(ledger: Ledger) -> list[RollUp]:
            histories, holders = self._read_known(ledger)
            found = self._amounts_in(ledger, holders, span)
            return [
                rolled_up(found, by, span, clusters=clusters, histories=histories, whole=whole)
                for by in Grouping
            ]

        key = ("roll-ups", self._site.name, span, self._tenants)
        return await self._figures.kept(key, self._site.name, span, work)

    # --- use

    async def use(self) -> Use:
        """What guests did with what they were given, of those that are the visitor's throughout."""
        today = civil.day(self._now, self._site.zone)
        days = (today - timedelta(days=USE_DAYS), today)
        span = tuple(civil.midnight_ms(day, self._site.zone) for day in days)
        site = self._site
        found = await self._figures.kept(
            ("use", site.name),
            site.name,
            (span[0], span[1]),
            lambda ledger: use_of(ledger, site, span[0], span[1]),
            longest_s=USE_KEPT_S,
        )
        if self._tenants is None:
            return found
        holders = (await self._known())[1]
        own = {
            guest
            for guest, subjects in found.subjects.items()
            if all(
                within(self._held(holders, one), found.start_ms, self._now) is not None
                for one in subjects
            )
        }
        hosts = {host for host in found.residents if await self.shows(host)}
        return found.only(own, hosts)

    # --- what it is made of

    async def live(self) -> Live:
        """What runs now."""
        if self._live is None:
            try:
                found = await self._hosts_now()
            except StoreError:
                self._live = Live({}, {}, answers=False)
                return self._live
            holders = (await self._known())[1]
            self._live = Live(
                {now.host: now for now in found if await self.shows(now.host)},
                {
                    guest.guest: (now, guest)
                    for now in found
                    for guest in now.guests
                    if self._tenants is None
                    or holds(self._held(holders, guest.guest), now.time_ms or self._now)
                },
                answers=True,
            )
        return self._live

    async def _hosts_now(self) -> Sequence[HostNow]:
        return await self._figures.hosts_now(self._site.name)

    async def _known(self) -> tuple[Histories, Holders]:
        if self._told is None:
            self._told = await self._figures.read(0, self._read_known)
        return self._told

    def _read_known(self, ledger: Ledger) -> tuple[Histories, Holders]:
        """Descriptions, only those that were given while the thing was the visitor's."""
        histories: Histories = ledger.histories(self._site.name)
        holders = Holders(self._tenancy, histories)
        if self._tenants is not None:
            histories = {
                (agent, resource): [
                    one
                    for one in history
                    if holds(self._held(holders, f"{agent}/{resource}"), one.from_ms)
                ]
                for (agent, resource), history in histories.items()
            }
        return histories, holders

    def _held(self, holders: Holders, subject: str) -> Held:
        agent, _, resource = subject.partition("/")
        if resource.startswith(KIND):
            return holders.guest(agent, resource, self._tenants or frozenset())
        return holders.host(subject, self._tenants or frozenset())

    def _has(self, holders: Holders, subject: str) -> bool:
        return self._tenants is None or holds(self._held(holders, subject), self._now)

    def _within(self, holders: Holders, share: Share) -> bool:
        return self._tenants is None or (
            within(self._held(holders, share.guest), share.start_ms, share.end_ms) is not None
        )

    async def _totals(self, which: str, span: Span) -> list[ShareTotal]:
        name = self._site.name
        return await self._figures.kept(
            ("share totals", name, which), name, span, lambda one: one.share_totals(name, *span)
        )

    async def _amounts(self, which: str, span: Span) -> list[Amount]:
        if self._tenants is None:
            return [
                Amount(one.host, one.guest, "", one.energy, one.certainty)
                for one in await self._totals(which, span)
            ]

        def work(ledger: Ledger) -> list[Amount]:
            return self._amounts_in(ledger, self._read_known(ledger)[1], span)

        key = ("amounts", self._site.name, which, self._tenants)
        return await self._figures.kept(key, self._site.name, span, work)

    def _amounts_in(self, ledger: Ledger, holders: Holders, span: Span) -> list[Amount]:
        totals = ledger.share_totals(self._site.name, *span)
        if self._tenants is None:
            return amounts(ledger, self._site.name, totals, holders, span)
        return amounts_of(ledger, self._site.name, totals, holders, span, tenants=self._tenants)

    async def _energies(self, which: str, span: Span) -> dict[str, HostEnergy]:
        name = self._site.name

        def work(ledger: Ledger) -> dict[str, HostEnergy]:
            with ledger.transaction(writes=False) as connection:
                return host_energies(connection, host_ids(connection, name), *span)

        return await self._figures.kept(("host energies", name, which), name, span, work)

    async def _checks(self) -> dict[str, HostCheck]:
        name, day = self._site.name, self.day
        key = ("host checks", name)
        return await self._figures.kept(key, name, day, lambda one: one.host_checks(name, *day))

    def _host(
        self,
        host: str,
        live: Live,
        histories: Histories,
        energies: tuple[Mapping[str, HostEnergy], Mapping[str, HostEnergy]],
        check: HostCheck | None,
    ) -> HostView:
        now = live.hosts.get(host)
        declared = next((one for one in self._site.hosts if one.id == host), None)
        feeds = [f"{f.agent}/{f.resource}" for f in declared.meter.feeds] if declared else [host]
        told = (described(histories, feed, self._now) for feed in feeds)
        said = next((one for one in told if one is not None), None)
        labels = now.labels if now is not None else said.labels if said else {}
        name = now.name if now is not None else said.name if said else ""
        of_day, of_month = (some.get(host) for some in energies)
        return HostView(
            site=self._site.name,
            host=host,
            name=(declared.meter.name if declared else name) or host,
            cluster=(declared.cluster if declared else "") or labels.get("cluster", ""),
            power=None if now is None else now.power,
            certainty=None if now is None else now.certainty,
            own=None if now is None or now.own is None else _part(now.own),
            time_ms=None if now is None else now.time_ms,
            reason=None if now is None or now.power is not None else now.reason,
            guests=None if now is None else len(now.guests),
            energy_day=None if of_day is None else of_day.energy,
            coverage_day=_coverage(of_day, self.day),
            energy_month=None if of_month is None else of_month.energy,
            coverage_month=_coverage(of_month, self.month),
            basis=None if of_month is None else of_month.basis,
            grade=None if of_month is None else of_month.grade,
            reconciliation_day=None if check is None else check.reconciliation,
            doubts_day={} if check is None else check.doubts,
        )

    def _guest(
        self,
        guest: str,
        subject: str,
        live: Live,
        *,
        known: tuple[Histories, Holders],
        energies: tuple[Sequence[Amount] | None, Sequence[Amount] | None],
        shown: Collection[str],
    ) -> GuestView:
        histories, holders = known
        agent, _, resource = subject.partition("/")
        host, now = live.guests.get(subject, (None, None))
        said = described(histories, subject, self._now)
        labels = labels_at(histories, subject, self._now)
        pieces = holders.pieces(agent, resource, self._now, self._now + 1)
        running = now is not None and host is not None and host.power is not None
        day, month = energies
        return GuestView(
            site=self._site.name,
            guest=guest,
            name=(said.name if said else "") or guest,
            cluster=labels.get("cluster", ""),
            tenant=pieces[0].tenant if pieces else "",
            service=labels.get("service", ""),
            pool=labels.get("pool", ""),
            host=host.host if host is not None and host.host in shown else "",
            now=_part(now) if now is not None and running else None,
            busy=None if now is None else now.busy,
            processors=None if now is None else now.processors,
            energy_day=None if day is None else fsum(one.energy for one in day),
            energy_month=None if month is None else fsum(one.energy for one in month),
            certainty=None
            if month is None
            else max((one.certainty for one in month), key=lambda one: one.rank),
        )


def guest_id(subject: str) -> str:
    """The UUID in ``<agent>/guest:<uuid>``."""
    return subject.partition(f"/{KIND}")[2]


def _part(part: PartNow | GuestNow) -> PartNow:
    return PartNow(part.idle, part.dynamic, part.gpu, part.power, part.certainty)


def _coverage(energy: HostEnergy | None, span: Span) -> float:
    return 0.0 if energy is None else min(1.0, energy.covered_ms / (span[1] - span[0]))


def _by_guest(found: Iterable[Amount]) -> dict[str, list[Amount]]:
    by: dict[str, list[Amount]] = {}
    for one in found:
        if one.guest != OWN:
            by.setdefault(guest_id(one.guest), []).append(one)
    return by
