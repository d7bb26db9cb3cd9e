"""FreeIPMI's programs: started without a shell, with a deadline, killed when it is over.

User and password go to them through a pipe that they read as their configuration file: they stand
neither in the list of processes nor on a disk.
"""

import asyncio
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DCMI: Final = "ipmi-dcmi"
SENSORS: Final = "ipmi-sensors"
PACKAGE: Final = "freeipmi-tools"
"""Debian's package of both."""

_LONGEST: Final = 1024 * 1024
"""Bytes read of what a program prints; a large server lists some 300 sensors in 20 kB."""
_LONGEST_CONFIGURATION: Final = 4096
"""What a pipe takes at once."""


@dataclass(frozen=True, slots=True)
class Printed:
    """What a program that ended has printed."""

    status: int
    out: str
    err: str


def found(name: str) -> Path | None:
    """Where a program is; the folders of administrators' programs are looked into as well."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    return None if path is None else Path(path)


def configuration(**options: str | None) -> bytes:
    """A configuration file of FreeIPMI; raises ValueError for what it cannot hold."""
    lines: list[str] = []
    for name, value in options.items():
        if value is None:
            continue
        if any(ord(each) < 32 for each in value):
            raise ValueError(f"the {name} holds a character that FreeIPMI cannot be given")
        quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("#", "\\#")
        lines.append(f'{name.replace("_", "-")} "{quoted}"\n')
    text = "".join(lines).encode()
    if len(text) > _LONGEST_CONFIGURATION:
        raise ValueError("user name and password are too long")
    return text


async def run(
    program: Path, arguments: Sequence[str], settings: bytes, *, deadline_s: float
) -> Printed:
    """Run a program to its end with these settings; raises TimeoutError, OSError.

    However this ends, the program has ended too.
    """
    reading, writing = os.pipe()
    try:
        os.write(writing, settings)
        os.close(writing)
        writing = -1
        process = await asyncio.create_subprocess_exec(
            program,
            "--config-file=/dev/stdin",
            *arguments,
            stdin=reading,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/nonexistent"},
        )
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)
    assert process.stdout is not None  # noqa: S101 - for the type checker
    assert process.stderr is not None  # noqa: S101 - the same
    try:
        async with asyncio.timeout(deadline_s):
            out, err = await asyncio.gather(_text(process.stdout), _text(process.stderr))
            status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await asyncio.shield(process.wait())
    return Printed(status, out, err)


async def _text(stream: asyncio.StreamReader) -> str:
    """What a stream gives to its end; beyond the limit it is read and thrown away."""
    kept = bytearray()
    while block := await stream.read(65536):
        kept += block[: max(0, _LONGEST - len(kept))]
    return kept.decode("utf-8", "replace")
