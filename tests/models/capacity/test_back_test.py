"""Rolling origins: none sees its future, and the interval holds what it should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_models.capacity import back_test
from jauge_models.capacity.forecast import needed_steps
from jauge_models.capacity.forecast_methods import PERSISTENCE, SEASONAL_NAIVE, Name


@given(st.integers(1, 60), st.integers(0, 3000), st.sampled_from([(7,), (24, 168)]))
def test_origins_have_a_past_and_a_known_future(
    horizon: int, more: int, seasons: tuple[int, ...]
) -> None:
    """The last one stands where its future is the newest that is known."""
    count = needed_steps(horizon, seasons) + more
    at = back_test.origins(count, horizon, seasons)
    assert at[0] >= back_test.first_origin(seasons)
    assert at[-1] == count - horizon
    assert back_test.LEAST_ORIGINS <= len(at) <= back_test.ORIGINS
    assert len(set(np.diff(at))) <= 1


def test_no_origin_sees_its_future() -> None:
    """What comes after the last but one is changed: what it missed changes by just as much."""
    values = np.random.default_rng(1).normal(0, 1, 200)
    changed = values.copy()
    changed[-7:] += 1000
    one, other = (back_test.tried(series, 7, (7,)) for series in (values, changed))
    assert one is not None
    assert other is not None
    assert np.allclose(other.misses[:, -1], one.misses[:, -1] + 1000)
    early = one.at + 7 <= 193
    assert np.array_equal(one.misses[:, early], other.misses[:, early])


def test_what_was_chosen_then_not_what_is_best_now_is_judged() -> None:
    """The skill is never better than that of the best method in hindsight."""
    values = np.random.default_rng(2).normal(0, 1, 500)
    trial = back_test.tried(values, 14, (7,))
    assert trial is not None
    found = back_test.judged(trial, 14, naive_only=False)
    assert found is not None
    later = trial.off[:, -found.origins :].mean(axis=1)
    assert found.error >= later.min()
    assert found.naive_error == pytest.approx(later[trial.names.index(found.naive)])


def test_each_origin_chooses_by_what_was_known_by_then() -> None:
    """The last season is nearer for 20 origins, then the last value: that shows from 40 on only.

    Three steps ahead, so that an origin knows what came of all but the last two before it.
    """
    misses = np.full((2, 60, 3), 2.0)
    misses[0, :20] = 1.0
    misses[0, 20:] = 3.0
    names = (Name(SEASONAL_NAIVE, 7), Name(PERSISTENCE))
    trial = back_test.Trial(names, np.arange(60), misses)
    found = back_test.judged(trial, 3, naive_only=False)
    assert found is not None
    assert found.origins == 53
    assert found.error == pytest.approx((13 * 1 + 23 * 3 + 17 * 2) / 53)
    assert found.naive_error == pytest.approx((13 * 1 + 40 * 3) / 53)
    assert found.skill == pytest.approx(1 - 116 / 133)
    assert found.chosen == names[1]
    naive = back_test.judged(trial, 3, naive_only=True)
    assert naive is not None
    assert naive.chosen == names[0]
    assert naive.error == naive.naive_error


@pytest.mark.parametrize("seed", range(4))
def test_four_in_five_lie_within_where_errors_are_chance(seed: int) -> None:
    """Noise without a shape: what the back-test says, and what then really comes."""
    chance = np.random.default_rng(seed)
    scale = chance.choice([1.0, 5.0], size=1200)
    values = scale * chance.standard_t(4, size=1200)
    trial = back_test.tried(values[:1000], 7, (7,))
    assert trial is not None
    found = back_test.judged(trial, 7, naive_only=False)
    assert found is not None
    assert found.coverage == pytest.approx(0.8, abs=0.07)
    said = back_test.said(values[:1000], 7, (7,))[found.chosen]
    came = values[1000:] - np.resize(said, 200)
    within = (came >= found.low.mean()) & (came <= found.high.mean())
    assert within.mean() == pytest.approx(0.8, abs=0.1)


def test_few_origins_make_it_wide() -> None:
    """The same errors: with ten that are apart the bounds are nearly the extremes."""
    misses = np.random.default_rng(3).normal(0, 1, (60, 7))
    low, high = back_test.quantiles(misses, 0.8, 10)
    low_many, high_many = back_test.quantiles(misses, 0.8, np.inf)
    assert (low < low_many).all()
    assert (high > high_many).all()
    assert high_many.mean() == pytest.approx(1.28, abs=0.2)
    assert high.mean() > 2


def test_bounds_are_on_both_sides_of_what_is_said() -> None:
    """Also where every error was to one side."""
    low, high = back_test.quantiles(np.full((20, 3), 5.0), 0.8, 20)
    assert (low == 0).all()
    assert (high == 5).all()
