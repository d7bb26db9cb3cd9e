"""Ways to say what comes next in a series with seasons; each is judged by a back-test.

A method takes the past (values at equal steps, NaN where not known, at least one known) and says
the next steps. All of them go along with a change of scale or zero: of ``a * x + b``, ``a`` above
zero, they say ``a`` times what they say of ``x``, plus ``b``.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Method = Callable[[Array, int], Array]

PERSISTENCE: Final = "persistence"
ANALOGUES: Final = "analogues"
ENSEMBLE: Final = "ensemble"
SEASONAL_NAIVE: Final = "seasonal_naive"
SEASONAL_MEDIAN: Final = "seasonal_median"
SEASONAL_DECAY: Final = "seasonal_decay"
SEASONAL_TREND: Final = "seasonal_trend"

_CYCLES: Final = 8
"""Seasons that a profile is made of."""
_TREND_CYCLES: Final = 26
_ALIKE: Final = 30
"""Moments of the past that look like now."""


class Name(NamedTuple):
    """A method and, where it goes by one season, its length in steps."""

    method: str
    season: int | None = None


def seasonal_naives(seasons: Sequence[int]) -> Mapping[Name, Method]:
    """What everything else is measured against: the last season once more, for each of them."""
    return {Name(SEASONAL_NAIVE, season): partial(seasonal_naive, season) for season in seasons}


def others(seasons: Sequence[int]) -> Mapping[Name, Method]:
    """Those that have to earn their place, without the ensemble of all."""
    shortest, longest = min(seasons), max(seasons)
    found: dict[Name, Method] = {Name(PERSISTENCE): persistence}
    for season in seasons:
        found[Name(SEASONAL_MEDIAN, season)] = partial(seasonal_median, season)
        found[Name(SEASONAL_DECAY, season)] = partial(seasonal_decay, season)
    found[Name(SEASONAL_TREND, longest)] = partial(seasonal_trend, longest)
    found[Name(ANALOGUES, shortest)] = partial(analogues, shortest, longest)
    return found


def persistence(past: Array, steps: int) -> Array:
    """The last known value."""
    return np.full(steps, past[~np.isnan(past)][-1])


def seasonal_naive(season: int, past: Array, steps: int) -> Array:
    """The value one season before; where that is not known, the last known one of that phase."""
    cycles = _cycles(past, season)
    filled = cycles[-1].copy()
    for earlier in cycles[-2::-1]:
        gaps = np.isnan(filled)
        if not gaps.any():
            break
        filled[gaps] = earlier[gaps]
    return np.resize(_without_gaps(filled, past), steps)


def seasonal_median(season: int, past: Array, steps: int) -> Array:
    """The median of each phase over the last seasons."""
    return np.resize(_profile(past, season, _median), steps)


def seasonal_decay(season: int, past: Array, steps: int) -> Array:
    """The mean of each phase, and today's distance from it as it used to fade."""
    profile = _profile(past, season, _mean)
    off = past - profile[(np.arange(len(past)) - len(past)) % season]
    known = np.flatnonzero(~np.isnan(off))
    return np.asarray(np.resize(profile, steps) + _fading(off, steps) * off[known[-1]])


def seasonal_trend(season: int, past: Array, steps: int) -> Array:
    """The shape of a season on the line that the means of past seasons follow (Theil-Sen)."""
    cycles = _cycles(past, season)[-_TREND_CYCLES:]
    enough = np.count_nonzero(~np.isnan(cycles), axis=1) * 2 > season
    if np.count_nonzero(enough) < 3:
        return seasonal_median(season, past, steps)
    at = np.flatnonzero(enough).astype(np.float64)
    levels = np.array([np.nanmean(cycle) for cycle in cycles[enough]])
    earlier, later = np.triu_indices(len(at), 1)
    slope = float(np.median((levels[later] - levels[earlier]) / (at[later] - at[earlier])))
    start = float(np.median(levels - slope * at))
    profile = _profile(past, season, _mean)
    shape = profile - profile.mean()
    # The mean of a season belongs to its middle.
    ahead = len(cycles) - 0.5 + (np.arange(steps) + 0.5) / season
    return np.resize(shape, steps) + start + slope * ahead


def analogues(season: int, longest: int, past: Array, steps: int) -> Array:
    """The median of what followed on the moments of the past that look most like now.

    Alike are moments of the same phase of the shorter season by their last value, and by the means
    of the last quarter of a season, season and longest season before them.
    """
    held = _held(past)
    count = len(held)
    moments = np.arange(longest, count - steps + 1)
    moments = moments[(moments - count) % season == 0]
    if len(moments) < _ALIKE:
        return np.full(steps, float(np.median(held[-longest:])))
    sums = np.concatenate(([0.0], np.cumsum(held)))
    apart = np.zeros(len(moments))
    for span, weight in ((1, 2.0), (max(1, season // 4), 1.0), (season, 0.5), (longest, 0.25)):
        then = (sums[moments] - sums[moments - span]) / span
        now = (sums[count] - sums[count - span]) / span
        apart += weight * np.abs(then - now)
    alike = moments[np.argsort(apart, kind="stable")[:_ALIKE]]
    return np.asarray(np.median(held[alike[:, np.newaxis] + np.arange(steps)], axis=0))


def _fading(off: Array, steps: int) -> Array:
    """Autocorrelation at the next steps, over the pairs that are known; within 0 and 1."""
    known = ~np.isnan(off)
    filled = np.where(known, off, 0.0)
    size = 1 << (2 * len(off) - 1).bit_length()
    products, pairs = (
        np.fft.irfft(np.abs(np.fft.rfft(series, size)) ** 2, size)
        for series in (filled, known.astype(np.float64))
    )
    lags = np.zeros(steps)
    reach = min(steps, len(off) - 1)
    spread = products[0] / pairs[0]
    if spread > 0:
        lags[:reach] = products[1 : reach + 1] / np.maximum(pairs[1 : reach + 1], 1.0) / spread
    return np.clip(lags, 0.0, 1.0)


def _cycles(past: Array, season: int) -> Array:
    """Whole seasons up to now, one a row, oldest first."""
    whole = len(past) // season
    return past[len(past) - whole * season :].reshape(whole, season)


def _profile(past: Array, season: int, centre: Callable[[Array], Array]) -> Array:
    return _without_gaps(centre(_cycles(past, season)[-_CYCLES:]), past)


def _mean(cycles: Array) -> Array:
    """Of each phase; NaN where none is known."""
    known = ~np.isnan(cycles)
    count = np.count_nonzero(known, axis=0)
    total = np.where(known, cycles, 0.0).sum(axis=0)
    mean: Array = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return mean


def _median(cycles: Array) -> Array:
    """Of each phase; NaN where none is known."""
    count = np.count_nonzero(~np.isnan(cycles), axis=0)
    ordered = np.sort(cycles, axis=0)  # what is not known comes last
    phases = np.arange(cycles.shape[1])
    return np.asarray((ordered[(count - 1) // 2, phases] + ordered[count // 2, phases]) / 2)


def _without_gaps(values: Array, past: Array) -> Array:
    """Phases of which nothing is known get the median of all."""
    gaps = np.isnan(values)
    return np.where(gaps, np.nanmedian(past), values) if gaps.any() else values


def _held(past: Array) -> Array:
    """Each gap at the last value known before it; at the first known one ahead of that."""
    known = ~np.isnan(past)
    last = np.maximum.accumulate(np.where(known, np.arange(len(past)), -1))
    return np.asarray(past[np.where(last < 0, np.argmax(known), last)])
