"""A network of our own: a bridge in a namespace, and a namespace on it for each host.

This machine's own interfaces are not touched, and nothing outlives this process: namespaces are
held by its open files alone.
"""

import os
import subprocess
from collections.abc import Sequence
from typing import Final, Self

ADDRESSES: Final = "198.18.7."
"""RFC 2544 sets 198.18.0.0/15 aside for tests; no other network sees these."""
OURS: Final = f"{ADDRESSES}1"
"""Address of the control node: of what is run with ``Network.prefix``."""


class NotHereError(Exception):
    """What this machine cannot do; the text says why."""


class Network:
    """The bridge, with the control node's address on it. A context manager."""

    def __init__(self) -> None:
        """Nothing is made before it is entered."""
        self._held: list[int] = []
        self._ports = 0

    @property
    def prefix(self) -> list[str]:
        """What to put before a command so that it runs on the control node's side.

        It ends with this process, however that ends.
        """
        return ["setpriv", "--pdeathsig", "KILL", *_within(self._held[0])]

    def namespace(self, address: str) -> str:
        """The path of a new namespace, whose interface ``host0`` has the address."""
        held, pid_shell = _held_namespace()
        with pid_shell as shell:
            self._held.append(held)
            self._ports += 1
            port = f"port{self._ports}"
            run(
                *self.prefix,
                *("ip", "link", "add", port, "type", "veth"),
                *("peer", "name", "host0", "netns", str(shell.pid)),
            )
            run(*self.prefix, *("ip", "link", "set", port, "master", "bridge", "up"))
            inner = _within(held)
            run(*inner, *("ip", "link", "set", "lo", "up"))
            run(*inner, *("ip", "address", "add", f"{address}/24", "dev", "host0"))
            run(*inner, *("ip", "link", "set", "host0", "up"))
            _end(shell)
        return f"/proc/{os.getpid()}/fd/{held}"

    def __enter__(self) -> Self:
        held, shell = _held_namespace()
        with shell:
            self._held.append(held)
            _end(shell)
        for line in (
            "link set lo up",
            "link add bridge type bridge",
            f"address add {OURS}/24 dev bridge",
            "link set bridge up",
        ):
            run(*self.prefix, "ip", *line.split())
        return self

    def __exit__(self, *_: object) -> None:
        while self._held:
            os.close(self._held.pop())


def run(*command: str) -> None:
    """Run a command that sets something up; raises NotHereError where it may not."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotHereError(f"{' '.join(command)}: {done.stderr.strip()}")


def _within(held: int) -> list[str]:
    return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{held}", "--"]


def _held_namespace() -> tuple[int, "subprocess.Popen[bytes]"]:
    """A new namespace as an open file, and a process in it that waits for its input to end."""
    command: Sequence[str] = ["unshare", "--net", "sh", "-c", "echo; read _"]
    shell = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert shell.stdout is not None
    assert shell.stderr is not None
    if shell.stdout.readline() == b"":
        with shell:
            raise NotHereError(shell.stderr.read().decode(errors="replace").strip())
    return os.open(f"/proc/{shell.pid}/ns/net", os.O_RDONLY), shell


def _end(shell: "subprocess.Popen[bytes]") -> None:
    assert shell.stdin is not None
    shell.stdin.close()
