"""What a user writes about SNMP devices."""

import difflib
from collections import Counter
from typing import Annotated, Final, Literal

import msgspec
from jauge_models.resources import is_name

from jauge_agent.place import check_host
from jauge_agent.source import SourceSettings

WAIT_S: Final = 2.0
"""Seconds that one answer is waited for."""
BATCH: Final = 20
"""Objects per request: some 600 octets there and back. Devices that bear less say so."""

Label = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class SnmpDeviceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One SNMP device."""

    host: str
    """Its address or name."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 161
    """Its UDP port."""
    name: str | None = None
    """What logs call it, and its identity when it tells no serial number; else the host."""
    profile: str | None = None
    """Family of the device; found out from the device when left out."""
    community_file: str | None = None
    """File that holds the community (SNMPv2c); a relative name is a systemd credential."""
    user: str | None = None
    """User name (SNMPv3)."""
    auth: Literal["md5", "sha1", "sha224", "sha256", "sha384", "sha512"] = "sha256"
    """How the user is authenticated."""
    auth_file: str | None = None
    """File that holds the user's authentication password."""
    privacy: Literal["des", "aes128", "aes192", "aes256"] = "aes128"
    """How what is said is encrypted."""
    privacy_file: str | None = None
    """File that holds the user's encryption password."""
    period_s: Annotated[float, msgspec.Meta(ge=1, le=86400)] | None = None
    """Seconds between reads; those of the source when left out or shorter."""
    labels: dict[Label, str] = {}
    """Labels of everything it offers, such as feed = "A"."""

    def __post_init__(self) -> None:
        """Refuse what can never work; the text becomes the error of the file."""
        check_host(self.host)
        if self.profile is not None:
            _check_profile(self.profile)
        if (self.community_file is None) == (self.user is None):
            raise ValueError("give community_file (SNMPv2c) or user (SNMPv3)")
        if self.user is None and (self.auth_file or self.privacy_file):
            raise ValueError("auth_file and privacy_file need a user")
        if self.privacy_file and not self.auth_file:
            raise ValueError("privacy_file needs auth_file")
        if self.name is not None and not is_name(self.name):
            raise ValueError(f"{self.name!r} is not a name: use letters, digits and . _ : -")

    @property
    def place(self) -> str:
        """Where it is asked."""
        return f"{self.host}{'' if self.port == 161 else f':{self.port}'}"

    @property
    def label(self) -> str:
        """What logs call it."""
        return self.name or self.place


class SnmpSettings(SourceSettings, frozen=True):
    """Settings of the snmp source."""

    period_s: Annotated[float, msgspec.Meta(ge=1, le=86400)] = 60.0
    """Seconds between reads; ticks fall on wall-clock multiples."""
    deadline_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 20.0
    """Seconds after which a read is given up and counted as failed."""
    devices: list[SnmpDeviceSettings] = msgspec.field(default_factory=list)
    """The devices to read; none is looked for."""

    def __post_init__(self) -> None:
        """Refuse two devices of one name, and one device twice.

        One that is two things is listed once with each of its profiles.
        """
        names = Counter(device.label for device in self.devices)
        if repeated := [name for name, times in names.items() if times > 1]:
            raise ValueError(f"devices: {repeated[0]!r} is listed twice")
        seen: dict[str, set[str | None]] = {}
        for device in self.devices:
            others = seen.setdefault(device.place.lower(), set())
            if others and (device.profile is None or {None, device.profile} & others):
                raise ValueError(
                    f"devices: {device.place!r} is listed twice; "
                    "one that is two things needs each time a profile of its own"
                )
            others.add(device.profile)


def _check_profile(name: str) -> None:
    from jauge_agent.sources.snmp.profile import profiles  # noqa: PLC0415 - only where one is named

    families = sorted(profile.family for profile in profiles())
    if name not in families:
        near = difflib.get_close_matches(name.lower(), families, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{name!r} is no profile{meant}; known are {', '.join(families)}")
