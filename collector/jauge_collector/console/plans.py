"""Plans of GPU capacity for pages and /metrics: made one at a time beside the service, and kept.

What was measured takes seconds to read, and a scenario seconds to answer. Neither is made for a
request: until it is there, `Making` says since when it is under way.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, TypeVar

from jauge_models.capacity.answer import Answer
from jauge_models.capacity.scenario import Scenario, encode

from jauge_collector.capacity import planning
from jauge_collector.capacity.planning import Known
from jauge_collector.console.figures import BusyError, now_ms
from jauge_collector.ledger.book import Ledger
from jauge_collector.sites import Site
from jauge_collector.state import ServiceState
from jauge_collector.stores.open import open_store

KEPT_S: Final = 6 * 3600.0
"""For so long what was measured is not read again, unless the plant file changes."""
PATIENCE_S: Final = 3.0
"""How long a visitor waits before being told that it is being made."""
AGAIN_S: Final = 10.0
"""After a failure it is tried again no sooner."""
MOST_WAITING: Final = 8
"""Jobs that may wait for the one that runs; beyond it `BusyError`."""
_MOST_ANSWERS: Final = 24

_Result = TypeVar("_Result")


class Making(NamedTuple):
    """It is being made; ``since_ms``: when that began."""

    since_ms: int


@dataclass(slots=True, eq=False)
class _Kept(Generic[_Result]):
    """What was made last, of what; monotonic times. ``failed``: why it could not be made."""

    last: _Result | None = None
    stamp: object = None
    made_s: float = float("-inf")
    began_ms: int = 0
    failed: Exception | None = None
    running: "asyncio.Task[None] | None" = field(default=None)


class Plans:
    """What was measured of each site's plant, and the scenarios answered. `close` it."""

    def __init__(self, state: ServiceState) -> None:
        self._state = state
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="capacity")
        self._known: dict[str, _Kept[Known]] = {}
        self._answers: dict[tuple[str, str], _Kept[Answer]] = {}
        self._waiting = 0

    async def close(self) -> None:
        """Drop what waits, and let what runs end."""
        running = [kept.running for kept in self._known.values() if kept.running is not None]
        running += [kept.running for kept in self._answers.values() if kept.running is not None]
        await asyncio.to_thread(self._worker.shutdown, cancel_futures=True)
        await asyncio.gather(*running, return_exceptions=True)

    async def known(self, site: Site, *, patience_s: float = PATIENCE_S) -> Known | Making:
        """What was measured, at most `KEPT_S` ago where it could be read again.

        Raises ConfigurationError for a plant that cannot be used, LedgerError, StoreError and
        BusyError, and whatever else made it fail.
        """
        kept = self._known.setdefault(site.name, _Kept())
        stamp = await asyncio.to_thread(_stamp, site)
        return await self._kept(kept, stamp, lambda: self._gather(site), patience_s)

    async def answer(
        self, site: Site, scenario: Scenario, *, file: str, patience_s: float = PATIENCE_S
    ) -> Answer | Making:
        """The answer to a scenario by what is known; ``file`` is its name in errors.

        Raises as `known` does, and ConfigurationError for the scenario.
        """
        known = await self.known(site, patience_s=patience_s)
        if isinstance(known, Making):
            return known
        key = site.name, encode(scenario)
        kept = self._answers[key] = self._answers.pop(key, _Kept())
        while len(self._answers) > _MOST_ANSWERS:
            del self._answers[next(iter(self._answers))]
        return await self._kept(
            kept,
            known.at_ms,
            lambda: planning.plan(known, scenario, file=file),
            patience_s,
        )

    async def _kept(
        self,
        kept: _Kept[_Result],
        stamp: object,
        job: Callable[[], _Result],
        patience_s: float,
    ) -> _Result | Making:
        age_s = time.monotonic() - kept.made_s
        stale = kept.stamp != stamp or age_s >= (AGAIN_S if kept.failed else KEPT_S)
        if kept.running is None and stale:
            if self._waiting >= MOST_WAITING:
                raise BusyError(f"{self._waiting} plans wait to be made; try again later")
            kept.began_ms = now_ms()
            kept.running = asyncio.create_task(self._renew(kept, stamp, job), name="capacity")
        fits = kept.last is not None and kept.stamp == stamp
        if not fits and kept.running is not None:
            await asyncio.wait([kept.running], timeout=patience_s)
        if kept.stamp == stamp:
            if kept.failed is not None:
                raise kept.failed.with_traceback(None)
            if kept.last is not None:
                return kept.last
        return Making(kept.began_ms)

    async def _renew(self, kept: _Kept[_Result], stamp: object, job: Callable[[], _Result]) -> None:
        self._waiting += 1
        try:
            made = await asyncio.get_running_loop().run_in_executor(self._worker, job)
        except Exception as error:  # noqa: BLE001 (each visitor is told of it, whatever it is)
            # Else what was made of an older stamp would pass for the answer to this one.
            kept.failed = error
        else:
            kept.last, kept.failed = made, None
        finally:
            kept.stamp, kept.made_s = stamp, time.monotonic()
            kept.running = None
            self._waiting -= 1

    def _gather(self, site: Site) -> Known:
        """On the worker's thread, with a ledger and a store of its own."""
        config = self._state.config

        async def gather() -> Known:
            with Ledger(config.state(config.ledger.path)) as ledger:
                async with open_store(config) as store:
                    return await planning.gather(
                        site, ledger, store, now_ms(), policy=config.policy.coverage()
                    )

        return asyncio.run(gather())


def _stamp(site: Site) -> object:
    """What changes when the plant does."""
    if site.capacity.plant is None:
        return None
    try:
        status = (site.file.parent / site.capacity.plant).stat()
    except (OSError, ValueError):
        return -1, -1
    return status.st_mtime_ns, status.st_size
