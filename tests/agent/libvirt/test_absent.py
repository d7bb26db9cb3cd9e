"""Where there is no libvirt, or none that may be asked: said in one line, with what helps."""

import os
import socket
from pathlib import Path

import pytest
from jauge_agent.source import AbsentError
from jauge_agent.sources.libvirt import library, source, virsh
from jauge_agent.sources.libvirt.source import LibvirtSettings, LibvirtSource


async def refusal(uri: str = "qemu:///system") -> str:
    """Why the source is absent."""
    made = LibvirtSource(LibvirtSettings(uri=uri))
    with pytest.raises(AbsentError) as absent:
        await made.open()
    await made.close()
    assert "\n" not in str(absent.value)
    return str(absent.value)


async def test_without_module_and_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both packages are named."""
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(library, "found", lambda: False)
    said = await refusal()
    assert "python3-libvirt" in said
    assert "libvirt-clients" in said


async def test_without_a_daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The programs of a client alone make no host."""
    monkeypatch.setattr(virsh, "found", lambda: Path("/usr/bin/virsh"))
    monkeypatch.setattr(source, "_SOCKETS", (str(tmp_path / "libvirt-sock-ro"),))
    assert "enable libvirtd.socket or virtqemud.socket" in await refusal()
    other = tmp_path / "other"
    assert f"serves {other}:" in await refusal(f"qemu+unix:///system?socket={other}")


async def test_without_the_right_to_ask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The group is named that may."""
    monkeypatch.setattr(virsh, "found", lambda: Path("/usr/bin/virsh"))
    place = tmp_path / "libvirt-sock-ro"
    with socket.socket(socket.AF_UNIX) as served:
        served.bind(str(place))
        monkeypatch.setattr(source, "_SOCKETS", (str(place),))
        monkeypatch.setattr(os, "access", lambda *_: False)
        os.chown(place, -1, os.getgid())
        said = await refusal()
    assert "may not be used" in said
    assert "in the group" in said or "unix_sock_ro_perms" in said


@pytest.mark.parametrize(
    "uri",
    [
        *("qemu+ssh://host/system", "xen:///system", "qemu:///system?socket=x y", ""),
        *("qemu+unix:///system?socket=relative", "qemu:///system;x", "--help"),
    ],
)
def test_only_this_machines_qemu_can_be_asked(uri: str) -> None:
    """Another machine's guests would be told as this one's."""
    with pytest.raises(ValueError, match="no QEMU of this machine"):
        LibvirtSettings(uri=uri)
