"""Secrets of devices: checked one way for all sources, and never told."""

from pathlib import Path

import pytest
from jauge_agent import cli
from jauge_agent.secret_files import SecretError, is_secret, read_secret
from jauge_agent.source import FatalError
from jauge_agent.sources.redfish.source import BmcSource, RedfishDevice, RedfishSettings
from jauge_agent.sources.snmp.device import secrets_of
from jauge_agent.sources.snmp.settings import SnmpDeviceSettings
from jauge_agent.trust import Trust

SECTIONS = {
    "sources.snmp.devices[0].community_file": (
        '[[sources.snmp.devices]]\nhost = "a"\ncommunity_file = FILE\n'
    ),
    "sources.snmp.devices[0].auth_file": (
        '[[sources.snmp.devices]]\nhost = "a"\nuser = "u"\nauth_file = FILE\n'
    ),
    "sources.snmp.devices[0].privacy_file": (
        '[[sources.snmp.devices]]\nhost = "a"\nuser = "u"\nauth_file = SOUND\nprivacy_file = FILE\n'
    ),
    "sources.redfish.password_file": '[sources.redfish]\nusername = "u"\npassword_file = FILE\n',
    "sources.redfish.devices[0].password_file": (
        '[[sources.redfish.devices]]\nhost = "a"\nusername = "u"\npassword_file = FILE\n'
    ),
    "sources.ipmi.password_file": '[sources.ipmi]\nusername = "u"\npassword_file = FILE\n',
    "sources.ipmi.devices[0].password_file": (
        '[[sources.ipmi.devices]]\nhost = "a"\nusername = "u"\npassword_file = FILE\n'
    ),
}


def check(folder: Path, section: str, file: str) -> int:
    """``jauge-agent check`` of a configuration that names the file there."""
    sound = folder / "sound"
    sound.write_text("sound-secret\n")
    sound.chmod(0o600)
    (folder / "spool").mkdir(exist_ok=True)
    path = folder / "agent.toml"
    text = section.replace("FILE", f"'{file}'").replace("SOUND", f"'{sound}'")
    head = 'site = "lab"\nagent = "a1"\n[broker]\ntls = false\n'
    head += f'[spool]\ndirectory = "{folder}/spool"\n'
    path.write_text(head + text)
    return cli.main(["check", "--config", str(path)])


@pytest.mark.parametrize("key", SECTIONS)
def test_a_secret_that_cannot_be_used_is_one_line_of_check(
    key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing, empty, binary, or written in the place of its file: the key and the fault."""
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.write_text("\n")
    binary.write_bytes(b"\xff\xfe")
    for file, fault in (
        (str(tmp_path / "missing"), f"{tmp_path}/missing cannot be read: No such file"),
        (str(empty), f"{empty} is empty"),
        (str(binary), f"{binary} is not UTF-8 text"),
        ("hunter2 hunter2!", "this systemd credential cannot be read"),
    ):
        assert check(tmp_path, SECTIONS[key], file) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert f"agent.toml: {key}: {fault}" in err
        assert "hunter2" not in err


@pytest.mark.parametrize("key", SECTIONS)
def test_a_secret_that_others_may_read_is_a_warning_of_check(
    key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with the remedy; with the right mode there is none."""
    file = tmp_path / "secret"
    file.write_text("hunter2\n")
    for mode, warned in ((0o644, True), (0o640, False), (0o600, False)):
        file.chmod(mode)
        assert check(tmp_path, SECTIONS[key], str(file)) == 0
        said = capsys.readouterr().err
        assert said.count("warning") == warned, said
        assert (f"{key}: {file}: mode {mode:04o} lets others in" in said) is warned
        assert "hunter2" not in said


def test_devices_tell_no_secret_either() -> None:
    """What is written in the place of a file is in no error of a source, nor in its log."""
    snmp = SnmpDeviceSettings(host="a", community_file="hunter2!")
    bmc = RedfishDevice(host="a", username="u", password_file="hunter2!", ca_file="hunter2!")
    settings = RedfishSettings(devices=[bmc])
    with pytest.raises(FatalError, match="community_file: this systemd credential") as first:
        secrets_of(snmp)
    source = BmcSource(bmc, settings, Trust())
    with pytest.raises(FatalError, match="password_file: this systemd credential") as second:
        source._login()
    with pytest.raises(FatalError, match="ca_file: this systemd credential") as third:
        source._tls()
    for error in (first, second, third):
        assert "hunter2" not in str(error.value)


def test_what_a_file_may_hold(tmp_path: Path) -> None:
    """A line with its end taken off; a name that no file can have is none."""
    file = tmp_path / "secret"
    file.write_text("with space \r\n")
    assert read_secret(str(file)) == "with space "
    with pytest.raises(SecretError, match="this file is no file"):
        read_secret("/hunter2\0")
    assert is_secret("sources.redfish.password_file")
    assert not is_secret("sources.redfish.devices[0].ca_file")
