"""Attested hours of intake air beside the measured ones: they stand where nothing was measured.

An attestation counts for a place's window where all of its days lie in it: hours are never spread
over days. One in whose span anything was measured at that place is set aside, as an amount is: to
have it count, attest only what was not measured. Where the correction of one waits for a second
person neither that nor a wider place counts: nobody alone takes away what stands against a place.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import tzinfo
from typing import Final, NamedTuple

import msgspec
from jauge_models.compliance.evidence import Intake
from jauge_models.compliance.psychrometrics import attested_time, together
from jauge_models.compliance.windows import Window
from jauge_models.resources import Series

from jauge_collector import civil
from jauge_collector.compliance.intake import Hours, Stay, row_name
from jauge_collector.compliance.quarters import span_ms
from jauge_collector.registers.air_places import AirPlace
from jauge_collector.registers.files import Registers
from jauge_collector.registers.intake_hours import IntakeHours
from jauge_collector.registers.rooms import Place
from jauge_collector.registers.servers import Server
from jauge_collector.stores import Store

_HOUR_MS: Final = 3_600_000

Told = tuple[IntakeHours, ...]
"""What is attested of one place, or of a machine where it stood."""
ByPlace = Mapping[AirPlace, Told]
Levels = tuple[tuple[Told, ...], ...]
"""From the narrowest places to the widest; of several at one level the worst counts."""


class Rule(NamedTuple):
    """What attested hours are held against."""

    window: Window
    zone: tzinfo
    envelope: str
    enough: float
    """Share of the window that has to be known."""


def by_place(hours: Iterable[IntakeHours], quantity: str) -> ByPlace:
    """Those of temperature, or of humidity, by the place that they are of."""
    found: defaultdict[AirPlace, list[IntakeHours]] = defaultdict(list)
    for one in hours:
        if one.quantity == quantity:
            found[one.place].append(one)
    return {place: tuple(some) for place, some in found.items()}


def of_rows(hours: ByPlace, registers: Registers, site: str) -> dict[str, Levels]:
    """What is attested of each row of racks, by its name for people.

    Of the row itself; of racks in it; of its room, for who signs for a room signs for its rows.
    """
    found: dict[str, Levels] = {}
    for name, (room, row) in _rows(registers, site).items():
        racks = sorted(place for place in hours if place[:2] == (room, row) and place.rack)
        found[name] = (
            (hours.get(AirPlace(room, row), ()),),
            tuple(hours[rack] for rack in racks),
            *(((hours.get(AirPlace(room), ()),),) if row else ()),
        )
    return found


def room_of_rows(registers: Registers, site: str) -> dict[str, str]:
    """The room of each row of racks, by the row's name for people."""
    return {name: room for name, (room, _) in _rows(registers, site).items()}


def _rows(registers: Registers, site: str) -> dict[str, tuple[str, str]]:
    places: list[Place | Server] = [*registers.rooms, *registers.servers]
    return {
        row_name(one.room, one.row): (one.room, one.row)
        for one in places
        if one.site in {"", site} and one.room
    }


def of_server(hours: ByPlace, rows: Iterable[Server], zone: tzinfo) -> Levels:
    """What is attested of a server, by its rows of the inventory: its rack, its row, its room.

    Only while it stood there.
    """
    levels: list[list[IntakeHours]] = [[], [], []]
    for server in rows:
        if not server.room:
            continue
        rack = AirPlace(server.room, server.row, server.rack)
        wider = dict.fromkeys((rack, rack._replace(rack=""), AirPlace(server.room)))
        begin = None if server.valid_from is None else civil.midnight_ms(server.valid_from, zone)
        end = None if server.valid_to is None else civil.midnight_ms(server.valid_to, zone)
        for level, place in zip(levels, wider, strict=False):
            level += [
                one
                for one in hours.get(place, ())
                if (begin is None or one.start_ms >= begin) and (end is None or one.end_ms <= end)
            ]
    return tuple((tuple(level),) for level in levels)


async def measuring(
    store: Store, site: str, sensors: Iterable[str], quantity: str, span: tuple[int, int]
) -> list[str]:
    """Which sensors (``agent/resource``) have a reading within [start, end). Raises StoreError."""
    series: dict[Series, str] = {}
    for sensor in sensors:
        agent, _, resource = sensor.partition("/")
        series[Series(site, agent, resource, quantity)] = sensor
    first = await store.after(list(series), span[0])
    return [name for one, name in series.items() if one in first and first[one].time_ms < span[1]]


def measured_by(
    stays: Sequence[Stay], hours: Mapping[str, Hours], zone: tzinfo
) -> Callable[[Window], bool]:
    """Whether any sensor of a place measured any hour of some days."""

    def measured(days: Window) -> bool:
        start_ms, end_ms = span_ms(days, zone)
        for stay in stays:
            begin, end = start_ms, end_ms
            if stay.since is not None:
                begin = max(begin, civil.midnight_ms(stay.since, zone))
            if stay.to is not None:
                end = min(end, civil.midnight_ms(stay.to, zone))
            span = range(-(-begin // _HOUR_MS), -(-end // _HOUR_MS))
            known = (hours[sensor] for sensor in stay.sensors if hours.get(sensor))
            if any(at in own for own in known for at in span):
                return True
        return False

    return measured


def with_attested(
    intake: Intake, levels: Levels, rule: Rule, measured: Callable[[Window], bool]
) -> Intake:
    """An intake with what is attested of it, or as it is where nothing counts.

    ``measured`` says whether anything was measured there on some days. The narrowest places by
    which enough of the window is known count; where none is enough, those that tell most. A level
    of which something is withdrawn ends the search, and no attested hour counts.
    """

    def usable(one: IntakeHours) -> bool:
        of_class = one.envelope == rule.envelope
        within = start_ms <= one.start_ms and one.end_ms <= end_ms
        return of_class and within and not measured(Window(one.first, one.last))

    start_ms, end_ms = span_ms(rule.window, rule.zone)
    most = intake
    for level in levels:
        usables = [tuple(filter(usable, told)) for told in level]
        if any(one.is_withdrawn for told in usables for one in told):
            return intake
        found = [joined for told in usables if (joined := _joined(intake, told, rule)) is not None]
        enough = [one for one in found if _known_ms(one) >= rule.enough * rule.window.length_ms]
        if enough:
            return min(enough, key=_goodness)
        most = max([most, *found], key=_known_ms)
    return most


def _joined(intake: Intake, told: Told, rule: Rule) -> Intake | None:
    """An intake with hours of one place that may count; None without any."""
    start_ms, end_ms = span_ms(rule.window, rule.zone)
    counting: list[IntakeHours] = []
    until_ms = start_ms
    for one in sorted(told, key=lambda each: (each.start_ms, each.entry)):
        # Of two that overlap the first stands, whoever wrote the second.
        if one.start_ms >= until_ms:
            counting.append(one)
            until_ms = one.end_ms
    if not counting:
        return None
    parts = [
        attested_time(
            rule.envelope,
            one.end_ms - one.start_ms,
            observed_ms=one.observed_ms,
            allowable_ms=one.allowable_ms,
            recommended_ms=one.recommended_ms,
        )
        for one in counting
    ]
    time = together(parts if intake.measured is None else [intake.measured, *parts])
    first = counting[0].first
    return msgspec.structs.replace(
        intake,
        with_attested=time and msgspec.structs.replace(time, period_ms=end_ms - start_ms),
        first_with_attested=min(first, intake.first_day or first),
        attested_by=tuple(f"entry:{one.entry}" for one in counting),
    )


def _known_ms(intake: Intake) -> int:
    return 0 if intake.with_attested is None else intake.with_attested.measured_ms


def _goodness(intake: Intake) -> tuple[float, float]:
    """Share of the known time that is allowable, then that is recommended."""
    time = intake.with_attested
    if time is None or not time.measured_ms:
        return 0.0, 0.0
    return time.allowable_ms / time.measured_ms, time.within_ms / time.measured_ms
