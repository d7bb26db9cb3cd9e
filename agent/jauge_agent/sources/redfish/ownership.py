"""Whose chassis is whose: the servers behind a BMC, and the enclosures that are no server's."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from jauge_models.resources import identity

from jauge_agent.identities import is_placeholder
from jauge_agent.sources.redfish.values import Document, text
from jauge_agent.sources.redfish.walking import Found, link, links, same

_NOT_HOSTS: Final = frozenset({"Virtual", "OS", "VirtuallyPartitioned", "DPU"})
"""Types of system that draw their power from another system of the same BMC."""

_NO_SERVER: Final = re.compile(r"^HGX_", re.ASCII)
"""NVIDIA's GPU baseboard calls itself a system (HGX_Baseboard_0) beside the server around it."""


@dataclass(slots=True)
class Whole:
    """A server, or an enclosure that is none: what its chassis show belongs to it."""

    resource: str
    name: str
    labels: dict[str, str]
    state: str
    """Document that says whether it is on."""
    known_by: tuple[Found, ...]
    """What tells its UUID and its serial number."""
    system: str = ""
    chassis: list[Found] = field(default_factory=list)
    depth: dict[str, int] = field(default_factory=dict)
    """How many of its other chassis are around each, by path."""
    shared: bool = False
    """Whether its chassis is that of other systems too: then only what names it is its own."""

    @property
    def ident(self) -> str:
        """The part of the resource that its own parts begin with."""
        return self.resource.partition(":")[2]


def wholes_of(systems: Sequence[Found], chassis: Sequence[Found], name: str) -> list[Whole]:
    """The servers of a BMC with their chassis, and the chassis that are no one server's."""
    outer = _outer(chassis)
    system_of = {same(each.path): each for each in systems}
    linked: dict[str, list[str]] = {
        same(each.path): links(each.node.get("Links"), "ComputerSystems") for each in chassis
    }
    for system in systems:
        for path in links(system.node.get("Links"), "Chassis"):
            if same(system.path) not in linked.setdefault(path, []):
                linked[path].append(same(system.path))
    if len(systems) == 1 and not any(linked.values()):
        linked = {same(each.path): [same(systems[0].path)] for each in chassis}
    wholes: dict[str, Whole] = {}
    shared: list[tuple[str, Found]] = []
    for each in chassis:
        path = same(each.path)
        owners = linked[path]
        # A chassis inside of another belongs to the server around it.
        around = next((linked[up] for up in outer[path] if len(linked[up]) == 1), None)
        if around is not None and (not owners or _is_part(owners, around, system_of)):
            owners = around
        if len(owners) == 1:
            key = owners[0]
            if key not in wholes:
                wholes[key] = _server(system_of.get(key), key, each, name)
        else:
            key = path
            wholes[key] = _enclosure(each, name)
            shared += [(owner, each) for owner in owners]
        wholes[key].chassis.append(each)
    for owner, each in shared:
        if owner not in wholes:
            wholes[owner] = _server(system_of.get(owner), owner, each, f"{name}.{len(wholes)}")
            wholes[owner].chassis.append(each)
            wholes[owner].shared = True
    for whole in wholes.values():
        own = {same(each.path) for each in whole.chassis}
        whole.depth = {path: len(own.intersection(outer[path])) for path in own}
    return list(wholes.values())


def _is_part(owners: Sequence[str], around: Sequence[str], systems: Mapping[str, Found]) -> bool:
    """Whether the systems of an inner chassis are parts of the server around it."""
    return owners != around and all(
        (system := systems.get(each)) is not None and not _is_host(system) for each in owners
    )


def _is_host(system: Found) -> bool:
    return text(system.node, "SystemType") not in _NOT_HOSTS and not _NO_SERVER.match(
        text(system.node, "Id")
    )


def _outer(chassis: Sequence[Found]) -> dict[str, list[str]]:
    """The chassis around each chassis, the nearest first."""
    parent: dict[str, str] = {}
    for each in chassis:
        about = each.node.get("Links")
        for inner in links(about, "Contains"):
            parent.setdefault(inner, same(each.path))
        if isinstance(about, Mapping) and (around := link(about.get("ContainedBy"))):
            parent[same(each.path)] = same(around)
    known = {same(each.path) for each in chassis}
    outer: dict[str, list[str]] = {}
    for path in known:
        found: list[str] = []
        at = parent.get(path)
        while at is not None and at in known and at != path and at not in found:
            found.append(at)
            at = parent.get(at)
        outer[path] = found
    return outer


def _server(system: Found | None, path: str, chassis: Found, name: str) -> Whole:
    """A server out of its system's document, or of its chassis' where it has none."""
    about = system.node if system is not None else chassis.node
    kind = "host" if system is None or _is_host(system) else "platform"
    ident = _identity(about) or _identity(chassis.node) or identity(name)
    return Whole(
        f"{kind}:{ident}",
        text(about, "HostName") or text(about, "Name") or ident,
        _labels(about),
        system.path if system is not None else chassis.path,
        (chassis,) if system is None else (system,) if _identity(about) else (system, chassis),
        path,
    )


def _enclosure(chassis: Found, name: str) -> Whole:
    """What feeds several servers, or none."""
    kind = "storage" if text(chassis.node, "ChassisType") == "StorageEnclosure" else "platform"
    tail = chassis.path.rstrip("/").rpartition("/")[2]
    ident = _identity(chassis.node) or made(f"{name}.{tail}", name)
    name = text(chassis.node, "Name")
    return Whole(f"{kind}:{ident}", name, _labels(chassis.node), chassis.path, (chassis,))


def told(node: Document) -> tuple[str, str]:
    """UUID and serial number by which a system or a chassis can be known; each empty if none."""
    uuid, serial = text(node, "UUID").lower(), text(node, "SerialNumber")
    if len(uuid) != 36 or is_placeholder(uuid):
        uuid = ""
    return made(uuid, ""), "" if is_placeholder(serial) else made(serial, "")


def is_other(known: tuple[str, str], now: tuple[str, str]) -> bool:
    """Whether a document speaks of another machine than when it was read before."""
    return any(new and new != old for old, new in zip(known, now, strict=True))


def _identity(node: Document) -> str:
    """The UUID of a system, else its serial number, else nothing."""
    uuid, serial = told(node)
    return uuid or serial


def made(raw: str, otherwise: str) -> str:
    """A device's own name made fit for the wire, and short; else what stands for it."""
    try:
        return identity(raw)[:64]
    except ValueError:
        return otherwise


def _labels(node: Document) -> dict[str, str]:
    named = {
        "manufacturer": text(node, "Manufacturer"),
        "model": text(node, "Model"),
        "serial": text(node, "SerialNumber"),
    }
    if is_placeholder(named["serial"]):
        del named["serial"]
    return {key: value for key, value in named.items() if value}
