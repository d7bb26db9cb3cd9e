"""What an administrator writes about BMCs, and how mistakes in it are told."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from jauge_agent.source import FatalError
from jauge_agent.sources.ipmi.settings import IpmiDevice, IpmiSettings
from jauge_agent.sources.ipmi.source import BmcSource, Cache


@pytest.mark.parametrize(
    "devices",
    [
        [{"host": "bmc-1"}, {"host": "BMC-1"}],
        [{"host": "bmc-1", "name": "a"}, {"host": "Bmc-1", "name": "b"}],
        [{"host": "bmc-1", "name": "a"}, {"host": "bmc-2", "name": "a"}],
    ],
)
def test_a_bmc_is_listed_once(devices: list[dict[str, Any]]) -> None:
    """Names of hosts have no case; under two names its server would be counted twice."""
    with pytest.raises(msgspec.ValidationError, match="is listed twice"):
        msgspec.convert({"devices": devices}, IpmiSettings)


def test_two_ports_of_one_host_are_two_bmcs() -> None:
    """As behind an address that is translated."""
    msgspec.convert({"devices": [{"host": "h"}, {"host": "h", "port": 624}]}, IpmiSettings)


def refusal(password_file: str) -> str:
    """What is said of a file of a password."""
    device = IpmiDevice(host="h", username="u", password_file=password_file)
    with pytest.raises(FatalError) as error:
        BmcSource(device, IpmiSettings(devices=[device]), Cache(None))._credentials()
    return str(error.value)


@pytest.mark.parametrize("written", ["hunter2!", "/hunter2!", "/hunter2!/x", "hunter2!" * 40])
def test_a_password_written_in_the_place_of_its_file_is_not_repeated(written: str) -> None:
    """The key is named, and the fault."""
    said = refusal(written)
    assert "hunter2" not in said
    assert said.startswith("password_file: this ")
    assert "cannot be read" in said


def test_a_file_that_is_meant_is_named(tmp_path: Path) -> None:
    """What is missing from a folder that is there, and what is no text."""
    missing = str(tmp_path / "bmc")
    assert refusal(missing) == f"password_file: {missing} cannot be read: No such file or directory"
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    assert refusal(str(binary)) == f"password_file: {binary} is not UTF-8 text"
