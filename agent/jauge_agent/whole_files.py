"""Files that are only ever there as a whole: after a power cut, the old one or the new one."""

import contextlib
import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Put a file in the place of another, on the disk when this returns; raises OSError.

    What was begun lies beside it as ``<name>.new``, and is gone where it could not be ended.
    """
    begun = path.with_name(f"{path.name}.new")
    try:
        with begun.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        begun.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            begun.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
