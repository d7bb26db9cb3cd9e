"""The annex for the European database as CSV and JSON, with its texts in French and English."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import msgspec

from jauge_collector.console.text import tables
from jauge_collector.csv_text import Cell, written
from jauge_collector.reports.eed import Annex, Row


@dataclass(frozen=True, slots=True)
class EedWords:
    """One language's names of fields, sources, statuses and columns."""

    columns: Mapping[str, str]
    sources: Mapping[str, str]
    statuses: Mapping[str, str]
    rule_statuses: Mapping[str, str]
    families: Mapping[str, str]
    names: Mapping[str, str]
    remarks: Mapping[str, str]


@cache
def eed_words(code: str) -> EedWords:
    """The texts of a language out of ``console.text.CODES``."""
    return EedWords(**tables("jauge_collector.reports", code, "eed"))


def as_csv(found: Annex, language: str) -> str:
    """The annex as a table (RFC 4180), texts in a language; keys and symbols are the same in all.

    An empty value is one that nobody has told; its source says who is to.
    """
    words = eed_words(language)
    rows = [_cells(row, words) for row in (*found.rows, *found.pending)]
    return written([words.columns[name] for name in _COLUMNS], rows)


_COLUMNS: Final = (
    "key",
    "point",
    "symbol",
    "name",
    "family",
    "unit",
    "value",
    "source",
    "first",
    "last",
    "coverage",
    "attested_share",
    "status",
    "rule",
    "rule_status",
    "document",
    "remark",
)


def _cells(row: Row, words: EedWords) -> list[Cell]:
    value: Cell = row.value
    if isinstance(row.value, bool):
        value = "true" if row.value else "false"
    remark = [row.reason] if row.reason else []
    if row.key.startswith("eu_class") and row.value is not None:
        remark.append(words.remarks["class_words"].format(value=row.value))
    if row.key in words.remarks:
        remark.append(words.remarks[row.key])
    return [
        row.key,
        row.point,
        row.symbol,
        words.names[row.key],
        words.families[row.family],
        row.unit,
        value,
        words.sources[row.source],
        row.first.isoformat(),
        row.last.isoformat(),
        row.coverage,
        row.attested_share,
        words.statuses[row.status],
        row.rule,
        words.rule_statuses[row.rule_status],
        row.document,
        " ".join(remark),
    ]


def as_json(found: Annex) -> bytes:
    """The annex as JSON: the fields of `Annex` and `Row`, codes and not words."""
    return msgspec.json.format(msgspec.json.encode(found, order="deterministic"), indent=2) + b"\n"
