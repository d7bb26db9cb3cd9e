"""Packs the small objects of a PDF into compressed object streams (ISO 32000-1, 7.5.7, 7.5.8).

typst writes a tag of the structure as one plain object each, so that a report full of tables is
four fifths structure. Nothing of the document changes: the same objects, packed. PDF/A-2 and
PDF/UA-1 allow it.
"""

import re
import zlib
from typing import Final

_IN_STREAM: Final = 200
_OBJECT: Final = re.compile(rb"(\d+) 0 obj\s")
_TABLE: Final = re.compile(rb"xref\s+0 (\d+)\s")
_SIZE: Final = re.compile(rb"/Size \d+")


def packed(pdf: bytes) -> bytes:
    """The same document with its objects packed.

    Raises ValueError where it is not written as expected: one cross-reference table, generation 0.
    """
    start = int(pdf[pdf.rindex(b"startxref") + len(b"startxref") :].split()[0])
    table = _TABLE.match(pdf, start)
    at = pdf.find(b"trailer", start)
    if table is None or at < 0:
        raise ValueError("the PDF has no plain cross-reference table")
    trailer = pdf[pdf.index(b"<<", at) + 2 : pdf.rindex(b">>")]
    offsets = _offsets(pdf, table.end(), int(table[1]))
    ends = dict(zip(offsets, [*offsets[1:], start], strict=True))
    plain: list[tuple[int, bytes]] = []
    whole: list[tuple[int, bytes]] = []
    for at in offsets:
        text = pdf[at : ends[at]]
        head = _OBJECT.match(text)
        if head is None:
            raise ValueError(f"no object stands at byte {at} of the PDF")
        body = text[head.end() : text.rindex(b"endobj")].strip()
        (whole if body.endswith(b"endstream") else plain).append((int(head[1]), body))
    return _written(pdf[: offsets[0]], plain, whole, trailer)


def _offsets(pdf: bytes, at: int, count: int) -> list[int]:
    """Where the objects in use stand, in file order."""
    rows = (pdf[at + 20 * row : at + 20 * row + 20] for row in range(count))
    return sorted(int(row[:10]) for row in rows if row[17:18] == b"n")


def _written(
    head: bytes, plain: list[tuple[int, bytes]], whole: list[tuple[int, bytes]], trailer: bytes
) -> bytes:
    out = bytearray(head)
    entries: dict[int, tuple[int, int, int]] = {0: (0, 0, 65535)}
    for number, body in whole:
        entries[number] = (1, len(out), 0)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    free = 1 + max((number for number, _ in (*plain, *whole)), default=0)
    for begin in range(0, len(plain), _IN_STREAM):
        some = plain[begin : begin + _IN_STREAM]
        for place, (number, _) in enumerate(some):
            entries[number] = (2, free, place)
        entries[free] = (1, len(out), 0)
        out += _stream(free, *_object_stream(some))
        free += 1
    entries[free] = (1, len(out), 0)
    start = len(out)
    rows = b"".join(
        kind.to_bytes(1, "big") + where.to_bytes(4, "big") + third.to_bytes(2, "big")
        for kind, where, third in (entries.get(n, (0, 0, 65535)) for n in range(free + 1))
    )
    kept = _SIZE.sub(b"/Size %d" % (free + 1), trailer).strip()
    out += _stream(free, b"/Type/XRef/W[1 4 2]%b" % kept, rows)
    out += b"startxref\n%d\n%%%%EOF\n" % start
    return bytes(out)


def _object_stream(objects: list[tuple[int, bytes]]) -> tuple[bytes, bytes]:
    index: list[bytes] = []
    data = bytearray()
    for number, body in objects:
        index.append(b"%d %d" % (number, len(data)))
        data += body + b"\n"
    head = b" ".join(index) + b"\n"
    return b"/Type/ObjStm/N %d/First %d" % (len(objects), len(head)), head + bytes(data)


def _stream(number: int, entries: bytes, data: bytes) -> bytes:
    body = zlib.compress(data, 9)
    return b"%d 0 obj\n<<%b/Filter/FlateDecode/Length %d>>\nstream\n%b\nendstream\nendobj\n" % (
        number,
        entries,
        len(body),
        body,
    )
