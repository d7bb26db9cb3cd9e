"""What births say, on its way to the ledger: how quantities are obtained, names and labels.

Bounded, and told only where it is news: at a start ten thousand retained births come at once.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from jauge_models.resources import kind_of
from jauge_models.topology import MEASURES
from jauge_models.wire import Address, Method

from jauge_collector.inventory import Agent
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.descriptions import described
from jauge_collector.ledger.retention import forgotten as forgettings
from jauge_collector.telemetry import Telemetry

BIRTHS_AT_ONCE: Final = 4
BIRTHS_EVERY_S: Final = 60.0
"""Of one agent so many births within this time reach the ledger; of more, the last one after it.
An agent sends a few at its start and after each change of what it measures."""

MAX_UNDELIVERED: Final = 20_000
MAX_UNDELIVERED_ENTRIES: Final = 1_000_000
"""Births that wait for the ledger, and the methods and descriptions of all; beyond it they wait
for the agent's next birth."""
MAX_FINGERPRINTS: Final = 100_000

MEASURED: Final = frozenset(
    quantity
    for measures in MEASURES.values()
    for quantity in (measures.register, measures.amount, measures.power)
    if quantity is not None
)
ACTIVITY: Final = frozenset({"cpu_utilisation", "cpu_time", "runs_on"})
"""Quantities of which the ledger must know how they are obtained, or of hosts and guests, that
they are: a birth of 5 000 guests names thirty thousand others."""


class _News(NamedTuple):
    """What one birth says that the ledger keeps."""

    methods: Mapping[tuple[str, str], Method]
    described: Mapping[str, tuple[str, str]]
    time_ms: int

    @property
    def size(self) -> int:
        return len(self.methods) + len(self.described)

    @property
    def fingerprint(self) -> int:
        return _fingerprint(self.methods, self.described)


class _Told(NamedTuple):
    """When the ledger was first told of an agent in this minute, and how often since."""

    since_s: float
    times: int


class Births:
    """Births that wait for the ledger. One task at a time calls `write`."""

    def __init__(self, ledger: Ledger, telemetry: Telemetry, alive: Callable[[], None]) -> None:
        self._ledger = ledger
        self._telemetry = telemetry
        self._alive = alive
        self._fingerprints: dict[Address, int] = {}
        """Of what the ledger knows of each agent."""
        self._waiting: dict[Address, _News] = {}
        self._size = 0
        self._forgotten = 0
        """How often the ledger had forgotten names when the fingerprints were begun."""
        self._told: dict[Address, _Told] = {}

    def __len__(self) -> int:
        """Births that wait."""
        return len(self._waiting)

    @property
    def known(self) -> int:
        """Agents of which it is remembered what the ledger knows."""
        return len(self._fingerprints)

    def heard(self, agent: Agent, time_ms: int) -> None:
        """Have the ledger told of an agent's birth, where it is news."""
        address = agent.address
        news = _news(agent, time_ms)
        waiting = self._waiting.get(address)
        if waiting is None and news.fingerprint == self._fingerprints.get(address):
            return
        total = self._size - (waiting.size if waiting else 0) + news.size
        room = waiting is not None or len(self._waiting) < MAX_UNDELIVERED
        if room and total <= MAX_UNDELIVERED_ENTRIES:
            self._waiting[address], self._size = news, total
        else:
            self._telemetry.queue_dropped.labels("births").inc()

    async def write(self) -> None:
        """Tell the ledger what is due. Raises LedgerError; what it did not take stays."""
        for address in [one for one in self._waiting if not self._told_enough(one)]:
            news = self._waiting[address]
            forgotten = self._forgotten
            await asyncio.to_thread(self._ledger.set_methods, *address, news.methods)
            await asyncio.to_thread(
                self._ledger.set_descriptions, *address, news.described, news.time_ms
            )
            self._note_told(address)
            self._alive()
            if len(self._fingerprints) >= MAX_FINGERPRINTS:
                self._fingerprints.clear()  # what is not news is told once more
            if forgotten == self._forgotten:
                self._fingerprints[address] = news.fingerprint
            if self._waiting.get(address) is news:
                self._size -= news.size
                del self._waiting[address]

    def learn(self, sites: Iterable[str]) -> None:
        """What the ledger knows. Raises LedgerError."""
        self._forgotten = forgettings(self._ledger)
        for site in sites:
            methods: defaultdict[str, dict[tuple[str, str], Method]] = defaultdict(dict)
            for (agent, resource, quantity), method in self._ledger.methods(site).items():
                methods[agent][resource, quantity] = method
            told: defaultdict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
            for (agent, resource), text in self._ledger.newest_descriptions(site).items():
                told[agent][resource] = text
            for agent, known in methods.items():
                self._fingerprints[Address(site, agent)] = _fingerprint(known, told[agent])

    async def heed_forgetting(self) -> None:
        """Once names have gone from the ledger, whoever returns is news. Raises LedgerError."""
        forgotten = await asyncio.to_thread(forgettings, self._ledger)
        if forgotten != self._forgotten:
            self._forgotten = forgotten
            self._fingerprints.clear()

    def _told_enough(self, address: Address) -> bool:
        told = self._told.get(address)
        return (
            told is not None
            and told.times >= BIRTHS_AT_ONCE
            and time.monotonic() - told.since_s < BIRTHS_EVERY_S
        )

    def _note_told(self, address: Address) -> None:
        now_s = time.monotonic()
        if len(self._told) >= MAX_FINGERPRINTS:
            self._told = {
                of: told for of, told in self._told.items() if now_s - told.since_s < BIRTHS_EVERY_S
            }
        told = self._told.get(address)
        if told is None or now_s - told.since_s >= BIRTHS_EVERY_S:
            # A held one that is told at last leaves no room for as many more at once.
            held = told is not None and told.times >= BIRTHS_AT_ONCE
            self._told[address] = _Told(now_s, BIRTHS_AT_ONCE if held else 1)
        else:
            self._told[address] = _Told(told.since_s, told.times + 1)


def _news(agent: Agent, time_ms: int) -> _News:
    resources = agent.birth.resources if agent.birth else []
    methods = {
        (resource.id, quantity): method
        for resource in resources
        for kind in (kind_of(resource.id),)
        for quantity, method in resource.quantities.items()
        if quantity in MEASURED or (quantity in ACTIVITY and kind in {"host", "guest"})
    }
    return _News(methods, described({one.id: one for one in resources}), time_ms)


def _fingerprint(
    methods: Mapping[tuple[str, str], Method], told: Mapping[str, tuple[str, str]]
) -> int:
    return hash((frozenset(methods.items()), frozenset(told.items())))
