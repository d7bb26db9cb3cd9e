"""Which rows each name of the connection map means, and who beside meters gets rows for it.

A name is the id of a meter or declared host, ``agent/resource``, or ``kind:id`` of a device that
some agent reads. What feeds a meter or host is that one. Of several agents that read one device
the first by name stands for it, so that no energy is there twice.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from jauge_models.resources import kind_of
from jauge_models.topology import ALWAYS, Commodity, Connection, Feed, Topology
from jauge_models.wire import Method

from jauge_collector.declared_hosts import Host
from jauge_collector.sites import REPEATED, is_feed

Methods = Mapping[tuple[str, str, str], Method]
"""By agent, resource, quantity."""

_ELECTRIC: Final = frozenset({"energy", "energy_amount", "power"})
_PHASE: Final = re.compile(r"phase:(?P<id>.+?)(?:\.(?P<side>in|out))?\.L?[123]")
"""As agents name them: ``phase:<id>.L1`` of a meter, ``phase:<id>.2`` of a unit,
``phase:<id>.out.3`` of what a UPS gives."""
_WHOLES: Final[Mapping[str | None, tuple[str, ...]]] = {
    None: ("meter", "pdu", "ups", "inlet"),
    "out": ("ups",),
    "in": ("inlet",),
}


class Connected:
    """The names of one site's map."""

    def __init__(self, topology: Topology, methods: Methods, hosts: Iterable[Host] = ()) -> None:
        self._meters = {m.id: m for m in (*topology.meters, *(host.meter for host in hosts))}
        self._of_feed: dict[str, str] = {}
        self._by_resource: dict[str, list[str]] = defaultdict(list)
        self._of_agent: dict[str, set[str]] = defaultdict(set)
        for meter in self._meters.values():
            if meter.commodity is Commodity.ELECTRICITY:
                for feed in meter.feeds:
                    self._of_feed[f"{feed.agent}/{feed.resource}"] = meter.id
                    self._by_resource[feed.resource].append(f"{feed.agent}/{feed.resource}")
        for agent, resource, quantity in sorted(methods):
            if quantity in _ELECTRIC:
                self._of_agent[agent].add(resource)
                self._by_resource[resource].append(f"{agent}/{resource}")
        self._declared = topology.connections

    def subject(self, name: str) -> str | None:
        """Whose rows a name means: a meter, a host or ``agent/resource``; None where nobody's."""
        meter = self._meters.get(name)
        if meter is not None:
            return name if meter.commodity is Commodity.ELECTRICITY else None
        if is_feed(name):
            agent, _, resource = name.partition("/")
            known = resource in self._of_agent.get(agent, ())
            return self._of_feed.get(name, name if known else None)
        feeds = sorted(set(self._by_resource.get(name, ())))
        if not feeds or (kind_of(name) in REPEATED and len(feeds) > 1):
            return None
        claimed = [self._of_feed[feed] for feed in feeds if feed in self._of_feed]
        return min(claimed) if claimed else feeds[0]

    def connections(self) -> list[Connection]:
        """The map by subjects, with what a host holds below it; names of nobody stay.

        What is no electricity is left out.
        """
        found: list[Connection] = []
        for one in self._declared:
            if any(self._is_other(name) for name in (one.upstream, one.downstream)):
                continue
            upper, lower = (self.subject(n) or n for n in (one.upstream, one.downstream))
            if upper != lower:
                found.append(Connection(upper, lower, one.feed, one.validity))
        return [*found, *self._packages()]

    def names_of(self) -> dict[str, set[str]]:
        """By subject: every name that an event may give it."""
        found: dict[str, set[str]] = defaultdict(set)
        for one in self._declared:
            for name in (one.upstream, one.downstream):
                found[self.subject(name) or name].add(name)
        for feed, meter in self._of_feed.items():
            found[meter] |= {feed, feed.partition("/")[2]}
        for subject, names in found.items():
            names.add(subject)
            if is_feed(subject) and kind_of(subject.partition("/")[2]) not in REPEATED:
                names.add(subject.partition("/")[2])
        return found

    def phases(self) -> dict[str, tuple[str, ...]]:
        """By subject on the map, or meter: its three phases, where the same agent reads them."""
        wanted = self._mapped() | set(self._of_feed.values())
        found: dict[str, set[str]] = defaultdict(set)
        for agent, resources in self._of_agent.items():
            for resource in resources:
                match = _PHASE.fullmatch(resource)
                for kind in _WHOLES[match["side"]] if match else ():
                    whole = f"{agent}/{kind}:{match['id']}" if match else ""
                    subject = self._of_feed.get(whole, whole)
                    if subject in wanted:
                        found[subject].add(f"{agent}/{resource}")
        return {
            whole: tuple(sorted(parts)) for whole, parts in sorted(found.items()) if len(parts) == 3
        }

    def resources(self) -> set[str]:
        """Every ``agent/resource`` that gets rows because of the map."""
        named = {name for c in self.connections() for name in (c.upstream, c.downstream)}
        named |= {part for parts in self.phases().values() for part in parts}
        return {name for name in named if is_feed(name) and self.subject(name) == name}

    def _mapped(self) -> set[str]:
        return {
            subject
            for one in self._declared
            for name in (one.upstream, one.downstream)
            if (subject := self.subject(name)) is not None
        }

    def _packages(self) -> Iterable[Connection]:
        """Packages of the one host that an agent reads, where that host is on the map.

        The agent runs on that machine, so no line of the map need say it.
        """
        mapped = self._mapped()
        for agent, resources in sorted(self._of_agent.items()):
            hosts = [resource for resource in resources if kind_of(resource) == "host"]
            if len(hosts) != 1 or (host := self.subject(f"{agent}/{hosts[0]}")) not in mapped:
                continue
            for resource in sorted(resources):
                if kind_of(resource) == "package" and host is not None:
                    yield Connection(host, f"{agent}/{resource}", "", ALWAYS)

    def _is_other(self, name: str) -> bool:
        meter = self._meters.get(name)
        return meter is not None and meter.commodity is not Commodity.ELECTRICITY


def connected_feeds(topology: Topology, methods: Methods, hosts: Iterable[Host] = ()) -> set[Feed]:
    """What gets hourly rows because it stands on the map or is a phase, meters aside."""
    names = Connected(topology, methods, hosts).resources()
    return {Feed(agent, resource) for agent, _, resource in (n.partition("/") for n in names)}
