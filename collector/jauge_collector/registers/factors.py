"""Emission factors and energy contents of fuels: dated figures with who publishes them.

CSV, one row a figure. Factors of different boundary never share a series, and only a row that is
in force and not from memory may be used; the others stand on the register's page and nowhere else
(STANDARDS 6 and 8, « rules, formulas and factors are rows with a status »).
"""

from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from typing import Final

from jauge_models.rules import RuleStatus

from jauge_collector.registers import provenance
from jauge_collector.registers.problems import File, Problems
from jauge_collector.registers.provenance import Provenance
from jauge_collector.registers.sheet import DATES, Column, Dated, Row, refuse_twins, rows_of


class FactorKind(StrEnum):
    """What a figure is for."""

    EMISSION = "emission"
    """Of what is bought, in kgCO2e per unit."""
    FUEL = "fuel"
    """Energy content, in kWh per unit."""
    REFRIGERANT = "refrigerant"
    """Global warming potential, without a unit."""


class Boundary(StrEnum):
    """What an emission factor covers."""

    DIRECT = "direct"
    """The plants' own emissions."""
    LIFE_CYCLE = "life_cycle"
    """Their fuel's and their own whole life too."""
    NONE = "none"
    """A figure that has no such boundary: an energy content, a potential."""


class FactorUnit(StrEnum):
    """Units that factors are given in."""

    KG_PER_KWH = "kgCO2e/kWh"
    KG_PER_L = "kgCO2e/L"
    KG_PER_M3 = "kgCO2e/m3"
    KG_PER_KG = "kgCO2e/kg"
    KWH_PER_L = "kWh/L"
    KWH_PER_M3 = "kWh/m3"
    KWH_PER_KG = "kWh/kg"
    NONE = "1"


class FactorRow(Dated, frozen=True, kw_only=True):
    """One figure."""

    kind: FactorKind
    subject: str
    """Of what: ``electricity-fr``, ``diesel``, the refrigerant's name."""
    value: float
    unit: FactorUnit
    boundary: Boundary = Boundary.NONE
    source: str = ""
    """Who publishes it, and where it was read."""
    year: int | None = None
    """That the figure is about."""
    oj_reference: str = ""
    """Where the Official Journal has it, for one that a text sets."""
    certainty: Provenance = Provenance.MEMORY
    status: RuleStatus = RuleStatus.IN_FORCE
    note: str = ""

    @property
    def is_usable(self) -> bool:
        """Whether a figure may be worked out with it."""
        return self.status is RuleStatus.IN_FORCE and self.certainty is not Provenance.MEMORY

    @property
    def joules_per_m3(self) -> float | None:
        """Energy content of a fuel in J/m3; None of anything else, or a fuel bought by weight."""
        per_m3 = {FactorUnit.KWH_PER_L: 1000.0, FactorUnit.KWH_PER_M3: 1.0}.get(self.unit)
        return None if per_m3 is None else self.value * per_m3 * 3.6e6


COLUMNS: Final = (
    Column("kind", ("type", "nature"), needed=True),
    Column("subject", ("objet", "sujet", "energie"), needed=True),
    Column("value", ("valeur",), needed=True),
    Column("unit", ("unite",), needed=True),
    Column("boundary", ("scope", "perimetre")),
    Column("source", needed=True),
    Column("year", ("vintage", "annee", "millesime")),
    Column("oj_reference", ("reference_jo", "reference_joue")),
    Column("certainty", provenance.HEADERS),
    Column("status", ("statut",)),
    *DATES,
    Column("note", ("remarque",)),
)

_MOST: Final = 1e6
_KINDS: Final = {
    "combustible": FactorKind.FUEL,
    "carburant": FactorKind.FUEL,
    "emissions": FactorKind.EMISSION,
    "fluide_frigorigene": FactorKind.REFRIGERANT,
}
_BOUNDARIES: Final = {
    "direct_emissions": Boundary.DIRECT,
    "directes": Boundary.DIRECT,
    "directe": Boundary.DIRECT,
    "cycle_de_vie": Boundary.LIFE_CYCLE,
    "acv": Boundary.LIFE_CYCLE,
    "aucun": Boundary.NONE,
}
_STATUSES: Final = {
    "en_vigueur": RuleStatus.IN_FORCE,
    "adopte": RuleStatus.ADOPTED_PENDING,
    "projet": RuleStatus.DRAFT,
    "memoire": RuleStatus.MEMORY,
}
_UNITS_OF: Final = {
    FactorKind.EMISSION: "kgCO2e/",
    FactorKind.FUEL: "kWh/",
    FactorKind.REFRIGERANT: "1",
}


def parse(file: File) -> tuple[FactorRow, ...]:
    """The factors that a file holds, in its order. Raises RegisterError."""
    problems = Problems(file.name)
    found = tuple(filter(None, (_factor(row) for row in rows_of(file, COLUMNS, problems))))
    refuse_twins(
        (((f.kind, f.subject, f.boundary, f.source, f.year), f) for f in found),
        lambda key: f"{key[1]!r} of this source" if isinstance(key, tuple) else "this factor",
        "subject",
        problems,
    )
    problems.check()
    return found


def in_force(
    factors: Iterable[FactorRow], kind: FactorKind, subject: str, boundary: Boundary, day: date
) -> FactorRow | None:
    """The usable factor on a day; of several the one whose validity began last, then year."""
    found = [
        factor
        for factor in factors
        if (factor.kind, factor.subject, factor.boundary) == (kind, subject, boundary)
        and factor.is_usable
        and factor.holds(day)
    ]
    return max(found, key=lambda f: (f.valid_from or date.min, f.year or 0), default=None)


def _factor(row: Row) -> FactorRow | None:
    start, end = row.span()
    kind = row.choice("kind", FactorKind, _KINDS, needed=True)
    unit = row.choice("unit", FactorUnit, {}, needed=True)
    value = row.number("value", 0, _MOST, needed=True)
    boundary = row.choice("boundary", Boundary, _BOUNDARIES) or Boundary.NONE
    subject, source = row.text("subject", needed=True), row.text("source", needed=True)
    certainty = row.choice("certainty", Provenance, provenance.WORDS) or Provenance.MEMORY
    status = row.choice("status", RuleStatus, _STATUSES) or RuleStatus.IN_FORCE
    year = row.whole("year", 1990, 2999)
    if kind is FactorKind.EMISSION and boundary is Boundary.NONE:
        row.wrong("boundary", "is missing for an emission factor", "write direct or life_cycle")
    if kind is FactorKind.EMISSION and not row.text("year"):
        row.wrong("year", "is missing for an emission factor", "give the year that it is about")
    if kind is None or unit is None or value is None:
        return None
    if not unit.value.startswith(_UNITS_OF[kind]):
        row.wrong("unit", f"{unit.value} is none of {kind.value}", f"begin with {_UNITS_OF[kind]}")
    return FactorRow(
        line=row.line,
        valid_from=start,
        valid_to=end,
        kind=kind,
        subject=subject,
        value=value,
        unit=unit,
        boundary=boundary,
        source=source,
        year=year,
        oj_reference=row.text("oj_reference"),
        certainty=certainty,
        status=status,
        note=row.text("note"),
    )
