"""Whatever the collector's clock does, an answered batch reaches the ledger.

Store and ledger are real, only the clock is made.
"""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
from jauge_collector.checks import FUTURE_MS
from jauge_collector.clock import OwnClock
from jauge_collector.ledger.accounting import PassResult, run_pass
from jauge_collector.ledger.marks import FROM_AHEAD_MS
from jauge_collector.marks import RIDE_MS, Marks
from jauge_models.readings import Reading
from jauge_models.resources import Series
from jauge_models.wire import Address

from tests.collector.ledger.bench import DAY, HOUR, KWH, MINUTE, QUARTER, START, Bench

AGENT = Address("lab", "gw")
SERIES = Series("lab", "gw", "meter:mains", "energy")
SETTLE_S = 30.0
SETTLED_S = SETTLE_S + (RIDE_MS + 2 * FROM_AHEAD_MS) / 1000


class World:
    """A collector that stores, marks and passes, while its clock is set now and then.

    What the store was given is readable only `SETTLE_S` later, as VictoriaMetrics has it.
    """

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.monotonic_s = 5_000.0
        self.off_ms = 0
        self.clock = OwnClock(self.now_ms, self.monotonic, lambda: None)
        self.marks = Marks(clock=self.monotonic)
        self.written: list[tuple[float, Reading]] = []
        self.answered: list[int] = []

    def monotonic(self) -> float:
        """Seconds that nobody sets."""
        return self.monotonic_s

    def now_ms(self) -> int:
        """The wall clock, as far off as it is."""
        return START + 2 * DAY + self.off_ms + round(1000 * self.monotonic_s)

    def batch(self, minute: int) -> None:
        """Take a reading, as `Ingest` does; one too far ahead is refused and comes again."""
        time_ms = START + minute * MINUTE
        if time_ms > self.now_ms() + FUTURE_MS:
            return
        value = KWH * (1 + minute / 60)
        self.written.append((self.monotonic_s + SETTLE_S, Reading(SERIES, time_ms, value)))
        self.marks.note(AGENT, [time_ms], time_ms)
        if self.marks.waiting:
            due = self.marks.take(self.now_ms())
            self.bench.ledger.record(due.arrived, due.oldest_ms, due.stamp_ms, due.wrong_clocks)
            self.marks.written(due)
        self.answered.append(time_ms)

    async def account(self) -> PassResult:
        """One pass over what is readable by now."""
        readable = [reading for at_s, reading in self.written if at_s <= self.monotonic_s]
        self.written = [one for one in self.written if one[0] > self.monotonic_s]
        await self.bench.store.write(readable)
        self.clock.look()
        return await run_pass(
            self.bench.store,
            self.bench.ledger,
            self.bench.site,
            self.now_ms(),
            steady_s=self.clock.steady_s,
        )

    async def come_to_rest(self) -> None:
        """The clock is right again, and stays so."""
        self.off_ms = 0
        await self.account()
        for _ in range(3):
            self.monotonic_s += SETTLED_S
            await self.account()


_ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("batch"), st.integers(0, 2 * 60)),
        st.tuples(st.just("set"), st.sampled_from([-3 * DAY, -HOUR, -90_000, -7_000, 0])),
        st.tuples(st.just("set"), st.sampled_from([7_000, 90_000, HOUR, DAY, 1000 * DAY])),
        st.tuples(st.just("wait"), st.sampled_from([1, 5, 11, 35, 75, 200])),
        st.tuples(st.just("pass"), st.just(0)),
    ),
    min_size=3,
    max_size=14,
)


@settings(max_examples=40, deadline=None)
@given(actions=_ACTIONS)
@example(  # set back: later batches must not ride on a mark that is long gone
    [
        *(("set", DAY), ("batch", 1), ("wait", 200), ("pass", 0), ("set", 0), ("pass", 0)),
        *(("wait", 200), ("pass", 0), ("batch", 2), ("batch", 3), ("batch", 4)),
    ]
)
@example(  # set forward: a mark looks settled while its reading is not readable yet
    [("wait", 200), ("batch", 1), ("batch", 2), ("wait", 1), ("set", HOUR), ("pass", 0)]
)
@example(  # set back behind the readings: no row is computed there yet
    [
        *(("batch", 1), ("batch", 100), ("set", -3 * DAY), ("pass", 0), ("wait", 200)),
        *(("pass", 0), ("wait", 200), ("pass", 0)),
    ]
)
def test_an_answered_batch_reaches_the_ledger_whatever_the_clock_does(
    actions: list[tuple[str, int]],
) -> None:
    """Once it is right again the rows are those of all that was answered, and no mark stays."""

    async def lived() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with Bench(Path(folder), settle_s=SETTLE_S) as bench:
                world = World(bench)
                for what, value in actions:
                    if what == "batch":
                        world.batch(value)
                    elif what == "set":
                        world.off_ms = value
                    elif what == "wait":
                        world.monotonic_s += value
                    else:
                        await world.account()
                await world.come_to_rest()
                assert bench.ledger.marks("lab", world.now_ms() + 10_000 * DAY) == []
                found = bench.rows()
                if len(set(world.answered)) > 1:
                    assert found, "something was answered"
                bench.ledger.mark_meter("lab", "mains", START, None, world.now_ms())
                await world.account()
                assert bench.rows() == found, "nothing was missing"

    asyncio.run(lived())


async def test_a_day_of_a_clock_that_was_a_day_ahead_is_whole(tmp_path: Path) -> None:
    """Twenty-five batches came after it was set right, for a mark that it had set and seen to."""
    async with Bench(tmp_path, settle_s=SETTLE_S) as bench:
        world = World(bench)
        world.off_ms = DAY
        for minute in range(5):
            world.batch(minute)
        world.monotonic_s += SETTLED_S
        await world.account()
        world.off_ms = 0
        world.monotonic_s += 60
        for minute in range(5, 16):
            world.batch(minute)
        await world.come_to_rest()
        (row, *_) = bench.rows()
        assert (row.start_ms, row.covered_ms) == (START, QUARTER)
