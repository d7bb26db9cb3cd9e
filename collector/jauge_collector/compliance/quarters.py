"""Civil quarters, as people name them: ``2026-Q4``."""

import re
from datetime import date, timedelta, tzinfo
from typing import Final, NamedTuple

from jauge_models.compliance.windows import Window

from jauge_collector import civil

_FORM: Final = re.compile(r"(\d{4})-[QTqt]([1-4])")


class Quarter(NamedTuple):
    """A quarter, or what there is of a running one: ``window`` ends with its last whole day."""

    name: str
    window: Window
    running: bool


def quarter_of(text: str, zone: tzinfo, now_ms: int) -> Quarter:
    """``2026-Q4`` on the site's clock; the running one where empty.

    On the first day of a quarter the last one stands for it. Raises ValueError.
    """
    yesterday = civil.day(now_ms, zone) - timedelta(days=1)
    if text:
        match = _FORM.fullmatch(text)
        if match is None or int(match[1]) not in civil.YEARS:
            raise ValueError(f"{text!r} is no quarter; write 2026-Q4")
        first = date(int(match[1]), 3 * int(match[2]) - 2, 1)
    else:
        first = date(yesterday.year, (yesterday.month - 1) // 3 * 3 + 1, 1)
    if first > yesterday:
        raise ValueError(f"{text} has no whole day yet")
    last = civil.first_of_month(first, 3) - timedelta(days=1)
    name = f"{first.year}-Q{first.month // 3 + 1}"
    return Quarter(name, Window(first, min(last, yesterday)), last > yesterday)


def span_ms(window: Window, zone: tzinfo) -> tuple[int, int]:
    """A window's days as [start, end) on the site's clock."""
    return (
        civil.midnight_ms(window.first, zone),
        civil.midnight_ms(window.last + timedelta(days=1), zone),
    )
