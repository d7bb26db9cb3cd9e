"""What a user writes about vCenters."""

from collections import Counter
from typing import Annotated, ClassVar, Final

import msgspec
from jauge_models.resources import is_name

from jauge_agent.place import DevicePlace
from jauge_agent.source import SourceSettings

FLOOR_S: Final = 20.0
"""Shortest period: hosts have a new sample that often."""

_LONGEST_POOL: Final = 64


class Pool(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Desktops that are made and thrown away: told together, for each host they run on."""

    name: str
    """Name of the pool."""
    match: str
    """Names of its guests, with `*` and `?`; capital letters count."""

    def __post_init__(self) -> None:
        """The text becomes the error of the file."""
        if not is_name(self.name) or len(self.name) > _LONGEST_POOL:
            raise ValueError(f"{self.name!r} is not a name: use letters, digits and . _ : -")
        if not self.match:
            raise ValueError("match is empty: write the guests' names, such as VDI-*")


class VCenter(DevicePlace, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One vCenter."""

    usual_port: ClassVar[int] = 443

    host: str
    """Name or address of the vCenter."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 443
    """Its TCP port."""
    name: str | None = None
    """What logs call it; else the host."""
    username: str | None = None
    """User to log in as; that of the source when left out."""
    password_file: str | None = None
    """File that holds the password; a relative name is a systemd credential."""
    ca_file: str | None = None
    """Certificates to trust (PEM); those of the source when left out."""
    verify: bool | None = None
    """Whether the vCenter's certificate is checked; as for the source when left out."""
    clusters: list[str] = msgspec.field(default_factory=list)
    """Names of the clusters to read; all of them, and hosts outside of clusters, when left out."""
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    """Label of guests by custom attribute, such as tenant = "Cost centre"."""
    pools: list[Pool] = msgspec.field(default_factory=list)
    """Pools of desktops that are told together."""

    def __post_init__(self) -> None:
        """The text becomes the error of the file."""
        super().__post_init__()
        if wrong := [label for label in self.tags if not is_name(label)]:
            raise ValueError(f"tags: {wrong[0]!r} is not a name: use letters, digits and . _ : -")
        names = Counter(pool.name for pool in self.pools)
        if repeated := [name for name, times in names.items() if times > 1]:
            raise ValueError(f"pools: {repeated[0]!r} is listed twice")


class VsphereSettings(SourceSettings, frozen=True):
    """Settings of the vsphere source."""

    period_s: Annotated[float, msgspec.Meta(ge=FLOOR_S, le=300)] = 60.0
    """Seconds between reads; each brings all samples, one every 20 s, since the last."""
    deadline_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 50.0
    """Seconds that a tick waits for its vCenters; what comes later goes with the next one."""
    inventory_s: Annotated[float, msgspec.Meta(ge=60, le=86400)] = 300.0
    """Seconds between two complete looks at names, sizes, tags and GPUs."""
    batch: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 250
    """Hosts and guests per request for samples."""
    username: str | None = None
    """User to log in as; it needs no more than to read."""
    password_file: str | None = None
    """File that holds the password; a relative name is a systemd credential."""
    ca_file: str | None = None
    """Certificates of the authorities to trust (PEM); the system's when left out."""
    verify: bool = True
    """Whether certificates are checked; without, anybody may answer and learn the password."""
    devices: list[VCenter] = msgspec.field(default_factory=list)
    """The vCenters."""

    def __post_init__(self) -> None:
        """Refuse two vCenters of one name, and one that nobody can log in to."""
        names = Counter(device.label for device in self.devices)
        if repeated := [name for name, times in names.items() if times > 1]:
            raise ValueError(f"devices: {repeated[0]!r} is listed twice")
        for device in self.devices:
            if not (device.username or self.username) or not (
                device.password_file or self.password_file
            ):
                raise ValueError(f"devices: {device.label!r} needs username and password_file")
