"""The rows of the matrix: what each one does, what is expected of it, and how all are run.

A row is a coroutine function of one argument, an empty folder of its own, under ``@fault``, in a
module of tests.faults.rows::

    @fault("agent, kill -9", short=True)
    async def agent_killed(folder: Path) -> Account:
        async with Stage(folder) as stage:
            await stage.more("taken", 4)
            await stage.kill("agent")
            await stage.start("agent")
            return await stage.account()

What a row itself finds wrong it raises as AssertionError.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Final

from tests.faults import rows as rows_package
from tests.faults.account import Account
from tests.parts import PartMissingError

ROW_DEADLINE_S: Final = 300.0

Play = Callable[[Path], Awaitable[Account]]


class NotHereError(Exception):
    """The row cannot run on this machine (no network namespaces, say): the text says why."""


@dataclass(frozen=True)
class Expect:
    """What a row must show. Lost is 0, values are right and the account closes in every row."""

    doubled: bool = False
    """Whether readings must be found twice (the control row); else none may."""
    drops: frozenset[str] = frozenset()
    """Reasons for which the agent must have dropped something; for others it may not."""
    refusals: frozenset[str] = frozenset()
    """Reasons for which the collector must have refused something; for others it may not."""
    spooled: bool = False
    """Whether something must lie in the spool at the end; else nothing may."""

    def breaches(self, account: Account) -> Iterator[str]:
        """What is not as it must be, a sentence each."""
        if account.taken == 0:
            yield "nothing was taken"
        if account.unexplained:
            yield f"the account does not close: {account.unexplained:+d} readings"
        if account.lost:
            yield f"{account.lost} readings lost"
        if account.wrong:
            yield f"{account.wrong} values are not what was read"
        if bool(account.twice) != self.doubled:
            yield f"{account.twice} readings twice"
        if bool(account.spooled) != self.spooled:
            yield f"{account.spooled} readings still spooled"
        for what, found, wanted in (
            ("dropped", account.drops, self.drops),
            ("refused", account.refusals, self.refusals),
        ):
            seen = {reason for reason, count in found.items() if count}
            if seen != wanted:
                yield f"{what} for {sorted(seen) or 'nothing'}, not for {sorted(wanted)}"


@dataclass(frozen=True)
class Fault:
    """One row as it is registered."""

    name: str
    play: Play
    short: bool
    expect: Expect
    alone: bool


@dataclass(frozen=True)
class Result:
    """One row as it was run: an account, or why there is none."""

    fault: Fault
    account: Account | None
    breaches: tuple[str, ...]
    seconds: float
    skipped: str = ""

    def as_json(self) -> dict[str, Any]:
        """A row of build/faults.json."""
        row: dict[str, Any] = {"fault": self.fault.name}
        if (account := self.account) is not None:
            row |= {
                "taken": account.taken,
                "stored": account.stored,
                "twice": account.twice,
                "lost": account.lost,
                "dropped": account.dropped,
                "catch_up_s": None if account.catch_up_s is None else round(account.catch_up_s, 1),
                "refused": account.refused,
                "spooled": account.spooled,
                "wrong": account.wrong,
                "drops": dict(account.drops),
                "refusals": dict(account.refusals),
                "notes": dict(account.notes),
            }
        row |= {"seconds": round(self.seconds, 1), "breaches": list(self.breaches)}
        return row | ({"skipped": self.skipped} if self.skipped else {})


_FAULTS: Final[dict[str, Fault]] = {}


def fault(
    name: str, *, short: bool = False, expect: Expect = Expect(), alone: bool = False
) -> Callable[[Play], Play]:
    """Make a function a row of the matrix.

    ``short``: it is one of the hardest, run by ``make test`` too. ``alone``: nothing else runs
    beside it, because it takes the whole machine.
    """

    def register(play: Play) -> Play:
        assert name not in _FAULTS, f"two rows are named {name}"
        _FAULTS[name] = Fault(name, play, short, expect, alone)
        return play

    return register


def faults(*, short: bool = False, only: Sequence[str] = ()) -> list[Fault]:
    """The rows in their order: all, or the short version, or those whose name matches."""
    found = [module.name for module in iter_modules(rows_package.__path__)]
    for name in dict.fromkeys((*rows_package.FIRST, *found)):
        import_module(f"{rows_package.__name__}.{name}")
    return [
        row
        for row in _FAULTS.values()
        if (row.short or not short)
        and (not only or any(fnmatch(row.name, f"*{pattern}*") for pattern in only))
    ]


async def run(
    rows: Sequence[Fault], *, jobs: int, told: Callable[[Result], None] = lambda _: None
) -> list[Result]:
    """Run rows, ``jobs`` at a time; ``told`` hears of each as it ends. Results in the rows' order.

    Rows that want to be alone come last.
    """
    gate = asyncio.Semaphore(jobs)
    results: dict[str, Result] = {}

    async def one(row: Fault) -> None:
        async with gate:
            results[row.name] = await _played(row)
        told(results[row.name])

    async with asyncio.TaskGroup() as group:
        for row in rows:
            if not row.alone:
                group.create_task(one(row))
    for row in rows:
        if row.alone:
            await one(row)
    return [results[row.name] for row in rows]


async def _played(row: Fault) -> Result:
    began = time.monotonic()
    with _folder() as folder:
        try:
            async with asyncio.timeout(ROW_DEADLINE_S):
                account = await row.play(folder)
        except NotHereError as reason:
            return Result(row, None, (), time.monotonic() - began, skipped=str(reason))
        except PartMissingError as reason:
            return Result(row, None, (), time.monotonic() - began, skipped=str(reason))
        except Exception as error:  # noqa: BLE001 - one row's trouble must not hide the others
            seen = f"{type(error).__name__}: {error}"
            return Result(row, None, (seen,), time.monotonic() - began)
    return Result(row, account, tuple(row.expect.breaches(account)), time.monotonic() - began)


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="jauge-faults-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def by_name(results: Sequence[Result]) -> Mapping[str, Result]:
    """Results by the name of their row."""
    return {result.fault.name: result for result in results}
