"""The newest readings of hosts, guests and GPUs, as agents' births describe them.

A reading speaks for now while it is no older than its agent's patience. Times in ms since the Unix
epoch, UTC; W, J, processors.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from jauge_models.attribution import GuestActivity
from jauge_models.intervals import Point, Points
from jauge_models.resources import Series, hosts_of_guests, kind_of, number_of
from jauge_models.topology import Feed
from jauge_models.wire import Birth, ResourceDescription

AHEAD_MS: Final = 60_000
"""How far in front of our clock a reading may be stamped."""
_LEAST_PATIENCE_MS: Final = 90_000
_MOST_PATIENCE_MS: Final = 600_000
_QUANTITIES: Final = {
    "host": ("power", "energy", "cpu_utilisation", "cpu_time", "processors"),
    "guest": ("runs_on", "cpu_utilisation", "cpu_time", "processors", "power"),
    "gpu": ("power", "energy", "runs_on", "share"),
    "gpu_instance": ("runs_on", "share"),
    "outlet": ("power", "energy"),
    "inlet": ("power", "energy"),
}
_SIGNS: Final = ("runs_on", "cpu_utilisation", "cpu_time")
"""By which a guest shows that it runs."""
_NONE: Final[Mapping[str, Points]] = {}
_OF_HOSTS: Final = frozenset({"host", "outlet", "inlet"})
"""Kinds that are read only where they tell of a host that is asked for."""


class Last(NamedTuple):
    """The last value by a moment, and the one before it."""

    time_ms: int
    value: float
    before: Point | None

    @property
    def rate(self) -> float | None:
        """Of a running total, per second; None across a restart."""
        if self.before is None or self.value < self.before.value:
            return None
        return (self.value - self.before.value) / (self.time_ms - self.before.time_ms) * 1000


class Newest:
    """What the agents of a site describe, and after `read` their newest readings."""

    def __init__(self, site: str, births: Mapping[str, Birth]) -> None:
        self._site = site
        self.resources: dict[str, dict[str, ResourceDescription]] = {
            agent: {one.id: one for one in birth.resources if kind_of(one.id) in _QUANTITIES}
            for agent, birth in births.items()
        }
        self._patience_ms = {agent: _patience_ms(birth) for agent, birth in births.items()}
        self.hosting = {
            agent
            for agent, resources in self.resources.items()
            if any(kind_of(one) == "guest" for one in resources)
        }
        self.hosts_of = {
            agent: hosts_of_guests(resources) for agent, resources in self.resources.items()
        }
        self._parts: dict[tuple[str, str], list[str]] = defaultdict(list)
        """Parts of each GPU, by agent."""
        for agent, resources in self.resources.items():
            for name in resources:
                if kind_of(name) == "gpu_instance":
                    whole = "gpu:" + name.partition(":")[2].rpartition(".")[0]
                    self._parts[agent, whole].append(name)
        self._readings: dict[tuple[str, str], dict[str, Points]] = {}
        """By agent and resource, then by quantity."""
        self._held: dict[tuple[str, int], list[str]] = {}
        """GPUs by agent and number of who holds them."""
        self._now_ms = 0

    @property
    def longest_patience_ms(self) -> int:
        """How old a reading may be at most."""
        return max(self._patience_ms.values(), default=_LEAST_PATIENCE_MS)

    def patience_ms(self, agent: str) -> int:
        """How old a reading of an agent may be."""
        return self._patience_ms.get(agent, _LEAST_PATIENCE_MS)

    def wanted(self, feeds: Iterable[Feed]) -> list[Series]:
        """The series of some hosts, and of all guests and GPUs of their agents."""
        own = {(feed.agent, feed.resource) for feed in feeds}
        return [
            Series(self._site, agent, resource, quantity)
            for agent in sorted({agent for agent, _ in own} & self.resources.keys())
            for resource, described in self.resources[agent].items()
            if kind_of(resource) not in _OF_HOSTS or (agent, resource) in own
            for quantity in _QUANTITIES[kind_of(resource)]
            if quantity in described.quantities
        ]

    def read(self, readings: Mapping[Series, Points], now_ms: int) -> None:
        """Take what the store holds of late of what is `wanted`."""
        self._readings, self._now_ms = {}, now_ms
        for (_, agent, resource, quantity), points in readings.items():
            self._readings.setdefault((agent, resource), {})[quantity] = points
        self._held = defaultdict(list)
        for agent in self.hosting:
            for gpu in self.gpus_of(agent):
                for number, _ in self.holders(agent, gpu, now_ms + AHEAD_MS):
                    self._held[agent, number].append(gpu)

    def held(self, agent: str, number: int) -> Sequence[str]:
        """The GPUs that what has this number holds."""
        return self._held.get((agent, number), ())

    def labels(self, feeds: Iterable[Feed]) -> Mapping[str, str]:
        """What births say of a host, by the feed that says most first."""
        told = [self.resources.get(f.agent, {}).get(f.resource) for f in feeds]
        return max((one.labels for one in told if one is not None), key=len, default={})

    def last(
        self, agent: str, resource: str, quantity: str, until_ms: int, patience_ms: int
    ) -> Last | None:
        """The last reading by a moment, no older than that."""
        points = self._readings.get((agent, resource), _NONE).get(quantity)
        if points is None:
            return None
        at = _at(points.times_ms, until_ms, min(until_ms, self._now_ms) - patience_ms)
        return None if at < 0 else Last(*points[at], points[at - 1] if at else None)

    def places(self) -> dict[tuple[str, int], list[str]]:
        """The guests on each host, by agent and number of the host, by their newest readings."""
        found: dict[tuple[str, int], list[str]] = defaultdict(list)
        for agent in self.hosting:
            hosts = self.hosts_of[agent]
            lone = number_of(hosts[0]) if len(hosts) == 1 else None
            for guest in self.resources[agent]:
                if kind_of(guest) != "guest":
                    continue
                said = self.last(
                    agent, guest, "runs_on", self._now_ms + AHEAD_MS, _MOST_PATIENCE_MS
                )
                number = lone if said is None else round(said.value)
                if number is not None:
                    found[agent, number].append(guest)
        return found

    def seen_ms(self, agent: str, guest: str, until_ms: int) -> int | None:
        """When the last sign came that a guest runs."""
        told = self._readings.get((agent, guest))
        if told is None:
            return None
        since_ms = min(until_ms, self._now_ms) - self.patience_ms(agent)
        latest: int | None = None
        for quantity in _SIGNS:
            points = told.get(quantity)
            at = -1 if points is None else _at(points.times_ms, until_ms, since_ms)
            if points is not None and at >= 0:
                latest = max(points.times_ms[at], latest or 0)
        return latest

    def activity(self, agent: str, guest: str, at_ms: int) -> GuestActivity | None:
        """What a guest does; None where it was not seen of late."""
        if self.seen_ms(agent, guest, at_ms) is None:
            return None
        patience = self.patience_ms(agent)
        processors = self.last(agent, guest, "processors", at_ms, _MOST_PATIENCE_MS)
        power = self.last(agent, guest, "power", at_ms, patience)
        busy = self.busy(agent, guest, at_ms, processors)
        return GuestActivity(
            guest,
            busy,
            processors and processors.value,
            None if power is None or power.value < 0 else power.value,
        )

    def busy(self, agent: str, resource: str, at_ms: int, processors: Last | None) -> float | None:
        """Processors busy."""
        patience = self.patience_ms(agent)
        total = self.last(agent, resource, "cpu_time", at_ms, patience)
        if total is not None and total.rate is not None:
            return total.rate
        used = self.last(agent, resource, "cpu_utilisation", at_ms, patience)
        if used is None or processors is None:
            return None
        return used.value * processors.value

    def processors(self, feeds: Iterable[Feed], at_ms: int) -> float | None:
        """Of a host, by its ranked feeds."""
        for feed in feeds:
            told = self.last(feed.agent, feed.resource, "processors", at_ms, _MOST_PATIENCE_MS)
            if told is not None:
                return told.value
        return None

    def own_activity(self, feeds: Iterable[Feed], at_ms: int) -> tuple[float | None, float | None]:
        """Processors of a host that are busy, and its utilisation, by its ranked feeds."""
        for feed in feeds:
            patience = self.patience_ms(feed.agent)
            processors = self.last(
                feed.agent, feed.resource, "processors", at_ms, _MOST_PATIENCE_MS
            )
            busy = self.busy(feed.agent, feed.resource, at_ms, processors)
            used = self.last(feed.agent, feed.resource, "cpu_utilisation", at_ms, patience)
            if used is not None:
                return busy, min(max(used.value, 0.0), 1.0)
            if busy is not None and processors is not None and processors.value:
                return busy, min(busy / processors.value, 1.0)
        return None, None

    def gpus_of(self, agent: str) -> list[str]:
        """The GPUs that an agent reports."""
        return [one for one in self.resources.get(agent, ()) if kind_of(one) == "gpu"]

    def holders(self, agent: str, gpu: str, at_ms: int) -> Iterator[tuple[int, float]]:
        """Numbers of those that hold a GPU, with their parts."""
        patience = self.patience_ms(agent)
        for name in (gpu, *self._parts.get((agent, gpu), ())):
            number = self.last(agent, name, "runs_on", at_ms, patience)
            given = self.last(agent, name, "share", at_ms, patience)
            if number is not None and (name == gpu or given is not None):
                yield round(number.value), 1.0 if given is None else given.value

    def drawn(self, agent: str, gpu: str, at_ms: int) -> float | None:
        """Watts of a GPU."""
        patience = self.patience_ms(agent)
        power = self.last(agent, gpu, "power", at_ms, patience)
        if power is not None:
            return max(power.value, 0.0)
        energy = self.last(agent, gpu, "energy", at_ms, patience)
        return None if energy is None else energy.rate


def _at(times_ms: Sequence[int], until_ms: int, since_ms: int) -> int:
    """Place of the last reading of [since, until]; -1 where there is none."""
    at = bisect_right(times_ms, until_ms) - 1
    return at if at >= 0 and times_ms[at] >= since_ms else -1


def _patience_ms(birth: Birth) -> int:
    """How old a reading of an agent may be and still speak for now."""
    period_s = max((source.period_s for source in birth.sources if not source.absent), default=0.0)
    return min(max(round(1500 * period_s) + 5000, _LEAST_PATIENCE_MS), _MOST_PATIENCE_MS)
