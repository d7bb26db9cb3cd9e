"""What comes: a forecast with its interval, shown with its skill or not shown at all.

The method is the one that would have been best on this very series (``back_test``). Where none is
better than the last season once more, it is that one, and ``reason`` says so. Where the past is
too short to tell, TooLittleHistory is raised. docs/capacity.md has the figures on real series.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec
import numpy as np

from jauge_models.capacity import back_test
from jauge_models.capacity.forecast_methods import Array
from jauge_models.capacity.forecast_paths import paths
from jauge_models.capacity.history import LATELY, SAMPLES, TooLittleHistory

__all__ = ["Forecast", "Reason", "TooLittleHistory", "forecast", "longest_horizon", "needed_steps"]

_LEAST_SKILL: Final = 0.02
"""Less than that is luck."""
_KNOWN: Final = 0.5
"""Part of the steps needed that has to be known."""
_DAY_S: Final = 86400.0


class Reason(StrEnum):
    """Why this method; texts are the reader's."""

    SKILL = "skill"
    """It would have been nearer than the seasonal-naive forecast."""
    NO_SKILL = "no_skill"
    """None would have been nearer than the seasonal-naive forecast, which this is."""
    REPEATS = "repeats"
    """The series repeats itself, so that the seasonal-naive forecast, which this is, never
    missed."""


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What comes at each of the next steps, in the unit of the series."""

    start_ms: int
    """Of the first step that is not history any more; ms since 1970-01-01 UTC."""
    step_s: float
    middle: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    level: float = back_test.LEVEL
    """Part of what comes that should lie from ``lower`` to ``upper``."""
    method: str
    """One of the names in ``forecast_methods``."""
    season: int | None = None
    """Its season in steps, where it goes by one."""
    skill: float | None
    """1 − mean absolute error / that of the seasonal-naive forecast, of origins that did not
    choose; None where the method is the seasonal-naive one itself."""
    coverage: float
    """Part of what came that lay within the interval, in the back-test."""
    error: float
    """Mean absolute error in the back-test, and of the seasonal-naive forecast."""
    naive_error: float
    origins: int
    """How many times it was tested."""
    reason: Reason
    last: float | None
    """The last known value of the last day (24 h, or the last step where that is longer); None
    where nothing of it is known."""
    paths: tuple[tuple[float, ...], ...] = ()
    """Whole paths that may come (``forecast_paths``): what ``fullness`` draws from."""


def needed_steps(horizon: int, seasons: Sequence[int]) -> int:
    """Steps of history without which nothing is said: two seasons, and twice the horizon."""
    return back_test.first_origin(seasons) + 2 * horizon + 2 * back_test.LEAST_ORIGINS


def longest_horizon(steps: int, seasons: Sequence[int]) -> int:
    """The steps ahead that so long a history lets one say something of; 0 where none."""
    return max(0, (steps - needed_steps(0, seasons)) // 2)


def forecast(
    values: Sequence[float | None],
    *,
    start_ms: int,
    step_s: float,
    horizon: int,
    seasons: Sequence[int],
    least: float | None = None,
    most: float | None = None,
) -> Forecast:
    """The next ``horizon`` steps of ``step_s`` seconds.

    ``values``: the history, oldest first, None where not known; the first begins at ``start_ms``.
    ``seasons``: their lengths in steps, e.g. (24, 168) for hours. ``least`` and ``most``: what the
    series cannot go beyond (power is not below 0, nor allocation above what is there); known to
    the caller, never guessed. Raises TooLittleHistory below ``needed_steps``, where less than half
    of them is known, and (LATELY) where nothing of the last of the longest season is; ValueError
    for arguments that cannot be.
    """
    if horizon < 1 or not seasons or min(seasons) < 1 or not step_s > 0:
        raise ValueError("horizon, seasons and step_s must be above zero")
    series = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    if np.isinf(series).any():
        raise ValueError("a value is infinite")
    known = np.flatnonzero(~np.isnan(series))
    first = int(known[0]) if len(known) else len(series)
    series = series[first:]
    needed = needed_steps(horizon, seasons)
    if len(series) < needed or len(known) < _KNOWN * needed:
        raise _too_little(min(len(series), len(known)), needed)
    if np.isnan(series[-max(seasons) :]).all():
        raise TooLittleHistory(LATELY, have=0, needed=max(seasons), what="last steps of history")
    trial = back_test.tried(series, horizon, seasons)
    tested = None if trial is None else back_test.judged(trial, horizon, naive_only=False)
    if trial is None or tested is None:
        raise _too_little(len(known), needed)
    reason = Reason.SKILL
    if tested.skill < _LEAST_SKILL or tested.chosen == tested.naive:
        naive = back_test.judged(trial, horizon, naive_only=True)
        tested = naive if naive is not None else tested
        reason = Reason.NO_SKILL if tested.naive_error > 0 else Reason.REPEATS
    said = back_test.said(series, horizon, seasons)
    middle = said[tested.chosen]

    def bounded(path: Array) -> tuple[float, ...]:
        low = -np.inf if least is None else least
        high = np.inf if most is None else most
        return tuple(np.clip(path, low, high).tolist())

    return Forecast(
        start_ms=start_ms + round((first + len(series)) * step_s * 1000),
        step_s=step_s,
        middle=bounded(middle),
        lower=bounded(middle + tested.low),
        upper=bounded(middle + tested.high),
        method=tested.chosen.method,
        season=tested.chosen.season,
        skill=tested.skill if reason is Reason.SKILL else None,
        coverage=tested.coverage,
        error=tested.error,
        naive_error=tested.naive_error,
        origins=tested.origins,
        reason=reason,
        last=_last(series[-max(1, round(_DAY_S / step_s)) :]),
        paths=tuple(map(tuple, paths(trial, series, said, tested.chosen, max(seasons)).tolist())),
    )


def _last(values: Array) -> float | None:
    known = values[~np.isnan(values)]
    return float(known[-1]) if len(known) else None


def _too_little(have: int, needed: int) -> TooLittleHistory:
    return TooLittleHistory(SAMPLES, have=have, needed=needed, what="steps of history")
