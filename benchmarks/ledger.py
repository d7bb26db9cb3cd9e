"""What the ledger costs: an interval read back and integrated, a year recomputed, the overview."""

import asyncio
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlencode

import aiohttp
import msgspec
from jauge_collector import sites
from jauge_collector.config import StoreConfig
from jauge_collector.ledger.accounting import run_pass
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.computation import Channel, Declared, channels, compute
from jauge_collector.stores.sqlite import SqliteStore
from jauge_collector.stores.victoriametrics import VictoriaMetricsStore
from jauge_demo import scenario
from jauge_models.intervals import Interval, Points
from jauge_models.readings import Reading
from jauge_models.resources import Series
from jauge_models.topology import Commodity, Feed, Meter

from benchmarks.processes import EndedError, running, still_running
from benchmarks.rows import Better, Row, Table, say, side_by_side
from tests.parts import Mosquitto, VictoriaMetrics, eventually, free_port

INTERVAL_LIMIT_S: Final = 0.1
YEAR_LIMIT_ROWS_PER_S: Final = 1000 * 8760 / 300
"""A year of 1 000 servers' hourly rows within 5 minutes (the design's section 9)."""

_SITE: Final = "bench"
_SERIES: Final = 4000
_SAMPLES: Final = 90
_STEP_MS: Final = 10_000
_QUARTER_MS: Final = _SAMPLES * _STEP_MS
_HOUR_MS: Final = 3_600_000
_YEAR_HOURS: Final = 8760
_METERS: Final = ("mains", "ups-a", "ups-b")
_REPEATS: Final = 7
_READABLE_WITHIN_S: Final = 60.0
_REQUESTS: Final = 40
_OVERVIEW: Final = "the console's overview on the demonstration's year"


class _Sums(NamedTuple):
    """Least seconds of the ledger's way and of the store's own, and how far apart they came."""

    read_s: float
    integrate_s: float
    store_s: float
    difference: float


class _Year(NamedTuple):
    """Rows per second of computing a year first, of recomputing it, and of the arithmetic."""

    first: float
    again: float
    alone: float


async def measure(*, seconds: float, full: bool) -> Table:  # noqa: ARG001 - one signature for all
    """Each measurement with its own store, one after the other."""
    with tempfile.TemporaryDirectory(prefix="jauge-bench-") as name:
        folder = Path(name)
        sums = await _interval_from_store(folder / "interval")
        year = await _year(folder / "year")
        try:
            overview = await _overview(folder / "demo")
        except EndedError as ended:
            overview = [_no_overview(ended)]
    whole_s = sums.read_s + sums.integrate_s
    rows = [
        *side_by_side(
            f"15 min of {_SERIES} series × {_SAMPLES} samples, read back and integrated",
            whole_s,
            "s",
            [
                ("VictoriaMetrics integrating by itself, answered as JSON", sums.store_s, ""),
                ("reading back alone", sums.read_s, ""),
            ],
            better=Better.LOWER,
            limit=INTERVAL_LIMIT_S,
        ),
        *side_by_side(
            f"a year of {len(_METERS)} meters recomputed hour by hour from SQLite",
            year.again,
            "rows/s",
            [
                ("computing it the first time", year.first, ""),
                ("the arithmetic alone", year.alone, ""),
            ],
            better=Better.HIGHER,
            limit=YEAR_LIMIT_ROWS_PER_S,
        ),
        *overview,
    ]
    notes = [
        f"best of {_REPEATS} (pages: median of {_REQUESTS}); load average {os.getloadavg()[0]:.1f}",
        f"energies by VictoriaMetrics and by the ledger: {sums.difference:.1g} apart, relatively",
        "limit of the year: 1 000 servers' 8 760 hourly rows in 5 minutes",
    ]
    return Table("ledger", "The ledger: reading back, recomputing, showing", rows, notes)


# --- one interval


async def _interval_from_store(folder: Path) -> _Sums:
    end_ms = (time.time_ns() // 1_000_000 // _QUARTER_MS) * _QUARTER_MS
    start_ms = end_ms - _QUARTER_MS
    every = [Series(_SITE, f"host{number}", "host", "power") for number in range(_SERIES)]
    async with VictoriaMetrics(folder) as server:
        config = StoreConfig(kind="victoriametrics", url=server.url, settle_s=12.0)
        async with VictoriaMetricsStore(config) as store:
            for at in range(_SAMPLES + 1):
                time_ms = start_ms + at * _STEP_MS
                await store.write(
                    [Reading(s, time_ms, _watts(number, at)) for number, s in enumerate(every)]
                )
            await server.force_flush()
            await eventually(
                partial(_readable, store, every, start_ms, end_ms),
                within=_READABLE_WITHIN_S,
                what="every sample is readable",
            )
            read_s, integrate_s, joules = await _read_and_integrate(store, every, start_ms, end_ms)
            store_s, store_joules = await _by_the_store(server.url, end_ms)
    difference = abs(store_joules / joules - 1)
    say(
        f"interval: read {read_s:.3f} s, integrated {integrate_s:.3f} s;"
        f" by VictoriaMetrics {store_s:.3f} s"
    )
    return _Sums(read_s, integrate_s, store_s, difference)


def _watts(number: int, at: int) -> float:
    return round(300 + number % 200 + 40 * math.sin(at / 7 + number), 1)


async def _readable(
    store: VictoriaMetricsStore, every: Sequence[Series], start_ms: int, end_ms: int
) -> bool:
    found = await store.read(every, start_ms, end_ms + 1)
    return sum(map(len, found.values())) == _SERIES * (_SAMPLES + 1)


async def _read_and_integrate(
    store: VictoriaMetricsStore, every: Sequence[Series], start_ms: int, end_ms: int
) -> tuple[float, float, float]:
    """Least seconds of reading and of integrating, and the joules of all."""
    read: list[float] = []
    integrate: list[float] = []
    joules = 0.0
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        found = await store.read(every, start_ms, end_ms + 1)
        between = time.perf_counter()
        rows = [_row(series, points, start_ms) for series, points in found.items()]
        done = time.perf_counter()
        read.append(between - begun)
        integrate.append(done - between)
        joules = math.fsum(row.amount or 0.0 for row in rows)
    return min(read), min(integrate), joules


def _row(series: Series, points: Points, start_ms: int) -> Interval:
    """The row of one host for one quarter of an hour, as a pass computes it."""
    meter = Meter(series.agent, Commodity.ELECTRICITY, (Feed(series.agent, series.resource),))
    channel = next(c for c in channels(_SITE, meter, {}) if c.series == series)
    (provided,) = compute(Declared(meter), {channel: points}, [start_ms])
    return provided.interval


async def _by_the_store(url: str, end_ms: int) -> tuple[float, float]:
    """Least seconds of MetricsQL's integrate over the same samples, and the joules of all."""
    span = f"[{_QUARTER_MS // 1000}s]"
    query = urlencode({"query": f"integrate(jauge_power_watts{span})", "time": end_ms / 1000})
    took: list[float] = []
    joules = 0.0
    async with aiohttp.ClientSession() as session:
        for _ in range(_REPEATS):
            begun = time.perf_counter()
            async with session.get(f"{url}/api/v1/query?{query}&nocache=1") as answer:
                found = msgspec.json.decode(await answer.read())["data"]["result"]
            took.append(time.perf_counter() - begun)
            joules = math.fsum(float(series["value"][1]) for series in found)
    return min(took), joules


# --- a year


def _site(folder: Path) -> sites.Site:
    """Three meters whose registers a file brought, hour by hour."""
    folder.mkdir()
    meters = "".join(
        f'[[meters]]\nid = "{meter}"\ncommodity = "electricity"\n'
        f'feeds = ["import/meter:{meter}"]\ninterval_s = 3600\n'
        for meter in _METERS
    )
    file = folder / "site.toml"
    file.write_text(
        f'[site]\nname = "{_SITE}"\ntime_zone = "UTC"\n{meters}'
        '[[equations]]\nsymbol = "E_IT"\nplace = "ups_output"\n'
        f'terms = [{{ meter = "{_METERS[0]}" }}]\n',
        encoding="utf-8",
    )
    return sites.load(file)


async def _year(folder: Path) -> _Year:
    site = _site(folder)
    now_ms = time.time_ns() // 1_000_000
    start_ms = (now_ms // _HOUR_MS - _YEAR_HOURS - 1) * _HOUR_MS
    times = range(start_ms, start_ms + _YEAR_HOURS * _HOUR_MS + 1, _HOUR_MS)
    rows = len(_METERS) * _YEAR_HOURS
    rates: list[float] = []
    async with SqliteStore(folder / "readings.db", retention_days=4000) as store:
        for number, meter in enumerate(_METERS):
            series = Series(_SITE, "import", f"meter:{meter}", "energy")
            await store.write(
                [Reading(series, t, 3.6e6 * (1 + number) * at) for at, t in enumerate(times)]
            )
        with Ledger(folder / "ledger.db") as ledger, ledger.writer():
            for _ in range(1 + _REPEATS):
                ledger.mark(_SITE, "import", times, now_ms)
                begun = time.perf_counter()
                await run_pass(store, ledger, site, now_ms)
                rates.append(rows / (time.perf_counter() - begun))
    again = max(rates[1:])
    alone = _arithmetic_alone(times)
    say(
        f"year: {rates[0]:,.0f} rows/s first, {again:,.0f} again; the arithmetic alone {alone:,.0f}"
    )
    return _Year(rates[0], again, alone)


def _arithmetic_alone(times: range) -> float:
    """Rows per second of `compute` on readings that are in memory."""
    meter = Meter(
        "mains", Commodity.ELECTRICITY, (Feed("import", "meter:mains"),), interval_ms=_HOUR_MS
    )
    channel: Channel = channels(_SITE, meter, {})[0]
    points = Points(list(times), [3.6e6 * at for at in range(len(times))])
    took: list[float] = []
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        found = compute(Declared(meter), {channel: points}, times[:-1])
        took.append((time.perf_counter() - begun) / len(found))
    return 1 / min(took)


# --- the overview


async def _overview(folder: Path) -> list[Row]:
    """Latency of the console's first page on the demonstration's year of data."""
    port = free_port()
    async with Mosquitto(folder / "mosquitto") as broker:
        plan = scenario.prepare(
            folder, mqtt_port=broker.port, console_port=port, now_ms=scenario.now_ms()
        )
        begun = time.perf_counter()
        readings = await scenario.load_history(
            plan, now_ms=scenario.now_ms(), progress=lambda *_: None
        )
        loaded_s = time.perf_counter() - begun
        say(f"overview: {readings} readings of the demonstration loaded in {loaded_s:.1f} s")
        log = folder / "collector.log"
        argv = (sys.executable, "-m", "jauge_collector.cli", "run", "--config", str(plan.collector))
        async with running(argv, log) as process, aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{port}"

            async def answers() -> bool:
                still_running(process, log)
                try:
                    async with session.get(f"{url}/healthz") as answer:
                        return answer.status == 200
                except aiohttp.ClientConnectionError:
                    return False

            await eventually(answers, within=30, what="the console answers")
            page = await _latency(partial(_get, session, f"{url}/"))
            floor = await _latency(partial(_get, session, f"{url}/healthz"))
    say(f"overview: {page * 1000:.1f} ms, /healthz {floor * 1000:.2f} ms")
    return side_by_side(
        _OVERVIEW,
        page * 1000,
        "ms",
        [("/healthz of the same process", floor * 1000, "")],
        better=Better.LOWER,
    )


def _no_overview(reason: EndedError) -> Row:
    say(f"overview: {reason}")
    last_line = str(reason).splitlines()[-1][:120]
    return Row(_OVERVIEW, None, "ms", "–", None, Better.LOWER, note=f"collector: {last_line}")


async def _latency(ask: Callable[[], Awaitable[None]]) -> float:
    """Median seconds, one request at a time."""
    took: list[float] = []
    for _ in range(_REQUESTS):
        begun = time.perf_counter()
        await ask()
        took.append(time.perf_counter() - begun)
        await asyncio.sleep(0)
    return statistics.median(took)


async def _get(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(url) as answer:
        answer.raise_for_status()
        await answer.read()
