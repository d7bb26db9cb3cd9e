"""The snmp source: its listed devices, read side by side."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jauge_agent.polling import Device, Poller
from jauge_agent.source import AbsentError, FatalError, Outcome, ResourceDescription
from jauge_agent.sources.snmp.settings import (
    BATCH,
    WAIT_S,
    SnmpDeviceSettings,
    SnmpSettings,
)

if TYPE_CHECKING:
    from jauge_agent.sources.snmp.members import Members

_DISTRIBUTION: Final = "gufo-snmp"


class SnmpSource:
    """Reads the listed devices side by side; see `Poller`."""

    Settings = SnmpSettings

    def __init__(self, settings: SnmpSettings) -> None:
        """Nothing is asked before ``open``."""
        self._settings = settings
        self._poller: Poller | None = None
        self._file: Path | None = None

    def remember(self, file: Path) -> None:
        """See `Source`: what the sums of its devices have had as parts."""
        self._file = file

    async def open(self) -> Sequence[ResourceDescription]:
        """See `Source`. Raises AbsentError without devices or without gufo-snmp."""
        if not self._settings.devices:
            raise AbsentError("no device is listed under sources.snmp.devices")
        if find_spec("gufo") is None or find_spec("gufo.snmp") is None:
            raise AbsentError(f"{_DISTRIBUTION} is not installed; install jauge-agent[snmp]")
        if self._poller is None:
            members = self._known_members()
            devices = [polled(each, members) for each in self._settings.devices]
            self._poller = Poller("snmp", devices, self._settings)
        return await self._poller.open()

    async def read(self) -> Outcome:
        """See `Source`."""
        if self._poller is None:
            raise FatalError("the source was never opened")
        return await self._poller.read()

    async def close(self) -> None:
        """See `Source`."""
        if self._poller is not None:
            await self._poller.close()

    def _known_members(self) -> "Members":
        from jauge_agent.sources.snmp.members import Members  # noqa: PLC0415 - with devices only

        members = Members()
        if self._file is not None:
            members.keep_in(self._file)
        return members


def polled(settings: SnmpDeviceSettings, members: "Members | None" = None) -> Device:
    """A device as the poller takes it; its secrets are read when it is opened."""
    from jauge_agent.sources.snmp.device import ListedDevice  # noqa: PLC0415 - profiles

    device = ListedDevice(settings, timeout_s=WAIT_S, batch=BATCH, members=members)
    return Device(settings.label, device, period_s=settings.period_s)
