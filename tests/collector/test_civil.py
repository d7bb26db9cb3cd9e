"""Civil time at the edge: periods, their kind and their months."""

import pytest
from jauge_collector import civil
from jauge_models.effectiveness import PeriodKind

PARIS = civil.zone("Europe/Paris")
HOUR_MS = 3_600_000


def ms(text: str) -> int:
    """A moment on the clock of Paris."""
    return civil.moment_ms(text, PARIS)


@pytest.mark.parametrize(
    ("start", "end", "kind"),
    [
        ("2025-01-01", "2026-01-01", PeriodKind.ANNUAL),
        ("2024-11-24", "2025-11-24", PeriodKind.ANNUAL),
        ("2026-01-01", "2026-04-01", PeriodKind.INTERIM),
        ("2025-01-01", "2025-12-31T23:00", PeriodKind.INTERIM),
        ("2024-01-01", "2026-01-01", PeriodKind.LONGER),
    ],
)
def test_twelve_months_are_annual_whatever_day_they_begin(
    start: str, end: str, kind: PeriodKind
) -> None:
    """Only a period of exactly twelve civil months is annual."""
    assert civil.period(ms(start), ms(end), PARIS).kind is kind


def test_months_of_a_rolling_year_are_twelve_whole_ones() -> None:
    """No month is a stump of a day that a short hole would empty; they tile the period."""
    period = civil.period(ms("2025-11-02"), ms("2026-11-02"), PARIS)
    assert len(period.months) == 12
    assert [a for a, _ in period.months[1:]] == [b for _, b in period.months[:-1]]
    assert (period.months[0][0], period.months[-1][1]) == (period.start_ms, period.end_ms)
    assert min(b - a for a, b in period.months) >= 28 * 24 * HOUR_MS - HOUR_MS


def test_months_respect_summer_time_and_short_months() -> None:
    """March has an hour less; a period that begins on the 31st ends months on their last day."""
    march = civil.period(ms("2026-03-01"), ms("2026-04-01"), PARIS).months[0]
    assert march[1] - march[0] == (31 * 24 - 1) * HOUR_MS
    ends = [b for _, b in civil.period(ms("2026-01-31"), ms("2026-05-01"), PARIS).months]
    assert ends == [ms("2026-02-28"), ms("2026-03-31"), ms("2026-04-30"), ms("2026-05-01")]


def test_an_empty_period_is_refused() -> None:
    """A period that ends before it begins is a mistake, not an empty answer."""
    with pytest.raises(ValueError, match="ends before"):
        civil.period(ms("2026-01-02"), ms("2026-01-01"), PARIS)


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31", "2026-13-01", "yesterday", ""])
def test_what_is_no_date_of_ours_is_refused(text: str) -> None:
    """Words and years that no record can have are refused before any arithmetic."""
    with pytest.raises(ValueError, match=r"no date|outside"):
        civil.moment_ms(text, PARIS)


@pytest.mark.parametrize(
    ("name", "hours"), [("UTC", 0), ("UTC+1", 1), ("UTC+01:00", 1), ("UTC-05:30", -5.5)]
)
def test_fixed_offsets(name: str, hours: float) -> None:
    """A fixed zone is said by its offset and has no summer time."""
    zone = civil.zone(name)
    for text in ("2026-01-01", "2026-07-01"):
        assert civil.moment_ms("2026-01-01", civil.zone("UTC")) - civil.moment_ms(
            "2026-01-01", zone
        ) == pytest.approx(hours * HOUR_MS)
        assert civil.local(civil.moment_ms(text, zone), zone).hour == 0


@pytest.mark.parametrize("name", ["Europe/Lognes", "GMT+1", "../etc/passwd", ""])
def test_what_is_no_zone_is_refused(name: str) -> None:
    """An unknown zone is named together with what would be right."""
    with pytest.raises(ValueError, match="Europe/Paris"):
        civil.zone(name)
