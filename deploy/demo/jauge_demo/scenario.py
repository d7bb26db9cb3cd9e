"""What the demonstration keeps in its folder: configurations, and a year of simulated history."""

import json
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from importlib import resources
from itertools import islice
from pathlib import Path
from string import Template
from typing import Final, NamedTuple

from jauge_collector import civil, sites
from jauge_collector import config as collector_config
from jauge_collector.capacity.scenarios import FOLDER
from jauge_collector.ledger.accounting import run_pass
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.descriptions import described
from jauge_collector.sites import Site
from jauge_collector.stores import Store
from jauge_collector.stores.open import open_store
from jauge_models.quantities import CATALOGUE
from jauge_models.readings import Reading
from jauge_models.resources import Series

from jauge_demo import cluster
from jauge_demo.plant import history
from jauge_demo.simulation import DAY_MS, STEP_MS

SITE: Final = "demo"
ZONE: Final = "Europe/Paris"
"""As its site file says."""
GATEWAY: Final = "plant"
CLUSTER: Final = "cluster"
"""The agent that reads the simulated cluster."""
HISTORY_DAYS: Final = 366
CLUSTER_DAYS: Final = 36
"""How far back the cluster's history goes: five whole weeks of what guests do are judged."""
GPU_DAYS: Final = 57
"""How far back that of its GPUs goes: eight weeks are planned with, a little more than that."""
_GPU_STEP_MS: Final = 3 * 60_000
"""GPUs that are read less often than this are not measured in between."""
_SHARING_S: Final = 3.0
"""For so long its newest hours are shared out at once; the collector does the others."""
_BATCH: Final = 20_000

Progress = Callable[[str, int, int], None]
"""Told the phase, how much of it is done, and how much there is."""


class Scenario(NamedTuple):
    """Files of the demonstration, made by `prepare`."""

    folder: Path
    collector: Path
    gateway: Path
    cluster: Path
    agent: Path
    start_ms: int
    """When the simulated registers began to count."""


def prepare(folder: Path, *, mqtt_port: int, console_port: int, now_ms: int) -> Scenario:
    """Write the configurations anew; keep what an earlier run has measured. Raises OSError."""
    for name in ("", "agent", "gateway", "cluster", "collector"):
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    start_ms = _start(folder / "start.json", now_ms)
    for name in ("site.toml", "plant.toml"):
        text = resources.files("jauge_demo").joinpath(name).read_text(encoding="utf-8")
        (folder / name).write_text(text, encoding="utf-8")
    first_run_ms = start_ms + HISTORY_DAYS * DAY_MS
    _write_registers(folder / "registers", first_run_ms)
    _save_scenario(folder / "collector" / FOLDER / SITE, first_run_ms)
    files = {
        "collector.toml": f"""\
sites = ["site.toml"]
state_dir = "collector"

[mqtt]
tls = false
port = {mqtt_port}

[ledger]
pass_every_s = 5

[console]
listen = "127.0.0.1:{console_port}"
access = {{ role = "operator" }}
""",
        "gateway.toml": f"""\
site = "{SITE}"
agent = "{GATEWAY}"

[broker]
tls = false
port = {mqtt_port}

[spool]
directory = {json.dumps(str(folder / "gateway"))}

[delivery]
resend_after_s = 5

[log]
level = "warning"

[sources.plant]
period_s = 5
start_ms = {start_ms}
""",
        "cluster.toml": f"""\
site = "{SITE}"
agent = "{CLUSTER}"

[broker]
tls = false
port = {mqtt_port}

[spool]
directory = {json.dumps(str(folder / "cluster"))}

[delivery]
resend_after_s = 5

[log]
level = "warning"

[sources.cluster]
period_s = 10
start_ms = {start_ms}
""",
        "agent.toml": f"""\
site = "{SITE}"

[broker]
tls = false
port = {mqtt_port}

[spool]
directory = {json.dumps(str(folder / "agent"))}

[delivery]
resend_after_s = 5

[log]
level = "warning"

[sources.host]
period_s = 5

[sources.rapl]
period_s = 5

[sources.hwmon]
period_s = 5
""",
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return Scenario(
        folder,
        folder / "collector.toml",
        folder / "gateway.toml",
        folder / "cluster.toml",
        folder / "agent.toml",
        start_ms,
    )


def _write_registers(folder: Path, first_run_ms: int) -> None:
    """The officer's registers of the simulated site, dated around the first run."""
    today = civil.day(first_run_ms, civil.zone(ZONE))
    next_month = civil.first_of_month(today, 1)
    dates = {
        "cluster_start": today - timedelta(days=CLUSTER_DAYS - 1),
        "year_ago": today - timedelta(days=365),
        "months_ago": today - timedelta(days=90),
        "retired": today - timedelta(days=20),
        "next_quarter": civil.first_of_month(next_month, -(next_month.month - 1) % 3),
    }
    shown = {name: day.isoformat() for name, day in dates.items()}
    (folder / "documents").mkdir(mode=0o700, parents=True, exist_ok=True)
    shipped = resources.files("jauge_demo").joinpath("registers")
    for part, names in (
        ("", ("servers.csv", "rooms.csv", "practices.csv", "documents.csv", "policy.toml")),
        ("", ("factors.csv", "refrigerants.csv", "exemptions.csv", "actions.csv", "facility.csv")),
        ("documents", ("exemple.txt",)),
    ):
        for name in names:
            text = shipped.joinpath(part, name).read_text(encoding="utf-8")
            (folder / part / name).write_text(Template(text).substitute(shown), encoding="utf-8")


def _save_scenario(folder: Path, first_run_ms: int) -> None:
    """What a planner asked of the year after the first run; once, so that changes to it stay."""
    if folder.exists():
        return
    first = civil.first_of_month(civil.day(first_run_ms, civil.zone(ZONE)), 1)
    friday = first + timedelta(days=(4 - first.weekday()) % 7)
    dates = {"first": first.isoformat(), "friday": friday.isoformat()}
    dates |= {f"year_{later}": f"{first.year + later}" for later in range(2)}
    folder.mkdir(mode=0o700, parents=True)
    text = resources.files("jauge_demo").joinpath("capacity.toml").read_text(encoding="utf-8")
    (folder / "example.toml").write_text(Template(text).substitute(dates), encoding="utf-8")


def _start(path: Path, now_ms: int) -> int:
    """The moment the registers began, kept from the first run on."""
    if path.exists():
        return int(json.loads(path.read_text(encoding="utf-8"))["start_ms"])
    start_ms = now_ms - HISTORY_DAYS * DAY_MS
    start_ms -= start_ms % STEP_MS
    path.write_text(json.dumps({"start_ms": start_ms}), encoding="utf-8")
    return start_ms


async def load_history(
    scenario: Scenario,
    *,
    now_ms: int,
    progress: Progress,
    shown: Callable[[], Awaitable[None]] | None = None,
) -> int:
    """Fill the store and the ledger with the past, once; returns the readings written.

    ``shown`` waits until what was written can be read, of a store that takes a while.
    """
    done = scenario.folder / "history.done"
    if done.exists():
        return 0
    config = collector_config.load(scenario.collector)
    site = sites.load(scenario.folder / "site.toml")
    total = (now_ms - scenario.start_ms) // STEP_MS
    written = 0
    async with open_store(config) as store:
        with Ledger(config.state(config.ledger.path)) as ledger:
            readings = _readings(scenario.start_ms, now_ms, progress, total)
            while batch := list(islice(readings, _BATCH)):
                await store.write(batch)
                written += len(batch)
            guests = of_cluster(scenario.start_ms, now_ms)
            while batch := list(islice(guests, _BATCH)):
                await store.write(batch)
                written += len(batch)
            if shown is not None:
                await shown()
            progress("accounting", 0, 1)
            await account_history(store, ledger, site, scenario.start_ms, now_ms)
            progress("accounting", 1, 1)
    done.touch()
    return written


async def account_history(
    store: Store, ledger: Ledger, site: Site, start_ms: int, now_ms: int
) -> None:
    """Rows of what was written over [start, now) and can be read. Raises StoreError, LedgerError.

    In two passes: when the first is made nobody knows of any guests yet, so that hosts are not
    shared out for the time before there were some.
    """
    first_ms = _cluster_start(now_ms)
    settled_ms = now_ms - round(store.settle_s * 1000)
    ledger.mark(site.name, GATEWAY, range(start_ms, now_ms, STEP_MS), settled_ms)
    for host in cluster.GPU_HOSTS:
        ledger.mark_meter(site.name, host, start_ms, first_ms, settled_ms)
    with ledger.writer():
        await run_pass(store, ledger, site, now_ms, sharing_s=_SHARING_S)
    _introduce_cluster(ledger, cluster.Moment(first_ms, start_ms))
    ledger.mark(site.name, CLUSTER, range(first_ms, now_ms, STEP_MS), settled_ms)
    with ledger.writer():
        await run_pass(store, ledger, site, now_ms, sharing_s=_SHARING_S)


def _readings(start_ms: int, end_ms: int, progress: Progress, total: int) -> Iterator[Reading]:
    series: dict[tuple[str, str], Series] = {}
    for count, seen in enumerate(history(start_ms, end_ms)):
        if count % 500 == 0:
            progress("simulating a year", count, total)
        for key, value in seen.values.items():
            one = series.get(key)
            if one is None:
                one = series[key] = Series(SITE, GATEWAY, *key)
            yield Reading(one, seen.time_ms, round(value, CATALOGUE[key[1]].decimals))
    progress("simulating a year", total, total)


def _cluster_start(now_ms: int) -> int:
    start_ms = now_ms - CLUSTER_DAYS * DAY_MS
    return start_ms - start_ms % STEP_MS


def _introduce_cluster(ledger: Ledger, began: cluster.Moment) -> None:
    """What its birth says, which in the past would have come when its gateway began."""
    resources = {resource.id: resource for resource in cluster.described(began)}
    methods = {
        (resource.id, quantity): method
        for resource in resources.values()
        for quantity, method in resource.quantities.items()
    }
    ledger.set_methods(SITE, CLUSTER, methods)
    ledger.set_descriptions(SITE, CLUSTER, described(resources), began.time_ms)


def of_cluster(start_ms: int, end_ms: int) -> Iterator[Reading]:
    """What gateways of the cluster would have read in [start, end).

    All of it every quarter of an hour since `CLUSTER_DAYS`; before that the power of hosts with
    GPUs alone; and GPUs themselves, since `GPU_DAYS`, every three minutes.
    """
    first_ms = _cluster_start(end_ms)
    gpus_ms = end_ms - GPU_DAYS * DAY_MS
    for told, times in (
        (cluster.gpu_hosts_at, range(start_ms, first_ms, STEP_MS)),
        (cluster.readings_at, range(first_ms, end_ms, STEP_MS)),
        (cluster.gpus_at, range(gpus_ms - gpus_ms % STEP_MS, end_ms, _GPU_STEP_MS)),
    ):
        series: dict[tuple[str, str], Series] = {}
        for time_ms in times:
            for key, value in told(cluster.Moment(time_ms, start_ms)).items():
                one = series.setdefault(key, Series(SITE, CLUSTER, *key))
                yield Reading(one, time_ms, round(value, CATALOGUE[key[1]].decimals))


def now_ms() -> int:
    """The wall clock of this machine."""
    return time.time_ns() // 1_000_000
