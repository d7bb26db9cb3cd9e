"""Loading into a real store and a real ledger: all or nothing, the same in any order."""

import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from jauge_collector.importer.load import Outcome, RefusedError, load
from jauge_collector.importer.stage import Stage
from jauge_collector.ledger.book import Ledger
from jauge_collector.stores.sqlite import SqliteStore
from jauge_models.readings import Reading
from jauge_models.resources import Series

from tests.collector.importer.tables import ENERGY, HOURS, mapped, table

NOW_MS = 1_767_312_000_000
"""2026-01-02T00:00:00Z."""
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SERIES = Series("s", "import", "meter:main", "energy_amount")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """An empty store that keeps ten days."""
    async with SqliteStore(tmp_path / "readings.db", retention_days=10) as opened:
        yield opened


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    with Ledger(tmp_path / "ledger.db") as opened:
        yield opened


def _silent(_phase: str, _done: int, _total: int) -> None:
    """No progress."""


async def _load(
    folder: Path, store: SqliteStore, ledger: Ledger, content: str, *, skip_bad: bool = False
) -> Outcome:
    return await load(
        table(folder, content),
        mapped(folder, HOURS + ENERGY),
        store,
        ledger,
        skip_bad=skip_bad,
        progress=_silent,
        now_ms=lambda: NOW_MS,
    )


async def _stored(store: SqliteStore) -> list[tuple[int, float]]:
    found = await store.read([SERIES], 0, NOW_MS + DAY_MS)
    return [(point.time_ms, point.value) for point in found.get(SERIES, [])]


def _marked(ledger: Ledger) -> set[int]:
    return {mark.start_ms for mark in ledger.marks("s", NOW_MS)}


async def test_written_and_marked(tmp_path: Path, store: SqliteStore, ledger: Ledger) -> None:
    """Readings are in the store; every quarter hour of their periods is marked and spanned."""
    outcome = await _load(tmp_path, store, ledger, "time,kwh\n2026-01-01T02:00,1\n")
    end_ms = NOW_MS - DAY_MS + 2 * HOUR_MS
    assert await _stored(store) == [(end_ms, 3.6e6)]
    assert _marked(ledger) == set(range(end_ms - HOUR_MS, end_ms + 1, HOUR_MS // 4))
    assert (outcome.readings, outcome.written) == (1, 1)
    assert (outcome.first_ms, outcome.last_ms) == (end_ms - HOUR_MS, end_ms)


async def test_twice_and_in_shuffled_pieces(
    tmp_path: Path, store: SqliteStore, ledger: Ledger
) -> None:
    """The same file again, or cut into pieces in any order that overlap, writes nothing new."""
    lines = [f"2026-01-01T{hour:02}:00,{hour}.25" for hour in range(1, 24)]
    random.Random(7).shuffle(lines)
    for begin in (12, 0, 6):
        piece = "\n".join(["time,kwh", *lines[begin : begin + 12], ""])
        await _load(tmp_path, store, ledger, piece)
    begin_ms = NOW_MS - DAY_MS
    expected = [(begin_ms + h * HOUR_MS, (h + 0.25) * 3.6e6) for h in range(1, 24)]
    assert await _stored(store) == expected
    again = await _load(tmp_path, store, ledger, "\n".join(["time,kwh", *sorted(lines), ""]))
    assert (again.readings, again.written) == (23, 0)
    assert await _stored(store) == expected


async def test_another_value_is_refused(tmp_path: Path, store: SqliteStore, ledger: Ledger) -> None:
    """A value that differs from the stored one is named with line and both; nothing is written."""
    await _load(tmp_path, store, ledger, "time,kwh\n2026-01-01T02:00,1\n")
    with pytest.raises(RefusedError, match="the store has another value") as refused:
        await _load(tmp_path, store, ledger, "time,kwh\n2026-01-01T01:00,5\n2026-01-01T02:00,2\n")
    assert (
        "meter:main/energy_amount at 2026-01-01T02:00:00Z: 7200000 in line 3, 3600000 in the store"
    ) in str(refused.value)
    assert await _stored(store) == [(NOW_MS - DAY_MS + 2 * HOUR_MS, 3.6e6)]


@pytest.mark.parametrize(("off", "is_same"), [(5e-13, True), (-5e-13, True), (1e-11, False)])
async def test_a_last_digit_that_the_store_changed_is_no_other_value(
    tmp_path: Path, store: SqliteStore, ledger: Ledger, off: float, is_same: bool
) -> None:
    """VictoriaMetrics may change the 13th digit of what it is given; more than that is refused."""
    joules = 3.6e12
    await store.write([Reading(SERIES, NOW_MS - DAY_MS + HOUR_MS, joules * (1 + off))])
    content = f"time,kwh\n2026-01-01T01:00,{joules / 3.6e6:.0f}\n"
    if is_same:
        assert (await _load(tmp_path, store, ledger, content)).written == 0
    else:
        with pytest.raises(RefusedError, match="the store has another value"):
            await _load(tmp_path, store, ledger, content)


async def test_file_that_contradicts_itself(
    tmp_path: Path, store: SqliteStore, ledger: Ledger
) -> None:
    """Two values for one time within a file are named with both lines; the same twice is fine."""
    content = "time,kwh\n2026-01-01T01:00,1\n2026-01-01T01:00,1\n2026-01-01T01:00,3\n"
    with pytest.raises(RefusedError, match=r"3600000 in line 2, 10800000 in line 4"):
        await _load(tmp_path, store, ledger, content)
    assert await _stored(store) == []
    assert _marked(ledger) == set()


async def test_bad_rows(tmp_path: Path, store: SqliteStore, ledger: Ledger) -> None:
    """Bad rows stop the import with count and examples; when told to, they are left out."""
    content = "time,kwh\n2026-01-01T01:00,x\n2026-01-01T02:00,2\nnever,3\n"
    with pytest.raises(RefusedError, match=r"2 of 3 rows cannot be read.*line 2: .*line 4: "):
        await _load(tmp_path, store, ledger, content)
    assert await _stored(store) == []
    outcome = await _load(tmp_path, store, ledger, content, skip_bad=True)
    assert (outcome.bad_rows, outcome.written) == (2, 1)
    assert [example.split(":")[0] for example in outcome.bad_examples] == ["line 2", "line 4"]


@pytest.mark.parametrize(
    ("label", "problem"),
    [
        ("2026-01-02T00:02", "2026-01-02T00:02:00Z is in the future"),
        ("2025-12-22T00:00", "is older than the store keeps"),
    ],
)
async def test_untimely_rows(
    tmp_path: Path, store: SqliteStore, ledger: Ledger, label: str, problem: str
) -> None:
    """What the store would silently drop, or what has not happened yet, makes a row bad."""
    with pytest.raises(RefusedError, match=problem):
        await _load(tmp_path, store, ledger, f"time,kwh\n{label},1\n")


async def test_not_measured_is_no_reading(
    tmp_path: Path, store: SqliteStore, ledger: Ledger
) -> None:
    """An empty cell leaves a hole in the store, not a zero."""
    outcome = await _load(tmp_path, store, ledger, "time,kwh\n2026-01-01T01:00,\n")
    assert await _stored(store) == []
    assert (outcome.rows, outcome.readings, outcome.not_measured) == (1, 0, 1)


def test_stage_sorts_across_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches come in time order and lose nothing where they are cut."""
    monkeypatch.setattr("jauge_collector.importer.stage.BATCH", 7)
    times = list(range(0, 100, 3))
    random.Random(3).shuffle(times)
    other = SERIES._replace(resource="meter:other")
    with Stage([SERIES, other]) as stage:
        for line, time_ms in enumerate(times):
            stage.add(line, [Reading(SERIES, time_ms, 1.0), Reading(other, time_ms, 2.0)])
        batches = list(stage.batches())
    found = [(s.reading.time_ms, s.reading.series) for batch in batches for s in batch]
    assert found == [(t, s) for t in sorted(times) for s in (SERIES, other)]
    assert max(map(len, batches)) == 7
