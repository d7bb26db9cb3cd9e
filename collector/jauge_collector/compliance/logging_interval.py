"""How often the meters of S3 to S7 are logged (S10): the interval of the slowest, in seconds.

The nominal interval of a meter, not its longest silence: an outage is a hole of S3, not a slow
logger. Of a day it is the median of the spacings that end on it, of a quarter the one that nine of
ten days hold. A quarter is sampled: about a dozen days of it, spread so that no day of the week is
left out, and of a day the hour at its middle where that holds several readings. Readings of one
day and a few series are held at once.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta, tzinfo
from itertools import islice, pairwise
from statistics import median
from typing import Final

from jauge_models.boundaries import Equation, Symbol
from jauge_models.compliance.windows import Window
from jauge_models.resources import Series
from jauge_models.topology import MEASURES, Meter

from jauge_collector.compliance import evidence_file
from jauge_collector.compliance import intake as air
from jauge_collector.compliance.metering import it_equation
from jauge_collector.compliance.quarters import span_ms
from jauge_collector.compliance.sources import Sources
from jauge_collector.ledger.book import Ledger
from jauge_collector.registers.meters import dial_points
from jauge_collector.sites import Site
from jauge_collector.stores import Store

_SAMPLED_DAYS: Final = 12
_SERIES_AT_ONCE: Final = 8
_HOUR_MS: Final = 3_600_000
_SEVERAL: Final = 3
"""Readings in an hour that tell how often its day was logged."""
_HELD: Final = 0.9
"""Share of the days that have to hold the interval."""
_USUAL_S: Final = (
    *(1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800),
    *(3600, 7200, 10_800, 14_400, 21_600, 43_200, 86_400, 604_800),
)
_JITTER: Final = 0.02
"""How far from a usual interval one is still that: no logger keeps the second."""


async def slowest_interval_s(sources: Sources, quarter: Window) -> int | None:
    """The longest nominal interval of the boundary meters and intake sensors of a quarter.

    Of a meter with several feeds, the one logged most often tells; without a feed, what people
    read and signed for. None where nothing tells of one of them, or there is none at all: of what
    is not known nothing is claimed. Raises StoreError and LedgerError.
    """
    site = sources.site
    span = span_ms(quarter, site.zone)
    slowest = [
        _by_hand_s(sources.ledger, site, meter, span[1])
        for meter in boundary_meters(site, span)
        if not meter.feeds
    ]
    known = await intervals_of(sources, quarter)
    for several in _logged(sources, quarter):
        of_meter = [known[one] for one in several if one in known]
        slowest.append(min(of_meter, default=None))
    found = [interval for interval in slowest if interval is not None]
    return max(found) if found and len(found) == len(slowest) else None


async def intervals_of(sources: Sources, quarter: Window) -> dict[Series, int]:
    """The nominal interval of each series of boundary meters and intake sensors, where one tells.

    Of a series of which the store tells none, that of the quarter's last closing that knew one.
    Raises StoreError, LedgerError, and ConfigurationError where an archive is not what was kept.
    """
    site = sources.site
    asked = [one for several in _logged(sources, quarter) for one in several]
    known = await intervals_s(sources.store, asked, quarter, site.zone)
    if missing := [one for one in asked if one not in known]:
        for facts in evidence_file.facts(sources, *span_ms(quarter, site.zone)):
            for one in missing:
                if one in facts.intervals:
                    known.setdefault(one, facts.intervals[one])
    return known


def _logged(sources: Sources, quarter: Window) -> list[tuple[Series, ...]]:
    """The series that may feed each boundary meter with feeds, and that of each intake sensor."""
    site = sources.site
    meters = boundary_meters(site, span_ms(quarter, site.zone))
    logged = [_series_of(site.name, meter) for meter in meters if meter.feeds]
    rows = air.rows_of(sources.registers, site.name, quarter.last)
    for sensor in dict.fromkeys(
        sensor
        for stays in rows.values()
        for stay in stays
        if stay.to is None or stay.to > quarter.last
        for sensor in stay.sensors
    ):
        agent, _, resource = sensor.partition("/")
        logged.append((Series(site.name, agent, resource, air.QUANTITY),))
    return logged


def boundary_meters(site: Site, span: tuple[int, int]) -> list[Meter]:
    """The meters of E_DC, of the E_IT that is judged, and of W_IN at some time of a span."""
    judged = (site.equation(Symbol.E_DC), it_equation(site), site.equation(Symbol.W_IN))
    return meters_of(site, filter(None, judged), span)


def meters_of(site: Site, equations: Iterable[Equation], span: tuple[int, int]) -> list[Meter]:
    """The meters of some equations that are in force at some time of [start, end), each once."""
    start_ms, end_ms = span
    names = dict.fromkeys(
        term.meter
        for equation in equations
        for term in equation.terms
        if (term.validity.from_ms is None or term.validity.from_ms < end_ms)
        and (term.validity.to_ms is None or term.validity.to_ms > start_ms)
    )
    return [site.topology.meter(name) for name in names]


async def intervals_s(
    store: Store, series: Iterable[Series], quarter: Window, zone: tzinfo
) -> dict[Series, int]:
    """The nominal interval of each series of which two readings tell one. Raises StoreError."""
    found: dict[Series, int] = {}
    wanted = iter(dict.fromkeys(series))
    while some := list(islice(wanted, _SERIES_AT_ONCE)):
        of_days = await _of_days(store, some, quarter, zone)
        unseen = [one for one in some if not of_days[one]]
        last = await _last_spacing(store, unseen, *span_ms(quarter, zone))
        for one in some:
            spacings = sorted(of_days[one] or last.get(one, []))
            if spacings:
                at = math.ceil(_HELD * len(spacings)) - 1
                found[one] = _nominal_s(spacings[at])
    return found


async def _of_days(
    store: Store, series: Sequence[Series], quarter: Window, zone: tzinfo
) -> dict[Series, list[float]]:
    """The median spacing in ms of each sampled day on which a series was read."""
    found: dict[Series, list[float]] = {one: [] for one in series}
    for day in sampled(quarter):
        start_ms, end_ms = span_ms(Window(day, day), zone)
        middle_ms = (start_ms + end_ms) // 2
        hour = await store.read(series, middle_ms, middle_ms + _HOUR_MS)
        slow = [one for one in series if len(hour.get(one, ())) < _SEVERAL]
        whole = await store.read(slow, start_ms, end_ms)
        before = await store.before(whole, start_ms)
        for one in series:
            points = whole[one] if one in whole else hour.get(one, ())
            times = [point.time_ms for point in points]
            if one in before:
                times.insert(0, before[one].time_ms)
            spacings = [later - earlier for earlier, later in pairwise(times)]
            if spacings:
                found[one].append(median(spacings))
    return found


async def _last_spacing(
    store: Store, series: Sequence[Series], start_ms: int, end_ms: int
) -> Mapping[Series, list[float]]:
    """Of what was read in a quarter, but on no sampled day: its last spacing in ms."""
    found: dict[Series, list[float]] = {}
    for one, last in (await store.before(series, end_ms)).items():
        if last.time_ms >= start_ms:
            earlier = (await store.before([one], last.time_ms)).get(one)
            if earlier is not None:
                found[one] = [float(last.time_ms - earlier.time_ms)]
    return found


def sampled(quarter: Window) -> Iterator[date]:
    """The days of a quarter that are read."""
    step = max(1, quarter.days // _SAMPLED_DAYS)
    if step % 7 == 0:
        step += 1
    for number in range(0, quarter.days, step):
        yield quarter.first + timedelta(days=number)


def _nominal_s(spacing_ms: float) -> int:
    seconds = spacing_ms / 1000
    for usual in _USUAL_S:
        if abs(seconds - usual) <= _JITTER * usual:
            return usual
    return max(1, math.ceil(seconds))


def _series_of(site: str, meter: Meter) -> tuple[Series, ...]:
    """What may feed a meter, by what flows through it."""
    measures = MEASURES[meter.commodity]
    names = filter(None, (measures.register, measures.amount, measures.power))
    quantities = tuple(names)
    return tuple(
        Series(site, feed.agent, feed.resource, quantity)
        for feed in meter.feeds
        for quantity in quantities
    )


def _by_hand_s(ledger: Ledger, site: Site, meter: Meter, end_ms: int) -> int | None:
    """Of a meter that nothing reads: the usual time between what people entered about it."""
    times = [point.time_ms for point in dial_points(ledger, site.name, meter.id)]
    spacings = [later - earlier for earlier, later in pairwise(t for t in times if t < end_ms)]
    spacings += [
        entry.end_ms - entry.start_ms
        for entry in ledger.entries(site.name, "amount", meter.id)
        if entry.end_ms is not None and entry.end_ms <= end_ms
    ]
    return _nominal_s(median(spacings)) if spacings else None
