"""The publisher against a real broker: answers free batches, nothing else does."""

import asyncio
import contextlib
import json
import logging
import random
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import pytest
from jauge_agent.announcements import Announcements
from jauge_agent.clock import now_ms
from jauge_agent.config import BrokerConfig
from jauge_agent.publisher import Publisher
from jauge_agent.spool import Count, Outcome, Spool
from jauge_models.wire import (
    MAX_BIRTH_RESOURCES,
    Address,
    Answer,
    Channel,
    Method,
    ResourceDescription,
    Sample,
    SourceDescription,
    decode_birth,
    decode_state,
    encode,
    encode_samples,
)

from tests.agent.answering import answering
from tests.parts import Mosquitto, eventually

ADDRESS = Address("lab", "a1")
BOOT = "boot1"
RESOURCES = [ResourceDescription("host", {"power": Method.GAUGE}, name="Server 1")]


class Bench:
    """A publisher on a spool of its own."""

    def __init__(self, directory: Path, port: int, *, resend_after_s: float = 60.0) -> None:
        directory.mkdir(exist_ok=True)
        self.spool = Spool(
            directory, machine="m", max_bytes=10**8, max_age_ms=10**9, now_ms=now_ms()
        )
        self.resources = list(RESOURCES)
        self.open_tick_ms: int | None = None
        self.publisher = Publisher(
            BrokerConfig(host="127.0.0.1", port=port, tls=False),
            address=ADDRESS,
            boot=BOOT,
            spool=self.spool,
            resend_after_s=resend_after_s,
            now_ms=now_ms,
            open_tick_ms=lambda: self.open_tick_ms,
            announcements=Announcements(
                boot=BOOT,
                spool=self.spool,
                now_ms=now_ms,
                describe=lambda: ([SourceDescription("s", 1.0)], self.resources),
            ),
            chance=random.Random(1),
        )
        self.given: dict[tuple[str, int], float] = {}
        self._last_ms = now_ms() - 10_000_000

    def take(self, watts: float = 1.0, *, offer: bool = True) -> int:
        """A new batch of one reading; its number."""
        self._last_ms += 1000
        self.given["lab/a1/host/power", self._last_ms] = watts
        body = encode_samples([Sample("host", "power", watts)])
        batch = self.spool.add(self._last_ms, body, 1, now_ms())
        assert batch is not None
        if offer:
            self.publisher.offer(batch)
        return batch.seq

    async def connected(self) -> None:
        """Wait for the connection."""
        await eventually(lambda: self.publisher.stats.connected, within=10, what="connected")

    async def empty(self, within: float = 10) -> None:
        """Wait until everything is answered."""
        await eventually(
            lambda: self.spool.spooled.batches == 0, within=within, what="every batch answered"
        )


@contextlib.asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[Bench]:
    """The publisher at work meanwhile."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bench.publisher.run())
        try:
            yield bench
        finally:
            task.cancel()
            await asyncio.wait([task])
            bench.spool.close()


async def test_every_batch_is_answered_and_deleted(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """What is stored leaves the spool, new batches and leftovers alike, each sent once."""
    bench = Bench(tmp_path / "spool", mosquitto.port)
    leftovers = [bench.take(float(i), offer=False) for i in range(4)]
    async with answering(mosquitto.port) as collector, running(bench):
        await bench.connected()
        live = [bench.take(float(10 + i)) for i in range(20)]
        await bench.empty()
        assert set(collector.batches) == {*leftovers, *live}
        assert set(collector.batches.values()) == {1}
        assert collector.stored == bench.given
        assert {pack.boot for pack in collector.packs} == {BOOT}
        assert bench.spool.total(Outcome.STORED) == Count(24, 24)


async def test_a_broker_that_acknowledges_frees_nothing(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """Without a collector the broker takes every batch, and every batch stays."""
    bench = Bench(tmp_path / "spool", mosquitto.port)
    async with running(bench):
        await bench.connected()
        for _ in range(5):
            bench.take()
        await eventually(
            lambda: bench.publisher.stats.published.total() == 5, within=10, what="published"
        )
        assert bench.spool.spooled == Count(5, 5)


async def test_a_batch_without_an_answer_goes_again(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """What the collector forgets comes again after the resend period, and ends stored once."""
    bench = Bench(tmp_path / "spool", mosquitto.port, resend_after_s=1.0)
    async with answering(mosquitto.port) as collector, running(bench):
        await bench.connected()
        collector.verdict = lambda _: "" if len(collector.packs) <= 3 else None
        for _ in range(3):
            bench.take()
        await bench.empty(within=20)
        assert collector.stored == bench.given
        assert set(collector.batches.values()) == {1}


async def test_no_batch_goes_again_whose_answer_has_come(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """Answers may lie unread for longer than the resend period; they are read before it ends."""
    bench = Bench(tmp_path / "spool", mosquitto.port, resend_after_s=1.5)
    async with answering(mosquitto.port) as collector, running(bench):
        await bench.connected()
        seq = bench.take()
        await bench.empty()
        assert collector.batches == {seq: 1}


async def test_refused_batches_are_deleted_and_counted(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """A refusal ends a batch under its reason, and never as stored."""
    bench = Bench(tmp_path / "spool", mosquitto.port)
    async with answering(mosquitto.port, verdict=lambda _: "too_old"), running(bench):
        await bench.connected()
        bench.take()
        await bench.empty()
    assert bench.spool.account[Outcome.REFUSED, "too_old"] == Count(1, 1)
    assert bench.spool.total(Outcome.STORED) == Count(0, 0)


@pytest.mark.parametrize(
    ("payload", "verdict"),
    [
        (b"", "bad"),
        (b"{", "bad"),
        (b'{"boot":1}', "bad"),
        (b'{"boot":"boot1","stored":[[1]]}', "bad"),
        (encode(Answer(boot=BOOT, stored=[(1, 10**15)])), "bad"),
        (encode(Answer(boot=BOOT, stored=[(0, 1)])), "bad"),
        (encode(Answer(boot=BOOT, stored=[(1, 1), (3, 2)])), "bad"),
        (encode(Answer(boot=BOOT, refused=[(77, "limits")])), "bad"),
        (encode(Answer(boot="another", stored=[(1, 1)])), "foreign"),
    ],
)
async def test_answers_that_cannot_be_ours_change_nothing(
    mosquitto: Mosquitto, tmp_path: Path, payload: bytes, verdict: str
) -> None:
    """Bad answers and those for another boot are counted and free no batch."""
    bench = Bench(tmp_path / "spool", mosquitto.port)
    async with running(bench):
        await bench.connected()
        bench.take()
        async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
            await client.publish(ADDRESS.topic(Channel.ACK), payload, qos=1)
        await eventually(
            lambda: bench.publisher.stats.answers[verdict] == 1, within=10, what="counted"
        )
        assert bench.spool.spooled == Count(1, 1)
        assert bench.publisher.stats.connected


async def test_an_answer_frees_only_what_was_sent_under_this_boot(tmp_path: Path) -> None:
    """Leftovers that no connection of this process has sent stay, whatever an answer names."""
    bench = Bench(tmp_path / "spool", 1)
    for _ in range(3):
        bench.take(offer=False)
    bench.publisher._sent.add(2)
    for answer in (
        Answer(BOOT, [(1, 3)]),
        Answer(BOOT, [(3, 3)]),
        Answer(BOOT, [], [(1, "limits")]),
    ):
        bench.publisher._take_answer(encode(answer))
    assert bench.publisher.stats.answers == {"bad": 3}
    assert bench.spool.spooled == Count(3, 3)
    bench.publisher._take_answer(encode(Answer(BOOT, [(2, 2)])))
    assert bench.spool.spooled == Count(2, 2)
    bench.spool.close()


async def test_bfrom_is_the_oldest_that_is_not_settled(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """``bfrom`` never passes an unanswered batch, nor a tick that is still being read."""
    bench = Bench(tmp_path / "spool", mosquitto.port)
    async with answering(mosquitto.port) as collector, running(bench):
        await bench.connected()
        collector.verdict = lambda pack: "" if pack.seq == 1 else None
        for _ in range(3):
            bench.take()
        await eventually(lambda: len(collector.packs) == 3, within=10, what="three packs")
        first = collector.packs[0].time_ms
        assert [pack.oldest_ms for pack in collector.packs] == [first] * 3
        bench.open_tick_ms = first - 5000
        bench.take()
        await eventually(lambda: len(collector.packs) == 4, within=10, what="the fourth pack")
        assert collector.packs[3].oldest_ms == first - 5000


async def test_birth_and_state_are_retained(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """Who comes later finds the description and the life sign; a change is told at once."""
    bench = Bench(tmp_path / "spool", mosquitto.port)
    async with running(bench):
        await bench.connected()
        async with answering(mosquitto.port) as late:
            await eventually(lambda: bool(late.births and late.states), within=10, what="retained")
            assert late.births[-1].resources == RESOURCES
            assert late.births[-1].boot == late.states[-1].boot == BOOT
            assert late.states[-1].online
            assert abs(late.states[-1].sent_at - now_ms() / 1000) < 30
            bench.resources.append(ResourceDescription("psu:1", {"power": Method.GAUGE}))
            bench.publisher.announce()
            await eventually(
                lambda: len(late.births[-1].resources) == 2, within=10, what="described anew"
            )


async def test_a_birth_too_large_is_cut_to_the_limits(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """A gateway with more resources than the protocol allows still has a valid description."""
    bench = Bench(tmp_path / "spool", mosquitto.port)
    bench.resources = [
        ResourceDescription(f"guest:{i}", {"power": Method.GAUGE}, name=secrets.token_hex(50))
        for i in range(12_000)
    ]
    async with answering(mosquitto.port) as collector, running(bench):
        await eventually(lambda: bool(collector.births), within=10, what="birth")
        assert 1000 < len(collector.births[-1].resources) <= MAX_BIRTH_RESOURCES


async def test_an_orderly_end_says_offline(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """The last retained state is offline, said by the agent itself."""
    bench = Bench(tmp_path / "spool", mosquitto.port)
    async with answering(mosquitto.port) as collector:
        async with running(bench):
            await bench.connected()
        await eventually(
            lambda: bool(collector.states) and not collector.states[-1].online,
            within=10,
            what="offline",
        )


async def test_the_broker_may_die_in_the_middle(
    mosquitto: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Kill -9 the broker twice under way: in the end every batch is answered, none twice."""
    bench = Bench(tmp_path / "spool", mosquitto.port, resend_after_s=3.0)
    with caplog.at_level(logging.INFO):
        async with answering(mosquitto.port) as collector, running(bench):
            await bench.connected()
            for _ in range(2):
                for _ in range(15):
                    bench.take()
                await mosquitto.kill()
                await eventually(
                    lambda: not bench.publisher.stats.connected, within=10, what="loss noticed"
                )
                for _ in range(5):
                    bench.take()
                await mosquitto.restart()
                await bench.connected()
            await bench.empty(within=40)
            assert collector.stored == bench.given
            assert collector.changed == []
            assert bench.spool.total(Outcome.STORED) == Count(40, 40)
            assert bench.spool.total(Outcome.DROPPED) == Count(0, 0)
    said = [r.getMessage() for r in caplog.records if r.getMessage().startswith("broker ")]
    assert said == ["broker lost", "broker recovered"] * 2
    assert not [r for r in caplog.records if "pending" in r.getMessage()]


async def test_a_broker_away_at_start_is_waited_for(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """The agent measures on and delivers when the broker comes."""
    await mosquitto.kill()
    bench = Bench(tmp_path / "spool", mosquitto.port)
    async with running(bench):
        await eventually(
            lambda: bench.publisher.stats.failures["network"] > 0, within=10, what="refused"
        )
        bench.take()
        await mosquitto.restart()
        async with answering(mosquitto.port):
            await bench.empty(within=20)


async def test_a_password_that_is_not_taken_is_a_named_failure(tmp_path: Path) -> None:
    """The broker's refusal is counted as such and tried again later."""
    broker = Mosquitto(tmp_path / "mosquitto", settings={"allow_anonymous": "false"})
    async with broker:
        bench = Bench(tmp_path / "spool", broker.port)
        async with running(bench):
            await eventually(
                lambda: bench.publisher.stats.failures["not_authorised"] > 0,
                within=10,
                what="refused",
            )
            assert not bench.publisher.stats.connected


async def test_the_last_will_says_offline_when_the_agent_is_killed(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """A connection that ends without goodbye leaves an offline state behind."""
    bench = Bench(tmp_path / "spool", mosquitto.port)
    async with answering(mosquitto.port) as collector, running(bench):
        await bench.connected()
        await eventually(lambda: bool(collector.states), within=10, what="online")
        async with aiomqtt.Client(
            "127.0.0.1", mosquitto.port, identifier=f"jauge-agent:{ADDRESS.site}:{ADDRESS.agent}"
        ):
            await eventually(
                lambda: any(not state.online for state in collector.states),
                within=10,
                what="the will",
            )


def test_documents_are_what_the_wire_says(tmp_path: Path) -> None:
    """Birth and state of the agent decode by the models' own decoders."""

    async def documents() -> tuple[bytes, bytes]:
        bench = Bench(tmp_path / "spool", 1)
        try:
            return bench.publisher._announcements.birth(), bench.publisher._announcements.state(
                online=True
            )
        finally:
            bench.spool.close()

    birth, state = asyncio.run(documents())
    assert decode_birth(birth).sources == [SourceDescription("s", 1.0)]
    assert decode_state(state).spooled == 0
    assert json.loads(state)["synchronised"] in (True, False, None)


async def test_a_cancellation_that_a_library_swallows_still_ends_the_publisher(
    mosquitto: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end asked for in the very moment of a loss, as task groups of Python 3.11 lose it."""
    bench = Bench(tmp_path / "spool", mosquitto.port)

    async def swallow(*_: object) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise aiomqtt.MqttError("lost at the same moment") from None

    monkeypatch.setattr(bench.publisher, "_session", swallow)
    task = asyncio.create_task(bench.publisher.run())
    await asyncio.sleep(0)
    await eventually(lambda: task.get_stack() != [], within=5, what="running")
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=20)
    assert done
    assert task.cancelled()
    bench.spool.close()


async def test_the_publisher_ends_whenever_it_is_asked_to(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """Cancelled at any step of a connection, between any two turns of the loop, it ends."""
    bench = Bench(tmp_path / "spool", mosquitto.port)
    for turns in range(60):
        task = asyncio.create_task(bench.publisher.run())
        for _ in range(turns):
            await asyncio.sleep(0)
        if turns % 2:
            await eventually(lambda: bool(bench.publisher._client), within=10, what="a session")
            bench.take()
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=20)
        assert done, f"cancelled after {turns} turns it goes on"
        assert task.cancelled()
    bench.spool.close()
