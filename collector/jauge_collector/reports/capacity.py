"""GPU capacity in the quarterly report: what was measured of a declared plant, and no scenario."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final

import msgspec
from jauge_models.capacity.fullness import Limit
from jauge_models.capacity.idle_gpus import idle_gpus
from jauge_models.capacity.inventory import Plant
from jauge_models.capacity.outcome import Figures
from jauge_models.capacity.outlook import (
    Outlook,
    PoolOutlook,
    UseHistory,
    outlook,
    pool_outlook,
)
from jauge_models.configuration import ConfigurationError

from jauge_collector import civil
from jauge_collector.capacity import closed_past
from jauge_collector.capacity.families import shares
from jauge_collector.capacity.gpu_hours import HOUR_MS
from jauge_collector.capacity.measured_tables import AHEAD
from jauge_collector.capacity.outlooks import pools, uses
from jauge_collector.capacity.past import Past, Progress
from jauge_collector.capacity.planning import plant_of
from jauge_collector.compliance.sources import Sources
from jauge_collector.reports.content import (
    Capacity,
    CapacityGap,
    CapacityLimit,
    CapacityPool,
    GpusIdle,
    GpusUsed,
)

_BELOW: Final = 0.05
"""Activity under which a GPU is idle."""
_LIMITS: Final = 15


async def capacity(
    sources: Sources, span: tuple[int, int], now_ms: int, *, progress: Progress | None = None
) -> Capacity | None:
    """Of the quarter [start, end) of a site; None where it declares no plant.

    Of a quarter that still runs up to the last local midnight. A plant that cannot be used is
    told in ``problem``, and stops no report. Raises LedgerError, StoreError, and ConfigurationError
    where an archive is not what was kept.
    """
    site = sources.site
    if site.capacity.plant is None:
        return None
    start_ms = span[0]
    end_ms = max(start_ms, min(span[1], civil.midnight_ms(civil.day(now_ms, site.zone), site.zone)))
    try:
        declared = plant_of(site, end_ms)
    except ConfigurationError as error:
        return Capacity(problem=_line(error, sources))
    measured = await closed_past.of_quarter(sources, declared, span, end_ms, progress=progress)
    plant, histories = declared.plant, tuple(uses(declared.plant, measured))
    ahead = await asyncio.to_thread(lambda: list(map(outlook, histories)))
    of_pools = await asyncio.to_thread(lambda: list(map(pool_outlook, pools(plant, measured))))
    limits = _limits(plant, histories, ahead)
    return Capacity(
        gpus=tuple(_gpus(plant, histories, (start_ms, end_ms))),
        idle=_idle(measured, start_ms),
        limits=tuple(limits[:_LIMITS]),
        limits_left_out=max(0, len(limits) - _LIMITS),
        pools=tuple(_pools(ahead, of_pools)),
        unknown=tuple(_unknown(plant, measured, start_ms)),
    )


def _line(error: ConfigurationError, sources: Sources) -> str:
    """The error without the folder that the site lies in: it does not matter where files lie."""
    return " ".join(str(error).replace(f"{sources.site.file.parent}/", "").split())


def _gpus(
    plant: Plant, histories: Sequence[UseHistory], span: tuple[int, int]
) -> Iterator[GpusUsed]:
    hours = (span[1] - span[0]) // HOUR_MS
    kinds = {kind.name: kind for kind in plant.kinds}
    numbers: dict[str, int] = {}
    for node in plant.nodes:
        kind = kinds[node.kind]
        if kind.gpu:
            numbers[kind.gpu] = numbers.get(kind.gpu, 0) + kind.gpus
    used = {one.place: one for one in histories if one.limit is Limit.GPUS}
    for gpu, number in numbers.items():
        values = used[gpu].values[-hours:] if hours and gpu in used else ()
        known = [value for value in values if value is not None]
        yield GpusUsed(
            gpu=gpu,
            number=number,
            used=sum(known) / len(known) if known else None,
            coverage=len(known) / hours if hours else 0.0,
        )


def _idle(measured: Past, start_ms: int) -> GpusIdle | None:
    first = (start_ms - measured.start_ms) // HOUR_MS
    found = idle_gpus(
        (
            msgspec.structs.replace(
                one,
                activity=one.activity[first:],
                watts=one.watts[first:],
                held=one.held[first:],
            )
            for one in measured.history.gpus
        ),
        below=_BELOW,
        figures=Figures(),
    )
    if not found.hours:
        return None
    return GpusIdle(
        below=found.below,
        hours=found.hours,
        idle_hours=found.idle_hours,
        unmeasured_hours=found.unmeasured_hours,
        kwh=found.kwh,
    )


def _limits(
    plant: Plant, histories: Sequence[UseHistory], ahead: Sequence[Outlook]
) -> list[CapacityLimit]:
    """Every limit of which something is known, the nearest first."""
    used = {(limit, place): share for limit, place, share in shares(plant, histories)}
    full = {(one.limit, one.place): one for one in ahead}
    keys = [key for key, one in full.items() if one.full is not None or key in used]
    found = [
        _limit(limit, place, used.get((limit, place)), full.get((limit, place)))
        for limit, place in dict.fromkeys([*keys, *used])
    ]
    return sorted(found, key=_nearness)


def _limit(limit: Limit, place: str, used: float | None, ahead: Outlook | None) -> CapacityLimit:
    told = CapacityLimit(limit=limit.value, place=place, used=used)
    if ahead is None or ahead.full is None:
        return told
    full = ahead.full
    return msgspec.structs.replace(
        told,
        probability=full.probability,
        days_10=full.days_10,
        days_50=full.days_50,
        days_90=full.days_90,
        horizon_days=full.horizon_days,
        method=full.method,
        skill=full.skill,
        counted=ahead.counted.value,
    )


def _pools(ahead: Sequence[Outlook], of_pools: Sequence[PoolOutlook]) -> Iterator[CapacityPool]:
    every = [
        *(
            (one.place, one.limit.value, one.hours, one.too_little)
            for one in ahead
            if one.limit in {Limit.GPUS, Limit.GPU_MEMORY}
        ),
        *((one.pool, one.measure.value, one.hours, one.too_little) for one in of_pools),
    ]
    for gpu, what, hours, too_little in sorted(every, key=lambda one: one[0]):
        told = CapacityPool(gpu=gpu, what=what)
        if hours is not None:
            told = msgspec.structs.replace(
                told,
                last=hours.last,
                method=hours.method,
                skill=hours.skill,
                **{
                    name: (hours.middle[at - 1], hours.lower[at - 1], hours.upper[at - 1])
                    for name, at in AHEAD.items()
                    if at <= len(hours.middle)
                },
            )
        elif too_little is not None:
            told = msgspec.structs.replace(told, have=too_little.have, needed=too_little.needed)
        yield told


def _nearness(one: CapacityLimit) -> tuple[float, float, float, str, str]:
    days = float("inf") if one.days_50 is None else one.days_50
    return -(one.probability or 0.0), days, -(one.used or 0.0), one.limit, one.place


def _unknown(plant: Plant, measured: Past, start_ms: int) -> Iterator[CapacityGap]:
    kinds = {kind.name: kind for kind in plant.kinds}
    first = max(0, (start_ms - measured.power_start_ms) // HOUR_MS)
    since = max(0, (start_ms - measured.start_ms) // HOUR_MS)
    told: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for one in measured.history.gpus:
        pairs = zip_longest(one.activity[since:], one.held[since:])
        told[one.node].update(at for at, pair in enumerate(pairs) if pair != (None, None))
    # Most of them at once, so that one that was replaced in the quarter is not one too many.
    most = {name: max(hours.values(), default=0) for name, hours in told.items()}
    used = {kinds[node.kind].name for node in plant.nodes}
    for code, names in (
        ("gpus", (n.name for n in plant.nodes if kinds[n.kind].gpus != most.get(n.name, 0))),
        (
            "power",
            (
                name
                for name, watts in measured.node_w.items()
                if all(one is None for one in watts[first:])
            ),
        ),
        ("most", (name for name in kinds if name in used and kinds[name].most_w is None)),
        ("rack", (rack.name for rack in plant.racks if rack.power_w is None)),
        ("breaker", (rack.name for rack in plant.racks if not rack.supplies)),
        ("room", (room.name for room in plant.rooms if room.cooling_w is None)),
    ):
        if some := tuple(names):
            yield CapacityGap(code=code, names=some)
