"""Figures of procfs, from files that stay open: opening them anew costs more than reading them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_CHUNK: Final = 32_768
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_SECTOR_BYTES: Final = 512
"""Unit of /proc/diskstats whatever the disk's own sector is (Documentation/admin-guide/iostats)."""


class ProcFile:
    """One file below procfs; every method raises OSError when it cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def start(self) -> bytes:
        """What one read gives: a page at least, or all of a shorter file."""
        if self._file is None:
            self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        return os.pread(self._file, _CHUNK, 0)

    def lines(self) -> list[bytes]:
        """Every line."""
        text = self.start()
        if self._file is not None:
            while more := os.pread(self._file, _CHUNK, len(text)):
                text += more
        return text.splitlines()

    def close(self) -> None:
        """Give the file back; a later read opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Procfs:
    """What the kernel counts on the whole machine; LookupError or ValueError when malformed."""

    def __init__(self, root: Path) -> None:
        self._stat = ProcFile(root / "stat")
        self._meminfo = ProcFile(root / "meminfo")
        self._diskstats = ProcFile(root / "diskstats")
        self._net_dev = ProcFile(root / "net" / "dev")

    def processor_s(self) -> tuple[float, float]:
        """Processor time since boot in s over all processors: all of it, and idle or in iowait."""
        name, *ticks = self._stat.start().partition(b"\n")[0].split()
        # Time of guests, in the last two columns, is part of user time already.
        times = [int(tick) for tick in ticks[:8]]
        if name != b"cpu":
            raise ValueError("the first line is not that of all processors")
        return sum(times) / _TICKS_PER_S, (times[3] + times[4]) / _TICKS_PER_S

    def memory_bytes(self) -> tuple[int, int]:
        """Memory in all, and what programs could still get; LookupError before Linux 3.14."""
        text = self._meminfo.start()
        return _kilobytes(text, b"MemTotal:"), _kilobytes(text, b"MemAvailable:")

    def disks(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Bytes read and written by block device, partitions among them."""
        for line in self._diskstats.lines():
            fields = line.split()
            yield (
                fields[2].decode(),
                (int(fields[5]) * _SECTOR_BYTES, int(fields[9]) * _SECTOR_BYTES),
            )

    def interfaces(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Bytes received and sent by network interface."""
        for line in self._net_dev.lines()[2:]:
            name, _, counts = line.rpartition(b":")
            fields = counts.split()
            yield name.strip().decode(), (int(fields[0]), int(fields[8]))

    def close(self) -> None:
        """Give the files back."""
        for file in (self._stat, self._meminfo, self._diskstats, self._net_dev):
            file.close()


def _kilobytes(text: bytes, key: bytes) -> int:
    _, found, rest = text.partition(key)
    if not found:
        raise LookupError(key.decode())
    return int(rest[: rest.index(b"\n")].split()[0]) * 1024
