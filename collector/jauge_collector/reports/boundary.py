"""Rows and totals of a site's boundary over twelve months, read once for the whole report."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from jauge_models.boundaries import Equation, Flow, evaluate
from jauge_models.intervals import Interval
from jauge_models.topology import Topology

from jauge_collector.kpis import Rows, boundary_rows, counting_since, touching
from jauge_collector.ledger.book import Ledger
from jauge_collector.registers.meters import topology_of
from jauge_collector.sites import Site

Span = tuple[int, int]
"""[start, end) in milliseconds since the Unix epoch."""


@dataclass(frozen=True, slots=True)
class Boundary:
    """The meters of a site's equations with the rows that count in a span."""

    site: Site
    topology: Topology
    """With the replacements, factors and events that people entered."""
    since: Mapping[str, int]
    """From when on each meter counts, 0 for always; one that does not is left out."""
    span: Span
    rows: Mapping[str, Sequence[Interval]]
    """Of each meter of an equation, in time order."""

    @property
    def meters(self) -> tuple[str, ...]:
        """Their ids, in the order of the equations."""
        return tuple(self.rows)

    def within(self, meter: str, span: Span) -> Sequence[Interval]:
        """The rows of a meter that touch a span."""
        return touching(self.rows[meter], *span)

    def flows(self, equation: Equation, span: Span, cuts: Iterable[int] = ()) -> list[Flow]:
        """A total over a span as consecutive pieces, cut at further moments too."""
        meters = dict.fromkeys(term.meter for term in equation.terms)
        return evaluate(
            equation,
            {meter: self.within(meter, span) for meter in meters},
            *span,
            uncertainties={m: self.topology.meter(m).uncertainty for m in meters},
            cuts=cuts,
        )


def read(ledger: Ledger, site: Site, span: Span, *, rows: Rows | None = None) -> Boundary:
    """The boundary over a span; ``rows`` are its own where they are read already.

    Raises LedgerError.
    """
    return Boundary(
        site=site,
        topology=topology_of(ledger, site),
        since=counting_since(ledger, site),
        span=span,
        rows=boundary_rows(ledger, site, *span) if rows is None else rows,
    )


def named(equations: Iterable[Equation]) -> Iterator[tuple[str, Equation]]:
    """Equations with a name of each that no other has: ``E_DC``, ``E_IT@it_input``, ``E_SUB/hall``.

    Of several E_IT of the whole site the first is plainly named: it leads.
    """
    seen: set[str] = set()
    for equation in equations:
        name = f"{equation.symbol}/{equation.zone}" if equation.zone else str(equation.symbol)
        if name in seen:
            name = f"{name}@{equation.place}"
        seen.add(name)
        yield name, equation
