"""Attested set points of intake air (T_IN): what a room is told to keep, not what it keeps.

The regulation's T_IN is the mean of the commands (Delegated Regulation (EU) 2024/1364, Annex II,
1(l)).
"""

from typing import Final, NamedTuple

from jauge_models.configuration import ConfigurationError

from jauge_collector.ledger.book import Ledger
from jauge_collector.registers.air_places import AirPlace, AirPlaces
from jauge_collector.registers.attestations import (
    SET_POINT,
    refuse_overlap,
    refuse_parts_of_days,
    refuse_unlived,
)
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
    refuse_unlived(start_ms, end_ms, now_ms)
    refuse_parts_of_days(site, "--from", start_ms)
    refuse_parts_of_days(site, "--to", end_ms)
    if not LOWEST_C <= celsius <= HIGHEST_C:
        raise ConfigurationError(
            "--set-point",
            "",
            f"{celsius:g} °C is no set point of intake air",
            f"give °C, {LOWEST_C:g} to {HIGHEST_C:g}",
        )
    others = ledger.entries(site.name, SET_POINT)
    refuse_overlap(
        (one for one in others if AirPlace.of(one.content) == place), (start_ms, end_ms), corrects
    )
    content = {**place._asdict(), "celsius": celsius, "entered": f"{celsius:.15g} °C", "note": note}
    return ledger.append(
        site.name,
        SET_POINT,
        place.name,
        start_ms=start_ms,
        end_ms=end_ms,
        content=content,
        now_ms=now_ms,
        signatory=signatory,
        document=document,
        corrects=corrects,
        may_move=True,
    )


def set_points(ledger: Ledger, site_name: str) -> list[SetPoint]:
    """Those that hold, in time order. Raises LedgerError."""
    return [
        SetPoint(
            entry.id,
            AirPlace.of(entry.content).room,
            float(entry.content["celsius"]),
            entry.start_ms,
            entry.end_ms,
        )
        for entry in ledger.entries(site_name, SET_POINT)
        if entry.end_ms is not None
    ]
