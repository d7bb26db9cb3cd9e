"""What libvirt says of its guests, as its program prints it and as its Python module gives it.

Names of values are those of ``virConnectGetAllDomainStats`` (virsh(1), "domstats"). This module
needs the standard library only, for it serves the Python that libvirt's module was built for.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from jauge_agent.identities import IS_UUID

Stats = Mapping[str, int | str]

_DOMAIN: Final = re.compile(r"Domain: '(.*)'")


class Record(NamedTuple):
    """One guest that has a process, with everything that was asked of it."""

    uuid: str
    """As RFC 9562 writes it, in lower case."""
    name: str
    stats: Stats


def of_module(uuid: str, name: str, stats: Mapping[str, object]) -> Record | None:
    """A guest as libvirt's module gives it; None without a proper UUID."""
    if not IS_UUID.fullmatch(uuid.lower()):
        return None
    kept: dict[str, int | str] = {}
    for key, value in stats.items():
        if isinstance(value, bool) or not isinstance(value, int | str):
            continue
        kept[key] = value
    return Record(uuid.lower(), name, kept)


def of_program(text: str) -> list[Record]:
    """The guests in what ``list --uuid --name; domstats --raw; list --uuid --name`` prints.

    ``domstats`` tells names and no UUIDs. A name counts only where both lists, before and after
    it, give it the same UUID: a guest that came, went or changed names meanwhile is left out.
    """
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    stats: dict[str, dict[str, int | str]] = {}
    current: dict[str, int | str] | None = None
    for line in text.splitlines():
        if domain := _DOMAIN.fullmatch(line):
            current = stats.setdefault(domain[1], {})
        elif line.startswith("  ") and current is not None and "=" in line:
            key, _, value = line.strip().partition("=")
            current[key] = int(value) if _is_number(value) else value
        else:
            uuid, _, name = line.strip().partition(" ")
            if IS_UUID.fullmatch(uuid) and name:
                (before if not stats else after)[name.lstrip()] = uuid
    return [
        Record(after[name], name, values)
        for name, values in stats.items()
        if name in after and before.get(name) == after[name]
    ]


def documents(text: str) -> dict[str, str]:
    """The definitions of guests in what some ``dumpxml`` print, by UUID."""
    found: dict[str, str] = {}
    for part in text.split("</domain>")[:-1]:
        begin = part.find("<domain")
        uuid = re.search(rf"<uuid>({IS_UUID.pattern})</uuid>", part)
        if begin >= 0 and uuid is not None:
            found[uuid[1]] = part[begin:] + "</domain>"
    return found


def proper(uuids: Iterable[str]) -> list[str]:
    """Only what is a UUID, and so is safe on a command line."""
    return [uuid for uuid in uuids if IS_UUID.fullmatch(uuid)]


def _is_number(text: str) -> bool:
    # Python refuses to read numbers of thousands of digits.
    return len(text) <= 20 and text.isascii() and text.removeprefix("-").isdigit()
