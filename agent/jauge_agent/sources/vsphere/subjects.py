"""Of what values are told: hosts, guests, and the desktops of a pool together.

Desktops that are made and thrown away would be a new series each day; those of one pool on one host
are one resource, ``guest:pool-<pool>.<host>``, whose values are the sums of theirs, or the mean by
processors where it is a share of processors.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from jauge_models.resources import number_of
from jauge_models.wire import Method, ResourceDescription, Sample

from jauge_agent.sources.vsphere.counters import METHODS
from jauge_agent.sources.vsphere.inventory import Guest, Host, Inventory
from jauge_agent.sources.vsphere.settings import Pool

_LONGEST_LABEL: Final = 128
_SIZES: Final = {"processors": Method.GAUGE, "memory_size": Method.GAUGE}


@dataclass(frozen=True, slots=True)
class Subject:
    """One resource and what is asked for it."""

    resource: str
    members: tuple[tuple[Any, float], ...]
    """What pyvmomi calls each host or guest of it, and its processors."""
    is_host: bool
    sizes: tuple[Sample, ...]
    """What is known of it without asking for samples."""


@dataclass(slots=True)
class _Group:
    """Desktops of one pool on one host."""

    host: Host
    guests: list[Guest] = field(default_factory=list)


def subjects_of(inventory: Inventory, pools: Sequence[Pool]) -> list[Subject]:
    """Connected hosts and running guests."""
    found = [
        Subject(host.resource, ((host.ref, host.processors),), True, _sizes(host.resource, [host]))
        for host in inventory.hosts.values()
        if host.is_connected
    ]
    groups: dict[str, _Group] = {}
    for guest, host in inventory.running():
        pool = pool_of(guest, pools)
        resource = guest.resource if pool is None else pooled(pool, host)
        groups.setdefault(resource, _Group(host)).guests.append(guest)
    for resource, group in groups.items():
        members = tuple((guest.ref, float(guest.processors)) for guest in group.guests)
        runs_on = Sample(resource, "runs_on", number_of(group.host.resource))
        sizes = (*_sizes(resource, group.guests), runs_on)
        found.append(Subject(resource, members, False, sizes))
    return found


def held_samples(inventory: Inventory) -> list[Sample]:
    """Which running guest holds which GPU, or which part of one."""
    running = {id(guest): host for guest, host in inventory.running()}
    samples: list[Sample] = []
    for held in inventory.held:
        guest = inventory.guests.get(held.guest)
        if guest is None or id(guest) not in running:
            continue
        samples.append(Sample(held.resource, "runs_on", number_of(guest.resource)))
        if held.share is not None:
            samples.append(Sample(held.resource, "share", held.share))
    return samples


def pool_of(guest: Guest, pools: Iterable[Pool]) -> Pool | None:
    """The first pool whose pattern a guest's name matches."""
    return next((pool for pool in pools if fnmatchcase(guest.name, pool.match)), None)


def pooled(pool: Pool, host: Host) -> str:
    """The resource of a pool's guests on a host."""
    return f"guest:pool-{pool.name}.{number_of(host.resource):012x}"


def described(
    inventory: Inventory, pools: Sequence[Pool], seen: Mapping[str, Collection[str]]
) -> list[ResourceDescription]:
    """Everything there is; ``seen`` are the quantities that have had a value, by resource."""
    found: dict[str, ResourceDescription] = {}
    for host in inventory.hosts.values():
        labels = {"cluster": host.cluster, "model": host.model, "cpu": host.cpu}
        if host.in_maintenance:
            labels["maintenance"] = "yes"
        if not host.is_connected:
            labels["connection"] = "lost"
        found[host.resource] = _description(host.resource, _SIZES, host.name, labels, seen)
    for guest in inventory.guests.values():
        on = inventory.hosts.get(guest.host or "")
        if on is None:
            continue
        labels = {"cluster": on.cluster, "host": on.name}
        pool = pool_of(guest, pools)
        if pool is None:
            resource, name = guest.resource, guest.name
            labels = {**guest.labels, **labels}
        else:
            resource, name = pooled(pool, on), pool.name
            labels["pool"] = pool.name
        if "power" in seen.get(resource, ()):
            labels["power"] = "hypervisor"
        quantities = {**_SIZES, "runs_on": Method.GAUGE}
        found[resource] = _description(resource, quantities, name, labels, seen)
    _add_gpus(found, inventory, seen)
    return list(found.values())


def _add_gpus(
    found: dict[str, ResourceDescription],
    inventory: Inventory,
    seen: Mapping[str, Collection[str]],
) -> None:
    names = {host.resource: host.name for host in inventory.hosts.values()}
    for held in inventory.held:
        quantities = {"runs_on": Method.GAUGE}
        if held.share is not None:
            quantities["share"] = Method.GAUGE
        labels = {"host": names.get(held.host, "")}
        found[held.resource] = _description(held.resource, quantities, held.name, labels, seen)
    counted = [each for each in seen if each.startswith("gpu:") and each not in found]
    for host in inventory.hosts.values():
        mine = f"gpu:{host.resource.partition(':')[2]}-"
        cards = {card.resource: card.name for card in host.cards if card.resource not in found}
        told = [each for each in counted if each.startswith(mine)]
        for resource in {**dict.fromkeys(told), **cards}:
            labels = {"host": host.name}
            found[resource] = _description(resource, {}, cards.get(resource, ""), labels, seen)


def _description(
    resource: str,
    quantities: Mapping[str, Method],
    name: str,
    labels: Mapping[str, str],
    seen: Mapping[str, Collection[str]],
) -> ResourceDescription:
    told = {quantity: METHODS[quantity] for quantity in sorted(seen.get(resource, ()))}
    short = {key: value[:_LONGEST_LABEL] for key, value in labels.items() if value}
    return ResourceDescription(resource, {**quantities, **told}, name[:_LONGEST_LABEL], short)


def _sizes(resource: str, members: Sequence[Host] | Sequence[Guest]) -> tuple[Sample, ...]:
    """Processors and memory, where they are told."""
    processors = sum(each.processors for each in members)
    memory = sum(each.memory for each in members)
    told = (("processors", processors), ("memory_size", memory))
    return tuple(Sample(resource, quantity, float(size)) for quantity, size in told if size > 0)
