"""Files that are there whole or not at all, whatever happens while they are written."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

MODE: Final = 0o640
"""The collector's group may read them: a web server, a backup."""


def write_whole(path: Path, content: bytes) -> None:
    """Put a file in place with its folder, on disk at return. Raises OSError."""
    with whole(path) as file:
        file.write(content)


@contextmanager
def whole(path: Path, mode: int = MODE) -> Iterator[IO[bytes]]:
    """A file to write that takes its place once the block ends well. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        part = Path(file.name)
        try:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
