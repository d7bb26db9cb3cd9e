"""A simulated cluster of the simulated site: five hosts, what runs on them, what all of it does.

Nobody's real machines: each figure is a choice made for the demonstration. Pure, as the plant is:
the same moment gives the same cluster, as long as it began at the same.
"""

import math
import uuid
from collections.abc import Callable, Collection, Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Final, NamedTuple

from jauge_models.resources import number_of
from jauge_models.wire import Method, ResourceDescription

from jauge_demo.simulation import DAY_MS, HOUR_MS, drift

GIB: Final = 2.0**30
MOVES_EVERY_MS: Final = 6 * HOUR_MS
"""How long the guest that wanders stays on one host."""

_NAMESPACE: Final = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
"""Of URLs (RFC 9562 6.6): the ids of the simulated machines follow from their names."""


class Moment(NamedTuple):
    """A moment of a cluster that began to be simulated at another."""

    time_ms: int
    began_ms: int

    @property
    def asked(self) -> float:
        """Of all the work for GPUs that will ever be asked: it grows for almost two years."""
        years = (self.time_ms - self.began_ms) / (365 * DAY_MS)
        return min(max(0.55 + 0.25 * years, 0.0), 1.0)

    @property
    def civil(self) -> datetime:
        """In UTC, by which everybody in the simulation lives."""
        return datetime.fromtimestamp(self.time_ms / 1000, UTC)


Load = Callable[[Moment, int], float]
"""The part of some processors at work at a moment, by a seed of its own."""


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
    load: Load
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

    def host_at(self, now: Moment) -> Host:
        """Where it runs at a moment."""
        return HOSTS[self.hosts[now.time_ms // MOVES_EVERY_MS % len(self.hosts)]]


@cache
def _id(name: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"https://example.org/{name}"))


@cache
def _number(name: str) -> float:
    """By which readings name what somebody runs on."""
    return number_of(name)


# --- what they do: share of a guest's processors at work


def _office(most: float, rest: float) -> Load:
    """Busy on weekdays from 7 to 19 h, UTC; next to nothing otherwise."""

    def load(now: Moment, seed: int) -> float:
        moment = now.civil
        hour = moment.hour + moment.minute / 60
        at_work = math.sin(math.pi * (hour - 7) / 12) if 7 <= hour <= 19 else 0.0
        at_work *= moment.weekday() < 5
        return rest + most * at_work * (1 + 0.2 * drift(seed, now.time_ms, HOUR_MS))

    return load


def _steady(level: float) -> Load:
    def load(now: Moment, seed: int) -> float:
        return level * (
            1 + 0.25 * drift(seed, now.time_ms, HOUR_MS) + 0.1 * drift(seed, now.time_ms, 60_000)
        )

    return load


def _nightly(most: float) -> Load:
    """A batch around 2.30 h."""

    def load(now: Moment, seed: int) -> float:
        moment = now.civil
        hour = moment.hour + moment.minute / 60
        batch = math.exp(-(((hour - 2.5) / 1.0) ** 2))
        return 0.01 + most * batch * (1 + 0.1 * drift(seed, now.time_ms, HOUR_MS))

    return load


def _runs(most: float, rest: float) -> Load:
    """Training runs of all nights, ever larger ones, and of ever more weekends."""

    def load(now: Moment, seed: int) -> float:
        night, into = divmod(now.time_ms + 6 * HOUR_MS, DAY_MS)  # they begin at 18 h
        goes_on = (1 + drift(_RUNS, night * DAY_MS, DAY_MS)) / 2 < now.asked
        if into < 12 * HOUR_MS or (goes_on and now.civil.weekday() >= 5):
            return most * now.asked * (1 + 0.06 * drift(seed, now.time_ms, HOUR_MS))
        return rest

    return load


_RUNS: Final = 300
"""Of the noise that says which days of weekends have runs: the same for all that take part."""


def _service(most: float, rest: float) -> Load:
    """Asked from 5 to 22 h of all days, and ever more."""

    def load(now: Moment, seed: int) -> float:
        hour = now.time_ms % DAY_MS / HOUR_MS
        awake = max(0.0, math.sin(math.pi * (hour - 5) / 17)) if 5 <= hour <= 22 else 0.0
        return rest + most * awake * now.asked * (1 + 0.15 * drift(seed, now.time_ms, HOUR_MS))

    return load


def _always(_: Moment) -> bool:
    return True


def _in_lessons(now: Moment) -> bool:
    """On weekdays from 6 to 18 h."""
    return now.civil.weekday() < 5 and 6 <= now.civil.hour < 18


HOSTS: Final[Mapping[str, Host]] = {
    host.name: host
    for host in (
        Host("esx-1", 64, 512 * GIB, 145.0, 520.0, "A1"),
        Host("esx-2", 64, 512 * GIB, 145.0, 520.0, "A1"),
        Host("esx-3", 64, 512 * GIB, 150.0, 530.0, "B1"),
        Host("esx-gpu-1", 96, 768 * GIB, 260.0, 720.0, "B2"),
        Host("esx-gpu-2", 96, 768 * GIB, 260.0, 720.0, "A2"),
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
    Guest(
        *("training-1", 32, 256 * GIB, 0.5, _runs(0.45, 0.03), ("esx-gpu-1",)),
        *("training", "example-a"),
    ),
    Guest(
        "notebook-1", 16, 64 * GIB, 0.3, _office(0.2, 0.02), ("esx-gpu-1",), "training", "example-b"
    ),
    Guest(
        *("assistant-1", 24, 192 * GIB, 0.6, _service(0.4, 0.05), ("esx-gpu-2",)),
        *("assistant", "example-a"),
    ),
    Guest(
        *("lessons-1", 32, 128 * GIB, 0.4, _office(0.5, 0.01), ("esx-gpu-2",)),
        *("lessons", "example-b"),
    ),
)


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU given whole to one guest while it is ``lent``, otherwise left to its host; in W."""

    name: str
    host: str
    guest: str
    load: Load
    lent: Callable[[Moment], bool] = _always
    idle: float = 40.0
    full: float = 300.0

    @property
    def resource(self) -> str:
        """As readings name it."""
        return f"gpu:{_id(self.name)}"


GPUS: Final = (
    Gpu("gpu-1", "esx-gpu-1", "training-1", _runs(0.92, 0.0)),
    Gpu("gpu-2", "esx-gpu-1", "training-1", _runs(0.9, 0.0)),
    Gpu("gpu-3", "esx-gpu-1", "training-1", _runs(0.88, 0.0)),
    Gpu("gpu-4", "esx-gpu-2", "assistant-1", _service(0.9, 0.05)),
    Gpu("gpu-5", "esx-gpu-2", "lessons-1", _office(0.6, 0.0), _in_lessons),
    Gpu("gpu-6", "esx-gpu-2", "", _steady(0.0)),
)
GPU_HOSTS: Final = tuple(dict.fromkeys(gpu.host for gpu in GPUS))
_GUESTS_BY_NAME: Final = {guest.name: guest for guest in GUESTS}


def readings_at(now: Moment) -> dict[tuple[str, str], float]:
    """What a vCenter would tell of the cluster at a moment, by (resource, quantity)."""
    values: dict[tuple[str, str], float] = {}
    used = dict.fromkeys(HOSTS, 8 * GIB)
    for guest, host, load in _guests_at(now):
        used[host.name] += guest.memory * guest.memory_share
        values |= {
            (guest.resource, "cpu_utilisation"): load,
            (guest.resource, "processors"): guest.processors,
            (guest.resource, "memory_size"): guest.memory,
            (guest.resource, "memory_used"): guest.memory * guest.memory_share,
            (guest.resource, "runs_on"): _number(host.resource),
        }
    values |= gpus_at(now)
    for name, (load, power) in _hosts_at(now).items():
        host = HOSTS[name]
        values |= {
            (host.resource, "cpu_utilisation"): load,
            (host.resource, "processors"): host.processors,
            (host.resource, "memory_size"): host.memory,
            (host.resource, "memory_used"): used[name],
            (host.resource, "power"): power,
        }
    return values


def gpus_at(now: Moment) -> dict[tuple[str, str], float]:
    """The part of `readings_at` that is of GPUs."""
    values: dict[tuple[str, str], float] = {}
    for gpu, load, power in _gpus_at(now):
        lent = gpu.guest and gpu.lent(now)
        holder = _GUESTS_BY_NAME[gpu.guest] if lent else HOSTS[gpu.host]
        values |= {
            (gpu.resource, "power"): power,
            (gpu.resource, "gpu_utilisation"): load,
            (gpu.resource, "runs_on"): _number(holder.resource),
        }
    return values


def gpu_hosts_at(now: Moment) -> dict[tuple[str, str], float]:
    """The part of `readings_at` that is the power of hosts with GPUs."""
    told = _hosts_at(now, GPU_HOSTS)
    return {(HOSTS[name].resource, "power"): power for name, (_, power) in told.items()}


def _guests_at(now: Moment, names: Container[str] = HOSTS) -> Iterator[tuple[Guest, Host, float]]:
    """Guests of some hosts, with the part of their processors at work."""
    for seed, guest in enumerate(GUESTS, 100):
        host = guest.host_at(now)
        if host.name in names:
            yield guest, host, min(1.0, max(0.0, guest.load(now, seed)))


def _gpus_at(now: Moment) -> Iterator[tuple[Gpu, float, float]]:
    """Each GPU with its activity and its power, W."""
    for seed, gpu in enumerate(GPUS, 200):
        load = min(1.0, max(0.0, gpu.load(now, seed)))
        yield gpu, load, gpu.idle + (gpu.full - gpu.idle) * load


def _hosts_at(now: Moment, names: Collection[str] = HOSTS) -> dict[str, tuple[float, float]]:
    """Of some hosts the part of their processors at work, and their power, W."""
    busy = dict.fromkeys(names, HYPERVISOR_PROCESSORS)
    for guest, host, load in _guests_at(now, names):
        busy[host.name] += load * guest.processors
    extra = dict.fromkeys(names, 0.0)
    for gpu, _, power in _gpus_at(now):
        extra[gpu.host] += power
    found: dict[str, tuple[float, float]] = {}
    for name in names:
        host = HOSTS[name]
        load = min(1.0, busy[name] / host.processors)
        # Servers draw more per load when little loaded: published load points show it.
        own = host.idle + (host.full - host.idle) * load * (1.25 - 0.25 * load)
        found[name] = load, own + extra[name]
    return found


def described(now: Moment) -> list[ResourceDescription]:
    """The cluster as a birth describes it at a moment."""
    quantities: dict[str, dict[str, Method]] = {}
    for resource, quantity in readings_at(now):
        quantities.setdefault(resource, {})[quantity] = Method.GAUGE
    names = {host.resource: host.name for host in HOSTS.values()}
    names |= {gpu.resource: gpu.name for gpu in GPUS}
    labels = {name: {"cluster": "cluster-1"} for name in names}
    for host in HOSTS.values():
        labels[host.resource] |= {"room": "hall-1", "rack": host.rack}
    for gpu in GPUS:
        labels[gpu.resource]["host"] = gpu.host
    for guest in GUESTS:
        names[guest.resource] = guest.name
        told = {
            "cluster": "cluster-1",
            "host": guest.host_at(now).name,
            "service": guest.service,
            "tenant": guest.tenant,
            "pool": guest.pool,
        }
        labels[guest.resource] = {key: value for key, value in told.items() if value}
    return [
        ResourceDescription(resource, told, names[resource], labels[resource])
        for resource, told in quantities.items()
    ]
