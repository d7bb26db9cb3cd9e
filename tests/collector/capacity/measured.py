"""A plant whose nodes were measured: made-up hours in a real ledger and a real store."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from jauge_collector.capacity import past
from jauge_collector.capacity.past import Past
from jauge_collector.capacity.plant_file import DeclaredPlant, load
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.descriptions import described
from jauge_collector.ledger.rows import Row, Stretch
from jauge_collector.sites import Site, load_all
from jauge_collector.stores import Store
from jauge_collector.stores.sqlite import SqliteStore
from jauge_models.intervals import GRADE_OF, Basis, Interval
from jauge_models.readings import Reading
from jauge_models.resources import Series
from jauge_models.topology import Commodity
from jauge_models.wire import ResourceDescription

HOUR: Final = 3_600_000
NOW: Final = round(datetime(2026, 3, 2, 10, 20, tzinfo=UTC).timestamp() * 1000)
EACH_MS: Final = 120_000
"""How often a GPU is read."""

SITE: Final = """
[site]
name = "ex"
title = "Example"

[capacity]
plant = "plant.toml"

[[hosts]]
id = "n1"
feeds = ["vc/host:a", "pdu/outlet:1"]

[[hosts]]
id = "n2"
feeds = ["vc/host:b"]

[[meters]]
id = "ups"
commodity = "electricity"
feeds = ["gateway/meter:ups"]

[[equations]]
symbol = "E_IT"
place = "ups_output"
terms = [{ meter = "ups" }]
"""
PLANT: Final = """
[[kinds]]
name = "two"
gpu = "G"
gpus = 2
gpu_memory_gib = 80
slices = 7
cores = 64
memory_gib = 512
nameplate_kw = 2.0

[[kinds]]
name = "four"
gpu = "F"
gpus = 4
cores = 64
memory_gib = 512

[[rooms]]
name = "hall"
cooling_kw = 10

[[racks]]
name = "r1"
room = "hall"
power_kw = 4
supplies = [
    { name = "A", feed = "A", amperes = 10 },
    { name = "B", feed = "B", amperes = 20 },
]

[[racks]]
name = "r2"
supplies = [{ name = "A", feed = "A", amperes = 10 }]

[[nodes]]
name = "n1"
kind = "two"
rack = "r1"

[[nodes]]
name = "n2"
kind = "two"
rack = "r1"

[[nodes]]
name = "n3"
kind = "four"
rack = "r2"
host = "gw/host:3"
agent = "n3"
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """The site, its plant, and where its hours are kept."""

    site: Site
    declared: DeclaredPlant
    ledger: Ledger
    store: Store
    now_ms: int = NOW

    @property
    def end_ms(self) -> int:
        """Of the last whole hour."""
        return self.now_ms // HOUR * HOUR

    async def read(self) -> Past:
        """What the planner reads of it."""
        return await past.read(self.site, self.declared, self.ledger, self.store, self.now_ms)

    async def say(
        self, agent: str, resource: str, quantity: str, hours: Mapping[int, float]
    ) -> list[Reading]:
        """Readings of hours counted from the end (-1 is the last), each of one value."""
        series = Series(self.site.name, agent, resource, quantity)
        told = [
            Reading(series, self.end_ms + hour * HOUR + at, value)
            for hour, value in hours.items()
            # To the very end of the hour, so that a line into the next one changes nothing.
            for at in (*range(0, HOUR, EACH_MS), HOUR - 1)
        ]
        await self.store.write(told)
        return told

    def draw(
        self,
        host: str,
        hours: Mapping[int, float | None],
        *,
        basis: Basis = Basis.COUNTER,
        coverage: float = 1.0,
    ) -> None:
        """Rows of a host in the ledger: watts of hours counted from the end."""
        covered = round(HOUR * coverage)
        rows = [
            Interval(
                self.end_ms + hour * HOUR,
                self.end_ms + (hour + 1) * HOUR,
                None if watts is None else watts * covered / 1000,
                0 if watts is None else covered,
                0 if watts is None else covered,
                basis,
                GRADE_OF[basis],
            )
            for hour, watts in sorted(hours.items())
        ]
        kept = [Row(row, f"x/{host}/energy", final=True) for row in rows]
        span = rows[0].start_ms, rows[-1].end_ms
        stretch = Stretch(host, Commodity.ELECTRICITY, *span, kept)
        self.ledger.save(self.site.name, [stretch], self.now_ms)

    def describe(self, agent: str, resources: Iterable[ResourceDescription]) -> None:
        """What an agent's birth says of its resources."""
        told = described({one.id: one for one in resources})
        self.ledger.set_descriptions(self.site.name, agent, told, self.now_ms - 1000 * HOUR)


def site_of(folder: Path, site: str = SITE, plant: str = PLANT) -> tuple[Site, DeclaredPlant]:
    """The site and the plant that it declares, written to a folder."""
    (folder / "site.toml").write_text(site, encoding="utf-8")
    (folder / "plant.toml").write_text(plant, encoding="utf-8")
    (found,) = load_all([folder / "site.toml"]).values()
    return found, load(folder / "plant.toml", found.circuits, NOW)


@contextmanager
def ledger_in(folder: Path) -> Iterator[Ledger]:
    """A ledger that may be written."""
    with Ledger(folder / "ledger.db") as ledger, ledger.writer():
        yield ledger


def sqlite_in(folder: Path) -> SqliteStore:
    """A store that keeps all."""
    return SqliteStore(folder / "store.db", retention_days=20_000)


def by_hour(first: int, last: int, value: Callable[[int], float]) -> dict[int, float]:
    """A value for each hour of [first, last)."""
    return {hour: value(hour) for hour in range(first, last)}


def steady(value: float, hours: int = 6) -> dict[int, float]:
    """One value in each of the last hours."""
    return by_hour(-hours, 0, lambda _: value)
