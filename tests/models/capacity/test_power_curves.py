"""Power by activity: on real servers held back, and what always holds."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_models.capacity.history import BUSY, IDLE, SAMPLES, SPREAD
from jauge_models.capacity.power_curves import (
    PowerCurve,
    TooLittleHistory,
    learn,
    planned_w,
)

from benchmarks.gpu_logs import SERVERS, gpu_hours, runs
from benchmarks.power_curves import (
    LIMIT,
    STEP_S,
    curve_of,
    curve_of_runs,
    months_held_back,
    of_most,
    relative,
    runs_held_back,
)


def hours(seed: int, *, count: int = 600) -> list[float]:
    """Activities of a server that rests and works in turns, hour by hour."""
    chance = np.random.default_rng(seed)
    busy = np.repeat(chance.random(count // 12 + 1) < 0.5, 12)[:count]
    working, resting = chance.uniform(0.5, 1.0, count), chance.uniform(0.0, 0.2, count)
    return [float(a) for a in np.where(busy, working, resting)]


def line(activity: Sequence[float], seed: int = 0, noise: float = 0.0) -> list[float]:
    """60 W at rest, 300 W at full load."""
    chance = np.random.default_rng(seed)
    return [60 + 240 * a + noise * float(chance.standard_normal()) for a in activity]


@pytest.mark.parametrize("server", SERVERS)
def test_months_held_back_are_within_a_tenth_of_the_most_measured(
    shared_data: Path, server: str
) -> None:
    """At the 90th percentile of hours; of the hour itself it is more, and the curve says so."""
    known = gpu_hours(shared_data, server)
    most = max(hour.watts for hour in known)
    misses = months_held_back(known)
    assert of_most(misses, most) < LIMIT
    curve = curve_of(known)
    assert curve.error_of_full < LIMIT
    assert relative(misses) > LIMIT
    assert curve.error_relative > LIMIT


def test_workloads_held_back_are_within_a_tenth_of_every_step(shared_data: Path) -> None:
    """Wall power at work, of both kinds of server, from the runs of other workloads."""
    logged = runs(shared_data, STEP_S)
    assert len(logged) == 22
    for system in {run.system for run in logged}:
        misses = runs_held_back([run for run in logged if run.system == system])
        assert len(misses) > 500
        assert relative(misses) < LIMIT


def test_a_node_of_eight_is_planned_between_its_median_and_its_95th_percentile(
    shared_data: Path,
) -> None:
    """Learnt without the workload that it is held against; far below the most measured."""
    logged = [run for run in runs(shared_data, STEP_S) if run.system == "A100-PCIex8_TRT_MaxQ"]
    working = [watts for run in logged for watts in run.working]
    measured = planned_w(working)
    curve = curve_of_runs(logged)
    assert measured.median < curve.high(1.0) <= measured.p95 * 1.0001
    for name in {run.benchmark for run in logged}:
        others = planned_w(
            [watts for run in logged if run.benchmark != name for watts in run.working]
        )
        assert measured.median * 0.99 < others.median < others.p95 < max(working)


def test_a_line_is_found_again() -> None:
    """To a W of 300, with an error that is that of the noise."""
    activity = hours(1)
    curve = learn(activity, line(activity, noise=5.0))
    for a in (0.0, 0.1, 0.35, 0.75, 1.0):
        assert curve.at(a).power == pytest.approx(60 + 240 * a, abs=12)
    assert 3 < curve.at(0.75).error < 12
    assert curve.monotone
    assert curve.samples == 600
    assert curve.hours == 600
    assert 0 < curve.error_of_full < 0.05


def test_beyond_the_outermost_knots_the_error_grows() -> None:
    """No hour at rest was seen: the line goes on, and says that it does."""
    activity = [max(a, 0.2) for a in hours(2)]
    curve = learn(activity, line(activity))
    assert curve.at(0.0).power == pytest.approx(60, abs=12)
    assert curve.at(0.0).error > curve.at(0.2).error + 30
    assert curve.at(-1.0) == curve.at(0.0)
    assert curve.at(2.0) == curve.at(1.0)


def test_a_curve_falls_only_where_the_hours_say_so() -> None:
    """Full load that is throttled, seen in every stretch of time."""
    activity = hours(3)
    throttled = [w - 150 * (a > 0.9) for a, w in zip(activity, line(activity), strict=True)]
    curve = learn(activity, throttled)
    assert not curve.monotone
    assert curve.at(0.95).power < curve.at(0.85).power - 100


def test_the_latest_hours_count() -> None:
    """Half a year ago the same node drew 20 W more at rest."""
    activity = hours(4, count=3000)
    watts = [
        w + 20 * (k < 1500 and a < 0.2)
        for k, (a, w) in enumerate(zip(activity, line(activity), strict=True))
    ]
    assert learn(activity, watts, latest=200).at(0.1).power == pytest.approx(84, abs=3)
    assert learn(activity, watts, latest=3000).at(0.1).power == pytest.approx(94, abs=3)


@pytest.mark.parametrize(
    ("activity", "missing"),
    [
        (hours(5)[:167], SAMPLES),
        ([0.1] * 600, BUSY),
        ([0.9] * 600, IDLE),
        ([0.1] * 550 + [0.9] * 50, SPREAD),
    ],
)
def test_too_little_names_what_is_missing(activity: list[float], missing: str) -> None:
    """And how much of it there is."""
    with pytest.raises(TooLittleHistory) as raised:
        learn(activity, line(activity))
    assert raised.value.missing == missing
    assert raised.value.have < raised.value.needed
    assert str(raised.value.needed) in str(raised.value)


@pytest.mark.parametrize(
    ("activity", "watts"),
    [([1.1], [100.0]), ([-0.1], [100.0]), ([0.5], [-1.0]), ([0.5], [float("nan")]), ([0.5], [])],
)
def test_what_cannot_be_is_refused(activity: list[float], watts: list[float]) -> None:
    """Minus one is how a log says that it did not measure: it is not a power."""
    with pytest.raises(ValueError, match=r"cannot be|within|go with"):
        learn(activity, watts)


def test_what_is_not_known_is_left_out() -> None:
    """Steps without activity or without power change nothing."""
    activity = hours(6)
    watts = line(activity, noise=3.0)
    gaps: list[tuple[float | None, float | None]] = []
    for pair in zip(activity, watts, strict=True):
        gaps += [pair, (None, 250.0), (0.3, None)]
    assert learn([a for a, _ in gaps], [w for _, w in gaps]) == learn(activity, watts)


def test_plans_are_of_known_values() -> None:
    """Unknown ones do not count as zero."""
    assert planned_w([None, *[100.0] * 95, *[200.0] * 5]).median == 100
    assert planned_w([float(w) for w in range(101)]) == (50, 95)
    with pytest.raises(TooLittleHistory, match="23 of the 24"):
        planned_w([1.0] * 23 + [None] * 30)


SERIES = st.tuples(st.integers(0, 2**16), st.floats(0, 60), st.floats(0.5, 8.0))


def curve_from(seed: int, noise: float, power: float) -> tuple[list[float], list[float]]:
    """Some node: its activity and watts."""
    activity = hours(seed)
    chance = np.random.default_rng(seed)
    watts = [
        max(0.0, 50 + 250 * a**power + noise * float(chance.standard_normal())) for a in activity
    ]
    return activity, watts


@given(SERIES)
@settings(max_examples=25)
def test_it_rises_and_its_percentile_lies_above(series: tuple[int, float, float]) -> None:
    """Wherever it says that it is monotone; errors and watts are never below zero."""
    curve = learn(*curve_from(*series))
    at = [k / 50 for k in range(51)]
    means = [curve.at(a).power for a in at]
    for a in at:
        assert curve.at(a).error >= 0
        assert curve.at(a).power >= 0
        assert curve.high(a) >= 0
    if curve.monotone:
        assert all(curve.high(a) >= mean - 1e-9 for a, mean in zip(at, means, strict=True))
        assert all(low <= high + 1e-9 for low, high in pairwise(means))


@given(SERIES, st.floats(0.1, 50.0))
@settings(max_examples=25)
def test_k_times_the_watts_are_k_times_the_curve(
    series: tuple[int, float, float], factor: float
) -> None:
    """Of eight GPUs as of one."""
    activity, watts = curve_from(*series)
    one, many = learn(activity, watts), learn(activity, [factor * w for w in watts])
    for a in (0.0, 0.3, 0.8, 1.0):
        assert many.at(a) == pytest.approx([factor * w for w in one.at(a)], rel=1e-6)
        assert many.high(a) == pytest.approx(factor * one.high(a), rel=1e-6)
    assert many.error_of_full == pytest.approx(one.error_of_full, rel=1e-6)
    assert isinstance(many, PowerCurve)
