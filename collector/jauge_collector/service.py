"""The running collector: opens its parts, keeps them going, and stops them in order."""

import asyncio
import contextlib
import errno
import gc
import logging
import random
import signal
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from typing import Any, Final

from jauge_models.configuration import ConfigurationError

from jauge_collector import sites
from jauge_collector.broker_log import BrokerLog
from jauge_collector.checks import Checks
from jauge_collector.config import CollectorConfig
from jauge_collector.console import app as console
from jauge_collector.console import tls
from jauge_collector.crosschecks import CrossChecks
from jauge_collector.expiry import Expiry
from jauge_collector.faults import Faults
from jauge_collector.fed import Fed
from jauge_collector.inbox import Inbox
from jauge_collector.ingest import HANGS_AFTER_S, Ingest
from jauge_collector.inventory import Inventory
from jauge_collector.ledger.accounting import run_pass
from jauge_collector.ledger.book import Ledger, LedgerError, LedgerLockedError
from jauge_collector.progress import Progress
from jauge_collector.purging import Retention
from jauge_collector.state import Part, ServiceState
from jauge_collector.stores import Store, StoreError, UnfitStoreError
from jauge_collector.stores.influxdb import InfluxSink
from jauge_collector.stores.open import open_sink, open_store
from jauge_collector.subscriber import Subscriber
from jauge_collector.systemd import ServiceManager
from jauge_collector.telemetry import Sample, Telemetry
from jauge_collector.vitals import Vitals

_log = logging.getLogger(__name__)

_LEDGER_HANGS_AFTER_S: Final = 300.0
"""A pass says that it is alive with every few thousand rows."""
_WATCH_EVERY_S: Final = 10.0
_PURGE_EVERY_S: Final = 3600.0
_SHORTEST_BACK_OFF_S: Final = 0.5
_LONGEST_BACK_OFF_S: Final = 10.0
_COMPLAINT_HOLDS_S: Final = 3600.0
_STOP_WITHIN_S: Final = 3.0
_GC_THRESHOLDS: Final = (50_000, 20, 50)


class Service:
    """One collector. `run` returns after an orderly stop; see `run` for what it raises."""

    def __init__(self, config: CollectorConfig) -> None:
        """Read every file that the configuration names. Raises ConfigurationError, LedgerError."""
        self._config = config
        self._sites = sites.load_all([config.beside(path) for path in config.sites])
        limits = config.limits
        self._inventory = Inventory(limits.agents, resources=limits.resources)
        self._telemetry = Telemetry(self._inventory)
        self._checks = Checks(
            self._sites,
            agents={name: site.agents for name, site in self._sites.items()},
            series_per_agent=config.store.series_per_agent,
            series_in_all=limits.series,
            most_agents=limits.agents,
            budgets=config.budget.budgets,
        )
        faults = Faults()
        self._inbox = Inbox(self._telemetry.count_drop, limits, knows=self._checks.knows)
        broker_log = BrokerLog(self._telemetry, faults)
        progress = Progress()
        self._subscriber = Subscriber(config, self._inbox, self._telemetry, broker_log, progress)
        self._listen = config.listen
        self._sink = open_sink(config)
        self._store: Store = open_store(config)
        self._ledger = Ledger(config.state(config.ledger.path))
        self._ingest = Ingest(
            inbox=self._inbox,
            subscriber=self._subscriber,
            store=self._store,
            ledger=self._ledger,
            checks=self._checks,
            inventory=self._inventory,
            faults=faults,
            telemetry=self._telemetry,
            sink=self._sink,
            fed=(fed := Fed(self._sites.values())),
            progress=progress,
        )
        self._fed = fed
        self._accounting = progress.stage("ledger", _LEDGER_HANGS_AFTER_S)
        self._watching = progress.stage("watch", HANGS_AFTER_S)
        self._manager = ServiceManager()
        self._vitals = Vitals(
            config,
            inbox=self._inbox,
            ingest=self._ingest,
            inventory=self._inventory,
            checks=self._checks,
            sink=self._sink,
            telemetry=self._telemetry,
            progress=progress,
            manager=self._manager,
        )
        self._retention = Retention(
            config,
            self._sites,
            self._ledger,
            faults,
            clock=self._ingest.clock,
            telemetry=self._telemetry,
            stage=progress.stage("retention", _LEDGER_HANGS_AFTER_S),
        )
        self._crosschecks = CrossChecks(
            config.crosschecks, self._sites, self._ledger, self._telemetry
        )
        self._expiry = Expiry(config, self._telemetry)
        self._store_open = False
        self._complaints = ""
        self._complained = 0
        self._complained_s = 0.0
        self._ledger_standby = False
        self.state = ServiceState(
            config=config,
            sites=self._sites,
            store=self._store,
            ledger=self._ledger,
            inventory=self._inventory,
            faults=faults,
            telemetry=self._telemetry,
            readiness=self.readiness,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set.

        Raises ConfigurationError where the console's port is taken, UnfitStoreError where the
        store would lose data, StoreError where the embedded store cannot be opened. A store or
        a broker that is only down is tried again.
        """
        for site in self._sites.values():
            if site.agents is None:
                _log.info("site %s takes any agent: [site] agents = [...] names who may", site.name)
        try:
            async with (
                self._console(),
                self._signs_of_life(),
                self._expiry.watched(),
                contextlib.AsyncExitStack() as stack,
            ):
                if not await self._open_store(stack, stop):
                    return
                async with asyncio.TaskGroup() as group:
                    tasks = [
                        group.create_task(work, name=name) for name, work in self._work().items()
                    ]
                    await stop.wait()
                    self._manager.tell("STOPPING=1")
                    for task in tasks:
                        task.cancel()
        finally:
            self._ledger.close()

    def readiness(self) -> Sequence[Part]:
        """How each part stands."""
        store = self._ingest.store_problem or self._ingest.store_stalls or self._complaints
        ledger = self._ingest.ledger_problem
        if not ledger and self._ledger_standby:
            standby = "another collector computes it; this one only marks"
        else:
            standby = ""
        return (
            Part("mqtt", not self._subscriber.problem, self._subscriber.problem),
            Part("store", self._store_open and not store, store),
            Part("ledger", not ledger, ledger or standby),
            # Whoever waits for readings is served all the same, so it is ready either way.
            Part("retention", True, self._retention.put_off),
            Part("clock", not self._ingest.clock.problem, self._ingest.clock.problem),
            *self._vitals.parts(),
        )

    def _work(self) -> dict[str, Coroutine[Any, Any, None]]:
        work: dict[str, Coroutine[Any, Any, None]] = {
            "subscriber": self._subscriber.run(),
            "store": self._ingest.store(),
            "answer": self._ingest.answer(),
            "ledger": self._account(),
            "watch": self._watch(),
        }
        if self._sink is not None:
            work["sink"] = self._sink.run()
        return work

    @contextlib.asynccontextmanager
    async def _signs_of_life(self) -> AsyncIterator[None]:
        """For the service manager and whoever watches /metrics; also while the store is awaited."""
        self._manager.tell("READY=1")
        pulse = asyncio.create_task(self._vitals.pulse(), name="pulse")
        try:
            yield
        finally:
            pulse.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pulse

    @contextlib.asynccontextmanager
    async def _console(self) -> AsyncIterator[None]:
        encrypted = self._expiry.serve(tls.context(self._config))
        app = console.build_app(self.state)
        host, port = self._listen
        async with contextlib.AsyncExitStack() as stack:
            serving = console.listening(
                app, host, port, encrypted=encrypted, stop_within_s=_STOP_WITHIN_S
            )
            try:
                await stack.enter_async_context(serving)
            except OSError as error:
                raise self._cannot_listen(error) from None
            _log.info("console at http%s://%s:%d", "s" if encrypted else "", host, port)
            yield

    def _cannot_listen(self, error: OSError) -> ConfigurationError:
        taken = error.errno == errno.EADDRINUSE
        problem = "is taken" if taken else f"cannot be used: {error.strerror or error}".lower()
        fix = "stop the other program or choose another port" if taken else "correct the address"
        listen = self._config.console.listen
        return ConfigurationError(
            str(self._config.source), "console.listen", f"{listen} {problem}", fix
        )

    async def _open_store(self, stack: contextlib.AsyncExitStack, stop: asyncio.Event) -> bool:
        """Open the store, again and again while it is down; False when told to stop meanwhile."""
        back_off_s = _SHORTEST_BACK_OFF_S
        while not stop.is_set():
            try:
                await stack.enter_async_context(self._store)
            except UnfitStoreError:
                raise
            except StoreError as error:
                if self._config.store.kind == "sqlite":
                    raise
                self._ingest.store_failed(error)
            else:
                self._store_open = True
                self._ingest.store_works()
                return True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(back_off_s * random.uniform(0.5, 1.0)):  # noqa: S311 (jitter)
                    await stop.wait()
            back_off_s = min(back_off_s * 2, _LONGEST_BACK_OFF_S)
        return False

    async def _account(self) -> None:
        """Passes over the ledger, while this collector is the one that computes it."""
        every_s = self._config.ledger.pass_every_s
        while True:
            try:
                with self._ledger.writer():
                    self._ledger_standby = False
                    self._telemetry.ledger_writer.set(1)
                    while True:
                        await self._pass()
                        await self._retention.account(self._store)
                        await self._cross_check()
                        await asyncio.sleep(every_s)
            except LedgerLockedError as error:
                if not self._ledger_standby:
                    _log.info("standing by: %s", error)
                self._ledger_standby = True
                self._vitals.standby()
                with self._accounting.step():
                    await self._flush_marks()
                    await self._note_pass(whole=False)
            except OSError as error:
                self._ingest.ledger_failed(LedgerError(f"lock: {error}"))
            finally:
                self._telemetry.ledger_writer.set(0)
            await asyncio.sleep(every_s)

    async def _pass(self) -> None:
        with self._accounting.step():
            await self._pass_over_sites()

    async def _pass_over_sites(self) -> None:
        began = time.monotonic()
        failed = False
        await self._flush_marks()
        for site in self._sites.values():
            self._accounting.alive()
            self._ingest.clock.look()
            try:
                await run_pass(
                    self._store,
                    self._ledger,
                    site,
                    time.time_ns() // 1_000_000,
                    progress=lambda _done, _todo: self._accounting.alive(),
                    steady_s=self._ingest.clock.steady_s,
                )
            except LedgerError as error:
                failed = True
                self._ingest.ledger_failed(error)
            except StoreError as error:
                failed = True
                self._ingest.store_failed(error)
            except Exception:  # noqa: BLE001 (a fault in one site must not stop the storing of all)
                failed = True
                if not self._ingest.ledger_problem:
                    _log.exception("the pass over site %s failed", site.name)
                self._ingest.ledger_failed(LedgerError(f"the pass over site {site.name} failed"))
        if not failed:
            self._ingest.ledger_works()
        await self._note_pass(whole=not failed)
        self._telemetry.ledger_pass.observe(time.monotonic() - began)

    async def _cross_check(self) -> None:
        with self._accounting.step():
            try:
                await self._crosschecks.account(self._accounting.alive)
            except LedgerError as error:
                self._ingest.ledger_failed(error)

    async def _note_pass(self, *, whole: bool) -> None:
        try:
            due = await asyncio.to_thread(self._ledger.due_since, time.time_ns() // 1_000_000)
        except LedgerError as error:
            self._ingest.ledger_failed(error)
        else:
            self._vitals.passed(due, whole=whole)

    async def _flush_marks(self) -> None:
        try:
            await self._ingest.write_births()
            await self._ingest.write_marks()
        except LedgerError as error:
            self._ingest.ledger_failed(error)

    async def _watch(self) -> None:
        """Ask the store how it is; purge it now and then."""
        purge_at = time.monotonic()
        await self._learn_what_fed()
        while True:
            try:
                with self._watching.step():
                    self._note_complaints(await self._store.complaints())
                self._inbox.end_floods()
                self._vitals.tell_of_silence()
                if not self._inbox:
                    self._ingest.store_works()
                if self._sink is not None:
                    self._show_sink(self._sink)
                if time.monotonic() >= purge_at:
                    purge_at = time.monotonic() + _PURGE_EVERY_S
                    await self._retention.purge(self._store)
            except StoreError as error:
                self._ingest.store_failed(error)
            await asyncio.sleep(_WATCH_EVERY_S)

    async def _learn_what_fed(self) -> None:
        """When each meter was fed before this process began."""
        try:
            now_ms = time.time_ns() // 1_000_000
            self._fed.learn(await self._store.before(self._fed.series, now_ms + 1))
        except StoreError as error:
            self._ingest.store_failed(error)

    def _note_complaints(self, told: Mapping[str, int]) -> None:
        """A rise stays on /readyz for an hour: the store dropped rows that it had answered."""
        now_s = time.monotonic()
        if sum(told.values()) > self._complained:
            self._complained, self._complained_s = sum(told.values()), now_s
            self._complaints = "rows dropped by the store: " + ", ".join(
                f"{words} {count}" for words, count in told.items()
            )
            _log.error("%s", self._complaints)
        elif now_s - self._complained_s > _COMPLAINT_HOLDS_S:
            self._complaints = ""

    def _show_sink(self, sink: InfluxSink) -> None:
        self._telemetry.set_family(
            "jauge_collector_sink_dropped_readings",
            [Sample({"reason": reason}, count) for reason, count in sink.dropped.items()],
        )


async def run(config: CollectorConfig) -> None:
    """Run a collector until SIGINT or SIGTERM. Raises what `Service` does."""
    service = Service(config)
    # Readings are many, short-lived and without cycles: looking for cycles among them every 700
    # costs a tenth of the time.
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    try:
        await service.run(stop)
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
    _log.info("stopped")
