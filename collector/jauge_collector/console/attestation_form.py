"""The form of an attested value: what it says, or what is wrong with it, field by field."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from jauge_models.configuration import ConfigurationError
from jauge_models.topology import Meter

from jauge_collector import civil
from jauge_collector.console.text import Language
from jauge_collector.console.uploads import Received
from jauge_collector.registers import attestations
from jauge_collector.sites import Site

LONGEST_NOTE: Final = 500
_NUMBER_SPACES: Final = ("\u202f", "\u00a0", " ", "'")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one field of a form; ``lang`` where its text is not in the page's."""

    field: str
    text: str
    lang: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """A form as it is shown: for whom it is new, empty; for whom sent a wrong one, as sent."""

    values: Mapping[str, str] = field(default_factory=dict)
    problems: Sequence[Problem] = ()

    def value(self, name: str) -> str:
        """What stands in a field."""
        return self.values.get(name, "")

    def wrong(self, name: str) -> Problem | None:
        """What is wrong with a field."""
        return next((each for each in self.problems if each.field == name), None)


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody attests, checked as far as a form can be; ``end_ms`` None: a dial reading."""

    meter: Meter
    value: float
    unit: str
    base: float
    start_ms: int
    end_ms: int | None
    note: str
    corrects: int | None


def read_form(
    fields: Mapping[str, str], received: Received, site: Site, language: Language, at_ms: int
) -> Draft | Form:
    """What a form says, or the form again with what is wrong with it."""
    reading = _Reading(fields, site, language, at_ms)
    draft = reading.draft()
    if received.problem:
        reading.wrong("document", received.problem)
    if draft is None or reading.problems:
        return Form(fields, tuple(reading.problems))
    return draft


class Fields:
    """The fields of one form, and what is wrong with them."""

    def __init__(
        self, fields: Mapping[str, str], site: Site, language: Language, at_ms: int
    ) -> None:
        self._fields = fields
        self.site = site
        self._language = language
        self._now_ms = at_ms
        self.problems: list[Problem] = []

    def wrong(self, name: str, key: str) -> None:
        """One more problem, by the key of its text."""
        self.problems.append(Problem(name, self._language(key)))

    def text(self, name: str) -> str:
        """What a field says, in one printable line."""
        told = self._fields.get(name, "")
        return "".join(c if c.isprintable() else " " for c in told).strip()[:LONGEST_NOTE]

    def number(self, name: str) -> float | None:
        """A number, 0 or more, as the language writes it."""
        text = self._fields.get(name, "").strip()
        for space in _NUMBER_SPACES:
            text = text.replace(space, "")
        if self._language.code == "fr":
            text = text.replace(",", ".")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value < 0:
            self.wrong(name, "value_unusable")
            return None
        return value

    def days(self) -> tuple[int, int] | None:
        """Days that are over, from the first to the last."""
        first, last = self.day("first"), self.day("last")
        if first is None or last is None:
            return None
        end_ms = civil.midnight_ms(last + timedelta(days=1), self.site.zone)
        if last < first:
            self.wrong("last", "last_before_first")
        elif end_ms > self._now_ms:
            self.wrong("last", "in_the_future")
        return civil.midnight_ms(first, self.site.zone), end_ms

    def day(self, name: str) -> date | None:
        """A day."""
        try:
            day = date.fromisoformat(self._fields.get(name, ""))
        except ValueError:
            day = date.min
        if day.year not in civil.YEARS:
            self.wrong(name, "day_unusable")
            return None
        return day

    def moment(self, name: str) -> int | None:
        """A moment that is past."""
        try:
            at_ms = civil.moment_ms(self._fields.get(name, ""), self.site.zone)
        except (ValueError, OverflowError):
            self.wrong(name, "moment_unusable")
            return None
        if at_ms > self._now_ms:
            self.wrong(name, "in_the_future")
        return at_ms

    def corrects(self) -> int | None:
        """The number of the entry that it corrects."""
        text = self._fields.get("corrects", "").strip()
        if not text:
            return None
        if text.isascii() and text.isdecimal() and len(text) <= 15:
            return int(text)
        self.wrong("corrects", "entry_unknown")
        return None


class _Reading(Fields):
    """The form of an amount or a reading, field by field."""

    def draft(self) -> Draft | None:
        """What it says; None where anything is wrong."""
        meter = self._meter()
        value = self.number("value")
        unit = self._fields.get("unit", "")
        base: float | None = None
        if meter is not None and value is not None:
            try:
                base = attestations.in_base(meter, value, unit)
            except ConfigurationError:
                self.wrong("unit", "unit_unfit")
        span = self._span()
        corrects = self.corrects()
        if meter is None or value is None or base is None or span is None or self.problems:
            return None
        return Draft(meter, value, unit, base, *span, self.text("note"), corrects)

    def _meter(self) -> Meter | None:
        name = self._fields.get("meter", "")
        found = next((m for m in self.site.topology.meters if m.id == name), None)
        if found is None:
            self.wrong("meter", "meter_unknown")
        return found

    def _span(self) -> tuple[int, int | None] | None:
        if self._fields.get("kind") != "reading":
            return self.days()
        at_ms = self.moment("at")
        return None if at_ms is None else (at_ms, None)
