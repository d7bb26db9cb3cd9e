"""Values of sysfs attributes: small files whose text the kernel works out at every read."""

import errno
import os
from pathlib import Path
from typing import Final

_LONGEST: Final = 64
"""More bytes than any number in sysfs takes."""

_GONE: Final = frozenset({errno.ENOENT, errno.ENODEV, errno.ENXIO})


class NoValueError(Exception):
    """An attribute gives no value now; ``reason`` is one of gone, unreadable, unparsable."""

    @property
    def reason(self) -> str:
        """Bounded, as it becomes a label."""
        return str(self)


class Attribute:
    """A whole number in a sysfs file, which stays open between reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def read(self) -> int:
        """The value now, in the unit of the attribute; raises NoValueError."""
        try:
            if self._file is None:
                self._file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            return int(os.pread(self._file, _LONGEST, 0))
        except ValueError:
            raise NoValueError("unparsable") from None
        except OSError as error:
            # A driver that was loaded anew has new files behind the same path.
            self.close()
            reason = "gone" if error.errno in _GONE else "unreadable"
            raise NoValueError(reason) from None

    def close(self) -> None:
        """Give the file back; a later read opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def text_of(path: Path) -> str:
    """What an attribute says, without white space around it; empty when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
