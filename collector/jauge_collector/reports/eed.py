"""The annex for the European database: every field of Delegated Regulation (EU) 2024/1364.

Annexes I to III over a calendar year, each with its value and where it comes from: worked out of
the ledger, said by the operator (`registers.facility`), or still to be supplied. Texts that are
not in force are rows with their status, and only where the policy asks for them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

import msgspec
from jauge_models.effectiveness import Kpi
from jauge_models.rules import RULES, RuleStatus

from jauge_collector.compliance.attested_set_points import MeanSetPoint
from jauge_collector.registers.facility import FacilityRow, supplied
from jauge_collector.registers.facility_fields import ANNEX, NATIONAL, Family, Field, Kind
from jauge_collector.registers.files import Registers
from jauge_collector.reports.content import Amount, Figures

Value = str | float | bool | None


class Source(StrEnum):
    """Where a value comes from."""

    COMPUTED = "computed"
    DECLARED = "declared"
    """The operator's register."""
    REGISTER = "register"
    """Another register of the site, or its site file."""
    TO_BE_SUPPLIED = "to_be_supplied"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One field of the annex. ``value`` is None where nobody told it; it is never a zero then."""

    key: str
    point: str = ""
    symbol: str = ""
    unit: str = ""
    family: Family
    value: Value = None
    source: Source = Source.TO_BE_SUPPLIED
    first: date
    last: date
    """The calendar year, both days inside."""
    coverage: float | None = None
    """Share of the year that is measured, of what is measured at all."""
    attested_share: float | None = None
    status: str
    """measured, attested, mixed, estimated, simulated, declared, not_measured, to_be_supplied."""
    reason: str = ""
    """Why a figure of the ledger is withheld; names meters, so it is never published."""
    rule: str
    rule_status: RuleStatus = RuleStatus.IN_FORCE
    document: str = ""
    public: bool = False
    secret: bool = False


class Annex(msgspec.Struct, frozen=True, kw_only=True):
    """The annex of one site and calendar year; ``pending`` holds rules that are not in force."""

    site: str
    title: str
    year: int
    simulated: bool
    rows: tuple[Row, ...]
    pending: tuple[Row, ...] = ()

    def row(self, key: str) -> Row:
        """A field by its key. Raises KeyError."""
        for row in (*self.rows, *self.pending):
            if row.key == key:
                return row
        raise KeyError(key)


_REGULATION: Final = "Delegated Regulation (EU) 2024/1364"
_NATIONAL: Final = "Directive (EU) 2023/1791, Annex VII; code de l’énergie, D.236-1 to D.236-7"
_SET_POINT: Final = "t_in_air"
_PARTS: Final = ("e_res_goo", "e_res_ppa", "e_res_os")

PENDING_TEXT: Final = "C(2026) 3472 final"
"""Adopted, without a reference of the Official Journal; read where others quote it."""
_CLASSES: Final[Mapping[str, tuple[tuple[float, str], ...]]] = {
    "eu_class_pue": (
        (1.15, "A"),
        (1.25, "B"),
        (1.35, "C"),
        (1.5, "D"),
        (1.7, "E"),
        (1.9, "F"),
    ),
    "eu_class_wue": ((0.1, "A"), (0.2, "B"), (0.4, "C"), (0.6, "D"), (0.8, "E"), (1.0, "F")),
}
"""Upper bounds, inclusive; above the last is G. Of the pending text."""


def last_full_year(day: date) -> int:
    """The last calendar year that is over at the end of a day."""
    return day.year if (day.month, day.day) == (12, 31) else day.year - 1


def annex(
    *,
    site: str,
    title: str,
    year: int,
    registers: Registers,
    figures: Figures | None,
    fresh: Kpi | None = None,
    set_point: MeanSetPoint | None = None,
    simulated: bool = False,
) -> Annex:
    """The annex of a calendar year.

    ``figures`` are those of that year, None where none may be told; ``fresh`` is W_IN-FRE / E_IT,
    for the pending text alone; ``set_point`` is T_IN as it is attested. Raises ValueError where
    figures are of other days.
    """
    days = date(year, 1, 1), date(year, 12, 31)
    if figures is not None and (figures.first, figures.last) != days:
        raise ValueError(f"figures of {figures.first} to {figures.last} are not those of {year}")
    told = supplied(registers.facility, site, year, days[1])
    work = _Work(title, year, registers, figures, told, site, set_point, simulated)
    rows = tuple(_with_declared_ratios([work.row(field) for field in (*ANNEX, *NATIONAL)]))
    wanted = registers.policy is not None and registers.policy.pending_texts
    pending = tuple(_pending(rows, figures, fresh, days)) if wanted else ()
    return Annex(site=site, title=title, year=year, simulated=simulated, rows=rows, pending=pending)


@dataclass(frozen=True, slots=True)
class _Work:
    title: str
    year: int
    registers: Registers
    figures: Figures | None
    told: Mapping[str, FacilityRow]
    site: str
    set_point: MeanSetPoint | None
    simulated: bool

    def row(self, field: Field) -> Row:
        """One field: the ledger's figure, else the operator's, else nothing."""
        computed = self._computed(field)
        if computed is not None and computed.value is not None:
            return computed
        declared = self._declared(field)
        if declared is not None:
            return declared
        return computed or self._blank(field)

    def _blank(self, field: Field) -> Row:
        rule = _NATIONAL if not field.point else f"{_REGULATION}, Annex {field.point}"
        return Row(
            key=field.key,
            point=field.point,
            symbol=field.symbol,
            unit=field.unit,
            family=field.family,
            first=date(self.year, 1, 1),
            last=date(self.year, 12, 31),
            status="to_be_supplied",
            rule=rule,
            public=field.public,
            secret=field.key in self.told and self.told[field.key].secret,
        )

    def _declared(self, field: Field) -> Row | None:
        blank = self._blank(field)
        found = self.told.get(field.key)
        if found is not None and found.value:
            return msgspec.structs.replace(
                blank,
                value=_typed(field, found),
                source=Source.DECLARED,
                status="declared",
                document=found.document,
            )
        other: Value = None
        if field.key == "name":
            other = self.title
        elif field.key == "refrigerants":
            other = self._refrigerants() or None
        elif field.key == "e_res_tot":
            parts = [self.told[key].number for key in _PARTS if key in self.told]
            known = [part for part in parts if part is not None]
            if len(known) == len(_PARTS):
                return msgspec.structs.replace(
                    blank, value=sum(known), source=Source.DECLARED, status="declared"
                )
        if other is None:
            return None
        return msgspec.structs.replace(
            blank, value=other, source=Source.REGISTER, status="declared"
        )

    def _refrigerants(self) -> str:
        start, end = date(self.year, 1, 1), date(self.year + 1, 1, 1)
        return ", ".join(
            sorted(
                {
                    row.name
                    for row in self.registers.refrigerants
                    if row.site in {"", self.site} and row.overlaps(start, end)
                }
            )
        )

    def _computed(self, field: Field) -> Row | None:
        if field.key == _SET_POINT and self.set_point is not None:
            return msgspec.structs.replace(
                self._blank(field),
                value=self.set_point.celsius,
                source=Source.COMPUTED,
                coverage=self.set_point.share,
                attested_share=1.0,
                status="simulated" if self.simulated else "attested",
            )
        if self.figures is None or not field.annual:
            return None
        kpis = {
            "pue": self.figures.kpis.pue,
            "wue": self.figures.kpis.wue,
            "erf": self.figures.kpis.erf,
            "ref": self.figures.kpis.ref,
        }
        blank = self._blank(field)
        if field.key in kpis:
            return _of_kpi(blank, kpis[field.key])
        amount = _amount(self.figures.amounts, field.symbol)
        if amount is None or field.kind is not Kind.NUMBER or field.family is not Family.ENERGY:
            return None
        return _of_amount(blank, amount, simulated=self.figures.kpis.simulated)


def _with_declared_ratios(rows: Sequence[Row]) -> Iterator[Row]:
    """REF and ERF out of a declared numerator: Annex III of the regulation, REF at most 1.

    The one ratio that is no `Kpi`: its numerator is a year's certificates or a signed total, which
    no interval of the ledger holds.
    """
    of = {row.key: row for row in rows}
    numerators = {"ref": "e_res_tot", "erf": "e_reuse"}
    whole = of["e_dc"].value
    for row in rows:
        part = of[numerators[row.key]] if row.key in numerators else None
        told = part is not None and part.source is Source.DECLARED
        if row.value is not None or not told or part is None:
            yield row
        elif isinstance(part.value, float) and isinstance(whole, float) and whole > 0:
            value = part.value / whole
            yield msgspec.structs.replace(
                row,
                value=min(value, 1.0) if row.key == "ref" else value,
                source=Source.DECLARED,
                status="declared",
                document=part.document,
            )
        else:
            yield row


def _amount(amounts: Sequence[Amount], symbol: str) -> Amount | None:
    return next((amount for amount in amounts if symbol and amount.symbol == symbol), None)


def _typed(field: Field, row: FacilityRow) -> Value:
    if field.kind is Kind.YES_NO:
        return row.value == "yes"
    number = row.number
    return row.value if number is None else number


def _of_kpi(blank: Row, kpi: Kpi) -> Row | None:
    if kpi.value is None and kpi.numerator is None:  # the site declares no such equation
        return None
    withheld = kpi.value is None
    return msgspec.structs.replace(
        blank,
        value=kpi.value,
        source=Source.TO_BE_SUPPLIED if withheld else Source.COMPUTED,
        coverage=kpi.coverage,
        attested_share=kpi.attested_share,
        status="not_measured" if withheld else str(kpi.status),
        reason=kpi.reason or "",
        rule=next(
            (
                r.reference
                for r in RULES
                if r.formula == kpi.formula and r.status is kpi.rule_status
            ),
            blank.rule,
        ),
        rule_status=kpi.rule_status,
    )


def _of_amount(blank: Row, amount: Amount, *, simulated: bool) -> Row:
    withheld = amount.value is None
    return msgspec.structs.replace(
        blank,
        value=amount.value,
        source=Source.TO_BE_SUPPLIED if withheld else Source.COMPUTED,
        coverage=amount.coverage,
        attested_share=amount.attested_share,
        status=status_of(amount, simulated=simulated),
        reason=amount.reason or "",
    )


def status_of(amount: Amount, *, simulated: bool) -> str:
    """Where a total comes from, as `Row.status` says it."""
    if amount.value is None:
        return "not_measured"
    if simulated:
        return "simulated"
    if amount.estimated_share > 0:
        return "estimated"
    if amount.attested_share <= 0:
        return "measured"
    return "attested" if amount.attested_share >= 1 else "mixed"


def _pending(
    rows: Sequence[Row], figures: Figures | None, fresh: Kpi | None, days: tuple[date, date]
) -> Iterator[Row]:
    """Rows of the text that is adopted and not in force; never without that status."""
    amounts = figures.amounts if figures is not None else ()
    base = Row(
        key="w_in_fre",
        symbol="W_IN-FRE",
        unit="m3",
        family=Family.ENERGY,
        first=days[0],
        last=days[1],
        status="to_be_supplied",
        rule=PENDING_TEXT,
        rule_status=RuleStatus.ADOPTED_PENDING,
    )
    water = _amount(amounts, "W_IN-FRE")
    simulated = figures is not None and figures.kpis.simulated
    yield base if water is None else _of_amount(base, water, simulated=simulated)
    ratio = msgspec.structs.replace(base, key="wue_fre", symbol="WUE", unit="m3/MWh")
    if fresh is not None:
        ratio = _of_kpi(ratio, fresh) or ratio
    ratio = msgspec.structs.replace(
        ratio, rule=PENDING_TEXT, rule_status=RuleStatus.ADOPTED_PENDING
    )
    yield ratio
    pue = next(row for row in rows if row.key == "pue")
    for key, of in (("eu_class_pue", pue), ("eu_class_wue", ratio)):
        row = msgspec.structs.replace(base, key=key, symbol="", unit="")
        if of.source is Source.COMPUTED and isinstance(of.value, float):
            row = msgspec.structs.replace(
                row,
                value=_class(key, of.value),
                source=Source.COMPUTED,
                coverage=of.coverage,
                attested_share=of.attested_share,
                status=of.status,
            )
        yield row


def _class(key: str, value: float) -> str:
    return next((name for bound, name in _CLASSES[key] if value <= bound), "G")
