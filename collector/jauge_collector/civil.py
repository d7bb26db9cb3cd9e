"""Civil time: where calendar dates of a site meet the milliseconds that everything else uses."""

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jauge_models.effectiveness import Period, PeriodKind

_OFFSET: Final = re.compile(r"UTC(?P<sign>[+-])(?P<hours>\d{1,2})(?::?(?P<minutes>\d{2}))?")


YEARS: Final = range(1971, 3000)
"""Years of which a moment is believed."""


def zone(name: str) -> tzinfo:
    """``Europe/Paris``, ``UTC`` or a fixed ``UTC+01:00``. Raises ValueError."""
    if name == "UTC":
        return UTC
    if match := _OFFSET.fullmatch(name):
        offset = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"] or 0))
        return timezone(-offset if match["sign"] == "-" else offset, name)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"{name!r} is no time zone; write 'Europe/Paris' or a fixed 'UTC+01:00'"
        ) from None


def is_fixed(where: tzinfo) -> bool:
    """Whether a zone's clock never changes."""
    return isinstance(where, timezone)


def moment_ms(text: str, where: tzinfo) -> int:
    """ISO 8601 date or time as milliseconds; a bare date is its midnight, no offset is ``where``.

    Raises ValueError.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no date; write 2026-01-31 or 2026-01-31T08:00") from None
    if moment.year not in YEARS:
        raise ValueError(f"{text!r} lies outside the years {YEARS[0]} to {YEARS[-1]}")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=where)
    return round(moment.timestamp() * 1000)


def day(time_ms: int, where: tzinfo) -> date:
    """The civil day a moment falls on."""
    return local(time_ms, where).date()


def local(time_ms: int, where: tzinfo) -> datetime:
    """A moment on the site's clock."""
    return datetime.fromtimestamp(time_ms / 1000, where)


def midnight_ms(when: date, where: tzinfo) -> int:
    """The moment a civil day begins."""
    return round(datetime(when.year, when.month, when.day, tzinfo=where).timestamp() * 1000)


def first_of_month(when: date, months: int = 0) -> date:
    """The first day of the month of ``when``, moved by ``months``."""
    index = when.year * 12 + when.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def period(start_ms: int, end_ms: int, where: tzinfo) -> Period:
    """A period with its kind and its months, the last one clipped.

    Months are counted from its beginning, so that a period of twelve months has twelve whole
    ones, whatever day it begins on. Raises ValueError when it is empty.
    """
    if end_ms <= start_ms:
        raise ValueError("the period ends before it begins")
    months: list[tuple[int, int]] = []
    at, count = start_ms, 0
    while at < end_ms:
        count += 1
        following = min(_months_later(start_ms, count, where), end_ms)
        months.append((at, following))
        at = following
    return Period(start_ms, end_ms, _kind(start_ms, end_ms, where), tuple(months))


def _months_later(start_ms: int, months: int, where: tzinfo) -> int:
    """The same day and time of day some months on; the last of the month where it is shorter."""
    start = local(start_ms, where).replace(tzinfo=None)
    first = first_of_month(start.date(), months)
    last = (first_of_month(first, 1) - timedelta(days=1)).day
    moved = start.replace(year=first.year, month=first.month, day=min(start.day, last))
    return round(moved.replace(tzinfo=where).timestamp() * 1000)


def _kind(start_ms: int, end_ms: int, where: tzinfo) -> PeriodKind:
    twelve_months = _months_later(start_ms, 12, where)
    if end_ms == twelve_months:
        return PeriodKind.ANNUAL
    return PeriodKind.INTERIM if end_ms < twelve_months else PeriodKind.LONGER
