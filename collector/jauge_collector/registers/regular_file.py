"""Files that somebody names: opened only where they are ones, so that no reading ends never."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular(path: Path) -> BinaryIO:
    """A regular file to read; a pipe, which would be waited for, and a device are none.

    Raises OSError; ValueError for what is no path.
    """
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    mode = os.fstat(opened).st_mode
    if not stat.S_ISREG(mode):
        os.close(opened)
        number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        text = os.strerror(number) if stat.S_ISDIR(mode) else "Is no regular file"
        raise OSError(number, text, str(path))
    return os.fdopen(opened, "rb")
