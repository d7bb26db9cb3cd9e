"""Sets of numbers that come nearly all in a row."""

from hypothesis import given
from hypothesis import strategies as st
from jauge_agent.numbers import Numbers


@given(st.lists(st.integers(1, 40)), st.integers(0, 41), st.integers(0, 41))
def test_it_covers_exactly_what_was_put_in(added: list[int], first: int, last: int) -> None:
    """In any order and more than once: a range is covered where each of its numbers is there."""
    numbers = Numbers()
    for number in added:
        numbers.add(number)
    wanted = range(first, last + 1)
    assert numbers.covers(first, last) == (bool(wanted) and set(wanted) <= set(added))


def test_a_long_row_is_one_range() -> None:
    """A million batches that were all sent take no more room than one."""
    numbers = Numbers()
    for number in (*range(2, 1000, 2), *range(1, 1000, 2)):
        numbers.add(number)
    assert (numbers._first, numbers._last) == ([1], [999])
