"""Resources: the things that are measured, and how they are named."""

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Final, NamedTuple

NAME_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._:-]*"
"""What site, agent, resource and quantity names may look like on the wire (RFC 8428 4.5.1)."""

MAX_NAME_LENGTH: Final = 128

_NAME: Final = re.compile(NAME_PATTERN)

KINDS: Final = frozenset(
    {
        "host",
        "package",
        "core",
        "uncore",
        "dram",
        "platform",
        "gpu",
        "gpu_instance",
        "psu",
        "psu_output",
        "outlet",
        "pdu",
        "ups",
        "meter",
        "guest",
        "room",
        "sensor",
        "storage",
        "switch",
        "cooling_unit",
        "pump",
        "inlet",
        "phase",
        "circuit",
        "battery",
    }
)
"""Kinds of resource. Sums run over one kind only, so that a whole never meets its parts."""


class Series(NamedTuple):
    """The identity of one stored series: nothing else ever distinguishes two series.

    Labels that can change (name, room, tenant) are not part of it, or data replayed after a
    move would be counted twice.
    """

    site: str
    agent: str
    resource: str
    quantity: str

    @property
    def kind(self) -> str:
        """Kind of the resource: what stands before the first colon of its name."""
        return kind_of(self.resource)


def is_name(text: str) -> bool:
    """Whether a text may stand as site, agent, resource or quantity on the wire."""
    return len(text) <= MAX_NAME_LENGTH and _NAME.fullmatch(text) is not None


def kind_of(resource: str) -> str:
    """The kind in a resource name: ``gpu`` of ``gpu:0``, ``host`` of ``host``."""
    return resource.partition(":")[0]


def is_resource(text: str) -> bool:
    """Whether a text is ``<kind>`` or ``<kind>:<id>`` with a known kind."""
    return is_name(text) and kind_of(text) in KINDS and not text.endswith(":")


def identity(raw: str) -> str:
    """A device's own name made fit for the wire: every other character becomes ``-``.

    Raises ValueError when nothing fit remains.
    """
    text = re.sub(r"[^A-Za-z0-9._:-]", "-", raw.strip()).strip("-._:")
    text = text[:MAX_NAME_LENGTH].rstrip("-._:")  # nor may the cut leave a separator at the end
    if not text:
        raise ValueError(f"no usable characters in the name {raw!r}")
    return text


def hosts_of_guests(resources: Iterable[str]) -> list[str]:
    """Which of an agent's resources may be what the guests that it reports run on.

    Those hosts that an id tells apart, else the one ``host`` that the agent runs on: what a gateway
    itself runs on is none of the hosts that it reads.
    """
    hosts = [resource for resource in resources if kind_of(resource) == "host"]
    return [host for host in hosts if host != "host"] or hosts


def number_of(resource: str) -> int:
    """A resource's name as a number that a reading can carry exactly: 48 bits of its SHA-256.

    Readings say with it where a guest runs, so that what is computed of them needs nothing else.
    """
    return int.from_bytes(sha256(resource.encode()).digest()[:6], "big")
