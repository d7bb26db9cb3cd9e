"""What is read from BMCs that somebody else recorded, over HTTPS with sessions."""

from pathlib import Path

import pytest
from jauge_agent.sources.redfish.source import RedfishSettings, RedfishSource
from jauge_models.quantities import CATALOGUE
from jauge_models.readings import flaw_of

from tests.agent.redfish.conftest import Serving, Settings

pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra redfish)")

from tests.agent.redfish.server import dell, tree

SYSTEM = "38947555-7742-3448-3784-823347823834"


async def values_of(settings: RedfishSettings) -> dict[str, float]:
    """One reading of a source, by ``resource/quantity``; every value passes the catalogue."""
    source = RedfishSource(settings)
    try:
        await source.open()
        outcome = await source.read()
    finally:
        await source.close()
    for resource, quantity, value in outcome.samples:
        assert flaw_of(resource, quantity, CATALOGUE[quantity].unit, value) is None
    return {f"{s.resource}/{s.quantity}": s.value for s in outcome.samples}


async def test_two_power_controls_are_one_server(
    serve: Serving, settings: Settings, shared_data: Path
) -> None:
    """Kepler's mockup: the member of the system is the whole; the chassis' share is in it."""
    bmc = await serve(tree(shared_data / "redfish/kepler_mockups/public-rackmount"))
    values = await values_of(settings(bmc))
    powers = {key: value for key, value in values.items() if key.startswith("host:")}
    assert powers == {
        f"host:{SYSTEM}/power": 344,
        "host:437XR1138R3/power": 450,
        "host:437XR1138R4/power": 750,
    }
    assert values[f"psu:{SYSTEM}.PS1/power"] == 268
    assert values[f"psu_output:{SYSTEM}.PS1/power"] == 245
    assert values[f"psu:{SYSTEM}.PS2/power"] == 25
    # A redundant supply that stands by gives nothing: that zero is true.
    assert values[f"psu_output:{SYSTEM}.PS2/power"] == 0
    assert values[f"sensor:{SYSTEM}.intake/temperature"] == 25
    assert bmc.opened == bmc.ended == 1


async def test_the_standards_own_mockup(
    serve: Serving, settings: Settings, shared_data: Path
) -> None:
    """DMTF's rack mount server: the newer documents stand before the deprecated ones."""
    bmc = await serve(tree(shared_data / "redfish/dmtf_public-rackmount1"))
    values = await values_of(settings(bmc))
    assert values == {
        f"host:{SYSTEM}/power": 374,
        f"host:{SYSTEM}/energy": 325675 * 3.6e6,
        f"psu:{SYSTEM}.Bay1/power": 937.4,
        f"psu:{SYSTEM}.Bay1/voltage": 230.2,
        f"psu:{SYSTEM}.Bay1/current": 5.19,
        f"psu:{SYSTEM}.Bay1/frequency": 60,
        f"psu:{SYSTEM}.Bay1/energy": 325675 * 3.6e6,
        f"psu_output:{SYSTEM}.Bay1/power": 937.4,
        f"sensor:{SYSTEM}.intake/temperature": 24.8,
        f"sensor:{SYSTEM}.ambient/temperature": 22.5,
        f"sensor:{SYSTEM}.exhaust/temperature": 40.5,
        f"sensor:{SYSTEM}.fan.Chassis-Fan--1/fan_speed": pytest.approx(1900 / 60),
        f"sensor:{SYSTEM}.fan.Chassis-Fan--2/fan_speed": pytest.approx(2100 / 60),
    }


@pytest.mark.parametrize("expands", ["yes", "no", "refused"])
async def test_collections_are_expanded_only_where_the_bmc_can(
    expands: str, serve: Serving, settings: Settings, shared_data: Path
) -> None:
    """A BMC that expands is asked less; one that says so and does not gives the same values."""
    bmc = await serve(tree(shared_data / "redfish/dmtf_public-rackmount1"))
    bmc.expands = expands
    values = await values_of(settings(bmc))
    assert len(values) == 13
    sensors = [path for _, path in bmc.asked if "/Sensors/" in path]
    assert bool(sensors) == (expands != "yes")


async def test_an_idrac_answer(serve: Serving, settings: Settings, shared_data: Path) -> None:
    """The recorded iDRAC 9: 429 W; the name plate's 900 W in PowerInputWatts is no value."""
    bmc = await serve(dell(shared_data / "redfish/telegraf_dell"))
    values = await values_of(settings(bmc))
    powers = {key: value for key, value in values.items() if key.endswith("/power")}
    (host,) = (key.removesuffix("/power") for key in powers if key.startswith("host:"))
    ident = host.removeprefix("host:")
    assert powers == {f"{host}/power": 429, f"psu_output:{ident}.PSU.Slot.1/power": 203}
    assert values[f"psu:{ident}.PSU.Slot.1/voltage"] == 206
    assert values[f"sensor:{ident}.fan.System-Board-Fan1A/fan_speed"] == 17760 / 60


async def test_one_broken_document_costs_only_its_own_values(
    serve: Serving, settings: Settings, shared_data: Path
) -> None:
    """The same iDRAC with the Thermal document as it was once recorded: not JSON."""
    folder = shared_data / "redfish/telegraf_dell"
    documents = dell(folder)
    thermal = "/redfish/v1/Chassis/System.Embedded.1/Thermal"
    documents[thermal] = (folder / "dell_thermalinvalid.json").read_bytes()
    values = await values_of(settings(await serve(documents)))
    assert 429 in values.values()
    assert not any(key.startswith("sensor:") for key in values)
