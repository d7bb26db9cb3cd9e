"""The agent's spool damaged or exchanged, while it runs and between two runs.

What lay unanswered in a file that is gone cannot be had again by anybody: these rows count it as
``destroyed`` and hold the agent to everything else. It goes on; a file that is damaged is moved
aside and kept; what is missing from the store is only what lay in the destroyed file; nothing
is there twice. Taken is what the source's own list says.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.faults import account as accounts
from tests.faults.account import Account
from tests.faults.counting import value_at
from tests.faults.matrix import Expect, fault
from tests.faults.spools import (
    JOURNAL,
    copied,
    forget_all,
    held,
    moved_aside,
    overwrite_pages,
    replace,
    source_journal,
    ticks,
    truncate,
)
from tests.faults.stage import Stage

UNANSWERED: Final = 8
DESTROYED: Final = "destroyed"
_LARGE_SERIES: Final = 1000
_LARGE_BATCHES: Final = 48
"""Three megabytes, more than SQLite keeps in memory: a running agent must read the file again."""

Damage = Callable[[Path], None]


def _stage(folder: Path, *, series: int = 20) -> Stage:
    return Stage(folder, series=series, agent_settings=source_journal(folder))


def _register_damage(name: str, damage: Damage) -> None:
    @fault(f"spool {name} between runs", expect=Expect(drops=frozenset({DESTROYED})))
    async def _(folder: Path) -> Account:
        """The next run finds the file unfit, keeps it aside and begins another."""
        async with _stage(folder) as stage:
            await stage.more("stored", 1)
            await stage.kill("collector")
            await stage.more("taken", UNANSWERED)
            await stage.stop("agent")
            at_risk = copied(stage.spool, folder / "before")
            damage(stage.spool)
            await stage.start("agent", "collector")
            account = await _account(stage, at_risk)
            assert len(moved_aside(stage.spool)) == 1, list(stage.spool.iterdir())
            return account

    @fault(f"spool {name} under the running agent", expect=Expect(drops=frozenset({DESTROYED})))
    async def _(folder: Path) -> Account:
        """Found out when a page is read again: kept aside, and another is begun at once."""
        async with _stage(folder, series=_LARGE_SERIES) as stage:
            await stage.more("taken", 2)
            await stage.kill("collector")
            await stage.more("taken", _LARGE_BATCHES)
            with held(stage.agent.pid):
                at_risk = copied(stage.spool, folder / "before")
                damage(stage.spool)
            damaged_at = len(ticks(folder / JOURNAL))
            await stage.start("collector")
            account = await _account(stage, at_risk, since=damaged_at)
            assert len(moved_aside(stage.spool)) == 1, list(stage.spool.iterdir())
            return account


async def _account(stage: Stage, at_risk: frozenset[int], *, since: int | None = None) -> Account:
    """End the agent, drained; what is missing from the store may only be ``at_risk``.

    ``since``: ticks from this place of the source's list on are at risk too, until the file was
    moved aside.
    """
    caught_up_s = await stage.drained()
    if stage.agent.runs:
        assert await stage.agent.stop() == 0, stage.agent.words()[-2000:]
    books = accounts.read_books(stage.spool)
    answered = books.stored + sum(books.refusals.values()) + sum(books.drops.values())
    assert books.taken == answered + books.spooled, f"the new spool's account: {books}"
    listed = ticks(stage.folder / JOURNAL)
    read = set(listed)
    if since is not None:
        (aside,) = moved_aside(stage.spool)
        aside_ms = aside.stat().st_ctime_ns // 1_000_000
        at_risk |= {tick for tick in listed[since:] if tick <= aside_ms}
    stored = await stage.stored(frozenset(read))
    points = {(number, tick) for tick in read for number in range(stage.series)}
    missing = points - stored.keys()
    destroyed = sum(tick in at_risk for _, tick in missing)
    return Account(
        taken=len(points),
        stored=len(points) - len(missing),
        refused=0,
        dropped=destroyed,
        spooled=books.spooled,
        twice=sum(len(values) - 1 for values in stored.values()),
        lost=len(missing) - destroyed,
        wrong=sum(values != [value_at(*point)] for point, values in stored.items()),
        drops={DESTROYED: destroyed},
        catch_up_s=caught_up_s,
        notes={"moved_aside": len(moved_aside(stage.spool))},
    )


_register_damage("truncated", truncate)
_register_damage(
    "overwritten at random pages", lambda spool: overwrite_pages(spool, random.Random(7))
)


def _register_replaced(name: str, *, empty: bool) -> None:
    @fault(f"spool replaced by {name} between runs", expect=Expect(drops=frozenset({DESTROYED})))
    async def _(folder: Path) -> Account:
        """A sound file of this machine: what lies in it goes out again and is stored once."""
        async with _stage(folder) as stage:
            other = await _another(stage, folder / "other", empty=empty)
            await stage.more("stored", 1)
            await stage.kill("collector")
            await stage.more("taken", UNANSWERED)
            await stage.stop("agent")
            at_risk = copied(stage.spool, folder / "before")
            replace(stage.spool, other)
            await stage.start("agent", "collector")
            account = await _account(stage, at_risk)
            assert moved_aside(stage.spool) == []
            return account

    @fault(f"spool replaced by {name} under the running agent")
    async def _(folder: Path) -> Account:
        """The agent keeps to its own file, and loses nothing; its next run takes the other."""
        async with _stage(folder) as stage:
            other = await _another(stage, folder / "other", empty=empty)
            await stage.more("stored", 1)
            await stage.kill("collector")
            await stage.more("taken", UNANSWERED)
            with held(stage.agent.pid):
                replace(stage.spool, other)
            await stage.start("collector")
            stage.mended()
            stage.quiet.touch()
            await stage.all_answered()
            await stage.stop("agent")
            stage.quiet.unlink()
            await stage.start("agent")
            return await _account(stage, frozenset())


async def _another(stage: Stage, folder: Path, *, empty: bool) -> Path:
    """A sound spool of this machine: one just begun, or the agent's as it is now."""
    if not empty:
        await stage.more("taken", UNANSWERED)
    with held(stage.agent.pid):
        copied(stage.spool, folder)
    if empty:
        forget_all(folder)
    return folder


_register_replaced("an older one", empty=False)
_register_replaced("an empty one", empty=True)
