"""What two successive values of a running total say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_models.counters import WRAP_MARGIN, Dial, Step, difference

DIAL = Dial(modulus=1000.0, rating=10.0)


@pytest.mark.parametrize(
    ("values", "elapsed_s", "dial", "step", "amount"),
    [
        pytest.param((10, 15), 1, DIAL, Step.ADVANCE, 5, id="it grows"),
        pytest.param((10, 10), 1, DIAL, Step.ADVANCE, 0, id="it stands: a true zero"),
        pytest.param((10, 22), 1, DIAL, Step.ADVANCE, 12, id="up to the margin over the rating"),
        pytest.param((10, 22.1), 1, DIAL, Step.JUMP, None, id="faster than can flow"),
        pytest.param((995, 3), 1, DIAL, Step.WRAP, 8, id="over the end of the dial"),
        pytest.param(
            (995, 900), 1, DIAL, Step.RESET, None, id="back, and no wrap could be so fast"
        ),
        pytest.param((995, 900), 91, DIAL, Step.WRAP, 905, id="the same after long enough"),
        pytest.param((995, 3), 1, Dial(modulus=1000.0), Step.RESET, None, id="no rating: no wrap"),
        pytest.param((995, 3), 1, Dial(rating=10.0), Step.RESET, None, id="no modulus: no wrap"),
        pytest.param((1e9, 3), 1, Dial(), Step.RESET, None, id="nothing known"),
        pytest.param((3, 1e9), 1, Dial(), Step.ADVANCE, 1e9 - 3, id="without a rating no jump"),
        pytest.param((1200, 3), 1, DIAL, Step.RESET, None, id="beyond its own modulus"),
        pytest.param(
            (0, 100),
            1,
            Dial(rating=10.0, resolution=100.0),
            Step.ADVANCE,
            100,
            id="one pulse at once",
        ),
    ],
)
def test_steps_are_told_apart(
    values: tuple[float, float], elapsed_s: float, dial: Dial, step: Step, amount: float | None
) -> None:
    """Advance, wrap, reset and jump, each with its amount or none."""
    found = difference(*values, elapsed_s, dial)
    assert found.step is step
    assert found.amount == amount


@given(
    st.integers(0, 999),
    st.integers(0, 999),
    st.floats(0.1, 1e4),
    st.sampled_from([DIAL, Dial(), Dial(modulus=1000.0), Dial(rating=10.0)]),
)
def test_an_amount_is_never_negative_nor_more_than_can_flow(
    previous: int, current: int, elapsed_s: float, dial: Dial
) -> None:
    """Whatever is read, what is believed lies between nothing and the rating."""
    found = difference(previous, current, elapsed_s, dial)
    assert (found.amount is None) == (found.step in (Step.RESET, Step.JUMP))
    if found.amount is not None:
        assert found.amount >= 0
        if dial.rating is not None:
            assert found.amount <= dial.rating * WRAP_MARGIN * elapsed_s


@given(st.integers(0, 10**6), st.integers(0, 900))
def test_a_wrapped_step_equals_its_unwrapped_twin(start: int, flowed: int) -> None:
    """The same flow read from a dial of 1 000 and from one without end is the same amount."""
    dial = Dial(modulus=1000.0, rating=10.0)
    wrapped = difference(start % 1000, (start + flowed) % 1000, 100.0, dial)
    unwrapped = difference(start, start + flowed, 100.0, Dial(rating=10.0))
    assert wrapped.amount == unwrapped.amount == flowed
