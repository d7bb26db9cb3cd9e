"""Retention beside the running collector: what a command asked for, and the policy once a day."""

import asyncio
import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from datetime import UTC
from typing import Any, Final

import msgspec
from jauge_models.effectiveness import DAY_MS

from jauge_collector import clock_doubt, retention
from jauge_collector.clock import OwnClock, wall_ms
from jauge_collector.clock_doubt import Doubt
from jauge_collector.config import CollectorConfig
from jauge_collector.faults import Faults
from jauge_collector.ledger import purge_requests
from jauge_collector.ledger.book import Ledger, LedgerError
from jauge_collector.progress import Stage
from jauge_collector.sites import Site
from jauge_collector.stores import Store, StoreError
from jauge_collector.telemetry import Telemetry

_log = logging.getLogger(__name__)

STEADY_S: Final = 900.0
"""So long after the start nothing goes by its time: a clock set over the network is set then."""
_DOUBT_AGAIN_S: Final = 600.0
_SLICE_S: Final = 5.0
"""For so long passes wait for a purge, subject by subject; then it waits for a pass."""


class Retention:
    """What a running collector does about it, in two parts that never raise LedgerError.

    What goes by its time waits until the clock was left alone for a while, for it may not be set
    yet at the start, and for a clock that is believed (see `clock_doubt`).
    """

    def __init__(
        self,
        config: CollectorConfig,
        sites: Mapping[str, Site],
        ledger: Ledger,
        faults: Faults,
        *,
        clock: OwnClock,
        telemetry: Telemetry,
        stage: Stage,
        now_ms: Callable[[], int] = wall_ms,
    ) -> None:
        self._config = config
        self._sites = sites
        self._ledger = ledger
        self._faults = faults
        self._clock = clock
        self._telemetry = telemetry
        self._stage = stage
        self._now_ms = now_ms
        self._done_through_ms: int | None = None
        self._work: Iterator[None] | None = None
        self._readings = 0
        self._failing = False
        self._doubt: Doubt | None = None
        self._doubted_s = 0.0

    @property
    def put_off(self) -> str:
        """Why nothing goes by its time; empty while it does."""
        return f"nothing is purged: {self._doubt.text}" if self._doubt is not None else ""

    async def purge(self, store: Store) -> None:
        """Old readings from the store, old examples from memory. Raises StoreError."""
        now_ms = self._now_ms()
        self._faults.forget(now_ms - round(self._config.retention.fault_examples_days * DAY_MS))
        try:
            believed = await self._believed(store, now_ms)
        except LedgerError as error:
            self._failed(error)
            return
        if believed:
            self._readings += await store.purge(now_ms)

    async def account(self, store: Store) -> None:
        """Some of what a command asked for, or of the policy once a day; the rest next time.

        Erasures are done at once. The caller holds the lock, and calls again after each pass.
        """
        with self._stage.step():
            try:
                for asked in await asyncio.to_thread(purge_requests.asked, self._ledger):
                    await asyncio.to_thread(self._answer_erasure, asked)
                    self._stage.alive()
                if self._work is None:
                    self._work = await self._next(store)
                if self._work is not None and await asyncio.to_thread(self._advance, self._work):
                    self._work = None
            except (LedgerError, StoreError, OSError) as error:
                self._work = None
                self._failed(error)
            else:
                if self._failing:
                    _log.info("retention works again")
                self._failing = False

    def _failed(self, error: Exception) -> None:
        if not self._failing:
            _log.error("retention: %s", error)
        self._failing = True

    async def _believed(self, store: Store, now_ms: int) -> bool:
        """Whether something may go by this clock; counted and said where it may not."""
        self._clock.look()
        if self._clock.problem:
            found: Doubt | None = Doubt(clock_doubt.OFF, self._clock.problem)
        elif self._clock.steady_s < STEADY_S:
            return False
        else:
            found = await clock_doubt.doubt(store, self._ledger, self._sites, now_ms)
        self._doubted_s = time.monotonic()
        if found is not None:
            self._telemetry.purges_refused.labels(found.reason).inc()
            if self._doubt is None:
                _log.error("nothing is purged: %s; see docs/configuration.md", found.text)
        elif self._doubt is not None:
            _log.info("the clock is believed again: what is past its time goes")
        self._doubt = found
        return found is None

    async def _next(self, store: Store) -> Iterator[None] | None:
        """What to begin now: a policy that a command asked for, or that of the day."""
        asked = next(iter(await asyncio.to_thread(purge_requests.asked, self._ledger)), None)
        if asked is not None:
            # By the clock that the command has judged: the request may be as old as the last stop.
            return self._asked(asked, await store.oldest_kept_ms(asked.asked_ms))
        now_ms = self._now_ms()
        doubted = self._doubt is not None and time.monotonic() < self._doubted_s + _DOUBT_AGAIN_S
        if self._done_through_ms == retention.before(now_ms, 0, UTC) or doubted:
            return None
        if not await self._believed(store, now_ms):
            return None
        return self._day(now_ms, await store.oldest_kept_ms(now_ms))

    def _advance(self, work: Iterator[None]) -> bool:
        """Go on for a while; whether it is done. Raises LedgerError, OSError."""
        until_s = time.monotonic() + _SLICE_S
        for _ in work:
            self._stage.alive()
            if time.monotonic() >= until_s:
                return False
        return True

    def _answer_erasure(self, asked: purge_requests.Request) -> None:
        """Do an erasure, if it is one; what cannot be done is answered and not tried again."""
        try:
            request = msgspec.convert(asked.content, retention.Request)
            if request.erasure is None:
                return
            site = self._sites.get(request.erasure.site)
            gone = retention.erase(
                self._ledger, site, request.erasure, now_ms=self._now_ms(), dry_run=False
            )
            outcome: dict[str, Any] = {"gone": msgspec.to_builtins(gone)}
        except (LedgerError, OSError, msgspec.ValidationError) as error:
            _log.error("retention: an erasure that was asked for failed: %s", error)
            outcome = {"error": str(error)}
        purge_requests.answer(self._ledger, asked, outcome)

    def _asked(self, asked: purge_requests.Request, oldest_kept_ms: int) -> Iterator[None]:
        """A policy that a command asked for, with its answer."""
        try:
            request = msgspec.convert(asked.content, retention.Request)
            gone = yield from self._expire(asked.asked_ms, oldest_kept_ms, request.site)
            outcome: dict[str, Any] = {"gone": msgspec.to_builtins(gone)}
        except (LedgerError, OSError, msgspec.ValidationError) as error:
            _log.error("retention: a purge that was asked for failed: %s", error)
            outcome = {"error": str(error)}
        purge_requests.answer(self._ledger, asked, outcome)

    def _day(self, now_ms: int, oldest_kept_ms: int) -> Iterator[None]:
        """The policy, once a day."""
        gone = yield from self._expire(now_ms, oldest_kept_ms, None)
        gone.append(retention.Gone("readings", self._readings))
        retention.record(
            self._ledger,
            gone,
            policy=self._config.retention,
            retention_days=retention.readings_days(self._config),
            now_ms=now_ms,
        )
        purge_requests.drop_old(self._ledger, now_ms - DAY_MS)
        self._done_through_ms, self._readings = retention.before(now_ms, 0, UTC), 0

    def _expire(
        self, now_ms: int, oldest_kept_ms: int, site: str | None
    ) -> Generator[None, None, list[retention.Gone]]:
        return retention.expiry(
            self._ledger,
            self._config,
            self._sites,
            now_ms=now_ms,
            oldest_kept_ms=oldest_kept_ms,
            site=site,
            dry_run=False,
        )
