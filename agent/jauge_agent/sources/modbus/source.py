"""The modbus source: all configured meters, one socket for each address."""

from collections.abc import Sequence

from jauge_agent.polling import Device, Poller
from jauge_agent.source import Outcome, ResourceDescription
from jauge_agent.sources.modbus.config import ModbusSettings
from jauge_agent.sources.modbus.device import Meter
from jauge_agent.sources.modbus.gateway import Gateway, library
from jauge_agent.sources.modbus.profile import load


class ModbusSource:
    """Meets `Source`; deadline and back-off of each meter are the poller's."""

    Settings = ModbusSettings

    def __init__(self, settings: ModbusSettings) -> None:
        self._gateways: dict[tuple[str, int], Gateway] = {}
        devices: list[Device] = []
        for device in settings.devices:
            address = (device.host.lower(), device.port)
            gateway = self._gateways.setdefault(
                address, Gateway(device.host, device.port, answer_s=settings.answer_s)
            )
            profile = load(device.profile)
            meter = Meter(gateway, device, profile)
            devices.append(Device(device.place, meter, device.period_s, floor_s=profile.floor_s))
        self._poller = Poller("modbus", devices, settings)
        self._has_devices = bool(devices)

    async def open(self) -> Sequence[ResourceDescription]:
        """Find the meters. Raises AbsentError without any, FatalError without pymodbus."""
        if self._has_devices:
            library()
        return await self._poller.open()

    async def read(self) -> Outcome:
        """The meters' values for this tick. Raises RetryError when none answers."""
        return await self._poller.read()

    async def close(self) -> None:
        """Give the sockets back."""
        await self._poller.close()
        for gateway in self._gateways.values():
            gateway.close()
