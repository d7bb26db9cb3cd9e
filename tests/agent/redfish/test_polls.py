"""Polls of one BMC over HTTPS: zeros, parts that come and go, documents that are lost."""

import pytest
from jauge_agent.source import AbsentError, RetryError

from tests.agent.redfish import machines
from tests.agent.redfish.conftest import Serving, Settings
from tests.agent.redfish.machines import CHASSIS, SYSTEM, control

pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra redfish)")

from tests.agent.redfish.test_sessions import opened


@pytest.mark.parametrize(
    ("state", "power", "failed"),
    [("On", None, {"zero": 1}), ("Off", 0, {}), (None, None, {"zero": 1})],
)
async def test_no_power_at_all_is_believed_only_of_a_system_that_is_off(
    state: str | None,
    power: float | None,
    failed: dict[str, int],
    serve: Serving,
    settings: Settings,
) -> None:
    """0 W of a running server is counted, not given."""
    documents = machines.server(
        PowerControl=[control(0, SYSTEM)],
        PowerSupplies=[{"MemberId": "1", "LineInputVoltage": 230}],
    )
    documents[SYSTEM]["PowerState"] = state
    server = await serve(documents)
    async with opened(settings(server)) as bmc:
        outcome = await bmc.read()
    powers = [sample.value for sample in outcome.samples if sample.quantity == "power"]
    assert powers == ([] if power is None else [power])
    assert [s.value for s in outcome.samples if s.quantity == "voltage"] == [230]
    assert outcome.failed == failed


async def test_a_standby_supply_may_give_nothing_while_the_server_runs(
    serve: Serving, settings: Settings
) -> None:
    """0 W into one of two supplies is true where the server draws from the other."""
    supplies = [{"MemberId": str(n), "PowerInputWatts": watts} for n, watts in ((1, 0), (2, 300))]
    server = await serve(
        machines.server(PowerControl=[control(300, SYSTEM)], PowerSupplies=supplies)
    )
    async with opened(settings(server)) as bmc:
        outcome = await bmc.read()
    assert sorted(s.value for s in outcome.samples) == [0, 300, 300]
    assert not outcome.failed


async def test_a_document_that_is_lost_costs_its_values_only(
    serve: Serving, settings: Settings
) -> None:
    """The Thermal document goes away: the power still comes; when all is gone, nothing does."""
    documents = machines.server(PowerControl=[control(300, SYSTEM)])
    thermal = f"{CHASSIS}/Thermal"
    documents[CHASSIS]["Thermal"] = machines.to(thermal)
    documents[thermal] = {"Temperatures": [{"PhysicalContext": "Intake", "ReadingCelsius": 24}]}
    server = await serve(documents)
    async with opened(settings(server)) as bmc:
        assert len((await bmc.read()).samples) == 2
        server.documents[thermal] = b"{ not JSON"
        outcome = await bmc.read()
        assert [sample.value for sample in outcome.samples] == [300]
        assert outcome.failed == {"json": 1, "document": 1}
        del server.documents[thermal], server.documents[f"{CHASSIS}/Power"]
        with pytest.raises(RetryError):
            await bmc.read()


async def test_a_bmc_that_shows_nothing_is_said_to_be_unsuitable(
    serve: Serving, settings: Settings
) -> None:
    """It answers, but no document has a power, an energy or an air temperature."""
    server = await serve(machines.server())
    with pytest.raises(AbsentError, match="shows no power"):
        async with opened(settings(server)):
            pass
    assert server.opened == server.ended == 1


async def test_a_new_supply_is_found_when_the_bmc_is_looked_at_again(
    serve: Serving, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some hours the resources are described anew; not before."""
    monkeypatch.setattr("jauge_agent.sources.redfish.source.REVIEW_S", 0.0)
    documents = machines.server(PowerControl=[control(300, SYSTEM)])
    server = await serve(documents)
    async with opened(settings(server)) as bmc:
        assert (await bmc.read()).resources is None
        documents[f"{CHASSIS}/Power"]["PowerSupplies"] = [{"MemberId": "2", "PowerInputWatts": 9}]
        outcome = await bmc.read()
        assert outcome.resources is not None
        assert any(each.id.startswith("psu:") for each in outcome.resources)
        assert len(outcome.samples) == 2
