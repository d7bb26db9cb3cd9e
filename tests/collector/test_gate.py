"""Whom the running collector lets in, what it says of the others, and that nobody has to wait."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import aiomqtt
import pytest
from jauge_collector.service import Service
from jauge_models.resources import Series
from jauge_models.wire import Address, Birth, Channel, Sample, State

from tests.collector.packs import ADDRESS, pack
from tests.collector.running import SITE, WireAgent, collecting, configured
from tests.parts import Mosquitto, eventually

pytestmark = pytest.mark.end_to_end

EVIL = Address("s", "evil")


def now_ms() -> int:
    """Wall clock."""
    return time.time_ns() // 1_000_000


def ticks(address: Address, seqs: Iterable[int], start_ms: int) -> list[bytes]:
    """Packs a second apart."""
    return [
        pack(
            [Sample("host", "power", 100 + seq / 8)],
            address=address,
            seq=seq,
            time_ms=start_ms + 1000 * seq,
            oldest_ms=start_ms,
        )
        for seq in seqs
    ]


def count_of(service: Service, name: str, **labels: str) -> float:
    """A metric of the collector, 0 where it never counted."""
    return service.state.telemetry.registry.get_sample_value(f"jauge_collector_{name}", labels) or 0


async def stored(service: Service, address: Address, start_ms: int) -> int:
    """Readings that the store holds of an agent's host."""
    series = Series(*address, "host", "power")
    kept = await service.state.store.read([series], start_ms, now_ms() + 1000)
    return len(kept.get(series, ()))


def limited(folder: Path, port: int, limits: str = "", site: str = "") -> Path:
    """A configuration with these limits, whose site has more in its first section."""
    path = configured(folder, mqtt_port=port)
    path.write_text(path.read_text() + f"[limits]\n{limits}\n")
    (folder / "site.toml").write_text(SITE.replace('name = "s"', f'name = "s"\n{site}', 1))
    return path


@pytest.fixture
async def listed(tmp_path: Path, mosquitto: Mosquitto) -> AsyncIterator[Service]:
    """A collector of a site that lists its agents."""
    path = limited(tmp_path, mosquitto.port, site='agents = ["a", "srv-*"]')
    async with collecting(path) as running:
        yield running


async def test_an_agent_that_is_not_listed_is_dropped_counted_and_named_once(
    listed: Service, mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither stored nor answered nor known; listed ones beside it are."""
    start_ms = now_ms() - 600_000
    with caplog.at_level(logging.WARNING):
        async with (
            WireAgent(mosquitto.port, EVIL) as evil,
            WireAgent(mosquitto.port, Address("s", "srv-1")) as good,
        ):
            await evil.describe(Birth("b1", "1", time.time()))
            await evil.describe(State("b1", online=True, sent_at=time.time()))
            await evil.send(ticks(EVIL, range(1, 11), start_ms))
            await good.send(ticks(good.address, range(1, 11), start_ms))
            await good.answered(range(1, 11))
            await eventually(
                lambda: listed.state.faults.by_reason["unknown_agent"].count == 10,
                within=10,
                what="counted",
            )
            assert not evil.answers
    assert await stored(listed, EVIL, start_ms) == 0
    assert await stored(listed, good.address, start_ms) == 10
    assert [a.address.agent for a in listed.state.inventory.of_site("s")] == ["srv-1"]
    assert count_of(listed, "packs_unanswered_total", reason="unknown_agent") == 10
    assert count_of(listed, "documents_refused_total", reason="unknown_agent") == 2
    assert (
        listed.state.faults.by_reason["unknown_agent"].example.topic == "jauge/v1/s/evil/readings"
    )
    assert [r.getMessage() for r in caplog.records if "evil" in r.getMessage()] == [
        "jauge/v1/s/evil is dropped: 'evil' is not among site.agents"
    ]


async def test_a_site_without_a_list_takes_any_agent_and_says_so(
    tmp_path: Path, mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    """One line at the start names the key."""
    with caplog.at_level(logging.INFO):
        async with (
            collecting(limited(tmp_path, mosquitto.port)),
            WireAgent(mosquitto.port, EVIL) as agent,
        ):
            await agent.send(ticks(EVIL, [1], now_ms() - 60_000))
            await agent.answered([1])
    said = [r.getMessage() for r in caplog.records if "site s takes any agent" in r.getMessage()]
    assert len(said) == 1
    assert "agents = [...]" in said[0]


async def test_packs_of_another_sender_are_refused_and_their_topic_named_once(
    listed: Service, mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    """However often it tries."""
    start_ms = now_ms() - 600_000
    with caplog.at_level(logging.WARNING):
        async with WireAgent(mosquitto.port) as agent:
            await agent.send(ticks(Address("s", "srv-2"), range(1, 21), start_ms))
            await eventually(lambda: len(agent.refused) == 20, within=10, what="refused")
    assert set(agent.refused.values()) == {"address"}
    assert await stored(listed, Address("s", "srv-2"), start_ms) == 0
    named = [r.getMessage() for r in caplog.records if "another sender's packs" in r.getMessage()]
    assert len(named) == 1
    assert named[0].startswith("jauge/v1/s/a/readings carries another sender's packs")
    assert "srv-2" in named[0]


async def test_a_flood_starves_nobody(
    tmp_path: Path, mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    """Beside two hostile agents, one malformed and one prolific, all honest packs are answered.

    What is dropped of them is counted, and each is named once; they come back once they behave.
    """
    limits = "messages_per_s = 20\nreadings_per_s = 20\nmalformed_per_s = 1\nburst_s = 5"
    start_ms = now_ms() - 3_600_000
    honest = [Address("s", f"honest{n}") for n in range(3)]
    prolific = Address("s", "prolific")
    with caplog.at_level(logging.WARNING):
        async with (
            collecting(limited(tmp_path, mosquitto.port, limits)) as service,
            WireAgent(mosquitto.port, EVIL) as evil,
            WireAgent(mosquitto.port, prolific) as other,
            WireAgent(mosquitto.port, honest[0]) as one,
            WireAgent(mosquitto.port, honest[1]) as two,
            WireAgent(mosquitto.port, honest[2]) as three,
        ):

            async def flood() -> None:
                for n in range(2000):
                    await evil.send([b"\xff not json"])
                    await other.send(ticks(prolific, [n + 1], start_ms))

            async def tell(agent: WireAgent) -> None:
                for seq in range(1, 21):
                    await agent.send(ticks(agent.address, [seq], start_ms))
                    await agent.answered([seq], within=30)

            async with asyncio.TaskGroup() as group:
                for task in (flood(), tell(one), tell(two), tell(three)):
                    group.create_task(task)
            for address in honest:
                assert await stored(service, address, start_ms) == 20

            async def back() -> bool:
                await evil.send(ticks(EVIL, [7], start_ms))
                return 7 in evil.stored

            await eventually(back, within=30, what="one that behaves again is heard")
            looked_at = service.state.faults.by_reason["undecodable"].count
            assert looked_at < 1000
            dropped = {
                reason: count_of(service, "messages_dropped_total", reason=reason)
                for reason in ("malformed", "messages", "readings")
            }
            assert dropped["malformed"] > 500
            assert dropped["messages"] + dropped["readings"] > 500
            assert sum(dropped.values()) + looked_at >= 4000 - len(other.stored)
            assert len(other.stored) < 1500
    named = [r.getMessage() for r in caplog.records if "more than its limit" in r.getMessage()]
    assert sorted(text.split(":")[0] for text in named) == [
        "jauge/v1/s/evil",
        "jauge/v1/s/prolific",
    ]


async def test_invented_names_grow_nothing(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Sites, agents, boots and resources that nobody has: what is kept stays bounded.

    The agent that was there before goes on.
    """
    limits = "agents = 10\nseries = 50\nresources = 40"
    start_ms = now_ms() - 600_000
    async with (
        collecting(limited(tmp_path, mosquitto.port, limits)) as service,
        WireAgent(mosquitto.port) as agent,
    ):
        await agent.send(ticks(ADDRESS, [1], start_ms))
        await agent.answered([1])
        async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
            for n in range(300):
                for site in ("s", f"x{n}"):
                    address = Address(site, f"forged{n}")
                    readings = pack(
                        [Sample(f"sensor:{n}-{m}", "power", 1.0) for m in range(10)],
                        address=address,
                        boot=f"b{n}",
                        time_ms=start_ms,
                    )
                    birth = json.dumps(
                        {
                            "boot": f"b{n}",
                            "version": "1",
                            "sent_at": 1.0,
                            "resources": [{"id": f"sensor:{n}-{m}"} for m in range(10)],
                        }
                    )
                    await client.publish(address.topic(Channel.BIRTH), birth, qos=1)
                    await client.publish(address.topic(Channel.READINGS), readings, qos=1)
        await agent.send(ticks(ADDRESS, [2], start_ms))
        await agent.answered([2])
        for queue in ("agents", "senders", "series", "resources", "documents_bytes"):
            size = count_of(service, "queue_size", queue=queue)
            assert 0 < size <= count_of(service, "queue_limit", queue=queue), queue
        assert count_of(service, "queue_size", queue="agents") == 10
        assert count_of(service, "packs_unanswered_total", reason="agents") > 0
        assert count_of(service, "readings_refused_total", reason="series_in_all") > 0
        assert count_of(service, "documents_not_kept_total") > 0
        assert service.state.inventory.get(ADDRESS) is not None
        assert len(service._ingest._births._fingerprints) <= 10
