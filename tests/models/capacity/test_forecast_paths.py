"""What may come: never what no day could be, and hardly another thing a day later."""

import numpy as np
import pytest
from jauge_models.capacity import back_test
from jauge_models.capacity.forecast import forecast
from jauge_models.capacity.forecast_methods import SEASONAL_NAIVE, Array, Name
from jauge_models.capacity.forecast_paths import paths
from jauge_models.capacity.fullness import Limit, days_to_full

DAY_S = 86400.0
RUN = 400.0


def _two_kinds(seed: int, *, rise: float = 0.0, days: int = 300) -> list[float]:
    """Half of all days have a run more, in no order."""
    chance = np.random.default_rng(seed)
    at = np.arange(days)
    return list(600 + rise * at + chance.normal(0, 10, days) + RUN * (chance.random(days) < 0.5))


def _chance(past: list[float], of: float) -> float:
    ahead = forecast(past, start_ms=0, step_s=DAY_S, horizon=100, seasons=(7,), least=0.0)
    return days_to_full({Limit.RACK_POWER: ahead}, {Limit.RACK_POWER: of})[0].probability


@pytest.mark.parametrize("seed", range(6))
def test_two_runs_are_not_put_on_one_day(seed: int) -> None:
    """Well above all days of a year that does not rise; nor is that said a day sooner or later."""
    past = _two_kinds(seed)
    of = max(past) + 0.6 * RUN
    told = [_chance(past[: len(past) - cut], of) for cut in range(6)]
    assert max(told) < 0.35


@pytest.mark.parametrize("seed", range(6))
def test_what_rises_gets_there(seed: int) -> None:
    """A limit that the line reaches within the horizon, and one far beyond it."""
    past = _two_kinds(seed, rise=1.0)
    assert _chance(past, max(past) + 40) > 0.4
    assert _chance(past, max(past) + 400) < 0.2


def _trial(values: Array, off: dict[str, float], horizon: int = 14) -> back_test.Trial:
    """Methods that are off by as much everywhere, and by chance a little."""
    at = back_test.origins(len(values), horizon, (7,))
    chance = np.random.default_rng(1)
    misses = np.array(
        [chance.normal(each, 0.01, (len(at), horizon)) for each in off.values()], dtype=np.float64
    )
    return back_test.Trial(tuple(Name(name) for name in off), at, misses)


def test_methods_that_are_worse_have_no_say() -> None:
    """Those that the back-test cannot tell apart have, and the one that was taken."""
    values = np.arange(200.0)
    trial = _trial(values, {"a": 1.0, "b": 1.0, "worse": 2.0, SEASONAL_NAIVE: 3.0})
    now = {name: np.full(14, 200.0) for name in trial.names}
    for chosen, asked in (("a", 2), ("worse", 3), (SEASONAL_NAIVE, 3)):
        assert len(paths(trial, values, now, Name(chosen), 7)) == asked * len(trial.at)


def test_what_came_is_moved_to_what_is_said_now() -> None:
    """By as much as is said more, not by what was missed at a single step; over gaps straight."""
    saw = np.tile([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 9.0], 30)
    saw[100] = np.nan
    trial = _trial(saw, {"a": 0.0})
    trial.misses[0] = saw[trial.at[:, np.newaxis] + np.arange(14)] - 2.0
    found = paths(trial, saw, {Name("a"): np.full(14, 5.0)}, Name("a"), 7)
    assert np.isfinite(found).all()
    # It said 2 then and says 5 now: what came, and 3 more.
    assert found.max() == pytest.approx(12.0)
    assert found.min() == pytest.approx(3.0)
