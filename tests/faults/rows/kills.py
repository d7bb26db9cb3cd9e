"""kill -9 of each part, alone and in pairs."""

from itertools import chain, combinations
from pathlib import Path
from typing import Final

from tests.faults.account import Account
from tests.faults.matrix import fault
from tests.faults.stage import Stage

PARTS: Final = ("agent", "broker", "collector", "store")
_SHORT: Final = ("collector", "store")


def _register(killed: tuple[str, ...]) -> None:
    @fault(f"{' and '.join(killed)}, kill -9", short=killed == _SHORT)
    async def _(folder: Path) -> Account:
        """Killed in the middle of delivering, twice, the second time with answers under way."""
        async with Stage(folder) as stage:
            await stage.more("taken", 4)
            for outcome in ("taken", "stored"):
                await stage.more(outcome, 1)
                await stage.kill(*killed)
                if "agent" not in killed:
                    await stage.more("taken", 6)
                await stage.start(*killed)
            return await stage.account()


for _killed in chain(combinations(PARTS, 1), combinations(PARTS, 2)):
    _register(_killed)
