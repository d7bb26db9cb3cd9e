"""The forms of what is attested of rooms and papers: a set point, hours of air, a certificate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from jauge_models.configuration import ConfigurationError
from jauge_models.rules import RuleStatus

from jauge_collector import civil
from jauge_collector.console.attestation_form import LONGEST_NOTE, Fields, Form
from jauge_collector.console.text import Language
from jauge_collector.console.uploads import Received
from jauge_collector.ledger.entries import Entry
from jauge_collector.registers.air_places import AirPlace, AirPlaces
from jauge_collector.registers.attestations import CERTIFICATE, HOURS, SET_POINT
from jauge_collector.registers.certificates import KINDS as CERTIFIED
from jauge_collector.registers.intake_hours import QUANTITIES, Counted
from jauge_collector.registers.set_points import HIGHEST_C, LOWEST_C
from jauge_collector.sites import Site

STATED: Final = (SET_POINT, HOURS, CERTIFICATE)
"""Kinds of entries with a form here, and of these forms."""
_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Input:
    """One field of a form: a choice where ``choices`` are given."""

    name: str
    type: str = "text"
    needed: bool = False
    choices: Sequence[tuple[str, str]] = ()
    broad: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """What somebody attests, checked as far as a form can be; ``end_ms`` None: open."""

    kind: str
    place: AirPlace
    celsius: float
    hours: Counted
    quantity: str
    envelope: str
    certifies: str
    statement: str
    year: int | None
    start_ms: int
    end_ms: int | None
    note: str
    corrects: int | None

    @property
    def subject(self) -> str:
        """What it is of, for the record of changes."""
        return self.certifies if self.kind == CERTIFICATE else self.place.name

    @property
    def entered(self) -> str:
        """What it says, for the record of changes."""
        if self.kind == SET_POINT:
            return f"{self.celsius:.15g} °C"
        if self.kind == HOURS:
            return " / ".join(f"{each:.15g}" for each in reversed(self.hours)) + " h"
        return self.certifies if self.year is None else f"{self.certifies} {self.year}"


def inputs(kind: str, places: AirPlaces, language: Language) -> list[Input]:
    """The fields of a form, but for those that all have."""
    rooms = [(room, room) for room in places.rooms]
    days = [Input("first", "date", needed=True), Input("last", "date", needed=True)]
    if kind == SET_POINT:
        return [Input("room", choices=rooms), Input("celsius", "decimal", needed=True), *days]
    if kind == HOURS:
        return [
            Input("room", choices=rooms),
            Input("row"),
            Input("rack"),
            Input("quantity", choices=[(one, language(f"quantity_{one}")) for one in QUANTITIES]),
            Input("envelope", choices=_classes(places)),
            *days,
            *(Input(name, "decimal", needed=True) for name in Counted._fields),
        ]
    kinds = [(one.value, language(f"certifies_{one.value}")) for one in CERTIFIED]
    return [
        Input("certifies", choices=kinds),
        Input("dated", "date", needed=True),
        Input("valid_last", "date"),
        Input("year", "whole"),
        Input("statement", broad=True),
    ]


def _classes(places: AirPlaces) -> list[tuple[str, str]]:
    """The classes that hours can be counted by, that of the rooms first."""
    usable = [
        one.name
        for one in places.policy.envelopes
        if one.status is RuleStatus.IN_FORCE and not one.liquid
    ]
    usable.sort(key=lambda name: name != places.policy.site_envelope)
    return [(name, name) for name in usable]


def read_statement(
    fields: Mapping[str, str],
    received: Received,
    site: Site,
    places: AirPlaces,
    *,
    language: Language,
    at_ms: int,
) -> Statement | Form:
    """What a form says, or the form again with what is wrong with it."""
    reading = _Stating(fields, site, language, at_ms)
    kind = fields.get("kind", "")
    found = reading.certificate() if kind == CERTIFICATE else reading.of_air(kind, places)
    if received.problem:
        reading.wrong("document", received.problem)
    elif kind == CERTIFICATE and received.upload is None:
        reading.wrong("document", "document_missing")
    if found is None or reading.problems:
        return Form(fields, tuple(reading.problems))
    return found


class _Stating(Fields):
    """One form, field by field."""

    def of_air(self, kind: str, places: AirPlaces) -> Statement | None:
        """A set point, or hours; None where anything is wrong."""
        place = self._place(places, whole_room=kind == SET_POINT)
        celsius = self._celsius() if kind == SET_POINT else 0.0
        span = self.days()
        hours = self._hours(span) if kind == HOURS else Counted(0, 0, 0)
        corrects = self.corrects()
        if place is None or celsius is None or hours is None or span is None:
            return None
        return Statement(
            kind=kind,
            place=place,
            celsius=celsius,
            hours=hours,
            quantity=self.text("quantity"),
            envelope=self.text("envelope"),
            certifies="",
            statement="",
            year=None,
            start_ms=span[0],
            end_ms=span[1],
            note=self.text("note"),
            corrects=corrects,
        )

    def certificate(self) -> Statement | None:
        """A certificate; None where anything is wrong."""
        dated = self.day("dated")
        last = self.day("valid_last") if self.text("valid_last") else None
        if dated is not None and last is not None and last < dated:
            self.wrong("valid_last", "last_before_first")
        year = self._year()
        corrects = self.corrects()
        if dated is None:
            return None
        start_ms = civil.midnight_ms(dated, self.site.zone)
        if start_ms > self._now_ms:
            self.wrong("dated", "in_the_future")
        end = None if last is None else last + timedelta(days=1)
        return Statement(
            kind=CERTIFICATE,
            place=AirPlace(""),
            celsius=0.0,
            hours=Counted(0, 0, 0),
            quantity="",
            envelope="",
            certifies=self.text("certifies"),
            statement=self.text("statement"),
            year=year,
            start_ms=start_ms,
            end_ms=None if end is None else civil.midnight_ms(end, self.site.zone),
            note=self.text("note"),
            corrects=corrects,
        )

    def _place(self, places: AirPlaces, *, whole_room: bool) -> AirPlace | None:
        row, rack = ("", "") if whole_room else (self.text("row"), self.text("rack"))
        try:
            return places.known(self.text("room"), row, rack)
        except ConfigurationError as error:
            self.wrong(error.file.removeprefix("--"), "place_unknown")
            return None

    def _celsius(self) -> float | None:
        value = self.number("celsius")
        if value is not None and not LOWEST_C <= value <= HIGHEST_C:
            self.wrong("celsius", "celsius_unusable")
        return value

    def _hours(self, span: tuple[int, int] | None) -> Counted | None:
        told = [self.number(name) for name in Counted._fields]
        known = [value for value in told if value is not None]
        if len(known) < len(told):
            return None
        hours = Counted(*known)
        if not hours.observed:
            self.wrong("observed", "hours_none")
        if span is not None and hours.observed * _HOUR_MS > max(0, span[1] - span[0]):
            self.wrong("observed", "hours_too_many")
        if hours.allowable > hours.observed:
            self.wrong("allowable", "hours_beyond_observed")
        if hours.recommended > hours.allowable:
            self.wrong("recommended", "hours_beyond_allowable")
        return hours

    def _year(self) -> int | None:
        text = self.text("year")
        if not text:
            return None
        if len(text) == 4 and text.isascii() and text.isdecimal() and int(text) in civil.YEARS:
            return int(text)
        self.wrong("year", "year_unusable")
        return None


def stated(site: Site, entry: Entry) -> dict[str, str]:
    """What stands in an entry of these kinds, by the fields of its form."""
    told = entry.content
    found = {name: str(told[name]) for name in AirPlace._fields if told.get(name)}
    if entry.kind == CERTIFICATE:
        found["certifies"] = str(told["certifies"])
        found["statement"] = str(told.get("statement", ""))[:LONGEST_NOTE]
        found["year"] = "" if told.get("year") is None else str(told["year"])
        found["dated"] = civil.day(entry.start_ms, site.zone).isoformat()
        if entry.end_ms is not None:
            found["valid_last"] = civil.day(entry.end_ms - 1, site.zone).isoformat()
        return found
    if entry.kind == SET_POINT:
        return found | {"celsius": f"{float(told['celsius']):.15g}"}
    hours = {name: f"{float(told[name]):.15g}" for name in Counted._fields}
    return found | hours | {name: str(told[name]) for name in ("quantity", "envelope")}
