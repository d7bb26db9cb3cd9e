"""Agent, broker, collector and store on machines of their own, and bad cables between them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from tests.faults.account import Account
from tests.faults.matrix import fault
from tests.faults.stage import Stage
from tests.faults.wire import Wire

MACHINES: Final = ("agent", "broker", "collector", "store")
CUT_BATCHES: Final = 48
"""Batches taken while a cable is cut: twelve seconds, in which the agent gives its connection up
(it waits ten for a PUBACK) and finds no other."""
DELAY_S: Final = 0.3
LOSS: Final = 0.05

_CUT: Final = (("agent", "broker"), ("broker", "collector"), ("collector", "store"))
_CUT_ONE_WAY: Final = (
    ("agent", "broker"),
    ("broker", "agent"),
    ("collector", "store"),
    ("store", "collector"),
)
_DEGRADED: Final = (("agent", "broker"), ("collector", "store"))
_SHORT: Final = ("broker", "agent")


class Networked(NamedTuple):
    """A stage and the wire between its parts."""

    stage: Stage
    wire: Wire

    async def account(self, one: str, other: str) -> Account:
        """The account, which stands only if frames were lost between these two."""
        account = await self.stage.account()
        lost = self.wire.lost(one, other)
        assert lost > 0, "the fault did not touch a frame"
        return account.noting(frames_lost=lost)


@asynccontextmanager
async def networked(folder: Path) -> AsyncIterator[Networked]:
    """All parts running, each in a network namespace."""
    with Wire(MACHINES) as wire:
        hosts = {name: machine.address for name, machine in wire.machines.items()}
        prefixes = {name: machine.prefix for name, machine in wire.machines.items()}
        async with Stage(folder, hosts=hosts, prefixes=prefixes) as stage:
            yield Networked(stage, wire)
        assert wire.failure is None, repr(wire.failure)


def _register_cut(one: str, other: str) -> None:
    @fault(f"cable cut, {one} - {other}")
    async def _(folder: Path) -> Account:
        """Nothing passes for a while, with batches and answers under way."""
        async with networked(folder) as net:
            await net.stage.more("stored", 1)
            net.wire.cut(one, other)
            await net.stage.more("taken", CUT_BATCHES)
            net.wire.heal(one, other)
            return await net.account(one, other)


def _register_cut_one_way(sender: str, receiver: str) -> None:
    @fault(f"cable cut one way, {sender} to {receiver}", short=(sender, receiver) == _SHORT)
    async def _(folder: Path) -> Account:
        """What one says still arrives; what the other says, its TCP's receipts too, does not."""
        async with networked(folder) as net:
            await net.stage.more("stored", 1)
            net.wire.cut_one_way(sender, receiver)
            await net.stage.more("taken", CUT_BATCHES)
            net.wire.heal(sender, receiver)
            return await net.account(sender, receiver)


def _register_degraded(one: str, other: str) -> None:
    @fault(f"300 ms each way and 5 % loss, {one} - {other}")
    async def _(folder: Path) -> Account:
        """Bad from before the first batch to after the last answer: it never heals."""
        async with networked(folder) as net:
            net.wire.degrade(one, other, delay_s=DELAY_S, loss=LOSS)
            await net.stage.more("taken", CUT_BATCHES)
            return await net.account(one, other)


for _pair in _CUT:
    _register_cut(*_pair)
for _pair in _CUT_ONE_WAY:
    _register_cut_one_way(*_pair)
for _pair in _DEGRADED:
    _register_degraded(*_pair)
