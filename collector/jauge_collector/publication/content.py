"""What of an approved report may leave the house, field by field: nothing else is published.

The only way from a report to a public file. What is copied here are figures, dates, codes of our
own vocabulary and the fields of the operator's register that the law makes public. No text that
people or machines wrote elsewhere passes: it could name a server, a rack, a guest, a person or
another body. So no equation, meter, room, reason, note, document or signatory is in it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from typing import Final

import msgspec
from jauge_models.boundaries import Symbol
from jauge_models.compliance.status import Result
from jauge_models.effectiveness import Kpi

from jauge_collector.registers.facility import FacilityRow
from jauge_collector.registers.facility_fields import FIELDS, Family
from jauge_collector.reports.content import Amount, Figures, Report, Slot, data_hash
from jauge_collector.reports.eed import Annex, Value, status_of

COMPUTED: Final = frozenset(
    {
        "e_dc",
        "e_dc_bg",
        "e_it",
        "w_in",
        "w_in_pot",
        "e_reuse",
        "e_res_tot",
        "pue",
        "wue",
        "erf",
        "ref",
    }
)
"""Annual fields that come out of an approved report or, without one, out of the register."""
_SYMBOLS: Final = frozenset(str(symbol) for symbol in Symbol)


class _Public(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what is published."""


class LegalField(_Public, frozen=True, kw_only=True):
    """One field that the law makes public; ``value`` is None where ``status`` says why."""

    key: str
    family: Family
    symbol: str
    unit: str
    value: Value
    status: str
    coverage: float | None
    attested_share: float | None
    first: date
    last: date


class Indicator(_Public, frozen=True, kw_only=True):
    """One figure of the quarter or of the twelve months up to its end."""

    period: str
    """``quarter`` or ``year``."""
    first: date
    last: date
    key: str
    label: str
    """Of the models, with the category: ``PUE1``, ``iPUE2``; a symbol for a total."""
    value: float | None
    unit: str
    coverage: float
    attested_share: float
    uncertainty: float | None
    status: str
    """measured, attested, mixed, estimated, simulated; not_measured where there is no value."""
    grade: str
    category: str
    rule_status: str


class Month(_Public, frozen=True, kw_only=True):
    """One month: mean power in kW, water in m3; None where it was not measured."""

    first: date
    last: date
    e_dc_kw: float | None
    e_it_kw: float | None
    water_m3: float | None
    pue: float | None
    wue: float | None


class Outcome(_Public, frozen=True, kw_only=True):
    """How many servers have one result, and their shares (0 to 1)."""

    result: str
    servers: int
    servers_share: float | None
    kwh_share: float | None
    racks_share: float | None


class CriterionStatus(_Public, frozen=True, kw_only=True):
    """One criterion of the site, by its code."""

    criterion: str
    status: str


class Public(_Public, frozen=True, kw_only=True):
    """Everything that is published of one quarter of one site."""

    site: str
    title: str
    quarter: str
    first: date
    last: date
    revision: int
    approved_on: date
    """Day of the approval, on the site's clock: the date of what is published."""
    simulated: bool
    year: int
    """The last calendar year that was over at the quarter's end."""
    annual_approved: bool
    """Whether a report that ends with that year is approved; else its figures are left out."""
    fields: tuple[LegalField, ...]
    indicators: tuple[Indicator, ...]
    months: tuple[Month, ...]
    servers: int
    outcomes: tuple[Outcome, ...]
    own_share: float | None
    """Demonstrated on the server's own criteria alone."""
    criteria: tuple[CriterionStatus, ...]
    goal_reading: str
    edition: str
    policy_hash: str
    data_hash: str
    pages: Mapping[str, str]
    """Publisher, address, contact and accessibility audit, as the operator's register says."""

    def field(self, key: str) -> LegalField | None:
        """A legal field by its key."""
        return next((field for field in self.fields if field.key == key), None)

    def text(self, key: str) -> str:
        """A field that the operator gave, as text; empty where it has none."""
        found = self.field(key)
        return "" if found is None or found.value is None else str(found.value)


def public(
    report: Report,
    annex: Annex,
    told: Mapping[str, FacilityRow],
    *,
    approved_on: date,
    annual_approved: bool,
) -> Public:
    """What may be published of an approved report and of the annex of its last calendar year."""
    record = report.record
    head = record.headline
    secrets = frozenset(row.key for row in annex.rows if row.secret)
    return Public(
        site=record.site,
        title=record.title,
        quarter=record.quarter,
        first=record.start,
        last=record.as_of,
        revision=report.revision,
        approved_on=approved_on,
        simulated=record.simulated,
        year=annex.year,
        annual_approved=annual_approved,
        fields=tuple(_fields(annex, annual_approved=annual_approved)),
        indicators=(
            *_indicators("quarter", report.quarter, secrets),
            *_indicators("year", report.year, secrets),
        ),
        months=tuple(_month(slot, secrets) for slot in report.months),
        servers=head.total,
        outcomes=tuple(
            Outcome(
                result=result.value,
                servers=share.servers,
                servers_share=share.servers_share,
                kwh_share=share.kwh_share,
                racks_share=share.racks_share,
            )
            for result in Result
            if (share := head.results.get(result)) is not None
        ),
        own_share=head.own_share,
        criteria=tuple(
            CriterionStatus(criterion=one.criterion, status=one.status.value)
            for one in record.assessment.sites.get(record.site, ())
        ),
        goal_reading=record.goal_reading,
        edition=record.edition,
        policy_hash=record.policy_hash or "",
        data_hash=data_hash(report),
        pages={
            key: row.value
            for key, row in sorted(told.items())
            if FIELDS[key].family is Family.PUBLICATION and row.value and not row.secret
        },
    )


def _fields(annex: Annex, *, annual_approved: bool) -> Iterator[LegalField]:
    for row in annex.rows:
        if not row.public:
            continue
        value, status = row.value, row.status
        if row.secret:
            value, status = None, "secret"
        elif value is None and row.key in COMPUTED and not annual_approved:
            status = "not_approved"
        yield LegalField(
            key=row.key,
            family=row.family,
            symbol=row.symbol,
            unit=row.unit,
            value=value,
            status=status,
            coverage=None if row.secret else row.coverage,
            attested_share=None if row.secret else row.attested_share,
            first=row.first,
            last=row.last,
        )


def _indicators(period: str, found: Figures, secrets: Collection[str]) -> Iterator[Indicator]:
    for one in _known(period, found):
        if one.key in secrets or (one.key.startswith("pue_") and "pue" in secrets):
            yield msgspec.structs.replace(one, value=None, uncertainty=None, status="secret")
        else:
            yield one


def _month(slot: Slot, secrets: Collection[str]) -> Month:
    def told(key: str, value: float | None, divisor: float = 1.0) -> float | None:
        return None if value is None or key in secrets else value / divisor

    return Month(
        first=slot.first,
        last=slot.last,
        e_dc_kw=told("e_dc", slot.e_dc_w, 1000),
        e_it_kw=told("e_it", slot.e_it_w, 1000),
        water_m3=told("w_in", slot.water_m3),
        pue=told("pue", slot.pue.value),
        wue=told("wue", slot.wue.value),
    )


def _known(period: str, found: Figures) -> Iterator[Indicator]:
    kpis = found.kpis
    several = [("pue", kpis.pue), *((f"pue_{at}", k) for at, k in _numbered(kpis.pue_elsewhere))]
    several += [("wue", kpis.wue), ("cue", kpis.cue), ("ref", kpis.ref), ("erf", kpis.erf)]
    for key, kpi in several:
        yield Indicator(
            period=period,
            first=found.first,
            last=found.last,
            key=key,
            label=kpi.label,
            value=kpi.value,
            unit=kpi.unit,
            coverage=kpi.coverage,
            attested_share=kpi.attested_share,
            uncertainty=kpi.uncertainty,
            status="not_measured" if kpi.value is None else str(kpi.status),
            grade=kpi.grade.value,
            category=kpi.category or "",
            rule_status=kpi.rule_status.value,
        )
    for amount in found.amounts:
        if amount.symbol in _SYMBOLS:  # others are named after a zone or a place
            yield _total(period, found, amount)


def _numbered(kpis: Iterable[Kpi]) -> Iterable[tuple[int, Kpi]]:
    return enumerate(kpis, start=2)


def _total(period: str, found: Figures, amount: Amount) -> Indicator:
    return Indicator(
        period=period,
        first=found.first,
        last=found.last,
        key=amount.symbol.lower().replace("-", "_"),
        label=amount.symbol,
        value=amount.value,
        unit=amount.unit,
        coverage=amount.coverage,
        attested_share=amount.attested_share,
        uncertainty=amount.uncertainty,
        status=status_of(amount, simulated=found.kpis.simulated),
        grade=amount.grade.value,
        category="",
        rule_status="in_force",
    )
