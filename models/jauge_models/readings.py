"""Readings: one value of one series at one time, and the check every reading must pass."""

import math
from enum import StrEnum
from typing import NamedTuple

from jauge_models.quantities import CATALOGUE
from jauge_models.resources import Series, is_resource


class Reading(NamedTuple):
    """One immutable measurement. ``time_ms``: milliseconds since the Unix epoch, UTC."""

    series: Series
    time_ms: int
    value: float


class Flaw(StrEnum):
    """Why one record of a pack is left out; a bounded set, because it becomes a label."""

    NAME = "name"
    QUANTITY = "quantity"
    UNIT = "unit"
    RANGE = "range"
    VALUE = "value"


def flaw_of(resource: str, quantity: str, unit: str, value: float) -> Flaw | None:
    """What is wrong with a value as it came, or None when it may be stored."""
    if not is_resource(resource):
        return Flaw.NAME
    entry = CATALOGUE.get(quantity)
    if entry is None:
        return Flaw.QUANTITY
    if unit != entry.unit:
        return Flaw.UNIT
    if not math.isfinite(value):
        return Flaw.VALUE
    if not entry.low <= value <= entry.high:
        return Flaw.RANGE
    return None
