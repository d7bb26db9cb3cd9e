"""Which guests and GPUs a site's agents report, on which host each was, and what they did there.

Read from the store in pieces, so that memory is bounded by the hosts that are shared out at once.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from jauge_models.intervals import Point, Points
from jauge_models.resources import Series, hosts_of_guests, kind_of, number_of
from jauge_models.topology import Commodity, Feed, Meter

from jauge_collector.ledger.activity import (
    ACTIVE,
    LEAST_GAP_MS,
    SLOT_MS,
    Span,
    Use,
    both,
    held_at_slots,
    means,
    seen,
    stays,
    use,
)
from jauge_collector.ledger.computation import Declared, channels, compute
from jauge_collector.ledger.connected import Methods
from jauge_collector.ledger.sharing import Gpu, Guest
from jauge_collector.stores import Store

_AT_ONCE: Final = 256
"""Guests read at once."""
_OF_GUEST: Final = (*ACTIVE, "memory_used", "memory_size", "power")
_OF_HOST: Final = ("cpu_utilisation", "cpu_time", "processors", "memory_used", "memory_size")
_GPUS: Final = ("gpu", "gpu_instance")

Place = tuple[str, int]
"""An agent, and the number of a host as that agent reports it."""

Alive = Callable[[], None]


class Residents(NamedTuple):
    """Who was where in an hour, by agent and number of the host: guests with their spans.

    ``holders`` are by agent and GPU: in each slot the numbers of the guests that hold it, or of
    the host that does, with their parts.
    """

    start_ms: int
    end_ms: int
    guests: Mapping[Place, Mapping[str, list[Span]]]
    holders: Mapping[tuple[str, str], Sequence[Sequence[tuple[int, float]]]]
    held: Mapping[Place, Sequence[str]]
    """GPUs by agent and number of who held them in any slot."""

    @property
    def span(self) -> Span:
        """The hour."""
        return self.start_ms, self.end_ms


class OwnUse(NamedTuple):
    """What a host says of itself in an hour, and its utilisation in each slot, 0..1."""

    use: Use
    utilisation: Sequence[float | None]

    @property
    def is_told(self) -> bool:
        """Whether it says how busy it is."""
        return any(value is not None for value in (*self.use.busy, *self.utilisation))


class _Stay(NamedTuple):
    """When a guest was on the host of this place among some, by the feed of this rank."""

    host: int
    rank: int
    spans: list[Span]
    gap_ms: int


class Hosting:
    """The guests, GPUs and hosts that the agents of a site report, by their series and births.

    ``gaps`` (ms) are the hosts' own, by their feeds; `LEAST_GAP_MS` is that of all others.
    """

    def __init__(
        self, site: str, series: Iterable[Series], methods: Methods, gaps: Mapping[Feed, int]
    ) -> None:
        self._site = site
        self._methods = methods
        self._gaps = {(feed.agent, number_of(feed.resource)): gap for feed, gap in gaps.items()}
        self._reach: dict[str, int] = {}
        """The longest gap of each agent's hosts."""
        for feed, gap in gaps.items():
            self._reach[feed.agent] = max(gap, self._reach_ms(feed.agent))
        self._quantities: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self._hosts: dict[str, set[str]] = defaultdict(set)
        known = [(one.agent, one.resource, one.quantity) for one in series]
        for agent, resource, quantity in (*known, *methods):
            kind = kind_of(resource)
            if kind == "host":
                self._hosts[agent].add(resource)
            elif kind == "guest" or kind in _GPUS:
                self._quantities[agent][resource].add(quantity)
        self._hosts.update({a: set(hosts_of_guests(hosts)) for a, hosts in self._hosts.items()})
        self._guests: dict[str, list[str]] = {}
        self._gpus: dict[str, list[str]] = {}
        for agent, names in self._quantities.items():
            self._guests[agent] = sorted(name for name in names if kind_of(name) == "guest")
            self._gpus[agent] = sorted(
                name
                for name in names
                if kind_of(name) == "gpu"
                or (kind_of(name) == "gpu_instance" and _whole(name) not in names)
            )

    @staticmethod
    def agents(methods: Methods) -> set[str]:
        """The agents that a birth says report guests."""
        return {agent for agent, resource, _ in methods if kind_of(resource) == "guest"}

    @staticmethod
    def gateways(methods: Methods) -> set[Feed]:
        """Machines that agents run on which read hosts elsewhere: no guest is on them."""
        told = {agent for agent, resource, _ in methods if resource.startswith("host:")}
        return {Feed(agent, "host") for agent in told}

    def guests(self, agent: str) -> Sequence[str]:
        """The guests that an agent reports, or did."""
        return self._guests.get(agent, ())

    def gpus(self, agent: str) -> Sequence[str]:
        """Its GPUs, and parts of GPUs whose whole it does not report."""
        return self._gpus.get(agent, ())

    def is_alone(self, agent: str, resource: str) -> bool:
        """Whether a host is the only one that an agent reports: all it reports is there."""
        return self._hosts[agent] <= {resource}

    def _gap_ms(self, place: Place) -> int:
        return self._gaps.get(place, LEAST_GAP_MS)

    def _gap_of(self, feeds: Sequence[Feed]) -> int:
        return self._gap_ms((feeds[0].agent, number_of(feeds[0].resource)))

    def _reach_ms(self, agent: str) -> int:
        return self._reach.get(agent, LEAST_GAP_MS)

    async def residents(
        self, store: Store, agents: Collection[str], span: Span, alive: Alive
    ) -> Residents:
        """Who was where in an hour, of some agents. Raises StoreError."""
        guests: dict[Place, dict[str, list[Span]]] = defaultdict(dict)
        holders: dict[tuple[str, str], list[list[tuple[int, float]]]] = {}
        for agent in sorted(agents):
            for some in _pieces(self.guests(agent)):
                read = await self._read(store, agent, some, ("runs_on",), span)
                await asyncio.to_thread(self._place, agent, some, read, (guests, span))
                alive()
            gaps = self._gaps_of_holders(agent, guests) if self.gpus(agent) else {}
            for some in _pieces(self.gpus(agent)):
                holders |= await self._holders(store, agent, some, span, gaps)
                alive()
        held: dict[Place, list[str]] = defaultdict(list)
        for (agent, gpu), slots in holders.items():
            for number in {number for slot in slots for number, _ in slot}:
                held[agent, number].append(gpu)
        return Residents(*span, guests, holders, held)

    def _gaps_of_holders(
        self, agent: str, guests: Mapping[Place, Mapping[str, object]]
    ) -> dict[int, int]:
        """By number of a host, or of a guest that was there: its gap, the longest of several."""
        found: dict[int, int] = {}
        for (_, number), gap in ((p, g) for p, g in self._gaps.items() if p[0] == agent):
            for holder in (number, *map(number_of, guests.get((agent, number), ()))):
                found[holder] = max(gap, found.get(holder, LEAST_GAP_MS))
        return found

    def _place(
        self,
        agent: str,
        some: Iterable[str],
        read: Mapping[str, Mapping[str, Points]],
        into: tuple[dict[Place, dict[str, list[Span]]], Span],
    ) -> None:
        """Where each guest was, by its readings; where there are none, on the one host."""
        guests, span = into
        lone = next(iter(self._hosts[agent])) if len(self._hosts[agent]) == 1 else None
        for guest in some:
            points = read.get(guest, {}).get("runs_on", ())
            for stay in stays(points, *span):
                spans = guests[agent, stay.number].setdefault(guest, [])
                spans.append((stay.start_ms, stay.end_ms))
            if not points and lone is not None:
                guests[agent, number_of(lone)][guest] = [span]

    async def uses(
        self, store: Store, feeds: Sequence[Sequence[Feed]], where: Residents, alive: Alive
    ) -> list[list[Guest]]:
        """For each of some hosts, by its ranked feeds: the guests on it and what they did there.

        Raises StoreError.
        """
        found: list[list[Guest]] = [[] for _ in feeds]
        wanted: dict[str, dict[str, list[_Stay]]] = defaultdict(dict)
        for at, ranked in enumerate(feeds):
            gap_ms = self._gap_of(ranked)
            for rank, feed in enumerate(ranked):
                place = (feed.agent, number_of(feed.resource))
                for guest, spans in where.guests.get(place, {}).items():
                    wanted[feed.agent].setdefault(guest, []).append(_Stay(at, rank, spans, gap_ms))
        for agent, guests in wanted.items():
            for some in _pieces(sorted(guests)):
                read = await self._read(store, agent, some, _OF_GUEST, where.span)
                told = await asyncio.to_thread(_told, agent, read, guests, where.span)
                alive()
                for at, one in told:
                    found[at].append(one)
        return found

    async def own_uses(
        self, store: Store, feeds: Sequence[Sequence[Feed]], span: Span
    ) -> list[OwnUse]:
        """What each of some hosts says of itself, by its ranked feeds. Raises StoreError.

        Of the feeds the first counts that tells how busy the host is.
        """
        resources: dict[str, set[str]] = defaultdict(set)
        for ranked in feeds:
            for feed in ranked:
                resources[feed.agent].add(feed.resource)
        read = {
            agent: await self._read(store, agent, sorted(some), _OF_HOST, span)
            for agent, some in resources.items()
        }
        found: list[OwnUse] = []
        for ranked in feeds:
            told: list[OwnUse] = []
            gap_ms = self._gap_of(ranked)
            for feed in ranked:
                readings = read[feed.agent].get(feed.resource, {})
                shown = means(readings.get("cpu_utilisation", ()), *span, gap_ms=gap_ms)
                told.append(OwnUse(use(readings, [span], *span, gap_ms=gap_ms), shown))
            found.append(next((one for one in told if one.is_told), told[0]))
        return found

    async def gpus_of(
        self, store: Store, feeds: Sequence[Feed], where: Residents, guests: Sequence[Guest]
    ) -> list[Gpu]:
        """The GPUs of one host: all of an agent that reports no other, else those that are held.

        One that several agents report is that of the first. Raises StoreError.
        """
        found: dict[str, Gpu] = {}
        gap_ms = self._gap_of(feeds)
        names = {number_of(guest.resource): guest.resource for guest in guests}
        for feed in feeds:
            own = number_of(feed.resource)
            mine = self.is_alone(feed.agent, feed.resource)
            numbers = (own, *names)
            gpus = self.gpus(feed.agent)
            if not mine:
                gpus = [gpu for n in numbers for gpu in where.held.get((feed.agent, n), ())]
            here = {
                gpu: [
                    mine or any(n == own or n in names for n, _ in slot)
                    for slot in where.holders[feed.agent, gpu]
                ]
                for gpu in gpus
                if gpu not in found
            }
            for some in _pieces(sorted(here)):
                energies = await self._energies(store, feed.agent, some, where, gap_ms)
                for name in some:
                    holders = [
                        tuple((names[n], part) for n, part in slot if n in names)
                        for slot in where.holders[feed.agent, name]
                    ]
                    found[name] = Gpu(name, energies[name], holders, here[name])
        return list(found.values())

    async def _holders(
        self,
        store: Store,
        agent: str,
        gpus: Sequence[str],
        span: Span,
        gaps: Mapping[int, int],
    ) -> dict[tuple[str, str], list[list[tuple[int, float]]]]:
        """Who held each GPU in each slot, by what it says of itself, else by its parts.

        ``gaps`` are by holder: for so long a reading says who it is.
        """
        parts: dict[str, list[str]] = {name: [name] for name in gpus}
        for name in self._quantities[agent]:
            if kind_of(name) == "gpu_instance" and (whole := _whole(name)) in parts:
                parts[whole].append(name)
        every = [name for names in parts.values() for name in names]
        read = await self._read(store, agent, every, ("runs_on", "share"), span)
        found: dict[tuple[str, str], list[list[tuple[int, float]]]] = {}
        for gpu, names in parts.items():
            slots: list[list[tuple[int, float]]] = [[] for _ in range(*span, SLOT_MS)]
            for name in names:
                for at, (number, part) in enumerate(_held(read.get(name, {}), span, gaps)):
                    if number is None:
                        continue
                    if part is None and kind_of(name) == "gpu":
                        part = 1.0  # noqa: PLW2901 - it is held whole
                    if part is not None:
                        slots[at].append((round(number), part))
            found[agent, gpu] = slots
        return found

    async def _energies(
        self, store: Store, agent: str, gpus: Sequence[str], where: Residents, gap_ms: int
    ) -> dict[str, list[float | None]]:
        """J of each GPU in each slot."""
        start_ms, end_ms = where.start_ms, where.end_ms
        measured = {
            name: Meter(
                name,
                Commodity.ELECTRICITY,
                (Feed(agent, name),),
                interval_ms=SLOT_MS,
                max_gap_ms=gap_ms,
            )
            for name in gpus
        }
        series = {name: channels(self._site, m, self._methods) for name, m in measured.items()}
        read = await store.read(
            [channel.series for some in series.values() for channel in some],
            start_ms - gap_ms,
            end_ms + gap_ms,
        )
        found: dict[str, list[float | None]] = {}
        for name, meter in measured.items():
            readings = {c: read[c.series] for c in series[name] if c.series in read}
            rows = compute(Declared(meter), readings, range(start_ms, end_ms, SLOT_MS))
            by_start = {row.interval.start_ms: row.interval.amount for row in rows}
            found[name] = [by_start.get(at) for at in range(start_ms, end_ms, SLOT_MS)]
        return found

    async def _read(
        self,
        store: Store,
        agent: str,
        resources: Iterable[str],
        quantities: Collection[str],
        span: Span,
    ) -> dict[str, dict[str, Points]]:
        """Readings in an hour and as far around as they matter, by resource and quantity."""
        known = self._quantities[agent]
        wanted = [
            Series(self._site, agent, resource, quantity)
            for resource in resources
            for quantity in quantities
            if resource not in known or quantity in known[resource]
        ]
        reach_ms = self._reach_ms(agent)
        read = await store.read(wanted, span[0] - reach_ms, span[1] + reach_ms)
        found: dict[str, dict[str, Points]] = defaultdict(dict)
        for series, points in read.items():
            found[series.resource][series.quantity] = points
        return found


def _told(
    agent: str,
    read: Mapping[str, Mapping[str, Points]],
    guests: Mapping[str, Sequence[_Stay]],
    span: Span,
) -> list[tuple[int, Guest]]:
    """What some guests did on each of their hosts, by the host's place."""
    found: list[tuple[int, Guest]] = []
    for guest, readings in read.items():
        for stay in guests[guest]:
            if there := both(stay.spans, seen(readings, stay.gap_ms)):
                told = use(readings, there, *span, gap_ms=stay.gap_ms)
                found.append((stay.host, Guest(f"{agent}/{guest}", guest, stay.rank, told)))
    return found


def _held(
    readings: Mapping[str, Points], span: Span, gaps: Mapping[int, int]
) -> list[tuple[float | None, float | None]]:
    """In each slot the number of who held a GPU, or a part of one, and the part that was given."""
    said = readings.get("runs_on", ())

    def gap_ms(point: Point) -> int:
        return gaps.get(round(point.value), LEAST_GAP_MS)

    longest_ms = max(map(gap_ms, said), default=LEAST_GAP_MS)
    numbers = held_at_slots(said, *span, gap_ms)
    given = held_at_slots(readings.get("share", ()), *span, lambda _: longest_ms)
    return list(zip(numbers, given, strict=True))


def _whole(instance: str) -> str:
    """The GPU that a part is of: ``gpu:<id>`` of ``gpu_instance:<id>.<n>``."""
    return "gpu:" + instance.partition(":")[2].rpartition(".")[0]


def _pieces(names: Sequence[str]) -> Iterable[Sequence[str]]:
    for at in range(0, len(names), _AT_ONCE):
        yield names[at : at + _AT_ONCE]
