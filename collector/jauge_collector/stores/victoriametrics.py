"""VictoriaMetrics as the store: lines in, raw samples back out of its export interface."""

import asyncio
import math
import re
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from enum import StrEnum
from itertools import islice
from types import TracebackType
from typing import Final, Self, TypeVar

import aiohttp
import msgspec
from jauge_models.effectiveness import DAY_MS
from jauge_models.intervals import Point, Points
from jauge_models.quantities import CATALOGUE, Quantity
from jauge_models.readings import Reading
from jauge_models.resources import Series, is_name, kind_of

from jauge_collector.config import StoreConfig
from jauge_collector.stores import (
    Held,
    LeftOut,
    Source,
    StoreError,
    UnfitStoreError,
)
from jauge_collector.stores.lines import LineWriter

_Answered = TypeVar("_Answered")

_HOUR_MS: Final = 3_600_000
_AHEAD_MS: Final = 2 * DAY_MS
"""VictoriaMetrics ignores what is stamped further ahead than this."""
_RETENTION_MARGIN_MS: Final = _HOUR_MS
"""Kept from the end of the retention: what lies beyond it gets a 204 and vanishes."""
_WIDENING: Final = 8
"""Each window of a search over the one before it: ten years are seven windows."""
_LEAST_WINDOW_MS: Final = _HOUR_MS
_REFUSES_AS_TOO_MUCH: Final = frozenset({422, 503})

_NAMES_PER_SELECTOR: Final = 500
_SELECTORS_PER_REQUEST: Final = 50
_TIMEOUT: Final = aiohttp.ClientTimeout(total=240.0, connect=10.0, sock_read=60.0)
"""For what a pass or a person reads; less than a pass may take between two signs of life."""
_PROBE_TIMEOUT: Final = aiohttp.ClientTimeout(total=5.0)
"""For ``/metrics``, which is asked before readings are taken: it costs the server nothing."""

_REQUIRED_FLAGS: Final = {
    "dedup.minScrapeInterval": "1ms",
    "influxMeasurementFieldSeparator": "_",
    "influxSkipMeasurement": "false",
    "influxSkipSingleField": "false",
    "influxTrimTimestamp": "1ms",
}
"""Without these a repeated reading is kept twice, or the series are not named as we ask."""
_FLAG: Final = re.compile(r'^flag\{name="([^"]*)", value="([^"]*)"', re.MULTILINE)
_DROPPED: Final = re.compile(r"^(vm_rows_(?:ignored|invalid)_total\{[^}]*\}) (\S+)$", re.MULTILINE)
_STARTED: Final = re.compile(r"^process_start_time_seconds (\S+)$", re.MULTILINE)
_UPTIME: Final = re.compile(r"^vm_app_uptime_seconds (\S+)$", re.MULTILINE)
_YOUNG_POLL_S: Final = 0.1
_LONGEST_ERROR: Final = 300

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d|w|y)")
_UNIT_S: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 7 * 86400.0,
    "y": 365 * 86400.0,
}
_MONTH_S: Final = 31 * 86400.0

_QUANTITIES: Final = {entry.series_name: entry for entry in CATALOGUE.values()}
_EXACT_BELOW: Final = 1e11
"""Least value × 10**decimals from which the store was seen to change a last digit."""


class _Block(msgspec.Struct, gc=False):
    """One line of an export: all samples of a series in the span asked for."""

    metric: dict[str, str]
    values: list[float]
    timestamps: list[int]


class _ForeignBlock(msgspec.Struct, gc=False):
    """A line with infinities or stale markers in it, which we never write."""

    metric: dict[str, str]
    values: list[float | str | None]
    timestamps: list[int]


class _Listing(msgspec.Struct):
    """The answer of ``/api/v1/series``."""

    data: list[dict[str, str]]


class _Rolled(msgspec.Struct, gc=False):
    """One series of a query's answer: the moment of the query, and the value as text."""

    metric: dict[str, str]
    value: tuple[float, str]


class _Vector(msgspec.Struct):
    result: list[_Rolled]


class _QueryAnswer(msgspec.Struct):
    """The answer of ``/api/v1/query``."""

    data: _Vector


class _TooMuchError(StoreError):
    """The server will not read so much in one query; a smaller one may do."""


class _Edge(StrEnum):
    """Which reading of a span is sought; the values are the words of MetricsQL."""

    FIRST = "first"
    LAST = "last"


_BLOCK: Final = msgspec.json.Decoder(_Block)
_FOREIGN_BLOCK: Final = msgspec.json.Decoder(_ForeignBlock)
_LISTING: Final = msgspec.json.Decoder(_Listing)
_QUERY_ANSWER: Final = msgspec.json.Decoder(_QueryAnswer)


def least_settle_s(flush_s: float) -> float:
    """How long a write must be left alone before a kill cannot take it any more.

    Writes of up to 7 s before a kill were lost with a flush interval of 1 s or 2 s, of up to 13 s
    with 5 s (docs/decisions/0003): more than the interval alone explains.
    """
    return max(5 * flush_s, 10 + 2 * flush_s)


class VictoriaMetricsStore:
    """Readings in VictoriaMetrics, single node or cluster; refuses to open on an unfit one.

    A series is ``jauge_<field>{site, agent, kind, resource}`` and nothing else. Values come back
    as written while they have no more than 14 significant digits (12 with 9 decimals); whole
    numbers up to 2**53 do. Beyond, the last digits are VictoriaMetrics' approximation.
    """

    def __init__(self, config: StoreConfig) -> None:
        self._config = config
        self._read_url = (config.read_url or config.url).rstrip("/")
        self._delete_url = self._read_url.replace("/select/", "/delete/")  # of a cluster
        self._metrics_urls = [url.rstrip("/") for url in config.metrics_urls or [config.url]]
        self._lines = LineWriter(config.write_url or config.url, bucket="jauge")
        self._stack = AsyncExitStack()
        self._session: aiohttp.ClientSession | None = None
        self._retention_ms = 0
        self._fit_generation = ""
        self._dropped: dict[tuple[str, str], float] = {}
        self._complaints: Counter[str] = Counter()

    @property
    def settle_s(self) -> float:
        """From the configuration; checked at entering against the server's flush interval."""
        return self._config.settle_s

    @property
    def left_out(self) -> Mapping[LeftOut, int]:
        """Readings that no line could be made of, or whose line was refused."""
        return self._lines.left_out

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._lines)
            self._session = await stack.enter_async_context(
                aiohttp.ClientSession(timeout=_TIMEOUT, headers={"Accept-Encoding": "identity"})
            )
            stack.callback(self._forget_session)
            pages = await self._metrics()
            self._check_fitness(pages)
            self._complaints.clear()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def generation(self) -> str:
        """The start time of the process, or of each storage node. Raises StoreError.

        UnfitStoreError where it was started again with flags that would cost data.

        The start time has whole seconds only: a process in its first second is waited for, or
        its successor could bear the same name.
        """
        while True:
            pages = await self._metrics()
            if all(_number(_UPTIME, page) >= 1 for page in pages):
                generation = ",".join(f"{_number(_STARTED, page):.0f}" for page in pages)
                if generation != self._fit_generation:
                    self._check_fitness(pages)
                    self._fit_generation = generation
                return generation
            await asyncio.sleep(_YOUNG_POLL_S)

    async def oldest_kept_ms(self, now_ms: int) -> int:
        """The retention's end, less an hour in which a reading could be gone before it is used."""
        return now_ms - self._retention_ms + _RETENTION_MARGIN_MS

    async def write(self, readings: Sequence[Reading]) -> None:
        """Write readings; durable and readable only `settle_s` later. Raises StoreError."""
        await self._lines.write(readings)

    async def read(
        self, series: Iterable[Series], start_ms: int, end_ms: int
    ) -> dict[Series, Points]:
        """Raw readings in [start, end). Raises StoreError."""
        found: dict[Series, Points] = {}
        wanted = set(series) if start_ms < end_ms else set()
        for selectors in _chunks(_selectors(wanted), _SELECTORS_PER_REQUEST):
            form = _form(selectors, start_ms, end_ms - 1)
            async for lines in _whole_lines(self._post("/api/v1/export", form)):
                for block in self._decoded(lines):
                    key = _series_of(block.metric)
                    if key is not None and key in wanted and block.values:
                        values = _as_written(CATALOGUE[key.quantity], block.values)
                        found[key] = Points(block.timestamps, values)
        return found

    async def before(self, series: Iterable[Series], time_ms: int) -> dict[Series, Point]:
        """The last reading before a moment, sought in windows that widen. Raises StoreError."""
        oldest_ms = _now_ms() - self._retention_ms
        return await self._nearest(set(series), _backwards(time_ms, oldest_ms), _Edge.LAST)

    async def after(self, series: Iterable[Series], time_ms: int) -> dict[Series, Point]:
        """The first reading at or after a moment, sought the same way. Raises StoreError."""
        now_ms = _now_ms()
        start_ms = max(time_ms, now_ms - self._retention_ms)
        spans = _forwards(start_ms, now_ms + _AHEAD_MS)
        return await self._nearest(set(series), spans, _Edge.FIRST)

    async def series(self, site: str) -> list[Series]:
        """Every series of a site. Raises StoreError.

        One request for each quantity: a listing is limited by ``-search.maxSeries``.
        """
        now_ms = _now_ms()
        found: list[Series] = []
        for name in _QUANTITIES if is_name(site) else ():
            form = _form(
                [f'{{__name__="{name}",site="{site}"}}'],
                now_ms - self._retention_ms,
                now_ms + _AHEAD_MS,
            )
            listing = await self._answer("/api/v1/series", form, _LISTING)
            found += filter(None, map(_series_of, listing.data))
        return found

    async def latest(self, site: str, since_ms: int) -> dict[Series, Point]:
        """The newest reading of each series of a site since a moment. Raises StoreError."""
        if not is_name(site):
            return {}
        selectors = [f'{{__name__=~"{"|".join(_QUANTITIES)}",site="{site}"}}']
        return await self._edges(selectors, since_ms, _now_ms() + _AHEAD_MS, _Edge.LAST)

    async def purge(self, now_ms: int, site: str | None = None) -> int:  # noqa: ARG002 - the protocol's
        """Nothing: VictoriaMetrics drops what is past its retention by itself."""
        return 0

    async def expired(self, now_ms: int, site: str | None = None) -> Held:  # noqa: ARG002 - the protocol's
        """Nothing: its own flag ``-retentionPeriod`` decides, which is checked at opening."""
        return Held(0)

    async def held(self, site: str, sources: Collection[Source]) -> Held:
        """The samples of every series with these labels. Raises StoreError."""
        now_ms = _now_ms()
        found = Held(0)
        for selector in _selectors_of(site, sources):
            found = found.joined(
                await self._counted(selector, now_ms - self._retention_ms, now_ms + _AHEAD_MS)
            )
        return found

    async def erase(self, site: str, sources: Collection[Source]) -> None:
        """Delete every series with these labels. Raises StoreError.

        They are gone from every answer at once, from the disk with VictoriaMetrics' next merge
        of the parts that hold them.
        """
        for selector in _selectors_of(site, sources):
            url = f"{self._delete_url}/api/v1/admin/tsdb/delete_series"
            _ = [chunk async for chunk in self._request("POST", url, [("match[]", selector)])]

    async def reclaim(self, *, alone: bool) -> None:
        """Nothing: VictoriaMetrics frees what it deleted when it merges."""

    async def complaints(self) -> Mapping[str, int]:
        """Rows that VictoriaMetrics ignored or found invalid since opening, by its own counter.

        They may be another writer's; ours were answered with 204. Raises StoreError.
        """
        await self._metrics()
        return dict(self._complaints)

    def _forget_session(self) -> None:
        self._session = None

    def _check_fitness(self, pages: Sequence[str]) -> None:
        self._retention_ms = round(
            1000 * min(map(self._fit_retention_s, self._metrics_urls, pages))
        )

    def _fit_retention_s(self, url: str, page: str) -> float:
        """The retention of one node. Raises UnfitStoreError where a flag would cost data."""
        flags = dict(_FLAG.findall(page))
        for name, needed in _REQUIRED_FLAGS.items():
            if flags.get(name) != needed:
                raise _unfit(url, flags, name, f"start VictoriaMetrics with -{name}={needed}")
        flush_s = _duration_s(flags.get("inmemoryDataFlushInterval", ""))
        least_s = least_settle_s(flush_s)
        if not flush_s or self._config.settle_s < least_s:
            raise _unfit(
                url,
                flags,
                "inmemoryDataFlushInterval",
                f"store.settle_s = {self._config.settle_s:g} is less than it takes to be durable;"
                f" set store.settle_s = {max(30.0, least_s):g}",
            )
        retention_s = _duration_s(flags.get("retentionPeriod", ""))
        needed_days = self._config.minimum_retention_days
        if retention_s < needed_days * 86400:
            raise _unfit(
                url,
                flags,
                "retentionPeriod",
                f"{retention_s / 86400:g} days are less than store.minimum_retention_days ="
                f" {needed_days:g}; start VictoriaMetrics with"
                f" -retentionPeriod={2 * needed_days:.0f}d",
            )
        return retention_s

    async def _metrics(self) -> list[str]:
        """``/metrics`` of every node; counts what rows they dropped since the last time."""
        pages = []
        for url in self._metrics_urls:
            answer = self._request("GET", f"{url}/metrics", None, _PROBE_TIMEOUT)
            chunks = [chunk async for chunk in answer]
            pages.append(b"".join(chunks).decode(errors="replace"))
        for key, count in _dropped_rows(self._metrics_urls, pages).items():
            before = self._dropped.get(key, 0.0)
            rise = count - before if count >= before else count
            self._dropped[key] = count
            if rise:
                self._complaints[key[1]] += round(rise)
        return pages

    async def _nearest(
        self, series: set[Series], spans: Iterable[tuple[int, int]], edge: _Edge
    ) -> dict[Series, Point]:
        """The outermost reading of each series in the first of the spans that holds any."""
        found: dict[Series, Point] = {}
        for start_ms, end_ms in spans:
            wanted = series - found.keys()
            if not wanted:
                break
            try:
                for selectors in _chunks(_selectors(wanted), _SELECTORS_PER_REQUEST):
                    edges = await self._edges(selectors, start_ms, end_ms, edge)
                    found |= {key: edges[key] for key in wanted & edges.keys()}
            except _TooMuchError:
                if end_ms - start_ms <= _LEAST_WINDOW_MS:
                    raise
                middle_ms = (start_ms + end_ms) // 2
                halves = [(start_ms, middle_ms), (middle_ms, end_ms)]
                if edge is _Edge.LAST:
                    halves.reverse()
                found |= await self._nearest(wanted - found.keys(), halves, edge)
        return found

    async def _edges(
        self, selectors: list[str], start_ms: int, end_ms: int, edge: _Edge
    ) -> dict[Series, Point]:
        """The first or last sample in [start, end) of every series of ours that matches.

        A filter beside the query has no limit of length; a rollup's window is open at its start.
        """
        if start_ms >= end_ms:
            return {}
        functions = f'"t{edge}_over_time","{edge}_over_time"'
        span = f'{{__name__!=""}}[{end_ms - start_ms}ms]'
        form = [
            ("query", f"aggr_over_time(({functions}),{span}) keep_metric_names"),
            ("time", f"{(end_ms - 1) / 1000:.3f}"),
            ("nocache", "1"),
            *(("extra_filters[]", selector) for selector in selectors),
        ]
        times: dict[Series, float] = {}
        values: dict[Series, float] = {}
        for rolled in (await self._answer("/api/v1/query", form, _QUERY_ANSWER)).data.result:
            kept = times if rolled.metric.pop("rollup", "").startswith("t") else values
            if series := _series_of(rolled.metric):
                kept[series] = float(rolled.value[1])
        foreign = {series for series, value in values.items() if not math.isfinite(value)}
        found = {
            series: Point(
                round(times[series] * 1000), _as_written(CATALOGUE[series.quantity], [value])[0]
            )
            for series, value in values.items()
            if series not in foreign
        }
        at = -1 if edge is _Edge.LAST else 0
        for series, points in (await self.read(foreign, start_ms, end_ms)).items():
            found[series] = points[at]
        return found

    async def _counted(self, selector: str, start_ms: int, end_ms: int) -> Held:
        """How many samples match in [start, end); in halves where it is too much at once."""
        span = f"{selector}[{end_ms - start_ms}ms]"
        numbers: list[float] = []
        try:
            for function in ("sum(count", "min(tfirst", "max(tlast"):
                form = [
                    ("query", f"{function}_over_time({span}))"),
                    ("time", f"{(end_ms - 1) / 1000:.3f}"),
                    ("nocache", "1"),
                ]
                vector = (await self._answer("/api/v1/query", form, _QUERY_ANSWER)).data.result
                if not vector:
                    return Held(0)
                numbers.append(float(vector[0].value[1]))
        except _TooMuchError:
            if end_ms - start_ms <= _LEAST_WINDOW_MS:
                raise
            middle_ms = (start_ms + end_ms) // 2
            older = await self._counted(selector, start_ms, middle_ms)
            return older.joined(await self._counted(selector, middle_ms, end_ms))
        rows, oldest_s, newest_s = numbers
        return Held(round(rows), round(oldest_s * 1000), round(newest_s * 1000))

    def _decoded(self, lines: bytes) -> Iterable[_Block]:
        """Lines of an export, less what another writer put in that is no number."""
        try:
            return _BLOCK.decode_lines(lines)
        except msgspec.MsgspecError:
            return map(self._decoded_foreign, filter(None, lines.split(b"\n")))

    def _decoded_foreign(self, line: bytes) -> _Block:
        try:
            foreign = _FOREIGN_BLOCK.decode(line)
        except msgspec.MsgspecError as error:
            raise StoreError(
                f"{self._read_url}: unreadable export: {error}: {line[:200]!r}"
            ) from error
        pairs = zip(foreign.timestamps, foreign.values, strict=True)
        numbers = [(time_ms, value) for time_ms, value in pairs if isinstance(value, float)]
        return _Block(
            foreign.metric, [value for _, value in numbers], [time_ms for time_ms, _ in numbers]
        )

    async def _answer(
        self, path: str, form: list[tuple[str, str]], decoder: msgspec.json.Decoder[_Answered]
    ) -> _Answered:
        """One JSON document. Raises StoreError."""
        body = b"".join([chunk async for chunk in self._post(path, form)])
        try:
            return decoder.decode(body)
        except msgspec.MsgspecError as error:
            raise StoreError(f"{self._read_url}: unreadable answer: {error}") from error

    def _post(self, path: str, form: list[tuple[str, str]]) -> AsyncIterator[bytes]:
        return self._request("POST", f"{self._read_url}{path}", form)

    async def _request(
        self,
        method: str,
        url: str,
        form: list[tuple[str, str]] | None,
        within: aiohttp.ClientTimeout = _TIMEOUT,
    ) -> AsyncIterator[bytes]:
        """The answer's body as it comes. Raises StoreError."""
        if self._session is None:
            raise StoreError("the store is not open")
        try:
            async with self._session.request(method, url, data=form, timeout=within) as answer:
                if answer.status not in {200, 204}:
                    text = " ".join((await answer.text(errors="replace")).split())
                    too_much = answer.status in _REFUSES_AS_TOO_MUCH
                    kind = _TooMuchError if too_much else StoreError
                    if len(text) > _LONGEST_ERROR:  # the request stands before what is wrong
                        text = f"… {text[-_LONGEST_ERROR:]}"
                    raise kind(f"{url} answers {answer.status}: {text}")
                async for chunk in answer.content.iter_any():
                    yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise StoreError(f"{url}: {type(error).__name__}: {error}") from error


def _unfit(url: str, flags: Mapping[str, str], name: str, fix: str) -> UnfitStoreError:
    value = f"is {flags[name]!r}" if name in flags else "is not shown by /metrics"
    return UnfitStoreError(f"{url}: flag -{name} {value}: {fix}")


def _duration_s(text: str) -> float:
    """Seconds of a VictoriaMetrics duration; a bare number is a count of months. 0 for none."""
    if text.replace(".", "", 1).isdigit():
        return float(text) * _MONTH_S
    return sum(float(number) * _UNIT_S[unit] for number, unit in _DURATION.findall(text))


def _number(pattern: re.Pattern[str], page: str) -> float:
    match = pattern.search(page)
    if match is None:
        raise StoreError(f"/metrics does not show {pattern.pattern}")
    return float(match[1])


def _dropped_rows(urls: Sequence[str], pages: Sequence[str]) -> dict[tuple[str, str], float]:
    return {
        (url, name): float(count)
        for url, page in zip(urls, pages, strict=True)
        for name, count in _DROPPED.findall(page)
    }


def _backwards(time_ms: int, oldest_ms: int) -> Iterator[tuple[int, int]]:
    """Windows from a moment back to the oldest, each wider than the one before."""
    end_ms, width_ms = time_ms, _LEAST_WINDOW_MS
    while end_ms > oldest_ms:
        start_ms = max(oldest_ms, end_ms - width_ms)
        yield start_ms, end_ms
        end_ms, width_ms = start_ms, width_ms * _WIDENING


def _forwards(time_ms: int, newest_ms: int) -> Iterator[tuple[int, int]]:
    """Windows from a moment on to the newest, each wider than the one before."""
    start_ms, width_ms = time_ms, _LEAST_WINDOW_MS
    while start_ms < newest_ms:
        end_ms = min(newest_ms, start_ms + width_ms)
        yield start_ms, end_ms
        start_ms, width_ms = end_ms, width_ms * _WIDENING


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _form(selectors: Iterable[str], start_ms: int, last_ms: int) -> list[tuple[str, str]]:
    """Both ends are included, in seconds with three decimals."""
    return [
        *(("match[]", selector) for selector in selectors),
        ("start", f"{start_ms / 1000:.3f}"),
        ("end", f"{last_ms / 1000:.3f}"),
    ]


def _selectors(series: Iterable[Series]) -> Iterator[str]:
    """Selectors that together match these series, few for many.

    Agents that are asked for the same resources and quantities share one, in which these are
    crossed; it may thus match others too.
    """
    wanted: defaultdict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for site, agent, resource, quantity in series:
        wanted[site, agent].add((resource, quantity))
    alike: defaultdict[tuple[str, frozenset[tuple[str, str]]], list[str]] = defaultdict(list)
    for (site, agent), pairs in wanted.items():
        if is_name(site) and is_name(agent):
            alike[site, frozenset(pairs)].append(agent)
    for (site, asked), agents in alike.items():
        pairs_alike = [
            (resource, quantity)
            for resource, quantity in asked
            if quantity in CATALOGUE and is_name(resource)
        ]
        names = _either({CATALOGUE[quantity].series_name for _, quantity in pairs_alike})
        for resources in _chunks({resource for resource, _ in pairs_alike}, _NAMES_PER_SELECTOR):
            for some in _chunks(agents, _NAMES_PER_SELECTOR):
                yield (
                    f'{{__name__=~"{names}",site="{site}",'
                    f'agent=~"{_either(some)}",resource=~"{_either(resources)}"}}'
                )


def _selectors_of(site: str, sources: Iterable[Source]) -> Iterator[str]:
    """Selectors of whatever bears the labels of these resources, and of nothing else."""
    of_agent: defaultdict[str, set[str]] = defaultdict(set)
    for agent, resource in sources:
        if all(map(is_name, (site, agent, resource))):
            of_agent[agent].add(resource)
    for agent, resources in sorted(of_agent.items()):
        for some in _chunks(sorted(resources), _NAMES_PER_SELECTOR):
            yield f'{{site="{site}",agent="{agent}",resource=~"{_either(some)}"}}'


def _either(names: Iterable[str]) -> str:
    """An anchored regular expression for any of the names, as PromQL quotes it."""
    return "|".join(sorted(names)).replace(".", r"\\.")


def _chunks(items: Iterable[str], size: int) -> Iterator[list[str]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


async def _whole_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A body that comes in pieces, cut between lines; one line may hold a year of samples."""
    pending: list[bytes] = []
    async for chunk in chunks:
        head, newline, tail = chunk.rpartition(b"\n")
        if newline:
            yield b"".join((*pending, head))
            pending.clear()
        pending.append(tail)
    if rest := b"".join(pending):
        yield rest


def _series_of(metric: dict[str, str]) -> Series | None:
    """The series behind labels, or None where it is none of ours."""
    quantity = _QUANTITIES.get(metric.get("__name__", ""))
    if quantity is None or metric.keys() != {"__name__", "site", "agent", "kind", "resource"}:
        return None
    series = Series(metric["site"], metric["agent"], metric["resource"], quantity.name)
    return series if metric["kind"] == kind_of(series.resource) else None


def _as_written(quantity: Quantity, values: list[float]) -> list[float]:
    """Values without what the store changed in a last digit: agents round to these decimals."""
    scale = 10**quantity.decimals
    if max(-quantity.low, quantity.high) * scale < _EXACT_BELOW:
        return values
    if max(map(abs, values)) * scale < _EXACT_BELOW:
        return values
    return [round(value, quantity.decimals) for value in values]
