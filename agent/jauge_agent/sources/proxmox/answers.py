"""What the API says, as values and identities. Never raises: what is not as documented is left out.

Documents: the API viewer of Proxmox VE, ``GET /cluster/resources``, ``/cluster/status``,
``/nodes/{node}/status``, ``/nodes/{node}/qemu/{vmid}/config``.

Proxmox VE writes 0 for a figure that it does not have (pve-manager, ``PVE/API2Tools.pm``,
``extract_node_stats`` and ``extract_vm_stats``). So a running guest of no processors or no memory
is one whose figures are missing, and a counter that falls to 0 while the guest has run on is no
value.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from jauge_models.quantities import CATALOGUE
from jauge_models.resources import MAX_NAME_LENGTH, identity, number_of

from jauge_agent.finite import finite
from jauge_agent.identities import IS_UUID

MOST_BUSY: Final = 8.0
"""A guest's processors may seem busier than they can be, by what its emulated devices take; more
than this is no value."""

COUNTERS: Final = ("disk_read", "disk_written", "network_received", "network_sent")

_NODE: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)
_NO_UUID: Final = "00000000-0000-0000-0000-000000000000"
_DECIMAL: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?", re.ASCII)
_LONGEST_TEXT: Final = 128


class Node(NamedTuple):
    """One node of the list of all."""

    name: str
    is_online: bool
    in_maintenance: bool
    values: Mapping[str, float]
    """By quantity."""
    uptime: float | None

    @property
    def resource(self) -> str:
        """``host:<node>``."""
        return f"host:{self.name}"


class Guest(NamedTuple):
    """One virtual machine or container of the list of all, which runs."""

    vmid: int
    is_container: bool
    node: str
    name: str
    tags: Sequence[str]
    values: Mapping[str, float]
    uptime: float


class Resources(NamedTuple):
    """What the list of all says."""

    nodes: Sequence[Node]
    guests: Sequence[Guest]
    failed: Counter[str]


def resources(data: object) -> Resources:
    """Nodes, and guests that run; a name or a number that stands there twice counts once."""
    failed: Counter[str] = Counter()
    nodes: dict[str, Node] = {}
    guests: dict[int, Guest] = {}
    for entry in data if isinstance(data, list) else ():
        if not isinstance(entry, Mapping):
            failed["entry"] += 1
            continue
        match entry.get("type"):
            case "node":
                node = _node(entry, failed)
                if node is not None:
                    nodes.setdefault(node.name, node)
            case "qemu" | "lxc":
                guest = _guest(entry, failed)
                if guest is not None:
                    guests.setdefault(guest.vmid, guest)
    for node in nodes.values():
        failed["offline"] += not node.is_online
    return Resources(list(nodes.values()), list(guests.values()), +failed)


def runs_on(node: str) -> float:
    """The reading that says on which node a guest runs."""
    return float(number_of(f"host:{node}"))


def cluster_name(data: object) -> str:
    """What ``/cluster/status`` calls the cluster, or the node that is in none; empty if neither."""
    entries = [each for each in data if isinstance(each, Mapping)] if isinstance(data, list) else []
    for wanted in ("cluster", "node"):
        for entry in entries:
            name = text(entry.get("name"))
            if entry.get("type") == wanted and name and (wanted == "cluster" or entry.get("local")):
                return _identity(name)
    return ""


def processor(data: object) -> str:
    """The model of a node's processors, out of ``/nodes/{node}/status``."""
    about = data.get("cpuinfo") if isinstance(data, Mapping) else None
    return text(about.get("model")) if isinstance(about, Mapping) else ""


def told_identity(data: object) -> str:
    """The UUID of a virtual machine out of its configuration: SMBIOS', else its generation's.

    Empty where it has neither. The first goes along with every migration and every new name; a
    clone gets another. The second also changes when the machine is put back to a snapshot.
    """
    if not isinstance(data, Mapping):
        return ""
    smbios = text(data.get("smbios1"), longest=4096)
    options = dict(part.partition("=")[::2] for part in smbios.split(","))
    for candidate in (options.get("uuid", ""), text(data.get("vmgenid"))):
        uuid = candidate.strip().lower()
        if IS_UUID.fullmatch(uuid) and uuid != _NO_UUID:
            return uuid
    return ""


def identity_of(cluster: str, guest: Guest) -> str:
    """What a guest without a UUID of its own is called, by its number in its cluster."""
    return f"{cluster}-{guest.vmid}"


def text(value: object, *, longest: int = _LONGEST_TEXT) -> str:
    """A text fit for a label; empty for anything else."""
    if not isinstance(value, str):
        return ""
    return "".join(letter for letter in value if letter.isprintable()).strip()[:longest]


def number(value: object) -> float | None:
    """A number that is not negative, also one that is written as text; None for anything else."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = float(value)
    found = finite(value)
    return None if found is None or found < 0 else found


def _node(entry: Mapping[str, Any], failed: Counter[str]) -> Node | None:
    name = text(entry.get("node"))
    if not _NODE.fullmatch(name):
        failed["entry"] += 1
        return None
    is_online = entry.get("status") == "online"
    in_maintenance = entry.get("hastate") == "maintenance"
    uptime = number(entry.get("uptime")) or None
    values: dict[str, float] = {}
    if is_online:
        _put(values, failed, "cpu_utilisation", number(entry.get("cpu")) if uptime else None)
        _put(values, failed, "processors", number(entry.get("maxcpu")) or None)
        _put(values, failed, "memory_size", number(entry.get("maxmem")) or None)
        _put(values, failed, "memory_used", number(entry.get("mem")) or None)
        _put(values, failed, "uptime", uptime)
    return Node(name, is_online, in_maintenance, values, uptime)


def _guest(entry: Mapping[str, Any], failed: Counter[str]) -> Guest | None:
    if number(entry.get("template")):
        return None
    vmid, node = number(entry.get("vmid")), text(entry.get("node"))
    if vmid is None or not 0 < vmid < 1e10 or vmid % 1 or not _NODE.fullmatch(node):
        failed["entry"] += 1
        return None
    if entry.get("status") != "running":
        return None
    uptime = number(entry.get("uptime")) or 0.0
    busy = number(entry.get("cpu")) if uptime else None
    values: dict[str, float] = {}
    if busy is not None and busy > MOST_BUSY:
        failed["range"] += 1
    else:
        _put(values, failed, "cpu_utilisation", None if busy is None else min(busy, 1.0))
    _put(values, failed, "processors", number(entry.get("maxcpu")) or None)
    _put(values, failed, "memory_size", number(entry.get("maxmem")) or None)
    _put(values, failed, "memory_used", number(entry.get("mem")) or None)
    for quantity, key in zip(COUNTERS, ("diskread", "diskwrite", "netin", "netout"), strict=True):
        _put(values, failed, quantity, number(entry.get(key)))
    return Guest(
        int(vmid),
        entry.get("type") == "lxc",
        node,
        text(entry.get("name")),
        list(_tags(entry.get("tags"))),
        values,
        uptime,
    )


def _tags(value: object) -> Iterator[str]:
    """Tags, which newer versions part by a semicolon, older ones by a comma or a space."""
    for tag in re.split(r"[;, ]+", text(value, longest=4096)):
        if tag:
            yield tag[:_LONGEST_TEXT]


def _put(
    values: dict[str, float], failed: Counter[str], quantity: str, value: float | None
) -> None:
    entry = CATALOGUE[quantity]
    if value is None:
        failed["none"] += 1
    elif entry.low <= value <= entry.high:
        values[quantity] = value
    else:
        failed["range"] += 1


def _identity(name: str) -> str:
    try:
        return identity(name)[: MAX_NAME_LENGTH // 2].rstrip("-._:")
    except ValueError:
        return ""
