"""The modbus source against servers that behave, and against ones that do not."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jauge_agent.source import AbsentError, FatalError, Outcome, RetryError
from jauge_agent.sources.modbus import gateway as gateways
from jauge_agent.sources.modbus.blocks import Range, blocks
from jauge_agent.sources.modbus.config import ModbusDevice, ModbusSettings
from jauge_agent.sources.modbus.device import Meter
from jauge_agent.sources.modbus.gateway import (
    BusyError,
    Gateway,
    MissingError,
    SilentError,
    WriteAttemptedError,
)
from jauge_agent.sources.modbus.profile import Profile, load
from jauge_agent.sources.modbus.source import ModbusSource
from jauge_models.quantities import CATALOGUE
from jauge_models.readings import flaw_of

from tests.agent.modbus.meters import (
    Registers,
    answering,
    device,
    holding,
    put,
    reply,
    serving,
    words_of,
)
from tests.parts import eventually, free_port

OWN = """
title = "Test meter"
maker = "test"
models = ["T"]
source = "none"
verified = true
gap = 8
[serial]
address = 100
form = "uint32"
[[points]]
quantity = "energy"
address = 0
form = "uint32"
unit = "kWh"
[[points]]
quantity = "power"
address = 2
form = "int32"
unit = "W"
[[points]]
quantity = "current"
part = "L1"
address = 10
form = "uint16"
unit = "mA"
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    """A small profile of one's own."""
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    return str(path)


def sound(serial: int = 4711, *, energy: int = 1000, power: int = 500) -> Registers:
    """Registers of a meter of the small profile."""
    registers: Registers = {}
    put(registers, 3, 100, words_of(serial, load_form("uint32")))
    put(registers, 3, 0, words_of(energy, load_form("uint32")))
    put(registers, 3, 2, words_of(power, load_form("int32")))
    put(registers, 3, 10, [2500])
    # What is read along between two values.
    put(registers, 3, 4, [0] * 6)
    return registers


def load_form(name: str) -> Any:
    """A form by its name."""
    from jauge_agent.sources.modbus.registers import Form

    return Form(name)


def settings_for(port: int, *devices: dict[str, Any], **more: Any) -> ModbusSettings:
    """Settings for devices at one address."""
    listed = [ModbusDevice(**{"host": "127.0.0.1", "port": port, **each}) for each in devices]
    return ModbusSettings(devices=listed, **{"answer_s": 5.0, **more})


def values(outcome: Outcome) -> dict[str, float]:
    """Values by resource and quantity."""
    return {f"{each.resource}/{each.quantity}": each.value for each in outcome.samples}


@contextlib.asynccontextmanager
async def metered(port: int, profile: str, **more: Any) -> AsyncIterator[Meter]:
    """One meter without a poller, which would not ask it twice within its period."""
    gateway = Gateway("127.0.0.1", port, answer_s=5.0)
    named = ModbusDevice(host="127.0.0.1", port=port, profile=profile, **more)
    yield Meter(gateway, named, load(profile))
    gateway.close()


async def test_two_units_share_one_socket_and_are_known_by_their_serial_numbers(own: str) -> None:
    """Opened and read, two units: one connection, only function 3."""
    async with serving(device(1, sound(110)), device(2, sound(220, power=700))) as served:
        source = ModbusSource(
            settings_for(served.port, {"unit": 1, "profile": own}, {"unit": 2, "profile": own})
        )
        await source.open()
        outcome = await source.read()
        await source.close()
    assert served.connections == 1
    assert set(served.functions) == {3}
    assert values(outcome) == {
        "meter:test-110/energy": 3.6e9,
        "meter:test-110/power": 500,
        "phase:test-110.L1/current": 2.5,
        "meter:test-220/energy": 3.6e9,
        "meter:test-220/power": 700,
        "phase:test-220.L1/current": 2.5,
    }


async def test_requests_of_one_address_never_overlap(own: str) -> None:
    """The gateway has one serial line behind it: a request waits for the answer to the last."""
    at_once = most = 0
    loop = asyncio.get_running_loop()

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        loop.call_later(0.01, late, request, writer)  # and read on meanwhile

    def late(request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once
        at_once -= 1
        writer.write(holding(request, {0: 0, 1: 9, 3: 5, 10: 1, 100: 0, 101: 400 + request[6]}))

    async with answering(answer) as served:
        source = ModbusSource(
            settings_for(served.port, *({"unit": unit, "profile": own} for unit in range(1, 6)))
        )
        await source.open()
        outcome = await source.read()
        await source.close()
    assert len(outcome.samples) == 15
    assert most == 1
    assert served.connections == 1


async def test_adjacent_registers_are_read_together(own: str) -> None:
    """Three values near one another and the serial number: two requests a reading."""
    async with serving(device(1, sound())) as served:
        source = ModbusSource(settings_for(served.port, {"profile": own}))
        await source.open()
        served.requests.clear()
        await source.read()
        await source.close()
    asked = [
        (int.from_bytes(request[8:10], "big"), int.from_bytes(request[10:12], "big"))
        for request in served.requests
    ]
    assert asked == [(0, 11), (100, 2)]


@given(
    st.lists(
        st.builds(Range, st.sampled_from([3, 4]), st.integers(0, 400), st.integers(1, 4)),
        min_size=1,
        max_size=40,
    ),
    st.integers(4, 125),
    st.integers(0, 125),
)
def test_blocks_hold_every_range_within_the_limit(ranges: list[Range], most: int, gap: int) -> None:
    """Each range once and whole, in a block of its own function and of a size that is allowed."""
    made = blocks(ranges, most=most, gap=gap)
    assert Counter(one for block in made for one in block.ranges) == Counter(set(ranges))
    for block in made:
        assert block.count <= most
        for one in block.ranges:
            assert one.function == block.function
            assert block.address <= one.address
            assert one.end <= block.address + block.count


async def test_a_device_that_lacks_registers_gives_the_others(own: str) -> None:
    """A refused block is asked for in parts; what is not there is neither described nor a zero."""
    registers = sound()
    for address in range(4, 11):
        del registers[3, address]
    async with serving(device(1, registers)) as served, metered(served.port, own) as meter:
        described = await meter.open()
        first = await meter.read()
        served.requests.clear()
        second = await meter.read()
    assert [each.id for each in described] == ["meter:test-4711"]
    assert (
        values(first)
        == values(second)
        == {
            "meter:test-4711/energy": 3.6e9,
            "meter:test-4711/power": 500,
        }
    )
    assert not second.failed
    asked = [int.from_bytes(request[8:10], "big") for request in served.requests]
    assert asked == [0, 2, 100]  # what was refused is not asked for again


async def test_a_unit_without_any_of_the_registers_is_said_to_be_none(own: str) -> None:
    """The wrong profile, or the wrong unit."""
    async with serving(device(1, {(4, 0): 1})) as served:
        source = ModbusSource(settings_for(served.port, {"profile": own}))
        with pytest.raises(RetryError, match="unit 1 has none of the registers of profile"):
            await source.open()
        await source.close()


async def test_no_value_of_the_device_is_no_reading(own: str) -> None:
    """All bits set, the largest number, a negative power: left out and counted, never a zero."""
    registers = sound()
    put(registers, 3, 0, [0xFFFF, 0xFFFF])
    put(registers, 3, 2, words_of(-40, load_form("int32")))
    async with serving(device(1, registers)) as served:
        source = ModbusSource(settings_for(served.port, {"profile": own}))
        await source.open()
        outcome = await source.read()
        await source.close()
    assert values(outcome) == {"phase:test-4711.L1/current": 2.5}
    assert outcome.failed == {"none": 1, "negative": 1}


async def test_ratios_are_applied_to_secondary_values_only(tmp_path: Path, own: str) -> None:
    """Where a profile says that a value is secondary, and nowhere else."""
    path = tmp_path / "secondary.toml"
    text = OWN.replace('unit = "W"', 'unit = "W"\nsecondary = "power"')
    path.write_text(text.replace('unit = "mA"', 'unit = "mA"\nsecondary = "current"'))
    async with serving(device(1, sound())) as served:
        source = ModbusSource(
            settings_for(served.port, {"profile": str(path), "ct_ratio": 40.0, "vt_ratio": 10.0})
        )
        await source.open()
        outcome = await source.read()
        await source.close()
    assert values(outcome) == {
        "meter:test-4711/energy": 3.6e9,
        "meter:test-4711/power": 200_000,
        "phase:test-4711.L1/current": 100,
    }
    with pytest.raises(ValueError, match="meters show primary values"):
        ModbusDevice(host="h", profile=own, ct_ratio=2.0)


@pytest.mark.parametrize(
    ("means", "form", "word", "power"),
    [
        ("factor", "uint16", 3, 1500),
        ("power_of_ten", "int16", 0xFFFE, 5),
        ("power_of_ten", "int16", 1000, None),
        ("factor", "uint16", 0, None),
        ("factor", "uint16", 0xFFFF, None),
    ],
)
async def test_a_value_may_be_scaled_by_another_register(
    tmp_path: Path, means: str, form: str, word: int, power: float | None
) -> None:
    """By a factor or a power of ten; by nothing where that register holds nonsense."""
    path = tmp_path / "scaled.toml"
    by = f'unit = "W"\nscale_by = {{ address = 50, form = "{form}", means = "{means}" }}'
    path.write_text(OWN.replace('unit = "W"', by))
    registers = sound()
    put(registers, 3, 50, [word])
    async with serving(device(1, registers)) as served:
        source = ModbusSource(settings_for(served.port, {"profile": str(path)}))
        await source.open()
        outcome = await source.read()
        await source.close()
    assert values(outcome).get("meter:test-4711/power") == power
    assert outcome.failed == ({} if power is not None else {"none": 1})


COOLER = """
title = "Cooling unit"
maker = "test"
models = ["C"]
kind = "cooling_unit"
source = "none"
[[points]]
quantity = "evaporative_cooling"
address = 0
form = "uint16"
states = { 1 = 0, 2 = 1, 3 = 0.5 }
[[points]]
quantity = "evaporative_cooling"
part = "valve"
address = 1
form = "uint16"
bit = 3
[[points]]
quantity = "on_battery"
part = "mains"
address = 2
form = "uint32"
bit = 17
states = { 0 = 1, 1 = 0 }
"""


@pytest.mark.parametrize(
    ("words", "states", "failed"),
    [
        ([1, 0b0000, 0, 0], (0, 0, 1), {}),
        ([2, 0b1000, 2, 0], (1, 1, 0), {}),
        ([3, 0b0111, 1, 0xFFFF], (0.5, 0, 1), {}),
        # All bits set are an open valve, not a register without a value; 7 is a mode of no meaning.
        ([7, 0xFFFF, 0xFFFF, 0xFFFF], (None, 1, 0), {"state": 1}),
        ([0xFFFF, 0x0008, 0, 0], (None, 1, 1), {"none": 1}),
    ],
)
async def test_a_register_or_a_bit_of_it_tells_a_state(
    tmp_path: Path, words: list[int], states: tuple[float | None, ...], failed: dict[str, int]
) -> None:
    """Each by what its number is worth; a number without a meaning is counted, never a zero."""
    path = tmp_path / "cooler.toml"
    path.write_text(COOLER)
    registers: Registers = {}
    put(registers, 3, 0, words)
    async with serving(device(1, registers)) as served:
        source = ModbusSource(settings_for(served.port, {"profile": str(path), "id": "C1"}))
        described = await source.open()
        outcome = await source.read()
        await source.close()
    found = values(outcome)
    assert (
        found.get("cooling_unit:C1/evaporative_cooling"),
        found.get("sensor:C1.valve/evaporative_cooling"),
        found.get("sensor:C1.mains/on_battery"),
    ) == states
    assert outcome.failed == failed
    assert len(described) == 3


async def test_coils_and_discrete_inputs_tell_states_too(tmp_path: Path) -> None:
    """Eleven coils in one request, of which each is its own; inputs beside them; nothing else."""
    coils = [1, 0, 0, 1, 0, 0, 0, 1, 1, 0, 1]
    path = tmp_path / "valves.toml"
    head, _, _ = COOLER.partition("[[points]]")
    point = '[[points]]\nquantity = "evaporative_cooling"\nform = "bit"\n'
    path.write_text(
        head
        + "".join(f'{point}part = "v{n}"\nfunction = 1\naddress = {n}\n' for n in range(11))
        + f'{point}part = "closed"\nfunction = 2\naddress = 4\nstates = {{ 0 = 1, 1 = 0 }}\n'
        + f'{point}part = "alarm"\nfunction = 2\naddress = 5\nnone = [1]\n'
    )
    registers: Registers = {}
    put(registers, 1, 0, coils)
    put(registers, 2, 0, [1, 1, 1, 1, 0, 1, 1, 1])
    async with serving(device(1, registers)) as served:
        source = ModbusSource(settings_for(served.port, {"profile": str(path), "id": "C1"}))
        await source.open()
        served.functions.clear()
        outcome = await source.read()
        await source.close()
    assert [outcome.samples[n].value for n in range(11)] == coils
    assert values(outcome)["sensor:C1.closed/evaporative_cooling"] == 1
    assert "sensor:C1.alarm/evaporative_cooling" not in values(outcome)
    assert outcome.failed == {"none": 1}
    assert served.functions == [1, 2]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ('bit = 3\nunit = "1"', "a state has no unit, and nothing scales it"),
        ("bit = 3\nscale = 2", "a state has no unit, and nothing scales it"),
        ("bit = 16", "bit 16 is none of uint16; bits are those of uint16, uint32 or uint64"),
        ("states = { wet = 1 }", "states: 'wet' is no whole number"),
        ("states = { 01 = 1 }", "states: '01' is no whole number as it is written: 1"),
        ("bit = 3\nstates = { 2 = 1 }", "states: '2' is none of a bit, which is 0 or 1"),
        ("states = { 1 = 1.5 }", "states: 1 is worth 1.5, evaporative_cooling is 0 to 1"),
        ("function = 1", "form bit is that of the functions 1 and 2, and theirs alone"),
        ("", "'' is no unit of evaporative_cooling; known are /, 1, %"),
    ],
)
def test_a_state_that_can_never_be_is_refused(tmp_path: Path, wrong: str, message: str) -> None:
    """In one line, with the key."""
    path = tmp_path / "cooler.toml"
    path.write_text(COOLER.replace("states = { 1 = 0, 2 = 1, 3 = 0.5 }", wrong))
    with pytest.raises(ValueError, match="toml") as error:
        load(str(path))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("form", "quantity", "message"),
    [
        ("float32", "evaporative_cooling", "states are whole numbers, float32 is none"),
        ("uint16", "water", "states must be left out: water is no gauge"),
    ],
)
def test_only_a_gauge_of_whole_numbers_has_states(
    tmp_path: Path, form: str, quantity: str, message: str
) -> None:
    """A register that counts has none."""
    path = tmp_path / "cooler.toml"
    text = COOLER.replace("uint16", form, 1).replace("evaporative_cooling", quantity, 1)
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load(str(path))


async def test_pulses_count_by_their_weight_where_the_channel_begins() -> None:
    """Two channels of one pulse counter, each a water meter."""
    registers: Registers = {}
    put(registers, 3, 20, words_of(100, load_form("uint32")))
    put(registers, 3, 22, words_of(7, load_form("uint32")))
    pulse = {"profile": "pulse-water-meter", "unit": 3}
    async with serving(device(3, registers)) as served:
        source = ModbusSource(
            settings_for(
                served.port,
                {**pulse, "id": "make-up", "first_register": 20, "pulse_weight": 10.0},
                {**pulse, "id": "adiabatic", "first_register": 22, "pulse_weight": 1.0},
            )
        )
        await source.open()
        outcome = await source.read()
        await source.close()
    assert values(outcome) == {"meter:make-up/water": 1.0, "meter:adiabatic/water": 0.007}


async def test_a_meter_that_was_replaced_gets_a_name_of_its_own(
    own: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The next reading carries the new serial number, and the birth is to be sent anew."""
    registers = sound(110)

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(holding(request, {at: word for (_, at), word in registers.items()}))

    async with answering(answer) as served, metered(served.port, own) as meter:
        await meter.open()
        before = await meter.read()
        registers.update(sound(120))
        after = await meter.read()
    assert before.resources is None
    assert {each.resource for each in before.samples} == {"meter:test-110", "phase:test-110.L1"}
    assert {each.resource for each in after.samples} == {"meter:test-120", "phase:test-120.L1"}
    assert after.resources is not None
    assert {each.id for each in after.resources} == {"meter:test-120", "phase:test-120.L1"}
    assert [r.message for r in caplog.records if r.message == "meter replaced"]


async def test_without_a_serial_number_an_id_is_needed(own: str) -> None:
    """A meter that should tell one and refuses to: the id stands in, or the fix is said."""
    registers = sound()
    for address in (100, 101):
        del registers[3, address]
    async with serving(device(1, registers)) as served:
        source = ModbusSource(settings_for(served.port, {"profile": own}))
        with pytest.raises(RetryError, match="tells no serial number: give this device an id"):
            await source.open()
        await source.close()
        source = ModbusSource(settings_for(served.port, {"profile": own, "id": "plate-3"}))
        assert {each.id for each in await source.open()} == {"meter:plate-3", "phase:plate-3.L1"}
        await source.close()
    with pytest.raises(ValueError, match="id is missing"):
        ModbusDevice(host="h", profile="janitza-umg96")


async def test_a_configured_id_wins_over_whatever_serial_number_is_told(own: str) -> None:
    """Two meters that tell one number are two; the number stands in the labels of the birth."""
    async with serving(device(1, sound(123)), device(2, sound(123, power=700))) as served:
        source = ModbusSource(
            settings_for(
                served.port,
                {"unit": 1, "profile": own, "id": "m1"},
                {"unit": 2, "profile": own, "id": "m2"},
            )
        )
        described = await source.open()
        outcome = await source.read()
        await source.close()
    assert {each.resource: each.value for each in outcome.samples if each.quantity == "power"} == {
        "meter:m1": 500,
        "meter:m2": 700,
    }
    assert not outcome.failed
    assert {each.labels["serial"] for each in described} == {"123"}


async def test_a_serial_number_that_changes_under_an_id_is_counted_and_renames_nothing(
    own: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Told late it is a label; another one is a warning; also after the device was opened anew."""
    registers, is_busy = sound(123), True

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        if is_busy and request[8:10] == b"\0\x64":
            writer.write(reply(request, bytes([0x83, 6])))
        else:
            writer.write(holding(request, {at: word for (_, at), word in registers.items()}))

    async with answering(answer) as served, metered(served.port, own, id="main-A") as meter:
        described = await meter.open()
        assert all("serial" not in each.labels for each in described)
        is_busy = False
        outcomes = [await meter.read(), await meter.read()]
        registers.update(sound(456))
        outcomes += [await meter.read(), await meter.read()]
        registers.update(sound(789))
        await meter.close()
        described = await meter.open()
        outcomes += [await meter.read(), await meter.read()]
    for outcome in outcomes:
        assert {each.resource for each in outcome.samples} == {"meter:main-A", "phase:main-A.L1"}
    assert [each.failed.get("replaced", 0) for each in outcomes] == [0, 0, 1, 0, 1, 0]
    told = [outcome.resources and outcome.resources[0].labels["serial"] for outcome in outcomes]
    assert told == ["123", None, "456", None, None, None]
    assert described[0].labels["serial"] == "789"
    said = [r for r in caplog.records if r.message == "meter replaced"]
    assert len(said) == 1  # a register that is no serial number may change at each reading


async def test_without_an_id_nothing_is_published_before_the_serial_number_is_read(
    own: str,
) -> None:
    """Busy is not none: the meter is opened again, and never gets a stand-in meanwhile."""
    is_busy = True

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        if is_busy and request[8:10] == b"\0\x64":
            writer.write(reply(request, bytes([0x83, 6])))
        else:
            writer.write(holding(request, {at: word for (_, at), word in sound().items()}))

    async with answering(answer) as served, metered(served.port, own) as meter:
        with pytest.raises(RetryError, match="unit 1 has not told its serial number yet"):
            await meter.open()
        is_busy = False
        assert {each.id for each in await meter.open()} == {"meter:test-4711", "phase:test-4711.L1"}


@pytest.mark.parametrize("serial", [0, 1, 0xFFFFFFFF, 99_999_999, 44, 123_456_789])
async def test_a_serial_number_that_many_meters_tell_is_no_name(
    own: str, serial: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is known by its place then, and somebody is asked for an id."""
    units = (device(1, sound(serial)), device(2, sound(serial, power=700)))
    async with serving(*units) as served:
        asked = ({"unit": unit, "profile": own} for unit in (1, 2))
        source = ModbusSource(settings_for(served.port, *asked))
        await source.open()
        outcome = await source.read()
        await source.close()
    assert {each.resource: each.value for each in outcome.samples if each.quantity == "power"} == {
        f"meter:127.0.0.1.{served.port}.1": 500,
        f"meter:127.0.0.1.{served.port}.2": 700,
    }
    assert not outcome.failed
    said = [r for r in caplog.records if r.message == "serial number is a placeholder"]
    assert len(said) == 2


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (1, MissingError),
        (2, MissingError),
        (3, MissingError),
        (4, BusyError),
        (5, BusyError),
        (6, BusyError),
        (10, BusyError),
        (11, BusyError),
    ],
)
async def test_exceptions_of_modbus_are_told_apart(code: int, error: type[Exception]) -> None:
    """What is not there is missing; what cannot be had now is tried again."""
    from pymodbus.constants import ExcCodes

    async def refuse(*_: Any) -> ExcCodes:
        return ExcCodes(code)

    async with serving(device(1, {(3, 0): 1}, action=refuse)) as served:
        gateway = Gateway("127.0.0.1", served.port, answer_s=5.0)
        with pytest.raises(error):
            await gateway.read(1, 3, 0, 1)
        gateway.close()


async def test_a_device_that_is_busy_in_the_middle_gives_what_it_has(own: str) -> None:
    """One block is counted as busy, the other is read."""

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        if len(served.requests) > 2 and request[8:10] == b"\0\x64":
            writer.write(reply(request, bytes([0x83, 6])))
        else:
            held = {at: word for (_, at), word in sound().items()}
            writer.write(holding(request, held))

    async with answering(answer) as served:
        source = ModbusSource(settings_for(served.port, {"profile": own}))
        await source.open()
        outcome = await source.read()
        await source.close()
    assert len(outcome.samples) == 3
    assert outcome.failed == {"busy": 1}


async def test_a_late_answer_is_not_taken_for_the_next_ones(own: str) -> None:
    """An answer that comes after its time is thrown away, though it lies before the right one."""
    late: list[bytes] = []

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        if not late:
            late.append(holding(request, [111]))
            return
        writer.write(late[0] + holding(request, [222]))

    async with answering(answer) as served:
        gateway = Gateway("127.0.0.1", served.port, answer_s=0.2)
        with pytest.raises(SilentError, match=r"unit 1 did not answer within 0\.2 s"):
            await gateway.read(1, 3, 0, 1)
        assert await gateway.read(1, 3, 0, 1) == [222]
        gateway.close()


@pytest.mark.parametrize(
    "nonsense",
    [
        b"HTTP/1.0 400 Bad Request\r\n\r\n",
        b"\0",
        bytes(300),
        "wrong function",
        "wrong count",
        "wrong unit",
        "a list of two registers, and one asked for",
        "an exception with a body",
    ],
)
async def test_nonsense_is_no_reading_and_ends_the_connection(
    nonsense: bytes | str, caplog: pytest.LogCaptureFixture
) -> None:
    """Said as what it is, in time, and without a traceback of any library."""

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        made = {
            "wrong function": reply(request, b"\x04\x02\0\1"),
            "wrong count": reply(request, b"\x03\x04\0\1"),
            "wrong unit": reply(request, b"\x03\x02\0\1", unit=9),
            "a list of two registers, and one asked for": reply(request, b"\x03\x04\0\1\0\1"),
            "an exception with a body": reply(request, b"\x83\x02\0\1\0\1"),
        }
        writer.write(nonsense if isinstance(nonsense, bytes) else made[nonsense])

    async with answering(answer) as served:
        gateway = Gateway("127.0.0.1", served.port, answer_s=1.0)
        with pytest.raises(RetryError):
            await gateway.read(1, 3, 0, 1)
        gateway.close()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_closed_connection_is_noticed_at_once_and_made_again(own: str) -> None:
    """A gateway that hangs up costs one reading, not the time-out."""
    hang_up = True

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        if hang_up:
            writer.close()
        else:
            writer.write(holding(request, [5]))

    async with answering(answer) as served:
        gateway = Gateway("127.0.0.1", served.port, answer_s=30.0)
        async with asyncio.timeout(10):
            with pytest.raises(RetryError, match="the connection was closed"):
                await gateway.read(1, 3, 0, 1)
        hang_up = False
        assert await gateway.read(1, 3, 0, 1) == [5]
        gateway.close()
    assert served.connections == 2


async def test_a_dead_gateway_does_not_cost_a_time_out_for_each_unit(
    own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three units in a row the others fail at once; later it is tried again."""
    answers = False

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        if answers:
            writer.write(holding(request, [5]))

    async with answering(answer) as served:
        gateway = Gateway("127.0.0.1", served.port, answer_s=0.1)
        errors = []
        for unit in range(1, 21):
            with pytest.raises(RetryError) as error:
                await gateway.read(unit, 3, 0, 1)
            errors.append(error.type)
        assert errors == [SilentError] * gateways.SILENT_UNITS + [RetryError] * 17
        assert len(served.requests) == gateways.SILENT_UNITS
        answers = True
        monkeypatch.setattr(gateway, "_dead_until", float("-inf"))
        assert await gateway.read(4, 3, 0, 1) == [5]
        gateway.close()


async def test_one_silent_unit_leaves_the_others_on_its_line_alone(own: str) -> None:
    """It costs one time-out; the others are read at every tick."""

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        if request[6] != 3:
            held = {at: word for (_, at), word in sound(400 + request[6]).items()}
            writer.write(holding(request, held))

    async with answering(answer) as served:
        source = ModbusSource(
            settings_for(
                served.port,
                *({"unit": unit, "profile": own} for unit in range(1, 6)),
                answer_s=0.3,
                period_s=1.0,
            )
        )
        await source.open()
        outcomes: list[Outcome] = []

        async def four_ticks() -> bool:
            outcome = await source.read()
            outcomes.extend([outcome] if outcome.samples else [])
            return len(outcomes) == 4

        await eventually(four_ticks, within=60, what="four ticks with readings")
        await source.close()
    for outcome in outcomes:
        assert {each.resource for each in outcome.samples if each.quantity == "power"} == {
            f"meter:test-{400 + unit}" for unit in (1, 2, 4, 5)
        }
        assert set(outcome.failed) <= {"retry", "lost", "busy"}


async def test_nobody_there_is_said_in_one_line(own: str) -> None:
    """No server at that port."""
    port = free_port()
    source = ModbusSource(settings_for(port, {"profile": own}))
    with pytest.raises(RetryError, match=f"127.0.0.1:{port} does not take the connection"):
        await source.open()
    await source.close()


async def test_only_readings_can_leave(own: str) -> None:
    """The library could write; through a gateway of ours it cannot, whoever asks it to."""
    async with serving(device(1, sound())) as served:
        gateway = Gateway("127.0.0.1", served.port, answer_s=5.0)
        await gateway.read(1, 3, 0, 2)
        client = gateway._client
        for write in (
            client.write_register(0, 1, device_id=1),
            client.write_registers(0, [1, 2], device_id=1),
            client.write_coil(0, value=True, device_id=1),
            client.write_coils(0, [True], device_id=1),
            client.mask_write_register(address=0, device_id=1),
            client.readwrite_registers(read_count=1, values=[1], device_id=1),
            client.report_device_id(device_id=1),
            client.diag_restart_communication(toggle=True, device_id=1),
        ):
            with pytest.raises(WriteAttemptedError):
                await write
        assert await gateway.read(1, 3, 0, 2) == [0, 1000]
        gateway.close()
    assert set(served.functions) == {3}


async def test_every_profile_and_the_source_ask_by_reading_functions_only() -> None:
    """A server that refuses everything sees each request a meter can cause."""

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(request, bytes([request[7] | 0x80, 2])))

    from jauge_agent.sources.modbus.profile import names

    async with answering(answer) as served:
        for name in names():
            profile = load(name)
            weight = {"pulse_weight": 1.0} if profile.counts_pulses else {}
            asked = settings_for(served.port, {"profile": name, "id": "x", **weight})
            source = ModbusSource(asked)
            with pytest.raises(RetryError):
                await source.open()
            await source.close()
    assert len(served.functions) > 100
    assert set(served.functions) == {3, 4}


async def test_a_machine_without_meters_or_without_the_library(
    own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Absent without a device; with one, what is to be installed is said."""
    with pytest.raises(AbsentError, match=r"no device is listed under sources\.modbus\.devices"):
        await ModbusSource(ModbusSettings()).open()
    monkeypatch.setitem(__import__("sys").modules, "pymodbus.client", None)
    source = ModbusSource(settings_for(1, {"profile": own}))
    with pytest.raises(FatalError, match="pymodbus is not installed: install jauge-agent with"):
        await source.open()
    await source.close()


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        ([{"host": "h", "profile": "none"}], "'none' is no profile; known are eastron"),
        ([{"host": "h", "profile": "eastron-sdm360"}], "did you mean 'eastron-sdm630'"),
        ([{"host": h, "profile": "eastron-sdm630"} for h in ("h", "H")], "h:502/1 is listed twice"),
        ([{"host": "h", "profile": "pulse-water-meter", "id": "x"}], "pulse_weight is missing"),
        ([{"host": "h", "profile": "eastron-sdm630", "pulse_weight": 1}], "must be left out"),
        ([{"host": "h", "profile": "eastron-sdm630", "id": "a b"}], "is not a name"),
        ([{"host": "h", "profile": "eastron-sdm630", "first_register": 65530}], "first_register"),
        ([{"host": "h", "profile": "eastron-sdm630"}] * 2, "h:502/1 is listed twice"),
        ([{"host": "h", "profile": "eastron-sdm630", "unit": 256}], "unit"),
        (
            [{"host": h, "profile": "janitza-umg96", "id": "x"} for h in ("a", "b")],
            "id 'x' is given to two devices",
        ),
    ],
)
def test_a_mistake_in_the_configuration_is_said_at_start(
    devices: list[dict[str, Any]], message: str
) -> None:
    """Before anything runs."""
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert({"devices": devices}, ModbusSettings)


class _Noise(Gateway):
    """A gateway whose devices hold random registers."""

    def __init__(self, words: list[int]) -> None:
        super().__init__("h", 1, answer_s=1.0)
        self.words = words

    async def read(self, unit: int, function: Any, address: int, count: int) -> list[int]:  # noqa: ARG002
        """Some of the words."""
        return [self.words[(address + at) % len(self.words)] for at in range(count)]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_registers_give_readings_within_the_catalogue_or_none(data: st.DataObject) -> None:
    """Whatever a meter holds: no crash, and no reading that the collector would refuse."""
    from jauge_agent.sources.modbus.profile import names

    name = data.draw(st.sampled_from(names()))
    profile: Profile = load(name)
    word = st.sampled_from([0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x7F80, 0x7FC0]) | st.integers(0, 0xFFFF)
    words = data.draw(st.lists(word, min_size=1, max_size=40))
    weight = 1e6 if profile.counts_pulses else None
    named = ModbusDevice(host="h", profile=name, id="x", pulse_weight=weight)
    meter = Meter(_Noise(words), named, profile)

    async def once() -> Outcome | None:
        try:
            await meter.open()
            return await meter.read()
        except RetryError:
            return None

    outcome = asyncio.run(once())
    for sample in outcome.samples if outcome else ():
        unit = CATALOGUE[sample.quantity].unit
        assert flaw_of(sample.resource, sample.quantity, unit, sample.value) is None


MAINS = """
title = "Of one's own"
maker = "test"
models = ["T2"]
source = "made up for this test"
verified = true
gap = 0
""" + "".join(
    f'[[points]]\nquantity = "{quantity}"\n{part}address = {address}\nform = "{form}"\n'
    f'unit = "{unit}"\n'
    for address, quantity, part, form, unit in (
        (0, "energy", "", "uint32", "kWh"),
        (2, "power", "", "int32", "W"),
        (4, "power", 'part = "L1"\n', "int32", "W"),
        (6, "power", 'part = "L2"\n', "int32", "W"),
        (20, "voltage", 'part = "L1"\n', "float32", "V"),
        (22, "voltage", 'part = "L2"\n', "float32", "V"),
        (40, "temperature", 'part = "inside"\n', "int16", "Cel"),
    )
)


async def mains(
    tmp_path: Path, *, power: tuple[int, int, int], volts: tuple[float, float] | None
) -> Outcome:
    """A reading of a meter of two phases; its voltages are refused as busy where they are None."""
    path = tmp_path / "mains.toml"
    path.write_text(MAINS)
    held = {0: 0, 1: 1000, 40: 21}
    for address, watts in zip((2, 4, 6), power, strict=True):
        held |= dict(zip((address, address + 1), words_of(watts, load_form("int32")), strict=True))
    for address, volt in zip((20, 22), volts or (0, 0), strict=True):
        held |= dict(zip((address, address + 1), words_of(volt, load_form("float32")), strict=True))
    asked: list[int] = []

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        first = int.from_bytes(request[8:10], "big")
        asked.append(first)
        if first == 20 and volts is None and asked.count(20) > 1:
            writer.write(reply(request, bytes([request[7] | 0x80, 6])))
        else:
            writer.write(holding(request, held))

    async with answering(answer) as served, metered(served.port, str(path), id="m") as meter:
        await meter.open()
        return await meter.read()


@pytest.mark.parametrize(
    ("power", "volts", "believed"),
    [
        ((3000, 1000, 2000), (230.1, 231.2), True),
        ((0, 0, 0), (0.0, 0.0), True),  # a dead line, its meter fed from elsewhere
        ((0, 0, 0), (0.2, 0.0), True),
        ((2000, 0, 2000), (0.4, 230.0), True),  # a phase without a load
        ((3000, 1000, 2000), None, True),  # not read this time: that says nothing
        ((3000, 1000, 2000), (0.0, 0.0), False),
        ((3000, 1000, 2000), (2.3e9, 230.0), False),
        ((3000, 1000, 2000), (float("nan"), float("nan")), False),
    ],
)
async def test_volts_that_cannot_be_take_the_powers_with_them(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    power: tuple[int, int, int],
    volts: tuple[float, float] | None,
    believed: bool,
) -> None:
    """Registers of another meter give numbers too; what is no electricity is kept."""
    with caplog.at_level(logging.WARNING, "jauge_agent"):
        outcome = await mains(tmp_path, power=power, volts=volts)
    found = values(outcome)
    assert found["sensor:m.inside/temperature"] == 21
    assert ("meter:m/power" in found) is ("meter:m/energy" in found) is believed
    assert bool(outcome.failed.get("scale")) is not believed
    events = [record.getMessage() for record in caplog.records]
    assert events == ([] if believed else ["values out of scale"])


async def test_a_phase_that_runs_backwards_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No reading, a reason of its own, and one line that says which."""
    with caplog.at_level(logging.WARNING, "jauge_agent"):
        outcome = await mains(tmp_path, power=(1000, -1000, 2000), volts=(230.1, 231.2))
    found = values(outcome)
    assert "phase:m.L1/power" not in found
    assert (found["meter:m/power"], found["phase:m.L2/power"]) == (1000, 2000)
    assert outcome.failed["negative"] == 1
    (record,) = caplog.records
    assert record.getMessage() == "power flows back"
    assert record.__dict__["fields"]["what"] == "phase:m.L1"
