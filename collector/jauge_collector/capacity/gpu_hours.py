"""Hours of GPUs: how busy, what they drew, what of them was given away, memory in use.

Hourly means of readings, as the ledger keeps them once they were worked out: a year of a GPU is
millions of readings. What is not kept yet is read from the newest back, some more with each call.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from jauge_models.resources import Series

from jauge_collector.capacity.gpu_places import Gpu
from jauge_collector.compliance import kept_hours
from jauge_collector.compliance.intake import Hours
from jauge_collector.compliance.kept_hours import Derived
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.kept_hours import Sensor, kept_starts
from jauge_collector.stores import Store

HOUR_MS: Final = 3_600_000
WEEK_MS: Final = 7 * 24 * HOUR_MS
MEASURED: Final = 0.9
"""Of an hour, or it is not known."""
GAP_MS: Final = 180_000
"""Readings of a GPU further apart than this measure nothing in between."""
_MIB: Final = 2**20

Hourly = Sequence[float | None]
"""A value for each hour of a span, None where it is not known."""


class GpuHours(NamedTuple):
    """The hours of one GPU over a span; None where not known."""

    activity: Hourly
    watts: Hourly
    given: Hourly | None
    """The part of it that somebody had; None where nothing ever told of holders."""
    memory_mib: Hourly
    """In use, as it reports itself; not read where holders are told of."""


class _Asked(NamedTuple):
    """One of a GPU's series, and how its readings count."""

    series: Series
    derived: Derived | None = None

    @property
    def sensor(self) -> Sensor:
        """Under which the ledger keeps its hours."""
        site, agent, resource, quantity = self.series
        return Sensor(site, agent, resource, self.name or quantity, GAP_MS)

    @property
    def name(self) -> str:
        """Of what is derived; empty where readings count as they are."""
        return "" if self.derived is None else self.derived.name


class GpuSeries(NamedTuple):
    """What the store may have of one GPU."""

    activity: _Asked | None
    watts: _Asked | None
    told: tuple[_Asked, ...]
    memory: _Asked | None
    memory_mib: float
    """What one of `memory`'s unit is."""

    def asked(self) -> Iterator[_Asked]:
        """All of them."""
        yield from self.told
        yield from (one for one in (self.activity, self.watts, self.memory) if one is not None)


def series_of(site: str, gpu: Gpu, memory_mib: int, known: frozenset[Series]) -> GpuSeries:
    """Those of a GPU out of the ``known`` ones; its memory where ``memory_mib`` is declared.

    A GPU that tells who holds it and no share is held whole, unless a host of its agent has it.
    """

    def there(quantity: str, resource: str = gpu.resource) -> _Asked | None:
        series = Series(site, gpu.agent, resource, quantity)
        return _Asked(series) if series in known else None

    shares = [there("share", name) for name in (gpu.resource, *gpu.parts)]
    told = [one for one in shares if one is not None]
    holder = there("runs_on")
    if shares[0] is None and holder is not None:
        told.insert(0, holder._replace(derived=_held_whole(gpu.hosts)))
    memory, of_one = None, 0.0
    if memory_mib and not told:
        memory, of_one = there("memory_used"), 1 / _MIB
        if memory is None:
            memory, of_one = there("memory_utilisation"), float(memory_mib)
    return GpuSeries(there("gpu_utilisation"), there("power"), tuple(told), memory, of_one)


def _held_whole(hosts: frozenset[int]) -> Derived:
    """All of a GPU, or nothing while a host has it: those are part of what the hours mean."""
    named = "+".join(f"{host:x}" for host in sorted(hosts))
    return Derived(f"held_whole-{named}", lambda holder: float(round(holder) not in hosts))


# --- how far back


async def weeks_known(
    store: Store,
    ledger: Ledger,
    gpus: Sequence[GpuSeries],
    end_ms: int,
    *,
    weeks: tuple[int, int],
    fresh: int,
) -> int:
    """How many weeks before a moment are to be read now: of ``weeks`` at least and at most.

    The fewest weeks are read whatever is kept of them. Before these as many as are kept, and what
    ``fresh`` blocks of a week of a series more are enough for, but one week at least: what is read
    now is kept for the next time. Raises StoreError and LedgerError.
    """
    least, most = weeks
    span = end_ms - most * WEEK_MS, end_ms
    asked = [one for gpu in gpus for one in gpu.asked()]
    if not asked:
        return most
    first = await store.after([one.series for one in asked], span[0])
    with ledger.transaction(writes=False) as connection:
        kept = kept_starts(connection, asked[0].series.site, GAP_MS, (span[0] - WEEK_MS, end_ms))
    missing: defaultdict[int, int] = defaultdict(int)
    for one in asked:
        if one.series in first:
            for start in kept_hours.blocks(span, first[one.series].time_ms):
                missing[start] += start not in kept.get(one.sensor, ())
    known, begun = least, False
    while known < most:
        begin_ms = end_ms - (known + 1) * WEEK_MS
        cost = missing.get(begin_ms - begin_ms % WEEK_MS, 0)
        if begun and cost > max(fresh, 0):
            break
        fresh -= cost
        begun = begun or cost > 0
        known += 1
    return known


# --- read


async def read(  # noqa: PLR0917 - as `kept_hours.read`, and when holders were first told
    store: Store,
    ledger: Ledger,
    site: str,
    gpus: Sequence[GpuSeries],
    span: tuple[int, int],
    told_ms: Mapping[str, int],
) -> list[GpuHours]:
    """The hours of each of some GPUs over whole hours; all of them are in memory at once.

    ``told_ms``: when each agent first told of a holder, as `first_told` has it. Raises StoreError
    and LedgerError.
    """
    groups: defaultdict[tuple[str, str], list[_Asked]] = defaultdict(list)
    for one in (one for gpu in gpus for one in gpu.asked()):
        groups[one.series.quantity, one.name].append(one)
    found: dict[_Asked, Hourly] = {}
    for (quantity, _), some in groups.items():
        names = {one: f"{one.series.agent}/{one.series.resource}" for one in some}
        hours = await kept_hours.read(
            store,
            ledger,
            site,
            names.values(),
            span,
            GAP_MS,
            quantity=quantity,
            derived=some[0].derived,
        )
        found |= {one: _hourly(hours[name], span) for one, name in names.items()}
    return [_of(gpu, found, span, told_ms) for gpu in gpus]


def first_told(gpus: Sequence[GpuSeries], first_ms: Mapping[Series, int]) -> dict[str, int]:
    """When each agent first told who holds one of its GPUs; ``first_ms``: of each series."""
    found: dict[str, int] = {}
    for series in (one.series for gpu in gpus for one in gpu.told):
        if series in first_ms:
            known = found.get(series.agent, first_ms[series])
            found[series.agent] = min(known, first_ms[series])
    return found


def _hourly(hours: Hours, span: tuple[int, int]) -> Hourly:
    """Means by the hour: None where there is none, NaN where too little of it was measured."""
    first = span[0] // HOUR_MS
    found: list[float | None] = [None] * ((span[1] - span[0]) // HOUR_MS)
    for at, hour in hours.items():
        if 0 <= at - first < len(found):
            found[at - first] = hour.mean if hour.covered_ms >= MEASURED * HOUR_MS else math.nan
    return found


def _of(
    gpu: GpuSeries,
    found: Mapping[_Asked, Hourly],
    span: tuple[int, int],
    told_ms: Mapping[str, int],
) -> GpuHours:
    hours = (span[1] - span[0]) // HOUR_MS

    def known(one: _Asked | None) -> Hourly:
        if one is None:
            return [None] * hours
        return [None if part is None or math.isnan(part) else part for part in found[one]]

    busy, watts = known(gpu.activity), known(gpu.watts)
    heard = [one is not None or two is not None for one, two in zip(busy, watts, strict=True)]
    told = [found[one] for one in gpu.told]
    since = told_ms.get(gpu.told[0].series.agent, span[1]) if told else span[1]
    heard = [each and span[0] + at * HOUR_MS >= since for at, each in enumerate(heard)]
    return GpuHours(
        activity=[None if part is None else min(max(part, 0.0), 1.0) for part in busy],
        watts=watts,
        given=_given(told, heard) if told else None,
        memory_mib=[None if used is None else used * gpu.memory_mib for used in known(gpu.memory)],
    )


def _given(told: Sequence[Hourly], heard: Sequence[bool]) -> Hourly:
    """The part that was given away in each hour; None where that is not known.

    Nothing was given where the GPU was ``heard`` all hour, its agent told of holders by then, and
    of none in it: gateways say nothing of a GPU that nobody has.
    """
    found: list[float | None] = []
    for is_heard, *parts in zip(heard, *told, strict=True):
        some = [part for part in parts if part is not None]
        total = sum(some)
        if math.isnan(total):
            found.append(None)
        elif some:
            found.append(min(total, 1.0))
        else:
            found.append(0.0 if is_heard else None)
    return found
