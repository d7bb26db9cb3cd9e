"""Whose each thing of a site is, at any time: the dated ``tenant`` attributes of the site file.

A thing is looked up from the particular to the general, and the first answer holds:

- a resource: ``agent/resource``, the resource's own id where it names an asset, the meter or
  declared host that it feeds, ``agent:NAME``, the site;
- a meter, or a declared host: its id, else what all its feeds agree on, else the site;
- an agent: ``agent:NAME``, else the site.

Each of these names may also stand in a place (attributes ``rack`` and ``room``), whose tenant is
then its own: ``rack:a12``, ``room:r1``. An empty value means nobody's. What agents say of
themselves is never asked.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from jauge_models.resources import kind_of
from jauge_models.topology import Attribute, Feed, Meter, Validity

from jauge_collector.sites import REPEATED, Site

TENANT: Final = "tenant"
PLACES: Final = ("rack", "room")
_DEEPEST: Final = 3
_MOST_KEPT: Final = 50_000

Held = tuple[Validity, ...]
"""When a thing belongs to certain tenants: spans in order, none of which touches the next."""


class Tenancy:
    """The tenants of one site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._facts: dict[tuple[str, str], list[Attribute]] = {}
        for fact in reversed(site.topology.attributes):
            if fact.name == TENANT or fact.name in PLACES:
                self._facts.setdefault((fact.subject, fact.name), []).append(fact)
        self._hosts = {host.id: host.meter for host in site.hosts}
        self._fed: dict[Feed, list[str]] = {}
        for meter in (*site.topology.meters, *self._hosts.values()):
            for feed in meter.feeds:
                self._fed.setdefault(feed, []).append(meter.id)
        taken = {feed.resource for feed in self._fed} | self._hosts.keys()
        taken |= {meter.id for meter in site.topology.meters}
        self._whole = [] if site.name in taken else [site.name]
        self._known: dict[tuple[str, ...], Sequence[tuple[Validity, str]]] = {}

    @property
    def tenants(self) -> frozenset[str]:
        """Everybody who ever had something."""
        return frozenset(
            fact.value
            for (_, name), facts in self._facts.items()
            if name == TENANT
            for fact in facts
            if fact.value
        )

    def meter(self, meter: str, tenants: frozenset[str]) -> Held:
        """When a meter belongs to one of them. Raises KeyError for an unknown one."""
        return self._of_meter(self._site.topology.meter(meter), tenants)

    def subject(self, name: str, tenants: frozenset[str]) -> Held:
        """When the subject of rows belongs to one of them: a resource, declared host or meter.

        Raises KeyError for an unknown name.
        """
        agent, slash, resource = name.partition("/")
        if slash:
            return self.resource(agent, resource, tenants)
        host = self._hosts.get(name)
        return self.meter(name, tenants) if host is None else self._of_meter(host, tenants)

    def _of_meter(self, meter: Meter, tenants: frozenset[str]) -> Held:
        feeds = [self._of_feed(feed) for feed in meter.feeds]

        def at(time_ms: int) -> str | None:
            own = self._first([meter.id], time_ms)
            if own is not None:
                return own
            agreed = {self._first(names, time_ms) for names in feeds}
            common = agreed.pop() if len(agreed) == 1 else "" if agreed - {None} else None
            return common if common is not None else self._first(self._whole, time_ms)

        names = [meter.id, *(name for some in feeds for name in some), *self._whole]
        return self._held(("meter", meter.id), names, at, tenants)

    def resource(self, agent: str, resource: str, tenants: frozenset[str]) -> Held:
        """When a resource of an agent belongs to one of them."""
        feed = Feed(agent, resource)
        *own, of_agent = self._of_feed(feed)
        names = [*own, *self._fed.get(feed, ()), of_agent, *self._whole]
        return self._held(
            ("resource", agent, resource), names, lambda at: self._first(names, at), tenants
        )

    def agent(self, agent: str, tenants: frozenset[str]) -> Held:
        """When an agent itself belongs to one of them."""
        names = [f"agent:{agent}", *self._whole]
        return self._held(("agent", agent), names, lambda at: self._first(names, at), tenants)

    def _of_feed(self, feed: Feed) -> list[str]:
        own = [f"{feed.agent}/{feed.resource}"]
        if kind_of(feed.resource) not in REPEATED:
            own.append(feed.resource)
        return [*own, f"agent:{feed.agent}"]

    def _held(
        self,
        key: tuple[str, ...],
        names: Sequence[str],
        at: Callable[[int], str | None],
        tenants: frozenset[str],
    ) -> Held:
        if not self._facts:
            return ()
        pieces = self._known.get(key)
        if pieces is None:
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            pieces = self._known[key] = list(self._pieces(names, at))
        spans: list[Validity] = []
        for span, tenant in pieces:
            if tenant not in tenants:
                continue
            if spans and spans[-1].to_ms == span.from_ms:
                span = Validity(spans.pop().from_ms, span.to_ms)  # noqa: PLW2901 - joined
            spans.append(span)
        return tuple(spans)

    def _pieces(
        self, names: Sequence[str], at: Callable[[int], str | None]
    ) -> Iterator[tuple[Validity, str]]:
        edges = sorted(
            {
                edge
                for name in names
                for fact in self._reached(name, 0)
                for edge in (fact.validity.from_ms, fact.validity.to_ms)
                if edge is not None
            }
        )
        bounds: list[int | None] = [None, *edges, None]
        for start, end in pairwise(bounds):
            inside = start if start is not None else end - 1 if end is not None else 0
            if (tenant := at(inside)) is not None:
                yield Validity(start, end), tenant

    def _reached(self, name: str, depth: int) -> Iterator[Attribute]:
        """Every fact that may decide whose a name is."""
        yield from self._facts.get((name, TENANT), ())
        for place in PLACES if depth < _DEEPEST else ():
            for fact in self._facts.get((name, place), ()):
                yield fact
                yield from self._reached(f"{place}:{fact.value}", depth + 1)

    def _first(self, names: Sequence[str], time_ms: int) -> str | None:
        found = (self._of(name, time_ms, 0) for name in names)
        return next((tenant for tenant in found if tenant is not None), None)

    def _of(self, name: str, time_ms: int, depth: int) -> str | None:
        own = self._fact(name, TENANT, time_ms)
        if own is not None or depth >= _DEEPEST:
            return own
        for place in PLACES:
            where = self._fact(name, place, time_ms)
            if where is not None:
                tenant = self._of(f"{place}:{where}", time_ms, depth + 1)
                if tenant is not None:
                    return tenant
        return None

    def _fact(self, subject: str, name: str, time_ms: int) -> str | None:
        for fact in self._facts.get((subject, name), ()):
            if fact.validity.holds(time_ms):
                return fact.value
        return None


def holds(held: Held, time_ms: int) -> bool:
    """Whether a moment lies in one of the spans."""
    return any(span.holds(time_ms) for span in held)


def within(held: Held, start_ms: int, end_ms: int) -> Validity | None:
    """The span in which [start, end) lies as a whole, if there is one."""
    for span in held:
        if (span.from_ms is None or span.from_ms <= start_ms) and (
            span.to_ms is None or end_ms <= span.to_ms
        ):
            return span
    return None
