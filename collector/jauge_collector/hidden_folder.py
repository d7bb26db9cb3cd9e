"""Hidden folders to work in: gone at the end, and where a process was killed, before the next one.

Who works in one holds a lock on it that ends with its process, so that what a killed process left
is told from what another one is working in.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def hidden_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder whose name begins with ``prefix``, for its owner alone.

    Those of the same name that killed processes left go first. Raises OSError.
    """
    for left in sorted(parent.glob(f"{prefix}*")):
        _remove_unused(left)
    folder, lock = _made(parent, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _made(parent: Path, prefix: str) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        try:
            return folder, _locked(folder)
        except (BlockingIOError, FileNotFoundError):  # another one took it for left
            continue


def _remove_unused(folder: Path) -> None:
    try:
        lock = _locked(folder)
    except OSError:  # in use, no folder, another person's, or gone
        return
    try:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def _locked(folder: Path) -> int:
    """A descriptor that holds a folder's lock. Raises BlockingIOError where another does."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder.stat()  # it may have been removed in between
    except OSError:
        os.close(opened)
        raise
    return opened
