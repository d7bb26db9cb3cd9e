"""What a power model was fitted to say: the form of the numbers, without the numbers.

Logarithms are to base 2, so that a coefficient reads "per doubling". Errors are relative standard
errors unless said otherwise. Loads are the eleven of SPECpower_ssj2008, idle to full.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

LOADS: Final = tuple(step / 10 for step in range(11))
"""The loads of which watts are known, as parts of full load; the first is active idle."""

Knots = tuple[float, ...]
"""One number for each load of LOADS."""


class Shape(NamedTuple):
    """How far between idle and full a server draws at each load: at + slope × (idle / full)."""

    at: Knots
    slope: Knots


class Size(NamedTuple):
    """Watts of a server: log2 W = at + Σ coefficient × what is known of it."""

    at: float
    processors: float
    """Per doubling of the logical processors."""
    memory: float
    """Per doubling of the memory."""
    year: float


class Errors(NamedTuple):
    """Relative standard errors of a server's idle and full watts."""

    idle: float
    full: float


@dataclass(frozen=True, slots=True)
class Family:
    """What sets servers of one family of processors apart, shrunk towards none where few exist."""

    servers: int
    """How many published results stand behind it."""
    year: float
    """Mean year of publication."""
    processors: float
    """Typical number of logical processors."""
    shape: Knots
    """Added to the shape."""
    idle: float
    """Added to log2 of the idle watts."""
    full: float
    """Added to log2 of the full watts."""


class Instances(NamedTuple):
    """Watts of cloud instances: so much for each virtual processor and for each GB of memory."""

    watts: Mapping[str, Knots]
    """W per virtual processor at LOADS by family ("" for any), without its memory."""
    memory: Knots
    """W per GB."""
    memory_gb: float
    """Typical memory per virtual processor."""
    errors: tuple[float, float]
    """Relative standard error where the family is known, and where it is not."""


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Everything a model is made of.

    ``shapes`` by vendor ("" for any); ``shape_errors`` by what is known of the processor
    ("family", "vendor", ""), in parts of full − idle. ``idle`` and ``full``: "year" where it is
    known, by itself or by the family, else "". ``size_errors`` by what is known of the
    server: any of the letters f(amily), p(rocessors), m(emory), in that order.
    """

    shapes: Mapping[str, Shape]
    shape_errors: Mapping[str, Knots]
    families: Mapping[str, Family]
    idle: Mapping[str, Size]
    full: Mapping[str, Size]
    size_errors: Mapping[str, Errors]
    ratios: tuple[float, float]
    """Smallest and largest idle / full seen."""
    years: tuple[float, float, float]
    """First, mean and last year of publication."""
    processors: float
    """Typical number of logical processors of a server of which nothing is known."""
    memory_gb: float
    """Typical memory per logical processor."""
    declared: Errors
    """How far two results of one and the same model lie apart."""
    idle_part: Knots
    instances: Instances
