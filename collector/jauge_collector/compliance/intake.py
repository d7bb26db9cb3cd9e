"""Hours of intake air by rooms' sensors: what rows of racks and servers took in.

A sensor counts for a place only from the day to the day that the register says. Of several in one
hour the worst counts: the one farthest from the middle of the recommended range.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta, tzinfo
from typing import Final, NamedTuple

from jauge_models.compliance.evidence import Intake
from jauge_models.compliance.psychrometrics import Envelope, temperature_time
from jauge_models.compliance.windows import Window
from jauge_models.intervals import Point
from jauge_models.resources import Series

from jauge_collector import civil
from jauge_collector.compliance.quarters import span_ms
from jauge_collector.registers.files import Registers
from jauge_collector.registers.rooms import Place
from jauge_collector.registers.servers import Server
from jauge_collector.stores import Store

QUANTITY: Final = "temperature"
_HOUR_MS: Final = 3_600_000
_AT_ONCE_MS: Final = 31 * 24 * _HOUR_MS
"""Of one sensor, so that a year of one that reports each second is never held whole."""


class Hour(NamedTuple):
    """Of one hour: time measured in ms, mean temperature over it in °C."""

    covered_ms: float
    mean: float


Hours = Mapping[int, Hour]
"""By hour since the epoch, in time order."""


Known = dict[tuple[Series, tuple[int, int], int], Hours]
"""Hours that were read already, by series, span and longest gap."""


class Stay(NamedTuple):
    """Sensors that tell of a place for some days; ``to`` is the first day without, None is open."""

    since: date | None
    to: date | None
    sensors: tuple[str, ...]


def rows_of(registers: Registers, site: str, day: date) -> dict[str, list[Stay]]:
    """Rows of racks by their names for people, with their sensors since ever.

    A row in which the inventory has a server counts though no register of rooms has it.
    """
    named: defaultdict[tuple[str, str], list[Place]] = defaultdict(list)
    for place in registers.rooms:
        if place.site in {"", site}:
            named[place.room, place.row].append(place)
    found: dict[str, list[Stay]] = {}
    for (room, row), places in named.items():
        now = [place for place in places if place.holds(day)]
        whole_room = not row and not any(place.rack for place in places)
        in_rows = whole_room and any(r and at == room for at, r in named)
        if not now or (in_rows and not any(place.intake for place in places)):
            continue
        found[row_name(room, row)] = [_stay(place) for place in places]
    for server in registers.servers:
        here = server.site in {"", site} and server.holds(day)
        if here and server.room and (server.room, server.row) not in named:
            found.setdefault(row_name(server.room, server.row), [])
    return found


def stays_of(rows: Iterable[Server], registers: Registers, site: str) -> list[Stay]:
    """Where a server stood, by its rows of the inventory: the sensors of each rack, row or room."""
    found: list[Stay] = []
    places = [place for place in registers.rooms if place.site in {"", site}]
    for server in rows:
        for place in _around(server, places):
            since = max(filter(None, (server.valid_from, place.valid_from)), default=None)
            to = min(filter(None, (server.valid_to, place.valid_to)), default=None)
            if since is None or to is None or since < to:
                found.append(Stay(since, to, place.intake))
    return found


def _around(server: Server, places: Sequence[Place]) -> list[Place]:
    """The narrowest places around a server that ever had a sensor."""
    of_room = [place for place in places if place.room == server.room and place.intake]
    levels = (
        [p for p in of_room if server.rack and p.rack == server.rack and p.row == server.row],
        [p for p in of_room if server.row and p.row == server.row and not p.rack],
        [p for p in of_room if not p.row and not p.rack],
    )
    return next((level for level in levels if level), [])


def _stay(place: Place) -> Stay:
    return Stay(place.valid_from, place.valid_to, place.intake)


def row_name(room: str, row: str) -> str:
    """The name of a row for people; the room's where it has none."""
    return f"{room} / {row}" if row else room


async def read(
    store: Store,
    site: str,
    sensors: Iterable[str],
    span: tuple[int, int],
    gap_ms: int,
    *,
    quantity: str = QUANTITY,
) -> dict[str, Hours]:
    """Hourly means of sensors (``agent/resource``) over [start, end). Raises StoreError.

    Between readings further apart than ``gap_ms`` nothing is measured.
    """
    found: dict[str, Hours] = {}
    for sensor in dict.fromkeys(sensors):
        agent, _, resource = sensor.partition("/")
        series = Series(site, agent, resource, quantity)
        sums = _no_sums()
        last: Point | None = None
        for begin in range(span[0], span[1], _AT_ONCE_MS):
            end = min(begin + _AT_ONCE_MS, span[1])
            points = (await store.read([series], begin, end)).get(series, ())
            last = _add(sums, points, last, gap_ms)
        after = await store.after([series], span[1])
        if series in after and last is not None:
            _add(sums, [after[series]], last, gap_ms, until_ms=span[1])
        found[sensor] = _means(sums)
    return found


def means(
    points: Sequence[Point],
    span: tuple[int, int],
    gap_ms: int,
    *,
    before: Point | None = None,
    after: Point | None = None,
) -> dict[int, Hour]:
    """The same of one sensor over [start, end), which begins on an hour, from its readings there.

    ``before`` and ``after`` are the readings next to them, where they are to be joined to these.
    """
    sums = _no_sums()
    last = _add(sums, points, before, gap_ms)
    if after is not None and last is not None:
        _add(sums, [after], last, gap_ms, until_ms=span[1])
    first_hour = span[0] // _HOUR_MS
    return {at: hour for at, hour in _means(sums).items() if at >= first_hour}


def _no_sums() -> defaultdict[int, list[float]]:
    """By hour: what the line between readings encloses, and for how long."""
    return defaultdict(lambda: [0.0, 0.0])


def _means(sums: Mapping[int, Sequence[float]]) -> dict[int, Hour]:
    return {at: Hour(covered, area / covered) for at, (area, covered) in sums.items() if covered}


def _add(
    sums: dict[int, list[float]],
    points: Sequence[Point],
    last: Point | None,
    gap_ms: int,
    *,
    until_ms: int | None = None,
) -> Point | None:
    """Add the line between readings to each hour's area and time; returns the last reading."""
    if last is None and points:
        last = points[0]
    if last is None:
        return None
    before_ms, before = last
    hour, hour_ms, hour_end_ms = [0.0, 0.0], 0, 0
    for time_ms, value in points:
        gap = time_ms - before_ms
        if 0 < gap <= gap_ms:
            slope = (value - before) / gap
            end = time_ms if until_ms is None else min(time_ms, until_ms)
            begin = before_ms
            while begin < end:
                if not hour_ms <= begin < hour_end_ms:
                    at = begin // _HOUR_MS
                    hour, hour_ms, hour_end_ms = sums[at], at * _HOUR_MS, (at + 1) * _HOUR_MS
                until = hour_end_ms if hour_end_ms < end else end  # noqa: FURB136 - there are millions
                length = until - begin
                hour[0] += (before + slope * ((begin + until) / 2 - before_ms)) * length
                hour[1] += length
                begin = until
        before_ms, before = time_ms, value
    return Point(before_ms, before)


def intake(
    place: str,
    stays: Sequence[Stay],
    hours: Mapping[str, Hours],
    envelope: Envelope,
    *,
    window: Window,
    zone: tzinfo,
) -> Intake:
    """A place's hours in bands over a window. Without a reading in it, no hours at all."""
    start_ms, end_ms = span_ms(window, zone)
    middle = sum(envelope.recommended) / 2
    worst: Hours = {}
    now: dict[str, None] = {}
    for stay in stays:
        begin = (
            start_ms if stay.since is None else max(start_ms, civil.midnight_ms(stay.since, zone))
        )
        end = end_ms if stay.to is None else min(end_ms, civil.midnight_ms(stay.to, zone))
        if stay.to is None or stay.to > window.last:
            now |= dict.fromkeys(stay.sensors)
        within = -(-begin // _HOUR_MS), -(-end // _HOUR_MS)
        for sensor in stay.sensors:
            here = _within(hours.get(sensor, {}), *within)
            worst = _worse(worst, here, middle) if worst else here
    if not worst:
        return Intake(place=place, sensors=tuple(now))
    first = window.first + timedelta(days=(min(worst) * _HOUR_MS - start_ms) // (24 * _HOUR_MS))
    time = temperature_time(
        worst.values(),
        envelope,
        end_ms - start_ms,
    )
    return Intake(
        place=place,
        sensors=tuple(now),
        measured=time,
        with_attested=time,
        first_day=max(first, window.first),
    )


def _within(hours: Hours, first: int, after: int) -> Hours:
    """Those of hours that begin in [first, after); themselves where all do."""
    starts = list(hours)
    if starts and first <= starts[0] and starts[-1] < after:
        return hours
    return {at: hour for at, hour in hours.items() if first <= at < after}


def _worse(known: Hours, others: Hours, middle: float) -> Hours:
    """Of each hour the one farther from the middle, for the longest time of either."""
    worst = dict(known)
    for at, hour in others.items():
        other = known.get(at)
        if other is None or abs(hour.mean - middle) > abs(other.mean - middle):
            covered = max(hour.covered_ms, other.covered_ms if other else 0)
            worst[at] = Hour(covered, hour.mean)
    return worst
