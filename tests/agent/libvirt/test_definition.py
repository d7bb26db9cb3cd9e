"""What a guest's definition tells: its GPUs, and what its metadata says of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jauge_agent.sources.libvirt.definition import Definition, gpus, read

PCI = """
<hostdev mode='subsystem' type='pci' managed='yes'>
  <source><address domain='0x0000' bus='{bus}' slot='0x00' function='{function}'/></source>
  <address type='pci' domain='0x0000' bus='0x05' slot='0x00' function='0x0'/>
</hostdev>"""
MDEV = """
<hostdev mode='subsystem' type='mdev' model='vfio-pci'>
  <source><address uuid='c2177883-f1bb-47f0-914d-32a22e3a8804'/></source>
</hostdev>"""


def definition(*devices: str, metadata: str = "") -> str:
    """A guest with some devices, as libvirt's documents write them."""
    inside = f"<devices>{''.join(devices)}</devices>"
    return f"<domain type='kvm'><name>a</name>{metadata}{inside}</domain>"


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    """A machine with GPUs at 65 and b1, audio and a network card beside, and a vGPU on b1."""
    devices = tmp_path / "devices" / "pci0000:00"
    listed = tmp_path / "bus" / "pci" / "devices"
    listed.mkdir(parents=True)
    for address, vendor, kind in (
        ("0000:65:00.0", "0x10de", "0x030200"),
        ("0000:65:00.1", "0x10de", "0x040300"),
        ("0000:b1:00.0", "0x10de", "0x030200"),
        ("0000:b1:00.4", "0x10de", "0x030200"),
        ("0000:3b:00.0", "0x8086", "0x020000"),
    ):
        folder = devices / address
        folder.mkdir(parents=True)
        (folder / "vendor").write_text(f"{vendor}\n")
        (folder / "class").write_text(f"{kind}\n")
        (listed / address).symlink_to(folder)
    (devices / "0000:b1:00.4" / "physfn").symlink_to(devices / "0000:b1:00.0")
    mediated = tmp_path / "bus" / "mdev" / "devices"
    mediated.mkdir(parents=True)
    uuid = "c2177883-f1bb-47f0-914d-32a22e3a8804"
    (devices / "0000:b1:00.0" / uuid).mkdir()
    (mediated / uuid).symlink_to(devices / "0000:b1:00.0" / uuid)
    return tmp_path


def test_gpus_that_are_passed_through_are_told_by_their_address(sysfs: Path) -> None:
    """Only NVIDIA's, and only what displays or computes; a network card is none."""
    found = read(
        definition(
            PCI.format(bus="0x65", function="0x0"),
            PCI.format(bus="0x65", function="0x1"),
            PCI.format(bus="0xb1", function="0x0"),
            PCI.format(bus="0x3b", function="0x0"),
            PCI.format(bus="0x99", function="0x0"),
        )
    )
    assert gpus(found, sysfs) == {"gpu": "0000:65:00.0,0000:b1:00.0"}


@pytest.mark.parametrize("device", [MDEV, PCI.format(bus="0xb1", function="0x4")])
def test_a_part_of_a_gpu_is_told_by_the_whole_one(device: str, sysfs: Path) -> None:
    """A mediated device, or a virtual function of the board."""
    assert gpus(read(definition(device)), sysfs) == {"vgpu": "0000:b1:00.0"}


def test_where_sysfs_is_hidden_nothing_is_said_of_gpus(tmp_path: Path) -> None:
    """As in a container."""
    found = read(definition(PCI.format(bus="0x65", function="0x0"), MDEV))
    assert found.pci == ["0000:65:00.0"]
    assert gpus(found, tmp_path) == {}


def test_metadata_is_told_by_the_names_of_its_elements() -> None:
    """Whatever namespace they have; the first of a name counts."""
    metadata = """<metadata><nova:instance xmlns:nova='http://openstack.org/xmlns/nova'>
      <!-- whose it is --><nova:owner><nova:project uuid='1'> health </nova:project></nova:owner>
      <nova:project>other</nova:project></nova:instance></metadata>"""
    found = read(definition(metadata=metadata))
    assert found.metadata["project"] == "health"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<domain",
        "<domain/>",
        "<!DOCTYPE x [<!ENTITY a 'b'>]><domain><metadata><x>&a;</x></metadata></domain>",
        "<domain>" + " " * 300_000 + "</domain>",
        definition(
            "<hostdev type='pci'/><hostdev type='mdev'><source><address/></source></hostdev>"
        ),
        definition(PCI.format(bus="0x" + "f" * 40, function="-1")),
    ],
)
def test_what_is_no_definition_is_an_empty_one(text: str) -> None:
    """Broken, too long, with a DTD, or without what was looked for."""
    assert read(text) == Definition([], [], {}) or read(text) == Definition()


@given(bus=st.text(max_size=6), inner=st.text(max_size=40))
def test_any_definition_is_read(bus: str, inner: str) -> None:
    """Without an error, and with no address that leads out of sysfs' folder."""
    found = read(definition(PCI.format(bus=bus, function="0x0"), inner, metadata=inner))
    assert all(set(address) <= set("0123456789abcdef:.") for address in found.pci)
    assert gpus(found, Path("/nonexistent")) == {}
