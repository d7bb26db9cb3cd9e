"""Builds and starts VMware's own simulator of a vCenter.

The binary depends on its source and the library of the distribution alone, and is kept in the
user's cache: a build takes half a minute.
"""

import asyncio
import os
import subprocess
from collections.abc import Sequence
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from tests.parts import PartMissingError, RealPart

SOURCE = Path(__file__).with_name("main.go")
GOPATH = Path("/usr/share/gocode")
LIBRARY = GOPATH / "src" / "github.com" / "vmware" / "govmomi" / "simulator"
BUILD_DEADLINE_S = 300.0
USER, PASSWORD = "jauge", "pass"


class Vcsim(RealPart):
    """A vCenter with hosts and guests; ``flags`` are those of ``main.go``."""

    program: ClassVar[str] = "go"
    package: ClassVar[str] = (
        "golang-go golang-github-vmware-govmomi-dev golang-github-google-uuid-dev"
    )

    def __init__(self, directory: Path, *flags: str, pair: Sequence[Path] = ()) -> None:
        """Built if need be. ``pair``: certificate and key; plain HTTP without."""
        directory.mkdir(parents=True, exist_ok=True)
        # It keeps its datastores there, and a killed one leaves them behind.
        super().__init__(directory, environment={"TMPDIR": str(directory)})
        self.log = directory / "vcsim.log"
        self.executable = str(built(self.executable))
        self.flags = list(flags)
        self.pair = list(pair)

    def arguments(self) -> list[str]:
        """On its port, with the one user that may log in."""
        named = ["-cert", str(self.pair[0]), "-key", str(self.pair[1])] if self.pair else []
        return ["-listen", f"{self.host}:{self.port}", "-user", USER, *named, *self.flags]

    async def ready(self) -> bool:
        """Whether it takes connections."""
        try:
            _, writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            return False
        writer.close()
        return True


def built(go: str) -> Path:
    """The simulator's program; raises PartMissingError where it cannot be built."""
    if not LIBRARY.is_dir():
        raise PartMissingError(f"{LIBRARY} is not there (Debian package {Vcsim.package})")
    stamp = (LIBRARY / "simulator.go").read_bytes()
    digest = sha256(SOURCE.read_bytes() + stamp).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jauge-tests"
    program = cache / f"vcsim-{digest}"
    if program.exists():
        return program
    cache.mkdir(parents=True, exist_ok=True)
    begun = cache / f"{program.name}.{os.getpid()}"
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GOPATH)}
    done = subprocess.run(
        [go, "build", "-o", str(begun), str(SOURCE)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=BUILD_DEADLINE_S,
        check=False,
    )
    if done.returncode != 0:
        raise PartMissingError(f"the simulator cannot be built: {done.stderr[-500:]}")
    begun.replace(program)
    return program


def administered(vcsim: Vcsim, context: Any) -> Any:
    """A connection of an administrator, who may do what Jauge may not (pyvmomi)."""
    connect: Any = import_module("pyVim.connect")
    return connect.SmartConnect(
        host=vcsim.host,
        port=vcsim.port,
        user=USER,
        pwd=PASSWORD,
        sslContext=context,
    )


def dropped(connection: Any) -> None:
    """End such a connection, whether or not there is a vCenter any more."""
    connect: Any = import_module("pyVim.connect")
    stub = connection._stub
    connect.Disconnect(connection)
    stub.DropConnections()
