"""S10 through the gatherer: how often boundary meters and intake sensors are logged."""

import asyncio
from datetime import UTC, date, timedelta

import pytest
from jauge_collector.compliance.logging_interval import intervals_s, sampled
from jauge_collector.ledger.book import Ledger
from jauge_collector.stores.sqlite import SqliteStore
from jauge_models.compliance.windows import Window
from jauge_models.resources import Series

from tests.collector.compliance.yard import DAY, HOUR, Yard, attest

FIRST = 273
"""1 October, in days after the start of the year."""
QUARTER = Window(date(2025, 10, 1), date(2025, 12, 31))


def _log(yard: Yard, every_ms: int, *meters: str) -> None:
    for meter in meters:
        quantity = "water" if meter == "tank" else "energy"
        times = range(FIRST * DAY, 365 * DAY, every_ms)
        yard.write(f"gw/meter:{meter}", ((at, float(n)) for n, at in enumerate(times)), quantity)


@pytest.mark.parametrize(
    ("every_ms", "status", "reason", "seconds"),
    [
        (HOUR, "met", "interval.hourly", 3600),
        (DAY, "met", "interval.daily", 86_400),
        (7 * DAY, "not_met", "interval.slow", 604_800),
    ],
)
def test_the_slowest_meter_decides(
    yard: Yard, every_ms: int, status: str, reason: str, seconds: int
) -> None:
    """Two meters and the intake sensor each hour, the third as told."""
    _log(yard, HOUR, "dc", "it")
    _log(yard, every_ms, "tank")
    found = yard.criterion("S10")
    assert (found["status"], found["reason"]["key"]) == (status, reason)
    assert found["reason"]["values"]["seconds"] == seconds


def test_a_meter_of_which_nothing_is_known_leaves_it_open(yard: Yard) -> None:
    """Rows in the ledger do not tell how often a meter was read."""
    assert yard.status("S10") == ("not_measured", "interval.none")
    _log(yard, HOUR, "dc", "it")
    assert yard.status("S10") == ("not_measured", "interval.none")


def test_what_people_read_is_no_automated_logging(yard: Yard) -> None:
    """A total that is attested once a year stands with that interval; one never told of, open."""
    _log(yard, HOUR, "dc", "it")
    yard.edit("yard.toml", 'feeds = ["gw/meter:tank"]\n', "")
    assert yard.status("S10") == ("not_measured", "interval.none")
    with Ledger(yard.folder / "ledger.db") as ledger:
        attest(ledger, "tank", 3.65)
    found = yard.criterion("S10")
    assert (found["status"], found["reason"]["key"]) == ("not_met", "interval.slow")
    assert found["reason"]["values"]["seconds"] == 365 * 86_400


def _interval(yard: Yard, times: list[int]) -> int | None:
    yard.write("gw/meter:x", ((at, 1.0) for at in times), "energy")
    series = Series("yard", "gw", "meter:x", "energy")

    async def found() -> dict[Series, int]:
        async with SqliteStore(yard.folder / "readings.db", retention_days=20000) as store:
            return await intervals_s(store, [series], QUARTER, UTC)

    return asyncio.run(found()).get(series)


def test_an_outage_is_no_slow_logger(yard: Yard) -> None:
    """Ten days of silence in a quarter of minutes: the interval is still a minute."""
    minutes = range(FIRST * DAY, 365 * DAY, 60_000)
    gone = range((FIRST + 30) * DAY, (FIRST + 40) * DAY)
    assert _interval(yard, [at for at in minutes if at not in gone]) == 60


def test_a_few_fast_days_hide_no_slow_quarter(yard: Yard) -> None:
    """Four days of minutes are most of the readings, and not most of the quarter."""
    fast = range(FIRST * DAY, (FIRST + 4) * DAY, 60_000)
    slow = range((FIRST + 4) * DAY, 365 * DAY, DAY)
    assert _interval(yard, [*fast, *slow]) == 86_400


def test_jitter_is_no_other_interval(yard: Yard) -> None:
    """A daily reading that comes up to five minutes late is a daily one."""
    times = [day * DAY + 60_000 * (day % 6) for day in range(FIRST, 365)]
    assert _interval(yard, times) == 86_400


def test_a_monthly_reading_is_found_between_the_sampled_days(yard: Yard) -> None:
    """Whatever days are read; one reading alone tells no interval."""
    assert _interval(yard, [(FIRST + 4) * DAY]) is None
    assert _interval(yard, [(FIRST + 34) * DAY, (FIRST + 65) * DAY]) == 31 * 86_400


@pytest.mark.parametrize("days", [1, 20, 84, 90, 91, 92])
def test_every_day_of_the_week_is_sampled(days: int) -> None:
    """A dozen or two of days, of which no weekday is left out where there are enough."""
    found = list(sampled(Window(date(2025, 10, 1), QUARTER.first + timedelta(days=days - 1))))
    assert found[0] == date(2025, 10, 1)
    assert len(found) <= 24
    assert len({day.weekday() for day in found}) == min(7, days)
