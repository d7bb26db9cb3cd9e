"""Where a device is, as a user writes it: shared by the sources that ask devices by name."""

import re
from typing import Annotated, ClassVar, Final

import msgspec
from jauge_models.resources import is_name

_HOST: Final = re.compile(r"[0-9A-Fa-f]*:[0-9A-Fa-f:.]+|[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


class DevicePlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Host, port and name of one device. Raises ValueError for what is no host or no name."""

    usual_port: ClassVar[int]

    host: str
    """Name or address of the device."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    """Its port."""
    name: str | None = None
    """What it is called; else the host."""

    def __post_init__(self) -> None:
        """The text becomes the error of the file."""
        check_host(self.host)
        if self.name is not None and not is_name(self.name):
            raise ValueError(f"{self.name!r} is not a name: use letters, digits and . _ : -")

    @property
    def authority(self) -> str:
        """Host and port as they stand in an address (RFC 3986 3.2)."""
        return self.authority_of(self.host)

    def authority_of(self, host: str) -> str:
        """The same of another host of the device, at the same port."""
        bracketed = f"[{host}]" if ":" in host else host
        return bracketed if self.port == self.usual_port else f"{bracketed}:{self.port}"

    @property
    def label(self) -> str:
        """What logs call it."""
        return self.name or self.authority


def check_host(host: str) -> None:
    """Raises ValueError for what is no name and no address; a login in it is not repeated."""
    if not _HOST.fullmatch(host):
        told = "host" if "@" in host else f"host {host!r}"
        raise ValueError(f"{told} is no name or address")
