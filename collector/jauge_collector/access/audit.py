"""Who changed what by the console: lines of JSON, only ever added to.

The file is the owner's alone. Full, it is set aside under a number and a new one begins; of the
older ones a fixed number stays. Several collectors may share it.
"""

import fcntl
import os
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec

FILE: Final = Path("console-audit.jsonl")
"""Below ``state_dir``."""
LARGEST: Final = 8 * 1024 * 1024
OLDER: Final = 8
"""Files set aside: together about 300 000 changes."""
_LONGEST_TEXT: Final = 256


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change. No secret is ever part of it."""

    time_ms: int
    who: str
    how: str
    """``open``, ``bearer``, ``session`` or ``proxy``."""
    source: str
    """The address that the request came from."""
    what: str
    """``sign_in``, ``sign_out``, ``agent.release``, ``ticket.acknowledge``."""
    site: str = ""
    subject: str = ""
    """What was changed: an agent's name, a ticket's number."""
    detail: str = ""


class AuditLog:
    """The record of one state directory. All may raise OSError; `add` and `newest` block."""

    def __init__(self, path: Path, *, largest: int = LARGEST, older: int = OLDER) -> None:
        self.path: Final = path
        self._largest = largest
        self._older = older

    def add(self, change: Change) -> None:
        """Write a change down, durably: it is on the disk when this returns."""
        texts = ("who", "source", "subject", "detail")
        short = {name: getattr(change, name)[:_LONGEST_TEXT] for name in texts}
        line = msgspec.json.encode(msgspec.structs.replace(change, **short)) + b"\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked():
            try:
                full = self.path.stat().st_size + len(line) > self._largest
            except FileNotFoundError:
                full = False
            if full:
                self._set_aside()
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(file, line)
                os.fsync(file)
            finally:
                os.close(file)

    def newest(self, most: int) -> list[Change]:
        """The newest changes, newest first; a line that cannot be read is left out."""
        found: list[Change] = []
        for path in (self.path, *self._numbered()):
            try:
                lines = path.read_bytes().splitlines()
            except FileNotFoundError:
                continue
            for line in reversed(lines):
                try:
                    found.append(msgspec.json.decode(line, type=Change))
                except (msgspec.ValidationError, msgspec.DecodeError):
                    continue
                if len(found) >= most:
                    return found
        return found

    def forget(self, before_ms: int, *, dry_run: bool = False) -> list[int]:
        """Drop the changes older than a moment, unless it is a dry run; their times."""
        gone: list[int] = []
        if not self.path.parent.is_dir():
            return gone
        with self._locked():
            for path in (self.path, *self._numbered()):
                try:
                    lines = path.read_bytes().splitlines(keepends=True)
                except FileNotFoundError:
                    continue
                times = [_time_of(line) for line in lines]
                old = [time_ms for time_ms in times if time_ms is not None and time_ms < before_ms]
                gone += old
                if not old or dry_run:
                    continue
                fresh = path.with_name(f"{path.name}.new")
                fresh.touch(mode=0o600)
                fresh.write_bytes(
                    b"".join(
                        line
                        for line, time_ms in zip(lines, times, strict=True)
                        if time_ms is None or time_ms >= before_ms
                    )
                )
                fresh.replace(path)
        return gone

    def _numbered(self) -> list[Path]:
        """Where the older files stand, the youngest first."""
        numbers = range(1, self._older + 1)
        return [self.path.with_name(f"{self.path.name}.{number}") for number in numbers]

    def _set_aside(self) -> None:
        names = [self.path, *self._numbered()]
        for young, old in reversed(list(pairwise(names))):
            if young.exists():
                young.replace(old)

    def _locked(self) -> "_Lock":
        return _Lock(self.path.with_name(f"{self.path.name}.lock"))


def _time_of(line: bytes) -> int | None:
    """When a change was made; None where the line cannot be read."""
    try:
        return msgspec.json.decode(line, type=Change).time_ms
    except (msgspec.ValidationError, msgspec.DecodeError):
        return None


class _Lock:
    """Held by one process at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1

    def __enter__(self) -> None:
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._file)
