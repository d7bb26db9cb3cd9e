"""Hours of humidity at the intake of rows of racks, as dew point and relative humidity (S9).

A reading of relative humidity says what the air holds only with the temperature of the same place.
That is of the same resource where it has one, else the mean of the row's intake sensors.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta, tzinfo
from functools import partial
from typing import Final, NamedTuple

from jauge_models.compliance.evidence import Intake
from jauge_models.compliance.policy import Policy
from jauge_models.compliance.psychrometrics import Envelope, TimeInBands, humidity_time
from jauge_models.compliance.windows import Window

from jauge_collector import civil
from jauge_collector.compliance import attested_air, sensor_hours
from jauge_collector.compliance import intake as air
from jauge_collector.compliance.intake import Hour, Hours, Stay
from jauge_collector.compliance.quarters import span_ms
from jauge_collector.compliance.sources import Sources
from jauge_collector.registers.files import Registers
from jauge_collector.registers.intake_hours import IntakeHours
from jauge_collector.registers.rooms import Place

QUANTITY: Final = "humidity"
_HOUR_MS: Final = 3_600_000


class Row(NamedTuple):
    """Sensors of humidity that tell of a row, and its intake sensors, each for its days."""

    humidity: tuple[Stay, ...]
    intake: tuple[Stay, ...]


class Readings(NamedTuple):
    """Hourly means by sensor: relative humidity in %, temperature in °C."""

    humidity: Mapping[str, Hours]
    temperature: Mapping[str, Hours]


async def humidity_of_rows(
    sources: Sources,
    window: Window,
    known: Mapping[str, Hours],
    policy: Policy,
    *,
    signed: Sequence[IntakeHours] = (),
) -> tuple[Intake, ...]:
    """Humidity of a site's rows over a window, by the class that the policy judges rooms by.

    ``known`` are the hours of temperature of the intake sensors; ``signed`` is what is attested.
    Raises StoreError.
    """
    site = sources.site
    envelope = policy.envelope(policy.site_envelope)
    if envelope is None:  # refused when a policy is made
        return ()
    rows = rows_of(sources.registers, site.name, window.last)
    readings = await read(sources, rows.values(), window, policy.hourly_s * 1000, known=known)
    told = attested_air.of_rows(
        attested_air.by_place(signed, QUANTITY), sources.registers, site.name
    )
    rule = attested_air.Rule(window, site.zone, envelope.name, policy.intake_measured)

    def of(name: str, days: Window) -> Intake:
        return humidity(name, rows[name], readings, envelope, window=days, zone=site.zone)

    def measured(name: str, days: Window) -> bool:
        return of(name, days).measured is not None

    return tuple(
        attested_air.with_attested(
            of(name, window),
            told.get(name, ()),
            rule,
            partial(measured, name),
        )
        for name in rows
    )


def rows_of(registers: Registers, site: str, day: date) -> dict[str, Row]:
    """The rows that have to have intake sensors, with the humidity sensors of each, or its room's.

    Every row is named, with a sensor or without: one that nothing measures is not left out.
    """
    places = [place for place in registers.rooms if place.site in {"", site}]
    by_name: defaultdict[str, list[Place]] = defaultdict(list)
    of_room: defaultdict[str, list[Place]] = defaultdict(list)
    for place in places:
        by_name[air.row_name(place.room, place.row)].append(place)
        if not place.row and not place.rack:
            of_room[place.room].append(place)
    room_of = {air.row_name(place.room, place.row): place.room for place in places}
    room_of |= {air.row_name(each.room, each.row): each.room for each in registers.servers}
    found: dict[str, Row] = {}
    for name, stays in air.rows_of(registers, site, day).items():
        own = [place for place in by_name[name] if place.humidity]
        around = own or of_room[room_of.get(name, "")]
        humidity = tuple(
            Stay(place.valid_from, place.valid_to, place.humidity)
            for place in around
            if place.humidity
        )
        found[name] = Row(humidity, tuple(stays))
    return found


async def read(
    sources: Sources,
    rows: Iterable[Row],
    window: Window,
    gap_ms: int,
    *,
    known: Mapping[str, Hours],
) -> Readings:
    """Hourly means of the rows' sensors over a window. Raises as `sensor_hours.read`.

    ``known`` are hours of temperature that were read before; nothing is read twice.
    """
    sensors = list(dict.fromkeys(s for row in rows for stay in row.humidity for s in stay.sensors))
    humid = await sensor_hours.read(sources, sensors, window, gap_ms, quantity=QUANTITY)
    more = [sensor for sensor in sensors if sensor not in known]
    warm = await sensor_hours.read(sources, more, window, gap_ms)
    return Readings(humid, {**known, **warm})


def humidity(
    place: str, row: Row, readings: Readings, envelope: Envelope, *, window: Window, zone: tzinfo
) -> Intake:
    """A row's hours in bands of humidity over a window, by the envelope's dew points.

    Measured is an hour in which humidity and temperature were, for the shorter time of both. Of
    several sensors the worst band counts. 0 % is a dead sensor: no hour. Without a reading, or
    where the envelope has no limits of humidity, there are no hours at all.
    """
    now = dict.fromkeys(
        sensor
        for stay in row.humidity
        if stay.to is None or stay.to > window.last
        for sensor in stay.sensors
    )
    bare = Intake(place=place, sensors=tuple(now))
    if envelope.allowable_humidity is None or not row.humidity:
        return bare
    start_ms, end_ms = span = span_ms(window, zone)
    aside = _mean(row.intake, readings.temperature, span, zone)
    hours: defaultdict[int, list[tuple[int, float, float]]] = defaultdict(list)
    for stay in row.humidity:
        begin, end = _bounds(stay, span, zone)
        for sensor in stay.sensors:
            own = readings.temperature.get(sensor, {})
            for at, moist in readings.humidity.get(sensor, {}).items():
                warm = own.get(at) or aside.get(at)
                if warm is None or not 0 < moist.mean <= 100 or not begin <= at * _HOUR_MS < end:
                    continue
                covered = round(min(moist.covered_ms, warm.covered_ms))
                hours[at].append((covered, warm.mean, moist.mean))
    if not hours:
        return bare
    first = window.first + timedelta(days=(min(hours) * _HOUR_MS - start_ms) // (24 * _HOUR_MS))
    time = humidity_time(
        (_worst(hours[at], envelope) for at in sorted(hours)), envelope, end_ms - start_ms
    )
    return Intake(
        place=place,
        sensors=tuple(now),
        measured=time,
        with_attested=time,
        first_day=max(first, window.first),
    )


def _mean(
    stays: Sequence[Stay], hours: Mapping[str, Hours], span: tuple[int, int], zone: tzinfo
) -> dict[int, Hour]:
    """The mean temperature of a row's intake sensors by hour, for the longest time of one."""
    found: defaultdict[int, list[Hour]] = defaultdict(list)
    for stay in stays:
        begin, end = _bounds(stay, span, zone)
        for sensor in stay.sensors:
            for at, hour in hours.get(sensor, {}).items():
                if begin <= at * _HOUR_MS < end:
                    found[at].append(hour)
    return {
        at: Hour(max(h.covered_ms for h in each), sum(h.mean for h in each) / len(each))
        for at, each in found.items()
    }


def _bounds(stay: Stay, span: tuple[int, int], zone: tzinfo) -> tuple[int, int]:
    start_ms, end_ms = span
    begin = start_ms if stay.since is None else civil.midnight_ms(stay.since, zone)
    end = end_ms if stay.to is None else civil.midnight_ms(stay.to, zone)
    return max(start_ms, begin), min(end_ms, end)


def _worst(
    samples: Sequence[tuple[int, float, float]], envelope: Envelope
) -> tuple[int, float, float]:
    """That in the worst band, for as long as any of them measured; the first of equal ones."""
    if len(samples) == 1:
        return samples[0]
    _, temperature, relative = max(samples, key=lambda sample: _severity(sample, envelope))
    return max(covered for covered, _, _ in samples), temperature, relative


def _severity(sample: tuple[int, float, float], envelope: Envelope) -> int:
    _, temperature, relative = sample
    time: TimeInBands = humidity_time([(1, temperature, relative)], envelope, 1)
    if not time.allowable_ms:
        return 2
    return 0 if time.within_ms else 1
