"""What a benchmark finds: rows that set a figure beside a peer's or a limit of the same run."""

import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Better(StrEnum):
    """Which way a figure should go."""

    LOWER = "lower"
    HIGHER = "higher"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure beside another one. Where something could not be measured, ``note`` says why."""

    what: str
    value: float | None
    unit: str
    against: str
    """The peer or floor measured in the same run, or the limit."""
    against_value: float | None
    better: Better
    is_limit: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The figure divided by what it is set against."""
        if self.value is None or not self.against_value:
            return None
        return self.value / self.against_value

    @property
    def verdict(self) -> str:
        """``held`` or ``missed`` beside a limit; empty beside a peer."""
        if not self.is_limit or self.value is None or self.against_value is None:
            return ""
        if self.better is Better.LOWER:
            return "held" if self.value <= self.against_value else "missed"
        return "held" if self.value >= self.against_value else "missed"


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one benchmark, and what a reader must know of how they came about."""

    name: str
    title: str
    rows: list[Row]
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """A heading, the table and the notes."""
        lines = [
            f"### {self.title}",
            "",
            "| what | measured | against | its figure | ratio | |",
            "| --- | ---: | --- | ---: | ---: | --- |",
        ]
        for row in self.rows:
            remark = "; ".join(part for part in (row.verdict, row.note) if part)
            limit = f"{'≤' if row.better is Better.LOWER else '≥'} " if row.is_limit else ""
            lines.append(
                f"| {row.what} | {_figure(row.value)} {row.unit} | {row.against} |"
                f" {limit}{_figure(row.against_value)} | {_figure(row.ratio)} | {remark} |"
            )
        if self.notes:
            lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        rows = [asdict(row) | {"ratio": row.ratio, "verdict": row.verdict} for row in self.rows]
        return {"name": self.name, "title": self.title, "rows": rows, "notes": self.notes}


def side_by_side(
    what: str,
    value: float | None,
    unit: str,
    against: Iterable[tuple[str, float | None, str]],
    *,
    better: Better,
    limit: float | None = None,
    note: str = "",
) -> list[Row]:
    """One figure beside its limit and beside each (peer, figure, note on the peer)."""
    rows: list[Row] = []
    if limit is not None:
        rows.append(Row(what, value, unit, "limit", limit, better, is_limit=True, note=note))
    rows += [
        Row(what, value, unit, peer, figure, better, note=note) for peer, figure, note in against
    ]
    return rows


def say(text: str) -> None:
    """A line of progress, on standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"
