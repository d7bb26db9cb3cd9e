"""Processes that a benchmark starts, and what they cost by the kernel's account (Linux)."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

_STOP_DEADLINE_S: Final = 10.0
_CLOCK_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")
_KIB_PER_MIB: Final = 1024.0


class EndedError(RuntimeError):
    """A process ended that should have run; the text has the end of what it said."""


class Memory(NamedTuple):
    """Memory of a process in MiB (smaps)."""

    rss: float
    pss: float
    """The kernel's share: pages that others map as well count in part."""
    alone: float
    """PSS as if no second program of the same runtime ran: its own files count whole."""


def cpu_s(pid: int) -> float:
    """Processor seconds, user and system, of a process, its children and those that it reaped."""
    # The clock of another process (clock_getcpuclockid(3)) has the sum of utime and stime of
    # /proc/PID/stat in nanoseconds, where stat has hundredths of a second.
    seconds = time.clock_gettime((~pid << 3) | 2)
    after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    reaped = int(after_name[13]) + int(after_name[14])
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text(encoding="ascii").split():
                with contextlib.suppress(OSError):
                    seconds += cpu_s(int(child))
    return seconds + reaped * _CLOCK_TICK_S


def memory(pid: int, own: Sequence[Path]) -> Memory:
    """What a process holds; files below ``own`` are those of its program and its runtime."""
    roots = tuple(str(path) for path in own)
    rss = pss = alone = 0
    of_own = False
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        key, _, rest = line.partition(":")
        if key == "Rss":
            rss += (kib := int(rest.split()[0]))
            alone += kib if of_own else 0
        elif key == "Pss":
            pss += (kib := int(rest.split()[0]))
            alone += 0 if of_own else kib
        elif not key[0].isupper():
            name = line.split(None, 5)[5:]
            of_own = not name or not name[0].startswith("/") or name[0].startswith(roots)
    return Memory(rss / _KIB_PER_MIB, pss / _KIB_PER_MIB, alone / _KIB_PER_MIB)


@contextlib.asynccontextmanager
async def running(
    argv: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program meanwhile; it is ended by SIGTERM, by SIGKILL if that takes too long."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
        )
    try:
        yield process
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_STOP_DEADLINE_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def still_running(process: asyncio.subprocess.Process, log: Path) -> None:
    """Raises EndedError when the process has ended."""
    if process.returncode is not None:
        said = log.read_text(encoding="utf-8", errors="replace")[-600:].strip()
        raise EndedError(f"ended with {process.returncode}: {said or 'it said nothing'}")
