"""What may come, step after step: what came at each origin of the back-test, moved to now.

A middle with what it missed elsewhere put on will not do. Where days are of two kinds in no order,
with a run at night and without one, a forecast says one kind and misses the other: such a miss, put
on a day of which the run was said already, would make two runs of it, which never came.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from jauge_models.capacity.back_test import Trial, apart
from jauge_models.capacity.forecast_methods import Array, Name

_WORSE: Final = 1.0
"""Standard errors by which a method may be worse than the best, and still have a say."""


def paths(
    trial: Trial, values: Array, now: Mapping[Name, Array], chosen: Name, season: int
) -> Array:
    """A row for each origin, by each method that may be as good as the best, and by ``chosen``.

    ``values``: the history; ``now``: what each method says of the next steps. What came at an
    origin is moved by how much more the method says now than it said there, in the mean of the
    ``season`` around each step. Of methods that the back-test cannot tell apart the next day makes
    another one the best: all of them are asked. Gaps in what came are bridged straight.
    """
    horizon = trial.misses.shape[2]
    came = _bridged(values[trial.at[:, np.newaxis] + np.arange(horizon)])
    return np.concatenate(
        [
            came + _around(now[trial.names[k]] - (came - _bridged(trial.misses[k])), season)
            for k in _asked(trial, horizon, chosen)
        ]
    )


def _asked(trial: Trial, horizon: int, chosen: Name) -> list[int]:
    """Methods whose error, origin by origin, is not significantly above that of the best."""
    off = trial.off
    worse = off - off[int(np.argmin(off.mean(axis=1)))]
    error = worse.std(axis=1, ddof=1) / np.sqrt(apart(trial.at, horizon))
    as_good = worse.mean(axis=1) <= _WORSE * error
    return [k for k, name in enumerate(trial.names) if as_good[k] or name == chosen]


def _around(rows: Array, season: int) -> Array:
    """The mean of the season around each step; of less at both ends."""
    steps = np.arange(rows.shape[1])
    start = np.maximum(steps - season // 2, 0)
    end = np.minimum(steps + (season + 1) // 2, len(steps))
    sums = np.concatenate((np.zeros((len(rows), 1)), np.cumsum(rows, axis=1)), axis=1)
    mean: Array = (sums[:, end] - sums[:, start]) / (end - start)
    return mean


def _bridged(rows: Array) -> Array:
    """Gaps straight between their neighbours; each row has at least one known value."""
    steps = np.arange(rows.shape[1])
    known = ~np.isnan(rows)
    return np.array(
        [np.interp(steps, steps[at], row[at]) for row, at in zip(rows, known, strict=True)]
    )
