"""Attested set points over a time: of each room for how much of it (S7), and their mean (T_IN)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import msgspec
from jauge_models.compliance.evidence import AttestedSetPoint
from jauge_models.compliance.windows import Window

from jauge_collector.compliance import attested_air
from jauge_collector.compliance import intake as air
from jauge_collector.compliance.quarters import span_ms
from jauge_collector.ledger.book import Ledger
from jauge_collector.registers.files import Registers
from jauge_collector.registers.set_points import SetPoint, set_points
from jauge_collector.sites import Site


class RoomSetPoint(msgspec.Struct, frozen=True, kw_only=True):
    """What is attested of a room over a window: share of it (0 to 1), mean over that in °C.

    There is no mean while the correction of a part of it waits for its second person: who alone
    takes away the warmest weeks must not cool the rest.
    """

    room: str
    share: float
    celsius: float | None
    entries: tuple[int, ...] = ()


def of_rooms(
    known: Iterable[SetPoint], registers: Registers, site: Site, window: Window
) -> tuple[RoomSetPoint, ...]:
    """Each room that has a row of racks on the window's last day; nothing where none is attested.

    An attested set point holds throughout its span: of one that reaches out of the window the
    part within counts.
    """
    by_room: defaultdict[str, list[SetPoint]] = defaultdict(list)
    for one in known:
        by_room[one.room].append(one)
    rooms = attested_air.room_of_rows(registers, site.name)
    named = air.rows_of(registers, site.name, window.last)
    wanted = dict.fromkeys(rooms[name] for name in named if name in rooms)
    if not any(room in by_room for room in wanted):
        return ()
    span = span_ms(window, site.zone)
    return tuple(_of_room(room, by_room, span) for room in sorted(wanted))


def _of_room(
    room: str, by_room: Mapping[str, Sequence[SetPoint]], span: tuple[int, int]
) -> RoomSetPoint:
    start_ms, end_ms = span
    known_ms, area, until_ms, whole = 0, 0.0, start_ms, True
    entries: list[int] = []
    for one in by_room.get(room, ()):
        if one.is_withdrawn:
            whole = whole and not (one.start_ms < end_ms and start_ms < one.end_ms)
            continue
        begin, end = max(one.start_ms, until_ms), min(one.end_ms, end_ms)
        if begin < end:
            known_ms += end - begin
            area += one.celsius * (end - begin)
            entries.append(one.entry)
            until_ms = end
    return RoomSetPoint(
        room=room,
        share=known_ms / (end_ms - start_ms),
        celsius=area / known_ms if known_ms and whole else None,
        entries=tuple(entries),
    )


def evidence(rooms: Iterable[RoomSetPoint]) -> tuple[AttestedSetPoint, ...]:
    """The same as the evaluation takes it."""
    return tuple(
        AttestedSetPoint(
            room=one.room,
            share=one.share,
            evidence=tuple(f"entry:{entry}" for entry in one.entries),
        )
        for one in rooms
    )


class MeanSetPoint(msgspec.Struct, frozen=True, kw_only=True):
    """T_IN: the mean set point of all rooms, in °C, attested for at least ``share`` of the time."""

    celsius: float
    share: float


def year_mean(
    ledger: Ledger, registers: Registers, site: Site, year: int, enough: float
) -> MeanSetPoint | None:
    """T_IN of a calendar year, by the ledger that counts. Raises LedgerError."""
    window = Window(date(year, 1, 1), date(year, 12, 31))
    return mean(of_rooms(set_points(ledger, site.name), registers, site, window), enough)


def mean(rooms: Sequence[RoomSetPoint], enough: float) -> MeanSetPoint | None:
    """Each room counts alike; None unless each is attested for enough of the time (0 to 1)."""
    known = [one.celsius for one in rooms if one.celsius is not None and one.share >= enough]
    if not known or len(known) < len(rooms):
        return None
    return MeanSetPoint(celsius=sum(known) / len(known), share=min(one.share for one in rooms))
