"""Recorded devices of others: every value within 0.1 % of what the device means.

The figures below are what a person reads off each walk with the makers' documents at hand.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
from jauge_agent.soundness import flaw_in
from jauge_agent.source import FatalError, Outcome, ResourceDescription
from jauge_agent.sources.snmp.device import ListedDevice
from jauge_agent.sources.snmp.settings import SnmpDeviceSettings

from tests.agent.snmp.agents import OUTPUT_SOURCE, WALKS, objects_of, walk

KWH = 3_600_000

APC_8641: dict[str, float] = {
    "pdu:3F3452A52295/power": 1210,
    "pdu:3F3452A52295/apparent_power": 1310,
    "pdu:3F3452A52295/power_factor": 0.94,
    "pdu:3F3452A52295/energy": 1951.6 * KWH,
    "phase:3F3452A52295.1/current": 6.5,
    "phase:3F3452A52295.1/voltage": 201,
    "phase:3F3452A52295.1/power": 1220,
    "circuit:3F3452A52295.1/current": 3.8,
    "circuit:3F3452A52295.2/current": 2.4,
    "outlet:3F3452A52295.1/current": 0.9,
    "outlet:3F3452A52295.1/power": 163,
    "outlet:3F3452A52295.1/energy": 304.6 * KWH,
}
EXPECTED: dict[str, dict[str, float]] = {
    "apc-8641": APC_8641,
    "apc-7902b": {
        "phase:5A1551F39430.1/current": 1.6,
        "circuit:5A1551F39430.1/current": 0,
        "circuit:5A1551F39430.2/current": 1.1,
    },
    "apc-8932": {
        "pdu:3F503A169043/power": 160,
        "pdu:3F503A169043/energy": 642.6 * KWH,
        "phase:3F503A169043.1/current": 1.4,
        "phase:3F503A169043.1/voltage": 121,
    },
    "eastpower-istars-swv053": {
        "phase:device.out.1/voltage": 219,
        "phase:device.out.3/load": 0.3,
        "phase:device.in.3/voltage": 234,
        "ups:device/frequency": 50,
        "ups:device/on_battery": 0,
        "battery:device/voltage": 213,
        "battery:device/temperature": 36,
        "battery:device/charge": 1,
    },
    "eaton-93e-80": {
        "ups:4K234LXX06/power": 11_400,
        "ups:4K234LXX06/load": 0.21,
        "ups:4K234LXX06/frequency": 49,
        "ups:4K234LXX06/on_battery": 0,
        "phase:4K234LXX06.out.1/power": 5100,
        "phase:4K234LXX06.out.1/current": 27,
        "phase:4K234LXX06.out.3/current": 15,
        "phase:4K234LXX06.in.1/current": 21,
        "phase:4K234LXX06.in.3/voltage": 233,
        "battery:4K234LXX06/voltage": 521,
        "sensor:4K234LXX06.ambient/temperature": 25,
    },
    "eaton-9px-partial": {
        "ups:GX13G45099/power": 50,
        "ups:GX13G45099/load": 0.09,
        "ups:GX13G45099/on_battery": 0,
        "phase:GX13G45099.out.1/voltage": 231,
        "phase:GX13G45099.in.1/voltage": 243,
        "battery:GX13G45099/runtime": 17_218,
        "battery:GX13G45099/voltage": 78,
    },
    "huawei-gse200m": {
        "ups:2102310NYJ10EB000045/power": 10_500,
        "ups:2102310NYJ10EB000045/frequency": 49.99,
        "ups:2102310NYJ10EB000045/on_battery": 0,
        "phase:2102310NYJ10EB000045.out.1/voltage": 221.3,
        "phase:2102310NYJ10EB000045.out.1/current": 12.1,
        "phase:2102310NYJ10EB000045.out.1/power": 2100,
        "phase:2102310NYJ10EB000045.out.3/power": 6000,
        "phase:2102310NYJ10EB000045.out.3/apparent_power": 6400,
        "phase:2102310NYJ10EB000045.out.3/load": 0.481,
    },
    "ingrasys-power-switch": {
        "ups:device/power": 21_100,
        "ups:device/on_battery": 0,
        "phase:device.out.1/power": 7900,
        "phase:device.out.1/current": 40,
        "phase:device.out.2/current": 28,
        "phase:device.in.2/voltage": 229,
        "battery:device/voltage": 273,
    },
    "phoenixtec-power": {
        "ups:device/on_battery": 0,
        "phase:device.out.1/voltage": 231,
        "phase:device.in.1/voltage": 238,
        "battery:device/voltage": 41,
        "battery:device/temperature": 31,
    },
    "vertiv-power": {
        "sensor:416791G106T2010SEP230036.return/temperature": 23,
        "sensor:416791G106T2010SEP230036.return/humidity": 42,
    },
}


async def read(
    port: int, name: str, tmp_path: Path, *, profile: str | None = None
) -> tuple[list[ResourceDescription], Outcome]:
    """One device, opened and read once."""
    secret = tmp_path / "community"
    secret.write_text(f"{name}\n")
    device = ListedDevice(
        SnmpDeviceSettings(
            host="127.0.0.1",
            port=port,
            name="device",
            community_file=str(secret),
            profile=profile,
        ),
        timeout_s=5,
        batch=20,
    )
    try:
        resources = await device.open()
        return list(resources), await device.read()
    finally:
        await device.close()


def values(outcome: Outcome) -> dict[str, float]:
    """Values by series."""
    return {f"{each.resource}/{each.quantity}": each.value for each in outcome.samples}


@pytest.mark.parametrize("name", EXPECTED)
async def test_each_value_is_what_the_device_means(
    recorded: int, name: str, tmp_path: Path
) -> None:
    """Within 0.1 %; each series once, described, inside the catalogue's range."""
    resources, outcome = await read(recorded, name, tmp_path)
    found = values(outcome)
    expected = EXPECTED[name]
    assert {key: found.get(key) for key in expected} == {
        key: pytest.approx(value, rel=1e-3) for key, value in expected.items()
    }
    assert len(found) == len(outcome.samples)
    described = {f"{each.id}/{quantity}" for each in resources for quantity in each.quantities}
    assert found.keys() <= described
    assert [sample for sample in outcome.samples if flaw_in(sample)] == []


def test_every_walk_is_judged() -> None:
    """Ten walks have figures, the eleventh has no profile."""
    assert set(WALKS) - set(EXPECTED) == {"emerson-network-power"}


async def test_a_device_without_a_profile_gives_no_watt(recorded: int, tmp_path: Path) -> None:
    """It is named by its sysObjectID, and nothing of it is guessed."""
    with pytest.raises(FatalError, match=r"no profile fits .*1\.3\.6\.1\.4\.1\.13400\.2\.1"):
        await read(recorded, "emerson-network-power", tmp_path)


@pytest.mark.parametrize("name", OUTPUT_SOURCE)
@pytest.mark.parametrize(("source", "states"), [(5, [1]), (4, [0]), (1, [])])
async def test_a_ups_says_whether_it_is_on_battery(
    recorded: int, name: str, source: int, states: list[float], tmp_path: Path
) -> None:
    """battery(5) is 1, bypass(4) is 0; other(1) is no value: it is counted and stays described."""
    resources, outcome = await read(recorded, f"{name}-fed-from-{source}", tmp_path)
    assert [s.value for s in outcome.samples if s.quantity == "on_battery"] == states
    assert outcome.failed.get("state", 0) == (not states)
    assert [each.id for each in resources if "on_battery" in each.quantities]


async def test_the_total_of_a_pdu_stands_once(recorded: int, tmp_path: Path) -> None:
    """APC 8641: 1.21 kW stands in three branches; its outlets are another kind, and agree."""
    resources, outcome = await read(recorded, "apc-8641", tmp_path)
    powers = {s.resource: s.value for s in outcome.samples if s.quantity == "power"}
    totals = {name: watts for name, watts in powers.items() if name.startswith("pdu:")}
    assert totals == {"pdu:3F3452A52295": 1210}
    outlets = [watts for name, watts in powers.items() if name.startswith("outlet:")]
    assert len(outlets) == 24
    raw = dict(objects_of(walk("apc-8641")))
    assert sum(outlets) == sum(
        float(raw[f"1.3.6.1.4.1.318.1.1.26.9.4.3.1.7.{outlet}"]) for outlet in range(1, 25)
    )
    (named,) = [each for each in resources if each.id == "outlet:3F3452A52295.1"]
    assert named.name == "CP-CM-SAN-01"
    assert named.labels["model"] == "AP8641"


async def test_minus_one_is_no_value(recorded: int, tmp_path: Path) -> None:
    """APC 7902B gives -1 where it measures nothing: no power, no energy, not even described."""
    resources, outcome = await read(recorded, "apc-7902b", tmp_path)
    assert {sample.quantity for sample in outcome.samples} == {"current"}
    assert {quantity for each in resources for quantity in each.quantities} == {"current"}
    assert all(sample.value >= 0 for sample in outcome.samples)


async def test_zero_watts_at_21_amperes_is_suspicious(
    recorded: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Eaton 93E: counted for each phase, said once each, and no zero leaves."""
    with caplog.at_level(logging.WARNING, "jauge_agent"):
        _, outcome = await read(recorded, "eaton-93e-80", tmp_path)
    assert outcome.failed["suspicious"] == 3
    powers = {s.resource: s.value for s in outcome.samples if s.quantity == "power"}
    assert not [name for name in powers if ".in." in name or name.startswith("inlet:")]
    assert min(powers.values()) > 0
    said = [record.__dict__["fields"]["detail"] for record in caplog.records]
    assert said == [f"phase:4K234LXX06.in.{line}: 0 W at 21 A" for line in (1, 2, 3)]


async def test_zero_watts_at_a_fifth_of_the_load_is_suspicious(
    recorded: int, tmp_path: Path
) -> None:
    """A UPS that says 20 % load and 0 W gives neither a power nor a total."""
    _, outcome = await read(recorded, "eastpower-istars-swv053", tmp_path)
    assert not [each for each in outcome.samples if each.quantity in ("power", "current")]
    assert outcome.failed["suspicious"] == 6


async def test_a_wrong_profile_yields_no_wrong_watt(recorded: int, tmp_path: Path) -> None:
    """Huawei's UPS-MIB is out of scale: read by that profile, all its powers are withheld."""
    _, outcome = await read(recorded, "huawei-gse200m", tmp_path, profile="ups-mib")
    assert outcome.samples
    assert not [each for each in outcome.samples if each.quantity in ("power", "apparent_power")]
    assert outcome.failed["scale"] > 0


async def test_padding_is_no_phase(recorded: int, tmp_path: Path) -> None:
    """A UPS of one phase that fills three rows with zeros has one phase."""
    resources, _ = await read(recorded, "phoenixtec-power", tmp_path)
    phases = {each.id: each.labels for each in resources if each.id.startswith("phase:")}
    assert phases.keys() == {"phase:device.out.1", "phase:device.in.1"}
    assert phases["phase:device.in.1"] == {
        "family": "ups-mib",
        "phase": "L1",
        "side": "input",
    }


GEIST_TENTHS = (
    "1.3.6.1.4.1.21239.5.1.2.1.5.1",
    "1.3.6.1.4.1.21239.5.1.4.1.5.2",
    "1.3.6.1.4.1.21239.5.1.4.1.5.3",
)


async def tenths(port: int, name: str, oids: Sequence[str]) -> list[int]:
    """What the device itself says at once, unread by any profile."""
    from gufo.snmp.aio import SnmpSession

    async with SnmpSession("127.0.0.1", port=port, community=name, timeout=5) as session:
        return [int(str(await session.get(oid))) for oid in oids]


async def test_probes_have_identities_and_celsius(recorded: int, tmp_path: Path) -> None:
    """Geist: each probe under its own serial number, tenths of degrees Celsius."""
    resources, outcome = await read(recorded, "geist-temperature-sensor", tmp_path)
    assert {each.id for each in resources} == {
        "sensor:217523ABB6E2C2F9",
        "sensor:F4222224D25BF414",
        "sensor:32222220FA2AA1356",
    }
    temperatures = [s.value for s in outcome.samples if s.quantity == "temperature"]
    assert len(temperatures) == 3
    shown = sorted(await tenths(recorded, "geist-temperature-sensor", GEIST_TENTHS))
    # The recording drifts while it is served; a wrong scale would be ten times off.
    assert sorted(temperatures) == pytest.approx([each / 10 for each in shown], abs=3.0)
