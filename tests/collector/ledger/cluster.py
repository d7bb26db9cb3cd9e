"""A small cluster of hosts and guests, as an agent reports it: for tests of what is shared out."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from jauge_collector.ledger.shares import Share
from jauge_models.readings import Reading
from jauge_models.resources import Series, number_of
from jauge_models.wire import Method

from tests.collector.ledger.bench import HOUR, START, Bench

STEP: Final = 30_000
GATEWAY: Final = "vc"

IDLE: Final[dict[str, str]] = {
    host: f"""
[[hosts]]
id = "{host}"
feeds = ["vc/host:{host}"]
idle_w = 120.0
"""
    for host in ("a", "b")
}
"""Declarations of two hosts whose idle power was measured."""

Level = float | Callable[[int], float | None] | None
"""A value, or what it is so many ms after START; None where nothing is reported."""


def at(level: Level, time: int) -> float | None:
    """What a level is at a time, ms after START."""
    return level(time) if callable(level) else level


@dataclass
class Cluster:
    """Readings every half minute from ``first`` to ``last`` ms after START, both included."""

    first: int = 0
    last: int = HOUR
    agent: str = GATEWAY
    readings: list[Reading] = field(default_factory=list)

    def host(
        self, name: str, power: Level = 300.0, busy: Level = 4.0, processors: float = 16
    ) -> None:
        """A host that reports how busy it is, and its power unless that is None."""
        resource = f"host:{name}"
        for time in range(self.first, self.last + 1, STEP):
            is_busy = at(busy, time)
            self.add(time, resource, "power", at(power, time))
            self.add(time, resource, "cpu_utilisation", is_busy and is_busy / processors)
            self.add(time, resource, "processors", processors)

    def guest(
        self,
        name: str,
        where: str | Callable[[int], str | None],
        busy: Level = 1.0,
        processors: float = 2,
        **more: Level,
    ) -> None:
        """A guest that runs on a host, or on none while ``where`` says None."""
        resource = f"guest:{name}"
        for time in range(self.first, self.last + 1, STEP):
            host = where(time) if callable(where) else where
            if host is None:
                continue
            is_busy = at(busy, time)
            self.add(time, resource, "runs_on", number_of(f"host:{host}"))
            self.add(time, resource, "processors", processors)
            self.add(
                time, resource, "cpu_utilisation", None if is_busy is None else is_busy / processors
            )
            for quantity, level in more.items():
                self.add(time, resource, quantity, at(level, time))

    def gpu(self, name: str, power: float, holders: Mapping[str, float]) -> None:
        """A GPU, wholly held by one guest or in parts by several."""
        whole = [guest for guest, part in holders.items() if part == 1]
        for time in range(self.first, self.last + 1, STEP):
            self.add(time, f"gpu:{name}", "power", power)
            for guest in whole:
                self.add(time, f"gpu:{name}", "runs_on", number_of(f"guest:{guest}"))
            for n, (guest, part) in enumerate(holders.items() if not whole else ()):
                self.add(time, f"gpu_instance:{name}.{n}", "runs_on", number_of(f"guest:{guest}"))
                self.add(time, f"gpu_instance:{name}.{n}", "share", part)

    def add(self, time: int, resource: str, quantity: str, value: float | None) -> None:
        """One reading, ``time`` ms after START, where there is a value."""
        if value is not None:
            series = Series("lab", self.agent, resource, quantity)
            self.readings.append(Reading(series, START + time, value))

    def methods(self) -> dict[tuple[str, str], Method]:
        """As the agent's birth says them."""
        return {(r.series.resource, r.series.quantity): Method.GAUGE for r in self.readings}


def random_cluster(seed: int) -> Cluster:
    """Three hosts for two hours and eight guests that move, stop and fall silent; one GPU."""
    chance = random.Random(seed)
    cluster = Cluster(last=2 * HOUR)
    hosts = ["a", "b", "c"]
    for name in hosts:
        hole = chance.randrange(2 * HOUR)
        cluster.host(
            name, _with_hole(chance.uniform(150, 400), hole), busy=chance.choice([None, 5.0])
        )
    for n in range(8):
        moves = sorted(chance.randrange(2 * HOUR) for _ in range(chance.randrange(4)))
        places = [chance.choice([*hosts, None]) for _ in range(len(moves) + 1)]
        cluster.guest(
            f"g{n}",
            _moving(moves, places),
            busy=chance.choice([None, 0.0, 1.5, _changing]),
            power=chance.choice([None, 20.0]),
            memory_used=8e9,
            memory_size=16e9,
        )
    cluster.gpu("x", 40.0, {"g0": 0.5, "g1": 0.25})
    return cluster


def _with_hole(level: float, hole: int) -> Level:
    """Power that changes, and is not reported for ten minutes."""

    def power(time: int) -> float | None:
        return None if hole < time < hole + 600_000 else round(level + (time // STEP) % 7, 1)

    return power


def _moving(moves: Sequence[int], places: Sequence[str | None]) -> Callable[[int], str | None]:
    def where(time: int) -> str | None:
        return places[sum(time >= move for move in moves)]

    return where


def _changing(time: int) -> float:
    return (time // STEP) % 3 / 2


async def deliver(bench: Bench, readings: Iterable[Reading]) -> None:
    """Store and mark readings as the subscriber does, of whatever agents."""
    by_agent: dict[str, list[Reading]] = {}
    for reading in readings:
        by_agent.setdefault(reading.series.agent, []).append(reading)
    for agent, some in by_agent.items():
        await bench.store.write(some)
        bench.ledger.mark("lab", agent, [r.time_ms for r in some], bench.now_ms)


async def account_all(bench: Bench, *clusters: Cluster, settled: bool = True) -> None:
    """Births, then everything in one go, and a pass."""
    for cluster in clusters:
        bench.ledger.set_methods("lab", cluster.agent, cluster.methods())
        await deliver(bench, cluster.readings)
        if settled:
            bench.ledger.set_oldest("lab", cluster.agent, bench.now_ms)
    await bench.account()


def shares(bench: Bench, start: int = 0, end: int = 24 * HOUR) -> list[Share]:
    """All shares of rows that begin in [start, end), ms after START."""
    return bench.ledger.shares("lab", START + start, START + end)


def part(bench: Bench, host: str, guest: str, start: int = 0) -> Share:
    """The share of a guest of the gateway on one of its hosts, or on a declared one."""
    name = guest and f"{GATEWAY}/guest:{guest}"
    found = [s for s in shares(bench, start, start + 1) if (s.host, s.guest) == (host, name)]
    assert len(found) == 1, f"{host}, {guest}: {found}"
    return found[0]


def assert_sums(bench: Bench) -> int:
    """Shares add up to their host's row exactly, nobody was in two places; how many host hours."""
    by_host: dict[tuple[str, int], list[Share]] = {}
    by_guest: dict[tuple[str, int], list[Share]] = {}
    for share in shares(bench):
        by_host.setdefault((share.host, share.start_ms), []).append(share)
        if share.guest:
            by_guest.setdefault((share.guest, share.start_ms), []).append(share)
        assert min(share.idle, share.dynamic, share.gpu) >= 0
        assert 0 <= share.covered_ms <= HOUR
    for (host, start), some in by_host.items():
        (row,) = bench.ledger.rows("lab", [host], start, start + HOUR)[host]
        assert sum(share.energy for share in some) == row.amount
        (own,) = [share for share in some if not share.guest]
        assert own.covered_ms == row.covered_ms
    for (guest, start), some in by_guest.items():
        (row,) = bench.ledger.rows("lab", [guest], start, start + HOUR)[guest]
        assert row.amount == sum(share.energy for share in some)
        assert row.covered_ms == sum(share.covered_ms for share in some) <= HOUR
    return len(by_host)
