"""What a server without a sensor draws, from how busy it is: an estimate, with its error.

Built on published results of SPECpower_ssj2008 (spec.org) and, for cloud instances, on watts that
Teads measured. What was fitted how, and how far it is off, stands in docs/measurement.md;
``python -m benchmarks.power_models`` repeats it. An estimate is graded low and gives way to any
measurement.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, NamedTuple

from jauge_models.power_coefficients import (
    LOADS,
    Coefficients,
    Errors,
    Family,
    Knots,
    Size,
)
from jauge_models.processor_families import family_of, vendor_of
from jauge_models.published_power import PUBLISHED

GB: Final = 1e9
"""Bytes."""

_NEWER: Final = ("EPYC", "Xeon Scalable")
"""Series that go on: a family of theirs that no result speaks of is later than all of them."""


class Estimate(NamedTuple):
    """What is drawn, W, and its standard error, W."""

    power: float
    error: float


@dataclass(frozen=True, slots=True)
class ServerModel:
    """The watts of one server from idle to full load.

    ``watts`` and their standard ``errors`` belong to the loads of LOADS; between them both run
    straight. ``basis`` says in words what the model knows.
    """

    watts: Knots
    errors: Knots
    basis: str

    @property
    def idle(self) -> float:
        """W, switched on and doing nothing."""
        return self.watts[0]

    @property
    def full(self) -> float:
        """W, all processors busy."""
        return self.watts[-1]

    def power(self, utilisation: float) -> Estimate:
        """What it draws at a utilisation from 0 to 1; what lies outside counts as the bound."""
        return Estimate(_between(self.watts, utilisation), _between(self.errors, utilisation))


def model_of(
    *,
    cpu: str = "",
    processors: float | None = None,
    memory: float | None = None,
    idle: float | None = None,
    full: float | None = None,
    year: float | None = None,
    virtual: bool = False,
    coefficients: Coefficients = PUBLISHED,
) -> ServerModel:
    """The model of a server of which any of this is known.

    ``cpu`` as the machine names its processor; ``processors``: logical ones; ``memory`` in bytes;
    ``idle`` and ``full`` in W, declared or from a data sheet; ``year`` in which the model came out.
    ``virtual`` is a cloud instance, a part of its platform, unless its watts are declared. Raises
    ValueError where a number cannot be, and for an instance of which ``processors`` is not known.
    """
    known = {"processors": processors, "memory": memory, "idle": idle, "full": full}
    for name, value in known.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} = {value:g}: must be more than zero")
    if idle is not None and full is not None and idle >= full:
        raise ValueError(f"idle = {idle:g} W is not below full = {full:g} W")
    if virtual and idle is None and full is None:
        if processors is None:
            raise ValueError("an instance needs its number of processors")
        return _instance(cpu, processors, memory, coefficients)
    memory_gb = None if memory is None else memory / GB
    return _server(_Known(cpu, processors, memory_gb, idle, full, year), coefficients)


def described(
    labels: Mapping[str, str], *, idle: float | None = None, full: float | None = None
) -> ServerModel:
    """The model of a machine by the labels of its birth; ``idle`` and ``full`` in W as declared.

    Labels: ``cpu``, ``processors``, ``memory_gb``, ``virtual``. One that is no number counts as
    not known, and an instance without ``processors`` as one of a single processor. Raises
    ValueError for idle and full watts that cannot be.
    """
    processors = _number(labels.get("processors"))
    memory = _number(labels.get("memory_gb"))
    virtual = bool(labels.get("virtual"))
    return model_of(
        cpu=labels.get("cpu", ""),
        processors=1.0 if virtual and processors is None else processors,
        memory=None if memory is None else memory * GB,
        idle=idle,
        full=full,
        virtual=virtual,
    )


def idle_part(utilisation: float) -> float:
    """The typical part of a server's power that is idle power at a utilisation from 0 to 1.

    The median of the published servers of the last years; 1 at rest.
    """
    return _between(PUBLISHED.idle_part, utilisation)


class _Known(NamedTuple):
    """What is known of a server; the number of GB, not of bytes."""

    cpu: str
    processors: float | None
    memory_gb: float | None
    idle: float | None
    full: float | None
    year: float | None


def _server(server: _Known, by: Coefficients) -> ServerModel:
    name = family_of(server.cpu)
    family = by.families.get(name)
    alike = _alike(server, name, family, by)
    ratio = min(max(alike[0] / alike[1], by.ratios[0]), by.ratios[1])
    guess = by.size_errors[
        ("f" if family else "")
        + ("p" if server.processors else "")
        + ("m" if server.memory_gb else "")
    ]
    idle, full, errors = server.idle, server.full, by.declared
    words = "idle and full power declared"
    if idle is None and full is None:
        words = "idle and full power of servers alike"
        errors = guess
    elif idle is None or full is None:
        words = f"{'full' if idle is None else 'idle'} power declared"
        errors = (
            Errors(guess.idle, errors.full) if idle is None else errors._replace(full=guess.idle)
        )
    if full is None:
        full = alike[1] if idle is None else idle / ratio
    if idle is None:
        idle = ratio * full
    vendor = vendor_of(server.cpu)
    shape, spread = _shape(idle / full, vendor, family, by)
    span = full - idle
    return ServerModel(
        tuple(idle + span * part for part in shape),
        tuple(
            math.hypot((1 - part) * idle * errors.idle, part * full * errors.full, span * error)
            for part, error in zip(shape, spread, strict=True)
        ),
        f"{words}; shape of {name if family else vendor or 'any server'}",
    )


def _alike(
    server: _Known, name: str, family: Family | None, by: Coefficients
) -> tuple[float, float]:
    """Idle and full watts of servers alike; what is not known is taken as it typically is."""
    first, mean, last = by.years
    processors = server.processors or (family.processors if family else by.processors)
    memory_gb = server.memory_gb or processors * by.memory_gb
    year = server.year
    if year is None:
        year = family.year if family else last if name.startswith(_NEWER) else None
    since = 0.0 if year is None else min(max(year, first), last) - mean

    def watts(sizes: Mapping[str, Size], offset: float) -> float:
        size = sizes["" if year is None else "year"]
        exponent = size.at + size.processors * math.log2(processors)
        exponent += size.memory * math.log2(memory_gb) + size.year * since
        return float(2 ** (exponent + offset))

    return (
        watts(by.idle, family.idle if family else 0.0),
        watts(by.full, family.full if family else 0.0),
    )


def _shape(
    ratio: float, vendor: str, family: Family | None, known: Coefficients
) -> tuple[Knots, Knots]:
    """Where between idle and full each load lies, rising from 0 to 1, and its standard error."""
    ratio = min(max(ratio, known.ratios[0]), known.ratios[1])
    shape = known.shapes.get(vendor) or known.shapes[""]
    offsets = family.shape if family else (0.0,) * len(LOADS)
    parts = (
        at + slope * ratio + offset
        for at, slope, offset in zip(shape.at, shape.slope, offsets, strict=True)
    )
    rising = accumulate((min(max(part, 0.0), 1.0) for part in parts), max)
    return tuple(rising), known.shape_errors["family" if family else "vendor" if vendor else ""]


def _instance(
    cpu: str, processors: float, memory: float | None, known: Coefficients
) -> ServerModel:
    """An instance as its part of the platform: so much per virtual processor and per GB."""
    name = family_of(cpu)
    rule = known.instances
    is_known = bool(name) and name in rule.watts
    error = rule.errors[0 if is_known else 1]
    memory_gb = processors * rule.memory_gb if memory is None else memory / GB
    each = rule.watts[name if is_known else ""]
    watts = tuple(
        processors * at + memory_gb * per_gb for at, per_gb in zip(each, rule.memory, strict=True)
    )
    return ServerModel(
        watts,
        tuple(watt * error for watt in watts),
        f"part of a cloud platform; {name if is_known else 'any platform'}",
    )


def _between(knots: Knots, utilisation: float) -> float:
    """The value at a utilisation, straight between the loads of which it is known."""
    if math.isnan(utilisation):
        raise ValueError("utilisation is not a number")
    at = min(max(utilisation, 0.0), 1.0)
    left = min(bisect_right(LOADS, at) - 1, len(LOADS) - 2)
    part = (at - LOADS[left]) / (LOADS[left + 1] - LOADS[left])
    return knots[left] + part * (knots[left + 1] - knots[left])


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
