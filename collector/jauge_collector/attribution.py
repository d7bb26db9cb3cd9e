"""What hosts and their guests draw now: each host's newest watts, shared among who runs on it.

Of the agents' newest readings, at the newest moment that those of host and guests have in common.
Watts, rounded to a tenth so that what is shown adds up to the host's. Nothing here is kept; energy
is the ledger's (`ledger.sharing`), which waits for what is late.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from math import fsum
from typing import Final, NamedTuple

import msgspec
from jauge_models.attribution import (
    Certainty,
    GpuEnergy,
    GuestActivity,
    HostEnergy,
    Part,
    share,
)
from jauge_models.power_models import ServerModel, idle_part
from jauge_models.resources import kind_of, number_of
from jauge_models.topology import Commodity, Feed
from jauge_models.wire import Birth

from jauge_collector.declared_hosts import estimator_of
from jauge_collector.gc_pause import gc_paused
from jauge_collector.inventory import Inventory
from jauge_collector.newest import AHEAD_MS, Newest
from jauge_collector.sites import Site
from jauge_collector.stores import Store

_TENTHS: Final = 10


class NoPower(StrEnum):
    """Why nothing is known of what a host draws now."""

    NOT_MEASURED = "not_measured"
    """No agent reports its power, nor how busy it is."""
    SILENT = "silent"
    """Who reports it has not done so lately."""


class GuestNow(msgspec.Struct, frozen=True, gc=False):
    """Part of what a host draws, in W: ``idle``, ``dynamic`` and ``gpu`` add up to ``power``."""

    guest: str
    """``<agent>/guest:<uuid>``; empty for the host's own part."""
    name: str
    labels: Mapping[str, str]
    idle: float
    dynamic: float
    gpu: float
    power: float
    certainty: Certainty
    busy: float | None
    """Processors busy."""
    processors: float | None


class GpuNow(NamedTuple):
    """A GPU of a host: which agent tells of it, and the part of it that guests were given."""

    agent: str
    resource: str
    given: float
    """0 where it is the host's alone, 1 where guests hold all of it."""


class HostNow(msgspec.Struct, frozen=True, gc=False):
    """A host of guests: the powers of ``own`` and ``guests`` add up to its own."""

    host: str
    """As its rows name it: the id of the site file, or ``<agent>/<resource>``."""
    name: str
    labels: Mapping[str, str]
    power: float | None
    """W."""
    certainty: Certainty | None
    """Whether that was measured, or estimated by a model; None where there is no power."""
    time_ms: int | None
    """Of the readings that this is made of."""
    own: GuestNow | None
    guests: list[GuestNow]
    reason: NoPower | None
    """Why there is no power."""
    gpus: Sequence[GpuNow] = ()
    """Those that tell of their power."""


async def hosts_now(
    site: Site, store: Store, inventory: Inventory, now_ms: int, *, every: bool = False
) -> list[HostNow]:
    """The hosts of a site whose agents report guests, or every host, by name. Raises StoreError."""
    births = {
        agent.address.agent: agent.birth
        for agent in inventory.of_site(site.name)
        if agent.birth is not None
    }
    hosts = _Hosts(site, births, every=every)
    since_ms = now_ms - hosts.newest.longest_patience_ms - AHEAD_MS

    def work() -> list[HostNow]:
        hosts.newest.read(readings, now_ms)
        return hosts.now(now_ms)

    # A large site's readings are a hundred thousand objects that live for a moment and hold no
    # cycle: looking through them and all else over and over is a third of the time.
    with gc_paused():
        wanted = hosts.newest.wanted(hosts.feeds)
        readings = await store.read(wanted, since_ms, now_ms + AHEAD_MS)
        return await asyncio.to_thread(work)


class _Machine(NamedTuple):
    host: str
    name: str
    labels: Mapping[str, str]
    feeds: Sequence[Feed]
    idle_power: float | None
    model: ServerModel | None
    """None where nothing may be estimated."""


class _Drawn(NamedTuple):
    """What a host draws by one of its feeds, W."""

    time_ms: int
    power: float
    feed: Feed
    is_measured: bool


class _Hosts:
    """The hosts of a site whose agents report guests, or every host."""

    def __init__(self, site: Site, births: Mapping[str, Birth], *, every: bool = False) -> None:
        self._site = site
        self._every = every
        self.newest = Newest(site.name, births)
        self._machines = list(self._all_machines())
        self.feeds = [feed for machine in self._machines for feed in machine.feeds]

    def now(self, now_ms: int) -> list[HostNow]:
        """Each with its guests."""
        places = self.newest.places()
        found = [self._host(machine, places, now_ms) for machine in self._machines]
        return sorted(found, key=lambda one: (one.name, one.host))

    def _all_machines(self) -> Iterator[_Machine]:
        claimed: set[Feed] = set()
        for host in self._site.hosts:
            claimed.update(host.meter.feeds)
            if self._every or any(f.agent in self.newest.hosting for f in host.meter.feeds):
                labels = self.newest.labels(host.meter.feeds)
                if host.cluster:
                    labels = {**labels, "cluster": host.cluster}
                every = {
                    (feed.agent, feed.resource): self.newest.labels([feed])
                    for feed in host.meter.feeds
                }
                yield _Machine(
                    host.id,
                    host.meter.name,
                    labels,
                    host.meter.feeds,
                    host.idle_power,
                    host.estimator(every),
                )
        for meter in self._site.topology.meters:
            claimed.update(meter.feeds)
            hosting = any(
                kind_of(feed.resource) == "host" and feed.agent in self.newest.hosting
                for feed in meter.feeds
            )
            if hosting and meter.commodity is Commodity.ELECTRICITY:
                labels = self.newest.labels(meter.feeds)
                yield _Machine(
                    meter.id, meter.name, labels, meter.feeds, None, estimator_of(labels)
                )
        for agent in sorted(self.newest.resources if self._every else self.newest.hosting):
            for resource in self.newest.hosts_of[agent]:
                feed = Feed(agent, resource)
                if feed not in claimed:
                    described = self.newest.resources[agent][resource]
                    labels = self.newest.labels([feed])
                    yield _Machine(
                        f"{agent}/{resource}",
                        described.name or (agent if resource == "host" else resource),
                        labels,
                        (feed,),
                        None,
                        estimator_of(labels),
                    )

    def _drawn(self, machine: _Machine, now_ms: int) -> _Drawn | None:
        """By the first feed that tells of late, else by how busy the host is."""
        newest, now = self.newest, now_ms + AHEAD_MS
        for feed in machine.feeds:
            patience = newest.patience_ms(feed.agent)
            power = newest.last(feed.agent, feed.resource, "power", now, patience)
            if power is not None:
                return _Drawn(power.time_ms, power.value, feed, is_measured=True)
            energy = newest.last(feed.agent, feed.resource, "energy", now, patience)
            if energy is not None and energy.rate is not None:
                return _Drawn(energy.time_ms, energy.rate, feed, is_measured=True)
        for feed in machine.feeds if machine.model is not None else ():
            patience = newest.patience_ms(feed.agent)
            used = newest.last(feed.agent, feed.resource, "cpu_utilisation", now, patience)
            if used is not None and machine.model and kind_of(feed.resource) == "host":
                power_w = machine.model.power(used.value).power
                return _Drawn(used.time_ms, power_w, feed, is_measured=False)
        return None

    def _host(
        self,
        machine: _Machine,
        places: Mapping[tuple[str, int], Sequence[str]],
        now_ms: int,
    ) -> HostNow:
        drawn = self._drawn(machine, now_ms)
        if drawn is None:
            reason = NoPower.SILENT if self._is_read(machine) else NoPower.NOT_MEASURED
            return HostNow(
                machine.host, machine.name, machine.labels, None, None, None, None, [], reason
            )
        guests: dict[str, list[str]] = defaultdict(list)
        for feed in machine.feeds:
            for guest in places.get((feed.agent, number_of(feed.resource)), ()):
                guests[guest].append(feed.agent)
        at_ms = self._common_ms(guests, drawn.time_ms, now_ms)
        activities: dict[str, tuple[str, GuestActivity]] = {}
        for guest, agents in sorted(guests.items()):
            told = ((agent, self.newest.activity(agent, guest, at_ms)) for agent in agents)
            seen = next(((agent, one) for agent, one in told if one is not None), None)
            if seen is not None:
                activities[guest] = seen
        return self._shared(machine, self._power_at(drawn, at_ms), at_ms, activities)

    def _shared(
        self,
        machine: _Machine,
        drawn: _Drawn,
        at_ms: int,
        activities: Mapping[str, tuple[str, GuestActivity]],
    ) -> HostNow:
        """A host's watts among the guests that are on it."""
        told = [activity for _, activity in activities.values()]
        whole = round(max(drawn.power, 0.0), 1)
        busy, utilisation = self.newest.own_activity(machine.feeds, at_ms)
        processors = self.newest.processors(machine.feeds, at_ms)
        told_gpus = list(self._gpus(machine, activities, at_ms))
        gpus = [gpu for _, gpu in told_gpus]
        idle_power = machine.idle_power
        if idle_power is None and machine.model is not None and not drawn.is_measured:
            idle_power = machine.model.idle
        if idle_power is None:
            if utilisation is None:
                given = processors or fsum(one.processors or 0.0 for one in told)
                utilisation = min(fsum(one.busy or 0.0 for one in told) / given, 1) if given else 0
            idle_power = max(whole - fsum(gpu.energy for gpu in gpus), 0.0) * idle_part(utilisation)
        shared = share(
            HostEnergy(whole, idle_power, machine.idle_power is not None, busy, drawn.is_measured),
            told,
            gpus,
            self._site.idle,
            seconds=1,
        )
        own, *parts = _shown(whole, [shared.own, *(shared.guests[one.guest] for one in told)])
        found: list[GuestNow] = []
        for (guest, (agent, activity)), watts in zip(activities.items(), parts, strict=True):
            described = self.newest.resources[agent][guest]
            found.append(
                GuestNow(
                    f"{agent}/{guest}",
                    described.name or guest.partition(":")[2],
                    described.labels,
                    *watts,
                    shared.guests[guest].certainty,
                    activity.busy,
                    activity.processors,
                )
            )
        return HostNow(
            machine.host,
            machine.name,
            machine.labels,
            whole,
            Certainty.MEASURED if drawn.is_measured else Certainty.ESTIMATED,
            at_ms,
            GuestNow("", "", {}, *own, shared.own.certainty, busy, processors),
            found,
            None,
            [
                GpuNow(agent, gpu.gpu, min(fsum(part for _, part in gpu.holders), 1.0))
                for agent, gpu in told_gpus
            ],
        )

    def _is_read(self, machine: _Machine) -> bool:
        """Whether an agent says that it reads what a host draws, or how busy it is."""
        told = (self.newest.resources.get(f.agent, {}).get(f.resource) for f in machine.feeds)
        telling = {"power", "energy", "cpu_utilisation"}
        return any(one is not None and not telling.isdisjoint(one.quantities) for one in told)

    def _power_at(self, drawn: _Drawn, at_ms: int) -> _Drawn:
        """By the same feed, at an earlier moment if it tells of that."""
        earlier = self.newest.last(
            drawn.feed.agent,
            drawn.feed.resource,
            "power",
            at_ms,
            self.newest.patience_ms(drawn.feed.agent),
        )
        return drawn if earlier is None else drawn._replace(power=earlier.value)

    def _common_ms(self, guests: Mapping[str, Sequence[str]], newest_ms: int, now_ms: int) -> int:
        """The newest moment of which both the host and, where any was read of late, guests tell."""
        told = [
            seen_ms
            for guest, agents in guests.items()
            for agent in agents
            if (seen_ms := self.newest.seen_ms(agent, guest, now_ms + AHEAD_MS)) is not None
        ]
        return min(newest_ms, max(told, default=newest_ms))

    def _gpus(
        self, machine: _Machine, guests: Iterable[str], at_ms: int
    ) -> Iterator[tuple[str, GpuEnergy]]:
        """Those of a host, by agent: all of one that reports no other, else those held."""
        newest = self.newest
        names = {number_of(guest): guest for guest in guests}
        seen: set[str] = set()
        for feed in machine.feeds:
            if newest.hosts_of.get(feed.agent, []) == [feed.resource]:
                gpus = newest.gpus_of(feed.agent)
            else:
                numbers = (number_of(feed.resource), *names)
                gpus = [gpu for number in numbers for gpu in newest.held(feed.agent, number)]
            for gpu in gpus:
                watts = None if gpu in seen else newest.drawn(feed.agent, gpu, at_ms)
                if watts is not None:
                    seen.add(gpu)
                    holders = newest.holders(feed.agent, gpu, at_ms)
                    held = tuple((names[n], part) for n, part in holders if n in names)
                    yield feed.agent, GpuEnergy(gpu, watts, held)


def _shown(whole: float, parts: Sequence[Part]) -> list[tuple[float, float, float, float]]:
    """Idle, dynamic, GPU and whole watts of each part in tenths that add up to ``whole``.

    Each is rounded down, and those that lost most get a tenth more.
    """
    cells = [watts * _TENTHS for part in parts for watts in part[:3]]
    tenths = [int(cell) for cell in cells]
    missing = round(whole * _TENTHS) - sum(tenths)
    by_loss = sorted(range(len(cells)), key=lambda at: tenths[at] - cells[at])
    for at in by_loss[: max(missing, 0)]:
        tenths[at] += 1
    return [
        (
            tenths[at] / _TENTHS,
            tenths[at + 1] / _TENTHS,
            tenths[at + 2] / _TENTHS,
            sum(tenths[at : at + 3]) / _TENTHS,
        )
        for at in range(0, len(tenths), 3)
    ]
