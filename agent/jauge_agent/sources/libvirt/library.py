"""libvirt by its own Python module, which distributions build for their Python.

The connection is read-only: libvirt's daemon refuses whatever would change a guest. This module
needs the standard library only; every failure of libvirt is a ConnectionError.
"""

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any, Final

from jauge_agent.sources.libvirt.records import Record, of_module, proper

PACKAGE: Final = "python3-libvirt"
"""Debian's package of the module."""


def found() -> bool:
    """Whether this Python has the module."""
    return find_spec("libvirt") is not None


class Library:
    """One connection for all readings; every call may block."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._connection: Any = None

    def guests(self) -> list[Record]:
        """Every guest that has a process."""
        import libvirt  # noqa: PLC0415 - not on every machine

        kinds = (
            libvirt.VIR_DOMAIN_STATS_STATE
            | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
            | libvirt.VIR_DOMAIN_STATS_BALLOON
            | libvirt.VIR_DOMAIN_STATS_VCPU
            | libvirt.VIR_DOMAIN_STATS_INTERFACE
            | libvirt.VIR_DOMAIN_STATS_BLOCK
        )
        flags = (
            libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
            | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
        )
        try:
            told = self._connected(libvirt).getAllDomainStats(kinds, flags)
            found = [of_module(each.UUIDString(), each.name(), stats) for each, stats in told]
        except libvirt.libvirtError as error:
            raise self._lost(error) from None
        return [record for record in found if record is not None]

    def definitions(self, uuids: Iterable[str]) -> dict[str, str]:
        """Their XML, of those that are still there."""
        import libvirt  # noqa: PLC0415 - see above

        found: dict[str, str] = {}
        for uuid in proper(uuids):
            try:
                found[uuid] = self._connected(libvirt).lookupByUUIDString(uuid).XMLDesc(0)
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                    raise self._lost(error) from None
        return found

    def close(self) -> None:
        """End the connection; a later call makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            import libvirt  # noqa: PLC0415 - see above

            try:
                connection.close()
            except libvirt.libvirtError:
                return  # the daemon has gone, and the connection with it

    def _connected(self, libvirt: Any) -> Any:
        if self._connection is None:
            libvirt.registerErrorHandler(_said_elsewhere, None)
            self._connection = libvirt.openReadOnly(self._uri)
        return self._connection

    def _lost(self, error: Exception) -> ConnectionError:
        """The error in words; the next call makes a new connection."""
        self.close()
        return ConnectionError(str(error).partition("\n")[0][:300])


def _said_elsewhere(_context: object, _error: object) -> None:
    """Errors are raised as well; libvirt must not write to this process' stderr."""
