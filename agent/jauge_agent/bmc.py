"""Where a BMC is, as a user writes it: shared by the sources that ask BMCs."""

import re
from typing import Annotated, ClassVar, Final

import msgspec
from jauge_models.resources import is_name

FLOOR_S: Final = 60.0
"""Shortest period for one BMC: a small processor that has a server to look after."""

_HOST: Final = re.compile(r"[0-9A-Fa-f]*:[0-9A-Fa-f:.]+|[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


class BmcPlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Host, port and name of one BMC. Raises ValueError for what is no host or no name."""

    usual_port: ClassVar[int]

    host: str
    """Name or address of the BMC."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    """Its port."""
    name: str | None = None
    """Identity of the server; else the host."""

    def __post_init__(self) -> None:
        """The text becomes the error of the file."""
        if not _HOST.fullmatch(self.host):
            raise ValueError(f"host {self.host!r} is no name or address")
        if self.name is not None and not is_name(self.name):
            raise ValueError(f"{self.name!r} is not a name: use letters, digits and . _ : -")

    @property
    def authority(self) -> str:
        """Host and port as they stand in an address (RFC 3986 3.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == self.usual_port else f"{host}:{self.port}"

    @property
    def label(self) -> str:
        """What logs call it."""
        return self.name or self.authority
