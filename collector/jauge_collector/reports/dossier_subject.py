"""What a verifier's dossier is made of, and what its tables are."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jauge_models.rules import JOULES_PER_KWH
from jauge_models.topology import MEASURES, Meter

from jauge_collector.csv_text import Cell
from jauge_collector.ledger.book import Ledger
from jauge_collector.registers.files import Registers
from jauge_collector.reports.boundary import Boundary, Span
from jauge_collector.reports.content import Report
from jauge_collector.sites import Site


class Table(NamedTuple):
    """Columns by their keys in the texts, and rows as they come."""

    columns: tuple[str, ...]
    rows: Iterable[Sequence[Cell]]


class Subject(NamedTuple):
    """What a dossier is made of: a closed quarter's report, and where its proofs are.

    ``ledger`` is the whole one, ``counting`` the one that the report rests on, ``boundary`` the
    meters' rows of the twelve months out of it.
    """

    site: Site
    registers: Registers
    ledger: Ledger
    counting: Ledger
    report: Report
    boundary: Boundary
    quarter: Span


def divisor(meter: Meter) -> float:
    """Base units in one of `unit_of`."""
    return JOULES_PER_KWH if MEASURES[meter.commodity].unit == "J" else 1.0


def unit_of(meter: Meter) -> str:
    """In which the dossier tells a meter: kWh or m3."""
    return "kWh" if MEASURES[meter.commodity].unit == "J" else "m3"
