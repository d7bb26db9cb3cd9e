"""The demo site's past in a VictoriaMetrics: readings, and what the collector would have published.

Readings go in through the collector's store, registers and all. Of the metrics those that move
are worked out for each moment by the collector's own functions; what only describes the site
(names, limits, places, where the record stands) is as the running collector shows it now.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from jauge_collector import kpis
from jauge_collector.attribution import hosts_now
from jauge_collector.console.figures import quarter_so_far, twelve_months
from jauge_collector.console.health import families as kpi_families
from jauge_collector.ledger.book import Ledger
from jauge_collector.power_now import meters_now, totals_now
from jauge_collector.registers.meters import topology_of
from jauge_collector.site_families import Families, joined, of_hosts, of_power
from jauge_collector.sites import Site
from jauge_collector.state import ServiceState
from jauge_collector.stores import Store
from jauge_demo import cluster, plant, scenario
from jauge_demo.scenario import CLUSTER, GATEWAY
from jauge_models.quantities import CATALOGUE
from jauge_models.readings import Reading
from jauge_models.resources import Series
from jauge_models.site_metrics import SITE_METRICS
from prometheus_client.parser import text_string_to_metric_families

from tests.parts import VictoriaMetrics

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
QUARTER_MS: Final = 15 * MINUTE_MS
DENSE_MS: Final = 26 * HOUR_MS
"""Within this long every minute is read, before it every quarter of an hour."""
_WORKED_EVERY_MS: Final = 2 * MINUTE_MS
_BATCH: Final = 20_000
_VISIBLE_S: Final = 15.0
"""A series that is new to VictoriaMetrics is seen by queries after up to this long."""

_Values = dict[tuple[str, str], float]


async def write(
    store: Store, database: VictoriaMetrics, ledger: Ledger, site: Site, span: tuple[int, int]
) -> int:
    """Fill store and ledger over [start, now); returns the readings written."""
    start_ms, now_ms = span
    written = 0
    for readings in (
        _readings(site, GATEWAY, _of_plant(start_ms, now_ms)),
        scenario.of_cluster(start_ms, now_ms),
        _readings(site, CLUSTER, _of_cluster(start_ms, now_ms)),
    ):
        while batch := list(islice(readings, _BATCH)):
            await store.write(batch)
            written += len(batch)
    await database.force_flush()
    await asyncio.sleep(_VISIBLE_S)
    await scenario.account_history(store, ledger, site, start_ms, now_ms)
    return written


def _of_plant(start_ms: int, end_ms: int) -> Iterator[tuple[int, _Values]]:
    dense_ms = (end_ms - DENSE_MS) // QUARTER_MS * QUARTER_MS
    for seen in plant.history(start_ms, dense_ms):
        yield seen.time_ms, dict(seen.values)
    registers = plant.Registers(start_ms)
    for time_ms in range(dense_ms, end_ms, MINUTE_MS):
        yield time_ms, dict(plant.live(registers, time_ms).values)


def _of_cluster(start_ms: int, end_ms: int) -> Iterator[tuple[int, _Values]]:
    """Its latest day; what came before is as in the demonstration."""
    for time_ms in range((end_ms - DENSE_MS) // QUARTER_MS * QUARTER_MS, end_ms, MINUTE_MS):
        yield time_ms, cluster.readings_at(cluster.Moment(time_ms, start_ms))


def _readings(site: Site, agent: str, seen: Iterable[tuple[int, _Values]]) -> Iterator[Reading]:
    series: dict[tuple[str, str], Series] = {}
    for time_ms, values in seen:
        for key, value in values.items():
            one = series.setdefault(key, Series(site.name, agent, *key))
            yield Reading(one, time_ms, round(value, CATALOGUE[key[1]].decimals))


# --- what the collector would have published


async def publish(
    state: ServiceState,
    database: VictoriaMetrics,
    shown_now: str,
    scraped: Mapping[str, str],
    span: tuple[int, int],
) -> int:
    """Write metrics over [start, end); returns the samples written.

    ``shown_now`` is the text of the running collector's ``/metrics``, ``scraped`` the labels that
    its scraper adds.
    """
    start_ms, end_ms = span
    moving: set[str] = set()
    lines: list[str] = []
    (site,) = state.sites.values()
    async for time_ms, families in _worked(state, site, start_ms, end_ms):
        moving |= {name for name, samples in families.items() if samples}
        for name, samples in families.items():
            for one in samples:
                until_ms = min(time_ms + _WORKED_EVERY_MS, end_ms)
                lines += _held(name, {**one.labels, **scraped}, one.value, time_ms, until_ms)
    described_by = {metric.name for metric in SITE_METRICS} - moving
    for family in text_string_to_metric_families(shown_now):
        for sample in family.samples:
            if sample.name in described_by:
                labels = {**sample.labels, **scraped}
                lines += _held(sample.name, labels, sample.value, start_ms, end_ms)
    for at in range(0, len(lines), _BATCH):
        body = "\n".join(lines[at : at + _BATCH]).encode()
        status, said = await database.request("POST", "/api/v1/import/prometheus", body)
        if status >= 300:
            raise RuntimeError(f"the store refused history: {said.decode(errors='replace')}")
    await database.force_flush()
    return len(lines)


async def _worked(
    state: ServiceState, site: Site, start_ms: int, end_ms: int
) -> AsyncIterator[tuple[int, Families]]:
    births = {
        agent.address.agent: agent.birth
        for agent in state.inventory.of_site(site.name)
        if agent.birth is not None
    }
    topology = topology_of(state.ledger, site)
    indicators: Families = {}
    for time_ms in range(start_ms, end_ms, _WORKED_EVERY_MS):
        if not indicators or time_ms % HOUR_MS < _WORKED_EVERY_MS:
            indicators = await asyncio.to_thread(_indicators, state, site, time_ms)
        powers = await meters_now(site.name, topology, births, state.store, time_ms)
        totals = totals_now(topology, site.equations, powers, time_ms)
        hosts = await hosts_now(site, state.store, state.inventory, time_ms, every=True)
        yield (
            time_ms,
            joined([indicators, of_power(site, topology, powers, totals), of_hosts(site, hosts)]),
        )


def _indicators(state: ServiceState, site: Site, time_ms: int) -> Families:
    policy = state.config.policy.coverage()
    with Ledger(state.config.state(state.config.ledger.path)) as ledger:
        return kpi_families(
            (period, kpis.site_kpis(ledger, site, *span, policy))
            for period, span in (
                ("twelve_months", twelve_months(site, time_ms)),
                ("quarter", quarter_so_far(site, time_ms)),
            )
        )


def _held(
    name: str, labels: Mapping[str, str], value: float, start_ms: int, end_ms: int
) -> Sequence[str]:
    """A line a minute over [start, end)."""
    told = ",".join(f'{key}="{_escaped(text)}"' for key, text in sorted(labels.items()))
    return [f"{name}{{{told}}} {value} {time}" for time in range(start_ms, end_ms, MINUTE_MS)]


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
