"""Another plant: kinds retired, capped, added; and what that changes.

In this order, so that nodes may be replaced in the racks that others leave. What a cap does to the
speed of work is not known here: runs keep their hours, and whoever answers says so.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from jauge_models.capacity.inventory import NodeKind, Plant
from jauge_models.capacity.node_draw import NodeDraw
from jauge_models.capacity.outcome import Energy, Outcome
from jauge_models.capacity.scenario import Addition, WhatIf
from jauge_models.capacity.siting import Unknown, enlarged, site_nodes
from jauge_models.capacity.workloads import Obstacle


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """What became of nodes to add. ``racks``: how many each takes."""

    kind: str
    number: int
    placed: int
    racks: Mapping[str, int]
    obstacles: tuple[tuple[Obstacle, int], ...] = ()
    """How many racks each kept the next node out of, worst first."""
    unknown: tuple[Unknown, ...] = ()
    """What nobody declared of those racks, so that it could not limit."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What an option does to the plant. ``retired``, ``capped``: nodes of each kind."""

    retired: Mapping[str, int]
    capped: Mapping[str, int]
    added: tuple[Added, ...]


class Changed(NamedTuple):
    """The other plant, what its nodes draw, and how it came about."""

    plant: Plant
    draws: Mapping[str, NodeDraw]
    change: Change


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """An option less the plant as it is, a year; None where either is not known.

    ``placed_hours``: instance-hours of each workload, over the horizon.
    """

    it_kwh: float | None
    site_kwh: float | None
    co2e_kg: float | None
    water_m3: float | None
    euros: float | None
    gpus: int
    placed_hours: Mapping[str, int]


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """What binds first.

    Of nodes that found no rack the obstacle that kept most racks closed, of workloads without a
    place the one that stopped most, else the limit nearest to full.

    ``code``: an Obstacle's or a Limit's value. ``share``: used part of the limit, None for an
    obstacle. ``place``: where, "" for an obstacle.
    """

    refused: bool
    code: str
    place: str = ""
    share: float | None = None


def changed(plant: Plant, draws: Mapping[str, NodeDraw], option: WhatIf) -> Changed:
    """The plant of an option. Raises KeyError for a kind that the plant does not know."""
    retired = {
        kind: sum(node.kind == kind for node in plant.nodes) for kind in sorted(option.retire)
    }
    nodes = tuple(node for node in plant.nodes if node.kind not in retired)
    kinds, drawn = list(plant.kinds), dict(draws)
    for cap in option.cap:
        kinds = [_capped(kind, cap.watts) if kind.name == cap.kind else kind for kind in kinds]
        if cap.kind in drawn:
            drawn[cap.kind] = drawn[cap.kind].capped(cap.watts)
    now = msgspec.structs.replace(plant, kinds=tuple(kinds), nodes=nodes)
    capped = {cap.kind: sum(node.kind == cap.kind for node in nodes) for cap in option.cap}
    added: list[Added] = []
    by_name = {kind.name: kind for kind in kinds}
    for one in option.add:
        now, what = _with_nodes(now, by_name[one.kind], one, drawn)
        added.append(what)
    return Changed(now, drawn, Change(retired=retired, capped=capped, added=tuple(added)))


def _with_nodes(
    plant: Plant, kind: NodeKind, add: Addition, draws: Mapping[str, NodeDraw]
) -> tuple[Plant, Added]:
    """Racks and cooling count with every node at its full 95th percentile."""
    full_w = {name: draw.full_high_w for name, draw in draws.items()}
    siting = site_nodes(
        plant,
        kind,
        add.number,
        heat_w=full_w.get(kind.name, kind.most_w or 0.0),
        drawn_w=full_w,
        racks=add.racks,
        units=add.units,
    )
    return enlarged(plant, kind, siting, add.units), Added(
        kind=kind.name,
        number=add.number,
        placed=siting.placed,
        racks=siting.racks,
        obstacles=siting.obstacles,
        unknown=siting.unknown,
    )


def _capped(kind: NodeKind, watts: float) -> NodeKind:
    least = watts if kind.cap_w is None else min(kind.cap_w, watts)
    return msgspec.structs.replace(kind, cap_w=least)


def difference(option: Outcome, base: Outcome) -> Difference:
    """What an option changes in the figures."""
    before = {service.id: service.placed_hours for service in base.services}
    return Difference(
        it_kwh=_less(option.energy, base.energy, "it_kwh"),
        site_kwh=_less(option.energy, base.energy, "site_kwh"),
        co2e_kg=_less(option.energy, base.energy, "co2e_kg"),
        water_m3=_less(option.energy, base.energy, "water_m3"),
        euros=_less(option.energy, base.energy, "euros"),
        gpus=option.gpus - base.gpus,
        placed_hours={
            service.id: service.placed_hours - before.get(service.id, 0)
            for service in option.services
        },
    )


def _less(option: Energy, base: Energy, name: str) -> float | None:
    a, b = getattr(option, name), getattr(base, name)
    return None if a is None or b is None else a.value - b.value


def binding(found: Outcome, added: Sequence[Added] = ()) -> Binding | None:
    """What binds first; None where nothing is limited. ``added``: the option's nodes to add."""
    for one in added:
        if one.placed < one.number and one.obstacles:
            return Binding(refused=True, code=one.obstacles[0][0].value)
    stopped: dict[Obstacle, int] = {}
    for service in found.services:
        for obstacle, number in service.obstacles:
            # A node of another kind stops nothing that another kind could have taken.
            if obstacle is not Obstacle.GPU_KIND:
                stopped[obstacle] = stopped.get(obstacle, 0) + number
    if not found.fits:
        worst = max(stopped, key=lambda one: stopped[one], default=Obstacle.GPU_KIND)
        return Binding(refused=True, code=worst.value)
    nearest = found.nearest
    if nearest is None:
        return None
    return Binding(
        refused=False, code=nearest.limit.value, place=nearest.place, share=nearest.share
    )
