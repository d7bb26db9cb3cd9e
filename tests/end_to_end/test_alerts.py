"""From a sensor to a telephone: each cause once, with the right words, and resolved when mended."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from jauge_collector.cli import main

from tests import parts
from tests.end_to_end.alerting import GATEWAY, Ground, alerting


def _missing(reason: str) -> NoReturn:
    """Skip, but fail where CI promised to install it."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    """All parts, running; nothing is wrong yet."""
    try:
        made = alerting(tmp_path)
        ground = await made.__aenter__()
    except parts.PartMissingError as missing:
        _missing(str(missing))
    try:
        yield ground
    finally:
        await made.__aexit__(None, None, None)


async def _quietly(ground: Ground, seconds: float) -> None:
    """Let that much time pass on the clock of the rules: what would be said is said by then."""
    end = time.monotonic() + seconds
    await parts.eventually(lambda: time.monotonic() > end, within=seconds + 5, what="time")


def _mail(ground: Ground, subject: str) -> Any:
    (found,) = [one for one in ground.mails if subject in one["Subject"]]
    return found


async def test_a_hot_room_and_a_leak_page_once_a_dead_agent_and_a_dead_sensor_are_tickets(
    ground: Ground,
) -> None:
    """Each exactly once, in French, with value, limit, place, and resolved when mended."""
    ground.gateway.values |= {
        ("sensor:in-1", "temperature"): 36.0,
        ("sensor:in-2", "temperature"): 38.5,
    }
    del ground.gateway.values["sensor:in-3", "temperature"]
    ground.gateway.flow = 0.001
    ground.host.alive = False
    names = ("JaugeRoomHot", "JaugeWaterLeak", "JaugeAgentSilent", "JaugeSensorSilent")
    told = [await ground.until(name, "firing") for name in names]
    await _quietly(ground, 10)
    assert ground.count() == {
        ("pager", "JaugeRoomHot"): 1,
        ("pager", "JaugeWaterLeak"): 1,
        ("office", "JaugeAgentSilent"): 1,
        ("office", "JaugeSensorSilent"): 1,
    }
    hot, leak, agent, sensor = (one.alerts for one in told)
    assert [len(one.alerts) for one in told] == [1, 1, 1, 1]
    assert hot[0]["annotations"]["summary"] == "Salle hall de s trop chaude : 38,5 °C"
    assert hot[0]["annotations"]["limit"] == "35,0 °C"
    assert hot[0]["annotations"]["place"] == "site s, salle hall"
    assert hot[0]["annotations"]["runbook_url"].endswith("/fr/JaugeRoomHot.md")
    assert leak[0]["labels"]["resource"] == "meter:makeup"
    assert agent[0]["labels"]["agent"] == "h1"
    assert sensor[0]["labels"]["resource"] == "sensor:in-3"
    assert sensor[0]["labels"]["severity"] == "ticket"

    message = _mail(ground, "[ALERTE] Salle hall")
    text = message.get_body(("plain",)).get_content()
    for line in (
        "Lieu\u00a0: site s, salle hall",
        "Valeur\u00a0: 38,5 °C",
        "Limite\u00a0: 35,0 °C",
        "D’abord\u00a0: Regardez les groupes froids",
        "var-site=s&var-room=hall",
    ):
        assert line in text
    assert "Depuis\u00a0: " in text
    assert "38,5 °C" in message.get_body(("html",)).get_content()
    assert {str(one["To"]) for one in ground.mails} == {"on-call@example.org"}

    ground.gateway.values = ground.gateway.values | {
        key: value for key, value in GATEWAY.items() if key[0].startswith("sensor:in")
    }
    ground.gateway.flow = 0.0
    ground.host.alive = True
    for name in names:
        await ground.until(name, "resolved")
    assert _mail(ground, "[RÉSOLU] Salle hall")
    assert set(ground.count("resolved").values()) == {1}
    assert set(ground.count().values()) == {1}, "nothing was said twice on the way"


async def test_a_dead_broker_pages_once_and_no_agent_behind_it_is_a_ticket(
    ground: Ground,
) -> None:
    """Though all are silent for long enough; nor are they when it is back."""
    await ground.broker.kill()
    told = await ground.until("JaugeBrokerDown", "firing")
    assert told.receiver == "pager"
    assert told.alerts[0]["annotations"]["summary"] == "Le courtier ne répond pas"
    silent = ("JaugeAgentSilent", "JaugeSourceSilent", "JaugeSensorSilent")

    async def held_back() -> bool:
        return all([await ground.firing(name) for name in silent])

    await parts.eventually(held_back, within=60, what="the rules fire, and nobody is told")
    await ground.broker.start()
    await ground.until("JaugeBrokerDown", "resolved")

    async def calm() -> bool:
        return not (
            await ground.firing("JaugeDeliveryInterrupted")
            or await ground.firing("JaugeAgentSilent")
        )

    await parts.eventually(calm, within=60, what="nothing fires any more")
    await _quietly(ground, 5)
    assert ground.count() == {("pager", "JaugeBrokerDown"): 1}
    assert ground.count("resolved") == {("pager", "JaugeBrokerDown"): 1}


async def test_a_declared_maintenance_keeps_silent_and_what_remains_is_told_after_it(
    ground: Ground,
) -> None:
    """The rule fires meanwhile; the message waits for the end of the window."""
    now = datetime.now(UTC)
    window = [
        f"{(now + timedelta(seconds=shift)).replace(microsecond=0):%Y-%m-%dT%H:%M:%S}"
        for shift in (-60, 50)
    ]
    arguments = ["event", "add", "--site", "s", "--kind", "maintenance", "--reason", "a test"]
    arguments += ["--from", window[0], "--to", window[1]]
    config = str(ground.folder / "collector.toml")
    assert await asyncio.to_thread(main, [*arguments, "--config", config]) == 0

    async def muted() -> bool:
        return await ground.firing("JaugeEventActive")

    await parts.eventually(muted, within=40, what="the event is known")
    ground.gateway.values |= {
        ("sensor:in-1", "temperature"): 36.0,
        ("sensor:in-2", "temperature"): 38.5,
    }
    ground.host.alive = False

    async def hot() -> bool:
        return await ground.firing("JaugeRoomHot") and await ground.firing("JaugeAgentSilent")

    await parts.eventually(hot, within=60, what="the rules fire")
    assert await ground.firing("JaugeEventActive")
    assert ground.told == []
    assert ground.mails == []
    await ground.until("JaugeRoomHot", "firing", within=90)
    await ground.until("JaugeAgentSilent", "firing")

    async def ended() -> bool:
        return not await ground.firing("JaugeEventActive")

    await parts.eventually(ended, within=20, what="the event has ended")
