"""Families of which no walk is at hand: an agent that answers as their makers' documents say."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from jauge_agent.sources.snmp.profile import profiles

from tests.agent.snmp.agents import SYS_OBJECT_ID, Snmpsim, record
from tests.agent.snmp.test_walks import read, values
from tests.parts import PartMissingError

EPDU = "1.3.6.1.4.1.534.6.6.7"
SENTRY3 = "1.3.6.1.4.1.1718.3.2"
SENTRY4 = "1.3.6.1.4.1.1718.4.1"
LIEBERT = "1.3.6.1.4.1.476.1.42.3.8"
RITTAL = "1.3.6.1.4.1.2606.7"
ENTITY = "1.3.6.1.2.1.99.1.1.1"
POWERNET = "1.3.6.1.4.1.318.1.1"
KWH = 3_600_000


def variable(index: str, name: str, unit: str, factor: int, value: int) -> dict[str, int | str]:
    """A row of Rittal's table."""
    row = f"{RITTAL}.4.2.2.1"
    return {
        f"{row}.3.{index}": name,
        f"{row}.5.{index}": unit,
        f"{row}.7.{index}": factor,
        f"{row}.11.{index}": value,
    }


def sensor(
    row: int, kind: int, magnitude: int, digits: int, value: int, *, status: int = 1
) -> dict[str, int | str]:
    """A row of RFC 3433's table."""
    cells = (kind, magnitude, digits, value, status)
    return {f"{ENTITY}.{column}.{row}": cell for column, cell in enumerate(cells, start=1)}


DEVICES: dict[str, dict[str, int | str]] = {
    "eaton-epdu": {
        SYS_OBJECT_ID: f"oid:{EPDU}",
        f"{EPDU}.1.2.1.2.0": "ePDU MA",
        f"{EPDU}.1.2.1.4.0": "G000000001",
        f"{EPDU}.1.2.1.9.0": 1,
        f"{EPDU}.3.1.1.3.0.1": 500,
        f"{EPDU}.3.1.1.10.0.1": "Feed A",
        f"{EPDU}.3.2.1.3.0.1.1": 230_130,
        f"{EPDU}.3.3.1.4.0.1.1": 6106,
        f"{EPDU}.3.4.1.2.0.1.1": 1,
        f"{EPDU}.3.4.1.2.0.1.2": 4,
        f"{EPDU}.3.4.1.3.0.1.1": 1405,
        f"{EPDU}.3.4.1.3.0.1.2": 1405,
        f"{EPDU}.3.4.1.4.0.1.2": 1391,
        f"{EPDU}.3.4.1.4.0.1.1": 1391,
        f"{EPDU}.3.4.1.5.0.1.1": 19_891_138,
        f"{EPDU}.3.5.1.3.0.1": 1405,
        f"{EPDU}.3.5.1.4.0.1": 1391,
        f"{EPDU}.3.5.1.5.0.1": 9_787_062,
        f"{EPDU}.3.5.1.7.0.1": 990,
        f"{EPDU}.6.1.1.3.0.1": "Outlet A1",
        f"{EPDU}.6.4.1.3.0.1": 445,
        f"{EPDU}.6.5.1.3.0.1": 101,
        f"{EPDU}.6.5.1.4.0.1": 1_178_507,
        f"{EPDU}.7.1.1.3.0.1": 1,
        f"{EPDU}.7.1.1.3.0.2": 0,
        f"{EPDU}.7.1.1.4.0.1": 719,
        f"{EPDU}.7.1.1.4.0.2": -4595,
        f"{EPDU}.7.2.1.3.0.1": 1,
        f"{EPDU}.7.2.1.4.0.1": 480,
    },
    "servertech-sentry3": {
        SYS_OBJECT_ID: "oid:1.3.6.1.4.1.1718.3",
        f"{SENTRY3}.1.1.6.1": "ABEF0000001",
        **{
            f"{SENTRY3}.2.1.{column}.1.1": value
            for column, value in (
                (7, 512),
                (11, 2302),
                (12, 1120),
                (13, 1178),
                (14, 95),
                (16, 43_210),
            )
        },
        **{
            f"{SENTRY3}.2.1.{column}.1.2": value
            for column, value in (
                (7, 0),
                (11, -1),
                (12, 0),
                (13, -1),
                (14, -1),
                (16, 10),
            )
        },
        **{
            f"{SENTRY3}.3.1.{column}.1.1.1": value
            for column, value in (
                (7, 44),
                (13, 2301),
                (14, 97),
                (18, 5512),
            )
        },
        f"{SENTRY3}.5.1.6.1.1": 725,
        f"{SENTRY3}.5.1.10.1.1": 41,
        f"{SENTRY3}.5.1.13.1.1": 1,
        f"{SENTRY3}.5.1.6.1.2": 221,
        f"{SENTRY3}.5.1.10.1.2": -1,
        f"{SENTRY3}.5.1.13.1.2": 0,
    },
    "servertech-sentry4": {
        SYS_OBJECT_ID: "oid:1.3.6.1.4.1.1718.4",
        f"{SENTRY4}.2.2.1.4.1": "ABCD0000001",
        **{
            f"{SENTRY4}.3.3.1.{column}.1.1": value
            for column, value in (
                (3, 888),
                (5, 961),
                (8, 92),
                (10, 55_123),
                (11, 500),
            )
        },
        **{
            f"{SENTRY4}.3.3.1.{column}.2.1": value
            for column, value in (
                (3, 919),
                (5, 992),
                (8, 93),
                (10, 54_877),
                (11, 500),
            )
        },
        **{
            f"{SENTRY4}.5.3.1.{column}.1.1.1": value
            for column, value in (
                (3, 2301),
                (6, 417),
                (8, 888),
                (9, 961),
                (10, 92),
            )
        },
        **{
            f"{SENTRY4}.8.3.1.{column}.1.1.7": value
            for column, value in (
                (3, 45),
                (6, 2301),
                (7, 98),
                (14, 123_456),
            )
        },
        f"{SENTRY4}.9.1.10.0": 0,
        f"{SENTRY4}.9.3.1.1.1.1": 234,
        f"{SENTRY4}.10.3.1.1.1.1": 38,
    },
    "vertiv-pdu": {
        SYS_OBJECT_ID: "oid:1.3.6.1.4.1.476.1.42",
        f"{LIEBERT}.20.1.45.1": "V00X0000001",
        f"{LIEBERT}.30.20.1.15.1.1": "1-1",
        f"{LIEBERT}.30.20.1.50.1.1": 46_790,
        f"{LIEBERT}.30.20.1.65.1.1": 4607,
        f"{LIEBERT}.30.20.1.90.1.1": 4900,
        **{
            f"{LIEBERT}.30.40.1.{column}.1.1.2": value
            for column, value in (
                (19, 2312),
                (22, 1012),
                (63, 2211),
            )
        },
        **{
            f"{LIEBERT}.50.20.1.{column}.1.1.4": value
            for column, value in (
                (56, 2311),
                (61, 96),
                (65, 207),
                (85, 881),
            )
        },
    },
    "rittal-cmc3": {
        SYS_OBJECT_ID: f"oid:{RITTAL}",
        f"{RITTAL}.2.6.0": "40000001",
        **variable("1.1", "Unit.Power.Active.DescName", "", 0, 0),
        **variable("1.2", "Unit.Power.Active.Value", "W", 1, 1637),
        **variable("1.3", "Unit.Energy.Active.Value", "kWh", -10, 45_678),
        **variable("1.4", "Phase L1.Voltage.Value", "V", -10, 2317),
        **variable("1.5", "Phase L1.Current.Value", "A", -100, 731),
        **variable("1.6", "Phase L1.Power.Active.Value", "W", 1, 1637),
        **variable("1.7", "Sockets.Socket 03.Power.Active.Value", "W", 1, 212),
        **variable("2.1", "Temperature.Value", "\u00b0C", -100, 2350),
        **variable("2.2", "Temperature.SetPtHighAlarm", "\u00b0C", -100, 4000),
        **variable("2.3", "Front.Temperature.Value", "\u00b0F", -100, 7400),
    },
    "entity-sensor": {
        SYS_OBJECT_ID: "oid:1.3.6.1.4.1.99999",
        "1.3.6.1.2.1.47.1.1.1.1.11.1": "FOC00000001",
        "1.3.6.1.2.1.47.1.1.1.1.7.1001": "Power supply 1",
        **sensor(1001, 6, 9, 1, 3125),
        **sensor(1002, 6, 8, 0, 125_500),
        **sensor(1003, 6, 10, 3, 2750),
        **sensor(1004, 8, 9, 0, 31),
        **sensor(1005, 8, 9, 0, 99, status=2),
        **sensor(1006, 10, 9, 0, 5400),
        **sensor(1007, 12, 9, 0, 1),
    },
    "apc-probe": {
        SYS_OBJECT_ID: "oid:1.3.6.1.4.1.318.1.3.27",
        f"{POWERNET}.1.1.2.3.0": "AS0000000001",
        f"{POWERNET}.25.1.2.1.3.1.1": "Cold aisle",
        f"{POWERNET}.25.1.2.1.6.1.1": 23,
        f"{POWERNET}.25.1.2.1.7.1.1": -1,
    },
}

HALF = {**DEVICES["servertech-sentry4"], f"{SENTRY4}.3.3.1.3.2.1": -1}
"""One of the two cords does not measure its power."""

EXPECTED: dict[str, dict[str, float]] = {
    "eaton-epdu": {
        "inlet:G000000001.0.1/power": 1391,
        "inlet:G000000001.0.1/apparent_power": 1405,
        "inlet:G000000001.0.1/power_factor": 0.99,
        "inlet:G000000001.0.1/frequency": 50,
        "inlet:G000000001.0.1/energy": 9787.062 * KWH,
        "pdu:G000000001/power": 1391,
        "phase:G000000001.0.1.1/voltage": 230.13,
        "phase:G000000001.0.1.1/current": 6.106,
        "phase:G000000001.0.1.1/power": 1391,
        "phase:G000000001.0.1.1/apparent_power": 1405,
        "phase:G000000001.0.1.1/energy": 19_891.138 * KWH,
        "outlet:G000000001.0.1/current": 0.445,
        "outlet:G000000001.0.1/power": 101,
        "outlet:G000000001.0.1/energy": 1178.507 * KWH,
        "sensor:G000000001.t0.1/temperature": 22.167,
        "sensor:G000000001.h0.1/humidity": 48,
    },
    "servertech-sentry3": {
        "phase:ABEF0000001.1.1/current": 5.12,
        "phase:ABEF0000001.1.1/voltage": 230.2,
        "phase:ABEF0000001.1.1/power": 1120,
        "phase:ABEF0000001.1.1/apparent_power": 1178,
        "phase:ABEF0000001.1.1/power_factor": 0.95,
        "phase:ABEF0000001.1.1/energy": 4321 * KWH,
        "phase:ABEF0000001.1.2/current": 0,
        "phase:ABEF0000001.1.2/power": 0,
        "phase:ABEF0000001.1.2/energy": 1 * KWH,
        "pdu:ABEF0000001/power": 1120,
        "outlet:ABEF0000001.1.1.1/current": 0.44,
        "outlet:ABEF0000001.1.1.1/voltage": 230.1,
        "outlet:ABEF0000001.1.1.1/power": 97,
        "outlet:ABEF0000001.1.1.1/energy": 5.512 * KWH,
        "sensor:ABEF0000001.1.1/temperature": 22.5,
        "sensor:ABEF0000001.1.1/humidity": 41,
        "sensor:ABEF0000001.1.2/temperature": 22.1,
    },
    "servertech-sentry4": {
        "inlet:ABCD0000001.1.1/power": 888,
        "inlet:ABCD0000001.1.1/apparent_power": 961,
        "inlet:ABCD0000001.1.1/power_factor": 0.92,
        "inlet:ABCD0000001.1.1/energy": 5512.3 * KWH,
        "inlet:ABCD0000001.1.1/frequency": 50,
        "inlet:ABCD0000001.2.1/power": 919,
        "inlet:ABCD0000001.2.1/apparent_power": 992,
        "inlet:ABCD0000001.2.1/power_factor": 0.93,
        "inlet:ABCD0000001.2.1/energy": 5487.7 * KWH,
        "inlet:ABCD0000001.2.1/frequency": 50,
        "pdu:ABCD0000001/power": 1807,
        "phase:ABCD0000001.1.1.1/voltage": 230.1,
        "phase:ABCD0000001.1.1.1/current": 4.17,
        "phase:ABCD0000001.1.1.1/power": 888,
        "phase:ABCD0000001.1.1.1/apparent_power": 961,
        "phase:ABCD0000001.1.1.1/power_factor": 0.92,
        "outlet:ABCD0000001.1.1.7/current": 0.45,
        "outlet:ABCD0000001.1.1.7/voltage": 230.1,
        "outlet:ABCD0000001.1.1.7/power": 98,
        "outlet:ABCD0000001.1.1.7/energy": 123.456 * KWH,
        "sensor:ABCD0000001.t1.1/temperature": 23.4,
        "sensor:ABCD0000001.h1.1/humidity": 38,
    },
    "vertiv-pdu": {
        "inlet:V00X0000001.1.1/power": 4607,
        "inlet:V00X0000001.1.1/energy": 4679 * KWH,
        "inlet:V00X0000001.1.1/apparent_power": 4900,
        "pdu:V00X0000001/power": 4607,
        "phase:V00X0000001.1.1.2/voltage": 231.2,
        "phase:V00X0000001.1.1.2/current": 10.12,
        "phase:V00X0000001.1.1.2/power": 2211,
        "outlet:V00X0000001.1.1.4/voltage": 231.1,
        "outlet:V00X0000001.1.1.4/current": 0.96,
        "outlet:V00X0000001.1.1.4/power": 207,
        "outlet:V00X0000001.1.1.4/energy": 88.1 * KWH,
    },
    "rittal-cmc3": {
        "pdu:40000001.1/power": 1637,
        "pdu:40000001.1/energy": 4567.8 * KWH,
        "phase:40000001.1.1/voltage": 231.7,
        "phase:40000001.1.1/current": 7.31,
        "phase:40000001.1.1/power": 1637,
        "outlet:40000001.1.03/power": 212,
        "sensor:40000001.2.1/temperature": 23.5,
    },
    "entity-sensor": {
        "sensor:FOC00000001.1001/power": 312.5,
        "sensor:FOC00000001.1002/power": 125.5,
        "sensor:FOC00000001.1003/power": 2750,
        "sensor:FOC00000001.1004/temperature": 31,
        "sensor:FOC00000001.1006/fan_speed": 90,
    },
    "apc-probe": {"sensor:AS0000000001.1.1/temperature": 23},
}


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The UDP port on which each family answers under its name as community."""
    pytest.importorskip("gufo.snmp", reason="gufo-snmp is not installed (jauge-agent[snmp])")
    records = {family: record(objects) for family, objects in DEVICES.items()}
    records["half"] = record(HALF)
    try:
        part = Snmpsim(tmp_path_factory.mktemp("families"), records)
    except PartMissingError as missing:
        pytest.skip(str(missing))
    with asyncio.Runner() as runner:
        runner.run(part.start())
        try:
            yield part.port
        finally:
            runner.run(part.stop())


@pytest.mark.parametrize("family", DEVICES)
async def test_values_are_those_of_the_documents(
    documented: int, family: str, tmp_path: Path
) -> None:
    """Recognised, every value with its scale and unit, and not one more."""
    resources, outcome = await read(documented, family, tmp_path)
    assert {each.labels["family"] for each in resources} == {family}
    assert values(outcome) == {
        key: pytest.approx(value, rel=1e-3) for key, value in EXPECTED[family].items()
    }


async def test_half_a_pdu_is_no_total(documented: int, tmp_path: Path) -> None:
    """A cord without a power leaves the whole without one; each energy stands for itself."""
    resources, outcome = await read(documented, "half", tmp_path)
    assert not [each for each in resources if each.id.startswith("pdu:")]
    assert values(outcome)["inlet:ABCD0000001.1.1/power"] == 888
    assert values(outcome)["inlet:ABCD0000001.2.1/energy"] == pytest.approx(5487.7 * KWH)


async def test_the_first_generation_of_apc_gives_amperes_only(
    recorded: int, tmp_path: Path
) -> None:
    """Its branch, as a newer device still fills it: one phase, two banks, and no watt."""
    _, outcome = await read(recorded, "apc-7902b", tmp_path, profile="apc-rpdu")
    assert values(outcome) == {
        "phase:5A1551F39430.1/current": pytest.approx(1.6),
        "circuit:5A1551F39430.1/current": 0,
        "circuit:5A1551F39430.2/current": pytest.approx(1.1),
    }


def test_every_beta_profile_has_been_tried() -> None:
    """Here, or against snmpd."""
    beta = {profile.family for profile in profiles() if profile.stability == "beta"}
    assert beta == {*DEVICES, "raritan-px2", "apc-rpdu"}
