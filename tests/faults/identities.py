"""A second agent beside the stage's, on this machine or on what it takes for another."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests import parts
from tests.faults.matrix import NotHereError
from tests.faults.program import Program
from tests.faults.stage import WITHIN_S, Stage, get
from tests.faults.wire import require_root

_MACHINE_ID: Final = Path("/etc/machine-id")
_ENTER: Final = 'mount --bind "$0" /etc/machine-id && exec "$@"'
_NOTHING_WAITS: Final = "jauge_agent_spool_waiting_batches 0.0"


def machine(file: Path) -> list[str]:
    """What to put before a command so that it runs as another machine, under the same pid.

    The command sees another /etc/machine-id, and nothing else changes. ``file`` keeps that
    machine's id and is drawn where it does not exist.
    """
    require_root("unshare", "mount")
    if not _MACHINE_ID.exists():
        raise NotHereError(f"{_MACHINE_ID} does not exist: nothing to stand in for")
    if not file.exists():
        file.write_text(f"{secrets.token_hex(16)}\n", encoding="ascii")
    return ["unshare", "--mount", "sh", "-c", _ENTER, str(file)]


class SecondAgent:
    """Configured as the stage's agent, but for its spool, its port and what it is told."""

    def __init__(
        self, stage: Stage, folder: Path, *, name: str | None = None, prefix: Sequence[str] = ()
    ) -> None:
        """Write its file; nothing is started, and there is no spool yet. ``name``: of the agent."""
        folder.mkdir()
        self.spool = folder / "spool"
        self.journal = folder / "ticks"
        """Where the list of ticks is that its source keeps, if the stage's keeps one."""
        self.port = parts.free_port()
        text = (stage.folder / "agent.toml").read_text(encoding="utf-8")
        for old, new in (
            (f'"{stage.spool}"', f'"{self.spool}"'),
            (f'"{stage.folder / self.journal.name}"', f'"{self.journal}"'),
            (f"port = {stage.agent_port}", f"port = {self.port}"),
            (f'agent = "{stage.address.agent}"', f'agent = "{name or stage.address.agent}"'),
        ):
            text = text.replace(old, new)
        file = folder / "agent.toml"
        file.write_text(text, encoding="utf-8")
        self.program = Program("tests.faults.agent", [file], folder / "agent.log", prefix=prefix)

    async def all_answered(self) -> None:
        """Wait until nothing in its spool waits for an answer."""

        async def empty() -> bool:
            assert self.program.status is None, self.program.words()[-2000:]
            return _NOTHING_WAITS in (await get("127.0.0.1", self.port, "/metrics"))[1].split("\n")

        await parts.eventually(empty, within=2 * WITHIN_S, what="the second agent has drained")
