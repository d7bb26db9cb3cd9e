"""``jauge-agent probe snmp://…`` and the settings: one line for each mistake, no secret shown."""

import json
import tomllib
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from jauge_agent.cli import main
from jauge_agent.config import configured_sources
from jauge_models.configuration import ConfigurationError


def probe(*words: str) -> int:
    """Run the command."""
    return main(["probe", *words])


@pytest.fixture
def community(tmp_path: Path) -> Path:
    """The file of the community of an APC 8641."""
    path = tmp_path / "community"
    path.write_text("apc-8641")
    return path


def test_what_is_printed_can_be_pasted(
    recorded: int, community: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A section of the configuration that is taken as it is, with today's values as comments."""
    assert probe(f"snmp://127.0.0.1:{recorded}", f"community_file={community}") == 0
    out = capsys.readouterr().out
    assert "# pdu:3F3452A52295/power = 1210\n" in out.replace("  (pwr-dc01-pdu-rack01-01)", "")
    assert "AP8641, serial number 3F3452A52295" in out
    tree = tomllib.loads(out)
    assert tree["sources"]["snmp"]["devices"] == [
        {
            "host": "127.0.0.1",
            "port": recorded,
            "community_file": str(community),
            "profile": "apc-rpdu2",
        }
    ]
    sources = configured_sources(tree["sources"], file="agent.toml")
    (snmp,) = [each for each in sources if each.name == "snmp"]
    assert snmp.settings.devices[0].profile == "apc-rpdu2"  # type: ignore[attr-defined]
    assert "apc-8641" not in out


def test_as_json(recorded: int, community: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for programs."""
    address = f"snmp://127.0.0.1:{recorded}"
    assert probe(address, f"community_file={community}", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["source"] == "snmp"
    assert found["settings"]["profile"] == "apc-rpdu2"
    assert ["pdu:3F3452A52295", "power", 1210.0] in found["samples"]


def test_a_device_without_a_profile_is_told_apart(
    recorded: int, community: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1 and its sysObjectID, which is what a new profile begins with."""
    community.write_text("emerson-network-power")
    assert probe(f"snmp://127.0.0.1:{recorded}", f"community_file={community}") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "no profile fits the device (sysObjectID 1.3.6.1.4.1.13400.2.1)" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["telnet://pdu"], "not an address to probe; known are snmp://"),
        (["snmp://"], "names no host"),
        (["snmp://pdu:many"], "write scheme://host:port"),
        (["snmp://public@pdu"], "a secret stands in the address"),
        (["snmp://pdu", "public"], "not KEY=VALUE"),
        (["snmp://pdu"], "give community_file (SNMPv2c) or user (SNMPv3)"),
        (["snmp://pdu", "comunity_file=x"], "did you mean 'community_file'?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong, and what to write."""
    assert probe(*words) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err
    assert "public@" not in err


@pytest.mark.parametrize(
    ("device", "says"),
    [
        ({}, "devices[0].host: missing"),
        ({"host": "a", "community_file": "c", "user": "u"}, "give community_file"),
        ({"host": "a", "community_file": "c", "auth_file": "f"}, "need a user"),
        ({"host": "a", "user": "u", "privacy_file": "f"}, "privacy_file needs auth_file"),
        ({"host": "a", "community_file": "c", "name": "a b"}, "is not a name"),
        ({"host": "a", "community": "public"}, "unknown key"),
        ({"host": "a", "community_file": "c", "profile": "apc-rpdu3"}, "did you mean 'apc-rpdu'?"),
        ({"host": "a", "community_file": "c", "profile": "x"}, "known are apc-probe, apc-rpdu,"),
        ({"host": "http://a", "community_file": "c"}, "'http://a' is no name or address"),
        ({"host": "a b", "community_file": "c"}, "'a b' is no name or address"),
        ({"host": "", "community_file": "c"}, "'' is no name or address"),
        ({"host": "public@a", "community_file": "c"}, "host is no name or address"),
    ],
)
def test_settings_that_cannot_be_are_refused(device: dict[str, str], says: str) -> None:
    """With the path in the file."""
    with pytest.raises(ConfigurationError) as refused:
        configured_sources({"snmp": {"devices": [device]}}, file="agent.toml")
    assert says in str(refused.value)
    assert "sources.snmp.devices[0]" in str(refused.value)
    assert "public" not in str(refused.value) or "community" in device


def test_two_devices_of_one_name_are_refused() -> None:
    """Their series would meet."""
    device = {"host": "a", "community_file": "c"}
    with pytest.raises(ConfigurationError, match="'a' is listed twice"):
        configured_sources({"snmp": {"devices": [device, device]}}, file="agent.toml")


@pytest.mark.parametrize(
    ("first", "second", "refused"),
    [
        ({}, {"host": "PDU-A"}, True),
        ({}, {"profile": "apc-probe"}, True),
        ({"profile": "apc-probe"}, {}, True),
        ({"profile": "apc-probe"}, {"profile": "apc-probe"}, True),
        ({"profile": "apc-rpdu2"}, {"profile": "apc-probe"}, False),
        ({}, {"port": 1161}, False),
        ({}, {"host": "pdu-b"}, False),
    ],
)
def test_one_device_is_listed_once_for_each_thing_that_it_is(
    first: dict[str, Any], second: dict[str, Any], refused: bool
) -> None:
    """Under two names its values would stand twice; as a PDU and as its probes they do not."""
    devices = [
        {"host": "pdu-a", "community_file": "c", "name": "one"} | first,
        {"host": "pdu-a", "community_file": "c", "name": "two"} | second,
    ]
    context = (
        pytest.raises(ConfigurationError, match="is listed twice; one that is two things")
        if refused
        else nullcontext()
    )
    with context:
        configured_sources({"snmp": {"devices": devices}}, file="agent.toml")
