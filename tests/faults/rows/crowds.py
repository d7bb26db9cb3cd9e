"""A thousand agents come back at once."""

import resource
import shutil
import statistics
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from jauge_agent.agent import machine_id
from jauge_agent.spool import Spool
from jauge_models.resources import Series

from tests.faults.account import Account, Books, balance, keep_journal, read_books, total
from tests.faults.counting import QUANTITY, resource_of
from tests.faults.files import RESEND_AFTER_S, SETTLE_S
from tests.faults.matrix import fault
from tests.faults.program import Program
from tests.faults.stage import SITE, Stage, left_in, now_ms
from tests.faults.wiretap import Wiretap

_AGENTS: Final = 1000
_BATCHES: Final = 20
_SERIES: Final = 20
_PERIOD_MS: Final = 30_000
_FRESH_S: Final = 10.0
"""Within which a live reading must be accepted while the others come back."""
_WITHIN_S: Final = 200.0


@fault(f"{_AGENTS} agents come back at once", alone=True)
async def thundering_herd(folder: Path) -> Account:
    """Ten minutes of each, by the agent's own publisher and spool; one real agent measures on.

    Its delay is taken from the tick to the answer, less settle: half a second too much, because
    answers are gathered.
    """
    _many_files()
    herd = _spools(folder / "herd")
    flags = {"memory.allowedBytes": "256MB"}
    async with (
        Stage(folder, series=_SERIES, store_flags=flags) as stage,
        Wiretap(stage.broker.host, stage.broker.port, stage.address) as tap,
    ):
        await stage.more("stored", 8)
        arguments: list[str | Path] = [herd, SITE, str(stage.broker.port), str(RESEND_AFTER_S)]
        coming = Program("tests.faults.herd", arguments, folder / "herd.log")
        before = len(tap.answered_s)
        async with coming:
            began = time.monotonic()
            assert await coming.ended(within=_WITHIN_S) == 0, coming.words()[-2000:]
            took_s = time.monotonic() - began
        delays_s = [delay - SETTLE_S for delay in tap.answered_s[before:]]
        live = await stage.account()
        p99_s = statistics.quantiles(delays_s, n=100)[-1]
        assert p99_s < _FRESH_S, f"live readings were accepted only after {p99_s:.1f} s"
        books = {folder.name: read_books(folder) for folder in herd.iterdir()}
        came = total([live, *await _accounts(stage, books)])
        return replace(came, catch_up_s=took_s).noting(live_p99_s=round(p99_s, 2))


def _many_files() -> None:
    """Let the daemons that are started from here have a connection for each agent."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _spools(herd: Path) -> Path:
    """A folder with the spool of each agent, all alike."""
    first = herd / "agent0"
    first.mkdir(parents=True)

    def opened() -> Spool:
        return Spool(
            first,
            machine=machine_id(first),
            max_bytes=10**9,
            max_age_ms=10**12,
            now_ms=now_ms(),
        )

    opened().close()
    keep_journal(first)
    spool = opened()
    end_ms = now_ms() // _PERIOD_MS * _PERIOD_MS
    left_in(spool, range(end_ms - _BATCHES * _PERIOD_MS, end_ms, _PERIOD_MS), _SERIES)
    spool.close()
    for number in range(1, _AGENTS):
        shutil.copytree(first, herd / f"agent{number}")
    return herd


async def _accounts(stage: Stage, books: Mapping[str, Books]) -> list[Account]:
    """The account of each agent, by its spool's books and one read of the store."""
    series = {
        Series(SITE, name, resource_of(number), QUANTITY): (name, number)
        for name in books
        for number in range(_SERIES)
    }
    ticks = frozenset.union(*(book.journal for book in books.values()))
    rows: dict[str, dict[tuple[int, int], list[float]]] = {name: {} for name in books}
    reader = await stage.reader()
    for key, points in (await reader.read(series, min(ticks), max(ticks) + 1)).items():
        name, number = series[key]
        for time_ms, value in points:
            rows[name].setdefault((number, time_ms), []).append(value)
    return [balance(books[name], rows[name], _SERIES) for name in books]
