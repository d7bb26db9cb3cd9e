"""Attested set points of intake air (T_IN): what a room is told to keep, not what it keeps.

The regulation's T_IN is the mean of the commands (Delegated Regulation (EU) 2024/1364, Annex II,
1(l)).
"""

from typing import Final, NamedTuple

from jauge_models.configuration import ConfigurationError

from jauge_collector.ledger.book import Ledger
from jauge_collector.registers.air_places import AirPlace, AirPlaces
from jauge_collector.registers.attestations import SET_POINT, enter_days
from jauge_collector.sites import Site

LOWEST_C: Final = 0.0
HIGHEST_C: Final = 60.0
"""Beyond what any class of equipment takes in: another unit, or a slip."""


class SetPoint(NamedTuple):
    """What a room was set to over [start, end), in °C; ``entry`` is its number in the ledger."""

    entry: int
    room: str
    celsius: float
    start_ms: int
    end_ms: int
    is_withdrawn: bool = False
    """Whether a correction that nobody has confirmed took it away: it counts for nothing."""


def enter_set_point(
    ledger: Ledger,
    site: Site,
    places: AirPlaces,
    *,
    room: str,
    celsius: float,
    start_ms: int,
    end_ms: int,
    now_ms: int,
    signatory: str,
    document: str | None = None,
    note: str = "",
    corrects: int | None = None,
) -> int:
    """Keep the set point of a room over whole civil days [start, end); its number.

    Raises ConfigurationError where the registers have no such room, the span is not over or
    overlaps another that still holds, or the temperature is none of intake air.
    """
    place = places.known(room)
    if not LOWEST_C <= celsius <= HIGHEST_C:
        raise ConfigurationError(
            "--set-point",
            "",
            f"{celsius:g} °C is no set point of intake air",
            f"give °C, {LOWEST_C:g} to {HIGHEST_C:g}",
        )
    content = {**place._asdict(), "celsius": celsius, "entered": f"{celsius:.15g} °C", "note": note}
    return enter_days(
        ledger,
        site,
        SET_POINT,
        place.name,
        content,
        alike=lambda other: AirPlace.of(other) == place,
        start_ms=start_ms,
        end_ms=end_ms,
        now_ms=now_ms,
        signatory=signatory,
        document=document,
        corrects=corrects,
    )


def set_points(ledger: Ledger, site_name: str) -> list[SetPoint]:
    """Those that hold, in time order, then those whose correction waits. Raises LedgerError."""
    return [
        SetPoint(
            entry.id,
            AirPlace.of(entry.content).room,
            float(entry.content["celsius"]),
            entry.start_ms,
            entry.end_ms,
            is_withdrawn,
        )
        for entries, is_withdrawn in (
            (ledger.entries(site_name, SET_POINT), False),
            (ledger.withdrawn(site_name, SET_POINT), True),
        )
        for entry in entries
        if entry.end_ms is not None
    ]
