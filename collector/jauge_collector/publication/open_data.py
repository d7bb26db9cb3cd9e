"""The open data of a quarter: CSV tables with a Table Schema, and the Data Package that holds them.

Column names and codes are the same in every language, so that a series goes on whatever the pages
are written in; titles and descriptions are in the language asked for. RFC 4180, UTF-8, decimal
points; an empty cell is a value that is not known, never a zero.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Final, NamedTuple

from jauge_collector.csv_text import Cell, written
from jauge_collector.publication.content import Public
from jauge_collector.publication.words import PublicWords

LICENCE: Final = "https://www.etalab.gouv.fr/licence-ouverte-open-licence"
LICENCE_TITLE: Final = "Licence Ouverte / Open Licence 2.0"


class TableField(NamedTuple):
    """A column: its name and its type in Table Schema."""

    name: str
    type: str
    needed: bool = True


class Table(NamedTuple):
    """One table of the open data."""

    name: str
    fields: tuple[TableField, ...]
    key: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def path(self) -> str:
        """Below the folder of the pages."""
        return f"data/{self.name}.csv"

    @property
    def content(self) -> bytes:
        """The file."""
        return written([field.name for field in self.fields], self.rows).encode()


def _text(name: str) -> TableField:
    return TableField(name, "string")


def _day(name: str) -> TableField:
    return TableField(name, "date")


def _number(name: str, *, needed: bool = False) -> TableField:
    return TableField(name, "number", needed)


_INDICATORS: Final = (
    _text("period"),
    _day("first"),
    _day("last"),
    _text("key"),
    _text("label"),
    _number("value"),
    _text("unit"),
    _number("coverage", needed=True),
    _number("attested_share", needed=True),
    _number("uncertainty"),
    _text("status"),
    _text("grade"),
    TableField("category", "string", needed=False),
    _text("rule_status"),
)
_MONTHS: Final = (
    _day("first"),
    _day("last"),
    _number("e_dc_kw"),
    _number("e_it_kw"),
    _number("water_m3"),
    _number("pue"),
    _number("wue"),
)
_SERVERS: Final = (
    _text("result"),
    TableField("servers", "integer"),
    _number("servers_share"),
    _number("kwh_share"),
    _number("racks_share"),
)
_CRITERIA: Final = (_text("criterion"), _text("status"))
_FIELDS: Final = (
    _text("key"),
    _text("family"),
    TableField("symbol", "string", needed=False),
    TableField("unit", "string", needed=False),
    TableField("value", "string", needed=False),
    _text("status"),
    _number("coverage"),
    _number("attested_share"),
    _day("first"),
    _day("last"),
)


def tables(public: Public) -> tuple[Table, ...]:
    """Every table, in a fixed order."""
    return (
        Table(
            "indicators",
            _INDICATORS,
            ("period", "key"),
            tuple(
                (
                    one.period,
                    one.first.isoformat(),
                    one.last.isoformat(),
                    one.key,
                    one.label,
                    one.value,
                    one.unit,
                    one.coverage,
                    one.attested_share,
                    one.uncertainty,
                    one.status,
                    one.grade,
                    one.category,
                    one.rule_status,
                )
                for one in public.indicators
            ),
        ),
        Table(
            "months",
            _MONTHS,
            ("first",),
            tuple(
                (
                    one.first.isoformat(),
                    one.last.isoformat(),
                    one.e_dc_kw,
                    one.e_it_kw,
                    one.water_m3,
                    one.pue,
                    one.wue,
                )
                for one in public.months
            ),
        ),
        Table(
            "servers",
            _SERVERS,
            ("result",),
            tuple(
                (one.result, one.servers, one.servers_share, one.kwh_share, one.racks_share)
                for one in public.outcomes
            ),
        ),
        Table(
            "criteria",
            _CRITERIA,
            ("criterion",),
            tuple((one.criterion, one.status) for one in public.criteria),
        ),
        Table(
            "annual_fields",
            _FIELDS,
            ("key",),
            tuple(
                (
                    one.key,
                    one.family.value,
                    one.symbol,
                    one.unit,
                    _cell(one.value),
                    one.status,
                    one.coverage,
                    one.attested_share,
                    one.first.isoformat(),
                    one.last.isoformat(),
                )
                for one in public.fields
            ),
        ),
    )


def _cell(value: str | float | bool | None) -> Cell:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def datapackage(public: Public, found: Sequence[Table], words: PublicWords) -> bytes:
    """``datapackage.json`` (Data Package v1) with a Table Schema of each table."""
    publisher = public.pages.get("publisher_name", "")
    package = {
        "profile": "tabular-data-package",
        "name": f"{public.site}-{public.quarter}".lower(),
        "title": words("dataset_title", title=public.title, quarter=public.quarter),
        "description": words("dataset_description"),
        "version": str(public.revision),
        "created": f"{public.approved_on.isoformat()}T00:00:00Z",
        "licenses": [{"name": "etalab-2.0", "path": LICENCE, "title": LICENCE_TITLE}],
        **({"contributors": [{"title": publisher, "role": "publisher"}]} if publisher else {}),
        "resources": [
            {
                "profile": "tabular-data-resource",
                "name": table.name,
                "path": table.path,
                "title": words.tables[table.name],
                "format": "csv",
                "mediatype": "text/csv",
                "encoding": "utf-8",
                "dialect": {"delimiter": ",", "header": True},
                "hash": f"sha256:{hashlib.sha256(table.content).hexdigest()}",
                "bytes": len(table.content),
                "schema": {
                    "fields": [
                        {
                            "name": field.name,
                            "type": field.type,
                            "title": words.columns[field.name],
                            **({"constraints": {"required": True}} if field.needed else {}),
                        }
                        for field in table.fields
                    ],
                    "primaryKey": list(table.key),
                    "missingValues": [""],
                },
            }
            for table in found
        ],
    }
    return json_bytes(package)


def json_bytes(value: object) -> bytes:
    """JSON for people and machines: the same bytes for the same value."""
    return (json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode()
