"""Polls of one BMC over HTTPS: zeros, parts that come and go, documents that are lost."""

import pytest
from jauge_agent.source import AbsentError, Outcome, RetryError

from tests.agent.redfish import machines
from tests.agent.redfish.conftest import Serving, Settings
from tests.agent.redfish.machines import CHASSIS, SYSTEM, control

pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra redfish)")

from aiohttp import web

from tests.agent.redfish.test_sessions import opened, small, watts

POWER = f"{CHASSIS}/Power"
OTHER = "5f0a7c7e-4a0b-4c4e-9d7f-0d3c2b1a0f99"


def supply(name: str, watts: object, state: str = "Enabled") -> dict[str, object]:
    """A member of PowerSupplies."""
    return {"MemberId": name, "PowerInputWatts": watts, "Status": {"State": state}}


def of(outcome: Outcome) -> dict[str, float]:
    """Values of power by resource."""
    return {s.resource: s.value for s in outcome.samples if s.quantity == "power"}


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


@pytest.mark.parametrize("session", ["the same", "a new one"])
async def test_another_machine_at_the_address_is_noticed_before_anything_is_published(
    session: str, serve: Serving, settings: Settings
) -> None:
    """A server is exchanged between two polls: its values never stand under the old one's name."""
    documents = small()
    server = await serve(documents)
    async with opened(settings(server)) as bmc:
        assert of(await bmc.read()) == {machines.HOST: 412}
        documents[SYSTEM]["UUID"] = OTHER
        documents[POWER]["PowerControl"] = [control(90, SYSTEM)]
        if session == "a new one":
            server.sessions.clear()
        outcome = await bmc.read()
        assert of(outcome) == {f"host:{OTHER}": 90}
        assert [each.id for each in outcome.resources or ()] == [f"host:{OTHER}"]
        assert (await bmc.read()).resources is None


async def test_a_machine_exchanged_in_the_middle_of_a_poll_is_noticed(
    serve: Serving, settings: Settings
) -> None:
    """The identity was read, then the session ends, and the power is another machine's."""
    documents = small()
    server = await serve(documents)

    async def exchange(request: web.Request) -> web.StreamResponse:
        del server.special[POWER]
        server.sessions.clear()
        documents[SYSTEM]["UUID"] = OTHER
        return web.Response(status=401)

    async with opened(settings(server)) as bmc:
        server.special[POWER] = exchange
        assert of(await bmc.read()) == {f"host:{OTHER}": 412}


async def test_a_serial_number_tells_another_machine_where_no_uuid_does(
    serve: Serving, settings: Settings
) -> None:
    """No UUID was ever written: the chassis' serial number is the identity, and is watched."""
    documents = small()
    documents[SYSTEM]["UUID"] = "fefefefe-fefe-fefe-fefe-fefefefefefe"
    server = await serve(documents)
    async with opened(settings(server)) as bmc:
        assert of(await bmc.read()) == {"host:EX1": 412}
        documents[CHASSIS]["SerialNumber"] = "EX2"
        assert of(await bmc.read()) == {"host:EX2": 412}


async def test_a_machine_that_does_not_tell_its_identity_gives_nothing(
    serve: Serving, settings: Settings
) -> None:
    """The system's document is lost for a while: nothing under a name that may be wrong."""
    documents = small()
    server = await serve(documents)
    async with opened(settings(server)) as bmc:
        system = server.documents.pop(SYSTEM)
        with pytest.raises(RetryError, match="does not tell now which machine"):
            await bmc.read()
        server.documents[SYSTEM] = system
        assert await watts(bmc) == 412


@pytest.mark.parametrize("state", ["Absent", "Disabled", "UnavailableOffline"])
async def test_a_supply_that_comes_to_work_is_added_at_once(
    state: str, serve: Serving, settings: Settings
) -> None:
    """Dead when the BMC was looked at: half of the power would pass for the whole."""
    documents = machines.server(PowerSupplies=[supply("1", 400), supply("2", 0, state)])
    server = await serve(documents)
    async with opened(settings(server)) as bmc:
        assert of(await bmc.read())[machines.HOST] == 400
        documents[POWER]["PowerSupplies"] = [supply("1", 200), supply("2", 210)]
        outcome = await bmc.read()
        assert of(outcome)[machines.HOST] == 410
        assert outcome.resources is not None
        assert any(each.id.endswith(".2") for each in outcome.resources)


@pytest.mark.parametrize(
    "left",
    [
        [supply("1", 400), supply("2", None, "Absent")],
        [supply("1", 400), supply("2", 0, "Absent")],
        [supply("1", 400)],
    ],
    ids=["absent", "absent with a zero", "gone"],
)
async def test_a_supply_that_is_pulled_leaves_the_sum_of_the_others(
    left: list[dict[str, object]], serve: Serving, settings: Settings
) -> None:
    """At the next poll, not hours later."""
    documents = machines.server(PowerSupplies=[supply("1", 200), supply("2", 200)])
    server = await serve(documents)
    async with opened(settings(server)) as bmc:
        assert of(await bmc.read())[machines.HOST] == 400
        documents[POWER]["PowerSupplies"] = left
        assert of(await bmc.read())[machines.HOST] == 400


async def test_a_supply_just_put_in_that_is_silent_yet_costs_no_hours(
    serve: Serving, settings: Settings
) -> None:
    """Its power is null for a minute: nothing for that minute, the sum after it."""
    documents = machines.server(PowerSupplies=[supply("1", 400)])
    server = await serve(documents)
    async with opened(settings(server)) as bmc:
        documents[POWER]["PowerSupplies"] = [supply("1", 400), supply("2", None)]
        assert machines.HOST not in of(await bmc.read())
        documents[POWER]["PowerSupplies"] = [supply("1", 200), supply("2", 200)]
        assert of(await bmc.read())[machines.HOST] == 400


@pytest.mark.parametrize("expands", ["yes", "no"])
async def test_supplies_with_documents_of_their_own_are_watched(
    expands: str, serve: Serving, settings: Settings
) -> None:
    """The newer schema: the state stands beside the metrics, in a document of its own."""
    documents = machines.server()
    subsystem = f"{CHASSIS}/PowerSubsystem"
    supplies = f"{subsystem}/PowerSupplies"
    documents["/redfish/v1"]["ProtocolFeaturesSupported"] = {"ExpandQuery": {"Levels": True}}
    documents[CHASSIS]["PowerSubsystem"] = machines.to(subsystem)
    documents[subsystem] = {"PowerSupplies": machines.to(supplies)}
    documents[supplies] = machines.listed(f"{supplies}/1", f"{supplies}/2")
    for name, state in (("1", "Enabled"), ("2", "Absent")):
        path = f"{supplies}/{name}"
        documents[path] = machines.to(path) | {
            "Id": name,
            "Status": {"State": state},
            "Metrics": machines.to(f"{path}/Metrics"),
        }
        documents[f"{path}/Metrics"] = {"InputPowerWatts": {"Reading": 200}}
    server = await serve(documents)
    server.expands = expands
    async with opened(settings(server)) as bmc:
        assert of(await bmc.read())[machines.HOST] == 200
        asked = len(server.asked)
        assert of(await bmc.read())[machines.HOST] == 200
        assert len(server.asked) - asked <= 5
        documents[f"{supplies}/2"]["Status"]["State"] = "Enabled"
        assert of(await bmc.read())[machines.HOST] == 400
        documents[f"{supplies}/1"]["Status"]["State"] = "Absent"
        assert of(await bmc.read())[machines.HOST] == 200
        documents[supplies] = machines.listed(f"{supplies}/2")
        assert of(await bmc.read())[machines.HOST] == 200
