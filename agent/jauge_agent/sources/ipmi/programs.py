"""FreeIPMI's programs, with user and password by a pipe that they read as their configuration."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from jauge_agent.programs import MOST_INPUT, Printed
from jauge_agent.programs import run as run_program

DCMI: Final = "ipmi-dcmi"
SENSORS: Final = "ipmi-sensors"
PACKAGE: Final = "freeipmi-tools"
"""Debian's package of both."""

_LONGEST: Final = 1024 * 1024
"""Bytes read of what a program prints; a large server lists some 300 sensors in 20 kB."""


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
    if len(text) > MOST_INPUT:
        raise ValueError("user name and password are too long")
    return text


async def run(
    program: Path, arguments: Sequence[str], settings: bytes, *, deadline_s: float
) -> Printed:
    """Run a program to its end with these settings; raises TimeoutError, OSError."""
    return await run_program(
        program,
        ["--config-file=/dev/stdin", *arguments],
        settings,
        deadline_s=deadline_s,
        longest=_LONGEST,
        longest_error=_LONGEST,
    )
