"""What a configuration lays open to others: allowed, and said once at start."""

import ipaddress
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

from jauge_agent.config import AgentConfig, files_of_sources, resolved

_OTHERS: Final = stat.S_IRWXO | stat.S_IWGRP
_NO_SECRETS: Final = (".ca_file", ".cert_file")


class Exposure(NamedTuple):
    """One thing that others may see or change, by the key that allows it."""

    event: str
    key: str
    where: str
    """The host, address or file it is about."""
    detail: str


def exposures(config: AgentConfig) -> Iterator[Exposure]:
    """Everything of this configuration that a careful administrator would put right."""
    broker = config.broker
    if not broker.tls and not _is_loopback(broker.host):
        what = "readings and the password" if broker.username else "readings"
        detail = f"{what} cross the network in clear text, and anybody may answer for the broker"
        yield Exposure("tls off", "broker.tls", broker.host, detail)
    listened = config.sources.get("mqtt", {}).get("broker", {})
    host = listened.get("host", "127.0.0.1")
    if listened.get("tls") is False and not _is_loopback(host):
        what = "meters and the password" if listened.get("username") else "meters"
        detail = f"{what} are heard in clear text, and anybody may answer for the broker"
        yield Exposure("tls off", "sources.mqtt.broker.tls", host, detail)
    if config.metrics.port is not None and not _is_loopback(config.metrics.address):
        detail = "anybody who reaches this address may read /metrics"
        yield Exposure("metrics exposed", "metrics.address", config.metrics.address, detail)
    for key, device in _unchecked(config.sources):
        detail = "its certificate is not checked: anybody may answer for it and learn the password"
        yield Exposure("certificate not checked", key, device, detail)
    for key, name in (
        ("broker.key_file", broker.key_file),
        ("broker.password_file", broker.password_file),
        ("privacy.key_file", config.privacy.key_file),
        *(
            (key, name)
            for key, name in files_of_sources(config.sources)
            if not key.endswith(_NO_SECRETS)
        ),
    ):
        if name is None:
            continue
        path = resolved(name)
        # What cannot be seen is not laid open; that it cannot be read is another's error.
        with suppress(OSError):
            if (mode := stat.S_IMODE(path.stat().st_mode)) & _OTHERS:
                detail = f"mode {mode:04o} lets others in; chmod 0600"
                yield Exposure("secret exposed", key, str(path), detail)


def _unchecked(sections: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Devices of all sources whose certificates are not checked, by the key that allows it."""
    for name, section in sections.items():
        for number, device in enumerate(section.get("devices", ())):
            if device.get("verify", section.get("verify", True)) is False:
                key = "verify" if "verify" not in device else f"devices[{number}].verify"
                yield f"sources.{name}.{key}", str(device.get("name") or device.get("host"))


def _is_loopback(host: str) -> bool:
    """Whether a host is this machine by its very name; no name is looked up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") in {"localhost", "ip6-localhost"}
