"""One meter behind a gateway: who it is, what it has, and its values at each tick."""

import asyncio
import logging
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from jauge_models.quantities import CATALOGUE, Kind
from jauge_models.resources import MAX_NAME_LENGTH, identity

from jauge_agent.identities import is_placeholder
from jauge_agent.logs import say
from jauge_agent.source import Method, Outcome, ResourceDescription, RetryError, Sample
from jauge_agent.sources.modbus.blocks import Block, Range, blocks
from jauge_agent.sources.modbus.config import DEFAULT_PORT, ModbusDevice
from jauge_agent.sources.modbus.gateway import BusyError, Gateway, MissingError
from jauge_agent.sources.modbus.profile import EXPORT, Point, Profile, Serial
from jauge_agent.sources.modbus.registers import Form, bit, number, text

SURVEY_S: Final = 1800.0
"""Seconds after which registers that were refused are asked for again."""
PHASE_KIND: Final = "phase"
SENSOR_KIND: Final = "sensor"

_LARGEST_EXPONENT: Final = 12
_MAINS: Final = MappingProxyType({"frequency": (10.0, 1000.0), "voltage": (1.0, 800_000.0)})
"""What conductors with mains can show; less is what others induce where there is none."""
_WITHHELD: Final = frozenset(
    {"power", "apparent_power", "reactive_power", "power_factor", "energy", "current", *_MAINS}
)
"""Electricity: all of it is doubtful where some of it is."""
_DOUBTS: Final = 64
"""Things of one meter that are said."""
_CONDUCTOR: Final = re.compile(r"L[123]|L[123]-L[123]|N")

_BACK: Final = "it is no reading: is a transformer reversed, or are phases swapped?"
_SCALE: Final = "its powers and energies are left out: are profile and ratios those of this meter?"

_log = logging.getLogger(__name__)

_Words = Mapping[Range, Sequence[int] | None]
"""Registers as they were read; None where the device could not give them this time."""


class Meter:
    """Meets `Source` for one unit; a poller gives it its ticks and its deadline."""

    def __init__(self, gateway: Gateway, device: ModbusDevice, profile: Profile) -> None:
        self._gateway = gateway
        self._device = device
        self._profile = profile
        self._blocks: list[Block] = []
        self._lacking: set[Range] = set()
        """Ranges that the device has said it does not have."""
        self._id = ""
        self._warned = False
        self._replaced = 0
        """Changes of the serial number that no reading has counted yet."""
        self._warned_at = float("-inf")
        self._said: set[tuple[str, str]] = set()
        self.serial = ""
        """The serial number that it has told last; empty: none, or a placeholder."""
        self._surveyed_at = float("-inf")

    async def open(self) -> Sequence[ResourceDescription]:
        """Read everything once, to learn what this very meter has. Raises RetryError."""
        self._plan()
        words = await self._read(Counter())
        if all(self._of(point) in self._lacking for point in self._profile.points):
            raise RetryError(
                f"{self._gateway.name} unit {self._device.unit} has none of the registers of"
                f" profile {self._device.profile}"
            )
        self._recognise(self._serial(words))
        self._say_if_unsure()
        return self._described()

    async def read(self) -> Outcome:
        """Read once. Raises RetryError when nothing can be had."""
        lacking = frozenset(self._lacking)
        if asyncio.get_running_loop().time() >= self._surveyed_at + SURVEY_S:
            self._plan()
        failed: Counter[str] = Counter()
        words = await self._read(failed)
        serial = self._serial(words)
        changed = bool(serial) and self._recognise(serial)
        changed |= self._lacking != lacking
        if self._replaced:
            failed["replaced"] += self._replaced
            self._replaced = 0
        samples = self._samples(words, failed)
        if not samples:
            raise RetryError(f"no register holds a value: {', '.join(sorted(failed)) or 'missing'}")
        return Outcome(samples, failed, self._described() if changed else None)

    async def close(self) -> None:
        """Nothing is held here: the socket is the gateway's."""

    def _plan(self) -> None:
        """Ask for all registers of the profile, whatever was refused before."""
        profile, offset = self._profile, self._device.first_register
        ranges = [self._of(point) for point in profile.points]
        ranges += [
            _scale_range(point, profile, offset) for point in profile.points if point.scale_by
        ]
        if profile.serial is not None:
            ranges.append(self._of(profile.serial))
        self._blocks = blocks(ranges, most=profile.most_registers, gap=profile.gap)
        self._lacking = set()
        self._surveyed_at = asyncio.get_running_loop().time()

    async def _read(self, failed: Counter[str]) -> dict[Range, Sequence[int] | None]:
        """All ranges. A block that the device refuses is asked for in halves, and so remembered."""
        words: dict[Range, Sequence[int] | None] = {}
        ahead, kept = list(self._blocks), list[Block]()
        heard = False
        while ahead:
            block = ahead.pop(0)
            try:
                registers = await self._gateway.read(
                    self._device.unit, block.function, block.address, block.count
                )
            except MissingError:
                heard = True
                ahead[:0] = block.split()
                if len(block.ranges) == 1:
                    self._lacking.add(block.ranges[0])
                continue
            except BusyError:
                if not heard and not ahead:
                    raise
                failed["busy"] += len(block.ranges)
                words.update(dict.fromkeys(block.ranges))
            except RetryError:
                # Whoever does not answer this one is not kept waiting for with the others.
                if not heard:
                    raise
                for left in (block, *ahead):
                    failed["silent"] += len(left.ranges)
                    words.update(dict.fromkeys(left.ranges))
                kept += [block, *ahead]
                break
            else:
                heard = True
                for one in block.ranges:
                    start = one.address - block.address
                    words[one] = registers[start : start + one.words]
            kept.append(block)
        self._blocks = kept
        if words and all(found is None for found in words.values()):
            raise BusyError(f"{self._gateway.name} unit {self._device.unit} is busy")
        return words

    def _samples(self, words: _Words, failed: Counter[str]) -> list[Sample]:
        """The values of one reading; no powers where volts and hertz show that the map is wrong."""
        found = [
            sample
            for point in self._profile.points
            if (sample := self._sample(point, words, failed)) is not None
        ]
        wrong = self._out_of_scale(words, found)
        if not wrong:
            return found
        self._say("values out of scale", wrong, _SCALE)
        kept = [each for each in found if each.quantity not in _WITHHELD]
        failed["scale"] += len(found) - len(kept)
        return kept

    def _out_of_scale(self, words: _Words, found: Sequence[Sample]) -> str:
        """Which quantity shows that registers mean something else; empty for none.

        Where all say that there are no mains nothing may be drawn. What was not read tells nothing.
        """
        plausible, dead, silent = False, False, ""
        for point in self._profile.points:
            registers = words.get(self._of(point))
            if point.quantity not in _MAINS or registers is None:
                continue
            number = self._number(registers, point.form, point.none)
            factor = self._factor(point, words)
            low, high = _MAINS[point.quantity]
            if number is None or factor is None:
                silent = silent or point.quantity
            elif abs(number * factor) > high:
                return point.quantity
            elif abs(number * factor) < low:
                dead = True
            else:
                plausible = True
        if plausible:
            return ""
        is_drawing = any(each.quantity == "power" and each.value != 0 for each in found)
        return silent if not dead else "power" if is_drawing else ""

    def _sample(self, point: Point, words: _Words, failed: Counter[str]) -> Sample | None:
        found = words.get(self._of(point))
        if found is None:
            return None  # the device lacks it, or its request has been counted
        value = self._value(found, point)
        factor = self._factor(point, words)
        if value is None or factor is None:
            failed["none"] += 1
            return None
        if point.states:
            value = point.states.get(str(value))
            if value is None:
                failed["state"] += 1
                return None
        value *= factor
        entry = CATALOGUE[point.quantity]
        if not math.isfinite(value) or not entry.low <= value <= entry.high:
            # What flows back is not drawn: it has a register of its own, or a turned transformer.
            is_backwards = value < 0 <= entry.low
            failed["negative" if is_backwards else "range"] += 1
            if is_backwards and point.quantity == "power":
                self._say("power flows back", self._resource(point.part), _BACK)
            return None
        return Sample(self._resource(point.part), point.quantity, value)

    def _factor(self, point: Point, words: _Words) -> float | None:
        device = self._device
        factor = point.factor
        if point.secondary in ("current", "power"):
            factor *= device.ct_ratio
        if point.secondary in ("voltage", "power"):
            factor *= device.vt_ratio
        if point.by_pulse_weight:
            factor *= device.pulse_weight or math.nan
        if point.scale_by is None:
            return factor
        found = words.get(_scale_range(point, self._profile, device.first_register))
        by = None if found is None else self._number(found, point.scale_by.form)
        if by is None:
            return None
        if point.scale_by.means == "factor":
            return factor * by if by > 0 else None
        return factor * 10.0**by if abs(by) <= _LARGEST_EXPONENT else None

    def _value(self, words: Sequence[int], point: Point) -> float | None:
        if point.bit is None:
            return self._number(words, point.form, point.none)
        profile = self._profile
        orders = {"word_order": profile.word_order, "byte_order": profile.byte_order}
        value = bit(words, point.bit, **orders)
        return None if value in point.none else value

    def _number(self, words: Sequence[int], form: Form, none: Sequence[int] = ()) -> float | None:
        profile = self._profile
        orders = {"word_order": profile.word_order, "byte_order": profile.byte_order}
        return number(words, form, none=none, **orders)

    def _of(self, entry: Point | Serial) -> Range:
        return self._profile.range_of(entry, self._device.first_register)

    def _recognise(self, serial: str | None) -> bool:
        """Take the meter for what it tells; whether its description is another by that.

        A configured id is its name whatever it tells. Raises RetryError when it has no name.
        """
        device, known, before = self._device, self.serial, self._id
        self._id = device.id or self._named(serial)
        if not device.id and not serial and self._id != before:
            say(
                _log,
                logging.WARNING,
                "serial number is a placeholder",
                device=device.place,
                name=self._id,
                detail="it is named by its address, which another meter may get: give it an id",
            )
        self.serial = serial or (known if device.id else "")
        is_another_meter = bool(known) and self.serial != known
        if is_another_meter or (before and self._id != before):
            self._replaced += 1
            self._say_replaced(before, known)
        return self.serial != known or self._id != before

    def _named(self, serial: str | None) -> str:
        """By the serial number; by its place where that is one which many meters tell."""
        device = self._device
        unit = f"{self._gateway.name} unit {device.unit}"
        if serial is None:
            entry = self._profile.serial
            if entry is not None and self._of(entry) not in self._lacking:
                raise RetryError(f"{unit} has not told its serial number yet: it is busy")
            raise RetryError(f"{unit} tells no serial number: give this device an id")
        if serial:
            return identity(f"{self._profile.maker}-{serial}")[: MAX_NAME_LENGTH - 16]
        port = "" if device.port == DEFAULT_PORT else f".{device.port}"
        channel = f".{device.first_register}" if device.first_register else ""
        place = f"{device.host.lower()}{port}.{device.unit}{channel}"
        return identity(place)[: MAX_NAME_LENGTH - 16]

    def _serial(self, words: _Words) -> str | None:
        """As the meter tells it: None when it could not be read, empty for a placeholder."""
        entry = self._profile.serial
        found = None if entry is None else words.get(self._of(entry))
        if entry is None or found is None:
            return None
        if entry.hexadecimal:
            told = "".join(f"{word:04x}" for word in found)
        elif entry.form is None:
            told = text(found, byte_order=self._profile.byte_order)
        else:
            value = self._number(found, entry.form)
            told = "" if value is None else str(value)
        return "" if is_placeholder(told) else told

    def _say_replaced(self, before: str, known: str) -> None:
        """Not at each reading: a register that is no serial number may change at each."""
        now = asyncio.get_running_loop().time()
        if now < self._warned_at + SURVEY_S:
            return
        self._warned_at = now
        say(
            _log,
            logging.WARNING,
            "meter replaced",
            device=self._device.place,
            before=known or before,
            now=self.serial or self._id,
            name=self._id,
        )

    def _say(self, event: str, what: str, detail: str) -> None:
        if (event, what) not in self._said and len(self._said) < _DOUBTS:
            self._said.add((event, what))
            place = self._device.place
            say(_log, logging.WARNING, event, device=place, what=what, detail=detail)

    def _say_if_unsure(self) -> None:
        profile = self._profile
        if self._warned or not self._unsure():
            return
        self._warned = True
        say(
            _log,
            logging.INFO,
            "registers not verified",
            device=self._device.place,
            profile=self._device.profile,
            quantities=",".join(sorted(self._unsure())),
            detail="compare these values with the meter's display before they count",
            remark=profile.remark,
        )

    def _unsure(self) -> set[str]:
        profile = self._profile
        return {point.quantity for point in profile.points if not profile.is_verified(point)}

    def _resource(self, part: str | None) -> str:
        if part is None:
            return f"{self._profile.kind}:{self._id}"
        if part == EXPORT:
            return f"{self._profile.kind}:{self._id}.{EXPORT}"
        kind = PHASE_KIND if _CONDUCTOR.fullmatch(part) else SENSOR_KIND
        return f"{kind}:{self._id}.{part}"

    def _described(self) -> list[ResourceDescription]:
        profile, device = self._profile, self._device
        parts: dict[str | None, dict[str, Method]] = {}
        unsure: dict[str | None, set[str]] = {}
        for point in profile.points:
            if self._of(point) in self._lacking:
                continue
            is_total = CATALOGUE[point.quantity].kind is Kind.COUNTER
            methods = parts.setdefault(point.part, {})
            methods[point.quantity] = Method.REGISTER if is_total else Method.GAUGE
            if not profile.is_verified(point):
                unsure.setdefault(point.part, set()).add(point.quantity)
        name = device.name or profile.title
        described: list[ResourceDescription] = []
        for part, methods in parts.items():
            labels = {**device.labels, "profile": device.profile, "stability": profile.stability}
            if device.id and self.serial:
                labels["serial"] = self.serial
            if part == EXPORT:
                labels["flow"] = EXPORT
            elif part is not None and _CONDUCTOR.fullmatch(part):
                labels["phase"] = part
            if part in unsure:
                labels["unverified"] = " ".join(sorted(unsure[part]))
            told = name if part is None else f"{name} {part}"
            described.append(ResourceDescription(self._resource(part), methods, told, labels))
        return described


def _scale_range(point: Point, profile: Profile, offset: int) -> Range:
    if point.scale_by is None:
        raise ValueError(f"{point.quantity} is not scaled by a register")
    by = point.scale_by
    return Range(point.function or profile.function, by.address + offset, by.form.words)
