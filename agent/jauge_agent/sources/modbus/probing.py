"""What ``jauge-agent probe modbus://HOST[:PORT]/UNIT`` finds, by reading only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from jauge_models.configuration import ConfigurationError
from msgspec.structs import replace

from jauge_agent.place import check_host
from jauge_agent.probe import Probed
from jauge_agent.source import AbsentError, ResourceDescription, RetryError, Sample
from jauge_agent.sources.modbus.config import DEFAULT_PORT, ModbusDevice
from jauge_agent.sources.modbus.device import Meter
from jauge_agent.sources.modbus.gateway import BusyError, Gateway, MissingError
from jauge_agent.sources.modbus.profile import Mark, Profile, load, names
from jauge_agent.sources.modbus.registers import text

_PLAUSIBLE: Final = {"frequency": (40.0, 70.0), "voltage": (50.0, 1000.0)}
"""What a meter on the mains shows, by which a map without marks is taken for possible."""
_STAND_IN: Final = "PLATE"


class _Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where to ask, and of what."""

    host: str
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = DEFAULT_PORT
    unit: Annotated[int, msgspec.Meta(ge=0, le=255)] = 1
    profile: str | None = None
    answer_s: Annotated[float, msgspec.Meta(ge=0.05, le=60)] = 1.5

    def __post_init__(self) -> None:
        """Raises ValueError for what is no host."""
        check_host(self.host)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A profile that fits what answers, and what is read by it."""

    name: str
    resources: Sequence[ResourceDescription] = ()
    samples: Sequence[Sample] = ()

    @property
    def tells_serial(self) -> bool:
        """Whether the meter has an identity of its own."""
        return bool(self.resources) and all(_STAND_IN not in each.id for each in self.resources)


async def probed(keys: Mapping[str, Any]) -> Probed:
    """Which meter answers there. Raises ConfigurationError, AbsentError, RetryError."""
    try:
        asked = msgspec.convert(dict(keys), _Asked, strict=False)
        known = None if asked.profile is None else load(asked.profile)
    except ValueError as error:  # of msgspec as well
        raise ConfigurationError(
            "modbus", "", str(error), "write modbus://HOST:PORT/UNIT"
        ) from None
    gateway = Gateway(asked.host, asked.port, answer_s=asked.answer_s)
    try:
        if asked.profile is not None and known is not None:
            found = [await _read(gateway, asked, asked.profile)]
            return _told(asked, found, is_sure=True)
        found = [
            await _read(gateway, asked, name)
            for name in names()
            if await _is_recognised(gateway, asked.unit, load(name))
        ]
        if found:
            return _told(asked, found, is_sure=True)
        possible = [name for name in names() if _could_be(load(name))]
        tried = [await _read(gateway, asked, name) for name in possible]
        return _told(asked, [each for each in tried if _is_plausible(each)], is_sure=False)
    finally:
        gateway.close()


def _told(asked: _Asked, found: Sequence[_Candidate], *, is_sure: bool) -> Probed:
    if not found:
        raise AbsentError(
            f"unit {asked.unit} answers, but fits no profile; known are {', '.join(names())}"
        )
    first, others = found[0], found[1:]
    profile = load(first.name)
    settings: dict[str, Any] = {"host": asked.host}
    if asked.port != DEFAULT_PORT:
        settings["port"] = asked.port
    settings |= {"unit": asked.unit, "profile": first.name}
    remarks: list[str] = []
    if not is_sure:
        remarks.append("Not recognised for sure: compare the values with the meter's display.")
    if others:
        remarks.append(f"It may as well be: {', '.join(each.name for each in others)}.")
    if profile.remark:
        remarks.append(profile.remark)
    unsure = sorted({p.quantity for p in profile.points if not profile.is_verified(p)})
    if unsure:
        remarks.append(f"Registers not verified, to be compared as well: {', '.join(unsure)}.")
    if not first.tells_serial:
        settings["id"] = _STAND_IN
        remarks.append("It tells no serial number: write as id what stands on its plate.")
    return Probed(profile.title, settings, first.resources, first.samples, remarks)


async def _is_recognised(gateway: Gateway, unit: int, profile: Profile) -> bool:
    for mark in profile.recognised_by:
        place = profile.range_of(mark)
        try:
            words = await gateway.read(unit, place.function, place.address, place.words)
        except (MissingError, BusyError):
            return False
        if not _holds(mark, words, profile):
            return False
    return bool(profile.recognised_by)


def _holds(mark: Mark, words: Sequence[int], profile: Profile) -> bool:
    if mark.text is not None:
        return mark.text.lower() in text(words, byte_order=profile.byte_order).lower()
    return words[0] in mark.values


async def _read(gateway: Gateway, asked: _Asked, name: str) -> _Candidate:
    """What the unit gives by that profile; nothing where it has none of its registers."""
    profile = load(name)
    weight = 1.0 if profile.counts_pulses else None
    device = ModbusDevice(
        host=asked.host,
        port=asked.port,
        unit=asked.unit,
        profile=name,
        id=_STAND_IN,
        pulse_weight=weight,
    )
    meter = Meter(gateway, device, profile)
    try:
        resources = await meter.open()
        if meter.serial:  # it shall be shown by the name that it gets with it
            meter = Meter(gateway, replace(device, id=None), profile)
            resources = await meter.open()
        return _Candidate(name, resources, (await meter.read()).samples)
    except BusyError:
        raise
    except RetryError:
        return _Candidate(name)


def _could_be(profile: Profile) -> bool:
    """Whether nothing but its values could show that a meter is of this family."""
    quantities = {point.quantity for point in profile.points}
    return not profile.recognised_by and bool(quantities & _PLAUSIBLE.keys())


def _is_plausible(candidate: _Candidate) -> bool:
    judged = [
        _PLAUSIBLE[sample.quantity][0] <= sample.value <= _PLAUSIBLE[sample.quantity][1]
        for sample in candidate.samples
        if sample.quantity in _PLAUSIBLE
    ]
    return bool(judged) and all(judged)
