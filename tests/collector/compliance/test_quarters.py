"""Quarters as people name them."""

from datetime import UTC, date

import pytest
from jauge_collector import civil
from jauge_collector.compliance.quarters import quarter_of, span_ms
from jauge_models.compliance.windows import Window

PARIS = civil.zone("Europe/Paris")


def _at(text: str) -> int:
    return civil.moment_ms(text, UTC)


def test_a_quarter_that_has_ended() -> None:
    """All its days, on the site's clock; the change of clocks included."""
    found = quarter_of("2026-Q1", PARIS, _at("2026-04-01T00:00"))
    assert found == ("2026-Q1", Window(date(2026, 1, 1), date(2026, 3, 31)), False)
    start, end = span_ms(found.window, PARIS)
    assert end - start == (90 * 24 - 1) * 3_600_000


def test_the_running_quarter_ends_with_its_last_whole_day() -> None:
    """By name or by default; a day belongs to it once it is over on the site's clock."""
    whole = Window(date(2026, 10, 1), date(2026, 11, 25))
    for text in ("", "2026-q4"):
        assert quarter_of(text, PARIS, _at("2026-11-26T10:00")) == ("2026-Q4", whole, True)
    last = quarter_of("", PARIS, _at("2026-12-31T23:30"))
    assert last == ("2026-Q4", Window(date(2026, 10, 1), date(2026, 12, 31)), False)


def test_a_quarter_without_a_whole_day() -> None:
    """The last one stands for it, unless it is asked for."""
    now = _at("2026-10-01T12:00")
    assert quarter_of("", PARIS, now).name == "2026-Q3"
    with pytest.raises(ValueError, match="no whole day"):
        quarter_of("2026-Q4", PARIS, now)
