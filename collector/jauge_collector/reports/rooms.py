"""Room temperature as a report shows it: hours in bands, cooling indices, the worst rows first."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from typing import Final

from jauge_models.compliance.evidence import SiteEvidence
from jauge_models.compliance.policy import Policy
from jauge_models.compliance.psychrometrics import Envelope, TimeInBands, rack_cooling
from jauge_models.compliance.windows import Window

from jauge_collector import civil
from jauge_collector.compliance import intake as air
from jauge_collector.compliance.quarters import span_ms
from jauge_collector.registers.evidence import completed
from jauge_collector.registers.files import Registers
from jauge_collector.reports.content import Room, Temperature
from jauge_collector.sites import Site

_HOUR_MS: Final = 3_600_000


def temperature(
    registers: Registers,
    site: Site,
    hours: Mapping[str, air.Hours],
    policy: Policy,
    *,
    quarter: Window,
    year: Window,
) -> Temperature:
    """The intake of each row of racks by the class that the policy judges rooms by."""
    set_point = completed(SiteEvidence(site=site.name), registers, quarter.last).set_point
    envelope = policy.envelope(policy.site_envelope)
    if envelope is None:  # refused when a policy is made
        return Temperature(envelope=policy.site_envelope, set_point=set_point, rooms=())
    rooms = [
        _room(name, stays, hours, envelope, quarter=quarter, year=year, zone=site.zone)
        for name, stays in air.rows_of(registers, site.name, quarter.last).items()
    ]
    rooms.sort(key=_badness)
    return Temperature(envelope=envelope.name, set_point=set_point, rooms=tuple(rooms))


def _room(
    name: str,
    stays: Sequence[air.Stay],
    hours: Mapping[str, air.Hours],
    envelope: Envelope,
    *,
    quarter: Window,
    year: Window,
    zone: tzinfo,
) -> Room:
    now = air.intake(name, stays, hours, envelope, window=quarter, zone=zone)
    long = air.intake(name, stays, hours, envelope, window=year, zone=zone)
    taken = list(_samples(stays, hours, span_ms(quarter, zone), zone))
    index = rack_cooling(((round(hour.covered_ms), hour.mean) for hour in taken), envelope)
    return Room(
        place=name,
        sensors=now.sensors,
        quarter=now.measured,
        year=long.measured,
        rci_high=index.high if index else None,
        rci_low=index.low if index else None,
        highest_c=max((hour.mean for hour in taken), default=None),
    )


def _samples(
    stays: Sequence[air.Stay],
    hours: Mapping[str, air.Hours],
    span: tuple[int, int],
    zone: tzinfo,
) -> Iterator[air.Hour]:
    """Each sensor's hours while it told of the place: the indices are of all intakes."""
    for stay in stays:
        begin, end = span
        if stay.since is not None:
            begin = max(begin, civil.midnight_ms(stay.since, zone))
        if stay.to is not None:
            end = min(end, civil.midnight_ms(stay.to, zone))
        for sensor in stay.sensors:
            for at, hour in sorted(hours.get(sensor, {}).items()):
                if begin <= at * _HOUR_MS < end:
                    yield hour


def _badness(room: Room) -> tuple[float, float, float, str]:
    """The worst row first: outside the allowable range, then the recommended; unmeasured last."""
    time = room.quarter
    if time is None or not time.measured_ms:
        return 0.0, 0.0, 0.0, room.place
    return (
        -_share(time, time.beyond_ms + time.under_ms),
        -_share(time, time.above_ms + time.below_ms),
        -1.0,
        room.place,
    )


def _share(time: TimeInBands, part_ms: int) -> float:
    return part_ms / time.measured_ms
