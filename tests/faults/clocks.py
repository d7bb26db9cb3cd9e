"""A wall clock for one process alone, and its time zone. The monotonic clock stays true."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.faults.matrix import NotHereError

PACKAGE: Final = "faketime"
"""The Debian package that holds the library."""
_LIBRARIES: Final = ("lib", "lib64")
_NAME: Final = "faketime/libfaketime.so.1"


class WallClock:
    """What `time` says to programs that are started with `environment`; settable while they run."""

    def __init__(self, file: Path, *, offset_s: float = 0.0) -> None:
        """``file`` holds the offset from this machine's clock, and need not exist."""
        self._library = _library()
        self._file = file
        self.offset_s = 0.0
        self.set(offset_s)

    @property
    def environment(self) -> dict[str, str]:
        """With these variables a program lives by this clock."""
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DISABLE_SHM": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, offset_s: float) -> None:
        """Step to this many seconds ahead of this machine's clock; behind it where negative."""
        written = self._file.with_suffix(".new")
        written.write_text(f"{offset_s:+f}\n", encoding="ascii")
        written.replace(self._file)
        self.offset_s = offset_s

    def step(self, seconds: float) -> None:
        """Step forward, or back where negative."""
        self.set(self.offset_s + seconds)

    def now_ms(self) -> int:
        """Milliseconds since the epoch, as its programs see it."""
        return time.time_ns() // 1_000_000 + round(self.offset_s * 1000)


def _library() -> Path:
    roots: Sequence[Path] = [Path("/usr") / name for name in _LIBRARIES]
    found = [path for root in roots for path in (*root.glob(_NAME), *root.glob(f"*/{_NAME}"))]
    if not found:
        raise NotHereError(f"libfaketime is not installed (Debian package {PACKAGE})")
    return found[0]
