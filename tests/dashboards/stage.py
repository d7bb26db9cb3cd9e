"""The demonstration's site on a real VictoriaMetrics, with everything that Grafana would ask of it.

Broker, collector, both simulated gateways and the agent of this machine run as users run them; the
store scrapes the collector and the agents; vmalert evaluates one rule that always fires.
"""

import asyncio
import http.client
import json
import shutil
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from jauge_demo import cluster, scenario
from jauge_demo.processes import Child, start
from jauge_demo.simulation import STEP_MS

from tests import parts
from tests.agent.certificates import Authority

SITE: Final = "demo"
SCRAPE_S: Final = 2
_WITHIN_S: Final = 90.0

Labels = dict[str, str]
Sample = tuple[Labels, list[tuple[float, str]]]
"""Labels of a series, and its points: time in s, value as text."""


class PromQL:
    """Prometheus' query API, of Prometheus itself or of VictoriaMetrics."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def ask(self, path: str, **query: Any) -> Any:
        """``data`` of an answer; AssertionError with what the store says where it refuses."""

        def work() -> bytes:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            try:
                body = urlencode(query, doseq=True)
                head = {"Content-Type": "application/x-www-form-urlencoded"}
                connection.request("POST", path, body, head)
                return connection.getresponse().read()
            finally:
                connection.close()

        answer = json.loads(await asyncio.to_thread(work))
        assert answer["status"] == "success", f"{query}: {answer}"
        return answer["data"]

    async def now(self, expression: str, at_s: float) -> list[Sample]:
        """Samples of an instant query."""
        data = await self.ask("/api/v1/query", query=expression, time=at_s)
        if data["resultType"] == "scalar":
            return [({}, [tuple(data["result"])])]
        return [(one["metric"], [tuple(one["value"])]) for one in data["result"]]

    async def over(
        self, expression: str, start_s: float, end_s: float, step_s: float
    ) -> list[Sample]:
        """Samples of a range query."""
        data = await self.ask(
            "/api/v1/query_range", query=expression, start=start_s, end=end_s, step=step_s
        )
        return [(one["metric"], [tuple(v) for v in one["values"]]) for one in data["result"]]

    async def series(self, selector: str, start_s: float, end_s: float) -> list[Labels]:
        """Labels of the series that match."""
        found: list[Labels] = await self.ask(
            "/api/v1/series", **{"match[]": selector, "start": start_s, "end": end_s}
        )
        return found


class VmAlert(parts.Served):
    """Evaluates rules against a store and writes ``ALERTS`` back to it; notifies nobody."""

    program = "vmalert"
    package = "victoria-metrics"
    listens = "-httpListenAddr"

    def __init__(self, directory: Path, *, store: str, rules: Path) -> None:
        flags = {"rule": str(rules), "datasource.url": store, "remoteWrite.url": store}
        super().__init__(
            directory, flags | {"notifier.blackhole": "true", "evaluationInterval": "1s"}
        )


class Prometheus(parts.Served):
    """Serves what lies in its folder; scrapes nothing."""

    program = "prometheus"
    package = "prometheus"
    listens = "--web.listen-address"

    def __init__(self, directory: Path) -> None:
        configuration = directory / "prometheus.yml"
        super().__init__(
            directory,
            {
                "config.file": str(configuration),
                "storage.tsdb.path": str(directory / "data"),
                "storage.tsdb.retention.time": "10y",
            },
        )
        configuration.write_text("{}\n", encoding="utf-8")


@asynccontextmanager
async def demo_site(folder: Path) -> AsyncIterator[parts.VictoriaMetrics]:
    """The store of the running site, once every gateway is heard and was scraped.

    May raise parts.PartMissingError. Ends all that it started.
    """
    ports = {name: parts.free_port() for name in ("console", "gateway", "cluster", "agent")}
    scrape, rules = _files(folder, ports)
    async with AsyncExitStack() as running:
        enter = running.enter_async_context
        broker = await enter(parts.Mosquitto(folder / "broker"))
        flags = {"promscrape.config": str(scrape), "search.maxStalenessInterval": "5m"}
        store = await enter(parts.VictoriaMetrics(folder / "store", flags=flags))
        await enter(VmAlert(folder / "vmalert", store=store.url, rules=rules))
        plan = scenario.prepare(
            folder / "demo",
            mqtt_port=broker.port,
            console_port=ports["console"],
            now_ms=scenario.now_ms(),
        )
        _on_a_store(plan, store.url, ports, folder)
        now_ms = scenario.now_ms()
        await scenario.load_history(
            plan,
            now_ms=now_ms,
            progress=lambda _what, _done, _all: None,
            shown=lambda: shown(store, now_ms, plan.start_ms),
        )
        commands: Sequence[tuple[str, str, Sequence[object]]] = (
            ("collector", "jauge_collector.cli", ("run", "--config", plan.collector)),
            ("gateway", "jauge_demo.gateway", (plan.gateway, "plant")),
            ("cluster", "jauge_demo.gateway", (plan.cluster, "cluster")),
            ("agent", "jauge_agent.cli", ("run", "--config", plan.agent)),
        )
        for name, module, words in commands:
            child = await start(name, module, [str(word) for word in words], folder)
            running.push_async_callback(child.stop)
            if name == "collector":
                await _ready(child, ports["console"])
        await _heard(PromQL(store.port))
        yield store


async def shown(store: parts.VictoriaMetrics, now_ms: int, began_ms: int) -> None:
    """Wait until the demonstration's history, written up to now, can be read: new series last."""
    last = cluster.Moment(now_ms, began_ms)
    expected = len(cluster.readings_at(last))
    await store.force_flush()

    async def all_there() -> bool:
        found = await store.export(
            f'{{site="{SITE}",agent="{scenario.CLUSTER}"}}', now_ms - 2 * STEP_MS, now_ms
        )
        return len(found) >= expected

    await parts.eventually(all_there, within=_WITHIN_S, what=f"{expected} series are shown")


def _files(folder: Path, ports: dict[str, int]) -> tuple[Path, Path]:
    """What is scraped, and the one rule."""
    folder.mkdir(parents=True, exist_ok=True)
    scrape, rules = folder / "scrape.json", folder / "rules.json"
    scrape.write_text(json.dumps(_scraping(ports)), encoding="utf-8")
    rules.write_text(json.dumps(_WATCHDOG), encoding="utf-8")
    return scrape, rules


def _scraping(ports: dict[str, int]) -> dict[str, Any]:
    agents = [f"127.0.0.1:{ports[name]}" for name in ("gateway", "cluster", "agent")]
    return {
        "global": {"scrape_interval": f"{SCRAPE_S}s"},
        "scrape_configs": [
            {
                "job_name": "jauge-collector",
                "scheme": "https",
                "tls_config": {"insecure_skip_verify": True},
                "static_configs": [{"targets": [f"127.0.0.1:{ports['console']}"]}],
            },
            {"job_name": "jauge-agent", "static_configs": [{"targets": agents}]},
        ],
    }


_WATCHDOG: Final = {
    "groups": [
        {
            "name": "stage",
            "rules": [{"alert": "Watchdog", "expr": "vector(1)", "labels": {"severity": "none"}}],
        }
    ]
}


def _on_a_store(plan: scenario.Scenario, store: str, ports: dict[str, int], folder: Path) -> None:
    """The demonstration's configurations, moved from its embedded store to a real one."""
    (folder / "authority").mkdir()
    issued = Authority(folder / "authority").issue("localhost")
    collector = plan.collector.read_text(encoding="utf-8")
    collector += f'cert_file = "{issued.certificate}"\nkey_file = "{issued.key}"\n'
    collector += f'\n[store]\nkind = "victoriametrics"\nurl = "{store}"\nsettle_s = 12\n'
    plan.collector.write_text(collector, encoding="utf-8")
    for name, file in (
        ("gateway", plan.gateway),
        ("cluster", plan.cluster),
        ("agent", plan.agent),
    ):
        text = file.read_text(encoding="utf-8") + f"\n[metrics]\nport = {ports[name]}\n"
        file.write_text(text, encoding="utf-8")


async def _ready(child: Child, port: int) -> None:
    careless = ssl.create_default_context()
    careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE

    def ask() -> bool:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=careless)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.client.OK
        except OSError:
            return False
        finally:
            connection.close()

    async def up() -> bool:
        assert child.process.returncode is None, child.last_words()
        return await asyncio.to_thread(ask)

    await parts.eventually(up, within=_WITHIN_S, what="the collector is ready")


async def _heard(store: PromQL) -> None:
    """What comes last: shares of guests, the record, a second scrape for rates."""
    last = (
        "jauge_guest_attributed_power_watts",
        f"count_over_time(jauge_gpu_allocated_ratio[1m]) > {15 // SCRAPE_S}",
        "jauge_kpi_wue_cubic_metres_per_megawatt_hour",
        "jauge_total_power_watts",
        "jauge_compliance_servers",
        "jauge_kpi_pue_ratio",
        "jauge_intake_info",
        "jauge_capacity_full_seconds",
        'ALERTS{alertstate="firing"}',
        f"count_over_time(jauge_agent_spool_waiting_readings[1m]) > {10 // SCRAPE_S}",
        'count_over_time(jauge_water_cubic_metres_total{agent="plant"}[1m]) > 2',
    )

    async def all_there() -> bool:
        now = time.time() - 5  # so that a range that ends now has more than one sample
        missing.clear()
        missing.extend([one for one in last if not await store.now(one, now)])
        return not missing

    missing: list[str] = []
    try:
        await parts.eventually(all_there, within=_WITHIN_S, what="everything is in the store")
    except AssertionError:
        raise AssertionError(f"never in the store: {missing}") from None


async def as_prometheus(
    store: parts.VictoriaMetrics, folder: Path, start_s: float, end_s: float
) -> Prometheus:
    """A Prometheus, not yet started, that holds what the store has between two moments.

    Through ``promtool tsdb create-blocks-from openmetrics``, as one moves house.
    """
    prometheus = Prometheus(folder)
    promtool = shutil.which("promtool")
    assert promtool is not None
    exported = await store.export('{__name__!=""}', int(start_s * 1000), int(end_s * 1000))
    await asyncio.to_thread(_write_openmetrics, folder / "export.om", exported)
    process = await asyncio.create_subprocess_exec(
        *(promtool, "tsdb", "create-blocks-from", "openmetrics"),
        *(str(folder / "export.om"), str(folder / "data")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return prometheus


def _write_openmetrics(
    text: Path, exported: Mapping[str, Sequence[tuple[int, float | None]]]
) -> None:
    with text.open("w", encoding="utf-8") as out:
        for labels, points in exported.items():
            known = json.loads(labels)
            name = known.pop("__name__")
            shown = ",".join(
                f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in known.items()
            )
            # The end of a series, which one store marks and the other's text cannot say, is None.
            out.writelines(
                f"{name}{{{shown}}} {value!r} {at / 1000:.3f}\n"
                for at, value in points
                if value is not None
            )
        out.write("# EOF\n")
