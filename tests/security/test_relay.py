"""A relay hands on what the agents listed for it say, and can speak for no other."""

from pathlib import Path

from tests.parts import eventually
from tests.security.client import Client
from tests.security.ground import LOOPBACK, WITHIN_S, Authority, Identity, ShippedBroker

LISTED = "par/pdu-1"
SILENT = "par/pdu-2"
OTHER = "par/other"
COLLECTOR = "collector"


async def test_a_relay_speaks_for_the_listed_agents_and_for_no_other(
    tmp_path: Path, authority: Authority, identities: dict[str, Identity], real_mosquitto: None
) -> None:
    """Readings go out and answers come back through it; with its key nobody can do more."""
    folder = Path(authority.run("relay", "par/bms", "pdu-1", "pdu-2").strip())
    bridge = (
        (folder / "bridge.conf").read_text("utf-8").replace("/etc/mosquitto/relay", str(folder))
    )
    rights = (folder / "access.acl").read_text("utf-8")
    for name in ("central", "zone"):
        (tmp_path / name).mkdir()
    central = ShippedBroker(tmp_path / "central", authority, rights=lambda text: text + rights)
    async with central, Client(central.port, identities[COLLECTOR]) as collector:
        await collector.subscribe("jauge/v1/+/+/readings", "jauge/v1/+/+/birth")
        bridge = bridge.replace("BROKER:8883", f"{LOOPBACK}:{central.port}")
        zone = ShippedBroker(tmp_path / "zone", authority, settings=lambda text: text + bridge)
        async with (
            zone,
            Client(zone.port, authority.agent(LISTED)) as listed,
            Client(zone.port, authority.agent(OTHER)) as other,
        ):
            await listed.subscribe(f"jauge/v1/{LISTED}/ack")

            async def answered() -> bool:
                await collector.publish(f"jauge/v1/{LISTED}/ack", b"stored")
                return listed.has(b"stored")

            await eventually(answered, within=WITHIN_S, what="an answer through the relay")
            await other.publish(f"jauge/v1/{OTHER}/readings", b"not for the relay")
            await listed.publish(f"jauge/v1/{LISTED}/birth", b"born")
            await listed.publish(f"jauge/v1/{LISTED}/readings", b"read")
            await collector.saw(b"read")
            assert collector.has(b"born")
            assert await other.is_there()
        async with Client(central.port, Identity(folder)) as relay:
            await relay.publish(f"jauge/v1/{SILENT}/readings", b"of the second")
            await collector.saw(b"of the second")
            await relay.publish(f"jauge/v1/{OTHER}/readings", b"forged")
            await relay.is_thrown_out()
        async with Client(central.port, Identity(folder)) as relay:
            await relay.publish("jauge/v1/lyon/pdu-1/readings", b"forged")
            await relay.is_thrown_out()
        async with Client(central.port, Identity(folder)) as relay:
            await relay.publish(f"jauge/v1/{LISTED}/ack", b"forged")
            await relay.is_thrown_out()
        await collector.publish("jauge/heartbeat/x", b"beat")
        assert {topic for topic, _ in collector.received} == {
            f"jauge/v1/{LISTED}/birth",
            f"jauge/v1/{LISTED}/readings",
            f"jauge/v1/{SILENT}/readings",
        }
