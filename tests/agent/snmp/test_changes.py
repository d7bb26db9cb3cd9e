"""What changes between two surveys: members, states, units, identities. No value is wrong."""

import asyncio
import logging
from pathlib import Path

import pytest
from jauge_agent.source import Outcome
from jauge_agent.sources.snmp import session as wire
from jauge_agent.sources.snmp.device import RESURVEY_S, SURVEY_S, ListedDevice
from jauge_agent.sources.snmp.profile import SYS_OBJECT_ID, Point, profiles
from jauge_agent.sources.snmp.session import Value
from jauge_agent.sources.snmp.settings import SnmpDeviceSettings, SnmpSettings
from jauge_agent.sources.snmp.source import SnmpSource
from jauge_agent.testing import run_virtual
from jauge_models.configuration import ConfigurationError, parse
from jauge_models.quantities import CATALOGUE, Kind

from tests.agent.snmp.responder import Device, listening
from tests.agent.snmp.test_device import RPDU2, Memory, device, ids

SENTRY4 = "1.3.6.1.4.1.1718.4.1"
ENTITY = "1.3.6.1.2.1.99.1.1.1"
GEIST = "1.3.6.1.4.1.21239.5.1"
RITTAL = "1.3.6.1.4.1.2606.7"


def holding(objects: dict[str, Value]) -> Memory:
    """A device with these objects and no other."""
    memory = Memory()
    memory.objects = objects
    return memory


def cord(unit: int, watts: int, tenths_kwh: int) -> dict[str, Value]:
    """The cord of one unit of a chain."""
    return {f"{SENTRY4}.3.3.1.3.{unit}.1": watts, f"{SENTRY4}.3.3.1.10.{unit}.1": tenths_kwh}


def chain(*units: dict[str, Value]) -> dict[str, Value]:
    """A chain of Sentry4 units."""
    found: dict[str, Value] = {SYS_OBJECT_ID: "1.3.6.1.4.1.1718.4", f"{SENTRY4}.2.2.1.4.1": b"S4A7"}
    for unit in units:
        found |= unit
    return found


def sensor(kind: int, magnitude: int, digits: int, value: int, status: int) -> dict[str, Value]:
    """A device with one row of RFC 3433's table."""
    cells = (kind, magnitude, digits, value, status)
    return {
        SYS_OBJECT_ID: "1.3.6.1.4.1.9.1.1",
        "1.3.6.1.2.1.47.1.1.1.1.11.1": b"FOX17",
        **{f"{ENTITY}.{column}.7": cell for column, cell in enumerate(cells, start=1)},
    }


def given(outcome: Outcome) -> dict[str, float]:
    """Values by series."""
    return {f"{each.resource}/{each.quantity}": each.value for each in outcome.samples}


ONE = cord(1, 1000, 500_000)
TWO = cord(2, 2000, 900_000)


def test_no_register_is_a_sum() -> None:
    """It would count what a unit metered before it joined; a profile that says so is refused."""
    sums = [
        point.quantity
        for profile in profiles()
        for each in profile.resources
        for point in each.points
        if point.sum
    ]
    assert sums
    assert not [name for name in sums if CATALOGUE[name].kind is Kind.COUNTER]
    with pytest.raises(ConfigurationError, match="energy is a register"):
        parse('sum = ["1.3.6.1.4"]\nquantity = "energy"', Point, file="x.toml")


def test_a_unit_that_joins_brings_its_own_register() -> None:
    """The first unit's goes on as it was, and the power is that of both."""
    memory = holding(chain(ONE))

    async def story() -> list[dict[str, float]]:
        one = device(memory)
        await one.open()
        found = [given(await one.read())]
        memory.objects = chain(ONE, TWO)
        await asyncio.sleep(SURVEY_S)
        await one.read()
        return [*found, given(await one.read())]

    alone, both = run_virtual(story())
    energies = {name: value for name, value in both.items() if name.endswith("/energy")}
    assert energies == {
        "inlet:S4A7.1.1/energy": alone["inlet:S4A7.1.1/energy"],
        "inlet:S4A7.2.1/energy": 324e9,
    }
    assert (alone["pdu:S4A7/power"], both["pdu:S4A7/power"]) == (1000, 3000)


def test_a_unit_that_is_missing_leaves_no_total(caplog: pytest.LogCaptureFixture) -> None:
    """Before a survey, after it, and after the device was opened anew; said once."""
    memory = holding(chain(ONE, TWO))

    async def story() -> list[Outcome]:
        one = device(memory)
        await one.open()
        memory.objects = chain(ONE)
        outcomes = [await one.read()]
        await asyncio.sleep(SURVEY_S)
        await one.read()
        outcomes.append(await one.read())
        await one.open()
        outcomes.append(await one.read())
        memory.objects = chain(ONE, TWO)
        await asyncio.sleep(SURVEY_S)
        await one.read()
        return [*outcomes, await one.read()]

    with caplog.at_level(logging.WARNING, "jauge_agent"):
        *without, again = run_virtual(story())
    for outcome in without:
        assert given(outcome).keys() == {"inlet:S4A7.1.1/power", "inlet:S4A7.1.1/energy"}
        assert outcome.failed["incomplete"] == 1
    assert given(again)["pdu:S4A7/power"] == 3000
    said = [record.__dict__["fields"]["detail"] for record in caplog.records]
    assert said == ["pdu:S4A7: power without inlet:S4A7.2.1"]


def test_a_sensor_that_is_not_well_gives_no_value() -> None:
    """Its 0 is no temperature, a survey does not forget it, and it comes back as it went."""
    other: dict[str, Value] = {
        f"{ENTITY}.{column}.8": cell for column, cell in enumerate((9, 9, 0, 40, 1), start=1)
    }
    memory = holding(sensor(8, 9, 1, 235, 1) | other)

    async def story() -> list[Outcome]:
        one = device(memory)
        await one.open()
        memory.objects = sensor(8, 9, 1, 0, 2) | other
        outcomes = [await one.read()]
        await asyncio.sleep(SURVEY_S)
        outcomes += [await one.read(), await one.read()]
        memory.objects = sensor(8, 9, 1, 240, 1) | other
        return [*outcomes, await one.read()]

    *ill, well = run_virtual(story())
    humid = {"sensor:FOX17.8/humidity": 40}
    assert [given(each) for each in ill] == [humid] * 3
    assert [(dict(each.failed), each.resources) for each in ill] == [({"unavailable": 1}, None)] * 3
    assert given(well) == {"sensor:FOX17.7/temperature": 24} | humid


def test_an_inlet_that_is_not_available_stays_a_member() -> None:
    """A condition of one value: withheld, kept over a survey, and its sum with it."""
    px = "1.3.6.1.4.1.13742.6"
    objects: dict[str, Value] = {
        SYS_OBJECT_ID: px,
        f"{px}.3.2.1.1.4.1": b"PXA17",
    }
    for inlet in (1, 2):
        objects |= {
            f"{px}.3.3.3.1.2.1.{inlet}": b"I",
            f"{px}.5.2.3.1.4.1.{inlet}.5": 1000,
            f"{px}.5.2.3.1.2.1.{inlet}.5": 1,
            f"{px}.3.3.4.1.7.1.{inlet}.5": 0,
        }
    memory = holding(objects)

    async def story() -> list[dict[str, float]]:
        one = device(memory)
        await one.open()
        found = [given(await one.read())]
        memory.objects[f"{px}.5.2.3.1.2.1.2.5"] = 2
        await asyncio.sleep(SURVEY_S)
        await one.read()
        found.append(given(await one.read()))
        memory.objects[f"{px}.5.2.3.1.2.1.2.5"] = 1
        return [*found, given(await one.read())]

    before, meanwhile, after = run_virtual(story())
    assert meanwhile == {"inlet:PXA17.1.1/power": 1000}
    assert before["pdu:PXA17/power"] == 2000
    assert after == before


@pytest.mark.parametrize(
    ("now", "then"),
    [
        pytest.param(sensor(6, 9, 0, 350, 1), {"sensor:FOX17.7/power": 350}, id="scale"),
        pytest.param(sensor(6, 8, 3, 350_000_000, 1), {"sensor:FOX17.7/power": 350}, id="digits"),
        pytest.param(sensor(8, 9, 0, 21, 1), {"sensor:FOX17.7/temperature": 21}, id="type"),
    ],
)
def test_another_scale_is_surveyed_before_a_value_is_given(
    now: dict[str, Value], then: dict[str, float]
) -> None:
    """Milliwatts become watts: none of the readings is a thousand times wrong."""
    memory = holding(sensor(6, 8, 0, 350_000, 1))

    async def story() -> list[Outcome]:
        one = device(memory)
        await one.open()
        memory.objects = now
        await asyncio.sleep(RESURVEY_S)
        return [await one.read(), await one.read()]

    withheld, after = run_virtual(story())
    assert (given(withheld), dict(withheld.failed)) == ({}, {"changed": 1})
    assert given(after) == then


def test_a_probe_that_is_switched_to_fahrenheit_stays_right() -> None:
    """743 is no 74 degrees Celsius."""
    memory = holding(
        {
            SYS_OBJECT_ID: "1.3.6.1.4.1.21239.5.1",
            f"{GEIST}.1.7.0": 1,
            f"{GEIST}.1.10.0": b"GS17",
            f"{GEIST}.2.1.2.1": b"ID17",
            f"{GEIST}.2.1.5.1": 235,
            f"{GEIST}.2.1.6.1": 40,
        }
    )

    async def story() -> list[Outcome]:
        one = device(memory)
        await one.open()
        memory.objects |= {f"{GEIST}.1.7.0": 0, f"{GEIST}.2.1.5.1": 743}
        await asyncio.sleep(RESURVEY_S)
        return [await one.read(), await one.read()]

    withheld, after = run_virtual(story())
    assert given(withheld) == {"sensor:ID17/humidity": 40}
    assert withheld.failed == {"changed": 1}
    assert given(after)["sensor:ID17/temperature"] == pytest.approx(23.5)


@pytest.mark.parametrize("column", [2, 3])
def test_a_scale_that_is_not_told_is_not_one(column: int) -> None:
    """Neither at the survey nor later."""
    memory = holding(sensor(6, 9, 1, 3500, 1) | {f"{ENTITY}.{n}.8": 1 for n in (3, 5)})
    memory.objects |= {f"{ENTITY}.1.8": 6, f"{ENTITY}.2.8": 9, f"{ENTITY}.4.8": 10}
    del memory.objects[f"{ENTITY}.{column}.7"]

    async def story() -> list[Outcome]:
        one = device(memory)
        await one.open()
        outcomes = [await one.read()]
        del memory.objects[f"{ENTITY}.{column}.8"]
        return [*outcomes, await one.read()]

    first, later = run_virtual(story())
    assert given(first) == {"sensor:FOX17.8/power": 1}
    assert (given(later), dict(later.failed)) == ({}, {"absent": 1})


def test_a_device_that_tells_no_number_for_a_while_says_nothing() -> None:
    """It may start, or be another one: nothing under its name, and no other name for it."""
    memory = Memory()
    serial = f"{RPDU2}.2.1.9.1"

    async def story() -> list[Outcome]:
        one = device(memory)
        await one.open()
        outcomes = []
        for text in (b"", b"N/A", b"SERIAL1"):
            memory.objects[serial] = text
            outcomes.append(await one.read())
        return outcomes

    *silent, again = run_virtual(story())
    assert [(given(each), each.failed) for each in silent] == [({}, {"identity": 1})] * 2
    assert [each.resources for each in (*silent, again)] == [None] * 3
    assert given(again) == {"pdu:SERIAL1/power": 1210}


def test_phases_of_a_chain_are_those_of_their_units() -> None:
    """Row 4 is the first phase of the second unit; a phase that is none has no label."""
    memory = Memory()
    for row, (unit, phase) in enumerate([(1, 1), (1, 2), (1, 3), (2, 1), (2, 7)], start=1):
        for column, value in ((1, row), (2, unit), (3, phase), (5, 40)):
            memory.objects[f"{RPDU2}.6.3.1.{column}.{row}"] = value
    found = {each.id: each.labels for each in run_virtual(device(memory).open())}
    labels = {name: (one.get("phase"), one.get("unit")) for name, one in found.items()}
    assert labels == {
        "pdu:SERIAL1": (None, None),
        "phase:SERIAL1.1": ("L1", "1"),
        "phase:SERIAL1.2": ("L2", "1"),
        "phase:SERIAL1.3": ("L3", "1"),
        "phase:SERIAL1.4": ("L1", "2"),
        "phase:SERIAL1.5": (None, "2"),
    }


def flat(sockets: int, between: int) -> dict[str, int | str]:
    """Rittal's one table, in which some fifty rows stand between two powers."""
    objects: dict[str, int | str] = {
        SYS_OBJECT_ID: f"oid:{RITTAL}",
        "1.3.6.1.2.1.1.5.0": "pdu",
        f"{RITTAL}.2.6.0": "40000017",
    }
    table = f"{RITTAL}.4.2.2.1"
    for row in range(1, sockets * (between + 1) + 1):
        socket, is_power = (row - 1) // (between + 1) + 1, row % (between + 1) == 0
        what = "Power.Active.Value" if is_power else "Limit"
        objects[f"{table}.3.2.{row}"] = f"Sockets.Socket {socket:02d}.{what}"
        objects[f"{table}.5.2.{row}"] = "W" if is_power else ""
        objects[f"{table}.7.2.{row}"] = 1
        objects[f"{table}.11.2.{row}"] = 100
    return objects


@pytest.mark.parametrize(("most", "outlets"), [(wire.MAX_ROWS, 24), (500, 12)])
async def test_a_table_is_taken_whole_or_it_is_said(
    most: int,
    outlets: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """984 rows of 24 sockets; where fewer are taken that is counted each time and said once."""
    pytest.importorskip("gufo.snmp", reason="gufo-snmp is not installed (jauge-agent[snmp])")
    monkeypatch.setattr(wire, "MAX_ROWS", most)
    (tmp_path / "community").write_text("public")
    async with listening(Device(flat(24, 40))) as port:
        settings = SnmpDeviceSettings(
            host="127.0.0.1", port=port, community_file=str(tmp_path / "community")
        )
        one = ListedDevice(settings, timeout_s=5, batch=20)
        with caplog.at_level(logging.WARNING, "jauge_agent"):
            found = ids(await one.open())
            outcomes = [await one.read(), await one.read()]
        await one.close()
    assert found is not None
    assert len([name for name in found if name.startswith("outlet:")]) == outlets
    is_cut = most == 500
    assert [each.failed.get("cut", 0) for each in outcomes] == [int(is_cut)] * 2
    assert [record.message for record in caplog.records] == ["table cut off"] * is_cut


async def test_of_two_devices_with_one_serial_number_the_first_listed_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whichever answers first; the other's values are counted, and it is named."""
    pytest.importorskip("gufo.snmp")
    secret = tmp_path / "community"
    secret.write_text("public")
    watts = (1210, 3400)
    units = [
        Device(
            {
                SYS_OBJECT_ID: "oid:1.3.6.1.4.1.318.1.3.4.6",
                f"{RPDU2}.2.1.9.1": "SAME",
                f"{RPDU2}.4.3.1.1.1": 1,
                f"{RPDU2}.4.3.1.5.1": each // 10,
            }
        )
        for each in watts
    ]
    async with listening(units[0]) as one, listening(units[1]) as other:
        for first, second, value in ((one, other, 1210), (other, one, 3400)):
            caplog.clear()
            listed = [
                SnmpDeviceSettings(host="127.0.0.1", port=port, community_file=str(secret))
                for port in (first, second)
            ]
            source = SnmpSource(SnmpSettings(devices=listed))
            described = await source.open()
            outcome = await source.read()
            await source.close()
            assert ids(described) == ["pdu:SAME"]
            assert given(outcome) == {"pdu:SAME/power": value}
            assert outcome.failed == {"duplicate": 1}
            (record,) = [r for r in caplog.records if r.getMessage() == "device repeats another"]
            assert record.__dict__["fields"]["device"] == f"127.0.0.1:{second}"
            assert record.__dict__["fields"]["resource"] == "pdu:SAME"
