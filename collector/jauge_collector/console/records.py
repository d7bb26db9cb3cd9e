"""Compliance records for the pages: judged one at a time beside the service, and kept a while.

A record takes seconds. So none is made for a request: it is made once for each site, quarter,
state of the registers and hour, and until the next is there the last one is shown with its time.
"""

import asyncio
import functools
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from jauge_models.configuration import ConfigurationError

from jauge_collector import civil
from jauge_collector.compliance import life
from jauge_collector.compliance.history import with_history
from jauge_collector.compliance.life import Standing, State
from jauge_collector.compliance.quarters import Quarter
from jauge_collector.compliance.record import Record, record
from jauge_collector.compliance.sources import Sources, configured
from jauge_collector.console.figures import BusyError, now_ms
from jauge_collector.ledger.book import Ledger
from jauge_collector.registers import files
from jauge_collector.registers.problems import RegisterError
from jauge_collector.sites import Site
from jauge_collector.state import ServiceState
from jauge_collector.stores.open import open_store

PATIENCE_S: Final = 3.0
"""How long the first visitor waits for a record before being told that it is being made."""
MOST_WAITING: Final = 8
"""Jobs that may wait for the one that runs; beyond it `BusyError`."""
AGAIN_S: Final = 10.0
"""After a failure of ledger or store it is tried again no sooner."""
_HOUR_MS: Final = 3_600_000
_MOST_KEPT: Final = 12

_Result = TypeVar("_Result")


class Found(NamedTuple):
    """A record, when it was made, and whether a newer one is under way.

    ``frozen``: it is the one that was closed, and does not follow what is measured.
    """

    record: Record
    worked_ms: int
    renewing: bool = False
    frozen: bool = False


class Unusable(NamedTuple):
    """Why there is no record: what is wrong with the registers, each problem a line."""

    problems: tuple[str, ...]
    more: int
    worked_ms: int


@dataclass(slots=True, eq=False)
class _Kept:
    last: Found | Unusable | None = None
    stamp: Hashable = None
    running: "asyncio.Task[None] | None" = None
    failed: Exception | None = None
    failed_s: float = 0.0


class Records:
    """The records of every site. `close` it.

    `get` raises LedgerError, StoreError and BusyError.
    """

    def __init__(self, state: ServiceState) -> None:
        self._state = state
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="compliance")
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._acts: defaultdict[str, int] = defaultdict(int)
        self._waiting = 0
        self.ledger_file: Final = state.config.state(state.config.ledger.path)
        self.folder: Final[Path] = state.config.state(life.REPORTS)
        """Of stored reports."""
        self.state_dir: Final[Path] = state.config.state(Path())

    async def close(self) -> None:
        """Drop what waits, and let what runs end."""
        running = [kept.running for kept in self._kept.values() if kept.running is not None]
        await asyncio.to_thread(self._worker.shutdown, cancel_futures=True)
        await asyncio.gather(*running, return_exceptions=True)

    def changed(self, site: str) -> None:
        """Somebody entered something: the next visitor has the record made anew."""
        self._acts[site] += 1

    async def get(
        self, site: Site, quarter: Quarter, standing: Standing
    ) -> Found | Unusable | None:
        """The record of a quarter; None while the first one is being made.

        Of a closed quarter that of its report, until rows of it were restated.
        """
        key = site.name, quarter.name
        kept = self._kept[key] = self._kept.pop(key, _Kept())
        while len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        frozen = standing.state is not State.OPEN and not standing.restated
        stamp = await self._stamp(site, standing, frozen=frozen)
        if kept.running is None and kept.stamp != stamp:
            if kept.failed is not None and time.monotonic() - kept.failed_s < AGAIN_S:
                if kept.last is None:
                    raise kept.failed
            else:
                job = (
                    functools.partial(self._stored, standing)
                    if frozen
                    else functools.partial(self._judged, site, quarter)
                )
                kept.running = asyncio.create_task(self._renew(kept, stamp, job))
        if kept.last is None and kept.running is not None:
            await asyncio.wait([kept.running], timeout=PATIENCE_S)
            _raise_failed(kept)
        if isinstance(kept.last, Found):
            return kept.last._replace(renewing=kept.running is not None)
        return kept.last

    async def _renew(
        self, kept: _Kept, stamp: Hashable, job: Callable[[], Found | Unusable]
    ) -> None:
        try:
            kept.last, kept.failed = await self.run(job), None
            kept.stamp = stamp
        except Exception as error:  # noqa: BLE001 - whatever it is, a visitor is told
            kept.failed, kept.failed_s = error, time.monotonic()
        finally:
            kept.running = None

    async def _stamp(self, site: Site, standing: Standing, *, frozen: bool) -> Hashable:
        if frozen:
            return standing.snapshot
        read = await asyncio.to_thread(files.stamp, site.registers, site.file.parent)
        acts = self._acts[site.name], len(standing.history)
        return read, now_ms() // _HOUR_MS, acts

    # --- on the worker's thread

    async def run(self, job: Callable[[], _Result]) -> _Result:
        """A job on the one thread for such work, after those that wait. Raises BusyError."""
        if self._waiting >= MOST_WAITING:
            raise BusyError(f"{self._waiting} records and reports wait to be made; try again later")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, job)
        finally:
            self._waiting -= 1

    def gathered(self, site: Site, work: Callable[[Sources], Awaitable[_Result]]) -> _Result:
        """What comes of the sources of a site, opened for this; blocks for seconds.

        Raises RegisterError, ConfigurationError, LedgerError and StoreError.
        """

        async def gather() -> _Result:
            registers = files.load(site.registers, site.file.parent, site.name)
            with Ledger(self.ledger_file) as ledger:
                async with open_store(self._state.config) as store:
                    config = self._state.config
                    return await work(configured(config, site, registers, ledger, store))

        return asyncio.run(gather())

    def _judged(self, site: Site, quarter: Quarter) -> Found | Unusable:
        at_ms = now_ms()
        today = civil.day(at_ms, site.zone)
        try:
            return Found(self.gathered(site, lambda of: _with_history(of, quarter, today)), at_ms)
        except RegisterError as error:
            lines = tuple(" ".join(str(problem).split()) for problem in error.problems)
            return Unusable(lines, error.count - len(lines), at_ms)
        except ConfigurationError as error:
            return Unusable((" ".join(str(error).split()),), 0, at_ms)

    def _stored(self, standing: Standing) -> Found | Unusable:
        try:
            report = life.stored(self.folder, standing)
        except ConfigurationError as error:
            return Unusable((" ".join(str(error).split()),), 0, now_ms())
        return Found(report.record, report.gathered_ms or now_ms(), frozen=True)


def _raise_failed(kept: _Kept) -> None:
    if kept.last is None and kept.failed is not None:
        raise kept.failed


async def _with_history(sources: Sources, quarter: Quarter, today: date) -> Record:
    """The record, with the closed quarters before it as the way to the goal so far."""
    return with_history(await record(sources, quarter, today), sources, today)
