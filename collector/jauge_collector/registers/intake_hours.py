"""Attested hours of intake air: how many were observed, allowable and recommended, by one class.

They come from a print-out of the building management system, say. Nobody tells on which side of a
range the others lay, so they are in no band of `psychrometrics` that has a side.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final, NamedTuple

from jauge_models.compliance.policy import Policy
from jauge_models.compliance.psychrometrics import Envelope
from jauge_models.configuration import ConfigurationError
from jauge_models.rules import RuleStatus

from jauge_collector import civil
from jauge_collector.ledger.book import Ledger
from jauge_collector.ledger.entries import Entry
from jauge_collector.registers.air_places import AirPlace, AirPlaces
from jauge_collector.registers.attestations import (
    HOURS,
    refuse_overlap,
    refuse_parts_of_days,
    refuse_unlived,
)
from jauge_collector.sites import Site

TEMPERATURE: Final = "temperature"
HUMIDITY: Final = "humidity"
QUANTITIES: Final = (TEMPERATURE, HUMIDITY)
_HOUR_MS: Final = 3_600_000


class Counted(NamedTuple):
    """Hours of a span: those observed, of these those allowable, of these those recommended."""

    observed: float
    allowable: float
    recommended: float


class IntakeHours(NamedTuple):
    """What holds for the civil days from ``first`` to ``last``; times in ms."""

    entry: int
    place: AirPlace
    quantity: str
    envelope: str
    first: date
    last: date
    start_ms: int
    end_ms: int
    observed_ms: int
    allowable_ms: int
    recommended_ms: int


def enter_hours(
    ledger: Ledger,
    site: Site,
    places: AirPlaces,
    *,
    place: AirPlace,
    quantity: str,
    envelope: str,
    hours: Counted,
    start_ms: int,
    end_ms: int,
    now_ms: int,
    signatory: str,
    document: str | None = None,
    note: str = "",
    corrects: int | None = None,
) -> int:
    """Keep hours of a place over whole civil days [start, end); the entry's number.

    ``envelope`` names the class whose ranges were counted by; the one that the policy judges rooms
    by where it is empty. Raises ConfigurationError where the registers have no such place, the
    policy no such class, the span is not over or overlaps another that still holds, or the hours
    cannot be.
    """
    where = places.known(*place)
    if quantity not in QUANTITIES:
        raise ConfigurationError(
            "--quantity", "", f"{quantity!r} is no quantity", f"choices are {', '.join(QUANTITIES)}"
        )
    row = _envelope(places.policy, envelope, quantity)
    refuse_unlived(start_ms, end_ms, now_ms)
    refuse_parts_of_days(site, "--from", start_ms)
    refuse_parts_of_days(site, "--to", end_ms)
    _refuse_impossible(hours, (end_ms - start_ms) / _HOUR_MS)
    refuse_overlap(
        (
            one
            for one in ledger.entries(site.name, HOURS)
            if (AirPlace.of(one.content), one.content["quantity"], one.content["envelope"])
            == (where, quantity, row.name)
        ),
        (start_ms, end_ms),
        corrects,
    )
    entered = " / ".join(f"{each:.15g}" for each in reversed(hours))
    content = {
        **where._asdict(),
        "quantity": quantity,
        "envelope": row.name,
        **hours._asdict(),
        "entered": f"{entered} h ({quantity}, {row.name})",
        "note": note,
    }
    return ledger.append(
        site.name,
        HOURS,
        where.name,
        start_ms=start_ms,
        end_ms=end_ms,
        content=content,
        now_ms=now_ms,
        signatory=signatory,
        document=document,
        corrects=corrects,
        may_move=True,
    )


def _envelope(policy: Policy, name: str, quantity: str) -> Envelope:
    wanted = name or policy.site_envelope
    row = policy.envelope(wanted)
    usable = [
        one.name for one in policy.envelopes if one.status is RuleStatus.IN_FORCE and not one.liquid
    ]
    if row is None or row.name not in usable:
        raise ConfigurationError(
            "--class",
            "",
            f"{wanted!r} is no class that is judged by",
            f"choices are {', '.join(usable)}",
        )
    if quantity == HUMIDITY and row.allowable_humidity is None:
        raise ConfigurationError(
            "--class", "", f"{wanted} has no limits of humidity", "name a class that has"
        )
    return row


def _refuse_impossible(hours: Counted, span: float) -> None:
    """Raises ConfigurationError unless 0 ≤ recommended ≤ allowable ≤ observed ≤ the span's."""
    observed, allowable, recommended = hours
    if not 0 < observed <= span:
        raise ConfigurationError(
            "--observed",
            "",
            f"{observed:g} h are not observed within {span:g} h",
            "give more than 0 and no more than the span has",
        )
    if not 0 <= allowable <= observed:
        raise ConfigurationError(
            "--allowable",
            "",
            f"{allowable:g} of {observed:g} observed hours is no count",
            "count the hours within the allowable range",
        )
    if not 0 <= recommended <= allowable:
        raise ConfigurationError(
            "--recommended",
            "",
            f"{recommended:g} of {allowable:g} allowable hours is no count",
            "count the hours within the recommended range, which lies within the allowable one",
        )


def intake_hours(ledger: Ledger, site: Site) -> list[IntakeHours]:
    """Those that hold, in time order. Raises LedgerError."""
    entries = ledger.entries(site.name, HOURS)
    return list(_hours(entries, site))


def _hours(entries: list[Entry], site: Site) -> Iterator[IntakeHours]:
    for entry in entries:
        if entry.end_ms is None:
            continue
        told = entry.content
        yield IntakeHours(
            entry.id,
            AirPlace.of(told),
            str(told["quantity"]),
            str(told["envelope"]),
            civil.day(entry.start_ms, site.zone),
            civil.day(entry.end_ms - 1, site.zone),
            entry.start_ms,
            entry.end_ms,
            *(_ms(told, part) for part in Counted._fields),
        )


def _ms(told: Mapping[str, Any], part: str) -> int:
    return round(float(told[part]) * _HOUR_MS)
