"""The formulas and factors that a report's figures were worked out with."""

from collections.abc import Iterator
from typing import Final

from jauge_models.boundaries import Symbol
from jauge_models.compliance.psychrometrics import RCI_SOURCE, RCI_STATUS
from jauge_models.rules import JOULES_PER_KWH, RULES, RuleStatus
from jauge_models.topology import Commodity

from jauge_collector.registers.factors import FactorKind, FactorRow
from jauge_collector.registers.files import Registers
from jauge_collector.registers.sheet import folded
from jauge_collector.reports.boundary import Boundary
from jauge_collector.reports.content import FactorUsed, RuleUsed, Temperature
from jauge_collector.reports.sobriety import factors_in
from jauge_collector.sites import Site

_RCI: Final = (
    "RCI_HI = (1 − Σ(T − T_max,rec)₊ / ((T_max,all − T_max,rec)·n))·100 %; RCI_LO = "
    "(1 − Σ(T_min,rec − T)₊ / ((T_min,rec − T_min,all)·n))·100 %; n: intakes, weighted by time"
)


def rules(site: Site, temperature: Temperature, *, pending: bool) -> Iterator[RuleUsed]:
    """Rules in force of what the site declares; those to come only where ``pending``."""
    declared = {equation.symbol for equation in site.equations}
    for rule in RULES:
        used = rule.status is RuleStatus.IN_FORCE and rule.numerator in declared
        if used or (pending and rule.status is RuleStatus.ADOPTED_PENDING):
            yield RuleUsed(
                id=rule.id, formula=rule.formula, reference=rule.reference, status=rule.status
            )
    if any(room.rci_high is not None or room.rci_low is not None for room in temperature.rooms):
        yield RuleUsed(id="rci", formula=_RCI, reference=RCI_SOURCE, status=RCI_STATUS)


def factors(registers: Registers, boundary: Boundary) -> Iterator[FactorUsed]:
    """Emission factors in force in the boundary's span, energy contents of fuels, GWPs."""
    site = boundary.site
    if site.equation(Symbol.E_DC) is not None:
        for factor in factors_in(site, boundary.span):
            yield FactorUsed(
                subject="electricity",
                value=factor.value,
                unit="kgCO2e/kWh",
                scope=factor.scope,
                source=factor.source,
                vintage=factor.vintage,
            )
    seen: set[tuple[str, float]] = set()
    for equation in site.equations:
        for term in equation.terms:
            fuel = boundary.topology.meter(term.meter).commodity is Commodity.FUEL
            if fuel and (term.meter, term.factor) not in seen:
                seen.add((term.meter, term.factor))
                yield FactorUsed(
                    subject=term.meter,
                    value=term.factor / JOULES_PER_KWH,
                    unit="kWh/m3",
                    scope="none",
                    source=term.evidence or term.reason,
                    vintage="",
                )
    yield from (_potential(row) for row in _potentials(registers, site.name))


def _potentials(registers: Registers, site: str) -> Iterator[FactorRow]:
    """Potentials of refrigerants whose row in their register gives none of its own."""
    asked = {
        folded(row.name)
        for row in registers.refrigerants
        if row.site in {"", site} and row.gwp is None
    }
    for row in registers.factors:
        named = row.kind is FactorKind.REFRIGERANT and folded(row.subject) in asked
        if named and row.is_usable:
            yield row


def _potential(row: FactorRow) -> FactorUsed:
    return FactorUsed(
        subject=row.subject,
        value=row.value,
        unit=row.unit.value,
        scope=row.boundary.value,
        source=row.source,
        vintage="" if row.year is None else str(row.year),
    )
