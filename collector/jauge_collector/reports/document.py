"""A written report as blocks, which the PDF and the HTML set alike: neither knows a figure.

Text is text: nothing in a block is markup of either format.
"""

from collections.abc import Mapping

import msgspec


class _Block(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Base of what a section holds."""


class Paragraph(_Block, frozen=True, kw_only=True, tag="paragraph"):
    """Running text. ``tone`` is plain, lead, note (small), intro (of what follows) or warning."""

    text: str
    tone: str = "plain"


class Bullets(_Block, frozen=True, kw_only=True, tag="bullets"):
    """A list."""

    items: tuple[str, ...]


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """Head of a column; numbers stand to the right. ``width`` is relative to the others'."""

    name: str
    number: bool = False
    width: float = 1.0


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell; ``sub`` is a second, quieter line."""

    text: str
    sub: str = ""
    strong: bool = False


class Table(_Block, frozen=True, kw_only=True, tag="table"):
    """A table with a head and a caption."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    link: str = ""
    """Where all rows are, beside the HTML file; empty where they are all here."""


class Picture(_Block, frozen=True, kw_only=True, tag="picture"):
    """A chart as SVG with the text that says the same."""

    svg: str
    alt: str
    caption: str


class Tile(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of a row of large ones."""

    value: str
    name: str
    sub: str = ""
    main: bool = False


class Tiles(_Block, frozen=True, kw_only=True, tag="tiles"):
    """Large figures side by side."""

    tiles: tuple[Tile, ...]


Block = Paragraph | Bullets | Table | Picture | Tiles


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A heading and what follows; ``parts`` have headings one level down."""

    id: str
    title: str
    blocks: tuple[Block, ...] = ()
    parts: "tuple[Section, ...]" = ()


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the two writers need. ``marks`` stand on every page, as text."""

    language: str
    region: str
    title: str
    heading: str
    """The title's first line on the first page."""
    subheading: str
    running: str
    """What the head of each page says."""
    marks: tuple[str, ...]
    created: tuple[int, int, int, int, int, int]
    """Year to second, UTC."""
    opening: tuple[Block, ...]
    sections: tuple[Section, ...]
    words: Mapping[str, str]
    """The writers' own words: skip link, contents, page."""


def cells(*texts: str) -> tuple[Cell, ...]:
    """A row of plain cells."""
    return tuple(Cell(text=text) for text in texts)
