"""The rounds of cross-checks while the collector runs: now and then, beside the ledger's passes."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from itertools import product
from typing import Final

from jauge_models.crosschecks import Kind

from jauge_collector.config import CrossChecksConfig
from jauge_collector.ledger.book import Ledger, LedgerError
from jauge_collector.ledger.crosschecking import cross_check
from jauge_collector.ledger.tickets import State, TicketBook
from jauge_collector.sites import Site
from jauge_collector.telemetry import Sample, Telemetry

_log = logging.getLogger(__name__)

FAMILY: Final = "jauge_collector_tickets"
_ACKNOWLEDGED: Final = "acknowledged"


class _StoppedError(Exception):
    """The collector stops: the thread of a round has nobody to work for."""


class CrossChecks:
    """All sites' rounds, by the process that computes the ledger."""

    def __init__(
        self,
        config: CrossChecksConfig,
        sites: Mapping[str, Site],
        ledger: Ledger,
        telemetry: Telemetry,
    ) -> None:
        self._config = config
        self._sites = sites
        self._ledger = ledger
        self._telemetry = telemetry
        self._due_s = 0.0
        self._failed: set[str] = set()

    async def account(self, alive: Callable[[], None]) -> None:
        """A round over every site, where one is due; /metrics is told each time.

        A fault in one site is logged once and keeps the others going. Raises LedgerError.
        """
        if self._config.enabled and time.monotonic() >= self._due_s:
            self._due_s = time.monotonic() + self._config.every_s
            await self._round(alive)
        await self._show()

    async def _round(self, alive: Callable[[], None]) -> None:
        policy, stopped = self._config.checks(), threading.Event()

        def beat() -> None:
            if stopped.is_set():
                raise _StoppedError
            alive()

        for name, site in self._sites.items():
            now_ms = time.time_ns() // 1_000_000
            try:
                await asyncio.to_thread(cross_check, self._ledger, site, now_ms, policy, alive=beat)
            except asyncio.CancelledError:
                stopped.set()
                raise
            except LedgerError:
                raise
            except Exception:  # noqa: BLE001 (a fault in one site must not stop the others)
                if name not in self._failed:
                    _log.exception("the cross-checks of site %s failed", name)
                self._failed.add(name)
            else:
                self._failed.discard(name)

    async def _show(self) -> None:
        """Tell /metrics how many tickets there are: a number of each kind and state, also none."""
        counts = await asyncio.to_thread(TicketBook(self._ledger).counts, self._sites)
        states = (*(state.value for state in State), _ACKNOWLEDGED)
        self._telemetry.set_family(
            FAMILY,
            [
                Sample(
                    {"site": site, "kind": kind.value, "state": state},
                    counts.get((site, kind, state), 0),
                )
                for site, kind, state in product(self._sites, Kind, states)
            ],
        )
