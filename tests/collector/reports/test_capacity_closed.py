"""GPUs of a closed quarter: closed again after the store forgot, the report tells the same."""

from pathlib import Path

import pytest
from jauge_collector.compliance import closing, kept_files
from jauge_collector.compliance.quarters import quarter_of
from jauge_collector.compliance.sources import Sources
from jauge_collector.ledger.book import Ledger
from jauge_collector.reports.content import Capacity, Report, data_hash
from jauge_collector.reports.gather import PHASES, gather
from jauge_models.capacity.fullness import Limit
from jauge_models.capacity.outlook import Measure
from jauge_models.configuration import ConfigurationError
from jauge_models.intervals import GRADE_OF, Basis, Interval

from tests.collector.compliance.yard import DAY, END, HOUR, Yard, keep, with_sources
from tests.collector.reports.desk import NOW

PLANT = """
[[kinds]]
name = "two"
gpu = "G"
gpus = 2
gpu_memory_gib = 80
nameplate_kw = 2
cores = 64
memory_gib = 512

[[racks]]
name = "r1"
power_kw = 3
supplies = [{ name = "A", feed = "A", amperes = 10 }, { name = "B", feed = "B", amperes = 10 }]

[[nodes]]
name = "n1"
kind = "two"
rack = "r1"
"""
STEP = 170_000


@pytest.fixture
def rack(yard: Yard) -> Yard:
    """A server of two GPUs, one of which tells who has what part; of forty days, and a year."""
    yard.edit("yard.toml", "[registers]", '[capacity]\nplant = "plant.toml"\n\n[registers]')
    (yard.folder / "plant.toml").write_text(PLANT, encoding="utf-8")
    for gpu in (0, 1):
        points = [
            (at, (at // HOUR % 24 + gpu) / 50) for at in range(325 * DAY, 365 * DAY + STEP, STEP)
        ]
        yard.write(f"n1/gpu:{gpu}", points, "gpu_utilisation")
        yard.write(f"n1/gpu:{gpu}", [(at, 80 + 300 * part) for at, part in points], "power")
        yard.write(f"n1/gpu:{gpu}", [(at, part * 2**36) for at, part in points], "memory_used")
    # Told from the first day on: of what was before, nobody would know who had it.
    days = ((325, 326), (350, 355))
    shares = [(at, 0.5) for one, end in days for at in range(one * DAY, end * DAY, STEP)]
    yard.write("n1/gpu_instance:0.1", shares, "share")
    with Ledger(yard.folder / "ledger.db") as ledger, ledger.writer():
        rows = [
            Interval(
                END - (at + 1) * HOUR,
                END - at * HOUR,
                (900.0 + at % 24) * 3600,
                HOUR,
                HOUR,
                Basis.COUNTER,
                GRADE_OF[Basis.COUNTER],
            )
            for at in reversed(range(300 * 24))
        ]
        keep(ledger, "n1", rows)
    return yard


def _gathered(folder: Path) -> Report:
    async def work(sources: Sources) -> Report:
        return await gather(sources, quarter_of("2025-Q4", sources.site.zone, NOW), NOW)

    return with_sources(folder, work)


def _closed(folder: Path, note: str = "") -> Report:
    async def work(sources: Sources) -> Report:
        quarter = quarter_of("2025-Q4", sources.site.zone, NOW)
        report = await gather(sources, quarter, NOW)
        await closing.close_quarter(
            sources, folder, quarter, report, by="officer", now_ms=NOW, note=note
        )
        return report

    return with_sources(folder, work)


def _told(report: Report) -> Capacity:
    assert report.capacity is not None
    return report.capacity


def test_what_was_closed_is_told_again_without_the_store(rack: Yard) -> None:
    """All of it lost, its oldest part, or a GPU of two; and once more from the second edition."""
    first = _told(_closed(rack.folder))
    (gpus,) = first.gpus
    assert gpus.coverage == pytest.approx(40 / 92, abs=0.01)
    assert first.idle is not None
    assert first.idle.kwh
    # Of the other GPU nothing ever told who had it.
    assert {(one.limit, one.counted) for one in first.limits} == {
        (Limit.GPUS.value, "mixed"),
        (Limit.GPU_MEMORY.value, "mixed"),
        (Limit.RACK_POWER.value, "drawn"),
        (Limit.BREAKER.value, "drawn"),
    }
    assert {(one.what, bool(one.method)) for one in first.pools} == {
        (Limit.GPUS.value, True),
        (Limit.GPU_MEMORY.value, True),
        (Measure.ACTIVITY.value, True),
        (Measure.POWER.value, True),
    }

    async def purge(sources: Sources) -> None:
        assert await sources.store.purge(END - 15 * DAY + DAY)

    async def erase(sources: Sources) -> None:
        await sources.store.erase("yard", [("n1", "gpu:0"), ("n1", "gpu_instance:0.1")])

    with_sources(rack.folder, purge, retention_days=1)
    assert _told(_gathered(rack.folder)) == first
    with_sources(rack.folder, erase)
    assert _told(_gathered(rack.folder)) == first
    for file in rack.folder.glob("readings.db*"):
        file.unlink()
    with pytest.raises(ConfigurationError, match="would say the same"):
        _closed(rack.folder, "closed again")
    plant = (rack.folder / "plant.toml").read_text("utf-8")
    (rack.folder / "plant.toml").write_text(plant.replace("power_kw = 3", "power_kw = 4"), "utf-8")
    second = _closed(rack.folder, "the rack was given more power")
    told = _told(second)
    assert (told.gpus, told.idle, told.pools) == (first.gpus, first.idle, first.pools)
    assert told.limits != first.limits
    # By now out of two editions.
    assert data_hash(_gathered(rack.folder)) == data_hash(second)
    with Ledger(rack.folder / "ledger.db") as ledger:
        named = kept_files.archives(ledger, rack.folder / "archive", None)
    assert not kept_files.check(named, what="archives").problems


def test_reading_a_year_of_gpus_is_told_of(rack: Yard) -> None:
    """By the nodes that were read, as the last part of the whole."""
    told: list[tuple[str, int, int]] = []

    async def work(sources: Sources) -> Report:
        quarter = quarter_of("2025-Q4", sources.site.zone, NOW)
        return await gather(sources, quarter, NOW, progress=lambda *step: told.append(step))

    with_sources(rack.folder, work)
    parts = [done / total for _, done, total in told]
    assert parts == sorted(parts)
    assert [step for step in told if step[0] == PHASES[-1]] == [
        ("gpus", 6, 7),
        ("gpus", 7, 7),
        ("gpus", 7, 7),
    ]


def test_a_plant_that_cannot_be_used_stops_no_closing(rack: Yard) -> None:
    """It is told in the report, and nothing of GPUs is kept."""
    (rack.folder / "plant.toml").write_text("nonsense", encoding="utf-8")
    assert _told(_closed(rack.folder)).problem
