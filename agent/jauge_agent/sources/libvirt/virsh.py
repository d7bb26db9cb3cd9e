"""libvirt by its own program: ``virsh --readonly``, started without a shell, killed in time.

The connection is read-only: libvirt's daemon refuses whatever would change a guest.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from jauge_agent.programs import found as program_found
from jauge_agent.programs import run
from jauge_agent.source import RetryError
from jauge_agent.sources.libvirt.records import Record, documents, of_program, proper

PACKAGE: Final = "libvirt-clients"
"""Debian's package of the program."""

_LONGEST: Final = 16 * 1024 * 1024
"""Bytes that may be printed; a guest takes some 3 kB, one with 128 processors 100."""
_LONGEST_ERROR: Final = 4096
_LIST: Final = "list --uuid --name"
_STATS: Final = (
    "domstats --raw --nowait --list-active --state --cpu-total --balloon --vcpu --interface --block"
)


def found() -> Path | None:
    """Where the program is."""
    return program_found("virsh")


class Virsh:
    """Guests by one run of the program for each reading."""

    def __init__(self, program: Path, uri: str, deadline_s: float) -> None:
        self._program = program
        self._arguments = ("--readonly", "--connect", uri)
        self._deadline_s = deadline_s

    async def guests(self) -> list[Record]:
        """Every guest that has a process. Raises RetryError."""
        status, out, said = await self._run(f"{_LIST}; {_STATS}; {_LIST}")
        if status != 0:
            raise RetryError(said or f"virsh ended with status {status}")
        return of_program(out)

    async def definitions(self, uuids: Iterable[str]) -> dict[str, str]:
        """Their XML, of those that are still there. Raises RetryError."""
        commands = [f"dumpxml {uuid}" for uuid in proper(uuids)]
        if not commands:
            return {}
        _, out, _ = await self._run("; ".join(commands))
        return documents(out)

    async def close(self) -> None:
        """Nothing is kept open between readings."""

    async def _run(self, commands: str) -> tuple[int, str, str]:
        """Status, what was printed, and the last error in words; however it ends, so has virsh."""
        try:
            printed = await run(
                self._program,
                [*self._arguments, commands],
                deadline_s=self._deadline_s,
                longest=_LONGEST,
                longest_error=_LONGEST_ERROR,
            )
        except TimeoutError:
            raise RetryError(f"libvirt gave no answer within {self._deadline_s:g} s") from None
        except OSError as error:
            raise RetryError(f"virsh cannot be started: {error.strerror or error}") from None
        if not printed.is_whole:
            raise RetryError(f"virsh printed more than {_LONGEST // 2**20} MiB")
        return printed.status, printed.out, _said(printed.err)


def _said(errors: str) -> str:
    """The last error, on one line."""
    lines = [line.removeprefix("error:").strip() for line in errors.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
