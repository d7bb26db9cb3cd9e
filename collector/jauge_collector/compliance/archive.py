"""The readings behind a closed quarter, as they were read: what an auditor recomputes rows from.

One file for each edition, ``<site>/<quarter>-r<revision>.ndjson.gz``: gzip of JSON lines. The
first names site, quarter, span and the series of each meter of the site's equations; then each
series follows as a line with its name and lines of ``[time in ms, value]`` in time order; the last
line says how many readings there were. Equal readings give equal bytes.
"""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from gzip import GzipFile
from pathlib import Path
from typing import Any, Final

from jauge_models.configuration import ConfigurationError
from jauge_models.effectiveness import DAY_MS
from jauge_models.intervals import Point
from jauge_models.resources import Series
from jauge_models.topology import Meter

from jauge_collector.compliance import evidence_file, kept_once
from jauge_collector.compliance.evidence_file import json_line
from jauge_collector.compliance.quarters import Quarter, span_ms
from jauge_collector.compliance.sources import ARCHIVE, Sources
from jauge_collector.compliance.whole_file import whole
from jauge_collector.ledger import chain
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.computation import channels
from jauge_collector.registers.meters import topology_of
from jauge_collector.sites import Site
from jauge_collector.stores import Store

__all__ = ["ARCHIVE", "archive", "expire", "file_of", "files_of", "readings"]

FORM: Final = 1

_SUFFIX: Final = ".ndjson.gz"
_READ_AT_ONCE_MS: Final = 7 * DAY_MS
"""Of one series: bounds memory, whatever the length of the quarter."""
_READINGS_A_LINE: Final = 1000

Progress = Callable[[str, int, int], None]


def file_of(folder: Path, site_name: str, quarter: str, revision: int) -> Path:
    """Where the readings of a revision are."""
    return folder / site_name / f"{quarter}-r{revision}{_SUFFIX}"


async def archive(
    sources: Sources,
    folder: Path,
    quarter: Quarter,
    *,
    revision: int,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write the readings that a quarter's rows rest on; returns what the chain will say of it.

    That reaches from the last reading before to the first one after, as far as rows do. What the
    store has forgotten is in no archive but an earlier edition's. Raises StoreError and OSError.
    """
    site, store = sources.site, sources.store
    start_ms, end_ms = span_ms(quarter.window, site.zone)
    meters = await asyncio.to_thread(_meters, sources.ledger, site)
    file = file_of(folder, site.name, quarter.name, revision)
    every = sorted({series for _, some in meters.values() for series in some})
    reach_ms = max((_reach(meter) for meter, _ in meters.values()), default=0)
    low, high = start_ms - reach_ms, end_ms + reach_ms
    outer = (await store.before(every, low), await store.after(every, high))
    count = 0
    first_ms, last_ms = end_ms, start_ms
    with whole(file) as raw, GzipFile("", "wb", 6, raw, mtime=0) as out:
        head = {
            "archive": FORM,
            "site": site.name,
            "quarter": quarter.name,
            "from_ms": start_ms,
            "to_ms": end_ms,
            "meters": {name: [one[1:] for one in some] for name, (_, some) in meters.items()},
        }
        json_line(out, head)
        for done, series in enumerate(every):
            if progress is not None:
                progress("archive", done, len(every))
            json_line(out, {"series": series[1:]})
            async for points in _points(store, series, low, high, outer):
                await asyncio.to_thread(_write, out, points)
                count += len(points)
                first_ms, last_ms = (
                    min(first_ms, points[0].time_ms),
                    max(last_ms, points[-1].time_ms),
                )
        json_line(out, {"readings": count})
    told: dict[str, Any] = {
        "sha256": await asyncio.to_thread(kept_once.digest, file),
        "bytes": file.stat().st_size,
        "readings": count,
        "series": len(every),
    }
    if count:
        told |= {"first_ms": first_ms, "last_ms": last_ms}
    await asyncio.to_thread(kept_once.share, file, files_of(folder, site.name, quarter.name)[::-1])
    return told


def _meters(ledger: Ledger, site: Site) -> dict[str, tuple[Meter, tuple[Series, ...]]]:
    """The meters of the equations with all that can provide their rows, by id."""
    topology, methods = topology_of(ledger, site), ledger.methods(site.name)
    names = sorted({term.meter for equation in site.equations for term in equation.terms})
    found: dict[str, tuple[Meter, tuple[Series, ...]]] = {}
    for name in names:
        meter = topology.meter(name)
        series = {channel.series for channel in channels(site.name, meter, methods)}
        found[name] = (meter, tuple(sorted(series)))
    return found


def _reach(meter: Meter) -> int:
    return max(meter.max_gap_ms, meter.period_ms)


async def _points(
    store: Store,
    series: Series,
    low: int,
    high: int,
    outer: tuple[Mapping[Series, Point], Mapping[Series, Point]],
) -> AsyncIterator[Sequence[Point]]:
    """The readings of one series in time order, some at a time, its neighbours outside too."""
    before, after = outer
    if series in before:
        yield [before[series]]
    for at in range(low, high, _READ_AT_ONCE_MS):
        found = await store.read([series], at, min(at + _READ_AT_ONCE_MS, high))
        if points := found.get(series):
            yield points
    if series in after:
        yield [after[series]]


def _write(out: GzipFile, points: Sequence[Point]) -> None:
    for at in range(0, len(points), _READINGS_A_LINE):
        json_line(out, list(points[at : at + _READINGS_A_LINE]))


# --- read back


def readings(  # noqa: PLR0917 - where a quarter's readings are, and which of them
    folder: Path, site_name: str, quarter: str, meter: str, start_ms: int, end_ms: int
) -> dict[Series, list[Point]]:
    """Archived readings that can have provided a meter's rows in [start, end), by series.

    Of all editions together, for a later one may hold late readings and lack forgotten ones; with
    the last reading before the span and the first one after, where there are any. Raises
    ConfigurationError where nothing of the quarter is archived or an archive cannot be read.
    """
    files = files_of(folder, site_name, quarter)
    if not files:
        raise ConfigurationError(
            str(folder / site_name),
            "",
            f"no readings of {quarter} are archived",
            "they are archived when the quarter is closed, and kept for ten years",
        )
    known: dict[Series, dict[int, float]] = {}
    for file in files:
        for series, points in _read(file, site_name, meter):
            some = known.setdefault(series, {})
            for time_ms, value in points:
                some[time_ms] = max(value, some.get(time_ms, value))
    return {
        series: _around(sorted(map(Point._make, some.items())), start_ms, end_ms)
        for series, some in known.items()
    }


def files_of(folder: Path, site_name: str, quarter: str) -> list[Path]:
    """The archived readings of a quarter's editions, the first one first."""
    every = (folder / site_name).glob(f"{quarter}-r*{_SUFFIX}")
    found = (file for file in every if not file.name.endswith(evidence_file.SUFFIX))
    return sorted(found, key=lambda file: (len(file.name), file.name))


def _around(points: Sequence[Point], start_ms: int, end_ms: int) -> list[Point]:
    first = max([n for n, point in enumerate(points) if point.time_ms <= start_ms], default=0)
    behind = [n for n, point in enumerate(points) if point.time_ms >= end_ms]
    return list(points[first : behind[0] + 1 if behind else None])


def _read(
    file: Path, site_name: str, meter: str
) -> Iterator[tuple[Series, list[tuple[int, float]]]]:
    """Lines of readings of a meter's series. Raises ConfigurationError."""
    try:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            head = json.loads(next(lines))
            wanted = _wanted(head, meter)
            series: Series | None = None
            for line in lines:
                said = json.loads(line)
                if isinstance(said, dict):
                    names = tuple(said.get("series", ()))
                    series = Series(site_name, *names) if names in wanted else None
                elif series is not None:
                    yield series, said
    except (OSError, EOFError, ValueError, StopIteration, KeyError) as error:
        problem = f"cannot be read: {error}"
        raise ConfigurationError(str(file), "", problem, "restore it from a backup") from None


def _wanted(head: Mapping[str, Any], meter: str) -> set[tuple[str, ...]]:
    if head.get("archive") != FORM:
        raise ValueError("of another version of the collector")
    return {tuple(names) for names in head["meters"].get(meter, ())}


def expire(
    ledger: Ledger, folder: Path, site_name: str, quarter: str, now_ms: int, *, dry_run: bool
) -> int:
    """Archives of a quarter go, and the chain says so; how many files."""
    files = [
        *files_of(folder, site_name, quarter),
        *evidence_file.files_of(folder, site_name, quarter),
    ]
    if files and not dry_run:
        # The link comes first: a file that is there still is no lie, one that is not would be.
        content = {"act": "expired", "files": len(files)}
        ledger.link(site_name, chain.ARCHIVE, quarter, content, now_ms)
        for file in files:
            file.unlink(missing_ok=True)
    return len(files)
