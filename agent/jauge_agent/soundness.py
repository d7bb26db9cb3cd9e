"""What of a source's samples the catalogue allows; what it does not is counted, and said once."""

import logging
import sys
from collections import Counter
from collections.abc import Sequence
from operator import le
from typing import Final, NamedTuple

import msgspec
from jauge_models.quantities import CATALOGUE
from jauge_models.readings import Flaw, flaw_of
from jauge_models.wire import Sample

from jauge_agent.budget import Key
from jauge_agent.logs import say

_SERIES: Final = 10_000
"""Series remembered as sound; a gateway with more checks each value in full now and then."""

_log = logging.getLogger(__name__)


class Sound(msgspec.Struct, frozen=True, gc=False):
    """Samples that the catalogue allows."""

    samples: Sequence[Sample]
    series: frozenset[Key]
    """Theirs; fewer than samples where one comes twice."""


class _Read(NamedTuple):
    """A read without a flaw, column by column: the next one mostly gives the same series."""

    resources: Sequence[str]
    quantities: Sequence[str]
    lows: Sequence[float]
    highs: Sequence[float]
    series: frozenset[Key]


NOTHING: Final = Sound((), frozenset())


class Soundness:
    """Checks what one source gives."""

    def __init__(self, source: str, left_out: Counter[str]) -> None:
        """``left_out`` counts by flaw."""
        self._source = source
        self._left_out = left_out
        self._said: set[Flaw] = set()
        self._limits: dict[Key, tuple[float, float]] = {}
        self._before = _Read((), (), (), (), frozenset())

    def sound(self, samples: Sequence[Sample]) -> Sound:
        """Those that the catalogue allows. Raises TypeError or ValueError for what is no sample."""
        if not samples:
            return NOTHING
        resources, quantities, values = zip(*samples, strict=True)
        before = self._before
        if resources == before.resources and quantities == before.quantities:
            try:
                if all(map(le, before.lows, values)) and all(map(le, values, before.highs)):
                    return Sound(samples, before.series)
            except TypeError:
                pass  # a value that is no number
        return self._one_by_one(samples)

    def _one_by_one(self, samples: Sequence[Sample]) -> Sound:
        if len(self._limits) >= _SERIES:
            self._limits.clear()
        sound = [sample for sample in samples if self._is_sound(sample)]
        series = [sample[:2] for sample in sound]
        found = Sound(sound, frozenset(series))
        if len(sound) == len(samples):
            lows, highs = zip(*map(self._limits.__getitem__, series), strict=True)
            resources, quantities = zip(*series, strict=True)
            self._before = _Read(resources, quantities, lows, highs, found.series)
        return found

    def _is_sound(self, sample: Sample) -> bool:
        resource, quantity, value = sample
        try:
            low, high = self._limits[resource, quantity]
            if low <= value <= high:
                return True
        except (KeyError, TypeError):
            pass  # a new series, or none at all
        flaw = flaw_in(sample)
        if flaw is None:
            # What is left to check of a series that was sound once is its value.
            entry = CATALOGUE[quantity]
            largest = sys.float_info.max
            self._limits[resource, quantity] = (entry.low, min(entry.high, largest))
            return True
        self._left_out[flaw] += 1
        if flaw not in self._said:
            self._said.add(flaw)
            say(
                _log,
                logging.WARNING,
                "value left out",
                source=self._source,
                flaw=flaw,
                resource=str(sample.resource)[:128],
                quantity=str(sample.quantity)[:128],
                value=str(sample.value)[:64],
            )
        return False


def flaw_in(sample: Sample) -> Flaw | None:
    """What is wrong with a sample, whatever a source put into it."""
    try:
        entry = CATALOGUE.get(sample.quantity)
        unit = entry.unit if entry else ""
        return flaw_of(sample.resource, sample.quantity, unit, sample.value)
    except (TypeError, OverflowError):
        return Flaw.VALUE
