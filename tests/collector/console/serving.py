"""The console of a real store and ledger with a hundred days of hourly registers, on loopback."""

import dataclasses
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from jauge_collector import config
from jauge_collector.console.app import build_app, listening
from jauge_collector.ledger.accounting import run_pass
from jauge_collector.service import Service
from jauge_collector.state import Part, ServiceState
from jauge_models.readings import Reading
from jauge_models.resources import Series
from jauge_models.wire import (
    Address,
    Birth,
    Method,
    ResourceDescription,
    SourceDescription,
    State,
)
from yarl import URL

HOUR_MS = 3_600_000
DAYS = 100
KWH = 3.6e6
PLANT = Address("s", "plant")
IT_KWH = 10.0
"""Each hour; the whole site draws 12 kWh and takes 5 litres: PUE 1.2, WUE 0.5."""
STEPS = {"incomer": ("energy", 12 * KWH), "ups": ("energy", IT_KWH * KWH), "water": ("water", 5e-3)}

SITE = """
[site]
name = "s"
title = "Example <site>"
time_zone = "UTC"

[[meters]]
id = "incomer"
commodity = "electricity"
feeds = ["plant/meter:incomer"]
interval_s = 3600
counts = "from_start"
reason = "a test"

[[meters]]
id = "ups"
commodity = "electricity"
feeds = ["plant/meter:ups"]
interval_s = 3600
counts = "from_start"
reason = "a test"

[[meters]]
id = "water"
commodity = "water"
feeds = ["plant/meter:water"]
interval_s = 3600
counts = "from_start"
reason = "a test"

[[meters]]
id = "spare"
commodity = "electricity"
feeds = ["plant/meter:spare"]

[[equations]]
symbol = "E_DC"
terms = [{ meter = "incomer" }]

[[equations]]
symbol = "E_IT"
place = "ups_output"
terms = [{ meter = "ups" }]

[[equations]]
symbol = "W_IN"
terms = [{ meter = "water" }]
"""
READY = (Part("mqtt", True, ""), Part("store", True, ""))


@dataclass(frozen=True, slots=True)
class Served:
    """A console that answers; `get` gives status, headers and body."""

    state: ServiceState
    base: str
    session: aiohttp.ClientSession
    app: web.Application

    async def get(self, path: str | URL, **named: Any) -> tuple[int, Any, str]:
        """One GET."""
        return await self.ask("GET", path, **named)

    async def ask(self, method: str, path: str | URL, **named: Any) -> tuple[int, Any, str]:
        """One request to a path, or to a URL as it stands; redirects are not followed."""
        url = self.base + path if isinstance(path, str) else path
        async with self.session.request(method, url, allow_redirects=False, **named) as answer:
            return answer.status, answer.headers, await answer.text()


def now_ms() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000


def configuration(folder: Path, *, more: str = "") -> config.CollectorConfig:
    """A configuration of one site in a folder."""
    (folder / "site.toml").write_text(SITE, encoding="utf-8")
    path = folder / "collector.toml"
    path.write_text(
        'sites = ["site.toml"]\nstate_dir = "state"\n[console]\nlisten = "127.0.0.1:8090"\n' + more,
        encoding="utf-8",
    )
    return config.load(path)


async def fill(state: ServiceState, *, days: int = DAYS) -> None:
    """Hourly registers up to the last full hour, accounted for as a running collector does."""
    now = now_ms()
    end = now - now % HOUR_MS
    times = range(end - days * 24 * HOUR_MS, end + 1, HOUR_MS)
    await state.store.write(
        [
            Reading(Series(*PLANT, f"meter:{meter}", quantity), at, 1000.0 + step * number)
            for meter, (quantity, step) in STEPS.items()
            for number, at in enumerate(times)
        ]
    )
    state.ledger.mark(PLANT.site, PLANT.agent, times, 0)
    state.ledger.set_oldest(PLANT.site, PLANT.agent, now)
    with state.ledger.writer():
        await run_pass(state.store, state.ledger, state.sites["s"], now)


def introduce(state: ServiceState) -> None:
    """The plant's agent says what it measures and is heard now."""
    now = now_ms()
    resources = [
        ResourceDescription(f"meter:{meter}", {quantity: Method.REGISTER})
        for meter, (quantity, _) in STEPS.items()
    ]
    sources = [SourceDescription("modbus", 60.0), SourceDescription("ipmi", 60.0, "no device")]
    state.inventory.born(PLANT, Birth("b1", "0.1", now / 1000, sources, resources), now)
    state.inventory.stated(PLANT, State("b1", online=True, sent_at=now / 1000), now)
    agent = state.inventory.seen(PLANT, now)
    agent.heard("b1", now)
    agent.newest_ms = now


@asynccontextmanager
async def opened(
    settings: config.CollectorConfig,
    *,
    readiness: Callable[[], Sequence[Part]] = lambda: READY,
    days: int = 0,
) -> AsyncIterator[ServiceState]:
    """What a collector with these settings shows to its console, with so many days of readings."""
    state = dataclasses.replace(Service(settings).state, readiness=readiness)
    try:
        async with state.store:
            if days:
                await fill(state, days=days)
            yield state
    finally:
        state.ledger.close()


@asynccontextmanager
async def serving(
    settings: config.CollectorConfig,
    *,
    readiness: Callable[[], Sequence[Part]] = lambda: READY,
    days: int = 0,
) -> AsyncIterator[Served]:
    """The console of these settings on a free loopback port, over its real store and ledger."""
    async with opened(settings, readiness=readiness, days=days) as state, serve(state) as served:
        yield served


@asynccontextmanager
async def serve(state: ServiceState) -> AsyncIterator[Served]:
    """A console on a free loopback port."""
    app = build_app(state)
    async with (
        listening(app, "127.0.0.1", 0) as port,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        yield Served(state, f"http://127.0.0.1:{port}", session, app)
