"""Reports of a yard by the real gatherer, quarters closed, and rows taken out of its ledger."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jauge_collector import sites
from jauge_collector.compliance import life
from jauge_collector.compliance.quarters import quarter_of
from jauge_collector.compliance.sources import Sources
from jauge_collector.ledger.book import Ledger
from jauge_collector.registers import files
from jauge_collector.reports.content import Amount, Figures, Report
from jauge_collector.reports.gather import gather
from jauge_collector.stores.sqlite import SqliteStore

from tests.collector.compliance.yard import DAY, END, START

NOW = END + 5 * DAY
"""Five days after the yard's last quarter."""


def gathered(folder: Path, quarter: str = "2025-Q4", *, now_ms: int = NOW) -> Report:
    """The report of a quarter of the site in a folder."""
    return asyncio.run(_gathered(folder, quarter, now_ms))


async def _gathered(folder: Path, quarter: str, now_ms: int) -> Report:
    site = sites.load(folder / "yard.toml")
    registers = files.load(site.registers, folder, site.name)
    async with SqliteStore(folder / "readings.db", retention_days=20000) as store:
        with ledger_of(folder) as ledger:
            sources = Sources(site, registers, ledger, folder / "ledger.db", store)
            return await gather(sources, quarter_of(quarter, site.zone, now_ms), now_ms)


@contextmanager
def ledger_of(folder: Path) -> Iterator[Ledger]:
    """The open ledger of a folder."""
    with Ledger(folder / "ledger.db") as ledger:
        yield ledger


def closed(folder: Path, quarter: str, *, note: str = "") -> Report:
    """Gather a quarter and close it; the report that was stored."""
    report = gathered(folder, quarter)
    site = sites.load(folder / "yard.toml")
    with ledger_of(folder) as ledger:
        standing = life.close(
            ledger, folder / "reports", site, report, by="officer", now_ms=NOW, note=note
        )
        return life.stored(folder / "reports", standing)


def never_read(folder: Path, meter: str, first: int, last: int) -> None:
    """Take out rows of days [first, last) since START, as if the meter had not been read then."""
    with sqlite3.connect(folder / "ledger.db") as database:
        gone = database.execute(
            "DELETE FROM intervals WHERE start_ms >= ? AND start_ms < ?"
            " AND subject = (SELECT id FROM subjects WHERE site = 'yard' AND name = ?)",
            (START + first * DAY, START + last * DAY, meter),
        )
        assert gone.rowcount == last - first
    database.close()


def amount(figures: Figures, symbol: str) -> Amount:
    """A total by its symbol."""
    return next(each for each in figures.amounts if each.symbol == symbol)
