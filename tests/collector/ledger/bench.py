"""A small site with a real embedded store and a ledger, for tests of what the ledger computes."""

from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from jauge_collector import sites
from jauge_collector.ledger.accounting import PassResult, run_pass
from jauge_collector.ledger.book import Ledger
from jauge_collector.sites import Site
from jauge_collector.stores.sqlite import SqliteStore
from jauge_models.intervals import Interval
from jauge_models.readings import Reading
from jauge_models.resources import Series

MINUTE: Final = 60_000
QUARTER: Final = 15 * MINUTE
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
START: Final = 1_767_225_600_000
"""2026-01-01T00:00Z; a multiple of every interval length."""
KWH: Final = 3.6e6

MAINS: Final = """
[[meters]]
id = "mains"
commodity = "electricity"
feeds = ["gw/meter:mains"]
rated_power_w = 100000
dial = { modulus = 1000, resolution = 0.01 }
"""


def write_site(folder: Path, meters: str = MAINS, more: str = "") -> Path:
    """A site file named ``lab`` with the given tables; every total is that of its first meter."""
    path = folder / "lab.toml"
    first = meters.split('id = "', 1)[1].split('"', 1)[0]
    path.write_text(
        f"""
[site]
name = "lab"
time_zone = "UTC"
{meters}
[[equations]]
symbol = "E_IT"
place = "pdu_output"
terms = [{{ meter = "{first}" }}]
{more}
""",
        encoding="utf-8",
    )
    return path


class Bench:
    """Store, ledger and site; ``now_ms`` is the only clock."""

    def __init__(
        self,
        folder: Path,
        meters: str = MAINS,
        more: str = "",
        *,
        retention_days: float = 4000.0,
        settle_s: float = 0.0,
    ) -> None:
        self.folder = folder
        self.file = write_site(folder, meters, more)
        self.site: Site = sites.load(self.file)
        self.store = SqliteStore(folder / "readings.db", retention_days=retention_days)
        self.store.settle_s = settle_s
        self.ledger = Ledger(folder / "ledger.db")
        self.now_ms = START + 2 * DAY
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.store)
        self._stack.enter_context(self.ledger)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def declare(self, meters: str, more: str = "") -> None:
        """Change the site file."""
        self.site = sites.load(write_site(self.folder, meters, more))

    async def receive(
        self,
        points: Iterable[tuple[int, float]],
        *,
        agent: str = "gw",
        resource: str = "meter:mains",
        quantity: str = "energy",
    ) -> None:
        """Store and mark readings as the subscriber does; times are ms after START."""
        series = Series("lab", agent, resource, quantity)
        readings = [Reading(series, START + at, value) for at, value in points]
        await self.store.write(readings)
        self.ledger.mark("lab", agent, [r.time_ms for r in readings], self.now_ms)

    async def account(self, now: int | None = None) -> PassResult:
        """One pass, at ``now`` ms after START where given."""
        if now is not None:
            self.now_ms = START + now
        return await run_pass(self.store, self.ledger, self.site, self.now_ms)

    def rows(self, meter: str = "mains", start: int = 0, end: int = 30 * DAY) -> list[Interval]:
        """Current rows; times are ms after START."""
        return self.ledger.rows("lab", [meter], START + start, START + end)[meter]

    def row(self, at: int, meter: str = "mains") -> Interval:
        """The current row that begins ``at`` ms after START."""
        found = [row for row in self.rows(meter, at, at + 1) if row.start_ms == START + at]
        assert len(found) == 1, f"rows at {at}: {found}"
        return found[0]
