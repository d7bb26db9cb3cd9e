"""Draws of many nodes at once: the curve's own values, caps, and bounds that hold for sums."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_models.capacity.node_draw import NodeDraw, declared, learnt, most_added_w
from jauge_models.capacity.power_curves import learn

from tests.models.capacity.rooms import BIG, DRAWS, SMALL

_watts = st.lists(st.floats(100, 5000), min_size=2, max_size=6)


def drawn(high: list[float]) -> NodeDraw:
    """A draw with this 95th percentile from rest to full."""
    activity = tuple(np.linspace(0, 1, len(high)).tolist())
    return NodeDraw(activity, tuple(high), (1.0,) * len(high), tuple(high), True, "a test")


def test_a_learnt_curve_is_drawn_as_it_stands() -> None:
    """At its knots, between them, and at both ends."""
    activity = [0.0 if hour % 24 < 12 else 0.2 + hour % 5 / 8 for hour in range(720)]
    curve = learn(
        activity, [500.0 + 1500.0 * part + hour % 3 for hour, part in enumerate(activity)]
    )
    draw = learnt(curve)
    for at in (0.0, 0.3, 0.55, 1.0):
        assert draw.mean_w(np.array([at]))[0] == pytest.approx(curve.at(at).power)
        assert draw.error_w(np.array([at]))[0] == pytest.approx(curve.at(at).error)
        assert draw.high_w(np.array([at]))[0] == pytest.approx(curve.high(at))
    assert draw.measured
    assert draw.basis == curve.basis


def test_declared_watts_are_a_line_without_an_error() -> None:
    """Half of the way at half of the activity, and nothing outside."""
    draw = declared(100.0, 500.0, "a data sheet")
    assert draw.mean_w(np.array([0.0, 0.5, 2.0])).tolist() == [100.0, 300.0, 500.0]
    assert np.isnan(draw.error_w(np.array([0.5]))).all()
    assert not draw.measured


def test_the_most_added_is_that_of_the_kind_that_adds_most() -> None:
    """Half of a GPU busy: 300 W of a big node's 2400 over four, 200 W of a small one's 800."""
    assert most_added_w(0.5, (BIG, SMALL), DRAWS) == pytest.approx(300)
    assert most_added_w(0.5, (SMALL,), DRAWS) == pytest.approx(200)
    assert most_added_w(0.5, (), DRAWS) == 0


@settings(deadline=None)
@given(_watts, st.lists(st.floats(0, 0.3), min_size=1, max_size=3), st.floats(50, 6000))
def test_instances_together_draw_no_more_than_was_counted(
    high: list[float], parts: list[float], cap: float
) -> None:
    """Whatever the curve's form, and under a cap."""
    for draw in (drawn(high), drawn(high).capped(cap)):
        together = draw.high_w(np.array([sum(parts)]))[0]
        assert together <= draw.idle_high_w + sum(draw.slope_w() * part for part in parts) + 1e-6
        assert together <= draw.full_high_w + 1e-9
    assert drawn(high).capped(cap).full_high_w <= cap
