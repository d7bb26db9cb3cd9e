"""The public logs that GPU capacity is judged by, as they lie in ../shared/data."""

import csv
import gzip
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

SERVERS: Final = ("cbsugpu05", "cbsugpu06", "cbsugpu07")
LOADS: Final = {
    "google": "GoogleClusteData_CPU_Data_Hourly_1.csv",
    "alibaba 1": "Alibaba_CPU_Data_Hourly_1.csv",
    "alibaba 2": "Alibaba_CPU_Data_Hourly_2.csv",
}
_HOUR_S: Final = 3600


class Hour(NamedTuple):
    """An hour of a server's GPUs: its month, mean activity (0..1) and mean power of a GPU, W."""

    number: int
    month: str
    activity: float
    watts: float


class Run(NamedTuple):
    """One benchmark on one kind of server, mean W of steps, within its window and outside."""

    system: str
    benchmark: str
    scenario: str
    working: Sequence[float]
    resting: Sequence[float]


def folder() -> Path:
    """The shared data beside the checkout; raises FileNotFoundError where it is not."""
    found = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not found.is_dir():
        raise FileNotFoundError(f"{found} is not here: the logs that this is judged by lie there")
    return found


def gpu_hours(data: Path, server: str) -> Sequence[Hour]:
    """The known hours of a server, oldest first."""
    found = []
    path = data / "biohpc_gpu_power" / f"{server}_usage_stats.txt"
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if row["name"] != server:
                continue  # the footer
            at = datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC)
            found.append(
                Hour(
                    int(at.timestamp()) // _HOUR_S,
                    at.strftime("%Y-%m"),
                    float(row["utilave"]) / 100,
                    float(row["powerave"]),
                )
            )
    return sorted(found)


def hourly(hours: Sequence[Hour]) -> list[float | None]:
    """Watts of each hour from the first to the last, None where there is none."""
    known = {hour.number: hour.watts for hour in hours}
    return [known.get(number) for number in range(hours[0].number, hours[-1].number + 1)]


def power_series(data: Path) -> dict[str, list[float | None]]:
    """Hourly watts of each server, and of the sum over the hours that all have.

    Without what came before the months-long holes at the beginning.
    """
    found: dict[str, list[float | None]] = {}
    for server in SERVERS:
        hours = [hour for hour in gpu_hours(data, server) if hour.month >= "2023-03"]
        found[server] = hourly(hours)
    length = min(len(series) for series in found.values())
    found["the three together"] = [
        None if None in each else sum(watts for watts in each if watts is not None)
        for each in zip(*(series[-length:] for series in found.values()), strict=True)
    ]
    return found


def load_series(data: Path) -> dict[str, list[float | None]]:
    """Hourly load of clusters, 0..1."""
    found: dict[str, list[float | None]] = {}
    for name, file_name in LOADS.items():
        with (data / "load_shapes" / file_name).open(encoding="utf-8", newline="") as file:
            found[name] = [float(row["cpu_load"]) for row in csv.DictReader(file)]
    return found


def daily(hours: Sequence[float | None]) -> list[float | None]:
    """The mean of each whole day of which at least half is known."""
    found: list[float | None] = []
    for start in range(0, len(hours) - 23, 24):
        known = [value for value in hours[start : start + 24] if value is not None]
        found.append(sum(known) / len(known) if len(known) >= 12 else None)
    return found


def runs(data: Path, step_s: int) -> Sequence[Run]:
    """Every benchmark run, its seconds put together to steps."""
    logs = data / "mlperf_power"
    with (logs / "windows.csv").open(encoding="utf-8", newline="") as file:
        return [_run(logs, row, step_s) for row in csv.DictReader(file)]


def _run(logs: Path, row: dict[str, str], step_s: int) -> Run:
    begin, end = (datetime.fromisoformat(row[name]) for name in ("power_begin", "power_end"))
    names = row["system"], row["benchmark"], row["scenario"]
    log = logs / f"{'__'.join(names)}.spl.txt.gz"
    working: list[float] = []
    resting: list[float] = []
    for at, watts in _seconds(log):
        (working if begin <= at.replace(tzinfo=None) <= end else resting).append(watts)
    return Run(*names, _steps(working, step_s), _steps(resting, step_s))


def _seconds(log: Path) -> Iterator[tuple[datetime, float]]:
    with gzip.open(log, "rt", encoding="utf-8") as file:
        for cells in csv.reader(file):
            at = datetime.strptime(cells[1], "%m-%d-%Y %H:%M:%S.%f").replace(tzinfo=UTC)
            if (watts := float(cells[3])) >= 0:  # below is not measured
                yield at, watts


def _steps(seconds: Sequence[float], step_s: int) -> Sequence[float]:
    whole = len(seconds) - len(seconds) % step_s
    return [sum(seconds[at : at + step_s]) / step_s for at in range(0, whole, step_s)]
