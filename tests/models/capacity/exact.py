"""The most that fits, by trying everything: a measure of what placement misses on small cases."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec
from jauge_models.capacity.inventory import WHOLE, Plant
from jauge_models.capacity.workloads import Place, Workload

from tests.models.capacity.limits_kept import broken_limits

MOST: Final = 12
"""Workloads that can be tried in every way."""


def most_milli(
    plant: Plant, workloads: Sequence[Workload], *, idle_w: Mapping[str, float] | None = None
) -> int:
    """The most thousandths of GPUs that any choice and placing of these workloads reaches.

    Branch and bound: what cannot beat the best so far is cut off, and of places that lead to equal
    states one is followed. Raises ValueError for more than MOST workloads.
    """
    if len(workloads) > MOST:
        raise ValueError(f"{len(workloads)} workloads; in every way only {MOST} can be tried")
    # Workloads without a GPU only take room away; leaving them out loses nothing.
    order = sorted((one for one in workloads if one.gpus), key=lambda one: -one.milli)
    rest = [0]
    for workload in reversed(order):
        rest.append(rest[-1] + workload.milli)
    rest.reverse()
    kinds = {kind.name: kind for kind in plant.kinds}
    most = min(rest[0], WHOLE * sum(kinds[node.kind].gpus for node in plant.nodes))
    best = 0
    seen: set[tuple[int, str]] = set()

    def follow(at: int, placed: tuple[tuple[Workload, Place], ...], milli: int) -> None:
        nonlocal best
        best = max(best, milli)
        if at == len(order) or best >= most or milli + rest[at] <= best:
            return
        state = (at, _state(plant, placed))
        if state in seen:
            return
        seen.add(state)
        for place in _places(plant, order[at], placed):
            there = (*placed, (order[at], place))
            if not broken_limits(plant, there, idle_w=idle_w):
                follow(at + 1, there, milli + order[at].milli)
        follow(at + 1, placed, milli)

    follow(0, (), 0)
    return best


def _state(plant: Plant, placed: tuple[tuple[Workload, Place], ...]) -> str:
    """Equal for placings that leave the same room, but for names of like nodes and GPUs."""
    of: dict[str, dict[int, list[str]]] = {}
    for workload, place in placed:
        like = repr(msgspec.structs.replace(workload, id="", gpu_kinds=()))
        of.setdefault(place.node, {}).setdefault(place.gpus[0], []).append(like)
        for gpu in place.gpus[1:]:
            of[place.node].setdefault(gpu, []).append("with another")
    return repr(
        sorted(
            (
                node.kind,
                node.rack,
                node.supplies,
                sorted(sorted(one) for one in of.get(node.name, {}).values()),
            )
            for node in plant.nodes
        )
    )


def _places(
    plant: Plant, workload: Workload, placed: tuple[tuple[Workload, Place], ...]
) -> Iterator[Place]:
    """Every place that is not out of the question: of GPUs nobody is on, the first ones."""
    kinds = {kind.name: kind for kind in plant.kinds}
    used: dict[str, set[int]] = {}
    for _, place in placed:
        used.setdefault(place.node, set()).update(place.gpus)
    for node in plant.nodes:
        on = used.get(node.name, set())
        empty = [gpu for gpu in range(kinds[node.kind].gpus) if gpu not in on]
        if workload.gpus == 1:
            yield from (Place(node.name, (gpu,)) for gpu in (*empty[:1], *sorted(on)))
        elif len(empty) >= workload.gpus:
            yield Place(node.name, tuple(empty[: workload.gpus]))
