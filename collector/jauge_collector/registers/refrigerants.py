"""Refrigerants of the cooling systems: what is in the plant, from when to when (criterion S11).

CSV, one row a refrigerant of a unit. Its global warming potential is the row's own, or that of the
register of factors; where neither knows it, it stays unknown.
"""

from typing import Final

from jauge_models.resources import is_name

from jauge_collector.registers.problems import File, Problems
from jauge_collector.registers.sheet import DATES, Column, Dated, Row, rows_of

MOST_GWP: Final = 1e6


class RefrigerantRow(Dated, frozen=True, kw_only=True):
    """One refrigerant in one unit."""

    site: str = ""
    name: str
    """As the F-gas Regulation names it, e.g. ``R-32``."""
    unit: str = ""
    """Which cooling unit."""
    gwp: float | None = None
    source: str = ""
    """Where the potential was read; needed beside it."""
    note: str = ""


COLUMNS: Final = (
    Column("site"),
    Column("name", ("nom", "refrigerant", "fluide"), needed=True),
    Column("unit", ("equipement", "groupe", "equipment")),
    Column("gwp", ("prp", "prg")),
    Column("source"),
    *DATES,
    Column("note", ("remarque",)),
)


def parse(file: File) -> tuple[RefrigerantRow, ...]:
    """The refrigerants that a file holds, in its order. Raises RegisterError."""
    problems = Problems(file.name)
    found = tuple(_refrigerant(row) for row in rows_of(file, COLUMNS, problems))
    problems.check()
    return found


def _refrigerant(row: Row) -> RefrigerantRow:
    start, end = row.span()
    site, source = row.text("site"), row.text("source")
    if site and not is_name(site):
        row.wrong("site", f"{site!r} is no name", "write the name that its site file says")
    gwp = row.number("gwp", 0, MOST_GWP)
    if row.text("gwp") and not source:
        row.wrong("source", "is empty beside a potential", "say where it was read")
    return RefrigerantRow(
        line=row.line,
        valid_from=start,
        valid_to=end,
        site=site,
        name=row.text("name", needed=True),
        unit=row.text("unit"),
        gwp=gwp,
        source=source,
        note=row.text("note"),
    )
