"""Disks that are full for a while: the agent's, the collector's, the store's."""

from pathlib import Path
from typing import Final

from tests.faults.account import Account
from tests.faults.disks import SmallDisk
from tests.faults.matrix import Expect, fault
from tests.faults.spools import JOURNAL, source_journal, ticks
from tests.faults.stage import WITHIN_S, Stage, get
from tests.parts import eventually

AGENT_BYTES: Final = 4_000_000
COLLECTOR_BYTES: Final = 4_000_000
STORE_BYTES: Final = 48_000_000
STORE_LEAVES_BYTES: Final = 5_000_000
"""Less than VictoriaMetrics wants free (-storage.minFreeDiskSpaceBytes, 10 MB): it stays up, and
takes nothing until there is more."""
FULL_BATCHES: Final = 24


@fault("disk full, agent", expect=Expect(drops=frozenset({"disk_full"})))
async def agent(folder: Path) -> Account:
    """What cannot be written is dropped and counted exactly; the agent goes on by itself."""
    with SmallDisk(folder / "disk", AGENT_BYTES) as disk:
        async with Stage(
            folder, spool=disk.path / "spool", agent_settings=source_journal(folder)
        ) as stage:
            await stage.more("stored", 1)
            disk.fill()
            await stage.more("dropped/disk_full", FULL_BATCHES)
            disk.free()
            account = await stage.account()
            read = len(ticks(folder / JOURNAL)) * stage.series
            assert account.taken == read, f"{account.taken} of {read} readings taken"
            # No answer is lost with a disk: what was taken and not dropped is in the store.
            assert account.stored == read - account.drops["disk_full"]
            return account


@fault("disk full, collector")
async def collector(folder: Path) -> Account:
    """No room for a mark: nothing is answered, and it comes again once there is."""
    with SmallDisk(folder / "disk", COLLECTOR_BYTES) as disk:
        settings = {"": {"state_dir": str(disk.path)}}
        async with Stage(folder, collector_settings=settings) as stage:
            await stage.more("stored", 1)
            disk.fill()
            await _troubled(stage, "ledger")
            await stage.more("taken", FULL_BATCHES)
            disk.free()
            return await stage.account()


@fault("disk nearly full, store takes nothing")
async def store_takes_nothing(folder: Path) -> Account:
    """VictoriaMetrics refuses to write before its disk is full, and does so until it is not."""
    with SmallDisk(folder / "disk", STORE_BYTES) as disk:
        async with Stage(folder, store_flags={"storageDataPath": str(disk.path / "data")}) as stage:
            await stage.more("stored", 1)
            disk.fill(leave_bytes=STORE_LEAVES_BYTES)
            await _troubled(stage, "store")
            await stage.more("taken", FULL_BATCHES)
            disk.free()
            return await stage.account()


@fault("disk full, store falls", short=True)
async def store_falls(folder: Path) -> Account:
    """With no byte left VictoriaMetrics ends at its next flush; what it had answered stays."""
    with SmallDisk(folder / "disk", STORE_BYTES) as disk:
        async with Stage(folder, store_flags={"storageDataPath": str(disk.path / "data")}) as stage:
            await stage.more("stored", 1)
            disk.fill()
            await eventually(
                lambda: stage.store.status is not None, within=WITHIN_S, what="the store falls"
            )
            assert stage.store.status != 0, "the store ended in order"
            await stage.more("taken", FULL_BATCHES)
            disk.free()
            await stage.kill("store")
            await stage.start("store")
            return await stage.account()


async def _troubled(stage: Stage, part: str) -> None:
    """Wait until the collector says of a part that it is not ready, and why."""

    async def seen() -> bool:
        status, page = await get(stage.host("collector"), stage.collector_ports[0], "/readyz")
        return status == 503 and f"{part}: not ready" in page

    await eventually(seen, within=WITHIN_S, what=f"the collector has trouble with its {part}")
