"""Attested hours of intake air: how many were observed, allowable and recommended, by one class.

They come from a print-out of the building management system, say. Nobody tells on which side of a
range the others lay, so they are in no band of `psychrometrics` that has a side.
"""

from collections.abc import Iterable, Iterator, Mapping
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
from jauge_collector.registers.attestations import HOURS, enter_days, refuse_no_days
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
    is_withdrawn: bool = False
    """Whether a correction that nobody has confirmed took it away: it counts for nothing."""


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
    refuse_no_days(site, start_ms, end_ms, now_ms)
    _refuse_impossible(hours, (end_ms - start_ms) / _HOUR_MS)
    entered = " / ".join(f"{each:.15g}" for each in reversed(hours))
    content = {
        **where._asdict(),
        "quantity": quantity,
        "envelope": row.name,
        **hours._asdict(),
        "entered": f"{entered} h ({quantity}, {row.name})",
        "note": note,
    }
    return enter_days(
        ledger,
        site,
        HOURS,
        where.name,
        content,
        alike=lambda other: (
            (AirPlace.of(other), other["quantity"], other["envelope"])
            == (where, quantity, row.name)
        ),
        start_ms=start_ms,
        end_ms=end_ms,
        now_ms=now_ms,
        signatory=signatory,
        document=document,
        corrects=corrects,
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
    return list(_hours(ledger.entries(site.name, HOURS), site))


def with_withdrawn(ledger: Ledger, site: Site) -> list[IntakeHours]:
    """Those that hold, and those whose correction waits. Raises LedgerError."""
    gone = _hours(ledger.withdrawn(site.name, HOURS), site)
    return [*intake_hours(ledger, site), *(one._replace(is_withdrawn=True) for one in gone)]


def _hours(entries: Iterable[Entry], site: Site) -> Iterator[IntakeHours]:
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
            _ms(told, "observed"),
            _ms(told, "allowable"),
            _ms(told, "recommended"),
        )


def _ms(told: Mapping[str, Any], part: str) -> int:
    return round(float(told[part]) * _HOUR_MS)
