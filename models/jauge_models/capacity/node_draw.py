"""What a node draws by how busy its GPUs are, for many nodes and hours at once.

One shape for both of its sources: a curve learnt from measurement and watts that somebody
declared. Which of the two it was stays with the figures.
"""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jauge_models.capacity.inventory import NodeKind
from jauge_models.capacity.power_curves import PowerCurve

Array = NDArray[np.float64]


class NodeDraw(NamedTuple):
    """The draw of one kind of node, W, at each of ``activity`` (0..1, rising, at least two).

    ``mean`` is what energy is planned with, ``error`` its standard error, ``high`` the 95th
    percentile, which racks and cooling are planned with. ``measured``: learnt from measurement,
    not declared. ``basis`` says of what.
    """

    activity: tuple[float, ...]
    mean: tuple[float, ...]
    error: tuple[float, ...]
    high: tuple[float, ...]
    measured: bool
    basis: str
    cap_w: float | None = None

    @property
    def idle_w(self) -> float:
        """Mean at rest."""
        return self._capped(self.mean[0])

    @property
    def idle_high_w(self) -> float:
        """95th percentile at rest."""
        return self._capped(self.high[0])

    @property
    def full_w(self) -> float:
        """Mean with all GPUs busy."""
        return self._capped(self.mean[-1])

    @property
    def full_high_w(self) -> float:
        """The highest 95th percentile, whatever the activity."""
        return self._capped(max(self.high))

    def mean_w(self, activity: Array) -> Array:
        """Mean draw; activity outside of what is known counts as its bound."""
        return self._clipped(np.interp(activity, self.activity, self.mean))

    def error_w(self, activity: Array) -> Array:
        """Standard error of the mean draw."""
        return np.interp(activity, self.activity, self.error)

    def high_w(self, activity: Array) -> Array:
        """95th percentile of the draw."""
        return self._clipped(np.interp(activity, self.activity, self.high))

    def slope_w(self) -> float:
        """W of the 95th percentile that a node adds at most per unit of activity, from rest.

        The steepest chord from rest: so many instances together never draw more than their sum.
        A cap bounds the node and bends the curve where it is met, so that the chord stays.
        """
        rest = self.high[0]
        if self.cap_w is not None and rest >= self.cap_w:
            return 0.0
        chords = (
            (high - rest) / activity
            for activity, high in zip(self.activity, self.high, strict=True)
            if activity > 0
        )
        return max(0.0, *chords)

    def capped(self, watts: float) -> "NodeDraw":
        """The same node under a power cap, on top of any that it has."""
        return self._replace(cap_w=watts if self.cap_w is None else min(self.cap_w, watts))

    def _capped(self, watts: float) -> float:
        return watts if self.cap_w is None else min(watts, self.cap_w)

    def _clipped(self, watts: Array) -> Array:
        return watts if self.cap_w is None else np.minimum(watts, self.cap_w)


def learnt(curve: PowerCurve) -> NodeDraw:
    """What was learnt from measurement. The error is that of one hour of one node."""
    activity = tuple(sorted({0.0, 1.0, *(knot.activity for knot in curve.knots)}))
    estimates = [curve.at(at) for at in activity]
    return NodeDraw(
        activity,
        tuple(estimate.power for estimate in estimates),
        tuple(estimate.error for estimate in estimates),
        tuple(curve.high(at) for at in activity),
        measured=True,
        basis=curve.basis,
    )


def declared(idle_w: float, full_w: float, basis: str) -> NodeDraw:
    """A straight line between two watts that somebody declared: no error is known, nor measured.

    The 95th percentile is taken to be the declared watts themselves.
    """
    watts = (idle_w, full_w)
    return NodeDraw((0.0, 1.0), watts, (math.nan, math.nan), watts, measured=False, basis=basis)


def most_added_w(busy: float, kinds: Iterable[NodeKind], draws: Mapping[str, NodeDraw]) -> float:
    """The most that ``busy`` GPUs add to a node of any of these kinds, W; 0 where none is known."""
    return max(
        (
            draws[kind.name].slope_w() * busy / kind.gpus
            for kind in kinds
            if kind.gpus and kind.name in draws
        ),
        default=0.0,
    )
