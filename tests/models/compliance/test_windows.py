"""Windows of twelve months, their filling, and the last day to begin one."""

import math
from datetime import UTC, date, datetime
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_models.compliance.windows import (
    NOTHING,
    Coverage,
    Fill,
    Shortfall,
    Window,
    coverage_of,
    is_older,
    last_day_to_start,
    months_later,
    shortfall,
    since,
    twelve_months,
    window_closes,
)
from jauge_models.effectiveness import DAY_MS, CoveragePolicy, Period, PeriodKind

RULE = CoveragePolicy()
STARTS = tuple((date(2027, month, 1) - date(2027, 1, 1)).days * DAY_MS for month in range(1, 13))
YEAR = Period(
    0, 365 * DAY_MS, PeriodKind.ANNUAL, tuple(zip(STARTS, (*STARTS[1:], 365 * DAY_MS), strict=True))
)
"""The year 2027 from moment 0."""
FIRST = date(2027, 1, 1)


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2024, 1, 31), 1, date(2024, 2, 29)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
        (date(2026, 1, 15), -1, date(2025, 12, 15)),
        (date(2026, 5, 20), 36, date(2029, 5, 20)),
    ],
)
def test_months_later(day: date, months: int, expected: date) -> None:
    """Civil months, over the ends of years and short months."""
    assert months_later(day, months) == expected


def test_a_document_ages_by_civil_months() -> None:
    """On its last day it still holds."""
    assert not is_older(date(2025, 9, 30), 15, date(2026, 12, 30))
    assert is_older(date(2025, 9, 30), 15, date(2026, 12, 31))


@pytest.mark.parametrize(
    ("last", "first", "days"),
    [
        (date(2026, 12, 31), date(2026, 1, 1), 365),
        (date(2026, 9, 30), date(2025, 10, 1), 365),
        (date(2024, 3, 31), date(2023, 4, 1), 366),
    ],
)
def test_twelve_months(last: date, first: date, days: int) -> None:
    """Quarters' ends, with and without a leap day; and back from the first day."""
    window = twelve_months(last)
    assert (window.first, window.days, window.length_ms) == (first, days, days * DAY_MS)
    assert window_closes(first) == last


def test_a_window_since_a_commissioning() -> None:
    """It begins with the commissioning, but not before the twelve months."""
    last = date(2026, 12, 31)
    assert since(date(2026, 12, 1), last) == Window(date(2026, 12, 1), last)
    assert since(date(2020, 1, 1), last) == twelve_months(last) == since(None, last)


def test_coverage_of_a_meter_that_begins_in_february() -> None:
    """From 6 February: 329 of 365 days, a January without any, a hole of 36 days."""
    coverage = coverage_of([(36 * DAY_MS, 365 * DAY_MS)], YEAR, FIRST)
    assert coverage.whole == Fill(329 / 365, 0.0, 36.0)
    assert coverage.first_day == date(2027, 2, 6)
    assert coverage.since_start == Fill(1.0, 1.0, 0.0)


def test_coverage_with_holes() -> None:
    """Two holes, 5 to 8 January and 20 to 31 December, of 4 and 12 days."""
    coverage = coverage_of([(0, 4 * DAY_MS), (8 * DAY_MS, 353 * DAY_MS)], YEAR, FIRST)
    assert coverage.whole == Fill(349 / 365, 19 / 31, 12.0)
    assert coverage.since_start == coverage.whole


def test_a_period_begins_anywhere() -> None:
    """The same year, ten days later in ms: its first measured day is counted from its own."""
    shift = 10 * DAY_MS
    months = tuple((a + shift, b + shift) for a, b in YEAR.months)
    moved = Period(shift, YEAR.end_ms + shift, PeriodKind.ANNUAL, months)
    spans = [(36 * DAY_MS + shift, 365 * DAY_MS + shift)]
    assert coverage_of(spans, moved, FIRST) == coverage_of(
        [(36 * DAY_MS, 365 * DAY_MS)], YEAR, FIRST
    )
    assert Coverage(Fill(0, 0, math.inf), None, Fill(0, 0, math.inf)) == NOTHING


def test_spans_outside_do_not_count() -> None:
    """What lies around the period is clipped; what touches it not at all is nothing."""
    assert coverage_of([(-DAY_MS, 366 * DAY_MS)], YEAR, FIRST).whole == Fill(1.0, 1.0, 0.0)
    assert coverage_of([(-DAY_MS, 0), (365 * DAY_MS, 366 * DAY_MS)], YEAR, FIRST) == NOTHING


def test_thirty_six_summer_days_turn_a_year_into_not_measured() -> None:
    """90.1 % is covered, but the hole of 36 days is too long."""
    start = (date(2027, 7, 1) - FIRST).days * DAY_MS
    coverage = coverage_of([(0, start), (start + 36 * DAY_MS, 365 * DAY_MS)], YEAR, FIRST)
    assert coverage.whole.share == pytest.approx(0.9014, abs=1e-4)
    assert shortfall(coverage.whole, RULE) == Shortfall("gap", 36.0, 10.0)


@pytest.mark.parametrize(
    ("fill", "rule"),
    [
        (Fill(0.90, 0.75, 10), None),
        (Fill(0.8999, 0.75, 10), "share"),
        (Fill(0.95, 0.75, 10.01), "gap"),
        (Fill(0.95, 0.7499, 10), "month"),
    ],
)
def test_the_rule_on_coverage_at_its_limits(fill: Fill, rule: str | None) -> None:
    """Each limit itself is enough."""
    lack = shortfall(fill, RULE)
    assert (lack and lack.rule) == rule


def test_the_last_day_to_start_for_both_readings() -> None:
    """0.9 × 365 = 328.5, so 329 days; January: 24 of 31 days are above 75 %, 23 are not."""
    wide = last_day_to_start(date(2027, 12, 31), RULE)
    assert (wide.by_share, wide.by_rule) == (date(2027, 2, 6), date(2027, 1, 8))
    strict = last_day_to_start(date(2026, 12, 31), RULE)
    assert (strict.by_share, strict.by_rule) == (date(2026, 2, 6), date(2026, 1, 8))


@settings(max_examples=60, deadline=None)
@given(
    st.dates(date(2024, 1, 1), date(2032, 12, 31)),
    st.floats(0.5, 1.0),
    st.floats(0.1, 1.0),
    st.integers(0, 40),
)
def test_starting_on_the_last_day_holds_and_a_day_later_does_not(
    last: date, share: float, month: float, gap: int
) -> None:
    """By the same rule that judges the coverage."""
    rule = CoveragePolicy(share, month, gap * DAY_MS)
    window = twelve_months(last)
    base = datetime(window.first.year, window.first.month, window.first.day, tzinfo=UTC)
    edges = [
        (months_later(window.first, count) - window.first).days * DAY_MS for count in range(13)
    ]
    year = Period(0, window.length_ms, PeriodKind.ANNUAL, tuple(pairwise(edges)))
    begins = last_day_to_start(last, rule)
    for day, by_rule in ((begins.by_share, False), (begins.by_rule, True)):
        for late in (0, 1):
            start = ((day - base.date()).days + late) * DAY_MS
            fill = coverage_of([(start, year.end_ms)], year, window.first).whole
            if not by_rule:
                fill = msgspec.structs.replace(fill, worst_month=1.0, longest_gap_days=0.0)
            assert (shortfall(fill, rule) is None) == (not late)
