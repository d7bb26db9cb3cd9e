"""What meters and totals draw now: the newest power of each meter, summed by the equations.

Of the newest readings of the first ranked feed that tells of late: its power, else the mean since
the register's last reading but one, or over the last amount. Watts, factors applied. Nothing here
is kept; energy is the ledger's. A total of which any meter is silent is not known.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import fsum
from typing import Final, NamedTuple

from jauge_models.boundaries import Equation
from jauge_models.counters import difference
from jauge_models.intervals import Point
from jauge_models.resources import Series
from jauge_models.topology import (
    BLINDING,
    MEASURES,
    Commodity,
    Feed,
    Measures,
    Meter,
    Topology,
    factor_at,
)
from jauge_models.wire import Birth

from jauge_collector.newest import AHEAD_MS
from jauge_collector.stores import Store

_LEAST_PATIENCE_MS: Final = 90_000
_MOST_PATIENCE_MS: Final = 3_600_000
_POWERED: Final = frozenset({Commodity.ELECTRICITY, Commodity.HEAT})


class TotalNow(NamedTuple):
    """W of one total of a site; zone and place as its equation has them, else empty."""

    symbol: str
    zone: str
    place: str
    power: float


async def meters_now(
    site: str, topology: Topology, births: Mapping[str, Birth], store: Store, now_ms: int
) -> dict[str, float]:
    """W by meter of electricity or heat; those of which nothing is known are left out.

    Raises StoreError.
    """
    meters = [m for m in topology.meters if m.commodity in _POWERED and m.validity.holds(now_ms)]
    patience_ms = {agent: _patience_ms(birth) for agent, birth in births.items()}
    groups: dict[int, list[Series]] = {}
    for meter in meters:
        measures = MEASURES[meter.commodity]
        for feed in meter.feeds:
            patience = patience_ms.get(feed.agent, _LEAST_PATIENCE_MS)
            groups.setdefault(patience, []).extend(_series(site, feed, measures))
    found: dict[Series, Sequence[Point]] = {}
    for patience, some in groups.items():
        # Twice as far back: a register tells of power only with the reading before.
        found |= await store.read(some, now_ms - 2 * patience, now_ms + AHEAD_MS)
    powers: dict[str, float] = {}
    for meter in meters:
        power = next(
            (
                told
                for feed in meter.feeds
                for since_ms in (now_ms - patience_ms.get(feed.agent, _LEAST_PATIENCE_MS),)
                if (told := _told(site, meter, feed, found, since_ms)) is not None
            ),
            None,
        )
        if power is not None and not (power == 0 and _is_blind(topology, meter, now_ms)):
            powers[meter.id] = power * factor_at(meter, now_ms)
    return powers


def totals_now(
    topology: Topology, equations: Iterable[Equation], powers: Mapping[str, float], now_ms: int
) -> list[TotalNow]:
    """The totals of energy of which every meter is known; those with fuel are not."""
    found: list[TotalNow] = []
    for equation in equations:
        terms = [term for term in equation.terms if term.validity.holds(now_ms)]
        if terms and all(
            term.meter in powers and topology.meter(term.meter).validity.holds(now_ms)
            for term in terms
        ):
            power = fsum(term.sign * term.factor * powers[term.meter] for term in terms)
            place = equation.place.value if equation.place else ""
            found.append(TotalNow(equation.symbol.value, equation.zone, place, power))
    return found


def _series(site: str, feed: Feed, measures: Measures) -> list[Series]:
    named = (measures.power, measures.register, measures.amount)
    return [Series(site, feed.agent, feed.resource, name) for name in named if name is not None]


def _told(
    site: str,
    meter: Meter,
    feed: Feed,
    readings: Mapping[Series, Sequence[Point]],
    since_ms: int,
) -> float | None:
    """W by one feed; None where it has said nothing since, or nothing that can be believed."""
    measures = MEASURES[meter.commodity]

    def newest(quantity: str | None) -> Sequence[Point]:
        if quantity is None:
            return ()
        points = readings.get(Series(site, feed.agent, feed.resource, quantity), ())
        return points[-2:] if points and points[-1].time_ms >= since_ms else ()

    if power := newest(measures.power):
        return power[-1].value
    register = newest(measures.register)
    if len(register) == 2:
        before, last = register
        elapsed_s = (last.time_ms - before.time_ms) / 1000
        amount = difference(before.value, last.value, elapsed_s, meter.dial).amount
        return None if amount is None else amount / elapsed_s
    if amounts := newest(measures.amount):
        return amounts[-1].value / (meter.period_ms / 1000)
    return None


def _is_blind(topology: Topology, meter: Meter, now_ms: int) -> bool:
    """Whether a zero of a meter means « not measured » now."""
    names = {"", meter.id}
    for feed in meter.feeds:
        names |= {feed.resource, f"{feed.agent}/{feed.resource}"}
    return any(
        event.kind in BLINDING and event.subject in names and event.validity.holds(now_ms)
        for event in topology.events
    )


def _patience_ms(birth: Birth) -> int:
    """How old a reading of a meter may be and still speak for now."""
    period_s = max((source.period_s for source in birth.sources if not source.absent), default=0.0)
    return min(max(round(1500 * period_s) + 5000, _LEAST_PATIENCE_MS), _MOST_PATIENCE_MS)
