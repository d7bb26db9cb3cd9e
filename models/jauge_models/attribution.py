"""What a host was measured to draw, shared among its guests: parts that add up to the host.

In this order: the energy of each GPU to the guests that hold it, then the idle energy by a named
policy, then the rest (dynamic) by measured activity. What nobody can be shown to have caused is
the host's own. Formulas, references and what cannot be known: docs/measurement.md, decision 0025.

**Exact sums.** Everything a guest is given is a whole multiple of 2^-16 J (15 µJ), or of the last
binary place of the host's energy where that is larger (from 2^37 J, 38 MWh). Each is rounded down;
what is left over is the host's own. So the parts, added in any order with ordinary floats, give
the host's energy to the last bit; a guest's parts add up over slots without rounding up to 38 MWh;
equal guests get equal parts, and the order in which guests are named changes nothing.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple


class IdlePolicy(StrEnum):
    """Who answers for idle energy: what a host draws because it is on. Each is a convention."""

    ALLOCATION = "allocation"
    """Its guests, by the processors they were given; one whose number is unknown counts as the
    mean of those that are known, and all are equal where none is."""
    EQUAL = "equal"
    """Its guests, each alike."""
    HOST = "host"
    """The host itself: no guest is charged."""


class Certainty(StrEnum):
    """How a part was obtained, best first."""

    MEASURED = "measured"
    """The counter's whole is this one's: nothing was divided."""
    DERIVED = "derived"
    """Measured energy, divided by measured activity or by what was given."""
    ESTIMATED = "estimated"
    """Power from a model, idle power not measured, or an activity that is not known."""

    @property
    def rank(self) -> int:
        """0 for the best."""
        return _CERTAINTIES.index(self)


_CERTAINTIES: Final = tuple(Certainty)


class Doubt(StrEnum):
    """Counters that disagree, and what was made of it."""

    GPU_EXCEEDS_HOST = "gpu_exceeds_host"
    """The GPUs say more than the host: each GPU was cut alike until they are the host's whole."""
    PARTS_EXCEED_GPU = "parts_exceed_gpu"
    """Parts of a GPU add up to more than one: each was cut alike."""
    IDLE_EXCEEDS_REST = "idle_exceeds_rest"
    """The host drew less than its idle power: all of it is idle energy, none is dynamic."""
    BUSY_EXCEEDS_HOST = "busy_exceeds_host"
    """The guests say that they were busier than the host: no activity is left for itself."""


class GuestActivity(NamedTuple):
    """A guest that runs on the host in this slot; powered-off guests are left out.

    ``busy``: processors busy, mean over the slot; ``processors``: given; ``own_power``: W by the
    hypervisor's own counter. None: not known, which is never taken for zero.
    """

    guest: str
    busy: float | None
    processors: float | None
    own_power: float | None = None


class GpuEnergy(NamedTuple):
    """J that a GPU drew in the slot, and who holds it: (guest, part 0..1), the rest the host's.

    A guest named twice holds both parts. A holder that is not among the guests does not run
    here: its part is the host's own.
    """

    gpu: str
    energy: float
    holders: tuple[tuple[str, float], ...]


class HostEnergy(NamedTuple):
    """J that the host drew in the slot.

    ``idle``: J it would have drawn with nobody busy, without the GPUs that are given beside it.
    ``busy``: processors busy, mean over the slot. ``energy_is_measured``: False where ``energy``
    comes from a model.
    """

    energy: float
    idle: float
    idle_is_measured: bool
    busy: float | None
    energy_is_measured: bool = True


class Part(NamedTuple):
    """J of one guest, or of the host itself. ``certainty`` is that of their sum."""

    idle: float
    dynamic: float
    gpu: float
    certainty: Certainty

    @property
    def energy(self) -> float:
        """J: the sum."""
        return self.idle + self.dynamic + self.gpu


class Shared(NamedTuple):
    """A host's energy in parts: ``own`` and all ``guests`` add up to it to the last bit.

    ``reconciliation``: what the hypervisor's own counters were multiplied by to add up to the
    dynamic energy of the guests; None where they were not used or the slot's length is not known.
    """

    own: Part
    guests: Mapping[str, Part]
    reconciliation: float | None
    doubts: frozenset[Doubt] = frozenset()


QUANTUM: Final = 2.0**-16
"""J: the smallest part that is handed out."""

_SLACK: Final = 1e-6
"""Relative excess that is rounding, and no disagreement between counters."""

_PART_SLACK: Final = 1e-3
"""Likewise of the parts of a GPU, which agents round to four decimals."""

_ROUNDING: Final = 1e-12

_ONE: Final = 2**53


def share(
    host: HostEnergy,
    guests: Sequence[GuestActivity],
    gpus: Sequence[GpuEnergy],
    policy: IdlePolicy,
    *,
    seconds: float | None = None,
) -> Shared:
    """Share a host's energy among its guests.

    ``seconds`` is the slot's length; only the reconciliation needs it. Watts may be given in
    place of J everywhere, with ``seconds=1``. Raises ValueError where a number is negative or not
    finite, or a guest or GPU is given twice.
    """
    _check(host, guests, gpus)
    doubts: set[Doubt] = set()
    quantum = max(QUANTUM, math.ulp(host.energy))
    names = [guest.guest for guest in guests]
    whole = _quanta(host.energy, quantum)

    gpu = _gpu_parts(gpus, frozenset(names), whole, quantum, doubts)
    rest = whole - gpu.total
    if host.idle * (1 - _SLACK) > rest * quantum:
        doubts.add(Doubt.IDLE_EXCEEDS_REST)
    idle = min(_quanta(host.idle, quantum), rest)
    idle_of = _apportioned(idle, _idle_weights(guests, policy))
    dynamic = rest - idle
    activity = _activity(host, guests, doubts)
    for_guests, _ = _apportioned(dynamic, (activity.guests_busy, activity.own_busy))
    dynamic_of = _apportioned(for_guests, activity.weights)

    allocation_known = _allocation_known(guests, policy)
    parts: dict[str, Part] = {}
    for guest, idle_n, dynamic_n in zip(guests, idle_of, dynamic_of, strict=True):
        divided = idle_n + dynamic_n > 0
        if (
            not host.energy_is_measured
            or guest.guest in gpu.doubtful
            or (guest.busy is None and not activity.by_counter(guest))
            or (divided and not host.idle_is_measured)
            or (idle_n > 0 and not allocation_known)
            or (dynamic_n > 0 and not activity.is_known)
        ):
            certainty = Certainty.ESTIMATED
        elif divided or guest.guest not in gpu.whole:
            certainty = Certainty.DERIVED
        else:
            certainty = Certainty.MEASURED
        parts[guest.guest] = Part(
            idle_n * quantum,
            dynamic_n * quantum,
            gpu.of.get(guest.guest, 0) * quantum,
            certainty,
        )

    given = sum(gpu.of.values()) + sum(idle_of) + sum(dynamic_of)
    own_gpu = gpu.total - sum(gpu.of.values())
    own_dynamic = dynamic - sum(dynamic_of)
    own = Part(
        host.energy - (given + own_gpu + own_dynamic) * quantum,
        own_dynamic * quantum,
        own_gpu * quantum,
        _own_certainty(host, guests, activity, gpu),
    )
    return Shared(
        own,
        parts,
        activity.reconciliation(sum(dynamic_of) * quantum, seconds),
        frozenset(doubts),
    )


def summed(slots: Iterable[Shared], energy: float) -> Shared:
    """Slots of one host as one, cut or stretched alike so that the parts add up to ``energy``.

    ``energy`` (J) is what a better counter says of the same time: a row of the ledger. The slots
    must cover that time. Where it is their sum, each guest's part is exactly that of its slots.
    Where they hold nothing to go by, all is the host's own and estimated. The certainty of each
    is the worst it had. Raises ValueError where ``energy`` is negative or not finite.
    """
    _check_number("energy", energy)
    slots = list(slots)
    own = _total([slot.own for slot in slots])
    lists: dict[str, list[Part]] = {}
    for slot in slots:
        for guest, part in slot.guests.items():
            lists.setdefault(guest, []).append(part)
    totals = {guest: _total(found) for guest, found in lists.items()}

    quantum = max(QUANTUM, math.ulp(energy))
    everyone = (own, *totals.values())
    amounts = [amount for part in everyone for amount in part[:3]]
    scaled = [_quanta(amount, quantum) for amount in amounts]
    # A difference that is only rounding is the host's own, so that no guest loses by it.
    same = math.isclose(math.fsum(amounts), energy, rel_tol=_ROUNDING)
    if not same or sum(scaled[1:]) * quantum > energy:
        scaled = _apportioned(_quanta(energy, quantum), amounts)
    guests = {
        guest: Part(
            scaled[at] * quantum,
            scaled[at + 1] * quantum,
            scaled[at + 2] * quantum,
            totals[guest].certainty,
        )
        for at, guest in zip(range(3, len(scaled), 3), totals, strict=True)
    }
    left = energy - (sum(scaled) - scaled[0]) * quantum
    own_certainty = own.certainty if any(amounts) or not energy else Certainty.ESTIMATED
    return Shared(
        Part(left, scaled[1] * quantum, scaled[2] * quantum, own_certainty),
        guests,
        _reconciliation(slots),
        frozenset().union(*(slot.doubts for slot in slots)),
    )


class _GpuParts(NamedTuple):
    """Quanta of GPU energy: in all, and by guest."""

    total: int
    of: Mapping[str, int]
    whole: frozenset[str]
    """Guests that hold every GPU they hold whole."""
    doubtful: frozenset[str]
    """Guests whose part was cut because counters disagree."""
    own_is_doubtful: bool


def _gpu_parts(
    gpus: Sequence[GpuEnergy],
    running: frozenset[str],
    available: int,
    quantum: float,
    doubts: set[Doubt],
) -> _GpuParts:
    energies = [_quanta(gpu.energy, quantum) for gpu in gpus]
    cut = sum(energies) > available
    if cut:
        if sum(energies) > available * (1 + _SLACK) + 1:
            doubts.add(Doubt.GPU_EXCEEDS_HOST)
        energies = _apportioned(available, energies)
    of: dict[str, int] = {}
    whole: set[str] = set()
    divided: set[str] = set()
    doubtful: set[str] = set()
    for gpu, energy in zip(gpus, energies, strict=True):
        held: dict[str, list[float]] = {}
        for guest, part in gpu.holders:
            if part:
                held.setdefault(guest, []).append(part)
        parts = {guest: math.fsum(found) for guest, found in held.items()}
        total = math.fsum(parts.values())
        exceeds = total > 1 + _PART_SLACK
        if exceeds:
            doubts.add(Doubt.PARTS_EXCEED_GPU)
        shares = _apportioned(energy, (*parts.values(), max(1 - total, 0.0)))
        for guest, amount in zip(parts, shares, strict=False):
            if guest not in running:
                continue
            of[guest] = of.get(guest, 0) + amount
            (whole if len(parts) == 1 and total >= 1 - _PART_SLACK else divided).add(guest)
            if exceeds or Doubt.GPU_EXCEEDS_HOST in doubts:
                doubtful.add(guest)
    return _GpuParts(
        sum(energies),
        of,
        frozenset(whole - divided),
        frozenset(doubtful),
        Doubt.GPU_EXCEEDS_HOST in doubts,
    )


def _idle_weights(guests: Sequence[GuestActivity], policy: IdlePolicy) -> list[float]:
    if policy is IdlePolicy.HOST:
        return [0.0] * len(guests)
    if policy is IdlePolicy.EQUAL:
        return [1.0] * len(guests)
    known = [guest.processors for guest in guests if guest.processors]
    mean = math.fsum(known) / len(known) if known else 1.0
    return [guest.processors or mean for guest in guests]


def _allocation_known(guests: Sequence[GuestActivity], policy: IdlePolicy) -> bool:
    return policy is not IdlePolicy.ALLOCATION or all(guest.processors for guest in guests)


class _Activity(NamedTuple):
    """How dynamic energy is divided: between guests and host, then among the guests."""

    weights: list[float]
    guests_busy: float
    own_busy: float
    is_known: bool
    """Whether the host's activity is known, so that no guest answers for another's."""
    counters: float | None
    """W: the sum of the hypervisor's own counters, where these are the weights."""

    def by_counter(self, guest: GuestActivity) -> bool:
        return self.counters is not None and guest.own_power is not None

    def reconciliation(self, dynamic: float, seconds: float | None) -> float | None:
        if not self.counters or not seconds:
            return None
        return dynamic / (self.counters * seconds)


def _activity(host: HostEnergy, guests: Sequence[GuestActivity], doubts: set[Doubt]) -> _Activity:
    busy = [guest.busy or 0.0 for guest in guests]
    sum_busy = math.fsum(busy)
    if host.busy is not None and sum_busy > host.busy * (1 + _SLACK):
        doubts.add(Doubt.BUSY_EXCEEDS_HOST)

    active = [guest for guest in guests if guest.busy != 0]
    told = [guest for guest in active if guest.own_power is not None]
    counters = math.fsum(guest.own_power or 0.0 for guest in told)
    missing = any(guest.busy and guest.own_power is None for guest in active)
    if not counters or missing:
        own_busy = max((host.busy or 0.0) - sum_busy, 0.0)
        return _Activity(busy, sum_busy, own_busy, host.busy is not None, None)

    weights = [(guest.own_power or 0.0) if guest.busy != 0 else 0.0 for guest in guests]
    if host.busy is None or any(guest.busy is None for guest in told):
        return _Activity(weights, 1.0, 0.0, False, counters)
    return _Activity(weights, sum_busy, max(host.busy - sum_busy, 0.0), True, counters)


def _own_certainty(
    host: HostEnergy,
    guests: Sequence[GuestActivity],
    activity: _Activity,
    gpu: _GpuParts,
) -> Certainty:
    if not host.energy_is_measured:
        return Certainty.ESTIMATED
    if not guests:
        return Certainty.MEASURED
    if (
        not host.idle_is_measured
        or not activity.is_known
        or gpu.own_is_doubtful
        or any(guest.busy is None and not activity.by_counter(guest) for guest in guests)
    ):
        return Certainty.ESTIMATED
    return Certainty.DERIVED


def _apportioned(total: int, weights: Sequence[float]) -> list[int]:
    """``total`` by weight, each rounded down; nothing where all weights are zero."""
    most = max(weights, default=0)
    if not most:
        return [0] * len(weights)
    scaled = [int(weight / most * _ONE) for weight in weights]
    scale = sum(scaled)
    return [total * weight // scale for weight in scaled]


def _quanta(energy: float, quantum: float) -> int:
    return math.floor(energy / quantum)


def _total(parts: Sequence[Part]) -> Part:
    return Part(
        math.fsum(part.idle for part in parts),
        math.fsum(part.dynamic for part in parts),
        math.fsum(part.gpu for part in parts),
        max(
            (part.certainty for part in parts),
            key=lambda certainty: certainty.rank,
            default=Certainty.MEASURED,
        ),
    )


def _reconciliation(slots: Sequence[Shared]) -> float | None:
    """Of several slots: the guests' dynamic energy over what the counters said of it."""
    dynamic, said = [], []
    for slot in slots:
        if slot.reconciliation:
            of_guests = math.fsum(part.dynamic for part in slot.guests.values())
            dynamic.append(of_guests)
            said.append(of_guests / slot.reconciliation)
    counters = math.fsum(said)
    return math.fsum(dynamic) / counters if counters else None


def _check(host: HostEnergy, guests: Sequence[GuestActivity], gpus: Sequence[GpuEnergy]) -> None:
    _check_number("host: energy", host.energy)
    _check_number("host: idle", host.idle)
    _check_number("host: busy", host.busy)
    seen: set[str] = set()
    for guest in guests:
        if guest.guest in seen:
            raise ValueError(f"guest {guest.guest} is given twice in one slot")
        seen.add(guest.guest)
        for name in ("busy", "processors", "own_power"):
            _check_number(f"guest {guest.guest}: {name}", getattr(guest, name))
    seen = set()
    for gpu in gpus:
        if gpu.gpu in seen:
            raise ValueError(f"GPU {gpu.gpu} is given twice in one slot")
        seen.add(gpu.gpu)
        _check_number(f"GPU {gpu.gpu}: energy", gpu.energy)
        for holder, part in gpu.holders:
            _check_number(f"GPU {gpu.gpu}: part of {holder}", part)


def _check_number(what: str, value: float | None) -> None:
    if value is not None and not 0 <= value < math.inf:
        raise ValueError(f"{what} must be a number from 0, not {value}")
