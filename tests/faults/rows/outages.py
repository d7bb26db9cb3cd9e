"""The broker, the store and the collector fail in ways that are not a mere kill."""

import re
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Final

from aiohttp import web

from tests import parts
from tests.faults.account import Account
from tests.faults.matrix import Expect, fault
from tests.faults.stage import Stage
from tests.faults.wiretap import Wiretap

_COMPRESSION: Final = 60


@fault("broker restarted empty")
async def broker_restarted_empty(folder: Path) -> Account:
    """It kept nothing, neither sessions nor births: everything comes again from the ends."""
    async with Stage(folder) as stage:
        await stage.more("taken", 4)
        await stage.kill("broker")
        shutil.rmtree(stage.broker.directory)
        stage.broker.directory.mkdir()
        await stage.more("taken", 8)
        await stage.start("broker")

        async def born_again() -> bool:
            async with Wiretap(stage.broker.host, stage.broker.port, stage.address) as tap:
                await stage.more("taken", 1)
                return tap.retained >= 2

        stage.mended()
        await parts.eventually(born_again, within=60, what="birth and state are retained again")
        return await stage.account()


@fault(f"store down for an hour ({_COMPRESSION} : 1)")
async def store_down_for_an_hour(folder: Path) -> Account:
    """Sixty seconds with a tick each half a second, the agent's longest back-offs a sixtieth."""
    agent = {"sources.counting": {"compression": _COMPRESSION}}
    async with Stage(folder, period_s=30 / _COMPRESSION, agent_settings=agent) as stage:
        await stage.more("stored", 1)
        await stage.kill("store")
        await stage.more("taken", 2 * _COMPRESSION, within=3 * _COMPRESSION)
        await stage.start("store")
        return await stage.account()


@fault("store killed within a second of accepting", short=True)
async def store_killed_after_accepting(folder: Path) -> Account:
    """What it had accepted is in its memory alone, and gone; five times, answers under way."""
    async with Stage(folder) as stage:
        await stage.more("stored", 1)
        for _ in range(5):
            before = await stage.figure("readings_stored_total")
            seen_s = 0.0

            async def accepted(before: float = before) -> bool:
                nonlocal seen_s
                seen_s = time.monotonic()
                return await stage.figure("readings_stored_total") > before

            await parts.eventually(accepted, within=60, what="the store has accepted")
            await stage.kill("store")
            assert time.monotonic() - seen_s < 1.0, "killed too late to show anything"
            await stage.start("store")
        account = await stage.account()
        forgotten = await stage.figure('packs_unanswered_total{reason="restarted"}')
        assert forgotten > 0, "no batch was under way when the store was killed"
        return account.noting(batches_forgotten=round(forgotten))


@fault("store with too short a retention", expect=Expect(spooled=True))
async def too_short_a_retention(folder: Path) -> Account:
    """The collector refuses to run, nothing is answered, and all stays with the agent."""
    flags = {"retentionPeriod": "30d"}
    async with Stage(folder, store_flags=flags, absent=("collector",)) as stage:
        await stage.start("collector")
        collector = stage.collectors[0]
        assert await collector.ended(within=60) == 2, collector.words()
        (complaint,) = collector.words().splitlines()[-1:]
        assert "-retentionPeriod" in complaint, complaint
        await stage.more("taken", 40)
        assert (await stage.counters()).get("stored", 0) == 0
        # Only so that we may look into it: what reads the store refuses it as well.
        stage.store.flags["retentionPeriod"] = "10y"
        await stage.store.restart()
        account = await stage.account(drain=False)
        assert account.stored == 0
        return account


@fault("control: store without deduplication", short=True, expect=Expect(doubled=True))
async def control_without_deduplication(folder: Path) -> Account:
    """Shows that ``twice`` can be seen at all: the same resends, and a store that keeps both.

    The collector refuses such a store, also one that is started again. So its flags are lied about:
    the collector asks a page between that says what it wants to hear. Once the reader has opened
    the store, that is started anew without the flag; then the agent is restarted, and sends again,
    under its new boot, what it has no answer for though the store has accepted it.
    """
    port = parts.free_port()
    lied_about = {"store": {"metrics_urls": [f"http://127.0.0.1:{port}"]}}
    stage = Stage(folder, collector_settings=lied_about)
    async with _lying(port, stage), stage:
        await stage.reader()
        await stage.more("taken", 2)
        await stage.kill("store")
        del stage.store.flags["dedup.minScrapeInterval"]
        await stage.start("store")
        accepted = await stage.figure("readings_stored_total") + 20 * stage.series

        async def enough() -> bool:
            return await stage.figure("readings_stored_total") > accepted

        await parts.eventually(enough, within=60, what="the store has accepted some more")
        await stage.kill("agent")
        await stage.start("agent")
        return await stage.account()


@asynccontextmanager
async def _lying(port: int, stage: Stage) -> AsyncIterator[None]:
    """The store's own /metrics, but for the flag that it does not have."""

    async def metrics(_: web.Request) -> web.Response:
        try:
            status, page = await stage.store.request("GET", "/metrics")
        except (OSError, HTTPException):
            return web.Response(status=502)
        said = re.sub(rb'(name="dedup.minScrapeInterval", value=)"[^"]*"', rb'\1"1ms"', page)
        return web.Response(status=status, body=said)

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield
    finally:
        await runner.cleanup()


@fault("spool at its cap", expect=Expect(drops=frozenset({"disk_cap"})))
async def spool_at_its_cap(folder: Path) -> Account:
    """A spool of 1 MB and a store that is down: the oldest go, counted, their ticks kept."""
    agent = {"spool": {"max_mb": 1}}
    async with Stage(folder, series=400, period_s=0.2, agent_settings=agent) as stage:
        await stage.more("taken", 4)
        await stage.kill("store")
        await stage.more("dropped/disk_cap", 40)
        await stage.start("store")
        return await stage.account()


@fault("two collectors, one killed", short=True)
async def two_collectors_one_killed(folder: Path) -> Account:
    """Both subscribe plainly and store; the other one answers, and takes the ledger over."""
    async with Stage(folder, collectors=2) as stage:
        await stage.more("stored", 1)
        writes = {name: await stage.figure("ledger_writer", of=name) for name in stage.names}
        assert sorted(writes.values()) == [0, 1], writes
        writer = max(writes, key=lambda name: writes[name])
        (other,) = set(stage.names) - {writer}
        await stage.kill(writer)
        stage.mended()  # nothing is repaired: the one that lives has to do
        await stage.more("stored", 8)

        async def takes_over() -> bool:
            return await stage.figure("ledger_writer", of=other) == 1

        await parts.eventually(takes_over, within=60, what="the other one has the ledger")
        return await stage.account()
