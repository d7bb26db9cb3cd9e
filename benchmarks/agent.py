"""What the agent costs beside its peers: processor time a minute and memory, at 1 s ticks."""

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp

from benchmarks import peers
from benchmarks.answering import Heard, answering
from benchmarks.processes import EndedError, Memory, cpu_s, memory, running, still_running
from benchmarks.rows import Better, Row, Table, say, side_by_side
from tests.parts import Mosquitto, free_port

CPU_LIMIT_S: Final = 0.08
"""Processor seconds a minute (the design's section 9)."""
MEMORY_LIMIT_MIB: Final = 30.0

_WARM_UP_S: Final = 8.0
_NEAREST: Final = "collectd"
_COLLECTORS: Final = ("cpu", "meminfo", "diskstats", "netdev", "loadavg", "rapl", "hwmon")
_PLUGINS: Final = ("cpu", "mem", "load", "diskio", "network", "sensors", "uptime")
_AS_PROMETHEUS: Final = {
    "Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
    "Accept-Encoding": "gzip",
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What one program took. ``per_second``: messages, or scrapes, that it gave."""

    cpu_s_a_minute: float
    memory: Memory
    per_second: float


async def measure(*, seconds: float, full: bool) -> Table:  # noqa: ARG001 - one signature for all
    """First with the lightest peer alone, as a server is when idle; then with all of them.

    Each for ``seconds``, and each time all meet the same machine.
    """
    with tempfile.TemporaryDirectory(prefix="jauge-bench-") as folder:
        two, every = Path(folder) / "two", Path(folder) / "all"
        for directory in (two, every):
            directory.mkdir()
        alone = await _measured(two, seconds, _NEAREST)
        together = await _measured(every, seconds, None)
    notes = [
        f"{seconds:g} s after {_WARM_UP_S:g} s of warm-up; load average {os.getloadavg()[0]:.1f}",
        *together.notes,
        "PSS alone: as if no second Python ran, its own files counted whole (docs/benchmarks.md)",
    ]
    rows = [
        *_rows(alone, f"beside {_NEAREST} alone"),
        *_rows(together, "beside all"),
    ]
    return Table("agent", "The agent beside its peers: 1 s ticks", rows, notes)


class _Run(NamedTuple):
    """What each contestant took, ours first, or why there is nothing to say of it."""

    costs: Mapping[str, Cost | str]
    notes: Sequence[str]


async def _measured(directory: Path, seconds: float, only: str | None) -> _Run:
    """Ours beside ``only`` one peer, or beside all."""
    sysfs_root, sensors = peers.sysfs(directory)
    async with Mosquitto(directory / "mosquitto") as broker, answering(broker.port) as heard:
        ours, *others = _contestants(directory, broker.port, sysfs_root)
        beside = [one for one in others if only in {None, one.name}]
        async with contextlib.AsyncExitStack() as stack:
            watches = [
                await stack.enter_async_context(_watching(contestant, directory, heard))
                for contestant in (ours, *beside)
            ]
            await asyncio.sleep(_WARM_UP_S)
            for watch in watches:
                watch.begin()
            await asyncio.sleep(seconds)
            costs = {watch.contestant.name: watch.cost() for watch in watches}
        answered = f"{heard.readings} readings in {heard.packs} packs, {heard.answered} answered"
    measured = {name: cost for name, cost in costs.items() if isinstance(cost, Cost)}
    rates = ", ".join(f"{name} {cost.per_second:.0f}" for name, cost in measured.items())
    shared = ", ".join(f"{name} {cost.memory.pss:.1f}" for name, cost in measured.items())
    return _Run(
        costs,
        [
            f"messages (or scrapes) a second: {rates}",
            sensors,
            f"{ours.name} sent {answered}",
            f"PSS in MiB as shared meanwhile, with other Pythons running: {shared}",
        ],
    )


def _contestants(directory: Path, port: int, sysfs_root: Path) -> list[peers.Contestant]:
    return [
        peers.jauge(directory, port, sysfs_root),
        peers.node_exporter("node_exporter", free_port(), sysfs_root),
        peers.node_exporter(
            "node_exporter, the same subjects", free_port(), sysfs_root, _COLLECTORS
        ),
        peers.glances("Glances", directory, port),
        peers.glances("Glances, the same subjects", directory, port, _PLUGINS),
        peers.collectd(directory, port),
    ]


class _Watch:
    """One running program; measures from `begin` to `cost`."""

    def __init__(
        self,
        contestant: peers.Contestant,
        process: asyncio.subprocess.Process | None,
        log: Path,
        given: Callable[[], int],
    ) -> None:
        self.contestant = contestant
        self._process = process
        self._log = log
        self._given = given
        self._problem = contestant.missing
        self._begun = (0.0, 0.0, 0)

    def begin(self) -> None:
        """From here on."""
        if process := self._alive():
            self._begun = (time.monotonic(), cpu_s(process.pid), self._given())

    def cost(self) -> Cost | str:
        """What it took since, or why there is nothing to say."""
        process = self._alive()
        if process is None:
            say(f"{self.contestant.name}: {self._problem}")
            return self._problem
        moment, spent, given = self._begun
        took = time.monotonic() - moment
        cost = Cost(
            (cpu_s(process.pid) - spent) / took * 60,
            memory(process.pid, self.contestant.own),
            (self._given() - given) / took,
        )
        say(
            f"{self.contestant.name}: {cost.cpu_s_a_minute:.3f} s a minute,"
            f" {cost.memory.alone:.1f} MiB alone (RSS {cost.memory.rss:.1f}, PSS"
            f" {cost.memory.pss:.1f}), {cost.per_second:.1f} messages a second"
        )
        return cost

    def _alive(self) -> asyncio.subprocess.Process | None:
        try:
            if self._process is not None and not self._problem:
                still_running(self._process, self._log)
                return self._process
        except EndedError as ended:
            self._problem = str(ended)[:160].replace("\n", " ")
        return None


@contextlib.asynccontextmanager
async def _watching(
    contestant: peers.Contestant, directory: Path, heard: Heard
) -> AsyncIterator[_Watch]:
    if contestant.missing:
        yield _Watch(contestant, None, directory, int)
        return
    log = directory / f"{contestant.name}.log"
    async with (
        running(contestant.argv, log, contestant.environment) as process,
        _scraping(contestant.scrape_port) as scrapes,
    ):
        yield _Watch(
            contestant, process, log, lambda: heard.messages[contestant.topic] + len(scrapes)
        )


@contextlib.asynccontextmanager
async def _scraping(port: int | None) -> AsyncIterator[list[int]]:
    """Scrape each second meanwhile, as Prometheus does; the bytes of each answer."""
    answers: list[int] = []
    if port is None:
        yield answers
        return
    async with aiohttp.ClientSession(headers=_AS_PROMETHEUS) as session:
        scraping = asyncio.create_task(_scrape(session, port, answers))
        try:
            yield answers
        finally:
            scraping.cancel()
            await asyncio.wait([scraping])


async def _scrape(session: aiohttp.ClientSession, port: int, answers: list[int]) -> None:
    while True:
        with contextlib.suppress(aiohttp.ClientConnectionError):
            async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                answers.append(len(await answer.read()))
        await asyncio.sleep(1)


def _rows(run: _Run, beside: str) -> Iterator[Row]:
    (own, mine), *others = run.costs.items()
    for what, unit, limit, figure in _FIGURES:
        yield from side_by_side(
            f"{own} {beside}: {what}",
            figure(mine) if isinstance(mine, Cost) else None,
            unit,
            (
                (name, None, cost) if isinstance(cost, str) else (name, figure(cost), "")
                for name, cost in others
            ),
            better=Better.LOWER,
            limit=limit,
            note=mine if isinstance(mine, str) else "",
        )


_FIGURES: Final[Sequence[tuple[str, str, float | None, Callable[[Cost], float]]]] = (
    ("CPU a minute", "s", CPU_LIMIT_S, lambda cost: cost.cpu_s_a_minute),
    ("PSS alone", "MiB", MEMORY_LIMIT_MIB, lambda cost: cost.memory.alone),
    ("RSS", "MiB", None, lambda cost: cost.memory.rss),
)
