"""Running totals of the kernel in procfs, from files that stay open between reads.

Formats: proc(5), and the kernel's Documentation/admin-guide/iostats.rst. What does not look as
described there raises ValueError or LookupError, and is left to psutil, which knows more kernels.
"""

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final, NamedTuple

_CHUNK: Final = 16_384
_CERTAIN: Final = 2048
"""Half the smallest page: an answer below it is all there is, as no line is nearly as long."""
_LARGEST: Final = 4 * 1024 * 1024
"""Bytes after which a file is taken for something else."""
_SECTOR_BYTES: Final = 512
"""The unit of diskstats, whatever the device's own sector is."""


class ProcessorTimes(NamedTuple):
    """Seconds since the machine started, summed over all processors."""

    total_s: float
    idle_s: float
    """Idle and waiting for I/O."""


class ProcFile:
    """One file of procfs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def part(self, size: int, at: int = 0) -> bytes:
        """At most ``size`` bytes, worked out anew by the kernel. Raises OSError."""
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            return os.pread(self._file, size, at)
        except OSError:
            self.close()
            raise

    def whole(self) -> bytes:
        """All of it. Raises OSError; ValueError where it has no end."""
        text = self.part(_CHUNK)
        # The kernel gives whole lines as far as they fit into a page, so that a short answer is no
        # end, unless a whole line more would have fitted. Asking on has it write all of them again.
        if len(text) < _CERTAIN:
            return text
        while more := self.part(_CHUNK, len(text)):
            text += more
            if len(text) > _LARGEST:
                raise ValueError("too large")
        return text

    def close(self) -> None:
        """Give the file back; a later read opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Procfs:
    """The totals of one machine."""

    def __init__(self, root: Path) -> None:
        self._stat = ProcFile(root / "stat")
        self._meminfo = ProcFile(root / "meminfo")
        self._diskstats = ProcFile(root / "diskstats")
        self._net_dev = ProcFile(root / "net" / "dev")
        self._ticks_a_second = os.sysconf("SC_CLK_TCK")

    def processor(self) -> ProcessorTimes:
        """Time of the processors; that of guests is part of user time and not counted twice."""
        name, *fields = self._stat.part(512).partition(b"\n")[0].split()
        if name != b"cpu":
            raise ValueError("no cpu line")
        # user nice system idle iowait irq softirq steal; guest times follow.
        times = [int(field) for field in fields[:8]]
        idle = times[3] + times[4]
        return ProcessorTimes(sum(times) / self._ticks_a_second, idle / self._ticks_a_second)

    def memory(self) -> tuple[int, int]:
        """Bytes in all, and bytes that a new program could have."""
        found: dict[bytes, int] = {}
        for line in self._meminfo.part(512).split(b"\n"):
            name, _, rest = line.partition(b":")
            if name in (b"MemTotal", b"MemAvailable"):
                value, unit = rest.split()
                if unit != b"kB":
                    raise ValueError("no kB")
                found[name] = int(value) * 1024
                if len(found) == 2:
                    break
        total, available = found[b"MemTotal"], found[b"MemAvailable"]
        if available > total:
            raise ValueError("more available than there is")  # some containers; psutil knows
        return total, available

    def disks(self, but: Collection[str] = ()) -> Iterator[tuple[str, tuple[int, int]]]:
        """Bytes read and written, of each block device ``but`` some; partitions are among them."""
        for line in self._diskstats.whole().splitlines():
            _, _, device, rest = line.split(None, 3)
            if (name := device.decode()) not in but:
                fields = rest.split()
                if len(fields) < 11:
                    raise ValueError("a line of an old kernel")
                yield name, (int(fields[2]) * _SECTOR_BYTES, int(fields[6]) * _SECTOR_BYTES)

    def interfaces(self, but: Collection[str] = ()) -> Iterator[tuple[str, tuple[int, int]]]:
        """Bytes received and sent, of each network interface ``but`` some."""
        for line in self._net_dev.whole().splitlines()[2:]:
            start, _, rest = line.rpartition(b":")
            name = start.strip().decode()
            if name not in but:
                fields = rest.split()
                yield name, (int(fields[0]), int(fields[8]))

    def close(self) -> None:
        """Give the files back."""
        for file in (self._stat, self._meminfo, self._diskstats, self._net_dev):
            file.close()
