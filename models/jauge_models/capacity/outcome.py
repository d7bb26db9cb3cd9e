"""What a schedule draws and how near it comes to each limit of its plant.

Energy goes by the mean of each node's draw, racks and cooling by its 95th percentile, breakers by
the most that a node can draw, with each feed lost in turn. What is not known stays None, and
``unknown`` says what.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from jauge_models.capacity.demand import Horizon
from jauge_models.capacity.inventory import WHOLE, Plant
from jauge_models.capacity.limit_use import LimitUse, limit_uses
from jauge_models.capacity.node_draw import NodeDraw
from jauge_models.capacity.node_load import NodeLoad
from jauge_models.capacity.schedule import Delay, Schedule, Service
from jauge_models.capacity.workloads import Obstacle
from jauge_models.effectiveness import Status

Array = NDArray[np.float64]

Z_80: Final = 1.2815515655446004
"""Standard errors on either side of the mean that hold 80 % of a normal distribution."""

HOURS_OF_YEAR: Final = 8766.0

_DELAYS: Final = 500


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of the site with where it comes from. ``status`` is None for a declared one."""

    value: float
    low: float | None = None
    high: float | None = None
    source: str
    status: Status | None = Status.MEASURED


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What turns IT energy into the rest; None where the site has no such figure.

    ``pue``: energy of the data centre over that of IT; ``wue``: litres per kWh of IT; ``carbon``:
    kgCO2e per kWh; ``price``: euros per kWh.
    """

    pue: Figure | None = None
    wue: Figure | None = None
    carbon: Figure | None = None
    price: Figure | None = None


class Amount(msgspec.Struct, frozen=True):
    """An amount, with the bounds of its 80 % interval where every part's is known."""

    value: float
    low: float | None = None
    high: float | None = None


class Energy(msgspec.Struct, frozen=True, kw_only=True):
    """A year by the hours simulated: kWh of IT and of the site, kgCO2e, m3 of water, euros.

    None where a figure that it needs is not known. The bounds are those of the factors multiplied,
    as if all erred the same way: no narrower than 80 %.
    """

    it_kwh: Amount | None = None
    site_kwh: Amount | None = None
    co2e_kg: Amount | None = None
    water_m3: Amount | None = None
    euros: Amount | None = None


class Hourly(msgspec.Struct, frozen=True, kw_only=True):
    """Hours one after the other from ``start_ms``: GPUs asked for and placed, W of IT.

    ``mean_w`` and ``high_w`` (95th percentile) are None where the draw of a kind is not known.
    """

    start_ms: int
    step_s: int = 3600
    asked: tuple[float, ...]
    placed: tuple[float, ...]
    mean_w: tuple[float, ...] | None
    high_w: tuple[float, ...] | None


class Waited(msgspec.Struct, frozen=True, kw_only=True):
    """A run that did not start when it was asked to; ``started_ms`` None: it was given up."""

    id: str
    run: str
    asked_ms: int
    started_ms: int | None
    obstacles: tuple[tuple[Obstacle, int], ...]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One plant with all that is asked of it.

    ``limits``: of each kind of GPU, and of racks, breakers and rooms the nearest; nearest first.
    ``parts``: kWh a year of each workload above rest, and of rest under ``node_load.REST``; they
    add up to the energy of IT. ``idle_kwh``: a year, of nodes in hours in which nothing ran on
    them. ``unknown``: codes of what could not be said, as ``code`` or ``code:name``.
    """

    nodes: int
    gpus: int
    services: tuple[Service, ...]
    limits: tuple[LimitUse, ...]
    energy: Energy
    parts: Mapping[str, float]
    idle_kwh: float | None
    peak_ms: int
    """The hour in which most GPUs are asked for."""
    peak: Hourly
    """The week around it."""
    weeks: Hourly
    """The highest hour of each seven days of the horizon."""
    delays: tuple[Waited, ...] = ()
    """The first of them, at most 500; how many there are, the services say."""
    unknown: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether all that is asked for is placed, though some of it may wait."""
        return all(service.unplaced == 0 for service in self.services)

    @property
    def nearest(self) -> LimitUse | None:
        """The limit that binds first as use grows evenly."""
        return self.limits[0] if self.limits else None


def outcome(
    plant: Plant, plan: Schedule, draws: Mapping[str, NodeDraw], figures: Figures
) -> Outcome:
    """The figures of a schedule of this plant."""
    hours = plan.demand.horizon.hours
    load = NodeLoad(plant, plan, draws)
    asked = plan.demand.gpu_milli() / WHOLE
    placed = load.placed_milli / WHOLE
    lacking = sorted({node.kind for node in plant.nodes} - set(draws))
    known = not lacking
    year = HOURS_OF_YEAR / hours
    energy = _energy(load, figures, year) if known else Energy()
    mean_w = load.mean_w.sum(axis=0) if known else None
    high_w = load.high_w.sum(axis=0) if known else None
    top = int(asked.argmax())
    begin = max(0, min(top - 84, hours - 168))
    week = slice(begin, min(begin + 168, hours))
    horizon = plan.demand.horizon
    limits = sorted(limit_uses(plant, plan, load, known), key=lambda use: -use.share)
    return Outcome(
        nodes=len(plant.nodes),
        gpus=sum(kind.gpus for kind in load.kinds),
        services=plan.services,
        limits=tuple(limits),
        energy=energy,
        parts=load.parts(plan.holds, year) if known else {},
        idle_kwh=load.idle_kwh(year) if known else None,
        peak_ms=horizon.when(top),
        peak=Hourly(
            start_ms=horizon.when(begin),
            asked=_figures(asked[week]),
            placed=_figures(placed[week]),
            mean_w=None if mean_w is None else _figures(mean_w[week]),
            high_w=None if high_w is None else _figures(high_w[week]),
        ),
        weeks=Hourly(
            start_ms=horizon.start_ms,
            step_s=168 * 3600,
            asked=_highest(asked),
            placed=_highest(placed),
            mean_w=None if mean_w is None else _highest(mean_w),
            high_w=None if high_w is None else _highest(high_w),
        ),
        delays=tuple(_waited(delay, horizon) for delay in plan.delays[:_DELAYS]),
        unknown=tuple(_unknown(plant, lacking, figures)),
    )


def _waited(delay: Delay, horizon: Horizon) -> Waited:
    return Waited(
        id=delay.run.asked.id,
        run=delay.run.id,
        asked_ms=horizon.when(delay.run.at),
        started_ms=None if delay.started is None else horizon.when(delay.started),
        obstacles=delay.obstacles,
    )


def _energy(load: NodeLoad, figures: Figures, year: float) -> Energy:
    mean = float(load.mean_w.sum()) * year / 1000
    error = float(load.error_w.sum()) * year / 1000
    # A curve that is wrong is wrong on every node and in every hour: errors add up as they are.
    known = bool(np.isfinite(error))
    low = max(0.0, mean - Z_80 * error) if known else None
    used = Amount(mean, low, mean + Z_80 * error if known else None)
    site = times(used, figures.pue)
    water = times(used, figures.wue)
    return Energy(
        it_kwh=used,
        site_kwh=site,
        co2e_kg=times(site, figures.carbon),
        water_m3=None if water is None else _scaled(water, 1e-3),
        euros=times(site, figures.price),
    )


def times(amount: Amount | None, figure: Figure | None) -> Amount | None:
    """A product with its bounds; None where a factor is not known."""
    if amount is None or figure is None:
        return None
    low, high = amount.low, amount.high
    return Amount(
        amount.value * figure.value,
        None if low is None else low * (figure.value if figure.low is None else figure.low),
        None if high is None else high * (figure.value if figure.high is None else figure.high),
    )


def _scaled(amount: Amount, factor: float) -> Amount:
    return Amount(
        amount.value * factor,
        None if amount.low is None else amount.low * factor,
        None if amount.high is None else amount.high * factor,
    )


def _unknown(plant: Plant, lacking: Sequence[str], figures: Figures) -> Iterator[str]:
    for kind in lacking:
        yield f"draw:{kind}"
    for name in ("pue", "wue", "carbon", "price"):
        if getattr(figures, name) is None:
            yield name
    yield from _undeclared(plant)


def _undeclared(plant: Plant) -> Iterator[str]:
    """Limits of what is in use that nobody declared, so that nothing was held against them."""
    kinds = {kind.name: kind for kind in plant.kinds}
    used = {node.rack for node in plant.nodes}
    racks = [rack for rack in plant.racks if rack.name in used]
    for rack in racks:
        if rack.power_w is None:
            yield f"rack_power:{rack.name}"
        if not rack.supplies:
            yield f"breaker:{rack.name}"
    rooms = {rack.room for rack in racks}
    for room in plant.rooms:
        if room.cooling_w is None and room.name in rooms:
            yield f"room_cooling:{room.name}"
    for name in sorted({node.kind for node in plant.nodes if kinds[node.kind].most_w is None}):
        yield f"nameplate:{name}"
    standing = {rack.name for rack in racks}
    for node in plant.nodes:
        if node.rack not in standing:
            yield f"rack:{node.name}"


def _figures(values: Array) -> tuple[float, ...]:
    return tuple(round(value, 3) for value in values.tolist())


def _highest(values: Array) -> tuple[float, ...]:
    """The highest of each 168 values."""
    return _figures(np.maximum.reduceat(values, np.arange(0, len(values), 168)))
