"""Hosts that a site file declares: which agents' readings are of one machine, and its idle power.

A declared host is measured as a meter is: ranked feeds, of which the first with coverage gives
each hourly row. What else reads the same machine only cross-checks it, so that it counts once.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from jauge_models.configuration import ConfigurationError
from jauge_models.power_models import ServerModel, described
from jauge_models.processor_families import family_of, vendor_of
from jauge_models.resources import is_name, is_resource, kind_of
from jauge_models.topology import Commodity, Feed, Meter, Validity

from jauge_collector.site_file import HostSection, SiteFile

HOST_INTERVAL_MS: Final = 60 * 60 * 1000
"""Length of a host's rows in the ledger."""

FEEDING: Final = ("host", "outlet", "inlet")
"""Kinds of resource that measure a whole machine."""

_GB: Final = 1e9
_CAPITAL_UUID: Final = re.compile(r"(?=.*[A-F])[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


@dataclass(frozen=True, slots=True)
class Host:
    """A declared machine. ``meter`` is how its rows are computed; its id is their subject."""

    meter: Meter
    cluster: str = ""
    idle_power: float | None = None
    """W, measured with nobody busy."""
    cpu: str = ""
    """Processor model, for a host without a sensor; as the members that follow."""
    processors: float | None = None
    memory: float | None = None
    """B."""
    full_power: float | None = None
    """W, measured with everybody busy."""

    def estimator(self, labels: Mapping[tuple[str, str], Mapping[str, str]]) -> ServerModel:
        """What it draws by how busy it is, while nothing measures it.

        ``labels`` are those of births by (agent, resource); what is declared goes first, then the
        first feed of which births tell the processor.
        """
        told = [labels.get((feed.agent, feed.resource), {}) for feed in self.meter.feeds]
        known = dict(next((some for some in told if some.get("cpu")), {}))
        if self.cpu:
            known["cpu"] = self.cpu
        if self.processors is not None:
            known["processors"] = str(self.processors)
        if self.memory is not None:
            known["memory_gb"] = str(self.memory / _GB)
        return described(known, idle=self.idle_power, full=self.full_power)

    @property
    def id(self) -> str:
        """As the connection map, events, attributes and rows name it."""
        return self.meter.id


def resolve_hosts(
    declared: SiteFile, validities: Mapping[str, Validity], path: Path
) -> tuple[Host, ...]:
    """The hosts of a site file, ``validities`` by their keys. Raises ConfigurationError."""
    taken = {meter.id: "meter" for meter in declared.meters}
    fed = {feed: meter.id for meter in declared.meters for feed in meter.feeds}
    found: list[Host] = []
    for index, section in enumerate(declared.hosts):
        key = f"hosts[{index}]"
        host = _host(section, key, validities[key], path)
        if section.id in taken:
            raise ConfigurationError(
                str(path),
                f"{key}.id",
                f"{section.id!r} already names a {taken[section.id]}",
                "rename one",
            )
        taken[section.id] = "host"
        for feed in section.feeds:
            if feed in fed:
                raise ConfigurationError(
                    str(path),
                    f"{key}.feeds",
                    f"{feed!r} already feeds {fed[feed]!r}",
                    "one machine's readings feed one host or meter: drop it from one of them",
                )
            fed[feed] = section.id
        found.append(host)
    return tuple(found)


def estimator_of(labels: Mapping[str, str]) -> ServerModel | None:
    """What a host that nobody declared is estimated by.

    None of a virtual machine that no cloud claims: what it draws is a share of its host's.
    """
    return None if labels.get("virtual") == "yes" else model_by(labels)


def model_by(labels: Mapping[str, str]) -> ServerModel:
    """What a machine draws by how busy it is, by the labels of its birth."""
    return _model(frozenset(labels.items()))


@lru_cache(maxsize=4096)
def _model(labels: frozenset[tuple[str, str]]) -> ServerModel:
    return described(dict(labels))


def doubts(hosts: Iterable[Host]) -> list[str]:
    """What is accepted and hardly meant: feeds that nobody writes so, unknown processors."""
    said: list[str] = []
    for host in hosts:
        for feed in host.meter.feeds:
            if _CAPITAL_UUID.fullmatch(feed.resource.partition(":")[2]):
                name = f"{feed.agent}/{feed.resource}"
                said.append(
                    f"hosts {host.id!r}: feed {name} will not match: sources write a UUID in small "
                    f"letters; write '{feed.agent}/{feed.resource.lower()}', unless the agent's "
                    "configuration itself names it in capitals"
                )
        if host.cpu and not family_of(host.cpu):
            alike = f"any of {vendor}" if (vendor := vendor_of(host.cpu)) else "any platform"
            said.append(f"hosts {host.id!r}: cpu {host.cpu!r} is not known: estimated as {alike}")
    return said


def feeds_of(hosts: Iterable[Host]) -> dict[Feed, str]:
    """What feeds declared hosts, with their ids."""
    return {feed: host.id for host in hosts for feed in host.meter.feeds}


def _host(section: HostSection, key: str, validity: Validity, path: Path) -> Host:
    def wrong(name: str, problem: str, fix: str) -> ConfigurationError:
        return ConfigurationError(str(path), f"{key}.{name}", problem, fix)

    if not is_name(section.id) or ":" in section.id:
        raise wrong("id", f"{section.id!r} is no host id", "use letters and digits")
    if not section.feeds:
        raise wrong("feeds", "is empty", "name what reads the host, best first: 'agent/host:ID'")
    for text in section.feeds:
        agent, _, resource = text.partition("/")
        if not is_name(agent) or not is_resource(resource):
            raise wrong("feeds", f"{text!r} is no feed", "write 'agent/host' or 'agent/host:ID'")
        if kind_of(resource) not in FEEDING:
            raise wrong(
                "feeds",
                f"{text!r} does not measure a whole host",
                f"name a resource of kind {', '.join(FEEDING)}",
            )
    idle, full = section.idle_w, section.full_w
    if idle is not None and full is not None and full <= idle:
        raise wrong("full_w", "is not above idle_w", "swap or correct them")
    named = (text.partition("/") for text in section.feeds)
    return Host(
        meter=Meter(
            section.id,
            Commodity.ELECTRICITY,
            tuple(Feed(agent, resource) for agent, _, resource in named),
            name=section.name or section.id,
            interval_ms=HOST_INTERVAL_MS,
            max_gap_ms=round(section.max_gap_s * 1000),
            validity=validity,
        ),
        cluster=section.cluster,
        idle_power=section.idle_w,
        cpu=section.cpu,
        processors=section.processors,
        memory=None if section.memory_gb is None else section.memory_gb * _GB,
        full_power=section.full_w,
    )
