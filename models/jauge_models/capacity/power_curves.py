"""What a kind of node draws by how busy it is, learnt from its own measured hours.

A curve is an estimate with its error, found on hours that were held back from learning. Energy is
planned with its mean, racks and cooling with its 95th percentile, and neither with a nameplate.
docs/capacity.md says how far curves are off; ``python -m benchmarks --only power_curves`` repeats
it.
"""

import math
import statistics
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec

from jauge_models.capacity.history import BUSY, IDLE, SAMPLES, SPREAD, TooLittleHistory
from jauge_models.power_models import Estimate

__all__ = ["LATEST", "Knot", "Planned", "PowerCurve", "TooLittleHistory", "learn", "planned_w"]

HIGH: Final = 0.95
"""The percentile that racks and cooling are planned with."""
_EDGES: Final = (
    *(0.0, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    *(0.97, 1.0),
)
"""Upper bounds of the bands of activity. The first is rest alone: the first work wakes a GPU."""
_LEAST: Final = 168
"""Samples; a week of hours."""
_LEAST_OF_SIDE: Final = 24
"""Samples that are nearly idle, and that are busy."""
_IDLE_BELOW: Final = 0.25
_BUSY_ABOVE: Final = 0.5
_LEAST_OF_KNOT: Final = 8
LATEST: Final = 400
"""Of each band only so many samples count, the latest: drivers and firmware change what idle is."""
_PARTS: Final = 6
"""Stretches of time that are held back one after the other."""
_FREE_IS_BETTER: Final = 0.95
"""A curve may fall where that takes a twentieth off the error on what was held back."""


class Knot(NamedTuple):
    """One band of activity: its mean activity, its watts, and of how many samples.

    ``error``: the standard error of one sample predicted by the curve, W; ``high``: the 95th
    percentile, W.
    """

    activity: float
    mean: float
    error: float
    high: float
    samples: int


class PowerCurve(msgspec.Struct, frozen=True, kw_only=True):
    """Watts by activity, straight between the knots; one step is ``hours`` / ``samples`` long."""

    knots: tuple[Knot, ...]
    """By activity, at least two."""
    samples: int
    """Known pairs that were there to learn from."""
    hours: float
    """That they cover."""
    monotone: bool
    """Whether it never falls; false only where the samples say that it does."""
    most_w: float
    """The most measured, mean of a step."""
    error_of_full: float
    """90th percentile, over samples held back, of the error in parts of ``most_w``."""
    error_relative: float
    """The same in parts of what that sample measured; idle samples weigh as much as busy ones."""
    basis: str
    """What it knows, in words."""

    def at(self, activity: float) -> Estimate:
        """The mean drawn at an activity of 0 to 1 and the standard error of one step, W.

        What lies outside of 0 to 1 counts as the bound. Beyond the outermost knots the curve goes
        on along the line between them, and its error grows by what that adds.
        """
        mean, beyond = _along(self.knots, [knot.mean for knot in self.knots], activity)
        inside = min(max(activity, self.knots[0].activity), self.knots[-1].activity)
        error, _ = _along(self.knots, [knot.error for knot in self.knots], inside)
        return Estimate(mean, error + abs(beyond))

    def high(self, activity: float) -> float:
        """What 95 % of the steps at that activity stay below, W."""
        return _along(self.knots, [knot.high for knot in self.knots], activity)[0]


class Planned(NamedTuple):
    """What to plan a node with, W: energy by the median, racks and cooling by the percentile."""

    median: float
    p95: float


def planned_w(watts: Iterable[float | None]) -> Planned:
    """Median and 95th percentile of what was measured, W; values not known are left out.

    Raises TooLittleHistory below 24 values.
    """
    known = sorted(value for value in watts if value is not None)
    if len(known) < _LEAST_OF_SIDE:
        raise TooLittleHistory(
            SAMPLES, have=len(known), needed=_LEAST_OF_SIDE, what="measured values"
        )
    return Planned(statistics.median(known), _percentile(known, HIGH))


def learn(
    activity: Sequence[float | None],
    watts: Sequence[float | None],
    *,
    step_s: float = 3600.0,
    latest: int = LATEST,
) -> PowerCurve:
    """The curve of these steps of ``step_s`` seconds, in order of time.

    ``activity``: the mean of the step, 0 to 1; ``watts``: its mean power. A step of which either
    is None is left out. Of each band of activity the ``latest`` steps count; of several nodes
    together give so many for each. Raises ValueError for what cannot be, and TooLittleHistory
    naming what is missing: 168 samples, 24 of them below a quarter and 24 above a half of full
    activity, and neither in one stretch of time only.
    """
    samples = _known(activity, watts)
    _enough(samples)
    free, rising = _tested(samples, latest)
    seen = min(_sides([sample for sample, _ in rising]))
    if seen < _LEAST_OF_SIDE:
        raise TooLittleHistory(
            SPREAD,
            have=seen,
            needed=_LEAST_OF_SIDE,
            what="busy and idle samples that can be held back while others remain",
        )
    monotone = not _off(free) < _FREE_IS_BETTER * _off(rising)
    found = rising if monotone else free
    most = max(sample.watts for sample in samples)
    knots = _knots(samples, latest)
    knots = _with_errors(_rising(knots) if monotone else knots, found)
    return PowerCurve(
        knots=knots,
        samples=len(samples),
        hours=len(samples) * step_s / 3600.0,
        monotone=monotone,
        most_w=most,
        error_of_full=_percentile(sorted(abs(miss) / most for _, miss in found), 0.9)
        if most > 0
        else 0.0,
        error_relative=_percentile(
            sorted(abs(miss) / sample.watts for sample, miss in found if sample.watts > 0) or [0.0],
            0.9,
        ),
        basis=(
            f"{len(samples)} measured steps of {step_s:g} s, the latest {latest} of each band of "
            f"activity; errors of {len(found)} steps held back"
        ),
    )


def _along(knots: Sequence[Knot], watts: Sequence[float], activity: float) -> tuple[float, float]:
    """Watts there by those of the knots, and how many of them are from beyond the outermost.

    Beyond goes along the means, whatever the watts are of, so that a percentile keeps its distance.
    """
    first, last = knots[0], knots[-1]
    wanted = min(max(activity, 0.0), 1.0)
    inside = min(max(wanted, first.activity), last.activity)
    upper = max(1, bisect_left(knots, inside, key=_activity))
    low, high = knots[upper - 1].activity, knots[upper].activity
    part = (inside - low) / (high - low)
    found = watts[upper - 1] + (watts[upper] - watts[upper - 1]) * part
    slope = (last.mean - first.mean) / (last.activity - first.activity)
    beyond = max(slope * (wanted - inside), -found)
    return found + beyond, beyond


_activity: Final = attrgetter("activity")


class _Sample(NamedTuple):
    activity: float
    watts: float
    band: int


def _known(activity: Sequence[float | None], watts: Sequence[float | None]) -> Sequence[_Sample]:
    if len(activity) != len(watts):
        raise ValueError(f"{len(activity)} activities do not go with {len(watts)} watts")
    known = [
        _Sample(a, w, _band(a))
        for a, w in zip(activity, watts, strict=True)
        if a is not None and w is not None
    ]
    for a, w, _ in known:
        if not 0.0 <= a <= 1.0:
            raise ValueError(f"activity {a:g} is not within 0 to 1")
        if not (math.isfinite(w) and w >= 0):
            raise ValueError(f"{w:g} W cannot be")
    return known


def _enough(samples: Sequence[_Sample]) -> None:
    idle, busy = _sides(samples)
    for missing, have, needed, what in (
        (SAMPLES, len(samples), _LEAST, "samples with activity and power"),
        (BUSY, busy, _LEAST_OF_SIDE, f"samples above {_BUSY_ABOVE:.0%} activity"),
        (IDLE, idle, _LEAST_OF_SIDE, f"samples below {_IDLE_BELOW:.0%} activity"),
    ):
        if have < needed:
            raise TooLittleHistory(missing, have=have, needed=needed, what=what)


def _sides(samples: Sequence[_Sample]) -> tuple[int, int]:
    """How many are nearly idle, and how many are busy."""
    return (
        sum(sample.activity < _IDLE_BELOW for sample in samples),
        sum(sample.activity > _BUSY_ABOVE for sample in samples),
    )


def _band(activity: float) -> int:
    return bisect_left(_EDGES, activity)


def _knots(samples: Sequence[_Sample], most: int) -> tuple[Knot, ...]:
    """Without errors, as the samples have it; bands with hardly a sample say nothing."""
    bands: dict[int, list[_Sample]] = {}
    for sample in samples:
        bands.setdefault(sample.band, []).append(sample)
    found = []
    for _, band in sorted(bands.items()):
        if len(band) < _LEAST_OF_KNOT:
            continue
        latest = band[-most:]
        watts = sorted(sample.watts for sample in latest)
        found.append(
            Knot(
                statistics.fmean(sample.activity for sample in latest),
                statistics.fmean(watts),
                0.0,
                _percentile(watts, HIGH),
                len(latest),
            )
        )
    return tuple(found)


def _rising(knots: Sequence[Knot]) -> tuple[Knot, ...]:
    weights = [knot.samples for knot in knots]
    means = _isotonic([knot.mean for knot in knots], weights)
    highs = _isotonic([knot.high for knot in knots], weights)
    return tuple(
        knot._replace(mean=mean, high=max(high, mean))
        for knot, mean, high in zip(knots, means, highs, strict=True)
    )


def _isotonic(values: Sequence[float], weights: Sequence[float]) -> Iterator[float]:
    """The never falling values nearest to these: pool adjacent violators."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        pool = (value, float(weight), 1)
        while pools and pools[-1][0] > pool[0]:
            below = pools.pop()
            both = below[1] + pool[1]
            pool = ((below[0] * below[1] + pool[0] * pool[1]) / both, both, below[2] + pool[2])
        pools.append(pool)
    for value, _, count in pools:
        yield from [value] * count


_Tested = list[tuple[_Sample, float]]


def _tested(samples: Sequence[_Sample], latest: int) -> tuple[_Tested, _Tested]:
    """Each sample that could be held back, and how many W too many the others say of it.

    By a curve that may fall, and by one that never does.
    """
    free: _Tested = []
    rising: _Tested = []
    bounds = [len(samples) * part // _PARTS for part in range(_PARTS + 1)]
    for start, end in pairwise(bounds):
        knots = _knots([*samples[:start], *samples[end:]], latest)
        if len(knots) < 2 or knots[0].activity > _IDLE_BELOW or knots[-1].activity < _BUSY_ABOVE:
            continue
        for found, shape in ((free, knots), (rising, _rising(knots))):
            means = [knot.mean for knot in shape]
            found += [
                (sample, _along(shape, means, sample.activity)[0] - sample.watts)
                for sample in samples[start:end]
            ]
    return free, rising


def _off(tested: _Tested) -> float:
    """Mean absolute error, W."""
    return statistics.fmean(abs(miss) for _, miss in tested) if tested else math.inf


def _with_errors(knots: Sequence[Knot], tested: _Tested) -> tuple[Knot, ...]:
    """Root mean square of what was missed in the band of each; that of all where too few were."""
    bands: dict[int, list[float]] = {}
    for sample, miss in tested:
        bands.setdefault(sample.band, []).append(miss)
    overall = _root_mean_square([miss for _, miss in tested])
    return tuple(
        knot._replace(
            error=overall
            if len(misses := bands.get(_band(knot.activity), [])) < _LEAST_OF_KNOT
            else _root_mean_square(misses)
        )
        for knot in knots
    )


def _root_mean_square(values: Sequence[float]) -> float:
    return math.sqrt(statistics.fmean(value * value for value in values))


def _percentile(ordered: Sequence[float], part: float) -> float:
    """Straight between the two ranks next to it."""
    rank = part * (len(ordered) - 1)
    below = math.floor(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (rank - below)
