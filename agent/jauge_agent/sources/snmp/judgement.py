"""From raw objects to values one may trust: scale, what is no value, and what cannot be true.

A wrong watt is worse than none. A device that gives 0 W while 21 A flow, or a power that its own
voltage and current exclude, has that power left out and counted as ``suspicious``; a device whose
voltages are out of scale has all its powers and energies left out, counted as ``scale``.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from jauge_models.quantities import CATALOGUE
from jauge_models.resources import kind_of
from jauge_models.wire import Sample

from jauge_agent.finite import finite
from jauge_agent.sources.snmp.session import Value

PLAUSIBLE: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "voltage": (0, 1000),
        "current": (0, 10_000),
        "frequency": (10, 1000),
        "power": (0, 5e6),
        "apparent_power": (0, 5e6),
        "temperature": (-40, 125),
        "power_factor": (-1, 1),
    }
)
"""What the equipment of a data centre can show, where a profile says nothing narrower."""

_POWERS: Final = frozenset({"power", "apparent_power", "reactive_power", "energy"})
_NO_VOLTAGE: Final = 100.0
"""Volts assumed where a device measures none: the lowest mains voltage there is."""
_LEAST_VA: Final = 50.0
"""Volt-amperes below which 0 W is believed: small loads are rounded away."""
_LEAST_LOAD: Final = 0.02
"""Share of what it is rated for from which on a device cannot say that nothing flows."""
_FACTOR: Final = (0.1, 1.15)
"""Power over volt-amperes that one conductor can show."""
_THREE_PHASE: Final = 3.5
"""The same for a whole device, whose current may be the mean of three conductors."""
_ONE_CONDUCTOR: Final = frozenset({"phase", "outlet", "circuit"})
_BACK: Final = "its power flows back: is a transformer reversed, or are phases swapped?"
_NUMBER: Final = re.compile(r"[+-]?\d{1,20}(?:\.\d{1,20})?")


@dataclass(frozen=True, slots=True)
class Measured:
    """A value of a device, found by a survey: where it is and how it is read."""

    resource: str
    quantity: str
    oid: str
    scale: float
    offset: float
    none: frozenset[float]
    low: float
    high: float
    holds: tuple[tuple[str, frozenset[str]], ...] = ()
    """Objects, and what each must say for the raw value to be one: that it is measured at all."""
    states: tuple[tuple[str, float], ...] = ()
    """Where it names a state: what each raw value is worth."""
    told: tuple[tuple[str, str], ...] = ()
    """Objects on which scale, unit, kind and identity rest, with what they said at the survey."""

    @property
    def asked(self) -> tuple[str, ...]:
        """Every object that a reading of this value needs, its own first."""
        return (self.oid, *(oid for oid, _ in (*self.holds, *self.told)))


@dataclass(frozen=True, slots=True)
class Total:
    """A value that is the sum of others, missing when one of them is."""

    resource: str
    quantity: str
    parts: Sequence[Measured]


def asked(points: Iterable[Measured]) -> list[str]:
    """The objects that a reading of these values asks for, each once."""
    return list(dict.fromkeys(oid for point in points for oid in point.asked))


@dataclass(slots=True)
class Verdict:
    """What came of the objects of one reading."""

    samples: list[Sample] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    doubts: list[str] = field(default_factory=list)
    """What was left out as impossible, in words."""
    incomplete: list[Total] = field(default_factory=list)
    """Sums of which a part is missing."""
    doubtful: set[Measured] = field(default_factory=set)
    """The same as points, but for what is out of scale."""


def number_in(value: Value) -> float | None:
    """The number that an object holds, as such or as text; None where it holds none."""
    if isinstance(value, int | float):
        return finite(value)
    text = text_in(value)
    return float(text) if _NUMBER.fullmatch(text) else None


def text_in(value: Value) -> str:
    """The text that an object holds, without what pads it."""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return "".join(letter for letter in text if letter.isprintable()).strip()


def limits_of(quantity: str, low: float | None, high: float | None) -> tuple[float, float]:
    """Lowest and highest value accepted: the profile's, else what is plausible."""
    entry = CATALOGUE[quantity]
    usual = PLAUSIBLE.get(quantity, (entry.low, entry.high))
    return (
        max(entry.low, usual[0] if low is None else low),
        min(entry.high, usual[1] if high is None else high),
    )


def measured_now(wanted: Iterable[Measured], objects: Mapping[str, Value]) -> Sequence[Measured]:
    """Those that a device measures: a number there, or a state, that is not its word for none.

    A power that is none but ought to be something stays, so that it is said and counted.
    """
    points = list(wanted)
    raw = {point: number_in(objects[point.oid]) for point in points if point.oid in objects}
    known = {
        point
        for point, number in raw.items()
        if (number is not None or point.states) and _why_unusable(point, objects) is None
    }
    none = {point for point in known if raw[point] in point.none}
    doubtful = judged(points, (), objects).doubtful
    return [point for point in points if point in known - none or point in doubtful]


def judged(
    wanted: Iterable[Measured], totals: Iterable[Total], objects: Mapping[str, Value]
) -> Verdict:
    """The values of one reading, and why others are missing.

    Reasons: ``absent``, ``changed`` (its scale, unit, kind or identity is another than at the
    survey), ``unavailable`` (the device says that it does not measure it now), ``unreadable``,
    ``no-value``, ``state`` (one that the profile does not name), ``negative`` (it flows back),
    ``range``, ``suspicious``, ``scale``, ``incomplete``.
    """
    verdict = Verdict()
    values: dict[Measured, float] = {}
    zeros: list[Measured] = []
    out_of_scale = ""
    for point in wanted:
        value, reason = _value(point, objects)
        if value is not None:
            values[point] = value
        elif reason is not None:
            verdict.failed[reason] += 1
            if reason == "range" and point.quantity == "voltage":
                out_of_scale = out_of_scale or point.resource
            if reason == "negative":
                verdict.doubts.append(f"{point.resource}: {_BACK}")
            zeros += [point] if reason == "no-value" and _is_zero(point, objects) else []
    if out_of_scale:
        _withhold(values, verdict, out_of_scale)
    _doubt(values, zeros, verdict)
    for total in totals:
        known = [values[part] for part in total.parts if part in values]
        if total.parts and len(known) == len(total.parts):
            verdict.samples.append(Sample(total.resource, total.quantity, sum(known)))
        else:
            verdict.failed["incomplete"] += 1
            verdict.incomplete.append(total)
    verdict.samples[:0] = [
        Sample(point.resource, point.quantity, value) for point, value in values.items()
    ]
    return verdict


def _value(point: Measured, objects: Mapping[str, Value]) -> tuple[float | None, str | None]:
    raw = objects.get(point.oid)
    if raw is None:
        return None, "absent"
    if (reason := _why_unusable(point, objects)) is not None:
        return None, reason
    number = number_in(raw)
    if number in point.none:
        return None, "no-value"
    if point.states:
        worth = dict(point.states).get(text_in(raw))
        return worth, "state" if worth is None else None
    if number is None:
        return None, "unreadable"
    value = number * point.scale + point.offset
    if not point.low <= value <= point.high:
        return None, "negative" if point.quantity == "power" and value < 0 else "range"
    return value, None


def _why_unusable(point: Measured, objects: Mapping[str, Value]) -> str | None:
    """Why a raw value, whatever it is, must not be taken for what the survey found."""
    for oid, text in point.told:
        if oid not in objects and text:
            return "absent"
        if text_in(objects.get(oid, "")) != text:
            return "changed"
    for oid, equals in point.holds:
        if oid not in objects:
            return "absent"
        if text_in(objects[oid]) not in equals:
            return "unavailable"
    return None


def _is_zero(point: Measured, objects: Mapping[str, Value]) -> bool:
    return point.quantity == "power" and number_in(objects[point.oid]) == 0


def _withhold(values: dict[Measured, float], verdict: Verdict, resource: str) -> None:
    """Nothing that comes from a device of unknown scale is a watt."""
    powers = [point for point in values if point.quantity in _POWERS]
    for point in powers:
        del values[point]
    verdict.failed["scale"] += len(powers)
    verdict.doubts.append(f"{resource}: its voltage is out of scale, its powers are left out")


def _doubt(values: dict[Measured, float], zeros: Sequence[Measured], verdict: Verdict) -> None:
    """Take out powers and currents that other values of the same thing exclude."""
    beside = {(point.resource, point.quantity): value for point, value in values.items()}
    for point in sorted([*values, *zeros], key=lambda point: point.quantity != "power"):
        if point.quantity == "power":
            doubt = _why_not(point, values.get(point, 0.0), beside)
        elif point.quantity == "current" and values[point] == 0:
            doubt = _idle(point, "A", beside)
        else:
            continue
        if doubt:
            verdict.doubts.append(f"{point.resource}: {doubt}")
            verdict.doubtful.add(point)
    for point in verdict.doubtful:
        verdict.failed["suspicious"] += 1
        if values.pop(point, None) is None:
            verdict.failed["no-value"] -= 1
    verdict.failed += Counter()  # what has come to nothing goes


def _idle(point: Measured, unit: str, beside: Mapping[tuple[str, str], float]) -> str:
    """Why 0 cannot be true of something that says how much it is loaded."""
    load = beside.get((point.resource, "load"), 0.0)
    return f"0 {unit} at a load of {load:.0%}" if load >= _LEAST_LOAD else ""


def _why_not(point: Measured, watts: float, beside: Mapping[tuple[str, str], float]) -> str:
    """Why a power cannot be true beside other values of the same thing; empty when it can."""
    told = beside.get((point.resource, "apparent_power"))
    current = beside.get((point.resource, "current"))
    voltage = beside.get((point.resource, "voltage"))
    slack = max(_LEAST_VA, 10 * point.scale)
    least, most = _FACTOR
    if watts == 0 and (doubt := _idle(point, "W", beside)):
        return doubt
    if told and not least * told - slack <= watts <= most * told + slack:
        return f"{watts:g} W at {told:g} VA"
    if not current:
        return ""
    apparent = current * (voltage or _NO_VOLTAGE)
    if watts == 0:
        return f"0 W at {current:g} A" if apparent > slack else ""
    if not voltage:
        return ""
    if kind_of(point.resource) not in _ONE_CONDUCTOR:
        most = _THREE_PHASE
    if watts > most * apparent + slack + voltage or watts < least * apparent - slack:
        return f"{watts:g} W at {voltage:g} V and {current:g} A"
    return ""
