"""What FreeIPMI prints, and what is made of it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jauge_agent.sources.ipmi.answers import (
    Line,
    Missing,
    is_refusal,
    lines,
    power,
    said,
    value,
    worth_reading,
)
from jauge_agent.sources.ipmi.programs import configuration
from jauge_models.quantities import CATALOGUE
from jauge_models.readings import flaw_of

ACTIVE = """\
Current Power                        : {} Watts
Minimum Power over sampling duration : 402 watts
Maximum Power over sampling duration : 422 watts
Average Power over sampling duration : 412 watts
Time Stamp                           : 11/25/2026 - 21:38:44
Statistics reporting time period     : 1000 milliseconds
Power Measurement                    : Active
"""
HEADER = "ID,Name,Type,Reading,Units,Event\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ACTIVE.format(412), 412),
        (ACTIVE.format(0), Missing.ZERO),
        (ACTIVE.format(-1), Missing.ZERO),
        (ACTIVE.format(65535), Missing.RANGE),
        (ACTIVE.format(412).replace("Active", "Not Available"), Missing.INACTIVE),
        (ACTIVE.format(412).replace(": Active", ": Maybe"), Missing.TEXT),
        (ACTIVE.format("4 12"), Missing.TEXT),
        (ACTIVE.format("412.5e3"), Missing.TEXT),
        (ACTIVE.format(412) * 2, Missing.TEXT),
        (ACTIVE.format(412).partition("Power Meas")[0], Missing.TEXT),
        ("", Missing.TEXT),
    ],
)
def test_power_statistics(text: str, expected: object) -> None:
    """A value only from a whole and active answer; nothing else is a number."""
    assert power(text) == expected


def test_the_list_of_sensors_is_read_strictly() -> None:
    """Lines that are not as expected are counted; an event may hold commas."""
    text = (
        HEADER
        + "4,Inlet Temp,Temperature,24.00,C,'OK'\n"
        + "7,PS Redundancy,Power Supply,N/A,N/A,'Fully Redundant','Sufficient, it seems'\n"
        + "9,a,name,with,commas,5.00,W,'OK'\n"
        + "x,No Id,Temperature,24.00,C,'OK'\n"
        + "4,Twice,Temperature,24.00,C,'OK'\n"
        + "Cannot open SDR cache\n"
    )
    found, wrong = lines(text)
    assert [line.name for line in found] == ["Inlet Temp", "PS Redundancy"]
    assert wrong == 4
    assert lines("ipmi-sensors: something\n") == ([], 1)


LISTED = [
    Line("1", "Pwr Consumption", "560.00", "W"),
    Line("2", "Inlet Temp", "24.00", "C"),
    Line("3", "CPU1 Temp", "61.00", "C"),
    Line("4", "PSU1 Inlet Temp", "40.00", "C"),
    Line("5", "Fan1", "6000.00", "RPM"),
    Line("6", "PS1 Input Power", "300.00", "W"),
    Line("7", "PSU2_POUT", "0.00", "W"),
    Line("8", "Ambient Temp", "23.00", "C"),
    Line("9", "CPU Power", "120.00", "W"),
    Line("10", "Volt1", "230.00", "V"),
]


def test_which_sensors_are_worth_reading() -> None:
    """Power, air and fans; chips and volts are left alone; the whole only where DCMI is silent."""

    def named(*, has_power: bool) -> dict[str, str]:
        found = worth_reading(LISTED, has_power=has_power)
        return {f"{each.kind}:{each.tail}/{each.quantity}": each.id for each in found}

    alone = named(has_power=False)
    assert alone == {
        "host:/power": "1",
        "sensor:intake/temperature": "2",
        "sensor:fan.Fan1/fan_speed": "5",
        "psu:1/power": "6",
        "psu_output:2/power": "7",
        "sensor:ambient/temperature": "8",
        "sensor:power.CPU-Power/power": "9",
    }
    beside = named(has_power=True)
    assert "host:/power" not in beside
    assert beside["sensor:power.Pwr-Consumption/power"] == "1"
    two = [*LISTED, Line("11", "Total_Power", "555.00", "W")]
    assert not any(each.kind == "host" for each in worth_reading(two, has_power=False))


@pytest.mark.parametrize(
    ("name", "reading", "expected"),
    [
        ("Pwr Consumption", "560.00", 560),
        ("Pwr Consumption", "0.00", Missing.ZERO),
        ("Pwr Consumption", "N/A", Missing.NULL),
        ("Pwr Consumption", "-1.00", Missing.ZERO),
        ("Pwr Consumption", "5,6", Missing.TEXT),
        ("Pwr Consumption", "nan", Missing.TEXT),
        ("PSU2_POUT", "0.00", 0),
        ("PSU2_POUT", "-5.00", Missing.ZERO),
        ("Inlet Temp", "-80.00", Missing.RANGE),
        ("Fan1", "6000.00", 100),
        ("Fan1", "0.00", 0),
    ],
)
def test_values_of_sensors(name: str, reading: str, expected: object) -> None:
    """A missing value is no zero; a stopped fan and a standby supply are true zeros."""
    sensors = {each.name: each for each in worth_reading(LISTED, has_power=False)}
    units = next(line.units for line in LISTED if line.name == name)
    assert value(Line("1", name, reading, units), sensors[name]) == expected


def test_a_sensor_that_changed_its_name_is_another() -> None:
    """Record numbers are given anew by some firmware updates."""
    sensor = worth_reading(LISTED[:1], has_power=False)[0]
    assert value(Line("1", "Fan7", "560.00", "W"), sensor) is Missing.TEXT


def test_errors_are_short_and_refusals_known() -> None:
    """One line without the program's name."""
    text = "/usr/sbin/ipmi-dcmi: password invalid\nmore\n"
    assert said(text) == "password invalid"
    assert is_refusal(text)
    assert not is_refusal("ipmi-dcmi: connection timeout")
    assert not is_refusal("ipmi_cmd_dcmi_get_power_reading: privilege level insufficient")
    assert said("") == ""


def test_what_cannot_be_given_to_freeipmi_is_refused() -> None:
    """A password with a line's end would be a second option."""
    assert configuration(username="u", k_g=None) == b'username "u"\n'
    for secret in ("a\nworkaround-flags x", "a\0", "\x1b"):
        with pytest.raises(ValueError, match="password"):
            configuration(password=secret)
    with pytest.raises(ValueError, match="too long"):
        configuration(password="x" * 5000)


TEXTS = st.one_of(
    st.text(max_size=200),
    st.lists(
        st.sampled_from([*ACTIVE.format(412).splitlines(), "Current Power : 99999999999 Watts"]),
        max_size=9,
    ).map("\n".join),
)
CELLS = st.one_of(
    st.sampled_from(["1", "2", "N/A", "W", "C", "RPM", "560.00", "-3.5", "1e9", "'OK'", "Fan1"]),
    st.sampled_from([line.name for line in LISTED]),
    st.text(max_size=12),
)
TABLES = st.lists(st.lists(CELLS, min_size=1, max_size=9).map(",".join), max_size=12).map(
    lambda rows: HEADER + "\n".join(rows)
)


@settings(deadline=None)
@given(text=TEXTS)
def test_any_statistics_give_a_power_or_none(text: str) -> None:
    """Never an error, never a power that the catalogue or a server cannot have."""
    found = power(text)
    if not isinstance(found, Missing):
        assert 0 < found <= 60_000


@settings(deadline=None)
@given(first=TABLES, second=TABLES, has_power=st.booleans())
def test_any_list_of_sensors_gives_sound_readings_or_none(
    first: str, second: str, has_power: bool
) -> None:
    """Whatever a BMC lists and reads afterwards: each series once, each value in its range."""
    sensors = worth_reading(lines(first)[0], has_power=has_power)
    keys = [(each.kind, each.tail, each.quantity) for each in sensors]
    assert len(keys) == len(set(keys))
    by_id = {line.id: line for line in lines(second)[0]}
    for sensor in sensors:
        if sensor.id in by_id:
            found = value(by_id[sensor.id], sensor)
            if not isinstance(found, Missing):
                resource = f"{sensor.kind}:x.{sensor.tail}".rstrip(".")
                unit = CATALOGUE[sensor.quantity].unit
                assert flaw_of(resource, sensor.quantity, unit, found) is None
