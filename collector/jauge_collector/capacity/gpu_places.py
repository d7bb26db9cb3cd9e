"""Which GPUs stand in which node of a plant, by what agents tell of them.

As the ledger has it: a host has all GPUs of an agent that reports no other host. Of a gateway that
reports many it has those whose birth names it, else those that it or one of its guests holds now.
A GPU is in one node at most: where several may have it, in the one that names its agent or is the
host that it reports; where that is so of several or of none, nobody knows which.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from jauge_models.capacity.inventory import Node
from jauge_models.intervals import Point
from jauge_models.resources import Series, kind_of, number_of

from jauge_collector.capacity.plant_file import DeclaredPlant
from jauge_collector.ledger.descriptions import Described
from jauge_collector.sites import Site


class Gpu(NamedTuple):
    """A GPU as agents tell of it: of itself, and by the parts that it is cut into."""

    agent: str
    resource: str
    parts: tuple[str, ...]
    hosts: frozenset[int]
    """Numbers of the agent's hosts: what one of them holds nobody was given."""


class GpuPlaces:
    """GPUs of each node. ``latest``: what was said of late; ``described``: what births say."""

    def __init__(
        self,
        site: Site,
        declared: DeclaredPlant,
        known: Iterable[Series],
        latest: Mapping[Series, Point],
        described: Described,
    ) -> None:
        self._site = site
        self._declared = declared
        self._latest = latest
        self._described = described
        self._gpus: defaultdict[str, set[str]] = defaultdict(set)
        self._parts: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._hosts: defaultdict[str, set[str]] = defaultdict(set)
        for series in known:
            kind = kind_of(series.resource)
            if kind == "gpu":
                self._gpus[series.agent].add(series.resource)
            elif kind == "gpu_instance":
                whole = _whole(series.resource)
                self._gpus[series.agent].add(whole)
                self._parts[series.agent, whole].add(series.resource)
            elif kind == "host":
                self._hosts[series.agent].add(series.resource)
        self._guests = {
            (series.agent, number_of(series.resource)): series.resource
            for series in latest
            if kind_of(series.resource) == "guest"
        }
        self._of = self._each_in_one(declared.plant.nodes)

    def of(self, node: Node) -> list[Gpu]:
        """GPUs of a node in the order of their names, by the first of its agents that tells."""
        return self._of[node.name]

    def _each_in_one(self, nodes: Iterable[Node]) -> dict[str, list[Gpu]]:
        claims = {node.name: self._claimed(node) for node in nodes}
        surely = Counter(gpu for sure, gpus in claims.values() if sure for gpu in gpus)
        perhaps = Counter(gpu for sure, gpus in claims.values() if not sure for gpu in gpus)
        return {
            name: [
                gpu
                for gpu in gpus
                if (surely[gpu] == 1 if sure else perhaps[gpu] == 1 and not surely[gpu])
            ]
            for name, (sure, gpus) in claims.items()
        }

    def _claimed(self, node: Node) -> tuple[bool, list[Gpu]]:
        """GPUs that may be in a node, and whether its host is one that their agent tells of."""
        named = node.name in self._declared.agents
        for agent, own in self._agents(node):
            hosts = self._hosts[agent]
            alone = len(hosts) <= 1
            numbers = frozenset(number_of(host) for host in hosts)
            gpus = [
                Gpu(agent, gpu, tuple(sorted(self._parts[agent, gpu])), numbers)
                for gpu in sorted(self._gpus[agent])
                if alone or self._is_in(agent, gpu, own)
            ]
            if gpus:
                return named or not alone or bool(own & hosts), gpus
        return False, []

    def _agents(self, node: Node) -> Iterable[tuple[str, set[str]]]:
        """Agents that may tell of a node's GPUs, the best first, and how they call its host."""
        host = self._declared.hosts[node.name]
        called: defaultdict[str, set[str]] = defaultdict(set)
        for one in self._site.hosts:
            if one.meter.id == host:
                for feed in one.meter.feeds:
                    # An outlet that feeds the host may be read by another host's agent.
                    if kind_of(feed.resource) == "host":
                        called[feed.agent].add(feed.resource)
        agent, _, resource = host.partition("/")
        called[agent].add(resource or "host")
        if node.name in self._declared.agents:
            named = self._declared.agents[node.name]
            return [(named, called[named])]
        return called.items()

    def _is_in(self, agent: str, gpu: str, own: set[str]) -> bool:
        """Whether a GPU of an agent with many hosts is in one of these."""
        told = self._described.get((agent, gpu))
        if told is not None and (named := told.labels.get("host")):
            names = (self._described.get((agent, host)) for host in own)
            return any(one is not None and one.name == named for one in names)
        numbers = {number_of(host) for host in own}
        for name in (gpu, *self._parts[agent, gpu]):
            holder = self._number(agent, name)
            guest = None if holder is None else self.guest(agent, holder)
            if holder in numbers or (guest and self._number(agent, guest) in numbers):
                return True
        return False

    def guest(self, agent: str, number: int) -> str | None:
        """The guest of which an agent last said something, by its number."""
        return self._guests.get((agent, number))

    def _number(self, agent: str, resource: str) -> int | None:
        point = self._latest.get(Series(self._site.name, agent, resource, "runs_on"))
        return None if point is None else round(point.value)


def _whole(instance: str) -> str:
    """The GPU that ``gpu_instance:<id>.<n>`` is a part of."""
    return f"gpu:{instance.partition(':')[2].rpartition('.')[0]}"
