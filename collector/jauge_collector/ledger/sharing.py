"""An hour of a host shared out among its guests: pure, so that any order of arrival gives the same.

The host's energy of each slot goes to the guests that were seen on it then; the slots are summed
so that they add up to the host's row. J and W.
"""

from collections.abc import Sequence
from math import fsum
from typing import NamedTuple

import msgspec
from jauge_models.attribution import (
    GpuEnergy,
    GuestActivity,
    HostEnergy,
    IdlePolicy,
    Part,
    Shared,
    share,
    summed,
)
from jauge_models.intervals import Basis, Interval
from jauge_models.power_models import idle_part

from jauge_collector.ledger.activity import Use
from jauge_collector.ledger.shares import OWN, Share


class Guest(NamedTuple):
    """A guest on one host in an hour.

    ``name`` as its rows name it; ``resource`` tells that two agents report the same one, of which
    the lower ``rank`` counts.
    """

    name: str
    resource: str
    rank: int
    use: Use


class Gpu(NamedTuple):
    """A GPU of a host in an hour, by slot: its energy, None where not known, and who held it.

    ``holders`` are resources of guests, with their parts.
    """

    name: str
    energy: Sequence[float | None]
    holders: Sequence[tuple[tuple[str, float], ...]]
    is_here: Sequence[bool]
    """Whether it was in this host: of a gateway's GPUs only those that its guests hold are known
    to be."""


class Host(NamedTuple):
    """An hour of a host: ``amount`` is that of its rows, ``slots`` what each slot drew of it."""

    name: str
    start_ms: int
    end_ms: int
    amount: float
    slots: Sequence[Interval | None]
    use: Use
    utilisation: Sequence[float | None]
    guests: Sequence[Guest]
    gpus: Sequence[Gpu] = ()
    idle_power: float | None = None
    """W, as measured."""
    model_idle_power: float | None = None
    """W, by the model that estimates its power, for slots that it gave."""
    final: bool = False


class _Count:
    """What is known of one guest, or of the host, over the slots that were shared out."""

    def __init__(self) -> None:
        self.covered_ms = 0
        self._busy: list[float] = []
        self._known_ms = 0
        self._peak: float | None = None

    def add(self, covered_ms: int, busy: float | None) -> None:
        self.covered_ms += covered_ms
        if busy is not None and covered_ms:
            self._busy.append(busy * covered_ms)
            self._known_ms += covered_ms
            self._peak = busy if self._peak is None else max(self._peak, busy)

    @property
    def busy(self) -> float | None:
        return fsum(self._busy) / self._known_ms if self._known_ms else None

    @property
    def peak(self) -> float | None:
        return self._peak


def share_hour(host: Host, policy: IdlePolicy) -> list[Share]:
    """The shares of a host's hour, its own part first; they add up to ``amount`` exactly.

    None where no slot of the host was measured.
    """
    shadows = _shadows(host.guests)
    counts: dict[str, _Count] = {OWN: _Count()}
    slots: list[Shared] = []
    for at, interval in enumerate(host.slots):
        if interval is None or interval.amount is None or not interval.covered_ms:
            continue
        present = [
            guest
            for guest in host.guests
            if guest.use.seen_ms[at]
            and not any(other.use.seen_ms[at] for other in shadows.get(guest.name, ()))
        ]
        slots.append(_slot(host, at, interval, present, policy))
        counts[OWN].add(interval.covered_ms, host.use.busy[at])
        for guest in present:
            covered = min(guest.use.seen_ms[at], interval.covered_ms)
            counts.setdefault(guest.name, _Count()).add(covered, guest.use.busy[at])
    if not slots:
        return []
    whole = summed(slots, host.amount)
    uses = {guest.name: guest.use for guest in host.guests}
    own = _share(host, OWN, whole.own, counts[OWN], host.use)
    found = [msgspec.structs.replace(own, reconciliation=whole.reconciliation, doubts=whole.doubts)]
    found += [
        _share(host, name, whole.guests[name], counts[name], uses[name])
        for name in sorted(whole.guests)
    ]
    return found


def _shadows(guests: Sequence[Guest]) -> dict[str, list[Guest]]:
    """Of guests that several agents report: those that count in its place when they are seen."""
    by_resource: dict[str, list[Guest]] = {}
    for guest in guests:
        by_resource.setdefault(guest.resource, []).append(guest)
    return {
        guest.name: [other for other in same if (other.rank, other.name) < (guest.rank, guest.name)]
        for same in by_resource.values()
        if len(same) > 1
        for guest in same
    }


def _slot(
    host: Host, at: int, interval: Interval, present: Sequence[Guest], policy: IdlePolicy
) -> Shared:
    activities = [_activity(guest, at, interval.covered_ms) for guest in present]
    energy = max(interval.amount or 0.0, 0.0)
    names = {guest.resource: guest.name for guest in present}
    gpus = [
        GpuEnergy(
            gpu.name,
            max(spent, 0.0),
            tuple((names.get(resource, OWN), part) for resource, part in gpu.holders[at]),
        )
        for gpu in host.gpus
        if gpu.is_here[at] and (spent := gpu.energy[at]) is not None
    ]
    is_measured = interval.basis is not Basis.ESTIMATE
    idle_power = host.idle_power
    if idle_power is None and not is_measured:
        idle_power = host.model_idle_power
    if idle_power is None:
        rest = max(energy - fsum(gpu.energy for gpu in gpus), 0.0)
        idle = rest * idle_part(_utilisation(host, at, activities))
    else:
        idle = idle_power * interval.covered_ms / 1000
    return share(
        HostEnergy(
            energy,
            idle,
            host.idle_power is not None,
            host.use.busy[at],
            is_measured,
        ),
        activities,
        gpus,
        policy,
        seconds=interval.covered_ms / 1000,
    )


def _activity(guest: Guest, at: int, covered_ms: int) -> GuestActivity:
    """Means, over the time in which the host was measured, of what is known while it was seen."""
    use, part = guest.use, min(guest.use.seen_ms[at] / covered_ms, 1.0)
    busy, power = use.busy[at], use.power[at]
    return GuestActivity(
        guest.name,
        None if busy is None else busy * part,
        None if use.processors is None else use.processors * part,
        None if power is None or power < 0 else power * part,
    )


def _utilisation(host: Host, at: int, activities: Sequence[GuestActivity]) -> float:
    """Of the host's processors: as it says, else as its guests' activity shows; 0 where neither."""
    told = host.utilisation[at]
    if told is not None:
        return min(max(told, 0.0), 1.0)
    busy = host.use.busy[at]
    if busy is None:
        busy = fsum(activity.busy or 0.0 for activity in activities)
    processors = host.use.processors or fsum(one.processors or 0.0 for one in activities)
    return min(busy / processors, 1.0) if processors else 0.0


def _share(host: Host, guest: str, part: Part, count: _Count, use: Use) -> Share:
    return Share(
        host.name,
        guest,
        host.start_ms,
        host.end_ms,
        part.idle,
        part.dynamic,
        part.gpu,
        count.covered_ms,
        part.certainty,
        count.busy,
        count.peak,
        use.processors,
        use.memory_used,
        use.memory_size,
        host.final,
    )
