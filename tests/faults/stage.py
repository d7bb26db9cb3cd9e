"""One stage: an agent, a broker, a store and collectors, each a process on a free port.

Every part can be killed, stopped and started; the agent's readings are journalled in its spool
(account) and can be checked one by one (counting).
"""

import asyncio
import http.client
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from jauge_agent.agent import machine_id
from jauge_agent.spool import Spool
from jauge_agent.spool_file import FILE_NAME
from jauge_collector import config
from jauge_collector.stores import Store
from jauge_collector.stores.open import open_store
from jauge_models.resources import Series
from jauge_models.wire import Address, encode_samples

from tests import parts
from tests.faults import account
from tests.faults.account import Account, Stored
from tests.faults.counting import QUANTITY, resource_of, samples_at
from tests.faults.files import (
    TOKEN,
    Settings,
    write_agent,
    write_collector,
    write_site,
)
from tests.faults.program import Program

SITE: Final = "stage"
LOOPBACK: Final = "127.0.0.1"

WITHIN_S: Final = 90.0
"""How long anything is waited for: generous, because rows share the processors."""

_COUNTED: Final = re.compile(
    r'^jauge_agent_spool_batches_total\{outcome="(\w+)",reason="(\w*)"\} (\S+)$', re.MULTILINE
)
_WAITING: Final = re.compile(r"^jauge_agent_spool_waiting_batches (\S+)$", re.MULTILINE)


class Stage:
    """``async with`` starts all parts and kills what still runs at the end.

    Parts are named ``agent``, ``broker``, ``store``, ``collector``, and ``collector2`` and so on
    where there are several. Collectors share one state folder, as two on one machine would; all
    subscribe plainly.
    """

    def __init__(
        self,
        folder: Path,
        *,
        collectors: int = 1,
        series: int = 20,
        period_s: float = 0.25,
        agent_name: str = "counter",
        agent_settings: Settings | None = None,
        collector_settings: Settings | None = None,
        broker_settings: Mapping[str, str] | None = None,
        store_flags: Mapping[str, str] | None = None,
        hosts: Mapping[str, str] | None = None,
        prefixes: Mapping[str, Sequence[str]] | None = None,
        environments: Mapping[str, Mapping[str, str]] | None = None,
        spool: Path | None = None,
        absent: Sequence[str] = (),
        embedded: bool = False,
    ) -> None:
        """Write the files; nothing is started.

        ``…_settings`` add to the sections of the configuration files, ``broker_settings`` are
        lines of mosquitto.conf, ``store_flags`` those of VictoriaMetrics without the dash.
        ``hosts`` (where it listens, 127.0.0.1 for what is left out), ``prefixes`` (a command that
        runs it in its place) and ``environments`` go by the name of the part; those of
        ``collector`` hold for all collectors that are not named themselves. Parts in ``absent``
        are left to the row to start. ``embedded``: SQLite in the collector is the store.
        """
        self.folder = folder
        self.series = series
        self.address = Address(SITE, agent_name)
        self.spool = spool or folder / "spool"
        self.spool.mkdir(exist_ok=True)
        self.quiet = folder / "quiet"
        """While this file exists the agent's source reads nothing."""
        self._embedded = embedded
        self._absent = {*absent, *(("store",) if embedded else ())}
        self._hosts = dict(hosts or {})
        self._prefixes = dict(prefixes or {})
        self._environments = dict(environments or {})
        self.broker = parts.Mosquitto(
            folder / "broker", settings=broker_settings, **self._place("broker")
        )
        self.store = parts.VictoriaMetrics(
            folder / "store",
            flags={"memory.allowedBytes": "64MB"} | dict(store_flags or {}),
            **self._place("store"),
        )
        self.agent_port = parts.free_port()
        self.collector_ports = [parts.free_port() for _ in range(collectors)]
        write_site(folder, self.address)
        self.agent = self._agent(period_s, agent_settings or {})
        self.collectors = [
            self._collector(number, collector_settings or {}) for number in range(collectors)
        ]
        self.mended_at: float | None = None
        self._reader: Store | None = None
        self._stack = AsyncExitStack()

    # --- the parts

    async def __aenter__(self) -> Self:
        try:
            await self.begin()
        except BaseException:
            await self.end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.end()

    async def begin(self) -> None:
        """Start broker and store, then collectors, and the agent once they are ready."""
        await self.start(*({"broker", "store"} - self._absent))
        await self.start(*(name for name in self.names if name not in self._absent))
        await self.ready()
        self.prepare_spool()
        if "agent" not in self._absent:
            await self.start("agent")

    async def end(self) -> None:
        """Kill what still runs."""
        await self._stack.aclose()
        for program in (self.agent, *self.collectors):
            if program.runs:
                await program.kill()
        await asyncio.gather(self.broker.kill(), self.store.kill())

    def part(self, name: str) -> Program | parts.RealPart:
        """The part of that name."""
        if name.startswith("collector"):
            return self.collectors[int(name.removeprefix("collector") or 1) - 1]
        named: dict[str, Program | parts.RealPart] = {
            "agent": self.agent,
            "broker": self.broker,
            "store": self.store,
        }
        return named[name]

    async def kill(self, *names: str) -> None:
        """SIGKILL them, all at once."""
        await asyncio.gather(*(self.part(name).kill() for name in names))

    async def stop(self, *names: str) -> None:
        """End them in order (SIGTERM), all at once."""
        await asyncio.gather(*(self.part(name).stop() for name in names))

    async def start(self, *names: str) -> None:
        """Start them, all at once; broker and store serve then, for a collector see `ready`."""
        await asyncio.gather(*(self.part(name).start() for name in names))

    async def ready(self, *names: str) -> None:
        """Wait until these collectors, or all that run, say so on /readyz."""
        running = [
            name for name, program in zip(self.names, self.collectors, strict=True) if program.runs
        ]
        for name in names or running:
            asking = self._asking_readyz(name)
            await parts.eventually(asking, within=WITHIN_S, what=f"{name} is ready")

    def prepare_spool(self) -> None:
        """Begin the agent's spool if there is none, and let it keep a journal."""
        if not (self.spool / FILE_NAME).exists():
            self.own_spool().close()
            account.keep_journal(self.spool)

    def own_spool(self) -> Spool:
        """The agent's spool, opened in its place while it does not run; to be closed."""
        return Spool(
            self.spool,
            machine=machine_id(self.spool),
            max_bytes=10**9,
            max_age_ms=10**12,
            now_ms=now_ms(),
        )

    # --- what happens

    async def figure(self, name: str, *, of: str = "collector") -> float:
        """The sum of a metric over its labels, as a collector's /metrics has it; 0 if it is not.

        ``name`` is without the prefix ``jauge_collector_``; labels in braces may follow it.
        """
        port = self.collector_ports[self.names.index(of)]
        _, body = await get(self.host(of), port, "/metrics", TOKEN)
        lines = rf"^jauge_collector_{re.escape(name)}(?:\{{.*\}})? (\S+)$"
        return sum(map(float, re.findall(lines, body, re.MULTILINE)))

    async def counters(self) -> Mapping[str, float]:
        """The agent's batches by outcome, and by ``outcome/reason``; ``waiting`` has no answer.

        Empty while the agent does not say.
        """
        if self.agent.status is not None:
            raise AssertionError(f"the agent ended: {self.agent.words()[-2000:]}")
        status, body = await get(self.host("agent"), self.agent_port, "/metrics")
        if status != 200:
            return {}
        seen: dict[str, float] = {"waiting": float(_WAITING.findall(body)[0])}
        for outcome, reason, count in _COUNTED.findall(body):
            seen[outcome] = seen.get(outcome, 0.0) + float(count)
            if reason:
                seen[f"{outcome}/{reason}"] = float(count)
        return seen

    async def more(self, outcome: str, batches: int, *, within: float = WITHIN_S) -> None:
        """Wait until the running agent has counted some more batches of an outcome."""
        wanted: float | None = None

        async def enough() -> bool:
            nonlocal wanted
            if not (seen := await self.counters()):
                return False
            if wanted is None:
                wanted = seen.get(outcome, 0) + batches
            return seen.get(outcome, 0) >= wanted

        await parts.eventually(enough, within=within, what=f"{batches} more batches {outcome}")

    async def drained(self, *, within: float = 2 * WITHIN_S) -> float:
        """Some more live batches, then silence, until nothing waits; seconds since `mended`."""
        self.mended()
        await self.ready()
        await self.more("taken", 2)
        self.quiet.touch()
        await self.all_answered(within=within)
        assert self.mended_at is not None
        return time.monotonic() - self.mended_at

    async def all_answered(self, *, within: float = 2 * WITHIN_S) -> None:
        """Wait until nothing in the running agent's spool waits for an answer."""

        async def empty() -> bool:
            return (await self.counters()).get("waiting") == 0

        await parts.eventually(empty, within=within, what="the spool has drained")

    def mended(self) -> None:
        """The fault is over: from here on the time to catch up is counted. Only once."""
        if self.mended_at is None:
            self.mended_at = time.monotonic()

    # --- the account

    async def account(self, *, drain: bool = True) -> Account:
        """End the agent, drained unless told otherwise, and balance what it took."""
        caught_up_s = await self.drained() if drain else None
        if self.agent.runs:
            assert await self.agent.stop() == 0, self.agent.words()[-2000:]
        books = account.read_books(self.spool)
        stored = await self.stored(books.journal)
        balanced = account.balance(books, stored, self.series)
        return replace(balanced, catch_up_s=caught_up_s)

    async def reader(self) -> Store:
        """The store as the ledger reads it, in this process; opened at the first call."""
        if self._reader is None:
            collector = open_store(config.load(self.folder / f"{self.names[0]}.toml"))
            self._reader = await self._stack.enter_async_context(collector)
        return self._reader

    async def stored(self, ticks: frozenset[int], address: Address | None = None) -> Stored:
        """Rows of the ledger's read around these ticks and now, of one agent (this stage's).

        Read once and without any help: what was answered must be readable.
        """
        site, agent = address or self.address
        series = {
            Series(site, agent, resource_of(number), QUANTITY): number
            for number in range(self.series)
        }
        start_ms = min(ticks, default=now_ms()) - 3_600_000
        end_ms = max(now_ms(), max(ticks, default=0)) + 3_600_000
        found: dict[tuple[int, int], list[float]] = {}
        for key, points in (await (await self.reader()).read(series, start_ms, end_ms)).items():
            for time_ms, value in points:
                found.setdefault((series[key], time_ms), []).append(value)
        return found

    # --- files and places

    def host(self, name: str) -> str:
        """Where a part listens."""
        return self._hosts.get(name) or self._hosts.get(_kind(name), LOOPBACK)

    def _place(self, name: str) -> dict[str, Any]:
        return {
            "host": self.host(name),
            "prefix": self._prefixes.get(name) or self._prefixes.get(_kind(name), ()),
            "environment": self._environments.get(name) or self._environments.get(_kind(name), {}),
        }

    @property
    def names(self) -> list[str]:
        """The collectors' names."""
        return [_collector_name(number) for number in range(len(self.collector_ports))]

    def _asking_readyz(self, name: str) -> Callable[[], Awaitable[bool]]:
        at = self.names.index(name)
        program, port = self.collectors[at], self.collector_ports[at]

        async def ready() -> bool:
            assert program.status is None, program.words()[-2000:]
            return (await get(self.host(name), port, "/readyz", TOKEN))[0] == 200

        return ready

    def _agent(self, period_s: float, more: Settings) -> Program:
        file = self.folder / "agent.toml"
        own: Settings = {
            "spool": {"directory": str(self.spool)},
            "metrics": {"port": self.agent_port, "address": self.host("agent")},
            # Some rows want more series than an agent takes of one host by default.
            "budget": {"host": max(self.series, 60)},
            "sources.counting": {
                "period_s": period_s,
                "series": self.series,
                "quiet_file": str(self.quiet),
            },
        }
        merged = {name: {**own.get(name, {}), **more.get(name, {})} for name in {**own, **more}}
        write_agent(file, self.address, broker=self._broker(), more=merged)
        place = self._place("agent")
        del place["host"]
        return Program("tests.faults.agent", [file], self.folder / "agent.log", **place)

    def _collector(self, number: int, more: Settings) -> Program:
        name = _collector_name(number)
        file = self.folder / f"{name}.toml"
        write_collector(
            file,
            broker=self._broker(),
            store_url=None if self._embedded else self.store.url,
            listen=(self.host(name), self.collector_ports[number]),
            more=more,
        )
        place = self._place(name)
        del place["host"]
        arguments: list[str | Path] = ["run", "--config", file]
        return Program("jauge_collector.cli", arguments, self.folder / f"{name}.log", **place)

    def _broker(self) -> dict[str, Any]:
        return {"host": self.host("broker"), "port": self.broker.port}


def left_in(spool: Spool, times_ms: Sequence[int], series: int) -> None:
    """Put batches of the counting source into a spool, as an agent would have that took them."""
    for time_ms in times_ms:
        spool.add(time_ms, encode_samples(samples_at(time_ms, series)), series, now_ms())


async def get(host: str, port: int, path: str, token: str = "") -> tuple[int, str]:
    """Status and text of a page; (0, "") where nobody answers."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask() -> tuple[int, str]:
        asking = http.client.HTTPConnection(host, port, timeout=5)
        try:
            asking.request("GET", path, headers=headers)
            answer = asking.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            asking.close()

    return await asyncio.to_thread(ask)


def now_ms() -> int:
    """Wall-clock time."""
    return time.time_ns() // 1_000_000


def _kind(name: str) -> str:
    return name.rstrip("0123456789")


def _collector_name(number: int) -> str:
    return f"collector{number + 1}" if number else "collector"
