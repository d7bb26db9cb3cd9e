"""The demonstration's processes: started together, watched, and ended in order."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PATIENCE_S: Final = 10.0
_PR_SET_PDEATHSIG: Final = 1


class ChildEndedError(Exception):
    """A process that should run has ended; the text says which, and its last words."""


@dataclass(frozen=True, slots=True)
class Child:
    """One process and where its words go."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    def last_words(self) -> str:
        """The last line it wrote."""
        with contextlib.suppress(OSError):
            lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            if lines:
                return lines[-1]
        return "it said nothing"

    async def watch(self) -> None:
        """Return never: raises ChildEndedError when the process ends."""
        status = await self.process.wait()
        if status < 0:
            name = signal.Signals(-status).name
            raise ChildEndedError(f"{self.name} was killed by {name} (log: {self.log})")
        raise ChildEndedError(
            f"{self.name} ended with status {status}: {self.last_words()} (log: {self.log})"
        )

    async def stop(self) -> None:
        """Ask it to end; insist after a while."""
        if self.process.returncode is not None:
            return
        self.process.terminate()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


async def start(name: str, module: str, arguments: Sequence[str], folder: Path) -> Child:
    """Start ``python -m module`` with its words in ``folder/NAME.log``.

    It is out of reach of the terminal's Ctrl-C, and ends when this process is killed.
    """
    log = folder / f"{name}.log"
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=_end_with(os.getpid()) if sys.platform == "linux" else None,
        )
    return Child(name, process, log)


def _end_with(parent: int) -> Callable[[], None]:
    libc = ctypes.CDLL(None, use_errno=True)

    def before_exec() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return before_exec
