"""What was sent arrives twice, in another order, or a day late."""

import random
from pathlib import Path

from tests import parts
from tests.faults.account import Account
from tests.faults.matrix import fault
from tests.faults.stage import Stage, left_in, now_ms
from tests.faults.wiretap import Wiretap

_DAY_MS = 86_400_000


@fault("deliveries duplicated")
async def duplicated(folder: Path) -> Account:
    """Each pack three more times: at once, while it waits for its answer, and after it."""
    async with (
        Stage(folder) as stage,
        Wiretap(stage.broker.host, stage.broker.port, stage.address) as tap,
    ):
        await stage.more("taken", 8)
        for _ in range(2):
            for heard in list(tap.packs):
                await tap.publish(heard.payload)
        await stage.more("stored", 1)
        sent = list(tap.packs)
        for heard in sent:
            await tap.publish(heard.payload)
        return (await stage.account()).noting(packs_sent_again=2 * len(sent))


@fault("deliveries reordered", short=True)
async def reordered(folder: Path) -> Account:
    """The collector was away while the agent sent, and first hears the packs shuffled, thrice."""
    async with (
        Stage(folder) as stage,
        Wiretap(stage.broker.host, stage.broker.port, stage.address) as tap,
    ):
        await stage.more("taken", 2)
        await stage.kill("collector")
        before = len(tap.packs)
        await stage.more("taken", 24)
        missed = tap.packs[before:]
        assert len(missed) >= 20, "the agent sent nothing meanwhile"
        await stage.start("collector")
        await stage.ready()
        stage.mended()
        order = random.Random(1)
        for _ in range(3):
            order.shuffle(missed)
            for heard in missed:
                await tap.publish(heard.payload)
        return (await stage.account()).noting(packs_shuffled=len(missed))


@fault("deliveries a day late")
async def day_late(folder: Path) -> Account:
    """A spool that a day without a broker has filled, behind an agent that measures on."""
    async with Stage(folder, absent=("agent",)) as stage:
        first_ms = now_ms() - _DAY_MS
        first_ms -= first_ms % 1000
        spool = stage.own_spool()
        left_in(spool, range(first_ms, first_ms + 150_000, 1000), stage.series)
        spool.close()
        await stage.start("agent")
        stage.mended()

        async def live() -> bool:
            return (await stage.counters()).get("taken", 0) >= 170

        await parts.eventually(live, within=60, what="live batches beside the late ones")
        return await stage.account()
