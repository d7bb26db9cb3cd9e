"""A year of registers through the real accounting: clocks that change, a wrap, a gap, a new meter.

The incomer takes 2 kWh each hour and the UPS gives 1.25, so PUE1 is 1.6 in every period. Civil
quarters of Paris have 2159, 2184, 2208 and 2209 hours in 2025.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from jauge_collector import civil, sites
from jauge_collector.ledger.accounting import run_pass
from jauge_collector.ledger.book import Ledger
from jauge_collector.registers.meters import enter_replacement
from jauge_collector.reports.content import Report
from jauge_collector.stores.sqlite import SqliteStore
from jauge_models.intervals import Replacement
from jauge_models.readings import Reading
from jauge_models.resources import Series

from tests.collector.compliance.yard import DAY, HOUR, KWH
from tests.collector.reports.desk import amount, gathered

SITE: Final = """
[site]
name = "yard"
time_zone = "Europe/Paris"

[[meters]]
id = "incomer"
commodity = "electricity"
feeds = ["gw/meter:incomer"]
interval_s = 3600
rated_power_w = 20000
dial = { modulus = 10000 }
counts = "from_start"
reason = "test"

[[meters]]
id = "ups"
commodity = "electricity"
feeds = ["gw/meter:ups"]
interval_s = 3600
rated_power_w = 20000
counts = "from_start"
reason = "test"

[[equations]]
symbol = "E_DC"
terms = [{ meter = "incomer" }]

[[equations]]
symbol = "E_IT"
place = "ups_output"
terms = [{ meter = "ups" }]
"""
ZONE: Final = civil.zone("Europe/Paris")
BEGIN: Final = civil.moment_ms("2025-01-01", ZONE)
END: Final = civil.moment_ms("2026-01-01", ZONE)
UNREAD: Final = civil.moment_ms("2025-08-10", ZONE), civil.moment_ms("2025-08-12", ZONE)
"""Of the incomer: readings at both ends and none between."""
CHANGED: Final = civil.moment_ms("2025-11-15T12:00", ZONE)
"""A new UPS meter, which shows 100 kWh."""
HOURS: Final = {"2025-Q1": 2159, "2025-Q2": 2184, "2025-Q3": 2208, "2025-Q4": 2209}


def _incomer() -> Iterator[tuple[int, float]]:
    """From 9 000 kWh on, so that its dial of 10 000 passes zero after 500 hours."""
    for at in range(BEGIN, END + 1, HOUR):
        if not UNREAD[0] < at < UNREAD[1]:
            yield at, (9000 + 2 * (at - BEGIN) / HOUR) % 10_000 * KWH


def _ups() -> Iterator[tuple[int, float]]:
    for at in range(BEGIN, END + 1, HOUR):
        old, new = 1.25 * (at - BEGIN) / HOUR, 100 + 1.25 * (at - CHANGED) / HOUR
        yield at, (old if at < CHANGED else new) * KWH


async def _build(folder: Path) -> None:
    site = sites.load(folder / "yard.toml")
    async with SqliteStore(folder / "readings.db", retention_days=20000) as store:
        store.settle_s = 0.0
        with Ledger(folder / "ledger.db") as ledger:
            for name, points in (("incomer", _incomer()), ("ups", _ups())):
                series = Series("yard", "gw", f"meter:{name}", "energy")
                readings = [Reading(series, at, value) for at, value in points]
                await store.write(readings)
                ledger.mark("yard", "gw", [reading.time_ms for reading in readings], END)
            final = 1.25 * (CHANGED - BEGIN) / HOUR
            enter_replacement(
                ledger,
                site,
                site.topology.meter("ups"),
                Replacement(CHANGED, final * KWH, 100 * KWH),
                now_ms=END,
                reason="calibration",
                signatory="technician",
            )
            await run_pass(store, ledger, site, END + DAY)


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site after its year was accounted for."""
    folder = tmp_path_factory.mktemp("registers")
    (folder / "yard.toml").write_text(SITE, encoding="utf-8")
    asyncio.run(_build(folder))
    return folder


@pytest.fixture(scope="module")
def last(year: Path) -> Report:
    """The report of the last quarter."""
    return gathered(year, "2025-Q4", now_ms=END + DAY)


@pytest.mark.parametrize(("quarter", "hours"), HOURS.items())
def test_quarters_have_the_hours_of_their_clock(year: Path, quarter: str, hours: int) -> None:
    """An hour less in spring and more in autumn: each total is that of its own hours."""
    report = gathered(year, quarter, now_ms=END + DAY)
    assert amount(report.quarter, "E_DC").value == pytest.approx(2 * hours)
    assert amount(report.quarter, "E_IT").value == pytest.approx(1.25 * hours)
    assert report.quarter.kpis.pue.value == pytest.approx(1.6)
    assert report.quarter.kpis.pue.label == "iPUE1"


def test_the_year_adds_up(last: Report) -> None:
    """Across a wrap, a bridged gap and a new meter: 8 760 hours of both meters."""
    assert amount(last.year, "E_DC").value == pytest.approx(2 * 8760)
    assert amount(last.year, "E_IT").value == pytest.approx(1.25 * 8760)
    assert last.year.kpis.pue.value == pytest.approx(1.6)
    assert last.year.kpis.pue.label == "PUE1"
    assert [slot.pue.value for slot in last.months] == [pytest.approx(1.6)] * 12
    assert [slot.e_dc_w for slot in last.months] == [pytest.approx(2000)] * 12


def test_the_gap_is_told_and_bridged(last: Report) -> None:
    """Two days without a reading, across which the register tells."""
    (gap,) = last.gaps
    assert (gap.meter, gap.start_ms, gap.end_ms) == ("incomer", *UNREAD)
    assert gap.bridged


def test_the_new_meter_is_told(last: Report) -> None:
    """What both dials showed, why, and who says so."""
    (event,) = last.events
    assert (event.meter, event.kind, event.start_ms) == ("ups", "replacement", CHANGED)
    final = 1.25 * (CHANGED - BEGIN) / HOUR
    assert event.text == f"{final:g} → 100 kWh: calibration"
    assert event.signatory == "technician"


def test_a_wrap_is_no_gap(year: Path) -> None:
    """The quarter in which the dial passes zero is whole."""
    report = gathered(year, "2025-Q1", now_ms=END + DAY)
    assert amount(report.quarter, "E_DC").coverage == 1.0
    assert amount(report.quarter, "E_DC").bases == ("register",)
    # The gap of the twelve months before: nothing was read in 2024.
    first = civil.moment_ms("2024-04-01", ZONE)
    assert {(gap.start_ms, gap.end_ms) for gap in report.gaps} == {(first, BEGIN)}
