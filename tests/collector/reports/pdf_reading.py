"""Reads a PDF as a screen reader would: tags in order, what they hold, and the text of a page."""

import io
import re
from collections.abc import Iterator
from typing import Any, Final

import pikepdf

SHOWN: Final = frozenset(
    {"Tj", "TJ", "'", '"', "f", "F", "f*", "S", "s", "B", "b", "B*", "b*", "Do", "sh", "EI"}
)
"""Operators that put something on the page."""


def opened(data: bytes) -> pikepdf.Pdf:
    """The document."""
    return pikepdf.open(io.BytesIO(data))


def tags(pdf: pikepdf.Pdf) -> Iterator[pikepdf.Dictionary]:
    """Every element of the structure, in reading order."""
    yield from _below(pdf.Root.StructTreeRoot)


def _below(element: Any) -> Iterator[pikepdf.Dictionary]:
    kids = element.get("/K", pikepdf.Array())
    for kid in kids if isinstance(kids, pikepdf.Array) else [kids]:
        if isinstance(kid, pikepdf.Dictionary) and "/S" in kid:
            yield kid
            yield from _below(kid)


def attribute(element: pikepdf.Dictionary, name: str) -> Any:
    """An attribute of an element, None where it has none."""
    owned = element.get("/A", pikepdf.Array())
    for each in owned if isinstance(owned, pikepdf.Array) else [owned]:
        if isinstance(each, pikepdf.Dictionary) and name in each:
            return each[name]
    return None


def untagged(page: pikepdf.Page) -> list[str]:
    """What is put on a page outside any tag or artifact."""
    depth, found = 0, []
    for operands, name in _operations(page):
        if name in ("BDC", "BMC"):
            marked = str(operands[0]) == "/Artifact" or (
                len(operands) > 1 and "/MCID" in _properties(page, operands[1])
            )
            depth += 1 if marked or depth else 0
        elif name == "EMC":
            depth -= 1 if depth else 0
        elif name in SHOWN and not depth:
            found.append(name)
    return found


def _operations(page: pikepdf.Page) -> Iterator[tuple[Any, str]]:
    for each in pikepdf.parse_content_stream(page):
        yield each.operands, str(each.operator)


def _properties(page: pikepdf.Page, named: Any) -> Any:
    return page.Resources.Properties[named] if isinstance(named, pikepdf.Name) else named


def fonts(pdf: pikepdf.Pdf) -> Iterator[pikepdf.Dictionary]:
    """Every font descriptor."""
    for each in pdf.objects:
        if isinstance(each, pikepdf.Dictionary) and each.get("/Type") == "/FontDescriptor":
            yield each


def text(page: pikepdf.Page) -> str:
    """The text of a page by its fonts' own tables, without blanks: lines may break anywhere."""
    tables = {name: _unicode(font) for name, font in page.Resources.Font.items()}
    table: dict[int, str] = {}
    said: list[str] = []
    for operands, name in _operations(page):
        if name == "Tf":
            table = tables[str(operands[0])]
        elif name in ("Tj", "TJ"):
            shown = operands[0] if name == "TJ" else [operands[0]]
            for piece in shown:
                if isinstance(piece, pikepdf.String):
                    raw = bytes(piece)
                    codes = (
                        int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)
                    )
                    said.extend(table[code] for code in codes)
    return bare("".join(said))


def bare(said: str) -> str:
    """A text without blanks and places where it may break."""
    return re.sub(r"[\s\u200b]", "", said)


def _unicode(font: Any) -> dict[int, str]:
    """From codes to text, as the font's ToUnicode table says."""
    found: dict[int, str] = {}
    table = font.ToUnicode.read_bytes().decode("latin-1")
    for block in re.findall(r"beginbfchar(.*?)endbfchar", table, re.DOTALL):
        for code, value in re.findall(r"<(\w+)>\s*<(\w+)>", block):
            found[int(code, 16)] = bytes.fromhex(value).decode("utf-16-be")
    for block in re.findall(r"beginbfrange(.*?)endbfrange", table, re.DOTALL):
        for first, last, value in re.findall(r"<(\w+)>\s*<(\w+)>\s*<(\w+)>", block):
            for at in range(int(first, 16), int(last, 16) + 1):
                found[at] = chr(int(value, 16) + at - int(first, 16))
    return found
