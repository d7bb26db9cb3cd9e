"""What guests do with what they were given: idle, oversized, at rest by night.

Everything is found from hourly figures of the ledger, folded into one ``GuestProfile`` per guest
by ``profiled``: a week of 168 hours, whatever the length of the period. What each finding would
save is said in three figures, since they are not equally certain (see ``Saving``). Rules, sources
and limits: docs/measurement.md.

Activity is that of processors, and of held GPUs where known. A guest that only stores or forwards
looks idle here: a finding is a question to its owner, never an order.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from jauge_models.attribution import Certainty

HOURS_OF_WEEK: Final = 168

JOULES_PER_KWH: Final = 3.6e6

_YEAR_S: Final = 365.25 * 86400
_HOUR_MS: Final = 3_600_000
_NEVER: Final = (-1, 0.0)


class UsePolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Thresholds. All but ``idle_busy`` and ``idle_days`` are the project's own choice."""

    idle_busy: float = 0.05
    """Part of its processors that an idle guest exceeds in no hour (mean). The project's rule for
    idle servers has 5 % as well (Code of Conduct, 4.3.6), as has Azure Advisor for low use."""
    idle_days: int = 30
    """Days seen, at least, before a guest is called idle; 30 as in that rule for servers."""
    days: int = 14
    """Days seen, at least, for any other finding."""
    day_hours: float = 8
    """Hours in which a guest was seen, at least, for a day to count."""
    coverage: float = 0.9
    """Part of the period in which it was seen, below which a saving is an estimate."""
    oversized: float = 0.5
    """Called oversized where this part of what was given, or less, would do."""
    head_room: float = 0.25
    """Added to the highest use for a recommended size; kept free on each host that stays on."""
    memory_step: float = float(2**30)
    """B: recommended memory is rounded up to a multiple of this."""
    window_hours: int = 6
    """Hours on end, at least, of a window worth switching off in."""
    window_weeks: int = 4
    """Weeks in which an hour of the week was seen at rest, at least."""
    spare_hosts: int = 1
    """Hosts of a cluster that may fail while the rest still carries all guests."""


class HourOfGuest(NamedTuple):
    """One hour (or less) of one guest on one host, as the ledger's table of shares holds it.

    ``day``: number of the local civil day; ``hour_of_week``: local hour, 0 is Monday 00:00, below
    168. ``idle``, ``dynamic``, ``gpu``: J. ``busy`` (mean while seen), ``busy_peak`` (highest
    slot) and ``processors`` count processors, memory is in B. ``holds_gpu``: whether a GPU or
    part of one was held; ``gpu_utilisation``: 0..1, mean of the busiest held. None: not known.
    """

    day: int
    hour_of_week: int
    covered_ms: int
    idle: float
    dynamic: float
    gpu: float
    certainty: Certainty
    busy: float | None
    busy_peak: float | None
    processors: float | None
    memory_used_peak: float | None
    memory_size: float | None
    holds_gpu: bool = False
    gpu_utilisation: float | None = None


class HourOfWeek(NamedTuple):
    """All hours of a period that fall on one hour of the week.

    ``hours``: time in which the guest's activity was known; ``busiest``: its highest hourly mean,
    as part of what it was given (processors, or GPUs where these were busier), None where never
    known. ``idle``, ``dynamic``, ``gpu``: J.
    """

    hours: float
    busiest: float | None
    idle: float
    dynamic: float
    gpu: float


class GuestProfile(NamedTuple):
    """A guest over a period of ``period_s`` seconds; J, processors and B as in ``HourOfGuest``.

    Only hours whose activity is known count as seen. ``days``: on which it was seen long enough;
    ``coverage``: seen part of the period (switched off and not measured look alike). Peaks are
    those of the hours seen. ``processors`` and ``memory_size``: as given last. ``gpu_unknown``: a
    GPU was held whose use is not known.
    """

    guest: str
    period_s: float
    days: int
    coverage: float
    busy: float | None
    busy_peak: float | None
    processors: float | None
    memory_used_peak: float | None
    memory_size: float | None
    holds_gpu: bool
    gpu_unknown: bool
    certainty: Certainty
    week: Mapping[int, HourOfWeek]


class Saving(NamedTuple):
    """kWh a year, at the period's rate; time in which the guest was not seen adds nothing.

    ``dynamic`` is saved whatever else happens. ``gpu`` is at most saved: a GPU that nobody holds
    goes on drawing its own idle power. ``idle`` is saved only if a host can sleep for it: on a
    host that stays on, idle energy passes to its other guests. ``certainty``: derived at best,
    since a year is told from a part of it.
    """

    dynamic: float
    gpu: float
    idle: float
    certainty: Certainty


class IdleGuest(NamedTuple):
    """A guest that no hour saw at work. ``busiest``: its highest hourly mean, of what was given."""

    guest: str
    days: int
    busiest: float
    saving: Saving


class OversizedGuest(NamedTuple):
    """A guest that was given far more than it used; the size that would do, None where it fits.

    Less to give saves nothing by itself: ``saving`` holds only the idle energy of the processors
    that would be free for others.
    """

    guest: str
    processors: float | None
    recommended_processors: int | None
    memory_size: float | None
    recommended_memory: float | None
    saving: Saving


class Window(NamedTuple):
    """``hours`` of the week on end from hour ``start``; it may run over the end of the week."""

    start: int
    hours: int


class NightGuest(NamedTuple):
    """A guest that works, but never within some windows of the week."""

    guest: str
    windows: tuple[Window, ...]
    saving: Saving


class Reason(StrEnum):
    """Why a guest was not judged idle or at rest by night."""

    DAYS = "days"
    """Its activity, and what it was given, are known on too few days."""
    GPU = "gpu"
    """It holds a GPU whose use is not known."""


class Findings(NamedTuple):
    """What was found, the greatest saving first, and which guests could not be judged and why.

    A guest that is idle is in no other list. A guest not judged by its GPU may be oversized.
    """

    idle: list[IdleGuest]
    oversized: list[OversizedGuest]
    night: list[NightGuest]
    not_judged: Mapping[str, Reason]


def profiled(
    guest: str, hours: Iterable[HourOfGuest], period_s: float, policy: UsePolicy
) -> GuestProfile:
    """Fold hours, in any order, into a profile; memory grows with the days, by a number each.

    A guest that moved within an hour has an entry for each host. Raises ValueError where an hour
    lies outside the week or the period is not positive.
    """
    if not period_s > 0:
        raise ValueError(f"period_s must be positive, not {period_s}")
    week: dict[int, _Hours] = {}
    days: dict[int, int] = {}
    busy_ms = 0.0
    holds_gpu = gpu_unknown = False
    busy_peak: float | None = None
    memory_used_peak: float | None = None
    processors: tuple[int, float] | None = None
    memory_size: tuple[int, float] | None = None
    certainty = Certainty.MEASURED
    for hour in hours:
        if not 0 <= hour.hour_of_week < HOURS_OF_WEEK:
            raise ValueError(f"hour_of_week must be 0 to 167, not {hour.hour_of_week}")
        if hour.covered_ms <= 0:
            continue
        if hour.certainty is not certainty:
            certainty = _worse(certainty, hour.certainty)
        has_gpu = hour.holds_gpu or hour.gpu > 0
        holds_gpu = holds_gpu or has_gpu
        gpu_unknown = gpu_unknown or (has_gpu and hour.gpu_utilisation is None)
        of_week = week.get(hour.hour_of_week)
        if of_week is None:
            of_week = week[hour.hour_of_week] = _Hours()
        of_week.add(hour)
        at = hour.day * HOURS_OF_WEEK + hour.hour_of_week
        if hour.processors is not None:
            processors = max(processors or _NEVER, (at, hour.processors))
        if hour.memory_size is not None:
            memory_size = max(memory_size or _NEVER, (at, hour.memory_size))
        memory_used_peak = _higher(memory_used_peak, hour.memory_used_peak)
        if hour.busy is None or not hour.processors:
            continue
        days[hour.day] = days.get(hour.day, 0) + hour.covered_ms
        busy_ms += hour.busy * hour.covered_ms
        busy_peak = _higher(_higher(busy_peak, hour.busy), hour.busy_peak)
    seen_ms = sum(days.values())
    return GuestProfile(
        guest,
        period_s,
        sum(day_ms >= policy.day_hours * _HOUR_MS for day_ms in days.values()),
        min(seen_ms / 1000 / period_s, 1.0),
        busy_ms / seen_ms if seen_ms else None,
        busy_peak,
        processors[1] if processors else None,
        memory_used_peak,
        memory_size[1] if memory_size else None,
        holds_gpu,
        gpu_unknown,
        certainty,
        {at: found.done() for at, found in sorted(week.items())},
    )


def findings(guests: Iterable[GuestProfile], policy: UsePolicy) -> Findings:
    """Judge each guest by itself; the result does not depend on their order."""
    idle: list[IdleGuest] = []
    oversized: list[OversizedGuest] = []
    night: list[NightGuest] = []
    not_judged: dict[str, Reason] = {}
    for guest in sorted(guests, key=lambda guest: guest.guest):
        if guest.days < policy.days:
            not_judged[guest.guest] = Reason.DAYS
            continue
        if guest.gpu_unknown:
            not_judged[guest.guest] = Reason.GPU
        elif _is_idle(guest, policy):
            if guest.days < policy.idle_days:
                not_judged[guest.guest] = Reason.DAYS
            else:
                idle.append(_idle(guest, policy))
            continue
        elif windows := _windows(guest, policy):
            at_rest = {
                (window.start + hour) % HOURS_OF_WEEK
                for window in windows
                for hour in range(window.hours)
            }
            night.append(NightGuest(guest.guest, windows, _saving(guest, policy, at_rest)))
        if (too_big := _oversized(guest, policy)) is not None:
            oversized.append(too_big)
    return Findings(
        sorted(idle, key=_by_saving),
        sorted(oversized, key=_by_saving),
        sorted(night, key=_by_saving),
        not_judged,
    )


def kwh_a_year(energy: float, period_s: float) -> float:
    """J in a period as kWh in a year of 365.25 days."""
    return energy / JOULES_PER_KWH * (_YEAR_S / period_s)


def certainty_of(certainty: Certainty, coverage: float, policy: UsePolicy) -> Certainty:
    """That of a saving: derived at best, estimated where little of the period was seen."""
    if coverage < policy.coverage:
        return Certainty.ESTIMATED
    return _worse(Certainty.DERIVED, certainty)


class _Hours:
    """Sums of the hours that fall on one hour of the week."""

    def __init__(self) -> None:
        self._seen_ms = 0
        self._busiest: float | None = None
        self._idle = self._dynamic = self._gpu = 0.0

    def add(self, hour: HourOfGuest) -> None:
        self._idle += hour.idle
        self._dynamic += hour.dynamic
        self._gpu += hour.gpu
        if hour.busy is not None and hour.processors:
            self._seen_ms += hour.covered_ms
            busiest = _higher(self._busiest, hour.busy / hour.processors)
            self._busiest = _higher(busiest, hour.gpu_utilisation)

    def done(self) -> HourOfWeek:
        return HourOfWeek(
            self._seen_ms / _HOUR_MS, self._busiest, self._idle, self._dynamic, self._gpu
        )


def _higher(known: float | None, value: float | None) -> float | None:
    if known is None or value is None:
        return value if known is None else known
    return max(known, value)


def _worse(one: Certainty, other: Certainty) -> Certainty:
    return max(one, other, key=lambda certainty: certainty.rank)


def _is_idle(guest: GuestProfile, policy: UsePolicy) -> bool:
    return all(_is_quiet(hour, policy) for hour in guest.week.values())


def _is_quiet(hour: HourOfWeek, policy: UsePolicy) -> bool:
    return hour.busiest is not None and hour.busiest <= policy.idle_busy


def _idle(guest: GuestProfile, policy: UsePolicy) -> IdleGuest:
    busiest = max(hour.busiest or 0.0 for hour in guest.week.values())
    return IdleGuest(guest.guest, guest.days, busiest, _saving(guest, policy, guest.week))


def _windows(guest: GuestProfile, policy: UsePolicy) -> tuple[Window, ...]:
    """Runs of hours of the week at rest, around the end of the week too, by their start."""
    enough = policy.window_weeks * policy.coverage
    quiet = [
        hour is not None and hour.hours >= enough and _is_quiet(hour, policy)
        for hour in map(guest.week.get, range(HOURS_OF_WEEK))
    ]
    if all(quiet):
        return ()
    first = quiet.index(False)
    found: list[Window] = []
    length = 0
    for step in range(1, HOURS_OF_WEEK + 1):
        at = (first + step) % HOURS_OF_WEEK
        if quiet[at]:
            length += 1
            continue
        if length >= policy.window_hours:
            found.append(Window((at - length) % HOURS_OF_WEEK, length))
        length = 0
    return tuple(sorted(found))


def _oversized(guest: GuestProfile, policy: UsePolicy) -> OversizedGuest | None:
    processors = memory = None
    freed = 0.0
    room = 1 + policy.head_room
    if guest.processors is not None and guest.busy_peak is not None:
        enough = max(math.ceil(guest.busy_peak * room), 1)
        if enough <= guest.processors * policy.oversized:
            processors = enough
            freed = 1 - enough / guest.processors
    if guest.memory_size is not None and guest.memory_used_peak is not None:
        steps = max(math.ceil(guest.memory_used_peak * room / policy.memory_step), 1)
        if steps * policy.memory_step <= guest.memory_size * policy.oversized:
            memory = steps * policy.memory_step
    if processors is None and memory is None:
        return None
    all_hours = _saving(guest, policy, guest.week)
    return OversizedGuest(
        guest.guest,
        guest.processors,
        processors,
        guest.memory_size,
        memory,
        Saving(0.0, 0.0, all_hours.idle * freed, all_hours.certainty),
    )


def _saving(guest: GuestProfile, policy: UsePolicy, hours: Collection[int]) -> Saving:
    """What the guest drew in these hours of the week."""
    drawn = [guest.week[hour] for hour in sorted(hours)]
    return Saving(
        kwh_a_year(math.fsum(hour.dynamic for hour in drawn), guest.period_s),
        kwh_a_year(math.fsum(hour.gpu for hour in drawn), guest.period_s),
        kwh_a_year(math.fsum(hour.idle for hour in drawn), guest.period_s),
        certainty_of(guest.certainty, guest.coverage, policy),
    )


def _by_saving(found: IdleGuest | OversizedGuest | NightGuest) -> tuple[float, str]:
    return -math.fsum(found.saving[:3]), found.guest
