"""Everything between a sensor and a telephone: broker, collector, store, vmalert, Alertmanager.

All are real and on loopback; the agents speak the wire, a web hook and a mail server note what
reaches them. Rules and configuration are the generated ones, with seconds where a site has
minutes.
"""

import asyncio
import http.client
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from email import message_from_bytes
from email.policy import default as modern
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
import aiomqtt
from aiohttp import web
from jauge_dashboards.alerts import alertmanager
from jauge_dashboards.alerts.prometheus import rule_file, watch_file
from jauge_dashboards.alerts.settings import (
    Receiver,
    Route,
    Routing,
    Settings,
    SiteWater,
    Smtp,
    Thresholds,
    check,
)
from jauge_models.wire import (
    Address,
    Birth,
    Method,
    ResourceDescription,
    Sample,
    SourceDescription,
    State,
)

from tests import parts
from tests.collector.packs import pack
from tests.collector.running import WireAgent
from tests.faults.program import Program

SITE: Final = "s"
WITHIN_S: Final = 60.0

THRESHOLDS: Final = Thresholds(
    recent="8s",
    keep="3s",
    grace="16s",
    hot_for="1s",
    rise_within="1h",
    battery_for="1s",
    leak_for="2s",
    leak_every="1s",
    leak_rate="10s",
    down_for="5s",
    agent_silent="9s",
    source_silent="13s",
    sensor_silent="17s",
    silent_for="1s",
)
_SITE_FILE: Final = """
[site]
name = "s"
time_zone = "UTC"
[registers]
rooms = "rooms.csv"
[[meters]]
id = "it"
commodity = "electricity"
feeds = ["h1/host"]
counts = "from_start"
reason = "a test"
[[equations]]
symbol = "E_IT"
place = "ups_output"
terms = [{ meter = "it" }]
"""
_ROOMS: Final = """room;row;rack;intake;class
hall;A;A1;g/sensor:in-1 | g/sensor:in-2 | g/sensor:in-3;A2
"""
_COLLECTOR_FILE: Final = """
sites = ["site.toml"]
state_dir = "state"
state_encryption = "elsewhere"
[mqtt]
tls = false
port = {broker}
[store]
kind = "victoriametrics"
url = "{store}"
settle_s = 12
[ledger]
pass_every_s = 1
[console]
listen = "127.0.0.1:{console}"
language = "fr"
access = {{ role = "operator" }}
[alerts]
url = "{alerts}"
"""
_SCRAPES: Final = """
global: {{scrape_interval: 1s}}
scrape_configs:
- job_name: jauge-collector
  static_configs: [{{targets: ["127.0.0.1:{console}"]}}]
- job_name: jauge-store
  static_configs: [{{targets: ["127.0.0.1:{store}"]}}]
"""


class Vmalert(parts.Served):
    """Evaluates the rules each second, on what a store has now."""

    program = "vmalert"
    package = "victoria-metrics"
    health = "/health"
    listens = "-httpListenAddr"

    def __init__(self, directory: Path, rules: Path, store: str, notifier: str) -> None:
        super().__init__(
            directory,
            {
                "rule": str(rules),
                "datasource.url": store,
                "remoteWrite.url": store,
                "remoteWrite.flushInterval": "500ms",
                "notifier.url": notifier,
                "evaluationInterval": "1s",
                "rule.evalDelay": "0s",
            },
        )


class Told(NamedTuple):
    """One message to a receiver."""

    receiver: str
    status: str
    alert: str
    alerts: list[dict[str, Any]]


class Ground:
    """What runs, and what the receivers were told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[Told] = []
        self.mails: list[Any] = []
        scraping = {"promscrape.config": str(folder / "scrapes.yaml")}
        self.store = parts.VictoriaMetrics(folder / "store", flags=scraping)
        self.watcher = parts.VictoriaMetrics(folder / "watcher", flags=scraping)
        """A second store that scrapes the same and holds no reading; not always started."""
        self.broker = parts.Mosquitto(folder / "broker")
        self.console = parts.free_port()
        self.collector = Program(
            "jauge_collector.cli",
            ["run", "--config", folder / "collector.toml"],
            folder / "collector.log",
        )
        self.gateway = Feeder(self.broker.port, "g", GATEWAY)
        self.host = Feeder(self.broker.port, "h1", {("host", "power"): 300.0})

    async def page(self, path: str = "/alerts") -> str:
        """A page of the collector's console, as a browser of this machine gets it."""
        return await self.ask("GET", path)

    async def send(self, path: str, action: str, **fields: str) -> str:
        """The form of a page of the console, sent; the page that it leads to."""
        page = await self.page(path)
        form = page[page.index(f'action="{action}') :]
        sent = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)[:2])
        return await self.ask("POST", action, data=sent | fields)

    async def ask(self, method: str, path: str, data: Mapping[str, str] | None = None) -> str:
        """One request to the console that is answered well, redirects followed."""
        headers = {"Sec-Fetch-Site": "same-origin"}
        url = f"http://127.0.0.1:{self.console}{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, data=data, headers=headers) as answer,
        ):
            text = await answer.text()
            assert answer.status == 200, text
            return text

    def messages(self, alert: str, status: str) -> list[Told]:
        """What was said of an alert."""
        return [one for one in self.told if (one.alert, one.status) == (alert, status)]

    def count(self, status: str = "firing") -> dict[tuple[str, str], int]:
        """Messages by receiver and alert."""
        found: dict[tuple[str, str], int] = {}
        for one in self.told:
            if one.status == status:
                key = one.receiver, one.alert
                found[key] = found.get(key, 0) + 1
        return found

    async def until(self, alert: str, status: str, *, within: float = WITHIN_S) -> Told:
        """The first message about an alert with a status."""
        await parts.eventually(
            lambda: bool(self.messages(alert, status)), within=within, what=f"{alert} {status}"
        )
        return self.messages(alert, status)[0]

    async def value(self, query: str, *, of: parts.VictoriaMetrics | None = None) -> float | None:
        """One sample of a query to the store, or to another."""
        path = "/api/v1/query?" + "query=" + query.replace("+", "%2B").replace(" ", "%20")
        status, body = await (of or self.store).request("GET", path)
        assert status == 200, body
        found = json.loads(body)["data"]["result"]
        return float(found[0]["value"][1]) if found else None

    async def firing(self, alert: str) -> bool:
        """Whether the rule fires, told or held back."""
        return await self.value(f'ALERTS{{alertname="{alert}",alertstate="firing"}}') is not None


GATEWAY: Final = {
    ("sensor:in-1", "temperature"): 22.0,
    ("sensor:in-2", "temperature"): 22.5,
    ("sensor:in-3", "temperature"): 23.0,
    ("sensor:outdoor", "temperature"): 2.0,
    ("meter:makeup", "water"): 100.0,
}
"""Readings of the gateway at the beginning; water cannot flow while it is so cold."""


class Feeder:
    """An agent on the wire: says twice a second what it is told to, and comes back by itself."""

    def __init__(self, port: int, name: str, values: Mapping[tuple[str, str], float]) -> None:
        self._port = port
        self._address = Address(SITE, name)
        self.values: dict[tuple[str, str], float] = dict(values)
        self.alive = True
        self.flow = 0.0
        """m3/s through ``meter:makeup``."""
        self._boots = 0
        self._described = list(values)

    async def run(self) -> None:
        """Forever."""
        while True:
            self._boots += 1
            with suppress(aiomqtt.MqttError):
                boot = f"b{self._boots}"
                async with WireAgent(self._port, self._address, boot) as agent:
                    await self._speak(agent, boot)
            await asyncio.sleep(0.3)

    async def _speak(self, agent: WireAgent, boot: str) -> None:
        resources: dict[str, dict[str, Method]] = {}
        for resource, quantity in self._described:
            resources.setdefault(resource, {})[quantity] = Method.GAUGE
        described = [ResourceDescription(one, what, one) for one, what in resources.items()]
        source = SourceDescription("plant", 1.0)
        await agent.describe(Birth(boot, "1", time.time(), [source], described))
        seq = 0
        while True:
            await asyncio.sleep(0.5)
            if not self.alive:
                continue
            seq += 1
            if ("meter:makeup", "water") in self.values:
                self.values["meter:makeup", "water"] += self.flow * 0.5
            now = time.time()
            samples = [Sample(*series, value) for series, value in self.values.items()]
            payload = pack(
                samples, address=self._address, boot=boot, seq=seq, time_ms=round(now * 1000)
            )
            await agent.describe(State(boot, True, now, delivered={"plant": now}))
            await agent.send([payload])


@asynccontextmanager
async def alerting(
    folder: Path, language: str = "fr", *, watched: bool = False
) -> AsyncIterator[Ground]:
    """All of it, once the collector is ready and rules are evaluated.

    ``watched``: with a second store and vmalert, which watch the first as the documents advise.
    """
    ground = Ground(folder)
    async with AsyncExitStack() as stack:
        hook = await _web_hook(ground, stack)
        mail = await _mail_server(ground, stack)
        (folder / "scrapes.yaml").write_text(
            _SCRAPES.format(console=ground.console, store=ground.store.port), encoding="utf-8"
        )
        settings = _settings(folder, hook, mail, ground.console)
        delivery = parts.Alertmanager(folder / "alertmanager", folder / "alertmanager.yaml")
        for name, text in {
            "rules.yaml": rule_file(settings, language),
            "watch.yaml": watch_file(settings, language),
            "alertmanager.yaml": alertmanager.configuration(settings),
            alertmanager.TEMPLATE_FILE: alertmanager.templates(settings, language),
            "site.toml": _SITE_FILE,
            "rooms.csv": _ROOMS,
            "collector.toml": _COLLECTOR_FILE.format(
                broker=ground.broker.port,
                store=ground.store.url,
                console=ground.console,
                alerts=delivery.url,
            ),
        }.items():
            (folder / name).write_text(text, encoding="utf-8")
        rules = Vmalert(folder / "vmalert", folder / "rules.yaml", ground.store.url, delivery.url)
        for part in (ground.broker, ground.store, delivery, ground.collector):
            await stack.enter_async_context(part)
        for feeder in (ground.gateway, ground.host):
            await _in_background(stack, feeder.run())
        await _in_background(stack, _flushing(ground.store))
        seen = "count(jauge_intake_info and on (resource) jauge_temperature_celsius)"

        # Until the collector's own page has told of them, nobody could miss them.
        sources = "count(jauge_collector_source_last_seen_timestamp_seconds)"

        async def begun() -> bool:
            assert ground.collector.runs, ground.collector.words()[-2000:]
            return [await ground.value(what) for what in (seen, sources)] == [3, 2]

        await parts.eventually(begun, within=WITHIN_S, what="readings and places in the store")
        await stack.enter_async_context(rules)
        if watched:
            await _watch(ground, delivery.url, stack)
        yield ground


async def _watch(ground: Ground, notifier: str, stack: AsyncExitStack) -> None:
    """Start the second store and its vmalert, once it has scraped both."""
    await stack.enter_async_context(ground.watcher)
    await _in_background(stack, _flushing(ground.watcher))

    async def begun() -> bool:
        return await ground.value("sum(up)", of=ground.watcher) == 2

    await parts.eventually(begun, within=WITHIN_S, what="the second store scrapes")
    rules = ground.folder / "watch.yaml"
    watcher = Vmalert(ground.folder / "watching", rules, ground.watcher.url, notifier)
    await stack.enter_async_context(watcher)


def _settings(folder: Path, hook: str, mail: int, console: int) -> Settings:
    for name in ("pager", "office", "readers"):
        (folder / f"{name}.url").write_text(f"{hook}/{name}", encoding="utf-8")
    file = "alerts.toml"
    settings = Settings(
        thresholds=THRESHOLDS,
        sites=(
            SiteWater(
                name=SITE,
                outdoor="g/sensor:outdoor",
                makeup=("g/meter:makeup",),
                dry_below_celsius=5,
            ),
        ),
        routing=Routing(
            page_wait="1s",
            ticket_wait="1s",
            group_interval="1s",
            time_zone="Europe/Paris",
            console_url=f"http://127.0.0.1:{console}",
        ),
        smtp=Smtp(server=f"127.0.0.1:{mail}", sender="jauge@example.org", tls=False),
        receivers=(
            Receiver(
                name="pager",
                mails=("on-call@example.org",),
                webhook_url_file=str(folder / "pager.url"),
            ),
            Receiver(name="office", webhook_url_file=str(folder / "office.url")),
            Receiver(name="readers", webhook_url_file=str(folder / "readers.url")),
        ),
        routes=(
            Route(severity="page", receiver="pager"),
            Route(severity="ticket", receiver="office"),
            Route(severity="report", receiver="readers"),
        ),
    )
    check(settings, file)
    return settings


async def _in_background(stack: AsyncExitStack, work: Any) -> None:
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(end)


async def _flushing(store: parts.VictoriaMetrics) -> None:
    """New samples show at once: else a test waits for the store's own habits."""
    while True:
        with suppress(OSError, http.client.HTTPException):
            await store.force_flush()
        await asyncio.sleep(0.5)


async def _web_hook(ground: Ground, stack: AsyncExitStack) -> str:
    async def note(request: web.Request) -> web.Response:
        body = await request.json()
        receiver = request.path.strip("/")
        ground.told.append(
            Told(receiver, body["status"], body["groupLabels"]["alertname"], body["alerts"])
        )
        return web.Response()

    app = web.Application()
    app.router.add_post("/{receiver}", note)
    runner = web.AppRunner(app)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    port = parts.free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return f"http://127.0.0.1:{port}"


async def _mail_server(ground: Ground, stack: AsyncExitStack) -> int:
    """Just enough of RFC 5321 to take a message."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 localhost\r\n")
        while line := await reader.readline():
            word = line.split()[0].upper() if line.split() else b""
            if word == b"DATA":
                writer.write(b"354 go on\r\n")
                body = (await reader.readuntil(b"\r\n.\r\n"))[:-5]
                plain = body.replace(b"\r\n..", b"\r\n.")
                ground.mails.append(message_from_bytes(plain, policy=modern))
            writer.write(b"221 bye\r\n" if word == b"QUIT" else b"250 fine\r\n")
            await writer.drain()
            if word == b"QUIT":
                break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    stack.callback(server.close)
    port: int = server.sockets[0].getsockname()[1]
    return port


async def quietly(ground: Ground, seconds: float) -> None:
    """Let that much time pass on the clock of the rules: what would be said is said by then."""
    begun = await ground.value("time()")
    assert begun is not None
    end = begun + seconds

    async def passed() -> bool:
        now = await ground.value("time()")
        return now is not None and now > end

    await parts.eventually(passed, within=seconds + 30, what="time")
