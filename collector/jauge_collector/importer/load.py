"""Loading a file: into the stage, compared with the store, written, marked, accounted."""

import asyncio
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Final, Protocol

from jauge_models.configuration import ConfigurationError
from jauge_models.quantities import CATALOGUE, Kind
from jauge_models.readings import Reading

from jauge_collector import civil
from jauge_collector.importer.mapping import Mapping
from jauge_collector.importer.stage import Clash, Stage, Staged
from jauge_collector.importer.table import rows
from jauge_collector.stores import Store, StoreError

MARK_MS: Final = 15 * 60 * 1000
"""The grid of the ledger's marks."""

FUTURE_MS: Final = 60_000
"""How far ahead of this machine's clock a reading may be."""

_AS_EQUAL: Final = 1e-12
"""What VictoriaMetrics may change of a value that is no whole number: its 13th digit."""

EXAMPLES: Final = 5
"""How many bad rows and clashes are named."""


class Progress(Protocol):
    """Told how far a phase of the work is."""

    def __call__(self, phase: str, done: int, total: int, /) -> None:
        """Called often."""
        ...


class Marker(Protocol):
    """What of the ledger the loading needs."""

    def mark(self, site: str, agent: str, starts_ms: Iterable[int], now_ms: int) -> None:
        """Mark quarter hours of an agent to be recomputed; durable at return."""
        ...


class RefusedError(ConfigurationError):
    """The file contradicts itself or the store, or has bad rows: nothing of it was written."""


@dataclass(slots=True)
class Outcome:
    """What became of a file."""

    rows: int = 0
    bad_rows: int = 0
    bad_examples: list[str] = field(default_factory=list)
    readings: int = 0
    """Distinct readings in the file."""
    written: int = 0
    """Of these, new to the store."""
    not_measured: int = 0
    """Cells that hold no value or a sentinel."""
    first_ms: int | None = None
    """Start of the first period, or the first moment where no amount covers it."""
    last_ms: int | None = None
    """End of the last period, or the last moment."""


def stage_file(
    path: Path,
    mapping: Mapping,
    stage: Stage,
    *,
    oldest_ms: int,
    newest_ms: int,
    skip_bad: bool,
    progress: Progress,
) -> Outcome:
    """Read a whole file into the stage. Readings must lie in [oldest, newest].

    Raises RefusedError where rows cannot be read and ``skip_bad`` is not given, or where the file
    has two values for one time.
    """
    outcome = Outcome()
    for row in rows(path, mapping, lambda done, total: progress("reading", done, total)):
        outcome.rows += 1
        problem = row.problem or _untimely(row.readings, oldest_ms, newest_ms)
        if problem is not None:
            outcome.bad_rows += 1
            if len(outcome.bad_examples) < EXAMPLES:
                outcome.bad_examples.append(f"line {row.line}: {problem}")
            continue
        outcome.not_measured += row.not_measured
        stage.add(row.line, row.readings)
    if outcome.bad_rows and not skip_bad:
        raise RefusedError(
            str(path),
            "",
            f"{outcome.bad_rows} of {outcome.rows} rows cannot be read, nothing was imported: "
            + "; ".join(outcome.bad_examples),
            "correct them, or leave them out with --skip-bad",
        )
    count, clashes = stage.clashes()
    if count:
        raise _contradiction(path, count, clashes, "the file has two values for one time")
    outcome.readings = len(stage)
    return outcome


def _untimely(readings: Iterable[Reading], oldest_ms: int, newest_ms: int) -> str | None:
    for reading in readings:
        if reading.time_ms > newest_ms:
            return f"{_utc(reading.time_ms)} is in the future"
        if reading.time_ms < oldest_ms:
            return (
                f"{_utc(reading.time_ms)} is older than the store keeps (since {_utc(oldest_ms)}; "
                "raise its retention)"
            )
    return None


async def load(
    path: Path,
    mapping: Mapping,
    store: Store,
    ledger: Marker,
    *,
    skip_bad: bool = False,
    progress: Progress,
    now_ms: Callable[[], int],
) -> Outcome:
    """Import one file: all of it or, where anything is wrong, nothing.

    At return the readings are durable and readable in the store and marked in the ledger. The
    same file again, or in pieces in any order, leads to the same. Raises ConfigurationError
    (RefusedError among it) and StoreError.
    """
    generation = await store.generation()
    with Stage([column.series for column in mapping.columns]) as stage:
        now = now_ms()
        outcome = stage_file(
            path,
            mapping,
            stage,
            oldest_ms=await store.oldest_kept_ms(now),
            newest_ms=now + FUTURE_MS,
            skip_bad=skip_bad,
            progress=progress,
        )
        known = await _compare(path, stage, store, outcome.readings, progress)
        await _write(stage, mapping, store, outcome, progress)
        outcome.written = outcome.readings - known
        if outcome.written:
            await _settle(store, generation, progress)
        settled_ms = now_ms() - round(store.settle_s * 1000)
        _mark(stage, mapping, ledger, now_ms=settled_ms, progress=progress)
    return outcome


async def _compare(path: Path, stage: Stage, store: Store, total: int, progress: Progress) -> int:
    """How many readings the store has already. Raises RefusedError where its values differ."""
    done = known = count = 0
    clashes: list[Clash] = []
    for batch in stage.batches():
        series = {staged.reading.series for staged in batch}
        span = (batch[0].reading.time_ms, batch[-1].reading.time_ms + 1)
        stored = {
            (one, point.time_ms): point.value
            for one, points in (await store.read(series, *span)).items()
            for point in points
        }
        for line, reading in batch:
            other = stored.get((reading.series, reading.time_ms))
            if other is None:
                continue
            if _same(reading, other):
                known += 1
                continue
            count += 1
            if len(clashes) < EXAMPLES:
                clashes.append(
                    Clash(reading.series, reading.time_ms, reading.value, line, other, None)
                )
        done += len(batch)
        progress("comparing", done, total)
    if count:
        raise _contradiction(path, count, clashes, "the store has another value")
    return known


def _same(reading: Reading, other: float) -> bool:
    decimals = CATALOGUE[reading.series.quantity].decimals
    return reading.value == round(other, decimals) or math.isclose(
        reading.value, other, rel_tol=_AS_EQUAL
    )


async def _write(
    stage: Stage, mapping: Mapping, store: Store, outcome: Outcome, progress: Progress
) -> None:
    done = 0
    for batch in stage.batches():
        begin = min(_begin_ms(staged.reading, mapping.period_ms) for staged in batch)
        outcome.first_ms = begin if outcome.first_ms is None else min(outcome.first_ms, begin)
        outcome.last_ms = batch[-1].reading.time_ms
        await store.write([staged.reading for staged in batch])
        done += len(batch)
        progress("writing", done, outcome.readings)
    if left_out := sum(store.left_out.values()):
        raise StoreError(f"the store left out {left_out} of the readings")


async def _settle(store: Store, generation: str, progress: Progress) -> None:
    """Wait until what was written is durable and readable. Raises StoreError."""
    begin = time.monotonic()
    while (left := begin + store.settle_s - time.monotonic()) > 0:
        progress("waiting for the store", round(store.settle_s - left), round(store.settle_s))
        await asyncio.sleep(min(left, 1.0))
    if await store.generation() != generation:
        raise StoreError("the store was restarted during the import; import the file again")


def _mark(
    stage: Stage,
    mapping: Mapping,
    ledger: Marker,
    *,
    now_ms: int,
    progress: Progress,
) -> None:
    """Mark every quarter hour that a reading of the file says something about."""
    done, total = 0, len(stage)
    for batch in stage.batches():
        ledger.mark(mapping.site, mapping.agent, _quarters(batch, mapping.period_ms), now_ms)
        done += len(batch)
        progress("marking", done, total)


def _quarters(batch: Iterable[Staged], period_ms: int) -> set[int]:
    starts: set[int] = set()
    spans: set[tuple[int, int]] = set()
    for _, reading in batch:
        spans.add((_begin_ms(reading, period_ms), reading.time_ms))
    for begin, end in spans:
        starts.update(range(begin - begin % MARK_MS, end + 1, MARK_MS))
    return starts


def _begin_ms(reading: Reading, period_ms: int) -> int:
    """From when a reading says something: an amount, from the start of its period."""
    amount = CATALOGUE[reading.series.quantity].kind is Kind.AMOUNT
    return reading.time_ms - period_ms if amount else reading.time_ms


def _contradiction(path: Path, count: int, clashes: Iterable[Clash], problem: str) -> RefusedError:
    named = "; ".join(
        f"{c.series.resource}/{c.series.quantity} at {_utc(c.time_ms)}: {c.value:.15g} in line "
        f"{c.line}, {c.other:.15g} "
        + ("in the store" if c.other_line is None else f"in line {c.other_line}")
        for c in clashes
    )
    return RefusedError(
        str(path),
        "",
        f"{problem} ({count} times), nothing was imported: {named}",
        "readings are never changed; a correction is a factor or an attested value",
    )


def _utc(time_ms: int) -> str:
    return civil.local(time_ms, _UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_UTC: Final[tzinfo] = civil.zone("UTC")
