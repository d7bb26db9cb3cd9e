"""Small disks that can be filled and freed: file systems in memory, unmounted whatever happens."""

import errno
import os
import re
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.faults.matrix import NotHereError
from tests.faults.wire import require_root

_SOURCE: Final = "jauge-disk"
_MOUNTED: Final = re.compile(rf"^{_SOURCE}-(\d+) (\S+) tmpfs ", re.MULTILINE)
_BALLAST: Final = "ballast"
_BLOCK: Final = bytes(4096)


class SmallDisk:
    """A file system of its own size at ``path``. Used as a context manager."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        """Nothing is mounted before it is entered; what lies under ``path`` is hidden then."""
        self.path = path
        self._size = size_bytes
        self._ballast = path / _BALLAST

    @property
    def free_bytes(self) -> int:
        """What can still be written."""
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def fill(self, *, leave_bytes: int = 0) -> None:
        """Write a ballast file until nothing more fits, or until no more than this does."""
        with self._ballast.open("ab", buffering=0) as file:
            try:
                while leave_bytes == 0 or self.free_bytes > leave_bytes:
                    file.write(_BLOCK)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free(self) -> None:
        """Give the ballast's room back."""
        self._ballast.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        require_root("mount", "umount")
        _unmount_what_the_dead_left()
        self.path.mkdir(parents=True, exist_ok=True)
        options = f"size={self._size},mode=0700"
        source = f"{_SOURCE}-{os.getpid()}"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, source, self.path],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise NotHereError(f"mount: {done.stderr.strip()}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _unmount(self.path)


def mounted() -> list[tuple[int, Path]]:
    """Our disks that are mounted now, each with the process that made it."""
    table = Path("/proc/self/mounts").read_text(encoding="utf-8")
    return [
        (int(pid), Path(path.encode().decode("unicode_escape")))
        for pid, path in _MOUNTED.findall(table)
    ]


def _unmount_what_the_dead_left() -> None:
    """A process that was killed outright could not: the next one does."""
    for pid, path in mounted():
        if not Path(f"/proc/{pid}").exists():
            with suppress(subprocess.CalledProcessError):
                _unmount(path)


def _unmount(path: Path) -> None:
    """At once for whoever looks, and wholly when its last open file is closed."""
    subprocess.run(["umount", "--lazy", path], capture_output=True, check=True)
