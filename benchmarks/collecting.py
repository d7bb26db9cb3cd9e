"""A collector as a process of its own, between a real Mosquitto and a real VictoriaMetrics."""

import asyncio
import http.client
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import processes
from tests.parts import Mosquitto, VictoriaMetrics, free_port

SETTLE_S: Final = 12.0
"""The least that the collector accepts with the store's flush interval of these runs."""
DEADLINE_S: Final = 240.0

_SITE: Final = """
[site]
name = "bench"
[[meters]]
id = "it"
commodity = "electricity"
feeds = ["agent0/meter:it"]
[[equations]]
symbol = "E_IT"
place = "ups_output"
terms = [{ meter = "it" }]
"""
_CONFIG: Final = """
sites = ["site.toml"]
state_dir = "state"
[mqtt]
tls = false
port = {mqtt}
[store]
kind = "victoriametrics"
url = "{store}"
settle_s = {settle}
[console]
listen = "127.0.0.1:{console}"
"""


@dataclass(frozen=True, slots=True)
class Running:
    """All three at work."""

    broker: Mosquitto
    store: VictoriaMetrics
    process: asyncio.subprocess.Process
    console: int
    log: Path

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        """Wait until it holds; raises TimeoutError, and EndedError when the collector ends."""
        deadline = time.monotonic() + DEADLINE_S
        while not await condition():
            processes.still_running(self.process, self.log)
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {DEADLINE_S:.0f} s: {what}")
            await asyncio.sleep(0.05)

    async def rows(self) -> int:
        """Readings that the store was given so far."""
        _, page = await self.store.request("GET", "/metrics")
        found = re.findall(rb"\nvm_rows_inserted_total\{.*?\} (\S+)", page)
        return sum(int(float(n)) for n in found)

    async def page(self) -> str:
        """The collector's /metrics."""
        return (await _get(self.console, "/metrics"))[1]

    async def counted(self, name: str) -> dict[str, float]:
        """A family of its /metrics by label values as they stand there; "" without labels."""
        page = await self.page()
        pattern = rf"^jauge_collector_{name}(?:{{(.*?)}})? (\S+)$"
        return {labels: float(n) for labels, n in re.findall(pattern, page, re.MULTILINE)}


@asynccontextmanager
async def collecting(
    folder: Path, broker_settings: Mapping[str, str] | None = None
) -> AsyncIterator[Running]:
    """A collector that is ready, its state in a folder."""
    async with (
        Mosquitto(folder / "mosquitto", settings=broker_settings) as broker,
        VictoriaMetrics(folder / "store") as store,
    ):
        console = free_port()
        (folder / "site.toml").write_text(_SITE, encoding="utf-8")
        config = folder / "collector.toml"
        config.write_text(
            _CONFIG.format(mqtt=broker.port, store=store.url, settle=SETTLE_S, console=console),
            encoding="utf-8",
        )
        log = folder / "collector.log"
        argv = [sys.executable, "-m", "jauge_collector.cli", "run", "--config", str(config)]
        async with processes.running(argv, log) as process:
            running = Running(broker, store, process, console, log)
            await running.until(lambda: _ready(console), "the collector is ready")
            yield running


async def _get(port: int, path: str) -> tuple[int, str]:
    def ask() -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    return await asyncio.to_thread(ask)


async def _ready(port: int) -> bool:
    try:
        return (await _get(port, "/readyz"))[0] == 200
    except OSError:
        return False
