"""``jauge-agent probe redfish://…`` and what ``sources`` says of an unconfigured source."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from jauge_agent.cli import main
from jauge_agent.config import AgentConfig
from jauge_agent.exposure import exposures
from jauge_agent.source import AbsentError
from jauge_agent.sources.redfish.source import RedfishSettings, RedfishSource

from tests.agent.redfish import machines
from tests.agent.redfish.conftest import Serving, Settings

pytest.importorskip("aiohttp", reason="aiohttp is not installed (extra redfish)")

from tests.agent.redfish.server import USER


async def test_a_probed_bmc_gives_the_section_to_paste(
    serve: Serving,
    settings: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    authority: object,
) -> None:
    """What it is, how its power is read, its values, and its keys; the session is ended."""
    server = await serve(machines.server(PowerControl=[machines.control(412, machines.SYSTEM)]))
    given = settings(server)
    keys = [f"username={USER}", f"password_file={given.password_file}", f"ca_file={given.ca_file}"]
    address = f"redfish://{server.authority}"
    assert await asyncio.to_thread(main, ["probe", address, *keys]) == 0
    out = capsys.readouterr().out
    assert f"# the power of {machines.HOST} is the member of PowerControl" in out
    assert f"# {machines.HOST}/power = 412" in out
    assert "[[sources.redfish.devices]]" in out
    assert f'host = "127.0.0.1"\nport = {server.port}\nusername = "{USER}"' in out
    assert server.opened == server.ended == 1

    assert await asyncio.to_thread(main, ["probe", address, "verify=false"]) == 1
    assert "give username=NAME password_file=FILE" in capsys.readouterr().err


def test_a_certificate_that_is_not_checked_is_named_by_check() -> None:
    """By source, and by device where only one is not checked."""
    sections: dict[str, dict[str, Any]] = {
        "redfish": {"devices": [{"host": "bmc-1", "verify": False}, {"host": "bmc-2"}]},
        "rapl": {},
    }
    found = [(each.event, each.key, each.where) for each in exposures(_config(sections))]
    assert found == [("certificate not checked", "sources.redfish.devices[0].verify", "bmc-1")]
    sections["redfish"]["verify"] = False
    keys = {each.key for each in exposures(_config(sections))}
    assert keys == {"sources.redfish.devices[0].verify", "sources.redfish.verify"}


def test_a_devices_secret_that_others_may_read_is_named(tmp_path: Path) -> None:
    """A password of a source and one of a device; authorities' certificates are for everybody."""
    for name in ("password", "authority"):
        (tmp_path / name).touch(mode=0o644)
    password, authority = str(tmp_path / "password"), str(tmp_path / "authority")
    device = {"host": "bmc-1", "password_file": password, "ca_file": authority}
    sections = {"redfish": {"password_file": password, "devices": [device]}}
    assert [each.key for each in exposures(_config(sections))] == [
        "sources.redfish.password_file",
        "sources.redfish.devices[0].password_file",
    ]


def _config(sections: dict[str, dict[str, Any]]) -> AgentConfig:
    return AgentConfig(site="lab", sources=sections)


async def test_without_a_device_the_source_says_what_to_do() -> None:
    """One line, in plain words."""
    with pytest.raises(AbsentError, match=r"no device is listed under sources\.redfish\.devices"):
        await RedfishSource(RedfishSettings()).open()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("redfish://u:s3c@bmc", "give username=NAME password_file=FILE"),
        ("ipmi://u:s3c@bmc", "give username=NAME password_file=FILE"),
        ("snmp://s3c@pdu", "community_file=FILE"),
        ("snmp://:s3c@[::1", "community_file=FILE"),
        ("snmp://[::s3c", "write scheme://host:port"),
        ("snmp://pdu:s3c", "write scheme://host:port"),
        ("snmp://pdu?community=s3c", "more than a host and a port"),
        ("https://u:s3c@bmc", "known are snmp://"),
        ("u:s3c@bmc", "known are snmp://"),
    ],
)
def test_a_secret_in_an_address_is_refused_and_not_repeated(
    address: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that says how it is given, whatever else is wrong with the address."""
    assert main(["probe", address]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err
    assert "s3c" not in err
