"""Families of /metrics about GPU capacity; see `jauge_models.site_metrics`.

What is not known has no sample. Places are those of the plant file, so that there are few.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from jauge_models.capacity.fullness import Limit
from jauge_models.capacity.history import TooLittleHistory
from jauge_models.capacity.inventory import Plant
from jauge_models.capacity.limit_use import breaker_name
from jauge_models.capacity.outlook import UseHistory
from jauge_models.capacity.power_curves import planned_w
from jauge_models.capacity.siting import rack_loads

from jauge_collector.capacity.past import WEEKS
from jauge_collector.capacity.planning import Known
from jauge_collector.site_families import Families
from jauge_collector.telemetry import Sample

_DAY_S: Final = 86_400.0
_LATEST_H: Final = WEEKS * 7 * 24
_NOW_H: Final = 24
"""What was known longer ago does not tell how many are used."""


def of_capacity(site: str, known: Known) -> Families:
    """The samples of one site."""
    name = {"site": site}
    plant = known.declared.plant
    chances: list[Sample] = []
    times: list[Sample] = []
    horizons: list[Sample] = []
    skills: list[Sample] = []
    for one in known.outlook:
        full = one.full
        if full is None:
            continue
        labels = name | {"limit": one.limit.value, "place": one.place}
        chances.append(Sample(labels, full.probability))
        horizons.append(Sample(labels, full.horizon_days * _DAY_S))
        if full.skill is not None:
            skills.append(Sample(labels, full.skill))
        for chance, days in (("0.1", full.days_10), ("0.5", full.days_50), ("0.9", full.days_90)):
            if days is not None:
                times.append(Sample(labels | {"chance": chance}, days * _DAY_S))
    return {
        "jauge_capacity_gpus": [
            Sample(name | {"gpu": gpu}, number) for gpu, number in _gpus(plant).items()
        ],
        "jauge_capacity_gpus_used": [
            Sample(name | {"gpu": use.place}, last)
            for use in known.uses
            if use.limit is Limit.GPUS and (last := _last(use.values)) is not None
        ],
        "jauge_capacity_used_ratio": [
            Sample(name | {"limit": limit.value, "place": place}, share)
            for limit, place, share in shares(plant, known.uses)
        ],
        "jauge_capacity_full_probability_ratio": chances,
        "jauge_capacity_full_horizon_seconds": horizons,
        "jauge_capacity_full_seconds": times,
        "jauge_capacity_forecast_skill_ratio": skills,
        "jauge_capacity_timestamp_seconds": [Sample(name, known.at_ms / 1000)],
    }


def _gpus(plant: Plant) -> Mapping[str, int]:
    kinds = {kind.name: kind for kind in plant.kinds}
    found: dict[str, int] = {}
    for node in plant.nodes:
        kind = kinds[node.kind]
        if kind.gpu:
            found[kind.gpu] = found.get(kind.gpu, 0) + kind.gpus
    return found


def _last(values: Sequence[float | None]) -> float | None:
    return next((value for value in reversed(values[-_NOW_H:]) if value is not None), None)


def shares(plant: Plant, uses: Sequence[UseHistory]) -> Iterator[tuple[Limit, str, float]]:
    """Used part of each limit that is declared and of which something is known.

    Power, GPUs and their memory by the 95th percentile of the latest hours that curves are learnt
    from; a breaker not by what was measured but by the most that its nodes draw, the worst of all
    feeds standing and each one lost.
    """
    for use in uses:
        if use.of and use.limit is not Limit.BREAKER:
            try:
                yield use.limit, use.place, planned_w(use.values[-_LATEST_H:]).p95 / use.of
            except TooLittleHistory:
                continue
    kinds = {kind.name: kind for kind in plant.kinds}
    for rack in plant.racks:
        feeds = sorted({supply.feed for supply in rack.supplies})
        loads = [rack_loads(plant, rack, lost) for lost in (None, *feeds)]
        nodes = [node for node in plant.nodes if node.rack == rack.name and node.supplies]
        if any(kinds[node.kind].most_w is None for node in nodes):
            continue  # what the others draw is less than what the breaker bears
        for supply in rack.supplies:
            worst = max((load[supply.name] for load in loads if supply.name in load), default=0.0)
            yield Limit.BREAKER, breaker_name(rack.name, supply.name), worst / supply.watts
