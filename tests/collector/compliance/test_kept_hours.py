"""Hours that the ledger keeps of sensors are those that their readings give, whatever comes."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from random import Random

import pytest
from jauge_collector.compliance import intake as air
from jauge_collector.compliance import kept_hours
from jauge_collector.compliance.intake import Hours
from jauge_collector.compliance.kept_hours import Derived
from jauge_collector.ledger import retention
from jauge_collector.ledger.book import Ledger, LedgerError
from jauge_collector.ledger.kept_hours import BLOCK_MS
from jauge_collector.stores.sqlite import SqliteStore
from jauge_models.intervals import Point, Points
from jauge_models.readings import Reading
from jauge_models.resources import Series
from sqlalchemy import Connection, text

from tests.collector.ledger.bench import DAY, HOUR, MINUTE

START = BLOCK_MS * 2900
SENSORS = ("gw/sensor:a", "gw/sensor:b", "other/sensor:c")
SPAN = START + 2 * DAY, START + 30 * DAY
GAP = HOUR


class CountingStore(SqliteStore):
    """A store that tells how many readings were asked out of it."""

    given = 0

    async def read(
        self, series: Iterable[Series], start_ms: int, end_ms: int
    ) -> dict[Series, Points]:
        """As ever."""
        found = await super().read(series, start_ms, end_ms)
        self.given += sum(map(len, found.values()))
        return found


class Room:
    """Sensors, their store and the ledger."""

    def __init__(self, store: CountingStore, ledger: Ledger) -> None:
        self.store = store
        self.ledger = ledger

    async def write(self, sensor: str, points: Iterable[tuple[int, float]]) -> None:
        """Readings; nobody is told."""
        agent, _, resource = sensor.partition("/")
        series = Series("lab", agent, resource, "temperature")
        await self.store.write([Reading(series, at, value) for at, value in points])

    async def receive(self, sensor: str, points: Iterable[tuple[int, float]]) -> None:
        """Readings that come as the collector takes them: stored, then marked, then accounted."""
        points = list(points)
        await self.write(sensor, points)
        self.ledger.mark("lab", sensor.partition("/")[0], [at for at, _ in points], 1)
        self.account()

    def account(self) -> None:
        """A pass has seen to what is marked."""
        self.ledger.unmark("lab", self.ledger.marks("lab", 10**15))

    async def read(self, span: tuple[int, int] = SPAN, gap_ms: int = GAP) -> dict[str, Hours]:
        """Hours by way of the ledger."""
        return await kept_hours.read(self.store, self.ledger, "lab", SENSORS, span, gap_ms)

    async def worked_out(self, span: tuple[int, int] = SPAN, gap_ms: int = GAP) -> dict[str, Hours]:
        """Hours out of the store alone."""
        return await air.read(self.store, "lab", SENSORS, span, gap_ms)

    async def agrees(self, span: tuple[int, int] = SPAN, gap_ms: int = GAP) -> bool:
        """Whether both are the same to the last digit, and in the same order."""
        kept, read = await self.read(span, gap_ms), await self.worked_out(span, gap_ms)
        return {name: list(hours.items()) for name, hours in kept.items()} == {
            name: list(hours.items()) for name, hours in read.items()
        }

    def rows(self) -> int:
        """How many blocks are kept."""
        with self.ledger.transaction(writes=False) as connection:
            return int(
                connection.execute(text("SELECT count(content) FROM sensor_hours")).scalar_one()
            )

    async def asked(self, span: tuple[int, int] = SPAN) -> int:
        """How many readings it takes to tell the hours of a span."""
        before = self.store.given
        await self.read(span)
        return self.store.given - before


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    """A room without a reading."""
    async with CountingStore(tmp_path / "readings.db", retention_days=40000) as store:
        with Ledger(tmp_path / "ledger.db") as ledger:
            yield Room(store, ledger)


def steady(
    first: int = START, last: int = START + 35 * DAY, step: int = 10 * MINUTE
) -> list[Point]:
    """A reading every so often."""
    return [Point(at, 20.0 + (at // step) % 7 / 3) for at in range(first, last, step)]


def random_points(random: Random) -> list[Point]:
    """With holes of hours and of weeks, and odd steps; before and beyond the span too."""
    at = START + random.choice([-DAY, 0, 3 * DAY, 9 * DAY]) + random.randrange(HOUR)
    points: list[Point] = []
    while at < START + 33 * DAY:
        points.append(Point(at, random.uniform(10, 40)))
        holes = [20 * HOUR, 9 * DAY, HOUR, HOUR + 1]
        at += random.choice(holes) if random.random() < 0.02 else random.randrange(1, 40 * MINUTE)
    return points


@pytest.mark.parametrize("seed", range(12))
async def test_they_are_the_same_however_they_are_told(room: Room, seed: int) -> None:
    """Of random readings and spans, cold or kept, for two gaps, and after late readings."""
    random = Random(seed)
    for sensor in SENSORS[:2]:
        await room.write(sensor, random_points(random))
    for _ in range(6):
        shift = random.choice([0, 0, HOUR // 2, 17 * MINUTE, 5 * DAY])
        span = SPAN[0] + shift, SPAN[1] - random.choice([0, HOUR, 45 * MINUTE, 9 * DAY])
        gap = random.choice([GAP, GAP, 3 * HOUR])
        assert await room.agrees(span, gap)
        assert await room.agrees(span, gap)
        late = START + random.randrange(32 * DAY)
        await room.receive(random.choice(SENSORS), [(late, random.uniform(10, 40))])
    tiny = START + 5 * DAY + 20 * MINUTE
    assert await room.agrees((tiny, tiny + 30 * MINUTE))
    assert await room.agrees((tiny, tiny + 90 * MINUTE))
    assert await room.agrees(SPAN, 30 * DAY)
    assert room.rows()


async def test_what_is_kept_is_not_read_again(room: Room) -> None:
    """But the hour at the span's beginning; a span within needs no more."""
    await room.write(SENSORS[0], steady())
    cold = await room.asked()
    assert cold > 28 * 24 * 6
    assert await room.asked() == 6
    assert await room.asked((SPAN[0] + DAY, SPAN[1] - DAY)) == 6
    assert await room.agrees()


@pytest.mark.parametrize(
    "late",
    [
        START + 10 * DAY + 5 * MINUTE,
        START + 2 * BLOCK_MS,
        START + 2 * BLOCK_MS - 1,
        START + 2 * BLOCK_MS + HOUR,
    ],
)
async def test_a_late_reading_changes_what_it_reaches_alone(room: Room, late: int) -> None:
    """Its own block goes; the one beside it is seen to have changed where it has."""
    await room.write(SENSORS[0], (p for p in steady() if abs(p.time_ms - late) > 50 * MINUTE))
    await room.read()
    kept = room.rows()
    await room.receive(SENSORS[0], [(late, 90.0)])
    assert room.rows() == kept - 1
    assert await room.agrees()
    assert room.rows() == kept
    means = [hour.mean for hour in (await room.read())[SENSORS[0]].values()]
    assert max(means) > 23


async def test_among_the_marks_of_many_agents_none_is_overlooked(room: Room) -> None:
    """A late reading that came with those of a fleet."""
    await room.write(SENSORS[0], steady())
    await room.write(SENSORS[2], steady())
    await room.read()
    kept = room.rows()
    late = START + 10 * DAY
    await room.write(SENSORS[0], [(late + 1, 90.0)])
    fleet = {("lab", f"agent-{number}"): [late] for number in range(100)}
    room.ledger.record(fleet | {("lab", "gw"): [late]}, {}, 1)
    assert room.rows() == kept - 1
    room.account()
    assert await room.agrees()


async def test_while_a_mark_lies_nothing_is_kept_under_it(room: Room) -> None:
    """A store may take a while to show what the mark tells of."""
    await room.write(SENSORS[0], steady())
    room.ledger.mark("lab", "gw", [START + 10 * DAY], 1)
    assert await room.agrees()
    kept = room.rows()
    room.account()
    assert await room.agrees()
    assert room.rows() == kept + 1


async def test_what_comes_while_it_is_read_is_not_lost(tmp_path: Path) -> None:
    """A mark set and seen to between reading and keeping takes the claim away."""

    class Overtaken(CountingStore):
        late: list[Room]

        async def read(
            self, series: Iterable[Series], start_ms: int, end_ms: int
        ) -> dict[Series, Points]:
            found = await super().read(series, start_ms, end_ms)
            while self.late:
                await self.late.pop().receive(SENSORS[0], [(START + 10 * DAY + 1, 99.0)])
            return found

    async with Overtaken(tmp_path / "readings.db", retention_days=40000) as store:
        with Ledger(tmp_path / "ledger.db") as ledger:
            room = Room(store, ledger)
            store.late = []
            await room.write(SENSORS[0], steady())
            store.late = [room]
            early = await room.read()
            assert await room.agrees()
            assert await room.worked_out() != early


@pytest.mark.parametrize("forget", ["purge", "erase"])
async def test_what_the_store_forgot_is_not_told(room: Room, forget: str) -> None:
    """Neither of a sensor that is gone, nor of the time before what is still there."""
    await room.write(SENSORS[0], steady())
    assert len((await room.read())[SENSORS[0]]) == 28 * 24
    if forget == "purge":
        await room.store.purge(START + 12 * DAY + 40000 * DAY)
        assert len((await room.read())[SENSORS[0]]) == 18 * 24
    else:
        await room.store.erase("lab", [("gw", "sensor:a")])
        assert (await room.read())[SENSORS[0]] == {}
    assert await room.agrees()


async def test_hours_go_with_their_source_and_with_their_time(room: Room) -> None:
    """What the law has erased is nowhere; what is past its time neither."""
    for sensor in SENSORS:
        await room.write(sensor, steady())
    await room.read()
    kept = room.rows()
    retention.erase(room.ledger, "lab", [("gw", "sensor:a")], dry_run=True)
    assert room.rows() == kept
    retention.erase(room.ledger, "lab", [("gw", "sensor:a")], dry_run=False)
    assert room.rows() == kept * 2 // 3
    retention.drop_old_hours(room.ledger, "lab", START + 2 * BLOCK_MS, dry_run=False)
    assert room.rows() == kept * 2 // 3 - 4
    assert await room.agrees()


async def test_a_ledger_that_takes_nothing_is_no_failure(tmp_path: Path) -> None:
    """It is locked, or its disk is full: hours are told all the same, and nothing is kept."""

    class Full(Ledger):
        full = False

        def transaction(self, *, writes: bool) -> AbstractContextManager[Connection]:
            if writes and self.full:
                raise LedgerError("the disk is full")
            return super().transaction(writes=writes)

    async with CountingStore(tmp_path / "readings.db", retention_days=40000) as store:
        with Full(tmp_path / "ledger.db") as ledger:
            room = Room(store, ledger)
            await room.write(SENSORS[0], steady())
            ledger.full = True
            assert await room.agrees()
            assert room.rows() == 0


@pytest.mark.parametrize("seed", range(4))
async def test_derived_hours_are_those_of_what_readings_count_as(room: Room, seed: int) -> None:
    """Cold and kept, beside the plain ones of the same readings, and not mixed up with others."""
    random = Random(seed)
    points = random_points(random)
    await room.write(SENSORS[0], points)
    await room.write("plain/sensor:d", [(at, float(value > 25)) for at, value in points])
    series = "gw/sensor:a", "plain/sensor:d"
    above = Derived("above_25", lambda value: float(value > 25))
    below = Derived("below_25", lambda value: float(value <= 25))
    expected = (await air.read(room.store, "lab", series[1:], SPAN, GAP))[series[1]]
    for derived, name in ((above, series[0]), (above, series[0]), (None, series[1])):
        told = await kept_hours.read(
            room.store, room.ledger, "lab", [name], SPAN, GAP, derived=derived
        )
        assert list(told[name].items()) == list(expected.items())
    other = await kept_hours.read(
        room.store, room.ledger, "lab", series[:1], SPAN, GAP, derived=below
    )
    assert {at: hour.covered_ms for at, hour in other[series[0]].items()} == {
        at: hour.covered_ms for at, hour in expected.items()
    }
    for at, hour in other[series[0]].items():
        assert hour.mean == pytest.approx(1 - expected[at].mean)
    assert await room.agrees()
    at = START + 12 * DAY + 30 * MINUTE
    short = (at, at + 50 * MINUTE)
    told = await kept_hours.read(
        room.store, room.ledger, "lab", series[:1], short, GAP, derived=above
    )
    alone = (await air.read(room.store, "lab", series[1:], short, GAP))[series[1]]
    assert told[series[0]] == alone
    with pytest.raises(ValueError, match="too many"):
        await kept_hours.read(
            room.store, room.ledger, "lab", series[:1], SPAN, 30 * DAY, derived=above
        )


async def test_nothing_is_kept_of_time_before_the_first_reading(room: Room) -> None:
    """A year is asked for, a month is known: five blocks."""
    await room.write(SENSORS[0], steady())
    assert await room.agrees((START - 300 * DAY, START + 35 * DAY))
    assert room.rows() == 5


def test_an_older_ledger_gets_the_table(tmp_path: Path) -> None:
    """One of schema 5 is brought up to date, and works."""
    with Ledger(tmp_path / "ledger.db") as ledger, ledger.transaction(writes=True) as connection:
        connection.execute(text("DROP TABLE sensor_hours"))
        connection.execute(text("UPDATE facts SET value = 5 WHERE name = 'schema'"))
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.mark("lab", "gw", [START], 1)
        with ledger.transaction(writes=False) as connection:
            assert connection.execute(text("SELECT count(*) FROM sensor_hours")).scalar_one() == 0
            known = text("SELECT value FROM facts WHERE name = 'schema'")
            assert connection.execute(known).scalar_one() == 6
