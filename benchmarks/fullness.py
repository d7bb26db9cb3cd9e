"""Chances that a limit is reached, beside what came: real series, and days of two kinds."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from jauge_models.capacity.forecast import TooLittleHistory, forecast, needed_steps
from jauge_models.capacity.fullness import Limit, days_to_full

DAY_S: Final = 86_400.0
_HORIZONS: Final = (28, 90)
_ORIGINS: Final = 40
_RECENT: Final = 56
_LIMITS: Final = (0.8, 0.9, 1.0, 1.1, 1.25)
"""In parts of the highest of the days of `_RECENT`."""
_KNOWN_OF_DAY: Final = 12
_HISTORY: Final = 371
_KINDS: Final = 60
_AHEAD: Final = 150
_ABOVE: Final = (10.0, 30.0, 60.0, 100.0, 200.0, 400.0)


class Told(NamedTuple):
    """The chance that was told, and whether the limit was reached."""

    chance: float
    reached: bool


def highest(hours: Sequence[float | None]) -> list[float | None]:
    """The highest hour of each day, None where less than half of it is known."""
    days: list[float | None] = []
    for start in range(0, len(hours) - 23, 24):
        known = [hour for hour in hours[start : start + 24] if hour is not None]
        days.append(max(known) if len(known) >= _KNOWN_OF_DAY else None)
    return days


def of_series(series: Mapping[str, Sequence[float | None]]) -> list[Told]:
    """From rolling origins of real series, of limits around the highest of two months."""
    found: list[Told] = []
    for hours in series.values():
        days = highest(hours)
        for horizon in _HORIZONS:
            first = min(2 * needed_steps(horizon, (7,)), len(days) - horizon - 1)
            for origin in np.linspace(first, len(days) - horizon, _ORIGINS).astype(int):
                recent = [day for day in days[origin - _RECENT : origin] if day is not None]
                if recent:
                    limits = [part * max(recent) for part in _LIMITS]
                    found += _told(days[:origin], days[origin : origin + horizon], limits)
    return found


def of_two_kinds() -> list[Told]:
    """Days with a run and without one, in no order, on a line that rises or does not."""
    found: list[Told] = []
    for seed in range(_KINDS):
        chance = np.random.default_rng(1000 + seed)
        rise, often = (0.0, 0.2, 0.5, 1.0)[seed % 4], (0.5, 0.3, 0.15)[seed % 3]
        days: list[float | None] = [
            600 + rise * day + float(chance.normal(20, 5)) + (400 if chance.random() < often else 0)
            for day in range(_HISTORY + _AHEAD)
        ]
        past = days[:_HISTORY]
        top = max(day for day in past if day is not None)
        found += _told(past, days[_HISTORY:], [top + more for more in _ABOVE])
    return found


def _told(
    past: Sequence[float | None], came: Sequence[float | None], limits: Sequence[float]
) -> list[Told]:
    known = [day for day in came if day is not None]
    if 2 * len(known) < len(came):
        return []
    try:
        ahead = forecast(past, start_ms=0, step_s=DAY_S, horizon=len(came), seasons=(7,), least=0.0)
    except TooLittleHistory:
        return []
    last = next(day for day in reversed(past) if day is not None)
    return [
        Told(
            days_to_full({Limit.RACK_POWER: ahead}, {Limit.RACK_POWER: limit})[0].probability,
            max(known) >= limit,
        )
        for limit in limits
        if last < limit
    ]


def off(told: Sequence[Told]) -> float:
    """Mean square of how far chances were off (Brier): 0 for certainty that holds."""
    return statistics.fmean((one.chance - one.reached) ** 2 for one in told)


def off_by_mean(told: Sequence[Told]) -> float:
    """The same of one who tells everybody how often limits are reached, known in hindsight."""
    often = statistics.fmean(one.reached for one in told)
    return often * (1 - often)
