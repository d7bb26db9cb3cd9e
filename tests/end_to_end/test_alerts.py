"""From a sensor to a telephone: each cause once, with the right words, and resolved when mended."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from jauge_collector.cli import main

from tests import parts
from tests.end_to_end.alerting import GATEWAY, Ground, quietly


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
    await quietly(ground, 6)
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
    runbook = hot[0]["annotations"]["runbook_url"]
    assert runbook == f"http://127.0.0.1:{ground.console}/runbooks/fr/JaugeRoomHot"
    assert "Trois premières vérifications" in await ground.page("/runbooks/fr/JaugeRoomHot")
    page = await ground.page()
    assert page.count('class="sheet alert bad"') == 2
    assert "Salle hall de s trop chaude" in page
    assert 'href="/runbooks/fr/JaugeRoomHot' in page
    assert 'href="/s/agent/h1' in page
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


async def test_a_declared_maintenance_keeps_silent_and_what_remains_is_told_after_it(
    ground: Ground,
) -> None:
    """The rule fires meanwhile; the message waits until somebody ends the event early."""
    now = datetime.now(UTC)
    window = [f"{now + timedelta(minutes=shift):%Y-%m-%dT%H:%M:%S}" for shift in (-1, 120)]
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

    async def held_back() -> bool:
        page = await ground.page()
        return page.count("Retenue par un événement planifié (maintenance), jusqu’au") == 2

    await parts.eventually(held_back, within=30, what="the console says by what they are held back")
    assert await ground.firing("JaugeEventActive")
    assert ground.told == []
    assert ground.mails == []
    assert "Terminer maintenant" in await ground.page("/s/events")
    ended = await ground.send("/s/events", "/s/events/end")
    assert "L’événement est terminé." in ended
    await ground.until("JaugeRoomHot", "firing", within=90)
    await ground.until("JaugeAgentSilent", "firing")

    async def over() -> bool:
        return not await ground.firing("JaugeEventActive")

    await parts.eventually(over, within=20, what="the event has ended")
