"""The demo site on real parts, all on loopback: store, broker, collector, agents, vmalert."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
from jauge_collector import config as collector_config
from jauge_collector import sites
from jauge_collector.ledger.book import Ledger
from jauge_collector.stores.open import open_store
from jauge_demo import processes, scenario
from jauge_demo.broker import broker

from tests import parts
from tests.collector.running import collecting
from tests.dashboards.stage import VmAlert
from tests.preview import boards, history

RULES: Final = boards.GENERATED / "alerts/fr/rules.yaml"
"""Evaluated for the annotations and for what the boards say of alerts; nobody is notified."""
_SETTLE_S: Final = 12.0
_SCRAPED_EVERY: Final = "5s"
_JOB: Final = "jauge-collector"
_HEARD_WITHIN_S: Final = 60.0

Tell = Callable[[str], None]


@asynccontextmanager
async def running(folder: Path, *, tell: Tell) -> AsyncIterator[str]:
    """The store's address: a year of readings, a day of the collector's metrics, scraped on.

    Raises PartMissingError where VictoriaMetrics is not installed.
    """
    now_ms = scenario.now_ms()
    ports = {name: parts.free_port() for name in ("mqtt", "console", "plant", "cluster", "agent")}
    plan = scenario.prepare(
        folder, mqtt_port=ports["mqtt"], console_port=ports["console"], now_ms=now_ms
    )
    scrape = folder / "scrape.yml"
    scrape.write_text(_scraped(ports), encoding="utf-8")
    database = parts.VictoriaMetrics(
        folder / "victoriametrics", flags={"promscrape.config": str(scrape)}
    )
    with plan.collector.open("a", encoding="utf-8") as file:
        file.write(
            f'\n[store]\nkind = "victoriametrics"\nurl = "{database.url}"\nsettle_s = {_SETTLE_S}\n'
        )
    for name, path in (("plant", plan.gateway), ("cluster", plan.cluster), ("agent", plan.agent)):
        with path.open("a", encoding="utf-8") as file:
            file.write(f"\n[metrics]\nport = {ports[name]}\n")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(database)
        config = collector_config.load(plan.collector)
        site = sites.load(folder / "site.toml")
        tell("writing a year of readings")
        async with open_store(config) as store:
            with Ledger(config.state(config.ledger.path)) as ledger:
                count = await history.write(store, database, ledger, site, (plan.start_ms, now_ms))
        tell(f"{count} readings are in the store")
        await stack.enter_async_context(broker(ports["mqtt"]))
        service = await stack.enter_async_context(collecting(config))
        for name, module, words in (
            ("gateway", "jauge_demo.gateway", [str(plan.gateway), "plant"]),
            ("cluster", "jauge_demo.gateway", [str(plan.cluster), "cluster"]),
            ("agent", "jauge_agent.cli", ["run", "--config", str(plan.agent)]),
        ):
            child = await processes.start(name, module, words, folder)
            stack.push_async_callback(child.stop)
        shown = await _heard(f"http://127.0.0.1:{ports['console']}")
        tell("working out a day of the collector's metrics")
        scraped = {"job": _JOB, "instance": f"127.0.0.1:{ports['console']}"}
        end_ms = scenario.now_ms() // history.MINUTE_MS * history.MINUTE_MS
        span = (end_ms - history.DAY_MS, end_ms)
        samples = await history.publish(service.state, database, shown, scraped, span)
        tell(f"{samples} samples of metrics are in the store")
        if RULES.exists():
            rules = VmAlert(folder / "vmalert", store=database.url, rules=RULES)
            await stack.enter_async_context(rules)
        yield database.url


async def _heard(collector: str) -> str:
    """The collector's metrics once it knows its agents, its record and what the meters draw."""
    wanted = (
        *("jauge_total_power_watts{", "jauge_host_power_watts{", "jauge_compliance_servers{"),
        "jauge_capacity_full_seconds{",
    )
    async with aiohttp.ClientSession() as session, asyncio.timeout(_HEARD_WITHIN_S):
        while True:
            async with session.get(f"{collector}/metrics") as answer:
                shown = await answer.text()
            if all(name in shown for name in wanted):
                return shown
            await asyncio.sleep(1)


def _scraped(ports: dict[str, int]) -> str:
    agents = ", ".join(f'"127.0.0.1:{ports[name]}"' for name in ("plant", "cluster", "agent"))
    return f"""\
global:
  scrape_interval: {_SCRAPED_EVERY}
scrape_configs:
  - job_name: {_JOB}
    static_configs: [{{targets: ["127.0.0.1:{ports["console"]}"]}}]
  - job_name: jauge-agent
    static_configs: [{{targets: [{agents}]}}]
"""
