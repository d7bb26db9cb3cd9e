"""What GPUs drew while they did next to nothing: measured, not simulated."""

from collections.abc import Iterable
from typing import Final

import msgspec

from jauge_models.capacity.outcome import HOURS_OF_YEAR, Amount, Figures, times

_NAMED: Final = 20


class GpuHistory(msgspec.Struct, frozen=True, kw_only=True):
    """Steps of one GPU, in order of time; None where not known.

    ``activity``: mean of the step, 0 to 1; ``watts``: mean of the step; ``held``: whether somebody
    had it, () where nobody knows.
    """

    node: str
    gpu: int
    activity: tuple[float | None, ...]
    watts: tuple[float | None, ...]
    held: tuple[bool | None, ...] = ()
    step_s: float = 3600.0


class IdleGpu(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU: hours in which its activity was known, those in which it was idle, kWh in these.

    ``held_hours``: of the idle ones, those in which somebody had it; None where not known.
    """

    node: str
    gpu: int
    hours: float
    idle_hours: float
    held_hours: float | None
    kwh: float | None


class IdleGpus(msgspec.Struct, frozen=True, kw_only=True):
    """All GPUs with a history.

    ``kwh``: what they drew in idle hours whose power is known; ``unmeasured_hours``: idle hours
    whose power is not. ``kwh_year`` and ``euros_year`` (with the site's PUE) carry what was seen
    on to a year: of each GPU the idle part of its hours, and its mean power in them. None where
    nothing was measured, or a figure is missing. ``worst``: the GPUs with most, at most 20.
    """

    below: float
    gpus: int
    hours: float
    idle_hours: float
    unmeasured_hours: float
    kwh: float | None
    kwh_year: float | None
    euros_year: float | None
    worst: tuple[IdleGpu, ...]


def idle_gpus(history: Iterable[GpuHistory], *, below: float, figures: Figures) -> IdleGpus:
    """What was drawn by GPUs whose activity in a step was below ``below``.

    Raises ValueError where the series of a GPU are not of one length.
    """
    found = [_of(one, below) for one in history]
    measured = [one for one, _, _ in found if one.kwh is not None]
    kwh = sum(one.kwh or 0.0 for one in measured) if measured else None
    year = [each for _, each, _ in found if each is not None]
    kwh_year = sum(year) if year else None
    site = None if kwh_year is None else times(Amount(kwh_year), figures.pue)
    euros = times(site, figures.price)
    ranked = sorted(measured, key=lambda one: (-(one.kwh or 0.0), one.node, one.gpu))
    return IdleGpus(
        below=below,
        gpus=len(found),
        hours=sum(one.hours for one, _, _ in found),
        idle_hours=sum(one.idle_hours for one, _, _ in found),
        unmeasured_hours=sum(unmeasured for _, _, unmeasured in found),
        kwh=kwh,
        kwh_year=kwh_year,
        euros_year=None if euros is None else euros.value,
        worst=tuple(one for one in ranked if one.idle_hours)[:_NAMED],
    )


def _of(one: GpuHistory, below: float) -> tuple[IdleGpu, float | None, float]:
    """A GPU, kWh of a year at its mean idle power, and idle hours whose power is not known."""
    held = one.held or (None,) * len(one.activity)
    steps = list(zip(one.activity, one.watts, held, strict=True))
    step_h = one.step_s / 3600.0
    seen = sum(activity is not None for activity, _, _ in steps) * step_h
    idle = [
        (watts, by) for activity, watts, by in steps if activity is not None and activity < below
    ]
    known = [watts for watts, _ in idle if watts is not None]
    idle_hours = len(idle) * step_h
    by_known = [by for _, by in idle if by is not None]
    kwh: float | None = None
    year: float | None = None
    if known:
        kwh = sum(known) * step_h / 1000
        mean_w = sum(known) / len(known)
        year = mean_w * HOURS_OF_YEAR * idle_hours / seen / 1000
    elif seen and not idle:
        kwh, year = 0.0, 0.0
    gpu = IdleGpu(
        node=one.node,
        gpu=one.gpu,
        hours=seen,
        idle_hours=idle_hours,
        held_hours=sum(by_known) * step_h if by_known else None,
        kwh=kwh,
    )
    return gpu, year, (len(idle) - len(known)) * step_h
