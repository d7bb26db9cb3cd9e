"""A real Chromium for tests that look at pages."""

import os
import shutil
import struct
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, async_playwright

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A headless Chromium with a profile of its own; skips where none is installed.

    Under CI it fails instead: there a skip would hide the tests.
    """
    path = shutil.which("chromium")
    if path is None:
        reason = "chromium is not installed (Debian package chromium)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*FLAGS])
        try:
            yield browser
        finally:
            await browser.close()


def in_few_colours(png: bytes) -> bytes:
    """A Chromium screenshot (8-bit RGB) with its 256 most frequent colours, at about half the size.

    A rarer colour, at the edge of a letter, becomes the nearest of them.
    """
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    assert (depth, kind) == (8, 2), "not an 8-bit RGB picture"
    pixels = [pixel for line in _lines(png, 3 * width, height) for pixel in _triples(line)]
    palette = [colour for colour, _ in Counter(pixels).most_common(256)]
    place = {colour: number for number, colour in enumerate(palette)}
    for colour in set(pixels) - set(place):
        distances = [sum((a - b) ** 2 for a, b in zip(colour, p, strict=True)) for p in palette]
        place[colour] = distances.index(min(distances))
    numbers = bytes(place[pixel] for pixel in pixels)
    data = b"".join(b"\0" + numbers[at : at + width] for at in range(0, len(numbers), width))
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", b"".join(palette)),
        (b"IDAT", zlib.compress(data, 9)),
        (b"IEND", b""),
    )
    return png[:8] + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def _triples(line: bytes) -> list[bytes]:
    return [line[at : at + 3] for at in range(0, len(line), 3)]


def _lines(png: bytes, length: int, height: int) -> Iterator[bytes]:
    """The lines of a picture, each freed of its filter (PNG specification, section 9)."""
    packed, at = b"", 8
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            packed += png[at + 8 : at + 8 + size]
        at += 12 + size
    raw = zlib.decompress(packed)
    above = bytearray(length)
    for number in range(height):
        begin = number * (length + 1)
        kind, line = raw[begin], bytearray(raw[begin + 1 : begin + 1 + length])
        for i in range(length if kind else 0):
            left = line[i - 3] if i >= 3 else 0
            corner = above[i - 3] if i >= 3 else 0
            guess = (left, above[i], (left + above[i]) // 2, _paeth(left, above[i], corner))
            line[i] = (line[i] + guess[kind - 1]) & 255
        yield bytes(line)
        above = line


def _paeth(left: int, up: int, corner: int) -> int:
    estimate = left + up - corner
    return min((left, up, corner), key=lambda value: abs(estimate - value))
