"""French and English: texts, numbers, units and dates as a reader of each language writes them."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, tzinfo
from functools import cache
from importlib.resources import files
from math import floor, isfinite, log10
from typing import Final

from jauge_models.rules import JOULES_PER_KWH

from jauge_collector import civil

CODES: Final = ("fr", "en")
_NARROW: Final = "\u202f"
_FIXED: Final = "\u00a0"


@dataclass(frozen=True, slots=True)
class Language:
    """One language. Calling it gives the text of a key, with its named holes filled in."""

    code: str
    texts: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key; raises KeyError for a key that no text was written for."""
        text = self.texts[key]
        return text.format(**values) if values else text

    def has(self, key: str) -> bool:
        """Whether a text exists."""
        return key in self.texts

    def number(self, value: float, decimals: int = 0) -> str:
        """Grouped digits: ``12 345,6`` in French, ``12,345.6`` in English."""
        text = f"{abs(value):,.{decimals}f}"
        if self.code == "fr":
            text = text.replace(",", _NARROW).replace(".", ",")
        negative = value < 0 and any(digit in text for digit in "123456789")
        return f"−{text}" if negative else text

    def significant(self, value: float, digits: int = 3) -> str:
        """A number with about so many significant digits, never in scientific notation."""
        if value == 0 or not isfinite(value):
            return self.number(0)
        places = digits - 1 - floor(log10(abs(value)))
        return self.number(value, min(max(places, 0), 6))

    def plain(self, value: float, digits: int = 6) -> str:
        """Like `significant`, without the zeros that end a fraction: ``1``, ``0,25``, ``9,05``."""
        text = self.significant(value, digits)
        point = "," if self.code == "fr" else "."
        return text.rstrip("0").rstrip(point) if point in text else text

    def percent(self, share: float, decimals: int = 1) -> str:
        """A share, cut and not rounded: only what is whole reads 100 %."""
        cut = floor(share * 100 * 10**decimals + 1e-6) / 10**decimals
        text = self.number(cut, 0 if cut in (0.0, 100.0) else decimals)
        return f"{text}{_NARROW}%" if self.code == "fr" else f"{text}%"

    def quantity(self, value: float, unit: str, digits: int = 4) -> str:
        """A value of a base unit in the multiple that reads best, with that unit."""
        factor, shown = multiple(abs(value), unit)
        if shown == "%":
            return self.percent(value)
        if self.code == "fr":
            shown = _FRENCH_UNITS.get(shown, shown)
        text = self.plain(value * factor, digits)
        return f"{text}{_FIXED}{shown}" if shown else text

    def total(self, value: float, unit: str) -> str:
        """A running total in the unit of its dial, whole: ``3 855 120,7 kWh``."""
        if unit == "J":
            return f"{self.number(value / JOULES_PER_KWH, 2)}{_FIXED}kWh"
        if unit == "m3":
            return f"{self.number(value, 3)}{_FIXED}m³"
        return self.quantity(value, unit)

    def day(self, when: date) -> str:
        """A date, short: ``31 oct. 2026``, ``31 Oct 2026``; a French month begins on its 1er."""
        number = "1er" if self.code == "fr" and when.day == 1 else str(when.day)
        return f"{number}{_FIXED}{self.month(when.month)} {when.year}"

    def month(self, number: int) -> str:
        """A month's short name."""
        return self.texts["months"].split()[number - 1]

    def clock(self, time_ms: int, zone: tzinfo, *, seconds: bool = False) -> str:
        """The time of day on the site's clock."""
        return civil.local(time_ms, zone).strftime("%H:%M:%S" if seconds else "%H:%M")

    def moment(self, time_ms: int, zone: tzinfo, *, seconds: bool = False) -> str:
        """Date and time of day on the site's clock."""
        return f"{self.day(civil.day(time_ms, zone))} {self.clock(time_ms, zone, seconds=seconds)}"

    def age(self, span_ms: float) -> str:
        """How long ago, in the largest unit that fits: ``12 s``, ``4 min``, ``3 h``, ``5 j``."""
        seconds = max(0.0, span_ms / 1000)
        for limit, size, key in _AGES:
            if seconds < limit:
                return f"{self.number(floor(seconds / size))}{_FIXED}{self.texts[key]}"
        return f"{self.number(floor(seconds / 86400))}{_FIXED}{self.texts['unit_day']}"

    def ago(self, span_ms: float) -> str:
        """An age as a sentence says it: ``il y a 4 min``, ``4 min ago``."""
        return self("ago", age=self.age(span_ms))

    def fault(self, reason: str) -> str:
        """Why something was not stored, in words; the code itself where it has none."""
        if self.has(f"fault_{reason}"):
            return self(f"fault_{reason}")
        of_document = reason.removeprefix("document_")
        if of_document == reason:
            return reason
        return self("fault_document", reason=self.fault(of_document))

    def label(self, label: str) -> str:
        """An indicator's label as the models give it."""
        return _translated(label, _LABELS) if self.code == "fr" else label

    def reason(self, reason: str) -> str:
        """Why an indicator has no value, as the models give it, without « not measured »."""
        french = self.code == "fr"
        parts = reason.removeprefix("not measured: ").split("; ")
        if french:
            parts = [_translated(part, _REASONS) for part in parts]
        text = (" ; " if french else "; ").join(parts)
        text = _DATE.sub(lambda found: self.day(date.fromisoformat(found[0])), text)
        if not french:
            return text.replace(" %", "%")
        return typeset(re.sub(r"(\d)\.(\d+)(?= (?:%|jours))", r"\1,\2", text))


_DATE: Final = re.compile(r"\b\d{4}-\d\d-\d\d\b")


def typeset(text: str) -> str:
    """French spacing: a narrow no-break space before double punctuation and inside « »."""
    text = re.sub(r"[ \u00a0](?=[:;!?%»](?:\W|$))", _NARROW, text)
    return re.sub(r"«[ \u00a0]", f"«{_NARROW}", text)


_AGES: Final = ((120, 1, "unit_second"), (7200, 60, "unit_minute"), (172800, 3600, "unit_hour"))

_LABELS: Final = (
    (r"interim (.+)", r"\1 intermédiaire"),
    (r"(.+) over more than 12 months", r"\1 sur plus de 12 mois"),
    (r"estimated ratio, not a (.+)", r"rapport estimé, pas un \1"),
    (r"ratio at UPS input, not a (.+)", r"rapport à l’entrée de l’onduleur, pas un \1"),
    (r"ratio, not a (.+)", r"rapport, pas un \1"),
)
_REASONS: Final = (
    (r"no equation for (.+) is declared", r"aucune équation n’est déclarée pour \1"),
    (
        r"joint coverage (.+) is below (.+)",
        r"la couverture conjointe, \1, est inférieure à \2",
    ),
    (
        r"coverage of the total (.+) is below (.+)",
        r"la couverture du total, \1, est inférieure à \2",
    ),
    (
        r"a gap of (.+) days is longer than (.+) days",
        r"une lacune de \1 jours dépasse \2 jours",
    ),
    (
        r"month (\d+) of the period is covered (.+), below (.+)",
        r"le mois n° \1 de la période n’est couvert qu’à \2, moins de \3",
    ),
    (r"(.+) is zero or negative", r"\1 est nul ou négatif"),
    (r"(.+) is negative", r"\1 est négatif"),
    (r"no E_IT feed is known", r"aucune alimentation E_IT n’est connue"),
    (r"no host is known", r"aucun hôte n’est connu"),
    (r"coverage of hosts (.+) is below (.+)", r"la couverture des hôtes, \1, est inférieure à \2"),
    (r"coverage of E_IT (.+) is below (.+)", r"la couverture d’E_IT, \1, est inférieure à \2"),
    (
        r"(.+) is less than (.+), which it contains",
        r"\1 est inférieur à \2, qu’il contient",
    ),
    (
        r"no emission factor is declared for the period",
        r"aucun facteur d’émission n’est déclaré pour la période",
    ),
    (
        r"no emission factor is declared for the whole period",
        r"aucun facteur d’émission n’est déclaré pour toute la période",
    ),
    (
        r"emission factors of different scope never mix: (.+)",
        r"des facteurs d’émission de portées différentes ne se mélangent pas : \1",
    ),
    (r"meter '(.+)' is not commissioned", r"le compteur « \1 » n’est pas mis en service"),
    (
        r"meter '(.+)' counts only since (.+)",
        r"le compteur « \1 » ne compte que depuis le \2",
    ),
    (
        r"entry (\d+) of meter '(.+)' is set aside, for rows measured within its span",
        r"l’entrée n° \1 du compteur « \2 » est écartée : des relevés existent dans sa période",
    ),
)


def _translated(text: str, patterns: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in patterns:
        if match := re.fullmatch(pattern, text):
            return match.expand(replacement)
    return text


_MULTIPLES: Final[Mapping[str, tuple[tuple[float, float, str], ...]]] = {
    "W": ((1e9, 1e-9, "GW"), (1e6, 1e-6, "MW"), (1e3, 1e-3, "kW"), (0.0, 1.0, "W")),
    "VA": ((1e6, 1e-6, "MVA"), (1e3, 1e-3, "kVA"), (0.0, 1.0, "VA")),
    "var": ((1e6, 1e-6, "Mvar"), (1e3, 1e-3, "kvar"), (0.0, 1.0, "var")),
    "J": (
        (3.6e12, 1 / 3.6e12, "GWh"),
        (3.6e9, 1 / 3.6e9, "MWh"),
        (3.6e6, 1 / 3.6e6, "kWh"),
        (3.6e3, 1 / 3.6e3, "Wh"),
        (0.0, 1.0, "J"),
    ),
    "m3": ((1.0, 1.0, "m³"), (0.001, 1e3, "L"), (0.0, 1.0, "m³")),
    "Cel": ((0.0, 1.0, "°C"),),
    "%RH": ((0.0, 1.0, "%RH"),),
    "/": ((0.0, 1.0, "%"),),
    "B": ((1e9, 1e-9, "GB"), (1e6, 1e-6, "MB"), (1e3, 1e-3, "kB"), (0.0, 1.0, "B")),
    "Hz": ((1e9, 1e-9, "GHz"), (1e6, 1e-6, "MHz"), (1e3, 1e-3, "kHz"), (0.0, 1.0, "Hz")),
    "s": ((172800.0, 1 / 86400, "d"), (7200.0, 1 / 3600, "h"), (0.0, 1.0, "s")),
    "count": ((0.0, 1.0, ""),),
}


_FRENCH_UNITS: Final = {"B": "o", "kB": "ko", "MB": "Mo", "GB": "Go", "d": "j", "%RH": "% HR"}


def multiple(magnitude: float, unit: str) -> tuple[float, str]:
    """What to multiply a base unit's value by, and the unit it then has."""
    for least, factor, shown in _MULTIPLES.get(unit, ((0.0, 1.0, unit),)):
        if magnitude >= least:
            return factor, shown
    return 1.0, unit


def tables(package: str, code: str, *folder: str) -> dict[str, dict[str, str]]:
    """The tables of a package's locale file in a language out of `CODES`, French as it is set."""
    file = files(package).joinpath("locale", *folder, f"{code}.toml")
    found: dict[str, dict[str, str]] = tomllib.loads(file.read_text("utf-8"))
    if code != "fr":
        return found
    return {
        name: {key: typeset(text) for key, text in table.items()} for name, table in found.items()
    }


@cache
def language(code: str) -> Language:
    """The language of a code out of `CODES`."""
    text = files("jauge_collector.console").joinpath("locale", f"{code}.toml").read_text("utf-8")
    texts = tomllib.loads(text)
    return Language(code, {k: typeset(t) for k, t in texts.items()} if code == "fr" else texts)


def choose(wanted: str | None, accepts: str, default: str) -> str:
    """The code to answer in: what the address asks for, else the browser's first, else ours."""
    if wanted in CODES:
        return wanted
    ranked: list[tuple[float, int, str]] = []
    for place, part in enumerate(accepts[:1000].split(",")):
        tag, _, parameter = part.strip().partition(";")
        quality = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", parameter)
        code = tag.split("-")[0].lower()
        weight = float(quality[1]) if quality else 1.0
        if code in CODES and weight > 0:
            ranked.append((-weight, place, code))
    return min(ranked)[2] if ranked else default
