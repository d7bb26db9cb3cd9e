"""Wall clocks that jump or are wrong, and the hour that a country has twice."""

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

from tests import parts
from tests.faults.account import Account
from tests.faults.clocks import WallClock
from tests.faults.matrix import Expect, fault
from tests.faults.spools import JOURNAL, source_journal, ticks
from tests.faults.stage import WITHIN_S, Stage

HOUR_S: Final = 3600.0
DAY_S: Final = 24 * HOUR_S
PERIOD_S: Final = 0.25
AHEAD_BATCHES: Final = 8
BEFORE_CHANGE_S: Final = 12.0
"""From the start of the parts to the change of civil time: they must be up by then."""
_ZONE: Final = "Europe/Paris"


def _register_forward(name: str, seconds: float) -> None:
    @fault(f"agent's clock jumps forward by {name}")
    async def _(folder: Path) -> Account:
        """What is stamped ahead stays in the spool, unharmed, until that time has come.

        It comes for the collector by a jump of its own: the hours in between are left out.
        """
        of_agent, of_collector = WallClock(folder / "agent-s"), WallClock(folder / "collector-s")
        async with Stage(
            folder,
            environments={"agent": of_agent.environment, "collector": of_collector.environment},
        ) as stage:
            await stage.more("stored", 1)
            of_agent.step(seconds)
            await stage.more("taken", AHEAD_BATCHES)
            await _noted_as_future(stage)
            assert "waiting" in (seen := await stage.counters())
            assert seen["waiting"] >= AHEAD_BATCHES
            of_collector.step(seconds)
            return await stage.account()


def _register_back(name: str, seconds: float, *, short: bool) -> None:
    @fault(
        f"agent's clock jumps back by {name}",
        short=short,
        expect=Expect(drops=frozenset({"clock"})),
    )
    async def _(folder: Path) -> Account:
        """What was taken and not answered is dropped, and what is read while the clock catches up.

        Exactly that, as the source's own list says.
        """
        clock = WallClock(folder / "agent-s")
        async with Stage(
            folder,
            environments={"agent": clock.environment},
            agent_settings=source_journal(folder),
        ) as stage:
            answered = await _all_answered(stage, folder)
            await stage.kill("collector")
            stage.quiet.unlink()
            await stage.more("taken", AHEAD_BATCHES)
            clock.step(-seconds)
            await stage.more("dropped/clock", 3 * AHEAD_BATCHES)
            await stage.start("collector")
            account = await stage.account()
            after = ticks(folder / JOURNAL)[answered:]
            steps = [later - earlier for earlier, later in pairwise(after) if later < earlier]
            assert len(steps) == 1, f"steps back in the source's list: {steps}"
            expected = len(after) * stage.series
            assert account.drops["clock"] == expected, f"{account.drops}, not {expected}"
            assert account.stored == answered * stage.series
            return account.noting(expected_drops=expected)


async def _all_answered(stage: Stage, folder: Path) -> int:
    """Let everything taken so far be answered, the source being silent; how many ticks it was."""
    await stage.more("taken", AHEAD_BATCHES)
    stage.quiet.touch()
    await stage.all_answered()
    return len(ticks(folder / JOURNAL))


async def _noted_as_future(stage: Stage) -> None:
    """Wait until the collector has left packs without an answer because they are ahead of it."""

    async def noted() -> bool:
        return await stage.figure('packs_unanswered_total{reason="future"}') > 0

    await parts.eventually(noted, within=WITHIN_S, what="packs ahead are noted")


_register_forward("an hour", HOUR_S)
_register_forward("a day", DAY_S)
_register_back("an hour", HOUR_S, short=True)
_register_back("a day", DAY_S, short=False)


@fault("agent's clock a day ahead", expect=Expect(spooled=True))
async def ahead(folder: Path) -> Account:
    """Nothing of it is stored or answered; all of it stays in the spool."""
    clock = WallClock(folder / "agent-s", offset_s=DAY_S)
    async with Stage(folder, environments={"agent": clock.environment}) as stage:
        await stage.more("taken", 3 * AHEAD_BATCHES)
        await _noted_as_future(stage)
        account = await stage.account(drain=False)
        assert account.spooled == account.taken
        return account


@fault("agent's clock a day behind")
async def behind(folder: Path) -> Account:
    """Stored under the time that the agent told: the store keeps that long."""
    clock = WallClock(folder / "agent-s", offset_s=-DAY_S)
    async with Stage(folder, environments={"agent": clock.environment}) as stage:
        await stage.more("taken", 3 * AHEAD_BATCHES)
        return await stage.account()


@fault(
    "agent's clock a day behind, store keeps a day",
    expect=Expect(refusals=frozenset({"too_old"})),
)
async def behind_what_is_kept(folder: Path) -> Account:
    """Refused, each pack, by a reason that both sides count; never a 204 that vanishes."""
    clock = WallClock(folder / "agent-s", offset_s=-DAY_S)
    async with Stage(
        folder,
        environments={"agent": clock.environment},
        store_flags={"retentionPeriod": "1d"},
        collector_settings={"store": {"minimum_retention_days": 1}},
    ) as stage:
        await stage.more("taken", 3 * AHEAD_BATCHES)
        account = await stage.account()
        assert account.refused == account.taken
        return account


@fault("summer time ends")
async def summer_time_ends(folder: Path) -> Account:
    """Agent and collector live in Paris while 2 h to 3 h comes twice: no tick is missed or twice.

    The change is the last one before today: a store takes readings of the past alone.
    """
    offset_s = _last_change_s(time.time()) - BEFORE_CHANGE_S - time.time()
    clock = WallClock(folder / "s", offset_s=offset_s)
    environment = clock.environment | {"TZ": _ZONE}
    async with Stage(
        folder,
        environments={"agent": environment, "collector": environment},
        agent_settings=source_journal(folder),
    ) as stage:
        change_ms = round(_last_change_s(time.time()) * 1000)
        await parts.eventually(
            lambda: clock.now_ms() > change_ms + 4000, within=WITHIN_S, what="the change is over"
        )
        account = await stage.account()
        read = ticks(folder / JOURNAL)
        assert read[0] < change_ms < read[-1]
        assert {later - earlier for earlier, later in pairwise(read)} == {round(PERIOD_S * 1000)}
        assert account.stored == len(read) * stage.series
        return account


def _last_change_s(before_s: float) -> float:
    """The last end of summer time in the European Union: 1 h UTC, last Sunday of October."""
    year = datetime.fromtimestamp(before_s, UTC).year
    changes = [_change(year), _change(year - 1)]
    return next(change.timestamp() for change in changes if change.timestamp() < before_s)


def _change(year: int) -> datetime:
    last = datetime(year, 10, 31, 1, tzinfo=UTC)
    return last - timedelta(days=(last.weekday() - 6) % 7)
