"""What the compliance record and the quarter's report of a thousand servers and a year cost."""

import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from jauge_collector import sites
from jauge_collector.compliance import kept_hours
from jauge_collector.compliance.quarters import quarter_of
from jauge_collector.compliance.record import record
from jauge_collector.compliance.sources import Sources
from jauge_collector.ledger.book import Ledger
from jauge_collector.registers import files
from jauge_collector.reports.gather import gather
from jauge_collector.reports.write import ALL, write
from jauge_collector.stores.sqlite import SqliteStore
from jauge_models.effectiveness import DAY_MS

from benchmarks import plant
from benchmarks.rows import Better, Table, say, side_by_side

CPU_LIMIT_S: Final = 10.0
"""Of a quarter's report (the design's section 9)."""
MEMORY_LIMIT_MIB: Final = 500e6 / 2**20
MINUTE_SENSORS: Final = 4
_FIRST: Final = "first"
"""The record of a ledger that keeps no hours of sensors yet; the jobs after it find them kept."""
_EACH_MINUTE: Final = "minutes-readings.db"
_JOBS: Final = ("files", _FIRST, "record", "report", "sensors-first", "sensors")


async def measure(*, seconds: float, full: bool) -> Table:  # noqa: ARG001 - one signature for all
    """Each job in a process of its own, over one ledger and store."""
    size = plant.Size()
    with tempfile.TemporaryDirectory(prefix="jauge-bench-") as name:
        folder = Path(name)
        begun = time.perf_counter()
        plant.write_files(folder, size)
        with Ledger(folder / "ledger.db") as ledger:
            rows = plant.fill_ledger(ledger, size)
        async with SqliteStore(folder / "readings.db", retention_days=20000) as store:
            readings = await plant.fill_store(store, size)
        async with SqliteStore(folder / _EACH_MINUTE, retention_days=20000) as store:
            await plant.fill_sensors(store, plant.Size(rows_of_racks=MINUTE_SENSORS, sensor_s=60))
        say(f"report: {rows} rows, {readings} readings in {time.perf_counter() - begun:.0f} s")
        cpu: dict[str, float] = {}
        wall: dict[str, float] = {}
        memory: dict[str, float] = {}
        for job in _JOBS:
            cpu[job], wall[job], memory[job] = await _apart(job, folder)
            say(f"report: {job} {cpu[job]:.1f} s of CPU, {wall[job]:.1f} s, {memory[job]:.0f} MiB")
    what = f"a quarter's report, {size.servers} servers and a year"
    return Table(
        "report",
        "The report: a thousand servers and a year",
        [
            *side_by_side(
                f"{what}: CPU",
                cpu["report"],
                "s",
                [
                    ("the compliance record alone", cpu["record"], ""),
                    ("the same where no hours of sensors are kept yet", cpu[_FIRST], ""),
                    ("starting and reading the registers alone", cpu["files"], ""),
                ],
                better=Better.LOWER,
                limit=CPU_LIMIT_S,
            ),
            *side_by_side(
                "a year of hours of a sensor that is read each minute: CPU",
                (cpu["sensors"] - cpu["files"]) / MINUTE_SENSORS,
                "s",
                [
                    (
                        "the first time, out of its readings",
                        (cpu["sensors-first"] - cpu["files"]) / MINUTE_SENSORS,
                        "",
                    )
                ],
                better=Better.LOWER,
            ),
            *side_by_side(
                f"{what}: highest RSS",
                memory["report"],
                "MiB",
                [("starting and reading the registers alone", memory["files"], "")],
                better=Better.LOWER,
                limit=MEMORY_LIMIT_MIB,
            ),
        ],
        [
            f"{rows} rows of the ledger; {readings} readings, {size.rows_of_racks} sensors",
            f"a sensor is read each {size.sensor_s // 60} min",
            "hours of sensors are kept once worked out: more readings cost more the first time",
            f"the report took {wall['report']:.1f} s; load average {os.getloadavg()[0]:.1f}",
            "CPU of a whole process, its start too; PDF, HTML, tables and JSON in French",
        ],
    )


async def _apart(job: str, folder: Path) -> tuple[float, float, float]:
    """Seconds of CPU, seconds and MiB of a job in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.report", job, str(folder)),
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{job} ended with {process.returncode}")
    cpu, wall, memory = json.loads(told)
    return cpu, wall, memory


async def _job(job: str, folder: Path) -> None:
    site = sites.load(folder / "site.toml")
    registers = files.load(site.registers, folder, site.name)
    if job == "files":
        return
    if job.startswith("sensors"):
        await _sensors(site.name, folder)
        return
    now_ms = plant.END_MS + DAY_MS
    quarter = quarter_of(plant.QUARTER, site.zone, now_ms)
    ledger_file = folder / "ledger.db"
    async with SqliteStore(folder / "readings.db", retention_days=20000) as store:
        with Ledger(ledger_file) as ledger:
            sources = Sources(site, registers, ledger, ledger_file, store)
            if job in {_FIRST, "record"}:
                await record(sources, quarter, quarter.window.last)
            else:
                write(await gather(sources, quarter, now_ms), folder / "out", "fr", ALL)


async def _sensors(site: str, folder: Path) -> None:
    """A year of hours of sensors that are read each minute."""
    sensors = plant.sensors(plant.Size(rows_of_racks=MINUTE_SENSORS))
    span = plant.START_MS, plant.END_MS
    async with SqliteStore(folder / _EACH_MINUTE, retention_days=20000) as store:
        with Ledger(folder / "minutes.db") as ledger:
            await kept_hours.read(store, ledger, site, sensors, span, plant.HOUR_MS)


def _main(job: str, folder: str) -> None:
    begun = time.perf_counter()
    asyncio.run(_job(job, Path(folder)))
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = used.ru_utime + used.ru_stime
    told = json.dumps([cpu, time.perf_counter() - begun, used.ru_maxrss / 1024])
    sys.stdout.write(f"{told}\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
