"""Twelve months: windows of measurement, how well one is filled, and when one must begin.

Days are civil days of the site's time zone; a window names its first and last day, both inside.
"""

import calendar
import math
from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

import msgspec

from jauge_models.effectiveness import DAY_MS, CoveragePolicy, Period


def months_later(day: date, months: int) -> date:
    """The same day of the month some months on (or back); its last day where it is shorter."""
    index = day.year * 12 + day.month - 1 + months
    year, month = index // 12, index % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def is_older(day: date, months: int, as_of: date) -> bool:
    """Whether more than so many civil months lie between a day and a later one."""
    return months_later(day, months) < as_of


class Window(NamedTuple):
    """A run of civil days."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """Number of days, both ends counted."""
        return (self.last - self.first).days + 1

    @property
    def length_ms(self) -> int:
        """Length without the hour that a change of clocks adds or takes."""
        return self.days * DAY_MS


def twelve_months(last: date) -> Window:
    """The twelve months that end with a day."""
    return Window(months_later(last + timedelta(days=1), -12), last)


def since(commissioned: date | None, last: date) -> Window:
    """The twelve months that end with a day, or what there is of them since a commissioning."""
    window = twelve_months(last)
    if commissioned is None or commissioned <= window.first:
        return window
    return Window(commissioned, last)


def window_closes(first: date) -> date:
    """The last day of the twelve months that begin with a day."""
    return months_later(first, 12) - timedelta(days=1)


class Fill(msgspec.Struct, frozen=True):
    """How much of a period is measured: 0 to 1, its worst civil month, its longest hole in days."""

    share: float
    worst_month: float
    longest_gap_days: float


class Coverage(msgspec.Struct, frozen=True):
    """How well the twelve months up to a day are measured.

    Time that a register bridges counts as covered; estimates do not. ``since_start`` is the same
    from the first measured day on: it tells a new meter from a bad one.
    """

    whole: Fill
    first_day: date | None
    since_start: Fill


NOTHING = Coverage(Fill(0.0, 0.0, math.inf), None, Fill(0.0, 0.0, math.inf))
"""The coverage of what was never measured."""


def coverage_of(spans: Sequence[tuple[int, int]], period: Period, first_day: date) -> Coverage:
    """The coverage by measured spans, in time order without overlap, of twelve months.

    ``period`` has its civil months; ``first_day`` is the civil day on which it begins. Whole days
    are counted from there, so the first measured day is exact but for the hour of a change of
    clocks.
    """
    inside = [
        (max(start, period.start_ms), min(end, period.end_ms))
        for start, end in spans
        if start < period.end_ms and end > period.start_ms
    ]
    if not inside:
        return NOTHING
    begin = inside[0][0]
    return Coverage(
        _fill(inside, period.start_ms, period),
        first_day + timedelta(days=(begin - period.start_ms) // DAY_MS),
        _fill(inside, begin, period),
    )


def _fill(spans: Sequence[tuple[int, int]], start_ms: int, period: Period) -> Fill:
    """The fill of [start, end of the period); months are clipped to it."""
    end_ms = period.end_ms
    months = [(max(a, start_ms), b) for a, b in period.months if b > start_ms]
    ends = [start_ms, *(end for _, end in spans)]
    starts = [*(start for start, _ in spans), end_ms]
    gap_ms = max(start - end for end, start in zip(ends, starts, strict=True))
    return Fill(
        _covered(spans, start_ms, end_ms) / (end_ms - start_ms),
        min((_covered(spans, a, b) / (b - a) for a, b in months), default=0.0),
        gap_ms / DAY_MS,
    )


def _covered(spans: Sequence[tuple[int, int]], start_ms: int, end_ms: int) -> int:
    return sum(max(0, min(b, end_ms) - max(a, start_ms)) for a, b in spans)


class Shortfall(msgspec.Struct, frozen=True):
    """Which part of the rule on coverage is missed, by what value, and what it asks."""

    rule: str
    value: float
    limit: float


def shortfall(fill: Fill, policy: CoveragePolicy) -> Shortfall | None:
    """What a period lacks for an annual figure, or None: share, then hole, then worst month."""
    longest = policy.longest_gap_ms / DAY_MS
    if fill.share < policy.minimum:
        return Shortfall("share", fill.share, policy.minimum)
    if fill.longest_gap_days > longest:
        return Shortfall("gap", fill.longest_gap_days, longest)
    if fill.worst_month < policy.month_minimum:
        return Shortfall("month", fill.worst_month, policy.month_minimum)
    return None


class LastDay(msgspec.Struct, frozen=True):
    """The last day on which a measurement may begin to count in the twelve months to a day.

    ``by_share`` asks for the share alone. ``by_rule`` also asks for the worst month and the
    longest hole: it holds for meters whose register bridges nothing from before.
    """

    by_share: date
    by_rule: date


def last_day_to_start(last: date, policy: CoveragePolicy) -> LastDay:
    """When to begin at the latest, for a window that ends with ``last`` and loses nothing more."""
    window = twelve_months(last)
    by_share = window.last - timedelta(days=math.ceil(policy.minimum * window.days) - 1)
    spare_days = math.floor(policy.longest_gap_ms / DAY_MS)
    month_end = months_later(window.first, 1) - timedelta(days=1)
    month_days = (month_end - window.first).days + 1
    by_month = month_end - timedelta(days=math.ceil(policy.month_minimum * month_days) - 1)
    return LastDay(by_share, min(by_share, window.first + timedelta(days=spare_days), by_month))
