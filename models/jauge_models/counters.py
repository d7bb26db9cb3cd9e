"""Counters and registers: what two successive values of a running total say.

A wrap, a reset and a replacement look alike for one moment and mean different amounts, so they
are told apart here and nowhere else.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

WRAP_MARGIN: Final = 1.2
"""A wrap is believed only while the implied rate stays below this multiple of the rating."""


class Step(StrEnum):
    """What happened between two successive values of a running total."""

    ADVANCE = "advance"
    WRAP = "wrap"
    RESET = "reset"
    """It started again, or was replaced undeclared: what flowed in between is unknown."""
    JUMP = "jump"
    """It advanced faster than the resource can draw: not believed, the meter is suspended."""


@dataclass(frozen=True, slots=True)
class Dial:
    """What is known of a running total.

    ``modulus`` is the value at which it starts again at zero, in the unit of the counter;
    ``rating`` is the most that can flow, in units per second; ``resolution`` the smallest step,
    which a pulse meter takes at once however little time has passed. None means unknown: without
    a rating no wrap and no jump can be recognised.
    """

    modulus: float | None = None
    rating: float | None = None
    resolution: float = 0.0


class Difference(NamedTuple):
    """``amount`` flowed between two values, or None where it cannot be known."""

    step: Step
    amount: float | None


def difference(previous: float, current: float, elapsed_s: float, dial: Dial) -> Difference:
    """What flowed between two values read ``elapsed_s`` (> 0) apart."""
    ceiling = None
    if dial.rating is not None:
        ceiling = dial.rating * WRAP_MARGIN * elapsed_s + dial.resolution
    if current >= previous:
        if ceiling is not None and current - previous > ceiling:
            return Difference(Step.JUMP, None)
        return Difference(Step.ADVANCE, current - previous)
    if dial.modulus is not None and ceiling is not None and previous < dial.modulus:
        wrapped = dial.modulus - previous + current
        if wrapped <= ceiling:
            return Difference(Step.WRAP, wrapped)
    return Difference(Step.RESET, None)
