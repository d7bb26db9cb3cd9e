"""What every store promises, held against each of them."""

import math
import random
import time
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jauge_collector.stores import Held, LeftOut
from jauge_models.intervals import Point
from jauge_models.quantities import CATALOGUE
from jauge_models.readings import Reading
from jauge_models.resources import Series

from tests.collector.stores.conftest import Opened

NOW_MS = time.time_ns() // 1_000_000
MINUTE_MS = 60_000
DAY_MS = 86_400_000
HOST = Series("paris-1", "host-1", "host", "power")
_fresh_ms = count(NOW_MS - 300 * DAY_MS, 1_000_000)


def ramp(series: Series, start_ms: int, amount: int) -> list[Reading]:
    """One reading a minute, each with a value of its own."""
    return [Reading(series, start_ms + i * MINUTE_MS, 100.125 + i) for i in range(amount)]


async def test_round_trip_is_exact(opened: Opened) -> None:
    """Readings of any quantity come back with the same times and values, and none besides."""
    readings = [
        Reading(Series("paris-1", "host-1", "host", "power"), NOW_MS - 7, 61.007),
        Reading(Series("paris-1", "host-1", "gpu:0", "energy"), NOW_MS - 123, 123456789.001),
        Reading(Series("paris-1", "host-1", "sensor:inlet", "temperature"), NOW_MS, -12.34),
        Reading(Series("paris-1", "gw.2", "outlet:pdu3.12", "power"), NOW_MS - 1, 0.0),
        Reading(Series("paris-1", "gw.2", "meter:w-1", "water"), NOW_MS - 60_001, 1234567.654321),
        Reading(Series("paris-1", "gw.2", "meter:w-1", "water_amount"), NOW_MS, 420.694765178),
        Reading(Series("lyon", "gw.2", "meter:e", "energy"), NOW_MS, 4_444_444_404_000.0),
        Reading(Series("lyon", "gw.2", "host", "memory_used"), NOW_MS, 68_719_476_735.0),
    ]
    await opened.write(readings)
    found = await opened.store.read({r.series for r in readings}, NOW_MS - 90_000, NOW_MS + 1)
    assert found == {r.series: [Point(r.time_ms, r.value)] for r in readings}


async def test_repetition_and_order_of_arrival_change_nothing(opened: Opened) -> None:
    """Readings sent twice and shuffled are kept once and come back in time order."""
    readings = ramp(HOST, NOW_MS - 200 * MINUTE_MS, 200)
    expected = {HOST: [Point(r.time_ms, r.value) for r in readings]}
    sent = readings * 2
    random.Random(1).shuffle(sent)
    await opened.store.write(sent[:150])
    await opened.store.write(sent[150:])
    await opened.shows(readings)
    await opened.write(sent[:300])
    assert await opened.store.read([HOST], readings[0].time_ms, NOW_MS) == expected


async def test_spans_are_half_open_to_the_millisecond(opened: Opened) -> None:
    """A reading at the start of a span belongs to it, one at its end does not."""
    readings = [Reading(HOST, NOW_MS + offset, 1.0) for offset in (-2, -1, 0)]
    await opened.write(readings)

    async def times(start_ms: int, end_ms: int) -> list[int]:
        found = await opened.store.read([HOST], start_ms, end_ms)
        return [point.time_ms - NOW_MS for point in found.get(HOST, [])]

    assert await times(NOW_MS - 2, NOW_MS) == [-2, -1]
    assert await times(NOW_MS - 1, NOW_MS + 1) == [-1, 0]
    assert await times(NOW_MS, NOW_MS) == []
    assert await times(NOW_MS + 1, NOW_MS + 1000) == []


async def test_neighbours_of_a_moment(opened: Opened) -> None:
    """`before` is strictly earlier and `after` is at or later, however far away they are."""
    meter = Series("paris-1", "gw", "meter:main", "energy")
    silent = Series("paris-1", "gw", "meter:never", "energy")
    far_ms = NOW_MS - 60 * DAY_MS
    host = ramp(HOST, NOW_MS - 10 * MINUTE_MS, 10)
    meters = [Reading(meter, far_ms, 5.0), Reading(meter, NOW_MS, 7.0)]
    await opened.write([*host, *meters])
    asked = [HOST, meter, silent]
    middle = host[5]
    assert await opened.store.before(asked, middle.time_ms) == {
        HOST: Point(host[4].time_ms, host[4].value),
        meter: Point(far_ms, 5.0),
    }
    assert await opened.store.after(asked, middle.time_ms) == {
        HOST: Point(middle.time_ms, middle.value),
        meter: Point(NOW_MS, 7.0),
    }
    assert await opened.store.before(asked, far_ms) == {}
    assert await opened.store.after([meter], far_ms + 1) == {meter: Point(NOW_MS, 7.0)}
    assert await opened.store.after(asked, NOW_MS + 1) == {}


async def test_neighbours_are_found_to_the_millisecond(opened: Opened) -> None:
    """Before and after every millisecond around uneven readings, exactly what `read` gives."""
    rng = random.Random(3)
    offsets = sorted({rng.randrange(5_000) for _ in range(60)} | {rng.randrange(200)})
    readings = [Reading(HOST, NOW_MS - 9_000 + at, round(rng.uniform(0, 900), 3)) for at in offsets]
    await opened.write(readings)
    points = [Point(reading.time_ms, reading.value) for reading in readings]
    for around in rng.sample(points, 8):
        for at in range(around.time_ms - 2, around.time_ms + 3):
            earlier = [point for point in points if point.time_ms < at]
            later = [point for point in points if point.time_ms >= at]
            assert await opened.store.before([HOST], at) == ({HOST: earlier[-1]} if earlier else {})
            assert await opened.store.after([HOST], at) == ({HOST: later[0]} if later else {})


async def test_series_and_latest_are_those_of_the_site(opened: Opened) -> None:
    """A site's series are listed, and the newest reading of those not older than asked."""
    stale = Series("paris-1", "host-2", "host", "power")
    elsewhere = Series("paris-10", "host-1", "host", "power")
    readings = ramp(HOST, NOW_MS - 5 * MINUTE_MS, 5)
    old = Reading(stale, NOW_MS - DAY_MS, 3.0)
    await opened.write([*readings, old, Reading(elsewhere, NOW_MS, 9.0)])
    assert sorted(await opened.store.series("paris-1")) == [HOST, stale]
    newest = Point(readings[-1].time_ms, readings[-1].value)
    assert await opened.store.latest("paris-1", NOW_MS - 3 * MINUTE_MS) == {HOST: newest}
    assert await opened.store.latest("paris-1", newest.time_ms) == {HOST: newest}
    assert await opened.store.latest("paris-1", old.time_ms) == {
        HOST: newest,
        stale: Point(old.time_ms, 3.0),
    }
    assert await opened.store.latest("nowhere", 0) == {}
    assert await opened.store.series("nowhere") == []


async def test_the_larger_of_two_differing_values_stays(opened: Opened) -> None:
    """Which of two values of one series at one time arrives first does not matter."""
    up, down = HOST, Series("paris-1", "host-2", "host", "power")
    for first, second in ((1.5, 2.5), (2.5, 1.5)):
        await opened.store.write([Reading(up, NOW_MS, first), Reading(down, NOW_MS, second)])
    mark = Reading(Series("paris-1", "host-3", "host", "power"), NOW_MS, 1.0)
    await opened.write([mark, Reading(up, NOW_MS + 1, 0.0), Reading(down, NOW_MS + 1, 0.0)])
    found = await opened.store.read([up, down], NOW_MS, NOW_MS + 1)
    assert found == {up: [Point(NOW_MS, 2.5)], down: [Point(NOW_MS, 2.5)]}


async def test_only_the_series_asked_for_are_read(opened: Opened) -> None:
    """Series that share agent, resource, quantity or look with one asked for stay out."""
    asked = [
        Series("paris-1", "a.1", "outlet:pdu3.1", "power"),
        Series("paris-1", "a.1", "outlet:pdu3.2", "energy"),
        Series("paris-1", "b", "outlet:pdu3.1", "power"),
    ]
    others = [
        Series("paris-1", "a.1", "outlet:pdu3.1", "energy"),
        Series("paris-1", "a.1", "outlet:pdu3.2", "power"),
        Series("paris-1", "b", "outlet:pdu3.2", "energy"),
        Series("paris-1", "ax1", "outlet:pdu3.1", "power"),
        Series("paris-1", "a.1", "outlet:pdu3x1", "power"),
        Series("paris-1", "a.1", "outlet:pdu3.11", "power"),
        Series("paris-2", "a.1", "outlet:pdu3.1", "power"),
    ]
    await opened.write([Reading(key, NOW_MS, i + 0.5) for i, key in enumerate(asked + others)])
    never = Series("paris-1", "a.1", "outlet:pdu9.9", "power")
    assert await opened.store.read([*asked, never], NOW_MS, NOW_MS + 1) == {
        key: [Point(NOW_MS, i + 0.5)] for i, key in enumerate(asked)
    }
    assert await opened.store.read([], NOW_MS, NOW_MS + 1) == {}


async def test_many_series_over_many_agents_come_back_whole(opened: Opened) -> None:
    """More agents and resources than one request holds are all read, each with its own values."""
    series = [Series("paris-1", f"host-{i:04d}", "host", "power") for i in range(1200)]
    series += [Series("paris-1", "gw", f"outlet:pdu.{i}", "power") for i in range(1200)]
    readings = [Reading(key, NOW_MS - 30_000, i + 0.25) for i, key in enumerate(series)]
    await opened.write(readings)
    found = await opened.store.read(series, NOW_MS - 60_000, NOW_MS)
    assert found == {key: [Point(NOW_MS - 30_000, i + 0.25)] for i, key in enumerate(series)}


async def test_what_is_no_number_is_left_out_and_counted(opened: Opened) -> None:
    """Infinities and not-a-number never reach the store; the rest of their batch does."""
    bad = [Reading(HOST, NOW_MS + i, v) for i, v in enumerate((math.nan, math.inf, -math.inf), 1)]
    good = Reading(HOST, NOW_MS, 1.0)
    await opened.store.write([*bad, good])
    await opened.shows([good])
    assert await opened.store.read([HOST], NOW_MS, NOW_MS + 9) == {HOST: [Point(NOW_MS, 1.0)]}
    assert opened.store.left_out == {LeftOut.VALUE: 3}
    assert await opened.store.complaints() == {}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
async def test_values_rounded_as_agents_round_come_back_equal(
    opened: Opened, data: st.DataObject
) -> None:
    """Every value of a quantity with the catalogue's decimals is read back bit for bit.

    Up to 14 significant digits (12 where there are 9 decimals): no store of floats that
    compresses in decimal promises more.
    """
    entry = CATALOGUE[data.draw(st.sampled_from(sorted(CATALOGUE)))]
    most = 10.0 ** ((12 if entry.decimals > 6 else 14) - entry.decimals)
    values = data.draw(
        st.lists(
            st.floats(max(entry.low, -most), min(entry.high, most)).map(
                lambda value: round(value, entry.decimals)
            ),
            min_size=1,
            max_size=300,
        )
    )
    start_ms = next(_fresh_ms)
    series = Series("paris-1", "host-1", "meter:x", entry.name)
    readings = [Reading(series, start_ms + i, value) for i, value in enumerate(values)]
    await opened.write(readings)
    found = await opened.store.read([series], start_ms, start_ms + len(values))
    assert found == {series: [Point(r.time_ms, r.value) for r in readings]}


async def test_erasing_takes_whole_resources_and_no_other(opened: Opened) -> None:
    """All quantities of the named resources go; neighbours, also by a similar name, stay."""
    gone = [Series("paris-1", "h-1", "guest:a.1", q) for q in ("power", "energy")]
    kept = [
        Series("paris-1", "h-1", "guest:a.11", "power"),
        Series("paris-1", "h-1", "guest:ax1", "power"),
        Series("paris-1", "h-2", "guest:a.1", "power"),
        Series("paris-2", "h-1", "guest:a.1", "power"),
    ]
    await opened.write([Reading(s, NOW_MS - i, 1.0) for s in (*gone, *kept) for i in range(3)])
    sources = [("h-1", "guest:a.1")]
    assert await opened.store.held("paris-1", sources) == Held(6, NOW_MS - 2, NOW_MS)
    await opened.store.erase("paris-1", sources)
    await opened.store.reclaim(alone=False)
    found = await opened.read([*gone, *kept], NOW_MS - 10, NOW_MS + 1)
    assert found.keys() == set(kept)
    assert all(len(points) == 3 for points in found.values())
    assert await opened.store.held("paris-1", sources) == Held(0)
    await opened.store.erase("paris-1", sources)


async def test_an_erased_series_begins_anew(opened: Opened) -> None:
    """What is written after an erasure is kept, and what was there before stays gone."""
    guest = Series("paris-1", "h-1", "guest:a", "power")
    await opened.write([Reading(guest, NOW_MS - 1000, 1.0)])
    await opened.store.erase("paris-1", [("h-1", "guest:a")])
    await opened.write([Reading(guest, NOW_MS, 2.0)])
    found = await opened.read([guest], NOW_MS - 5000, NOW_MS + 1)
    assert found == {guest: [Point(NOW_MS, 2.0)]}
