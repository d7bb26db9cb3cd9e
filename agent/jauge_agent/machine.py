"""What machine this is: labels of its host, to tell its power by and to know it in an inventory.

From ``cpuinfo`` and ``meminfo`` of procfs (proc(5)) and the firmware's DMI strings in sysfs. Serial
number and UUID are for root alone there: an agent without that right leaves them out, and nothing
else depends on them. All of it is read once: it does not change while the machine runs.
"""

from pathlib import Path
from typing import Final

from jauge_agent.identities import IS_UUID, is_placeholder
from jauge_agent.sysfs import text_of

_CLOUDS: Final = {
    "Alibaba Cloud ECS": "Alibaba Cloud",
    "Amazon EC2": "Amazon EC2",
    "DigitalOcean": "DigitalOcean",
    "Google Compute Engine": "Google Cloud",
    "Hetzner": "Hetzner",
    "OpenStack Compute": "OpenStack",
    "OpenStack Nova": "OpenStack",
    "Scaleway": "Scaleway",
    "UpCloud": "UpCloud",
}
"""By vendor or product in DMI, as cloud-init (tools/ds-identify) and systemd tell them."""

_METAL: Final = "metal"
"""In the product's name where a cloud lets the whole machine: no part of one."""

_AZURE: Final = "7783-7084-3265-9085-8269-3286-77"
"""Chassis tag of every virtual machine there (cloud-init, tools/ds-identify)."""

_VIRTUAL: Final = ("bhyve", "bochs", "hvm domu", "kvm", "qemu", "virtual", "vmware", "xen")
"""What products of hypervisors have in their names; systemd's src/basic/virt.c has such a list."""

_NOBODYS: Final = frozenset(
    {"", "default string", "none", "not specified", "system product name", "to be filled by o.e.m."}
)
"""What firmware says whose maker did not fill it in."""


def labels_of(procfs: Path, sysfs: Path) -> dict[str, str]:
    """Labels of the host, of what can be told: none is made up.

    ``cpu``: the processor's model; ``processors``: logical ones; ``memory_gb``: GB as the kernel
    has it, a little less than built in; ``vendor``, ``product``: maker and model of the server;
    ``virtual``: the cloud's name where it is known, else "yes", only for a virtual machine. Of a
    machine that is none also ``serial``, ``uuid`` (RFC 9562, small letters) and ``asset_tag``,
    unless it is what many machines tell.
    """
    processors = _processors(text_of(procfs / "cpuinfo"))
    memory = _memory_gb(text_of(procfs / "meminfo"))
    dmi = sysfs / "class" / "dmi" / "id"
    product, vendor = text_of(dmi / "product_name"), text_of(dmi / "sys_vendor")
    labels = {
        "cpu": next((p["model name"] for p in processors if "model name" in p), ""),
        "processors": str(len(processors) or ""),
        "memory_gb": "" if memory is None else f"{memory:.1f}",
        "vendor": "" if vendor.lower() in _NOBODYS else vendor,
        "product": "" if product.lower() in _NOBODYS else product,
        "virtual": "",
    }
    cloud = _CLOUDS.get(vendor) or _CLOUDS.get(product) or ""
    if text_of(dmi / "chassis_asset_tag") == _AZURE:
        cloud = "Microsoft Azure"
    is_let = bool(cloud) and _METAL not in product.lower()
    if is_let or _is_guest(processors, f"{vendor} {product}", procfs):
        labels["virtual"] = cloud or "yes"
    else:
        labels |= _identity(dmi)
    return {name: text for name, text in labels.items() if text}


def _identity(dmi: Path) -> dict[str, str]:
    """By what an inventory knows the machine; a virtual one has what its host made up."""
    uuid = text_of(dmi / "product_uuid").lower()
    found = {
        "serial": text_of(dmi / "product_serial"),
        "uuid": uuid if IS_UUID.fullmatch(uuid) else "",
        "asset_tag": text_of(dmi / "chassis_asset_tag"),
    }
    return {name: "" if is_placeholder(text) else text for name, text in found.items()}


def _processors(text: str) -> list[dict[str, str]]:
    """What the kernel says of each logical processor that is on."""
    found: list[dict[str, str]] = []
    for line in text.splitlines():
        name, _, value = line.partition(":")
        key = name.strip()
        if key == "processor" and value.strip().isdecimal():
            found.append({})
        elif found:
            found[-1][key] = " ".join(value.split())
    return found


def _memory_gb(text: str) -> float | None:
    for line in text.splitlines():
        if line.startswith("MemTotal:"):
            amount = line.split()[1:2]
            return int(amount[0]) * 1024 / 1e9 if amount and amount[0].isdecimal() else None
    return None


def _is_guest(processors: list[dict[str, str]], names: str, procfs: Path) -> bool:
    """Whether a hypervisor shows itself; Xen does so to the one guest that is the host, too."""
    if "control_d" in text_of(procfs / "xen" / "capabilities"):
        return False
    flags = processors[0].get("flags", "").split() if processors else []
    return "hypervisor" in flags or any(name in names.lower() for name in _VIRTUAL)
