"""What use comes to if it goes on as it did: its forecast, and when each limit is reached."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from jauge_models.capacity.forecast import Forecast, forecast, longest_horizon
from jauge_models.capacity.fullness import Fullness, Limit, days_to_full
from jauge_models.capacity.history import LATELY, TooLittleHistory

_HOURS_AHEAD: Final = 28 * 24
_DAYS_AHEAD: Final = 365
_SEASONS: Final = (24, 168)
_SEASONS_OF_DAYS: Final = (7,)
_KNOWN_OF_DAY: Final = 12
"""Hours of a day that have to be known for its highest to count."""


class Counted(StrEnum):
    """What was counted as used, hour by hour."""

    GIVEN = "given"
    """What somebody had: GPUs, and the part of their memory that went with them."""
    AT_WORK = "at_work"
    """GPUs that were at work, where nothing tells of holders."""
    MEMORY_USED = "memory_used"
    """GPU memory in use, where nothing tells of holders."""
    MIXED = "mixed"
    """Of some nodes the one, of others the other."""
    DRAWN = "drawn"
    """Mean power of the hour; peaks within it are higher."""


class Measure(StrEnum):
    """What is forecast of a pool beside its GPUs and memory; it has no limit."""

    ACTIVITY = "activity"
    """Mean of the pool's GPUs, 0 to 1."""
    POWER = "power"
    """W of the pool's nodes together."""


class PoolHistory(msgspec.Struct, frozen=True, kw_only=True):
    """Hours of a pool, which is all GPUs of a kind with their nodes; None where not known."""

    pool: str
    measure: Measure
    start_ms: int
    values: tuple[float | None, ...]


class UseHistory(msgspec.Struct, frozen=True, kw_only=True):
    """Hours of the use of one limit, in order of time; None where not known.

    ``place``: kind of GPU, rack, breaker or room, "" for all of them. ``values`` and ``of`` in
    GPUs, MiB or W; ``of`` None: no limit is declared. ``start_ms``: of the first hour; days are 24
    hours each, counted from it, whatever the clocks do.
    """

    limit: Limit
    place: str = ""
    start_ms: int
    values: tuple[float | None, ...]
    of: float | None = None
    counted: Counted = Counted.DRAWN


class TooLittle(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing is said: ``have`` of the ``needed`` steps; ``missing`` as in ``history``."""

    missing: str
    have: int
    needed: int


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """The hours that come, and when the limit is reached.

    ``hours``: at most four weeks, or None and ``too_little``; neither of a breaker, which follows
    its rack. ``full``: by each day's highest hour; None where no limit is declared or days are too
    few, or the last ones not known, which ``too_few_days`` says then.
    """

    limit: Limit
    place: str
    hours: Forecast | None
    too_little: TooLittle | None = None
    full: Fullness | None = None
    too_few_days: TooLittle | None = None
    counted: Counted = Counted.DRAWN


class PoolOutlook(msgspec.Struct, frozen=True, kw_only=True):
    """The hours of a pool that come, at most four weeks, or None and ``too_little``."""

    pool: str
    measure: Measure
    hours: Forecast | None
    too_little: TooLittle | None = None


def pool_outlook(past: PoolHistory) -> PoolOutlook:
    """What comes after this history."""
    most = 1.0 if past.measure is Measure.ACTIVITY else None
    hours = _hours(past.values, past.start_ms, most)
    return PoolOutlook(
        pool=past.pool,
        measure=past.measure,
        hours=hours if isinstance(hours, Forecast) else None,
        too_little=hours if isinstance(hours, TooLittle) else None,
    )


def outlook(past: UseHistory) -> Outlook:
    """What comes after this history."""
    hours: Forecast | TooLittle | None = None
    if past.limit is not Limit.BREAKER:
        # Of GPUs and memory nobody has more than there are; power goes where it goes.
        there = past.of if past.limit in {Limit.GPUS, Limit.GPU_MEMORY} else None
        hours = _hours(past.values, past.start_ms, there)
    full: Fullness | TooLittle | None = None
    if past.of is not None:
        days = _ahead(_highest(past.values), past.start_ms, 86400.0, _DAYS_AHEAD, _SEASONS_OF_DAYS)
        full = (
            days_to_full({past.limit: days}, {past.limit: past.of})[0]
            if isinstance(days, Forecast)
            else days
        )
    return Outlook(
        limit=past.limit,
        place=past.place,
        hours=hours if isinstance(hours, Forecast) else None,
        too_little=hours if isinstance(hours, TooLittle) else None,
        full=full if isinstance(full, Fullness) else None,
        too_few_days=full if isinstance(full, TooLittle) else None,
        counted=past.counted,
    )


def _hours(
    values: Sequence[float | None], start_ms: int, highest: float | None
) -> Forecast | TooLittle:
    found = _ahead(values, start_ms, 3600.0, _HOURS_AHEAD, _SEASONS, highest=highest)
    # Paths are what fullness draws from, and of no use to a reader.
    return msgspec.structs.replace(found, paths=()) if isinstance(found, Forecast) else found


def _ahead(
    values: Sequence[float | None],
    start_ms: int,
    step_s: float,
    most: int,
    seasons: Sequence[int],
    *,
    highest: float | None = None,
) -> Forecast | TooLittle:
    """As far ahead as the history allows a forecast to be tested, at most ``most`` steps."""
    horizon = max(1, min(most, longest_horizon(len(values), seasons)))
    while True:
        try:
            return forecast(
                values,
                start_ms=start_ms,
                step_s=step_s,
                horizon=horizon,
                seasons=seasons,
                least=0.0,
                most=highest,
            )
        except TooLittleHistory as error:
            if horizon == 1 or error.missing == LATELY:
                return TooLittle(missing=error.missing, have=error.have, needed=error.needed)
        # Gaps leave less to test with than the length of the history promises.
        horizon = max(1, horizon * 3 // 4)


def _highest(values: Sequence[float | None]) -> list[float | None]:
    """The highest hour of each whole day, None where too little of it is known."""
    days: list[float | None] = []
    for start in range(0, len(values) - 23, 24):
        known = [value for value in values[start : start + 24] if value is not None]
        days.append(max(known) if len(known) >= _KNOWN_OF_DAY else None)
    return days
