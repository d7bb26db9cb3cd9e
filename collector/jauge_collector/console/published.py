"""What /metrics shows of the sites beside their indicators: worked out beside the scrapes.

A scrape never waits for long: it begins to work out anew what is older than `AGAIN_S`, and shows
what is ready within a short time. What has become older than `STALE_S` is no longer shown. The
record is that which the console keeps; it is asked for now and then, and judged no more often
than for a visitor.
"""

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Final

from jauge_models.configuration import ConfigurationError
from jauge_models.site_metrics import SITE_METRICS

from jauge_collector import civil
from jauge_collector.attribution import hosts_now
from jauge_collector.capacity.families import of_capacity
from jauge_collector.compliance import life
from jauge_collector.compliance.closing import proposals
from jauge_collector.compliance.quarters import quarter_of
from jauge_collector.console.figures import BusyError, Figures, now_ms
from jauge_collector.console.plans import Making, Plans
from jauge_collector.console.records import Found, Records
from jauge_collector.ledger.book import Ledger, LedgerError
from jauge_collector.power_now import meters_now, totals_now
from jauge_collector.registers import files
from jauge_collector.registers.evidence import limits
from jauge_collector.registers.files import Registers
from jauge_collector.registers.problems import RegisterError
from jauge_collector.site_families import (
    Families,
    joined,
    of_hosts,
    of_power,
    of_record,
    of_rooms,
    of_site,
)
from jauge_collector.sites import Site
from jauge_collector.state import ServiceState
from jauge_collector.stores import StoreError
from jauge_collector.telemetry import Sample

_log = logging.getLogger(__name__)

AGAIN_S: Final = 15.0
"""Power and events are worked out for a scrape when they are older than this."""
WORTH: Final = 60.0
"""So many times as long as it took, and no longer than `LONGEST_S`, is waited on a large site."""
LONGEST_S: Final = 60.0
STALE_S: Final = 150.0
"""Nothing that is older is shown as if it were now."""
SELDOM_S: Final = 300.0
"""Records and what is proposed for closed quarters are asked for no sooner than this."""
NAMES: Final = tuple(
    name
    for name in (metric.name for metric in SITE_METRICS)
    if not name.startswith("jauge_kpi_") and name != "jauge_resource_info"
)
"""The families that are shown by this."""
_WITHIN_S: Final = 2.0


@dataclass(slots=True, eq=False)
class _Part:
    """One part of what is shown of one site; monotonic times."""

    work: Callable[[], Awaitable[Families]]
    again_s: float
    stale_s: float
    families: Families = field(default_factory=dict)
    made_s: float = float("-inf")
    took_s: float = 0.0
    failed: bool = False
    """By a fault of the collector's own; said once."""
    running: "asyncio.Task[None] | None" = None

    def begin(self) -> None:
        """Work it out, unless it is fresh or being worked out."""
        again_s = max(self.again_s, min(WORTH * self.took_s, LONGEST_S))
        if self.running is None and time.monotonic() - self.made_s >= again_s:
            self.running = asyncio.create_task(self._renew(), name="published")

    async def _renew(self) -> None:
        began_s = time.monotonic()
        try:
            self.families = await self.work()
            self.made_s = time.monotonic()
            self.took_s = self.made_s - began_s
        except (BusyError, ConfigurationError, LedgerError, RegisterError, StoreError) as error:
            _log.debug("not shown on /metrics: %s", error)
        except Exception:  # noqa: BLE001 (a fault in one part must not take the others away)
            if not self.failed:
                _log.exception("a part of what /metrics shows of a site failed")
            self.failed = True
        else:
            self.failed = False
        finally:
            self.running = None

    @property
    def shown(self) -> Families:
        """What may be shown now."""
        return self.families if time.monotonic() - self.made_s < self.stale_s else {}


class Published:
    """Families of all sites. `close` it."""

    def __init__(
        self, state: ServiceState, figures: Figures, records: Records, plans: Plans
    ) -> None:
        self._state = state
        self._plans = plans
        self._figures = figures
        self._records = records
        self._registers: dict[str, tuple[Hashable, Registers]] = {}
        self._parts = [
            _Part(functools.partial(work, site), again_s, stale_s)
            for site in state.sites.values()
            for work, again_s, stale_s in (
                (self._power, AGAIN_S, STALE_S),
                (self._hosts, AGAIN_S, STALE_S),
                (self._rooms, AGAIN_S, SELDOM_S),
                (self._record, SELDOM_S, 3 * SELDOM_S),
                (self._proposed, SELDOM_S, 3 * SELDOM_S),
                (self._capacity, SELDOM_S, 3 * SELDOM_S),
            )
        ]

    async def families(self) -> Families:
        """What is known now, or within a short time: each family, also those without a sample."""
        for part in self._parts:
            part.begin()
        if running := [part.running for part in self._parts if part.running is not None]:
            await asyncio.wait(running, timeout=_WITHIN_S)
        return dict.fromkeys(NAMES, ()) | joined(part.shown for part in self._parts)

    async def close(self) -> None:
        """End what is being worked out."""
        for part in self._parts:
            if (running := part.running) is not None:
                running.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running

    async def _power(self, site: Site) -> Families:
        topology, now = await self._figures.topology(site.name), now_ms()
        declared = of_site(site, topology, now)
        births = {
            agent.address.agent: agent.birth
            for agent in self._state.inventory.of_site(site.name)
            if agent.birth is not None
        }
        try:
            powers = await meters_now(site.name, topology, births, self._state.store, now)
        except StoreError:
            return declared
        totals = totals_now(topology, site.equations, powers, now)
        return {**declared, **of_power(site, topology, powers, totals)}

    async def _hosts(self, site: Site) -> Families:
        state = self._state
        hosts = await hosts_now(site, state.store, state.inventory, now_ms(), every=True)
        return await asyncio.to_thread(of_hosts, site, hosts)

    async def _rooms(self, site: Site) -> Families:
        if site.registers.rooms is None:
            return {}
        registers = await asyncio.to_thread(self._read, site)
        today = civil.day(now_ms(), site.zone)
        return of_rooms(site, registers.rooms, limits(registers), today)

    def _read(self, site: Site) -> Registers:
        """The registers as they are now; read again only when one changed."""
        stamp = files.stamp(site.registers, site.file.parent)
        known = self._registers.get(site.name)
        if known is None or known[0] != stamp:
            known = stamp, files.load(site.registers, site.file.parent, site.name)
            self._registers[site.name] = known
        return known[1]

    async def _record(self, site: Site) -> Families:
        if site.registers.servers is None:
            return {}
        quarter = quarter_of("", site.zone, now_ms())
        standing = await self._figures.read(
            0, lambda ledger: life.standing(ledger, site.name, quarter.name)
        )
        found = await self._records.get(site, quarter, standing)
        if found is None:
            raise BusyError("the record is being made")
        return of_record(found.record, found.worked_ms) if isinstance(found, Found) else {}

    async def _capacity(self, site: Site) -> Families:
        if site.capacity.plant is None:
            return {}
        known = await self._plans.known(site)
        if isinstance(known, Making):
            raise BusyError("the capacity is being worked out")
        return await asyncio.to_thread(of_capacity, site.name, known)

    async def _proposed(self, site: Site) -> Families:
        def work(ledger: Ledger) -> int | None:
            closed = life.standings(ledger, site.name)
            named = [quarter_of(one.quarter, site.zone, now_ms()) for one in closed]
            found = (one for quarter in named for one in proposals(ledger, site, quarter))
            return sum(len(one.proposals) for one in found) if named else None

        number = await self._figures.read(0, work)
        name = "jauge_ledger_restatements_proposed"
        return {} if number is None else {name: [Sample({"site": site.name}, number)]}
