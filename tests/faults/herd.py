"""Many agents in one process, each with a publisher and a spool of its own, coming back at once.

``python -m tests.faults.herd FOLDER SITE PORT RESEND_AFTER_S`` connects every agent whose spool
lies in FOLDER/<agent> to the broker, and ends when all spools are empty. No sources: what they
have is what lies in the spools.
"""

import asyncio
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from jauge_agent.agent import machine_id, new_boot
from jauge_agent.announcements import Announcements
from jauge_agent.clock import now_ms
from jauge_agent.config import BrokerConfig
from jauge_agent.publisher import Publisher
from jauge_agent.spool import Spool
from jauge_models.wire import Address

_DAY_MS = 86_400_000
_POLL_S = 0.2


async def come_back(folders: Sequence[Path], site: str, port: int, resend_after_s: float) -> None:
    """Connect all at once and stay until nothing is left to send."""
    spools = [
        Spool(
            folder,
            machine=machine_id(folder),
            max_bytes=10**9,
            max_age_ms=30 * _DAY_MS,
            now_ms=now_ms(),
        )
        for folder in folders
    ]
    publishers = [
        _publisher(Address(site, folder.name), port, spool, resend_after_s)
        for folder, spool in zip(folders, spools, strict=True)
    ]
    publishing = [asyncio.create_task(publisher.run()) for publisher in publishers]
    while any(spool.spooled.batches for spool in spools):  # noqa: ASYNC110 - no event says so
        await asyncio.sleep(_POLL_S)
    for task in publishing:
        task.cancel()
    await asyncio.wait(publishing)
    for spool in spools:
        spool.close()


def _publisher(address: Address, port: int, spool: Spool, resend_after_s: float) -> Publisher:
    boot = new_boot()
    return Publisher(
        BrokerConfig(port=port, tls=False),
        address=address,
        boot=boot,
        spool=spool,
        resend_after_s=resend_after_s,
        now_ms=now_ms,
        open_tick_ms=lambda: None,
        announcements=Announcements(
            boot=boot, spool=spool, now_ms=now_ms, describe=lambda: ([], [])
        ),
        chance=random.Random(),
    )


def main(folder: str, site: str, port: str, resend_after_s: str) -> None:
    """Run them all."""
    folders = sorted(Path(folder).iterdir())
    asyncio.run(come_back(folders, site, int(port), float(resend_after_s)))


if __name__ == "__main__":
    main(*sys.argv[1:])
