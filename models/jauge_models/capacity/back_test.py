"""How far forecasts of a series would have been off: rolling origins, each with its own past only.

From each of up to 64 origins every method says the next steps and is held against what came. What
is reported is what a user would have got: at each origin the method and the width of the interval
are chosen by the origins before it alone, of which all that came was known by then.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jauge_models.capacity import forecast_methods
from jauge_models.capacity.forecast_methods import ENSEMBLE, SEASONAL_NAIVE, Array, Name

LEVEL: Final = 0.8
"""Of the interval."""
ORIGINS: Final = 64
LEAST_ORIGINS: Final = 12
"""Below that neither a skill nor a coverage means anything."""
_WARM_UP: Final = 5
"""Origins that only teach: an interval of fewer errors is a guess."""
_ADAPT: Final = 0.2
"""How far the level wanted follows the coverage missed at an origin."""
_WIDEST: Final = 0.995


class BackTest(NamedTuple):
    """What came of it.

    ``chosen``: the method with the least mean absolute error over all origins; ``naive``: the best
    of the seasonal-naive ones. ``error`` and ``naive_error``: of what would have been chosen at
    each origin, and of ``naive``, over the same ``origins``; ``coverage``: part of their steps
    that came within the interval. ``low`` and ``high``: what is put on at each step for the bounds.
    """

    chosen: Name
    naive: Name
    error: float
    naive_error: float
    coverage: float
    origins: int
    low: Array
    high: Array

    @property
    def skill(self) -> float:
        """1 less the error in parts of that of the seasonal-naive forecast; 0 where both are 0."""
        return 1 - self.error / self.naive_error if self.naive_error > 0 else 0.0


def first_origin(seasons: Sequence[int]) -> int:
    """Steps of the past that the first origin needs."""
    return 2 * max(seasons)


def origins(count: int, horizon: int, seasons: Sequence[int]) -> NDArray[np.int64]:
    """Where to stand: evenly from the first that is possible to the last whose future is known."""
    first, last = first_origin(seasons), count - horizon
    number = min(ORIGINS, last - first + 1)
    if number < 1:
        return np.array([], dtype=np.int64)
    # Counted back from the last, so that the newest past is always used.
    return last - np.arange(number)[::-1] * max(1, (last - first) // max(1, number - 1))


def said(past: Array, horizon: int, seasons: Sequence[int]) -> Mapping[Name, Array]:
    """What each method says of the next steps."""
    found = {
        name: method(past, horizon)
        for name, method in (
            *forecast_methods.seasonal_naives(seasons).items(),
            *forecast_methods.others(seasons).items(),
        )
    }
    found[Name(ENSEMBLE)] = np.median(list(found.values()), axis=0)
    return found


class Trial(NamedTuple):
    """What came less what every method said.

    ``misses``: by method, origin and step, NaN where it is not known; ``at``: the origins.
    """

    names: tuple[Name, ...]
    at: NDArray[np.int64]
    misses: Array

    @property
    def off(self) -> Array:
        """Mean absolute error by method and origin."""
        return np.asarray(np.nanmean(np.abs(self.misses), axis=2))


def tried(values: Array, horizon: int, seasons: Sequence[int]) -> Trial | None:
    """Every method at every origin; None where fewer than LEAST_ORIGINS can be judged."""
    at: list[int] = []
    missed: list[list[Array]] = []
    names: tuple[Name, ...] = ()
    for origin in origins(len(values), horizon, seasons):
        past, future = values[:origin], values[origin : origin + horizon]
        if np.isnan(future).all() or np.isnan(past[-first_origin(seasons) :]).all():
            continue
        row = said(past, horizon, seasons)
        names = tuple(row)
        at.append(int(origin))
        missed.append([future - row[name] for name in names])
    if len(at) < LEAST_ORIGINS:
        return None
    return Trial(names, np.array(at), np.array(missed).swapaxes(0, 1))


def judged(trial: Trial, horizon: int, *, naive_only: bool) -> BackTest | None:
    """What a user would have got of all methods, or of the seasonal-naive ones only.

    None where no origin has at least five before it of which all is known by then.
    """
    off = trial.off
    naives = [k for k, name in enumerate(trial.names) if name.method == SEASONAL_NAIVE]
    free = naives if naive_only else list(range(len(trial.names)))
    naive = naives[int(np.argmin(off[naives].mean(axis=1)))]
    chosen = free[int(np.argmin(off[free].mean(axis=1)))]
    ours, theirs, within = [], [], []
    level = LEVEL
    pending: list[tuple[int, float]] = []
    for k, origin in enumerate(trial.at):
        before = np.flatnonzero(trial.at + horizon <= origin)
        while pending and pending[0][0] <= origin:
            level = _adapted(level, pending.pop(0)[1])
        if len(before) < _WARM_UP:
            continue
        best = free[int(np.argmin(off[free][:, before].mean(axis=1)))]
        ranks = apart(trial.at[before], horizon)
        low, high = quantiles(trial.misses[best, before], level, ranks)
        missed = trial.misses[best, k]
        known = ~np.isnan(missed)
        share = float(np.mean(((missed >= low) & (missed <= high))[known]))
        pending.append((int(origin) + horizon, share))
        within.append(share)
        ours.append(off[best, k])
        theirs.append(off[naive, k])
    if not within:
        return None
    for _, share in pending:
        level = _adapted(level, share)
    low, high = quantiles(trial.misses[chosen], level, apart(trial.at, horizon))
    return BackTest(
        chosen=trial.names[chosen],
        naive=trial.names[naive],
        error=float(np.mean(ours)),
        naive_error=float(np.mean(theirs)),
        coverage=float(np.mean(within)),
        origins=len(within),
        low=low,
        high=high,
    )


def apart(at: NDArray[np.int64], horizon: int) -> float:
    """How many origins would fit without their futures overlapping; not more than there are."""
    return min(float(len(at)), 1 + float(at[-1] - at[0]) / horizon)


def _adapted(level: float, coverage: float) -> float:
    """Wider after too little was covered, narrower after too much (adaptive conformal)."""
    return min(max(level + _ADAPT * (LEVEL - coverage), 0.5), _WIDEST)


def quantiles(misses: Array, level: float, origins_apart: float) -> tuple[Array, Array]:
    """What is put on at each step for the lower and the upper bound: below zero, and above.

    ``misses``: a row an origin. Steps are taken together in bands that double with the distance,
    and between the middles of bands it goes straight. Errors of one origin go together, and so
    do those of origins whose futures overlap, so that the ranks are those of ``origins_apart``
    errors, not of as many as there are: few origins, wide interval.
    """
    steps = misses.shape[1]
    edges = [0, *(2**power for power in range(steps.bit_length()) if 2**power < steps), steps]
    tail = (1 - level) / 2
    rank = max(0.0, tail - (1 - tail) / origins_apart)
    middles: list[float] = []
    bounds: list[Array] = []
    for start, end in pairwise(edges):
        known = misses[:, start:end]
        known = known[~np.isnan(known)]
        if len(known):
            middles.append((start + end - 1) / 2)
            bounds.append(np.quantile(known, (rank, 1 - rank)))
    low, high = np.array(bounds).T
    each = np.arange(steps)
    return (
        np.minimum(np.interp(each, middles, low), 0.0),
        np.maximum(np.interp(each, middles, high), 0.0),
    )
