"""What a pass has to do, read from the ledger at its start: marks, and all that has rows."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from jauge_models.attribution import IdlePolicy
from jauge_models.resources import kind_of
from jauge_models.topology import Commodity, Feed, Meter

from jauge_collector.declared_hosts import HOST_INTERVAL_MS, estimator_of, feeds_of
from jauge_collector.ledger.book import Ledger, Mark
from jauge_collector.ledger.computation import Declared, channels
from jauge_collector.ledger.connected import connected_feeds
from jauge_collector.ledger.hosting import Hosting
from jauge_collector.ledger.subjects import Span, Subject
from jauge_collector.ledger.wiring import blinding, fed_by_ups
from jauge_collector.registers.meters import attended_ms, topology_of
from jauge_collector.sites import Site

_OF_HOSTS: Final = frozenset({"energy", "power", "cpu_utilisation"})
"""Quantities of a host that can give its rows, the last by a model."""
_POLICY: Final = "[attribution]"
"""Among what is declared: no meter, but by what policy hosts are shared out."""


class Work:
    """What a pass has to do, read from the ledger at its start."""

    def __init__(self, ledger: Ledger, site: Site, marks: Sequence[Mark], now_ms: int) -> None:
        self.ledger = ledger
        self.site = site
        self.now_ms = now_ms
        self.topology = topology_of(ledger, site)
        self.methods = ledger.methods(site.name)
        self.oldest = ledger.oldest(site.name)
        self.wrong_clocks = ledger.wrong_clocks(site.name)
        self.jumps = {name: list(found) for name, found in ledger.jumps(site.name).items()}
        self.agent_marks: dict[str, list[Span]] = defaultdict(list)
        self.meter_marks: dict[str, list[Span]] = defaultdict(list)
        for mark in marks:
            known = self.agent_marks if mark.scope == "agent" else self.meter_marks
            known[mark.name].append((mark.start_ms, mark.end_ms or now_ms + 1))
        self.downstream = fed_by_ups(self.topology, site)
        self.guessed: set[str] = set()
        """Hosts that no birth speaks of: any agent may be one."""
        self.subjects = {subject.meter.id: subject for subject in self._all_subjects()}
        self.redeclared = self._redeclared()
        names = set(self.redeclared) - {_POLICY}
        if _POLICY in self.redeclared:
            names |= self._hosts_of_guests()
        for name in names:
            self.meter_marks[name].append((0, now_ms + 1))

    def _all_subjects(self) -> Iterable[Subject]:
        claimed = set(feeds_of(self.site.hosts))
        attended = attended_ms(self.ledger, self.site.name)
        for meter in self.topology.meters:
            claimed.update(meter.feeds)
            if meter.feeds:
                level = 1 if meter.id in self.downstream else 0
                yield self._subject(meter, attended=attended.get(meter.id, ()), level=level)
        labels = self.ledger.newest_labels(self.site.name, "host")
        for host in self.site.hosts:
            yield self._subject(
                replace(host.meter, estimator=host.estimator(labels)), idle_power=host.idle_power
            )
        hosts = {
            Feed(agent, resource)
            for agent, resource, quantity in self.methods
            if kind_of(resource) == "host" and quantity in _OF_HOSTS
        }
        guesses = {Feed(agent, "host") for agent in self.agent_marks} - hosts - claimed
        self.guessed = {f"{feed.agent}/{feed.resource}" for feed in guesses}
        others = hosts | guesses | connected_feeds(self.topology, self.methods, self.site.hosts)
        for feed in sorted(others - claimed, key=lambda f: (f.agent, f.resource)):
            yield self._subject(
                Meter(
                    f"{feed.agent}/{feed.resource}",
                    Commodity.ELECTRICITY,
                    (feed,),
                    interval_ms=HOST_INTERVAL_MS,
                    estimator=estimator_of(labels.get((feed.agent, feed.resource), {}))
                    if feed in hosts
                    else None,
                )
            )

    def _subject(
        self,
        meter: Meter,
        *,
        attended: tuple[int, ...] = (),
        level: int = 0,
        idle_power: float | None = None,
    ) -> Subject:
        return Subject(
            meter,
            channels(self.site.name, meter, self.methods),
            Declared(meter, attended, blinding(self.topology, meter)),
            oldest=self.oldest,
            level=level,
            idle_power=idle_power,
        )

    def _hosts_of_guests(self) -> set[str]:
        reporting = Hosting.agents(self.methods)
        return {
            name
            for name, subject in self.subjects.items()
            if any(feed.agent in reporting for feed in subject.meter.feeds)
        }

    def _redeclared(self) -> dict[str, str]:
        """Meters and hosts of which not all is as it was when their rows were computed.

        That is their declaration in the site file, and what births say of their feeds; of hosts
        also the policy by which they are shared out.
        """
        known = self.ledger.declared(self.site.name)
        changed: dict[str, str] = {}
        said: dict[str, tuple[object, ...]] = {}
        for meter in self.site.topology.meters:
            watched = sorted(self.downstream.get(meter.id, ()))
            said[meter.id] = (_Shown(meter), blinding(self.site.topology, meter), watched)
        for host in self.site.hosts:
            events = blinding(self.site.topology, host.meter)
            model = self.subjects[host.id].meter.estimator
            said[host.id] = (host, events, self.site.idle.value, model)
        for name, declaration in said.items():
            subject = self.subjects.get(name)
            provided = [(c.feed, c.basis, c.grade) for c in subject.channels] if subject else []
            text = repr((*declaration, provided))
            fingerprint = hashlib.sha256(text.encode()).hexdigest()
            if known.get(name) != fingerprint:
                changed[name] = fingerprint
        if known.get(_POLICY, IdlePolicy.ALLOCATION.value) != self.site.idle.value:
            changed[_POLICY] = self.site.idle.value
        return changed


class _Shown:
    """A meter as it was shown before a host could have an estimator: meters have none."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def __repr__(self) -> str:
        return repr(self._meter).replace(", estimator=None)", ")")
