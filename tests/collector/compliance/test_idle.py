"""V9 through the gatherer: how busy processors were over the last measured days."""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import UTC, date

import pytest
from jauge_collector.compliance.idle import Feed, uses
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.descriptions import Described, Description, described
from jauge_collector.stores.sqlite import SqliteStore
from jauge_models.compliance.evidence import Use
from jauge_models.wire import Method, ResourceDescription

from tests.collector.compliance.yard import DAY, END, HOUR, START, Yard

HOST = "gw/host:SN1"
"""A feed of the first server, and of the host that the site declares."""


def _gauge(days: Iterable[int], value: float) -> Iterator[tuple[int, float]]:
    """How busy it is, each five minutes of some days of the year."""
    return ((day * DAY + n * 300_000, value) for day in days for n in range(288))


def _total(days: Iterable[int], cores: float) -> Iterator[tuple[int, float]]:
    """Processor seconds since the year began, each five minutes of some days."""
    for day in days:
        for n in range(288):
            at = day * DAY + n * 300_000
            yield at, at / 1000 * cores


@pytest.mark.parametrize(
    ("share", "status", "reason"),
    [
        (0.05, "met", "idle.busy"),
        (0.049, "not_met", "idle.unexplained"),
    ],
)
def test_thirty_days_of_a_server(yard: Yard, share: float, status: str, reason: str) -> None:
    """At 5 % it is at work, below it is not; of the other server nothing is known."""
    yard.write(HOST, _gauge(range(335, 365), share), "cpu_utilisation")
    found, why = yard.server_status("SRV-1", "V9")
    assert (found, why["key"]) == (status, reason)
    assert why["values"]["cpu"] == pytest.approx(share)
    other, why = yard.server_status("SRV-2", "V9")
    assert (other, why["values"]["days"]) == ("not_measured", 0)


def test_an_owners_note_explains_an_idle_server(yard: Yard) -> None:
    """Written, dated and named; the criterion is met by it."""
    yard.write(HOST, _gauge(range(335, 365), 0.01), "cpu_utilisation")
    yard.edit("servers.csv", "feeds\n", "feeds;idle_note;idle_note_day\n")
    yard.edit("servers.csv", "gw/host:SN1\n", "gw/host:SN1;spare;2025-12-01\n")
    yard.edit("servers.csv", "gw/outlet:2\n", "gw/outlet:2;;\n")
    found, why = yard.server_status("SRV-1", "V9")
    assert (found, why["key"], why["values"]["name"]) == ("met", "idle.explained", "o")


def test_twenty_nine_days_are_too_few(yard: Yard) -> None:
    """Though each of them was idle."""
    yard.write(HOST, _gauge(range(336, 365), 0.01), "cpu_utilisation")
    found, why = yard.server_status("SRV-1", "V9")
    assert (found, why["key"], why["values"]["days"]) == ("not_measured", "idle.unknown", 29)


def test_what_another_feed_of_a_declared_host_tells(yard: Yard) -> None:
    """The inventory names one feed of the machine, the agent inside it tells how busy it is."""
    host = 'feeds = ["gw/host:SN1", "gw/outlet:1"]'
    yard.edit("yard.toml", host, 'feeds = ["gw/host:SN1", "gw/outlet:1", "srv/host"]')
    yard.write("srv/host", _total(range(330, 366), 0.4), "cpu_time")
    birth = {"host": ResourceDescription("host", {}, labels={"processors": "8"})}
    birth["host"].quantities["cpu_time"] = Method.COUNTER
    with Ledger(yard.folder / "ledger.db") as ledger:
        ledger.set_descriptions("yard", "srv", described(birth), END - 60 * DAY)
    found, why = yard.server_status("SRV-1", "V9")
    assert (found, why["key"]) == ("met", "idle.busy")
    assert why["values"]["cpu"] == pytest.approx(0.05)


# --- days

LAST = date(2025, 12, 31)


def _uses(
    yard: Yard, feeds: dict[str, list[Feed]], told: Described | None = None
) -> dict[str, Use]:
    async def found() -> dict[str, Use]:
        async with SqliteStore(yard.folder / "readings.db", retention_days=20000) as store:
            return await uses(store, "yard", feeds, told or {}, LAST, days=30, zone=UTC)

    return asyncio.run(found())


def _birth(processors: int) -> Described:
    labels = {"processors": str(processors)}
    return {("gw", "host:x"): Description("x", labels, START)}


X = [Feed("gw", "host:x")]


def test_days_that_were_not_measured_are_made_up_for_by_earlier_ones(yard: Yard) -> None:
    """A week switched off in December: 30 of the 45 days before the end are measured."""
    on = [day for day in range(320, 365) if not 340 <= day < 347]
    yard.write("gw/host:x", _gauge(on, 0.2), "cpu_utilisation")
    yard.write("gw/host:x", _gauge(range(320, 328), 0.9), "cpu_utilisation")
    found = _uses(yard, {"s": X})["s"]
    assert found.days == 30
    assert found.cpu == pytest.approx(0.2)


def test_no_day_older_than_forty_five_counts(yard: Yard) -> None:
    """Thirty idle days in autumn say nothing of December."""
    yard.write("gw/host:x", _gauge(range(280, 330), 0.2), "cpu_utilisation")
    assert _uses(yard, {"s": X})["s"].days == 10


def test_a_day_with_a_long_hole_is_none(yard: Yard) -> None:
    """Two slices of twelve missing are more than a tenth; one is not."""
    points = [
        (at, value)
        for at, value in _gauge(range(363, 365), 0.5)
        if not (363 * DAY + 4 * HOUR <= at < 363 * DAY + 5 * HOUR)
        and not (364 * DAY + 4 * HOUR <= at < 364 * DAY + 7 * HOUR)
    ]
    yard.write("gw/host:x", points, "cpu_utilisation")
    assert _uses(yard, {"s": X})["s"].days == 1


def test_the_running_total_goes_before_the_gauge(yard: Yard) -> None:
    """It knows every second of the day: 3.2 of 32 processors are a tenth."""
    yard.write("gw/host:x", _total(range(330, 366), 3.2), "cpu_time")
    yard.write("gw/host:x", _gauge(range(330, 366), 0.9), "cpu_utilisation")
    found = _uses(yard, {"s": X}, _birth(32))["s"]
    assert found.days == 30
    assert found.cpu == pytest.approx(0.1)
    # Without a number of processors a total is no share, and the gauge tells.
    assert _uses(yard, {"s": X})["s"].cpu == pytest.approx(0.9)


def test_a_day_with_a_restart_is_none(yard: Yard) -> None:
    """Where the total fell, and where it has grown past what it was but the uptime tells."""
    yard.write("gw/host:x", _total(range(357, 366), 1.0), "cpu_time")
    assert _uses(yard, {"s": X}, _birth(10))["s"].days == 7
    restarted = 362 * DAY + HOUR
    whole = [(at, at / 1000) for at, _ in _total(range(357, 366), 1.0)]
    since = [(at, (at - restarted) / 1000 if at >= restarted else up) for at, up in whole]
    yard.write("gw/host:x", since, "uptime")
    assert _uses(yard, {"s": X}, _birth(10))["s"].days == 6


def test_of_two_feeds_the_one_with_more_days(yard: Yard) -> None:
    """And what nothing tells of is left out."""
    yard.write("gw/host:x", _gauge(range(360, 365), 0.9), "cpu_utilisation")
    yard.write("vc/host:x", _gauge(range(350, 365), 0.3), "cpu_utilisation")
    found = _uses(yard, {"s": [*X, Feed("vc", "host:x")], "t": [Feed("vc", "host:no")], "u": []})
    assert found.keys() == {"s"}
    assert found["s"].days == 15
    assert found["s"].cpu == pytest.approx(0.3)
