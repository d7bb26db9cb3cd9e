"""What a guest was given, by its definition (libvirt.org/formatdomain.html): GPUs, and who it is.

A GPU that is passed through is the guest's alone: the host's NVIDIA driver, and with it the source
``nvml``, does not see it. So it is told by its PCI address. A part of one (vGPU) is told by the
address of the GPU it is a part of; that one the host's driver does see.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from jauge_agent.sysfs import text_of

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

NVIDIA: Final = "0x10de"
_DISPLAY: Final = "0x03"
"""First byte of the PCI class of GPUs; their audio functions and USB ports have others."""
_LONGEST: Final = 256 * 1024
_MOST: Final = 64
"""Devices and elements of one definition that are looked at."""
_LONGEST_LABEL: Final = 128
_HEX: Final = re.compile(r"(0x)?[0-9A-Fa-f]{1,8}", re.ASCII)
_MDEV: Final = re.compile(r"[0-9a-f-]{36}", re.ASCII)


class Definition(NamedTuple):
    """Out of a guest's XML."""

    pci: Sequence[str] = ()
    """Addresses of the host's PCI devices that are passed through, as ``0000:65:00.0``."""
    mediated: Sequence[str] = ()
    """UUIDs of the mediated devices that it holds."""
    metadata: Mapping[str, str] = {}
    """Texts of the elements of its metadata, by their names without a namespace."""


def read(xml: str) -> Definition:
    """Never raises: what is not as libvirt documents it is left out."""
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - only where guests run

    # libvirt writes no DTD, and without one there is nothing to expand.
    if len(xml) > _LONGEST or "<!DOCTYPE" in xml:
        return Definition()
    try:
        root = ET.fromstring(xml)  # noqa: S314 - see above
    except ET.ParseError:
        return Definition()
    pci: list[str] = []
    mediated: list[str] = []
    for device in root.findall("./devices/hostdev")[:_MOST]:
        address = device.find("./source/address")
        if address is None:
            continue
        if device.get("type") == "pci" and (written := _written(address)):
            pci.append(written)
        uuid = address.get("uuid", "").lower()
        if device.get("type") == "mdev" and _MDEV.fullmatch(uuid):
            mediated.append(uuid)
    metadata: dict[str, str] = {}
    about = root.find("./metadata")
    for element in [] if about is None else list(about.iter())[: _MOST * 4]:
        if text := printable(element.text or ""):
            metadata.setdefault(element.tag.rpartition("}")[2], text)
    return Definition(pci, mediated, metadata)


def gpus(definition: Definition, sysfs: Path) -> dict[str, str]:
    """Labels ``gpu`` (whole) and ``vgpu`` (part of): addresses, several parted by a comma."""
    whole: set[str] = set()
    part_of: set[str] = set()
    for address in definition.pci:
        folder = sysfs / "bus" / "pci" / "devices" / address
        if text_of(folder / "vendor") != NVIDIA:
            continue
        if not text_of(folder / "class").startswith(_DISPLAY):
            continue
        parent = folder / "physfn"
        if parent.exists():
            part_of.add(parent.resolve().name)
        else:
            whole.add(address)
    for uuid in definition.mediated:
        parent = (sysfs / "bus" / "mdev" / "devices" / uuid).resolve().parent
        if text_of(parent / "vendor") == NVIDIA:
            part_of.add(parent.name)
    labels = {"gpu": ",".join(sorted(whole)), "vgpu": ",".join(sorted(part_of))}
    return {name: value for name, value in labels.items() if value}


def printable(text: str) -> str:
    """A text fit for a label."""
    return "".join(letter for letter in text if letter.isprintable()).strip()[:_LONGEST_LABEL]


def _written(address: "Element") -> str:
    """A PCI address as sysfs writes it; empty when it is none."""
    parts = [address.get(key, "") for key in ("domain", "bus", "slot", "function")]
    if not all(_HEX.fullmatch(part) for part in parts):
        return ""
    domain, bus, slot, function = (int(part, 16) for part in parts)
    return f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"
