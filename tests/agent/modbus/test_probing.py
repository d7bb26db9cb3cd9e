"""Who answers at an address: recognised by marks, or else what makes sense, by reading only."""

import asyncio
import tomllib

import msgspec
import pytest
from jauge_agent.cli import main
from jauge_agent.probe import pasted, probe
from jauge_agent.source import AbsentError, RetryError
from jauge_agent.sources.modbus import profile as profiles
from jauge_agent.sources.modbus.config import ModbusSettings
from jauge_agent.sources.modbus.probing import probed
from jauge_agent.sources.modbus.source import ModbusSource
from jauge_models.configuration import ConfigurationError

from tests.agent.modbus.meters import device, put, serving
from tests.agent.modbus.test_profiles import filled
from tests.parts import free_port

MARKED = [name for name in profiles.names() if profiles.load(name).recognised_by]


@pytest.mark.parametrize("name", MARKED)
async def test_a_family_with_marks_is_recognised_and_its_configuration_can_be_used(
    name: str,
) -> None:
    """What is printed is read as it stands, and the meter is read with it."""
    async with serving(device(9, filled(profiles.load(name)))) as served:
        address = f"modbus://127.0.0.1:{served.port}/9"
        source_name, found = await asyncio.to_thread(probe, address, ["answer_s=5"])
        tree = tomllib.loads(pasted(source_name, found))["sources"]["modbus"]
        assert tree["devices"] == [
            {"host": "127.0.0.1", "port": served.port, "unit": 9, "profile": name}
        ]
        source = ModbusSource(msgspec.convert(tree, ModbusSettings))
        await source.open()
        assert len((await source.read()).samples) == len(found.samples) > 0
        await source.close()
    assert set(served.functions) <= {3, 4}


async def test_a_meter_without_marks_is_only_possible() -> None:
    """Its values make sense, and whoever reads them is told to compare."""
    async with serving(device(1, filled(profiles.load("eastron-sdm630")))) as served:
        keys = {"host": "127.0.0.1", "port": served.port, "answer_s": "5"}
        found = await probed(keys)
        named = await probed({**keys, "profile": "eastron-sdm630"})
    assert found.settings["profile"] == "eastron-sdm120-230"
    remarks = " ".join(found.remarks)
    assert "Not recognised for sure: compare the values" in remarks
    assert "may as well be: eastron-sdm630" in remarks
    assert named.settings["profile"] == "eastron-sdm630"
    assert len(named.samples) == len(profiles.load("eastron-sdm630").points)
    assert "Not recognised" not in " ".join(named.remarks)


async def test_a_meter_without_a_serial_number_needs_what_stands_on_its_plate() -> None:
    """The place for it is printed, and so is why."""
    async with serving(device(1, filled(profiles.load("janitza-umg96")))) as served:
        found = await probed({"host": "127.0.0.1", "port": served.port, "answer_s": 5})
    assert found.settings["profile"] == "janitza-umg96"
    assert found.settings["id"] == "PLATE"
    remarks = " ".join(found.remarks)
    assert "write as id what stands on its plate" in remarks
    assert "Registers not verified, to be compared as well: apparent_power" in remarks


async def test_what_fits_no_profile_is_said_to() -> None:
    """Something answers, with registers that mean nothing to us."""
    registers: dict[tuple[int, int], int] = {}
    put(registers, 3, 0, [7] * 20)
    async with serving(device(1, registers)) as served:
        with pytest.raises(AbsentError, match="unit 1 answers, but fits no profile; known are"):
            await probed({"host": "127.0.0.1", "port": served.port, "answer_s": 5})


async def test_nobody_there_is_an_error_in_one_line() -> None:
    """No server."""
    with pytest.raises(RetryError, match="does not take the connection"):
        await probed({"host": "127.0.0.1", "port": free_port()})


@pytest.mark.parametrize(
    "keys",
    [
        {"host": "h", "unit": "256"},
        {"host": "h", "unit": "x"},
        {"host": "h", "profil": "eastron-sdm630"},
        {"host": "h", "profile": "none"},
    ],
)
async def test_a_wrong_key_is_refused_in_one_line(keys: dict[str, str]) -> None:
    """Before anything is asked."""
    with pytest.raises(ConfigurationError) as error:
        await probed(keys)
    assert "\n" not in str(error.value)


def test_the_command_says_what_went_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 1 when nobody answers, 2 for an address that is none."""
    assert main(["probe", f"modbus://127.0.0.1:{free_port()}/1"]) == 1
    assert "does not take the connection" in capsys.readouterr().err
    assert main(["probe", "modbus://127.0.0.1/one"]) == 2
    assert "write modbus://HOST:PORT/UNIT" in capsys.readouterr().err
