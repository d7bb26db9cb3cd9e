"""Which reading is the whole server's, by documents written by hand; no network."""

import asyncio
from typing import Any

import pytest
from jauge_agent.sources.redfish.inventory import Plan, take_inventory
from jauge_agent.sources.redfish.values import Document, take
from jauge_agent.sources.redfish.walking import Walk, same

from tests.agent.redfish import machines
from tests.agent.redfish.machines import CHASSIS, HOST, SYSTEM, UUID, control, server, to


def plan_of(documents: machines.Documents, rules: dict[str, str] | None = None) -> Plan:
    """What a look around finds."""
    by_path = {same(path): document for path, document in documents.items()}

    async def fetch(path: str) -> Document | None:
        return by_path.get(same(path))

    return asyncio.run(take_inventory(Walk(fetch), "bmc-1", rules))


def read(documents: machines.Documents) -> tuple[dict[str, float], dict[str, str]]:
    """Values, and why others are missing, by ``resource/quantity``."""
    by_path = {same(path): document for path, document in documents.items()}
    plan = plan_of(documents)
    asked = {path: by_path[same(path)] for path in plan.documents if same(path) in by_path}
    taken = take(plan.picks, asked)
    return (
        {f"{pick.resource}/{pick.quantity}": value for pick, value in taken.values},
        {f"{pick.resource}/{pick.quantity}": str(why) for pick, why in taken.missing},
    )


def supply(name: str, watts: object, **more: object) -> dict[str, Any]:
    """A member of PowerSupplies."""
    return {"MemberId": name, "Name": f"PSU {name}", "PowerInputWatts": watts, **more}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        pytest.param([control(300, SYSTEM)], 300, id="one"),
        pytest.param([control(300)], 300, id="one, related to nothing"),
        pytest.param([control(300, CHASSIS)], 300, id="one, of the chassis"),
        pytest.param([control(300, CHASSIS, SYSTEM), control(40, CHASSIS)], 300, id="two"),
        pytest.param([control(40, CHASSIS), control(300, CHASSIS, SYSTEM)], 300, id="two, turned"),
        pytest.param(
            [
                control(300, CHASSIS, Name="Server Power Control", MemberId="0"),
                control(120, Name="CPU Sub-system Power", MemberId="1"),
                control(30, Name="Memory Sub-system Power", MemberId="2"),
            ],
            300,
            id="the parts by name",
        ),
        pytest.param(
            [control(300, CHASSIS), control(120, f"{SYSTEM}/Processors/1")],
            300,
            id="the parts by their relation",
        ),
        pytest.param(
            [control(300), control(90, PhysicalContext="CPU")], 300, id="the parts by context"
        ),
        pytest.param([control(300, SYSTEM), control(250, SYSTEM)], None, id="two wholes"),
        pytest.param([control(300), control(250)], None, id="nothing tells them apart"),
        pytest.param([control("300", SYSTEM)], 300, id="a number as text"),
        pytest.param([control(None, SYSTEM)], None, id="null"),
        pytest.param([control(-1, SYSTEM)], None, id="a sentinel"),
        pytest.param([control(65535, SYSTEM)], None, id="all ones"),
        pytest.param([control(True, SYSTEM)], None, id="no number"),
        pytest.param([control("N/A", SYSTEM)], None, id="a word"),
        pytest.param([], None, id="none"),
    ],
)
def test_members_of_power_control(members: list[Any], expected: float | None) -> None:
    """The whole server exactly once, or nothing; never a sum, never a zero for a null."""
    values, _ = read(server(PowerControl=members))
    assert values.get(f"{HOST}/power") == expected


def test_null_is_said_and_becomes_a_value_when_it_is_one() -> None:
    """A member that is null while the server starts is the place to look at from then on."""
    documents = server(PowerControl=[control(None, SYSTEM)])
    plan = plan_of(documents)
    assert {pick.resource for pick in plan.picks} == {HOST}
    (path,) = plan.documents
    assert [str(why) for _, why in take(plan.picks, documents).missing] == ["null"]
    documents[path]["PowerControl"][0]["PowerConsumedWatts"] = 250
    assert [value for _, value in take(plan.picks, documents).values] == [250]


def test_a_rule_stays_in_force_when_the_bmc_is_looked_at_again() -> None:
    """A series does not change what it measures because the better reading was null before."""
    documents = server(PowerControl=[control(300, SYSTEM)])
    metrics = f"{CHASSIS}/EnvironmentMetrics"
    documents[CHASSIS]["EnvironmentMetrics"] = to(metrics)
    documents[metrics] = {"PowerWatts": {"Reading": None}}
    first = plan_of(documents)
    assert first.rules == {HOST: "control"}
    documents[metrics] = {"PowerWatts": {"Reading": 320}}
    assert plan_of(documents, dict(first.rules)).rules == {HOST: "control"}
    assert plan_of(documents).rules == {HOST: "environment"}


def test_the_newest_document_comes_first() -> None:
    """EnvironmentMetrics before Power; both are the whole server, and it counts once."""
    documents = server(PowerControl=[control(300, SYSTEM)])
    documents[CHASSIS]["EnvironmentMetrics"] = to(f"{CHASSIS}/EnvironmentMetrics")
    documents[f"{CHASSIS}/EnvironmentMetrics"] = {
        "PowerWatts": {"Reading": 320},
        "EnergykWh": {"Reading": 1.5},
    }
    values, missing = read(documents)
    assert values == {f"{HOST}/power": 320, f"{HOST}/energy": 5.4e6}
    assert not missing


def test_without_a_whole_the_supplies_are_added() -> None:
    """Only when every supply at work tells what goes in."""
    values, _ = read(server(PowerSupplies=[supply("1", 160), supply("2", 150)]))
    assert values[f"{HOST}/power"] == 310
    absent = supply("2", 0, Status={"State": "Absent"})
    values, _ = read(server(PowerSupplies=[supply("1", 160), absent]))
    assert values == {f"{HOST}/power": 160, f"psu:{UUID}.1/power": 160}
    for silent in (None, "n/a", -1):
        values, _ = read(server(PowerSupplies=[supply("1", 160), supply("2", silent)]))
        assert f"{HOST}/power" not in values


def test_the_name_plates_power_is_no_measurement() -> None:
    """An input as large as the supply itself beside a small output."""
    rated = supply("1", 900, PowerCapacityWatts=750, PowerOutputWatts=203)
    values, missing = read(server(PowerSupplies=[rated]))
    assert values == {f"psu_output:{UUID}.1/power": 203}
    assert missing == {f"psu:{UUID}.1/power": "rated"}
    silent = supply("1", 900, PowerCapacityWatts=750)
    assert read(server(PowerSupplies=[silent])) == ({}, {f"psu:{UUID}.1/power": "rated"})
    full = supply("1", 800, PowerCapacityWatts=750, PowerOutputWatts=745)
    values, _ = read(server(PowerSupplies=[full]))
    assert values[f"{HOST}/power"] == 800


def test_a_server_of_two_fed_chassis_is_their_sum() -> None:
    """Each chassis has supplies of its own; the readings that claim the whole are set aside."""
    documents = server(
        PowerControl=[control(900, SYSTEM)], PowerSupplies=[supply("1", 400), supply("2", 50)]
    )
    other = "/redfish/v1/Chassis/2"
    documents["/redfish/v1/Chassis"] = machines.listed(CHASSIS, other)
    documents[other] = documents[CHASSIS] | {"Power": to(f"{other}/Power"), "SerialNumber": "EX2"}
    documents[f"{other}/Power"] = {
        "PowerControl": [control(900, SYSTEM)],
        "PowerSupplies": [supply("1", 300)],
    }
    values, _ = read(documents)
    assert values[f"{HOST}/power"] == 750
    assert [key for key in values if key.startswith("host:")] == [f"{HOST}/power"]
    # The same chassis under a second name is no second chassis.
    documents[other]["SerialNumber"] = "EX1"
    values, _ = read(documents)
    assert values[f"{HOST}/power"] == 900


def test_a_supply_that_two_chassis_show_is_one() -> None:
    """An enclosure whose two chassis show the same supplies: none is added twice."""
    supplies = [supply("1", 400, SerialNumber="S1"), supply("2", 50, SerialNumber="S2")]
    documents = server(PowerSupplies=supplies)
    other = "/redfish/v1/Chassis/2"
    documents["/redfish/v1/Chassis"] = machines.listed(CHASSIS, other)
    documents[other] = documents[CHASSIS] | {"Power": to(f"{other}/Power"), "SerialNumber": "EX2"}
    documents[f"{other}/Power"] = {"PowerSupplies": supplies}
    values, _ = read(documents)
    assert values == {
        f"{HOST}/power": 450,
        f"psu:{UUID}.1/power": 400,
        f"psu:{UUID}.2/power": 50,
    }


def test_supplies_without_a_serial_number_are_different_ones() -> None:
    """What a maker leaves in where no number was written makes no two supplies one."""
    documents = server(PowerSupplies=[supply("1", 400, SerialNumber="N/A")])
    other = "/redfish/v1/Chassis/2"
    documents["/redfish/v1/Chassis"] = machines.listed(CHASSIS, other)
    documents[other] = documents[CHASSIS] | {"Power": to(f"{other}/Power"), "SerialNumber": "EX2"}
    documents[f"{other}/Power"] = {"PowerSupplies": [supply("2", 50, SerialNumber="N/A")]}
    values, _ = read(documents)
    assert values[f"{HOST}/power"] == 450


def test_a_makers_own_total_is_read_where_the_standard_has_none() -> None:
    """Fujitsu's extension; a PowerControl beside it would come first."""
    total = {"ts_fujitsu": {"ChassisPowerConsumption": {"CurrentPowerConsumptionW": 150}}}
    values, _ = read(server(Oem=total))
    assert values == {f"{HOST}/power": 150}
    values, _ = read(server(Oem=total, PowerControl=[control(148, SYSTEM)]))
    assert values == {f"{HOST}/power": 148}


def test_chassis_inside_a_server_are_parts_of_it() -> None:
    """A drive cage and a GPU baseboard that calls itself a system add no host."""
    documents = server(PowerControl=[control(2000, SYSTEM)])
    cage, board = "/redfish/v1/Chassis/Cage", "/redfish/v1/Chassis/HGX"
    system = "/redfish/v1/Systems/HGX_Baseboard_0"
    documents["/redfish/v1/Chassis"] = machines.listed(cage, board, CHASSIS)
    documents["/redfish/v1/Systems"] = machines.listed(SYSTEM, system)
    documents[system] = {"Id": "HGX_Baseboard_0", "UUID": UUID.replace("01", "02")}
    documents[cage] = {"Links": {"ContainedBy": to(CHASSIS)}, "Power": to(f"{cage}/Power")}
    documents[f"{cage}/Power"] = {"PowerControl": [control(60)]}
    documents[board] = {
        "Links": {"ContainedBy": to(CHASSIS), "ComputerSystems": [to(system)]},
        "EnvironmentMetrics": to(f"{board}/EnvironmentMetrics"),
    }
    documents[f"{board}/EnvironmentMetrics"] = {"PowerWatts": {"Reading": 1500}}
    documents[CHASSIS]["Links"]["Contains"] = [to(cage), to(board)]
    values, _ = read(documents)
    assert {key: v for key, v in values.items() if key.endswith("/power")} == {
        f"{HOST}/power": 2000
    }


def test_an_enclosure_of_several_servers_is_no_host() -> None:
    """Its own power is that of a platform; a member that names one server alone is that one's."""
    second = "/redfish/v1/Systems/2"
    documents = server(
        PowerControl=[control(700, CHASSIS), control(310, SYSTEM), control(290, second)]
    )
    documents["/redfish/v1/Systems"] = machines.listed(SYSTEM, second)
    documents[second] = {"Id": "2", "UUID": "5f0a7c7e-4a0b-4c4e-9d7f-0d3c2b1a0f02"}
    documents[CHASSIS]["Links"]["ComputerSystems"].append(to(second))
    values, _ = read(documents)
    assert values == {
        "platform:EX1/power": 700,
        f"{HOST}/power": 310,
        "host:5f0a7c7e-4a0b-4c4e-9d7f-0d3c2b1a0f02/power": 290,
    }


@pytest.mark.parametrize(
    ("uuid", "serial", "expected"),
    [
        (UUID.upper(), "EX1", HOST),
        ("00000000-0000-0000-0000-000000000000", "EX1", "host:EX1"),
        ("FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "EX1", "host:EX1"),
        ("03000200-0400-0500-0006-000700080009", "EX1", "host:EX1"),
        ("FEFEFEFE-FEFE-FEFE-FEFE-FEFEFEFEFEFE", "EX1", "host:EX1"),
        (None, "To be filled by O.E.M.", "host:bmc-1"),
        (None, "0", "host:bmc-1"),
        (None, "System Serial Number", "host:bmc-1"),
        (None, "Not Specified", "host:bmc-1"),
        (None, "123456789", "host:bmc-1"),
        (None, "XXXXXXXXX", "host:bmc-1"),
        (None, None, "host:bmc-1"),
    ],
)
def test_identities(uuid: str | None, serial: str | None, expected: str) -> None:
    """The system's UUID, else a serial number, else the device's name; no maker's placeholder."""
    documents = server(PowerControl=[control(300, SYSTEM)])
    documents[SYSTEM]["UUID"] = uuid
    documents[CHASSIS]["SerialNumber"] = serial
    values, _ = read(documents)
    assert values == {f"{expected}/power": 300}


def test_places_are_found_again_when_a_list_changes() -> None:
    """A fan that is pulled out moves the others up: each keeps its own speed."""
    documents = server(PowerControl=[control(300, SYSTEM)])
    documents[CHASSIS]["Thermal"] = to(f"{CHASSIS}/Thermal")
    fans = [
        {"MemberId": str(n), "Name": f"Fan {n}", "Reading": 6000 + 60 * n, "ReadingUnits": "RPM"}
        for n in range(3)
    ]
    documents[f"{CHASSIS}/Thermal"] = {"Fans": fans}
    plan = plan_of(documents)
    del fans[0]
    taken = take(plan.picks, documents)
    speeds = {p.resource: value for p, value in taken.values if p.quantity == "fan_speed"}
    assert speeds == pytest.approx(
        {f"sensor:{UUID}.fan.Fan-1": 101, f"sensor:{UUID}.fan.Fan-2": 102}
    )
    assert [str(why) for _, why in taken.missing] == ["gone"]
