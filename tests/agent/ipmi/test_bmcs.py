"""FreeIPMI's programs against OpenIPMI's simulator and a BMC with DCMI, over loopback."""

import asyncio
import grp
import logging
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
import pytest
from jauge_agent.logins import MOST_REFUSALS
from jauge_agent.programs import found
from jauge_agent.source import AbsentError, FatalError, RetryError, SourceError
from jauge_agent.sources.ipmi import programs, source
from jauge_agent.sources.ipmi.settings import IpmiSettings
from jauge_agent.sources.ipmi.source import (
    BmcSource,
    Cache,
    IpmiSource,
)
from msgspec.structs import replace

from tests.agent.ipmi.bmcs import PASSWORD, DcmiBmc, IpmiSim
from tests.agent.ipmi.conftest import Settings
from tests.parts import eventually


@asynccontextmanager
async def opened(settings: IpmiSettings) -> AsyncIterator[BmcSource]:
    """The first BMC of some settings, without a source around it."""
    cache = Cache(None)
    cache.open()
    bmc = BmcSource(settings.devices[0], settings, cache)
    try:
        await bmc.open()
        yield bmc
    finally:
        await bmc.close()
        cache.close()


async def values_of(bmc: BmcSource | IpmiSource) -> dict[str, float]:
    """One reading by ``resource/quantity``."""
    return {f"{s.resource}/{s.quantity}": s.value for s in (await bmc.read()).samples}


async def test_dcmi_tells_the_servers_power(dcmi: DcmiBmc, settings: Settings) -> None:
    """The current power, read anew each time; the password has every awkward character."""
    async with opened(settings(dcmi)) as bmc:
        assert await values_of(bmc) == {"host:server-1/power": 412}
        dcmi.says("730")
        assert await values_of(bmc) == {"host:server-1/power": 730}


@pytest.mark.parametrize(("says", "reason"), [("0", "no power"), ("412 off", "not active")])
async def test_no_measurement_is_no_value(
    says: str, reason: str, dcmi: DcmiBmc, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Zero, and statistics that are switched off: said in words, and read once they are there."""
    dcmi.says(says)
    with caplog.at_level(logging.WARNING, logger="jauge_agent"):
        async with opened(settings(dcmi, sensors=False)) as bmc:
            with pytest.raises(RetryError, match=reason):
                await bmc.read()
            dcmi.says("250")
            assert await values_of(bmc) == {"host:server-1/power": 250}
    assert ("power statistics not active" in caplog.text) == ("off" in says)


async def test_a_bmc_without_dcmi_is_unsuitable_alone(dcmi: DcmiBmc, settings: Settings) -> None:
    """A command that it does not know is said, not repeated each minute."""
    dcmi.says("unknown")
    with pytest.raises(AbsentError, match="no DCMI power"):
        async with opened(settings(dcmi, sensors=False)):
            pass


async def test_sensors_of_the_simulator(sim: IpmiSim, settings: Settings) -> None:
    """Power by the sensor that is called so, air, fans, supplies; N/A is no value."""
    async with opened(settings(sim)) as bmc:
        expected = {
            "host:server-1/power": 560,
            "sensor:server-1.intake/temperature": 24,
            "sensor:server-1.fan.Fan1/fan_speed": 100,
            "psu:server-1.1/power": 300,
            "psu:server-1.2/power": 0,
        }
        outcome = await bmc.read()
        assert {f"{s.resource}/{s.quantity}": s.value for s in outcome.samples} == expected
        assert outcome.failed == {"null": 1}
        sim.reads(1, 180)

        async def follows() -> bool:
            return (await values_of(bmc))["host:server-1/power"] == 720

        await eventually(follows, within=30)
        sim.reads(1, 0)

        async def is_gone() -> bool:
            outcome = await bmc.read()
            powers = {s.resource for s in outcome.samples if s.quantity == "power"}
            return "host:server-1" not in powers and outcome.failed["zero"] == 1

        await eventually(is_gone, within=30)


async def test_both_at_once_as_one_source(dcmi: DcmiBmc, sim: IpmiSim, settings: Settings) -> None:
    """Two BMCs behind one source; the temporary folder is gone in the end."""
    source = IpmiSource(settings(dcmi, sim))
    described = await source.open()
    assert {each.id for each in described} >= {"host:server-1", "host:server-2"}
    folder = source._cache.path
    assert is_folder(folder)
    values = await values_of(source)
    await source.close()
    assert (values["host:server-1/power"], values["host:server-2/power"]) == (412, 560)
    assert not is_folder(folder)


async def test_wrong_passwords_are_not_tried_again_and_again(
    dcmi: DcmiBmc, settings: Settings, tmp_path: Path
) -> None:
    """After three refusals the BMC is left alone for an hour."""
    given = settings(dcmi)
    wrong = tmp_path / "wrong"
    wrong.write_text("another", encoding="utf-8")
    given = settings(dcmi, devices=[replace(given.devices[0], password_file=str(wrong))])
    cache = Cache(None)
    cache.open()
    bmc = BmcSource(given.devices[0], given, cache)
    errors: list[SourceError] = []
    for _ in range(MOST_REFUSALS + 2):
        with pytest.raises(SourceError) as refused:
            await bmc.open()
        errors.append(refused.value)
    cache.close()
    assert "password invalid" in str(errors[0])
    assert all(isinstance(error, FatalError) for error in errors[MOST_REFUSALS - 1 :])
    assert "it waits" in str(errors[-1])


async def test_a_silent_bmc_is_given_up_and_its_program_ended(
    freeipmi: None, settings: Settings, tmp_path: Path
) -> None:
    """Nobody listens: the call ends with its deadline, and no program is left behind."""
    program = found(programs.DCMI)
    assert program is not None
    with deaf_bmc() as port:
        arguments = [
            "--driver-type=LAN_2_0",
            f"--hostname=127.0.0.1:{port}",
            "--get-system-power-statistics",
        ]
        secret = programs.configuration(username="jauge", password=PASSWORD)
        begun = asyncio.get_running_loop().time()
        call = asyncio.create_task(programs.run(program, arguments, secret, deadline_s=3))
        await eventually(lambda: bool(children()), within=20)
        (child,) = children()
        told = content(f"/proc/{child}/cmdline") + content(f"/proc/{child}/environ")
        assert b"get-system-power-statistics" in told
        assert PASSWORD.encode() not in told
        assert b"jauge" not in told
        with pytest.raises(TimeoutError):
            await call
        assert asyncio.get_running_loop().time() - begun < OWN_TIMEOUT_S
    assert not children()


async def test_a_cancelled_call_ends_its_program(freeipmi: None) -> None:
    """The agent stops while a program waits for a BMC that says nothing."""
    program = found(programs.SENSORS)
    assert program is not None
    with deaf_bmc() as port:
        arguments = ["--driver-type=LAN_2_0", f"--hostname=127.0.0.1:{port}"]
        begun = asyncio.get_running_loop().time()
        call = asyncio.create_task(programs.run(program, arguments, b"", deadline_s=60))
        await eventually(lambda: bool(children()), within=20)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert asyncio.get_running_loop().time() - begun < OWN_TIMEOUT_S
    assert not children()


OWN_TIMEOUT_S = 18
"""FreeIPMI gives up by itself after 20 s: what ended earlier was ended."""


@contextmanager
def deaf_bmc() -> Iterator[int]:
    """A UDP port where somebody listens and says nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        yield deaf.getsockname()[1]


def is_folder(path: str) -> bool:
    """Whether a folder is there."""
    return Path(path).is_dir()


def content(path: str) -> bytes:
    """What a file holds."""
    return Path(path).read_bytes()


def children() -> list[int]:
    """Processes that this one has started and that still run, zombies left out."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and fields[0] != "Z":
            name = (entry / "comm").read_text(encoding="utf-8").strip()
            if name.startswith("ipmi-"):
                found.append(int(entry.name))
    return found


def test_settings_refuse_what_freeipmi_would_take_for_something_else() -> None:
    """Ranges of hosts, options in the place of flags, and more than one read a minute."""
    for host in ("bmc[1-3]", "a,b", "-h", "", "bmc;reboot", "a b"):
        with pytest.raises(msgspec.ValidationError, match=r"devices\[0\]"):
            msgspec.convert({"devices": [{"host": host}]}, IpmiSettings)
    with pytest.raises(msgspec.ValidationError, match="workaround"):
        msgspec.convert({"workarounds": ["x --set-asset-tag=y"]}, IpmiSettings)
    with pytest.raises(msgspec.ValidationError, match=">= 60"):
        msgspec.convert({"period_s": 10}, IpmiSettings)


async def test_absence_is_said_in_plain_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing configured, FreeIPMI missing, no device, and a device that may not be used."""

    async def why(**given: object) -> str:
        settings = msgspec.convert({"device": str(tmp_path / "ipmi0"), **given}, IpmiSettings)
        with pytest.raises(AbsentError) as absent:
            await IpmiSource(settings).open()
        return str(absent.value)

    assert "no BMC is listed under sources.ipmi.devices" in await why()
    assert "ipmi0 is not there" in await why()
    monkeypatch.setattr(source, "found", lambda _: None)
    listed = [{"host": "bmc-1"}]
    assert await why(devices=listed) == (
        "FreeIPMI is not installed (Debian package freeipmi-tools)"
    )
    monkeypatch.setattr(source, "found", Path)
    assert "no " + str(tmp_path / "ipmi0") in await why(in_band=True)
    (tmp_path / "ipmi0").touch(mode=0o600)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "a udev rule must give it to a group" in await why(in_band=True)
    (tmp_path / "ipmi0").chmod(0o660)
    if os.geteuid() == 0:
        os.chown(tmp_path / "ipmi0", -1, grp.getgrnam("adm").gr_gid)
        assert "must be in the group adm" in await why(in_band=True)
