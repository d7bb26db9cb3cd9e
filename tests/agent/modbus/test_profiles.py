"""Every profile that comes with the agent, read from a server that holds its map."""

import math
from pathlib import Path

import pytest
from jauge_agent.source import RetryError
from jauge_agent.sources.modbus import profile as profiles
from jauge_agent.sources.modbus.blocks import blocks
from jauge_agent.sources.modbus.config import ModbusDevice, ModbusSettings
from jauge_agent.sources.modbus.profile import Point, Profile
from jauge_agent.sources.modbus.source import ModbusSource
from jauge_models.quantities import CATALOGUE
from jauge_models.readings import flaw_of
from jauge_models.wire import Method, Sample

from tests.agent.modbus.meters import (
    Registers,
    device,
    put,
    put_point,
    put_serial,
    serving,
    text_words,
    words_of,
)

PULSE_WEIGHT = 2.5
MEANT = {
    "power": 41_230.0,
    "energy": 8.64e9,
    "apparent_power": 42_000.0,
    "reactive_power": -1_250.0,
    "power_factor": 0.71,
    "frequency": 50.0,
    "current": 61.5,
    "voltage": 231.5,
    "water": 1_234.5,
    "heat": 7.2e9,
    "temperature": 18.5,
}
"""What the meter measures, in units of the catalogue."""


def meant(point: Point, place: int) -> float:
    """A value that tells a point from every other one of the same quantity."""
    return MEANT[point.quantity] * (1 + 0.01 * place)


def worth(point: Point) -> float:
    """What one count is worth."""
    return point.factor * (PULSE_WEIGHT if point.by_pulse_weight else 1)


def filled(profile: Profile) -> Registers:
    """Registers of a meter of the family that measures `MEANT`."""
    registers: Registers = {}
    for place, point in enumerate(profile.points):
        put_point(registers, profile, point, meant(point, place) / worth(point))
    for mark in profile.recognised_by:
        texts = [each.text or "" for each in profile.recognised_by if each.address == mark.address]
        words = text_words("".join(texts), mark.words) if mark.text else [mark.values[0]]
        put(registers, mark.function or profile.function, mark.address, words)
    if profile.serial is not None:
        text = "23060100004D" if profile.serial.hexadecimal else "4711042"
        put_serial(registers, profile, profile.serial, text)
    return registers


def one_meter(port: int, name: str, **more: object) -> ModbusSettings:
    """Settings for one meter of a family."""
    profile = profiles.load(name)
    settings: dict[str, object] = {"host": "127.0.0.1", "port": port, "profile": name, **more}
    if profile.counts_pulses:
        settings["pulse_weight"] = PULSE_WEIGHT
    if profile.serial is None:
        settings.setdefault("id", "plate-17")
    return ModbusSettings(answer_s=5.0, devices=[ModbusDevice(**settings)])  # type: ignore[arg-type]


def by_point(profile: Profile, samples: list[Sample]) -> dict[tuple[str, str | None], float]:
    """Values by quantity and part."""
    found: dict[tuple[str, str | None], float] = {}
    for sample in samples:
        part = sample.resource.rpartition(".")[2] if "." in sample.resource else None
        found[sample.quantity, part] = sample.value
    return found


@pytest.mark.parametrize("name", profiles.names())
async def test_a_meter_of_each_family_is_read_to_the_last_register(name: str) -> None:
    """Each value is what the meter means, as closely as its register can say it."""
    profile = profiles.load(name)
    async with serving(device(7, filled(profile))) as served:
        source = ModbusSource(one_meter(served.port, name, unit=7))
        described = await source.open()
        outcome = await source.read()
        await source.close()
    assert not outcome.failed
    found = by_point(profile, list(outcome.samples))
    assert len(found) == len(outcome.samples) == len(profile.points)
    for place, point in enumerate(profile.points):
        step = worth(point) if not point.form.value.startswith("float") else 0.0
        assert found[point.quantity, point.part] == pytest.approx(
            meant(point, place), rel=1e-6, abs=0.51 * step
        ), point
    methods = {(each.id, name): how for each in described for name, how in each.quantities.items()}
    for sample in outcome.samples:
        unit = CATALOGUE[sample.quantity].unit
        assert flaw_of(sample.resource, sample.quantity, unit, sample.value) is None
        is_total = sample.quantity in ("energy", "water", "heat")
        assert (methods[sample.resource, sample.quantity] is Method.REGISTER) == is_total
    assert set(served.functions) <= {3, 4}


@pytest.mark.parametrize("name", profiles.names())
def test_each_profile_names_its_source_and_what_is_not_sure(name: str) -> None:
    """The maker's document is named; whoever reads it knows what to compare."""
    profile = profiles.load(name)
    assert profile.source
    assert profile.models
    assert profile.stability in ("experimental", "beta")  # none was read from a real meter yet
    unsure = [point for point in profile.points if not profile.is_verified(point)]
    assert all(point.source for point in unsure if profile.verified)
    for block in blocks(
        map(profile.range_of, profile.points), most=profile.most_registers, gap=profile.gap
    ):
        assert block.count <= profile.most_registers
        assert block.address + block.count <= 65536


@pytest.mark.parametrize(
    "name", [n for n in profiles.names() if not profiles.load(n).counts_pulses]
)
async def test_what_is_not_verified_is_shown_as_such(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In the labels of the birth, and once in the log."""
    profile = profiles.load(name)
    unsure = {point.quantity for point in profile.points if not profile.is_verified(point)}
    async with serving(device(1, filled(profile))) as served:
        source = ModbusSource(one_meter(served.port, name))
        with caplog.at_level("INFO", logger="jauge_agent"):
            described = await source.open()
            await source.read()
        await source.close()
    told = {q for each in described for q in each.labels.get("unverified", "").split()}
    assert told == unsure
    said = [record for record in caplog.records if record.message == "registers not verified"]
    assert len(said) == bool(unsure)


def test_a_profile_of_ones_own_is_taken_by_its_path(tmp_path: Path) -> None:
    """And its mistakes are said in one line, with the key."""
    path = tmp_path / "mine.toml"
    good = (
        'title = "x"\nmaker = "x"\nmodels = ["x"]\nsource = "x"\n'
        '[[points]]\nquantity = "water"\naddress = 1\nform = "uint32"\nunit = "l"\n'
    )
    path.write_text(good)
    assert profiles.load(str(path)).points[0].factor == 1e-3
    for place, (wrong, message) in enumerate(
        [
            (good.replace('"l"', '"kWh"'), "is no unit of water; known are m3, l"),
            (good.replace('"water"', '"wine"'), "'wine' is no quantity of the catalogue"),
            (good.replace("address", "adress"), "adress: unknown key"),
            (good + good[good.index("[[") :], "water of the whole stands twice"),
            (good.replace("uint32", "uint33"), "uint33"),
        ]
    ):
        other = tmp_path / f"{place}.toml"
        other.write_text(wrong)
        with pytest.raises(ValueError, match="toml") as error:
            profiles.load(str(other))
        assert message in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="no profile; known are eastron"):
        profiles.load("none")
    with pytest.raises(ValueError, match="cannot be read"):
        profiles.load(str(tmp_path / "nowhere.toml"))


def test_what_is_in_doubt_is_not_called_verified() -> None:
    """Energies whose register is not sure, and a cos phi that is no power factor."""
    for name, parts in (("socomec-diris-a", {None, "export"}), ("gavazzi-em24-rs485", {None})):
        profile = profiles.load(name)
        unsure = {p.part for p in profile.points if p.quantity == "energy" and p.verified is False}
        assert unsure == parts
        assert "not verified" in profile.remark
    assert profiles.load("gavazzi-em24-rs485").stability == "experimental"
    assert profiles.load("socomec-diris-a").models == ["Diris A-30"]
    janitza = profiles.load("janitza-umg96").points
    assert not {point.address for point in janitza} & {19044, 19046, 19048}


def test_every_mean_is_finite() -> None:
    """The test's own table covers each quantity that a profile uses."""
    used = {point.quantity for name in profiles.names() for point in profiles.load(name).points}
    assert used <= MEANT.keys()
    assert all(math.isfinite(value) for value in MEANT.values())


ELECTRIC = {"power", "energy", "apparent_power", "reactive_power", "current", "voltage"}


@pytest.mark.parametrize("name", profiles.names())
async def test_words_in_the_other_order_make_no_watt(name: str) -> None:
    """The map of a meter that sends its low word first, or last, where ours does not."""
    profile = profiles.load(name)
    if not any(point.quantity == "voltage" for point in profile.points):
        pytest.skip("it tells no voltage, by which it would show")
    registers = filled(profile)
    for place, point in enumerate(profile.points):
        words = words_of(
            meant(point, place) / worth(point),
            point.form,
            word_order="big" if profile.word_order == "little" else "little",
        )
        put(registers, point.function or profile.function, point.address, words)
    async with serving(device(7, registers)) as served:
        source = ModbusSource(one_meter(served.port, name, unit=7, id="m"))
        await source.open()
        try:
            samples = (await source.read()).samples
        except RetryError:
            samples = []
        await source.close()
    assert not {sample.quantity for sample in samples} & ELECTRIC
