"""What an administrator says of Modbus meters."""

from typing import Annotated, Final

import msgspec
from jauge_models.resources import is_name

from jauge_agent.place import check_host
from jauge_agent.source import SourceSettings
from jauge_agent.sources.modbus.profile import load

DEFAULT_PORT: Final = 502


class ModbusDevice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A meter, or another device that has a register map."""

    host: str
    """Name or address of the meter, or of the gateway before it."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = DEFAULT_PORT
    """TCP port."""
    unit: Annotated[int, msgspec.Meta(ge=0, le=255)] = 1
    """Its number behind the gateway; a meter with its own network socket often takes any."""
    profile: str
    """Its register map: a name that `jauge-agent probe` shows, or the absolute path of a file."""
    id: str | None = None
    """Its name, whatever serial number it tells: that on its plate, or in the asset register;
    needed where it tells none, and better than the address that is taken for a placeholder."""
    name: str = ""
    """What people call it."""
    labels: dict[str, str] = {}
    """Further labels of its resources, such as feed or room."""
    ct_ratio: Annotated[float, msgspec.Meta(gt=0, le=100_000)] = 1.0
    """Primary over secondary current of its transformers, where the meter does not know it."""
    vt_ratio: Annotated[float, msgspec.Meta(gt=0, le=100_000)] = 1.0
    """Primary over secondary voltage of its transformers, where the meter does not know it."""
    pulse_weight: Annotated[float, msgspec.Meta(gt=0, le=1e6)] | None = None
    """What one pulse is worth, in the unit that the profile gives: litres for water."""
    first_register: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    """Added to each address of the profile: where this channel of a pulse counter begins."""
    period_s: Annotated[float, msgspec.Meta(ge=1, le=86400)] | None = None
    """Seconds between two readings, when longer than the source's period."""

    def __post_init__(self) -> None:
        """Raises ValueError for what can never work."""
        check_host(self.host)
        profile = load(self.profile)
        ends = [profile.range_of(point).end for point in profile.points]
        if max(ends) + self.first_register > 65536:
            raise ValueError("first_register leads behind the last register there is")
        if self.id is not None and (not is_name(self.id) or len(self.id) > 100):
            raise ValueError(f"id {self.id!r} is not a name of letters, digits and . _ : -")
        if self.id is None and profile.serial is None:
            raise ValueError(f"id is missing: {self.profile} meters tell no serial number")
        has_ratio = self.ct_ratio != 1 or self.vt_ratio != 1
        if has_ratio and not profile.has_secondary_values:
            raise ValueError(
                f"ct_ratio and vt_ratio must be left out: {self.profile} meters show primary values"
            )
        if profile.counts_pulses and self.pulse_weight is None:
            raise ValueError(f"pulse_weight is missing: {self.profile} counts pulses")
        if self.pulse_weight is not None and not profile.counts_pulses:
            raise ValueError(f"pulse_weight must be left out: {self.profile} counts no pulses")

    @property
    def place(self) -> str:
        """Where it is asked; two devices never share one."""
        channel = f"+{self.first_register}" if self.first_register else ""
        return f"{self.host}:{self.port}/{self.unit}{channel}"


class ModbusSettings(SourceSettings, frozen=True):
    """Settings of the modbus source."""

    period_s: Annotated[float, msgspec.Meta(ge=1, le=86400)] = 60.0
    """Seconds between reads; ticks fall on wall-clock multiples."""
    deadline_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 50.0
    """Seconds after which a read is given up and counted as failed; thirty meters in series on one
    serial line take half a minute."""
    answer_s: Annotated[float, msgspec.Meta(ge=0.05, le=60)] = 1.5
    """Seconds to wait for one answer, that of a serial line behind a gateway included."""
    devices: list[ModbusDevice] = []  # noqa: RUF012 - msgspec copies it
    """The meters; read one after the other where they share an address, else side by side."""

    def __post_init__(self) -> None:
        """Raises ValueError for a device that is listed twice."""
        places = [device.place.lower() for device in self.devices]
        for place in places:
            if places.count(place) > 1:
                raise ValueError(f"{place} is listed twice")
        ids = [device.id for device in self.devices if device.id]
        for one in ids:
            if ids.count(one) > 1:
                raise ValueError(f"id {one!r} is given to two devices")
