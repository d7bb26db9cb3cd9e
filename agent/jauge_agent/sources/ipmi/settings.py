"""What a user writes about BMCs that speak IPMI."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, ClassVar, Final, Literal

import msgspec

from jauge_agent.bmc import FLOOR_S
from jauge_agent.place import DevicePlace
from jauge_agent.source import SourceSettings

_WORKAROUND: Final = re.compile(r"[a-z0-9]+", re.ASCII)


class IpmiDevice(DevicePlace, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One BMC."""

    usual_port: ClassVar[int] = 623

    host: str
    """Name or address of the BMC."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 623
    """Its UDP port."""
    name: str | None = None
    """Identity of the server: its UUID or serial number where known; else the host."""
    username: str | None = None
    """User to log in as; that of the source when left out."""
    password_file: str | None = None
    """File that holds the password; a relative name is a systemd credential."""
    workarounds: list[str] | None = None
    """FreeIPMI's workaround flags for this BMC; those of the source when left out."""
    period_s: Annotated[float, msgspec.Meta(ge=FLOOR_S, le=86400)] | None = None
    """Seconds between reads of this BMC; that of the source when left out."""

    def __post_init__(self) -> None:
        """Refuse also workarounds that FreeIPMI would read as something else."""
        DevicePlace.__post_init__(self)
        _check_workarounds(self.workarounds or ())


class IpmiSettings(SourceSettings, frozen=True):
    """Settings of the ipmi source."""

    period_s: Annotated[float, msgspec.Meta(ge=FLOOR_S, le=86400)] = FLOOR_S
    """Seconds between reads of each BMC; 60 at least."""
    deadline_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 50.0
    """Seconds that a tick waits for its BMCs; what comes later goes with the next one."""
    in_band: bool = False
    """Whether this machine's own BMC is read through the kernel; needs access to the device."""
    device: str = "/dev/ipmi0"
    """The kernel's device of this machine's BMC."""
    sensors: bool = True
    """Whether air, fans and power supplies are read beside the server's power."""
    username: str | None = None
    """User to log in as; it needs no more than the right to read."""
    password_file: str | None = None
    """File that holds the password; a relative name is a systemd credential."""
    privilege: Literal["user", "operator", "admin"] = "operator"
    """Level to log in at; FreeIPMI reads sensors as operator."""
    cipher_suite: Annotated[int, msgspec.Meta(ge=0, le=19)] | None = None
    """IPMI 2.0 cipher suite; 17 where a BMC refuses FreeIPMI's own choice."""
    workarounds: list[str] = msgspec.field(default_factory=list)
    """FreeIPMI's workaround flags, such as `opensesspriv`; see ipmi-sensors(8)."""
    cache_directory: str | None = None
    """Folder that keeps what BMCs say of their sensors; a temporary one when left out."""
    devices: list[IpmiDevice] = msgspec.field(default_factory=list)
    """The BMCs to read over the network."""

    def __post_init__(self) -> None:
        """Refuse what is no flag, and two BMCs of one name or at one address."""
        _check_workarounds(self.workarounds)
        names = Counter(device.label for device in self.devices)
        if repeated := [name for name, times in names.items() if times > 1]:
            raise ValueError(f"devices: {repeated[0]!r} is listed twice")
        places = Counter(device.authority.lower() for device in self.devices)
        if repeated := [place for place, times in places.items() if times > 1]:
            raise ValueError(f"devices: {repeated[0]!r} is listed twice")


def _check_workarounds(flags: Sequence[str]) -> None:
    for flag in flags:
        if not _WORKAROUND.fullmatch(flag):
            raise ValueError(f"{flag!r} is no workaround flag")
