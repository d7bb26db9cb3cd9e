"""When it is full, and of what: the paths of the forecast, played out many times.

Each draw is one whole path of what may come, so that what lasts for weeks does so in the draws too.
The draws are those of a seed: the same question has the same answer.
"""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec
import numpy as np

from jauge_models.capacity.forecast import Forecast

DRAWS: Final = 2000
_DAY_S: Final = 86400.0


class Limit(StrEnum):
    """What a room of GPU servers can be full of."""

    GPUS = "gpus"
    GPU_MEMORY = "gpu_memory"
    RACK_POWER = "rack_power"
    BREAKER = "breaker"
    ROOM_COOLING = "room_cooling"


class Fullness(msgspec.Struct, frozen=True, kw_only=True):
    """When one limit is reached for the first time, in days from the end of the history.

    ``days_10``: one chance in ten that it is reached by then; ``days_50`` and ``days_90`` alike;
    None where that is not so within the horizon. A limit that was reached in the last day has 0;
    what was longer ago is not now.
    """

    limit: Limit
    of: float
    """The limit, in the unit of its forecast."""
    days_10: float | None
    days_50: float | None
    days_90: float | None
    probability: float
    """That it is reached within ``horizon_days``, by the share of draws."""
    horizon_days: float
    method: str
    skill: float | None
    """Of the forecast behind it; None: it is the seasonal-naive one, and knows no better. The paths
    are also those of methods that the back-test cannot tell from it."""


def days_to_full(
    forecasts: Mapping[Limit, Forecast],
    limits: Mapping[Limit, float],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[Fullness, ...]:
    """Each limit that has a forecast, the likeliest first; a limit without one is left out.

    Give forecasts of peaks, e.g. of each day's highest hour: a mean is full later than what it is
    the mean of. Raises ValueError for a forecast that kept no paths, and for less than one draw.
    """
    if draws < 1:
        raise ValueError("at least one draw is needed")
    found = [
        _fullness(limit, forecasts[limit], most, draws, np.random.default_rng(seed))
        for limit, most in limits.items()
        if limit in forecasts
    ]
    return tuple(
        sorted(
            found,
            key=lambda f: (
                -f.probability,
                math.inf if f.days_50 is None else f.days_50,
                math.inf if f.days_10 is None else f.days_10,
            ),
        )
    )


def _fullness(
    limit: Limit, ahead: Forecast, most: float, draws: int, chance: np.random.Generator
) -> Fullness:
    if not ahead.paths:
        raise ValueError(f"the forecast of {limit} kept no paths to draw from")
    paths = np.array(ahead.paths)
    full = paths[chance.integers(len(paths), size=draws)] >= most
    steps = np.where(full.any(axis=1), full.argmax(axis=1).astype(np.float64), np.inf)
    if ahead.last is not None and ahead.last >= most:
        steps[:] = 0.0
    steps.sort()

    def within(part: float) -> float | None:
        step = float(steps[math.ceil(part * draws) - 1])
        return step * ahead.step_s / _DAY_S if math.isfinite(step) else None

    return Fullness(
        limit=limit,
        of=most,
        days_10=within(0.1),
        days_50=within(0.5),
        days_90=within(0.9),
        probability=float(np.mean(np.isfinite(steps))),
        horizon_days=len(ahead.middle) * ahead.step_s / _DAY_S,
        method=ahead.method,
        skill=ahead.skill,
    )
