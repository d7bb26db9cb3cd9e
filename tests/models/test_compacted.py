"""Hours made into a day: nothing is lost but the hours."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_models.intervals import Basis, Flag, Grade, Interval, Point, compacted

HOUR = 3_600_000
DAY = 24 * HOUR


@st.composite
def hours_of_a_day(draw: st.DrawFn) -> list[Interval]:
    """Some of a day's hourly rows, in any order, of any basis."""
    starts = draw(st.lists(st.integers(0, 23), min_size=1, max_size=24, unique=True))
    rows = []
    for hour in starts:
        amount = draw(st.none() | st.floats(0, 1e9))
        covered = 0 if amount is None else draw(st.integers(1, HOUR))
        rows.append(
            Interval(
                hour * HOUR,
                (hour + 1) * HOUR,
                amount,
                covered,
                draw(st.integers(0, covered)),
                draw(st.sampled_from(Basis)),
                draw(st.sampled_from(Grade)),
                Point(hour * HOUR, 1.0),
                Point((hour + 1) * HOUR, 2.0),
                draw(st.frozensets(st.sampled_from([Flag.BRIDGED, Flag.RESET]))),
            )
        )
    return rows


@given(hours_of_a_day())
def test_a_day_holds_what_its_hours_held(rows: list[Interval]) -> None:
    """Energy to the last bit of a float, covered time to the millisecond, the worst grade."""
    day = compacted(rows, 0, DAY)
    amounts = [row.amount for row in rows if row.amount is not None]
    assert (day.start_ms, day.end_ms) == (0, DAY)
    assert (day.amount is None) == (not amounts)
    if day.amount is not None:
        exact = sum(map(Fraction, amounts), Fraction(0))
        assert abs(Fraction(day.amount) - exact) <= Fraction(math.ulp(day.amount)) / 2
        counting = [row for row in rows if row.amount is not None]
        assert day.grade.rank == max(row.grade.rank for row in counting)
        bases = list(Basis)
        assert bases.index(day.basis) == max(bases.index(row.basis) for row in counting)
    assert day.covered_ms == sum(row.covered_ms for row in rows)
    assert day.profile_ms == sum(row.profile_ms for row in rows)
    assert day.coverage == sum(row.covered_ms for row in rows) / DAY
    assert day.flags == frozenset({Flag.COMPACTED}).union(*(row.flags for row in rows))
    assert compacted(rows[::-1], 0, DAY) == day


def test_what_does_not_fit_is_refused() -> None:
    """No rows, rows outside the span and rows that overlap make no day."""
    row = Interval(0, HOUR, 1.0, HOUR, HOUR, Basis.POWER, Grade.MEDIUM)
    for parts, start_ms in (([], 0), ([row], 1), ([row, row], 0)):
        with pytest.raises(ValueError, match=r"no parts|overlap"):
            compacted(parts, start_ms, DAY)
