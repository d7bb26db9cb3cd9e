"""What meters and totals draw now: of the first feed that tells, and nothing of a silent one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from jauge_collector.power_now import TotalNow, meters_now, totals_now
from jauge_collector.stores.sqlite import SqliteStore
from jauge_models.boundaries import Equation, Place, Symbol, Term
from jauge_models.counters import Dial
from jauge_models.readings import Reading
from jauge_models.resources import Series
from jauge_models.topology import (
    Commodity,
    Event,
    EventKind,
    Factor,
    Feed,
    Meter,
    Topology,
    Validity,
)
from jauge_models.wire import Birth, SourceDescription

NOW = 1_767_225_600_000
SECOND, MINUTE = 1000, 60_000
BIRTH = Birth("b", "1", NOW / 1000, [SourceDescription("modbus", 60.0)])


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """An empty store."""
    async with SqliteStore(tmp_path / "readings.db", retention_days=20_000) as made:
        yield made


def meter(name: str, *feeds: str, commodity: Commodity = Commodity.ELECTRICITY) -> Meter:
    """A meter with its ranked feeds, the one of its own name where none is given."""
    named = feeds or (f"gw/meter:{name}",)
    return Meter(name, commodity, tuple(Feed(*feed.split("/")) for feed in named))


async def write(
    store: SqliteStore, feed: str, quantity: str, *points: tuple[int, float], site: str = "s"
) -> None:
    """Readings, so many seconds before now."""
    agent, resource = feed.split("/")
    series = Series(site, agent, resource, quantity)
    await store.write([Reading(series, NOW - ago * SECOND, value) for ago, value in points])


async def powers(
    store: SqliteStore, topology: Topology, births: tuple[str, ...] = ("gw",)
) -> object:
    """W by meter."""
    return await meters_now("s", topology, dict.fromkeys(births, BIRTH), store, NOW)


async def test_a_power_is_the_newest_one_with_the_factor_of_now(store: SqliteStore) -> None:
    """Raw values are kept as received; the factor in force applies."""
    old = Factor(1000.0, Validity(None, NOW - MINUTE))
    mains = Meter(
        "mains",
        Commodity.ELECTRICITY,
        (Feed("gw", "meter:mains"),),
        factors=(old, Factor(40.0, Validity(NOW - MINUTE, None))),
    )
    await write(store, "gw/meter:mains", "power", (70, 9.0), (10, 2.5))
    assert await powers(store, Topology((mains,))) == {"mains": 100.0}


async def test_a_register_gives_the_mean_since_its_reading_before(store: SqliteStore) -> None:
    """Heat too; a jump beyond the rating, and a register that fell, are not believed."""
    rated = [
        Meter(name, Commodity.ELECTRICITY, (Feed("gw", f"meter:{name}"),), dial=Dial(rating=1e4))
        for name in ("good", "jump", "fell")
    ]
    heat = meter("heat", commodity=Commodity.HEAT)
    for name, then, now in (("good", 1e6, 1.06e6), ("jump", 1e6, 1e9), ("fell", 2e6, 1e6)):
        await write(store, f"gw/meter:{name}", "energy", (70, then), (10, now))
    await write(store, "gw/meter:heat", "heat", (70, 0.0), (10, 120_000.0))
    await write(store, "gw/meter:lone", "energy", (10, 5.0))
    found = await powers(store, Topology((*rated, heat, meter("lone"))))
    assert found == {"good": pytest.approx(1000.0), "heat": pytest.approx(2000.0)}


async def test_an_amount_is_spread_over_its_period(store: SqliteStore) -> None:
    """Over the seconds that end at its time stamp."""
    await write(store, "gw/meter:a", "energy_amount", (10, 7.2e6))
    assert await powers(store, Topology((meter("a"),))) == {"a": 2000.0}


async def test_the_first_feed_that_tells_of_late_counts(store: SqliteStore) -> None:
    """The best one is silent for longer than one and a half of its periods."""
    await write(store, "gw/meter:best", "power", (96, 1.0))
    await write(store, "gw/meter:next", "power", (94, 2.0))
    topology = Topology((meter("m", "gw/meter:best", "gw/meter:next"),))
    assert await powers(store, topology) == {"m": 2.0}
    await write(store, "gw/meter:best", "power", (94, 3.0))
    assert await powers(store, topology) == {"m": 3.0}


async def test_what_is_silent_or_is_no_power_is_left_out(store: SqliteStore) -> None:
    """No zero; water never, and no meter that does not hold today."""
    await write(store, "gw/meter:late", "power", (600, 5.0))
    await write(store, "gw/meter:water", "water", (70, 1.0), (10, 2.0))
    await write(store, "gw/meter:gone", "power", (10, 5.0))
    gone = Meter(
        "gone", Commodity.ELECTRICITY, (Feed("gw", "meter:gone"),), validity=Validity(None, NOW)
    )
    water = meter("water", commodity=Commodity.WATER)
    assert await powers(store, Topology((meter("late"), water, gone))) == {}


@pytest.mark.parametrize(
    ("kind", "subject", "shown"),
    [
        (EventKind.BYPASS, "ups", False),
        (EventKind.GENERATOR_TEST, "", False),
        (EventKind.BYPASS, "meter:ups", False),
        (EventKind.BYPASS, "other", True),
        (EventKind.MAINTENANCE, "ups", True),
    ],
)
async def test_a_zero_in_a_bypass_is_not_measured(
    store: SqliteStore, kind: EventKind, subject: str, shown: bool
) -> None:
    """Of the meter concerned, and of no other; a maintenance blinds none."""
    await write(store, "gw/meter:ups", "power", (10, 0.0))
    event = Event(kind, Validity(NOW - MINUTE, NOW + MINUTE), subject)
    found = await powers(store, Topology((meter("ups"),), events=(event,)))
    assert found == ({"ups": 0.0} if shown else {})


def test_a_total_is_its_equation_of_now() -> None:
    """Signs and factors; a term of last year plays no part."""
    topology = Topology((meter("in"), meter("office"), meter("it")))
    equations = [
        Equation(
            Symbol.E_DC,
            (
                Term("in"),
                Term("office", sign=-1, factor=0.5),
                Term("it", validity=Validity(None, NOW)),
            ),
        ),
        Equation(Symbol.E_IT, (Term("it"),), place=Place.UPS_OUTPUT),
    ]
    told = {"in": 100.0, "office": 20.0, "it": 60.0}
    assert totals_now(topology, equations, told, NOW) == [
        TotalNow("E_DC", "", "", 90.0),
        TotalNow("E_IT", "", "ups_output", 60.0),
    ]
    del told["office"]
    assert [total.symbol for total in totals_now(topology, equations, told, NOW)] == ["E_IT"]
