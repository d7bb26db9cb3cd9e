"""The public pages: plain HTML without a script, a picture, a font or another server."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

from jauge_models.compliance.criteria import CRITERIA

from jauge_collector.compliance.words import words as compliance_words
from jauge_collector.publication.content import Indicator, LegalField, Public
from jauge_collector.publication.open_data import LICENCE, Table
from jauge_collector.publication.words import PublicWords
from jauge_collector.registers.facility_fields import FIELDS, Family, Kind
from jauge_collector.templates import environment

INDEX: Final = "index"
ACCESSIBILITY: Final = "accessibility"
ECODESIGN: Final = "ecodesign"

_NO_AUDIT: Final = "non conforme"
_AUDIT: Final = (
    "accessibility_state",
    "accessibility_audit_day",
    "accessibility_audit_rate",
    "accessibility_audit_role",
)
_DASH: Final = "–"
_UNITS: Final = {"1": "", "m3": "m³", "m2": "m²", "m3/MWh": "m³/MWh"}


class Shown(NamedTuple):
    """A table as the template takes it: heads with whether they are of numbers, rows of text."""

    id: str
    caption: str
    heads: tuple[tuple[str, bool], ...]
    rows: tuple[tuple[str, ...], ...]


def accessibility_state(pages: Mapping[str, str]) -> str:
    """What an audit found; « non conforme » while the register does not hold all of one."""
    if all(pages.get(key) for key in _AUDIT):
        return pages["accessibility_state"]
    return _NO_AUDIT


def index(public: Public, tables: Sequence[Table], words: PublicWords) -> bytes:
    """The page of the indicators and of the fields that the law makes public."""
    show = _Show(words)
    plain = words.plain
    own = _DASH if public.own_share is None else plain.percent(public.own_share)
    return _page(
        INDEX,
        public,
        words,
        period=words(
            "period",
            first=plain.day(public.first),
            last=plain.day(public.last),
            revision=public.revision,
            approved=plain.day(public.approved_on),
        ),
        figures=[
            show.figures(period, [one for one in public.indicators if one.period == period])
            for period in words.periods
        ],
        families=[
            show.family(family, [one for one in public.fields if one.family is family])
            for family in Family
            if family is not Family.PUBLICATION
        ],
        months=show.months(public),
        servers=show.servers(public),
        criteria=show.criteria(public),
        reading=words(
            "reading",
            reading=public.goal_reading,
            edition=public.edition or words("no_edition"),
        ),
        servers_note=words("servers_note", servers=plain.number(public.servers), own=own),
        tables=tables,
    )


def accessibility(public: Public, words: PublicWords) -> bytes:
    """The accessibility statement: « non conforme » until an audit is in the register."""
    pages = public.pages
    audit = words("no_audit")
    audited = all(pages.get(key) for key in _AUDIT)
    if audited:
        audit = words(
            "audit",
            day=_Show(words).typed(Kind.DAY, pages["accessibility_audit_day"]),
            role=pages["accessibility_audit_role"],
            rate=words.plain.percent(float(pages["accessibility_audit_rate"])),
        )
    return _page(
        ACCESSIBILITY,
        public,
        words,
        state=words.states[accessibility_state(pages)],
        audit=audit,
        audited=audited,
    )


def ecodesign(public: Public, weights: Mapping[str, int], words: PublicWords) -> bytes:
    """The eco-design statement, with the weight of every other file."""
    return _page(
        ECODESIGN,
        public,
        words,
        weight_heads=((words("file"), False), (words("bytes"), True)),
        weights=[(name, words.plain.number(size)) for name, size in sorted(weights.items())],
    )


class _Show:
    """Figures as text of a language."""

    def __init__(self, words: PublicWords) -> None:
        self._words = words

    def figures(self, period: str, found: Sequence[Indicator]) -> Shown:
        """Indicators and totals of a period."""
        words, plain = self._words, self._words.plain
        heads = (
            (words("indicator"), False),
            (words("value"), True),
            (words("coverage"), True),
            (words("uncertainty"), True),
            (words("status"), False),
        )
        rows = tuple(
            (
                self._indicator(one),
                self._value(one.value, one.unit),
                plain.percent(one.coverage),
                _DASH if one.uncertainty is None else f"± {plain.percent(one.uncertainty)}",
                words.eed.statuses[one.status],
            )
            for one in found
        )
        caption = words.periods[period]
        if found:
            caption = f"{caption}, {plain.day(found[0].first)} {_DASH} {plain.day(found[0].last)}"
        return Shown(f"t-{period}", caption, heads, rows)

    def family(self, family: Family, found: Sequence[LegalField]) -> Shown:
        """Legal fields of one family."""
        words = self._words
        heads = (
            (words("field"), False),
            (words("symbol"), False),
            (words("value"), True),
            (words("coverage"), True),
            (words("status"), False),
        )
        rows = tuple(
            (
                words.eed.names[one.key],
                one.symbol or _DASH,
                self._field(one),
                _DASH if one.coverage is None else words.plain.percent(one.coverage),
                words.eed.statuses[one.status],
            )
            for one in found
        )
        return Shown(f"t-{family.value}", words.eed.families[family.value], heads, rows)

    def months(self, public: Public) -> Shown:
        """The twelve months."""
        words, plain = self._words, self._words.plain
        heads = (
            (words("month"), False),
            (words("e_dc_kw"), True),
            (words("e_it_kw"), True),
            (words("water_m3"), True),
            ("PUE", True),
            ("WUE", True),
        )
        rows = tuple(
            (
                f"{plain.month(one.first.month)}\u00a0{one.first.year}",
                *(
                    self._value(value, "")
                    for value in (one.e_dc_kw, one.e_it_kw, one.water_m3, one.pue, one.wue)
                ),
            )
            for one in public.months
        )
        return Shown("t-months", words.tables["months"], heads, rows)

    def servers(self, public: Public) -> Shown:
        """Servers by result."""
        words = self._words
        heads = (
            (words("result"), False),
            (words("servers"), True),
            (words("share"), True),
            (words("kwh_share"), True),
            (words("racks_share"), True),
        )
        rows = tuple(
            (
                words.results[one.result],
                words.plain.number(one.servers),
                *(
                    _DASH if share is None else words.plain.percent(share)
                    for share in (one.servers_share, one.kwh_share, one.racks_share)
                ),
            )
            for one in public.outcomes
        )
        return Shown("t-servers", words.tables["servers"], heads, rows)

    def criteria(self, public: Public) -> Shown:
        """Criteria of the site by code and title."""
        words = self._words
        titles = compliance_words(words.plain.code).criteria
        rows = tuple(
            (f"{one.criterion} {titles.get(one.criterion, '')}", words.statuses[one.status])
            for one in public.criteria
            if one.criterion in CRITERIA
        )
        heads = ((words("criterion"), False), (words("status"), False))
        return Shown("t-criteria", words.tables["criteria"], heads, rows)

    def typed(self, kind: Kind, text: str) -> str:
        """A date or month of the register as people write it."""
        if kind is Kind.MONTH:
            year, _, month = text.partition("-")
            return f"{self._words.plain.month(int(month))} {year}"
        return self._words.plain.day(date.fromisoformat(text))

    def _indicator(self, one: Indicator) -> str:
        name = self._words.indicators.get(one.key.partition("_")[0])
        label = self._words.plain.label(one.label)
        if name is None:
            return f"{self._words.eed.names.get(one.key, one.key)} ({label})"
        return f"{name} ({label})"

    def _field(self, one: LegalField) -> str:
        kind = FIELDS[one.key].kind
        if one.value is None:
            return _DASH
        if isinstance(one.value, bool):
            return self._words("yes" if one.value else "no")
        if isinstance(one.value, str):
            return self.typed(kind, one.value) if kind is Kind.MONTH else one.value
        if kind is Kind.SHARE:
            return self._words.plain.percent(one.value)
        return self._value(one.value, one.unit)

    def _value(self, value: float | None, unit: str) -> str:
        if value is None:
            return _DASH
        shown = _UNITS.get(unit, unit)
        digits = 4 if abs(value) < 1000 else len(f"{abs(value):.0f}")
        text = self._words.plain.plain(value, digits)
        return f"{text}\u00a0{shown}" if shown else text


def _page(here: str, public: Public, words: PublicWords, **values: object) -> bytes:
    state = words.states[accessibility_state(public.pages)]
    links = tuple(_links(words, state))
    template = environment("jauge_collector.publication", keep_trailing_newline=True).get_template(
        f"{here}.html"
    )
    text = template.render(
        here=here, public=public, words=words, links=links, licence=LICENCE, **values
    )
    return text.encode()


def _links(words: PublicWords, state: str) -> Iterator[tuple[str, str]]:
    yield INDEX, words("home")
    yield ACCESSIBILITY, words("accessibility_link", state=state)
    yield ECODESIGN, words("ecodesign_link")
