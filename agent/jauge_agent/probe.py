"""``jauge-agent probe``: recognises a device, read-only, and prints the configuration to paste.

A kind of device is a scheme in `SCHEMES`. Its function gets the settings of one device as the
configuration has them, and says what it found; whatever it raises of `SourceError` ends in one
line.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from jauge_models.configuration import ConfigurationError
from jauge_models.wire import ResourceDescription, Sample

from jauge_agent.source import RetryError

SCHEMES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "snmp": ("snmp", "jauge_agent.sources.snmp.probing:probed"),
        "redfish": ("redfish", "jauge_agent.sources.redfish.probing:probed"),
        "ipmi": ("ipmi", "jauge_agent.sources.ipmi.probing:probed"),
        "modbus": ("modbus", "jauge_agent.sources.modbus.probing:probed"),
        "vsphere": ("vsphere", "jauge_agent.sources.vsphere.probing:probed"),
        "proxmox": ("proxmox", "jauge_agent.sources.proxmox.probing:probed"),
    }
)
"""Scheme of the address: the source in the configuration, and ``module:function``."""

_PATHS: Final[Mapping[str, str]] = MappingProxyType({"modbus": "unit"})
"""Key of the device that the path of an address stands for, by scheme."""

_LOGINS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "snmp": "give the community in a file: community_file=FILE",
        "redfish": "give username=NAME password_file=FILE",
        "ipmi": "give username=NAME password_file=FILE",
        "modbus": "leave it out: Modbus has none",
        "vsphere": "give username=NAME password_file=FILE",
        "proxmox": "give the token in a file: token_file=FILE",
    }
)
"""How a secret is given, by scheme."""

DEADLINE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Probed:
    """What a device is and offers."""

    title: str
    """What it is, for people."""
    settings: Mapping[str, Any]
    """Its keys under ``[[sources.SOURCE.devices]]``, secrets by the names of their files."""
    resources: Sequence[ResourceDescription]
    samples: Sequence[Sample]
    """Its values just now."""
    remarks: Sequence[str] = ()
    """What is doubtful about them."""


Probe = Callable[[Mapping[str, Any]], Awaitable[Probed]]
"""Takes the keys of one device; raises ConfigurationError, SourceError."""


def probe(address: str, given: Sequence[str]) -> tuple[str, Probed]:
    """The source that reads the device at ``scheme://host[:port]``, and what was found there.

    ``given`` are further keys of the device as ``KEY=VALUE``. Raises ConfigurationError,
    SourceError.
    """
    scheme = address.partition(":")[0].lower()
    if scheme not in SCHEMES:
        known = ", ".join(f"{each}://" for each in SCHEMES)
        # What stands there is not repeated: it may hold a password.
        raise ConfigurationError("probe", "", "not an address to probe", f"known are {known}")
    source, place = SCHEMES[scheme]
    settings = {**_host(scheme, address), **dict(_pair(text) for text in given)}
    module, _, function = place.partition(":")
    asked: Probe = getattr(import_module(module), function)
    return source, asyncio.run(_within(asked(settings)))


def pasted(source: str, probed: Probed) -> str:
    """The section of the configuration, with what the device gives now as comments."""
    names = {each.id: each.name for each in probed.resources}
    lines = [f"# {probed.title}"]
    lines += [f"# {remark}" for remark in probed.remarks]
    lines += [
        f"# {sample.resource}/{sample.quantity} = {sample.value:.10g}"
        + (f"  ({names[sample.resource]})" if names.get(sample.resource) else "")
        for sample in probed.samples
    ]
    lines.append(f"[[sources.{source}.devices]]")
    lines += [f"{key} = {_toml(value)}" for key, value in probed.settings.items()]
    return "\n".join("".join(letter for letter in line if letter.isprintable()) for line in lines)


async def _within(work: Awaitable[Probed]) -> Probed:
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await work
    except TimeoutError:
        raise RetryError(f"no answer within {DEADLINE_S:g} s") from None


def _host(scheme: str, address: str) -> dict[str, Any]:
    """The keys that an address gives. What is refused is not repeated, for it may be a secret."""
    said = f"{scheme}://"
    if "@" in address:
        raise ConfigurationError(said, "", "a secret stands in the address", _LOGINS[scheme])
    fix = "write scheme://host:port, an IPv6 address in brackets"
    try:
        url = urlsplit(address)
        host, port = url.hostname, url.port
    except ValueError:
        raise ConfigurationError(said, "", "not a host and a port", fix) from None
    if not host:
        raise ConfigurationError(said, "", "names no host", fix)
    if url.query or url.fragment:
        raise ConfigurationError(
            said, "", "more than a host and a port", f"{fix}; keys as KEY=VALUE"
        )
    settings: dict[str, Any] = {"host": host} if port is None else {"host": host, "port": port}
    if (path := url.path.strip("/")) and scheme in _PATHS:
        settings[_PATHS[scheme]] = path
    return settings


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        fix = "write a key of the device as in files"
        raise ConfigurationError("probe", "", "an argument is not KEY=VALUE", fix)
    return key, value


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_toml(str(key))} = {_toml(each)}" for key, each in value.items())
        return f"{{ {pairs} }}"
    return msgspec.json.encode(value).decode()
