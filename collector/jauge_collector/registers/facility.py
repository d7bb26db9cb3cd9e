"""What the operator supplies of the data centre: identity, floor area, ICT capacity, traffic.

CSV, one row a field. What no meter tells is the operator's to say, and stays « à fournir par
l'exploitant » until it is said here. A value that the ledger works out is never replaced by it.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from difflib import get_close_matches
from typing import Final
from urllib.parse import urlsplit

from jauge_models.resources import is_name

from jauge_collector.registers.facility_fields import FIELDS, Field, Kind
from jauge_collector.registers.problems import File, Problems
from jauge_collector.registers.sheet import (
    DATES,
    Column,
    Dated,
    Row,
    folded,
    refuse_twins,
    rows_of,
)

MOST: Final = 1e15
"""More than any field is, in its unit."""
_MONTH: Final = re.compile(r"(19|20)\d\d-(0[1-9]|1[0-2])")
_YES: Final = {"yes": "yes", "oui": "yes", "no": "no", "non": "no"}


class FacilityRow(Dated, frozen=True, kw_only=True):
    """One field as the operator says it."""

    site: str = ""
    key: str
    value: str
    """As text: a number has a decimal point, yes and no are ``yes`` and ``no``. Empty only where
    the row says that the ledger's own figure is a secret."""
    year: int | None = None
    """The calendar year of an annual field; None for the others, which are dated."""
    source: str = ""
    """Where it comes from, in a few words: the role that answers for it, never a person's name."""
    document: str = ""
    """Id in the register of documents."""
    secret: bool = False
    """A trade or business secret (Directive (EU) 2023/1791, art. 12(1)): never published."""
    note: str = ""

    @property
    def number(self) -> float | None:
        """The value of a field that is a number."""
        numeric = FIELDS[self.key].kind in {Kind.NUMBER, Kind.DEGREES, Kind.SHARE}
        return float(self.value) if numeric and self.value else None


COLUMNS: Final = (
    Column("site"),
    Column("key", ("champ", "cle", "field"), needed=True),
    Column("value", ("valeur",), needed=True),
    Column("unit", ("unite",)),
    Column("year", ("annee",)),
    Column("source", ("origine",)),
    Column("document"),
    Column("secret", ("secret_des_affaires",)),
    *DATES,
    Column("note", ("remarque",)),
)


def parse(file: File) -> tuple[FacilityRow, ...]:
    """The fields that a file fills in, in its order; an empty value is left out.

    But for a secret one: what the ledger works out may be a secret too. Raises RegisterError.
    """
    problems = Problems(file.name)
    found = tuple(
        one
        for one in map(_row, rows_of(file, COLUMNS, problems))
        if one is not None and (one.value or one.secret)
    )
    refuse_twins(
        (((one.site, one.key, one.year), one) for one in found),
        lambda key: f"{key[1]!r}" if isinstance(key, tuple) else "this field",
        "key",
        problems,
    )
    problems.check()
    return found


def supplied(
    rows: Iterable[FacilityRow], site: str, year: int, day: date
) -> Mapping[str, FacilityRow]:
    """By key what holds for a site: annual fields of a year, the others on a day.

    A row of the site itself goes before one of all sites.
    """
    found: dict[str, FacilityRow] = {}
    for row in rows:
        holds = row.year == year if FIELDS[row.key].annual else row.holds(day)
        if row.site in {"", site} and holds and (row.site or row.key not in found):
            found[row.key] = row
    return found


def _row(row: Row) -> FacilityRow | None:
    start, end = row.span()
    site, key = row.text("site"), row.text("key", needed=True)
    if site and not is_name(site):
        row.wrong("site", f"{site!r} is no name", "write the name that its site file says")
    field = FIELDS.get(key)
    if field is None:
        if key:
            near = get_close_matches(folded(key), FIELDS, n=1, cutoff=0.6)
            fix = f"did you mean {near[0]!r}?" if near else "docs/registers.md lists the fields"
            row.wrong("key", f"{key!r} is no field", fix)
        return None
    unit = row.text("unit")
    if unit and unit != field.unit:
        named = f"give it in {field.unit}" if field.unit else "leave it empty"
        row.wrong("unit", f"{unit!r} is not the unit of {key}", named)
    year = row.whole("year", 2000, 2999)
    value = _value(row, field)
    secret = _yes(row, "secret") == "yes"
    if (value or secret) and field.annual and not row.text("year"):
        row.wrong("year", f"is empty for {key}", "give the calendar year that it is of")
    if not field.annual and row.text("year"):
        row.wrong("year", f"{key} is of no year", "date it with valid_from and valid_to")
    return FacilityRow(
        line=row.line,
        valid_from=start,
        valid_to=end,
        site=site,
        key=key,
        value=value,
        year=year,
        source=row.text("source"),
        document=row.text("document"),
        secret=secret,
        note=row.text("note"),
    )


def _yes(row: Row, column: str) -> str:
    text = row.text(column)
    found = _YES.get(folded(text), "")
    if text and not found:
        row.wrong(column, f"{text!r} is neither yes nor no", "write oui or non")
    return found


def _value(row: Row, field: Field) -> str:
    """The value as it is kept; empty where there is none or it is wrong, which is then told."""
    text = row.text("value")
    if not text:
        return ""
    if field.choices:
        words = {folded(choice): choice for choice in field.choices}
        if folded(text) not in words:
            row.wrong("value", f"{text!r} is no choice", f"choices are {', '.join(field.choices)}")
        return words.get(folded(text), "")
    if field.kind is Kind.YES_NO:
        return _yes(row, "value")
    bounds = {Kind.NUMBER: (0.0, MOST), Kind.SHARE: (0.0, 1.0), Kind.DEGREES: (-60.0, 120.0)}
    if field.kind in bounds:
        number = row.number("value", *bounds[field.kind])
        return "" if number is None else repr(number)
    if field.kind is Kind.DAY:
        day = row.day("value")
        return "" if day is None else day.isoformat()
    if field.kind is Kind.MONTH and not _MONTH.fullmatch(text):
        row.wrong("value", f"{text!r} is no month", "write 2026-01")
    if field.kind is Kind.ADDRESS and not _is_address(text):
        row.wrong("value", f"{text!r} is no address", "write https://… or mailto:…")
    return text


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    plain = not any(c.isspace() or c in "<>\"'" for c in text)
    web = parts.scheme in {"https", "http"} and bool(parts.hostname)
    return plain and (web or (parts.scheme == "mailto" and "@" in parts.path))
