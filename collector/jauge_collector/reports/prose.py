"""The report's own texts in French and English, beside the record's words and the console's."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, tzinfo
from functools import cache
from math import floor
from typing import Final
from zoneinfo import ZoneInfo

from jauge_models.effectiveness import Kpi, PeriodKind
from jauge_models.rules import RuleStatus

from jauge_collector.compliance.words import Words, words
from jauge_collector.console.text import Language, tables
from jauge_collector.reports.content import Amount, Signed

DASH: Final = "–"
_FIXED: Final = "\u00a0"
_NAMES: Final = {
    "pue": "PUE",
    "ppue": "pPUE",
    "wue": "WUE",
    "cue": "CUE",
    "ref": "REF",
    "erf": "ERF",
}
_UNITS: Final = {"m3": "m³", "m3/MWh": "m³/MWh", "1": ""}


@dataclass(frozen=True, slots=True)
class Prose:
    """One language. Calling it gives a text; ``record`` says statuses, criteria and reasons."""

    own: Words
    record: Words
    bases: dict[str, str]
    """French (or English) of what a criterion rests on, by the models' key."""
    asks: dict[str, str]
    """What to do about a criterion, in plain words."""

    @property
    def plain(self) -> Language:
        """Numbers, dates and units."""
        return self.own.plain

    def __call__(self, key: str, **values: str | float | date | tuple[str, ...]) -> str:
        """A text of the report. Raises KeyError for one that nobody wrote."""
        return self.own(key, **values)

    def has(self, key: str) -> bool:
        """Whether the report has that text."""
        return key in self.own.texts

    def name(self, code: str) -> str:
        """What a code of the report is called; itself where it has no name."""
        return self.own.name(code)

    def basis(self, key: str, *, project: bool, status: RuleStatus) -> str:
        """What a criterion rests on; « to be referenced » where its text was not at hand."""
        if status is not RuleStatus.IN_FORCE or not key:
            return self("to_be_referenced")
        text = self.bases.get(key, key)
        return self("projects_own", basis=text) if project else text

    def text_of(self, reference: str) -> str:
        """A reference to a text, in this language."""
        return self.bases.get(reference, reference)

    def figure(self, key: str) -> str:
        """What a figure is called by its key: « douze mois, PUE » of ``year.pue``."""
        period, _, rest = key.partition(".")
        what, _, qualifier = rest.partition(".")
        base, mark, place = what.partition("/")
        name = f"{_NAMES.get(base, base)} {place}" if mark else _NAMES.get(what, what)
        said = f"{self.own.name(period)}, {self.own.name(name)}"
        return f"{said} ({self.own.name(qualifier)})" if qualifier else said

    def number(self, value: float | None, unit: str = "", decimals: int = 0) -> str:
        """A number with its unit; a dash of nothing."""
        if value is None:
            return DASH
        shown = _UNITS.get(unit, unit)
        text = self.plain.number(value, decimals)
        return f"{text}{_FIXED}{shown}" if shown else text

    def share(self, share: float | None) -> str:
        """A share in percent; a dash of nothing."""
        return self.record.share(share)

    def label(self, kpi: Kpi) -> str:
        """« PUE1 »: an indicator with its category, as the standard writes it."""
        return self.plain.label(kpi.label)

    def period(self, kpi: Kpi, first: date, last: date) -> str:
        """« 12 mois au 30/09/2026 », or the days of a shorter period."""
        if kpi.period_kind is PeriodKind.ANNUAL:
            return self("twelve_months_to", last=self.numeric(last))
        return self("from_to", first=self.numeric(first), last=self.numeric(last))

    def numeric(self, day: date) -> str:
        """A date in figures: ``30/09/2026``."""
        return day.strftime("%d/%m/%Y")

    def value(self, kpi: Kpi) -> str:
        """An indicator's value with its unit, or « not measured »."""
        if kpi.value is None:
            return self("not_measured")
        return self.number(kpi.value, kpi.unit, 2 if kpi.unit == "1" else 3)

    def uncertainty(self, value: float | None, relative: float | None) -> str:
        """« ± 0,022 », k = 2; unknown where a class is."""
        if value is None:
            return DASH
        if relative is None:
            return self("unknown")
        return f"±{_FIXED}{self.plain.significant(value * relative, 2)}"

    def amount(self, amount: Amount) -> str:
        """A total with its unit, or « not measured »."""
        if amount.value is None:
            return self("not_measured")
        return self.total(amount.value, amount.unit)

    def total(self, value: float | None, unit: str) -> str:
        """A total with its unit: whole kWh, four digits of anything smaller; a dash of nothing."""
        if value is None:
            return DASH
        if unit == "kWh" or abs(value) >= 1000:
            return self.number(value, unit)
        return f"{self.plain.plain(value, 4)}{_FIXED}{_UNITS.get(unit, unit)}"

    def signed(self, signed: Signed | None, zone: tzinfo) -> str:
        """Who and when, or a line to fill in."""
        if signed is None:
            return self("to_sign")
        return self("signed_by", name=signed.by, moment=self.plain.moment(signed.at_ms, zone))

    def hours(self, bands: tuple[float, ...]) -> tuple[str, ...]:
        """Hours to a tenth, rounded so that what is shown adds up to their shown sum, the last."""
        tenths = [hours * 10 for hours in bands]
        whole = [floor(each) for each in tenths]
        total = round(sum(tenths))
        order = sorted(range(len(tenths)), key=lambda at: whole[at] - tenths[at])
        for at in order[: total - sum(whole)]:
            whole[at] += 1
        return tuple(self.plain.number(each / 10, 1) for each in (*whole, total))

    def joined(self, texts: Iterable[str]) -> str:
        """Texts one after the other, parted as the language does."""
        return self("parted").join(texts)

    def some(self, names: tuple[str, ...], most: int) -> str:
        """The first names, and how many more there are."""
        if len(names) <= most:
            return ", ".join(names)
        return self("and_more", names=", ".join(names[:most]), count=len(names) - most)


def zone_of(name: str) -> tzinfo:
    """The site's time zone."""
    return ZoneInfo(name)


def utc_parts(time_ms: int) -> tuple[int, int, int, int, int, int]:
    """Year to second, UTC."""
    when = datetime.fromtimestamp(time_ms // 1000, UTC)
    return (when.year, when.month, when.day, when.hour, when.minute, when.second)


@cache
def prose(code: str) -> Prose:
    """The texts of a language out of ``console.text.CODES``."""
    found = tables("jauge_collector.reports", code)
    record = words(code)
    own = replace(record, texts=found["texts"], names={**record.names, **found["names"]})
    return Prose(own, record, found["bases"], found["asks"])
