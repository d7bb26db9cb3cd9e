"""One file sent with a form: streamed to disk, never whole in memory, known by its first bytes."""

import asyncio
import codecs
import contextlib
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import IO, Final, NamedTuple

from aiohttp import BodyPartReader, MultipartReader, web

LARGEST_FILE: Final = 10 * 1024**2
"""Bytes of a document that somebody sends by a form."""
LARGEST_FIELDS: Final = 8 * 1024
"""Bytes of the fields beside it, together."""
MOST_FIELDS: Final = 20
_CHUNK: Final = 64 * 1024
_OLD_S: Final = 3600.0
"""No request lasts so long."""
_LONGEST_NAME: Final = 100
_MAGIC: Final = {b"%PDF-": "pdf", b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"}
_BREAKS: Final = "\t\r\n\f"


class Place(NamedTuple):
    """Where a form's file is kept while its request lasts, and what is taken."""

    folder: Path
    texts: tuple[str, ...] = (".csv",)
    """Ends of the names of texts."""
    documents: bool = True
    """PDF, PNG and JPEG too."""
    largest: int = LARGEST_FILE
    """Bytes."""


class Upload(NamedTuple):
    """A file that was received; whoever takes it copies it, ``path`` goes with the request."""

    path: Path
    name: str
    """What its sender calls it: for people, never a path of ours."""


class Received(NamedTuple):
    """What a form brought; ``problem`` is the key of the console's text on its file."""

    fields: Mapping[str, str]
    upload: Upload | None
    problem: str


RECEIVED: Final[web.RequestKey[Received]] = web.RequestKey("received", Received)


async def receive(
    request: web.Request, place: Place, admit: Callable[[Mapping[str, str]], None]
) -> Received:
    """The fields, then at most one file below the folder of ``place``.

    ``admit`` is asked with the fields before a byte of the file is kept, and raises where the form
    is none of ours. Raises HTTPBadRequest for what is no such form.
    """
    try:
        return await _received(await request.multipart(), place, admit)
    except (ValueError, AssertionError):  # aiohttp asserts and decodes what anybody may send
        raise web.HTTPBadRequest(text="the form cannot be read") from None


async def _received(
    reader: MultipartReader, place: Place, admit: Callable[[Mapping[str, str]], None]
) -> Received:
    fields: dict[str, str] = {}
    left = LARGEST_FIELDS
    while (part := await reader.next()) is not None:
        if not isinstance(part, BodyPartReader) or len(fields) >= MOST_FIELDS:
            raise ValueError
        if part.filename is None:
            text = await _text(part, left)
            left -= len(text)
            fields[part.name or ""] = text.decode()
            continue
        admit(fields)
        upload, problem = await _kept(part, place)
        if not problem and await reader.next() is not None:
            await asyncio.to_thread(_discard, upload)
            raise ValueError
        return Received(fields, upload, problem)
    admit(fields)
    return Received(fields, None, "")


async def _text(part: BodyPartReader, most: int) -> bytes:
    text = b""
    while chunk := await part.read_chunk(_CHUNK):
        text += chunk
        if len(text) > most:
            raise ValueError
    return text


async def _kept(part: BodyPartReader, place: Place) -> tuple[Upload | None, str]:
    """The file, or why it is not taken; nothing of what is not taken stays."""
    name = "".join(c if c.isprintable() else " " for c in PurePath(part.filename or "").name)
    size, look, problem = 0, _Look(), ""
    copy = await asyncio.to_thread(_begun, place.folder)
    upload = Upload(Path(copy.name), name.strip()[-_LONGEST_NAME:])
    taken = False
    try:
        while not problem and (chunk := await part.read_chunk(_CHUNK)):
            size += len(chunk)
            look.more(bytes(chunk))
            if size > place.largest:
                problem = "upload_large"
            else:
                await asyncio.to_thread(copy.write, chunk)
        if size and not problem and not look.known(name, place):
            problem = "upload_kind"
        taken = bool(size and not problem)
    finally:
        await asyncio.to_thread(copy.close)
        if not taken:
            await asyncio.to_thread(_discard, upload)
    return (upload if taken else None), problem


def _begun(folder: Path) -> IO[bytes]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return tempfile.NamedTemporaryFile(dir=folder, delete=False)


def forget_old(folder: Path) -> None:
    """Remove files of requests that were cut short; those that may still run keep theirs."""
    for path in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _OLD_S:
                path.unlink()


def _discard(upload: Upload | None) -> None:
    if upload is not None:
        upload.path.unlink(missing_ok=True)


class _Look:
    """What a file is, by what stands in it: PDF, PNG, JPEG, or a text by its name too."""

    def __init__(self) -> None:
        self._head = b""
        self._text = True
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def more(self, chunk: bytes) -> None:
        """Its next bytes."""
        if len(self._head) < max(map(len, _MAGIC)):
            self._head += chunk[:16]
        if self._text:
            try:
                text = self._decoder.decode(chunk)
            except UnicodeDecodeError:
                self._text = False
            else:
                self._text = all(c >= " " or c in _BREAKS for c in text)

    def known(self, name: str, place: Place) -> bool:
        """Whether it is of a kind that is taken, at its end; a text is told by its name too."""
        if place.documents and any(self._head.startswith(magic) for magic in _MAGIC):
            return True
        # A text that ends within a letter is none.
        return self._text and not self._decoder.getstate()[0] and name.lower().endswith(place.texts)
