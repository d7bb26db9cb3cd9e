"""The real programs as processes of their own, for tests that kill them."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

ROOT: Final = Path(__file__).resolve().parents[2]
STOP_DEADLINE_S: Final = 30.0


class Program:
    """``python -m module``, started, killed and started again with the same arguments.

    ``prefix`` is a command that runs it in its place, such as ``ip netns exec NAME``;
    ``environment`` is beside that of this process.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str | Path],
        log: Path,
        *,
        prefix: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        python = [sys.executable, "-W", "error", "-m", module]
        self.command = [*prefix, *python, *map(str, arguments)]
        self.environment = dict(environment or {})
        self.log = log
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Process id while it runs."""
        assert self._process is not None
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Exit status, None while it runs and before it was started."""
        return None if self._process is None else self._process.returncode

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    def words(self) -> str:
        """Everything it has written."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    async def start(self) -> None:
        """Start it, with the repository's root first on its path."""
        assert not self.runs, f"{self.command} is running"
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        environment = os.environ | {"PYTHONPATH": path} | self.environment
        with self.log.open("ab") as out:
            self._process = await asyncio.create_subprocess_exec(
                *self.command, stdout=out, stderr=out, env=environment, cwd=ROOT
            )

    async def kill(self) -> None:
        """End it as a power cut would."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """End it in order and return its exit status; TimeoutError when it takes too long."""
        async with asyncio.timeout(STOP_DEADLINE_S):
            return await self._end(signal.SIGTERM)

    async def ended(self, *, within: float) -> int:
        """Wait until it ends by itself; its exit status."""
        assert self._process is not None
        async with asyncio.timeout(within):
            return await self._process.wait()

    async def _end(self, how: signal.Signals) -> int:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(how)
        return await self._process.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.runs:
            await self.kill()
