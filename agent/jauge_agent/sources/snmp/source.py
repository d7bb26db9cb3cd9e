"""The snmp source: its listed devices, read side by side."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

from jauge_agent.polling import Device, Poller
from jauge_agent.source import AbsentError, FatalError, Outcome, ResourceDescription
from jauge_agent.sources.snmp.settings import (
    BATCH,
    WAIT_S,
    SnmpDeviceSettings,
    SnmpSettings,
)

_DISTRIBUTION: Final = "gufo-snmp"


class SnmpSource:
    """Reads the listed devices side by side; see `Poller`."""

    Settings = SnmpSettings

    def __init__(self, settings: SnmpSettings) -> None:
        """Nothing is asked before ``open``."""
        self._settings = settings
        self._poller: Poller | None = None

    async def open(self) -> Sequence[ResourceDescription]:
        """See `Source`. Raises AbsentError without devices or without gufo-snmp."""
        if not self._settings.devices:
            raise AbsentError("no device is listed under sources.snmp.devices")
        if find_spec("gufo") is None or find_spec("gufo.snmp") is None:
            raise AbsentError(f"{_DISTRIBUTION} is not installed; install jauge-agent[snmp]")
        if self._poller is None:
            self._poller = Poller("snmp", map(polled, self._settings.devices), self._settings)
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


def polled(settings: SnmpDeviceSettings) -> Device:
    """A device as the poller takes it; its secrets are read when it is opened."""
    from jauge_agent.sources.snmp.device import ListedDevice  # noqa: PLC0415 - profiles

    device = ListedDevice(settings, timeout_s=WAIT_S, batch=BATCH)
    return Device(settings.label, device, period_s=settings.period_s)
