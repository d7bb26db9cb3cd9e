"""From when to when a GPU was in its node, by what was ever heard of it.

A GPU has the name that its maker gave it: one that is replaced is another, and the store remembers
both. Before its first reading a GPU was not there. After its last one it is not there either once
it is gone: another GPU of its node was first heard after it fell silent, or others of its node were
heard without it in `GONE_HOURS` hours since. One that fell silent with all the others (its agent
is down) is still there, and what it does is not known.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from jauge_models.resources import Series

from jauge_collector.capacity.gpu_hours import HOUR_MS, GpuHours, Hourly
from jauge_collector.capacity.gpu_places import Gpu
from jauge_collector.stores import Store

GONE_HOURS: Final = 24


class Life(NamedTuple):
    """The first and the last reading of a GPU or one of its parts, of whatever quantity."""

    first_ms: int
    last_ms: int


class Heard(NamedTuple):
    """When some GPUs were heard: each series first, each resource from when to when."""

    first_ms: Mapping[Series, int]
    lives: Mapping[tuple[str, str], Life]
    """By agent and resource."""

    def life(self, gpu: Gpu) -> Life | None:
        """Of a GPU with its parts; None where it was not heard yet."""
        names = ((gpu.agent, one) for one in (gpu.resource, *gpu.parts))
        own = [self.lives[name] for name in names if name in self.lives]
        if not own:
            return None
        return Life(min(one.first_ms for one in own), max(one.last_ms for one in own))


async def heard(
    store: Store, gpus: Iterable[Gpu], known: Iterable[Series], since_ms: int, now_ms: int
) -> Heard:
    """Of GPUs before ``now_ms``, by all that is ``known`` of them.

    The first reading of what was heard before ``since_ms`` is the last one before then: which one
    was the first of all costs the store much, and matters to no hour since. Raises StoreError.
    """
    names = {(gpu.agent, one) for gpu in gpus for one in (gpu.resource, *gpu.parts)}
    series = [one for one in known if (one.agent, one.resource) in names]
    last = await store.before(series, now_ms)
    first = await store.before(last, since_ms)
    first |= await store.after(last.keys() - first.keys(), since_ms)
    lives: dict[tuple[str, str], Life] = {}
    for one in last.keys() & first.keys():
        own = Life(first[one].time_ms, last[one].time_ms)
        known_life = lives.get((one.agent, one.resource), own)
        lives[one.agent, one.resource] = Life(
            min(own.first_ms, known_life.first_ms), max(own.last_ms, known_life.last_ms)
        )
    return Heard({one: first[one].time_ms for one in last if one in first}, lives)


def there(
    lives: Sequence[Life | None], own: Sequence[GpuHours], start_ms: int
) -> list[Sequence[bool]]:
    """Of each GPU of a node whether it was there, in each hour from ``start_ms`` on."""
    told = [_heard(one) for one in own]
    found: list[Sequence[bool]] = []
    for number, life in enumerate(lives):
        hours = len(told[number])
        if life is None:
            found.append([False] * hours)
            continue
        first, last = ((at - start_ms) // HOUR_MS for at in life)
        others = [one for at, one in enumerate(told) if at != number]
        without = sum(
            any(hour) for hour in zip(*(one[max(last + 1, 0) :] for one in others), strict=True)
        )
        replaced = any(one is not None and one.first_ms > life.last_ms for one in lives)
        gone = replaced or without >= GONE_HOURS
        found.append([first <= at and not (gone and at > last) for at in range(hours)])
    return found


def _heard(one: GpuHours) -> Sequence[bool]:
    every: Sequence[Hourly] = (one.activity, one.watts, one.given or one.activity, one.memory_mib)
    return [any(value is not None for value in hour) for hour in zip(*every, strict=True)]
