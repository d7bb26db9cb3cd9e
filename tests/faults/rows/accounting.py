"""The ledger after a fault: what it holds must be what the readings alone give."""

from pathlib import Path
from typing import Final

from jauge_collector import sites
from jauge_collector.ledger.accounting import run_pass
from jauge_collector.ledger.book import QUARTER_MS, Ledger
from jauge_collector.ledger.marks import Mark
from jauge_collector.ledger.rows import Row
from jauge_models.wire import Method

from tests import parts
from tests.faults.account import Account, read_books
from tests.faults.matrix import fault
from tests.faults.stage import SITE, Stage, left_in, now_ms

_PAST_MS: Final = 16 * 60_000
_EVERY_MS: Final = 12_000
_METER: Final = "it"
_PASSED_MS: Final = 60_000
"""Some passes have been made since, whatever the store's settle time."""


@fault("collector restarted in the middle of an interval", short=True)
async def collector_restarted_mid_interval(folder: Path) -> Account:
    """Killed while the readings of four intervals come in, and again while it computes them.

    Its rows must be those that one undisturbed pass computes from the same readings.
    """
    async with Stage(folder, absent=("agent",)) as stage:
        first_ms = (now_ms() - _PAST_MS) // _EVERY_MS * _EVERY_MS
        spool = stage.own_spool()
        left_in(spool, range(first_ms, first_ms + _PAST_MS, _EVERY_MS), stage.series)
        spool.close()
        await stage.start("agent")
        await stage.more("taken", 16)
        for _ in range(2):
            await stage.kill("collector")
            await stage.start("collector")
            await stage.ready()
            await stage.more("stored", 16)
        account = await stage.account()
        with Ledger(folder / "state" / "ledger.db") as ledger:
            await parts.eventually(
                lambda: not _waiting(ledger, now_ms()), within=150, what="all is computed"
            )
            await stage.stop("collector")
            held = ledger.current(SITE, _METER, 0, now_ms())
            undisturbed = await _computed(stage, ledger)
        assert len(held) >= 3, held
        assert _told(held) == _told(undisturbed)
        return account.noting(ledger_rows=len(held))


def _waiting(ledger: Ledger, time_ms: int) -> list[Mark]:
    """Marks still to be seen to: that of a running quarter stays, and is seen to at each pass."""
    return [
        mark
        for mark in ledger.marks(SITE, time_ms)
        if mark.end_ms <= time_ms or mark.last_ms > time_ms - _PASSED_MS
    ]


async def _computed(stage: Stage, disturbed: Ledger) -> list[Row]:
    """The rows of one pass over the same readings, with what the agent said of itself."""
    site = sites.load_all([stage.folder / "site.toml"])[SITE]
    quarters = {tick - tick % QUARTER_MS for tick in read_books(stage.spool).journal}
    methods: dict[tuple[str, str], Method] = {
        (resource, quantity): method
        for (_, resource, quantity), method in disturbed.methods(SITE).items()
    }
    with Ledger(stage.folder / "undisturbed.db") as ledger, ledger.writer():
        ledger.set_methods(*stage.address, methods)
        ledger.set_oldest(*stage.address, disturbed.oldest(SITE)[stage.address.agent])
        ledger.mark(*stage.address, quarters, 0)
        await run_pass(await stage.reader(), ledger, site, now_ms())
        return ledger.current(SITE, _METER, 0, now_ms())


def _told(rows: list[Row]) -> list[tuple[object, ...]]:
    """What two computations must agree on: all but when it was done, and how often."""
    return [(row.interval, row.feed, row.final) for row in rows]
