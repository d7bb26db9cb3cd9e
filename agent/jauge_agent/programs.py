"""Programs of others: started without a shell, with a deadline, killed when it is over.

What is secret goes to a program by its standard input, a pipe: so it stands neither in the list of
processes nor on a disk.
"""

import asyncio
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MOST_INPUT: Final = 4096
"""Bytes that any pipe takes at once: no program can hold up who writes them."""

_ENVIRONMENT: Final = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C",
    "HOME": "/nonexistent",
}


@dataclass(frozen=True, slots=True)
class Printed:
    """What a program that ended has printed; ``is_whole``: on its standard output, all of it."""

    status: int
    out: str
    err: str
    is_whole: bool = True


def found(name: str) -> Path | None:
    """Where a program is; the folders of administrators' programs are looked into as well."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    return None if path is None else Path(path)


async def run(
    program: Path,
    arguments: Sequence[str],
    given: bytes = b"",
    *,
    deadline_s: float,
    longest: int,
    longest_error: int,
) -> Printed:
    """Run a program to its end, with at most `MOST_INPUT` bytes given; TimeoutError, OSError.

    However this ends, the program has ended too. Of what it prints so many bytes are kept; the
    rest is read and thrown away, so that it does not wait for a reader.
    """
    if len(given) > MOST_INPUT:
        raise ValueError(f"more than {MOST_INPUT} bytes for {program.name}")
    reading, writing = os.pipe()
    try:
        os.write(writing, given)
        os.close(writing)
        writing = -1
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            stdin=reading,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_ENVIRONMENT,
        )
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)
    assert process.stdout is not None  # noqa: S101 - for the type checker
    assert process.stderr is not None  # noqa: S101 - the same
    try:
        async with asyncio.timeout(deadline_s):
            out, err = await asyncio.gather(
                _kept(process.stdout, longest), _kept(process.stderr, longest_error)
            )
            status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await asyncio.shield(process.wait())
    (text, is_whole), (errors, _) = out, err
    return Printed(status, text, errors, is_whole)


async def _kept(stream: asyncio.StreamReader, longest: int) -> tuple[str, bool]:
    """What a stream gives to its end, up to a length, and whether that was all."""
    kept, length = bytearray(), 0
    while block := await stream.read(65536):
        length += len(block)
        kept += block[: max(0, longest - len(kept))]
    return kept.decode("utf-8", "replace"), length <= longest
