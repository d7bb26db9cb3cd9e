"""Which hosts and guests a vCenter has, what they are, and where each guest runs.

`taken` looks at everything, on a slow clock, by one retrieval. `refreshed` asks on the fast clock
for what changes: where each guest runs, whether it does, and whether its host is connected; only
what is new is then looked at as a whole. So a migration is seen at the next tick.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from jauge_models.resources import identity

from jauge_agent.sources.vsphere.gpus import Card, Held, cards_of, held_cards
from jauge_agent.sources.vsphere.sdk import vim
from jauge_agent.sources.vsphere.session import Session
from jauge_agent.sources.vsphere.settings import VCenter

_MEBIBYTE: Final = 1024 * 1024

_OF_HOSTS: Final = (
    "name",
    "parent",
    "summary.hardware.uuid",
    "summary.hardware.model",
    "summary.hardware.cpuModel",
    "summary.hardware.numCpuThreads",
    "summary.hardware.memorySize",
    "runtime.connectionState",
    "runtime.inMaintenanceMode",
    "config.graphicsInfo",
)
_OF_GUESTS: Final = (
    "name",
    "summary.config.instanceUuid",
    "summary.config.template",
    "summary.config.numCpu",
    "summary.config.memorySizeMB",
    "summary.config.memoryReservation",
    "runtime.host",
    "runtime.powerState",
    "runtime.connectionState",
    "customValue",
)
_CHANGING: Final = {
    vim.HostSystem: ("runtime.connectionState", "runtime.inMaintenanceMode"),
    vim.VirtualMachine: ("runtime.host", "runtime.powerState", "runtime.connectionState"),
}


@dataclass(frozen=True, slots=True)
class Host:
    """One host. Memory in bytes."""

    ref: Any
    """What pyvmomi calls it."""
    resource: str
    name: str
    cluster: str
    """Name of its cluster; empty outside of any."""
    model: str
    cpu: str
    processors: int
    memory: int
    is_connected: bool
    in_maintenance: bool
    cards: tuple[Card, ...] = ()


@dataclass(frozen=True, slots=True)
class Guest:
    """One guest that is no template. Memory in bytes."""

    ref: Any
    resource: str
    name: str
    host: str | None
    """Key of the host it runs on, or would."""
    is_running: bool
    processors: int
    memory: int
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Inventory:
    """What there is, by the vCenter's own keys; never changed, only replaced."""

    hosts: Mapping[str, Host] = field(default_factory=dict)
    guests: Mapping[str, Guest] = field(default_factory=dict)
    """Guests of the hosts that are read, and of others, to which one may move from."""
    held: Sequence[Held] = ()
    """GPUs and parts of them that guests hold."""
    skipped: frozenset[str] = frozenset()
    """Keys of templates and of hosts that are not to be read."""
    failed: Mapping[str, int] = field(default_factory=dict)
    """Hosts and guests that cannot be told from others, by reason."""
    without: Sequence[str] = ()
    """Custom attributes that are to become labels, and that the vCenter does not have."""

    def running(self) -> Iterable[tuple[Guest, Host]]:
        """Guests that run on a connected host, with it."""
        for guest in self.guests.values():
            host = self.hosts.get(guest.host or "")
            if guest.is_running and host is not None and host.is_connected:
                yield guest, host

    def disconnected(self) -> int:
        """Hosts whose values cannot be had."""
        return sum(not host.is_connected for host in self.hosts.values())


def taken(session: Session, settings: VCenter) -> Inventory:
    """Everything there is now."""
    wanted = {
        vim.HostSystem: _OF_HOSTS,
        vim.VirtualMachine: _OF_GUESTS,
        vim.ClusterComputeResource: ("name",),
    }
    return _built(session, settings, session.objects(wanted), Inventory())


def refreshed(session: Session, settings: VCenter, before: Inventory) -> Inventory:
    """The same with what has changed since; the very same when nothing has."""
    hosts: dict[str, Host] = {}
    guests: dict[str, Guest] = {}
    skipped: set[str] = set()
    new: list[Any] = []
    for ref, values in session.objects(_CHANGING):
        key = key_of(ref)
        if key in before.skipped:
            skipped.add(key)
        elif (host := before.hosts.get(key)) is not None:
            hosts[key] = _host_now(host, values)
        elif (guest := before.guests.get(key)) is not None:
            guests[key] = _guest_now(guest, values)
        else:
            new.append(ref)
    if not new and hosts == before.hosts and guests == before.guests:
        return before
    now = replace(before, hosts=hosts, guests=guests, skipped=frozenset(skipped))
    if not new:
        return now
    found = list(session.objects({vim.HostSystem: _OF_HOSTS, vim.VirtualMachine: _OF_GUESTS}, new))
    parents = {key_of(each["parent"]): each["parent"] for _, each in found if "parent" in each}
    clusters = [each for each in parents.values() if isinstance(each, vim.ClusterComputeResource)]
    if clusters:
        found += session.objects({vim.ClusterComputeResource: ("name",)}, clusters)
    return _built(session, settings, found, now)


def key_of(ref: Any) -> str:
    """The vCenter's own key of an object, such as ``host-23``."""
    key: str = ref._moId  # noqa: SLF001 - pyvmomi has no other way to it
    return key


def _built(
    session: Session,
    settings: VCenter,
    found: Iterable[tuple[Any, Mapping[str, Any]]],
    before: Inventory,
) -> Inventory:
    """What was found, added to what is known already."""
    attributes = _attributes(session, settings)
    names = {attributes[name]: label for label, name in settings.tags.items() if name in attributes}
    without = sorted(set(settings.tags.values()) - attributes.keys())
    by_kind: dict[type, list[tuple[Any, Mapping[str, Any]]]] = {}
    for ref, values in found:
        by_kind.setdefault(type(ref), []).append((ref, values))
    clusters = {
        key_of(ref): str(values.get("name", ""))
        for ref, values in by_kind.get(vim.ClusterComputeResource, ())
    }
    hosts, guests = dict(before.hosts), dict(before.guests)
    known = {host.resource for host in hosts.values()}
    known |= {guest.resource for guest in guests.values()}
    skipped, failed = set(before.skipped), Counter(before.failed)
    for ref, values in by_kind.get(vim.HostSystem, ()):
        host = _host(ref, values, clusters)
        if host is None or host.resource in known:
            failed["identity"] += 1
        elif settings.clusters and host.cluster not in settings.clusters:
            skipped.add(key_of(ref))
        else:
            hosts[key_of(ref)] = host
            known.add(host.resource)
    reserved: list[Any] = []
    for ref, values in by_kind.get(vim.VirtualMachine, ()):
        if values.get("summary.config.template"):
            skipped.add(key_of(ref))
            continue
        guest = _guest(ref, values, names)
        if guest is None or guest.resource in known:
            failed["identity"] += 1
            continue
        guests[key_of(ref)] = guest
        known.add(guest.resource)
        # A guest that was given a device of its host has all of its memory reserved.
        reservation = values.get("summary.config.memoryReservation") or 0
        if guest.host in hosts and 0 < guest.memory <= reservation * _MEBIBYTE:
            reserved.append(ref)
    named = {key: guest.resource for key, guest in guests.items()}
    owners = {key: host.resource for key, host in hosts.items()}
    cards = {host.resource: host.cards for host in hosts.values() if host.cards}
    held = held_cards(session, reserved, owners, named, cards)
    held = [*before.held, *held]
    return Inventory(hosts, guests, held, frozenset(skipped), failed, without)


def _attributes(session: Session, settings: VCenter) -> dict[str, int]:
    """Keys of the custom attributes by their names, where any become labels."""
    if not settings.tags:
        return {}
    return {name: key for key, name in session.attributes().items()}


def _host(ref: Any, values: Mapping[str, Any], clusters: Mapping[str, str]) -> Host | None:
    """A host as it is told; None for one that says no identity."""
    try:
        ident = identity(str(values["summary.hardware.uuid"]).lower())
    except (KeyError, ValueError):
        return None
    parent = values.get("parent")
    host = Host(
        ref=ref,
        resource=f"host:{ident}",
        name=str(values.get("name", "")),
        cluster=clusters.get(key_of(parent), "") if parent is not None else "",
        model=str(values.get("summary.hardware.model") or ""),
        cpu=" ".join(str(values.get("summary.hardware.cpuModel") or "").split()),
        processors=int(values.get("summary.hardware.numCpuThreads") or 0),
        memory=int(values.get("summary.hardware.memorySize") or 0),
        is_connected=False,
        in_maintenance=False,
        cards=cards_of(f"host:{ident}", values.get("config.graphicsInfo") or ()),
    )
    return _host_now(host, values)


def _host_now(host: Host, values: Mapping[str, Any]) -> Host:
    is_connected = values.get("runtime.connectionState") == "connected"
    in_maintenance = bool(values.get("runtime.inMaintenanceMode"))
    if (is_connected, in_maintenance) == (host.is_connected, host.in_maintenance):
        return host
    return replace(host, is_connected=is_connected, in_maintenance=in_maintenance)


def _guest(ref: Any, values: Mapping[str, Any], names: Mapping[int, str]) -> Guest | None:
    """A guest as it is told; None for one that says no identity, as while it is being made."""
    try:
        ident = identity(str(values["summary.config.instanceUuid"]).lower())
    except (KeyError, ValueError):
        return None
    labels = {
        names[each.key]: str(each.value)
        for each in values.get("customValue") or ()
        if each.key in names and getattr(each, "value", None)
    }
    guest = Guest(
        ref=ref,
        resource=f"guest:{ident}",
        name=str(values.get("name", "")),
        host=None,
        is_running=False,
        processors=int(values.get("summary.config.numCpu") or 0),
        memory=int(values.get("summary.config.memorySizeMB") or 0) * _MEBIBYTE,
        labels=labels,
    )
    return _guest_now(guest, values)


def _guest_now(guest: Guest, values: Mapping[str, Any]) -> Guest:
    where = values.get("runtime.host")
    host = None if where is None else key_of(where)
    is_running = (
        values.get("runtime.powerState") == "poweredOn"
        and values.get("runtime.connectionState") == "connected"
    )
    if (host, is_running) == (guest.host, guest.is_running):
        return guest
    return replace(guest, host=host, is_running=is_running)
