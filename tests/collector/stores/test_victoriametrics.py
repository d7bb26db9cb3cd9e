"""VictoriaMetrics as the store: its flags, its restarts, and lines that it refuses."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from jauge_collector.config import StoreConfig
from jauge_collector.stores import LeftOut, StoreError, UnfitStoreError
from jauge_collector.stores.victoriametrics import VictoriaMetricsStore
from jauge_models.intervals import Point
from jauge_models.readings import Reading
from jauge_models.resources import Series

from tests.collector.stores.conftest import Opened
from tests.parts import VictoriaMetrics, eventually

pytestmark = pytest.mark.end_to_end

NOW_MS = time.time_ns() // 1_000_000
DAY_MS = 86_400_000
HOST = Series("paris-1", "host-1", "host", "power")


def power(agent: str) -> Series:
    """The power of a host."""
    return Series("paris-1", agent, "host", "power")


@pytest.fixture
async def store(victoria_metrics: VictoriaMetrics) -> AsyncIterator[VictoriaMetricsStore]:
    """A store on the test's own server."""
    async with VictoriaMetricsStore(StoreConfig(url=victoria_metrics.url)) as opened:
        yield opened


async def test_a_series_has_four_labels_and_the_catalogues_name(
    victoria_metrics: VictoriaMetrics, store: VictoriaMetricsStore
) -> None:
    """The client adds no label of its own, such as one for the bucket."""
    outlet = Series("paris-1", "gw.2", "outlet:pdu3.12", "energy")
    await Opened(store, victoria_metrics).write([Reading(outlet, NOW_MS, 2.5)])
    exported = await victoria_metrics.export('{__name__!=""}', NOW_MS, NOW_MS)
    assert {key: points for key, points in exported.items() if "jauge" in key} == {
        json.dumps(
            {
                "__name__": "jauge_energy_joules_total",
                "agent": "gw.2",
                "kind": "outlet",
                "resource": "outlet:pdu3.12",
                "site": "paris-1",
            }
        ): [(NOW_MS, 2.5)]
    }


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (
            {"dedup.minScrapeInterval": "0s"},
            (
                r"flag -dedup\.minScrapeInterval is '0s': start VictoriaMetrics with"
                r" -dedup\.minScrapeInterval=1ms"
            ),
        ),
        (
            {"retentionPeriod": "1"},
            (
                r"flag -retentionPeriod is '1': 31 days are less than"
                r" store\.minimum_retention_days = 400; start VictoriaMetrics with"
                r" -retentionPeriod=800d"
            ),
        ),
        (
            {"inmemoryDataFlushInterval": "10s"},
            (
                r"flag -inmemoryDataFlushInterval is '10s': store\.settle_s = 30 is less than"
                r" it takes to be durable; set store\.settle_s = 50"
            ),
        ),
        (
            {"influxMeasurementFieldSeparator": "."},
            (
                r"flag -influxMeasurementFieldSeparator is '\.': start VictoriaMetrics with"
                r" -influxMeasurementFieldSeparator=_"
            ),
        ),
    ],
    ids=["dedup", "retention", "flush", "names"],
)
async def test_an_unfit_server_is_refused(
    victoria_metrics: VictoriaMetrics, flags: dict[str, str], says: str
) -> None:
    """A flag that would lose or double data is refused with its name, its value and the fix."""
    await victoria_metrics.stop()
    victoria_metrics.flags |= flags
    await victoria_metrics.start()
    with pytest.raises(UnfitStoreError, match=says) as refused:
        async with VictoriaMetricsStore(StoreConfig(url=victoria_metrics.url)):
            pass
    assert str(refused.value).startswith(victoria_metrics.url)


@pytest.mark.parametrize(("flag", "days"), [("800d", 800), ("14", 434), ("2y", 730), ("60w", 420)])
async def test_the_retention_is_read_from_the_server(
    victoria_metrics: VictoriaMetrics, flag: str, days: int
) -> None:
    """`oldest_kept_ms` follows -retentionPeriod, which counts months without a unit."""
    await victoria_metrics.stop()
    victoria_metrics.flags["retentionPeriod"] = flag
    await victoria_metrics.start()
    async with VictoriaMetricsStore(StoreConfig(url=victoria_metrics.url)) as store:
        assert await store.oldest_kept_ms(NOW_MS) == NOW_MS - days * DAY_MS + 3_600_000


async def test_a_restart_is_another_generation(
    victoria_metrics: VictoriaMetrics, store: VictoriaMetricsStore
) -> None:
    """A kill and a restart, however quick, are noticed; what was durable is still read."""
    first = await store.generation()
    assert await store.generation() == first
    await Opened(store, victoria_metrics).write([Reading(HOST, NOW_MS, 1.0)])
    await victoria_metrics.restart()
    second = await store.generation()
    assert second != first
    await victoria_metrics.kill()
    with pytest.raises(StoreError):
        await store.generation()
    await victoria_metrics.start()
    assert await store.generation() not in {first, second}
    await Opened(store, victoria_metrics).shows([Reading(HOST, NOW_MS, 1.0)])


async def test_a_server_that_comes_back_unfit_is_refused(
    victoria_metrics: VictoriaMetrics, store: VictoriaMetricsStore
) -> None:
    """Started again without deduplication: nothing may be written until that is mended."""
    await store.generation()
    flag = victoria_metrics.flags.pop("dedup.minScrapeInterval")
    await victoria_metrics.restart()
    for _ in range(2):
        with pytest.raises(UnfitStoreError, match=r"dedup\.minScrapeInterval"):
            await store.generation()
    victoria_metrics.flags["dedup.minScrapeInterval"] = flag
    await victoria_metrics.restart()
    assert await store.generation()


async def test_a_server_that_is_away_is_a_store_error(
    victoria_metrics: VictoriaMetrics, store: VictoriaMetricsStore
) -> None:
    """Every call fails with StoreError naming the address, and works again once it is back."""
    reading = Reading(HOST, NOW_MS, 1.0)
    await victoria_metrics.kill()
    for call in (
        store.write([reading]),
        store.read([HOST], NOW_MS, NOW_MS + 1),
        store.before([HOST], NOW_MS),
        store.after([HOST], NOW_MS),
        store.series("paris-1"),
        store.latest("paris-1", NOW_MS),
        store.complaints(),
    ):
        with pytest.raises(StoreError, match=victoria_metrics.url):
            await call
    assert store.left_out == {}
    await victoria_metrics.start()
    await Opened(store, victoria_metrics).write([reading])


async def test_opening_may_be_tried_again(victoria_metrics: VictoriaMetrics) -> None:
    """Opening fails by StoreError while no server answers, and succeeds once one does."""
    await victoria_metrics.stop()
    store = VictoriaMetricsStore(StoreConfig(url=victoria_metrics.url))
    for _ in range(2):
        with pytest.raises(StoreError, match=victoria_metrics.url):
            async with store:
                pass
    await victoria_metrics.start()
    async with store:
        await Opened(store, victoria_metrics).write([Reading(HOST, NOW_MS, 1.0)])
    for call in (store.write([Reading(HOST, NOW_MS, 1.0)]), store.series("paris-1")):
        with pytest.raises(StoreError, match="not open"):
            await call


async def test_a_wrong_path_gives_nothing_up(victoria_metrics: VictoriaMetrics) -> None:
    """VictoriaMetrics answers 400 to an unknown path too: that must not cost a single reading."""
    config = StoreConfig(url=victoria_metrics.url, write_url=f"{victoria_metrics.url}/nowhere")
    async with VictoriaMetricsStore(config) as store:
        with pytest.raises(StoreError, match="/nowhere refuses every line"):
            await store.write([Reading(HOST, NOW_MS, 1.0)])
        assert store.left_out == {}


async def test_a_bad_line_is_found_and_left_out(
    victoria_metrics: VictoriaMetrics, store: VictoriaMetricsStore
) -> None:
    """A line that the server cannot parse costs itself alone; it is counted and shown."""
    readings = [Reading(power(f"host-{i}"), NOW_MS, i + 0.5) for i in range(500)]
    broken = [readings[17], readings[400]]
    for reading in broken:
        store._lines._prefixes[reading.series] = "jauge,site=paris-1,agent=a b c=d e="
    good = [reading for reading in readings if reading not in broken]
    await store.write(readings)
    await Opened(store, victoria_metrics).shows(good)
    found = await store.read([reading.series for reading in readings], NOW_MS, NOW_MS + 1)
    assert found == {reading.series: [Point(NOW_MS, reading.value)] for reading in good}
    assert store.left_out == {LeftOut.LINE: 2}
    assert "agent=a b c=d" in store._lines.examples[LeftOut.LINE]


async def test_a_server_that_takes_no_line_at_all_is_at_fault(store: VictoriaMetricsStore) -> None:
    """Where every line is refused none is given up: the write fails and may be repeated."""
    readings = [Reading(power(f"host-{i}"), NOW_MS, 1.0) for i in range(5)]
    for reading in readings:
        store._lines._prefixes[reading.series] = "jauge,site=paris-1,agent=a b c=d e="
    with pytest.raises(StoreError, match="refuses every line"):
        await store.write(readings)
    assert store.left_out == {}


async def test_no_line_is_built_from_a_name_off_the_pattern(
    victoria_metrics: VictoriaMetrics, store: VictoriaMetricsStore
) -> None:
    """Names with line protocol's own signs, or unknown quantities, are left out and counted."""
    bad = [
        Series("paris 1", "host-1", "host", "power"),
        Series("paris-1", "host,1", "host", "power"),
        Series("paris-1", "host-1", "host power=1\nx", "power"),
        Series("paris-1", "host-1", "host", "power_watts=1,x"),
        Series("", "host-1", "host", "power"),
    ]
    good = Reading(HOST, NOW_MS, 1.0)
    await store.write([*(Reading(series, NOW_MS, 2.0) for series in bad), good])
    await Opened(store, victoria_metrics).shows([good])
    assert store.left_out == {LeftOut.NAME: len(bad)}
    assert await store.complaints() == {}
    assert await store.read([*bad, HOST], NOW_MS, NOW_MS + 1) == {HOST: [Point(NOW_MS, 1.0)]}


async def complains(store: VictoriaMetricsStore, rows: int) -> None:
    """Return once the store complains of exactly so many rows; its counters lag by a second."""

    async def it_does() -> bool:
        return sum((await store.complaints()).values()) == rows

    await eventually(it_does, within=10, what=f"{rows} rows are complained of")


async def test_rows_that_the_server_ignores_are_complained_of(
    victoria_metrics: VictoriaMetrics,
) -> None:
    """A reading past the retention gets a 204 and vanishes; that shows, across a restart too."""
    await victoria_metrics.stop()
    victoria_metrics.flags["retentionPeriod"] = "400d"
    await victoria_metrics.start()
    line = Reading(HOST, NOW_MS - 500 * DAY_MS, 1.0)
    async with VictoriaMetricsStore(StoreConfig(url=victoria_metrics.url)) as earlier:
        await earlier.write([line])
        await complains(earlier, 1)
        assert set(await earlier.complaints()) == {
            'vm_rows_ignored_total{reason="small_timestamp"}'
        }
        async with VictoriaMetricsStore(StoreConfig(url=victoria_metrics.url)) as later:
            assert await later.complaints() == {}
            await victoria_metrics.restart()
            assert await later.complaints() == {}
            await complains(earlier, 1)
            await later.write([line])
            await complains(later, 1)
        await complains(earlier, 2)


async def test_other_paths_serve_a_cluster(victoria_metrics: VictoriaMetrics) -> None:
    """Writing, reading and flags may each have an address of their own, as in a cluster."""
    config = StoreConfig(
        url="http://127.0.0.1:9",
        write_url=f"{victoria_metrics.url}/influx",
        read_url=f"{victoria_metrics.url}/prometheus/",
        metrics_urls=[victoria_metrics.url, victoria_metrics.url],
    )
    async with VictoriaMetricsStore(config) as store:
        await Opened(store, victoria_metrics).write([Reading(HOST, NOW_MS, 1.0)])
        assert await store.series("paris-1") == [HOST]
        assert len(set((await store.generation()).split(","))) == 1


async def test_what_others_write_does_not_disturb(
    victoria_metrics: VictoriaMetrics, store: VictoriaMetricsStore
) -> None:
    """Series with other labels or names are passed over, and an infinity among ours too."""
    tags = "jauge,site=paris-1,agent=host-1,kind=host,resource=host"
    foreign = (
        f"{tags} kpi_pue=1.2 {NOW_MS}\n{tags},room=1 power_watts=7 {NOW_MS}\n"
        f"{tags} power_watts=inf {NOW_MS + 1}\n"
    )
    status, _ = await victoria_metrics.request("POST", "/write?precision=ms", foreign.encode())
    assert status == 204
    await Opened(store, victoria_metrics).write([Reading(HOST, NOW_MS, 1.0)])

    async def infinity_is_there() -> bool:
        exported = await victoria_metrics.export(
            '{__name__="jauge_power_watts",room=""}', NOW_MS, NOW_MS + 1
        )
        return [len(points) for points in exported.values()] == [2]

    await eventually(infinity_is_there, within=20, what="the infinity is exported")
    assert await store.read([HOST], NOW_MS, NOW_MS + 2) == {HOST: [Point(NOW_MS, 1.0)]}
    assert await store.latest("paris-1", NOW_MS) == {HOST: Point(NOW_MS, 1.0)}
    assert await store.before([HOST], NOW_MS + 2) == {HOST: Point(NOW_MS, 1.0)}
    assert await store.after([HOST], NOW_MS + 1) == {}
    assert await store.series("paris-1") == [HOST]


@pytest.mark.parametrize("cut", [1, 7, 100, 4096])
async def test_the_body_of_an_export_may_come_in_any_pieces(
    victoria_metrics: VictoriaMetrics,
    store: VictoriaMetricsStore,
    monkeypatch: pytest.MonkeyPatch,
    cut: int,
) -> None:
    """Cut within lines, between them, or with an infinity among ours in one piece with others."""
    readings = [
        Reading(power(f"host-{i}"), NOW_MS + at, i + at / 2) for i in range(9) for at in range(40)
    ]
    await Opened(store, victoria_metrics).write(readings)
    tags = "jauge,site=paris-1,agent=host-4,kind=host,resource=host"
    foreign = f"{tags} power_watts=inf {NOW_MS + 40}\n"
    status, _ = await victoria_metrics.request("POST", "/write?precision=ms", foreign.encode())
    assert status == 204

    async def infinity_is_there() -> bool:
        selector = '{__name__="jauge_power_watts",agent="host-4"}'
        exported = await victoria_metrics.export(selector, NOW_MS, NOW_MS + 40)
        return [len(points) for points in exported.values()] == [41]

    await eventually(infinity_is_there, within=20, what="the infinity is exported")
    request = store._request

    async def in_pieces(method: str, url: str, form: list[tuple[str, str]]) -> AsyncIterator[bytes]:
        body = b"".join([chunk async for chunk in request(method, url, form)])
        for at in range(0, len(body), cut):
            yield body[at : at + cut]

    monkeypatch.setattr(store, "_request", in_pieces)
    found = await store.read({reading.series for reading in readings}, NOW_MS, NOW_MS + 41)
    assert found == {
        power(f"host-{i}"): [Point(NOW_MS + at, i + at / 2) for at in range(40)] for i in range(9)
    }


async def test_neighbours_of_thousands_of_series_take_few_requests(
    victoria_metrics: VictoriaMetrics, store: VictoriaMetricsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ten years kept and nothing to be found, a search is a handful of requests."""
    known = [Reading(power(f"host-{i}"), NOW_MS, i + 0.5) for i in range(2000)]
    never = [reading.series._replace(quantity="energy") for reading in known]
    series = [*never, *(reading.series for reading in known)]
    await Opened(store, victoria_metrics).write(known)
    asked: list[str] = []
    request = store._request

    def counted(method: str, url: str, form: list[tuple[str, str]] | None) -> AsyncIterator[bytes]:
        asked.append(url)
        return request(method, url, form)

    monkeypatch.setattr(store, "_request", counted)
    assert await store.before(series, NOW_MS) == {}
    assert await store.after(series, NOW_MS - 3000 * DAY_MS) == {
        reading.series: Point(NOW_MS, reading.value) for reading in known
    }
    assert len(asked) <= 16


async def test_a_search_is_cut_down_to_what_the_server_reads_at_once(
    victoria_metrics: VictoriaMetrics,
) -> None:
    """Where a window holds more samples than one query may read, its halves are searched."""
    readings = [Reading(HOST, NOW_MS - 300 * DAY_MS + i * 300_000, i + 0.5) for i in range(60_000)]
    async with VictoriaMetricsStore(StoreConfig(url=victoria_metrics.url)) as store:
        await Opened(store, victoria_metrics).write(readings)
        await victoria_metrics.stop()
        victoria_metrics.flags["search.maxSamplesPerQuery"] = "20000"
        await victoria_metrics.start()
        with pytest.raises(StoreError, match="maxSamplesPerQuery"):
            await store.read([HOST], readings[0].time_ms, NOW_MS)
        first, last = (Point(readings[at].time_ms, readings[at].value) for at in (0, -1))
        assert await store.before([HOST], NOW_MS) == {HOST: last}
        assert await store.after([HOST], NOW_MS - 900 * DAY_MS) == {HOST: first}


async def test_a_batch_larger_than_one_request_is_written_whole(
    tmp_path: Path, victoria_metrics: VictoriaMetrics, store: VictoriaMetricsStore
) -> None:
    """Names of full length and many readings make several requests, and every reading arrives."""
    long = Series("s" * 128, "a" * 128, "outlet:" + "r" * 121, "energy_amount")
    readings = [Reading(long, NOW_MS - i, i + 0.5) for i in range(9000)]
    await Opened(store, victoria_metrics).write(readings)
    found = await store.read([long], NOW_MS - 9000, NOW_MS + 1)
    assert found == {long: [Point(r.time_ms, r.value) for r in reversed(readings)]}
