"""Forecasts of real series from rolling origins, beside the seasonal-naive one.

From each origin the forecast is made as a user makes it, with the past alone; the method, the
width of the interval and the skill are what it chose and said there.
"""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from jauge_models.capacity.back_test import LEVEL
from jauge_models.capacity.forecast import Forecast, forecast, needed_steps
from jauge_models.capacity.forecast_methods import seasonal_naive

from benchmarks import fullness
from benchmarks.gpu_logs import daily, folder, load_series, power_series
from benchmarks.rows import Better, Row, Table, say

HOUR_S: Final = 3600.0
_ORIGINS: Final = 60
_ORIGINS_FULL: Final = 240
_SETTLED: Final = 2
"""Origins begin at so many times the history that a forecast needs at least."""


@dataclass
class Outcome:
    """What came of a series from all origins; errors are mean absolute ones of each origin."""

    errors: list[float] = field(default_factory=list)
    naive_errors: list[list[float]] = field(default_factory=list)
    """Of each season."""
    coverages: list[float] = field(default_factory=list)
    skills: list[float] = field(default_factory=list)
    """As stated; 0 where the forecast said that it had none."""
    methods: Counter[str] = field(default_factory=Counter)

    @property
    def error(self) -> float:
        """Over all origins."""
        return statistics.fmean(self.errors)

    @property
    def naive_error(self) -> float:
        """Of the season that is best in hindsight."""
        return min(statistics.fmean(each) for each in zip(*self.naive_errors, strict=True))

    @property
    def coverage(self) -> float:
        """Part of all steps within the interval."""
        return statistics.fmean(self.coverages)


async def measure(*, seconds: float, full: bool) -> Table:  # noqa: ARG001 - one signature for all
    """The tables of docs/capacity.md; ``full`` takes four times as many origins."""
    data = folder()
    number = _ORIGINS_FULL if full else _ORIGINS
    rows: list[Row] = []
    for name, hours in {**load_series(data), **power_series(data)}.items():
        for series, step_s, horizon, seasons, what in (
            (hours, HOUR_S, 24, (24, 168), "a day of hours"),
            (hours, HOUR_S, 168, (24, 168), "a week of hours"),
            (daily(hours), 24 * HOUR_S, 28, (7,), "four weeks of days"),
        ):
            say(f"forecast of {name}, {what}")
            found = rolled(series, step_s, horizon, seasons, number)
            rows += _rows(f"{name}, {what}", found)
    say("chances that a limit is reached")
    # Of the two that are one week over and over, every chance is 0 or 1, and right.
    moving = {"google": load_series(data)["google"], **power_series(data)}
    rows += [
        _chances("real series", fullness.of_series(moving)),
        _chances("days of two kinds", fullness.of_two_kinds()),
    ]
    return Table(
        "forecast",
        f"Forecasts from {number} rolling origins, the interval of {100 * LEVEL:.0f} %",
        rows,
        [
            (
                "Errors are mean absolute ones, in W as logged or parts of the load; the "
                "seasonal-naive forecast is that of the season which is best in hindsight."
            ),
        ],
    )


def rolled(
    series: Sequence[float | None],
    step_s: float,
    horizon: int,
    seasons: Sequence[int],
    number: int,
) -> Outcome:
    """A forecast from each of ``number`` origins, spread evenly, against what came."""
    found = Outcome()
    first = min(_SETTLED * needed_steps(horizon, seasons), len(series) - horizon)
    for origin in np.linspace(first, len(series) - horizon, number).astype(int):
        past, came = series[:origin], series[origin : origin + horizon]
        if all(value is None for value in came):
            continue
        ahead = forecast(
            past, start_ms=0, step_s=step_s, horizon=horizon, seasons=seasons, least=0.0
        )
        _add(found, ahead, past, came, seasons)
    return found


def _add(
    found: Outcome,
    ahead: Forecast,
    past: Sequence[float | None],
    came: Sequence[float | None],
    seasons: Sequence[int],
) -> None:
    steps = [(k, value) for k, value in enumerate(came) if value is not None]
    known = np.array([np.nan if value is None else value for value in past])
    found.errors.append(statistics.fmean(abs(ahead.middle[k] - value) for k, value in steps))
    naives = [seasonal_naive(season, known, len(came)) for season in seasons]
    found.naive_errors.append(
        [statistics.fmean(abs(naive[k] - value) for k, value in steps) for naive in naives]
    )
    found.coverages.append(
        statistics.fmean(ahead.lower[k] <= value <= ahead.upper[k] for k, value in steps)
    )
    found.skills.append(ahead.skill or 0.0)
    found.methods[f"{ahead.method} {ahead.season or ''}".strip()] += 1


def _chances(name: str, told: Sequence[fullness.Told]) -> Row:
    said = statistics.fmean(one.chance for one in told)
    came = statistics.fmean(one.reached for one in told)
    return Row(
        f"chance that a limit is reached, {name}: mean square off",
        fullness.off(told),
        "",
        "how often it is, known in hindsight",
        fullness.off_by_mean(told),
        Better.LOWER,
        note=f"said {said:.2f}, came {came:.2f}, {len(told)} limits",
    )


def _rows(name: str, found: Outcome) -> list[Row]:
    methods = ", ".join(f"{method}: {count}" for method, count in found.methods.most_common(3))
    said = statistics.fmean(found.skills)
    skill = (
        f"skill {1 - found.error / found.naive_error:.2f}, said {said:.2f}"
        if found.naive_error > 0
        else "it repeats itself"
    )
    return [
        Row(
            f"{name}: error",
            found.error,
            "",
            "seasonal-naive",
            found.naive_error,
            Better.LOWER,
            note=f"{skill}; {methods}",
        ),
        Row(
            f"{name}: came within",
            100 * found.coverage,
            "%",
            "wanted",
            100 * LEVEL,
            Better.HIGHER,
        ),
    ]
