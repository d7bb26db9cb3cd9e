"""What the console's page of a host says, read as a person reads it: facts, and the table."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from typing import NamedTuple


class Seen(NamedTuple):
    """What a host's page says now."""

    measured: Decimal
    """W."""
    at_ms: int
    """The moment of it."""
    own: Decimal
    guests: Mapping[str, Decimal]
    """Whole watts of each guest, by where its link leads."""
    columns: list[list[Decimal]]
    """Idle, dynamic, GPU and whole watts of each line, the sums last."""


class _Page(HTMLParser):
    """The parts of a page that are checked: definitions, and the table that adds up."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.facts: dict[str, str] = {}
        self.rows: list[list[str]] = []
        self.links: list[str] = []
        self._tables = 0
        self._term = ""
        self._into: list[str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "table" and given.get("class") == "adds":
            self._tables = 1
        elif self._tables and tag == "tr":
            self.rows.append([])
            self.links.append("")
        elif self._tables and tag in {"th", "td"}:
            self._into = []
        elif self._tables and tag == "a":
            self.links[-1] = given.get("href") or ""
        elif tag in {"dt", "dd"}:
            self._into = []

    def handle_endtag(self, tag: str) -> None:
        text = " ".join("".join(self._into or ()).split())
        if tag == "table":
            self._tables = 0
        elif self._tables and tag in {"th", "td"}:
            self.rows[-1].append(text)
        elif tag == "dt":
            self._term = text
        elif tag == "dd":
            self.facts[self._term] = text

    def handle_data(self, data: str) -> None:
        if self._into is not None:
            self._into.append(data)


def seen_on(text: str) -> Seen:
    """What an English page of a host says; raises where it says it of nothing."""
    page = _Page(text)
    power = re.fullmatch(r"([\d.,]+)\sW, (.+)", page.facts["Power now"])
    assert power, page.facts
    (_, *lines), links = page.rows, page.links[1:]
    columns = [[Decimal(cell.replace(",", "")) for cell in line[1:5]] for line in lines]
    guests = {
        link.partition("?")[0].rpartition("/")[2]: figures[3]
        for link, figures in zip(links, columns, strict=True)
        if link
    }
    assert len(guests) == len(lines) - 2, "every guest has a page of its own, and none two lines"
    moment = datetime.strptime(power[2], "%d %b %Y %H:%M:%S").replace(tzinfo=UTC)
    return Seen(
        Decimal(power[1].replace(",", "")),
        round(moment.timestamp() * 1000),
        columns[0][3],
        guests,
        columns,
    )
