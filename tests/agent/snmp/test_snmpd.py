"""Against net-snmp's own agent: SNMPv2c and v3, tables, decimal digits, units, refusals."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from jauge_agent.source import FatalError, Outcome, RetryError
from jauge_agent.sources.snmp.device import ListedDevice
from jauge_agent.sources.snmp.settings import SnmpDeviceSettings, SnmpSettings
from jauge_agent.sources.snmp.source import SnmpSource

from tests.agent.snmp.agents import SYS_OBJECT_ID, Snmpd
from tests.parts import PartMissingError

PX = "1.3.6.1.4.1.13742.6"
OBJECTS = [
    (SYS_OBJECT_ID, "object_id", PX),
    (f"{PX}.3.2.1.1.3.1", "octet_str", '"PX3-5466"'),
    (f"{PX}.3.2.1.1.4.1", "octet_str", '"QKN 1234/5"'),
    (f"{PX}.3.3.3.1.2.1.1", "octet_str", '"I1"'),
    (f"{PX}.3.3.3.1.3.1.1", "octet_str", '"Feed A"'),
    *((f"{PX}.3.3.4.1.7.1.1.{kind}", "uinteger", digits) for kind, digits in ((1, "3"), (4, "0"))),
    *((f"{PX}.3.3.4.1.7.1.1.{kind}", "uinteger", digits) for kind, digits in ((5, "1"), (8, "0"))),
    *((f"{PX}.5.2.3.1.2.1.1.{kind}", "integer", "1") for kind in (1, 4, 5, 8)),
    (f"{PX}.5.2.3.1.2.1.1.6", "integer", "2"),
    (f"{PX}.5.2.3.1.4.1.1.1", "uinteger", "6532"),
    (f"{PX}.5.2.3.1.4.1.1.4", "uinteger", "231"),
    (f"{PX}.5.2.3.1.4.1.1.5", "uinteger", "14703"),
    (f"{PX}.5.2.3.1.4.1.1.6", "uinteger", "99999"),
    (f"{PX}.5.2.3.1.4.1.1.8", "uinteger", "1234567"),
    *((f"{PX}.3.5.3.1.2.1.{outlet}", "octet_str", f'"{outlet}"') for outlet in range(1, 49)),
    *((f"{PX}.3.5.4.1.7.1.{outlet}.5", "uinteger", "0") for outlet in range(1, 49)),
    *((f"{PX}.5.4.3.1.2.1.{outlet}.5", "integer", "1") for outlet in range(1, 49)),
    *((f"{PX}.5.4.3.1.4.1.{outlet}.5", "uinteger", f"{outlet}") for outlet in range(1, 49)),
    (f"{PX}.3.6.3.1.2.1.1", "integer", "10"),
    (f"{PX}.3.6.3.1.2.1.2", "integer", "10"),
    (f"{PX}.3.6.3.1.3.1.1", "octet_str", '"AEI7A00021"'),
    (f"{PX}.3.6.3.1.3.1.2", "octet_str", '"AEI7A00022"'),
    (f"{PX}.3.6.3.1.16.1.1", "integer", "7"),
    (f"{PX}.3.6.3.1.16.1.2", "integer", "14"),
    (f"{PX}.3.6.3.1.17.1.1", "uinteger", "1"),
    (f"{PX}.3.6.3.1.17.1.2", "uinteger", "1"),
    (f"{PX}.5.5.3.1.2.1.1", "integer", "1"),
    (f"{PX}.5.5.3.1.2.1.2", "integer", "1"),
    (f"{PX}.5.5.3.1.4.1.1", "integer", "-5"),
    (f"{PX}.5.5.3.1.4.1.2", "integer", "725"),
]
"""A rack PDU as its maker's MIB describes it: one inlet, 48 outlets, two probes."""


@pytest.fixture
async def pdu(tmp_path: Path) -> AsyncIterator[Snmpd]:
    """An agent that serves the PDU."""
    pytest.importorskip("gufo.snmp", reason="gufo-snmp is not installed (jauge-agent[snmp])")
    try:
        part = Snmpd(tmp_path / "snmpd", OBJECTS)
    except PartMissingError as missing:
        pytest.skip(str(missing))
    async with part:
        yield part


def settings(part: Snmpd, tmp_path: Path, version: str = "v2c", **more: str) -> SnmpDeviceSettings:
    """How to reach it; secrets in files."""
    for name, text in (("community", "public"), ("auth", "authsecret"), ("privacy", "privsecret")):
        (tmp_path / name).write_text(more.pop(name, text))
    keys = (
        {"community_file": str(tmp_path / "community")}
        if version == "v2c"
        else {
            "user": more.pop("user", "reader"),
            "auth_file": str(tmp_path / "auth"),
            "privacy_file": str(tmp_path / "privacy"),
        }
    )
    return SnmpDeviceSettings(host=part.host, port=part.port, **keys, **more)  # type: ignore[arg-type]


async def read(of: SnmpDeviceSettings, *, timeout_s: float = 5, batch: int = 20) -> Outcome:
    """Opened, read, closed."""
    device = ListedDevice(of, timeout_s=timeout_s, batch=batch)
    try:
        await device.open()
        return await device.read()
    finally:
        await device.close()


@pytest.mark.parametrize(
    ("version", "batch"),
    [("v2c", 1), ("v2c", 20), ("v2c", 400), ("v3", 1), ("v3", 20), ("v3", 85)],
)
async def test_values_come_with_their_digits_and_units(
    pdu: Snmpd, tmp_path: Path, version: str, batch: int
) -> None:
    """Decimal digits stand in another object; what is not available or not Celsius is no value.

    Batches that are too big for the agent, or for the library, are halved until they fit.
    """
    outcome = await read(settings(pdu, tmp_path, version), batch=batch)
    found = {f"{each.resource}/{each.quantity}": each.value for each in outcome.samples}
    outlets = {key: value for key, value in found.items() if key.startswith("outlet:")}
    assert found == {
        **outlets,
        "inlet:QKN-1234-5.1.1/current": pytest.approx(6.532),
        "inlet:QKN-1234-5.1.1/voltage": 231,
        "inlet:QKN-1234-5.1.1/power": pytest.approx(1470.3),
        "inlet:QKN-1234-5.1.1/energy": 1234567 * 3600,
        "pdu:QKN-1234-5/power": pytest.approx(1470.3),
        "sensor:AEI7A00021/temperature": pytest.approx(-0.5),
    }
    assert outlets == {f"outlet:QKN-1234-5.1.{n}/power": n for n in range(1, 49)}


@pytest.mark.parametrize(
    ("version", "wrong"),
    [
        ("v2c", {"community": "private"}),
        ("v3", {"user": "nobody"}),
        ("v3", {"auth": "anothersecret"}),
        ("v3", {"privacy": "anothersecret"}),
    ],
)
async def test_wrong_secrets_are_one_sentence(
    pdu: Snmpd, tmp_path: Path, version: str, wrong: dict[str, str]
) -> None:
    """No answer or a refusal: temporary, named, without the secret."""
    with pytest.raises(RetryError) as failure:
        await read(settings(pdu, tmp_path, version, **wrong), timeout_s=0.3)
    assert pdu.host in str(failure.value)
    assert "secret" not in str(failure.value)
    assert "private" not in str(failure.value)


async def test_a_secret_that_is_not_there_names_its_file(pdu: Snmpd, tmp_path: Path) -> None:
    """The device is out, and the line says which key and which file."""
    of = settings(pdu, tmp_path)
    (tmp_path / "community").unlink()
    with pytest.raises(FatalError, match=r"community_file: .*community cannot be read"):
        await read(of)


async def test_a_profile_that_does_not_exist_is_named(pdu: Snmpd, tmp_path: Path) -> None:
    """A typing error in the configuration, said before anything is asked."""
    with pytest.raises(ValueError, match="'raritan' is no profile; did you mean 'raritan-px2'"):
        settings(pdu, tmp_path, profile="raritan")


async def test_the_source_reads_its_devices_and_survives_one_that_is_gone(
    pdu: Snmpd, tmp_path: Path
) -> None:
    """Two devices, one of them silent: the other is there, and the failure is counted."""
    there = settings(pdu, tmp_path)
    gone = SnmpDeviceSettings(
        host="127.0.0.1", port=9, name="gone", community_file=str(tmp_path / "community")
    )
    source = SnmpSource(SnmpSettings(period_s=10, deadline_s=8, devices=[there, gone]))
    resources = await source.open()
    outcome = await source.read()
    await source.close()
    assert "pdu:QKN-1234-5" in {each.id for each in resources}
    assert len(outcome.samples) == 54
    assert outcome.failed in ({"retry": 1}, {"lost": 1, "retry": 1})
    labels = next(each.labels for each in resources if each.id == "pdu:QKN-1234-5")
    assert labels == {"family": "raritan-px2", "model": "PX3-5466"}
