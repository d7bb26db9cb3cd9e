"""A simulated cluster of the simulated site: four hosts, what runs on them, what all of it does.

Nobody's real machines: each figure is a choice made for the demonstration. Pure, as the plant is:
the same moment gives the same cluster.
"""

import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Final

from jauge_models.resources import number_of
from jauge_models.wire import Method, ResourceDescription

from jauge_demo.simulation import HOUR_MS, drift

GIB: Final = 2.0**30
MOVES_EVERY_MS: Final = 6 * HOUR_MS
"""How long the guest that wanders stays on one host."""

_NAMESPACE: Final = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
"""Of URLs (RFC 9562 6.6): the ids of the simulated machines follow from their names."""


@dataclass(frozen=True, slots=True)
class Host:
    """A hypervisor: what its sensor would show idle and at full load, in W, GPUs aside."""

    name: str
    processors: int
    memory: float
    idle: float
    full: float
    rack: str

    @property
    def resource(self) -> str:
        """As readings name it."""
        return f"host:{_id(self.name)}"


@dataclass(frozen=True, slots=True)
class Guest:
    """A virtual machine: ``load`` gives the share of its processors at work at a moment."""

    name: str
    processors: int
    memory: float
    memory_share: float
    load: Callable[[int, int], float]
    hosts: tuple[str, ...]
    """Where it runs; of several it takes turns."""
    service: str
    tenant: str
    pool: str = ""

    @property
    def resource(self) -> str:
        """As readings name it: one of a pool by the pool and its host."""
        if self.pool:
            host = number_of(HOSTS[self.hosts[0]].resource)
            return f"guest:pool-{self.pool}.{host:012x}"
        return f"guest:{_id(self.name)}"

    def host_at(self, time_ms: int) -> Host:
        """Where it runs at a moment."""
        return HOSTS[self.hosts[time_ms // MOVES_EVERY_MS % len(self.hosts)]]


@cache
def _id(name: str) -> uuid.UUID:
    return uuid.uuid5(_NAMESPACE, f"https://example.org/{name}")


# --- what they do: share of a guest's processors at work

Load = Callable[[int, int], float]


def _office(most: float, rest: float) -> Load:
    """Busy on weekdays from 7 to 19 h, UTC; next to nothing otherwise."""

    def load(time_ms: int, seed: int) -> float:
        moment = datetime.fromtimestamp(time_ms / 1000, UTC)
        hour = moment.hour + moment.minute / 60
        at_work = math.sin(math.pi * (hour - 7) / 12) if 7 <= hour <= 19 else 0.0
        at_work *= moment.weekday() < 5
        return rest + most * at_work * (1 + 0.2 * drift(seed, time_ms, HOUR_MS))

    return load


def _steady(level: float) -> Load:
    def load(time_ms: int, seed: int) -> float:
        return level * (
            1 + 0.25 * drift(seed, time_ms, HOUR_MS) + 0.1 * drift(seed, time_ms, 60_000)
        )

    return load


def _nightly(most: float) -> Load:
    """A batch around 2.30 h, UTC."""

    def load(time_ms: int, seed: int) -> float:
        moment = datetime.fromtimestamp(time_ms / 1000, UTC)
        hour = moment.hour + moment.minute / 60
        batch = math.exp(-(((hour - 2.5) / 1.0) ** 2))
        return 0.01 + most * batch * (1 + 0.1 * drift(seed, time_ms, HOUR_MS))

    return load


HOSTS: Final[Mapping[str, Host]] = {
    host.name: host
    for host in (
        Host("esx-1", 64, 512 * GIB, 145.0, 520.0, "A1"),
        Host("esx-2", 64, 512 * GIB, 145.0, 520.0, "A1"),
        Host("esx-3", 64, 512 * GIB, 150.0, 530.0, "B1"),
        Host("esx-gpu-1", 96, 768 * GIB, 260.0, 720.0, "B2"),
    )
}
HYPERVISOR_PROCESSORS: Final = 0.6
"""Processors busy with the hypervisor itself."""

GUESTS: Final = (
    Guest("web-1", 8, 32 * GIB, 0.6, _office(0.5, 0.08), ("esx-1",), "portal", "example-a"),
    Guest("web-2", 8, 32 * GIB, 0.6, _office(0.5, 0.08), ("esx-1", "esx-2"), "portal", "example-a"),
    Guest("database-1", 16, 128 * GIB, 0.8, _steady(0.35), ("esx-1",), "portal", "example-a"),
    Guest("mail-1", 8, 32 * GIB, 0.5, _office(0.3, 0.1), ("esx-2",), "mail", "example-b"),
    Guest("batch-1", 16, 64 * GIB, 0.4, _nightly(0.8), ("esx-2",), "reporting", "example-b"),
    Guest("oversized-1", 32, 128 * GIB, 0.08, _steady(0.07), ("esx-2",), "reporting", "example-b"),
    Guest("forgotten-1", 4, 16 * GIB, 0.1, _steady(0.003), ("esx-3",), "", "example-a"),
    Guest("build-1", 16, 32 * GIB, 0.4, _office(0.6, 0.0), ("esx-3",), "build", "example-a"),
    Guest("desktops", 48, 96 * GIB, 0.5, _office(0.3, 0.01), ("esx-3",), "", "example-b", "office"),
    Guest("training-1", 32, 256 * GIB, 0.5, _steady(0.4), ("esx-gpu-1",), "training", "example-a"),
    Guest(
        "notebook-1", 16, 64 * GIB, 0.3, _office(0.2, 0.02), ("esx-gpu-1",), "training", "example-b"
    ),
)


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU given whole to one guest, or left to its host."""

    name: str
    host: str
    guest: str
    idle: float
    full: float
    load: Load

    @property
    def resource(self) -> str:
        """As readings name it."""
        return f"gpu:{_id(self.name)}"


GPUS: Final = (
    Gpu("gpu-1", "esx-gpu-1", "training-1", 45.0, 300.0, _steady(0.7)),
    Gpu("gpu-2", "esx-gpu-1", "notebook-1", 45.0, 300.0, _office(0.4, 0.0)),
    Gpu("gpu-3", "esx-gpu-1", "", 40.0, 300.0, _steady(0.0)),
)


def readings_at(time_ms: int) -> dict[tuple[str, str], float]:
    """What a vCenter would tell of the cluster at a moment, by (resource, quantity)."""
    values: dict[tuple[str, str], float] = {}
    busy = dict.fromkeys(HOSTS, HYPERVISOR_PROCESSORS)
    used = dict.fromkeys(HOSTS, 8 * GIB)
    for seed, guest in enumerate(GUESTS, 100):
        host = guest.host_at(time_ms)
        load = min(1.0, max(0.0, guest.load(time_ms, seed)))
        busy[host.name] += load * guest.processors
        used[host.name] += guest.memory * guest.memory_share
        values |= {
            (guest.resource, "cpu_utilisation"): load,
            (guest.resource, "processors"): guest.processors,
            (guest.resource, "memory_size"): guest.memory,
            (guest.resource, "memory_used"): guest.memory * guest.memory_share,
            (guest.resource, "runs_on"): number_of(host.resource),
        }
    extra = dict.fromkeys(HOSTS, 0.0)
    by_name = {guest.name: guest for guest in GUESTS}
    for seed, gpu in enumerate(GPUS, 200):
        load = min(1.0, max(0.0, gpu.load(time_ms, seed)))
        power = gpu.idle + (gpu.full - gpu.idle) * load
        extra[gpu.host] += power
        holder = by_name[gpu.guest].resource if gpu.guest else HOSTS[gpu.host].resource
        values |= {
            (gpu.resource, "power"): power,
            (gpu.resource, "gpu_utilisation"): load,
            (gpu.resource, "runs_on"): number_of(holder),
        }
    for name, host in HOSTS.items():
        load = min(1.0, busy[name] / host.processors)
        values |= {
            (host.resource, "cpu_utilisation"): load,
            (host.resource, "processors"): host.processors,
            (host.resource, "memory_size"): host.memory,
            (host.resource, "memory_used"): used[name],
            # Servers draw more per load when little loaded: published load points show it.
            (host.resource, "power"): host.idle
            + (host.full - host.idle) * load * (1.25 - 0.25 * load)
            + extra[name],
        }
    return values


def described(time_ms: int) -> list[ResourceDescription]:
    """The cluster as a birth describes it at a moment."""
    quantities: dict[str, dict[str, Method]] = {}
    for resource, quantity in readings_at(time_ms):
        quantities.setdefault(resource, {})[quantity] = Method.GAUGE
    names = {host.resource: host.name for host in HOSTS.values()}
    names |= {gpu.resource: gpu.name for gpu in GPUS}
    labels = {name: {"cluster": "cluster-1"} for name in names}
    for host in HOSTS.values():
        labels[host.resource] |= {"room": "hall-1", "rack": host.rack}
    for guest in GUESTS:
        names[guest.resource] = guest.name
        told = {
            "cluster": "cluster-1",
            "host": guest.host_at(time_ms).name,
            "service": guest.service,
            "tenant": guest.tenant,
            "pool": guest.pool,
        }
        labels[guest.resource] = {key: value for key, value in told.items() if value}
    return [
        ResourceDescription(resource, told, names[resource], labels[resource])
        for resource, told in quantities.items()
    ]
