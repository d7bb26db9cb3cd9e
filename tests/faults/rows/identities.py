"""Spools and identities that are copied, and a spool that an older agent has left."""

import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Final

from jauge_agent.agent import machine_id
from jauge_agent.spool_file import APPLICATION_ID, FILE_NAME, FORMAT
from jauge_models.wire import Address, encode_samples

from tests import parts
from tests.faults import account as accounts
from tests.faults.account import Account
from tests.faults.counting import samples_at
from tests.faults.identities import SecondAgent, machine
from tests.faults.matrix import Expect, fault
from tests.faults.spools import copied, moved_aside, source_journal, ticks
from tests.faults.stage import WITHIN_S, Stage, now_ms

UNANSWERED: Final = 8
PERIOD_MS: Final = 250
_COMPRESSION: Final = 10
"""Twins throw each other off the broker; what a minute's back-off costs is taken down to 6 s."""

_LEFT_FOR_MS: Final = 600_000
"""How old the first batch is that the older agent has left."""

_FORMAT_1: Final = """
CREATE TABLE batch (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    time_ms INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX batch_time ON batch (time_ms);
CREATE TABLE account (
    outcome TEXT NOT NULL,
    reason TEXT NOT NULL,
    batches INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    PRIMARY KEY (outcome, reason)
) STRICT, WITHOUT ROWID;
CREATE TABLE mark (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""
"""The spool as the first agents wrote it."""


@fault("two machines of one image", short=True, expect=Expect(spooled=True))
async def clones(folder: Path) -> Account:
    """Both are quarantined; once one is gone and the collector restarted, the other is whole.

    A quarantine ends by itself after 15 quiet minutes; a restart is how an operator ends it at
    once. What the twin still holds is in its spool, for whoever renames it.
    """
    settings = {"sources.counting": {"compression": _COMPRESSION}}
    async with Stage(folder, period_s=0.5, agent_settings=settings) as stage:
        await stage.more("stored", 1)
        await stage.stop("agent")
        twin = SecondAgent(stage, folder / "twin")
        shutil.copytree(stage.spool, twin.spool)
        async with twin.program:
            await stage.start("agent")
            await parts.eventually(
                lambda: "is in quarantine" in stage.collectors[0].words(),
                within=WITHIN_S,
                what="the twins are quarantined",
            )
            before = await stage.figure("packs_answered_total")
            await stage.more("taken", UNANSWERED)
            assert await stage.figure("packs_answered_total") == before, "a twin was answered"
            assert await twin.program.stop() == 0, twin.program.words()[-2000:]
        await stage.stop("collector")
        await stage.start("collector")
        caught_up_s = await stage.drained()
        assert await stage.agent.stop() == 0
        both = [accounts.read_books(spool) for spool in (stage.spool, twin.spool)]
        taken = both[0].journal | both[1].journal
        stored = await stage.stored(taken)
        assert {tick for _, tick in stored} <= taken
        one, other = (
            accounts.balance(
                books,
                {point: values for point, values in stored.items() if point[1] in books.journal},
                stage.series,
            )
            for books in both
        )
        assert one.spooled == 0
        assert one.unexplained == other.unexplained == 0, f"{one} {other}"
        return replace(accounts.total([one, other]), catch_up_s=caught_up_s)


@fault("spool copied to another machine")
async def copied_to_another_machine(folder: Path) -> Account:
    """It is moved aside there, and not a batch of it is sent under the other's name."""
    async with Stage(folder, agent_settings=source_journal(folder)) as stage:
        await stage.more("stored", 1)
        await stage.kill("collector")
        await stage.more("taken", UNANSWERED)
        await stage.stop("agent")
        prefix = machine(folder / "machine-id")
        other = SecondAgent(stage, folder / "other", name="other", prefix=prefix)
        assert copied(stage.spool, other.spool), "nothing to send by mistake"
        async with other.program:
            await stage.start("agent", "collector")
            account = await stage.account()
            await other.all_answered()
            assert await other.program.stop() == 0, other.program.words()[-2000:]
        assert len(moved_aside(other.spool)) == 1, "the copied spool was taken for its own"
        books = accounts.read_books(other.spool)
        read = frozenset(ticks(other.journal))
        assert books.taken == len(read) * stage.series
        stored = await stage.stored(read, Address(stage.address.site, "other"))
        foreign = accounts.balance(replace(books, journal=read), stored, stage.series)
        assert foreign.stored == foreign.taken > 0
        assert foreign.wrong == 0, "the copied spool was sent under the other's name"
        return accounts.total([account, foreign])


@fault(
    "agent upgraded while its spool is full",
    expect=Expect(drops=frozenset({"disk_cap"})),
)
async def upgraded(folder: Path) -> Account:
    """The old file is taken over as it is, and drops no more than its limit asks for."""
    stage = Stage(folder, series=200, agent_settings={"spool": {"max_mb": 1}})
    left = _old_spool(stage.spool, series=stage.series, up_to_bytes=1_000_000)
    async with stage:
        account = await stage.account()
        assert moved_aside(stage.spool) == []
        database = sqlite3.connect(stage.spool / FILE_NAME)
        assert database.execute("PRAGMA user_version").fetchone() == (FORMAT,)
        database.close()
        return account.noting(batches_left_by_the_old_agent=left)


def _old_spool(spool: Path, *, series: int, up_to_bytes: int) -> int:
    """A full spool in the first format, its journal kept; how many batches lie in it."""
    database = sqlite3.connect(spool / FILE_NAME)
    database.execute("PRAGMA journal_mode = WAL")
    database.executescript(_FORMAT_1)
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute("PRAGMA user_version = 1")
    database.execute("INSERT INTO mark VALUES ('machine', ?)", (machine_id(spool),))
    database.commit()
    accounts.keep_journal(spool)
    tick = now_ms() // PERIOD_MS * PERIOD_MS - _LEFT_FOR_MS
    batches = 0
    while database.execute("PRAGMA page_count").fetchone()[0] * 4096 < up_to_bytes:
        tick += PERIOD_MS
        body = encode_samples(samples_at(tick, series))
        row = (tick, series, body)
        database.execute("INSERT INTO batch (time_ms, readings, body) VALUES (?, ?, ?)", row)
        batches += 1
    taken = (batches, batches * series)
    database.execute("INSERT INTO account VALUES ('taken', '', ?, ?)", taken)
    database.commit()
    database.close()
    return batches
