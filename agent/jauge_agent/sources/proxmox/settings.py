"""What a user writes about clusters of Proxmox VE."""

import re
from collections import Counter
from typing import Annotated, ClassVar, Final

import msgspec

from jauge_agent.place import DevicePlace, check_host
from jauge_agent.source import SourceSettings

FLOOR_S: Final = 10.0
"""Shortest period: each node brings its figures up to date every ten seconds."""

_FINGERPRINT: Final = re.compile(r"[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}", re.ASCII)


class ProxmoxCluster(DevicePlace, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One cluster, or one node that is in none."""

    usual_port: ClassVar[int] = 443

    host: str
    """Name or address of one node; it answers for the whole cluster."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8006
    """Its TCP port."""
    other_hosts: list[str] = msgspec.field(default_factory=list)
    """Further nodes of the same cluster, asked in turn when one does not answer."""
    name: str | None = None
    """What the cluster is called; what it calls itself when left out."""
    token_file: str | None = None
    """File with the API token, as `USER@REALM!TOKENID=UUID`; a relative name is a credential."""
    ca_file: str | None = None
    """Certificates to trust (PEM), such as `/etc/pve/pve-root-ca.pem` of a node."""
    fingerprint: str | None = None
    """SHA-256 of the one certificate to trust, in the node's place of `ca_file`."""
    period_s: Annotated[float, msgspec.Meta(ge=FLOOR_S, le=86400)] | None = None
    """Seconds between reads of this cluster; that of the source when left out."""

    def __post_init__(self) -> None:
        """Refuse what is no host or no fingerprint, and one fingerprint for several hosts."""
        DevicePlace.__post_init__(self)
        for each in self.authorities_of_others():
            if each == self.authority:
                raise ValueError(f"other_hosts: {each!r} is the host itself")
        if self.fingerprint is None:
            return
        if not _FINGERPRINT.fullmatch(self.fingerprint):
            raise ValueError("fingerprint: not a SHA-256 as AA:BB:…, 32 pairs of digits")
        if self.ca_file is not None:
            raise ValueError("give fingerprint or ca_file, not both")
        if self.other_hosts:
            raise ValueError("fingerprint: each node has its own; use ca_file with other_hosts")

    def authorities_of_others(self) -> list[str]:
        """Host and port of the further nodes; raises ValueError for what is no host."""
        found: list[str] = []
        for host in self.other_hosts:
            check_host(host)
            found.append(self.authority_of(host))
        return found


class ProxmoxSettings(SourceSettings, frozen=True):
    """Settings of the proxmox source."""

    period_s: Annotated[float, msgspec.Meta(ge=FLOOR_S, le=86400)] = 30.0
    """Seconds between reads of each cluster; 10 at least."""
    deadline_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 25.0
    """Seconds that a tick waits for its clusters; what comes later goes with the next one."""
    token_file: str | None = None
    """File with the API token, as `USER@REALM!TOKENID=UUID`; a relative name is a credential."""
    ca_file: str | None = None
    """Certificates to trust (PEM); the system's when left out."""
    tenant: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """Beginning of the tag whose rest becomes a guest's label `tenant`, such as `tenant-`."""
    service: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """Beginning of the tag whose rest becomes a guest's label `service`, such as `service-`."""
    devices: list[ProxmoxCluster] = msgspec.field(default_factory=list)
    """The clusters."""

    def __post_init__(self) -> None:
        """Refuse two clusters of one name or at one address, and one without a token."""
        names = Counter(device.label for device in self.devices)
        places = Counter(device.authority.lower() for device in self.devices)
        for count in (names, places):
            if repeated := [each for each, times in count.items() if times > 1]:
                raise ValueError(f"devices: {repeated[0]!r} is listed twice")
        for device in self.devices:
            if device.token_file is None and self.token_file is None:
                raise ValueError(f"devices: {device.label!r} needs token_file")
