"""Broker, store and collector die: each pages once, and nothing behind it is a ticket."""

from tests import parts
from tests.end_to_end.alerting import Ground, quietly

SILENT = ("JaugeAgentSilent", "JaugeSourceSilent", "JaugeSensorSilent")
MUTE = "Le signe de vie des règles manque."


async def calm(ground: Ground) -> None:
    """Wait until nothing of the way is amiss any more, and a while longer."""

    async def still() -> bool:
        names = ("JaugeDeliveryInterrupted", *SILENT)
        return not any([await ground.firing(name) for name in names])

    await parts.eventually(still, within=60, what="nothing fires any more")
    await quietly(ground, 5)


async def alive(ground: Ground) -> None:
    """Wait until the console has the rules' sign of life."""

    async def told() -> bool:
        return MUTE not in await ground.page()

    await parts.eventually(told, within=60, what="the sign of life is there")


async def all_silent(ground: Ground) -> None:
    """Wait until the rules call everybody silent, though nobody is told."""

    async def silent() -> bool:
        return all([await ground.firing(name) for name in SILENT])

    await parts.eventually(silent, within=60, what="the rules fire, and nobody is told")


async def test_a_dead_broker_pages_once_and_no_agent_behind_it_is_a_ticket(
    ground: Ground,
) -> None:
    """Though all are silent for long enough; nor are they when it is back."""
    await ground.broker.kill()
    told = await ground.until("JaugeBrokerDown", "firing")
    assert told.receiver == "pager"
    assert told.alerts[0]["annotations"]["summary"] == "Le courtier ne répond pas"
    await all_silent(ground)
    await ground.broker.start()
    await ground.until("JaugeBrokerDown", "resolved")
    await calm(ground)
    assert ground.count() == {("pager", "JaugeBrokerDown"): 1}
    assert ground.count("resolved") == {("pager", "JaugeBrokerDown"): 1}


async def test_a_dead_collector_pages_once_and_no_agent_behind_it_is_a_ticket(
    ground: Ground,
) -> None:
    """Neither broker nor store is called dead for it; resolved once it runs again."""
    await ground.collector.kill()
    told = await ground.until("JaugeCollectorDown", "firing")
    assert told.receiver == "pager"
    assert told.alerts[0]["annotations"]["summary"] == "Le collecteur ne répond pas"
    assert told.alerts[0]["annotations"]["place"] == "collecteur"

    async def silent() -> bool:
        # Sensors are known by the collector's own page: without it none is missed.
        return all([await ground.firing(name) for name in SILENT[:2]])

    await parts.eventually(silent, within=60, what="the rules fire, and nobody is told")
    await ground.collector.start()
    await ground.until("JaugeCollectorDown", "resolved")
    await calm(ground)
    assert ground.count() == {("pager", "JaugeCollectorDown"): 1}
    assert ground.count("resolved") == {("pager", "JaugeCollectorDown"): 1}


async def test_a_dead_store_pages_once_by_who_watches_it_and_the_rules_are_called_mute(
    watched: Ground,
) -> None:
    """The vmalert on the dead store says nothing at all: a second one does, with the same words."""
    await alive(watched)
    await watched.store.kill()
    told = await watched.until("JaugeStoreDown", "firing")
    assert told.receiver == "pager"
    assert [len(one.alerts) for one in watched.messages("JaugeStoreDown", "firing")] == [1]
    assert told.alerts[0]["annotations"]["summary"] == "La base de mesures ne prend plus rien"

    async def mute() -> bool:
        return MUTE in await watched.page()

    await parts.eventually(mute, within=60, what="the console misses the sign of life")
    page = await watched.page()
    assert "La base de mesures ne prend plus rien" in page
    assert "Aucune alerte" not in page
    await watched.store.start()
    await watched.until("JaugeStoreDown", "resolved")
    await alive(watched)
    await calm(watched)
    assert watched.count() == {("pager", "JaugeStoreDown"): 1}
    assert watched.count("resolved") == {("pager", "JaugeStoreDown"): 1}
